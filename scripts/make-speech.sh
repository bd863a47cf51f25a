#!/bin/sh
# Makes audio/speech/speech.ulaw, the speech that demo plays: 8 kHz mono µ-law
# without a header, in the voice of espeak-ng. Needs espeak-ng and sox.
set -eu
cd "$(dirname "$0")/.."
text="This is securecall. If you can hear this, the call works."
wav=$(mktemp)
trap 'rm -f "$wav"' EXIT
espeak-ng -v en-gb -s 150 -w "$wav" "$text"
# A telephone's band, half a second of silence at the end, and no dither: the
# result is the same each time.
sox -D -t wav "$wav" -t raw -r 8000 -c 1 -e mu-law audio/speech/speech.ulaw \
	norm -6 sinc 200-3400 pad 0.1 0.4
