package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/audio/speech"
	"securecall/call"
	"securecall/nat"
)

// heardFile is where demo writes what the called end heard.
const heardFile = "heard.wav"

// alike is the least correlation at which speech counts as heard: a machine
// too busy to be on time loses a frame now and then, and conceals it.
const alike = 0.9

// Demo is the command demo.
func Demo() *ucli.Command {
	return &ucli.Command{
		Name:      "demo",
		Usage:     "a whole call on this machine, over real UDP",
		UsageText: "securecall demo",
		Description: `One end listens, the other dials it and speaks, and what was heard is compared
with what was said. It is also played, where there is a speaker, and written to
` + heardFile + ` in this folder. The status is 0 only if all of it held.`,
		Action: demo,
	}
}

func demo(c *ucli.Context) error {
	if c.Args().Present() {
		return usagef("securecall help demo says what it does", "demo takes no argument, and got %q", c.Args().First())
	}
	d, err := newDemonstration()
	if err != nil {
		return err
	}
	return d.run(c.Context, c.App.Writer)
}

// A demonstration is two ends of one call in one process.
type demonstration struct {
	ear            *ear
	caller, callee *call.Endpoint
	addr           netip.AddrPort
	events         chan demoEvent
}

type demoEvent struct {
	at     time.Time
	caller bool
	e      call.Event
}

func newDemonstration() (*demonstration, error) {
	d := &demonstration{events: make(chan demoEvent, 64)}
	file, err := device.OpenSink(heardFile, device.Options{})
	if err != nil {
		return nil, err
	}
	d.ear = newEar(file)

	loopback := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	in, err := nat.Listen(context.Background(), loopback)
	if err != nil {
		return nil, err
	}
	d.addr = in.LocalAddr()
	d.callee, err = call.NewListener(call.Config{
		Mic:       func() (audio.Source, error) { return device.OpenSource("none", device.Options{}) },
		Speaker:   func() (audio.Sink, error) { return d.ear, nil },
		Client:    client,
		AcceptAll: true,
		Once:      true,
		OnEvent:   d.tell(false),
	}, in, []netip.AddrPort{d.addr})
	if err != nil {
		return nil, err
	}

	out, peers, err := nat.Dial(context.Background(), loopback, d.addr)
	if err != nil {
		return nil, err
	}
	d.caller, err = call.NewDialer(call.Config{
		Mic:         func() (audio.Source, error) { return speech.Source(), nil },
		Speaker:     func() (audio.Sink, error) { return device.OpenSink("none", device.Options{}) },
		Client:      client,
		HangupAtEOF: true,
		OnEvent:     d.tell(true),
	}, out, peers, d.addr.String())
	return d, err
}

// tell hands events over without waiting; a call of a few seconds has far
// fewer than fit.
func (d *demonstration) tell(caller bool) func(int, call.Event) {
	return func(_ int, e call.Event) {
		select {
		case d.events <- demoEvent{time.Now(), caller, e}:
		default:
		}
	}
}

func (d *demonstration) run(parent context.Context, w io.Writer) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	calleeDone, callerDone := make(chan call.Ended, 1), make(chan call.Ended, 1)
	go func() { calleeDone <- d.callee.Run(ctx) }()
	go func() { callerDone <- d.caller.Run(ctx) }()

	fmt.Fprintf(w, "one end listens on %s, the other dials it\n", d.addr)
	var r demoResult
	for calls := 2; calls > 0; {
		select {
		case e := <-d.events:
			r.take(w, e)
		case ended := <-callerDone:
			calls--
			r.caller = ended
			if ended.Reason != call.ReasonNormal {
				cancel() // the other end may wait for a call for ever
			}
		case ended := <-calleeDone:
			calls--
			r.callee = ended
		}
	}
	if err := d.ear.finish(); err != nil {
		return err
	}
	if parent.Err() != nil {
		return errInterrupted
	}
	return r.judge(w, d.ear)
}

// A demoResult is what is learned on the way.
type demoResult struct {
	dialled              time.Time
	callerSAS, calleeSAS string
	caller, callee       call.Ended
}

func (r *demoResult) take(w io.Writer, d demoEvent) {
	switch e := d.e.(type) {
	case call.Dialing:
		r.dialled = d.at
	case call.Secured:
		if !d.caller {
			r.calleeSAS = e.SAS
			return
		}
		r.callerSAS = e.SAS
		fmt.Fprintf(w, "secured in %.1f ms · %s · %s\n", milliseconds(d.at.Sub(r.dialled)), human(e.KeyAgreement), human(e.Cipher))
	case call.Answered:
		if d.caller {
			fmt.Fprintln(w, "answered: the caller speaks")
		}
	}
}

// judge says what held, and fails unless all did.
func (r *demoResult) judge(w io.Writer, heard *ear) error {
	for _, end := range []call.Ended{r.caller, r.callee} {
		if end.Reason != call.ReasonNormal {
			complain(os.Stderr, (&screen{caller: true}).whyEnded(end))
			return exitStatus(end.Reason)
		}
	}
	fmt.Fprintf(w, "the caller sees:   %s\nthe callee sees:   %s\n", r.callerSAS, r.calleeSAS)
	if r.callerSAS == "" || r.callerSAS != r.calleeSAS {
		return fmt.Errorf("the two short authentication strings differ: somebody is in between, or this is a fault of ours")
	}
	fmt.Fprintln(w, "equal: nobody is in between")

	said := speech.Samples()
	exact, correlation := compare(overTheWire(said), heard.samples)
	fmt.Fprintf(w, "heard %.1f s: %.1f %% of what was said came out sample for sample; correlation %.3f\n",
		float64(len(said))/audio.SampleRate, 100*exact, correlation)
	fmt.Fprintf(w, "written to %s%s\n", heardFile, heard.played())
	if correlation < alike {
		return errors.New("what was heard is not what was said: try again while the machine has less to do, and please report it if that goes on")
	}
	fmt.Fprint(w, "\nnext: securecall listen on one machine, and on the other\n      securecall dial ADDRESS as the first one prints it\n")
	return nil
}

// overTheWire is what G.711 leaves of s.
func overTheWire(s []int16) []int16 {
	octets, out := make([]byte, len(s)), make([]int16, len(s))
	audio.PCMU.Encode(octets, s)
	audio.PCMU.Decode(out, octets)
	return out
}

// An ear is the speaker of the called end: it keeps and writes all that it
// hears, and plays it where there is a real speaker. That one is kept at
// arm's length, so that its latency can disturb nothing.
type ear struct {
	file    audio.Sink
	samples []int16
	loud    chan audio.Frame // nil: there is no speaker
	wg      sync.WaitGroup
	once    sync.Once
	err     error
}

func newEar(file audio.Sink) *ear {
	r := &ear{file: file}
	speaker, err := device.OpenSink("default", device.Options{})
	if err != nil {
		return r // it is only for the pleasure of it
	}
	r.loud = make(chan audio.Frame, 50)
	r.wg.Go(func() {
		for f := range r.loud {
			if speaker.WriteFrame(f) != nil {
				break
			}
		}
		_ = speaker.Close()
	})
	return r
}

// WriteFrame implements audio.Sink.
func (r *ear) WriteFrame(f audio.Frame) error {
	r.samples = append(r.samples, f...)
	if r.loud != nil {
		select {
		case r.loud <- slices.Clone(f):
		default: // it is behind: let it skip
		}
	}
	return r.file.WriteFrame(f)
}

// Close implements audio.Sink.
func (r *ear) Close() error {
	r.once.Do(func() {
		if r.loud != nil {
			close(r.loud)
		}
		r.err = r.file.Close()
	})
	return r.err
}

// finish waits until all is written and played.
func (r *ear) finish() error {
	err := r.Close()
	r.wg.Wait()
	return err
}

func (r *ear) played() string {
	if r.loud == nil {
		return " (there is no speaker here to play it)"
	}
	return ", and played"
}
