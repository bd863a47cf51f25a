package meet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"securecall/audio"
	"securecall/call"
	"securecall/crypto/callcode"
	"securecall/crypto/zrtp/wire"
	"securecall/nat/rendezvous"
)

// What a relay and a meeting point see of a call by a code: this, and nothing more.
// docs/rendezvous.md says the same in words. A field in parentheses need not be there.
var (
	// The data of a message is sealed, but for the shares and confirmations of the PAKE.
	toMeetingPoint = fields{
		"open":    {},
		"join":    {"mailbox"},
		"message": {"session", "data"},
		"proven":  {"session"},
		"wait":    {"names"},
		"(close)": {"session"},
	}
	fromMeetingPoint = fields{
		"opened":   {"mailbox", "seconds"},
		"joined":   {"mailbox", "session", "waiting", "relays"},
		"relay":    {"port", "username", "password", "seconds"},
		"message":  {"session", "data"},
		"waiting":  {"count"},
		"(closed)": {"session", "reason"},
	}
	// The request of a WebSocket, by a Go program and no other.
	requestHeader = fields{"GET": {
		"Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol",
		"User-Agent", "Accept-Encoding",
	}}

	// STUN and TURN with the relay itself. A packet of the call is in Send, Data or
	// ChannelData.
	withRelay = fields{
		"Binding request":                   {"FINGERPRINT"},
		"Binding success response":          {"XOR-MAPPED-ADDRESS", "FINGERPRINT"},
		"Allocate request":                  {"REQUESTED-TRANSPORT", "USERNAME", "REALM", "NONCE", "MESSAGE-INTEGRITY", "FINGERPRINT"},
		"Allocate error response":           {"ERROR-CODE", "REALM", "NONCE"},
		"Allocate success response":         {"XOR-RELAYED-ADDRESS", "XOR-MAPPED-ADDRESS", "LIFETIME", "MESSAGE-INTEGRITY"},
		"CreatePermission request":          {"XOR-PEER-ADDRESS", "USERNAME", "REALM", "NONCE", "MESSAGE-INTEGRITY", "FINGERPRINT"},
		"CreatePermission success response": {"MESSAGE-INTEGRITY"},
		"ChannelBind request":               {"CHANNEL-NUMBER", "XOR-PEER-ADDRESS", "USERNAME", "REALM", "NONCE", "MESSAGE-INTEGRITY", "FINGERPRINT"},
		"ChannelBind success response":      {"MESSAGE-INTEGRITY"},
		"(Refresh request)":                 {"LIFETIME", "USERNAME", "REALM", "NONCE", "MESSAGE-INTEGRITY", "FINGERPRINT"},
		"(Refresh success response)":        {"LIFETIME", "MESSAGE-INTEGRITY"},
		"Send indication":                   {"XOR-PEER-ADDRESS", "DATA", "FINGERPRINT"},
		"Data indication":                   {"XOR-PEER-ADDRESS", "DATA"},
		"ChannelData":                       {},
	}
	// Between the two: ICE's checks, ZRTP, SRTP and SRTCP.
	throughRelay = fields{
		"Binding request":          {"USERNAME", "ICE-CONTROLLING", "ICE-CONTROLLED", "PRIORITY", "USE-CANDIDATE", "MESSAGE-INTEGRITY", "FINGERPRINT"},
		"Binding success response": {"XOR-MAPPED-ADDRESS", "MESSAGE-INTEGRITY", "FINGERPRINT"},

		"Hello":    {"Version", "Client", "H3", "ZID", "S", "M", "P", "Hashes", "Ciphers", "Auths", "KeyAgreements", "SASTypes", "MAC"},
		"HelloACK": {},
		"Commit":   {"H2", "ZID", "Hash", "Cipher", "Auth", "KeyAgreement", "SAS", "HVI", "KEM", "MAC"},
		"DHPart1":  {"H1", "RS1ID", "RS2ID", "AuxID", "PBXID", "PV", "MAC"},
		"DHPart2":  {"H1", "RS1ID", "RS2ID", "AuxID", "PBXID", "PV", "MAC"},
		"Confirm1": {"MAC", "IV", "Encrypted"},
		"Confirm2": {"MAC", "IV", "Encrypted"},
		"Conf2ACK": {},

		"SRTP":  {}, // 12 octets: marker, payload type, sequence number, timestamp, SSRC
		"SRTCP": {}, // 8 octets, of the first report: count, packet type, length, SSRC; and the index
	}
)

// fields are what there is of each kind of message.
type fields map[string][]string

// A sight is what of it was seen.
type sight map[string]map[string]bool

func (s sight) add(kind string, names ...string) {
	if s[kind] == nil {
		s[kind] = map[string]bool{}
	}
	for _, n := range names {
		s[kind][n] = true
	}
}

// is compares a sight with the list of what should be seen.
func (s sight) is(t *testing.T, where string, want fields) {
	t.Helper()
	rest := maps.Clone(s)
	for kind, names := range want {
		plain := strings.Trim(kind, "()")
		got, ok := s[plain]
		delete(rest, plain)
		if !ok && plain != kind {
			continue
		}
		slices.Sort(names)
		if fields := slices.Sorted(maps.Keys(got)); !ok || !slices.Equal(fields, names) {
			t.Errorf("%s: %q has %q, and should have %q", where, plain, fields, names)
		}
	}
	for kind, names := range rest {
		t.Errorf("%s: %q with %q should not be there", where, kind, slices.Sorted(maps.Keys(names)))
	}
}

// A record is all that has passed a box.
type record struct {
	mu  sync.Mutex
	all []passing
}

func (r *record) pass(p passing) {
	r.mu.Lock()
	r.all = append(r.all, p)
	r.mu.Unlock()
	p.on(p.b)
}

// A secret is what should not be found.
type secret struct {
	what string
	b    []byte
}

// lookFor looks for secrets as they are, and in hexadecimal.
func lookFor(t *testing.T, where string, in []byte, secrets []secret) {
	t.Helper()
	for _, s := range secrets {
		text := []byte(hex.EncodeToString(s.b))
		if bytes.Contains(in, s.b) || bytes.Contains(in, text) || bytes.Contains(in, bytes.ToUpper(text)) {
			t.Errorf("%s: %s is there", where, s.what)
		}
	}
}

// A relayView is what somebody at the relay can make of a call.
type relayView struct {
	t             *testing.T
	alice, bob    *speaker
	itself, peers sight
	phrases       []secret          // that are nowhere
	words         []secret          // short ones, that are not in what is clear
	passwords     map[string]string // of ICE, by name

	checks   int
	hellos   map[[12]byte][]byte // by ZID
	ssrcs    map[uint32][12]byte // whose they are
	relayed  map[netip.AddrPort]bool
	h1s      map[[32]byte]bool
	confirms [][]byte
	payloads map[uint32][][]byte // of SRTP
}

const tagSize = 10 // of HS80, and of SRTCP always

func (v *relayView) message(p passing) {
	t := v.t
	if b := p.b; isChannelData(b) {
		v.itself.add("ChannelData")
		lookFor(t, "padding", b[4+len(inside(b)):], []secret{{"something", []byte{1}}})
	} else {
		m := new(stun.Message)
		if err := stun.Decode(b, m); err != nil || int(m.Length)+20 != len(b) {
			t.Fatalf("no STUN: %x, %v", b, err)
		}
		v.itself.add(m.Type.String(), attributes(m)...)
		if a, err := m.Get(stun.AttrXORRelayedAddress); err == nil {
			var addr stun.XORMappedAddress
			if err := addr.GetFromAs(m, stun.AttrXORRelayedAddress); err != nil {
				t.Fatalf("%x: %v", a, err)
			}
			ip, _ := netip.AddrFromSlice(addr.IP)
			v.relayed[netip.AddrPortFrom(ip.Unmap(), uint16(addr.Port))] = true
		}
	}
	lookFor(t, "at the relay", p.b, v.phrases)
	d := inside(p.b)
	if d == nil {
		lookFor(t, "to the relay", p.b, v.words)
		return
	}
	v.datagram(p, d)
}

func attributes(m *stun.Message) (names []string) {
	for _, a := range m.Attributes {
		names = append(names, a.Type.String())
	}
	return names
}

// datagram is one of the two's to the other.
func (v *relayView) datagram(p passing, d []byte) {
	clear := d
	switch {
	case len(d) < 20:
		v.t.Errorf("a datagram of %d octets", len(d))
	case d[0] < 4:
		v.check(d)
	case d[0] == 0x10:
		v.zrtp(d)
	case d[0]&0xe0 == 0x80 && (d[1] == 200 || d[1] == 201): // a report is first in a compound packet
		clear = d[:8]
		v.peers.add("SRTCP")
		v.from(d[4:])
		// "E-flag: 1 bit, REQUIRED. The E-flag indicates if the current SRTCP packet is
		// encrypted or unencrypted." (RFC 3711, Section 3.4)
		if d[len(d)-tagSize-4]&0x80 == 0 {
			v.t.Error("SRTCP that is not encrypted")
		}
		lookFor(v.t, "SRTCP", d, []secret{{"the name of call control", []byte("SECC")}})
	case d[0] == 0x80: // no padding, extension or CSRC
		clear = d[:12]
		v.peers.add("SRTP")
		if payloadType := d[1] & 0x7f; payloadType != uint8(audio.PCMU) && payloadType < 96 {
			v.t.Errorf("SRTP of payload type %d", payloadType)
		}
		ssrc := v.from(d[8:])
		if !p.down { // once each
			v.payloads[ssrc] = append(v.payloads[ssrc], d[12:len(d)-tagSize])
		}
	default:
		v.t.Errorf("what begins with %x is neither STUN, ZRTP, SRTP nor SRTCP", d[:2])
	}
	lookFor(v.t, "clear at the relay", clear, v.words)
}

// from is an SSRC, which ZRTP has told before.
func (v *relayView) from(b []byte) uint32 {
	ssrc := binary.BigEndian.Uint32(b)
	if _, ok := v.ssrcs[ssrc]; !ok {
		v.t.Errorf("SSRC %08x is nobody's", ssrc)
	}
	return ssrc
}

// check is one of ICE: it has the names of both, and was made with the password of who gets
// it, which is not in it.
func (v *relayView) check(d []byte) {
	m := new(stun.Message)
	if err := stun.Decode(d, m); err != nil || int(m.Length)+20 != len(d) {
		v.t.Fatalf("no STUN: %x, %v", d, err)
	}
	v.peers.add(m.Type.String(), attributes(m)...)
	if m.Type != stun.BindingRequest {
		return
	}
	name, _ := m.Get(stun.AttrUsername)
	getter, _, _ := strings.Cut(string(name), ":")
	if err := stun.NewShortTermIntegrity(v.passwords[getter]).Check(m); err != nil {
		v.t.Errorf("a check of %q, with no password of the two: %v", name, err)
	}
	v.checks++
}

func (v *relayView) zrtp(d []byte) {
	p, err := wire.ParsePacket(d)
	if err != nil {
		v.t.Fatalf("%x: %v", d, err)
	}
	m, err := wire.Parse(p.Message)
	if err != nil || !bytes.Equal(m.Append(nil), p.Message) {
		v.t.Fatalf("%x is not all of its fields: %v", p.Message, err)
	}
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(m).Elem()) {
		names = append(names, f.Name)
	}
	switch m := m.(type) {
	case *wire.Hello:
		v.hellos[m.ZID], v.ssrcs[p.SSRC] = p.Message, m.ZID
	case *wire.Commit: // of another mode are Nonce and KeyID
		names = slices.DeleteFunc(names, func(n string) bool { return n == "Nonce" || n == "KeyID" })
	case *wire.DHPart:
		names = slices.DeleteFunc(names, func(n string) bool { return n == "Part" })
		v.h1s[m.H1] = true
	case *wire.Confirm:
		names = slices.DeleteFunc(names, func(n string) bool { return n == "Part" })
		v.confirms = append(v.confirms, m.Encrypted)
	}
	v.peers.add(strings.TrimSpace(m.Type().String()), names...)
}

// conclude looks at all of it together.
func (v *relayView) conclude() {
	t := v.t
	v.itself.is(t, "at the relay", withRelay)
	v.peers.is(t, "through the relay", throughRelay)
	if v.checks == 0 || len(v.confirms) == 0 || len(v.h1s) != 2 || len(v.ssrcs) != 2 {
		t.Fatalf("%d checks, %d Confirms, %d of H1, %d SSRCs", v.checks, len(v.confirms), len(v.h1s), len(v.ssrcs))
	}
	// Hello is clear: the ZIDs are in it. Confirm is not: H0, of which H1 is the hash, is
	// in it (RFC 6189, Section 5.7).
	for _, s := range []*speaker{v.alice, v.bob} {
		if v.hellos[s.conf.Cache.ZID()] == nil || len(v.hellos) != 2 {
			t.Errorf("%d ZIDs in Hellos, and %x is not one of them", len(v.hellos), s.conf.Cache.ZID())
		}
	}
	for _, c := range v.confirms {
		for i := 0; i+32 <= len(c); i++ {
			if v.h1s[sha256.Sum256(c[i:i+32])] {
				t.Error("Confirm is not encrypted")
			}
		}
	}
	// Sound is not what was said.
	for ssrc, zid := range v.ssrcs {
		speaker := v.alice
		if zid == v.bob.conf.Cache.ZID() {
			speaker = v.bob
		}
		said := speaker.said.all()
		var sent []int16
		for _, payload := range v.payloads[ssrc] {
			sent = append(sent, decoded(payload[:min(len(payload), audio.FrameSamples)])...)
		}
		if len(said) < audio.SampleRate || len(sent) < audio.SampleRate {
			t.Fatalf("of %d samples %d were sent", len(said), len(sent))
		}
		if r := correlation(said, sent); r > 0.06 {
			t.Errorf("SRTP and what was said have a correlation of %.3f", r)
		}
		clear := make([]byte, len(said))
		audio.PCMU.Encode(clear, said)
		if r := correlation(said, decoded(clear)); r < 0.99 {
			t.Errorf("G.711 and what was said have a correlation of %.3f: nothing is tested", r)
		}
	}
}

func decoded(b []byte) []int16 {
	pcm := make([]int16, len(b))
	audio.PCMU.Decode(pcm, b)
	return pcm
}

// correlation is the highest of two signals, wherever in four frames the second begins.
func correlation(a, b []int16) (best float64) {
	for lag := range 4 * audio.FrameSamples {
		var ab, aa, bb float64
		for i := range min(len(a), len(b)-lag) {
			x, y := float64(a[i]), float64(b[i+lag])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		best = max(best, math.Abs(ab)/math.Sqrt(aa*bb))
	}
	return best
}

// calls has two people in a call by a code, until it has ended at both.
func calls(t *testing.T, alice, bob *speaker, o Options) callcode.Code {
	t.Helper()
	bob.conf.Once = true
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan call.Ended, 1)
	go func() { ended <- NewListener(bob.conf, bob.options(o)).Run(ctx) }()
	c := code(t, bob.person, 1)
	if a := NewDialer(alice.conf, alice.options(o), c).Run(ctx); a.Reason != call.ReasonNormal || a.Duration == 0 {
		t.Errorf("Alice's call: %+v", a)
	}
	if b := <-ended; b.Reason != call.ReasonNormal || b.Duration == 0 {
		t.Errorf("Bob's call: %+v", b)
	}
	return c
}

func TestWhatIsSeen(t *testing.T) {
	t.Parallel()
	var atRelay record
	atServer := new(tap)
	b := newBox(t, true, atRelay.pass)
	o := serves(t, rendezvous.Settings{Relays: b.offer}, atServer)
	o.RelayOnly = true
	alice, bob := newSpeaker(t, 400), newSpeaker(t, 600)
	alice.conf.Contact = "Roberta Quinn"
	alice.conf.Duration = 4 * time.Second
	c := calls(t, alice, bob, o)
	secured := told[call.Secured](t, alice.person, 1)
	if path := told[call.PathChanged](t, alice.person, 1); path.Kind != "relayed" || secured.Auth != "HS80" {
		t.Fatalf("%+v, %+v", path, secured)
	}
	for _, pair := range [][2]*speaker{{alice, bob}, {bob, alice}} {
		if loud, other := tones(pair[0].heard.all(), pair[1].hz); loud < 25 || other > 0 {
			t.Errorf("of %d frames that were heard %d are not what was said", loud, other)
		}
	}
	b.close()

	v := &relayView{
		t: t, alice: alice, bob: bob, itself: sight{}, peers: sight{}, passwords: map[string]string{},
		hellos: map[[12]byte][]byte{}, ssrcs: map[uint32][12]byte{}, relayed: map[netip.AddrPort]bool{},
		h1s: map[[32]byte]bool{}, payloads: map[uint32][][]byte{},
	}
	v.secrets(c, secured.SAS)
	for _, p := range atRelay.all {
		v.message(p)
	}
	v.conclude()
	v.atMeetingPoint(c, atServer.talked(t), slices.Collect(maps.Keys(b.lines)))
}

// secrets are what neither of the two servers may learn.
func (v *relayView) secrets(c callcode.Code, words string) {
	_, code, _ := strings.Cut(c.String(), "-")
	for what, text := range map[string]string{
		"the code": code, "the code, as it is read": strings.ReplaceAll(code, "-", " "),
		"the SAS": words, "a name": v.alice.conf.Contact,
	} {
		v.phrases = append(v.phrases, secret{what, []byte(text)})
	}
	for _, word := range append(strings.Split(code, "-"), strings.Fields(words)...) {
		v.words = append(v.words, secret{"the word " + word, []byte(word)})
	}
	for _, s := range []*speaker{v.alice, v.bob} {
		for _, b := range s.drawn.all {
			if len(b) == 24 { // name and password of an ICE session
				name, password := base64.RawStdEncoding.EncodeToString(b[:6]), base64.RawStdEncoding.EncodeToString(b[6:])
				v.passwords[name] = password
				v.phrases = append(v.phrases, secret{"a password of ICE", b[6:]}, secret{"a password of ICE", []byte(password)})
			}
		}
	}
	if len(v.passwords) != 2 {
		v.t.Fatalf("%d sessions of ICE", len(v.passwords))
	}
}

// atMeetingPoint is what the meeting point sees of the same call.
func (v *relayView) atMeetingPoint(c callcode.Code, all []talked, sockets []netip.AddrPort) {
	t := v.t
	secrets := slices.Concat(v.phrases, v.words)
	for name := range v.passwords {
		raw, _ := base64.RawStdEncoding.DecodeString(name)
		secrets = append(secrets, secret{"a name of ICE", raw}, secret{"a name of ICE", []byte(name)})
	}
	for zid, hello := range v.hellos {
		hash := sha256.Sum256(hello)
		secrets = append(secrets, secret{"the hash of a Hello", hash[:]}, secret{"a ZID", zid[:]})
	}
	for ssrc := range v.ssrcs {
		secrets = append(secrets, secret{"an SSRC", binary.BigEndian.AppendUint32(nil, ssrc)})
	}
	for _, a := range slices.AppendSeq(sockets, maps.Keys(v.relayed)) {
		raw := binary.BigEndian.AppendUint16(a.Addr().AsSlice(), a.Port())
		secrets = append(secrets, secret{"a candidate", raw}, secret{"a candidate", []byte(a.String())})
	}
	if len(v.relayed) != 4 || len(all) != 2 {
		t.Fatalf("%d relayed addresses, %d connections to the meeting point", len(v.relayed), len(all))
	}
	asked, said, answered := sight{}, sight{}, sight{}
	for _, one := range all {
		asked.add("GET", slices.Collect(maps.Keys(one.header))...)
		for _, way := range []struct {
			said sight
			all  [][]byte
		}{{said, one.came}, {answered, one.went}} {
			for _, text := range way.all {
				lookFor(t, "at the meeting point", text, secrets)
				kind, fields := parsed(t, text)
				way.said.add(kind, slices.Collect(maps.Keys(fields))...)
				v.values(c, kind, fields, answered, secrets)
			}
		}
		lookFor(t, "in HTTP at the meeting point", one.raw, secrets)
		lookFor(t, "in HTTP from the meeting point", one.rawWent, secrets)
	}
	asked.is(t, "the request of the meeting point", requestHeader)
	said.is(t, "to the meeting point", toMeetingPoint)
	answered.is(t, "from the meeting point", fromMeetingPoint)
}

// values looks into the fields of a message of the meeting point.
func (v *relayView) values(c callcode.Code, kind string, fields map[string]json.RawMessage, answered sight, secrets []secret) {
	t := v.t
	var data []byte
	var mailbox uint32
	var relays []map[string]any
	var names []rendezvous.Name
	for name, to := range map[string]any{"data": &data, "mailbox": &mailbox, "relays": &relays, "names": &names} {
		if value, ok := fields[name]; ok {
			if err := json.Unmarshal(value, to); err != nil {
				t.Errorf("%s of %s: %s: %v", name, kind, value, err)
			}
		}
	}
	if mailbox != 0 && mailbox != c.Mailbox() {
		t.Errorf("%s of mailbox %d", kind, mailbox)
	}
	if kind == "message" && (len(data) == 0 || len(data) > rendezvous.MaxData) || kind == "wait" && len(names) != 1 {
		t.Errorf("%s of %d octets, %d names", kind, len(data), len(names))
	}
	lookFor(t, "in a message through the meeting point", data, secrets)
	for _, r := range relays {
		answered.add("relay", slices.Collect(maps.Keys(r))...)
	}
}
