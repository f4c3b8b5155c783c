/* SPDX-License-Identifier: MIT */
/* Branches, jumps, their delay slots, and branch-likely, which skips its slot; MIPS only. */
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>
#include "guest.h"

static const int32_t numbers[] = { 0, 1, -1, 5, INT32_MIN, INT32_MAX };

/* Bit 0: the slot ran; bit 1: fell through; bit 2: arrived. */
#define on_one(branch) \
	do { \
		size_t i_; \
		printf("%-8s", branch); \
		for (i_ = 0; i_ < sizeof(numbers) / sizeof(numbers[0]); i_++) { \
			uint32_t way; \
			__asm__ volatile( \
				".set push\n\t.set noreorder\n\t" \
				"li %0, 0\n\t" \
				branch " %1, 1f\n\t" \
				" ori %0, %0, 1\n\t" \
				"ori %0, %0, 2\n" \
				"1:\tori %0, %0, 4\n\t" \
				".set pop" \
				: "=&r"(way) : "r"(numbers[i_]) : "$31"); \
			printf(" %u", way); \
		} \
		putchar('\n'); \
	} while (0)

#define on_two(branch) \
	do { \
		size_t i_, j_; \
		printf("%-8s", branch); \
		for (i_ = 0; i_ < 3; i_++) \
			for (j_ = 0; j_ < 3; j_++) { \
				uint32_t way; \
				__asm__ volatile( \
					".set push\n\t.set noreorder\n\t" \
					"li %0, 0\n\t" \
					branch " %1, %2, 1f\n\t" \
					" ori %0, %0, 1\n\t" \
					"ori %0, %0, 2\n" \
					"1:\tori %0, %0, 4\n\t" \
					".set pop" \
					: "=&r"(way) : "r"(numbers[i_]), "r"(numbers[j_])); \
				printf(" %u", way); \
			} \
		putchar('\n'); \
	} while (0)

/* The link is set also where the branch is not taken. */
static void links(void)
{
	uint32_t way, link;
	int32_t i;

	for (i = -1; i < 2; i++) {
		__asm__ volatile(
			".set push\n\t.set noreorder\n\t"
			"li $31, 0\n\tli %0, 0\n\t"
			"bgezal %2, 1f\n\t"
			" ori %0, %0, 1\n"
			"2:\tori %0, %0, 2\n"
			"1:\tori %0, %0, 4\n\t"
			"la %1, 2b\n\t"
			"subu %1, $31, %1\n\t"
			".set pop"
			: "=&r"(way), "=&r"(link) : "r"(i) : "$31");
		printf("bgezal %d: %u, link %d\n", i, way, link);
		__asm__ volatile(
			".set push\n\t.set noreorder\n\t"
			"li $31, 0\n\tli %0, 0\n\t"
			"bltzall %2, 1f\n\t"
			" ori %0, %0, 1\n"
			"2:\tori %0, %0, 2\n"
			"1:\tori %0, %0, 4\n\t"
			"la %1, 2b\n\t"
			"subu %1, $31, %1\n\t"
			".set pop"
			: "=&r"(way), "=&r"(link) : "r"(i) : "$31");
		printf("bltzall %d: %u, link %d\n", i, way, link);
	}
}

static void jumps(void)
{
	uint32_t way, back;

	__asm__ volatile(
		".set push\n\t.set noreorder\n\t"
		"li %0, 0\n\t"
		"la $8, 1f\n\t"
		"jalr $9, $8\n\t"
		" ori %0, %0, 1\n"
		"2:\tori %0, %0, 2\n\t"
		"b 3f\n\t"
		" ori %0, %0, 16\n"
		"1:\tori %0, %0, 4\n\t"
		"jr $9\n\t"
		" ori %0, %0, 8\n"
		"3:\tla %1, 2b\n\t"
		"subu %1, $9, %1\n\t"
		".set pop"
		: "=&r"(way), "=&r"(back) : : "$8", "$9");
	printf("jalr %u, link %d\n", way, back);
	__asm__ volatile(
		".set push\n\t.set noreorder\n\t"
		"li %0, 0\n\t"
		"jal 1f\n\t"
		" ori %0, %0, 1\n\t"
		"j 2f\n\t"
		" ori %0, %0, 2\n"
		"1:\tjr $31\n\t"
		" ori %0, %0, 4\n"
		"2:\tnop\n\t"
		".set pop"
		: "=&r"(way) : : "$31");
	printf("jal %u\n", way);
}

/* The slot may change what the branch looked at: it looked before. */
static void slots(void)
{
	uint32_t way, value = 1;

	__asm__ volatile(
		".set push\n\t.set noreorder\n\t"
		"li %0, 0\n\t"
		"bnez %1, 1f\n\t"
		" li %1, 0\n\t"
		"ori %0, %0, 2\n"
		"1:\tori %0, %0, 4\n\t"
		"la $8, 2f\n\t"
		"jr $8\n\t"
		" li $8, 0\n\t"
		"ori %0, %0, 8\n"
		"2:\tor %0, %0, $8\n\t"
		".set pop"
		: "=&r"(way), "+r"(value) : : "$8");
	printf("slots %u %u\n", way, value);
}

static volatile int caught;

static void skip(int sig, siginfo_t *info, void *ucontext)
{
	(void)info;
	caught = sig;
	((ucontext_t *)ucontext)->uc_mcontext.pc += 4;
}

#define trap(instruction, a) \
	do { \
		caught = 0; \
		__asm__ volatile(instruction : : "r"(a), "r"(2) : "memory"); \
		printf("%s %d: %d\n", instruction, (int)(a), caught); \
	} while (0)

#define traps_of(instruction) \
	do { \
		trap(instruction, -2); \
		trap(instruction, 1); \
		trap(instruction, 2); \
		trap(instruction, 3); \
	} while (0)

static void caught_traps(void)
{
	struct sigaction action = { .sa_sigaction = skip, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, NULL);
	traps_of("tge %0, %1"); traps_of("tgeu %0, %1"); traps_of("tlt %0, %1");
	traps_of("tltu %0, %1"); traps_of("teq %0, %1"); traps_of("tne %0, %1");
	traps_of("tgei %0, 2"); traps_of("tgeiu %0, 2"); traps_of("tlti %0, 2");
	traps_of("tltiu %0, 2"); traps_of("teqi %0, 2"); traps_of("tnei %0, 2");
}

static void traps(void)
{
	/* None of these is to trap. */
	__asm__ volatile("teq %0, %1\n\ttne %0, %0\n\ttge %0, %1\n\ttltu %1, %0\n\ttlti %1, 1\n\t"
		"teqi %1, 4\n\ttnei %1, 5\n\ttgei %1, 6\n\ttgeiu %1, 6"
		: : "r"(3), "r"(5));
	puts("no trap");
}

int main(void)
{
	on_one("beqz"); on_one("bnez"); on_one("blez"); on_one("bgtz"); on_one("bltz"); on_one("bgez");
	on_one("beqzl"); on_one("bnezl"); on_one("blezl"); on_one("bgtzl"); on_one("bltzl");
	on_one("bgezl"); on_one("bltzal"); on_one("bgezal"); on_one("bltzall"); on_one("bgezall");
	on_two("beq"); on_two("bne"); on_two("beql"); on_two("bnel");
	links();
	jumps();
	slots();
	traps();
	caught_traps();
	return guest_end();
}
