/*
 * speexdsp's echo canceller as a filter, with the residual suppression of its
 * preprocessor, to compare with.
 *
 *     aec TAIL DELAY
 *
 * Standard input: frames of 320 16-bit words in the machine's order, 160 samples
 * that were played and 160 that were recorded. Standard output: 160 samples, what
 * is sent. TAIL is the filter's length in samples, DELAY by how many samples the
 * echo is known to come later than it was played.
 *
 *     cc -O2 -o aec aec.c -lspeexdsp
 */
#include <speex/speex_echo.h>
#include <speex/speex_preprocess.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 160, RATE = 8000, MOST = 1 << 15 };

int main(int argc, char **argv)
{
	static int16_t past[MOST + SAMPLES];
	int16_t frame[2 * SAMPLES], out[SAMPLES];
	int rate = RATE, off = 0, tail, delay;
	SpeexEchoState *echo;
	SpeexPreprocessState *pre;

	if (argc != 3)
		return 2;
	tail = atoi(argv[1]);
	delay = atoi(argv[2]);
	if (tail <= 0 || delay < 0 || delay > MOST)
		return 2;
	echo = speex_echo_state_init(SAMPLES, tail);
	pre = speex_preprocess_state_init(SAMPLES, RATE);
	speex_echo_ctl(echo, SPEEX_ECHO_SET_SAMPLING_RATE, &rate);
	speex_preprocess_ctl(pre, SPEEX_PREPROCESS_SET_ECHO_STATE, echo);
	speex_preprocess_ctl(pre, SPEEX_PREPROCESS_SET_DENOISE, &off);
	speex_preprocess_ctl(pre, SPEEX_PREPROCESS_SET_AGC, &off);
	while (fread(frame, sizeof frame, 1, stdin) == 1) {
		memmove(past, past + SAMPLES, MOST * sizeof past[0]);
		memcpy(past + MOST, frame, SAMPLES * sizeof past[0]);
		speex_echo_cancellation(echo, frame + SAMPLES, past + MOST - delay, out);
		speex_preprocess_run(pre, out);
		if (fwrite(out, sizeof out[0], SAMPLES, stdout) != SAMPLES)
			return 1;
	}
	return ferror(stdin) || fflush(stdout) != 0;
}
