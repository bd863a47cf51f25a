package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"securecall/audio/device"
	"securecall/call"
)

// viaPatience is how long the command of --verify-via has, from when there are keys.
const viaPatience = 30 * time.Second

// viaEnd is how long one that was killed may take to be gone.
const viaEnd = 2 * time.Second

// maxVias is how many of these commands run at once.
const maxVias = 8

// vias are the commands of --verify-via: one for each call, from its keys on and no longer
// than the call. One goroutine, that of phone.run, owns them.
type vias struct {
	patience time.Duration
	due      map[int]context.CancelFunc // by call: no answer yet
	answers  chan viaAnswer
	running  chan struct{}
}

// A viaAnswer is what --verify-via came to.
type viaAnswer struct {
	id   int
	line string // empty: it gave none
	why  string
	said []string // on stderr
}

func newVias() *vias {
	return &vias{
		patience: viaPatience, due: map[int]context.CancelFunc{}, answers: make(chan viaAnswer),
		running: make(chan struct{}, maxVias),
	}
}

// start runs the command for a call.
func (v *vias) start(id int, command, env []string) {
	ctx, cancel := context.WithCancel(context.Background())
	v.due[id] = cancel
	go func() {
		answer := viaAnswer{id: id}
		answer.line, answer.why, answer.said = v.ask(ctx, command, env)
		select {
		case v.answers <- answer:
		case <-ctx.Done(): // its call has ended
		}
	}()
}

// over tells whether an answer for a call was still due, and is no more.
func (v *vias) over(id int) bool {
	cancel, due := v.due[id]
	if due {
		cancel()
		delete(v.due, id)
	}
	return due
}

// end returns when all commands have ended, or hang in spite of it: they would live on without us.
func (v *vias) end() {
	for id := range v.due {
		v.over(id)
	}
	late := time.After(viaEnd)
	for range maxVias {
		select {
		case v.running <- struct{}{}:
		case <-late:
			return
		}
	}
}

// ask is the first line that the command prints, or why there is none, and what it has to say.
func (v *vias) ask(ctx context.Context, command, env []string) (line, why string, said []string) {
	ctx, cancel := context.WithTimeout(ctx, v.patience)
	defer cancel()
	late := fmt.Sprintf("not within %v", v.patience)
	select {
	case v.running <- struct{}{}:
		defer func() { <-v.running }()
	case <-ctx.Done():
		return "", late, nil
	}
	told := &hookOutput{tell: func(line string) { said = append(said, line) }}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Stderr = env, told
	device.Apart(cmd) // what is typed are the keys of a call, and may go to the other side: no place for a password
	cmd.Cancel = func() error {
		device.Kill(cmd)
		return nil
	}
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		// What it has started may have the pipe when it has been ended.
		defer context.AfterFunc(ctx, func() { out.Close() })()
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 4096)
		if lines.Scan() {
			line = strings.TrimSpace(lines.Text())
		}
		if line != "" {
			cancel() // the first line is all that is wanted
		}
		if err = cmd.Wait(); ctx.Err() != nil {
			err = nil
		}
		told.flush()
	}
	switch {
	case line != "":
		return line, "", said
	case ctx.Err() == context.DeadlineExceeded:
		return "", late, said
	case err != nil:
		return "", err.Error(), said
	}
	return "", "it printed nothing", said
}

// follow has --verify-via run for each call that has keys. The SAS is not among the facts
// that it gets: a command that has ours could print it back, and would be believed.
func (p *phone) follow(i item) {
	switch e := i.e.(type) {
	case call.Secured:
		if p.s.verifyVia == nil {
			return
		}
		p.vias.start(i.id, p.s.verifyVia, newFacts(e, p.hooks.lines.lines(i.at, i.id, e)).environ(p.hooks.ours))
	case call.Ended:
		if p.vias.over(i.id) {
			p.notice(i.id, "the call ended before --verify-via had answered: nothing is verified by it", "call again for longer")
		}
	}
}

// via compares what --verify-via printed, and shows what it said besides: that is the network's,
// and may name who is called.
func (p *phone) via(e endpoint, a viaAnswer) {
	for _, line := range a.said {
		if p.log != nil && p.log.names {
			p.log.write(time.Now(), slog.LevelInfo, a.id, "output of a command", slog.String("on", "verify-via"), slog.String("line", line))
		}
		p.screen.say(p.screen.errors, "verify-via: %s", line)
	}
	switch {
	case !p.vias.over(a.id): // its call has just ended
	case a.line == "":
		p.notice(a.id, "--verify-via gave no answer ("+printable(a.why)+"): nothing is verified by it",
			"try the command by itself; it must print the other side's SAS")
	default:
		e.Compare(a.id, "via", a.line) // an event says what came of it
	}
}

// notice tells a person and a script what they should know.
func (p *phone) notice(id int, what, hint string) {
	p.show([]item{{time.Now(), id, call.Fault{Err: errors.New(what), Hint: hint}}})
}
