#!/bin/sh
# SPDX-License-Identifier: MIT
#
# header_strict.sh - safe_syscall.h as it is seen by a strict compiler, and by
# those who make bindings for other languages from it: it compiles alone; it
# declares the functions of the version map and types, and nothing else; each
# function can be called with no macro at all, and the macros that convert
# arguments take whatever is a word, without a warning, and nothing else; each type
# is complete, and laid out the same everywhere, or opaque.
#
# Runs in the build directory and executes nothing that was built.  srcdir, CC,
# CPPFLAGS, CFLAGS and LDFLAGS come from the environment or, where they are not
# there, from the Makefile.

# Functions are called by name, through check; compilers and their flags are
# several words in one variable:
# shellcheck disable=SC2317,SC2086

set -u
LC_ALL=C
export LC_ALL

# Compilers, standards, and with what defined the header is to compile: the
# header's first comment says which macros a strict standard of C needs.
compilers() {
	cat <<-'END'
	gcc clang musl-gcc|c99|GNU_SOURCE DEFAULT_SOURCE POSIX_C_SOURCE=199309L POSIX_C_SOURCE=200809L XOPEN_SOURCE=500 XOPEN_SOURCE=700
	gcc clang musl-gcc|c11 c17|GNU_SOURCE POSIX_C_SOURCE=199309L
	gcc clang musl-gcc|gnu99 gnu11 gnu17|
	g++ clang++|c++98 c++11 c++17 c++20 gnu++17|
	END
}

warnings='-Wall -Wextra -Wundef -Wshadow -pedantic -Werror'

# What one compiler has besides.
more_warnings() {
	case $1 in
	clang*) echo -Weverything -Wno-documentation-unknown-command ;;
	*++) echo -Wconversion -Wold-style-cast -Wredundant-decls ;;
	*) echo -Wconversion -Wstrict-prototypes -Wredundant-decls -Wc++-compat ;;
	esac
}

srcdir=${srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
# rustc would look for the jobs of a make that called us.
unset MAKEFLAGS MFLAGS MAKELEVEL
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

# A variable of the Makefile.
setting() {
	sed -n "s/^$1 = //p" Makefile 2>/dev/null
}

# ---- reading the header -----------------------------------------------------

preprocess() {
	$CC ${CPPFLAGS-} ${CFLAGS-} -D_GNU_SOURCE -I"$srcdir/include" -E "$@" "$tmp/alone.c"
}

# Of what the preprocessor prints, that which stands in the header itself.
of_the_header() {
	awk '
	/^# [0-9]+ "/ { ours = $3 ~ /\/safe_syscall\.h"$/; next }
	ours'
}

# One declaration a line, without its semicolon.
declarations() {
	preprocess | of_the_header | awk '
	{
		n = split($0, c, "")
		for (i = 1; i <= n; i++) {
			depth += (c[i] == "{") - (c[i] == "}")
			if (c[i] == ";" && !depth) {
				print text
				text = ""
			} else {
				text = text c[i]
			}
		}
		text = text " "
	}
	END { if (text ~ /[^ ]/) print text }' |
		tr '\t' ' ' | sed 's/  */ /g; s/^ //; s/ $//; s/ (/(/g'
}

# The kind of each: "function NAME", "type NAME", or what is wrong with it.
kinds() {
	awk '
	/^(static|inline|extern inline|__inline)/ { print "inline", $0; next }
	/^typedef (struct|union|enum) [a-z_]+ \{.*\} [a-z_]+$/ { print "type", $NF; next }
	/^typedef (struct|union|enum) [a-z_]+ [a-z_]+$/ { print "type", $NF; next }
	/^(__extension__ )?typedef long( long)? [a-z_]+$/ { print "type", $NF; next }
	/^(struct|union|enum) [a-z_]+( \{.*\})?$/ { print "type", $1, $2; next }
	/^[^(){}]*[ *][a-z_]+\([^(){}]*\)$/ {
		sub(/\(.*/, "")
		sub(/.*[ *]/, "")
		print "function", $0
		next
	}
	{ print "unknown", $0 }' "$tmp/declarations"
}

# Those of the header, with their values.
macros() {
	preprocess -dD "$@" | of_the_header | sed -n 's/^#define //p'
}

# ---- what it declares -------------------------------------------------------

functions_and_types_only() {
	grep -v -e '^function ' -e '^type ' "$tmp/kinds"
	[ -s "$tmp/kinds" ] || echo 'nothing is declared'
	return 0
}

version_map() {
	sed -n '/global:/,/local:/s/^[[:space:]]*\([a-z_0-9]*\);.*/\1/p' \
		"$srcdir/lib/libsafe_syscall.map" | sort >"$tmp/map"
	sed -n 's/^function //p' "$tmp/kinds" | sort >"$tmp/header"
	[ -s "$tmp/map" ] || echo 'the map has no names'
	same map header
}

# What a compiler says itself, which knows more of C than we do here.
compilers_list() {
	command -v gcc >/dev/null || skip 'no gcc'
	gcc -D_GNU_SOURCE -I"$srcdir/include" -aux-info "$tmp/aux" -fsyntax-only \
		"$tmp/alone.c" || return
	[ -s "$tmp/aux" ] || skip 'this gcc has no -aux-info'
	sed -n 's,^/\* [^ ]*/safe_syscall\.h:[0-9]*:[A-Z]* \*/ \([^(]*[^ (]\) *(.*,\1,p' "$tmp/aux" |
		sed 's/.*[ *]//' | sort >"$tmp/aux-info"
	same header aux-info
}

names() {
	grep -vE '^(function safe_syscall|type ((struct|union|enum) )?safe_syscall_)' "$tmp/kinds"
	sed -n 's/^enum [a-z_]* {\(.*\)}$/\1/p' "$tmp/declarations" | tr ',' '\n' |
		sed 's/^ *//; s/ *=.*//; s/ *$//' | grep -v '^SAFE_[A-Z_]*$'
	sed 's/[ (].*//' "$tmp/macros" | grep -v '^SAFE_[A-Z_0-9]*$' | sort >"$tmp/lower-case"
	printf '%s\n' safe_syscall safe_syscall_raw >"$tmp/converting"
	same converting lower-case
}

# A constant, or zeros that other languages have too; nothing that does something.
plain_macros() {
	[ -s "$tmp/plain" ] || echo 'none found, not even the guard'
	grep -vE -e '^SAFE_SYSCALL_H *$' -e '^[A-Z_]+ -?(0x)?[0-9a-fA-F]+[UL]*$' \
		-e '^[A-Z_]+_INIT [{}0, ]+$' "$tmp/plain"
	return 0
}

# ---- calls ------------------------------------------------------------------

# For each function another with its parameters, in which only their own names
# are handed on.
write_calls() {
	echo '#include <safe_syscall.h>'
	sed 's/[ (].*//; s/^/#undef /' "$tmp/macros"
	awk '
	/^[^(){}]*[ *][a-z_]+\([^(){}]*\)$/ {
		parameters = arguments = $0
		sub(/\(.*/, "")
		name = $0
		sub(/.*[ *]/, "", name)
		returned = substr($0, 1, length($0) - length(name))
		sub(/^extern /, "", returned)
		sub(/^[^(]*\(/, "", parameters)
		sub(/\)$/, "", parameters)
		sub(/, *\.\.\.$/, "", parameters)
		n = split(parameters, list, ",")
		arguments = ""
		for (i = 1; i <= n && parameters != "void"; i++) {
			sub(/.*[ *]/, "", list[i])
			arguments = arguments (i > 1 ? ", " : "") list[i]
		}
		printf "%scall_%s(%s)\n{\n\t%s%s(%s);\n}\n", returned, name, parameters,
			returned ~ /^void *$/ ? "" : "return ", name, arguments
	}' "$tmp/declarations"
	echo 'int main(void) { return 0; }'
}

all_are_called() {
	grep -c '^}' "$tmp/calls.c" >"$tmp/have"
	grep -c '^function ' "$tmp/kinds" >"$tmp/want"
	cmp -s "$tmp/have" "$tmp/want" ||
		echo "$(cat "$tmp/have") calls of $(cat "$tmp/want") functions could be written"
}

compile() {
	$CC ${CPPFLAGS-} ${CFLAGS-} -D_GNU_SOURCE -I"$srcdir/include" \
		-Wall -Wextra -pedantic -Werror "$@"
}

call() {
	compile -c -o "$tmp/calls.o" "$tmp/calls.c"
}

# What the object wants has the names that the library has: C's, not C++'s.
call_cxx() {
	command -v "$1" >/dev/null || skip "no $1"
	"$1" -x c++ -std=c++98 -I"$srcdir/include" $warnings -c -o "$tmp/calls_cxx.o" \
		"$tmp/calls.c" || return
	nm -u "$tmp/calls_cxx.o" | sed -n 's/^ *U \(.*safe_syscall.*\)/\1/p' | sort >"$tmp/wanted"
	same header wanted
}

link() {
	case $1 in
	shared) library=.libs/libsafe_syscall.so ;;
	static) library=.libs/libsafe_syscall.a ;;
	esac
	[ -e $library ] || skip "no $library"
	$CC ${CFLAGS-} ${LDFLAGS-} -o "$tmp/calls" "$tmp/calls.o" $library -lpthread
}

# ---- arguments --------------------------------------------------------------

# Whatever a program may pass, as it writes it.
write_arguments() {
	cat <<-'END'
	#include <safe_syscall.h>
	#include <stdbool.h>
	#include <stddef.h>
	#include <stdint.h>
	enum small { SOME = 7 };
	enum signed_small { MINUS = -1 };
	struct fields { unsigned int three : 3; int rest : 29; };
	static volatile int flag;
	extern char array[];
	char *pointer(void);
	bool boolean(void);
	enum small enumerator(void);
	int integer(void);
	void handler(int);
	long all(struct fields *, const void *, volatile int *, void (*)(int), unsigned int,
		 unsigned long, char, short, bool, enum small, enum signed_small);
	long all(struct fields *s, const void *constant, volatile int *vol, void (*f)(int),
		 unsigned int u, unsigned long ul, char c, short sh, bool b, enum small e,
		 enum signed_small es)
	{
		const int i = 4;
		int n = 0;

		n += safe_syscall(1) < 0;
		n += safe_syscall_raw(&flag, 1) < 0;
		n += safe_syscall_raw(vol, 1, 0, NULL, NULL, NULL, NULL, 0) < 0;
		n += safe_syscall(1, s->three, s->rest, s, constant, vol, f) < 0;
		n += safe_syscall(1, u, ul, c, sh, b, e) < 0;
		n += safe_syscall_raw(&flag, 1, es, i, handler, &handler, array, &array) < 0;
		n += safe_syscall(1, pointer(), boolean(), enumerator(), integer()) < 0;
		n += safe_syscall(1, NULL, 0, -1, 0L, -1L, "text") < 0;
		n += safe_syscall(1, 'c', SOME, MINUS, sizeof i, 0x80000000, 1U) < 0;
		n += safe_syscall(1, i == 3, u ? "x" : NULL, !u, ~u, -i, (char *)0) < 0;
		n += safe_syscall(1, (void *)0, (uintptr_t)constant, (intptr_t)vol) < 0;
		n += safe_syscall(1, (*vol)++, ++u, ul <<= 1) < 0;
		n += safe_syscall(1, safe_syscall(2, safe_syscall_raw(&flag, 3, u))) < 0;
		return n + (safe_syscall)(1) + (&safe_syscall_raw)(&flag, 1);
	}
	END
}

# arguments COMPILER STANDARD
arguments() {
	command -v "$1" >/dev/null || skip "no $1"
	echo | "$1" -x c -std="$2" -fsyntax-only - 2>/dev/null || skip "$1 does not know -std=$2"
	case $1 in
	clang*) more='-Weverything -Wno-unknown-warning-option -Wno-documentation-unknown-command
		-Wno-declaration-after-statement -Wno-pre-c11-compat' ;;
	*) more='-Wconversion -Wsign-conversion -Wcast-qual -Wcast-align=strict
		-Wbad-function-cast -Wc++-compat -Wpointer-arith -Wwrite-strings
		-Wduplicated-branches -Wduplicated-cond -Wlogical-op -Wvla
		-Wdeclaration-after-statement -Wjump-misses-init' ;;
	esac
	"$1" -x c -O2 -std="$2" -D_GNU_SOURCE $warnings $more -I"$srcdir/include" \
		-c -o "$tmp/arguments.o" "$tmp/arguments.c"
}

# refused CALL COMPILER: what is no word, or one too many, is an error and no warning
refused() {
	command -v "$2" >/dev/null || skip "no $2"
	for call in "$1" 'safe_syscall(1, 0)'; do
		printf '#include <safe_syscall.h>\nlong f(safe_syscall_scope s);\n%s\n' \
			"long f(safe_syscall_scope s) { (void)s; return $call; }" >"$tmp/refused.c"
		"$2" -w -D_GNU_SOURCE -I"$srcdir/include" -c -o "$tmp/refused.o" "$tmp/refused.c" \
			>/dev/null 2>&1
		echo $?
	done | tr -d '\n' | grep -qx '[1-9][0-9]*0' || echo "$2 takes it"
}

check_arguments() {
	for compiler in gcc clang musl-gcc; do
		for standard in c99 gnu99 c11 gnu17; do
			check "arguments: $compiler -std=$standard" arguments $compiler $standard
		done
	done
	for compiler in gcc clang; do
		for what in 1.0 1.0f s '(__int128)0' '0, 1, 2, 3, 4, 5, 6, 7' \
			'0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10'; do
			check "no argument: $what, $compiler" refused "safe_syscall(1, $what)" $compiler
		done
	done
}

# Nothing but functions.
no_macros() {
	case $1 in
	c) preprocess -dD -DSAFE_SYSCALL_NO_MACROS ;;
	*) command -v "$1" >/dev/null || skip "no $1"
		"$1" -x c++ -I"$srcdir/include" -E -dD "$tmp/alone.c" ;;
	esac | of_the_header | grep '^#define [A-Za-z_0-9]*('
	return 0
}

# ---- types ------------------------------------------------------------------

# Enumerations are as large as int.  A structure has plain members and no
# padding, so that who lays them out in a row can't be wrong.
write_layout() {
	echo '#include <safe_syscall.h>'
	awk '
	/^enum [a-z_]+ \{/ {
		printf "extern char int_%d[sizeof(enum %s) == sizeof(int) ? 1 : -1];\n", NR, $2
		next
	}
	/^(typedef )?struct [a-z_]+ \{/ {
		sub(/^typedef /, "")
		type = "struct " $2
		sub(/^[^{]*\{/, "")
		sub(/\}[^}]*$/, "")
		n = split($0, list, ";")
		sum = "0"
		for (i = 1; i < n; i++) {
			sub(/\[.*/, "", list[i])
			sub(/.*[ *]/, "", list[i])
			sum = sum " + sizeof(((" type " *)0)->" list[i] ")"
		}
		printf "extern char row_%d[sizeof(%s) == %s ? 1 : -1];\n", NR, type, sum
	}' "$tmp/declarations"
}

no_padding() {
	compile -c -o "$tmp/layout.o" "$tmp/layout.c"
	grep -E '\{[^}]*(:|\{|\[\]|union)' "$tmp/declarations" |
		sed 's/^/bit-field, nested or without a length: /'
}

# What is not complete is for pointers, and then some function takes or gives one.
complete_or_opaque() {
	sed -n 's/^type //p' "$tmp/kinds" | while read -r type; do
		printf '#include <safe_syscall.h>\nextern char size[sizeof(%s)];\n' "$type" \
			>"$tmp/type.c"
		compile -fsyntax-only "$tmp/type.c" 2>/dev/null ||
			grep -q "^[^{]*\<$type \*.*(\|^[^{]*(.*\<$type \*" "$tmp/declarations" ||
			echo "$type is not complete, and no function has a pointer to it"
	done
}

# ---- the header alone -------------------------------------------------------

# alone COMPILER STANDARD MACRO: not as a system header, and twice
alone() {
	command -v "$1" >/dev/null || skip "no $1"
	[ "${1#*++}" = "$1" ] && language=c || language=c++
	echo | "$1" -x $language -std="$2" -fsyntax-only - 2>/dev/null ||
		skip "$1 does not know -std=$2"
	more=$(more_warnings "$1")
	"$1" -x $language -std="$2" ${3:+"-D_$3"} $warnings $more \
		-I"$srcdir/include" -fsyntax-only "$tmp/alone.c"
}

check_alone() {
	compilers >"$tmp/compilers"
	while IFS='|' read -r names standards macros <&3; do
		for name in $names; do
			for standard in $standards; do
				for macro in ${macros:-''}; do
					[ "$macro" != "''" ] || macro=
					check "alone: $name -std=$standard${macro:+ -D_$macro}" \
						alone "$name" "$standard" "$macro"
				done
			done
		done
	done 3<"$tmp/compilers"
}

# The header's first comment names them all, with the least value that will do.
documented() {
	sed '/^#ifndef/,$d' "$srcdir/include/safe_syscall.h" >"$tmp/comment"
	compilers | cut -d '|' -f 3 | tr ' ' '\n' | sed '/^$/d; s/^/_/' | sort -ur |
		awk -F = '{ least[$1] = $2 } END { for (m in least) print m, least[m] }' |
		while read -r macro least; do
			grep -q "\<$macro${least:+ ($least or more)}" "$tmp/comment" ||
				echo "the comment does not name $macro${least:+ ($least or more)}"
		done
}

# ---- atomic flags -----------------------------------------------------------

# An atomic int is an int in memory, and its address can be passed as the page says; C++ is
# tested by header_cxx.cc.
# atomic_c COMPILER
atomic_c() {
	command -v "$1" >/dev/null || skip "no $1"
	cat >"$tmp/atomic.c" <<-'END'
	#include <safe_syscall.h>
	#include <stdatomic.h>
	extern atomic_int flag;
	long f(void);
	_Static_assert(sizeof(atomic_int) == sizeof(int), "size");
	_Static_assert(_Alignof(atomic_int) == _Alignof(int), "alignment");
	_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "no lock");
	long f(void) { return safe_syscall_raw((const volatile int *)&flag, 1); }
	END
	"$1" -std=c11 -D_GNU_SOURCE -I"$srcdir/include" $warnings -c \
		-o "$tmp/atomic.o" "$tmp/atomic.c"
}

atomic_rust() {
	command -v rustc >/dev/null || skip 'no rustc'
	cat >"$tmp/atomic.rs" <<-'END'
	use std::mem::{align_of, size_of};
	use std::os::raw::{c_int, c_long};
	use std::sync::atomic::AtomicI32;
	extern "C" {
	    fn safe_syscall_raw(flag: *const c_int, number: c_long, ...) -> c_long;
	}
	const _: () = assert!(size_of::<AtomicI32>() == size_of::<c_int>());
	const _: () = assert!(align_of::<AtomicI32>() == align_of::<c_int>());
	pub fn f(flag: &AtomicI32) -> c_long {
	    unsafe { safe_syscall_raw(flag.as_ptr(), 1) }
	}
	END
	: >"$tmp/empty.rs"
	rustc --crate-type lib --emit obj -o "$tmp/empty.o" "$tmp/empty.rs" >/dev/null 2>&1 ||
		skip 'rustc compiles nothing here'
	case $(rustc --version) in
	'rustc 1.'[0-9].* | 'rustc 1.'[0-6][0-9].*) skip 'rustc is older than 1.70' ;;
	esac
	rustc --crate-type lib --emit obj -D warnings -o "$tmp/atomic.o" "$tmp/atomic.rs"
}

# ---- a generator of bindings ------------------------------------------------

# As it comes, and not as a formatter would have it that has wishes of its own.
unformatted() {
	if bindgen --help | grep -q -e --formatter; then
		echo --formatter=none
	else
		echo --no-rustfmt-bindings
	fi
}

bindings() {
	command -v bindgen >/dev/null || skip 'no bindgen'
	bindgen "$(unformatted)" --no-doc-comments --allowlist-file '.*/safe_syscall\.h' \
		-o "$tmp/bindings.rs" "$tmp/alone.c" -- -D_GNU_SOURCE -I"$srcdir/include" ||
		return
	sed 's/[(){}]/ & /g' "$tmp/bindings.rs" | tr -s ' \t' '\n' >"$tmp/words"
	awk 'last == "fn" && /^safe_syscall/; { last = $0 }' "$tmp/words" | sort >"$tmp/bindgen"
	same header bindgen
	# opaque to bindgen is what it did not understand
	awk 'last == "struct" { name = $0 }
		/^}/ { name = "" }
		name ~ /^safe_syscall/ && /opaque|Bitfield|IncompleteArray|_unused/ { print name, $0 }
		{ last = $0 }' "$tmp/words"
}

# ---- all of it --------------------------------------------------------------

tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

: "${CC=$(setting CC)}" "${CPPFLAGS=$(setting CPPFLAGS)}"
: "${CFLAGS=$(setting CFLAGS)}" "${LDFLAGS=$(setting LDFLAGS)}"
CC=${CC:-cc}

printf '#include <safe_syscall.h>\n#include <safe_syscall.h>\n' >"$tmp/alone.c"
declarations >"$tmp/declarations"
kinds >"$tmp/kinds"
macros >"$tmp/macros"
macros -DSAFE_SYSCALL_NO_MACROS >"$tmp/plain"
write_calls >"$tmp/calls.c"
write_layout >"$tmp/layout.c"
write_arguments >"$tmp/arguments.c"

check 'functions and types, and nothing else' functions_and_types_only
check 'functions and version map' version_map
check 'functions, as gcc lists them' compilers_list
check 'names' names
check 'macros are constants' plain_macros
check 'each function is called' all_are_called
check 'calls without a macro, C' call
check 'calls without a macro, g++' call_cxx g++
check 'calls without a macro, clang++' call_cxx clang++
check 'calls, shared library' link shared
check 'calls, static library' link static
check_arguments
check 'no macros where none are wanted' no_macros c
check 'no macros in C++' no_macros g++
check 'types are complete or opaque' complete_or_opaque
check 'no padding, no bit-fields' no_padding
check 'macros for strict standards are named in the header' documented
check_alone
check 'atomic flag: gcc' atomic_c gcc
check 'atomic flag: clang' atomic_c clang
check 'atomic flag: rustc' atomic_rust
check 'bindgen' bindings
finish
