package pake

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

func channels(t testing.TB) (a, b *Channel) {
	t.Helper()
	var k Keys
	rand.Read(k.Send[:])
	rand.Read(k.Receive[:])
	a, err := NewChannel(k)
	if err != nil {
		t.Fatal(err)
	}
	b, err = NewChannel(Keys{Send: k.Receive, Receive: k.Send})
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func seal(t testing.TB, c *Channel, plain string) []byte {
	t.Helper()
	sealed, err := c.Seal(nil, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func opens(t testing.TB, c *Channel, sealed []byte, want string) {
	t.Helper()
	if plain, err := c.Open(nil, sealed); err != nil || string(plain) != want {
		t.Errorf("%q, %v; want %q", plain, err, want)
	}
}

func fails(t testing.TB, c *Channel, sealed []byte, want error) {
	t.Helper()
	if plain, err := c.Open([]byte("before"), sealed); err != want || plain != nil {
		t.Errorf("%q, %v; want %v", plain, err, want)
	}
}

func TestChannel(t *testing.T) {
	a, b := channels(t)
	for _, plain := range []string{"candidate", "", "candidate", string(make([]byte, MaxPlain))} {
		sealed := seal(t, a, plain)
		if len(sealed) != len(plain)+Overhead {
			t.Errorf("%d bytes of %d", len(sealed), len(plain))
		}
		opens(t, b, sealed, plain)
		opens(t, a, seal(t, b, plain), plain)
	}
	got, err := a.Seal([]byte("before"), []byte("x"))
	if err != nil || !bytes.HasPrefix(got, []byte("before")) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = b.Open([]byte("before "), got[len("before"):]); err != nil || string(got) != "before x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := a.Seal(nil, make([]byte, MaxPlain+1)); err != ErrTooLong {
		t.Error(err)
	}
	opens(t, b, seal(t, a, "no number was used for it"), "no number was used for it")
}

// RFC 8439 with the number of the message as nonce.
func TestSealedForm(t *testing.T) {
	k := Keys{Send: [32]byte{1}}
	c, err := NewChannel(k)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.New(k.Send[:])
	if err != nil {
		t.Fatal(err)
	}
	for n := range byte(3) {
		want := aead.Seal([]byte{0, 0, 0, 0, 0, 0, 0, n}, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n}, []byte("x"), nil)
		if got := seal(t, c, "x"); !bytes.Equal(got, want) {
			t.Errorf("%x, want %x", got, want)
		}
	}
}

// A peer that seals more than it may.
func TestSealedTooLong(t *testing.T) {
	k := Keys{Receive: [32]byte{1}}
	c, err := NewChannel(k)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.New(k.Receive[:])
	if err != nil {
		t.Fatal(err)
	}
	number, nonce := make([]byte, numberSize), make([]byte, chacha20poly1305.NonceSize)
	fails(t, c, aead.Seal(number, nonce, make([]byte, MaxPlain+1), nil), ErrSealed)
	opens(t, c, aead.Seal(number, nonce, make([]byte, MaxPlain), nil), string(make([]byte, MaxPlain)))
}

// The same text twice gives nothing to see.
func TestSealedDiffer(t *testing.T) {
	a, b := channels(t)
	s := [][]byte{seal(t, a, "same"), seal(t, a, "same"), seal(t, b, "same")}
	for i := range s {
		for j := range i {
			if bytes.Equal(s[i][numberSize:], s[j][numberSize:]) {
				t.Error("two messages look the same")
			}
		}
	}
}

// Repeated, left out, swapped, sent back, under another number: refused, and the
// message that is due still opens.
func TestOrder(t *testing.T) {
	a, b := channels(t)
	one, two, three := seal(t, a, "1"), seal(t, a, "2"), seal(t, a, "3")
	fails(t, b, two, ErrGap)
	opens(t, b, one, "1")
	fails(t, b, one, ErrReplay)
	fails(t, b, three, ErrGap)
	renumbered := slices.Clone(one)
	renumbered[numberSize-1] = 1
	fails(t, b, renumbered, ErrSealed)
	early := slices.Clone(three)
	early[numberSize-1] = 1
	fails(t, b, early, ErrSealed)
	opens(t, b, two, "2")
	opens(t, b, three, "3")
	for _, m := range [][]byte{one, two, three} {
		fails(t, b, m, ErrReplay)
		if _, err := a.Open(nil, m); err == nil {
			t.Error("our own message opens")
		}
	}
	fails(t, a, one, ErrSealed) // reflected while the first of B is due
	opens(t, a, seal(t, b, "4"), "4")
}

func TestOtherKeys(t *testing.T) {
	a, b := channels(t)
	_, stranger := channels(t)
	m := seal(t, a, "x")
	fails(t, stranger, m, ErrSealed)
	opens(t, b, m, "x")
}

func TestSealedFlippedBits(t *testing.T) {
	a, b := channels(t)
	m := seal(t, a, "candidate")
	for bit := range 8 * len(m) {
		flipped := slices.Clone(m)
		flipped[bit/8] ^= 1 << (bit % 8)
		want := ErrSealed
		if bit < 8*numberSize {
			want = ErrGap
		}
		fails(t, b, flipped, want)
	}
	for n := range len(m) {
		want := ErrSealed
		fails(t, b, m[:n], want)
		fails(t, b, append(slices.Clone(m), m[:n+1]...), want)
	}
	fails(t, b, make([]byte, Overhead+MaxPlain+1), ErrSealed)
	opens(t, b, m, "candidate")
}

func TestChannelClose(t *testing.T) {
	a, b := channels(t)
	m := seal(t, b, "x")
	a.Close()
	if _, err := a.Seal(nil, nil); err != ErrClosed {
		t.Error(err)
	}
	fails(t, a, m, ErrClosed)
}

func BenchmarkChannel(b *testing.B) {
	from, to := channels(b)
	plain := make([]byte, 1000)
	var sealed, opened []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		var err error
		if sealed, err = from.Seal(sealed[:0], plain); err != nil {
			b.Fatal(err)
		}
		if opened, err = to.Open(opened[:0], sealed); err != nil {
			b.Fatal(err)
		}
	}
}
