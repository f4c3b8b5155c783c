/* SPDX-License-Identifier: MIT */
/* testing.h - what every test program has in common */
#ifndef TESTING_H
#define TESTING_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <safe_syscall.h>

/*
 * A test that can't be run here says so, by name, in a line that tests/tap.awk knows.
 * It then passes as far as Check is concerned.
 */
#define SKIP(reason)							\
	do {								\
		/* Check puts _fn behind a test's name */		\
		printf("SKIP %.*s: %s\n", (int)strlen(__func__) - 3,	\
		       __func__, reason);				\
		fflush(stdout);						\
		return;							\
	} while (0)

/* In an emulator of user mode there is no kernel of this architecture. */
static inline int emulated(void)
{
	return getenv("SAFE_SYSCALL_EMULATED") != NULL;
}

static inline void on_signal(int sig, int flags,
			     void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = handler;
	sa.sa_flags = SA_SIGINFO | flags;
	sigemptyset(&sa.sa_mask);
	ck_assert_int_eq(sigaction(sig, &sa, NULL), 0);
}

/* The state letter of a thread, as the kernel shows it: S asleep, T stopped. */
static inline char state_of(pid_t pid, pid_t tid)
{
	char name[64], line[256];
	const char *p;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	f = fopen(name, "r");
	if (!f)
		return 0;
	p = fgets(line, sizeof line, f);
	fclose(f);
	p = p ? strrchr(line, ')') : NULL;
	return p ? p[2] : 0;
}

/*
 * A program and its tracer take turns.  On two processors of an emulator each turn takes
 * ten times as long, and what one writes as a breakpoint the other may miss.
 */
static inline void stay_on_one_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
}

static inline void pause_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		;
}

/* In a child of a test: die if it hangs.  Check has a handler for the signal. */
static inline void die_after(unsigned int seconds)
{
	signal(SIGALRM, SIG_DFL);
	alarm(seconds);
}

/* Wait until a thread is in that state, and stays there for a moment. */
static inline void wait_state(pid_t pid, pid_t tid, char state)
{
	int seen = 0;

	while (seen < 3) {
		seen = state_of(pid, tid) == state ? seen + 1 : 0;
		pause_ms(1);
	}
}

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A number of the environment. */
static inline long from_environment(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 0) : otherwise;
}

/*
 * How long each test may take on the slowest machine.  SAFE_SYSCALL_TIMEOUT: on this one,
 * where tests are wanted that hang.
 */
static inline void limit_time(TCase *tc, int seconds)
{
	tcase_set_timeout(tc, (double)from_environment("SAFE_SYSCALL_TIMEOUT", seconds));
}

/* SAFE_SYSCALL_STRIDE=N, on a slow machine: of what is done many times an Nth; else 1. */
static inline int stride(void)
{
	long n = from_environment("SAFE_SYSCALL_STRIDE", 1);

	return n > 1 ? (int)n : 1;
}

static inline int scaled(int all, int least)
{
	return stride() == 1 || all / stride() > least ? all / stride() : least;
}

/* Or a quarter, whatever N is. */
static inline int shortened(int all)
{
	return stride() > 1 ? all / 4 : all;
}

/* SAFE_SYSCALL_CANCELS=N: so many rounds of a race, at most, where each is slow. */
static inline int fewer(int usual)
{
	long most = from_environment("SAFE_SYSCALL_CANCELS", usual);

	return most < usual ? (int)most : usual;
}

/*
 * Every Nth input of a test that has many; an odd step, as the inputs are combinations of two,
 * four or eight.
 */
#define add_loop(tc, test, inputs)					\
	do {								\
		int step_ = stride() | 1, i_;				\
									\
		for (i_ = 0; i_ < (inputs); i_ += step_)		\
			tcase_add_loop_test(tc, test, i_, i_ + 1);	\
	} while (0)

/* The entries of a directory, "." and ".." too: of /proc/self/fd and task, to compare. */
static inline int count_in(const char *name)
{
	DIR *dir = opendir(name);
	int n = 0;

	ck_assert_ptr_ne(dir, NULL);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
