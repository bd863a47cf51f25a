package zrtp

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Where docs/rfc6189.md says that tests are.
var testFolders = map[string]string{
	"":     ".",
	"wire": "wire", "dh": "dh",
	"sas": "../sas", "zidcache": "../zidcache", "srtp": "../srtp",
	"call": "../../call", "cli": "../../call/cli",
}

var (
	namedTest   = regexp.MustCompile("(?:\\b(wire|dh|sas|zidcache|srtp|call|cli): )?`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	definedTest = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// testsOf lists the tests in files of that pattern, in their order.
func testsOf(t *testing.T, pattern string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no test files (%v)", pattern, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range definedTest.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

// Every test that docs/rfc6189.md names is there, and it names every test that
// was written for a rule of the RFC alone.
func TestTableNamesRealTests(t *testing.T) {
	text, err := os.ReadFile("../../docs/rfc6189.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]map[string]bool{}
	for prefix, folder := range testFolders {
		there[prefix] = map[string]bool{}
		for _, name := range testsOf(t, filepath.Join(folder, "*_test.go")) {
			there[prefix][name] = true
		}
	}
	named := map[string]bool{}
	for n, line := range strings.Split(string(text), "\n") {
		for cell := range strings.SplitSeq(line, "|") {
			folder := "" // a prefix holds until the next one, in its cell
			for _, m := range namedTest.FindAllStringSubmatch(cell, -1) {
				if m[1] != "" {
					folder = m[1]
				}
				if !there[folder][m[2]] {
					t.Errorf("line %d: there is no %s in %q", n+1, m[2], folder)
				}
				if folder == "" {
					named[m[2]] = true
				}
			}
		}
	}
	if len(named) < 50 {
		t.Errorf("%d tests are named", len(named))
	}
	for _, name := range testsOf(t, "rfc6189_test.go") {
		if !named[name] {
			t.Errorf("%s stands in no row", name)
		}
	}
}
