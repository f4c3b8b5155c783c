/* SPDX-License-Identifier: MIT */
/* arguments.h - what tests/arguments.c and tests/words.c share */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <safe_syscall.h>

/* What came of the last call's arguments, of which it has as many as its number says. */
extern safe_syscall_word words[SAFE_SYSCALL_ARGUMENTS];

/* Leave something on the stack, where the arguments of the next call will stand. */
void litter(void);

#endif
