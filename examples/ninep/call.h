/* SPDX-License-Identifier: MIT */
/*
 * call.h - how a request makes the system calls that may block.
 *
 * They go through safe_syscall(), in the request's scope.  When that is interrupted they
 * fail with SAFE_ERESTARTSYS and have had no effect; otherwise what they return is what
 * happened.  Two things are left to say here.
 *
 * EINTR is the kernel's word for "no effect" as well: none of the calls made here says it
 * after it has done something.  Some signal has come, or the process was stopped.  So the
 * call is made again.  Where the reason is that the scope was interrupted, the second try
 * says SAFE_ERESTARTSYS.  A client never sees EINTR.
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

void request_settle(void);

/* The same, for the call that has the effect. */
#define call_settling(...)						\
	__extension__ ({						\
		long done_ = call(__VA_ARGS__);				\
									\
		if (done_ != -1)					\
			request_settle();				\
		done_;							\
	})

#endif
