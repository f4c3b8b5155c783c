/* SPDX-License-Identifier: MIT */
/*
 * timer.h - the thread's timer, which sends it the interrupt signal once more, later, and
 * at the deadlines of its scopes; all of it while signals are blocked
 */
#ifndef SS_TIMER_H
#define SS_TIMER_H

#include "thread.h"

/* Once more; each time that is said the pause is longer.  -1: there is no timer. */
SS_HIDDEN int ss_timer_again(void);
/* No more. */
SS_HIDDEN void ss_timer_off(void);
/* Marks each scope of the thread whose deadline has come.  Were there any? */
SS_HIDDEN int ss_timer_expire(void);
/* The same, and the flag, for a call or a rearm, while signals are not blocked. */
SS_HIDDEN void ss_timer_look(void);
/* The scopes' deadlines are not what they were.  -1: there is no timer. */
SS_HIDDEN int ss_timer_set(void);
/* In a child of fork, which has no timers. */
SS_HIDDEN void ss_timer_forget(void);
/* The thread ends. */
SS_HIDDEN void ss_timer_delete(void);

#endif
