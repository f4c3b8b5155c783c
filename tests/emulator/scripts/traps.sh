# SPDX-License-Identifier: MIT
# Signals as a shell uses them: trap, wait, kill, and the status of what was killed.
trap 'echo "usr1 caught"' USR1
kill -USR1 $$
echo "after usr1"
sleep 100 &
pid=$!
kill -TERM $pid
wait $pid
echo "killed by TERM: $?"
sleep 100 &
pid=$!
kill -KILL $pid
wait $pid
echo "killed by KILL: $?"
(exit 9) &
wait $!
echo "exit 9: $?"
sleep 0.1 &
sleep 0.1 &
wait
echo "all waited for: $?"

# wait comes back with the signal, and the child is still there.
me=$$
sleep 100 &
pid=$!
(sleep 0.2; kill -USR1 $me) &
wait $pid
echo "wait interrupted: $?"
kill -0 $pid && echo "still there"
kill $pid
wait $pid 2>/dev/null
echo "now gone: $?"

trap '' USR2
kill -USR2 $$
echo "usr2 ignored"
(kill -USR2 $(exec sh -c 'echo $PPID'); echo "ignored in a subshell too")
trap - USR1
(kill -USR1 $(exec sh -c 'echo $PPID'); echo "not reached")
echo "default again: $?"

# A handler runs when the command in the foreground is done.
trap 'echo "alarm"' ALRM
(sleep 0.1; kill -ALRM $me) &
sleep 0.4
echo "slept through"
wait

for i in 1 2 3 4 5 6 7 8 9 10; do
	sleep 0.01 &
done
wait
echo "ten children"
sh -c 'kill -SEGV $$'
echo "segv: $?"
sh -c 'kill -STOP $$; echo "went on"' &
sleep 0.2
kill -CONT $!
wait $!
echo "stopped and continued: $?"
trap 'echo "bye"' EXIT
exit 4
