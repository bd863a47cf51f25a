package cli

import (
	ucli "github.com/urfave/cli/v2"
)

// Demo is the command demo.
func Demo() *ucli.Command {
	return &ucli.Command{
		Name:      "demo",
		Usage:     "a whole call on this machine, over real UDP",
		UsageText: "securecall demo",
		Action:    demo,
	}
}

func demo(c *ucli.Context) error { panic("seam") }
