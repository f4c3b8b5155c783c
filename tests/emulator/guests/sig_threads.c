/* SPDX-License-Identifier: MIT */
/* Signals and threads: aimed at one, at the process, waited for by one; masks of their own. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include "guest.h"

static __thread volatile int mine;
static volatile int count, taken_by_worker, from_sender_ok;
static pthread_t worker;
static sem_t ready, done;
static volatile int stop;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	mine = sig;
	__atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
	taken_by_worker = pthread_equal(pthread_self(), worker);
	from_sender_ok = info->si_pid == getpid();
}

static void install(int sig)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_signal;
	sa.sa_flags = SA_SIGINFO;
	need(sigaction(sig, &sa, NULL) == 0);
}

static void hold(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	if (sig)
		sigaddset(&set, sig);
	need(pthread_sigmask(how, &set, NULL) == 0);
}

static void until(int n)
{
	int i;

	for (i = 0; i < 5000 && count < n; i++)
		nap(1);
}

/* Blocked in a call, in a sleep, or busy: a signal aimed at it comes there. */
static void *in_pause(void *unused)
{
	(void)unused;
	sem_post(&ready);
	while (!stop)
		pause();
	return (void *)(long)(mine == SIGUSR1);
}

static void *busy(void *unused)
{
	(void)unused;
	sem_post(&ready);
	while (!stop)
		;
	return (void *)(long)(mine == SIGUSR1);
}

static void aimed(const char *name, void *(*function)(void *))
{
	void *result = NULL;
	int i;

	count = stop = 0;
	need(pthread_create(&worker, NULL, function, NULL) == 0);
	sem_wait(&ready);
	puts(name);
	for (i = 1; i <= 20; i++) {
		if (pthread_kill(worker, SIGUSR1))
			puts("FAILED pthread_kill");
		until(i);
	}
	want(count, 20);
	want(taken_by_worker, 1);
	want(from_sender_ok, 1);
	stop = 1;
	pthread_kill(worker, SIGUSR1);
	pthread_join(worker, &result);
	want((long)result, 1);
	want(mine, 0);
}

static void *blocks_nothing(void *unused)
{
	(void)unused;
	hold(SIG_SETMASK, 0);
	sem_post(&ready);
	while (!stop)
		nap(1);
	return NULL;
}

static void to_the_process(void)
{
	int i;

	count = stop = 0;
	hold(SIG_BLOCK, SIGUSR2);
	need(pthread_create(&worker, NULL, blocks_nothing, NULL) == 0);
	sem_wait(&ready);
	for (i = 1; i <= 10; i++) {
		kill(getpid(), SIGUSR2);
		until(i);
		if (!taken_by_worker)
			puts("FAILED: taken by a thread that blocks it");
	}
	want(count, 10);
	stop = 1;
	pthread_join(worker, NULL);
	/* Now nobody has it unblocked. */
	kill(getpid(), SIGUSR2);
	nap(10);
	want(count, 10);
	hold(SIG_SETMASK, 0);
	want(count, 11);
	want(mine, SIGUSR2);
}

static void *waits_for_it(void *sum)
{
	sigset_t set;
	int sig, i;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	for (i = 0; i < 6; i++) {
		sem_post(&ready);
		if (sigwait(&set, &sig) == 0)
			*(volatile int *)sum += sig;
		sem_post(&done);
	}
	return NULL;
}

static void taken_by_sigwait(void)
{
	volatile int sum = 0;
	int i;

	hold(SIG_BLOCK, SIGTERM);
	hold(SIG_BLOCK, SIGHUP);
	need(pthread_create(&worker, NULL, waits_for_it, (void *)&sum) == 0);
	for (i = 0; i < 6; i++) {
		sem_wait(&ready);
		kill(getpid(), i % 2 ? SIGTERM : SIGHUP);
		sem_wait(&done);
	}
	pthread_join(worker, NULL);
	want(sum, 3 * SIGTERM + 3 * SIGHUP);
}

/* One pending for a thread is no other's. */
static void *pending_here(void *unused)
{
	sigset_t set;

	(void)unused;
	hold(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	sigpending(&set);
	return (void *)(long)sigismember(&set, SIGUSR1);
}

static void pending_of_threads(void)
{
	void *result;
	sigset_t set;

	need(pthread_create(&worker, NULL, pending_here, NULL) == 0);
	pthread_join(worker, &result);
	want((long)result, 1);
	sigpending(&set);
	want(sigismember(&set, SIGUSR1), 0);
}

static void refused(void)
{
	want_error(syscall(SYS_tgkill, getpid(), 0, SIGUSR1), EINVAL);
	want_error(syscall(SYS_tgkill, getpid(), 1, SIGUSR1), ESRCH);
	want(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0), 0);
}

int main(void)
{
	sem_init(&ready, 0, 0);
	sem_init(&done, 0, 0);
	install(SIGUSR1);
	install(SIGUSR2);
	aimed("in pause", in_pause);
	aimed("busy", busy);
	to_the_process();
	taken_by_sigwait();
	pending_of_threads();
	refused();
	return guest_end();
}
