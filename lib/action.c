/* SPDX-License-Identifier: MIT */
/* action.c - how signals are handled: the interrupt signal, and those of the user */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "fork.h"
#include "hook.h"
#include "scope.h"

/* ---- safe_syscall_init --------------------------------------------------------- */

/* Our own handler is there already in a child that forked while another thread was in init(). */
static int is_free(const struct sigaction *sa)
{
	return sa->sa_handler == SIG_DFL ||
		(sa->sa_flags & SA_SIGINFO && sa->sa_sigaction == ss_on_interrupt);
}

static int is_usable(int signum)
{
	struct sigaction sa;

	return signum != SIGKILL && signum != SIGSTOP &&
		!ss_is_synchronous(signum) && !sigaction(signum, NULL, &sa);
}

/*
 * SA_RESTART: what can be restarted comes back as SAFE_ERESTARTSYS, and a call
 * of others is not disturbed.  The mask: no handler may come above this one and
 * leave by siglongjmp, when the signal has been taken and nothing has been done.
 *
 * Two copies of the library may be at this at once, and know nothing of each other: the
 * second one finds the other's handler in what it has replaced, and puts that back.
 */
static int handle_interrupts(int signum)
{
	struct sigaction sa, was;

	if (sigaction(signum, NULL, &was) || !is_free(&was))
		return EBUSY;
	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = ss_on_interrupt;
	sa.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
	ss_signals_all(&sa.sa_mask);
	if (sigaction(signum, &sa, &was))
		return EBUSY;
	if (is_free(&was))
		return 0;
	sigaction(signum, &was, NULL);
	return EBUSY;
}

/*
 * SIGURG: a new program survives it, as it is ignored by default; it needs no place in a
 * queue; debuggers pass it on, and emulators can deliver it.
 */
static int choose(void)
{
	int signum;

	if (!handle_interrupts(SIGURG))
		return SIGURG;
	for (signum = SIGRTMAX; signum >= SIGRTMIN; signum--)
		if (!handle_interrupts(signum))
			return signum;
	return 0;
}

/* The lock is held.  Returns an errno. */
static int init(int wanted)
{
	int set = ss_signal(), error = 0;

	if (set)
		return wanted && wanted != set ? EBUSY : 0;
	/* in a child of vfork the handler would be the child's, and the signal the parent's */
	if (!ss_library_has_key() || ss_process_is_vforked())
		return EAGAIN;
	if (wanted)
		error = handle_interrupts(wanted);
	else if (!(wanted = choose()))
		error = EAGAIN;
	if (!error)
		AO_store_release(&ss_interrupt_signal, (AO_t)wanted);
	return error;
}

int safe_syscall_init(int signum)
{
	sigset_t old;
	int error;

	if (signum && !is_usable(signum))
		return ss_fail(EINVAL);
	ss_library_start();
	ss_pin();
	ss_lock(&old);
	error = init(signum);
	ss_unlock(&old);
	if (error)
		return ss_fail(error);
	ss_thread_start();
	return 0;
}

int safe_syscall_signal(void)
{
	return ss_signal();
}

/* ---- safe_syscall_sigaction ------------------------------------------------------ */

/*
 * The user's handlers.  The kernel takes handler, flags and mask as one, and calls a
 * wrapper, which has to find the handler that belongs to these flags and that mask, also
 * when the user has set another one between the two.  So each wrapper of a signal has a
 * slot, which is filled before the kernel is told and not changed as long as others
 * are free; an action that was set before has the slot that it had.  A handler runs
 * with the mask of another one only when SLOTS new ones have been set while its
 * signal was being delivered.
 */
typedef void handler(int, siginfo_t *, void *);

enum { SLOTS = 8 };

static struct slot {
	handler *volatile handler;
	int flags;		/* as the user gave them */
	unsigned char mask[_NSIG / 8];
	unsigned long used;	/* when it was set last */
} slots[_NSIG][SLOTS];

#define WRAPPER(n)							\
	static void wrapper##n(int signum, siginfo_t *info, void *ucontext) \
	{								\
		ss_run_hooked(slots[signum][n].handler, signum, info, ucontext); \
	}
WRAPPER(0) WRAPPER(1) WRAPPER(2) WRAPPER(3) WRAPPER(4) WRAPPER(5) WRAPPER(6) WRAPPER(7)

static handler *const wrappers[SLOTS] = {
	wrapper0, wrapper1, wrapper2, wrapper3, wrapper4, wrapper5, wrapper6, wrapper7
};

/* Which of our wrappers is it?  -1: none. */
static int which_wrapper(const struct sigaction *sa)
{
	int i;

	for (i = 0; i < SLOTS; i++)
		if (sa->sa_flags & SA_SIGINFO && sa->sa_sigaction == wrappers[i])
			return i;
	return -1;
}

/* The action as the user has set it. */
static void unwrap(int signum, struct sigaction *sa)
{
	int which = which_wrapper(sa);

	if (which < 0)
		return;
	sa->sa_sigaction = slots[signum][which].handler;
	if (!(slots[signum][which].flags & SA_SIGINFO))
		sa->sa_flags &= ~SA_SIGINFO;
}

static int is_same(const struct slot *slot, const struct sigaction *sa)
{
	return slot->handler == sa->sa_sigaction && slot->flags == sa->sa_flags &&
		!memcmp(slot->mask, &sa->sa_mask, sizeof slot->mask);
}

/* The slot that has this action, or else the one that was set longest ago. */
static int slot_for(int signum, const struct sigaction *sa)
{
	static unsigned long now;
	struct slot *slot = slots[signum];
	int i, found = 0;

	for (i = 0; i < SLOTS && !is_same(&slot[i], sa); i++)
		if (slot[i].used < slot[found].used)
			found = i;
	if (i < SLOTS) {
		found = i;
	} else {
		slot[found].flags = sa->sa_flags;
		memcpy(slot[found].mask, &sa->sa_mask, sizeof slot->mask);
		slot[found].handler = sa->sa_sigaction;
	}
	slot[found].used = ++now;
	return found;
}

static int is_handler(const struct sigaction *act)
{
	/* whatever SA_SIGINFO says: the kernel looks at the value alone */
	return act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN;
}

/* The lock is held. */
static int change_action(int signum, const struct sigaction *act,
			 struct sigaction *was)
{
	struct sigaction sa;

	if (act && signum == ss_signal()) {
		errno = EINVAL;
		return -1;
	}
	if (sigaction(signum, NULL, was) == -1)
		return -1;
	if (!act)
		return 0;
	if (!is_handler(act))
		return sigaction(signum, act, NULL);
	sa = *act;
	/* The caller may pass back a wrapper that it got from sigaction(2). */
	unwrap(signum, &sa);
	if (!sa.sa_sigaction)
		return ss_fail(EINVAL);	/* a wrapper without one: it was of another signal */
	sa.sa_sigaction = wrappers[slot_for(signum, &sa)];
	sa.sa_flags |= SA_SIGINFO;
	return sigaction(signum, &sa, NULL);
}

int safe_syscall_sigaction(int signum, const struct sigaction *act,
			   struct sigaction *oldact)
{
	struct sigaction wanted, was;
	sigset_t old;
	int result;

	if (signum < 1 || signum >= _NSIG)
		return ss_fail(EINVAL);
	if (act)
		wanted = *act;		/* may be the same object as oldact */
	ss_library_start();
	if (act)
		ss_pin();		/* the wrapper is in this object */
	ss_lock(&old);
	result = change_action(signum, act ? &wanted : NULL, &was);
	if (result == 0)
		unwrap(signum, &was);
	ss_unlock(&old);
	if (result == 0 && oldact)
		*oldact = was;
	return result;
}
