/* SPDX-License-Identifier: MIT */
/*
 * green.c - tasks, and the threads that run them.  WHY NO TASK IS FORGOTTEN
 *
 * A task that has to wait says so (PREPARING), looks whether it is cancelled, and leaves its
 * stack; what runs next on the thread says that it has (PARKED).  Whoever wants it to go on
 * claims it, by a swap of that state to RUNNING, in which one of all succeeds:
 *
 *	the task		what runs next		who claims
 *	  state = PREPARING	  PREPARING to PARKED	  what it is to see, a flag at least
 *	  is the flag set?	  if that fails:	  PREPARING to RUNNING: no more
 *	  leave the stack	    queue the task	  PARKED to RUNNING: queue the task
 *
 * Before the first line a cancellation is seen by the task; later the state is seen by who
 * cancels.  Who claims may be late, and find the task in another wait: so all who wait look
 * what has come to them, and wait again if it is nothing.  Who else has something for a task
 * holds the lock with which it went to wait, and which is given up when it is PARKED.
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
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "parts.h"

#ifndef sigev_notify_thread_id
# define sigev_notify_thread_id _sigev_un._tid
#endif
#define TICK 10000000			/* ns of processor time */
/* in the place of who joins a task */
#define ENDED ((struct green *)1)
#define DETACHED ((struct green *)2)
#define GONE ((struct green *)3)

enum { ALTERNATE = 64 << 10, SLAB = 64, REGULARLY = 64, ROUNDS = 32, PATIENCE = 8 };
enum { NOBODY, LOOKS, WAITS };			/* who is in the loop */

struct loop *green_loop;
atomic_long green_in_loop;
static struct {
	atomic_int runs, over, searching, sleeping, polling;
	atomic_long live, busy;			/* busy: not hopeless */
	int count, tick;
	struct thread *threads;
	sem_t wake;
	_Atomic(struct green *) injected;	/* the last one first */
	struct slab {
		struct slab *next;
		struct green tasks[SLAB];
	} *slabs;				/* of all tasks, guarded by the lock */
	struct list unused;
	unsigned long number;
	struct list calls;			/* guarded by call_lock */
	pthread_cond_t called, gone;
	int waiting, idle, callers, has_ended;
	pthread_t ended;
	uintptr_t text, text_end, stub, stub_end;
	struct sigaction old_tick, old_fault;
} rt;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, call_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread struct thread *self __attribute__((tls_model("initial-exec")));

__attribute__((noinline)) struct thread *green_thread(void)
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
	struct thread *t = green_thread();

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

/* ---- queues: a few instructions under a lock ---------------------------------------- */

static void append(struct list *list, struct green *g)
{
	g->next = NULL;
	*(list->first ? &list->last->next : &list->first) = g;
	list->last = g;
}

static struct green *take_first(struct list *list)
{
	struct green *g = list->first;

	if (g)
		list->first = g->next;
	return g;
}

static void lock_queue(struct thread *t)
{
	while (atomic_flag_test_and_set_explicit(&t->queue_lock, memory_order_acquire))
		sched_yield();
}

static void unlock_queue(struct thread *t)
{
	atomic_flag_clear_explicit(&t->queue_lock, memory_order_release);
}

static void push(struct thread *t, struct green *g)
{
	lock_queue(t);
	append(&t->queue, g);
	atomic_store_explicit(&t->length, atomic_load(&t->length) + 1, memory_order_relaxed);
	unlock_queue(t);
}

static struct green *pop(struct thread *t)
{
	struct green *g;

	if (!atomic_load_explicit(&t->length, memory_order_relaxed))
		return NULL;
	lock_queue(t);
	g = take_first(&t->queue);
	if (g) {
		atomic_store_explicit(&t->length, atomic_load(&t->length) - 1, memory_order_relaxed);
		t->popped++;
	}
	unlock_queue(t);
	return g;
}

/* Also in handlers. */
static void wake(void)
{
	int n;

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&rt.searching))
		return;
	n = atomic_load(&rt.sleeping);
	while (n && !atomic_compare_exchange_weak(&rt.sleeping, &n, n - 1))
		;
	if (n) {
		atomic_fetch_add(&rt.searching, 1);
		sem_post(&rt.wake);
	} else if (atomic_load(&rt.polling) == WAITS) {
		loop_notify(green_loop);
	}
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
	struct thread *t = green_thread();

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
	return g ? g : take_first(&t->pinned);
}

static int is_work(struct thread *t, int alone)
{
	int i;

	for (i = 0; i < rt.count; i++)
		if (atomic_load(&rt.threads[i].length) > (rt.threads + i == t ? 0 : alone))
			return 1;
	return atomic_load(&rt.injected) || atomic_load(&rt.over) || t->pinned.first;
}

/*
 * A task that is alone in a queue will run there in a moment, most often: it is taken if it has
 * been seen there for a while.
 */
static struct green *steal(struct thread *t)
{
	struct thread *v, *seen = NULL;
	unsigned int popped = 0;
	struct green *g, *more;
	int round, since = 0, i, n;

	for (round = 0; round < ROUNDS && !atomic_load(&rt.over); round++) {
		g = take(t);
		for (i = 0; i < rt.count && !g; i++) {
			v = &rt.threads[(t->number + round + i) % rt.count];
			n = atomic_load(&v->length);
			if (n == 1 && (!seen || v != seen || popped != v->popped)) {
				if (v == seen || !seen) {
					seen = v;
					popped = v->popped;
					since = round;
				}
				continue;
			}
			if (n > 1 || (n && round - since > PATIENCE))
				for (g = pop(v); n > 3 && (more = pop(v)); n -= 2)
					push(t, more);
		}
		if (g || !seen)
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
	for (slab = rt.slabs; slab; slab = slab->next) {
		for (g = slab->tasks; g < slab->tasks + SLAB; g++) {
			if (atomic_load(&g->state) == FREE)
				continue;
			if (atomic_load(&g->state) != PARKED || !g->hopeless)
				goto none;	/* somebody has cancelled it just now */
			if (n < sizeof line - 100)
				n += (size_t)snprintf(line + n, sizeof line - n,
					"%s task %lu (%p) waits in %s of %p", n ? "," : "",
					g->number, (const void *)g, g->where, g->object);
		}
	}
	if (n)
		green_die("green: deadlock, none of %ld tasks can go on:%s%s", atomic_load(&rt.live),
			  line, n < sizeof line - 100 ? "" : ", and so on");
none:
	pthread_mutex_unlock(&lock);
}

static void step(long long timeout)
{
	if (loop_step(green_loop, timeout) < 0 && errno != SAFE_ERESTARTSYS)
		green_die("green: loop_step: %s", strerror(errno));
	atomic_store(&rt.polling, NOBODY);
}

/* Counted as searching, before and after. */
static void rest(struct thread *t)
{
	int nobody = NOBODY, n;

	if (atomic_compare_exchange_strong(&rt.polling, &nobody, WAITS)) {
		atomic_fetch_sub(&rt.searching, 1);
		atomic_thread_fence(memory_order_seq_cst);
		if (!is_work(t, 1))
			look_for_deadlock();
		step(is_work(t, 1) ? 0 : -1);
		atomic_fetch_add(&rt.searching, 1);
		return;
	}
	atomic_fetch_add(&rt.sleeping, 1);
	atomic_fetch_sub(&rt.searching, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (is_work(t, 1) || !atomic_load(&rt.polling)) {
		/* unless somebody is about to wake one who sleeps: that may be us */
		n = atomic_load(&rt.sleeping);
		while (n && !atomic_compare_exchange_weak(&rt.sleeping, &n, n - 1))
			;
		if (n) {
			atomic_fetch_add(&rt.searching, 1);
			return;
		}
	}
	while (sem_wait(&rt.wake))
		;
}

/* The next task for this thread; null: all are over. */
static struct green *find(struct thread *t)
{
	struct green *g;
	int nobody = NOBODY;

	if ((t->look || t->turns % REGULARLY == 0) && atomic_load(&green_in_loop) &&
	    atomic_compare_exchange_strong(&rt.polling, &nobody, LOOKS))
		step(0);
	t->look = 0;
	if ((g = take(t)))
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
	if (was == PARKED && g->hopeless)
		atomic_fetch_add(&rt.busy, 1);
	return was == PARKED;
}

void green_claim(struct green *g)
{
	if (claim(g))
		ready(g);
}

static void park(struct thread *t, struct green *g)
{
	void (*unlock)(void *) = t->unlock;
	int preparing = PREPARING, hopeless = g->hopeless, parked;

	if (hopeless)
		atomic_fetch_sub(&rt.busy, 1);
	parked = atomic_compare_exchange_strong(&g->state, &preparing, PARKED);
	if (!parked && hopeless)
		atomic_fetch_add(&rt.busy, 1);
	unlock(t->lock);
	if (!parked)
		ready(g);
}

static void hand_to_caller(struct green *g);
static void finish(struct green *g);

/* On the new stack: what is to become of the task that was left. */
static __attribute__((noinline)) void arrived(void)
{
	struct thread *t = green_thread();
	struct green *g = t->previous;
	enum after after = t->after;

	green_arriving(t->left, t->current ? &t->current->fiber : &t->fiber);
	t->after = NOTHING;
	if (after == REQUEUE)
		ready(g);
	else if (after == PARK)
		park(t, g);
	else if (after == CALL)
		hand_to_caller(g);
	else if (after == PIN)
		append(&t->pinned, g);
	else if (after == END)
		finish(g);
	if (t->current) {
		t->turns++;
		errno = t->current->error;
	}
}

static __attribute__((noinline)) void leave(struct thread *t, enum after after)
{
	struct green *g = t->current;

	if (green_stack_overrun(g->stack))
		green_die("green: task %lu (%p) has used up its stack", g->number, (void *)g);
	g->error = errno;
	t->previous = g;
	t->after = after;
	t->current = t->caller || after == PIN || t->turns % REGULARLY == 0 ? NULL : take(t);
	t->left = &g->fiber;
	green_leaving(t->left, t->current ? &t->current->fiber : &t->fiber, after == END);
	green_jump(&g->sp, t->current ? t->current->sp : t->sp);
}

void green_switch(enum after after)
{
	leave(green_thread(), after);
	arrived();
}

void green_wait(const char *where, const void *object, int hopeless, void (*unlock)(void *),
		void *with)
{
	struct thread *t = green_thread();
	struct green *g = t->current;
	int preparing = PREPARING;

	g->where = where;
	g->object = object;
	g->hopeless = hopeless;
	atomic_store(&g->state, PREPARING);
	if (g->flag) {
		atomic_compare_exchange_strong(&g->state, &preparing, RUNNING);
		unlock(with);
		return;
	}
	t->unlock = unlock;
	t->lock = with;
	green_switch(PARK);
}

static void run(struct thread *t, struct green *g)
{
	t->current = g;
	t->left = &t->fiber;
	green_leaving(t->left, &g->fiber, 0);
	green_jump(&t->sp, g->sp);
	arrived();
}

/* ---- threads ----------------------------------------------------------------------------- */

static int others_wait(struct thread *t)
{
	return t->pinned.first || atomic_load(&t->length) || atomic_load(&rt.injected) ||
		(atomic_load(&green_in_loop) && atomic_load(&rt.polling) == NOBODY);
}

/*
 * See green_run() in green.h.  The timer's is the thread's processor time: one that rests or
 * blocks gets no signal.  The task is left in this handler, with all its registers in the
 * context, and goes on by returning from it, on this thread: what the interrupted code
 * holds may be an address of the thread's own.  A handler of others has another mask, or
 * another stack.
 */
static void on_tick(int signum, siginfo_t *info, void *ucontext)
{
	const ucontext_t *uc = ucontext;
	struct thread *t = green_thread();
	uintptr_t pc = green_pc(uc);
	struct green *g = t ? t->current : NULL;

	safe_syscall_hook(signum, info, ucontext);
	if (!g || t->caller)
		return;
	if (t->turns != t->turns_at_tick || !others_wait(t)) {
		t->turns_at_tick = t->turns;
		return;
	}
	if (atomic_load(&rt.polling) == WAITS)
		loop_notify(green_loop);	/* it may take some of them */
	if (g->inside || memcmp(&uc->uc_sigmask, &t->mask, _NSIG / 8) != 0 ||
	    !green_stack_holds(g->stack, __builtin_frame_address(0)) ||
	    (pc - rt.text >= rt.text_end - rt.text && pc - rt.stub >= rt.stub_end - rt.stub))
		return;
	g->inside = 1;
	t->look = 1;
	green_switch(PIN);
	green_leave(g);
}

static void on_fault(int signum, siginfo_t *info, void *ucontext)
{
	struct thread *t = green_thread();

	if (t && t->current && green_stack_guards(t->current->stack, info->si_addr))
		green_die("green: task %lu (%p) has used up its stack", t->current->number,
			  (void *)t->current);
	if (rt.old_fault.sa_flags & SA_SIGINFO)
		rt.old_fault.sa_sigaction(signum, info, ucontext);
	else
		sigaction(signum, &rt.old_fault, NULL);	/* and again */
}

/* Where the user has no timer left a thread does without. */
static void start_tick(struct thread *t)
{
	struct itimerspec spec = { { 0, TICK }, { 0, TICK } };
	struct sigevent event;

	memset(&event, 0, sizeof event);
	event.sigev_signo = rt.tick;
	event.sigev_notify = 4;			/* SIGEV_THREAD_ID */
	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	t->has_timer = !timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &t->timer);
	if (t->has_timer)
		timer_settime(t->timer, 0, &spec, NULL);
}

/* A stack on which it can be told that a task has used up its own. */
static void begin_thread(struct thread *t)
{
	stack_t stack = { .ss_size = ALTERNATE };
	sigset_t set;

	self = t;
	stack.ss_sp = t->alternate = malloc(ALTERNATE);
	if (stack.ss_sp)
		sigaltstack(&stack, &t->old_alternate);
	sigemptyset(&set);
	sigaddset(&set, rt.tick);
	pthread_sigmask(t->caller ? SIG_BLOCK : SIG_UNBLOCK, &set, &t->old_mask);
	pthread_sigmask(SIG_BLOCK, NULL, &t->mask);
	if (!t->caller)
		start_tick(t);
}

static void end_thread(struct thread *t)
{
	if (t->has_timer)
		timer_delete(t->timer);
	pthread_sigmask(SIG_SETMASK, &t->old_mask, NULL);
	if (t->alternate)
		sigaltstack(&t->old_alternate, NULL);
	free(t->alternate);
	self = NULL;
}

static void *worker(void *arg)
{
	struct thread *t = arg;
	struct green *g;

	begin_thread(t);
	while ((g = find(t)))
		run(t, g);
	end_thread(t);
	return NULL;
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

/* For a while it waits for the next call.  With the lock. */
static struct green *next_call(void)
{
	struct timespec t;
	int late = 0;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += t.tv_nsec >= 900000000;
	t.tv_nsec = (t.tv_nsec + 100000000) % 1000000000;
	rt.idle++;
	while (!rt.calls.first && !late && !atomic_load(&rt.over))
		late = pthread_cond_timedwait(&rt.called, &call_lock, &t);
	rt.idle--;
	rt.waiting -= rt.calls.first != NULL;
	return take_first(&rt.calls);
}

/* A thread for calls that block.  One that ends joins the one before: no more than one is left. */
static void *caller(void *unused)
{
	struct thread t = { .caller = 1 };
	struct green *g;
	pthread_t before;
	int is_first;

	begin_thread(&t);
	pthread_mutex_lock(&call_lock);
	while ((g = next_call())) {
		pthread_mutex_unlock(&call_lock);
		run(&t, g);
		pthread_mutex_lock(&call_lock);
	}
	end_thread(&t);
	before = rt.ended;
	is_first = !rt.has_ended;
	rt.ended = pthread_self();
	rt.has_ended = 1;
	if (!--rt.callers)
		pthread_cond_signal(&rt.gone);
	pthread_mutex_unlock(&call_lock);
	if (!is_first)
		pthread_join(before, NULL);
	return unused;
}

static void hand_to_caller(struct green *g)
{
	pthread_t id;

	pthread_mutex_lock(&call_lock);
	g->refused = rt.waiting < rt.idle ? 0 : start_thread(&id, caller, NULL);
	if (!g->refused) {
		rt.callers += rt.waiting++ >= rt.idle;
		append(&rt.calls, g);
		pthread_cond_signal(&rt.called);
	}
	pthread_mutex_unlock(&call_lock);
	if (g->refused)
		ready(g);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

/* Those that are gone are used again as late as can be, so that it is seen if they are joined. */
static void forget(struct green *g)
{
	pthread_mutex_lock(&lock);
	g->join = GONE;
	append(&rt.unused, g);
	rt.unused.count++;
	pthread_mutex_unlock(&lock);
}

static int add_slab(void)
{
	struct slab *slab = calloc(1, sizeof *slab);
	int i;

	if (!slab)
		return -1;
	pthread_mutex_lock(&lock);
	slab->next = rt.slabs;
	rt.slabs = slab;
	pthread_mutex_unlock(&lock);
	for (i = 0; i < SLAB; i++) {
		pthread_mutex_init(&slab->tasks[i].lock, NULL);
		forget(&slab->tasks[i]);
	}
	return 0;
}

static void begin(void)
{
	struct green *g;

	arrived();
	g = green_thread()->current;
	green_leave(g);
	g->fn(g->arg);
	green_enter("the end of a task");
	green_forget_timer(g);
	green_switch(END);
}

static struct green *new_task(void (*fn)(void *), void *arg)
{
	char *stack = green_stack_new();
	struct green *g = NULL;

	pthread_mutex_lock(&lock);
	while (stack && rt.unused.count <= SLAB) {
		pthread_mutex_unlock(&lock);
		if (add_slab()) {
			green_stack_free(stack);
			stack = NULL;
		}
		pthread_mutex_lock(&lock);
	}
	if (stack) {
		rt.unused.count--;
		g = take_first(&rt.unused);
		g->number = ++rt.number;
		atomic_store(&g->state, RUNNING);
	}
	pthread_mutex_unlock(&lock);
	if (!g)
		return NULL;
	g->stack = stack;
	g->sp = green_prepare(green_stack_top(stack), begin);
	g->fn = fn;
	g->arg = arg;
	g->inside = 1;
	g->flag = g->error = g->hopeless = 0;
	g->join = NULL;
	g->scope = (safe_syscall_scope)SAFE_SYSCALL_SCOPE_INIT;
	g->armed = g->deadline = NEVER;
	g->fiber = (struct fiber){ NULL, green_stack_top(stack) - STACK, STACK };
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
	struct green *joins;

	green_stack_free(g->stack);
	atomic_store(&g->state, FREE);
	pthread_mutex_lock(&g->lock);
	joins = g->join;
	g->join = ENDED;
	if (joins && joins != DETACHED)
		green_claim(joins);
	pthread_mutex_unlock(&g->lock);
	if (joins == DETACHED)
		forget(g);
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

static void unlock_task(void *mutex)
{
	pthread_mutex_unlock(mutex);
}

static void lock_task(struct green *g, const char *who)
{
	if (!g)
		green_die("%s: no task", who);
	pthread_mutex_lock(&g->lock);
	if (g->join == GONE || g->join == DETACHED)
		green_die("%s: task %lu (%p) was %s already", who, g->number, (void *)g,
			  g->join == GONE ? "joined or detached" : "detached");
	if (g->join && g->join != ENDED)
		green_die("%s: task %lu (%p) is being joined by task %lu", who, g->number,
			  (void *)g, g->join->number);
}

int green_join(green *g)
{
	struct green *me = green_enter("green_join");
	int is_over;

	lock_task(g, "green_join");
	if (g == me)
		green_die("green_join: task %lu (%p) joins itself", g->number, (void *)g);
	while (g->join != ENDED && !me->flag) {
		g->join = me;
		green_wait("green_join", g, 1, unlock_task, &g->lock);
		pthread_mutex_lock(&g->lock);
	}
	is_over = g->join == ENDED && !me->flag;
	if (g->join == me)
		g->join = NULL;
	pthread_mutex_unlock(&g->lock);
	if (is_over)
		forget(g);
	green_leave(me);
	return is_over ? 0 : green_fail(ECANCELED);
}

void green_detach(green *g)
{
	struct green *me = green_enter("green_detach");
	int is_over;

	lock_task(g, "green_detach");
	is_over = g->join == ENDED;
	if (!is_over)
		g->join = DETACHED;
	pthread_mutex_unlock(&g->lock);
	if (is_over)
		forget(g);
	green_leave(me);
}

void green_cancel(green *g)
{
	int error = errno;

	g->flag = 1;
	atomic_thread_fence(memory_order_seq_cst);
	safe_syscall_interrupt(&g->scope);
	if (claim(g))
		inject(g);
	errno = error;
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
	struct thread *t = green_thread();

	if (t->turns % REGULARLY == 0 || others_wait(t))
		green_switch(REQUEUE);
	green_leave(me);
}

/* ---- beginning and end ------------------------------------------------------------------- */

extern void _start(void) __attribute__((weak));

/* What may be put aside: see green_run() in green.h.  Then the handlers, and a free signal. */
static int set_handlers(void)
{
	struct sigaction tick = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER };
	struct sigaction fault = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const void *stub;
	size_t length;

	safe_syscall_region(&stub, &length);
	rt.stub = (uintptr_t)stub;
	rt.stub_end = rt.stub + length;
	rt.text = (uintptr_t)_start;
	rt.text_end = rt.text ? (uintptr_t)green_jump : 0;
	tick.sa_sigaction = on_tick;
	fault.sa_sigaction = on_fault;
	for (rt.tick = SIGRTMAX; rt.tick > SIGRTMIN; rt.tick--)
		if (rt.tick != safe_syscall_signal() && !sigaction(rt.tick, NULL, &rt.old_tick) &&
		    rt.old_tick.sa_handler == SIG_DFL)
			break;
	return sigaction(rt.tick, &tick, NULL) || sigaction(SIGSEGV, &fault, &rt.old_fault);
}

static struct green *start(void (*fn)(void *), void *arg)
{
	pthread_condattr_t monotonic;
	struct green *g;

	memset(&rt.threads, 0, sizeof rt - offsetof(__typeof__(rt), threads));
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&rt.called, &monotonic);
	pthread_cond_init(&rt.gone, NULL);
	pthread_condattr_destroy(&monotonic);
	sem_init(&rt.wake, 0, 0);
	atomic_store(&rt.over, 0);
	atomic_store(&rt.searching, 0);
	atomic_store(&rt.sleeping, 0);
	if (safe_syscall_init(0) && !safe_syscall_signal())
		return NULL;
	green_loop = loop_new();
	rt.threads = green_loop ? calloc((size_t)rt.count, sizeof *rt.threads) : NULL;
	if (!rt.threads || !(g = new_task(fn, arg)) || set_handlers())
		return NULL;
	g->join = DETACHED;
	return g;
}

/* The calling thread is the first. */
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
		pthread_cond_wait(&rt.gone, &call_lock);
	pthread_mutex_unlock(&call_lock);
	if (rt.has_ended)
		pthread_join(rt.ended, NULL);
	sigaction(SIGSEGV, &rt.old_fault, NULL);
	sigaction(rt.tick, &rt.old_tick, NULL);
	return error;
}

int green_run(int threads, void (*fn)(void *), void *arg)
{
	int stopped = 0, error;
	struct green *first;
	struct slab *slab;
	cpu_set_t set;

	if (threads < 0 || threads > THREADS_MAX || !fn)
		return green_fail(EINVAL);
	if (!atomic_compare_exchange_strong(&rt.runs, &stopped, 1))
		return green_fail(EBUSY);
	if (!threads)
		threads = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
	rt.count = threads;
	first = start(fn, arg);
	error = first ? run_all(first) : errno;
	pthread_cond_destroy(&rt.called);
	pthread_cond_destroy(&rt.gone);
	sem_destroy(&rt.wake);
	loop_free(green_loop);
	free(rt.threads);
	while ((slab = rt.slabs)) {
		rt.slabs = slab->next;
		free(slab);
	}
	atomic_store(&rt.live, 0);
	atomic_store(&rt.busy, 0);
	green_stacks_unmap();
	green_forget_fds();
	atomic_store(&rt.runs, 0);
	return error ? green_fail(error) : 0;
}
