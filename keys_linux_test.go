package main

import (
	"path/filepath"
	"testing"
)

// What is done by keys is told as events, to both sides.
func TestKeysAsEvents(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "call.wav")
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--json", "--once"}, quietEnds...)...)
	peer := bob.sees(`"event":"listening","addrs":\["(127\.0\.0\.1:\d+)"\]`)
	alice := sit(t, append([]string{"dial", peer, "--json", "--record", file}, quietEnds...)...)
	words := alice.sees(`"event":"secured","call":1,.*"sas":"([a-zA-Z]+ [a-zA-Z]+)"`)
	bob.sees(`"event":"incoming","call":1,"addr":"127\.0\.0\.1:\d+","zid":"[0-9a-f]{24}"`)
	alice.sees(`"event":"ringing","call":1`)
	bob.types("a")
	alice.sees(`"event":"answered","call":1`)
	alice.sees(`"event":"recording","call":1,"on":true`)
	bob.sees(`"event":"peer_recording","call":1,"on":true`)
	for _, on := range []string{"true", "false"} {
		alice.types("m")
		alice.sees(`"event":"muted","call":1,"on":` + on)
		alice.types("h")
		alice.sees(`"event":"held","call":1,"on":` + on)
	}
	alice.types(" ")
	alice.sees(`"event":"muted","call":1,"on":true`)
	alice.types("5#")
	bob.sees(`"event":"dtmf","call":1,"digits":"5"`)
	bob.sees(`"event":"dtmf","call":1,"digits":"#"`)
	bob.types("thi\r")
	alice.sees(`"event":"text","call":1,"text":"hi"`)
	alice.types("r")
	alice.sees(`"event":"recording","call":1,"on":false`)
	bob.sees(`"event":"peer_recording","call":1,"on":false`)
	bob.types("v" + words + "\r")
	bob.sees(`"event":"verified","call":1,"how":"typed"`)
	bob.types("q")
	for _, s := range []*seat{bob, alice} {
		s.sees(`"event":"ended","call":1,"reason":"hung up","code":0,"duration_s":[0-9.]+,"stats":`)
		s.leaves(0)
	}
}
