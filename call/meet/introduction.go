package meet

import (
	"fmt"

	"securecall/crypto/zrtp/wire"
	"securecall/nat/punched"
)

// What is sealed on its way through the meeting point begins with its kind:
//
//	1  an introduction: 32 octets SHA-256 of the Hello (RFC 6189, Section 8.1),
//	   12 octets ZID, and a description of where its sender may be found
//	2  more candidates: that description, as it is now
//
// Kinds that are not known are passed over.
const (
	kindIntroduction = 1
	kindMore         = 2

	introductionSize = 32 + 12
)

// An introduction is who somebody is, and where.
type introduction struct {
	helloHash [32]byte
	zid       wire.ZID
	where     punched.Description
}

func (i introduction) append(b []byte) []byte {
	b = append(b, i.helloHash[:]...)
	b = append(b, i.zid[:]...)
	return i.where.Append(b)
}

func parseIntroduction(b []byte) (i introduction, err error) {
	if len(b) < introductionSize {
		return i, fmt.Errorf("%w: an introduction of %d octets", ErrBroken, len(b))
	}
	copy(i.helloHash[:], b)
	copy(i.zid[:], b[len(i.helloHash):])
	if i.where, err = punched.ParseDescription(b[introductionSize:]); err != nil {
		return i, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return i, nil
}
