package rendezvous

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
)

// What can be parsed can be written, and means the same.
func FuzzFrame(f *testing.F) {
	name := `"` + strings.Repeat("0f", 32) + `"`
	for _, s := range []string{
		`{"type":"open"}`, `{"type":"wait","names":[` + name + `]}`, `{"type":"join","mailbox":48}`, `{"type":"join","name":` + name + `}`,
		`{"type":"message","session":1,"data":"aGVsbG8="}`, `{"type":"closed","session":1,"reason":"lost"}`,
		`{"type":"joined","session":1,"mailbox":48,"waiting":true,"relays":[{"port":3478,"username":"1:a","password":"b","seconds":600}]}`,
		`{"type":"error","re":"join","reason":"used"}`, `{"type":"opened","mailbox":7,"seconds":3600}`, `{"type":"waiting","count":3}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		one, err := parse(b)
		if err != nil {
			if !errors.Is(err, errFrame) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		var again frame
		if err := json.Unmarshal(one.encode(), &again); err != nil {
			t.Fatal(err)
		}
		normal := func(f frame) frame { // nothing and empty are one
			if len(f.Names) == 0 {
				f.Names = nil
			}
			if len(f.Data) == 0 {
				f.Data = nil
			}
			if len(f.Relays) == 0 {
				f.Relays = nil
			}
			return f
		}
		if !reflect.DeepEqual(normal(one), normal(again)) {
			t.Fatalf("%+v became %+v", one, again)
		}
	})
}

// All that either side writes fits into one frame of the other.
func TestFramesFit(t *testing.T) {
	names := make([]Name, maxNames)
	relays := make([]Relay, maxRelays)
	for i := range relays {
		relays[i] = Relay{Host: strings.Repeat("h", 253), Port: 65535, Username: strings.Repeat("u", 27), Password: strings.Repeat("p", 28), Seconds: 1 << 30}
	}
	for _, f := range []frame{
		{Type: typeWait, Names: names},
		{Type: typeMessage, Session: 1<<32 - 1, Data: make([]byte, MaxData)},
		{Type: typeJoined, Session: 1<<32 - 1, Name: Name{1}, Waiting: true, Relays: relays},
	} {
		if _, err := parse(f.encode()); err != nil {
			t.Errorf("%s: %v", f.Type, err)
		}
	}
}

// A server may say anything; the client ends the connection, and hangs nowhere.
func TestHostileServer(t *testing.T) {
	for name, said := range map[string][]string{
		"an answer to nothing, twice":  {`{"type":"opened","mailbox":1}`, `{"type":"opened","mailbox":1}`},
		"another answer":               {`{"type":"waiting","count":1}`},
		"a number that is none":        {`{"type":"opened"}`},
		"no message":                   {`hello`},
		"session 0":                    {`{"type":"joined","session":0,"mailbox":1,"waiting":true}`},
		"the same session twice":       {`{"type":"joined","session":1,"mailbox":1,"waiting":true}`, `{"type":"joined","session":1,"mailbox":1,"waiting":true}`},
		"joins without end":            strings.Split(strings.Repeat(`{"type":"gone","mailbox":1}`+"\n", 100), "\n"),
		"an error of something else":   {`{"type":"error","re":"join","reason":"used"}`},
		"a relay with a long password": {`{"type":"joined","session":1,"waiting":true,"relays":[{"password":"` + strings.Repeat("p", 257) + `"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := scripted(t, said)
				_, err := c.Open(t.Context())
				if err == nil {
					synctest.Wait()
					_, err = c.Open(t.Context())
				}
				wantErr(t, "Open", err, ErrLost)
				_, err = c.Accept(t.Context())
				for err == nil || !errors.Is(err, ErrLost) { // what came before it may be told
					_, err = c.Accept(t.Context())
				}
			})
		})
	}
}

// Messages that nobody receives are bounded, and end their session alone.
func TestUnreceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := []string{`{"type":"joined","session":1,"mailbox":1,"waiting":true}`}
		for range maxReceived + 10 {
			said = append(said, `{"type":"message","session":1,"data":"aGk="}`)
		}
		c := scripted(t, append(said, `{"type":"opened","mailbox":5}`))
		if m := must(c.Open(t.Context()))(t); m.Number != 5 {
			t.Fatalf("%+v", m)
		}
		s := must(c.Accept(t.Context()))(t)
		var err error
		n := -1
		for ; err == nil; n++ {
			_, err = s.Receive(t.Context())
		}
		wantErr(t, "the end", err, ErrLimit)
		if n != maxReceived {
			t.Errorf("%d were received", n)
		}
	})
}

// scripted is a client whose server says what is given once it has heard
// something.
func scripted(t *testing.T, said []string) *Client {
	l := newPipes()
	t.Cleanup(func() { l.cut(); _ = l.Close() })
	server := &scriptedServer{said: said}
	go func() { _ = server.serve(l) }()
	c, err := Dial(t.Context(), testServer, Options{Dial: l.dialer("203.0.113.1")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

type scriptedServer struct{ said []string }

func (s *scriptedServer) serve(l net.Listener) error {
	return serveWebSocket(l, func(ws *websocket.Conn) {
		ctx := context.Background()
		if _, _, err := ws.Read(ctx); err != nil {
			return
		}
		gone := make(chan struct{})
		go func() { // hear what else the client says
			defer close(gone)
			for {
				if _, _, err := ws.Read(ctx); err != nil {
					return
				}
			}
		}()
		for _, text := range s.said {
			if ws.Write(ctx, websocket.MessageText, []byte(text)) != nil {
				return
			}
		}
		<-gone
	})
}
