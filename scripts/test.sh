#!/usr/bin/env bash
# Every test: the scripts that call through real components, as far as those
# are here; a summary in words; and last the Go tests, whose own summary ends
# the output. With CI set nothing may be left out.
. "$(dirname "$0")/lib.sh"

ran=() out=()

# run SCRIPT WHAT MISSING: MISSING says why it cannot run here; empty: it can. What takes
# five minutes hangs.
run() {
	if [[ $3 ]]; then
		out+=("$2: $3")
		return
	fi
	echo "== $2 (scripts/$1)"
	local began=$SECONDS
	if timeout -k 20 300 "scripts/$1"; then ran+=("$2, $((SECONDS - began)) s"); else ran+=("$2: FAILED") failed=1; fi
}

# lack NEED...: what of it is not here: commands, headers as NAME.h,
# linux, root, cgo, asterisk (recorded speech).
lack() {
	local n missing=()
	for n; do
		case $n in
		linux) [[ $(uname) == Linux ]] || missing+=("Linux") ;;
		root) ((EUID == 0)) || missing+=("root") ;;
		cgo) scripts/cgo.sh >/dev/null || missing+=("cgo") ;;
		asterisk) [[ -d /usr/share/asterisk/sounds ]] || missing+=("recorded speech of asterisk-core-sounds-en-wav") ;;
		*.h) [[ -e /usr/include/$n ]] || compgen -G "/usr/include/*-linux-*/$n" >/dev/null || missing+=("$n") ;;
		*) has "$n" || missing+=("$n") ;;
		esac
	done
	((${#missing[@]} == 0)) || echo "there is no ${missing[*]}"
}

scripts/build.sh
run robust.sh "a hostile world" "$(lack linux)"
run attempts.sh "100,000 attempts at a meeting point" "$(lack linux openssl)"
run interop.sh "calls with libbzrtp" "$(lack linux cc pkg-config bzrtp/bzrtp.h srtp2/srtp.h sqlite3.h)"
run narrow.sh "narrow paths" "$(lack linux root ip nft)"
run roam.sh "other networks and routers in mid-call" "$(lack linux root ip nft)"
run netns.sh "pairs of NATs" "$(lack linux root ip nft turnserver miniupnpd openssl)"
run capture.sh "recorded calls" "$(lack linux root ip tcpdump tshark)"
run sound.sh "calls through PulseAudio" "$(lack linux cgo pulseaudio parec)"
run service.sh "services, by the tools of systemd" "$(lack linux systemd-analyze systemd-socket-activate strace)"
run pressure.sh "memory pressure and loaded processors" "$(lack linux)"
export EVERY=3 # of the recordings
run conceal.sh "concealment beside spandsp's" "$(lack cc spandsp.h asterisk)"
run echo.sh "echo cancellation beside speexdsp's" "$(lack cc speex/speex_echo.h asterisk)"
run room.sh "a loudspeaker and a microphone in one room" "$(lack linux pulseaudio parec)"

echo
echo "== what ran"
for r in "${ran[@]}"; do echo "   $r"; done
if ((${#out[@]} > 0)); then
	echo "== what was left out (make deps installs what is missing)"
	for o in "${out[@]}"; do echo "   $o"; done
	[[ -z ${CI-} ]] || failed=1
fi
echo "== and now the Go tests"
scripts/unit.sh || failed=1
exit "$failed"
