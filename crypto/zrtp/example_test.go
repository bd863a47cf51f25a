package zrtp_test

import (
	"crypto/rand"
	"fmt"
	"time"

	"securecall/crypto/zrtp"
)

// Two sessions in one process. A real owner sends the packets over UDP, calls
// Advance when Deadline has come, and gives the keys to SRTP.
func Example() {
	newSession := func(initiate bool, ssrc uint32) *zrtp.Session {
		c := zrtp.Config{Initiate: initiate, SSRC: ssrc, Client: "example", Rand: rand.Reader}
		rand.Read(c.ZID[:])
		s, err := zrtp.New(c)
		if err != nil {
			panic(err)
		}
		return s
	}
	alice, bob := newSession(true, 1), newSession(false, 2)
	now := time.Now()
	alice.Start(now)
	bob.Start(now)

	secured := 0
	sas := map[*zrtp.Session]uint32{}
	for secured < 2 {
		for from, to := range map[*zrtp.Session]*zrtp.Session{alice: bob, bob: alice} {
			for {
				packet, ok := from.NextPacket()
				if !ok {
					break
				}
				to.Receive(now, packet) // an error only says why it was dropped
			}
			for {
				event, ok := from.NextEvent()
				if !ok {
					break
				}
				switch event := event.(type) {
				case zrtp.KeysReady:
					sas[from] = event.SASValue
				case zrtp.Secured:
					secured++
				case zrtp.Failed:
					panic(event.Err)
				}
			}
		}
	}
	fmt.Println("the same SAS on both ends:", sas[alice] == sas[bob])
	// Output: the same SAS on both ends: true
}
