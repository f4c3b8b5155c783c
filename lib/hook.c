/* SPDX-License-Identifier: MIT */
/* hook.c - what handlers of signals do; the essay is written below */
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

	/*
	 * The call that was interrupted looks at the flag when this handler returns, so
	 * while it runs only what is beneath that call counts.  If it leaves by siglongjmp
	 * that stays right, as the call is over.
	 */
	if (phase == SAFE_SYSCALL_OUTSIDE) {
		handler(signum, info, ucontext);
		return;
	}
	ss_thread.call = ss_calls_beneath(ucontext, phase) | (calls & SS_FIRST);
	/* The kernel too passes three arguments whatever the handler takes. */
	handler(signum, info, ucontext);
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

/* While another copy of the library looks whether the signal is free: see init(). */
static void not_ours(int signum)
{
	ss_wait(1000);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signum);
}

static void on_interrupt(ucontext_t *uc, enum safe_syscall_phase phase)
{
	ss_fork_check();
	if (!ss_interrupted_here()) {
		ss_timer_off();
		return;
	}
	ss_thread.flag = 1;
	if (!ss_calls_beneath(uc, phase))
		ss_timer_off();
	else if (ss_timer_again())
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
