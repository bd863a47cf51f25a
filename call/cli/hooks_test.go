//go:build unix

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
)

// A switchboard is an endpoint that notes what is wanted of its calls.
type switchboard struct {
	endpoint
	orders []call.Command
}

func (s *switchboard) Do(_ int, c call.Command) { s.orders = append(s.orders, c) }

// A post is a phone with commands, and all that it shows and tells.
type post struct {
	*phone
	board  switchboard
	screen bytes.Buffer
	told   bytes.Buffer // as --json
}

// newPost has commands by event.
func newPost(t *testing.T, commands map[string]string) *post {
	app := &ucli.App{Flags: Listen().Flags}
	args := []string{"listen"}
	for event, command := range commands {
		args = append(args, "--on-"+event, command)
	}
	s := &settings{json: true}
	app.Action = func(c *ucli.Context) (err error) {
		s.hooks, err = readHooks(c)
		return err
	}
	if err := app.Run(args); err != nil {
		t.Fatal(err)
	}
	x := &post{}
	x.phone = &phone{
		s: s, stdout: &console{w: io.Discard}, stderr: &console{w: io.Discard}, screen: &screen{results: io.Discard, talk: io.Discard, errors: &x.screen},
		events: newEvents(&x.told, s), reach: newReachable(), hooks: newHooks(s), vias: newVias(),
	}
	return x
}

func (x *post) tell(id int, events ...call.Event) {
	for _, e := range events {
		x.show([]item{{time.Now(), id, e}})
	}
}

// settle lets all commands come to their end.
func (x *post) settle() { x.awaitHooks(&x.board) }

// A command decides by its exit status, and whatever else it does is a no that is told.
func TestOnIncomingDecides(t *testing.T) {
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	if err := os.WriteFile(nonsense, []byte("\x00\x01 no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]struct {
		order call.Command
		told  string
	}{
		"true":                       {call.Answer, ""},
		"sh -c 'exit 1'":             {call.Decline, ""},
		"sh -c 'exit 2'":             {call.Busy, ""},
		"sh -c 'exit 3'":             {call.Decline, "--on-incoming has not decided (exit status 3): declined"},
		`sh -c 'kill -SEGV "$$"'`:    {call.Decline, "has not decided (signal: segmentation fault"},
		nonsense:                     {call.Decline, "exec format error"},
		"/not/there":                 {call.Decline, "no such file or directory"},
		"sh -c 'sleep 1 & exit 0'":   {call.Answer, ""}, // what it leaves running is its own affair
		"sh -c 'cat; test $? -eq 0'": {call.Answer, ""}, // there is nothing to read
	} {
		t.Run(command, func(t *testing.T) {
			x := newPost(t, map[string]string{"incoming": command})
			x.hooks.grace = 50 * time.Millisecond
			x.tell(1, fromBob, call.Incoming{})
			x.settle()
			if !slices.Equal(x.board.orders, []call.Command{want.order}) {
				t.Errorf("orders are %v, want %v", x.board.orders, want.order)
			}
			for name, out := range map[string]string{"a person": x.screen.String(), "a script": x.told.String()} {
				if want.told == "" && strings.Contains(out, "on-incoming") {
					t.Errorf("%s is told: %s", name, out)
				}
				if !strings.Contains(out, want.told) {
					t.Errorf("%s is told %q, want %q", name, out, want.told)
				}
			}
		})
	}
}

// patient is a shell that will not end, nor what it has started, whose process id it writes
// to a file.
func patient(t *testing.T) (command, file string) {
	file = filepath.Join(t.TempDir(), "pid")
	return fmt.Sprintf(`sh -c 'trap "" TERM; sleep 1000 & echo $! > "$0.new"; mv "$0.new" "$0"; wait; wait' %s`, file), file
}

// gone waits until what patient has started has ended.
func gone(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	running := func() bool {
		if syscall.Kill(pid, 0) != nil {
			return false
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || !bytes.Contains(stat, []byte(") Z "))
	}
	for deadline := time.Now().Add(5 * time.Second); running(); {
		if time.Now().After(deadline) {
			t.Fatal("what the command started still runs")
		}
	}
}

// begun waits until patient has started what it starts.
func begun(t *testing.T, file string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := os.Stat(file); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the command has not begun")
		}
	}
}

// A command that hangs is ended, with what it has started; a call that it should decide
// about is declined.
func TestHooksThatHang(t *testing.T) {
	for _, event := range []string{"incoming", "secured", "ended"} {
		t.Run(event, func(t *testing.T) {
			command, file := patient(t)
			x := newPost(t, map[string]string{event: command}) // before others run: urfave/cli shares its help flag
			t.Parallel()
			x.hooks.limit, x.hooks.ring, x.hooks.grace = 10*time.Second, 10*time.Second, 50*time.Millisecond
			x.tell(1, fromBob)
			if event == "ended" {
				x.tell(1, call.Ended{})
			} else {
				x.tell(1, call.Incoming{})
			}
			x.settle()
			gone(t, file)
			if event == "incoming" && !slices.Equal(x.board.orders, []call.Command{call.Decline}) {
				t.Errorf("orders are %v", x.board.orders)
			}
			if !strings.Contains(x.told.String(), "had not ended after 10s") {
				t.Errorf("told %s", &x.told)
			}
		})
	}
}

// When the caller has left, or somebody else has answered, nobody waits for a decision.
func TestDecisionThatIsNotWanted(t *testing.T) {
	for _, e := range []call.Event{call.Ended{Reason: call.ReasonNoAnswer}, call.Answered{}} {
		t.Run(e.Name(), func(t *testing.T) {
			command, file := patient(t)
			x := newPost(t, map[string]string{"incoming": command})
			x.hooks.grace = 50 * time.Millisecond
			x.tell(1, fromBob, call.Incoming{})
			begun(t, file)
			x.tell(1, e)
			x.settle()
			gone(t, file)
			if len(x.board.orders) > 0 || strings.Contains(x.told.String(), "on-incoming") {
				t.Errorf("orders are %v, told %s", x.board.orders, &x.told)
			}
		})
	}
}

// At most eight run at once; others wait, as far as there is room; and what does not fit is
// told.
func TestHooksAreBounded(t *testing.T) {
	x := newPost(t, map[string]string{"secured": "sleep 1000"})
	x.hooks.limit, x.hooks.grace = 20*time.Millisecond, 20*time.Millisecond
	const most = maxHooks + maxJobs
	for id := range most + 1 {
		x.tell(1+id, fromBob)
	}
	if x.hooks.running != maxHooks || len(x.hooks.waiting) != maxJobs {
		t.Fatalf("%d run and %d wait", x.hooks.running, len(x.hooks.waiting))
	}
	for x.hooks.pending > 0 {
		x.hooked(&x.board, <-x.hooks.news)
		if x.hooks.running > maxHooks {
			t.Fatalf("%d run", x.hooks.running)
		}
	}
	if late := strings.Count(x.screen.String(), "--on-secured: it had not ended after 20ms"); late != most {
		t.Errorf("%d have run until they were ended, want %d", late, most)
	}
	if none := strings.Count(x.screen.String(), "--on-secured: too many commands run and wait"); none != 1 {
		t.Errorf("%d were told not to fit, want 1", none)
	}
}

// A decision is waited for by somebody, and comes before all else; where there is no room
// for it, the caller hears busy.
func TestDecisionsComeFirst(t *testing.T) {
	x := newPost(t, map[string]string{"secured": "true", "incoming": "true"})
	x.hooks.running = maxHooks // that of others
	x.tell(1, fromBob)
	x.tell(2, fromBob, call.Incoming{})
	if first := x.hooks.waiting[0]; len(x.hooks.waiting) != 3 || first.event != "incoming" || first.id != 2 {
		t.Fatalf("waiting are %v", x.hooks.waiting)
	}
	x.tell(2, call.Ended{})
	if len(x.hooks.waiting) != 2 || x.hooks.waiting[0].event != "secured" {
		t.Fatalf("waiting are %v", x.hooks.waiting)
	}
	for id := 3; len(x.hooks.waiting) < maxJobs; id++ {
		x.tell(id, fromBob)
	}
	x.tell(3, call.Incoming{})
	x.hooks.running = 0
	x.hooks.next()
	x.settle()
	if !slices.Equal(x.board.orders, []call.Command{call.Busy}) || !strings.Contains(x.told.String(), "the caller was told that you are busy") {
		t.Errorf("orders are %v, told %s", x.board.orders, &x.told)
	}
}

// Megabytes are read, and of them as much shown as somebody may read.
func TestHookThatTalks(t *testing.T) {
	x := newPost(t, map[string]string{"ended": `sh -c 'echo first >&2; echo "\033[2J"; head -c 2000000 /dev/zero | tr "\\0" x; echo last'`})
	x.tell(1, fromBob, call.Ended{})
	x.settle()
	out := x.screen.String()
	if len(out) > maxHookOutput*5/4 || strings.Contains(out, "last") || strings.Contains(out, "\x1b") {
		t.Errorf("%d octets are shown, ending in %q", len(out), out[len(out)-100:])
	}
	for _, want := range []string{"on-ended: first\n", "on-ended: " + hookOverflow + "\n"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("there is no %q", want)
		}
	}
	if strings.Contains(x.told.String(), `"event":"error"`) {
		t.Errorf("told %s", &x.told)
	}
}

func TestHookOutputLines(t *testing.T) {
	long := strings.Repeat("y", maxHookLine)
	for name, c := range map[string]struct{ in, want []string }{
		"lines":     {[]string{"a\nb", "c\n\nd"}, []string{"a", "bc", "d"}},
		"long":      {[]string{long + "z\n"}, []string{long, "z"}},
		"no end":    {[]string{long, long}, []string{long, long}},
		"controls":  {[]string{"\x1b[1mbold\x1b[0m\r\n\u202eabc\n"}, []string{"[1mbold[0m", "abc"}},
		"just fits": {[]string{strings.Repeat("x\n", maxHookOutput/2)}, slices.Repeat([]string{"x"}, maxHookOutput/2)},
		"too much":  {[]string{strings.Repeat("x\n", maxHookOutput/2), "y\n", "z\n"}, append(slices.Repeat([]string{"x"}, maxHookOutput/2), hookOverflow)},
	} {
		var got []string
		o := &hookOutput{tell: func(line string) { got = append(got, line) }}
		for _, b := range c.in {
			if n, err := o.Write([]byte(b)); n != len(b) || err != nil {
				t.Errorf("%s: Write: %d, %v", name, n, err)
			}
		}
		o.flush()
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %d lines, want %d", name, len(got), len(c.want))
		}
	}
}

// That a command has failed is told, and changes nothing in the call.
func TestHookThatFails(t *testing.T) {
	x := newPost(t, map[string]string{"secured": "false", "ended": "sh -c 'exit 7'"})
	x.tell(1, fromBob, call.Incoming{}, call.Ended{})
	x.settle()
	for _, want := range []string{"--on-secured: exit status 1", "--on-ended: exit status 7"} {
		if !strings.Contains(x.screen.String(), want) {
			t.Errorf("shown is %s", &x.screen)
		}
	}
	if len(x.board.orders) > 0 {
		t.Errorf("orders are %v", x.board.orders)
	}
}

// A call without keys is nobody's news; nor is the end of one told twice.
func TestOnEndedComesOnceForEachCall(t *testing.T) {
	x := newPost(t, map[string]string{"ended": `sh -c 'echo call $SECURECALL_CALL'`})
	x.tell(1, call.Ended{Reason: call.ReasonServer, Err: errors.New("unreachable")})
	x.tell(2, fromBob)
	x.tell(3, fromBob, call.Ended{})
	x.tell(2, call.Ended{}, call.Ended{})
	x.settle()
	for id, want := range []int{0, 0, 1, 1} {
		if got := strings.Count(x.screen.String(), fmt.Sprintf("on-ended: call %d\n", id)); got != want {
			t.Errorf("call %d has ended %d times", id, got)
		}
	}
}

// What a command finds around it: the facts, none of our settings, and nothing to read.
func TestHookEnvironment(t *testing.T) {
	t.Setenv("SECURECALL_BIND", "[::]:7")
	x := newPost(t, map[string]string{"secured": `sh -c 'env | grep ^SECURECALL_; test ! -t 0'`})
	x.tell(7, fromBob)
	x.settle()
	out := x.screen.String()
	for _, want := range []string{"SECURECALL_EVENT=secured", "SECURECALL_CALL=7", "SECURECALL_NAME=bob", "SECURECALL_PEER_CLIENT=secure[2Jcall 0.1"} {
		if !strings.Contains(out, "on-secured: "+want+"\n") {
			t.Errorf("there is no %s in\n%s", want, out)
		}
	}
	for _, no := range []string{"SECURECALL_BIND", "tissue"} {
		if strings.Contains(out, no) {
			t.Errorf("there is %s in\n%s", no, out)
		}
	}
}

// A command line that cannot be carried out is known before anybody calls.
func TestHookFlags(t *testing.T) {
	for command, status := range map[string]int{"": statusUsage, "sh -c 'open": statusUsage, "no-such-program": 31, "/not/there": 31, "sh -c true": 0} {
		app := &ucli.App{Flags: Listen().Flags, ErrWriter: io.Discard, Action: func(c *ucli.Context) error {
			h, err := readHooks(c)
			if err == nil {
				err = h.check()
			}
			return err
		}}
		err := app.Run([]string{"listen", "--on-ended", command})
		if status == 0 {
			if err != nil {
				t.Errorf("%q: %v", command, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%q is taken", command)
			continue
		}
		if d := diagnose(err); d.status != status || d.hint == "" || !strings.Contains(d.what, "--on-ended") {
			t.Errorf("%q: %+v, want status %d", command, d, status)
		}
	}
}

// Where a command decides, no key does.
func TestKeysDoNotDecideForACommand(t *testing.T) {
	var asked bytes.Buffer
	s := &screen{results: io.Discard, talk: io.Discard, errors: io.Discard, ask: &asked, hooked: true}
	s.show(time.Now(), 1, fromBob)
	asked.Reset()
	s.show(time.Now(), 1, call.Incoming{})
	var board switchboard
	p := &phone{s: &settings{}, screen: s}
	for _, key := range []byte("ad") {
		p.key(t.Context(), &board, func() {}, key)
	}
	if strings.Count(asked.String(), "the command of --on-incoming decides") != 2 || len(board.orders) > 0 {
		t.Errorf("asked %q, orders are %v", &asked, board.orders)
	}
}

// A program that ends does not wait for ever: commands that hang are ended, those that wait
// are not begun, and each is told.
func TestLastHooksHaveAnEnd(t *testing.T) {
	command, file := patient(t)
	x := newPost(t, map[string]string{"ended": command})
	t.Parallel()
	x.hooks.limit, x.hooks.last, x.hooks.grace = time.Hour, time.Millisecond, 50*time.Millisecond
	x.tell(1, fromBob, call.Ended{})
	begun(t, file)
	x.hooks.running = maxHooks // others, which are never told of again
	x.tell(2, fromBob, call.Ended{})
	x.settle()
	gone(t, file)
	for _, want := range []string{
		"--on-ended: sh was ended: securecall ends, and does not wait for it any longer",
		"--on-ended: sh was not run: securecall ends, and does not wait for it any longer",
	} {
		if strings.Count(x.screen.String(), want) != 1 {
			t.Errorf("%q is not told once:\n%s", want, &x.screen)
		}
	}
}

// Calls go on as they began: settings that are read again have commands for the calls to come.
func TestCommandsOfTheMomentTheyBegan(t *testing.T) {
	x := newPost(t, map[string]string{"ended": "echo old"})
	x.tell(1, fromBob)
	x.hooks.commands = hookCommands{"ended": {"echo", "new"}}
	x.tell(2, fromBob)
	x.hooks.commands = nil
	x.tell(3, fromBob)
	for id := range 3 {
		x.tell(id+1, call.Ended{})
	}
	x.settle()
	for line, want := range map[string]int{"on-ended: old": 1, "on-ended: new": 1} {
		if n := strings.Count(x.screen.String(), line); n != want {
			t.Errorf("%q stands there %d times, want %d:\n%s", line, n, want, &x.screen)
		}
	}
	if len(x.hooks.calls)+len(x.hooks.began) > 0 {
		t.Errorf("kept: %v, %v", x.hooks.calls, x.hooks.began)
	}
}
