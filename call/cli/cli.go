// Package cli is the command line: one file a command, every message that a
// person reads in ui.go, the event lines of --json in json.go, the keys of the
// terminal in keys.go and doings.go, its last line in status.go.
//
// It is the only package that prints. It does not know how a call works; it
// opens what the flags name, hands that to a call.Endpoint, and shows what the
// endpoint's events say.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// Run carries out the command line args, args[0] being the program's name,
// and returns the exit status. Cancelling ctx hangs up and ends it.
func Run(ctx context.Context, args []string, commands ...*ucli.Command) int {
	ctx, settings := withConfigured(ctx)
	out := &results{f: os.Stdout}
	app := &ucli.App{
		Name:                  "securecall",
		HelpName:              "securecall",
		Usage:                 "encrypted calls from a terminal",
		Commands:              commands,
		Flags:                 []ucli.Flag{ucli.HelpFlag},
		CustomAppHelpTemplate: appHelp + statusHelp(),
		Writer:                out,
		ErrWriter:             os.Stderr,
		OnUsageError:          explainUsage,
		ExitErrHandler:        func(*ucli.Context, error) {}, // the status is ours to choose
		Action:                noCommand,
	}
	for _, c := range commands {
		c.HideHelpCommand = true
		c.Flags = grouped(append(c.Flags, ucli.HelpFlag))
		c.CustomHelpTemplate = commandHelp
		c.OnUsageError = explainUsage
		if takesSettings(c.Name) {
			c.Before = configure
		}
	}
	if len(args) == 2 && args[1] == "--version" {
		args = []string{args[0], "version"} // what many try first
	}
	forgetFacts()
	err := app.RunContext(ctx, flagsFirst(args, commands))
	if err == nil && ctx.Err() == nil { // a service that was stopped has long said what it had to say
		err = out.err
	}
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	d := settings.from.explain(diagnose(err))
	complain(os.Stderr, d)
	return d.status
}

// results are stdout, and the first write to it that failed: what prints a help text does not look.
type results struct {
	f   *os.File
	err error
}

func (r *results) Write(b []byte) (int, error) {
	n, err := r.f.Write(b)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

// exitStatus is the error of a command that has said itself what there is to
// say.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usageError is a command line that cannot be carried out.
type usageError struct{ what, hint string }

func (e *usageError) Error() string { return e.what }

func usagef(hint, format string, args ...any) error {
	return &usageError{what: fmt.Sprintf(format, args...), hint: hint}
}

// flagsFirst moves the flags that stand behind a command's arguments in front
// of them, since the flag package stops at the first argument that is none:
// securecall dial bob --mute would otherwise call two peers.
func flagsFirst(args []string, commands []*ucli.Command) []string {
	if len(args) < 2 {
		return args
	}
	i := slices.IndexFunc(commands, func(c *ucli.Command) bool { return c.HasName(args[1]) })
	if i < 0 {
		return args
	}
	flags, rest := slices.Clone(args[:2]), []string{"--"}
	for a := args[2:]; len(a) > 0; a = a[1:] {
		switch {
		case a[0] == "--":
			return append(append(flags, rest...), a[1:]...)
		case len(a[0]) < 2 || a[0][0] != '-':
			rest = append(rest, a[0])
		default:
			flags = append(flags, a[0])
			if takesValue(commands[i], a[0]) {
				if len(a) == 1 {
					return flags // a value is missing, and that will be said
				}
				a = a[1:]
				flags = append(flags, a[0])
			}
		}
	}
	return append(flags, rest...)
}

// takesValue tells whether the next argument belongs to arg, a flag of c.
func takesValue(c *ucli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range c.Flags {
		if slices.Contains(f.Names(), name) {
			v, ok := f.(ucli.DocGenerationFlag)
			return ok && v.TakesValue()
		}
	}
	return false
}

// noCommand is what runs when the first argument names no command.
func noCommand(c *ucli.Context) error {
	if !c.Args().Present() {
		c.App.Writer = os.Stderr
		_ = ucli.ShowAppHelp(c)
		return exitStatus(statusUsage)
	}
	return unknownCommand(c, c.Args().First())
}

func unknownCommand(c *ucli.Context, name string) error {
	var names []string
	for _, known := range c.App.VisibleCommands() {
		names = append(names, known.Names()...)
	}
	return usagef(didYouMean("", name, names)+"securecall help lists the commands", "there is no command %q", printable(name))
}

// explainUsage turns what the flag package says into our words. Its errors
// have no types, only texts.
func explainUsage(c *ucli.Context, err error, _ bool) error {
	flags, help := []ucli.Flag(nil), "securecall help"
	if c.Command != nil && c.App.Command(c.Command.Name) != nil {
		flags, help = c.Command.Flags, "securecall help "+c.Command.Name
	}
	text := printable(err.Error())
	name, unknown := strings.CutPrefix(text, "flag provided but not defined: -")
	if !unknown {
		if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
			text = "--" + name + " needs a value"
		} else if i := strings.LastIndex(text, " for flag -"); i > 0 {
			name = strings.TrimSuffix(text[i+len(" for flag -"):], ": parse error")
			text = strings.Replace(text[:i], "invalid value", "--"+name+" does not take", 1)
			for _, f := range flags {
				if slices.Contains(f.Names(), name) {
					return usagef(help+" shows what each flag takes", "%s: it %s", text, takes(f))
				}
			}
		}
		return usagef(help+" shows what each flag takes", "%s", text)
	}
	name = strings.TrimLeft(name, "-")
	dashes := "--"
	if len(name) == 1 {
		dashes = "-"
	}
	if flags == nil {
		return usagef("flags come after the command; "+help+" lists the commands", "there is no flag %s%s here", dashes, name)
	}
	var names []string
	for _, f := range flags {
		names = append(names, f.Names()...)
	}
	return usagef(didYouMean("--", name, names)+help+" lists the flags", "there is no flag %s%s", dashes, name)
}

// didYouMean suggests the name that was most likely meant, or nothing.
func didYouMean(dashes, typed string, names []string) string {
	best := nearest(typed, names)
	if best == "" {
		return ""
	}
	return "did you mean " + dashes + best + "? "
}

// nearest is the only name that typed begins, or the one that it is like, or nothing.
func nearest(typed string, names []string) string {
	var begun []string
	for _, n := range names {
		if len(typed) > 1 && strings.HasPrefix(n, typed) {
			begun = append(begun, n)
		}
	}
	if len(begun) == 1 {
		return begun[0]
	}
	best, least := "", 3
	for _, n := range names {
		if d := editDistance(typed, n); len(n) > 1 && d < least && d < len(n) {
			best, least = n, d
		}
	}
	return best
}

// editDistance is how many letters must be put in, left out, changed or
// swapped with their neighbour to make b out of a.
func editDistance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			change := row[j]
			if a[i] != b[j] {
				change++
			}
			next[j+1] = min(change, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
