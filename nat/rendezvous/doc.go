// Package rendezvous is the meeting point: two people who know no more than a
// short number, or a name that only they know, are connected through a server
// that passes messages between them which it cannot read. Here are both sides,
// Server and Client; docs/rendezvous.md is the protocol and what the server
// sees. nat/rendezvous/relay is the STUN and TURN beside it.
//
// Nothing in here is secret from the server, and nothing that it says can be
// relied on: it is for the caller to authenticate the other end (a PAKE) and
// to encrypt what it sends.
//
// The package opens network connections and starts goroutines: the server one
// for each connection, and a second one while there is something to be sent
// to it; the client two.
package rendezvous
