package rendezvous

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"securecall/nat/rendezvous/quota"
)

func clientOver(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// dropped wants the server to have ended the connection.
func (r *rawClient) dropped(what string) {
	r.w.t.Helper()
	ctx, cancel := context.WithTimeout(r.w.t.Context(), 5*time.Minute)
	defer cancel()
	for {
		if _, _, err := r.ws.Read(ctx); err != nil {
			if ctx.Err() != nil {
				r.w.t.Fatalf("%s: still connected", what)
			}
			return
		}
	}
}

// What is no message of the protocol ends the connection that it came by, and
// no other.
func TestMalformed(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
		waiting, joining := meet(t, a, b)
		for i, text := range []string{
			"", "{", "[]", "null", "7", `"open"`, `{}`, `{"type":7}`, `{"type":"join","mailbox":-1}`,
			`{"type":"join","mailbox":1e99}`, `{"type":"join","name":"00"}`, `{"type":"join","name":"` + strings.Repeat("zz", 32) + `"}`,
			`{"type":"message","session":1,"data":"!"}`, "\xff\xfe", strings.Repeat("[", 6000), strings.Repeat(" ", maxFrame),
			`{"type":"wait","names":[` + strings.TrimSuffix(strings.Repeat(`"`+strings.Repeat("00", 32)+`",`, maxNames+1), ",") + `]}`,
			`{"type":"` + strings.Repeat("x", maxText+1) + `"}`,
		} {
			r := w.raw(fmt.Sprintf("198.51.100.%d", i))
			if err := r.say(text); err != nil {
				t.Fatal(err)
			}
			r.dropped(fmt.Sprintf("%.40q", text))
		}
		r := w.raw("198.51.100.200")
		if err := r.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"open"}`)); err != nil {
			t.Fatal(err)
		}
		r.dropped("a binary message")
		r = w.raw("198.51.100.201")
		_ = r.say(strings.Repeat(" ", maxFrame+1)) // the server need not take all of it
		r.dropped("a long message")
		say(t, joining, waiting, "nothing has happened here")
	})
}

// What is well-formed and means nothing is ignored.
func TestIgnored(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		r := w.raw("198.51.100.1")
		for _, text := range []string{
			`{"type":"sing"}`, `{"type":"opened","mailbox":3}`, `{"type":"joined","session":1}`, `{"type":"message","session":1,"data":"aGk="}`,
			`{"type":"message","data":"aGk="}`, `{"type":"proven","session":1}`, `{"type":"close","session":1}`, `{"type":"error","re":"open"}`,
		} {
			if err := r.say(text); err != nil {
				t.Fatal(err)
			}
		}
		r.ask(`{"type":"open","new":true}`, typeOpened)
	})
}

// A session is between two connections: others can neither speak in it nor
// end it, whatever numbers they try.
func TestOthersSessions(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
		waiting, joining := meet(t, a, b)
		r := w.raw("198.51.100.1")
		for n := range 8 {
			for _, kind := range []string{typeMessage, typeProven, typeClose} {
				if err := r.say(fmt.Sprintf(`{"type":%q,"session":%d,"data":"aGk="}`, kind, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.ask(`{"type":"open"}`, typeOpened)
		say(t, waiting, joining, "one")
		say(t, joining, waiting, "two")
	})
}

// A name is known to its two sides only: others cannot take it away or see it.
func TestOthersNames(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
		name := Name{1, 2, 3}
		if err := a.Wait(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		r := w.raw("198.51.100.1")
		if f := r.ask(`{"type":"unwait","names":["`+name.String()+`"]}`, typeWaiting); f.Count != 0 {
			t.Fatalf("%+v", f)
		}
		if f := r.ask(`{"type":"join","name":"`+Name{1, 2}.String()+`"}`, typeError); f.Reason != reasonUnknown {
			t.Fatalf("%+v", f)
		}
		// No name at all is a name like any other, of nobody.
		if f := r.ask(`{"type":"join"}`, typeError); f.Reason != reasonUnknown {
			t.Fatalf("%+v", f)
		}
		must(b.JoinName(t.Context(), name))(t)
	})
}

// Each limit holds, says so to who hits it and in the log.
func TestLimits(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*Limits)
		hit  func(t *testing.T, w *world)
	}{
		"Connections": {func(l *Limits) { l.Connections = 2 }, func(t *testing.T, w *world) {
			w.client("203.0.113.1")
			w.client("203.0.113.2")
			_, err := w.tryClient("203.0.113.3")
			wantErr(t, "the third", err, ErrRefused)
		}},
		"ConnectionsPerNetwork": {func(l *Limits) { l.ConnectionsPerNetwork = 2 }, func(t *testing.T, w *world) {
			first := w.client("203.0.113.1")
			w.client("203.0.113.1")
			_, err := w.tryClient("203.0.113.1")
			wantErr(t, "the third", err, ErrRefused)
			w.client("203.0.113.2")
			_ = first.Close()
			synctest.Wait()
			w.client("203.0.113.1")
		}},
		"ConnectsPerNetwork": {func(l *Limits) { l.ConnectsPerNetwork = quota.Rate{Burst: 2, Every: time.Second} }, func(t *testing.T, w *world) {
			for range 2 {
				_ = w.client("203.0.113.1").Close()
			}
			_, err := w.tryClient("203.0.113.1")
			wantErr(t, "the third", err, ErrRefused)
			time.Sleep(time.Second)
			w.client("203.0.113.1")
		}},
		"MailboxesPerConnection": {nil, func(t *testing.T, w *world) {
			a := w.client("203.0.113.1")
			for range 4 {
				must(a.Open(t.Context()))(t)
			}
			_, err := a.Open(t.Context())
			wantErr(t, "the fifth", err, ErrLimit)
		}},
		"Mailboxes": {func(l *Limits) { l.Mailboxes = 1 }, func(t *testing.T, w *world) {
			a := w.client("203.0.113.1")
			must(a.Open(t.Context()))(t)
			_, err := a.Open(t.Context())
			wantErr(t, "the second", err, ErrLimit)
		}},
		"OpensPerNetwork": {nil, func(t *testing.T, w *world) {
			for range 30 {
				a := w.client("203.0.113.1")
				must(a.Open(t.Context()))(t)
				_ = a.Close()
			}
			_, err := w.client("203.0.113.1").Open(t.Context())
			wantErr(t, "the thirty-first", err, ErrLimit)
		}},
		"NamesPerConnection": {func(l *Limits) { l.NamesPerConnection = 2 }, func(t *testing.T, w *world) {
			a := w.client("203.0.113.1")
			wantErr(t, "three", a.Wait(t.Context(), Name{1}, Name{2}, Name{3}), ErrLimit)
		}},
		"Names": {func(l *Limits) { l.Names = 2 }, func(t *testing.T, w *world) {
			a := w.client("203.0.113.1")
			wantErr(t, "three", a.Wait(t.Context(), Name{1}, Name{2}, Name{3}), ErrLimit)
		}},
		"NameJoinsPerNetwork": {nil, func(t *testing.T, w *world) {
			a := w.client("203.0.113.1")
			for range 30 {
				_, err := a.JoinName(t.Context(), Name{1})
				wantErr(t, "nobody", err, ErrUnknown)
			}
			_, err := a.JoinName(t.Context(), Name{1})
			wantErr(t, "the thirty-first", err, ErrLimit)
		}},
		"SessionsPerConnection": {func(l *Limits) { l.SessionsPerConnection = 1 }, func(t *testing.T, w *world) {
			a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
			meet(t, a, b)
			m := must(a.Open(t.Context()))(t)
			_, err := w.client("203.0.113.3").Join(t.Context(), m.Number)
			wantErr(t, "the second", err, ErrLimit)
			if _, err := a.Accept(t.Context()); err == nil || err.Error() != (&GoneError{Mailbox: m.Number}).Error() {
				t.Fatalf("who waits is told %v", err)
			}
		}},
		"Sessions": {func(l *Limits) { l.Sessions = 1 }, func(t *testing.T, w *world) {
			a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
			m := must(a.Open(t.Context()))(t)
			_, err := b.Join(t.Context(), m.Number) // its two ends are two
			wantErr(t, "the second", err, ErrLimit)
		}},
		"GuessesTotal": {func(l *Limits) { l.GuessesTotal.Burst = 1 }, func(t *testing.T, w *world) {
			a := w.client("203.0.113.1")
			for range 3 { // these come through to nobody
				_, err := w.client("203.0.113.4").Join(t.Context(), 12345)
				wantErr(t, "a wrong code", err, ErrUnknown)
			}
			meet(t, a, w.client("203.0.113.2"))
			m := must(a.Open(t.Context()))(t)
			_, err := w.client("203.0.113.3").Join(t.Context(), m.Number)
			wantErr(t, "the second", err, ErrLimit)
			time.Sleep(3 * time.Minute) // and the mailbox was not burnt
			must(w.client("203.0.113.3").Join(t.Context(), m.Number))(t)
		}},
		"Messages": {func(l *Limits) { l.Messages = 3 }, func(t *testing.T, w *world) {
			waiting, joining := meet(t, w.client("203.0.113.1"), w.client("203.0.113.2"))
			for range 3 {
				say(t, joining, waiting, "again")
			}
			say(t, waiting, joining, "once")
			if err := joining.Send(t.Context(), []byte("one too many")); err != nil {
				t.Fatal(err)
			}
			_, err := waiting.Receive(t.Context())
			wantErr(t, "the other end", err, ErrLimit)
			_, err = joining.Receive(t.Context())
			wantErr(t, "who spoke too much", err, ErrLimit)
		}},
		"Frames": {nil, func(t *testing.T, w *world) {
			r := w.raw("198.51.100.1")
			go func() {
				for range 100 {
					_ = r.say(`{"type":"sing"}`)
				}
			}()
			r.dropped("a flood of messages")
		}},
		"Octets": {nil, func(t *testing.T, w *world) {
			r := w.raw("198.51.100.1")
			go func() {
				for range 50 {
					_ = r.say(`{"type":"sing","song":"` + strings.Repeat("la ", 2000) + `"}`)
				}
			}()
			r.dropped("a flood of octets")
		}},
		"Queue": {func(l *Limits) { l.Queue = 32 << 10; l.Frames.Burst = 1000 }, func(t *testing.T, w *world) {
			// It joins, and then does not read any more.
			r := w.raw("198.51.100.1")
			a := w.client("203.0.113.1")
			m := must(a.Open(t.Context()))(t)
			r.ask(fmt.Sprintf(`{"type":"join","mailbox":%d}`, m.Number), typeJoined)
			waiting := must(a.Accept(t.Context()))(t)
			for range 10 {
				if err := waiting.Send(t.Context(), make([]byte, MaxData)); err != nil {
					break
				}
			}
			_, err := waiting.Receive(t.Context())
			wantErr(t, "after that", err, ErrLost)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			edit := func(s *Settings) {
				if test.edit != nil {
					test.edit(&s.Limits)
				}
			}
			inWorld(t, edit, func(t *testing.T, w *world) {
				test.hit(t, w)
				if !strings.Contains(w.log.String(), "limit="+name+" ") {
					t.Errorf("the log says %q", w.log)
				}
			})
		})
	}
}

// Pings, and fragments of nothing, count like what is said.
func TestPingFlood(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		r := w.raw("198.51.100.1")
		go func() {
			for range 1000 {
				// A ping without content, masked with zeros.
				if _, err := r.conn.Write([]byte{0x89, 0x80, 0, 0, 0, 0}); err != nil {
					return
				}
			}
		}()
		r.dropped("a flood of pings")

		q := w.raw("198.51.100.2")
		go func() {
			text := []byte{0x01, 0x80, 0, 0, 0, 0} // to be continued
			more := []byte{0x00, 0x80, 0, 0, 0, 0}
			for b := text; ; b = more {
				if _, err := q.conn.Write(b); err != nil {
					return
				}
			}
		}()
		q.dropped("a flood of empty fragments")
	})
}

// Who connects and says nothing, or one octet now and then, is dropped.
func TestSlow(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		start := time.Now()
		c, err := w.listener.dialer("198.51.100.1")(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []byte("GET /rendezvous HTTP/1.1\r\nHost: a.very.long.name.example\r\n") {
			if _, err = c.Write([]byte{b}); err != nil {
				break
			}
			time.Sleep(time.Second)
		}
		if err == nil || time.Since(start) > 25*time.Second { // ten to speak, ten to take the answer
			t.Fatalf("a slow request: %v after %v", err, time.Since(start))
		}
		// The same within a message.
		r := w.raw("198.51.100.2")
		start = time.Now()
		if _, err = r.conn.Write([]byte{0x81, 0x80 | 100, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		for err == nil && time.Since(start) < time.Hour {
			time.Sleep(time.Second)
			_, err = r.conn.Write([]byte{' '})
		}
		if lasted := time.Since(start); lasted > 80*time.Second {
			t.Fatalf("a slow message: %v after %v", err, lasted)
		}
		// And one that takes nothing, with no more than fits into its queue.
		r = w.raw("198.51.100.3")
		a := w.client("203.0.113.1")
		m := must(a.Open(t.Context()))(t)
		r.ask(fmt.Sprintf(`{"type":"join","mailbox":%d}`, m.Number), typeJoined)
		waiting := must(a.Accept(t.Context()))(t)
		if err := waiting.Send(t.Context(), []byte("are you there?")); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		_, err = waiting.Receive(t.Context())
		wantErr(t, "the other end", err, ErrLost)
		if time.Since(start) > 11*time.Second {
			t.Fatalf("noticed after %v", time.Since(start))
		}
	})
}

// Behind a proxy people are told apart by what it says; what others say of
// themselves is not believed.
func TestProxy(t *testing.T) {
	edit := func(s *Settings) {
		s.Limits.ConnectionsPerNetwork = 1
		s.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}
	inWorld(t, edit, func(t *testing.T, w *world) {
		try := func(from, header string) int {
			ws, response, err := websocket.Dial(t.Context(), testServer.url(), &websocket.DialOptions{
				HTTPClient: clientOver(w.listener.dialer(from)), HTTPHeader: http.Header{"X-Forwarded-For": {header}},
				Subprotocols: []string{subprotocol},
			})
			if err == nil {
				t.Cleanup(func() { _ = ws.CloseNow() })
			}
			if response == nil {
				return 0
			}
			return response.StatusCode
		}
		for _, step := range []struct {
			from, header string
			want         int
		}{
			{"127.0.0.1", "203.0.113.1", 101},
			{"127.0.0.1", "203.0.113.2", 101},
			{"127.0.0.1", "203.0.113.2", 429},
			{"127.0.0.1", "198.51.100.7, 203.0.113.2", 429}, // the first is what the client wrote
			{"127.0.0.1", "nonsense", 101},
			{"127.0.0.1", "more nonsense", 429},
			{"203.0.113.9", "203.0.113.2", 101}, // nobody's proxy
			{"203.0.113.9", "203.0.113.11", 0},  // closed before it could say so
		} {
			if got := try(step.from, step.header); got != step.want {
				t.Errorf("from %s for %q: %d, want %d", step.from, step.header, got, step.want)
			}
		}
	})
}

// Browsers are kept out, since a web page could use its readers' addresses.
func TestBrowser(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		_, response, err := websocket.Dial(t.Context(), testServer.url(), &websocket.DialOptions{
			HTTPClient: clientOver(w.listener.dialer("203.0.113.1")), HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
			Subprotocols: []string{subprotocol},
		})
		if err == nil || response.StatusCode != http.StatusForbidden {
			t.Fatalf("%v, %v", response, err)
		}
	})
}

// When the server ends, everybody is told by the end of the connection.
func TestServerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewServer(Settings{Limits: DefaultLimits()})
		if err != nil {
			t.Fatal(err)
		}
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l, nil) }()
		c, err := Dial(t.Context(), testServer, Options{Dial: l.dialer("203.0.113.1")})
		if err != nil {
			t.Fatal(err)
		}
		must(c.Open(t.Context()))(t)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		_, err = c.Accept(t.Context())
		wantErr(t, "who waits", err, ErrLost)
		_ = c.Close()
	})
}

// Three clients say anything, in any order: nothing breaks, and when they have
// gone nothing is left of them.
func FuzzRequests(f *testing.F) {
	name := `"` + strings.Repeat("0f", 32) + `"`
	for _, s := range []string{
		"0{\"type\":\"open\"}\n1{\"type\":\"join\",\"mailbox\":1}\n1{\"type\":\"message\",\"session\":1,\"data\":\"aGk=\"}\n0{\"type\":\"proven\",\"session\":1}\n0{\"type\":\"close\",\"session\":1}",
		"0{\"type\":\"wait\",\"names\":[" + name + "]}\n1{\"type\":\"join\",\"name\":" + name + "}\n2{\"type\":\"wait\",\"names\":[" + name + "]}\n0{\"type\":\"unwait\",\"names\":[" + name + "]}",
		"0{\"type\":\"wait\",\"names\":[" + name + "]}\n0{\"type\":\"join\",\"name\":" + name + "}\n0{\"type\":\"close\",\"session\":1}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		limits := DefaultLimits()
		limits.SessionsPerConnection, limits.NamesPerConnection, limits.Messages = 3, 3, 3
		s, err := NewServer(Settings{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		// The one mailbox that there may be has a number that can be guessed.
		m := s.store.(*Memory)
		for n := uint32(2); n <= 99; n++ {
			m.numbers[n] = &mailbox{over: errUsed}
		}
		var all [3]*conn
		for i := range all {
			all[i] = &conn{server: s, from: netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), raw: nowhere{}, writing: true}
			s.add(all[i])
		}
		for line := range strings.SplitSeq(said, "\n") {
			if line == "" {
				continue
			}
			one, err := parse([]byte(line[1:]))
			if err == nil {
				all[line[0]%3].handle(one)
			}
		}
		for _, c := range all {
			c.giveBack()
			s.queued.Add(-int64(c.waiting))
		}
		if s.mailboxes.Load() != 0 || s.names.Load() != 0 || s.sessions.Load() != 0 || s.queued.Load() != 0 || len(m.names) != 0 {
			t.Fatalf("%d mailboxes, %d and %d names, %d sessions, %d octets are left",
				s.mailboxes.Load(), s.names.Load(), len(m.names), s.sessions.Load(), s.queued.Load())
		}
	})
}
