package meet

import (
	"errors"
	"testing"

	"securecall/call"
)

// In a call by a code the two say and press as in any other; without one they are told so.
func TestSayAndPressThroughAMeeting(t *testing.T) {
	o := server(t)
	bob, alice := newPerson(), newPerson()
	listens(t, bob, o)
	d := NewDialer(alice.conf, o, code(t, bob, 1))
	ended := make(chan call.Ended, 1)
	go func() { ended <- d.Run(t.Context()) }()
	told[call.Answered](t, alice, 1)
	if err := d.Say(0, "hello"); err != nil {
		t.Error(err)
	}
	if err := d.Press(0, "5"); err != nil {
		t.Error(err)
	}
	if text := told[call.Text](t, bob, 1); text.Text != "hello" {
		t.Errorf("Bob reads %q", text.Text)
	}
	if key := told[call.DTMF](t, bob, 1); key.Digits != "5" {
		t.Errorf("Bob hears %q", key.Digits)
	}
	if said, heard := d.Levels(0); said != call.Quietest || heard != call.Quietest {
		t.Errorf("%v and %v dB of silence", said, heard)
	}
	d.Do(0, call.Hangup)
	if e := <-ended; e.Reason != call.ReasonNormal {
		t.Errorf("ended: %+v", e)
	}
	if err := d.Say(0, "hello"); !errors.Is(err, call.ErrNoCall) {
		t.Errorf("after the call: %v", err)
	}
	if err := d.Press(0, "5"); !errors.Is(err, call.ErrNoCall) {
		t.Errorf("after the call: %v", err)
	}
	if said, heard := d.Levels(0); said != call.Quietest || heard != call.Quietest {
		t.Errorf("after the call, %v and %v dB", said, heard)
	}
}
