# SPDX-License-Identifier: MIT
# terminal
# Job control, on a terminal.
set -m
sleep 100 &
jobs | sed 's/ *$//'
kill %1
wait %1
echo "killed: $?"
sleep 0.2 &
fg %1 >/dev/null
echo "fg: $?"
# A process that stops itself, and is continued, in the back and in the front.
sh -c 'kill -STOP $$; exit 5'
echo "stopped: $?"
jobs | sed 's/ *$//' | sed 's/{.*}//; s/sh -c.*//; s/ *$//'
bg %1 >/dev/null
wait %1
echo "in the background: $?"
sh -c 'kill -STOP $$; exit 6'
fg %1 >/dev/null
echo "in the foreground: $?"
# A whole pipeline is a group, and a signal for it ends all of it.
sleep 100 | sleep 100 &
kill %1
wait %1
echo "pipeline: $?"
# Reading from the terminal in the background stops.
cat &
sleep 0.3
jobs | grep -c Stopped
kill -KILL %1
wait %1
echo "reader: $?"
stty -a | grep -o 'rows [0-9]*; columns [0-9]*'
stty -echo
stty -a | grep -o -e '-echo '
test -t 0 && echo "a terminal"
