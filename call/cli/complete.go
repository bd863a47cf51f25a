package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
	"securecall/crypto/zidcache"
)

// What the completion of a shell asks for while somebody types.
const (
	askCommand     = "__complete"
	askContacts    = "contacts" // whom dial can call by name
	askPeers       = "peers"    // the same, and by their ZIDs those who have no name
	askMicrophones = "microphones"
	askSpeakers    = "speakers"
)

// askTime is how long somebody may be kept waiting who has pressed Tab.
const askTime = time.Second

// Complete is the hidden command by which the completions of the shells learn what only the
// running program knows, one name a line. It changes nothing, says nothing of what fails, and
// leaves out what could mean something else on a command line than a name.
func Complete() *ucli.Command {
	return &ucli.Command{
		Name:      askCommand,
		Hidden:    true,
		Usage:     "what a completion asks for",
		ArgsUsage: strings.Join([]string{askContacts, askPeers, askMicrophones, askSpeakers}, "|"),
		UsageText: "securecall " + askCommand + " " + askContacts,
		Flags:     []ucli.Flag{stateFlag()},
		Action: func(c *ucli.Context) error {
			names := make(chan []string, 1)
			go func() { names <- namesOf(c, c.Args().First()) }()
			select {
			case list := <-names:
				for _, name := range list {
					fmt.Fprintln(c.App.Writer, name)
				}
			case <-time.After(askTime): // a sound server that does not answer
			}
			return nil
		},
	}
}

func namesOf(c *ucli.Context, what string) (names []string) {
	switch what {
	case askContacts, askPeers:
		dir, err := stateDir(c)
		if err != nil {
			return nil
		}
		known, _ := zidcache.Known(dir)
		for _, r := range known {
			switch {
			case isContactArgument(r.Name):
				names = append(names, r.Name)
			case what == askPeers:
				names = append(names, zidText(r.ZID))
			}
		}
	case askMicrophones, askSpeakers:
		infos, _ := device.List()
		for _, i := range infos {
			if i.Input == (what == askMicrophones) && isDeviceArgument(i.Name) {
				names = append(names, i.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// isContactArgument tells whether name means the contact where it is typed for one. Names
// come from others too, by contacts import, and one like --verify-via=… would be a command.
func isContactArgument(name string) bool {
	for _, other := range []string{"host:", "code:", "contact:"} {
		if strings.HasPrefix(name, other) {
			return false
		}
	}
	return isArgument(name)
}

// isDeviceArgument is the same for a device, which was named by whoever made it: exec:… would
// be a command.
func isDeviceArgument(name string) bool {
	return isArgument(name) && device.KindOf(name) == device.KindDevice
}

func isArgument(name string) bool {
	return name != "" && name[0] != '-' && name == printable(name)
}
