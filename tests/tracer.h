/* SPDX-License-Identifier: MIT */
/*
 * tracer.h - a child that is stopped at instructions of the stub, from outside
 *
 * By single-stepping where the kernel has it, else by breakpoints written into the
 * text.  Either way a signal that is then sent reaches the child at that very
 * instruction.
 */
#ifndef TRACER_H
#define TRACER_H

#include "code.h"

enum { TRACER_LEFT = -1, TRACER_ASLEEP = -2 };

/*
 * Fork a child that calls program(), which never returns: in a loop it sends
 * itself SIGSTOP and then calls the stub once.  Nonzero when it may not be traced.
 */
int tracer_start(const struct code *code, void (*program)(void));
int tracer_steps(void);			/* by single-stepping? */

/* From its SIGSTOP on to the first instruction of the stub. */
void tracer_enter(void);

/*
 * Execute what it is at, and on to the next instruction that is marked, or to the
 * system call.  Returns the index of the one it is at then; TRACER_LEFT, it has
 * returned from the stub and is at its next SIGSTOP; or TRACER_ASLEEP, it is blocked
 * in the system call, and tracer_wait() or tracer_deliver() comes next.
 */
int tracer_go(const char marks[CODE_MAX]);
int tracer_wait(void);

/*
 * Send it a signal where it is, and when the first instruction of its handler is about
 * to be executed, a second one, if not 0.  Let the handlers run.  Returns as above.
 */
int tracer_deliver(int first, int second);

/* The registers that a function must keep, others as zero. */
enum { TRACER_REGS = 64 };
void tracer_kept(ta_reg regs[TRACER_REGS]);

#endif
