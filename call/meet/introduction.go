package meet

import (
	"encoding/binary"
	"fmt"

	"securecall/call"
	"securecall/nat/punched"
)

// What is sealed on its way through the meeting point begins with its kind:
//
//	1  an introduction: 32 octets SHA-256 of the Hello (RFC 6189, Section 8.1), 4 octets
//	   SSRC, 12 octets ZID, and a description of where its sender may be found
//	2  more candidates: that description, as it is now
//	3  where its sender is now, in another network (follow.go)
//	4  nothing: whoever sends it has the keys
//	5  nothing: its sender is in another call
//
// Kinds that are not known are passed over.
const (
	kindIntroduction = 1
	kindMore         = 2
	kindBusy         = 5

	announcementSize = 32 + 4 + 12
)

// An introduction is who somebody is, and where.
type introduction struct {
	call.Announcement
	where punched.Description
}

func (i introduction) append(b []byte) []byte {
	b = append(b, i.HelloHash[:]...)
	b = binary.BigEndian.AppendUint32(b, i.SSRC)
	b = append(b, i.ZID[:]...)
	return i.where.Append(b)
}

func parseIntroduction(b []byte) (i introduction, err error) {
	if len(b) < announcementSize {
		return i, fmt.Errorf("%w: an introduction of %d octets", ErrOtherEnd, len(b))
	}
	copy(i.HelloHash[:], b)
	i.SSRC = binary.BigEndian.Uint32(b[32:])
	copy(i.ZID[:], b[36:])
	if i.where, err = punched.ParseDescription(b[announcementSize:]); err != nil {
		return i, fmt.Errorf("%w: %w", ErrOtherEnd, err)
	}
	return i, nil
}
