package zrtp

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"io"

	"securecall/crypto/zrtp/wire"
)

// chain is the hash chain of Section 9. It and the MACs that it keys are
// SHA-256 whatever is negotiated (Section 5.1.2.2).
type chain struct{ h0, h1, h2, h3 [32]byte }

func newChain(h0 [32]byte) chain {
	h1 := sha256.Sum256(h0[:])
	h2 := sha256.Sum256(h1[:])
	return chain{h0: h0, h1: h1, h2: h2, h3: sha256.Sum256(h2[:])}
}

// images tells whether image is the hash of preimage.
func images(image, preimage [32]byte) bool { return sha256.Sum256(preimage[:]) == image }

// seal writes m with its MAC, which is keyed by the chain and stands in the
// last 8 bytes (Sections 5.2 and 5.4 to 5.6).
func seal(m wire.Message, key [32]byte) []byte {
	raw := m.Append(nil)
	mac := wire.ComputeMAC(key[:], raw)
	copy(raw[len(raw)-len(mac):], mac[:])
	return raw
}

// sealed checks that MAC on the bytes as they came.
func sealed(raw []byte, key [32]byte) bool {
	mac := wire.ComputeMAC(key[:], raw)
	return hmac.Equal(raw[len(raw)-len(mac):], mac[:])
}

// newHash is the negotiated hash (Section 5.1.2).
func (s suite) newHash() hash.Hash {
	if s.hash == wire.S384 {
		return sha512.New384()
	}
	return sha256.New()
}

// cipherBits is the negotiated AES key length (Section 5.1.3).
func (s suite) cipherBits() int {
	if s.cipher == wire.AES3 {
		return 256
	}
	return 128
}

// digest hashes a concatenation with the negotiated hash.
func (s suite) digest(parts ...[]byte) []byte {
	h := s.newHash()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// hvi = hash(initiator's DHPart2 || responder's Hello), 256 bits of it
// (Section 4.4.1.1).
func (s suite) hvi(dhPart2, responderHello []byte) (hvi [32]byte) {
	copy(hvi[:], s.digest(dhPart2, responderHello))
	return hvi
}

// kdf is the key derivation function of Section 4.5.1, for bits of output.
func (s suite) kdf(ki []byte, label string, context []byte, bits int) []byte {
	h := hmac.New(s.newHash, ki)
	h.Write([]byte{0, 0, 0, 1})
	io.WriteString(h, label)
	h.Write([]byte{0})
	h.Write(context)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(bits)))
	out := h.Sum(nil)
	clear(out[bits/8:])
	return out[: bits/8 : bits/8]
}

// keys are what s0 gives (Sections 4.5.2 and 4.5.3), but for ZRTPSess and the
// exported key, which nothing here uses yet.
type keys struct {
	initiator, responder direction
	sasHash              [32]byte
}

// direction holds the keys for what one role sends.
type direction struct{ srtpKey, srtpSalt, mac, zrtp []byte }

// derive computes s0 (Section 4.4.1.4) and the keys, and wipes dhResult and
// s0. There are no retained secrets: s1, s2 and s3 are null.
func (s suite) derive(dhResult []byte, zidi, zidr wire.ZID, responderHello, commit, dhPart1, dhPart2 []byte) *keys {
	totalHash := s.digest(responderHello, commit, dhPart1, dhPart2)
	context := append(append(append([]byte{}, zidi[:]...), zidr[:]...), totalHash...)
	nulls := make([]byte, 3*4)
	s0 := s.digest([]byte{0, 0, 0, 1}, dhResult, []byte("ZRTP-HMAC-KDF"), context, nulls)
	clear(dhResult)
	defer clear(s0)

	hashBits, keyBits := 8*s.newHash().Size(), s.cipherBits()
	role := func(name string) direction {
		return direction{
			srtpKey:  s.kdf(s0, name+" SRTP master key", context, keyBits),
			srtpSalt: s.kdf(s0, name+" SRTP master salt", context, 112),
			mac:      s.kdf(s0, name+" HMAC key", context, hashBits),
			zrtp:     s.kdf(s0, name+" ZRTP key", context, keyBits),
		}
	}
	k := &keys{initiator: role("Initiator"), responder: role("Responder")}
	copy(k.sasHash[:], s.kdf(s0, "SAS", context, 256))
	return k
}

// sides returns the keys for what a role sends and for what it receives.
func (k *keys) sides(r Role) (local, remote *direction) {
	if r == Initiator {
		return &k.initiator, &k.responder
	}
	return &k.responder, &k.initiator
}

// wipeConfirm clears what only the Confirms need.
func (k *keys) wipeConfirm() {
	for _, d := range []*direction{&k.initiator, &k.responder} {
		clear(d.mac)
		clear(d.zrtp)
	}
}

// wipe clears everything.
func (k *keys) wipe() {
	k.wipeConfirm()
	for _, d := range []*direction{&k.initiator, &k.responder} {
		clear(d.srtpKey)
		clear(d.srtpSalt)
	}
	clear(k.sasHash[:])
}

func (k KeysReady) wipe() {
	for _, b := range [][]byte{k.LocalKey, k.LocalSalt, k.RemoteKey, k.RemoteSalt} {
		clear(b)
	}
}

// confirmMAC is the MAC of a Confirm, of the negotiated hash (Section 4.6).
func (s suite) confirmMAC(key, encrypted []byte) (mac [8]byte) {
	h := hmac.New(s.newHash, key)
	h.Write(encrypted)
	copy(mac[:], h.Sum(nil))
	return mac
}

// encryptCFB encrypts data in place: cipher feedback of full blocks, the last
// one cut to what is left (Section 5.7). The standard library's CFB is
// deprecated for being unauthenticated; here the MAC goes over it.
func encryptCFB(block cipher.Block, iv [16]byte, data []byte) {
	feedback := iv
	for len(data) > 0 {
		block.Encrypt(feedback[:], feedback[:])
		n := subtle.XORBytes(data, data, feedback[:])
		copy(feedback[:], data[:n])
		data = data[n:]
	}
}

// decryptCFB undoes encryptCFB.
func decryptCFB(block cipher.Block, iv [16]byte, data []byte) {
	feedback := iv
	for len(data) > 0 {
		var next [16]byte
		n := copy(next[:], data)
		block.Encrypt(feedback[:], feedback[:])
		subtle.XORBytes(data, data, feedback[:])
		data, feedback = data[n:], next
	}
}
