#!/usr/bin/env bash
# Calls with libbzrtp, both ways, over every combination of DH3k, DH2k and X255
# with S256 and S384, AES1 and AES3, HS32 and HS80, B32 and B256, and with what
# each offers unasked: 98 calls, and X448 8 more. The SAS and the algorithms are the same at both
# ends, and what was heard is what was said, octet for octet. Then 16 calls over
# a path that loses 15 % each way, all of which must secure. And calls in a row:
# what both remember is kept, lost, or restored from an older copy, the SAS is
# verified, auxiliary secrets match or do not. Needs a C compiler,
# libbzrtp-dev, libsrtp2-dev and libsqlite3-dev.
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[[ -x securecall ]] || scripts/build.sh
${CC:-cc} -std=c11 -Wall -Wextra -Werror -O1 -o "$work/bzrtp-peer" scripts/interop/bzrtp/bzrtp-peer.c \
	-lbzrtp -lbctoolbox -lsrtp2 -lsqlite3
go build -o "$work" ./scripts/interop ./scripts/lossy
"$work/interop" "$ROOT/securecall" "$work/bzrtp-peer" "$work/lossy"
