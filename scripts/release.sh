#!/usr/bin/env bash
# All that is given to others, into dist/ (OUT): tarballs, a Debian package, and SHA256SUMS
# over them. KINDS chooses some of:
#   linux-amd64 linux-arm64 linux-armv7 linux-386   static
#   linux-amd64-full                                with the system's sound libraries
#   windows-amd64-full                              the same, by mingw-w64
#   darwin-arm64                                    static
#   deb                                             for this machine's architecture, full
# From the same commit, Go, C compiler and libraries come the same octets, wherever it is
# built; all times are SOURCE_DATE_EPOCH, that of the commit if it is not given. VERSION is
# of the tag, or of call/cli/version.go with the commit. What cannot be built here is left
# out and said, and with CI set it fails.
. "$(dirname "$0")/lib.sh"
export LC_ALL=C TZ=UTC
umask 022

out=$(mkdir -p "${OUT:-dist}" && cd "${OUT:-dist}" && pwd)
read -ra kinds <<<"${KINDS:-linux-amd64 linux-arm64 linux-armv7 linux-386 linux-amd64-full windows-amd64-full darwin-arm64 deb}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() {
	echo "release.sh: $*" >&2
	exit 1
}
left_out() {
	echo "LEFT OUT  $*"
	[[ -z ${CI-} ]] || failed=1
}

# What and when this is.
source_version=$(sed -n 's/^var version = "\(.*\)"$/\1/p' call/cli/version.go)
in_git() { [[ $(git rev-parse --show-toplevel 2>/dev/null) == "$ROOT" ]]; }
name_version() {
	in_git || { echo "$source_version" && return; }
	local tag
	if tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null) && [[ -z $(git status --porcelain) ]]; then
		[[ $tag == "v$source_version" ]] || die "the tag is $tag, and call/cli/version.go says $source_version"
		echo "$source_version"
		return
	fi
	echo "$source_version+git$(git log -1 --format=%cd --date=format-local:%Y%m%d).$(git rev-parse HEAD | cut -c1-12)$([[ -z $(git status --porcelain) ]] || echo .changed)"
}
version=${VERSION:-$(name_version)}
if [[ -z ${SOURCE_DATE_EPOCH-} ]]; then
	in_git || die "no git here: SOURCE_DATE_EPOCH has to say when this is from, in seconds since 1970"
	SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH

# build FILE GOOS GOARCH CGO_ENABLED [CC]: nothing of the environment or the folder gets in.
# What a C compiler warns of is in the libraries of others.
build() {
	env -u GOFLAGS -u CGO_LDFLAGS -u CGO_CPPFLAGS -u CGO_CXXFLAGS -u GOEXPERIMENT \
		GOOS="$2" GOARCH="$3" CGO_ENABLED="$4" ${5:+CC="$5"} CGO_CFLAGS="-O2 -w" \
		GOAMD64=v1 GOARM64=v8.0 GOARM=7 GO386=sse2 \
		go build -trimpath -buildvcs=false -mod=readonly \
		-ldflags "-s -w -buildid= -X securecall/call/cli.version=$version" -o "$1" .
}

# The man page and the completions come from the program itself.
host=$work/host
build "$host" "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" 0
mkdir -p "$work/help"
"$host" man >"$work/help/securecall.1" || die "securecall man fails: there is no man page"
for shell in bash zsh fish; do
	"$host" completion $shell >"$work/help/securecall.$shell" || die "securecall completion $shell fails"
done

# licences: of what is linked in, which goes with every copy.
licences() {
	local os module folder files
	echo "securecall holds these works of others. Their licences:"
	for os in linux windows darwin; do
		GOOS=$os GOARCH=arm64 CGO_ENABLED=1 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}	{{.Dir}}{{end}}{{end}}' .
	done | sort -u | while IFS=$'\t' read -r module folder; do
		printf '\n== %s\n\n' "$module"
		mapfile -t files < <(find "$folder" -maxdepth 1 -type f \( -iname "licen[cs]e*" -o -iname "copying*" \) | sort)
		((${#files[@]} > 0)) || die "$module has no licence"
		cat "${files[@]}"
	done || return
	printf '\n== Go and its library\n\n'
	cat "$(go env GOROOT)/LICENSE"
}
licences >"$work/LICENCES" || exit

# papers FOLDER: what goes with each program.
papers() {
	cp README.md SECURITY.md CHANGELOG.md LICENSE "$work/LICENCES" "$1"
	mkdir "$1/docs"
	cp -r docs/. "$1/docs"
	mkdir "$1/scripts"
	cp -r scripts/rendezvous "$1/scripts" # which docs/rendezvous.md shows
}

# settle FOLDER: modes and times as they are to be.
settle() {
	find "$1" -type d -exec chmod 755 {} +
	find "$1" -type f -perm /111 -exec chmod 755 {} +
	find "$1" -type f ! -perm /111 -exec chmod 644 {} +
	find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# tarball NAME: of $work/NAME.
tarball() {
	settle "$work/$1"
	tar -C "$work" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
		-cf - "$1" | gzip -9n >"$out/$1.tar.gz"
}

# report WHAT PROGRAM: whether it has been run, and not merely built.
report() {
	local said
	if said=$("$2" version 2>/dev/null); then
		echo "BUILT AND RUN   $1: $said"
	else
		echo "BUILT, NOT RUN  $1: not for this machine"
	fi
}

# program KIND GOOS GOARCH CGO_ENABLED [CC]: builds it and packs it.
program() {
	local name=securecall-$version-$1 file=securecall
	[[ $2 != windows ]] || file=securecall.exe
	mkdir -p "$work/$name"
	build "$work/$name/$file" "${@:2}" || { fail "$1 does not build" && return; }
	papers "$work/$name"
	if [[ $2 != windows ]]; then
		mkdir "$work/$name/completion"
		cp "$work/help/securecall.1" "$work/$name"
		cp "$work"/help/securecall.{bash,zsh,fish} "$work/$name/completion"
	fi
	if [[ $2 == linux ]]; then
		mkdir "$work/$name/systemd"
		cp packaging/*.service packaging/*.socket "$work/$name/systemd"
	fi
	tarball "$name"
	report "$name.tar.gz" "$work/$name/$file"
}

deb() {
	local architecture name tree=$work/deb depends
	architecture=$(dpkg --print-architecture)
	name=securecall_${version}_$architecture.deb
	mkdir -p "$tree"/{DEBIAN,usr/bin,usr/lib/systemd/system,usr/share/man/man1,usr/share/bash-completion/completions} \
		"$tree"/usr/share/{zsh/vendor-completions,fish/vendor_completions.d,doc/securecall/examples}
	build "$tree/usr/bin/securecall" linux "$(go env GOHOSTARCH)" 1 || { fail "the package does not build" && return; }
	gzip -9n <"$work/help/securecall.1" >"$tree/usr/share/man/man1/securecall.1.gz"
	cp "$work/help/securecall.bash" "$tree/usr/share/bash-completion/completions/securecall"
	cp "$work/help/securecall.zsh" "$tree/usr/share/zsh/vendor-completions/_securecall"
	cp "$work/help/securecall.fish" "$tree/usr/share/fish/vendor_completions.d/securecall.fish"
	cp packaging/*.service packaging/*.socket "$tree/usr/lib/systemd/system"
	papers "$tree/usr/share/doc/securecall"
	cd "$tree/usr/share/doc/securecall"
	{
		printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: securecall\n\nFiles: *\n'
		sed -n 's/^Copyright (c) /Copyright: /p' LICENSE
		echo "License: Expat"
		sed -e '1,/^Copyright/d' -e '/./,$!d' LICENSE | sed -e 's/^$/./' -e 's/^/ /'
	} >copyright
	gzip -9n <CHANGELOG.md >changelog.gz
	rm LICENSE CHANGELOG.md
	cd "$ROOT"
	cp scripts/rendezvous/rendezvous.toml "$tree/usr/share/doc/securecall/examples"
	mkdir "$work/debian"
	printf 'Source: securecall\n\nPackage: securecall\nArchitecture: any\n' >"$work/debian/control"
	depends=$(cd "$work" && dpkg-shlibdeps -O deb/usr/bin/securecall 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
	[[ $depends == *libc6* ]] || die "dpkg-shlibdeps does not say what securecall needs: $depends"
	sed -e "s/@version@/$version/" -e "s/@architecture@/$architecture/" -e "s/@depends@/$depends/" \
		-e "s/@size@/$(find "$tree/usr" -type f -printf '%s\n' | awk '{n += int(($1 + 1023) / 1024)} END {print n}')/" \
		packaging/debian/control >"$tree/DEBIAN/control"
	install -m 755 packaging/debian/{postinst,prerm,postrm} "$tree/DEBIAN"
	(cd "$tree" && find usr -type f | sort | xargs -d '\n' md5sum >DEBIAN/md5sums)
	settle "$tree"
	# One thread: how many there are shows in what xz writes.
	dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$tree" "$out/$name" >/dev/null
	report "$name" "$tree/usr/bin/securecall"
}

rm -f "$out"/securecall[-_]* "$out/SHA256SUMS"
echo "securecall $version of $(date -d "@$SOURCE_DATE_EPOCH" +%F), by $(go env GOVERSION), into $out"
for kind in "${kinds[@]}"; do
	case $kind in
	linux-armv7) program "$kind" linux arm 0 ;;
	linux-amd64 | linux-arm64 | linux-386) program "$kind" linux "${kind#linux-}" 0 ;;
	darwin-arm64) program "$kind" darwin arm64 0 ;;
	linux-amd64-full | deb)
		if ! missing=$(scripts/cgo.sh); then
			left_out "$kind: $missing"
		elif [[ $kind == deb ]]; then
			if has dpkg-deb dpkg-shlibdeps; then deb; else left_out "$kind: there is no dpkg-deb and dpkg-shlibdeps (dpkg-dev)"; fi
		elif [[ $(go env GOHOSTARCH) != amd64 ]]; then
			left_out "$kind: this machine is none"
		else
			program "$kind" linux amd64 1
		fi
		;;
	windows-amd64-full)
		if has x86_64-w64-mingw32-gcc; then
			program "$kind" windows amd64 1 x86_64-w64-mingw32-gcc
		else
			left_out "$kind: there is no x86_64-w64-mingw32-gcc (gcc-mingw-w64-x86-64)"
		fi
		;;
	*) die "there is no kind $kind" ;;
	esac
done
(cd "$out" && sha256sum securecall[-_]* >SHA256SUMS)
echo "$(wc -l <"$out/SHA256SUMS") files; to verify: (cd ${OUT:-dist} && sha256sum -c SHA256SUMS)"
exit "$failed"
