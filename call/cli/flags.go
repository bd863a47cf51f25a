package cli

import (
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"
	"golang.org/x/term"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/call"
	"securecall/crypto/zrtp"
	"securecall/nat/rendezvous"
)

// settings are what the flags of listen and dial say.
type settings struct {
	trust
	bind          netip.AddrPort
	mic, speaker  string
	echo          bool
	cancelEcho    bool
	suppressNoise bool
	autoGain      bool
	packetTime    time.Duration
	hangupAtEOF   bool
	duration      time.Duration
	timeout       time.Duration
	via           *rendezvous.Address
	relayOnly     bool
	mapPort       bool
	algorithms    zrtp.Algorithms
	json          bool
	quiet         bool
	verbose       bool
	color         bool
	input         bool // keys and questions are allowed
	plain         bool
	records       *records
	acceptAll     bool
	hooks         hookCommands
	once          bool
	maxCalls      int
	audioOnStdin  bool
	audioOnStdout bool
	ring          string  // where it rings
	ringer        *ringer // which does
	log           string  // its format; empty: none is written
	from          origins // of what was not typed
}

// callFlags are the flags that listen and dial share, and the command's own.
// bindHelp is what --bind stands at if it is not given.
func callFlags(bindHelp string, own ...ucli.Flag) []ucli.Flag {
	flags := []ucli.Flag{
		&ucli.StringFlag{Name: "bind", Usage: "local address, `ADDR[:PORT]`", DefaultText: bindHelp},
		&ucli.StringFlag{Name: "mic", Usage: "`SRC` is default, a device's name, FILE.wav, - (stdin), exec:COMMAND, tone:HZ, none"},
		&ucli.StringFlag{Name: "speaker", Usage: "`DST` is default, a device's name, FILE.wav, - (stdout), exec:COMMAND, none"},
		&ucli.StringFlag{
			Name: "echo-cancel", Value: "auto",
			Usage: "take what the speaker plays out of what the microphone hears: `WHEN` is on, off, or auto (where both are devices)",
		},
		&ucli.StringFlag{
			Name: "noise-suppression", Value: "auto",
			Usage: "take a steady background out of what the microphone hears: `WHEN` is on, off, or auto (where it is a device)",
		},
		&ucli.StringFlag{
			Name: "auto-gain", Value: "auto",
			Usage: "bring soft and loud voices at the microphone to one level: `WHEN` is on, off, or auto (where it is a device)",
		},
		&ucli.StringFlag{
			Name: "packet-time", Value: "20ms",
			Usage: "how much sound a packet holds: `D` is 20ms, or 10ms for less delay at twice the packets",
		},
		&ucli.StringFlag{Name: "via", Usage: "meet by a call code, through the meeting point `SERVER`: HOST[:PORT], or ws://HOST[:PORT] without TLS"},
		toggle("map", "ask the router to forward a port to us (PCP, NAT-PMP, UPnP): for listen, or with --via"),
		toggle("relay-only", "with --via: never a direct path, so that the other side does not learn where we are"),
		toggle("hangup-at-eof", "end the call when the mic's file, pipe or stdin has ended and been played out"),
		&ucli.DurationFlag{Name: "duration", Usage: "end the call after `D`, e.g. 90s", DefaultText: "no end"},
	}
	flags = append(flags, recordFlags()...)
	flags = append(append(flags, own...), trustFlags()...)
	for _, c := range choices() {
		flags = append(flags, &ucli.StringFlag{
			Name: c.flag, Usage: "`LIST` of " + c.what + ", most wanted first: " + c.known(), DefaultText: c.byDefault,
		})
	}
	return append(
		flags,
		toggle("json", "one event a line on stdout (on stderr when stdout carries audio)"),
		toggle("q", "say only what must be known"),
		toggle("v", "say more: figures, paths, versions"),
		toggle("no-color", "no colours"),
		toggle("plain", "whole sentences, one a line, for those who have them read aloud"),
		toggle("no-input", "no keys, no questions"),
	)
}

func toggle(name, usage string) ucli.Flag {
	return &ucli.BoolFlag{Name: name, Usage: usage, DisableDefaultText: true}
}

// readSettings reads the shared flags and refuses what cannot be.
func readSettings(c *ucli.Context) (*settings, error) {
	s := &settings{
		mic:         "default",
		speaker:     "default",
		echo:        c.Bool("echo"),
		hangupAtEOF: c.Bool("hangup-at-eof"),
		duration:    c.Duration("duration"),
		timeout:     c.Duration("timeout"),
		json:        c.Bool("json"),
		quiet:       c.Bool("q"),
		verbose:     c.Bool("v"),
		color:       !c.Bool("no-color") && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		input:       !c.Bool("no-input"),
		plain:       c.Bool("plain"),
		once:        c.Bool("once"),
		ring:        ringAuto,
		from:        configuredOf(c).from,
	}
	for _, name := range []string{"duration", "timeout"} {
		if c.IsSet(name) && c.Duration(name) <= 0 {
			return nil, usagef("give it a time above zero, e.g. 90s or 5m", "--%s %s is no time to wait for", name, c.Duration(name))
		}
	}
	for name, end := range map[string]*string{"mic": &s.mic, "speaker": &s.speaker} {
		if !c.IsSet(name) {
			continue
		}
		if *end = c.String(name); *end == "" {
			return nil, usagef("securecall devices lists what it takes; none is silence", "--%s is empty", name)
		}
		if s.echo {
			return nil, usagef("leave one of them out", "--echo sends back what is heard: there is no place for --%s", name)
		}
	}
	if s.quiet && s.verbose {
		return nil, usagef("leave one of them out", "-q and -v contradict each other")
	}
	if !s.echo {
		s.audioOnStdin = device.KindOf(s.mic) == device.KindStdio
		s.audioOnStdout = device.KindOf(s.speaker) == device.KindStdio
	}
	if sameFile(s.mic, s.speaker) {
		return nil, usagef("choose another file for one of them", "--mic and --speaker are the same file: it would be emptied before it is read")
	}
	if s.audioOnStdin && isTerminal(os.Stdin) {
		return nil, usagef("pipe it in: sox talk.wav -t s16 -r 8000 -c 1 - | securecall …", "--mic - reads sound from stdin, and stdin is a terminal")
	}
	if s.audioOnStdout && isTerminal(os.Stdout) {
		return nil, usagef("pipe it on: securecall … | aplay -f S16_LE -r 8000", "--speaker - writes sound to stdout, and stdout is a terminal")
	}
	s.mapPort = c.Bool("map")
	var err error
	if s.via, s.relayOnly, err = readVia(c); err != nil {
		return nil, err
	}
	mic, speaker := device.KindOf(s.mic) == device.KindDevice, device.KindOf(s.speaker) == device.KindDevice
	if s.cancelEcho, err = onOffAuto(c, "echo-cancel", mic && speaker); err != nil {
		return nil, err
	}
	if s.suppressNoise, err = onOffAuto(c, "noise-suppression", mic); err != nil {
		return nil, err
	}
	if s.autoGain, err = onOffAuto(c, "auto-gain", mic); err != nil {
		return nil, err
	}
	if s.packetTime, err = packetTime(c.String("packet-time")); err != nil {
		return nil, err
	}
	if s.algorithms, err = algorithms(c); err != nil {
		return nil, err
	}
	if s.records, err = readRecords(c); err != nil {
		return nil, err
	}
	s.trust, err = readTrust(c)
	return s, err
}

func packetTime(v string) (time.Duration, error) {
	switch d, err := time.ParseDuration(v); {
	case err != nil, d != audio.FrameDuration && d != audio.FrameDuration/2:
		return 0, usagef("say 20ms or 10ms", "--packet-time %q is neither", v)
	default:
		return d, nil
	}
}

// onOffAuto reads a flag that is on, off or auto, which stands for automatic.
func onOffAuto(c *ucli.Context, name string, automatic bool) (bool, error) {
	switch v := c.String(name); v {
	case "on":
		return true, nil
	case "off":
		return false, nil
	case "auto":
		return automatic, nil
	default:
		return false, usagef("say on, off or auto", "--%s %q is none of them", name, v)
	}
}

// sameFile tells whether both ends of the sound are one file, by whatever names.
func sameFile(mic, speaker string) bool {
	if device.KindOf(mic) != device.KindFile || device.KindOf(speaker) != device.KindFile {
		return false
	}
	a, err := os.Stat(mic)
	b, other := os.Stat(speaker)
	return err == nil && other == nil && a.Mode().IsRegular() && os.SameFile(a, b)
}

// config is what an endpoint needs to know of the flags.
func (s *settings) config(q *queue, attended bool) call.Config {
	// A kernel's timer takes a thread of ours: for one call, that it be exact.
	o := device.Options{Stdin: os.Stdin, Stdout: os.Stdout, KernelTimers: s.maxCalls <= 1, Frame: audio.Samples(s.packetTime)}
	o.Stderr = saidTo(func(err error) { q.put(0, call.Fault{Err: err}) })
	return call.Config{
		Mic: func() (audio.Source, error) { return device.OpenSource(s.mic, o) },
		Speaker: func() (audio.Sink, error) {
			s.ringer.quiet()
			return device.OpenSink(s.speaker, o)
		},
		Echo:          s.echo,
		CancelEcho:    s.cancelEcho,
		SuppressNoise: s.suppressNoise,
		AutoGain:      s.autoGain,
		PacketTime:    s.packetTime,

		MicLasts:     device.KindOf(s.mic) == device.KindDevice,
		SpeakerLasts: device.KindOf(s.speaker) == device.KindDevice,

		Algorithms:  s.algorithms,
		Client:      client,
		Timeout:     s.timeout,
		Duration:    s.duration,
		HangupAtEOF: s.hangupAtEOF,
		AcceptAll:   s.acceptAll,
		Once:        s.once,
		MaxCalls:    s.maxCalls,
		Cache:       s.cache,
		Auxiliary:   s.auxiliary,
		Require:     s.require,
		Attended:    attended,
		SplitSAS:    s.splitSAS,
		KnownOnly:   s.known,
		Expect:      s.expect,
		Contact:     s.contact,
		Address:     s.address,
		OnEvent:     q.put,

		Recorder:     s.records.open,
		RecordAtOnce: s.records.given != "",
		RecordUntold: s.records.untold,
	}
}

// execSaid is a line that a program of exec: has written to its errors.
type execSaid string

func (e execSaid) Error() string { return "exec: " + string(e) }

// Anonymous implements anonymous: it may name hosts.
func (e execSaid) Anonymous() string { return "exec: a program has said something" }

// saidTo has such lines told one by one, free of what a terminal obeys.
func saidTo(tell func(error)) func() io.WriteCloser {
	return func() io.WriteCloser {
		return &hookOutput{tell: func(line string) { tell(execSaid(line)) }}
	}
}

// parseBind reads ADDR[:PORT] and :PORT, which is both families.
func parseBind(s string, port uint16) (netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap, nil
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return netip.AddrPortFrom(a, port), nil
	}
	if p, found := strings.CutPrefix(s, ":"); found {
		if n, err := strconv.ParseUint(p, 10, 16); err == nil {
			return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n)), nil
		}
	}
	return netip.AddrPort{}, usagef("e.g. --bind 192.0.2.7, --bind 192.0.2.7:5004, --bind [::]:0 (any free port)",
		"--bind %q is no local address", s)
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
