package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// contractFile is what scripts can rely on, an item a line, and behind each the tests that hold
// it: a function in Go, a story of TestScripts (script/NAME.txtar) or of TestRecipes
// (recipe/NAME.txtar), or a script with real components (scripts/NAME.sh).
//
//	command NAME [WORD]       flag [COMMAND] --NAME (without COMMAND: of both listen and dial)
//	event NAME[.FIELD]        status N
//	key K                     peer FORM
//	rule …, bad …             what holds for several of them; input that is not as it should be
const contractFile = "call/cli/testdata/contract.txt"

// A clause is one line of it.
type clause struct {
	item  string
	tests []string
}

func readContract(t *testing.T) (all []clause) {
	t.Helper()
	var items []string
	for line := range strings.Lines(textOf(t, contractFile)) {
		line = strings.TrimSuffix(line, "\n")
		item, tests, found := strings.Cut(line, "  ")
		if !found {
			t.Errorf("%q has no test", line)
		}
		all = append(all, clause{item, strings.Fields(tests)})
		items = append(items, item)
	}
	if !slices.IsSorted(items) {
		slices.Sort(items)
		t.Errorf("%s is not sorted; it would be:\n%s", contractFile, strings.Join(items, "\n"))
	}
	if n := len(slices.Compact(items)); n != len(all) {
		t.Errorf("%d of its items stand there twice", len(all)-n)
	}
	return all
}

// What the program has stands in the contract, what stands there the program has, and each
// item's tests are there and are about it.
func TestContract(t *testing.T) {
	has := programHas(t)
	stated := map[string]bool{}
	tests := goTests(t)
	for _, c := range readContract(t) {
		kind, _, _ := strings.Cut(c.item, " ")
		stated[c.item] = true
		if !has[c.item] && slices.Contains([]string{"command", "flag", "event", "status"}, kind) {
			t.Errorf("%s: the program has it not", c.item)
		}
		for _, name := range c.tests {
			file, isFile := testFile(name)
			switch {
			case kind == "flag" && c.item != "flag --help" && name == "script/help.txtar":
				t.Errorf("%s: %s has what is said of it, and not what it does", c.item, name)
			case !isFile && len(tests[name]) == 0:
				t.Errorf("%s: there is no %s", c.item, name)
			case !isFile && len(tests[name]) > 1:
				t.Errorf("%s: there are several %s: %q", c.item, name, tests[name])
			case isFile:
				if text, err := os.ReadFile(file); err != nil {
					t.Errorf("%s: %v", c.item, err)
				} else if re := mention(c.item); re != nil && !re.Match(text) {
					t.Errorf("%s: %s says nothing of it (%s)", c.item, name, re)
				}
			}
		}
	}
	for item := range has {
		if !stated[item] {
			t.Errorf("%s: the program has it, and %s does not", item, contractFile)
		}
	}
}

// testFile is the file of a test that is no function.
func testFile(name string) (file string, ok bool) {
	for dir, at := range map[string]string{"script/": "call/cli/testdata/script", "recipe/": "call/cli/testdata/recipes", "scripts/": "scripts"} {
		if base, found := strings.CutPrefix(name, dir); found {
			return filepath.Join(at, base), true
		}
	}
	return "", false
}

// goTests are the tests of all packages by name, and by folder and name where several have one
// (./TestX, call/TestX), and the files in which they are.
func goTests(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range function.FindAllStringSubmatch(textOf(t, path), -1) {
			name, folder := m[1], filepath.ToSlash(filepath.Dir(path))
			all[name] = append(all[name], path)
			all[folder+"/"+name] = append(all[folder+"/"+name], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mention is how a story speaks of an item; nil: in no way that could be looked for.
func mention(item string) *regexp.Regexp {
	kind, name, _ := strings.Cut(item, " ")
	switch kind {
	case "command":
		return regexp.MustCompile(`(?m)(^|\s|')` + regexp.QuoteMeta(name) + `(\s|$|')`)
	case "flag":
		command, flag, own := strings.Cut(name, " ")
		if !own {
			return regexp.MustCompile(`(?m)(^|\s|')` + regexp.QuoteMeta(name) + `(\s|$|=|')`)
		}
		return regexp.MustCompile(`(?ms)\b` + command + `\b.*\s` + regexp.QuoteMeta(flag) + `(\s|$|=|')`)
	case "event":
		name, field, _ := strings.Cut(name, ".")
		if field != "" {
			name = field
		}
		return regexp.MustCompile(`\b` + name + `\b`)
	case "status":
		return regexp.MustCompile(`(?m)^(exits|ends \w+) ` + name + `(\s|$)|\bstatus\b.*\b` + name + `\b`)
	}
	return nil
}

// programHas are the items that the program itself and the schema of its events name.
func programHas(t *testing.T) map[string]bool {
	t.Helper()
	has := map[string]bool{}
	all := helped(t)
	for command, flags := range all {
		has["command "+command] = true
		for _, word := range words(run(t, "help", command)) {
			has["command "+command+" "+word] = true
		}
		for _, flag := range flags {
			if slices.Contains(all["listen"], flag) && slices.Contains(all["dial"], flag) && (command == "listen" || command == "dial") {
				has["flag "+flag] = true
			} else if flag != "--help" && flag != "-h" {
				has["flag "+command+" "+flag] = true
			}
		}
	}
	_, statuses, _ := strings.Cut(run(t, "help"), "how a call ended:")
	for _, status := range regexp.MustCompile(`  (\d+) `).FindAllStringSubmatch(statuses, -1) {
		has["status "+status[1]] = true
	}
	for event, fields := range events(t) {
		has["event "+event] = true
		for _, field := range fields {
			has["event "+event+"."+field] = true
		}
	}
	if len(has) < 200 {
		t.Fatalf("the program has only %d items", len(has))
	}
	return has
}

// words are those that a command's line of usage has as its first argument.
func words(help string) (all []string) {
	usage := regexp.MustCompile(`(?m)^Usage: securecall \w+(?: \[flags\])?(.*)$`).FindStringSubmatch(help)
	between := "|"
	if strings.Contains(usage[1], " | ") { // mute [on|off] | stats
		between = " | "
	}
	for way := range strings.SplitSeq(usage[1], between) {
		if f := strings.Fields(way); len(f) > 0 && f[0] == strings.ToLower(f[0]) {
			all = append(all, f[0])
		}
	}
	return all
}

// A definition is what there is to know of one in docs/events.schema.json.
type definition struct {
	Ref          string `json:"$ref"`
	AllOf, OneOf []definition
	Properties   map[string]json.RawMessage
	Defs         map[string]json.RawMessage `json:"$defs"`
}

func defined(t *testing.T, raw []byte) (d definition) {
	t.Helper()
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// events are those of the schema with their fields; * is what all of them have.
func events(t *testing.T) map[string][]string {
	t.Helper()
	schema := defined(t, []byte(textOf(t, "docs/events.schema.json")))
	named := func(d definition) (name string, of definition) {
		name = strings.TrimPrefix(d.Ref, "#/$defs/")
		return name, defined(t, schema.Defs[name])
	}
	var fields func(d definition) []string
	fields = func(d definition) (all []string) {
		for field := range d.Properties {
			if field != "event" {
				all = append(all, field)
			}
		}
		for _, also := range append(d.AllOf, definition{Ref: d.Ref}) {
			if also.Ref == "" {
				continue
			}
			if name, of := named(also); name != "head" && name != "of_a_call" {
				all = append(all, fields(of)...)
			}
		}
		return all
	}
	all := map[string][]string{"*": slices.Collect(maps.Keys(defined(t, schema.Defs["head"]).Properties))}
	for _, one := range schema.OneOf {
		name, of := named(one)
		all[name] = fields(of)
	}
	return all
}

func textOf(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
