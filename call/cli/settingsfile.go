package cli

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
	ucli "github.com/urfave/cli/v2"

	"securecall/nat/rendezvous/quota"
)

// A settingsFile is a TOML file with flags of commands under their own names, and with
// tables for what is no flag.
type settingsFile struct {
	name  string // as it was given
	shown string // "securecall help … shows", for what stands in no table
	meta  toml.MetaData
	known []string // all that can stand in it, with the tables in front: limits.turn.idle-time
	alone []string // what can stand on the command line alone, in the same way

	found  []given // the flags that stand in it
	places origins // of what is no flag
}

// A setting does with the value of its key what is to be done. Its error is a *usageError.
type setting func(toml.Primitive) error

// readSettingsFile sets the flags of c that are not on the command line to what stands in
// a file, and reads the file's tables, by their names, into what tables points to: structs,
// whose fields have the names of the keys. The error is a *usageError for what stands in the
// file, with the line, and a *settingsError where it cannot be read at all.
func readSettingsFile(c *ucli.Context, name string, tables map[string]any) error {
	file, err := os.Open(name)
	if err != nil {
		return &settingsError{fmt.Errorf("--config: %w", err), ""}
	}
	defer file.Close()
	text, err := settingsText(file)
	if err != nil {
		return &settingsError{fmt.Errorf("--config: %w", err), ""}
	}
	f := &settingsFile{name: name}
	if err := f.read(text, f.ofCommand(c.Command, tables)); err != nil {
		return err
	}
	s := configuredOf(c)
	maps.Copy(s.from, f.places)
	return s.apply(c, f.found)
}

// ofCommand is all that can stand in a file that is for one command alone.
func (f *settingsFile) ofCommand(c *ucli.Command, tables map[string]any) map[string]setting {
	f.shown = "securecall help " + c.Name + " shows"
	settings := f.flags("", c)
	for name, into := range tables {
		settings[name] = f.table(name, f.fields(name, reflect.ValueOf(into).Elem()))
	}
	return settings
}

// mostSettings is the size of a file of settings. The largest that anybody needs has a
// tenth of it; who has more has named something else by mistake.
const mostSettings = 1 << 16

func settingsText(file *os.File) (string, error) {
	b, err := io.ReadAll(io.LimitReader(file, mostSettings+1))
	if err == nil && len(b) > mostSettings {
		err = fmt.Errorf("%s is too large to be settings: they have room in %d KiB", file.Name(), mostSettings>>10)
	}
	return string(b), err
}

// read reads text, in which settings can stand.
func (f *settingsFile) read(text string, settings map[string]setting) (err error) {
	var values map[string]toml.Primitive
	if f.meta, err = toml.Decode(text, &values); err != nil {
		return f.noTOML(err)
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

// look is the value of a key, and its place.
func (f *settingsFile) look(p toml.Primitive) (value any, at toml.ParseError) {
	err := f.meta.PrimitiveDecode(p, looker(func(v any) { value = v }))
	errors.As(err, &at)
	return value, at
}

// A looker is handed a value by package toml, which tells the place of it in errors alone:
// so there always is one.
type looker func(value any)

// UnmarshalTOML is what package toml calls.
func (l looker) UnmarshalTOML(value any) error {
	l(value)
	return errLooked
}

var errLooked = errors.New("looked at")

// flags are the flags of c by their names, to stand in a table; "" is the top of the file.
func (f *settingsFile) flags(table string, c *ucli.Command) map[string]setting {
	settings := map[string]setting{}
	for _, flag := range c.Flags {
		name := flag.Names()[0]
		if !isSetting(flag) {
			f.alone = append(f.alone, within(table, name))
			continue
		}
		f.known = append(f.known, within(table, name))
		settings[name] = func(p toml.Primitive) error {
			v, at := f.look(p)
			text, ok := f.text(flag, v)
			if !ok {
				return f.wrong(at, takes(flag), f.shows(table)+" what each setting takes")
			}
			f.found = append(f.found, given{table, name, text, f.place(at)})
			return nil
		}
	}
	return settings
}

// table is the table path, with the keys that can stand in it.
func (f *settingsFile) table(path string, keys map[string]setting) setting {
	f.known = append(f.known, path)
	return func(p toml.Primitive) error {
		v, at := f.look(p)
		if _, ok := v.(map[string]any); !ok {
			return f.wrong(at, "is a table", f.shows(path)+" what can stand in it")
		}
		var values map[string]toml.Primitive
		if err := f.meta.PrimitiveDecode(p, &values); err != nil {
			return err
		}
		return f.all(path, values, keys)
	}
}

// fields are the fields of a struct by their names, to stand in the table path.
func (f *settingsFile) fields(path string, into reflect.Value) map[string]setting {
	keys := map[string]setting{}
	for name, value := range settingFields(into) {
		if value.Kind() == reflect.Struct && value.Type() != reflect.TypeFor[quota.Rate]() {
			keys[name] = f.table(within(path, name), f.fields(within(path, name), value))
			continue
		}
		f.known = append(f.known, within(path, name))
		keys[name] = func(p toml.Primitive) error {
			v, at := f.look(p)
			if err := setField(value.Addr().Interface(), v); err != nil {
				return f.wrong(at, err.Error(), f.shows(path)+" what each setting takes")
			}
			if f.places == nil {
				f.places = origins{}
			}
			f.places[strings.TrimPrefix(within(path, name), "rendezvous.")] = f.place(at)
			return nil
		}
	}
	return keys
}

// settingFields are the fields of a struct and those of the structs that it embeds, by
// their names in a file.
func settingFields(v reflect.Value) iter.Seq2[string, reflect.Value] {
	return func(yield func(string, reflect.Value) bool) {
		for _, field := range reflect.VisibleFields(v.Type()) {
			if !field.Anonymous && !yield(settingName(field.Name), v.FieldByIndex(field.Index)) {
				return
			}
		}
	}
}

// within is the full name of a key in a table.
func within(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
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
	} else {
		meant = within(table, meant)
	}
	hint := f.shows(table) + " which there are"
	switch {
	case slices.Contains(f.alone, within(table, key)):
		hint = "it can stand on the command line alone"
	case meant != "":
		hint = "did you mean " + meant + "? " + hint
	}
	return func(p toml.Primitive) error {
		_, at := f.look(p)
		return f.wrong(at, "is no setting", hint)
	}
}

// shows says who shows what can stand in a table: "securecall help dial shows".
func (f *settingsFile) shows(table string) string {
	switch {
	case table == "":
		return f.shown
	case slices.Contains(strings.Split(table, "."), "limits"):
		return "securecall config show rendezvous shows"
	}
	return "securecall help " + table + " shows"
}

// wrong is what is to be said of a key: "takes a string".
func (f *settingsFile) wrong(at toml.ParseError, what, hint string) error {
	return usagef(hint, "%s: %s %s", f.place(at), at.LastKey, what)
}

// noTOML is what is to be said of a file that is none. What the library says is left out:
// it repeats what stands there, which might be the secret of another program's file. It has
// one type for all errors; that a key stands there twice is only in the text.
func (f *settingsFile) noTOML(err error) error {
	var at toml.ParseError
	errors.As(err, &at)
	if key, twice := strings.CutPrefix(at.Message, "Key '"); twice {
		key, _, _ = strings.Cut(key, "' ")
		return usagef("leave one of them out", "%s: %s stands there twice", f.place(at), key)
	}
	return usagef(`it takes a line each, such as bind = "192.0.2.7" or no-tls = true`, "%s: that is no TOML", f.place(at))
}

// place is where at is; of a table that is only named on the way to another, there is no line.
func (f *settingsFile) place(at toml.ParseError) origin {
	return origin{file: f.name, line: at.Position.Line}
}

// A settingsError is a file of settings that cannot be read, or is not to be trusted.
type settingsError struct {
	err  error
	hint string
}

func (e *settingsError) Error() string { return e.err.Error() }
func (e *settingsError) Unwrap() error { return e.err }

// advice is what to do about it.
func (e *settingsError) advice() string {
	if e.hint != "" {
		return printable(e.hint)
	}
	return "it is a file of settings in TOML, that the user who runs this can read"
}
