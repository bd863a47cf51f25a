# Sourced by the other scripts: where things are, PASS and FAIL lines, and the
# ending of what they started.
# shellcheck shell=bash disable=SC2034

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD

failed=0
pass() { echo "PASS  $*"; }
fail() { echo "FAIL  $*"; failed=1; }

# check WHAT COMMAND...: a PASS or FAIL line by how COMMAND ends.
check() {
	local what=$1
	shift
	if "$@"; then pass "$what"; else fail "$what"; fi
}

# has COMMAND...: are they all here?
has() { for c; do command -v "$c" >/dev/null || return 1; done; }

# is A OP B: a comparison of decimal numbers.
is() { awk -v a="$1" -v b="$3" "BEGIN { exit !(a $2 b) }"; }

# await SECONDS COMMAND...: until COMMAND succeeds, or not in that time.
await() {
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < until)) || return 1
		sleep 0.05
	done
}

# alive PID: it runs, and is not merely unburied.
alive() { [[ $(ps -o stat= -p "$1" 2>/dev/null) == [!Z]* ]]; }

# end PID...: gently at first. They are our own children, so the numbers
# cannot have passed to somebody else.
end() {
	local p
	for p; do
		kill "$p" 2>/dev/null || continue
		await 3 gone "$p" || kill -9 "$p" 2>/dev/null || true
	done
	for p; do wait "$p" 2>/dev/null || true; done
}
gone() { ! alive "$1"; }

# status PID: the exit status of a child, without set -e's opinion of it.
status() {
	local s=0
	wait "$1" || s=$?
	echo "$s"
}
