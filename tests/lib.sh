# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
#
# lib.sh - for the suites that build for other ABIs: cross, vm, mutants, emulator.  The tables,
# the cache, packages, and the tally.  The caller has set -euo pipefail.

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
srcdir=$(dirname "$tests")
builddir=$PWD
cache=${SAFE_SYSCALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/safe_syscall}
case $cache in
/*) ;;
*) cache=$PWD/$cache ;;
esac
install=no
own_release=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}") || true
own_path=$PATH

# A make that called this script must not lend its job server or variables to the builds.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
export LC_ALL=C

# Everything started here carries this mark, so that a signal can end all of it: Check gives each
# test a process group of its own, so no group holds all that a program started.
SAFE_SYSCALL_RUN=$$.$(date +%s%N)
export SAFE_SYSCALL_RUN
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

# kill_marked NAME=VALUE: ends the processes that have it in their environment.
kill_marked() {
	local environ pid
	while read -r environ; do
		pid=${environ#/proc/}
		kill -KILL "${pid%/environ}" 2>/dev/null || true
	done < <(grep -lsz "^$1\$" /proc/[0-9]*/environ)
}

stop() {
	local pid
	trap '' HUP INT TERM
	for pid in $(jobs -p); do
		kill -TERM "$pid" 2>/dev/null || true
	done
	kill_marked "SAFE_SYSCALL_RUN=$SAFE_SYSCALL_RUN"
	exit "$1"
}

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "${0##*/}: $*"
	exit 2
}

# table FILE...: their rows, "|" between the columns and no blanks around them.
table() {
	sed -e '/^[[:space:]]*\(#.*\)\?$/d' -e 's/[[:space:]]*|[[:space:]]*/|/g' \
		-e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' "$@"
}

table_names() {
	table "$1" | cut -d'|' -f1
}

abi_names() {
	table_names "$tests/cross/abis"
}

# programs_for PACKAGES: of the release that they are of comes first what need_release() has got.
programs_for() {
	local others=${1##*@}

	PATH=$own_path
	[ "$others" = "$1" ] || PATH=$cache/releases/${others%%,*}/bin:$PATH
}

# abi NAME: the row into host, cc, emulator, packages, kind, vms.
abi() {
	local row
	row=$(table "$tests/cross/abis" | grep "^$1|") || die "no ABI named $1 in tests/cross/abis"
	IFS='|' read -r _ host cc emulator packages kind vms <<<"$row"
	programs_for "$packages"
}

# binutil NAME: the one for the ABI of the last row.
binutil() {
	if [ "$host" = - ]; then
		echo "$1"
	else
		echo "$host-$1"
	fi
}

# machine NAME: the row into arch, release, kernel, smp, packages, command, append.
machine() {
	local row
	row=$(table "$tests/vm/machines" "$tests/vm/machines-be" | grep "^$1|") ||
		die "no machine named $1 in tests/vm/machines and machines-be"
	IFS='|' read -r _ arch release kernel smp packages command append <<<"$row"
	programs_for "$packages"
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo ${CI:+-n} "$@"	# there nobody answers
	fi
}

# missing_packages NAME...: those that are not installed.
missing_packages() {
	local name

	for name in $(printf '%s\n' "$@" | tr , '\n' | sort -u); do
		[ "$name" = - ] && continue
		case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
		installed) ;;
		*) echo "$name" ;;
		esac
	done
}

# need_release RELEASE NAME...: packages that this machine's release does not have, or too old, and
# all that they depend on, unpacked in the cache.  Their programs see that for /usr, and all else as
# it is.
need_release() {
	local dir=$cache/releases/$1 release=$1 deb file
	shift

	mkdir -p "$dir/bin"
	touch "$dir/packages"
	printf '%s\n' "$@" | grep -qvxFf "$dir/packages" || return 0
	[ "$install" = yes ] || {
		say "$*: of $release, to be got with --install."
		exit 77
	}
	exec 8>"$dir/lock"
	flock 8
	apt_world "$dir/apt" deb "$(dpkg --print-architecture)" "$release"
	apt-get -q -c "$dir/apt/apt.conf" -y --no-install-recommends --download-only \
		install "$@" >&2
	for deb in "$dir"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$deb" "$dir/root"
	done
	cat >"$dir/program.new" <<-EOF
	#!/bin/sh
	user=
	[ "\$(id -u)" -eq 0 ] || user=--map-root-user
	exec unshare --mount \$user sh -c 'mount --bind "\$0" /usr && exec "\$@"' \
		'$dir/root/usr' "/usr/bin/\${0##*/}" "\$@"
	EOF
	chmod +x "$dir/program.new"
	mv "$dir/program.new" "$dir/program"
	for file in "$dir"/root/usr/bin/{qemu-*,*-linux-gnu*}; do
		ln -sf ../program "$dir/bin/${file##*/}"
	done
	printf '%s\n' "$@" >>"$dir/packages"
	rm -r "$dir/apt"
	flock -u 8
}

# need_packages NAME...: installs what is missing, or says how and leaves with 77.  An update
# that fails for one source of many need not stop the rest.  NAME@RELEASE is need_release()'s,
# where this machine is of another one.
need_packages() {
	local names missing others release

	mapfile -t names < <(printf '%s\n' "$@" | tr , '\n' | sed "s/@$own_release\$//" | sort -u)
	for release in $(printf '%s\n' "${names[@]}" | sed -n 's/.*@//p' | sort -u); do
		mapfile -t others < <(printf '%s\n' "${names[@]}" | sed -n "s/@$release\$//p")
		need_release "$release" "${others[@]}"
	done
	mapfile -t names < <(printf '%s\n' "${names[@]}" | grep -v @)
	mapfile -t missing < <(missing_packages "${names[@]}")
	[ ${#missing[@]} -eq 0 ] && return

	if [ "$install" = no ]; then
		say "Packages are missing.  Call with --install, or run:"
		say "    apt-get install --no-install-recommends ${missing[*]}"
		exit 77
	fi
	as_root apt-get -q update >&2 || true
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qy install --no-install-recommends "${missing[@]}" >&2
}

# The machine's own Debian mirror: "URI [keyring]".  What it calls its release does not matter,
# the mirror has the others too.
debian_mirror() {
	local uri entry signed=

	# shellcheck disable=SC2016 # apt-get expands these
	read -r uri entry < <(apt-get indextargets --format \
		'$(REPO_URI) $(SOURCESENTRY) $(RELEASE) $(COMPONENT) $(ORIGIN) $(LABEL)' \
		'Created-By: Packages' | awk -v codename="$own_release" '
		$4 != "main" || ($5 == "Debian" && $6 != "Debian") { next }
		$5 == "Debian" && !known { known = $1 " " $2 }
		$5 != "Debian" && $3 == codename && !guess { guess = $1 " " $2 }
		END { print (known ? known : guess) }') || true
	# Before the first apt-get update there are no targets, but their addresses.
	if [ -z "$uri" ]; then
		uri=$(apt-get --print-uris update |
			sed -n "s,^'\(.*\)/dists/$own_release/InRelease'.*,\1,p" | head -n 1)
	fi
	[ -n "$uri" ] || die "no Debian main archive among apt's sources"

	# indextargets does not tell the keyring: it is in the line or stanza that it names.
	case $entry in
	*.sources:*)
		signed=$(awk -v n="${entry##*:}" -v RS= 'NR == n' "${entry%:*}" |
			sed -n 's/^Signed-By:[[:space:]]*\(\/[^[:space:]]*\).*/\1/Ip')
		;;
	*:*)
		signed=$(sed -n "${entry##*:}s/.*signed-by=\([^] ]*\).*/\1/p" "${entry%:*}")
		;;
	esac
	echo "$uri $signed"
}

# apt_world DIR TYPE ARCH RELEASE: an apt in DIR with one suite and one architecture, apart from
# the machine's: pins, installed packages and other suites must not decide which version it finds.
apt_world() {
	local dir=$1 type=$2 arch=$3 release=$4 uri keyring target

	read -r uri keyring < <(debian_mirror)
	[ -n "$uri" ] || exit 2
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	target=Packages
	[ "$type" = deb-src ] && target=Sources
	echo "$type [arch=$arch target=$target${keyring:+ signed-by=$keyring}] $uri $release main" \
		>"$dir/sources.list"
	cat >"$dir/apt.conf" <<-EOF
	#clear APT::Architectures;
	#clear APT::Update;
	APT::Architecture "$arch";
	APT::Architectures { "$arch"; };
	APT::Sandbox::User "$(id -un)";
	Dir::State "$dir";
	Dir::State::Lists "$dir/lists";
	Dir::State::status "$dir/status";
	Dir::Cache "$dir/cache";
	Dir::Etc::SourceList "$dir/sources.list";
	Dir::Etc::SourceParts "/dev/null";
	Dir::Etc::Preferences "/dev/null";
	Dir::Etc::PreferencesParts "/dev/null";
	EOF
	apt-get -q -c "$dir/apt.conf" update >&2
}

# in_parallel N FUNCTION ITEM...: at most N at a time; 1 when any of them failed.  Not to be called
# left of || or in a condition: set -e would not work in FUNCTION.
in_parallel() {
	local most=$1 function=$2 item running=0 status=0
	shift 2

	for item; do
		if [ "$running" -ge "$most" ]; then
			wait -n || status=1
			running=$((running - 1))
		fi
		(set -e; "$function" "$item") &
		running=$((running + 1))
	done
	while [ "$running" -gt 0 ]; do
		wait -n || status=1
		running=$((running - 1))
	done
	return "$status"
}

# programs DIR: the names of those built there.
programs() {
	local file
	for file in "$1"/*; do
		if [ -f "$file" ] && [ -x "$file" ] &&
			[ "$(head -c 4 "$file" | tr -d '\0')" = $'\x7fELF' ]; then
			basename "$file"
		fi
	done
}

# boot_machine NAME DIR [NAME=VALUE...]: boots it with DIR/initramfs; what it says is in
# DIR/console.  $limit seconds are for the machine, and $timeout for each program; $processors,
# instead of the table's.  A kernel that panics restarts at once, which ends QEMU.  The braces
# are for what this shell says about a killed one.
boot_machine() {
	local name=$1 dir=$2
	shift 2

	machine "$name"
	{
		# shellcheck disable=SC2086 # a program and its options
		timeout -s KILL "$limit" $command -smp "${processors:-$smp}" \
			-kernel "$cache/kernels/$name/vmlinux" -initrd "$dir/initramfs" \
			-append "$append quiet panic=-1 INIT_TIMEOUT=$timeout $*" \
			-nodefaults -display none -nic none -no-reboot -serial stdio \
			</dev/null 2>&1 | stdbuf -oL tr -d '\r' >"$dir/console" || true
	} 2>/dev/null
}

# output_of CONSOLE ABI PROGRAM: what it printed; init put an empty line behind that.
output_of() {
	awk -v first="@@ start $2 $3" -v last="@@ end $2 $3 " '
	$0 == first { on = 1; next }
	on && index($0, last) == 1 { exit }
	on && held { print line }
	on { held = 1; line = $0 }' "$1"
}

# checks_of STATUS <output: "passed failed skipped" of one program.  STATUS is "exit N" or
# "signal N".
checks_of() {
	awk -v status="$1" -v tally=1 -f "$tests/tap.awk"
}

# conclude: the plain last line, from the "... passed failed skipped" rows of standard input.
conclude() {
	awk '
	{ passed += $(NF - 2); failed += $(NF - 1); skipped += $NF }
	END {
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit failed || !passed
	}'
}
