/* SPDX-License-Identifier: MIT */
/* What the tests need to know of i386; tests/code.h says what each is. */

typedef uint8_t ta_unit;

/* ebx, esi, edi, ebp, esp */
typedef uint32_t ta_reg;
#define TA_REG_PC 12
#define TA_REGS_KEPT 0x8039ULL
#define TA_TRAP_MOVES 1

static const ta_unit ta_call[] = { 0xcd, 0x80 };
static const ta_unit ta_trap[] = { 0xcc };
static const ta_unit ta_return[] = { 0xc3 };

enum {
	TA_BEFORE_START = 8,
	TA_NORMAL = 16,
	TA_FAILED = 16,
	TA_PRESERVED = 5
};

#define TA_MOST { 88, 39, 15, 8, 34, 34, 73, 73 }

/* Only the instructions that the stub, or a mutant of it, is made of. */
static inline size_t ta_length(const ta_unit *p)
{
	size_t prefix = p[0] == 0x66;
	size_t n;

	p += prefix;
	switch (p[0]) {
	case 0xf3:			/* endbr32 */
		return 4;
	case 0x75:			/* jne */
	case 0xcd:			/* int */
		return 2;
	case 0x60:			/* pusha */
	case 0x61:			/* popa */
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
	if (p[1] >> 6 != 3 && (p[1] & 7) == 4)
		n++;			/* index */
	if (p[1] >> 6 == 1)
		n++;			/* displacement */
	if ((p[1] & 0xc7) == 5)
		n += 4;			/* an address */
	return n + prefix;
}

static inline int ta_is_return(const ta_unit *p)
{
	return p[0] == 0xc3;
}

static inline uintptr_t ta_return_address(const ucontext_t *uc)
{
	return *(const uintptr_t *)(uintptr_t)uc->uc_mcontext.gregs[REG_ESP];
}

static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	static const int reg[TA_PRESERVED] = {
		REG_EBX, REG_ESI, REG_EDI, REG_EBP, REG_ESP
	};

	return (uint32_t)uc->uc_mcontext.gregs[reg[i]];
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return (uint32_t)uc->uc_mcontext.gregs[REG_EAX];
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
	static const int reg[] = {
		REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI, REG_EBP
	};

	return (uint32_t)uc->uc_mcontext.gregs[reg[i]];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.gregs[REG_EAX] = number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.gregs[REG_EAX] = failed ? -value : value;
}

#define TA_SYSCALL ta_syscall
static inline long ta_syscall(long number, long a, const void *b, long c)
{
	long result;

	__asm__ volatile ("int	$0x80" : "=a"(result)
			  : "a"(number), "b"(a), "c"(b), "d"(c)
			  : "memory");
	return result;
}

/*
 * What a context only points to: floating-point and vector registers.  In front of
 * the format of xsave there is that of fsave, 112 bytes, and what the
 * processor leaves to software tells the length of both; or there is fsave's alone.
 */
#define TA_STATE_ELSEWHERE
static inline void *ta_state(const ucontext_t *uc, size_t *length)
{
	const char *fp = (const char *)uc->uc_mcontext.fpregs;
	uint32_t magic, extended;
	uint16_t has_fx;

	*length = 0;
	if (!fp)
		return NULL;
	memcpy(&has_fx, fp + 110, sizeof has_fx);
	memcpy(&magic, fp + 112 + 464, sizeof magic);
	memcpy(&extended, fp + 112 + 468, sizeof extended);
	*length = has_fx == 0xffff ? 112 : magic == 0x46505853 ? extended : 112 + 512;
	return uc->uc_mcontext.fpregs;
}

static inline void ta_set_state(ucontext_t *uc, void *state)
{
	uc->uc_mcontext.fpregs = state;
}

/*
 * Leave a handler by the stub, see code.h: a frame begins with the return address,
 * which a return would have taken off, and three arguments; the siginfo_t follows.
 * The stub moves the stack pointer down by 32 bytes before the call.  Its own
 * arguments fall into the siginfo_t.
 */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	uintptr_t *sp = (uintptr_t *)(uintptr_t)((char *)info - 16 + 4 + 32);

	(void)ucontext;
	sp[1] = (uintptr_t)zero;
	sp[2] = SYS_rt_sigreturn;
	__asm__ volatile ("mov	%0, %%esp\n\t"
			  "jmp	*%1"
			  : : "r" (sp), "r" (safe_syscall_raw) : "memory");
	__builtin_unreachable();
}
