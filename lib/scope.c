/* SPDX-License-Identifier: MIT */
/*
 * scope.c - safe_syscall() and the thread's own scope.
 *
 * The scope is thread-local with the initial-exec model: a fixed distance from
 * the thread pointer, so that a handler never makes the dynamic linker
 * allocate.  It costs the few bytes of static TLS that every libc keeps for
 * libraries loaded later.
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <safe_syscall.h>
#include "arch.h"

static __thread safe_syscall_scope own
	__attribute__((tls_model("initial-exec"))) = SAFE_SYSCALL_SCOPE_INIT;

safe_syscall_scope *safe_syscall_self(void)
{
	return &own;
}

/*
 * Would the call come back twice, or on another stack than it left on?  The
 * stub's way out, and what it keeps on the stack, would not be there.
 */
static int refused(long number, const ss_word *arg)
{
	switch (number) {
#ifdef SYS_vfork
	case SYS_vfork:
#endif
#ifdef SYS_clone3
	case SYS_clone3:
#endif
#ifdef SYS_sigreturn
	case SYS_sigreturn:
#endif
#ifdef SYS_swapcontext
	case SYS_swapcontext:
#endif
	case SYS_rt_sigreturn:
		return 1;
	case SYS_clone:
		return (arg[SS_CLONE_FLAGS] & CLONE_VM) != 0 ||
		       arg[SS_CLONE_STACK] != 0;
	}
	return 0;
}

long safe_syscall(long number, ...)
{
	ss_word arg[SS_ARGUMENTS];
	long result;
	va_list ap;
	int i;

	va_start(ap, number);
	for (i = 0; i < SS_ARGUMENTS; i++)
		arg[i] = va_arg(ap, ss_word);
	va_end(ap);
	if (refused(number, arg)) {
		errno = EINVAL;
		return -1;
	}
#if SS_ARGUMENTS == 7
	result = safe_syscall_raw(&own.ss_flag, number, arg[0], arg[1], arg[2],
				  arg[3], arg[4], arg[5], arg[6]);
#else
	result = safe_syscall_raw(&own.ss_flag, number, arg[0], arg[1], arg[2],
				  arg[3], arg[4], arg[5]);
#endif
	if (result < 0 && result >= -4095) {
		errno = (int)-result;
		return -1;
	}
	return result;
}
