package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
	"securecall/crypto/zidcache"
)

func stateFlag() ucli.Flag {
	return &ucli.StringFlag{
		Name: "state", Usage: "`DIR` is where ZID, contacts and retained secrets live",
		DefaultText: "$XDG_STATE_HOME/securecall", TakesFile: true,
	}
}

// stateDir is the folder that --state names, or the usual one.
func stateDir(c *ucli.Context) (string, error) {
	if c.IsSet("state") {
		if dir := c.String("state"); dir != "" {
			return dir, nil
		}
		return "", usagef("give it a folder, or leave it out", "--state is empty")
	}
	base, err := baseDir("XDG_STATE_HOME", ".local", "state")
	if err != nil {
		return "", usagef("--state DIR says where", "there is no place for what securecall remembers: %v", err)
	}
	return filepath.Join(base, "securecall"), nil
}

// environ is our environment for a command that we start. The folder of --state is in it: a
// securecall that the command runs is to find the same contacts, and ctl this process.
func (s *settings) environ() []string {
	env := os.Environ()
	if s.state == "" {
		return env
	}
	dir, err := filepath.Abs(s.state)
	if err != nil {
		return env // there is no folder that we are in: it would not be found from there either
	}
	return append(env, factPrefix+"STATE="+dir)
}

// baseDir is the folder that a variable of the XDG Base Directory Specification names, or
// the one under the home folder that stands for it; or the one that another system has.
func baseDir(variable string, under ...string) (string, error) {
	switch runtime.GOOS {
	case "windows", "darwin", "ios":
		return os.UserConfigDir()
	}
	// A path that is not absolute is to be ignored, says the specification.
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, filepath.Join(under...)), err
}

// stateFailure is what there is to say when the state cannot be used.
func stateFailure(err error) diagnosis {
	d := diagnosis{what: printable(err.Error()), status: int(call.ReasonNotPossible)}
	if !errors.Is(err, zidcache.ErrNotPrivate) && !errors.Is(err, zidcache.ErrNewer) { // which say it themselves
		d.hint = "--state DIR chooses another folder"
	}
	return d
}

// stateDamaged is what there is to say when a new state had to begin.
func stateDamaged(aside string, why error) diagnosis {
	d := diagnosis{
		what: fmt.Sprintf("what securecall remembers was damaged (%s): it begins anew, with a new ZID", printable(why.Error())),
		hint: "everybody you know has to be verified again",
	}
	if aside != "" {
		d.hint += "; the old file is kept as " + printable(aside)
	}
	return d
}
