#!/bin/sh
# SPDX-License-Identifier: MIT
#
# manpages.sh - the documents keep up with the header, and what they show works
#
# Environment, all optional:
#	srcdir		top of the source tree; default: found from this file
#	top_builddir	where the library was built; default: .
#	CC CPPFLAGS CFLAGS LDFLAGS	default: those of top_builddir/Makefile
#	RUN		what runs programs that are not for this machine, as an emulator
#
# In a man page each literal display follows one of these comments:
#	.\" compile	a translation unit: must compile without a warning
#	.\" run		a program: must link with the library and exit with 0
#	.\" text	anything else
# The programs of README are run as well.

set -u
unset CDPATH
LC_ALL=C
export LC_ALL

[ -n "${srcdir-}" ] && [ -d "$srcdir/man" ] || srcdir=$(dirname "$0")/..
srcdir=$(cd "$srcdir" && pwd) || exit 99
builddir=$(cd "${top_builddir-.}" && pwd) || exit 99
tmp=$(mktemp -d "${TMPDIR-/tmp}/manpages.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

# verdict NAME FILE: FILE has what is wrong
verdict() {
	judge "$1" "$([ ! -s "$2" ] || cat "$2")"
}

have() { command -v "$1" >/dev/null 2>&1; }

# variable NAME: as it was configured
variable() {
	[ ! -f "$builddir/Makefile" ] ||
		sed -n "s/^$1 = *//p" "$builddir/Makefile" | sed 1q
}

CC=${CC-$(variable CC)}
CC=${CC:-cc}
CPPFLAGS=${CPPFLAGS-$(variable CPPFLAGS)}
CFLAGS=${CFLAGS-$(variable CFLAGS)}
LDFLAGS=${LDFLAGS-$(variable LDFLAGS)}

# ---- every function is in every place -------------------------------------------

# words FILE: one on a line
words() { tr -cs 'A-Za-z0-9_' '\n' <"$1"; }

sed -n 's/^[a-z].*[ *]\(safe_syscall[a-z0-9_]*\)(.*/\1/p' \
	"$srcdir/include/safe_syscall.h" | sort -u >"$tmp/functions"
words "$srcdir/NEWS" >"$tmp/news"
sed -n '/global:/,/local:/s/^[[:space:]]*\([a-z_0-9]*\);.*/\1/p' \
	"$srcdir/lib/libsafe_syscall.map" | sort -u >"$tmp/map"

if [ ! -s "$tmp/functions" ]; then
	judge "functions of safe_syscall.h" "none found"
fi
while read -r function; do
	page=$srcdir/man/$function.3
	{
		grep -qx "$function" "$tmp/map" || echo "not in lib/libsafe_syscall.map"
		grep -qx "$function" "$tmp/news" || echo "not in NEWS"
		if [ ! -f "$page" ]; then
			echo "no man/$function.3"
		else
			target=$(sed -n 's/^\.so man3\///p' "$page")
			[ -z "$target" ] || page=$srcdir/man/$target
			sed -n 's/^\.Nm \([a-z0-9_]*\).*/\1/p' "$page" |
				grep -qx "$function" || echo "not in NAME of $page"
		fi
	} >"$tmp/wrong" 2>&1
	verdict "$function: page, version map, NEWS" "$tmp/wrong"
done <"$tmp/functions"

while read -r name; do
	grep -qx "$name" "$tmp/functions" || echo "$name"
done <"$tmp/map" >"$tmp/wrong"
verdict "every name of the version map is in safe_syscall.h" "$tmp/wrong"

# ---- the pages as pages ---------------------------------------------------------

# As they will be installed: ".so man3/..." is looked up from the top.
for page in "$srcdir"/man/*.[1-9] "$srcdir"/examples/*/*.[1-9]; do
	section=man${page##*.}
	mkdir -p "$tmp/$section"
	cp "$page" "$tmp/$section/"
done

# Does man know how to warn, and has it what it needs?
man_works=no
printf '.TH A 1\n.SH NAME\na \\- b\n' >"$tmp/probe.1"
# with_man FILE: prints the warnings
with_man() {
	# shellcheck disable=SC2069 # the warnings are what is wanted
	LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 \
		man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >"$tmp/formatted"
}
if have man && [ -z "$(with_man "$tmp/probe.1")" ] && [ -s "$tmp/formatted" ]; then
	man_works=yes
fi

cd "$tmp" || exit 99
for page in man[1-9]/*; do
	name=${page#*/}

	if [ $man_works = yes ]; then
		with_man "$page" >wrong
		[ -s formatted ] || echo "nothing came out" >>wrong
		verdict "$name: man" wrong
	else
		pass_over "$name: man" "no man that can format and warn (man-db and groff)"
	fi

	if grep -q '^\.so ' "$page"; then
		# mandoc does not like these at all
		target=$(sed -n 's/^\.so //p' "$page")
		[ -f "$target" ] && ! grep -q '^\.so ' "$target" ||
			echo "no page $target" >wrong-so
		touch wrong-so
		verdict "$name: link" wrong-so
		rm -f wrong-so
	elif have mandoc; then
		# Which pages of others are installed is not our business.
		mandoc -Tlint "$page" 2>&1 |
			sed -e '/: outdated mandoc.db /d' \
				-e '/: STYLE: referenced manual not found: /d' >wrong
		verdict "$name: mandoc" wrong
	else
		pass_over "$name: mandoc" "not installed"
	fi
done

# Our own pages at least must be there when one refers to them.
for page in man[1-9]/*; do
	sed -n 's/^\.Xr \(safe_syscall[a-z_]*\) \([1-9]\).*/man\2\/\1.\2/p' "$page" |
		while read -r other; do
			[ -f "$other" ] || echo "${page#*/}: no ${other#*/}"
		done
done >wrong
verdict "references to our own pages" wrong

# ---- the fragments --------------------------------------------------------------

# roff_fragments PAGE: man page's fragments to PAGE.N.compile.c, PAGE.N.run.c
roff_fragments() {
	awk -v base="fragments/${1##*/}" '
	function plain(s) {
		gsub(/\\\(aq/, "\047", s)
		gsub(/\\\(dq/, "\"", s)
		gsub(/\\\(ha/, "^", s)
		gsub(/\\\(ti/, "~", s)
		gsub(/\\\(ga/, "`", s)
		gsub(/\\\(bs/, "\001", s)
		gsub(/\\e/, "\001", s)
		gsub(/\\-/, "-", s)
		gsub(/\\&/, "", s)
		if (s ~ /\\/)
			print FILENAME ":" FNR ": unknown escape: " s
		gsub(/\001/, "\\", s)
		return s
	}
	/^\.Bd -literal/ {
		if (mark == "")
			print FILENAME ":" FNR ": neither compile, run nor text"
		literal = 1
		out = ""
		if (mark == "compile" || mark == "run")
			out = base "." ++n "." mark ".c"
		next
	}
	/^\.Ed/ {
		literal = 0
		if (out != "")
			close(out)
		out = ""
	}
	{ mark = "" }
	/^\.\\" (compile|run|text)$/ { mark = $2 }
	literal && out != "" { print plain($0) >out }
	' "$1"
}

mkdir fragments
for page in man[1-9]/*; do
	roff_fragments "$page"
done >wrong
for n in 1 2 3 4; do
	readme_program "$n" "$srcdir/README" >"fragments/README.$n.run.c"
	[ -s "fragments/README.$n.run.c" ] || rm "fragments/README.$n.run.c"
done
verdict "every display is marked and can be read" wrong

# The libraries that were built.
kinds=
[ ! -f "$builddir/.libs/libsafe_syscall.so" ] || kinds="shared"
[ ! -f "$builddir/.libs/libsafe_syscall.a" ] || kinds="$kinds static"

# cc_ WORDS: the variables are lists of words
cc_() {
	# shellcheck disable=SC2086
	$CC $CPPFLAGS $CFLAGS -Wall -Wextra -Werror "$@"
}

# link KIND OUT OBJECT
link() {
	case $1 in
	shared) set -- "$2" "$3" "$builddir/.libs/libsafe_syscall.so" \
			"-Wl,-rpath,$builddir/.libs" ;;
	static) set -- "$2" "$3" "$builddir/.libs/libsafe_syscall.a" ;;
	esac
	out=$1
	shift
	# shellcheck disable=SC2086
	$CC $CFLAGS $LDFLAGS -o "$out" "$@" -lpthread
}

# run PROGRAM: none may take longer than a minute
run() {
	# shellcheck disable=SC2086
	if have timeout; then
		timeout -k 5 60 ${RUN-} "$1" </dev/null
	else
		${RUN-} "$1" </dev/null
	fi
}

cc_works=no can_run=no
echo 'int main(void) { return 0; }' >probe.c
if cc_ -c -o probe.o probe.c 2>probe.err; then
	cc_works=yes
	# shellcheck disable=SC2086
	if $CC $CFLAGS $LDFLAGS -o probe probe.o 2>>probe.err &&
	   run ./probe 2>>probe.err; then
		can_run=yes
	fi
fi

for fragment in fragments/*.c; do
	[ -f "$fragment" ] || continue
	name=${fragment#*/}
	name=${name%.c}
	mark=${name##*.}
	name="${name%.*} ($mark)"

	if [ $cc_works = no ]; then
		pass_over "$name" "$CC does not compile: $(sed 1q probe.err)"
		continue
	fi
	if ! cc_ "-I$srcdir/include" -c -o fragment.o "$fragment" >wrong 2>&1; then
		[ -s wrong ] || echo "$CC failed" >wrong
		verdict "$name" wrong
		continue
	fi
	if [ "$mark" = compile ]; then
		judge "$name"
		continue
	fi
	[ -n "$kinds" ] || pass_over "$name" "no library in $builddir/.libs"
	for kind in $kinds; do
		if ! link "$kind" ./program fragment.o >wrong 2>&1; then
			echo "not linked" >>wrong
		elif [ $can_run = no ]; then
			pass_over "$name, $kind" "programs of $CC do not run here"
			continue
		else
			run ./program >wrong 2>&1
			status=$?
			if [ $status -eq 0 ]; then
				: >wrong
			else
				echo "exit status $status" >>wrong
			fi
		fi
		verdict "$name, $kind" wrong
	done
done
case $(ls fragments) in
*README*) ;;
*) judge README "it has no programs" ;;
esac

finish
