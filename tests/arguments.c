/* SPDX-License-Identifier: MIT */
/*
 * arguments.c - arguments without casts: each arrives whole, of whatever type, in each place
 *
 * The same calls are made once more without the macros, to see that they are needed: where
 * the ABI leaves the upper half of an int to chance, or widens it otherwise than C does, some
 * of them go wrong.  The library is not linked, tests/words.c stands in for it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"

/*
 * ppc64 and s390x widen an argument by its type, to a whole register, and where registers
 * have 32 bits an int is one.
 */
#if defined __powerpc64__ || defined __s390x__ || !defined WORD_IS_LONG_LONG
# define SHOULD_GO_WRONG 0
#else
# define SHOULD_GO_WRONG 1
#endif

enum small { NONE, SOME = 7 };
enum signed_small { MINUS = -1, PLUS = 1 };

struct fields {
	unsigned int three : 3;
	int minus : 5;
	unsigned long word;
};

/* Nobody can know at compile time what is in the upper half. */
static volatile long long dirt = 0x5a5a5a5a00000000LL;
static volatile int flag;
static int right, wrong, faults;
static char array[4];

static void judge(const char *text, int place, safe_syscall_word expected)
{
	if (words[place] == expected) {
		right++;
	} else {
		wrong++;
		printf("%s, place %d: %llx\n", text, place + 1, (unsigned long long)words[place]);
	}
}

static void judge_function(int place, safe_syscall_word expected)
{
	faults += words[place] != expected;
}

/* By both functions, each with and without its macro. */
#define CALL(judgement, ...)						\
	do {								\
		memset(words, 0x3c, sizeof words);			\
		litter();						\
		safe_syscall_raw(&flag, __VA_ARGS__);			\
		judge judgement;					\
		memset(words, 0x3c, sizeof words);			\
		litter();						\
		safe_syscall(__VA_ARGS__);				\
		judge judgement;					\
	} while (0)
#define CALL_FUNCTIONS(judgement, ...)					\
	do {								\
		litter();						\
		(safe_syscall_raw)(&flag, __VA_ARGS__);			\
		judge_function judgement;				\
		litter();						\
		(safe_syscall)(__VA_ARGS__);				\
		judge_function judgement;				\
	} while (0)

/* In each place, beside others; and the last of as many as there are. */
#define ARRIVES(x, expected)						\
	do {								\
		const safe_syscall_word e_ = (safe_syscall_word)(expected); \
									\
		CALL((#x, 0, e_), 6, x, 1, 2, 3, 4, 5);			\
		CALL((#x, 1, e_), 6, 0, x, 2, 3, 4, 5);			\
		CALL((#x, 2, e_), 6, 0, 1, x, 3, 4, 5);			\
		CALL((#x, 3, e_), 6, 0, 1, 2, x, 4, 5);			\
		CALL((#x, 4, e_), 6, 0, 1, 2, 3, x, 5);			\
		CALL((#x, 5, e_), 6, 0, 1, 2, 3, 4, x);			\
		CALL((#x, 0, e_), 1, x);				\
		CALL((#x, 1, e_), 2, 0, x);				\
		CALL((#x, 2, e_), 3, 0, 1, x);				\
		CALL((#x, 3, e_), 4, 0, 1, 2, x);			\
		CALL((#x, 4, e_), 5, 0, 1, 2, 3, x);			\
		CALL_FUNCTIONS((0, e_), 6, x, 1, 2, 3, 4, 5);		\
		CALL_FUNCTIONS((4, e_), 6, 0, 1, 2, 3, x, 5);		\
		CALL_FUNCTIONS((5, e_), 6, 0, 1, 2, 3, 4, x);		\
	} while (0)

static void integers(void)
{
	ARRIVES((int)(dirt + 7), 7);
	ARRIVES((int)(dirt - 7), -7);
	ARRIVES((unsigned int)(dirt + 7), 7);
	ARRIVES((unsigned int)(dirt + 0xfffffff9), 0xfffffff9);
	ARRIVES((short)(dirt - 7), -7);
	ARRIVES((unsigned short)(dirt - 7), 0xfff9);
	ARRIVES((signed char)(dirt - 7), -7);
	ARRIVES((unsigned char)(dirt - 7), 0xf9);
	ARRIVES((bool)dirt, 1);
	ARRIVES((long)(int)(dirt - 7), -7);
	ARRIVES((unsigned long)dirt, (unsigned long)dirt);
	ARRIVES((size_t)dirt, (size_t)dirt);
	ARRIVES((safe_syscall_word)dirt, (safe_syscall_word)dirt);
#ifdef WORD_IS_LONG_LONG
	ARRIVES((long long)dirt, dirt);
	ARRIVES((uint64_t)dirt + 7, dirt + 7);
#endif
}

static void constants(void)
{
	ARRIVES(0, 0);
	ARRIVES(-1, -1);
	ARRIVES(0L, 0);
	ARRIVES(0x7fffffff, 0x7fffffff);
	ARRIVES(0x80000000, 0x80000000);
	ARRIVES(0xffffffffU, 0xffffffff);
	ARRIVES(-1L, -1);
	ARRIVES('x', 'x');
	ARRIVES(sizeof(int), sizeof(int));
	ARRIVES(SOME, 7);
	ARRIVES(true, 1);
}

static void enumerations(void)
{
	ARRIVES((enum small)(dirt + SOME), 7);
	ARRIVES((enum signed_small)(dirt - 1), -1);
}

static void bit_fields(void)
{
	struct fields s;

	s.three = 7 & (unsigned int)(dirt - 1);
	s.minus = (int)(dirt - 9) % 16;
	s.word = 5;
	ARRIVES(s.three, 7);
	ARRIVES(s.minus, -9);
	ARRIVES(s.word, 5);
}

static void pointers(void)
{
	static int i = 5;
	const int *constant = &i;
	const volatile void *any = &i;
	volatile char *vol = array;
	void (*function)(void) = litter;

	ARRIVES(&i, (intptr_t)&i);
	ARRIVES(constant, (intptr_t)&i);
	ARRIVES(any, (intptr_t)&i);
	ARRIVES(vol, (intptr_t)array);
	ARRIVES(array, (intptr_t)array);
	ARRIVES(&array, (intptr_t)array);
	ARRIVES(function, (intptr_t)litter);
	ARRIVES(litter, (intptr_t)litter);
	ARRIVES(NULL, 0);
	ARRIVES((void *)0, 0);
	ARRIVES(i ? any : NULL, (intptr_t)&i);
}

/* Once each, also where one call is an argument of the other, and with no argument. */
static void evaluated(void)
{
	int i = 0, j = 0;
	char *p = array;

	safe_syscall_raw(&flag, 3, i++, p++, safe_syscall(2, j--, -1));
	if (i != 1 || p != array + 1 || j != -1)
		printf("evaluated more than once, or not\n"), wrong++;
	judge("nested", 2, 2);
	flag = 3;
	if (safe_syscall_raw(&flag, 0) != 3 || safe_syscall(0) != 0)
		printf("results are lost\n"), wrong++;
	flag = 0;
#if SAFE_SYSCALL_ARGUMENTS == 7
	safe_syscall_raw(&flag, 7, 1, 2, 3, 4, 5, 6, -7);
	judge("the seventh", 6, -7);
	safe_syscall(7, 1, 2, 3, 4, 5, 6, -8);
	judge("the seventh", 6, -8);
#endif
}

/* What the names mean without a call. */
static void functions(void)
{
	long (*raw)(const volatile int *, long, ...) = safe_syscall_raw;
	long (*in_scope)(long, ...) = &safe_syscall;

	raw(&flag, 1, (safe_syscall_word)-5);
	judge("by a pointer", 0, -5);
	in_scope(1, (safe_syscall_word)-6);
	judge("by a pointer", 0, -6);
}

int main(void)
{
	integers();
	constants();
	enumerations();
	bit_fields();
	pointers();
	evaluated();
	functions();
	printf("%d right, %d wrong; %d wrong without the macros\n", right, wrong, faults);
	if (SHOULD_GO_WRONG && !faults)
		printf("the macros make no difference\n");
	return wrong || (SHOULD_GO_WRONG && !faults);
}
