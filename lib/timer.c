/* SPDX-License-Identifier: MIT */
/* timer.c - see timer.h */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "timer.h"

#ifndef SIGEV_THREAD_ID
# define SIGEV_THREAD_ID 4
#endif
#ifndef sigev_notify_thread_id
# define sigev_notify_thread_id _sigev_un._tid
#endif

/* As the kernel has it, on every ABI that has no other. */
struct times {
	long long interval[2], value[2];
};
#ifdef SYS_timer_settime64
# define SET_TIME SYS_timer_settime64
#else
# define SET_TIME SYS_timer_settime
#endif

/*
 * The first pause is about what a short handler takes.  The others grow so that
 * each is a 32nd of the time that has passed: the interrupt is not late by more of
 * what a handler of others has held it up, and a call in that handler which
 * fails with EINTR each time, and is made again with the same time-out, comes to its
 * end between two signals.
 */
enum { FIRST_PAUSE = 10000, PART = 32, SECOND = 1000000000 };	/* ns */

/* A timer of the kernel's, for this thread: the C library's own may allocate memory. */
static int make(void)
{
	struct sigevent event;

	memset(&event, 0, sizeof event);
	event.sigev_signo = ss_signal();
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_notify_thread_id = (pid_t)AO_load(&ss_thread.tid);
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &ss_thread.timer.id))
		return -1;
	ss_thread.timer.made = 1;
	return 0;
}

static int set(long long ns)
{
	const struct times times = { { 0, 0 }, { ns / SECOND, ns % SECOND } };

	return (int)syscall(SET_TIME, (long)ss_thread.timer.id, 0L, &times, NULL);
}

int ss_timer_again(void)
{
	long long pause = ss_thread.timer.pause;

	/* a child of vfork, which has the parent's memory but not its timers */
	if ((AO_t)getpid() != AO_load(&ss_process->pid))
		return -1;
	if (!ss_thread.timer.made && make())
		return -1;
	pause = ss_thread.timer.armed ? pause + pause / PART : FIRST_PAUSE;
	ss_thread.timer.pause = pause;
	ss_thread.timer.armed = 1;
	return set(pause);
}

int ss_timer_off(void)
{
	int armed = ss_thread.timer.armed;

	if (armed)
		set(0);
	ss_thread.timer.armed = 0;
	return armed;
}

void ss_timer_forget(void)
{
	memset(&ss_thread.timer, 0, sizeof ss_thread.timer);
}

void ss_timer_delete(void)
{
	if (ss_thread.timer.made)
		syscall(SYS_timer_delete, (long)ss_thread.timer.id);
	ss_timer_forget();
}
