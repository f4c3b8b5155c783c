/* SPDX-License-Identifier: MIT */
/*
 * check_everywhere.c - layer 3, interrupted at every instruction.
 *
 * A child enters a scope inside another, makes a call, and leaves both.  It is
 * stopped after one single step, or two, or three, and so on to the last, and there
 * gets a signal whose handler interrupts the outer scope.  Then it runs on, and
 * sees for itself whether the guarantees have been kept.
 *
 * Other children have set a deadline for the outer scope.  They are stopped in the same way, and
 * run on when it has passed: so its signal arrives there.
 *
 * SAFE_SYSCALL_STRIDE=N: after every Nth step only, as the time it takes grows with
 * the square of the steps.  Default: 1, and 5 with deadlines.
 */
#include <elf.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "code.h"

#ifndef PTRACE_O_EXITKILL
# define PTRACE_O_EXITKILL 0x100000
#endif

#define NEW_SCOPE ((safe_syscall_scope)SAFE_SYSCALL_SCOPE_INIT)

/* ---- the child ------------------------------------------------------------------ */

/* What the handler of the signal is and does, besides interrupting. */
static const struct kind {
	const char *name;
	int hooked;		/* by safe_syscall_sigaction(); else one of others */
	int rearms;		/* takes the interrupt back, and lets the call return */
	int calls;		/* makes a call itself */
	int jumps;		/* leaves by siglongjmp, if it has interrupted the call */
	int restores;		/* and that restores the mask */
	int inner;		/* interrupts the inner scope, also before that is entered */
	int before;		/* that has been interrupted by then */
} kinds[] = {
	{ .name = "hooked", .hooked = 1 },
	{ .name = "of others" },
	{ .name = "hooked, rearms", .hooked = 1, .rearms = 1 },
	{ .name = "of others, rearms", .rearms = 1 },
	{ .name = "hooked, calls", .hooked = 1, .calls = 1 },
	{ .name = "of others, calls", .calls = 1 },
	{ .name = "of others, jumps", .jumps = 1 },
	{ .name = "of others, jumps, mask restored", .jumps = 1, .restores = 1 },
	{ .name = "hooked, inner, calls", .hooked = 1, .calls = 1, .inner = 1 },
	{ .name = "of others, inner, calls", .calls = 1, .inner = 1 },
	{ .name = "of others, calls, inner interrupted", .calls = 1, .inner = 1, .before = 1 },
}, *kind;

enum { KINDS = sizeof kinds / sizeof *kinds };

/* Is there something to read?  Was there an interrupt that has been taken back? */
static int ready, stale;

static struct code code;
static safe_syscall_scope outer, inner;
static int fd[2], other_fd[2], interrupt_signal;
static sigjmp_buf jump;
static volatile int ran, in_call, in_outer, leaving;

/* Shared with the tracer. */
static struct {
	int failed_line;	/* where the child found that something is wrong */
	int finished;		/* here the last of the steps has been taken */
	long long allowed;	/* the deadline is so many nanoseconds from now */
	struct timespec deadline;
	int passed;		/* it has */
} volatile *shared;

#define MUST(condition)							\
	do {								\
		if (!(condition)) {					\
			shared->failed_line = __LINE__;		\
			_exit(1);					\
		}							\
	} while (0)

static long read_from(int from)
{
	char c;
	long result = safe_syscall(SYS_read, from, &c, 1);

	MUST(result == 1 || (result == -1 && errno == SAFE_ERESTARTSYS));
	return result;
}

static void handler(int sig)
{
	/* from the moment on that others can tell, calls are made in it */
	int is_in = kind->inner ? inner.ss_around && !leaving : in_outer;

	(void)sig;
	ran++;
	if (!kind->before)
		MUST(safe_syscall_interrupt(kind->inner ? &inner : &outer) == 0);
	if (kind->calls)
		MUST(read_from(other_fd[0]) == -1 || !is_in);
	if (kind->rearms) {
		MUST(safe_syscall_rearm(&outer) == 1);
		MUST(write(fd[1], "x", 1) == 1);
	}
	if (kind->jumps && in_call)
		siglongjmp(jump, 1);
}

static void install_handler(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = handler;
	sa.sa_flags = SA_RESTART;
	MUST((kind->hooked ? safe_syscall_sigaction : sigaction)(SIGUSR1, &sa, NULL) == 0);
}

static void set_up(int with_another)
{
	install_handler();
	MUST(write(other_fd[1], "x", 1) == 1);
	outer = inner = NEW_SCOPE;
	if (kind->before)
		MUST(safe_syscall_interrupt(&inner) == 0);
	MUST(safe_syscall_enter(&outer) == 0);
	in_outer = 1;
	if (with_another) {
		MUST(safe_syscall_enter(&inner) == 0);
		MUST(safe_syscall_interrupt(&outer) == 0);
		MUST(read_from(fd[0]) == -1);
		MUST(safe_syscall_rearm(&outer) == 1);
	}
	if (ready)
		MUST(write(fd[1], "x", 1) == 1);
}

static int is_in(int (*get)(sigset_t *), int sig)
{
	sigset_t set;

	MUST(get(&set) == 0);
	return sigismember(&set, sig);
}

static int get_mask(sigset_t *set)
{
	return sigprocmask(SIG_BLOCK, NULL, set);
}

/* Nothing reaches a later operation. */
static void check_peace(void)
{
	MUST(!is_in(get_mask, interrupt_signal));
	MUST(!is_in(sigpending, interrupt_signal));
	MUST(poll(NULL, 0, 0) == 0);
	MUST(safe_syscall(SYS_getppid) == getppid());
}

static void __attribute__((noreturn)) child(void)
{
	volatile int ran_before, ran_between, left_inner, left_outer;
	volatile long result = 0, again;
	int bytes;

	die_after(5);
	set_up(stale);
	MUST(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
	/* not raise(), which has much to do before it returns */
	syscall(SYS_kill, getpid(), SIGSTOP);
	/* a handler of others that makes a call just here is a known limit */
	if (!stale)
		MUST(safe_syscall_enter(&inner) == 0);
	/* the rest is as with those that come later */
	shared->finished = kind->before;
	ran_before = ran;
	if (!sigsetjmp(jump, kind->restores)) {
		in_call = 1;
		result = read_from(fd[0]);
	}
	in_call = 0;
	ran_between = ran;
	again = safe_syscall(SYS_getppid);
	leaving = 1;
	left_inner = safe_syscall_leave(&inner);
	in_outer = 0;
	left_outer = safe_syscall_leave(&outer);
	shared->finished = 1;

	MUST(ran == 1);
	if (!kind->inner) {
		MUST(left_inner == 0);
		MUST(safe_syscall_interrupted(&inner) == 0);
	}
	MUST(ioctl(fd[0], FIONREAD, &bytes) == 0);
	if (result)		/* else it has been jumped out of */
		MUST(ready + kind->rearms == bytes + (result == 1));
	if (kind->rearms) {
		MUST(result == 1 && again == getppid() && left_outer == 0);
		MUST(safe_syscall_interrupted(&outer) == 0);
	} else if (kind->inner) {
		MUST(!ran_before || result == -1);
		MUST(!ran_between || again == -1);
		MUST(left_inner == 1 || !ran_between);
		MUST(safe_syscall_interrupted(&inner) == 1);
		MUST(left_outer == 0 && safe_syscall_interrupted(&outer) == 0);
	} else {
		MUST(!ran_before || result == -1);
		MUST(!ran_between || again == -1);
		MUST(left_outer == 1 || !ran_between);
		MUST(safe_syscall_interrupted(&outer) == 1);
	}
	check_peace();
	_exit(0);
}

/* ---- a child with a deadline ---------------------------------------------------- */

/* What it does, and what came of it. */
static const struct program {
	const char *name;
	void (*run)(void);
	void (*check)(void);
	int others;		/* a handler interrupts the thread's own scope there */
} *program;

static struct {
	int said, how, left, left_inner, passed;
	long result, again, later;
} r;

static safe_syscall_scope *own;

static void interrupts_own(int sig)
{
	(void)sig;
	/* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c): it is safe there */
	MUST(safe_syscall_interrupt(own) == 0);
}

/* The call is made if nothing is interrupted. */
static long try_call(void)
{
	return safe_syscall(SYS_getppid);
}

static void run_call(void)
{
	MUST(safe_syscall_enter(&inner) == 0);
	r.result = read_from(fd[0]);
	r.left_inner = safe_syscall_leave(&inner);
	r.left = safe_syscall_leave(&outer);
	r.passed = shared->passed;
}

static void check_call(void)
{
	int bytes;

	MUST(ioctl(fd[0], FIONREAD, &bytes) == 0);
	MUST(ready == bytes + (r.result == 1));
	MUST(r.left_inner == 0 && safe_syscall_interrupted(&inner) == 0);
	MUST(r.left == 2 || (r.left == 0 && r.result == 1));
	MUST(r.passed || r.left == 0);
}

/* It is taken back as a whole, or not at all. */
static void run_rearm(void)
{
	r.said = safe_syscall_rearm(&outer);
	r.result = r.said ? try_call() : read_from(fd[0]);
	r.left = safe_syscall_leave(&outer);
}

static void check_rearm(void)
{
	MUST(r.said == 0 || r.said == 2);
	MUST(r.said ? r.result == getppid() && r.left == 0 : r.result == -1 && r.left == 2);
}

static void run_taken_back(void)
{
	MUST(safe_syscall_deadline(&outer, NULL) == 0);
	r.how = safe_syscall_interrupted(&outer);
	r.result = try_call();
	r.left = safe_syscall_leave(&outer);
}

static void check_taken_back(void)
{
	MUST(r.how == 0 || r.how == 2);
	MUST(r.result == (r.how ? -1 : getppid()) && r.left == r.how);
}

static void run_changed(void)
{
	static const struct timespec past = { 0, 1 };
	struct timespec far = shared->deadline;

	far.tv_sec += 1000;
	MUST(safe_syscall_deadline(&outer, &far) == 0);
	r.how = safe_syscall_interrupted(&outer);
	r.result = try_call();
	MUST(safe_syscall_deadline(&outer, &past) == 0);
	r.again = try_call();
	r.said = safe_syscall_rearm(&outer);
	r.later = try_call();
	r.left = safe_syscall_leave(&outer);
}

static void check_changed(void)
{
	MUST(r.how == 0 || r.how == 2);
	MUST(r.result == (r.how ? -1 : getppid()));
	MUST(r.again == -1 && r.said == 2 && r.later == getppid() && r.left == 0);
}

/* It is gone with the first leave. */
static void run_entered_again(void)
{
	r.left = safe_syscall_leave(&outer);
	MUST(safe_syscall_enter(&outer) == 0);
	r.how = safe_syscall_interrupted(&outer);
	r.result = try_call();
	r.said = safe_syscall_leave(&outer);
}

static void check_entered_again(void)
{
	MUST(r.left == 0 || r.left == 2);
	MUST(r.how == r.left && r.said == r.left);
	MUST(r.result == (r.left ? -1 : getppid()) || program->others);
	MUST(!program->others || safe_syscall_rearm(own) == 1);
}

/* In vain: that takes nothing of it. */
static void run_entered_twice(void)
{
	MUST(safe_syscall_enter(&outer) == -1 && errno == EBUSY);
	run_call();
}

static const struct program programs[] = {
	{ "a call", run_call, check_call, 0 },
	{ "entered twice", run_entered_twice, check_call, 0 },
	{ "rearm", run_rearm, check_rearm, 0 },
	{ "taken back", run_taken_back, check_taken_back, 0 },
	{ "changed", run_changed, check_changed, 0 },
	{ "entered again", run_entered_again, check_entered_again, 0 },
	{ "entered again, own interrupted", run_entered_again, check_entered_again, 1 },
};

enum { PROGRAMS = sizeof programs / sizeof *programs };

static void __attribute__((noreturn)) child_with_deadline(void)
{
	struct timespec when;

	die_after(20);
	MUST(signal(SIGUSR1, interrupts_own) != SIG_ERR);
	own = safe_syscall_self();
	outer = inner = NEW_SCOPE;
	MUST(safe_syscall_enter(&outer) == 0);
	if (ready)
		MUST(write(fd[1], "x", 1) == 1);
	clock_gettime(CLOCK_MONOTONIC, &when);
	when.tv_sec += (time_t)((when.tv_nsec + shared->allowed) / 1000000000);
	when.tv_nsec = (long)((when.tv_nsec + shared->allowed) % 1000000000);
	shared->deadline = when;
	MUST(safe_syscall_deadline(&outer, &when) == 0);
	MUST(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
	syscall(SYS_kill, getpid(), SIGSTOP);
	program->run();
	shared->finished = 1;
	program->check();
	check_peace();
	_exit(0);
}

/* ---- the tracer ------------------------------------------------------------------- */

static uintptr_t pc_of(pid_t pid)
{
	ta_reg regs[64];
	struct iovec iov = { regs, sizeof regs };

	/* an assertion writes to a file each time, and this is done a million times */
	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov))
		ck_abort_msg("PTRACE_GETREGSET");
	return (uintptr_t)regs[TA_REG_PC];
}

/* ENDLESS: load-linked and store-conditional.  A stop between the two makes the store fail. */
enum { ENDLESS = 5000, TOO_LATE = -2 };

static int has_passed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return program && (now.tv_sec > shared->deadline.tv_sec ||
			   (now.tv_sec == shared->deadline.tv_sec &&
			    now.tv_nsec >= shared->deadline.tv_nsec));
}

/*
 * So many steps, but not into a call that would block, nor past the last one.  Returns
 * how many there were; -1 where the kernel has no single steps; TOO_LATE when the
 * deadline has passed in them.
 */
static int steps(pid_t pid, int wanted)
{
	uintptr_t pc = 0, before, mark = 0;
	const int is_first = wanted == ENDLESS && !program;
	int i, status, seen = 0;

	for (i = 0; i < wanted && !shared->finished; i++) {
		before = pc;
		pc = !ready || is_first ? pc_of(pid) : 0;
		if (!ready && pc == code.pc[code.call])
			break;
		/*
		 * Whatever its length, a loop comes back to a mark that moves less and less often.
		 * An instruction that repeats itself is none.
		 */
		if (!(i & (i - 1))) {
			mark = pc;
			seen = 0;
		} else if (is_first && pc == mark && pc != before && ++seen == 64) {
			return ENDLESS;
		}
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL))
			return -1;
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			ck_abort_msg("the child ended, line %d", shared->failed_line);
		if (WSTOPSIG(status) != SIGTRAP)
			break;
	}
	return has_passed() ? TOO_LATE : i;
}

/* On the processor on which the child is, so its timer fires before this one. */
static void wait_for_deadline(void)
{
	struct timespec when = shared->deadline;

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
	shared->passed = 1;
}

static void empty(int from)
{
	char c;
	int n;

	while (!ioctl(from, FIONREAD, &n) && n > 0)
		ck_assert_int_eq(read(from, &c, 1), 1);
}

static const char *name_of(void)
{
	return program ? program->name : kind->name;
}

/* A child that gets the signal after so many steps.  Returns as steps(). */
static int interrupt_after(int wanted)
{
	int done, status, gave_up;
	pid_t pid;

	empty(fd[0]);
	empty(other_fd[0]);
	shared->failed_line = shared->finished = shared->passed = 0;
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (!pid && program)
		child_with_deadline();
	else if (!pid)
		child();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSTOPPED(status), "the child ended, line %d", shared->failed_line);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_EXITKILL);
	done = steps(pid, wanted);
	gave_up = done < 0 || done == ENDLESS;
	if (program && !gave_up)
		wait_for_deadline();
	if (gave_up)
		kill(pid, SIGKILL);
	else
		ptrace(PTRACE_DETACH, pid, NULL,
		       (void *)(intptr_t)(program && !program->others ? 0 : SIGUSR1));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(gave_up || status == 0, "%s, after %d steps: line %d, status 0x%x",
		      name_of(), done, shared->failed_line, status);
	return done;
}

/*
 * The time that so many steps take isn't known before: it becomes longer when it was too
 * short, and a little shorter when it was not.
 */
static int interrupt_in_time(int wanted)
{
	int done;

	while ((done = interrupt_after(wanted)) == TOO_LATE && shared->allowed < 4000000000LL)
		shared->allowed *= 2;
	shared->allowed -= shared->allowed / 8;
	return done;
}

/* Returns null, or why it can't be done. */
static const char *every_instruction(int is_ready, int is_stale)
{
	const long wish = from_environment("SAFE_SYSCALL_STRIDE", program ? 5 : 1);
	const int step = wish > 0 ? (int)wish : 1;
	const __typeof__(*program) *wanted = program;
	int all, n, cases = 0;

	ready = is_ready;
	stale = is_stale;
	shared->allowed = 100000000;
	/* the short way of a handler tells whether there is one */
	program = NULL;
	all = interrupt_in_time(ENDLESS);
	program = wanted;
	if (program && all >= 0 && all < ENDLESS)
		all = interrupt_in_time(ENDLESS);
	if (all == -1)
		return "the kernel has no PTRACE_SINGLESTEP";
	if (all == ENDLESS || all == TOO_LATE)
		return "single steps don't get through load-linked and store-conditional";
	shared->allowed = 500000;	/* ns */
	for (n = 0; n <= all; n += step) {
		interrupt_in_time(n);
		cases++;
	}
	printf("%s%s%s: %d steps, %d cases\n", name_of(), ready ? "" : ", would block",
	       stale ? ", after another" : "", all, cases);
	fflush(stdout);
	return NULL;
}

/* ---- tests -------------------------------------------------------------------------- */

static void setup(void)
{
	ck_assert_int_eq(safe_syscall_init(0), 0);
	interrupt_signal = safe_syscall_signal();
	ck_assert(!pipe(fd) && !pipe(other_fd));
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(shared != MAP_FAILED);
	code_read(&code);
	stay_on_one_processor();
	/* the dynamic linker has its turn now, and not in the steps */
	kind = kinds;
	ck_assert_int_eq(sigsetjmp(jump, 1), 0);
	set_up(1);
	ck_assert_int_eq(safe_syscall_leave(&inner), 0);
	ck_assert_int_eq(safe_syscall_deadline(&outer, NULL), 0);
	ck_assert_int_eq(safe_syscall_leave(&outer), 0);
}

static const char *why_not(void)
{
	return emulated() ? "no ptrace in an emulator of user mode" :
		TA_NO_STEP ? "single steps are not to be relied on" : NULL;
}

START_TEST(interrupted)
{
	const char *why = why_not();

	kind = &kinds[_i];
	if (!why)
		why = every_instruction(0, 0);
	if (!why && !kind->before)
		why = every_instruction(1, 0);
	if (!why && !kind->before)
		why = every_instruction(0, 1);
	if (why)
		SKIP(why);
}
END_TEST

START_TEST(deadline)
{
	const char *why = why_not();

	program = &programs[_i];
	if (!why)
		why = every_instruction(0, 0);
	if (!why && program->run == run_call)
		why = every_instruction(1, 0);
	if (why)
		SKIP(why);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("everywhere");
	TCase *tc = tcase_create("everywhere");

	/* each step is two switches, and takes milliseconds beside another program */
	limit_time(tc, 600);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, interrupted, 0, KINDS);
	tcase_add_loop_test(tc, deadline, 0, PROGRAMS);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
