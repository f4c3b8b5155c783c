/* SPDX-License-Identifier: MIT */
/*
 * stub.pml - layers 1 and 2: lib/arch/.../window.S, lib/window.c, and what the kernel
 * does to a call.  README tells what is modelled.
 *
 * One call on one thread.  Handlers come between any two instructions, and on top of
 * each other; a step is one instruction, or one thing that the kernel or a handler
 * does.  Those without the hook don't set the flag, and nobody who sets it comes on
 * top of one: that is scope.pml's part.
 */

#ifndef SIGNALS
# define SIGNALS 3
#endif
#define LEVELS 2

hidden byte G1, G2, G3, G4, G5;

/* With a formula, assertions are left to the run without. */
#ifdef LTL
# define assert(what) skip
#endif

/* What the kernel makes of a signal where it has blocked; SIGCONT is one without a
 * handler. */
#define RESTARTED 1	/* restarted if the handler has SA_RESTART, or there is none */
#define NEVER 2		/* EINTR */
#define TIMED 3		/* EINTR; without a handler restart_syscall goes on with it */
byte kind;
bool comes;		/* what is waited for does, some time */

/* ---- the thread -------------------------------------------------------------- */

bool flag;
byte top;		/* 0: the stub runs, else the handler that does */

#define ENTRY 0		/* arguments to where the kernel wants them */
#define START 1		/* load the flag */
#define BRANCH 2
#define CALL 3		/* the system call instruction */
#define KERNEL 4	/* in it, asleep */
#define COMMIT 5	/* error convention to -errno */
#define FINAL 6		/* return */
#define ABORT 7
#define RETURNED 8
byte pc = ENTRY;

#define RIGHT 1
#define RESTART_SYSCALL 2
#define WRONG 3
byte argument = RIGHT;	/* where the caller has put the number */
byte number;		/* where the kernel wants it */
bool loaded;
#define OK 1
#define EINTR 2
#define ERESTARTSYS 3
byte rax;

/* ---- what the guarantees speak of ----------------------------------------------- */

byte effects;
bool eintr;		/* the kernel has said so */
bool partly;		/* half of a timed wait is over */
bool forgotten;		/* how to go on with it, since a handler has returned */
byte plain[LEVELS + 1];	/* a handler without the hook is there */

#define ON (top == 0)

inline complete()
{
	rax = OK; effects++; pc = COMMIT
}

inline fail()
{
	rax = EINTR; eintr = true; pc = COMMIT
}

proctype stub()
{
end:	do
	:: atomic { ON && pc == ENTRY ->
		number = argument; argument = WRONG; pc = START }
	:: atomic { ON && pc == START -> loaded = flag; pc = BRANCH }
	:: atomic { ON && pc == BRANCH ->
		if
		:: loaded -> pc = ABORT
		:: else -> pc = CALL
		fi }
	:: atomic { ON && pc == CALL && number != RESTART_SYSCALL ->
		assert(G4 || number == RIGHT);
		assert(G5 || !partly);
		assert(G2 || effects == 0);
		pc = KERNEL }
	:: atomic { ON && pc == CALL && number == RESTART_SYSCALL ->
		if
		:: forgotten -> fail()
		:: else -> pc = KERNEL
		fi }
	:: atomic { ON && pc == KERNEL && comes -> complete() }
	:: atomic { ON && pc == COMMIT ->
#ifdef BREAK_EINTR
		rax = (rax == EINTR -> ERESTARTSYS : rax);
#endif
#ifdef BREAK_ABORT_LATE
		rax = (flag -> ERESTARTSYS : rax);	/* looks once more */
#endif
		pc = FINAL }
	:: atomic { ON && pc == ABORT -> rax = ERESTARTSYS; pc = FINAL }
	:: atomic { ON && pc == FINAL ->
		assert(G3 || rax != ERESTARTSYS || effects == 0);
		assert(G2 || effects == (rax == OK));
		assert(G4 || rax != ERESTARTSYS || flag);
		assert(G5 || eintr == (rax == EINTR));
		assert(G5 || rax != ERESTARTSYS || !partly);
		pc = RETURNED }
	od
}

/* Stopped and continued, without a handler. */
proctype stop()
{
end:	atomic { ON && pc == KERNEL ->
		if
		:: kind == RESTARTED -> pc = CALL
		:: kind == NEVER -> fail()
		:: kind == TIMED -> pc = CALL; number = RESTART_SYSCALL; partly = true
		fi }
}

/* ---- safe_syscall_rewind() ----------------------------------------------------------- */

#ifdef BREAK_START_LATE
# define REWOUND BRANCH
#elif defined BREAK_START_EARLY
# define REWOUND ENTRY
#elif defined BREAK_GIVE_UP
# define REWOUND ABORT
#else
# define REWOUND START
#endif
#if defined BREAK_COMMIT_LATE
# define LAST COMMIT		/* taken for the window */
#elif defined BREAK_REWIND_DONE
# define LAST FINAL
#elif defined BREAK_COMMIT_EARLY
# define LAST BRANCH
#else
# define LAST CALL
#endif

/* RESTART_BLOCK */
#if defined BREAK_RESTART_BLOCK || defined BREAK_ANEW
# define HALFWAY false
#else
# define HALFWAY (pc == CALL && number == RESTART_SYSCALL)
#endif

inline rewind()
{
	if
#ifdef BREAK_NO_REWIND
	:: true
#else
	:: HALFWAY -> fail()
	:: !HALFWAY && pc >= START && pc <= LAST ->
		pc = REWOUND;
		loaded = loaded && REWOUND == BRANCH;
# ifdef BREAK_ANEW
		number = RIGHT
# endif
	:: else
#endif
	fi
}

/* ---- handlers ---------------------------------------------------------------------- */

byte signals = SIGNALS;

/* The kernel starts one. */
inline push(sa_restart)
{
	signals--;
	if
	:: pc != KERNEL
	:: pc == KERNEL && kind == RESTARTED && sa_restart -> pc = CALL
	:: pc == KERNEL && !(kind == RESTARTED && sa_restart) -> fail()
	fi;
	top = l
}

inline pop()
{
	forgotten = true;
	hooked = false; plain[l] = false;
	top = l - 1
}

proctype handler(byte l)
{
	bool hooked;

end:	do
	:: atomic { top == l - 1 && signals && pc != RETURNED ->
		if
		:: push(true)
#ifndef SA_RESTART	/* all have it */
		:: push(false)
#endif
		fi;
		if
		:: !plain[l - 1] -> hooked = true
		:: plain[l] = true
		fi };
		if
		:: atomic { top == l && !hooked -> pop() }
		:: top == l && hooked;
			if
#ifndef UNSET	/* no handler sets it */
			:: atomic { top == l -> flag = true }
#endif
			:: top == l
			fi;
			atomic { top == l ->
				if		/* else the context is a handler's */
				:: l == 1 -> rewind()
				:: else
				fi };
			if
#ifndef UNSET	/* no handler sets it */
			:: atomic { top == l -> flag = true }
#endif
			:: top == l
			fi;
			atomic { top == l -> pop() }
		fi
	od
}

init
{
	byte n;
	atomic {
#ifdef KIND
		kind = KIND;
#else
		if
		:: kind = RESTARTED
		:: kind = NEVER
		:: kind = TIMED
		fi;
#endif
		if
#ifndef UNSET
		:: flag = true
#endif
		:: skip
		fi;
		if
		:: comes = true
		:: skip
		fi;
		run stub();
		run stop();
		for (n : 1 .. LEVELS) {
			run handler(n)
		}
		n = 0
	}
}

/* Nothing can move any more: nobody sleeps who was told not to. */
active proctype watch()
{
end:	timeout ->
	assert(G1 || pc == RETURNED || !flag)
}

/* The guarantees once more, as formulas; LTL is the number of one. */
#define RETURNS(what) (pc == RETURNED && rax == what)
#if LTL == 1
ltl { [] (flag -> <> (pc == RETURNED)) }
#elif LTL == 2
ltl { [] (effects -> [] (effects == 1 && (pc == RETURNED -> rax == OK))) }
#elif LTL == 3
ltl { [] (effects -> [] !RETURNS(ERESTARTSYS)) }
#elif LTL == 4
ltl { !RETURNS(ERESTARTSYS) W flag }
#elif LTL == 5
ltl { (!RETURNS(EINTR) W eintr) && [] (eintr || partly -> [] !RETURNS(ERESTARTSYS)) }
#endif
