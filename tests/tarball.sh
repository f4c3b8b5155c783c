#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tarball.sh - what "make dist" packs: every file of the repository but those
# named below, what autoreconf generates, and nothing else; and the same bytes
# whoever packs it, from which copy of the commit, the tarball too.  configure
# must have been generated.

# Functions are called by name, through check:
# shellcheck disable=SC2317

set -u
LC_ALL=C
export LC_ALL
unset MAKEFLAGS MFLAGS MAKELEVEL

# In the repository, not in the tarball.
left_out() {
	cat <<-'END'
	.ci/
	.gitattributes
	.github/
	.gitlab-ci.yml
	END
}

# In the tarball, not in the repository.
generated() {
	cat <<-'END'
	Makefile.in
	aclocal.m4
	build-aux/ar-lib
	build-aux/compile
	build-aux/config.guess
	build-aux/config.sub
	build-aux/depcomp
	build-aux/install-sh
	build-aux/ltmain.sh
	build-aux/missing
	build-aux/tap-driver.sh
	build-aux/test-driver
	configure
	m4/libtool.m4
	m4/ltoptions.m4
	m4/ltsugar.m4
	m4/ltversion.m4
	m4/lt~obsolete.m4
	END
}

srcdir=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

# ---- tests ------------------------------------------------------------------

# pack FOLDER UMASK ZONE SOURCE
pack() {
	mkdir "$tmp/$1"
	cd "$tmp/$1" || return
	umask "$2"
	TZ=$3
	export TZ
	{
		"$4/configure" -q && make dist
	} >"$tmp/log" 2>&1 </dev/null || {
		tail -n 20 "$tmp/log"
		return 1
	}
}

archives() {
	(cd "$tmp/$1" && echo *.tar.*)
}

# Neither folders nor the first part of the path.
packed() {
	for archive in "$tmp"/first/*.tar.*; do
		tar tf "$archive" | sed -n 's,^[^/]*/\(.*[^/]\)$,\1,p' | sort
		return
	done
}

repository() {
	(cd "$srcdir" && git ls-files) | sort
}

lists() {
	left_out >"$tmp/left_out"
	repository | while read -r file; do
		while read -r prefix <&3; do
			case $file in
			"$prefix"*) continue 2 ;;
			esac
		done 3<"$tmp/left_out"
		echo "$file"
	done >"$tmp/wanted"
}

all_of_the_repository() {
	comm -13 "$tmp/packed" "$tmp/wanted" | sed 's/$/ is not in the tarball/'
}

# Generated files are in nobody's checkout, so they can be told by name only.
nothing_else() {
	{
		generated
		cat "$tmp/wanted"
	} | sort >"$tmp/allowed"
	comm -23 "$tmp/packed" "$tmp/allowed" | sed 's/$/ is not of the repository/'
}

all_that_is_generated() {
	generated | sort | comm -13 "$tmp/packed" - | sed 's/$/ is not in the tarball/'
}

# same_bytes FOLDER: as in the first
same_bytes() {
	[ "$(archives first)" = "$(archives "$1")" ] ||
		echo "$(archives first) and $(archives "$1")"
	for archive in $(archives first); do
		cmp "$tmp/first/$archive" "$tmp/$1/$archive"
	done
}

# What is unpacked has neither git nor the times that the files had.
from_itself() {
	mkdir "$tmp/unpacked"
	for archive in "$tmp"/first/*.tar.*; do
		tar xf "$archive" -C "$tmp/unpacked" || return
		break
	done
	pack itself 027 UTC "$(echo "$tmp"/unpacked/*)" && same_bytes itself
}

# Of what is not committed nobody else has a copy.
from_clone() {
	in_checkout
	needs autoreconf
	[ -z "$(git -C "$srcdir" status --porcelain)" ] || skip 'something is not committed'
	if ! (umask 077 && git clone -q "$srcdir" "$tmp/clone" && cd "$tmp/clone" && ./bootstrap) \
		>"$tmp/log" 2>&1 </dev/null; then
		tail -n 20 "$tmp/log"
		return 1
	fi
	pack cloned 077 Asia/Tokyo "$tmp/clone" && same_bytes cloned
}

# Every command but those that whoever unpacks a tarball need not have.
without_autotools() {
	mkdir "$tmp/bin"
	echo "$PATH" | tr : '\n' | while read -r folder; do
		for file in "$folder"/*; do
			case ${file##*/} in
			git | git-* | auto* | aclocal* | libtool* | ifnames | m4 | "*") ;;
			*) [ -e "$tmp/bin/${file##*/}" ] || ln -s "$file" "$tmp/bin/" ;;
			esac
		done
	done
}

# All test programs are built; those that read something else, too, are run.
quick='tests/check_stub tests/check_step tests/elf.sh'
quick="$quick tests/check_wire tests/check_request tests/manpages.sh tests/header_strict.sh"

# As README says: only the tarball and a compiler, and then a program of one's own.
by_hand() {
	without_autotools
	PATH=$tmp/bin
	mkdir "$tmp/by_hand"
	cd "$tmp/by_hand" || return
	tar xf "$(echo "$tmp"/first/*.tar.gz)" && cd safe_syscall-* || return
	{
		! command -v autoconf && ! command -v git && ! command -v m4 &&
			./configure --prefix="$tmp/prefix" && make && make check TESTS="$quick" && make install
	} >"$tmp/log" 2>&1 </dev/null || {
		tail -n 20 "$tmp/log"
		return 1
	}
	readme_program 1 README >"$tmp/program.c"
	PKG_CONFIG_PATH=$(dirname "$(find "$tmp/prefix" -name safe_syscall.pc)")
	export PKG_CONFIG_PATH
	# shellcheck disable=SC2046 # several arguments
	cc -Wall -Wextra -Werror -o "$tmp/program" "$tmp/program.c" \
		$(pkg-config --cflags --libs safe_syscall) || return
	LD_LIBRARY_PATH=$(pkg-config --variable=libdir safe_syscall) \
		"$tmp/program" >"$tmp/said" || echo "program: $?"
	[ -s "$tmp/said" ] || echo 'program: said nothing'
}

in_checkout() {
	needs git
	[ -e "$srcdir/.git" ] || skip 'not a git checkout'
	(cd "$srcdir" && git ls-files) >/dev/null
}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

if [ ! -x "$srcdir/configure" ]; then
	check tarball false 'no configure: run ./bootstrap first'
	finish
fi
check 'make dist' pack first 022 UTC "$srcdir" || finish
check 'the same bytes from the tarball itself' from_itself
check 'the same bytes from a clone' from_clone
check 'configure, make, check, install and a program, with neither autotools nor git' by_hand
packed >"$tmp/packed"
check 'all that is generated' all_that_is_generated
checked=$passed
check 'git checkout' in_checkout || finish
if [ "$passed" -gt "$checked" ]; then
	lists
	check 'all of the repository' all_of_the_repository
	check 'nothing but the repository and what is generated' nothing_else
fi
finish
