//go:build !unix

package cli

import "os"

func inForeground(*os.File) bool { return true }

// restoresOnQuit does nothing: there are no such signals here.
func (*keyboard) restoresOnQuit() (stop func()) { return func() {} }
