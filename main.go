// Securecall makes encrypted calls from a terminal: ZRTP (RFC 6189) in the
// media path, SRTP, G.711, straight from one machine to the other.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"securecall/call/cli"
)

func main() {
	// Caught, and never read: a write to a closed pipe then fails instead of
	// ending us before we have hung up; and a terminal that is closed has its shell send a
	// SIGHUP, and sends one itself a moment later. Programs that we start keep the default.
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(unread, syscall.SIGHUP)
	}

	// A call is a packet every 20 ms: a second processor would spend more on
	// waking up than it could help (docs/notes/one-processor.md).
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}

	ctx, stop := signal.NotifyContext(context.Background(), ending()...)
	context.AfterFunc(ctx, stop) // a second interrupt ends us at once
	if cli.Brief(os.Args) {
		context.AfterFunc(ctx, func() { os.Exit(cli.Interrupted) }) // a first one too: it may be reading
	}
	os.Exit(cli.Run(ctx, os.Args,
		cli.Listen(),
		cli.Dial(),
		cli.Demo(),
		cli.Contacts(),
		cli.Ctl(),
		cli.Devices(),
		cli.Doctor(),
		cli.Rendezvous(),
		cli.Config(),
		cli.Completion(),
		cli.Man(),
		cli.Version(),
		cli.Help(),
		cli.Complete(),
	))
}

// ending are the signals that hang up: an interrupt, a polite kill, and the
// closing of the terminal, unless nohup said that it should not matter
// or there is none, and the command takes that signal for another wish.
func ending() []os.Signal {
	s := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) && !cli.Rereads(os.Args) {
		s = append(s, syscall.SIGHUP)
	}
	return s
}
