package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"securecall/call"
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

// Nor does it live on when we end: who hangs up, or has no more time, has no command left.
func TestVerifyViaEndsWithUs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	p, _, _ := verifying("sh", "-c", "echo $$ >"+file+".new; mv "+file+".new "+file+"; sleep 1000")
	p.show([]item{{time.Now(), 1, fromBob}})
	var pid []byte
	for deadline := time.Now().Add(10 * time.Second); len(pid) == 0; time.Sleep(time.Millisecond) {
		if pid, _ = os.ReadFile(file); time.Now().After(deadline) {
			t.Fatal("it did not start")
		}
	}
	p.show([]item{{time.Now(), 1, call.Ended{}}})
	p.vias.end()
	if stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat"); err == nil {
		t.Errorf("it goes on: %s", stat)
	}
}
