package call

import (
	"sync"
	"sync/atomic"
	"time"

	"securecall/audio"
	"securecall/audio/dtmf"
	"securecall/audio/playout"
	"securecall/audio/red"
)

// The keys of a telephone, pressed in a call (RFC 4733). SRTP leaves the header of a
// packet in clear, and with it a payload type, a marker and a timestamp that stands still:
// an event in a packet of its own tells everybody on the way that a key is pressed. So
// between two securecalls it travels as a block of a redundant packet (RFC 2198), beside
// the sound: header and size are those of any other packet. To another program it goes in
// packets of its own, in place of those of sound, padded to their size (RFC 3550, Section
// 5.1): every RTP library takes padding off, and what is left are the four octets that
// they expect.

// DTMF is one key that the other side has pressed: 0 to 9, *, # or A to D.
type DTMF struct{ Digits string }

// Name implements Event.
func (DTMF) Name() string { return "dtmf" }

// Press presses keys, one after the other, in the call numbered id, or in the one that
// runs (0): 100 ms each, 60 ms apart. They are sent although the microphone is muted or
// the call is held. Errors: ErrNoKey, ErrTooLong, ErrNoCall, ErrBehind, ErrDoubt.
func (e *Endpoint) Press(id int, digits string) error {
	switch {
	case !dtmf.Valid(digits):
		return ErrNoKey
	case len(digits) > dtmf.Most:
		return ErrTooLong
	}
	return e.ask(id, func(_ time.Time, c *core) error { return c.press(digits) })
}

func (c *core) press(digits string) error {
	if err := c.mayType(); err != nil {
		return err
	}
	k := &c.media.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.Push(digits) {
		return ErrBehind
	}
	return nil
}

// keys are those that wait to be sent: control presses them, capture sends them.
type keys struct {
	mu sync.Mutex
	dtmf.Sender
	// covered is until when they wait for the peer to say how it takes redundancy.
	covered time.Time
}

// coverTime is how long keys wait to be hidden in redundant packets, from the answer on. A
// peer that can take these says so in the first second.
// To a caller, whose peer has proved to be a securecall, they go in no other way.
const (
	coverTime = 3 * reportEvery
	farAway   = 365 * 24 * time.Hour
)

// cover has keys wait until they can be hidden, or until then.
func (k *keys) cover(until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.covered = until
}

// key is what the next packet carries of a key. While the keys of the call are in doubt
// it is none, and those that wait are forgotten.
func (m *media) key(now time.Time, s scheme) (dtmf.Piece, bool) {
	k := &m.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case m.guarded.Load():
		k.Clear()
		return dtmf.Piece{}, false
	case s.payload == 0 && now.Before(k.covered):
		return dtmf.Piece{}, false
	}
	return k.Next(m.out.Timestamp)
}

// keyBlock is what an event takes of a redundant packet: a header (RFC 2198, Section 3)
// and itself.
const keyBlock = 4 + dtmf.Size

// payloadWith is payload with an event in front, of the same size: the oldest sound in it
// is shorter by that much, 1 ms. The offset of the block leads back to where the event
// began, and so the packet has the timestamp of its sound.
func (h *history) payloadWith(law audio.Law, s scheme, p dtmf.Piece) (payloadType uint8, payload []byte) {
	event := p.Append(h.event[:0])
	blocks := append(h.blocks[:0], red.Block{Type: dtmf.PayloadType, Offset: p.Since, Payload: event})
	return h.redundant(law, s, blocks, keyBlock)
}

// alone is an event in a packet of its own, with padding to the size of one of sound.
func (h *history) alone(p dtmf.Piece) []byte {
	b := p.Append(h.packed[:0])[:h.frame]
	clear(b[dtmf.Size:])
	b[h.frame-1] = uint8(h.frame - dtmf.Size)
	return b
}

// sounded is the last packet that had sound.
type sounded struct {
	known     bool
	number    uint16
	timestamp uint32
}

// keyRate is how many keys a second are heard; ITU-T Q.24 asks telephones for no more than
// 12.5.
const keyRate = 20

// pressed are the keys that the peer has pressed. The reader finds them, and control takes
// them; media's lock guards all but waiting.
type pressed struct {
	waiting  atomic.Bool // there is something for control
	receiver dtmf.Receiver
	rate     bucket
	keys     [dtmf.Most]byte
	n        int
}

// hearKey takes in an event that began at timestamp; false: there are more keys than
// anybody presses.
func (m *media) hearKey(now time.Time, timestamp uint32, e dtmf.Event) bool {
	p := &m.pressed
	key, fresh := p.receiver.Hear(timestamp, e)
	if !fresh {
		return true
	}
	if p.n == len(p.keys) || !p.rate.take(now) {
		return false
	}
	p.keys[p.n] = key
	p.n++
	p.waiting.Store(true)
	return true
}

// takeKey takes in a packet that is an event and nothing else. There is no sound at its
// place, and so silence is played there; it is not lost.
func (m *media) takeKey(now time.Time, payload []byte) {
	e, err := dtmf.Parse(payload)
	_, known := e.Key()
	switch {
	case err != nil, e.Duration == 0:
		m.drops.add(dropMalformed)
	case !known:
		m.drops.add(dropPayload)
	case !m.hearKey(now, m.in.Timestamp, e):
		m.drops.add(dropFlood)
	default:
		m.received++
		m.buffer.Push(now, playout.Packet{
			Seq:       m.in.SequenceNumber,
			Timestamp: m.place(e),
			Payload:   quiet[:min(m.length, len(quiet))],
		})
	}
}

// place is the timestamp that a packet of sound would have in place of one of an event: as many
// later as packets have come since, or where the event has come to, if that is later still. Packets
// of events may be further apart than those of sound (RFC 4733, Section 2.5), and a pause may
// have been before them; the three of the end all have one duration.
func (m *media) place(e dtmf.Event) uint32 {
	number, last := m.in.SequenceNumber, &m.sounded
	if !last.known { // the call begins with a key
		*last = sounded{true, number, m.in.Timestamp + uint32(e.Duration) - uint32(m.length)}
	}
	counted := last.timestamp + uint32(int(int16(number-last.number))*m.length)
	if reached := m.in.Timestamp + uint32(e.Duration) - uint32(m.length); int32(reached-counted) > 0 {
		return reached
	}
	return counted
}

// takeKeyBlock takes in an event beside the sound of a packet.
func (m *media) takeKeyBlock(now time.Time, b red.Block) {
	e, err := dtmf.Parse(b.Payload)
	if err == nil && !m.hearKey(now, m.in.Timestamp-b.Offset, e) {
		m.drops.add(dropFlood)
	}
}

// quiet is silence in G.711's mu-law, as long as a packet may be. It is not changed.
var quiet = func() (b [10 * audio.FrameSamples]byte) {
	for i := range b {
		b[i] = 0xff
	}
	return b
}()

// keysPressed are those that have not been taken.
func (m *media) keysPressed() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.pressed
	p.waiting.Store(false)
	keys := string(p.keys[:p.n])
	p.n = 0
	return keys
}

// tellKeys tells which keys the peer has pressed, one event a key. A word that it was
// answered may still be on its way; then they wait.
func (c *core) tellKeys() {
	if c.phase < talking {
		if !c.caller {
			c.media.keysPressed() // before we answered: for nobody
		}
		return
	}
	for _, key := range c.media.keysPressed() {
		if c.phase == talking {
			c.tell(DTMF{Digits: string(key)})
		}
	}
}

// load is what the next packet carries, sound or a key or both, and sets its header to say
// so.
func (m *media) load(s scheme, key dtmf.Piece, pressed bool) (payload []byte) {
	switch {
	case !pressed:
		m.out.PayloadType, payload = m.past.payload(m.law, s)
	case s.payload != 0:
		m.out.PayloadType, payload = m.past.payloadWith(m.law, s, key)
	default:
		// The timestamp is that of the beginning of the event (RFC 4733, Section 2.2.1),
		// and its first packet has the marker (Section 2.2).
		payload = m.past.alone(key)
		m.out.PayloadType, m.out.Padding = dtmf.PayloadType, true
		m.out.Timestamp -= key.Since
		m.out.Marker = m.out.Marker || key.First
	}
	return payload
}
