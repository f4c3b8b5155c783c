# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# tally.sh - what the test scripts have in common: counting, and the last line

passed=0
failed=0
skipped=0

# check NAME COMMAND...: passes where the command succeeds and has nothing to
# say; what it says is what is wrong or, with status 77, why it can't be told.
check() {
	what=$1
	shift
	why=$("$@" 2>&1)
	case $?:$why in
	0:)
		echo "PASS $what"
		passed=$((passed + 1))
		;;
	77:*)
		echo "SKIP $what: $why"
		skipped=$((skipped + 1))
		;;
	*)
		echo "FAIL $what: $why"
		failed=$((failed + 1))
		false
		;;
	esac
}

# In a command that check runs.
skip() {
	echo "$*"
	exit 77
}

finish() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] || exit 1
	[ "$passed" -gt 0 ] || exit 77
	exit 0
}
