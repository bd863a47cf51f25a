// Interop calls between securecall and bzrtp-peer, in both directions and over
// every combination of algorithms that both have, and says PASS or FAIL of
// each: the SAS and the algorithms are the same at both ends, libbzrtp heard
// what we said octet for octet, and we played what it said sample for sample,
// but for frames that came too late on a busy machine.
//
//	interop SECURECALL BZRTP-PEER
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"securecall/audio"
)

const (
	atOnce = 4                // calls
	limit  = 20 * time.Second // of one
	frames = 50               // that each side says
	enough = frames * 4 / 5   // that we must have played: on a busy machine playout runs dry and conceals
)

// A suite is one combination, in ZRTP's names.
type suite struct{ hash, cipher, auth, agreement, sas string }

func (s suite) String() string {
	return strings.Join([]string{s.agreement, s.hash, s.cipher, s.auth, s.sas}, " ")
}

// numbers is how libbzrtp prints what was agreed on.
var numbers = map[string]string{
	"S256": "17", "S384": "18", "AES1": "33", "AES3": "35", "HS32": "49", "HS80": "50",
	"DH2k": "65", "X255": "66", "DH3k": "69",
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: interop SECURECALL BZRTP-PEER")
		os.Exit(2)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	calls, failed := 0, 0
	places := make(chan struct{}, atOnce)
	for _, s := range suites() {
		for _, dials := range []string{"securecall", "bzrtp"} {
			places <- struct{}{}
			wait.Go(func() {
				defer func() { <-places }()
				err := call(os.Args[1], os.Args[2], s, dials == "securecall")
				mu.Lock()
				defer mu.Unlock()
				calls++
				if err != nil {
					failed++
					fmt.Printf("FAIL  %s dials: %v: %v\n", dials, s, err)
				} else {
					fmt.Printf("PASS  %s dials: %v\n", dials, s)
				}
			})
		}
	}
	wait.Wait()
	fmt.Printf("%d calls with libbzrtp, %d failed\n", calls, failed)
	if failed > 0 {
		os.Exit(1)
	}
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

// A secured event, as far as it is looked at here.
type event struct {
	Event        string   `json:"event"`
	Addrs        []string `json:"addrs"`
	Hash         string   `json:"hash"`
	Cipher       string   `json:"cipher"`
	Auth         string   `json:"auth"`
	KeyAgreement string   `json:"key_agreement"`
	SASType      string   `json:"sas_type"`
	SAS          string   `json:"sas"`
}

// call makes one call and says what was wrong with it.
func call(securecall, peer string, s suite, weDial bool) error {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	in := func(name string) string { return filepath.Join(dir, name) }
	ours, theirs := speech(), speech()
	if err := os.WriteFile(in("ours.wav"), wav(ours), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(in("theirs"), theirs, 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	flags := []string{
		"--json", "--mic", in("ours.wav"), "--speaker", in("heard.wav"),
		"--hash", s.hash, "--cipher", s.cipher, "--auth", s.auth, "--key-agreement", s.agreement, "--sas", s.sas,
	}
	options := []string{"-h", s.hash, "-c", s.cipher, "-a", s.auth, "-k", s.agreement, "-s", s.sas}
	files := []string{in("theirs"), in("heard")}

	var us, them *program
	if weDial {
		if them, err = start(ctx, peer, append(options, files...)); err != nil {
			return err
		}
		defer them.stop()
		port, err := them.await("port ")
		if err != nil {
			return err
		}
		if us, err = start(ctx, securecall, append(append([]string{"dial"}, flags...), "--hangup-at-eof", "127.0.0.1:"+port)); err != nil {
			return err
		}
		defer us.stop()
	} else {
		if us, err = start(ctx, securecall, append([]string{"listen", "--bind", "127.0.0.1:0", "--accept", "all", "--once"}, flags...)); err != nil {
			return err
		}
		defer us.stop()
		listening, err := us.event("listening")
		if err != nil {
			return err
		}
		_, port, _ := strings.Cut(listening.Addrs[0], ":")
		if them, err = start(ctx, peer, append(append([]string{"-d", port}, options...), files...)); err != nil {
			return err
		}
		defer them.stop()
	}

	e, err := us.event("secured")
	if err != nil {
		return err
	}
	said, err := them.await("secure ")
	if err != nil {
		return err
	}
	sas := strings.ReplaceAll(e.SAS, " ", ":") // libbzrtp joins words
	if want := strings.Join([]string{sas, numbers[e.Hash], numbers[e.Cipher], numbers[e.Auth], numbers[e.KeyAgreement]}, " "); said != want {
		return fmt.Errorf("we have %q, libbzrtp has %q", want, said)
	}
	if got := (suite{e.Hash, e.Cipher, e.Auth, e.KeyAgreement, e.SASType}); got != s {
		return fmt.Errorf("agreed on %v", got)
	}
	if err := us.end(); err != nil {
		return fmt.Errorf("securecall: %w: %s", err, us.errors.String())
	}
	if err := them.end(); err != nil {
		return fmt.Errorf("bzrtp-peer: %w: %s", err, them.errors.String())
	}

	heard, err := os.ReadFile(in("heard"))
	if err != nil {
		return err
	}
	if !bytes.Contains(heard, ours) {
		return fmt.Errorf("libbzrtp heard %d octets, and not what we said", len(heard))
	}
	played, err := os.ReadFile(in("heard.wav"))
	if err != nil {
		return err
	}
	if n := inOrder(played, theirs); n < enough {
		return fmt.Errorf("of %d frames that libbzrtp said we played %d", frames, n)
	}
	return nil
}

// inOrder counts the frames of ulaw that were played sample for sample, one
// after the other.
func inOrder(played, ulaw []byte) (n int) {
	for frame := range slices.Chunk(ulaw, audio.FrameSamples) {
		pcm := decoded(frame)
		if i := bytes.Index(played, pcm); i >= 0 {
			n++
			played = played[i+len(pcm):]
		}
	}
	return n
}

// speech is random µ-law octets, but not 0x7f, the zero that no encoder makes.
func speech() []byte {
	b := make([]byte, frames*audio.FrameSamples)
	for i := range b {
		b[i] = byte(rand.IntN(255))
		if b[i] >= 0x7f {
			b[i]++
		}
	}
	return b
}

// wav is a µ-law WAV file (format 7).
func wav(ulaw []byte) []byte {
	var b []byte
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(36+len(ulaw)))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	for _, v := range []uint16{7, 1, 8000, 0, 8000, 0, 1, 8} { // rates are 32 bits wide
		b = le.AppendUint16(b, v)
	}
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(ulaw)))
	return append(b, ulaw...)
}

// decoded is 16-bit little-endian sound.
func decoded(ulaw []byte) []byte {
	pcm := make([]int16, len(ulaw))
	audio.PCMU.Decode(pcm, ulaw)
	var b []byte
	for _, s := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// A program runs, and its lines are read.
type program struct {
	name   string
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	errors bytes.Buffer
}

func start(ctx context.Context, path string, args []string) (*program, error) {
	p := &program{name: filepath.Base(path), cmd: exec.CommandContext(ctx, path, args...)}
	p.cmd.Stderr = &p.errors
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewScanner(out)
	return p, p.cmd.Start()
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
