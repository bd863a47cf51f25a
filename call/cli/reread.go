package cli

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
)

// Settings that are read again while a command runs, at SIGHUP.

// Interrupted is the exit status of what is interrupted where no call has taken place.
const Interrupted = int(call.ReasonInterrupted)

// Brief tells whether the command line args is one of no call and no service, which has
// nothing to end in an orderly way.
func Brief(args []string) bool {
	return len(args) > 1 && !slices.Contains([]string{"listen", "dial", "demo", "doctor", "rendezvous"}, args[1])
}

// Rereads tells whether SIGHUP has the command line args read its settings again, instead of
// hanging up.
func Rereads(args []string) bool {
	return len(args) > 1 && (args[1] == "listen" || args[1] == "rendezvous") && hangupRereads()
}

// hangupRereads tells what SIGHUP means: at a terminal that it is closed and with it all
// that runs there; without one, or where a service manager has started us and nobody sits
// there (NOTIFY_SOCKET may have been handed on to a shell), what daemon(7) says. To be asked
// before service.Meet, which takes that variable away.
func hangupRereads() bool {
	return !hasTerminal() || os.Getenv("NOTIFY_SOCKET") != "" && !isTerminal(os.Stdin)
}

func hasTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err == nil {
		_ = tty.Close()
	}
	return err == nil
}

// A rereader reads the settings of a command again.
type rereader struct {
	c     *ucli.Context // what it was started with
	typed []string      // of that, what stood on the command line
}

// newRereader is called before anything is read into the flags of c but what configure has.
func newRereader(c *ucli.Context) rereader {
	r := rereader{c: c}
	for _, f := range c.Command.Flags {
		if name := f.Names()[0]; onCommandLine(c, name) {
			r.typed = append(r.typed, fmt.Sprintf("--%s=%v", name, c.Value(name)))
		}
	}
	return r
}

// again is the command line as it was, with what the environment and the file of settings
// now have besides.
func (r rereader) again() (*ucli.Context, error) {
	set := flag.NewFlagSet(r.c.Command.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, f := range r.c.Command.Flags {
		if set.Lookup(f.Names()[0]) != nil {
			continue
		}
		if err := f.Apply(set); err != nil {
			return r.c, err
		}
	}
	if err := set.Parse(r.typed); err != nil {
		return r.c, err
	}
	again := ucli.NewContext(r.c.App, set, nil)
	again.Command = r.c.Command
	var s *configured
	again.Context, s = withConfigured(again.Context)
	s.secret = configuredOf(r.c).secret
	return again, configure(again)
}

// changed are the settings that are others in again, but for those named.
func (r rereader) changed(again *ucli.Context, but []string) (names []string) {
	for _, f := range r.c.Command.Flags {
		name := f.Names()[0]
		if !slices.Contains(but, name) && fmt.Sprint(r.c.Value(name)) != fmt.Sprint(again.Value(name)) {
			names = append(names, name)
		}
	}
	return names
}

// stayed is what there is to say of settings that cannot be taken over.
func stayed(again *ucli.Context, err error) diagnosis {
	d := configuredOf(again).from.explain(diagnose(err))
	d.what = "the settings stay as they were: " + d.what
	return d
}
