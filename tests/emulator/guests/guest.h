/* SPDX-License-Identifier: MIT */
/*
 * guest.h - what the guest programs have in common.
 *
 * A guest prints one line for each thing it looks at, the same in every run
 * and on every machine, and exits with 1 when one of them was wrong.  All but
 * those that name MIPS registers can be compiled for any Linux, and are right
 * there: what they say is what a kernel does.
 */
#ifndef GUEST_H
#define GUEST_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int guest_failed;

/* In lines: what a child has not written yet would be written by both. */
__attribute__((constructor, unused)) static void guest_begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}

__attribute__((unused)) static int guest_end(void)
{
	fflush(stdout);
	return guest_failed != 0;
}

/*
 * Not by stdio, which loses the line when a signal interrupts the write, as one of a timer does that
 * a guest has left running.
 */
__attribute__((unused, format(printf, 1, 2))) static void guest_say(const char *format, ...)
{
	int error = errno;
	size_t length, at = 0;
	char line[1024];
	ssize_t n;
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	fflush(stdout);
	for (length = strlen(line); at < length; at += n > 0 ? n : 0) {
		n = write(1, line + at, length - at);
		if (n < 0 && errno != EINTR)
			break;
	}
	errno = error;
}

__attribute__((unused)) static void guest_want(const char *what, long long got, long long wanted,
					       int error)
{
	if (got == wanted) {
		guest_say("ok %s\n", what);
		return;
	}
	guest_failed = 1;
	guest_say("FAILED %s: %lld, not %lld (errno %d)\n", what, got, wanted, error);
}

#define want(call, value) \
	do { \
		long long got_ = (long long)(call); \
		guest_want(#call, got_, (long long)(value), errno); \
	} while (0)

/* The call fails, and errno says so. */
#define want_error(call, number) \
	do { \
		long long got_; \
		errno = 0; \
		got_ = (long long)(call); \
		guest_want(#call " fails", got_, -1, errno); \
		guest_want("    with " #number, errno, number, errno); \
	} while (0)

#define check(condition) guest_want(#condition, (condition) != 0, 1, errno)

/* For what has to be there before anything can be looked at. */
#define need(condition) \
	do { \
		if (!(condition)) { \
			printf("FAILED to prepare: %s (errno %d)\n", #condition, errno); \
			exit(1); \
		} \
	} while (0)

__attribute__((unused)) static void nap(long milliseconds)
{
	struct timespec t = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

__attribute__((unused)) static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

#endif
