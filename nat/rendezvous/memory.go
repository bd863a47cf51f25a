package rendezvous

import (
	"context"
	"sync"
	"time"
)

// resting is how long a number stays unused after its mailbox: who types an old
// code should not burn somebody else's.
const resting = 2 * time.Minute

// Memory is a Store in the memory of one process.
type Memory struct {
	mu      sync.Mutex
	nodes   map[string]func(note)
	numbers map[uint32]*mailbox
	taken   [classes]int // numbers of each class that are held or rest
	rest    []rest       // in the order in which they end
	names   map[Name]end
}

type mailbox struct {
	owner end
	until time.Time
	over  error // nil: it can be claimed; else why not, while its number rests
}

type rest struct {
	number uint32
	until  time.Time
}

// NewMemory makes an empty Store.
func NewMemory() *Memory {
	return &Memory{nodes: map[string]func(note){}, numbers: map[uint32]*mailbox{}, names: map[Name]end{}}
}

func (m *Memory) attach(node string, receive func(note)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[node] = receive
	return nil
}

func (m *Memory) open(_ context.Context, owner end, until time.Time) (uint32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wake(time.Now())
	for i := range classes {
		low, high := class(i)
		if m.taken[i] >= int(high-low+1)/2 {
			continue
		}
		for { // at least half of them are free: two draws are enough, on average
			n := draw(i)
			if m.numbers[n] == nil {
				m.numbers[n] = &mailbox{owner: owner, until: until}
				m.taken[i]++
				return n, nil
			}
		}
	}
	return 0, errUnavailable
}

func (m *Memory) claim(_ context.Context, number uint32) (end, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.wake(now)
	b := m.numbers[number]
	switch {
	case b == nil:
		return end{}, errUnknown
	case b.over != nil:
		return end{}, b.over
	case !now.Before(b.until):
		return end{}, errExpired // its owner is about to release it
	}
	m.retire(number, b, errUsed, now)
	return b.owner, nil
}

func (m *Memory) release(number uint32, owner end) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.numbers[number]; b != nil && b.over == nil && b.owner == owner {
		m.retire(number, b, errExpired, time.Now())
	}
}

func (m *Memory) retire(number uint32, b *mailbox, why error, now time.Time) {
	b.over = why
	m.rest = append(m.rest, rest{number, now.Add(resting)})
}

// wake frees the numbers that have rested.
func (m *Memory) wake(now time.Time) {
	n := 0
	for ; n < len(m.rest) && !now.Before(m.rest[n].until); n++ {
		delete(m.numbers, m.rest[n].number)
		m.taken[classOf(m.rest[n].number)]--
	}
	m.rest = m.rest[n:]
	if len(m.rest) == 0 {
		m.rest = nil // what lies before it is not needed any more
	}
}

func (m *Memory) wait(_ context.Context, name Name, owner end) error {
	m.mu.Lock()
	before, had := m.names[name]
	m.names[name] = owner
	m.mu.Unlock()
	if had && before != owner {
		m.send(note{Kind: noteReplaced, To: before, Name: name})
	}
	return nil
}

func (m *Memory) unwait(name Name, owner end) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.names[name] == owner {
		delete(m.names, name)
	}
}

func (m *Memory) find(_ context.Context, name Name) (end, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	owner, ok := m.names[name]
	if !ok {
		return end{}, errUnknown
	}
	return owner, nil
}

func (m *Memory) send(n note) {
	m.mu.Lock()
	receive := m.nodes[n.To.Node]
	m.mu.Unlock()
	if receive != nil {
		receive(n)
	}
}

func (m *Memory) close() {}
