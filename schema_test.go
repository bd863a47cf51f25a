package main

import (
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// eventSchema is docs/events.schema.json.
var eventSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	return jsonschema.NewCompiler().Compile("docs/events.schema.json")
})

// conforms checks the events of --json among what a process has written. A last line without
// its end was cut off with the process.
func conforms(ts *testscript.TestScript, output string) {
	schema, err := eventSchema()
	ts.Check(err)
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, `{"v":1,"time":`) || !strings.HasSuffix(line, "\n") {
			continue
		}
		event, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		ts.Check(err)
		if err := schema.Validate(event); err != nil {
			ts.Fatalf("%s%v", line, err)
		}
	}
}
