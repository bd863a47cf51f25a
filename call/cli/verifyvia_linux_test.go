package cli

import (
	"os"
	"strings"
	"testing"
	"time"
)

// What the command has started ends with it, where nobody sits there.
func TestVerifyViaLeavesNothingBehind(t *testing.T) {
	p, e, _ := verifying("sh", "-c", "sleep 1000 & echo $!; wait")
	p.show([]item{{time.Now(), 1, fromBob}})
	p.via(e, <-p.vias.answers)
	pid := strings.TrimPrefix(e.compared[1], "via: ")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s goes on: %s", pid, stat)
		}
	}
}
