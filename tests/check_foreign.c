/* SPDX-License-Identifier: MIT */
/*
 * check_foreign.c - layer 3: the handlers of others (G6).  They know nothing of the library, run
 * on whatever stack, make calls, jump, make threads and processes; and the call that they
 * have interrupted still comes back when its scope is interrupted.
 */
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "breakpoint.h"
#include "code.h"
#include "scopes.h"

static safe_syscall_scope scope;
static rlim_t room;
static volatile pid_t victim;		/* the thread whose call is interrupted */
static volatile int stage;		/* how far its handlers have come */

static void wait_asleep(int at_stage)
{
	while (stage != at_stage || !victim)
		sched_yield();
	wait_state(getpid(), victim, 'S');
}

static void *interrupt_when_asleep(void *unused)
{
	(void)unused;
	wait_state(getpid(), victim, 'S');
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	return NULL;
}

static void *signal_when_asleep(void *unused)
{
	(void)unused;
	wait_asleep(0);
	signal_thread(victim, SIGUSR1);
	return NULL;
}

/* Whatever came before: the next operation goes as the first one did. */
static void expect_next_works(void)
{
	pthread_t thread;

	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	thread = start(interrupt_when_asleep, NULL);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	join(thread);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
}

static void *victim_of(void *unused)
{
	(void)unused;
	victim = own_tid();
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
	expect_next_works();
	return NULL;
}

/* ---- what a handler of others may do ------------------------------------------------ */

enum what {
	INTERRUPTS,			/* and makes no call */
	CALLS_THEN_INTERRUPTS,
	INTERRUPTED_IN_A_CALL,
	INTERRUPTS_THEN_CALLS,
	REARMS,				/* and interrupts again */
	REARMS_AND_BLOCKS,
	WHATS
};

static enum what what;
static volatile long in_handler;	/* what its last call said */
static int calls;			/* of another handler: makes a call */

static void do_what(void)
{
	if (what != CALLS_THEN_INTERRUPTS && what != INTERRUPTED_IN_A_CALL)
		safe_syscall_interrupt(&scope);
	if (what == REARMS || what == REARMS_AND_BLOCKS) {
		safe_syscall_rearm(&scope);
		safe_syscall(SYS_getppid);
	}
	if (what == CALLS_THEN_INTERRUPTS || what == REARMS) {
		safe_syscall(SYS_getppid);
		safe_syscall_interrupt(&scope);
	}
	in_handler = -SAFE_ERESTARTSYS;
	if (what == INTERRUPTED_IN_A_CALL || what == REARMS_AND_BLOCKS) {
		stage++;
		in_handler = block();
	} else if (what == INTERRUPTS_THEN_CALLS) {
		in_handler = block();
	}
}

/* Another thread's part of it, when the handler's call is to be at that stage. */
static void interrupt_if_blocked(int at_stage)
{
	if (what != INTERRUPTED_IN_A_CALL && what != REARMS_AND_BLOCKS)
		return;
	wait_asleep(at_stage);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
}

/* ---- stacks ----------------------------------------------------------------------------- */

#ifndef SS_AUTODISARM
# define SS_AUTODISARM (1U << 31)
#endif

enum part { MIDDLE, LOW, HIGH };
enum { PART = 512 * 1024 };
static char *parts;			/* the lowest of the three */

static char *bottom(enum part part)
{
	return parts + (part == LOW ? 0 : part == MIDDLE ? 1 : 2) * PART;
}

/*
 * The thread has the middle.  Who switches stacks on an alternate one needs SS_AUTODISARM, or
 * the next handler overwrites it.
 */
static const struct place {
	enum part call;			/* where the call is made that is interrupted */
	enum part alternate;		/* the handler's stack, if it has one */
	unsigned int flags;
	enum part switches;		/* where the handler runs a coroutine */
} places[] = {
	{ MIDDLE, MIDDLE, 0, MIDDLE },
	{ MIDDLE, LOW, 0, MIDDLE },
	{ MIDDLE, HIGH, 0, MIDDLE },
	{ MIDDLE, LOW, SS_AUTODISARM, MIDDLE },
	{ MIDDLE, HIGH, SS_AUTODISARM, MIDDLE },
	{ MIDDLE, MIDDLE, 0, LOW },
	{ MIDDLE, MIDDLE, 0, HIGH },
	{ MIDDLE, HIGH, SS_AUTODISARM, LOW },
	{ MIDDLE, LOW, SS_AUTODISARM, HIGH },
	{ LOW, MIDDLE, 0, MIDDLE },
	{ HIGH, MIDDLE, 0, MIDDLE },
	{ LOW, HIGH, 0, MIDDLE },
	{ HIGH, LOW, 0, MIDDLE },
	{ LOW, HIGH, SS_AUTODISARM, MIDDLE },
	{ HIGH, LOW, SS_AUTODISARM, MIDDLE },
	{ HIGH, MIDDLE, 0, LOW },
	{ LOW, MIDDLE, 0, HIGH },
}, *place;

enum { PLACES = sizeof places / sizeof *places };

#ifdef __SANITIZE_ADDRESS__
static const char *const no_coroutines = "AddressSanitizer is not told of a switch of stacks";
#elif !defined __GLIBC__
static const char *const no_coroutines = "the C library has no makecontext()";
#else
static const char *const no_coroutines;
#endif

#ifdef __GLIBC__

static void run_on(enum part part, void (*function)(void))
{
	ucontext_t here, there;

	if (part == MIDDLE) {
		function();
		return;
	}
	getcontext(&there);
	there.uc_stack.ss_sp = bottom(part);
	there.uc_stack.ss_size = PART;
	there.uc_link = &here;
	makecontext(&there, function, 0);
	swapcontext(&here, &there);
}
#else
static void run_on(enum part part, void (*function)(void))
{
	(void)part;
	function();
}
#endif

static void handler_at_place(int sig)
{
	(void)sig;
	run_on(place->switches, do_what);
}

static void call_at_place(void)
{
	victim_of(NULL);
}

static int set_alternate_stack(void)
{
	stack_t stack = { .ss_flags = (int)place->flags, .ss_size = PART };

	stack.ss_sp = bottom(place->alternate);
	return place->alternate != MIDDLE ? sigaltstack(&stack, NULL) : 0;
}

static void *victim_at_place(void *unused)
{
	set_alternate_stack();
	run_on(place->call, call_at_place);
	return unused;
}

START_TEST(on_any_stack)
{
	pthread_attr_t attr;
	pthread_t thread, helper;

	place = &places[_i / WHATS];
	what = _i % WHATS;
	if (no_coroutines && (place->call || place->switches))
		SKIP(no_coroutines);
	parts = mmap(NULL, 3 * PART, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(parts != MAP_FAILED);
	if (set_alternate_stack())
		SKIP("no SS_AUTODISARM on this kernel");
	handle(SIGUSR1, handler_at_place, SA_RESTART | SA_ONSTACK, 0);
	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setstack(&attr, bottom(MIDDLE), PART), 0);
	ck_assert_int_eq(pthread_create(&thread, &attr, victim_at_place, NULL), 0);
	helper = start(signal_when_asleep, NULL);
	interrupt_if_blocked(1);
	join(thread);
	join(helper);
	ck_assert_int_eq(in_handler, -SAFE_ERESTARTSYS);
}
END_TEST

/* ---- one handler after the other, and one scope in another -------------------------------- */

/* The first one comes and goes, and what is known of the call is known when the next one comes. */
static void only_calls(int sig)
{
	(void)sig;
	if (calls)
		safe_syscall(SYS_getppid);
	stage = 1;
}

static void does_what(int sig)
{
	(void)sig;
	do_what();
}

START_TEST(two_in_turn)
{
	pthread_t thread;

	calls = _i & 1;
	what = _i / 4;
	handle(SIGUSR1, only_calls, SA_RESTART, _i & 2);
	handle(SIGUSR2, does_what, SA_RESTART, 0);
	thread = start(victim_of, NULL);
	wait_asleep(0);
	signal_thread(victim, SIGUSR1);
	wait_asleep(1);
	signal_thread(victim, SIGUSR2);
	interrupt_if_blocked(2);
	join(thread);
	ck_assert_int_eq(in_handler, -SAFE_ERESTARTSYS);
}
END_TEST

/* Two scopes are interrupted, and one of the interrupts is taken back. */
static safe_syscall_scope within;

static void takes_one_back(int sig)
{
	(void)sig;
	safe_syscall_interrupt(&within);
	safe_syscall_interrupt(&scope);
	safe_syscall_rearm(&within);
}

START_TEST(one_of_two_is_taken_back)
{
	pthread_t thread;

	handle(SIGUSR1, takes_one_back, SA_RESTART, _i & 1);
	scope = within = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall_enter(&within), 0);
	room = limit_queue(0);
	if (_i & 2)
		limit_queue(room);
	victim = own_tid();
	thread = start(signal_when_asleep, NULL);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	limit_queue(room);
	join(thread);
	ck_assert_int_eq(safe_syscall_leave(&within), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
}
END_TEST

/* ---- jumps into a handler beneath --------------------------------------------------------- */

/* One signal for each handler: what siglongjmp() leaves blocked is of no importance then. */
enum { DEEPEST = 3 };
static const int signals[DEEPEST + 1] = { SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF };

/* How many handlers there are, and into which of them the one above them jumps. */
static const struct jump {
	int depth, target;
} jumps[] = { { 1, 0 }, { 2, 0 }, { 2, 1 }, { 3, 0 }, { 3, 1 }, { 3, 2 } }, *jump;

enum { JUMPS = sizeof jumps / sizeof *jumps, HOW_JUMPS = 2 * 2 };

static sigjmp_buf into[DEEPEST];
static volatile long returned[DEEPEST];
static int mask_is_saved, held_up;

static int level_of(int sig)
{
	int level = 0;

	while (signals[level] != sig)
		level++;
	return level;
}

static void handler_at_level(int sig)
{
	volatile int level = level_of(sig);

	if (level == jump->depth) {
		if (held_up)
			safe_syscall_interrupt(&scope);
		siglongjmp(into[jump->target], 1);
	}
	if (sigsetjmp(into[level], mask_is_saved)) {
		stage = DEEPEST + 1;
		do_what();
		return;
	}
	stage = level + 1;
	returned[level] = block();
}

START_TEST(jump_into_a_handler)
{
	pthread_t thread;
	int i;

	jump = &jumps[_i / (WHATS * HOW_JUMPS)];
	mask_is_saved = _i / (WHATS * 2) % 2;
	held_up = _i / WHATS % 2;
	what = _i % WHATS;
	for (i = 0; i <= jump->depth; i++)
		handle(signals[i], handler_at_level, SA_RESTART, 0);
	thread = start(victim_of, NULL);
	for (i = 0; i <= jump->depth; i++) {
		wait_asleep(i);
		signal_thread(victim, signals[i]);
	}
	/* else the interrupt that is held up brings it back */
	if (!held_up || what == REARMS_AND_BLOCKS)
		interrupt_if_blocked(DEEPEST + 2);
	join(thread);
	ck_assert_int_eq(in_handler, -SAFE_ERESTARTSYS);
	for (i = 0; i < jump->target; i++)
		ck_assert_int_eq(returned[i], -SAFE_ERESTARTSYS);
}
END_TEST

/* ---- two handlers between the record of a call and the kernel ------------------------------- */

/*
 * At every instruction of the stub an interrupt comes and another signal, whose handler
 * takes the interrupt back, and makes a call or not.  What was known of the interrupted
 * call is known afterwards: the next interrupt reaches it, when the kernel has it.
 */
static struct code code;
static int other_signal, both_at_once;

static void takes_back(int sig)
{
	(void)sig;
	safe_syscall_rearm(&scope);
	if (calls)
		safe_syscall(SYS_getppid);
	stage = 1;
}

static void two_signals(ucontext_t *uc)
{
	sigset_t set;

	(void)uc;
	sigfillset(&set);
	if (both_at_once)
		sigprocmask(SIG_BLOCK, &set, NULL);	/* until the handler of the trap returns */
	safe_syscall_interrupt(&scope);
	syscall(SYS_tgkill, getpid(), victim, other_signal);
}

static void *interrupt_at_stage_1(void *unused)
{
	(void)unused;
	wait_asleep(1);
	safe_syscall_interrupt(&scope);
	return NULL;
}

START_TEST(taken_back_by_the_next_handler)
{
	int i, slot, hit;
	pthread_t thread;

	stay_on_one_processor();
	code_read(&code);
	breakpoint_prepare(code.entry);
	victim = own_tid();
	calls = _i & 1;
	both_at_once = _i & 2;
	other_signal = _i & 4 ? SIGRTMIN + 3 : SIGUSR1;
	handle(other_signal, takes_back, SA_RESTART, _i & 8);
	for (i = 0; i <= code.call; i++) {
		slot = i > 0 && ta_has_slot(code_at(&code, i - 1));
		scope = NEW_SCOPE;
		stage = 0;
		ck_assert_int_eq(safe_syscall_enter(&scope), 0);
		thread = start(interrupt_at_stage_1, NULL);
		breakpoint_set(code.pc[i], slot, two_signals);
		ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
		hit = breakpoint_clear();
		join(thread);
		ck_assert(hit);
		ck_assert_int_eq(safe_syscall_leave(&scope), 1);
		ck_assert(is_quiet());
	}
}
END_TEST

/*
 * The flag is out of date, as another thread has taken an interrupt back; and a call in a handler
 * sees to that before the one beneath does, which then must not take it for the kernel's word.
 */
static void *rearm_for_another(void *unused)
{
	ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	return unused;
}

static void makes_a_call(ucontext_t *uc)
{
	(void)uc;
	in_handler = safe_syscall(SYS_getppid);
}

START_TEST(flag_out_of_date)
{
	int i, slot, hits = 0;
	long result;

	stay_on_one_processor();
	code_read(&code);
	breakpoint_prepare(code.entry);
	for (i = 0; i < code.count; i++) {
		slot = i > 0 && ta_has_slot(code_at(&code, i - 1));
		scope = NEW_SCOPE;
		ck_assert_int_eq(safe_syscall_enter(&scope), 0);
		ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
		join(start(rearm_for_another, NULL));
		breakpoint_set(code.pc[i], slot, makes_a_call);
		result = safe_syscall(SYS_getppid);
		hits += breakpoint_clear();
		ck_assert_int_eq(result, getppid());
		ck_assert_int_eq(in_handler, hits ? getppid() : 0);
		ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	}
	ck_assert_int_ge(hits, TA_NORMAL - 1);
}
END_TEST

/* ---- where the interrupt signal would stay blocked --------------------------------------------- */

static int in_own_scope;
static safe_syscall_scope *volatile of_another;

/* In a scope of its own, or one that it has entered. */
static void *blocks_in_a_scope(void *unused)
{
	safe_syscall_scope entered = NEW_SCOPE;

	(void)unused;
	if (!in_own_scope)
		ck_assert_int_eq(safe_syscall_enter(&entered), 0);
	of_another = in_own_scope ? safe_syscall_self() : &entered;
	victim = own_tid();
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(of_another), 1);
	ck_assert(is_quiet());
	if (!in_own_scope)
		ck_assert_int_eq(safe_syscall_leave(&entered), 0);
	return NULL;
}

static void expect_thread_is_reached(pthread_t thread)
{
	while (!victim)
		sched_yield();
	wait_state(getpid(), victim, 'S');
	ck_assert_int_eq(safe_syscall_interrupt(of_another), 0);
	join(thread);
}

static void block_signals(int all)
{
	sigset_t set;

	sigfillset(&set);
	if (!all) {
		sigemptyset(&set);
		sigaddset(&set, interrupt_signal);
	}
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
}

START_TEST(thread_made_with_the_signal_blocked)
{
	in_own_scope = _i & 1;
	block_signals(_i & 2);
	expect_thread_is_reached(start(blocks_in_a_scope, NULL));
	ck_assert(is_blocked(interrupt_signal));
}
END_TEST

/* Whatever a thread uses first. */
static void *uses_it_first(void *which)
{
	safe_syscall_scope entered = NEW_SCOPE;

	ck_assert(is_blocked(interrupt_signal));
	if (*(int *)which == 0) {
		ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	} else if (*(int *)which == 1) {
		ck_assert_ptr_ne(safe_syscall_self(), NULL);
	} else {
		ck_assert_int_eq(safe_syscall_enter(&entered), 0);
		ck_assert_int_eq(safe_syscall_leave(&entered), 0);
	}
	ck_assert(!is_blocked(interrupt_signal));
	return NULL;
}

START_TEST(unblocked_by_the_first_use)
{
	block_signals(1);
	join(start(uses_it_first, &(int){ _i }));
}
END_TEST

/* init() can't know which signals the program was started with blocked, nor its caller which it takes. */
START_TEST(init_with_the_signal_blocked)
{
	sigset_t set;

	sigfillset(&set);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &set, NULL), 0);
	in_own_scope = _i;
	setup();
	expect_thread_is_reached(start(blocks_in_a_scope, NULL));
	ck_assert(!is_blocked(interrupt_signal));
}
END_TEST

/* A thread that has used the library before there was an interrupt signal. */
static void *used_before_init(void *unused)
{
	of_another = safe_syscall_self();
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	stage = 1;
	while (stage != 2)
		sched_yield();
	if (!calls)
		return blocks_in_a_scope(unused);
	/* the call is all that it does then */
	victim = own_tid();
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	return NULL;
}

START_TEST(thread_begun_before_init)
{
	pthread_t thread;
	sigset_t set, old;

	in_own_scope = _i == 1;
	calls = _i == 2;
	sigfillset(&set);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &set, &old), 0);
	thread = start(used_before_init, NULL);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
	while (stage != 1)
		sched_yield();
	setup();
	stage = 2;
	expect_thread_is_reached(thread);
}
END_TEST

static void interrupts_own_scope(int sig)
{
	(void)sig;
	safe_syscall_interrupt(safe_syscall_self());
}

static void alarm_soon(void (*handler)(int))
{
	const struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	handle(SIGALRM, handler, SA_RESTART, 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

/* The program after exec; its exit status tells. */
static int program_that_blocks(void)
{
	safe_syscall_scope entered = NEW_SCOPE;

	if (safe_syscall_init(0) || pipe(fd) || safe_syscall_enter(&entered))
		return 10;
	interrupt_signal = safe_syscall_signal();
	alarm_soon(interrupts_own_scope);
	if (block() != -SAFE_ERESTARTSYS || is_blocked(interrupt_signal))
		return 11;
	return safe_syscall_leave(&entered) == 0 &&
		safe_syscall_rearm(safe_syscall_self()) == 1 && is_quiet() ? 7 : 12;
}

static void execute_program(void)
{
	pid_t child = fork();

	if (child == 0)
		become("blocks");
	ck_assert_int_eq(end_of(child), 7);
}

START_TEST(program_started_with_the_signal_blocked)
{
	if (emulated())
		SKIP("the emulator does not run /proc/self/exe");
	block_signals(0);
	execute_program();
}
END_TEST

/* The program itself has blocked it: calls that begin after the interrupt return all the same. */
START_TEST(signal_blocked_by_the_program)
{
	safe_syscall_scope outer = NEW_SCOPE, inner = NEW_SCOPE;
	safe_syscall_scope *interrupted[] = { safe_syscall_self(), &outer, &inner };

	ck_assert_int_eq(safe_syscall_enter(&outer), 0);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	block_signals(_i / 3);
	ck_assert_int_eq(safe_syscall_interrupt(interrupted[_i % 3]), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(interrupted[_i % 3]), 1);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
	ck_assert(is_blocked(interrupt_signal));
}
END_TEST

/* ---- what is made in a handler, while an interrupt is held up in it ------------------------------- */

enum { A_THREAD, A_CHILD, A_CHILD_THAT_RETURNS, A_PROGRAM, MADE };
static int made;
static volatile int made_failed;
static pthread_t made_thread;
static pid_t made_child;

static void interrupts_the_scope(int sig)
{
	(void)sig;
	safe_syscall_interrupt(&scope);
}

/* The interrupt was for the parent too; another one for the child alone. */
static void child_in_handler(void)
{
	if (safe_syscall_rearm(&scope) != 1)
		_exit(8);
	alarm_soon(interrupts_the_scope);
	_exit(block() == -SAFE_ERESTARTSYS ? 7 : 9);
}

static void makes(int sig)
{
	(void)sig;
	safe_syscall_interrupt(&scope);
	if (made == A_THREAD) {
		victim = 0;
		made_failed = pthread_create(&made_thread, NULL, blocks_in_a_scope, NULL);
		return;
	}
	made_child = fork();
	if (made_child)
		return;
	if (made == A_PROGRAM)
		become("blocks");
	if (made == A_CHILD)
		child_in_handler();
}

START_TEST(made_in_a_handler)
{
	pid_t parent = getpid();
	pthread_t thread;
	long result;

	made = _i % MADE;
	if (made == A_PROGRAM && emulated())
		SKIP("the emulator does not run /proc/self/exe");
	in_own_scope = _i / MADE / 2;
	handle(SIGUSR1, makes, SA_RESTART, 0);
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	room = limit_queue(0);
	if (_i / MADE % 2)
		limit_queue(room);
	victim = own_tid();
	thread = start(signal_when_asleep, NULL);
	result = block();
	if (getpid() != parent)
		_exit(result != -SAFE_ERESTARTSYS || safe_syscall_leave(&scope) != 1 ||
		      !is_quiet() ? 9 : 7);
	limit_queue(room);
	join(thread);
	ck_assert_int_eq(result, -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
	ck_assert_int_eq(made_failed, 0);
	if (made == A_THREAD)
		expect_thread_is_reached(made_thread);
	else
		ck_assert_int_eq(end_of(made_child), 7);
}
END_TEST

/*
 * It is held up by the mask, as there is no timer; and the handler is left by a jump that does not
 * restore that.
 */
static sigjmp_buf out;

static void jumps_out(int sig)
{
	(void)sig;
	safe_syscall_interrupt(&scope);
	siglongjmp(out, 1);
}

static void *rearm_for_another_then_interrupt(void *unused)
{
	ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	stage = 1;
	wait_asleep(1);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	return unused;
}

START_TEST(jumped_out_while_held_back)
{
	pthread_t thread, other;

	handle(SIGUSR1, jumps_out, SA_RESTART, 0);
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	room = limit_queue(0);
	victim = own_tid();
	thread = start(signal_when_asleep, NULL);
	if (!sigsetjmp(out, 0))
		block();
	limit_queue(room);
	join(thread);
	if (_i == 0) {
		ck_assert_int_eq(safe_syscall_leave(&scope), 1);
		ck_assert(is_quiet());
		return;
	}
	if (_i == 1) {
		ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
		ck_assert(is_quiet());
		other = start(interrupt_when_asleep, NULL);
	} else {
		other = start(rearm_for_another_then_interrupt, NULL);
		while (stage != 1)
			sched_yield();
	}
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	join(other);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
}
END_TEST

/* ---- a handler that takes its time ------------------------------------------------------------------ */

enum { COMPUTES, SLEEPS, WAITS_ANEW, TIMES };
static int how_long_handler;
static double handler_left;

/* The interrupt comes at once. */
static void takes_long(int sig)
{
	double end = now() + 0.2;

	(void)sig;
	safe_syscall_interrupt(&scope);
	while (how_long_handler == COMPUTES && now() < end)
		;
	if (how_long_handler == SLEEPS)
		pause_ms(200);
	/* the whole of it after each EINTR: it must come to its end between two signals */
	while (how_long_handler == WAITS_ANEW && poll(NULL, 0, 120) == -1)
		;
	handler_left = now();
}

START_TEST(long_handler)
{
	double began = now(), returned_at;
	pthread_t thread;

	how_long_handler = _i % TIMES;
	handle(SIGUSR1, takes_long, SA_RESTART, 0);
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	room = limit_queue(0);
	if (_i / TIMES)
		limit_queue(room);
	victim = own_tid();
	thread = start(signal_when_asleep, NULL);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	returned_at = now();
	limit_queue(room);
	join(thread);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
	printf("long_handler %d: %.3f s, and %.3f ms until the call came back\n", _i,
	       handler_left - began, (returned_at - handler_left) * 1e3);
	ck_assert(returned_at - handler_left < 1);
}
END_TEST

/*
 * What a call costs above another one, in a handler of others or after a jump out of one: it
 * does not sleep, as a thread that waits does, if only for a moment.
 */
static volatile long slept;

static void makes_calls(int sig)
{
	struct rusage before, after;
	int i;

	(void)sig;
	getrusage(RUSAGE_THREAD, &before);
	for (i = 0; i < 1000; i++)
		safe_syscall(SYS_getppid);
	getrusage(RUSAGE_THREAD, &after);
	slept = after.ru_nvcsw - before.ru_nvcsw;
}

START_TEST(calls_in_a_handler_do_not_sleep)
{
	handle(SIGUSR1, makes_calls, SA_RESTART, 0);
	slept = -1;
	ck_assert_int_eq(safe_syscall(SYS_tgkill, getpid(), own_tid(), SIGUSR1), 0);
	ck_assert_int_ge(slept, 0);
	ck_assert_int_lt(slept, 100);
}
END_TEST

int main(int argc, char **argv)
{
	TCase *tc, *without;
	Suite *suite;

	if (is_program(argc, argv, "blocks"))
		return program_that_blocks();
	suite = suite_create("foreign");
	tc = tcase_create("handlers of others");
	without = tcase_create("before init");
	limit_time(without, 30);
	tcase_add_loop_test(without, init_with_the_signal_blocked, 0, 2);
	tcase_add_loop_test(without, thread_begun_before_init, 0, 3);
	suite_add_tcase(suite, without);

	limit_time(tc, 30);
	tcase_add_checked_fixture(tc, setup, NULL);
	add_loop(tc, on_any_stack, PLACES * WHATS);
	add_loop(tc, two_in_turn, 4 * WHATS);
	tcase_add_loop_test(tc, one_of_two_is_taken_back, 0, 4);
	add_loop(tc, jump_into_a_handler, JUMPS * HOW_JUMPS * WHATS);
	add_loop(tc, taken_back_by_the_next_handler, 16);
	tcase_add_test(tc, flag_out_of_date);
	tcase_add_loop_test(tc, thread_made_with_the_signal_blocked, 0, 4);
	tcase_add_loop_test(tc, unblocked_by_the_first_use, 0, 3);
	tcase_add_test(tc, program_started_with_the_signal_blocked);
	tcase_add_loop_test(tc, signal_blocked_by_the_program, 0, 6);
	add_loop(tc, made_in_a_handler, MADE * 4);
	tcase_add_loop_test(tc, jumped_out_while_held_back, 0, 3);
	add_loop(tc, long_handler, TIMES * 2);
	tcase_add_test(tc, calls_in_a_handler_do_not_sleep);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
