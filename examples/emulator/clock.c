/* SPDX-License-Identifier: MIT */
/*
 * clock.c - times: clocks, sleeping, timers, and futexes, which are waits.
 *
 * A time of the guest is two words, or in the newer calls two of 64 bits.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "emulator.h"
#include "guest.h"

#ifndef sigev_notify_thread_id		/* older C libraries lack the name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct timespec *time_get(const struct thread *t, uint32_t address, struct timespec *to)
{
	if (!address)
		return NULL;
	to->tv_sec = t->wide_time ? (time_t)get64(address) : (int32_t)get32(address);
	to->tv_nsec = (int32_t)(t->wide_time ? get64(address + 8) : get32(address + 4));
	return to;
}

void time_put(const struct thread *t, uint32_t address, const struct timespec *from)
{
	if (!address)
		return;
	if (t->wide_time) {
		put64(address, (uint64_t)from->tv_sec);
		put64(address + 8, (uint64_t)from->tv_nsec);
	} else {
		put32(address, (uint32_t)from->tv_sec);
		put32(address + 4, (uint32_t)from->tv_nsec);
	}
}

/* ---- clocks -------------------------------------------------------------- */

GUEST_CALL(clock_gettime)
{
	struct timespec now;

	if (clock_gettime((clockid_t)a[0], &now))
		return -errno;
	time_put(t, a[1], &now);
	return 0;
}

GUEST_CALL(clock_getres)
{
	struct timespec unit;

	if (clock_getres((clockid_t)a[0], &unit))
		return -errno;
	time_put(t, a[1], &unit);
	return 0;
}

GUEST_CALL(times)
{
	struct tms spent;
	uint32_t now = (uint32_t)times(&spent);

	const uint64_t words[] = {
		(uint64_t)spent.tms_utime, (uint64_t)spent.tms_stime,
		(uint64_t)spent.tms_cutime, (uint64_t)spent.tms_cstime
	};

	if (a[0])
		put_words(a[0], words, COUNT(words));
	return now;
}

/* ---- sleeping ------------------------------------------------------------ */

/*
 * One that did not begin, because a signal had been noted, is interrupted for
 * the guest, with all of its time left.
 */
static long sleep_by(struct thread *t, long clock, long flags, uint32_t want_at,
		     uint32_t rest_at)
{
	struct timespec want, rest;
	long result;

	if (!time_get(t, want_at, &want))
		return -EFAULT;
	rest = want;
	result = host_call(t, SYS_clock_nanosleep, clock, flags, &want, &rest);
	if ((result == -EINTR || result == -SAFE_ERESTARTSYS) && !(flags & TIMER_ABSTIME))
		time_put(t, rest_at, &rest);
	return result;
}

GUEST_CALL(nanosleep)
{
	return sleep_by(t, CLOCK_MONOTONIC, 0, a[0], a[1]);
}

GUEST_CALL(clock_nanosleep)
{
	return sleep_by(t, (clockid_t)a[0], (int)a[1], a[2], a[3]);
}

/* ---- timers -------------------------------------------------------------- */

static void get_value(uint32_t at, struct timeval *to)
{
	to->tv_sec = (int32_t)get32(at);
	to->tv_usec = (int32_t)get32(at + 4);
}

static void put_values(uint32_t at, const struct itimerval *v)
{
	const uint64_t words[] = {
		(uint64_t)v->it_interval.tv_sec, (uint64_t)v->it_interval.tv_usec,
		(uint64_t)v->it_value.tv_sec, (uint64_t)v->it_value.tv_usec
	};

	put_words(at, words, COUNT(words));
}

GUEST_CALL(setitimer)
{
	struct itimerval new = { { 0, 0 }, { 0, 0 } }, old;

	if (a[1]) {
		get_value(a[1], &new.it_interval);
		get_value(a[1] + 8, &new.it_value);
	}
	if (setitimer((int)a[0], &new, &old))
		return -errno;
	if (a[2])
		put_values(a[2], &old);
	return 0;
}

GUEST_CALL(getitimer)
{
	struct itimerval v;

	if (getitimer((int)a[0], &v))
		return -errno;
	put_values(a[1], &v);
	return 0;
}

/* Not every host has alarm(). */
GUEST_CALL(alarm)
{
	return alarm(a[0]);
}

GUEST_CALL(timer_create)
{
	struct sigevent event;
	int id;

	memset(&event, 0, sizeof event);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGALRM;
	if (a[1]) {
		event.sigev_value.sival_int = (int)get32(a[1]);
		event.sigev_signo = signal_to_host((int)get32(a[1] + 4));
		event.sigev_notify = (int)get32(a[1] + 8);
		event.sigev_notify_thread_id = (int)get32(a[1] + 12);
	}
	if (syscall(SYS_timer_create, (int)a[0], &event, &id))
		return -errno;
	put32(a[2], (uint32_t)id);
	return 0;
}

static uint32_t second(const struct thread *t, uint32_t at)
{
	return at ? at + (t->wide_time ? 16 : 8) : 0;
}

/* timer_settime and timerfd_settime, as the kernel has them */
static long set_timer(struct thread *t, const uint32_t *a, long call)
{
	struct itimerspec new, old;

	if (!time_get(t, a[2], &new.it_interval))
		return -EINVAL;
	time_get(t, second(t, a[2]), &new.it_value);
	if (syscall(call, (int)a[0], (int)a[1], &new, &old))
		return -errno;
	time_put(t, a[3], &old.it_interval);
	time_put(t, second(t, a[3]), &old.it_value);
	return 0;
}

static long get_timer(struct thread *t, const uint32_t *a, long call)
{
	struct itimerspec v;

	if (syscall(call, (int)a[0], &v))
		return -errno;
	time_put(t, a[1], &v.it_interval);
	time_put(t, second(t, a[1]), &v.it_value);
	return 0;
}

GUEST_CALL(timer_settime)
{
	return set_timer(t, a, SYS_timer_settime);
}

GUEST_CALL(timer_gettime)
{
	return get_timer(t, a, SYS_timer_gettime);
}

GUEST_CALL(timerfd_settime)
{
	return set_timer(t, a, SYS_timerfd_settime);
}

GUEST_CALL(timerfd_gettime)
{
	return get_timer(t, a, SYS_timerfd_gettime);
}

/* ---- futex --------------------------------------------------------------- */

/*
 * The kernel compares the word, which is in the guest's byte order, so the
 * value is turned round with it.  Operations that calculate with the word, or put
 * thread numbers into it, can't be had in the other order.
 */
GUEST_CALL(futex)
{
	long op = (int)a[1], value = a[2], value3 = a[5];
	struct timespec room, *limit = NULL;
	uint32_t *word = host(a[0]);

	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		limit = time_get(t, a[3], &room);
		t->restart = limit ? RESTART_NOHAND : RESTART_SYS;
		return host_call(t, SYS_futex, word, op, (long)order32(a[2]), limit, 0L,
				 value3);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		return direct(syscall(SYS_futex, word, op, value, NULL, NULL, value3));
	case FUTEX_CMP_REQUEUE:
		value3 = order32(a[5]);
		/* fall through */
	case FUTEX_REQUEUE:
		return direct(syscall(SYS_futex, word, op, value, (long)a[3], host(a[4]),
				      value3));
	case FUTEX_WAKE_OP:
		if (swapped)
			return -ENOSYS;
		return direct(syscall(SYS_futex, word, op, value, (long)a[3], host(a[4]),
				      value3));
	}
	return -ENOSYS;
}
