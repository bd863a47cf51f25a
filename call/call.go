// Package call is one call from the first packet to hang-up, and the listener
// that takes many. It is the only place that holds a socket and a key at once.
package call

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"securecall/audio"
	"securecall/audio/playout"
	"securecall/crypto/zidcache"
	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
)

// Config of an Endpoint. It is not changed after NewDialer or NewListener; Configure gives the
// calls to come another.
type Config struct {
	// Mic and Speaker open the ends of the sound. A dialler opens them before
	// its first packet, a listener before it answers; a call that cannot have
	// both ends with ReasonDevice, or with ReasonNotPossible where the error
	// is a *device.Error about a file.
	Mic     func() (audio.Source, error)
	Speaker func() (audio.Sink, error)
	Echo    bool // send back what is heard; Mic and Speaker are not used

	CancelEcho    bool // take out of Mic what Speaker plays
	SuppressNoise bool // take out of Mic what is there all the time
	AutoGain      bool // bring who speaks into Mic to the level of others

	// What is lost in mid-call is opened again by Mic and Speaker, and the call
	// goes on meanwhile in silence. Otherwise its loss ends the call.
	MicLasts, SpeakerLasts bool

	Law         audio.Law
	PacketTime  time.Duration // of sound in one of our packets and in a frame of ours, 10 or 20 ms; 20 ms if zero
	Algorithms  zrtp.Algorithms
	Client      string        // our Hello's client identifier, at most 16 characters
	Timeout     time.Duration // give up if nobody has answered: 30 s if zero
	Duration    time.Duration // end the call that long after Answered; zero: never
	HangupAtEOF bool          // end the call when Mic returned io.EOF and all was played out

	// Recorder opens something new to record the call of that number to; nil: none can be.
	// It may take its time. RecordAtOnce records from the answer on, RecordUntold those too
	// who cannot be told that they are.
	Recorder                   func(call int) (Recorder, error)
	RecordAtOnce, RecordUntold bool

	AcceptAll bool // a listener answers by itself
	Once      bool // a listener ends after its first call
	MaxCalls  int  // a listener has so many at once, and tells further callers that it is busy; 1 if zero

	// Cache is what is remembered from call to call, and holds our ZID. nil:
	// nothing is remembered, and the ZID is a new one.
	Cache     *zidcache.Cache
	Auxiliary []byte      // an auxiliary secret (RFC 6189, Section 4.3); nil: none
	Require   Requirement // what must hold when keys are agreed
	Attended  bool        // somebody is there to decide when keys have changed
	SplitSAS  bool        // each side types only the half that the other one reads out
	KnownOnly bool        // a listener: strangers get no answer at all
	Expect    *Contact    // a dialler: who should answer; nil: anybody
	Contact   string      // a dialler: the name under which to remember the peer; empty: none
	Address   string      // a dialler: what to remember as the peer's address; empty: where it is

	Rand io.Reader // crypto/rand.Reader if nil

	// OnEvent is told each event, in order, by one goroutine; it must not
	// wait. id numbers the call within the endpoint; 0: not about a call.
	OnEvent func(id int, e Event)

	// tap sees the sound of the peer as it goes into playout: for tests.
	tap func(playout.Packet)

	// EarlierCalls is how many calls were numbered before this endpoint's.
	EarlierCalls int

	guesses *guesses // a listener's limit for strangers; nil: a dialler
}

// A Contact is a peer that is known.
type Contact struct {
	ZID  wire.ZID
	Name string
}

// frame is how many samples a frame has.
func (c *Config) frame() int { return audio.Samples(c.PacketTime) }

// clientPrefix is how the client identifier of every securecall's Hello
// begins.
const clientPrefix = "securecall"

// withDefaults fills in what was left zero, and checks the rest.
func (c Config) withDefaults() (Config, error) {
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	c.MaxCalls = max(1, c.MaxCalls)
	if c.Client == "" {
		c.Client = clientPrefix
	}
	if c.OnEvent == nil {
		c.OnEvent = func(int, Event) {}
	}
	switch c.PacketTime {
	case 0:
		c.PacketTime = audio.FrameDuration
	case audio.FrameDuration, audio.FrameDuration / 2:
	default:
		return c, fmt.Errorf("call: packets of %v; they hold 10 or 20 ms", c.PacketTime)
	}
	if !c.Echo && (c.Mic == nil || c.Speaker == nil) {
		return c, errors.New("call: a microphone and a speaker are needed, or Echo")
	}
	return c, nil
}

// A Command is what a person or script wants of a call.
type Command int

// The commands.
const (
	Answer Command = iota
	Decline
	Busy // decline, and let the other side hear that we are in another call
	Hangup
	Mute
	Unmute
	BeginVerify // the SAS is being compared by voice: the microphone is open
	EndVerify
	AcceptRisk // speak although the keys have changed
	Hold       // neither the microphone is sent nor the peer played
	Unhold
	Record // what is said and heard, once the peer has heard of it
	EndRecord
)
