/* SPDX-License-Identifier: MIT */
/* tracer.c - see tracer.h */
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "breakpoint.h"
#include "tracer.h"

#ifndef PTRACE_O_EXITKILL
# define PTRACE_O_EXITKILL 0x100000
#endif

enum { SYSCALL_STOP = SIGTRAP | 0x80 };

static const struct code *code;
static pid_t pid;
static int can_step;
static int at;			/* index of the instruction; where it is asleep, the call */
static int asleep;
static struct {
	ta_unit insn[sizeof ta_trap / sizeof ta_trap[0]];
	int has_slot, is_return, trap;
} insns[CODE_MAX];

/* ---- registers and text ------------------------------------------------------- */

static void get_regs(ta_reg regs[TRACER_REGS], size_t *size)
{
	struct iovec iov = { regs, TRACER_REGS * sizeof regs[0] };

	memset(regs, 0, iov.iov_len);
	ck_assert_int_eq(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov), 0);
	*size = iov.iov_len;
}

static uintptr_t get_pc(void)
{
	ta_reg regs[TRACER_REGS];
	size_t size;

	get_regs(regs, &size);
	return (uintptr_t)regs[TA_REG_PC];
}

static void move_pc(int bytes)
{
	ta_reg regs[TRACER_REGS];
	struct iovec iov = { regs, 0 };

	get_regs(regs, &iov.iov_len);
	regs[TA_REG_PC] += (ta_reg)bytes;
	ck_assert_int_eq(ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &iov), 0);
}

void tracer_kept(ta_reg regs[TRACER_REGS])
{
	size_t size;
	int i;

	get_regs(regs, &size);
	for (i = 0; i < TRACER_REGS; i++)
		if (!(TA_REGS_KEPT >> i & 1))
			regs[i] = 0;
}

/* Through the tracer's own system call: it knows how to make the child see it. */
static void set_trap(int i, int on)
{
	void *where = (void *)code->pc[i];
	long word;

	if (insns[i].trap == on)
		return;
	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, pid, where, NULL);
	ck_assert_int_eq(errno, 0);
	memcpy(&word, on ? ta_trap : insns[i].insn, sizeof ta_trap);
	ck_assert_int_eq(ptrace(PTRACE_POKETEXT, pid, where, (void *)word), 0);
	insns[i].trap = on;
}

static int instruction_at(uintptr_t pc)
{
	int i;

	for (i = 0; i < code->count; i++)
		if (code->pc[i] == pc)
			return i;
	return TRACER_LEFT;
}

/* ---- stops -------------------------------------------------------------------- */

static void resume(int request, int sig)
{
	ck_assert_int_eq(ptrace(request, pid, NULL, (void *)(long)sig), 0);
}

static int stop_of(int status)
{
	ck_assert_msg(WIFSTOPPED(status), "the child has ended, status %#x", status);
	return WSTOPSIG(status);
}

static int await(void)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return stop_of(status);
}

/* Until it stops, or sleeps in the call: then 0. */
static int await_or_sleep(void)
{
	int status;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0) {
		if (state_of(pid, pid) == 'S')
			return 0;
		sched_yield();
	}
	ck_assert_int_eq(got, pid);
	return stop_of(status);
}

/* It has run into a breakpoint: put the PC back on it. */
static int trapped(void)
{
	int i = instruction_at(get_pc() - TA_TRAP_MOVES);

	if (TA_TRAP_MOVES)
		move_pc(-TA_TRAP_MOVES);
	ck_assert_int_ge(i, 0);
	return i;
}

/* ---- one instruction, or to one of some ----------------------------------------- */

/*
 * The system call, and returns, are not stepped over but have breakpoints where they
 * lead: a kernel or processor may stop only after one more instruction, or before a
 * signal that has interrupted the call.
 */
static int stepped(int i)
{
	return can_step && i != code->call && !insns[i].is_return;
}

/* Must instruction i be a breakpoint when the one that it is at is executed? */
static int wanted(int i, const char *marks)
{
	if (can_step)
		return !stepped(at) && (i == at + 1 || i == code->abort);
	/* in a delay slot the branch is executed once more */
	if (i == at || (i + 1 == at && insns[i].has_slot))
		return 0;
	return marks[i] || i == code->call;
}

/* Where it is after that, from the signal that it stopped by. */
static int arrived(int sig)
{
	asleep = 0;
	if (sig == SIGSTOP && !stepped(at))
		return at = TRACER_LEFT;
	ck_assert_int_eq(sig, SIGTRAP);
	if (stepped(at)) {
		at = instruction_at(get_pc());
		ck_assert_int_ge(at, 0);
		return at;
	}
	at = trapped();
	/* the breakpoint is in the delay slot of the branch that is shown */
	if (!insns[at].trap)
		at++;
	return at;
}

static int hop(const char *marks)
{
	int i, sig;

	for (i = 0; i < code->count; i++)
		set_trap(i, wanted(i, marks));
	resume(stepped(at) ? PTRACE_SINGLESTEP : PTRACE_CONT, 0);
	sig = at == code->call ? await_or_sleep() : await();
	asleep = !sig;
	return asleep ? TRACER_ASLEEP : arrived(sig);
}

int tracer_go(const char marks[CODE_MAX])
{
	int i;

	do
		i = hop(marks);
	while (i >= 0 && !marks[i] && i != code->call);
	return i;
}

int tracer_wait(void)
{
	return arrived(await());
}

int tracer_deliver(int first, int second)
{
	ck_assert_int_eq(kill(pid, first), 0);
	if (!asleep)
		resume(PTRACE_SYSCALL, 0);
	ck_assert_int_eq(await(), first);
	asleep = 0;
	if (second)
		ck_assert_int_eq(kill(pid, second), 0);
	resume(PTRACE_SYSCALL, first);
	if (second) {
		ck_assert_int_eq(await(), second);
		resume(PTRACE_SYSCALL, second);
	}
	/* the stop after the last handler's return has its context */
	for (;;) {
		ck_assert_int_eq(await(), SYSCALL_STOP);
		at = instruction_at(get_pc());
		if (at >= 0)
			return at;
		resume(PTRACE_SYSCALL, 0);
	}
}

void tracer_enter(void)
{
	set_trap(0, 1);
	resume(PTRACE_CONT, 0);
	ck_assert_int_eq(await(), SIGTRAP);
	at = trapped();
	ck_assert_int_eq(at, 0);
}

/* ---- start -------------------------------------------------------------------- */

/* Can it be stepped?  SAFE_SYSCALL_BREAKPOINTS is for trying the other way. */
static void probe(void)
{
	can_step = !TA_NO_STEP && !getenv("SAFE_SYSCALL_BREAKPOINTS") &&
		   ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0;
	if (can_step)
		ck_assert_int_eq(await(), SIGTRAP);
}

int tracer_steps(void)
{
	return can_step;
}

int tracer_start(const struct code *stub, void (*program)(void))
{
	int i, status;

	code = stub;
	stay_on_one_processor();
	breakpoint_prepare(code->entry);
	for (i = 0; i < code->count; i++) {
		memcpy(insns[i].insn, (void *)code->pc[i], sizeof ta_trap);
		insns[i].has_slot = ta_has_slot(code_at(code, i));
		insns[i].is_return = ta_is_return(code_at(code, i));
	}
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
			program();
		_exit(77);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return -1;
	ck_assert_int_eq(stop_of(status), SIGSTOP);
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL,
				(void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)), 0);
	probe();
	return 0;
}
