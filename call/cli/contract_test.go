package cli

import (
	"os"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"
)

// The contract (testdata/contract.txt, TestContract) has the keys of a call, and no others.
func TestKeysOfTheContract(t *testing.T) {
	b, err := os.ReadFile("testdata/contract.txt")
	if err != nil {
		t.Fatal(err)
	}
	stated := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if key, is := strings.CutPrefix(line, "key "); is {
			key, _, _ = strings.Cut(key, "  ")
			stated[key] = true
		}
	}
	known := map[string]bool{"?": true}
	for _, rows := range [][][]keyHelp{ringingKeys, talkingKeys, guardedKeys} {
		for _, row := range rows {
			for _, k := range row {
				known[k.key] = true
				if !stated[k.key] {
					t.Errorf("the contract has no key %q", k.key)
				}
			}
		}
	}
	for key := range stated {
		if !known[key] {
			t.Errorf("there is no key %q", key)
		}
	}
}

// Secrets stand in files and at descriptors: whoever lists processes sees no flag with one.
func TestSecretsAreInFiles(t *testing.T) {
	found := 0
	for _, c := range []*ucli.Command{Listen(), Dial(), Contacts(), Ctl(), Devices(), Doctor(), Rendezvous(), Config()} {
		for _, f := range c.Flags {
			name := f.Names()[0]
			if !strings.Contains(name, "secret") && !strings.HasSuffix(name, "key") && !strings.Contains(name, "pass") {
				continue
			}
			found++
			if file, is := f.(*ucli.StringFlag); name != "secret-fd" && (!is || !file.TakesFile) {
				t.Errorf("%s --%s takes a secret, and no file", c.Name, name)
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d flags are about secrets", found)
	}
}
