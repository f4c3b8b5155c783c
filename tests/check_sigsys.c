/* SPDX-License-Identifier: MIT */
/*
 * check_sigsys.c - a seccomp filter answers the calls of the stub by SIGSYS
 *
 * The instruction has been executed: the call is done, what the handler answers is
 * the result, also when it sets the flag and calls the hook, and nothing is made again.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#define NEW_SCOPE ((safe_syscall_scope)SAFE_SYSCALL_SCOPE_INIT)

#include "code.h"

enum { SET = 1, REWIND = 2, HOOK = 4, SIGNAL = 8 };	/* what the handler does */

static struct code code;
static volatile int flag, handled, signalled;
static const struct answer {
	const char *name;
	int todo;
	long value;			/* for the result register */
	int failed;
	long want;
} answers[] = {
	{ "a value", 0, 4711, 0, 4711 },
	{ "a value, rewound", REWIND, 4711, 0, 4711 },
	{ "a value, hooked", HOOK, 4711, 0, 4711 },
	{ "a value, flag set and rewound", SET | REWIND, 4711, 0, 4711 },
	{ "a value, flag set and hooked", SET | HOOK, 4711, 0, 4711 },
	{ "zero, flag set and rewound", SET | REWIND, 0, 0, 0 },
	{ "an error, flag set and rewound", SET | REWIND, EPERM, 1, -EPERM },
	{ "EINTR, flag set and rewound", SET | REWIND, EINTR, 1, -EINTR },
	/* the number that the kernel itself uses for a restart */
	{ "ERESTARTSYS, rewound", REWIND, SAFE_ERESTARTSYS, 1, -SAFE_ERESTARTSYS },
	{ "a value, then a signal", SET | REWIND | SIGNAL, 4711, 0, 4711 },
	{ "an error, then a signal", SET | REWIND | SIGNAL, EPERM, 1, -EPERM }
}, *answer;

enum { ANSWERS = sizeof answers / sizeof answers[0] };

static enum safe_syscall_phase phase, rewound, phase_of_signal;
static long result_of_signal;
static int has_result, from_stub;

static void on_sigsys(int sig, siginfo_t *info, void *ucontext)
{
	uintptr_t from = (uintptr_t)info->si_call_addr;

	handled++;
	from_stub = from > code.entry && from < code.end;
	phase = rewound = safe_syscall_classify(ucontext);
	if (answer->todo & SET)
		flag = 1;
	if (answer->todo & REWIND)
		rewound = safe_syscall_rewind(ucontext);
	if (answer->todo & HOOK)
		safe_syscall_hook(sig, info, ucontext);
	ta_set_result(ucontext, answer->value, answer->failed);
	/* it is blocked here, and comes when this one has returned */
	if (answer->todo & SIGNAL)
		kill(getpid(), SIGUSR1);
}

static void on_usr1(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	signalled++;
	phase_of_signal = safe_syscall_rewind(ucontext);
	has_result = safe_syscall_result(ucontext, &result_of_signal) == 0;
}

static void install_handlers(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = on_sigsys;
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	sigaddset(&sa.sa_mask, SIGUSR1);
	ck_assert_int_eq(sigaction(SIGSYS, &sa, NULL), 0);
	on_signal(SIGUSR1, SA_RESTART, on_usr1);
}

/* ---- the filter ----------------------------------------------------------------- */

/* 32 bits of the address after the instruction */
#define IP(high) \
	(uint32_t)(offsetof(struct seccomp_data, instruction_pointer) + \
		   4 * ((__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) != (high)))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define JUMP(k, no) BPF_JUMP(BPF_JMP | BPF_K | BPF_JEQ, (uint32_t)(k), 0, no)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)

/* Every call that the stub makes, and no other. */
static int trap_the_stub(void)
{
	uint64_t commit = code.pc[code.call + 1];
	struct sock_filter filter[] = {
		LOAD(IP(1)),
		JUMP(commit >> 32, 3),
		LOAD(IP(0)),
		JUMP(commit, 1),
		RETURN(SECCOMP_RET_TRAP),
		RETURN(SECCOMP_RET_ALLOW)
	};
	struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 &&
	    prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program) == 0)
		return 1;
	ck_assert_msg(errno == EINVAL || errno == ENOSYS, "prctl: %d", errno);
	return 0;
}

static const char no_filters[] = "this kernel has no seccomp filters";

/* ---- tests ---------------------------------------------------------------------- */

START_TEST(the_answer_is_the_result)
{
	int fd[2], waiting;
	long result;

	answer = &answers[_i];
	code_read(&code);
	ck_assert_int_eq(pipe(fd), 0);
	install_handlers();
	if (!trap_the_stub())
		SKIP(no_filters);
	result = safe_syscall_raw(&flag, SYS_write, fd[1], "x", 1);
	ck_assert_msg(result == answer->want, "%s: %ld, not %ld", answer->name, result,
		      answer->want);
	ck_assert_int_eq(handled, 1);
	ck_assert(from_stub);
	ck_assert_int_eq(phase, SAFE_SYSCALL_DONE);
	ck_assert_int_eq(rewound, SAFE_SYSCALL_DONE);
	ck_assert_int_eq(ioctl(fd[0], FIONREAD, &waiting), 0);
	ck_assert_int_eq(waiting, 0);
	ck_assert_int_eq(signalled, (answer->todo & SIGNAL) != 0);
	if (signalled) {
		ck_assert_int_eq(phase_of_signal, SAFE_SYSCALL_DONE);
		ck_assert(has_result);
		ck_assert_int_eq(result_of_signal, result);
	}
}
END_TEST

/* The flag is looked at before the kernel is entered, and so before the filter. */
START_TEST(the_flag_comes_first)
{
	answer = &answers[0];
	code_read(&code);
	install_handlers();
	if (!trap_the_stub())
		SKIP(no_filters);
	flag = 1;
	ck_assert_int_eq(safe_syscall_raw(&flag, SYS_getpid), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(handled, 0);
	flag = 0;
	ck_assert_int_eq(safe_syscall_raw(&flag, SYS_getpid), 4711);
	ck_assert_int_eq(handled, 1);
}
END_TEST

/*
 * A filter may answer by the number that means a restart.  Whoever has made the call only
 * knows that the kernel was entered: it is not made again.
 */
static const struct answer answer_512 = {
	"ERESTARTSYS", 0, SAFE_ERESTARTSYS, 1, -SAFE_ERESTARTSYS
};

static void makes_the_call(int sig)
{
	/* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c): it may be called there */
	long result = safe_syscall(SYS_getppid);

	(void)sig;
	/* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c) */
	signalled += result == -1 && errno == SAFE_ERESTARTSYS;
}

/* The flag is out of date when another thread has taken the interrupt back. */
static void *rearm(void *scope)
{
	ck_assert_int_eq(safe_syscall_rearm(scope), 1);
	return NULL;
}

START_TEST(answered_by_512)
{
	safe_syscall_scope scope = NEW_SCOPE;
	pthread_t thread;

	ck_assert_int_eq(safe_syscall_init(0), 0);
	code_read(&code);
	answer = &answer_512;
	install_handlers();
	signal(SIGUSR2, makes_the_call);
	if (_i & 1)
		ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	/* so that the stub comes back by itself first */
	if (_i & 2) {
		ck_assert_int_eq(safe_syscall_interrupt(safe_syscall_self()), 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, rearm,
						safe_syscall_self()), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
	if (!trap_the_stub())
		SKIP(no_filters);
	if (_i & 4) {
		raise(SIGUSR2);
		ck_assert_int_eq(signalled, 1);
	} else {
		ck_assert_int_eq(safe_syscall(SYS_getppid), -1);
		ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	}
	ck_assert_int_eq(handled, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sigsys");
	TCase *tc = tcase_create("seccomp");

	tcase_add_loop_test(tc, the_answer_is_the_result, 0, ANSWERS);
	tcase_add_test(tc, the_flag_comes_first);
	tcase_add_loop_test(tc, answered_by_512, 0, 8);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
