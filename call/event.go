package call

import (
	"net/netip"
	"time"

	"securecall/audio/playout"
)

// An Event is something that a call tells the outside. Name is its name in --json,
// and its fields are that event's there, as docs/events.schema.json has them.
type Event interface{ Name() string }

// Listening: the endpoint waits for calls.
type Listening struct {
	Addrs  []netip.AddrPort // to dial
	Code   string           // or this, through Server, once; empty: there is none
	Server string
	Held   time.Duration // for which the server keeps Code
	ByName bool          // contacts reach us there without it
}

// Dialing: the first packet goes out to an address of the peer. Where it has
// several, the next is tried 200 ms later if nobody has answered.
type Dialing struct {
	Peer   string         // as the caller named it
	Addr   netip.AddrPort // not valid: where it is has still to be found out,
	Server string         // through this meeting point
}

// Refused: an ICMP refusal came back from an address, for the first time;
// dialling goes on.
type Refused struct{ Addr netip.AddrPort }

// PathChanged is the event "path".
type PathChanged struct {
	Kind          string // direct, punched (both have dialled), relayed
	Local, Remote netip.AddrPort
}

// Secured: keys are agreed and confirmed.
type Secured struct {
	Role         string // initiator, responder
	ZID          string // the peer's, hexadecimal
	Remote       netip.AddrPort
	Hash         string
	Cipher       string
	Auth         string
	KeyAgreement string
	SASType      string
	SAS          string
	Own          string // the half of SAS that we read out; the other side reads the rest
	Continuity   string // new, match, mismatch
	Contact      string // the contact's name; empty unless Continuity is match
	Another      bool   // a contact was dialled, and another installation has answered
	Verified     bool   // the SAS was compared in an earlier call, Continuity is match, and it is not another
	PeerVerified bool   // the other side says so too
	Auxiliary    string // the auxiliary secret: none, match, mismatch
	Discloses    bool   // the other side says that its keys are disclosed (RFC 6189, Section 11)
	ByCode       bool   // we have met by a call code, and Auxiliary is what that gave
	Itself       bool   // it is our own installation: nothing is remembered
	Attempts     int    // key agreements that others began with us and broke off, lately
	PeerClient   string // as the peer's Hello has it; hostile text, and to a responder anybody's
}

// KeyChanged: the keys are not the expected ones. The microphone stays closed
// until the SAS is verified or the risk accepted.
type KeyChanged struct {
	ZID     string // the peer's, hexadecimal
	Contact string // that it should be, or is known as; empty: it has no name
	Another bool   // a contact was dialled, and another installation answered
}

// Guarded: our microphone is closed because the keys are in doubt, or open
// again.
type Guarded struct{ On bool }

// Verified: the SAS was compared in this call, and is the same.
type Verified struct{ How string } // typed, via

// Incoming: somebody calls; comes after Secured, to the callee alone.
type Incoming struct {
	Addr    netip.AddrPort
	ZID     string
	Contact string // its name, if it is known and has proved it
}

// Ringing: the other side has been told of the call and has not answered yet.
type Ringing struct{}

// Answered: both sides may speak.
type Answered struct{ Mutual bool } // nobody had to answer: both had dialled

// Muted: our microphone is closed (silence is sent), or open again.
type Muted struct{ On bool }

// Held: the call is held, and neither our microphone is sent nor the peer played; or it
// goes on.
type Held struct{ On bool }

// Stats comes every 5 s and with Ended.
type Stats struct {
	RTT          time.Duration // 0: not known yet
	Jitter       time.Duration // of what we hear, RFC 3550, Section 6.4.1
	Loss         float64       // of what we hear, percent since the start
	PeerLoss     float64       // of what the peer hears, percent in its last report
	PeerJitter   time.Duration // of what the peer hears
	PacketTime   time.Duration // of sound in the peer's last packet
	PlayoutDelay time.Duration
	Concealed    time.Duration
	Recovered    time.Duration // played from redundant copies; the packet may have come later
	Redundancy   int           // copies of earlier sound that a packet of ours now holds
	MOS          float64       // how the peer sounds to us in conversation (package quality), since the start; 0: nothing heard
	MOSListening float64       // the same, whatever the delay
	Peer         PeerReport    // what the peer says of how we sound there
	Sent         uint64        // RTP packets
	Received     uint64
	Dropped      map[string]uint64 // by cause
	Playout      playout.Stats
}

// DeviceState: a microphone or speaker was lost, or is back.
type DeviceState struct {
	Which string // mic, speaker
	State string // lost, back
	Err   error
}

// Fault is the event "error": something went wrong that a person should know.
type Fault struct {
	Err  error
	Hint string // the next step
}

// Ended is the last event of a call.
type Ended struct {
	Reason   Reason
	Err      error         // the cause in more words, or nil
	Duration time.Duration // from Answered; 0: never answered
	Stats    Stats
}

// Name implements Event.
func (Listening) Name() string   { return "listening" }
func (Dialing) Name() string     { return "dialing" }
func (Refused) Name() string     { return "refused" }
func (PathChanged) Name() string { return "path" }
func (Secured) Name() string     { return "secured" }
func (KeyChanged) Name() string  { return "key_changed" }
func (Guarded) Name() string     { return "guarded" }
func (Verified) Name() string    { return "verified" }
func (Incoming) Name() string    { return "incoming" }
func (Ringing) Name() string     { return "ringing" }
func (Answered) Name() string    { return "answered" }
func (Muted) Name() string       { return "muted" }
func (Held) Name() string        { return "held" }
func (Stats) Name() string       { return "stats" }
func (DeviceState) Name() string { return "device" }
func (Fault) Name() string       { return "error" }
func (Ended) Name() string       { return "ended" }

// A Reason is why a call ended. Its value is the exit status of README.md's table.
type Reason int

// The reasons.
const (
	ReasonNormal      Reason = 0   // the call took place and ended normally
	ReasonFault       Reason = 1   // a fault of ours
	ReasonNoAnswer    Reason = 10  // it rang, nobody answered
	ReasonBusy        Reason = 11  // busy
	ReasonDeclined    Reason = 12  // declined
	ReasonUnreachable Reason = 13  // nothing came back in time
	ReasonLost        Reason = 14  // nothing valid heard for 30 s in mid-call
	ReasonNotZRTP     Reason = 15  // something answered, but not with ZRTP
	ReasonCode        Reason = 16  // call code wrong, used or expired
	ReasonServer      Reason = 17  // rendezvous or relay: unreachable, refused, not trusted
	ReasonRequire     Reason = 20  // Config.Require does not hold
	ReasonKeysChanged Reason = 21  // the keys are not the expected ones, and nobody there to decide
	ReasonSAS         Reason = 22  // the SAS compared unequal
	ReasonKeys        Reason = 23  // key agreement refused or failed
	ReasonDevice      Reason = 30  // sound device: none, lost or refused
	ReasonNotPossible Reason = 31  // not permitted or not possible: port, file
	ReasonInterrupted Reason = 130 // interrupted before a call took place
)

var reasonText = map[Reason]string{
	ReasonNormal:      "hung up",
	ReasonFault:       "fault",
	ReasonNoAnswer:    "no answer",
	ReasonBusy:        "busy",
	ReasonDeclined:    "declined",
	ReasonUnreachable: "unreachable",
	ReasonLost:        "lost",
	ReasonNotZRTP:     "not ZRTP",
	ReasonCode:        "call code not good",
	ReasonServer:      "meeting point",
	ReasonRequire:     "not trusted enough",
	ReasonKeysChanged: "keys changed",
	ReasonSAS:         "SAS unequal",
	ReasonKeys:        "key agreement failed",
	ReasonDevice:      "sound device",
	ReasonNotPossible: "not possible",
	ReasonInterrupted: "interrupted",
}

func (r Reason) String() string { return reasonText[r] }
