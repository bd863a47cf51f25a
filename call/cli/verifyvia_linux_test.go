package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
	told := filepath.Join(t.TempDir(), "pid")
	if err := syscall.Mkfifo(told, 0o600); err != nil {
		t.Fatal(err)
	}
	p, _, _ := verifying("sh", "-c", "echo $$ >"+told+"; sleep 1000")
	p.show([]item{{time.Now(), 1, fromBob}})
	pid, err := os.ReadFile(told) // once it runs
	if err != nil {
		t.Fatal(err)
	}
	p.show([]item{{time.Now(), 1, call.Ended{}}})
	p.vias.end()
	if stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat"); err == nil {
		t.Errorf("it goes on: %s", stat)
	}
}
