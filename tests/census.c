/* SPDX-License-Identifier: MIT */
/*
 * census.c - random interrupts of scopes, and everything counted in the end
 *
 * Workers open FIFOs, accept and connect, read, write, lock, and wait for children
 * and for a futex, each in scopes that are entered, nested, left and rearmed at
 * random.  Hunters, and handlers of signals on the workers and of their timers,
 * interrupt these scopes at any time, also before they are entered and after
 * they have been left; some have a deadline.  Other handlers come in between that know nothing of the
 * library: with and without SA_RESTART, wrapped, slow, making calls, left by
 * siglongjmp.
 *
 * Of each interrupt it is known when it was begun and when it had returned.  So
 * it is known of each call, leave and rearm whether it may have been interrupted,
 * whether it must have been, and whether an EINTR is anybody's.
 *
 *	SAFE_SYSCALL_CENSUS_ROUNDS	how many; default: as many as there is time for
 *	SAFE_SYSCALL_TORTURE_SECONDS	how long without that; default 3
 *	SAFE_SYSCALL_TORTURE_SEED	for the same choices again
 *	SAFE_SYSCALL_CENSUS_JUMPS	0: no handler leaves by siglongjmp
 */
#define _FILE_OFFSET_BITS 64		/* one struct flock on every machine */
#include <pthread.h>
#include <setjmp.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "stand_in.h"
#include "testing.h"

#ifdef SYS_fcntl64
# define SYS_LOCK SYS_fcntl64
#else
# define SYS_LOCK SYS_fcntl
#endif
#ifndef F_OFD_GETLK
# define F_OFD_GETLK 36
# define F_OFD_SETLKW 38
#endif
#ifndef sigev_notify_thread_id		/* older C libraries lack the name */
# define sigev_notify_thread_id _sigev_un._tid
#endif
enum { WAIT_PRIVATE = 128, WAKE_PRIVATE };	/* of <linux/futex.h> */

enum { WORKERS = 6, HUNTERS = 2, THREADS = WORKERS + HUNTERS, OPERATIONS = 8 };
#ifndef STUCK
# define STUCK 60.0			/* seconds without any progress */
#endif

/* ---- choices -------------------------------------------------------------- */

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* ---- operations ------------------------------------------------------------- */

/*
 * A scope, and what is known of the interrupts aimed at it.  It may be aimed at as
 * long as it is not closed, which is after it has been left.  Everything counts up.
 */
struct operation {
	safe_syscall_scope own, *scope;
	struct operation *volatile around;
	size_t begun;			/* interrupts; the lowest bit: closed */
	size_t returned;
	/* of the worker alone: */
	size_t surely_old;		/* so many were over before the last rearm */
	volatile size_t maybe_old;	/* no more than so many began before its end */
	int inherited;			/* one around it was interrupted at enter */
	double due;			/* its deadline; 0: nothing comes of one any more */
};

/* What a signal handler counts, only its thread reads, and the other way round. */
static struct thread {
	int index;
	pthread_t thread;
	timer_t timer;
	pid_t tid;
	uint32_t random, handler_random;
	volatile unsigned long others;		/* handlers that came in between */
	volatile unsigned long stopping;	/* of these, without SA_RESTART */
	volatile unsigned long sent, sent_in_handlers;
	volatile int aiming, may_jump, in_handler;
	sigjmp_buf jump;

	struct operation operations[OPERATIONS], outermost;
	struct operation *volatile top;
	int last;				/* of operations[] */
	volatile unsigned long rounds;
	volatile int finished, let_alone, call;
	int pipe_in, pipe_out, flock_fd, ofd_fd, word;
	unsigned char read_next, write_next;
	unsigned long calls, restarted, eintr, by_leave, by_rearm, by_deadline,
		late, jumped;
	unsigned long read, written, opened, accepted, connected, flocked, ofd_locked,
		children, woken, woke;
} threads[THREADS];

static __thread struct thread *self;
static uint32_t seed;
static volatile int stop, hunters_stop;
static int jumps;
static pthread_barrier_t all_ready, all_finished;

static int wrong(const char *what)
{
	/* Check would print this from the main thread only when it is over */
	fprintf(stderr, "census: seed %u: thread %d: %s\n", seed,
		self ? self->index : -1, what);
	_exit(1);
}

#define WANT(condition) ((void)((condition) || wrong(#condition)))

static size_t begun(struct operation *op)
{
	return __atomic_load_n(&op->begun, __ATOMIC_SEQ_CST) >> 1;
}

static size_t returned(struct operation *op)
{
	return __atomic_load_n(&op->returned, __ATOMIC_SEQ_CST);
}

/* A deadline may have interrupted it from its time on, and not before. */
static int is_due(const struct operation *op)
{
	return op->due != 0 && now() >= op->due;
}

/* Is there an interrupt that has not been taken back? */
static int may_be_interrupted(struct operation *op)
{
	return begun(op) > op->surely_old || is_due(op);
}

/* What leave, rearm and interrupted say: 2 is a deadline's, 1 is not. */
static int is_of_somebody(struct operation *op, int said)
{
	return said == 0 || (said == 1 && begun(op) > op->surely_old) ||
		(said == 2 && is_due(op));
}

static int must_be_interrupted(struct operation *op)
{
	return returned(op) > op->maybe_old;
}

static int aim_at(struct thread *t, struct operation *op)
{
	size_t old = __atomic_load_n(&op->begun, __ATOMIC_SEQ_CST);
	int error = errno;

	errno = 1234;
	do {
		if (old & 1) {
			errno = error;
			return 0;
		}
	} while (!__atomic_compare_exchange_n(&op->begun, &old, old + 2, 0,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	t->sent++;
	WANT(safe_syscall_interrupt(op->scope) == 0);
	WANT(errno == 1234);
	__atomic_add_fetch(&op->returned, 1, __ATOMIC_SEQ_CST);
	errno = error;
	return 1;
}

/*
 * A lost wake-up is not seen where the next signal wakes.  So in half of the calls
 * a worker that one interrupt must bring back gets no other signal.
 */
static int is_let_alone(struct thread *w)
{
	struct operation *op;

	for (op = w->top; op && w->let_alone; op = op->around)
		if (must_be_interrupted(op))
			return 1;
	return 0;
}

/* A worker's innermost operation, most of the time, or one around it. */
static void aim(struct thread *t, uint32_t *random)
{
	uint32_t r = next(random);
	struct thread *w = &threads[r % WORKERS];
	struct operation *op;

	t->aiming++;			/* must not be left by siglongjmp */
	op = is_let_alone(w) ? NULL : w->top;
	for (r >>= 8; op && op->around && r % 4 == 0; r /= 4)
		op = op->around;
	if (op && (op != &w->outermost || r % 4 == 0))
		aim_at(t, op);
	t->aiming--;
}

static void nap(long nanoseconds)
{
	struct timespec ts = { 0, nanoseconds };

	nanosleep(&ts, NULL);
}

/* Any step may take long. */
static void dawdle(uint32_t *random)
{
	uint32_t r = next(random);

	if (r % 16 == 0)
		sched_yield();
	else if (r % 16 == 1)
		nap((long)(r >> 8 & 0x7fff));
	else if (r % 16 < 4)
		for (r = r >> 8 & 1023; r > 0; r--)
			__asm__ volatile ("" ::: "memory");
}

/*
 * The library is about to send an interrupt, which has been marked already.  There the
 * races with leave and rearm are, so there it may take long.
 */
static int may_take_long(long number)
{
	struct thread *t = self;
	int error = errno;

	if (t && number == SYS_tgkill) {
		uint32_t r = next(&t->handler_random);

		if (r % 8 == 0)
			nap((long)(r >> 8 & 0x1ffff));
	}
	errno = error;
	return 0;
}

/* ---- the handlers of others ------------------------------------------------- */

/* What their signals are, and how they are handled. */
static const struct handling {
	int signal, flags;
	int wrapped, jumps;
} handlings[] = {
	{ SIGUSR1, SA_RESTART | SA_ONSTACK, 0, 0 },
	{ SIGUSR2, 0, 0, 0 },
	{ SIGWINCH, SA_RESTART, 1, 0 },
	{ SIGPWR, SA_RESTART, 0, 1 },
};

enum { HANDLINGS = sizeof handlings / sizeof handlings[0] };

static void on_other(int sig)
{
	const struct handling *h = handlings;
	struct thread *t = self;
	int error = errno;
	uint32_t r;
	long pid;

	while (h->signal != sig)
		h++;
	t->others++;
	t->stopping += !(h->flags & SA_RESTART);
	r = next(&t->handler_random);
	if (jumps && h->jumps && t->may_jump && !t->aiming) {
		t->may_jump = 0;
		siglongjmp(t->jump, 1);
	}
	switch (r % 8) {
	case 0:
	case 1:
	case 2:
		aim(t, &t->handler_random);
		t->sent_in_handlers++;
		break;
	case 3:
		pid = safe_syscall(SYS_getppid);
		WANT(pid > 0 || errno == SAFE_ERESTARTSYS);
		break;
	default:
		dawdle(&t->handler_random);
	}
	errno = error;
}

static void handle_others(void)
{
	struct sigaction sa;
	int i;

	for (i = 0; i < HANDLINGS; i++) {
		memset(&sa, 0, sizeof sa);
		sa.sa_handler = on_other;
		sa.sa_flags = handlings[i].flags;
		ck_assert_int_eq((handlings[i].wrapped ? safe_syscall_sigaction :
				  sigaction)(handlings[i].signal, &sa, NULL), 0);
	}
}

static void set_timer(struct thread *t)
{
	struct itimerspec when = { { 0, 0 }, { 0, 1 } };

	when.it_value.tv_nsec += next(&t->random) & 0x3fff;
	WANT(timer_settime(t->timer, 0, &when, NULL) == 0);
}

/* The thread's own beginning. */
static void begin(struct thread *t)
{
	struct sigevent event;

	self = t;
	t->tid = (pid_t)syscall(SYS_gettid);
	memset(&event, 0, sizeof event);
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_notify_thread_id = t->tid;
	event.sigev_signo = handlings[t->index % HANDLINGS].signal;
	WANT(timer_create(CLOCK_MONOTONIC, &event, &t->timer) == 0);
}

/* ---- calls, judged ---------------------------------------------------------- */

struct before {
	unsigned long others, stopping;
	int must;
};

static struct before look(struct thread *w)
{
	struct before b = { w->others, w->stopping, 0 };

	dawdle(&w->random);
	b.must = w->top->inherited || must_be_interrupted(w->top);
	return b;
}

static int is_explained(struct thread *w)
{
	struct operation *op;

	for (op = w->top; op; op = op->around)
		if (may_be_interrupted(op))
			return 1;
	return 0;
}

/* May the kernel say EINTR where a handler has SA_RESTART?  Else it restarts. */
enum restarts { RESTARTS, NEVER_RESTARTS };

static long judge(struct thread *w, const struct before *b, long result,
		  enum restarts restarts)
{
	int error = errno;

	w->calls++;
	if (result == -1 && error == SAFE_ERESTARTSYS) {
		w->restarted++;
		if (!is_explained(w))
			wrong("a call was interrupted by nobody");
	} else if (b->must) {
		wrong("an interrupt did not stop the next call");
	} else if (result == -1 && error == EINTR) {
		w->eintr++;
		if (w->stopping == b->stopping &&
		    !(restarts == NEVER_RESTARTS &&
		      (w->others != b->others || is_explained(w))))
			wrong("EINTR from nobody");
	}
	errno = error;
	return result;
}

#define CALL_AS(restarts, ...)						\
	({								\
		struct before b_ = look(w);				\
		judge(w, &b_, safe_syscall(__VA_ARGS__), restarts);	\
	})
#define CALL(...) CALL_AS(RESTARTS, __VA_ARGS__)

/* It has failed; that it was interrupted is the only reason there is. */
static void want_interrupted(void)
{
	if (errno != SAFE_ERESTARTSYS && errno != EINTR) {
		fprintf(stderr, "census: %s\n", strerror(errno));
		wrong("a call failed");
	}
}

/* ---- what is called ------------------------------------------------------------ */

static char dir[] = "/tmp/safe_syscall.XXXXXX";
static char fifo[64];
static int listener, never[2];
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t length = sizeof address;
static volatile int flock_holders, ofd_holders;

static void do_read(struct thread *w)
{
	unsigned char data[64];
	long i, n = 1 + next(&w->random) % (long)sizeof data;

	n = CALL(SYS_read, w->pipe_in, data, n);
	if (n < 0)
		want_interrupted();
	for (i = 0; i < n; i++)
		WANT(data[i] == w->read_next++);
	w->read += n > 0 ? (unsigned long)n : 0;
}

static void do_write(struct thread *w)
{
	unsigned char data[64];
	long i, wanted = 1 + next(&w->random) % (long)sizeof data, n;

	for (i = 0; i < wanted; i++)
		data[i] = (unsigned char)(w->write_next + i);
	n = CALL(SYS_write, w->pipe_out, data, wanted);
	if (n < 0)
		want_interrupted();
	else
		WANT(n == wanted);		/* a pipe takes few at once */
	w->write_next = (unsigned char)(w->write_next + (n > 0 ? n : 0));
	w->written += n > 0 ? (unsigned long)n : 0;
}

/* Both ends wait for the other. */
static void do_open(struct thread *w)
{
	long flags = next(&w->random) & 8 ? O_RDONLY : O_WRONLY;
	long fd = CALL(SYS_openat, AT_FDCWD, fifo, flags);
	struct stat st;

	if (fd < 0) {
		want_interrupted();
		return;
	}
	WANT(fstat((int)fd, &st) == 0 && S_ISFIFO(st.st_mode));
	WANT(close((int)fd) == 0);
	w->opened++;
}

static void do_accept(struct thread *w)
{
	long fd = CALL(SYS_accept4, listener, NULL, NULL, 0);

	if (fd < 0) {
		want_interrupted();
		return;
	}
	WANT(close((int)fd) == 0);
	w->accepted++;
}

static void do_connect(struct thread *w)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (CALL(SYS_connect, fd, &address, length) == 0)
		w->connected++;
	else
		want_interrupted();
	WANT(close(fd) == 0);
}

static void have_lock(volatile int *holders, uint32_t *random)
{
	WANT(++*holders == 1);
	dawdle(random);
	WANT(--*holders == 0);
}

static void do_flock(struct thread *w)
{
	if (CALL(SYS_flock, w->flock_fd, LOCK_EX)) {
		want_interrupted();
		return;
	}
	have_lock(&flock_holders, &w->random);
	WANT(flock(w->flock_fd, LOCK_UN) == 0);
	w->flocked++;
}

static struct flock whole_file(short type)
{
	struct flock l;

	memset(&l, 0, sizeof l);
	l.l_type = type;
	l.l_whence = SEEK_SET;
	return l;
}

static void do_ofd_lock(struct thread *w)
{
	struct flock l = whole_file(F_WRLCK);

	if (CALL(SYS_LOCK, w->ofd_fd, F_OFD_SETLKW, &l)) {
		want_interrupted();
		return;
	}
	have_lock(&ofd_holders, &w->random);
	l = whole_file(F_UNLCK);
	WANT(fcntl(w->ofd_fd, F_OFD_SETLKW, &l) == 0);
	w->ofd_locked++;
}

static void do_wait(struct thread *w)
{
	int code = (int)(next(&w->random) >> 8 & 127), status = -1;
	pid_t pid;
	long r;

	if (next(&w->random) % 16)		/* costs much */
		return;
	pid = fork();
	WANT(pid >= 0);
	if (pid == 0) {
		nap(code * 1000);
		_exit(code);
	}
	r = CALL(SYS_wait4, pid, &status, 0, NULL);
	if (r < 0) {
		want_interrupted();
		while ((r = waitpid(pid, &status, 0)) == -1 && errno == EINTR)
			;
	}
	WANT(r == pid);
	WANT(WIFEXITED(status) && WEXITSTATUS(status) == code);
	w->children++;
}

/* Who was woken is told so: a wake goes to one waiter. */
static void do_futex(struct thread *w)
{
	if (CALL(SYS_futex, &w->word, WAIT_PRIVATE, 0, NULL) == 0)
		w->woken++;
	else
		want_interrupted();
}

static void do_wake(struct thread *w)
{
	long n = syscall(SYS_futex, &threads[next(&w->random) % WORKERS].word,
			 WAKE_PRIVATE, 1);

	WANT(n == 0 || n == 1);
	w->woke += (unsigned long)n;
}

/* The kernel never restarts this one. */
static void do_sleep(struct thread *w)
{
	WANT(CALL_AS(NEVER_RESTARTS, SYS_ppoll, NULL, 0, NULL, NULL, 0) == -1);
	want_interrupted();
}

static void unblock_others(void)
{
	sigset_t set;
	int i;

	sigemptyset(&set);
	for (i = 0; i < HANDLINGS; i++)
		sigaddset(&set, handlings[i].signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Blocks until it is interrupted, or a handler leaves. */
static void do_jump(struct thread *w)
{
	char c;

	if (sigsetjmp(w->jump, (next(&w->random) & 8) != 0)) {
		/* without the mask: the handler's signal is still blocked */
		unblock_others();
		/* and the interrupt signal until here: save no mask before */
		CALL(SYS_getppid);
		w->jumped++;
		return;
	}
	w->may_jump = 1;
	WANT(CALL(SYS_read, never[0], &c, 1) == -1);
	w->may_jump = 0;
	want_interrupted();
}

static void (*const calls[])(struct thread *) = {
	do_read, do_write, do_open, do_accept, do_connect, do_flock, do_ofd_lock,
	do_wait, do_futex, do_wake, do_sleep, do_jump, do_read, do_write, do_open,
	do_accept, do_connect, do_flock, do_ofd_lock
};

/* ---- rounds ----------------------------------------------------------------- */

static void enter(struct thread *w)
{
	struct operation *outer = w->top;
	struct operation *op = &w->operations[w->last++ % OPERATIONS];
	static const safe_syscall_scope fresh = SAFE_SYSCALL_SCOPE_INIT;

	op->own = fresh;
	op->scope = &op->own;
	op->around = outer;
	op->returned = op->surely_old = op->maybe_old = 0;
	op->due = 0;
	__atomic_store_n(&op->begun, 0, __ATOMIC_SEQ_CST);
	/* from here on it can be aimed at */
	w->top = op;
	dawdle(&w->random);
	op->inherited = outer->inherited || must_be_interrupted(outer);
	WANT(safe_syscall_enter(op->scope) == 0);
}

/* Rounded up: the library says it at a time that is due, whatever a double makes of that. */
static void set_deadline(struct operation *op, double seconds)
{
	double when = now() + seconds;
	struct timespec ts;

	ts.tv_sec = (time_t)when;
	ts.tv_nsec = (long)((when - (double)ts.tv_sec) * 1e6) * 1000 + 1000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	op->due = when;
	if (safe_syscall_deadline(op->scope, &ts)) {
		WANT(errno == EAGAIN);		/* the queue of signals is full */
		op->due = 0;
	}
}

/* What is sent while all signals are blocked is still to come for sure. */
static int block_sometimes(struct thread *w, sigset_t *old)
{
	int block = next(&w->random) % 4 == 0;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, block ? &all : NULL, old);
	dawdle(&w->random);
	return block;
}

/* Those of op that were under way have marked it by now, or rearm took them. */
static int is_explained_by_now(struct thread *w, struct operation *op)
{
	struct operation *o;

	for (o = w->top; o; o = o->around) {
		if (!may_be_interrupted(o))
			continue;
		if (o != op || returned(op) < begun(op) ||
		    safe_syscall_interrupted(op->scope))
			return 1;
	}
	return 0;
}

/*
 * Its interrupts have been taken back, or it has been left, and interrupters may
 * still be under way.  It is their signals that must not come here.  mask: the one
 * to wait with.
 */
static void expect_quiet(struct thread *w, struct operation *op, const sigset_t *mask)
{
	const struct timespec none = { 0, 0 }, some = { 0, 100000 };
	int under_way, disturbed = 0;

	do {
		struct timespec ts;
		unsigned long others = w->others;

		under_way = returned(op) < begun(op) &&
			    (disturbed || next(&w->random) % 8);
		ts = under_way ? some : none;
		if (ppoll(NULL, 0, &ts, mask) == 0)
			continue;
		WANT(errno == EINTR);
		disturbed |= w->others == others;
	} while (under_way);
	if (disturbed && !is_explained_by_now(w, op))
		wrong("a stale EINTR");
}

static void rearm(struct thread *w, struct operation *op)
{
	struct operation *inner;
	int blocked, must, may, was, was_due;
	sigset_t mask;
	size_t old;

	blocked = block_sometimes(w, &mask);
	old = returned(op);
	must = must_be_interrupted(op);
	/* for the library as well, see set_deadline() */
	was_due = op->due != 0 && now() >= op->due + 3e-6;
	was = safe_syscall_rearm(op->scope);
	may = is_of_somebody(op, was);
	if (was_due)
		op->due = 0;
	WANT(was >= 0 && was <= 2);
	if (!may)
		wrong("rearm found an interrupt of nobody");
	if (!was && must)
		wrong("rearm did not find an interrupt");
	w->by_rearm += (unsigned long)(was != 0);
	w->by_deadline += (unsigned long)(was == 2);
	op->surely_old = old;
	op->maybe_old = begun(op);
	for (inner = w->top; ; inner = inner->around) {
		inner->inherited = 0;
		if (inner == op)
			break;
	}
	expect_quiet(w, op, &mask);
	if (blocked)
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* Nobody aims at it any more. */
static void close_operation(struct operation *op)
{
	int i;

	__atomic_or_fetch(&op->begun, 1, __ATOMIC_SEQ_CST);
	for (i = 0; returned(op) < begun(op); i++)
		if (i < 32)
			sched_yield();
		else
			nap(20000);
}

static void leave(struct thread *w)
{
	struct operation *op = w->top;
	sigset_t mask;
	int blocked = block_sometimes(w, &mask);
	int must, was, is;

	must = must_be_interrupted(op);
	was = safe_syscall_leave(op->scope);
	WANT(was >= 0 && was <= 2);
	if (!is_of_somebody(op, was))
		wrong("leave found an interrupt of nobody");
	if (!was && must)
		wrong("leave did not find an interrupt");
	w->by_leave += (unsigned long)(was != 0);
	w->by_deadline += (unsigned long)(was == 2);
	if (!is_due(op))
		op->due = 0;
	w->top = op->around;
	expect_quiet(w, op, &mask);
	if (blocked)
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
	/* some aim at it only now */
	w->top = op;
	dawdle(&w->random);
	w->top = op->around;
	close_operation(op);
	is = safe_syscall_interrupted(op->scope);
	if (!is && must_be_interrupted(op))
		wrong("an interrupt left no mark");
	if (!is_of_somebody(op, is))
		wrong("a mark of nobody");
	w->late += (unsigned long)(is && !was);
}

/* In the past, near, far. */
static void limit(struct thread *w)
{
	static const double seconds[] = { -1, 0, 5e-6, 20e-6, 50e-6, 100e-6, 300e-6, 10 };

	if (w->top->due == 0 && next(&w->random) % 4 == 0)
		set_deadline(w->top, seconds[next(&w->random) % 8]);
}

/* Taken back: what has come of it stays. */
static void lift(struct thread *w, struct operation *op)
{
	sigset_t mask;
	int blocked = block_sometimes(w, &mask);

	WANT(safe_syscall_deadline(op->scope, NULL) == 0);
	if (!is_due(op))
		op->due = 0;
	expect_quiet(w, op, &mask);
	if (blocked)
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void make_some_calls(struct thread *w)
{
	struct operation *op = w->top;
	int n = 1 + (int)(next(&w->random) % 3);

	limit(w);
	while (n-- > 0) {
		if (next(&w->random) % 4 == 0)
			set_timer(w);
		w->call = (int)(next(&w->random) % (sizeof calls / sizeof calls[0]));
		w->let_alone = next(&w->random) >> 8 & 1;
		calls[w->call](w);
		w->let_alone = 0;
		if (is_explained(w) && next(&w->random) % 4 == 0) {
			if (op->around && next(&w->random) % 4 == 0)
				op = op->around;
			rearm(w, op);
		}
	}
	if (op->due != 0 && next(&w->random) % 4 == 0)
		lift(w, op);
}

static void play(struct thread *w)
{
	int depth = 1 + (next(&w->random) % 2 == 0) + (next(&w->random) % 4 == 0);
	int i;

	for (i = 0; i < depth; i++) {
		enter(w);
		dawdle(&w->random);
		if (i + 1 < depth && next(&w->random) % 2)
			make_some_calls(w);
	}
	for (; i > 0; i--) {
		make_some_calls(w);
		leave(w);
	}
	if (safe_syscall_interrupted(w->outermost.scope))
		rearm(w, &w->outermost);
	w->rounds++;
}

static void *work(void *arg)
{
	static char stacks[WORKERS][65536];
	struct thread *w = arg;
	const stack_t stack = {
		.ss_sp = stacks[w->index], .ss_size = sizeof stacks[0]
	};

	begin(w);
	if (w->index % 2)
		sigaltstack(&stack, NULL);
	w->outermost.scope = safe_syscall_self();
	w->top = &w->outermost;
	pthread_barrier_wait(&all_ready);
	while (!stop)
		play(w);
	/* the thread's own scope goes with the thread */
	close_operation(&w->outermost);
	rearm(w, &w->outermost);
	timer_delete(w->timer);
	w->finished = 1;
	pthread_barrier_wait(&all_finished);
	return NULL;
}

static void *hunt(void *arg)
{
	struct thread *t = arg;

	begin(t);
	pthread_barrier_wait(&all_ready);
	while (!hunters_stop) {
		uint32_t r = next(&t->random);
		struct thread *w = &threads[(r >> 8 & 0xff) % WORKERS];

		if (r % 4 != 0)
			aim(t, &t->random);
		else if (!is_let_alone(w))
			pthread_kill(w->thread, handlings[r >> 16 & 3].signal);
		if (r % 8 == 1)
			set_timer(t);
		dawdle(&t->random);
		/* on one processor the others run only while this sleeps */
		if (r >> 28 == 0)
			nap((long)(r & 0xffff));
	}
	timer_delete(t->timer);
	return NULL;
}

/* ---- the census ---------------------------------------------------------------- */

static int open_in_dir(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void set_up(uint32_t random)
{
	int i, fd[2];

	ck_assert_int_eq(safe_syscall_init(0), 0);
	ck_assert_ptr_ne(mkdtemp(dir), NULL);
	snprintf(fifo, sizeof fifo, "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(pipe(never), 0);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	/* only the family is given: the kernel makes up a name */
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address,
			      sizeof address.sun_family), 0);
	getsockname(listener, (struct sockaddr *)&address, &length);
	ck_assert_int_eq(listen(listener, 1), 0);
	handle_others();
	for (i = 0; i < THREADS; i++) {
		threads[i].index = i;
		threads[i].random = next(&random) | 1;
		threads[i].handler_random = next(&random) | 1;
	}
	for (i = 0; i < WORKERS; i++) {
		ck_assert_int_eq(pipe(fd), 0);
		fcntl(fd[0], F_SETPIPE_SZ, 4096);
		threads[i].pipe_in = fd[0];
		threads[(i + 1) % WORKERS].pipe_out = fd[1];
		threads[i].flock_fd = open_in_dir("flock");
		threads[i].ofd_fd = open_in_dir("ofd");
	}
}

static unsigned long rounds(void)
{
	unsigned long n = 0;
	int i;

	for (i = 0; i < WORKERS; i++)
		n += threads[i].rounds;
	return n;
}

static void lost(struct thread *w)
{
	struct operation *op;
	char name[64], line[256];
	FILE *f;

	fprintf(stderr, "census: seed %u: thread %d: a wake-up was lost, in call %d\n",
		seed, w->index, w->call);
	for (op = w->top; op; op = op->around)
		fprintf(stderr, "\t%s: %zu interrupts, %zu returned, %zu old: %s\n",
			op->around ? "scope" : "own scope", begun(op), returned(op),
			op->maybe_old, safe_syscall_interrupted(op->scope) ?
			"interrupted" : "not interrupted");
	snprintf(name, sizeof name, "/proc/self/task/%d/status", (int)w->tid);
	f = fopen(name, "r");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "Sig", 3) == 0 || strncmp(line, "State", 5) == 0)
			fprintf(stderr, "\t%s", line);
	_exit(1);
}

/* Until there were enough rounds, or time is over.  All must get on. */
static void watch(unsigned long wanted, double end)
{
	unsigned long last[WORKERS] = { 0 };
	double since[WORKERS];
	int i, finished = 0;

	for (i = 0; i < WORKERS; i++)
		since[i] = now();
	while (finished < WORKERS) {
		pause_ms(10);
		stop = wanted ? rounds() >= wanted : now() >= end;
		for (i = finished = 0; i < WORKERS; i++) {
			struct thread *w = &threads[i];

			finished += w->finished;
			if (w->rounds != last[i] || w->finished)
				since[i] = now();
			last[i] = w->rounds;
			if (now() - since[i] >= STUCK)
				lost(w);
		}
	}
}

static void count_bytes(void)
{
	int i, left;

	for (i = 0; i < WORKERS; i++) {
		struct thread *in = &threads[i], *out = &threads[(i + 1) % WORKERS];

		ck_assert_int_eq(ioctl(in->pipe_in, FIONREAD, &left), 0);
		ck_assert_uint_eq(in->read + (unsigned long)left, out->written);
		close(in->pipe_in);
		close(out->pipe_out);
	}
}

static unsigned long count_queue(void)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	unsigned long n;

	for (n = 0; poll(&p, 1, 0) > 0; n++)
		close(accept(listener, NULL, NULL));
	close(listener);
	return n;
}

/* While the workers' descriptors are still open: a lock that nobody was told of. */
static void count_locks(void)
{
	int fd = open_in_dir("flock"), ofd = open_in_dir("ofd"), i;
	struct flock l = whole_file(F_WRLCK);

	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	ck_assert_int_eq(fcntl(ofd, F_OFD_GETLK, &l), 0);
	ck_assert_int_eq(l.l_type, F_UNLCK);
	close(fd);
	close(ofd);
	for (i = 0; i < WORKERS; i++) {
		close(threads[i].flock_fd);
		close(threads[i].ofd_fd);
	}
}

static void clean_up(void)
{
	static const char *const names[] = { "fifo", "flock", "ofd" };
	char path[64];
	int i;

	close(never[0]);
	close(never[1]);
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void add_up(struct thread *sum)
{
	int i;

#define ADD(member) sum->member += threads[i].member
	for (i = 0; i < THREADS; i++) {
		ADD(rounds), ADD(calls), ADD(restarted), ADD(eintr);
		ADD(by_leave), ADD(by_rearm), ADD(by_deadline), ADD(late), ADD(jumped);
		ADD(sent), ADD(sent_in_handlers), ADD(others), ADD(stopping);
		ADD(read), ADD(written), ADD(opened), ADD(accepted), ADD(connected);
		ADD(flocked), ADD(ofd_locked), ADD(children), ADD(woken), ADD(woke);
	}
#undef ADD
}

static void report(const struct thread *s, double seconds)
{
	printf("census: %lu rounds in %.1f s: %lu calls, %lu restarted, %lu EINTR, "
	       "%lu left by siglongjmp\n", s->rounds, seconds, s->calls,
	       s->restarted, s->eintr, s->jumped);
	printf("census: %lu interrupts, %lu of them in handlers; found by leave %lu, "
	       "by rearm %lu, later %lu; handlers of others %lu, "
	       "%lu without SA_RESTART\n", s->sent, s->sent_in_handlers, s->by_leave,
	       s->by_rearm, s->late, s->others, s->stopping);
	printf("census: %lu of those that leave and rearm found were deadlines\n",
	       s->by_deadline);
	printf("census: %lu bytes written, %lu read, %lu opens, %lu connects, "
	       "%lu accepts, %lu and %lu locks, %lu children, %lu wakes\n",
	       s->written, s->read, s->opened, s->connected, s->accepted, s->flocked,
	       s->ofd_locked, s->children, s->woken);
	fflush(stdout);
}

START_TEST(census)
{
	long wanted = from_environment("SAFE_SYSCALL_CENSUS_ROUNDS", 0);
	long seconds = from_environment("SAFE_SYSCALL_TORTURE_SECONDS", 3);
	static struct thread sum;
	double start = now();
	int i, before;

	seed = (uint32_t)from_environment("SAFE_SYSCALL_TORTURE_SEED",
					  (long)(time(NULL) ^ getpid()) & 0xffffff);
	jumps = from_environment("SAFE_SYSCALL_CENSUS_JUMPS", 1) != 0;
	printf("census: seed %u\n", seed);
	fflush(stdout);
	before = count_in("/proc/self/fd");
	before_syscall = may_take_long;
	set_up(seed * 2654435761U | 1);
	pthread_barrier_init(&all_ready, NULL, THREADS + 1);
	pthread_barrier_init(&all_finished, NULL, WORKERS + 1);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i].thread, NULL,
						i < WORKERS ? work : hunt,
						&threads[i]), 0);
	pthread_barrier_wait(&all_ready);
	watch((unsigned long)wanted, start + (double)seconds);
	/* they send signals to workers, so these stay till then */
	hunters_stop = 1;
	for (i = WORKERS; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i].thread, NULL), 0);
	pthread_barrier_wait(&all_finished);
	for (i = 0; i < WORKERS; i++)
		ck_assert_int_eq(pthread_join(threads[i].thread, NULL), 0);

	add_up(&sum);
	report(&sum, now() - start);
	count_bytes();
	count_locks();
	ck_assert_uint_eq(sum.connected, sum.accepted + count_queue());
	ck_assert_uint_eq(sum.woke, sum.woken);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	clean_up();
	ck_assert_int_eq(count_in("/proc/self/fd"), before);
	ck_assert_uint_gt(sum.restarted, 0);
	ck_assert_uint_gt(sum.by_leave, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("census");
	TCase *tc = tcase_create("census");

	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, census);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
