#!/bin/sh
# SPDX-License-Identifier: MIT
#
# elf.sh - what was built, as a linker, a loader, a debugger and a profiler see
# it.  Runs in the build directory and executes nothing that was built, so it
# is the same test for a cross compiler.
#
# srcdir, ss_arch, CC, CPPFLAGS, CFLAGS, NM, OBJDUMP and READELF come from the
# environment or, where they are not there, from the Makefile.

# Functions are called by name, through check:
# shellcheck disable=SC2317

set -u
LC_ALL=C
export LC_ALL

# What the library may ask of others; anything else is a dependency, or code
# that must not run in a signal handler.  One pattern of the shell a line.
expected_undefined() {
	cat <<-'END'
	__errno_location
	__libc_current_sigrtm*
	__libc_single_threaded
	__register_atfork
	__stack_chk_*
	__ubsan_handle_*
	_ITM_*
	clock_gettime
	__cxa_finalize
	__deregister_frame_info
	__gmon_start__
	__register_frame_info
	dladdr
	dlsym
	getauxval
	getpid
	madvise
	memcmp
	memcpy
	memset
	mmap
	munmap
	pthread_atfork
	pthread_attr_destroy
	pthread_attr_getstack
	pthread_getattr_np
	pthread_key_create
	pthread_key_delete
	pthread_once
	pthread_self
	pthread_setspecific
	sched_yield
	sig*set
	sigaction
	sigismember
	syscall
	sysconf
	END
}

expected_libraries='^(libc\.(so|musl)|ld(64)?[.-]|lib[a-z]*san\.so|libclang_rt)'

# Architecture, flags of the compiler, the marks that the stub then has, and
# what makes the linker complain of an object without them.
marks() {
	cat <<-'END'
	x86_64|-fcf-protection=full|IBT, SHSTK|-Wl,-z,cet-report=error
	x86_64|-fcf-protection=branch|IBT|
	x86_64|-fcf-protection=return|SHSTK|
	x86_64|-fcf-protection=none||
	aarch64|-mbranch-protection=standard|BTI, PAC|-Wl,-z,force-bti
	aarch64|-mbranch-protection=bti|BTI|-Wl,-z,force-bti
	aarch64|-mbranch-protection=pac-ret|PAC|
	aarch64|-mbranch-protection=none||
	END
}

# How a disassembler writes SS_LANDING_PAD.
landing_pad() {
	case $1 in
	x86_64) echo endbr64 ;;
	aarch64) echo 'bti[[:space:]]*c|hint[[:space:]]*#(34|0x22)' ;;
	esac
}

srcdir=${srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

# ---- tools ------------------------------------------------------------------

# A variable of the Makefile.
setting() {
	sed -n "s/^$1 = //p" Makefile
}

# tool VALUE NAME: libtool and configure write false and ":" for none.
tool() {
	case ${1:-none} in
	none | : | false) echo "$2" ;;
	*) echo "$1" ;;
	esac
}

is_elf() {
	[ -f "$1" ] && $READELF -h "$1" >/dev/null 2>&1
}

# A tool and its flags, as those of CC below, are several words in one variable.
# shellcheck disable=SC2086
compile() {
	$CC ${CPPFLAGS-} ${CFLAGS-} -I"$srcdir/include" -I"$srcdir/lib" \
		-I"$srcdir/lib/arch/$ss_arch" "$@"
}

takes() {
	echo 'int safe;' >"$tmp/empty.c"
	compile "$@" -c -o "$tmp/empty.o" "$tmp/empty.c" >/dev/null 2>&1
}

# Words of the table of bounds: the first of them signed, all in decimal.
words() {
	case $($READELF -h "$1" | sed -n 's/^ *Data: *//p') in
	*little*) order='\4\3\2\1' ;;
	*) order='\1\2\3\4' ;;
	esac
	$OBJDUMP -s -j .rodata --start-address="$2" --stop-address=$(($2 + 28)) "$1" |
		sed -n 's/^ [0-9a-f]\{1,\} \([0-9a-f ]*\)  .*/\1/p' | tr -s ' ' '\n' |
		sed "s/\(..\)\(..\)\(..\)\(..\)/0x$order/"
}

# A program linked with the shared library, or a script of libtool's, does not.
holds_stub() {
	$NM "$1" 2>/dev/null | grep -q ' ss_bounds$'
}

# locate FILE: sets entry, end and bounds from the library's own table.  The
# symbol will not do: on ppc64 ELFv1 it is that of a descriptor.
locate() {
	bounds=$($NM -t d "$1" | awk '$3 == "ss_bounds" { print $1 + 0 }')
	if [ -z "$bounds" ]; then
		echo "no symbol ss_bounds in $1"
		return 1
	fi
	# Seven words.
	# shellcheck disable=SC2046
	set -- $(words "$1" "$bounds")
	if [ $# -ne 7 ]; then
		echo "ss_bounds can't be read"
		return 1
	fi
	entry=$((bounds + $1 - ($1 >> 31 << 32)))
	end=$((entry + $7))
}

# ---- objects ----------------------------------------------------------------

has_stack_note() {
	$READELF -SW "$1" | grep -q '\.note\.GNU-stack'
}

# A compiler that marks nothing leaves it to the linker; the stub is ours.
stack_note() {
	if ! has_stack_note "$1"; then
		case $1 in
		*/stub.o) echo 'no .note.GNU-stack'; return ;;
		esac
		takes && ! has_stack_note "$tmp/empty.o" &&
			skip 'the compiler puts .note.GNU-stack into no object'
		echo 'no .note.GNU-stack'
	fi
	$READELF -SW "$1" | grep '\.note\.GNU-stack.* [A-Z]*X[A-Z]* ' || :
}

# Only glibc keeps room for the storage of libraries that are opened, and only glibc
# allocates other storage when it is used first, which may be in a handler.
is_glibc() {
	echo '#include <features.h>' | $CC -E -dM -x c - 2>/dev/null | grep -q __GLIBC__
}

object_tls() {
	is_glibc || skip 'not glibc'
	$READELF -rW "$1" | awk '
	/^Relocation section/ { debug = /debug/ }
	!debug && /TLS_*(GD|LD|DESC)|__tls_get/'
}

# riscv64's and loongarch64's assemblers leave even the branches inside a function to the linker.
no_code_relocations() {
	$READELF -rW "$1" | sed -n "/'\.rela*\.text'/,/^\$/p" |
		grep ' R_' | grep -vE ' R_(RISCV_BRANCH|LARCH_B21) .*\.L| R_LARCH_ALIGN ' || :
}

# ---- linked -----------------------------------------------------------------

stack_not_executable() {
	flags=$($READELF -lW "$1" | sed -n 's/^ *GNU_STACK.* \([RWE]\{1,3\}\) .*/\1/p')
	case $flags in
	'') echo 'no GNU_STACK' ;;
	*E*)
		takes && compile -shared -o "$tmp/empty.so" "$tmp/empty.o" &&
			$READELF -lW "$tmp/empty.so" | grep -q 'GNU_STACK.* RWE ' &&
			skip 'the toolchain gives an empty library an executable stack too'
		echo "GNU_STACK is $flags"
		;;
	esac
}

no_text_relocations() {
	$READELF -dW "$1" | grep TEXTREL
	limits=$($READELF -SW "$1" |
		sed -n 's/^.* \.text *PROGBITS *\([0-9a-f]*\) [0-9a-f]* \([0-9a-f]*\) .*/\1 \2/p')
	low=$((0x${limits% *}))
	high=$((low + 0x${limits#* }))
	$READELF -rW "$1" | sed -n 's/^\([0-9a-f]\{8,\}\) .*/\1/p' |
		while read -r offset; do
			[ $((0x$offset)) -lt "$low" ] || [ $((0x$offset)) -ge "$high" ] ||
				echo "relocation at $offset, in .text"
		done
}

# symbols OPTION FILE: without what ppc64le puts between two columns.
symbols() {
	$READELF -W "$1" "$2" | sed 's/ \[[^]]*\]//'
}

exported() {
	symbols --dyn-syms "$1" |
		awk '$5 ~ /GLOBAL|WEAK/ && $7 != "UND" && $7 != "ABS" { print $NF }' | sort
}

mapped() {
	awk '
	/\{/ { node = $1 }
	/local:/ { node = "" }
	/^}/ { next }
	{
		for (i = 1; i <= NF; i++)
			if (node != "" && sub(/;$/, "", $i))
				print $i "@@" node
	}' "$srcdir/lib/libsafe_syscall.map" | sort
}

declared() {
	compile -E -P "$srcdir/include/safe_syscall.h" |
		grep -oE 'safe_syscall[a-z0-9_]* *\(' | tr -d ' (' | sort -u
}

map_is_exported() {
	exported "$1" >"$tmp/library"
	mapped >"$tmp/map"
	[ -s "$tmp/library" ] || echo 'nothing exported'
	same library map
}

header_is_mapped() {
	declared >"$tmp/header"
	mapped | sed 's/@.*//' | sort -u >"$tmp/map"
	[ -s "$tmp/header" ] || echo 'nothing declared'
	same header map
}

# Not even the names that the section of the stub has of its own: a sample of
# a profiler belongs to the nearest symbol below it.
only_itself_in_stub() {
	locate "$1" || return
	$NM -t d "$1" | awk -v entry="$entry" -v end="$end" '
	NF == 3 && $2 !~ /[aAN]/ && $1 + 0 >= entry && $1 + 0 < end &&
		$3 !~ /^safe_syscall_raw(@|$)/ { print $3 " is inside the stub" }'
}

table_is_private() {
	locate "$1" || return
	symbols --dyn-syms "$1" | grep ss_bounds || :
	symbols -s "$1" | awk '
	$NF == "ss_bounds" && ($3 != 28 || $4 != "OBJECT" || $5 != "LOCAL")'
}

function_covers_code() {
	locate "$1" || return
	symbols -s "$1" | awk -v size=$((end - entry)) '
	$NF ~ /^safe_syscall_raw(@|$)/ {
		seen = 1
		if ($4 != "FUNC" || $3 != size)
			print $4 " of " $3 " bytes, not FUNC of " size
	}
	END { if (!seen) print "no symbol safe_syscall_raw" }'
}

# One description, of all the function and of nothing else.
frames_cover_code() {
	locate "$1" || return
	$READELF --debug-dump=frames "$1" 2>/dev/null |
		sed -n 's/.* FDE .*pc=\([0-9a-f]*\)\.\.\([0-9a-f]*\).*/0x\1 0x\2/p' |
		while read -r from to; do
			if [ $((from)) -lt "$end" ] && [ $((to)) -gt "$entry" ]; then
				echo $((from)) $((to))
			fi
		done >"$tmp/frames"
	echo "$entry $end" >"$tmp/code"
	same frames code
}

static_tls() {
	is_glibc || skip 'not glibc'
	$READELF -rW "$1" | grep -qE 'TPREL|TPOFF' || echo 'not the initial-exec model'
	$READELF -rW "$1" | grep -E 'TLSDESC|DTPMOD|__tls_get' || :
	$NM -D "$1" | grep __tls_get || :
}

undefined() {
	symbols --dyn-syms "$1" |
		awk '$7 == "UND" && NF > 7 { sub(/@.*/, "", $8); print $8 }' | sort -u
}

only_expected_undefined() {
	expected_undefined >"$tmp/expected"
	is_glibc || echo __tls_get_addr >>"$tmp/expected"
	# libgcc's, for the unwind information of any object, and of its division by 0
	[ "$ss_arch" != arm ] || printf '%s\n' '__aeabi_unwind_cpp_pr?' raise >>"$tmp/expected"
	undefined "$1" | while read -r symbol; do
		while read -r pattern; do
			# shellcheck disable=SC2254 # a pattern
			case $symbol in
			$pattern) continue 2 ;;
			esac
		done <"$tmp/expected"
		echo "$symbol"
	done
}

# Of arm's libgcc see above.
only_expected_libraries() {
	[ "$ss_arch" != arm ] || expected_libraries="$expected_libraries|^libgcc_s\."
	$READELF -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -vE "$expected_libraries"
	$READELF -dW "$1" | grep -E '\((RPATH|RUNPATH)\)' || :
}

begins_with_landing_pad() {
	pad=$(landing_pad "$ss_arch")
	if ! grep -q 'define SS_LANDING_PAD' "$srcdir/lib/arch/$ss_arch/arch.h"; then
		[ -z "$pad" ] || echo 'arch.h has none'
		skip "$ss_arch has no landing pads"
	fi
	locate "$1" || return
	$OBJDUMP -d --no-show-raw-insn --start-address="$entry" --stop-address="$end" "$1" |
		sed -n 's/^ *[0-9a-f]\{1,\}:[[:space:]]*//p' | head -n 1 >"$tmp/first"
	grep -qE "^($pad)" "$tmp/first" || echo "$(cat "$tmp/first"), not $pad"
}

# ---- marks ------------------------------------------------------------------

marks_of() {
	$READELF -nW "$1" 2>/dev/null | sed -n 's/.*[xA][^ ]* feature: *//p'
}

marked() {
	takes "$1" || skip "$CC does not take $1"
	compile "$1" -c -o "$tmp/marked.o" "$srcdir/lib/stub.S" || return
	have=$(marks_of "$tmp/marked.o")
	[ "$have" = "$2" ] || echo "marked '$have', not '$2'"
}

# The linker says so of an option it does not know, or says nothing and takes it
# for another architecture's.
linker_takes() {
	takes &&
		! compile -shared -nostdlib "$1" -o "$tmp/empty.so" "$tmp/empty.o" 2>&1 |
			grep -iE 'unknown|unrecogni[sz]ed|unsupported|ignored' >"$tmp/refused"
}

# The linker's opinion, which it gives only where all other objects are marked:
# there are no others.
links_marked() {
	takes "$1" || skip "$CC does not take $1"
	compile "$1" -c -o "$tmp/marked.o" "$srcdir/lib/stub.S" || return
	linker_takes "$2" || skip "the linker does not take $2"
	compile "$1" -shared -nostdlib "$2" -o "$tmp/marked.so" "$tmp/marked.o" || return
	have=$(marks_of "$tmp/marked.so")
	[ "$have" = "$3" ] || echo "marked '$have', not '$3'"
}

# ---- all of it --------------------------------------------------------------

check_object() {
	if ! is_elf "$1"; then
		check "$1" skip 'not an ELF object: compiled for link-time optimisation'
		return
	fi
	check "$1: stack note" stack_note "$1"
	check "$1: thread-local storage" object_tls "$1"
	case $1 in
	*/stub.o)
		check "$1: no relocation in the code" no_code_relocations "$1"
		check "$1: needs nothing" $NM -u "$1"
		;;
	esac
}

# Wherever the stub has come to be in the end.
check_stub_in() {
	check "$2: nothing but itself inside the stub" only_itself_in_stub "$1"
	check "$2: type and size of safe_syscall_raw" function_covers_code "$1"
	check "$2: unwind information covers the stub" frames_cover_code "$1"
	check "$2: landing pad" begins_with_landing_pad "$1"
	check "$2: stack" stack_not_executable "$1"
}

check_shared() {
	check_stub_in "$1" "$1"
	check "$1: text relocations" no_text_relocations "$1"
	check "$1: exports what the map says" map_is_exported "$1"
	check "$1: table of bounds" table_is_private "$1"
	check "$1: thread-local storage" static_tls "$1"
	check "$1: undefined names" only_expected_undefined "$1"
	check "$1: libraries" only_expected_libraries "$1"
}

# A program of our own, as there may be no other without Check.
link_program() {
	echo '#include <safe_syscall.h>
		int main(void) { return safe_syscall_version() == 0 ||
			safe_syscall_self() == 0 || safe_syscall_classify(0); }' >"$tmp/main.c"
	compile -o "$tmp/program" "$tmp/main.c" "$archive"
}

# The archive's objects in a plugin, whose names are its own: it has a handler installed and
# is closed, and the signal that comes then finds it.
plugin_of_archive() {
	echo '#include <safe_syscall.h>
		int use(void) { return safe_syscall_init(0); }' >"$tmp/plugin.c"
	echo '{ global: use; local: *; };' >"$tmp/plugin.map"
	compile -fPIC -shared -o "$tmp/plugin.so" "$tmp/plugin.c" "$archive" -pthread -ldl \
		-Wl,--version-script="$tmp/plugin.map" >"$tmp/log" 2>&1 ||
		skip "its objects do not go into a plugin"
	echo '#include <dlfcn.h>
		#include <signal.h>
		int main(int argc, char **argv)
		{
			void *plugin = dlopen(argv[argc - 1], RTLD_NOW);
			int (*use)(void);

			if (!plugin || !(*(void **)&use = dlsym(plugin, "use")) || use())
				return 1;
			return dlclose(plugin) || raise(SIGURG);
		}' >"$tmp/host.c"
	compile -o "$tmp/host" "$tmp/host.c" -ldl -pthread >"$tmp/log" 2>&1 ||
		skip "no program with plugins can be linked"
	"$tmp/host" "$tmp/plugin.so"
}

check_archive() {
	check "program with $archive" link_program
	check "plugin with $archive" plugin_of_archive
	for file in "$tmp/program" tests/check_* tests/header_cxx; do
		if is_elf "$file" && holds_stub "$file"; then
			check_stub_in "$file" "${file##*/}"
		fi
	done
}

check_marks() {
	marks >"$tmp/table"
	while IFS='|' read -r arch flag bits warning <&3; do
		[ "$arch" = "$ss_arch" ] || continue
		check "marks with $flag" marked "$flag" "$bits"
		[ -z "$warning" ] ||
			check "marks with $flag, linked with $warning" links_marked "$flag" "$warning" "$bits"
	done 3<"$tmp/table"
}

ss_arch=${ss_arch:-$(setting ss_arch)}
CC=${CC:-$(setting CC)}
CPPFLAGS=${CPPFLAGS-$(setting CPPFLAGS)}
CFLAGS=${CFLAGS-$(setting CFLAGS)}
NM=$(tool "${NM:-$(setting NM)}" nm)
OBJDUMP=$(tool "${OBJDUMP:-$(setting OBJDUMP)}" objdump)
READELF=$(tool "${READELF:-$(setting READELF)}" readelf)
shared=.libs/libsafe_syscall.so
archive=.libs/libsafe_syscall.a
tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

for program in "$NM" "$OBJDUMP" "$READELF"; do
	if ! command -v "${program%% *}" >/dev/null; then
		check elf skip "no ${program%% *}"
		finish
	fi
done

for file in lib/*.o lib/.libs/*.o; do
	[ ! -e "$file" ] || check_object "$file"
done
check 'header and map' header_is_mapped
if [ -e "$shared" ]; then
	check_shared "$shared"
else
	check "$shared" skip 'configured without'
fi
if [ -e "$archive" ]; then
	check_archive
else
	check "$archive" skip 'configured without'
fi
check_marks
finish
