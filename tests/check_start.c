/* SPDX-License-Identifier: MIT */
/*
 * check_start.c - layer 3: a thread's first scope.  What is done once on a thread takes calls of
 * the C library, in the middle of which a handler may come, and which may fail.
 */
#include <setjmp.h>

#include "scopes.h"
#include "stand_in.h"

static safe_syscall_scope scope;

/* ---- these stand in for the C library's ------------------------------------------------- */

/* The C library allocates memory for those from 32 on, so that they are not set in handlers. */
enum { KEY = 40 };
static int keys_are_used_up = 1;	/* also when the library is loaded */
static int no_memory, key_made, wrong_key, set_specific;
static void (*in_set_specific)(void);
static __thread int has_value;

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	(void)destructor;
	if (keys_are_used_up)
		return EAGAIN;
	*key = KEY;
	key_made++;
	return 0;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
	set_specific++;
	if (in_set_specific)
		in_set_specific();
	wrong_key |= key != KEY || !key_made;
	if (no_memory)
		return ENOMEM;
	has_value = value != NULL;
	return 0;
}

static void set_up(void)
{
	keys_are_used_up = 0;
	setup();
}

/* ---- no keys, or no memory for one -------------------------------------------------------- */

static void expect_error(int result, int error)
{
	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(errno, error);
	errno = 0;
}

START_TEST(keys_used_up)
{
	safe_syscall_scope inner = NEW_SCOPE;

	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_ptr_ne(safe_syscall_self(), NULL);
	expect_error(safe_syscall_init(0), EAGAIN);
	ck_assert_int_eq(safe_syscall_signal(), 0);
	expect_error(safe_syscall_enter(&scope), EAGAIN);
	expect_error(safe_syscall_enter(&scope), EAGAIN);
	expect_error(safe_syscall_leave(&scope), EINVAL);
	ck_assert(!wrong_key && !has_value);
	/* and when there are some again: by init(), or not */
	if (_i) {
		keys_are_used_up = 0;
		ck_assert_int_eq(safe_syscall_enter(&scope), 0);
		ck_assert_int_eq(safe_syscall_leave(&scope), 0);
		ck_assert_int_eq(has_value, 1);
	}
	set_up();
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	ck_assert_int_eq(has_value, 1);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert_int_eq(key_made, 1);
	ck_assert(!wrong_key);
}
END_TEST

static void *enters_in_vain(void *unused)
{
	safe_syscall_scope *own = safe_syscall_self();

	expect_error(safe_syscall_enter(&scope), EAGAIN);
	expect_error(safe_syscall_leave(&scope), EINVAL);
	/* its own scope is of use all the same */
	ck_assert_int_eq(safe_syscall_interrupt(own), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(own), 1);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert(!has_value);
	no_memory = 0;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert(has_value);
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	return unused;
}

/* What a handler may do too allocates no memory. */
static void *calls_only(void *unused)
{
	safe_syscall_scope *own;

	own = safe_syscall_self();
	set_specific = 0;
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_int_eq(safe_syscall_interrupt(own), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(own), 1);
	ck_assert_int_eq(set_specific, 0);
	return unused;
}

START_TEST(no_memory_is_allocated_in_handlers)
{
	join(start(calls_only, NULL));
}
END_TEST

START_TEST(no_memory_for_a_value)
{
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	no_memory = 1;
	join(start(enters_in_vain, NULL));
	/* nobody is in it */
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
}
END_TEST

static void *enters_what_is_entered(void *unused)
{
	safe_syscall_scope other = NEW_SCOPE;

	expect_error(safe_syscall_enter(&scope), EBUSY);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_int_eq(safe_syscall_enter(&other), 0);
	expect_error(safe_syscall_enter(&scope), EBUSY);
	ck_assert_int_eq(safe_syscall_leave(&other), 0);
	return unused;
}

START_TEST(first_scope_is_another_thread_s)
{
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	join(start(enters_what_is_entered, NULL));
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
}
END_TEST

/* ---- half way through the first enter ------------------------------------------------------- */

enum point { BEFORE_ID, BEFORE_UNBLOCKING, BEFORE_KEY, POINTS };
enum deed { INTERRUPTS, INTERRUPTS_AND_CALLS, CALLS_AND_INTERRUPTS, IS_INTERRUPTED, DEEDS };

static enum point point;
static enum deed deed;
static int own_is_interrupted;
static __thread int at_point;
static volatile int in_call, handled, entered;
static volatile pid_t victim;
static safe_syscall_scope *volatile to_interrupt;
static volatile long in_handler;

static void half_way(int sig)
{
	(void)sig;
	if (deed == CALLS_AND_INTERRUPTS)
		safe_syscall(SYS_getppid);
	if (deed != IS_INTERRUPTED)
		safe_syscall_interrupt(to_interrupt);
	in_handler = -SAFE_ERESTARTSYS;
	if (deed == IS_INTERRUPTED)
		in_call = 1;
	if (deed == IS_INTERRUPTED || deed == INTERRUPTS_AND_CALLS)
		in_handler = block();
	handled++;
}

static void come_to(enum point here)
{
	if (at_point && here == point) {
		at_point = 0;
		syscall(SYS_tgkill, getpid(), own_tid(), SIGUSR1);
	}
}

static int see_syscall(long number)
{
	if (number == SYS_gettid)
		come_to(BEFORE_ID);
	else if (number == SYS_rt_sigprocmask)
		come_to(BEFORE_UNBLOCKING);
	return 0;
}

static void see_set_specific(void)
{
	come_to(BEFORE_KEY);
}

/* Afterwards all is as if the handler had come a little later. */
static void *enter_for_the_first_time(void *unused)
{
	victim = (pid_t)syscall(SYS_gettid);
	to_interrupt = own_is_interrupted ? safe_syscall_self() : &scope;
	at_point = 1;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	at_point = 0;
	if (handled) {
		ck_assert_int_eq(in_handler, -SAFE_ERESTARTSYS);
		ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
		ck_assert_int_eq(safe_syscall_rearm(to_interrupt), 1);
	}
	ck_assert(is_quiet());
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
	entered = 1;
	return unused;
}

START_TEST(first_enter)
{
	pthread_t thread;

	point = _i % POINTS;
	deed = _i / POINTS % DEEDS;
	own_is_interrupted = _i / POINTS / DEEDS % 2;
	/* a call that comes before the scope is entered is not in it */
	if (point != BEFORE_KEY && !own_is_interrupted &&
	    (deed == INTERRUPTS_AND_CALLS || deed == IS_INTERRUPTED))
		return;
	handle(SIGUSR1, half_way, SA_RESTART, _i / POINTS / DEEDS / 2);
	before_syscall = see_syscall;
	in_set_specific = see_set_specific;
	scope = NEW_SCOPE;
	thread = start(enter_for_the_first_time, NULL);
	while (deed == IS_INTERRUPTED && !in_call && !entered)
		sched_yield();
	if (in_call) {
		wait_state(getpid(), victim, 'S');
		ck_assert_int_eq(safe_syscall_interrupt(to_interrupt), 0);
	}
	join(thread);
	/* who has asked for its own scope has an id and a key */
	ck_assert(handled || (own_is_interrupted && point != BEFORE_UNBLOCKING));
	ck_assert(!wrong_key);
}
END_TEST

/* ---- what it costs: the system calls of the library's own ---------------------------------- */

static volatile int calls;

static int count(long number)
{
	(void)number;
	calls++;
	return 0;
}

/* What a thread has done before. */
static void has_called(void)
{
	safe_syscall(SYS_getppid);
}

static void has_asked_for_its_own(void)
{
	safe_syscall_self();
}

static void was_interrupted(void)
{
	safe_syscall_scope *own = safe_syscall_self();

	safe_syscall_interrupt(own);
	block();
	safe_syscall_rearm(own);
}

static void calls_in_a_handler(int sig)
{
	(void)sig;
	safe_syscall(SYS_getppid);
	safe_syscall_interrupt(safe_syscall_self());
	safe_syscall_rearm(safe_syscall_self());
}

static void was_in_a_handler(void)
{
	handle(SIGUSR1, calls_in_a_handler, SA_RESTART, 1);
	signal_thread(own_tid(), SIGUSR1);
}

static void has_done_nothing(void)
{
}

static void (*const befores[])(void) = {
	has_done_nothing, has_called, has_asked_for_its_own, was_interrupted, was_in_a_handler
};
enum { BEFORES = sizeof befores / sizeof *befores };

static void *operations(void *number)
{
	safe_syscall_scope outer = NEW_SCOPE, inner = NEW_SCOPE;
	int i = *(int *)number;

	befores[i / 2]();
	ck_assert_int_eq(safe_syscall_enter(&outer), 0);
	if (i % 2)
		safe_syscall(SYS_getppid);
	before_syscall = count;
	for (i = 0; i < 1000; i++) {
		safe_syscall_enter(&inner);
		safe_syscall(SYS_getppid);
		safe_syscall_leave(&inner);
	}
	ck_assert_int_eq(calls, 0);
	/* the mask, the signal, the mask */
	ck_assert_int_eq(safe_syscall_interrupt(&outer), 0);
	ck_assert_int_eq(calls, 3);
	ck_assert_int_eq(safe_syscall_interrupt(&outer), 0);
	ck_assert_int_eq(calls, 3);
	/* is it out of date?  The mask, and the mask */
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(calls, 5);
	/* the mask, what is pending, the mask */
	ck_assert_int_eq(safe_syscall_rearm(&outer), 1);
	ck_assert_int_eq(calls, 8);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
	ck_assert_int_eq(calls, 8);
	before_syscall = NULL;
	return NULL;
}

START_TEST(system_calls)
{
	join(start(operations, &(int){ _i }));
}
END_TEST

/*
 * A handler has left a call by siglongjmp(), and nobody is told.  It is known to be over when the
 * next call has the same place on the stack; or when something else has had it, which
 * costs a look each time until then.
 */
static sigjmp_buf jump;

static void jumps(int sig)
{
	(void)sig;
	siglongjmp(jump, 1);
}

/* The signal comes as this call returns. */
static long call(long number)
{
	return safe_syscall(number, getpid(), own_tid(), SIGUSR1);
}

static __attribute__((noinline)) void call_further_down(void)
{
	volatile char pad[20000];

	pad[0] = 0;
	call(SYS_tgkill);
	pad[1] = pad[0];
}

static __attribute__((noinline)) void overwrite(void)
{
	volatile char pad[40000];
	size_t i;

	for (i = 0; i < sizeof pad; i++)
		pad[i] = 0;
}

START_TEST(jumped_out_of_a_call)
{
	long tid = own_tid();
	volatile int i;

	handle(SIGUSR1, jumps, SA_RESTART, _i & 1);
	ck_assert_int_eq(call(SYS_getppid), getppid());
	if (_i & 2) {
		if (!sigsetjmp(jump, 1))
			call_further_down();
		overwrite();
		ck_assert_int_eq(call(SYS_getppid), getppid());
		calls = 0;
	}
	for (i = 0; i < 100; i++) {
		if (!sigsetjmp(jump, 1))
			safe_syscall(!i && !(_i & 2) ? SYS_tgkill : SYS_getppid,
				     getpid(), tid, SIGUSR1);
		before_syscall = count;
	}
	ck_assert_int_eq(calls, 0);
	/* nothing is beneath, hence no timer: the mask, the signal, the mask */
	ck_assert_int_eq(safe_syscall_interrupt(safe_syscall_self()), 0);
	ck_assert_int_eq(calls, 3);
	before_syscall = NULL;
}
END_TEST

/*
 * A destructor of the program, in a static program perhaps after those of the library, finds
 * it as it was.
 */
static pid_t main_pid;

__attribute__((destructor)) static void last_of_all(void)
{
	safe_syscall_scope late = NEW_SCOPE;

	if (getpid() != main_pid)
		return;			/* a test's */
	keys_are_used_up = wrong_key = 0;
	if (safe_syscall_enter(&late) || safe_syscall_leave(&late) || wrong_key ||
	    safe_syscall(SYS_getppid) != getppid())
		_exit(99);
}

int main(void)
{
	Suite *suite = suite_create("start");
	TCase *tc = tcase_create("first scopes");
	TCase *without = tcase_create("before init");

	main_pid = getpid();
	tcase_add_loop_test(without, keys_used_up, 0, 2);
	suite_add_tcase(suite, without);

	limit_time(tc, 30);
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, no_memory_is_allocated_in_handlers);
	tcase_add_test(tc, no_memory_for_a_value);
	tcase_add_test(tc, first_scope_is_another_thread_s);
	add_loop(tc, first_enter, POINTS * DEEDS * 4);
	add_loop(tc, system_calls, 2 * BEFORES);
	tcase_add_loop_test(tc, jumped_out_of_a_call, 0, 4);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
