/* SPDX-License-Identifier: MIT */
/*
 * check_green_stub.c - a green thread is put aside at every instruction of the stub.  A breakpoint
 * stops it there; its handler sends the tick's signal and goes back, so that the tick finds
 * the very context.  The first tick sees who runs, the second one puts it aside.
 */
#include <pthread.h>

#include "breakpoint.h"
#include "code.h"
#include "../examples/green/green.h"

#ifndef TA_CODE_OF
# define TA_CODE_OF(function) ((uintptr_t)(function))
#endif

static struct code code;
static int tick, next;			/* the lowest descriptor that is free */

static struct trial {
	int i;				/* the instruction */
	enum { ALONE, CANCELLED_MEANWHILE, CANCELLED_BEFORE } how;
	green *task;
	volatile int hits, ran_meanwhile;
	volatile enum { BEFORE_CALL, IN_CALL, AFTER_CALL } phase;
	volatile int is_void;		/* it was put aside too early, by the timer's own tick */
	long result;
	int error;
} now_tried;

/* What the program does not handle is the runtime's. */
static void find_tick(void)
{
	struct sigaction sa;

	for (tick = SIGRTMAX; tick > SIGRTMIN; tick--)
		if (!sigaction(tick, NULL, &sa) && sa.sa_handler != SIG_DFL)
			return;
	ck_abort_msg("no tick");
}

static int in_slot(int i)
{
	return i > 0 && ta_has_slot(code_at(&code, i - 1));
}

/* It is blocked until this handler returns, and then comes before the instruction. */
static void stopped(ucontext_t *uc)
{
	sigset_t set;

	(void)uc;
	sigemptyset(&set);
	sigaddset(&set, tick);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_kill(pthread_self(), tick);
	if (!now_tried.hits++)
		breakpoint_set(code.pc[now_tried.i], in_slot(now_tried.i), stopped);
}

static void at_the_entry(ucontext_t *uc)
{
	if (now_tried.how == CANCELLED_BEFORE)
		green_cancel(now_tried.task);
	if (now_tried.i)
		breakpoint_set(code.pc[now_tried.i], in_slot(now_tried.i), stopped);
	else
		stopped(uc);
}

static void other(void *unused)
{
	(void)unused;
	now_tried.ran_meanwhile = now_tried.phase == IN_CALL;
	now_tried.is_void = now_tried.phase != AFTER_CALL && !now_tried.hits;
	if (now_tried.ran_meanwhile && now_tried.how == CANCELLED_MEANWHILE)
		green_cancel(now_tried.task);
}

static void calls(void *unused)
{
	green *g = green_spawn(other, unused);

	ck_assert_ptr_ne(g, NULL);
	breakpoint_set(code.entry, 0, at_the_entry);
	now_tried.phase = IN_CALL;
	now_tried.result = green_syscall(SYS_dup, 1);
	now_tried.error = errno;
	now_tried.phase = AFTER_CALL;
	breakpoint_clear();
	green_detach(g);
}

/* Was it put aside? */
static int try(int i, int how)
{
	int cancelled = how == CANCELLED_BEFORE, n;

	do {
		now_tried = (struct trial){ .i = i, .how = how };
		now_tried.task = green_spawn(calls, NULL);
		ck_assert_int_eq(green_join(now_tried.task), 0);
		n = !close(next);
	} while (now_tried.is_void);
	if (how == CANCELLED_MEANWHILE && now_tried.hits)
		cancelled = (in_slot(i) ? i - 1 : i) <= code.call;
	ck_assert_msg(now_tried.result == (cancelled ? -1 : next) && n == !cancelled &&
		      (!cancelled || now_tried.error == ECANCELED),
		      "instruction %d, %d: result %ld, %d descriptors", i, how, now_tried.result, n);
	ck_assert_msg(!now_tried.hits || now_tried.ran_meanwhile,
		      "instruction %d, %d: it was not put aside", i, how);
	return now_tried.hits != 0;
}

static void try_all(void *unused)
{
	int i, how, hits = 0;

	(void)unused;
	find_tick();
	next = dup(1);
	close(next);
	for (how = ALONE; how <= CANCELLED_BEFORE; how++)
		for (i = 0; i < code.count; i++)
			hits += try(i, how);
	ck_assert_int_ge(hits, 2 * TA_NORMAL + code.count - code.abort);
}

START_TEST(at_every_instruction)
{
	code_read(&code);
	breakpoint_prepare(code.entry);
	ck_assert_int_eq(green_run(1, try_all, NULL), 0);
}
END_TEST

/*
 * A tick that comes when a tick's handler has just begun, which has interrupted the C library:
 * where the one is the other one is not.
 */
static int ran;

static void runs(void *unused)
{
	(void)unused;
	ran = 1;
}

static void once(ucontext_t *uc)
{
	now_tried.hits = 1;
	stopped(uc);
}

static void is_in_the_library(void *unused)
{
	int ran_in_time = 1, trials;
	struct sigaction sa;
	uintptr_t handler;
	green *g;

	find_tick();
	sigaction(tick, NULL, &sa);
	handler = TA_CODE_OF(sa.sa_sigaction);
	breakpoint_prepare(handler);
	/* the timer's own tick may meet this function, where it may be put aside: again */
	for (trials = 0; ran_in_time && trials < 20; trials++) {
		ran = 0;
		g = green_spawn(runs, unused);
		pthread_kill(pthread_self(), tick);	/* it sees who runs */
		breakpoint_set(handler, 0, once);
		pthread_kill(pthread_self(), tick);
		ran_in_time = ran;
		ck_assert_int_eq(breakpoint_clear(), 1);
		ck_assert_int_eq(green_join(g), 0);
	}
	ck_assert_int_eq(ran_in_time, 0);
}

START_TEST(in_the_handler)
{
#ifdef TA_COMPILED
	SKIP("the breakpoint is one for the stub's code, not the handler's");
#endif
	ck_assert_int_eq(green_run(1, is_in_the_library, NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("green_stub");
	TCase *tc = tcase_create("stub");

	limit_time(tc, 120);
	tcase_add_test(tc, at_every_instruction);
	tcase_add_test(tc, in_the_handler);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
