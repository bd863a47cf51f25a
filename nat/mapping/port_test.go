package mapping

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a gateway of one protocol.
type fake struct {
	speaks Protocol
	delay  time.Duration
	absent error // find's

	mu    sync.Mutex
	asked []time.Duration // the lifetimes
	grant grant
	err   error // ask's
}

func (f *fake) protocol() Protocol { return f.speaks }

func (f *fake) find(ctx context.Context) error {
	select {
	case <-time.After(f.delay):
		return f.absent
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fake) ask(_ context.Context, lifetime time.Duration) (grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, lifetime)
	return f.grant, f.err
}

func (f *fake) set(g grant, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grant, f.err = g, err
}

func (f *fake) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func TestOneGatewayMaps(t *testing.T) {
	ok := grant{external, lifetime}
	away, refuses := errors.New("away"), errors.New("refuses")
	for _, c := range []struct {
		name string
		all  []*fake
		want Protocol // empty: none
		took time.Duration
	}{
		{"the preferred one", []*fake{{speaks: PCP, grant: ok, delay: time.Millisecond}, {speaks: NATPMP, grant: ok}}, PCP, time.Millisecond},
		{"the only one", []*fake{{speaks: PCP, absent: away}, {speaks: NATPMP, absent: away}, {speaks: UPnP, grant: ok, delay: time.Second}}, UPnP, time.Second},
		{"the others are silent", []*fake{{speaks: PCP, delay: time.Hour}, {speaks: NATPMP, grant: ok}, {speaks: UPnP, delay: time.Hour}}, NATPMP, settleTime},
		{"one refuses", []*fake{{speaks: PCP, err: refuses, delay: time.Millisecond}, {speaks: NATPMP, grant: ok}}, NATPMP, time.Millisecond},
		{"one grants nonsense", []*fake{{speaks: PCP, delay: time.Millisecond}, {speaks: NATPMP, grant: ok}}, NATPMP, time.Millisecond},
		{"none", []*fake{{speaks: PCP, absent: away}, {speaks: UPnP, delay: time.Hour}}, "", giveUpAfter},
		{"no gateway", nil, "", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var all []gateway
			for _, f := range c.all {
				all = append(all, f)
			}
			start := time.Now()
			p, err := open(t.Context(), all, nil)
			if took := time.Since(start); took != c.took {
				t.Errorf("%s: took %v", c.name, took)
			}
			if c.want == "" {
				if !errors.Is(err, ErrNoGateway) {
					t.Errorf("%s: %v", c.name, err)
				}
				if len(c.all) > 0 && !errors.Is(err, away) {
					t.Errorf("%s: it does not say why: %v", c.name, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if got := p.Mapping(); got != (Mapping{external, c.want}) {
				t.Errorf("%s: %v", c.name, got)
			}
			p.Close()
			p.Close()
			for _, f := range c.all {
				if f.speaks == c.want && !slices.Equal(f.asked, []time.Duration{lifetime, 0}) {
					t.Errorf("%s: asked for %v", c.name, f.asked)
				}
			}
		})
	}
}

func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{speaks: PCP, grant: grant{external, lifetime}}
		told := make(chan Mapping, 100)
		p, err := open(t.Context(), []gateway{f}, func(m Mapping) { told <- m })
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if got := f.times(); got != 7 {
			t.Errorf("asked %d times in an hour, not 7", got)
		}
		if len(told) != 0 {
			t.Errorf("told of %v, which is no change", <-told)
		}

		elsewhere := netip.MustParseAddrPort("198.51.100.1:40002")
		f.set(grant{elsewhere, lifetime}, nil)
		time.Sleep(lifetime / 2)
		if got := <-told; got.External != elsewhere || p.Mapping() != got {
			t.Errorf("told of %v, has %v", got, p.Mapping())
		}

		// It answers no more: the mapping is lost when it has expired, and had
		// again when it answers.
		f.set(grant{}, errors.New("away"))
		start := time.Now()
		if got := <-told; got.External.IsValid() {
			t.Errorf("told of %v", got)
		}
		if took := time.Since(start); took < lifetime-time.Minute || took > lifetime+time.Minute {
			t.Errorf("lost after %v", took)
		}
		f.set(grant{external, lifetime}, nil)
		if got := <-told; got.External != external {
			t.Errorf("told of %v", got)
		}
	})
}

// What a gateway says of lifetimes neither floods it nor is believed for days.
func TestAbsurdLifetimes(t *testing.T) {
	for _, c := range []struct {
		granted time.Duration
		most    int // requests in a day
		least   int
	}{
		{0, 24*60*2 + 1, 24 * 60},
		{-time.Hour, 24*60*2 + 1, 24 * 60},
		{time.Second, 24*60*2 + 1, 24 * 60},
		{time.Duration(0xffffffff) * time.Second, 49, 47},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{speaks: PCP, grant: grant{external, c.granted}}
			p, err := open(t.Context(), []gateway{f}, nil)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(24*time.Hour + time.Second)
			synctest.Wait()
			if got := f.times(); got > c.most || got < c.least {
				t.Errorf("granted %v: asked %d times in a day", c.granted, got)
			}
			p.Close()
		})
	}
}

// gatewayAt answers PCP at an address of this machine as f says, until the test
// ends; nil answers are not sent.
func gatewayAt(t *testing.T, f func(request []byte) [][]byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for _, b := range f(buf[:n]) {
				_, _ = conn.WriteToUDPAddrPort(b, from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestPCPGateway(t *testing.T) {
	random := strings.NewReader(string(mine[:]))
	var asked atomic.Pointer[[]byte]
	at := gatewayAt(t, func(request []byte) [][]byte {
		if request[1] == opAnnounce {
			b := respond(0, 0, nonce{}, 0, external)[:headerSize]
			b[1] = isResponse | opAnnounce
			return [][]byte{b}
		}
		copied := append([]byte(nil), request...)
		asked.Store(&copied)
		other := nonce{9}
		return [][]byte{
			{1, 2, 3},
			respond(0, 1, other, 5004, netip.MustParseAddrPort("192.0.2.66:1")),
			respond(0, 1, mine, 5005, netip.MustParseAddrPort("192.0.2.66:1")),
			respond(0, 1200, mine, 5004, external),
		}
	})
	p, err := newPCP(random, at, netip.MustParseAddrPort("0.0.0.0:5004"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.find(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := p.ask(t.Context(), lifetime)
	if err != nil || got != (grant{external, 20 * time.Minute}) {
		t.Errorf("%v, %v", got, err)
	}
	want := mapRequest{netip.MustParseAddr("127.0.0.1"), lifetime, mine, 5004, netip.AddrPort{}}.append(nil)
	if got := asked.Load(); got == nil || string(*got) != string(want) {
		t.Errorf("asked %x, not %x", got, want)
	}
	if _, err := newPCP(random, at, at); err == nil {
		t.Error("a random source that ends")
	}

	full := gatewayAt(t, func([]byte) [][]byte { return [][]byte{respond(8, 30, mine, 5004, external)} })
	p.server = full
	if _, err := p.ask(t.Context(), lifetime); !errors.Is(err, resultCode(8)) {
		t.Errorf("no resources: %v", err)
	}
	p.server = gatewayAt(t, func([]byte) [][]byte { return [][]byte{{0, 0x80, 0, 1, 0, 0, 0, 0}} })
	if err := p.find(t.Context()); !errors.Is(err, errOldVersion) {
		t.Errorf("NAT-PMP alone: %v", err)
	}
	p.server = gatewayAt(t, func([]byte) [][]byte { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.find(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silence: %v", err)
	}
}
