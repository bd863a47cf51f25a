package call

import (
	"errors"
	"time"

	"securecall/crypto/zrtp/wire"
)

// The cache's file is written beside control, in order, by one goroutine: a
// disk may take its time, and other processes may hold the lock.

// maxMemos bounds what waits to be written.
const maxMemos = 256

// note hands on what calls want to be remembered.
func (e *Endpoint) note(r *running) {
	for _, m := range r.core.memos {
		select {
		case e.memos <- m:
		default:
			m.wipe()
			e.conf.OnEvent(r.core.id, Fault{Err: errors.New("the folder of what is remembered cannot be written fast enough: this call is not remembered"), Hint: "is the disk slow or full? compare the words again in the next call"})
		}
	}
	r.core.memos = r.core.memos[:0]
}

// keeper writes until control has ended.
func (e *Endpoint) keeper() {
	for m := range e.memos {
		err := e.conf.Cache.Update(m.zid, m.change)
		m.wipe()
		if err != nil && !errors.Is(err, errNothingToKeep) {
			e.conf.OnEvent(0, Fault{Err: err, Hint: "the call goes on; what it should have left is not remembered"})
		}
	}
}

// wipe clears the secrets of a memo that has been written, or never will be.
func (m memo) wipe() {
	for _, s := range m.secrets {
		clear(s)
	}
}

// knows tells whether zid is that of a peer whose calls were answered before.
// It reads the list anew at most once a second, whoever asks.
func (e *Endpoint) knows(now time.Time, zid wire.ZID) bool {
	if now.Sub(e.knownAt) < time.Second {
		return e.known[zid]
	}
	list, err := e.conf.Cache.List()
	e.known, e.knownAt = map[wire.ZID]bool{}, now
	if err != nil {
		e.conf.OnEvent(0, Fault{Err: err, Hint: "nobody counts as known until it can be read: --state DIR chooses another folder"})
		return false
	}
	for _, r := range list {
		e.known[r.ZID] = true
	}
	return e.known[zid]
}
