package punched

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"securecall/nat"
)

// mutePath swallows what is sent once it is muted.
type mutePath struct {
	nat.Path
	mute    atomic.Bool
	written atomic.Int32
}

func (m *mutePath) WritePacket(b []byte, to netip.AddrPort) error {
	if m.mute.Load() {
		m.written.Add(1)
		return nil
	}
	return m.Path.WritePacket(b, to)
}

// Over a relay the TURN client allocates, and nothing of ours does.
// docs/notes/ice.md has the figures.
func TestAllocationsOverARelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		serve(t, n)
		path := &mutePath{Path: n.Path(alice)}
		conf := withTURN
		conf.Path, conf.RelayOnly, conf.Controlling = path, true, true
		a, err := New(conf)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		b := side(t, n, bob, false, Config{})
		gather(t, a, b)
		if _, err := connect(t, a, b); err != nil {
			t.Fatal(err)
		}
		talk(t, a, b)
		time.Sleep(time.Second) // the channel is bound
		path.mute.Store(true)
		packet := append([]byte{0x80}, make([]byte, 181)...)
		out := testing.AllocsPerRun(100, func() {
			if err := a.WritePacket(packet, Peer); err != nil {
				t.Fatal(err)
			}
		})
		if path.written.Load() < 100 {
			t.Error("nothing was written")
		}
		r := (*a.relays.Load())[0]
		framed := binary.BigEndian.AppendUint16(nil, 0x4000) // the first channel
		framed = binary.BigEndian.AppendUint16(framed, uint16(len(packet)))
		framed = append(framed, append(packet, 0, 0)...)
		buf := make([]byte, maxDatagram)
		in := testing.AllocsPerRun(100, func() {
			r.receive(framed)
			if n, _, err := a.ReadPacket(buf); n != len(packet) || err != nil {
				t.Fatal(n, err)
			}
		})
		t.Logf("out %v, in %v", out, in)
		if out > 6 || in > 9 {
			t.Errorf("%v allocations out, %v in", out, in)
		}
	})
}
