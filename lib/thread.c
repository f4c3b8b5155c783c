/* SPDX-License-Identifier: MIT */
/* thread.c - see thread.h */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "thread.h"

AO_t ss_interrupt_signal;

/*
 * enter() expects ss_free of the current scope in ss_around of the new one.  No scope has -1
 * there, so a thread's first enter goes to enter_slowly().
 */
safe_syscall_scope ss_not_started = { .ss_around = SS_OUTERMOST, .ss_free = (size_t)-1 };

__thread struct ss_thread ss_thread SS_TLS = {
	.own = { .ss_around = SS_OUTERMOST },
	.current = &ss_not_started,
	.call = SS_FIRST,
};

int ss_fail(int error)
{
	errno = error;
	return -1;
}

/* ---- scopes ----------------------------------------------------------------- */

/*
 * Looked at once: the scope may be left meanwhile, and then is in none.  Those around it are
 * there until we have come to them, as who leaves waits for us.
 */
struct ss_thread *ss_thread_of(safe_syscall_scope *scope)
{
	AO_t word = AO_load_acquire(&scope->ss_around);

	if (!word)
		return NULL;
	while (word != SS_OUTERMOST) {
		scope = (safe_syscall_scope *)word;
		word = AO_load_acquire(&scope->ss_around);
	}
	return (struct ss_thread *)scope;
}

/*
 * Between link and current of enter() the new scope is the innermost already.  It is ours
 * if it hangs on our current one, as only this thread can have put it there.
 */
safe_syscall_scope *ss_innermost(void)
{
	safe_syscall_scope *current = ss_thread.current;
	safe_syscall_scope *entering = ss_thread.entering;

	if (entering && ss_around(entering) == current)
		return entering;
	return current == &ss_not_started ? &ss_thread.own : current;
}

int ss_is_ours(const safe_syscall_scope *scope)
{
	const safe_syscall_scope *s;

	for (s = ss_innermost(); s && s != scope; s = ss_around(s))
		;
	return s != NULL;
}

int ss_interrupted_here(void)
{
	const safe_syscall_scope *s;

	for (s = ss_innermost(); s; s = ss_around(s))
		if (AO_load(&s->ss_state) & SS_INTERRUPTED)
			return 1;
	return 0;
}

/*
 * Clear it, then look again: who interrupts a scope marks that first and sets the flag
 * then, so either the mark is seen here or the flag is set after it was cleared.
 * Signals are blocked lest a handler make a call when it is clear and should not be.
 */
int ss_set_flag(void)
{
	int interrupted = ss_interrupted_here();

	if (!interrupted && ss_thread.flag) {
		ss_thread.flag = 0;
		ss_thread.cleared++;
		AO_nop_full();
		interrupted = ss_interrupted_here();
	}
	if (interrupted)
		ss_thread.flag = 1;
	return interrupted;
}

/* ---- memory that may be gone ----------------------------------------------------- */

/*
 * Compared by the kernel: 0, EAGAIN where the word has another value, or EFAULT.
 * Nobody waits there, and so nothing is moved.
 */
static int compare(const volatile int *word, int value)
{
	int error = errno, result = 0;

	if (syscall(SYS_futex, word, FUTEX_CMP_REQUEUE_PRIVATE, 0L, 0L, word, (long)value) < 0)
		result = errno;
	errno = error;
	return result;
}

static int can_be_read(const void *word)
{
	return (uintptr_t)word % sizeof(AO_t) == 0 && compare(word, 0) != EFAULT;
}

enum { DEPTH = 1 << 20 };		/* of scopes */

int ss_leads_to_us(const safe_syscall_scope *scope)
{
	int i;

	for (i = 0; i < DEPTH && scope != &ss_thread.base; i++) {
		if (!can_be_read(&scope->ss_around))
			return 0;
		scope = (safe_syscall_scope *)AO_load(&scope->ss_around);
	}
	return scope == &ss_thread.base;
}

/* ---- calls under way --------------------------------------------------------- */

/*
 * The stack may be gone, or may be protected for a while, and then it is not known to be
 * over.
 */
static int mark_is_gone(const struct ss_call *call)
{
	return compare(&call->mark, SS_MARK) == EAGAIN;
}

int ss_call_is_over(uintptr_t tagged, const struct ss_call *new_call)
{
	uintptr_t old = tagged & ~SS_TAGS;
	uintptr_t new = (uintptr_t)new_call;

	return old && ((old < new + sizeof *new_call && new < old + sizeof *new_call) ||
		       mark_is_gone((const struct ss_call *)old));
}

/*
 * The call that is in the stub there is the last one when it has the stack pointer of
 * that, but for what the call instruction and the stub add and take: the stub of another
 * one, on whatever stack, is further away by what its own caller needs.  It looks at the
 * flag again.  If it is another one, of a handler that calls safe_syscall_raw(), the
 * last one lies beneath it.
 *
 * The record is looked at only where it is just above the stack pointer: elsewhere its
 * stack may be gone.
 */
static int is_last(const ucontext_t *uc, const struct ss_call *call)
{
	uintptr_t sp = ss_arch_sp(uc);

	return (uintptr_t)call - sp < 4096 && sp - (call->sp - SS_ARCH_DEPTH) <= SS_ARCH_DEPTH + 32;
}

uintptr_t ss_calls_beneath(const ucontext_t *uc, enum safe_syscall_phase phase)
{
	uintptr_t calls = ss_thread.call & ~SS_FIRST;

	if (phase != SAFE_SYSCALL_OUTSIDE &&
	    is_last(uc, (const struct ss_call *)(calls & ~SS_TAGS)))
		return calls & SS_BENEATH;
	return calls;
}

/* ---- signals ------------------------------------------------------------------- */

static const int synchronous[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
enum { SYNCHRONOUS = sizeof synchronous / sizeof *synchronous };

int ss_is_synchronous(int signum)
{
	int i;

	for (i = 0; i < SYNCHRONOUS && synchronous[i] != signum; i++)
		;
	return i < SYNCHRONOUS;
}

void ss_signals_all(sigset_t *set)
{
	int i;

	memset(set, -1, sizeof *set);
	for (i = 0; i < SYNCHRONOUS; i++)
		sigdelset(set, synchronous[i]);
}

/* The C library's function would leave out those that it has for itself. */
void ss_signals_block(sigset_t *old)
{
	sigset_t all;

	ss_signals_all(&all);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, old, _NSIG / 8);
}

void ss_signals_restore(const sigset_t *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, _NSIG / 8);
}

int ss_signal_unblock(void)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, ss_signal());
	sigemptyset(&old);
	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, &old, _NSIG / 8);
	return sigismember(&old, ss_signal());
}

/* ---- a thread begins ------------------------------------------------------------ */

static pthread_key_t key;
static AO_t key_is_made, is_pinned;

/* Called once at a time; again when it has failed. */
int ss_thread_make_key(void (*thread_ends)(void *))
{
	if (!AO_load(&key_is_made) && !pthread_key_create(&key, thread_ends))
		AO_store_release(&key_is_made, 1);
	return AO_load(&key_is_made) ? 0 : -1;
}

/* Our own object's header, where the linker puts one in front. */
extern const char header[] __asm__("__ehdr_start") __attribute__((weak, visibility("hidden")));

static int is_in_program(void)
{
	return !header || getauxval(AT_PHDR) - (uintptr_t)header < 4096;
}

/*
 * A plugin is opened, looked at, and closed.  No thread has the key if it is not pinned.  A
 * program's own copy is in use to its last instruction, by destructors and other threads.
 */
__attribute__((destructor)) static void closed_unused(void)
{
	if (AO_load(&is_pinned) || is_in_program())
		return;
	if (AO_load(&key_is_made))
		pthread_key_delete(key);
	AO_store(&key_is_made, 0);	/* at the end of a program others may still come */
	ss_process_end();
}

int ss_thread_set_key(void)
{
	if (ss_thread.has_key)
		return 0;
	ss_pin();
	if (!AO_load_acquire(&key_is_made) || pthread_setspecific(key, &ss_thread))
		return ss_fail(EAGAIN);
	ss_thread.has_key = 1;
	return 0;
}

/*
 * A handler of this thread that comes between any two lines here does the same.  A child of
 * vfork has an id that is not the thread's: so there the thread is not known yet.
 *
 * If the signal was blocked, this may be a handler, with whose return it is blocked
 * again: so it is unblocked each time, until a scope is entered.
 */
void ss_thread_start(void)
{
	int error = errno;

	if (!AO_load(&ss_thread.tid) && ss_process_is_vforked())
		return;
	if (!AO_load(&ss_thread.tid)) {
		AO_store(&ss_thread.generation, AO_load(&ss_process->generation));
		AO_store_release(&ss_thread.tid, (AO_t)syscall(SYS_gettid));
	}
	if (ss_signal()) {
		if (ss_signal_unblock())
			ss_thread.was_blocked = 1;
		if (!ss_thread.was_blocked)
			ss_thread.call &= ~SS_FIRST;
	}
	errno = error;
}

/*
 * A static copy may be part of a plugin, which is closed while the interrupt signal's
 * handler is installed and threads have their key.  Objects for position independent
 * programs get into plugins too.
 */
#ifdef __PIC__
/* NOLINTBEGIN(readability-redundant-declaration): not every program has them */
extern __typeof__(dladdr) dladdr __attribute__((weak));
extern __typeof__(dlsym) dlsym __attribute__((weak));
/* NOLINTEND(readability-redundant-declaration) */

/* Asked for by its name: a static program that names dlopen() itself makes linkers warn. */
static void pin(void)
{
	void *(*open_object)(const char *, int) = NULL;
	Dl_info info;

	if (is_in_program() || !dlsym || !dladdr)
		return;
	*(void **)&open_object = dlsym(RTLD_DEFAULT, "dlopen");
	if (open_object && dladdr(&key, &info) && info.dli_fname)
		open_object(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}
#else
static void pin(void)
{
}
#endif

void ss_pin(void)
{
	if (!AO_load(&is_pinned))
		pin();
	AO_store(&is_pinned, 1);
}
