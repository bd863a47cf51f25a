package rendezvous

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// 100,000 attempts from 100 addresses: at most 100 reach a PAKE. Every number
// that they try is one that somebody waits at, which is the worst case.
func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := DefaultLimits()
		s, err := NewServer(Settings{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		// Connections without a network below: join is all that counts here.
		var all []*conn
		end := func(from netip.Addr) *conn {
			c := &conn{server: s, from: from, raw: nowhere{}}
			c.mu.Lock()
			c.writing = true // nobody reads the answers
			c.mu.Unlock()
			s.add(c)
			all = append(all, c)
			return c
		}
		victims := 0
		for range 500 {
			c := end(netip.AddrFrom4([4]byte{203, 0, 113, byte(victims)}))
			for range 4 {
				c.open()
				victims++
			}
		}
		var numbers []uint32
		for n := range s.store.(*Memory).numbers {
			numbers = append(numbers, n)
		}
		if len(numbers) < 1500 {
			t.Fatalf("only %d mailboxes", len(numbers))
		}
		reached := func() (n int) {
			for _, b := range s.store.(*Memory).numbers {
				if b.over == errUsed {
					n++
				}
			}
			return n
		}
		attempts := 0
		for i := range 1000 {
			for a := range 100 {
				// A fresh connection for each, as its own limits are not meant.
				c := &conn{server: s, from: netip.AddrFrom4([4]byte{198, 51, 100, byte(a)}), raw: nowhere{}, writing: true}
				s.mu.Lock()
				s.last++
				c.id = s.last
				s.conns[c.id] = c
				s.mu.Unlock()
				c.join(frame{Type: typeJoin, Mailbox: numbers[(100*i+a)%len(numbers)]})
				attempts++
				s.mu.Lock()
				delete(s.conns, c.id)
				s.mu.Unlock()
				for _, one := range c.sessions {
					c.remove(one.id)
					c.leave(one, reasonEnded)
				}
			}
			time.Sleep(time.Second / 100)
		}
		got := reached()
		t.Logf("%d attempts, %d reached somebody", attempts, got)
		if attempts != 100_000 || got > 100 || got < limits.GuessesTotal.Burst {
			t.Fatalf("of %d attempts %d reached somebody", attempts, got)
		}
		for _, c := range all {
			c.raw = nowhere{}
			c.mu.Lock()
			for _, timer := range c.mailboxes {
				timer.Stop()
			}
			for _, one := range c.sessions {
				one.timer.Stop()
			}
			c.mu.Unlock()
		}
	})
}

// nowhere is a connection of which nothing is needed.
type nowhere struct{ net.Conn }

func (nowhere) Close() error { return nil }

// One network gets a few wrong codes and is then refused, even with a right
// one; others are not.
func TestGuessesOfOneNetwork(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		a := w.client("203.0.113.1")
		m := must(a.Open(ctx))(t)
		wrong := m.Number%99 + 1
		for i := range 5 {
			_, err := w.client(fmt.Sprintf("2001:db8:0:1::%d", i)).Join(ctx, wrong)
			wantErr(t, "a wrong code", err, ErrUnknown)
		}
		sixth := w.client("2001:db8:0:1::99")
		_, err := sixth.Join(ctx, m.Number)
		wantErr(t, "the sixth of one /64", err, ErrLimit)
		if !strings.Contains(w.log.String(), "limit=GuessesPerNetwork") || strings.Contains(w.log.String(), "2001:db8") {
			t.Fatalf("the log says %s", w.log)
		}
		must(w.client("2001:db8:0:2::1").Join(ctx, m.Number))(t)

		time.Sleep(time.Minute)
		m = must(a.Open(ctx))(t)
		must(sixth.Join(ctx, m.Number))(t)
	})
}

// Calls that come about cost nothing: one network can make as many as it likes.
func TestProvenJoins(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
		one := func() {
			waiting, joining := meet(t, a, b)
			if err := joining.Proven(ctx); err != nil { // not for it to say
				t.Fatal(err)
			}
			if err := waiting.Proven(ctx); err != nil {
				t.Fatal(err)
			}
			_ = waiting.Close()
			time.Sleep(3 * time.Second)
		}
		for range 200 {
			one()
		}
		for range 5 {
			_, err := b.Join(ctx, 12345)
			wantErr(t, "a wrong code", err, ErrUnknown)
		}
		m := must(a.Open(ctx))(t)
		_, err := b.Join(ctx, m.Number)
		wantErr(t, "after five wrong ones", err, ErrLimit)
	})
}

// To be proven takes back one join, and not those before it, however often it
// is said: nobody buys guesses with mailboxes of his own.
func TestProvenOnce(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
		for range 4 {
			_, err := b.Join(ctx, 12345)
			wantErr(t, "a wrong code", err, ErrUnknown)
		}
		waiting, _ := meet(t, a, b)
		for range 10 {
			if err := waiting.Proven(ctx); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		_, err := b.Join(ctx, 12345)
		wantErr(t, "the fifth wrong one", err, ErrUnknown)
		_, err = b.Join(ctx, 12345)
		wantErr(t, "the sixth", err, ErrLimit)
	})
}
