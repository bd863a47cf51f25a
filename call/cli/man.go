package cli

import (
	"io"
	"strconv"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// Man is the command man.
func Man() *ucli.Command {
	return &ucli.Command{
		Name:  "man",
		Usage: "the manual page, made of what --help says",
		UsageText: `securecall man | man -l -
securecall man > /usr/local/share/man/man1/securecall.1`,
		Action: func(c *ucli.Context) error {
			if c.Args().Present() {
				return usagef("securecall man | man -l - shows it", "man takes no argument, and got %q", printable(c.Args().First()))
			}
			_, err := io.WriteString(c.App.Writer, manPage(c.App))
			return err
		},
	}
}

const manDescription = `Securecall makes encrypted phone calls from a terminal. There is no account, no server and
no certificate: two people agree on a fresh key in the media path (ZRTP, RFC 6189), read two
words to each other, and know that nobody is in between. There is no clear mode to fall back to.

Results go to stdout, talk to stderr, and questions only to a terminal. Flags may stand before
and after a command's arguments.`

const manEvents = `With --json, listen and dial write one JSON object a line: "v" is 1, "time" when it happened,
"event" what, and "call" in which call; secured, for one, has the words to compare as "sas", and
ended has the exit status as "code".`

const manSeeAlso = `RFC 6189 (ZRTP), RFC 3711 (SRTP), ITU-T G.711. Securecall's README.md has recipes, and its
SECURITY.md what a call is guarded against and what not.`

// A described thing is one of a list in the manual page.
type described struct{ name, about string }

func manFiles(app *ucli.App) []described {
	files := []described{
		{"$XDG_STATE_HOME/securecall", "what is remembered about others: the ZID, contacts and retained secrets. It must be a folder of the user alone. Where the variable is not set it is ~/.local/state/securecall, and --state names another."},
		{"$XDG_RUNTIME_DIR/securecall", "the sockets by which ctl reaches a running listen or dial; where there is no such folder, in /tmp/securecall-UID."},
	}
	if app.Command("config") != nil {
		files = append(files, described{"$XDG_CONFIG_HOME/securecall/config.toml", "settings, each under the name of its flag; where the variable is not set, in ~/.config. On macOS and Windows this and what is remembered are in the folder that the system has for settings."})
	}
	return files
}

func manEnvironment(app *ucli.App) []described {
	variables := []described{
		{"NO_COLOR", "if it is not empty, there are no colours."},
		{"TERM", "if it is dumb, there are neither colours nor lines that change."},
		{"XDG_STATE_HOME, XDG_RUNTIME_DIR", "see FILES."},
		{"PULSE_SERVER, PULSE_COOKIE", "the sound server, and the file that it knows us by, if they are not the usual ones."},
		{"PULSE_SOURCE, PULSE_SINK", "the default microphone and the default speaker of the sound server."},
		{"GOMAXPROCS", "how many processors a call or a listener uses: 1, if it is not set."},
		{"SSL_CERT_FILE", "the certificates by which a meeting point is known (--via)."},
	}
	if app.Command("config") != nil {
		variables = append(variables, described{"SECURECALL_CONFIG", "the file of settings, if it is not the usual one; /dev/null for none."}, described{"SECURECALL_…", "the value of a flag that is not given: SECURECALL_BIND is that of --bind."})
	}
	return variables
}

// manPage is the manual page in the macros of man(7).
func manPage(app *ucli.App) string {
	var r roff
	r.macro("TH", "SECURECALL", "1", "", "securecall "+version, "User Commands")
	r.b.WriteString(".ad l\n") // lines of a command are not to be stretched
	r.macro("SH", "NAME")
	r.line(app.Name + " - " + app.Usage)
	r.macro("SH", "SYNOPSIS")
	for i, c := range app.VisibleCommands() {
		if i > 0 {
			r.macro("br")
		}
		r.usage(c)
	}
	r.macro("SH", "DESCRIPTION")
	r.text(manDescription)
	r.macro("SH", "COMMANDS")
	for _, c := range app.VisibleCommands() {
		r.command(c)
	}
	r.macro("SH", "EXIT STATUS")
	for _, s := range statuses {
		r.item(strconv.Itoa(s.code), s.meaning)
	}
	r.macro("SH", "EVENTS")
	r.text(manEvents)
	r.macro("SH", "FILES")
	for _, f := range manFiles(app) {
		r.item(f.name, f.about)
	}
	r.macro("SH", "ENVIRONMENT")
	for _, v := range manEnvironment(app) {
		r.item(v.name, v.about)
	}
	r.macro("SH", "SEE ALSO")
	r.text(manSeeAlso)
	return r.b.String()
}

// command is all that there is to say of one.
func (r *roff) command(c *ucli.Command) {
	r.macro("SS", "securecall "+c.Name)
	r.line(upperFirst(c.Usage) + ".")
	r.macro("PP")
	r.usage(c)
	if c.UsageText != "" {
		r.macro("PP")
		r.line("Examples:")
		r.example(c.UsageText)
	}
	if c.Description != "" {
		r.macro("PP")
		r.text(c.Description)
	}
	group := ""
	for _, f := range c.VisibleFlags() {
		if g, ok := f.(ucli.CategorizableFlag); ok && g.GetCategory() != "" && g.GetCategory() != group {
			group = g.GetCategory()
			r.macro("PP")
			r.line(group + ":")
		}
		tag, about, _ := strings.Cut(f.String(), "\t")
		r.item(tag, about)
	}
}

// usage is how a command is typed, as its help has it.
func (r *roff) usage(c *ucli.Command) {
	words := []string{`\fBsecurecall ` + escapeRoff(c.Name) + `\fR`}
	if len(c.VisibleFlags()) > 1 { // not only --help
		words = append(words, `[\fIflags\fR]`)
	}
	if c.ArgsUsage != "" {
		words = append(words, escapeRoff(c.ArgsUsage))
	}
	r.b.WriteString(strings.Join(words, " ") + "\n")
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
