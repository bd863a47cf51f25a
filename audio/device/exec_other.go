//go:build !unix

package device

import "os/exec"

// There are no process groups here.
func ownGroup(*exec.Cmd) {}

// Nor is there a way to ask.
func terminate(cmd *exec.Cmd) { kill(cmd) }

func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
