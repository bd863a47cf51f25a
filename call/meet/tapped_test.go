package meet

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// A tap keeps every octet that comes and goes by the connections of a listener.
type tap struct {
	net.Listener
	mu  sync.Mutex
	all []*tapped
}

type tapped struct {
	net.Conn
	tap        *tap
	came, went bytes.Buffer
}

func (a *tap) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	one := &tapped{Conn: c, tap: a}
	a.all = append(a.all, one)
	return one, nil
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.came.Write(b[:n])
	return n, err
}

func (c *tapped) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.went.Write(b[:n])
	return n, err
}

// A talked is what one client and the meeting point have said to each other.
type talked struct {
	header       http.Header // of the request
	came, went   [][]byte    // the text of each WebSocket message
	raw, rawWent []byte      // all of it
}

func (a *tap) talked(t *testing.T) (all []talked) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.all {
		one := talked{raw: bytes.Clone(c.came.Bytes()), rawWent: bytes.Clone(c.went.Bytes())}
		up, down := bufio.NewReader(&c.came), bufio.NewReader(&c.went)
		request, err := http.ReadRequest(up)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(down, request); err != nil {
			t.Fatal(err)
		}
		one.header, one.came, one.went = request.Header, texts(t, up), texts(t, down)
		all = append(all, one)
	}
	return all
}

// texts are the messages of one direction. Whole frames of text are all that is said, and
// nothing extends them, as compression would (RFC 6455, Section 5.2).
func texts(t *testing.T, r io.Reader) (all [][]byte) {
	t.Helper()
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
			return all
		}
		if head[0] != 0x81 {
			t.Fatalf("a frame begins with %#x, and is no whole text", head[0])
		}
		length := uint16(head[1] & 0x7f)
		if length == 126 {
			_ = binary.Read(r, binary.BigEndian, &length)
		}
		var mask [4]byte
		if head[1]&0x80 != 0 {
			_, _ = io.ReadFull(r, mask[:])
		}
		b := make([]byte, length)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatalf("a frame is cut off: %v", err)
		}
		for i := range b {
			b[i] ^= mask[i%4]
		}
		all = append(all, b)
	}
}

// parsed is a message of the meeting point: its type and its fields.
func parsed(t *testing.T, b []byte) (kind string, fields map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if err := json.Unmarshal(fields["type"], &kind); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	delete(fields, "type")
	return kind, fields
}
