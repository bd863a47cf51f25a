package playout

import (
	"testing"
	"time"

	"securecall/audio"
)

// A packet so far ahead that the ring would not hold it is refused; as far as
// one is taken it does not reach around to what is played now.
func TestFarAheadIsNotPlayedNow(t *testing.T) {
	t.Parallel()
	for ahead := uint32(reach - 1500); ahead < reach+1000; ahead += 60 {
		l := newLine(1)
		all := l.talk(0, 2*time.Second)
		stray := Packet{Seq: l.seq + 1, Timestamp: l.ts + ahead, Law: audio.PCMA, Payload: make([]byte, maxPayload)}
		all = append(all, delivery{at: 99*frame + 1, p: stray})
		l.play(all, 2*time.Second+3*frame)
		if index(l.heard, l.said) < 0 {
			t.Fatalf("%d samples ahead: %+v", ahead, l.b.Stats())
		}
	}
}

// Packets from far away, one now and then or many at once, are nonsense and
// change nothing.
func TestStrayTimestamps(t *testing.T) {
	for _, n := range []int{1, 50} {
		l := newLine(1)
		all := l.talk(0, 4*time.Second)
		stray := Packet{Seq: l.seq + 100, Timestamp: l.ts + 1<<29, Law: audio.PCMA, Payload: make([]byte, 160)}
		for range n {
			all = append(all, delivery{at: time.Second + time.Millisecond, p: stray})
			stray.Seq++
			stray.Timestamp += 160
		}
		l.play(all, 4*time.Second)
		if s := l.b.Stats(); index(l.heard, l.said[:len(l.said)-480]) < 0 || s.Refused != uint64(n) {
			t.Errorf("%d: %+v", n, s)
		}
	}
}

// Issue: "packets of the future". Up to a second ahead they are played in their time;
// taken for the fastest of the path they left no delay for all others, and a single one
// cost 18 s. Among good ones they are ignored, instead of them they are followed, and
// what is said afterwards is heard again within a second.
func TestPacketsOfTheFuture(t *testing.T) {
	t.Parallel()
	const from = 100 // packets
	for _, ahead := range []uint32{800, 3600, 4400, 7500} {
		for _, n := range []int{1, 3, 100} {
			for _, instead := range []bool{false, true} {
				l := newLine(1)
				l.path = l.uniform(ms(60), ms(40))
				all := l.talk(0, 10*time.Second)
				for i := range n {
					p := &all[from+i]
					stray := Packet{Seq: p.p.Seq + 500, Timestamp: p.p.Timestamp + ahead, Law: audio.PCMA, Payload: make([]byte, 160)}
					if instead {
						p.p = stray
					} else {
						all = append(all, delivery{at: p.at + 1, p: stray})
					}
				}
				l.play(all, 10*time.Second)
				most := uint64(60)
				if n == 1 {
					most = 5
				}
				if s := l.b.Stats(); s.Lost > most || s.Target > ms(150) {
					t.Errorf("%d of them, %d samples ahead, instead of others %v: %+v", n, ahead, instead, s)
				}
			}
		}
	}
}

// One among five, for as long as the call lasts, is as little.
func TestPacketsOfTheFutureWithoutEnd(t *testing.T) {
	for _, ahead := range []uint32{3600, 4800, 7500} {
		l := newLine(1)
		l.path = l.uniform(ms(60), ms(40))
		all := l.talk(0, 10*time.Second)
		for i := 100; i < 500; i += 5 {
			p := Packet{Seq: all[i].p.Seq + 500, Timestamp: all[i].p.Timestamp + ahead, Law: audio.PCMA, Payload: make([]byte, 160)}
			all = append(all, delivery{at: all[i].at + 1, p: p})
		}
		l.play(all, 10*time.Second)
		if s := l.b.Stats(); s.Lost > 5 {
			t.Errorf("%d samples ahead: %+v", ahead, s)
		}
	}
}

// A hundred times the packets that there should be, each of them new: they
// cost their share of time and nothing else.
func TestTooManyPackets(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	var all []delivery
	for at := time.Duration(0); at < 2*time.Second; at += frame / 100 {
		all = append(all, delivery{at: at, p: l.say()})
	}
	l.said = nil
	good := newLine(2)
	good.seq, good.ts = l.seq+1000, l.ts+1<<30
	all = append(all, good.talk(2*time.Second, 7*time.Second)...)
	l.play(all, 7*time.Second)
	if index(l.heard, good.said[3*audio.SampleRate:4*audio.SampleRate]) < 0 {
		t.Errorf("a clean stream after it is not heard: %+v", l.b.Stats())
	}
}
