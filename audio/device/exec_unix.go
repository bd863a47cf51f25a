//go:build unix

package device

import (
	"os/exec"
	"syscall"
)

// OwnGroup makes cmd, before it is started, the head of a process group: whatever it
// starts can then be ended with it, and Ctrl-C does not reach it.
func OwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Terminate asks all of the group to end.
func Terminate(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// Kill ends all of the group.
func Kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
