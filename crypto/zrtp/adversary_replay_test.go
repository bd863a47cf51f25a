package zrtp

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// Messages of other exchanges of the same two people: of an earlier call, of a
// second one at the same time.

// recorded is one more call, and its packets in the order of their sending.
func (f *friends) recorded(t *testing.T) []parcel {
	t.Helper()
	var all []parcel
	f.call(t, func(*world) func(*parcel) []time.Duration {
		return func(p *parcel) []time.Duration {
			all = append(all, *p)
			return []time.Duration{0}
		}
	}, plain)
	return all
}

// unauthenticated are the messages that hold nothing of their sender: anybody
// can write them, and need not replay them.
var unauthenticated = []wire.Type{helloACK, conf2ACK, errorMessage, errorACK}

// intrude delivers packets of another exchange to the ends that they were sent
// to, under the SSRC that they had or under that of this exchange. An end that
// knows its peer drops them and says nothing.
func (w *world) intrude(packets []parcel, underTheirs bool) {
	w.t.Helper()
	for _, p := range packets {
		to := 1 - p.from
		e := w.ends[to]
		packet := p.packet
		if !e.peer.known || underTheirs && slices.Contains(unauthenticated, p.kind) {
			continue
		}
		if underTheirs {
			q, err := wire.ParsePacket(packet)
			if err != nil {
				w.t.Fatal(err)
			}
			packet = wire.AppendPacket(nil, q.Seq, e.peer.ssrc, q.Message)
		}
		before, sent := e.state, w.sent
		err := w.inject(to, packet)
		if _, dropped := err.(Drop); !dropped || !underTheirs && err != DropForeign {
			w.t.Fatalf("%v of another exchange, in state %d of end %d: %v", p.kind, before, to, err)
		}
		if e.state != before || w.sent != sent {
			w.t.Fatalf("%v of another exchange: state %d became %d, %d answers", p.kind, before, e.state, w.sent-sent)
		}
	}
}

// "Packets that contain an incorrect hash preimage MUST NOT be used by the
// recipient ... As long as these bogus packets are not used, and correct packets
// are still being received, the protocol SHOULD be allowed to run to completion"
// (Section 9). The chain of hash images is another in each exchange.
//
// All packets of an earlier call of the two, or of one that they have at the
// same time, at every moment of this one, in their order and against it.
func TestMessagesOfAnotherExchange(t *testing.T) {
	for _, bothDial := range []bool{false, true} {
		for _, atTheSameTime := range []bool{false, true} {
			begun := newFriends(t, wire.EC25, bothDial)
			other := *begun
			other.calls += 1000
			old := other.recorded(t)
			if !atTheSameTime {
				begun.caches = other.caches // that call is over
			}
			for n := range len(old) + 1 {
				for _, underTheirs := range []bool{false, true} {
					for _, backwards := range []bool{false, true} {
						packets := slices.Clone(old)
						if backwards {
							slices.Reverse(packets)
						}
						f := *begun
						w := f.call(t, func(w *world) func(*parcel) []time.Duration {
							return func(p *parcel) []time.Duration {
								if p.n == n || n == len(old) { // at the end: at every packet
									w.intrude(packets, underTheirs)
								}
								return []time.Duration{0}
							}
						}, func(w *world) {
							w.start().checkCompletes()
							w.intrude(packets, underTheirs)
							w.run(time.Minute).checkSecure()
						})
						w.checkTold()
					}
				}
			}
		}
	}
}

// An earlier call of the peer, played to an end that the peer has not reached
// yet: the first Hello wins, but without the secrets of that call there are no
// keys.
//
// To a listener: "the responder computes its own value for the hash commitment
// using ... its own Hello message" (Section 4.4.1.2), which is another now. To a
// dialler: "total_hash = hash(Hello of responder || Commit || DHPart1 || DHPart2)"
// (Section 4.4.1.4) is not that of then, and neither is the key of Confirm1's MAC.
func TestReplayedHandshake(t *testing.T) {
	begun := newFriends(t, wire.EC25, false)
	old := begun.recorded(t)
	for to, want := range []wire.ErrorCode{0: wire.ErrorConfirmMAC, 1: wire.ErrorHVI} {
		theirs := slices.DeleteFunc(slices.Clone(old), func(p parcel) bool { return p.from == to })
		for _, order := range permutations(len(theirs)) {
			f := *begun
			w := f.call(t, func(*world) func(*parcel) []time.Duration {
				return func(*parcel) []time.Duration { return nil } // nothing else arrives
			}, func(w *world) {
				w.ends[to].Start(w.now)
				w.drain(to)
				for _, i := range order {
					w.inject(to, theirs[i].packet)
					w.run(10 * time.Millisecond)
				}
				w.run(time.Minute)
			})
			e := w.ends[to]
			if e.keys != nil || e.secured > 0 {
				t.Fatalf("end %d, order %v: keys from a replay", to, order)
			}
			if slices.IsSorted(order) && (e.failure == nil || e.failure.Code != want || e.failure.Peer) {
				t.Errorf("end %d: %+v, want %#x", to, e.failure, want)
			}
			if !bytes.Equal(f.caches[to].rs1, begun.caches[to].rs1) {
				t.Fatalf("end %d, order %v: the cache is another", to, order)
			}
		}
	}
}

// permutations are all orders of n things.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(p), at, n-1))
		}
	}
	return all
}

// Two calls of the same two people at once, every message of one exchange in
// place of its like in the other: a change on the way, and not a packet more. No
// end gets keys from that.
func TestMessagesExchanged(t *testing.T) {
	for _, kind := range []wire.Type{hello, commit, dhPart1, dhPart2, confirm1, confirm2} {
		for _, from := range []int{0, 1} {
			begun := newFriends(t, wire.XM76, false)
			other := *begun
			other.calls += 1000
			like := other.recorded(t)
			at := slices.IndexFunc(like, func(p parcel) bool { return p.kind == kind && p.from == from })
			if at < 0 {
				continue
			}
			what := fmt.Sprintf("%v of end %d", kind, from)
			q, err := wire.ParsePacket(like[at].packet)
			if err != nil {
				t.Fatal(err)
			}
			f := *begun
			w := f.call(t, func(*world) func(*parcel) []time.Duration {
				return func(p *parcel) []time.Duration {
					if p.kind == kind && p.from == from {
						p.packet = change(t, p.packet, func([]byte) []byte { return bytes.Clone(q.Message) })
					}
					return []time.Duration{0}
				}
			}, func(w *world) { w.start().run(time.Minute) })
			for i, e := range w.ends {
				// An initiator has its keys before it sends Confirm2, and may not use them.
				if e.secured > 0 || e.keys != nil && kind != confirm2 {
					t.Errorf("%s from another exchange: end %d has keys", what, i)
				}
			}
			if !bytes.Equal(f.caches[0].rs1, begun.caches[0].rs1) || !bytes.Equal(f.caches[1].rs1, begun.caches[1].rs1) {
				t.Errorf("%s from another exchange: a cache was changed", what)
			}
		}
	}
}
