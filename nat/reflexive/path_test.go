package reflexive

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"

	"securecall/nat"
	"securecall/nat/memnet"
)

var (
	host   = netip.MustParseAddrPort("10.1.0.2:5004")
	router = netip.MustParseAddr("198.51.100.1")
	other  = netip.MustParseAddrPort("203.0.113.10:3479")
)

// serve runs a STUN server with two addresses, or one, until its paths close.
func serve(t *testing.T, n *memnet.Network, two bool) {
	t.Helper()
	addrs := []netip.AddrPort{server}
	if two {
		addrs = append(addrs, netip.AddrPortFrom(server.Addr(), other.Port()), netip.AddrPortFrom(other.Addr(), server.Port()), other)
	}
	paths := make(map[netip.AddrPort]nat.Path)
	for _, a := range addrs {
		paths[a] = n.Path(a)
	}
	for at, p := range paths {
		t.Cleanup(func() { p.Close() })
		go func() {
			buf := make([]byte, 1500)
			for {
				size, from, err := p.ReadPacket(buf)
				if err != nil {
					return
				}
				m := &stun.Message{Raw: append([]byte(nil), buf[:size]...)}
				if m.Decode() != nil {
					continue
				}
				source := at
				if change, err := m.Get(stun.AttrChangeRequest); err == nil {
					if change[3]&4 != 0 {
						source = netip.AddrPortFrom(other.Addr(), source.Port())
					}
					if change[3]&2 != 0 {
						source = netip.AddrPortFrom(source.Addr(), other.Port())
					}
				}
				r := stun.New()
				r.TransactionID, r.Type = m.TransactionID, stun.BindingSuccess
				r.WriteHeader()
				_ = xorMapped(from).AddTo(r)
				if two {
					_ = (&stun.OtherAddress{IP: other.Addr().AsSlice(), Port: int(other.Port())}).AddTo(r)
				}
				_ = paths[source].WritePacket(r.Raw, from)
			}
		}()
	}
}

// reading makes a Path that somebody reads; what comes out stands in the channel.
func reading(t *testing.T, n *memnet.Network) (*Path, <-chan string) {
	t.Helper()
	p := New(n.Path(host), rand.Reader)
	t.Cleanup(func() { p.Close() })
	out := make(chan string, 100)
	go func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := p.ReadPacket(buf)
			if err != nil {
				return
			}
			out <- from.String() + " " + string(buf[:size])
		}
	}()
	return p, out
}

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		n.SetConditions(netip.AddrPort{}, netip.AddrPort{}, memnet.Conditions{Delay: 50 * time.Millisecond})
		n.AddRouter(memnet.Router{Public: router, Inside: netip.PrefixFrom(host.Addr(), 16)})
		serve(t, n, false)
		p, out := reading(t, n)
		// The first request is lost, and a stranger answers it.
		requests := 0
		n.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			if from == host && to == server {
				if requests++; requests == 1 {
					r := stun.New()
					copy(r.TransactionID[:], b[8:])
					r.Type = stun.BindingSuccess
					r.WriteHeader()
					_ = xorMapped(stranger).AddTo(r)
					n.Inject(stranger, netip.AddrPortFrom(router, 40001), r.Raw)
					return nil
				}
			}
			return b
		})
		// The hole is there before, so that the stranger's packet comes in.
		if err := p.WritePacket([]byte("x"), stranger); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		got, err := p.Ask(t.Context(), server)
		if err != nil || got.Mapped != netip.AddrPortFrom(router, 40001) {
			t.Errorf("%v, %v", got, err)
		}
		if took := time.Since(start); took != 600*time.Millisecond {
			t.Errorf("took %v", took)
		}
		synctest.Wait()
		if len(out) != 1 {
			t.Fatalf("%d packets came out", len(out))
		}
		if got := <-out; got[:len(stranger.String())] != stranger.String() {
			t.Errorf("%q came out, not the stranger's answer", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Ask(ctx, stranger); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody there, with a deadline: %v", err)
		}
		if _, err := p.Ask(t.Context(), stranger); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("nobody there: %v", err)
		}
		if p.open.Load() != 0 || len(p.asked) != 0 {
			t.Error("questions are left over")
		}
	})
}

// What others send is nobody's answer, and passes.
func TestOtherPacketsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		p, out := reading(t, n)
		go p.Ask(t.Context(), server)
		synctest.Wait()
		for _, b := range [][]byte{[]byte("media"), answer(t, stun.BindingSuccess, xorMapped(mapped)), answer(t, stun.BindingRequest)} {
			n.Inject(server, host, b)
			synctest.Wait()
			if len(out) != 1 {
				t.Fatalf("%q did not come out", b)
			}
			if got := <-out; got != server.String()+" "+string(b) {
				t.Errorf("%q came out as %q", b, got)
			}
		}
		p.Close()
	})
}

func TestDiscover(t *testing.T) {
	kinds := map[memnet.Dependence]Dependence{
		memnet.EndpointIndependent:     EndpointIndependent,
		memnet.AddressDependent:        AddressDependent,
		memnet.AddressAndPortDependent: AddressAndPortDependent,
	}
	for mapping, wantMapping := range kinds {
		for filtering, wantFiltering := range kinds {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New(1)
				n.AddRouter(memnet.Router{Public: router, Inside: netip.PrefixFrom(host.Addr(), 16), Mapping: mapping, Filtering: filtering})
				serve(t, n, true)
				p, _ := reading(t, n)
				got, err := p.Discover(t.Context(), server)
				want := Behaviour{netip.AddrPortFrom(router, 40001), wantMapping, wantFiltering}
				if err != nil || got != want {
					t.Errorf("%v, %v, not %v", got, err, want)
				}
			})
		}
	}
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(1)
		serve(t, n, false)
		p, _ := reading(t, n)
		if got, err := p.Discover(t.Context(), server); !errors.Is(err, ErrOneAddress) || got != (Behaviour{Mapped: host}) {
			t.Errorf("one address: %v, %v", got, err)
		}
		if _, err := p.Discover(t.Context(), stranger); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("no server: %v", err)
		}
	})
}
