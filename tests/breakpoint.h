/* SPDX-License-Identifier: MIT */
/*
 * breakpoint.h - stop the process' own code at an instruction, as a signal would
 *
 * A breakpoint instruction is written over the one of interest.  The handler of
 * its trap puts the old one back and the PC on it, so that the context is
 * the very one which an asynchronous signal at that instant would have, and
 * hands it to the test.  Works where there is no single-stepping.
 */
#ifndef BREAKPOINT_H
#define BREAKPOINT_H

#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

typedef void breakpoint_action(ucontext_t *uc);

/* Make the mapping of this code writable, in memory shared with children. */
void breakpoint_prepare(uintptr_t code);

/*
 * Stop at pc, once.  in_slot: the instruction is in the delay slot of the one
 * before it, and the context will show that one.
 */
void breakpoint_set(uintptr_t pc, int in_slot, breakpoint_action *action);

/* As above in two steps: announce it, and write it, maybe in a child. */
void breakpoint_announce(uintptr_t pc, int in_slot, breakpoint_action *action);
void breakpoint_write(void);

/* Take it away if it is still there; tell whether it was hit. */
int breakpoint_clear(void);

#endif
