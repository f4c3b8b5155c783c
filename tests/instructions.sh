#!/bin/sh
# SPDX-License-Identifier: MIT
#
# instructions.sh [--compilers | OBJECT...] - how many instructions a call costs,
# counted in the machine code and compared with safe_syscall_internals(7), and that what
# must not be in the window is not.  Without arguments: the stub as it was built in
# this directory; --compilers: as every compiler below that is installed makes it,
# which needs the binutils of their targets, as llvm-objdump prints some
# instructions otherwise.
#
# srcdir, OBJDUMP and READELF may be in the environment.

set -u
LC_ALL=C
export LC_ALL

compilers() {
	cat <<-'END'
	gcc
	clang
	x86_64-linux-gnux32-gcc
	clang --target=x86_64-linux-gnux32
	i686-linux-gnu-gcc
	clang --target=i686-linux-gnu
	aarch64-linux-gnu-gcc
	aarch64-linux-gnu-gcc -mbig-endian
	clang --target=aarch64-linux-gnu
	clang --target=aarch64_be-linux-gnu
	arm-linux-gnueabihf-gcc
	arm-linux-gnueabi-gcc
	clang --target=arm-linux-gnueabihf
	riscv64-linux-gnu-gcc
	clang --target=riscv64-linux-gnu
	loongarch64-linux-gnu-gcc
	clang --target=loongarch64-linux-gnu
	powerpc64-linux-gnu-gcc
	powerpc64-linux-gnu-gcc -mabi=elfv2
	powerpc64le-linux-gnu-gcc
	clang --target=powerpc64-linux-gnu
	clang --target=powerpc64le-linux-gnu
	s390x-linux-gnu-gcc
	clang --target=s390x-linux-gnu
	mips-linux-gnu-gcc
	mipsel-linux-gnu-gcc
	clang --target=mips-linux-gnu
	clang --target=mipsel-linux-gnu
	mips64-linux-gnuabi64-gcc -mabi=n32
	mips64el-linux-gnuabi64-gcc -mabi=n32
	mips64-linux-gnuabi64-gcc
	mips64el-linux-gnuabi64-gcc
	clang --target=mips64-linux-gnuabi64
	clang --target=mips64el-linux-gnuabi64
	END
}

# How readelf describes an object, and what the page calls it.
machines() {
	cat <<-'END'
	*X86-64*|x86_64, x32
	Intel*80386*|i386
	AArch64*|aarch64
	ARM*|arm
	RISC-V*|riscv64
	LoongArch*|loongarch64
	PowerPC64*|ppc64
	IBM?S/390*|s390x
	MIPS*ELF64*|mips n32, n64
	MIPS*abi2*|mips n32, n64
	MIPS*|mips o32
	END
}

# More than this it must not be, whatever the page says.
most() {
	case $1 in
	x86_64*) echo 14 ;;
	*) echo 64 ;;
	esac
}

# Per architecture, as patterns of awk: a system call instruction of any kind;
# a return that is taken when the call succeeds; a branch that is; and what may
# stand in the window, because it writes no memory.  Two disassemblers differ.
syntax() {
	case $1 in
	x86_64*)
		call='^(syscall|sysenter|int)'
		back='^ret'
		quiet='^(mov[lq]? .*%[a-z0-9]+$|cmpl |jne )'
		;;
	i386)
		call='^(syscall|sysenter|int)'
		back='^ret'
		quiet='^(movl? .*%[a-z]+$|cmpl |jne )'
		;;
	arm)
		call='^svc'
		back='^bx'
		quiet='^(ldr|cmp|bne) '
		;;
	aarch64)
		call='^svc'
		back='^ret'
		quiet='^(ldr|cbnz) '
		;;
	riscv64)
		call='^ecall'
		back='^ret'
		quiet='^(lw|bnez) '
		;;
	loongarch64)
		call='^syscall'
		back='^(ret|jr)'
		quiet='^(ld.w|bnez) '
		;;
	ppc64)
		call='^scv?( |$)'
		back='^(blr|bnslr)'
		quiet='^(ld|lwz|cmpwi|bne) '
		;;
	s390x)
		call='^svc'
		back='^br '
		quiet='^(lg|icm|jne|jnz|jlh|larl|xgr) '
		;;
	mips*)
		call='^syscall'
		back='^jr '
		quiet='^(lw|ld|bnez) '
		;;
	esac
	case $1 in
	mips*)
		taken='^beqz '
		slot=1
		;;
	*)
		taken='^$'
		slot=0
		;;
	esac
}

# ---- tally ------------------------------------------------------------------

srcdir=${srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

# ---- objects ----------------------------------------------------------------

# row OBJECT: what the page calls it.
row() {
	about=$($READELF -h "$1" 2>/dev/null |
		sed -n 's/^ *\(Machine\|Class\|Flags\): *//p' |
		{ read -r class && read -r machine && read -r flags && echo "$machine $class $flags"; })
	machines | while IFS='|' read -r pattern name; do
		# shellcheck disable=SC2254 # a pattern
		case $about in
		$pattern) echo "$name"; break ;;
		esac
	done
}

promised() {
	sed -n "s/^\\.It \"\\{0,1\\}$1\"\\{0,1\\} Ta .* Ta \\([0-9]*\\)\$/\\1/p" \
		"$srcdir/man/safe_syscall_internals.7"
}

# Where entry, start, call, commit and end are, in decimal: from ss_bounds or, as riscv64's and
# loongarch64's assemblers leave all distances to the linker, from the labels, which they leave to
# it too, as the latter does with what aligns the entry.
distances() {
	file=$1
	case $($READELF -h "$1") in
	*little\ endian*) order='\4\3\2\1' ;;
	*) order='\1\2\3\4' ;;
	esac
	# shellcheck disable=SC2046 # words
	set -- $($READELF -x .rodata "$1" |
		sed -n 's/^ *0x[0-9a-f]* \([0-9a-f ]*\)  *.\{16\}$/\1/p' | tr -s ' ' '\n' |
		sed "s/\(..\)\(..\)\(..\)\(..\)/0x$order/")
	[ $# -ge 7 ] || return
	if [ $(($7)) -gt 0 ]; then
		echo 0 $(($2)) $(($3)) $(($4)) $(($7))
	else
		for label in .Lentry .Lstart .Lcall .Lcommit .Lend; do
			value=$($READELF -sW "$file" | awk -v label="$label" '$NF == label { print $2 }')
			echo $((0x0$value))
		done
	fi
}

# disassemble OBJECT TOOL...: with the first tool that knows the architecture,
# "address instruction" a line.
disassemble() {
	object=$1
	shift
	for tool; do
		$tool -d -j .text --no-show-raw-insn "$object" 2>/dev/null | awk '
		/^ *[0-9a-f]+:/ {
			sub(/:/, "")
			gsub(/[ \t]+/, " ")
			sub(/ *(#|;|\/\/) .*/, "")
			sub(/^ /, "")
			if (NF > 1)
				print
		}' >"$tmp/code"
		[ ! -s "$tmp/code" ] || return 0
	done
	return 1
}

# walk ENTRY START CALL COMMIT END: follows a call that succeeds.  Prints the number of
# instructions, or what is wrong as "call WHY" or "write WHY".
walk() {
	awk -v entry="$1" -v start="$2" -v callat="$3" -v commit="$4" -v end="$5" \
		-v call="$call" -v back="$back" -v taken="$taken" -v quiet="$quiet" -v slot="$slot" '
	function number(hex,    i, n) {
		sub(/^0x/, "", hex)
		for (i = 1; i <= length(hex); i++)
			n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
		return n + 0
	}
	# where a branch goes: its last operand but for a name in brackets
	function target(text,    operand, n) {
		sub(/ *<.*/, "", text)
		n = split(text, operand, /[ ,]+/)
		return number(operand[n])
	}
	{
		address[NR] = number($1)
		at[address[NR]] = NR
		sub(/^[^ ]+ /, "")
		text[NR] = $0
		if (address[NR] >= end)
			next
		if ($0 ~ call) {
			calls++
			if (address[NR] != callat)
				print "call " $0 ": not where the table says"
		}
		if (address[NR] == commit && NR != at[callat] + 1)
			print "call commit is not the next instruction"
		if (address[NR] >= start && address[NR] < callat && $0 !~ quiet)
			print "write " $0
	}
	END {
		if (calls != 1)
			print "call " calls + 0 " system call instructions"
		for (i = at[entry]; i <= NR && address[i] < end && count < 100; i++) {
			count++
			if (text[i] ~ back) {
				print "count " count + slot
				exit
			}
			if (i > at[callat] && text[i] ~ taken) {
				count += slot
				i = at[target(text[i])] - 1
			}
		}
		print "count none: no return"
	}' "$tmp/code"
}

# said WORD: those lines of walk, as one.
said() {
	sed -n "s/^$1 //p" "$tmp/walk" | paste -s -d ';' -
}

count_is_right() {
	want=$(promised "$1")
	have=$(said count)
	if [ -z "$want" ]; then
		echo "$have instructions, the page has no row for $1"
	elif [ "$have" != "$want" ]; then
		echo "$have instructions, the page says $want"
	elif [ "$have" -gt "$(most "$1")" ]; then
		echo "$have instructions, $(most "$1") is the most"
	fi
}

# check_object NAME OBJECT TOOL...
check_object() {
	name=$1
	file=$2
	shift 2
	row=$(row "$file")
	if [ -z "$row" ]; then
		judge "$name" 'an architecture that this script does not know'
	elif ! disassemble "$file" "$@"; then
		pass_over "$name" "no disassembler among $* knows $row"
	else
		syntax "$row"
		# shellcheck disable=SC2046 # words
		walk $(distances "$file") >"$tmp/walk"
		judge "$name: instructions ($row)" "$(count_is_right "$row")"
		judge "$name: one system call instruction" "$(said call)"
		judge "$name: nothing written in the window" "$(said write)"
	fi
}

# ---- compilers --------------------------------------------------------------

# The folder whose predicate the compiler meets, as configure finds it.
folder_for() {
	for folder in "$srcdir"/lib/arch/*/; do
		if "$@" -DSS_ASSEMBLER -E -x assembler-with-cpp "$folder/arch.h" >/dev/null 2>&1; then
			echo "$folder"
			return
		fi
	done
}

# check_compiler COMMAND [FLAG...]
check_compiler() {
	if ! command -v "$1" >/dev/null; then
		pass_over "$*" "no $1"
		return
	fi
	if ! echo 'int x;' | "$@" -c -o "$tmp/probe.o" -x c - 2>/dev/null; then
		pass_over "$*" "$1 does not take the flag"
		return
	fi
	folder=$(folder_for "$@")
	if [ -z "$folder" ]; then
		pass_over "$*" 'none of the architectures'
	elif ! why=$("$@" -I"$folder" -c -o "$tmp/stub.o" "$srcdir/lib/stub.S" 2>&1); then
		judge "$*" "$why"
	else
		check_object "$*" "$tmp/stub.o" "$("$@" -print-prog-name=objdump)" \
			"$(target_of "$@")-objdump"
	fi
}

# Whose binutils: one byte order's know the other.
target_of() {
	case $* in
	*--target=*) echo "$*" | sed 's/.*--target=//; s/_be-/-/' ;;
	*) "$@" -dumpmachine ;;
	esac
}

check_built() {
	for file in lib/stub.o lib/.libs/stub.o; do
		[ ! -e "$file" ] || check_object "$file" "$file" "$OBJDUMP" llvm-objdump
	done
}

# Last come those of later releases, where tests/lib.sh puts them.
check_compilers() {
	for folder in "${SAFE_SYSCALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/safe_syscall}"/releases/*/bin; do
		PATH=$PATH:$folder
	done
	compilers >"$tmp/compilers"
	while read -r command <&3; do
		# shellcheck disable=SC2086 # a compiler and its flags
		check_compiler $command
	done 3<"$tmp/compilers"
}

OBJDUMP=${OBJDUMP:-objdump}
READELF=${READELF:-readelf}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

if ! command -v "${READELF%% *}" >/dev/null; then
	skip instructions "no ${READELF%% *}"
elif [ $# -eq 0 ]; then
	check_built
elif [ "$1" = --compilers ]; then
	check_compilers
else
	for object; do
		check_object "$object" "$object" "$OBJDUMP" llvm-objdump
	done
fi
finish
