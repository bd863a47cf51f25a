package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
)

// Devices is the command devices.
func Devices() *ucli.Command {
	return &ucli.Command{
		Name:  "devices",
		Usage: "microphones and speakers, by the names that --mic and --speaker take",
		UsageText: `securecall devices
securecall devices --json
securecall devices --test --speaker headset`,
		Flags: []ucli.Flag{
			toggle("test", "play a tone of a second, then show for three how loud the microphone is"),
			&ucli.StringFlag{Name: "mic", Usage: "the `SRC` of --test, as in a call"},
			&ucli.StringFlag{Name: "speaker", Usage: "the `DST` of --test, as in a call"},
			toggle("json", "one device a line, or with --test one line for each of them"),
		},
		Action: func(c *ucli.Context) error {
			if c.Args().Present() {
				return usagef("securecall help devices shows what it takes", "devices takes no argument, and got %q", c.Args().First())
			}
			if c.Bool("test") {
				return deviceTest{
					mic: orDefault(c.String("mic")), speaker: orDefault(c.String("speaker")),
					json: c.Bool("json"), out: c.App.Writer, live: isTerminal(os.Stdout),
				}.run()
			}
			if onCommandLine(c, "mic") || onCommandLine(c, "speaker") {
				return usagef("securecall devices --test tries them", "--mic and --speaker need --test here")
			}
			infos, err := device.List()
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printDeviceLines(c.App.Writer, infos)
			}
			return printDevices(c.App.Writer, infos)
		},
	}
}

func orDefault(spec string) string {
	if spec == "" {
		return "default"
	}
	return spec
}

// A jsonInfo is one line of devices --json.
type jsonInfo struct {
	V       int    `json:"v"`
	Kind    string `json:"kind"` // mic, speaker
	Name    string `json:"name"` // what --mic or --speaker takes
	Label   string `json:"label"`
	Driver  string `json:"driver"`
	Default bool   `json:"default"`
}

func printDeviceLines(w io.Writer, infos []device.Info) error {
	for _, i := range infos {
		kind := "speaker"
		if i.Input {
			kind = "mic"
		}
		b, err := json.Marshal(jsonInfo{jsonVersion, kind, i.Name, printable(i.Label), i.Driver, i.Default})
		if err != nil {
			return err
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func printDevices(w io.Writer, infos []device.Info) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, end := range []struct {
		title, flag string
		input       bool
	}{
		{"microphones", "--mic", true},
		{"speakers", "--speaker", false},
	} {
		n := 0
		for _, i := range infos {
			if i.Input != end.input {
				continue
			}
			if n++; n == 1 {
				fmt.Fprintf(t, "%s (%s NAME):\n", end.title, end.flag)
			}
			line := printable(i.Name) + "\t" + i.Driver
			if i.Default {
				line += ", default"
			}
			if i.Label != i.Name {
				line += "\t" + printable(i.Label)
			}
			fmt.Fprintf(t, "  %s\n", line)
		}
		if n == 0 {
			fmt.Fprintf(t, "%s (%s NAME): none on this machine\n", end.title, end.flag)
		}
	}
	fmt.Fprint(t, "without a device: FILE.wav, - (stdin, stdout), exec:COMMAND, tone:HZ (mic), none\n")
	return t.Flush()
}
