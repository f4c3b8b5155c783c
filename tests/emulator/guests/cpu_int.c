/* SPDX-License-Identifier: MIT */
/* Integer instructions of MIPS32r2, each on awkward numbers; MIPS only. */
#include <stdint.h>
#include "guest.h"

static const uint32_t numbers[] = {
	0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x12345678, 0x7fffffff, 0x80000000,
	0x80000001, 0xdeadbeef, 0xfffffffe, 0xffffffff
};
#define COUNT (sizeof(numbers) / sizeof(numbers[0]))

/* A sum that depends on the order, so that one wrong result shows. */
static uint32_t mix(uint32_t sum, uint32_t x)
{
	sum = (sum ^ x) * 16777619;
	return sum ^ sum >> 15;
}

#define two(name, instruction) \
	static void name(void) \
	{ \
		uint32_t sum = 0, r; \
		size_t i, j; \
		for (i = 0; i < COUNT; i++) \
			for (j = 0; j < COUNT; j++) { \
				__asm__(instruction " %0, %1, %2" : "=r"(r) : "r"(numbers[i]), "r"(numbers[j])); \
				sum = mix(sum, r); \
				if (i == 13 && j > 11) \
					printf("%-8s %08x %08x = %08x\n", instruction, numbers[i], \
					       numbers[j], r); \
			} \
		printf("%-8s sum %08x\n", instruction, sum); \
	}
two(i_addu, "addu")
two(i_subu, "subu")
two(i_and, "and")
two(i_or, "or")
two(i_xor, "xor")
two(i_nor, "nor")
two(i_slt, "slt")
two(i_sltu, "sltu")
two(i_mul, "mul")
two(i_sllv, "sllv")
two(i_srlv, "srlv")
two(i_srav, "srav")
two(i_rotrv, "rotrv")

#define one(name, instruction, text) \
	static void name(void) \
	{ \
		uint32_t sum = 0, r = 0; \
		size_t i; \
		for (i = 0; i < COUNT; i++) { \
			__asm__(instruction : "=r"(r) : "r"(numbers[i])); \
			sum = mix(sum, r); \
		} \
		printf("%-16s %08x sum %08x\n", text, r, sum); \
	}
one(j_clz, "clz %0, %1", "clz")
one(j_clo, "clo %0, %1", "clo")
one(j_seb, "seb %0, %1", "seb")
one(j_seh, "seh %0, %1", "seh")
one(j_wsbh, "wsbh %0, %1", "wsbh")
one(j_rotr, "rotr %0, %1, 13", "rotr 13")
one(j_sll, "sll %0, %1, 7", "sll 7")
one(j_srl, "srl %0, %1, 31", "srl 31")
one(j_sra, "sra %0, %1, 3", "sra 3")
one(j_ext1, "ext %0, %1, 0, 1", "ext 0 1")
one(j_ext2, "ext %0, %1, 5, 11", "ext 5 11")
one(j_ext3, "ext %0, %1, 0, 32", "ext 0 32")
one(j_ext4, "ext %0, %1, 31, 1", "ext 31 1")
one(j_addiu, "addiu %0, %1, -32768", "addiu")
one(j_slti, "slti %0, %1, -2", "slti")
one(j_sltiu, "sltiu %0, %1, -2", "sltiu")
one(j_andi, "andi %0, %1, 0xfff0", "andi")
one(j_ori, "ori %0, %1, 0xf00f", "ori")
one(j_xori, "xori %0, %1, 0xffff", "xori")
one(j_lui, "lui %0, 0x8001\n\taddu %0, %0, %1", "lui")

static void inserts(void)
{
	uint32_t r, sum = 0;
	size_t i;

	for (i = 0; i < COUNT; i++) {
		r = 0xa5a5a5a5;
		__asm__("ins %0, %1, 0, 1" : "+r"(r) : "r"(numbers[i]));
		__asm__("ins %0, %1, 4, 13" : "+r"(r) : "r"(numbers[i]));
		__asm__("ins %0, %1, 31, 1" : "+r"(r) : "r"(~numbers[i]));
		sum = mix(sum, r);
		r = 7;
		__asm__("ins %0, %1, 0, 32" : "+r"(r) : "r"(numbers[i]));
		sum = mix(sum, r);
	}
	printf("ins sum %08x\n", sum);
}

#define accumulate(name, instruction) \
	static void name(void) \
	{ \
		uint32_t hi = 0x7ffffff0, lo = 0xfffffff0, sum = 0; \
		size_t i, j; \
		for (i = 0; i < COUNT; i++) \
			for (j = 0; j < COUNT; j++) { \
				__asm__("mthi %0\n\tmtlo %1\n\t" instruction \
					" %2, %3\n\tmfhi %0\n\tmflo %1" \
					: "+r"(hi), "+r"(lo) : "r"(numbers[i]), "r"(numbers[j]) \
					: "hi", "lo"); \
				sum = mix(mix(sum, hi), lo); \
			} \
		printf("%-8s %08x %08x sum %08x\n", instruction, hi, lo, sum); \
	}
accumulate(k_mult, "mult")
accumulate(k_multu, "multu")
accumulate(k_madd, "madd")
accumulate(k_maddu, "maddu")
accumulate(k_msub, "msub")
accumulate(k_msubu, "msubu")

/* What a division by zero, or one that overflows, leaves is nobody's promise. */
static void divisions(void)
{
	uint32_t hi, lo, sum = 0, sumu = 0;
	size_t i, j;

	for (i = 0; i < COUNT; i++)
		for (j = 1; j < COUNT; j++) {
			if (numbers[i] != 0x80000000 || numbers[j] != 0xffffffff) {
				__asm__("div $0, %2, %3\n\tmfhi %0\n\tmflo %1" : "=&r"(hi), "=&r"(lo)
					: "r"(numbers[i]), "r"(numbers[j]) : "hi", "lo");
				sum = mix(mix(sum, hi), lo);
			}
			__asm__("divu $0, %2, %3\n\tmfhi %0\n\tmflo %1" : "=&r"(hi), "=&r"(lo)
				: "r"(numbers[i]), "r"(numbers[j]) : "hi", "lo");
			sumu = mix(mix(sumu, hi), lo);
		}
	printf("div sum %08x, divu sum %08x\n", sum, sumu);
}

static void conditional_moves(void)
{
	uint32_t a, b, zero = 0, one = 1;

	a = b = 5;
	__asm__ volatile("movz %0, %2, %3\n\tmovn %1, %2, %3" : "+r"(a), "+r"(b) : "r"(9), "r"(zero));
	printf("movz %u movn %u\n", a, b);
	a = b = 5;
	__asm__ volatile("movz %0, %2, %3\n\tmovn %1, %2, %3" : "+r"(a), "+r"(b) : "r"(9), "r"(one));
	printf("movz %u movn %u\n", a, b);
}

/* Register zero stays so. */
static void register_zero(void)
{
	uint32_t r;

	__asm__ volatile(
		".set push\n\t.set noat\n\t"
		"addiu $0, $0, 5\n\tori $0, $0, 7\n\tlw $0, 0($sp)\n\tmove %0, $0\n\t.set pop" : "=r"(r));
	printf("zero %u\n", r);
}

int main(void)
{
	i_addu(); i_subu(); i_and(); i_or(); i_xor(); i_nor(); i_slt(); i_sltu(); i_mul();
	i_sllv(); i_srlv(); i_srav(); i_rotrv();
	j_clz(); j_clo(); j_seb(); j_seh(); j_wsbh(); j_rotr(); j_sll(); j_srl(); j_sra();
	j_ext1(); j_ext2(); j_ext3(); j_ext4(); j_addiu(); j_slti(); j_sltiu(); j_andi(); j_ori();
	j_xori(); j_lui();
	inserts();
	k_mult(); k_multu(); k_madd(); k_maddu(); k_msub(); k_msubu();
	divisions();
	conditional_moves();
	register_zero();
	return guest_end();
}
