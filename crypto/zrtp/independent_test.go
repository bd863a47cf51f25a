package zrtp

import (
	"bytes"
	"crypto/aes"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"math/big"
	"testing"

	"securecall/crypto/zrtp/wire"
)

// No peer at hand speaks EC25, EC38 and EC52, so here is one: an initiator written
// from the RFC's formulas alone, with textbook arithmetic on the curve. It
// shares with the session the layout of the messages (package wire) and
// nothing else.
type initiator struct {
	newHash    func() hash.Hash
	curve      *elliptic.CurveParams
	keyBytes   int
	h          [4][32]byte // H0 to H3
	d          *big.Int
	responders []byte // its Hello
	commit     []byte
	dhPart1    []byte
	dhPart2    []byte
	zidi, zidr []byte
	s0         []byte
	context    []byte
}

func TestSecondComputation(t *testing.T) {
	for _, c := range []struct {
		ka, hash, cipher wire.Name
		newHash          func() hash.Hash
		curve            *elliptic.CurveParams
		keyBytes         int
	}{
		{wire.EC25, wire.S256, wire.AES1, sha256.New, elliptic.P256().Params(), 16},
		{wire.EC25, wire.S384, wire.AES3, sha512.New384, elliptic.P256().Params(), 32},
		{wire.EC38, wire.S384, wire.AES3, sha512.New384, elliptic.P384().Params(), 32},
		{wire.EC38, wire.S384, wire.AES1, sha512.New384, elliptic.P384().Params(), 16},
		{wire.EC52, wire.S384, wire.AES3, sha512.New384, elliptic.P521().Params(), 32},
	} {
		for seed := range uint64(3) {
			i := &initiator{newHash: c.newHash, curve: c.curve, keyBytes: c.keyBytes}
			r := random("second", seed)
			r.Read(i.h[0][:])
			for n := 1; n < 4; n++ {
				i.h[n] = sha256.Sum256(i.h[n-1][:])
			}
			secret := make([]byte, (c.curve.BitSize+7)/8)
			r.Read(secret)
			i.d = new(big.Int).Mod(new(big.Int).SetBytes(secret), c.curve.N)

			conf := config("responder", seed)
			conf.Algorithms.KeyAgreements = []wire.Name{wire.EC25, wire.EC38, wire.EC52}
			w := alone(t, conf)
			i.handshake(t, w, suite{c.hash, c.cipher, wire.HS32, c.ka, wire.B32})
		}
	}
}

func (i *initiator) mac(key, b []byte) []byte {
	h := hmac.New(i.newHash, key)
	h.Write(b)
	return h.Sum(nil)
}

func (i *initiator) sum(parts ...[]byte) []byte {
	h := i.newHash()
	h.Write(bytes.Join(parts, nil))
	return h.Sum(nil)
}

// kdf: HMAC(KI, i || Label || 0x00 || Context || L) (Section 4.5.1).
func (i *initiator) kdf(label string, bits int) []byte {
	l := binary.BigEndian.AppendUint32(nil, uint32(bits))
	return i.mac(i.s0, bytes.Join([][]byte{{0, 0, 0, 1}, []byte(label), {0}, i.context, l}, nil))[:bits/8]
}

func chainMAC(message []byte, key [32]byte) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(message[:len(message)-8])
	return append(message[:len(message)-8], h.Sum(nil)[:8]...)
}

func (i *initiator) handshake(t *testing.T, w *world, s suite) {
	const ssrc = 0x01020304
	say := func(message []byte) {
		t.Helper()
		if err := w.inject(0, wire.AppendPacket(nil, 1, ssrc, message)); err != nil {
			t.Fatal(err)
		}
	}
	heard := func() (wire.Message, []byte) {
		f := w.flights[len(w.flights)-1]
		p, err := wire.ParsePacket(f.packet)
		if err != nil {
			t.Fatal(err)
		}
		return parsed(t, f.packet), p.Message
	}

	m, raw := heard()
	i.responders, i.zidr = raw, bytes.Clone(m.(*wire.Hello).ZID[:])
	zid := wire.ZID{7, 7, 7}
	i.zidi = zid[:]
	all := []wire.Name{s.agreement}
	say(chainMAC((&wire.Hello{Version: version, H3: i.h[3], ZID: zid, KeyAgreements: all, Hashes: []wire.Name{s.hash}}).Append(nil), i.h[2]))

	size := (i.curve.BitSize + 7) / 8
	x, y := multiply(i.curve, i.curve.Gx, i.curve.Gy, i.d)
	pvi := append(x.FillBytes(make([]byte, size)), y.FillBytes(make([]byte, size))...)
	i.dhPart2 = chainMAC((&wire.DHPart{Part: 2, H1: i.h[1], PV: pvi}).Append(nil), i.h[0])
	c := &wire.Commit{H2: i.h[2], ZID: zid, Hash: s.hash, Cipher: s.cipher, Auth: s.auth, KeyAgreement: s.agreement, SAS: s.sas}
	copy(c.HVI[:], i.sum(i.dhPart2, i.responders))
	i.commit = chainMAC(c.Append(nil), i.h[1])
	say(i.commit)

	m, i.dhPart1 = heard()
	pvr := m.(*wire.DHPart).PV
	if len(pvr) != 2*size {
		t.Fatalf("pvr of %d bytes", len(pvr))
	}
	say(i.dhPart2)
	z, _ := multiply(i.curve, new(big.Int).SetBytes(pvr[:size]), new(big.Int).SetBytes(pvr[size:]), i.d)
	total := i.sum(i.responders, i.commit, i.dhPart1, i.dhPart2)
	i.context = bytes.Join([][]byte{i.zidi, i.zidr, total}, nil)
	i.s0 = i.sum([]byte{0, 0, 0, 1}, z.FillBytes(make([]byte, size)), []byte("ZRTP-HMAC-KDF"), i.zidi, i.zidr, total, make([]byte, 12))

	m, _ = heard()
	confirm, ok := m.(*wire.Confirm)
	if !ok || confirm.Part != 1 {
		t.Fatalf("%v instead of Confirm1", m.Type())
	}
	hashBits := 8 * len(i.sum())
	if !bytes.Equal(confirm.MAC[:], i.mac(i.kdf("Responder HMAC key", hashBits), confirm.Encrypted)[:8]) {
		t.Fatal("Confirm1 has another MAC")
	}
	plain := cfb(t, i.kdf("Responder ZRTP key", 8*i.keyBytes), confirm.IV, confirm.Encrypted, true)
	// "MUST set the cache expiration interval to zero, and MUST set the SAS
	// Verified (V) flag to false" (Section 4.9.1)
	if len(plain) != 40 || !bytes.Equal(plain[32:], make([]byte, 8)) {
		t.Fatalf("Confirm1 holds %x", plain)
	}
	if h1 := sha256.Sum256(plain[:32]); h1 != parsedMessage(t, i.dhPart1).(*wire.DHPart).H1 {
		t.Fatal("Confirm1 holds another H0")
	}
	// Ours: V and D, an expiry, and a signature that nobody checks.
	body := append(i.h[0][:], 0, 0, 2, 5, 0, 0, 0, 9)
	body = append(body, "PGP "...)
	body = append(body, 1, 2, 3, 4)
	reply := &wire.Confirm{Part: 2, IV: [16]byte{1, 2, 3}}
	reply.Encrypted = cfb(t, i.kdf("Initiator ZRTP key", 8*i.keyBytes), reply.IV, body, false)
	copy(reply.MAC[:], i.mac(i.kdf("Initiator HMAC key", hashBits), reply.Encrypted))
	say(reply.Append(nil))
	if m, _ := heard(); m.Type() != wire.TypeConf2ACK {
		t.Fatalf("%v instead of Conf2ACK", m.Type())
	}

	k := w.ends[0].keys
	for what, pair := range map[string][2][]byte{
		"initiator's key":  {k.RemoteKey, i.kdf("Initiator SRTP master key", 8*i.keyBytes)},
		"initiator's salt": {k.RemoteSalt, i.kdf("Initiator SRTP master salt", 112)},
		"responder's key":  {k.LocalKey, i.kdf("Responder SRTP master key", 8*i.keyBytes)},
		"responder's salt": {k.LocalSalt, i.kdf("Responder SRTP master salt", 112)},
		"ZRTPSess":         {k.SessionKey, i.kdf("ZRTP Session Key", hashBits)},
		"ExportedKey":      {k.ExportedKey, i.kdf("Exported key", hashBits)},
		"rs1":              {k.Retain.RS1, i.kdf("retained secret", 256)},
		"sashash":          {k.SASHash[:], i.kdf("SAS", 256)},
		"sasvalue":         {binary.BigEndian.AppendUint32(nil, k.SASValue), i.kdf("SAS", 256)[:4]},
	} {
		if !bytes.Equal(pair[0], pair[1]) {
			t.Errorf("%v, %s: %x, computed here %x", s, what, pair[0], pair[1])
		}
	}
	if !k.PeerV || !k.PeerD || k.Retain.Expiry != 0 {
		t.Errorf("flags %v %v, expiry %d", k.PeerV, k.PeerD, k.Retain.Expiry)
	}
}

func parsedMessage(t *testing.T, raw []byte) wire.Message {
	m, err := wire.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// cfb by its definition (NIST SP 800-38A, Section 6.3), block after block.
func cfb(t *testing.T, key []byte, iv [16]byte, in []byte, decrypt bool) (out []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	var cipherText []byte
	for n := range in {
		if n%16 == 0 {
			if n > 0 {
				copy(iv[:], cipherText[n-16:n])
			}
			block.Encrypt(iv[:], iv[:])
		}
		out = append(out, in[n]^iv[n%16])
		if decrypt {
			cipherText = in
		} else {
			cipherText = out
		}
	}
	return out
}

// multiply computes k(x, y) on y² = x³ - 3x + b by doubling and adding.
func multiply(c *elliptic.CurveParams, x, y, k *big.Int) (rx, ry *big.Int) {
	for n := k.BitLen() - 1; n >= 0; n-- {
		if rx != nil {
			rx, ry = add(c, rx, ry, rx, ry)
		}
		if k.Bit(n) == 1 {
			if rx == nil {
				rx, ry = x, y
			} else {
				rx, ry = add(c, rx, ry, x, y)
			}
		}
	}
	return rx, ry
}

// add adds two points, equal or not, neither of them nor their sum the one at
// infinity.
func add(c *elliptic.CurveParams, x1, y1, x2, y2 *big.Int) (x, y *big.Int) {
	var over, under *big.Int
	if x1.Cmp(x2) == 0 {
		over = new(big.Int).Mul(x1, x1)
		over.Mul(over, big.NewInt(3)).Sub(over, big.NewInt(3))
		under = new(big.Int).Lsh(y1, 1)
	} else {
		over, under = new(big.Int).Sub(y2, y1), new(big.Int).Sub(x2, x1)
	}
	slope := new(big.Int).Mul(over, new(big.Int).ModInverse(under.Mod(under, c.P), c.P))
	x = new(big.Int).Mul(slope, slope)
	x.Sub(x, x1).Sub(x, x2).Mod(x, c.P)
	y = new(big.Int).Sub(x1, x)
	y.Mul(y, slope).Sub(y, y1).Mod(y, c.P)
	return x, y
}
