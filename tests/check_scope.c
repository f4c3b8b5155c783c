/* SPDX-License-Identifier: MIT */
/* check_scope.c - layer 3: safe_syscall() in the thread's own scope */
#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include "testing.h"
#include "arch.h"

START_TEST(as_syscall)
{
	int fd[2];
	char c;

	ck_assert_int_eq(pipe(fd), 0);
	errno = 4242;
	ck_assert_int_eq(safe_syscall(SYS_getpid), getpid());
	ck_assert_int_eq(safe_syscall(SYS_write, fd[1], "x", 1), 1);
	ck_assert_int_eq(safe_syscall(SYS_read, fd[0], &c, 1), 1);
	ck_assert_int_eq(errno, 4242);
	ck_assert_int_eq(c, 'x');
	ck_assert_int_eq(safe_syscall(SYS_read, -1, &c, 1), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(in_an_interrupted_scope)
{
	safe_syscall_scope *self = safe_syscall_self();
	int fd[2];
	char c;

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(safe_syscall_init(0), 0);
	ck_assert_int_eq(safe_syscall_interrupt(self), 0);
	errno = 0;
	ck_assert_int_eq(safe_syscall(SYS_write, fd[1], "x", 1), -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(self), 1);
	ck_assert_int_eq(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(read(fd[0], &c, 1), -1);
}
END_TEST

static void *other_thread(void *self)
{
	ck_assert_ptr_ne(safe_syscall_self(), self);
	ck_assert_ptr_eq(safe_syscall_self(), safe_syscall_self());
	ck_assert_int_eq(safe_syscall(SYS_getpid), getpid());
	return safe_syscall_self();
}

START_TEST(each_thread_has_its_own)
{
	safe_syscall_scope *self = safe_syscall_self();
	pthread_t thread;
	void *other;

	ck_assert_ptr_ne(self, NULL);
	ck_assert_ptr_eq(safe_syscall_self(), self);
	ck_assert_int_eq(safe_syscall_init(0), 0);
	ck_assert_int_eq(safe_syscall_interrupt(self), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, self), 0);
	ck_assert_int_eq(pthread_join(thread, &other), 0);
	ck_assert_ptr_ne(other, self);
}
END_TEST

static long clone_with(long flags, long stack)
{
	safe_syscall_word arg[SAFE_SYSCALL_ARGUMENTS] = { 0 };

	arg[SS_CLONE_FLAGS] = flags;
	arg[SS_CLONE_STACK] = stack;
	return safe_syscallv(SYS_clone, arg);
}

static void refuse(long result)
{
	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
}

START_TEST(arguments_in_an_array)
{
	safe_syscall_word a[SAFE_SYSCALL_ARGUMENTS] = { -1 };

	ck_assert_int_eq(safe_syscallv(SYS_getppid, a), getppid());
	errno = 0;
	ck_assert_int_eq(safe_syscallv(SYS_close, a), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(safe_syscallv(SYS_close, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(safe_syscallv(SYS_rt_sigreturn, a), -1);
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(refused)
{
#ifdef SYS_vfork
	refuse(safe_syscall(SYS_vfork));
#endif
#ifdef SYS_clone3
	refuse(safe_syscall(SYS_clone3, 0, 0));
#endif
#ifdef SYS_sigreturn
	refuse(safe_syscall(SYS_sigreturn));
#endif
#ifdef SYS_swapcontext
	refuse(safe_syscall(SYS_swapcontext, 0, 0, 0));
#endif
	refuse(safe_syscall(SYS_rt_sigreturn));
	refuse(clone_with(CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, 0));
	refuse(clone_with(SIGCHLD, 4096));
}
END_TEST

/* What the kernel does not read of a number, or what tells it another ABI's. */
static const unsigned long long disguises[] = {
	1ULL << 32, 1ULL << 63, 0xffffffffULL << 32, 0xdeadbeefULL << 32,
#ifdef __x86_64__
	1ULL << 30, 3ULL << 30 << 2 | 1ULL << 30,
#endif
#ifdef __s390x__
	1ULL << 16, 0xffffULL << 16,
#endif
};

static long disguised(long number, int i)
{
	return (long)((unsigned long long)number | disguises[i]);
}

START_TEST(refused_in_disguise)
{
#ifdef SYS_vfork
	refuse(safe_syscall(disguised(SYS_vfork, _i)));
#endif
#ifdef SYS_clone3
	refuse(safe_syscall(disguised(SYS_clone3, _i), 0, 0));
#endif
	refuse(safe_syscall(disguised(SYS_rt_sigreturn, _i)));
	refuse(safe_syscall(disguised(SYS_clone, _i), CLONE_VM | CLONE_FS | SIGCHLD,
			    CLONE_VM | CLONE_FS | SIGCHLD, 0));
}
END_TEST

/* Calls of which the number is an argument. */
START_TEST(refused_at_one_remove)
{
#ifdef SYS_syscall
	refuse(safe_syscall(SYS_syscall, SYS_clone, CLONE_VM | CLONE_FS | SIGCHLD, 0));
	refuse(safe_syscall(SYS_syscall, SYS_rt_sigreturn));
	refuse(safe_syscall(SYS_syscall, SYS_getpid));
#elif defined __x86_64__
	/* x32's own rt_sigreturn, and with a disguise */
	refuse(safe_syscall(0x40000000L + 513));
	refuse(safe_syscall((long)((1ULL << 32) + 0x40000000 + 513)));
#else
	SKIP("no such call here");
#endif
}
END_TEST

/* fork in the form that comes back on the same stack is fine. */
START_TEST(clone_as_fork)
{
	long child = clone_with(SIGCHLD, 0);
	int status;

	if (child == 0)
		_exit(safe_syscall(SYS_getppid) > 0 ? 7 : 8);
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid((pid_t)child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

START_TEST(result_beyond_an_int)
{
#if LONG_MAX > INT_MAX
	char name[] = "/tmp/safe_syscall.XXXXXX";
	int fd = mkstemp(name);
	long far = 0x8765432109L;

	unlink(name);
	ck_assert_int_eq(safe_syscall(SYS_lseek, fd, far, SEEK_SET), far);
#else
	SKIP("a long is no longer than an int");
#endif
}
END_TEST

START_TEST(version)
{
	ck_assert_str_eq(safe_syscall_version(), PACKAGE_VERSION);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scope");
	TCase *tc = tcase_create("own scope");

	tcase_add_test(tc, as_syscall);
	tcase_add_test(tc, in_an_interrupted_scope);
	tcase_add_test(tc, each_thread_has_its_own);
	tcase_add_test(tc, arguments_in_an_array);
	tcase_add_test(tc, refused);
	tcase_add_loop_test(tc, refused_in_disguise, 0, sizeof disguises / sizeof *disguises);
	tcase_add_test(tc, refused_at_one_remove);
	tcase_add_test(tc, clone_as_fork);
	tcase_add_test(tc, result_beyond_an_int);
	tcase_add_test(tc, version);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
