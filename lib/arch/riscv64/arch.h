/* SPDX-License-Identifier: MIT */
/* riscv64: its registers, and what of them a signal context shows. */
#if !defined __riscv || __riscv_xlen != 64 || defined __ILP32__ || !defined __linux__
# error "not riscv64"
#endif

#define SS_ARCH "riscv64"

#ifdef SS_ASSEMBLER

/* Instructions of one length, and none that the linker may shorten. */
	.option	norvc
	.option	norelax

#else

#define SS_CLONE_FLAGS 0
#define SS_CLONE_STACK 1

/* __gregs[0] is the pc, the others are x1 to x31 */
static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return uc->uc_mcontext.__gregs[0];
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("mv\t%0, sp" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return uc->uc_mcontext.__gregs[2];
}

static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.__gregs[0] = pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.__gregs[10];
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.__gregs[10] = (unsigned long)-(long)error;
}

static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	(void)commit;
	return ss_arch_pc(uc) == call &&
	       uc->uc_mcontext.__gregs[17] == SYS_restart_syscall;
}

#endif
