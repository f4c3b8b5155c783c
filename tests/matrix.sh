#!/bin/bash
# SPDX-License-Identifier: MIT
#
# matrix.sh - builds and tests the library in many configurations, each out of
# tree in a temporary folder.  configure must have been generated.

set -u
export LC_ALL=C
unset MAKEFLAGS MFLAGS MAKELEVEL

usage() {
	cat <<-EOF
	Usage: ${0##*/} [OPTION...] [PATTERN...]
	  --list    print the names of the configurations
	  --fewer   each level of optimisation, flag and compiler, but not each with each
  --jobs N  configurations at a time; default: one for each processor
	  --keep    leave the builds where they are, and say where
	PATTERN: of the shell; only the configurations whose names match one.
	EOF
}

# What is run in most of them: the code itself, and what the linker made of it.
quick='tests/check_step tests/check_swap tests/check_sandbox tests/check_stub'
quick="$quick tests/check_window tests/elf.sh"

# Those that read more of the tarball than their own source.
readers='tests/check_wire tests/check_request tests/check_ninep tests/manpages.sh'
readers="$readers tests/header_strict.sh"

# The toolchain's other half, when it is about link-time optimisation.
declare -A lto=(
	[gcc]='AR=gcc-ar NM=gcc-nm RANLIB=gcc-ranlib'
	[clang]='AR=llvm-ar NM=llvm-nm RANLIB=llvm-ranlib LDFLAGS=-fuse-ld=lld'
)

# Name, what is done (see the functions do_...), CC, CFLAGS, and arguments for
# configure, where a word is an argument.  The commands that a row needs are CC
# and what follows "=" in AR, NM and the like.  Those that take longest come first.
configurations() {
	local compiler level kind

	echo "distcheck|distcheck|gcc|-O2|"
	# gcc's is what distcheck builds and tests.
	echo "clang -O2 both|full|clang|-O2 -g|CXX=clang++"
	for compiler in gcc clang; do
		for level in -O0 -O1 -O2 -O3; do
			kind=level
			[ $level != -O2 ] || kind=flags
			echo "$compiler $level shared|$kind|$compiler|$level|--disable-static"
			echo "$compiler $level static|$kind|$compiler|$level|--disable-shared"
		done
		for level in shared static; do
			echo "$compiler -O2 -flto $level|quick|$compiler|-O2 -flto|${lto[$compiler]}" \
				"--enable-$level --disable-$([ $level = shared ] && echo static || echo shared)"
		done
		echo "$compiler -O2 -flto both|quick|$compiler|-O2 -flto|${lto[$compiler]}"
		echo "$compiler cf-protection|flags|$compiler|-O2 -fcf-protection=full|"
		echo "$compiler hardened|flags|$compiler|-O2 -D_FORTIFY_SOURCE=2 -fstack-protector-all -fstack-clash-protection|"
		echo "$compiler unwind off|flags|$compiler|-O2 -fno-asynchronous-unwind-tables -fomit-frame-pointer|"
	done
	cat <<-'END'
	gcc undefined behaviour|quick|gcc|-O1 -fsanitize=undefined -fno-sanitize-recover=all|
	gcc addresses|addresses|gcc|-O1 -g -fsanitize=address -fno-omit-frame-pointer|
	gcc threads|threads|gcc|-O1 -g -fsanitize=thread -Wno-tsan|
	clang lld|quick|clang|-O2|LDFLAGS=-fuse-ld=lld
	clang GNU assembler|flags|clang|-O2 -fno-integrated-as|
	musl shared|musl|musl-gcc|-O2|--disable-static
	musl static|musl|musl-gcc|-O2|--disable-shared
	others are refused|refused|gcc -U__linux__|-O2|
	END
}

# ---- one configuration ------------------------------------------------------
# Each runs in its own folder, in a shell of its own; what it prints is in the
# log, except for the reason on file descriptor 3.

skip() {
	echo "$*" >&3
	exit 77
}

# The test programs are optional to configure, and not to this script.
configure_only() {
	"$srcdir/configure" -q --enable-werror --disable-dependency-tracking CC="$cc" "$@" || return
	[ -n "$without_check" ] || ! grep -q '^ss_tests=.no' config.log ||
		skip 'Check not found'
}

configure() {
	configure_only CFLAGS="$cflags" "$@"
}

# Of the test programs, only these are built.
only() {
	local tests=$1
	shift

	make "$@" && make "$@" check TESTS="$tests" check_PROGRAMS="${tests//tests\/elf.sh/}" \
		check_LTLIBRARIES= check_compiled=
}

do_quick() {
	configure "$@" && only "$quick"
}

# For flags that nothing configure asks about depends on: make gets them, and configure is told
# what it has found out for a row with the same compiler.
do_flags() {
	local tests=${tests:-$quick}

	(
		flock 9
		[ -e "../$cc.cache" ] || {
			mkdir "../$cc.first" && cd "../$cc.first" &&
				configure_only --cache-file="../$cc.cache"
		}
	) 9>>"../$cc.lock" && cp "../$cc.cache" config.cache &&
		configure_only -C "$@" && only "$tests" CFLAGS="$cflags"
}

# What the linker makes does not depend on those.
do_level() {
	local tests=${quick% tests/elf.sh}

	do_flags "$@"
}

# Without tests/elf.sh, which knows what the library needs without, and the sandbox,
# in which the sanitizer's own calls are not allowed.  The last one with frames that are
# not on the stack.
do_addresses() {
	local tests="tests/check_stub tests/check_window tests/check_step tests/check_signal \
		tests/check_scope tests/check_interrupt tests/torture tests/check_copies"

	configure "$@" && make && make check check_compiled= TESTS="$tests" \
		check_PROGRAMS="$tests tests/check_foreign" &&
		ASAN_OPTIONS=detect_stack_use_after_return=1 \
		make check check_compiled= TESTS=tests/check_foreign check_PROGRAMS=tests/check_foreign
}

# Those in which nothing is interrupted: this sanitizer keeps a handler until the call
# that it has interrupted is over.  Nor does it know fences.
do_threads() {
	configure "$@" && only 'tests/check_stub tests/check_window tests/check_scope'
}

# The programs: what scripts read is the same for all compilers, but for the library.
do_full() {
	configure "$@" && make && make check TESTS='$(check_PROGRAMS) tests/elf.sh tests/httpd.sh'
}

# Debian's musl-gcc finds no header but musl's own, nor is Check there for it:
# the library itself, and what the linker made of it.  tests/installed.sh runs
# a program against it.
do_musl() {
	local name where

	mkdir headers
	for name in atomic_ops.h atomic_ops linux asm-generic asm; do
		for where in /usr/include "/usr/include/$(gcc -print-multiarch)"; do
			[ ! -e "$where/$name" ] || ln -sfn "$where/$name" "headers/$name"
		done
	done
	without_check=yes
	configure CPPFLAGS="-isystem $PWD/headers" CXX=false PKG_CONFIG=false "$@" && make &&
		make check TESTS=tests/elf.sh && opens_library &&
		echo 'without test programs: there is no Check for musl' >&3
}

# musl keeps no room for thread-local storage that comes with dlopen(), and refuses it
# where code insists on that.
opens_library() {
	[ -e .libs/libsafe_syscall.so ] || return 0
	cat >opens.c <<-'END'
	#include <dlfcn.h>
	#include <stdio.h>

	int main(int argc, char **argv)
	{
		void *handle = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW);
		int (*init)(int) = handle ? (int (*)(int))dlsym(handle, "safe_syscall_init") : 0;

		if (!handle)
			puts(dlerror());
		return !init || init(0);
	}
	END
	$cc -o opens opens.c && ./opens "$PWD/.libs/libsafe_syscall.so"
}

# One that can link, or configure stops before it comes to ask for the architecture.
do_refused() {
	! configure 2>error || return
	cat error
	grep -q 'error: there is no stub for this architecture' error
}

# All test programs are built of what is in the tarball, and those run that read something else.
do_distcheck() {
	configure "$@" &&
		make distcheck TESTS="$quick $readers" DISTCHECK_CONFIGURE_FLAGS="--enable-werror CC='$cc' CFLAGS='$cflags'"
}

missing_command() {
	local word

	for word in $cc $arguments; do
		case $word in
		-* | CPPFLAGS=* | LDFLAGS=*) continue ;;
		esac
		command -v "${word#*=}" >/dev/null || {
			echo "${word#*=}"
			return
		}
	done
	case $cflags\ $arguments in
	*-fuse-ld=lld*) command -v ld.lld >/dev/null || echo ld.lld ;;
	esac
}

takes_flags() {
	# Flags are several words.
	# shellcheck disable=SC2086
	[ -z "$cc" ] || echo 'int x;' | $cc $cflags -c -o /dev/null -x c - 2>/dev/null
}

one() {
	local missing

	missing=$(missing_command)
	[ -z "$missing" ] || skip "no $missing"
	takes_flags || skip "$cc does not take $cflags"
	# Arguments are several words.
	# shellcheck disable=SC2086
	"do_$kind" $arguments
}

# Of automake's summary.
count_checks() {
	awk '/^# TOTAL: / { total = $3 } /^# SKIP: / { total -= $3 } END { print total ? total : "-" }' log
}

# Of a configuration that failed: what its tests say, or else how its log ends.
excerpt() {
	cat tests/*.log 2>/dev/null | grep -E '^not ok |:[EF]:[^:]*:' || tail -n 30 log
}

# run NUMBER ROW: leaves its line of the report.
run() {
	local began=$SECONDS status result=FAIL reason

	IFS='|' read -r name kind cc cflags arguments <<<"$2"
	mkdir "$tmp/$1"
	cd "$tmp/$1" || exit
	without_check=
	(one) >log 2>&1 3>reason </dev/null
	status=$?
	case $status in
	0) result=PASS ;;
	77) result=SKIP ;;
	esac
	reason=$(cat reason)
	printf '%s|%s|%s|%s|%s\n' "$result" "$name" "$(count_checks)" \
		$((SECONDS - began)) "$reason" >"../$1.result"
	echo "$result $name${reason:+: $reason}"
	[ $result != FAIL ] || excerpt | sed 's/^/    /'
	[ $result = FAIL ] || [ $keep = yes ] || rm -rf "${tmp:?}/$1"
}

# ---- all --------------------------------------------------------------------

# Of those that are a product of others --fewer leaves each factor in some.
left_out() {
	case $1 in
	gcc\ -O[03]\ static | gcc\ -O1\ shared | clang\ -O[03]\ shared | clang\ -O1\ static | \
		gcc*-flto\ static | clang*-flto\ shared | gcc\ cf-protection | clang\ hardened)
		[ $fewer = yes ]
		;;
	*) false ;;
	esac
}

wanted() {
	local pattern

	[ ${#patterns[@]} -gt 0 ] || return 0
	for pattern in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 != $pattern ]] || return 0
	done
	return 1
}

selected() {
	local row

	configurations | while IFS= read -r row; do
		left_out "${row%%|*}" || ! wanted "${row%%|*}" || echo "$row"
	done
}

run_all() {
	local row number=100 running=0

	while IFS= read -r row; do
		if [ "$running" -ge "$jobs" ]; then
			wait -n
			running=$((running - 1))
		fi
		number=$((number + 1))
		run $number "$row" &
		running=$((running + 1))
	done
	wait
}

# The skipped are rows of their own; a note beside a row that passed is a part
# that was skipped.
report() {
	cat "$tmp"/*.result 2>/dev/null | awk -F '|' -v seconds="$SECONDS" '
	BEGIN { printf "\n%-28s %-6s %7s %8s\n", "configuration", "result", "checks", "seconds" }
	{
		printf "%-28s %-6s %7s %8d%s\n", $2, $1, $3, $4, $5 == "" ? "" : "  " $5
		n[$1]++
		if ($1 == "PASS" && $5 != "")
			n["SKIP"]++
	}
	END {
		printf "%d seconds in all\n\n", seconds
		printf "%d passed, %d failed, %d skipped\n", n["PASS"], n["FAIL"], n["SKIP"]
		exit n["FAIL"] || !NR
	}'
}

jobs=$(nproc)
keep=no
fewer=no
patterns=()
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit ;;
	--list) list=yes ;;
	--fewer) fewer=yes ;;
	--jobs) jobs=$2; shift ;;
	--keep) keep=yes ;;
	-*) usage >&2; exit 2 ;;
	*) patterns+=("$1") ;;
	esac
	shift
done

[ -z "${list-}" ] || {
	selected | sed 's/|.*//'
	exit
}
srcdir=$(cd "$(dirname "$0")/.." && pwd)
if [ ! -x "$srcdir/configure" ]; then
	echo 'FAIL matrix: no configure: run ./bootstrap first'
	echo '0 passed, 1 failed, 0 skipped'
	exit 1
fi
tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit
if [ $keep = yes ]; then
	echo "builds are in $tmp"
else
	trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
fi
run_all < <(selected)
report
