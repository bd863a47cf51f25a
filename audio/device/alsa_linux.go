//go:build cgo && linux

package device

/*
#cgo pkg-config: alsa
#include <alsa/asoundlib.h>

static void quiet(const char *file, int line, const char *function, int err, const char *fmt, ...) {}

static void quiet_alsa(void) { snd_lib_error_set_handler(quiet); }
*/
import "C"

// quietALSA keeps ALSA from writing to standard error, in the middle of the
// screen, what it has tried; errors come back all the same.
func quietALSA() { C.quiet_alsa() }
