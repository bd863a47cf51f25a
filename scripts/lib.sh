# Sourced by the other scripts: where things are, PASS and FAIL lines, and the
# ending of what they started.
# shellcheck shell=bash disable=SC2034

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD

export SECURECALL_CONFIG=/dev/null # no settings of whoever runs them

failed=0
pass() { echo "PASS  $*"; }
fail() { echo "FAIL  $*"; failed=1; }

# check WHAT COMMAND...: a PASS or FAIL line by how COMMAND ends, with the seconds if it
# took many.
check() {
	local what=$1 began=$SECONDS took=
	shift
	if "$@"; then set -- pass; else set -- fail; fi
	if ((SECONDS - began >= 10)); then took=" ($((SECONDS - began)) s)"; fi
	"$1" "$what$took"
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
alive() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" && [[ ${stat##*) } != Z* ]]
}

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

# reap PID: waits for a child and puts its exit status into $status. What has not ended
# in two minutes never will: it is killed, so that a check fails rather than hangs.
reap() {
	status=0
	await 120 gone "$1" || kill -9 "$1"
	wait "$1" || status=$?
}

# thrice COMMAND...: until it succeeds, three times at most. For what listens to real sound: a
# machine that stands still for a moment spoils it once, a fault each time.
thrice() { "$@" || "$@" || "$@"; }

# field FILE EVENT NAME: from the last such event that --json wrote; not time,
# which stands before the event's name.
field() { sed -n "s/.*\"event\":\"$2\".*\"$3\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$1" | tail -1; }

# when FILE EVENT: seconds since 1970.
when() { date -d "$(sed -n "s/.*\"time\":\"\([^\"]*\)\",\"event\":\"$2\".*/\1/p" "$1" | tail -1)" +%s.%N; }

# told FILE EVENT: has it been written?
told() { grep -qs "\"event\":\"$2\"" "$1"; }

# missing WHAT: what a comparison with others needs and is not here; status 2.
missing() {
	echo "${0##*/}: $*" >&2
	exit 2
}

# speech FILE...: recorded speech into $files: FILEs, or else Debian's. Sentences
# rather than single words: files of 6 s and more; one in EVERY (1) of them.
speech() {
	files=("$@")
	(($#)) && return
	local sounds=/usr/share/asterisk/sounds
	[[ ! -d $sounds ]] || mapfile -t files < <(find "$sounds" -path '*/en*' -name '*.wav' -size +96000c | LC_ALL=C sort)
	mapfile -t files < <(printf '%s\n' "${files[@]}" | awk -v every="${EVERY:-1}" 'length && NR % every == 0')
	((${#files[@]})) || missing "no recorded speech: apt-get install asterisk-core-sounds-en-wav"
}
