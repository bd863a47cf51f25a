/*
 * speexdsp's noise suppression as a filter, to compare with.
 *
 *     denoise
 *
 * Standard input and output: frames of 160 16-bit words in the machine's order. It
 * suppresses by 15 dB, which is its default.
 *
 *     cc -O2 -o denoise denoise.c -lspeexdsp
 */
#include <speex/speex_preprocess.h>
#include <stdint.h>
#include <stdio.h>

enum { SAMPLES = 160, RATE = 8000 };

int main(void)
{
	int16_t frame[SAMPLES];
	int on = 1, off = 0, most = -15;
	SpeexPreprocessState *pre = speex_preprocess_state_init(SAMPLES, RATE);

	speex_preprocess_ctl(pre, SPEEX_PREPROCESS_SET_DENOISE, &on);
	speex_preprocess_ctl(pre, SPEEX_PREPROCESS_SET_NOISE_SUPPRESS, &most);
	speex_preprocess_ctl(pre, SPEEX_PREPROCESS_SET_AGC, &off);
	while (fread(frame, sizeof frame, 1, stdin) == 1) {
		speex_preprocess_run(pre, frame);
		if (fwrite(frame, sizeof frame, 1, stdout) != 1)
			return 1;
	}
	return ferror(stdin) || fflush(stdout) != 0;
}
