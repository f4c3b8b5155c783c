#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fuzz.sh [SECONDS [DIRECTORY]] - the file server's parser and its whole sessions, and the web
# server's parser, under libFuzzer with the address and undefined behaviour sanitizers, each for
# so long; 60 if not given.  What is found stays in DIRECTORY.  In the build directory, where all is built.
#
# The last line is "N passed, N failed, N skipped".

set -u
seconds=${1:-60}
srcdir=$(cd "$(dirname "$0")/.." && pwd)
work=${2:-$(mktemp -d)}
mkdir -p "$work"
passed=0 failed=0

if ! echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' |
	clang -x c - -fsanitize=fuzzer -o "$work/try" 2>/dev/null; then
	echo 'no clang with libFuzzer'
	echo '0 passed, 0 failed, 1 skipped'
	exit
fi

# Name, files
fuzz() {
	local name=$1
	shift
	mkdir -p "$work/$name.corpus"
	# What was found once comes first.
	# shellcheck disable=SC2001 # each two characters
	grep -hv '^#' "$srcdir"/tests/*.corpus | while read -r kind hex; do
		[ "$kind" != "$name" ] ||
			printf '%b' "$(echo "$hex" | sed 's/../\\x&/g')" \
				>"$work/$name.corpus/$(echo "$hex" | cksum | tr ' ' -)"
	done
	if clang -g -O1 -DFUZZ -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		-I"$srcdir/include" -I"$srcdir/examples/loop" -I"$srcdir/examples/ninep" -I. \
		"$@" examples/loop/libloop.a .libs/libsafe_syscall.a -lpthread \
		-o "$work/$name" &&
		(cd "$work" && ulimit -c 0 && chmod 755 . && chmod 777 "$name.corpus" &&
		"./$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
			-max_len=4096 -print_final_stats=1 "$work/$name.corpus" >"$name.log" 2>&1); then
		grep -a stat::number_of_executed_units "$work/$name.log"
		passed=$((passed + 1))
	else
		tail -n 60 "$work/$name.log"
		failed=$((failed + 1))
	fi
}

fuzz wire "$srcdir/tests/check_wire.c" "$srcdir/examples/ninep/wire.c"
fuzz request "$srcdir/tests/check_request.c" "$srcdir/examples/green/request.c"
sources=("$srcdir"/examples/ninep/[!m]*.c)
fuzz session "$srcdir/tests/fuzz_session.c" "${sources[@]}"
[ -n "${2:-}" ] || rm -rf "$work"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
