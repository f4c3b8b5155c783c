# SPDX-License-Identifier: MIT
# terminal
# Job control, on a terminal.
set -m
exec 2>/dev/null
sleep 100 &
pid=$!
jobs | sed 's/ *$//'
kill %1
wait $pid
echo "killed: $?"
sleep 0.2 &
fg >/dev/null
echo "fg: $?"
# A process that stops itself, and is continued, in the back and in the front.
sh -c 'kill -STOP $$; exit 5'
echo "stopped: $(($? > 128))"
jobs | grep -c Stopped
bg >/dev/null
sleep 0.2
jobs | grep -c 'Done(5)'
sh -c 'kill -STOP $$; exit 6'
fg >/dev/null
echo "in the foreground: $?"
# A whole pipeline is a group, and a signal for it ends all of it.
sleep 100 | sleep 100 &
pid=$!
kill -TERM -$(ps -o pid,pgid,args | awk -v pid=$pid '$1 == pid { print $2 }')
wait $pid
echo "pipeline: $?"
# Reading from the terminal in the background stops.
cat &
pid=$!
sleep 0.3
jobs | grep -c Stopped
kill -KILL $pid
sleep 0.2
kill -0 $pid || echo "the reader is gone"
stty -a | grep -o 'rows [0-9]*; columns [0-9]*'
stty -echo
stty -a | grep -o -e '-echo '
test -t 0 && echo "a terminal"
# The keyboard's interrupt is for the foreground.
trap 'echo "interrupted"' INT
sh -c 'kill -INT $$; exit 1'
echo "int: $?"
