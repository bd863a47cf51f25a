#!/usr/bin/env bash
# What scripts/release.sh makes: built twice, in two folders, with other modes, language, time
# zone and build cache, and compared bit by bit; and the Debian package installed, called
# with, followed through the first screen of README.md, removed and purged, after which nothing
# of it is left (root only, and where no securecall is installed). QUICK=1 makes two kinds
# instead of all, and shares the cache, so that no more than linking and packing is done twice.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
pids=()
installed=
cleanup() {
	end "${pids[@]}"
	[[ -z $installed ]] || dpkg --purge securecall >/dev/null 2>&1 || true
	chmod -R u+w "$work"
	rm -rf "$work"
}
trap cleanup EXIT

export SOURCE_DATE_EPOCH=1750000000 VERSION=0.1.0+test
if [[ ${QUICK-} ]]; then export KINDS="linux-amd64 deb"; fi

# copy FOLDER: of this tree as it is.
copy() {
	mkdir -p "$1"
	if git rev-parse >/dev/null 2>&1; then
		git ls-files -coz --exclude-standard | tar --null -T - --ignore-failed-read -cf - 2>/dev/null | tar -C "$1" -xf -
	else
		cp -r . "$1"
	fi
}
copy "$work/one"
copy "$work/another/and deeper"
chmod -R go-rwx "$work/another"
one=$work/1 another=$work/2
check "a release is built" env OUT="$one" "$work/one/scripts/release.sh"
if [[ ! ${QUICK-} ]]; then export GOCACHE=$work/cache; fi
again() { env LC_ALL=C.UTF-8 LANG=C.UTF-8 TZ=Pacific/Apia OUT="$another" "$work/another/and deeper/scripts/release.sh" >/dev/null; }
check "and built again elsewhere" again
unset GOCACHE
cat "$one/SHA256SUMS" 2>/dev/null || true
check "both are the same, bit by bit" diff "$one/SHA256SUMS" "$another/SHA256SUMS"
sums() { (cd "$one" && sha256sum --quiet -c SHA256SUMS) && (cd "$another" && sha256sum --quiet -c SHA256SUMS); }
check "the sums are right" sums
whole() { # every file of the release is in the sums
	diff <(cd "$one" && ls securecall*) <(awk '{print $2}' "$one/SHA256SUMS" | sort)
}
check "nothing is without a sum" whole
# plain TARBALL: owner, mode and time of what is in it are as they are to be.
plain() {
	! TZ=UTC tar --numeric-owner --full-time -tvf "$1" |
		grep -vE "^(-rw-r--r--|[-d]rwxr-xr-x) 0/0 +[0-9]+ 2025-06-15 15:06:40 "
}
for t in "$one"/*.tar.gz; do check "owners, modes and times in ${t##*/}" plain "$t"; done
tar -C "$work" -xzf "$one"/securecall-*-linux-amd64.tar.gz
static() { [[ $("$work/securecall-$VERSION-linux-amd64/securecall" version) == "securecall $VERSION ("*static* ]]; }
check "the static program runs and says its version" static

# The package.
package=("$one"/securecall_*.deb)
if [[ ! -e ${package[0]} ]] || ((EUID != 0)) || dpkg -s securecall >/dev/null 2>&1; then
	if [[ ${CI-} ]]; then fail "the package cannot be installed here"; else echo "left out: installing the package (as root, with none installed)"; fi
	exit "$failed"
fi
conffiles() { ! dpkg-deb -I "${package[0]}" | grep -q conffiles; }
check "there are no conffiles" conffiles
mapfile -t files < <(dpkg-deb -c "${package[0]}" | awk '$1 !~ /^d/ {print substr($6, 2)}')
installed=1
check "it is installed" dpkg -i "${package[0]}"
starts() { ! find /etc/systemd/system /etc/rc*.d -name '*securecall*' 2>/dev/null | grep .; }
check "nothing starts by itself" starts
version() { [[ $(securecall version) == "securecall 0.1.0+test ("*cgo* ]]; }
check "the full program is in the PATH" version
securecall listen --ephemeral --bind 127.0.0.1:0 --accept all --once --echo --json >"$work/bob" 2>&1 &
pids+=($!)
listener=$!
await 10 told "$work/bob" listening || fail "it does not listen: $(cat "$work/bob")"
addr=$(sed -n 's/.*"listening","addrs":\["\([^"]*\)".*/\1/p' "$work/bob")
check "a call with it" securecall dial --ephemeral --mic tone:440 --speaker none --duration 1s "$addr"
reap "$listener"
check "both ends of it end normally" test "$status" = 0
followed() { go test -count=1 -run '^TestFirstScreen$' . -program "$(command -v securecall)"; }
check "with it, the first screen of README.md leads to a verified call" followed
check "it is removed" dpkg -r securecall
check "it is purged" dpkg -P securecall
installed=
left() {
	local f found=0
	for f in "${files[@]}" /usr/share/doc/securecall /var/lib/private/securecall-listen; do
		if [[ -e $f ]]; then echo "      $f" && found=1; fi
	done
	return "$found"
}
check "nothing of it is left" left
unknown() { ! dpkg -s securecall >/dev/null 2>&1; }
check "dpkg knows of none" unknown
exit "$failed"
