package pake

import "filippo.io/bigmod"

// passwordLabel keeps the scalar of a code apart from whatever else might be made
// of the same words.
const passwordLabel = "securecall call code: SPAKE2 password v1"

// passwordBytes is 16 more than the order has: of the values modulo the order
// none is more than 2^-128 likelier than another. RFC 9382, Section 3.2, is content
// with 64 bits more than the order has.
const passwordBytes = 48

// hashToScalar is RFC 9382's w = MHF(pw) mod p (Section 3.2), with HKDF-SHA256 for
// the hash. The RFC says that it SHOULD be memory-hard, to slow down whoever tries all
// passwords. This one is not: nothing that is sent can be tried against, and the
// code is worth nothing after its one exchange (docs/notes/pake.md).
func hashToScalar(code string) (w scalar, err error) {
	secret := []byte(code)
	wide := expand(secret, passwordLabel, passwordBytes)
	m := modulus()
	// Nat.Mod takes numbers of any size, but only out of a modulus of theirs.
	size := make([]byte, passwordBytes+1)
	size[0] = 1
	above, err := bigmod.NewModulus(size)
	if err != nil {
		return scalar{}, err
	}
	n, err := bigmod.NewNat().SetBytes(wide, above)
	if err != nil {
		return scalar{}, err
	}
	r := bigmod.NewNat().Mod(n, m)
	reduced := r.Bytes(m)
	copy(w[:], reduced)
	clear(secret)
	clear(wide)
	clear(reduced)
	clear(n.Bits())
	clear(r.Bits())
	return w, nil
}
