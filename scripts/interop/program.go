package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// An event that securecall tells, as far as it is looked at here.
type event struct {
	Event        string   `json:"event"`
	Addrs        []string `json:"addrs"`
	Hash         string   `json:"hash"`
	Cipher       string   `json:"cipher"`
	Auth         string   `json:"auth"`
	KeyAgreement string   `json:"key_agreement"`
	SASType      string   `json:"sas_type"`
	SAS          string   `json:"sas"`
	Continuity   string   `json:"continuity"`
	Verified     bool     `json:"verified"`
	PeerVerified bool     `json:"peer_verified"`
	Aux          string   `json:"aux"`
	Code         any      `json:"code"`
	Reason       string   `json:"reason"`
	Stats        struct {
		ConcealedMS float64            `json:"concealed_ms"`
		Dropped     map[string]float64 `json:"dropped"`
	} `json:"stats"`
}

// A program runs, and its lines are read.
type program struct {
	name   string
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	errors bytes.Buffer
}

// start runs a program in dir, which is its home as well: nothing of the
// user's own is read or written.
func start(ctx context.Context, dir, path string, args ...string) (*program, error) {
	p := &program{name: filepath.Base(path), cmd: exec.CommandContext(ctx, path, args...)}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_STATE_HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	p.cmd.Stderr = &p.errors
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

// await reads lines until one has the prefix, and returns the rest of it.
func (p *program) await(prefix string) (string, error) {
	for p.lines.Scan() {
		if rest, ok := strings.CutPrefix(p.lines.Text(), prefix); ok {
			return rest, nil
		}
	}
	return "", fmt.Errorf("%s ended without %s: %s", p.name, strconv.Quote(prefix), p.errors.String())
}

// event reads events until one has the name.
func (p *program) event(name string) (event, error) {
	for p.lines.Scan() {
		var e event
		if err := json.Unmarshal(p.lines.Bytes(), &e); err != nil {
			return e, fmt.Errorf("%s: %w", p.lines.Text(), err)
		}
		if e.Event == name {
			return e, nil
		}
	}
	return event{}, fmt.Errorf("%s ended without the event %s: %s", p.name, name, p.errors.String())
}

// end reads the rest and waits for the exit status.
func (p *program) end() error {
	for p.lines.Scan() {
	}
	return p.cmd.Wait()
}

// stop ends it if it still runs.
func (p *program) stop() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}
