package device

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jfreymuth/pulse/proto"
)

const (
	pulseTimeout = time.Second // of one request, and of one write
	pulseHeader  = 20          // octets before each message: its length, its stream, and more
	pulseControl = 0xffffffff  // the stream of what is no sound
	pulseLargest = 1 << 20     // octets of a message; a list of devices is a few thousand
	pulseLongest = 256         // octets of a device's name
	pulseCookie  = 256         // octets of the key to the server
	pulsePort    = "4713"
)

// errNoServer is why there is no connection where nothing listens.
var errNoServer = errors.New("no PulseAudio or PipeWire server")

// A pulseConn is a connection to a PulseAudio server (or PipeWire's), used for
// one stream. The library's own client would do, but for servers that end in
// mid-request.
type pulseConn struct {
	client *proto.Client
	conn   net.Conn
	in     *bufio.Reader // of conn: a header and its sound in one read

	mu   sync.Mutex
	data func([]byte) // sound that was recorded
	want func(int)    // octets that the server has room for
	lost func(error)
	err  error // what lost was or would have been told

	message bytes.Reader // what Read gives: one whole message
	buf     []byte
}

// dialPulse connects to the server that the environment names, or else to the
// user's own. Where none answers, the error is errNoServer.
func dialPulse() (*pulseConn, error) {
	failure := errNoServer
	for _, addr := range pulseAddrs() {
		network, address, _ := strings.Cut(addr, ":")
		conn, err := net.DialTimeout(network, address, pulseTimeout)
		if err != nil {
			continue
		}
		c := &pulseConn{conn: conn}
		if err = c.greet(); err == nil {
			return c, nil
		}
		c.close()
		failure = fmt.Errorf("the sound server refuses: %w", err)
	}
	return nil, failure
}

// pulseAddrs returns where servers may be, as network:address. In PULSE_SERVER
// servers are separated by spaces, each with the {host} it is meant for in
// front.
func pulseAddrs() []string {
	named, ok := os.LookupEnv("PULSE_SERVER")
	if !ok {
		if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
			return nil
		}
		dirs := []string{os.Getenv("PULSE_RUNTIME_PATH")}
		if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
			dirs = append(dirs, filepath.Join(dir, "pulse"))
		} else {
			dirs = append(dirs, fmt.Sprintf("/run/user/%d/pulse", os.Getuid()))
		}
		var addrs []string
		for _, dir := range append(dirs, "/run/pulse") {
			if dir != "" {
				addrs = append(addrs, "unix:"+filepath.Join(dir, "native"))
			}
		}
		return addrs
	}
	host, _ := os.Hostname()
	var addrs []string
	for _, s := range strings.Fields(named) {
		if s[0] == '{' {
			machine, rest, closed := strings.Cut(s[1:], "}")
			if !closed || machine != host {
				continue
			}
			s = rest
		}
		network, address, cut := strings.Cut(s, ":")
		switch {
		case strings.HasPrefix(s, "/"):
			addrs = append(addrs, "unix:"+s)
		case cut && network == "unix":
			addrs = append(addrs, s)
		case cut && (network == "tcp" || network == "tcp4" || network == "tcp6"):
			if _, _, err := net.SplitHostPort(address); err != nil {
				address = net.JoinHostPort(strings.Trim(address, "[]"), pulsePort)
			}
			addrs = append(addrs, network+":"+address)
		case s != "":
			addrs = append(addrs, "tcp:"+net.JoinHostPort(s, pulsePort))
		}
	}
	return addrs
}

// greet begins the conversation.
func (c *pulseConn) greet() error {
	c.client = &proto.Client{Callback: c.receive}
	c.client.SetTimeout(pulseTimeout)
	c.client.Open(c)

	path := os.Getenv("PULSE_COOKIE")
	if path == "" {
		config, err := os.UserConfigDir()
		if err == nil {
			path = filepath.Join(config, "pulse", "cookie")
		}
	}
	cookie, err := os.ReadFile(path)
	if err != nil || len(cookie) != pulseCookie {
		cookie = make([]byte, pulseCookie) // enough where a server knows us by our user id
	}
	auth := proto.AuthReply{}
	if err := c.client.Request(&proto.Auth{Version: c.client.Version(), Cookie: cookie}, &auth); err != nil {
		return err
	}
	c.client.SetVersion(auth.Version)
	name := proto.SetClientName{Props: proto.PropList{"application.name": proto.PropListString("securecall")}}
	return c.client.Request(&name, &proto.SetClientNameReply{})
}

// serve names who is told what comes in. It is called once, before the first
// stream is created.
func (c *pulseConn) serve(data func([]byte), want func(int), lost func(error)) {
	c.mu.Lock()
	c.data, c.want, c.lost = data, want, lost
	err := c.err
	c.mu.Unlock()
	if err != nil {
		lost(err)
	}
}

// receive is called by the goroutine that reads the connection.
func (c *pulseConn) receive(message any) {
	c.mu.Lock()
	data, want := c.data, c.want
	c.mu.Unlock()
	switch m := message.(type) {
	case *proto.DataPacket:
		if data != nil {
			data(m.Data)
		}
	case *proto.Request:
		if want != nil {
			want(int(m.Length))
		}
	case *proto.PlaybackStreamKilled, *proto.RecordStreamKilled:
		c.fail(errGone)
	}
}

// fail tells that there will be no more sound.
func (c *pulseConn) fail(err error) {
	c.mu.Lock()
	lost := c.lost
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	if lost != nil {
		lost(err)
	}
}

func (c *pulseConn) close() { _ = c.conn.Close() }

// Read gives the library only whole messages, and of those only what we have a
// use for: it would not survive one that a dying server has begun, and prints
// what it does not know.
func (c *pulseConn) Read(p []byte) (int, error) {
	for c.message.Len() == 0 {
		if err := c.readMessage(); err != nil {
			c.fail(errors.New("the sound server has ended"))
			return 0, err
		}
	}
	return c.message.Read(p)
}

func (c *pulseConn) readMessage() error {
	if c.in == nil {
		c.in, c.buf = bufio.NewReader(c.conn), make([]byte, 1<<12)
	}
	if _, err := io.ReadFull(c.in, c.buf[:pulseHeader]); err != nil {
		return io.EOF
	}
	size := binary.BigEndian.Uint32(c.buf)
	if size > pulseLargest {
		return io.EOF
	}
	total := pulseHeader + int(size)
	if total > len(c.buf) {
		c.buf = append(c.buf[:pulseHeader], make([]byte, size)...)
	}
	if _, err := io.ReadFull(c.in, c.buf[pulseHeader:total]); err != nil {
		return io.EOF
	}
	if ours(c.buf[:total]) {
		c.message.Reset(c.buf[:total])
	}
	return nil
}

// ours tells whether a message is sound, an answer, or news of a stream. Those
// that are no sound begin with their kind and with a number.
func ours(message []byte) bool {
	if binary.BigEndian.Uint32(message[4:]) != pulseControl {
		return true
	}
	if len(message) < pulseHeader+10 {
		return false
	}
	switch binary.BigEndian.Uint32(message[pulseHeader+1:]) {
	case proto.OpError, proto.OpReply, proto.OpRequest, proto.OpPlaybackStreamKilled, proto.OpRecordStreamKilled:
		return true
	}
	return false
}

// Write does not wait for a server that hangs.
func (c *pulseConn) Write(p []byte) (int, error) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(pulseTimeout))
	n, err := c.conn.Write(p)
	if err != nil {
		c.fail(errors.New("the sound server does not answer"))
	}
	return n, err
}
