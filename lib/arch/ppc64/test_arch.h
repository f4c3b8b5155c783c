/* SPDX-License-Identifier: MIT */
/* What the tests need to know of ppc64; tests/code.h says what each is. */

typedef uint32_t ta_unit;

/* r1, r2, r13 to r31 */
typedef uint64_t ta_reg;
#define TA_REG_PC 32
#define TA_REGS_KEPT 0xffffe006ULL

static const ta_unit ta_call[] = { 0x44000002 };
static const ta_unit ta_trap[] = { 0x7fe00008 };
static const ta_unit ta_return[] = { 0x4e800020 };

enum {
	TA_BEFORE_START = 8,
	TA_NORMAL = 14,
	TA_FAILED = 16,
	TA_PRESERVED = 21
};

static inline size_t ta_length(const ta_unit *p)
{
	(void)p;
	return 4;
}

/* blr, and bnslr with any hint */
static inline int ta_is_return(const ta_unit *p)
{
	return *p == 0x4e800020 || (*p & 0xfc1fffff) == 0x4c030020;
}

static inline uintptr_t ta_return_address(const ucontext_t *uc)
{
	return uc->uc_mcontext.gp_regs[36];
}

/* r1, r2, r13 to r31 */
static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.gp_regs[i < 2 ? i + 1 : i + 11];
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return uc->uc_mcontext.gp_regs[0];
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.gp_regs[3 + i];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.gp_regs[0] = (unsigned long)number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.gp_regs[3] = (unsigned long)value;
	uc->uc_mcontext.gp_regs[SS_CCR] = failed ? SS_CR0_SO : 0;
}

/* With descriptors, r2 comes with the entry and is not computed there. */
#if !(defined _CALL_ELF && _CALL_ELF == 2)
# define TA_CODE_OF(function) (*(const uintptr_t *)(function))
# define TA_MOST { 78, 43, 18, 11, 30, 24, 65, 59 }
#else
# define TA_MOST { 80, 47, 20, 13, 32, 26, 67, 61 }
#endif

/* gcc and its libgcc make nothing of __builtin___clear_cache(). */
#define TA_CODE_CHANGED
static inline void ta_code_changed(const void *code, size_t size)
{
	uintptr_t block, end = (uintptr_t)code + size;

	for (block = (uintptr_t)code & -(uintptr_t)16; block < end; block += 16)
		__asm__ volatile ("dcbst	0, %0" : : "r" (block) : "memory");
	__asm__ volatile ("sync" : : : "memory");
	for (block = (uintptr_t)code & -(uintptr_t)16; block < end; block += 16)
		__asm__ volatile ("icbi	0, %0" : : "r" (block) : "memory");
	__asm__ volatile ("sync\n\tisync" : : : "memory");
}

#define TA_CAN_TELL
static inline void ta_set_entered(ucontext_t *uc, uintptr_t commit, int entered)
{
	(void)commit;
	uc->uc_mcontext.gp_regs[SS_TRAP] = entered ? 0xc01 : 0x900;
	uc->uc_mcontext.gp_regs[9] = !entered;
}

static inline int ta_can_tell(void)
{
	return 1;
}

/* r13 is among the registers of a context: that of the thread we are on. */
#define TA_THREAD_REGISTER
#define TA_THREAD_PRESERVED 2
static inline void ta_take_thread(ucontext_t *uc)
{
	__asm__ volatile ("mr %0, %%r13" : "=r" (uc->uc_mcontext.gp_regs[13]));
}

/* Vector registers: vr0 to vr31, vscr, vrsave, then the other halves of vsr0 to vsr31. */
#define TA_STATE_ELSEWHERE
static inline void *ta_state(const ucontext_t *uc, size_t *length)
{
	*length = 34 * 16 + 32 * 8;
	return uc->uc_mcontext.v_regs;
}

static inline void ta_set_state(ucontext_t *uc, void *state)
{
	uc->uc_mcontext.v_regs = state;
}

/*
 * Leave a handler by the stub, see code.h: a frame begins with the ucontext_t.  Where
 * functions have descriptors, the first word of it is the entry.
 */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	register const volatile int *flag __asm__ ("r3") = zero;
	register long number __asm__ ("r4") = SYS_rt_sigreturn;
	long (*stub)(const volatile int *, long, ...) = safe_syscall_raw;
	uintptr_t entry = (uintptr_t)stub;

#if !defined _CALL_ELF || _CALL_ELF == 1
	entry = *(uintptr_t *)entry;
#endif
	(void)info;
	__asm__ volatile ("mr	%%r1, %0\n\t"
			  "mtctr	%1\n\t"
			  "bctr"
			  : : "r" (ucontext), "r" (entry), "r" (flag), "r" (number)
			  : "memory", "ctr");
	__builtin_unreachable();
}
