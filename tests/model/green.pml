/* SPDX-License-Identifier: MIT */
/*
 * green.pml - the hand-overs of examples/green/green.c: ready tasks to threads that have nothing
 * to do; and, with PARK, a task that waits to those who claim it.  A step is one access to
 * memory that others see.
 */

#ifndef WORKERS
# define WORKERS 2
#endif
#ifndef HANDLERS
# define HANDLERS 2	/* tasks that handlers and calls queue */
#endif
#ifndef CHILDREN
# define CHILDREN 2	/* tasks that tasks queue */
#endif

/* never true: what spin prints.  G1: a wake-up is lost; G2: a task runs twice */
hidden byte G1, G2;

#ifndef PARK

#define NOBODY 0
#define WAITS 1

byte queue[WORKERS], injected, searching, sleeping, posted, polling, notified;
byte left = CHILDREN;

inline wake(n)
{
	if
#ifndef BREAK_SEARCHING
	:: searching > 0 -> skip
	:: searching == 0 ->
#else
	:: true ->
#endif
		n = sleeping;
		do
		:: n == 0 -> break
		:: n > 0 ->
			atomic {
				if
				:: sleeping == n -> sleeping--; break
				:: else -> n = sleeping
				fi
			}
		od;
		if
		:: n > 0 -> searching++; posted++
		:: n == 0 ->
#ifndef BREAK_NOTIFY
			if
			:: polling == WAITS -> notified = 1
			:: else
			fi
#else
			skip
#endif
		fi
	fi
}

/* Looks at one after the other, as the code does. */
inline look_for_work(i)
{
	found = 0;
	i = 0;
	do
	:: i == WORKERS -> break
	:: i < WORKERS ->
		if
		:: queue[i] > (i == me -> 0 : 1) -> found = 1
		:: else
		fi;
		i++
	od;
	if
	:: injected > 0 -> found = 1
	:: else
	fi
}

/* A task that is alone in another's queue is left there: the worst case. */
inline take(i)
{
	got = 0;
	atomic {
		if
		:: injected > 0 -> queue[me] = queue[me] + injected; injected = 0
		:: else
		fi
	}
	atomic {
		if
		:: queue[me] > 0 -> queue[me]--; got = 1
		:: else
		fi
	}
	i = 0;
	do
	:: got || i == WORKERS -> break
	:: !got && i < WORKERS ->
		atomic {
			if
			:: i != me && queue[i] > 1 -> queue[i]--; got = 1
			:: else
			fi
		}
		i++
	od
}

inline run_task(n)
{
	if
	:: atomic { left > 0 -> left-- }
		queue[me]++;
		wake(n)
	:: true
	fi
}

proctype worker(byte me)
{
	byte n, i;
	bit got, found;

end:	do
	:: take(i);
		if
		:: got -> run_task(n)
		:: !got ->
			searching++;
again:			take(i);
			if
			:: got ->
				atomic { n = searching; searching-- }
				if
				:: n == 1 ->
					look_for_work(i);
					if
					:: found || (sleeping && polling == NOBODY) -> wake(n)
					:: else
					fi
				:: else
				fi;
				run_task(n)
			:: !got ->
				if
				:: atomic { polling == NOBODY -> polling = WAITS }
#ifndef BREAK_ORDER
					searching--;
					look_for_work(i);
#else
					look_for_work(i);
					searching--;
#endif
					if
					:: found
					:: !found ->
end_polls:					notified == 1
					fi;
					notified = 0;
					polling = NOBODY;
					searching++;
					goto again
				:: polling == WAITS ->
					sleeping++;
					searching--;
#ifndef BREAK_LOOK
					look_for_work(i);
#else
					found = 0;
#endif
					if
					:: found || polling == NOBODY ->
						n = sleeping;
						do
						:: n == 0 -> break
						:: n > 0 ->
							atomic {
								if
								:: sleeping == n -> sleeping--; break
								:: else -> n = sleeping
								fi
							}
						od;
						if
						:: n > 0 -> searching++; goto again
						:: n == 0
						fi
					:: else
					fi;
end_sleeps:				atomic { posted > 0 -> posted-- }
					goto again
				fi
			fi
		fi
	od
}

/* A signal handler, or a call that has come back. */
proctype handler()
{
	byte n;

	injected++;
	wake(n)
}

/* When all rest, nothing is left, and one is in the loop. */
proctype judge()
{
end:	timeout;
	assert(G1 || !(injected || queue[0] || queue[WORKERS - 1] || polling == NOBODY))
}

init {
	byte i;

	atomic {
		i = 0;
		do
		:: i == WORKERS -> break
		:: else -> run worker(i); i++
		od;
		i = 0;
		do
		:: i == HANDLERS -> break
		:: else -> run handler(); i++
		od;
		run judge()
	}
}

#else

#define RUNNING 0
#define PREPARING 1
#define PARKED 2

byte state = RUNNING, queued;
bit flag, given, left_stack, over;

/* 1: to be queued by who claims */
inline claim(mine)
{
	atomic {
		if
		:: state == PARKED -> state = RUNNING; mine = 1
		:: state == PREPARING -> state = RUNNING; mine = 0
		:: else -> mine = 0
		fi
	}
}

inline enqueue()
{
	atomic { queued++; assert(G2 || queued == 1) }
}

/* It waits for what somebody gives it, or to be cancelled; what runs next is in its place. */
proctype task()
{
	bit parked;

	do
	::
#ifndef BREAK_PREPARING
		state = PREPARING;
#endif
		if
		:: given -> break
		:: !given
		fi;
		if
		:: flag -> break
		:: !flag
		fi;
#ifdef BREAK_PREPARING
		state = PREPARING;
#endif
		left_stack = 1;
		atomic {
			parked = state == PREPARING;
			if
			:: parked -> state = PARKED
			:: else
			fi
		}
		if
#ifndef BREAK_REQUEUE
		:: !parked -> enqueue()
#else
		:: !parked
#endif
		:: parked
		fi;
		/* here somebody takes it out of the queue */
		atomic { queued > 0 -> queued--; left_stack = 0 }
	od;
	state = RUNNING;
	over = 1
}

proctype gives()
{
	bit mine;

	given = 1;
	claim(mine);
	if
	:: mine -> enqueue()
	:: else
	fi
}

proctype cancels()
{
	bit mine;

	flag = 1;
	claim(mine);
	if
	:: mine -> enqueue()
	:: else
	fi
}

proctype judge()
{
end:	timeout;
	assert(G1 || over);
	assert(G2 || queued == 0)
}

init {
	atomic {
		run task();
#ifndef NOTHING_GIVEN
		run gives();
#endif
#ifndef NOT_CANCELLED
		run cancels();
		run cancels();
#endif
		run judge()
	}
}

#endif
