package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A story is some calls in a row between the same two, each of which remembers
// the others. Something may happen to what they remember in between.
type story struct {
	name   string
	weDial bool
	lossy  bool
	seed   uint64
	steps  []step
}

// A step is one call of a story: what happens before it, and what either says.
type step struct {
	before  func(dir string) error
	ours    []string // further flags of securecall
	theirs  []string // further options of bzrtp-peer
	we      string   // continuity, and aux behind a space if it is told
	they    string   // mismatch, and aux
	weKnow  bool     // verified
	peerV   bool     // peer_verified
	theyV   bool     // bzrtp says that the SAS was verified by both
	refused bool     // we end the call, with 21
}

func (s story) calls() int { return len(s.steps) }

func (s story) String() string {
	who := "bzrtp dials"
	if s.weDial {
		who = "securecall dials"
	}
	text := fmt.Sprintf("%s, %d in a row: %s", who, len(s.steps), s.name)
	if s.lossy {
		text += fmt.Sprintf(", %d %% lost by seed %d", percent, s.seed)
	}
	return text
}

// The files of a story's folder: what either remembers.
const (
	ourState   = "ours"   // a folder
	theirCache = "bzrtp"  // SQLite
	sasFile    = "sas"    // what bzrtp shows
	kept       = "-older" // behind the name of a copy
)

func stories() []story {
	first := step{we: "new", they: "mismatch=0 aux=unset"}
	again := step{we: "match", they: "mismatch=0 aux=unset"}
	with := func(s step, before func(string) error) step {
		s.before = before
		return s
	}
	secret := func(name string) []string { return []string{"--secret-file", name} }
	aux := func(we, they, ours, theirs string) step {
		s := step{we: strings.TrimSpace("new " + we), they: "mismatch=0 aux=" + they}
		if ours != "" {
			s.ours = secret(ours)
		}
		if theirs != "" {
			s.theirs = []string{"-x", theirs}
		}
		return s
	}
	auxAgain := aux("match", "match", "family", familySecret)
	auxAgain.we = "match match"

	verify := first
	verify.ours = []string{"--verify-via", "sh -c 'until test -s " + sasFile + "; do sleep 0.05; done; cat " + sasFile + "'"}
	verify.theirs = []string{"-V"}
	verified := again
	verified.weKnow, verified.peerV, verified.theyV = true, true, true

	lost := step{we: "mismatch", they: "mismatch=0 aux=unset", refused: true}
	both := step{we: "mismatch", they: "mismatch=1 aux=unset", refused: true}

	var all []story
	for _, weDial := range []bool{true, false} {
		for _, s := range []story{
			{name: "all is kept", steps: []step{first, again, again}},
			{name: "we lost everything", steps: []step{first, with(first, remove(ourState)), again}},
			{name: "bzrtp lost everything", steps: []step{first, with(first, remove(theirCache)), again}},
			{name: "bzrtp lost its secrets", steps: []step{first, {we: lost.we, they: lost.they, refused: true, theirs: []string{"-F"}}}},
			{name: "we are one call behind", steps: []step{first, with(again, keep(ourState)), with(again, restore(ourState)), again}},
			{name: "bzrtp is one call behind", steps: []step{first, with(again, keep(theirCache)), with(again, restore(theirCache)), again}},
			{name: "we are two calls behind", steps: []step{first, with(again, keep(ourState)), again, with(both, restore(ourState)), both}},
			{name: "bzrtp is two calls behind", steps: []step{first, with(again, keep(theirCache)), again, with(both, restore(theirCache)), both}},
			{name: "the SAS was verified", steps: []step{verify, verified, verified}},
			{name: "the same auxiliary secret", steps: []step{aux("match", "match", "family", familySecret), auxAgain}},
			{name: "another auxiliary secret", steps: []step{aux("mismatch", "mismatch", "family", "of another family, alas")}},
			{name: "we alone have an auxiliary secret", steps: []step{aux("mismatch", "unset", "family", "")}},
			{name: "bzrtp alone has one", steps: []step{aux("", "mismatch", "", familySecret)}},
		} {
			s.weDial = weDial
			all = append(all, s)
		}
		for seed := range uint64(seeds) {
			all = append(all, story{name: "all is kept", weDial: weDial, lossy: true, seed: 100 + seed, steps: []step{first, again, again}})
		}
	}
	return all
}

const familySecret = "a secret of the whole family"

func remove(name string) func(string) error {
	return func(dir string) error { return os.RemoveAll(filepath.Join(dir, name)) }
}

func keep(name string) func(string) error {
	return func(dir string) error { return copyAll(filepath.Join(dir, name), filepath.Join(dir, name+kept)) }
}

func restore(name string) func(string) error {
	return func(dir string) error { return copyAll(filepath.Join(dir, name+kept), filepath.Join(dir, name)) }
}

// copyAll copies a file, or the files of a folder.
func copyAll(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o600)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	names, err := os.ReadDir(from)
	for _, n := range names {
		if !strings.HasSuffix(n.Name(), ".sock") {
			err = errors.Join(err, copyAll(filepath.Join(from, n.Name()), filepath.Join(to, n.Name())))
		}
	}
	return err
}

// make makes all calls of the story in one folder.
func (s story) make(ctx context.Context, run programs) (found string, err error) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{"theirs": strings.Repeat("\xff", 4000), "family": familySecret + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	for n, st := range s.steps {
		if st.before != nil {
			if err := st.before(dir); err != nil {
				return "", err
			}
		}
		if err := s.call(ctx, run, dir, st); err != nil {
			return "", fmt.Errorf("call %d: %w", n+1, err)
		}
	}
	return "", nil
}

// call makes one of them, and compares what either says of it.
func (s story) call(ctx context.Context, run programs, dir string, st step) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_ = os.Remove(filepath.Join(dir, sasFile))
	var running []*program
	defer func() {
		for _, p := range running {
			p.stop()
		}
	}()
	us, them, err := s.connect(run, st, func(path string, args ...string) (*program, error) {
		p, err := start(ctx, dir, path, args...)
		if err == nil {
			running = append(running, p)
		}
		return p, err
	})
	if err != nil {
		return err
	}
	e, err := us.event("secured")
	if err != nil {
		return err
	}
	secure, err := them.await("secure ")
	if err != nil {
		return err
	}
	trust, err := them.await("trust ")
	if err != nil {
		return err
	}
	words, _, _ := strings.Cut(strings.TrimPrefix(secure, "sas="), " ")
	if words != strings.ReplaceAll(e.SAS, " ", ":") {
		return fmt.Errorf("we have %q, libbzrtp %s", e.SAS, secure)
	}
	if len(st.ours) > 0 && st.ours[0] == "--verify-via" {
		if err := os.WriteFile(filepath.Join(dir, sasFile), []byte(strings.ReplaceAll(words, ":", " ")+"\n"), 0o600); err != nil {
			return err
		}
		if _, err := us.event("verified"); err != nil {
			return err
		}
	}
	ended, err := us.event("ended")
	if err != nil {
		return err
	}
	if _, err := them.await("ended "); err != nil {
		return err
	}
	_ = us.end()
	if err := them.end(); err != nil {
		return fmt.Errorf("bzrtp-peer: %w: %s", err, them.errors.String())
	}

	we := strings.TrimSpace(e.Continuity + " " + e.Aux)
	theyV := strings.Contains(trust, "verified=1")
	they := strings.Replace(strings.Replace(trust, "verified=1 ", "", 1), "verified=0 ", "", 1)
	refused := ended.Code == float64(21)
	if we != st.we || they != st.they || e.Verified != st.weKnow || e.PeerVerified != st.peerV || theyV != st.theyV || refused != st.refused {
		return fmt.Errorf("we say %s (verified %v, the other side %v), libbzrtp says %s; ended with %v",
			we, e.Verified, e.PeerVerified, trust, ended.Code)
	}
	if !refused && ended.Code != float64(0) {
		return fmt.Errorf("ended with %v", ended.Code)
	}
	return nil
}

// connect starts both, the callee first.
func (s story) connect(run programs, st step, start launch) (us, them *program, err error) {
	flags := append([]string{"--json", "--mic", "none", "--speaker", "none", "--state", ourState}, st.ours...)
	options := append([]string{"-C", theirCache}, st.theirs...)
	options = append(options, "theirs", "heard")
	c := call{lossy: s.lossy, seed: s.seed}
	if s.weDial {
		if them, err = start(run.peer, options...); err != nil {
			return nil, nil, err
		}
		port, err := them.await("port ")
		if err != nil {
			return nil, nil, err
		}
		addr, err := c.path(run, start, port)
		if err != nil {
			return nil, nil, err
		}
		time := talk
		if st.weKnow {
			time = compare
		}
		us, err = start(run.securecall, append([]string{"dial", addr, "--duration", time.String()}, flags...)...)
		return us, them, err
	}
	us, err = start(run.securecall, append([]string{"listen", "--bind", "127.0.0.1:0", "--accept", "all", "--once"}, flags...)...)
	if err != nil {
		return nil, nil, err
	}
	listening, err := us.event("listening")
	if err != nil {
		return nil, nil, err
	}
	_, port, _ := strings.Cut(listening.Addrs[0], ":")
	addr, err := c.path(run, start, port)
	if err != nil {
		return nil, nil, err
	}
	them, err = start(run.peer, append([]string{"-d", addr}, options...)...)
	return us, them, err
}

// How long we are in a call of ours, and in one in which a SAS is compared.
const (
	talk    = 800 * time.Millisecond
	compare = 3 * time.Second
)
