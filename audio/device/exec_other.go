//go:build !unix

package device

import "os/exec"

// Apart does nothing: there are no process groups here.
func Apart(*exec.Cmd) {}

// Terminate is Kill: there is no way to ask.
func Terminate(cmd *exec.Cmd) { Kill(cmd) }

// Kill ends the program.
func Kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
