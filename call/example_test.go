package call_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"securecall/audio"
	"securecall/call"
	"securecall/nat/memnet"
)

// Alice calls Bob over a network in memory. Both see the same words, one of them types what the
// other reads out, and they hang up. A real caller has a Path of package nat, and devices.
func Example() {
	network := memnet.New(1)
	bobAddr := netip.MustParseAddrPort("192.0.2.2:5004")
	bobPath, alicePath := network.Path(bobAddr), network.Path(netip.MustParseAddrPort("192.0.2.1:5004"))

	bobsWords := make(chan string, 1)
	bob, err := call.NewListener(call.Config{
		Mic: silence, Speaker: nowhere, AcceptAll: true, Once: true,
		OnEvent: func(_ int, e call.Event) {
			if e, ok := e.(call.Secured); ok {
				bobsWords <- e.SAS
			}
		},
	}, bobPath, []netip.AddrPort{bobAddr})
	if err != nil {
		panic(err)
	}
	answered := make(chan int, 1)
	alice, err := call.NewDialer(call.Config{
		Mic: silence, Speaker: nowhere,
		OnEvent: func(id int, e call.Event) { // is not to wait
			if _, ok := e.(call.Answered); ok {
				answered <- id
			}
		},
	}, alicePath, []netip.AddrPort{bobAddr}, "bob")
	if err != nil {
		panic(err)
	}

	done := make(chan call.Ended)
	for _, end := range []*call.Endpoint{bob, alice} {
		go func() { done <- end.Run(context.Background()) }()
	}
	id := <-answered
	fmt.Println("the same words:", alice.Compare(id, "typed", <-bobsWords).Equal)
	alice.Do(id, call.Hangup)
	for range 2 {
		fmt.Println((<-done).Reason)
	}
	// Output:
	// the same words: true
	// hung up
	// hung up
}

// paced is a microphone that hears nothing and a speaker that nobody hears, both in real time.
type paced struct{ next time.Time }

func silence() (audio.Source, error) { return &paced{time.Now()}, nil }
func nowhere() (audio.Sink, error)   { return &paced{time.Now()}, nil }

func (p *paced) ReadFrame(f audio.Frame) error {
	clear(f)
	return p.WriteFrame(f)
}

func (p *paced) WriteFrame(f audio.Frame) error {
	p.next = p.next.Add(audio.Duration(len(f)))
	time.Sleep(time.Until(p.next))
	return nil
}

func (p *paced) Close() error { return nil }
