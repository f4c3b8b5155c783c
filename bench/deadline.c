/* SPDX-License-Identifier: MIT */
/* deadline.c - a read that is to end at a given time, in each of the ways to have that */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "bench.h"

enum { TIMES = 50 };			/* calls that are timed together */

static int ends[2];			/* sockets; we read from the first */
static char byte;

static struct timespec at(double when)
{
	struct timespec ts;

	ts.tv_sec = (time_t)(when / 1e9);
	ts.tv_nsec = (long)(when - (double)ts.tv_sec * 1e9);
	return ts;
}

/* ---- the ways; each returns what read(2) would, or -1 when the time has come ------- */

static long without(double when)
{
	(void)when;
	return read(ends[0], &byte, 1);
}

static safe_syscall_scope scope;

static long in_a_scope(double when)
{
	struct timespec ts = at(when);
	long result;

	safe_syscall_enter(&scope);
	must(safe_syscall_deadline(&scope, &ts), "safe_syscall_deadline");
	result = safe_syscall(SYS_read, (long)ends[0], &byte, 1L);
	if (safe_syscall_leave(&scope))
		safe_syscall_rearm(&scope);
	return result;
}

/* One deadline for all the calls that are timed together, as for an operation. */
static int has_deadline;

static long in_one_scope(double when)
{
	struct timespec ts = at(when);

	if (!has_deadline)
		must(safe_syscall_deadline(safe_syscall_self(), &ts), "safe_syscall_deadline");
	has_deadline = 1;
	return safe_syscall(SYS_read, (long)ends[0], &byte, 1L);
}

static long receive_timeout(double when)
{
	long long left = (long long)((when - now(CLOCK_MONOTONIC)) / 1000);
	struct timeval tv = { (time_t)(left / 1000000), (suseconds_t)(left % 1000000) };

	must(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), "SO_RCVTIMEO");
	return read(ends[0], &byte, 1);
}

static long poll_first(double when)
{
	struct pollfd fd = { ends[0], POLLIN, 0 };
	struct timespec left = at(when - now(CLOCK_MONOTONIC));

	return ppoll(&fd, 1, &left, NULL) == 1 ? read(ends[0], &byte, 1) : -1;
}

/* A thread that sends a signal at the time; the gap is there: it may come before the read. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_t reader;
static double wanted;			/* 0: none */

static void *helper(void *unused)
{
	struct timespec ts;

	pthread_mutex_lock(&lock);
	for (;;) {
		ts = at(wanted);
		if (!wanted)
			pthread_cond_wait(&changed, &lock);
		else if (pthread_cond_timedwait(&changed, &lock, &ts) == ETIMEDOUT &&
			 wanted && now(CLOCK_MONOTONIC) >= wanted) {
			pthread_kill(reader, SIGUSR1);
			wanted = 0;
		}
	}
	return unused;
}

static void want(double when)
{
	pthread_mutex_lock(&lock);
	wanted = when;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static long with_helper(double when)
{
	long result;

	want(when);
	result = read(ends[0], &byte, 1);
	want(0);
	return result;
}

static sigjmp_buf jump;

static void jumps(int sig)
{
	(void)sig;
	siglongjmp(jump, 1);
}

static long with_alarm(double when)
{
	long long left = (long long)((when - now(CLOCK_MONOTONIC)) / 1000);
	struct itimerval off = { { 0, 0 }, { 0, 0 } }, on = off;
	long result;

	on.it_value.tv_sec = (time_t)(left / 1000000);
	on.it_value.tv_usec = (suseconds_t)(left % 1000000);
	if (sigsetjmp(jump, 1))
		return -1;
	setitimer(ITIMER_REAL, &on, NULL);
	result = read(ends[0], &byte, 1);
	setitimer(ITIMER_REAL, &off, NULL);
	return result;
}

static const struct way {
	const char *name;
	long (*read)(double when);
	int expires;
} ways[] = {
	{ "read(), no limit", without, 0 },	/* the first is the base */
	{ "scope and deadline for each call", in_a_scope, 1 },
	{ "one deadline for 50 calls", in_one_scope, 0 },
	{ "SO_RCVTIMEO", receive_timeout, 1 },
	{ "ppoll, read", poll_first, 1 },
	{ "helper thread, pthread_kill", with_helper, 1 },
	{ "setitimer, siglongjmp", with_alarm, 1 },
};

enum { WAYS = sizeof ways / sizeof *ways };

/* ---- measuring --------------------------------------------------------------------- */

static double cost(const struct way *way)
{
	static char bytes[TIMES];
	double start;
	int i;

	must(write(ends[1], bytes, TIMES) != TIMES, "write");
	start = now(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < TIMES; i++)
		must(way->read(now(CLOCK_MONOTONIC) + 1e9) != 1, way->name);
	return (now(CLOCK_PROCESS_CPUTIME_ID) - start) / TIMES;
}

static double delay(const struct way *way)
{
	double when = now(CLOCK_MONOTONIC) + 1e6;

	must(way->read(when) != -1, way->name);
	return now(CLOCK_MONOTONIC) - when;
}

/* No way keeps the limit of the one before. */
static void forget_limits(void)
{
	static const struct timeval never;

	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &never, sizeof never);
	safe_syscall_deadline(safe_syscall_self(), NULL);
	has_deadline = 0;
}

static void measure(const char *group, double (*one)(const struct way *), int expiring)
{
	int i, w;

	for (i = 0; i < repetitions; i++)
		for (w = 0; w < WAYS; w++) {
			const struct way *way = &ways[i % 2 ? w : WAYS - 1 - w];

			if (expiring && !way->expires)
				continue;
			add(series(group, way->name), one(way));
			forget_limits();
		}
}

static void nothing(int sig)
{
	(void)sig;
}

static void start_helper(void)
{
	pthread_condattr_t attr;
	pthread_t thread;

	reader = pthread_self();
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	errno = pthread_create(&thread, NULL, helper, NULL);
	must(errno, "pthread_create");
	put(thread, processor(processor(1) >= 0));
}

void measure_deadlines(void)
{
	static const char none[] = "read of a socket, limit not reached";
	static const char some[] = "limit reached: late by";
	struct sigaction sa;
	int w;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = nothing;		/* and no SA_RESTART */
	must(sigaction(SIGUSR1, &sa, NULL), "sigaction");
	sa.sa_handler = jumps;
	must(sigaction(SIGALRM, &sa, NULL), "sigaction");
	put(pthread_self(), processor(0));
	start_helper();
	for (w = 0; w < WAYS; w++) {		/* in this order in the tables */
		series(none, ways[w].name);
		if (ways[w].expires)
			series(some, ways[w].name);
	}
	measure(none, cost, 0);
	print_table(none, "ns", 1);
	measure(some, delay, 1);
	print_table(some, "us", 1000);
}
