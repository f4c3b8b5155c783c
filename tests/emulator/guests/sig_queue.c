/* SPDX-License-Identifier: MIT */
/*
 * Signals that carry a value, to processes and threads, and none at all; and what sigaltstack
 * takes.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include "guest.h"

static volatile sig_atomic_t value, code;
static pthread_t by;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	value = info->si_value.sival_int;
	code = info->si_code;
	by = pthread_self();
}

/* Asks whether a signal could be sent, as the C library does for asynchronous I/O. */
static void probes(void)
{
	union sigval v = { .sival_int = 5 };

	want(sigqueue(getpid(), 0, v), 0);
	want_error(sigqueue(0x3ffffff, 0, v), ESRCH);
	want_error(sigqueue(getpid(), 1000, v), EINVAL);
	want(value, 0);
}

static volatile pid_t waiting;

static void *waits(void *argument)
{
	sigset_t none;

	sigemptyset(&none);
	waiting = syscall(SYS_gettid);
	need(sigsuspend(&none) == -1);
	return argument;
}

static void to_threads(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	siginfo_t info;
	pthread_t thread;
	sigset_t set;

	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_value.sival_int = 77;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	need(sigaction(SIGUSR1, &action, NULL) == 0);
	need(pthread_create(&thread, NULL, waits, NULL) == 0);
	while (!waiting)
		nap(1);
	want(syscall(SYS_rt_tgsigqueueinfo, getpid(), waiting, SIGUSR1, &info), 0);
	pthread_join(thread, NULL);
	check(value == 77 && code == SI_QUEUE && pthread_equal(by, thread));

	info.si_value.sival_int = 78;
	want(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, &info), 0);
	want(value, 77);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	check(value == 78 && pthread_equal(by, pthread_self()));
	want(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), 0, &info), 0);
	want_error(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0x3ffffff, SIGUSR1, &info), ESRCH);
}

static void modes_of_the_stack(void)
{
	static char room[65536];
	stack_t stack = { .ss_sp = room, .ss_size = sizeof(room) }, old;

	stack.ss_flags = SS_DISABLE | SS_ONSTACK;
	want_error(syscall(SYS_sigaltstack, &stack, NULL), EINVAL);
	stack.ss_flags = 4;
	want_error(syscall(SYS_sigaltstack, &stack, NULL), EINVAL);
	stack.ss_flags = SS_ONSTACK;
	want(syscall(SYS_sigaltstack, &stack, NULL), 0);
	want(syscall(SYS_sigaltstack, NULL, &old), 0);
	check(old.ss_sp == room && old.ss_flags == 0);
	stack.ss_flags = SS_DISABLE;
	want(syscall(SYS_sigaltstack, &stack, &old), 0);
	want(syscall(SYS_sigaltstack, NULL, &old), 0);
	want(old.ss_flags, SS_DISABLE);
}

int main(void)
{
	probes();
	to_threads();
	modes_of_the_stack();
	return guest_end();
}
