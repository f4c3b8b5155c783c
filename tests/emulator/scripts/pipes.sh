# SPDX-License-Identifier: MIT
# Pipelines, and what goes through them.
seq 1 20 | grep 1 | sort -r | head -n 3
seq 1 2000 | wc -l
yes | head -n 3
echo "status of the last one: $?"
seq 1 100000 | tail -n 1
printf 'c\na\nb\na\n' | sort | uniq -c | sed 's/^ *//'
printf 'one two\nthree four\n' | while read -r a b; do echo "$b $a"; done
echo hello | tee copy | tr a-z A-Z
cat copy
false | true
echo "false | true: $?"
true | false
echo "true | false: $?"
! true | false
echo "not: $?"
echo "a:b:c" | cut -d: -f2
seq 1 5 | xargs echo x
seq 1 3 | xargs -n 1 echo y
mkfifo fifo
(sleep 0.1; echo "through a fifo") >fifo &
cat <fifo
wait
rm fifo copy
seq 1 10 | awk '{ s += $1 } END { print s, s / 3, int(s / 3) }'
i=0
while [ $i -lt 20 ]; do
	echo $i | cat | cat | cat
	i=$((i + 1))
done | wc -l
