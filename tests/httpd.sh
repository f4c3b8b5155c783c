#!/bin/sh
# SPDX-License-Identifier: MIT
#
# httpd.sh - the web server of the green threads, as the clients that people use see it: curl
# asks for what tests/check_httpd asks by hand, and wrk for much at a time.  Runs in the build
# directory.

# Functions are called by name, through check:
# shellcheck disable=SC2317

set -u
LC_ALL=C
export LC_ALL
srcdir=${srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
# shellcheck source=tests/tally.sh
. "$srcdir/tests/tally.sh"

tmp=$(mktemp -d "${TMPDIR:-/tmp}/safe_syscall.XXXXXX") || exit 1
server=
trap 'kill $server 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

make_files() {
	mkdir -p "$tmp/www/sub"
	echo hello >"$tmp/www/index.html"
	echo below >"$tmp/www/sub/index.html"
	: >"$tmp/www/empty"
	echo secret >"$tmp/secret"
	ln -s ../secret "$tmp/www/out"
	dd if=/dev/urandom of="$tmp/www/big" bs=65536 count=160 2>/dev/null
}

# A port that is taken is not the server's fault; another one may be free.
start() {
	needs curl
	[ -x examples/green/green-httpd ] || skip 'no green-httpd'
	for try in 1 2 3 4 5; do
		port=$(awk -v seed="$$$try" 'BEGIN { srand(seed); print 20000 + int(rand() * 10000) }')
		examples/green/green-httpd -p "$port" -k 5 "$tmp/www" </dev/null >"$tmp/said" 2>&1 &
		echo "$! $port" >"$tmp/server"
		wanted=$!
		while kill -0 "$wanted" 2>/dev/null; do
			! ask / >/dev/null 2>&1 || return 0
			sleep 0.1
		done
	done
	cat "$tmp/said"
	return 1
}

# ask PATH [OPTION...]
ask() {
	path=$1
	shift
	curl -sS --noproxy '*' --max-time 30 "$@" "http://127.0.0.1:$port$path"
}

# says PATH STATUS [OPTION...]
says() {
	path=$1
	wanted=$2
	shift 2
	status=$(ask "$path" -o "$tmp/body" -w '%{http_code}' "$@")
	[ "$status" = "$wanted" ] || echo "$path: status $status, not $wanted"
}

files() {
	[ "$(ask /)" = hello ] || echo '/'
	[ "$(ask /sub/)" = below ] || echo '/sub/'
	[ -z "$(ask /empty)" ] || echo '/empty'
	ask /big -o "$tmp/body" && cmp "$tmp/body" "$tmp/www/big"
	says /none 404
	says / 405 -X POST -d x
}

directories() {
	says /sub 301
	says /sub 200 -L
	[ "$(cat "$tmp/body")" = below ] || echo 'the redirection leads elsewhere'
}

heads() {
	ask /big -I >"$tmp/head"
	grep -qi '^content-length: 10485760' "$tmp/head" || cat "$tmp/head"
}

ranges() {
	says /big 206 -r 1000000-1999999
	dd if="$tmp/www/big" bs=1000000 skip=1 count=1 2>/dev/null | cmp - "$tmp/body"
	says /big 206 -r -7
	tail -c 7 "$tmp/www/big" | cmp - "$tmp/body"
	says /big 416 -r 99999999-
}

# As after a download that broke off.
resumed() {
	head -c 4000000 "$tmp/www/big" >"$tmp/body"
	ask /big -C - -o "$tmp/body" && cmp "$tmp/body" "$tmp/www/big"
}

# curl says that it takes the connection of the request before.
kept() {
	many=$(ask / -o /dev/null -w '%{num_connects}\n' "http://127.0.0.1:$port/sub/" -o /dev/null \
		"http://127.0.0.1:$port/none" -o /dev/null | tr '\n' ' ')
	[ "$many" = '1 0 0 ' ] || echo "new connections: $many"
}

slow() {
	ask /big --limit-rate 20M -o "$tmp/body" && cmp "$tmp/body" "$tmp/www/big"
}

no_way_out() {
	for path in /../secret /sub/../../secret /%2e%2e/secret /out //../secret; do
		status=$(ask "$path" --path-as-is -o "$tmp/body" -w '%{http_code}')
		case $status in
		40[034]) ;;
		*) echo "$path: status $status" ;;
		esac
		! grep -q secret "$tmp/body" || echo "$path leads out"
	done
}

# What it says about errors is said only where there are some.
many_at_a_time() {
	needs wrk
	for path in / /big; do
		wrk -t2 -c64 -d2 "http://127.0.0.1:$port$path" >"$tmp/log" 2>&1 || cat "$tmp/log"
		grep -E 'Socket errors|Non-2xx' "$tmp/log"
		grep -Eq '[1-9][0-9]* requests in' "$tmp/log" || cat "$tmp/log"
	done
}

# Those under way get all of their replies, and then it is over.
ends() {
	ask /big --limit-rate 10M -o "$tmp/body" &
	client=$!
	sleep 0.3
	kill -TERM "$server"
	wait "$client" || echo "curl: $?"
	cmp "$tmp/body" "$tmp/www/big"
	i=0
	while kill -0 "$server" 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt 100 ] || {
			echo 'it is still there'
			return
		}
		sleep 0.1
	done
}

make_files
check 'starts' start
if [ "$passed" -eq 1 ]; then
	read -r server port <"$tmp/server"
	check 'files' files
	check 'directories' directories
	check 'HEAD' heads
	check 'ranges' ranges
	check 'a download goes on' resumed
	check 'connections are kept' kept
	check 'a slow reader' slow
	check 'no way out' no_way_out
	check 'wrk' many_at_a_time
	check 'the reply under way is finished' ends
fi
finish
