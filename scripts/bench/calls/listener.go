//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A listener is the program that is measured.
type listener struct {
	cmd  *exec.Cmd
	addr netip.AddrPort
}

func startListener(program, processor, sound string, calls int) (*listener, error) {
	args := []string{
		"-c", processor, program, "listen", "--bind", "127.0.0.1:0", "--ephemeral",
		"--accept", "all", "--max-calls", strconv.Itoa(calls), "-q",
	}
	cmd := exec.Command("taskset", append(args, strings.Fields(sound)...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s by taskset: %w", program, err)
	}
	l := &listener{cmd: cmd}
	// The first line that names an address is what to dial; the rest is one line a call.
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, text, found := strings.Cut(lines.Text(), "securecall dial "); found {
			if l.addr, err = netip.ParseAddrPort(text); err != nil {
				return nil, err
			}
			go func() {
				for lines.Scan() { // so that it never waits for us
				}
			}()
			return l, nil
		}
	}
	_ = cmd.Wait()
	return nil, errors.New("the listener does not listen")
}

func (l *listener) stop() {
	_ = l.cmd.Process.Signal(os.Interrupt)
	_ = l.cmd.Wait()
}

// processorTime is what it has used so far (proc(5): utime and stime, in ticks of
// 10 ms). taskset has become the program.
func (l *listener) processorTime() time.Duration {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.cmd.Process.Pid))
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is what it holds, in MB.
func (l *listener) memory() int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if kb, found := strings.CutPrefix(line, "VmRSS:"); found {
			n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")))
			return n >> 10
		}
	}
	return 0
}
