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
	stream *stream       // of conn
	in     *bufio.Reader // of stream: a header and its sound in one read
	writes sync.Mutex
	sound  []byte // a message of ours

	request []byte // what the library has written of one so far

	mu sync.Mutex
	handlers
	err error // what lost was or would have been told

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
		c := &pulseConn{conn: conn, stream: newStream(conn)}
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
			addrs = append(addrs, network+":"+withPort(address))
		case s != "":
			addrs = append(addrs, "tcp:"+withPort(s))
		}
	}
	return addrs
}

// withPort is an address with the usual port, where it has none.
func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return net.JoinHostPort(strings.Trim(address, "[]"), pulsePort)
	}
	return address
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

// handlers are told what comes in; nil: nobody is.
type handlers struct {
	data func([]byte) // sound that was recorded
	want func(int)    // octets that the server has room for
	dry  func()       // it had nothing to play
	lost func(error)
}

// serve names who is told what comes in. It is called once, before the first
// stream is created.
func (c *pulseConn) serve(h handlers) {
	c.mu.Lock()
	c.handlers = h
	err := c.err
	c.mu.Unlock()
	if err != nil {
		h.lost(err)
	}
}

// receive is called by the library for what it has read.
func (c *pulseConn) receive(message any) {
	switch message.(type) {
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
		c.in, c.buf = bufio.NewReader(c.stream), make([]byte, 1<<12)
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
	if message := c.buf[:total]; !c.takeSound(message) && ours(message) {
		c.message.Reset(message)
	}
	return nil
}

// takeSound takes what comes many times a second, recorded sound and the
// server's wish for more to play, past the library, which would allocate it; and
// the news that it had none, which the library does not pass on.
func (c *pulseConn) takeSound(message []byte) bool {
	c.mu.Lock()
	data, want, dry := c.data, c.want, c.dry
	c.mu.Unlock()
	body := message[pulseHeader:]
	switch {
	case binary.BigEndian.Uint32(message[4:]) != pulseControl:
		if data != nil {
			data(body)
		}
		return true
	case len(body) == 20 && binary.BigEndian.Uint32(body[1:]) == proto.OpRequest:
		// Each number has an octet for its type before it: kind, number of the
		// message, stream, octets wanted.
		if want != nil {
			want(int(min(binary.BigEndian.Uint32(body[16:]), pulseMost)))
		}
		return true
	case len(body) >= 5 && binary.BigEndian.Uint32(body[1:]) == proto.OpUnderflow:
		if dry != nil {
			dry()
		}
		return true
	}
	return false
}

// ours tells whether a message is an answer or news of a stream. It begins with
// its kind and with a number.
func ours(message []byte) bool {
	if len(message) < pulseHeader+10 {
		return false
	}
	switch binary.BigEndian.Uint32(message[pulseHeader+1:]) {
	case proto.OpError, proto.OpReply, proto.OpPlaybackStreamKilled, proto.OpRecordStreamKilled:
		return true
	}
	return false
}

// Write is for the library, which writes a request's header and body one by one: they
// are sent in one piece, or sound could come between them.
func (c *pulseConn) Write(p []byte) (int, error) {
	if c.request = append(c.request, p...); len(c.request) <= pulseHeader {
		return len(p), nil
	}
	_, err := c.send(c.request)
	c.request = c.request[:0]
	return len(p), err
}

// send does not wait for a server that hangs.
func (c *pulseConn) send(p []byte) (int, error) {
	c.writes.Lock()
	defer c.writes.Unlock()
	n := c.stream.tryWrite(p)
	if n == len(p) {
		return n, nil
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(pulseTimeout))
	more, err := c.conn.Write(p[n:])
	if err != nil {
		c.fail(errors.New("the sound server does not answer"))
	}
	return n + more, err
}

var zeros [pulseHeader - 8]byte // where in the stream: at its end

// play sends sound to a stream, header and sound in one piece. One goroutine at a time
// plays.
func (c *pulseConn) play(index uint32, pcm []byte) error {
	c.sound = binary.BigEndian.AppendUint32(c.sound[:0], uint32(len(pcm)))
	c.sound = binary.BigEndian.AppendUint32(c.sound, index)
	c.sound = append(c.sound, zeros[:]...)
	c.sound = append(c.sound, pcm...)
	_, err := c.send(c.sound)
	return err
}
