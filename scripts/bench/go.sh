#!/usr/bin/env bash
# The Go benchmarks, COUNT (10) times each, into bench.txt; what was there
# becomes bench.old.txt and is compared with it. BENCH chooses among them by a
# regular expression.
set -euo pipefail
cd "$(dirname "$0")/../.."

new=$(mktemp)
trap 'rm -f "$new"' EXIT
go test -run '^$' -bench "${BENCH:-.}" -benchmem -count "${COUNT:-10}" ./... |
	grep -v -e '^?' -e '^ok.*no test' -e '^PASS$' | tee "$new"
if [[ -e bench.txt ]]; then mv bench.txt bench.old.txt; fi
cp "$new" bench.txt

echo
if [[ -e bench.old.txt ]]; then
	go tool -modfile=scripts/tools.mod benchstat bench.old.txt bench.txt
else
	go tool -modfile=scripts/tools.mod benchstat bench.txt
fi
