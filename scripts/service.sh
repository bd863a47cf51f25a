#!/usr/bin/env bash
# The units of packaging/ and what they start, as far as that goes without systemd as process 1:
#   - systemd-analyze finds no fault in them, and an exposure of no more than 2.0 of 10;
#   - a call, and a meeting point with a call by a code, at sockets that
#     systemd-socket-activate opens, and which are started by the first packet;
#   - none of both makes a system call that the units forbid, but for those that are known.
# That they tell a manager how they are is in service_linux_test.go, with a socket of its own.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
pids=()
cleanup() {
	end "${pids[@]}"
	rm -rf "$work"
}
trap cleanup EXIT
program=$ROOT/securecall

mkdir "$work/units"
cp packaging/*.service packaging/*.socket "$work/units"
sed -i "s|^ExecStart=/usr/bin/securecall|ExecStart=$program|" "$work"/units/*.service
faultless() {
	local said
	said=$(SYSTEMD_UNIT_PATH=$work/units: systemd-analyze verify --man=no "$work"/units/* 2>&1) && [[ -z $said ]] && return
	echo "$said"
	return 1
}
check "the units are in order" faultless
for unit in "$work"/units/*.service; do
	said=$(systemd-analyze security --no-pager --offline=yes --threshold=20 "$unit" 2>&1) && secure=0 || secure=$?
	check "${unit##*/}: $(sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p' <<<"$said") of 10" test "$secure" = 0
done

# activated NAME FLAGS... -- ARGS...: securecall ARGS at a socket that is opened first, at a
# port that is free, which becomes $port.
activated() {
	local name=$1 flags=() tries
	shift
	while [[ $1 != -- ]]; do flags+=("$1") && shift; done
	shift
	for tries in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 12000))
		systemd-socket-activate "${flags[@]}" -l "127.0.0.1:$port" "$program" "$@" >"$work/$name" 2>"$work/$name.err" &
		pid=$!
		pids+=("$pid")
		await 5 grep -qs "Listening on" "$work/$name.err" && return
		((tries < 5)) || fail "$name: no socket: $(cat "$work/$name.err")"
	done
}

# A call at a UDP socket.
activated bob -d --fdname=securecall-listen.socket -- listen --ephemeral --accept all --once --echo --json
test ! -s "$work/bob" || fail "the listener has started before anybody called"
s=0
"$program" dial --ephemeral --mic tone:440 --speaker none --duration 2s --json "127.0.0.1:$port" >"$work/alice" 2>&1 || s=$?
reap "$pid"
check "a call at a socket of systemd's: statuses $s and $status" test "$s$status" = 00
check "it says where it listens" grep -q "\"127.0.0.1:$port\"" "$work/bob"
check "both had keys" test "$(field "$work/alice" secured sas)" = "$(field "$work/bob" secured sas)" -a -n "$(field "$work/bob" secured sas)"

# A meeting point at a TCP socket, and a call by a code.
activated meet --fdname=meet -- rendezvous --no-tls --turn-bind none
meet=$pid
"$program" listen --ephemeral --via "ws://127.0.0.1:$port" --bind 127.0.0.1 --accept all --once --mic none --speaker none --json >"$work/carol" 2>&1 &
carol=$!
pids+=("$carol")
await 10 told "$work/carol" listening || fail "no code: $(cat "$work/carol" "$work/meet.err")"
s=0
"$program" dial --ephemeral --via "ws://127.0.0.1:$port" --bind 127.0.0.1 --mic tone:440 --speaker none --duration 1s "$(field "$work/carol" listening code)" >"$work/dave" 2>&1 || s=$?
reap "$carol"
check "a call by a code of a meeting point at a socket of systemd's: statuses $s and $status" test "$s$status" = 00
kill -TERM "$meet"
reap "$meet"
check "the meeting point ends with $status" test "$status" = 0

# What is passed and does not fit is refused with a word.
activated wrong -d --fdname=meet -- rendezvous --no-tls --turn-bind none
echo >"/dev/udp/127.0.0.1/$port"
reap "$pid"
check "a UDP socket for a meeting point: status $status" test "$status" = 2
check "and it says why" grep -q "takes one TCP socket" "$work/wrong.err"

if ! has strace; then
	if [[ ${CI-} ]]; then fail "strace is not here"; else echo "left out: system calls: there is no strace"; fi
	exit "$failed"
fi
# members SET...: the system calls of sets, with those of the sets in them.
members() {
	local set line
	for set; do
		while read -r line; do
			case $line in
			'#'* | "$set" | '') ;;
			@*) members "$line" ;;
			*) echo "$line" ;;
			esac
		done < <(systemd-analyze --no-pager syscall-filter "$set")
	done
}
comm -23 <(members @system-service | sort -u) <(members @privileged @resources @keyring | sort -u) >"$work/allowed"
check "the units allow $(wc -l <"$work/allowed") system calls" test "$(wc -l <"$work/allowed")" -gt 200

# traced NAME ARGS...: securecall ARGS, and the names of the system calls that it makes.
traced() {
	local name=$1
	shift
	# The tracer stands aside (-D): what is ended at the end, come what may, is the program itself.
	strace -D -f -q -o "$work/$name.calls" "$program" "$@" >"$work/$name" 2>"$work/$name.err" &
	pid=$!
	pids+=("$pid")
}
# forbidden NAME: what it has called and the units forbid. Go asks for more open files at its
# start (prlimit64), and goes on where it gets none.
forbidden() {
	await 5 grep -qs "^[0-9]* *+++ exited" "$work/$1.calls" || echo "it was not traced to its end"
	sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$work/$1.calls" | sort -u >"$work/$1.names"
	comm -23 "$work/$1.names" "$work/allowed" | sed "/^prlimit64$/d"
}
traced erin listen --ephemeral --bind 127.0.0.1:0 --accept all --once --echo --json
await 20 told "$work/erin" listening || fail "no listener under strace: $(cat "$work/erin.err")"
addr=$(sed -n 's/.*"listening","addrs":\["\([^"]*\)".*/\1/p' "$work/erin")
"$program" dial --ephemeral --mic tone:440 --speaker none --duration 1s "$addr" >"$work/frank" 2>&1 || fail "no call under strace: $(cat "$work/frank")"
reap "$pid"
check "listen makes no system call that its unit forbids$(forbidden erin | sed 's/^/: /')" test -z "$(forbidden erin)"
traced meet rendezvous --no-tls --bind 127.0.0.1:0 --turn-bind 127.0.0.1:0 --turn-private
await 20 grep -qs -- "--via ws" "$work/meet" || fail "no meeting point under strace: $(cat "$work/meet.err")"
via=$(sed -n 's/.*--via //p' "$work/meet")
"$program" listen --ephemeral --via "$via" --relay-only --accept all --once --mic none --speaker none --json >"$work/grace" 2>&1 &
grace=$!
pids+=("$grace")
await 20 told "$work/grace" listening || fail "no code under strace: $(cat "$work/grace")"
"$program" dial --ephemeral --via "$via" --relay-only --mic tone:440 --speaker none --duration 1s "$(field "$work/grace" listening code)" >"$work/heidi" 2>&1 ||
	fail "no call over the relay under strace: $(cat "$work/heidi")"
reap "$grace"
kill -TERM "$pid"
reap "$pid"
check "rendezvous makes no system call that its unit forbids$(forbidden meet | sed 's/^/: /')" test -z "$(forbidden meet)"
exit "$failed"
