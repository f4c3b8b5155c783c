/* SPDX-License-Identifier: MIT */
/* scope.h - the start of the library, which is in scope.c because the key needs thread_ends() */
#ifndef SS_SCOPE_H
#define SS_SCOPE_H

#include "word.h"

/* To be done once in a process. */
SS_HIDDEN void ss_library_start(void);
/* Is there a thread-specific key?  Tries again when there was none. */
SS_HIDDEN int ss_library_has_key(void);

#endif
