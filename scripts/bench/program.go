//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"securecall/audio"
)

// A program is a securecall that runs, and whose events are read.
type program struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	errors bytes.Buffer
	addr   string // of a listener
}

type event struct {
	Event string
	Time  time.Time // to the millisecond
	Addrs []string
	read  time.Time
}

func start(ctx context.Context, path string, args ...string) (*program, error) {
	p := &program{cmd: exec.CommandContext(ctx, path, args...)}
	p.cmd.Stderr = &p.errors
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewScanner(out)
	return p, p.cmd.Start()
}

// listen starts a listener for one call, on a port that the system chooses.
func listen(ctx context.Context, path, mic, speaker string) (*program, error) {
	p, err := start(ctx, path, "listen", "--ephemeral", "--json", "--bind", "127.0.0.1:0", "--accept", "all", "--once", "--mic", mic, "--speaker", speaker)
	if err != nil {
		return nil, err
	}
	e, err := p.await("listening")
	if err != nil {
		p.stop()
		return nil, err
	}
	if len(e.Addrs) == 0 {
		p.stop()
		return nil, fmt.Errorf("listening at no address")
	}
	p.addr = e.Addrs[0]
	return p, nil
}

// await reads events until one has the name.
func (p *program) await(name string) (event, error) {
	for p.lines.Scan() {
		e := event{read: time.Now()}
		if err := json.Unmarshal(p.lines.Bytes(), &e); err != nil {
			return e, fmt.Errorf("%s: %w", p.lines.Text(), err)
		}
		if e.Event == name {
			return e, nil
		}
	}
	return event{}, fmt.Errorf("ended without the event %s: %s", name, p.errors.String())
}

// hangUp ends the call as Ctrl-C does.
func (p *program) hangUp() error {
	if _, err := p.await("answered"); err != nil {
		return err
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return p.wait()
}

// wait reads the rest and waits for the end; a status other than 0 is an error.
func (p *program) wait() error {
	for p.lines.Scan() {
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, p.errors.String())
	}
	return nil
}

// stop ends it if it still runs.
func (p *program) stop() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// memory is the most that p held in RAM, in MB. Linux counts it in kB, macOS
// in octets; that is not looked into here.
func memory(p *os.ProcessState) float64 {
	if u, ok := p.SysUsage().(*syscall.Rusage); ok {
		return float64(u.Maxrss) / 1024
	}
	return 0
}

// wav is a file of pcm over and over, for that long at least.
func wav(pcm []int16, length time.Duration) []byte {
	var sound []byte
	for want := int(length.Seconds()*audio.SampleRate) * 2; len(sound) < want; {
		for _, s := range pcm {
			sound = binary.LittleEndian.AppendUint16(sound, uint16(s))
		}
	}
	le := binary.LittleEndian
	b := append([]byte("RIFF"), le.AppendUint32(nil, uint32(36+len(sound)))...)
	b = le.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = le.AppendUint16(le.AppendUint16(b, 1), 1)
	b = le.AppendUint32(le.AppendUint32(b, audio.SampleRate), 2*audio.SampleRate)
	b = le.AppendUint16(le.AppendUint16(b, 2), 16)
	b = le.AppendUint32(append(b, "data"...), uint32(len(sound)))
	return append(b, sound...)
}
