# Sourced by scripts/netns.sh: two hosts, each behind a router behind its
# provider's router, and a public network with servers:
#
#   host a - router a - provider a - public - provider b - router b - host b
#
# Each is a network namespace with this process's id in its name. A side is set
# up anew for each kind of network:
#
#   open     a public address, no NAT
#   eif      NAT: endpoint-independent mapping and filtering
#   adf      the same mapping, address-dependent filtering
#   apdf     the same mapping, address-and-port-dependent filtering: most homes
#   sym      address-and-port-dependent mapping and filtering
#   cgn      two NATs in a row, both apdf
#   noudp    apdf, and no UDP leaves the house
#   v6       IPv6 alone, with a stateful firewall
#
# Linux keeps the port of a masqueraded packet where it can, which is an
# endpoint-independent mapping as long as no two inside share a port; fully-random
# gives every other end a port of its own. A router drops UDP that is for nobody:
# left to itself it answers it, remembers that it did, and gives the packet that
# is to punch the hole another port.
# shellcheck shell=bash

ns() { echo "securecall-$$-$1"; }
within() { ip netns exec "$(ns "$1")" "${@:2}"; }
names="pub ca cb ra rb ha hb"

build() {
	local n side
	for n in $names; do
		ip netns add "$(ns "$n")"
		ip -n "$(ns "$n")" link set lo up
		within "$n" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
	done
	ip -n "$(ns pub)" link add br0 type bridge
	ip -n "$(ns pub)" link set br0 up
	for side in a b; do
		ip -n "$(ns h$side)" link add lan type veth peer name lan netns "$(ns r$side)"
		ip -n "$(ns r$side)" link add wan type veth peer name lan netns "$(ns c$side)"
		ip -n "$(ns c$side)" link add wan type veth peer name c$side netns "$(ns pub)"
		ip -n "$(ns pub)" link set c$side master br0
		ip -n "$(ns pub)" link set c$side up
		for n in h r c; do
			ip -n "$(ns $n$side)" link set lan up
			[[ $n == h ]] || ip -n "$(ns $n$side)" link set wan up
		done
	done
	# Host b at router a, for two hosts behind one NAT.
	ip -n "$(ns hb)" link add alt type veth peer name lan2 netns "$(ns ra)"
	ip -n "$(ns hb)" link set alt up
	ip -n "$(ns ra)" link set lan2 up
	ip -n "$(ns pub)" addr add 203.0.113.9/24 dev br0
	ip -n "$(ns pub)" addr add 203.0.113.10/24 dev br0
	ip -n "$(ns pub)" addr add 2001:db8::9/64 dev br0
	# A TURN server wants a default route, though it leads nowhere.
	ip -n "$(ns pub)" route add default via 203.0.113.21
}

destroy() {
	local n
	for n in $names; do ip netns del "$(ns "$n")" 2>/dev/null || true; done
}

# address NAMESPACE DEVICE ADDRESS...: these and no others.
address() {
	local a
	ip -n "$(ns "$1")" addr flush dev "$2" scope global
	for a in "${@:3}"; do ip -n "$(ns "$1")" addr add "$a" dev "$2"; done
}

# to NAMESPACE PREFIX GATEWAY: a route, in the place of another.
to() { ip -n "$(ns "$1")" route replace "$2" via "$3"; }

# rules NAMESPACE: an nftables ruleset from standard input, in the place of what
# was. What connection tracking remembers does no harm: every run has ports of
# its own.
rules() { { echo "flush ruleset" && cat; } | within "$1" nft -f -; }

# nat FLAGS: a masquerading router's ruleset, with more rules from standard input.
nat() {
	cat <<-END
		table ip nat {
			set spoken { type ipv4_addr . inet_service; size 65535; flags dynamic; timeout 5m; }
			chain input { type filter hook input priority 0; iifname "wan" meta l4proto udp drop; }
			chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade $1; }
			$(cat)
		}
	END
}

# inside SIDE: the address of the host behind the NAT.
inside() { [[ $1 == a ]] && echo 10.1.0.2 || echo 10.2.0.2; }

# network SIDE KIND: sets up the way from a host to the public network.
network() {
	local side=$1 kind=$2 i=1 host
	[[ $side == a ]] || i=2
	host=$(inside "$side")
	ip -n "$(ns h"$side")" route flush proto boot
	ip -n "$(ns h"$side")" -6 route flush proto boot
	[[ $side == a ]] || address hb alt
	address "c$side" wan 203.0.113.2$i/24 2001:db8::2$i/64
	case $kind in
	open)
		address "h$side" lan 198.51.101.$((i * 8 + 2))/30
		address "r$side" lan 198.51.101.$((i * 8 + 1))/30
		to "h$side" default 198.51.101.$((i * 8 + 1))
		;;
	v6)
		address "h$side" lan 2001:db8:$i:1::2/64
		address "r$side" lan 2001:db8:$i:1::1/64
		to "h$side" default 2001:db8:$i:1::1
		;;
	*)
		address "h$side" lan "$host/24"
		address "r$side" lan "${host%2}1/24"
		to "h$side" default "${host%2}1"
		;;
	esac
	if [[ $kind == cgn ]]; then
		address "r$side" wan 100.64.$i.2/24
		address "c$side" lan 100.64.$i.1/24
		to "r$side" default 100.64.$i.1
		nat "" </dev/null | rules "c$side"
	else
		address "r$side" wan 198.51.100.$((i * 4 + 2))/30 2001:db8:$i:c::2/64
		address "c$side" lan 198.51.100.$((i * 4 + 1))/30 2001:db8:$i:c::1/64
		to "r$side" default 198.51.100.$((i * 4 + 1))
		to "r$side" default 2001:db8:$i:c::1
		rules "c$side" </dev/null
	fi
	# Everybody public knows the way to the public addresses.
	local far=$((3 - i))
	to pub 198.51.100.$((i * 4))/30 203.0.113.2$i
	to pub 198.51.101.$((i * 8))/30 203.0.113.2$i
	to pub 2001:db8:$i::/48 2001:db8::2$i
	to "c$side" 198.51.100.$((far * 4))/30 203.0.113.2$far
	to "c$side" 198.51.101.$((far * 8))/30 203.0.113.2$far
	to "c$side" 2001:db8:$far::/48 2001:db8::2$far
	if [[ $kind == open ]]; then to "c$side" 198.51.101.$((i * 8))/30 198.51.100.$((i * 4 + 2)); fi
	if [[ $kind == v6 ]]; then to "c$side" 2001:db8:$i:1::/64 2001:db8:$i:c::2; fi

	case $kind in
	open) rules "r$side" </dev/null ;;
	eif) nat "" <<-END | rules "r$side" ;;
		chain pre { type nat hook prerouting priority dstnat; iifname "wan" meta l4proto udp dnat to $host; }
	END
	adf) nat "" <<-END | rules "r$side" ;;
		chain out { type filter hook forward priority 0; oifname "wan" meta l4proto udp update @spoken { ip daddr . udp sport }; }
		chain pre { type nat hook prerouting priority dstnat; iifname "wan" ip saddr . udp dport @spoken dnat to $host; }
	END
	apdf | cgn) nat "" </dev/null | rules "r$side" ;;
	sym) nat fully-random </dev/null | rules "r$side" ;;
	noudp) nat "" <<-END | rules "r$side" ;;
		chain out { type filter hook forward priority 0; meta l4proto udp drop; }
	END
	v6) rules "r$side" <<-END ;;
		table inet firewall {
			chain forward { type filter hook forward priority 0; ct state { established, related } accept; iifname "wan" drop; }
		}
	END
	esac
}

# together HOW: both hosts behind router a, in two networks that are kept apart, as
# guests are, with or without hairpin.
together() {
	local out=198.51.100.6 pre=""
	network a apdf
	network b apdf
	ip -n "$(ns hb)" route flush proto boot
	address hb lan
	address hb alt 10.3.0.2/24
	address ra lan2 10.3.0.1/24
	to hb default 10.3.0.1
	if [[ $1 == hairpin ]]; then
		pre="chain pre { type nat hook prerouting priority dstnat; iifname { lan, lan2 } ip daddr $out meta l4proto udp dnat to udp dport map @owner; }"
	fi
	rules ra <<-END
		table ip nat {
			map owner { type inet_service : ipv4_addr; flags dynamic; timeout 5m; }
			chain input { type filter hook input priority 0; meta l4proto udp drop; }
			chain out {
				type filter hook forward priority 0;
				oifname "wan" meta l4proto udp update @owner { udp sport : ip saddr }
				iifname { lan, lan2 } oifname { lan, lan2 } ct status dnat accept
				iifname { lan, lan2 } oifname { lan, lan2 } ct direction reply accept
				iifname { lan, lan2 } oifname { lan, lan2 } drop
			}
			$pre
			chain post {
				type nat hook postrouting priority srcnat;
				oifname "wan" masquerade
				iifname { lan, lan2 } oifname { lan, lan2 } snat to $out
			}
		}
	END
}

# mapping: host a behind router a, whose ports miniupnpd maps; its own chains are
# filled by it.
mapping() {
	network a apdf
	rules ra <<-END
		table inet filter {
			chain miniupnpd { }
			chain prerouting_miniupnpd { }
			chain postrouting_miniupnpd { }
			chain input { type filter hook input priority 0; iifname "wan" meta l4proto udp drop; }
			chain forward { type filter hook forward priority 0; jump miniupnpd; }
			chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }
			chain postrouting { type nat hook postrouting priority srcnat; jump postrouting_miniupnpd; oifname "wan" masquerade; }
		}
	END
}
