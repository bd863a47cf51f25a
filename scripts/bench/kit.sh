#!/usr/bin/env bash
# Measures securecall side by side with other programs: runs a script of the
# measuring kit in $KIT with client-securecall.sh beside the kit's own clients,
# everything in $WORK. Needs what the kit needs, root among it.
#
#	export KIT=/where/the/kit/is WORK=/a/folder/of/its/own
#	scripts/bench/kit.sh pulse.sh start
#	scripts/bench/kit.sh make-speech.sh $WORK/wav/synth.wav
#	export SPEECH_A=$WORK/wav/synth.wav SPEECH_B=$WORK/wav/synth.wav
#	scripts/bench/kit.sh run-call.sh securecall 0 clean -delay 10ms
#	scripts/bench/kit.sh run-setup.sh securecall 0 rtt100 5 -delay 50ms
#	scripts/bench/kit.sh pulse.sh stop
#	cat $WORK/out/*.tsv
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${KIT:?is to name the folder of the kit}" "${WORK:?is to name a folder of your own, where everything is written}"

mkdir -p "$WORK/scripts"
ln -sf "$KIT"/scripts/* "$here/client-securecall.sh" "$WORK/scripts/"
[[ -x $WORK/callkit ]] || (cd "$KIT" && go build -o "$WORK/callkit" ./cmd/callkit)
[[ -x $here/../../securecall ]] || "$here/../build.sh"
exec "$WORK/scripts/$1" "${@:2}"
