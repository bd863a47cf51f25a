//go:build unix

package ctl

import (
	"io/fs"
	"os"
	"syscall"
)

const hasModes = true

func owned(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
