package zrtp

import (
	"testing"

	"securecall/crypto/zrtp/wire"
)

func names(list ...string) (n []wire.Name) {
	for _, s := range list {
		n = append(n, name(s))
	}
	return n
}

// "Each endpoint compares the first item on their own list with the first item
// on the other endpoint's list and SHOULD choose the faster of the two
// algorithms." (Section 4.1.2; the first case is its example.)
func TestChooseKeyAgreement(t *testing.T) {
	for _, c := range []struct {
		ours, theirs []wire.Name
		want         string
	}{
		{names("DH2k", "DH3k", "EC25"), names("EC38", "EC25", "DH3k"), "EC25"},
		{names("EC38", "EC25", "DH3k"), names("DH2k", "DH3k", "EC25"), "EC25"},
		{names("X255", "EC25", "DH3k"), names("EC25", "X255"), "X255"},
		{names("EC38", "X255"), names("EC38", "X255"), "EC38"},
		{names("EC38", "DH3k"), names("DH3k", "EC38"), "DH3k"},
		{names("DH3k", "EC38"), names("EC38"), "DH3k"}, // the peer has DH3k, listed or not
		{names("DH3k", "DH2k"), names("DH2k", "DH3k"), "DH2k"},
		{names("X255", "DH3k"), nil, "DH3k"},
		{names("X255", "DH3k"), names("X448", "Mult", "K768"), "DH3k"},
		{names("X255", "DH3k"), names("DH3k", "X255"), "X255"},
		{names("X255"), nil, ""},
	} {
		own, err := Algorithms{KeyAgreements: c.ours}.complete()
		if err != nil {
			t.Fatal(err)
		}
		h := &wire.Hello{Hashes: names("S384"), KeyAgreements: c.theirs}
		got, code := choose(own, h)
		switch {
		case c.want == "" && code != wire.ErrorKeyAgreement:
			t.Errorf("%v and %v: %v, %v", c.ours, c.theirs, got, code)
		case c.want != "" && (code != 0 || got.agreement != name(c.want)):
			t.Errorf("%v and %v: %v, %v, want %s", c.ours, c.theirs, got, code, c.want)
		}
	}
}

// "to mutually and deterministically choose the same DH key size and
// algorithm before a Commit message is sent" (Section 4.1.2)
func TestBothChooseTheSame(t *testing.T) {
	lists := [][]wire.Name{nil}
	for _, a := range ranking {
		lists = append(lists, []wire.Name{a, wire.DH3k})
		for _, b := range ranking {
			lists = append(lists, []wire.Name{wire.DH3k, a, b}, []wire.Name{a, b, wire.DH3k})
		}
	}
	for _, x := range lists {
		for _, y := range lists {
			one, _ := choose(Algorithms{defaultHashes, defaultCiphers, defaultAuths, withMandatory(x, wire.DH3k), defaultSASTypes},
				&wire.Hello{Hashes: defaultHashes, KeyAgreements: y})
			two, _ := choose(Algorithms{defaultHashes, defaultCiphers, defaultAuths, withMandatory(y, wire.DH3k), defaultSASTypes},
				&wire.Hello{Hashes: defaultHashes, KeyAgreements: x})
			if one.agreement != two.agreement {
				t.Errorf("%v and %v: one end chooses %v, the other %v", x, y, one.agreement, two.agreement)
			}
		}
	}
}

func contains(list []wire.Name, s string) bool { return len(common(list, names(s))) > 0 }

// "For the rest of the algorithm choices, it's simply whatever the initiator
// selects from the algorithms in common." (Section 4.1.2) What every endpoint
// must have is in common, listed or not (Section 5.2).
func TestChooseTheRest(t *testing.T) {
	own, err := Algorithms{}.complete()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hello wire.Hello
		want  suite
	}{
		{wire.Hello{}, suite{wire.S256, wire.AES1, wire.HS80, wire.DH3k, wire.B32}},
		{
			wire.Hello{Hashes: names("S384", "S256"), Ciphers: names("AES1", "AES3"), Auths: names("HS32"), KeyAgreements: names("X255"), SASTypes: names("B32", "B256")},
			suite{wire.S256, wire.AES3, wire.HS80, wire.X255, wire.B256},
		},
		{ // only what SRTP can carry
			wire.Hello{Hashes: names("N384"), Ciphers: names("2FS3", "AES2"), Auths: names("SK32", "SK64")},
			suite{wire.S256, wire.AES1, wire.HS80, wire.DH3k, wire.B32},
		},
		// EC38 is in common only with S384 (Section 5.1.5) and brings it along.
		{wire.Hello{KeyAgreements: names("EC38")}, suite{wire.S256, wire.AES1, wire.HS80, wire.DH3k, wire.B32}},
		{wire.Hello{Hashes: names("S256", "S384"), KeyAgreements: names("EC38")}, suite{wire.S384, wire.AES1, wire.HS80, wire.EC38, wire.B32}},
	} {
		got, code := choose(own, &c.hello)
		if code != 0 || got != c.want {
			t.Errorf("%v: %v, %v, want %v", c.hello, got, code, c.want)
		}
	}
}

// "If EC38 is chosen as the key agreement, AES-256 (AES3) SHOULD be used"
// (Section 5.1.5), whatever we like better.
func TestEC38WantsAES256(t *testing.T) {
	own, err := Algorithms{Ciphers: names("AES1", "AES3"), KeyAgreements: names("EC38")}.complete()
	if err != nil {
		t.Fatal(err)
	}
	h := &wire.Hello{Hashes: names("S384"), Ciphers: names("AES1", "AES3"), KeyAgreements: names("EC38")}
	if got, code := choose(own, h); code != 0 || got.cipher != wire.AES3 || got.hash != wire.S384 {
		t.Errorf("%v, %v", got, code)
	}
	h.Ciphers = nil
	if got, code := choose(own, h); code != 0 || got.cipher != wire.AES1 {
		t.Errorf("%v, %v", got, code)
	}
}

func TestDefaults(t *testing.T) {
	a, err := Algorithms{}.complete()
	if err != nil {
		t.Fatal(err)
	}
	if contains(a.KeyAgreements, "DH2k") || !contains(a.KeyAgreements, "DH3k") {
		t.Errorf("default key agreements %v", a.KeyAgreements)
	}
	a, err = Algorithms{Hashes: names("S256")}.complete()
	if err != nil || contains(a.KeyAgreements, "EC38") {
		t.Errorf("EC38 without S384: %v %v", a.KeyAgreements, err)
	}
	if !contains(defaultKeyAgreements, "EC38") {
		t.Error("the default list was changed")
	}
	for _, list := range [][]wire.Name{a.Hashes, a.Ciphers, a.Auths, a.KeyAgreements, a.SASTypes} {
		if len(list) == 0 || len(list) > 7 {
			t.Errorf("%v", list)
		}
	}
	b := []wire.Name{wire.X255}
	c, _ := Algorithms{KeyAgreements: b}.complete()
	c.KeyAgreements[0] = wire.DH2k
	if b[0] != wire.X255 {
		t.Error("the caller's list is not copied")
	}
}
