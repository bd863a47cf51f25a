//go:build linux

// Calls measures how many calls one listener can have: it starts
// securecall listen --accept all --max-calls N on one processor, calls it N
// times, each time from an address of its own, has all of them talk for a while, and says
// what the listener sent too late, what it cost, and how long it took to answer; and apart
// from that what the callers were late with themselves, and cost. The last line is the
// summary.
//
// When a packet of the listener's has come is told by the kernel, so that a caller who
// reads it late does not count against the listener.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// rate is how many calls are begun a second: below the 100 key agreements of strangers
// that a listener makes.
const rate = 80

func main() {
	calls := flag.Int("calls", 100, "at once")
	lasting := flag.Duration("for", 20*time.Second, "how long all of them talk")
	program := flag.String("program", "./securecall", "what is measured")
	processor := flag.String("processor", "0", "on which it runs (taskset)")
	sound := flag.String("sound", "--echo", "what it says: its flags for the sound")
	flag.Parse()
	if err := measure(*program, *processor, *sound, *calls, *lasting); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(program, processor, sound string, calls int, lasting time.Duration) error {
	l, err := startListener(program, processor, sound, calls)
	if err != nil {
		return err
	}
	defer l.stop()
	giveWay()

	ctx, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	callers := make([]*caller, calls)
	var all sync.WaitGroup
	for i := range callers {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / rate)))
		callers[i] = &caller{}
		all.Go(func() { callers[i].run(ctx, i, l.addr) })
	}
	time.Sleep(time.Second)
	listener, ours := l.processorTime(), processorTime()
	measuring.Store(true)
	time.Sleep(lasting)
	measuring.Store(false)
	c := cost{
		listener: float64(l.processorTime()-listener) / float64(lasting),
		callers:  float64(processorTime()-ours) / float64(lasting),
		memory:   l.memory(),
	}
	hangUp()
	all.Wait()
	fmt.Println(summary(callers, c))
	return nil
}

// giveWay has the callers run after the listener, where they are on its processor: they
// cost more than it does, and one processor may be too little for them.
func giveWay() {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, 10)
		}
	}
}

// cost is in processors, and MB.
type cost struct {
	listener, callers float64
	memory            int
}

// processorTime is what the callers have used so far.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// summary is one line of what the callers have seen.
func summary(callers []*caller, c cost) string {
	var answered, received, late, frames, lost uint64
	var came, read, sent delays
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
		came.add(&c.line.came)
		read.add(&c.line.read)
		sent.add(&c.mic.late)
	}
	if failed != nil {
		fmt.Println("the first failure:", failed)
	}
	if answered == 0 {
		return fmt.Sprintf("%d calls: none was answered", len(callers))
	}
	slices.Sort(waits)
	percent := func(part, of uint64) float64 { return 100 * float64(part) / float64(max(1, of)) }
	return fmt.Sprintf("%d calls: %d answered after %.1f ms (median) and %.0f ms (worst)"+
		" · listener: %.2f processors, %d MB, %.3f %% of packets more than %d ms late, 99 %% within %d ms"+
		" · callers: %.2f processors, themselves late with %.3f %% of what they sent and %.3f %% of what they read"+
		" · heard: %.3f %% of packets too late, %.3f %% of frames lost",
		len(callers), answered, waits[len(waits)/2].Seconds()*1000, waits[len(waits)-1].Seconds()*1000,
		c.listener, c.memory, came.beyond(packet), packet, came.within(99),
		c.callers, sent.beyond(packet), read.beyond(packet),
		percent(late, received), percent(lost, frames))
}
