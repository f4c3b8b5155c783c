/* SPDX-License-Identifier: MIT */
/* FPU instructions that a compiler seldom makes; MIPS only. */
#include <stdint.h>
#include "guest.h"

static void bits(const char *what, double x)
{
	uint64_t b;

	memcpy(&b, &x, sizeof(b));
	printf("%s %016llx\n", what, (unsigned long long)b);
}

#define to_word(instruction, x) \
	do { \
		int32_t r_; \
		double x_ = (x); \
		__asm__ volatile(instruction " $f0, %1\n\tmfc1 %0, $f0" : "=r"(r_) : "f"(x_) : "$f0"); \
		printf("%s %g = %d\n", instruction, x_, r_); \
	} while (0)

static void rounding(void)
{
	const double numbers[] = { 2.5, -2.5, 1.5, 0.4999, -0.5, 7, 2147483646.7 };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		to_word("round.w.d", numbers[i]);
		to_word("trunc.w.d", numbers[i]);
		to_word("ceil.w.d", numbers[i]);
		to_word("floor.w.d", numbers[i]);
		to_word("cvt.w.d", numbers[i]);
	}
}

#define compare(condition, a, b) \
	do { \
		uint32_t r_; \
		double a_ = (a), b_ = (b); \
		__asm__ volatile( \
			".set push\n\t.set noreorder\n\t" \
			"c." condition ".d $fcc2, %1, %2\n\t" \
			"bc1t $fcc2, 1f\n\t" \
			" li %0, 1\n\t" \
			"li %0, 0\n" \
			"1:\n\t.set pop" \
			: "=&r"(r_) : "f"(a_), "f"(b_) : "$fcc2"); \
		printf(" %u", r_); \
	} while (0)

#define compare_all(condition) \
	do { \
		printf("c.%s", condition); \
		compare(condition, 1, 2); \
		compare(condition, 2, 2); \
		compare(condition, 3, 2); \
		compare(condition, __builtin_nan(""), 2); \
		putchar('\n'); \
	} while (0)

static void conditions(void)
{
	compare_all("f");
	compare_all("un");
	compare_all("eq");
	compare_all("ueq");
	compare_all("olt");
	compare_all("ult");
	compare_all("ole");
	compare_all("ule");
	compare_all("sf");
	compare_all("seq");
	compare_all("lt");
	compare_all("le");
}

static void branches(void)
{
	double one = 1, two = 2;
	uint32_t way;

	__asm__ volatile(
		".set push\n\t.set noreorder\n\t"
		"li %0, 0\n\t"
		"c.lt.d $fcc0, %1, %2\n\t"
		"c.lt.d $fcc1, %2, %1\n\t"
		"bc1tl $fcc0, 1f\n\t"
		" ori %0, %0, 1\n\t"
		"ori %0, %0, 2\n"
		"1:\tbc1tl $fcc1, 2f\n\t"
		" ori %0, %0, 4\n\t"
		"ori %0, %0, 8\n"
		"2:\tbc1fl $fcc0, 3f\n\t"
		" ori %0, %0, 16\n\t"
		"ori %0, %0, 32\n"
		"3:\tbc1f $fcc1, 4f\n\t"
		" ori %0, %0, 64\n\t"
		"ori %0, %0, 128\n"
		"4:\n\t.set pop"
		: "=&r"(way) : "f"(one), "f"(two) : "$fcc0", "$fcc1");
	printf("branches %u\n", way);
}

static void moves(void)
{
	double a = 1.5, b = 2.5, r;
	float f = 3.5f, s;
	uint32_t word, low, high, x = 5;

	r = 9;
	__asm__ volatile("movz.d %0, %1, %2" : "+f"(r) : "f"(a), "r"(0));
	bits("movz.d", r);
	__asm__ volatile("movn.d %0, %1, %2" : "+f"(r) : "f"(b), "r"(0));
	bits("movn.d", r);
	__asm__ volatile("c.lt.d $fcc0, %1, %2\n\tmovt.d %0, %2, $fcc0\n\tmovf.d %0, %1, $fcc0"
		: "+f"(r) : "f"(a), "f"(b) : "$fcc0");
	bits("movt.d", r);
	__asm__ volatile("c.lt.d $fcc0, %1, %2\n\tmovt %0, $0, $fcc0" : "+r"(x) : "f"(a), "f"(b)
		: "$fcc0");
	printf("movt %u\n", x);
	__asm__ volatile("mfc1 %0, %1" : "=r"(word) : "f"(f));
	printf("mfc1 %08x\n", word);
	__asm__ volatile("mfc1 %0, %2\n\tmfhc1 %1, %2" : "=&r"(low), "=&r"(high) : "f"(b));
	printf("mfhc1 %08x %08x\n", high, low);
	__asm__ volatile("mtc1 %1, %0\n\tmthc1 %2, %0" : "=&f"(r) : "r"(0), "r"(0x40240000));
	bits("mthc1", r);
	__asm__ volatile("abs.s %0, %1\n\tneg.s %0, %0" : "=f"(s) : "f"(f));
	bits("neg.s", s);
	__asm__ volatile("sqrt.s %0, %1" : "=f"(s) : "f"(f));
	bits("sqrt.s", s);
}

static void fused(void)
{
	double a = 3, b = 5, c = 7, r;
	float x = 1.25f, y = 8, z = 0.5f, s;

	__asm__ volatile("madd.d %0, %1, %2, %3" : "=f"(r) : "f"(c), "f"(a), "f"(b));
	bits("madd.d", r);
	__asm__ volatile("msub.d %0, %1, %2, %3" : "=f"(r) : "f"(c), "f"(a), "f"(b));
	bits("msub.d", r);
	__asm__ volatile("nmadd.d %0, %1, %2, %3" : "=f"(r) : "f"(c), "f"(a), "f"(b));
	bits("nmadd.d", r);
	__asm__ volatile("nmsub.s %0, %1, %2, %3" : "=f"(s) : "f"(z), "f"(x), "f"(y));
	bits("nmsub.s", s);
}

static void indexed(void)
{
	double list[4] = { 1, 2, 3, 4 }, r;
	float singles[4] = { 1, 2, 3, 4 }, s;

	__asm__ volatile("ldxc1 %0, %1(%2)" : "=f"(r) : "r"(16), "r"(list) : "memory");
	bits("ldxc1", r);
	__asm__ volatile("lwxc1 %0, %1(%2)" : "=f"(s) : "r"(12), "r"(singles) : "memory");
	bits("lwxc1", s);
	__asm__ volatile("sdxc1 %0, %1(%2)" : : "f"(r), "r"(8), "r"(list) : "memory");
	bits("sdxc1", list[1]);
	__asm__ volatile("swxc1 %0, %1(%2)" : : "f"(s), "r"(0), "r"(singles) : "memory");
	bits("swxc1", singles[0]);
}

/* The topmost bit of the fraction is set in a signalling NaN here. */
#define operation(instruction, x) \
	do { \
		uint32_t r_, flags_; \
		__asm__ volatile("ctc1 $0, $31\n\tmtc1 %2, $f0\n\t" instruction \
			" $f2, $f0, $f0\n\tmfc1 %0, $f2\n\tcfc1 %1, $31" \
			: "=&r"(r_), "=&r"(flags_) : "r"(x) : "$f0", "$f2"); \
		printf("%s of %08x: %08x, flags %02x\n", instruction, (x), r_, flags_ >> 2 & 31); \
	} while (0)

#define double_operation(instruction, x) \
	do { \
		uint32_t r_, flags_; \
		__asm__ volatile("ctc1 $0, $31\n\tmtc1 $0, $f0\n\tmthc1 %2, $f0\n\t" instruction \
			" $f2, $f0, $f0\n\tmfhc1 %0, $f2\n\tcfc1 %1, $31" \
			: "=&r"(r_), "=&r"(flags_) : "r"(x) : "$f0", "$f2"); \
		printf("%s of %08x: %08x, flags %02x\n", instruction, (x), r_, flags_ >> 2 & 31); \
	} while (0)

static void not_numbers(void)
{
	operation("div.s", 0);
	operation("add.s", 0x7fc00001);
	operation("mul.s", 0x3f800000);
	operation("sub.s", 0x7f800000);
	double_operation("div.d", 0);
	double_operation("add.d", 0x7ff80001);
	double_operation("mul.d", 0x7fe00000);
}

static void control(void)
{
	uint32_t before, after, id;
	double r;

	__asm__ volatile("cfc1 %0, $31\n\tcfc1 %1, $0" : "=r"(before), "=r"(id));
	printf("mode %u, there is an FPU: %d\n", before & 3, id != 0);
	__asm__ volatile(
		"ctc1 %2, $31\n\tdiv.d %0, %3, %4\n\tcfc1 %1, $31\n\tctc1 %5, $31"
		: "=&f"(r), "=&r"(after) : "r"((before & ~0xff83u) | 2), "f"(1.0), "f"(3.0), "r"(before));
	bits("1/3 upwards", r);
	printf("flags %02x, mode %u\n", after >> 2 & 31, after & 3);
}

int main(void)
{
	rounding();
	conditions();
	branches();
	moves();
	fused();
	indexed();
	not_numbers();
	control();
	return guest_end();
}
