/* SPDX-License-Identifier: MIT */
/*
 * green.c - tasks, and the threads that run them.  WHY NO TASK IS FORGOTTEN
 *
 * A task that has to wait stands in a line, says that it will wait (PREPARING), looks whether it
 * is served or cancelled, and leaves its stack; what runs next on the thread says that it has
 * (PARKED).  Whoever wants it to go on claims it, by a swap of that state to RUNNING, in which
 * one of all succeeds:
 *
 *	the task		what runs next		who serves or cancels
 *	  state = PREPARING	  PREPARING to PARKED	  done = what came, or flag = 1
 *	  done, or flag set?	  if that fails:	  PREPARING to RUNNING: no more
 *	  leave the stack	    queue the task	  PARKED to RUNNING: queue the task
 *
 * Before the first line what is written is seen by the task; later the state is seen by who
 * writes.  Who claims may be late, and find the task in another wait: so all who wait look
 * what has come to them, and wait again if it is nothing.
 *
 * Ready tasks are in the queue of a thread or, from handlers and calls, on a list for all.  A
 * thread without work searches, and then rests: one in the loop, the others asleep.
 *
 *	who queues			who rests
 *	  queue the task		  say that I rest
 *	  full barrier			  say that I do not search
 *	  does anyone search?		  full barrier
 *	    then leave it to them	  is there a task anywhere?  then search again
 *	  does anyone rest?  wake one	  sleep
 *
 * Who searches while a task is queued has yet to look once more behind its barrier; who rests
 * is seen.  loop_notify() counts for the next step too.  tests/model/green.pml has both.
 */
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "parts.h"

#ifndef sigev_notify_thread_id
# define sigev_notify_thread_id _sigev_un._tid
#endif
#define TICK 5000000			/* ns of processor time: who is met twice is put aside */
#define SOON 200000			/* ns: where it can't be put aside, look again; in a tick */
#define TRIES 16			/* no more often, or slow machines would do nothing else */

enum { ALTERNATE = 64 << 10, THREADS = 1024, REGULARLY = 64, ROUNDS = 32, PATIENCE = 8 };
enum { NOBODY, LOOKS, RESTS };			/* who is in the loop */

/* A thread of the kernel: one of those that run tasks, or a caller, for calls that block. */
struct thread {
	void *sp;			/* of its own stack, while a task runs */
	struct green *current;
	struct fiber *left, fiber;
	struct green *previous;		/* it was left for what runs now; then this is done: */
	enum after after;
	int caller, number;
	unsigned int turns, turns_at_tick;
	struct list pinned;		/* put aside by the tick */
	atomic_flag locked;
	struct list queue;
	pthread_t id;
	sigset_t mask;
	int has_soon, tries;
	timer_t soon;
	struct exceptions *exceptions;	/* or null */
};

/* The C++ library's, of each thread: what is caught now.  The address does not change. */
void *__cxa_get_globals(void) __attribute__((weak));

struct loop *green_loop;
static struct {
	atomic_int over, searching, sleeping, polling;
	atomic_long live, busy;			/* busy: not waiting for others */
	int count, tick;
	sigset_t ticks;
	struct thread *threads;
	sem_t wake;
	_Atomic(struct green *) injected;	/* the last one first */
	unsigned long number;
	struct list calls;			/* guarded by call_lock, with what follows */
	pthread_cond_t called;
	int idle, callers, has_ended;
	pthread_t ended;
	struct range {
		uintptr_t from, to;
	} own[4];
	struct sigaction old_tick, old_fault;
} rt;
static atomic_int runs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, call_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread struct thread *self __attribute__((tls_model("initial-exec")));

/* AddressSanitizer is told of each switch, where the program has it. */
void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size)
	__attribute__((weak));
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size)
	__attribute__((weak));

/* The compiler may not keep what these return: a task goes on on other threads. */
static __attribute__((noinline)) struct thread *this_thread(void)
{
	struct thread *t = self;

	__asm__ volatile ("" : "+r" (t) : : "memory");
	return t;
}

__attribute__((noinline)) int *green_errno(void)
{
	int *e = __errno_location();

	__asm__ volatile ("" : "+r" (e) : : "memory");
	return e;
}

void green_die(const char *format, ...)
{
	char line[4096];
	va_list ap;
	size_t n;

	va_start(ap, format);
	vsnprintf(line, sizeof line - 1, format, ap);
	va_end(ap);
	n = strlen(line);
	line[n] = '\n';
	if (write(2, line, n + 1) < 0)
		abort();
	abort();
}

int green_fail(int error)
{
	errno = error;
	return -1;
}

struct green *green_enter(const char *who)
{
	struct thread *t = this_thread();

	if (!t || !t->current)
		green_die("%s: called outside of a task", who);
	t->current->inside = 1;
	return t->current;
}

void green_leave(struct green *g)
{
	atomic_signal_fence(memory_order_seq_cst);
	g->inside = 0;
}

int green_within(int inside)
{
	struct thread *t = this_thread();
	int was = t && t->current ? t->current->inside : 0;

	if (t && t->current)
		t->current->inside = inside;
	return was;
}

/* ---- queues: a few instructions under a lock ---------------------------------------- */

static int count(struct list *list)
{
	return atomic_load_explicit(&list->count, memory_order_relaxed);
}

void green_append(struct list *list, struct green *g)
{
	g->next = NULL;
	*(list->first ? &list->last->next : &list->first) = g;
	list->last = g;
	atomic_store_explicit(&list->count, count(list) + 1, memory_order_relaxed);
}

struct green *green_first(struct list *list)
{
	struct green *g = list->first;

	if (g) {
		list->first = g->next;
		atomic_store_explicit(&list->count, count(list) - 1, memory_order_relaxed);
	}
	return g;
}

static void lock_queue(struct thread *t)
{
	while (atomic_flag_test_and_set_explicit(&t->locked, memory_order_acquire))
		sched_yield();
}

static void push(struct thread *t, struct green *g)
{
	lock_queue(t);
	green_append(&t->queue, g);
	atomic_flag_clear_explicit(&t->locked, memory_order_release);
}

static struct green *pop(struct thread *t)
{
	struct green *g;

	if (!count(&t->queue))
		return NULL;
	lock_queue(t);
	g = green_first(&t->queue);
	atomic_flag_clear_explicit(&t->locked, memory_order_release);
	return g;
}

/* One less that sleeps, if any does: it searches from now on. */
static int take_sleeper(void)
{
	int n = atomic_load(&rt.sleeping);

	while (n && !atomic_compare_exchange_weak(&rt.sleeping, &n, n - 1))
		;
	if (n)
		atomic_fetch_add(&rt.searching, 1);
	return n;
}

/* Also in handlers. */
static void wake(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&rt.searching))
		return;
	if (take_sleeper())
		sem_post(&rt.wake);
	else if (atomic_load(&rt.polling) == RESTS)
		loop_notify(green_loop);
}

static void inject(struct green *g)
{
	g->next = atomic_load(&rt.injected);
	while (!atomic_compare_exchange_weak(&rt.injected, &g->next, g))
		;
	wake();
}

static void ready(struct green *g)
{
	struct thread *t = this_thread();

	if (t->caller) {
		inject(g);
	} else {
		push(t, g);
		wake();
	}
}

/* What this thread has: of those that were put aside here and the others by turns. */
static struct green *take(struct thread *t)
{
	struct green *g, *next;

	if (atomic_load_explicit(&rt.injected, memory_order_relaxed)) {
		for (g = atomic_exchange(&rt.injected, NULL); g; g = next) {
			next = g->next;
			push(t, g);
		}
	}
	g = !t->pinned.first || t->turns % 2 ? pop(t) : NULL;
	return g ? g : green_first(&t->pinned);
}

/* A task that is alone in a queue of others will run there in a moment, most often. */
static int is_work(struct thread *t, int alone)
{
	int i;

	for (i = 0; i < rt.count; i++)
		if (count(&rt.threads[i].queue) > (rt.threads + i == t ? 0 : alone))
			return 1;
	return atomic_load(&rt.injected) || atomic_load(&rt.over) || t->pinned.first;
}

/* Half of what another thread has. */
static struct green *steal(struct thread *t)
{
	struct green *g, *more;
	struct thread *v;
	int round, i, n;

	for (round = 0; round < ROUNDS && !atomic_load(&rt.over); round++) {
		g = take(t);
		for (i = 0; i < rt.count && !g; i++) {
			v = &rt.threads[(t->number + i) % rt.count];
			n = count(&v->queue);
			if (n > (round % PATIENCE < PATIENCE - 1))
				for (g = pop(v); n > 3 && (more = pop(v)); n -= 2)
					push(t, more);
		}
		if (g || !is_work(t, 0))
			return g;
		sched_yield();
	}
	return NULL;
}

static void look_for_deadlock(void)
{
	char line[3800] = "";
	const struct green *g;
	struct slab *slab;
	size_t n = 0;

	if (atomic_load(&rt.busy) || !atomic_load(&rt.live))
		return;
	pthread_mutex_lock(&lock);
	for (slab = green_slabs; slab; slab = slab->next) {
		for (g = slab->tasks; g < slab->tasks + SLAB; g++) {
			if (atomic_load(&g->state) == FREE)
				continue;
			if (atomic_load(&g->state) != PARKED || !g->object)
				goto none;	/* somebody has cancelled it just now */
			if (n < sizeof line - 100)
				n += (size_t)snprintf(line + n, sizeof line - n,
					"%s task %lu (%p) waits in %s of %p", n ? "," : "",
					g->number, (const void *)g, g->where, g->object);
		}
	}
	if (n)
		green_die("green: deadlock, none of %ld tasks can go on:%s%s",
			  atomic_load(&rt.live), line, n < sizeof line - 100 ? "" : ", and so on");
none:
	pthread_mutex_unlock(&lock);
}

/* Into the loop, if nobody is there. */
static int step(struct thread *t, int who)
{
	int nobody = NOBODY, rests = who == RESTS;

	if (!atomic_compare_exchange_strong(&rt.polling, &nobody, who))
		return 0;
	if (rests)
		atomic_fetch_sub(&rt.searching, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (loop_step(green_loop, rests && !is_work(t, 1) ? -1 : 0) < 0 &&
	    errno != SAFE_ERESTARTSYS)
		green_die("green: loop_step: %s", strerror(errno));
	atomic_store(&rt.polling, NOBODY);
	if (rests)
		atomic_fetch_add(&rt.searching, 1);
	return 1;
}

/* Counted as searching, before and after. */
static void rest(struct thread *t)
{
	look_for_deadlock();
	if (step(t, RESTS))
		return;
	atomic_fetch_add(&rt.sleeping, 1);
	atomic_fetch_sub(&rt.searching, 1);
	atomic_thread_fence(memory_order_seq_cst);
	/* if somebody is about to wake one who sleeps, that may be us */
	if ((is_work(t, 1) || !atomic_load(&rt.polling)) && take_sleeper())
		return;
	while (sem_wait(&rt.wake))
		;
}

/* The next task for this thread; null: all are over. */
static struct green *find(struct thread *t)
{
	int is_time = t->turns % REGULARLY == 0;
	struct green *g;

	if ((t->pinned.first || is_time) && atomic_load(&green_in_loop))
		step(t, LOOKS);
	g = take(t);
	if (!g || is_time)			/* a task may have blocked it */
		pthread_sigmask(SIG_UNBLOCK, &rt.ticks, NULL);
	if (g)
		return g;
	atomic_fetch_add(&rt.searching, 1);
	while (!(g = steal(t)) && !atomic_load(&rt.over))
		rest(t);
	/* others left to us what came meanwhile; and somebody is to be in the loop */
	if (atomic_fetch_sub(&rt.searching, 1) == 1) {
		atomic_thread_fence(memory_order_seq_cst);
		if (is_work(t, 0) || (atomic_load(&rt.sleeping) && !atomic_load(&rt.polling)))
			wake();
	}
	return g;
}

/* ---- from one to the other ------------------------------------------------------------ */

/* Is it to be queued? */
static int claim(struct green *g)
{
	int state = atomic_load(&g->state), was;

	do {
		was = state;
		if (state != PREPARING && state != PARKED)
			return 0;
	} while (!atomic_compare_exchange_weak(&g->state, &state, RUNNING));
	if (was == PARKED && g->object)
		atomic_fetch_add(&rt.busy, 1);
	return was == PARKED;
}

static void park(struct green *g)
{
	int preparing = PREPARING, hopeless = g->object != NULL;

	if (hopeless)
		atomic_fetch_sub(&rt.busy, 1);
	if (atomic_compare_exchange_strong(&g->state, &preparing, PARKED))
		return;
	if (hopeless)
		atomic_fetch_add(&rt.busy, 1);
	ready(g);
}

/* An odd turn is for others. */
static void pin(struct thread *t, struct green *g)
{
	green_append(&t->pinned, g);
	t->turns |= 1;
}

static void hand_to_caller(struct green *g);
static void finish(struct green *g);

/* On the new stack: what is to become of the task that was left. */
static __attribute__((noinline)) void arrived(void)
{
	struct thread *t = this_thread();
	struct fiber *here = t->current ? &t->current->fiber : &t->fiber;
	struct green *g = t->previous;

	if (__sanitizer_finish_switch_fiber)
		__sanitizer_finish_switch_fiber(here->fake, &t->left->bottom, &t->left->size);
	if (t->after == REQUEUE)
		ready(g);
	else if (t->after == PARK)
		park(g);
	else if (t->after == CALL)
		hand_to_caller(g);
	else if (t->after == PIN)
		pin(t, g);
	else if (t->after == END)
		finish(g);
	t->after = NOTHING;
	if (t->current) {
		t->turns++;
		if (t->exceptions)
			*t->exceptions = t->current->exceptions;
		errno = t->current->error;
	}
}

/* To the task that is current now, or to the thread's own stack. */
static __attribute__((noinline)) void jump(struct thread *t, void **save, struct fiber *left)
{
	struct fiber *to = t->current ? &t->current->fiber : &t->fiber;

	t->left = left;
	if (__sanitizer_start_switch_fiber)
		__sanitizer_start_switch_fiber(t->after == END ? NULL : &left->fake, to->bottom,
					       to->size);
	green_jump(save, t->current ? t->current->sp : t->sp);
	arrived();
}

void green_switch(enum after after)
{
	struct thread *t = this_thread();
	struct green *g = t->current;

	if (g->unguarded && *(long *)(g->stack + green_guard))
		green_die("green: task %lu (%p) has used up its stack", g->number, (void *)g);
	g->error = errno;
	if (t->exceptions)
		g->exceptions = *t->exceptions;
	t->previous = g;
	t->after = after;
	t->current = t->caller || after == PIN || t->turns % REGULARLY == 0 ? NULL : take(t);
	jump(t, &g->sp, &g->fiber);
}

void green_line_up(struct line *line, struct wait *w)
{
	w->line = line;
	w->next = NULL;
	w->at = line->first ? line->last : &line->first;
	*w->at = w;
	line->last = &w->next;
}

void green_step_out(struct wait *w)
{
	*w->at = w->next;
	*(w->next ? &w->next->at : &w->line->last) = w->at;
}

void green_serve(struct wait *w, enum done done)
{
	struct green *g = w->task;

	green_step_out(w);
	atomic_store(&w->done, done);
	if (claim(g))
		ready(g);
}

enum done green_wait(struct wait *w, const char *where, const void *object)
{
	struct green *g = w->task;

	g->where = where;
	g->object = object;
	while (!atomic_load(&w->done) && !g->flag) {
		atomic_store(&g->state, PREPARING);
		if (atomic_load(&w->done) || g->flag)
			atomic_store(&g->state, RUNNING);
		else
			green_switch(PARK);
	}
	return w->done;
}

/* ---- what may be put aside ------------------------------------------------------------- */

extern void _start(void) __attribute__((weak)), __start(void) __attribute__((weak));	/* mips */

/* Where a function's code is. */
static uintptr_t code_of(void (*function)(void))
{
#if defined _CALL_ELF && _CALL_ELF == 1
	return function ? *(const uintptr_t *)function : 0;
#else
	return (uintptr_t)function;
#endif
}

/*
 * What may be put aside: see green_run() in green.h.  The linker puts functions that are cold, for
 * the start, hot, and others each in a heap of their own, in this order, and those of the program
 * come first in each.  So these tell where the program's end.
 */
#define END_OF(heap) static __attribute__((section(".text." heap), noinline, used)) void
END_OF("unlikely") end_of_cold(void) { __asm__ volatile (""); }
END_OF("startup") end_of_startup(void) { __asm__ volatile (""); }
END_OF("hot") end_of_hot(void) { __asm__ volatile (""); }

/*
 * The beginning of the section that has the start; or that, where it can't be found.  Not what is
 * before it: through the linkage table libraries call others too, with their locks held.
 */
static uintptr_t section_of(uintptr_t start)
{
	int f = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), i;
	uintptr_t from = start, at;
	ElfW(Ehdr) e = { .e_shnum = 0 };
	ElfW(Shdr) s;

	if (pread(f, &e, sizeof e, 0) != sizeof e)
		e.e_shnum = 0;
	for (i = 0; i < e.e_shnum; i++) {
		if (pread(f, &s, sizeof s, (off_t)(e.e_shoff + (size_t)i * sizeof s)) != sizeof s)
			break;
		at = s.sh_addr + getauxval(AT_ENTRY) - e.e_entry;
		if (s.sh_flags & SHF_EXECINSTR && start - at < s.sh_size)
			from = at;
	}
	close(f);
	return from;
}

/* Is it the program's own?  The stub is the last one. */
static int is_own(uintptr_t pc, int ranges)
{
	while (ranges-- > 0)
		if (pc >= rt.own[ranges].from && pc < rt.own[ranges].to)
			return 1;
	return 0;
}

static void find_text(void)
{
	uintptr_t start = code_of(_start ? _start : __start);
	const void *stub;
	size_t length;

	safe_syscall_region(&stub, &length);
	rt.own[3] = (struct range){ (uintptr_t)stub, (uintptr_t)stub + length };
	if (!start)
		return;
	rt.own[0] = (struct range){ section_of(start), code_of(end_of_cold) };
	rt.own[1] = (struct range){ code_of(end_of_startup), code_of(end_of_hot) };
	rt.own[2] = (struct range){ start, code_of((void (*)(void))green_jump) };
	if (is_own(code_of((void (*)(void))malloc), 3))
		memset(rt.own, 0, 3 * sizeof *rt.own);
}

/* ---- threads ----------------------------------------------------------------------------- */

#if defined __s390x__			/* a pointer to what is behind it */
# define MARKED(p) ((p)[0] == (uintptr_t)((p) + 1))
#elif defined __arm__			/* a word that tells such frames */
# define MARKED(p) ((p)[0] == 0x5ac3c35a)
#elif defined __i386__			/* popl %eax; movl $__NR_sigreturn, %eax; int $0x80 */
# define MARKED(p) ((p)[0] == 0x0077b858 && (p)[1] == 0x80cd0000)
#else
# define MARKED(p) 0
#endif

/*
 * Was a handler interrupted?  On another stack it is one.  Else a mask that is not the thread's is
 * that of a handler, or one that the task has set.  In the frame of a handler the kernel
 * has written what the alternate stack is, as in the tick's own; or, of one without SA_SIGINFO,
 * what is MARKED.  What an earlier handler has left there does no harm: the task is met elsewhere.
 */
enum { SIZE = offsetof(stack_t, ss_size) / sizeof(uintptr_t) };	/* mips: 1; else 2 */
static __attribute__((no_sanitize_address))
int in_handler(struct thread *t, const struct green *g, const ucontext_t *uc)
{
	const uintptr_t *p = __builtin_frame_address(0), stack = (uintptr_t)uc->uc_stack.ss_sp;
	const uintptr_t *end = (const uintptr_t *)(g->stack + green_guard + STACK);

	if ((uintptr_t)p - (uintptr_t)g->stack >= STACK + green_guard)
		return 1;
	if (!memcmp(&uc->uc_sigmask, &t->mask, _NSIG / 8))
		return 0;
#if defined _ABIO32 && _MIPS_SIM == _ABIO32
	return 1;			/* there neither */
#endif
	p = (const uintptr_t *)((uintptr_t)(uc + 1) & ~(sizeof *p - 1));
	for (; p < end - 2; p++) {
		if (MARKED(p) || (p[0] == stack && p[SIZE] == uc->uc_stack.ss_size))
			return 1;
	}
	memcpy(&t->mask, &uc->uc_sigmask, _NSIG / 8);
	return 0;
}

/*
 * See green_run() in green.h.  The timer's is the thread's processor time: one that rests or
 * blocks gets no signal.  The task is left in this handler, with all its registers in the
 * context, and goes on by returning from it, on this thread: what the interrupted code
 * holds may be an address of the thread's own.  Who is in the C library most of the time is met
 * outside of it soon.
 */
static void on_tick(int signum, siginfo_t *info, void *ucontext)
{
	static const struct itimerspec soon = { { 0, 0 }, { 0, SOON } };
	const ucontext_t *uc = ucontext;
	struct thread *t = this_thread();
	struct green *g = t ? t->current : NULL;

	safe_syscall_hook(signum, info, ucontext);
	if (!g || t->caller)
		return;
	if (info->si_value.sival_int == TICK)
		t->tries = 0;
	if (t->turns != t->turns_at_tick) {
		t->turns_at_tick = t->turns;
		return;
	}
	if (atomic_load(&rt.polling) == RESTS)
		loop_notify(green_loop);	/* it may take some of them */
	if (g->inside || !is_own(green_pc(uc), 4) || in_handler(t, g, uc)) {
		if (t->has_soon && t->tries++ < TRIES)
			timer_settime(t->soon, 0, &soon, NULL);
		return;
	}
	g->inside = 1;
	pthread_sigmask(SIG_SETMASK, &t->mask, NULL);	/* of what runs now */
	green_switch(PIN);
	green_leave(g);
}

static void on_fault(int signum, siginfo_t *info, void *ucontext)
{
	struct thread *t = this_thread();
	const struct green *g = t ? t->current : NULL;

	if (g && (uintptr_t)info->si_addr - (uintptr_t)g->stack < green_guard)
		green_die("green: task %lu (%p) has used up its stack", g->number, (const void *)g);
	if (rt.old_fault.sa_flags & SA_SIGINFO)
		rt.old_fault.sa_sigaction(signum, info, ucontext);
	else
		sigaction(signum, &rt.old_fault, NULL);	/* and again */
}

/* For a while it waits for the next call. */
static struct green *next_call(void)
{
	struct timespec t;
	struct green *g;
	int late = 0;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += t.tv_nsec >= 900000000;
	t.tv_nsec = (t.tv_nsec + 100000000) % 1000000000;
	pthread_mutex_lock(&call_lock);
	rt.idle++;
	while (!rt.calls.first && !late && !atomic_load(&rt.over))
		late = pthread_cond_timedwait(&rt.called, &call_lock, &t);
	rt.idle--;
	g = green_first(&rt.calls);
	pthread_mutex_unlock(&call_lock);
	return g;
}

/* Where the user has no timer left a thread does without. */
static int new_timer(clockid_t clock, int value, timer_t *timer)
{
	struct sigevent event = { .sigev_signo = rt.tick, .sigev_notify = SIGEV_THREAD_ID };

	event.sigev_value.sival_int = value;
	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	return !timer_create(clock, &event, timer);
}

/* Has a stack on which it can be told that a task has used up its own. */
static void run_tasks(struct thread *t)
{
	struct itimerspec spec = { { 0, TICK }, { 0, TICK } };
	char alternate[ALTERNATE];
	stack_t stack = { .ss_sp = alternate, .ss_size = ALTERNATE }, old_stack;
	struct exceptions none = { NULL, 0 }, old_exceptions;
	sigset_t old_mask;
	struct green *g;
	timer_t tick;
	int has_tick;

	self = t;
	t->exceptions = __cxa_get_globals ? __cxa_get_globals() : NULL;
	old_exceptions = t->exceptions ? *t->exceptions : none;
	sigaltstack(&stack, &old_stack);
	pthread_sigmask(t->caller ? SIG_BLOCK : SIG_UNBLOCK, &rt.ticks, &old_mask);
	pthread_sigmask(SIG_BLOCK, NULL, &t->mask);
	has_tick = !t->caller && new_timer(CLOCK_THREAD_CPUTIME_ID, TICK, &tick);
	t->has_soon = has_tick && new_timer(CLOCK_MONOTONIC, SOON, &t->soon);
	if (has_tick)
		timer_settime(tick, 0, &spec, NULL);
	while ((g = t->caller ? next_call() : find(t))) {
		t->current = g;
		jump(t, &t->sp, &t->fiber);
	}
	if (t->has_soon)
		timer_delete(t->soon);
	if (has_tick)
		timer_delete(tick);
	if (t->exceptions)
		*t->exceptions = old_exceptions;
	pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
	sigaltstack(&old_stack, NULL);
	self = NULL;
}

static void *worker(void *thread)
{
	run_tasks(thread);
	return NULL;
}

/* A thread for calls that block.  One that ends joins the one before: no more than one is left. */
static void *caller(void *unused)
{
	struct thread t = { .caller = 1 };
	pthread_t before;
	int is_first;

	run_tasks(&t);
	pthread_mutex_lock(&call_lock);
	while (rt.calls.first) {		/* they count on us */
		pthread_mutex_unlock(&call_lock);
		run_tasks(&t);
		pthread_mutex_lock(&call_lock);
	}
	before = rt.ended;
	is_first = !rt.has_ended;
	rt.ended = pthread_self();
	rt.has_ended = 1;
	rt.callers--;
	pthread_cond_broadcast(&rt.called);
	pthread_mutex_unlock(&call_lock);
	if (!is_first)
		pthread_join(before, NULL);
	return unused;
}

static int start_thread(pthread_t *id, void *(*function)(void *), void *arg)
{
	pthread_attr_t attr;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	error = pthread_create(id, &attr, function, arg);
	pthread_attr_destroy(&attr);
	return error;
}

/* Where there can't be more of them it waits for one of those that there are. */
static void hand_to_caller(struct green *g)
{
	int is_new, error;
	pthread_t id;

	pthread_mutex_lock(&call_lock);
	is_new = count(&rt.calls) >= rt.idle;
	error = is_new ? start_thread(&id, caller, NULL) : 0;
	rt.callers += is_new && !error;
	if (rt.callers)
		error = 0;
	g->refused = error;
	if (!error) {
		green_append(&rt.calls, g);
		pthread_cond_broadcast(&rt.called);
	}
	pthread_mutex_unlock(&call_lock);
	if (error)				/* else it may be elsewhere, or over */
		ready(g);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static void begin(void)
{
	struct green *g;

	arrived();
	g = this_thread()->current;
	green_leave(g);
	g->fn(g->arg);
	green_enter("the end of a task");
	green_switch(END);
}

static struct green *new_task(void (*fn)(void *), void *arg)
{
	struct green *g;

	pthread_mutex_lock(&lock);
	g = green_new();
	if (g) {
		g->number = ++rt.number;
		g->life = ALIVE;
		atomic_store(&g->state, RUNNING);
	}
	pthread_mutex_unlock(&lock);
	if (!g)
		return NULL;
	g->sp = green_prepare(g->stack + green_guard + STACK, begin);
	g->fn = fn;
	g->arg = arg;
	g->inside = 1;
	g->flag = g->error = 0;
	g->exceptions = (struct exceptions){ NULL, 0 };
	g->joiner.first = NULL;
	g->scope = (safe_syscall_scope)SAFE_SYSCALL_SCOPE_INIT;
	g->fiber = (struct fiber){ NULL, g->stack + green_guard, STACK };
	atomic_fetch_add(&rt.live, 1);
	atomic_fetch_add(&rt.busy, 1);
	return g;
}

static void all_are_over(void)
{
	int i;

	atomic_store(&rt.over, 1);
	for (i = 0; i < rt.count; i++)
		sem_post(&rt.wake);
	loop_notify(green_loop);
	pthread_mutex_lock(&call_lock);
	pthread_cond_broadcast(&rt.called);
	pthread_mutex_unlock(&call_lock);
}

/* Its stack has been left. */
static void finish(struct green *g)
{
	pthread_mutex_lock(&lock);
	atomic_store(&g->state, FREE);
	if (g->joiner.first)
		green_serve(g->joiner.first, SERVED);
	if (g->life == DETACHED)
		green_free(g);
	else
		g->life = ENDED;
	pthread_mutex_unlock(&lock);
	atomic_fetch_sub(&rt.busy, 1);
	if (atomic_fetch_sub(&rt.live, 1) == 1)
		all_are_over();
}

green *green_spawn(void (*fn)(void *), void *arg)
{
	struct green *me = green_enter("green_spawn"), *g = fn ? new_task(fn, arg) : NULL;

	if (g)
		ready(g);
	else
		errno = fn ? ENOMEM : EINVAL;
	green_leave(me);
	return g;
}

static void lock_task(struct green *g, const char *who)
{
	if (!g)
		green_die("%s: no task", who);
	pthread_mutex_lock(&lock);
	if (g->life == GONE || g->life == DETACHED)
		green_die("%s: task %lu (%p) was %s already", who, g->number, (void *)g,
			  g->life == GONE ? "joined or detached" : "detached");
	if (g->joiner.first)
		green_die("%s: task %lu (%p) is being joined by task %lu", who, g->number,
			  (void *)g, g->joiner.first->task->number);
}

int green_join(green *g)
{
	struct green *me = green_enter("green_join");
	struct wait w = { .task = me };
	int is_over;

	lock_task(g, "green_join");
	if (g == me)
		green_die("green_join: task %lu (%p) joins itself", g->number, (void *)g);
	if (g->life != ENDED && !me->flag) {
		green_line_up(&g->joiner, &w);
		pthread_mutex_unlock(&lock);
		green_wait(&w, "green_join", g);
		pthread_mutex_lock(&lock);
		if (!w.done)
			green_step_out(&w);
	}
	is_over = g->life == ENDED && !me->flag;
	if (is_over)
		green_free(g);
	pthread_mutex_unlock(&lock);
	green_leave(me);
	return is_over ? 0 : green_fail(ECANCELED);
}

void green_detach(green *g)
{
	struct green *me = green_enter("green_detach");

	lock_task(g, "green_detach");
	if (g->life == ENDED)
		green_free(g);
	else
		g->life = DETACHED;
	pthread_mutex_unlock(&lock);
	green_leave(me);
}

void green_cancel(green *g)
{
	int was = green_within(1), error = errno;

	g->flag = 1;
	atomic_thread_fence(memory_order_seq_cst);
	safe_syscall_interrupt(&g->scope);
	if (claim(g))
		inject(g);
	errno = error;
	green_within(was);
}

int green_cancelled(void)
{
	struct green *me = green_enter("green_cancelled");
	int flag = me->flag;

	green_leave(me);
	return flag;
}

void green_yield(void)
{
	struct green *me = green_enter("green_yield");

	green_switch(REQUEUE);
	green_leave(me);
}

/* ---- beginning and end ------------------------------------------------------------------- */

/* And a free signal. */
static int set_handlers(void)
{
	struct sigaction tick = { .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction fault = { .sa_flags = SA_SIGINFO | SA_ONSTACK };

	find_text();
	tick.sa_sigaction = on_tick;
	fault.sa_sigaction = on_fault;
	for (rt.tick = SIGRTMAX; rt.tick > SIGRTMIN; rt.tick--)
		if (rt.tick != safe_syscall_signal() && !sigaction(rt.tick, NULL, &rt.old_tick) &&
		    rt.old_tick.sa_handler == SIG_DFL)
			break;
	sigemptyset(&rt.ticks);
	sigaddset(&rt.ticks, rt.tick);
	return sigaction(rt.tick, &tick, NULL) || sigaction(SIGSEGV, &fault, &rt.old_fault);
}

/* The calling thread is the first.  Returns 0 or an error. */
static int run_all(struct green *first)
{
	int n, error = 0;

	for (n = 1; n < rt.count && !error; n++) {
		rt.threads[n].number = n;
		error = start_thread(&rt.threads[n].id, worker, &rt.threads[n]);
	}
	n -= error != 0;
	if (error)
		all_are_over();
	else
		inject(first);
	worker(&rt.threads[0]);
	while (--n > 0)
		pthread_join(rt.threads[n].id, NULL);
	pthread_mutex_lock(&call_lock);
	while (rt.callers)
		pthread_cond_wait(&rt.called, &call_lock);
	pthread_mutex_unlock(&call_lock);
	if (rt.has_ended)
		pthread_join(rt.ended, NULL);
	sigaction(SIGSEGV, &rt.old_fault, NULL);
	sigaction(rt.tick, &rt.old_tick, NULL);
	return error;
}

int green_run(int threads, void (*fn)(void *), void *arg)
{
	int stopped = 0, error = 0;
	pthread_condattr_t attr;
	struct green *first = NULL;
	cpu_set_t set;

	if (threads < 0 || threads > THREADS || !fn)
		return green_fail(EINVAL);
	if (!atomic_compare_exchange_strong(&runs, &stopped, 1))
		return green_fail(EBUSY);
	memset(&rt, 0, sizeof rt);
	rt.count = threads || sched_getaffinity(0, sizeof set, &set) ? threads : CPU_COUNT(&set);
	rt.count += !rt.count;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rt.called, &attr);
	sem_init(&rt.wake, 0, 0);
	errno = ENOMEM;				/* which not all say */
	if (!(green_loop = loop_new()) || green_watch() ||
	    !(rt.threads = calloc((size_t)rt.count, sizeof *rt.threads)) ||
	    !(first = new_task(fn, arg)) ||
	    (safe_syscall_init(0) && !safe_syscall_signal()) || set_handlers()) {
		error = errno;
	} else {
		first->life = DETACHED;
		error = run_all(first);
	}
	green_unwatch();
	loop_free(green_loop);
	free(rt.threads);
	green_free_all();
	atomic_store(&runs, 0);
	return error ? green_fail(error) : 0;
}
