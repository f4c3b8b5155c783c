/* SPDX-License-Identifier: MIT */
/* s390x: its registers, and what of them a signal context shows. */
#if !defined __s390x__ || !defined __linux__
# error "not s390x"
#endif

#define SS_ARCH "s390x"

#define SS_ARCH_SWAP_IS_A_BARRIER	/* COMPARE AND SWAP serializes, before and after */

#ifndef SS_ASSEMBLER

#define SS_ARCH_NUMBER(number) ((number) & 0xffff)	/* what the kernel reads of it */
#define SS_CLONE_FLAGS 1	/* the only one that has the stack first */
#define SS_CLONE_STACK 0

static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return uc->uc_mcontext.psw.addr;
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("lgr\t%0, %%r15" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return uc->uc_mcontext.gregs[15];
}

static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.psw.addr = pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.gregs[2];
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.gregs[2] = (unsigned long)-(long)error;
}

/*
 * The kernel goes on with a stopped timed wait from "svc restart_syscall" in
 * the vDSO, with all registers but r2 as they were on our own instruction; from
 * there it returns to .Lcommit.  Between its load in the window and the way out
 * r0 holds .Lcommit ^ r15, which no code of others can have there by
 * chance or as a left-over: a handler runs on another stack pointer, and the
 * way out clears r0.  Only then is the instruction looked at.
 */
static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	const unsigned char *pc = (const unsigned char *)ss_arch_pc(uc);

	if (uc->uc_mcontext.gregs[0] != (commit ^ uc->uc_mcontext.gregs[15]))
		return 0;
	return pc != (const unsigned char *)call &&
	       pc != (const unsigned char *)commit &&
	       pc[0] == 0x0a && pc[1] == SYS_restart_syscall;
}

#endif
