#!/usr/bin/env bash
# What a call costs, as a table: from dial to secured on loopback and at 100 ms
# round trip, the start of "securecall version", and processor and memory of a
# call of a minute (CALL=10s: of another length). The program says what it is
# measured against; it is no test and fails only where a call does.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[[ -x securecall ]] || scripts/build.sh
go build -o "$work/bench" ./scripts/bench
"$work/bench" ./securecall "${CALL:-1m}"
