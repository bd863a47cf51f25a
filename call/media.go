package call

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"securecall/audio"
	"securecall/audio/dtmf"
	"securecall/audio/playout"
	"securecall/audio/red"
	"securecall/crypto/srtp"
)

// media is the sound of one call: frames in and SRTP packets out, SRTP
// packets in and frames out. It does no I/O and exists only once ZRTP has
// given keys; nothing else makes or opens an RTP packet.
//
// pack belongs to the capture goroutine, receive to the reader, play to the
// playout goroutine.
type media struct {
	srtp  *srtp.Session
	law   audio.Law
	begun time.Time // arrival times are counted from here
	drops drops

	muted atomic.Bool
	// guarded: the keys are in doubt and nobody has settled it (trust.go).
	guarded atomic.Bool
	held    atomic.Bool  // neither our microphone is sent nor the peer played
	heard   atomic.Int64 // when the last valid packet came: ns since begun; 0: none yet
	sent    atomic.Uint64
	octets  atomic.Uint64
	clock   atomic.Uint64 // RTP timestamp of the last packet, and ms since begun
	scheme  atomic.Uint32 // of our redundancy, by control
	tap     func(playout.Packet)
	// redundant: the peer has been told in which payload type to send redundancy.
	redundant atomic.Bool
	// at is where the peer is, by control.
	at atomic.Pointer[place]

	recorder     atomic.Pointer[slot] // by control; nil: nothing is recorded
	said, played meter                // by capture and by playout
	keys         keys

	// Capture goroutine.
	out    rtp.Header
	frame  int // samples of a packet
	past   history
	packet []byte

	// Reader goroutine.
	in     rtp.Header
	plain  []byte
	blocks [red.MaxBlocks]red.Block

	mu        sync.Mutex // reader and playout goroutine, and control for its reports
	buffer    *playout.Buffer
	reception reception
	losses    losses
	received  uint64
	length    int // samples in the last packet; ours, until there is one
	sounded   sounded
	pressed   pressed
}

// leastDelay is what packets wait on average where the network does not ask for
// more: what a sound server is early with its requests now and then, and a
// scheduler late with us, is then no reason to change the delay in mid-word.
const leastDelay = 15 * time.Millisecond

// silence is what a closed microphone hears. It is not changed.
var silence [audio.FrameSamples]int16

func newMedia(now time.Time, s *srtp.Session, law audio.Law, frame int, ssrc uint32, seq uint16, timestamp uint32) *media {
	return &media{
		srtp:  s,
		law:   law,
		begun: now,
		out: rtp.Header{
			Version:        2,
			PayloadType:    uint8(law),
			SequenceNumber: seq,
			Timestamp:      timestamp,
			SSRC:           ssrc,
			Marker:         true, // the first packet of the talk spurt (RFC 3551, Section 4.1)
		},
		frame:   frame,
		past:    newHistory(law, frame),
		keys:    keys{Sender: dtmf.NewSender(frame)},
		pressed: pressed{rate: bucket{rate: keyRate, burst: dtmf.Most}},
		length:  frame,
		packet:  make([]byte, 0, maxDatagram),
		plain:   make([]byte, 0, maxDatagram),
		buffer:  playout.New(playout.Config{Min: leastDelay, Frame: frame}),
	}
}

// pack makes the SRTP packet of one frame, silence if the microphone is
// closed: rate and size stay the same whatever is said, and for as long as the
// scheme of redundancy does. The packet is valid until the next call.
func (m *media) pack(now time.Time, f audio.Frame) ([]byte, error) {
	s := unpackScheme(m.scheme.Load())
	key, pressed := m.key(now, s)
	alone := pressed && s.payload == 0
	if alone || m.muted.Load() || m.guarded.Load() || m.held.Load() {
		f = silence[:m.frame]
	}
	m.law.Encode(m.past.next(), f)
	m.said.add(f)
	if r := m.recorder.Load(); r != nil {
		r.Said(f)
	}
	at := m.out.Timestamp
	payload := m.load(s, key, pressed)
	var err error
	m.packet, err = m.srtp.AppendRTP(m.packet[:0], &m.out, payload)
	m.out.Timestamp, m.out.Padding = at, false
	if err != nil {
		return nil, err
	}
	m.clock.Store(uint64(now.Sub(m.begun).Milliseconds())<<32 | uint64(at))
	m.sent.Add(1)
	size := len(payload)
	if alone {
		size = dtmf.Size // without padding (RFC 3550, Section 6.4.1)
	}
	m.octets.Add(uint64(size))
	m.out.Marker = false
	m.out.SequenceNumber++
	m.out.Timestamp += uint32(m.frame)
	return m.packet, nil
}

// rtpTime is what the RTP timestamp would be at now (RFC 3550, Section 6.4.1).
func (m *media) rtpTime(now time.Time) uint32 {
	c := m.clock.Load()
	since := now.Sub(m.begun).Milliseconds() - int64(c>>32)
	return uint32(c) + uint32(since*audio.SampleRate/1000)
}

// receive opens one SRTP packet and hands it to playout, or counts why not.
func (m *media) receive(now time.Time, packet []byte) newness {
	newest := m.srtp.NewestRTP()
	payload, err := m.srtp.OpenRTP(m.plain[:0], packet, &m.in)
	switch {
	case err == nil:
		m.take(now, payload)
	case errors.Is(err, srtp.ErrReplay) && m.srtp.RepeatRTP(packet):
		m.drops.add(dropReplay)
		return repeated
	default:
		m.drops.add(causeOf(err))
		return refused
	}
	if m.srtp.NewestRTP() > newest {
		return fresh
	}
	return late
}

// take hands the payload of a packet that was good to playout.
func (m *media) take(now time.Time, payload []byte) {
	m.hears(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	// The path has brought it, whatever is in it: it is not lost.
	m.reception.count(m.in.SequenceNumber)
	m.losses.add(m.in.SequenceNumber)
	payloadType, earlier := m.in.PayloadType, []red.Block(nil)
	var err error
	if payloadType == redPayload && m.redundant.Load() {
		if earlier, payloadType, payload, err = red.Parse(payload, &m.blocks); err != nil {
			m.drops.add(dropMalformed)
			return
		}
	}
	if payloadType == dtmf.PayloadType {
		m.takeKey(now, payload)
		return
	}
	law, ok := lawOf(payloadType)
	if !ok {
		m.drops.add(dropPayload)
		return
	}
	m.received++
	if len(earlier) == 0 || earlier[0].Type != dtmf.PayloadType { // it makes the sound shorter
		m.length = len(payload)
	}
	m.sounded = sounded{true, m.in.SequenceNumber, m.in.Timestamp}
	m.reception.time(m.in.Timestamp, uint32(now.Sub(m.begun).Microseconds()*(audio.SampleRate/1000)/1000))
	p := playout.Packet{
		Seq:       m.in.SequenceNumber,
		Timestamp: m.in.Timestamp,
		Law:       law,
		Payload:   payload,
	}
	if m.tap != nil {
		m.tap(p)
	}
	m.buffer.Push(now, p)
	for _, b := range earlier {
		if law, ok := lawOf(b.Type); ok {
			m.buffer.Recover(now, m.in.Timestamp-b.Offset, int(b.Offset), law, b.Payload)
		} else if b.Type == dtmf.PayloadType {
			m.takeKeyBlock(now, b)
		}
	}
}

// lawOf is what a payload type means (RFC 3551, Section 6).
func lawOf(payloadType uint8) (law audio.Law, ok bool) {
	law = audio.Law(payloadType)
	return law, law == audio.PCMU || law == audio.PCMA
}

// play fills f with the next frame to be heard.
func (m *media) play(now time.Time, f audio.Frame) {
	m.mu.Lock()
	m.buffer.Pop(now, f)
	m.mu.Unlock()
	if m.held.Load() {
		clear(f)
	}
	m.played.add(f)
	if r := m.recorder.Load(); r != nil {
		r.Heard(f)
	}
}

// hears notes that a valid packet has come. It counts from begun, so that a
// clock that is set anew does not lose the peer.
func (m *media) hears(now time.Time) { m.heard.Store(max(1, int64(now.Sub(m.begun)))) }

// lastHeard is when the last valid packet came; zero: none yet.
func (m *media) lastHeard() time.Time {
	if since := m.heard.Load(); since != 0 {
		return m.begun.Add(time.Duration(since))
	}
	return time.Time{}
}

// A drop is why a datagram was thrown away.
type drop int

const (
	dropForeign   drop = iota // neither ZRTP nor of a call that has keys: clear RTP, DTLS, SIP, ...
	dropSTUN                  // keep-alives of other phones
	dropStranger              // not from the peer's address or SSRC
	dropAuth                  // wrong authentication tag
	dropReplay                // seen before, or too old to tell
	dropMalformed             // no RTP or RTCP inside
	dropPayload               // a payload type that is not G.711
	dropThrottled             // not sent: an unproven address had its share
	dropBehind                // control could not keep up
	dropUnsent                // the system refused to send it
	dropFlood                 // more text or keys than anybody types: what was in the datagram, not the datagram
	dropKinds
)

var dropNames = [dropKinds]string{
	"foreign", "stun", "stranger", "auth", "replay", "malformed", "payload", "throttled", "behind", "unsent", "flood",
}

// drops counts datagrams by cause, from any goroutine.
type drops [dropKinds]atomic.Uint64

func (d *drops) add(cause drop) { d[cause].Add(1) }

// into adds the counters that are not zero to m.
func (d *drops) into(m map[string]uint64) {
	for i := range d {
		if n := d[i].Load(); n > 0 {
			m[dropNames[i]] += n
		}
	}
}

func causeOf(err error) drop {
	switch {
	case errors.Is(err, srtp.ErrForeignSSRC):
		return dropStranger
	case errors.Is(err, srtp.ErrReplay):
		return dropReplay
	case errors.Is(err, srtp.ErrAuth):
		return dropAuth
	}
	return dropMalformed
}
