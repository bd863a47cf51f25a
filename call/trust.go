package call

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"net/netip"
	"time"

	"securecall/crypto/sas"
	"securecall/crypto/zidcache"
	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
)

// Who is at the other end, and how sure that is: key continuity (RFC 6189,
// Sections 4.3.2, 4.6.1 and 15.1) and the comparison of the SAS (Section 7.1).

// A Requirement is what must hold when keys are agreed, or the call ends.
type Requirement int

// The requirements.
const (
	RequireNothing    Requirement = iota
	RequireContinuity             // a known peer with the expected keys
	RequireVerified               // and its SAS was compared once
	RequireCode                   // authenticated by a call code
)

// maxWrong is how many comparisons of the SAS may fail.
const maxWrong = 3

// A memo is a change to what is remembered about a peer, to be written by the
// endpoint.
type memo struct {
	zid     wire.ZID
	change  func(*zidcache.Record) error
	secrets [][]byte // that change puts there
}

// trust is what a core knows and decides about its peer. Control owns it.
type trust struct {
	before  zidcache.Record // as it was remembered when the call began
	known   bool
	zid     wire.ZID
	retain  zrtp.Retain
	meet    []byte // to be kept beside retain.RS1
	kept    bool   // they went to the cache
	sasType string
	sas     string
	want    string // what has to be typed

	doubt     bool // the keys are not the expected ones, and nothing has settled it
	verifying bool // somebody is comparing the SAS by voice
	verified  bool // in this call
	wrong     int  // comparisons that failed
	err       error
}

// retained is the lookup of zrtp.Config. The machine gets copies of its own,
// which it wipes; ours are kept until the call ends, in case that a failed
// comparison has to put them back.
func (c *core) retained(zid wire.ZID) zrtp.Retained {
	r, known, err := c.conf.Cache.Lookup(zid)
	if err != nil {
		c.trust.err = err
		return zrtp.Retained{}
	}
	r.Expire(time.Now())
	c.trust.before.Wipe()
	c.trust.before, c.trust.known = r, known
	return zrtp.Retained{RS1: clone(r.RS1), RS2: clone(r.RS2), Verified: !r.Verified.IsZero()}
}

// meetingSecret is what two who have been in a call find each other by at a meeting point.
// The exported key may be used "to derive other subkeys for various non-ZRTP purposes, via a
// KDF using separate KDF label strings", and "may outlast the VoIP session" (RFC 6189,
// Section 4.5.2).
func meetingSecret(exported []byte) []byte {
	b, err := hkdf.Key(sha256.New, exported, nil, "securecall meet by name 1", sha256.Size)
	if err != nil {
		panic(err) // of a length that HKDF has not: this it has
	}
	return b
}

func clone(secret []byte) []byte {
	if secret == nil {
		return nil
	}
	return append([]byte{}, secret...)
}

// judge notes what the keys say about the peer. Nothing is decided before the
// peer has confirmed them.
func (c *core) judge(k zrtp.KeysReady) error {
	if c.trust.err != nil {
		return c.trust.err
	}
	text, ok := sas.Render(k.SAS.String(), k.SASValue)
	if !ok {
		return errors.New("SAS type " + k.SAS.String() + " cannot be shown")
	}
	t := &c.trust
	t.zid, t.sasType, t.sas, t.want = k.ZID, k.SAS.String(), text, text
	t.retain = zrtp.Retain{RS1: clone(k.Retain.RS1), Expiry: k.Retain.Expiry, KeepRS2: k.Retain.KeepRS2}
	clear(t.meet)
	t.meet = meetingSecret(k.ExportedKey)
	if c.conf.SplitSAS {
		first, second, ok := sas.Halves(t.sasType, text)
		if !ok {
			return errors.New("SAS type " + k.SAS.String() + " has no halves")
		}
		t.want = first
		if k.Role == zrtp.Initiator {
			t.want = second // the initiator reads out the first, and hears this one
		}
	}
	t.doubt = k.Continuity == zrtp.Mismatch || c.unexpected()
	return nil
}

// unexpected tells whether a contact was dialled and another installation has
// answered.
func (c *core) unexpected() bool {
	return c.conf.Expect != nil && c.trust.zid != c.conf.Expect.ZID
}

// name is the contact's, if the peer has shown that it is the one.
func (c *core) name() string {
	if c.security.Continuity != "match" || c.trust.doubt {
		return ""
	}
	return c.trust.before.Name
}

// decide ends the call if the keys are not good enough, closes the microphone
// if somebody has to decide, and otherwise remembers the peer. It tells whether
// the call goes on.
func (c *core) decide(now time.Time) bool {
	t := &c.trust
	if t.doubt {
		changed := KeyChanged{ZID: c.security.ZID, Contact: t.before.Name, Another: c.unexpected()}
		if changed.Another {
			changed.Contact = c.conf.Expect.Name
		}
		c.tell(changed)
	}
	word := wordHangup
	if !c.caller {
		word = wordDeclined
	}
	needsContinuity := c.conf.Require == RequireContinuity || c.conf.Require == RequireVerified
	switch {
	case c.lacksCodeSecret():
		c.leave(now, ReasonKeys, word, ErrCodeSecret)
		return false
	case t.doubt && (!c.conf.Attended || c.conf.KnownOnly || needsContinuity):
		c.leave(now, ReasonKeysChanged, word, errKeysChanged)
		return false
	case needsContinuity && c.security.Continuity != "match",
		c.conf.Require == RequireVerified && !c.security.Verified,
		c.conf.Require == RequireCode && !c.hasCodeSecret(),
		c.conf.KnownOnly && c.security.Continuity != "match":
		c.leave(now, ReasonRequire, word, errRequire)
		return false
	}
	c.guard()
	return true
}

var (
	errKeysChanged = errors.New("the other side's keys are not the expected ones, and there is nobody here to decide")
	errRequire     = errors.New("the other side is not as well known as --require asks")
)

// guard opens or closes the microphone: while the keys are in doubt it is open
// only to read out the SAS, which is no secret.
func (c *core) guard() {
	if c.media == nil {
		return
	}
	closed := c.trust.doubt && !c.trust.verifying
	if c.media.guarded.Swap(closed) != closed {
		c.tell(Guarded{On: closed})
	}
}

// keep updates the cache (RFC 6189, Section 4.6.1), whatever becomes of the
// call: the other side does, and would be alarmed next time if we had not. But
// after a mismatch "the cache update MUST be delayed" until the SAS has been
// verified (Section 4.6.1.1).
func (c *core) keep(now time.Time) {
	t := &c.trust
	if c.security.Continuity == "mismatch" && !t.verified || t.kept || c.conf.Cache == nil || c.own {
		return
	}
	if c.lacksCodeSecret() {
		return // whoever it is, it is not the one with the code
	}
	t.kept = true
	rs1, meet, expiry, address, name := clone(t.retain.RS1), clone(t.meet), t.retain.Expiry, c.conf.Address, c.conf.Contact
	doubt, keepRS2 := t.doubt, t.retain.KeepRS2
	continuity := c.security.Continuity
	seen := ""
	if !c.met { // else it is only where a NAT or a relay was
		seen = c.remote.Addr().String() // the port of who calls is any free one, where nobody will listen
	}
	c.remember(func(r *zidcache.Record) error {
		if expiry == 0 {
			// "no new cache entry is created", and "the stored cache interval
			// should be set to 0" (Section 4.9).
			if r.RS1 == nil {
				return errNothingToKeep
			}
			r.Expires = now
			return nil
		}
		r.Expire(now)
		switch {
		case continuity == "mismatch":
			r.RS2, r.Meet2 = nil, nil // what the other side has shown not to have: it may be his who was in between
		case !keepRS2:
			r.RS2, r.Meet2 = r.RS1, r.Meet1
		}
		if continuity == "new" {
			r.Verified, r.How = time.Time{}, "" // that was of secrets that are gone
		}
		r.RS1, r.Meet1 = rs1, meet
		r.Expires = time.Time{}
		if expiry != zrtp.Forever {
			r.Expires = now.Add(time.Duration(expiry) * time.Second)
		}
		if r.First.IsZero() {
			r.First = now
		}
		r.Last = now
		switch {
		case address != "" && !doubt:
			r.Address = address
		case seen != "" && (r.Address == "" || wasSeen(r.Address)):
			r.Address = seen
		}
		if name != "" && !doubt {
			r.Name = name
		}
		return nil
	}, rs1, meet)
}

// wasSeen tells whether an address is that of somebody who called, and not one
// that was dialled, which is worth more.
func wasSeen(address string) bool {
	_, err := netip.ParseAddr(address)
	return err == nil
}

// errNothingToKeep leaves the cache as it is.
var errNothingToKeep = errors.New("nothing to keep")

func (c *core) remember(change func(*zidcache.Record) error, secrets ...[]byte) {
	if c.conf.Cache != nil && !c.own {
		c.memos = append(c.memos, memo{c.trust.zid, change, secrets})
	}
}

// tookPlace notes that the call was answered: its peer is no stranger, unless
// it is not the one that was called.
func (c *core) tookPlace() {
	if c.trust.kept && c.trust.retain.Expiry > 0 && (c.trust.verified || !c.unexpected()) {
		c.remember(func(r *zidcache.Record) error {
			if r.First.IsZero() {
				return errNothingToKeep // forgotten since
			}
			r.Answered = true
			return nil
		})
	}
}

// A Comparison is what came of comparing the SAS.
type Comparison struct {
	Possible bool // there is a call with keys; else nothing was compared
	Equal    bool
	Left     int // how many may still fail; 0: the call ends
}

// compare compares what a person typed, or a command that is trusted printed,
// with the SAS. how is typed or via. It is the only way to Verified.
func (c *core) compare(now time.Time, how, typed string) Comparison {
	t := &c.trust
	if t.sas == "" || c.phase != ringing && c.phase != talking {
		return Comparison{}
	}
	if how == "via" && !sas.Shaped(t.sasType, typed) {
		c.tell(Fault{
			Err:  errors.New("what --verify-via printed first is no SAS: nothing is verified by it"),
			Hint: "its first line must be the SAS alone, as securecall ctl sas prints it",
		})
		return Comparison{Possible: true, Left: maxWrong - t.wrong}
	}
	if !sas.Matches(t.sasType, t.want, typed) && !sas.Matches(t.sasType, t.sas, typed) {
		t.wrong++
		left := maxWrong - t.wrong
		if how == "via" {
			left = 0 // no slip of the tongue: another SAS
		}
		if left <= 0 {
			c.unequal(now)
		}
		return Comparison{Possible: true, Left: max(left, 0)}
	}
	t.verified, t.doubt, t.verifying = true, false, false
	c.keep(now)
	if t.retain.Expiry > 0 {
		rs1 := clone(t.retain.RS1)
		c.remember(func(r *zidcache.Record) error {
			if !bytes.Equal(r.RS1, rs1) {
				return errNothingToKeep // forgotten since, or never written: there is nothing to be verified
			}
			r.RS2, r.Meet2 = nil, nil // older than what was compared: whoever has it was not there
			r.Verified, r.How = now, how
			return nil
		}, rs1)
		if c.phase == talking {
			c.tookPlace()
		}
	}
	c.security.Verified = true
	c.tell(Verified{How: how})
	c.guard()
	return Comparison{Possible: true, Equal: true, Left: maxWrong - t.wrong}
}

// unequal ends the call: somebody is in between.
func (c *core) unequal(now time.Time) {
	c.distrust()
	c.leave(now, ReasonSAS, wordHangup, errSAS)
}

// distrust puts what is remembered back as it was before, without the verification:
// "clearing the SAS Verified flag, and erase the cached shared secret from this session"
// (Section 7.1).
func (c *core) distrust() {
	before, kept := c.trust.before, c.trust.kept
	rs1, rs2, meet1, meet2 := clone(before.RS1), clone(before.RS2), clone(before.Meet1), clone(before.Meet2)
	if c.trust.known || kept {
		c.remember(func(r *zidcache.Record) error {
			if r.First.IsZero() {
				return errNothingToKeep // forgotten since
			}
			if kept {
				r.RS1, r.RS2, r.Meet1, r.Meet2, r.Expires = rs1, rs2, meet1, meet2, before.Expires
				r.Name, r.Address = before.Name, before.Address
			}
			r.Verified, r.How = time.Time{}, ""
			return nil
		}, rs1, rs2, meet1, meet2)
	}
}

var errSAS = errors.New("what the other side reads out is not what stands here: somebody may be in between")

// verifying opens the microphone for the comparison, or ends that.
func (c *core) setVerifying(on bool) {
	if c.phase == ringing || c.phase == talking {
		c.trust.verifying = on
		c.guard()
	}
}

// acceptRisk lets the person speak without knowing with whom: for this call
// only, nothing is remembered, and the next one warns again.
func (c *core) acceptRisk() {
	if c.phase == ringing || c.phase == talking {
		c.trust.doubt, c.trust.verifying = false, false
		c.guard()
	}
}

// forget wipes the secrets of the cache.
func (t *trust) forget() {
	t.before.Wipe()
	clear(t.retain.RS1)
	clear(t.meet)
}
