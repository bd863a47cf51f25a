package dh

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"math/big"
	"slices"
	"testing"

	"securecall/crypto/zrtp/wire"
)

// RFC 7748, Sections 6.1 and 6.2, and RFC 5114, Appendices A.6 to A.8.
func TestCurveVectors(t *testing.T) {
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
		{
			wire.EC52,
			"0113f82da825735e3d97276683b2b74277bad27335ea71664af2430cc4f33459b9669ee78b3ffb9b8683015d344dcbfef6fb9af4c6c470be254516cd3c1a1fb47362",
			"01ebb34dd75721abf8adc9dbed17889cbb9765d90a7c60f2cef007bb0f2b26e14881fd4442e689d61cb2dd046ee30e3ffd20f9a45bbdf6413d583a2dbf59924fd35c" +
				"00f6b632d194c0388e22d8437e558c552ae195adfd153f92d74908351b2f8c4eda94edb0916d1b53c020b5eecaed1a5fc38a233e4830587bb2ee3489b3b42a5a86a4",
			"00cee3480d8645a17d249f2776d28bae616952d1791fdb4b70f7c3378732aa1b22928448bcd1dc2496d435b01048066ebe4f72903c361b1a9dc1193dc2c9d0891b96",
			"010ebfafc6e85e08d24bfffcc1a4511db0e634beeb1b6dec8c5939ae44766201af6200430ba97c8ac6a0e9f08b33ce7e9feeb5ba4ee5e0d81510c24295b8a08d0235" +
				"00a4a6ec300df9e257b0372b5e7abfef093436719a77887ebb0b18cf8099b9f4212b6e30a1419c18e029d36863cc9d448f4dba4d2a0e60711be572915fbd4fef2695",
			"00cdea89621cfa46b132f9e4cfe2261cde2d4368eb5656634c7cc98c7a00cde54ed1866a0dd3e6126c9d2f845daff82ceb1da08f5d87521bb0ebeca77911169c20cc",
		},
		{
			wire.X448,
			"9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
			"9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
			"1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d",
			"3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
			"07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d",
		},
	} {
		a := lookup(t, c.name)
		ka, err := a.Initiate(bytes.NewReader(unhex(t, c.secretA)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		kb, err := a.Respond(bytes.NewReader(unhex(t, c.secretB)), nil)
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

// nist is the curves whose pv is x||y, with a scalar k for which x of kG has
// leading zeros.
var nist = []struct {
	name   wire.Name
	params *elliptic.CurveParams
	zeros  int64
}{
	{wire.EC25, elliptic.P256().Params(), 379},
	{wire.EC38, elliptic.P384().Params(), 197},
	{wire.EC52, elliptic.P521().Params(), 273},
}

// Against the affine formulas of SEC 1, Section 2.2.1, in math/big.
func TestCurvesAgainstBig(t *testing.T) {
	for _, c := range nist {
		a := lookup(t, c.name)
		size := a.ResultSize()
		scalar := make([]byte, size)
		if _, err := rand.Read(scalar); err != nil {
			t.Fatal(err)
		}
		scalar[0] = 0 // below the order
		if _, err := rand.Read(scalar[1:]); err != nil {
			t.Fatal(err)
		}
		base := point{c.params.Gx, c.params.Gy}
		zeros := big.NewInt(c.zeros).FillBytes(make([]byte, size))
		for _, scalar := range [][]byte{scalar, zeros} {
			k, err := a.Initiate(bytes.NewReader(scalar))
			if err != nil {
				t.Fatal(err)
			}
			want := base.times(scalar, c.params)
			if !bytes.Equal(k.Public(), want.bytes(size)) {
				t.Errorf("%s: public value of %x is %x", c.name, scalar, k.Public())
			}
			got, err := k.Shared(want.bytes(size))
			if want := want.times(scalar, c.params).bytes(size)[:size]; err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: result %x (%v), not %x", c.name, got, err, want)
			}
		}
		// Leading zeros stay, of the result as of pv.
		k, err := a.Initiate(bytes.NewReader(zeros))
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Shared(base.bytes(size))
		if err != nil || len(got) != size || got[0] != 0 || new(big.Int).SetBytes(got).BitLen() > c.params.BitSize-8 {
			t.Errorf("%s: result %x (%v)", c.name, got, err)
		}
	}
}

// point is a point of a curve y^2 = x^3 - 3x + b other than infinity.
type point struct{ x, y *big.Int }

func (p point) bytes(size int) []byte {
	return slices.Concat(p.x.FillBytes(make([]byte, size)), p.y.FillBytes(make([]byte, size)))
}

// times is k times p, for k that is not 0 and below the order.
func (p point) times(k []byte, c *elliptic.CurveParams) point {
	scalar := new(big.Int).SetBytes(k)
	sum := p
	for i := scalar.BitLen() - 2; i >= 0; i-- {
		sum = sum.plus(sum, c.P)
		if scalar.Bit(i) == 1 {
			sum = sum.plus(p, c.P)
		}
	}
	return sum
}

func (p point) plus(q point, m *big.Int) point {
	over, under := new(big.Int).Sub(q.y, p.y), new(big.Int).Sub(q.x, p.x)
	if under.Sign() == 0 { // p = q
		over.Mul(p.x, p.x).Mul(over, big.NewInt(3)).Sub(over, big.NewInt(3))
		under.Lsh(p.y, 1)
	}
	slope := over.Mul(over, under.ModInverse(under.Mod(under, m), m))
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, m)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, m)
	return point{x, y}
}

// RFC 6189, Section 5.1.5: "The validation procedures are from [NIST-SP800-56A],
// Section 5.6.2.6, method 3, Elliptic Curve Cryptography (ECC) Partial
// Validation": not infinity, coordinates below the field's prime, on the curve.
func TestBadPoints(t *testing.T) {
	for _, c := range nist {
		a := lookup(t, c.name)
		k, err := a.Initiate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		size := a.PublicSize(1)
		off := bytes.Clone(k.Public())
		off[size-1] ^= 1
		// On the curve, were x taken modulo p: (0, sqrt(b)).
		above := make([]byte, size)
		new(big.Int).ModSqrt(c.params.B, c.params.P).FillBytes(above[size/2:])
		if _, err := k.Shared(above); err != nil {
			t.Errorf("%s: a point with x = 0 is refused", a.Name())
		}
		c.params.P.FillBytes(above[:size/2])
		for name, pv := range map[string][]byte{
			"(0, 0)":        make([]byte, size),
			"off the curve": off,
			"y||x":          slices.Concat(k.Public()[size/2:], k.Public()[:size/2]),
			"all ones":      bytes.Repeat([]byte{0xff}, size),
			"x = p":         above,
			"SEC 1's form":  slices.Concat(uncompressed, k.Public()),
			"compressed":    slices.Concat([]byte{2}, k.Public()[:size/2]),
			"infinity":      {0},
		} {
			refuses(t, a, k, name, pv)
		}
	}
}

// RFC 7748, Section 6.1: "Both MAY check, without leaking extra information about
// the value of K, whether K is the all-zero value and abort if so". We do.
func TestSmallOrder25519(t *testing.T) {
	a := lookup(t, wire.X255)
	k, err := a.Initiate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, pv := range smallOrder25519 {
		refuses(t, a, k, name, unhex(t, pv))
	}
}

// smallOrder25519 is u-coordinates, the lowest byte first.
var smallOrder25519 = map[string]string{
	"0":                              "0000000000000000000000000000000000000000000000000000000000000000",
	"1":                              "0100000000000000000000000000000000000000000000000000000000000000",
	"order 8":                        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"order 8 too":                    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"p-1":                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p":                              "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p+1":                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p-1 and the bit that is masked": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

// A draw that is no scalar is passed over, 0 too, and a source that gives none
// ends. The unused bits of P-521's first byte are no reason to pass one over.
func TestScalars(t *testing.T) {
	for _, c := range nist {
		a := lookup(t, c.name)
		size := a.ResultSize()
		next := bytes.Repeat([]byte{7}, size)
		want, err := a.Initiate(bytes.NewReader(next))
		if err != nil {
			t.Fatal(err)
		}
		ones := bytes.Repeat([]byte{0xff}, size)
		got, err := a.Initiate(bytes.NewReader(slices.Concat(ones, make([]byte, size), next)))
		if err != nil || !bytes.Equal(got.Public(), want.Public()) {
			t.Errorf("%s: after two draws that are no scalars: %v", c.name, err)
		}
		if _, err := a.Initiate(bytes.NewReader(bytes.Repeat(ones, attempts))); err == nil || errors.Is(err, ErrPublicValue) {
			t.Errorf("%s: all ones is taken for a scalar: %v", c.name, err)
		}
	}
}
