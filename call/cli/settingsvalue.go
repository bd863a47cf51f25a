package cli

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
	"securecall/nat/rendezvous/quota"
)

// What a value in a file of settings can be: of a limit, which has a Go type, and of a
// flag, which is asked itself.

// longestTime bounds times in a file: clients take no number of seconds above 2^30.
const longestTime = 30 * 24 * time.Hour

// setField sets what field points to. Zero is refused everywhere: as a number it lets
// nobody in, and as a time for HTTP it is no end at all.
func setField(field, v any) error {
	switch field := field.(type) {
	case *int:
		n, ok := v.(int64)
		if !ok || n < 1 || int64(int(n)) != n {
			return errWhole
		}
		*field = int(n)
	case *int64:
		n, ok := v.(int64)
		if !ok || n < 1 {
			return errWhole
		}
		*field = n
	case *time.Duration:
		s, _ := v.(string)
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 || d > longestTime {
			return errors.New(`takes a time above zero and up to "720h", such as "90s" or "1h30m"`)
		}
		*field = d
	case *quota.Rate:
		s, _ := v.(string)
		r, ok := quota.ParseRate(s)
		if !ok {
			return errors.New(`takes a rate such as "30 then 1 per 3s": 30 at once, and then 1 each 3 seconds`)
		}
		*field = r
	default:
		return fmt.Errorf("is a %T, which no file can hold", field)
	}
	return nil
}

var errWhole = errors.New("takes a whole number above zero")

// text is the value of a flag as the command line would have it, or false if it is nothing
// that the flag takes.
func (f *settingsFile) text(flag ucli.Flag, v any) (text string, ok bool) {
	switch flag := flag.(type) {
	case *ucli.BoolFlag:
		var b bool
		b, ok = v.(bool)
		text = strconv.FormatBool(b)
	case *ucli.IntFlag:
		var n int64
		n, ok = v.(int64)
		text = strconv.FormatInt(n, 10)
	case *ucli.DurationFlag:
		text, ok = v.(string)
	case *ucli.StringFlag:
		text, ok = asText(v, takesList(flag))
		text = f.beside(flag, text)
	}
	return text, ok && parses(flag, text)
}

// takes is what can be said of a value that a flag does not take.
func takes(flag ucli.Flag) string {
	switch flag := flag.(type) {
	case *ucli.BoolFlag:
		return "takes true or false"
	case *ucli.IntFlag:
		return "takes a whole number"
	case *ucli.DurationFlag:
		return `takes a time such as "90s" or "1h30m"`
	case *ucli.StringFlag:
		if takesList(flag) {
			return "takes a string, or a list of strings"
		}
		return "takes a string"
	}
	return "can stand on the command line alone"
}

func takesList(flag *ucli.StringFlag) bool { return strings.HasPrefix(flag.Usage, "`LIST`") }

// parses asks the flag itself whether it takes text.
func parses(f ucli.Flag, text string) bool {
	scratch := flag.NewFlagSet("", flag.ContinueOnError)
	return f.Apply(scratch) == nil && scratch.Set(f.Names()[0], text) == nil
}

// beside is where a file is that a setting names: with the file that it stands in, since
// who reads that may be in any folder. "~/" is the home folder, which no shell puts in here.
func (f *settingsFile) beside(flag *ucli.StringFlag, name string) string {
	sound := (flag.Name == "mic" || flag.Name == "speaker" || flag.Name == "ring") && device.KindOf(name) == device.KindFile
	if name == "" || filepath.IsAbs(name) || !flag.TakesFile && !sound {
		return name
	}
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return inFolder(home, rest)
		}
	}
	return inFolder(filepath.Dir(f.name), name)
}

// inFolder is a path in a folder; one that is written like a folder stays so.
func inFolder(folder, path string) string {
	if strings.HasSuffix(path, "/") {
		return filepath.Join(folder, path) + string(filepath.Separator)
	}
	return filepath.Join(folder, path)
}

// asText is a string or, where that is wanted, the strings of a list with commas between
// them, as on the command line.
func asText(v any, list bool) (text string, ok bool) {
	if text, ok = v.(string); ok || !list {
		return text, ok
	}
	all, ok := v.([]any)
	if !ok {
		return "", false
	}
	texts := make([]string, len(all))
	for i := range all {
		if texts[i], ok = all[i].(string); !ok {
			return "", false
		}
	}
	return strings.Join(texts, ","), true
}
