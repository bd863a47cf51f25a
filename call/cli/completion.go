package cli

import (
	"embed"
	"io"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// Completion is the command completion.
func Completion() *ucli.Command {
	return &ucli.Command{
		Name:      "completion",
		Usage:     "a script by which a shell completes commands, flags, contacts and devices",
		ArgsUsage: "bash|zsh|fish",
		UsageText: `source <(securecall completion bash)     # in ~/.bashrc
source <(securecall completion zsh)      # in ~/.zshrc, below compinit
securecall completion fish > ~/.config/fish/completions/securecall.fish`,
		Description: `The script has the commands and flags of the securecall that printed it, and asks
securecall for contacts, microphones and speakers while you type.`,
		Action: func(c *ucli.Context) error {
			const help = "say bash, zsh or fish"
			if c.Args().Len() != 1 {
				return usagef(help, "completion takes the name of a shell, and got %d", c.Args().Len())
			}
			var names []string
			for _, s := range shells() {
				if s.name == c.Args().First() {
					return s.write(c.App.Writer, spots(c.App))
				}
				names = append(names, s.name)
			}
			return usagef(didYouMean("", c.Args().First(), names)+help, "there is no completion for %q", printable(c.Args().First()))
		},
	}
}

// The scripts, but for most of their last function, which says what can stand where.
//
//go:embed completion
var scripts embed.FS

// A shell is how that function is written.
type shell struct {
	name string
	spot func(spot) string // a case of it
	end  string            // what is below the cases
}

func shells() []shell {
	const esac = "\t*) return 1 ;;\n\tesac\n}\n"
	return []shell{
		{"bash", func(p spot) string { return posixCase(p, justWord) }, esac},
		{"zsh", func(p spot) string { return posixCase(p, wordAndAbout) }, esac + `
if [[ $funcstack[1] == _securecall ]]; then # a file in $fpath
	_securecall "$@"
else
	compdef _securecall securecall
fi
`},
		{"fish", fishCase, "\tcase '*'\n\t\treturn 1\n\tend\n\treturn 0\nend\n"},
	}
}

func (s shell) write(w io.Writer, all []spot) error {
	head, err := scripts.ReadFile("completion/securecall." + s.name)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.Write(head)
	for _, p := range all {
		b.WriteString(s.spot(p))
	}
	b.WriteString(s.end)
	_, err = io.WriteString(w, b.String())
	return err
}

// posixCase is a spot in the words of bash and zsh, whose lists of words differ.
func posixCase(p spot, listed func(knownWord) string) string {
	var b strings.Builder
	b.WriteString("\t" + quotePOSIX(p.at) + ")")
	if len(p.words) > 0 {
		b.WriteString(" choices=(")
		for i, w := range p.words {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(quotePOSIX(listed(w)))
		}
		b.WriteByte(')')
	}
	for _, v := range p.variables() {
		b.WriteString(" " + v[0] + "=" + v[1])
	}
	b.WriteString(" ;;\n")
	return b.String()
}

func fishCase(p spot) string {
	var b strings.Builder
	b.WriteString("\tcase " + quoteFish(p.at) + "\n")
	if len(p.words) > 0 {
		b.WriteString("\t\tset choices")
		for _, w := range p.words {
			b.WriteString(" " + quoteFish(w.word))
			if w.about != "" {
				b.WriteString(`\t` + quoteFish(w.about))
			}
		}
		b.WriteByte('\n')
	}
	for _, v := range p.variables() {
		b.WriteString("\t\tset " + v[0] + " " + v[1] + "\n")
	}
	return b.String()
}

// variables are what the scripts know of p beside its words, by name. None needs quotes.
func (p spot) variables() (set [][2]string) {
	if p.ask != "" {
		set = append(set, [2]string{"ask", p.ask})
	}
	if p.files != "" {
		set = append(set, [2]string{"files", p.files})
	}
	if p.list {
		set = append(set, [2]string{"list", "yes"})
	}
	return set
}

func justWord(w knownWord) string { return w.word }

// wordAndAbout is what zsh's _describe takes.
func wordAndAbout(w knownWord) string {
	word := strings.ReplaceAll(w.word, ":", `\:`)
	if w.about == "" {
		return word
	}
	return word + ":" + w.about
}

func quotePOSIX(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
