/* SPDX-License-Identifier: MIT */
/*
 * clock.c - what waits for a time: sleeping, alarms, futexes.
 *
 * A time of the guest is two words, or in the newer calls two of 64 bits; the
 * letter t of struct_get() is for both.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "emulator.h"

/*
 * nanosleep, clock_nanosleep.  One that did not begin, because a signal had been
 * noted, is interrupted for the guest, with all of its time left.
 */
GUEST_CALL(clock_nanosleep)
{
	struct timespec want, rest;
	long result;

	if (!struct_get(t, 't', a[2], &want))
		return -EFAULT;
	rest = want;
	result = host_call(t, SYS_clock_nanosleep, (long)(int)a[0], (long)a[1], &want,
			   &rest);
	if ((result == -EINTR || result == -SAFE_ERESTARTSYS) && !(a[1] & TIMER_ABSTIME))
		struct_put(t, 't', a[3], &rest);
	return result;
}

/* Not every host has alarm(). */
GUEST_CALL(alarm)
{
	return alarm(a[0]);
}

/*
 * The kernel compares the word, which is in the guest's byte order, so the
 * value is turned round with it.  Operations that calculate with the word, or put
 * thread numbers into it, can't be had in the other order, and are not here.
 */
GUEST_CALL(futex)
{
	long op = (int)a[1], value = a[2], value3 = a[5];
	struct timespec room, *limit = NULL;
	uint32_t *word = host(a[0]);

	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		limit = struct_get(t, 't', a[3], &room);
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
	}
	return -ENOSYS;
}
