/* SPDX-License-Identifier: MIT */
/* What the tests need to know of loongarch64; tests/code.h says what each is. */

typedef uint32_t ta_unit;

/* ra, tp, sp, r21, fp, s0 to s8 */
typedef uint64_t ta_reg;
#define TA_REG_PC 33
#define TA_REGS_KEPT 0xffe0000eULL
#define TA_NO_STEP 1	/* QEMU 10 has not the watchpoints by which the kernel steps */

static const ta_unit ta_call[] = { 0x002b0000 };
static const ta_unit ta_trap[] = { 0x002a0005 };
static const ta_unit ta_return[] = { 0x4c000020 };

enum {
	TA_BEFORE_START = 10,
	TA_NORMAL = 14,
	TA_FAILED = 14,
	TA_PRESERVED = 11
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

/* sp, fp, s0 to s8 */
static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.__gregs[i ? 21 + i : 3];
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return uc->uc_mcontext.__gregs[11];
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.__gregs[4 + i];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.__gregs[11] = (unsigned long)number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.__gregs[4] = (unsigned long)(failed ? -value : value);
}

/* tp is among the registers of a context: that of the thread we are on. */
#define TA_THREAD_REGISTER
static inline void ta_take_thread(ucontext_t *uc)
{
	__asm__ volatile ("move	%0, $tp" : "=r" (uc->uc_mcontext.__gregs[2]));
}

/*
 * What lies behind a context: records of floating-point and vector registers, each
 * with its length, as far as one of length 0.
 */
#define TA_STATE_ELSEWHERE
static inline void *ta_state(const ucontext_t *uc, size_t *length)
{
	char *state = (char *)(uintptr_t)uc->uc_mcontext.__extcontext;
	uint32_t size;

	*length = 0;
	do {
		memcpy(&size, state + *length + 4, sizeof size);
		*length += size ? size : 16;
	} while (size);
	return state;
}

static inline void ta_set_state(ucontext_t *uc, void *state)
{
	(void)uc;	/* it is in its place */
	(void)state;
}

/* Leave a handler by the stub, see code.h: a frame begins with the siginfo_t. */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	register const volatile int *flag __asm__ ("a0") = zero;
	register long number __asm__ ("a1") = SYS_rt_sigreturn;

	(void)ucontext;
	__asm__ volatile ("move	$sp, %0\n\t"
			  "jr	%1"
			  : : "r" (info), "r" (safe_syscall_raw), "r" (flag),
			  "r" (number) : "memory");
	__builtin_unreachable();
}
