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
	"slices"

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

// hashBits is the length of its output.
func (s suite) hashBits() int { return 8 * s.newHash().Size() }

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

// keys are what s0 gives (Sections 4.5.2, 4.5.3 and 4.6.1). A further stream
// (Multistream mode) has only those of 4.5.3.
type keys struct {
	initiator, responder direction
	sasHash              [32]byte
	session              []byte // ZRTPSess
	exported             []byte // ExportedKey
	rs1                  []byte // the new one
}

// direction holds the keys for what one role sends.
type direction struct{ srtpKey, srtpSalt, mac, zrtp []byte }

// context is KDF_Context = ZIDi || ZIDr || total_hash (Section 4.4.1.4).
func (s suite) context(zidi, zidr wire.ZID, messages ...[]byte) []byte {
	return slices.Concat(zidi[:], zidr[:], s.digest(messages...))
}

// s0 of DH mode (Section 4.4.1.4), from DHResult, which it wipes, and the
// secrets that are shared; s3, the PBX's, is always null.
func (s suite) s0(dhResult, context, s1, s2 []byte) []byte {
	h := s.newHash()
	h.Write([]byte{0, 0, 0, 1})
	h.Write(dhResult)
	io.WriteString(h, "ZRTP-HMAC-KDF")
	h.Write(context)
	for _, secret := range [][]byte{s1, s2, nil} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(secret))))
		h.Write(secret)
	}
	clear(dhResult)
	return h.Sum(nil)
}

// derive computes the keys of the first stream of a call from s0 (Sections
// 4.5.2, 4.5.3 and 4.6.1), which it wipes.
func (s suite) derive(s0, context []byte) *keys {
	defer clear(s0)
	k := s.deriveStream(s0, context)
	copy(k.sasHash[:], s.kdf(s0, "SAS", context, 256))
	k.session = s.kdf(s0, "ZRTP Session Key", context, s.hashBits())
	k.exported = s.kdf(s0, "Exported key", context, s.hashBits())
	k.rs1 = s.kdf(s0, "retained secret", context, 256)
	return k
}

// deriveStream computes what every stream has (Section 4.5.3).
func (s suite) deriveStream(s0, context []byte) *keys {
	role := func(r Role) direction {
		return direction{
			srtpKey:  s.kdf(s0, r.name()+" SRTP master key", context, s.cipherBits()),
			srtpSalt: s.kdf(s0, r.name()+" SRTP master salt", context, 112),
			mac:      s.kdf(s0, r.name()+" HMAC key", context, s.hashBits()),
			zrtp:     s.kdf(s0, r.name()+" ZRTP key", context, s.cipherBits()),
		}
	}
	return &keys{initiator: role(Initiator), responder: role(Responder)}
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
	clear(k.session)
	clear(k.exported)
	clear(k.rs1)
}

// Wipe clears all the secrets of k.
func (k KeysReady) Wipe() {
	for _, b := range [][]byte{
		k.LocalKey, k.LocalSalt, k.RemoteKey, k.RemoteSalt, k.SessionKey, k.ExportedKey, k.Retain.RS1,
	} {
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
