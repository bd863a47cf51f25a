//go:build cgo && linux

package device

/*
#cgo pkg-config: alsa
#include <alsa/asoundlib.h>

static void quiet(const char *file, int line, const char *function, int err, const char *fmt, ...) {}

static void quiet_alsa(void) { snd_lib_error_set_handler(quiet); }

static int plays_default(void) {
	snd_pcm_t *pcm;
	if (snd_pcm_open(&pcm, "default", SND_PCM_STREAM_PLAYBACK, SND_PCM_NONBLOCK) < 0)
		return 0;
	snd_pcm_close(pcm);
	return 1;
}
*/
import "C"

// quietALSA keeps ALSA from writing to standard error, in the middle of the
// screen, what it has tried; errors come back all the same.
func quietALSA() { C.quiet_alsa() }

// hasDefaultSpeaker tells whether ALSA's default device plays. Where it does
// not, Oto would go through all that ALSA has a name for, and end at some other
// device, or at libraries that write to the screen.
func hasDefaultSpeaker() bool {
	quietALSA()
	return C.plays_default() == 1
}
