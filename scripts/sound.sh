#!/usr/bin/env bash
# Calls through a sound server: PulseAudio with null sinks as microphone and
# speaker, started, ended and killed by this script, in a home of its own.
#   - What is said into one side's microphone comes out of the other side's
#     speaker; how alike it is and how much later, apart for Oto (the default
#     speaker, through ALSA), pulse (a speaker by its name), packets of 10 ms and the
#     build without cgo; and what of that delay is the server's, as it says itself, and
#     the jitter buffer's (the table of docs/latency.md).
#   - devices marks the defaults, and devices --test plays its tone and shows the
#     microphone's level, on devices by their names and on the default ones.
#   - A caller hears the ringing tone in the speaker, while it rings.
#   - doctor finds out whether the microphone hears the speaker.
#   - Microphone and speaker are taken away in mid-call and put back, and then the sound
#     server dies and is started again: the call goes on, says so, and is heard again.
#   - There is none to begin with: status 30 and a message, no hang.
#   - The tests of audio/device that need a sound server.
# Needs pulseaudio, pulseaudio-utils, libasound2-plugins, and a build with cgo.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
pids=()
cleanup() {
	end "${pids[@]}"
	rm -rf "$work"
}
trap cleanup EXIT

cgo=$work/securecall static=$work/securecall-static
CGO_ENABLED=1 go build -o "$cgo" .
CGO_ENABLED=0 go build -o "$static" .
go build -o "$work/measure" ./scripts/measure
"$work/measure" speech "$work/said.wav" 2

# Each in a process of its own: ALSA reads where the server is but once.
go test -c -tags pulse -o "$work/device.test" ./audio/device
tests=$(sed -n 's/^func \(Test[A-Za-z0-9]*\)(.*/\1/p' audio/device/pulse_test.go audio/device/card_test.go)
for t in $tests; do
	check "audio/device: $t" thrice env -C audio/device "$work/device.test" -test.run "^$t\$"
done

export HOME=$work XDG_RUNTIME_DIR=$work/run XDG_CONFIG_HOME=$work/config
export PULSE_RUNTIME_PATH=$work/pulse PULSE_SERVER=unix:$work/socket
mkdir -m 700 "$XDG_RUNTIME_DIR" "$XDG_CONFIG_HOME" "$PULSE_RUNTIME_PATH"
echo 'pcm.!default { type pulse } ctl.!default { type pulse }' >"$HOME/.asoundrc"

# One sink of two channels, so that one recording has both on one clock: the
# left is what is said into the microphone, the right what the speaker plays.
cat >"$work/pulse.pa" <<P
load-module module-native-protocol-unix auth-anonymous=1 socket=$work/socket
load-module module-null-sink sink_name=room rate=48000 channels=2 channel_map=front-left,front-right
load-module module-remap-sink sink_name=mouth master=room channels=1 master_channel_map=front-left channel_map=mono remix=no
load-module module-remap-sink sink_name=ear master=room channels=1 master_channel_map=front-right channel_map=mono remix=no
load-module module-remap-source source_name=mic master=room.monitor channels=1 master_channel_map=front-left channel_map=mono remix=no
set-default-sink ear
set-default-source mic
P
serve() {
	pulseaudio -n -F "$work/pulse.pa" --daemonize=no --exit-idle-time=-1 --use-pid-file=no \
		--realtime=no --high-priority=no >"$work/pulse.log" 2>&1 &
	server=$! pids+=($!)
	await 10 eval 'pactl list short sources 2>/dev/null | grep -q mic' || { cat "$work/pulse.log"; exit 1; }
}
# die: without a word, and no news of it from the shell.
die() {
	{
		kill -9 "$server"
		wait "$server" || true
	} 2>/dev/null
	rm -f "$work/socket"
}
serve

# talk NAME BINARY MIC SPEAKER [FLAG...]: a call whose dialer has that microphone and
# whose listener that speaker, and both the flags; their pids in $dialer and $listener.
talk() {
	rm -f "$work/$1"-[ab] # or an earlier call's are read
	"$2" listen --ephemeral --bind 127.0.0.1:0 --accept all --once --json --mic none --speaker "$4" "${@:5}" >"$work/$1-b" 2>&1 &
	listener=$! pids+=($!)
	await 10 told "$work/$1-b" listening || { cat "$work/$1-b" && exit 1; }
	"$2" dial --ephemeral --json --mic "$3" --speaker none "${@:5}" \
		"$(sed -n 's/.*"listening","addrs":\["\([^"]*\)".*/\1/p' "$work/$1-b")" >"$work/$1-a" 2>&1 &
	dialer=$! pids+=($!)
	await 10 told "$work/$1-a" answered || { cat "$work/$1-a" "$work/$1-b" && exit 1; }
}

# kept KIND: what a server keeps of the call's stream, as it says itself: at our side of it
# and at the device's, in ms. KIND is sink-inputs or source-outputs.
kept() {
	pactl list "$1" | awk '
		function told() { if (call) printf "%.0f and %.0f ms", buffer / 1000, device / 1000 }
		/^S/ { told(); call = 1 }
		/Buffer Latency:/ { buffer = $3 }
		/(Sink|Source) Latency:/ { device = $3 }
		/application.name = "(paplay|parec)"|Driver: module-/ { call = 0 }
		END { told() }'
}

# heard NAME BINARY SPEAKER [FLAG...]: a call in which something is said: $alike and $later (ms,
# $soonest to $latest) is what came out, $missing ms of it did not. $status is the dialer's.
heard() {
	talk "$1" "$2" mic "$3" "${@:4}"
	parec -d room.monitor --raw --rate=8000 --channels=2 --format=s16le --latency-msec=20 >"$work/$1.raw" &
	local recorder=$! talker words
	pids+=("$recorder")
	sleep 1 # the devices settle
	paplay -d mouth "$said" &
	talker=$!
	pids+=("$talker")
	sleep 5
	microphone=$(kept source-outputs) speaker=$(kept sink-inputs)
	reap "$talker"
	sleep 1
	end "$recorder"
	kill -INT "$dialer"
	reap "$listener"
	reap "$dialer"
	read -r -a words < <("$work/measure" alike "$work/$1.raw:0/2" "$work/$1.raw:1/2" || echo "correlation 0 delay_ms 9999")
	alike=${words[1]} later=${words[3]} soonest=${words[5]-} latest=${words[7]-} missing=${words[11]:-99999}
}

# through NAME BINARY SPEAKER MOST [FLAG...]: at most MOST ms of delay. What fails is tried again,
# twice: a machine may stand still for a moment.
through() {
	local again
	for again in "" ", again" ", and again"; do
		heard "${@:1:3}" "${@:5}"
		echo "      $1$again: the server keeps $microphone of the microphone's, $speaker of the speaker's, and the jitter buffer $(field "$work/$1-b" stats playout_delay_ms) ms"
		! { is "$alike" ">" 0.9 && is "$later" "<" "$4" && is "$missing" "<=" 100; } || break
	done
	check "$1: the call ended normally (status $status)" test "$status" = 0
	check "$1: heard is what was said: correlation $alike" is "$alike" ">" 0.9
	check "$1: $later ms from microphone to speaker ($soonest to $latest)" is "$later" "<" "$4"
	# Of 15 s, or half of that.
	check "$1: $missing ms of what was said are missing" is "$missing" "<=" 100
	# The control: the speaker is not simply the microphone. A packet alone is 20 ms, or 10.
	check "$1: and not at once" is "$later" ">" 20
}
said=$work/said.wav
through oto "$cgo" default 300
through pulse "$cgo" ear 110
said=$work/half.wav # 7.5 s, to spare half a minute
"$work/measure" speech "$said" 1
through pulse-10ms "$cgo" ear 100 --packet-time 10ms
through static "$static" default 110

# marked KIND NAME: is it the one that is marked?
marked() { [[ $("$cgo" devices --json | grep "\"kind\":\"$1\".*\"default\":true" | sed 's/.*"name":"\([^"]*\)".*/\1/') == "$2" ]]; }
check "devices: the default microphone is marked" marked mic mic
check "devices: the default speaker is marked" marked speaker ear

check "a shell completes the speakers" eval "'$cgo' __complete speakers | grep -qx ear"
check "a shell completes the microphones" eval "'$cgo' __complete microphones | grep -qx mic"

# tried NAME SPEAKER MIC: the tone comes out at that speaker, and what is said
# meanwhile at that microphone.
tried() {
	parec -d room.monitor --raw --rate=8000 --channels=2 --format=s16le --latency-msec=20 >"$work/$1.raw" &
	local recorder=$! talker loudest
	paplay -d mouth "$work/said.wav" &
	talker=$!
	pids+=("$recorder" "$talker")
	status=0
	timeout 30 "$cgo" devices --test --json --speaker "$2" --mic "$3" >"$work/$1" 2>&1 || status=$?
	end "$recorder" "$talker"
	check "devices --test, $1: status $status" test $status = 0
	loudest=$(od -An -v -td2 -w4 "$work/$1.raw" | awk '$2 > most { most = $2 } END { print most + 0 }')
	check "devices --test, $1: the tone is played, its loudest sample $loudest" is "$loudest" ">" 3000
	loudest=$(sed -n 's/.*"kind":"mic".*"peak_dbfs":\([-0-9.]*\).*/\1/p' "$work/$1")
	check "devices --test, $1: heard at up to ${loudest:-nothing} dBFS" is "${loudest:--96}" ">" -30
}
tried "by name" ear mic
tried "by default" default default
# The control: nobody speaks into this one.
"$cgo" devices --test --json --speaker ear --mic ear.monitor >"$work/quiet" 2>&1 || true
loudest=$(sed -n 's/.*"kind":"mic".*"peak_dbfs":\([-0-9.]*\).*/\1/p' "$work/quiet")
check "devices --test, a silent microphone: ${loudest:-nothing} dBFS" is "${loudest:-0}" "<" -60
"$cgo" devices --test --speaker none --mic nosuch >"$work/none" 2>&1 && status=0 || status=$?
check "devices --test, no such microphone: status $status: $(grep -m1 securecall: "$work/none")" test $status = 30

# sounds FILE CHANNEL: how long a tone sounds there, ms, and how often it turns in a second, in $tone.
sounds() {
	read -r -a tone < <(od -An -v -td2 -w4 "$1" | awk -v c="$2" '
		$c > 100 || $c < -100 { n += 1 }
		last < 0 && $c >= 0 { turns += 1 }
		{ last = $c }
		END { printf "%d %d\n", n / 8, n ? turns * 8000 / n : 0 }')
}

# rung NAME SPEAKER: the caller hears in that speaker that it rings there, once in three seconds.
rung() {
	local recorder s=0 tone
	"$cgo" listen --ephemeral --bind 127.0.0.1:0 --once --no-input --json --mic none --speaker none --on-incoming "sh -c 'sleep 3; exit 1'" >"$work/$1-b" 2>&1 &
	listener=$! pids+=($!)
	await 10 told "$work/$1-b" listening || { cat "$work/$1-b" && exit 1; }
	parec -d room.monitor --raw --rate=8000 --channels=2 --format=s16le --latency-msec=20 >"$work/$1.raw" &
	recorder=$! pids+=("$recorder")
	timeout 30 "$cgo" dial --ephemeral --json --mic none --speaker "$2" \
		"$(sed -n 's/.*"listening","addrs":\["\([^"]*\)".*/\1/p' "$work/$1-b")" >"$work/$1-a" 2>&1 || s=$?
	end "$recorder"
	reap "$listener"
	check "$1: declined, statuses $s and $status" test "$s$status" = 1212
	sounds "$work/$1.raw" 2
	check "$1: a tone of ${tone[1]} Hz, for ${tone[0]} ms" eval "is ${tone[0]} '>' 900 && is ${tone[0]} '<' 1100 && is ${tone[1]} '>' 400 && is ${tone[1]} '<' 450"
}
rung ringback-pulse ear
rung ringback-oto default

# doctored MIC: what doctor says of it, with the speaker that it may hear.
doctored() {
	status=0
	timeout 30 "$cgo" doctor --bind 127.0.0.1:0 --json --speaker ear --mic "$1" >"$work/doctor" 2>&1 || status=$?
}
doctored ear.monitor
late=$(sed -n 's/.*"name":"echo".*after \([0-9]*\) ms.*/\1/p' "$work/doctor")
check "doctor: the microphone hears the speaker after ${late:-nothing} ms, status $status" eval "is ${late:-999} '<' 200 && test $status = 0"
doctored mic # the control
check "doctor: another one does not, status $status" eval "grep -q '\"name\":\"echo\",\"ok\":true,.*does not hear' $work/doctor && test $status = 0"
doctored nosuch
check "doctor: no such microphone: status $status" test $status = 30

# went WHAT OUTPUT: it says that its device was lost, and the call goes on.
went() { check "$1: told that it was lost" await 10 grep -qs '"device".*"lost"' "$2"; }
came() { # WHAT PID OUTPUT COMMAND...: it says that its device is back, COMMAND, and it ends as any other.
	check "$1: told that it is back" await 10 grep -qs '"device".*"back"' "$3"
	"${@:4}"
	kill -INT "$2"
	reap "$2"
	check "$1: the call outlived that (status $status)" test $status = 0
}
plays() { # WHAT CHANNEL: the caller's tone is heard there again.
	local recorder
	sleep 0.5
	parec -d room.monitor --raw --rate=8000 --channels=2 --format=s16le --latency-msec=20 >"$work/again.raw" &
	recorder=$! pids+=("$recorder")
	sleep 2
	end "$recorder"
	sounds "$work/again.raw" "$2"
	check "$1: a tone of ${tone[1]} Hz again, for ${tone[0]} ms" eval "is ${tone[0]} '>' 1000 && is ${tone[1]} '>' 430 && is ${tone[1]} '<' 460"
}
"$work/measure" part "$work/short.wav" 0 4
hears() { # WHAT FILE LISTENER: it has written what was said into the microphone in the end.
	local alike words
	reap "$3"
	tail -c 80000 "$2" >"$work/end.raw" # 5 s
	alike=$("$work/measure" alike "$work/short.wav" "$work/end.raw") || alike="correlation 0"
	read -r -a words <<<"$alike"
	check "$1: it is heard again: correlation ${words[1]}" is "${words[1]}" ">" 0.9
}

# The devices are taken from a server that lives on, and put there again.
module() { pactl list short modules | awk -v name="_name=$1" 'index($0, name) { print $1 }'; }
talk gone-mic "$cgo" mic "$work/gone.wav"
mic=$dialer written=$listener
talk gone-ear "$cgo" tone:440 ear
ear=$listener
sleep 1
pactl unload-module "$(module mic)"
pactl unload-module "$(module ear)"
went "an unplugged microphone" "$work/gone-mic-a"
went "an unplugged speaker" "$work/gone-ear-b"
sed -n '/_name=\(ear\|mic\) /s/^load-module //p' "$work/pulse.pa" | while read -r -a m; do pactl load-module "${m[@]}" >/dev/null; done
pactl set-default-sink ear
pactl set-default-source mic
came "an unplugged speaker" "$ear" "$work/gone-ear-b" plays "an unplugged speaker" 2
came "an unplugged microphone" "$mic" "$work/gone-mic-a" paplay -d mouth "$work/short.wav"
hears "an unplugged microphone" "$work/gone.wav" "$written"

# Three calls at once lose their server. The speaker by a name plays to the left, the default
# one to the right.
talk lost-mic "$cgo" mic "$work/lost.wav"
mic=$dialer written=$listener
talk lost-oto "$cgo" tone:440 default
oto=$listener
talk lost-pulse "$cgo" tone:440 mouth
pulse=$listener
sleep 1
die
went "microphone (pulse)" "$work/lost-mic-a"
went "speaker (Oto)" "$work/lost-oto-b"
went "speaker (pulse)" "$work/lost-pulse-b"
sleep 1
serve
came "speaker (pulse)" "$pulse" "$work/lost-pulse-b" plays "speaker (pulse)" 1
came "speaker (Oto)" "$oto" "$work/lost-oto-b" plays "speaker (Oto)" 2
came "microphone (pulse)" "$mic" "$work/lost-mic-a" paplay -d mouth "$work/short.wav"
hears "microphone (pulse)" "$work/lost.wav" "$written"
die

for binary in "$cgo" "$static"; do
	status=0
	timeout 15 "$binary" dial --mic default --speaker none 127.0.0.1:9 >"$work/out" 2>&1 || status=$?
	check "no sound server, ${binary##*/}: status $status: $(grep -m1 securecall: "$work/out")" test $status = 30
done
exit "$failed"
