#!/usr/bin/env bash
# What the tests need from Debian. Says what is missing, installs it as root or
# through a sudo that asks nothing, and otherwise says what will be left out.
. "$(dirname "$0")/lib.sh"

# package, the file that shows that it is here, what it is for
need="
gcc                 cc                                         the build with cgo, the race detector, libbzrtp
pkg-config          pkg-config                                 the build with cgo
libasound2-dev      /usr/include/alsa/asoundlib.h              the build with cgo
libasound2-plugins  /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so  calls through PulseAudio
pulseaudio          pulseaudio                                 calls through PulseAudio
pulseaudio-utils    parec                                      calls through PulseAudio
libbzrtp-dev        /usr/include/bzrtp/bzrtp.h                 calls with libbzrtp
libsrtp2-dev        /usr/include/srtp2/srtp.h                  calls with libbzrtp
libsqlite3-dev      /usr/include/sqlite3.h                     calls with libbzrtp
iproute2            ip                                         recorded calls
nftables            nft                                        narrow paths
coturn              turnserver                                 pairs of NATs
miniupnpd-nftables  miniupnpd                                  pairs of NATs
openssl             openssl                                    pairs of NATs
tcpdump             tcpdump                                    recorded calls
tshark              tshark                                     recorded calls
strace              strace                                     services
systemd             systemd-analyze                            services
dpkg-dev            dpkg-shlibdeps                             the Debian package
groff-base          groff                                      the manual page
zsh                 zsh                                        completions
fish                fish                                       completions
libspandsp-dev      /usr/include/*-linux-*/spandsp.h           concealment beside spandsp's
libspeexdsp-dev     /usr/include/speex/speex_echo.h            echo cancellation beside speexdsp's
asterisk-core-sounds-en-wav /usr/share/asterisk/sounds         both of these
shellcheck          shellcheck                                 make check
"

here() {
	if [[ $1 == /* ]]; then compgen -G "$1" >/dev/null; else has "$1"; fi
}

missing=() lost=()
while read -r package file purpose; do
	[[ -n $package ]] || continue
	here "$file" || { missing+=("$package") && lost+=("$purpose"); }
done <<<"$need"
if ((${#missing[@]} == 0)); then
	echo "everything that the tests need is here"
	exit
fi

become=()
if ((EUID != 0)); then become=(sudo -n); fi
if ! has apt-get; then
	why="there is no apt-get here"
elif ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
	why="that takes root, or a sudo that asks no password"
else
	echo "installing: ${missing[*]}"
	if "${become[@]}" apt-get update -qq &&
		"${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; then
		exit
	fi
	why="apt-get failed"
fi
echo "not installed, since $why: ${missing[*]}"
echo "so these are left out, in whole or in part:"
printf '%s\n' "${lost[@]}" | tr ',' '\n' | sed 's/^ */  /' | sort -u
[[ -z ${CI-} ]]
