#!/usr/bin/env bash
# Two hosts behind each pair of networks (scripts/netns/nets.sh has their kinds),
# and a TURN server: a table of whether they reach each other directly or by the
# relay, and how fast. Checks that it is directly wherever that is possible.
# Then two hosts behind one router, relay only, and a router that maps ports.
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

go build -o "$work" ./scripts/netns/punch ./scripts/netns/mapped
build

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
		reach "${kinds[i]}" "${kinds[j]}"
		row+=$(printf '%16s' "$kind $ms")
		got=$kind
		if [[ $kind == punched ]]; then got=direct; fi
		check "${kinds[i]} and ${kinds[j]}: $kind, $ms ms ($from to $to)" test "$got" = "$want"
	done
	rows+=("$row")
done

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

echo
printf '%-6s' "ms"
printf '%16s' "${kinds[@]}"
echo
printf '%s\n' "${rows[@]}"
exit "$failed"
