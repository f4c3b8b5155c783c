/* SPDX-License-Identifier: MIT */
/*
 * signal.c - signals of the host become signals of the guest.
 *
 * The host's kernel does most of it.  Where the guest has the default action or
 * ignores a signal, so does the host: stopping, continuing, dying, SIGCHLD all
 * come from there.  Where the guest has a handler, the host has host_signal(),
 * with the guest's SA_RESTART and the like.  The mask of the host's thread is the
 * guest's, translated, so pending signals wait in the kernel too.
 *
 * host_signal() can't run the guest's handler: it may have interrupted anything.
 * It notes the signal, sets the flag, and calls safe_syscall_rewind().  Then
 * either the interpreter sees the flag at the next branch, or the stub of
 * safe_syscall_raw() does, and the system call that was about to block, or was
 * blocked and would be restarted, comes back with -SAFE_ERESTARTSYS.  It also
 * blocks all signals, in the context it interrupted, until signal_deliver() has
 * put this one on the guest's stack.  So one place to note a signal is enough.
 *
 * SIGSEGV and SIGBUS are never blocked on the host, as a bad access of the guest
 * is one.  Those that somebody sent are held back here if the guest blocks them.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "emulator.h"

/* sigaction, sigprocmask, sigaltstack */
#define GUEST_SA_NOCLDSTOP	0x00000001u
#define GUEST_SA_SIGINFO	0x00000008u
#define GUEST_SA_NOCLDWAIT	0x00010000u
#define GUEST_SA_ONSTACK	0x08000000u
#define GUEST_SA_RESTART	0x10000000u
#define GUEST_SA_NODEFER	0x40000000u
#define GUEST_SA_RESETHAND	0x80000000u

enum { GUEST_SIG_BLOCK = 1, GUEST_SIG_UNBLOCK, GUEST_SIG_SETMASK };
enum { GUEST_SIG_DFL, GUEST_SIG_IGN };
enum { GUEST_SS_ONSTACK = 1, GUEST_SS_DISABLE };

struct action {
	uint32_t handler, flags;
	guest_sigset mask;
};

__thread struct thread *self;

static struct action actions[GUEST_NSIG + 1];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- numbers and sets ---------------------------------------------------- */

/*
 * The C library keeps the first few real-time signals for itself, the guest's as
 * well as the host's.  So the guest's lie above the host's own, in the same order,
 * which is that of delivery.  The last ones have no place, and can't be sent.
 */
int signal_to_host(int guest)
{
	if (guest >= GUEST_SIGRTMIN && guest - GUEST_SIGRTMIN <= SIGRTMAX - SIGRTMIN)
		return guest - GUEST_SIGRTMIN + SIGRTMIN;
	return (int)to_host(signals, (uint32_t)guest, 0);
}

int signal_to_guest(int host)
{
	if (host >= SIGRTMIN && host <= SIGRTMAX)
		return host - SIGRTMIN + GUEST_SIGRTMIN;
	return (int)to_guest(signals, (uint32_t)host, 0);
}

const char *signal_name(int guest)
{
	static __thread char name[16];
	const char *known = name_of(signals, (uint32_t)guest);

	if (known)
		return known;
	snprintf(name, sizeof name, guest < GUEST_SIGRTMIN ? "%d" : "SIGRT_%d",
		 guest < GUEST_SIGRTMIN ? guest : guest - GUEST_SIGRTMIN);
	return name;
}

static guest_sigset bit(int sig)
{
	return (guest_sigset)1 << (sig - 1);
}

static bool has(guest_sigset set, int sig)
{
	return set & bit(sig);
}

/* Words, the first of which has the first signals, whatever the byte order. */
static guest_sigset sigset_get(uint32_t address)
{
	return (guest_sigset)get32(address) | (guest_sigset)get32(address + 4) << 32 |
		(guest_sigset)get32(address + 8) << 64 |
		(guest_sigset)get32(address + 12) << 96;
}

static void sigset_put(uint32_t address, guest_sigset set)
{
	for (uint32_t i = 0; i < 4; i++, set >>= 32)
		put32(address + 4 * i, (uint32_t)set);
}

static void sigset_to_host(guest_sigset from, sigset_t *to)
{
	sigemptyset(to);
	for (int sig = 1; sig <= GUEST_NSIG; sig++)
		if (has(from, sig) && signal_to_host(sig))
			sigaddset(to, signal_to_host(sig));
}

static guest_sigset sigset_to_guest(const sigset_t *from)
{
	guest_sigset to = 0;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sigismember(from, sig) == 1 && signal_to_guest(sig))
			to |= bit(signal_to_guest(sig));
	return to;
}

/* These can be neither blocked nor handled. */
static guest_sigset without_kill(guest_sigset set)
{
	return set & ~(bit(GUEST_SIGKILL) | bit(GUEST_SIGSTOP));
}

/* A bad access to guest memory raises one of these at any time. */
static void never_block_faults(sigset_t *set)
{
	sigdelset(set, SIGSEGV);
	sigdelset(set, SIGBUS);
}

/* The signals in a status of wait() are the host's. */
int wait_status_to_guest(int status)
{
	if (WIFSTOPPED(status))
		return 0x7f | signal_to_guest(WSTOPSIG(status)) << 8;
	if (WIFSIGNALED(status))
		return (status & 0x80) | signal_to_guest(WTERMSIG(status));
	return status;
}

/* ---- the host's handler -------------------------------------------------- */

/*
 * An access to guest memory: by an instruction of the guest or on its behalf.
 * Jump to thread_loop(), which knows, with the mask of before.
 */
static void memory_fault(int sig, const siginfo_t *info, const ucontext_t *uc)
{
	uintptr_t offset = (uintptr_t)info->si_addr - (uintptr_t)memory;

	if (!self || self->activity == IN_EMULATOR || offset >= (1ULL << 32) + MEMORY_GUARD) {
		signal(sig, SIG_DFL);	/* our own fault: let it happen again */
		return;
	}
	self->fault = *info;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &uc->uc_sigmask, NULL, KERNEL_SET);
	siglongjmp(self->back, FAULT);
}

static void host_signal(int sig, siginfo_t *info, void *ucontext)
{
	struct thread *t = self;
	ucontext_t *uc = ucontext;
	sigset_t all;

	if (sig == SIGSEGV || sig == SIGBUS) {
		if (info->si_code > 0) {
			memory_fault(sig, info, uc);
			return;
		}
		/* never more than one of a kind: these are not queued */
		if (t->pending || has(t->blocked, signal_to_guest(sig))) {
			t->held[sig == SIGBUS] = *info;
			return;
		}
	}
	t->info = *info;
	t->pending = 1;
	sigfillset(&all);
	never_block_faults(&all);
	/* the kernel's frame holds so many bytes and not a whole sigset_t */
	memcpy(&uc->uc_sigmask, &all, KERNEL_SET);
	safe_syscall_rewind(ucontext);
}

/*
 * The host's mask as the guest has it, unless a signal has been noted: then all
 * are blocked, and must be until it has been delivered.  To look and then to set
 * the mask would leave a gap in which one comes, and its successor would
 * overwrite it.  That is the question that the stub was made for.
 */
void signal_set_mask(struct thread *t)
{
	sigset_t set;

	sigset_to_host(t->blocked, &set);
	never_block_faults(&set);
	host_call(t, SYS_rt_sigprocmask, (long)SIG_SETMASK, &set, 0L, KERNEL_SET);
	for (int i = 0; i < 2; i++) {
		siginfo_t info = t->held[i];

		if (!info.si_signo || has(t->blocked, signal_to_guest(info.si_signo)))
			continue;
		t->held[i].si_signo = 0;
		syscall(SYS_rt_tgsigqueueinfo, getpid(), t->tid, info.si_signo, &info);
	}
}

/* ---- actions ------------------------------------------------------------- */

static bool is_kept_by_us(int host)
{
	return host == SIGSEGV || host == SIGBUS;
}

static void set_host_action(int sig, const struct action *action)
{
	int host = signal_to_host(sig);
	struct sigaction sa = { .sa_flags = SA_SIGINFO };

	if (!host)
		return;
	sa.sa_sigaction = host_signal;
	sigfillset(&sa.sa_mask);	/* one at a time */
	if (is_kept_by_us(host))
		;
	else if (action->handler == GUEST_SIG_DFL)
		sa = (struct sigaction){ .sa_handler = SIG_DFL };
	else if (action->handler == GUEST_SIG_IGN)
		sa = (struct sigaction){ .sa_handler = SIG_IGN };
	else if (action->flags & GUEST_SA_RESETHAND)
		sa.sa_flags |= SA_RESETHAND;
#ifndef RACY
	/* interrupted calls fail or go on as the guest's handler wants it */
	if (action->flags & GUEST_SA_RESTART)
		sa.sa_flags |= SA_RESTART;
#endif
	if (action->flags & GUEST_SA_NOCLDSTOP)
		sa.sa_flags |= SA_NOCLDSTOP;
	if (action->flags & GUEST_SA_NOCLDWAIT)
		sa.sa_flags |= SA_NOCLDWAIT;
	sigaction(host, &sa, NULL);
}

/* The dispositions and the mask that an exec has left. */
void signal_start(struct thread *t)
{
	struct sigaction sa;
	sigset_t set;

	for (int sig = 1; sig <= GUEST_NSIG; sig++) {
		int number = signal_to_host(sig);

		if (!number || sigaction(number, NULL, &sa))
			continue;
		if (!(sa.sa_flags & SA_SIGINFO) && sa.sa_handler == SIG_IGN)
			actions[sig].handler = GUEST_SIG_IGN;
		if (is_kept_by_us(number))
			set_host_action(sig, &actions[sig]);
	}
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	t->blocked = sigset_to_guest(&set);
	signal_set_mask(t);
}

/* In the child of a fork.  Who held the lock is not in this process. */
void signal_forked(struct thread *t)
{
	pthread_mutex_init(&lock, NULL);
	t->pending = 0;			/* what was noted is the parent's */
	t->held[0].si_signo = t->held[1].si_signo = 0;
}

GUEST_CALL(rt_sigaction)
{
	struct action new = { 0 }, old;
	int sig = (int)a[0];

	if (sig < 1 || sig > GUEST_NSIG || a[3] != sizeof(guest_sigset))
		return -EINVAL;
	if (a[1]) {
		if (!without_kill(bit(sig)))
			return -EINVAL;
		new.flags = get32(a[1]);
		new.handler = get32(a[1] + 4);
		new.mask = without_kill(sigset_get(a[1] + 8));
	}
	pthread_mutex_lock(&lock);
	old = actions[sig];
	if (a[1]) {
		actions[sig] = new;
		set_host_action(sig, &new);
	}
	pthread_mutex_unlock(&lock);
	if (a[2]) {
		put32(a[2], old.flags);
		put32(a[2] + 4, old.handler);
		sigset_put(a[2] + 8, old.mask);
	}
	return 0;
}

/* ---- siginfo ------------------------------------------------------------- */

enum { SIGINFO_SIZE = 128 };

/* Those that the kernel has numbered otherwise. */
static const struct number codes[] = {
	{ (uint32_t)SI_TIMER, (uint32_t)-3, "SI_TIMER" },
	{ (uint32_t)SI_MESGQ, (uint32_t)-4, "SI_MESGQ" },
	{ (uint32_t)SI_ASYNCIO, (uint32_t)-2, "SI_ASYNCIO" },
	{ 0, 0, NULL }
};

static uint32_t code_to_guest(int code)
{
	return to_guest(codes, (uint32_t)code, (uint32_t)code);
}

/* Values are passed as an int: a pointer of the guest has no more bits. */
void siginfo_put(uint32_t at, const siginfo_t *info)
{
	int sig = info->si_signo, code = info->si_code;
	uint32_t word[SIGINFO_SIZE / 4] = {
		(uint32_t)signal_to_guest(sig), code_to_guest(code), (uint32_t)info->si_errno,
		/* timer and overrun are where these two are */
		(uint32_t)info->si_pid, info->si_uid, (uint32_t)info->si_value.sival_int
	};

	if (code > 0 && sig == SIGCHLD) {
		word[5] = (uint32_t)info->si_status;
		if (code != CLD_EXITED)
			word[5] = (uint32_t)signal_to_guest(info->si_status);
		word[6] = (uint32_t)info->si_utime;
		word[7] = (uint32_t)info->si_stime;
	} else if (code > 0) {		/* a fault; the address is the guest's */
		word[3] = (uint32_t)(uintptr_t)info->si_addr;
		word[4] = word[5] = 0;
	}
	for (uint32_t i = 0; i < COUNT(word); i++)
		put32(at + 4 * i, word[i]);
}

/* ---- frames -------------------------------------------------------------- */

/*
 * What the kernel puts on the stack, by offsets.  Both frames begin with room for
 * the handler's arguments and, once, for the trampoline, which is on a page of
 * its own here as it is in the kernel's vDSO.
 */
enum {
	SC_PC = 8, SC_REGS = 16, SC_FPREGS = 272, SC_FCSR = 532, SC_USED_MATH = 540,
	SC_HI = 552, SC_LO = 560, SC_SIZE = 592,

	SF_CONTEXT = 24, SF_MASK = SF_CONTEXT + SC_SIZE, SF_SIZE = SF_MASK + 16,

	RS_INFO = 24, RS_UC = RS_INFO + SIGINFO_SIZE, UC_STACK = 8, UC_CONTEXT = 24,
	UC_MASK = UC_CONTEXT + SC_SIZE, RS_SIZE = RS_UC + UC_MASK + 16
};

static bool on_stack(const struct thread *t, uint32_t sp)
{
	const struct stack *s = &t->stack;

	return s->size && sp - s->address <= s->size && sp != s->address;
}

/* The size of none is 0. */
static void get_stack(uint32_t at, struct stack *to)
{
	*to = (struct stack){ get32(at), get32(at + 4), get32(at + 8) };
	if (to->flags & GUEST_SS_DISABLE)
		to->address = to->size = 0;
}

static void put_stack(uint32_t at, const struct stack *from)
{
	put32(at, from->address);
	put32(at + 4, from->size);
	put32(at + 8, from->flags);
}

/* As the program sees it now. */
static struct stack stack_of(const struct thread *t)
{
	struct stack s = { t->stack.address, t->stack.size, GUEST_SS_DISABLE };

	if (s.size)
		s.flags = on_stack(t, t->cpu.r[SP]) ? GUEST_SS_ONSTACK : 0;
	return s;
}

static void put_context(struct thread *t, uint32_t at)
{
	struct cpu *cpu = &t->cpu;

	for (uint32_t i = 0; i < SC_SIZE; i += 4)
		put32(at + i, 0);
	put64(at + SC_PC, cpu->pc);
	for (uint32_t i = 1; i < 32; i++)
		put64(at + SC_REGS + 8 * i, cpu->r[i]);
	for (uint32_t i = 0; i < 32; i += 2)
		put64(at + SC_FPREGS + 8 * i, (uint64_t)cpu->f[i + 1] << 32 | cpu->f[i]);
	put32(at + SC_FCSR, fpu_status(cpu));
	put32(at + SC_USED_MATH, 1);
	put64(at + SC_HI, cpu->hi);
	put64(at + SC_LO, cpu->lo);
}

static void get_context(struct thread *t, uint32_t at)
{
	struct cpu *cpu = &t->cpu;

	for (uint32_t i = 1; i < 32; i++)
		cpu->r[i] = (uint32_t)get64(at + SC_REGS + 8 * i);
	for (uint32_t i = 0; i < 32; i += 2) {
		uint64_t v = get64(at + SC_FPREGS + 8 * i);

		cpu->f[i] = (uint32_t)v;
		cpu->f[i + 1] = (uint32_t)(v >> 32);
	}
	cpu->fcsr = get32(at + SC_FCSR);
	cpu->hi = (uint32_t)get64(at + SC_HI);
	cpu->lo = (uint32_t)get64(at + SC_LO);
	cpu->pc = (uint32_t)get64(at + SC_PC);
	cpu->next = cpu->pc + 4;
	fpu_restore(cpu);
}

static uint32_t frame_at(const struct thread *t, const struct action *action,
			 uint32_t size)
{
	uint32_t sp = t->cpu.r[SP];

	if (on_stack(t, sp) && !on_stack(t, sp - size))
		return 0;		/* it would run over: a fault */
	sp -= 32;			/* the kernel leaves this much as well */
	if (action->flags & GUEST_SA_ONSTACK && t->stack.size && !on_stack(t, sp))
		sp = t->stack.address + t->stack.size;
	return (sp - size) & ~7u;
}

static void enter_handler(struct thread *t, const struct action *action, int sig,
			  const siginfo_t *info, guest_sigset mask)
{
	bool is_rt = action->flags & GUEST_SA_SIGINFO;
	uint32_t frame = frame_at(t, action, is_rt ? RS_SIZE : SF_SIZE);
	struct stack stack = stack_of(t);
	struct cpu *cpu = &t->cpu;

	if (is_rt) {
		siginfo_put(frame + RS_INFO, info);
		put64(frame + RS_UC, 0);
		put_stack(frame + RS_UC + UC_STACK, &stack);
		put_context(t, frame + RS_UC + UC_CONTEXT);
		sigset_put(frame + RS_UC + UC_MASK, mask);
		cpu->r[A1] = frame + RS_INFO;
		cpu->r[A2] = frame + RS_UC;
	} else {
		put_context(t, frame + SF_CONTEXT);
		sigset_put(frame + SF_MASK, mask);
		cpu->r[A1] = 0;
		cpu->r[A2] = frame + SF_CONTEXT;
	}
	cpu->r[A0] = (uint32_t)sig;
	cpu->r[SP] = frame;
	cpu->r[RA] = TRAMPOLINES + (is_rt ? 8 : 0);
	cpu->r[T9] = cpu->pc = action->handler;
	cpu->next = cpu->pc + 4;
	cpu->linked = 1;		/* sc fails */
}

static void set_blocked(struct thread *t, guest_sigset set)
{
	t->blocked = without_kill(set);
	signal_set_mask(t);
}

static void leave_handler(struct thread *t, uint32_t context, uint32_t mask)
{
	guest_sigset set;

	t->activity = IN_SIGNAL;	/* a bad frame is a SIGSEGV, not EFAULT */
	set = sigset_get(mask);
	get_context(t, context);
	set_blocked(t, set);
	t->done = true;
}

GUEST_CALL(sigreturn)
{
	uint32_t frame = t->cpu.r[SP];

	leave_handler(t, frame + SF_CONTEXT, frame + SF_MASK);
	return 0;
}

GUEST_CALL(rt_sigreturn)
{
	uint32_t uc = t->cpu.r[SP] + RS_UC;

	leave_handler(t, uc + UC_CONTEXT, uc + UC_MASK);
	if (!on_stack(t, t->cpu.r[SP]))
		get_stack(uc + UC_STACK, &t->stack);
	return 0;
}

/* ---- delivery ------------------------------------------------------------ */

/*
 * The guest dies by it, and so does the emulator: whoever waits for it sees the
 * signal, and the kernel knows whether there is a core to dump.
 */
_Noreturn void signal_die(int sig)
{
	int number = signal_to_host(sig);
	sigset_t set;

	if (tracing)
		trace("+++ killed by %s +++\n", signal_name(sig));
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), number);
	_exit(128 + sig);
}

/*
 * A branch and its delay slot are one to a program: it goes on at the branch,
 * which has changed nothing that it needs again.
 */
static void leave_delay_slot(struct cpu *cpu)
{
	if (cpu->next != cpu->pc + 4)
		cpu->pc -= 4;
	cpu->next = cpu->pc + 4;
}

/*
 * A call that came back with SAFE_ERESTARTSYS: the program counter is on it, so
 * it is made once more unless a handler without SA_RESTART, or the nature of
 * the call, makes it fail here.
 */
static void settle_call(struct thread *t, const struct action *action)
{
	if (t->restart == RESTART_NOHAND ||
	    (t->restart == RESTART_SYS && !(action->flags & GUEST_SA_RESTART)))
		syscall_finish(t, -EINTR);
	t->restart = RESTART_NONE;
}

static struct action take_action(int sig)
{
	struct action action;

	pthread_mutex_lock(&lock);
	action = actions[sig];
	if (action.flags & GUEST_SA_RESETHAND && action.handler > GUEST_SIG_IGN) {
		actions[sig].handler = GUEST_SIG_DFL;
		/* the host did so itself when it called our handler */
	}
	pthread_mutex_unlock(&lock);
	return action;
}

static void deliver(struct thread *t, const struct action *action, int sig,
		    const siginfo_t *info)
{
	guest_sigset saved = t->blocked;

	if (tracing)
		trace("--- %s {si_signo=%s, si_code=%d} ---\n", signal_name(sig),
		      signal_name(sig), (int)code_to_guest(info->si_code));
	settle_call(t, action);
	leave_delay_slot(&t->cpu);
	if (t->is_waiting)
		t->blocked = t->waiting;
	t->is_waiting = false;
	t->blocked |= action->mask;
	if (!(action->flags & GUEST_SA_NODEFER))
		t->blocked |= bit(sig);
	enter_handler(t, action, sig, info, saved);
}

/* The flag is set: all signals are blocked until signal_set_mask(). */
void signal_deliver(struct thread *t)
{
	while (t->pending) {
		siginfo_t info = t->info;
		int sig = signal_to_guest(info.si_signo);
		struct action action = take_action(sig);

		t->activity = IN_SIGNAL;
		t->pending = 0;
		if (action.handler > GUEST_SIG_IGN)
			deliver(t, &action, sig, &info);
		else if (action.handler == GUEST_SIG_DFL && is_kept_by_us(info.si_signo))
			signal_die(sig);
		signal_set_mask(t);
		/* another thread has just put back the default: have that */
		if (action.handler == GUEST_SIG_DFL)
			syscall(SYS_rt_tgsigqueueinfo, getpid(), t->tid,
				info.si_signo, &info);
	}
	t->is_waiting = false;
}

/*
 * A fault of the guest's own.  If it can't take the signal now it dies.  One
 * that the host has sent meanwhile waits for its turn: the flag stays set.
 */
void signal_force(struct thread *t, int sig, int code, uint32_t address)
{
	struct action action = take_action(sig);
	siginfo_t info;

	t->activity = IN_SIGNAL;
	memset(&info, 0, sizeof info);
	info.si_signo = signal_to_host(sig);
	info.si_code = code;
	info.si_addr = (void *)(uintptr_t)address;
	if (has(t->blocked, sig) || action.handler <= GUEST_SIG_IGN) {
		if (tracing)
			trace("--- %s {si_signo=%s, si_code=%d, si_addr=%#x} ---\n",
			      signal_name(sig), signal_name(sig), code, address);
		signal_die(sig);
	}
	deliver(t, &action, sig, &info);
	if (action.flags & GUEST_SA_RESETHAND)
		set_host_action(sig, &(struct action){ .handler = GUEST_SIG_DFL });
	signal_set_mask(t);
}

/* ---- system calls -------------------------------------------------------- */

GUEST_CALL(rt_sigprocmask)
{
	guest_sigset old = t->blocked, set = a[1] ? sigset_get(a[1]) : 0;

	if (a[3] != sizeof(guest_sigset))
		return -EINVAL;
	if (a[0] == GUEST_SIG_BLOCK || !a[1])
		set |= old;
	else if (a[0] == GUEST_SIG_UNBLOCK)
		set = old & ~set;
	else if (a[0] != GUEST_SIG_SETMASK)
		return -EINVAL;
	if (a[2])
		sigset_put(a[2], old);
	if (a[1])
		set_blocked(t, set);
	return 0;
}

GUEST_CALL(rt_sigpending)
{
	guest_sigset set;
	sigset_t pending;

	sigpending(&pending);
	set = sigset_to_guest(&pending);
	for (int i = 0; i < 2; i++)
		if (t->held[i].si_signo)
			set |= bit(signal_to_guest(t->held[i].si_signo));
	sigset_put(a[0], set);
	return 0;
}

/*
 * A mask for the time of a call.  The host's kernel sets it and waits in one; if
 * the call is interrupted, the guest's handler runs with it, and what was
 * blocked before comes back with its sigreturn.
 */
const sigset_t *signal_wait_with(struct thread *t, uint32_t address, sigset_t *set)
{
	if (!address)
		return NULL;
	t->waiting = without_kill(sigset_get(address));
	t->is_waiting = true;
	sigset_to_host(t->waiting, set);
	never_block_faults(set);
	return set;
}

GUEST_CALL(rt_sigsuspend)
{
	sigset_t set;

	if (a[1] != sizeof(guest_sigset))
		return -EINVAL;
	return host_call(t, SYS_rt_sigsuspend, signal_wait_with(t, a[0], &set), KERNEL_SET);
}

GUEST_CALL(rt_sigtimedwait)
{
	struct timespec room, *limit = struct_get(t, 't', a[2], &room);
	siginfo_t info;
	sigset_t set;
	long result;

	if (a[3] != sizeof(guest_sigset))
		return -EINVAL;
	sigset_to_host(sigset_get(a[0]), &set);
	result = host_call(t, SYS_rt_sigtimedwait, &set, &info, limit, KERNEL_SET);
	if (result <= 0)
		return result;
	if (a[1])
		siginfo_put(a[1], &info);
	return signal_to_guest((int)result);
}

GUEST_CALL(sigaltstack)
{
	struct stack old = stack_of(t), new = t->stack;

	if (a[0]) {
		get_stack(a[0], &new);
		if (old.flags & GUEST_SS_ONSTACK)
			return -EPERM;
		if (new.flags > GUEST_SS_DISABLE)
			return -EINVAL;
		if (!(new.flags & GUEST_SS_DISABLE) && new.size < 2048)
			return -ENOMEM;
	}
	if (a[1])
		put_stack(a[1], &old);
	t->stack = new;
	return 0;
}

/* What a program says of a signal that it sends, which may be none, to ask whether it could. */
static long get_queued(uint32_t sig, uint32_t at, siginfo_t *info)
{
	int code = (int)get32(at + 4);

	memset(info, 0, sizeof *info);
	info->si_signo = signal_to_host((int)sig);
	info->si_code = (int)to_host(codes, (uint32_t)code, (uint32_t)code);
	info->si_pid = (int)get32(at + 12);
	info->si_uid = get32(at + 16);
	info->si_value.sival_int = (int)get32(at + 20);
	if (sig && !info->si_signo)
		return -EINVAL;
	/* to itself a process may send what the kernel sends, but a fault is ours */
	return code > 0 ? -EPERM : info->si_signo;
}

GUEST_CALL(rt_sigqueueinfo)
{
	siginfo_t info;
	long sig = get_queued(a[1], a[2], &info);

	return sig < 0 ? sig : direct(syscall(SYS_rt_sigqueueinfo, (int)a[0], sig, &info));
}

GUEST_CALL(rt_tgsigqueueinfo)
{
	siginfo_t info;
	long sig = get_queued(a[2], a[3], &info);

	return sig < 0 ? sig : direct(syscall(SYS_rt_tgsigqueueinfo, (int)a[0], (int)a[1],
					      sig, &info));
}

/* A thread, which is a matter of the C library, is told by a socket, with 32 bytes. */
GUEST_CALL(mq_notify)
{
	struct sigevent event = { .sigev_signo = 0 }, *to = struct_get(t, 'E', a[1], &event);

	if (to && to->sigev_notify == SIGEV_THREAD) {
		to->sigev_value.sival_ptr = host(get32(a[1]));
		to->sigev_signo = (int)get32(a[1] + 4);
	}
	return direct(syscall(SYS_mq_notify, (int)a[0], to));
}
