/* SPDX-License-Identifier: MIT */
/* loongarch64: its registers, and what of them a signal context shows. */
#if !defined __loongarch__ || __loongarch_grlen != 64 || !defined __LP64__ || !defined __linux__
# error "not loongarch64"
#endif

#define SS_ARCH "loongarch64"

#ifndef SS_ASSEMBLER

#define SS_CLONE_FLAGS 0
#define SS_CLONE_STACK 1

static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return uc->uc_mcontext.__pc;
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("move\t%0, $sp" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return uc->uc_mcontext.__gregs[3];
}

static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.__pc = pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.__gregs[4];
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.__gregs[4] = (unsigned long)-(long)error;
}

static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	(void)commit;
	return ss_arch_pc(uc) == call &&
	       uc->uc_mcontext.__gregs[11] == SYS_restart_syscall;
}

#endif
