/* SPDX-License-Identifier: MIT */
/* x86_64, and x32: its registers, and what of them a signal context shows. */
#if !defined __x86_64__ || !defined __linux__
# error "not x86_64"
#endif

#define SS_ARCH "x86_64"

#define SS_LANDING_PAD endbr64

#ifdef __CET__
# define SS_PROPERTY_TYPE 0xc0000002	/* GNU_PROPERTY_X86_FEATURE_1_AND */
# define SS_PROPERTY_BITS __CET__	/* 1: IBT, 2: SHSTK, as the note has it */
# ifdef __ILP32__
#  define SS_PROPERTY_ALIGN 4
# else
#  define SS_PROPERTY_ALIGN 8
# endif
#endif

#define SS_ARCH_SWAP_IS_A_BARRIER	/* every locked instruction is */

#ifndef SS_ASSEMBLER

/*
 * The kernel reads 32 bits of the number.  Bit 30 of them says x32, whatever the process
 * is; rt_sigreturn is 15, and 513 with it.
 */
#define SS_ARCH_NUMBER(number) ((unsigned int)(number) & ~0x40000000U)
#define SS_ARCH_CANNOT_USE_STUB(number) ((number) == 15 || (number) == 513)
#define SS_CLONE_FLAGS 0	/* which argument of clone has the flags */
#define SS_CLONE_STACK 1

static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("mov\t%%rsp, %q0" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
}

static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.gregs[REG_RAX];
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.gregs[REG_RAX] = -error;
}

/*
 * Processors with FRED leave rcx alone when they enter the kernel, so there is
 * nothing to see.  CPUID leaf 7.1, EAX bit 17; whether the kernel uses it is
 * not told, so whoever has it is AT_CALL, which is never wrong.
 */
static inline int ss_arch_has_fred(void)
{
	unsigned int a = 7, b, c = 0, d;

	__asm__ ("cpuid" : "+a" (a), "=b" (b), "+c" (c), "=d" (d));
	if (a < 1)
		return 0;
	a = 7;
	c = 1;
	__asm__ ("cpuid" : "+a" (a), "=b" (b), "+c" (c), "=d" (d));
	return a >> 17 & 1;
}

/*
 * On the instruction: was the kernel entered?  The stub comes to it with the
 * flag's address in rcx, where the instruction itself puts the address after
 * it.
 */
#define SS_ARCH_ENTERED
static inline int ss_arch_entered(const ucontext_t *uc, uintptr_t commit)
{
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RCX] == commit ||
	       ss_arch_has_fred();
}

/* Will the next instruction be restart_syscall, for a call of the stub? */
static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	(void)commit;
	return ss_arch_pc(uc) == call &&
	       uc->uc_mcontext.gregs[REG_RAX] == SYS_restart_syscall;
}

#endif
