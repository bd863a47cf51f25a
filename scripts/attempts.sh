#!/usr/bin/env bash
# A hostile crowd at securecall rendezvous, a real process with its default limits, over
# TLS on loopback: 100,000 joins with random numbers and wrong words, from 100 addresses
# with as many connections as they like, while 400 mailboxes wait.
#   - At most 100 of them come through to a key exchange, and each is known to the one who
#     waits there;
#   - no mailbox is listed, read, overwritten, deleted or used up beyond that: afterwards
#     every one that waits can be joined with the right words;
#   - two who meet by a name do so all the while;
#   - the process's memory stays bounded.
# Takes half a minute. Needs openssl.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
pids=()
cleanup() {
	end "${pids[@]}"
	rm -rf "$work"
}
trap cleanup EXIT
[[ -x securecall ]] || scripts/build.sh
go build -o "$work/attempts" ./scripts/attempts

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=meet \
	-addext "subjectAltName=IP:127.0.0.1" -keyout "$work/key" -out "$work/cert" 2>/dev/null
"$ROOT/securecall" rendezvous --bind 127.0.0.1:0 --turn-bind none --tls-cert "$work/cert" --tls-key "$work/key" \
	>"$work/out" 2>"$work/log" &
server=$! pids+=($!)
await 5 grep -qs "the meeting point is open" "$work/log" || { cat "$work/log" && exit 1; }
at=$(sed -n 's/the meeting point is open at //p' "$work/log")

memory() { awk -v key="$1:" '$1 == key {print $2}' "/proc/$server/status"; } # kB
before=$(memory VmRSS)
status=0
timeout 150 "$work/attempts" "$work/cert" "$at" >"$work/figures" || status=$?
peak=$(memory VmHWM)
grep -v "^attempts " "$work/figures" || true

# figure NAME: of the program's last line.
figure() { awk -v name="$1" '/^attempts / { for (i = 1; i < NF; i += 2) if ($i == name) print $(i + 1) }' "$work/figures"; }
made=$(figure attempts) reached=$(figure reached)
echo "      $made joins by $(figure connections) connections of 100 addresses in $(figure seconds) s; $(figure guessed) guesses at words;" \
	"memory $before kB before, at most $peak kB"
check "100,000 attempts were made" test "$made" = 100000
# With so many mailboxes twice as many would come through if nothing but each address's own
# limit held them back, and if far fewer do, the crowd was not one.
check "of them $reached came through to a key exchange, at most 100" eval "is ${reached:-0} '>=' 50 && is ${reached:-999} '<=' 100"
check "$(figure good) of $(figure waiting) mailboxes that wait afterwards are good" test "$(figure good)" = "$(figure waiting)"
check "two met by a name $(figure names) times meanwhile, each within $(figure slowest_ms) ms" is "$(figure names)" ">=" 3
check "nothing else happened that must not" test "$status $(figure untoward)" = "0 0"
check "memory grew by $((peak - before)) kB, by less than 256 MB" is $((peak - before)) "<" 262144
check "and it still runs" alive "$server"
end "$server"
exit "$failed"
