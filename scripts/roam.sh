#!/usr/bin/env bash
# Calls that outlive a change of address, between network namespaces:
#   - the caller's, and then the listener's, machine gets another address, with a
#     moment without any, in both families;
#   - the caller goes from one network to another;
#   - the router that translates for it gets another address, and so forgets what it
#     has mapped.
# Each time the call goes on within a second of there being a way, and both sides are
# told. And two people behind translating routers dial each other, with nothing but
# the routers' addresses, and hear each other. Needs root, iproute2 and nftables.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
pids=() spaces=()
clean() {
	end "${pids[@]}"
	local s
	for s in "${spaces[@]}"; do ip netns del "$s" 2>/dev/null || true; done
	rm -rf "$work"
}
trap clean EXIT

[[ -x securecall ]] || scripts/build.sh

# space NAME...: namespaces $NAME of our own, with loopback up.
space() {
	local n
	for n; do
		declare -g "$n=securecall-$$-$n"
		spaces+=("securecall-$$-$n")
		ip netns add "securecall-$$-$n"
		ip -n "securecall-$$-$n" link set lo up
	done
}

# wire A NAME ADDR B NAME ADDR: a cable between two, with an address at each end.
wire() {
	ip link add "$2" netns "$1" type veth peer name "$5" netns "$4"
	ip -n "$1" addr add "$3" dev "$2"
	ip -n "$4" addr add "$6" dev "$5"
	ip -n "$1" link set "$2" up
	ip -n "$4" link set "$5" up
}

# translate SPACE DEVICE: source NAT for what leaves there, and nothing comes in
# there unasked for, not even to the router itself, whose answer would be a mapping
# in the way.
translate() {
	ip netns exec "$1" sysctl -qw net.ipv4.ip_forward=1
	ip netns exec "$1" nft -f - <<-E2
		table ip nat {
			chain out { type nat hook postrouting priority srcnat; oifname "$2" masquerade; }
			chain in { type filter hook input priority filter; iifname "$2" meta l4proto udp drop; }
			chain through { type filter hook forward priority filter; iifname "$2" ct state new drop; }
		}
	E2
}

# start SPACE NAME ARGS...: securecall there; its events in NAME, its pid in $pid.
start() {
	ip netns exec "$1" "$ROOT/securecall" "${@:3}" --ephemeral --json --mic tone:440 --speaker "$work/$2.wav" >"$work/$2" 2>"$work/$2.err" &
	pid=$!
	pids+=("$pid")
}

# paths FILE: how many times a path was told.
paths() { grep -c '"event":"path"' "$1" || true; }
more() { (($(paths "$1") > $2)); }

# moves WHAT FILE ADDR COMMAND...: COMMAND moves somebody; FILE is told that ADDR,
# a remote or local address, is on the path, and when it ends is within a second.
moves() {
	local what=$1 file=$2 addr=$3 before began took
	shift 3
	before=$(paths "$work/$file")
	"$@"
	began=$EPOCHREALTIME
	if await 5 more "$work/$file" "$before"; then
		took=$(awk -v a="$(when "$work/$file" path)" -v b="$began" 'BEGIN { printf "%.0f", 1000 * (a - b) }')
		check "$what: $(grep '"event":"path"' "$work/$file" | tail -1 | sed 's/.*"kind"/"kind"/'), after $took ms" \
			eval "is $took '<' 1000 && tail -1 <(grep '\"event\":\"path\"' $work/$file) | grep -qF '$addr'"
	else
		fail "$what: no path was told"
	fi
	sleep 1
}

# over NAME PID NAME PID: the first hangs up, both end with 0, and each has heard the
# other's tone but for two seconds or less.
over() {
	kill -INT "$2"
	local name p
	for p in "$2" "$4"; do
		reap "$p"
		check "ends with $status" test "$status" = 0
	done
	for name in "$1" "$3"; do
		local concealed
		concealed=$(field "$work/$name" ended concealed_ms)
		check "$name: made up $concealed ms of sound in all" is "$concealed" '<' 3000
	done
}

#                 10.0.1/24
# caller  one  ----------------- one
#         two  ----------------- two  router  bob --- 10.0.9/24 --- here  bob
#                 10.0.2/24
space caller router bob
# shellcheck disable=SC2154 # space sets them
{
	wire "$caller" one 10.0.1.2/24 "$router" one 10.0.1.1/24
	wire "$caller" two 10.0.2.2/24 "$router" two 10.0.2.1/24
	wire "$router" bob 10.0.9.1/24 "$bob" here 10.0.9.2/24
	ip -n "$caller" addr add fd00:1::2/64 dev one nodad
	ip -n "$router" addr add fd00:1::1/64 dev one nodad
	ip -n "$router" addr add fd00:9::1/64 dev bob nodad
	ip -n "$bob" addr add fd00:9::2/64 dev here nodad
	ip netns exec "$router" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n "$caller" route add default via 10.0.1.1 dev one
	ip -n "$caller" route add default via fd00:1::1 dev one
	ip -n "$bob" route add default via 10.0.9.1
	ip -n "$bob" route add default via fd00:9::1

	start "$bob" listener listen --accept all --once
	listener=$pid
	await 5 told "$work/listener" listening
	start "$caller" dialler dial 10.0.9.2
	dialler=$pid
	await 5 told "$work/dialler" answered || fail "no call: $(cat "$work/dialler.err")"
	sleep 1

	renumber() { # SPACE DEVICE OLD NEW GATEWAY
		ip -n "$1" addr del "$3" dev "$2"
		sleep 0.3
		ip -n "$1" addr add "$4" dev "$2"
		ip -n "$1" route replace default via "$5" dev "$2"
	}
	moves "the caller has another address" listener '"remote":"10.0.1.77:' renumber "$caller" one 10.0.1.2/24 10.0.1.77/24 10.0.1.1
	check "and is told so itself" grep -qF '"local":"10.0.1.77:' "$work/dialler"
	moves "the listener has another address" dialler '"remote":"10.0.9.77:' renumber "$bob" here 10.0.9.2/24 10.0.9.77/24 10.0.9.1
	handover() {
		ip -n "$caller" link set one down
		sleep 0.2
		ip -n "$caller" route replace default via 10.0.2.1 dev two
	}
	moves "the caller is in another network" listener '"remote":"10.0.2.2:' handover
	over dialler "$dialler" listener "$listener"

	ip -n "$caller" link set one up
	ip -n "$caller" addr replace fd00:1::2/64 dev one nodad
	ip -n "$caller" route replace default via fd00:1::1 dev one
	start "$bob" listener6 listen --accept all --once
	listener=$pid
	await 5 told "$work/listener6" listening
	start "$caller" dialler6 dial "[fd00:9::2]"
	dialler=$pid
	await 5 told "$work/dialler6" answered || fail "no call: $(cat "$work/dialler6.err")"
	sleep 1
	renumber6() {
		ip -n "$caller" addr del fd00:1::2/64 dev one
		sleep 0.3
		ip -n "$caller" addr add fd00:1::77/64 dev one nodad
		ip -n "$caller" route replace default via fd00:1::1 dev one
	}
	moves "the caller has another IPv6 address" listener6 '"remote":"[fd00:1::77]:' renumber6
	over dialler6 "$dialler" listener6 "$listener"

	ip -n "$caller" route replace default via 10.0.1.1 dev one
	ip -n "$caller" addr replace 10.0.1.77/24 dev one
	ip -n "$caller" route replace default via 10.0.1.1 dev one
	translate "$router" bob
	start "$bob" listener4 listen --accept all --once
	listener=$pid
	await 5 told "$work/listener4" listening
	start "$caller" dialler4 dial 10.0.9.77
	dialler=$pid
	await 5 told "$work/dialler4" answered || fail "no call: $(cat "$work/dialler4.err")"
	sleep 1
	check "the listener sees the router" grep -qF '"remote":"10.0.9.1:' "$work/listener4"
	router_moves() {
		ip -n "$router" addr add 10.0.9.88/24 dev bob
		ip -n "$router" addr del 10.0.9.1/24 dev bob # and with it its mappings
		ip -n "$router" addr replace 10.0.9.88/24 dev bob
	}
	moves "the caller's router has another address" listener4 '"remote":"10.0.9.88:' router_moves
	over dialler4 "$dialler" listener4 "$listener"
}

# alice --- 10.1/24 --- left === 10.3/24 === right --- 10.2/24 --- bert
space alice left right bert
# shellcheck disable=SC2154
{
	wire "$alice" eth 10.1.0.2/24 "$left" inside 10.1.0.1/24
	wire "$bert" eth 10.2.0.2/24 "$right" inside 10.2.0.1/24
	wire "$left" outside 10.3.0.1/24 "$right" outside 10.3.0.2/24
	ip -n "$alice" route add default via 10.1.0.1
	ip -n "$bert" route add default via 10.2.0.1
	translate "$left" outside
	translate "$right" outside

	start "$alice" alice dial --bind :5004 10.3.0.2
	first=$pid
	sleep 1
	start "$bert" bert dial --bind :5004 10.3.0.1
	second=$pid
	for name in alice bert; do
		check "$name is in the call" await 5 told "$work/$name" answered
		check "$name's path is punched" grep -qF '"kind":"punched"' "$work/$name"
	done
	sleep 1
	over alice "$first" bert "$second"
}
exit "$failed"
