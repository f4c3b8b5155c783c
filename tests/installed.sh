#!/bin/sh
# SPDX-License-Identifier: MIT
#
# installed.sh - the library as its users get it: builds it apart, installs it,
# and compiles and runs tests/consumer.c against what pkg-config says, in C and
# in C++, with each compiler, shared and static, and as a project of CMake and
# of Meson; and, before it is installed, against the build directory.  configure
# must have been generated.  Nothing outside a temporary folder is written.

# Functions are called by name, through check:
# shellcheck disable=SC2317

set -u
LC_ALL=C
export LC_ALL
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
unset PKG_CONFIG_DISABLE_UNINSTALLED LD_LIBRARY_PATH

# Name, arguments for configure, and which of the consumers below it is for.
builds() {
	cat <<-'END'
	default||glibc
	static|--disable-shared|glibc
	shared|--disable-static|glibc
	musl|CC=musl-gcc CXX=false CPPFLAGS=-I@headers@|musl
	musl static|CC=musl-gcc CXX=false CPPFLAGS=-I@headers@ --disable-shared|musl
	END
}

# For which builds, the compiler with its language, and what it is called here.
consumers() {
	cat <<-'END'
	glibc|gcc -std=c99 -D_GNU_SOURCE
	glibc|gcc -std=c17 -D_GNU_SOURCE
	glibc|g++ -std=c++11 -x c++
	glibc|clang -std=c99 -D_GNU_SOURCE
	glibc|clang++ -std=c++20 -x c++
	musl|musl-gcc -std=c99 -D_GNU_SOURCE
	END
}

warnings='-Wall -Wextra -Wpedantic -Werror'

srcdir=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

# quietly COMMAND...: the end of its output where it fails.
quietly() {
	"$@" >"$tmp/log" 2>&1 </dev/null || {
		tail -n 20 "$tmp/log"
		return 1
	}
}

# same LEFT RIGHT: the two lists are equal, or what is in one only.
same() {
	diff "$tmp/$1" "$tmp/$2" | sed -n "s/^< /only in $1: /p; s/^> /only in $2: /p"
}

# ---- what is installed ------------------------------------------------------

# musl-gcc leaves out all headers but musl's own.  These belong to no C library.
musl_headers() {
	mkdir "$tmp/headers"
	for name in atomic_ops.h atomic_ops linux asm-generic asm; do
		for where in /usr/include "/usr/include/$(gcc -print-multiarch 2>/dev/null)"; do
			[ ! -e "$where/$name" ] || ln -sfn "$where/$name" "$tmp/headers/$name"
		done
	done
}

# The library's own number is not written down here a second time.
files_under() {
	(cd "$1" && find . ! -type d) | sed 's/^\.//; s/\(\.so\)\.[0-9.]*$/\1.N/' | sort -u
}

expected_files() {
	cat <<-'END'
	/include/safe_syscall.h
	/lib/libsafe_syscall.la
	/lib/pkgconfig/safe_syscall.pc
	/share/doc/safe_syscall/COPYING
	/share/doc/safe_syscall/NEWS
	/share/doc/safe_syscall/README
	END
	pages /share/man
	case $arguments in
	*--disable-shared*) ;;
	*) printf '/lib/libsafe_syscall.so%s\n' '' .N ;;
	esac
	case $arguments in
	*--disable-static*) ;;
	*) echo /lib/libsafe_syscall.a ;;
	esac
}

files_in_place() {
	expected_files | sort >"$tmp/expected"
	files_under "$prefix" >"$tmp/installed"
	same expected installed
}

# A distribution installs so: the folder is not to show up in any file.
destdir() {
	quietly make -C "$build" install DESTDIR="$tmp/stage" || return
	files_under "$tmp/stage$prefix" >"$tmp/staged"
	same installed staged
	files_under "$tmp/stage" | grep -v "^$prefix/"
	grep -rl "$tmp/stage" "$tmp/stage" | grep -v '\.la$'
	quietly make -C "$build" uninstall DESTDIR="$tmp/stage" || return
	find "$tmp/stage" ! -type d
}

uninstall() {
	quietly make -C "$build" uninstall || return
	find "$prefix" ! -type d
}

# ---- pkg-config -------------------------------------------------------------

about() {
	PKG_CONFIG_PATH=$pc_path pkg-config "$@" safe_syscall | sed 's/ *$//'
}

prints() {
	want=$1
	shift
	have=$(about "$@")
	[ "$have" = "$want" ] || echo "prints '$have', not '$want'"
}

no_requires() {
	grep -E '^(Requires|Libs\.private)' "$prefix/lib/pkgconfig/safe_syscall.pc"
	about --print-requires
	about --print-requires-private
}

check_pkg_config() {
	check "$name: pkg-config --cflags" prints "-I$prefix/include" --cflags
	check "$name: pkg-config --libs" prints "-L$prefix/lib -lsafe_syscall" --libs
	check "$name: pkg-config --modversion" prints "$version" --modversion
	check "$name: pkg-config: no Requires" no_requires
}

# ---- consumers --------------------------------------------------------------

# The compiler and what pkg-config says are several words each.
# shellcheck disable=SC2046,SC2086
consume() {
	linkage=$1
	shift
	needs "$1"
	options=
	[ "$linkage" = shared ] || options=-static
	"$@" $warnings $options -o "$tmp/consumer" "$srcdir/tests/consumer.c" -x none \
		$(about --cflags --libs ${options:+--static}) || return
	LD_LIBRARY_PATH=$run_path runs "$tmp/consumer" "$linkage"
}

# runs PROGRAM LINKAGE
runs() {
	timeout 20 "$1" || echo "consumer: exit status $?"
	command -v readelf >/dev/null || return 0
	readelf -d "$1" | grep -q 'NEEDED.*libsafe_syscall' && uses=shared || uses=static
	[ "$2" = "$uses" ] || echo "linked with the $uses library"
}

# What finds the library knows where it is: nothing tells the loader here.
project_of_cmake() {
	needs cmake
	[ "$1" = shared ] && shared=ON || shared=OFF
	rm -rf "$tmp/project"
	CC=${compiler:-gcc} CFLAGS=$warnings PKG_CONFIG_PATH=$pc_path quietly \
		cmake -S "$srcdir/tests/consumer" -B "$tmp/project" -DBUILD_SHARED_LIBS="$shared" &&
		quietly cmake --build "$tmp/project" && runs "$tmp/project/consumer" "$1"
}

project_of_meson() {
	needs meson
	needs ninja
	rm -rf "$tmp/project"
	CC=${compiler:-gcc} CFLAGS=$warnings PKG_CONFIG_PATH=$pc_path quietly \
		meson setup -Ddefault_library="$1" "$tmp/project" "$srcdir/tests/consumer" &&
		quietly ninja -C "$tmp/project" && runs "$tmp/project/consumer" "$1"
}

linkages() {
	for linkage in shared static; do
		case $arguments in
		*--disable-$linkage*) ;;
		*) echo $linkage ;;
		esac
	done
}

check_consumers() {
	consumers >"$tmp/consumers"
	while IFS='|' read -r which command <&4; do
		[ "$which" = "$kind" ] || continue
		for linkage in $(linkages); do
			# shellcheck disable=SC2086 # a compiler and its flags
			check "$name: $command, $linkage" consume "$linkage" $command
		done
	done 4<"$tmp/consumers"
	for linkage in $(linkages); do
		check "$name: CMake, $linkage" project_of_cmake "$linkage"
		check "$name: Meson, $linkage" project_of_meson "$linkage"
	done
}

# ---- not installed ----------------------------------------------------------

# The same consumer, with the library where it was built.
check_uninstalled() {
	pc_path=$build
	run_path=
	check "$name: not installed: pkg-config --cflags" prints "-I$srcdir/include" --cflags
	check "$name: not installed: pkg-config --modversion" prints "$version" --modversion
	for linkage in $(linkages); do
		check "$name: not installed: $linkage" consume "$linkage" "${compiler:-gcc}" \
			-std=c99 -D_GNU_SOURCE
	done
}

# ---- all of it --------------------------------------------------------------

# shellcheck disable=SC2086 # arguments
build_it() {
	needs "${compiler:-gcc}"
	mkdir "$build"
	cd "$build" || return
	quietly "$srcdir/configure" -q --prefix="$prefix" $arguments &&
		quietly make -j"$(nproc)"
}

check_build() {
	build=$tmp/build
	prefix=$tmp/prefix
	compiler=$(echo "$arguments" | sed -n 's/.*CC=\([^ ]*\).*/\1/p')
	rm -rf "$build" "$prefix"
	check "$name: configure, make" build_it || return
	[ -d "$build" ] || return
	check_uninstalled
	check "$name: make install" quietly make -C "$build" install || return
	pc_path=$prefix/lib/pkgconfig
	run_path=$prefix/lib
	check "$name: files" files_in_place
	check_pkg_config
	check_consumers
	check "$name: DESTDIR" destdir
	check "$name: uninstall" uninstall
}

version=$(sed -n 's/^AC_INIT(\[[^]]*\], \[\([^]]*\)\].*/\1/p' "$srcdir/configure.ac")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

if [ ! -x "$srcdir/configure" ]; then
	check installed false 'no configure: run ./bootstrap first'
elif ! command -v pkg-config >/dev/null; then
	check installed skip 'no pkg-config'
else
	musl_headers
	builds | sed "s,@headers@,$tmp/headers," >"$tmp/builds"
	while IFS='|' read -r name arguments kind <&3; do
		check_build
	done 3<"$tmp/builds"
fi
finish
