package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"testing"
)

// reference is a second SRTP, written from RFC 3711 on the standard library
// alone, without replay protection or rollover guessing: the caller gives the
// index.
type reference struct {
	rtpKey, rtpSalt, rtpAuth    []byte
	rtcpKey, rtcpSalt, rtcpAuth []byte
	rtpTag                      int
}

// ctr is AES-CM (RFC 3711, Section 4.1.1; RFC 6188 for 256-bit keys).
func ctr(key []byte, iv [16]byte, text []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(text))
	cipher.NewCTR(block, iv[:]).XORKeyStream(out, text)
	return out
}

// derive is the key derivation of RFC 3711, Section 4.3.1, at rate zero.
func derive(key, salt []byte, label byte, size int) []byte {
	var x [16]byte
	copy(x[:], salt)
	x[7] ^= label
	return ctr(key, x, make([]byte, size))
}

func newReference(key, salt []byte, rtpTag int) reference {
	return reference{
		rtpKey: derive(key, salt, 0, len(key)), rtpAuth: derive(key, salt, 1, 20), rtpSalt: derive(key, salt, 2, 14),
		rtcpKey: derive(key, salt, 3, len(key)), rtcpAuth: derive(key, salt, 4, 20), rtcpSalt: derive(key, salt, 5, 14),
		rtpTag: rtpTag,
	}
}

func initialVector(salt []byte, ssrc uint32, index uint64) (iv [16]byte) {
	copy(iv[:], salt)
	var x [16]byte
	binary.BigEndian.PutUint32(x[4:], ssrc)
	binary.BigEndian.PutUint64(x[6:], index<<16>>16|uint64(binary.BigEndian.Uint16(x[6:]))<<48)
	for i := range 14 {
		iv[i] ^= x[i]
	}
	return iv
}

func (r reference) rtp(header, payload []byte, roc uint32) []byte {
	seq := binary.BigEndian.Uint16(header[2:])
	iv := initialVector(r.rtpSalt, binary.BigEndian.Uint32(header[8:]), uint64(roc)<<16|uint64(seq))
	packet := append(header[:len(header):len(header)], ctr(r.rtpKey, iv, payload)...)
	mac := hmac.New(sha1.New, r.rtpAuth)
	mac.Write(packet)
	mac.Write(binary.BigEndian.AppendUint32(nil, roc))
	return append(packet, mac.Sum(nil)[:r.rtpTag]...)
}

// rtcp encrypts, or with e false only authenticates.
func (r reference) rtcp(compound []byte, index uint32, e bool) []byte {
	packet := append([]byte(nil), compound...)
	if e {
		iv := initialVector(r.rtcpSalt, binary.BigEndian.Uint32(compound[4:]), uint64(index))
		packet = append(packet[:8], ctr(r.rtcpKey, iv, compound[8:])...)
		index |= 1 << 31
	}
	packet = binary.BigEndian.AppendUint32(packet, index)
	mac := hmac.New(sha1.New, r.rtcpAuth)
	mac.Write(packet)
	return append(packet, mac.Sum(nil)[:10]...)
}

// RFC 3711, Appendix B.2: AES-CM keystream; RFC 3711, Appendix B.3 and RFC
// 6188, Section 7.2: key derivation. They show that the reference is right;
// the other tests hold Session against it.
func TestRFC3711AppendixB(t *testing.T) {
	var iv [16]byte
	copy(iv[:], unhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000"))
	equal(t, "B.2 keystream", ctr(unhex("2B7E151628AED2A6ABF7158809CF4F3C"), iv, make([]byte, 48)),
		unhex("E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0"))

	key, salt := unhex("E1F97A0D3E018BE0D64FA32C06DE4139"), unhex("0EC675AD498AFEEBB6960B3AABE6")
	equal(t, "B.3 cipher key", derive(key, salt, 0, 16), unhex("C61E7A93744F39EE10734AFE3FF7A087"))
	equal(t, "B.3 cipher salt", derive(key, salt, 2, 14), unhex("30CBBC08863D8C85D49DB34A9AE1"))
	equal(t, "B.3 auth key", derive(key, salt, 1, 20), unhex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"))

	key = unhex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6")
	salt = unhex("3b04803de51ee7c96423ab5b78d2")
	equal(t, "RFC 6188 cipher key", derive(key, salt, 0, 32),
		unhex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"))
	equal(t, "RFC 6188 cipher salt", derive(key, salt, 2, 14), unhex("fa31791685ca444a9e07c6c64e93"))
	equal(t, "RFC 6188 auth key", derive(key, salt, 1, 20), unhex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"))
}
