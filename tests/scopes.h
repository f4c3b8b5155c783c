/* SPDX-License-Identifier: MIT */
/* scopes.h - what the test programs of layer 3 have in common */
#ifndef SCOPES_H
#define SCOPES_H

#include <pthread.h>
#include <sys/resource.h>

#include "testing.h"

#define NEW_SCOPE ((safe_syscall_scope)SAFE_SYSCALL_SCOPE_INIT)

static int fd[2];		/* a pipe, in which nothing comes by itself */
static int interrupt_signal;

static inline void setup(void)
{
	ck_assert_int_eq(safe_syscall_init(0), 0);
	interrupt_signal = safe_syscall_signal();
	ck_assert_int_eq(pipe(fd), 0);
}

static inline pid_t own_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* A call that blocks.  An error as a negative number, for the use in handlers. */
static inline long block(void)
{
	char c;
	long result = safe_syscall(SYS_read, fd[0], &c, 1);

	return result == -1 ? -errno : result;
}

static inline int is_blocked(int sig)
{
	sigset_t set;

	return pthread_sigmask(SIG_BLOCK, NULL, &set) || sigismember(&set, sig);
}

/* On the calling thread nothing is left of an interrupt: no signal blocked, pending or to come. */
static inline int is_quiet(void)
{
	sigset_t set;

	return !is_blocked(interrupt_signal) && !sigpending(&set) &&
		!sigismember(&set, interrupt_signal) && poll(NULL, 0, 2) == 0;
}

static inline pthread_t start(void *(*function)(void *), void *argument)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, function, argument), 0);
	return thread;
}

static inline void join(pthread_t thread)
{
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* A handler that knows nothing of the library, or one that is set by it. */
static inline void handle(int sig, void (*handler)(int), int flags, int hooked)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	/* also called in handlers and in other programs: without Check */
	if ((hooked ? safe_syscall_sigaction : sigaction)(sig, &sa, NULL))
		abort();
}

static inline void signal_thread(pid_t tid, int sig)
{
	ck_assert_int_eq(syscall(SYS_tgkill, getpid(), tid, sig), 0);
}

/*
 * No room in the user's queue of signals, nor for a timer.  The limit is put back before the test
 * is over: Check makes timers.
 */
static inline rlim_t limit_queue(rlim_t to)
{
	struct rlimit limit;
	rlim_t was;

	getrlimit(RLIMIT_SIGPENDING, &limit);
	was = limit.rlim_cur;
	limit.rlim_cur = to;
	setrlimit(RLIMIT_SIGPENDING, &limit);
	return was;
}

/* For a program that has been made by exec of this one. */
static inline int is_program(int argc, char **argv, const char *name)
{
	return argc > 1 && !strcmp(argv[1], name);
}

static inline void become(const char *name)
{
	execl("/proc/self/exe", "test", name, (char *)NULL);
	_exit(99);
}

/* How a child ended: what it gave to exit, or 1000 and the signal. */
static inline int end_of(pid_t child)
{
	int status;

	if (child <= 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#endif
