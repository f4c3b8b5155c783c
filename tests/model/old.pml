/* SPDX-License-Identifier: MIT */
/*
 * old.pml - layer 3 as it was before scope.pml, with what refuted it (commit 0b24495:
 * lib/scope.c and lib/signal.c).  README tells what is modelled and how to read it.
 *
 * One thread has frames: what it runs at the bottom (0), and handlers on top of
 * each other.  Each is a process of its own here and moves only while it is on
 * top, so a handler comes between any two steps.  A step is one access to memory
 * that others see, or one system call.
 */

/* ---- what is in this run; tests/model/table ------------------------------- */

#ifndef LEVELS
# define LEVELS 2	/* handlers on top of each other */
#endif
#ifndef FOREIGN
# define FOREIGN 0	/* how many handlers without the hook come */
#endif
#ifndef HOOKED
# define HOOKED 0	/* how many by safe_syscall_sigaction() */
#endif
#ifndef ACTS
# define ACTS 1		/* how much a handler does */
#endif
#ifndef QUEUED
# define QUEUED 1	/* how many of the interrupt signal can be pending */
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
#define WAKE 2
byte state[SCOPES];	/* ss_state: the bits */
byte senders[SCOPES];	/* ss_state: the count */
byte around[SCOPES];	/* ss_around: 0 not entered, else 1 + the one around */
byte current;		/* ss_thread.current */

#define CALL(frame) (1 + (frame))
#define STALE 7		/* the record of a call that was left by siglongjmp */
byte inside;		/* ss_thread.inside: 0, CALL(frame), STALE */
byte below;		/* ss_thread.beneath */
bool requeued;		/* ss_thread.requeued */

/* What the stub looks at: with 32-bit words, the senders too. */
#ifdef NARROW
# define FLAG(s) (state[s] || senders[s])
#else
# define FLAG(s) (state[s])
#endif

/* ---- the thread as the kernel has it --------------------------------------- */

#define FRAMES (LEVELS + 1)
byte top;		/* the frame that runs */
#define START 1		/* BEFORE: the flag will be looked at */
#define WINDOW 2	/* looked at and clear; also AT_CALL */
#define KERNEL 3	/* in the call, asleep */
#define DONE 4		/* the result is there */
#define OUTSIDE 0
byte pc[FRAMES];
bool cleared[FRAMES];	/* WAKE may have been, since the call was made last */
#define OK 1
#define EINTR 2
#define ERESTARTSYS 3
byte rax[FRAMES];
byte pending;		/* the interrupt signal */
bool blocked[FRAMES];	/* it is, in the frame's mask */
bool masked;		/* all signals are, in the frame on top */
bool alone;		/* in the child of a fork */
byte foreign = FOREIGN, hooked = HOOKED;	/* signals to come */

/* On its way back from the kernel a thread gets what is pending, if not before. */
bool due;
#define TO_USER due = pending && !blocked[top] && !masked
#define RAISE if :: pending < QUEUED -> pending++ :: else fi

/*
 * Frames that have called sigsetjmp() and not returned since, the masks that it
 * saved, and 1 + the frame that a siglongjmp() has just gone to.
 */
bool landing[FRAMES], saved[FRAMES];
byte jumped;

/* ---- what the guarantees speak of; the protocol never looks at these ---------- */

byte aimed;		/* bit s: a signal was sent for s, which is not over */
bool seen[FRAMES];	/* a scope was interrupted while the call was under way */
byte effects[FRAMES];	/* how often the kernel has carried it out */
bool calling[FRAMES];
bool abandoned;		/* a handler was left by siglongjmp: blocked is pardoned, if known */
bool finished;

#define ON (top == l && !due)
#define BIT(s) (1 << (s))
#define IS_INTERRUPTED(s) (state[s] & INTERRUPTED)
#define OUTWARDS(s) (s == OWN || !around[s] -> NONE : around[s] - 1)
#define HERE (IS_INTERRUPTED(OWN) || (current >= A && IS_INTERRUPTED(A)) || \
	(current == B && IS_INTERRUPTED(B)))
#define INNERMOST (current == B && IS_INTERRUPTED(B) -> B : \
	(current >= A && IS_INTERRUPTED(A) -> A : OWN))

inline note_interrupt(x)
{
	if
	:: x <= current ->
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
		:: FLAG(current) -> pc[l] = OUTSIDE; result = ERESTARTSYS; break
		:: else -> pc[l] = WINDOW
		fi }
	:: atomic { ON && pc[l] == WINDOW -> pc[l] = KERNEL }
	:: atomic { ON && pc[l] == WINDOW ->
		pc[l] = DONE; rax[l] = OK; effects[l]++ }
	/* what is waited for comes; where an interrupt has, it never does */
	:: atomic { ON && pc[l] == KERNEL && !HERE ->
		pc[l] = DONE; rax[l] = OK; effects[l]++ }
	:: atomic { ON && pc[l] == DONE ->
		result = rax[l]; pc[l] = OUTSIDE; rax[l] = 0; break }
	od
}

/* ---- signal.c: sending, and taking back ------------------------------------ */

/* ss_interrupted_here() */
inline interrupted_here()
{
#ifdef COARSE
	atomic { ON -> yes = HERE; who = (!yes -> 0 : INNERMOST) }
#else
	atomic { ON -> s = current; yes = false }
	do
	:: atomic { ON ->
		yes = IS_INTERRUPTED(s);
		who = (yes -> s : 0);
		s = OUTWARDS(s);
		if
		:: yes || s == NONE -> s = 0; break
		:: else
		fi }
	od
#endif
}

/* While all signals are blocked; otherwise one could be requeued in between. */
#ifdef BREAK_LATE
# define CLEAR_EARLY
#else
# define CLEAR_EARLY requeued = requeued && !for_good; for_good = false
#endif

/* take_back(): unblock tells whether the signal is to be unblocked. */
inline take_back()
{
#ifndef BREAK_DRAIN
	atomic { ON -> masked = true }
#endif
	do
	:: atomic { ON && pending -> pending--; taken = true }	/* rt_sigtimedwait */
	:: atomic { ON && !pending -> break }
	od;
	if
	:: atomic { ON && taken -> taken = false };
		interrupted_here();
		if
		:: atomic { ON && yes ->
			RAISE; TO_USER;
			aimed = aimed | BIT(who); yes = false; who = 0 }
		:: ON && !yes
		fi
	:: ON && !taken
	fi;
	atomic { ON ->
		masked = false;
		if
		:: unblock -> unblock = false; blocked[l] = false; CLEAR_EARLY
		:: else
		fi;
		TO_USER }
}

/* if (ss_thread.requeued) ss_signal_repair(FOR_GOOD) */
inline repair(FOR_GOOD)
{
	if
	:: atomic { ON && requeued ->
#ifdef BREAK_REPAIR
		requeued = !(FOR_GOOD);
#endif
		for_good = FOR_GOOD;
		unblock = true };
		take_back();
#ifdef BREAK_LATE
		atomic { ON -> requeued = requeued && !for_good; for_good = false }
#endif
	:: atomic { ON && !requeued -> skip }
	fi
}

/* ---- signal.c: the hook ----------------------------------------------------------- */

/* ss_wake_inner() */
inline wake_inner()
{
	atomic { ON -> s = current; outermost = NONE }
	do
	:: atomic { ON ->
		if
		:: IS_INTERRUPTED(s) -> outermost = s
		:: else
		fi;
		s = OUTWARDS(s);
		if
		:: s == NONE -> s = current; break
		:: else
		fi }
	od;
	do
	:: atomic { ON && outermost != NONE && s != outermost ->
		state[s] = state[s] | WAKE; s = OUTWARDS(s) }
	:: atomic { ON && (outermost == NONE || s == outermost) ->
		outermost = 0; s = 0; break }
	od
}

/* What runs in a frame. */
#define INTERRUPT 1	/* the interrupt signal's handler */
#define OTHERS 2	/* one without the hook */
#define WRAPPED 3	/* one by safe_syscall_sigaction() */

/* Is there a call that would not look at its flag when this handler returns? */
#ifdef BREAK_NESTED
# define MISSED (phase == OUTSIDE && inside)
#else
# define MISSED (phase == OUTSIDE -> inside : below)
#endif
#ifdef BREAK_REQUEUE
# define NO_REQUEUE true
#else
# define NO_REQUEUE false
#endif

/* hook(), in frame l, for the context of frame l - 1 */
inline hook()
{
	atomic { ON ->			/* safe_syscall_rewind() */
		phase = pc[l - 1];
		if
		:: pc[l - 1] == WINDOW -> pc[l - 1] = START
		:: else
		fi }
#ifdef BREAK_CLEAR
	if
	:: atomic { ON && kind == INTERRUPT && phase != OUTSIDE -> requeued = false }
	:: ON && !(kind == INTERRUPT && phase != OUTSIDE)
	fi;
#endif
	interrupted_here();
	if
	:: atomic { ON && yes -> yes = false };
		wake_inner();
		if
		:: atomic { ON && MISSED && !NO_REQUEUE ->
			requeued = true };
			atomic { ON -> blocked[l - 1] = true };
			atomic { ON -> state[current] = state[current] | WAKE };
			atomic { ON ->
				RAISE; TO_USER;
				aimed = aimed | BIT(who); who = 0 }
		:: atomic { ON && (!MISSED || NO_REQUEUE) -> who = 0 }
		fi
	:: ON && !yes
	fi
}

/* ---- scope.c: the call ------------------------------------------------------------ */

/* make() */
inline make()
{
	atomic { ON -> inside = CALL(l); pc[l] = START };
	stub();
#ifdef BREAK_BENEATH
	atomic { ON -> inside = 0 }
#else
	atomic { ON -> inside = beneath }
#endif
}

#ifdef BREAK_KEEP
# define OURS true
#else
# define OURS ours
#endif
#ifdef BREAK_LOOK
# define BLOCK_ALL
#else
# define BLOCK_ALL masked = true
#endif
#if defined BREAK_ZERO
# define NOT_CLEARED true
#elif defined BREAK_ONCE
# define NOT_CLEARED !cleared[0]
#else
# define NOT_CLEARED !cleared[l]
#endif

inline note_cleared()
{
	for (i : 0 .. LEVELS) {
		cleared[i] = calling[i]
	}
	i = 0
}

/* look_again() */
inline look_again()
{
	do
	:: ON;
		repair(OURS);
		/* has_to_return() */
		if
		:: atomic { ON && result != ERESTARTSYS -> break }
		:: atomic { ON && result == ERESTARTSYS -> skip }
		fi;
		interrupted_here();
		if
		:: atomic { ON && yes -> yes = false; who = 0; break }
		:: atomic { ON && !yes -> BLOCK_ALL }
		fi;
		atomic { ON ->
			was = state[current];
			was_senders = senders[current] > 0;
			state[current] = state[current] & ~WAKE };
#ifndef BREAK_WAKE
		interrupted_here();
#endif
		if
		:: atomic { ON && yes ->
			state[current] = state[current] | WAKE;
			who = 0 }
		:: atomic { ON && !yes ->
			yes = !was && !was_senders && NOT_CLEARED }
		fi;
		atomic { ON ->
#ifdef BREAK_ONCE
			cleared[0] = (was & WAKE) != 0;
#else
			if
			:: was & WAKE -> note_cleared()
			:: else
			fi;
			cleared[l] = false;
#endif
			was = 0; was_senders = false;
			masked = false; TO_USER };
		if
		:: atomic { ON && yes -> yes = false; break }
		:: atomic { ON && !yes -> skip }
		fi;
		atomic { ON && !senders[current] -> skip };	/* wait_for_senders() */
		make()
	od
}

/* A jump may bring a mask back that was saved meanwhile. */
#ifdef MASKS
# define PARDON false
#else
# define PARDON (requeued && abandoned)
#endif

/* safe_syscall() */
inline safe_syscall()
{
	atomic { ON ->
		calling[l] = true; seen[l] = HERE; effects[l] = 0;
#ifndef BREAK_ONCE
		cleared[l] = true;
#endif
		ours = !inside && !requeued };
	if
	:: ON && ours
	:: atomic { ON && !ours ->	/* make_another() */
		beneath = inside;
		/* is_over(): may fail to tell that it is, never that it isn't */
		if
#ifdef STACKS
		:: beneath -> inside = 0; beneath = 0	/* it is on another stack */
#else
		:: beneath == STALE -> inside = 0; beneath = 0
#endif
		:: true
		fi };
		repair(OURS);
		atomic { ON -> was_below = below; below = beneath }
	fi;
	make();
	look_again();
	atomic { ON ->
		assert(G2 || effects[l] == (result == OK));
		assert(G3 || result != ERESTARTSYS || effects[l] == 0);
		assert(G4 || result != ERESTARTSYS || seen[l]);
		assert(G6 || l > 0 || !blocked[l] || PARDON);
		calling[l] = false; seen[l] = false; effects[l] = 0;
		if
		:: !ours -> below = was_below
		:: else
		fi;
#ifndef BREAK_ONCE
		cleared[l] = false;
#endif
		result = 0; beneath = 0; was_below = 0; ours = false }
}

/* ---- scope.c: enter, leave, rearm, interrupt ------------------------------------- */

#define OUTER (around[x] - 1)
#define OUTER_STATE (state[OUTER] || senders[OUTER])

inline enter(x)
{
	atomic { ON -> around[x] = 1 + current };
#if defined UNCUT
	atomic { ON ->
		current = x;
		if
		:: OUTER_STATE -> state[x] = state[x] | WAKE; yes = true
		:: else
		fi };
#elif defined BREAK_INHERIT
	atomic { ON -> current = x };
#else
	atomic { ON -> current = x };
	atomic { ON -> yes = OUTER_STATE };
	if
	:: atomic { ON && yes -> state[x] = state[x] | WAKE }
	:: ON && !yes
	fi;
#endif
	if
	:: atomic { ON && yes -> yes = false; inside = 0 };
		repair(true)
	:: ON && !yes
	fi
}

inline leave(x)
{
	atomic { ON -> current = OUTER };
	atomic { ON -> around[x] = 0 };
	if
	:: atomic { ON && (state[x] || senders[x]) -> skip };
#ifndef BREAK_WAIT
		atomic { ON && !senders[x] -> skip };	/* wait_for_senders() */
#endif
		atomic { ON -> inside = 0 };
		repair(true);
#ifndef BREAK_TAKE
		take_back();
#endif
		atomic { ON -> state[x] = state[x] & ~WAKE }
	:: atomic { ON && !(state[x] || senders[x]) -> skip }
	fi;
	atomic { ON -> aimed = aimed & ~BIT(x) }
}

inline rearm(x)
{
	if
	:: atomic { ON && IS_INTERRUPTED(x) -> state[x] = state[x] & ~INTERRUPTED };
		atomic { ON && !senders[x] -> skip };	/* wait_for_senders() */
		if
		:: atomic { ON && x <= current -> skip };
			take_back();
			atomic { ON ->
				if
				:: l == 0 -> aimed = aimed & ~BIT(x)
				:: else
				fi }
		:: atomic { ON && x > current -> skip }
		fi
	:: atomic { ON && !IS_INTERRUPTED(x) -> skip }
	fi
}

/* Where no atfork handler runs, the child has the parent's idea of who it is. */
#ifdef UNTOLD
# define REACHES if :: !alone -> RAISE :: else fi
#else
# define REACHES RAISE
#endif

/* interrupt(), add_sender(), thread_of(), remove_sender(); GUARD: who may go on */
inline interrupt(x, GUARD)
{
	if
	:: atomic { GUARD && !IS_INTERRUPTED(x) ->
		state[x] = state[x] | INTERRUPTED;
		senders[x]++;
		note_interrupt(x);
		s = x };
		do			/* thread_of() */
		:: atomic { GUARD && s != OWN && around[s] -> s = around[s] - 1 }
		:: atomic { GUARD && s == OWN ->
			REACHES; aimed = aimed | BIT(x); break }
		:: atomic { GUARD && s != OWN && !around[s] -> s = OWN; break }
		od;
		atomic { GUARD -> senders[x]-- }
	:: atomic { GUARD && IS_INTERRUPTED(x) -> skip }
	fi
}

proctype sender(byte x)
{
	byte s, i;

	{ interrupt(x, true) } unless { alone }	/* not in the child */
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

#define FORGET_CALL unblock = false; for_good = false; s = 0; who = 0; i = 0; yes = false; taken = false; \
	outermost = 0; result = 0; beneath = 0; was_below = 0; ours = false; was = 0; was_senders = false; to = 0
#define FORGET FORGET_CALL; phase = 0; was_inside = 0

inline pop()
{
	atomic { ON ->
		blocked[l] = false; masked = false;
		due = pending && !blocked[l - 1];
		FORGET; kind = 0;
		top = l - 1 }		/* last: the frame is gone */
}

#if LEVELS > 2
# define CAN_JUMP (landing[0] || (l > 1 && landing[1]) || (l > 2 && landing[2]))
#elif LEVELS > 1
# define CAN_JUMP (landing[0] || (l > 1 && landing[1]))
#else
# define CAN_JUMP landing[0]
#endif

inline leave_by_siglongjmp()
{
	atomic { ON && CAN_JUMP ->
		if
		:: landing[0] -> to = 0
#if LEVELS > 1
		:: l > 1 && landing[1] -> to = 1
#endif
#if LEVELS > 2
		:: l > 2 && landing[2] -> to = 2
#endif
		fi;
		if
		:: blocked[to] = saved[to]; due = pending && !saved[to]
		:: blocked[to] = blocked[l]
		fi;
		if
		:: inside > to && inside != STALE -> inside = STALE
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
			:: i > to -> blocked[i] = false
			:: else
			fi
		}
		i = 0;
		jumped = 1 + to; abandoned = true;
		top = to }
}

/* if (!sigsetjmp(...)) safe_syscall(...); */
inline call()
{
	atomic { ON -> landing[l] = true; saved[l] = blocked[l] };
	{
		safe_syscall();
		atomic { ON -> landing[l] = false; saved[l] = false }
	} unless { atomic { jumped == 1 + l && ON -> jumped = 0; FORGET_CALL } }
}

/* wrapped(): what ss_thread.inside is while the handler runs, where it has interrupted
 * the stub. */
#ifdef BREAK_WRAPPED
# define BENEATH_IT 0
#else
# define BENEATH_IT below
#endif

/* Goes on as the parent, or as the child, which the atfork handler changes nothing in. */
inline fork()
{
	atomic { ON ->
		if
		:: !alone ->
			alone = true; pending = 0; due = false;
			senders[OWN] = 0; senders[A] = 0; senders[B] = 0
		:: true
		fi }
}

/* What code in a handler may do. */
inline act()
{
	if
	:: atomic { ON -> skip }
#ifdef CALLS
	:: atomic { ON && l < LEVELS -> skip };
		call()
#endif
#ifdef INTERRUPTS
	:: atomic { ON -> masked = true };
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
#ifdef EXECS
	/* exec, or a new thread, in which the mask is this one */
	:: atomic { ON -> assert(G6 || !blocked[l]) }
#endif
	fi
}

#define LOCALS \
	byte s, i, to, who, phase, outermost, result, beneath, was, was_inside, was_below; \
	bool ours, for_good, unblock, yes, taken, was_senders

#define COMES (pending && !blocked[l - 1])
#define MAY_COME (l < LEVELS && !due)

proctype frame(byte l)
{
	byte kind;
	LOCALS;

endless:
	do
	:: atomic { top == l - 1 && !masked && (COMES || (MAY_COME && (foreign || hooked))) ->
		if
		:: COMES -> pending--; kind = INTERRUPT; assert(G7 || aimed)
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
		:: kind == WRAPPED -> was_inside = inside
		:: else
		fi };
		{
			if
			:: atomic { ON && kind != OTHERS -> skip };
				hook()
			:: ON && kind == OTHERS
			fi;
#if FOREIGN || HOOKED
			if
			:: atomic { ON && kind != INTERRUPT ->
				if
				:: phase != OUTSIDE -> inside = BENEATH_IT
				:: else
				fi };
				act();
# if ACTS > 1
				act();
# endif
				if
				:: atomic { ON && phase != OUTSIDE -> inside = was_inside }
				:: ON && phase == OUTSIDE
# ifdef JUMPS
				:: leave_by_siglongjmp()
# endif
				fi
			:: ON && kind == INTERRUPT
			fi;
#endif
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
		call()
	:: atomic { ON && !outwards && current == DEEPEST -> outwards = true };
#ifdef REARM
		rearm(REARM);
		call()
# ifdef AGAIN
		;
		call()
# endif
#endif
#ifdef STAY
	:: atomic { ON && outwards -> finished = true; break }
#else
	:: atomic { ON && outwards && current != OWN -> x = current };
		leave(x);
		call()
	:: atomic { ON && outwards && current == OWN -> finished = true; break }
#endif
	od
}

init
{
	byte n;
	atomic {
		around[OWN] = 1 + NONE;
		for (n : 1 .. LEVELS) {
			run frame(n)
		}
		n = 0;
		run thread();
		run sender(TARGET1);
#ifdef TARGET2
		run sender(TARGET2)
#endif
	}
}

/* Nothing can move any more: then the thread has come to its end. */
active proctype watch()
{
end:	timeout ->
	if
	:: foreign == FOREIGN -> assert(G1 || finished || pc[top] != KERNEL)
	:: else -> assert(G6 || finished || pc[top] != KERNEL)
	fi;
	assert(ENDS || finished)
}

/* Guarantees once more, as formulas; LTL is the number of one. */
#define RETURNS(l) [] (seen[l] -> <> !seen[l])
#if (LTL == 1 || LTL == 6) && LEVELS > 2
ltl { RETURNS(0) && RETURNS(1) && RETURNS(2) }
#elif LTL == 1 || LTL == 6
ltl { RETURNS(0) && RETURNS(1) }
#elif LTL == 7
ltl { [] (!aimed -> !pending) }
#endif
