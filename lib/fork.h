/* SPDX-License-Identifier: MIT */
/* fork.h - what a fork changes, and the lock that it may find taken */
#ifndef SS_FORK_H
#define SS_FORK_H

#include "send.h"

/* To be done once in a process. */
SS_HIDDEN void ss_fork_start(void);
/* If this process came of a fork that nobody told of, what safe_syscall_forked() does. */
SS_HIDDEN void ss_fork_check(void);

/*
 * Serialises those who change how signals are handled.  Signals are blocked while it
 * is held: a handler may want it.
 */
SS_HIDDEN void ss_lock(sigset_t *old);
SS_HIDDEN void ss_unlock(const sigset_t *old);

#endif
