package reflexive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// Retransmission over UDP: RFC 8489, Section 6.2.1, with its default values.
const (
	firstWait   = 500 * time.Millisecond // RTO; doubled after each request
	maxRequests = 7                      // Rc
	lastWait    = 16 * firstWait         // Rm times RTO
)

const headerSize = 20 // of a STUN message (RFC 8489, Section 5)

// ErrNoAnswer is what Ask's error is when the server did not answer.
var ErrNoAnswer = errors.New("no answer")

// A Refusal is a STUN error response.
type Refusal struct {
	Code int // RFC 8489, Section 14.8
}

func (e *Refusal) Error() string { return fmt.Sprintf("STUN error %d", e.Code) }

// An Answer is what a STUN server says. Addresses that it did not give are not
// valid.
type Answer struct {
	Mapped netip.AddrPort // ours, as the server sees it
	Other  netip.AddrPort // where else the server answers (RFC 5780, Section 7.4)
}

// A Change asks the server to answer from elsewhere (RFC 5780, Section 7.2).
type Change struct {
	Addr, Port bool
}

// A Query is one Binding transaction (RFC 8489, Section 6): a machine without
// goroutine, clock or socket.
type Query struct {
	server, source netip.AddrPort // asked, and where the answer comes from
	requests       int            // at most that many
	id             [stun.TransactionIDSize]byte
	request        []byte

	sent     int
	wait     time.Duration
	due      bool // the request is to be sent
	deadline time.Time

	done   bool
	answer Answer
	err    error
}

// NewQuery prepares the question to server, whose answer will come from source:
// from server itself, but for what change asks. It takes the transaction's
// number from random.
func NewQuery(random io.Reader, server, source netip.AddrPort, change Change) (*Query, error) {
	q := &Query{server: server, source: source, requests: maxRequests, wait: firstWait}
	if _, err := io.ReadFull(random, q.id[:]); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	m := stun.New()
	m.TransactionID = q.id
	m.Type = stun.BindingRequest
	m.WriteHeader()
	if change != (Change{}) {
		var flags byte
		if change.Addr {
			flags |= 0x04
		}
		if change.Port {
			flags |= 0x02
		}
		m.Add(stun.AttrChangeRequest, []byte{0, 0, 0, flags})
	}
	if err := stun.Fingerprint.AddTo(m); err != nil {
		return nil, err
	}
	q.request = m.Raw
	return q, nil
}

// Start makes the first request due.
func (q *Query) Start(now time.Time) { q.again(now) }

func (q *Query) again(now time.Time) {
	q.due = true
	q.sent++
	q.deadline = now.Add(q.wait)
	if q.sent == maxRequests {
		q.deadline = now.Add(lastWait)
	}
	q.wait *= 2
}

// NextPacket is the next datagram to send to the server.
func (q *Query) NextPacket() ([]byte, bool) {
	if !q.due || q.done {
		return nil, false
	}
	q.due = false
	return q.request, true
}

// Deadline is when Advance wants to be called; zero: never.
func (q *Query) Deadline() time.Time {
	if q.done {
		return time.Time{}
	}
	return q.deadline
}

// Advance sends again what has not been answered, or gives up.
func (q *Query) Advance(now time.Time) {
	switch {
	case q.done || now.Before(q.deadline):
	case q.sent < q.requests:
		q.again(now)
	default:
		q.done, q.err = true, ErrNoAnswer
	}
}

// Receive takes a datagram and reports whether it belongs to this transaction.
// What has its number but comes from elsewhere does not; what is the server's
// but makes no sense is not an answer.
func (q *Query) Receive(from netip.AddrPort, b []byte) bool {
	if len(b) < headerSize || from != q.source || !bytes.Equal(b[headerSize-len(q.id):headerSize], q.id[:]) {
		return false
	}
	if q.done {
		return true
	}
	m := &stun.Message{Raw: bytes.Clone(b)}
	if m.Decode() != nil || m.Contains(stun.AttrFingerprint) && stun.Fingerprint.Check(m) != nil {
		return true
	}
	switch m.Type {
	case stun.BindingSuccess:
		mapped, ok := mappedAddress(m)
		if !ok {
			return true
		}
		q.done, q.answer = true, Answer{Mapped: mapped, Other: otherAddress(m)}
	case stun.BindingError:
		var code stun.ErrorCodeAttribute
		if code.GetFrom(m) != nil {
			return true
		}
		q.done, q.err = true, &Refusal{Code: int(code.Code)}
	}
	return true
}

// Result is the answer, once there is one or none will come.
func (q *Query) Result() (answer Answer, err error, done bool) { return q.answer, q.err, q.done }

// mappedAddress is our address by XOR-MAPPED-ADDRESS or, of servers older than
// RFC 5389, MAPPED-ADDRESS.
func mappedAddress(m *stun.Message) (netip.AddrPort, bool) {
	var x stun.XORMappedAddress
	if x.GetFrom(m) == nil {
		return usable(x.IP, x.Port)
	}
	var plain stun.MappedAddress
	if plain.GetFrom(m) == nil {
		return usable(plain.IP, plain.Port)
	}
	return netip.AddrPort{}, false
}

func otherAddress(m *stun.Message) netip.AddrPort {
	var other stun.OtherAddress
	if other.GetFrom(m) != nil {
		return netip.AddrPort{}
	}
	addr, _ := usable(other.IP, other.Port)
	return addr
}

// usable is an address of one host, as anything else can be no answer.
func usable(ip net.IP, port int) (netip.AddrPort, bool) {
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	if !ok || addr.IsUnspecified() || addr.IsMulticast() || port <= 0 || port > 0xffff {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, uint16(port)), true
}
