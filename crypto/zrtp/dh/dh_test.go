package dh

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"

	"securecall/crypto/zrtp/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func lookup(t testing.TB, n wire.Name) Agreement {
	t.Helper()
	a, ok := Lookup(n)
	if !ok {
		t.Fatalf("no %s", n)
	}
	return a
}

// RFC 7748, Section 6.1, and RFC 5114, Appendices A.6 and A.7.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name                       wire.Name
		secretA, publicA           string
		secretB, publicB, together string
	}{
		{
			wire.X255,
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
			"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
		},
		{
			wire.EC25,
			"814264145f2f56f2e96a8e337a1284993faf432a5abce59e867b7291d507a3af",
			"2af502f3be8952f2c9b5a8d4160d09e97165be50bc42ae4a5e8d3b4ba83aeb15" +
				"eb0faf4ca986c4d38681a0f9872d79d56795bd4bff6e6de3c0f5015ece5efd85",
			"2ce1788ec197e096db95a200cc0ab26a19ce6bccad562b8eee1b593761cf7f41",
			"b120de4aa36492795346e8de6c2c8646ae06aaea279fa775b3ab0715f6ce51b0" +
				"9f1b7eece20d7b5ed8ec685fa3f071d83727027092a8411385c34dde5708b2b6",
			"dd0f5396219d1ea393310412d19a08f1f5811e9dc8ec8eea7f80d21c820c2788",
		},
		{
			wire.EC38,
			"d27335ea71664af244dd14e9fd1260715dfd8a7965571c48d709ee7a7962a156d706a90cbcb5df2986f05feadb9376f1",
			"793148f1787634d5da4c6d9074417d05e057ab62f82054d10ee6b0403d6279547e6a8ea9d1fd77427d016fe27a8b8c66" +
				"c6c41294331d23e6f480f4fb4cd40504c947392e94f4c3f06b8f398bb29e42368f7a685923de3b67baced214a1a1d128",
			"52d1791fdb4b70f89c0f00d456c2f7023b6125262c36a7df1f80231121cce3d39be52e00c194a4132c4a6c768bcd94d2",
			"5cd42ab9c41b5347f74b8d4efb708b3d5b36db65915359b44abc17647b6b9999789d72a84865ae2f223f12b5a1abc120" +
				"e171458feaa939aaa3a8bfac46b404bd8f6d5b348c0fa4d80ceca16356ca933240bde8723415a8ece035b0edf36755de",
			"5ea1fc4af7256d2055981b110575e0a8cae53160137d904c59d926eb1b8456e427aa8a4540884c37de159a58028abc0e",
		},
	} {
		a := lookup(t, c.name)
		ka, err := a.Initiate(bytes.NewReader(unhex(t, c.secretA)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		kb, err := a.Initiate(bytes.NewReader(unhex(t, c.secretB)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !bytes.Equal(ka.Public(), unhex(t, c.publicA)) {
			t.Errorf("%s: public value of A %x", c.name, ka.Public())
		}
		if !bytes.Equal(kb.Public(), unhex(t, c.publicB)) {
			t.Errorf("%s: public value of B %x", c.name, kb.Public())
		}
		ab, err := ka.Shared(kb.Public())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		ba, err := kb.Shared(ka.Public())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if want := unhex(t, c.together); !bytes.Equal(ab, want) || !bytes.Equal(ba, want) {
			t.Errorf("%s: results %x and %x", c.name, ab, ba)
		}
	}
}

// RFC 7748, Section 5.2: scalar and u-coordinate in, u-coordinate out. Of the
// second, Section 5: "implementations of X25519 … MUST mask the most significant
// bit in the final byte".
func TestX25519(t *testing.T) {
	for _, c := range []struct{ scalar, in, out string }{
		{
			"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
		},
		{
			"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
		},
	} {
		k, err := lookup(t, wire.X255).Initiate(bytes.NewReader(unhex(t, c.scalar)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Shared(unhex(t, c.in)); err != nil || !bytes.Equal(got, unhex(t, c.out)) {
			t.Errorf("%x, %v", got, err)
		}
	}
}

// RFC 6189, Section 5.1.5: "For Finite Field Diffie-Hellman, ZRTP endpoints
// MUST use the DH parameters defined in [RFC3526]". The constants are held to
// the formula there: p = 2^b - 2^(b-64) - 1 + 2^64 * (floor(2^(b-130) pi) + k).
func TestGroups(t *testing.T) {
	for _, c := range []struct {
		name wire.Name
		bits uint
		k    int64
	}{{wire.DH2k, 2048, 124476}, {wire.DH3k, 3072, 1690314}} {
		one := big.NewInt(1)
		p := new(big.Int).Add(pi(c.bits-130), big.NewInt(c.k))
		p.Lsh(p, 64)
		p.Add(p, new(big.Int).Lsh(one, c.bits))
		p.Sub(p, new(big.Int).Lsh(one, c.bits-64))
		p.Sub(p, one)
		a := lookup(t, c.name).(diffieHellman).group.(*finiteField)
		m := a.group()
		got := new(big.Int).SetBytes(m.Nat().Bytes(m))
		if got.Cmp(p) != 0 {
			t.Errorf("%s: p is %x", c.name, got)
		}
		if uint(a.size*8) != c.bits {
			t.Errorf("%s: %d bytes", c.name, a.size)
		}
	}
}

// pi is floor(2^bits * pi) by Machin's formula.
func pi(bits uint) *big.Int {
	const guard = 64
	one := new(big.Int).Lsh(big.NewInt(1), bits+guard)
	arctan := func(x int64) *big.Int {
		square := big.NewInt(x * x)
		term := new(big.Int).Div(one, big.NewInt(x))
		sum := new(big.Int).Set(term)
		for n := int64(1); term.Sign() > 0; n++ {
			term.Div(term, square)
			part := new(big.Int).Div(term, big.NewInt(2*n+1))
			if n%2 == 1 {
				part.Neg(part)
			}
			sum.Add(sum, part)
		}
		return sum
	}
	four := big.NewInt(4)
	sum := new(big.Int).Sub(new(big.Int).Mul(four, arctan(5)), arctan(239))
	return sum.Rsh(sum.Mul(sum, four), guard)
}

// Against math/big, an independent computation (never used on secrets outside
// tests), with results that keep their leading zeros.
func TestFiniteFieldAgainstBig(t *testing.T) {
	for _, n := range []wire.Name{wire.DH2k, wire.DH3k} {
		a := lookup(t, n).(diffieHellman).group.(*finiteField)
		m := a.group()
		p := new(big.Int).SetBytes(m.Nat().Bytes(m))
		for range 3 {
			var x [exponentSize]byte
			if _, err := rand.Read(x[:]); err != nil {
				t.Fatal(err)
			}
			k, err := a.generate(bytes.NewReader(x[:]))
			if err != nil {
				t.Fatal(err)
			}
			e := new(big.Int).SetBytes(x[:])
			want := new(big.Int).Exp(big.NewInt(2), e, p).FillBytes(make([]byte, a.size))
			if !bytes.Equal(k.Public(), want) {
				t.Errorf("%s: public value", n)
			}
			peer, err := rand.Int(rand.Reader, p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := k.Shared(peer.FillBytes(make([]byte, a.size)))
			want = peer.Exp(peer, e, p).FillBytes(make([]byte, a.size))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: result (%v)", n, err)
			}
		}
		// 2^8 mod p is 256: nearly all of it leading zeros.
		x := make([]byte, exponentSize)
		x[exponentSize-1] = 8
		k, err := a.generate(bytes.NewReader(x))
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Public(); len(got) != a.size || new(big.Int).SetBytes(got).Int64() != 256 {
			t.Errorf("%s: 2^8 is %x", n, got)
		}
	}
}

// Finite field: RFC 6189, Section 4.4.1.2: "If pvi is 1 or p-1, the user SHOULD
// be alerted of the attack and the protocol exchange MUST be terminated", and
// Section 4.4.1.3 of pvr; Section 5.9, code 0x61, names 0 too: "DH Error: bad pvi
// or pvr ( == 1, 0, or p-1)".
//
// Curves: Section 5.1.5: "The validation procedures are from [NIST-SP800-56A],
// Section 5.6.2.6, method 3, Elliptic Curve Cryptography (ECC) Partial
// Validation": not infinity, coordinates below the field's prime, on the curve.
//
// X25519: RFC 7748, Section 6.1: "Both MAY check, without leaking extra
// information about the value of K, whether K is the all-zero value and abort if
// so". We do.
func TestBadPublicValues(t *testing.T) {
	for _, a := range agreements {
		k, err := a.Initiate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		size := a.PublicSize(1)
		bad := map[string][]byte{
			"zero":      make([]byte, size),
			"empty":     nil,
			"too short": k.Public()[1:],
			"too long":  append([]byte{0}, k.Public()...),
		}
		small := func(n byte) []byte {
			b := make([]byte, size)
			b[size-1] = n
			return b
		}
		if f, ok := a.(diffieHellman).group.(*finiteField); ok {
			m := f.group()
			p := new(big.Int).SetBytes(m.Nat().Bytes(m))
			bad["one"] = small(1)
			bad["p-1"] = new(big.Int).Sub(p, big.NewInt(1)).FillBytes(make([]byte, size))
			bad["p"] = p.FillBytes(make([]byte, size))
			bad["p+1"] = new(big.Int).Add(p, big.NewInt(1)).FillBytes(make([]byte, size))
			bad["all ones"] = bytes.Repeat([]byte{0xff}, size)
		} else if a.Name() != wire.X255 {
			off := bytes.Clone(k.Public())
			off[size-1] ^= 1
			bad["off the curve"] = off
			bad["y||x"] = slices.Concat(k.Public()[size/2:], k.Public()[:size/2])
			bad["above the field"] = bytes.Repeat([]byte{0xff}, size)
			// On the curve, were x taken modulo p: (0, sqrt(b)).
			params := map[wire.Name]*elliptic.CurveParams{wire.EC25: elliptic.P256().Params(), wire.EC38: elliptic.P384().Params()}[a.Name()]
			point := make([]byte, size)
			new(big.Int).ModSqrt(params.B, params.P).FillBytes(point[size/2:])
			if _, err := k.Shared(point); err != nil {
				t.Errorf("%s: a point with x = 0 is refused", a.Name())
			}
			params.P.FillBytes(point[:size/2])
			bad["x = p"] = point
		} else {
			// Points of small order (RFC 7748, Section 6.1; u in little-endian order).
			one := make([]byte, size)
			one[0] = 1
			bad["one"] = one
			bad["order 8"] = unhex(t, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
			bad["order 8 too"] = unhex(t, "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")
			bad["p-1"] = unhex(t, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
			bad["p"] = unhex(t, "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
			bad["p+1"] = unhex(t, "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
			bad["p-1 and the bit that is masked"] = unhex(t, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")
		}
		for name, pv := range bad {
			if got, err := k.Shared(pv); !errors.Is(err, ErrPublicValue) {
				t.Errorf("%s: %s gives %x, %v", a.Name(), name, got, err)
			}
		}
	}
}

func TestSizesAndAgreement(t *testing.T) {
	for _, a := range agreements {
		x, err := a.Initiate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		y, err := a.Initiate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		xy, err := x.Shared(y.Public())
		if err != nil {
			t.Fatal(err)
		}
		yx, err := y.Shared(x.Public())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(xy, yx) || len(xy) != a.ResultSize() || len(x.Public()) != a.PublicSize(1) || a.PublicSize(1)%4 != 0 {
			t.Errorf("%s: %d and %d bytes, %x, %x", a.Name(), len(x.Public()), len(xy), xy, yx)
		}
		if bytes.Equal(x.Public(), y.Public()) {
			t.Errorf("%s: two keys are the same", a.Name())
		}
	}
}

// All randomness comes from the reader, and one that fails is told.
func TestRandomSource(t *testing.T) {
	for _, a := range agreements {
		if _, err := a.Initiate(bytes.NewReader(make([]byte, 5))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: a short source gives %v", a.Name(), err)
		}
		seed := bytes.Repeat([]byte{7}, 64)
		source := bytes.NewReader(seed)
		x, err := a.Initiate(source)
		if err != nil {
			t.Fatal(err)
		}
		want := map[wire.Name]int{wire.X255: 32, wire.EC25: 32, wire.EC38: 48, wire.DH3k: 64, wire.DH2k: 64}[a.Name()]
		if got := len(seed) - source.Len(); got != want {
			t.Errorf("%s: reads %d bytes, not %d", a.Name(), got, want)
		}
		y, err := a.Initiate(bytes.NewReader(seed))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x.Public(), y.Public()) {
			t.Errorf("%s: one source, two keys", a.Name())
		}
	}
	// A scalar that is not below the order is passed over, and 0 too.
	next := bytes.Repeat([]byte{7}, 32)
	want, err := lookup(t, wire.EC25).Initiate(bytes.NewReader(next))
	if err != nil {
		t.Fatal(err)
	}
	draws := slices.Concat(bytes.Repeat([]byte{0xff}, 32), make([]byte, 32), next)
	if got, err := lookup(t, wire.EC25).Initiate(bytes.NewReader(draws)); err != nil || !bytes.Equal(got.Public(), want.Public()) {
		t.Errorf("after two draws that are no scalars: %v", err)
	}
	// A source that never gives a scalar below the order ends.
	if _, err := lookup(t, wire.EC25).Initiate(bytes.NewReader(bytes.Repeat([]byte{0xff}, 32*attempts))); err == nil {
		t.Error("all ones is taken for a P-256 scalar")
	}
}

// A wiped key agrees with nobody: with the exponent 0 the result would be 1,
// known to all.
func TestWipe(t *testing.T) {
	for _, a := range agreements {
		k, err := a.Initiate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		peer, err := a.Initiate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k.Wipe()
		if got, err := k.Shared(peer.Public()); got != nil || !errors.Is(err, errWiped) {
			t.Errorf("%s: once wiped gives %x, %v", a.Name(), got, err)
		}
		switch k := k.(type) {
		case *finiteFieldKey:
			if k.exponent != [exponentSize]byte{} {
				t.Errorf("%s: the exponent is still there", a.Name())
			}
		case *curveKey:
			if k.private != nil {
				t.Errorf("%s: the scalar is still there", a.Name())
			}
		}
	}
}

func FuzzShared(f *testing.F) {
	var keys []Key
	for _, a := range agreements {
		k, err := a.Initiate(rand.Reader)
		if err != nil {
			f.Fatal(err)
		}
		keys = append(keys, k)
		f.Add(k.Public())
		f.Add(make([]byte, a.PublicSize(1)))
	}
	f.Fuzz(func(t *testing.T, pv []byte) {
		for i, k := range keys {
			if b, err := k.Shared(pv); err == nil && (len(b) != agreements[i].ResultSize() || len(pv) != agreements[i].PublicSize(1)) {
				t.Errorf("%s: %d bytes from %d", agreements[i].Name(), len(b), len(pv))
			}
		}
	})
}

func BenchmarkInitiate(b *testing.B) {
	for _, a := range agreements {
		b.Run(a.Name().String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Initiate(rand.Reader); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkShared(b *testing.B) {
	for _, a := range agreements {
		b.Run(a.Name().String(), func(b *testing.B) {
			k, err := a.Initiate(rand.Reader)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Shared(k.Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
