package meet

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"securecall/nat/rendezvous"
	"securecall/nat/rendezvous/relay"
)

// A box stands before a true relay: all that the relay gets and sends passes it, and
// so it sees, and can do, what a relay can.
type box struct {
	relay *relay.Server
	at    *net.UDPAddr // the relay's
	udp   *net.UDPConn
	tcp   net.Listener
	pass  func(passing) // what becomes of a message; passing.on hands it on

	mu      sync.Mutex
	lines   map[netip.AddrPort]*line
	all     []io.Closer
	shut    bool
	running sync.WaitGroup
}

// A line is what goes between one client and the relay, over UDP or one TCP connection.
type line struct{ up, down io.Writer }

// passing is a datagram, or over TCP a whole message, on its way.
type passing struct {
	line *line
	down bool // from the relay
	b    []byte
}

// on hands b on in the place of what passes.
func (p passing) on(b []byte) {
	if p.down {
		_, _ = p.line.down.Write(b)
	} else {
		_, _ = p.line.up.Write(b)
	}
}

// newBox starts a relay on loopback and the box before it. streams: over TCP too.
func newBox(t *testing.T, streams bool, pass func(passing)) *box {
	t.Helper()
	local := netip.MustParseAddrPort("127.0.0.1:0")
	r, err := relay.Start(t.Context(), relay.Settings{Bind: local, Private: true, Limits: relay.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	b := &box{
		relay: r, at: net.UDPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), r.Port())),
		pass: pass, lines: map[netip.AddrPort]*line{},
	}
	t.Cleanup(func() { r.Close() })
	for range 8 { // a port that is free for UDP need not be free for TCP
		if b.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(local)); err != nil || !streams {
			break
		}
		if b.tcp, err = net.Listen("tcp4", b.udp.LocalAddr().String()); err == nil {
			break
		}
		b.udp.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	b.running.Go(b.datagrams)
	if streams {
		b.running.Go(b.connections)
	}
	return b
}

// offer is what the meeting point tells one side of the relay: to look for it at the box.
func (b *box) offer() []rendezvous.Relay {
	username, password := b.relay.Credentials(time.Now())
	port := b.udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	return []rendezvous.Relay{{Port: port, Username: username, Password: password, Seconds: 600}}
}

func (b *box) close() {
	b.mu.Lock()
	b.shut = true
	b.mu.Unlock()
	b.udp.Close()
	if b.tcp != nil {
		b.tcp.Close()
	}
	for _, c := range b.all {
		c.Close()
	}
	b.running.Wait()
}

// keeps has c closed with the box, and f run until then.
func (b *box) keeps(c io.Closer, f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut {
		c.Close()
		return false
	}
	b.all = append(b.all, c)
	b.running.Go(f)
	return true
}

// to writes to one address from the box's socket.
type to struct {
	udp  *net.UDPConn
	addr netip.AddrPort
}

func (w to) Write(b []byte) (int, error) { return w.udp.WriteToUDPAddrPort(b, w.addr) }

// datagrams takes what clients send over UDP.
func (b *box) datagrams() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := b.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		l := b.lines[from] // of this goroutine alone
		if l == nil {
			up, err := net.DialUDP("udp4", nil, b.at)
			if err != nil {
				return
			}
			l = &line{up: up, down: to{b.udp, from}}
			b.lines[from] = l
			if !b.keeps(up, func() { b.answers(l, up) }) {
				return
			}
		}
		b.pass(passing{l, false, bytes.Clone(buf[:n])})
	}
}

// answers takes what the relay sends to one client.
func (b *box) answers(l *line, up *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, err := up.Read(buf)
		if err != nil {
			return
		}
		b.pass(passing{l, true, bytes.Clone(buf[:n])})
	}
}

func (b *box) connections() {
	for {
		client, err := b.tcp.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp4", b.at.String())
		if err != nil {
			client.Close()
			continue
		}
		l := &line{up, client}
		stream := func(from, to net.Conn, down bool) func() {
			return func() {
				defer to.Close()
				for m, err := message(from); err == nil; m, err = message(from) {
					b.pass(passing{l, down, m})
				}
			}
		}
		if !b.keeps(client, stream(client, up, false)) || !b.keeps(up, stream(up, client, true)) {
			return
		}
	}
}

// message reads one of STUN, or ChannelData, which is padded to four octets over TCP
// (RFC 8656, Section 12.5).
func message(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if head[0] < 4 {
		n += 16
	} else {
		n = (n + 3) &^ 3
	}
	m := append(head, make([]byte, n)...)
	_, err := io.ReadFull(r, m[4:])
	return m, err
}

// inside is the datagram of a peer, or for one, that a message between a client and a relay
// carries; nil: it carries none.
func inside(b []byte) []byte {
	if isChannelData(b) {
		return b[4 : 4+binary.BigEndian.Uint16(b[2:])]
	}
	m := &stun.Message{}
	if stun.Decode(b, m) != nil || m.Type.Class != stun.ClassIndication {
		return nil
	}
	data, _ := m.Get(stun.AttrData)
	return data
}

// isChannelData: RFC 8656, Section 12.
func isChannelData(b []byte) bool {
	return len(b) >= 4 && b[0]&0xf0 == 0x40 && 4+int(binary.BigEndian.Uint16(b[2:])) <= len(b)
}

// wrapped is datagram in a message like one that has carried another: from the same peer, to
// the same client. nil: that one did not.
func wrapped(like, datagram []byte) []byte {
	if isChannelData(like) {
		b := binary.BigEndian.AppendUint16(bytes.Clone(like[:2]), uint16(len(datagram)))
		return append(b, datagram...)
	}
	m, again := &stun.Message{}, stun.New()
	if inside(like) == nil || stun.Decode(like, m) != nil {
		return nil
	}
	again.Type, again.TransactionID = m.Type, stun.NewTransactionID()
	again.WriteHeader()
	for _, a := range m.Attributes {
		switch a.Type {
		case stun.AttrData:
			again.Add(a.Type, datagram)
		case stun.AttrFingerprint:
		default:
			again.Add(a.Type, a.Value)
		}
	}
	return again.Raw
}
