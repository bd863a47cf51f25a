package punched

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// logs is the libraries' logger. What they say at length is left out: below
// their warnings they print passwords.
type logs struct{ to *slog.Logger }

func (l logs) NewLogger(scope string) logging.LeveledLogger {
	if l.to == nil {
		return quiet{}
	}
	return scoped{to: l.to.With("from", scope)}
}

// quiet says nothing.
type quiet struct{}

func (quiet) Trace(string)          {}
func (quiet) Tracef(string, ...any) {}
func (quiet) Debug(string)          {}
func (quiet) Debugf(string, ...any) {}
func (quiet) Info(string)           {}
func (quiet) Infof(string, ...any)  {}
func (quiet) Warn(string)           {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Error(string)          {}
func (quiet) Errorf(string, ...any) {}

// scoped passes warnings on for debugging, since any stranger's packet can cause
// one, and errors as warnings.
type scoped struct {
	quiet
	to *slog.Logger
}

func (s scoped) Warn(m string)             { s.to.Debug(m) }
func (s scoped) Warnf(f string, a ...any)  { s.say(slog.LevelDebug, f, a) }
func (s scoped) Error(m string)            { s.to.Warn(m) }
func (s scoped) Errorf(f string, a ...any) { s.say(slog.LevelWarn, f, a) }

func (s scoped) say(level slog.Level, format string, a []any) {
	if s.to.Enabled(context.Background(), level) {
		s.to.Log(context.Background(), level, fmt.Sprintf(format, a...))
	}
}
