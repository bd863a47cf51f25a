package call_test

import (
	"os/exec"
	"strings"
	"testing"
)

// docs/architecture.md, "Doors open one way": main -> call/cli -> call ->
// {audio, crypto, nat}, and those three never import one another.
func TestDoorsOpenOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "securecall").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	// Which rooms each room may open a door to, besides itself.
	doors := map[string][]string{
		"":         {"call/cli"},
		"call/cli": {"call", "audio", "crypto", "nat"},
		"call":     {"audio", "crypto", "nat"},
		"audio":    nil,
		"crypto":   nil,
		"nat":      nil,
	}
	room := func(path string) string {
		inner := strings.TrimPrefix(strings.TrimPrefix(path, "securecall"), "/")
		if inner == "call/cli" {
			return inner
		}
		first, _, _ := strings.Cut(inner, "/")
		return first
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "securecall") {
			continue
		}
		seen++
		from := room(fields[0])
		for _, imported := range fields[1:] {
			if !strings.HasPrefix(imported, "securecall") {
				continue
			}
			to := room(imported)
			allowed := to == from
			for _, d := range doors[from] {
				allowed = allowed || d == to
			}
			if !allowed {
				t.Errorf("%s imports %s", fields[0], imported)
			}
		}
	}
	if seen < 10 {
		t.Fatalf("go list named only %d packages of ours", seen)
	}
}
