package punched

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
)

func anybody([]byte) bool { return true }

func nobody([]byte, netip.AddrPort) bool { return false }

func request(t testing.TB, more ...stun.Setter) []byte {
	t.Helper()
	m, err := stun.Build(append([]stun.Setter{stun.TransactionID, stun.BindingRequest}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

// What the peer says is its address may be anybody's: checks thin out.
func TestChecksThinOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, sent := time.Now(), []time.Duration(nil)
		v := newView(carrierFunc(func([]byte, netip.AddrPort) error {
			sent = append(sent, time.Since(start))
			return nil
		}), alice, anybody, nobody)
		for range maxChecks {
			v.WriteToAddrPort(request(t), bob)
			time.Sleep(checkInterval)
		}
		early := 0
		for _, at := range sent {
			if at <= time.Second {
				early++
			}
		}
		if early < 50 {
			t.Errorf("only %d checks in the first second", early)
		}
		if len(sent) > 150 {
			t.Errorf("%d checks in %v", len(sent), maxChecks*checkInterval)
		}
		before := len(sent)
		v.WriteToAddrPort(request(t), bob)
		v.deliver(request(t), bob)
		v.WriteToAddrPort(request(t), bob) // the one that it triggers
		if got := len(sent) - before; got != 2 {
			t.Errorf("of a check and a triggered one %d were sent", got)
		}
		time.Sleep(time.Second)
		before = len(sent)
		v.WriteToAddrPort(request(t), bob)
		v.WriteToAddrPort(request(t), bob)
		v.WriteToAddrPort(request(t, ice.UseCandidate()), bob)
		if got := len(sent) - before; got != 2 {
			t.Errorf("of two checks and a nomination %d were sent", got)
		}
	})
}

func TestChecksGoToSoManyAddresses(t *testing.T) {
	sent := make(map[netip.AddrPort]bool)
	v := newView(carrierFunc(func(_ []byte, to netip.AddrPort) error {
		sent[to] = true
		return nil
	}), alice, anybody, nobody)
	for port := range 1000 {
		v.WriteToAddrPort(request(t), netip.AddrPortFrom(bob.Addr(), uint16(port+1)))
	}
	if len(sent) != maxCheckedAddr {
		t.Errorf("checks went to %d addresses", len(sent))
	}
}

// Consent is an answer to a request of ours (RFC 7675, Section 5.1).
func TestOnlyChecksReachTheAgent(t *testing.T) {
	v := newView(carrierFunc(func([]byte, netip.AddrPort) error { return nil }), alice, anybody, nobody)
	ours := request(t)
	v.WriteToAddrPort(ours, bob)
	build := func(kind stun.MessageType, id []byte) []byte {
		m := stun.New()
		copy(m.TransactionID[:], id)
		m.Type = kind
		m.WriteHeader()
		return m.Raw
	}
	id := ours[8:20]
	for _, c := range []struct {
		name string
		b    []byte
		want int
	}{
		{"a request", request(t), 1},
		{"an answer to what was not asked", build(stun.BindingSuccess, make([]byte, 12)), 0},
		{"an answer", build(stun.BindingSuccess, id), 1},
		{"the answer again", build(stun.BindingSuccess, id), 0},
		{"an indication", build(stun.NewType(stun.MethodBinding, stun.ClassIndication), id), 0},
		{"another method", build(stun.NewType(stun.MethodAllocate, stun.ClassRequest), id), 0},
		{"what is too long", append(request(t), make([]byte, maxCheck)...), 0},
	} {
		v.deliver(c.b, bob)
		if len(v.in) != c.want {
			t.Errorf("%s: %d were delivered", c.name, len(v.in))
		}
		for len(v.in) > 0 {
			<-v.in
		}
	}
}

// "If the value does not match ... the response MUST be discarded, as if it had never
// been received." (RFC 8489, Section 9.1.4) Somebody who sees our checks and is faster
// than the peer keeps no answer from us.
func TestForgedAnswerIsAsIfNeverReceived(t *testing.T) {
	key := stun.NewShortTermIntegrity("the password of the peer")
	p := new(Path)
	p.key.Store(&key)
	v := newView(carrierFunc(func([]byte, netip.AddrPort) error { return nil }), alice, p.signed, nobody)
	ours := request(t)
	v.WriteToAddrPort(ours, bob)
	answer := func(kind stun.MessageType, more ...stun.Setter) []byte {
		id := stun.NewTransactionIDSetter([12]byte(ours[8:]))
		m, err := stun.Build(append([]stun.Setter{id, kind}, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		return m.Raw
	}
	for _, c := range []struct {
		name string
		b    []byte
		want int
	}{
		{"without a password", answer(stun.BindingSuccess), 0},
		{"an error without one", answer(stun.BindingError, stun.CodeRoleConflict), 0},
		{"with another", answer(stun.BindingSuccess, stun.NewShortTermIntegrity("another")), 0},
		{"the true one", answer(stun.BindingSuccess, key), 1},
		{"the true one again", answer(stun.BindingSuccess, key), 0},
	} {
		v.deliver(c.b, bob)
		if len(v.in) != c.want {
			t.Errorf("%s: %d were delivered", c.name, len(v.in))
		}
		for len(v.in) > 0 {
			<-v.in
		}
	}
}

func FuzzDeliver(f *testing.F) {
	f.Add(request(f))
	f.Add(request(f, ice.UseCandidate(), stun.NewUsername("abcd:efgh"), stun.Fingerprint))
	f.Add([]byte("\x00\x01\xff\xff12345678901234567890"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !isSTUN(b) {
			return
		}
		v := newView(carrierFunc(func([]byte, netip.AddrPort) error { return nil }), alice, anybody, nobody)
		v.deliver(b, bob)
		m := &stun.Message{Raw: append([]byte(nil), b...)}
		if nominates := hasUseCandidate(b); m.Decode() == nil && int(m.Length)+stunHeader == len(b) && nominates != m.Contains(stun.AttrUseCandidate) {
			t.Errorf("USE-CANDIDATE: %v", nominates)
		}
	})
}
