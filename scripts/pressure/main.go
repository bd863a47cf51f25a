// Pressure is a call within one process that has much to collect, for pressure.sh: two
// endpoints talk over UDP on loopback, in real time, while a goroutine fills and drops
// a heap of HEAP megabytes full of pointers, and another collects it ten times a
// second.
//
//	pressure SECONDS HEAP
//
// It prints what the call concealed, how many collections there were and how long the
// longest pause for one was, and exits with status 1 if the call did not come about.
// With a HEAP of 0 it collects nothing: the control.
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"time"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/call"
	"securecall/nat"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pressure SECONDS HEAP")
		os.Exit(2)
	}
	seconds, err1 := strconv.Atoi(os.Args[1])
	heap, err2 := strconv.Atoi(os.Args[2])
	err := errors.Join(err1, err2)
	if err == nil {
		err = run(time.Duration(seconds)*time.Second, heap)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pressure:", err)
		os.Exit(1)
	}
}

func run(length time.Duration, heap int) error {
	runtime.GOMAXPROCS(1) // as main does (docs/notes/one-processor.md)
	if heap > 0 {
		go litter(heap)
		go func() {
			for range time.Tick(100 * time.Millisecond) {
				runtime.GC()
			}
		}()
	}
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	path, err := nat.Listen(ctx, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return err
	}
	addr := path.LocalAddr()
	listener, err := call.NewListener(conf(), path, []netip.AddrPort{addr})
	if err != nil {
		return err
	}
	listened := make(chan call.Ended, 1)
	go func() { listened <- listener.Run(ctx) }()
	path, peers, err := nat.Dial(ctx, netip.AddrPort{}, addr)
	if err != nil {
		return err
	}
	dialler, err := call.NewDialer(conf(), path, peers, "")
	if err != nil {
		return err
	}
	for _, ended := range []call.Ended{dialler.Run(ctx), <-listened} {
		s := ended.Stats
		if ended.Reason != call.ReasonNormal && ended.Reason != call.ReasonInterrupted || s.Playout.Frames == 0 {
			return fmt.Errorf("no call: %v %v", ended.Reason, ended.Err)
		}
		fmt.Printf("frames %d concealed_ms %d late %d delay_ms %d\n", s.Playout.Frames, s.Concealed.Milliseconds(), s.Playout.Late, s.PlayoutDelay.Milliseconds())
	}
	collections, longest := pauses()
	fmt.Printf("collections %d longest_pause_ms %.3f\n", collections, longest)
	return nil
}

// conf is a call of a tone to nobody's ears, each at the pace of a clock.
func conf() call.Config {
	o := device.Options{KernelTimers: true}
	return call.Config{
		Mic:       func() (audio.Source, error) { return device.OpenSource("tone:440", o) },
		Speaker:   func() (audio.Sink, error) { return device.OpenSink("none", o) },
		AcceptAll: true,
		Once:      true,
		OnEvent:   func(int, call.Event) {},
	}
}

// litter keeps a heap of so many megabytes, for the collector to follow, and replaces
// it: a hundred lists of 1 kB a millisecond.
func litter(megabytes int) {
	type node struct {
		next *node
		_    [48]byte
	}
	lists := make([]*node, megabytes<<20/64/16)
	for {
		for i := range lists {
			var list *node
			for range 16 {
				list = &node{next: list}
			}
			if lists[i] = list; i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// pauses are the stops of the world for the garbage collector, and the longest of
// them in milliseconds, to the boundaries of the runtime's histogram.
func pauses() (collections uint64, longest float64) {
	samples := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(samples)
	h := samples[1].Value.Float64Histogram()
	for i, n := range h.Counts {
		if n > 0 && !math.IsInf(h.Buckets[i+1], 1) {
			longest = 1000 * h.Buckets[i+1]
		}
	}
	return samples[0].Value.Uint64(), longest
}
