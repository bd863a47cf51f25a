package meet

import (
	"context"
	"testing"
	"time"

	"securecall/call"
)

// Settings that are read again are those of the next call, though it is waited for already.
func TestListenerTakesOtherSettings(t *testing.T) {
	o := server(t)
	bob := newPerson()
	l := NewListener(bob.conf, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan call.Ended, 1)
	go func() { done <- l.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	first := code(t, bob, 1)

	c := bob.conf
	c.Duration, c.Once = 200*time.Millisecond, true
	c.OnEvent = func(int, call.Event) { t.Error("events are told to somebody else") }
	if err := l.Configure(c); err != nil {
		t.Fatal(err)
	}
	alice := newPerson()
	alice.conf.Duration = 10 * time.Second
	if ended := NewDialer(alice.conf, o, first).Run(t.Context()); ended.Reason != call.ReasonNormal {
		t.Errorf("the next call: %+v", ended)
	}
	if ended := told[call.Ended](t, bob, 1); ended.Reason != call.ReasonNormal || ended.Duration >= alice.conf.Duration {
		t.Errorf("the next call: %+v", ended)
	}
	code(t, bob, 2) // it goes on: Once is none of them
}
