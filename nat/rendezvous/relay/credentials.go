package relay

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"securecall/nat/rendezvous/quota"
)

// Credentials are a username and password for one side of one call, good from
// now on for CredentialTime.
func (s *Server) Credentials(now time.Time) (username, password string) {
	return Credentials(s.secret, now.Add(s.Limits.CredentialTime))
}

// Credentials are those for any TURN server that has the secret (coturn's
// static-auth-secret), good until then (draft-uberti-behave-turn-rest-00, Section 2.2;
// the draft asks for SHA-1, and coturn expects it).
func Credentials(secret string, until time.Time) (username, password string) {
	username = strconv.FormatInt(until.Unix(), 10) + ":" + rand.Text()[:16]
	return username, passwordOf(secret, username)
}

func (s *Server) password(username string) string { return passwordOf(s.secret, username) }

func passwordOf(secret, username string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// expiry is when an allocation may no longer begin.
func expiry(username string) (time.Time, bool) {
	seconds, _, found := strings.Cut(username, ":")
	n, err := strconv.ParseInt(seconds, 10, 64)
	return time.Unix(n, 0), found && err == nil
}

// authenticate is asked for the key of a request. A false name has a key as
// well, which nobody can know.
func (s *Server) authenticate(r *turn.RequestAttributes) (userID string, key []byte, ok bool) {
	until, ok := expiry(r.Username)
	if r.Method != stun.MethodAllocate {
		until = until.Add(s.Limits.LongestTime)
	}
	if !ok || !time.Now().Before(until) {
		return "", nil, false
	}
	return r.Username, turn.GenerateAuthKey(r.Username, r.Realm, s.password(r.Username)), true
}

// A user is a credential in use.
type user struct {
	until       time.Time    // what is used stays counted until then
	allocations int          // under the Server's mu
	octets      atomic.Int64 // relayed so far, both ways
}

// allocate counts an allocation of a credential, or returns nil.
func (s *Server) allocate(username string) *user {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[username]
	if u == nil {
		s.sweep()
		until, _ := expiry(username)
		u = &user{until: until}
		s.users[username] = u
	}
	if s.allocations >= s.Limits.Allocations || u.allocations >= s.Limits.AllocationsPerCredential {
		return nil
	}
	s.allocations++
	u.allocations++
	return u
}

func (s *Server) free(u *user) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allocations--
	u.allocations--
}

// sweep forgets credentials that are of no more use, once a minute.
func (s *Server) sweep() {
	now := time.Now()
	if now.Sub(s.swept) < time.Minute {
		return
	}
	s.swept = now
	for name, u := range s.users {
		if u.allocations == 0 && now.After(u.until) {
			delete(s.users, name)
		}
	}
}

// mayAllocate is asked before an allocation, and says no with 486 (RFC 8656,
// Section 7.2).
func (s *Server) mayAllocate(username, _ string, from net.Addr) bool {
	a := addrPort(from).Addr()
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[username]
	limit := ""
	switch {
	case s.allocations >= s.Limits.Allocations:
		limit = "Allocations"
	case s.networks[quota.Network(a)] >= s.Limits.AllocationsPerNetwork:
		limit = "AllocationsPerNetwork"
	case u != nil && u.allocations >= s.Limits.AllocationsPerCredential:
		limit = "AllocationsPerCredential"
	case u != nil && u.octets.Load() >= s.Limits.OctetsPerCredential:
		limit = "OctetsPerCredential"
	default:
		return true
	}
	s.announce.Hit(time.Now(), limit, a)
	return false
}

func (s *Server) created(from, _ net.Addr, _, _, _ string, _ net.Addr, _ int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.networks[quota.Network(addrPort(from).Addr())]++
}

func (s *Server) deleted(from, _ net.Addr, _, _, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := quota.Network(addrPort(from).Addr())
	if s.networks[n]--; s.networks[n] <= 0 {
		delete(s.networks, n)
	}
}
