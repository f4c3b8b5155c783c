/* SPDX-License-Identifier: MIT */
/* What the tests need to know of x86_64 and x32; tests/code.h says what each is. */

typedef uint8_t ta_unit;

/* r12 to r15, rbp, rbx, rsp */
typedef uint64_t ta_reg;
#define TA_REG_PC 16
#define TA_REGS_KEPT 0x8003fULL
#define TA_TRAP_MOVES 1

static const ta_unit ta_call[] = { 0x0f, 0x05 };
static const ta_unit ta_trap[] = { 0xcc };
static const ta_unit ta_return[] = { 0xc3 };

enum {
	TA_BEFORE_START = 9,
	TA_NORMAL = 14,
	TA_FAILED = 14,
	TA_PRESERVED = 7
};

#ifdef __ILP32__
# define TA_MOST { 72, 29, 10, 7, 48, 39, 77, 68 }
#else
# define TA_MOST { 69, 25, 10, 7, 51, 34, 80, 63 }
#endif

/* Only the instructions that the stub, or a mutant of it, is made of. */
static inline size_t ta_length(const ta_unit *p)
{
	size_t rex = (p[0] & 0xf0) == 0x40 || p[0] == 0x66;
	size_t n;

	switch (p[rex]) {
	case 0xf3:			/* endbr64 */
		return 4;
	case 0x0f:			/* syscall */
	case 0x75:			/* jne */
		return 2;
	case 0xc3:			/* ret */
		return 1;
	case 0x31:			/* xor */
	case 0x39:			/* cmp */
	case 0x89:			/* mov */
	case 0x8b:
		n = 2;
		break;
	case 0x83:			/* cmp, 8 bits immediate */
		n = 3;
		break;
	case 0xc7:			/* mov, 32 bits immediate */
		n = 6;
		break;
	default:
		return 0;
	}
	n += rex;
	p += rex + 1;
	if (p[0] >> 6 != 3 && (p[0] & 7) == 4)
		n++;			/* index */
	if (p[0] >> 6 == 1)
		n++;			/* displacement */
	if ((p[0] & 0xc7) == 5)
		n += 4;			/* from the next instruction */
	return n;
}

static inline int ta_is_return(const ta_unit *p)
{
	return p[0] == 0xc3;
}

static inline uintptr_t ta_return_address(const ucontext_t *uc)
{
	return *(const uintptr_t *)(uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
}

static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	static const int reg[TA_PRESERVED] = {
		REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15, REG_RSP
	};

	return (uint64_t)uc->uc_mcontext.gregs[reg[i]];
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return (uint64_t)uc->uc_mcontext.gregs[REG_RAX];
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
	static const int reg[] = {
		REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9
	};

	return (uint64_t)uc->uc_mcontext.gregs[reg[i]];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.gregs[REG_RAX] = number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.gregs[REG_RAX] = failed ? -value : value;
}

#define TA_SYSCALL ta_syscall
static inline long ta_syscall(long number, long a, const void *b, long c)
{
	long result;

	__asm__ volatile ("syscall" : "=a"(result)
			  : "a"(number), "D"(a), "S"(b), "d"(c)
			  : "rcx", "r11", "memory");
	return result;
}

#define TA_CAN_TELL
static inline void ta_set_entered(ucontext_t *uc, uintptr_t commit, int entered)
{
	uc->uc_mcontext.gregs[REG_RCX] = entered ? (greg_t)commit : 0;
}

static inline int ta_can_tell(void)
{
	return !ss_arch_has_fred();
}

/*
 * A handler that goes back by the stub: the kernel puts the restorer where a
 * handler returns to, and wants the stack as the return has left it.  So jump, and
 * call nothing.  The stub's word below the stack pointer falls on the return
 * address that has been used.
 */
#define TA_HAS_RESTORER 1
#define TA_TEXT_OF(x) #x
#define TA_TEXT(x) TA_TEXT_OF(x)

__attribute__((naked, unused)) static void ta_restorer(void)
{
	__asm__ ("lea	1f(%rip), %rdi\n\t"
		 "mov	$" TA_TEXT(SYS_rt_sigreturn) ", %esi\n\t"
		 "jmp	*safe_syscall_raw@GOTPCREL(%rip)\n\t"
		 ".balign 4\n"
		 "1:	.long	0");
}

/* As sigaction(2), where the C library would put in a restorer of its own. */
static inline int ta_set_handler(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct {
		void (*handler)(int, siginfo_t *, void *);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask[8 / sizeof(long)];
	} sa = { handler, SA_SIGINFO | 0x04000000 /* SA_RESTORER */, ta_restorer, { 0 } };

	return (int)syscall(SYS_rt_sigaction, (long)sig, &sa, NULL, 8L);
}

/*
 * What a context only points to: floating-point and vector registers, in the format
 * of xsave.  Their length is where the processor leaves room for software.
 */
#define TA_STATE_ELSEWHERE
static inline void *ta_state(const ucontext_t *uc, size_t *length)
{
	const char *fx = (const char *)uc->uc_mcontext.fpregs;
	uint32_t magic, extended;

	*length = 0;
	if (!fx)
		return NULL;
	memcpy(&magic, fx + 464, sizeof magic);
	memcpy(&extended, fx + 468, sizeof extended);
	*length = magic == 0x46505853 ? extended : 512;
	return uc->uc_mcontext.fpregs;
}

static inline void ta_set_state(ucontext_t *uc, void *state)
{
	uc->uc_mcontext.fpregs = state;
}

/* Leave a handler by the stub, see code.h: the context is where the stack was. */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	register const volatile int *flag __asm__ ("rdi") = zero;
	register long number __asm__ ("rsi") = SYS_rt_sigreturn;

	(void)info;
	__asm__ volatile ("mov	%q0, %%rsp\n\t"
			  "jmp	*%q1"
			  : : "r" (ucontext), "r" (safe_syscall_raw), "r" (flag),
			  "r" (number) : "memory");
	__builtin_unreachable();
}
