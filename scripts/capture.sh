#!/usr/bin/env bash
# A whole call between two network namespaces, recorded with tcpdump and looked
# at with tshark, as somebody on the way would. Checks that
#   - ZRTP comes first, its dissector finds every CRC right, and nothing like
#     RTP or RTCP is sent before Conf2ACK;
#   - there is nothing but ZRTP, SRTP and SRTCP, and media is one size (two,
#     before and after the other side has said what it takes) and one
#     period each way, in silence too;
#   - what SRTP carries, taken as G.711, is neither the speech nor anything
#     but noise;
#   - and that each of these checks fails where it should.
# Needs root, iproute2, tcpdump, tshark. Leaves nothing behind.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
a=securecall-$$-a b=securecall-$$-b
pids=()
cleanup() {
	end "${pids[@]}"
	ip netns del "$a" 2>/dev/null || true
	ip netns del "$b" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

go build -o "$work/measure" ./scripts/measure
"$work/measure" speech "$work/said.wav" 2

ip netns add "$a"
ip netns add "$b"
ip -n "$a" link add wire type veth peer name wire netns "$b"
ip -n "$a" addr add 192.0.2.1/24 dev wire
ip -n "$b" addr add 192.0.2.2/24 dev wire
for n in "$a" "$b"; do
	ip -n "$n" link set lo up
	ip -n "$n" link set wire up
done

# exec, so that the pid is tcpdump's; -Z root, since $work is ours alone.
(exec ip netns exec "$a" tcpdump -Z root -i wire -U -w "$work/call.pcap" udp 2>"$work/tcpdump") &
recorder=$! pids+=($!)
await 10 grep -qs "listening on" "$work/tcpdump"

# The caller speaks; the other side is silent all along.
(exec ip netns exec "$b" "$ROOT/securecall" listen --ephemeral --accept all --once --json --mic none --speaker "$work/heard.wav" >"$work/b" 2>&1) &
listener=$! pids+=($!)
await 10 told "$work/b" listening || { cat "$work/b"; exit 1; }
called=0
timeout 60 ip netns exec "$a" "$ROOT/securecall" dial --ephemeral --json --mic "$work/said.wav" --speaker none --hangup-at-eof 192.0.2.2 >"$work/a" 2>&1 || called=$?
check "the caller's status is 0" test $called = 0
reap $listener
check "the called side's status is 0" test "$status" = 0
sas=$(field "$work/a" secured sas)
check "both show the same SAS ($sas)" test -n "$sas" -a "$sas" = "$(field "$work/b" secured sas)"
alike=$("$work/measure" alike "$work/said.wav" "$work/heard.wav")
check "the speech arrived: $alike" is "$(awk '{print $2}' <<<"$alike")" ">" 0.95

sleep 0.5 # what is still on its way to the recorder
kill -INT $recorder
wait $recorder || true
grep -q "^0 packets dropped by kernel" "$work/tcpdump" || fail "the recorder lost packets"

# dissect RECORDING FILTER FIELD...: tabbed fields. The port is RTP's own; its
# dissector hands over to those of ZRTP and SRTP.
dissect() {
	local recording=$1 filter=$2 f fields=()
	shift 2
	for f; do fields+=(-e "$f"); done
	tshark -r "$recording" -d udp.port==5004,rtp -Y "$filter" -T fields "${fields[@]}" 2>/dev/null
}
good_crcs() {
	local all
	all=$(dissect "$1" zrtp zrtp.checksum.status | wc -l)
	# Hello, HelloACK, Hello, Commit, DHPart1, DHPart2, Confirm1, Confirm2, Conf2ACK
	((all >= 9)) && [[ $(dissect "$1" zrtp zrtp.checksum.status | sort -u) == 1 ]]
}

call=$work/call.pcap
check "all $(dissect "$call" zrtp frame.number | wc -l) ZRTP messages have the right CRC" good_crcs "$call"
# A byte of the first Hello: after the headers of the file, the packet (pcap),
# Ethernet, IPv4 and UDP, and 40 bytes into the message.
cp "$call" "$work/flipped.pcap"
at=$((24 + 16 + 14 + 20 + 8 + 40))
byte=$(od -An -tu1 -j $at -N 1 "$call")
# shellcheck disable=SC2059 # the escape is the point
printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$work/flipped.pcap" bs=1 seek=$at conv=notrunc status=none
if good_crcs "$work/flipped.pcap"; then fail "control: a flipped bit is not seen"; else pass "control: a flipped bit is seen"; fi

# From here on without trust in the dissector: by the first bytes, as RFC 7983
# and RFC 5761 tell them apart.
dissect "$call" udp frame.time_relative udp.srcport udp.payload >"$work/packets"
# time, way, kind, size, payload
awk '{
	first = substr($3, 1, 2); second = substr($3, 3, 2); kind = "other"
	if (first == "10" && substr($3, 9, 8) == "5a525450") kind = "zrtp"
	else if (first ~ /^[89ab]/) kind = second ~ /^c[0-9a-f]|^d[0-9a-f]/ ? "srtcp" : "srtp"
	print $1, $2 == 5004 ? "back" : "forth", kind, length($3) / 2, $3
}' "$work/packets" >"$work/kinds"
check "nothing but ZRTP, SRTP and SRTCP was sent" test "$(awk '$3 == "other"' "$work/kinds" | wc -l)" = 0
agreed=$(dissect "$call" 'zrtp.type == "Conf2ACK"' frame.number | head -1)
first=$(awk '$3 != "zrtp" {print NR; exit}' "$work/kinds")
check "ZRTP first (Conf2ACK is packet $agreed), only then SRTP and SRTCP (from packet $first)" \
	test "$agreed" -lt "$first"

# steady COUNT MEAN MEDIAN: of the time between packets, in ms.
steady() { is "$1" ">" 500 && is "$2" ">" 19.8 && is "$2" "<" 20.2 && is "$3" ">" 19 && is "$3" "<" 21; }

for way in forth back; do
	awk -v way=$way '$2 == way && $3 == "srtp"' "$work/kinds" >"$work/media"
	# 12 of RTP's header, 160 of G.711, 10 of HMAC-SHA1-80; and one more of RFC 2198
	# from when the other side has said that it takes that
	steps=$(awk '{print $4}' "$work/media" | uniq | paste -sd ' ')
	check "media $way: one size, 182 bytes, then 183 (it is $steps)" test "$steps" = "182 183"
	read -r count mean median most < <(awk 'NR > 1 {print 1000 * ($1 - last)} {last = $1}' "$work/media" | sort -n |
		awk '{g[NR] = $1; sum += $1} END {print NR, sum / NR, g[int((NR + 1) / 2)], g[int(NR * 0.95)]}')
	check "media $way: one period, 20 ms (mean $mean, median $median, 95 % up to $most, $count in all)" \
		steady "$count" "$mean" "$median"
	# What is carried: neither header nor tag.
	awk '{print substr($5, 25, 320)}' "$work/media" >"$work/$way.hex"
done

# noise FILE.hex: no octet stands out, as silence would in G.711.
noise() {
	fold -w2 "$1" | sort | uniq -c |
		awk '{n += $1; if ($1 > most) most = $1} END {exit !(NR == 256 && most / n < 1.3 / 256)}'
}
correlation() { "$work/measure" alike "$work/said.wav" "$1" | awk '{print $2}'; }
od -An -v -tx1 audio/speech/speech.ulaw | tr -d ' ' >"$work/clear.hex"
for way in forth back; do
	c=$(correlation "$work/$way.hex")
	check "media $way, taken as G.711, is not the speech (correlation $c)" is "$c" "<" 0.3
	check "media $way is noise: every octet as frequent as any" noise "$work/$way.hex"
done
c=$(correlation "$work/clear.hex")
check "control: the same speech unencrypted is found (correlation $c)" is "$c" ">" 0.99
if noise "$work/clear.hex"; then fail "control: speech passes for noise"; else pass "control: speech does not pass for noise"; fi

exit "$failed"
