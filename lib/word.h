/* SPDX-License-Identifier: MIT */
/*
 * word.h - ss_state of a scope: what has become of it, and who is sending an
 * interrupt for it at the moment.
 */
#ifndef SS_WORD_H
#define SS_WORD_H

#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <safe_syscall.h>
#include "window.h"
#include "process.h"

#define SS_INTERRUPTED ((AO_t)1)	/* until rearm */
/* The thread has been told, or there was none: it need not be told again. */
#define SS_SENT ((AO_t)2)
#define SS_DEADLINE ((AO_t)4)		/* one is to come: ss_deadline, s and ns */
#define SS_BY_DEADLINE ((AO_t)8)	/* interrupted by it, and by nobody before */
/* Taken back, but a signal of it may be on its way: leave() is to look. */
#define SS_REARMED ((AO_t)16)
/* One of those who are counted, or were with them, could not send. */
#define SS_UNSENT ((AO_t)32)
/*
 * The rest counts those in safe_syscall_interrupt(), and in its upper part says in which
 * process.  A child of fork finds them counted too, who are threads of the parent
 * and will never be done here.
 */
#define SS_SENDER ((AO_t)1 << 8)
#define SS_PROCESS ((AO_t)1 << (sizeof(AO_t) == 8 ? 32 : 20))

/*
 * The compare-and-swap of libatomic_ops orders what comes before and after it, but
 * not on every machine the store in it and a load that comes after.
 */
#ifdef SS_ARCH_SWAP_IS_A_BARRIER
# define ss_barrier_after_swap() ((void)0)
#else
# define ss_barrier_after_swap() AO_nop_full()
#endif

/* Clears bits, then sets bits; returns the word as it was. */
SS_HIDDEN AO_t ss_change(safe_syscall_scope *scope, AO_t clear, AO_t set);

/* Marks the scope, and counts one more sender.  0: somebody has sent, don't. */
SS_HIDDEN int ss_add_sender(safe_syscall_scope *scope);
/* One less.  failed: the signal was not sent, so the next one is to try again. */
SS_HIDDEN void ss_remove_sender(safe_syscall_scope *scope, int failed);

/* Its deadline has come. */
SS_HIDDEN void ss_expire(safe_syscall_scope *scope);
/* Clears SS_REARMED, unless a sender is counted. */
SS_HIDDEN void ss_rearm_is_over(safe_syscall_scope *scope);
/* In a child of fork: those that are counted in the parent only. */
SS_HIDDEN void ss_forget_senders(safe_syscall_scope *scope);

/* Until no sender is counted, or for that many rounds; negative: as long as it takes. */
SS_HIDDEN void ss_wait_for_senders(const safe_syscall_scope *scope, int rounds);
/* One round of waiting for another thread: so many of them yield, the others sleep. */
enum { SS_YIELDS = 64 };
SS_HIDDEN void ss_wait(int round);

#endif
