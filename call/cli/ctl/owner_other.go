//go:build !unix

package ctl

import "io/fs"

const hasModes = false

func owned(fs.FileInfo) bool { return true }
