//go:build unix

// Bench measures the program from outside and prints a table:
//
//	bench SECURECALL CALL
//
// CALL is how long the call lasts whose processor time and memory are
// measured. Everything happens on loopback, with files and tones for sound.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"securecall/audio/speech"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: bench SECURECALL CALL")
	}
	program, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	length, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}

	fmt.Printf("%-42s %9s %9s %9s  %s\n", "", "median", "least", "most", "aim")
	starts, err := repeat(20, func() (time.Duration, error) { return startUp(ctx, program) })
	if err != nil {
		return err
	}
	row("start of securecall version, ms", starts, "10")

	for _, at := range []struct {
		what, aim string
		roundTrip time.Duration
		count     int
	}{
		{"on loopback", "20", 0, 20},
		{"at 100 ms round trip", "430", 100 * time.Millisecond, 10},
	} {
		var fromExec, fromDialing []time.Duration
		for range at.count {
			e, d, err := setUp(ctx, program, at.roundTrip)
			if err != nil {
				return err
			}
			fromExec, fromDialing = append(fromExec, e), append(fromDialing, d)
		}
		row("dial to secured "+at.what+", ms", fromDialing, at.aim)
		row("  the same from the start of the program", fromExec, "")
	}

	fmt.Printf("\na call of %v, speech both ways\n", length)
	fmt.Printf("%-42s %9s %9s  %s\n", "", "dialer", "listener", "aim")
	dialer, listener, err := weigh(ctx, program, length)
	if err != nil {
		return err
	}
	fmt.Printf("%-42s %9.2f %9.2f  %s\n", "processor time, s a minute",
		cpu(dialer).Seconds()/length.Minutes(), cpu(listener).Seconds()/length.Minutes(), "0.6")
	fmt.Printf("%-42s %9.1f %9.1f\n", "most memory, MB", memory(dialer), memory(listener))
	return nil
}

func repeat(count int, measure func() (time.Duration, error)) (all []time.Duration, err error) {
	for range count {
		d, err := measure()
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func row(what string, d []time.Duration, aim string) {
	slices.Sort(d)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	fmt.Printf("%-42s %9.1f %9.1f %9.1f  %s\n", what, ms(d[len(d)/2]), ms(d[0]), ms(d[len(d)-1]), aim)
}

func startUp(ctx context.Context, program string) (time.Duration, error) {
	began := time.Now()
	err := exec.CommandContext(ctx, program, "version").Run()
	return time.Since(began), err
}

// setUp makes a call over a line with that round trip, and returns how long it
// took until the dialer said that it is secured: from the start of the dialer,
// and, by the times that its events hold, from "dialing".
func setUp(ctx context.Context, program string, roundTrip time.Duration) (fromExec, fromDialing time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	listener, err := listen(ctx, program, "none", "none")
	if err != nil {
		return 0, 0, err
	}
	defer listener.stop()
	addr := listener.addr
	if roundTrip > 0 {
		l, err := newLine(addr, roundTrip/2)
		if err != nil {
			return 0, 0, err
		}
		defer l.Close()
		addr = l.addr()
	}
	began := time.Now()
	dialer, err := start(ctx, program, "dial", "--ephemeral", "--json", "--mic", "none", "--speaker", "none", "--key-agreement", "X255", addr)
	if err != nil {
		return 0, 0, err
	}
	defer dialer.stop()
	dialing, err := dialer.await("dialing")
	if err != nil {
		return 0, 0, err
	}
	secured, err := dialer.await("secured")
	if err != nil {
		return 0, 0, err
	}
	fromExec, fromDialing = secured.read.Sub(began), secured.Time.Sub(dialing.Time)
	if err := dialer.hangUp(); err != nil {
		return 0, 0, err
	}
	return fromExec, fromDialing, listener.wait()
}

// weigh makes a call of that length and returns the ended dialer and listener.
func weigh(ctx context.Context, program string, length time.Duration) (dialer, listener *os.ProcessState, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	said := filepath.Join(dir, "said.wav")
	if err := os.WriteFile(said, wav(speech.Samples(), length), 0o644); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, length+30*time.Second)
	defer cancel()
	l, err := listen(ctx, program, said, filepath.Join(dir, "heard-l.wav"))
	if err != nil {
		return nil, nil, err
	}
	defer l.stop()
	d, err := start(ctx, program, "dial", "--ephemeral", "--json", "--mic", said, "--speaker", filepath.Join(dir, "heard-d.wav"),
		"--duration", length.String(), l.addr)
	if err != nil {
		return nil, nil, err
	}
	defer d.stop()
	if err := d.wait(); err != nil {
		return nil, nil, err
	}
	if err := l.wait(); err != nil {
		return nil, nil, err
	}
	return d.cmd.ProcessState, l.cmd.ProcessState, nil
}

func cpu(p *os.ProcessState) time.Duration { return p.UserTime() + p.SystemTime() }
