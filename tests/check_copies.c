/* SPDX-License-Identifier: MIT */
/* check_copies.c - two shared objects with a copy of the library each */
#include <dlfcn.h>
#include <pthread.h>

#include "copy.h"
#include "testing.h"

static const struct copy *a, *b;
static int fd[2];
static pid_t main_tid;

static const struct copy *open_copy(const char *name)
{
	void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	ck_assert_msg(handle != NULL, "%s", dlerror());
	return dlsym(handle, "copy");
}

static void setup(void)
{
	a = open_copy("tests/.libs/copy_a.so");
	b = open_copy("tests/.libs/copy_b.so");
	ck_assert_ptr_ne(a, NULL);
	ck_assert_ptr_ne(b, NULL);
	ck_assert_ptr_ne(a, b);
	main_tid = (pid_t)syscall(SYS_gettid);
	ck_assert_int_eq(pipe(fd), 0);
}

START_TEST(signals_differ)
{
	int of_a = a->init();
	int of_b = b->init();

	ck_assert_int_gt(of_a, 0);
	ck_assert_int_gt(of_b, 0);
	ck_assert_int_ne(of_a, of_b);
}
END_TEST

/* Interrupts b, which is not in a call, and when that changed nothing, a. */
static volatile int still_asleep;

static void *interrupt_both(void *unused)
{
	(void)unused;
	wait_state(getpid(), main_tid, 'S');
	b->interrupt();
	wait_state(getpid(), main_tid, 'S');
	still_asleep = 1;
	a->interrupt();
	return NULL;
}

START_TEST(each_reaches_its_own_calls)
{
	pthread_t thread;

	ck_assert_int_gt(a->init(), 0);
	ck_assert_int_gt(b->init(), 0);
	ck_assert_int_eq(a->enter(), 0);
	ck_assert_int_eq(b->enter(), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_both, NULL), 0);
	ck_assert_int_eq(a->read_byte(fd[0]), -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(still_asleep, 1);
	ck_assert_int_eq(b->read_byte(fd[0]), -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	ck_assert_int_eq(b->leave(), 1);
	ck_assert_int_eq(a->leave(), 1);
	ck_assert_int_eq(write(fd[1], "xy", 2), 2);
	ck_assert_int_eq(a->read_byte(fd[0]), 1);
	ck_assert_int_eq(b->read_byte(fd[0]), 1);
}
END_TEST

/* ---- both at once ------------------------------------------------------------------------ */

static pthread_barrier_t barrier;

static void *init_copy(void *which)
{
	pthread_barrier_wait(&barrier);
	return (void *)(intptr_t)((const struct copy *)which)->init();
}

/* In a child, as it can be done only once. */
static int init_both(void)
{
	pthread_t threads[2];
	void *signals[2];

	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&threads[0], NULL, init_copy, (void *)(intptr_t)a) ||
	    pthread_create(&threads[1], NULL, init_copy, (void *)(intptr_t)b))
		return 9;
	pthread_join(threads[0], &signals[0]);
	pthread_join(threads[1], &signals[1]);
	if ((intptr_t)signals[0] <= 0 || (intptr_t)signals[1] <= 0)
		return 10;
	return signals[0] != signals[1] ? 7 : 8;
}

START_TEST(signals_differ_always)
{
	double began = now();
	int i, status;
	pid_t child;

	for (i = 0; i < 500 && now() - began < 4; i++) {
		child = fork();
		if (!child)
			_exit(init_both());
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 7);
	}
}
END_TEST

/*
 * The worst of moments: b sees that a signal is free, a takes it and is blocked in a call, b takes
 * it, a is interrupted, and b sees that it was not free and gives it back.
 */
static __thread int is_b;
static volatile int b_has_looked, a_is_ready, a_was_interrupted;

static void in_between(const struct sigaction *act)
{
	if (!act && !b_has_looked) {
		b_has_looked = 1;
		while (!a_is_ready)
			sched_yield();
		wait_state(getpid(), main_tid, 'S');
	} else if (act && !a_was_interrupted) {
		a_was_interrupted = 1;
		a->interrupt();
		pause_ms(20);
	}
}

/* Stands in for the C library's. */
int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	static int (*real)(int, const struct sigaction *, struct sigaction *);
	int result;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "sigaction");
	result = real(sig, act, old);
	if (is_b && sig == SIGURG)
		in_between(act);
	return result;
}

static void *init_b(void *unused)
{
	(void)unused;
	is_b = 1;
	return (void *)(intptr_t)b->init();
}

START_TEST(one_takes_what_the_other_has)
{
	pthread_t thread;
	void *of_b;

	ck_assert_int_eq(pthread_create(&thread, NULL, init_b, NULL), 0);
	while (!b_has_looked)
		sched_yield();
	ck_assert_int_eq(a->init(), SIGURG);
	ck_assert_int_eq(a->enter(), 0);
	a_is_ready = 1;
	ck_assert_int_eq(a->read_byte(fd[0]), -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	ck_assert_int_eq(a->leave(), 1);
	ck_assert_int_eq(pthread_join(thread, &of_b), 0);
	ck_assert_int_eq(a_was_interrupted, 1);
	ck_assert_int_gt((intptr_t)of_b, 0);
	ck_assert_int_ne((intptr_t)of_b, SIGURG);
}
END_TEST

/* ---- one that is closed --------------------------------------------------------------------- */

enum { INIT = 1, ENTER = 2 };
static int used, signum;
static void *handle_of_a;

static void *use_and_close(void *unused)
{
	if (used & INIT)
		signum = a->init();
	if (used & ENTER) {
		ck_assert_int_eq(a->enter(), 0);
		ck_assert_int_eq(a->leave(), 0);
	}
	ck_assert_int_eq(dlclose(handle_of_a), 0);
	return unused;
}

/* The thread ends, the signal comes, the process forks: all of which runs code of the copy. */
START_TEST(closed)
{
	pthread_t thread;
	int status;
	pid_t child;

	used = _i;
	handle_of_a = dlopen("tests/.libs/copy_a.so", RTLD_NOW | RTLD_LOCAL);
	ck_assert_ptr_ne(handle_of_a, NULL);
	a = dlsym(handle_of_a, "copy");
	ck_assert_int_eq(pthread_create(&thread, NULL, use_and_close, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	if (used & INIT) {
		ck_assert_int_gt(signum, 0);
		ck_assert_int_eq(raise(signum), 0);
	}
	child = fork();
	if (!child)
		exit(0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* As a program does that looks what its plugins are. */
START_TEST(closed_many_times)
{
	pthread_key_t key;
	void *handle;
	int i;

	for (i = 0; i < 2000; i++) {
		handle = dlopen("tests/.libs/copy_a.so", RTLD_NOW | RTLD_LOCAL);
		ck_assert_msg(handle != NULL, "%s", dlerror());
		ck_assert_int_eq(dlclose(handle), 0);
	}
	ck_assert_int_eq(pthread_key_create(&key, NULL), 0);
}
END_TEST

/* ---- no key is left for it -------------------------------------------------------------------- */

static void *look_at_values(void *keys)
{
	pthread_key_t *key = keys;
	int i;

	for (i = 0; i < 64; i++)
		pthread_setspecific(key[i], &key[i]);
	ck_assert_int_eq(a->enter(), -1);
	ck_assert_int_eq(errno, EAGAIN);
	for (i = 0; i < 64; i++)
		ck_assert_ptr_eq(pthread_getspecific(key[i]), &key[i]);
	return NULL;
}

START_TEST(keys_used_up)
{
	static pthread_key_t keys[4096];
	pthread_t thread;
	int n = 0;

	while (n < 4096 && !pthread_key_create(&keys[n], NULL))
		n++;
	ck_assert_int_gt(n, 64);
	a = open_copy("tests/.libs/copy_a.so");
	ck_assert_int_eq(a->init(), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(pthread_create(&thread, NULL, look_at_values, keys), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(pthread_key_delete(keys[0]), 0);
	ck_assert_int_gt(a->init(), 0);
	ck_assert_int_eq(a->enter(), 0);
	ck_assert_int_eq(a->leave(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("copies");
	TCase *tc = tcase_create("copies");

	limit_time(tc, 30);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, signals_differ);
	tcase_add_test(tc, each_reaches_its_own_calls);
	tcase_add_test(tc, signals_differ_always);
	tcase_add_test(tc, one_takes_what_the_other_has);
	suite_add_tcase(suite, tc);

	tc = tcase_create("opened later");
	tcase_add_loop_test(tc, closed, 0, 4);
	tcase_add_test(tc, closed_many_times);
	tcase_add_test(tc, keys_used_up);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
