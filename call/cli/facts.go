package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"

	"securecall/call"
)

// factPrefix is what the names of facts begin with, and those of settings too.
const factPrefix = "SECURECALL_"

// facts are what is known of a call: the fields of its events as --json has them, by
// their names in upper case. They add up: at its end a call still has its ZID.
type facts map[string]string

// newFacts are those of a call that has just got keys.
func newFacts(e call.Secured, lines []any) facts {
	f := facts{}
	f.add(lines)
	// A SAS in a variable can be compared with nothing that is worth it: whoever wants to
	// compare has --verify-via and ctl verify, which take back a verification as well.
	delete(f, "SAS")
	// CODE is to be the exit status, when there is one.
	f["BY_CODE"] = f["CODE"]
	delete(f, "CODE")
	addr, _ := e.Remote.MarshalText() // as the event incoming will have it
	f["ADDR"] = string(addr)
	return f
}

// add takes the fields of an event's lines.
func (f facts) add(lines []any) {
	if f == nil {
		return
	}
	for _, line := range lines {
		b, err := json.Marshal(line)
		if err != nil {
			continue // as --json would
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber() // as they stand there
		var fields map[string]any
		if d.Decode(&fields) == nil {
			f.take(fields)
		}
	}
}

// take takes fields that are one word each, and those of the figures of a call.
func (f facts) take(fields map[string]any) {
	for name, v := range fields {
		switch v := v.(type) {
		case string:
			f.set(strings.ToUpper(name), v)
		case json.Number:
			f.set(strings.ToUpper(name), v.String())
		case bool:
			f.set(strings.ToUpper(name), map[bool]string{true: "true", false: "false"}[v])
		case map[string]any:
			if name == "stats" {
				f.take(v)
			}
		}
	}
}

func (f facts) set(name, value string) {
	if f != nil {
		f[name] = value
	}
}

// environ is the environment of a command: ours, the facts, and which names are facts.
// Our own settings are left out: one would be taken for a fact where there is none. But a
// securecall that the command runs is to find the same contacts, and ctl this one.
func (f facts) environ(ours []string) []string {
	env := slices.DeleteFunc(slices.Clone(ours), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, factPrefix) && name != factPrefix+"CONFIG" && name != factPrefix+"STATE"
	})
	names := slices.Sorted(maps.Keys(f))
	for _, name := range names {
		env = append(env, factPrefix+name+"="+f[name])
	}
	return append(env, factPrefix+"FACTS="+strings.Join(names, " "))
}

// forgetFacts is for a securecall that such a command has started: facts have the names of
// settings, SECURECALL_NAME and SECURECALL_CIPHER for two, and are none.
func forgetFacts() {
	for _, name := range strings.Fields(os.Getenv(factPrefix + "FACTS")) {
		os.Unsetenv(factPrefix + name)
	}
	os.Unsetenv(factPrefix + "FACTS")
}
