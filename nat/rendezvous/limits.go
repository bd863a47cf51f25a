package rendezvous

import (
	"time"

	"securecall/nat/rendezvous/quota"
)

// Limits are what a Server lets others have. Of a network (an IPv4 address, an
// IPv6 /64) are those whose names end in PerNetwork. The names of the fields
// are what the log calls them.
type Limits struct {
	Connections           int        // at once
	ConnectionsPerNetwork int        // at once
	ConnectsPerNetwork    quota.Rate // new ones
	Octets                quota.Rate // that one connection may send, with all that is around messages
	Frames                quota.Rate // messages and pings that one connection may send
	Queue                 int        // octets that may wait to be sent to one connection
	QueueTotal            int        // octets that may wait to be sent to all of them

	MailboxesPerConnection int
	Mailboxes              int
	OpensPerNetwork        quota.Rate
	NamesPerConnection     int
	Names                  int
	SessionsPerConnection  int
	Sessions               int
	Messages               int // that one end may send in a session
	MessageOctets          int // the same in octets

	GuessesPerNetwork   quota.Rate // joins by number that nobody has said were proven
	GuessesTotal        quota.Rate // of those, the ones that came through to a mailbox
	NameJoinsPerNetwork quota.Rate

	HandshakeTime time.Duration // for TLS and HTTP, each
	IdleTime      time.Duration // for a whole message or a ping to come
	WriteTime     time.Duration // for one message to be taken
	MailboxTime   time.Duration
	SessionTime   time.Duration
}

// DefaultLimits are for a server of some thousand people.
func DefaultLimits() Limits {
	return Limits{
		Connections:           20_000,
		ConnectionsPerNetwork: 100,
		ConnectsPerNetwork:    quota.Rate{Burst: 60, Every: time.Second},
		Octets:                quota.Rate{Burst: 128 << 10, Every: time.Second / (16 << 10)},
		Frames:                quota.Rate{Burst: 60, Every: time.Second / 20},
		Queue:                 256 << 10,
		QueueTotal:            256 << 20,

		MailboxesPerConnection: 4,
		Mailboxes:              50_000,
		OpensPerNetwork:        quota.Rate{Burst: 30, Every: 3 * time.Second},
		NamesPerConnection:     1024,
		Names:                  500_000,
		SessionsPerConnection:  16,
		Sessions:               20_000,
		Messages:               512,
		MessageOctets:          1 << 20,

		GuessesPerNetwork:   quota.Rate{Burst: 5, Every: time.Minute},
		GuessesTotal:        quota.Rate{Burst: 80, Every: 3 * time.Minute},
		NameJoinsPerNetwork: quota.Rate{Burst: 30, Every: time.Second},

		HandshakeTime: 10 * time.Second,
		IdleTime:      75 * time.Second,
		WriteTime:     10 * time.Second,
		MailboxTime:   time.Hour,
		SessionTime:   10 * time.Minute,
	}
}

// What a Server's Table counts, by network.
const (
	kindConnections quota.Kind = iota
	kindConnects
	kindOpens
	kindGuesses
	kindNameJoins
)

func (l *Limits) table() *quota.Table {
	return quota.NewTable(
		[]quota.Rate{kindConnects: l.ConnectsPerNetwork, kindOpens: l.OpensPerNetwork, kindGuesses: l.GuessesPerNetwork, kindNameJoins: l.NameJoinsPerNetwork},
		[]int{kindConnections: l.ConnectionsPerNetwork},
	)
}
