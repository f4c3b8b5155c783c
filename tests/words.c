/* SPDX-License-Identifier: MIT */
/*
 * words.c - in the place of the library's functions others that note what comes
 *
 * They take each argument for a word, as the stub does and as the kernel does, so this is no
 * part of arguments.c, where the compiler would see that some are not.
 */
#include <stdarg.h>
#include <string.h>

#include "arguments.h"

safe_syscall_word words[SAFE_SYSCALL_ARGUMENTS];

/* In a function whose last parameter says how many arguments follow. */
#define NOTE(number)							\
	do {								\
		va_list list;						\
		long i;							\
									\
		va_start(list, number);					\
		for (i = 0; i < (number); i++)				\
			words[i] = va_arg(list, safe_syscall_word);	\
		va_end(list);						\
	} while (0)

long (safe_syscall_raw)(const volatile int *flag, long number, ...)
{
	NOTE(number);	/* NOLINT(clang-analyzer-valist.Uninitialized) */
	return *flag;
}

long (safe_syscall)(long number, ...)
{
	NOTE(number);	/* NOLINT(clang-analyzer-valist.Uninitialized) */
	return number;
}

void litter(void)
{
	volatile char room[1024];

	memset((char *)room, 0xa5, sizeof room);
}
