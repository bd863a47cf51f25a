package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"securecall/call"
)

// The log of a listen that runs as a service: --log. One line an event, for programs that
// collect them. Who calls, from where, is in it with -v alone; what is written, pressed or
// said never is, nor the SAS, nor a call code.

// A logbook writes it.
type logbook struct {
	log   *slog.Logger
	names bool // -v: with names and addresses
	begun bool // that calls are waited for was told
}

// newLogbook writes to w in the format of --log; nil: there is none. -q leaves out what is
// nothing to worry about.
func newLogbook(w io.Writer, s *settings) *logbook {
	o := &slog.HandlerOptions{}
	if s.quiet {
		o.Level = slog.LevelWarn
	}
	switch s.log {
	case "text":
		return &logbook{log: slog.New(slog.NewTextHandler(w, o)), names: s.verbose}
	case "json":
		return &logbook{log: slog.New(slog.NewJSONHandler(w, o)), names: s.verbose}
	}
	return nil
}

// write writes a line with the time of its event. Text goes through printable before it comes
// here, and is quoted here where it is not one word.
func (l *logbook) write(at time.Time, level slog.Level, id int, what string, attrs ...slog.Attr) {
	ctx := context.Background()
	h := l.log.Handler()
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(at, level, what, 0)
	if id != 0 {
		r.AddAttrs(slog.Int("call", id))
	}
	r.AddAttrs(attrs...)
	_ = h.Handle(ctx, r) // to whom could it be told?
}

// show writes the line of one event, if it has one.
func (l *logbook) show(at time.Time, id int, e call.Event) {
	info := func(what string, attrs ...slog.Attr) { l.write(at, slog.LevelInfo, id, what, attrs...) }
	switch e := e.(type) {
	case call.Listening:
		if !l.begun || l.names {
			l.begun = true
			info("waiting for calls", l.named(slog.Any("addrs", texts(e.Addrs)))...)
		}
	case call.Secured:
		info("call secured", append([]slog.Attr{
			slog.String("key_agreement", printable(e.KeyAgreement)), slog.String("cipher", printable(e.Cipher)),
			slog.String("auth", printable(e.Auth)), slog.String("hash", printable(e.Hash)), slog.String("sas_type", printable(e.SASType)),
			slog.String("continuity", e.Continuity), slog.Bool("verified", e.Verified), slog.Bool("code", e.ByCode && e.Auxiliary == "match"),
		}, l.named(
			slog.String("addr", e.Remote.String()), slog.String("zid", e.ZID), slog.String("name", printable(e.Contact)),
			slog.String("peer_client", printable(e.PeerClient)),
		)...)...)
	case call.Incoming:
		info("call incoming")
	case call.Answered:
		info("call answered")
	case call.KeyChanged:
		l.write(at, slog.LevelWarn, id, "keys changed")
	case call.Verified:
		info("call verified", slog.String("how", e.How))
	case call.PathChanged:
		info("path", append([]slog.Attr{slog.String("kind", e.Kind)}, l.named(slog.String("local", e.Local.String()), slog.String("remote", e.Remote.String()))...)...)
	case call.Held:
		info("call held", slog.Bool("on", e.On))
	case call.Recording:
		if e.Err != nil {
			l.write(at, slog.LevelWarn, id, "recording", slog.Bool("on", e.On), slog.String("error", l.cause(e.Err).what))
			break
		}
		info("recording", slog.Bool("on", e.On))
	case call.PeerRecording:
		info("peer recording", slog.Bool("on", e.On))
	case call.Text:
		info("text received", slog.Int("bytes", len(e.Text)))
	case call.DTMF:
		info("keys received", slog.Int("keys", len(e.Digits)))
	case call.DeviceState:
		level := slog.LevelWarn
		if e.State == "back" {
			level = slog.LevelInfo
		}
		l.write(at, level, id, "device", slog.String("which", e.Which), slog.String("state", e.State))
	case call.Fault:
		d := l.cause(e.Err)
		if e.Hint != "" {
			d.hint = printable(e.Hint)
		}
		l.fail(at, id, slog.LevelWarn, d)
	case call.Ended:
		l.ended(at, id, e)
	}
}

// ended writes the last line of a call, with the figures of all of it.
func (l *logbook) ended(at time.Time, id int, e call.Ended) {
	f := newFigures(e.Stats)
	attrs := []slog.Attr{
		slog.String("reason", e.Reason.String()), slog.Int("code", int(e.Reason)), slog.Float64("duration_s", seconds(e.Duration)),
		slog.Float64("rtt_ms", f.RTT), slog.Float64("jitter_ms", f.Jitter), slog.Float64("loss_pct", f.Loss), slog.Float64("peer_loss_pct", f.PeerLoss),
		slog.Float64("mos", f.MOS), slog.Uint64("sent", f.Sent), slog.Uint64("received", f.Received),
	}
	level := slog.LevelInfo
	switch e.Reason {
	case call.ReasonNormal, call.ReasonNoAnswer, call.ReasonBusy, call.ReasonDeclined, call.ReasonInterrupted:
	default:
		level = slog.LevelWarn
		if e.Err != nil {
			attrs = append(attrs, slog.String("error", l.cause(e.Err).what))
		}
	}
	l.write(at, level, id, "call ended", attrs...)
}

// fail writes what went wrong, and what to do.
func (l *logbook) fail(at time.Time, id int, level slog.Level, d diagnosis) {
	attrs := []slog.Attr{}
	if d.hint != "" {
		attrs = append(attrs, slog.String("hint", d.hint))
	}
	l.write(at, level, id, d.what, attrs...)
}

// anonymous is an error that can be told without the name or address in it.
type anonymous interface {
	error
	Anonymous() string
}

// cause is what is to be said of an error.
func (l *logbook) cause(err error) diagnosis {
	d := diagnose(err)
	if a := anonymous(nil); !l.names && errors.As(err, &a) {
		d.what = printable(a.Anonymous())
	}
	return d
}

// named is what only -v adds.
func (l *logbook) named(attrs ...slog.Attr) []slog.Attr {
	if !l.names {
		return nil
	}
	return attrs
}

// texts are things as they are written.
func texts[T fmt.Stringer](all []T) (list []string) {
	for _, x := range all {
		list = append(list, x.String())
	}
	return list
}

// readLog reads --log: text, json, or nothing for none.
func readLog(format string) (string, error) {
	switch format {
	case "text", "json":
		return format, nil
	case "none":
		return "", nil
	}
	return "", usagef("it takes none, text or json", "--log %q is not known", format)
}

// reread tells that the settings were read again, and which of them take a restart.
func (l *logbook) reread(at time.Time, fixed []string) {
	if len(fixed) == 0 {
		l.write(at, slog.LevelInfo, 0, "settings read again")
		return
	}
	l.write(at, slog.LevelWarn, 0, "settings read again", slog.String("takes_restart", strings.Join(fixed, " ")))
}
