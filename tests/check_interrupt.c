/* SPDX-License-Identifier: MIT */
/* check_interrupt.c - layer 3: scopes, and the interrupts that reach them */
#include <pthread.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "breakpoint.h"
#include "code.h"
#include "stand_in.h"

#define NEW_SCOPE ((safe_syscall_scope)SAFE_SYSCALL_SCOPE_INIT)

static int fd[2];
static int interrupt_signal;
static pid_t main_tid;

static void setup(void)
{
	ck_assert_int_eq(safe_syscall_init(0), 0);
	interrupt_signal = safe_syscall_signal();
	ck_assert_int_eq(pipe(fd), 0);
	main_tid = (pid_t)syscall(SYS_gettid);
}

static long read_byte(void)
{
	char c;

	return safe_syscall(SYS_read, fd[0], &c, 1);
}

static void expect_interrupted(long result)
{
	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(errno, SAFE_ERESTARTSYS);
}

static int is_blocked(int sig)
{
	sigset_t set;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	return sigismember(&set, sig);
}

/* ---- another thread that interrupts ------------------------------------------ */

static void *interrupt_when_asleep(void *scope)
{
	wait_state(getpid(), main_tid, 'S');
	ck_assert_int_eq(safe_syscall_interrupt(scope), 0);
	return NULL;
}

static pthread_t interrupt_later(safe_syscall_scope *scope)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_when_asleep, scope), 0);
	return thread;
}

static void join(pthread_t thread)
{
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

START_TEST(own_scope_by_another_thread)
{
	pthread_t thread = interrupt_later(safe_syscall_self());

	expect_interrupted(read_byte());
	join(thread);
	/* sticky, until rearm */
	expect_interrupted(read_byte());
	ck_assert_int_eq(safe_syscall_interrupted(safe_syscall_self()), 1);
	ck_assert_int_eq(safe_syscall_rearm(safe_syscall_self()), 1);
	ck_assert_int_eq(safe_syscall_rearm(safe_syscall_self()), 0);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	ck_assert_int_eq(read_byte(), 1);
}
END_TEST

START_TEST(entered_scope)
{
	safe_syscall_scope scope = NEW_SCOPE;
	pthread_t thread;

	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	thread = interrupt_later(&scope);
	expect_interrupted(read_byte());
	join(thread);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert_int_eq(safe_syscall_interrupted(&scope), 1);
	/* the one around it is not */
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	ck_assert_int_eq(read_byte(), 1);
}
END_TEST

START_TEST(before_enter)
{
	safe_syscall_scope scope = NEW_SCOPE;

	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	expect_interrupted(read_byte());
	ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	ck_assert_int_eq(read_byte(), 1);
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
}
END_TEST

/* An outer scope reaches the calls in an inner one, and marks only itself. */
START_TEST(nested)
{
	safe_syscall_scope outer = NEW_SCOPE, middle = NEW_SCOPE, inner = NEW_SCOPE;
	pthread_t thread;

	ck_assert_int_eq(safe_syscall_enter(&outer), 0);
	ck_assert_int_eq(safe_syscall_enter(&middle), 0);
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	thread = interrupt_later(&outer);
	expect_interrupted(read_byte());
	join(thread);
	expect_interrupted(read_byte());
	ck_assert_int_eq(safe_syscall_interrupted(&inner), 0);
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	expect_interrupted(read_byte());
	/* what is entered now inherits it too */
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	expect_interrupted(read_byte());
	ck_assert_int_eq(safe_syscall_interrupted(&inner), 0);
	/* until it is taken back */
	ck_assert_int_eq(safe_syscall_rearm(&outer), 1);
	ck_assert_int_eq(write(fd[1], "xyz", 3), 3);
	ck_assert_int_eq(read_byte(), 1);
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	ck_assert_int_eq(read_byte(), 1);
	ck_assert_int_eq(safe_syscall_leave(&middle), 0);
	ck_assert_int_eq(read_byte(), 1);
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
}
END_TEST

START_TEST(nested_in_the_own_scope)
{
	safe_syscall_scope inner = NEW_SCOPE;
	pthread_t thread;

	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	thread = interrupt_later(safe_syscall_self());
	expect_interrupted(read_byte());
	join(thread);
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	expect_interrupted(read_byte());
	ck_assert_int_eq(safe_syscall_rearm(safe_syscall_self()), 1);
}
END_TEST

START_TEST(inner_leaves_outer_alone)
{
	safe_syscall_scope outer = NEW_SCOPE, inner = NEW_SCOPE;

	ck_assert_int_eq(safe_syscall_enter(&outer), 0);
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	ck_assert_int_eq(safe_syscall_interrupt(&inner), 0);
	expect_interrupted(read_byte());
	ck_assert_int_eq(safe_syscall_leave(&inner), 1);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	ck_assert_int_eq(read_byte(), 1);
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
}
END_TEST

/* ---- sent, and not arrived yet -------------------------------------------------- */

static void mask_interrupts(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, interrupt_signal);
	ck_assert_int_eq(pthread_sigmask(how, &set, NULL), 0);
}

static int is_pending(void)
{
	sigset_t set;

	ck_assert_int_eq(sigpending(&set), 0);
	return sigismember(&set, interrupt_signal);
}

/* Blocked, it is certain not to arrive before leave or rearm; nor must it later. */
START_TEST(taken_back)
{
	safe_syscall_scope scope = NEW_SCOPE;

	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	mask_interrupts(SIG_BLOCK);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(is_pending(), 1);
	if (_i)
		ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	else
		ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert_int_eq(is_pending(), 0);
	ck_assert(is_blocked(interrupt_signal));
}
END_TEST

/* Two are taken back, of which one is for a scope around: that one must arrive. */
START_TEST(taken_back_for_a_scope_around)
{
	safe_syscall_scope outer = NEW_SCOPE, middle = NEW_SCOPE, inner = NEW_SCOPE;

	ck_assert_int_eq(safe_syscall_enter(&outer), 0);
	mask_interrupts(SIG_BLOCK);
	ck_assert_int_eq(safe_syscall_enter(&middle), 0);
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	ck_assert_int_eq(safe_syscall_interrupt(&outer), 0);
	ck_assert_int_eq(safe_syscall_interrupt(&inner), 0);
	ck_assert_int_eq(safe_syscall_leave(&inner), 1);
	ck_assert_int_eq(is_pending(), 1);
	mask_interrupts(SIG_UNBLOCK);
	expect_interrupted(read_byte());
	ck_assert_int_eq(safe_syscall_leave(&middle), 0);
	ck_assert_int_eq(safe_syscall_leave(&outer), 1);
}
END_TEST

/* ---- bad input ---------------------------------------------------------------- */

static void expect_error(int result, int error)
{
	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(errno, error);
	errno = 0;
}

static void *enter_too(void *scope)
{
	expect_error(safe_syscall_enter(scope), EBUSY);
	expect_error(safe_syscall_leave(scope), EINVAL);
	return NULL;
}

START_TEST(bad_scopes)
{
	safe_syscall_scope scope = NEW_SCOPE, other = NEW_SCOPE;
	pthread_t thread;

	expect_error(safe_syscall_enter(NULL), EINVAL);
	expect_error(safe_syscall_leave(NULL), EINVAL);
	expect_error(safe_syscall_interrupt(NULL), EINVAL);
	expect_error(safe_syscall_interrupted(NULL), EINVAL);
	expect_error(safe_syscall_rearm(NULL), EINVAL);
	expect_error(safe_syscall_leave(&scope), EINVAL);
	expect_error(safe_syscall_enter(safe_syscall_self()), EBUSY);
	expect_error(safe_syscall_leave(safe_syscall_self()), EINVAL);
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	expect_error(safe_syscall_enter(&scope), EBUSY);
	expect_error(safe_syscall_leave(safe_syscall_self()), EINVAL);
	expect_error(safe_syscall_enter(safe_syscall_self()), EBUSY);
	ck_assert_int_eq(pthread_create(&thread, NULL, enter_too, &scope), 0);
	join(thread);
	ck_assert_int_eq(safe_syscall_enter(&other), 0);
	expect_error(safe_syscall_leave(&scope), EINVAL);
	ck_assert_int_eq(safe_syscall_leave(&other), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	expect_error(safe_syscall_leave(&scope), EINVAL);
	expect_error(safe_syscall_leave(safe_syscall_self()), EINVAL);
}
END_TEST

START_TEST(bad_signals)
{
	static const int unusable[] = {
		-1, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
		SIGSYS, 4711
	};
	size_t i;

	/* done already: only 0 and the same one are right */
	ck_assert_int_eq(safe_syscall_init(0), 0);
	ck_assert_int_eq(safe_syscall_init(interrupt_signal), 0);
	expect_error(safe_syscall_init(SIGUSR1), EBUSY);
	for (i = 0; i < sizeof unusable / sizeof unusable[0]; i++)
		expect_error(safe_syscall_init(unusable[i]), EINVAL);
}
END_TEST

static void nothing(int sig)
{
	(void)sig;
}

START_TEST(before_init)
{
	static const int unusable[] = {
		-1, SIGKILL, SIGSTOP, SIGSEGV, SIGSYS, 4711
	};
	safe_syscall_scope scope = NEW_SCOPE;
	size_t i;

	signal(SIGUSR1, nothing);
	signal(SIGUSR2, SIG_IGN);
	expect_error(safe_syscall_interrupt(&scope), EINVAL);
	ck_assert_int_eq(safe_syscall_interrupted(&scope), 0);
	ck_assert_int_eq(safe_syscall_signal(), 0);
	for (i = 0; i < sizeof unusable / sizeof unusable[0]; i++)
		expect_error(safe_syscall_init(unusable[i]), EINVAL);
	expect_error(safe_syscall_init(SIGUSR1), EBUSY);
	expect_error(safe_syscall_init(SIGUSR2), EBUSY);
	ck_assert_int_eq(safe_syscall_signal(), 0);
	ck_assert_int_eq(safe_syscall_init(SIGXCPU), 0);
	ck_assert_int_eq(safe_syscall_init(SIGXCPU), 0);
	ck_assert_int_eq(safe_syscall_init(0), 0);
	ck_assert_int_eq(safe_syscall_signal(), SIGXCPU);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
}
END_TEST

/* ---- threads and processes ------------------------------------------------------- */

static void *exit_inside(void *scope)
{
	ck_assert_int_eq(safe_syscall_enter(scope), 0);
	pthread_exit(NULL);
}

START_TEST(thread_exits_inside)
{
	static safe_syscall_scope scope;
	pthread_t thread;
	int i;

	for (i = 0; i < 100; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, exit_inside, &scope), 0);
		if (i % 2)
			ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
		join(thread);
		safe_syscall_interrupt(&scope);
		ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
		ck_assert_int_eq(safe_syscall_enter(&scope), 0);
		ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	}
}
END_TEST

/*
 * Scopes on the stack of the thread, in frames that are gone when its end is noticed, and
 * that the destructors of thread-local objects may have written over by then.
 */
extern void __asan_init(void) __attribute__((weak));
extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *) __attribute__((weak));

static safe_syscall_scope around;
static int fill;

static __attribute__((noinline)) void write_over_the_stack(void *unused)
{
	volatile char pad[32768];
	size_t i;

	(void)unused;
	for (i = 0; i < sizeof pad; i++)
		pad[i] = (char)fill;
}

static __attribute__((noinline)) void exit_in_scopes_on_the_stack(int cancelled)
{
	safe_syscall_scope outer = NEW_SCOPE, scope = NEW_SCOPE;

	ck_assert_int_eq(safe_syscall_enter(&outer), 0);
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall_interrupt(&outer), 0);
	if (cancelled)
		pthread_cancel(pthread_self());
	pthread_testcancel();
	pthread_exit(NULL);
}

/* How far down: whether the frames of a thread's end are on the same memory. */
static __attribute__((noinline)) void exit_further_down(int cancelled)
{
	char pad[65536];

	__asm__ volatile ("" : : "r" (pad) : "memory");
	exit_in_scopes_on_the_stack(cancelled);
	__asm__ volatile ("" : : "r" (pad) : "memory");
}

static const int fills[] = { -1, 0, 1, 0x5a, 0xff };	/* -1: as it comes */
enum { FILLS = sizeof fills / sizeof *fills };

static void *exit_on_the_stack(void *how)
{
	int i = *(int *)how;

	fill = fills[i / 4];
	if (fill >= 0)
		__cxa_thread_atexit_impl(write_over_the_stack, NULL, &fill);
	ck_assert_int_eq(safe_syscall_enter(&around), 0);
	if (i % 2)
		exit_further_down(i / 2 % 2);
	exit_in_scopes_on_the_stack(i / 2 % 2);
	return NULL;
}

START_TEST(thread_exits_in_scopes_on_its_stack)
{
	pthread_t thread;

	if (fills[_i / 4] >= 0 && !__cxa_thread_atexit_impl)
		SKIP("this C library has no destructors of thread-local objects");
	if (__asan_init)
		SKIP("a sanitizer tells of frames that are gone");
	around = NEW_SCOPE;
	ck_assert_int_eq(pthread_create(&thread, NULL, exit_on_the_stack, &(int){ _i }), 0);
	join(thread);
	/* nothing was written over what is far below, so the one around was found */
	if (_i % 2 && fills[_i / 4] < 0) {
		ck_assert_int_eq(safe_syscall_enter(&around), 0);
		ck_assert_int_eq(safe_syscall_interrupt(&around), 0);
		ck_assert_int_eq(safe_syscall_leave(&around), 1);
	}
}
END_TEST

START_TEST(fork_inside)
{
	safe_syscall_scope outer = NEW_SCOPE, scope = NEW_SCOPE;
	pid_t child;
	int status;

	ck_assert_int_eq(safe_syscall_enter(&outer), 0);
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	child = fork();
	ck_assert_int_ne(child, -1);
	if (child == 0) {
		pthread_t thread;
		int ok;

		main_tid = (pid_t)syscall(SYS_gettid);
		pthread_create(&thread, NULL, interrupt_when_asleep, &outer);
		ok = read_byte() == -1 && errno == SAFE_ERESTARTSYS;
		pthread_join(thread, NULL);
		ok = ok && safe_syscall_leave(&scope) == 0 &&
		     safe_syscall_leave(&outer) == 1;
		_exit(ok ? 7 : 8);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_eq(safe_syscall_interrupted(&outer), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
}
END_TEST

/* Who interrupts does not touch the scope after leave has returned. */
static safe_syscall_scope *volatile shared;
static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile int stop;

static void *interrupt_shared(void *unused)
{
	(void)unused;
	while (!stop) {
		pthread_mutex_lock(&shared_mutex);
		if (shared)
			safe_syscall_interrupt(shared);
		pthread_mutex_unlock(&shared_mutex);
		sched_yield();
	}
	return NULL;
}

START_TEST(freed_after_leave)
{
	pthread_t thread;
	int i, interrupted = 0;
	double begun = now();

	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_shared, NULL), 0);
	for (i = 0; (i < shortened(20000) && now() < begun + 1) ||
	     (!interrupted && now() < begun + 20); i++) {
		safe_syscall_scope *scope = calloc(1, sizeof *scope);

		ck_assert_int_eq(safe_syscall_enter(scope), 0);
		pthread_mutex_lock(&shared_mutex);
		shared = scope;
		pthread_mutex_unlock(&shared_mutex);
		safe_syscall(SYS_sched_yield);
		pthread_mutex_lock(&shared_mutex);
		shared = NULL;
		pthread_mutex_unlock(&shared_mutex);
		interrupted += safe_syscall_leave(scope);
		free(scope);
	}
	stop = 1;
	join(thread);
	printf("freed_after_leave: %d operations, %d interrupted\n", i, interrupted);
	ck_assert_int_gt(interrupted, 0);
}
END_TEST

/*
 * ---- G7: at the very end of an operation, then a wait that is never restarted ----
 */

static safe_syscall_scope ending;
static volatile int phase;

static void *interrupt_ending(void *unused)
{
	unsigned int spin, i;

	(void)unused;
	for (spin = 0; !stop; spin++) {
		while (phase != 1 && !stop)
			sched_yield();
		for (i = spin % 512; i > 0; i--)
			__asm__ volatile ("" ::: "memory");
		safe_syscall_interrupt(&ending);
		phase = 2;
	}
	return NULL;
}

START_TEST(no_stale_eintr)
{
	int cancels = fewer(20000);
	int i, caught = 0, stale = 0, late = 0;
	double end = now() + 40;
	struct timespec ts;
	pthread_t thread;

	ending = NEW_SCOPE;
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_ending, NULL), 0);
	for (i = 0; (i < cancels || !caught) && now() < end; i++) {
		ck_assert_int_eq(safe_syscall_enter(&ending), 0);
		phase = 1;
		/* lets the other thread run, where processors are few */
		safe_syscall(i % 2 ? SYS_getppid : SYS_sched_yield);
		caught += safe_syscall_leave(&ending);
		/* no signal from here on, whatever the other thread does */
		ts.tv_sec = 0;
		ts.tv_nsec = 1000;
		if (nanosleep(&ts, NULL) == -1 && errno == EINTR)
			stale++;
		if (poll(NULL, 0, 0) == -1 && errno == EINTR)
			stale++;
		while (phase != 2)
			sched_yield();
		/* interrupted after leave: must not have been seen by it */
		late += safe_syscall_rearm(&ending);
		errno = 0;
		ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	}
	stop = 1;
	join(thread);
	printf("no_stale_eintr: %d cancels, %d within the operation, %d stale\n",
	       late, caught, stale);
	ck_assert_int_eq(stale, 0);
	ck_assert_int_eq(late, i);
	ck_assert_int_ge(i, cancels / 20);
	ck_assert_int_gt(caught, 0);
}
END_TEST

/* After rearm likewise; a quarter as often. */
START_TEST(no_stale_eintr_after_rearm)
{
	int cancels = fewer(20000) / 4;
	double end = now() + 20;
	struct timespec ts;
	pthread_t thread;
	int i, stale = 0, was = 0;
	int alone = sysconf(_SC_NPROCESSORS_ONLN) == 1;

	ending = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&ending), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_ending, NULL), 0);
	for (i = 0; i < cancels && now() < end; i++) {
		phase = 1;
		while (!safe_syscall_interrupted(&ending))
			if (i % 2 || alone)
				sched_yield();
		ck_assert_int_eq(safe_syscall_rearm(&ending), 1);
		was++;
		ts.tv_sec = 0;
		ts.tv_nsec = 1000;
		if (nanosleep(&ts, NULL) == -1 && errno == EINTR)
			stale++;
		while (phase != 2)
			sched_yield();
	}
	stop = 1;
	join(thread);
	safe_syscall_rearm(&ending);
	ck_assert_int_eq(safe_syscall_leave(&ending), 0);
	ck_assert_int_eq(stale, 0);
	ck_assert_int_eq(was, i);
	ck_assert_int_ge(i, cancels / 20);
}
END_TEST

/* ---- G6: the handlers of others ---------------------------------------------------- */

static safe_syscall_scope scope6;
static sigjmp_buf jump;
static volatile int foreign_ran, jumps;

/*
 * It knows nothing of the library, and while it runs, the interrupt comes: sent
 * from here, which to this thread is the same as from another.
 */
static void foreign(int sig)
{
	(void)sig;
	safe_syscall_interrupt(&scope6);
	foreign_ran++;
	if (jumps)
		siglongjmp(jump, 1);
}

static void handle_foreign(int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = foreign;
	sa.sa_flags = flags;
	sigemptyset(&sa.sa_mask);
	ck_assert_int_eq(sigaction(SIGUSR2, &sa, NULL), 0);
}

static void *signal_when_asleep(void *unused)
{
	(void)unused;
	wait_state(getpid(), main_tid, 'S');
	syscall(SYS_tgkill, getpid(), main_tid, SIGUSR2);
	return NULL;
}

START_TEST(foreign_handler_at_a_blocked_call)
{
	pthread_t thread;
	long result;

	handle_foreign(_i ? SA_RESTART : 0);
	scope6 = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_when_asleep, NULL), 0);
	result = read_byte();
	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(errno, _i ? SAFE_ERESTARTSYS : EINTR);
	join(thread);
	ck_assert_int_eq(foreign_ran, 1);
	ck_assert(!is_blocked(interrupt_signal));
	expect_interrupted(read_byte());
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
}
END_TEST

/*
 * A timer wants a place in the user's queue of signals, and there is none: then the
 * interrupt waits until the handler of others has returned.
 */
START_TEST(foreign_handler_and_a_full_queue)
{
	struct rlimit limit, none;
	pthread_t thread;

	handle_foreign(SA_RESTART);
	scope6 = NEW_SCOPE;
	ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &none), 0);
	ck_assert_int_eq(raise(SIGRTMAX), -1);
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_when_asleep, NULL), 0);
	expect_interrupted(read_byte());
	join(thread);
	ck_assert(!is_blocked(interrupt_signal));
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
	/* Check makes timers */
	ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
}
END_TEST

/*
 * A handler of others makes a call too, and is interrupted in it.  That is to bring
 * back both.
 */
enum { PLAIN, RESTARTS, ON_ALTERNATE_STACK = 2, TAKEN_BACK = 4, KINDS = 8 };

static int other_fd[2], kind;
static volatile long result_in_handler;
static volatile int error_in_handler;

static void foreign_that_calls(int sig)
{
	pthread_t thread;
	char c;

	(void)sig;
	if (kind & TAKEN_BACK) {
		safe_syscall_interrupt(&scope6);
		safe_syscall_rearm(&scope6);
	}
	thread = interrupt_later(&scope6);
	result_in_handler = safe_syscall(SYS_read, other_fd[0], &c, 1);
	error_in_handler = errno;
	foreign_ran++;
	join(thread);
}

START_TEST(call_in_a_foreign_handler)
{
	static char stack[1 << 17];
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction sa;
	pthread_t thread;
	long result;

	kind = _i;
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = foreign_that_calls;
	sa.sa_flags = (kind & RESTARTS ? SA_RESTART : 0) |
		(kind & ON_ALTERNATE_STACK ? SA_ONSTACK : 0);
	ck_assert_int_eq(sigaltstack(&alternate, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR2, &sa, NULL), 0);
	ck_assert_int_eq(pipe(other_fd), 0);
	scope6 = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_when_asleep, NULL), 0);
	result = read_byte();
	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(errno, kind & RESTARTS ? SAFE_ERESTARTSYS : EINTR);
	ck_assert_int_eq(foreign_ran, 1);
	ck_assert_int_eq(result_in_handler, -1);
	ck_assert_int_eq(error_in_handler, SAFE_ERESTARTSYS);
	join(thread);
	ck_assert(!is_blocked(interrupt_signal));
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
}
END_TEST

/* The next interrupt must work again, and the mask be what it was. */
static void expect_repaired(void)
{
	pthread_t thread;

	ck_assert(!is_blocked(interrupt_signal));
	ck_assert_int_eq(safe_syscall_rearm(&scope6), 1);
	thread = interrupt_later(&scope6);
	expect_interrupted(read_byte());
	join(thread);
	ck_assert(!is_blocked(interrupt_signal));
}

/* Enter a scope and make a call, which a foreign handler leaves by siglongjmp. */
static __attribute__((noinline)) void leave_call_by_siglongjmp(int mask_restored)
{
	pthread_t thread;

	handle_foreign(SA_RESTART);
	scope6 = NEW_SCOPE;
	jumps = 1;
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_when_asleep, NULL), 0);
	if (!sigsetjmp(jump, mask_restored)) {
		read_byte();
		ck_abort_msg("came back");
	}
	join(thread);
}

START_TEST(foreign_handler_leaves_by_siglongjmp)
{
	leave_call_by_siglongjmp(_i);
	expect_interrupted(read_byte());
	expect_repaired();
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
}
END_TEST

/*
 * The next call is made from further down the stack than the one that is over, so
 * that it might as well be in a handler above it.  What is left of that one there
 * has been overwritten or not.
 */
static __attribute__((noinline)) void expect_interruptible(volatile char *pad, int size)
{
	pthread_t thread;
	int i;

	for (i = 0; i < size; i++)
		pad[i] = 0;
	thread = interrupt_later(&scope6);
	expect_interrupted(read_byte());
	join(thread);
}

static __attribute__((noinline)) void further_down(int overwrite)
{
	volatile char pad[20000];

	expect_interruptible(pad, overwrite ? sizeof pad : 1);
	if (overwrite)
		ck_assert(!is_blocked(interrupt_signal));
	ck_assert_int_eq(safe_syscall_rearm(&scope6), 1);
	expect_interruptible(pad, overwrite ? sizeof pad : 1);
}

START_TEST(call_further_down_after_siglongjmp)
{
	leave_call_by_siglongjmp(_i & 1);
	ck_assert_int_eq(safe_syscall_rearm(&scope6), 1);
	further_down(_i & 2);
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
	ck_assert(!is_blocked(interrupt_signal));
}
END_TEST

/* enter and leave repair too. */
START_TEST(siglongjmp_then_leave)
{
	leave_call_by_siglongjmp(1);
	if (_i) {
		safe_syscall_scope inner = NEW_SCOPE;

		ck_assert_int_eq(safe_syscall_enter(&inner), 0);
		ck_assert(!is_blocked(interrupt_signal));
		expect_interrupted(read_byte());
		ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	}
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
	ck_assert(!is_blocked(interrupt_signal));
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	expect_repaired();
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
}
END_TEST

/* A hooked handler, and in it one of others, and in that the interrupt. */
static void hooked(int sig)
{
	(void)sig;
	raise(SIGUSR2);
}

START_TEST(foreign_handler_in_a_hooked_one)
{
	struct sigaction sa;
	pthread_t thread;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = hooked;
	sa.sa_flags = SA_RESTART;
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, NULL), 0);
	handle_foreign(SA_RESTART);
	scope6 = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert(!is_blocked(interrupt_signal));
	ck_assert_int_eq(safe_syscall_rearm(&scope6), 1);
	thread = interrupt_later(&scope6);
	expect_interrupted(read_byte());
	join(thread);
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
}
END_TEST

/* At every instruction of the stub: a handler of others, and the interrupt in it. */
static struct code code;

static void at_instruction(ucontext_t *uc)
{
	(void)uc;
	foreign(SIGTRAP);
}

static void expect_drained(void)
{
	int n;

	ck_assert_int_eq(ioctl(fd[0], FIONREAD, &n), 0);
	ck_assert_int_eq(n, 0);
}

START_TEST(foreign_handler_at_every_instruction)
{
	volatile int i, slot, hits = 0;
	long result;

	stay_on_one_processor();
	code_read(&code);
	breakpoint_prepare(code.entry);
	jumps = _i;
	for (i = 0; i < code.abort; i++) {
		slot = i > 0 && ta_has_slot(code_at(&code, i - 1));
		scope6 = NEW_SCOPE;
		ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
		/* after the call it has something to read, before it nothing */
		if (i - slot > code.call)
			ck_assert_int_eq(write(fd[1], "x", 1), 1);
		foreign_ran = 0;
		if (!sigsetjmp(jump, 1)) {
			breakpoint_set(code.pc[i], slot, at_instruction);
			result = read_byte();
			if (!breakpoint_clear()) {
				ck_assert_int_eq(result, 1);
				safe_syscall_leave(&scope6);
				continue;
			}
			ck_assert(!jumps);
			if (i - slot > code.call)
				ck_assert_int_eq(result, 1);
			else
				expect_interrupted(result);
		}
		hits++;
		breakpoint_clear();
		ck_assert_int_eq(foreign_ran, 1);
		expect_interrupted(read_byte());
		ck_assert(!is_blocked(interrupt_signal));
		expect_drained();
		ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
	}
	ck_assert_int_ge(hits, TA_NORMAL - 1);
}
END_TEST

/* ---- those who are sending ------------------------------------------------------------ */

/*
 * Once: siglongjmp restores the mask while it is still on the handler's frame, and
 * a signal that came again and again would find one handler above the other.
 * Without ck_assert, which is not to be jumped out of.
 */
static void set_timer(long microseconds)
{
	const struct itimerval it = { { 0, 0 }, { 0, microseconds } };

	if (setitimer(ITIMER_REAL, &it, NULL))
		abort();
}

static void jumps_out(int sig)
{
	(void)sig;
	jumps++;
	siglongjmp(jump, 1);
}

/* leave() would wait for one who has been jumped out of. */
START_TEST(siglongjmp_out_of_interrupt)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = jumps_out;
	ck_assert_int_eq(sigaction(SIGALRM, &sa, NULL), 0);
	scope6 = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	sigsetjmp(jump, 1);
	if (jumps < 2000)
		set_timer(20 + jumps % 64);
	while (jumps < 2000) {
		safe_syscall_interrupt(&scope6);
		safe_syscall_rearm(&scope6);
	}
	safe_syscall_rearm(&scope6);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	ck_assert_int_eq(read_byte(), 1);
	ck_assert_int_eq(safe_syscall_leave(&scope6), 0);
}
END_TEST

static void *interrupt_and_rearm(void *unused)
{
	(void)unused;
	while (!stop) {
		safe_syscall_interrupt(&scope6);
		safe_syscall_rearm(&scope6);
		sched_yield();
	}
	return NULL;
}

/* The child finds one counted who does not exist there. */
START_TEST(fork_while_another_thread_sends)
{
	double start = now();
	pthread_t thread;
	int i, status;
	pid_t child;

	scope6 = NEW_SCOPE;
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_and_rearm, NULL), 0);
	/* each waits for the other's turn where processors are emulated one after the other */
	for (i = 0; i < 300 && now() - start < 10; i++) {
		child = fork();
		ck_assert_int_ne(child, -1);
		if (!child) {
			die_after(10);
			safe_syscall_rearm(&scope6);
			_exit(safe_syscall_enter(&scope6) ||
			      safe_syscall(SYS_getppid) != getppid() ||
			      safe_syscall_leave(&scope6) ? 8 : 7);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 7);
	}
	stop = 1;
	join(thread);
}
END_TEST

static void *interrupt_once(void *unused)
{
	ck_assert_int_eq(safe_syscall_interrupt(&scope6), 0);
	return unused;
}

static volatile int sending, released;

static int until_released(long number)
{
	if (number == SYS_tgkill && syscall(SYS_gettid) != main_tid) {
		sending = 1;
		while (!released)
			sched_yield();
	}
	return 0;
}

/* Enter a scope, and have another thread interrupt it that does not get to sending. */
static pthread_t enter_with_stuck_sender(void)
{
	pthread_t thread;

	scope6 = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	before_syscall = until_released;
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt_once, NULL), 0);
	while (!sending)
		sched_yield();
	return thread;
}

static void *release_sender(void *unused)
{
	pause_ms(20);
	released = 1;
	return unused;
}

START_TEST(leave_waits_for_a_sender)
{
	pthread_t sender = enter_with_stuck_sender(), other;

	ck_assert_int_eq(pthread_create(&other, NULL, release_sender, NULL), 0);
	if (_i)
		ck_assert_int_eq(safe_syscall_rearm(&scope6), 1);
	else
		ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
	ck_assert_int_eq(released, 1);
	ck_assert_int_eq(is_pending(), 0);
	join(sender);
	join(other);
}
END_TEST

/* The child finds one counted who is certain not to be done, nor to be there. */
START_TEST(fork_while_another_thread_can_not_send)
{
	pthread_t sender = enter_with_stuck_sender();
	pid_t child;
	int status;

	child = fork();
	ck_assert_int_ne(child, -1);
	if (!child) {
		die_after(10);
		_exit(safe_syscall_leave(&scope6) == 1 ? 7 : 8);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	released = 1;
	join(sender);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
}
END_TEST

/* ---- safe_syscall_sigaction ------------------------------------------------------- */

static volatile int plain_ran, siginfo_ran, siginfo_right;

static void plain(int sig)
{
	plain_ran += sig == SIGUSR1;
}

static void siginfo(int sig, siginfo_t *info, void *ucontext)
{
	siginfo_ran += sig == SIGUSR1;
	siginfo_right += info->si_signo == sig && ucontext;
}

START_TEST(sigaction_tells_the_truth)
{
	struct sigaction sa, old;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = plain;
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGHUP);
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, &old), 0);
	ck_assert(old.sa_handler == SIG_DFL);
	raise(SIGUSR1);
	ck_assert_int_eq(plain_ran, 1);

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = siginfo;
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, &old), 0);
	ck_assert(old.sa_handler == plain);
	ck_assert(!(old.sa_flags & SA_SIGINFO));
	ck_assert(sigismember(&old.sa_mask, SIGHUP));
	raise(SIGUSR1);
	ck_assert_int_eq(plain_ran, 1);
	ck_assert_int_eq(siginfo_ran, 1);
	ck_assert_int_eq(siginfo_right, 1);

	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(old.sa_sigaction == siginfo);
	ck_assert_int_eq(old.sa_flags & (SA_SIGINFO | SA_RESTART),
			 SA_SIGINFO | SA_RESTART);
	/* the same object as both */
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &old, &old), 0);
	ck_assert(old.sa_sigaction == siginfo);

	sa.sa_handler = SIG_IGN;
	sa.sa_flags = 0;
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, NULL), 0);
	raise(SIGUSR1);
	sa.sa_handler = SIG_DFL;
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, &old), 0);
	ck_assert(old.sa_handler == SIG_IGN);
	ck_assert_int_eq(siginfo_ran, 1);
}
END_TEST

/* What sigaction(2) tells is our wrapper, and some give it back to us. */
START_TEST(sigaction_given_a_wrapper)
{
	struct sigaction sa, old;
	int i;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = plain;
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, NULL), 0);
	for (i = 1; i < 4; i++) {
		ck_assert_int_eq(sigaction(SIGUSR1, NULL, &old), 0);
		ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &old, &sa), 0);
		ck_assert(sa.sa_handler == plain);
		ck_assert(!(sa.sa_flags & SA_SIGINFO));
		raise(SIGUSR1);
		ck_assert_int_eq(plain_ran, i);
	}
	/* nobody knows what it stands for there */
	expect_error(safe_syscall_sigaction(SIGUSR2, &old, NULL), EINVAL);
}
END_TEST

/* The value of the handler alone says what is done. */
START_TEST(sigaction_default_with_siginfo)
{
	struct sigaction sa, old;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = SIG_DFL;
	sa.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(safe_syscall_sigaction(SIGWINCH, &sa, NULL), 0);
	raise(SIGWINCH);
	ck_assert_int_eq(safe_syscall_sigaction(SIGWINCH, NULL, &old), 0);
	ck_assert(old.sa_handler == SIG_DFL);
}
END_TEST

START_TEST(sigaction_flags)
{
	struct sigaction sa, old;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = plain;
	sa.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, NULL), 0);
	raise(SIGUSR1);
	ck_assert_int_eq(plain_ran, 1);
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, NULL, &old), 0);
	ck_assert(old.sa_handler == SIG_DFL);
}
END_TEST

START_TEST(sigaction_bad_input)
{
	struct sigaction sa, old;

	memset(&sa, 0, sizeof sa);
	memset(&old, 77, sizeof old);
	sa.sa_handler = plain;
	expect_error(safe_syscall_sigaction(0, &sa, NULL), EINVAL);
	expect_error(safe_syscall_sigaction(-1, &sa, NULL), EINVAL);
	expect_error(safe_syscall_sigaction(4711, &sa, NULL), EINVAL);
	expect_error(safe_syscall_sigaction(SIGKILL, &sa, &old), EINVAL);
	expect_error(safe_syscall_sigaction(interrupt_signal, &sa, &old), EINVAL);
	ck_assert_int_eq(((char *)&old)[0], 77);
}
END_TEST

static volatile int own_flag;

static void sets_own_flag(int sig)
{
	(void)sig;
	own_flag = 1;
}

static void calls_hook(int sig, siginfo_t *info, void *ucontext)
{
	safe_syscall_hook(sig, info, ucontext);
	own_flag = 1;
}

/* Layer 1 with a plain handler that is wrapped, or one that calls the hook. */
START_TEST(hook_before_the_handler)
{
	struct sigaction sa;
	pthread_t thread;
	char c;

	memset(&sa, 0, sizeof sa);
	sa.sa_flags = SA_RESTART;
	if (_i) {
		sa.sa_handler = sets_own_flag;
		ck_assert_int_eq(safe_syscall_sigaction(SIGUSR2, &sa, NULL), 0);
	} else {
		on_signal(SIGUSR2, SA_RESTART, calls_hook);
	}
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_when_asleep, NULL), 0);
	ck_assert_int_eq(safe_syscall_raw(&own_flag, SYS_read, fd[0], &c, 1),
			 -SAFE_ERESTARTSYS);
	join(thread);
}
END_TEST

/* A handler may interrupt the scope that it runs in. */
/* A fault belongs to the instruction: whoever handles it wants to see that one. */
static uintptr_t fault_pc;

static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	fault_pc = ss_arch_pc(ucontext);
	siglongjmp(jump, 1);
}

static void on_fault_after_hook(int sig, siginfo_t *info, void *ucontext)
{
	safe_syscall_hook(sig, info, ucontext);
	on_fault(sig, info, ucontext);
}

typedef int set_action(int, const struct sigaction *, struct sigaction *);

static __attribute__((noinline)) uintptr_t where_is_fault(set_action *set,
		void (*on)(int, siginfo_t *, void *))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = on;
	sa.sa_flags = SA_SIGINFO;
	ck_assert_int_eq(set(SIGSEGV, &sa, NULL), 0);
	if (!sigsetjmp(jump, 1))
		safe_syscall_raw(NULL, SYS_getppid);
	return fault_pc;
}

START_TEST(faults_are_left_alone)
{
	const uintptr_t pc = where_is_fault(sigaction, on_fault);

	ck_assert(where_is_fault(sigaction, on_fault_after_hook) == pc);
	ck_assert(where_is_fault(safe_syscall_sigaction, on_fault) == pc);
}
END_TEST

/* A handler above ours might leave by siglongjmp when ours is half way.  But faults kill. */
static int is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL ||
		sig == SIGTRAP || sig == SIGSYS;
}

START_TEST(own_handler)
{
	struct sigaction sa;
	int sig;

	ck_assert_int_eq(sigaction(interrupt_signal, NULL, &sa), 0);
	ck_assert_int_eq(sa.sa_flags & (SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_RESETHAND),
			 SA_SIGINFO | SA_RESTART | SA_ONSTACK);
	for (sig = 1; sig <= SIGRTMAX; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && (sig < 32 || sig >= SIGRTMIN))
			ck_assert_int_eq(sigismember(&sa.sa_mask, sig), !is_fault(sig));
}
END_TEST

static void interrupts_scope(int sig)
{
	(void)sig;
	errno = 4242;
	safe_syscall_interrupt(&scope6);
	if (errno != 4242)
		abort();
}

START_TEST(interrupt_in_a_handler)
{
	struct sigaction sa;
	pthread_t thread;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = interrupts_scope;
	sa.sa_flags = SA_RESTART;
	ck_assert_int_eq(_i ? safe_syscall_sigaction(SIGUSR2, &sa, NULL) :
			      sigaction(SIGUSR2, &sa, NULL), 0);
	scope6 = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope6), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, signal_when_asleep, NULL), 0);
	expect_interrupted(read_byte());
	join(thread);
	ck_assert(!is_blocked(interrupt_signal));
	ck_assert_int_eq(safe_syscall_leave(&scope6), 1);
}
END_TEST

/* Without ck_assert: it writes a message each time, under a lock. */
static volatile int action_wrong;

static void *change_actions(void *unused)
{
	struct sigaction sa, old;
	int i;

	(void)unused;
	memset(&sa, 0, sizeof sa);
	for (i = 0; !stop; i++) {
		sa.sa_flags = i % 2 ? SA_SIGINFO : 0;
		if (i % 2)
			sa.sa_sigaction = siginfo;
		else
			sa.sa_handler = plain;
		if (safe_syscall_sigaction(SIGUSR1, &sa, &old) ||
		    (old.sa_flags & SA_SIGINFO ? old.sa_sigaction != siginfo :
						 old.sa_handler != plain))
			action_wrong = 1;
	}
	return NULL;
}

START_TEST(sigaction_from_several_threads)
{
	struct sigaction sa;
	pthread_t thread[3];
	double end = now() + 0.5;
	int i;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = plain;
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, NULL), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, change_actions, NULL), 0);
	for (i = 0; now() < end; i++)
		raise(SIGUSR1);
	stop = 1;
	join(thread[0]);
	join(thread[1]);
	join(thread[2]);
	ck_assert_int_eq(plain_ran + siginfo_ran, i);
	ck_assert_int_eq(siginfo_right, siginfo_ran);
	ck_assert_int_eq(action_wrong, 0);
}
END_TEST

/* Another thread may be in it when we fork. */
START_TEST(sigaction_after_fork)
{
	struct sigaction sa;
	pthread_t thread;
	int i, status;
	pid_t child;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = plain;
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, change_actions, NULL), 0);
	for (i = 0; i < 200; i++) {
		child = fork();
		ck_assert_int_ne(child, -1);
		if (!child)
			_exit(safe_syscall_sigaction(SIGUSR2, &sa, NULL) ? 8 : 7);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 7);
	}
	stop = 1;
	join(thread);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interrupt");
	TCase *tc = tcase_create("scopes");
	TCase *without = tcase_create("before init");

	limit_time(without, 30);
	tcase_add_test(without, before_init);
	suite_add_tcase(suite, without);

	limit_time(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, own_scope_by_another_thread);
	tcase_add_test(tc, entered_scope);
	tcase_add_test(tc, before_enter);
	tcase_add_test(tc, nested);
	tcase_add_test(tc, nested_in_the_own_scope);
	tcase_add_test(tc, inner_leaves_outer_alone);
	tcase_add_loop_test(tc, taken_back, 0, 2);
	tcase_add_test(tc, taken_back_for_a_scope_around);
	tcase_add_test(tc, bad_scopes);
	tcase_add_test(tc, bad_signals);
	tcase_add_test(tc, thread_exits_inside);
	tcase_add_loop_test(tc, thread_exits_in_scopes_on_its_stack, 0, 4 * FILLS);
	tcase_add_test(tc, fork_inside);
	tcase_add_test(tc, freed_after_leave);
	tcase_add_test(tc, no_stale_eintr);
	tcase_add_test(tc, no_stale_eintr_after_rearm);
	tcase_add_loop_test(tc, foreign_handler_at_a_blocked_call, 0, 2);
	tcase_add_loop_test(tc, foreign_handler_leaves_by_siglongjmp, 0, 2);
	tcase_add_test(tc, foreign_handler_and_a_full_queue);
	tcase_add_loop_test(tc, call_in_a_foreign_handler, 0, KINDS);
	tcase_add_loop_test(tc, call_further_down_after_siglongjmp, 0, 4);
	tcase_add_loop_test(tc, siglongjmp_then_leave, 0, 2);
	tcase_add_test(tc, foreign_handler_in_a_hooked_one);
	tcase_add_loop_test(tc, foreign_handler_at_every_instruction, 0, 2);
	tcase_add_test(tc, sigaction_tells_the_truth);
	tcase_add_test(tc, siglongjmp_out_of_interrupt);
	tcase_add_test(tc, fork_while_another_thread_sends);
	tcase_add_loop_test(tc, leave_waits_for_a_sender, 0, 2);
	tcase_add_test(tc, fork_while_another_thread_can_not_send);
	tcase_add_test(tc, sigaction_given_a_wrapper);
	tcase_add_test(tc, sigaction_default_with_siginfo);
	tcase_add_test(tc, sigaction_flags);
	tcase_add_test(tc, sigaction_bad_input);
	tcase_add_loop_test(tc, hook_before_the_handler, 0, 2);
	tcase_add_test(tc, faults_are_left_alone);
	tcase_add_test(tc, own_handler);
	tcase_add_loop_test(tc, interrupt_in_a_handler, 0, 2);
	tcase_add_test(tc, sigaction_from_several_threads);
	tcase_add_test(tc, sigaction_after_fork);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
