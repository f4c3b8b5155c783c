/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - the floating-point unit, by that of the host.
 *
 * 32 registers of 32 bits; a double is a pair, the lower half in the even one
 * (Status.FR is 0, as o32 programs expect).  Rounding mode and exception flags are
 * the host's, copied when the guest looks at them; none can be made a trap.  Not
 * so NaNs: on this processor the topmost bit of the fraction is set in a signalling
 * one, which elsewhere is a quiet one.  get() and store() turn them round.
 *
 * Values are computed as doubles.  For singles this is the same, as rounding first
 * to a double and then to a single gives what rounding once would: a double has
 * more than twice the bits.
 */
#include <fenv.h>
#include <math.h>

#include "emulator.h"

#define FS	(insn >> 11 & 31)
#define FT	(insn >> 16 & 31)
#define FD	(insn >> 6 & 31)
#define FR	(insn >> 21 & 31)

enum { SINGLE = 16, DOUBLE = 17, WORD = 20 };	/* formats; 64-bit integers need Status.FR */

/* ---- control and status -------------------------------------------------- */

/* In the guest's order: inexact, underflow, overflow, division by zero, invalid */
static const int host_flags[] = {
	FE_INEXACT, FE_UNDERFLOW, FE_OVERFLOW, FE_DIVBYZERO, FE_INVALID
};
enum { FLAGS_AT = 2 };

/* Nearest, towards zero, up, down: as the guest counts them. */
static const int modes[] = { FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD };

uint32_t fpu_status(struct cpu *cpu)
{
	int raised = fetestexcept(FE_ALL_EXCEPT);

	for (unsigned int i = 0; i < COUNT(host_flags); i++)
		if (raised & host_flags[i])
			cpu->fcsr |= 1u << (FLAGS_AT + i);
	if (raised)
		feclearexcept(FE_ALL_EXCEPT);
	return cpu->fcsr;
}

/* The host's unit as the register says. */
void fpu_restore(const struct cpu *cpu)
{
	feclearexcept(FE_ALL_EXCEPT);
	fesetround(modes[cpu->fcsr & 3]);
}

static uint32_t condition_bit(unsigned int cc)
{
	return 1u << (cc ? 24 + cc : 23);
}

/* bc1t, movt; bc1f, movf: is the condition as the instruction has it? */
bool fpu_is(const struct cpu *cpu, uint32_t insn)
{
	return !!(cpu->fcsr & condition_bit(insn >> 18 & 7)) == (insn >> 16 & 1);
}

/* ---- registers ----------------------------------------------------------- */

static uint64_t get_bits(const struct cpu *cpu, unsigned int n, bool is_double)
{
	return is_double ? (uint64_t)cpu->f[n | 1] << 32 | cpu->f[n & ~1u] : cpu->f[n];
}

static void set_bits(struct cpu *cpu, unsigned int n, bool is_double, uint64_t v)
{
	if (is_double) {
		cpu->f[n & ~1u] = (uint32_t)v;
		cpu->f[n | 1] = (uint32_t)(v >> 32);
	} else {
		cpu->f[n] = (uint32_t)v;
	}
}

static double get(const struct cpu *cpu, unsigned int n, bool is_double)
{
	uint64_t bits = get_bits(cpu, n, is_double);
	uint64_t infinity = is_double ? 0x7ffULL << 52 : 0xffULL << 23;
	uint64_t sign = is_double ? 1ULL << 63 : 1ULL << 31;
	uint32_t word = (uint32_t)bits;
	double d;
	float f;

	if ((bits & ~sign) > infinity) {
		if (bits >> (is_double ? 51 : 22) & 1)
			feraiseexcept(FE_INVALID);
		return NAN;
	}
	if (is_double) {
		memcpy(&d, &bits, sizeof d);
		return d;
	}
	memcpy(&f, &word, sizeof f);
	return f;
}

static double rounded(double v, bool is_double)
{
	volatile float f;

	if (is_double)
		return v;
	f = (float)v;
	return f;
}

static void store(struct cpu *cpu, unsigned int n, bool is_double, double v)
{
	float f = (float)rounded(v, is_double);
	uint64_t bits;
	uint32_t word;

	if (v != v) {
		set_bits(cpu, n, is_double, is_double ? 0x7ff7ffffffffffff : 0x7fbfffff);
	} else if (is_double) {
		memcpy(&bits, &v, sizeof bits);
		set_bits(cpu, n, true, bits);
	} else {
		memcpy(&word, &f, sizeof word);
		set_bits(cpu, n, false, word);
	}
}

/* ---- arithmetic ---------------------------------------------------------- */

static void arithmetic(struct cpu *cpu, uint32_t insn, bool is_double)
{
	/* volatile: the flags are looked at, which compilers do not know */
	volatile double a = get(cpu, FS, is_double), b, v;

	if ((insn & 63) == 4) {
		v = sqrt(a);
	} else {
		b = get(cpu, FT, is_double);
		switch (insn & 63) {
		case 0: v = a + b; break;
		case 1: v = a - b; break;
		case 2: v = a * b; break;
		default: v = a / b; break;
		}
	}
	store(cpu, FD, is_double, v);
}

/* abs mov neg: bits, no arithmetic */
static void change_sign(struct cpu *cpu, uint32_t insn, bool is_double)
{
	uint64_t sign = is_double ? 1ULL << 63 : 1ULL << 31;
	uint64_t bits = get_bits(cpu, FS, is_double);

	if ((insn & 63) == 5)
		bits &= ~sign;
	else if ((insn & 63) == 7)
		bits ^= sign;
	set_bits(cpu, FD, is_double, bits);
}

/* c.cond: bit 0 unordered, 1 equal, 2 less; 3 says that a NaN is invalid */
static void compare(struct cpu *cpu, uint32_t insn, bool is_double)
{
	double a = get(cpu, FS, is_double), b = get(cpu, FT, is_double);
	uint32_t bit = condition_bit(insn >> 8 & 7);
	bool nan = a != a || b != b;

	if (nan && insn & 8)
		feraiseexcept(FE_INVALID);
	if (nan ? insn & 1 : (insn & 2 && a == b) || (insn & 4 && a < b))
		cpu->fcsr |= bit;
	else
		cpu->fcsr &= ~bit;
}

/* In this rounding mode; what does not fit becomes the largest. */
static void to_integer(struct cpu *cpu, uint32_t insn, bool is_double, unsigned int mode)
{
	/* volatile: compilers move what has to be between the two modes */
	volatile double v = get(cpu, FS, is_double), whole;
	int old = fegetround();
	bool fits;

	fesetround(modes[mode]);
	whole = nearbyint(v);
	fesetround(old);
	fits = whole >= -0x1p31 && whole < 0x1p31;
	if (!fits)
		feraiseexcept(FE_INVALID);
	else if (whole != v)
		feraiseexcept(FE_INEXACT);
	cpu->f[FD] = fits ? (uint32_t)(int32_t)whole : INT32_MAX;
}

static void move_if(struct cpu *cpu, uint32_t insn, bool is_double, bool condition)
{
	if (condition)
		set_bits(cpu, FD, is_double, get_bits(cpu, FS, is_double));
}

/* ---- instructions -------------------------------------------------------- */

static bool execute(struct cpu *cpu, uint32_t insn, bool is_double)
{
	unsigned int function = insn & 63;

	switch (function) {
	case 0: case 1: case 2: case 3: case 4:	/* add sub mul div sqrt */
		arithmetic(cpu, insn, is_double);
		return true;
	case 5: case 6: case 7:
		change_sign(cpu, insn, is_double);
		return true;
	case 12: case 13: case 14: case 15:	/* round trunc ceil floor .w */
		to_integer(cpu, insn, is_double, function & 3);
		return true;
	case 17:				/* movf, movt */
		move_if(cpu, insn, is_double, fpu_is(cpu, insn));
		return true;
	case 18: case 19:			/* movz, movn */
		move_if(cpu, insn, is_double, !cpu->r[FT] == (function == 18));
		return true;
	case 32: case 33:			/* cvt.s, cvt.d, from the other one */
		if (is_double == (function == 33))
			return false;
		store(cpu, FD, !is_double, get(cpu, FS, is_double));
		return true;
	case 36:				/* cvt.w */
		to_integer(cpu, insn, is_double, cpu->fcsr & 3);
		return true;
	}
	if (function >= 48)
		compare(cpu, insn, is_double);
	return function >= 48;
}

/* False: there is no such instruction. */
bool fpu_execute(struct cpu *cpu, uint32_t insn)
{
	switch (insn >> 21 & 31) {
	case 0: cpu->r[FT] = cpu->f[FS]; return true;		/* mfc1 */
	case 3: cpu->r[FT] = cpu->f[FS | 1]; return true;	/* mfhc1 */
	case 4: cpu->f[FS] = cpu->r[FT]; return true;		/* mtc1 */
	case 7: cpu->f[FS | 1] = cpu->r[FT]; return true;	/* mthc1 */
	case 2:			/* cfc1: what there is (S, D, W), or the status */
		cpu->r[FT] = FS ? fpu_status(cpu) : 0x00739300;
		return true;
	case 6:			/* ctc1 */
		if (FS == 31) {
			cpu->fcsr = cpu->r[FT] & 0xff80007f;
			fpu_restore(cpu);
		}
		return true;
	case SINGLE:
		return execute(cpu, insn, false);
	case DOUBLE:
		return execute(cpu, insn, true);
	case WORD:		/* cvt.s, cvt.d */
		if ((insn & 62) != 32)
			return false;
		store(cpu, FD, insn & 1, (int32_t)cpu->f[FS]);
		return true;
	}
	return false;
}

/* madd msub nmadd nmsub: two operations, each rounded */
bool fpu_execute_x(struct cpu *cpu, uint32_t insn)
{
	bool is_double = insn & 1;
	volatile double v;

	if ((insn & 0x26) != 0x20)
		return false;
	v = rounded(get(cpu, FS, is_double) * get(cpu, FT, is_double), is_double);
	v = insn & 8 ? v - get(cpu, FR, is_double) : v + get(cpu, FR, is_double);
	v = rounded(v, is_double);
	store(cpu, FD, is_double, insn & 0x10 ? -v : v);
	return true;
}
