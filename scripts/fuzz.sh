#!/usr/bin/env bash
# Fuzzes every target there is, each for $1: 10s, or a count of inputs such as
# 4000x. (A time may end in a false alarm with Go 1.26: golang.org/issue/75804.)
# As many at once as there are processors: most of the time goes into linking, one
# program for each target.
set -euo pipefail
cd "$(dirname "$0")/.."

export limit=${1:-10s}

# fuzz FOLDER TARGET. What goes well is not worth a line a second. With the tag
# there is no NATS server in the tests, which would be compiled once more for this.
fuzz() {
	local out
	echo "fuzzing $2 in $1 for $limit"
	if ! out=$(go test -tags fuzzing -run '^$' -fuzz "^$2\$" -fuzztime "$limit" -fuzzminimizetime 1x -parallel 2 "$1" 2>&1) ||
		[[ $out != *"fuzz: elapsed"* ]]; then
		echo "$out"
		return 1
	fi
}
export -f fuzz

# From the source: go test -list would link every package's tests to ask them.
targets=$(grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func | |')
if [[ -z $targets ]]; then
	echo "no fuzz target was found" >&2
	exit 1
fi
# shellcheck disable=SC2016 # for the inner shell
xargs -P "$(nproc)" -L 1 bash -c 'fuzz "$0" "$1"' <<<"$targets"
