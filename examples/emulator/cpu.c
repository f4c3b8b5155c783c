/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - the interpreter of MIPS32 release 2.
 *
 * One instruction after the other.  Each is decoded when the thread first comes to it
 * and kept, so that the next time it costs a jump to where it is carried out.
 *
 * What must be exact is where the interpreter stops.  An access to guest memory may
 * fault; signal.c then jumps out to thread_loop(), which asks cpu_stopped() for the
 * instruction: each notes itself before its access, and changes a register after it.
 *
 * The thread's flag is looked at where a branch is taken, so no loop of the guest goes
 * on without a look.  This is the other half of what the stub does for system calls: a
 * signal finds the thread here, or there.
 */
#include "emulator.h"

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

/* Where the thread was when a fault ended cpu_run(). */
void cpu_stopped(struct thread *t)
{
	t->cpu.pc = text_address(t, t->at);
	t->cpu.next = text_address(t, t->then);
}

/* The registers and the constant of the instruction. */
#define S		r[at->s]
#define T		r[at->t]
#define D		r[at->d]
#define C		at->constant
/* as they are encoded, where they are something else */
#define RS		(C >> 21 & 31)
#define RD		(C >> 11 & 31)
#define SA		(C >> 6 & 31)

/* To the one that comes after this one; `then` is apart from it by one, or after a jump. */
#define NEXT		do { at = then; then = at + 1; goto *at->run; } while (0)
/* An instruction that does not come to its end is the one that cpu->pc says. */
#define NOTE		do { t->at = at; t->then = then; } while (0)
#define LEAVE(why)	do { NOTE; cpu_stopped(t); return (why); } while (0)
#define NEED(ok)	do { if (!(ok)) LEAVE(EVENT_ILLEGAL); } while (0)
#define CHECKED(operation, to, x, y) do { \
		int32_t result; \
		if (__builtin_##operation##_overflow((int32_t)(x), (int32_t)(y), &result)) \
			LEAVE(EVENT_OVERFLOW); \
		(to) = (uint32_t)result; \
		NEXT; \
	} while (0)
#define TRAP_IF(c)	do { if (c) LEAVE(EVENT_TRAP); NEXT; } while (0)

/* From here on a is an address, of n bytes; what a fault has to find is in memory. */
#define ADDRESS(address, n) do { \
		a = (address); \
		if (a & ((n) - 1)) { \
			cpu->bad = a; \
			LEAVE(EVENT_ADDRESS); \
		} \
		NOTE; \
		__asm__ volatile("" ::: "memory"); \
	} while (0)
#define LOAD(n, to, value)	do { ADDRESS(S + C, n); (to) = (value); NEXT; } while (0)
#define ACCESS(n, call)	do { ADDRESS(S + C, n); call; NEXT; } while (0)
#define LOAD_X(n, to, value)	do { ADDRESS(S + T, n); (to) = (value); NEXT; } while (0)
#define ACCESS_X(n, call)	do { ADDRESS(S + T, n); call; NEXT; } while (0)

/*
 * After the delay slot it goes on at the target.  What is far or not kept, has a signal
 * to wait for it or may be stale, goes there by way of elsewhere.
 */
#define LINK		(text_address(t, at) + 8)
#define IS_QUIET	__builtin_expect(!t->pending && t->code_version == code_version, 1)
#define GO_FAR(to)	do { t->target = (to); at = then; then = &t->elsewhere; \
			     goto *at->run; } while (0)
#define GO		do { \
		if (at->is_near && IS_QUIET) { \
			struct insn *to = at + (int32_t)C; \
			at = then; \
			then = to; \
			goto *at->run; \
		} \
		GO_FAR(text_address(t, at) + 4 * C); \
	} while (0)
#define BRANCH_IF(c)	do { if (c) GO; NEXT; } while (0)
/* The delay slot of a likely one that is not taken is skipped. */
#define LIKELY_IF(c)	do { if (c) GO; t->target = LINK; goto elsewhere; } while (0)

enum event cpu_run(struct thread *t)
{
	static const void *const labels[CODES] = {
		[UNDECODED] = &&undecoded, [BEYOND] = &&beyond, [ELSEWHERE] = &&elsewhere,
		[ILLEGAL] = &&illegal,

		[SPECIAL + 0x00] = &&sll, [SPECIAL + 0x01] = &&movf_movt,
		[SPECIAL + 0x02] = &&srl_rotr, [SPECIAL + 0x03] = &&sra,
		[SPECIAL + 0x04] = &&sllv, [SPECIAL + 0x06] = &&srlv_rotrv,
		[SPECIAL + 0x07] = &&srav, [SPECIAL + 0x08] = &&jr,
		[SPECIAL + 0x09] = &&jalr, [SPECIAL + 0x0a] = &&movz,
		[SPECIAL + 0x0b] = &&movn, [SPECIAL + 0x0c] = &&syscall,
		[SPECIAL + 0x0d] = &&break_, [SPECIAL + 0x0f] = &&sync,
		[SPECIAL + 0x10] = &&mfhi, [SPECIAL + 0x11] = &&mthi,
		[SPECIAL + 0x12] = &&mflo, [SPECIAL + 0x13] = &&mtlo,
		[SPECIAL + 0x18] = &&mult, [SPECIAL + 0x19] = &&multu,
		[SPECIAL + 0x1a] = &&div, [SPECIAL + 0x1b] = &&divu,
		[SPECIAL + 0x20] = &&add, [SPECIAL + 0x21] = &&addu,
		[SPECIAL + 0x22] = &&sub, [SPECIAL + 0x23] = &&subu,
		[SPECIAL + 0x24] = &&and, [SPECIAL + 0x25] = &&or,
		[SPECIAL + 0x26] = &&xor, [SPECIAL + 0x27] = &&nor,
		[SPECIAL + 0x2a] = &&slt, [SPECIAL + 0x2b] = &&sltu,
		[SPECIAL + 0x30] = &&tge, [SPECIAL + 0x31] = &&tge,
		[SPECIAL + 0x32] = &&tge, [SPECIAL + 0x33] = &&tge,
		[SPECIAL + 0x34] = &&tge, [SPECIAL + 0x36] = &&tge,

		[REGIMM + 0x00] = &&bltz, [REGIMM + 0x01] = &&bgez,
		[REGIMM + 0x02] = &&bltzl, [REGIMM + 0x03] = &&bgezl,
		[REGIMM + 0x08] = &&tgei, [REGIMM + 0x09] = &&tgei,
		[REGIMM + 0x0a] = &&tgei, [REGIMM + 0x0b] = &&tgei,
		[REGIMM + 0x0c] = &&tgei, [REGIMM + 0x0e] = &&tgei,
		[REGIMM + 0x10] = &&bltzal, [REGIMM + 0x11] = &&bgezal,
		[REGIMM + 0x12] = &&bltzall, [REGIMM + 0x13] = &&bgezall,
		[REGIMM + 0x1f] = &&synci,

		[0x02] = &&j, [0x03] = &&jal, [0x04] = &&beq, [0x05] = &&bne,
		[0x06] = &&blez, [0x07] = &&bgtz, [0x14] = &&beql, [0x15] = &&bnel,
		[0x16] = &&blezl, [0x17] = &&bgtzl, [0x08] = &&addi, [0x09] = &&addiu,
		[0x0a] = &&slti, [0x0b] = &&sltiu, [0x0c] = &&andi, [0x0d] = &&ori,
		[0x0e] = &&xori, [0x0f] = &&lui,

		[SPECIAL2 + 0x00] = &&madd, [SPECIAL2 + 0x01] = &&maddu,
		[SPECIAL2 + 0x02] = &&mul, [SPECIAL2 + 0x04] = &&msub,
		[SPECIAL2 + 0x05] = &&msubu, [SPECIAL2 + 0x20] = &&clz,
		[SPECIAL2 + 0x21] = &&clo, [SPECIAL3 + 0x00] = &&ext,
		[SPECIAL3 + 0x04] = &&ins, [SPECIAL3 + 0x20] = &&wsbh_seb_seh,
		[SPECIAL3 + 0x3b] = &&rdhwr,

		[0x20] = &&lb, [0x21] = &&lh, [0x22] = &&lwl, [0x23] = &&lw, [0x24] = &&lbu,
		[0x25] = &&lhu, [0x26] = &&lwr, [0x28] = &&sb, [0x29] = &&sh, [0x2a] = &&swl,
		[0x2b] = &&sw, [0x2e] = &&swr, [0x30] = &&ll, [0x33] = &&pref, [0x38] = &&sc,

		[0x11] = &&cop1, [BC1] = &&bc1, [0x31] = &&lwc1, [0x35] = &&ldc1,
		[0x39] = &&swc1, [0x3d] = &&sdc1, [COP1X + 0x00] = &&lwxc1,
		[COP1X + 0x01] = &&ldxc1, [COP1X + 0x08] = &&swxc1, [COP1X + 0x09] = &&sdxc1,
		[COP1X + 0x0f] = &&pref, [COP1X + 0x20] = &&cop1x, [COP1X + 0x21] = &&cop1x,
		[COP1X + 0x28] = &&cop1x, [COP1X + 0x29] = &&cop1x, [COP1X + 0x30] = &&cop1x,
		[COP1X + 0x31] = &&cop1x, [COP1X + 0x38] = &&cop1x, [COP1X + 0x39] = &&cop1x
	};
	struct cpu *const cpu = &t->cpu;
	uint32_t *const r = cpu->r;
	struct insn *at, *then;
	uint32_t a;

	t->elsewhere.run = &&elsewhere;
	t->target = cpu->pc;
	if (cpu->next != cpu->pc + 4) {		/* in a delay slot */
		at = text_find(t, cpu->pc, labels);
		t->target = cpu->next;
		then = &t->elsewhere;
		goto *at->run;
	}

	/* ---- what stands for no instruction ---- */

elsewhere:
	at = &t->elsewhere;
	if (t->pending) {
		cpu->pc = t->target;
		cpu->next = cpu->pc + 4;
		return EVENT_PENDING;
	}
	if (t->target % 4) {
		cpu->bad = cpu->pc = t->target;
		cpu->next = cpu->pc + 4;
		return EVENT_ADDRESS;
	}
	at = text_find(t, t->target, labels);
	then = at + 1;
	goto *at->run;
beyond:		/* the end of a piece; a delay slot may be there */
	if (then == at + 1) {
		t->target = text_address(t, at);
		goto elsewhere;
	}
	at = text_find(t, text_address(t, at), labels);
	goto *at->run;
undecoded:
	NOTE;
	text_decode(t, at, get32(text_address(t, at)), labels);
	goto *at->run;
illegal:	LEAVE(EVENT_ILLEGAL);

	/* ---- integers ---- */

sll:		D = T << C; NEXT;
srl_rotr:	D = at->s & 1 ? rotate(T, C) : T >> C; NEXT;
sra:		D = sign_shift(T, C); NEXT;
sllv:		D = T << (S & 31); NEXT;
srlv_rotrv:	D = C & 1 ? rotate(T, S & 31) : T >> (S & 31); NEXT;
srav:		D = sign_shift(T, S & 31); NEXT;
movf_movt:	D = fpu_is(cpu, C) ? S : D; NEXT;
movz:		D = T ? D : S; NEXT;
movn:		D = T ? S : D; NEXT;
mfhi:		D = cpu->hi; NEXT;
mthi:		cpu->hi = S; NEXT;
mflo:		D = cpu->lo; NEXT;
mtlo:		cpu->lo = S; NEXT;
mult:		set_hi_lo(cpu, multiply(S, T, true)); NEXT;
multu:		set_hi_lo(cpu, multiply(S, T, false)); NEXT;
div:		divide(cpu, S, T, true); NEXT;
divu:		divide(cpu, S, T, false); NEXT;
add:		CHECKED(add, D, S, T);
addu:		D = S + T; NEXT;
sub:		CHECKED(sub, D, S, T);
subu:		D = S - T; NEXT;
and:		D = S & T; NEXT;
or:		D = S | T; NEXT;
xor:		D = S ^ T; NEXT;
nor:		D = ~(S | T); NEXT;
slt:		D = (int32_t)S < (int32_t)T; NEXT;
sltu:		D = S < T; NEXT;
addi:		CHECKED(add, D, S, C);
addiu:		D = S + C; NEXT;
slti:		D = (int32_t)S < (int32_t)C; NEXT;
sltiu:		D = S < C; NEXT;
andi:		D = S & C; NEXT;
ori:		D = S | C; NEXT;
xori:		D = S ^ C; NEXT;
lui:		D = C; NEXT;
madd:		set_hi_lo(cpu, hi_lo(cpu) + multiply(S, T, true)); NEXT;
maddu:		set_hi_lo(cpu, hi_lo(cpu) + multiply(S, T, false)); NEXT;
msub:		set_hi_lo(cpu, hi_lo(cpu) - multiply(S, T, true)); NEXT;
msubu:		set_hi_lo(cpu, hi_lo(cpu) - multiply(S, T, false)); NEXT;
mul:		D = S * T; NEXT;
clz:		D = leading_zeros(S); NEXT;
clo:		D = leading_zeros(~S); NEXT;
ext:		D = S >> SA & ones(0, RD); NEXT;
ins:
	NEED(RD >= SA);
	D = (T & ~(ones(SA, RD) << SA)) | (S & ones(SA, RD)) << SA;
	NEXT;
wsbh_seb_seh:
	NEED(SA == 0x02 || SA == 0x10 || SA == 0x18);
	D = SA == 0x10 ? (uint32_t)(int8_t)T : SA == 0x18 ? (uint32_t)(int16_t)T :
		(T & 0x00ff00ff) << 8 | (T >> 8 & 0x00ff00ff);
	NEXT;
rdhwr:		/* a step for synci: none is needed; thread-local storage */
	NEED(RD == 1 || RD == 29);
	D = RD == 29 ? cpu->user_local : 0;
	NEXT;

	/* ---- jumps and traps ---- */

j:		GO;
jal:		r[RA] = LINK; GO;
jr:		GO_FAR(S);
jalr:		a = S; D = LINK; GO_FAR(a);
beq:		BRANCH_IF(S == T);
beql:		LIKELY_IF(S == T);
bne:		BRANCH_IF(S != T);
bnel:		LIKELY_IF(S != T);
blez:		BRANCH_IF((int32_t)S <= 0);
blezl:		LIKELY_IF((int32_t)S <= 0);
bgtz:		BRANCH_IF((int32_t)S > 0);
bgtzl:		LIKELY_IF((int32_t)S > 0);
bltz:		BRANCH_IF((int32_t)S < 0);
bltzl:		LIKELY_IF((int32_t)S < 0);
bgez:		BRANCH_IF((int32_t)S >= 0);
bgezl:		LIKELY_IF((int32_t)S >= 0);
	/* the link, taken or not */
bltzal:		a = S; r[RA] = LINK; BRANCH_IF((int32_t)a < 0);
bltzall:	a = S; r[RA] = LINK; LIKELY_IF((int32_t)a < 0);
bgezal:		a = S; r[RA] = LINK; BRANCH_IF((int32_t)a >= 0);
bgezall:	a = S; r[RA] = LINK; LIKELY_IF((int32_t)a >= 0);
bc1:
	if (fpu_is(cpu, (uint32_t)at->t << 16))
		GO;
	if (at->t & 2) {
		t->target = LINK;
		goto elsewhere;
	}
	NEXT;
tge:		TRAP_IF(traps(C, S, T));	/* and the others */
tgei:		TRAP_IF(traps(at->t, S, C));
syscall:	LEAVE(EVENT_SYSCALL);
break_:		LEAVE(EVENT_BREAK);
sync:		__atomic_thread_fence(__ATOMIC_SEQ_CST); NEXT;
synci:		code_changed(); NEXT;
pref:		NEXT;

	/* ---- memory ---- */

lb:		LOAD(1, D, (uint32_t)(int8_t)get8(a));
lbu:		LOAD(1, D, get8(a));
lh:		LOAD(2, D, (uint32_t)(int16_t)get16(a));
lhu:		LOAD(2, D, get16(a));
lw:		LOAD(4, D, get32(a));
lwl:		LOAD(1, D, load_left(T, a));
lwr:		LOAD(1, D, load_right(T, a));
sb:		ACCESS(1, put8(a, (uint8_t)T));
sh:		ACCESS(2, put16(a, (uint16_t)T));
sw:		ACCESS(4, put32(a, T));
swl:		ACCESS(1, store_left(T, a));
swr:		ACCESS(1, store_right(T, a));
ll:
	ADDRESS(S + C, 4);
	cpu->linked_value = get32(a);
	cpu->linked = a;
	D = cpu->linked_value;
	NEXT;
sc:		LOAD(4, D, store_conditional(cpu, a, T));

	/* ---- floating point ---- */

cop1:		NEED(fpu_execute(cpu, C)); r[0] = 0; NEXT;
cop1x:		NEED(fpu_execute_x(cpu, C)); NEXT;
lwc1:		LOAD(4, cpu->f[at->t], get32(a));
ldc1:		ACCESS(8, load_double(cpu, at->t, a));
swc1:		ACCESS(4, put32(a, cpu->f[at->t]));
sdc1:		ACCESS(8, store_double(cpu, at->t, a));
lwxc1:		LOAD_X(4, cpu->f[SA], get32(a));
ldxc1:		ACCESS_X(8, load_double(cpu, SA, a));
swxc1:		ACCESS_X(4, put32(a, cpu->f[RD]));
sdxc1:		ACCESS_X(8, store_double(cpu, RD, a));
}
