package pake

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/bigmod"
	"filippo.io/nistec"
)

const (
	// M and N of P-256, compressed (RFC 9382, Section 6). Nobody knows their
	// logarithms: Appendix A hashes them from a name, and a test does it again.
	constantM = "02886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f"
	constantN = "03d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49"

	// order is RFC 9382's p, the order of P-256 (SEC 2, Version 2.0, Section 2.4.2).
	order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("pake: constant: " + err.Error())
	}
	return b
}

// constant is what the share of a role is masked with: M for A, N for B.
func constant(r Role) *nistec.P256Point {
	encoded := constantM
	if r == B {
		encoded = constantN
	}
	p, err := nistec.NewP256Point().SetBytes(unhex(encoded))
	if err != nil {
		panic("pake: constant: " + err.Error())
	}
	return p
}

func modulus() *bigmod.Modulus {
	m, err := bigmod.NewModulus(unhex(order))
	if err != nil {
		panic("pake: constant: " + err.Error())
	}
	return m
}

// wipe overwrites a point with one that is no secret.
func wipe(p *nistec.P256Point) { p.Set(nistec.NewP256Point()) }

// scalar is a number below the order, big-endian.
type scalar [32]byte

// times is s*p, and timesBase s*P, both in constant time.
func (s *scalar) times(p *nistec.P256Point) *nistec.P256Point {
	r, err := nistec.NewP256Point().ScalarMult(p, s[:])
	if err != nil {
		panic("pake: " + err.Error()) // for no scalar of 32 bytes
	}
	return r
}

func (s *scalar) timesBase() *nistec.P256Point {
	r, err := nistec.NewP256Point().ScalarBaseMult(s[:])
	if err != nil {
		panic("pake: " + err.Error())
	}
	return r
}

// attempts is how often randomScalar draws: one draw of 2^32 is not below the
// order.
const attempts = 16

// randomScalar draws uniformly from 1 to the order less one. RFC 9382, Section 3.3,
// allows zero, which would leave the share without a secret: it comes once in 2^256.
func randomScalar(rand io.Reader) (s scalar, err error) {
	m := modulus()
	for range attempts {
		if _, err := io.ReadFull(rand, s[:]); err != nil {
			return scalar{}, fmt.Errorf("pake: random source: %w", err)
		}
		n, err := bigmod.NewNat().SetBytes(s[:], m)
		if err != nil {
			continue
		}
		zero := n.IsZero()
		clear(n.Bits())
		if zero == 0 {
			return s, nil
		}
	}
	return scalar{}, errors.New("pake: random source: gives no scalar")
}

// transcript is RFC 9382's TT (Section 3.3). K is uncompressed as the shares are,
// w as long as the order.
func transcript(c Context, shareA, shareB, k, w []byte) []byte {
	var tt []byte
	for _, part := range [][]byte{[]byte(c.A), []byte(c.B), shareA, shareB, k, w} {
		// Section 3.2: a length is eight bytes, little-endian.
		tt = binary.LittleEndian.AppendUint64(tt, uint64(len(part)))
		tt = append(tt, part...)
	}
	return tt
}

// schedule is what comes of a transcript (RFC 9382, Section 4).
type schedule struct {
	ke                 [16]byte
	confirmA, confirmB [confirmSize]byte
}

// derive is the key schedule:
//
//	Ke || Ka = Hash(TT)
//	KcA || KcB = KDF(Ka, nil, "ConfirmationKeys" || AAD)
//	cA = MAC(KcA, TT), cB = MAC(KcB, TT)
func derive(tt []byte, aad string) (s schedule) {
	sum := sha256.Sum256(tt)
	kc := expand(sum[16:], "ConfirmationKeys"+aad, 32)
	copy(s.ke[:], sum[:16])
	for _, c := range []struct {
		to  []byte
		key []byte
	}{{s.confirmA[:], kc[:16]}, {s.confirmB[:], kc[16:]}} {
		mac := hmac.New(sha256.New, c.key)
		mac.Write(tt)
		mac.Sum(c.to[:0])
	}
	clear(sum[:])
	clear(kc)
	return s
}

// confirm is the confirmation that a role sends.
func (s *schedule) confirm(r Role) [confirmSize]byte {
	if r == A {
		return s.confirmA
	}
	return s.confirmB
}

// expand is HKDF-SHA256 (RFC 5869) without salt.
func expand(secret []byte, info string, size int) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, info, size)
	if err != nil {
		panic("pake: " + err.Error()) // for more than 8,160 bytes
	}
	return key
}
