#!/usr/bin/env bash
# The program in a hostile world, with real processes and real UDP on loopback:
#   - a port in use (status 31), a name that does not resolve (13): at once,
#     with a message;
#   - 100,000 Hellos, each from another address: the running call loses less
#     than 1 %, memory stays bounded, and what is answered is no more than 3
#     times what was sent; a call that begins in the flood comes about;
#   - the other side killed in mid-call: status 14 after 30 s, at both ends.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
pids=()
cleanup() {
	end "${pids[@]}"
	rm -rf "$work"
}
trap cleanup EXIT
go build -o "$work/flood" ./scripts/flood

# start NAME ARGS...: in the background; its events in NAME, its pid in $pid.
start() {
	local name=$1
	shift
	"$ROOT/securecall" "$@" --json >"$work/$name" 2>"$work/$name.err" &
	pid=$!
	pids+=("$pid")
}
listen() {
	start "$1" listen --ephemeral --bind 127.0.0.1:0 --accept all --mic tone:440 --speaker none "${@:2}"
	await 10 told "$work/$1" listening
	addr=$(sed -n 's/.*"listening","addrs":\["\([^"]*\)".*/\1/p' "$work/$1")
}
dial() {
	start "$1" dial --ephemeral --mic tone:600 --speaker none "${@:3}" "$2"
	await 10 told "$work/$1" answered || fail "$1: no call: $(cat "$work/$1" "$work/$1.err")"
}

# Those who are killed come first: the 30 s pass while the rest is tried.
listen killed-listener
killed=$pid
dial its-dialer "$addr"
dialer=$pid
listen its-listener --once
listener=$pid
dial killed-dialer "$addr"
{
	kill -9 "$killed" "$pid"
	wait "$killed" "$pid" || true
} 2>/dev/null # no news of it from the shell
since=$EPOCHREALTIME

fails() { # STATUS WHAT ARGS...: with that status and a message, within 15 s
	local s=0 want=$1 what=$2
	shift 2
	timeout 15 "$ROOT/securecall" "$@" >"$work/out" 2>"$work/err" || s=$?
	if [[ $s == "$want" && -s $work/err ]]; then
		pass "$what: status $s: $(head -1 "$work/err")"
	else
		fail "$what: status $s, not $want: $(cat "$work/out" "$work/err")"
	fi
}
listen busy-port
fails 31 "a port in use" listen --bind "$addr" --accept all --mic none --speaker none
fails 13 "a name that does not resolve" dial --mic none --speaker none --timeout 8s no-such-host.invalid
echo "no WAV file" >"$work/talk.wav"
fails 31 "a WAV file that is none" dial --mic "$work/talk.wav" --speaker none "$addr"
end "$pid"

memory() { awk -v key="$2:" '$1 == key {print $2}' "/proc/$1/status"; } # kB
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

# flood: a call that has talked for 5 s, and then a flood. A listener is left in $flooded.
flood() {
	rm -f "$work"/{flooded,caller} # or an earlier call's are read
	listen flooded
	flooded=$pid
	dial caller "$addr"
	caller=$pid
	await 10 told "$work/flooded" stats
	before=$(memory "$flooded" VmRSS) cpu=$(ticks "$flooded")
	"$work/flood" "$addr" 100000 10000 >"$work/flood.out"
	after=$(memory "$flooded" VmHWM)
	read -r _ hellos _ took _ _ _ _ _ ratio <"$work/flood.out"
	cpu=$((($(ticks "$flooded") - cpu) * 1000 / $(getconf CLK_TCK)))
	echo "      $hellos Hellos in $took s: memory $before kB before, at most $after kB; $cpu ms of CPU"
	kill -INT "$caller"
	reap "$caller"
	await 5 told "$work/flooded" ended || true
	missed=("$(field "$work/caller" ended loss_pct)" "$(field "$work/flooded" ended loss_pct)")
}
# A machine that stands still for a twentieth of a second lets the socket's buffer run over.
for again in "" ", again" ", and again"; do
	[[ -z $again ]] || end "$flooded"
	flood
	! { is "${missed[0]:-100}" "<" 1 && is "${missed[1]:-100}" "<" 1; } || break
done
check "answered are $ratio times the octets that strangers sent, at most 3" is "$ratio" "<=" 3
check "memory grew by less than 32 MB" test $((after - before)) -lt 32768
check "the running call ends normally" test "$status" = 0
for end in caller flooded; do
	lost=$(field "$work/$end" ended loss_pct)
	check "$end: lost $lost % of $(field "$work/$end" ended received)" is "${lost:-100}" "<" 1
done

"$work/flood" "$addr" 100000 5000 >"$work/flood.out" &
flood=$!
pids+=("$flood")
sleep 1
s=0
timeout 20 "$ROOT/securecall" dial --ephemeral --json --mic none --speaker none --duration 1s "$addr" >"$work/late" 2>&1 || s=$?
check "a call that begins in the middle of a flood comes about" test $s = 0 -a -d "/proc/$flood"
end "$flood" "$flooded"

for end in its-dialer its-listener; do
	pid=$dialer
	if [[ $end == its-listener ]]; then pid=$listener; fi
	await 40 gone "$pid" || true
	if alive "$pid"; then
		fail "$end: hangs after the other side was killed"
		continue
	fi
	reap "$pid"
	waited=$(awk -v a="$(when "$work/$end" ended)" -v b="$since" 'BEGIN {printf "%.1f", a - b}')
	check "$end: the other side was killed: status $status after $waited s" \
		test "$status" = 14 -a "${waited%.*}" -ge 28 -a "${waited%.*}" -le 32
done
exit "$failed"
