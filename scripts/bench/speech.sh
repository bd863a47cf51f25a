#!/usr/bin/env bash
# speech.sh OUT.wav OTHER.wav: four utterances of 8 s of real, recorded speech, 8 kHz mono
# at -26 dBov, each after half a second of silence, as the measuring kit splits
# them; in OTHER.wav in another order. From Debian's asterisk-core-sounds-en-wav; needs sox.
set -euo pipefail
sounds=/usr/share/asterisk/sounds/en_US_f_Allison
if [[ ! -d $sounds ]]; then
	echo "$0: there is no recorded speech here; apt-get install asterisk-core-sounds-en-wav" >&2
	exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in demo-congrats demo-instruct basic-pbx-ivr-main demo-echotest; do
	sox -V1 -R "$sounds/$name.wav" -r 8000 -c 1 -b 16 "$work/part.wav" silence 1 0.05 1% trim 0 7 pad 0.5 1 trim 0 8
	level=$(sox "$work/part.wav" -n trim 0.5 stats 2>&1 | awk '/RMS lev dB/ { print $4 }')
	sox -R "$work/part.wav" "$work/$name.wav" gain "$(awk "BEGIN { print -26 - ($level) }")"
done
sox "$work"/demo-congrats.wav "$work"/demo-instruct.wav "$work"/basic-pbx-ivr-main.wav "$work"/demo-echotest.wav "$1"
sox "$work"/basic-pbx-ivr-main.wav "$work"/demo-echotest.wav "$work"/demo-congrats.wav "$work"/demo-instruct.wav "$2"
