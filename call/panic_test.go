package call

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"securecall/audio"
	"securecall/nat/memnet"
)

// rotten is a speaker whose driver has a bug.
type rotten struct{}

func (rotten) WriteFrame(audio.Frame) error { panic("the driver's bug") }
func (rotten) Close() error                 { return nil }

// A bug must not leave the terminal raw: whoever made it so is told before the
// program dies. It dies in a process of its own here.
func TestBeforePanic(t *testing.T) {
	if os.Getenv("SECURECALL_TEST_PANICS") != "" {
		dieOfADriver(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBeforePanic$")
	cmd.Env = append(os.Environ(), "SECURECALL_TEST_PANICS=1")
	out, err := cmd.CombinedOutput()
	restored, bug := strings.Index(string(out), "the terminal is restored"), strings.Index(string(out), "panic: the driver's bug")
	if err == nil || restored < 0 || bug < restored {
		t.Errorf("%v:\n%s", err, out)
	}
}

func dieOfADriver(t *testing.T) {
	w := newWorld(t, 1)
	w.net = memnet.New(1)
	w.alice.conf.Speaker = func() (audio.Sink, error) { return rotten{}, nil }
	w.listen()
	e, err := NewDialer(w.alice.conf, w.net.Path(netip.MustParseAddrPort("192.0.2.1:5004")), []netip.AddrPort{w.bob.addr}, "bob")
	if err != nil {
		t.Fatal(err)
	}
	e.BeforePanic(func() { fmt.Println("the terminal is restored") })
	e.Run(t.Context())
}
