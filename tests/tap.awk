# SPDX-License-Identifier: MIT
#
# tap.awk - one test program's output, as TAP: Check's own TAP knows no skipped tests, and
# programs without Check say by their status alone how they fared.  The last line is
# "@@ status N", or -v status="exit N" or "signal N" tells it.  -v tally=1: nothing but the
# three numbers, "passed failed skipped".

function say(line)
{
	if (!tally)
		print line
}

function point(ok, text)
{
	n++
	if (!ok)
		failed++
	else if (text ~ / # SKIP/)
		skipped++
	else
		passed++
	say((ok ? "ok " : "not ok ") n " - " text)
}

{ sub(/\r$/, "") }

# A test that says so goes on to pass, as far as Check is concerned.
/^SKIP [^ ]+: / {
	test = $2
	sub(/:$/, "", test)
	reason = $0
	sub(/^SKIP [^ ]+: /, "", reason)
}
/^ok [0-9]+ - / {
	sub(/^ok [0-9]+ - /, "")
	if (reason != "" && index($0, ":" test ": Passed"))
		$0 = $0 " # SKIP " reason
	reason = ""
	point(1, $0)
	next
}
/^not ok [0-9]+ - / {
	sub(/^not ok [0-9]+ - /, "")
	point(0, $0)
	next
}
/^1\.\.[0-9]+$/ { next }
/^@@ status / { status = "exit " $3; next }
{ say($0) }

END {
	if (!n && status == "exit 0")
		point(1, name)
	else if (!n && status == "exit 77")
		point(1, name " # SKIP " (reason ? reason : "as it says"))
	else if (status !~ /^exit (0|77)$/ && !failed)
		point(0, name ": " status)
	say("1.." n)
	if (tally)
		print passed + 0, failed + 0, skipped + 0
}
