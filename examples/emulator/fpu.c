/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - the floating-point unit, by that of the host.
 *
 * 32 registers of 32 bits; a double is a pair, the lower half in the even one
 * (Status.FR is 0, as o32 programs expect).  Rounding mode and exception flags are
 * the host's, copied when the guest looks at them.  Not so NaNs: on this
 * processor the topmost bit of the fraction is set in a signalling one, which
 * elsewhere is a quiet one, so NaNs are kept away from the host's arithmetic.
 */
#include <fenv.h>
#include <math.h>

#include "emulator.h"

#define FS	(insn >> 11 & 31)
#define FT	(insn >> 16 & 31)
#define FD	(insn >> 6 & 31)
#define FR	(insn >> 21 & 31)

enum { SINGLE = 16, DOUBLE = 17, WORD = 20 };	/* formats; 64-bit integers need Status.FR */

#define NAN32	0x7fbfffffu
#define NAN64	0x7ff7ffffffffffffULL

/* ---- control and status -------------------------------------------------- */

/* In the guest's order: inexact, underflow, overflow, division by zero, invalid */
static const int host_flags[] = {
	FE_INEXACT, FE_UNDERFLOW, FE_OVERFLOW, FE_DIVBYZERO, FE_INVALID
};
enum { FLAGS_AT = 2, ENABLES_AT = 7, CAUSES_AT = 12, INVALID = 16 };

static uint32_t take_flags(void)
{
	int raised = fetestexcept(FE_ALL_EXCEPT);
	uint32_t flags = 0;

	for (unsigned int i = 0; i < COUNT(host_flags); i++)
		if (raised & host_flags[i])
			flags |= 1u << i;
	if (raised)
		feclearexcept(FE_ALL_EXCEPT);
	return flags;
}

uint32_t fpu_status(struct cpu *cpu)
{
	cpu->fcsr |= take_flags() << FLAGS_AT;
	return cpu->fcsr;
}

/* Nearest, towards zero, up, down: as the guest counts them. */
static const int modes[] = { FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD };

/* The host's unit as the register says. */
void fpu_restore(const struct cpu *cpu)
{
	feclearexcept(FE_ALL_EXCEPT);
	fesetround(modes[cpu->fcsr & 3]);
}

bool fpu_condition(const struct cpu *cpu, unsigned int cc)
{
	return cpu->fcsr >> (cc ? 24 + cc : 23) & 1;
}

static void set_condition(struct cpu *cpu, unsigned int cc, bool value)
{
	uint32_t bit = 1u << (cc ? 24 + cc : 23);

	cpu->fcsr = value ? cpu->fcsr | bit : cpu->fcsr & ~bit;
}

/* An exception that the guest has enabled is a trap: false. */
static bool no_trap(struct cpu *cpu)
{
	uint32_t flags;

	if (!(cpu->fcsr >> ENABLES_AT & 31))
		return true;
	flags = take_flags();
	cpu->fcsr = (cpu->fcsr & ~(63u << CAUSES_AT)) | flags << CAUSES_AT;
	if (flags & (cpu->fcsr >> ENABLES_AT & 31)) {
		cpu->bad = 1;
		return false;
	}
	cpu->fcsr |= flags << FLAGS_AT;
	return true;
}

int fpu_signal_code(const struct cpu *cpu)
{
	static const int codes[] = {
		FPE_FLTRES, FPE_FLTUND, FPE_FLTOVF, FPE_FLTDIV, FPE_FLTINV
	};
	uint32_t cause = cpu->fcsr >> CAUSES_AT & cpu->fcsr >> ENABLES_AT & 31;
	int code = FPE_FLTINV;

	for (unsigned int i = 0; i < COUNT(codes); i++)
		if (cause >> i & 1)
			code = codes[i];
	return code;
}

static uint32_t control(unsigned int which, struct cpu *cpu)
{
	uint32_t s = fpu_status(cpu);

	switch (which) {
	case 0:
		return 0x00739300;	/* what there is: S, D, W */
	case 25:
		return (s >> 24 & 0xfe) | (s >> 23 & 1);
	case 26:
		return s & 0x0003f07c;
	case 28:
		return (s & 0xf83) | (s >> 22 & 4);
	default:
		return s;
	}
}

static bool set_control(unsigned int which, struct cpu *cpu, uint32_t v)
{
	uint32_t s = fpu_status(cpu);

	switch (which) {
	case 25:
		s = (s & ~0xfe800000u) | (v & 0xfe) << 24 | (v & 1) << 23;
		break;
	case 26:
		s = (s & ~0x0003f07cu) | (v & 0x0003f07c);
		break;
	case 28:
		s = (s & ~0x01000f83u) | (v & 0xf83) | (v & 4) << 22;
		break;
	case 31:
		s = v & 0xff83ffff;
		break;
	}
	cpu->fcsr = s;
	fpu_restore(cpu);
	/* a cause that is set and enabled traps at once */
	cpu->bad = s >> CAUSES_AT & (s >> ENABLES_AT | 32) & 63;
	return !cpu->bad;
}

/* ---- registers ----------------------------------------------------------- */

static uint64_t get_bits(const struct cpu *cpu, unsigned int n)
{
	return (uint64_t)cpu->f[n | 1] << 32 | cpu->f[n & ~1u];
}

static void set_bits(struct cpu *cpu, unsigned int n, uint64_t v)
{
	cpu->f[n & ~1u] = (uint32_t)v;
	cpu->f[n | 1] = (uint32_t)(v >> 32);
}

/* A single is exact as a double, and so is the arithmetic below; see store(). */
static double get_value(const struct cpu *cpu, unsigned int n, unsigned int format)
{
	uint64_t bits = get_bits(cpu, n);
	double d;
	float f;

	if (format == DOUBLE) {
		memcpy(&d, &bits, sizeof d);
		return d;
	}
	memcpy(&f, &cpu->f[n], sizeof f);
	return f;
}

enum nan { NUMBER, QUIET, SIGNALLING };

static enum nan nan_of(const struct cpu *cpu, unsigned int n, unsigned int format)
{
	uint64_t bits = get_bits(cpu, n);
	uint32_t f = cpu->f[n];

	if (format == DOUBLE) {
		if ((bits & ~(1ULL << 63)) <= 0x7ffULL << 52)
			return NUMBER;
		return bits >> 51 & 1 ? SIGNALLING : QUIET;
	}
	if ((f & 0x7fffffff) <= 0x7f800000)
		return NUMBER;
	return f >> 22 & 1 ? SIGNALLING : QUIET;
}

static void copy(struct cpu *cpu, unsigned int d, unsigned int s, unsigned int format)
{
	if (format == DOUBLE)
		set_bits(cpu, d, get_bits(cpu, s));
	else
		cpu->f[d] = cpu->f[s];
}

static void set_nan(struct cpu *cpu, unsigned int d, unsigned int format)
{
	if (format == DOUBLE)
		set_bits(cpu, d, NAN64);
	else
		cpu->f[d] = NAN32;
}

/*
 * The result of one operation.  Rounding it first to a double and then to a single
 * gives what rounding once would, as a double has more than twice the bits.
 */
static bool store(struct cpu *cpu, unsigned int d, unsigned int format, double v)
{
	volatile float f = 0;
	uint64_t bits;
	uint32_t word;

	if (format == SINGLE && v == v)
		f = (float)v;
	if (!no_trap(cpu))
		return false;
	if (v != v) {
		set_nan(cpu, d, format);
	} else if (format == DOUBLE) {
		memcpy(&bits, &v, sizeof bits);
		set_bits(cpu, d, bits);
	} else {
		memcpy(&word, (const void *)&f, sizeof word);
		cpu->f[d] = word;
	}
	return true;
}

/* An operand is a NaN, and so is the result. */
static bool store_nan(struct cpu *cpu, unsigned int d, unsigned int format, bool invalid)
{
	if (invalid)
		feraiseexcept(FE_INVALID);
	if (!no_trap(cpu))
		return false;
	set_nan(cpu, d, format);
	return true;
}

/* ---- arithmetic ---------------------------------------------------------- */

/* add sub mul div sqrt, and 21 recip, 22 rsqrt */
static bool arithmetic(struct cpu *cpu, uint32_t insn, unsigned int format)
{
	unsigned int function = insn & 63, other = function < 4 ? FT : FS;
	enum nan first = nan_of(cpu, FS, format), second = nan_of(cpu, other, format);
	volatile double a, b, v;

	if (first || second)
		return store_nan(cpu, FD, format,
				 first == SIGNALLING || second == SIGNALLING);
	a = get_value(cpu, FS, format);
	b = get_value(cpu, other, format);
	switch (function) {
	case 0: v = a + b; break;
	case 1: v = a - b; break;
	case 2: v = a * b; break;
	case 3: v = a / b; break;
	case 4: v = sqrt(a); break;
	case 21: v = 1.0 / a; break;
	default: v = 1.0 / sqrt(a); break;
	}
	return store(cpu, FD, format, v);
}

/* abs mov neg: bits, no arithmetic */
static void sign(struct cpu *cpu, uint32_t insn, unsigned int format)
{
	unsigned int top = format == DOUBLE ? FD | 1 : FD;

	copy(cpu, FD, FS, format);
	if ((insn & 63) == 5)
		cpu->f[top] &= 0x7fffffff;
	else if ((insn & 63) == 7)
		cpu->f[top] ^= 0x80000000;
}

/* c.cond: bit 0 unordered, 1 equal, 2 less; 3 says that a NaN is invalid */
static bool compare(struct cpu *cpu, uint32_t insn, unsigned int format)
{
	enum nan first = nan_of(cpu, FS, format), second = nan_of(cpu, FT, format);
	bool nan = first || second;
	double a = nan ? 0 : get_value(cpu, FS, format);
	double b = nan ? 0 : get_value(cpu, FT, format);

	if (first == SIGNALLING || second == SIGNALLING || (nan && insn & 8))
		feraiseexcept(FE_INVALID);
	if (!no_trap(cpu))
		return false;
	set_condition(cpu, insn >> 8 & 7, nan ? insn & 1 :
		      (insn & 2 && a == b) || (insn & 4 && a < b));
	return true;
}

/* ---- conversion ---------------------------------------------------------- */

/* In this rounding mode; what does not fit becomes the largest. */
static bool to_integer(struct cpu *cpu, uint32_t insn, unsigned int format,
		       unsigned int mode)
{
	bool nan = nan_of(cpu, FS, format);
	/* volatile: compilers move what has to be between the two modes */
	volatile double v = nan ? 0 : get_value(cpu, FS, format), whole;
	int old = fegetround();
	bool fits;

	fesetround(modes[mode]);
	whole = nearbyint(v);
	fesetround(old);
	fits = !nan && whole >= -0x1p31 && whole < 0x1p31;
	if (!fits)
		feraiseexcept(FE_INVALID);
	else if (whole != v)
		feraiseexcept(FE_INEXACT);
	if (!no_trap(cpu))
		return false;
	cpu->f[FD] = fits ? (uint32_t)(int32_t)whole : INT32_MAX;
	return true;
}

/* cvt.s and cvt.d, from the other one or from an integer */
static bool to_float(struct cpu *cpu, uint32_t insn, unsigned int from, unsigned int to)
{
	enum nan nan;

	if (from == WORD)
		return store(cpu, FD, to, (int32_t)cpu->f[FS]);
	nan = nan_of(cpu, FS, from);
	return nan ? store_nan(cpu, FD, to, nan == SIGNALLING) :
		store(cpu, FD, to, get_value(cpu, FS, from));
}

/* ---- instructions -------------------------------------------------------- */

static bool execute(struct cpu *cpu, uint32_t insn, unsigned int format)
{
	unsigned int function = insn & 63;

	if (function >= 48)
		return compare(cpu, insn, format);
	switch (function) {
	case 0: case 1: case 2: case 3: case 4: case 21: case 22:
		return arithmetic(cpu, insn, format);
	case 5: case 6: case 7:
		sign(cpu, insn, format);
		return true;
	case 12: case 13: case 14: case 15:	/* round trunc ceil floor .w */
		return to_integer(cpu, insn, format, function & 3);
	case 17:				/* movf, movt */
		if (fpu_condition(cpu, insn >> 18 & 7) == (insn >> 16 & 1))
			copy(cpu, FD, FS, format);
		return true;
	case 18:				/* movz */
	case 19:				/* movn */
		if ((cpu->r[FT] == 0) == (function == 18))
			copy(cpu, FD, FS, format);
		return true;
	case 32:
		return format == DOUBLE && to_float(cpu, insn, format, SINGLE);
	case 33:
		return format == SINGLE && to_float(cpu, insn, format, DOUBLE);
	case 36:
		return to_integer(cpu, insn, format, cpu->fcsr & 3);
	}
	return false;
}

/* False: the instruction does not exist or, when cpu->bad is set, has trapped. */
bool fpu_execute(struct cpu *cpu, uint32_t insn)
{
	unsigned int format = insn >> 21 & 31;

	cpu->bad = 0;
	switch (format) {
	case 0:			/* mfc1 */
		cpu->r[FT] = cpu->f[FS];
		return true;
	case 2:			/* cfc1 */
		cpu->r[FT] = control(FS, cpu);
		return true;
	case 3:			/* mfhc1 */
		cpu->r[FT] = cpu->f[FS | 1];
		return true;
	case 4:			/* mtc1 */
		cpu->f[FS] = cpu->r[FT];
		return true;
	case 6:			/* ctc1 */
		return set_control(FS, cpu, cpu->r[FT]);
	case 7:			/* mthc1 */
		cpu->f[FS | 1] = cpu->r[FT];
		return true;
	case SINGLE:
	case DOUBLE:
		return execute(cpu, insn, format);
	case WORD:
		if ((insn & 62) == 32)
			return to_float(cpu, insn, format, insn & 1 ? DOUBLE : SINGLE);
	}
	return false;
}

/* madd msub nmadd nmsub: two operations, each rounded; in a scratch pair */
bool fpu_execute_x(struct cpu *cpu, uint32_t insn)
{
	unsigned int format = insn & 1 ? DOUBLE : SINGLE;
	struct cpu scratch = *cpu;
	bool ok;

	cpu->bad = scratch.bad = 0;
	if ((insn & 0x26) != 0x20)
		return false;
	/* $f0 = fs * ft; $f2 = fr; $f0 = $f0 + or - $f2; maybe $f0 = -$f0 */
	ok = execute(&scratch, (insn & 0x001ff800) | 2, format);
	set_bits(&scratch, 2, get_bits(cpu, FR));
	if (format == SINGLE)
		scratch.f[2] = cpu->f[FR];
	ok = ok && execute(&scratch, 2u << 16 | (insn >> 3 & 1), format);
	if (insn & 0x10)
		sign(&scratch, 7, format);
	cpu->fcsr = scratch.fcsr;
	cpu->bad = scratch.bad;
	if (ok && format == DOUBLE)
		set_bits(cpu, FD, get_bits(&scratch, 0));
	else if (ok)
		cpu->f[FD] = scratch.f[0];
	return ok;
}
