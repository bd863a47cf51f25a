#!/usr/bin/env bash
# The Go tests, in random order, with the race detector where there is cgo.
set -euo pipefail
cd "$(dirname "$0")/.."

if missing=$(scripts/cgo.sh); then
	exec go test -race -shuffle=on "$@" ./...
fi
echo "without the race detector: $missing"
[[ -z ${CI-} ]] || exit 1
CGO_ENABLED=0 exec go test -shuffle=on "$@" ./...
