/* SPDX-License-Identifier: MIT */
/* Loads and stores: widths, signs, lwl and its kin at every offset, ll/sc, rdhwr; MIPS only. */
#include <pthread.h>
#include <stdint.h>
#include "guest.h"

static unsigned char bytes[32] __attribute__((aligned(8)));

static void fill(void)
{
	int i;

	for (i = 0; i < 32; i++)
		bytes[i] = 0x81 + 7 * i;
}

static void dump(const char *what)
{
	int i;

	printf("%-6s", what);
	for (i = 0; i < 16; i++)
		printf(" %02x", bytes[i]);
	putchar('\n');
}

#define load(instruction, step) \
	do { \
		int i_; \
		printf("%-6s", instruction); \
		for (i_ = 0; i_ < 8; i_ += (step)) { \
			uint32_t r_ = 0xa1b2c3d4; \
			__asm__ volatile(instruction " %0, 0(%1)" : "+r"(r_) : "r"(bytes + 8 + i_) : "memory"); \
			printf(" %08x", r_); \
		} \
		putchar('\n'); \
	} while (0)

#define store(instruction, step) \
	do { \
		int i_; \
		for (i_ = 0; i_ < 8; i_ += (step)) { \
			fill(); \
			__asm__ volatile(instruction " %0, 0(%1)" : : "r"(0xa1b2c3d4), "r"(bytes + 4 + i_) : "memory"); \
			dump(instruction); \
		} \
	} while (0)

struct __attribute__((packed)) packed {
	char c;
	uint16_t half;
	uint32_t word;
	uint64_t twice;
	float single;
	double big;
};

static void unaligned(void)
{
	struct packed p;
	volatile struct packed *v = &p;

	v->c = 1;
	v->half = 0x1234;
	v->word = 0x89abcdef;
	v->twice = 0x0123456789abcdefULL;
	v->single = 1.5f;
	v->big = -2.25;
	printf("packed %x %x %llx %g %g\n", v->half, v->word, (unsigned long long)v->twice, v->single,
	       v->big);
	v->word += 0x11111111;
	v->twice *= 3;
	printf("packed %x %llx\n", v->word, (unsigned long long)v->twice);
}

static uint32_t cell = 5;

static void linked(void)
{
	uint32_t old, done;

	__asm__ volatile(
		"ll %0, 0(%2)\n\t"
		"addiu %1, %0, 1\n\t"
		"sc %1, 0(%2)\n\t"
		: "=&r"(old), "=&r"(done) : "r"(&cell) : "memory");
	printf("ll %u sc %u now %u\n", old, done, cell);
	printf("sub-word %u %u\n", __sync_fetch_and_add((unsigned char *)&cell + 1, 3),
	       __sync_val_compare_and_swap((unsigned short *)&cell, 0, 7));
	__asm__ volatile("sync\n\tpref 0, 0(%0)\n\tpref 30, 0(%0)" : : "r"(&cell) : "memory");
}

static uint32_t narrow;
static unsigned char narrower[4];

static void *contends(void *arg)
{
	int i;

	for (i = 0; i < 20000; i++) {
		__atomic_add_fetch(&narrow, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&narrower[i & 3], 1, __ATOMIC_SEQ_CST);
		if ((i & 1) == 0)
			while (!__sync_bool_compare_and_swap(&cell, cell, cell + 1))
				;
	}
	return arg;
}

/* Where a store between ll and sc goes unseen, counts are missing. */
static void contended(void)
{
	pthread_t threads[4];
	int i;

	cell = 0;
	for (i = 0; i < 4; i++)
		need(pthread_create(&threads[i], NULL, contends, NULL) == 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("contended %u %u %u %u %u\n", narrow, narrower[0], narrower[1], narrower[2], narrower[3]);
}

static void *of_thread(void *arg)
{
	uint32_t pointer;

	__asm__(".set push\n\t.set mips32r2\n\trdhwr %0, $29\n\t.set pop" : "=r"(pointer));
	*(uint32_t *)arg = pointer;
	return NULL;
}

static void hardware_registers(void)
{
	uint32_t here, there, step;
	pthread_t thread;

	of_thread(&here);
	need(pthread_create(&thread, NULL, of_thread, &there) == 0);
	pthread_join(thread, NULL);
	printf("thread pointers differ: %d\n", here != there && here && there);
	__asm__("rdhwr %0, $1" : "=r"(step));
	printf("synci step is a power of two: %d\n", (step & (step - 1)) == 0);
}

int main(void)
{
	const uint32_t one = 1;

	printf("order %u\n", *(const unsigned char *)&one);
	fill();
	load("lb", 1);
	load("lbu", 1);
	load("lh", 2);
	load("lhu", 2);
	load("lw", 4);
	load("lwl", 1);
	load("lwr", 1);
	store("sb", 1);
	store("sh", 2);
	store("sw", 4);
	store("swl", 1);
	store("swr", 1);
	unaligned();
	linked();
	contended();
	hardware_registers();
	return guest_end();
}
