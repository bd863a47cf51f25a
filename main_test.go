package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"securecall/audio"
	"securecall/audio/speech"
	"securecall/scripts/mitm/between"
)

// patience is how long a script waits for what must come. It is only ever
// used up by a test that fails.
const patience = 30 * time.Second

var update = flag.Bool("update", false, "write the expected texts in the scripts anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"securecall": main, "mitm": mitm})
}

// mitm is scripts/mitm, as a program of the scripts.
func mitm() {
	target, err := netip.ParseAddrPort(os.Args[1])
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = between.Run(ctx, target, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The stories of the command line: whole processes, real UDP on loopback,
// ports given by the system.
//
//	start NAME [<FILE] ARGS...   run securecall in the background
//	between NAME                 put a man in the middle before PEER; his address becomes PEER
//	peer NAME                    wait until NAME listens; PEER becomes its address
//	await NAME REGEXP            wait until NAME has written that
//	close NAME                   close the reading end of NAME's stdout
//	send NAME SIGNAL             INT, TERM or HUP
//	ends NAME STATUS             wait until NAME has ended with that status
//	exits STATUS [<FILE] ARGS... run securecall, which must end with that status
//	stdout, stderr, cmp          as ever, for the last of ends and exits
//	say FILE SECONDS             write speech as a WAV file (as raw sound: FILE.raw)
//	heard FILE SAID              FILE holds the speech of SAID as G.711 left it
//	places A B                   A and B become two addresses that nobody has
//	certificate NAME             make NAME.pem and NAME.key, for 127.0.0.1, which nobody trusts unless SSL_CERT_FILE names it
//	taken                        PEER becomes a port that is in use, where nothing answers
//	chatterbox                   PEER becomes a port that answers with nonsense
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("call", "cli", "testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Values[running{}] = map[string]*process{}
			// No sound server of the machine that runs the tests.
			e.Setenv("PULSE_SERVER", "unix:"+filepath.Join(e.WorkDir, "none"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "between": middle, "peer": peer, "code": code, "via": via, "await": await, "close": closeStdout, "send": send, "ends": ends,
			"exits": exits, "say": say, "heard": heard, "places": places, "certificate": certificate, "taken": taken, "chatterbox": chatterbox,
		},
		Condition:     conditions,
		UpdateScripts: *update,
	})
}

// conditions are those of [readonly]: a folder can be made so that nobody writes there.
func conditions(name string) (bool, error) {
	if name != "readonly" {
		return false, fmt.Errorf("there is no condition %q", name)
	}
	return os.Geteuid() != 0 || exec.Command("unshare", "--mount", "true").Run() == nil, nil
}

// running is the key of a script's processes by name.
type running struct{}

// A process is one securecall and what it has written so far.
type process struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	pipe   *os.File // our end of its stdout
	done   chan struct{}
}

// An output collects what is written and tells who waits for it.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{} // closed and replaced at each write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more != nil {
		close(o.more)
	}
	o.more = make(chan struct{})
	return o.buf.Write(b)
}

// text is what has come so far, and a channel that is closed when more has.
func (o *output) text() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return o.buf.String(), o.more
}

// environment is our own, with settings of the script instead of ours.
func environment(ts *testscript.TestScript) []string {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "SECURECALL_") })
	for _, name := range []string{"SECURECALL_CONFIG", "SECURECALL_MIC", "SECURECALL_ACCEPT", "SECURECALL_DURATION", "SECURECALL_RELAY_ONLY", "SECURECALL_JSON"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// newProcess starts securecall with args, of which the first may be <FILE. who
// is the user, each with a state of their own.
func newProcess(ts *testscript.TestScript, program, who string, args []string) *process {
	bin, err := exec.LookPath(program)
	ts.Check(err)
	p := &process{done: make(chan struct{})}
	if len(args) > 0 && strings.HasPrefix(args[0], "<") {
		f, err := os.Open(ts.MkAbs(args[0][1:]))
		ts.Check(err)
		defer f.Close()
		p.cmd = exec.Command(bin, args[1:]...)
		p.cmd.Stdin = f
	} else {
		p.cmd = exec.Command(bin, args...)
	}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = append(environment(ts), "PULSE_SERVER="+ts.Getenv("PULSE_SERVER"),
		"XDG_STATE_HOME="+ts.MkAbs(filepath.Join("state", who)), "XDG_CONFIG_HOME="+ts.MkAbs(filepath.Join("config", who)), "XDG_RUNTIME_DIR="+ts.MkAbs("run"), "GORACE=atexit_sleep_ms=0", "SSL_CERT_FILE="+ts.Getenv("SSL_CERT_FILE"))
	p.cmd.Stderr = &p.stderr
	r, w, err := os.Pipe()
	ts.Check(err)
	p.cmd.Stdout, p.pipe = w, r
	p.cmd.Env = append(p.cmd.Env, "PATH="+ts.Getenv("PATH")) // programs of the script
	err = p.cmd.Start()
	w.Close()
	ts.Check(err)
	ts.Defer(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	go func() {
		defer close(p.done)
		defer r.Close()
		var b [4096]byte
		for {
			n, err := r.Read(b[:])
			_, _ = p.stdout.Write(b[:n])
			if err != nil {
				break
			}
		}
		_ = p.cmd.Wait()
	}()
	return p
}

func named(ts *testscript.TestScript, name string) *process {
	p := ts.Value(running{}).(map[string]*process)[name]
	if p == nil {
		ts.Fatalf("nothing named %s was started", name)
	}
	return p
}

func start(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value(running{}).(map[string]*process)[args[0]] = newProcess(ts, "securecall", args[0], args[1:])
}

func middle(ts *testscript.TestScript, _ bool, args []string) {
	p := newProcess(ts, "mitm", args[0], []string{ts.Getenv("PEER")})
	ts.Value(running{}).(map[string]*process)[args[0]] = p
	port := regexp.MustCompile(`port (\d+)`)
	waitFor(ts, p, "a port", func(text string) bool {
		if m := port.FindStringSubmatch(text); m != nil {
			ts.Setenv("PEER", "127.0.0.1:"+m[1])
			return true
		}
		return false
	})
}

// waitFor waits until done says that one of p's outputs has it.
func waitFor(ts *testscript.TestScript, p *process, what string, done func(text string) bool) {
	late := time.After(patience)
	for {
		stdout, more1 := p.stdout.text()
		stderr, more2 := p.stderr.text()
		if done(stdout) || done(stderr) {
			return
		}
		select {
		case <-more1:
		case <-more2:
		case <-late:
			ts.Fatalf("no %s came; stdout:\n%s\nstderr:\n%s", what, stdout, stderr)
		case <-p.done:
			stdout, _ := p.stdout.text()
			stderr, _ := p.stderr.text()
			if !done(stdout) && !done(stderr) {
				ts.Fatalf("it ended without %s; stdout:\n%s\nstderr:\n%s", what, stdout, stderr)
			}
			return
		}
	}
}

func peer(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("PEER", listening(ts, args[0], 1).Addrs[0])
}

// code NAME [N] waits for the N-th call code of a listener, which becomes $CODE; $WRONG
// differs from it in the last word.
func code(ts *testscript.TestScript, _ bool, args []string) {
	n := 1
	if len(args) > 1 {
		var err error
		n, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	c := listening(ts, args[0], n).Code
	ts.Setenv("CODE", c)
	wrong, word := c[:strings.LastIndexByte(c, '-')+1], "harbor"
	if wrong+word == c {
		word = "violin"
	}
	ts.Setenv("WRONG", wrong+word)
}

// a listeningEvent is what a script needs of the event.
type listeningEvent struct {
	Event string
	Addrs []string
	Code  string
}

// listening waits for the n-th event of that name.
func listening(ts *testscript.TestScript, name string, n int) (e listeningEvent) {
	waitFor(ts, named(ts, name), "event listening", func(text string) bool {
		found := 0
		for line := range strings.Lines(text) {
			e = listeningEvent{}
			if json.Unmarshal([]byte(line), &e) == nil && e.Event == "listening" {
				found++
			}
			if found == n {
				return true
			}
		}
		return false
	})
	return e
}

// via NAME waits for a meeting point, whose address becomes $VIA.
func via(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile(`--via (\S+)`)
	waitFor(ts, named(ts, args[0]), "--via", func(text string) bool {
		m := re.FindStringSubmatch(text)
		if m != nil {
			ts.Setenv("VIA", m[1])
		}
		return m != nil
	})
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile(args[1])
	waitFor(ts, named(ts, args[0]), args[1], re.MatchString)
}

func closeStdout(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(named(ts, args[0]).pipe.Close())
}

func send(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	ts.Check(named(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

func ends(ts *testscript.TestScript, _ bool, args []string) {
	finish(ts, named(ts, args[0]), args[1])
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	finish(ts, newProcess(ts, "securecall", "me", args[1:]), args[0])
}

func finish(ts *testscript.TestScript, p *process, status string) {
	select {
	case <-p.done:
	case <-time.After(patience):
		stdout, _ := p.stdout.text()
		stderr, _ := p.stderr.text()
		ts.Fatalf("it does not end; stdout:\n%s\nstderr:\n%s", stdout, stderr)
	}
	stdout, _ := p.stdout.text()
	stderr, _ := p.stderr.text()
	fmt.Fprint(ts.Stdout(), stdout)
	fmt.Fprint(ts.Stderr(), stderr)
	conforms(ts, stdout+stderr)
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != status {
		ts.Fatalf("it ended with %s (%v), want %s; stdout:\n%s\nstderr:\n%s", got, p.cmd.ProcessState, status, stdout, stderr)
	}
}

// say writes the first seconds of the demo's speech, as WAV, or as the raw
// sound of a pipe.
func say(ts *testscript.TestScript, _ bool, args []string) {
	seconds, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	samples := speech.Samples()[:int(seconds*audio.SampleRate)]
	var b bytes.Buffer
	size := uint32(2 * len(samples))
	if !strings.HasSuffix(args[0], ".raw") {
		b.WriteString("RIFF")
		_ = binary.Write(&b, binary.LittleEndian, size+36)
		b.WriteString("WAVEfmt ")
		_ = binary.Write(&b, binary.LittleEndian, []uint32{16, 1 | 1<<16, audio.SampleRate, 2 * audio.SampleRate, 2 | 16<<16})
		b.WriteString("data")
		_ = binary.Write(&b, binary.LittleEndian, size)
	}
	_ = binary.Write(&b, binary.LittleEndian, samples)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

// heard checks that nearly every loud frame of what was said is there, octet
// for octet as G.711 gives it. A machine too busy to be on time may lose one
// in ten. FILE:left and FILE:right are the channels of a recording.
func heard(ts *testscript.TestScript, _ bool, args []string) {
	file, channel, _ := strings.Cut(args[0], ":")
	got, said := ts.ReadFile(file), ts.ReadFile(args[1])[44:]
	if channel != "" {
		got = oneOf(got[44:], channel == "right")
	}
	var loud, found int
	var octets [audio.FrameSamples]byte
	frame := make(audio.Frame, audio.FrameSamples)
	for ; len(said) >= 2*len(frame); said = said[2*len(frame):] {
		_ = binary.Read(strings.NewReader(said), binary.LittleEndian, &frame)
		audio.PCMU.Encode(octets[:], frame[:])
		audio.PCMU.Decode(frame[:], octets[:])
		peak := int16(0)
		for _, s := range frame {
			peak = max(peak, s, -s)
		}
		if peak < 1000 {
			continue
		}
		loud++
		var b bytes.Buffer
		_ = binary.Write(&b, binary.LittleEndian, frame)
		if strings.Contains(got, b.String()) {
			found++
		}
	}
	if loud == 0 || found < loud*9/10 {
		ts.Fatalf("%d of %d frames were heard", found, loud)
	}
	ts.Logf("%d of %d frames were heard", found, loud)
}

// oneOf is one channel of stereo samples.
func oneOf(stereo string, right bool) string {
	var b strings.Builder
	at := 0
	if right {
		at = 2
	}
	for ; len(stereo) >= 4; stereo = stereo[4:] {
		b.WriteString(stereo[at : at+2])
	}
	return b.String()
}

// places sets variables to addresses whose ports were free just now.
func places(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		conn, err := occupy()
		ts.Check(err)
		defer conn.Close()
		ts.Setenv(name, conn.LocalAddr().String())
	}
}

// certificate makes one that signs itself.
func certificate(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: cert}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+name), pem.EncodeToMemory(block), 0o600))
	}
}

// taken sets PEER to the address of a UDP socket that never answers and whose
// port nobody else can have.
func taken(ts *testscript.TestScript, _ bool, _ []string) {
	conn, err := occupy()
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	ts.Setenv("PEER", conn.LocalAddr().String())
}

// chatterbox answers whatever comes, and not with ZRTP.
func chatterbox(ts *testscript.TestScript, _ bool, _ []string) {
	conn, err := occupy()
	ts.Check(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [2048]byte
		for {
			_, from, err := conn.ReadFrom(b[:])
			if err != nil {
				return
			}
			_, _ = conn.WriteTo([]byte("220 hello, who is there?\r\n"), from)
		}
	}()
	ts.Defer(func() {
		_ = conn.Close()
		<-done
	})
	ts.Setenv("PEER", conn.LocalAddr().String())
}

func occupy() (net.PacketConn, error) { return net.ListenPacket("udp4", "127.0.0.1:0") }
