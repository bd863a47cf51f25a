package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"syscall"

	ucli "github.com/urfave/cli/v2"
)

// The user's file of settings: for every command, at the top and in a table of its own.

// userFile is its name, and whether somebody has named it, and so means that it is there;
// no name: there is no home folder to have it in.
func userFile() (name string, named bool) {
	if name := os.Getenv("SECURECALL_CONFIG"); name != "" {
		return name, true
	}
	dir, err := baseDir("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return "", false
	}
	return filepath.Join(dir, "securecall", "config.toml"), false
}

// readUserFile reads it, with the limits of a meeting point into l; nil: there is none.
func readUserFile(commands []*ucli.Command, l *limits) (*settingsFile, error) {
	name, named := userFile()
	if name == "" {
		return nil, nil
	}
	text, err := userText(name)
	switch {
	case err == nil:
	case !named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)): // a home of /dev/null, too
		return nil, nil
	default:
		return nil, err
	}
	f := &settingsFile{name: name}
	return f, f.read(text, f.ofUser(commands, l))
}

// ofUser is all that can stand there.
func (f *settingsFile) ofUser(commands []*ucli.Command, l *limits) map[string]setting {
	f.shown = "securecall help listen and securecall help dial show"
	tables, top := map[string]setting{}, map[string]setting{}
	for _, c := range commands {
		if !takesSettings(c.Name) {
			continue
		}
		keys := f.flags(c.Name, c)
		if c.Name == "rendezvous" {
			keys["limits"] = f.table("rendezvous.limits", f.fields("rendezvous.limits", reflect.ValueOf(l).Elem()))
		}
		tables[c.Name] = f.table(c.Name, keys)
	}
	for _, c := range commands {
		if c.Name == "listen" || c.Name == "dial" {
			maps.Copy(top, f.flags("", c))
		}
	}
	maps.Copy(top, tables)
	return top
}

func userText(name string) (text string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return "", unreadable(name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s is a folder", name)
	default:
		if err := trusted(info); err != nil {
			return "", &settingsError{fmt.Errorf("the settings in %s %w", name, err), "they can name commands to run, so nobody else may write them: chmod go-w " + name + ", or chown it"}
		}
		text, err = settingsText(file)
	}
	if err != nil {
		return "", unreadable(name, err)
	}
	return text, nil
}

// unreadable is what there is to say of a file that cannot be read.
func unreadable(name string, err error) error {
	hint := "SECURECALL_CONFIG names another file of settings; with /dev/null there is none"
	if errors.Is(err, fs.ErrPermission) {
		hint = fmt.Sprintf("let the user that runs this read it: chmod a+rx %s, and a+r the file; what is secret beside it needs a mode of its own, and no more", filepath.Dir(name))
	}
	return &settingsError{fmt.Errorf("the settings: %w", err), hint}
}
