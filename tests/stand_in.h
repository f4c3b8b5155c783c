/* SPDX-License-Identifier: MIT */
/*
 * stand_in.h - stands in for the C library's syscall(3), by which the library makes
 * its own system calls: a test sees them, and can let one take long or fail.
 */
#ifndef STAND_IN_H
#define STAND_IN_H

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#include <safe_syscall.h>

/* What is to be done first; an errno: that instead of the call. */
static int (*before_syscall)(long number);
/* And when it has been made. */
static void (*after_syscall)(long number);

/*
 * A pointer above 2 GiB is no negative number where the words are wider, on x32; on n32 there
 * are none, and the kernel wants numbers with their sign.
 */
#if defined __x86_64__ && defined __ILP32__
typedef unsigned long stand_in_word;
#else
typedef long stand_in_word;
#endif

/* It reads more arguments than there are. */
#ifdef __has_attribute
# if __has_attribute(no_sanitize)
__attribute__((no_sanitize("address")))
# endif
#endif
long syscall(long number, ...)
{
	static const volatile int never;
	safe_syscall_word a[SAFE_SYSCALL_ARGUMENTS] = { 0 };
	long result;
	va_list list;
	int i, error = errno;

	va_start(list, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(list, stand_in_word);
	va_end(list);
	result = before_syscall ? -before_syscall(number) : 0;
	if (!result)
		result = safe_syscall_rawv(&never, number, a);
	if (after_syscall)
		after_syscall(number);
	errno = error;
	if (result >= 0 || result < -4095)
		return result;
	errno = (int)-result;
	return -1;
}

/*
 * A thread that sets may_get_stuck gets stuck in its next call of that number but so
 * many, until all are released.
 */
static __thread int may_get_stuck;
static volatile long stuck_at;
static volatile int let_through, stuck, released;

static inline int get_stuck(long number)
{
	if (!may_get_stuck || number != stuck_at || may_get_stuck++ <= let_through)
		return 0;
	__sync_fetch_and_add(&stuck, 1);
	while (!released)
		if (stuck < 4)
			sched_yield();
		else		/* the more there are, the longer: they share a processor */
			poll(NULL, 0, 1 + stuck / 8);
	return 0;
}

#endif
