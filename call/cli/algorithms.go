package cli

import (
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
)

// A choice is one of the flags that take a list of algorithms.
type choice struct {
	flag, what, byDefault string

	names []wire.Name // all that we know, in our own order
	human []string    // as the security line has them
}

// choices are the algorithm flags and RFC 6189's names (Sections 5.1.2 to
// 5.1.6, and our own for the hybrid), most wanted first. X448, EC52 and DH2k are
// offered only if they are asked for.
func choices() []choice {
	return []choice{
		{
			"key-agreement", "key agreements", "XM76,X255,EC25,EC38,DH3k",
			[]wire.Name{wire.XM76, wire.X255, wire.EC25, wire.EC38, wire.DH3k, wire.X448, wire.EC52, wire.DH2k},
			[]string{"X25519 + ML-KEM-768", "X25519", "P-256", "P-384", "DH 3072", "X448", "P-521", "DH 2048"},
		},
		{"cipher", "ciphers", "all", []wire.Name{wire.AES3, wire.AES1}, []string{"AES-256", "AES-128"}},
		{"auth", "SRTP authentication tags", "all", []wire.Name{wire.HS80, wire.HS32}, []string{"80 bits", "32 bits"}},
		{"hash", "hashes", "all", []wire.Name{wire.S256, wire.S384}, []string{"SHA-256", "SHA-384"}},
		{"sas", "SAS types", "all", []wire.Name{wire.B256, wire.B32}, []string{"words", "characters"}},
	}
}

// human is the name that a person knows the algorithm by, or name itself.
func human(name string) string {
	for _, c := range choices() {
		for i, n := range c.names {
			if trim(n) == name {
				return c.human[i]
			}
		}
	}
	return printable(name)
}

func trim(n wire.Name) string { return strings.TrimRight(n.String(), " ") }

func (c choice) known() string {
	names := make([]string, len(c.names))
	for i, n := range c.names {
		names[i] = trim(n)
	}
	return strings.Join(names, ", ")
}

// parse reads a comma list, most wanted first. The empty list stands for a
// flag that was not given: the defaults.
func (c choice) parse(list string) ([]wire.Name, error) {
	var names []wire.Name
	for s := range strings.SplitSeq(list, ",") {
		s = strings.TrimSpace(s)
		i := slices.IndexFunc(c.names, func(n wire.Name) bool { return trim(n) == s })
		if i < 0 {
			return nil, usagef("it takes a comma list, most wanted first, of "+c.known(), "--%s: %q is none of the %s", c.flag, s, c.what)
		}
		if slices.Contains(names, c.names[i]) {
			return nil, usagef("name each once, most wanted first", "--%s: %s stands there twice", c.flag, s)
		}
		names = append(names, c.names[i])
	}
	if len(names) > wire.MaxAlgorithms {
		return nil, usagef("leave out those that you want least", "--%s: ZRTP has room for %d of them", c.flag, wire.MaxAlgorithms)
	}
	return names, nil
}

// algorithms reads the algorithm flags.
func algorithms(c *ucli.Context) (a zrtp.Algorithms, err error) {
	lists := []*[]wire.Name{&a.KeyAgreements, &a.Ciphers, &a.Auths, &a.Hashes, &a.SASTypes}
	for i, ch := range choices() {
		if !c.IsSet(ch.flag) {
			continue
		}
		if *lists[i], err = ch.parse(c.String(ch.flag)); err != nil {
			return a, err
		}
	}
	// RFC 6189, Section 5.1.5: EC38 goes with S384 alone.
	if slices.Equal(a.KeyAgreements, []wire.Name{wire.EC38}) && len(a.Hashes) > 0 && !slices.Contains(a.Hashes, wire.S384) {
		return a, usagef("add S384 to --hash, or another name to --key-agreement", "--key-agreement EC38 needs --hash S384")
	}
	return a, nil
}
