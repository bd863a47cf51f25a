package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "../../docs/events.schema.json"

func eventSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func conforms(t *testing.T, s *jsonschema.Schema, line []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// sampleLines are one line of each event at least, in the form of --json.
func sampleLines(t *testing.T) [][]byte {
	t.Helper()
	golden, err := os.ReadFile("testdata/events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(golden), []byte{'\n'})
	for _, line := range []any{
		jsonCheck{newHead(sampleEvents()[0].at, "check", 0), "microphone", true, true, "what it is", "what to do"},
		jsonDoctor{newHead(sampleEvents()[0].at, "doctor", 0), false, 30},
	} {
		b, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, b)
	}
	return lines
}

// The schema and what is written agree: each line fits, and each event of the schema is
// among them.
func TestEventSchema(t *testing.T) {
	s := eventSchema(t)
	told := map[string]bool{}
	for _, line := range sampleLines(t) {
		if err := conforms(t, s, line); err != nil {
			t.Errorf("%s\n%v", line, err)
		}
		var h head
		if err := json.Unmarshal(line, &h); err != nil {
			t.Fatal(err)
		}
		told[h.Event] = true
	}
	for _, name := range schemaEvents(t) {
		if !told[name] {
			t.Errorf("testdata/events.jsonl has no line for the event %s of the schema", name)
		}
	}
}

// schemaEvents are the names of the schema's events.
func schemaEvents(t *testing.T) (names []string) {
	t.Helper()
	b, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		OneOf []map[string]string
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	for _, one := range schema.OneOf {
		names = append(names, strings.TrimPrefix(one["$ref"], "#/$defs/"))
	}
	return names
}

// A schema that takes anything would say nothing: whatever is added to a line, taken from it
// or replaced makes it another.
func TestEventSchemaIsStrict(t *testing.T) {
	s := eventSchema(t)
	optional := map[string]string{"code": "listening", "warn": "check"}
	for name, fields := range sometimes {
		for _, field := range strings.Fields(fields) {
			optional[field] = name
		}
	}
	for _, line := range sampleLines(t) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		event := m["event"].(string)
		refuses := func(what string) {
			t.Helper()
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if conforms(t, s, b) == nil {
				t.Errorf("%s is taken %s: %s", event, what, b)
			}
		}
		m["surprise"] = true
		refuses("with a field that it does not have")
		delete(m, "surprise")
		if stats, ok := m["stats"].(map[string]any); ok {
			stats["surprise"] = 1
			refuses("with a figure that there is not")
			delete(stats, "surprise")
		}
		for _, field := range slices.Sorted(maps.Keys(m)) {
			v := m[field]
			m[field] = []any{nil}
			refuses("with nonsense as its " + field)
			delete(m, field)
			if optional[field] != event && (field != "call" || event != "error") {
				refuses("without its " + field)
			}
			m[field] = v
		}
	}
}
