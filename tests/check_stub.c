/* SPDX-License-Identifier: MIT */
/* check_stub.c - layer 1: arguments in, results out, the flag */
#include <limits.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "testing.h"
#include "arch.h"

static const volatile int clear;

static int temporary_file(void)
{
	char name[] = "/tmp/safe_syscall.XXXXXX";
	int fd = mkstemp(name);

	ck_assert_int_ge(fd, 0);
	unlink(name);
	return fd;
}

START_TEST(no_arguments)
{
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_getpid), getpid());
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_getppid), getppid());
}
END_TEST

START_TEST(one_argument)
{
	int fd = temporary_file();

	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_close, fd), 0);
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_close, fd), -EBADF);
}
END_TEST

START_TEST(two_arguments)
{
	struct timespec ts = { -1, -1 };

	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_clock_gettime,
					  CLOCK_MONOTONIC, &ts), 0);
	ck_assert_int_ge(ts.tv_nsec, 0);
}
END_TEST

START_TEST(three_arguments)
{
	int fd = temporary_file();

	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_write, fd, "abcd", 3), 3);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 3);
}
END_TEST

START_TEST(four_arguments)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	/* the fourth is the size: any other is an error */
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_rt_sigprocmask, SIG_BLOCK,
					  &set, &old, _NSIG / 8 + 1), -EINVAL);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &old), 0);
	ck_assert(!sigismember(&old, SIGUSR2));
}
END_TEST

START_TEST(five_arguments)
{
	/* prctl wants zeros in those it does not use, and says which it got */
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_prctl,
					  PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_prctl,
					  PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_prctl,
					  PR_GET_NO_NEW_PRIVS, 0, 0, 0, 9), -EINVAL);
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_prctl,
					  PR_GET_NO_NEW_PRIVS, 0, 0, 9, 0), -EINVAL);
}
END_TEST

START_TEST(six_arguments)
{
	static int from = 7, to;

	/* the sixth is compared with the first's word, the fifth is an address */
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_futex, &from,
					  FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &to, 7), 0);
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_futex, &from,
					  FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &to, 8), -EAGAIN);
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_futex, &from,
					  FUTEX_CMP_REQUEUE_PRIVATE, 1, 1,
					  (char *)&to + 1, 7), -EINVAL);
}
END_TEST

START_TEST(seven_arguments)
{
#if SAFE_SYSCALL_ARGUMENTS == 7
	int fd = temporary_file();

	/* fd, padding, two 64-bit numbers in pairs, and the seventh: flags */
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_sync_file_range, fd,
					  0, 0, 0, 0, 0, 2), 0);
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_sync_file_range, fd,
					  0, 0, 0, 0, 0, 64), -EINVAL);
#else
	SKIP("only mips o32 passes seven");
#endif
}
END_TEST

START_TEST(large_result)
{
#if LONG_MAX > INT_MAX
	int fd = temporary_file();
	long far = 0x123456789aL;

	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_lseek, fd, far, SEEK_SET), far);
#else
	SKIP("a long is no longer than an int");
#endif
}
END_TEST

/*
 * Every errno there can be, 1 to 4095, and 0: a filter answers the call with
 * its own first argument.
 */
START_TEST(every_errno)
{
	unsigned int low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 (unsigned int)offsetof(struct seccomp_data, args) + low),
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program = { sizeof code / sizeof code[0], code };
	long e;

	if (emulated())
		SKIP("the emulator has no seccomp");
	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	for (e = 0; e <= 4095; e++) {
		errno = 4242;
		ck_assert_int_eq(safe_syscall_raw(&clear, SYS_getpgid, e), -e);
		ck_assert_int_eq(errno, 4242);
	}
	for (e = 1; e <= 4095; e++) {
		errno = 0;
		ck_assert_int_eq(safe_syscall(SYS_getpgid, e), -1);
		ck_assert_int_eq(errno, e);
	}
}
END_TEST

START_TEST(flag_set)
{
	volatile int flag;
	int fd[2], value;
	char c;

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	/* any bit of it, and no neighbour */
	for (value = 0; value < 32; value++) {
		volatile int word[3] = { -1, 0, -1 };

		flag = (int)(1U << value);
		errno = 4242;
		ck_assert_int_eq(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1),
				 -SAFE_ERESTARTSYS);
		ck_assert_int_eq(errno, 4242);
		ck_assert_uint_eq((unsigned int)flag, 1U << value);
		ck_assert_int_eq(safe_syscall_raw(&word[1], SYS_getpid), getpid());
	}
	flag = 0;
	ck_assert_int_eq(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1), 1);
	ck_assert_int_eq(c, 'x');
}
END_TEST

/* The flag may be anywhere that can be read. */
START_TEST(flag_in_read_only_memory)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	ck_assert_int_eq(safe_syscall_raw((int *)(p + page - sizeof(int)), SYS_getpid),
			 getpid());
}
END_TEST

START_TEST(unknown_number)
{
	ck_assert_int_eq(safe_syscall_raw(&clear, SYS_getpid + 100000L), -ENOSYS);
}
END_TEST

START_TEST(arguments_in_an_array)
{
	static const volatile int set = 1;
	static int from = 7, to;
	safe_syscall_word a[SAFE_SYSCALL_ARGUMENTS] = {
		(safe_syscall_word)(uintptr_t)&from, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1,
		(safe_syscall_word)(uintptr_t)&to, 7
	};

	ck_assert_int_eq(safe_syscall_rawv(&clear, SYS_futex, a), 0);
	ck_assert_int_eq(safe_syscall_rawv(&set, SYS_futex, a), -SAFE_ERESTARTSYS);
	a[5] = 8;
	ck_assert_int_eq(safe_syscall_rawv(&clear, SYS_futex, a), -EAGAIN);
	a[5] = 7;
	a[4]++;
	ck_assert_int_eq(safe_syscall_rawv(&clear, SYS_futex, a), -EINVAL);
	ck_assert_int_eq(safe_syscall_rawv(&clear, SYS_futex, NULL), -EINVAL);
#if SAFE_SYSCALL_ARGUMENTS == 7
	memset(a, 0, sizeof a);
	a[0] = temporary_file();
	a[6] = 64;
	ck_assert_int_eq(safe_syscall_rawv(&clear, SYS_sync_file_range, a), -EINVAL);
#endif
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stub");
	TCase *tc = tcase_create("stub");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, arguments_in_an_array);
	tcase_add_test(tc, no_arguments);
	tcase_add_test(tc, one_argument);
	tcase_add_test(tc, two_arguments);
	tcase_add_test(tc, three_arguments);
	tcase_add_test(tc, four_arguments);
	tcase_add_test(tc, five_arguments);
	tcase_add_test(tc, six_arguments);
	tcase_add_test(tc, seven_arguments);
	tcase_add_test(tc, large_result);
	tcase_add_test(tc, every_errno);
	tcase_add_test(tc, flag_set);
	tcase_add_test(tc, flag_in_read_only_memory);
	tcase_add_test(tc, unknown_number);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
