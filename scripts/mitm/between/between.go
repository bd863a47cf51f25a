// Package between is a man in the middle for tests: he holds a ZRTP exchange
// with either side, and passes SRTP and SRTCP on from the keys of one to those
// of the other. He is as good as one can be who does not have what the two
// remember: he takes over ZIDs, SSRCs and client names, so that nothing but the
// keys is different.
package between

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pion/rtp"

	"securecall/crypto/sas"
	"securecall/crypto/srtp"
	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
)

// A side is one of the two who believe that they talk to each other.
type side struct {
	name    string
	conn    *net.UDPConn
	addr    netip.AddrPort // not valid: not known yet
	hello   *zrtp.PeerHello
	session *zrtp.Session // with it, in the name of the other; nil until both are known
	media   *srtp.Session
	heard   int // RTP packets in the clear
}

// Run stands between whoever dials the port that it prints and target, until
// ctx ends.
func Run(ctx context.Context, target netip.AddrPort, out io.Writer) error {
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer front.Close()
	back, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer back.Close()
	fmt.Fprintln(out, "port", front.LocalAddr().(*net.UDPAddr).Port)

	type datagram struct {
		from int
		addr netip.AddrPort
		b    []byte
	}
	in := make(chan datagram, 64)
	for i, c := range []*net.UDPConn{front, back} {
		go func() {
			for {
				b := make([]byte, 2048)
				n, addr, err := c.ReadFromUDPAddrPort(b)
				if err != nil && errors.Is(err, net.ErrClosed) {
					return
				}
				if err == nil {
					in <- datagram{i, addr, b[:n]}
				}
			}
		}()
	}
	m := &middle{out: out}
	m.sides[0] = &side{name: "caller", conn: front}
	m.sides[1] = &side{name: "callee", conn: back, addr: target}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case d := <-in:
			m.sides[d.from].addr = d.addr
			if err := m.receive(d.from, d.b); err != nil {
				return err
			}
		case now := <-tick.C:
			for i, s := range m.sides {
				if s.session != nil {
					s.session.Advance(now)
					if err := m.pump(i); err != nil {
						return err
					}
				}
			}
		case <-ctx.Done():
			for _, s := range m.sides {
				fmt.Fprintf(out, "heard from the %s: %d packets of speech\n", s.name, s.heard)
			}
			return nil
		}
	}
}

// middle is the man.
type middle struct {
	sides [2]*side
	out   io.Writer
}

// receive handles one datagram of a side.
func (m *middle) receive(from int, b []byte) error {
	s, other := m.sides[from], m.sides[1-from]
	switch {
	case wire.IsZRTP(b):
		if s.session == nil {
			return m.meet(from, b)
		}
		_ = s.session.Receive(time.Now(), b) // a bad packet is nobody's business
		return m.pump(from)
	case s.media == nil || other.media == nil || len(b) < 2:
		return nil
	case b[1] >= 192 && b[1] <= 223: // RTCP (RFC 5761, Section 4)
		plain, err := s.media.OpenRTCP(nil, b)
		if err != nil {
			return nil
		}
		sealed, err := other.media.AppendRTCP(nil, plain)
		if err == nil {
			m.send(other, sealed)
		}
	default:
		var h rtp.Header
		payload, err := s.media.OpenRTP(nil, b, &h)
		if err != nil {
			return nil
		}
		s.session.Confirmed(time.Now())
		s.heard++ // here he could listen, and change what is said
		sealed, err := other.media.AppendRTP(nil, &h, payload)
		if err == nil {
			m.send(other, sealed)
		}
	}
	return nil
}

func (m *middle) send(to *side, b []byte) {
	if to.addr.IsValid() {
		_, _ = to.conn.WriteToUDPAddrPort(b, to.addr)
	}
}

// meet takes the Hellos. With that of the caller he dials the callee, in the
// caller's name; with that of the callee he answers the caller, in its name.
func (m *middle) meet(from int, b []byte) error {
	p, err := wire.ParsePacket(b)
	if err != nil {
		return nil
	}
	message, err := wire.Parse(p.Message)
	if err != nil {
		return nil
	}
	hello, ok := message.(*wire.Hello)
	if !ok {
		return nil
	}
	towards := m.sides[1-from]
	m.sides[from].hello = &zrtp.PeerHello{ZID: hello.ZID, SSRC: p.SSRC}
	if towards.session == nil {
		towards.session, err = zrtp.New(zrtp.Config{
			Initiate: from == 0, ZID: hello.ZID, SSRC: p.SSRC, Client: string(hello.Client[:]), Rand: rand.Reader,
		})
		if err != nil {
			return err
		}
		towards.session.Start(time.Now())
		if err := m.pump(1 - from); err != nil {
			return err
		}
	}
	return nil
}

// pump takes what a session has to say.
func (m *middle) pump(i int) error {
	s, other := m.sides[i], m.sides[1-i]
	for {
		b, ok := s.session.NextPacket()
		if !ok {
			break
		}
		m.send(s, b)
	}
	for {
		ev, ok := s.session.NextEvent()
		if !ok {
			return nil
		}
		switch ev := ev.(type) {
		case zrtp.PeerHello:
			s.hello = &ev
			if other.session == nil { // the callee's Hello: now he can answer in its name
				var err error
				other.session, err = zrtp.New(zrtp.Config{ZID: ev.ZID, SSRC: ev.SSRC, Client: ev.Client, Rand: rand.Reader})
				if err != nil {
					return err
				}
				other.session.Start(time.Now())
				if err := m.pump(1 - i); err != nil {
					return err
				}
			}
		case zrtp.KeysReady:
			words, _ := sas.Render(ev.SAS.String(), ev.SASValue)
			fmt.Fprintf(m.out, "towards the %s: %s\n", s.name, words)
			media, err := srtp.New(srtp.Keys{
				Cipher: ev.Cipher.String(), Auth: ev.Auth.String(),
				LocalKey: ev.LocalKey, LocalSalt: ev.LocalSalt, RemoteKey: ev.RemoteKey, RemoteSalt: ev.RemoteSalt,
				LocalSSRC: other.hello.SSRC, RemoteSSRC: ev.SSRC,
			})
			if err != nil {
				return err
			}
			s.media = media
		case zrtp.Failed:
			fmt.Fprintf(m.out, "towards the %s: %v\n", s.name, ev.Err)
		}
	}
}
