package rendezvous

import (
	"context"
	"errors"
	"time"
)

// Why a mailbox cannot be joined or opened.
var (
	errUnknown     = errors.New(reasonUnknown)
	errUsed        = errors.New(reasonUsed)
	errExpired     = errors.New(reasonExpired)
	errUnavailable = errors.New(reasonUnavailable)
)

// An end is one side of a session, or who waits at a mailbox (Session 0): a
// connection of a node. It is written by our nodes only.
type end struct {
	Node    string `json:"n"`
	Conn    uint64 `json:"c"`
	Session uint32 `json:"s,omitempty"`
}

// A note is what one end tells another, whichever node that is on.
type note struct {
	Kind    string `json:"k"`
	To      end    `json:"t"`
	From    end    `json:"f"`
	Mailbox uint32 `json:"m,omitempty"`
	Name    Name   `json:"name,omitzero"`
	Data    []byte `json:"d,omitempty"`
	Reason  string `json:"r,omitempty"`
}

// The kinds of notes.
const (
	noteJoin     = "join"     // From wants to join To's mailbox; To has no session yet
	noteAccept   = "accept"   // From is the session that answers To's join
	noteRefuse   = "refuse"   // To's join came to nothing
	noteMessage  = "message"  // Data
	noteProven   = "proven"   // the other end knew the code
	noteClosed   = "closed"   // the session is over, for Reason
	noteReplaced = "replaced" // another end waits on Name now
)

// A Store is what the nodes of one meeting point share: who waits where, and a
// way to each other. Its methods are called from any goroutine, and may take
// as long as their context; those without one do what they can at once.
type Store interface {
	// attach makes receive get the notes for the connections of node. receive
	// does not block.
	attach(node string, receive func(note)) error
	// open draws a free number, and holds it for owner until then.
	open(ctx context.Context, owner end, until time.Time) (uint32, error)
	// claim uses a number up: of all that try, one is told the owner.
	claim(ctx context.Context, number uint32) (end, error)
	// release gives up a number that has not been claimed.
	release(number uint32, owner end)
	// wait makes owner the one who waits on name; who did before is told.
	wait(ctx context.Context, name Name, owner end) error
	// unwait ends that, if it still is owner.
	unwait(name Name, owner end)
	// find tells who waits on name.
	find(ctx context.Context, name Name) (end, error)
	// send passes n on to n.To; what cannot be delivered is lost.
	send(n note)
	// close leaves the others.
	close()
}
