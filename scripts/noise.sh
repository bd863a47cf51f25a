#!/usr/bin/env bash
# Noise suppression offline, on Debian's recorded speech with backgrounds of several
# kinds: securecall's beside speexdsp's. Takes a minute. Needs Go and a C
# compiler, asterisk-core-sounds-en-wav and libspeexdsp-dev. Ends with PASS and
# status 0 if securecall's makes steady backgrounds 12 dB weaker and not less so than
# speexdsp's, leaves the speech nearer to what it was and changes nothing where there
# is no background; FAIL and 1 if not, 2 if something is missing.
#
#     noise.sh [FILE.wav...]    other speech: mono, 16 bit, 8 kHz
. "$(dirname "$0")/lib.sh"

has go || missing "go is not installed"
has cc || missing "no C compiler: apt-get install gcc"

speech "$@"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -Wall -o "$work/denoise" scripts/noise/speexdsp/denoise.c -lspeexdsp 2>"$work/why" ||
	missing "no speexdsp ($(head -1 "$work/why")): apt-get install libspeexdsp-dev"
go build -o "$work/noise" ./scripts/noise || missing "it does not build"

"$work/noise" "$work/denoise" "${files[@]}"
