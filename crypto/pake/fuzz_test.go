package pake

import (
	"bytes"
	"slices"
	"testing"
)

// Whatever comes, to either side and at any moment: no panic, and an exchange goes
// on as if it had not come unless it is a point that could be the peer's share, or
// has the form of the confirmation that is due.
func FuzzReceive(f *testing.F) {
	a, b := pair(f)
	shares := [][]byte{next(f, a), next(f, b)}
	for _, m := range shares {
		for role := range 2 {
			for steps := range 5 {
				f.Add(role == 0, byte(steps), m)
				f.Add(role == 0, byte(steps), kind(3+role).message(make([]byte, confirmSize)))
			}
		}
	}
	f.Add(true, byte(0), []byte{2, 0})
	f.Fuzz(func(t *testing.T, toA bool, steps byte, message []byte) {
		a, b := pair(t)
		from, to := []*Exchange{b, a}, []*Exchange{a, b}
		steps %= 5
		order := []int{0, 1, 1, 0} // B's share, A's share, A's confirmation, B's
		for _, i := range order[:steps] {
			deliver(t, from[i], to[i])
		}
		e := b
		if toA {
			e = a
		}
		before := e.state
		switch err := e.Receive(message); err {
		case nil:
			if before != awaitShare || kind(message[0]) != shareOf(e.role.peer()) {
				t.Fatalf("%x is accepted", message)
			}
			if bytes.Equal(message[1:], from[0].share[:]) || bytes.Equal(message[1:], from[1].share[:]) {
				return // the peer's own, which the fuzzer cannot know
			}
			// Somebody else's: what the peer confirms is not for it.
			if err := e.Receive(confirmOf(e.role.peer()).message(make([]byte, confirmSize))); err != ErrCode {
				t.Fatalf("a confirmation of zeros: %v", err)
			}
			refused(t, e)
		case ErrCode:
			if before != awaitConfirm || kind(message[0]) != confirmOf(e.role.peer()) {
				t.Fatalf("%x ends the exchange", message)
			}
			refused(t, e)
		default:
			for _, i := range order[steps:] {
				deliver(t, from[i], to[i])
			}
			same(t, a, b)
		}
	})
}

// What was not sealed for this place does not open, and leaves the place to what
// was.
func FuzzOpen(f *testing.F) {
	a, _ := channels(f)
	f.Add(byte(0), []byte("x"), seal(f, a, "candidate"))
	f.Add(byte(1), []byte{}, make([]byte, Overhead))
	f.Add(byte(3), []byte("candidate"), []byte{0, 0, 0, 0, 0, 0, 0, 3})
	f.Fuzz(func(t *testing.T, before byte, plain, message []byte) {
		if len(plain) > MaxPlain {
			return
		}
		a, b := channels(t)
		for range before % 8 {
			opens(t, b, seal(t, a, "x"), "x")
		}
		if got, err := b.Open(nil, message); err == nil {
			t.Fatalf("%x opens as %x", message, got)
		}
		sealed := slices.Clone(seal(t, a, string(plain)))
		opens(t, b, sealed, string(plain))
		fails(t, b, sealed, ErrReplay)
	})
}
