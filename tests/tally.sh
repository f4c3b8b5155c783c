# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154
#
# tally.sh - what the scripts of this folder have in common.  They print TAP, as the programs
# do, and below it a line for people.  Those that keep files use $tmp, a folder of their own.

passed=0
failed=0
skipped=0

# judge NAME [WHY]: passes where WHY, which is what was found wrong, is empty.
judge() {
	if [ -z "${2-}" ]; then
		passed=$((passed + 1))
		echo "ok $((passed + failed + skipped)) - $1"
	else
		failed=$((failed + 1))
		printf '%s\n' "not ok $((passed + failed + skipped)) - $1: $2" | sed '2,$s/^/# /'
		false
	fi
}

pass_over() {
	skipped=$((skipped + 1))
	printf '%s\n' "ok $((passed + failed + skipped)) - $1 # SKIP $2" | sed '2,$s/^/# /'
}

# check NAME COMMAND...: passes where the command succeeds and has nothing to
# say; what it says is what is wrong or, with status 77, why it can't be told.
check() {
	what=$1
	shift
	why=$("$@" 2>&1)
	case $?:$why in
	77:*) pass_over "$what" "$why" ;;
	0:*) judge "$what" "$why" ;;
	*) judge "$what" "${why:-failed}" ;;
	esac
}

# In a command that check runs.
skip() {
	echo "$*"
	exit 77
}

needs() {
	for command; do
		command -v "$command" >/dev/null || skip "no $command"
	done
}

# quietly COMMAND...: the end of its output where it fails.
quietly() {
	"$@" >"$tmp/log" 2>&1 </dev/null || {
		grep -v '^$' "$tmp/log" | tail -n "${lines:-30}"
		return 1
	}
}

# same LEFT RIGHT: the two lists, files in $tmp, are equal, or what is in one only.
same() {
	diff "$tmp/$1" "$tmp/$2" | sed -n "s/^< /only in $1: /p; s/^> /only in $2: /p"
}

# pages FOLDER [.gz]: where the manual pages of $srcdir are when they are installed there.
# Those in section 1, of the examples, are not.
pages() {
	for page in "$srcdir"/man/*.[37]; do
		echo "$1/man${page##*.}/${page##*/}${2-}"
	done
}

# readme_program N FILE: the Nth of README's programs, which are indented and begin with an
# #include.
readme_program() {
	awk -v n="$1" '
	!inside && /^    #include/ { inside = 1; k++ }
	inside && /^[^ \t]/ { inside = 0 }
	inside && k == n { sub(/^    /, ""); print }' "$2"
}

finish() {
	echo "1..$((passed + failed + skipped))"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] || exit 1
	[ "$passed" -gt 0 ] || exit 77
	exit 0
}
