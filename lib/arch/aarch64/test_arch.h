/* SPDX-License-Identifier: MIT */
/* What the tests need to know of aarch64; tests/code.h says what each is. */

typedef uint32_t ta_unit;

/* x19 to x30, sp */
typedef uint64_t ta_reg;
#define TA_REG_PC 32
#define TA_REGS_KEPT 0xfff80000ULL

/* Instructions are little endian whatever the data are. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
# define TA_INSN(x) __builtin_bswap32(x)
#else
# define TA_INSN(x) (x)
#endif

static const ta_unit ta_call[] = { TA_INSN(0xd4000001) };
static const ta_unit ta_trap[] = { TA_INSN(0xd4200000) };
static const ta_unit ta_return[] = { TA_INSN(0xd65f03c0) };

enum {
	TA_BEFORE_START = 9,
	TA_NORMAL = 13,
	TA_FAILED = 13,
	TA_PRESERVED = 12
};

/* without LSE; with it, fewer */
#define TA_MOST { 61, 55, 9, 5, 24, 19, 50, 45 }

static inline size_t ta_length(const ta_unit *p)
{
	(void)p;
	return 4;
}

static inline int ta_is_return(const ta_unit *p)
{
	return *p == ta_return[0];
}

static inline uintptr_t ta_return_address(const ucontext_t *uc)
{
	return uc->uc_mcontext.regs[30];
}

/* x19 to x29, sp */
static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	return i < 11 ? uc->uc_mcontext.regs[19 + i] : uc->uc_mcontext.sp;
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return uc->uc_mcontext.regs[8];
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.regs[i];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.regs[8] = (unsigned long)number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.regs[0] = (unsigned long)(failed ? -value : value);
}

/* Leave a handler by the stub, see code.h: a frame begins with the siginfo_t. */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	register const volatile int *flag __asm__ ("x0") = zero;
	register long number __asm__ ("x1") = SYS_rt_sigreturn;
	/* from x16 a jump may lead to a bti c */
	register long (*stub)(const volatile int *, long, ...) __asm__ ("x16") =
		safe_syscall_raw;

	(void)ucontext;
	__asm__ volatile ("mov	sp, %0\n\t"
			  "br	%1"
			  : : "r" (info), "r" (stub), "r" (flag), "r" (number)
			  : "memory");
	__builtin_unreachable();
}
