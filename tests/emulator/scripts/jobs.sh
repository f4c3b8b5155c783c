# SPDX-License-Identifier: MIT
# terminal
# Job control, on a terminal.  Between two lines the shell forgets the jobs that have ended, so what
# asks for the status of one stands on the line that ended it.
set -m
exec 2>/dev/null
sleep 100 &
pid=$!
jobs | sed 's/ *$//'
kill %1; wait $pid; echo "killed: $?"
sleep 0.2 &
fg >/dev/null; echo "fg: $?"
# A process that stops itself, and is continued, in the back and in the front.
sh -c 'kill -STOP $$; echo "went on" >word; exit 5'; echo "stopped: $(($? > 128))"
jobs | grep -c Stopped
bg >/dev/null; wait; cat word
rm word
sh -c 'kill -STOP $$; exit 6'; echo "stopped: $(($? > 128))"
fg >/dev/null; echo "in the foreground: $?"
# A whole pipeline is a group, and a signal for it ends all of it.
sleep 100 | sleep 100 &
kill %+; wait; echo "the pipeline is gone"
# Reading from the terminal in the background stops.
cat &
pid=$!
until jobs | grep -q Stopped; do sleep 0.1; done
echo "the reader is stopped"
kill -KILL $pid
while kill -0 $pid; do sleep 0.1; done
echo "the reader is gone"
stty -a | grep -o 'rows [0-9]*; columns [0-9]*'
stty -echo
stty -a | grep -o -e '-echo '
test -t 0 && echo "a terminal"
# The keyboard's interrupt is for the foreground.
trap 'echo "interrupted"' INT
sh -c 'kill -INT $$; exit 1'; echo "int: $?"
