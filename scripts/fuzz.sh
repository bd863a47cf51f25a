#!/usr/bin/env bash
# Fuzzes every target there is, each for $1: 10s, or a count of inputs such as
# 4000x. (A time may end in a false alarm with Go 1.26: golang.org/issue/75804.)
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
while read -r package target; do
	found=$((found + 1))
	echo "fuzzing $target in $package for ${1:-10s}"
	# What goes well is not worth a line a second.
	if ! out=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-10s}" -fuzzminimizetime 1x "$package" 2>&1); then
		echo "$out"
		exit 1
	fi
done < <(go test -list '^Fuzz' -json ./... |
	sed -n 's/.*"Action":"output","Package":"\([^"]*\)","Output":"\(Fuzz[A-Za-z0-9_]*\)\\n".*/\1 \2/p')
if ((found == 0)); then
	echo "no fuzz target was found" >&2
	exit 1
fi
