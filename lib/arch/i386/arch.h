/* SPDX-License-Identifier: MIT */
/* i386: its registers, and what of them a signal context shows. */
#if !defined __i386__ || !defined __linux__
# error "not i386"
#endif

#define SS_ARCH "i386"

#define SS_LANDING_PAD endbr32

#ifdef __CET__
# define SS_PROPERTY_TYPE 0xc0000002	/* GNU_PROPERTY_X86_FEATURE_1_AND */
# define SS_PROPERTY_BITS __CET__	/* 1: IBT, 2: SHSTK, as the note has it */
# define SS_PROPERTY_ALIGN 4
#endif

#define SS_ARCH_SWAP_IS_A_BARRIER	/* every locked instruction is */

#ifndef SS_ASSEMBLER

/* 8 arguments and what aligns them, the return address, 8 registers. */
#define SS_ARCH_DEPTH 96

#define SS_CLONE_FLAGS 0
#define SS_CLONE_STACK 1

static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_EIP];
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("mov\t%%esp, %0" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_ESP];
}

static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.gregs[REG_EIP] = (greg_t)pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.gregs[REG_EAX];
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.gregs[REG_EAX] = -error;
}

static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	(void)commit;
	return ss_arch_pc(uc) == call &&
	       uc->uc_mcontext.gregs[REG_EAX] == SYS_restart_syscall;
}

#endif
