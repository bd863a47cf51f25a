// Calls measures how many calls one listener can have: it starts
// securecall listen --accept all --echo --max-calls N on one processor, calls it N
// times from another, each time from an address of its own, has all of them talk for a
// while, and says what came too late, what it cost, and how long it took to answer. The
// last line is the summary.
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/call"
	"securecall/nat"
)

// rate is how many calls are begun a second: below the 100 key agreements of strangers
// that a listener makes.
const rate = 80

func main() {
	calls := flag.Int("calls", 100, "at once")
	lasting := flag.Duration("for", 20*time.Second, "how long all of them talk")
	program := flag.String("program", "./securecall", "what is measured")
	processor := flag.String("processor", "0", "on which it runs (taskset)")
	flag.Parse()
	if err := measure(*program, *processor, *calls, *lasting); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(program, processor string, calls int, lasting time.Duration) error {
	l, err := startListener(program, processor, calls)
	if err != nil {
		return err
	}
	defer l.stop()

	ctx, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	callers := make([]*caller, calls)
	var all sync.WaitGroup
	begin := time.Now()
	for i := range callers {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / rate)))
		callers[i] = &caller{}
		all.Go(func() { callers[i].run(ctx, i, l.addr) })
	}
	time.Sleep(time.Second)
	before := l.processorTime()
	time.Sleep(lasting)
	used := l.processorTime() - before
	memory := l.memory()
	hangUp()
	all.Wait()
	fmt.Println(summary(callers, float64(used)/float64(lasting), memory))
	return nil
}

// A caller is one call, and what it told.
type caller struct {
	answered time.Duration // from the first Hello; 0: never
	ended    call.Ended
	err      error
}

func (c *caller) run(ctx context.Context, i int, to netip.AddrPort) {
	// Of its own network each, as far as the listener can tell.
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 0)
	path, err := nat.Listen(ctx, from)
	if err != nil {
		c.err = err
		return
	}
	begin := time.Now()
	e, err := call.NewDialer(call.Config{
		Mic:     func() (audio.Source, error) { return device.OpenSource("tone:440", device.Options{}) },
		Speaker: func() (audio.Sink, error) { return device.OpenSink("none", device.Options{}) },
		OnEvent: func(_ int, ev call.Event) {
			if _, ok := ev.(call.Answered); ok {
				c.answered = time.Since(begin)
			}
		},
	}, path, []netip.AddrPort{to}, "")
	if err != nil {
		path.Close()
		c.err = err
		return
	}
	c.ended = e.Run(ctx)
}

// summary is one line of what the callers have seen.
func summary(callers []*caller, processors float64, memory int) string {
	var answered, received, late, frames, lost uint64
	var waits []time.Duration
	var failed error
	for _, c := range callers {
		failed = cmp.Or(failed, c.err)
		if c.answered == 0 {
			continue
		}
		answered++
		waits = append(waits, c.answered)
		p := c.ended.Stats.Playout
		received, late = received+p.Received, late+p.Late
		frames, lost = frames+p.Frames, lost+p.Lost
	}
	if failed != nil {
		fmt.Println("the first failure:", failed)
	}
	if answered == 0 {
		return fmt.Sprintf("%d calls: none was answered", len(callers))
	}
	slices.Sort(waits)
	percent := func(part, of uint64) float64 { return 100 * float64(part) / float64(max(1, of)) }
	return fmt.Sprintf("%d calls: %d answered after %.1f ms (median) and %.0f ms (worst) · %.3f %% of packets late, %.3f %% of frames lost · listener: %.2f processors, %d MB",
		len(callers), answered, waits[len(waits)/2].Seconds()*1000, waits[len(waits)-1].Seconds()*1000,
		percent(late, received), percent(lost, frames), processors, memory)
}

// A listener is the program that is measured.
type listener struct {
	cmd  *exec.Cmd
	addr netip.AddrPort
}

func startListener(program, processor string, calls int) (*listener, error) {
	cmd := exec.Command("taskset", "-c", processor, program, "listen", "--bind", "127.0.0.1:0", "--ephemeral",
		"--accept", "all", "--echo", "--max-calls", strconv.Itoa(calls), "-q")
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
