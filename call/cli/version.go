package cli

import (
	"fmt"
	"runtime"

	ucli "github.com/urfave/cli/v2"
)

// version is of the newest release; scripts/release.sh adds the commit where it is none.
var version = "0.1.0"

// client is what our Hello names us (RFC 6189, Section 5.2): at most 16
// characters.
const client = "securecall " + "0.1"

// Version is the command version.
func Version() *ucli.Command {
	return &ucli.Command{
		Name:      "version",
		Usage:     "which securecall this is",
		UsageText: "securecall version",
		Action: func(c *ucli.Context) error {
			if c.Args().Present() {
				return usagef("securecall help lists the commands", "version takes no argument")
			}
			_, err := fmt.Fprintf(c.App.Writer, "securecall %s (%s, %s/%s, %s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, linkage)
			return err
		},
	}
}
