#!/usr/bin/env bash
# Can securecall be built with cgo here? Status 0, or 1 and what is missing.
set -euo pipefail

if [[ ${CGO_ENABLED-} == 0 ]]; then
	echo "CGO_ENABLED is 0"
	exit 1
fi
cc=$(go env CC)
if ! command -v "${cc%% *}" >/dev/null; then
	echo "there is no C compiler ($cc)"
	exit 1
fi
if [[ $(go env GOOS) == linux ]]; then
	if ! command -v pkg-config >/dev/null; then
		echo "there is no pkg-config to find ALSA's headers with"
		exit 1
	fi
	if ! pkg-config --exists alsa; then
		echo "ALSA's headers are not here"
		exit 1
	fi
fi
