// Package call is one call from the first packet to hang-up, and the listener
// that takes many. It is the only place that holds a socket and a key at once.
package call

import (
	"context"
	"io"
	"net/netip"
	"time"

	"securecall/audio"
	"securecall/crypto/zrtp"
	"securecall/nat"
)

// Config of an Endpoint. It is not changed after NewDialer or NewListener.
type Config struct {
	// Mic and Speaker open the ends of the sound. A dialler opens them before
	// its first packet, a listener before it answers; a call that cannot have
	// both ends with ReasonDevice, or with ReasonNotPossible where the error
	// is a *device.Error about a file.
	Mic     func() (audio.Source, error)
	Speaker func() (audio.Sink, error)
	Echo    bool // send back what is heard; Mic and Speaker are not used

	Law         audio.Law
	Algorithms  zrtp.Algorithms
	Client      string        // our Hello's client identifier, at most 16 characters
	Timeout     time.Duration // give up if nobody has answered: 30 s if zero
	Duration    time.Duration // end the call that long after Answered; zero: never
	HangupAtEOF bool          // end the call when Mic returned io.EOF and all was played out

	AcceptAll bool // a listener answers by itself
	Once      bool // a listener ends after its first call

	Rand io.Reader // crypto/rand.Reader if nil

	// OnEvent is told each event, in order, by one goroutine; it must not
	// wait. id numbers the call within the endpoint; 0: not about a call.
	OnEvent func(id int, e Event)
}

// A Command is what a person or script wants of a call.
type Command int

// The commands.
const (
	Answer Command = iota
	Decline
	Hangup
	Mute
	Unmute
)

// Endpoint drives the calls of one path: one for a dialler, many for a
// listener.
type Endpoint struct{}

// NewDialer prepares a call to peer; name is what the caller typed.
func NewDialer(c Config, path nat.Path, peer netip.AddrPort, name string) (*Endpoint, error) {
	panic("seam")
}

// NewListener prepares to take calls; addrs are shown as what to dial.
func NewListener(c Config, path nat.Path, addrs []netip.AddrPort) (*Endpoint, error) {
	panic("seam")
}

// Run drives the endpoint until its last call has ended (dialler, or listener
// with Once) or ctx is cancelled, which hangs up properly. It returns the
// last call's Ended; a listener that was stopped while it waited returns
// ReasonNormal, with Once and no call yet ReasonInterrupted. Run closes the
// path and everything that it opened, and returns when all its goroutines
// have ended.
func (e *Endpoint) Run(ctx context.Context) Ended { panic("seam") }

// Do carries out c for the call numbered id; 0 means the one that rings or
// runs. It may be called from any goroutine and does not wait; what makes no
// sense at this moment is ignored.
func (e *Endpoint) Do(id int, c Command) { panic("seam") }
