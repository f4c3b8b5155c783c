/* SPDX-License-Identifier: MIT */
/*
 * check_process.c - layer 3 across fork, vfork and exec: what is interrupted stays interrupted in
 * the child, however that was made and whoever was sending; and a new program does not
 * die of a signal that was meant for the one before.
 */
#include <sys/mman.h>
#include <sys/time.h>

#include "code.h"
#include "scopes.h"
#include "stand_in.h"

static safe_syscall_scope scope, inner;
static pid_t main_pid;

static void set_up(void)
{
	setup();
	main_pid = getpid();
}

/* ---- how a child is made ------------------------------------------------------------- */

enum how {
	BY_FORK,
	BY_SAFE_SYSCALL,
	BY_SAFE_CLONE,
	NOT_TOLD,			/* the last that does not call safe_syscall_forked() */
	TOLD,
	HOWS
};

/* safe_syscall_raw() is not in the way: it is the kernel's fork, and nobody is told. */
static pid_t kernel_fork(long (*call)(long, ...))
{
	long arg[5] = { 0 };

	arg[SS_CLONE_FLAGS] = SIGCHLD;
	return (pid_t)call(SYS_clone, arg[0], arg[1], arg[2], arg[3], arg[4]);
}

static pid_t make_child(enum how how)
{
	pid_t child;

	if (how == BY_FORK)
		return fork();
#ifdef SYS_fork
	if (how == BY_SAFE_SYSCALL)
		return (pid_t)safe_syscall(SYS_fork);
#endif
	if (how == BY_SAFE_SYSCALL || how == BY_SAFE_CLONE)
		return kernel_fork(safe_syscall);
	child = kernel_fork(syscall);
	if (!child && how == TOLD)
		safe_syscall_forked();
	return child;
}

/* Does the page that is zero after every fork work?  Else the child has to be told. */
static int can_do_without_being_told(void)
{
#ifdef MADV_WIPEONFORK
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int can = page != MAP_FAILED && !madvise(page, size, MADV_WIPEONFORK);

	munmap(page, size);
	return can;
#else
	return 0;
#endif
}

/* ---- an interrupt before the fork, or on its way ---------------------------------------- */

static void *interrupt_and_get_stuck(void *which)
{
	may_get_stuck = 1;
	ck_assert_int_eq(safe_syscall_interrupt(which), 0);
	return NULL;
}

static pthread_t start_stuck(void *(*function)(void *), void *argument, long at, int calls)
{
	pthread_t thread;

	stuck_at = at;
	let_through = calls;
	before_syscall = get_stuck;
	thread = start(function, argument);
	while (!stuck)
		sched_yield();
	return thread;
}

static void mask_interrupts(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, interrupt_signal);
	pthread_sigmask(how, &set, NULL);
}

enum when {
	ARRIVED,
	PENDING,			/* the program has blocked it for a moment */
	BEFORE_SENDING,
	AFTER_SENDING,
	WHENS
};

static safe_syscall_scope *scope_number(int i)
{
	safe_syscall_scope *const scopes[] = { safe_syscall_self(), &scope, &inner };

	return scopes[i];
}

/* In the child: every call returns, until it is taken back; and a new interrupt arrives. */
static void alarm_soon(void (*handler)(int))
{
	const struct itimerval soon = { { 0, 0 }, { 0, 20000 } };

	handle(SIGALRM, handler, SA_RESTART, 0);
	setitimer(ITIMER_REAL, &soon, NULL);
}

static void interrupts_scope(int sig)
{
	(void)sig;
	safe_syscall_interrupt(&scope);
}

static int is_child_right(safe_syscall_scope *interrupted)
{
	mask_interrupts(SIG_UNBLOCK);
	before_syscall = NULL;
	if (block() != -SAFE_ERESTARTSYS || safe_syscall_rearm(interrupted) != 1)
		return 8;
	if (safe_syscall(SYS_getpid) != getpid() || !is_quiet())
		return 9;
	alarm_soon(interrupts_scope);
	if (block() != -SAFE_ERESTARTSYS)
		return 10;
	return safe_syscall_leave(&inner) == 0 && safe_syscall_leave(&scope) == 1 &&
		is_quiet() ? 7 : 11;
}

static void enter_both(void)
{
	scope = inner = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall_enter(&inner), 0);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
}

/* The child of a thread that was interrupted in that moment. */
static pid_t interrupt_and_fork(enum when when, enum how how, safe_syscall_scope *which)
{
	pthread_t thread = pthread_self();
	pid_t child;

	if (when == PENDING)
		mask_interrupts(SIG_BLOCK);
	if (when == ARRIVED || when == PENDING)
		ck_assert_int_eq(safe_syscall_interrupt(which), 0);
	else if (when == BEFORE_SENDING)
		thread = start_stuck(interrupt_and_get_stuck, which, SYS_tgkill, 0);
	else		/* it restores its mask */
		thread = start_stuck(interrupt_and_get_stuck, which,
				     SYS_rt_sigprocmask, 1);
	child = make_child(how);
	if (!child)
		_exit(is_child_right(which));
	released = 1;
	mask_interrupts(SIG_UNBLOCK);
	if (when == BEFORE_SENDING || when == AFTER_SENDING)
		join(thread);
	return child;
}

/* A scope that is interrupted makes no call, hence no fork by one either. */
static const enum how hows_of_others[] = { BY_FORK, NOT_TOLD, TOLD };

START_TEST(fork_finds_an_interrupt)
{
	enum how how = hows_of_others[_i % 3];
	safe_syscall_scope *which;

	if (how == NOT_TOLD && !can_do_without_being_told())
		SKIP("no MADV_WIPEONFORK");
	enter_both();
	which = scope_number(_i / 3 % 3);
	ck_assert_int_eq(end_of(interrupt_and_fork(_i / 9, how, which)), 7);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(which), 1);
	ck_assert(is_quiet());
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
}
END_TEST

/* ---- an interrupt in the child ------------------------------------------------------------ */

static safe_syscall_scope *to_interrupt;

static void interrupts_it(int sig)
{
	(void)sig;
	safe_syscall_interrupt(to_interrupt);
}

START_TEST(interrupt_in_the_child)
{
	enum how how = _i % HOWS;
	pid_t child;

	if (how == NOT_TOLD && !can_do_without_being_told())
		SKIP("no MADV_WIPEONFORK");
	enter_both();
	to_interrupt = scope_number(_i / HOWS);
	child = make_child(how);
	if (!child) {
		alarm_soon(interrupts_it);
		if (block() != -SAFE_ERESTARTSYS)
			_exit(8);
		_exit(safe_syscall_leave(&inner) == (to_interrupt == &inner) &&
		      safe_syscall_leave(&scope) == (to_interrupt == &scope) &&
		      is_quiet() ? 7 : 9);
	}
	ck_assert_int_eq(end_of(child), 7);
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
}
END_TEST

/* By another thread of the child's, when nobody has told this one that it is in a child. */
static void *interrupt_first_thread(void *unused)
{
	wait_state(getpid(), getpid(), 'S');
	safe_syscall_interrupt(&scope);
	return unused;
}

START_TEST(interrupt_by_a_thread_of_the_child)
{
	pthread_t thread;
	pid_t child;

	if (_i == NOT_TOLD && !can_do_without_being_told())
		SKIP("no MADV_WIPEONFORK");
	enter_both();
	child = make_child(_i);
	if (!child) {
		if (pthread_create(&thread, NULL, interrupt_first_thread, NULL))
			_exit(8);
		_exit(block() == -SAFE_ERESTARTSYS ? 7 : 9);
	}
	ck_assert_int_eq(end_of(child), 7);
}
END_TEST

/* The library's timer is the parent's.  The child may have one with the same number. */
static volatile int timer_signals;

static void counts(int sig)
{
	(void)sig;
	timer_signals++;
}

static void interrupts_and_takes_long(int sig)
{
	double end = now() + 0.02;

	(void)sig;
	safe_syscall_interrupt(&scope);
	while (now() < end)
		;
}

static void hold_up(void)
{
	safe_syscall(SYS_tgkill, getpid(), own_tid(), SIGUSR1);
}

static int child_with_a_timer(void)
{
	struct sigevent event;
	timer_t timer;

	memset(&event, 0, sizeof event);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGUSR2;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		return 8;
	hold_up();
	return !timer_signals && block() == -SAFE_ERESTARTSYS ? 7 : 9;
}

START_TEST(timer_of_a_child)
{
	pid_t child;

	handle(SIGUSR1, interrupts_and_takes_long, SA_RESTART, 0);
	handle(SIGUSR2, counts, SA_RESTART, 0);
	enter_both();
	hold_up();
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	if (_i)
		ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	child = make_child(_i == 2 ? TOLD : BY_FORK);
	if (!child) {
		safe_syscall_rearm(&scope);
		_exit(child_with_a_timer());
	}
	ck_assert_int_eq(end_of(child), 7);
}
END_TEST

/* A signal of the child's is handled before it is told that it is one. */
START_TEST(interrupt_before_the_child_is_told)
{
	pid_t child;

	handle(SIGUSR1, interrupts_it, SA_RESTART, _i % 2);
	enter_both();
	to_interrupt = scope_number(_i / 2);
	child = kernel_fork(syscall);
	if (!child) {
		signal_thread(own_tid(), SIGUSR1);
		safe_syscall_forked();
		_exit(block() == -SAFE_ERESTARTSYS ? 7 : 8);
	}
	ck_assert_int_eq(end_of(child), 7);
	ck_assert_int_eq(safe_syscall_interrupted(to_interrupt), 0);
}
END_TEST

/* Signals to the whole group of processes: some come to the child half way through fork(). */
static volatile int stop;

static void *signal_group(void *unused)
{
	(void)unused;
	while (!stop) {
		kill(0, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

static void interrupts_in_the_child(int sig)
{
	(void)sig;
	if (getpid() != main_pid)
		safe_syscall_interrupt(&scope);
}

START_TEST(signals_to_the_group)
{
	double began = now();
	pthread_t thread;
	pid_t child;
	int i;

	handle(SIGUSR1, interrupts_in_the_child, SA_RESTART, _i);
	ck_assert_int_eq(setpgid(0, 0), 0);
	enter_both();
	thread = start(signal_group, NULL);
	for (i = 0; i < shortened(100) && now() - began < 3; i++) {
		child = fork();
		if (!child)
			_exit(block() == -SAFE_ERESTARTSYS ? 7 : 8);
		ck_assert_int_eq(end_of(child), 7);
	}
	stop = 1;
	join(thread);
	ck_assert_int_eq(safe_syscall_interrupted(&scope), 0);
}
END_TEST

/* Another thread interrupts while this one forks, at ever another moment. */
static volatile int go;

static void *interrupt_at_a_moment(void *unused)
{
	int i, round;

	(void)unused;
	for (round = 1; !stop; round++) {
		while (!go && !stop)
			sched_yield();
		for (i = round * 37 % 30000; i > 0; i--)
			__asm__ volatile ("" ::: "memory");
		safe_syscall_interrupt(to_interrupt);
		go = 0;
	}
	return NULL;
}

static int child_of_a_moment(void)
{
	char c;
	long result;

	if (!safe_syscall_interrupted(to_interrupt))
		return 7;
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	result = safe_syscall(SYS_read, fd[0], &c, 1);
	return result == -1 && errno == SAFE_ERESTARTSYS &&
		safe_syscall_leave(&inner) == (to_interrupt == &inner) ? 6 : 8;
}

START_TEST(interrupt_at_any_moment_of_a_fork)
{
	int i, end, interrupted = 0;
	double began = now();
	pthread_t thread;
	pid_t child;

	to_interrupt = scope_number(_i);
	thread = start(interrupt_at_a_moment, NULL);
	for (i = 0; i < shortened(500) && now() - began < 2; i++) {
		enter_both();
		go = 1;
		child = fork();
		if (!child)
			_exit(child_of_a_moment());
		end = end_of(child);
		ck_assert(end == 7 || end == 6);
		interrupted += end == 6;
		while (go)
			sched_yield();
		safe_syscall_rearm(to_interrupt);
		ck_assert_int_eq(safe_syscall_leave(&inner), 0);
		ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	}
	stop = 1;
	join(thread);
	printf("interrupt_at_any_moment_of_a_fork %d: %d of %d children were interrupted\n",
	       _i, interrupted, i);
}
END_TEST

/* ---- one in another -------------------------------------------------------------------------- */

/* More than a small number can count. */
enum { GENERATIONS = 300 };

static int generation(int n)	/* NOLINT(misc-no-recursion): a fork deeper each time */
{
	pid_t child;

	if (safe_syscall_rearm(&scope) != 1 || safe_syscall(SYS_getpid) != getpid() ||
	    safe_syscall_interrupt(&scope) || block() != -SAFE_ERESTARTSYS)
		return 8;
	if (n == GENERATIONS)
		return safe_syscall_leave(&inner) == 0 && safe_syscall_leave(&scope) == 1 ? 7 : 9;
	child = fork();
	if (!child)
		_exit(generation(n + 1));
	return end_of(child);
}

START_TEST(many_generations)
{
	pthread_t thread;
	pid_t child;

	enter_both();
	thread = start_stuck(interrupt_and_get_stuck, &scope, SYS_tgkill, 0);
	child = fork();
	if (!child)
		_exit(generation(1));
	ck_assert_int_eq(end_of(child), 7);
	released = 1;
	join(thread);
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
}
END_TEST

/* ---- a lock that is held at the fork ------------------------------------------------------------ */

static void nothing(int sig)
{
	(void)sig;
}

static int set_action(int sig)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = nothing;
	return safe_syscall_sigaction(sig, &sa, NULL);
}

/* The second time that it asks for its id it is about to unlock. */
static void *set_action_and_get_stuck(void *unused)
{
	may_get_stuck = 1;
	ck_assert_int_eq(set_action(SIGUSR2), 0);
	return unused;
}

START_TEST(lock_held_at_the_fork)
{
	pthread_t thread;
	pid_t child;

	if (_i == NOT_TOLD && !can_do_without_being_told())
		SKIP("no MADV_WIPEONFORK");
	thread = start_stuck(set_action_and_get_stuck, NULL, SYS_gettid, 1);
	child = make_child(_i);
	if (!child)
		_exit(set_action(SIGUSR1) || set_action(SIGUSR2) ? 8 : 7);
	ck_assert_int_eq(end_of(child), 7);
	released = 1;
	join(thread);
	ck_assert_int_eq(set_action(SIGUSR1), 0);
}
END_TEST

/* And meanwhile nobody else has it. */
static volatile pid_t waiting_tid;
static volatile int action_is_set;

static void *set_another_action(void *unused)
{
	waiting_tid = own_tid();
	ck_assert_int_eq(set_action(SIGUSR1), 0);
	action_is_set = 1;
	return unused;
}

START_TEST(lock_is_held)
{
	pthread_t thread = start_stuck(set_action_and_get_stuck, NULL, SYS_gettid, 1);
	pthread_t other = start(set_another_action, NULL);

	while (!waiting_tid)
		sched_yield();
	while (!action_is_set && state_of(getpid(), waiting_tid) != 'S')
		sched_yield();
	ck_assert_int_eq(action_is_set, 0);
	released = 1;
	join(thread);
	join(other);
}
END_TEST

/* ---- vfork: the scopes, and those who are in them, are the parent's ------------------------------- */

static volatile pid_t blocked_tid;

static void *blocks_in_scope(void *unused)
{
	(void)unused;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	blocked_tid = own_tid();
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
	return NULL;
}

/* Not raise(): in such a child the C library sends to the parent's thread. */
static __attribute__((noinline)) pid_t vfork_and_signal(void)
{
	pid_t child = vfork();

	if (!child) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): that is what is tried */
		syscall(SYS_kill, (long)getpid(), (long)SIGUSR1);
		_exit(7);
	}
	return child;
}

START_TEST(vfork_child_interrupts_a_thread)
{
	pthread_t thread;

	handle(SIGUSR1, interrupts_scope, SA_RESTART, _i);
	scope = NEW_SCOPE;
	thread = start(blocks_in_scope, NULL);
	while (!blocked_tid)
		sched_yield();
	wait_state(getpid(), blocked_tid, 'S');
	ck_assert_int_eq(end_of(vfork_and_signal()), 7);
	ck_assert_int_eq(safe_syscall_interrupted(&scope), 1);
	join(thread);
}
END_TEST

/*
 * A thread uses the library in a child of vfork before it has done so itself, by a
 * call, by a handler's, or by what can't be done there.
 */
static volatile pid_t late_tid;
static int first_use;

static void makes_a_call(int sig)
{
	(void)sig;
	safe_syscall(SYS_getppid);
}

static void use_in_child(void)
{
	switch (first_use) {
	case 0:
		safe_syscall(SYS_getppid);
		break;
	case 1:
		handle(SIGUSR2, makes_a_call, 0, 0);
		syscall(SYS_kill, (long)getpid(), (long)SIGUSR2);
		break;
	case 2:
		safe_syscall_self();
		break;
	case 3:
		if (safe_syscall_enter(&inner) != -1 || errno != EAGAIN)
			_exit(8);
	}
}

static __attribute__((noinline)) pid_t vfork_and_use(void)
{
	pid_t child = vfork();

	if (!child) {
		use_in_child();	/* NOLINT(clang-analyzer-unix.Vfork): that is what is tried */
		_exit(7);
	}
	return child;
}

static void *vforks_first(void *unused)
{
	(void)unused;
	ck_assert_int_eq(end_of(vfork_and_use()), 7);
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	late_tid = own_tid();
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
	return NULL;
}

START_TEST(first_use_in_a_child_of_vfork)
{
	pthread_t thread;

	first_use = _i;
	scope = inner = NEW_SCOPE;
	thread = start(vforks_first, NULL);
	while (!late_tid)
		sched_yield();
	wait_state(getpid(), late_tid, 'S');
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	join(thread);
}
END_TEST

/* What would be the parent's and the child's at once can't be done in the child. */
static __attribute__((noinline)) pid_t vfork_and_init(void)
{
	pid_t child = vfork();

	if (!child)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): that is what is tried */
		_exit(safe_syscall_init(0) == -1 && errno == EAGAIN ? 7 : 8);
	return child;
}

START_TEST(init_in_a_child_of_vfork)
{
	if (emulated())
		SKIP("the emulator's vfork is a fork");
	ck_assert_int_eq(end_of(vfork_and_init()), 7);
	ck_assert_int_eq(safe_syscall_signal(), 0);
	set_up();
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
}
END_TEST

static struct timespec in_a_while;

static int deadline_is_refused(const struct timespec *when)
{
	errno = 0;
	return safe_syscall_deadline(&scope, when) == -1 && errno == EAGAIN;
}

static __attribute__((noinline)) pid_t vfork_and_set_deadlines(void)
{
	pid_t child = vfork();

	if (!child)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): that is what is tried */
		_exit(deadline_is_refused(NULL) && deadline_is_refused(&in_a_while) ? 7 : 8);
	return child;
}

START_TEST(deadline_in_a_child_of_vfork)
{
	if (emulated())
		SKIP("the emulator's vfork is a fork");
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	clock_gettime(CLOCK_MONOTONIC, &in_a_while);
	in_a_while.tv_sec++;
	ck_assert_int_eq(safe_syscall_deadline(&scope, &in_a_while), 0);
	ck_assert_int_eq(end_of(vfork_and_set_deadlines()), 7);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 2);
	ck_assert(is_quiet());
}
END_TEST

/* The lock's holder is a child of vfork, and killed: by itself, when it gives the lock back. */
static int has_lock;

static int killed_with_the_lock(long number)
{
	if (number != SYS_gettid || !has_lock++)
		return 0;
	syscall(SYS_kill, (long)getpid(), (long)SIGKILL);
	return 0;
}

static __attribute__((noinline)) pid_t vfork_and_die_with_the_lock(void)
{
	pid_t child = vfork();

	if (!child) {
		/* NOLINTBEGIN(clang-analyzer-unix.Vfork): that is what is tried */
		before_syscall = killed_with_the_lock;
		safe_syscall_sigaction(SIGUSR1, NULL, NULL);
		/* NOLINTEND(clang-analyzer-unix.Vfork) */
		_exit(7);
	}
	return child;
}

START_TEST(vfork_child_is_killed_with_the_lock)
{
	if (emulated())
		SKIP("the emulator does not know that nobody has the lock");
	ck_assert_int_eq(end_of(vfork_and_die_with_the_lock()), 1000 + SIGKILL);
	before_syscall = NULL;
	handle(SIGUSR1, interrupts_scope, SA_RESTART, 1);
	handle(SIGUSR1, interrupts_scope, 0, 1);
}
END_TEST

START_TEST(vfork_child_interrupts_its_parent)
{
	handle(SIGUSR1, interrupts_it, SA_RESTART, _i % 2);
	enter_both();
	to_interrupt = scope_number(_i / 2);
	ck_assert_int_eq(end_of(vfork_and_signal()), 7);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(to_interrupt), 1);
	alarm_soon(interrupts_it);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&inner), to_interrupt == &inner);
	ck_assert_int_eq(safe_syscall_leave(&scope), to_interrupt == &scope);
	ck_assert(is_quiet());
}
END_TEST

/* ---- a new program ---------------------------------------------------------------------------------- */

extern char **environ;	/* NOLINT(readability-redundant-declaration) */

static void *interrupt_soon(void *spin)
{
	int i;

	go = 1;
	for (i = *(int *)spin; i > 0; i--)
		__asm__ volatile ("" ::: "memory");
	safe_syscall_interrupt(&scope);
	return NULL;
}

static int execute(int spin, int by_safe_syscall)
{
	static char *const argv[] = { "test", "ends", NULL };

	scope = NEW_SCOPE;
	if (safe_syscall_enter(&scope))
		return 9;
	go = 0;
	start(interrupt_soon, &spin);
	while (!go)
		sched_yield();
	if (!by_safe_syscall)
		execve("/proc/self/exe", argv, environ);
	else if (safe_syscall(SYS_execve, "/proc/self/exe", argv, environ) == -1 &&
		 errno == SAFE_ERESTARTSYS)
		return 6;
	return 10;
}

START_TEST(exec_with_an_interrupt_on_its_way)
{
	double began = now();
	int i, end, executed = 0;
	pid_t child;

	if (emulated())
		SKIP("the emulator does not run /proc/self/exe");
	for (i = 0; i < shortened(400) && now() - began < 3; i++) {
		child = fork();
		if (!child)
			_exit(execute(i * 997 % 100000, _i));
		end = end_of(child);
		ck_assert_msg(end == 7 || (end == 6 && _i), "%d", end);
		executed += end == 7;
	}
	printf("exec_with_an_interrupt_on_its_way %d: %d of %d executed\n", _i, executed, i);
}
END_TEST

int main(int argc, char **argv)
{
	TCase *tc;
	Suite *suite;

	if (is_program(argc, argv, "ends"))
		return 7;
	suite = suite_create("process");
	tc = tcase_create("processes");
	limit_time(tc, 60);
	tcase_add_checked_fixture(tc, set_up, NULL);
	add_loop(tc, fork_finds_an_interrupt, 9 * WHENS);
	add_loop(tc, interrupt_in_the_child, 3 * HOWS);
	add_loop(tc, interrupt_by_a_thread_of_the_child, HOWS);
	tcase_add_loop_test(tc, timer_of_a_child, 0, 3);
	tcase_add_loop_test(tc, interrupt_before_the_child_is_told, 0, 6);
	tcase_add_loop_test(tc, signals_to_the_group, 0, 2);
	tcase_add_loop_test(tc, interrupt_at_any_moment_of_a_fork, 0, 3);
	tcase_add_test(tc, many_generations);
	add_loop(tc, lock_held_at_the_fork, HOWS);
	tcase_add_test(tc, lock_is_held);
	tcase_add_loop_test(tc, vfork_child_interrupts_a_thread, 0, 2);
	tcase_add_loop_test(tc, vfork_child_interrupts_its_parent, 0, 6);
	tcase_add_loop_test(tc, first_use_in_a_child_of_vfork, 0, 4);
	tcase_add_test(tc, vfork_child_is_killed_with_the_lock);
	tcase_add_test(tc, deadline_in_a_child_of_vfork);
	tcase_add_loop_test(tc, exec_with_an_interrupt_on_its_way, 0, 2);
	suite_add_tcase(suite, tc);
	tc = tcase_create("before init");
	limit_time(tc, 60);
	tcase_add_test(tc, init_in_a_child_of_vfork);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
