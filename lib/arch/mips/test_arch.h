/* SPDX-License-Identifier: MIT */
/* What the tests need to know of mips; tests/code.h says what each is. */

typedef uint32_t ta_unit;

/* s0 to s7, gp, sp, s8, ra; o32 has the home of its arguments before the registers */
#if SS_O32
typedef uint32_t ta_reg;
# define TA_REG_PC 40
# define TA_REGS_KEPT (0xf0ff0000ULL << 6)
#else
typedef uint64_t ta_reg;
# define TA_REG_PC 34
# define TA_REGS_KEPT 0xf0ff0000ULL
#endif

static const ta_unit ta_call[] = { 0x0000000c };
static const ta_unit ta_trap[] = { 0x0000000d };
static const ta_unit ta_return[] = { 0x03e00008 };

enum {
	TA_BEFORE_START = SS_O32 ? 7 : 9,
	TA_NORMAL = SS_O32 ? 16 : 18,
	TA_FAILED = SS_O32 ? 17 : 19,
	TA_PRESERVED = 12
};

static inline size_t ta_length(const ta_unit *p)
{
	(void)p;
	return 4;
}

static inline int ta_is_return(const ta_unit *p)
{
	return *p == ta_return[0];
}

/* jr, beqz, bnez */
#define TA_HAS_SLOT
static inline int ta_has_slot(const ta_unit *p)
{
	return *p == ta_return[0] || *p >> 26 == 4 || *p >> 26 == 5;
}

static inline uintptr_t ta_return_address(const ucontext_t *uc)
{
	return (uintptr_t)uc->uc_mcontext.gregs[31];
}

/* s0 to s7, gp, sp, s8, ra */
static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.gregs[i < 8 ? 16 + i : 20 + i];
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return uc->uc_mcontext.gregs[2];
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
#if SS_O32
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[29];

	if (i >= 4)
		return ((const uint32_t *)sp)[i];
#endif
	return uc->uc_mcontext.gregs[4 + i];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.gregs[2] = (unsigned long long)number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.gregs[2] = (unsigned long long)value;
	uc->uc_mcontext.gregs[7] = failed;
}

/*
 * Leave a handler by the stub, see code.h: a frame begins with 24 bytes, and then the
 * siginfo_t.  The stub moves the stack pointer before the call: down by 16 bytes or,
 * on o32, up by 8.
 */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	const char *sp = (const char *)info - 24 + (SS_O32 ? -8 : 16);
	register const volatile int *flag __asm__ ("$4") = zero;
	register long number __asm__ ("$5") = SYS_rt_sigreturn;

	(void)ucontext;
	__asm__ volatile (".set	push\n\t"
			  ".set	noreorder\n\t"
			  "move	$29, %0\n\t"
			  "jr	%1\n\t"
			  " nop\n\t"
			  ".set	pop"
			  : : "r" (sp), "r" (safe_syscall_raw), "r" (flag),
			  "r" (number) : "memory");
	__builtin_unreachable();
}
