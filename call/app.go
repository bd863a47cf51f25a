package call

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
)

// The wire format of call control: the data of an RTCP APP packet (RFC 3550,
// Section 6.7), always inside SRTCP. docs/call-control.md has the layout.

const (
	appName    = "SECC"
	appVersion = 1
	// appStep is what the size of the whole APP packet is a multiple of, so
	// that its length tells an observer little of what it says.
	appStep   = 64
	appHeader = 12 // RTCP header, SSRC and name

	maxMessages = 16
	maxBody     = 512
)

// A word is the kind of a call-control message.
type word uint8

// Numbers 0x01 to 0x0f are the call itself; docs/call-control.md has the
// other ranges. What is not known is acknowledged and ignored.
const (
	wordRinging  word = 0x01
	wordAnswered word = 0x02
	wordDeclined word = 0x03
	wordBusy     word = 0x04
	wordHangup   word = 0x05
	wordDialled  word = 0x06 // by a caller: whoever has dialled him too is in the call

	wordLosses word = 0x20 // a lossReport

	wordChallenge word = 0x30 // tokenSize octets, to be said back
	wordResponse  word = 0x31 // those octets
	wordFollows   word = 0x32 // its sender answers challenges, and goes where its peer goes

	wordText      word = 0x40 // a line that a person has typed
	wordRecording word = 0x41 // 1: its sender records, 0: no longer
)

// A message is one thing said through call control.
type message struct {
	number uint32 // from 1, one more for each of this sender's; 0: neither acknowledged nor repeated
	word   word
	body   []byte
}

// appData is the content of one APP packet: what the sender has heard, and
// all of its own that has not been acknowledged yet.
type appData struct {
	ack      uint32 // the peer's last message that was taken
	messages []message
}

var (
	errAppVersion = errors.New("call control: unknown version")
	errAppFormat  = errors.New("call control: malformed")
)

// append appends the data part of the APP packet, zeros at its end until the
// whole packet is a multiple of appStep.
func (d appData) append(dst []byte) []byte {
	start := len(dst)
	b := cryptobyte.NewBuilder(dst)
	b.AddUint8(appVersion)
	b.AddUint8(uint8(len(d.messages)))
	b.AddUint32(d.ack)
	for _, m := range d.messages {
		b.AddUint32(m.number)
		b.AddUint8(uint8(m.word))
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.body) })
	}
	dst = b.BytesOrPanic() // lengths are bounded by maxMessages and maxBody
	for (appHeader+len(dst)-start)%appStep != 0 {
		dst = append(dst, 0)
	}
	return dst
}

// parseAppData reads what append wrote. Bodies alias b.
func parseAppData(b []byte) (appData, error) {
	s := cryptobyte.String(b)
	var d appData
	var version, count uint8
	if !s.ReadUint8(&version) {
		return d, errAppFormat
	}
	if version != appVersion {
		return d, errAppVersion
	}
	if !s.ReadUint8(&count) || count > maxMessages || !s.ReadUint32(&d.ack) {
		return d, errAppFormat
	}
	for range count {
		var m message
		var w uint8
		var body cryptobyte.String
		if !s.ReadUint32(&m.number) || !s.ReadUint8(&w) || !s.ReadUint16LengthPrefixed(&body) || len(body) > maxBody {
			return d, errAppFormat
		}
		m.word, m.body = word(w), body
		d.messages = append(d.messages, m)
	}
	return d, nil
}
