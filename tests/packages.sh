#!/bin/sh
# SPDX-License-Identifier: MIT
#
# packages.sh - Debian's packages: made from nothing but what "make dist" packs,
# in a temporary folder; looked at by lintian; and used, unpacked and not
# installed, by tests/consumer.c.  configure must have been generated.

# Functions are called by name, through check; names of packages and statuses
# are single words:
# shellcheck disable=SC2317,SC2086

set -u
LC_ALL=C
export LC_ALL
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR LD_LIBRARY_PATH PKG_CONFIG_PATH
unset DEB_BUILD_OPTIONS DEB_BUILD_PROFILES DEB_BUILD_MAINT_OPTIONS
unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS

library=libsafe-syscall0
develop=libsafe-syscall-dev

srcdir=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

# ---- building ---------------------------------------------------------------

# What is not in the tarball can't be in the packages.
unpack_tarball() {
	mkdir "$tmp/dist"
	cd "$tmp/dist" || return
	quietly "$srcdir/configure" -q && quietly make dist || return
	for archive in *.tar.*; do
		tar xf "$archive" -C "$tmp" && break
	done
	cd "$tmp"/safe_syscall-* && cp -R packaging/debian debian
}

build_tools() {
	needs dpkg-buildpackage dpkg-checkbuilddeps dh
	(cd "$source" && dpkg-checkbuilddeps) >"$tmp/log" 2>&1 ||
		skip "$(sed 's/.*: error: //' "$tmp/log")"
}

build() {
	cd "$source" || return
	quietly dpkg-buildpackage -us -uc -b
	status=$?
	mv "$tmp/log" "$tmp/build.log"
	return $status
}

# It is the same library, so it has the same number.
changelog() {
	release=$(sed -n 's/^AC_INIT(\[[^]]*\], \[\([^]]*\)\].*/\1/p' "$srcdir/configure.ac")
	upstream=$(cd "$source" && dpkg-parsechangelog -S Version | sed 's/-[^-]*$//')
	[ "$upstream" = "$release" ] || echo "configure.ac has $release, changelog $upstream"
}

# What is quick to run, and all of it passed.
tests_ran() {
	wanted=$(sed -n '/^quick = /,/[^\\]$/p' "$source/debian/rules" | tr -s ' \t' '\n' |
		grep '^tests/')
	[ -n "$wanted" ] || echo 'debian/rules names no test'
	for test in $wanted; do
		grep -q "^PASS: $test " "$tmp/build.log" || echo "$test: nothing of it passed"
	done
	! grep -E '^(FAIL|ERROR|XPASS): ' "$tmp/build.log"
}

nocheck() {
	cd "$source" || return
	DEB_BUILD_OPTIONS=nocheck quietly debian/rules override_dh_auto_test || return
	sed -n '/^# TOTAL/p; /make.* check/p' "$tmp/log"
}

# Warnings are shown, errors count.
lint() {
	needs lintian
	lintian --fail-on error "$tmp"/*.changes >"$tmp/lintian" 2>"$tmp/log"
	status=$?
	[ $status -eq 0 ] && return
	cat "$tmp/log" "$tmp/lintian"
	rm "$tmp/lintian"
	return $status
}

# ---- what is in them --------------------------------------------------------

# The library's own number is in the name of the package, and not here.
files_of() {
	dpkg-deb -c "$tmp/$1"_*.deb | sed -n 's/^[-l][^ ]* .* \.\(\/.*\)/\1/p' |
		sed "s/ -> .*//; s,/$multiarch/,/@/,; s/\(\.so\)\.\([0-9]*\)\.[0-9.]*$/\1.\2.N/" |
		sort
}

documents() {
	for name in changelog.Debian.gz changelog.gz copyright; do
		echo "/usr/share/doc/$1/$name"
	done
}

library_files() {
	documents $library >"$tmp/expected"
	cat >>"$tmp/expected" <<-END
	/usr/lib/@/libsafe_syscall.so.${library##*[a-z]}
	/usr/lib/@/libsafe_syscall.so.${library##*[a-z]}.N
	END
	sort -o "$tmp/expected" "$tmp/expected"
	files_of $library >"$tmp/packed"
	same expected packed
}

develop_files() {
	documents $develop >"$tmp/expected"
	pages /usr/share/man .gz >>"$tmp/expected"
	cat >>"$tmp/expected" <<-END
	/usr/include/safe_syscall.h
	/usr/lib/@/libsafe_syscall.a
	/usr/lib/@/libsafe_syscall.so
	/usr/lib/@/pkgconfig/safe_syscall.pc
	/usr/share/doc/$develop/README
	END
	sort -o "$tmp/expected" "$tmp/expected"
	# dh_compress leaves a small README as it is
	files_of $develop | sed 's/README\.gz$/README/' >"$tmp/packed"
	same expected packed
}

field() {
	dpkg-deb -f "$tmp/$1"_*.deb "$2"
}

dependencies() {
	version=$(field $library Version)
	[ "$(field $develop Depends)" = "$library (= $version)" ] ||
		echo "$develop depends on $(field $develop Depends)"
	field $library Depends | grep -qx 'libc6 ([^,]*)' ||
		echo "$library depends on $(field $library Depends)"
	for package in $library $develop; do
		[ "$(field $package Multi-Arch)" = same ] || echo "$package is not Multi-Arch: same"
	done
}

# The symbols file, as it is packed, and the version map name the same.
symbols() {
	dpkg-deb --ctrl-tarfile "$tmp/$library"_*.deb | tar xO ./symbols |
		sed -n 's/^ \([a-z][a-z_]*\)@SAFE_SYSCALL_[0-9.]* .*/\1/p' | sort >"$tmp/packed"
	sed -n '/global:/,/local:/s/^[[:space:]]*\([a-z_0-9]*\);.*/\1/p' \
		"$srcdir/lib/libsafe_syscall.map" | sort >"$tmp/map"
	same map packed
	[ -s "$tmp/map" ] || echo 'the map has no names'
}

# ---- a user -----------------------------------------------------------------

unpack_packages() {
	mkdir "$tmp/root"
	for package in $library $develop; do
		dpkg -x "$tmp/$package"_*.deb "$tmp/root"
	done
}

# The paths in the .pc file are those of an installed package.
about() {
	PKG_CONFIG_LIBDIR=$tmp/root/usr/lib/$multiarch/pkgconfig \
		pkg-config --define-variable=prefix="$tmp/root/usr" "$@" safe_syscall
}

# pkg-config prints several words.
# shellcheck disable=SC2046
consume() {
	needs pkg-config
	static=
	[ "$1" = shared ] || static=-static
	gcc -std=c99 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror $static \
		-o "$tmp/consumer" "$source/tests/consumer.c" \
		$(about --cflags --libs ${static:+--static}) || return
	LD_LIBRARY_PATH=$tmp/root/usr/lib/$multiarch timeout 20 "$tmp/consumer" ||
		echo "consumer: exit status $?"
	readelf -d "$tmp/consumer" | grep -q 'NEEDED.*libsafe_syscall' &&
		uses=shared || uses=static
	[ "$1" = "$uses" ] || echo "linked with the $uses library"
}

paths() {
	grep -n "$tmp" "$tmp/root/usr/lib/$multiarch/pkgconfig/safe_syscall.pc"
	[ "$(about --variable=libdir)" = "$tmp/root/usr/lib/$multiarch" ] ||
		echo "libdir is $(about --variable=libdir)"
	[ "$(about --variable=includedir)" = "$tmp/root/usr/include" ] ||
		echo "includedir is $(about --variable=includedir)"
}

# ---- all of it --------------------------------------------------------------

tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

if [ ! -x "$srcdir/configure" ]; then
	check packages false 'no configure: run ./bootstrap first'
	finish
fi
check 'make dist, unpacked' unpack_tarball || finish
source=$(echo "$tmp"/safe_syscall-*)
before=$passed
check 'what the packages are built with' build_tools
[ "$passed" -gt "$before" ] || finish
multiarch=$(dpkg-architecture -q DEB_HOST_MULTIARCH)
check 'version in the changelog' changelog
check 'dpkg-buildpackage' build || finish
check 'tests while building' tests_ran
check 'nocheck' nocheck
check 'lintian' lint
check "$library: files" library_files
check "$develop: files" develop_files
check 'what they depend on' dependencies
check 'symbols file and version map' symbols
check 'dpkg -x' unpack_packages
check 'paths in safe_syscall.pc' paths
check 'a program, shared' consume shared
check 'a program, static' consume static
[ ! -s "$tmp/lintian" ] || cat "$tmp/lintian"
finish
