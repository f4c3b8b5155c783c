/* SPDX-License-Identifier: MIT */
/* timer.h - the interrupt signal once more, later; all of it while signals are blocked */
#ifndef SS_TIMER_H
#define SS_TIMER_H

#include "thread.h"

/* The next time.  -1: the kernel has no timer for us. */
SS_HIDDEN int ss_timer_again(void);
/* No more; returns whether there was one to come. */
SS_HIDDEN int ss_timer_off(void);
/* In a child of fork, which has no timers. */
SS_HIDDEN void ss_timer_forget(void);
/* The thread ends. */
SS_HIDDEN void ss_timer_delete(void);

#endif
