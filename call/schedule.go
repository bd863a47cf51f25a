package call

import (
	"container/heap"
	"time"
)

// schedule is when the calls of an endpoint want their Tick, the earliest first: a
// thousand of them are not to be asked for every packet of one.
type schedule []*running

// set notes when r wants its next Tick; zero: never.
func (s *schedule) set(r *running, at time.Time) {
	switch {
	case r.due == at:
	case r.due.IsZero():
		r.due = at
		heap.Push(s, r)
	case at.IsZero():
		s.forget(r)
	default:
		r.due = at
		heap.Fix(s, r.row)
	}
}

// forget takes r out.
func (s *schedule) forget(r *running) {
	if !r.due.IsZero() {
		heap.Remove(s, r.row)
		r.due = time.Time{}
	}
}

// next is when the first of them is due; zero: none ever is.
func (s schedule) next() time.Time {
	if len(s) == 0 {
		return time.Time{}
	}
	return s[0].due
}

// Len implements heap.Interface, as do the following.
func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].row, s[j].row = i, j
}

// Push is heap's; set is ours.
func (s *schedule) Push(x any) {
	r := x.(*running)
	r.row = len(*s)
	*s = append(*s, r)
}

// Pop is heap's; forget is ours.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	r := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return r
}
