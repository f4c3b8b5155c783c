/* SPDX-License-Identifier: MIT */
/*
 * scope.pml - layer 3: lib/word.c, thread.c, timer.c, send.c, fork.c, hook.c, call.c and
 * scope.c.  README tells what is modelled and how to read it.
 *
 * One thread has frames: what it runs at the bottom (0), and handlers on top of
 * each other.  Each is a process of its own here and moves only while it is on
 * top, so a handler comes between any two steps.  A step is one access to memory
 * that others see, or one system call.
 */

/* ---- what is in this run; tests/model/table ------------------------------- */

#ifndef LEVELS
# define LEVELS 2	/* handlers on top of each other; the last is the library's */
#endif
#ifndef FOREIGN
# define FOREIGN 0	/* how many handlers without the hook come */
#endif
#ifndef HOOKED
# define HOOKED 0	/* how many by safe_syscall_sigaction() */
#endif
#ifndef QUEUED
# define QUEUED 1	/* how many of the interrupt signal can be pending */
#endif
#ifndef ACTS
# define ACTS 1		/* how much a handler does */
#endif

#define OWN 0		/* the thread's own scope, A in it, B in A */
#define A 1
#define B 2
#define NONE 3
#define SCOPES 3

/* never true: the name of a guarantee in what spin prints */
hidden byte G1, G2, G3, G4, G5, G6, G7, ENDS;

/* With a formula, assertions are left to the run without. */
#ifdef LTL
# define assert(what) skip
#endif

/* ---- memory ------------------------------------------------------------------ */

#define INTERRUPTED 1
#define SENT 2
/* It has been taken back, but not yet for certain its signal too. */
#define REARMED 4
byte state[SCOPES];	/* ss_state: the bits */
byte senders[SCOPES];	/* ss_state: the count */
byte around[SCOPES];	/* ss_around: 0 not entered, else 1 + the one around */
byte current;		/* ss_thread.current */
byte entering;		/* ss_thread.entering: 0, or 1 + the scope */
bool flag;		/* ss_thread.flag */

#define CALL(frame) (1 + (frame))
#define STALE 7		/* the record of a call that was left by siglongjmp */
#define RECORD(call) ((call) & 7)
#define BENEATH 8
#define FIRST 16
byte call;		/* ss_thread.call: a record, and the two bits */

bool armed;		/* ss_thread.timer.armed */
bool wiped;		/* ss_thread.process is not the page's number */

/* ---- the thread as the kernel has it --------------------------------------- */

#define FRAMES (LEVELS + 1)
byte top;		/* the frame that runs */
#define START 1		/* BEFORE: the flag will be looked at */
#define WINDOW 2	/* looked at and clear; also AT_CALL */
#define KERNEL 3	/* in the call, asleep */
#define DONE 4		/* the result is there */
#define OUTSIDE 0
byte pc[FRAMES];
#define OK 1
#define EINTR 2
#define ERESTARTSYS 3
byte rax[FRAMES];
bool cleared[FRAMES];	/* the flag was, since the call was made last */
byte pending;		/* the interrupt signal, by tgkill */
bool ticking, ticked;	/* the timer is set; its signal is pending */
bool blocked[FRAMES];	/* the signal is, in the frame's mask */
bool masked;		/* all signals are, in the frame on top */
bool alone;		/* in the child of a fork */
byte foreign = FOREIGN, hooked = HOOKED;	/* signals to come */

/* On its way back from the kernel a thread gets what is pending, if not before. */
bool due;
#define SIGNAL (pending || ticked)
#define TO_USER due = SIGNAL && !blocked[top] && !masked

/*
 * SIGURG, which is not queued: one that finds the timer's pending is the same.  A
 * real-time signal has a place of its own.
 */
#if QUEUED > 1
# define RAISE if :: pending < QUEUED -> pending++ :: else fi
#else
# define RAISE if :: !ticked -> pending = 1 :: else fi
#endif

/* From Linux 6.13 on the timer's signal, when it is pending, is gone with the timer's time. */
#ifndef DEADLINE
# define SET_TIMER armed = true; ticking = true
# define UNSET_TIMER						\
	if							\
	:: armed ->						\
		armed = false; ticking = false;			\
		if						\
		:: ticked -> ticked = false			\
		:: true						\
		fi						\
	:: else							\
	fi
# define IS_TO_COME(x) false
# define MAY_COME_AGAIN(x) false
# define OVERDUE false
#else
/* One scope has a deadline, for which the timer is set, and for the next pause. */
bool deadline, passed;	/* it is to come; its time has, which nobody is told but by the clock */
bool again;		/* ss_thread.timer.pause */
bool for_deadline, for_again;	/* what the kernel's timer was set for */
bool nested;		/* take_back() in set_deadline() */
# define IS_TO_COME(x) ((x) == DEADLINE && deadline)
/* After a rearm: its time may have come meanwhile. */
# define MAY_COME_AGAIN(x) ((x) == DEADLINE && (deadline || IS_INTERRUPTED(x)))
# define HAS_DEADLINE (deadline && IS_IN(DEADLINE))
# define OVERDUE (deadline && passed && LINKED(DEADLINE))
/* ss_timer_set() */
# define RESET_TIMER						\
	if							\
	:: again || HAS_DEADLINE || armed ->			\
		armed = again || HAS_DEADLINE;			\
		ticking = armed;				\
		for_again = again;				\
		for_deadline = HAS_DEADLINE;			\
		if						\
		:: ticked -> ticked = false			\
		:: true						\
		fi						\
	:: else							\
	fi
# define SET_TIMER again = true; RESET_TIMER
# define UNSET_TIMER again = false; RESET_TIMER
/* ss_timer_expire() */
# define EXPIRE							\
	if							\
	:: HAS_DEADLINE && passed ->				\
		deadline = false;				\
		state[DEADLINE] = state[DEADLINE] | INTERRUPTED | SENT; \
		note_interrupt(DEADLINE)			\
	:: else							\
	fi
#endif

/*
 * Frames that have called sigsetjmp() and not returned since, the masks that it
 * saved, and those that a siglongjmp() has just gone to.
 */
bool landing[FRAMES], saved[FRAMES], jumped[FRAMES];

/* ---- what the guarantees speak of; the protocol never looks at these ---------- */

byte aimed;		/* bit s: a signal was sent for s, which is not over */
bool seen[FRAMES];	/* a scope was interrupted while the call was under way */
byte effects[FRAMES];	/* how often the kernel has carried it out */
bool calling[FRAMES];
bool finished;
#ifdef INHERITED
bool started;		/* the bottom has used the library */
#else
# define started true
#endif

#define ON (top == l && !due)
#define BIT(s) (1 << (s))
#define IS_INTERRUPTED(s) (state[s] & INTERRUPTED)
#define OUTWARDS(s) (s == OWN || !around[s] -> NONE : around[s] - 1)
#ifdef BREAK_ENTERING
# define IS_BEING_ENTERED(s) false
#else
# define IS_BEING_ENTERED(s) (entering == 1 + (s) && around[s] == 1 + current)
#endif
#define IS_IN(s) (s <= current || IS_BEING_ENTERED(s))
#define HERE (IS_INTERRUPTED(OWN) || (IS_IN(A) && IS_INTERRUPTED(A)) || \
	(IS_IN(B) && IS_INTERRUPTED(B)))
#define FOUND (IS_IN(B) && IS_INTERRUPTED(B) -> B : \
	(IS_IN(A) && IS_INTERRUPTED(A) -> A : OWN))
/* The truth, whatever the library can tell. */
#define LINKED(s) (s <= current || (entering == 1 + (s) && around[s] == 1 + current))
#define TOLD (IS_INTERRUPTED(OWN) || (LINKED(A) && IS_INTERRUPTED(A)) || \
	(LINKED(B) && IS_INTERRUPTED(B)))

inline note_interrupt(x)
{
	if
	:: LINKED(x) ->
		for (i : 0 .. LEVELS) {
			seen[i] = calling[i];
		}
		i = 0
	:: else
	fi
}

/* A scope that has been interrupted before is linked. */
inline note_link()
{
	if
	:: TOLD ->
		for (i : 0 .. LEVELS) {
			seen[i] = calling[i];
		}
		i = 0
	:: else
	fi
}

/* ---- layers 1 and 2, as far as layer 3 sees them: stub.pml has the rest -------- */

inline stub()
{
	do
	:: atomic { ON && pc[l] == START ->
		if
		:: flag -> pc[l] = OUTSIDE; result = ERESTARTSYS; break
		:: else -> pc[l] = WINDOW
		fi }
	:: atomic { ON && pc[l] == WINDOW -> pc[l] = KERNEL }
	:: atomic { ON && pc[l] == WINDOW ->
		pc[l] = DONE; rax[l] = OK; effects[l]++ }
	/* what is waited for comes; where an interrupt has, it never does */
	:: atomic { ON && pc[l] == KERNEL && !TOLD && !OVERDUE ->
		pc[l] = DONE; rax[l] = OK; effects[l]++ }
	:: atomic { ON && pc[l] == DONE ->
		result = rax[l]; pc[l] = OUTSIDE; rax[l] = 0; break }
	od
}

/* ---- thread.c -------------------------------------------------------------------- */

/* ss_interrupted_here() */
inline interrupted_here()
{
#ifdef COARSE
	atomic { ON -> yes = HERE }
#else
	atomic { ON ->
		s = (entering && IS_BEING_ENTERED(entering - 1) -> entering - 1 : current);
		yes = false }
	do
	:: atomic { ON ->
		yes = IS_INTERRUPTED(s);
		s = OUTWARDS(s);
		if
		:: yes || s == NONE -> s = 0; break
		:: else
		fi }
	od
#endif
}

inline note_cleared()
{
	for (i : 0 .. LEVELS) {
		cleared[i] = calling[i]
	}
	i = 0
}

/* ss_set_flag(), while signals are blocked; yes: it is set */
inline set_flag()
{
	interrupted_here();
	if
	:: atomic { ON && !yes && flag -> flag = false; note_cleared() };
#ifndef BREAK_LOOK
		interrupted_here()
#endif
	:: ON && (yes || !flag)
	fi;
	if
	:: atomic { ON && yes -> flag = true }
	:: ON && !yes
	fi
}

/* ss_calls_beneath(), in frame l, for the context of frame l - 1 */
#ifdef BREAK_BENEATH
# define CALLS_BENEATH (phase != OUTSIDE && RECORD(call) == CALL(l - 1) -> 0 : call & ~FIRST)
#else
# define CALLS_BENEATH (phase != OUTSIDE && RECORD(call) == CALL(l - 1) -> \
	call & BENEATH : call & ~FIRST)
#endif

/* ss_thread_start() */
inline thread_start()
{
	atomic { ON -> blocked[l] = false; TO_USER };
	atomic { ON -> call = call & ~FIRST }
}

/* ---- fork.c ------------------------------------------------------------------------ */

#define RAISE_AGAIN RAISE; aimed = aimed | BIT(FOUND)

/* ss_fork_check() */
inline fork_check()
{
#ifdef FORK
	if
	:: ON && wiped ->
		atomic { ON -> was_masked = masked; masked = true };
		atomic { ON -> wiped = false; armed = false };
# ifdef DEADLINE
		atomic { ON ->
			again = false;
			EXPIRE;
#  ifndef BREAK_CHILD
			RESET_TIMER
#  endif
			};
# endif
		set_flag();
		atomic { ON ->
			if
			:: yes ->
# ifndef BREAK_FORK
				RAISE_AGAIN;
# endif
				yes = false
			:: else
			fi;
			masked = was_masked; was_masked = false; TO_USER }
	:: ON && !wiped
	fi
#else
	skip
#endif
}

/* ---- send.c -------------------------------------------------------------------------- */

#ifdef DEADLINE
# define IS_NESTED nested
#else
# define IS_NESTED false
#endif

/* ss_take_back() */
inline take_back()
{
	atomic { ON -> masked = true; taken = armed };
#ifndef BREAK_OFF
	atomic { ON -> UNSET_TIMER };
#endif
	atomic { ON ->			/* rt_sigtimedwait */
		taken = taken || SIGNAL;
		pending = 0; ticked = false };
#ifdef DEADLINE
# ifndef BREAK_DRAINED
	atomic { ON -> EXPIRE; RESET_TIMER };
# endif
	taken = true;			/* it sends in any case */
#endif
	set_flag();
	atomic { ON ->
		if
		:: yes && taken ->
#ifndef BREAK_AGAIN
			RAISE_AGAIN
#endif
		:: else
		fi;
		yes = false; taken = false;
		masked = IS_NESTED; TO_USER }
}

/* ---- hook.c ---------------------------------------------------------------------------- */

/* What runs in a frame. */
#define INTERRUPT 1	/* the interrupt signal's handler */
#define OTHERS 2	/* one without the hook */
#define WRAPPED 3	/* one by safe_syscall_sigaction() */

/* safe_syscall_rewind() */
inline rewind()
{
	atomic { ON ->
		phase = pc[l - 1];
		if
		:: pc[l - 1] == WINDOW -> pc[l - 1] = START
		:: else
		fi }
}

/* on_interrupt() */
#ifdef BREAK_OFF_LAST
# define ELSE_OFF UNSET_TIMER
#else
# define ELSE_OFF skip
#endif
inline on_interrupt()
{
	rewind();
	fork_check();
#ifdef DEADLINE
	atomic { ON -> EXPIRE };
#endif
	/* first: the signal of one who interrupts after we have looked may go with it */
#ifndef BREAK_OFF_LAST
	atomic { ON -> UNSET_TIMER };
#endif
	interrupted_here();
	if
	:: atomic { ON && yes -> yes = false; flag = true };
		atomic { ON ->
			if
			:: !CALLS_BENEATH -> ELSE_OFF
			:: else ->
#ifndef BREAK_TIMER
				SET_TIMER
#endif
			fi }
#ifdef BREAK_OFF_LAST
	:: atomic { ON && !yes -> UNSET_TIMER }
#else
	:: ON && !yes
#endif
	fi
}

/* ---- call.c ---------------------------------------------------------------------------- */

/* call_stub() */
inline make()
{
#ifdef COARSE
	atomic { ON -> call = CALL(l) | tag; pc[l] = START };
#else
	atomic { ON -> call = CALL(l) | tag };
	atomic { ON -> pc[l] = START };
#endif
	stub();
#ifdef BREAK_RESTORE
	atomic { ON -> call = 0 }
#else
	atomic { ON -> call = calls }
#endif
}

#ifdef BREAK_UNBLOCKED
# define BLOCK_ALL skip
#else
# define BLOCK_ALL masked = true
#endif

/* finish() */
inline finish()
{
	do
	:: atomic { ON && result != ERESTARTSYS -> break }
	:: atomic { ON && result == ERESTARTSYS -> skip };
		fork_check();
		if
		:: atomic { ON && !flag && !cleared[l] -> break }
		:: atomic { ON && (flag || cleared[l]) -> BLOCK_ALL }
		fi;
		set_flag();
		atomic { ON -> masked = false; TO_USER };
		if
		:: atomic { ON && yes -> yes = false; break }
		:: atomic { ON && !yes -> cleared[l] = false; result = 0 }
		fi;
		make()
	od
}

/* safe_syscall() */
inline safe_syscall()
{
	atomic { ON ->
		calling[l] = true; seen[l] = TOLD; effects[l] = 0; cleared[l] = false };
	if
	:: ON && !call && !entering
	:: ON && (call || entering) ->		/* call_nested() */
		fork_check();
#ifdef INHERITED
		if
		:: ON && call & FIRST -> thread_start()
		:: ON && !(call & FIRST)
		fi;
#endif
#ifndef BREAK_ENTERING
		if
		:: ON && entering ->
			interrupted_here();
			if
			:: atomic { ON && yes -> yes = false; flag = true }
			:: ON && !yes
			fi
		:: ON && !entering
		fi;
#endif
		/* ss_call_is_over(): may fail to tell that it is, never that it isn't */
		atomic { ON ->
			calls = call;
			if
#ifdef BREAK_OVER
			:: RECORD(calls) -> calls = calls & (BENEATH | FIRST)
#else
			:: RECORD(calls) == STALE -> calls = calls & (BENEATH | FIRST)
#endif
			:: true
			fi;
			tag = (calls & ~FIRST -> BENEATH : 0);
			cleared[l] = false }
	fi;
	make();
	finish();
	atomic { ON ->
		assert(G2 || effects[l] == (result == OK));
		assert(G3 || result != ERESTARTSYS || effects[l] == 0);
		assert(G4 || result != ERESTARTSYS || seen[l]);
		assert(G6 || !started || !blocked[l]);
		calling[l] = false; seen[l] = false; effects[l] = 0; cleared[l] = false;
		result = 0; calls = 0; tag = 0 }
}

/* ---- scope.c: enter, leave, rearm, interrupt ------------------------------------- */

#define OUTER (around[x] - 1)

/* The first time, the key is made and set when all this is done. */
inline enter(x)
{
	atomic { ON -> entering = 1 + x };
#ifdef INHERITED
	if
	:: ON && x == A ->
# ifndef BREAK_FIRST
		thread_start();
# endif
		atomic { ON -> started = true }
	:: ON && x != A
	fi;
#endif
	atomic { ON -> around[x] = 1 + current; note_link() };
	atomic { ON -> current = x };
#ifndef BREAK_STATE
	if
	:: atomic { ON && (state[x] || senders[x]) -> call = call & FIRST };
		interrupted_here();
		if
		:: atomic { ON && yes -> yes = false; flag = true }
		:: ON && !yes
		fi
	:: ON && !(state[x] || senders[x])
	fi;
#endif
	atomic { ON -> entering = 0 }
}

#ifdef BREAK_LEFT
# define IS_LEFT_WITH(x) false
#else
# define IS_LEFT_WITH(x) IS_TO_COME(x)
#endif

inline leave(x)
{
	atomic { ON -> current = OUTER };
	atomic { ON -> around[x] = 0 };
	if
	:: ON && (state[x] || senders[x] || IS_LEFT_WITH(x)) ->
		fork_check();
#ifndef BREAK_WAIT
		atomic { ON && !senders[x] -> skip };	/* ss_wait_for_senders() */
#endif
		atomic { ON -> call = call & FIRST };
#ifndef BREAK_TAKE
		take_back();
#endif
		atomic { ON -> state[x] = state[x] & ~REARMED }
	:: ON && !(state[x] || senders[x] || IS_LEFT_WITH(x))
	fi;
	atomic { ON -> aimed = aimed & ~BIT(x) }
}

#ifdef BREAK_REARMED
# define LATE 0
#else
# define LATE REARMED
#endif

/* Outside handlers, when no call is taken for one beneath, no signal comes any more. */
inline rearm(x)
{
	if
	:: ON && (IS_INTERRUPTED(x) || IS_TO_COME(x)) ->
		fork_check();
#ifdef DEADLINE
		atomic { ON -> EXPIRE };
#endif
		atomic { ON ->
			state[x] = state[x] & ~(INTERRUPTED | SENT) | LATE;
			waits = !(call & ~FIRST) };
#ifdef BREAK_PATIENCE
		atomic { ON && !senders[x] -> skip };
#else
		atomic { ON && (!waits || !senders[x]) -> skip };
#endif
		if
		:: ON && IS_IN(x) ->
			take_back();
			atomic { ON ->
				if
				:: waits -> state[x] = state[x] & ~REARMED
				:: else
				fi }
		:: ON && !IS_IN(x)
		fi;
		atomic { ON ->
			if
			:: l == 0 && waits && !MAY_COME_AGAIN(x) -> aimed = aimed & ~BIT(x)
			:: else
			fi;
			waits = false }
	:: ON && !(IS_INTERRUPTED(x) || IS_TO_COME(x))
	fi
}

#ifdef DEADLINE
/* safe_syscall_deadline() of that scope, when: is there to be one? */
inline set_deadline(when)
{
	fork_check();
	atomic { ON -> masked = true; nested = deadline; deadline = false };
	atomic { ON ->
		if
		:: when ->
			deadline = true;
			aimed = aimed | BIT(DEADLINE);
# ifndef BREAK_UNSET
			RESET_TIMER
# endif
		:: else
		fi };
# ifndef BREAK_HAD
	if
	:: ON && nested -> take_back()
	:: ON && !nested
	fi;
# endif
	atomic { ON -> EXPIRE };
	set_flag();
	atomic { ON ->
		if
		:: !when && !IS_INTERRUPTED(DEADLINE) && !senders[DEADLINE] ->
			aimed = aimed & ~BIT(DEADLINE)
		:: else
		fi;
		yes = false; nested = false; masked = false; TO_USER }
}
#endif

/* interrupt(), ss_add_sender(), ss_thread_of(), ss_remove_sender(); GUARD: who may go on */
#define MARK							\
	state[x] = state[x] | INTERRUPTED;			\
	senders[x]++;						\
	note_interrupt(x)
#ifdef BREAK_MARK
# define MARK_FIRST senders[x]++
# define MARK_LATE state[x] = state[x] | INTERRUPTED; note_interrupt(x)
#else
# define MARK_FIRST MARK
# define MARK_LATE skip
#endif
#ifdef BREAK_SENT
# define IS_SENT(x) IS_INTERRUPTED(x)
#else
# define IS_SENT(x) (state[x] & SENT)
#endif

inline interrupt(x, GUARD)
{
	if
	:: atomic { GUARD && !IS_SENT(x) -> MARK_FIRST; s = x };
		do			/* ss_thread_of() */
		:: atomic { GUARD && s != OWN && around[s] -> s = around[s] - 1 }
		:: atomic { GUARD && s == OWN -> break }
		:: atomic { GUARD && s != OWN && !around[s] -> s = NONE; break }
		od;
		if
		:: atomic { GUARD && s == OWN ->
#ifndef BREAK_FLAG
			flag = true
#endif
			};
			atomic { GUARD -> MARK_LATE };
			atomic { GUARD -> RAISE; aimed = aimed | BIT(x) }
		:: atomic { GUARD && s == NONE -> s = OWN; MARK_LATE }
		fi;
		atomic { GUARD ->
			senders[x]--;
			if
			:: IS_INTERRUPTED(x) && !senders[x] -> state[x] = state[x] | SENT
			:: else
			fi }
	:: atomic { GUARD && IS_SENT(x) -> skip }
	fi
}

proctype sender(byte x)
{
	byte s, i;

	{ interrupt(x, true) } unless { alone }	/* not in the child */
}

/* The kernel's timer.  Its pauses grow: it can't keep a thread from moving for ever. */
#ifdef DEADLINE
# define TICKS ticking && (for_again || (for_deadline && passed))
#elif LTL == 1 || LTL == 6
# define TICKS ticking && pc[top] == KERNEL
#else
# define TICKS ticking
#endif
active proctype clock()
{
end:	do
	:: atomic { TICKS -> ticking = false; ticked = true }
#ifdef DEADLINE
	:: atomic { deadline && !passed -> passed = true }
#endif
	od
}

/* ---- handlers --------------------------------------------------------------------- */

/* The kernel starts one on top of what runs. */
inline push()
{
	if
	:: pc[l - 1] == KERNEL ->
		if
		:: pc[l - 1] = WINDOW			/* restart, AT_CALL */
		:: pc[l - 1] = DONE; rax[l - 1] = EINTR
		fi
	:: else
	fi;
	blocked[l] = blocked[l - 1];
	top = l;
	TO_USER
}

#define FORGET_CALL s = 0; i = 0; yes = false; taken = false; waits = false; was_masked = false; \
	result = 0; calls = 0; tag = 0; to = 0
#define FORGET FORGET_CALL; phase = 0; was = 0

inline pop()
{
	atomic { ON ->
		blocked[l] = false; masked = false;
		due = SIGNAL && !blocked[l - 1];
		FORGET; kind = 0;
		top = l - 1 }		/* last: the frame is gone */
}

#define CAN_LAND(frame) (l > frame && landing[frame])
#if LEVELS > 3
# define CAN_JUMP (CAN_LAND(0) || CAN_LAND(1) || CAN_LAND(2) || CAN_LAND(3))
#elif LEVELS > 2
# define CAN_JUMP (CAN_LAND(0) || CAN_LAND(1) || CAN_LAND(2))
#else
# define CAN_JUMP (CAN_LAND(0) || CAN_LAND(1))
#endif

inline leave_by_siglongjmp()
{
	atomic { ON && CAN_JUMP ->
		if
		:: CAN_LAND(0) -> to = 0
		:: CAN_LAND(1) -> to = 1
#if LEVELS > 2
		:: CAN_LAND(2) -> to = 2
#endif
#if LEVELS > 3
		:: CAN_LAND(3) -> to = 3
#endif
		fi;
		if
		:: blocked[to] = saved[to]; due = SIGNAL && !saved[to]
		:: blocked[to] != blocked[l] -> blocked[to] = blocked[l]
		fi;
		if
		:: RECORD(call) > to -> call = call | STALE
		:: else
		fi;
		for (i : to .. LEVELS) {
			pc[i] = OUTSIDE;
			rax[i] = 0;
			calling[i] = false;
			seen[i] = false;
			effects[i] = 0;
			cleared[i] = false;
			landing[i] = false;
			saved[i] = false;
			if
			:: i > to -> blocked[i] = false; jumped[i] = false
			:: else
			fi
		}
		i = 0;
		jumped[to] = true;
		top = to }
}

/* if (!sigsetjmp(...)) safe_syscall(...); */
inline make_call()
{
	atomic { ON -> landing[l] = true; saved[l] = blocked[l] };
	{
		safe_syscall();
		atomic { ON -> landing[l] = false; saved[l] = false }
	} unless { atomic { jumped[l] && ON -> jumped[l] = false; FORGET_CALL } }
}

/* ss_run_hooked(): what ss_thread.call is while the handler runs */
#ifdef BREAK_WRAPPED
# define WHILE_WRAPPED 0
#else
# define WHILE_WRAPPED (CALLS_BENEATH | (was & FIRST))
#endif

/* Goes on as the parent, or as the child. */
inline fork()
{
	if
	:: atomic { ON -> skip }
	:: atomic { ON && !alone ->
		alone = true; wiped = true;
		pending = 0; ticked = false; ticking = false; due = false;
		senders[OWN] = 0; senders[A] = 0; senders[B] = 0 };
		fork_check()
	fi
}

/* What code in a handler may do. */
inline act()
{
	if
#ifndef ALWAYS
	:: atomic { ON -> skip }
	/* exec, or a new thread, in which the mask is this one */
	:: atomic { ON -> assert(G6 || !started || !blocked[l]) }
#endif
#ifdef CALLS
	:: atomic { ON && l < LEVELS -> skip };
		make_call()
#endif
#ifdef INTERRUPTS
	:: atomic { ON -> masked = true };
		fork_check();
		interrupt(INTERRUPTS, ON);
		atomic { ON -> masked = false; TO_USER }
#endif
#ifdef REARMS
	:: atomic { ON -> skip };
		rearm(REARMS)
#endif
#ifdef FORK
	:: fork()
#endif
	fi
}

#define LOCALS \
	byte s, i, to, phase, result, calls, tag, was; \
	bool yes, taken, waits, was_masked

#define COMES (SIGNAL && !blocked[l - 1])
/* EARLY: also in a child before its atfork handlers have run */
#ifdef EARLY
# define MAY_COME (l < LEVELS && !due)
#else
# define MAY_COME (l < LEVELS && !due && !wiped)
#endif

proctype frame(byte l)
{
	byte kind;
	LOCALS;

endless:
	do
	:: atomic { top == l - 1 && !masked && (COMES || (MAY_COME && (foreign || hooked))) ->
		if
		:: COMES ->
			if
			:: pending -> pending--
			:: ticked -> ticked = false
			fi;
			kind = INTERRUPT; assert(G7 || aimed)
		:: MAY_COME && foreign -> foreign--; kind = OTHERS
		:: MAY_COME && hooked -> hooked--; kind = WRAPPED
		fi;
		push();
		if
		:: kind == INTERRUPT ->
			blocked[l] = true;
#ifndef BREAK_MASK
			masked = true;
#endif
			due = false
		:: else
		fi };
		{
			if
			:: ON && kind == INTERRUPT -> on_interrupt()
#if FOREIGN || HOOKED
			:: ON && kind != INTERRUPT ->
				if
				:: ON && kind == WRAPPED ->
					rewind();
					atomic { ON -> was = call };
					if
					:: atomic { ON && phase != OUTSIDE -> call = WHILE_WRAPPED }
					:: ON && phase == OUTSIDE
					fi
				:: ON && kind != WRAPPED
				fi;
				act();
# if ACTS > 1
				act();
# endif
				if
				:: atomic { ON && phase != OUTSIDE -> call = was }
				:: ON && phase == OUTSIDE
# ifdef JUMPS
				:: leave_by_siglongjmp()
# endif
				fi
#endif
			fi;
			pop()
		} unless { atomic { top < l -> FORGET; kind = 0 } }
	od
}

/* ---- the thread ---------------------------------------------------------------------- */

#ifdef NESTED
# define DEEPEST B
#else
# define DEEPEST A
#endif

proctype thread()
{
	byte l, x;
	bool outwards;
	LOCALS;

	do
	:: atomic { ON && !outwards && current < DEEPEST -> x = current + 1 };
		enter(x);
		make_call()
	:: atomic { ON && !outwards && current == DEEPEST -> outwards = true };
#ifdef DEADLINE
		set_deadline(true);
		make_call();
# ifdef TAKEN_BACK
		set_deadline(false);
		make_call();
# endif
#endif
#ifdef REARM
		rearm(REARM);
		make_call()
# ifdef AGAIN
		;
		make_call()
# endif
#endif
#ifdef STAY
	:: atomic { ON && outwards -> finished = true; break }
#else
	:: atomic { ON && outwards && current != OWN -> x = current };
		leave(x);
		make_call()
	:: atomic { ON && outwards && current == OWN -> finished = true; break }
#endif
	od
}

init
{
	byte n;
	atomic {
		around[OWN] = 1 + NONE;
#ifdef INHERITED
		blocked[0] = true;
		call = FIRST;
#endif
		for (n : 1 .. LEVELS) {
			run frame(n)
		}
		n = 0;
		run thread();
		run sender(TARGET1);
#ifdef TARGET2
		run sender(TARGET2)
#endif
#ifdef TARGET3
		;
		run sender(TARGET3)
#endif
	}
}

/* Nothing can move any more: then the thread has come to its end. */
active proctype watch()
{
end:	timeout ->
	if
	:: foreign == FOREIGN -> assert(G1 || pc[top] != KERNEL)
	:: else -> assert(G6 || pc[top] != KERNEL)
	fi;
	assert(ENDS || finished && top == 0)
}

/* Guarantees once more, as formulas; LTL is the number of one. */
#define RETURNS(l) [] (seen[l] -> <> !seen[l])
#if (LTL == 1 || LTL == 6) && LEVELS > 2
ltl { RETURNS(0) && RETURNS(1) && RETURNS(2) }
#elif LTL == 1 || LTL == 6
ltl { RETURNS(0) && RETURNS(1) }
#elif LTL == 7
ltl { [] (!aimed -> !SIGNAL) }
#endif
