package meet

import (
	"net/netip"
	"sync/atomic"

	"securecall/call"
	"securecall/nat/punched"
)

// A way is a punched path as a call wants it.
type way struct {
	*punched.Path
	routes chan call.PathChanged
	heard  atomic.Uint64 // packets
	over   func()
}

// ReadPacket implements nat.Path.
func (w *way) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	n, from, err := w.Path.ReadPacket(b)
	if err == nil {
		w.heard.Add(1)
	}
	return n, from, err
}

// Routes implements call.Router.
func (w *way) Routes() <-chan call.PathChanged { return w.routes }

// Close implements nat.Path.
func (w *way) Close() error {
	w.over()
	return w.Path.Close()
}

// turned tells of a way; one that was not taken yet is forgotten.
func (w *way) turned(r punched.Route) {
	if r.Kind == punched.None {
		return // the call waits for another, and ends where none comes
	}
	next := call.PathChanged{Kind: r.Kind.String(), Local: r.Local, Remote: r.Remote}
	for {
		select {
		case w.routes <- next:
			return
		default:
		}
		select {
		case <-w.routes:
		default:
		}
	}
}

var _ call.Router = (*way)(nil)
