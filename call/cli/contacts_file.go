package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
	"securecall/crypto/zidcache"
)

// exportHead is the first line of an export. Lines that begin with # are
// comments, so that such a file can also be written by hand.
const exportHead = "# securecall contacts: ZID, name, address, with tabs between them; no secrets\n"

func exportContacts(_ *ucli.Context, cache *zidcache.Cache, _ []string) (string, error) {
	list, err := cache.List()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(exportHead)
	for _, r := range list {
		if r.Name != "" {
			fmt.Fprintf(&b, "%s\t%s\t%s\n", zidText(r.ZID), r.Name, r.Address)
		}
	}
	return b.String(), nil
}

// importContacts reads all lines before it writes anything: a file that is not
// understood changes nothing.
func importContacts(c *ucli.Context, cache *zidcache.Cache, args []string) (string, error) {
	list, err := readContactsFile(args)
	if err != nil {
		d := diagnosis{
			what:   "nothing was imported: " + printable(err.Error()),
			hint:   "contacts import reads what contacts export has written",
			status: int(call.ReasonNotPossible),
		}
		complain(c.App.ErrWriter, d)
		return "", exitStatus(d.status)
	}
	skipped, err := importAll(cache, list)
	if err != nil {
		return "", err
	}
	for _, s := range skipped {
		fmt.Fprintln(c.App.ErrWriter, s)
	}
	fmt.Fprintf(c.App.ErrWriter, "%d imported, %d skipped; nobody is verified by that\n", len(list)-len(skipped), len(skipped))
	return "", nil
}

// importAll writes down everybody or, with an error, nobody. It returns who was skipped, and
// why.
func importAll(cache *zidcache.Cache, list []zidcache.Record) (skipped []string, err error) {
	err = cache.Together(func(update zidcache.Updater) error {
		skipped = nil
		for _, r := range list {
			why, err := importContact(update, cache.ZID(), r)
			if err != nil {
				return err
			}
			if why != "" {
				skipped = append(skipped, fmt.Sprintf("skipped %s: %s", contactText(r), why))
			}
		}
		return nil
	})
	return skipped, err
}

func readContactsFile(args []string) ([]zidcache.Record, error) {
	if len(args) == 0 || args[0] == "-" {
		return readContacts(os.Stdin)
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := readContacts(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	return list, nil
}

// errSkip leaves a record as it is.
var errSkip = errors.New("skipped")

// importContact writes down the name and address of r, unless it says why not.
func importContact(update zidcache.Updater, own zidcache.ZID, r zidcache.Record) (skipped string, err error) {
	if r.ZID == own {
		return "it is this installation", nil
	}
	err = update(r.ZID, func(here *zidcache.Record) error {
		if here.Name != "" && here.Name != r.Name {
			skipped = "here its name is " + here.Name
			return errSkip
		}
		here.Name = r.Name
		here.Answered = true // the user wants to know it
		if here.Address == "" {
			here.Address = r.Address
		}
		return nil
	})
	var taken *zidcache.NameTakenError
	switch {
	case errors.Is(err, errSkip):
		return skipped, nil
	case errors.As(err, &taken):
		return "here that is the name of " + zidText(taken.ZID), nil
	}
	return "", err
}

// readContacts reads the lines of an export.
func readContacts(in io.Reader) ([]zidcache.Record, error) {
	var list []zidcache.Record
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := parseContact(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, r)
	}
	return list, lines.Err()
}

// parseContact reads ZID, name and, if there is one, address.
func parseContact(line string) (zidcache.Record, error) {
	f := strings.Split(line, "\t")
	if len(f) < 2 || len(f) > 3 {
		return zidcache.Record{}, errors.New("not ZID, name and address with tabs between them")
	}
	zid, ok := fullZID(f[0])
	if !ok {
		return zidcache.Record{}, fmt.Errorf("%q is no ZID of 24 digits", printable(f[0]))
	}
	r := zidcache.Record{ZID: zid, Name: f[1]}
	if len(f) == 3 {
		r.Address = f[2]
	}
	return r, errors.Join(checkImported(r.Name), zidcache.CheckAddress(r.Address))
}
