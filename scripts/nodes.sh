#!/usr/bin/env bash
# A meeting point on several machines, made as scripts/rendezvous/README.md says, with the
# configuration that lies there: three NATS servers, three nodes behind one name, two
# coturn. Two people call through it, and one part after the other is killed (kill -9):
#   - listen at one node and dial at another: they meet and hear each other;
#   - each of the NATS servers, while a code waits: it is dialled at once and good, and
#     somebody else gets a code; then one is stopped, as a machine that vanishes;
#   - a node at which somebody waits: he gets a new code by another, the old one has expired;
#   - the nodes of both, in mid-call: it goes on, and both find another node;
#   - the relay of a call that may only use one, in mid-call: it goes on by the other
#     relay; once with the node of one of the two killed before;
#   - all nodes, and then the relay: both are told after half a minute, status 14;
#   - two of the NATS servers: dial says so, and ends with 17.
# All of it in one network namespace, whose loopback has all the addresses. Needs root,
# iproute2, coturn, openssl. Leaves nothing behind. Takes two and a half minutes.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
space=securecall-$$-nodes
declare -A pid # of what runs, by name
clean() {
	end "${pid[@]}"
	ip netns del "$space" 2>/dev/null || true
	rm -rf "$work"
}
trap clean EXIT

[[ -x securecall ]] || scripts/build.sh
go build -o "$work/nats-server" github.com/nats-io/nats-server/v2

within() { ip netns exec "$space" "$@"; }
net=203.0.113
ip netns add "$space"
ip -n "$space" link set lo up
for host in 11 12 13 21 22 23 31 32 41 42; do ip -n "$space" addr add $net.$host/32 dev lo; done
ip -n "$space" route add default dev lo # a TURN server wants one

# Who has which address. The nodes are meet.example to everybody; the order is in which
# they are tried, and by that each of the two people has a first one of his own.
hosts() { # NODE...: the rest is the same for all
	printf '%s\n' "127.0.0.1 localhost" "$net.11 nats1" "$net.12 nats2" "$net.13 nats3" "$net.31 relay1.example" "$net.32 relay2.example"
	local n
	for n; do echo "$net.2$n meet.example"; done
}
hosts 1 2 3 >"$work/hosts"
hosts 1 3 2 >"$work/hosts.bob"
hosts 2 3 1 >"$work/hosts.alice"

# start NAME HOSTS COMMAND...: in the background; what it says in NAME and NAME.err.
start() {
	local name=$1 hosts=$2
	shift 2
	# shellcheck disable=SC2016 # the inner shell's
	(exec ip netns exec "$space" bash -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$work/$hosts" "$@") >>"$work/$name" 2>>"$work/$name.err" &
	pid[$name]=$!
}

# kills NAME: at once, as a machine dies.
kills() {
	{
		kill -9 "${pid[$1]}"
		wait "${pid[$1]}" || true
	} 2>/dev/null # no news of it from the shell
	unset "pid[$1]"
}

# leaves NAME: waits for its end; $status.
leaves() {
	reap "${pid[$1]}"
	unset "pid[$1]"
}

# fit N: NATS server N is there, and has all that the others have.
fit() {
	within bash -c "exec 3<>/dev/tcp/$net.1$1/8222 && printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3 && grep -q '\"ok\"' <&3" 2>/dev/null
}
# nats N: its own port for the others, since a server takes a route to an address of its
# machine, and to its own port, for one to itself.
nats() {
	sed "s|server_name: nats1|server_name: nats$1|; s|/var/lib/nats|$work/store$1|; s|nats://nats$1:|nats://nats1:|
		s|0\.0\.0\.0:6222|$net.1$1:622$1|; s|0\.0\.0\.0|$net.1$1|; s|nats\([123]\):6222|nats\1:622\1|" \
		scripts/rendezvous/nats.conf >"$work/nats$1.conf"
	start "nats$1" hosts "$work/nats-server" -c "$work/nats$1.conf" -m 8222
}
for n in 1 2 3; do nats $n; done
for n in 1 2 3; do await 30 fit $n || { grep -v Healthcheck "$work/nats$n.err" && exit 1; }; done

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=meet.example \
	-addext "subjectAltName=DNS:meet.example" -keyout "$work/meet.key" -out "$work/meet.pem" 2>/dev/null
head -c 32 /dev/urandom | base64 >"$work/secret"

# open NODE: it takes people.
open() { grep -qs "the meeting point is open" "$work/node$1.err"; }
node() { # N
	rm -f "$work/node$1.err"
	start "node$1" hosts "$ROOT/securecall" rendezvous --bind "$net.2$1" --tls-cert "$work/meet.pem" --tls-key "$work/meet.key" --turn-bind none \
		--nats nats://nats1:4222,nats://nats2:4222,nats://nats3:4222 \
		--turn relay1.example,relay2.example --turn-secret-file "$work/secret"
	await 15 open "$1" || { cat "$work/node$1.err" && exit 1; }
}

# relay N: its address is .3N.
relay() {
	sed "s|REPLACE|$(cat "$work/secret")|; s|relay1\.example|relay$1.example|" scripts/rendezvous/turnserver.conf >"$work/relay$1.conf"
	start "relay$1" hosts turnserver -c "$work/relay$1.conf" --listening-ip "$net.3$1" --relay-ip "$net.3$1" \
		--pidfile "$work/relay$1.pid" --userdb "$work/relay$1.db" --log-file stdout --simple-log
	await 10 relays "$1" || { cat "$work/relay$1" "$work/relay$1.err" && exit 1; }
}
relays() { within ss -Hlnt "src $net.3$1:3478" | grep -q .; }

for n in 1 2 3; do node $n; done
for n in 1 2; do relay $n; done

export SSL_CERT_FILE=$work/meet.pem GODEBUG=netdns=go # which reads all lines of hosts

# listens [FLAG...]: Bob, whose events are in $work/bob; returns when he has a code. dials
# CODE [FLAG...]: Alice.
listens() {
	rm -f "$work"/{bob,alice}*
	hosts 1 3 2 >"$work/hosts.bob"
	hosts 2 3 1 >"$work/hosts.alice"
	start bob hosts.bob "$ROOT/securecall" listen --ephemeral --json --via meet.example --bind $net.41:0 --accept all --once \
		--require code --mic tone:440 --speaker "$work/bob.wav" "$@"
	await 20 told "$work/bob" listening || fail "no code: $(cat "$work/bob" "$work/bob.err")"
}
code() { field "$work/bob" listening code; }
dials() {
	start alice hosts.alice "$ROOT/securecall" dial --ephemeral --json --via meet.example --bind $net.42:0 \
		--require code --mic tone:440 --speaker "$work/alice.wav" "${@:2}" "$1"
}
talking() {
	if ! await 20 told "$work/alice" answered || ! await 5 told "$work/bob" answered; then
		fail "no call: $(cat "$work"/{alice,bob}{,.err})"
	fi
	sleep 3 # so that a silence means something
}

# hears NAME: the other's tone, in the last second of the call.
hears() { (($(tail -c 16000 "$work/$1.wav" | tr -d '\0' | wc -c) > 1000)); }

# over WHAT MOST: the call ends, as it should: both with 0, each heard the other to the
# last, and has missed MOST ms or less in all. Without harm that is what a busy machine
# makes: 1500.
over() {
	local first missed
	leaves alice
	first=$status
	leaves bob
	missed="$(field "$work/alice" ended concealed_ms) and $(field "$work/bob" ended concealed_ms)"
	check "$1: both end with $first and $status, and hear the other's tone to the last; $missed ms not heard" \
		eval "test '$first $status' = '0 0' && hears alice && hears bob && is '${missed% and*}' '<=' $2 && is '${missed#*and }' '<=' $2"
}

# uses NAME NODE: somebody is connected to it.
uses() { within ss -Htnp "dst $net.2$2:443" | grep -q "pid=${pid[$1]},"; }

# since TIME: ms.
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.0f", 1000 * (b - a) }'; }

# error NAME: the last that somebody was told.
error() { field "$work/$1" error message; }

# from TIME FILE EVENT: ms until the last such event.
from() { awk -v a="$1" -v b="$(when "$2" "$3")" 'BEGIN { printf "%.0f", 1000 * (b - a) }'; }

echo "-- two nodes"
listens
dials "$(code)"
talking
check "he listens at node 1, she dials at node 2" eval "uses bob 1 && uses alice 2"
kill -INT "${pid[alice]}"
over "a call by two nodes" 1500

echo "-- a NATS server"
# leads: which one has the bucket's word.
leads() {
	grep -H "new stream leader for .*KV_securecall-mailboxes" "$work"/nats[123].err | sort -k2,3 | tail -1 | sed 's|.*/nats\([123]\)\.err:.*|\1|'
}
led=0
for n in 1 2 3; do
	listens
	what="a follower"
	if [[ $(leads) == "$n" ]]; then what="the leader" led=1; fi
	kills nats$n
	began=$EPOCHREALTIME
	dials "$(code)" --duration 2s
	rm -f "$work/carol"*
	start carol hosts.bob "$ROOT/securecall" listen --ephemeral --json --via meet.example --bind $net.41:0 --accept all --mic none --speaker none
	check "$what is killed while a code waits: she is in a call after it" await 20 told "$work/alice" secured
	await 20 told "$work/carol" listening || true
	check "  secured $(from "$began" "$work/alice" secured) ms after, and somebody else has a code after $(from "$began" "$work/carol" listening) ms" \
		told "$work/carol" listening
	end "${pid[carol]}"
	unset "pid[carol]"
	over "  that call" 1500
	nats $n
	await 40 fit $n || fail "nats$n does not come back: $(grep -v Healthcheck "$work/nats$n.err" | tail)"
done
check "the leader was among them" test $led = 1

listens
n=$(leads) tries=0
kill -STOP "${pid[nats$n]}" # as a machine that vanishes: its connections stay
began=$EPOCHREALTIME
dialled() {
	rm -f "$work/alice"*
	tries=$((tries + 1))
	dials "$(code)" --duration 1s
	leaves alice
	((status == 0))
}
await 40 dialled || true
check "the leader says nothing any more: dial no. $tries of the same code is good, $(from "$began" "$work/alice" secured) ms after" test "$status" = 0
leaves bob
kills "nats$n"
nats "$n"
await 40 fit "$n" || fail "nats$n does not come back: $(grep -v Healthcheck "$work/nats$n.err" | tail)"

echo "-- a node"
listens
old=$(code)
kills node1
began=$EPOCHREALTIME
another() { [[ $(code) != "$old" ]]; }
check "the node where he waits is killed: he has another code" await 20 another
check "  after $(from "$began" "$work/bob" listening) ms, by node 3" uses bob 3
dials "$old"
leaves alice
check "  the old one: status $status: $(error alice)" \
	eval "test $status = 16 && grep -q 'expired' $work/alice"
rm -f "$work"/alice*
dials "$(code)" --duration 2s
over "  the new one" 1500
node 1

listens
dials "$(code)"
talking
kills node2
began=$EPOCHREALTIME
check "her node is killed in mid-call: she is at node 3" await 10 uses alice 3
echo "      after $(since "$began") ms"
kills node1
began=$EPOCHREALTIME
check "his too: he is at node 3" await 10 uses bob 3
echo "      after $(since "$began") ms"
sleep 2
kill -INT "${pid[alice]}"
over "the call went on" 1500
check "and never by another way" test "$(cat "$work"/{alice,bob} | grep -c '"event":"path"')" = 2
node 1
node 2

echo "-- a relay"
# carries: the number of her relay.
carries() {
	local at
	at=$(field "$work/alice" path local)
	at=${at%:*}
	echo "${at##*.3}"
}
# moves WHAT: her relay is killed.
moves() {
	local dead began
	dead=$(carries)
	check "$1: $(field "$work/alice" path kind), by relay $dead" test "$(field "$work/alice" path kind)" = relayed
	kills "relay$dead"
	began=$EPOCHREALTIME
	elsewhere() { [[ $(carries) != "$dead" ]]; }
	ended() { elsewhere || ! alive "${pid[alice]}"; }
	await 45 ended || true
	check "it is killed: she goes on by relay $(carries) after $(from "$began" "$work/alice" path) ms" elsewhere
	sleep 3
	kill -INT "${pid[alice]}"
	over "the call went on" 5000
	relay "$dead"
}
listens
dials "$(code)" --relay-only
talking
moves "she uses only a relay"

listens --relay-only
dials "$(code)" --relay-only
talking
kills node2
check "her node is killed: she is at node 3" await 10 uses alice 3
moves "both use only a relay"

echo "-- every node, and then her relay"
listens
dials "$(code)" --relay-only
talking
kills node1
kills node3
sleep 3
kills "relay$(carries)"
began=$EPOCHREALTIME
await 45 gone "${pid[alice]}" || true
leaves alice
first=$status
leaves bob
for name in alice bob; do
	check "$name, in mid-call: status $first and $status after $(from "$began" "$work/$name" ended) ms: $(error $name)" \
		eval "test '$first $status' = '14 14' && is '$(from "$began" "$work/$name" ended)' '<' 35000"
done
node 1

echo "-- two NATS servers"
listens
kills nats1
kills nats2
began=$EPOCHREALTIME
dials "$(code)"
leaves alice
check "are killed while a code waits: status $status after $(since "$began") ms: $(error alice)" \
	test "$status" = 17
exit "$failed"
