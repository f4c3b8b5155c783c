/* SPDX-License-Identifier: MIT */
/* aarch64, both byte orders: its registers, and what a signal context shows. */
#if !defined __aarch64__ || defined __ILP32__ || !defined __linux__
# error "not aarch64"
#endif

#define SS_ARCH "aarch64"

/* bti c, a hint that assemblers and processors without it know as a nop */
#define SS_LANDING_PAD hint #34

/* The bits of GNU_PROPERTY_AARCH64_FEATURE_1_AND: 1 BTI, 2 PAC, 4 GCS. */
#ifdef __ARM_FEATURE_BTI_DEFAULT
# define SS_BTI 1
#else
# define SS_BTI 0
#endif
#ifdef __ARM_FEATURE_PAC_DEFAULT
# define SS_PAC 2
#else
# define SS_PAC 0
#endif
#ifdef __ARM_FEATURE_GCS_DEFAULT
# define SS_GCS 4
#else
# define SS_GCS 0
#endif
#if SS_BTI || SS_PAC || SS_GCS
# define SS_PROPERTY_TYPE 0xc0000000
# define SS_PROPERTY_BITS (SS_BTI | SS_PAC | SS_GCS)
# define SS_PROPERTY_ALIGN 8
#endif

#ifndef SS_ASSEMBLER

#define SS_CLONE_FLAGS 0
#define SS_CLONE_STACK 1

static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return uc->uc_mcontext.pc;
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("mov\t%0, sp" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return uc->uc_mcontext.sp;
}

static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.pc = pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.regs[0];
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.regs[0] = (unsigned long)-(long)error;
}

static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	(void)commit;
	return ss_arch_pc(uc) == call &&
	       uc->uc_mcontext.regs[8] == SYS_restart_syscall;
}

#endif
