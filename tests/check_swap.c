/* SPDX-License-Identifier: MIT */
/*
 * check_swap.c - a runtime that swaps contexts inside handlers: a task is interrupted
 * at every instruction of the stub, the hook is called, the task laid aside, others
 * make calls, and it goes on later, on the same thread of the kernel or on another.
 *
 * Two workers, threads of the kernel, do what the test tells them, one at a time.  A
 * task has a stack of its own.  It is laid aside in one of two ways:
 *
 *	KEPT	The handler runs on the task's stack and switches to the worker from
 *		there, as a function calls another.  To go on, a worker switches back
 *		and the handler returns.
 *	COPIED	The handler runs on the worker's alternate stack, which the next one will
 *		use too, and copies the context.  To go on, a worker sends itself a
 *		signal and puts the copy in the place of that handler's context.
 */
#include <fenv.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "breakpoint.h"
#include "code.h"

#ifdef HAVE_SWAPCONTEXT

#ifndef TA_THREAD_REGISTER
static inline void ta_take_thread(ucontext_t *uc)
{
	(void)uc;
}
#endif

#ifndef TA_THREAD_PRESERVED
# define TA_THREAD_PRESERVED (-1)
#endif

#ifndef TA_STATE_ELSEWHERE
static inline void *ta_state(const ucontext_t *uc, size_t *length)
{
	(void)uc;
	*length = 0;
	return NULL;
}

static inline void ta_set_state(ucontext_t *uc, void *state)
{
	(void)uc;
	(void)state;
}
#endif

enum how { KEPT, COPIED };
enum { STACK = 256 << 10, STATE_MAX = 16 << 10 };

/* What a handler saw of a task. */
struct seen {
	int count;
	enum safe_syscall_phase phase, after;
	int has_result;
	long result;
	int has_result_after;
	long result_after;
};

struct task {
	long (*body)(struct task *task);
	enum how how;
	int out;			/* laid aside, to be gone on with */
	int done;
	volatile int running;		/* the worker has come to it */
	long result;
	pid_t tid_after;		/* where the call returned */
	int worker_after;
	double sum;			/* of what registers held over the call */
	volatile int flag;
	struct seen seen;
	int pipe[2];
	void *stack;
	/* KEPT, and for the start of either */
	ucontext_t context;
	/* COPIED */
	mcontext_t registers;
	unsigned char mask[_NSIG / 8];
	size_t length;
	unsigned char state[STATE_MAX] __attribute__((aligned(64)));
};

struct worker {
	int number;
	pthread_t thread;
	pid_t tid;
	sem_t go;
	stack_t alternate;
	ucontext_t scheduler;
	volatile int back;
	struct task *task;
};

static struct worker workers[2];
static struct code code;
static sem_t finished;
static __thread struct worker *here;

/*
 * Not inline, and told to be different each time: the compiler must not keep the
 * address of a thread-local variable where a task may change its thread.
 */
static __attribute__((noinline)) struct worker *worker(void)
{
	__asm__ volatile ("" ::: "memory");
	return here;
}

static __attribute__((noinline)) pid_t tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* ---- what the handlers see, and do --------------------------------------- */

static uint64_t at_entry[TA_PRESERVED], at_return[TA_PRESERVED];
static int returned;

static void keep_registers(const ucontext_t *uc, uint64_t *to)
{
	int i;

	for (i = 0; i < TA_PRESERVED; i++)
		to[i] = ta_preserved(uc, i);
}

static void see(struct seen *seen, ucontext_t *uc)
{
	seen->count++;
	seen->has_result = safe_syscall_result(uc, &seen->result) == 0;
	seen->phase = safe_syscall_rewind(uc);
	seen->after = safe_syscall_classify(uc);
	seen->has_result_after = safe_syscall_result(uc, &seen->result_after) == 0;
}

static void copy_out(struct task *task, const ucontext_t *uc)
{
	const void *state = ta_state(uc, &task->length);

	task->registers = uc->uc_mcontext;
	memcpy(task->mask, &uc->uc_sigmask, sizeof task->mask);
	if (task->length > sizeof task->state)
		abort();
	memcpy(task->state, state, task->length);
}

static void copy_in(ucontext_t *uc, const struct task *task)
{
	size_t length;
	void *state = ta_state(uc, &length);

	uc->uc_mcontext = task->registers;
	memcpy(&uc->uc_sigmask, task->mask, sizeof task->mask);
	if (task->length) {
		/* the same processor state, in another frame */
		if (length != task->length)
			abort();
		memcpy(state, task->state, length);
		ta_set_state(uc, state);
	}
}

/*
 * The handler goes on, maybe on another thread of the kernel than the one it was
 * called on.  What of the context belongs to a thread: its pointer to thread-local
 * storage, where the context has that, and its alternate stack, which the kernel
 * sets when a handler returns.
 */
static __attribute__((noinline)) void adopt(ucontext_t *uc)
{
	ta_take_thread(uc);
	sigaltstack(NULL, &uc->uc_stack);
}

static void swap_out(ucontext_t *uc)
{
	struct task *task = worker()->task;

	see(&task->seen, uc);
	task->out = 1;
	if (task->how == COPIED) {
		copy_out(task, uc);
		setcontext(&worker()->scheduler);
	}
	swapcontext(&task->context, &worker()->scheduler);
	adopt(uc);
	task->running = 1;
}

static void swap_out_by_signal(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	swap_out(ucontext);
}

static void swap_in(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	copy_in(ucontext, worker()->task);
	ta_take_thread(ucontext);
	worker()->task->running = 1;
}

static void at_the_return(ucontext_t *uc)
{
	keep_registers(uc, at_return);
	returned = 1;
}

static int stop_at, stop_in_slot;

static void at_the_entry(ucontext_t *uc)
{
	keep_registers(uc, at_entry);
	if (stop_at == 0)
		swap_out(uc);
	else
		breakpoint_set(code.pc[stop_at], stop_in_slot, swap_out);
}

/* ---- workers and tasks --------------------------------------------------- */

/* For tests that are run in both ways. */
static enum how how_of(int i)
{
	return i & 1 ? COPIED : KEPT;
}

/* A copy is as large as the kernel's frames. */
#define SKIP_COPIED(how)						\
	do {								\
		if ((how) == COPIED && emulated())			\
			SKIP("the emulator's signal frames are its own");	\
	} while (0)

/* Start the worker's task, or go on with it, until it is laid aside or done. */
static void run_task(struct worker *w)
{
	struct task *task = w->task;

	w->back = 0;
	getcontext(&w->scheduler);
	if (w->back)
		return;
	w->back = 1;
	if (task->out && task->how == COPIED) {
		task->out = 0;
		raise(SIGUSR2);
		abort();
	}
	task->out = 0;
	setcontext(&task->context);
	abort();
}

/* Only a task is laid aside by a signal, and not a worker on its way to it. */
static void mask_suspension(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(how, &set, NULL);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	here = w;
	w->tid = tid();
	mask_suspension(SIG_BLOCK);
	sigaltstack(&w->alternate, NULL);
	sem_post(&finished);
	for (;;) {
		while (sem_wait(&w->go))
			;
		if (!w->task)
			return NULL;
		run_task(w);
		sem_post(&finished);
	}
}

static void await(void)
{
	while (sem_wait(&finished))
		;
}

static void set_to(struct worker *w, struct task *task)
{
	w->task = task;
	if (task)
		task->running = 0;
	sem_post(&w->go);
}

/* Its task has come to make a blocking call, in which it is now. */
static void wait_blocked(const struct worker *w)
{
	while (!w->task->running)
		pause_ms(1);
	wait_state(getpid(), w->tid, 'S');
}

static void run_on(int number, struct task *task)
{
	set_to(&workers[number], task);
	await();
}

static void *new_stack(void)
{
	void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(stack, MAP_FAILED);
	return stack;
}

static void on_alternate_stack(int sig)
{
	struct sigaction sa;

	ck_assert_int_eq(sigaction(sig, NULL, &sa), 0);
	sa.sa_flags |= SA_ONSTACK;
	ck_assert_int_eq(sigaction(sig, &sa, NULL), 0);
}

static void setup(void)
{
	struct worker *w;

	code_read(&code);
	breakpoint_prepare(code.entry);
	sem_init(&finished, 0, 0);
	for (w = workers; w < workers + 2; w++) {
		w->number = (int)(w - workers);
		w->alternate.ss_sp = new_stack();
		w->alternate.ss_size = STACK;
		sem_init(&w->go, 0, 0);
		ck_assert_int_eq(pthread_create(&w->thread, NULL, work, w), 0);
		await();
	}
}

/* For the way in which the tasks of a test are laid aside. */
static void set_handlers(enum how how)
{
	on_signal(SIGUSR1, SA_RESTART, swap_out_by_signal);
	on_signal(SIGUSR2, SA_ONSTACK, swap_in);
	if (how == COPIED) {
		on_alternate_stack(SIGTRAP);
		on_alternate_stack(SIGILL);
		on_alternate_stack(SIGUSR1);
	}
}

static void teardown(void)
{
	set_to(&workers[0], NULL);
	set_to(&workers[1], NULL);
	pthread_join(workers[0].thread, NULL);
	pthread_join(workers[1].thread, NULL);
}

/*
 * Numbers that are alive over the call, in registers that a function must keep where
 * there are such: tasks that run meanwhile use them too.
 */
static volatile double seed[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static __attribute__((noinline)) double sum_over(struct task *task, double factor)
{
	double a = seed[0] * factor, b = seed[1] * factor, c = seed[2] * factor;
	double d = seed[3] * factor, e = seed[4] * factor, f = seed[5] * factor;
	double g = seed[6] * factor, h = seed[7] * factor;

	task->running = 1;
	task->result = task->body(task);
	return a + b + c + d + e + f + g + h;
}

static __attribute__((noinline)) void note_end(struct task *task)
{
	mask_suspension(SIG_BLOCK);
	task->tid_after = tid();
	task->worker_after = worker()->number;
	task->done = 1;
	setcontext(&worker()->scheduler);
}

/* A pointer in two halves: makecontext(3) passes int. */
static void begin(unsigned int high, unsigned int low)
{
	struct task *task = (struct task *)
		(uintptr_t)((uint64_t)high << 32 | low);

	mask_suspension(SIG_UNBLOCK);
	task->sum = sum_over(task, (double)(task->pipe[0] + 1));
	note_end(task);
}

static void prepare(struct task *task, long (*body)(struct task *), enum how how)
{
	uint64_t word = (uintptr_t)task;

	task->body = body;
	task->how = how;
	task->out = task->done = task->flag = 0;
	task->sum = 0;
	task->result = -77777;
	memset(&task->seen, 0, sizeof task->seen);
	if (!task->stack) {
		task->stack = new_stack();
		ck_assert_int_eq(pipe(task->pipe), 0);
	}
	getcontext(&task->context);
	sigaddset(&task->context.uc_sigmask, SIGUSR1);	/* not before it is there */
	task->context.uc_stack.ss_sp = task->stack;
	task->context.uc_stack.ss_size = STACK;
	task->context.uc_link = NULL;
	makecontext(&task->context, (void (*)(void))begin, 2,
		    (unsigned int)(word >> 32), (unsigned int)word);
}

static int drain(const struct task *task)
{
	char buffer[64];
	int n;

	ck_assert_int_eq(ioctl(task->pipe[0], FIONREAD, &n), 0);
	if (n > (int)sizeof buffer)
		n = (int)sizeof buffer;
	if (n)
		ck_assert_int_eq(read(task->pipe[0], buffer, (size_t)n), n);
	return n;
}

/* All that a pipe holds. */
static int drain_all(const struct task *task)
{
	int n, all = 0;

	while ((n = drain(task)) > 0)
		all += n;
	return all;
}

/* ---- the calls ----------------------------------------------------------- */

static long succeeding(struct task *task)
{
	return safe_syscall_raw(&task->flag, SYS_write, task->pipe[1], "x", 1,
				0x4444, 0x5555, 0x6666);
}

static long failing(struct task *task)
{
	return safe_syscall_raw(&task->flag, SYS_write, -1, "x", 1,
				0x4444, 0x5555, 0x6666);
}

static long asking(struct task *task)
{
	return safe_syscall_raw(&task->flag, SYS_gettid);
}

static long reading(struct task *task)
{
	char c;

	return safe_syscall_raw(&task->flag, SYS_read, task->pipe[0], &c, 1);
}

static struct timespec left;

static long sleeping(struct task *task)
{
	static const struct timespec wait = { 1, 0 };

	return safe_syscall_raw(&task->flag, SYS_nanosleep, &wait, &left);
}

enum { WRITTEN = 1, TID = -1 };

static const struct call {
	const char *name;
	long (*make)(struct task *);
	int flag;			/* before the call */
	long result;			/* or TID */
	int bytes;			/* the side effect */
} calls[] = {
	{ "succeeding", succeeding, 0, 1, WRITTEN },
	{ "failing", failing, 0, -EBADF, 0 },
	{ "asking", asking, 0, TID, 0 },
	{ "flag set", succeeding, 1, -SAFE_ERESTARTSYS, 0 },
	{ NULL, NULL, 0, 0, 0 }
};

/* ---- at every instruction ------------------------------------------------ */

static struct task one, other;

static int in_slot(int i)
{
	return i > 0 && ta_has_slot(code_at(&code, i - 1));
}

static int shown(int i)
{
	return in_slot(i) ? i - 1 : i;
}

/* Others make calls on both threads; they come and go as they like. */
static void meanwhile(enum how how)
{
	prepare(&other, succeeding, how);
	run_on(0, &other);
	ck_assert_int_eq(other.result, 1);
	prepare(&other, failing, how);
	run_on(1, &other);
	ck_assert_int_eq(other.result, -EBADF);
	/* one that is itself laid aside, in the stub */
	prepare(&other, asking, how);
	breakpoint_set(code.pc[code.call], 0, swap_out);
	run_on(0, &other);
	ck_assert_int_eq(other.out, 1);
	run_on(0, &other);
	ck_assert_int_eq(other.done, 1);
	ck_assert_int_eq(other.result, workers[0].tid);
	ck_assert_int_eq(drain(&other), 1);
}

struct trial {
	const struct call *call;
	enum how how;
	int i;				/* the instruction where it is laid aside */
	int to;				/* the worker that goes on */
	int set;			/* the flag, meanwhile */
	int at;				/* the return to look at the registers */
};

static void expect(const struct trial *t, const struct seen *was)
{
	const struct call *call = t->call;
	int before = shown(t->i) <= code.call;
	long want = before && t->set ? -SAFE_ERESTARTSYS : call->result;
	int bytes = before && t->set ? 0 : call->bytes;
	enum safe_syscall_phase phase = code_phase(&code, shown(t->i), 0);

	if (want == TID)
		want = workers[before ? t->to : 0].tid;
	ck_assert_msg(one.done && one.result == want && drain(&one) == bytes,
		      "%s, instruction %d, %s, worker %d, flag %d: returned %ld not %ld",
		      call->name, t->i, t->how == KEPT ? "kept" : "copied", t->to,
		      t->set, one.result, want);
	ck_assert_int_eq(was->count, 1);
	if (!emulated() || t->i != code.call)
		ck_assert_int_eq(was->phase, phase);
	ck_assert_int_eq(was->has_result, phase == SAFE_SYSCALL_DONE);
	ck_assert_int_eq(was->has_result_after, phase == SAFE_SYSCALL_DONE);
	if (was->has_result) {
		ck_assert_int_eq(was->result, one.result);
		ck_assert_int_eq(was->result_after, one.result);
	}
}

static void expect_thread(int to)
{
	ck_assert_int_eq(one.tid_after, workers[to].tid);
	ck_assert_msg(one.worker_after == to,
		      "on thread %d the thread-local storage is of %d", to,
		      one.worker_after);
}

static void expect_registers(const struct trial *t)
{
	int r;

	for (r = 0; r < TA_PRESERVED; r++)
		ck_assert_msg(at_return[r] == at_entry[r] ||
			      (r == TA_THREAD_PRESERVED && t->to != 0),
			      "%s, instruction %d, %s: register %d is %jx not %jx",
			      t->call->name, t->i, t->how == KEPT ? "kept" : "copied",
			      r, (uintmax_t)at_return[r], (uintmax_t)at_entry[r]);
	ck_assert_double_eq(one.sum, 36.0 * (one.pipe[0] + 1));
}

/* Was the instruction executed?  Tells in *through whether the return was. */
static int try(const struct trial *t, int *through)
{
	struct seen was;

	prepare(&one, t->call->make, t->how);
	one.flag = t->call->flag;
	stop_at = t->i;
	stop_in_slot = in_slot(t->i);
	breakpoint_set(code.entry, 0, at_the_entry);
	run_on(0, &one);
	breakpoint_clear();
	if (!one.out) {
		ck_assert_int_eq(one.done, 1);
		drain(&one);
		return 0;
	}
	was = one.seen;
	meanwhile(t->how);
	if (t->set)
		one.flag = 1;
	returned = 0;
	breakpoint_set(code.pc[t->at], 0, at_the_return);
	run_on(t->to, &one);
	breakpoint_clear();
	*through = returned;
	expect(t, &was);
	expect_thread(t->to);
	if (returned)
		expect_registers(t);
	return 1;
}

/* From there, or from it, by each of the returns; one of them must be met. */
static int try_returns(struct trial *t)
{
	int through, met = 0, hit = 0;

	for (t->at = shown(t->i); t->at < code.count; t->at++) {
		if (!ta_is_return(code_at(&code, t->at)))
			continue;
		through = 0;
		if (!try(t, &through))
			return 0;
		hit = 1;
		met += through;
	}
	ck_assert_msg(!hit || met, "%s, instruction %d: no return", t->call->name, t->i);
	return hit;
}

static void every_instruction(enum how how)
{
	struct trial t = { .how = how };
	int hits = 0, variant;

	set_handlers(how);
	for (t.call = calls; t.call->name; t.call++) {
		for (t.i = 0; t.i < code.count; t.i++) {
			for (variant = 0; variant < 4; variant++) {
				t.to = variant & 1;
				t.set = variant >> 1;
				if (!try_returns(&t))
					break;
				hits++;
			}
		}
	}
	ck_assert_int_ge(hits, 4 * (2 * TA_NORMAL + TA_FAILED));
}

START_TEST(kept_at_every_instruction)
{
	every_instruction(KEPT);
}
END_TEST

START_TEST(copied_at_every_instruction)
{
	SKIP_COPIED(COPIED);
	every_instruction(COPIED);
}
END_TEST

/* ---- after having blocked ------------------------------------------------ */

/* Interrupted while it blocked; emulators of user mode show other registers. */
static void expect_blocked(void)
{
	if (!emulated() || one.seen.phase != SAFE_SYSCALL_BEFORE)
		ck_assert_int_eq(one.seen.phase, SAFE_SYSCALL_AT_CALL);
	ck_assert_int_eq(one.seen.after, SAFE_SYSCALL_BEFORE);
	ck_assert_int_eq(one.seen.has_result, 0);
}

/* The task reads what is not there yet and is laid aside by a signal. */
static void block_and_swap_out(enum how how)
{
	set_handlers(how);
	prepare(&one, reading, how);
	set_to(&workers[0], &one);
	wait_blocked(&workers[0]);
	pthread_kill(workers[0].thread, SIGUSR1);
	await();
	ck_assert_int_eq(one.out, 1);
	expect_blocked();
	meanwhile(how);
}

START_TEST(blocked_and_flag_set)
{
	int to = _i >> 1;

	SKIP_COPIED(how_of(_i));
	block_and_swap_out(how_of(_i));
	one.flag = 1;
	ck_assert_int_eq(write(one.pipe[1], "x", 1), 1);
	run_on(to, &one);
	ck_assert_int_eq(one.result, -SAFE_ERESTARTSYS);
	ck_assert_int_eq(drain(&one), 1);
	expect_thread(to);
}
END_TEST

/* It waits again, and is laid aside there again: from thread to thread. */
START_TEST(blocked_again_and_again)
{
	int i, to = 0;

	SKIP_COPIED(how_of(_i));
	block_and_swap_out(how_of(_i));
	for (i = 0; i < 3; i++) {
		to = _i >> 1 ? i % 2 == 0 : 0;
		set_to(&workers[to], &one);
		wait_blocked(&workers[to]);
		pthread_kill(workers[to].thread, SIGUSR1);
		await();
		ck_assert_int_eq(one.out, 1);
		expect_blocked();
	}
	set_to(&workers[!to], &one);
	wait_blocked(&workers[!to]);
	ck_assert_int_eq(one.done, 0);
	ck_assert_int_eq(write(one.pipe[1], "x", 1), 1);
	await();
	ck_assert_int_eq(one.done, 1);
	ck_assert_int_eq(one.result, 1);
	ck_assert_int_eq(drain(&one), 0);
	ck_assert_int_eq(one.seen.count, 4);
	expect_thread(!to);
}
END_TEST

/* ---- at any time -------------------------------------------------------------- */

static volatile int stop;
static volatile unsigned long produced, consumed, wrong;

/* The call of a task that does nothing else, or -SAFE_ERESTARTSYS: not made. */
static long transfer(struct task *task, long number, int fd, unsigned char *byte)
{
	long n = safe_syscall_raw(&task->flag, number, fd, byte, 1);

	if (n == -SAFE_ERESTARTSYS) {
		wrong += !task->flag;
		task->flag = 0;
	} else {
		wrong += n != 1;
	}
	return n;
}

static long producing(struct task *task)
{
	unsigned char byte;

	while (!stop) {
		byte = (unsigned char)produced;
		if (transfer(task, SYS_write, one.pipe[1], &byte) == 1)
			produced++;
	}
	return 0;
}

static long consuming(struct task *task)
{
	unsigned char byte;

	while (!stop) {
		if (transfer(task, SYS_read, one.pipe[0], &byte) != 1)
			continue;
		wrong += byte != (unsigned char)consumed;
		consumed++;
	}
	return 0;
}

/*
 * Both threads run a task, are told to lay it aside at some time, and may go on with
 * the other's.  What one writes the other reads, each byte once and in order.
 */
START_TEST(at_any_time)
{
	enum how how = how_of(_i);
	struct task *tasks[] = { &one, &other };
	int i, w;

	SKIP_COPIED(how);
	set_handlers(how);
	prepare(&one, producing, how);
	prepare(&other, consuming, how);
	for (i = 0; i < 600; i++) {
		for (w = 0; w < 2; w++)
			set_to(&workers[w], tasks[(w + i / 3) % 2]);
		usleep((useconds_t)(rand() % 400));
		for (w = 0; w < 2; w++)
			pthread_kill(workers[w].thread, SIGUSR1);
		await();
		await();
		ck_assert_int_eq(one.out && other.out, 1);
		if (i % 5 == 0)
			tasks[i % 2]->flag = 1;
	}
	stop = one.flag = other.flag = 1;
	run_on(0, &one);
	run_on(1, &other);
	ck_assert_int_eq(one.done && other.done, 1);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_gt(consumed, 0);
	ck_assert_uint_eq(consumed + (unsigned long)drain_all(&one), produced);
}
END_TEST

/* ---- a timed wait, stopped and continued --------------------------------- */

static void stop_and_continue(pid_t pid, pid_t thread)
{
	breakpoint_write();
	kill(pid, SIGSTOP);
	wait_state(pid, thread, 'T');
	kill(pid, SIGCONT);
	_exit(0);
}

/* The rest of the wait is the thread's; what the hook has made of it goes anywhere. */
START_TEST(stopped_wait)
{
	uintptr_t call = code.pc[code.call];
	uintptr_t site = ta_restart_site(call);
	enum how how = how_of(_i);
	int to = _i >> 1 & 1, set = _i >> 2;
	pid_t parent = getpid(), child;

	if (ta_restarts_inside())
		SKIP("the kernel resumes a stopped wait without coming back");
	if (emulated())
		SKIP("the emulator restarts the call inside itself");
	if (site != call)
		breakpoint_prepare(site);
	set_handlers(how);
	left.tv_sec = left.tv_nsec = -1;
	prepare(&one, sleeping, how);
	breakpoint_announce(site, 0, swap_out);
	set_to(&workers[0], &one);
	wait_blocked(&workers[0]);
	child = fork();
	ck_assert_int_ne(child, -1);
	if (!child)
		stop_and_continue(parent, workers[0].tid);
	await();
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_msg(breakpoint_clear(), "the kernel did not come back that way");
	ck_assert_int_eq(one.out, 1);
	ck_assert_int_eq(one.seen.phase, SAFE_SYSCALL_RESTART_BLOCK);
	ck_assert_int_eq(one.seen.has_result, 0);
	ck_assert_int_eq(one.seen.after, SAFE_SYSCALL_DONE);
	ck_assert_int_eq(one.seen.has_result_after, 1);
	ck_assert_int_eq(one.seen.result_after, -EINTR);
	meanwhile(how);
	one.flag = set;
	run_on(to, &one);
	ck_assert_int_eq(one.done, 1);
	ck_assert_int_eq(one.result, -EINTR);
	ck_assert_int_eq(left.tv_sec, 0);
	ck_assert_int_gt(left.tv_nsec, 0);
	expect_thread(to);
}
END_TEST

/* ---- what of a context belongs to a thread ------------------------------- */

static stack_t stack_after;

static long ask_for_stack(struct task *task)
{
	long result = asking(task);

	sigaltstack(NULL, &stack_after);
	return result;
}

/* The alternate stack of the thread that went on is its own. */
START_TEST(alternate_stack)
{
	enum how how = how_of(_i);

	SKIP_COPIED(how);
	set_handlers(how);
	prepare(&one, ask_for_stack, how);
	breakpoint_set(code.pc[code.call], 0, swap_out);
	run_on(0, &one);
	ck_assert_int_eq(one.out, 1);
	run_on(1, &one);
	ck_assert_int_eq(one.done, 1);
	ck_assert_ptr_eq(stack_after.ss_sp, workers[1].alternate.ss_sp);
}
END_TEST

/* How floating-point numbers are rounded, which a function must keep too. */
#if defined FE_TOWARDZERO && defined FE_UPWARD
static int rounding_after;

static long round_to_zero(struct task *task)
{
	long result;

	fesetround(FE_TOWARDZERO);
	result = asking(task);
	rounding_after = fegetround();
	fesetround(FE_TONEAREST);
	return result;
}

static long round_upward(struct task *task)
{
	long result;

	fesetround(FE_UPWARD);
	result = asking(task);
	fesetround(FE_TONEAREST);
	return result;
}
#endif

START_TEST(rounding)
{
#if defined FE_TOWARDZERO && defined FE_UPWARD
	enum how how = how_of(_i);
	int to = _i >> 1;

	if (emulated())
		SKIP("the emulator's signal frames are its own");
	set_handlers(how);
	prepare(&one, round_to_zero, how);
	breakpoint_set(code.pc[code.call], 0, swap_out);
	run_on(0, &one);
	/* in the same state, on the thread that goes on */
	prepare(&other, round_upward, how);
	breakpoint_set(code.pc[code.call], 0, swap_out);
	run_on(to, &other);
	ck_assert_int_eq(one.out && other.out, 1);
	run_on(to, &one);
	run_on(to, &other);
	ck_assert_int_eq(one.done && other.done, 1);
	ck_assert_int_eq(rounding_after, FE_TOWARDZERO);
#else
	SKIP("without floating-point hardware there is one way only");
#endif
}
END_TEST

#else

START_TEST(swapping)
{
	SKIP("this libc has no swapcontext");
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("swap");
	TCase *tc = tcase_create("contexts");

	tcase_set_timeout(tc, 60);
#ifdef HAVE_SWAPCONTEXT
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, kept_at_every_instruction);
	tcase_add_test(tc, copied_at_every_instruction);
	tcase_add_loop_test(tc, blocked_and_flag_set, 0, 4);
	tcase_add_loop_test(tc, blocked_again_and_again, 0, 4);
	tcase_add_loop_test(tc, at_any_time, 0, 2);
	tcase_add_loop_test(tc, stopped_wait, 0, 8);
	tcase_add_loop_test(tc, alternate_stack, 0, 2);
	tcase_add_loop_test(tc, rounding, 0, 4);
#else
	tcase_add_test(tc, swapping);
#endif
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
