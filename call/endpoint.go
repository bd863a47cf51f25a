package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"securecall/crypto/zrtp/wire"
	"securecall/nat"
)

// Endpoint drives the calls of one path: one for a dialler, many for a
// listener. Its goroutines are the reader (read), control (Run itself) and,
// for each call that was answered, capture and playout (sound.go), or one for all
// that are echoed (wheel.go).
type Endpoint struct {
	conf     Config
	next     *Config // of the calls to come, by control (Configure)
	path     nat.Path
	peers    []netip.AddrPort // of a dialler: where its peer may be; none: a listener
	name     string
	met      *core     // of a Meeting: its one call
	awaited  *wire.ZID // and the contact who it is to be with, if it is by name
	addrs    []netip.AddrPort
	commands chan order
	inbox    chan datagram // what control must handle, of calls that have keys
	doorstep chan datagram // the same, of everybody else
	notes    chan note
	memos    chan memo
	done     chan struct{} // closed when control ends
	free     sync.Pool     // of *[maxDatagram]byte

	// routes is read by the reader for each packet and replaced by control.
	routes atomic.Pointer[routes]
	strays bucket // packets that the reader tries from where nobody is known to be
	// sounding is set by control and read by whoever asks for Levels.
	sounding atomic.Pointer[sounding]
	drops    drops
	wheel    wheel // paces the calls that send back what they hear

	// Owned by control.
	zid      wire.ZID          // this run's, where nothing is remembered
	known    map[wire.ZID]bool // peers, for Config.KnownOnly
	knownAt  time.Time
	calls    []*running // in the order of their beginning
	admitted []*running // of them, those that are calls and no longer strangers' attempts
	index    map[route]*running
	schedule schedule
	endings  bool      // a call has ended since the last sweep
	full     notice    // that somebody was told busy
	slow     notice    // that the sound of calls is late,
	slowAt   time.Time // and when it last was
	lastID   int
	refused  map[netip.AddrPort]bool // of whom Refused was told
	stopping bool                    // the context was cancelled
	last     *Ended                  // of the last admitted call

	workers     sync.WaitGroup // all goroutines but control
	beforePanic func()
}

type datagram struct {
	buf  *[maxDatagram]byte
	n    int
	from netip.AddrPort
	kind kind
	at   time.Time
}

type order struct {
	id      int
	command Command
	// Of a comparison of the SAS:
	how, typed string
	reply      chan<- Comparison // nil: no comparison
	// Of Say and Press:
	act  func(now time.Time, c *core) error
	told chan<- error // nil: neither
	// Of Configure:
	conf *Config
}

// NewDialer prepares a call to somebody who may be at any of peers, the most
// likely first; name is what the caller typed.
func NewDialer(c Config, path nat.Path, peers []netip.AddrPort, name string) (*Endpoint, error) {
	if len(peers) == 0 {
		return nil, errors.New("call: nobody to dial")
	}
	e, err := newEndpoint(c, path)
	if err != nil {
		return nil, err
	}
	e.peers, e.name = peers, name
	return e, nil
}

// NewListener prepares to take calls; addrs are shown as what to dial.
func NewListener(c Config, path nat.Path, addrs []netip.AddrPort) (*Endpoint, error) {
	e, err := newEndpoint(c, path)
	if err != nil {
		return nil, err
	}
	e.addrs = addrs
	e.conf.guesses = newGuesses()
	e.conf.guesses.open = e.openOf
	return e, nil
}

func newEndpoint(c Config, path nat.Path) (*Endpoint, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	orders := 16
	if c.MaxCalls > 1 { // which may become more
		orders = max(2048, 2*c.MaxCalls)
	}
	e := &Endpoint{
		conf:     c,
		path:     path,
		commands: make(chan order, orders),
		inbox:    make(chan datagram, 256),
		doorstep: make(chan datagram, 256),
		notes:    make(chan note, 16),
		memos:    make(chan memo, maxMemos),
		done:     make(chan struct{}),
		lastID:   c.EarlierCalls,
		strays:   bucket{rate: strayRate, burst: strayBurst},
		refused:  map[netip.AddrPort]bool{},
		index:    map[route]*running{},
	}
	e.next = &e.conf
	e.free.New = func() any { return new([maxDatagram]byte) }
	e.routes.Store(&routes{})
	if _, err := io.ReadFull(c.Rand, e.zid[:]); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	return e, nil
}

// ownZID names us: the cache's ZID or, where nothing is remembered that it
// could name, one of this run alone (RFC 6189, Section 4.9.1).
func (e *Endpoint) ownZID() wire.ZID {
	if e.conf.Cache != nil {
		return e.conf.Cache.ZID()
	}
	return e.zid
}

// BeforePanic has f called when a goroutine of e panics, before the program
// dies of it: whoever changed the terminal has to put it right. It is set
// before Run.
func (e *Endpoint) BeforePanic(f func()) { e.beforePanic = f }

// spawn starts one of the endpoint's goroutines.
func (e *Endpoint) spawn(f func()) {
	e.workers.Go(func() {
		defer e.lastWords()
		f()
	})
}

func (e *Endpoint) lastWords() {
	if v := recover(); v != nil {
		if e.beforePanic != nil {
			e.beforePanic()
		}
		panic(v)
	}
}

// Do carries out c for the call numbered id; 0 means the one that rings or
// runs, of several the latest. It may be called from any goroutine and does not wait; what makes no
// sense at this moment is ignored.
func (e *Endpoint) Do(id int, c Command) {
	select {
	case e.commands <- order{id: id, command: c}:
	default: // more than two for each call are unheard: a person leaning on a key
	}
}

// Compare compares what a person typed (how: typed) or a command that is
// trusted printed (via) with the SAS of the call numbered id, or of the one
// that rings or runs. It is the only way to Verified; when too many comparisons
// have failed, the call ends with ReasonSAS. After Run nothing is possible.
func (e *Endpoint) Compare(id int, how, typed string) Comparison {
	reply := make(chan Comparison, 1)
	select {
	case e.commands <- order{id: id, how: how, typed: typed, reply: reply}:
	case <-e.done:
		return Comparison{}
	}
	select {
	case c := <-reply:
		return c
	case <-e.done:
		return Comparison{}
	}
}

// Run drives the endpoint until its last call has ended (dialler, or listener
// with Once) or ctx is cancelled, which hangs up properly. It returns the
// last call's Ended; a listener that was stopped while it waited returns
// ReasonNormal, with Once and no call yet ReasonInterrupted. Run closes the
// path and everything that it opened, and returns when all its goroutines
// have ended.
func (e *Endpoint) Run(ctx context.Context) Ended {
	defer e.lastWords()
	ended := e.run(ctx)
	close(e.done)
	close(e.memos)
	e.path.Close()
	e.workers.Wait()
	return ended
}

func (e *Endpoint) run(ctx context.Context) Ended {
	if e.listens() {
		e.conf.OnEvent(0, Listening{Addrs: e.addrs})
	} else if err := e.dial(); err != nil {
		ended := Ended{Reason: reasonOf(err), Err: err}
		e.conf.OnEvent(e.conf.EarlierCalls+1, ended)
		return ended
	}
	e.spawn(e.read)
	e.spawn(e.keeper)
	return e.control(ctx)
}

// dial opens the sound, so that a missing microphone is known before anybody
// is called, and sends the first Hello. Of two who have met, the one who has not
// dialled opens his when he answers.
func (e *Endpoint) dial() (err error) {
	c := e.met
	if c == nil {
		if c, err = newCaller(&e.conf, e.ownZID(), e.path, e.peers, e.name); err != nil {
			return err
		}
	}
	r := &running{core: c}
	if c.caller {
		if r.ends, err = openEnds(&e.conf); err != nil {
			c.close()
			return err
		}
	}
	e.number(r)
	e.calls, e.admitted = []*running{r}, []*running{r}
	now := time.Now()
	c.start(now)
	e.settle(now, r)
	return nil
}

// listens tells whether e takes calls; otherwise it makes one.
func (e *Endpoint) listens() bool { return len(e.peers) == 0 }

// number gives a call its number, from which on its events are told.
func (e *Endpoint) number(r *running) {
	e.lastID++
	r.core.id = e.lastID
}
