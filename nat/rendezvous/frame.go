package rendezvous

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// What both sides keep to, in octets unless said otherwise.
const (
	maxFrame    = 6144 // one WebSocket message
	MaxData     = 4096 // what one message may carry
	maxNames    = 64   // names in one wait or unwait
	maxRelays   = 8    // relays in one joined
	maxText     = 256  // a string of the server's
	maxNumber   = 999_999_999
	path        = "/rendezvous"
	subprotocol = "securecall.rendezvous.1"
	pingEvery   = 25 * time.Second
)

// The types of frames.
const (
	typeOpen    = "open"
	typeWait    = "wait"
	typeUnwait  = "unwait"
	typeJoin    = "join"
	typeMessage = "message"
	typeProven  = "proven"
	typeClose   = "close"

	typeOpened  = "opened"
	typeWaiting = "waiting"
	typeJoined  = "joined"
	typeClosed  = "closed"
	typeGone    = "gone"
	typeError   = "error"
)

// Why a request failed or a session ended.
const (
	reasonUnknown     = "unknown"
	reasonUsed        = "used"
	reasonExpired     = "expired"
	reasonLimit       = "limit"
	reasonUnavailable = "unavailable"
	reasonEnded       = "ended"
	reasonLost        = "lost"
)

// A Name is that of a named mailbox: random to all but the two sides.
type Name [32]byte

// MarshalText writes hex digits.
func (n Name) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, n[:]), nil }

// UnmarshalText reads 64 hex digits.
func (n *Name) UnmarshalText(b []byte) error {
	if len(b) != 2*len(n) {
		return errors.New("a name is 64 hex digits")
	}
	_, err := hex.Decode(n[:], b)
	return err
}

func (n Name) String() string { return hex.EncodeToString(n[:]) }

// A frame is any message of the protocol; which fields count depends on Type.
type frame struct {
	Type    string  `json:"type"`
	Re      string  `json:"re,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	Mailbox uint32  `json:"mailbox,omitempty"`
	Name    Name    `json:"name,omitzero"`
	Names   []Name  `json:"names,omitempty"`
	Count   int     `json:"count,omitempty"`
	Session uint32  `json:"session,omitempty"`
	Waiting bool    `json:"waiting,omitempty"`
	Data    []byte  `json:"data,omitempty"`
	Seconds int     `json:"seconds,omitempty"`
	Relays  []Relay `json:"relays,omitempty"`
}

// A Relay is a STUN and TURN server, over UDP and TCP.
type Relay struct {
	Host     string `json:"host,omitempty"` // on the wire empty for the server's own
	Port     uint16 `json:"port"`
	Username string `json:"username"`
	Password string `json:"password"`
	Seconds  int    `json:"seconds"` // for which an allocation may begin
}

var errFrame = errors.New("no frame")

// parse reads one frame and refuses what no side may send, whatever its type.
func parse(b []byte) (frame, error) {
	var f frame
	if len(b) > maxFrame {
		return frame{}, fmt.Errorf("%w: %d octets", errFrame, len(b))
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return frame{}, fmt.Errorf("%w: %w", errFrame, err)
	}
	switch {
	case f.Type == "":
		return frame{}, fmt.Errorf("%w: no type", errFrame)
	case len(f.Type) > maxText || len(f.Re) > maxText || len(f.Reason) > maxText:
		return frame{}, fmt.Errorf("%w: a long word", errFrame)
	case len(f.Data) > MaxData:
		return frame{}, fmt.Errorf("%w: %d octets of data", errFrame, len(f.Data))
	case len(f.Names) > maxNames:
		return frame{}, fmt.Errorf("%w: %d names", errFrame, len(f.Names))
	case len(f.Relays) > maxRelays:
		return frame{}, fmt.Errorf("%w: %d relays", errFrame, len(f.Relays))
	case f.Mailbox > maxNumber:
		return frame{}, fmt.Errorf("%w: mailbox %d", errFrame, f.Mailbox)
	case f.Seconds < 0 || f.Seconds > 1<<30 || f.Count < 0:
		return frame{}, fmt.Errorf("%w: a number out of range", errFrame)
	}
	for _, r := range f.Relays {
		if len(r.Host) > maxText || len(r.Username) > maxText || len(r.Password) > maxText || r.Seconds < 0 || r.Seconds > 1<<30 {
			return frame{}, fmt.Errorf("%w: a relay out of range", errFrame)
		}
	}
	return f, nil
}

// encode is the text of f. It cannot fail: nothing in a frame can.
func (f frame) encode() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return b
}
