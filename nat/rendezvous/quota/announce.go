package quota

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// quiet is how long a limit that goes on being hit says no more about it.
const quiet = time.Minute

// An Announcer writes to a log which limits are hit: each at once, then once a
// minute at most, with how often it was since. Any goroutine may use it.
type Announcer struct {
	log       *slog.Logger
	addresses bool

	mu sync.Mutex
	by map[string]*notice
}

type notice struct {
	said  time.Time
	times int
}

// NewAnnouncer makes one that writes to log; addresses says whether it may name
// who hit a limit.
func NewAnnouncer(log *slog.Logger, addresses bool) *Announcer {
	return &Announcer{log: log, addresses: addresses, by: map[string]*notice{}}
}

// Hit tells that somebody at a has hit limit, the name of a setting.
func (n *Announcer) Hit(now time.Time, limit string, a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	one := n.by[limit]
	if one == nil {
		one = &notice{}
		n.by[limit] = one
	}
	one.times++
	if !one.said.IsZero() && now.Sub(one.said) < quiet {
		return
	}
	args := []any{"limit", limit, "times", one.times}
	if n.addresses && a.IsValid() {
		args = append(args, "network", Network(a).String())
	}
	n.log.Warn("limit reached", args...)
	one.said, one.times = now, 0
}
