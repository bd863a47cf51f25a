//go:build !unix

package cli

import "os"

// windowChanges tells nothing here: the next renewal of the line sees it.
func windowChanges() (changed <-chan os.Signal, stop func()) { return nil, func() {} }

func continues() (gone <-chan os.Signal, stop func()) { return nil, func() {} }
