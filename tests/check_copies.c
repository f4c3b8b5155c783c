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

int main(void)
{
	Suite *suite = suite_create("copies");
	TCase *tc = tcase_create("copies");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, signals_differ);
	tcase_add_test(tc, each_reaches_its_own_calls);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
