//go:build !unix

package zidcache

import "io/fs"

const openFlags = 0

// readsNeedLock: Windows does not rename over a file that somebody reads.
const readsNeedLock = true

func isSymlink(error) bool { return false }

// checkRights has no bits to look at; the rights are those of the folder the
// user's profile lies in.
func checkRights(fs.FileInfo, string, fs.FileMode) error { return nil }

// syncFolder has nothing to do: a folder cannot be synced.
func syncFolder(string) error { return nil }
