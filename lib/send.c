/* SPDX-License-Identifier: MIT */
/* send.c - see send.h */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "send.h"

/*
 * A child of fork that ran no atfork handler has an id of the parent's: the thread that
 * forked has become the first of its process, whose id is the process's.
 */
static pid_t tid_of(const struct ss_thread *thread)
{
	pid_t tid = (pid_t)AO_load_acquire(&thread->tid);

	return !tid || AO_load(&thread->generation) == AO_load(&ss_process->generation) ?
		tid : (pid_t)AO_load(&ss_process->pid);
}

/*
 * Not getpid(): in a child of vfork the threads that there are to interrupt are the
 * parent's.
 *
 * EAGAIN: the signal is a real-time one and the user's queue is full.  What fills it may
 * be for this thread, which has all signals blocked here: so give up after some attempts.
 */
enum { ATTEMPTS = 100 };

int ss_send(const struct ss_thread *thread)
{
	int error = errno, failed = 0, i;
	pid_t tid = tid_of(thread);

	for (i = 0; tid && i < ATTEMPTS; i++) {
		failed = 0;
		if (!syscall(SYS_tgkill, (pid_t)AO_load(&ss_process->pid), tid, ss_signal()))
			break;
		failed = errno == ESRCH ? 0 : errno;
		if (failed != EAGAIN)
			break;
		ss_wait(i);
	}
	errno = error;
	return failed;
}

/* As if by kill(2), which needs no place in the queue. */
void ss_send_to_self(void)
{
	int error = errno;
	siginfo_t info;

	memset(&info, 0, sizeof info);
	info.si_code = SI_USER;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)AO_load(&ss_thread.tid),
		    ss_signal(), &info))
		ss_send(&ss_thread);
	errno = error;
}

/*
 * Where a scope is interrupted still, send in any case: what was taken may have been for
 * that; to set a timer drops what it has sent, and with it what others have sent meanwhile,
 * as one signal stands for both; and no timer tells of a deadline that was noticed here.
 */
void ss_drain(void)
{
	static const long long none[2];		/* larger than any timespec */
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, ss_signal());
	/* not sigtimedwait(), where a thread can be cancelled */
	while (syscall(SYS_rt_sigtimedwait, &set, NULL, none, _NSIG / 8) > 0)
		;
	if (ss_timer_expire())
		ss_timer_set();
	if (ss_set_flag())
		ss_send_to_self();
}

/* The timer first: what it has sent is pending then, and no more comes but for deadlines. */
void ss_take_back(void)
{
	int error = errno;
	sigset_t old;

	if (!ss_signal())
		return;
	ss_signals_block(&old);
	ss_timer_off();
	ss_drain();
	if (ss_thread.held)
		sigdelset(&old, ss_signal());
	ss_signals_restore(&old);
	errno = error;
}
