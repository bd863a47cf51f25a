#!/usr/bin/env bash
# Acoustic echo cancellation offline, on Debian's recorded speech in simulated
# rooms: securecall's beside speexdsp's. Takes half a minute. Needs Go and a C
# compiler, asterisk-core-sounds-en-wav and libspeexdsp-dev. Ends with PASS and
# status 0 if securecall's takes out 30 dB of the far end alone, leaves less noise
# than speexdsp's while both speak and changes nothing where there is no echo; FAIL
# and 1 if not, 2 if something is missing.
#
#     echo.sh [FILE.wav...]    other speech: mono, 16 bit, 8 kHz
. "$(dirname "$0")/lib.sh"

has go || missing "go is not installed"
has cc || missing "no C compiler: apt-get install gcc"

speech "$@"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -Wall -o "$work/aec" scripts/echo/speexdsp/aec.c -lspeexdsp 2>"$work/why" ||
	missing "no speexdsp ($(head -1 "$work/why")): apt-get install libspeexdsp-dev"
go build -o "$work/echo" ./scripts/echo || missing "it does not build"

"$work/echo" "$work/aec" "${files[@]}"
