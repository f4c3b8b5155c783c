/* SPDX-License-Identifier: MIT */
/* The futex call itself. */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "guest.h"

static int word, other;
static int woken, ready;

/* The kernel's timespec of this call, whatever the C library's is. */
struct old_timespec {
	long sec, nsec;
};

static long futex(int *address, int op, int value, const struct old_timespec *timeout, int *address2,
		  int value3)
{
	return syscall(SYS_futex, address, op, value, timeout, address2, value3);
}

static void errors(void)
{
	struct old_timespec little = { 0, 5000000 }, bad = { 0, 1000000000 };

	word = 5;
	want_error(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
	want_error(futex(&word, FUTEX_WAIT, 5, &little, NULL, 0), ETIMEDOUT);
	want_error(futex(&word, FUTEX_WAIT_PRIVATE, 5, &little, NULL, 0), ETIMEDOUT);
	want_error(futex(&word, FUTEX_WAIT, 5, &bad, NULL, 0), EINVAL);
	want(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	want_error(futex((int *)((char *)&word + 1), FUTEX_WAIT, 5, NULL, NULL, 0), EINVAL);
	want_error(futex(&word, 99, 1, NULL, NULL, 0), ENOSYS);
	little.sec = little.nsec = 0;
	want_error(futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 5, &little, NULL,
		FUTEX_BITSET_MATCH_ANY), ETIMEDOUT);
	want_error(futex(&word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0), EINVAL);
}

static void *waits(void *arg)
{
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0)
		futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return arg;
}

/* Sleeps once, and does not look why it came back. */
static void *waits_once(void *arg)
{
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	if (futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0)
		__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return arg;
}

static void *waits_bit(void *arg)
{
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	if (futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (intptr_t)arg) == 0)
		__atomic_or_fetch(&woken, (intptr_t)arg, __ATOMIC_SEQ_CST);
	return arg;
}

static void start(pthread_t *threads, int n, void *(*function)(void *))
{
	int i;

	ready = woken = word = 0;
	for (i = 0; i < n; i++)
		need(pthread_create(&threads[i], NULL, function, (void *)(intptr_t)(1 << i)) == 0);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < n)
		nap(1);
}

/* Wakes until so many have been: they may not all have got there yet. */
static long wake_in_all(int *address, int op, int n, int *address2, int value3, int most)
{
	long sum = 0;
	int i;

	for (i = 0; i < 5000 && sum < n; i++) {
		long r = futex(address, op, n - sum < most ? n - sum : most,
			       (struct old_timespec *)(intptr_t)0, address2, value3);

		if (r < 0)
			return r;
		sum += r;
		if (sum < n)
			nap(1);
	}
	return sum;
}

static void waking(void)
{
	pthread_t threads[4];
	int i;

	start(threads, 4, waits);
	__atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
	futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	want(woken, 4);

	start(threads, 4, waits_once);
	want(wake_in_all(&word, FUTEX_WAKE_PRIVATE, 4, NULL, 0, 1), 4);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	want(woken, 4);

	start(threads, 3, waits_bit);
	want(wake_in_all(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, 2, 1), 1);
	pthread_join(threads[1], NULL);
	want(woken, 2);
	want(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 2), 0);
	want(wake_in_all(&word, FUTEX_WAKE_BITSET_PRIVATE, 2, NULL, 5, 1), 2);
	pthread_join(threads[0], NULL);
	pthread_join(threads[2], NULL);
	want(woken, 7);
}

static void requeueing(void)
{
	pthread_t threads[3];
	long moved = 0;
	int i;

	start(threads, 3, waits_once);
	want_error(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)9L, &other, 77), EAGAIN);
	for (i = 0; i < 5000 && moved < 3; i++) {
		long r = futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)9L, &other, 0);

		moved += r > 0 ? r : 0;
		if (moved < 3)
			nap(1);
	}
	want(moved, 3);
	want(futex(&word, FUTEX_WAKE_PRIVATE, 3, NULL, NULL, 0), 0);
	want(futex(&other, FUTEX_WAKE_PRIVATE, 3, NULL, NULL, 0), 3);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	want(woken, 3);
}

static void between_processes(void)
{
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0, i;
	pid_t child;

	need(shared != MAP_FAILED);
	child = fork();
	if (child == 0) {
		for (i = 0; i < 100; i++) {
			while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) != 2 * i + 1)
				futex(shared, FUTEX_WAIT, 2 * i, NULL, NULL, 0);
			__atomic_store_n(shared, 2 * i + 2, __ATOMIC_SEQ_CST);
			futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
		}
		_exit(6);
	}
	for (i = 0; i < 100; i++) {
		__atomic_store_n(shared, 2 * i + 1, __ATOMIC_SEQ_CST);
		futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0);
		while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) != 2 * i + 2)
			futex(shared, FUTEX_WAIT, 2 * i + 1, NULL, NULL, 0);
	}
	waitpid(child, &status, 0);
	want(WEXITSTATUS(status), 6);
	want(*shared, 200);
}

static volatile int count;

static void on_alarm(int sig)
{
	(void)sig;
	count++;
}

static void interrupted(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 10000 } };
	struct old_timespec end = { 100, 0 };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_alarm;
	need(sigaction(SIGALRM, &sa, NULL) == 0);
	word = 0;
	need(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	want_error(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EINTR);
	need(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	want_error(futex(&word, FUTEX_WAIT, 0, &end, NULL, 0), EINTR);
	want(count, 2);
}

int main(void)
{
	errors();
	waking();
	requeueing();
	between_processes();
	interrupted();
	return guest_end();
}
