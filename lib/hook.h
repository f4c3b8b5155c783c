/* SPDX-License-Identifier: MIT */
/* hook.h - what handlers of signals do */
#ifndef SS_HOOK_H
#define SS_HOOK_H

#include "fork.h"

/* The interrupt signal's handler. */
SS_HIDDEN void ss_on_interrupt(int signum, siginfo_t *info, void *ucontext);
/* Runs a handler for which safe_syscall_hook() is called first. */
SS_HIDDEN void ss_run_hooked(void (*handler)(int, siginfo_t *, void *), int signum,
			     siginfo_t *info, void *ucontext);

#endif
