/* SPDX-License-Identifier: MIT */
/*
 * thread.c - guest threads: what they do all day, how they begin and end.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emulator.h"

enum { STACK = 256 * 1024 };		/* of the host, for the emulator itself */

static int alive = 1;

/* ---- the loop ------------------------------------------------------------ */

/*
 * Compilers have a trap or a break for an integer divided by zero, which carries a
 * 7; assemblers disagree on which half of a break's number it goes into.
 */
static bool is_division(uint32_t insn)
{
	bool is_break = (insn & 0xfc00003f) == 0x0d;

	return is_break ? insn >> 6 == 7 || insn >> 16 == 7 :
		insn >> 26 == 0 && (insn >> 6 & 1023) == 7;
}

static void exception(struct thread *t, enum event event)
{
	static const struct { int sig, code; } causes[] = {
		[EVENT_BREAK] = { GUEST_SIGTRAP, TRAP_BRKPT },
		[EVENT_TRAP] = { GUEST_SIGTRAP, 0 },
		[EVENT_OVERFLOW] = { GUEST_SIGFPE, FPE_INTOVF },
		[EVENT_ILLEGAL] = { GUEST_SIGILL, ILL_ILLOPC },
		[EVENT_ADDRESS] = { GUEST_SIGBUS, BUS_ADRALN }
	};
	uint32_t pc = t->cpu.pc;

	if ((event == EVENT_BREAK || event == EVENT_TRAP) && is_division(get32(pc)))
		signal_force(t, GUEST_SIGFPE, FPE_INTDIV, pc);
	else
		signal_force(t, causes[event].sig, causes[event].code,
			     event == EVENT_ADDRESS ? t->cpu.bad : pc);
}

/*
 * Some hosts tell no more than the page.  Then either the instruction could not
 * be fetched, or it tells the address itself.
 */
static uint32_t exact_address(struct thread *t, uint32_t page)
{
	uint32_t pc = t->cpu.pc, insn, address;

	if (page % page_size)
		return page;
	if (access(host(pc), F_OK) == -1 && errno == EFAULT)
		return pc;
	insn = get32(pc);
	address = t->cpu.r[insn >> 21 & 31];
	address += insn >> 26 == 0x13 ? t->cpu.r[insn >> 16 & 31] : (uint32_t)(int16_t)insn;
	return (address ^ page) & -page_size ? page : address;
}

/* A bad access to guest memory: whose, and so what does the guest see of it? */
static void faulted(struct thread *t)
{
	uint32_t address = (uint32_t)((uintptr_t)t->fault.si_addr - (uintptr_t)memory);
	int code = t->fault.si_code;

	switch (t->activity) {
	case IN_SYSCALL:
		syscall_faulted(t);
		return;
	case IN_SIGNAL:			/* no stack for a handler */
		signal_die(GUEST_SIGSEGV);
	default:
		break;
	}
	cpu_stopped(t);
	address = exact_address(t, address);
	if (t->fault.si_signo == SIGBUS) {
		signal_force(t, GUEST_SIGBUS, code, address);
		return;
	}
	/* to the host, what the guest has not mapped is mapped without access */
	signal_force(t, GUEST_SIGSEGV,
		     memory_is_mapped(address) ? SEGV_ACCERR : SEGV_MAPERR, address);
}

/* Returns when the thread has ended. */
void thread_loop(struct thread *t)
{
	enum event event;

	switch (sigsetjmp(t->back, 0)) {
	case FAULT:
		faulted(t);
		break;
	case END:
		return;
	}
	for (;;) {
		if (t->pending)
			signal_deliver(t);
		t->activity = IN_GUEST;
		event = cpu_run(t);
		if (event == EVENT_SYSCALL) {
			t->activity = IN_SYSCALL;
			syscall_do(t);
		} else if (event != EVENT_PENDING) {
			exception(t, event);
		}
	}
}

/* ---- the end of a thread ------------------------------------------------- */

static void wake(uint32_t address)
{
	syscall(SYS_futex, host(address), FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void release_lock(const struct thread *t, uint32_t at)
{
	uint32_t word = get32(at);

	if ((word & FUTEX_TID_MASK) != (uint32_t)t->tid)
		return;
	put32(at, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
	if (word & FUTEX_WAITERS)
		wake(at);
}

/*
 * Locks that the dying thread holds.  The host's kernel would do this, but it
 * expects pointers of its own size in the list.  The list is the guest's, and
 * may be a loop.  The third word of its head is a lock that the thread was about
 * to take, or to give back.
 */
static void release_locks(const struct thread *t)
{
	uint32_t head = t->robust_list, entry, next, offset, pending;

	if (!head)
		return;
	entry = get32(head) & ~1u;
	offset = get32(head + 4);
	pending = get32(head + 8) & ~1u;
	for (int i = 0; entry != head && i < 2048; i++, entry = next) {
		next = get32(entry) & ~1u;
		if (entry != pending)
			release_lock(t, entry + offset);
	}
	if (pending)
		release_lock(t, pending + offset);
}

/* What others may wait for.  A fault on the way ends it. */
static void forget(struct thread *t)
{
	sigjmp_buf outer;

	memcpy(outer, t->back, sizeof outer);
	if (!sigsetjmp(t->back, 0)) {
		release_locks(t);
		if (t->clear_tid) {
			put32(t->clear_tid, 0);
			wake(t->clear_tid);
		}
	}
	memcpy(t->back, outer, sizeof outer);
}

static void trace_exit(const struct thread *t, uint32_t status)
{
	if (tracing)
		trace("%s = ?\n+++ exited with %d +++\n", t->trace, status & 255);
}

GUEST_CALL(exit)
{
	bool is_first = t->tid == getpid();
	sigset_t all;

	trace_exit(t, a[0]);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	forget(t);
	/*
	 * The last one ends the process with the status of the first one, which
	 * the kernel remembers.  The C library would make it 0.
	 */
	if (__atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST) == 0 || is_first)
		for (;;)
			syscall(SYS_exit, (int)a[0]);
	siglongjmp(t->back, END);
}

GUEST_CALL(exit_group)
{
	trace_exit(t, a[0]);
	forget(t);
	for (;;)
		syscall(SYS_exit_group, (int)a[0]);
}

/* ---- the beginning ------------------------------------------------------- */

/* The arguments of clone(). */
struct clone {
	uint32_t flags, sp, parent_tid, tls, child_tid;
};

struct start {
	struct thread *t;
	const struct clone *c;
	int tid;			/* a futex */
};

/*
 * The new thread has all signals blocked, like any in which a signal is noted,
 * until it can take them.
 */
static void *begin(void *argument)
{
	struct start *start = argument;
	const struct clone *c = start->c;
	struct thread *t = start->t;

	self = t;
	t->tid = (int)syscall(SYS_gettid);
	fpu_restore(&t->cpu);
	if (c->flags & CLONE_PARENT_SETTID)
		put32(c->parent_tid, (uint32_t)t->tid);
	if (c->flags & CLONE_CHILD_SETTID)
		put32(c->child_tid, (uint32_t)t->tid);
	/* the start is our creator's, and gone after this */
	__atomic_store_n(&start->tid, t->tid, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &start->tid, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	signal_set_mask(t);
	thread_loop(t);
	self = NULL;
	munmap(t, sizeof *t);
	return NULL;
}

static int create(struct start *start)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	__atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&memory_lock);
	error = pthread_create(&thread, &attr, begin, start);
	pthread_mutex_unlock(&memory_lock);
	pthread_attr_destroy(&attr);
	if (error)
		__atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
	else
		while (!__atomic_load_n(&start->tid, __ATOMIC_SEQ_CST))
			syscall(SYS_futex, &start->tid, FUTEX_WAIT_PRIVATE, 0, NULL,
				NULL, 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

/* The registers of a child are its parent's, with result 0. */
static void child_registers(struct thread *t, const struct clone *c)
{
	if (c->sp)
		t->cpu.r[SP] = c->sp;
	if (c->flags & CLONE_SETTLS)
		t->cpu.user_local = c->tls;
	syscall_finish(t, 0);
}

/* By mmap: of what it has for instructions a short thread touches but little. */
static long new_thread(struct thread *t, const struct clone *c)
{
	struct thread *child;
	struct start start;
	int error;

	pthread_mutex_lock(&memory_lock);
	child = mmap(NULL, sizeof *child, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pthread_mutex_unlock(&memory_lock);
	if (child == MAP_FAILED)
		return -ENOMEM;
	start = (struct start){ child, c, 0 };
	fpu_status(&t->cpu);
	child->cpu = t->cpu;
	child->blocked = t->blocked;
	child_registers(child, c);
	if (c->flags & CLONE_CHILD_CLEARTID)
		child->clear_tid = c->child_tid;
	/* before the thread is there: a fault has to be ours */
	if (c->flags & CLONE_PARENT_SETTID)
		put32(c->parent_tid, get32(c->parent_tid));
	if (c->flags & CLONE_CHILD_SETTID)
		put32(c->child_tid, get32(c->child_tid));
	error = create(&start);
	if (error)
		munmap(child, sizeof *child);
	return error ? -error : start.tid;
}

/* In the child, whose only thread this is. */
static void forked(struct thread *t, const struct clone *c)
{
	alive = 1;
	t->tid = getpid();
	signal_forked(t);
	t->robust_list = 0;
	t->clear_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
	if (c->flags & CLONE_CHILD_SETTID)
		put32(c->child_tid, (uint32_t)t->tid);
	child_registers(t, c);
	t->done = true;
	signal_set_mask(t);
}

/*
 * vfork: the end of a pipe that the child has is closed when it execs or dies.
 * Not by the stub, as the kernel too lets no handler run before that.
 */
static void wait_for_child(int fd)
{
	char byte;

	while (read(fd, &byte, 1) == -1 && errno == EINTR)
		;
}

/* Out of the way of the guest's own descriptors. */
static void keep_end(const int *ends)
{
	int high = fcntl(ends[1], F_DUPFD_CLOEXEC, 512);

	close(ends[0]);
	if (high >= 0)
		close(ends[1]);
}

static long new_process(struct thread *t, const struct clone *c)
{
	bool is_vfork = c->flags & CLONE_VFORK;
	int ends[2];
	pid_t pid;

	if (is_vfork && pipe2(ends, O_CLOEXEC))
		return -errno;
	pthread_mutex_lock(&memory_lock);
	pid = fork();
	pthread_mutex_unlock(&memory_lock);
	if (pid == 0) {
		if (is_vfork)
			keep_end(ends);
		forked(t, c);
		return 0;
	}
	if (pid == -1)
		pid = -errno;
	if (is_vfork) {
		close(ends[1]);
		wait_for_child(ends[0]);
		close(ends[0]);
	}
	if (pid > 0 && c->flags & CLONE_PARENT_SETTID)
		put32(c->parent_tid, (uint32_t)pid);
	return pid;
}

/*
 * A thread, with all that belongs to one; or a process, with nothing in common.
 * A vfork child gets memory of its own, which no correct program can tell.
 */
GUEST_CALL(clone)
{
	const struct clone c = { call ? (uint32_t)call : a[0], a[1], a[2], a[3], a[4] };
	uint32_t all = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

	if ((c.flags & all) == all)
		return new_thread(t, &c);
	if (c.flags & all && (c.flags & (all | CLONE_VFORK)) != (CLONE_VM | CLONE_VFORK))
		return -EINVAL;
	if ((c.flags & 0xff) != GUEST_SIGCHLD)
		return -EINVAL;
	return new_process(t, &c);
}

GUEST_CALL(set_thread_area)
{
	t->cpu.user_local = a[0];
	return 0;
}

GUEST_CALL(set_tid_address)
{
	t->clear_tid = a[0];
	return t->tid;
}

GUEST_CALL(set_robust_list)
{
	if (a[1] != 12)
		return -EINVAL;
	t->robust_list = a[0];
	return 0;
}

/* The thread's own: those of others only a debugger asks for. */
GUEST_CALL(get_robust_list)
{
	if (a[0] && (int)a[0] != t->tid)
		return -EPERM;
	put32(a[1], t->robust_list);
	put32(a[2], 12);
	return 0;
}
