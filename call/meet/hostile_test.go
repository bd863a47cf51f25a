package meet

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"securecall/audio"
	"securecall/call"
	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
	"securecall/nat/rendezvous"
)

// A hostile is a relay that does more than relaying, to all that it sends to its clients.
type hostile struct {
	does func(*hostile, *victim, passing)
	on   atomic.Bool

	mu      sync.Mutex
	rand    *rand.Rand
	victims map[*line]*victim
	done    int // how often it did something
}

// A victim is one client, with what the relay knows of who speaks to it.
type victim struct {
	like []byte // the last message in which something came from there
	ssrc uint32 // of the peer, and the last numbers of its RTP
	seq  uint16
	time uint32
	past [][]byte
}

func (h *hostile) pass(p passing) {
	if !p.down {
		p.on(p.b)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.victims[p.line]
	if v == nil {
		v = new(victim)
		h.victims[p.line] = v
	}
	v.learn(p.b)
	if !h.on.Load() {
		p.on(p.b)
		return
	}
	h.does(h, v, p)
}

func (v *victim) learn(b []byte) {
	v.past = append(v.past, b)
	d := inside(b)
	if len(d) < 12 {
		return
	}
	v.like = b
	switch {
	case d[0] == 0x10:
		v.ssrc = binary.BigEndian.Uint32(d[8:])
	case d[0]>>6 == 2 && d[1]&0x7f < 64 || d[1]&0x7f > 95: // RTP (RFC 5761, Section 4)
		v.ssrc, v.seq, v.time = binary.BigEndian.Uint32(d[8:]), binary.BigEndian.Uint16(d[2:]), binary.BigEndian.Uint32(d[4:])
	}
}

// says sends a datagram in the peer's name.
func (h *hostile) says(v *victim, p passing, d []byte) {
	if b := wrapped(v.like, d); b != nil {
		h.done++
		p.on(b)
	}
}

// one in n times.
func (h *hostile) one(n int) bool { return h.rand.IntN(n) == 0 }

func (h *hostile) octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(h.rand.Uint32())
	}
	return b
}

func (h *hostile) flipped(b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + h.rand.IntN(3) {
		b[h.rand.IntN(len(b))] ^= 1 << h.rand.IntN(8)
	}
	return b
}

// An attack is one thing that a hostile relay does.
type attack struct {
	name string
	does func(h *hostile, v *victim, p passing)
	// fatal: it may keep a call from coming about. SECURITY.md: "A call by a code begins once:
	// who can send packets in the peer's name then can make it fail".
	fatal bool
	drops []string // what it is counted as in a call, at both ends: one of these; nil: not at all
}

var attacks = []attack{
	{name: "flips bits", fatal: true, drops: []string{"auth"}, does: func(h *hostile, _ *victim, p passing) {
		b := p.b
		if h.one(5) {
			h.done++
			b = h.flipped(b)
		}
		p.on(b)
	}},
	{name: "flips bits of ZRTP, with a good CRC", fatal: true, does: func(h *hostile, v *victim, p passing) {
		z, err := wire.ParsePacket(inside(p.b))
		if err != nil || !h.one(3) {
			p.on(p.b)
			return
		}
		h.says(v, p, wire.AppendPacket(nil, z.Seq, z.SSRC, h.flipped(z.Message)))
	}},
	{name: "truncates", fatal: true, drops: []string{"auth", "malformed"}, does: func(h *hostile, v *victim, p passing) {
		d := inside(p.b)
		switch {
		case h.one(8):
			h.done++
			p.on(p.b[:h.rand.IntN(len(p.b))])
		case len(d) > 0 && h.one(8):
			h.says(v, p, d[:h.rand.IntN(len(d))])
		default:
			p.on(p.b)
		}
	}},
	{name: "repeats what is old", drops: []string{"replay"}, does: func(h *hostile, v *victim, p passing) {
		p.on(p.b)
		h.done++
		p.on(v.past[h.rand.IntN(len(v.past))])
	}},
	{name: "sends all three times", drops: []string{"replay"}, does: func(h *hostile, _ *victim, p passing) {
		for range 3 {
			h.done++
			p.on(p.b)
		}
	}},
	{name: "delays, and so reorders", does: func(h *hostile, _ *victim, p passing) {
		h.done++
		time.AfterFunc(time.Duration(h.rand.IntN(80))*time.Millisecond, func() { p.on(p.b) })
	}},
	{name: "sends nonsense", drops: []string{"auth", "foreign", "stun", "stranger"}, does: func(h *hostile, v *victim, p passing) {
		b := h.octets(1 + h.rand.IntN(1400))
		b[0] = []byte{b[0], 0, 1, 0x10, 0x40, 0x80, 0x80}[h.rand.IntN(7)]
		p.on(b)
		h.says(v, p, b)
		p.on(p.b)
	}},
	{name: "says Hello as a stranger", drops: []string{string(zrtp.DropForeign), string(zrtp.DropHello), string(zrtp.DropHelloHash)}, does: func(h *hostile, v *victim, p passing) {
		ssrc := v.ssrc
		if h.one(2) {
			ssrc = h.rand.Uint32()
		}
		hello := &wire.Hello{
			Version: [4]byte([]byte("1.10")), Client: [16]byte([]byte("securecall      ")),
			H3: [32]byte(h.octets(32)), ZID: wire.ZID(h.octets(12)), MAC: wire.MAC(h.octets(8)),
		}
		h.says(v, p, wire.AppendPacket(nil, uint16(h.done), ssrc, hello.Append(nil)))
		p.on(p.b)
	}},
	{name: "says Error", fatal: true, drops: []string{string(zrtp.DropLateError)}, does: func(h *hostile, v *victim, p passing) {
		codes := []wire.ErrorCode{
			wire.ErrorMalformed, wire.ErrorSoftware, wire.ErrorVersion, wire.ErrorComponents, wire.ErrorHash, wire.ErrorCipher,
			wire.ErrorKeyAgreement, wire.ErrorAuth, wire.ErrorSAS, wire.ErrorNoSecret, wire.ErrorPublicValue, wire.ErrorHVI,
			wire.ErrorRelayedSAS, wire.ErrorConfirmMAC, wire.ErrorNonceReuse, wire.ErrorEqualZIDs, wire.ErrorSSRCCollision,
			wire.ErrorUnavailable, wire.ErrorTimeout, wire.ErrorGoClear,
		}
		e := &wire.Error{Code: codes[h.rand.IntN(len(codes))]}
		h.says(v, p, wire.AppendPacket(nil, uint16(h.done), v.ssrc, e.Append(nil)))
		p.on(p.b)
	}},
	{name: "makes up ZRTP", fatal: true, drops: []string{string(zrtp.DropUnexpected)}, does: func(h *hostile, v *victim, p passing) {
		messages := []wire.Message{
			&wire.HelloACK{}, &wire.Conf2ACK{}, &wire.ErrorACK{}, &wire.Other{Kind: wire.Type([]byte("GoClear ")), Body: h.octets(8)},
			&wire.Commit{H2: [32]byte(h.octets(32)), ZID: wire.ZID(h.octets(12)), Hash: wire.S256, Cipher: wire.AES1, Auth: wire.HS32, KeyAgreement: wire.X255, SAS: wire.B32},
			&wire.DHPart{Part: 1 + h.rand.IntN(2), H1: [32]byte(h.octets(32)), PV: h.octets(32 * (1 + h.rand.IntN(36)))},
			&wire.Confirm{Part: 1 + h.rand.IntN(2), MAC: [8]byte(h.octets(8)), Encrypted: h.octets(40)},
		}
		m := messages[h.rand.IntN(len(messages))]
		h.says(v, p, wire.AppendPacket(nil, uint16(h.done), v.ssrc, m.Append(nil)))
		p.on(p.b)
	}},
	{name: "answers checks first, and makes up others", does: func(h *hostile, v *victim, p passing) {
		m := new(stun.Message)
		if stun.Decode(inside(p.b), m) == nil {
			for _, kind := range []stun.MessageType{stun.BindingSuccess, stun.BindingError, stun.BindingRequest} {
				forged := stun.New()
				forged.TransactionID, forged.Type = m.TransactionID, kind
				forged.WriteHeader()
				for _, a := range m.Attributes { // its own password is all that it lacks
					if a.Type != stun.AttrMessageIntegrity && a.Type != stun.AttrFingerprint {
						forged.Add(a.Type, a.Value)
					}
				}
				if kind == stun.BindingError {
					_ = stun.CodeRoleConflict.AddTo(forged)
				}
				if h.one(2) {
					_ = stun.NewShortTermIntegrity("a guess").AddTo(forged)
				}
				h.says(v, p, forged.Raw)
			}
		}
		h.says(v, p, stunOf(h, stun.BindingRequest))
		h.says(v, p, stunOf(h, stun.NewType(stun.MethodBinding, stun.ClassIndication)))
		p.on(p.b)
	}},
	{name: "speaks in clear, and says BYE", drops: []string{"auth"}, does: func(h *hostile, v *victim, p passing) {
		rtp := []byte{0x80, uint8(audio.PCMU)}
		rtp = binary.BigEndian.AppendUint16(rtp, v.seq+1)
		rtp = binary.BigEndian.AppendUint32(rtp, v.time+audio.FrameSamples)
		rtp = binary.BigEndian.AppendUint32(rtp, v.ssrc)
		pcm, payload := make([]int16, audio.FrameSamples), make([]byte, audio.FrameSamples)
		for i := range pcm {
			pcm[i] = int16(30000 * math.Sin(2*math.Pi*1000*float64(i)/audio.SampleRate))
		}
		audio.PCMU.Encode(payload, pcm)
		rtp = append(rtp, payload...)
		bye := []byte{0x80, 201, 0, 1}
		bye = append(binary.BigEndian.AppendUint32(bye, v.ssrc), 0x81, 203, 0, 1)
		bye = binary.BigEndian.AppendUint32(bye, v.ssrc)
		for _, clear := range [][]byte{rtp, bye} {
			h.says(v, p, clear)
			h.says(v, p, append(clear, h.octets(10)...)) // as if with a tag,
			h.says(v, p, append(binary.BigEndian.AppendUint32(clear, 0x80000000+uint32(h.done)), h.octets(10)...))
		}
		p.on(p.b)
	}},
}

func stunOf(h *hostile, kind stun.MessageType) []byte {
	m := stun.New()
	m.Type, m.TransactionID = kind, [12]byte(h.octets(12))
	m.WriteHeader()
	m.Add(stun.AttrUseCandidate, nil)
	return m.Raw
}

// everything is all attacks, one after the other at random.
var everything = attack{name: "all of it", fatal: true, drops: []string{"auth", "replay"}, does: func(h *hostile, v *victim, p passing) {
	attacks[h.rand.IntN(len(attacks))].does(h, v, p)
}}

// A relay that does what it likes keeps two from each other, if it can. Never does it get
// them to agree on keys with anybody else, to hear what the other one has not said, or to
// end a call that is up.
func TestHostileRelay(t *testing.T) {
	for i, a := range append(slices.Clone(attacks), everything, everything) {
		seed := uint64(i)
		t.Run(a.name+" from the beginning", func(t *testing.T) {
			t.Parallel()
			a.run(t, seed, true)
		})
		if a.fatal && a.drops != nil {
			t.Run(a.name+" in a call", func(t *testing.T) {
				t.Parallel()
				a.run(t, seed, false)
			})
		}
	}
}

// run makes a call with the attack from the beginning, or once it is up.
func (a attack) run(t *testing.T, seed uint64, early bool) {
	h := &hostile{does: a.does, rand: rand.New(rand.NewPCG(seed, 1)), victims: map[*line]*victim{}}
	h.on.Store(early)
	o := serves(t, rendezvous.Settings{Relays: newBox(t, false, h.pass).offer}, new(tap))
	o.RelayOnly = true
	alice, bob := newSpeaker(t, 400), newSpeaker(t, 600)
	if early && a.fatal {
		alice.conf.Timeout = 5 * time.Second // for what may never come about
	}
	bob.conf.Once = true
	stopBob := bob.runs(NewListener(bob.conf, o).Run)
	defer stopBob()
	stopAlice := alice.runs(NewDialer(alice.conf, o, code(t, bob.person, 1)).Run)
	defer func() {
		stopAlice()
		stopBob()
		agreed(t, seed, alice, bob)
	}()

	if !alice.answered() || !bob.answered() {
		ended := stopAlice()
		if !early || !a.fatal {
			t.Errorf("seed %d: no call: %+v", seed, ended)
		}
		if r := ended.Reason; r != call.ReasonKeys && r != call.ReasonUnreachable {
			t.Errorf("seed %d: ended with %d, %v", seed, r, ended.Err)
		}
		return
	}
	h.on.Store(true)
	time.Sleep(1500 * time.Millisecond)
	loud := func(s, other *speaker) int {
		n, _ := tones(s.heard.all(), other.hz)
		return n
	}
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if loud(alice, bob) >= 30 && loud(bob, alice) >= 30 {
			break
		}
	}
	h.on.Store(false)
	time.Sleep(300 * time.Millisecond)
	for _, s := range []*speaker{alice, bob} {
		if e, ok := find[call.Ended](s.person, 1); ok {
			t.Errorf("seed %d: the call was ended by it: %+v", seed, e)
		}
	}
	stopAlice()
	for i, s := range []*speaker{alice, bob} {
		e := told[call.Ended](t, s.person, 1)
		if e.Reason != call.ReasonNormal {
			t.Errorf("seed %d: ended with %+v", seed, e)
		}
		counted := uint64(0)
		for _, d := range a.drops {
			counted += e.Stats.Dropped[d]
		}
		if a.drops != nil && counted == 0 {
			t.Errorf("seed %d: dropped: %v", seed, e.Stats.Dropped)
		}
		other := []*speaker{bob, alice}[i]
		if said := len(other.said.all()) / audio.FrameSamples; e.Stats.Received > uint64(said) {
			t.Errorf("seed %d: %d packets taken of %d", seed, e.Stats.Received, said)
		}
		if n := loud(s, other); n < 30 {
			t.Errorf("seed %d: only %d frames were heard", seed, n)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done == 0 {
		t.Errorf("seed %d: it did nothing", seed)
	}
}

// agreed holds whatever has become of a call.
func agreed(t *testing.T, seed uint64, alice, bob *speaker) {
	t.Helper()
	var sas []string
	for i, s := range []*speaker{alice, bob} {
		other := []*speaker{bob, alice}[i]
		zid := other.conf.Cache.ZID()
		if e, ok := find[call.Secured](s.person, 1); ok {
			sas = append(sas, e.SAS)
			if !e.ByCode || e.Auxiliary != "match" || e.ZID != hex.EncodeToString(zid[:]) {
				t.Errorf("seed %d: secured, not with the other one: %+v", seed, e)
			}
		}
		if _, strange := tones(s.heard.all(), other.hz); strange > 0 {
			t.Errorf("seed %d: %d frames were heard that nobody has said", seed, strange)
		}
	}
	if len(sas) == 2 && sas[0] != sas[1] {
		t.Errorf("seed %d: SAS %q", seed, sas)
	}
}

// runs starts one side; what is returned ends it, and says how it has ended.
func (s *speaker) runs(f func(context.Context) call.Ended) (stop func() call.Ended) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended call.Ended
	s.over = make(chan struct{})
	go func() {
		defer close(s.over)
		ended = f(ctx)
	}()
	return func() call.Ended {
		cancel()
		<-s.over
		return ended
	}
}

// answered waits until the call is up, or will not be.
func (s *speaker) answered() bool {
	late := time.After(12 * time.Second)
	for {
		if _, ok := find[call.Answered](s.person, 1); ok {
			return true
		}
		select {
		case <-s.wake:
		case <-s.over:
			return false
		case <-late:
			return false
		}
	}
}
