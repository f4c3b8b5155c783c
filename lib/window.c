/* SPDX-License-Identifier: MIT */
/*
 * window.c - from an interrupted context to what has become of the call.
 *
 * WHY THIS WORKS
 *
 * A handler can do no more than set a flag.  The thread looks at the flag and
 * then blocks, and however close together the two are, a signal can come
 * between them: the flag is set too late to be seen and the thread sleeps on.
 * Nothing the thread does about it in advance helps, for the last thing
 * it does is always the system call instruction, and what it did before that
 * is the past.  But a handler does not run in the past.  It is given the
 * program counter it interrupted, and may change it.  So flag check and system
 * call are written by hand, as one piece of code at a known address:
 *
 *	entry:	registers to where the kernel wants them
 *	start:	load the flag
 *		if it is set, go to abort
 *	call:	the system call instruction
 *	commit:	error convention to -errno
 *		return
 *	abort:	return -SAFE_ERESTARTSYS
 *
 * A processor takes an interrupt between two instructions, never in the middle
 * of one, and the kernel delivers a signal only on its way back to the
 * program.  Hence a handler sees one of these, and there is no other:
 *
 * 1. Between entry and start.  The flag has not been looked at.  It will be,
 *    after the handler has returned.  Nothing to do.
 *
 * 2. After start, up to the instruction but before it has run.  The flag may
 *    have been looked at already, and the answer is out of date if the
 *    handler has set it.  Nothing has happened yet that anyone could notice:
 *    the code from start to here reads memory and writes registers.  So put the PC
 *    back to start.  The flag is read again; if the handler has set it the call
 *    is given up, if not it goes on as if there had been no signal.
 *
 * 3. In the kernel, which was blocked or about to block, and the handler's
 *    SA_RESTART or the nature of the call lets it be restarted.  The kernel
 *    has undone what little it did, put number and arguments back into the
 *    registers and moved the PC back on the instruction.  That is case 2 again,
 *    and the same answer is right: without us, the kernel would now block
 *    for good in spite of the flag.
 *
 * 4. In the kernel, and it gave up with EINTR.  That is a result.  The PC is
 *    commit and the error in the registers, and it is returned.
 *
 * 5. In the kernel, and it has carried out the call.  The same: the PC is at
 *    commit or, a little later, on the way from there to the return.  The
 *    call must not be made again and its result not be lost, so leave all as
 *    it is.  The flag stays set and stops the next call.
 *
 * 6. In a timed wait that was stopped (by SIGSTOP, a tracer, the freezer)
 *    and has been continued.  The kernel moved the PC back as in case 3 but
 *    changed the number to restart_syscall, which knows from inside the
 *    kernel how much of the wait is left.  Running the stub from start would
 *    find the wrong number, and with the right one would wait the whole
 *    time again.  Leaving it alone is not better than returning at once: the
 *    return from a handler makes the kernel forget what restart_syscall should
 *    do, and it answers EINTR.  So answer EINTR here.  The remaining time is
 *    where the kernel wrote it when the wait was stopped.  (s390x keeps a
 *    "svc restart_syscall" in the vDSO for this and moves the PC there.  A 32-bit
 *    kernel on arm resumes the wait by itself: there is no such state.)
 *
 * 7. On the way out by abort.  The flag was set, the kernel not entered, and
 *    -SAFE_ERESTARTSYS will be returned.  Whatever the handler does to the
 *    flag comes later.  Nothing to do.
 *
 * 8. Anywhere else.  None of our business.
 *
 * A seccomp filter or Syscall User Dispatch that answers a call by SIGSYS is
 * case 5: the instruction has run, the PC is commit, and what the handler puts
 * into the result register is the result.
 *
 * Whether the call may still be made (1 to 3) or has been (4 and 5) is told by one
 * thing: whether the PC is beyond the system call instruction.  That is why the
 * stub has exactly one, why what is needed to run again from start must outlive it,
 * and why each architecture's window.S names the registers and words in which it
 * does.  Case 6 is told from 3 by the number.
 *
 * A handler that interrupts a handler sees the first one's code, which is case
 * 8, while the call that waits beneath has been dealt with by the first handler
 * or will be, if that one calls the hook.  What to do where the first handler
 * belongs to others and does not is layer 3's affair, and told in hook.c.
 *
 * The functions below only read ss_bounds, which is constant, and the context,
 * which is the caller's: they can be interrupted anywhere, by anything.
 */
#include <errno.h>
#include <stddef.h>

#include <safe_syscall.h>
#include "window.h"

static uintptr_t entry(void)
{
	return (uintptr_t)&ss_bounds.entry + (uintptr_t)(intptr_t)ss_bounds.entry;
}

enum safe_syscall_phase safe_syscall_classify(const void *ucontext)
{
	const ucontext_t *uc = ucontext;
	uintptr_t call = entry() + ss_bounds.call;
	uintptr_t commit = entry() + ss_bounds.commit;
	uintptr_t offset;

	if (!uc)
		return SAFE_SYSCALL_OUTSIDE;
	/* below the entry it wraps round and is beyond the end as well */
	offset = ss_arch_pc(uc) - entry();
	if (offset < ss_bounds.call)
		return SAFE_SYSCALL_BEFORE;
	if (offset == ss_bounds.call && !ss_arch_entered(uc, commit))
		return SAFE_SYSCALL_BEFORE;
	if (ss_arch_restart_block(uc, call, commit))
		return SAFE_SYSCALL_RESTART_BLOCK;
	if (offset < ss_bounds.commit)
		return SAFE_SYSCALL_AT_CALL;
	if (offset < ss_bounds.abort)
		return SAFE_SYSCALL_DONE;
	return SAFE_SYSCALL_OUTSIDE;
}

enum safe_syscall_phase safe_syscall_rewind(void *ucontext)
{
	enum safe_syscall_phase phase = safe_syscall_classify(ucontext);
	uintptr_t start = entry() + ss_bounds.start;

	switch (phase) {
	case SAFE_SYSCALL_BEFORE:
		/* before start the registers are not set up: go on from here */
		if (ss_arch_pc(ucontext) < start)
			break;
		/* fall through */
	case SAFE_SYSCALL_AT_CALL:
		ss_arch_set_pc(ucontext, start);
		break;
	case SAFE_SYSCALL_RESTART_BLOCK:
		ss_arch_set_error(ucontext, EINTR);
		ss_arch_set_pc(ucontext, entry() + ss_bounds.commit);
		break;
	case SAFE_SYSCALL_OUTSIDE:
	case SAFE_SYSCALL_DONE:
		break;
	}
	return phase;
}

int safe_syscall_result(const void *ucontext, long *result)
{
	if (!result || safe_syscall_classify(ucontext) != SAFE_SYSCALL_DONE) {
		errno = EINVAL;
		return -1;
	}
	*result = ss_arch_value(ucontext);
	if (ss_arch_pc(ucontext) < entry() + ss_bounds.final &&
	    ss_arch_failed(ucontext))
		*result = -*result;
	return 0;
}

int safe_syscall_region(const void **start, size_t *length)
{
	if (!start || !length) {
		errno = EINVAL;
		return -1;
	}
	*start = (const void *)entry();
	*length = ss_bounds.end;
	return 0;
}
