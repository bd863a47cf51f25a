package zrtp

import (
	"time"

	"securecall/crypto/zrtp/wire"
)

// A state of the session. The names of the middle ones say which message was
// sent last.
type state int

const (
	idle         state = iota // before Start
	discovery                 // Hello (Section 4.1)
	committed                 // Commit: an initiator, unless contention says otherwise
	sentDHPart1               // responder
	sentDHPart2               // initiator
	sentConfirm1              // responder
	sentConfirm2              // initiator: has checked keys
	secure                    // the last of the handshake; repeats are answered
	failed                    // Error, by us or by the peer
	closed                    // Close
)

// in is a message with what its packet and its arrival tell.
type in struct {
	now  time.Time
	ssrc uint32
	raw  []byte // the message's bytes; borrowed
}

type handler func(*Session, in, wire.Message) error

// on makes a handler of a method that wants one type of message.
func on[M wire.Message](f func(*Session, in, M) error) handler {
	return func(s *Session, i in, m wire.Message) error { return f(s, i, m.(M)) }
}

// The table of the machine: what a session does with a message in a state.
// What is not in it is dropped and counted. Ping is answered in every state,
// before the table is asked.
var table = [...]map[wire.Type]handler{
	discovery: {
		wire.TypeHello:    on((*Session).onHello),
		wire.TypeHelloACK: on((*Session).onHelloACK),
		wire.TypeCommit:   on((*Session).onCommit),
		wire.TypeError:    on((*Session).onError),
	},
	committed: {
		wire.TypeHello:    on((*Session).onHelloWhileCommitted),
		wire.TypeHelloACK: on((*Session).onHelloACK),
		wire.TypeCommit:   on((*Session).onContention),
		wire.TypeDHPart1:  on((*Session).onDHPart1),
		wire.TypeConfirm1: on((*Session).onConfirm1AfterCommit),
		wire.TypeError:    on((*Session).onError),
	},
	sentDHPart1: {
		wire.TypeHello:   on((*Session).onHelloRepeat),
		wire.TypeCommit:  on((*Session).onCommitRepeat),
		wire.TypeDHPart2: on((*Session).onDHPart2),
		wire.TypeError:   on((*Session).onError),
	},
	sentDHPart2: {
		wire.TypeHello:    on((*Session).onHelloRepeat),
		wire.TypeConfirm1: on((*Session).onConfirm1),
		wire.TypeError:    on((*Session).onError),
	},
	sentConfirm1: {
		wire.TypeHello:    on((*Session).onHelloRepeat),
		wire.TypeCommit:   on((*Session).onCommitRepeatConfirmed),
		wire.TypeDHPart2:  on((*Session).onDHPart2Repeat),
		wire.TypeConfirm2: on((*Session).onConfirm2),
		wire.TypeError:    on((*Session).onError),
	},
	sentConfirm2: {
		wire.TypeHello:    on((*Session).onHelloRepeat),
		wire.TypeConf2ACK: on((*Session).onConf2ACK),
		wire.TypeError:    on((*Session).onLateError),
	},
	secure: {
		wire.TypeHello:    on((*Session).onHelloRepeat),
		wire.TypeConfirm2: on((*Session).onConfirm2Repeat),
		wire.TypeSASrelay: on((*Session).onSASrelay),
		wire.TypeError:    on((*Session).onLateError),
	},
	failed: {
		wire.TypeError:    on((*Session).onLateError),
		wire.TypeErrorACK: on((*Session).onErrorACK),
	},
	closed: nil, // nothing
}
