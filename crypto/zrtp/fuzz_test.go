package zrtp

import (
	"bytes"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// moments are the states in which a stranger's datagram may come: an end, and
// the packet for it that is held back meanwhile.
var moments = []struct {
	held wire.Type
	to   int
}{
	{hello, 1},
	{hello, 0},
	{helloACK, 0},
	{commit, 1},
	{dhPart1, 0},
	{dhPart2, 1},
	{confirm1, 0},
	{confirm2, 1},
	{conf2ACK, 0},
}

// hold runs an exchange up to a moment and takes the packet off the network.
func hold(t testing.TB, moment int) (*world, []byte) {
	a, b := dialAndListen(31)
	w := newWorld(t, a, b)
	m := moments[moment]
	var held []byte
	w.net = func(p *parcel) []time.Duration {
		if p.kind == m.held && p.from != m.to && held == nil {
			held = p.packet
			return nil
		}
		return []time.Duration{0}
	}
	w.start()
	w.runUntil(5*time.Second, func() bool { return held != nil })
	if held == nil {
		t.Fatalf("moment %d never comes\n%v", moment, w.trace)
	}
	w.net = nil
	return w, held
}

// Whatever a stranger sends, at whatever moment, with or without a right CRC
// and the peer's SSRC: no panic, nothing piles up, and the exchange completes,
// unless the bytes bear what only the peer knew until then.
func FuzzReceive(f *testing.F) {
	for moment := range moments {
		w, held := hold(f, moment)
		p, err := wire.ParsePacket(held)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(moment), false, held)
		f.Add(uint8(moment), true, p.Message)
		f.Add(uint8(moment), true, (&wire.Error{Code: 0x61}).Append(nil))
		f.Add(uint8(moment), true, (&wire.HelloACK{}).Append(nil))
		f.Add(uint8(moment), true, (&wire.Conf2ACK{}).Append(nil))
		f.Add(uint8(moment), true, (&wire.ErrorACK{}).Append(nil))
		f.Add(uint8(moment), true, (&wire.Ping{}).Append(nil))
		f.Add(uint8(moment), true, w.ends[0].Session.hello)
		f.Add(uint8(moment), true, seal(&wire.DHPart{Part: 1, PV: make([]byte, 32)}, [32]byte{}))
		f.Add(uint8(moment), true, seal(&wire.DHPart{Part: 2, PV: make([]byte, 32)}, [32]byte{}))
		f.Add(uint8(moment), true, seal(&wire.Commit{KeyAgreement: wire.Prsh}, [32]byte{}))
		f.Add(uint8(moment), true, (&wire.Confirm{Part: 1, Encrypted: make([]byte, 40)}).Append(nil))
		f.Add(uint8(moment), true, (&wire.Confirm{Part: 2, Encrypted: make([]byte, 40)}).Append(nil))
	}
	f.Fuzz(func(t *testing.T, moment uint8, wrap bool, b []byte) {
		w, held := hold(t, int(moment)%len(moments))
		to := moments[int(moment)%len(moments)].to
		us, them := w.ends[to], w.ends[1-to]
		if wrap {
			if len(b) > 4000 {
				return
			}
			b = wire.AppendPacket(nil, 1, them.config.SSRC, b)
		}
		unpinned := !us.peer.known
		w.inject(to, b)
		for range 20 { // a flood of it
			us.Receive(w.now, b)
		}
		if len(us.queue) > maxQueue || len(us.events) > 8 {
			t.Fatalf("%d packets and %d events wait", len(us.queue), len(us.events))
		}
		w.drain(to)

		if p, err := wire.ParsePacket(b); err == nil {
			m, err := wire.Parse(p.Message)
			if _, isHello := m.(*wire.Hello); err == nil && isHello && unpinned {
				return // whoever says Hello first is the peer
			}
			for _, secret := range [][32]byte{them.chain.h2, them.chain.h1} {
				if bytes.Contains(p.Message, secret[:]) {
					return // the peer's own, changed by one who sees it
				}
			}
			if p.SSRC == us.config.SSRC && unpinned {
				return
			}
		}
		w.inject(to, held)
		if !w.runUntil(30*time.Second, w.bothSecure) {
			t.Fatalf("not secure after %x\n%v", b, w.trace)
		}
		w.run(10 * time.Second).checkSecure()
	})
}
