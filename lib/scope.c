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
 *    the stub without effect, safe_syscall() clears WAKE, looks at
 *    the scopes around, and makes the call again if none is interrupted (any
 *    more).  So rearm() need not know who has inherited what.
 *
 * 3. The signal arrives in a handler that has interrupted the call: see signal.c.
 *
 * The thread state is thread-local with the initial-exec model: a fixed distance
 * from the thread pointer, so that a handler never makes the dynamic linker
 * allocate.  It costs a few bytes of the static TLS that every libc keeps for
 * libraries loaded later.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
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

/* The public type must not depend on atomic_ops.h. */
typedef char ss_state_is_an_AO_t[sizeof(AO_t) == sizeof(size_t) &&
				 sizeof(AO_t) == sizeof(void *) ? 1 : -1];

/* Current on a thread that has not entered any: its own scope is, and the first
 * enter finds here that there is something to do first. */
static safe_syscall_scope unstarted = { SS_WAKE, SS_NONE, 0, { 0 } };

__thread struct ss_thread ss_thread
	__attribute__((tls_model("initial-exec"))) = {
	{ 0, SS_NONE, 0, { 0 } }, &unstarted, 0, 0, 0
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

/*
 * A sender needs the processor, which we may be keeping from it by our priority:
 * sleep when yielding does not help.
 */
static void wait_for_senders(safe_syscall_scope *scope)
{
	static const struct timespec nap = { 0, 50000 };
	int i, cancel;

	for (i = 0; AO_load_acquire(&scope->ss_state) >= SS_SENDER; i++) {
		if (i < 64) {
			sched_yield();
			continue;
		}
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
		nanosleep(&nap, NULL);
		pthread_setcancelstate(cancel, NULL);
	}
}

/* In a child of fork there are no other threads, and this one has a new id. */
static void in_child(void)
{
	safe_syscall_scope *s;

	ss_thread.sending = 0;
	ss_signal_forked();
	for (s = current(); s; s = around(s))
		change(&s->ss_state, ~(SS_SENDER - 1), 0);
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

/*
 * The scope has been entered and is current.  Either there is something to
 * inherit, or to clear up, or it is the first on this thread.
 */
static SS_COLD int enter_slowly(safe_syscall_scope *scope)
{
	if (scope->ss_around == (AO_t)&unstarted) {
		ss_library_start();
		pthread_setspecific(key, &ss_thread);
		ss_tid();
		AO_store(&scope->ss_around, (AO_t)&ss_thread.own);
		/* who came before this found no thread, but has set our flag */
		AO_nop_full();
	}
	ss_thread.inside = 0;
	if (ss_thread.requeued)
		ss_signal_repair(0);
	change(&scope->ss_state, 0, SS_WAKE);
	return 0;
}

int safe_syscall_enter(safe_syscall_scope *scope)
{
	safe_syscall_scope *outer = ss_thread.current;

	if (!scope)
		return invalid(EINVAL);
	if (!AO_compare_and_swap_full(&scope->ss_around, 0, (AO_t)outer))
		return invalid(EBUSY);
	/*
	 * From here on signals come.  First let a handler find the scope, then
	 * look at the one around it: an interrupt of that one is seen either by
	 * the handler or here.
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
	ss_thread.inside = 0;
	if (ss_thread.requeued)
		ss_signal_repair(0);
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

static SS_COLD int interrupt(safe_syscall_scope *scope)
{
	AO_t old;
	pid_t tid;

	/* a handler that comes here, and waits in rearm, would wait for us */
	ss_thread.sending++;
	do
		old = AO_load(&scope->ss_state);
	while (!(old & SS_INTERRUPTED) &&
	       !AO_compare_and_swap_full(&scope->ss_state, old,
					 (old | SS_INTERRUPTED) + SS_SENDER));
	if (!(old & SS_INTERRUPTED)) {
		tid = thread_of(scope);
		if (tid)
			ss_signal_send(tid);
		do
			old = AO_load(&scope->ss_state);
		while (!AO_compare_and_swap_full(&scope->ss_state, old,
						 old - SS_SENDER));
	}
	ss_thread.sending--;
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
	if (!(change(&scope->ss_state, SS_INTERRUPTED, 0) & SS_INTERRUPTED))
		return 0;
	if (!ss_thread.sending)
		wait_for_senders(scope);
	if (is_around_us(scope))
		ss_signal_drain();
	errno = error;
	return 1;
}

/* ---- the call --------------------------------------------------------------- */

enum kind { ORDINARY, REFUSED, FORK };

/*
 * Calls that come back twice, or on another stack than they left on, can't go
 * through the stub: its way out, and what it keeps on the stack, would not
 * be there.
 */
static enum kind kind_of(long number, const ss_word *arg)
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
		return REFUSED;
	case SYS_clone:
		if (arg[SS_CLONE_FLAGS] & CLONE_VM || arg[SS_CLONE_STACK])
			return REFUSED;
		return FORK;
#ifdef SYS_fork
	case SYS_fork:
		return FORK;
#endif
	}
	return ORDINARY;
}

/* One safe_syscall() under way. */
struct call {
	long number;
	ss_word arg[SS_ARGUMENTS];
	uintptr_t frame;
};

static long make(const struct call *call, const volatile int *flag)
{
	const ss_word *arg = call->arg;
	uintptr_t beneath = ss_thread.inside;
	long result;

	/* signal.c: a handler of others in here may have to return first */
	ss_thread.inside = call->frame;
	result = safe_syscall_raw(flag, call->number, arg[0], arg[1], arg[2],
#if SS_ARGUMENTS == 7
				  arg[3], arg[4], arg[5], arg[6]);
#else
				  arg[3], arg[4], arg[5]);
#endif
	ss_thread.inside = beneath;
	return result;
}

/* The call did not happen, or something is to be cleared up after it. */
static SS_COLD long look_again(const struct call *call, safe_syscall_scope *scope,
			       long result)
{
	static const volatile int never;
	const volatile int *flag = flag_of(scope);
	AO_t old;

	for (;;) {
		if (ss_thread.requeued)
			ss_signal_repair(call->frame);
		if (result != -SAFE_ERESTARTSYS)
			return result;
		/* clear, then look: a handler in between sets it again */
		old = change(&scope->ss_state, SS_WAKE, 0);
		if (ss_interrupted_here()) {
			change(&scope->ss_state, 0, old & SS_WAKE);
			return result;
		}
		if (!(old & ~SS_INTERRUPTED))
			return result;
		/*
		 * A sender whose interrupt was taken back.  If it is our own,
		 * this is a handler above it, and waiting is no use.
		 */
		if (!ss_thread.sending)
			wait_for_senders(scope);
		else if (old >= SS_SENDER)
			flag = &never;
		result = make(call, flag);
	}
}

long safe_syscall(long number, ...)
{
	safe_syscall_scope *scope = current();
	struct call call;
	enum kind kind;
	long result;
	va_list ap;
	int i;

	call.number = number;
	call.frame = (uintptr_t)__builtin_frame_address(0);
	va_start(ap, number);
	for (i = 0; i < SS_ARGUMENTS; i++)
		call.arg[i] = va_arg(ap, ss_word);
	va_end(ap);
	kind = kind_of(number, call.arg);
	if (kind == REFUSED)
		return invalid(EINVAL);
	result = make(&call, flag_of(scope));
	if (result == -SAFE_ERESTARTSYS || ss_thread.requeued)
		result = look_again(&call, scope, result);
	if (kind == FORK && result == 0)
		in_child();
	if (result < 0 && result >= -4095)
		return invalid((int)-result);
	return result;
}
