/* SPDX-License-Identifier: MIT */
/* call.c - safe_syscall() */
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>

#include "fork.h"

#if SAFE_SYSCALL_ARGUMENTS == 7
# define SS_SEVENTH(x) , x
#else
# define SS_SEVENTH(x)
#endif

/* While it is in the stub, handlers see by ss_thread.call that it may have to look again. */
static inline long call_stub(struct ss_call *call, uintptr_t tag, uintptr_t after)
{
	const safe_syscall_word *arg = call->arg;
	long result;

	SS_ARCH_GET_SP(call->sp);
	ss_thread.call = (uintptr_t)call | tag;
	result = safe_syscall_raw(&ss_thread.flag, call->number, arg[0], arg[1], arg[2],
				  arg[3], arg[4], arg[5] SS_SEVENTH(arg[6]));
	ss_thread.call = after;
	return result;
}

static int set_flag(void)
{
	sigset_t old;
	int interrupted;

	ss_signals_block(&old);
	interrupted = ss_set_flag();
	ss_signals_restore(&old);
	return interrupted;
}

/*
 * The stub came back without having made the call.  Most often there is an interrupt.
 * If not, the flag is out of date, of one that was taken back: clear it and make the
 * call.  Where it is clear already, a call in a handler has done that; unless nobody has,
 * and it is the kernel's own word, to which a filter or a file system made it.
 */
static int is_to_be_made(const struct ss_call *call)
{
	ss_fork_check();
	if (!ss_thread.flag && ss_thread.cleared == call->cleared)
		return 0;
	return !set_flag();
}

static SS_COLD long finish(struct ss_call *call, long result, uintptr_t tag, uintptr_t after)
{
	while (result == -SAFE_ERESTARTSYS && is_to_be_made(call)) {
		call->cleared = ss_thread.cleared;
		result = call_stub(call, tag, after);
	}
	return result < 0 && result >= -4095 ? ss_fail((int)-result) : result;
}

/*
 * There is a call already.  Either it is beneath a handler, which makes another one, or a
 * handler that had interrupted it has left by siglongjmp.  If it can't be told
 * that it is over, it is not: that costs a signal more at most.  What was known before
 * is known again afterwards, so that the doubt ends with the call it is about.
 *
 * Or it is the thread's first call.  Or a scope has a deadline, which may have passed.  Or
 * a handler has interrupted enter(), which may have come to link the new scope but not to
 * look at it.
 */
static SS_COLD long call_nested(struct ss_call *call)
{
	uintptr_t calls, tag;
	long result;

	ss_fork_check();
	if (ss_thread.call & SS_FIRST)
		ss_thread_start();
	if (ss_thread.held)
		ss_signal_unblock();
	if (ss_thread.timed)
		ss_timer_look();
	if (ss_thread.entering && ss_interrupted_here())
		ss_thread.flag = 1;
	calls = ss_thread.call;
	if (ss_call_is_over(calls, call))
		calls &= SS_TAGS;
	tag = calls & ~SS_FIRST ? SS_BENEATH : 0;
	call->cleared = ss_thread.cleared;
	result = call_stub(call, tag, calls);
	return finish(call, result, tag, calls);
}

static inline long call_any(struct ss_call *call)
{
	long result;

	if (__builtin_expect(ss_thread.call | (uintptr_t)ss_thread.entering |
			     ss_thread.slow, 0))
		return call_nested(call);
	result = call_stub(call, 0, 0);
	if (__builtin_expect(result < 0 && result >= -4095, 0))
		return finish(call, result, 0, 0);
	return result;
}

/*
 * Calls that come back twice, or on another stack than they left on, can't go through the
 * stub: the second return would run on a stack whose frame the first one has released.
 * SS_ARCH_NUMBER is the part of the number that the kernel reads, and
 * SS_ARCH_CANNOT_USE_STUB knows such calls by the numbers of the machine's other ABIs.
 */
#ifndef SS_ARCH_NUMBER
# define SS_ARCH_NUMBER(number) (int)(number)
#endif
#ifndef SS_ARCH_CANNOT_USE_STUB
# define SS_ARCH_CANNOT_USE_STUB(number) 0
#endif

static inline int cannot_use_stub(long number)
{
	switch (SS_ARCH_NUMBER(number)) {
#ifdef SYS_vfork
	case SS_ARCH_NUMBER(SYS_vfork):
#endif
#ifdef SYS_clone3
	case SS_ARCH_NUMBER(SYS_clone3):
#endif
#ifdef SYS_sigreturn
	case SS_ARCH_NUMBER(SYS_sigreturn):
#endif
#ifdef SYS_swapcontext
	case SS_ARCH_NUMBER(SYS_swapcontext):
#endif
#ifdef SYS_switch_endian
	case SS_ARCH_NUMBER(SYS_switch_endian):
#endif
#ifdef SYS_syscall		/* of which the number is an argument */
	case SS_ARCH_NUMBER(SYS_syscall):
#endif
#ifdef SYS_fork
	case SS_ARCH_NUMBER(SYS_fork):
#endif
	case SS_ARCH_NUMBER(SYS_rt_sigreturn):
	case SS_ARCH_NUMBER(SYS_clone):
		return 1;
	}
	return SS_ARCH_CANNOT_USE_STUB(SS_ARCH_NUMBER(number));
}

/* What can be done: a fork, also by clone, that comes back on the same stack. */
static int is_fork(const struct ss_call *call)
{
#ifdef SYS_fork
	if (call->number == SYS_fork)
		return 1;
#endif
	return call->number == SYS_clone &&
		!(call->arg[SS_CLONE_FLAGS] & CLONE_VM) && !call->arg[SS_CLONE_STACK];
}

static SS_COLD long fork_or_refuse(struct ss_call *call)
{
	long result;

	if (!is_fork(call))
		return ss_fail(EINVAL);
	result = call_any(call);
	if (result == 0)
		safe_syscall_forked();
	return result;
}

/*
 * safe_syscall() is declared as syscall(2) is, and defined with as many words as
 * there may be: every ABI passes the two in the same places, but a function that
 * says "..." stores all that may have come and loads it again, just before an
 * instruction that waits for it.
 */
#define SS_WORDS safe_syscall_word a, safe_syscall_word b, safe_syscall_word c, safe_syscall_word d, safe_syscall_word e, safe_syscall_word f

#if defined __has_attribute
# if __has_attribute(noipa)
/* or the compiler sees that all callers pass fewer arguments, and drops the rest */
__attribute__((noipa))
# endif
#endif
SS_HIDDEN long ss_syscall(long number, SS_WORDS SS_SEVENTH(safe_syscall_word g));
long ss_syscall(long number, SS_WORDS SS_SEVENTH(safe_syscall_word g))
{
	struct ss_call call = {
		number, { a, b, c, d, e, f SS_SEVENTH(g) }, SS_MARK, ss_thread.cleared, 0
	};

	if (cannot_use_stub(number))
		return fork_or_refuse(&call);
	return call_any(&call);
}

#if defined __GNUC__ && !defined __clang__
# pragma GCC diagnostic ignored "-Wattribute-alias"
#endif
long (safe_syscall)(long number, ...) __attribute__((alias("ss_syscall")));

long safe_syscallv(long number, const safe_syscall_word *a)
{
	if (!a)
		return ss_fail(EINVAL);
	return ss_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5] SS_SEVENTH(a[6]));
}
