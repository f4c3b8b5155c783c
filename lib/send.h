/* SPDX-License-Identifier: MIT */
/* send.h - the interrupt signal, from being sent to being taken back */
#ifndef SS_SEND_H
#define SS_SEND_H

#include "timer.h"

/* To a thread that can't end meanwhile.  0, also when it is gone; or an errno. */
SS_HIDDEN int ss_send(const struct ss_thread *thread);
/* To this one, which always works. */
SS_HIDDEN void ss_send_to_self(void);
/*
 * Takes back what was sent to this thread, and has not arrived, for a scope that is not
 * interrupted any more.  It is sent again where another one is.
 */
SS_HIDDEN void ss_take_back(void);
/* The same of what was sent for a deadline, while signals are blocked. */
SS_HIDDEN void ss_drain(void);

#endif
