package call

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"securecall/nat/memnet"
)

// A watchdog is told the truth: control answers while it waits and while it talks, and does
// neither before Run nor after it, nor while something holds it.
func TestAnswersWhileControlTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.conditions(memnet.Conditions{Delay: 30 * time.Millisecond})
		answers := func(e *Endpoint) bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return e.Answers(ctx)
		}
		idle, err := NewListener(w.bob.conf, w.net.Path(netip.MustParseAddrPort("192.0.2.9:5004")), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answers(idle) {
			t.Error("it answers, and does not run")
		}
		idle.path.Close()

		hold, held := make(chan struct{}), make(chan struct{})
		told := w.bob.conf.OnEvent
		w.bob.conf.OnEvent = func(id int, e Event) {
			told(id, e)
			if _, ok := e.(Answered); ok {
				close(held)
				<-hold
			}
		}
		w.listen()
		await[Listening](t, &w.bob)
		if !answers(w.bob.e) {
			t.Error("it waits for calls, and does not answer")
		}
		w.dial()
		<-held
		if answers(w.bob.e) {
			t.Error("it answers, and control is held")
		}
		close(hold)
		if !answers(w.bob.e) {
			t.Error("it is in a call, and does not answer")
		}
		await[Answered](t, &w.alice)
		w.stop()
		if answers(w.bob.e) {
			t.Error("it has ended, and answers")
		}
	})
}
