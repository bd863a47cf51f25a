package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"securecall/call"
)

// riskPhrase is what a person types in full to speak although the keys have
// changed.
const riskPhrase = "i accept the risk"

// viaPatience is how long --verify-via may take.
const viaPatience = 30 * time.Second

// askSAS lets the person type what the other one reads out.
func (p *phone) askSAS(e endpoint) {
	s := p.screen
	id := s.current
	e.Do(id, call.BeginVerify)
	if s.guarded {
		s.say(s.ask, "your microphone is open while you compare: the words are no secret, all else might be")
	}
	question := "type both words as the other side reads them out, then Enter:"
	if p.s.splitSAS {
		question = "type what the other side reads out, then Enter:"
	}
	s.prompt(question, func(text string) {
		defer e.Do(id, call.EndVerify)
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "":
			s.say(s.ask, "nothing was typed, and nothing is verified")
			return
		case "y", "yes":
			s.say(s.ask, "a yes verifies nothing: press v, and type what you hear")
			return
		}
		c := e.Compare(id, "typed", text)
		switch {
		case !c.Possible:
			s.say(s.ask, "there is no call any more to verify")
		case c.Equal, c.Left == 0: // events say it
		case c.Left == 1:
			s.say(s.ask, "that is not what stands here: ask for it once more, and press v; one more wrong answer ends the call")
		default:
			s.say(s.ask, "that is not what stands here: ask for it once more, and press v; nothing is verified (%d answers left)", c.Left)
		}
	})
}

// askRisk lets the person take the risk in full words.
func (p *phone) askRisk(e endpoint) {
	s := p.screen
	id := s.current
	s.say(s.ask, "you would speak without knowing with whom, in this call only: the next one will warn you again")
	s.prompt("to do so, type: "+riskPhrase, func(text string) {
		if strings.ToLower(strings.Join(strings.Fields(text), " ")) != riskPhrase {
			s.say(s.ask, "not accepted: your microphone stays closed")
			return
		}
		s.risk = true
		e.Do(id, call.AcceptRisk)
	})
}

// A viaAnswer is what --verify-via came to.
type viaAnswer struct {
	id   int
	line string // empty: it gave none
	why  string
}

// runVia runs the command of --verify-via and sends its first line to answers.
func runVia(ctx context.Context, command []string, id int, answers chan<- viaAnswer) {
	ctx, cancel := context.WithTimeout(ctx, viaPatience)
	defer cancel()
	answer := viaAnswer{id: id}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 4096)
		if lines.Scan() {
			answer.line = strings.TrimSpace(lines.Text())
		}
		if answer.line != "" {
			cancel() // the first line is all that is wanted
		}
		if err = cmd.Wait(); ctx.Err() != nil {
			err = nil
		}
	}
	switch {
	case answer.line != "":
	case ctx.Err() == context.DeadlineExceeded:
		answer.why = fmt.Sprintf("not within %v", viaPatience)
	case err != nil:
		answer.why = err.Error()
	default:
		answer.why = "it printed nothing"
	}
	answers <- answer
}

// startVia runs --verify-via for each call that has been secured.
func (p *phone) startVia(ctx context.Context) {
	if id := p.screen.current; p.s.verifyVia != nil && p.screen.sas != "" && id != p.viaFor {
		p.viaFor, p.viaDue = id, true
		go runVia(ctx, p.s.verifyVia, id, p.vias)
	}
}

// notice tells a person and a script what they should know.
func (p *phone) notice(id int, what, hint string) {
	p.show([]item{{time.Now(), id, call.Fault{Err: errors.New(what), Hint: hint}}})
}

// via compares what --verify-via printed.
func (p *phone) via(e endpoint, a viaAnswer) {
	if a.id == p.viaFor {
		p.viaDue = false
	}
	if a.line == "" {
		p.notice(a.id, "--verify-via gave no answer ("+printable(a.why)+"): nothing is verified by it",
			"try the command by itself; it must print the other side's SAS")
		return
	}
	e.Compare(a.id, "via", a.line) // an event says what came of it
}
