#!/usr/bin/env bash
# Two people behind each pair of networks (scripts/netns/nets.sh has their kinds) call
# by a code, through securecall rendezvous: a table of whether they reach each other
# directly or by its relay, and of the time from dial to secured. Checks that it is
# directly wherever that is possible, and that each hears the other. Then one of them
# moves to another network in mid-call. And the parts alone, with coturn: two hosts
# behind one router, relay only, what a NAT does, as doctor tells it too, and a router that maps ports.
# Needs root, iproute2, nftables, coturn, miniupnpd, openssl. Leaves nothing behind. KINDS
# chooses the kinds.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns/nets.sh"

work=$(mktemp -d)
pids=()
clean() {
	end "${pids[@]}"
	destroy
	rm -rf "$work"
}
trap clean EXIT

[[ -x securecall ]] || scripts/build.sh
go build -o "$work" ./scripts/netns/punch ./scripts/netns/mapped
build

(exec ip netns exec "$(ns pub)" "$ROOT/securecall" rendezvous --no-tls --bind "[::]:8080" --turn-bind "[::]:3490" \
	--turn-public 203.0.113.9,2001:db8::9 >"$work/rendezvous" 2>&1) &
pids+=($!)
await 5 grep -qs "the meeting point is open" "$work/rendezvous" || { cat "$work/rendezvous" && exit 1; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=relay \
	-addext "subjectAltName=IP:203.0.113.9,IP:2001:db8::9" -keyout "$work/key" -out "$work/cert" 2>/dev/null
(exec ip netns exec "$(ns pub)" turnserver -n --listening-ip 203.0.113.9 --listening-ip 203.0.113.10 --listening-ip 2001:db8::9 \
	--relay-ip 203.0.113.9 --relay-ip 2001:db8::9 --lt-cred-mech --user user:pass --realm test --no-cli --fingerprint \
	--cert "$work/cert" --pkey "$work/key" --pidfile "$work/turn.pid" --userdb "$work/turn.db" --log-file stdout --simple-log \
	>"$work/turnserver" 2>&1) &
pids+=($!)
up() { within pub ss -lnt | grep -q 203.0.113.9:5349; }
await 10 up || { cat "$work/turnserver" && exit 1; }

# possible A B: is there a direct way between two kinds of network, in theory?
possible() {
	case " $1 $2 " in
	*" noudp "*) return 1 ;;
	" v6 v6 ") ;;
	*" v6 "*) return 1 ;;
	" sym sym " | " sym apdf " | " apdf sym " | " sym cgn " | " cgn sym ") return 1 ;;
	esac
}

# server KIND: the address of the servers where a network of that kind reaches them.
server() { [[ $1 == v6 ]] && echo "[2001:db8::9]" || echo 203.0.113.9; }

# reach A B FLAGS...: both sides try, a with FLAGS; $kind, $ms, $from and $to are
# what a said.
reach() {
	local dir a b
	dir=$(mktemp -d -p "$work")
	(exec ip netns exec "$(ns ha)" "$work/punch" -dir "$dir" -role a -ca "$work/cert" -server "$(server "$1")" "${@:3}" >"$dir/out-a" 2>&1) &
	a=$!
	(exec ip netns exec "$(ns hb)" "$work/punch" -dir "$dir" -role b -ca "$work/cert" -server "$(server "$2")" >"$dir/out-b" 2>&1) &
	b=$!
	reap $a
	local first=$status
	reap $b
	read -r kind ms from to <"$dir/out-a" || true
	if ((first != 0 || status != 0)); then
		echo "$1 and $2:" && cat "$dir/out-a" "$dir/out-b"
		kind=failed
	fi
}

# listens KIND and dials KIND FLAGS...: host b, and host a with b's code, securecall each,
# its events in $work/b and $work/a, its pid in $listener and $dialer.
listens() {
	rm -f "$work"/[ab]
	(exec ip netns exec "$(ns hb)" "$ROOT/securecall" listen --ephemeral --json --via "${meet:-ws://$(server "$1"):8080}" --accept all --once \
		--require code --mic tone:440 --speaker "$work/b.wav" >"$work/b" 2>&1) &
	listener=$! pids+=($!)
	await 5 told "$work/b" listening || cat "$work/b"
}
dials() {
	(exec ip netns exec "$(ns ha)" "$ROOT/securecall" dial --ephemeral --json --via "${meet:-ws://$(server "$1"):8080}" --timeout 10s \
		--require code --mic tone:440 --speaker "$work/a.wav" "${@:2}" "$(field "$work/b" listening code)" >"$work/a" 2>&1) &
	dialer=$! pids+=($!)
}

# sounds FILE: is there anything but silence in it?
sounds() { (($(tail -c +45 "$1" | tr -d '\0' | wc -c) > 1000)); }

# between FILE EVENT EVENT: ms.
between() { awk -v a="$(when "$1" "$2")" -v b="$(when "$1" "$3")" 'BEGIN { printf "%.0f", 1000 * (b - a) }'; }

# call A B: $kind and $ms of a call by code.
call() {
	listens "$2"
	dials "$1" --duration 600ms
	reap "$dialer"
	kind=failed ms=0
	if ((status != 0)) || ! sounds "$work/a.wav"; then
		echo "$1 and $2:" && cat "$work/a" "$work/b"
		end "$listener"
		return
	fi
	reap "$listener"
	((status == 0)) && sounds "$work/b.wav" || return 0
	kind=$(field "$work/a" path kind) ms=$(between "$work/a" dialing secured)
}

# moves KIND: a is in mid-call, and moves to a network of another kind.
moves() {
	network a apdf
	network b apdf
	listens apdf
	dials apdf
	await 5 told "$work/b" answered || { cat "$work/a" "$work/b" && return; }
	sleep 3 # so long that something is missed when it stops
	network a "$1"
	sleep 6
	kill -INT "$dialer"
	reap "$dialer"
	local first=$status gap
	reap "$listener"
	gap=$(field "$work/b" ended concealed_ms)
	check "from apdf to $1 in mid-call: $(field "$work/b" path kind) from $(field "$work/b" path remote), $gap ms not heard, both end with $first and $status" \
		eval "is $gap '<' 3000 && test '$first $status' = '0 0' && (($(grep -c '"event":"path"' "$work/b") > 1))"
}

read -ra kinds <<<"${KINDS:-open eif adf apdf sym cgn noudp v6}"
rows=()
for i in "${!kinds[@]}"; do
	row=$(printf '%-6s' "${kinds[i]}")
	for ((j = 0; j < ${#kinds[@]}; j++)); do
		if ((j > i)); then continue; fi
		want=relayed
		if possible "${kinds[i]}" "${kinds[j]}"; then want=direct; fi
		network a "${kinds[i]}"
		network b "${kinds[j]}"
		call "${kinds[i]}" "${kinds[j]}"
		# Who stands still when the direct way opens stays with the relay that was there before.
		if [[ $want$kind == directrelayed ]]; then call "${kinds[i]}" "${kinds[j]}"; fi
		row+=$(printf '%16s' "$kind $ms")
		got=$kind
		if [[ $kind == punched ]]; then got=direct; fi
		check "${kinds[i]} and ${kinds[j]}: $kind, secured in $ms ms" test "$got" = "$want"
	done
	rows+=("$row")
done

for kind in open cgn noudp; do moves $kind; done

# The relays of several machines: coturn with the configuration that is shipped, and the nodes'
# credentials.
head -c 32 /dev/urandom | base64 >"$work/secret"
sed "s|REPLACE|$(cat "$work/secret")|; s|^listening-port=.*|listening-port=3500|" scripts/rendezvous/turnserver.conf >"$work/turnserver.conf"
(exec ip netns exec "$(ns pub)" turnserver -c "$work/turnserver.conf" --listening-ip 203.0.113.10 --relay-ip 203.0.113.10 \
	--pidfile "$work/turn2.pid" --userdb "$work/turn2.db" --log-file stdout --simple-log >"$work/turnserver2" 2>&1) &
pids+=($!)
(exec ip netns exec "$(ns pub)" "$ROOT/securecall" rendezvous --no-tls --bind 203.0.113.10:8081 --turn-bind none \
	--turn 203.0.113.10:3500 --turn-secret-file "$work/secret" >"$work/rendezvous2" 2>&1) &
pids+=($!)
await 5 grep -qs "the meeting point is open" "$work/rendezvous2" || { cat "$work/rendezvous2" && exit 1; }
network a sym
network b sym
meet="ws://203.0.113.10:8081"
call sym sym
check "over coturn: $kind, secured in $ms ms" test "$kind" = relayed
unset meet

together apart
reach apdf apdf
check "one NAT without hairpin, networks kept apart: $kind, $ms ms" test "$kind" = relayed
together hairpin
reach apdf apdf
check "one NAT with hairpin, networks kept apart: $kind, $ms ms ($from to $to)" test "$kind" = punched

# Whom a sends to, seen at its router.
network a apdf
network b apdf
within ra nft add table ip watch
within ra nft add set ip watch spoken '{ type ipv4_addr; size 100; flags dynamic; }'
within ra nft add chain ip watch out '{ type filter hook forward priority 0; }'
within ra nft add rule ip watch out iifname lan update @spoken '{ ip daddr }'
spoken() { within ra nft -j list set ip watch spoken | grep -o '"elem": \[.*\]' | grep -oE '[0-9.]{7,}' | paste -sd ' '; }
reach apdf apdf -relay-only
check "relay only: $kind, $ms ms, and packets go to the relay alone: $(spoken)" test "$kind $(spoken)" = "relayed 203.0.113.9"
reach apdf apdf
check "control: without it they go to the peer too: $(spoken)" test "$(spoken)" != 203.0.113.9

# What a host learns of its NAT from a server with two addresses.
independent=endpoint-independent dependent=address-and-port-dependent
declare -A behaviour=(
	[open]="$independent $independent" [eif]="$independent $independent" [adf]="$independent address-dependent"
	[apdf]="$independent $dependent" [sym]="$dependent $dependent"
)
for kind in open eif adf apdf sym; do
	network a $kind
	got=$(within ha "$work/punch" -behaviour -server 203.0.113.9 -patience 20s)
	check "$kind: mapping and filtering ${got% *}" test "${got% *}" = "${behaviour[$kind]}"
done

# What doctor says of the same, through a meeting point that names this server and a relay of its
# own, and what of a network without UDP. The server refuses the credentials, which is a warning.
(exec ip netns exec "$(ns pub)" "$ROOT/securecall" rendezvous --no-tls --bind 203.0.113.9:8082 --turn-bind 203.0.113.9:3492 \
	--turn 203.0.113.9:3478 --turn-secret-file "$work/secret" >"$work/rendezvous3" 2>&1) &
pids+=($!)
await 5 grep -qs "the meeting point is open" "$work/rendezvous3" || { cat "$work/rendezvous3" && exit 1; }
doctor() {
	status=0
	within ha "$ROOT/securecall" doctor --mic none --speaker none --state "$work/state" --via ws://203.0.113.9:8082 "$@" >"$work/doctor" 2>&1 || status=$?
}
# finds WORD NAME TEXT: is that what it says?
finds() { grep -qE "^$1 +$2 +.*$3" "$work/doctor" || { cat "$work/doctor" && return 1; }; }
for kind in eif adf apdf sym; do
	network a $kind
	doctor
	read -r mapping filtering <<<"${behaviour[$kind]}"
	check "doctor: $kind" finds "(ok|warn)" NAT "mapping $mapping:.* filtering $filtering:"
	check "doctor: $kind: by the relay too, status $status" eval "finds '(ok|warn)' 'relay by UDP' 'lends us 203.0.113.9:' && test $status = 0"
done
network a apdf
within ra nft add table inet heard
within ra nft add chain inet heard in '{ type filter hook prerouting priority 0; }'
within ra nft add rule inet heard in iifname lan meta l4proto udp counter
within ra nft add rule inet heard in iifname lan tcp flags syn / syn,ack counter # the last run's connections may still be ending
nothing() { ! within ra nft list chain inet heard in | grep -q "packets [1-9]"; }
within ha "$ROOT/securecall" doctor --mic none --speaker none --state "$work/state" >"$work/doctor"
check "doctor without --via and --map sends nothing" nothing
doctor
check "control: with --via it does" eval '! nothing'
network a open
doctor
check "doctor: open: no NAT" finds ok NAT "none:"
network a noudp
doctor
check "doctor: noudp: nothing comes back" finds warn UDP "nothing comes back"
check "doctor: noudp: TCP does, status $status" eval "finds '(ok|warn)' 'relay by TCP' 'lends us' && finds ok 'calls by code' 'go over the relay' && test $status = 0"

# A router that maps ports. It takes addresses of documentation for private ones,
# and is told another.
mapping
cat >"$work/miniupnpd" <<-END
	ext_ifname=wan
	listening_ip=lan
	ext_ip=8.8.8.8
	enable_natpmp=yes
	enable_upnp=yes
	secure_mode=yes
	lease_file=$work/leases
	uuid=00000000-0000-0000-0000-000000000000
	allow 1024-65535 10.1.0.0/24 1024-65535
	deny 0-65535 0.0.0.0/0 0-65535
END
(exec ip netns exec "$(ns ra)" miniupnpd -d -f "$work/miniupnpd" -P "$work/miniupnpd.pid" >"$work/miniupnpd.log" 2>&1) &
pids+=($!)
await 5 grep -qsi "listening" "$work/miniupnpd.log" || { cat "$work/miniupnpd.log"; exit 1; }
for protocol in PCP NAT-PMP UPnP; do
	(exec ip netns exec "$(ns ha)" "$work/mapped" $protocol >"$work/mapped-$protocol" 2>&1) &
	pid=$!
	await 8 test -s "$work/mapped-$protocol" || true
	read -r by addr port ms <"$work/mapped-$protocol" || true
	within pub bash -c "echo word >/dev/udp/198.51.100.6/${port:-9}"
	reap $pid
	check "$protocol: port $port of $addr, in $ms ms" test "$by $addr $status" = "$protocol 8.8.8.8 0"
	check "$protocol: a word from outside comes in" grep -q "heard word" "$work/mapped-$protocol"
	left=$(within ra nft list chain inet filter prerouting_miniupnpd | grep -c "dnat" || true)
	check "$protocol: given back, $left mappings are left" test "$left" = 0
done

rm -f "$work/b" # or an earlier call's is read
(exec ip netns exec "$(ns ha)" "$ROOT/securecall" listen --ephemeral --json --map --accept all --echo >"$work/b" 2>&1) &
listener=$! pids+=($!)
await 10 told "$work/b" listening || cat "$work/b"
check "listen --map: $(sed -n 's/.*"addrs":\["\([^"]*\)".*/\1/p' "$work/b")" grep -q '"addrs":\["8.8.8.8:' "$work/b"
kill -INT "$listener"
reap "$listener"
left=$(within ra nft list chain inet filter prerouting_miniupnpd | grep -c "dnat" || true)
check "ends with $status, and $left mappings are left" test "$status $left" = "0 0"
doctor --map
check "doctor --map: status $status" finds warn "port mapping" "8.8.8.8:5004 .*another NAT"
left=$(within ra nft list chain inet filter prerouting_miniupnpd | grep -c "dnat" || true)
check "and $left mappings are left" test "$status $left" = "0 0"

echo
printf '%-6s' "ms"
printf '%16s' "${kinds[@]}"
echo
printf '%s\n' "${rows[@]}"
exit "$failed"
