package cli

import (
	"fmt"
	"strings"
)

// A roff is a manual page that is being written. All text is escaped: it looks on a terminal
// as it does here, and can be copied from there.
type roff struct{ b strings.Builder }

// macro writes a request with its arguments.
func (r *roff) macro(name string, args ...string) {
	r.b.WriteString("." + name)
	for _, a := range args {
		if a != "" {
			a = escapeRoff(a)
		}
		r.b.WriteString(` "` + a + `"`)
	}
	r.b.WriteByte('\n')
}

// line writes one line of text.
func (r *roff) line(s string) { r.b.WriteString(escapeRoff(s) + "\n") }

// text writes paragraphs, between which empty lines stand. One that is set in is an example.
func (r *roff) text(s string) {
	for i, paragraph := range strings.Split(s, "\n\n") {
		if strings.HasPrefix(paragraph, " ") {
			r.example(paragraph)
			continue
		}
		if i > 0 {
			r.macro("PP")
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			r.line(line)
		}
	}
}

// example writes lines as they are.
func (r *roff) example(s string) {
	r.macro("PP")
	r.macro("RS", "4")
	r.macro("EX")
	for line := range strings.SplitSeq(s, "\n") {
		r.line(line)
	}
	r.macro("EE")
	r.macro("RE")
}

// item writes a term and what it is. In a flag's, what stands for its value is not bold.
func (r *roff) item(term, about string) {
	words := strings.Fields(term)
	for i, w := range words {
		if term[0] == '-' && w[0] != '-' {
			words[i] = `\fI` + escapeRoff(w) + `\fR`
		} else {
			words[i] = `\fB` + escapeRoff(w) + `\fR`
		}
	}
	r.macro("TP")
	r.b.WriteString(strings.Join(words, " ") + "\n")
	r.line(about)
}

// escapeRoff makes roff print s as it is: a hyphen that can be copied, straight quotes, and
// no request at the beginning of a line.
func escapeRoff(s string) string {
	var b strings.Builder
	for i, c := range s {
		switch special := roffSpecial[c]; {
		case special != "":
			b.WriteString(special)
		case c == '.' && i == 0:
			b.WriteString(`\&.`)
		case c > '~':
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	if b.Len() == 0 {
		return `\&` // an empty line would be a request too
	}
	return b.String()
}

var roffSpecial = map[rune]string{
	'\\': `\(rs`, '-': `\-`, '"': `\(dq`, '\'': `\(aq`, '`': `\(ga`, '^': `\(ha`, '~': `\(ti`,
}
