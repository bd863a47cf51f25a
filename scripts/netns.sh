#!/usr/bin/env bash
# Two hosts behind each pair of networks (scripts/netns/nets.sh has their kinds),
# and a TURN server: a table of whether they reach each other directly or by the
# relay, and how fast. Checks that it is directly wherever that is possible.
# Needs root, iproute2, nftables, coturn, openssl. Leaves nothing behind. KINDS
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

go build -o "$work/punch" ./scripts/netns/punch
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

echo
printf '%-6s' "ms"
printf '%16s' "${kinds[@]}"
echo
printf '%s\n' "${rows[@]}"
exit "$failed"
