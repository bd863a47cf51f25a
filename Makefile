# What there is to do with securecall. Long recipes are scripts/*.sh; each says
# at its top what it does or checks, and runs alone as well.
#
# make test ends with the Go tests, so that their summary stands last (make nodes and
# make test-release take minutes, and are no part of it); each of
# the scripts that use real components can be left out only where CI is not set.

.DEFAULT_GOAL := build
.PHONY: build static demo deps test real check lint unit interop capture narrow netns roam sound room conceal echo noise robust release test-release service attempts nodes pressure \
	bench bench-kit bench-call bench-calls bench-rendezvous fuzz soak vuln clean help

build: ## ./securecall, with the system's sound libraries where they are (the default)
	@scripts/build.sh

static: ## ./securecall as one static binary, for servers: all but Oto and miniaudio
	CGO_ENABLED=0 go build -trimpath -o securecall .

demo: build ## a whole call on this machine
	./securecall demo

deps: ## what the tests need from Debian: says what, and installs it where it may
	@scripts/deps.sh

test: deps ## every test: calls with real components, then the Go tests
	@scripts/test.sh

check: lint unit ## formatting, vet, staticcheck, every variant, some fuzzing, the Go tests

lint: ## check without the Go tests
	@scripts/lint.sh

unit: ## the Go tests alone, with the race detector where there is cgo
	@scripts/unit.sh

interop: build ## calls with Belledonne's libbzrtp, both ways
	@scripts/interop.sh

capture: build ## a call between two network namespaces, recorded and examined
	@scripts/capture.sh

narrow: build ## calls over paths that lose or break up large datagrams
	@scripts/narrow.sh

roam: build ## calls that outlive a change of network, and two people behind routers
	@scripts/roam.sh

netns: ## two hosts behind each pair of NATs, with a TURN server (KINDS="apdf sym …")
	@scripts/netns.sh

sound: build ## a call through PulseAudio's virtual microphone and speaker
	@scripts/sound.sh

room: ## a call whose loudspeaker and microphone stand in one room has no audible echo
	@scripts/room.sh

conceal: ## packet loss concealment offline, beside spandsp's
	@scripts/conceal.sh

echo: ## echo cancellation offline, beside speexdsp's
	@scripts/echo.sh

noise: ## noise suppression offline, beside speexdsp's
	@scripts/noise.sh

robust: build ## floods, ports in use, names that do not resolve, a peer that is killed
	@scripts/robust.sh

attempts: build ## 100,000 joins with wrong words at a meeting point
	@scripts/attempts.sh

nodes: build ## a meeting point on several machines, of which one after the other dies
	@scripts/nodes.sh

pressure: ## calls under memory pressure and with all processors loaded
	@scripts/pressure.sh

bench: ## Go benchmarks, ten counts, compared with the last saved run
	@scripts/bench/go.sh

bench-kit: build ## delay, speech and processor time beside Linphone and baresip (KIT=…, WORK=…, SEEDS=5)
	@scripts/bench/matrix.sh $(or $(SEEDS),5)

bench-call: static ## dial to secured, start-up, and what a call of a minute costs
	@scripts/bench/call.sh

bench-calls: static ## CALLS (100) calls at once for DURATION (20s) to one listener on one processor (SOUND=--echo)
	go run ./scripts/bench/calls -calls $(or $(CALLS),100) -for $(or $(DURATION),20s) -sound "$(or $(SOUND),--echo)"

bench-rendezvous: ## 10,000 listeners at one meeting point, and 1,000 codes a minute
	go run ./scripts/bench/rendezvous

fuzz: ## every fuzz target for FUZZTIME (1m)
	@scripts/fuzz.sh $(or $(FUZZTIME),1m)

soak: static ## one call of SOAK (1h), with what it loses and how it grows
	@scripts/soak.sh $(or $(SOAK),1h)

vuln: ## govulncheck; needs its database, so no part of check
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

release: ## tarballs, a Debian package and SHA256SUMS in dist/ (KINDS="linux-amd64 deb …")
	@scripts/release.sh

test-release: ## a release built twice and compared; its package installed and purged (QUICK=1)
	@scripts/release-test.sh

service: build ## the units of systemd, and calls at sockets that systemd opens
	@scripts/service.sh

clean: ## what make left here
	rm -rf securecall heard.wav bench.txt bench.old.txt dist

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | \
		while IFS="$$(printf '\t')" read -r name what; do printf '%-18s%s\n' "$$name" "$$what"; done
