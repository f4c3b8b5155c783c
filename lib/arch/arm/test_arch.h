/* SPDX-License-Identifier: MIT */
/* What the tests need to know of arm; tests/code.h says what each is. */

#include <sys/utsname.h>

typedef uint32_t ta_unit;

/* r4 to r11, sp, lr */
typedef uint32_t ta_reg;
#define TA_REG_PC 15
#define TA_REGS_KEPT 0x6ff0ULL

#define TA_CFA(context) _Unwind_GetGR(context, 13)

/* A kernel for 64 bits does not. */
#define TA_RESTARTS_INSIDE
static inline int ta_restarts_inside(void)
{
	struct utsname u;

	return uname(&u) == 0 && strcmp(u.machine, "aarch64") && strcmp(u.machine, "armv8l");
}

static const ta_unit ta_call[] = { 0xef000000 };
static const ta_unit ta_trap[] = { 0xe7f001f0 };
static const ta_unit ta_return[] = { 0xe12fff1e };

/* Thumb: bit 0 of a function's address says so, and an instruction is one half-word or two. */
#ifdef __thumb__
# define TA_CODE_OF(function) ((uintptr_t)(function) & ~(uintptr_t)1)
# define TA_MOST { 94, 61, 12, 6, 32, 24, 57, 49 }
# define TA_COMPILED
static const uint16_t ta_compiled_trap[] = { 0xde01 };
static inline uintptr_t ta_behind(uintptr_t jump)
{
	return jump + (*(const uint16_t *)jump >> 11 >= 0x1d ? 4 : 2);
}
#endif

enum {
	TA_BEFORE_START = 7,
	TA_NORMAL = 13,
	TA_FAILED = 13,
	TA_PRESERVED = 10
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
	return uc->uc_mcontext.arm_lr & ~1UL;
}

/* r4 to r11, sp; lr is not, but the stub returns by it and so keeps it */
static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	const unsigned long *r = &uc->uc_mcontext.arm_r0;

	return r[i < 8 ? 4 + i : 5 + i];
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return uc->uc_mcontext.arm_r7;
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
	return (&uc->uc_mcontext.arm_r0)[i];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.arm_r7 = (unsigned long)number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.arm_r0 = (unsigned long)(failed ? -value : value);
}

/* What lies beside the registers: those of the floating-point unit. */
#define TA_STATE_ELSEWHERE
static inline void *ta_state(const ucontext_t *uc, size_t *length)
{
	*length = sizeof uc->uc_regspace;
	return (void *)(uintptr_t)uc->uc_regspace;
}

static inline void ta_set_state(ucontext_t *uc, void *state)
{
	(void)uc;	/* it is in its place */
	(void)state;
}

/*
 * Leave a handler by the stub, see code.h: a frame begins with the siginfo_t.  The stub
 * moves the stack pointer down by 16 bytes before the call.
 */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	register const volatile int *flag __asm__ ("r0") = zero;
	register long number __asm__ ("r1") = SYS_rt_sigreturn;

	(void)ucontext;
	__asm__ volatile ("mov	sp, %0\n\t"
			  "bx	%1"
			  : : "r" ((char *)info + 16), "r" (safe_syscall_raw), "r" (flag),
			  "r" (number) : "memory");
	__builtin_unreachable();
}
