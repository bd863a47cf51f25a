package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	limit  = 30 * time.Second // of one call
	frames = 50               // that each side says
	enough = frames * 4 / 5   // that we must have played on a machine so busy that playout ran dry
	some   = frames / 2       // that must be heard and played over the lossy path
)

// errMissing is worth another try: what nobody asked for while the machine stood still is left out.
var errMissing = errors.New("too little was heard")

// never are causes for which we drop nothing of an honest peer's, whatever the
// network loses.
var never = []string{
	"auth", "replay", "malformed", "payload",
	"no whole ZRTP packet", "malformed message", "of another SSRC",
	"not of the hash chain", "a changed repeat", "wrong Confirm MAC",
}

// A call is what is tried: who dials, with which algorithms, over which path.
type call struct {
	suite
	weDial bool
	lossy  bool
	seed   uint64
}

func (c call) String() string {
	s := "bzrtp dials: "
	if c.weDial {
		s = "securecall dials: "
	}
	s += c.suite.String()
	if c.lossy {
		s += fmt.Sprintf(", %d %% lost by seed %d", percent, c.seed)
	}
	return s
}

// make makes the call in a directory of its own. It returns what else is worth
// telling, and what was wrong.
func (c call) make(ctx context.Context, run programs) (found string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	ours, theirs := speech(), speech()
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "ours.wav"), wav(ours), 0o644),
		os.WriteFile(filepath.Join(dir, "theirs"), theirs, 0o644),
	); err != nil {
		return "", err
	}

	var running []*program
	defer func() {
		for _, p := range running {
			p.stop()
		}
	}()
	us, them, err := c.connect(run, func(path string, args ...string) (*program, error) {
		p, err := start(ctx, dir, path, args...)
		if err == nil {
			running = append(running, p)
		}
		return p, err
	})
	if err != nil {
		return "", err
	}
	agreed, err := c.secured(us, them)
	if err != nil {
		return "", err
	}
	if c.suite == (suite{}) {
		found = " (" + agreed.String() + ")"
	}
	ended, err := us.event("ended")
	if err != nil {
		return found, err
	}
	how, err := them.await("ended ")
	if err != nil {
		return found, err
	}
	if err := us.end(); err != nil {
		return found, fmt.Errorf("securecall: %w: %s", err, us.errors.String())
	}
	if err := them.end(); err != nil {
		return found, fmt.Errorf("bzrtp-peer: %s: %w: %s", how, err, them.errors.String())
	}

	heard, err := os.ReadFile(filepath.Join(dir, "heard"))
	if err != nil {
		return found, err
	}
	played, err := os.ReadFile(filepath.Join(dir, "heard.wav"))
	if err != nil {
		return found, err
	}
	if !strings.HasSuffix(how, " refused=0") {
		return found, fmt.Errorf("libsrtp refused some of our packets: %s", how)
	}
	for _, cause := range never {
		if n := ended.Stats.Dropped[cause]; n > 0 {
			return found, fmt.Errorf("we dropped %v packets of libbzrtp's: %s", n, cause)
		}
	}
	if c.lossy {
		lost, err := damage(heard, ours, played, theirs)
		return found + lost, err
	}
	if !strings.HasPrefix(how, "bye ") {
		return found, fmt.Errorf("our BYE did not arrive: %s", how)
	}
	if !bytes.Contains(heard, ours) {
		return found, fmt.Errorf("libbzrtp heard %d octets, and not what we said", len(heard))
	}
	if bytes.Contains(played, decoded(theirs)) {
		return found, nil
	}
	// On a busy machine the jitter buffer waits longer, for which it lengthens a frame
	// or two of speech, or conceals what came too late.
	n := inOrder(played, theirs)
	if n < enough || n < frames-2 && ended.Stats.ConcealedMS == 0 {
		return found, fmt.Errorf("%w: of %d frames that libbzrtp said we played %d, with %v ms concealed",
			errMissing, frames, n, ended.Stats.ConcealedMS)
	}
	return found + fmt.Sprintf(" (%d of %d frames whole, %v ms came too late)", n, frames, ended.Stats.ConcealedMS), nil
}

// A launch starts a program that ends with the call at the latest.
type launch func(path string, args ...string) (*program, error)

// connect starts the callee, what stands before it, and the caller.
func (c call) connect(run programs, start launch) (us, them *program, err error) {
	flags := []string{"--json", "--mic", "ours.wav", "--speaker", "heard.wav"}
	options := []string{"theirs", "heard"}
	if s := c.suite; s != (suite{}) {
		flags = append(flags, "--hash", s.hash, "--cipher", s.cipher, "--auth", s.auth,
			"--key-agreement", s.agreement, "--sas", s.sas)
		options = append([]string{"-h", s.hash, "-c", s.cipher, "-a", s.auth, "-k", s.agreement, "-s", s.sas}, options...)
	}
	if c.weDial {
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
		us, err = start(run.securecall, append([]string{"dial", addr, "--hangup-at-eof"}, flags...)...)
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

// path returns the address to dial: the callee's, or that of a lossy path to it.
func (c call) path(run programs, start launch, port string) (string, error) {
	if c.lossy {
		p, err := start(run.lossy, port, strconv.Itoa(percent), strconv.FormatUint(c.seed, 10))
		if err != nil {
			return "", err
		}
		if port, err = p.await("port "); err != nil {
			return "", err
		}
	}
	return "127.0.0.1:" + port, nil
}

// secured waits until both are, and compares what they tell of it.
func (c call) secured(us, them *program) (suite, error) {
	e, err := us.event("secured")
	if err != nil {
		return suite{}, err
	}
	theirs, err := them.await("secure ")
	if err != nil {
		return suite{}, err
	}
	agreed := suite{e.Hash, e.Cipher, e.Auth, e.KeyAgreement, e.SASType}
	ours := fmt.Sprintf("sas=%s hash=%s cipher=%s auth=%s ka=%s sastype=%s",
		strings.ReplaceAll(e.SAS, " ", ":"), // libbzrtp joins words
		agreed.hash, agreed.cipher, agreed.auth, agreed.agreement, agreed.sas)
	if ours != theirs {
		return agreed, fmt.Errorf("we have %s, libbzrtp has %s", ours, theirs)
	}
	if c.suite != (suite{}) && agreed != c.suite {
		return agreed, fmt.Errorf("agreed on %v", agreed)
	}
	return agreed, nil
}

// damage tells how much of what was said has arrived over the lossy path.
// Enough must have, and libbzrtp, which conceals nothing, must have heard only
// whole frames of ours, in order.
func damage(heard, ours, played, theirs []byte) (string, error) {
	numbers, err := frameNumbers(heard, ours)
	if err != nil {
		return "", fmt.Errorf("libbzrtp heard %w", err)
	}
	n := inOrder(played, theirs)
	tell := fmt.Sprintf(" (of %d frames it heard %d, we played %d unchanged)", frames, len(numbers), n)
	if len(numbers) < some || n < some {
		return "", errors.New("too little arrived" + tell)
	}
	return tell, nil
}
