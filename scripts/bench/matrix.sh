#!/usr/bin/env bash
# matrix.sh [SEEDS [CONDITION...]]: securecall beside Linphone and baresip, on the
# measuring kit in $KIT: every condition of the network, SEEDS (5) seeds each, the
# three programs at the same time in three lanes, with recorded speech. Ends with
# one table of medians (table.py). Everything is written to $WORK. FIRST=3 goes on with
# seed 3 of a run that was interrupted.
#
# Needs root and what the kit needs; takes three quarters of a minute for each
# condition and seed. securecall's speaker is its pulse driver, by name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${KIT:?is to name the folder of the kit}" "${WORK:?is to name a folder of your own, where everything is written}"
seeds=${1:-5}
shift $(($# > 0 ? 1 : 0))

# name, then what the network does
conditions="
clean
loss1 -loss 1
loss3 -loss 3
loss5 -loss 5
loss10 -loss 10
loss20 -loss 20
burst5 -loss 5 -burst 4
burst10 -loss 10 -burst 4
jit20 -delay 40ms -jitter 20ms
jit40 -delay 40ms -jitter 40ms
jit20loss5 -delay 40ms -jitter 20ms -loss 5
"

mkdir -p "$WORK/out" "$WORK/wav"
# Not the same words at the same time: what a microphone hears some moments after the
# loudspeaker said it is an echo, and an echo canceller takes it out.
"$here/speech.sh" "$WORK/wav/speech.wav" "$WORK/wav/other.wav"
export SPEECH_A=$WORK/wav/speech.wav SPEECH_B=$WORK/wav/other.wav
"$here/kit.sh" pulse.sh start
trap '"$here/kit.sh" pulse.sh stop' EXIT
first=${FIRST:-1}
((first > 1)) || rm -f "$WORK/out/results.tsv"

# Seed by seed, so that what was done when it is interrupted is a whole table of
# fewer seeds.
for ((seed = first; seed <= seeds; seed++)); do
	while read -r name flags; do
		[[ $name ]] || continue
		if (($# > 0)) && [[ " $* " != *" $name "* ]]; then continue; fi
		lane=0 pids=()
		for client in linphone:zrtp baresip:srtp-mand securecall:pulse; do
			# shellcheck disable=SC2086 # flags are words
			"$here/kit.sh" run-call.sh "$client" $lane "$name" -seed $seed $flags >"$WORK/out/$client.log" 2>&1 </dev/null &
			pids+=($!)
			lane=$((lane + 1))
		done
		for pid in "${pids[@]}"; do
			wait "$pid" || echo "$name, seed $seed: a call failed; see $WORK/out/*.log" >&2
		done
		echo "$name, seed $seed: done" >&2
	done <<<"$conditions"
done
"$here/table.py" "$WORK/out/results.tsv"
