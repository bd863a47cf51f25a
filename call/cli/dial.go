package cli

import (
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
	"securecall/crypto/callcode"
	"securecall/nat"
)

// Dial is the command dial.
func Dial() *ucli.Command {
	return &ucli.Command{
		Name:      "dial",
		Usage:     "call somebody",
		ArgsUsage: "PEER",
		UsageText: `securecall dial bob.example
securecall dial --bind :5004 203.0.113.9:5004      # and the other side the same, to here
securecall dial --via meet.example 48-harbor-violin-echo
securecall dial --via meet.example bob             # who was met there, or elsewhere, before
securecall dial 192.0.2.7:5004 --mic hello.wav --speaker answer.wav --hangup-at-eof
securecall dial --mic "exec:arecord -q -f S16_LE -r 8000 -c 1 -t raw" --speaker none bob.example`,
		Description: `PEER is the name of a contact, or host[:port] or [v6]:port, port 5004 if none is
given, or, with --via, a call code. A contact's name wins, then a code; host:, contact:
or code: in front says which is meant; without --via what looks like a code is refused. With --via a contact is called through the
meeting point, at which its listen --via waits.
Flags may stand before and after it. Two people who dial each other are in a call:
each --bind then has the port that the other one dials.`,
		Flags: callFlags("any free port",
			&ucli.DurationFlag{
				Name: "timeout", Value: 30 * time.Second, Usage: "give up if nobody has answered after `D`", DefaultText: "30s",
			},
			&ucli.StringFlag{Name: "name", Usage: "remember the other side as `NAME` once keys are agreed"},
		),
		Action: dial,
	}
}

func dial(c *ucli.Context) error {
	typed := c.Args().First()
	if all := strings.Join(c.Args().Slice(), " "); callcode.Looks(all) {
		typed = all // a code with spaces between its words
	} else if c.Args().Len() != 1 {
		return usagef("e.g. securecall dial bob.example, or securecall dial 192.0.2.7:5004",
			"dial takes one peer to call, and got %d", c.Args().Len())
	}
	s, err := readSettings(c)
	if err != nil {
		return err
	}
	if b := c.String("bind"); b != "" {
		if s.bind, err = parseBind(b, 0); err != nil {
			return err
		}
	}
	p, err := newPhone(s, false)
	if err != nil {
		return err
	}
	defer p.flush()
	q := newQueue()
	if err := s.openState(c, q); err != nil {
		return p.fail(err)
	}
	who, err := s.find(typed)
	if who.host != "" {
		s.direct()
	}
	if err == nil {
		err = s.named(c.String("name"))
	}
	if err == nil {
		err = s.checkDial(who)
	}
	if err == nil {
		err = s.records.check()
	}
	if err == nil {
		err = s.checkVia()
	}
	if err != nil {
		return p.fail(err)
	}
	if who.host == "" {
		// Better now than when a code is used up.
		if err := s.checkSound(); err != nil {
			return p.fail(err)
		}
		return p.run(c.Context, s.meets(q, p.tty != nil, who), q)
	}
	peers, err := p.lookup(c.Context, who.host)
	if err != nil {
		return p.fail(err)
	}
	path, peers, err := nat.Dial(c.Context, s.bind, peers...)
	if err != nil {
		return p.fail(err)
	}
	e, err := call.NewDialer(s.config(q, p.tty != nil), path, peers, typed)
	if err != nil {
		path.Close()
		return p.fail(err)
	}
	return p.run(c.Context, e, q)
}
