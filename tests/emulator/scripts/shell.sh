# SPDX-License-Identifier: MIT
# The language itself: subshells, here documents, functions, redirections.
x=outer
(x=inner; echo "$x"; (x=deeper; echo "$x"); echo "$x")
echo "$x"
y=$(echo "$(echo "$(echo nested)")" | tr n N)
echo "$y"
cat <<END
here: $x, $((3 * 7)), $(echo command)
END
cat <<'END'
quoted: $x
END
cat <<-END
	indented
END
fact() {
	if [ "$1" -le 1 ]; then
		echo 1
	else
		echo $(($1 * $(fact $(($1 - 1)))))
	fi
}
fact 10
fib() {
	local a=0 b=1 i=0 t
	while [ $i -lt "$1" ]; do
		t=$((a + b)) a=$b b=$t i=$((i + 1))
	done
	echo "$a"
}
fib 40
exec 3>out
echo "to three" >&3
exec 3>&-
cat out
{ echo to stdout; echo to stderr >&2; } 2>&1 | sort
ls /nothing/here 2>/dev/null
echo "ls: $?"
nothing_like_it 2>/dev/null
echo "no command: $?"
./out 2>/dev/null
echo "no program: $?"
rm out
case "file.tar.gz" in
*.zip) echo zip ;;
*.tar.*) echo tar ;;
esac
set -- a "b c" d
echo $# "$2"
shift
for arg; do echo "<$arg>"; done
while getopts ab: option -a -b value rest; do
	echo "$option ${OPTARG:-}"
done
s=filename.tar.gz
echo "${s%.gz} ${s%%.*} ${s#*.} ${#s} ${nothing:-default} ${s:0:4} ${s/name/NAME}"
echo $((1 << 20)) $((0x7fffffff + 1)) $((-7 / 2)) $((7 % 3)) $((5 > 3 && 2 > 1)) $((10#010))
i=0
until [ $i -ge 500 ]; do i=$((i + 1)); done
echo $i
eval 'echo "eval $i"'
printf '%05d %x %s %.2f\n' 42 255 text 3.14159
set -e
(false; echo "not reached") || echo "left"
if false; then echo no; elif true; then echo yes; fi
test -t 0 || echo "no terminal"
set -u
(echo "$undefined") 2>/dev/null || echo "undefined: $?"
exec sh -c 'echo "the last word: $0 $1"; exit 12' zero one
