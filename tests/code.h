/* SPDX-License-Identifier: MIT */
/*
 * code.h - the stub as the tests see it: found in its machine code alone, so
 * that a label in the wrong place can't mislead the library and its test alike.
 *
 * lib/arch/<arch>/test_arch.h provides:
 *	ta_unit			type of the smallest piece of an instruction
 *	ta_reg TA_REG_PC TA_REGS_KEPT	what a tracer gets of the general registers
 *				(NT_PRSTATUS): type of a word, index of the PC, mask
 *				of the registers that a function must keep
 *	ta_call ta_trap ta_return	the system call instruction, a breakpoint,
 *				a return
 *	TA_BEFORE_START		instructions before start
 *	TA_NORMAL TA_FAILED	instructions executed from entry to return,
 *				when the call succeeds and when it fails
 *	TA_PRESERVED		number of registers that ta_preserved() gives
 *	ta_length(p)		length in bytes; 0 where it is not known
 *	ta_is_return(p)		a return, conditional ones too
 *	ta_return_address(uc)	at the entry: where the stub will return to
 *	ta_preserved(uc, i)	registers that a function must keep
 *	ta_number(uc)		at the call: the number, and
 *	ta_argument(uc, i)	the arguments as the kernel would find them
 *	ta_set_number(uc, n)	to fabricate contexts
 *	ta_set_result(uc, value, failed)
 *	ta_leave(zero, info, uc)	end a handler by the stub's own instruction: with the
 *				stack pointer where the kernel put the handler's frame,
 *				jump to safe_syscall_raw(zero, SYS_rt_sigreturn)
 * and may provide, with a macro of that name:
 *	TA_TRAP_MOVES		bytes that a breakpoint moves the PC by
 *	TA_NO_STEP		1: single-stepping is there, but not to be relied on
 *	TA_HAS_SLOT		ta_has_slot(p): a branch with a delay slot
 *	TA_CAN_TELL		ta_can_tell(): BEFORE and AT_CALL are told apart at
 *				the call; ta_set_entered(uc, commit, entered)
 *	TA_CODE_OF(function)	where its code is, if not where it points
 *	TA_MOST			for check_cost: instructions, at most, of safe_syscall(),
 *				enter and leave, a repeated interrupt, interrupted(),
 *				rewind and hook outside and in the stub, as gcc 12
 *				makes them at -O2 and -O3
 *	TA_SYSCALL		for bench: TA_SYSCALL(number, a, b, c), inline, with 3
 *				arguments
 *	TA_RESTART_SITE		ta_restart_site(call): where restart_syscall will be
 *				executed
 *	TA_HAS_RESTORER		ta_set_handler(sig, handler): by a restorer that
 *				jumps to the stub
 *	TA_THREAD_REGISTER	ta_take_thread(uc): the context has the register that
 *				points to thread-local storage; gets the current one
 *	TA_THREAD_PRESERVED	and ta_preserved() gives it as this number
 *	TA_CODE_CHANGED		ta_code_changed(code, size): where the compiler has nothing
 *				by which the processor learns of new instructions
 *	TA_CFA(context)		the unwinder's _Unwind_GetCFA(), where that does not tell
 *	TA_RESTARTS_INSIDE	ta_restarts_inside(): the kernel makes a stopped call again
 *				without leaving for the program, so no context shows it
 *	TA_COMPILED		where a compiler makes other code than the stub's:
 *				ta_behind(jump): what comes behind that, and
 *				ta_compiled_trap, the breakpoint there
 *	TA_STATE_ELSEWHERE	ta_state(uc, &length): registers that the context only
 *				points to; ta_set_state(uc, state)
 */
#ifndef CODE_H
#define CODE_H

#include "testing.h"
#include "arch.h"
#include "test_arch.h"

#ifndef TA_TRAP_MOVES
# define TA_TRAP_MOVES 0
#endif

#ifndef TA_NO_STEP
# define TA_NO_STEP 0
#endif

#ifndef TA_COMPILED
# define ta_compiled_trap ta_trap
static inline uintptr_t ta_behind(uintptr_t jump)
{
	return jump + sizeof ta_trap;
}
#endif

#ifndef TA_CFA
# define TA_CFA(context) _Unwind_GetCFA(context)
#endif

#ifndef TA_RESTARTS_INSIDE
static inline int ta_restarts_inside(void)
{
	return 0;
}
#endif

#ifndef TA_CODE_CHANGED
static inline void ta_code_changed(const void *code, size_t size)
{
	__builtin___clear_cache((char *)(uintptr_t)code, (char *)(uintptr_t)code + size);
}
#endif

#ifndef TA_HAS_SLOT
static inline int ta_has_slot(const ta_unit *p)
{
	(void)p;
	return 0;
}
#endif

#ifndef TA_CAN_TELL
static inline int ta_can_tell(void)
{
	return 0;
}

static inline void ta_set_entered(ucontext_t *uc, uintptr_t commit, int entered)
{
	(void)uc;
	(void)commit;
	(void)entered;
}
#endif

#ifndef TA_RESTART_SITE
static inline uintptr_t ta_restart_site(uintptr_t call)
{
	return call;
}
#endif

#define CODE_MAX 64

struct code {
	uintptr_t entry, end;
	int count;			/* instructions */
	uintptr_t pc[CODE_MAX];
	int call;			/* index of the system call */
	int abort;			/* and of the other way out */
};

static inline const ta_unit *code_at(const struct code *c, int i)
{
	return (const ta_unit *)c->pc[i];
}

static inline void code_read(struct code *c)
{
	const void *start;
	uintptr_t pc;
	size_t length;
	int calls = 0;

	ck_assert_int_eq(safe_syscall_region(&start, &length), 0);
	c->entry = (uintptr_t)start;
	c->end = c->entry + length;
	c->count = c->call = c->abort = 0;
	for (pc = c->entry; pc < c->end; pc += ta_length((ta_unit *)pc)) {
		ck_assert_int_lt(c->count, CODE_MAX);
		ck_assert_uint_ne(ta_length((ta_unit *)pc), 0);
		c->pc[c->count] = pc;
		if (!memcmp((void *)pc, ta_call, sizeof ta_call)) {
			c->call = c->count;
			calls++;
		}
		c->count++;
		/* the first return that is not conditional ends the way out */
		if (calls && !c->abort &&
		    !memcmp((void *)pc, ta_return, sizeof ta_return))
			c->abort = c->count + ta_has_slot((ta_unit *)pc);
	}
	ck_assert_uint_eq(pc, c->end);
	ck_assert_int_eq(calls, 1);
	ck_assert_int_gt(c->abort, c->call);
	ck_assert_int_lt(c->abort, c->count);
}

/* What is right for instruction i, never entered (or wanting a restart). */
static inline enum safe_syscall_phase code_phase(const struct code *c, int i,
						 int entered)
{
	if (i < c->call)
		return SAFE_SYSCALL_BEFORE;
	if (i == c->call)
		return entered || !ta_can_tell() ? SAFE_SYSCALL_AT_CALL :
						   SAFE_SYSCALL_BEFORE;
	return i < c->abort ? SAFE_SYSCALL_DONE : SAFE_SYSCALL_OUTSIDE;
}

#endif
