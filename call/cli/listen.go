package cli

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
	"securecall/call"
	"securecall/call/meet"
	"securecall/nat"
)

// Listen is the command listen.
func Listen() *ucli.Command {
	return &ucli.Command{
		Name:  "listen",
		Usage: "wait for calls",
		UsageText: `securecall listen
securecall listen --accept all --echo --max-calls 20
securecall listen --accept all --max-calls 20 --mic greeting.wav --speaker none --record calls/
securecall listen --via meet.example
securecall listen --accept all --once --mic none --speaker message.wav
securecall listen --on-incoming ./decide --on-ended 'sh -c "date >> calls"'`,
		Description: `It prints what the other side types to call. A speaker that is a file is written
anew by each call. With --via it waits at a meeting point and prints a call code, good
for one call; no port is opened to others, and after each call there is a new code.
Contacts find it there by its name in their contacts, without a code.
The commands of --on-… are split at spaces, but for those between '…' or "…", and run
without a shell (docs/scripting.md has the names of the facts). --on-incoming is asked in
place of a person and of --accept ask or all; --accept known still keeps strangers out.
Without a terminal, and where a service manager has started it, SIGHUP has it read the
file of settings again, for the calls to come (docs/configuration.md).`,
		Flags: callFlags("[::]:5004, both families",
			&ucli.StringFlag{Name: "accept", Usage: "`WHOM`: ask, known (others get no answer at all) or all; a terminal asks, without one it must be said"},
			&ucli.IntFlag{Name: "max-calls", Value: 1, Usage: "`N` calls at once, with --echo or sound from files; further callers hear busy", DefaultText: "1"},
			toggle("once", "end after the first call"),
			toggle("echo", "send back what is heard; no microphone, no speaker"),
			&ucli.StringFlag{
				Name: "ring", Value: "auto",
				Usage: "where a call rings that you are asked about: `DST` as for --speaker, or auto (the speaker, where it is a device)",
			},
			&ucli.StringFlag{
				Name: "log", Value: "none",
				Usage: "a line an event on stderr, in place of what a person reads: `FORMAT` is none, text or json; names and addresses with -v alone",
			},
			hookFlag("incoming", "let `CMD` decide about each call, by its exit status: 0 accept, 1 decline, 2 busy"),
			hookFlag("secured", "run `CMD` when keys are agreed, with the facts in its environment as SECURECALL_…"),
			hookFlag("ended", "run `CMD` when such a call has ended, with the outcome among the facts"),
		),
		Action: listen,
	}
}

// readListen reads the flags.
func readListen(c *ucli.Context) (*settings, error) {
	if c.Args().Present() {
		return nil, usagef("securecall dial PEER calls somebody", "listen takes no argument, and got %q", c.Args().First())
	}
	s, err := readSettings(c)
	if err != nil {
		return nil, err
	}
	switch a := c.String("accept"); a {
	case "", "ask":
	case "all":
		s.acceptAll = true
	case "known":
		if s.ephemeral {
			return nil, usagef("leave one of them out", "--ephemeral knows nobody: --accept known would answer nobody")
		}
		s.acceptAll, s.known = true, true
	default:
		return nil, usagef("it takes ask, known or all", "--accept %q is not known", a)
	}
	if s.hooks, err = readHooks(c); err != nil {
		return nil, err
	}
	if s.hooks.decide() {
		s.acceptAll = false
	}
	s.maxCalls = c.Int("max-calls")
	if err := s.checkCrowd(); err != nil {
		return nil, err
	}
	port := uint16(nat.DefaultPort)
	if s.via != nil {
		port = 0 // nobody is to know it
	}
	s.bind = netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	if b := c.String("bind"); b != "" {
		if s.bind, err = parseBind(b, port); err != nil {
			return nil, err
		}
	}
	if s.ring, err = readRing(c.String("ring")); err != nil {
		return nil, err
	}
	if err := s.checkRingFile(); err != nil {
		return nil, err
	}
	if s.log, err = readLog(c.String("log")); err != nil {
		return nil, err
	}
	if s.log != "" && s.json && s.audioOnStdout {
		return nil, usagef("leave one of them out", "--log and --json: stdout carries sound, and stderr cannot have both")
	}
	return s, nil
}

func listen(c *ucli.Context) error {
	rereads := hangupRereads()
	again := newRereader(c)
	s, err := readListen(c)
	if err != nil {
		return err
	}
	p, err := newPhone(s, true)
	if err != nil {
		return err
	}
	defer p.flush()
	if rereads {
		defer p.rereading(again)()
	}
	if p.manager, err = meetManager(); err != nil {
		return p.fail(err)
	}
	q := newQueue()
	if err := s.openState(c, q); err != nil {
		return p.fail(err)
	}
	if s.known {
		if known, err := s.cache.List(); err == nil && len(known) == 0 {
			q.put(0, call.Fault{Err: errNobodyKnown, Hint: "call those who should be able to, or let them call once with --accept all"})
		}
	}
	// Better now than when the first call comes.
	if err := s.checkCalls(); err != nil {
		return p.fail(err)
	}
	if err := s.records.check(); err != nil {
		return p.fail(err)
	}
	if err := s.checkSockets(p.manager); err != nil {
		return p.fail(err)
	}
	if s.via != nil {
		return p.run(c.Context, meet.NewListener(s.config(q, p.tty != nil), s.meeting()), q)
	}
	path, err := s.listenPath(c.Context, p.manager)
	if err != nil {
		return p.fail(err)
	}
	addrs := nat.LocalAddrs(path.LocalAddr())
	if s.mapPort {
		port, err := mapPort(c.Context, path.LocalAddr(), q)
		if err != nil {
			path.Close()
			return p.fail(err)
		}
		defer port.Close()
		addrs = slices.Insert(addrs, 0, port.Mapping().External)
	}
	e, err := call.NewListener(s.config(q, p.tty != nil && p.crowd == nil), path, addrs)
	if err != nil {
		path.Close()
		return p.fail(err)
	}
	return p.run(c.Context, e, q)
}

// checkCalls finds out, as far as that goes without a call, whether calls can be as the flags say.
func (s *settings) checkCalls() error {
	for _, check := range []func() error{s.hooks.check, s.checkVia, s.checkSound, s.checkRing, s.checkListen} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

var errNobodyKnown = errors.New("--accept known, and nobody is known: nobody can call")

// checkSound finds out, as far as that goes without a call, whether both ends of the sound
// can be opened.
func (s *settings) checkSound() error {
	if s.echo {
		return nil
	}
	if err := checkMic(s.mic); err != nil {
		return err
	}
	return checkSpeaker(s.speaker)
}

// checkMic finds out, as far as that goes without a call, whether spec can be
// opened. A device that is there is not: its light would go on.
func checkMic(spec string) error {
	switch device.KindOf(spec) {
	case device.KindStdio, device.KindExec:
		return nil // to be read in the call, and only there
	case device.KindDevice:
		if listed(spec, true) {
			return nil
		}
	case device.KindFile:
		if isFIFO(spec) {
			return nil // what is read here would be missing in the call
		}
	}
	source, err := device.OpenSource(spec, device.Options{})
	if err != nil {
		return err
	}
	return source.Close()
}

// checkSpeaker is checkMic for the other end. A file is not touched, since
// what is in it counts until there is a call.
func checkSpeaker(spec string) error {
	switch device.KindOf(spec) {
	case device.KindStdio, device.KindExec:
		return nil
	case device.KindFile:
		return checkWritable(spec)
	case device.KindDevice:
		if listed(spec, false) {
			return nil
		}
	}
	sink, err := device.OpenSink(spec, device.Options{})
	if err != nil {
		return err
	}
	return sink.Close()
}

func listed(spec string, input bool) bool {
	infos, err := device.List()
	return err == nil && slices.ContainsFunc(infos, func(i device.Info) bool {
		return i.Input == input && (i.Name == spec || spec == "default" && i.Default)
	})
}

// isFIFO tells whether a path leads to no file that stays, but to whoever has its other end.
func isFIFO(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

func checkWritable(path string) error {
	if isFIFO(path) {
		return nil // to open and close it would be the end of what is read there
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		return f.Close()
	}
	if errors.Is(err, fs.ErrNotExist) {
		dir, statErr := os.Stat(filepath.Dir(path))
		if statErr == nil && dir.IsDir() {
			return nil
		}
	}
	return &device.Error{Spec: path, Err: err, Hint: "choose a file that can be written", File: true}
}
