/* SPDX-License-Identifier: MIT */
/*
 * scope.c - who may interrupt what
 *
 * A scope is a mark, and the thread that has entered it.  Interrupting it sets the mark,
 * then the flag of the thread, which stops the calls that have not been made, then
 * sends the thread the interrupt signal, which brings back the one that is being made.
 *
 * LATE SIGNALS (G7)
 *
 * The signal could come when the thread has left the scope, and disturb what it does
 * then.  So leave() first says that the thread is gone and then looks whether anyone is at
 * the scope:
 *
 *	interrupt			leave
 *	  mark, senders + 1		  around = 0
 *	  full barrier			  full barrier
 *	  around?  flag, signal		  marked, or senders?
 *	  senders - 1			    wait until senders is 0,
 *					    take the signal back
 *
 * Whichever barrier comes second, its side sees what the other wrote: either the
 * sender finds that the scope is not entered and sends nothing, or leave() finds the
 * sender.  A signal that has been sent is pending or has been handled, and a timer that
 * a handler has set is stopped, so after the signal has been taken back none can
 * arrive.  Nobody touches the scope after senders - 1, so it may be freed when leave() has
 * returned.
 *
 * enter() is the same the other way round: it links the scope, and then looks whether it
 * has been marked by somebody who found nobody in it.
 *
 * The sender learns the thread by going from scope to scope outwards, to the thread's own.
 * They stay where they are: none can be left before the one in which we count, nor
 * can the thread end.
 *
 * The mark is on the scope that was named alone, and the flag is the thread's: a call in
 * an inner scope comes back too, and safe_syscall() looks at the scopes around.  A flag that
 * is set in vain costs one look.  So neither enter() nor rearm() need know which of the
 * scopes around are interrupted.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>

#include "fork.h"
#include "scope.h"

safe_syscall_scope *safe_syscall_self(void)
{
	int error = errno;

	ss_fork_check();
	if (ss_thread.call & SS_FIRST)
		ss_thread_start();
	ss_thread_set_key();
	errno = error;
	return &ss_thread.own;
}

/* ---- a thread ends ---------------------------------------------------------- */

/*
 * A scope that is on the thread's stack is gone with its frame: what is there now is nobody's,
 * or another frame's, one of ours too.  So its link is read once, and then is looked at
 * before it is followed.  If it has been written over, nobody knows the scopes around.
 */
static void leave_all(void)
{
	safe_syscall_scope *next, *s = ss_thread.current;
	size_t size = 0;
	void *stack = NULL;
	pthread_attr_t attr;
	int is_gone;

	if (!pthread_getattr_np(pthread_self(), &attr)) {
		if (pthread_attr_getstack(&attr, &stack, &size))
			size = 0;
		pthread_attr_destroy(&attr);
	}
	for (; s != &ss_thread.base; s = next) {
		is_gone = (uintptr_t)s - (uintptr_t)stack < size;
		next = ss_around(s);
		if (is_gone && !ss_leads_to_us(next))
			break;
		ss_thread.current = next;
		if (is_gone)
			continue;
		AO_compiler_barrier();
		AO_store(&s->ss_around, 0);
		AO_nop_full();
		ss_wait_for_senders(s, -1);
	}
}

static void thread_ends(void *unused)
{
	sigset_t old;

	(void)unused;
	ss_fork_check();
	if (ss_thread.current != &ss_not_started && ss_thread.current != &ss_thread.base)
		leave_all();
	ss_thread.current = &ss_not_started;
	AO_store(&ss_thread.tid, 0);
	AO_nop_full();
	ss_wait_for_senders(&ss_thread.own, -1);
	ss_change(&ss_thread.own, SS_DEADLINE | SS_REARMED, 0);
	ss_signals_block(&old);
	ss_timer_delete();
	ss_thread.call = SS_FIRST;
	ss_thread.slow = 0;
	ss_thread.was_blocked = ss_thread.sending = ss_thread.has_key = 0;
	ss_signals_restore(&old);
}

static void start(void)
{
	ss_fork_start();
	ss_thread_make_key(thread_ends);
}

/*
 * When the library is loaded, so that a fork knows of it whatever was called
 * before.  Constructors of others may come first: hence `once`.
 */
__attribute__((constructor)) void ss_library_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start);
}

int ss_library_has_key(void)
{
	return ss_thread_make_key(thread_ends) == 0;
}

/* ---- entering ----------------------------------------------------------------- */

/* No call lies beneath, and when the signal is unblocked it stays so. */
static void this_is_no_handler(void)
{
	int signum = ss_signal();	/* once: init() may come between */

	if (signum && ss_thread.call & SS_FIRST)
		ss_signal_unblock();
	ss_thread.call &= signum ? 0 : SS_FIRST;
	ss_thread.hooked = 0;
}

/*
 * Who marked the scope before it was linked may have found no thread and told nobody; nor
 * was anybody told of an interrupt that was taken back then.  A deadline is that of the
 * thread that was in the scope before, and may still be at leave().
 */
static SS_COLD int look_at_mark(safe_syscall_scope *scope)
{
	ss_change(scope, SS_DEADLINE, 0);
	this_is_no_handler();
	if (ss_interrupted_here())
		ss_thread.flag = 1;
	AO_compiler_barrier();
	ss_thread.entering = NULL;
	return 0;
}

/* The signal of a deadline may have come when its scope seemed to have none. */
static void look_at_deadlines(void)
{
	sigset_t old;

	ss_signals_block(&old);
	ss_timer_expire();
	ss_timer_set();
	ss_set_flag();
	ss_signals_restore(&old);
}

/* There was none when the library was loaded. */
static int make_key(void)
{
	sigset_t old;

	ss_lock(&old);
	ss_thread_make_key(thread_ends);
	ss_unlock(&old);
	return ss_thread_set_key();
}

/*
 * The thread's first scope, or one that is entered already.  The key comes when the scope
 * is current: what is called for it may be interrupted by a handler that makes a
 * call, and that belongs to the new scope.
 */
static SS_COLD int enter_slowly(safe_syscall_scope *scope)	/* NOLINT(misc-no-recursion): once */
{
	int error = EBUSY;

	ss_thread.entering = NULL;
	if (ss_thread.current != &ss_not_started) {
		if (ss_is_ours(scope))
			look_at_deadlines();
		return ss_fail(EBUSY);
	}
	ss_library_start();
	ss_fork_check();
	ss_thread_start();
	if (!AO_load(&ss_thread.tid))
		return ss_fail(EAGAIN);		/* a child of vfork */
	this_is_no_handler();
	AO_store(&ss_thread.base.ss_around, (AO_t)&ss_thread.own);
	ss_thread.current = &ss_thread.base;
	if (!safe_syscall_enter(scope)) {
		if (!ss_thread_set_key() || !make_key())
			return 0;
		safe_syscall_leave(scope);
		error = EAGAIN;
	}
	ss_thread.current = &ss_not_started;
	return ss_fail(error);
}

/*
 * From the moment the scope is linked signals come for it, and `entering` tells handlers
 * that their calls belong to it; until it has been seen that it is not interrupted,
 * which then would have been told to nobody.
 */
int safe_syscall_enter(safe_syscall_scope *scope)	/* NOLINT(misc-no-recursion): once */
{
	safe_syscall_scope *outer = ss_thread.current;

	if (!scope)
		return ss_fail(EINVAL);
	ss_thread.entering = scope;
	AO_compiler_barrier();
	/* ss_free is 0, but in ss_not_started */
	if (!AO_compare_and_swap_full(&scope->ss_around, outer->ss_free, (AO_t)outer))
		return enter_slowly(scope);
	ss_barrier_after_swap();
	ss_thread.current = scope;
	AO_compiler_barrier();
	if (scope->ss_state)
		return look_at_mark(scope);
	AO_compiler_barrier();
	ss_thread.entering = NULL;
	return 0;
}

/* What leave, interrupted and rearm return. */
static int how_interrupted(AO_t state)
{
	return !(state & SS_INTERRUPTED) ? 0 : state & SS_BY_DEADLINE ? 2 : 1;
}

/* ---- leaving -------------------------------------------------------------------- */

static SS_COLD int leave_slowly(safe_syscall_scope *scope)
{
	ss_fork_check();
	ss_wait_for_senders(scope, -1);
	this_is_no_handler();
	ss_take_back();
	ss_rearm_is_over(scope);
	ss_thread.held = 0;
	return safe_syscall_interrupted(scope);
}

int safe_syscall_leave(safe_syscall_scope *scope)
{
	AO_t outer;

	if (scope != ss_thread.current)
		return ss_fail(EINVAL);
	outer = scope->ss_around;
	/* current first: a handler in between goes from there outwards */
	ss_thread.current = (safe_syscall_scope *)outer;
	AO_compiler_barrier();
	AO_store(&scope->ss_around, 0);
	AO_nop_full();
	if (scope->ss_state)
		return leave_slowly(scope);
	return 0;
}

/* ---- interrupting ----------------------------------------------------------------- */

/*
 * Signals are blocked while we are counted as a sender: a handler of this thread could
 * otherwise leave by siglongjmp, and leave the count too high.
 */
static SS_COLD int interrupt(safe_syscall_scope *scope)
{
	struct ss_thread *thread;
	int failed = 0;
	sigset_t old;

	ss_signals_block(&old);
	ss_thread.sending++;
	ss_fork_check();
	if (ss_add_sender(scope)) {
		thread = ss_thread_of(scope);
		if (thread) {
			thread->flag = 1;
			failed = ss_send(thread);
		}
		ss_remove_sender(scope, failed);
	}
	ss_thread.sending--;
	ss_signals_restore(&old);
	return failed ? ss_fail(failed) : 0;
}

int safe_syscall_interrupt(safe_syscall_scope *scope)
{
	if (!scope || !ss_signal())
		return ss_fail(EINVAL);
	if (AO_load_acquire(&scope->ss_state) & SS_SENT)
		return 0;
	return interrupt(scope);
}

int safe_syscall_interrupted(const safe_syscall_scope *scope)
{
	if (!scope)
		return ss_fail(EINVAL);
	return how_interrupted(AO_load_acquire(&scope->ss_state));
}

/* ---- taking an interrupt back -------------------------------------------------------- */

/*
 * Rounds to wait for senders.  None where this thread is a sender itself.  A few in what
 * may be a handler, as it is wrapped or may lie above a call: the sender may need what that
 * has interrupted.  Otherwise long enough for any sender that runs at all.
 */
static int patience(void)
{
	return ss_thread.sending ? 0 :
		ss_thread.call & ~SS_FIRST || ss_thread.hooked ? SS_YIELDS : 20000;
}

static SS_COLD int take_back(safe_syscall_scope *scope)
{
	int error = errno, ours = ss_is_ours(scope), was;

	ss_fork_check();
	if (ours && AO_load(&scope->ss_state) & SS_DEADLINE)
		ss_timer_look();
	was = how_interrupted(ss_change(scope, SS_INTERRUPTED | SS_SENT | SS_BY_DEADLINE,
					SS_REARMED));
	ss_wait_for_senders(scope, patience());
	/*
	 * Only this thread's signals can be taken back.  Those to another one are when it
	 * leaves; also where this is a handler that has interrupted leave() half way.
	 */
	if (ours) {
		ss_rearm_is_over(scope);
		ss_take_back();
	}
	errno = error;
	return was;
}

int safe_syscall_rearm(safe_syscall_scope *scope)
{
	if (!scope)
		return ss_fail(EINVAL);
	if (!(AO_load_acquire(&scope->ss_state) & (SS_INTERRUPTED | SS_DEADLINE | SS_REARMED)))
		return 0;
	return take_back(scope);
}

/* ---- deadlines --------------------------------------------------------------------------- */

/* ss_deadline holds the seconds in a size_t. */
static int is_time(const struct timespec *when)
{
	return when->tv_sec >= 0 && (unsigned long long)when->tv_sec < 1ULL << 32 &&
		when->tv_nsec >= 0 && when->tv_nsec < 1000000000;
}

/*
 * The one before is taken back, whatever has become of it; unless it has interrupted the
 * scope, which stays.
 */
static int set_deadline(safe_syscall_scope *scope, const struct timespec *when)
{
	const size_t before[2] = { scope->ss_deadline[0], scope->ss_deadline[1] };
	AO_t had = ss_change(scope, SS_DEADLINE, 0) & SS_DEADLINE;

	if (when) {
		scope->ss_deadline[0] = (size_t)when->tv_sec;
		scope->ss_deadline[1] = (size_t)when->tv_nsec;
		ss_change(scope, 0, SS_DEADLINE);
	}
	if (ss_timer_set() && (when || had)) {
		ss_change(scope, SS_DEADLINE, 0);
		scope->ss_deadline[0] = before[0];
		scope->ss_deadline[1] = before[1];
		ss_change(scope, 0, had);
		ss_timer_set();
		return EAGAIN;
	}
	if (had) {
		ss_drain();
	} else {
		ss_timer_expire();
		ss_set_flag();
	}
	return 0;
}

int safe_syscall_deadline(safe_syscall_scope *scope, const struct timespec *when)
{
	int error = errno, failed;
	sigset_t old;

	if (!scope || !ss_signal() || !ss_is_ours(scope) || (when && !is_time(when)))
		return ss_fail(EINVAL);
	ss_fork_check();
	ss_signals_block(&old);
	failed = set_deadline(scope, when);
	ss_signals_restore(&old);
	errno = error;
	return failed ? ss_fail(failed) : 0;
}
