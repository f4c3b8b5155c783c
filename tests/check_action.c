/* SPDX-License-Identifier: MIT */
/* check_action.c - layer 3: handlers that are replaced while their signal is delivered; init */
#include "scopes.h"

static volatile int stop;

/* ---- each handler with its own mask ------------------------------------------------------ */

/* As many as the library keeps apart. */
enum { MOST = 8 };
static int first_of_mask;		/* handler i has the signal first_of_mask + i blocked */
static volatile long ran, wrong;

static void look_at_mask(int own)
{
	sigset_t set;
	int i;

	pthread_sigmask(SIG_BLOCK, NULL, &set);
	for (i = 0; i < MOST; i++)
		if (sigismember(&set, first_of_mask + i) != (i == own))
			wrong++;
	ran++;
}

#define HANDLER(i)				\
	static void handler##i(int sig)		\
	{					\
		(void)sig;			\
		look_at_mask(i);		\
	}
HANDLER(0) HANDLER(1) HANDLER(2) HANDLER(3) HANDLER(4) HANDLER(5) HANDLER(6) HANDLER(7)

static void (*const handlers[MOST])(int) = {
	handler0, handler1, handler2, handler3, handler4, handler5, handler6, handler7
};

static int set_handler(int i)
{
	struct sigaction sa, old;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = handlers[i];
	sa.sa_flags = SA_RESTART;
	sigaddset(&sa.sa_mask, first_of_mask + i);
	return safe_syscall_sigaction(SIGUSR1, &sa, &old);
}

static void *set_in_turn(void *count)
{
	int i;

	for (i = 0; !stop; i = (i + 1) % *(int *)count)
		wrong += set_handler(i) != 0;
	return NULL;
}

static void *raise_it(void *unused)
{
	while (!stop)
		syscall(SYS_tgkill, getpid(), own_tid(), SIGUSR1);
	return unused;
}

static const int counts[] = { 2, 3, 4, 8 };

START_TEST(masks_are_their_own)
{
	int count = counts[_i], i;
	pthread_t threads[4];

	if (emulated())
		SKIP("the emulator takes handler and mask one after the other");
	first_of_mask = SIGRTMIN + 3;
	ck_assert_int_eq(set_handler(0), 0);
	for (i = 0; i < 4; i++)
		threads[i] = start(i ? raise_it : set_in_turn, &count);
	pause_ms(shortened(500));
	stop = 1;
	for (i = 0; i < 4; i++)
		join(threads[i]);
	ck_assert_int_eq(wrong, 0);
	ck_assert_int_gt(ran, 0);
}
END_TEST

/* More than are kept apart: each that is set last is the one that runs, with all that belongs to it. */
static volatile int last_ran;

static void tells_flags(int sig, siginfo_t *info, void *ucontext)
{
	(void)ucontext;
	last_ran = info->si_signo == sig ? 100 : -1;
}

START_TEST(many_in_turn)
{
	struct sigaction sa, old;
	int i, k;

	if (emulated())
		SKIP("the emulator has a mask of its own");
	first_of_mask = SIGRTMIN + 3;
	for (i = 0; i < 100; i++) {
		k = i * 3 % MOST;
		ran = 0;
		ck_assert_int_eq(set_handler(k), 0);
		raise(SIGUSR1);
		ck_assert_int_eq(ran, 1);
		ck_assert_int_eq(wrong, 0);
		memset(&sa, 0, sizeof sa);
		sa.sa_sigaction = tells_flags;
		sa.sa_flags = SA_SIGINFO | (i % 2 ? SA_RESTART : 0);
		sigaddset(&sa.sa_mask, SIGRTMIN + 3 + i % 7);
		ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, &old), 0);
		ck_assert(old.sa_handler == handlers[k]);
		ck_assert_int_eq(old.sa_flags & (SA_SIGINFO | SA_RESTART), SA_RESTART);
		ck_assert_int_eq(sigismember(&old.sa_mask, first_of_mask + k), 1);
		raise(SIGUSR1);
		ck_assert_int_eq(last_ran, 100);
		ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, NULL, &old), 0);
		ck_assert(old.sa_sigaction == tells_flags);
		ck_assert_int_eq(old.sa_flags & (SA_SIGINFO | SA_RESTART),
				 SA_SIGINFO | (i % 2 ? SA_RESTART : 0));
	}
}
END_TEST

/* The same function, which takes three arguments or one. */
static void either(int sig, siginfo_t *info, void *ucontext)
{
	(void)info;
	(void)ucontext;
	last_ran = sig;
}

START_TEST(with_and_without_siginfo)
{
	struct sigaction sa, old;
	int i;

	for (i = 0; i < 4; i++) {
		memset(&sa, 0, sizeof sa);
		sa.sa_sigaction = either;
		sa.sa_flags = i % 2 ? SA_SIGINFO : 0;
		ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, NULL), 0);
		ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, NULL, &old), 0);
		ck_assert(old.sa_sigaction == either);
		ck_assert_int_eq(old.sa_flags & SA_SIGINFO, sa.sa_flags);
		last_ran = 0;
		raise(SIGUSR1);
		ck_assert_int_eq(last_ran, SIGUSR1);
	}
}
END_TEST

/* ---- a thread of high priority beside one of a low one ------------------------------------- */

static double longest;
static volatile int refused;

static void *set_all_the_time(void *unused)
{
	while (!stop)
		set_handler(0);
	return unused;
}

static void *set_now_and_then(void *unused)
{
	const struct sched_param priority = { .sched_priority = 10 };
	double end = now() + 1.5, began, took;

	refused = sched_setscheduler(0, SCHED_FIFO, &priority) != 0;
	while (!refused && now() < end) {
		pause_ms(1);
		began = now();
		set_handler(1);
		took = now() - began;
		if (took > longest)
			longest = took;
	}
	stop = 1;
	return unused;
}

START_TEST(priorities)
{
	pthread_t low, high;

	stay_on_one_processor();
	first_of_mask = SIGRTMIN + 3;
	low = start(set_all_the_time, NULL);
	high = start(set_now_and_then, NULL);
	join(high);
	join(low);
	if (refused)
		SKIP("sched_setscheduler() is not permitted");
	printf("priorities: at most %.3f ms\n", longest * 1e3);
	ck_assert(longest < 0.5);
}
END_TEST

/* ---- no signal is free --------------------------------------------------------------------- */

static void nothing(int sig)
{
	(void)sig;
}

START_TEST(no_signal_is_free)
{
	int sig, free_one = SIGRTMIN + 2;

	handle(SIGURG, nothing, 0, 0);
	for (sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		handle(sig, nothing, 0, 0);
	errno = 0;
	ck_assert_int_eq(safe_syscall_init(0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(safe_syscall_signal(), 0);
	handle(free_one, SIG_DFL, 0, 0);
	ck_assert_int_eq(safe_syscall_init(0), 0);
	ck_assert_int_eq(safe_syscall_signal(), free_one);
}
END_TEST

/* ---- in the middle of init ------------------------------------------------------------------ */

/* The C library's; but one stops when it has set the handler of interrupts, until it may go on. */
int __sigaction(int signum, const struct sigaction *act, struct sigaction *old);
static volatile int stops, is_stopped, goes_on;

int sigaction(int signum, const struct sigaction *act, struct sigaction *old)
{
	int result = __sigaction(signum, act, old);

	if (stops && act && signum == SIGURG) {
		stops = 0;
		is_stopped = 1;
		while (!goes_on)
			sched_yield();
	}
	return result;
}

static void *inits(void *unused)
{
	ck_assert_int_eq(safe_syscall_init(0), 0);
	ck_assert_int_eq(safe_syscall_signal(), SIGURG);
	return unused;
}

static pthread_t start_init(void)
{
	pthread_t thread;

	stops = 1;
	thread = start(inits, NULL);
	while (!is_stopped)
		sched_yield();
	return thread;
}

static int can_be_interrupted(void)
{
	safe_syscall_scope scope = NEW_SCOPE;

	return !pipe(fd) && !safe_syscall_enter(&scope) && !safe_syscall_interrupt(&scope) &&
		block() == -SAFE_ERESTARTSYS && safe_syscall_leave(&scope) == 1;
}

/* The child has the handler, and nobody who finishes: the signal is for nobody there. */
START_TEST(fork_while_another_thread_inits)
{
	pthread_t thread = start_init();
	pid_t child = fork();

	if (!child) {
		die_after(10);
		raise(SIGURG);
		_exit(safe_syscall_init(0) || safe_syscall_signal() != SIGURG ||
		      !can_be_interrupted());
	}
	ck_assert_int_eq(end_of(child), 0);
	goes_on = 1;
	join(thread);
	ck_assert(can_be_interrupted());
}
END_TEST

static volatile pid_t setter;
static volatile int its_error;

static void *sets_sigurg(void *unused)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = nothing;
	setter = own_tid();
	its_error = safe_syscall_sigaction(SIGURG, &sa, NULL) ? errno : -1;
	return unused;
}

/* Which signal is taken is known when init is over. */
START_TEST(sigaction_while_another_thread_inits)
{
	pthread_t thread = start_init(), other = start(sets_sigurg, NULL);

	while (!setter || (!its_error && state_of(getpid(), setter) != 'S'))
		sched_yield();
	goes_on = 1;
	join(thread);
	join(other);
	ck_assert_int_eq(its_error, EINVAL);
	ck_assert(can_be_interrupted());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("action");
	TCase *tc = tcase_create("handlers");
	TCase *without = tcase_create("before init");

	limit_time(without, 30);
	tcase_add_test(without, no_signal_is_free);
	tcase_add_test(without, fork_while_another_thread_inits);
	tcase_add_test(without, sigaction_while_another_thread_inits);
	suite_add_tcase(suite, without);

	limit_time(tc, 30);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, masks_are_their_own, 0, sizeof counts / sizeof *counts);
	tcase_add_test(tc, many_in_turn);
	tcase_add_test(tc, with_and_without_siginfo);
	tcase_add_test(tc, priorities);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
