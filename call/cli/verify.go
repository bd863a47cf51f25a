package cli

import (
	"strings"

	"securecall/call"
)

// riskPhrase is what a person types in full to speak although the keys have
// changed.
const riskPhrase = "i accept the risk"

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
