/*
 * spandsp's packet loss concealment as a filter, to compare with.
 *
 * Standard input: frames of 161 16-bit words in the machine's order, the first
 * of them non-zero if the frame was lost, the others its 160 samples. Standard
 * output: the 160 samples that are heard instead.
 *
 *     cc -O2 -o plc plc.c -lspandsp -lm
 */
#include <stdint.h>
#include <stdio.h>
#include <spandsp.h>

enum { SAMPLES = 160 };

int main(void)
{
	int16_t frame[1 + SAMPLES];
	plc_state_t plc;

	if (!plc_init(&plc))
		return 1;
	while (fread(frame, sizeof frame, 1, stdin) == 1) {
		if (frame[0])
			plc_fillin(&plc, frame + 1, SAMPLES);
		else
			plc_rx(&plc, frame + 1, SAMPLES);
		if (fwrite(frame + 1, sizeof frame[0], SAMPLES, stdout) != SAMPLES)
			return 1;
	}
	return ferror(stdin) || fflush(stdout) != 0;
}
