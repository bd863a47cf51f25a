#!/usr/bin/env bash
# client-securecall.sh LANE a|b start|dial|stop [oto|pulse]
#
# securecall for the measuring kit, which finds it through kit.sh: a dials, b
# listens. The speaker is the default one, through Oto, or is named, and so
# goes through pulse. a's process is there from the start, as a shell that
# becomes securecall when it is to dial: the kit weighs both ends by the pid.

# shellcheck source=/dev/null # the kit's: WORK, RUN, stop_pid
. "$(dirname "$0")/env.sh"
securecall=${SECURECALL:-$(dirname "$(readlink -f "$0")")/../../securecall}
lane=$1 end=$2 d=$RUN/securecall$1$2

case $3 in
start)
	mkdir -p "$d"
	rm -f "$d"/*
	speaker=default
	if [[ ${4-oto} == pulse ]]; then speaker=spk$lane$end; fi
	echo 'pcm.!default { type pulse } ctl.!default { type pulse }' >"$HOME/.asoundrc"
	export PULSE_SINK=spk$lane$end
	common=(--json --no-input --mic "ear$lane$end" --speaker "$speaker")
	case $end in
	a)
		mkfifo "$d/dial"
		(
			read -r _ <"$d/dial"
			# A port that the kit takes for one of media.
			exec ip netns exec "hp$lane$end" "$securecall" dial --ephemeral "${common[@]}" --bind 10.77.0.1:10000 10.77.0.2:10000
		) >"$d/log" 2>&1 &
		echo $! >"$d/pid"
		;;
	b)
		ip netns exec "hp$lane$end" "$securecall" listen --ephemeral "${common[@]}" --bind 10.77.0.2:10000 --accept all >"$d/log" 2>&1 &
		echo $! >"$d/pid"
		for _ in $(seq 100); do
			if grep -q '"listening"' "$d/log"; then exit 0; fi
			sleep 0.05
		done
		tail -5 "$d/log" >&2
		exit 1
		;;
	esac
	;;
dial)
	date +%s.%6N >"$RUN/dial$lane"
	echo now >"$d/dial"
	;;
stop) stop_pid "$d/pid" ;;
esac
