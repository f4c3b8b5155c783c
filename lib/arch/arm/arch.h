/* SPDX-License-Identifier: MIT */
/*
 * arm, EABI, little endian: its registers, and what of them a signal context shows.
 * The old ABI has the number in the instruction.
 */
#if !defined __arm__ || !defined __ARM_EABI__ || defined __ARMEB__ || defined __FDPIC__ || \
	(defined __ARM_ARCH_PROFILE && __ARM_ARCH_PROFILE == 'M') || !defined __linux__
# error "not arm"
#endif

#define SS_ARCH "arm"

#ifdef SS_ASSEMBLER

	.syntax unified
	.arm
/* gdb and libunwind read .debug_frame, the C++ runtime .ARM.exidx: nobody .eh_frame. */
	.cfi_sections .debug_frame

#else

#define SS_CLONE_FLAGS 0
#define SS_CLONE_STACK 1

static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return uc->uc_mcontext.arm_pc;
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("mov\t%0, sp" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return uc->uc_mcontext.arm_sp;
}

/* Both addresses that it is set to are of the stub's, as is the one it had: the state stays. */
static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.arm_pc = pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.arm_r0;
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.arm_r0 = (unsigned long)-(long)error;
}

/*
 * A kernel for 32 bits resumes a stopped wait without coming back in between, and no context
 * shows it.  With one for 64 bits the number tells, as everywhere.
 */
static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	(void)commit;
	return ss_arch_pc(uc) == call &&
	       uc->uc_mcontext.arm_r7 == SYS_restart_syscall;
}

#endif
