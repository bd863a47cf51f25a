#!/usr/bin/env bash
# The Go tests, in random order, with the race detector where there is cgo. What
# computes sound and nothing else has no goroutines to race, and takes ten times as
# long with the detector: it runs without. The calls' own tests run it with.
set -euo pipefail
cd "$(dirname "$0")/.."

if missing=$(scripts/cgo.sh); then
	sound=$(go list ./audio/{conceal,echo,gain,noise,playout,quality})
	all=$(go list ./...)
	failed=0
	# shellcheck disable=SC2086 # a word each
	go test -timeout 20m -shuffle=on "$@" $sound || failed=1
	# shellcheck disable=SC2046 # a word each
	go test -race -timeout 20m -shuffle=on "$@" $(grep -vxF "$sound" <<<"$all") || failed=1
	exit "$failed"
fi
echo "without the race detector: $missing"
[[ -z ${CI-} ]] || exit 1
CGO_ENABLED=0 exec go test -timeout 20m -shuffle=on "$@" ./...
