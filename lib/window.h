/* SPDX-License-Identifier: MIT */
/*
 * window.h - what lib/stub.S tells lib/window.c about the code, and what an
 * architecture need not say.
 */
#ifndef SS_WINDOW_H
#define SS_WINDOW_H

#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "arch.h"

struct ss_bounds {
	int32_t entry;		/* from the address of this member */
	uint32_t start;		/* these and the rest: from the entry */
	uint32_t call;
	uint32_t commit;
	uint32_t final;
	uint32_t abort;
	uint32_t end;
};

extern const struct ss_bounds ss_bounds
	__attribute__((visibility("hidden")));

/*
 * In the stub: how many bytes below that of its caller may the stack pointer be?  Arguments,
 * what aligns them, and what the stub takes.
 */
#ifndef SS_ARCH_DEPTH
# define SS_ARCH_DEPTH 64
#endif

/*
 * Between .Lcommit and .Lfinal: must the value be negated?  By default no: the kernel
 * returned -errno.
 */
#ifndef SS_ARCH_FAILED
static inline int ss_arch_failed(const ucontext_t *uc)
{
	(void)uc;
	return 0;
}
#endif

/* On the instruction: was the kernel entered?  Here nothing in a context tells. */
#ifndef SS_ARCH_ENTERED
static inline int ss_arch_entered(const ucontext_t *uc, uintptr_t commit)
{
	(void)uc;
	(void)commit;
	return 1;
}
#endif

#endif
