/* SPDX-License-Identifier: MIT */
/* process.h - which process this is */
#ifndef SS_PROCESS_H
#define SS_PROCESS_H

#include <atomic_ops.h>

#define SS_HIDDEN __attribute__((visibility("hidden")))

/*
 * In a page that is zero in a child of fork, however it was made, and the parent's
 * own in a child of vfork, which is right: the scopes are the parent's too.
 */
struct ss_process {
	AO_t pid;
	AO_t generation;	/* how many forks led here: a child may have the parent's pid */
	AO_t lock;		/* fork.c */
};
extern SS_HIDDEN struct ss_process *ss_process;

SS_HIDDEN void ss_process_start(void);
SS_HIDDEN void ss_process_end(void);
/* Is it a child of vfork?  The threads, scopes and calls in this memory are the parent's. */
SS_HIDDEN int ss_process_is_vforked(void);
/* It is a new one.  Called again by it, nothing happens. */
SS_HIDDEN void ss_process_forked(void);

#endif
