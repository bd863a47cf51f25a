package pake

import (
	"bytes"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
)

const code = "48-harbor-violin-echo"

var names = Context{A: "dials", B: "waits", AAD: "test mailbox 48"}

func exchange(t testing.TB, role Role, code string, c Context) *Exchange {
	t.Helper()
	e, err := New(role, code, c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func pair(t testing.TB) (a, b *Exchange) {
	return exchange(t, A, code, names), exchange(t, B, code, names)
}

func next(t testing.TB, e *Exchange) []byte {
	t.Helper()
	m, ok := e.NextMessage()
	if !ok {
		t.Fatalf("%v has nothing to send", e)
	}
	return m
}

func deliver(t testing.TB, from, to *Exchange) {
	t.Helper()
	if err := to.Receive(next(t, from)); err != nil {
		t.Fatalf("%v: %v", to, err)
	}
}

func silent(t testing.TB, e *Exchange) {
	t.Helper()
	if m, ok := e.NextMessage(); ok {
		t.Fatalf("%v sends %x", e, m)
	}
}

// same checks that both have finished with keys of one exchange.
func same(t testing.TB, a, b *Exchange) {
	t.Helper()
	ka, err := a.Keys()
	if err != nil {
		t.Fatal(err)
	}
	kb, err := b.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if ka.Send != kb.Receive || ka.Receive != kb.Send || ka.Auxiliary != kb.Auxiliary || ka.Again != kb.Again {
		t.Error("the keys differ")
	}
	if ka.Send == ka.Receive || ka.Send == ka.Auxiliary || ka.Receive == ka.Auxiliary || ka.Again == ka.Auxiliary || ka.Again == ka.Send {
		t.Error("two keys are the same")
	}
	silent(t, a)
	silent(t, b)
}

// refused checks that e gives no key and no message, nothing but ErrCode, and has
// no secret left.
func refused(t testing.TB, e *Exchange) {
	t.Helper()
	if k, err := e.Keys(); err != ErrCode || k != (Keys{}) {
		t.Errorf("%v: keys %v", e, err)
	}
	silent(t, e)
	for _, m := range [][]byte{nil, {1}, kind(1).message(make([]byte, pointSize)), confirmOf(e.role.peer()).message(make([]byte, confirmSize))} {
		if err := e.Receive(m); err != ErrCode {
			t.Errorf("%v: %x: %v", e, m, err)
		}
	}
	if e.w != (scalar{}) || e.x != (scalar{}) || e.schedule != (schedule{}) {
		t.Errorf("%v keeps secrets", e)
	}
	if !e.Spent() {
		t.Errorf("%v: the code is not spent", e)
	}
}

func TestExchange(t *testing.T) {
	for _, bFirst := range []bool{false, true} {
		a, b := pair(t)
		if bFirst {
			deliver(t, b, a)
			deliver(t, a, b)
		} else {
			deliver(t, a, b)
			silent(t, a)
			deliver(t, b, a)
		}
		// B says nothing that depends on the code before A has.
		silent(t, b)
		if b.Spent() || !a.Spent() {
			t.Error("A's guess is made, B has not heard it yet")
		}
		if _, err := b.Keys(); err != ErrUnfinished {
			t.Errorf("keys of B before A confirmed: %v", err)
		}
		deliver(t, a, b)
		if _, err := a.Keys(); err != ErrUnfinished {
			t.Errorf("keys of A before B confirmed: %v", err)
		}
		deliver(t, b, a)
		same(t, a, b)
		if !a.Spent() || !b.Spent() {
			t.Error("the code is not spent")
		}
	}
}

func TestFreshKeys(t *testing.T) {
	var seen []Keys
	for range 2 {
		a, b := pair(t)
		deliver(t, a, b)
		deliver(t, b, a)
		deliver(t, a, b)
		k, err := b.Keys()
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, k)
	}
	if seen[0].Auxiliary == seen[1].Auxiliary || seen[0].Send == seen[1].Send || seen[0].Receive == seen[1].Receive {
		t.Error("two exchanges with the same keys")
	}
}

// Another code, another name or another context: B says so at A's confirmation
// and has not sent anything by which A could tell.
func TestWrongCode(t *testing.T) {
	for name, wrong := range map[string]struct {
		code    string
		context Context
	}{
		"word":    {"48-harbor-violin-eclipse", names},
		"number":  {"49-harbor-violin-echo", names},
		"case":    {"48-Harbor-violin-echo", names},
		"order":   {"48-violin-harbor-echo", names},
		"space":   {code + " ", names},
		"A":       {code, Context{"dial", names.B, names.AAD}},
		"B":       {code, Context{names.A, "wait", names.AAD}},
		"swapped": {code, Context{names.B, names.A, names.AAD}},
		"border":  {code, Context{names.A + names.B[:1], names.B[1:], names.AAD}},
		"AAD":     {code, Context{names.A, names.B, names.AAD + "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := exchange(t, A, wrong.code, wrong.context), exchange(t, B, code, names)
			deliver(t, a, b)
			deliver(t, b, a)
			if err := b.Receive(next(t, a)); err != ErrCode {
				t.Errorf("A's confirmation: %v", err)
			}
			refused(t, b)
			if _, err := a.Keys(); err != ErrUnfinished {
				t.Errorf("A has keys: %v", err)
			}
			silent(t, a)
		})
	}
}

// Somebody who answers in B's place gets A's confirmation and has none to give.
func TestWrongAnswer(t *testing.T) {
	a, mallory := exchange(t, A, code, names), exchange(t, B, "48-harbor-violin-eclipse", names)
	deliver(t, a, mallory)
	deliver(t, mallory, a)
	if err := mallory.Receive(next(t, a)); err != ErrCode {
		t.Error(err)
	}
	mac := mallory.schedule.confirm(B)
	if err := a.Receive(confirmB.message(mac[:])); err != ErrCode {
		t.Error(err)
	}
	refused(t, a)
}

// Somebody in between with an exchange on each side, and a guess for each.
func TestBetween(t *testing.T) {
	a, b := pair(t)
	toA, toB := exchange(t, B, "48-acorn-acorn-acorn", names), exchange(t, A, "48-acorn-acorn-acorn", names)
	deliver(t, a, toA)
	deliver(t, b, toB)
	deliver(t, toA, a)
	deliver(t, toB, b)
	confirmation := next(t, a)
	if err := b.Receive(confirmation); err != ErrCode {
		t.Errorf("A's confirmation handed on: %v", err)
	}
	refused(t, b)
	if err := a.Receive(confirmB.message(confirmation[1:])); err != ErrCode {
		t.Errorf("A's confirmation sent back as B's: %v", err)
	}
	refused(t, a)
}

// Our own messages come back, as they are and as the peer's. Nothing comes of it,
// and the exchange still ends well; but a confirmation that is none ends it.
func TestReflection(t *testing.T) {
	a, b := pair(t)
	shares := map[*Exchange][]byte{a: next(t, a), b: next(t, b)}
	for e, m := range shares {
		if err := e.Receive(m); err != ErrReflected {
			t.Errorf("%v: own share: %v", e, err)
		}
		if err := e.Receive(shareOf(e.role.peer()).message(m[1:])); err != ErrReflected {
			t.Errorf("%v: own share under the peer's kind: %v", e, err)
		}
	}
	if err := a.Receive(shares[b]); err != nil {
		t.Fatal(err)
	}
	if err := b.Receive(shares[a]); err != nil {
		t.Fatal(err)
	}
	confirmation := next(t, a)
	if err := a.Receive(confirmation); err != ErrReflected {
		t.Errorf("own confirmation: %v", err)
	}
	if err := b.Receive(confirmation); err != nil {
		t.Fatal(err)
	}
	deliver(t, b, a)
	same(t, a, b)

	a, b = pair(t)
	deliver(t, b, a)
	next(t, a)
	if err := a.Receive(confirmB.message(next(t, a)[1:])); err != ErrCode {
		t.Errorf("own confirmation under the peer's kind: %v", err)
	}
	refused(t, a)
}

// What is no point of the curve, or not written as one has to be, is refused and
// changes nothing.
func TestPoints(t *testing.T) {
	good := elliptic.P256().Params()
	point := func(first byte, x, y *big.Int) []byte {
		b := append([]byte{first}, make([]byte, 64)...)
		x.FillBytes(b[1:33])
		y.FillBytes(b[33:])
		return b
	}
	zero, one := new(big.Int), big.NewInt(1)
	minusY := new(big.Int).Sub(good.P, good.Gy)
	bad := map[string][]byte{
		"infinity":                  {0},
		"infinity, long":            make([]byte, pointSize),
		"infinity, as a point":      point(4, zero, zero),
		"not on the curve":          point(4, good.Gx, new(big.Int).Xor(good.Gy, one)),
		"of the twist":              point(4, big.NewInt(1), one),
		"x not below the prime":     point(4, new(big.Int).Add(good.P, big.NewInt(5)), good.Gy),
		"y not below the prime":     point(4, big.NewInt(5), good.P),
		"compressed":                append([]byte{3}, point(4, good.Gx, zero)[1:33]...),
		"hybrid":                    point(6|byte(good.Gy.Bit(0)), good.Gx, good.Gy),
		"compressed, in full":       point(2|byte(good.Gy.Bit(0)), good.Gx, good.Gy),
		"other y under hybrid mark": point(6|byte(minusY.Bit(0)), good.Gx, minusY),
	}
	a, b := pair(t)
	for name, share := range bad {
		for _, e := range []*Exchange{a, b} {
			if err := e.Receive(shareOf(e.role.peer()).message(share)); err != ErrMalformed {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	deliver(t, a, b)
	deliver(t, b, a)
	deliver(t, a, b)
	deliver(t, b, a)
	same(t, a, b)
	// The generator itself is a point like any other.
	a, _ = pair(t)
	if err := a.Receive(shareB.message(point(4, good.Gx, good.Gy))); err != nil {
		t.Error(err)
	}
}

// A share that is the mask alone makes K the point at infinity.
func TestMaskAlone(t *testing.T) {
	w, err := hashToScalar(code)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []Role{A, B} {
		e := exchange(t, role, code, names)
		next(t, e)
		if err := e.Receive(shareOf(role.peer()).message(w.times(constant(role.peer())).Bytes())); err != ErrCode {
			t.Error(err)
		}
		refused(t, e)
	}
}

// What is not due is refused, however right it is, and changes nothing.
func TestUnexpected(t *testing.T) {
	a, b := pair(t)
	other, _ := pair(t)
	shareOther := next(t, other)
	confirm := confirmB.message(make([]byte, confirmSize))
	if err := a.Receive(confirm); err != ErrUnexpected {
		t.Errorf("a confirmation before the share: %v", err)
	}
	mA, mB := next(t, a), next(t, b)
	for _, step := range []struct {
		to      *Exchange
		message []byte
		want    error
	}{
		{a, mB, nil},
		{a, mB, ErrUnexpected},
		{b, mA, nil},
		{b, mA, ErrUnexpected},
		{b, shareOther, ErrUnexpected}, // of somebody else who dials
	} {
		if err := step.to.Receive(step.message); err != step.want {
			t.Errorf("%v, %x: %v, want %v", step.to, step.message[0], err, step.want)
		}
	}
	cA := next(t, a)
	if err := b.Receive(cA); err != nil {
		t.Fatal(err)
	}
	for _, m := range [][]byte{cA, mA, confirmA.message(make([]byte, confirmSize))} {
		if err := b.Receive(m); err != ErrUnexpected {
			t.Errorf("%x after the end: %v", m[0], err)
		}
	}
	deliver(t, b, a)
	if err := a.Receive(confirm); err != ErrUnexpected {
		t.Errorf("a wrong confirmation after the right one: %v", err)
	}
	same(t, a, b)
}

// Every bit of every message, turned on its way: no key at the side that gets it.
func TestFlippedBits(t *testing.T) {
	for which := range 4 {
		for bit := 0; ; bit++ {
			a, b := pair(t)
			from, to := []*Exchange{a, b}, []*Exchange{b, a}
			for i := range which {
				deliver(t, from[i%2], to[i%2])
			}
			m := slices.Clone(next(t, from[which%2]))
			if bit == 8*len(m) {
				break
			}
			m[bit/8] ^= 1 << (bit % 8)
			e := to[which%2]
			err := e.Receive(m)
			switch {
			case which >= 2 && bit >= 8:
				if err != ErrCode {
					t.Fatalf("message %d, bit %d: %v", which+1, bit, err)
				}
				refused(t, e)
			case err == nil:
				t.Fatalf("message %d, bit %d: accepted", which+1, bit) // two points in 2^256 are that near
			case err == ErrCode:
				t.Fatalf("message %d, bit %d: ends the exchange", which+1, bit)
			}
		}
	}
}

// A share altered into another point is found out by the confirmation.
func TestAlteredShare(t *testing.T) {
	other, _ := pair(t)
	a, b := pair(t)
	deliver(t, b, a)
	if err := b.Receive(next(t, other)); err != nil {
		t.Fatal(err)
	}
	next(t, a)
	if err := b.Receive(next(t, a)); err != ErrCode {
		t.Error(err)
	}
	refused(t, b)
}

func TestSizes(t *testing.T) {
	a, b := pair(t)
	for k := range 256 {
		for size := range MaxMessage + 10 {
			right := k >= 1 && k <= 2 && size == pointSize || k >= 3 && k <= 4 && size == confirmSize
			if right {
				continue
			}
			body := bytes.Repeat([]byte{4}, size)
			for _, e := range []*Exchange{a, b} {
				if err := e.Receive(kind(k).message(body)); err != ErrMalformed {
					t.Fatalf("kind %d, %d bytes: %v", k, size, err)
				}
			}
		}
	}
	for _, m := range [][]byte{nil, make([]byte, 1<<20)} {
		if err := a.Receive(m); err != ErrMalformed {
			t.Errorf("%d bytes: %v", len(m), err)
		}
	}
	for range 2 {
		deliver(t, a, b)
		deliver(t, b, a)
	}
	same(t, a, b)
}

func TestNewRefuses(t *testing.T) {
	for name, err := range map[string]error{
		"role":    func() error { _, err := New('C', code, names, rand.Reader); return err }(),
		"no code": func() error { _, err := New(A, "", names, rand.Reader); return err }(),
		"AAD": func() error {
			_, err := New(A, code, Context{AAD: strings.Repeat("x", maxAAD+1)}, rand.Reader)
			return err
		}(),
		"no scalar": func() error {
			_, err := New(A, code, names, bytes.NewReader(bytes.Repeat([]byte{255}, 32*attempts)))
			return err
		}(),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(A, code, names, bytes.NewReader(make([]byte, 31))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that ends: %v", err)
	}
	if _, err := New(A, code, Context{AAD: strings.Repeat("x", maxAAD)}, rand.Reader); err != nil {
		t.Error(err)
	}
}

// Zero and what is not below the order are drawn again; the largest scalar stands.
func TestRandomScalar(t *testing.T) {
	n := unhex(order)
	largest := unhex(order)
	largest[31]--
	s, err := randomScalar(bytes.NewReader(slices.Concat(make([]byte, 32), n, bytes.Repeat([]byte{255}, 32), largest)))
	if err != nil || !bytes.Equal(s[:], largest) {
		t.Errorf("%x, %v", s, err)
	}
	if got := elliptic.P256().Params().N.Bytes(); !bytes.Equal(got, n) {
		t.Errorf("order %x", n)
	}
}

// The scalar of a code, by math/big.
func TestHashToScalar(t *testing.T) {
	for _, code := range []string{code, "1-acorn-acorn-acorn", "x", strings.Repeat("long ", 100)} {
		wide, err := hkdf.Key(sha256.New, []byte(code), nil, passwordLabel, 48)
		if err != nil {
			t.Fatal(err)
		}
		want := new(big.Int).SetBytes(wide)
		want.Mod(want, elliptic.P256().Params().N)
		w, err := hashToScalar(code)
		if err != nil || !bytes.Equal(w[:], want.FillBytes(make([]byte, 32))) {
			t.Errorf("%q: %x, %v", code, w, err)
		}
	}
}

// Both sides of a call may be of different versions: what is derived stays. From
// the first vector's Ke and from a code, computed with another HKDF.
func TestDerivedStays(t *testing.T) {
	s := schedule{ke: [16]byte(unhex(vectors[0].hashTT))}
	k := s.keysOf(A)
	w, err := hashToScalar(code)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		got  [32]byte
		want string
	}{
		"A to B":    {k.Send, "8d8a6003eaec735169cd8956bdb9e641cdc56f7bf6c93cef57868749711a73b9"},
		"B to A":    {k.Receive, "f1af8d76419821e8ef655b5fca8afe27cf1a5edd9b1851995d53f2c3a5bfa090"},
		"auxiliary": {k.Auxiliary, "c4339d4e3d3987e60e3735061ed609c4c677f082ca90dfd55df580482d004741"},
		"password":  {w, "2a84d00107ea97f3928e2992b029cf9b4a318ae9a67cd0b5e9f76966f6193d41"},
	} {
		if hex.EncodeToString(c.got[:]) != c.want {
			t.Errorf("%s: %x", name, c.got)
		}
	}
}

func TestClose(t *testing.T) {
	a, b := pair(t)
	deliver(t, a, b)
	deliver(t, b, a)
	deliver(t, a, b)
	mac := next(t, b)
	for _, e := range []*Exchange{a, b} {
		e.Close()
		if _, err := e.Keys(); err != ErrClosed {
			t.Errorf("keys: %v", err)
		}
		if e.w != (scalar{}) || e.x != (scalar{}) || e.schedule != (schedule{}) {
			t.Errorf("%v keeps secrets", e)
		}
		silent(t, e)
	}
	if err := a.Receive(mac); err != ErrClosed {
		t.Error(err)
	}
}

func TestSecretsStayOutOfText(t *testing.T) {
	a, b := pair(t)
	deliver(t, b, a)
	k := Keys{Send: [32]byte{0xab}, Receive: [32]byte{0xab}, Auxiliary: [32]byte{0xab}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		for _, v := range []any{a, b, k, &k} {
			if s := fmt.Sprintf(verb, v); len(s) > 20 || strings.Contains(s, "ab") || strings.Contains(s, "171") {
				t.Errorf("%s: %s", verb, s)
			}
		}
	}
	k.Clear()
	if k != (Keys{}) {
		t.Error("not cleared")
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		exchange(b, A, code, names)
	}
}

// BenchmarkExchange is both sides from code to keys.
func BenchmarkExchange(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		dials, waits := pair(b)
		deliver(b, waits, dials)
		deliver(b, dials, waits)
		deliver(b, dials, waits)
		deliver(b, waits, dials)
		if _, err := dials.Keys(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkShare is what a stranger's share costs whoever waits.
func BenchmarkShare(b *testing.B) {
	dials, _ := pair(b)
	share := next(b, dials)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		waits := exchange(b, B, code, names)
		b.StartTimer()
		if err := waits.Receive(share); err != nil {
			b.Fatal(err)
		}
	}
}
