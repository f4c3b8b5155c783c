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

enum { SINGLE = 16, DOUBLE = 17, WORD = 20, LONG = 21 };	/* formats */

#define NAN32	0x7fbfffffu
#define NAN64	0x7ff7ffffffffffffULL

/* ---- control and status ------------------------------------------------------- */

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

/* The host's unit as the register says. */
void fpu_restore(const struct cpu *cpu)
{
	static const int modes[] = {
		FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD
	};

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
		return 0x00739300;	/* what there is: S, D, W, L */
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

/* ---- registers --------------------------------------------------------------------- */

static uint64_t get_bits(const struct cpu *cpu, unsigned int n)
{
	return (uint64_t)cpu->f[n | 1] << 32 | cpu->f[n & ~1u];
}

static void set_bits(struct cpu *cpu, unsigned int n, uint64_t v)
{
	cpu->f[n & ~1u] = (uint32_t)v;
	cpu->f[n | 1] = (uint32_t)(v >> 32);
}

static float get_single(const struct cpu *cpu, unsigned int n)
{
	float v;

	memcpy(&v, &cpu->f[n], sizeof v);
	return v;
}

static double get_double(const struct cpu *cpu, unsigned int n)
{
	uint64_t bits = get_bits(cpu, n);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static bool is_nan32(uint32_t v) { return (v & 0x7fffffff) > 0x7f800000; }
static bool is_nan64(uint64_t v) { return (v & ~(1ULL << 63)) > 0x7ffULL << 52; }
static bool is_signalling32(uint32_t v) { return is_nan32(v) && v >> 22 & 1; }
static bool is_signalling64(uint64_t v) { return is_nan64(v) && v >> 51 & 1; }

/* What the host makes of numbers; a NaN that it made is its own. */
static void set_single(struct cpu *cpu, unsigned int n, float v)
{
	memcpy(&cpu->f[n], &v, sizeof v);
	if (is_nan32(cpu->f[n]))
		cpu->f[n] = NAN32;
}

static void set_double(struct cpu *cpu, unsigned int n, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof v);
	set_bits(cpu, n, is_nan64(bits) ? NAN64 : bits);
}

/*
 * Where an operand is a NaN, so is the result: the first of them, or a new one
 * when one is signalling.  True: that was so, and it is done.
 */
static bool nan32(struct cpu *cpu, unsigned int d, uint32_t a, uint32_t b)
{
	if (!is_nan32(a) && !is_nan32(b))
		return false;
	if (is_signalling32(a) || is_signalling32(b)) {
		feraiseexcept(FE_INVALID);
		cpu->f[d] = NAN32;
	} else {
		cpu->f[d] = is_nan32(a) ? a : b;
	}
	return true;
}

static bool nan64(struct cpu *cpu, unsigned int d, uint64_t a, uint64_t b)
{
	if (!is_nan64(a) && !is_nan64(b))
		return false;
	if (is_signalling64(a) || is_signalling64(b)) {
		feraiseexcept(FE_INVALID);
		set_bits(cpu, d, NAN64);
	} else {
		set_bits(cpu, d, is_nan64(a) ? a : b);
	}
	return true;
}

/* ---- arithmetic ---------------------------------------------------------------------- */

/* add sub mul div sqrt, and 21 recip, 22 rsqrt */
static bool arithmetic32(struct cpu *cpu, uint32_t insn)
{
	unsigned int function = insn & 63;
	volatile float a = get_single(cpu, FS), b = get_single(cpu, FT), v;

	if (nan32(cpu, FD, cpu->f[FS], function < 4 ? cpu->f[FT] : cpu->f[FS]))
		return no_trap(cpu);
	switch (function) {
	case 0: v = a + b; break;
	case 1: v = a - b; break;
	case 2: v = a * b; break;
	case 3: v = a / b; break;
	case 4: v = sqrtf(a); break;
	case 21: v = 1.0f / a; break;
	default: v = 1.0f / sqrtf(a); break;
	}
	if (!no_trap(cpu))
		return false;
	set_single(cpu, FD, v);
	return true;
}

static bool arithmetic64(struct cpu *cpu, uint32_t insn)
{
	unsigned int function = insn & 63;
	volatile double a = get_double(cpu, FS), b = get_double(cpu, FT), v;
	uint64_t second = get_bits(cpu, function < 4 ? FT : FS);

	if (nan64(cpu, FD, get_bits(cpu, FS), second))
		return no_trap(cpu);
	switch (function) {
	case 0: v = a + b; break;
	case 1: v = a - b; break;
	case 2: v = a * b; break;
	case 3: v = a / b; break;
	case 4: v = sqrt(a); break;
	case 21: v = 1.0 / a; break;
	default: v = 1.0 / sqrt(a); break;
	}
	if (!no_trap(cpu))
		return false;
	set_double(cpu, FD, v);
	return true;
}

/* abs mov neg: bits, no arithmetic */
static void sign(struct cpu *cpu, uint32_t insn, bool is_double)
{
	unsigned int top = is_double ? FS | 1 : FS;
	uint32_t v = cpu->f[top];

	if ((insn & 63) == 5)
		v &= 0x7fffffff;
	else if ((insn & 63) == 7)
		v ^= 0x80000000;
	if (is_double)
		cpu->f[FD & ~1u] = cpu->f[FS & ~1u];
	cpu->f[is_double ? FD | 1 : FD] = v;
}

/* c.cond: bit 0 unordered, 1 equal, 2 less; 3 says that a NaN is invalid */
static bool compare(struct cpu *cpu, uint32_t insn, bool is_double)
{
	double a = 0, b = 0;
	bool nan, signalling, result;

	if (is_double) {
		uint64_t x = get_bits(cpu, FS), y = get_bits(cpu, FT);

		nan = is_nan64(x) || is_nan64(y);
		signalling = is_signalling64(x) || is_signalling64(y);
	} else {
		uint32_t x = cpu->f[FS], y = cpu->f[FT];

		nan = is_nan32(x) || is_nan32(y);
		signalling = is_signalling32(x) || is_signalling32(y);
	}
	if (!nan) {
		a = is_double ? get_double(cpu, FS) : (double)get_single(cpu, FS);
		b = is_double ? get_double(cpu, FT) : (double)get_single(cpu, FT);
	}
	if (signalling || (nan && insn & 8))
		feraiseexcept(FE_INVALID);
	if (!no_trap(cpu))
		return false;
	result = nan ? insn & 1 : (insn & 2 && a == b) || (insn & 4 && a < b);
	set_condition(cpu, insn >> 8 & 7, result);
	return true;
}

/* ---- conversion ------------------------------------------------------------------------ */

/* `how`: 0 nearest, 1 towards zero, 2 up, 3 down, -1 as the status says */
static double round_to(double v, int how)
{
	int mode;

	switch (how) {
	case 1: return trunc(v);
	case 2: return ceil(v);
	case 3: return floor(v);
	case -1: return nearbyint(v);
	}
	mode = fegetround();
	fesetround(FE_TONEAREST);
	v = nearbyint(v);
	fesetround(mode);
	return v;
}

/* To an integer of 32 or 64 bits; what does not fit becomes the largest. */
static bool to_integer(struct cpu *cpu, uint32_t insn, bool is_double, int how,
		       bool is_long)
{
	bool nan = is_double ? is_nan64(get_bits(cpu, FS)) : is_nan32(cpu->f[FS]);
	double v = nan ? 0 : is_double ? get_double(cpu, FS) :
		(double)get_single(cpu, FS);
	double limit = is_long ? 0x1p63 : 0x1p31;
	double whole = round_to(v, how);
	bool fits = !nan && whole >= -limit && whole < limit;

	if (!fits)
		feraiseexcept(FE_INVALID);
	else if (whole != v)
		feraiseexcept(FE_INEXACT);
	if (!no_trap(cpu))
		return false;
	if (is_long)
		set_bits(cpu, FD, fits ? (uint64_t)(int64_t)whole : INT64_MAX);
	else
		cpu->f[FD] = fits ? (uint32_t)(int32_t)whole : INT32_MAX;
	return true;
}

static bool to_single(struct cpu *cpu, uint32_t insn, unsigned int format)
{
	volatile float v = 0;
	bool nan = format == DOUBLE && is_nan64(get_bits(cpu, FS));

	if (format == WORD)
		v = (float)(int32_t)cpu->f[FS];
	else if (format == LONG)
		v = (float)(int64_t)get_bits(cpu, FS);
	else if (!nan)
		v = (float)get_double(cpu, FS);
	else if (is_signalling64(get_bits(cpu, FS)))
		feraiseexcept(FE_INVALID);
	if (!no_trap(cpu))
		return false;
	set_single(cpu, FD, v);
	if (nan)
		cpu->f[FD] = NAN32;
	return true;
}

static bool to_double(struct cpu *cpu, uint32_t insn, unsigned int format)
{
	volatile double v = 0;
	bool nan = format == SINGLE && is_nan32(cpu->f[FS]);

	if (format == WORD)
		v = (int32_t)cpu->f[FS];
	else if (format == LONG)
		v = (double)(int64_t)get_bits(cpu, FS);
	else if (!nan)
		v = get_single(cpu, FS);
	else if (is_signalling32(cpu->f[FS]))
		feraiseexcept(FE_INVALID);
	if (!no_trap(cpu))
		return false;
	set_double(cpu, FD, v);
	if (nan)
		set_bits(cpu, FD, NAN64);
	return true;
}

/* ---- instructions ------------------------------------------------------------------------ */

static void move(struct cpu *cpu, uint32_t insn, bool is_double)
{
	if (is_double)
		set_bits(cpu, FD, get_bits(cpu, FS));
	else
		cpu->f[FD] = cpu->f[FS];
}

static bool execute(struct cpu *cpu, uint32_t insn, unsigned int format)
{
	unsigned int function = insn & 63;
	bool is_double = format == DOUBLE;

	if (function >= 48)
		return compare(cpu, insn, is_double);
	switch (function) {
	case 0: case 1: case 2: case 3: case 4: case 21: case 22:
		return is_double ? arithmetic64(cpu, insn) : arithmetic32(cpu, insn);
	case 5: case 6: case 7:
		sign(cpu, insn, is_double);
		return true;
	case 8: case 9: case 10: case 11:	/* round trunc ceil floor .l */
		return to_integer(cpu, insn, is_double, (int)function - 8, true);
	case 12: case 13: case 14: case 15:	/* .w */
		return to_integer(cpu, insn, is_double, (int)function - 12, false);
	case 17:				/* movf, movt */
		if (fpu_condition(cpu, insn >> 18 & 7) == (insn >> 16 & 1))
			move(cpu, insn, is_double);
		return true;
	case 18:				/* movz */
	case 19:				/* movn */
		if ((cpu->r[FT] == 0) == (function == 18))
			move(cpu, insn, is_double);
		return true;
	case 32:
		return is_double && to_single(cpu, insn, format);
	case 33:
		return !is_double && to_double(cpu, insn, format);
	case 36:
	case 37:
		return to_integer(cpu, insn, is_double, -1, function == 37);
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
	case LONG:
		if ((insn & 63) == 32)
			return to_single(cpu, insn, format);
		if ((insn & 63) == 33)
			return to_double(cpu, insn, format);
	}
	return false;
}

/* madd msub nmadd nmsub: two operations, each rounded */
bool fpu_execute_x(struct cpu *cpu, uint32_t insn)
{
	uint32_t mul, add, neg;
	unsigned int format = insn & 7 ? DOUBLE : SINGLE;

	cpu->bad = 0;
	if ((insn & 0x26) != 0x20 || (insn & 7) > 1)
		return false;
	/* FD = FS * FT in a scratch pair, then FD = it + FR */
	struct cpu scratch = *cpu;

	mul = (insn & 0x001ff800) | 0u << 6 | 2;
	if (!execute(&scratch, mul, format)) {
		*cpu = scratch;
		return false;
	}
	scratch.f[2] = cpu->f[FR];
	if (format == DOUBLE)
		set_bits(&scratch, 2, get_bits(cpu, FR));
	add = 2u << 16 | 0u << 11 | 0u << 6 | (insn >> 3 & 1);
	neg = 0u << 11 | 0u << 6 | 7;
	if (!execute(&scratch, add, format)) {
		cpu->fcsr = scratch.fcsr;
		cpu->bad = scratch.bad;
		return false;
	}
	if (insn & 0x10)
		sign(&scratch, neg, format == DOUBLE);
	cpu->fcsr = scratch.fcsr;
	if (format == DOUBLE)
		set_bits(cpu, FD, get_bits(&scratch, 0));
	else
		cpu->f[FD] = scratch.f[0];
	return true;
}
