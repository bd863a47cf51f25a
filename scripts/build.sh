#!/usr/bin/env bash
# Builds ./securecall: with cgo, and so with Oto and miniaudio, where there is
# a C compiler and, on Linux, ALSA's headers; otherwise says what to install
# and builds the static one.
set -euo pipefail
cd "$(dirname "$0")/.."

if missing=$(scripts/cgo.sh); then
	CGO_ENABLED=1 go build -trimpath -o securecall .
	echo "built ./securecall with the system's sound libraries"
	exit
fi
CGO_ENABLED=0 go build -trimpath -o securecall .
cat <<E2
built ./securecall without cgo: $missing.
  It does everything but speak to ALSA itself: sound goes through PulseAudio or
  PipeWire, files and pipes. For the rest: apt-get install libasound2-dev pkg-config gcc
E2
