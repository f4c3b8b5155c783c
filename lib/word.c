/* SPDX-License-Identifier: MIT */
/* word.c - see word.h */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "word.h"

#if !defined AO_HAVE_compare_and_swap_full || !defined AO_HAVE_nop_full || \
	!defined AO_HAVE_load_acquire || !defined AO_HAVE_store_release
# error "libatomic_ops has no atomic operations for this machine"
#endif

/* The public type must not depend on atomic_ops.h. */
typedef char ss_state_is_an_AO_t[sizeof(AO_t) == sizeof(size_t) &&
				 sizeof(AO_t) == sizeof(void *) ? 1 : -1];

AO_t ss_change(safe_syscall_scope *scope, AO_t clear, AO_t set)
{
	AO_t old;

	do
		old = AO_load(&scope->ss_state);
	while (!AO_compare_and_swap_full(&scope->ss_state, old, (old & ~clear) | set));
	return old;
}

static AO_t this_process(void)
{
	return AO_load(&ss_process->generation) * SS_PROCESS;
}

/* Times SS_SENDER. */
static AO_t senders(AO_t state)
{
	return (state & -SS_PROCESS) == this_process() ?
		state & (SS_PROCESS - 1) & -SS_SENDER : 0;
}

static AO_t with_senders(AO_t state, AO_t n)
{
	state &= SS_SENDER - 1;
	return n ? state | n | this_process() : state;
}

int ss_add_sender(safe_syscall_scope *scope)
{
	AO_t old, n;
	int i = 0;

	do {
		old = AO_load(&scope->ss_state);
		if (old & SS_SENT)
			return 0;
		n = senders(old) + SS_SENDER;
		if (n == SS_PROCESS)
			ss_wait(i++);
	} while (n == SS_PROCESS ||
		 !AO_compare_and_swap_full(&scope->ss_state, old,
					   with_senders(old | SS_INTERRUPTED, n)));
	ss_barrier_after_swap();
	return 1;
}

/*
 * The last one out says that it was sent: each of those before may have sent for an
 * interrupt that was taken back, and set again by one that has not sent yet, or could not.
 *
 * Nobody is counted where the sender itself has forked, in a handler of a fault.
 */
void ss_remove_sender(safe_syscall_scope *scope, int failed)
{
	AO_t old, new, n, unsent, sent;

	do {
		old = AO_load(&scope->ss_state);
		n = senders(old);
		n -= n ? SS_SENDER : 0;
		unsent = failed ? SS_UNSENT : old & SS_UNSENT;
		sent = old & SS_INTERRUPTED && !n && !unsent ? SS_SENT : 0;
		new = (old & ~SS_UNSENT) | (n ? unsent : 0) | sent;
	} while (!AO_compare_and_swap_full(&scope->ss_state, old, with_senders(new, n)));
}

void ss_expire(safe_syscall_scope *scope)
{
	AO_t old, set;

	do {
		old = AO_load(&scope->ss_state);
		set = SS_INTERRUPTED | SS_SENT | (old & SS_INTERRUPTED ? 0 : SS_BY_DEADLINE);
	} while (!AO_compare_and_swap_full(&scope->ss_state, old, (old & ~SS_DEADLINE) | set));
}

void ss_rearm_is_over(safe_syscall_scope *scope)
{
	AO_t old;

	do
		old = AO_load(&scope->ss_state);
	while (!senders(old) &&
	       !AO_compare_and_swap_full(&scope->ss_state, old, old & ~SS_REARMED));
}

/* So that the count of forks may wrap round, on 32 bits. */
void ss_forget_senders(safe_syscall_scope *scope)
{
	AO_t old;

	do
		old = AO_load(&scope->ss_state);
	while (!AO_compare_and_swap_full(&scope->ss_state, old,
					 with_senders(old, senders(old))));
}

void ss_wait_for_senders(const safe_syscall_scope *scope, int rounds)
{
	int i;

	for (i = 0; rounds < 0 || i < rounds; i += i < INT_MAX) {
		if (!senders(AO_load_acquire(&scope->ss_state)))
			return;
		ss_wait(i);
	}
}

/*
 * Whoever is waited for needs the processor, which the priority of the thread that
 * waits may be keeping from it: sleep when yielding does not help.  On a futex that
 * nobody wakes, since the C library's ways to sleep are points of cancellation.
 */
void ss_wait(int round)
{
	static const int word;
	int error = errno;

	if (round < SS_YIELDS) {
		sched_yield();
	} else {
#ifdef SYS_futex_time64
		static const long long nap[2] = { 0, 50000 };

		if (syscall(SYS_futex_time64, &word, FUTEX_WAIT_PRIVATE, 0L, nap, NULL, 0L) &&
		    errno == ENOSYS)		/* before Linux 5.1 */
			sched_yield();
#else
		static const struct timespec nap = { 0, 50000 };

		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0L, &nap, NULL, 0L);
#endif
	}
	errno = error;
}
