package call

import (
	"context"
	"errors"
	"io"
	"math"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"securecall/audio"
	"securecall/audio/playout"
	"securecall/nat"
	"securecall/nat/memnet"
)

// A world is two endpoints, Alice who dials and Bob who listens, on a network
// in memory and in the virtual time of testing/synctest.
type world struct {
	t          *testing.T
	net        *memnet.Network
	alice, bob side
	peers      []netip.AddrPort // where Alice calls; none: where Bob is
}

// A side is one endpoint with its ends of the sound and what it told.
type side struct {
	addr   netip.AddrPort
	path   nat.Path
	conf   Config
	mic    *scriptMic
	ear    *ear
	e      *Endpoint
	cancel context.CancelFunc
	ended  chan Ended

	mu     sync.Mutex
	events []Event
	times  []time.Time
	wake   chan struct{}
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, net: memnet.New(seed)}
	for i, s := range []*side{&w.alice, &w.bob} {
		s.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 5004)
		s.mic, s.ear = &scriptMic{}, &ear{}
		s.ended = make(chan Ended, 1)
		s.wake = make(chan struct{}, 1)
		s.conf = Config{
			Mic:     func() (audio.Source, error) { return s.mic, nil },
			Speaker: func() (audio.Sink, error) { return s.ear, nil },
			tap:     s.ear.take,
			OnEvent: func(_ int, ev Event) {
				s.mu.Lock()
				s.events = append(s.events, ev)
				s.times = append(s.times, time.Now())
				s.mu.Unlock()
				select {
				case s.wake <- struct{}{}:
				default:
				}
			},
		}
	}
	w.bob.conf.AcceptAll = true
	w.bob.conf.Once = true
	return w
}

// conditions are those of the network, in all directions.
func (w *world) conditions(c memnet.Conditions) {
	w.net.SetConditions(netip.AddrPort{}, netip.AddrPort{}, c)
}

// run starts both; the endpoints end with the test at the latest.
func (w *world) run() {
	w.listen()
	w.dial()
}

func (w *world) listen() {
	w.t.Helper()
	w.listenOn(w.net.Path(w.bob.addr))
}

func (w *world) listenOn(path nat.Path) {
	w.t.Helper()
	w.bob.path = path
	e, err := NewListener(w.bob.conf, w.bob.path, []netip.AddrPort{w.bob.addr})
	if err != nil {
		w.t.Fatal(err)
	}
	w.bob.start(e)
}

func (w *world) dial() {
	w.t.Helper()
	if w.peers == nil {
		w.peers = []netip.AddrPort{w.bob.addr}
	}
	w.alice.path = w.net.Path(w.alice.addr)
	e, err := NewDialer(w.alice.conf, w.alice.path, w.peers, "bob")
	if err != nil {
		w.t.Fatal(err)
	}
	w.alice.start(e)
}

func (s *side) start(e *Endpoint) {
	ctx, cancel := context.WithCancel(context.Background())
	s.e, s.cancel = e, cancel
	go func() { s.ended <- e.Run(ctx) }()
}

// stop ends both sides and waits for all their goroutines.
func (w *world) stop() {
	for _, s := range []*side{&w.alice, &w.bob} {
		if s.cancel != nil {
			s.cancel()
			<-s.ended
		}
	}
}

// result waits for the side to end by itself.
func (s *side) result(t *testing.T) Ended {
	t.Helper()
	select {
	case ended := <-s.ended:
		s.ended <- ended
		return ended
	case <-time.After(10 * time.Minute): // virtual
		t.Fatal("the call does not end")
		return Ended{}
	}
}

// await waits until an event of type E was told, and returns the first.
func await[E Event](t *testing.T, s *side) E {
	t.Helper()
	deadline := time.After(10 * time.Minute) // virtual
	for {
		if ev, ok := find[E](s); ok {
			return ev
		}
		select {
		case <-s.wake:
		case <-deadline:
			var none E
			t.Fatalf("no %T came; events: %v", none, s.names())
		}
	}
}

func find[E Event](s *side) (E, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ev := range s.events {
		if ev, ok := ev.(E); ok {
			return ev, true
		}
	}
	var none E
	return none, false
}

func (s *side) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, ev := range s.events {
		if n := ev.Name(); n != "stats" || len(names) == 0 || names[len(names)-1] != "stats" {
			names = append(names, n)
		}
	}
	return names
}

// scriptMic speaks a known signal and then ends, or is lost.
type scriptMic struct {
	frames int   // how many it has; 0: for ever
	fail   error // instead of io.EOF
	said   []int16
	next   time.Time
	closed bool
	mu     sync.Mutex
}

func (m *scriptMic) ReadFrame(f audio.Frame) error {
	now := time.Now()
	if m.next.IsZero() {
		m.next = now
	}
	time.Sleep(m.next.Sub(now))
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return errors.New("closed")
	case m.frames > 0 && len(m.said) == m.frames*audio.FrameSamples:
		if m.fail != nil {
			return m.fail
		}
		return io.EOF
	}
	m.next = m.next.Add(audio.Duration(len(f)))
	for i := range f {
		// A sweep that repeats nowhere in a test, so that a place in it is found.
		n := float64(len(m.said))
		f[i] = int16(8000 * math.Sin(0.05*n+1e-6*n*n))
		m.said = append(m.said, f[i])
	}
	return nil
}

func (m *scriptMic) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// ear keeps what it hears, at the pace of a speaker.
type ear struct {
	mu     sync.Mutex
	came   []int16 // what was in the packets, in front of playout
	at     []time.Time
	heard  []int16
	next   time.Time
	fail   error // from now on
	closed int
}

func (e *ear) take(p playout.Packet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	pcm := make([]int16, len(p.Payload))
	p.Law.Decode(pcm, p.Payload)
	e.came = append(e.came, pcm...)
	e.at = append(e.at, time.Now())
}

// gap is the longest time without a packet since begin.
func (e *ear) gap(begin time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	var longest time.Duration
	last := begin
	for _, at := range append(slices.Clone(e.at), time.Now()) {
		if at.After(begin) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	return longest
}

// understood: what was said came sample for sample, and was heard like that but
// for changes of the delay, which may stretch and shrink it.
func (e *ear) understood(t *testing.T, said []int16) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !contains(e.came, said) {
		t.Error("what was in the packets is not what was said")
	}
	if r := correlation(said, e.heard); r < 0.98 {
		t.Errorf("what was heard correlates with what was said by %.3f", r)
	}
}

// correlation is how well said is found in heard, piece by piece, each of them
// where it is most alike near the one before.
func correlation(said, heard []int16) float64 {
	const piece, near = 10 * audio.FrameSamples, 2 * audio.FrameSamples
	var sh, ss, hh float64
	low, high := 0, min(len(heard), audio.SampleRate) // where the next piece may be
	for ; len(said) >= piece; said = said[piece:] {
		place, best := low, math.Inf(-1)
		var energy float64
		for at := low; at < high && at+piece <= len(heard); at++ {
			var x, h float64
			for i, s := range said[:piece] {
				x += float64(s) * float64(heard[at+i])
				h += float64(heard[at+i]) * float64(heard[at+i])
			}
			if x > best {
				place, best, energy = at, x, h
			}
		}
		for _, s := range said[:piece] {
			ss += float64(s) * float64(s)
		}
		sh += max(0, best)
		hh += energy
		low, high = max(0, place+piece-near), place+piece+near
	}
	return sh / math.Sqrt(ss*hh)
}

func (e *ear) WriteFrame(f audio.Frame) error {
	now := time.Now()
	if e.next.IsZero() {
		e.next = now
	}
	e.next = e.next.Add(audio.Duration(len(f)))
	time.Sleep(e.next.Sub(now))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, f[:]...)
	return e.fail
}

func (e *ear) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed++
	return nil
}

// through is sound after G.711.
func through(l audio.Law, pcm []int16) []int16 {
	b := make([]byte, len(pcm))
	out := make([]int16, len(pcm))
	l.Encode(b, pcm)
	l.Decode(out, b)
	return out
}

// contains tells whether part stands somewhere in whole, sample for sample.
func contains(whole, part []int16) bool {
	for i := 0; i+len(part) <= len(whole); i++ {
		if slices.Equal(whole[i:i+len(part)], part) {
			return true
		}
	}
	return false
}
