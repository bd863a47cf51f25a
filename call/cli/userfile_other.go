//go:build !unix

package cli

import "io/fs"

// trusted takes any file: who may write it, its mode does not tell here.
func trusted(fs.FileInfo) error { return nil }
