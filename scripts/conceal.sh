#!/usr/bin/env bash
# Packet loss concealment offline, on Debian's recorded speech: securecall's,
# spandsp's and plain silence, at the same losses. Takes half a minute. Needs Go
# and a C compiler, asterisk-core-sounds-en-wav and libspandsp-dev. Ends with
# PASS and status 0 if securecall's is nowhere worse than spandsp's, FAIL and 1
# if it is, 2 if something is missing.
#
#     conceal.sh [FILE.wav...]    other speech: mono, 16 bit, 8 kHz
. "$(dirname "$0")/lib.sh"

has go || missing "go is not installed"
has cc || missing "no C compiler: apt-get install gcc"

speech "$@"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '#include <spandsp.h>' | cc -E -o "$work/header" - 2>"$work/why" ||
	missing "no spandsp ($(head -1 "$work/why")): apt-get install libspandsp-dev"
cc -O2 -Wall -o "$work/plc" scripts/conceal/spandsp/plc.c -lspandsp -lm ||
	missing "spandsp does not link: apt-get install libspandsp-dev"
go build -o "$work/conceal" ./scripts/conceal || missing "it does not build"

"$work/conceal" "$work/plc" "${files[@]}"
