#!/usr/bin/env bash
# What can be told without running a call: gofumpt, vet on every platform,
# staticcheck, go.mod, every variant builds, 1,000 inputs for each fuzz target
# (FUZZTIME), shellcheck. All of it is run, and one failure fails it.
#
# With cgo, what vet and staticcheck have compiled is what the Go tests need, with the
# race detector: it is compiled once.
. "$(dirname "$0")/lib.sh"

tool() { go tool -modfile=scripts/tools.mod "$@"; }

formatted() {
	local list
	list=$(tool gofumpt -l .) || return 1
	[[ -z $list ]] || { echo "$list" && return 1; }
}

# vet and build on another platform; $1 is GOOS/GOARCH, always without cgo.
elsewhere() {
	GOOS=${1%/*} GOARCH=${1#*/} CGO_ENABLED=0 go vet ./... &&
		GOOS=${1%/*} GOARCH=${1#*/} CGO_ENABLED=0 go build -o /dev/null .
}

shells() {
	local files
	mapfile -t files < <(find scripts -name "*.sh")
	shellcheck -x -P SCRIPTDIR -e SC2317 "${files[@]}" packaging/debian/{postinst,prerm,postrm} .ci/run # 2317: check calls functions
}

check "gofumpt" formatted
check "go mod tidy" go mod tidy -diff
check "go mod verify" go mod verify
if missing=$(scripts/cgo.sh); then
	check "vet with cgo" eval 'go vet -race ./... && go vet -race -tags pulse ./audio/device'
	check "staticcheck" env GOFLAGS=-race go tool -modfile=scripts/tools.mod staticcheck ./...
elif [[ ${CI-} ]]; then
	fail "vet with cgo: $missing"
else
	echo "left out: vet with cgo: $missing"
fi
for platform in linux/amd64 windows/amd64 darwin/arm64; do
	check "vet and build for $platform without cgo" elsewhere $platform
done
check "build for linux/arm" env GOOS=linux GOARCH=arm CGO_ENABLED=0 go build -o /dev/null .
check "staticcheck without cgo" env CGO_ENABLED=0 go tool -modfile=scripts/tools.mod staticcheck ./...
check "fuzzing" scripts/fuzz.sh "${FUZZTIME:-1000x}"
if has shellcheck; then
	check "shellcheck" shells
elif [[ ${CI-} ]]; then
	fail "shellcheck is not here: make deps"
else
	echo "left out: shellcheck, which is not here"
fi
exit "$failed"
