#!/usr/bin/env bash
# Narrow paths between two network namespaces: one that loses every datagram of
# more than 1,280 bytes, as the Commit of the post-quantum key agreement is, and
# one with an MTU of 1,280, which makes fragments of it. Needs root, iproute2 and
# nftables.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
a=securecall-$$-a b=securecall-$$-b listener=
clean() {
	[[ -z $listener ]] || end "$listener"
	ip netns del "$a" 2>/dev/null || true
	ip netns del "$b" 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT

[[ -x securecall ]] || scripts/build.sh
ip netns add "$a"
ip netns add "$b"
ip link add va netns "$a" type veth peer name vb netns "$b"
ip -n "$a" addr add 192.0.2.1/24 dev va
ip -n "$b" addr add 192.0.2.2/24 dev vb
ip -n "$a" link set va up
ip -n "$b" link set vb up

(exec ip netns exec "$b" "$ROOT/securecall" listen --ephemeral --bind 192.0.2.2:5004 --accept all --json --mic none --speaker none >"$work/b" 2>&1) &
listener=$!
await 5 told "$work/b" listening

# dials NAME FLAGS...: a call, with its exit status in $status.
dials() {
	status=0
	timeout 40 ip netns exec "$a" "$ROOT/securecall" dial --ephemeral --json --mic none --speaker none --duration 300ms "${@:2}" 192.0.2.2:5004 \
		>"$work/$1" 2>"$work/$1.err" || status=$?
}

dials wide
check "a wide path: status $status, $(field "$work/wide" secured key_agreement)" \
	test "$status $(field "$work/wide" secured key_agreement)" = "0 XM76"

ip netns exec "$b" nft add table inet narrow
ip netns exec "$b" nft add chain inet narrow in '{ type filter hook input priority 0; }'
ip netns exec "$b" nft add rule inet narrow in udp length '>' 1288 drop
dials lost
check "1,281 bytes and more are lost: status $status: $(grep -m1 securecall: "$work/lost.err")" test $status = 23
check "and it says what helps: $(grep -m1 key-agreement "$work/lost.err")" grep -q -- '--key-agreement X255' "$work/lost.err"
check "nothing less was agreed on without being asked for" test -z "$(field "$work/lost" secured key_agreement)"
dials classical --key-agreement X255
check "and it does help: status $status, $(field "$work/classical" secured key_agreement)" \
	test "$status $(field "$work/classical" secured key_agreement)" = "0 X255"
ip netns exec "$b" nft delete table inet narrow

ip -n "$a" link set va mtu 1280
ip -n "$b" link set vb mtu 1280
dials fragments
check "an MTU of 1,280: status $status, $(field "$work/fragments" secured key_agreement)" \
	test "$status $(field "$work/fragments" secured key_agreement)" = "0 XM76"
exit "$failed"
