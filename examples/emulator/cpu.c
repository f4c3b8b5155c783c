/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - the interpreter of MIPS32 release 2.
 *
 * One instruction after the other, no translation.  What must be exact is where
 * it stops.  An access to guest memory may fault at any place here; signal.c
 * then jumps out to thread_loop(), and finds the instruction in cpu->pc, which
 * is stored before each, and the registers as they were before it: each
 * instruction makes its access first and changes a register after it.
 *
 * The thread's flag is looked at where a branch is taken, so no loop of the
 * guest goes on without a look.  This is the other half of what the stub does
 * for system calls: a signal finds the thread here, or there.
 */
#include "emulator.h"

#define OP(insn)	((insn) >> 26)
#define RS		(insn >> 21 & 31)
#define RT		(insn >> 16 & 31)
#define RD		(insn >> 11 & 31)
#define SA		(insn >> 6 & 31)
#define FUNCTION	(insn & 63)
#define SIGNED		((uint32_t)(int32_t)(int16_t)insn)
#define UNSIGNED	(insn & 0xffff)

/* ---- guest memory -------------------------------------------------------- */

/*
 * A double is one access of the guest, which another thread may not see in
 * halves.  In memory the byte order decides which half is first.
 */
static void load_double(struct cpu *cpu, unsigned int ft, uint32_t a)
{
	uint64_t v = get64(a);

	cpu->f[ft & ~1u] = (uint32_t)v;
	cpu->f[ft | 1] = (uint32_t)(v >> 32);
}

static void store_double(const struct cpu *cpu, unsigned int ft, uint32_t a)
{
	put64(a, (uint64_t)cpu->f[ft | 1] << 32 | cpu->f[ft & ~1u]);
}

/*
 * lwl and lwr fetch the part of a word that lies on one side of a word boundary,
 * into the upper or the lower end of the register.  This is the number of the byte
 * as a little-endian processor counts.
 */
static unsigned int byte_of(uint32_t a)
{
	return guest_big ? 3 - (a & 3) : a & 3;
}

static uint32_t load_left(uint32_t old, uint32_t a)
{
	unsigned int bits = 8 * byte_of(a);

	return get32(a & ~3u) << (24 - bits) | (old & (0x00ffffffu >> bits));
}

static uint32_t load_right(uint32_t old, uint32_t a)
{
	unsigned int bits = 8 * byte_of(a);

	return get32(a & ~3u) >> bits | (old & ~(0xffffffffu >> bits));
}

/* Byte by byte: the bytes beside them may be another thread's. */
static void store_left(uint32_t v, uint32_t a)
{
	for (unsigned int i = 0; i <= byte_of(a); i++)
		put8(guest_big ? a + i : a - i, (uint8_t)(v >> (24 - 8 * i)));
}

static void store_right(uint32_t v, uint32_t a)
{
	for (unsigned int i = 0; i < 4 - byte_of(a); i++)
		put8(guest_big ? a - i : a + i, (uint8_t)(v >> (8 * i)));
}

/*
 * sc succeeds when the word has the value that ll saw.  That it may have had
 * another in between goes unnoticed; a signal breaks the link.
 */
static uint32_t store_conditional(struct cpu *cpu, uint32_t a, uint32_t v)
{
	any32 expected = order32(cpu->linked_value);
	bool is_linked = cpu->linked == a;

	cpu->linked = 1;
	return is_linked && __atomic_compare_exchange_n((any32 *)host(a), &expected, order32(v),
							false, __ATOMIC_SEQ_CST,
							__ATOMIC_SEQ_CST);
}

/* ---- integers ------------------------------------------------------------ */

static void set_hi_lo(struct cpu *cpu, uint64_t v)
{
	cpu->hi = (uint32_t)(v >> 32);
	cpu->lo = (uint32_t)v;
}

static uint64_t hi_lo(const struct cpu *cpu)
{
	return (uint64_t)cpu->hi << 32 | cpu->lo;
}

static uint64_t multiply(uint32_t a, uint32_t b, bool is_signed)
{
	return is_signed ? (uint64_t)((int64_t)(int32_t)a * (int32_t)b) :
		(uint64_t)a * b;
}

/* By zero: any result will do, but the host must not trap. */
static void divide(struct cpu *cpu, uint32_t a, uint32_t b, bool is_signed)
{
	if (b == 0 || (is_signed && a == 0x80000000u && b == 0xffffffffu)) {
		cpu->lo = b ? a : 0xffffffffu;
		cpu->hi = b ? 0 : a;
	} else if (is_signed) {
		cpu->lo = (uint32_t)((int32_t)a / (int32_t)b);
		cpu->hi = (uint32_t)((int32_t)a % (int32_t)b);
	} else {
		cpu->lo = a / b;
		cpu->hi = a % b;
	}
}

static uint32_t rotate(uint32_t v, unsigned int n)
{
	return v >> n | v << (-n & 31);
}

static uint32_t sign_shift(uint32_t v, unsigned int n)
{
	return (uint32_t)((int32_t)v >> n);
}

static uint32_t leading_zeros(uint32_t v)
{
	return v ? (uint32_t)__builtin_clz(v) : 32;
}

/* As many ones as from bit `first` to bit `last`. */
static uint32_t ones(unsigned int first, unsigned int last)
{
	return 0xffffffffu >> (31 - (last - first));
}

/* ---- the loop ------------------------------------------------------------ */

/* tge tgeu tlt tltu teq tne, by the end of their codes; also with a constant */
static bool traps(unsigned int code, uint32_t a, uint32_t b)
{
	switch (code & 7) {
	case 0: return (int32_t)a >= (int32_t)b;
	case 1: return a >= b;
	case 2: return (int32_t)a < (int32_t)b;
	case 3: return a < b;
	case 4: return a == b;
	default: return a != b;
	}
}

/* An instruction that does not come to its end is the one that cpu->pc says. */
#define LEAVE(why)	return (why)
#define NEED(ok)	do { if (!(ok)) LEAVE(EVENT_ILLEGAL); } while (0)
#define TRAP_IF(c)	do { if (c) LEAVE(EVENT_TRAP); } while (0)
#define CHECKED(operation, to, a, b) do { \
		int32_t result; \
		if (__builtin_##operation##_overflow((int32_t)(a), (int32_t)(b), &result)) \
			LEAVE(EVENT_OVERFLOW); \
		(to) = (uint32_t)result; \
	} while (0)
#define ALIGNED(a, n)	do { \
		if ((a) & ((n) - 1)) { \
			cpu->bad = (a); \
			LEAVE(EVENT_ADDRESS); \
		} \
	} while (0)
/* From here on a is the address, of n bytes. */
#define AT(n)		do { a += SIGNED; ALIGNED(a, n); } while (0)
#define AT_INDEX(n)	do { a += b; ALIGNED(a, n); } while (0)

/* pc is that of the delay slot by now */
#define GO(target)	do { \
		next = (target); \
		if (__builtin_expect(t->pending, 0)) \
			goto pending; \
	} while (0)
/* The delay slot of a likely one that is not taken is skipped. */
#define BRANCH_IF(c, likely) do { \
		if (c) { \
			GO(pc + (SIGNED << 2)); \
		} else if (likely) { \
			pc = next; \
			next += 4; \
		} \
	} while (0)
#define LIKELY		(OP(insn) & 0x10)

enum event cpu_run(struct thread *t)
{
	struct cpu *const cpu = &t->cpu;
	uint32_t *const r = cpu->r;
	uint32_t pc = cpu->pc, next = cpu->next;
	uint32_t insn, a, b;

	for (;;) {
		cpu->pc = pc;
		cpu->next = next;
		r[0] = 0;
		/* all of it in memory, where a fault finds it */
		__asm__ volatile("" ::: "memory");
		ALIGNED(pc, 4);
		insn = get32(pc);
		pc = next;
		next += 4;
		a = r[RS];
		b = r[RT];

		switch (OP(insn)) {
		case 0x00:
			switch (FUNCTION) {
			case 0x00: r[RD] = b << SA; break;			/* sll */
			case 0x01: r[RD] = fpu_is(cpu, insn) ? a : r[RD]; break; /* movf, movt */
			case 0x02: r[RD] = RS & 1 ? rotate(b, SA) : b >> SA; break; /* srl, rotr */
			case 0x03: r[RD] = sign_shift(b, SA); break;		/* sra */
			case 0x04: r[RD] = b << (a & 31); break;		/* sllv */
			case 0x06:						/* srlv, rotrv */
				r[RD] = SA & 1 ? rotate(b, a & 31) : b >> (a & 31);
				break;
			case 0x07: r[RD] = sign_shift(b, a & 31); break;	/* srav */
			case 0x09: r[RD] = next;				/* jalr */
				/* fall through */
			case 0x08: GO(a); break;				/* jr */
			case 0x0a: r[RD] = b ? r[RD] : a; break;		/* movz */
			case 0x0b: r[RD] = b ? a : r[RD]; break;		/* movn */
			case 0x0c: LEAVE(EVENT_SYSCALL);
			case 0x0d: LEAVE(EVENT_BREAK);
			case 0x0f: __atomic_thread_fence(__ATOMIC_SEQ_CST); break; /* sync */
			case 0x10: r[RD] = cpu->hi; break;			/* mfhi */
			case 0x11: cpu->hi = a; break;				/* mthi */
			case 0x12: r[RD] = cpu->lo; break;			/* mflo */
			case 0x13: cpu->lo = a; break;				/* mtlo */
			case 0x18: set_hi_lo(cpu, multiply(a, b, true)); break;	/* mult */
			case 0x19: set_hi_lo(cpu, multiply(a, b, false)); break; /* multu */
			case 0x1a: divide(cpu, a, b, true); break;		/* div */
			case 0x1b: divide(cpu, a, b, false); break;		/* divu */
			case 0x20: CHECKED(add, r[RD], a, b); break;	/* add */
			case 0x21: r[RD] = a + b; break;			/* addu */
			case 0x22: CHECKED(sub, r[RD], a, b); break;	/* sub */
			case 0x23: r[RD] = a - b; break;			/* subu */
			case 0x24: r[RD] = a & b; break;			/* and */
			case 0x25: r[RD] = a | b; break;			/* or */
			case 0x26: r[RD] = a ^ b; break;			/* xor */
			case 0x27: r[RD] = ~(a | b); break;			/* nor */
			case 0x2a: r[RD] = (int32_t)a < (int32_t)b; break;	/* slt */
			case 0x2b: r[RD] = a < b; break;			/* sltu */
			case 0x30: case 0x31: case 0x32: case 0x33: case 0x34: case 0x36:
				TRAP_IF(traps(FUNCTION, a, b));
				break;
			default: LEAVE(EVENT_ILLEGAL);
			}
			break;
		case 0x01:
			if (RT & 0x10 && RT < 0x14)	/* ..al: the link, taken or not */
				r[RA] = next;
			switch (RT) {
			case 0x00: case 0x02: case 0x10: case 0x12:		/* bltz.. */
				BRANCH_IF((int32_t)a < 0, RT & 2);
				break;
			case 0x01: case 0x03: case 0x11: case 0x13:		/* bgez.. */
				BRANCH_IF((int32_t)a >= 0, RT & 2);
				break;
			case 0x08: case 0x09: case 0x0a: case 0x0b: case 0x0c: case 0x0e:
				TRAP_IF(traps(RT, a, SIGNED));
				break;
			case 0x1f: break;					/* synci */
			default: LEAVE(EVENT_ILLEGAL);
			}
			break;
		case 0x03: r[RA] = next;					/* jal */
			/* fall through */
		case 0x02: GO((pc & 0xf0000000u) | (insn & 0x3ffffff) << 2); break; /* j */
		case 0x04: case 0x14: BRANCH_IF(a == b, LIKELY); break;		/* beq, beql */
		case 0x05: case 0x15: BRANCH_IF(a != b, LIKELY); break;		/* bne.. */
		case 0x06: case 0x16: BRANCH_IF((int32_t)a <= 0, LIKELY); break; /* blez.. */
		case 0x07: case 0x17: BRANCH_IF((int32_t)a > 0, LIKELY); break;	/* bgtz.. */
		case 0x08: CHECKED(add, r[RT], a, SIGNED); break;		/* addi */
		case 0x09: r[RT] = a + SIGNED; break;				/* addiu */
		case 0x0a: r[RT] = (int32_t)a < (int32_t)SIGNED; break;		/* slti */
		case 0x0b: r[RT] = a < SIGNED; break;				/* sltiu */
		case 0x0c: r[RT] = a & UNSIGNED; break;				/* andi */
		case 0x0d: r[RT] = a | UNSIGNED; break;				/* ori */
		case 0x0e: r[RT] = a ^ UNSIGNED; break;				/* xori */
		case 0x0f: r[RT] = insn << 16; break;				/* lui */
		case 0x1c:
			switch (FUNCTION) {
			case 0x00: case 0x01:					/* madd, maddu */
				set_hi_lo(cpu, hi_lo(cpu) + multiply(a, b, FUNCTION == 0x00));
				break;
			case 0x02: r[RD] = a * b; break;			/* mul */
			case 0x04: case 0x05:					/* msub, msubu */
				set_hi_lo(cpu, hi_lo(cpu) - multiply(a, b, FUNCTION == 0x04));
				break;
			case 0x20: r[RD] = leading_zeros(a); break;		/* clz */
			case 0x21: r[RD] = leading_zeros(~a); break;		/* clo */
			default: LEAVE(EVENT_ILLEGAL);
			}
			break;
		case 0x1f:
			switch (FUNCTION) {
			case 0x00: r[RT] = a >> SA & ones(0, RD); break;	/* ext */
			case 0x04:						/* ins */
				NEED(RD >= SA);
				r[RT] = (b & ~(ones(SA, RD) << SA)) | (a & ones(SA, RD)) << SA;
				break;
			case 0x20:						/* wsbh, seb, seh */
				NEED(SA == 0x02 || SA == 0x10 || SA == 0x18);
				r[RD] = SA == 0x10 ? (uint32_t)(int8_t)b :
					SA == 0x18 ? (uint32_t)(int16_t)b :
					(b & 0x00ff00ff) << 8 | (b >> 8 & 0x00ff00ff);
				break;
			case 0x3b:		/* rdhwr: a step for synci, thread-local storage */
				NEED(RD == 1 || RD == 29);
				r[RT] = RD == 29 ? cpu->user_local : 0;
				break;
			default: LEAVE(EVENT_ILLEGAL);
			}
			break;

		case 0x20: AT(1); r[RT] = (uint32_t)(int8_t)get8(a); break;	/* lb */
		case 0x24: AT(1); r[RT] = get8(a); break;			/* lbu */
		case 0x21: AT(2); r[RT] = (uint32_t)(int16_t)get16(a); break; /* lh */
		case 0x25: AT(2); r[RT] = get16(a); break;		/* lhu */
		case 0x23: AT(4); r[RT] = get32(a); break;		/* lw */
		case 0x22: AT(1); r[RT] = load_left(b, a); break;	/* lwl */
		case 0x26: AT(1); r[RT] = load_right(b, a); break;	/* lwr */
		case 0x28: AT(1); put8(a, (uint8_t)b); break;				/* sb */
		case 0x29: AT(2); put16(a, (uint16_t)b); break;		/* sh */
		case 0x2b: AT(4); put32(a, b); break;			/* sw */
		case 0x2a: AT(1); store_left(b, a); break;			/* swl */
		case 0x2e: AT(1); store_right(b, a); break;		/* swr */
		case 0x30: AT(4);						/* ll */
			cpu->linked_value = get32(a);
			cpu->linked = a;
			r[RT] = cpu->linked_value;
			break;
		case 0x38: AT(4); r[RT] = store_conditional(cpu, a, b); break; /* sc */
		case 0x33: break;						/* pref */

		case 0x11:
			if (RS == 0x08)			/* bc1f, bc1t, and likely ones */
				BRANCH_IF(fpu_is(cpu, insn), RT & 2);
			else
				NEED(fpu_execute(cpu, insn));
			break;
		case 0x31: AT(4); cpu->f[RT] = get32(a); break;		/* lwc1 */
		case 0x35: AT(8); load_double(cpu, RT, a); break;		/* ldc1 */
		case 0x39: AT(4); put32(a, cpu->f[RT]); break;		/* swc1 */
		case 0x3d: AT(8); store_double(cpu, RT, a); break;	/* sdc1 */
		case 0x13:
			switch (FUNCTION) {
			case 0x00: AT_INDEX(4); cpu->f[SA] = get32(a); break; /* lwxc1 */
			case 0x01: AT_INDEX(8); load_double(cpu, SA, a); break; /* ldxc1 */
			case 0x08: AT_INDEX(4); put32(a, cpu->f[RD]); break; /* swxc1 */
			case 0x09: AT_INDEX(8); store_double(cpu, RD, a); break; /* sdxc1 */
			case 0x0f: break;					/* prefx */
			default: NEED(fpu_execute_x(cpu, insn));
			}
			break;
		default:
			LEAVE(EVENT_ILLEGAL);
		}
	}
pending:
	/* in the delay slot of a branch that was taken: signal.c knows */
	cpu->pc = pc;
	cpu->next = next;
	r[0] = 0;
	return EVENT_PENDING;
}
