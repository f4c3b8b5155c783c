/* SPDX-License-Identifier: MIT */
/* check_loop.c - the event loop of the examples, sentence by sentence of its contract. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "../examples/loop/loop.h"
#include "code.h"
#include "scopes.h"

#define MS 1000000LL
#define FOR_EVER (-1LL)

static struct loop *l;

static long long ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int open_descriptors(void)
{
	int n = 0, i;

	for (i = 0; i < 256; i++)
		n += fcntl(i, F_GETFD) != -1;
	return n;
}

static void new_loop(void)
{
	setup();
	l = loop_new();
	ck_assert_ptr_ne(l, NULL);
}

static void free_loop(void)
{
	loop_free(l);
}

#ifndef SYS_epoll_pwait2
# define SYS_epoll_pwait2 (-1)
#endif

/* From now on a call fails with that, as on an older kernel.  Returns whether it does. */
static int deny(int number, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	return !emulated() && !prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) &&
		!prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program);
}

static int has_one_call_for_it(void)
{
	return syscall(SYS_epoll_pwait2, -1, NULL, 0, NULL, NULL, 0) == -1 && errno != ENOSYS &&
		errno != EPERM;
}

/* Where there are no filters the kernel is as new as before, which does no harm. */
static void new_old_loop(void)
{
	deny(SYS_epoll_pwait2, ENOSYS);
	new_loop();
}

static void new_filtered_loop(void)
{
	deny(SYS_epoll_pwait2, EPERM);
	new_loop();
}

static void new_older_loop(void)
{
	deny(SYS_pidfd_open, ENOSYS);
	new_loop();
}

static void plus_1(void *n)
{
	++*(int *)n;
}

/* A step that has nothing to do takes all its time, and no processor's. */
static void expect_rest(void)
{
	long long start = ns();

	ck_assert_int_eq(loop_step(l, 20 * MS), 0);
	ck_assert_int_ge(ns() - start, 20 * MS);
}

static void *notifies(void *waiting)
{
	if (waiting)
		wait_state(getpid(), getpid(), 'S');
	loop_notify(l);
	return NULL;
}

/* ---- the loop ------------------------------------------------------------------- */

START_TEST(two_descriptors)
{
	int before = open_descriptors(), i;
	char was_open[256];
	struct loop *another;

	for (i = 0; i < 256; i++)
		was_open[i] = fcntl(i, F_GETFD) != -1;
	another = loop_new();
	ck_assert_int_le(open_descriptors(), before + 2);
	for (i = 0; i < 256; i++)
		ck_assert(was_open[i] || fcntl(i, F_GETFD) != 0);
	loop_free(another);
	ck_assert_int_eq(open_descriptors(), before);
	loop_free(NULL);
}
END_TEST

START_TEST(no_descriptors)
{
	int before = open_descriptors(), first = dup(0);
	struct rlimit limit = { (rlim_t)first, 1000 };

	close(first);
	for (; limit.rlim_cur < (rlim_t)first + 2; limit.rlim_cur++) {
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		errno = 0;
		ck_assert_ptr_eq(loop_new(), NULL);
		ck_assert_int_eq(errno, EMFILE);
		ck_assert_int_eq(open_descriptors(), before);
	}
}
END_TEST

START_TEST(time_out)
{
	long long start = ns();

	ck_assert_int_eq(loop_step(l, 0), 0);
	ck_assert_int_eq(loop_step(l, 1), 0);
	expect_rest();
	expect_rest();
	ck_assert_int_lt(ns() - start, 5000 * MS);
}
END_TEST

static int error_in_callback;

static void steps(void *run)
{
	int result = *(int *)run ? loop_run(l) : loop_step(l, 0);

	error_in_callback = result == -1 ? errno : 0;
}

START_TEST(step_in_a_step)
{
	struct loop_bh *bh = loop_bh_new(l, steps, &_i);

	loop_bh_schedule(bh);
	/* which the inner one does not take for itself */
	loop_stop(l, 5);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(error_in_callback, EBUSY);
	ck_assert_int_eq(loop_run(l), 5);
}
END_TEST

static void *steps_elsewhere(void *unused)
{
	wait_state(getpid(), getpid(), 'S');
	ck_assert_int_eq(loop_step(l, 0), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(loop_run(l), -1);
	ck_assert_int_eq(errno, EBUSY);
	loop_notify(l);
	return unused;
}

START_TEST(step_beside_a_step)
{
	pthread_t thread = start(steps_elsewhere, NULL);

	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	join(thread);
}
END_TEST

static void *steps_once(void *n)
{
	*(int *)n = loop_step(l, FOR_EVER);
	return NULL;
}

/* One after the other. */
START_TEST(steps_of_several_threads)
{
	int n = 0, ran = 0, i;
	struct loop_bh *bh = loop_bh_new(l, plus_1, &n);

	for (i = 1; i < 20; i++) {
		loop_bh_schedule(bh);
		join(start(steps_once, &ran));
		ck_assert_int_eq(ran, 1);
		ck_assert_int_eq(n, i);
	}
}
END_TEST

static void stops(void *status)
{
	loop_stop(l, *(int *)status);
}

static void *stops_elsewhere(void *status)
{
	wait_state(getpid(), getpid(), 'S');
	stops(status);
	return NULL;
}

static void stops_in_handler(int sig)
{
	(void)sig;
	loop_stop(l, -3);
}

START_TEST(run_and_stop)
{
	int n = 0, status = INT32_MIN;
	struct loop_bh *bh = loop_bh_new(l, stops, &status);
	pthread_t thread;

	loop_stop(l, 1);
	loop_stop(l, 7);
	ck_assert_int_eq(loop_run(l), 7);
	expect_rest();
	loop_bh_schedule(bh);
	ck_assert_int_eq(loop_run(l), INT32_MIN);
	expect_rest();
	status = 0;
	thread = start(stops_elsewhere, &status);
	ck_assert_int_eq(loop_run(l), 0);
	join(thread);
	expect_rest();
	handle(SIGALRM, stops_in_handler, SA_RESTART, 0);
	for (; n < 5; n++) {
		ualarm(1000, 0);
		ck_assert_int_eq(loop_run(l), -3);
	}
	expect_rest();
}
END_TEST

START_TEST(notify)
{
	pthread_t thread;
	int i;

	for (i = 0; i < 1000; i++)
		loop_notify(l);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	/* they don't pile up */
	expect_rest();
	for (i = 0; i < 5; i++) {
		thread = start(notifies, l);
		ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
		join(thread);
		expect_rest();
	}
	join(start(notifies, NULL));
	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	expect_rest();
}
END_TEST

static void notifies_in_callback(void *unused)
{
	(void)unused;
	loop_notify(l);
}

START_TEST(notify_in_a_callback)
{
	struct loop_bh *bh = loop_bh_new(l, notifies_in_callback, NULL);

	loop_bh_schedule(bh);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	expect_rest();
}
END_TEST

static volatile int signals;

static void counts(int sig)
{
	(void)sig;
	signals++;
}

static void notifies_in_handler(int sig)
{
	counts(sig);
	loop_notify(l);
}

/* hooked or not, with SA_RESTART or without */
START_TEST(notify_in_a_handler)
{
	int i;

	handle(SIGALRM, notifies_in_handler, _i & 1 ? SA_RESTART : 0, _i & 2);
	for (i = 0; i < 20; i++) {
		ualarm(1000, 0);
		ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
		ck_assert_int_eq(signals, i + 1);
	}
	/* before the step */
	raise(SIGALRM);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	expect_rest();
}
END_TEST

START_TEST(signals_of_others)
{
	long long start = ns();

	handle(SIGALRM, counts, _i & 1 ? SA_RESTART : 0, _i & 2);
	ualarm(1000, 1000);
	ck_assert_int_eq(loop_step(l, 50 * MS), 0);
	ck_assert_int_ge(ns() - start, 50 * MS);
	ualarm(0, 0);
	ck_assert_int_gt(signals, 0);
}
END_TEST

START_TEST(stopped_and_continued)
{
	long long start = ns();
	pid_t pid = fork();

	if (!pid) {
		for (_i = 0; _i < 20; _i++) {
			pause_ms(1);
			kill(getppid(), SIGSTOP);
			pause_ms(1);
			kill(getppid(), SIGCONT);
		}
		_exit(0);
	}
	ck_assert_int_eq(loop_step(l, 100 * MS), 0);
	ck_assert_int_ge(ns() - start, 100 * MS);
	ck_assert_int_eq(end_of(pid), 0);
}
END_TEST

static void *interrupts(void *s)
{
	wait_state(getpid(), getpid(), 'S');
	ck_assert_int_eq(safe_syscall_interrupt(s), 0);
	return NULL;
}

/* Whoever interrupts what is around the step ends it. */
START_TEST(interrupted)
{
	int n = 0;
	safe_syscall_scope scope = NEW_SCOPE;
	struct loop_bh *bh = loop_bh_new(l, plus_1, &n);
	pthread_t thread;

	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	thread = start(interrupts, &scope);
	ck_assert_int_eq(loop_step(l, FOR_EVER), -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	join(thread);
	ck_assert_int_eq(loop_run(l), -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	/* also a busy one; and what there is to do is not lost */
	loop_fd(l, fd[1], NULL, plus_1, &n);
	loop_bh_schedule(bh);
	ck_assert_int_eq(loop_run(l), -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	loop_stop(l, 3);
	ck_assert_int_eq(loop_run(l), -1);
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	ck_assert_int_eq(loop_run(l), 3);
	ck_assert_int_eq(n, 2);
	loop_fd(l, fd[1], NULL, NULL, NULL);
	expect_rest();
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	expect_rest();
}
END_TEST

/* Nothing but what the interrupted step was told of says that there is something to do. */
START_TEST(interrupted_and_nothing_lost)
{
	int n = 0;
	long long start;
	safe_syscall_scope scope = NEW_SCOPE;
	struct loop_bh *bh = loop_bh_new(l, plus_1, &n);

	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	(_i ? loop_bh_schedule_idle : loop_bh_schedule)(bh);
	ck_assert_int_eq(loop_step(l, FOR_EVER), -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	start = ns();
	ck_assert_int_eq(loop_step(l, 30000 * MS), 1);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	loop_notify(l);
	ck_assert_int_eq(loop_step(l, FOR_EVER), -1);
	ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	ck_assert_int_eq(loop_step(l, 30000 * MS), 0);
	ck_assert_int_lt(ns() - start, 30000 * MS);
	expect_rest();
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
}
END_TEST

/* ---- descriptors ------------------------------------------------------------------ */

static int readable, writable;

static void reads(void *from)
{
	char c;

	readable++;
	ck_assert_int_eq(read(*(int *)from, &c, 1), 1);
}

START_TEST(level_triggered)
{
	int n = 0;

	ck_assert_int_eq(loop_fd(l, fd[0], plus_1, NULL, &n), 0);
	expect_rest();
	ck_assert_int_eq(write(fd[1], "ab", 2), 2);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(n, 2);
	/* replaced */
	ck_assert_int_eq(loop_fd(l, fd[0], reads, NULL, &fd[0]), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect_rest();
	ck_assert_int_eq(readable, 2);
	ck_assert_int_eq(loop_fd(l, fd[0], NULL, plus_1, &n), 0);
	ck_assert_int_eq(write(fd[1], "a", 1), 1);
	expect_rest();
	ck_assert_int_eq(loop_fd(l, fd[0], NULL, NULL, NULL), 0);
	expect_rest();
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(loop_fd(l, fd[1], plus_1, plus_1, &n), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(n, 3);
}
END_TEST

/* A hang-up at the reading end, an error at the writing one: whatever is set is called. */
START_TEST(errors)
{
	int end = _i / 3, n = 0;
	void (*r)(void *) = _i % 3 != 1 ? plus_1 : NULL;
	void (*w)(void *) = _i % 3 != 0 ? plus_1 : NULL;

	close(fd[!end]);
	ck_assert_int_eq(loop_fd(l, fd[end], r, w, &n), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), n);
	ck_assert_int_eq(n, (r != NULL) + (w != NULL));
}
END_TEST

START_TEST(bad_descriptors)
{
	int n = 0, epoll = epoll_create1(0);

	ck_assert_int_eq(loop_fd(l, -1, plus_1, NULL, &n), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(loop_fd(l, 200, plus_1, NULL, &n), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(loop_fd(l, INT32_MAX, plus_1, NULL, &n), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(loop_fd(l, 200, NULL, NULL, NULL), 0);
	ck_assert_int_eq(loop_fd(l, -1, NULL, NULL, NULL), 0);
	ck_assert_int_eq(loop_fd(l, INT32_MAX, NULL, NULL, NULL), 0);
	ck_assert_int_eq(loop_fd(l, epoll, plus_1, NULL, &n), 0);
	expect_rest();
}
END_TEST

static void forgets(void *which)
{
	readable++;
	ck_assert_int_eq(loop_fd(l, *(int *)which, NULL, NULL, NULL), 0);
}

static void counts_writable(void *unused)
{
	(void)unused;
	writable++;
}

START_TEST(regular_files)
{
	FILE *file = tmpfile(), *another = tmpfile();
	int f = fileno(file), g = fileno(another), d = open("/", O_RDONLY), n = 0;

	ck_assert_int_eq(loop_fd(l, f, plus_1, NULL, &n), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_fd(l, f, plus_1, plus_1, &n), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	ck_assert_int_eq(n, 3);
	ck_assert_int_eq(loop_fd(l, d, plus_1, NULL, &n), 0);
	ck_assert_int_eq(loop_step(l, 0), 3);
	/* one forgets another, whichever comes first, and itself */
	ck_assert_int_eq(loop_fd(l, d, NULL, NULL, NULL), 0);
	ck_assert_int_eq(loop_fd(l, f, forgets, counts_writable, &g), 0);
	ck_assert_int_eq(loop_fd(l, g, forgets, counts_writable, &f), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	ck_assert_int_eq(readable, 1);
	ck_assert_int_eq(writable, 1);
	ck_assert_int_eq(loop_fd(l, f, forgets, counts_writable, &f), 0);
	ck_assert_int_eq(loop_fd(l, g, forgets, counts_writable, &g), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	ck_assert_int_eq(readable, 3);
	ck_assert_int_eq(writable, 1);
	expect_rest();
	/* the number means a pipe, and then a file again */
	ck_assert_int_eq(loop_fd(l, f, plus_1, NULL, &n), 0);
	ck_assert_int_eq(dup2(fd[0], f), f);
	ck_assert_int_eq(loop_fd(l, f, plus_1, NULL, &n), 0);
	expect_rest();
	ck_assert_int_eq(dup2(g, f), f);
	ck_assert_int_eq(loop_fd(l, f, plus_1, NULL, &n), 0);
	n = 0;
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(n, 1);
}
END_TEST

/* Two that are ready: whichever is called first, the other one is not. */
START_TEST(forgotten_in_the_same_round)
{
	int other[2];

	ck_assert_int_eq(pipe(other), 0);
	ck_assert_int_eq(write(fd[1], "a", 1), 1);
	ck_assert_int_eq(write(other[1], "a", 1), 1);
	ck_assert_int_eq(loop_fd(l, fd[0], forgets, NULL, &other[0]), 0);
	ck_assert_int_eq(loop_fd(l, other[0], forgets, NULL, &fd[0]), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(readable, 2);
}
END_TEST

static int pair[2];

static void replaces(void *n)
{
	plus_1(n);
	ck_assert_int_eq(loop_fd(l, pair[0], NULL, counts_writable, n), 0);
}

START_TEST(changes_itself)
{
	int n = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(write(pair[1], "a", 1), 1);
	ck_assert_int_eq(loop_fd(l, pair[0], forgets, counts_writable, &pair[0]), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect_rest();
	ck_assert_int_eq(writable, 0);
	/* what is set in a callback is for the next step */
	ck_assert_int_eq(loop_fd(l, pair[0], replaces, counts_writable, &n), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(writable, 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(writable, 1);
	ck_assert_int_eq(n, 1);
}
END_TEST

/* The number is closed, but the file is open elsewhere, and ready. */
START_TEST(closed_first)
{
	int copy = dup(fd[0]), number = fd[0], other[2], n = 0, m = 0;

	ck_assert_int_eq(write(fd[1], "a", 1), 1);
	ck_assert_int_eq(loop_fd(l, number, plus_1, NULL, &n), 0);
	close(number);
	if (_i & 1)
		ck_assert_int_eq(loop_fd(l, number, NULL, NULL, NULL), 0);
	ck_assert_int_eq(pipe(other), 0);
	if (other[0] != number) {
		dup2(other[0], number);
		close(other[0]);
	}
	ck_assert_int_eq(loop_fd(l, number, plus_1, NULL, &m), 0);
	expect_rest();
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(write(other[1], "a", 1), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(m, 1);
	/* and back */
	if (_i & 2)
		ck_assert_int_eq(loop_fd(l, number, NULL, NULL, NULL), 0);
	ck_assert_int_eq(dup2(copy, number), number);
	ck_assert_int_eq(loop_fd(l, number, plus_1, NULL, &n), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(n, 1);
	/* closed for good: it is forgotten */
	close(number);
	ck_assert_int_eq(loop_fd(l, number, plus_1, NULL, &n), -1);
	ck_assert_int_eq(errno, EBADF);
	expect_rest();
	ck_assert_int_eq(n, 1);
	/* others are still there */
	loop_notify(l);
	join(start(notifies, NULL));
	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
}
END_TEST

static double time_of_steps(int steps_to_make)
{
	double start = now();

	while (steps_to_make--) {
		ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	}
	return now() - start;
}

static void least_time(double *least, int steps_to_make)
{
	double t = time_of_steps(steps_to_make);

	*least = t < *least ? t : *least;
}

START_TEST(idle_descriptors)
{
	struct rlimit limit = { 10100, 10100 };
	double few = 1e9, many = 1e9;
	int i, n = 0, f;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		SKIP("no 10,000 descriptors");
	ck_assert_int_eq(write(fd[1], "a", 1), 1);
	ck_assert_int_eq(loop_fd(l, fd[0], plus_1, NULL, &n), 0);
	for (i = 0; i < 200; i++)
		least_time(&few, 20);
	for (i = 0; i < 10000; i++) {
		f = eventfd(0, 0);
		ck_assert_int_ge(f, 0);
		ck_assert_int_eq(loop_fd(l, f, plus_1, NULL, &n), 0);
	}
	for (i = 0; i < 200; i++)
		least_time(&many, 20);
	/* a nanosecond for each would be more */
	ck_assert_msg(many < 4 * few, "%f %f", few, many);
}
END_TEST

/* ---- bottom halves ------------------------------------------------------------------ */

enum { BHS = 5 };
static struct loop_bh *bhs[BHS];
static char order[64];

static void notes(void *letter)
{
	order[strlen(order)] = *(char *)letter;
}

static char letters[] = "abcdefgh";

static void new_bhs(void)
{
	int i;

	new_loop();
	for (i = 0; i < BHS; i++)
		bhs[i] = loop_bh_new(l, notes, &letters[i]);
}

#define expect(letters_wanted)						\
	do {								\
		ck_assert_str_eq(order, letters_wanted);		\
		memset(order, 0, sizeof order);				\
	} while (0)

START_TEST(once_and_in_order)
{
	loop_bh_schedule(bhs[1]);
	loop_bh_schedule(bhs[0]);
	loop_bh_schedule(bhs[1]);
	loop_bh_schedule(bhs[2]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 3);
	expect("bac");
	expect_rest();
	loop_bh_schedule(bhs[0]);
	ck_assert_int_eq(loop_step(l, 0), 1);
	expect("a");
}
END_TEST

START_TEST(cancelled)
{
	loop_bh_cancel(bhs[0]);
	loop_bh_schedule(bhs[0]);
	loop_bh_schedule(bhs[1]);
	loop_bh_cancel(bhs[0]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("b");
	expect_rest();
	loop_bh_schedule(bhs[0]);
	loop_bh_cancel(bhs[0]);
	loop_bh_schedule(bhs[0]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("a");
	loop_bh_schedule_idle(bhs[0]);
	loop_bh_cancel(bhs[0]);
	ck_assert_int_eq(loop_step(l, 20 * MS), 0);
	expect("");
	expect_rest();
}
END_TEST

static void deletes(void *which)
{
	notes("x");
	loop_bh_delete(*(struct loop_bh **)which);
	*(struct loop_bh **)which = NULL;
}

static void cancels(void *which)
{
	notes("x");
	loop_bh_cancel(*(struct loop_bh **)which);
}

START_TEST(deleted)
{
	struct loop_bh *x = loop_bh_new(l, deletes, &bhs[1]), *y = loop_bh_new(l, deletes, &y);
	struct loop_bh *z = loop_bh_new(l, cancels, &bhs[2]);

	loop_bh_delete(NULL);
	loop_bh_delete(bhs[4]);
	loop_bh_schedule(bhs[3]);
	loop_bh_delete(bhs[3]);
	loop_bh_schedule(x);
	loop_bh_schedule(z);
	loop_bh_schedule(bhs[0]);
	loop_bh_schedule(bhs[1]);
	loop_bh_schedule(bhs[2]);
	loop_bh_schedule(y);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 4);
	expect("xxax");
	expect_rest();
	/* left: idle, scheduled, neither */
	loop_bh_schedule(bhs[0]);
	loop_bh_schedule_idle(bhs[2]);
}
END_TEST

static void schedules(void *which)
{
	notes("x");
	loop_bh_schedule(*(struct loop_bh **)which);
}

START_TEST(scheduled_in_a_callback)
{
	struct loop_bh *x = loop_bh_new(l, schedules, &bhs[0]), *y = loop_bh_new(l, schedules, &y);
	struct loop_timer *t = loop_timer_new(l, schedules, &bhs[1]);

	loop_bh_schedule(x);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("xa");
	loop_bh_schedule(y);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("xx");
	loop_bh_cancel(y);
	ck_assert_int_eq(loop_step(l, 0), 0);
	loop_timer_set(t, 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("xb");
	ck_assert_int_eq(write(fd[1], "a", 1), 1);
	ck_assert_int_eq(loop_fd(l, fd[0], schedules, NULL, &bhs[2]), 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	ck_assert_int_eq(loop_fd(l, fd[0], NULL, NULL, NULL), 0);
	expect("xxc");
}
END_TEST

START_TEST(idle)
{
	long long start, took;

	loop_bh_schedule_idle(bhs[0]);
	loop_bh_schedule(bhs[1]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("b");
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("a");
	expect_rest();
	/* promoted; and not the other way round */
	loop_bh_schedule_idle(bhs[0]);
	loop_bh_schedule(bhs[0]);
	loop_bh_schedule(bhs[1]);
	loop_bh_schedule_idle(bhs[1]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	expect("ab");
	/* in a step that found something else before */
	loop_bh_schedule_idle(bhs[0]);
	loop_bh_schedule(bhs[1]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	loop_bh_schedule(bhs[0]);
	loop_bh_schedule(bhs[2]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	expect("bac");
	/* always busy */
	ck_assert_int_eq(write(fd[1], "a", 1), 1);
	ck_assert_int_eq(loop_fd(l, fd[0], counts_writable, NULL, NULL), 0);
	/* until it was no later than it should be, which a loaded machine may not let it at once */
	do {
		loop_bh_schedule_idle(bhs[0]);
		start = ns();
		while (!*order)
			ck_assert_int_ge(loop_step(l, FOR_EVER), 1);
		took = ns() - start;
		ck_assert_int_ge(took, 9 * MS);
		expect("a");
	} while (took > 15 * MS);
}
END_TEST

/* Whoever schedules, and then cancels, does not end a step. */
START_TEST(cancelled_in_a_callback)
{
	struct loop_bh *x = loop_bh_new(l, schedules, &bhs[0]);

	loop_bh_schedule(x);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	loop_bh_cancel(bhs[0]);
	expect_rest();
	expect("x");
}
END_TEST

static void schedules_itself_idle(void *which)
{
	readable++;
	loop_bh_schedule_idle(*(struct loop_bh **)which);
}

/* It leaves the processor to others, but runs, also in a loop that is always busy. */
START_TEST(idle_again_and_again)
{
	struct loop_bh *x = loop_bh_new(l, schedules_itself_idle, &x);
	long long start = ns(), last, took = INT64_MAX;
	int runs_wanted;

	loop_bh_schedule_idle(x);
	ck_assert_int_eq(loop_fd(l, fd[1], NULL, _i ? counts_writable : NULL, NULL), 0);
	/* at least 10; and until one was no later than it should be */
	for (runs_wanted = 1; runs_wanted <= 10 || took > 15 * MS; runs_wanted++) {
		last = ns();
		while (readable < runs_wanted)
			ck_assert_int_ge(loop_step(l, FOR_EVER), 1);
		took = ns() - last;
		if (runs_wanted == 10)
			ck_assert_int_ge(ns() - start, 9 * 10 * MS);
	}
}
END_TEST

static void *schedules_idle(void *bh)
{
	wait_state(getpid(), getpid(), 'S');
	loop_bh_schedule_idle(bh);
	return NULL;
}

START_TEST(idle_while_it_waits)
{
	pthread_t thread = start(schedules_idle, bhs[0]);

	while (!*order)
		ck_assert_int_ge(loop_step(l, FOR_EVER), 0);
	join(thread);
	expect("a");
}
END_TEST

/* ---- timers ---------------------------------------------------------------------- */

enum { MANY = 100000 };
static struct { struct loop_timer *timer; long long when; int fired; } *many;
static long long last_when;
static int wrong;

static void fires(void *which)
{
	long long when = many[(intptr_t)which].when;

	wrong |= ns() < when || when < last_when || many[(intptr_t)which].fired++;
	last_when = when;
}

static unsigned int random_number(void)
{
	static __thread unsigned int state = 1;

	return (state = state * 1103515245 + 12345) >> 8;
}

/* If each took as long as there are timers, the time would not do. */
START_TEST(many_timers)
{
	int n = shortened(MANY), i, ran = 0, expected = 0;
	long long base;

	many = calloc((size_t)n, sizeof *many);
	for (i = 0; i < n; i++)
		many[i].timer = loop_timer_new(l, fires, (void *)(intptr_t)i);
	base = ns() + 50 * MS;
	for (i = 0; i < n; i++) {
		many[i].when = base + random_number() % (50 * MS);
		loop_timer_set(many[i].timer, many[i].when);
	}
	/* set again, not at all, deleted */
	for (i = 0; i < n; i += 2) {
		many[i].when = base + random_number() % (50 * MS);
		loop_timer_set(many[i].timer, i % 3 ? many[i].when : -1);
	}
	for (i = 1; i < n; i += 10)
		loop_timer_delete(many[i].timer);
	for (i = 0; i < n; i++)
		expected += i % 10 != 1 && (i % 2 || i % 3);
	while (ran < expected) {
		i = loop_step(l, FOR_EVER);
		ck_assert_int_gt(i, 0);
		ran += i;
	}
	ck_assert_int_eq(ran, expected);
	ck_assert(!wrong);
	expect_rest();
	free(many);
}
END_TEST

static struct loop_timer *timers[3];

static void deletes_timer(void *which)
{
	notes("x");
	loop_timer_delete(timers[*(int *)which]);
	timers[*(int *)which] = NULL;
}

static void sets_timer(void *which)
{
	notes("y");
	loop_timer_set(timers[*(int *)which], *(int *)which ? -1 : 0);
}

START_TEST(timers_in_callbacks)
{
	static int zero = 0, one = 1, two = 2;
	struct loop_timer *x, *y;

	/* long ago: at once */
	timers[0] = loop_timer_new(l, notes, "a");
	timers[1] = loop_timer_new(l, notes, "b");
	loop_timer_set(timers[1], 5);
	loop_timer_set(timers[0], 6);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	expect("ba");
	/* the same time */
	loop_timer_set(timers[1], 5);
	loop_timer_set(timers[0], 5);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	ck_assert_int_eq((int)strlen(order), 2);
	memset(order, 0, sizeof order);
	/* it deletes another that is due */
	x = loop_timer_new(l, deletes_timer, &one);
	loop_timer_set(timers[1], 2);
	loop_timer_set(x, 1);
	loop_timer_set(timers[0], 3);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	expect("xa");
	/* takes another back that is due */
	timers[1] = loop_timer_new(l, notes, "b");
	y = loop_timer_new(l, sets_timer, &one);
	loop_timer_set(timers[1], 2);
	loop_timer_set(y, 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("y");
	/* sets another or itself: for the next step */
	y = loop_timer_new(l, sets_timer, &zero);
	loop_timer_set(y, 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("ya");
	loop_timer_delete(timers[0]);
	timers[0] = loop_timer_new(l, sets_timer, &zero);
	loop_timer_set(timers[0], 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("yy");
	loop_timer_set(timers[0], -1);
	/* deletes itself */
	timers[2] = loop_timer_new(l, deletes_timer, &two);
	loop_timer_set(timers[2], 0);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	expect("x");
	loop_timer_delete(NULL);
	loop_timer_set(timers[1], INT64_MAX);
	expect_rest();
}
END_TEST

static void fires_unless_later(void *which)
{
	int i = (int)(intptr_t)which;

	many[i].fired++;
	wrong |= ns() < many[i].when || many[i].when < 0;
	/* others, which may be due in this step, too */
	i = (int)(random_number() % 500);
	if (!many[i].timer)
		return;
	if (random_number() % 4 == 0) {
		loop_timer_delete(many[i].timer);
		many[i].timer = NULL;
		return;
	}
	many[i].when = random_number() % 3 ? ns() + random_number() % (4 * MS) : -1;
	many[i].fired = 0;
	loop_timer_set(many[i].timer, many[i].when);
}

/* Set, set again, taken back and deleted at random, in each other's callbacks. */
START_TEST(timers_at_random)
{
	int n = 500, i, left;

	many = calloc((size_t)n, sizeof *many);
	for (i = 0; i < n; i++) {
		many[i].timer = loop_timer_new(l, fires_unless_later, (void *)(intptr_t)i);
		many[i].when = ns() + random_number() % (4 * MS);
		loop_timer_set(many[i].timer, many[i].when);
	}
	do {
		for (left = i = 0; i < n; i++)
			left += many[i].timer && many[i].when >= 0 && !many[i].fired;
		if (left)
			ck_assert_int_ge(loop_step(l, FOR_EVER), 1);
	} while (left);
	ck_assert(!wrong);
	expect_rest();
	/* once, each, unless it was set again */
	for (i = 0; i < n; i++)
		ck_assert(!many[i].timer || many[i].fired == (many[i].when >= 0));
	free(many);
}
END_TEST

START_TEST(never_early)
{
	int n = 0, i;
	struct loop_timer *t = loop_timer_new(l, plus_1, &n);
	long long when;

	for (i = 0; i < 300; i++) {
		when = ns() + random_number() % (2 * MS);
		loop_timer_set(t, when);
		ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
		ck_assert_int_ge(ns(), when);
		ck_assert_int_eq(n, i + 1);
	}
	expect_rest();
}
END_TEST

/* ---- children ---------------------------------------------------------------------- */

static struct { pid_t pid; int status, times; } ends[64];
static int ended;

static void exited(void *opaque, pid_t pid, int status)
{
	int i = (int)(intptr_t)opaque;

	ck_assert_int_eq(ends[i].pid, pid);
	ends[i].status = status;
	ends[i].times++;
	ended++;
}

/* It ends when the pipe is closed; by a signal, if negative. */
static pid_t child_that_exits(int status, int at_once)
{
	pid_t pid = fork();
	char c;

	if (pid)
		return pid;
	close(fd[1]);
	if (!at_once)
		(void)!read(fd[0], &c, 1);
	if (status < 0) {
		signal(-status, SIG_DFL);
		raise(-status);
	}
	_exit(status);
}

static void await_children(int n)
{
	while (ended < n)
		ck_assert_int_ge(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(ended, n);
}

START_TEST(children)
{
	const int n = 50;
	int before = open_descriptors(), i, j;
	pid_t other = child_that_exits(9, 0);

	for (i = 0; i < n; i++) {
		j = i == 1 ? -SIGKILL : i == 2 ? -SIGTERM : i;
		ends[i].pid = child_that_exits(j, i % 2);
		if (i % 4 == 1)
			wait_state(ends[i].pid, ends[i].pid, 'Z');
		ck_assert_int_eq(loop_child(l, ends[i].pid, exited, (void *)(intptr_t)i), 0);
		ck_assert_int_le(open_descriptors(), before + i + 1);
	}
	close(fd[1]);
	await_children(n);
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(ends[i].times, 1);
		ck_assert_int_eq(waitpid(ends[i].pid, NULL, WNOHANG), -1);
		if (i == 1 || i == 2)
			ck_assert_int_eq(ends[i].status, i == 1 ? SIGKILL : SIGTERM);
		else
			ck_assert_int_eq(ends[i].status, i << 8);
	}
	/* no other is reaped */
	ck_assert_int_eq(end_of(other), 9);
	expect_rest();
	ck_assert_int_eq(open_descriptors(), before - 1);
}
END_TEST

/* No signal comes any more that says so.  Two that watch one child: the status is the first one's. */
START_TEST(dead_children)
{
	int i;

	for (i = 0; i < 2; i++) {
		ends[i].pid = child_that_exits(7, 1);
		wait_state(ends[i].pid, ends[i].pid, 'Z');
		ck_assert_int_eq(loop_child(l, ends[i].pid, exited, (void *)(intptr_t)i), 0);
		await_children(i + 1);
		ck_assert_int_eq(ends[i].status, 7 << 8);
		expect_rest();
	}
	ends[2].pid = ends[3].pid = child_that_exits(5, 1);
	ck_assert_int_eq(loop_child(l, ends[2].pid, exited, (void *)2), 0);
	ck_assert_int_eq(loop_child(l, ends[3].pid, exited, (void *)3), 0);
	await_children(4);
	ck_assert_int_eq(ends[2].times + ends[3].times, 2);
	ck_assert_int_eq(ends[2].status + ends[3].status, 5 << 8);
}
END_TEST

START_TEST(a_child_that_stops)
{
	ends[0].pid = child_that_exits(3, 0);
	ck_assert_int_eq(loop_child(l, ends[0].pid, exited, NULL), 0);
	ck_assert_int_eq(kill(ends[0].pid, SIGSTOP), 0);
	wait_state(ends[0].pid, ends[0].pid, 'T');
	expect_rest();
	ck_assert_int_eq(kill(ends[0].pid, SIGCONT), 0);
	close(fd[1]);
	await_children(1);
	ck_assert_int_eq(ends[0].status, 3 << 8);
}
END_TEST

START_TEST(no_children)
{
	const pid_t none[] = { 0, -1, 1, getpid(), getppid(), INT32_MAX };
	size_t i;

	for (i = 0; i < sizeof none / sizeof *none; i++) {
		ck_assert_int_eq(loop_child(l, none[i], exited, NULL), -1);
		ck_assert_int_eq(errno, none[i] > 0 ? ECHILD : EINVAL);
	}
	ends[0].pid = child_that_exits(0, 1);
	ck_assert_int_eq(end_of(ends[0].pid), 0);
	ck_assert_int_eq(loop_child(l, ends[0].pid, exited, NULL), -1);
	ck_assert_int_eq(errno, ECHILD);
	expect_rest();
}
END_TEST

static void ignore_children(int how)
{
	struct sigaction sa = { .sa_handler = how == 1 ? counts : SIG_IGN };

	sa.sa_flags = how ? SA_NOCLDWAIT : 0;
	ck_assert_int_eq(sigaction(SIGCHLD, &sa, NULL), 0);
}

START_TEST(ignored_children)
{
	struct sigaction sa;
	int i;

	if (_i == 1 && emulated())
		SKIP("the emulator does not pass SA_NOCLDWAIT on");
	ignore_children(_i);
	for (i = 0; i < 10; i++) {
		ends[i].pid = child_that_exits(i, i % 2);
		ends[i].status = 99;
		if (i % 4 == 1)
			while (!kill(ends[i].pid, 0))
				sched_yield();
		ck_assert_int_eq(loop_child(l, ends[i].pid, exited, (void *)(intptr_t)i), 0);
	}
	close(fd[1]);
	await_children(10);
	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(ends[i].times, 1);
		ck_assert_int_eq(ends[i].status, 0);
	}
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	/* as it was; where it is by the signal, in the end */
	if (syscall(SYS_pidfd_open, getpid(), 0) == -1) {
		loop_free(l);
		l = NULL;
		raise(SIGCHLD);
	}
	ck_assert_int_eq(sigaction(SIGCHLD, NULL, &sa), 0);
	ck_assert(sa.sa_handler == (_i == 1 ? counts : SIG_IGN));
	ck_assert(signals || _i != 1);
}
END_TEST

static int last_signal;

static void on_signal_1(void *n, int signum)
{
	last_signal = signum;
	plus_1(n);
}

/* As many programs find it: from then on there is something to be waited for. */
START_TEST(ignored_until_handled)
{
	int n = 0;
	pid_t pid;

	ignore_children(0);
	ck_assert_int_eq(loop_signal(l, SIGCHLD, on_signal_1, &n), 0);
	pid = child_that_exits(3, 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(end_of(pid), 3);
}
END_TEST

/* A child's end that adds the next one. */
static void exited_and_another(void *opaque, pid_t pid, int status)
{
	exited(opaque, pid, status);
	if (ended == 20)
		return;
	ends[ended].pid = child_that_exits(ended, 1);
	ck_assert_int_eq(loop_child(l, ends[ended].pid, exited_and_another,
				    (void *)(intptr_t)ended), 0);
}

static void on_sigchld(void *n, int signum)
{
	ck_assert_int_eq(signum, SIGCHLD);
	plus_1(n);
}

START_TEST(children_and_their_signal)
{
	int n = 0, i;

	handle(SIGCHLD, counts, 0, 0);
	ck_assert_int_eq(loop_signal(l, SIGCHLD, on_sigchld, &n), 0);
	ends[0].pid = child_that_exits(0, 1);
	ck_assert_int_eq(loop_child(l, ends[0].pid, exited_and_another, NULL), 0);
	while (ended < 20 || n == 0)
		ck_assert_int_ge(loop_step(l, FOR_EVER), 1);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(ends[i].status, i << 8);
	ck_assert_int_eq(signals, 0);
	ck_assert_int_eq(loop_signal(l, SIGCHLD, NULL, NULL), 0);
	n = 0;
	ck_assert_int_eq(raise(SIGCHLD), 0);
	ck_assert_int_eq(signals, 1);
	expect_rest();
	ck_assert_int_eq(n, 0);
}
END_TEST

/* ---- signals ------------------------------------------------------------------------ */

START_TEST(loop_signals)
{
	static const int which[] = { SIGUSR1, SIGTERM, SIGWINCH };
	int n = 0, i = which[_i % 3], rt = SIGRTMIN + 3, k;

	ck_assert_int_eq(loop_signal(l, i, on_signal_1, &n), 0);
	ck_assert_int_eq(loop_signal(l, rt, on_signal_1, &n), 0);
	for (k = 1; k < 5; k++) {
		raise(i);
		raise(i);
		ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
		ck_assert_int_eq(n, k);
		ck_assert_int_eq(last_signal, i);
		expect_rest();
	}
	raise(rt);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(last_signal, rt);
}
END_TEST

static void *raises_elsewhere(void *unused)
{
	wait_state(getpid(), getpid(), 'S');
	pthread_kill(pthread_self(), SIGUSR1);
	return unused;
}

START_TEST(signal_elsewhere)
{
	int n = 0;
	pthread_t thread;

	ck_assert_int_eq(loop_signal(l, SIGUSR1, on_signal_1, &n), 0);
	thread = start(raises_elsewhere, NULL);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	join(thread);
}
END_TEST

static void plain(int sig, siginfo_t *info, void *uc)
{
	(void)info;
	(void)uc;
	counts(sig);
}

static int same_action(const struct sigaction *a, const struct sigaction *b)
{
	int i;

	for (i = 1; i < 65; i++)
		if (sigismember(&a->sa_mask, i) != sigismember(&b->sa_mask, i))
			return 0;
	return a->sa_sigaction == b->sa_sigaction &&
		(a->sa_flags & ~0x4000000) == (b->sa_flags & ~0x4000000);
}

/* null: as it was before.  So does loop_free(). */
START_TEST(signal_as_it_was)
{
	struct sigaction before = { .sa_flags = SA_SIGINFO | SA_NODEFER }, after;
	int n = 0;

	before.sa_sigaction = plain;
	sigaddset(&before.sa_mask, SIGHUP);
	if (_i & 1)
		before = (struct sigaction){ .sa_handler = SIG_IGN };
	ck_assert_int_eq(sigaction(SIGUSR2, &before, NULL), 0);
	ck_assert_int_eq(loop_signal(l, SIGUSR2, NULL, NULL), 0);
	ck_assert_int_eq(loop_signal(l, SIGUSR2, on_signal_1, NULL), 0);
	ck_assert_int_eq(loop_signal(l, SIGUSR2, on_signal_1, &n), 0);
	raise(SIGUSR2);
	if (_i & 2) {
		loop_free(l);
		l = loop_new();
	} else {
		ck_assert_int_eq(loop_signal(l, SIGUSR2, NULL, NULL), 0);
	}
	ck_assert_int_eq(sigaction(SIGUSR2, NULL, &after), 0);
	ck_assert(same_action(&before, &after));
	expect_rest();
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(signals, 0);
}
END_TEST

START_TEST(bad_signals)
{
	const int bad[] = { 0, -1, SIGKILL, SIGSTOP, 1000, INT32_MAX, safe_syscall_signal() };
	struct loop *another = loop_new();
	size_t i;

	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_int_eq(loop_signal(l, bad[i], on_signal_1, NULL), -1);
		ck_assert_int_eq(errno, EINVAL);
	}
	ck_assert_int_eq(loop_signal(l, SIGUSR1, on_signal_1, NULL), 0);
	ck_assert_int_eq(loop_signal(another, SIGUSR1, on_signal_1, NULL), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(loop_signal(l, SIGUSR1, NULL, NULL), 0);
	ck_assert_int_eq(loop_signal(another, SIGUSR1, on_signal_1, NULL), 0);
	loop_free(another);
}
END_TEST

/* ---- the lock ------------------------------------------------------------------------- */

static void looks(void *locked)
{
	*(int *)locked = loop_locked(l);
}

static void *looks_elsewhere(void *locked)
{
	looks(locked);
	return NULL;
}

START_TEST(locked)
{
	int is = 0;
	struct loop_bh *bh = loop_bh_new(l, looks, &is);

	ck_assert(!loop_locked(l));
	loop_lock(l);
	ck_assert(loop_locked(l));
	join(start(looks_elsewhere, &is));
	ck_assert(!is);
	loop_unlock(l);
	ck_assert(!loop_locked(l));
	loop_bh_schedule(bh);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert(is && !loop_locked(l));
	/* a step that begins with it */
	loop_lock(l);
	is = 0;
	loop_bh_schedule(bh);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert(is && loop_locked(l));
	loop_unlock(l);
}
END_TEST

/* What a child says that aborts. */
static void expect_abort(void (*function)(void))
{
	char line[200] = "";
	int p[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(p), 0);
	pid = fork();
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		dup2(p[1], 2);
		function();
		_exit(0);
	}
	close(p[1]);
	n = read(p[0], line, sizeof line - 1);
	ck_assert_int_gt(n, 10);
	/* an emulator says something, too */
	if (!emulated())
		ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void lock_twice(void)
{
	loop_lock(l);
	loop_lock(l);
}

static void unlock(void)
{
	loop_unlock(l);
}

START_TEST(lock_aborts)
{
	expect_abort(lock_twice);
	expect_abort(unlock);
}
END_TEST

static struct loop_timer *timer;

static void *sets_things(void *what)
{
	wait_state(getpid(), getpid(), 'S');
	loop_lock(l);
	switch (*(int *)what) {
	case 0:
		loop_timer_set(timer, ns() + 5 * MS);
		break;
	case 1:
		loop_timer_set(timer, 0);
		break;
	case 2:
		ck_assert_int_eq(loop_fd(l, fd[1], NULL, counts_writable, NULL), 0);
		break;
	case 3:
		ck_assert_int_eq(loop_fd(l, open("/proc/self/exe", O_RDONLY), counts_writable,
					 NULL, NULL), 0);
		break;
	case 4:
		ends[0].pid = child_that_exits(3, 1);
		wait_state(ends[0].pid, ends[0].pid, 'Z');
		ck_assert_int_eq(loop_child(l, ends[0].pid, exited, NULL), 0);
		break;
	case 5:
		ck_assert_int_eq(loop_signal(l, SIGUSR1, on_signal_1, &writable), 0);
		pthread_kill(pthread_self(), SIGUSR1);
		break;
	case 6:
		/* not earlier: the step need not know */
		loop_timer_set(timer, ns() + 500000 * MS);
		loop_timer_set(timer, ns() + 1 * MS);
		loop_timer_set(timer, ns() + 5 * MS);
		break;
	case 7:
		loop_bh_schedule(loop_bh_new(l, counts_writable, NULL));
		break;
	}
	loop_unlock(l);
	return NULL;
}

START_TEST(set_while_it_waits)
{
	pthread_t thread;

	timer = loop_timer_new(l, counts_writable, NULL);
	loop_timer_set(timer, ns() + 1000000 * MS);
	thread = start(sets_things, &_i);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(writable + ended, 1);
	join(thread);
}
END_TEST

static int over;

static void *locks_often(void *n)
{
	int i;

	for (i = 0; i < 300; i++) {
		loop_lock(l);
		++*(int *)n;
		loop_unlock(l);
	}
	__atomic_add_fetch(&over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* A loop that is always busy gives way. */
START_TEST(lock_while_busy)
{
	int n = 0;
	double started = now();
	pthread_t a, b;

	ck_assert_int_eq(loop_fd(l, fd[1], NULL, counts_writable, NULL), 0);
	a = start(locks_often, &n);
	b = start(locks_often, &n);
	while (__atomic_load_n(&over, __ATOMIC_SEQ_CST) < 2)
		ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	join(a);
	join(b);
	ck_assert_int_eq(n, 600);
	ck_assert(now() - started < 20);
}
END_TEST

/* ---- freed, also in a child of fork ------------------------------------------------------- */

static void forks(void *unused)
{
	int before = open_descriptors();
	pid_t pid = fork();

	(void)unused;
	if (!pid) {
		loop_free(l);
		_exit(open_descriptors() == before - 3 ? 0 : 1);
	}
	ck_assert_int_eq(end_of(pid), 0);
}

static void *forks_elsewhere(void *unused)
{
	wait_state(getpid(), getpid(), 'S');
	forks(NULL);
	loop_notify(l);
	return unused;
}

static int other_fd[2];

static void swap_pipes(void)
{
	int i, f;

	for (i = 0; i < 2; i++) {
		f = fd[i];
		fd[i] = other_fd[i];
		other_fd[i] = f;
	}
}

static void leave_much(int *n)
{
	struct loop_bh *bh = loop_bh_new(l, plus_1, n);
	struct loop_timer *t = loop_timer_new(l, plus_1, n);

	ck_assert_int_eq(pipe(other_fd), 0);
	loop_bh_new(l, plus_1, n);
	loop_timer_new(l, plus_1, n);
	loop_timer_set(t, ns() + 1000000 * MS);
	ck_assert_int_eq(loop_fd(l, fd[0], reads, NULL, &fd[0]), 0);
	ck_assert_int_eq(loop_signal(l, SIGUSR1, on_signal_1, n), 0);
	swap_pipes();
	ends[0].pid = child_that_exits(1, 0);
	swap_pipes();
	ck_assert_int_eq(loop_child(l, ends[0].pid, exited, NULL), 0);
	loop_bh_schedule_idle(bh);
	loop_bh_cancel(bh);
	ck_assert_int_eq(loop_step(l, 0), 0);
}

START_TEST(freed_in_a_child)
{
	int n = 0, before;
	struct loop_bh *bh = loop_bh_new(l, forks, NULL);
	pthread_t thread;

	leave_much(&n);
	before = open_descriptors();
	switch (_i) {
	case 0:
		forks(NULL);
		break;
	case 1:
		loop_bh_schedule(bh);
		ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
		break;
	case 2:
		thread = start(forks_elsewhere, NULL);
		ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
		join(thread);
		break;
	}
	/* all is as it was */
	ck_assert_int_eq(open_descriptors(), before);
	ck_assert_int_eq(write(fd[1], "a", 1), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(readable, 1);
	raise(SIGUSR1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(n, 1);
	join(start(notifies, NULL));
	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	ck_assert_int_eq(kill(ends[0].pid, SIGKILL), 0);
	await_children(1);
}
END_TEST

/* Valgrind and sanitizers see what is left. */
START_TEST(freed_with_all_that_is_left)
{
	int n = 0, before;
	struct loop_bh *bh;

	leave_much(&n);
	before = open_descriptors();
	bh = loop_bh_new(l, plus_1, &n);
	loop_bh_schedule(bh);
	loop_bh_delete(bh);
	loop_bh_schedule(loop_bh_new(l, plus_1, &n));
	loop_bh_schedule_idle(loop_bh_new(l, plus_1, &n));
	loop_free(l);
	ck_assert_int_eq(open_descriptors(), before - 3);
	ck_assert_int_eq(n, 0);
	/* the child is not reaped */
	close(other_fd[1]);
	ck_assert_int_eq(end_of(ends[0].pid), 1);
	l = NULL;
}
END_TEST

/* ---- several loops ------------------------------------------------------------------------ */

static void runs_another(void *another)
{
	ck_assert_int_eq(loop_run(another), 4);
	ck_assert(loop_locked(l) && !loop_locked(another));
	readable++;
}

static void *wakes_inner_and_outer(void *another)
{
	wait_state(getpid(), getpid(), 'S');
	loop_notify(l);
	loop_stop(another, 4);
	return NULL;
}

/* One that runs in a callback of another one; the outer one's wake-up waits for it. */
START_TEST(a_loop_in_a_loop)
{
	struct loop *another = loop_new();
	struct loop_bh *bh = loop_bh_new(l, runs_another, another);
	pthread_t thread = start(wakes_inner_and_outer, another);

	loop_bh_schedule(bh);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	join(thread);
	ck_assert_int_eq(readable, 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	expect_rest();
	loop_free(another);
}
END_TEST

static void *makes_a_loop(void *n)
{
	struct loop *new = loop_new();

	ck_assert_ptr_ne(new, NULL);
	loop_lock(new);
	loop_bh_schedule(loop_bh_new(new, plus_1, n));
	loop_unlock(new);
	ck_assert_int_eq(loop_step(new, FOR_EVER), 1);
	loop_bh_schedule(loop_bh_new(new, plus_1, n));
	loop_timer_set(loop_timer_new(new, plus_1, n), 1);
	return new;
}

/* The threads that made and ran them have ended; their numbers may be those of others now. */
START_TEST(loops_of_other_threads)
{
	int before = open_descriptors(), n = 0, i;
	struct loop *made[20];
	pthread_t thread;
	void *new;

	for (i = 0; i < 20; i++) {
		thread = start(makes_a_loop, &n);
		ck_assert_int_eq(pthread_join(thread, &new), 0);
		made[i] = new;
		ck_assert_int_eq(n, i + 1);
	}
	for (i = 0; i < 20; i++) {
		ck_assert(!loop_locked(made[i]));
		if (i % 2)
			ck_assert_int_eq(loop_step(made[i], FOR_EVER), 2);
		loop_free(made[i]);
	}
	ck_assert_int_eq(n, 40);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

static void steps_unlocked(void *unused)
{
	(void)unused;
	loop_unlock(l);
	ck_assert_int_eq(loop_step(l, 0), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert(!loop_locked(l));
	loop_lock(l);
	readable++;
}

/* It is a step all the same, and only one. */
START_TEST(a_callback_without_the_lock)
{
	loop_bh_schedule(loop_bh_new(l, steps_unlocked, NULL));
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(readable, 1);
	expect_rest();
}
END_TEST

/* One file, two numbers, two loops; one number is forgotten, and closed. */
START_TEST(a_file_in_two_loops)
{
	struct loop *another = loop_new();
	int copy = dup(fd[0]), n = 0, m = 0, k = 0;

	ck_assert_int_eq(loop_fd(l, fd[0], plus_1, NULL, &n), 0);
	ck_assert_int_eq(loop_fd(l, copy, plus_1, NULL, &m), 0);
	ck_assert_int_eq(loop_fd(another, fd[0], plus_1, NULL, &k), 0);
	ck_assert_int_eq(write(fd[1], "a", 1), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	ck_assert_int_eq(loop_step(another, FOR_EVER), 1);
	ck_assert_int_eq(loop_fd(l, fd[0], NULL, NULL, NULL), 0);
	close(fd[0]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert(n == 1 && m == 2 && k == 1);
	loop_free(another);
}
END_TEST

/* ---- at every moment -------------------------------------------------------------------- */

static struct storm {
	struct loop_bh *bh;
	pthread_t thread;
	int ran;
} storms[3];

static int storms_over, how_to_wake, rounds_done;
static pthread_t loop_thread;

static void storm_runs(void *s)
{
	__atomic_add_fetch(&((struct storm *)s)->ran, 1, __ATOMIC_SEQ_CST);
}

static void storm_in_handler(int sig)
{
	loop_bh_schedule(storms[sig - SIGRTMIN - 1].bh);
}

static void wake_storm(int i)
{
	if (how_to_wake < 2)
		loop_bh_schedule(storms[i].bh);
	else
		pthread_kill(loop_thread, SIGRTMIN + 1 + i);
}

/* Each round ends when the function has run: one wake-up that is lost, and all is over. */
static void *storm(void *which)
{
	struct storm *s = which;
	volatile unsigned int spin;
	int round, last = fewer(shortened(20000));

	for (round = 1; round <= last; round++) {
		for (spin = random_number() % 2000; spin; spin--)
			;
		wake_storm((int)(s - storms));
		while (__atomic_load_n(&s->ran, __ATOMIC_SEQ_CST) != round)
			sched_yield();
	}
	__atomic_add_fetch(&storms_over, 1, __ATOMIC_SEQ_CST);
	loop_notify(l);
	return NULL;
}

/* By one thread: others would hide what it loses.  And by three. */
START_TEST(storm_of_wake_ups)
{
	int threads = _i & 1 ? 3 : 1, i;

	how_to_wake = _i & 6;
	loop_thread = pthread_self();
	for (i = 0; i < threads; i++) {
		handle(SIGRTMIN + 1 + i, storm_in_handler, SA_RESTART, how_to_wake == 4);
		storms[i].bh = loop_bh_new(l, storm_runs, &storms[i]);
	}
	for (i = 0; i < threads; i++)
		storms[i].thread = start(storm, &storms[i]);
	while (__atomic_load_n(&storms_over, __ATOMIC_SEQ_CST) < threads)
		ck_assert_int_ge(loop_step(l, FOR_EVER), 0);
	for (i = 0; i < threads; i++)
		join(storms[i].thread);
	rounds_done += storms[0].ran;
	ck_assert_int_eq(rounds_done, fewer(shortened(20000)));
}
END_TEST

static void plus_1_atomic(void *n)
{
	__atomic_add_fetch((int *)n, 1, __ATOMIC_SEQ_CST);
}

static struct loop_bh *shared_bh;
static int runs;

static void schedules_shared(int sig)
{
	(void)sig;
	loop_bh_schedule(shared_bh);
}

static void *schedules_often(void *n)
{
	int i, before;

	for (i = 0; i < shortened(100000); i++) {
		before = __atomic_load_n(&runs, __ATOMIC_SEQ_CST);
		(i % 3 ? loop_bh_schedule : loop_bh_schedule_idle)(shared_bh);
		if (i % 1000 == 0)
			while (__atomic_load_n(&runs, __ATOMIC_SEQ_CST) == before)
				sched_yield();
		if (i % 7 == 0)
			loop_bh_cancel(bhs[0]);
		loop_bh_schedule(bhs[i % 3]);
	}
	plus_1_atomic(n);
	loop_notify(l);
	return NULL;
}

/* One bottom half for all, pushes that are interrupted by pushes, and cancellations. */
START_TEST(storm_of_pushes)
{
	struct itimerval often = { { 0, 150 }, { 0, 150 } }, never = { { 0, 0 }, { 0, 0 } };
	int done = 0;
	pthread_t a, b;

	shared_bh = loop_bh_new(l, plus_1_atomic, &runs);
	bhs[0] = loop_bh_new(l, plus_1, &readable);
	bhs[1] = loop_bh_new(l, plus_1, &readable);
	bhs[2] = loop_bh_new(l, plus_1, &readable);
	handle(SIGALRM, schedules_shared, SA_RESTART, 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	a = start(schedules_often, &done);
	b = start(schedules_often, &done);
	while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < 2)
		ck_assert_int_ge(loop_step(l, FOR_EVER), 0);
	join(a);
	join(b);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	/* the last time may have been an idle one, which could be due later */
	loop_bh_schedule(shared_bh);
	ck_assert_int_ge(loop_step(l, 0), 1);
	expect_rest();
	/* one that was lost on its way can't be scheduled any more */
	loop_bh_schedule(shared_bh);
	loop_bh_schedule(bhs[0]);
	loop_bh_schedule(bhs[1]);
	loop_bh_schedule(bhs[2]);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 4);
}
END_TEST

/* Shared with the tracer. */
static volatile int *finished;
static int bh_ran;

/* Assertions would be many steps. */
static void reads_unseen(void *unused)
{
	char c;

	(void)unused;
	if (read(fd[0], &c, 1) != 1)
		_exit(3);
}

/*
 * What the handler is, and whether the step waits at all.  Or it is a push that is
 * interrupted, by another one.
 */
enum { PUSHED = 16 };

static void __attribute__((noreturn)) stepped_child(int what)
{
	die_after(60);
	loop_fd(l, fd[0], reads_unseen, NULL, NULL);
	bhs[0] = shared_bh = loop_bh_new(l, plus_1, &bh_ran);
	bhs[1] = loop_bh_new(l, plus_1, &readable);
	handle(SIGUSR1, what & 4 ? notifies_in_handler : schedules_shared,
	       what & 1 ? SA_RESTART : 0, what & 2);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	for (;;) {
		*finished = bh_ran = signals = 0;
		if (what & 8 && write(fd[1], "a", 1) != 1)
			_exit(2);
		alarm(10);
		readable = what != PUSHED;
		syscall(SYS_kill, getpid(), SIGSTOP);
		if (what == PUSHED)
			loop_bh_schedule(bhs[1]);
		else
			loop_step(l, FOR_EVER);
		*finished = 1;
		/* one that did not arrive before is in the word now */
		while ((what & 4 ? !signals : !bh_ran) || !readable)
			loop_step(l, FOR_EVER);
	}
}

/* Until it stops, or is asleep: then 0.  The alarm goes on and ends the wait for one that is. */
static int stop_or_sleep(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (state_of(pid, pid) == 'S')
			return 0;
	if (!WIFSTOPPED(status))
		ck_abort_msg("a wake-up was lost: %x", (unsigned int)status);
	return WSTOPSIG(status);
}

static void step_or_continue(int request, pid_t pid, int sig)
{
	if (ptrace(request, pid, NULL, (void *)(intptr_t)sig))
		ck_abort_msg("ptrace: %s", strerror(errno));
}

/* So many steps, then the signal; returns whether there are more. */
static int interrupt_after(pid_t pid, int steps_to_make)
{
	int sig = SIGTRAP, more;

	while (steps_to_make-- && sig == SIGTRAP && !*finished) {
		step_or_continue(PTRACE_SINGLESTEP, pid, 0);
		sig = stop_or_sleep(pid);
	}
	more = sig && !*finished;
	if (!sig) {
		/* which ends the step, too */
		kill(pid, SIGUSR1);
		ck_assert_int_eq(stop_or_sleep(pid), SIGTRAP);
		step_or_continue(PTRACE_CONT, pid, 0);
		ck_assert_int_eq(stop_or_sleep(pid), SIGUSR1);
	}
	step_or_continue(PTRACE_CONT, pid, SIGUSR1);
	while ((sig = stop_or_sleep(pid)) != SIGSTOP)
		if (sig)
			step_or_continue(PTRACE_CONT, pid, sig);
	return more;
}

static int no_single_steps(pid_t pid)
{
	ck_assert_int_eq(stop_or_sleep(pid), SIGSTOP);
	return ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) && errno == EIO;
}

enum { ENDLESS = 20000 };	/* steps; it takes some hundreds */

/* Each of the handlers at every sixth, as the time grows with the square of the steps. */
START_TEST(handler_at_every_instruction)
{
	struct itimerval often = { { 0, 20000 }, { 0, 20000 } }, never = { { 0, 0 }, { 0, 0 } };
	int step = _i == PUSHED ? 1 : stride() > 1 ? 34 : 6;
	int steps_to_make = _i % step;
	pid_t pid;

	finished = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne((void *)finished, MAP_FAILED);
	stay_on_one_processor();
	pid = fork();
	if (!pid)
		stepped_child(_i);
	handle(SIGALRM, counts, 0, 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	if (emulated() || TA_NO_STEP || no_single_steps(pid)) {
		kill(pid, SIGKILL);
		SKIP("no single steps, or none to be relied on");
	}
	ck_assert_int_eq(stop_or_sleep(pid), SIGTRAP);
	if (interrupt_after(pid, ENDLESS)) {
		kill(pid, SIGKILL);
		SKIP("single steps don't get through load-linked and store-conditional");
	}
	while (interrupt_after(pid, steps_to_make))
		steps_to_make += step;
	ck_assert_int_gt(steps_to_make, 20);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	kill(pid, SIGKILL);
	ck_assert_int_eq(end_of(pid), 1000 + SIGKILL);
}
END_TEST

/* ---- system calls ---------------------------------------------------------------------- */

enum { MARK = SYS_getppid };	/* counted are those between two of these */

static int next_call(pid_t pid)
{
	/* struct ptrace_syscall_info, which C libraries name differently */
	struct { uint8_t op, pad[23]; uint64_t number, rest[12]; } info;
	int status, sig = 0;

	for (;;) {
		step_or_continue(PTRACE_SYSCALL, pid, sig);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			return -1;
		sig = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
		if (sig)
			continue;
		ck_assert_int_gt(ptrace(0x420e, pid, (void *)sizeof info, &info), 0);
		if (info.op == 1)
			return (int)info.number;
	}
}

/* The end of a handler; and the clock, which is a call where the kernel has no better one. */
static int is_none(int number)
{
	static const int none[] = {
		SYS_rt_sigreturn, SYS_clock_gettime,
#ifdef SYS_clock_gettime64
		SYS_clock_gettime64,
#endif
#ifdef SYS_sigreturn
		SYS_sigreturn,
#endif
	};

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		if (number == none[i])
			return 1;
	return 0;
}

/* Those between the marks, and then -1; no more than so many. */
static void calls_of(void (*body)(void), int *calls, int most)
{
	int status, number, counting = 0;
	pid_t pid = fork();

	if (!pid) {
		die_after(20);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		kill(getpid(), SIGSTOP);
		body();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD), 0);
	while ((number = next_call(pid)) != -1) {
		if (number == MARK)
			counting ^= 1;
		else if (counting && !is_none(number) && most-- > 1)
			*calls++ = number;
	}
	ck_assert_int_gt(most, 0);
	*calls = -1;
}

static void mark(void)
{
	syscall(MARK);
}

static void woken_by_own_handler(void)
{
	int n = 0;

	loop_step(l, 0);
	bhs[0] = shared_bh = loop_bh_new(l, plus_1, &n);
	handle(SIGALRM, schedules_shared, SA_RESTART, 0);
	ualarm(20000, 0);
	mark();
	loop_step(l, FOR_EVER);
	mark();
}

static void woken_by_own_signal(void)
{
	int n = 0;

	loop_step(l, 0);
	loop_signal(l, SIGALRM, on_signal_1, &n);
	ualarm(20000, 0);
	mark();
	loop_step(l, FOR_EVER);
	mark();
}

static void *steps_until_stopped(void *tid)
{
	__atomic_store_n((int *)tid, own_tid(), __ATOMIC_SEQ_CST);
	loop_run(l);
	return NULL;
}

static void wakes_another(void)
{
	int tid = 0, n = 0;
	struct loop_bh *bh = loop_bh_new(l, plus_1, &n);
	pthread_t thread = start(steps_until_stopped, &tid);

	while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST))
		sched_yield();
	wait_state(getpid(), tid, 'S');
	/* so that it does not come to wait again */
	loop_lock(l);
	mark();
	loop_notify(l);
	loop_bh_schedule(bh);
	loop_notify(l);
	loop_stop(l, 0);
	mark();
	loop_unlock(l);
	pthread_join(thread, NULL);
}

static void does_not_wait(void)
{
	int n = 0;
	struct loop_bh *bh = loop_bh_new(l, plus_1, &n);
	struct loop_timer *t = loop_timer_new(l, plus_1, &n);

	loop_step(l, 0);
	mark();
	loop_notify(l);
	loop_bh_schedule(bh);
	loop_bh_schedule_idle(bh);
	loop_bh_cancel(bh);
	loop_stop(l, 0);
	loop_timer_set(t, 1);
	mark();
}

static void polls(void)
{
	int n = 0;

	loop_fd(l, fd[1], NULL, plus_1, &n);
	loop_step(l, 0);
	mark();
	loop_step(l, FOR_EVER);
	mark();
}

#ifdef SYS_ppoll_time64
# define PPOLL SYS_ppoll_time64
#else
# define PPOLL SYS_ppoll
#endif

START_TEST(has_no_descriptors_of_children)
{
	if (!deny(SYS_getppid, ENOSYS))
		SKIP("no filters");
	ck_assert_int_eq(syscall(SYS_pidfd_open, getpid(), 0), -1);
	ck_assert_int_eq(errno, ENOSYS);
}
END_TEST

/* A function for SIGCHLD and children that are watched by it; then none; as before in the end. */
START_TEST(children_share_their_signal)
{
	int n = 0, i;
	struct loop *another = loop_new();

	if (syscall(SYS_pidfd_open, getpid(), 0) != -1)
		SKIP("no filters");
	handle(SIGCHLD, counts, 0, 0);
	ck_assert_int_eq(loop_signal(l, SIGCHLD, on_sigchld, &n), 0);
	for (i = 0; i < 3; i++) {
		ends[i].pid = child_that_exits(i, i == 0);
		ck_assert_int_eq(loop_child(l, ends[i].pid, exited, (void *)(intptr_t)i), 0);
	}
	while (!ended || !n)
		ck_assert_int_ge(loop_step(l, FOR_EVER), 1);
	/* another loop can't have it */
	ck_assert_int_eq(loop_child(another, ends[2].pid, exited, NULL), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(loop_step(another, MS), 0);
	loop_free(another);
	ck_assert_int_eq(loop_signal(l, SIGCHLD, NULL, NULL), 0);
	n = 0;
	close(fd[1]);
	await_children(3);
	expect_rest();
	ck_assert_int_eq(n, 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(ends[i].status, i << 8);
	ck_assert_int_eq(signals, 0);
	loop_free(l);
	raise(SIGCHLD);
	ck_assert_int_eq(signals, 1);
	l = NULL;
}
END_TEST

START_TEST(has_not_one_call_for_it)
{
	if (!deny(SYS_getppid, ENOSYS))
		SKIP("no filters");
	ck_assert_int_eq(has_one_call_for_it(), 0);
}
END_TEST

START_TEST(system_calls)
{
	static void (*const body[])(void) = { woken_by_own_handler, woken_by_own_signal,
					      wakes_another, does_not_wait, polls };
	int new = has_one_call_for_it(), wait[] = { new ? SYS_epoll_pwait2 : PPOLL, -1, -1 };
	int calls[64], i;

	if (emulated())
		SKIP("no tracer");
	if (_i == 2)
		wait[0] = SYS_write;
	if (_i == 3)
		wait[0] = -1;
	if (_i == 4 && !new)
		wait[1] = SYS_epoll_pwait;
	calls_of(body[_i], calls, 64);
	for (i = 0; i < 3 && calls[i] == wait[i]; i++)
		if (wait[i] == -1)
			return;
	ck_abort_msg("%d instead of %d", calls[i], wait[i]);
}
END_TEST

static TCase *new_case(Suite *suite, const char *name, void (*before)(void))
{
	TCase *tc = tcase_create(name);

	limit_time(tc, 120);
	tcase_add_checked_fixture(tc, before, free_loop);
	suite_add_tcase(suite, tc);
	return tc;
}

static void add_children(TCase *tc)
{
	tcase_add_test(tc, children);
	tcase_add_test(tc, dead_children);
	tcase_add_test(tc, a_child_that_stops);
	tcase_add_test(tc, no_children);
	tcase_add_loop_test(tc, ignored_children, 0, 3);
}

/* What depends on how it waits. */
static void add_waits(TCase *tc)
{
	tcase_add_test(tc, has_not_one_call_for_it);
	tcase_add_test(tc, time_out);
	tcase_add_test(tc, notify);
	tcase_add_loop_test(tc, notify_in_a_handler, 0, 4);
	tcase_add_loop_test(tc, signals_of_others, 0, 4);
	tcase_add_test(tc, stopped_and_continued);
	tcase_add_test(tc, interrupted);
	tcase_add_loop_test(tc, interrupted_and_nothing_lost, 0, 2);
	tcase_add_test(tc, level_triggered);
	tcase_add_test(tc, regular_files);
	tcase_add_test(tc, never_early);
	tcase_add_loop_test(tc, set_while_it_waits, 0, 8);
	tcase_add_loop_test(tc, storm_of_wake_ups, 0, 6);
	tcase_add_loop_test(tc, system_calls, 0, 5);
}

int main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tc = new_case(suite, "loop", new_loop);

	tcase_add_test(tc, two_descriptors);
	tcase_add_test(tc, no_descriptors);
	tcase_add_test(tc, time_out);
	tcase_add_loop_test(tc, step_in_a_step, 0, 2);
	tcase_add_test(tc, step_beside_a_step);
	tcase_add_test(tc, steps_of_several_threads);
	tcase_add_test(tc, run_and_stop);
	tcase_add_test(tc, notify);
	tcase_add_test(tc, notify_in_a_callback);
	tcase_add_loop_test(tc, notify_in_a_handler, 0, 4);
	tcase_add_loop_test(tc, signals_of_others, 0, 4);
	tcase_add_test(tc, stopped_and_continued);
	tcase_add_test(tc, interrupted);
	tcase_add_loop_test(tc, interrupted_and_nothing_lost, 0, 2);
	tc = new_case(suite, "descriptors", new_loop);
	tcase_add_test(tc, level_triggered);
	tcase_add_loop_test(tc, errors, 0, 6);
	tcase_add_test(tc, bad_descriptors);
	tcase_add_test(tc, regular_files);
	tcase_add_test(tc, forgotten_in_the_same_round);
	tcase_add_test(tc, changes_itself);
	tcase_add_loop_test(tc, closed_first, 0, 4);
	tcase_add_test(tc, idle_descriptors);
	tc = new_case(suite, "bottom halves", new_bhs);
	tcase_add_test(tc, once_and_in_order);
	tcase_add_test(tc, cancelled);
	tcase_add_test(tc, deleted);
	tcase_add_test(tc, scheduled_in_a_callback);
	tcase_add_test(tc, idle);
	tcase_add_test(tc, idle_while_it_waits);
	tcase_add_test(tc, cancelled_in_a_callback);
	tcase_add_loop_test(tc, idle_again_and_again, 0, 2);
	tc = new_case(suite, "timers", new_loop);
	tcase_add_test(tc, many_timers);
	tcase_add_test(tc, timers_in_callbacks);
	tcase_add_test(tc, timers_at_random);
	tcase_add_test(tc, never_early);
	tc = new_case(suite, "children and signals", new_loop);
	add_children(tc);
	tcase_add_test(tc, ignored_until_handled);
	tcase_add_test(tc, children_and_their_signal);
	tcase_add_loop_test(tc, loop_signals, 0, 3);
	tcase_add_test(tc, signal_elsewhere);
	tcase_add_loop_test(tc, signal_as_it_was, 0, 4);
	tcase_add_test(tc, bad_signals);
	tc = new_case(suite, "lock", new_loop);
	tcase_add_test(tc, locked);
	tcase_add_test(tc, lock_aborts);
	tcase_add_loop_test(tc, set_while_it_waits, 0, 8);
	tcase_add_test(tc, lock_while_busy);
	tc = new_case(suite, "freed", new_loop);
	tcase_add_loop_test(tc, freed_in_a_child, 0, 3);
	tcase_add_test(tc, freed_with_all_that_is_left);
	tc = new_case(suite, "several", new_loop);
	tcase_add_test(tc, a_loop_in_a_loop);
	tcase_add_test(tc, loops_of_other_threads);
	tcase_add_test(tc, a_callback_without_the_lock);
	tcase_add_test(tc, a_file_in_two_loops);
	tc = new_case(suite, "storms", new_loop);
	tcase_add_loop_test(tc, storm_of_wake_ups, 0, 6);
	tcase_add_test(tc, storm_of_pushes);
	tc = new_case(suite, "every instruction", new_loop);
	tcase_add_loop_test(tc, handler_at_every_instruction, 0, 12);
	tcase_add_loop_test(tc, handler_at_every_instruction, PUSHED, PUSHED + 1);
	tc = new_case(suite, "system calls", new_loop);
	tcase_add_loop_test(tc, system_calls, 0, 5);
	tc = new_case(suite, "before Linux 5.11", new_old_loop);
	add_waits(tc);
	tc = new_case(suite, "before Linux 5.3", new_older_loop);
	tcase_add_test(tc, has_no_descriptors_of_children);
	add_children(tc);
	tcase_add_test(tc, children_share_their_signal);
	tc = new_case(suite, "filtered", new_filtered_loop);
	tcase_add_test(tc, has_not_one_call_for_it);
	tcase_add_test(tc, time_out);
	tcase_add_loop_test(tc, notify_in_a_handler, 0, 4);
	tcase_add_loop_test(tc, system_calls, 0, 5);
	return run_suite(suite);
}
