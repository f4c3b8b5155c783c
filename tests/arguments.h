/* SPDX-License-Identifier: MIT */
/* arguments.h - what tests/arguments.c and tests/words.c share */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <safe_syscall.h>

/* Is a word of 64 bits?  Not where a register of the kernel's interface has 32. */
#if __SIZEOF_LONG__ == 8 || (defined __x86_64__ && defined __ILP32__) || \
	(defined _ABIN32 && _MIPS_SIM == _ABIN32)
# define WORD_IS_LONG_LONG
#endif

/* What came of the last call's arguments, of which it has as many as its number says. */
extern safe_syscall_word words[SAFE_SYSCALL_ARGUMENTS];

/* Leave something on the stack, where the arguments of the next call will stand. */
void litter(void);

#endif
