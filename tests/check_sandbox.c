/* SPDX-License-Identifier: MIT */
/*
 * check_sandbox.c - programs whose system calls are answered by SIGSYS, or refused,
 * unless the stub makes them
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "code.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
# define PR_SET_SYSCALL_USER_DISPATCH 59
# define PR_SYS_DISPATCH_OFF 0
# define PR_SYS_DISPATCH_ON 1
#endif
#ifndef SECCOMP_RET_KILL_PROCESS
# define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif

enum { ALLOW, BLOCK };		/* values of the selector */
enum { ANSWER = 4711 };		/* what the SIGSYS handler makes of a call */

static const volatile int never;
static volatile char selector;
static volatile int handled;
static volatile long inside, phase;

/*
 * Everything in here is done by the stub, or without the kernel: while the selector
 * is closed, an ordinary call would be one too many.
 */
static void answer(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	handled++;
	phase = (long)safe_syscall_rewind(ucontext);
	inside = safe_syscall_raw(&never, SYS_getppid);
	ta_set_result(ucontext, ANSWER, 0);
}

/* Back by the stub, too: the handler does not return to what the kernel put there. */
static void answer_and_leave(int sig, siginfo_t *info, void *ucontext)
{
	answer(sig, info, ucontext);
	ta_leave(&never, info, ucontext);
}

static void answer_and_open(int sig, siginfo_t *info, void *ucontext)
{
	answer(sig, info, ucontext);
	selector = ALLOW;
}

/* The ways back by the stub: the handler's own, and a restorer where there is that. */
enum {
	LEAVE, RESTORER,
#ifdef TA_HAS_RESTORER
	WAYS_BACK
#else
	WAYS_BACK = RESTORER
#endif
};

typedef void handler(int sig, siginfo_t *info, void *ucontext);

static void set_handler(int sig, int way, handler *leaves, handler *returns)
{
#ifdef TA_HAS_RESTORER
	if (way == RESTORER) {
		ck_assert_int_eq(ta_set_handler(sig, returns), 0);
		return;
	}
#endif
	(void)way;
	(void)returns;
	on_signal(sig, 0, leaves);
}

/* ---- the way back alone ----------------------------------------------------------- */

static void count(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	(void)ucontext;
	handled++;
}

static void count_and_leave(int sig, siginfo_t *info, void *ucontext)
{
	count(sig, info, ucontext);
	ta_leave(&never, info, ucontext);
}

/* It is a return from a handler like any other, again and again. */
START_TEST(back_by_the_stub)
{
	sigset_t mask;
	int i;

	set_handler(SIGUSR1, _i, count_and_leave, count);
	for (i = 1; i <= 100; i++) {
		ck_assert_int_eq(raise(SIGUSR1), 0);
		ck_assert_int_eq(handled, i);
	}
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
	ck_assert_int_eq(sigismember(&mask, SIGUSR1), 0);
}
END_TEST

/* ---- Syscall User Dispatch ---------------------------------------------------- */

/* Returns what stands in the way, or null. */
static const char *dispatch(void)
{
	const void *start;
	size_t length;

	if (emulated())
		return "emulators of user mode have no Syscall User Dispatch";
	ck_assert_int_eq(safe_syscall_region(&start, &length), 0);
	selector = ALLOW;
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, (long)start,
		  (long)length, (long)&selector) == 0)
		return NULL;
	ck_assert_msg(errno == EINVAL || errno == ENOSYS, "prctl: %d", errno);
	return "this kernel has no Syscall User Dispatch (EINVAL)";
}

/* What is outside the region is answered by the handler, what is in it is made. */
START_TEST(dispatch_allows_the_region)
{
	pid_t parent = getppid();
	const char *obstacle;
	long out, in;

	on_signal(SIGSYS, 0, answer_and_open);
	obstacle = dispatch();
	if (obstacle)
		SKIP(obstacle);
	selector = BLOCK;
	in = safe_syscall_raw(&never, SYS_getppid);
	out = syscall(SYS_getppid);
	selector = ALLOW;
	ck_assert_int_eq(in, parent);
	ck_assert_int_eq(out, ANSWER);
	ck_assert_int_eq(inside, parent);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(phase, SAFE_SYSCALL_OUTSIDE);
}
END_TEST

/* The handler goes back by the stub, and nothing is ever opened. */
START_TEST(dispatch_without_opening)
{
	pid_t parent = getppid();
	const char *obstacle;
	long out[3], in;
	int i, was;

	set_handler(SIGSYS, _i, answer_and_leave, answer);
	obstacle = dispatch();
	if (obstacle)
		SKIP(obstacle);
	selector = BLOCK;
	for (i = 0; i < 3; i++)
		out[i] = syscall(SYS_getppid);
	in = safe_syscall_raw(&never, SYS_getppid);
	was = selector;
	selector = ALLOW;
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(out[i], ANSWER);
	ck_assert_int_eq(in, parent);
	ck_assert_int_eq(inside, parent);
	ck_assert_int_eq(handled, 3);
	ck_assert_int_eq(was, BLOCK);
}
END_TEST

/* A handler that goes back by the stub may interrupt the stub, and be interrupted. */
static volatile int flag, ticks;

static void tick(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	ticks++;
	flag = 1;
	safe_syscall_rewind(ucontext);
}

static void tick_and_leave(int sig, siginfo_t *info, void *ucontext)
{
	tick(sig, info, ucontext);
	ta_leave(&never, info, ucontext);
}

START_TEST(dispatch_under_signals)
{
	static const struct itimerspec often = { { 0, 100000 }, { 0, 100000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	const char *obstacle;
	long result, wrong = 0, calls = 0;
	timer_t timer;

	set_handler(SIGSYS, _i, answer_and_leave, answer);
	set_handler(SIGUSR1, _i, tick_and_leave, tick);
	obstacle = dispatch();
	if (obstacle)
		SKIP(obstacle);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	ck_assert_int_eq(timer_settime(timer, 0, &often, NULL), 0);
	selector = BLOCK;
	while (ticks < 3000) {
		flag = 0;
		result = safe_syscall_raw(&flag, SYS_getpid);
		wrong += result <= 0 && result != -SAFE_ERESTARTSYS;
		wrong += syscall(SYS_getppid) != ANSWER;
		calls++;
	}
	selector = ALLOW;
	timer_delete(timer);
	ck_assert_int_eq(wrong, 0);
	ck_assert_int_eq(handled, calls);
}
END_TEST

/* ---- seccomp -------------------------------------------------------------------- */

#define WORD(member, high) \
	(offsetof(struct seccomp_data, member) + \
	 4 * ((__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) != (high)))

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))
#define JUMP(how, k, yes, no) BPF_JUMP(BPF_JMP | BPF_K | (how), (uint32_t)(k), yes, no)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (uint32_t)(what))

static const char *no_seccomp(void)
{
	return emulated() ? "emulators of user mode have no seccomp" :
			    "this kernel has no seccomp filters (EINVAL)";
}

/*
 * The region may do anything.  Elsewhere, getppid (or any call, for number 0) gets
 * the action.
 */
static const char *filter(uint32_t action, long number)
{
	struct sock_fprog program;
	const void *start;
	uint64_t first, last;
	size_t length;

	if (emulated())
		return no_seccomp();
	ck_assert_int_eq(safe_syscall_region(&start, &length), 0);
	first = (uintptr_t)start;
	last = first + length - 1;
	ck_assert_uint_eq(first >> 32, last >> 32);
	{
		struct sock_filter code[] = {
			LOAD(WORD(instruction_pointer, 1)),
			JUMP(BPF_JEQ, first >> 32, 0, 4),
			LOAD(WORD(instruction_pointer, 0)),
			JUMP(BPF_JGE, first, 0, 2),
			JUMP(BPF_JGT, last, 1, 0),
			RETURN(SECCOMP_RET_ALLOW),
			LOAD(offsetof(struct seccomp_data, nr)),
			JUMP(number ? BPF_JEQ : BPF_JGE, number, 0, 1),
			RETURN(action),
			RETURN(SECCOMP_RET_ALLOW)
		};

		program.len = sizeof code / sizeof code[0];
		program.filter = code;
		if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L))
			return "prctl(PR_SET_NO_NEW_PRIVS) failed";
		if (prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program) == 0)
			return NULL;
	}
	ck_assert_msg(errno == EINVAL || errno == ENOSYS, "prctl: %d", errno);
	return no_seccomp();
}

START_TEST(seccomp_allows_the_region)
{
	pid_t parent = getppid();
	const char *obstacle = filter(SECCOMP_RET_ERRNO | EPERM, SYS_getppid);

	if (obstacle)
		SKIP(obstacle);
	ck_assert_int_eq(syscall(SYS_getppid), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(safe_syscall_raw(&never, SYS_getppid), parent);
	ck_assert_int_eq(safe_syscall(SYS_getppid), parent);
}
END_TEST

/* Answered by SIGSYS.  The call that the handler makes itself is the stub's. */
START_TEST(seccomp_traps)
{
	pid_t parent = getppid();
	const char *obstacle;

	on_signal(SIGSYS, 0, answer);
	obstacle = filter(SECCOMP_RET_TRAP, SYS_getppid);
	if (obstacle)
		SKIP(obstacle);
	ck_assert_int_eq(syscall(SYS_getppid), ANSWER);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(inside, parent);
	ck_assert_int_eq(safe_syscall_raw(&never, SYS_getppid), parent);
}
END_TEST

/* What ends a process, if it is not made by the stub. */
static void in_the_cell(int escape)
{
	long result = safe_syscall_raw(&never, SYS_getpid);

	if (escape)
		result = syscall(SYS_getppid);
	safe_syscall_raw(&never, SYS_exit_group, result > 0 ? 7 : 8);
}

/* Every call from elsewhere is fatal, also the return from a handler. */
START_TEST(seccomp_kills)
{
	const char *obstacle;
	pid_t child = fork();
	int status;

	if (child == 0) {
		obstacle = filter(SECCOMP_RET_KILL_PROCESS, 0);
		if (!obstacle)
			in_the_cell(_i);
		_exit(9);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 9)
		SKIP(no_seccomp());
	if (_i == 0) {
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 7);
	} else {
		ck_assert(WIFSIGNALED(status));
		ck_assert_int_eq(WTERMSIG(status), SIGSYS);
	}
}
END_TEST

/* The strictest: every call from elsewhere is trapped, and the way back is the stub. */
START_TEST(seccomp_traps_everything)
{
	const char *obstacle;
	pid_t child = fork();
	int status;

	if (child == 0) {
		set_handler(SIGSYS, _i, answer_and_leave, answer);
		obstacle = filter(SECCOMP_RET_TRAP, 0);
		if (!obstacle)
			safe_syscall_raw(&never, SYS_exit_group,
					 syscall(SYS_getppid) == ANSWER &&
					 syscall(SYS_gettid) == ANSWER &&
					 handled == 2 ? 7 : 8);
		_exit(9);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 9)
		SKIP(no_seccomp());
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("back");

	tcase_add_loop_test(tc, back_by_the_stub, 0, WAYS_BACK);
	suite_add_tcase(suite, tc);
	tc = tcase_create("dispatch");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, dispatch_allows_the_region);
	tcase_add_loop_test(tc, dispatch_without_opening, 0, WAYS_BACK);
	tcase_add_loop_test(tc, dispatch_under_signals, 0, WAYS_BACK);
	suite_add_tcase(suite, tc);
	tc = tcase_create("seccomp");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, seccomp_allows_the_region);
	tcase_add_test(tc, seccomp_traps);
	tcase_add_loop_test(tc, seccomp_kills, 0, 2);
	tcase_add_loop_test(tc, seccomp_traps_everything, 0, WAYS_BACK);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
