/* SPDX-License-Identifier: MIT */
/* context.c - from one stack to another, for architectures that have no file of their own */
#include <ucontext.h>
#include "parts.h"

/* The context lives on the stack that is left. */
void green_jump(void **save, void *to)
{
	ucontext_t here;

	*save = &here;
	swapcontext(&here, to);
}

void *green_prepare(char *top, void (*entry)(void))
{
	ucontext_t *uc = (ucontext_t *)((uintptr_t)(top - sizeof *uc) & ~(uintptr_t)63);

	getcontext(uc);
	uc->uc_stack.ss_sp = top - STACK;
	uc->uc_stack.ss_size = (size_t)((char *)uc - (top - STACK));
	uc->uc_link = NULL;
	makecontext(uc, entry, 0);
	return uc;
}

#ifdef __i386__
/*
 * Is it in a function that returns its return address in a register?  Code that does
 * not know where it lies begins with such a call; one copy is for the whole program, the C
 * library in it.  Before a ret on the next page may be nothing; then it is taken for one.
 */
static int is_thunk(uintptr_t pc)
{
	const unsigned char *p = (const unsigned char *)pc;

	if (*p != 0xc3)
		return p[0] == 0x8b && (p[1] & 0xc7) == 4 && p[2] == 0x24 && p[3] == 0xc3;
	return (pc & 4095) < 3 || (p[-3] == 0x8b && (p[-2] & 0xc7) == 4 && p[-1] == 0x24);
}
#endif

uintptr_t green_pc(const void *ucontext)
{
	const ucontext_t *uc = ucontext;

#if defined __riscv
	return uc->uc_mcontext.__gregs[REG_PC];
#elif defined __powerpc64__
	return uc->uc_mcontext.gp_regs[32];
#elif defined __s390x__
	return uc->uc_mcontext.psw.addr;
#elif defined __mips__
	return (uintptr_t)uc->uc_mcontext.pc;
#elif defined __aarch64__
	return uc->uc_mcontext.pc;
#elif defined __x86_64__
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined __i386__
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_EIP];

	return is_thunk(pc) ? 0 : pc;
#elif defined __arm__
	return uc->uc_mcontext.arm_pc;
#elif defined __loongarch__
	return uc->uc_mcontext.__pc;
#else
# error "where is the program counter?"
#endif
}
