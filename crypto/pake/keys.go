package pake

import "fmt"

// Keys are what an exchange is for, derived from RFC 9382's Ke by HKDF-SHA256 with
// a label each. Both sides have the same; Send of one is Receive of the other.
type Keys struct {
	// For what goes through the meeting point: candidates, Hello hashes.
	Send, Receive [32]byte
	// ZRTP's auxiliary secret (RFC 6189, Section 4.3).
	Auxiliary [32]byte
	// For meeting again in the same call, to be derived from further.
	Again [32]byte
}

// The labels of the derived keys.
const (
	labelA         = "securecall call code: A to B v1"
	labelB         = "securecall call code: B to A v1"
	labelAuxiliary = "securecall call code: ZRTP auxiliary secret v1"
	labelAgain     = "securecall call code: meeting again v1"
)

func (s *schedule) keysOf(r Role) (k Keys) {
	send, receive := labelA, labelB
	if r == B {
		send, receive = labelB, labelA
	}
	for _, key := range []struct {
		to    *[32]byte
		label string
	}{{&k.Send, send}, {&k.Receive, receive}, {&k.Auxiliary, labelAuxiliary}, {&k.Again, labelAgain}} {
		b := expand(s.ke[:], key.label, len(key.to))
		copy(key.to[:], b)
		clear(b)
	}
	return k
}

// Clear overwrites the keys.
func (k *Keys) Clear() { *k = Keys{} }

// Format keeps the keys out of any text, whatever the verb.
func (Keys) Format(f fmt.State, _ rune) { fmt.Fprint(f, "keys of a call code") }
