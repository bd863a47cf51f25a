// Interop calls between securecall and bzrtp-peer, in both directions, and
// says PASS or FAIL of each:
//
//   - over every combination of algorithms that both have: the SAS and the
//     algorithms are the same at both ends, and as asked for; libbzrtp heard
//     what we said octet for octet, and we played what it said sample for
//     sample, but for what came too late on a busy machine and was concealed, or
//     one frame or two where the jitter buffer made up its mind to wait longer;
//   - with no algorithm asked for, as the programs come;
//   - over a path that loses 15 % each way, a seed a call: every call secures,
//     and what arrives arrives whole and in order;
//   - several in a row, with what both remember kept, lost or restored from an
//     older copy, and with auxiliary secrets (story.go).
//
// Usage: interop SECURECALL BZRTP-PEER LOSSY
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const (
	atOnce  = 8  // calls
	seeds   = 8  // of the lossy path, for each direction
	percent = 15 // that it loses
)

// programs are the paths of what is run.
type programs struct{ securecall, peer, lossy string }

// find makes paths that hold in any directory.
func find(paths []string) (p programs, err error) {
	for i, to := range []*string{&p.securecall, &p.peer, &p.lossy} {
		if *to, err = filepath.Abs(paths[i]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// A suite is one combination, in ZRTP's names; none: what the programs like.
type suite struct{ hash, cipher, auth, agreement, sas string }

func (s suite) String() string {
	if s == (suite{}) {
		return "as they come"
	}
	return strings.Join([]string{s.agreement, s.hash, s.cipher, s.auth, s.sas}, " ")
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: interop SECURECALL BZRTP-PEER LOSSY")
		os.Exit(2)
	}
	run, err := find(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var wait sync.WaitGroup
	var mu sync.Mutex
	calls, failed := 0, 0
	places := make(chan struct{}, atOnce)
	var all []trial
	for _, s := range stories() {
		all = append(all, s)
	}
	for _, c := range plan() {
		all = append(all, c)
	}
	for _, c := range all {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wait.Go(func() {
			defer func() { <-places }()
			found, err := c.make(ctx, run)
			if errors.Is(err, errMissing) {
				found, err = c.make(ctx, run)
			}
			mu.Lock()
			defer mu.Unlock()
			calls += c.calls()
			if err != nil {
				failed++
				fmt.Printf("FAIL  %v: %v\n", c, err)
			} else {
				fmt.Printf("PASS  %v%s\n", c, found)
			}
		})
	}
	wait.Wait()
	fmt.Printf("%d calls with libbzrtp, %d failed\n", calls, failed)
	if failed > 0 || ctx.Err() != nil {
		os.Exit(1)
	}
}

// A trial is one call, or a story of several.
type trial interface {
	make(ctx context.Context, run programs) (found string, err error)
	calls() int
}

func (call) calls() int { return 1 }

// plan is all the single calls.
func plan() []call {
	var all []call
	suites := append(suites(), suite{})
	for _, hash := range []string{"S256", "S384"} {
		for _, cipher := range []string{"AES1", "AES3"} {
			suites = append(suites, suite{hash, cipher, "HS80", "X448", "B256"})
		}
	}
	for _, s := range suites {
		all = append(all, call{suite: s, weDial: true}, call{suite: s})
	}
	for seed := range uint64(seeds) {
		// Seven is prime to the number of suites: each call has another one.
		for i, weDial := range []bool{true, false} {
			s := suites[(int(seed)*2+i)*7%len(suites)]
			all = append(all, call{suite: s, weDial: weDial, lossy: true, seed: seed})
		}
	}
	return all
}

func suites() []suite {
	var all []suite
	for _, agreement := range []string{"X255", "DH3k", "DH2k"} {
		for _, hash := range []string{"S256", "S384"} {
			for _, cipher := range []string{"AES1", "AES3"} {
				for _, auth := range []string{"HS32", "HS80"} {
					for _, sas := range []string{"B32", "B256"} {
						all = append(all, suite{hash, cipher, auth, agreement, sas})
					}
				}
			}
		}
	}
	return all
}
