/* SPDX-License-Identifier: MIT */
/*
 * mips, o32, n32 and n64, both byte orders: its registers, and what of them a
 * signal context shows.
 */
#if !defined __mips__ || !defined __linux__
# error "not mips"
#endif

#define SS_ARCH "mips"

/* Compilers define the name of their own ABI only, <sgidefs.h> all three. */
#if defined _ABIO32 && _MIPS_SIM == _ABIO32
# define SS_O32 1
# define SS_N32 0
#elif defined _ABIN32 && _MIPS_SIM == _ABIN32
# define SS_O32 0
# define SS_N32 1
#elif defined _ABI64 && _MIPS_SIM == _ABI64
# define SS_O32 0
# define SS_N32 0
#else
# error "neither o32 nor n32 nor n64"
#endif

#ifndef SS_ASSEMBLER

#define SS_CLONE_FLAGS 0
#define SS_CLONE_STACK 1

/* Registers are 64 bits wide in a context, even where those of the process
 * are not: the kernel extends them by their sign. */
static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.pc;
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("move\t%0, $29" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[29];
}

static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.pc = (unsigned long long)(long)pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.gregs[2];
}

/* a3 says that the value is an errno. */
#define SS_ARCH_FAILED
static inline int ss_arch_failed(const ucontext_t *uc)
{
	return uc->uc_mcontext.gregs[7] != 0;
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.gregs[2] = (unsigned long long)error;
	uc->uc_mcontext.gregs[7] = 1;
}

static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	(void)commit;
	return ss_arch_pc(uc) == call &&
	       uc->uc_mcontext.gregs[2] == SYS_restart_syscall;
}

#endif
