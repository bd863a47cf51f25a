package dh

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"
	"slices"

	"securecall/crypto/zrtp/wire"
)

// curve is X255, EC25, EC38 or EC52.
type curve struct {
	name   wire.Name
	curve  ecdh.Curve
	secret int // bytes of a private scalar and of a coordinate
	public int // bytes of pv
	// mask is laid over the first byte of a scalar, which P-521 does not use in
	// full: without it 127 of 128 draws would not be below the order.
	mask byte
	// prefix stands before pv in the encoding that crypto/ecdh reads: SEC 1's
	// "uncompressed" where pv is x||y, nothing for X25519.
	prefix []byte
}

// uncompressed is SEC 1's mark of a point that is written x||y.
var uncompressed = []byte{4}

var (
	x25519 = &curve{name: wire.X255, curve: ecdh.X25519(), secret: 32, public: 32, mask: 0xff}
	p256   = &curve{name: wire.EC25, curve: ecdh.P256(), secret: 32, public: 64, mask: 0xff, prefix: uncompressed}
	p384   = &curve{name: wire.EC38, curve: ecdh.P384(), secret: 48, public: 96, mask: 0xff, prefix: uncompressed}
	p521   = &curve{name: wire.EC52, curve: ecdh.P521(), secret: 66, public: 132, mask: 0x01, prefix: uncompressed}
)

func (c *curve) Name() wire.Name   { return c.name }
func (c *curve) publicSize() int   { return c.public }
func (c *curve) ResultSize() int   { return c.secret }
func (c *curve) FiniteField() bool { return false }

// attempts is how often generate draws a scalar: one out of 2^32 is refused on
// P-256, fewer on P-384, none on X25519.
const attempts = 16

// generate reads as many bytes from rand as a scalar has, again if they are
// none. crypto/ecdh's own GenerateKey does not use the source it is handed.
func (c *curve) generate(rand io.Reader) (Key, error) {
	secret := make([]byte, c.secret)
	defer clear(secret)
	for range attempts {
		if _, err := io.ReadFull(rand, secret); err != nil {
			return nil, fmt.Errorf("random source: %w", err)
		}
		secret[0] &= c.mask
		if private, err := c.curve.NewPrivateKey(secret); err == nil {
			public := private.PublicKey().Bytes()[len(c.prefix):]
			return &curveKey{curve: c, private: private, public: public}, nil
		}
	}
	return nil, errors.New("random source: gives no private key")
}

type curveKey struct {
	nothingCommitted
	curve   *curve
	private *ecdh.PrivateKey
	public  []byte
}

func (k *curveKey) Public() []byte { return k.public }

// Shared refuses a point that is not on the curve (crypto/ecdh checks that,
// SP 800-56A's partial validation: RFC 6189, Section 5.1.5), the point at
// infinity, which x||y cannot say, and for X25519 the all-zero result (RFC
// 7748, Section 6.1).
func (k *curveKey) Shared(peer []byte) ([]byte, error) {
	if k.private == nil {
		return nil, errWiped
	}
	if len(peer) != k.curve.public {
		return nil, ErrPublicValue
	}
	public, err := k.curve.curve.NewPublicKey(slices.Concat(k.curve.prefix, peer))
	if err != nil {
		return nil, ErrPublicValue
	}
	result, err := k.private.ECDH(public)
	if err != nil {
		return nil, ErrPublicValue
	}
	return result, nil
}

// Wipe lets go of the key: crypto/ecdh offers no way to overwrite its copy
// (SECURITY.md).
func (k *curveKey) Wipe() { k.private = nil }
