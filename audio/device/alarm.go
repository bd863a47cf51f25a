package device

import "time"

// An alarm wakes one waiter after a while, or for good.
type alarm interface {
	// wait returns after d, or at once when close has been called.
	wait(d time.Duration)
	// close is called once, from any goroutine.
	close()
}

// newAlarm returns one of the kernel's where it is asked for and there is such a
// thing, else one by Go's timers.
func newAlarm(kernel bool, closed <-chan struct{}) alarm {
	if kernel {
		if a := newKernelAlarm(); a != nil {
			return a
		}
	}
	return timerAlarm{stoppedTimer(), closed}
}

type timerAlarm struct {
	timer  *time.Timer
	closed <-chan struct{}
}

func (a timerAlarm) wait(d time.Duration) {
	a.timer.Reset(d)
	select {
	case <-a.timer.C:
	case <-a.closed:
		a.timer.Stop()
	}
}

func (a timerAlarm) close() {}
