/* SPDX-License-Identifier: MIT */
/*
 * signal.c - the interrupt signal, wrapped handlers, and the handlers of others.
 *
 * THE HANDLERS OF OTHERS (G6)
 *
 * A handler of code that knows nothing of this library interrupts a call, and
 * the interrupt signal arrives in that handler.  Our own handler sees a PC in
 * the other's code, rewinds nothing, and returns; then the other one returns,
 * maybe to the instruction after the check, and the call blocks.
 *
 * So where a call is under way on this thread but the PC is not in the stub, our
 * handler blocks the interrupt signal in the context that it interrupted, and
 * sends it again.  It is pending while the other handler runs.  When that
 * returns, the kernel restores the mask of the context below, in which it is
 * not blocked, and it arrives there: at the call, or in yet another handler,
 * where the same is done again.
 *
 * If the other handler leaves by siglongjmp, the call is over without having
 * returned, and the signal may remain blocked; `requeued` tells.  The next
 * safe_syscall(), enter or leave takes it back and unblocks it.  A safe_syscall()
 * in the other handler does so too, for it is to be interrupted like any; what it
 * takes back it sends again, and our handler finds the call beneath as before.
 *
 * Such a handler may interrupt anything here and not come back.  Hence all signals
 * are blocked in the handler of the interrupt signal, whose return unblocks it, and
 * wherever one has been taken from the queue and not been put back.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "scope.h"

AO_t ss_interrupt_signal;

/* Serialises those who change how signals are handled; never held in a handler
 * for long, as all signals are blocked while it is held. */
static AO_t lock;

/* The C library's function would leave out those that it has for itself. */
void ss_signals_block(sigset_t *old)
{
	sigset_t all;

	memset(&all, -1, sizeof all);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, old, _NSIG / 8);
}

void ss_signals_restore(const sigset_t *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, _NSIG / 8);
}

static void take_lock(sigset_t *old)
{
	ss_signals_block(old);
	while (!AO_compare_and_swap_full(&lock, 0, 1))
		sched_yield();
}

static void give_lock(const sigset_t *old)
{
	AO_store_release(&lock, 0);
	ss_signals_restore(old);
}

/* Whoever held it is not in this process.  What it was about to do is done or
 * not: a place that is not in use matters to nobody. */
void ss_signal_forked(void)
{
	AO_store_release(&lock, 0);
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* ---- sending, and taking back --------------------------------------------- */

/*
 * EAGAIN: a real-time signal is queued, and the user's queue is full
 * (RLIMIT_SIGPENDING).  To itself a thread may send it without the place that
 * kill(2) needs none of either; for others, wait until there is room.
 */
void ss_signal_send(pid_t tid)
{
	int error = errno;
	siginfo_t info;
	int i;

	for (i = 0; syscall(SYS_tgkill, getpid(), tid, ss_signal()) == -1; i++) {
		if (errno != EAGAIN)
			break;
		if (tid == ss_tid()) {
			memset(&info, 0, sizeof info);
			info.si_code = SI_USER;
			syscall(SYS_rt_tgsigqueueinfo, getpid(), tid,
				ss_signal(), &info);
			break;
		}
		ss_wait(i);
	}
	errno = error;
}

/*
 * What is taken back may have been for a scope around the one that is left, or
 * for the call beneath the handler that we are in.
 */
static void take_back(int unblock, int for_good)
{
	static const long long none[2];		/* larger than any timespec */
	int error = errno;
	int taken = 0;
	sigset_t old, set;

	sigemptyset(&set);
	sigaddset(&set, ss_signal());
	ss_signals_block(&old);
	/* not sigtimedwait(), where a thread can be cancelled */
	while (syscall(SYS_rt_sigtimedwait, &set, NULL, none, _NSIG / 8) > 0)
		taken = 1;
	if (taken && ss_interrupted_here())
		ss_signal_send(ss_tid());
	if (unblock)
		sigdelset(&old, ss_signal());
	if (for_good)
		ss_thread.requeued = 0;
	ss_signals_restore(&old);
	errno = error;
}

void ss_signal_drain(void)
{
	if (ss_signal())
		take_back(0, 0);
}

void ss_signal_repair(int for_good)
{
	take_back(1, for_good);
}

/* ---- the hook ----------------------------------------------------------------- */

static int is_synchronous(int signum)
{
	return signum == SIGSEGV || signum == SIGBUS || signum == SIGFPE ||
	       signum == SIGILL || signum == SIGTRAP || signum == SIGSYS;
}

static enum safe_syscall_phase hook(ucontext_t *uc)
{
	enum safe_syscall_phase phase = safe_syscall_rewind(uc);
	const struct ss_call *missed;

	if (!ss_interrupted_here())
		return phase;
	ss_wake_inner();
	/* the call that will not look at its flag again when we return */
	missed = phase == SAFE_SYSCALL_OUTSIDE ? ss_thread.inside : ss_thread.beneath;
	if (missed && ss_signal()) {
		ss_thread.requeued = 1;
		sigaddset(&uc->uc_sigmask, ss_signal());
		ss_wake_current();	/* for enter and leave */
		ss_signal_send(ss_tid());
	}
	return phase;
}

void safe_syscall_hook(int signum, siginfo_t *info, void *ucontext)
{
	int error = errno;

	/* A fault belongs to the instruction: whoever handles it wants the PC. */
	if (!ucontext || (is_synchronous(signum) && info && info->si_code > 0))
		return;
	hook(ucontext);
	errno = error;
}

/* ---- safe_syscall_init --------------------------------------------------------- */

static int is_default(int signum)
{
	struct sigaction sa;

	return sigaction(signum, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL;
}

static int find_free_signal(void)
{
	int signum;

	for (signum = SIGRTMAX; signum >= SIGRTMIN; signum--)
		if (is_default(signum))
			return signum;
	return 0;
}

/*
 * SA_RESTART: what can be restarted comes back as SAFE_ERESTARTSYS, and a call
 * of others is not disturbed.  The mask: no handler may come above this one and
 * leave by siglongjmp, with the signal blocked and nobody knowing.
 */
static int handle_interrupts(int signum)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = safe_syscall_hook;
	sa.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
	sigfillset(&sa.sa_mask);
	return sigaction(signum, &sa, NULL);
}

int safe_syscall_init(int signum)
{
	sigset_t old;
	int set, result = 0;

	if (signum < 0 || is_synchronous(signum))
		return fail(EINVAL);
	ss_library_start();
	take_lock(&old);
	set = ss_signal();
	if (set) {
		if (signum && signum != set)
			result = fail(EINVAL);
	} else {
		if (!signum)
			signum = find_free_signal();
		if (!signum)
			result = fail(EAGAIN);
		else if (!is_default(signum) || handle_interrupts(signum))
			result = fail(EINVAL);
		else
			AO_store_release(&ss_interrupt_signal, (AO_t)signum);
	}
	give_lock(&old);
	return result;
}

/* ---- safe_syscall_sigaction ------------------------------------------------------ */

/*
 * The user's handlers.  Two places for each signal, with a wrapper each: a new
 * handler takes the place that is not in use, and the kernel goes over to it,
 * with flags and mask, when it is told the other wrapper.  At no moment is one
 * handler called with the flags of another.
 */
typedef void handler(int, siginfo_t *, void *);

static struct place {
	handler *volatile handler;
	int flags;		/* as the user gave them */
} places[_NSIG][2];

static void wrapped(int signum, siginfo_t *info, void *ucontext, int which)
{
	const struct ss_call *inside = ss_thread.inside;
	enum safe_syscall_phase phase = SAFE_SYSCALL_OUTSIDE;
	int error = errno;

	if (!is_synchronous(signum) || info->si_code <= 0)
		phase = hook(ucontext);
	/*
	 * The call that was interrupted looks at its flag again when this handler
	 * returns, so an interrupt that comes in here has nothing to wait for,
	 * unless there is a call beneath that one; nor if it leaves by siglongjmp.
	 */
	if (phase != SAFE_SYSCALL_OUTSIDE)
		ss_thread.inside = ss_thread.beneath;
	errno = error;
	/* The kernel too passes three arguments whatever the handler takes. */
	places[signum][which].handler(signum, info, ucontext);
	if (phase != SAFE_SYSCALL_OUTSIDE)
		ss_thread.inside = inside;
}

static void wrapper0(int signum, siginfo_t *info, void *ucontext)
{
	wrapped(signum, info, ucontext, 0);
}

static void wrapper1(int signum, siginfo_t *info, void *ucontext)
{
	wrapped(signum, info, ucontext, 1);
}

/* Which of our wrappers is it?  -1: none. */
static int which_wrapper(const struct sigaction *sa)
{
	if (!(sa->sa_flags & SA_SIGINFO))
		return -1;
	return sa->sa_sigaction == wrapper0 ? 0 : sa->sa_sigaction == wrapper1 ? 1 : -1;
}

/* The action as the user has set it. */
static void as_user(int signum, struct sigaction *sa)
{
	int which = which_wrapper(sa);
	int flags;

	if (which < 0)
		return;
	flags = places[signum][which].flags;
	sa->sa_sigaction = places[signum][which].handler;
	if (!(flags & SA_SIGINFO))
		sa->sa_flags &= ~SA_SIGINFO;
}

static int is_handler(const struct sigaction *act)
{
	/* whatever SA_SIGINFO says: the kernel looks at the value alone */
	return act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN;
}

/* The lock is held.  */
static int change_action(int signum, const struct sigaction *act,
			 struct sigaction *was)
{
	struct sigaction sa;
	struct place *place;
	int which;

	if (sigaction(signum, NULL, was) == -1)
		return -1;
	if (!act)
		return 0;
	if (!is_handler(act))
		return sigaction(signum, act, NULL);
	which = which_wrapper(was) == 0;
	place = &places[signum][which];
	sa = *act;
	as_user(signum, &sa);	/* a wrapper that sigaction(2) has told of */
	if (!sa.sa_sigaction)
		return fail(EINVAL);	/* but of another signal */
	place->flags = sa.sa_flags;
	place->handler = sa.sa_sigaction;
	sa.sa_sigaction = which ? wrapper1 : wrapper0;
	sa.sa_flags |= SA_SIGINFO;
	return sigaction(signum, &sa, NULL);
}

int safe_syscall_sigaction(int signum, const struct sigaction *act,
			   struct sigaction *oldact)
{
	struct sigaction wanted, was;
	sigset_t old;
	int result;

	if (signum < 1 || signum >= _NSIG || (act && signum == ss_signal()))
		return fail(EINVAL);
	if (act)
		wanted = *act;		/* may be the same object as oldact */
	take_lock(&old);
	result = change_action(signum, act ? &wanted : NULL, &was);
	if (result == 0)
		as_user(signum, &was);
	give_lock(&old);
	if (result == 0 && oldact)
		*oldact = was;
	return result;
}
