package device

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPulseAddrs(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for server, want := range map[string][]string{
		"":                              nil,
		"/run/pulse":                    {"unix:/run/pulse"},
		"unix:/a tcp:h:5 {":             {"unix:/a", "tcp:h:5"},
		"tcp:h tcp6:[::1] tcp4:1.2.3.4": {"tcp:h:4713", "tcp6:[::1]:4713", "tcp4:1.2.3.4:4713"},
		"box":                           {"tcp:box:4713"},
		"192.0.2.1:4714 [::1]:4715 ::1": {"tcp:192.0.2.1:4714", "tcp:[::1]:4715", "tcp:[::1]:4713"},
		"{elsewhere!}unix:/a {" + host + "}unix:/b {" + host + "}": {"unix:/b"},
	} {
		t.Setenv("PULSE_SERVER", server)
		if got := pulseAddrs(); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", server, got, want)
		}
	}
}

// A server that ends, lies about a length or says nothing refuses us, and does
// nothing worse.
func TestPulseServerIsHostile(t *testing.T) {
	header := func(size uint32) []byte {
		b := binary.BigEndian.AppendUint32(nil, size)
		return append(binary.BigEndian.AppendUint32(b, 0xffffffff), make([]byte, 12)...)
	}
	for name, answer := range map[string][]byte{
		"ends":          nil,
		"half a header": header(0)[:7],
		"cut":           append(header(100), "L\x00\x00"...),
		"too long":      header(0xfffffff0),
		"empty":         append(header(0), header(0)...),
		"not for us":    append(header(10), "L\x00\x00\x00\x02L\x00\x00\x00\x09"...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "native")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			served := make(chan struct{})
			go func() {
				defer close(served)
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					io.ReadFull(conn, make([]byte, pulseHeader))
					conn.Write(answer)
					conn.(*net.UnixConn).CloseWrite()
					io.Copy(io.Discard, conn)
					conn.Close()
				}
			}()
			t.Setenv("PULSE_SERVER", "unix:"+path)
			_, err = openPulseSource("default", Options{})
			if err == nil || errors.Is(err, errNoServer) {
				t.Errorf("opening: %v", err)
			}
			l.Close()
			<-served
		})
	}
}

func TestPulseNames(t *testing.T) {
	t.Setenv("PULSE_SINK", "")
	if name, err := pulseName("default", "PULSE_SINK"); name != "" || err != nil {
		t.Errorf("default is %q, %v", name, err)
	}
	t.Setenv("PULSE_SINK", "desk")
	if name, err := pulseName("default", "PULSE_SINK"); name != "desk" || err != nil {
		t.Errorf("default is %q, %v, where PULSE_SINK is desk", name, err)
	}
	if name, err := pulseName("headset", "PULSE_SINK"); name != "headset" || err != nil {
		t.Errorf("headset is %q, %v", name, err)
	}
	// The library cannot write more than a kilobyte at once.
	if _, err := pulseName(string(make([]byte, 2000)), "PULSE_SINK"); err == nil {
		t.Error("a name of 2000 octets is taken")
	}
}
