/* SPDX-License-Identifier: MIT */
/*
 * hook.c - what handlers of signals do
 *
 * THE HANDLERS OF OTHERS (G6)
 *
 * A handler of code that knows nothing of this library interrupts a call, and the
 * interrupt signal arrives in that handler.  Our own handler sees a PC in the other's
 * code and has nothing to rewind.  When both have returned the call goes on, maybe from
 * the instruction after the check, and blocks.
 *
 * Whether there is such a call can't be known for sure.  The other handler may be on any
 * stack, so the order of addresses says nothing.  It may make calls itself, be
 * interrupted in them by more handlers, and these may leave by siglongjmp to any level
 * beneath.  So three things are done, and none of them has to be exact:
 *
 * 1. ss_thread.call says whether a call may lie beneath.  A call puts its record there
 *    and takes it away; one that finds another there adds BENEATH, and puts back
 *    what it found.  A call that was jumped out of takes nothing away.  A later call drops
 *    its record only when the record's memory has been used again, which proves that it is
 *    over; BENEATH stays.  So the word can say "maybe" too long, until the outermost
 *    call that it is about returns, or the thread enters or leaves a scope that is marked
 *    (which is not for handlers, so nothing lies beneath); it never says "no" too early.
 *
 * 2. While a scope of the thread is interrupted and something may lie beneath, the thread
 *    is sent the signal again later, by a timer, with pauses that grow: timer.c.  The
 *    first one that comes when the other handlers are gone finds the call.
 *
 * 3. The interrupt signal's handler sets the thread's flag.  The flag stays set until a call,
 *    a rearm, a leave or a new deadline has looked at all scopes of the thread and found none
 *    interrupted, with signals blocked, and once more after clearing it: thread.c.
 *
 * Why no interrupt is lost
 *
 * Let a scope of the thread be interrupted, and nobody take that back.  Whoever does it marks
 * the scope, then sets the flag of the thread that is in it, then sends.  Take
 * any call in that scope, or in one inside it, that is under way or begins later.
 *
 *  - If it has yet to look at the flag, it finds it set: nobody clears it while the
 *    mark is there.  (In the middle of enter() the flag may be clear and the mark
 *    older than the entry; `entering` then makes the call look at the mark.)
 *
 *  - Else its PC is in the window or on the instruction, or it is blocked, in some frame of
 *    the thread; and the signal was sent after it had looked.  When that arrives, the
 *    thread runs in this frame, and the handler rewinds it, or in a handler above it.
 *    The interrupt signal is blocked in no frame, but in the library's own stretches,
 *    which nothing asynchronous can leave, and where the program itself has blocked it.
 *    Then ss_thread.call has the call's record or BENEATH, as the record was put there
 *    before the call looked, and later calls have only added to the word.  (A wrapped
 *    handler takes the call that it interrupted out of the word while it runs; but
 *    that call has been rewound and has yet to look.)  So the timer is set, and when it
 *    fires, the same is true again, until the thread runs in the call's frame or the
 *    call is over.
 *
 * Depth, stacks and ways out do not occur in this argument, beyond what 1 says of the
 * word.  A jump into a handler beneath leaves the word as it is or says more.  A child of
 * fork has the frames and the word but no signal under way and no timer: fork.c sends once
 * more.  A new thread has neither frames nor mask of ours, nor has a new program.
 *
 * What does it cost?  One signal too many where nothing lies beneath in fact, or
 * several, if a handler has jumped out of a call and the thread makes none, and enters
 * and leaves nothing, while its scope stays interrupted.
 *
 * What was considered instead
 *
 * Blocking the signal in the context that was interrupted, so that it is pending until
 * the other handler returns, needs no timer.  But the mask gets away: by a jump, by
 * sigsetjmp(), to a child, a thread or a program that the handler makes, and in each it
 * would have to be the other one.  It is what is left where the kernel has no timer.
 * Links through the records on the stacks: one that is overwritten takes with it all that
 * lie beneath.  Stack order, and the end of an alternate stack: wrong on
 * other stacks, of which coroutine libraries, SS_AUTODISARM and sanitizers make
 * some that nobody can know.  Signal frames of others, found by unwinding: not by a
 * handler, and not without their cooperation.  The kernel's restartable sequences
 * forbid system calls.
 *
 * What can't be had
 *
 *  - A mask that the program saves or sets itself, in which the signal is blocked: a
 *    thread that blocks it is not brought back from the kernel until it unblocks it.
 *  - A child that ran no atfork handler and makes no call of ours that takes a slow
 *    path: safe_syscall_forked() is for it.
 *  - A handler of a synchronous signal that comes in interrupt(), or in the interrupt
 *    signal's handler, and leaves by siglongjmp: these signals are not blocked there, as a
 *    fault would kill then.
 *  - A thread that ends in a scope on its own stack, and is interrupted in between: the
 *    way to the scopes around leads through a frame that is gone.
 *  - A child of vfork that is killed while it interrupts a scope: it stays counted.
 *  - A program that takes the interrupt signal away, by a handler of its own or sigwait().
 *  - Without a timer, the mask's cases above.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hook.h"

/*
 * A fault belongs to the instruction, and whoever handles it wants the PC.
 */
static enum safe_syscall_phase rewind_unless_fault(int signum, const siginfo_t *info,
						   void *ucontext)
{
	if (ss_is_synchronous(signum) && info && info->si_code > 0)
		return SAFE_SYSCALL_OUTSIDE;
	return safe_syscall_rewind(ucontext);
}

void safe_syscall_hook(int signum, siginfo_t *info, void *ucontext)
{
	rewind_unless_fault(signum, info, ucontext);
}

void ss_run_hooked(void (*handler)(int, siginfo_t *, void *), int signum, siginfo_t *info,
		   void *ucontext)
{
	enum safe_syscall_phase phase = rewind_unless_fault(signum, info, ucontext);
	uintptr_t calls = ss_thread.call;
	int hooked = ss_thread.hooked;

	/*
	 * The call that was interrupted looks at the flag when this handler returns, so
	 * while it runs only what is beneath that call counts.  If it leaves by siglongjmp
	 * that stays right, as the call is over.
	 */
	if (phase != SAFE_SYSCALL_OUTSIDE)
		ss_thread.call = ss_calls_beneath(ucontext, phase) | (calls & SS_FIRST);
	ss_thread.hooked = 1;
	/* The kernel too passes three arguments whatever the handler takes. */
	handler(signum, info, ucontext);
	ss_thread.hooked = hooked;
	if (phase != SAFE_SYSCALL_OUTSIDE)
		ss_thread.call = calls;
}

/*
 * The kernel has no timer, as the user's queue of signals is full for instance: then the
 * signal is blocked in the handler of others that was interrupted, and arrives when
 * that returns.
 */
static void hold_back(ucontext_t *uc)
{
	ss_thread.held = 1;
	sigaddset(&uc->uc_sigmask, ss_signal());
	ss_send_to_self();
}

/* While another copy of the library looks whether the signal is free: see handle_interrupts(). */
static void not_ours(int signum)
{
	struct sigaction sa;

	/* a child of a fork in the middle of init(): the signal is for nobody */
	if (!AO_load(&ss_process->lock) && !sigaction(signum, NULL, &sa) &&
	    sa.sa_sigaction == ss_on_interrupt && !ss_signal())
		return;
	ss_wait(SS_YIELDS);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signum);
}

static void on_interrupt(ucontext_t *uc, enum safe_syscall_phase phase)
{
	ss_fork_check();
	ss_timer_expire();
	if (!ss_interrupted_here()) {
		/* what the timer has sent goes with it, and what has become one with that */
		ss_timer_off();
		if (!ss_interrupted_here())
			return;
	}
	ss_thread.flag = 1;
	if (!ss_calls_beneath(uc, phase))
		ss_timer_off();
	else if (ss_timer_again() && !ss_process_is_vforked())
		hold_back(uc);
}

void ss_on_interrupt(int signum, siginfo_t *info, void *ucontext)
{
	enum safe_syscall_phase phase = safe_syscall_rewind(ucontext);
	int error = errno;

	(void)info;
	if (ss_signal())
		on_interrupt(ucontext, phase);
	else
		not_ours(signum);
	errno = error;
}
