/* SPDX-License-Identifier: MIT */
/* fork.c - see fork.h */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fork.h"

/*
 * This thread is the first of its process, and in the scopes that it was in.  Whoever was
 * sending for one has not come along, nor have signals that were pending, nor timers.
 * So where one is interrupted, send once more.
 */
static void thread_forked(void)
{
	safe_syscall_scope *s;
	int error = errno;
	sigset_t old;

	ss_signals_block(&old);
	AO_store(&ss_thread.tid, (AO_t)syscall(SYS_gettid));
	AO_store(&ss_thread.generation, AO_load(&ss_process->generation));
	for (s = ss_innermost(); s; s = ss_around(s))
		ss_forget_senders(s);
	ss_timer_forget();
	ss_timer_expire();
	ss_timer_set();
	if (ss_set_flag() && ss_signal())
		ss_send_to_self();
	ss_signals_restore(&old);
	errno = error;
}

void ss_fork_check(void)
{
	if (!AO_load(&ss_process->generation))
		ss_process_forked();
	if (AO_load(&ss_thread.tid) &&
	    AO_load(&ss_thread.generation) != AO_load(&ss_process->generation))
		thread_forked();
}

/*
 * A thread may have marked a scope, and not set the flag yet, when this one forks: in the
 * child nobody sets it.  A handler may come in the child before safe_syscall_forked(), and
 * make a call: with the flag set, that call looks at the scopes.
 */
static void before_fork(void)
{
	ss_thread.flag = 1;
}

void safe_syscall_forked(void)
{
	ss_process_forked();
	ss_fork_check();
}

void ss_fork_start(void)
{
	ss_process_start();
	pthread_atfork(before_fork, NULL, safe_syscall_forked);
}

/*
 * A futex with inheritance of priority: the holder may be a thread of a lower one, which
 * would not get the processor otherwise.  The word is 0 or the holder's id, in the
 * half that the kernel looks at.  A kernel that has none gets by with waiting.
 */
static long futex(int operation, AO_t *word)
{
	int *half = (void *)word;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	half += sizeof *word / sizeof *half - 1;
#endif
	return syscall(SYS_futex, half, operation, 0L, NULL, NULL, 0L);
}

/*
 * There is no such thread: the holder was a child of vfork, and was killed.  The kernel may
 * have set a bit for those who wait, and nobody does.
 *
 * An emulator may hand the futex to a kernel of the other byte order, which knows of no
 * thread at all: one that knows us says of a lock of ours that we would wait for ourselves.
 */
static int take_over(AO_t holder, AO_t id)
{
	AO_t now = AO_load(&ss_process->lock), own = id;

	return (now & FUTEX_TID_MASK) == (holder & FUTEX_TID_MASK) &&
		futex(FUTEX_LOCK_PI_PRIVATE, &own) && errno == EDEADLK &&
		AO_compare_and_swap_full(&ss_process->lock, now, id);
}

void ss_lock(sigset_t *old)
{
	int error = errno, i;
	AO_t holder, id;

	ss_signals_block(old);
	ss_fork_check();
	id = (AO_t)syscall(SYS_gettid);
	for (i = 0; !AO_compare_and_swap_full(&ss_process->lock, 0, id); i += i < INT_MAX) {
		holder = AO_load(&ss_process->lock);
		if (!futex(FUTEX_LOCK_PI_PRIVATE, &ss_process->lock))
			break;
		if (errno == ESRCH && take_over(holder, id))
			break;
		ss_wait(i);
	}
	errno = error;
}

void ss_unlock(const sigset_t *old)
{
	int error = errno;

	/* a kernel that does not know who holds it (an emulator's) has nobody to pass it to */
	if (!AO_compare_and_swap_full(&ss_process->lock,
				      (AO_t)syscall(SYS_gettid), 0) &&
	    futex(FUTEX_UNLOCK_PI_PRIVATE, &ss_process->lock))
		AO_store_release(&ss_process->lock, 0);
	ss_signals_restore(old);
	errno = error;
}
