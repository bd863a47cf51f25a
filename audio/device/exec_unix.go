//go:build unix

package device

import (
	"os/exec"
	"syscall"
)

// Apart makes cmd, before it is started, the head of a session and so of a process group:
// whatever it starts can then be ended with it, and Ctrl-C does not reach it. Nor does our
// terminal: a program that would ask for a password there fails at once, and says so, instead
// of sharing with us what is typed.
func Apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// Terminate asks all of the group to end.
func Terminate(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// Kill ends all of the group.
func Kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
