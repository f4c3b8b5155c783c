#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools.sh - what other programs have to say about the library: those that read its
# source, those that run it in their own way, those that look at a process from
# outside, and the one that compares its interface with the last release's.  Runs in a
# build directory.  Sanitizers are rows of tests/matrix.sh.

# Functions are called by name, through check; a compiler may be several words:
# shellcheck disable=SC2317,SC2086,SC2046

set -u
export LC_ALL=C
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
# shellcheck source-path=SCRIPTDIR source=tally.sh
. "$srcdir/tests/tally.sh"

variable() {
	sed -n "s/^$1 = //p" Makefile | head -n 1
}

if [ ! -f Makefile ] || [ ! -f libsafe_syscall.la ]; then
	echo 'FAIL tools: not in a build directory, or nothing is built'
	echo '0 passed, 1 failed, 0 skipped'
	exit 1
fi
arch=$(variable ss_arch)
library=.libs/libsafe_syscall.so
archive=.libs/libsafe_syscall.a
tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

include=(-I"$srcdir/include" -I"$srcdir/lib" -I"$srcdir/lib/arch/$arch" -I"$srcdir/tests"
	-I"$srcdir/examples/loop" -I"$srcdir/examples/ninep" -I"$srcdir/examples/green")
defines=(-D_GNU_SOURCE -DPACKAGE_VERSION='"0"' -DVERSION='"0"')

# ---- readers of source --------------------------------------------------------

sources() {
	ls "$srcdir"/lib/*.c "$srcdir"/examples/*.c "$srcdir"/tests/*.c
}

# The examples' programs without those that guess what functions return, and one of style.
of_examples='-clang-analyzer-*,-misc-no-recursion,-bugprone-suspicious-string-compare'

clang_tidy() {
	needs clang-tidy
	# without GLib one of them can't be read
	glib=$(pkg-config --cflags gio-unix-2.0 2>/dev/null) || glib=
	mapfile -t files < <(sources |
		if [ -n "$glib" ]; then cat; else grep -v check_loop_glib; fi)
	# shellcheck disable=SC2086 # flags
	quietly clang-tidy -quiet --config-file="$srcdir/.clang-tidy" "${files[@]}" -- \
		"${defines[@]}" "${include[@]}" $glib &&
		quietly clang-tidy -quiet --config-file="$srcdir/.clang-tidy" --checks="$of_examples" \
			"$srcdir"/examples/*/*.c -- -D_FILE_OFFSET_BITS=64 \
			"${defines[@]}" "${include[@]}" $glib
}

# It does not know the types of libatomic_ops, nor that a macro of Check's returns.
cpp_check() {
	needs cppcheck
	quietly cppcheck -q --error-exitcode=1 --std=c11 --library=posix --inline-suppr \
		--enable=warning,performance,portability \
		-D__linux__=1 "-D__${arch}__=1" -D_GNU_SOURCE '-DAO_t=unsigned long' \
		-D__ORDER_LITTLE_ENDIAN__=1234 -D__ORDER_BIG_ENDIAN__=4321 -D__BYTE_ORDER__=1234 \
		-DAO_HAVE_compare_and_swap_full -DAO_HAVE_nop_full \
		-DAO_HAVE_load_acquire -DAO_HAVE_store_release \
		--suppress=missingInclude "${include[@]}" "$srcdir"/lib/*.c
}

scan_build() {
	needs scan-build clang make
	mkdir "$tmp/scan"
	(cd "$tmp/scan" && quietly scan-build --use-cc=clang "$srcdir/configure" -q --disable-shared &&
		quietly scan-build --use-cc=clang --status-bugs -o "$tmp/report" make)
}

# ---- those that run it ----------------------------------------------------------

# Of check_signal, Valgrind 3.19 itself dies in rt_sigsuspend, and all of check_step
# wants to change code that has been translated.
valgrind_finds_nothing() {
	needs valgrind
	for program in check_stub check_window check_scope; do
		[ -x "tests/$program" ] || skip "no tests/$program"
		quietly ./libtool --mode=execute valgrind -q --error-exitcode=9 --trace-children=yes \
			--leak-check=full "tests/$program" || return
		! grep -q '^==.*==' "$tmp/log" || { cat "$tmp/log"; return 1; }
	done
}

libunwind() {
	echo '#include <libunwind.h>' | ${CC:-$(variable CC)} -E -x c - >/dev/null 2>&1 ||
		skip 'no libunwind.h'
	quietly ${CC:-$(variable CC)} -g -O2 "${defines[@]}" "${include[@]}" -o "$tmp/unwind" \
		"$srcdir/tests/tools/unwind.c" "$srcdir/tests/breakpoint.c" $archive -lunwind \
		$(pkg-config --cflags --libs check) -lpthread && quietly "$tmp/unwind"
}

# ---- those that look from outside ---------------------------------------------

program_to_look_at() {
	cat >"$tmp/main.c" <<-'END'
	#include <sys/syscall.h>
	#include <safe_syscall.h>

	__attribute__((noinline)) long caller(void);
	__attribute__((noinline)) long caller(void)
	{
		static volatile int flag;

		return safe_syscall_raw(&flag, SYS_getppid) + 1;
	}

	int main(void)
	{
		return caller() < 1;
	}
	END
	quietly ${CC:-$(variable CC)} -g -O1 "${include[@]}" -o "$tmp/main" "$tmp/main.c" $archive -lpthread
}

# From entry to return, each step: the stub, who called it, main.
gdb_backtrace() {
	needs gdb
	program_to_look_at || return
	cat >"$tmp/commands" <<-'END'
	set pagination off
	set debuginfod enabled off
	break *safe_syscall_raw
	run
	set $n = 0
	while $n < 100
	  printf "STEP "
	  info symbol $pc
	  bt 3
	  stepi
	  set $n = $n + 1
	end
	END
	timeout 60 gdb -q -batch -x "$tmp/commands" "$tmp/main" >"$tmp/log" 2>&1
	awk '
	/^STEP / {
		if (inside && frames != 3) wrong = 1
		inside = $2 ~ /^safe_syscall_raw$/
		steps += inside
		frames = 0
		if (!inside) exit
	}
	inside && /^#0 .*safe_syscall_raw/ { frames++ }
	inside && /^#1 .*caller/ { frames++ }
	inside && /^#2 .*main/ { frames++ }
	END {
		if (steps < 10 || wrong)
			print "wrong, or too few steps: " steps
		exit !(steps >= 10 && !wrong)
	}' "$tmp/log"
}

# perf, and whatever else asks the table of symbols: at each address of the stub
# one name only.
symbols() {
	local start size address name

	needs addr2line nm
	program_to_look_at || return
	start=$(nm "$tmp/main" | sed -n 's/ [tT] safe_syscall_raw$//p')
	size=$(nm -S "$tmp/main" | sed -n 's/^[0-9a-f]* \([0-9a-f]*\) [tT] safe_syscall_raw$/\1/p')
	if [ -z "$start" ] || [ -z "$size" ]; then
		echo 'no symbol, or no size'
		return 1
	fi
	for ((address = 0x$start; address < 0x$start + 0x$size; address++)); do
		name=$(printf '0x%x\n' $address | addr2line -f -e "$tmp/main" | head -n 1)
		[ "$name" = safe_syscall_raw ] || {
			printf '%s at 0x%x\n' "$name" $address
			return 1
		}
	done
}

# The samples of a profile that fall into the stub have its name.
perf_profile() {
	needs perf
	cat >"$tmp/loop.c" <<-'END'
	#include <sys/syscall.h>
	#include <safe_syscall.h>

	int main(void)
	{
		static volatile int flag = 1;
		long i;

		for (i = 0; i < 300000000; i++)
			safe_syscall_raw(&flag, SYS_getppid);
		return 0;
	}
	END
	quietly ${CC:-$(variable CC)} -g -O1 "${include[@]}" -o "$tmp/loop" "$tmp/loop.c" $archive -lpthread || return
	perf record -q -e cpu-clock:u -o "$tmp/perf.data" "$tmp/loop" >"$tmp/log" 2>&1 ||
		skip "perf record: $(head -n 1 "$tmp/log")"
	perf report -i "$tmp/perf.data" --stdio --sort symbol 2>/dev/null |
		grep -q '[0-9.]*%.*safe_syscall_raw' || {
		perf report -i "$tmp/perf.data" --stdio --sort symbol 2>&1 | head -n 15
		return 1
	}
}

# ---- the rooms ----------------------------------------------------------------------

# From the bottom up.  A file uses no symbol of one that stands further to the right.
rooms='version stub rawv window process word thread timer send fork hook call scope action'

# Lines "USER DEFINER", of the objects in the archive; "USER USER" for each, so that one
# that nobody uses and that uses nobody is there too.
uses() {
	nm -A -P $archive | sed 's/^.*\[\(.*\)\.o\]: /\1 /' | awk '
	$3 == "U" { user[$1, $2] = 1; next }
	$3 ~ /[A-Z]/ { definer[$2] = $1 }
	{ print $1, $1 }
	END {
		for (pair in user) {
			split(pair, p, SUBSEP)
			if (p[2] in definer)
				print p[1], definer[p[2]]
		}
	}' | sort -u
}

rooms_know_those_below() {
	uses | awk -v rooms="$rooms" '
	BEGIN { n = split(rooms, r); for (i = 1; i <= n; i++) height[r[i]] = i }
	!($1 in height) && !told[$1]++ { print $1 ".c stands in no row of rooms" }
	$1 in height && $2 in height && height[$1] < height[$2] { print $1 ".c uses " $2 ".c" }
	END { if (NR < n) print "only " NR " objects" }'
}

# ---- the interface ----------------------------------------------------------------

# To take up what has been added: tests/tools.sh --baseline
abi=(--headers-dir "$srcdir/include" --drop-private-types)

baseline() {
	abidw --no-corpus-path --no-comp-dir-path --short-locs "${abi[@]}" $library \
		--out-file "$srcdir/tests/tools/$arch.abi"
}

abi_is_the_baseline() {
	needs abidiff
	[ -f $library ] || skip 'no shared library'
	[ -f "$srcdir/tests/tools/$arch.abi" ] || skip "no baseline for $arch"
	quietly abidiff --headers-dir2 "$srcdir/include" --drop-private-types \
		"$srcdir/tests/tools/$arch.abi" $library
}

case ${1-} in
--baseline) baseline; exit ;;
esac

check clang-tidy clang_tidy
check cppcheck cpp_check
check scan-build scan_build
check valgrind valgrind_finds_nothing
check libunwind libunwind
check gdb gdb_backtrace
check symbols symbols
check perf perf_profile
check rooms rooms_know_those_below
check "rows of mutants" "$srcdir/tests/mutants/run" --rows
check abidiff abi_is_the_baseline
finish
