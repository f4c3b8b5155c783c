/* SPDX-License-Identifier: MIT */
/*
 * check_cost.c - how many instructions the paths that matter take, counted one by
 * one: a child makes the call, and is traced through it in single steps, from the
 * function's first instruction to its return.  Unlike time, the number is the same
 * on every run.  What bench/ measures is explained by it.
 *
 * Counted is the function, not how the caller reaches it: an entry of the PLT, or
 * a load from the GOT, belongs to the program, and depends on how it was linked.
 */
#include <sys/ptrace.h>

#include "code.h"

/* Where the code of a function is; ELFv1 has a descriptor. */
#ifndef TA_CODE_OF
# define TA_CODE_OF(function) ((uintptr_t)(function))
#endif

/* ---- the paths ----------------------------------------------------------------- */

static safe_syscall_scope scope = SAFE_SYSCALL_SCOPE_INIT;
static const volatile int flag;

/*
 * Addresses are taken in code, which is compiled as PIC: those of the functions
 * themselves, as another program would find them, and not of PLT entries.  What
 * comes after the call keeps it from being a jump: it is to return here.
 */
static uintptr_t entry;
#define COUNTED(function, ...)						\
	do {								\
		__typeof__(function) *volatile f = function;		\
									\
		entry = TA_CODE_OF(f);					\
		f(__VA_ARGS__);						\
		__asm__ volatile ("" : : : "memory");			\
	} while (0)

static void raw(void)
{
	COUNTED(safe_syscall_raw, &flag, SYS_getppid, 1L, 2L, 3L, 4L, 5L, 6L);
}

static void call(void)
{
	COUNTED(safe_syscall, SYS_getppid, 1L, 2L, 3L, 4L, 5L, 6L);
}

static void enter(void)
{
	COUNTED(safe_syscall_enter, &scope);
	safe_syscall_leave(&scope);
}

static void leave(void)
{
	safe_syscall_enter(&scope);
	COUNTED(safe_syscall_leave, &scope);
}

/* The first comes with the first round of each path. */
static void interrupt_again(void)
{
	COUNTED(safe_syscall_interrupt, &scope);
}

static void interrupted(void)
{
	COUNTED(safe_syscall_interrupted, &scope);
}

/*
 * The hooks, for a handler that has interrupted the call in the stub, or other code.
 * They look at the same memory whether they are called in one or not.
 */
static ucontext_t outside, inside;
static siginfo_t info;

static void keep_context(int sig, siginfo_t *unused, void *ucontext)
{
	(void)sig;
	(void)unused;
	/* the kernel's may be shorter */
	outside.uc_mcontext = ((ucontext_t *)ucontext)->uc_mcontext;
	inside = outside;
}

static void rewind_outside(void)
{
	COUNTED(safe_syscall_rewind, &outside);
}

static void rewind_inside(void)
{
	COUNTED(safe_syscall_rewind, &inside);
}

static void hook_outside(void)
{
	COUNTED(safe_syscall_hook, SIGUSR1, &info, &outside);
}

static void hook_inside(void)
{
	COUNTED(safe_syscall_hook, SIGUSR1, &info, &inside);
}

/* ---- stepping ------------------------------------------------------------------ */

struct tracee {
	pid_t pid;
	uintptr_t pc, before;		/* where it is, and was a step ago */
	int instructions, syscalls;
	/* the jump back that was made last, how often, and what was counted by then */
	uintptr_t jump;
	int times, passed;
	int stuck;			/* steps that got nowhere */
};

/* What is to be done once, on a thread or in the dynamic linker, comes first. */
static void __attribute__((noreturn)) child(void (*path)(void))
{
	path();
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
		_exit(1);
	/* not raise(), which has much to do before it returns */
	syscall(SYS_kill, getpid(), SIGSTOP);
	path();
	_exit(0);
}

/* The last word of the line, and the same on every machine. */
static uintptr_t pc_of(pid_t pid)
{
	char name[64], line[256];
	const char *word = NULL;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/syscall", (int)pid);
	f = fopen(name, "r");
	if (!f)
		return 0;
	if (fgets(line, sizeof line, f))
		word = strrchr(line, ' ');
	fclose(f);
	return word ? (uintptr_t)strtoull(word, NULL, 16) : 0;
}

/* Returns null, or why it can't be done. */
static const char *step(pid_t pid, int request)
{
	int status;

	if (ptrace(request, pid, NULL, NULL) == -1)
		return "the kernel has no PTRACE_SINGLESTEP";
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (request == PTRACE_SINGLESTEP && status == 0)
		return "the child of a PTRACE_SINGLESTEP runs to its end (emulator?)";
	ck_assert_msg(WIFSTOPPED(status), "the child ended: 0x%x", status);
	return NULL;
}

/*
 * Load-linked and store-conditional: a trap between the two makes the store fail,
 * so that no step gets out of the loop.
 */
static int is_endless(struct tracee *t)
{
	if (t->pc >= t->before || t->before - t->pc > 64)
		return 0;
	if (t->jump != t->before) {
		t->jump = t->before;
		t->times = 0;
		t->passed = t->instructions;
	}
	return ++t->times == 20;
}

/* Let it run to a breakpoint behind the loop, which it has been through once. */
static const char *end_loop(struct tracee *t)
{
	uintptr_t end = ta_behind(t->jump);
	uintptr_t word = end & -sizeof(long);
	const char *failed;
	long code, with_trap;

	code = with_trap = ptrace(PTRACE_PEEKTEXT, t->pid, (void *)word, NULL);
	memcpy((char *)&with_trap + (end - word), ta_compiled_trap, sizeof ta_compiled_trap);
	ck_assert_int_eq(ptrace(PTRACE_POKETEXT, t->pid, (void *)word, with_trap), 0);
	failed = step(t->pid, PTRACE_CONT);
	ck_assert_int_eq(ptrace(PTRACE_POKETEXT, t->pid, (void *)word, code), 0);
	t->pc = pc_of(t->pid);
	ck_assert_uint_eq(t->pc, end);
	t->instructions = t->passed;
	t->jump = 0;
	return failed;
}

/*
 * The step over a system call instruction may stop there twice, or take the next
 * one with it, as it does on some kernels.
 */
static void count_instruction(struct tracee *t)
{
	/* our own code is the same */
	int is_call = !memcmp((void *)t->before, ta_call, sizeof ta_call);

	if (t->pc == t->before)
		return;
	t->syscalls += is_call;
	t->instructions += 1 + (is_call && t->pc != t->before + sizeof ta_call);
}

static const char *advance(struct tracee *t)
{
	const char *failed = step(t->pid, PTRACE_SINGLESTEP);

	if (failed)
		return failed;
	t->before = t->pc;
	t->pc = pc_of(t->pid);
	if (!t->before || !t->pc)
		return "the program counter is lost";
	t->stuck = t->pc == t->before ? t->stuck + 1 : 0;
	if (t->stuck == 20)
		return "PTRACE_SINGLESTEP does not get on (emulator?)";
	count_instruction(t);
	return is_endless(t) ? end_loop(t) : NULL;
}

static const char *trace(struct tracee *t)
{
	const char *failed = NULL;
	uintptr_t caller;

	t->pc = pc_of(t->pid);
	if (!t->pc)
		return "no program counter in /proc/PID/syscall";
	while (!failed && t->pc != entry)
		failed = advance(t);
	caller = t->before;
	t->instructions = t->syscalls = 0;
	while (!failed && !(t->pc > caller && t->pc <= caller + 16))
		failed = advance(t);
	return failed;
}

/* Returns null, or why it can't be done. */
static const char *count(void (*path)(void), struct tracee *t)
{
	const char *failed;
	int status;

	path();		/* tells the entry */
	memset(t, 0, sizeof *t);
	t->pid = fork();
	if (t->pid == 0)
		child(path);
	ck_assert_int_gt(t->pid, 0);
	ck_assert_int_eq(waitpid(t->pid, &status, 0), t->pid);
	if (!WIFSTOPPED(status))
		return "ptrace is not permitted here";
	ptrace(PTRACE_SETOPTIONS, t->pid, NULL, (void *)PTRACE_O_EXITKILL);
	failed = trace(t);
	kill(t->pid, SIGKILL);
	waitpid(t->pid, &status, 0);
	return failed;
}

/* ---- tests --------------------------------------------------------------------- */

/* The most that is allowed; 0 where no kernel has been seen to run it. */
#ifndef TA_MOST
# define TA_MOST { 0, 0, 0, 0, 0, 0, 0, 0 }
#endif

enum {
	CALL, ENTER_AND_LEAVE, INTERRUPT_AGAIN, INTERRUPTED,
	REWIND_OUTSIDE, REWIND_INSIDE, HOOK_OUTSIDE, HOOK_INSIDE
};
static const int most[] = TA_MOST;

static const struct path {
	const char *name;
	void (*parts[2])(void);
	const int *most;
	int syscalls;
} paths[] = {
	{ "safe_syscall_raw", { raw }, &(const int){ TA_NORMAL }, 1 },
	{ "safe_syscall", { call }, &most[CALL], 1 },
	{ "enter and leave", { enter, leave }, &most[ENTER_AND_LEAVE], 0 },
	{ "interrupt again", { interrupt_again }, &most[INTERRUPT_AGAIN], 0 },
	{ "interrupted", { interrupted }, &most[INTERRUPTED], 0 },
	{ "rewind, outside", { rewind_outside }, &most[REWIND_OUTSIDE], 0 },
	{ "rewind, in the stub", { rewind_inside }, &most[REWIND_INSIDE], 0 },
	{ "hook, outside", { hook_outside }, &most[HOOK_OUTSIDE], 0 },
	{ "hook, in the stub", { hook_inside }, &most[HOOK_INSIDE], 0 },
};

/* Why it can't be counted, or would not be what a program has; null when it is. */
static const char *uncounted(void)
{
	const void *start;
	size_t length;

	if (emulated())
		return "no ptrace in an emulator of user mode";
	ck_assert_int_eq(safe_syscall_region(&start, &length), 0);
	raw();
	return entry == (uintptr_t)start ? NULL :
		"not linked as PIE: addresses are those of PLT entries";
}

/* Why the compiler's code may be longer than what is allowed; null when not. */
static const char *unlimited(void)
{
#if !defined __OPTIMIZE__
	return "built without optimisation";
#elif defined __OPTIMIZE_SIZE__
	return "optimised for size";
#elif defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
	return "built with a sanitizer";
#elif defined __SSP_STRONG__ || defined __SSP_ALL__
	return "built with a stack protector";
#elif defined __clang__
	return "limits are for gcc";
#else
	return NULL;
#endif
}

/* The stub always has one, where there are any; a C function by the compiler's option. */
static int has_landing_pad(uintptr_t function)
{
	const void *start;
	size_t length;

	ck_assert_int_eq(safe_syscall_region(&start, &length), 0);
	return function != (uintptr_t)start &&
	       !memcmp((void *)function, start, ta_length(start));
}

START_TEST(instructions)
{
	const struct path *path = &paths[_i];
	const char *why = uncounted();
	int part, count_of_all = 0, syscalls = 0;
	struct tracee t;

	for (part = 0; !why && part < 2 && path->parts[part]; part++) {
		why = count(path->parts[part], &t);
		count_of_all += t.instructions - has_landing_pad(entry);
		syscalls += t.syscalls;
	}
	if (why)
		SKIP(why);
	printf("%s: %d instructions, %d system calls\n", path->name,
	       count_of_all, syscalls);
	fflush(stdout);
	ck_assert_int_eq(syscalls, path->syscalls);
	why = *path->most ? unlimited() : "no kernel was seen to run it";
	if (count_of_all > *path->most && why)
		SKIP(why);
	ck_assert_int_le(count_of_all, *path->most);
}
END_TEST

static void setup(void)
{
	struct code code;

	ck_assert_int_eq(safe_syscall_init(0), 0);
	code_read(&code);
	on_signal(SIGUSR1, 0, keep_context);
	raise(SIGUSR1);
	ck_assert_int_eq(safe_syscall_classify(&outside), SAFE_SYSCALL_OUTSIDE);
	ss_arch_set_pc(&inside, code.pc[code.call]);
	ck_assert_int_ne(safe_syscall_classify(&inside), SAFE_SYSCALL_OUTSIDE);
}

int main(void)
{
	Suite *suite = suite_create("cost");
	TCase *tc = tcase_create("paths");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, instructions, 0, sizeof paths / sizeof paths[0]);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
