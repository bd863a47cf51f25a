package call

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"securecall/crypto/zrtp/wire"
	"securecall/nat/memnet"
)

// texts are the lines that a side was told.
func texts(s *side) (lines []string) {
	for _, t := range all[Text](s) {
		lines = append(lines, t.Text)
	}
	return lines
}

// Lines go both ways, each comes once and in order, whatever the network loses.
func TestTextBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7)
		w.conditions(memnet.Conditions{Delay: 30 * time.Millisecond, Loss: 0.2})
		w.run()
		await[Answered](t, &w.alice)
		await[Answered](t, &w.bob)
		lines := map[*side][]string{
			&w.alice: {"the door code is 4711", "ünïcödé 🦉", strings.Repeat("x", MaxText), "\x1b[31mred\u202e"},
			&w.bob:   {"got it", "a", "b", "c"},
		}
		for i := range 4 {
			for s, lines := range lines {
				if err := s.e.Say(0, lines[i]); err != nil {
					t.Errorf("line %d: %v", i, err)
				}
			}
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second)
		if got := texts(&w.bob); !slices.Equal(got, lines[&w.alice]) {
			t.Errorf("Bob reads %q", got)
		}
		if got := texts(&w.alice); !slices.Equal(got, lines[&w.bob]) {
			t.Errorf("Alice reads %q", got)
		}
		w.stop()
	})
}

func TestTextThatCannotBeSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.AcceptAll = false
		w.run()
		await[Ringing](t, &w.alice)
		for text, want := range map[string]error{
			"hello":                          ErrNotTold, // it rings
			strings.Repeat("ü", MaxText/2+1): ErrTooLong,
			"":                               ErrNoText,
			"a\xff":                          ErrNoText,
		} {
			if err := w.alice.e.Say(0, text); !errors.Is(err, want) {
				t.Errorf("%.10q while it rings: %v", text, err)
			}
		}
		w.bob.e.Do(0, Answer)
		await[Answered](t, &w.alice)
		if err := w.alice.e.Say(99, "hello"); !errors.Is(err, ErrNoCall) {
			t.Errorf("in another call: %v", err)
		}
		if err := w.alice.e.Say(1, "hello"); err != nil {
			t.Error(err)
		}
		w.bob.e.Do(0, Hangup)
		w.alice.result(t)
		if err := w.alice.e.Say(0, "hello"); !errors.Is(err, ErrNoCall) {
			t.Errorf("after the call: %v", err)
		}
		w.stop()
	})
}

// Another program is no reader of lines, whoever has called.
func TestNoTextToAPlainPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Client = "another phone"
		w.run()
		await[Answered](t, &w.alice)
		if err := w.alice.e.Say(0, "hello"); !errors.Is(err, ErrNotTold) {
			t.Errorf("to a plain callee: %v", err)
		}
		w.stop()
	})
	// A plain caller: it has said nothing by call control, and its Hello names another.
	c := core{client: "another phone"}
	if c.heeds() {
		t.Error("a callee says lines to another program")
	}
	if c.spoke = true; !c.heeds() {
		t.Error("whoever speaks call control is told nothing")
	}
}

// More than one packet can hold, and nothing of it acknowledged: the call goes on, its
// packets cross any path, and no line is forgotten.
func TestManyLongLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond})
		var deaf atomic.Bool
		var largest atomic.Int64
		w.net.SetTap(func(from, _ netip.AddrPort, b []byte) []byte {
			if from == w.alice.addr {
				largest.Store(max(largest.Load(), int64(len(b))))
			}
			if deaf.Load() && from == w.bob.addr && classify(b) == kindRTCP {
				return nil
			}
			return b
		})
		w.run()
		await[Answered](t, &w.alice)
		time.Sleep(time.Second)
		largest.Store(0)
		deaf.Store(true)
		var said []string
		for i := range maxUnheard {
			said = append(said, strings.Repeat(string(rune('a'+i)), MaxText))
			if err := w.alice.e.Say(0, said[i]); err != nil {
				t.Fatalf("line %d: %v", i, err)
			}
		}
		if err := w.alice.e.Say(0, "one more"); !errors.Is(err, ErrBehind) {
			t.Errorf("a ninth line that waits: %v", err)
		}
		time.Sleep(time.Second)
		deaf.Store(false)
		time.Sleep(3 * time.Second)
		if got := texts(&w.bob); !slices.Equal(got, said) {
			t.Errorf("Bob reads %d of %d lines", len(got), len(said))
		}
		if n := largest.Load(); n > 1232 { // what IPv6 lets through anywhere
			t.Errorf("a datagram of %d octets", n)
		}
		if err := w.alice.e.Say(0, "one more"); err != nil {
			t.Error(err)
		}
		w.stop()
	})
}

// A line that does not arrive is given up, and whoever wrote it knows, once.
func TestUnheardLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var cut atomic.Bool
		w.net.SetTap(func(from, _ netip.AddrPort, b []byte) []byte {
			if cut.Load() && from == w.alice.addr {
				return nil
			}
			return b
		})
		w.run()
		await[Answered](t, &w.alice)
		await[Answered](t, &w.bob)
		cut.Store(true)
		if err := w.alice.e.Say(0, "hello"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if f := all[Fault](&w.alice); len(f) != 1 || !errors.Is(f[0].Err, ErrUnheard) {
			t.Errorf("told %v", f)
		}
		cut.Store(false)
		time.Sleep(5 * time.Second)
		if lines := texts(&w.bob); len(lines) > 0 {
			t.Errorf("Bob reads %q after all", lines)
		}
		w.stop()
	})
}

// talker is a call without I/O, in which there is sound.
func talker(t *testing.T) *core {
	t.Helper()
	conf, err := Config{Echo: true}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCallee(&conf, wire.ZID{1}, nil, netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	_, c.media = pair(t)
	c.phase = talking
	return c
}

func (c *core) told() (events []Event) {
	for e, ok := c.NextEvent(); ok; e, ok = c.NextEvent() {
		events = append(events, e)
	}
	return events
}

// What a hostile peer says: a flood of lines is cut off, and what is no UTF-8 is left
// out. Whatever a body is, nothing panics.
func TestHostileWords(t *testing.T) {
	c := talker(t)
	now := time.Unix(1000, 0)
	for range 1000 {
		c.hear(now, message{1, wordText, []byte("buy")})
		now = now.Add(time.Millisecond)
	}
	if n := len(c.told()); n < textRate || n > 2*textRate+1 {
		t.Errorf("%d lines of a flood of one second are told", n)
	}
	dropped := map[string]uint64{}
	if c.media.drops.into(dropped); dropped["flood"] < 900 {
		t.Errorf("%v", dropped)
	}
	for body, want := range map[string]string{
		"a\xffb\xc3":                   "ab",
		"\xf0\x9f\xa6":                 "",
		"":                             "",
		strings.Repeat("\xff", 512):    "",
		"\x1b]0;x\x07\r\n\x00\u202e":   "\x1b]0;x\x07\r\n\x00\u202e", // for who prints it
		strings.Repeat("é", 256):       strings.Repeat("é", 256),
		strings.Repeat("a\xed\xa0", 9): strings.Repeat("a", 9),
	} {
		now = now.Add(time.Second)
		c.hear(now, message{1, wordText, []byte(body)})
		events := c.told()
		if want == "" && len(events) == 0 {
			continue
		}
		if len(events) != 1 || events[0] != (Text{want}) || !utf8.ValidString(want) {
			t.Errorf("%q is told as %q", body, events)
		}
	}
	for _, body := range []string{"", "\x02", "\xff", "\x00", "\x00\x01", "x"} {
		c.hear(now, message{1, wordRecording, []byte(body)})
		if events := c.told(); len(events) > 0 {
			t.Errorf("a recording of %q is told as %v", body, events)
		}
	}
	on := 0
	for i := range 2000 {
		c.hear(now, message{1, wordRecording, []byte{byte(1 - i%2)}})
		for _, e := range c.told() {
			if e == (PeerRecording{On: true}) {
				on++
			}
		}
	}
	if on < 1 || on > 2*unrecordBurst || !c.peerRecords {
		t.Errorf("a thousand recordings are told as %d; it records: %v", on, c.peerRecords)
	}
}

// What has no room in one packet follows as soon as that has arrived.
func TestControlCutsInOrder(t *testing.T) {
	var a, b control
	now := time.Unix(1000, 0)
	for range 5 {
		a.say(now, wordText, make([]byte, maxBody))
	}
	for n := range uint32(5) {
		if !a.due(now) {
			t.Fatalf("message %d is not due", n+1)
		}
		fresh := b.hear(a.take(now))
		if len(fresh) != 1 || fresh[0].number != n+1 {
			t.Fatalf("packet %d holds %d messages", n+1, len(fresh))
		}
		a.hear(b.take(now))
	}
	if len(a.unsaid) > 0 || a.heard != 5 {
		t.Errorf("%d are left, and %d were heard", len(a.unsaid), a.heard)
	}
}

// Whoever writes faster than the other side takes lines is told, and no line is lost
// without a word.
func TestLinesFasterThanTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.stop()
		w.run()
		await[Answered](t, &w.alice)
		await[Answered](t, &w.bob)
		taken := 0
		for range 30 {
			switch err := w.alice.e.Say(0, "a line"); {
			case err == nil:
				taken++
			case !errors.Is(err, ErrBehind):
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if got := len(texts(&w.bob)); got != taken || taken < 8 || taken == 30 {
			t.Errorf("of 30 lines in 0.6 s %d were taken, and %d arrived", taken, got)
		}
	})
}
