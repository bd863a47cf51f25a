package cli

import (
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// What can stand where on a command line, read off the commands themselves. The completions
// of all shells are made of it, so that nothing has to be said twice.

// A spot is where a word can stand, and which.
type spot struct {
	// at is what stands before it: nothing before a command's own name; the command, and
	// its first argument if that is a word of its own ("contacts rename"); a star for each
	// argument between ("contacts rename *"). Flags stand at "dial -", and the value of one
	// at "dial --mic".
	at    string
	words []knownWord
	ask   string // the things that only the running program knows: see Complete
	files string // fileNames, folderNames, or nothing
	list  bool   // several of the words, with commas between them
}

const (
	fileNames   = "files"
	folderNames = "folders"
)

// A knownWord is one that can be typed, and what it does, if there is something to say.
type knownWord struct{ word, about string }

// spots are all the spots of a command line.
func spots(app *ucli.App) []spot {
	all := []spot{{words: commandWords(app)}, flagSpot("", app.VisibleFlags())}
	for _, c := range app.VisibleCommands() {
		flags := c.VisibleFlags()
		all = append(all, flagSpot(c.Name, flags))
		for _, f := range flags {
			if takes, ok := f.(ucli.DocGenerationFlag); ok && takes.TakesValue() {
				all = append(all, valueSpots(app, c.Name, f)...)
			}
		}
		all = append(all, argumentSpots(app, c.Name, c.ArgsUsage)...)
	}
	return all
}

func commandWords(app *ucli.App) (words []knownWord) {
	for _, c := range app.VisibleCommands() {
		words = append(words, knownWord{c.Name, c.Usage})
	}
	return words
}

// flagSpot is where the flags of a command can stand.
func flagSpot(command string, flags []ucli.Flag) spot {
	p := spot{at: command + " -"}
	for _, f := range flags {
		_, about, _ := strings.Cut(f.String(), "\t")
		for _, name := range dashed(f) {
			p.words = append(p.words, knownWord{name, about})
		}
	}
	return p
}

// dashed are the names of a flag as they are typed.
func dashed(f ucli.Flag) (names []string) {
	for _, name := range f.Names() {
		if len(name) > 1 {
			name = "-" + name
		}
		names = append(names, "-"+name)
	}
	return names
}

// valueSpots are where the value of a flag stands, one for each of its names.
func valueSpots(app *ucli.App, command string, f ucli.Flag) (all []spot) {
	value := spot{}
	tag, _, _ := strings.Cut(f.String(), "\t")
	if word := tag[strings.LastIndexByte(tag, ' ')+1:]; word != "value" { // as the library says where the usage does not
		value = meaning(app, word)
	}
	if path, ok := f.(*ucli.StringFlag); ok && path.TakesFile && value.files == "" {
		value.files = fileNames
	}
	if words, list := flagWords(f.Names()[0]); words != nil {
		value = spot{words: plain(words...), list: list}
	}
	for _, name := range dashed(f) {
		value.at = command + " " + name
		all = append(all, value)
	}
	return all
}

// flagWords are the values of the flags that take one of a few. Those that are not here are
// completed as well, but for their values.
func flagWords(name string) (words []string, list bool) {
	for _, c := range choices() {
		if c.flag == name {
			return strings.Split(c.known(), ", "), true
		}
	}
	return map[string][]string{
		"accept":            {"ask", "known", "all"},
		"require":           {"none", "continuity", "verified", "code"},
		"echo-cancel":       {"on", "off", "auto"},
		"noise-suppression": {"on", "off", "auto"},
		"auto-gain":         {"on", "off", "auto"},
		"packet-time":       {"20ms", "10ms"},
		"log":               {"none", "text", "json"},
	}[name], false
}

func plain(words ...string) (all []knownWord) {
	for _, w := range words {
		all = append(all, knownWord{word: w})
	}
	return all
}

// argumentSpots reads the line of the help that says which arguments a command takes: the
// ways to go on, with " | " between them. A word in small letters stands for itself, one in
// capitals for what it means, and on|off for one of the two.
func argumentSpots(app *ucli.App, command, usage string) (all []spot) {
	index := map[string]int{}
	for way := range strings.SplitSeq(usage, " | ") {
		at := command
		for word := range strings.FieldsSeq(way) {
			if word = strings.Trim(word, "[]."); strings.HasPrefix(word, "-") {
				continue
			}
			i, known := index[at]
			if !known {
				i = len(all)
				index[at] = i
				all = append(all, spot{at: at})
			}
			all[i].add(meaning(app, word))
			if at == command && isWord(word) {
				at += " " + word
			} else {
				at += " *"
			}
		}
	}
	return all
}

// isWord tells whether a word of a usage line is to be typed as it stands there.
func isWord(word string) bool { return word == strings.ToLower(word) && !strings.Contains(word, "|") }

// add lets what stands at q stand at p too.
func (p *spot) add(q spot) {
	p.words = append(p.words, q.words...)
	if q.ask != "" {
		p.ask = q.ask
	}
	if q.files != "" {
		p.files = q.files
	}
}

// meaning is what a word of a usage line stands for.
func meaning(app *ucli.App, word string) spot {
	switch {
	case word == strings.ToLower(word):
		return spot{words: plain(strings.Split(word, "|")...)}
	case word == "SRC":
		return spot{words: plain("none"), ask: askMicrophones, files: fileNames}
	case word == "DST":
		return spot{words: plain("none"), ask: askSpeakers, files: fileNames}
	case word == "PEER":
		return spot{ask: askContacts}
	case word == "WHO":
		return spot{ask: askPeers}
	case word == "COMMAND":
		return spot{words: commandWords(app)}
	case word == "DIR":
		return spot{files: folderNames}
	case word == "F", strings.HasPrefix(word, "FILE"):
		return spot{files: fileNames}
	}
	return spot{} // a number, a time, a name that is new: nothing to choose from
}
