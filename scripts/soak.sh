#!/usr/bin/env bash
# One long call on loopback, $1 (1h) long: says every minute what it has lost
# and how big both ends are. Fails if the call does, if anything is lost, or if
# an end grows by more than 8 MB after its first two minutes: 4 are what the
# garbage collector lets lie about.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
pids=()
cleanup() {
	end "${pids[@]}"
	rm -rf "$work"
}
trap cleanup EXIT
[[ -x securecall ]] || scripts/build.sh

./securecall listen --ephemeral --bind 127.0.0.1:0 --accept all --once --json --mic tone:440 --speaker none >"$work/b" &
listener=$! pids+=($!)
await 10 told "$work/b" listening
addr=$(sed -n 's/.*"listening","addrs":\["\([^"]*\)".*/\1/p' "$work/b")
./securecall dial --ephemeral --json --mic tone:600 --speaker none --duration "${1:-1h}" "$addr" >"$work/a" &
dialer=$! pids+=($!)
await 10 told "$work/a" answered

memory() { awk '$1 == "VmRSS:" {print $2}' "/proc/$1/status" 2>/dev/null || echo 0; } # kB
printf '%8s %10s %10s %10s %10s %12s\n' minutes a_kB b_kB a_loss_% b_loss_% a_delay_ms
minutes=0 early=
while await 60 gone "$dialer" || minutes=$((minutes + 1)) && alive "$dialer"; do
	now="$(memory "$dialer") $(memory "$listener")"
	if ((minutes == 2)); then early=$now; fi
	late=$now
	# shellcheck disable=SC2086 # two numbers
	printf '%8d %10d %10d %10s %10s %12s\n' $minutes $now \
		"$(field "$work/a" stats loss_pct)" "$(field "$work/b" stats loss_pct)" "$(field "$work/a" stats playout_delay_ms)"
done
reap "$dialer"
check "the dialler's status is 0 (it is $status)" test "$status" = 0
reap "$listener"
check "the listener's status is 0 (it is $status)" test "$status" = 0
for end in a b; do
	lost=$(field "$work/$end" ended loss_pct)
	check "$end lost $lost % of $(field "$work/$end" ended received)" is "${lost:-100}" "<=" 0
done
if [[ $early ]]; then
	read -r a0 b0 a1 b1 <<<"$early $late"
	check "the dialler grew from $a0 to $a1 kB" test $((a1 - a0)) -le 8192
	check "the listener grew from $b0 to $b1 kB" test $((b1 - b0)) -le 8192
fi
exit "$failed"
