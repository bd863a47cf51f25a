package zrtp

import (
	"fmt"
	"slices"

	"securecall/crypto/zrtp/wire"
)

// Default lists of Algorithms. They hold all that every endpoint must have
// (RFC 6189, Sections 5.1.2 to 5.1.6), and nothing that SRTP cannot carry.
var (
	defaultHashes        = []wire.Name{wire.S256, wire.S384} // S256 first: bzrtp computes rs1ID with the first
	defaultCiphers       = []wire.Name{wire.AES3, wire.AES1}
	defaultAuths         = []wire.Name{wire.HS80, wire.HS32}
	defaultKeyAgreements = []wire.Name{wire.XM76, wire.X255, wire.EC25, wire.EC38, wire.DH3k}
	defaultSASTypes      = []wire.Name{wire.B256, wire.B32}
)

// ranking of the key agreements, fastest first (Section 4.1.2). X255 and X448,
// which no RFC ranks, stand before the NIST curves of their strength. The
// hybrid is nearly as fast as X255 and stands before all: two endpoints that
// have it use it, whatever else they prefer.
var ranking = []wire.Name{wire.XM76, wire.DH2k, wire.X255, wire.EC25, wire.X448, wire.DH3k, wire.EC38, wire.EC52}

// complete fills in the defaults and checks what was given.
func (a Algorithms) complete() (Algorithms, error) {
	for _, l := range []struct {
		what      string
		list      *[]wire.Name
		byDefault []wire.Name
		known     []wire.Name
	}{
		{"hash", &a.Hashes, defaultHashes, defaultHashes},
		{"cipher", &a.Ciphers, defaultCiphers, defaultCiphers},
		{"SRTP authentication tag", &a.Auths, defaultAuths, defaultAuths},
		{"SAS type", &a.SASTypes, defaultSASTypes, defaultSASTypes},
	} {
		if err := completeList(l.what, l.list, l.byDefault, l.known); err != nil {
			return a, err
		}
	}
	// EC38 stands and falls with SHA-384 (Section 5.1.5).
	noEC38 := !slices.Contains(a.Hashes, wire.S384)
	if noEC38 && slices.Contains(a.KeyAgreements, wire.EC38) {
		return a, fmt.Errorf("zrtp: key agreement %v needs hash %v", wire.EC38, wire.S384)
	}
	if err := completeList("key agreement", &a.KeyAgreements, defaultKeyAgreements, ranking); err != nil {
		return a, err
	}
	if noEC38 {
		a.KeyAgreements = slices.DeleteFunc(a.KeyAgreements, func(n wire.Name) bool { return n == wire.EC38 })
	}
	return a, nil
}

func completeList(what string, list *[]wire.Name, byDefault, known []wire.Name) error {
	if len(*list) == 0 {
		*list = slices.Clone(byDefault)
		return nil
	}
	*list = slices.Clone(*list)
	for i, n := range *list {
		if !slices.Contains(known, n) {
			return fmt.Errorf("zrtp: unknown %s %q", what, n)
		}
		if slices.Contains((*list)[:i], n) {
			return fmt.Errorf("zrtp: %s %q is listed twice", what, n)
		}
	}
	if len(*list) > wire.MaxAlgorithms { // Section 5.2
		return fmt.Errorf("zrtp: more than %d names of one kind: %s", wire.MaxAlgorithms, what)
	}
	return nil
}

// suite is what a Commit selects.
type suite struct{ hash, cipher, auth, agreement, sas wire.Name }

func suiteOf(c *wire.Commit) suite {
	return suite{c.Hash, c.Cipher, c.Auth, c.KeyAgreement, c.SAS}
}

// choose picks what our Commit says, or the error code of what is not in
// common: the key agreement by Section 4.1.2, the rest as we like best.
func choose(own Algorithms, h *wire.Hello) (suite, wire.ErrorCode) {
	// "If a mandatory algorithm is not included in the list, it is implicitly
	// added to the end of the list for preference." (Section 5.2)
	hashes := common(own.Hashes, withMandatory(h.Hashes, wire.S256))
	ciphers := common(own.Ciphers, withMandatory(h.Ciphers, wire.AES1))
	auths := common(own.Auths, withMandatory(h.Auths, wire.HS32, wire.HS80))
	sasTypes := common(own.SASTypes, withMandatory(h.SASTypes, wire.B32))

	theirs := withMandatory(h.KeyAgreements, wire.DH3k)
	if !slices.Contains(hashes, wire.S384) {
		theirs = slices.DeleteFunc(theirs, func(n wire.Name) bool { return n == wire.EC38 })
	}
	agreements := common(own.KeyAgreements, theirs)

	switch {
	case len(hashes) == 0:
		return suite{}, wire.ErrorHash
	case len(ciphers) == 0:
		return suite{}, wire.ErrorCipher
	case len(agreements) == 0:
		return suite{}, wire.ErrorKeyAgreement
	case len(auths) == 0:
		return suite{}, wire.ErrorAuth
	case len(sasTypes) == 0:
		return suite{}, wire.ErrorSAS
	}
	c := suite{hashes[0], ciphers[0], auths[0], agreements[0], sasTypes[0]}
	if first := common(theirs, agreements)[0]; slices.Index(ranking, first) < slices.Index(ranking, c.agreement) {
		c.agreement = first
	}
	if c.agreement == wire.EC38 { // Section 5.1.5: MUST be SHA-384, SHOULD be AES-256
		c.hash = wire.S384
		if slices.Contains(ciphers, wire.AES3) {
			c.cipher = wire.AES3
		}
	}
	return c, 0
}

// accept checks a Commit against what we offered, in DH mode.
func accept(own Algorithms, c suite) wire.ErrorCode {
	if !slices.Contains(own.KeyAgreements, c.agreement) {
		return wire.ErrorKeyAgreement
	}
	return acceptWithoutDH(own, c)
}

// acceptWithoutDH checks all but the key agreement.
func acceptWithoutDH(own Algorithms, c suite) wire.ErrorCode {
	switch {
	case !slices.Contains(own.Hashes, c.hash):
		return wire.ErrorHash
	case !slices.Contains(own.Ciphers, c.cipher):
		return wire.ErrorCipher
	case !slices.Contains(own.Auths, c.auth):
		return wire.ErrorAuth
	case !slices.Contains(own.SASTypes, c.sas):
		return wire.ErrorSAS
	case c.agreement == wire.EC38 && c.hash != wire.S384: // Section 5.1.5
		return wire.ErrorHash
	}
	return 0
}

// common is what of list is in other too, in list's order.
func common(list, other []wire.Name) []wire.Name {
	var both []wire.Name
	for _, n := range list {
		if slices.Contains(other, n) {
			both = append(both, n)
		}
	}
	return both
}

func withMandatory(list []wire.Name, mandatory ...wire.Name) []wire.Name {
	list = slices.Clone(list)
	for _, n := range mandatory {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}
