package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
	"securecall/nat"
	"securecall/nat/rendezvous"
)

// Doctor is the command doctor.
func Doctor() *ucli.Command {
	return &ucli.Command{
		Name:  "doctor",
		Usage: "what works here, and what to do about the rest",
		UsageText: `securecall doctor
securecall doctor --via meet.example
securecall doctor --mic none --speaker none --json`,
		Description: `It tries what a call with these flags needs: sound, network, state and clock. A line begins
with ok, warn (it works, but) or FAIL, and the next one says what to do. Nothing is sent to
anybody but whom --via names, and with --map the router. A tone is played, to be heard by the
microphone. The status is 0 if nothing fails, and else what a call would end with.`,
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "via", Usage: "try the meeting point `SERVER` too, with its STUN and its relay: HOST[:PORT], or ws://HOST[:PORT] without TLS"},
			toggle("map", "have the router forward a port, and give it back"),
			&ucli.StringFlag{Name: "bind", Usage: "local address to try, `ADDR[:PORT]`", DefaultText: "[::]:5004, both families"},
			&ucli.StringFlag{Name: "mic", Usage: "the `SRC` to try, as in a call"},
			&ucli.StringFlag{Name: "speaker", Usage: "the `DST` to try, as in a call"},
			stateFlag(),
			toggle("json", "one check a line"),
		},
		Action: func(c *ucli.Context) error {
			d, err := newCheckup(c)
			if err != nil {
				return err
			}
			return d.run()
		},
	}
}

const (
	checkTime = 5 * time.Second // that what is waited for may take
	graceTime = 3 * time.Second // after an interrupt, to give back what was asked for
)

// A checkup is one run of doctor.
type checkup struct {
	ctx          context.Context
	bind         netip.AddrPort
	mic, speaker string
	via          *rendezvous.Address
	mapPort      bool
	state        string // the folder
	json         bool

	out     *console
	screen  *screen
	begun   time.Time
	checks  int
	failed  int
	status  int           // of the first that failed
	path    nat.Path      // at bind; nil: there is none
	outside netip.Addr    // our IPv4 address as others see it; not valid: not known
	ahead   time.Duration // of the meeting point's clock
	dated   bool          // that is known
}

func newCheckup(c *ucli.Context) (d *checkup, err error) {
	if c.Args().Present() {
		return nil, usagef("securecall help doctor shows what it takes", "doctor takes no argument, and got %q", printable(c.Args().First()))
	}
	d = &checkup{
		ctx:     c.Context,
		bind:    netip.AddrPortFrom(netip.IPv6Unspecified(), nat.DefaultPort),
		mic:     orDefault(c.String("mic")),
		speaker: orDefault(c.String("speaker")),
		mapPort: c.Bool("map"),
		json:    c.Bool("json"),
		out:     newConsole(os.Stdout),
		begun:   time.Now(),
	}
	if d.via, _, err = readVia(c); err != nil {
		return nil, err
	}
	if b := c.String("bind"); b != "" {
		if d.bind, err = parseBind(b, nat.DefaultPort); err != nil {
			return nil, err
		}
	}
	if d.state, err = stateDir(c); err != nil {
		return nil, err
	}
	plain := os.Getenv("TERM") == "dumb"
	d.screen = &screen{talk: io.Discard, color: d.out.terminal && !plain && os.Getenv("NO_COLOR") == ""}
	if stderr := newConsole(os.Stderr); stderr.terminal && !plain && inForeground(os.Stderr) {
		d.screen.live = stderr
	}
	return d, nil
}

func (d *checkup) run() error {
	for _, part := range []func() error{d.sound, d.network, d.meeting, d.router, d.memory, d.clock} {
		if err := part(); err != nil {
			return d.end(err)
		}
		if d.out.err != nil {
			return d.out.err
		}
	}
	return d.end(nil)
}

// end says how it went; err is an interrupt.
func (d *checkup) end(err error) error {
	if d.path != nil {
		d.path.Close()
	}
	if err != nil {
		d.status = diagnose(err).status
	}
	switch {
	case d.json:
		d.line(jsonDoctor{newHead(time.Now(), "doctor", 0), d.status == 0, d.status})
	case d.failed > 0:
		d.screen.say(d.out, "%d of %d failed", d.failed, d.checks)
	case err == nil:
		d.screen.say(d.out, "what a call needs works here")
	}
	switch {
	case d.out.err != nil:
		return errStdoutGone
	case err == nil && d.status != 0:
		return exitStatus(d.status)
	}
	return err
}

// during runs f, which has checkTime, and on a terminal says meanwhile what is waited for.
// The error is errInterrupted; f may then still be running.
func (d *checkup) during(what string, f func(context.Context)) error {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	return d.watch(ctx, what, f)
}

func (d *checkup) watch(ctx context.Context, what string, f func(context.Context)) error {
	done := make(chan struct{})
	d.screen.wait(time.Now(), "waiting for "+what)
	defer d.screen.done()
	go func() {
		defer close(done)
		f(ctx)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			d.screen.tick(now)
			continue
		case <-d.ctx.Done():
			select {
			case <-done:
			case <-time.After(graceTime):
			}
		case <-done:
		}
		if d.ctx.Err() != nil {
			return errInterrupted
		}
		return nil
	}
}

// A check is what was found out about one thing.
type check struct {
	label  string
	what   string
	hint   string // the next step; may be empty
	doubt  bool   // it works, but
	status int    // that a call would end with; 0: it works
}

// failure is the check of what ended in err.
func failure(label string, err error) check {
	d := diagnose(err)
	return check{label: label, what: d.what, hint: d.hint, status: d.status}
}

// serverFailure is that of a meeting point.
func serverFailure(label string, err error) check {
	k := failure(label, err)
	if k.status = int(call.ReasonServer); k.hint == "" {
		k.hint = "a fault of the server's, or of the way to it: try again later, or another server"
	}
	return k
}

// name is the label as a script has it.
func (k check) name() string { return strings.ReplaceAll(strings.ToLower(k.label), " ", "_") }

func (k check) word() (text, style string) {
	switch {
	case k.status != 0:
		return "FAIL", red
	case k.doubt:
		return "warn", yellow
	}
	return "ok", green
}

func (d *checkup) tell(checks ...check) {
	for _, k := range checks {
		d.checks++
		if k.status != 0 {
			if d.failed++; d.status == 0 {
				d.status = k.status
			}
		}
		k.what, k.hint = printable(k.what), printable(k.hint)
		if d.json {
			d.line(jsonCheck{newHead(time.Now(), "check", 0), k.name(), k.status == 0, k.doubt, k.what, k.hint})
			continue
		}
		word, style := k.word()
		d.screen.say(d.out, "%s%s%-15s%s", d.screen.paint(style, word), strings.Repeat(" ", 6-len(word)), k.label, k.what)
		if k.hint != "" {
			d.screen.say(d.out, "%21s%s", "", k.hint)
		}
	}
}

func (d *checkup) line(v any) {
	d.screen.wipe()
	_, _ = io.WriteString(d.out, jsonLine(v)) // out keeps the error
}

// late is err, or where the time for it is over, that.
func late(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %d s", int(checkTime.Seconds()))
	}
	return err
}
