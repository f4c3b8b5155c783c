/* SPDX-License-Identifier: MIT */
/* copy.h - what tests/check_copies.c finds in each of the two */
#ifndef COPY_H
#define COPY_H

#include <safe_syscall.h>

struct copy {
	int (*init)(void);		/* the interrupt signal, or -1 */
	int (*enter)(void);
	int (*leave)(void);
	int (*interrupt)(void);
	long (*read_byte)(int fd);
};

extern const struct copy copy;

#endif
