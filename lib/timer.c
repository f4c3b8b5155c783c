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

/* As the kernel has it, whatever the C library does.  Without the call it has no other. */
#ifdef SYS_timer_settime64
# define SET_TIME SYS_timer_settime64
struct times {
	long long interval[2], value[2];
};
#else
# define SET_TIME SYS_timer_settime
# define times itimerspec
#endif

/*
 * The first pause is about what a short handler takes.  The others grow so that
 * each is half of the time that has passed: the interrupt is late by no more than half
 * of what a handler of others has held it up, and a call in that handler which fails with
 * EINTR each time, and is made again with the same time-out, comes to its end between two
 * signals, in four times its time.
 */
enum { FIRST_PAUSE = 10000, PART = 2, SECOND = 1000000000 };	/* ns */

/* A timer of the kernel's, for this thread: the C library's own may allocate memory. */
static int make(void)
{
	struct sigevent event;

	if (!ss_thread.has_key)		/* it would outlive the thread */
		return -1;
	memset(&event, 0, sizeof event);
	event.sigev_signo = ss_signal();
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_notify_thread_id = (pid_t)AO_load(&ss_thread.tid);
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &ss_thread.timer.id))
		return -1;
	ss_thread.timer.made = 1;
	return 0;
}

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * (long long)SECOND + ts.tv_nsec;
}

static long long deadline(const safe_syscall_scope *scope)
{
	return (long long)scope->ss_deadline[0] * SECOND + (long long)scope->ss_deadline[1];
}

/* The deadline of one that is being entered is of the time before, and enter() drops it. */
static int has_deadline(const safe_syscall_scope *scope)
{
	return AO_load(&scope->ss_state) & SS_DEADLINE && scope != ss_thread.entering;
}

/* The earliest of the deadlines; 0: there is none. */
static long long earliest(void)
{
	long long when = 0;
	const safe_syscall_scope *s;

	for (s = ss_innermost(); s; s = ss_around(s))
		if (has_deadline(s) && (!when || deadline(s) < when))
			when = deadline(s);
	return when;
}

/* 0: not at all. */
static int set(long long when)
{
	const struct times spec = { { 0, 0 }, { when / SECOND, when % SECOND } };

	if (!when && !ss_thread.timer.armed)
		return 0;
	/* the id is one of the parent's timers */
	if (ss_process_is_vforked())
		return -1;
	if (!ss_thread.timer.made && make())
		return -1;
	ss_thread.timer.armed = when != 0;
	return (int)syscall(SET_TIME, (long)ss_thread.timer.id, (long)TIMER_ABSTIME, &spec,
			    NULL);
}

/*
 * It fires at the earliest time wanted.  Its handler looks at the clock to see which
 * reasons have come.
 */
int ss_timer_set(void)
{
	long long when = earliest(), again = ss_thread.timer.again;

	ss_thread.timed = when != 0;
	if (ss_thread.timer.pause && (!when || again < when))
		when = again;
	return set(when);
}

/* A signal that comes before its time, for another reason, does not make the pause longer. */
int ss_timer_again(void)
{
	long long pause = ss_thread.timer.pause, time = now();

	if (!pause || time >= ss_thread.timer.again) {
		ss_thread.timer.pause = pause ? pause + pause / PART : FIRST_PAUSE;
		ss_thread.timer.again = time + ss_thread.timer.pause;
	}
	return ss_timer_set();
}

void ss_timer_off(void)
{
	ss_thread.timer.pause = 0;
	ss_timer_set();
}

int ss_timer_expire(void)
{
	int expired = 0;
	long long time = 0;
	safe_syscall_scope *s;

	for (s = ss_innermost(); s; s = ss_around(s)) {
		if (!has_deadline(s))
			continue;
		time = time ? time : now();
		if (deadline(s) <= time) {
			ss_expire(s);
			expired = 1;
		}
	}
	return expired;
}

/* A signal that is blocked, in a handler of others for instance, does not tell. */
void ss_timer_look(void)
{
	long long when = earliest();
	int error = errno;
	sigset_t old;

	if (!when || when > now())
		return;
	ss_signals_block(&old);
	ss_timer_expire();
	if (ss_interrupted_here())
		ss_thread.flag = 1;
	ss_signals_restore(&old);
	errno = error;
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
