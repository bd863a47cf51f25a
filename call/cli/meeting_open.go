package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"securecall/call/cli/service"
	"securecall/nat"
	"securecall/nat/rendezvous"
	"securecall/nat/rendezvous/relay"
)

// A meeting point that is open: what may change of it meanwhile, and what it is to the service
// manager that has started it.

// An openMeeting is a meeting whose settings can be read again.
type openMeeting struct {
	rereader
	now     atomic.Pointer[meeting]
	manager *service.Manager
	rereads bool // at SIGHUP
}

// turnSocket is what FileDescriptorName= calls the sockets of the relay.
const turnSocket = "turn"

// sockets are those that were opened for us: where people meet, and the relay's.
func (m *meeting) sockets(manager *service.Manager) (meet *net.TCPListener, packets []net.PacketConn, listeners []net.Listener, err error) {
	for _, s := range manager.Sockets {
		switch {
		case s.Name == turnSocket && !m.turn:
			return nil, nil, nil, usagef("leave securecall-rendezvous-turn.socket out: systemctl disable --now securecall-rendezvous-turn.socket", "--turn-bind none has no use for the sockets named turn")
		case s.Name == turnSocket && s.Conn != nil:
			packets = append(packets, s.Conn)
		case s.Name == turnSocket:
			listeners = append(listeners, s.Listener)
		case s.Listener == nil || meet != nil:
			return nil, nil, nil, usagef("one ListenStream=, which takes both families, and all of FileDescriptorName=turn apart, as in securecall-rendezvous.socket",
				"rendezvous takes one TCP socket from its service manager, and those named turn")
		default:
			meet = s.Listener
		}
	}
	return meet, packets, listeners, nil
}

// relays is what one end of a session is told at this moment.
func (o *openMeeting) relays(own *relay.Server) []rendezvous.Relay { return o.now.Load().relays(own) }

// tls is with the certificate of this moment.
func (o *openMeeting) tls() *tls.Config {
	first := o.now.Load().tls
	if first == nil {
		return nil
	}
	t := first.Clone()
	t.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return o.now.Load().tls.GetCertificate(h) }
	return t
}

// rereading reads the settings again at each SIGHUP, until it is stopped.
func (o *openMeeting) rereading() (stop func()) {
	if !o.rereads {
		return func() {}
	}
	hangup, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangup, syscall.SIGHUP)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-hangup:
				o.reread()
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(hangup)
		close(done)
		running.Wait()
	}
}

// reread takes over what can change while the meeting point is open: the certificate, and the
// other relays with their secret. What is wrong changes nothing.
func (o *openMeeting) reread() {
	o.manager.Reloading()
	defer func() { _ = o.manager.Ready("open") }()
	old := o.now.Load()
	again, err := o.again()
	var m *meeting
	if err == nil {
		m, err = readMeeting(again)
	}
	if err != nil {
		complain(o.c.App.ErrWriter, stayed(again, err))
		return
	}
	fixed := o.changed(again, changeable)
	if m.limits != old.limits {
		fixed = append(fixed, "limits")
	}
	m.limits = old.limits
	if m.tls == nil || old.tls == nil {
		m.tls = old.tls
	}
	o.now.Store(m)
	m.talk(o.c, "the settings were read again")
	if len(fixed) > 0 {
		m.talk(o.c, "  to change %s takes a restart", strings.Join(fixed, ", "))
	}
}

// changeable are the settings that reread takes over.
var changeable = []string{"tls-cert", "tls-key", "turn", "turn-secret-file", "config"}

// ready tells the manager that the meeting point is open, and when it closes.
func (o *openMeeting) ready(ctx context.Context) (stop func()) {
	if err := o.manager.Ready("open"); err != nil {
		complain(o.c.App.ErrWriter, diagnosis{what: fmt.Sprintf("%v: %v", errUnheard, err), hint: "NOTIFY_SOCKET names where it is to be told"})
	}
	return o.manager.StopsWith(ctx)
}

// beating is l, whose Accept tells the watchdog that we are alive.
func (o *openMeeting) beating(l net.Listener, server *rendezvous.Server) net.Listener {
	t, ok := l.(*net.TCPListener)
	every := o.manager.Beat()
	if !ok || every == 0 {
		return l
	}
	return &beating{TCPListener: t, every: every, beat: func() {
		// A server that is stuck does not answer here, and is then silent.
		o.manager.Alive(fmt.Sprintf("open, %d connected", server.Connected()))
	}}
}

// A beating listener comes round at least at every beat, in the loop that takes connections.
// What it refuses for a limit counts as well: a connection of our own, as a check, would be
// refused just when there are too many, and the watchdog would then do what they could not.
type beating struct {
	*net.TCPListener
	every time.Duration
	next  time.Time
	beat  func()
}

func (b *beating) Accept() (net.Conn, error) {
	for {
		_ = b.SetDeadline(time.Now().Add(b.every))
		c, err := b.TCPListener.Accept()
		if now := time.Now(); !now.Before(b.next) {
			b.next = now.Add(b.every)
			b.beat()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
	}
}

// listen is where people meet: at --bind, or at the socket that was opened for us.
func (m *meeting) listen(ctx context.Context, meet *net.TCPListener) (net.Listener, error) {
	if meet != nil {
		m.bind = meet.Addr().(*net.TCPAddr).AddrPort()
		return meet, nil
	}
	l, err := listenTCP(ctx, m.bind)
	if err != nil {
		return nil, &portError{nat.NewBindError("TCP", m.bind, err), "--bind"}
	}
	return l, nil
}
