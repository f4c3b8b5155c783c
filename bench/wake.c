/* SPDX-License-Identifier: MIT */
/* wake.c - from the wish to bring a blocked thread back to its return */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "bench.h"

enum { SLEEPERS = 64, ROUNDS = 9 };

static struct sleeper {
	pthread_t thread;
	sem_t go;
	volatile pid_t tid;
	volatile int calling;		/* is about to block */
	volatile double woken;		/* when */
	safe_syscall_scope scope;
	int event;
	int futex;
} sleepers[SLEEPERS];

static int empty[2];			/* a pipe that nobody writes to */
static sem_t back;

/* ---- the ways to be blocked, and to be brought back ---------------------------- */

static void returned(struct sleeper *s, int as_wanted)
{
	s->woken = now(CLOCK_MONOTONIC);
	must(!as_wanted, "woken otherwise");
}

static void block_plain(struct sleeper *s)
{
	char c;

	s->calling = 1;
	returned(s, read(empty[0], &c, 1) == -1 && errno == EINTR);
}

static void wake_plain(struct sleeper *s)
{
	pthread_kill(s->thread, SIGUSR1);
}

static void block_safe(struct sleeper *s)
{
	char c;

	safe_syscall_enter(&s->scope);
	s->calling = 1;
	returned(s, safe_syscall(SYS_read, empty[0], &c, 1) == -1 &&
		 errno == SAFE_ERESTARTSYS);
	safe_syscall_leave(&s->scope);
	safe_syscall_rearm(&s->scope);
}

static void wake_safe(struct sleeper *s)
{
	safe_syscall_interrupt(&s->scope);
}

static void block_event(struct sleeper *s)
{
	struct pollfd fds[2] = { { empty[0], POLLIN, 0 }, { s->event, POLLIN, 0 } };
	uint64_t count;

	s->calling = 1;
	returned(s, ppoll(fds, 2, NULL, NULL) == 1);
	must(read(s->event, &count, sizeof count) != sizeof count, "eventfd");
}

static void wake_event(struct sleeper *s)
{
	const uint64_t one = 1;

	must(write(s->event, &one, sizeof one) != sizeof one, "eventfd");
}

static void block_futex(struct sleeper *s)
{
	s->calling = 1;
	returned(s, syscall(SYS_futex, &s->futex, FUTEX_WAIT_PRIVATE, 0, NULL) == 0);
}

static void wake_futex(struct sleeper *s)
{
	syscall(SYS_futex, &s->futex, FUTEX_WAKE_PRIVATE, 1);
}

static const struct way {
	const char *name;
	void (*block)(struct sleeper *s);
	void (*wake)(struct sleeper *s);
} ways[] = {
	{ "pthread_kill", block_plain, wake_plain },	/* the first is the base */
	{ "safe_syscall_interrupt", block_safe, wake_safe },
	{ "pthread_kill, as a control", block_plain, wake_plain },
	{ "eventfd, ppoll", block_event, wake_event },
	{ "futex wake", block_futex, wake_futex },
	{ "pthread_cancel, join", NULL, NULL },		/* with a thread of its own */
}, *volatile way;

enum { WAYS = sizeof ways / sizeof *ways };

/* ---- one round ----------------------------------------------------------------- */

static void *sleep_and_wake(void *arg)
{
	struct sleeper *s = arg;

	s->tid = (pid_t)syscall(SYS_gettid);
	for (;;) {
		while (sem_wait(&s->go))
			;
		if (!way)
			return NULL;
		way->block(s);
		sem_post(&back);
	}
}

static void handler(int sig)
{
	(void)sig;
}

static int is_asleep(pid_t tid)
{
	char name[64], text[256], *state = NULL;
	FILE *f;

	snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)tid);
	f = fopen(name, "r");
	must(!f, name);
	if (fgets(text, sizeof text, f))
		state = strrchr(text, ')');
	fclose(f);
	return state && strncmp(state, ") S", 3) == 0;
}

static void until_asleep(const struct sleeper *s)
{
	static const struct timespec nap = { 0, 20000 };

	do
		nanosleep(&nap, NULL);
	while (!s->calling || !is_asleep(s->tid));
}

static void send_to_sleep(const struct way *this, int n)
{
	int i;

	way = this;
	for (i = 0; i < n; i++) {
		sleepers[i].calling = 0;
		sem_post(&sleepers[i].go);
	}
	for (i = 0; i < n; i++)
		until_asleep(&sleepers[i]);
}

/* Wake those in [first, first + n); from the first wake to the last return. */
static double wake(const struct way *this, int first, int n)
{
	double start = now(CLOCK_MONOTONIC), end = 0;
	int i;

	for (i = first; i < first + n; i++)
		this->wake(&sleepers[i]);
	for (i = 0; i < n; i++)
		while (sem_wait(&back))
			;
	for (i = first; i < first + n; i++)
		if (sleepers[i].woken > end)
			end = sleepers[i].woken;
	return end - start;
}

static void start(int n)
{
	int i;

	for (i = 0; i < n; i++) {
		struct sleeper *s = &sleepers[i];

		memset(s, 0, sizeof *s);
		s->event = eventfd(0, 0);
		must(s->event == -1, "eventfd");
		sem_init(&s->go, 0, 0);
		errno = pthread_create(&s->thread, NULL, sleep_and_wake, s);
		must(errno, "pthread_create");
	}
}

static void finish(int n)
{
	int i;

	way = NULL;
	for (i = 0; i < n; i++) {
		sem_post(&sleepers[i].go);
		pthread_join(sleepers[i].thread, NULL);
		close(sleepers[i].event);
	}
}

/* ---- one thread ---------------------------------------------------------------- */

static void *until_cancelled(void *arg)
{
	struct sleeper *s = arg;
	char c;

	s->tid = (pid_t)syscall(SYS_gettid);
	s->calling = 1;
	return read(empty[0], &c, 1) == 1 ? arg : NULL;
}

static double cancel_and_join(int cpu)
{
	struct sleeper s;
	double start;

	memset(&s, 0, sizeof s);
	errno = pthread_create(&s.thread, NULL, until_cancelled, &s);
	must(errno, "pthread_create");
	put(s.thread, cpu);
	until_asleep(&s);
	start = now(CLOCK_MONOTONIC);
	pthread_cancel(s.thread);
	pthread_join(s.thread, NULL);
	return now(CLOCK_MONOTONIC) - start;
}

static double measure_way(const struct way *this, int cpu)
{
	if (!this->wake)
		return cancel_and_join(cpu);
	send_to_sleep(this, 1);
	return wake(this, 0, 1);
}

/* What comes after another is slower or faster for what that has left in the caches. */
static void shuffle(int *order, int n)
{
	int i, other, one;

	for (i = n - 1; i > 0; i--) {
		other = (int)(lrand48() % (i + 1));
		one = order[i];
		order[i] = order[other];
		order[other] = one;
	}
}

static void measure_where(const char *group, int cpu)
{
	const struct way *this;
	int order[WAYS];
	int i, w;

	put(sleepers[0].thread, cpu);
	for (w = 0; w < WAYS; w++) {
		order[w] = w;
		series(group, ways[w].name);	/* in this order in the table */
	}
	for (i = 0; i < 5 * repetitions; i++) {
		shuffle(order, WAYS);
		for (w = 0; w < WAYS; w++) {
			this = &ways[order[w]];
			add(series(group, this->name), measure_way(this, cpu));
		}
	}
	print_table(group, "us", 1000);
}

void measure_wake_ups(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = handler;		/* and no SA_RESTART */
	must(sigaction(SIGUSR1, &sa, NULL) || pipe(empty), "pipe");
	sem_init(&back, 0, 0);
	start(1);
	measure_where("wake-up, same processor", processor(0));
	if (processor(1) >= 0)
		measure_where("wake-up, another processor", processor(1));
	finish(1);
}

/* ---- one of many, and all of them ---------------------------------------------- */

static void measure_crowd(int n)
{
	char name[16], group[64];
	int i, w;

	snprintf(name, sizeof name, "%d", n);
	start(n);
	for (i = 0; i < ROUNDS; i++)
		for (w = 0; w < 2; w++) {
			send_to_sleep(&ways[w], n);
			snprintf(group, sizeof group, "blocked: %s one", w ? "interrupt" : "kill");
			add(series(group, name), wake(&ways[w], i % n, 1));
			/* back to sleep with it, to the others */
			sleepers[i % n].calling = 0;
			sem_post(&sleepers[i % n].go);
			until_asleep(&sleepers[i % n]);
			snprintf(group, sizeof group, "blocked: %s all", w ? "interrupt" : "kill");
			add(series(group, name), wake(&ways[w], 0, n) / n);
		}
	finish(n);
}

void measure_crowds(void)
{
	int n;

	for (n = 1; n <= SLEEPERS; n *= 2)
		measure_crowd(n);
	print_matrix("blocked: ", "ns until one of so many blocked threads is back, "
		     "or all of them, for each");
}
