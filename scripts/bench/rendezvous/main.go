// Rendezvous measures a meeting point over TLS on loopback: N listeners that
// wait, each on a number and on six names, what they cost the server, how long
// they take to connect; then codes at a rate for a time, from open to the end
// of an exchange of six messages, while they wait. The server is a process of
// its own, with the limits by network off, since all come from one here.
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"securecall/nat/rendezvous"
	"securecall/nat/rendezvous/quota"
)

func main() {
	listeners := flag.Int("listeners", 10_000, "that wait")
	rate := flag.Int("rate", 1000, "codes a minute")
	lasting := flag.Duration("for", time.Minute, "how long there are codes")
	server := flag.Bool("server", false, "be the server (used by itself)")
	flag.Parse()
	err := error(nil)
	if *server {
		err = serve()
	} else {
		err = measure(*listeners, *rate, *lasting)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve prints its certificate and its port, and ends with stdin.
func serve() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	limits := rendezvous.DefaultLimits()
	many := quota.Rate{Burst: 1 << 20, Every: time.Microsecond}
	limits.ConnectionsPerNetwork = 1 << 20
	limits.ConnectsPerNetwork, limits.OpensPerNetwork = many, many
	limits.GuessesPerNetwork = many // the total stays: codes that are proven cost nothing
	s, err := rendezvous.NewServer(rendezvous.Settings{Limits: limits})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		cancel()
	}()
	fmt.Println(hex.EncodeToString(der), l.Addr().(*net.TCPAddr).Port)
	return s.Serve(ctx, l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
}

func measure(listeners, rate int, lasting time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, "-server")
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	defer func() {
		_ = stdin.Close()
		_ = child.Wait()
	}()
	line, err := bufio.NewReaderSize(stdout, 1<<16).ReadString('\n')
	if err != nil {
		return err
	}
	var cert string
	address := rendezvous.Address{Host: "127.0.0.1"}
	if _, err := fmt.Sscan(line, &cert, &address.Port); err != nil {
		return err
	}
	der, err := hex.DecodeString(cert)
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	options := rendezvous.Options{TLS: &tls.Config{RootCAs: pool}}
	pid := child.Process.Pid
	fmt.Printf("%d processors here; server at its start: %d kB, %.2f s of processor time\n", runtime.NumCPU(), memory(pid), processor(pid))

	began := time.Now()
	clients, times, err := connect(listeners, address, options)
	if err != nil {
		return err
	}
	defer func() {
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(func() { _ = c.Close() })
		}
		all.Wait()
	}()
	took := time.Since(began)
	report("connected and waiting", times)
	fmt.Printf("%d listeners in %.1f s, %.0f a second, eight at a time\n", listeners, took.Seconds(), float64(listeners)/took.Seconds())
	fmt.Printf("server: %d kB, %.1f kB a listener, %.2f s of processor time\n", memory(pid), float64(memory(pid))/float64(max(1, listeners)), processor(pid))

	before := processor(pid)
	var failed []error
	times, failed = codes(rate, lasting, address, options)
	report("code, from open to the end", times)
	used := processor(pid) - before
	fmt.Printf("%d codes in %v, %d failed; server: %d kB, %.1f %% of one processor\n", len(times), lasting, len(failed), memory(pid), 100*used/lasting.Seconds())
	if len(failed) > 0 {
		return fmt.Errorf("codes failed, the first: %w", failed[0])
	}
	// They all still wait, or the figures are of nothing.
	for i, c := range clients {
		if err := c.Wait(context.Background(), name(i, 0)); err != nil {
			return fmt.Errorf("listener %d of %d has gone: %w", i, listeners, err)
		}
	}
	return nil
}

func name(listener, n int) (out rendezvous.Name) {
	copy(out[:], fmt.Sprintf("%d of listener %d", n, listener))
	return out
}

func connect(n int, address rendezvous.Address, options rendezvous.Options) (clients []*rendezvous.Client, times []time.Duration, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan int)
	for range 8 {
		all.Go(func() {
			for i := range next {
				start := time.Now()
				c, e := listener(i, address, options)
				mu.Lock()
				if e == nil {
					clients, times = append(clients, c), append(times, time.Since(start))
				} else if err == nil {
					err = fmt.Errorf("listener %d: %w", i, e)
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return clients, times, err
}

func listener(i int, address rendezvous.Address, options rendezvous.Options) (*rendezvous.Client, error) {
	ctx := context.Background()
	c, err := rendezvous.Dial(ctx, address, options)
	if err != nil {
		return nil, err
	}
	var names []rendezvous.Name
	for n := range 6 {
		names = append(names, name(i, n))
	}
	if err = c.Wait(ctx, names...); err == nil {
		_, err = c.Open(ctx)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func codes(rate int, lasting time.Duration, address rendezvous.Address, options rendezvous.Options) (times []time.Duration, failed []error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	ticker := time.NewTicker(time.Minute / time.Duration(rate))
	defer ticker.Stop()
	for range int(lasting.Minutes() * float64(rate)) {
		<-ticker.C
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			start := time.Now()
			err := code(ctx, address, options)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
			} else {
				times = append(times, time.Since(start))
			}
		})
	}
	all.Wait()
	return times, failed
}

// code is two people who connect, meet, say three messages each and go.
func code(ctx context.Context, address rendezvous.Address, options rendezvous.Options) error {
	a, err := rendezvous.Dial(ctx, address, options)
	if err != nil {
		return err
	}
	defer a.Close()
	m, err := a.Open(ctx)
	if err != nil {
		return err
	}
	b, err := rendezvous.Dial(ctx, address, options)
	if err != nil {
		return err
	}
	defer b.Close()
	joining, err := b.Join(ctx, m.Number)
	if err != nil {
		return err
	}
	waiting, err := a.Accept(ctx)
	if err != nil {
		return err
	}
	for i := range 3 {
		for _, way := range [][2]*rendezvous.Session{{joining, waiting}, {waiting, joining}} {
			if err := way[0].Send(ctx, make([]byte, 500)); err != nil {
				return err
			}
			if _, err := way[1].Receive(ctx); err != nil {
				return err
			}
		}
		if i == 0 {
			if err := waiting.Proven(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func report(what string, times []time.Duration) {
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	at := func(share float64) float64 {
		return float64(times[int(share*float64(len(times)-1))].Microseconds()) / 1000
	}
	fmt.Printf("%s: half within %.1f ms, 99 of 100 within %.1f ms, all within %.1f ms\n", what, at(0.5), at(0.99), at(1))
}

// memory is what a process holds, in kB.
func memory(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}

// processor is what a process has used, in seconds.
func processor(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(after)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return float64(user+system) / 100 // USER_HZ
}
