//go:build cgo && linux

package device

/*
#cgo pkg-config: alsa
#include <alsa/asoundlib.h>

static void quiet(const char *file, int line, const char *function, int err, const char *fmt, ...) {}

static void quiet_alsa(void) { snd_lib_error_set_handler(quiet); }

// default_rate is the rate nearest to wanted at which the default speaker runs
// without ALSA's own conversion; wanted if it does not say, 0 if there is none.
static unsigned default_rate(unsigned wanted) {
	snd_pcm_t *pcm;
	if (snd_pcm_open(&pcm, "default", SND_PCM_STREAM_PLAYBACK, SND_PCM_NONBLOCK) < 0)
		return 0;
	snd_pcm_hw_params_t *params;
	snd_pcm_hw_params_alloca(&params);
	unsigned rate = wanted;
	if (snd_pcm_hw_params_any(pcm, params) < 0 ||
			snd_pcm_hw_params_set_rate_resample(pcm, params, 0) < 0 ||
			snd_pcm_hw_params_set_rate_near(pcm, params, &rate, NULL) < 0)
		rate = wanted;
	snd_pcm_close(pcm);
	return rate;
}
*/
import "C"

// quietALSA keeps ALSA from writing to standard error, in the middle of the
// screen, what it has tried; errors come back all the same.
func quietALSA() { C.quiet_alsa() }

// defaultSpeakerRate is the rate at which ALSA's default device plays, in Hz: at
// another one Oto would have it converted by ALSA, which interpolates linearly. It
// is 0 where that device does not play: Oto would go through all that ALSA has a
// name for, and end at some other device, or at libraries that write to the screen.
func defaultSpeakerRate() int {
	quietALSA()
	return int(C.default_rate(deviceRate))
}
