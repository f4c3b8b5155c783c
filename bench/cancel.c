/* SPDX-License-Identifier: MIT */
/*
 * cancel.c - the cost of a cancellation point of the C library that this is linked
 * with; cancellation is enabled, as it is in every thread unless it says otherwise.
 * A process of its own, as its libc may be another one, and as one that had threads
 * once may never again be as fast as one that had not.
 *
 * cancel OTHERS: so many other threads.  Then an answer on stdout for each request
 * on stdin.
 *
 * cancel -l NAME: counts the results that are lost when a read() has completed, and
 * the thread is cancelled at that moment.
 */
#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cancel.h"

enum { ROUNDS = 20000 };

static int zero, ping[2], pong[2], idle[2];

static void *echo(void *unused)
{
	char c;

	while (read(ping[0], &c, 1) == 1 && write(pong[1], &c, 1) == 1)
		;
	return unused;
}

static void *do_nothing(void *unused)
{
	char c;

	return read(idle[0], &c, 1) == 1 ? unused : NULL;
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double measure(const struct request *r, int plain)
{
	clockid_t clock = r->ping ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_THREAD_CPUTIME_ID;
	int i, fd = r->ping ? pong[0] : zero;
	double start = now(clock);
	char c = 0;

	for (i = 0; i < r->times; i++) {
		if (r->ping && write(ping[1], &c, 1) != 1)
			exit(1);
		if ((plain ? syscall(SYS_read, fd, &c, 1L) : read(fd, &c, 1)) != 1)
			exit(1);
	}
	return (now(clock) - start) / r->times;
}

/* ---- results that are lost ----------------------------------------------------- */

static volatile int about_to_read;

static void *read_one(void *arg)
{
	char c;

	about_to_read = 1;
	return read(ping[0], &c, 1) == 1 ? arg : NULL;
}

/* Later by turns: until the signal comes the thread has got further or less far. */
static void spin(int turns)
{
	volatile int i;

	for (i = 0; i < turns; i++)
		;
}

/* Returns 1 when the thread was cancelled, with `lost` counting what it had read. */
static int cancel_one(int round, int *lost)
{
	struct pollfd left = { .fd = ping[0], .events = POLLIN };
	pthread_t thread;
	void *result;
	char c = 0;

	about_to_read = 0;
	if (pthread_create(&thread, NULL, read_one, &left))
		exit(1);
	while (!about_to_read)
		sched_yield();
	spin(20000);
	if (write(ping[1], &c, 1) != 1)
		exit(1);
	spin(round % 256 * 16);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	if (result != PTHREAD_CANCELED)
		return 0;
	if (poll(&left, 1, 0) == 0)
		++*lost;
	else if (read(ping[0], &c, 1) != 1)
		exit(1);
	return 1;
}

static int count_lost(const char *name)
{
	int i, cancelled = 0, lost = 0;

	for (i = 0; i < ROUNDS; i++)
		cancelled += cancel_one(i, &lost);
	printf("%s: %d threads cancelled as their read() completed: %d went, "
	       "%d with what they had read\n", name, ROUNDS, cancelled, lost);
	return 0;
}

int main(int argc, char **argv)
{
	int i, others = argc > 1 ? atoi(argv[1]) : 0;
	struct request r;
	pthread_t thread;
	struct answer a;

	zero = open("/dev/zero", O_RDONLY);
	if (zero == -1 || pipe(ping) || pipe(pong) || pipe(idle))
		return 1;
	if (argc == 3 && !strcmp(argv[1], "-l"))
		return count_lost(argv[2]);
	for (i = 0; i < others; i++)
		if (pthread_create(&thread, NULL, i ? do_nothing : echo, NULL))
			return 1;
	while (read(0, &r, sizeof r) == sizeof r) {
		a.plain = measure(&r, 1);
		a.point = measure(&r, 0);
		if (write(1, &a, sizeof a) != sizeof a)
			return 1;
	}
	return 0;
}
