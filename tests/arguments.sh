#!/bin/sh
# SPDX-License-Identifier: MIT
#
# arguments.sh [--foreign] - tests/arguments.c as compilers make it without and with
# optimisation: what is in the upper half of a register depends on that.  Natively, by the
# compiler that the library was built with and by gcc and clang where they are; --foreign: for
# the other ABIs whose compilers, C libraries and emulators of user mode are here.
#
# srcdir, CC and CFLAGS come from the environment or from the Makefile.

set -u
LC_ALL=C
export LC_ALL

# emulator | compilers
foreign() {
	cat <<-'END'
	qemu-aarch64|aarch64-linux-gnu-gcc|clang --target=aarch64-linux-gnu
	qemu-riscv64|riscv64-linux-gnu-gcc|clang --target=riscv64-linux-gnu
	qemu-ppc64|powerpc64-linux-gnu-gcc|clang --target=powerpc64-linux-gnu
	qemu-ppc64le|powerpc64le-linux-gnu-gcc|clang --target=powerpc64le-linux-gnu
	qemu-s390x|s390x-linux-gnu-gcc|clang --target=s390x-linux-gnu
	qemu-mips|mips-linux-gnu-gcc|clang --target=mips-linux-gnu
	qemu-mipsel|mipsel-linux-gnu-gcc|clang --target=mipsel-linux-gnu
	qemu-mips64|mips64-linux-gnuabi64-gcc|clang --target=mips64-linux-gnuabi64
	qemu-mips64el|mips64el-linux-gnuabi64-gcc|clang --target=mips64el-linux-gnuabi64
	END
}

srcdir=${srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

# What the program says of itself is of interest only where it fails.
# arrive EMULATOR FLAGS COMPILER...
arrive() {
	emulator=$1
	flags=$2
	shift 2
	command -v "$1" >/dev/null || skip "no $1"
	[ -z "$emulator" ] || command -v "$emulator" >/dev/null || skip "no $emulator"
	# shellcheck disable=SC2086 # flags
	echo 'int main(void) { return 0; }' | "$@" $flags -o "$tmp/probe" -x c - 2>/dev/null ||
		skip "$1 makes no program of it, without a C library maybe"
	# shellcheck disable=SC2086
	"$@" $flags -I"$srcdir/include" -o "$tmp/arguments" \
		"$srcdir/tests/arguments.c" "$srcdir/tests/words.c" || return
	$emulator "$tmp/arguments" >"$tmp/said" && return
	cat "$tmp/said"
	return 1
}

# levels EMULATOR FLAGS COMPILER...
levels() {
	of=$1
	with=$2
	shift 2
	for level in -O0 -O1 -O2 -O3; do
		check "$* $level" arrive "$of" "$with $level" "$@"
	done
}

check_foreign() {
	foreign | tr '|' '\n' >"$tmp/foreign"
	while read -r line <&3; do
		case $line in
		qemu-*) which=$line ;;
		# shellcheck disable=SC2086 # a compiler and its flags
		*) levels "$which" -static $line ;;
		esac
	done 3<"$tmp/foreign"
}

# A variable of the Makefile.
setting() {
	sed -n "s/^$1 = //p" Makefile 2>/dev/null
}

check_native() {
	: "${CC=$(setting CC)}" "${CFLAGS=$(setting CFLAGS)}"
	# shellcheck disable=SC2086 # a compiler and its flags
	[ -z "$CC" ] || levels '' "$CFLAGS" $CC
	for compiler in gcc clang; do
		[ "$compiler" = "$CC" ] || levels '' '' $compiler
	done
}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

case ${1-} in
--foreign) check_foreign ;;
*) check_native ;;
esac
finish
