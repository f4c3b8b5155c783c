/* SPDX-License-Identifier: MIT */
/* Loops for a processor of another kind: bench/emulator runs them.  loops NAME */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each instruction waits for the one before it. */
static uint32_t chain(void)
{
	uint32_t a = 1, b = 7;

	for (uint32_t i = 0; i < 200000000; i++) {
		a = a * 1664525 + b;
		b = (b ^ a >> 13) + i;
	}
	return a ^ b;
}

static uint32_t collatz(void)
{
	uint32_t steps = 0;

	for (uint32_t i = 1; i < 600000; i++)
		for (uint32_t n = i; n != 1; steps++)
			n = n % 2 ? 3 * n + 1 : n / 2;
	return steps;
}

static uint32_t sieve(void)
{
	static uint8_t is_prime[300000];
	uint32_t found = 0;

	for (int turn = 0; turn < 60; turn++) {
		memset(is_prime, 1, sizeof is_prime);
		for (uint32_t i = 2; i < sizeof is_prime; i++) {
			found += is_prime[i];
			for (uint32_t j = 2 * i; is_prime[i] && j < sizeof is_prime; j += i)
				is_prime[j] = 0;
		}
	}
	return found;
}

/* One byte after the other, by a table. */
static uint32_t checksum(void)
{
	static uint8_t bytes[4096];
	uint32_t table[256], sum = 0;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
	}
	for (uint32_t i = 0; i < 16000; i++) {
		for (uint32_t j = 0; j < sizeof bytes; j++)
			sum = table[(sum ^ bytes[j]) & 255] ^ sum >> 8;
		bytes[i % sizeof bytes] = (uint8_t)sum;
	}
	return sum;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

/* A function that is called by a pointer. */
static uint32_t sort(void)
{
	static int numbers[20000];
	uint32_t n = 1;

	for (int turn = 0; turn < 40; turn++) {
		for (size_t i = 0; i < 20000; i++)
			numbers[i] = (int)(n = n * 1103515245 + 12345);
		qsort(numbers, 20000, sizeof *numbers, compare);
	}
	return (uint32_t)numbers[7];
}

static __attribute__((noinline)) uint32_t fibonacci(uint32_t n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint32_t calls(void)
{
	return fibonacci(36);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; uint32_t (*run)(void); } loops[] = {
		{ "chain", chain }, { "collatz", collatz }, { "sieve", sieve },
		{ "checksum", checksum }, { "sort", sort }, { "calls", calls }
	};

	for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
		if (argc < 2)
			puts(loops[i].name);
		else if (!strcmp(argv[1], loops[i].name))
			printf("%u\n", loops[i].run());
	return 0;
}
