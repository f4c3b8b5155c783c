/* SPDX-License-Identifier: MIT */
/* check_deadline.c - scopes that are interrupted at a given time */
#include "scopes.h"

#define MS 1000000LL

static safe_syscall_scope outer, inner;

static void set_up(void)
{
	setup();
	outer = inner = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&outer), 0);
}

static struct timespec from_now(long long ns)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ns += ts.tv_nsec;
	ts.tv_sec += ns / 1000000000 - (ns % 1000000000 < 0);
	ts.tv_nsec = (long)((ns % 1000000000 + 1000000000) % 1000000000);
	return ts;
}

static double begun;		/* when the first one was set */

static int set(safe_syscall_scope *scope, long long ns)
{
	struct timespec when;

	if (!begun)
		begun = now();
	when = from_now(ns);
	errno = 4711;
	if (safe_syscall_deadline(scope, &when))
		return errno;
	ck_assert_int_eq(errno, 4711);
	return 0;
}

/* A call that nothing else ends returns, and not before so long after the first was set. */
static void expect_after(long long ns)
{
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert(now() - begun >= (double)ns / 1e9 - 1e-4);
}

/* Nothing of it comes any more. */
static void expect_peace(int ms)
{
	ck_assert_int_eq(poll(NULL, 0, ms), 0);
	ck_assert(is_quiet());
}

/* In a handler of others in which the signal is blocked, with the time past: */
static volatile long result_in_handler;

static void calls_when_it_is_past(int sig)
{
	(void)sig;
	pause_ms(20);
	result_in_handler = block();
}

START_TEST(signal_is_blocked_in_a_handler)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = calls_when_it_is_past;
	sigfillset(&sa.sa_mask);
	ck_assert_int_eq((_i ? safe_syscall_sigaction : sigaction)(SIGUSR1, &sa, NULL), 0);
	ck_assert_int_eq(set(&outer, 5 * MS), 0);
	raise(SIGUSR1);
	ck_assert_int_eq(result_in_handler, -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&outer), 2);
	expect_peace(2);
}
END_TEST

START_TEST(ends_a_call)
{
	ck_assert_int_eq(set(&outer, 200 * MS), 0);
	ck_assert_int_eq(safe_syscall_interrupted(&outer), 0);
	expect_after(200 * MS);
	ck_assert_int_eq(safe_syscall_interrupted(&outer), 2);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_interrupt(&outer), 0);
	ck_assert_int_eq(safe_syscall_interrupted(&outer), 2);
	if (_i) {
		ck_assert_int_eq(safe_syscall_rearm(&outer), 2);
		ck_assert_int_eq(safe_syscall_rearm(&outer), 0);
		/* the next one is of whoever it is of */
		ck_assert_int_eq(safe_syscall_interrupt(&outer), 0);
		ck_assert_int_eq(safe_syscall_rearm(&outer), 1);
		ck_assert_int_eq(write(fd[1], "x", 1), 1);
		ck_assert_int_eq(block(), 1);
	}
	ck_assert_int_eq(safe_syscall_leave(&outer), _i ? 0 : 2);
	expect_peace(2);
}
END_TEST

START_TEST(in_the_past)
{
	static const long long times[] = { 0, -1, -1000 * MS };

	ck_assert_int_eq(set(&outer, times[_i]), 0);
	ck_assert_int_eq(safe_syscall_interrupted(&outer), 2);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&outer), 2);
	expect_peace(2);
}
END_TEST

/* A long way off, so that a sum of nanoseconds would be too large on a word of 32 bits. */
START_TEST(does_not_come)
{
	static const long long times[] = { 300 * MS, 10000 * MS, 100000000LL * 1000 * MS };

	ck_assert_int_eq(set(&outer, times[_i]), 0);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	ck_assert_int_eq(block(), 1);
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
	expect_peace(_i ? 5 : 350);
	ck_assert_int_eq(safe_syscall_interrupted(&outer), 0);
}
END_TEST

/* Which scope has one, and which comes first. */
START_TEST(nested)
{
	int outer_first = _i & 1, outer_only = _i & 2;

	ck_assert_int_eq(set(&outer, outer_first || outer_only ? 100 * MS : 400 * MS), 0);
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	if (!outer_only)
		ck_assert_int_eq(set(&inner, outer_first ? 400 * MS : 100 * MS), 0);
	expect_after(100 * MS);
	if (!outer_first && !outer_only) {
		ck_assert_int_eq(safe_syscall_interrupted(&inner), 2);
		ck_assert_int_eq(safe_syscall_interrupted(&outer), 0);
		ck_assert_int_eq(safe_syscall_leave(&inner), 2);
		expect_after(400 * MS);
		ck_assert_int_eq(safe_syscall_leave(&outer), 2);
	} else {
		ck_assert_int_eq(safe_syscall_interrupted(&inner), 0);
		ck_assert_int_eq(safe_syscall_rearm(&outer), 2);
		if (!outer_only)
			expect_after(400 * MS);
		ck_assert_int_eq(safe_syscall_leave(&inner), outer_only ? 0 : 2);
		ck_assert_int_eq(safe_syscall_leave(&outer), 0);
	}
	expect_peace(50);
}
END_TEST

START_TEST(own_scope)
{
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
	ck_assert_int_eq(set(safe_syscall_self(), 10 * MS), 0);
	expect_after(10 * MS);
	ck_assert_int_eq(safe_syscall_rearm(safe_syscall_self()), 2);
	expect_peace(2);
}
END_TEST

/* Taken back, put off, put forward. */
START_TEST(changed)
{
	ck_assert_int_eq(set(&outer, _i == 2 ? 10000 * MS : 200 * MS), 0);
	if (_i == 0) {
		ck_assert_int_eq(safe_syscall_deadline(&outer, NULL), 0);
		expect_peace(250);
		ck_assert_int_eq(safe_syscall_leave(&outer), 0);
	} else {
		ck_assert_int_eq(set(&outer, _i == 1 ? 600 * MS : 200 * MS), 0);
		if (_i == 1)
			expect_peace(250);
		expect_after(_i == 1 ? 600 * MS : 200 * MS);
		ck_assert_int_eq(safe_syscall_leave(&outer), 2);
	}
	expect_peace(2);
}
END_TEST

/* The interrupt of others is not the deadline's, and rearm leaves one that is to come. */
START_TEST(interrupted_before)
{
	ck_assert_int_eq(set(&outer, 300 * MS), 0);
	ck_assert_int_eq(safe_syscall_interrupt(&outer), 0);
	if (_i) {
		pause_ms(400);
		ck_assert_int_eq(safe_syscall_rearm(&outer), 1);
		expect_peace(2);
	} else {
		ck_assert_int_eq(safe_syscall_rearm(&outer), 1);
		expect_after(300 * MS);
		ck_assert_int_eq(safe_syscall_rearm(&outer), 2);
	}
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
}
END_TEST

/*
 * The signal is pending when the scope is left or rearmed, or its deadline is taken back.  The
 * time is long enough that it has not passed when it is set, on a slow machine.
 */
START_TEST(expired_and_pending)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, safe_syscall_signal());
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
	ck_assert_int_eq(set(&outer, 200 * MS), 0);
	pause_ms(300);
	if (_i == 0)
		ck_assert_int_eq(safe_syscall_leave(&outer), 0);
	else if (_i == 1)
		ck_assert_int_eq(safe_syscall_rearm(&outer), 2);
	else
		ck_assert_int_eq(safe_syscall_deadline(&outer, NULL), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &one, NULL), 0);
	expect_peace(5);
	ck_assert_int_eq(safe_syscall_interrupted(&outer), 0);
}
END_TEST

/* It is that of a scope around, and the inner one is left. */
START_TEST(pending_for_the_scope_around)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, safe_syscall_signal());
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	ck_assert_int_eq(set(&outer, 1 * MS), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &one, NULL), 0);
	pause_ms(5);
	ck_assert_int_eq(safe_syscall_interrupt(&inner), 0);
	ck_assert_int_eq(safe_syscall_leave(&inner), 1);
	ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &one, NULL), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&outer), 2);
}
END_TEST

/* Very many, each within a few steps of the end of its operation. */
START_TEST(many)
{
	int i, expired = 0, how;

	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
	for (i = 0; i < shortened(20000); i++) {
		ck_assert_int_eq(safe_syscall_enter(&outer), 0);
		ck_assert_int_eq(set(&outer, i % 64 * 300), 0);
		how = safe_syscall_leave(&outer);
		ck_assert(how == 0 || how == 2);
		if (poll(NULL, 0, 0) || safe_syscall(SYS_getppid) != getppid())
			ck_abort_msg("a stale signal, in round %d", i);
		expired += how == 2;
		safe_syscall_rearm(&outer);
	}
	printf("many: %d of %d expired\n", expired, i);
}
END_TEST

static volatile int handler_ran;

static void slow_handler(int sig)
{
	double start = now();

	(void)sig;
	while (safe_syscall_interrupted(&outer) != 2 && now() - start < 20)
		pause_ms(5);
	handler_ran = 1;
}

static void *signal_when_asleep(void *tid)
{
	wait_state(getpid(), *(pid_t *)tid, 'S');
	signal_thread(*(pid_t *)tid, SIGUSR2);
	return NULL;
}

/* It comes when a handler of others lies above the call. */
START_TEST(under_a_foreign_handler)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	pthread_t thread;

	handle(SIGUSR2, slow_handler, SA_RESTART, 0);
	thread = start(signal_when_asleep, &tid);
	ck_assert_int_eq(set(&outer, 1000 * MS), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(handler_ran, 1);
	join(thread);
	ck_assert_int_eq(safe_syscall_leave(&outer), 2);
	expect_peace(2);
}
END_TEST

static int timers(void)
{
	char line[256];
	int n = 0;
	FILE *f = fopen("/proc/self/timers", "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof line, f))
		n += !strncmp(line, "ID:", 3);
	fclose(f);
	return n;
}

static void *exits_with_one(void *unused)
{
	static safe_syscall_scope scope;

	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(set(&scope, 5 * MS), 0);
	return unused;
}

/* The timer is gone with the thread, and its signal finds nobody. */
START_TEST(thread_exits)
{
	int i, before = timers();

	for (i = 0; i < 20; i++) {
		join(start(exits_with_one, NULL));
	}
	ck_assert_int_eq(timers(), before);
	expect_peace(10);
}
END_TEST

START_TEST(no_timer)
{
	rlim_t was = limit_queue(0);

	ck_assert_int_eq(set(&outer, 10 * MS), EAGAIN);
	limit_queue(was);
	expect_peace(20);
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
}
END_TEST

/* One that has been made works when the queue is full. */
START_TEST(full_queue)
{
	rlim_t was;

	ck_assert_int_eq(set(&outer, 10 * MS), 0);
	was = limit_queue(0);
	expect_after(10 * MS);
	limit_queue(was);
	ck_assert_int_eq(safe_syscall_leave(&outer), 2);
}
END_TEST

/* The child of fork has what is left of the time, and a timer of its own. */
START_TEST(fork_with_one)
{
	int status;
	pid_t child;

	ck_assert_int_eq(set(&outer, 30 * MS), 0);
	child = fork();
	ck_assert_int_ne(child, -1);
	if (!child) {
		die_after(5);
		expect_after(30 * MS);
		_exit(safe_syscall_leave(&outer) == 2 ? 7 : 8);
	}
	expect_after(30 * MS);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

/* A new program has nothing of it. */
START_TEST(exec_with_one)
{
	static char *const arguments[] = { "sh", "-c", "sleep 0.05; exit 7", NULL };
	int status;
	pid_t child = fork();

	ck_assert_int_ne(child, -1);
	if (!child) {
		set(&outer, 10 * MS);
		execv("/bin/sh", arguments);
		_exit(errno == ENOENT ? 77 : 8);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		SKIP("no /bin/sh");
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

/*
 * Stopped when the time comes: it is late, and then at once.  How the child ended, or -1 where
 * the time may have come before it was stopped.
 */
static int stop_at_the_deadline(long ms)
{
	double time = now() + (double)ms / 1000;
	pid_t child = fork();
	int seen, end;
	char state;

	ck_assert_int_ne(child, -1);
	if (!child) {
		set(&outer, ms * MS);
		ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
		_exit(safe_syscall_leave(&outer) == 2 ? 7 : 8);
	}
	for (seen = 0; seen < 3 && now() < time; pause_ms(1))
		seen = state_of(child, child) == 'S' ? seen + 1 : 0;
	ck_assert_int_eq(kill(child, SIGSTOP), 0);
	while ((state = state_of(child, child)) != 'T' && state != 'Z')
		pause_ms(1);
	if (seen < 3 || state != 'T' || now() >= time)
		seen = 0;
	pause_ms(ms);
	ck_assert_int_eq(kill(child, SIGCONT), 0);
	end = end_of(child);
	return seen ? end : -1;
}

START_TEST(stopped)
{
	int ms = 50, end;

	if (emulated())
		SKIP("stopping is the kernel's affair");
	do
		end = stop_at_the_deadline(ms);
	while (end == -1 && (ms *= 2) < 10000);
	ck_assert_int_eq(end, 7);
}
END_TEST

static void *not_ours(void *unused)
{
	ck_assert_int_eq(set(&outer, 1 * MS), EINVAL);
	return unused;
}

START_TEST(bad_input)
{
	static const struct timespec bad[] = {
		{ -1, 0 }, { 0, -1 }, { 0, 1000000000 }
	};
	size_t i;

	ck_assert_int_eq(set(NULL, 1 * MS), EINVAL);
	ck_assert_int_eq(set(&inner, 1 * MS), EINVAL);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert_int_eq(safe_syscall_deadline(&outer, &bad[i]), -1);
		ck_assert_int_eq(errno, EINVAL);
	}
	join(start(not_ours, NULL));
	ck_assert_int_eq(safe_syscall_interrupted(&outer), 0);
	expect_peace(5);
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
}
END_TEST

START_TEST(before_init)
{
	ck_assert_int_eq(set(safe_syscall_self(), 1 * MS), EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("deadline");
	TCase *tc = tcase_create("deadlines"), *first = tcase_create("before init");

	limit_time(tc, 60);
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_loop_test(tc, ends_a_call, 0, 2);
	tcase_add_loop_test(tc, signal_is_blocked_in_a_handler, 0, 2);
	tcase_add_loop_test(tc, in_the_past, 0, 3);
	tcase_add_loop_test(tc, does_not_come, 0, sizeof(time_t) > 4 ? 3 : 2);
	tcase_add_loop_test(tc, nested, 0, 3);
	tcase_add_test(tc, own_scope);
	tcase_add_loop_test(tc, changed, 0, 3);
	tcase_add_loop_test(tc, interrupted_before, 0, 2);
	tcase_add_loop_test(tc, expired_and_pending, 0, 3);
	tcase_add_test(tc, pending_for_the_scope_around);
	tcase_add_test(tc, many);
	tcase_add_test(tc, under_a_foreign_handler);
	tcase_add_test(tc, thread_exits);
	tcase_add_test(tc, no_timer);
	tcase_add_test(tc, full_queue);
	tcase_add_test(tc, fork_with_one);
	tcase_add_test(tc, exec_with_one);
	tcase_add_test(tc, stopped);
	tcase_add_test(tc, bad_input);
	suite_add_tcase(suite, tc);
	tcase_add_test(first, before_init);
	suite_add_tcase(suite, first);
	return run_suite(suite);
}
