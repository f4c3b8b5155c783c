/* SPDX-License-Identifier: MIT */
/*
 * safe_syscall.h - system calls that a signal can interrupt without a race
 * and without losing a result.
 *
 * A thread that looks at a flag and then blocks in a system call has a gap
 * between the two in which a signal handler can set the flag unseen.  Here
 * flag check and system call instruction stand together at a known address,
 * and a hook called from the handler winds an interrupted call back to the
 * check, unless the kernel has already carried it out.
 *
 * The library has layers; stop at the one you need.  safe_syscall(7) tells
 * the whole story, safe_syscall_raw(3), safe_syscall_rewind(3) and
 * safe_syscall(3) give the details.
 */
#ifndef SAFE_SYSCALL_H
#define SAFE_SYSCALL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The error of a call that was interrupted before it had any effect: issue
 * it again as it was, or don't.  512 is what Linux uses inside the kernel;
 * no system call returns it to a process.
 */
#define SAFE_ERESTARTSYS 512

/* ---- layer 1: the stub -------------------------------------------------- */

/**
 * safe_syscall_raw - make a system call unless a flag is set
 * @flag: the word that says "do not block, come back" when it is not zero;
 *	read once each time the call is started.  It must stay mapped and
 *	readable until the call returns.
 * @number: the system call, SYS_xxx of <sys/syscall.h>
 * @...: up to 6 arguments (7 on mips o32), each of type long or a pointer
 *
 * Returns what the kernel returned: a result, or an error as -errno; or
 * -SAFE_ERESTARTSYS when the flag was set and the kernel was not entered.
 * On ppc64 and mips a small negative success, such as fcntl(F_GETOWN) of a
 * process group, looks like an error.
 *
 * The call is interruptible only if every signal handler that sets the flag
 * then calls safe_syscall_rewind().  Calls that return twice or on another
 * stack (vfork, clone with CLONE_VM or a stack, clone3, rt_sigreturn) must
 * not be made this way; that is not checked here.
 *
 * Async-signal-safe, thread-safe, leaves errno alone, needs no
 * initialisation.  Since 0.1.
 */
long safe_syscall_raw(const volatile int *flag, long number, ...);

/* ---- layer 2: the window ------------------------------------------------ */

/* Where a thread was when a signal interrupted it. */
enum safe_syscall_phase {
	/*
	 * Not in a stub; also on the way out that is taken when the flag
	 * was set, where nothing is to be done.
	 */
	SAFE_SYSCALL_OUTSIDE,
	/* In the stub, and the kernel not entered for this call yet. */
	SAFE_SYSCALL_BEFORE,
	/*
	 * On the system call instruction: either not entered yet, or the
	 * kernel wants the call restarted.  No effect either way.
	 */
	SAFE_SYSCALL_AT_CALL,
	/*
	 * A timed wait was stopped half way (SIGSTOP, a tracer) and the kernel
	 * would go on with it by restart_syscall(2).
	 */
	SAFE_SYSCALL_RESTART_BLOCK,
	/*
	 * Carried out: the result is in the context, until the stub has
	 * returned.
	 */
	SAFE_SYSCALL_DONE
};

/**
 * safe_syscall_classify - say where an interrupted context is; change nothing
 * @ucontext: third argument of an SA_SIGINFO handler, or a copy of it
 *
 * On x86_64 and ppc64 the instruction itself is told apart: BEFORE when the
 * kernel was not entered, AT_CALL when it was and wants a restart.  (x86_64
 * under FRED event delivery, and ppc64 in user-mode emulators: see
 * safe_syscall(7).)  Elsewhere both are AT_CALL.
 *
 * Returns the phase.  A null pointer is OUTSIDE.  Async-signal-safe,
 * thread-safe, leaves errno alone.  Since 0.1.
 */
enum safe_syscall_phase safe_syscall_classify(const void *ucontext);

/**
 * safe_syscall_rewind - the hook: send an interrupted call back to its check
 * @ucontext: third argument of the SA_SIGINFO handler that calls this
 *
 * Call it in every handler that may set a flag, before or after setting it.
 * BEFORE and AT_CALL: the flag will be looked at again when the handler
 * returns, and the call then made or given up.  RESTART_BLOCK: the call will
 * return EINTR.  OUTSIDE and DONE: nothing is changed.
 *
 * Returns the phase that it found.  Async-signal-safe, thread-safe, leaves
 * errno alone.  Since 0.1.
 */
enum safe_syscall_phase safe_syscall_rewind(void *ucontext);

/**
 * safe_syscall_result - the result of a call that is DONE
 * @ucontext: an interrupted context
 * @result: where to put what safe_syscall_raw() is about to return
 *
 * Returns 0, or -1 with errno EINVAL, and *result untouched, when the context
 * is not DONE or a pointer is null.  Async-signal-safe, thread-safe; errno is
 * left alone on success.  Since 0.1.
 */
int safe_syscall_result(const void *ucontext, long *result);

/**
 * safe_syscall_region - the code that makes the system calls
 * @start: set to the first byte of the stub
 * @length: set to the number of bytes
 *
 * The one stretch of code that holds the system call instruction.  It reaches
 * past the instruction: Syscall User Dispatch and seccomp's
 * instruction_pointer compare the address after it.
 *
 * Returns 0, or -1 with errno EINVAL when a pointer is null.
 * Async-signal-safe, thread-safe; errno is left alone on success.  Since 0.1.
 */
int safe_syscall_region(const void **start, size_t *length);

/* ---- layer 3: the scope ------------------------------------------------- */

/*
 * A set of calls that is interrupted together.  The type is complete so that
 * it can be embedded; its members belong to the library.
 */
typedef struct safe_syscall_scope {
	volatile int ss_flag;		/* what the stub looks at */
	int ss_reserved_int;
	void *ss_reserved[6];
} safe_syscall_scope;

#define SAFE_SYSCALL_SCOPE_INIT { 0, 0, { 0, 0, 0, 0, 0, 0 } }

/**
 * safe_syscall - make a system call in the thread's current scope
 * @number: the system call, SYS_xxx of <sys/syscall.h>
 * @...: up to 6 arguments (7 on mips o32), each of type long or a pointer
 *
 * As syscall(2): returns the result, or -1 with errno set.  errno is
 * SAFE_ERESTARTSYS when the scope is interrupted and the call had no effect,
 * and EINVAL for calls that cannot go through a stub because they return twice
 * or on another stack (vfork, clone with CLONE_VM or a stack, clone3,
 * rt_sigreturn and the like), which are not made.
 *
 * Async-signal-safe, thread-safe; sets errno only on error.  Since 0.1.
 */
long safe_syscall(long number, ...);

/**
 * safe_syscall_self - the calling thread's own scope
 *
 * The scope in which safe_syscall() runs when no other is current.  The
 * address is the same for as long as the thread lives, and never null.
 *
 * Async-signal-safe, thread-safe, leaves errno alone.  Since 0.1.
 */
safe_syscall_scope *safe_syscall_self(void);

/**
 * safe_syscall_version - the version of the library in use, such as "0.1.0"
 *
 * Async-signal-safe, thread-safe, leaves errno alone.  Since 0.1.
 */
const char *safe_syscall_version(void);

#ifdef __cplusplus
}
#endif

#endif /* SAFE_SYSCALL_H */
