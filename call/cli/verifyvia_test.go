//go:build unix

package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"securecall/call"
)

// A judge is an endpoint that notes what is compared in which call.
type judge struct {
	endpoint
	compared map[int]string
}

func (j *judge) Compare(id int, how, typed string) (c call.Comparison) {
	j.compared[id] = how + ": " + typed
	return c
}

// verifying is a phone with --verify-via, and what it tells as --json.
func verifying(command ...string) (*phone, *judge, *bytes.Buffer) {
	var told bytes.Buffer
	s := &settings{json: true}
	s.verifyVia = command
	return &phone{
		s: s, stdout: &console{w: io.Discard}, stderr: &console{w: io.Discard}, screen: &screen{results: io.Discard, talk: io.Discard, errors: io.Discard},
		events: newEvents(&told, s), reach: newReachable(), hooks: newHooks(s), vias: newVias(),
	}, &judge{compared: map[int]string{}}, &told
}

// The command runs for each call, knows whose it is, and is compared in that one. It gets
// neither the SAS, which it could only give back, nor our settings.
func TestVerifyViaOfSeveralCalls(t *testing.T) {
	t.Setenv("SECURECALL_BIND", "192.0.2.1")
	p, e, _ := verifying("sh", "-c", `echo "$SECURECALL_CALL $SECURECALL_EVENT $SECURECALL_ZID $SECURECALL_NAME ${SECURECALL_SAS-none} ${SECURECALL_BIND-none}"`)
	fromCarol := fromBob
	fromCarol.ZID, fromCarol.Contact = "0c0d0e0f1011121314151617", "carol"
	p.show([]item{{time.Now(), 3, fromBob}, {time.Now(), 4, fromCarol}})
	for range 2 {
		p.via(e, <-p.vias.answers)
	}
	for id, c := range map[int]call.Secured{3: fromBob, 4: fromCarol} {
		if got, want := e.compared[id], fmt.Sprintf("via: %d secured %s %s none none", id, c.ZID, c.Contact); got != want {
			t.Errorf("compared in call %d: %q, want %q", id, got, want)
		}
	}
}

// A call takes its command with it, and what that may still have said is compared with
// nothing.
func TestVerifyViaEndsWithItsCall(t *testing.T) {
	p, e, told := verifying("sleep", "1000")
	for id := range 2 * maxVias { // more than run at once
		p.show([]item{{time.Now(), id + 1, fromBob}})
	}
	for id := range 2 * maxVias {
		p.show([]item{{time.Now(), id + 1, call.Ended{}}})
	}
	for range maxVias {
		p.vias.running <- struct{}{} // once they have ended
	}
	if n := strings.Count(told.String(), "the call ended before --verify-via had answered"); n != 2*maxVias {
		t.Errorf("it was told %d times:\n%s", n, told)
	}
	for line := range strings.Lines(told.String()) {
		if id, _, _ := strings.Cut(line[strings.Index(line, `"call":`):], ","); strings.Contains(line, `"event":"error"`) &&
			strings.Index(told.String(), line) > strings.Index(told.String(), `"event":"ended",`+id+",") {
			t.Errorf("something of a call comes after its end: %s", line)
		}
	}
	p.via(e, viaAnswer{id: 1, line: fromBob.SAS})
	if len(e.compared) > 0 {
		t.Errorf("compared: %v", e.compared)
	}
}

// What the command says on stderr may be the network's: it is shown free of control
// characters, and a log has it only with -v.
func TestVerifyViaSaysMore(t *testing.T) {
	for _, names := range []bool{false, true} {
		p, e, _ := verifying("sh", "-c", `printf 'bob.example:\033[2J no\n' >&2; echo adult word`)
		var shown, logged bytes.Buffer
		p.screen.errors = &shown
		p.log = newLogbook(&logged, &settings{log: "text", verbose: names})
		p.show([]item{{time.Now(), 1, fromBob}})
		p.via(e, <-p.vias.answers)
		if got := shown.String(); got != "verify-via: bob.example:[2J no\n" || e.compared[1] != "via: adult word" {
			t.Errorf("shown %q, compared %q", got, e.compared[1])
		}
		if got := logged.String(); strings.Contains(got, "bob.example") != names {
			t.Errorf("-v %v: logged %s", names, got)
		}
	}
}

// No answer is told with its reason, and compared with nothing.
func TestVerifyViaWithoutAnAnswer(t *testing.T) {
	for command, want := range map[string]string{
		"true":                  "it printed nothing",
		"exit 3":                "exit status 3",
		"echo; echo adult word": "it printed nothing",
	} {
		p, e, told := verifying("sh", "-c", command)
		p.show([]item{{time.Now(), 1, fromBob}})
		p.via(e, <-p.vias.answers)
		if !strings.Contains(told.String(), "--verify-via gave no answer ("+want+")") || len(e.compared) > 0 {
			t.Errorf("%s: compared %v, told %s", command, e.compared, told)
		}
	}
}

// A command that hangs is ended when its time is over: that is told, and changes nothing. So is
// one that waits for others to end.
func TestVerifyViaThatHangs(t *testing.T) {
	const calls = maxVias + 1
	p, e, told := verifying("sh", "-c", "sleep 1000 & wait")
	if p.vias.patience != 30*time.Second {
		t.Errorf("the contract says 30 s, and it is %v", p.vias.patience)
	}
	p.vias.patience = 50 * time.Millisecond
	for id := range calls {
		p.show([]item{{time.Now(), id + 1, fromBob}})
	}
	for range calls {
		p.via(e, <-p.vias.answers)
	}
	if n := strings.Count(told.String(), "--verify-via gave no answer (not within 50ms): nothing is verified by it"); n != calls || len(e.compared) > 0 {
		t.Errorf("told %d times, compared %v:\n%s", n, e.compared, told)
	}
}
