/* SPDX-License-Identifier: MIT */
/* window.h - what lib/stub.S tells lib/window.c about the code. */
#ifndef SS_WINDOW_H
#define SS_WINDOW_H

#include <stdint.h>

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

#endif
