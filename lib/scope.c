/* SPDX-License-Identifier: MIT */
/*
 * scope.c - who may interrupt what.
 *
 * A scope is a word that the stub looks at, and the thread that entered it.
 * Interrupting it sets a bit in the word, which stops the calls that have not
 * been made, and sends the thread the interrupt signal, which brings back the
 * one that is being made.  Three things could go wrong.
 *
 * 1. The signal comes late, when the thread has left the scope, and disturbs what
 *    it does then (G7).  So leave() first says that the thread is gone and then
 *    looks whether anyone is at it:
 *
 *	interrupt			leave
 *	  INTERRUPTED, senders + 1	  around = 0
 *	  full barrier			  full barrier
 *	  around?  send the signal	  interrupted or senders?
 *	  senders - 1			    wait until senders is 0,
 *					    take the signal back
 *
 *    Whichever barrier comes second, its side sees what the other wrote: either
 *    the sender finds that the scope is not entered and sends nothing, or leave()
 *    finds the sender.  A signal that has been sent is pending or has been
 *    handled, so after it has been taken back none can arrive.  Nobody
 *    touches the scope after senders - 1, so it may be freed when leave() has
 *    returned.
 *
 *    The sender learns the thread by going from scope to scope outwards, to the
 *    thread's own.  They stay where they are: none can be left before the one
 *    in which we count, nor can the thread end.
 *
 * 2. The scope is not the current one.  Its thread may be in a call of a scope
 *    inside it, whose word is clear.  The signal's handler runs on the thread
 *    itself and can walk the thread's scopes: it sets WAKE in those inside an
 *    interrupted one.  WAKE says no more than "look": the call comes back from
 *    the stub without effect, safe_syscall() looks at the scopes around, and if
 *    none is interrupted (any more) it clears WAKE and makes the call again.
 *    So rearm() need not know who has inherited what.
 *
 * 3. The signal arrives in a handler that has interrupted the call: see signal.c.
 *
 * The thread state is thread-local with the initial-exec model: a fixed distance
 * from the thread pointer, so that a handler never makes the dynamic linker
 * allocate.  It costs a few bytes of the static TLS that every libc keeps for
 * libraries loaded later.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic_ops.h>

#include "scope.h"
#include "arch.h"

#if !defined AO_HAVE_compare_and_swap_full || !defined AO_HAVE_nop_full || \
	!defined AO_HAVE_load_acquire || !defined AO_HAVE_store_release
# error "libatomic_ops has no atomic operations for this machine"
#endif

/*
 * Their compare-and-swap orders what comes before and after it, but not on every
 * machine the store in it and a load that comes after.
 */
#ifdef SS_ARCH_SWAP_IS_A_BARRIER
# define barrier_after_swap() ((void)0)
#else
# define barrier_after_swap() AO_nop_full()
#endif

/* The public type must not depend on atomic_ops.h. */
typedef char ss_state_is_an_AO_t[sizeof(AO_t) == sizeof(size_t) &&
				 sizeof(AO_t) == sizeof(void *) ? 1 : -1];

/* Current on a thread that has not entered any: its own scope is, and the first
 * enter finds here that there is something to do first. */
static safe_syscall_scope unstarted = { SS_WAKE, SS_NONE, 0, { 0 } };

__thread struct ss_thread ss_thread
	__attribute__((tls_model("initial-exec"))) = {
	{ 0, SS_NONE, 0, { 0 } }, &unstarted, NULL, NULL, 0
};

/* Kept out of those that call it last, so that they need no stack. */
#define SS_COLD __attribute__((noinline, cold))

static SS_COLD int invalid(int error)
{
	errno = error;
	return -1;
}

/* ---- words that several threads change ---------------------------------- */

/* Returns what it was. */
static AO_t change(AO_t *word, AO_t clear, AO_t set)
{
	AO_t old;

	do
		old = AO_load(word);
	while (!AO_compare_and_swap_full(word, old, (old & ~clear) | set));
	return old;
}

/* The half of the word that has the bits, as the stub wants it. */
static const volatile int *flag_of(const safe_syscall_scope *scope)
{
	const volatile int *half = (const volatile void *)&scope->ss_state;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	half += sizeof scope->ss_state / sizeof *half - 1;
#endif
	return half;
}

/* Null for the outermost, and for one that is not entered. */
static safe_syscall_scope *around(const safe_syscall_scope *scope)
{
	AO_t word = AO_load_acquire(&scope->ss_around);

	return word == SS_NONE ? NULL : (safe_syscall_scope *)word;
}

/* ---- the thread's scopes -------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static safe_syscall_scope *current(void)
{
	safe_syscall_scope *scope = ss_thread.current;

	return scope == &unstarted ? &ss_thread.own : scope;
}

int ss_interrupted_here(void)
{
	const safe_syscall_scope *s;

	for (s = current(); s; s = around(s))
		if (AO_load(&s->ss_state) & SS_INTERRUPTED)
			return 1;
	return 0;
}

void ss_wake_inner(void)
{
	safe_syscall_scope *s, *outermost = NULL;

	for (s = current(); s; s = around(s))
		if (AO_load(&s->ss_state) & SS_INTERRUPTED)
			outermost = s;
	if (outermost)
		for (s = current(); s != outermost; s = around(s))
			change(&s->ss_state, 0, SS_WAKE);
}

void ss_wake_current(void)
{
	change(&current()->ss_state, 0, SS_WAKE);
}

pid_t ss_tid(void)
{
	/* a handler of this thread that comes in between stores the same */
	if (!AO_load(&ss_thread.own.ss_tid))
		AO_store_release(&ss_thread.own.ss_tid,
				 (AO_t)syscall(SYS_gettid));
	return (pid_t)AO_load(&ss_thread.own.ss_tid);
}

safe_syscall_scope *safe_syscall_self(void)
{
	ss_tid();
	return &ss_thread.own;
}

/* ---- those who are sending an interrupt ---------------------------------- */

#define SS_QUARTER (SS_PROCESS / SS_SENDER)

/* By how many forks it came to be, modulo SS_QUARTER. */
static AO_t process;

static AO_t senders(AO_t state)
{
	return state / SS_PROCESS == process ? state / SS_SENDER % SS_QUARTER : 0;
}

static AO_t with_senders(AO_t state, AO_t n)
{
	state %= SS_SENDER;
	return n ? state + n * SS_SENDER + process * SS_PROCESS : state;
}

/* Returns whether it was not interrupted before: then it has one more. */
static int add_sender(safe_syscall_scope *scope)
{
	AO_t old;

	do {
		old = AO_load(&scope->ss_state);
		if (old & SS_INTERRUPTED)
			return 0;
	} while (!AO_compare_and_swap_full(&scope->ss_state, old,
			with_senders(old | SS_INTERRUPTED, senders(old) + 1)));
	barrier_after_swap();
	return 1;
}

static void remove_sender(safe_syscall_scope *scope)
{
	AO_t old;

	do
		old = AO_load(&scope->ss_state);
	while (!AO_compare_and_swap_full(&scope->ss_state, old,
			with_senders(old, senders(old) - 1)));
}

/*
 * Whoever we wait for needs the processor, which we may be keeping from him by our
 * priority: sleep when yielding does not help.
 */
void ss_wait(int round)
{
	static const struct timespec nap = { 0, 50000 };
	int cancel;

	if (round < 64) {
		sched_yield();
		return;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	nanosleep(&nap, NULL);
	pthread_setcancelstate(cancel, NULL);
}

/* None is below us on this thread, as they have all signals blocked. */
static void wait_for_senders(safe_syscall_scope *scope)
{
	AO_t old;
	int i;

	for (i = 0; (old = AO_load_acquire(&scope->ss_state)) >= SS_SENDER; i++) {
		if (!senders(old)) {	/* they are in the parent of this process */
			AO_compare_and_swap_full(&scope->ss_state, old,
						 with_senders(old, 0));
			continue;
		}
		ss_wait(i);
	}
}

/* ---- the beginning and the end of a thread -------------------------------- */

/* In a child of fork there are no other threads, and this one has a new id. */
static void in_child(void)
{
	process = (process + 1) % SS_QUARTER;
	ss_signal_forked();
	if (AO_load(&ss_thread.own.ss_tid))
		AO_store(&ss_thread.own.ss_tid, (AO_t)syscall(SYS_gettid));
}

/* From here on nobody sends a signal for it, and nobody has one to send. */
static void close_scope(safe_syscall_scope *scope)
{
	AO_store(&scope->ss_around, 0);
	AO_nop_full();
	wait_for_senders(scope);
}

static void thread_ends(void *unused)
{
	safe_syscall_scope *s;

	(void)unused;
	while ((s = ss_thread.current) != &ss_thread.own) {
		ss_thread.current = around(s);
		AO_compiler_barrier();
		close_scope(s);
	}
	AO_store(&ss_thread.own.ss_tid, 0);
	AO_nop_full();
	wait_for_senders(s);
	ss_thread.current = &unstarted;
}

static void start(void)
{
	pthread_key_create(&key, thread_ends);
	pthread_atfork(NULL, NULL, in_child);
}

/*
 * When the library is loaded, so that a fork knows of it whatever was called
 * before.  Constructors of others may come first: hence `once`.
 */
__attribute__((constructor)) void ss_library_start(void)
{
	pthread_once(&once, start);
}

/* ---- entering, leaving, interrupting ---------------------------------------- */

/*
 * The scope has been entered and is current.  Either there is something to
 * inherit, or to clear up, or it is the first on this thread.
 */
static SS_COLD int enter_slowly(safe_syscall_scope *scope)
{
	change(&scope->ss_state, 0, SS_WAKE);
	if (scope->ss_around == (AO_t)&unstarted) {
		ss_library_start();
		pthread_setspecific(key, &ss_thread);
		ss_tid();
		AO_store(&scope->ss_around, (AO_t)&ss_thread.own);
		/* who came before this found no thread, but has set our flag */
		AO_nop_full();
	}
	ss_thread.inside = ss_thread.beneath = NULL;
	if (ss_thread.requeued)
		ss_signal_repair(1);
	return 0;
}

int safe_syscall_enter(safe_syscall_scope *scope)
{
	safe_syscall_scope *outer = ss_thread.current;

	if (!scope)
		return invalid(EINVAL);
	if (!AO_compare_and_swap_full(&scope->ss_around, 0, (AO_t)outer))
		return invalid(EBUSY);
	barrier_after_swap();
	/*
	 * From here on signals come.  First let a handler find the scope, then
	 * look at the one around it: an interrupt of that one is seen either by
	 * the handler or here.  A handler that comes between, and has a call to make
	 * in the new scope, sees it by the hook.
	 */
	ss_thread.current = scope;
	AO_compiler_barrier();
	if (outer->ss_state)
		return enter_slowly(scope);
	return 0;
}

static SS_COLD int leave_slowly(safe_syscall_scope *scope)
{
	wait_for_senders(scope);
	ss_thread.inside = ss_thread.beneath = NULL;
	if (ss_thread.requeued)
		ss_signal_repair(1);
	ss_signal_drain();
	return (change(&scope->ss_state, SS_WAKE, 0) & SS_INTERRUPTED) != 0;
}

int safe_syscall_leave(safe_syscall_scope *scope)
{
	AO_t outer;

	if (scope != ss_thread.current)
		return invalid(EINVAL);
	outer = scope->ss_around;
	if (outer == SS_NONE)
		return invalid(EINVAL);		/* the thread's own */
	/* in this order: a handler in between must find the way outwards */
	ss_thread.current = (safe_syscall_scope *)outer;
	AO_compiler_barrier();
	AO_store(&scope->ss_around, 0);
	AO_nop_full();
	if (scope->ss_state)
		return leave_slowly(scope);
	return 0;
}

/* The thread that has entered it; 0 where there is none. */
static pid_t thread_of(const safe_syscall_scope *scope)
{
	const safe_syscall_scope *s;
	AO_t tid = 0;

	for (s = scope; s && !tid; s = around(s))
		tid = AO_load(&s->ss_tid);
	return (pid_t)tid;
}

/*
 * With all signals blocked: no handler may wait for us that runs above us, nor
 * leave by siglongjmp and with it us, for whom leave() waits.
 */
static SS_COLD int interrupt(safe_syscall_scope *scope)
{
	sigset_t old;
	pid_t tid;

	ss_signals_block(&old);
	if (add_sender(scope)) {
		tid = thread_of(scope);
		if (tid)
			ss_signal_send(tid);
		remove_sender(scope);
	}
	ss_signals_restore(&old);
	return 0;
}

int safe_syscall_interrupt(safe_syscall_scope *scope)
{
	if (!scope || !ss_signal())
		return invalid(EINVAL);
	if (AO_load_acquire(&scope->ss_state) & SS_INTERRUPTED)
		return 0;
	return interrupt(scope);
}

int safe_syscall_interrupted(const safe_syscall_scope *scope)
{
	if (!scope)
		return invalid(EINVAL);
	return (AO_load_acquire(&scope->ss_state) & SS_INTERRUPTED) != 0;
}

/* Only this thread's signals can be taken back. */
static int is_around_us(const safe_syscall_scope *scope)
{
	const safe_syscall_scope *s;

	for (s = current(); s && s != scope; s = around(s))
		;
	return s != NULL;
}

int safe_syscall_rearm(safe_syscall_scope *scope)
{
	int error = errno;

	if (!scope)
		return invalid(EINVAL);
	if (!(AO_load_acquire(&scope->ss_state) & SS_INTERRUPTED) ||
	    !(change(&scope->ss_state, SS_INTERRUPTED, 0) & SS_INTERRUPTED))
		return 0;
	wait_for_senders(scope);
	if (is_around_us(scope))
		ss_signal_drain();
	errno = error;
	return 1;
}

/* ---- the call --------------------------------------------------------------- */

/* One safe_syscall() under way. */
struct ss_call {
	long number;
	ss_word arg[SS_ARGUMENTS];
	volatile int mark;
};

#define SS_MARK 0x5afe5ca1

/* ss_thread.inside: a handler of others in here may have to return first; signal.c. */
static inline long make(const struct ss_call *call, const volatile int *flag,
			const struct ss_call *beneath)
{
	const ss_word *arg = call->arg;
	long result;

	ss_thread.inside = call;
	result = safe_syscall_raw(flag, call->number, arg[0], arg[1], arg[2],
#if SS_ARGUMENTS == 7
				  arg[3], arg[4], arg[5], arg[6]);
#else
				  arg[3], arg[4], arg[5]);
#endif
	ss_thread.inside = beneath;
	return result;
}

/*
 * Why did the stub come back without having made the call?  Most often there is an
 * interrupt.  If not, WAKE is out of date: clear it, and look once more, with no
 * handler between the two that might leave by siglongjmp.  Where it is clear already,
 * a call in a handler has been here before us, or the kernel has said so, for a
 * filter can make it say anything: ask it more often than handlers can be above us.
 */
static int has_to_return(safe_syscall_scope *scope, int *found_nothing)
{
	sigset_t old;
	AO_t state;
	int yes;

	if (ss_interrupted_here())
		return 1;
	ss_signals_block(&old);
	state = change(&scope->ss_state, SS_WAKE, 0);
	yes = ss_interrupted_here();
	if (yes)
		change(&scope->ss_state, 0, SS_WAKE);
	ss_signals_restore(&old);
	*found_nothing += !state;
	return yes || *found_nothing > 64;
}

/*
 * The call did not happen, or something is to be cleared up after it.  For good, if it
 * is ours: nothing was to be cleared up when the call began.
 */
static long look_again(const struct ss_call *call, long result, int ours,
		       const struct ss_call *beneath)
{
	safe_syscall_scope *scope = current();
	int found_nothing = 0;

	for (;;) {
		if (ss_thread.requeued)
			ss_signal_repair(ours);
		if (result != -SAFE_ERESTARTSYS ||
		    has_to_return(scope, &found_nothing))
			return result;
		/* of an interrupt that was taken back */
		wait_for_senders(scope);
		result = make(call, flag_of(scope), beneath);
	}
}

/* Something is to be cleared up, the call did not happen, or it failed. */
static SS_COLD long finish(const struct ss_call *call, long result, int ours,
			   const struct ss_call *beneath)
{
	result = look_again(call, result, ours, beneath);
	return result < 0 && result >= -4095 ? invalid((int)-result) : result;
}

static int on_alternate_stack(void)
{
	stack_t stack;

	return sigaltstack(NULL, &stack) == 0 && stack.ss_flags & SS_ONSTACK;
}

/*
 * There is a call already.  Either it is beneath a handler, and the handler makes
 * another one, or a handler that had interrupted it has left by siglongjmp.  It
 * is over when we are on its stack and not beyond it, or when what it kept
 * there has been overwritten.  The kernel compares: the stack may be gone.
 */
static int is_over(const struct ss_call *beneath, const struct ss_call *call)
{
	static const long long now[2];		/* larger than any timespec */
	int error = errno;
	int over;

	over = (!on_alternate_stack() && (uintptr_t)call >= (uintptr_t)beneath) ||
		(syscall(SYS_futex, &beneath->mark, FUTEX_WAIT_PRIVATE,
			 (long)SS_MARK, now, NULL, 0L) == -1 &&
		 (errno == EAGAIN || errno == EFAULT));
	errno = error;
	return over;
}

/*
 * If it is not over as far as can be told, make the other one so that no harm is
 * done if it is: the interrupt signal is not blocked meanwhile.  Should it arrive, its
 * handler finds the one beneath and sends it again.
 *
 * `requeued` stays, for we may be in a handler, and beneath it the signal is still
 * blocked: enter and leave are not for handlers and clear it.  Until then each call
 * comes here.
 */
static SS_COLD long make_another(const struct ss_call *call)
{
	const struct ss_call *beneath = ss_thread.inside;
	const struct ss_call *beneath_that = ss_thread.beneath;
	long result;

	if (beneath && is_over(beneath, call))
		ss_thread.inside = beneath = NULL;
	ss_thread.beneath = beneath;
	if (ss_thread.requeued)
		ss_signal_repair(0);
	result = make(call, flag_of(current()), beneath);
	result = finish(call, result, 0, beneath);
	ss_thread.beneath = beneath ? beneath_that : NULL;
	return result;
}

static inline long make_first_or_another(const struct ss_call *call)
{
	long result;

	if (__builtin_expect((uintptr_t)ss_thread.inside | ss_thread.requeued, 0))
		return make_another(call);
	result = make(call, flag_of(current()), NULL);
	if (__builtin_expect((result < 0 && result >= -4095) ||
			     ss_thread.requeued, 0))
		return finish(call, result, 1, NULL);
	return result;
}

/*
 * Calls that come back twice, or on another stack than they left on, can't go
 * through the stub: its way out, and what it keeps on the stack, would not
 * be there.
 */
static inline int is_special(long number)
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
#ifdef SYS_fork
	case SYS_fork:
#endif
	case SYS_rt_sigreturn:
	case SYS_clone:
		return 1;
	}
	return 0;
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

static SS_COLD long fork_or_refuse(const struct ss_call *call)
{
	long result;

	if (!is_fork(call))
		return invalid(EINVAL);
	result = make_first_or_another(call);
	if (result == 0)
		in_child();
	return result;
}

/*
 * safe_syscall() is declared as syscall(2) is, and defined with as many words as
 * there may be: every ABI passes the two in the same places, but a function that
 * says "..." stores all that may have come and loads it again, just before an
 * instruction that waits for it.
 */
#define SS_WORDS ss_word a, ss_word b, ss_word c, ss_word d, ss_word e, ss_word f
#if SS_ARGUMENTS == 7
# define SS_SEVENTH(x) , x
#else
# define SS_SEVENTH(x)
#endif

#if defined __has_attribute
# if __has_attribute(noipa)
__attribute__((noipa))	/* a caller that is seen to pass less has nothing to tell */
# endif
#endif
SS_HIDDEN long ss_syscall(long number, SS_WORDS SS_SEVENTH(ss_word g));
long ss_syscall(long number, SS_WORDS SS_SEVENTH(ss_word g))
{
	const struct ss_call call = {
		number, { a, b, c, d, e, f SS_SEVENTH(g) }, SS_MARK
	};

	if (is_special(number))
		return fork_or_refuse(&call);
	return make_first_or_another(&call);
}

#if defined __GNUC__ && !defined __clang__
# pragma GCC diagnostic ignored "-Wattribute-alias"
#endif
long safe_syscall(long number, ...) __attribute__((alias("ss_syscall")));
