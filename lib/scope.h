/* SPDX-License-Identifier: MIT */
/* scope.h - what scope.c and signal.c, the two halves of layer 3, share */
#ifndef SS_SCOPE_H
#define SS_SCOPE_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include <atomic_ops.h>

#include <safe_syscall.h>

/*
 * safe_syscall_scope.ss_state.  The stub comes back when any bit is set in the
 * lower 32.  The upper half is for those in safe_syscall_interrupt(); where a
 * word has 32 bits only, they keep the stub from its call while they are there.
 *
 * A quarter of the word counts them, and the last one says in which process: a
 * child of fork finds counted those of its parent, who will never be done here.
 * It is the number of forks that led to the process.
 */
#define SS_INTERRUPTED ((AO_t)1)	/* this scope is; by any thread */
#define SS_WAKE ((AO_t)2)		/* one around it may be: look, then clear */
#define SS_SENDER ((AO_t)1 << (sizeof(AO_t) * 4))
#define SS_PROCESS ((AO_t)1 << (sizeof(AO_t) * 6))

/*
 * safe_syscall_scope.ss_around: 0 when the scope is not entered, else the scope
 * around it, and this for the outermost, a thread's own.
 */
#define SS_NONE ((AO_t)1)

/*
 * A thread's own.  Only the thread itself and the handlers that run on it change
 * it, so nothing but own is atomic, but a handler can come between any two
 * accesses.
 */
struct ss_thread {
	safe_syscall_scope own;		/* has ss_tid, 0 before it is asked for */
	safe_syscall_scope *current;	/* handlers only read it */
	const struct ss_call *volatile inside;	/* the safe_syscall() under way */
	const struct ss_call *volatile beneath;	/* the one that was when it began */
	volatile uintptr_t requeued;	/* signal.c: blocked, and sent again */
};

extern __thread struct ss_thread ss_thread
	__attribute__((visibility("hidden"), tls_model("initial-exec")));

#define SS_HIDDEN __attribute__((visibility("hidden")))

/* To be done once in a process. */
SS_HIDDEN void ss_library_start(void);
/* The calling thread's id. */
SS_HIDDEN pid_t ss_tid(void);
/* Is the current scope or one around it interrupted? */
SS_HIDDEN int ss_interrupted_here(void);
/* Make the scopes inside an interrupted one look. */
SS_HIDDEN void ss_wake_inner(void);
/* Make the current one look. */
SS_HIDDEN void ss_wake_current(void);

/* One more round of waiting for another thread. */
SS_HIDDEN void ss_wait(int round);

/* 0 before safe_syscall_init(). */
extern SS_HIDDEN AO_t ss_interrupt_signal;
static inline int ss_signal(void)
{
	return (int)AO_load_acquire(&ss_interrupt_signal);
}
/* Not even those that the C library keeps to itself can come before they are
 * restored. */
SS_HIDDEN void ss_signals_block(sigset_t *old);
SS_HIDDEN void ss_signals_restore(const sigset_t *old);
SS_HIDDEN void ss_signal_send(pid_t tid);
/* In a child of fork. */
SS_HIDDEN void ss_signal_forked(void);
/* Take back what was sent to this thread and has not arrived. */
SS_HIDDEN void ss_signal_drain(void);
/* Undo what ss_thread.requeued tells of; here, or for good, and for that not in a
 * handler of others. */
SS_HIDDEN void ss_signal_repair(int for_good);

#endif
