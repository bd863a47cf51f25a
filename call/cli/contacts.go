package cli

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/crypto/zidcache"
)

// Contacts is the command contacts.
func Contacts() *ucli.Command {
	return &ucli.Command{
		Name:      "contacts",
		Usage:     "the people that securecall knows",
		ArgsUsage: "list | show WHO | rename WHO NAME | verify --remove WHO | forget WHO | export | import [FILE]",
		UsageText: `securecall contacts list
securecall contacts rename c0ffee bob
securecall contacts verify --remove bob
securecall contacts export > contacts.txt`,
		Description: `WHO is a contact's name, or its ZID: 24 digits, or the first of them (at least 6)
if no other begins so. list writes a line a contact, with tabs between ZID, name,
address, first call, last call, verified when, and how; what there is not is "-".

Only a call can verify somebody; verify --remove takes it back. forget removes
all that is kept about a peer, the retained secrets too. export writes names,
ZIDs and addresses of those who have a name, and no secret; import reads that, from
stdin if there is no FILE, changes no name that is there, and verifies nobody.`,
		Flags: []ucli.Flag{
			toggle("json", "list, show: one object a line"),
			toggle("remove", "verify: take a verification away"),
			stateFlag(),
		},
		Action: contacts,
	}
}

// A contactsAction gets as many args as it takes and returns what belongs on
// stdout.
type contactsAction struct {
	name     string
	min, max int
	do       func(c *ucli.Context, cache *zidcache.Cache, args []string) (string, error)
}

func contactsActions() []contactsAction {
	return []contactsAction{
		{"list", 0, 0, listContacts},
		{"show", 1, 1, showContact},
		{"rename", 2, 2, renameContact},
		{"verify", 1, 1, verifyContact},
		{"forget", 1, 1, forgetContact},
		{"export", 0, 0, exportContacts},
		{"import", 0, 1, importContacts},
	}
}

func contacts(c *ucli.Context) error {
	const help = "securecall help contacts shows what it takes"
	if !c.Args().Present() {
		return usagef(help, "contacts needs to know what to do: list, show, rename, verify, forget, export or import")
	}
	name, args := c.Args().First(), c.Args().Tail()
	var names []string
	for _, a := range contactsActions() {
		names = append(names, a.name)
		if a.name != name {
			continue
		}
		switch {
		case len(args) < a.min || len(args) > a.max:
			return usagef(help, "contacts %s takes %s, and got %d", name, howMany(a.min, a.max), len(args))
		case onCommandLine(c, "json") && name != "list" && name != "show":
			return usagef(help, "contacts %s has no --json", name)
		case c.Bool("remove") && name != "verify":
			return usagef(help, "contacts %s has no --remove", name)
		}
		out, err := withState(c, func(cache *zidcache.Cache) (string, error) { return a.do(c, cache, args) })
		if err == nil {
			_, err = io.WriteString(c.App.Writer, out)
		}
		return err
	}
	return usagef(didYouMean("", name, names)+help, "contacts cannot %q", printable(name))
}

func howMany(least, most int) string {
	switch {
	case most == 0:
		return "no argument"
	case least == most && most == 1:
		return "one argument"
	case least == most:
		return fmt.Sprintf("%d arguments", most)
	}
	return "at most one argument"
}

// withState opens the state for f. What goes wrong with it is said here.
func withState(c *ucli.Context, f func(*zidcache.Cache) (string, error)) (out string, err error) {
	dir, err := stateDir(c)
	if err != nil {
		return "", err
	}
	cache, err := zidcache.Open(dir, func(aside string, why error) {
		complain(c.App.ErrWriter, stateDamaged(aside, why))
	})
	if err == nil {
		out, err = f(cache)
	}
	var usage *usageError
	var said exitStatus
	if err == nil || errors.As(err, &usage) || errors.As(err, &said) {
		return out, err
	}
	d := stateFailure(err)
	complain(c.App.ErrWriter, d)
	return "", exitStatus(d.status)
}

// resolve finds whom the user means: an exact name wins, then a ZID or the
// beginning of one. Strangers are nobody's contacts.
func resolve(cache *zidcache.Cache, who string) (zidcache.Record, error) {
	r, known, err := cache.Named(who)
	if known || err != nil {
		r.Wipe()
		return r, err
	}
	digits := strings.ToLower(who)
	if len(digits) < 6 || strings.Trim(digits, "0123456789abcdef") != "" {
		return zidcache.Record{}, nobody(who)
	}
	list, err := cache.List()
	if err != nil {
		return zidcache.Record{}, err
	}
	var found []zidcache.Record
	for _, r := range list {
		if strings.HasPrefix(zidText(r.ZID), digits) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return zidcache.Record{}, nobody(who)
	case 1:
		return found[0], nil
	}
	return zidcache.Record{}, usagef("give more digits", "%d ZIDs begin with %s", len(found), digits)
}

// checkName tells whether a person may give that name: one that reads like a ZID or an
// address would stand in the way of it.
func checkName(name string) error {
	_, notAddr := netip.ParseAddr(name)
	_, notAddrPort := netip.ParseAddrPort(name)
	if notAddr == nil || notAddrPort == nil {
		return errors.New("it looks like an address")
	}
	return checkImported(name)
}

// checkImported lets pass what an older export may have: a name like an address.
func checkImported(name string) error {
	if _, isZID := fullZID(name); isZID {
		return errors.New("it looks like a ZID")
	}
	return zidcache.CheckName(name)
}

func nobody(who string) error {
	return usagef("securecall contacts list shows whom there is", "there is no contact %q", printable(who))
}

func listContacts(c *ucli.Context, cache *zidcache.Cache, _ []string) (string, error) {
	list, err := cache.List()
	if err != nil {
		return "", err
	}
	if c.Bool("json") {
		var b strings.Builder
		for _, r := range list {
			b.WriteString(jsonLine(newJSONContact(r)))
		}
		return b.String(), nil
	}
	out, ok := c.App.Writer.(*results)
	return contactsText(list, ok && isTerminal(out.f)), nil
}

// contactsText is what scripts can read; for a terminal, in columns with headings.
func contactsText(list []zidcache.Record, columns bool) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	w := io.Writer(&b)
	if columns {
		w = t
		if len(list) > 0 {
			fmt.Fprintln(w, "ZID\tname\taddress\tfirst call\tlast call\tverified\thow")
		}
	}
	for _, r := range list {
		fields := []string{zidText(r.ZID), r.Name, r.Address, timeText(r.First), timeText(r.Last), timeText(r.Verified), r.How}
		for i, f := range fields {
			fields[i] = cmp.Or(f, "-")
		}
		fmt.Fprintln(w, strings.Join(fields, "\t"))
	}
	_ = t.Flush() // into memory
	return b.String()
}

func showContact(c *ucli.Context, cache *zidcache.Cache, args []string) (string, error) {
	found, err := resolve(cache, args[0])
	if err != nil {
		return "", err
	}
	r, known, err := cache.Lookup(found.ZID)
	defer r.Wipe()
	if err != nil || !known { // it may have been forgotten at this moment
		return "", cmp.Or(err, nobody(args[0]))
	}
	shown := jsonShown{newJSONContact(r), r.RS1 != nil || r.RS2 != nil, timeText(r.Expires)}
	if c.Bool("json") {
		return jsonLine(shown), nil
	}
	verified, secrets := "no", "none: the next call is like the first"
	if shown.Verified {
		verified = shown.VerifiedAt + ", " + shown.How
	}
	if shown.Secrets {
		secrets = "kept, to recognize the next call"
		if shown.Expires != "" {
			secrets += "; until " + shown.Expires
		}
	}
	var b strings.Builder
	for _, line := range [][2]string{
		{"zid", shown.ZID},
		{"name", shown.Name},
		{"address", shown.Address},
		{"first call", shown.First},
		{"last call", shown.Last},
		{"verified", verified},
		{"secrets", secrets},
	} {
		fmt.Fprintf(&b, "%s\t%s\n", line[0], cmp.Or(line[1], "-"))
	}
	return b.String(), nil
}

func renameContact(c *ucli.Context, cache *zidcache.Cache, args []string) (string, error) {
	if err := checkName(args[1]); err != nil {
		return "", usagef("choose another name", "%v", err)
	}
	r, err := resolve(cache, args[0])
	if err != nil {
		return "", err
	}
	err = cache.Update(r.ZID, func(r *zidcache.Record) error {
		r.Name = args[1]
		return nil
	})
	if errors.Is(err, zidcache.ErrNameTaken) {
		return "", usagef("choose another name, or rename or forget that one first", "%v", err)
	}
	if err == nil {
		fmt.Fprintf(c.App.ErrWriter, "%s is now %s\n", contactText(r), args[1])
	}
	return "", err
}

func verifyContact(c *ucli.Context, cache *zidcache.Cache, args []string) (string, error) {
	r, err := resolve(cache, args[0])
	if err != nil {
		return "", err
	}
	if !c.Bool("remove") {
		return "", usagef("call, press v, and type the words that the other side reads out; contacts verify --remove takes a verification away",
			"only a call can verify %s", contactText(r))
	}
	err = cache.Update(r.ZID, func(r *zidcache.Record) error {
		r.Verified, r.How = time.Time{}, ""
		return nil
	})
	if err == nil {
		fmt.Fprintf(c.App.ErrWriter, "%s is not verified any more\n", contactText(r))
	}
	return "", err
}

func forgetContact(c *ucli.Context, cache *zidcache.Cache, args []string) (string, error) {
	r, err := resolve(cache, args[0])
	if zid, full := fullZID(args[0]); err != nil && full {
		// A stranger too leaves a record, and may be forgotten.
		stranger, known, lookupErr := cache.Lookup(zid)
		stranger.Wipe()
		if known || lookupErr != nil {
			r, err = stranger, lookupErr
		}
	}
	if err != nil {
		return "", err
	}
	if err := cache.Forget(r.ZID); err != nil {
		return "", err
	}
	fmt.Fprintf(c.App.ErrWriter, "%s is forgotten, with all secrets\n", contactText(r))
	if r.Answered {
		fmt.Fprintf(c.App.ErrWriter, "their side still expects the old ones: in the next call it will warn of changed keys, or refuse it if nobody is there\n")
	}
	return "", nil
}

// contactText is how talk names a contact. What the state holds can be
// printed: zidcache lets nothing else in.
func contactText(r zidcache.Record) string {
	if r.Name == "" {
		return zidText(r.ZID)
	}
	return fmt.Sprintf("%s (%s)", r.Name, zidText(r.ZID))
}

func zidText(zid zidcache.ZID) string { return hex.EncodeToString(zid[:]) }

func fullZID(text string) (zid zidcache.ZID, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(zid) {
		return zid, false
	}
	return zidcache.ZID(b), true
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// A jsonContact is one line of contacts list --json. What there is not is
// empty.
type jsonContact struct {
	V          int    `json:"v"`
	ZID        string `json:"zid"`
	Name       string `json:"name"`
	Address    string `json:"address"`
	First      string `json:"first"` // RFC 3339, UTC
	Last       string `json:"last"`
	Verified   bool   `json:"verified"`
	VerifiedAt string `json:"verified_at"`
	How        string `json:"how"` // typed, via
}

// A jsonShown is the line of contacts show --json.
type jsonShown struct {
	jsonContact
	Secrets bool   `json:"secrets"` // there are retained secrets
	Expires string `json:"expires"` // empty: they never end
}

func newJSONContact(r zidcache.Record) jsonContact {
	return jsonContact{
		jsonVersion, zidText(r.ZID), r.Name, r.Address, timeText(r.First), timeText(r.Last),
		!r.Verified.IsZero(), timeText(r.Verified), r.How,
	}
}

// jsonLine is a line of --json: of strings and bools, with which nothing can
// go wrong.
func jsonLine(v any) string {
	b, _ := encoded(v)
	return string(b)
}
