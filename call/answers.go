package call

import "context"

// nobody is a number that no call has.
const nobody = -1

// Answers asks control whether it still turns, for a watchdog, and tells whether it has said so
// before ctx ended. After Run it does not.
func (e *Endpoint) Answers(ctx context.Context) bool {
	reply := make(chan Comparison, 1)
	select {
	case e.commands <- order{id: nobody, reply: reply}:
	case <-e.done:
		return false
	case <-ctx.Done():
		return false
	}
	select {
	case <-reply:
		return true
	case <-e.done:
	case <-ctx.Done():
	}
	return false
}
