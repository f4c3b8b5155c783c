/* SPDX-License-Identifier: MIT */
/*
 * call.h - how a request makes the system calls that may block: by safe_syscall(), in its
 * scope.  Interrupted, they fail with SAFE_ERESTARTSYS and have had no effect; otherwise
 * what they return is what happened.
 *
 * EINTR says "no effect" as well: none of the calls made here says it after it has done
 * something.  Some signal has come, or the process was stopped, and the call is made
 * again; if the scope was interrupted, that says SAFE_ERESTARTSYS.  A client never sees EINTR.
 *
 * An operation of several calls is not to be given up in the middle: a file is
 * created but its qid not known yet.  The first call that has an effect settles it:
 * request_settle() leaves the scope, and no interrupt reaches the calls that follow.
 */
#ifndef CALL_H
#define CALL_H

#include <errno.h>
#include <sys/syscall.h>

#include <safe_syscall.h>

#define call(...)							\
	__extension__ ({						\
		long result_;						\
									\
		do							\
			result_ = safe_syscall(__VA_ARGS__);		\
		while (result_ == -1 && errno == EINTR);		\
		result_;						\
	})

/* 0 or the error's number; and the same for the call that has the effect. */
#define attempt(...)	(call(__VA_ARGS__) == -1 ? errno : 0)
#define change(...)	(call(__VA_ARGS__) == -1 ? errno : (request_settle(), 0))

void request_settle(void);

#endif
