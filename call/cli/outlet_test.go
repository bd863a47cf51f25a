//go:build unix

package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"securecall/call"
)

// Nobody reads: writing goes on, and what was written comes in its order once somebody does.
func TestOutletWaitsForItsReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o := newOutlet(w)
	var want bytes.Buffer
	for i := 0; want.Len() < 300_000; i++ { // a pipe holds 64 KB
		line := bytes.Repeat([]byte{'a' + byte(i%26)}, 1+i%3000)
		want.Write(line)
		if n, err := o.Write(line); n != len(line) || err != nil {
			t.Fatalf("%d of %d octets, %v", n, len(line), err)
		}
	}
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(r)
		got <- b
	}()
	if !o.flush(time.Minute) {
		t.Error("not all has gone")
	}
	w.Close()
	if b := <-got; !bytes.Equal(b, want.Bytes()) {
		t.Errorf("%d octets came of %d, or others", len(b), want.Len())
	}
}

// What waits is bounded, and then the output counts as gone; and one that is closed is told
// as such. Neither keeps us from ending.
func TestOutletThatIsNotRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := newOutlet(w)
	line := make([]byte, 10_000)
	written := 0
	for err = nil; err == nil && written < 4*mostWaiting; written += len(line) {
		_, err = o.Write(line)
	}
	if !errors.Is(err, errStdoutGone) {
		t.Errorf("after %d octets: %v", written, err)
	}
	if o.flush(time.Millisecond) {
		t.Error("all is said to have gone")
	}
	// Once somebody reads, what is written from then on comes.
	if _, err := io.CopyN(io.Discard, r, mostWaiting); err != nil {
		t.Fatal(err)
	}
	if n, err := o.Write(line); n != len(line) || err != nil {
		t.Errorf("%d octets, %v", n, err)
	}
	r.Close()
	if o.flush(time.Minute) {
		t.Error("what went into a closed pipe is said to have gone")
	}
	w.Close()

	r, w, err = os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	o = newOutlet(w)
	if _, err := o.Write(line); err == nil {
		t.Error("a pipe that is closed takes what is written")
	}
	w.Close()
}

// As long as there is room each line is there when Write returns: stdout and stderr keep their
// order.
func TestOutletWritesAtOnce(t *testing.T) {
	var b bytes.Buffer
	o := &outlet{w: &b, room: func() bool { return true }}
	for i, want := range []string{"one\n", "one\ntwo\n"} {
		if _, err := o.Write([]byte([]string{"one\n", "two\n"}[i])); err != nil || b.String() != want {
			t.Errorf("%q, %v", &b, err)
		}
	}
}

// What a peer can have us write without end is left out where nobody reads it, and that is
// told once somebody does; what a call itself has to say is kept.
func TestPeerCannotFillTheOutput(t *testing.T) {
	var b bytes.Buffer
	blocked := true
	o := &outlet{w: &b, room: func() bool { return !blocked }, idle: make(chan struct{})} // somebody reads slowly
	p, _, _ := verifying("true")
	p.s.verifyVia = nil
	p.stdout = &console{w: o, outlet: o}
	p.events = newEvents(p.stdout, p.s)
	tell := func(e call.Event) { p.show([]item{{time.Now(), 7, e}}) }
	for range 10000 {
		tell(call.Text{Text: strings.Repeat("<", call.MaxText)})
	}
	if waits := len(o.waiting); waits > farBehind+2*call.MaxText || p.failed {
		t.Errorf("%d octets of a peer's wait, failed %v", waits, p.failed)
	}
	tell(call.Ended{})
	if !bytes.Contains(o.waiting, []byte(`"event":"ended"`)) {
		t.Error("the end of a call is left out")
	}
	blocked, o.waiting, o.idle = false, nil, nil
	tell(call.Text{Text: "<hi>"})
	if got := b.String(); !strings.Contains(got, "texts or tones were left out") || !strings.Contains(got, `"text":"<hi>"`) {
		t.Errorf("then it has\n%s", got)
	}
}
