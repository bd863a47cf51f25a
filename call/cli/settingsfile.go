package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/BurntSushi/toml"
	ucli "github.com/urfave/cli/v2"

	"securecall/nat/rendezvous/quota"
)

// A settingsFile is a TOML file with flags of a command under their own names, and with
// tables for what is no flag.
type settingsFile struct {
	name  string // as it was given
	c     *ucli.Context
	meta  toml.MetaData
	known []string // all that can stand in it, with the tables in front: limits.turn.idle-time
}

// A setting does with the value of its key what is to be done. Its error is a *usageError.
type setting func(toml.Primitive) error

// readSettingsFile sets the flags of c that are not on the command line to what stands in
// a file, and reads the file's tables, by their names, into what tables points to: structs,
// whose fields have the names of the keys. The error is a *usageError for what stands in the
// file, with the line, and a *settingsError where it cannot be read at all.
func readSettingsFile(c *ucli.Context, name string, tables map[string]any) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return &settingsError{err}
	}
	return (&settingsFile{name: name, c: c}).read(string(b), tables)
}

func (f *settingsFile) read(text string, tables map[string]any) (err error) {
	var values map[string]toml.Primitive
	if f.meta, err = toml.Decode(text, &values); err != nil {
		return f.noTOML(err)
	}
	settings := map[string]setting{}
	for name, into := range tables {
		f.table(settings, name, reflect.ValueOf(into).Elem())
	}
	for _, flag := range f.c.Command.Flags {
		// -q, -v and -h belong to whoever types; a file names no other file.
		if name := flag.Names()[0]; len(name) > 1 && name != "config" && name != "help" {
			f.known = append(f.known, name)
			settings[name] = f.taking(func(v any) error { return f.set(flag, v) })
		}
	}
	return f.all("", values, settings)
}

// all carries out what stands in one table of the file.
func (f *settingsFile) all(table string, values map[string]toml.Primitive, settings map[string]setting) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		set := settings[key]
		if set == nil {
			set = f.unknown(table, key)
		}
		if err := set(values[key]); err != nil {
			return err
		}
	}
	return nil
}

// A taker is given the value of a key. Its error goes on after the key: "takes a string".
type taker func(value any) error

// UnmarshalTOML is how package toml hands over a value, and adds the line to the error.
func (t taker) UnmarshalTOML(value any) error { return t(value) }

func (f *settingsFile) taking(t taker) setting {
	return func(p toml.Primitive) error {
		if err := f.meta.PrimitiveDecode(p, t); err != nil {
			return f.wrong(err, "securecall help "+f.c.Command.Name+" shows what each setting takes")
		}
		return nil
	}
}

// table adds the table name, path and all, whose keys are the fields of a struct.
func (f *settingsFile) table(settings map[string]setting, path string, into reflect.Value) {
	fields := map[string]setting{}
	for _, field := range reflect.VisibleFields(into.Type()) {
		if field.Anonymous {
			continue // its fields are here as well
		}
		name, value := settingName(field.Name), into.FieldByIndex(field.Index)
		if value.Kind() == reflect.Struct && value.Type() != reflect.TypeFor[quota.Rate]() {
			f.table(fields, path+"."+name, value)
			continue
		}
		f.known = append(f.known, path+"."+name)
		fields[name] = f.taking(func(v any) error { return setField(value.Addr().Interface(), v) })
	}
	f.known = append(f.known, path)
	isTable := f.taking(func(v any) error {
		if _, ok := v.(map[string]any); !ok {
			return errors.New("is a table")
		}
		return nil
	})
	settings[path[strings.LastIndexByte(path, '.')+1:]] = func(p toml.Primitive) error {
		if err := isTable(p); err != nil {
			return err
		}
		var values map[string]toml.Primitive
		if err := f.meta.PrimitiveDecode(p, &values); err != nil {
			return err
		}
		return f.all(path, values, fields)
	}
}

// settingName is the name in a file of a field: mailboxes-per-connection of
// MailboxesPerConnection, tcp-connections of TCPConnections.
func settingName(field string) string {
	var name strings.Builder
	for i, r := range field {
		lower := func(at int) bool { return at < len(field) && unicode.IsLower(rune(field[at])) }
		if i > 0 && unicode.IsUpper(r) && (lower(i-1) || lower(i+1)) {
			name.WriteByte('-')
		}
		name.WriteRune(unicode.ToLower(r))
	}
	return name.String()
}

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

// set gives a flag a value, unless the command line has done so.
func (f *settingsFile) set(flag ucli.Flag, v any) error {
	var text string
	switch flag := flag.(type) {
	case *ucli.BoolFlag:
		b, ok := v.(bool)
		if !ok {
			return errors.New("takes true or false")
		}
		text = strconv.FormatBool(b)
	case *ucli.StringFlag:
		list := strings.HasPrefix(flag.Usage, "`LIST`")
		s, ok := asText(v, list)
		switch {
		case !ok && list:
			return errors.New("takes a string, or a list of strings")
		case !ok:
			return errors.New("takes a string")
		case flag.TakesFile && s != "" && !filepath.IsAbs(s):
			s = filepath.Join(filepath.Dir(f.name), s)
		}
		text = s
	}
	if name := flag.Names()[0]; !f.c.IsSet(name) {
		return f.c.Set(name, text)
	}
	return nil
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

// unknown refuses a key, and says which one may have been meant: one like it, or the same
// in another table.
func (f *settingsFile) unknown(table, key string) setting {
	var like []string
	other := ""
	for _, k := range f.known {
		i := strings.LastIndexByte(k, '.')
		switch {
		case k[:max(i, 0)] == table:
			like = append(like, k[i+1:])
		case other == "" && k[i+1:] == key:
			other = k
		}
	}
	meant := nearest(key, like)
	if meant == "" {
		meant = other
	} else if table != "" {
		meant = table + "." + meant
	}
	hint := "securecall help " + f.c.Command.Name + " shows which there are"
	if table != "" {
		hint = "scripts/rendezvous/rendezvous.toml has all of them"
	}
	if meant != "" {
		hint = "did you mean " + meant + "? " + hint
	}
	return func(p toml.Primitive) error {
		err := f.meta.PrimitiveDecode(p, taker(func(any) error { return errors.New("is no setting") }))
		return f.wrong(err, hint)
	}
}

// wrong is what is to be said of a taker's error.
func (f *settingsFile) wrong(err error, hint string) error {
	var at toml.ParseError
	errors.As(err, &at)
	return usagef(hint, "%s: %s %s", f.place(at), at.LastKey, at.Message)
}

// noTOML is what is to be said of a file that is none. What the library says is left out:
// it repeats what stands there, which might be the secret of another program's file.
func (f *settingsFile) noTOML(err error) error {
	var at toml.ParseError
	errors.As(err, &at)
	return usagef(`it takes a line each, such as bind = "192.0.2.7" or no-tls = true`, "%s: that is no TOML, or stands there twice", f.place(at))
}

func (f *settingsFile) place(at toml.ParseError) string {
	if at.Position.Line == 0 { // a table that is only named on the way to another
		return f.name
	}
	return fmt.Sprintf("%s, line %d", f.name, at.Position.Line)
}

// A settingsError is a file of settings that cannot be read.
type settingsError struct{ err error }

func (e *settingsError) Error() string { return "--config: " + e.err.Error() }
func (e *settingsError) Unwrap() error { return e.err }
