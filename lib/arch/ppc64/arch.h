/* SPDX-License-Identifier: MIT */
/*
 * ppc64, ELFv1 and ELFv2, both byte orders: its registers, and what of them a
 * signal context shows.
 */
#if !defined __powerpc64__ || !defined __linux__
# error "not ppc64"
#endif

#define SS_ARCH "ppc64"

#ifdef SS_ASSEMBLER

# if defined _CALL_ELF && _CALL_ELF == 2
	.abiversion 2
# else
/* ELFv1: the symbol is a descriptor, the code has none. */
#  define SS_ENTRY SS_ENTRY
.macro	SS_ENTRY
	.section .opd, "aw", %progbits
	.balign	8
	.globl	safe_syscall_raw
	.type	safe_syscall_raw, %function
safe_syscall_raw:
	.quad	.Lentry, .TOC.@tocbase, 0
	.text
.endm
# endif

#else

#define SS_CLONE_FLAGS 0
#define SS_CLONE_STACK 1

/* gp_regs: 0 to 31 are r0 to r31, then as the kernel's struct pt_regs */
enum { SS_NIP = 32, SS_CCR = 38, SS_TRAP = 40 };

#define SS_CR0_SO 0x10000000UL

static inline uintptr_t ss_arch_pc(const ucontext_t *uc)
{
	return uc->uc_mcontext.gp_regs[SS_NIP];
}

/* Of the function that this is in. */
#define SS_ARCH_GET_SP(sp) __asm__ volatile ("mr\t%0, 1" : "=r" (sp))

static inline uintptr_t ss_arch_sp(const ucontext_t *uc)
{
	return uc->uc_mcontext.gp_regs[1];
}

static inline void ss_arch_set_pc(ucontext_t *uc, uintptr_t pc)
{
	uc->uc_mcontext.gp_regs[SS_NIP] = pc;
}

static inline long ss_arch_value(const ucontext_t *uc)
{
	return (long)uc->uc_mcontext.gp_regs[3];
}

/* CR0.SO says that the value is an errno. */
#define SS_ARCH_FAILED
static inline int ss_arch_failed(const ucontext_t *uc)
{
	return (uc->uc_mcontext.gp_regs[SS_CCR] & SS_CR0_SO) != 0;
}

static inline void ss_arch_set_error(ucontext_t *uc, int error)
{
	uc->uc_mcontext.gp_regs[3] = (unsigned long)error;
	uc->uc_mcontext.gp_regs[SS_CCR] |= SS_CR0_SO;
}

/*
 * On the instruction: was the kernel entered?  Either this very interrupt came
 * on the way out of the system call (trap 0xc00), or an earlier handler has
 * returned here since: then r9, which had the flag's address, is still zero, as
 * the kernel does not keep r9 to r12 over a system call.
 */
#define SS_ARCH_ENTERED
static inline int ss_arch_entered(const ucontext_t *uc, uintptr_t commit)
{
	(void)commit;
	return (uc->uc_mcontext.gp_regs[SS_TRAP] & ~0xfUL) == 0xc00 ||
	       uc->uc_mcontext.gp_regs[9] == 0;
}

static inline int ss_arch_restart_block(const ucontext_t *uc, uintptr_t call,
					uintptr_t commit)
{
	(void)commit;
	return ss_arch_pc(uc) == call &&
	       uc->uc_mcontext.gp_regs[0] == SYS_restart_syscall;
}

#endif
