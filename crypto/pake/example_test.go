package pake_test

import (
	"crypto/rand"
	"fmt"

	"securecall/crypto/pake"
)

// Two people with one code, in one process. Really each message goes through a
// meeting point, which may read all of it.
func Example() {
	context := pake.Context{A: "dials", B: "waits", AAD: "example.org, mailbox 48"}
	dials, err := pake.New(pake.A, "48-harbor-violin-echo", context, rand.Reader)
	if err != nil {
		panic(err)
	}
	waits, err := pake.New(pake.B, "48-harbor-violin-echo", context, rand.Reader)
	if err != nil {
		panic(err)
	}
	for range 3 {
		for from, to := range map[*pake.Exchange]*pake.Exchange{dials: waits, waits: dials} {
			for {
				message, ok := from.NextMessage()
				if !ok {
					break
				}
				if err := to.Receive(message); err != nil {
					panic(err) // ErrCode: the code is used up
				}
			}
		}
	}
	a, err := channel(dials)
	if err != nil {
		panic(err)
	}
	b, err := channel(waits)
	if err != nil {
		panic(err)
	}
	sealed, _ := a.Seal(nil, []byte("here I can be reached"))
	opened, err := b.Open(nil, sealed)
	fmt.Println(string(opened), err)
	// Output: here I can be reached <nil>
}

func channel(e *pake.Exchange) (*pake.Channel, error) {
	defer e.Close()
	keys, err := e.Keys()
	if err != nil {
		return nil, err
	}
	defer keys.Clear()
	return pake.NewChannel(keys)
}
