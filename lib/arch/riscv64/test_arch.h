/* SPDX-License-Identifier: MIT */
/* What the tests need to know of riscv64; tests/code.h says what each is. */

typedef uint32_t ta_unit;

/* ra, sp, gp, tp, s0 to s11 */
typedef uint64_t ta_reg;
#define TA_REG_PC 0
#define TA_REGS_KEPT 0x0ffc031eULL

static const ta_unit ta_call[] = { 0x00000073 };
static const ta_unit ta_trap[] = { 0x00100073 };
static const ta_unit ta_return[] = { 0x00008067 };

enum {
	TA_BEFORE_START = 9,
	TA_NORMAL = 13,
	TA_FAILED = 13,
	TA_PRESERVED = 13
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

static inline uintptr_t ta_return_address(const ucontext_t *uc)
{
	return uc->uc_mcontext.__gregs[1];
}

/* sp, s0 to s11 */
static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	static const int reg[TA_PRESERVED] = {
		2, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
	};

	return uc->uc_mcontext.__gregs[reg[i]];
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return uc->uc_mcontext.__gregs[17];
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.__gregs[10 + i];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.__gregs[17] = (unsigned long)number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.__gregs[10] = (unsigned long)(failed ? -value : value);
}

/* tp is among the registers of a context: that of the thread we are on. */
#define TA_THREAD_REGISTER
static inline void ta_take_thread(ucontext_t *uc)
{
	__asm__ volatile ("mv %0, tp" : "=r" (uc->uc_mcontext.__gregs[4]));
}

/* Leave a handler by the stub, see code.h: a frame begins with the siginfo_t. */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	register const volatile int *flag __asm__ ("a0") = zero;
	register long number __asm__ ("a1") = SYS_rt_sigreturn;

	(void)ucontext;
	__asm__ volatile ("mv	sp, %0\n\t"
			  "jr	%1"
			  : : "r" (info), "r" (safe_syscall_raw), "r" (flag),
			  "r" (number) : "memory");
	__builtin_unreachable();
}
