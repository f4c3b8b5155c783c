# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# Shared by tests/emulator/run and tests/emulator/vm: the tables, the guests and how they are built.
# The caller has sourced tests/lib.sh.

here=$tests/emulator

# guest_abi NAME: the row into cc, qemu, libc, packages.
guest_abi() {
	local row
	row=$(table "$here/abis" | grep "^$1|") || die "no ABI named $1 in tests/emulator/abis"
	IFS='|' read -r _ cc qemu libc packages <<<"$row"
	programs_for "$packages"
}

# The runs for C library $1: name, program, kernel, arguments.
runs_for() {
	table "$here/programs" | awk -F'|' -v OFS='|' -v libc="$1" '
	{ n = split($3, on, ","); for (i = 1; i <= n; i++) if (on[i] == libc) print $1, $2, $4, $5 }'
}

# Why qemu-user's word does not count for run $1 of ABI $2; nothing where it does.
wrong_because() {
	table "$here/wrong" | awk -F'|' -v name="$1" -v abi="$2" \
		'$1 == name && ($2 == "*" || $2 == abi) { print $3; exit }'
}

# fetch_packages NAME...: the files of mipsel packages of Debian's into cache/emulator, once.
fetch_packages() {
	local dir=$cache/emulator tmp name

	[ -e "$dir/root/$1" ] && return
	mkdir -p "$dir"
	say "fetching $* for mipsel"
	tmp=$(mktemp -d "$dir/XXXXXX")
	apt_world "$tmp/apt" deb mipsel bookworm
	(cd "$tmp" && apt-get -q -c apt/apt.conf download "$@" >&2)
	mkdir -p "$dir/root"
	for name in "$tmp"/*.deb; do
		dpkg-deb -x "$name" "$dir/root"
	done
	rm -r "$tmp"
	for name; do
		: >"$dir/root/$name"
	done
}

# musl's headers and objects in place of the compiler's own C library.
musl_flags() {
	local root=$cache/emulator/root/usr
	echo "-nostdinc -isystem $root/include/mipsel-linux-musl -isystem" \
		"$($cc -print-file-name=include) -idirafter /usr/mipsel-linux-gnu/include"
}

link_musl() {
	local lib=$cache/emulator/root/usr/lib/mipsel-linux-musl out=$1
	shift
	$cc -nostdlib -nostartfiles -static -o "$out" "$lib/crt1.o" "$lib/crti.o" "$@" \
		-Wl,--start-group "$lib/libc.a" -lgcc -lgcc_eh -Wl,--end-group "$lib/crtn.o"
}

warnings=(-Wall -Wextra -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes -Werror)

# build_guest ABI PROGRAM DIR: into DIR/PROGRAM, unless it is newer than what it is made of.
build_guest() {
	local source=$here/guests/$2.c out=$3/$2 flags=(-O2 -g -D_GNU_SOURCE -pthread "${warnings[@]}")

	guest_abi "$1"
	[ "$out" -nt "$source" ] && [ "$out" -nt "$here/guests/guest.h" ] &&
		[ "$out" -nt "$here/guests/race.h" ] && return
	mkdir -p "$3"
	if [ "$libc" = musl ]; then
		# shellcheck disable=SC2046 # several words
		$cc "${flags[@]}" $(musl_flags) -c -o "$out.o" "$source"
		link_musl "$out" "$out.o"
		rm "$out.o"
	else
		$cc "${flags[@]}" -static -o "$out" "$source" -lm -lrt
	fi
}

# All that the runs need, for each ABI.  Two may want to build at a time, run and vm.
build_guests() {
	local name program

	for name in $(table_names "$here/abis"); do
		guest_abi "$name"
		mkdir -p "$builddir/emulator/$name/runs"
		while read -r program; do
			build_guest "$name" "$program" "$builddir/emulator/$name" || return
		done < <({ echo exec_other; runs_for "$libc" | cut -d'|' -f2; } | sort -u)
	done
}

# What every guest finds in its environment, and nothing else; the marks end what it left behind.
guest_environment() {
	printf '%s\n' "PATH=$builddir/emulator/path" GUEST_ONE=1 GUEST_EMPTY= 'GUEST_WORDS=two words' \
		"SAFE_SYSCALL_RUN=$SAFE_SYSCALL_RUN" "SAFE_SYSCALL_PROGRAM=$SAFE_SYSCALL_RUN.$$.$BASHPID"
}

# observe WHERE [NAME=VALUE...] COMMAND...: runs it in an empty folder; WHERE.out, WHERE.err, and in
# WHERE.status "exit N" or "hung".
observe() {
	local where=$1 began=$SECONDS status=0 environment
	shift

	mapfile -t environment < <(guest_environment)
	rm -rf "$where.d"
	mkdir -p "$where.d"
	# The braces are for what this shell says about killed programs.
	{
		(
			cd "$where.d"
			ulimit -c 0
			exec timeout -s KILL "$timeout" env -i "${environment[@]}" "$@"
		) </dev/null >"$where.out" 2>"$where.err" || status=$?
	} 2>/dev/null
	kill_marked "${environment[5]}"
	echo "exit $status" >"$where.status"
	[ $((SECONDS - began)) -lt "$timeout" ] || echo hung >"$where.status"
	rm -rf "$where.d"
}

# reference ABI NAME PROGRAM ARGUMENTS WHERE: what is right, into WHERE.out and WHERE.status; and
# sets reason where that is not qemu-user's word.
reference() {
	local arguments

	guest_abi "$1"
	read -ra arguments <<<"$4"
	reason=$(wrong_because "$2" "$1")
	if [ -n "$reason" ]; then
		cp "$here/expected/$2" "$5.out"
		echo "exit 0" >"$5.status"
	else
		observe "$5" "$(command -v "$qemu")" "$builddir/emulator/$1/$3" "${arguments[@]}"
	fi
}
