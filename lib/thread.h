/* SPDX-License-Identifier: MIT */
/* thread.h - a thread's scopes and calls, and the process that it is a thread of */
#ifndef SS_THREAD_H
#define SS_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include "word.h"

/* Slow paths, called last and never inlined, so that the fast ones need no stack. */
#define SS_COLD __attribute__((noinline, cold))

/* ss_around of the outermost scope, a thread's own. */
#define SS_OUTERMOST ((AO_t)1)

/*
 * One safe_syscall() under way, on the stack.  Nobody tells when it has been left by
 * siglongjmp(): but then its memory is used again sooner or later, and the mark is
 * overwritten.
 */
struct ss_call {
	long number;
	safe_syscall_word arg[SAFE_SYSCALL_ARGUMENTS];
	volatile int mark;
	size_t cleared;		/* ss_thread.cleared when it was made */
	uintptr_t sp;		/* of the function that calls the stub */
};

#define SS_MARK 0x5afe5ca1

/*
 * ss_thread.call: 0 when no call is under way, else the last one's record, with this
 * bit where others may lie beneath it; or this bit alone, when the last one is over.
 */
#define SS_BENEATH ((uintptr_t)1)
/* The interrupt signal may be blocked on this thread. */
#define SS_FIRST ((uintptr_t)2)
#define SS_TAGS (SS_BENEATH | SS_FIRST)

/*
 * Other threads come to it by its own scope.  They read tid and generation, and set flag,
 * and do no more.  The rest belongs to the thread and the handlers that run on it, one
 * of which can come between any two accesses: that takes order, but no atomics.
 */
struct ss_thread {
	safe_syscall_scope own;		/* the first member, see ss_thread_of() */
	/*
	 * Stands between the own scope and those that are entered, so that
	 * the own one is never current, and leave() need not ask whether it is.
	 */
	safe_syscall_scope base;
	safe_syscall_scope *current;		/* handlers only read it */
	safe_syscall_scope *volatile entering;	/* safe_syscall_enter() is at work on it */
	volatile uintptr_t call;
	/*
	 * What the stub looks at: a scope of the thread may be interrupted.  Who
	 * interrupts one sets it after that; only the thread itself clears it, when it
	 * has found that none is, and counts how often.
	 */
	volatile int flag;
	volatile size_t cleared;
	volatile int sending;		/* in safe_syscall_interrupt() */
	volatile int hooked;		/* in a wrapped handler, or that was jumped out of */
	/* Why each call takes the slow path. */
	union {
		volatile uintptr_t slow;
		struct {
			volatile char held;	/* the signal, see hook.c, until an interrupted scope is left */
			volatile char timed;	/* a scope has a deadline */
		};
	};
	volatile int was_blocked;	/* the signal, when the library was used first */
	volatile int has_key;
	AO_t tid;			/* 0 before it is asked for, and after the end */
	AO_t generation;		/* of the process in which it has that id */
	struct {
		int made, armed, id;
		long long pause, again;
	} timer;			/* timer.c */
};

/* glibc allocates other thread-local storage when it is used first, maybe in a handler. */
#ifdef __GLIBC__
# define SS_TLS __attribute__((visibility("hidden"), tls_model("initial-exec")))
#else
# define SS_TLS SS_HIDDEN
#endif
extern __thread struct ss_thread ss_thread SS_TLS;

/* The current scope of a thread that has not entered any. */
extern SS_HIDDEN safe_syscall_scope ss_not_started;

/* 0 before safe_syscall_init(). */
extern SS_HIDDEN AO_t ss_interrupt_signal;
static inline int ss_signal(void)
{
	return (int)AO_load_acquire(&ss_interrupt_signal);
}

/* The one way to fail. */
SS_HIDDEN SS_COLD int ss_fail(int error);

/* The scope around it; null for the outermost, and for one that is not entered. */
static inline safe_syscall_scope *ss_around(const safe_syscall_scope *scope)
{
	AO_t word = AO_load_acquire(&scope->ss_around);

	return word == SS_OUTERMOST ? NULL : (safe_syscall_scope *)word;
}

/* The thread that is in it, or null. */
SS_HIDDEN struct ss_thread *ss_thread_of(safe_syscall_scope *scope);

/* The one in which a call of this thread is made. */
SS_HIDDEN safe_syscall_scope *ss_innermost(void);
/* Is the scope one of this thread's? */
SS_HIDDEN int ss_is_ours(const safe_syscall_scope *scope);
/* Is one of this thread's scopes interrupted? */
SS_HIDDEN int ss_interrupted_here(void);
/* The same, and flag is what it says then.  While signals are blocked. */
SS_HIDDEN int ss_set_flag(void);

/* Does the address, of which nothing is known, lead to this thread's own scope? */
SS_HIDDEN int ss_leads_to_us(const safe_syscall_scope *scope);

/* Is the memory of the call's record used for something else, as far as can be told? */
SS_HIDDEN int ss_call_is_over(uintptr_t tagged, const struct ss_call *new_call);
/*
 * Tagged as ss_thread.call: what of it lies beneath a handler that has interrupted this
 * context, and will not look at the flag when that returns.
 */
SS_HIDDEN uintptr_t ss_calls_beneath(const ucontext_t *uc, enum safe_syscall_phase phase);

/* One that an instruction causes: blocked then, it kills. */
SS_HIDDEN int ss_is_synchronous(int signum);
/* All signals but those; also the ones that the C library keeps to itself. */
SS_HIDDEN void ss_signals_all(sigset_t *set);
SS_HIDDEN void ss_signals_block(sigset_t *old);
SS_HIDDEN void ss_signals_restore(const sigset_t *old);
/* Returns whether it was blocked. */
SS_HIDDEN int ss_signal_unblock(void);

/* What is to be done once on a thread. */
SS_HIDDEN void ss_thread_start(void);
/* Has thread_ends() called when the thread ends.  Not in a handler.  0, or -1 and EAGAIN. */
SS_HIDDEN int ss_thread_set_key(void);
SS_HIDDEN int ss_thread_make_key(void (*thread_ends)(void *));
/* The object that holds this code is never unloaded from now on.  Not in a handler. */
SS_HIDDEN void ss_pin(void);

#endif
