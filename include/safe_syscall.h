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
 *
 * A strict standard of C, as by -std=c99, hides siginfo_t: define one of
 * _GNU_SOURCE, _DEFAULT_SOURCE, _POSIX_C_SOURCE (199309L or more) and
 * _XOPEN_SOURCE (500 or more) before the first header then.
 */
#ifndef SAFE_SYSCALL_H
#define SAFE_SYSCALL_H

#include <signal.h>
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

/*
 * What a register of the kernel's interface holds, and how many arguments a call has at most.
 * On x32 and n32 a register is wider than a long, so an argument of 64 bits is one word as
 * elsewhere.  On i386 it is two, the lower half first; on arm and o32 two, which begin at an even
 * place, counted from 0, and come in the order of the machine's bytes.
 */
#if (defined __x86_64__ && defined __ILP32__) || (defined _ABIN32 && _MIPS_SIM == _ABIN32)
__extension__ typedef long long safe_syscall_word;
#else
typedef long safe_syscall_word;
#endif
#if defined _ABIO32 && _MIPS_SIM == _ABIO32
# define SAFE_SYSCALL_ARGUMENTS 7
#else
# define SAFE_SYSCALL_ARGUMENTS 6
#endif

/* ---- layer 1: the stub -------------------------------------------------- */

/**
 * safe_syscall_raw - make a system call unless a flag is set
 * @flag: the word that says "do not block, come back" when it is not zero;
 *	read once each time the call is started.  It must stay mapped and
 *	readable until the call returns.  An atomic int may be one as well, its
 *	address converted to this type: see safe_syscall_raw(3).
 * @number: the system call, SYS_xxx of <sys/syscall.h>
 * @...: up to 6 arguments (7 on mips o32).  In C they are converted, see the end of this
 *	header; elsewhere each is a pointer or a safe_syscall_word
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

/**
 * safe_syscall_rawv - the same with the arguments in an array
 * @flag: as above
 * @number: as above
 * @arguments: SAFE_SYSCALL_ARGUMENTS of them, whatever the call takes
 *
 * For languages without variadic calls, and for whoever has them in an array.
 *
 * Returns as safe_syscall_raw() does, and -EINVAL where @arguments is null.
 * Async-signal-safe, thread-safe, leaves errno alone.  Since 0.2.
 */
long safe_syscall_rawv(const volatile int *flag, long number,
		       const safe_syscall_word *arguments);

/* ---- layer 2: the window ------------------------------------------------ */

/* Where a thread was when a signal interrupted it. */
enum safe_syscall_phase {
	/*
	 * Not in a stub; also on the way out that is taken when the flag
	 * was set, where nothing is to be done.
	 */
	SAFE_SYSCALL_OUTSIDE = 0,
	/* In the stub, and the kernel not entered for this call yet. */
	SAFE_SYSCALL_BEFORE = 1,
	/*
	 * On the system call instruction: either not entered yet, or the
	 * kernel wants the call restarted.  No effect either way.
	 */
	SAFE_SYSCALL_AT_CALL = 2,
	/*
	 * A timed wait was stopped half way (SIGSTOP, a tracer) and the kernel
	 * would go on with it by restart_syscall(2).
	 */
	SAFE_SYSCALL_RESTART_BLOCK = 3,
	/*
	 * Carried out: the result is in the context, until the stub has
	 * returned.
	 */
	SAFE_SYSCALL_DONE = 4
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
 * An operation: the calls of one thread that are interrupted together.  The type
 * is complete so that it can be embedded; its members belong to the library.
 */
typedef struct safe_syscall_scope {
	size_t ss_state;
	size_t ss_around;
	size_t ss_free;		/* always 0 */
	size_t ss_deadline[2];
	size_t ss_reserved[3];
} safe_syscall_scope;

#define SAFE_SYSCALL_SCOPE_INIT { 0, 0, 0, { 0, 0 }, { 0, 0, 0 } }

/**
 * safe_syscall_init - choose the interrupt signal and handle it
 * @interrupt_signal: its number, or 0: SIGURG where that has the default action, else the
 *	highest real-time signal that has
 *
 * Needed before safe_syscall_interrupt().  The signal belongs to the library from
 * then on; a thread that blocks it can't be brought back from a call.
 *
 * Returns 0, also when it was done before with the same signal or 0; or -1 with
 * errno EINVAL when the signal can't be used (no such signal, not to be
 * caught, a synchronous fault), EBUSY when it is handled or ignored already or another
 * one was chosen before, EAGAIN when no signal or no thread-specific key is free.
 *
 * Thread-safe; not async-signal-safe.  Since 0.1.
 */
int safe_syscall_init(int interrupt_signal);

/**
 * safe_syscall_sigaction - sigaction(2) for handlers that work with this library
 * @signum: the signal; not the interrupt signal
 * @act: the action, or null
 * @oldact: where to put the one before, as it was given, or null
 *
 * The handler, plain or SA_SIGINFO, is called after the hook has been; see
 * safe_syscall_hook().  Flags, mask, SIG_DFL and SIG_IGN are passed on.
 *
 * Returns 0, or -1 with errno as sigaction(2) sets it, and EINVAL for the
 * interrupt signal.  Thread-safe; async-signal-safe, but for the first call that sets a
 * handler in a process that has not called safe_syscall_init(), which may have to ask
 * the dynamic linker to keep this object loaded.  Since 0.1.
 */
int safe_syscall_sigaction(int signum, const struct sigaction *act,
			   struct sigaction *oldact);

/**
 * safe_syscall_hook - what a handler calls that was installed otherwise
 * @signum: the handler's arguments; the handler must be an SA_SIGINFO one
 * @info: may be null
 * @ucontext: null has no effect
 *
 * Does what safe_syscall_rewind() does; layer 3 needs no more of a handler.  A
 * synchronous fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP or
 * SIGSYS sent by the kernel) is left alone.
 *
 * Async-signal-safe, thread-safe, leaves errno alone.  Since 0.1.
 */
void safe_syscall_hook(int signum, siginfo_t *info, void *ucontext);

/**
 * safe_syscall - make a system call in the thread's current scope
 * @number: the system call, SYS_xxx of <sys/syscall.h>
 * @...: up to 6 arguments (7 on mips o32), as those of safe_syscall_raw()
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
 * safe_syscallv - the same with the arguments in an array
 * @number: as above
 * @arguments: SAFE_SYSCALL_ARGUMENTS of them, whatever the call takes
 *
 * Returns as safe_syscall() does, and -1 with errno EINVAL where @arguments is null.
 * Async-signal-safe, thread-safe; sets errno only on error.  Since 0.2.
 */
long safe_syscallv(long number, const safe_syscall_word *arguments);

/**
 * safe_syscall_self - the calling thread's own scope
 *
 * The outermost scope, current when no other is.  The address is the same for as
 * long as the thread lives, and never null; nobody may use it afterwards.
 *
 * Thread-safe, leaves errno alone; async-signal-safe, but for the first call on a thread,
 * where the C library may have to allocate memory for a thread-specific key.  Since 0.1.
 */
safe_syscall_scope *safe_syscall_self(void);

/**
 * safe_syscall_enter - make a scope current on the calling thread
 * @scope: initialised with SAFE_SYSCALL_SCOPE_INIT (or zeroed), not entered
 *
 * The scope that was current is then the one around it.  A scope that was
 * interrupted before is entered all the same, and its calls return at once.
 * A thread that exits leaves its scopes.  In a child of fork(2) the thread is
 * in the scopes it was in; those of other threads must be initialised anew.
 *
 * Returns 0, or -1 with errno EINVAL for null, EBUSY when it is entered already,
 * on this thread or another, EAGAIN for a thread's first scope when no thread-specific
 * key is free or this is a child of vfork(2).  Thread-safe; not for handlers.  Since 0.1.
 */
int safe_syscall_enter(safe_syscall_scope *scope);

/**
 * safe_syscall_leave - make the scope around it current again
 * @scope: the current scope
 *
 * After it has returned, no signal aimed at the scope can reach this thread, and
 * nobody uses the scope any more: it may be freed, or entered elsewhere.  It
 * waits for interrupters that are under way.
 *
 * Returns what safe_syscall_interrupted() says of it, and does not clear that; or -1
 * with errno EINVAL for null, a scope that is not current, or the thread's own.
 * Thread-safe; not for handlers.  Since 0.1.
 */
int safe_syscall_leave(safe_syscall_scope *scope);

/**
 * safe_syscall_interrupt - make the calls in a scope return
 * @scope: entered on any thread, or not entered
 *
 * The call under way in the scope, or in one entered inside it, comes back, and
 * later ones return SAFE_ERESTARTSYS at once, until safe_syscall_rearm().  A
 * signal is sent only when the scope is entered, and not interrupted already.
 *
 * Returns 0, or -1 with errno EINVAL for null and before safe_syscall_init(); or EAGAIN,
 * EPERM, or what else tgkill(2) fails with, when the signal could not be sent: the scope is
 * marked all the same.  Async-signal-safe, thread-safe; leaves errno alone on success.
 * Since 0.1.
 */
int safe_syscall_interrupt(safe_syscall_scope *scope);

/**
 * safe_syscall_deadline - have a scope interrupted at a given time
 * @scope: entered on the calling thread, or its own
 * @when: the time, by CLOCK_MONOTONIC; null: at none
 *
 * The one that was set before is taken back.  A time in the past is now.  A deadline is
 * gone with safe_syscall_leave(); rearm takes back an interrupt by it, and leaves one that
 * is still to come.  That of a scope works in those that are entered inside it.  A thread
 * has one timer of the kernel's for all, which it makes with its first deadline.
 *
 * Returns 0, or -1 with errno EINVAL for null, a scope that is not entered here, a time
 * that is none (negative, a bad tv_nsec, 2^32 seconds and more), and before
 * safe_syscall_init(); EAGAIN when the kernel has no timer: then the one before is still
 * set.  Not for handlers; leaves errno alone on success.  Since 0.2.
 */
int safe_syscall_deadline(safe_syscall_scope *scope, const struct timespec *when);

/**
 * safe_syscall_interrupted - is the scope itself interrupted?
 * @scope: any scope
 *
 * Returns 0; 1 when it is; 2 when it is by its deadline, and by nobody before; or -1 with
 * errno EINVAL for null.  leave and rearm return the same.  Async-signal-safe,
 * thread-safe; leaves errno alone on success.  Since 0.1.
 */
int safe_syscall_interrupted(const safe_syscall_scope *scope);

/**
 * safe_syscall_rearm - take the interrupt of a scope back
 * @scope: any scope; entered on the calling thread, if it is entered
 *
 * After it has returned, outside handlers, no signal of that interrupt can reach
 * the thread any more.
 *
 * Returns what safe_syscall_interrupted() would have said, or -1 with errno EINVAL
 * for null.  Async-signal-safe, thread-safe; leaves errno alone on success.
 * Since 0.1.
 */
int safe_syscall_rearm(safe_syscall_scope *scope);

/**
 * safe_syscall_forked - tell a child of fork that it is one
 *
 * For a child that ran no atfork handlers: of _Fork(3), or of the system calls fork
 * or clone made otherwise than by safe_syscall().  The thread is in the
 * scopes it was in, and what is interrupted there is told to it anew.  Elsewhere it
 * does nothing.  Not for a child that shares its parent's memory, as of vfork(2).
 *
 * Async-signal-safe, leaves errno alone.  Since 0.2.
 */
void safe_syscall_forked(void);

/**
 * safe_syscall_signal - which signal is the interrupt signal?
 *
 * Returns its number; 0 before safe_syscall_init().  Async-signal-safe,
 * thread-safe, leaves errno alone.  Since 0.2.
 */
int safe_syscall_signal(void);

/**
 * safe_syscall_version - the version of the library in use, such as "0.1.0"
 *
 * Async-signal-safe, thread-safe, leaves errno alone.  Since 0.1.
 */
const char *safe_syscall_version(void);

/* ---- arguments without casts -------------------------------------------- */

/*
 * A function that is declared with "..." takes what comes: of an int the lower half of a
 * register or of a place on the stack is set, and the kernel reads all of it.  So in C (C99
 * or later, gcc or clang) these macros convert each argument to a safe_syscall_word, an
 * integer by its value, and a pointer as it is.  What is neither does not compile, nor what
 * is wider than a word, as 64 bits on i386, arm and o32 are.  Each argument is evaluated once.
 *
 * &safe_syscall and (safe_syscall)(...) are still the function, and nothing but functions
 * is there with SAFE_SYSCALL_NO_MACROS defined.  As for any macro, a comma in braces must
 * stand in parentheses as well: ((int[]){ 1, 2 }).
 */
#if !defined SAFE_SYSCALL_NO_MACROS && !defined __cplusplus && defined __GNUC__ && \
	defined __STDC_VERSION__ && __STDC_VERSION__ >= 199901L

#define safe_syscall_raw(flag, ...) (safe_syscall_raw)(flag, SAFE_SYSCALL_WORDS(__VA_ARGS__))
#define safe_syscall(...) (safe_syscall)(SAFE_SYSCALL_WORDS(__VA_ARGS__))

/*
 * The number, then the arguments, each of them converted.  Too many of them go to the
 * macro for the most, which the compiler then complains of.
 */
#define SAFE_SYSCALL_WORDS(...) \
	SAFE_SYSCALL_PICK(__VA_ARGS__, 7, 7, 7, 7, 7, 6, 5, 4, 3, 2, 1, 0, )(__VA_ARGS__)
#define SAFE_SYSCALL_PICK(n, a, b, c, d, e, f, g, h, i, j, k, words, ...) \
	SAFE_SYSCALL_WORDS_##words
#define SAFE_SYSCALL_WORDS_0(n) n
#define SAFE_SYSCALL_WORDS_1(n, a) n, SAFE_SYSCALL_WORD(a)
#define SAFE_SYSCALL_WORDS_2(n, a, b) SAFE_SYSCALL_WORDS_1(n, a), SAFE_SYSCALL_WORD(b)
#define SAFE_SYSCALL_WORDS_3(n, a, b, c) SAFE_SYSCALL_WORDS_2(n, a, b), SAFE_SYSCALL_WORD(c)
#define SAFE_SYSCALL_WORDS_4(n, a, b, c, d) \
	SAFE_SYSCALL_WORDS_3(n, a, b, c), SAFE_SYSCALL_WORD(d)
#define SAFE_SYSCALL_WORDS_5(n, a, b, c, d, e) \
	SAFE_SYSCALL_WORDS_4(n, a, b, c, d), SAFE_SYSCALL_WORD(e)
#define SAFE_SYSCALL_WORDS_6(n, a, b, c, d, e, f) \
	SAFE_SYSCALL_WORDS_5(n, a, b, c, d, e), SAFE_SYSCALL_WORD(f)
#if SAFE_SYSCALL_ARGUMENTS == 7
# define SAFE_SYSCALL_WORDS_7(n, a, b, c, d, e, f, g) \
	SAFE_SYSCALL_WORDS_6(n, a, b, c, d, e, f), SAFE_SYSCALL_WORD(g)
#else
# define SAFE_SYSCALL_WORDS_7 SAFE_SYSCALL_WORDS_6
#endif

#define SAFE_SYSCALL_WORD(x) \
	SAFE_SYSCALL_IF_POINTER(x, SAFE_SYSCALL_POINTER(x), \
		SAFE_SYSCALL_FITS(x) ? SAFE_SYSCALL_INTEGER(x) : 0)
/* 5: a pointer, -1: C23's nullptr */
#define SAFE_SYSCALL_IF_POINTER(x, yes, no) \
	__builtin_choose_expr(__builtin_classify_type(x) == 5 || \
			      __builtin_classify_type(x) == -1, yes, no)
/* No casts, of which some compilers warn: "|" converts, and takes integers only. */
#define SAFE_SYSCALL_INTEGER(x) (SAFE_SYSCALL_IF_POINTER(x, 0, (x)) | (safe_syscall_word)0)
#define SAFE_SYSCALL_FITS(x) \
	sizeof(char[sizeof(__typeof__(SAFE_SYSCALL_INTEGER(x))) == \
		    sizeof(safe_syscall_word) ? 1 : -1])
#ifdef __ILP32__
/* On x32 clang sets only the lower half of a place on the stack. */
# define SAFE_SYSCALL_POINTER(x) \
	((safe_syscall_word)(unsigned long)((void)0, SAFE_SYSCALL_IF_POINTER(x, (x), 0)))
#else
# define SAFE_SYSCALL_POINTER(x) (x)
#endif

#endif /* macros */

#ifdef __cplusplus
}
#endif

#endif /* SAFE_SYSCALL_H */
