/* SPDX-License-Identifier: MIT */
/* calls.c - what a call costs that is not interrupted, and what a handler costs */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <linux/io_uring.h>

#include <safe_syscall.h>

#include "arch.h"
#include "test_arch.h"
#include "bench.h"
#include "cancel.h"

/* ---- what is called ------------------------------------------------------------ */

static int zero, ping[2], pong[2], wake_pipe[2], wake_event;
static char byte;

static struct work {
	const char *group;
	long number, fd;
	int ping;			/* another thread is asked first */
	int times;			/* calls that are timed together */
	clockid_t clock;
} works[] = {
	{ "getppid", SYS_getppid, -1, 0, 500, CLOCK_THREAD_CPUTIME_ID },
	{ "read of /dev/zero", SYS_read, 0, 0, 500, CLOCK_THREAD_CPUTIME_ID },
	{ "ping-pong between threads", SYS_read, 0, 1, 50, CLOCK_PROCESS_CPUTIME_ID },
};

enum { GETPPID, ZERO, PING, WORKS };

static void *echo(void *unused)
{
	char c;

	while (read(ping[0], &c, 1) == 1 && write(pong[1], &c, 1) == 1)
		;
	return unused;
}

/* ---- io_uring ------------------------------------------------------------------ */

static struct {
	int fd;
	struct io_uring_params p;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
} ring = { .fd = -1 };

static unsigned int *at(char *base, unsigned int offset)
{
	return (unsigned int *)(void *)(base + offset);
}

static void *map_ring(size_t size, off_t what)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, what);
}

/* Submit one and wait for it; there is none for getppid, so one that does nothing. */
static int ring_call(const struct work *w)
{
	unsigned int *tail = at(ring.sq, ring.p.sq_off.tail);
	unsigned int *head = at(ring.cq, ring.p.cq_off.head);
	unsigned int i = *tail & (ring.p.sq_entries - 1);
	struct io_uring_cqe *cqe;

	memset(&ring.sqes[i], 0, sizeof *ring.sqes);
	ring.sqes[i].opcode = w->number == SYS_read ? IORING_OP_READ : IORING_OP_NOP;
	ring.sqes[i].fd = (int)w->fd;
	ring.sqes[i].addr = (uintptr_t)&byte;
	ring.sqes[i].len = 1;
	at(ring.sq, ring.p.sq_off.array)[i] = i;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, (long)ring.fd, 1L, 1L, (long)IORING_ENTER_GETEVENTS,
		NULL, 0L);
	cqe = (void *)at(ring.cq, ring.p.cq_off.cqes);
	i = (unsigned int)cqe[*head & (ring.p.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return (int)i;
}

/* Returns why there is none, or null. */
static const char *set_up_ring(const struct work *trial)
{
	ring.fd = (int)syscall(SYS_io_uring_setup, 4L, &ring.p);
	if (ring.fd == -1)
		return errno == ENOSYS ? "not in this kernel" : "forbidden here";
	ring.sq = map_ring(ring.p.sq_off.array + ring.p.sq_entries * sizeof(int),
			   IORING_OFF_SQ_RING);
	ring.cq = map_ring(ring.p.cq_off.cqes +
			   ring.p.cq_entries * sizeof(struct io_uring_cqe),
			   IORING_OFF_CQ_RING);
	ring.sqes = map_ring(ring.p.sq_entries * sizeof *ring.sqes, IORING_OFF_SQES);
	must(ring.sq == MAP_FAILED || ring.cq == MAP_FAILED ||
	     (void *)ring.sqes == MAP_FAILED, "mmap");
	return ring_call(trial) == 1 ? NULL : "this kernel's can't read";
}

/* ---- the ways to call ---------------------------------------------------------- */

/* The same loop for each, so that the difference is that of the call. */
#define WAY(name, call)								\
static __attribute__((noinline, aligned(64))) void name(const struct work *w, int n) \
{										\
	const long number = w->number, fd = w->fd;				\
										\
	(void)number;								\
	(void)fd;								\
	while (n-- > 0) {							\
		if (w->ping && write(ping[1], "", 1) != 1)			\
			abort();						\
		call;								\
	}									\
}

static const volatile int clear;
static sigset_t everything, nothing;
static safe_syscall_scope scope = SAFE_SYSCALL_SCOPE_INIT;
static sigjmp_buf env;

/* Wait until it can be read, or the other one says that we are wanted. */
static void poll_both(const struct work *w, int other)
{
	struct pollfd fds[2] = { { other, POLLIN, 0 }, { (int)w->fd, POLLIN, 0 } };

	poll(fds, w->fd == -1 ? 1 : 2, w->fd == -1 ? 0 : -1);
}

static void ppoll_masked(const struct work *w)
{
	static const struct timespec none;
	struct pollfd fd = { (int)w->fd, POLLIN, 0 };

	ppoll(&fd, w->fd != -1, w->fd == -1 ? &none : NULL, &nothing);
}

WAY(by_libc, syscall(number, fd, &byte, 1L))
#ifdef TA_SYSCALL
WAY(by_instruction, TA_SYSCALL(number, fd, &byte, 1L))
WAY(by_instruction_flag, if (!clear) TA_SYSCALL(number, fd, &byte, 1L))

static __attribute__((noinline)) long look_and_call(const volatile int *flag, long number,
						    long a, const void *b, long c)
{
	return *flag ? -1 : TA_SYSCALL(number, a, b, c);
}

WAY(by_function, look_and_call(&clear, number, fd, &byte, 1L))
#endif
WAY(by_raw, safe_syscall_raw(&clear, number, fd, &byte, 1))

/* The least that a function can do which sets errno, and so does not end in a jump. */
static __attribute__((noinline)) long raw_with_errno(long number, long a, const void *b,
						     long c)
{
	long result = safe_syscall_raw(&clear, number, a, b, c);

	if (result >= 0 || result < -4095)
		return result;
	errno = (int)-result;
	return -1;
}

WAY(by_raw_with_errno, raw_with_errno(number, fd, &byte, 1L))
WAY(by_safe, safe_syscall(number, fd, &byte, 1))
WAY(in_scope,
	safe_syscall_enter(&scope);
	safe_syscall(number, fd, &byte, 1);
	safe_syscall_leave(&scope))
WAY(masked,
	pthread_sigmask(SIG_SETMASK, &everything, NULL);
	syscall(number, fd, &byte, 1L);
	pthread_sigmask(SIG_SETMASK, &nothing, NULL))
WAY(after_ppoll, ppoll_masked(w); syscall(number, fd, &byte, 1L))
WAY(after_pipe, poll_both(w, wake_pipe[0]); syscall(number, fd, &byte, 1L))
WAY(after_event, poll_both(w, wake_event); syscall(number, fd, &byte, 1L))
WAY(with_setjmp, if (!sigsetjmp(env, 1)) syscall(number, fd, &byte, 1L))
WAY(by_ring, if (ring_call(w) < 0) abort())

static struct way {
	const char *name;
	void (*run)(const struct work *w, int n);
	const char **helper;		/* instead: a process that makes the calls */
	const char *others;		/* its other threads */
	const char *missing;
	int to, from;
} ways[] = {
	{ .name = "syscall()", .run = by_libc },	/* the first is the base */
#ifdef TA_SYSCALL
	{ .name = "inline", .run = by_instruction },
	{ .name = "flag and inline", .run = by_instruction_flag },
	{ .name = "flag and inline, in a function", .run = by_function },
#else
	{ .name = "inline", .missing = "not written for this architecture" },
#endif
	{ .name = "safe_syscall_raw", .run = by_raw },
	{ .name = "safe_syscall_raw, then errno", .run = by_raw_with_errno },
	{ .name = "safe_syscall", .run = by_safe },
	{ .name = "enter, safe_syscall, leave", .run = in_scope },
	{ .name = "two sigprocmask around it", .run = masked },
	{ .name = "ppoll with a mask, then the call", .run = after_ppoll },
	{ .name = "poll with a self-pipe, then the call", .run = after_pipe },
	{ .name = "poll with an eventfd, then the call", .run = after_event },
	{ .name = "sigsetjmp around it", .run = with_setjmp },
	{ .name = "libc's read(), one thread", .helper = &glibc_helper, .others = "0" },
	{ .name = "libc's read(), 8 threads", .helper = &glibc_helper, .others = "7" },
	{ .name = "musl's read(), one thread", .helper = &musl_helper, .others = "0" },
	{ .name = "musl's read(), 8 threads", .helper = &musl_helper, .others = "7" },
	{ .name = "io_uring, submit and wait", .run = by_ring },
};

enum { WAYS = sizeof ways / sizeof *ways };

static void start_helper(struct way *way)
{
	int to[2], from[2];
	pid_t pid;

	if (!*way->helper) {
		way->missing = "not here";
		return;
	}
	must(pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC), "pipe2");
	pid = fork();
	must(pid == -1, "fork");
	if (pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl(*way->helper, *way->helper, way->others, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	way->to = to[1];
	way->from = from[0];
}

/* To itself only can it be compared: the kernel too is faster for a single thread. */
static double ask(const struct way *way, const struct work *w)
{
	struct request r = { w->ping, w->times };
	struct answer a;
	char group[80];
	struct series *plain;

	must(write(way->to, &r, sizeof r) != sizeof r ||
	     read(way->from, &a, sizeof a) != sizeof a, *way->helper);
	snprintf(group, sizeof group, "%s, syscall() there", w->group);
	plain = series(group, way->name);
	add(plain, a.plain);
	series(w->group, way->name)->base = plain;
	return a.point;
}

static double measure(const struct way *way, const struct work *w)
{
	double start;

	if (way->helper)
		return ask(way, w);
	start = now(w->clock);
	way->run(w, w->times);
	return (now(w->clock) - start) / w->times;
}

static const char *missing(const struct way *way, const struct work *w)
{
	if (way->missing || !way->helper)
		return way->missing;
	if (w->number != SYS_read)
		return "not a cancellation point";
	return w->ping && way->others[0] == '0' ? "needs a second thread" : NULL;
}

static void measure_work(const struct work *w)
{
	struct series *s[WAYS];
	int i, k;

	for (k = 0; k < WAYS; k++) {
		s[k] = series(w->group, ways[k].name);
		s[k]->missing = missing(&ways[k], w);
		if (!s[k]->missing && !ways[k].helper)
			measure(&ways[k], w);
	}
	/* there and back, so that none always comes after the same one */
	for (i = 0; i < repetitions; i++)
		for (k = 0; k < WAYS; k++) {
			int turn = i % 2 ? WAYS - 1 - k : k;

			if (!s[turn]->missing)
				add(s[turn], measure(&ways[turn], w));
		}
	print_table(w->group, "ns", 1);
}

/* ---- without a call, and handlers ---------------------------------------------- */

static safe_syscall_scope interrupted = SAFE_SYSCALL_SCOPE_INIT;
static ucontext_t outside, inside;

WAY(enter_leave, 
	safe_syscall_enter(&scope); safe_syscall_leave(&scope))
WAY(interrupt_again, safe_syscall_interrupt(&interrupted))
WAY(rewind_outside, safe_syscall_rewind(&outside))
WAY(rewind_inside, safe_syscall_rewind(&inside))
WAY(hook_outside, safe_syscall_hook(SIGUSR1, NULL, &outside))
WAY(hook_inside, safe_syscall_hook(SIGUSR1, NULL, &inside))
WAY(send_plain, syscall(number, (long)getpid(), w->fd, (long)SIGUSR1))
WAY(send_wrapped, syscall(number, (long)getpid(), w->fd, (long)SIGUSR2))
WAY(send_hooked, syscall(number, (long)getpid(), w->fd, (long)SIGWINCH))

static const struct way no_call[] = {
	{ .name = "getppid by syscall()", .run = by_libc },
	{ .name = "enter, leave", .run = enter_leave },
	{ .name = "interrupt, when interrupted already", .run = interrupt_again },
	{ .name = "rewind, outside a stub", .run = rewind_outside },
	{ .name = "rewind, inside a stub", .run = rewind_inside },
	{ .name = "hook, outside a stub", .run = hook_outside },
	{ .name = "hook, inside a stub", .run = hook_inside },
	{ .name = NULL }
}, handlers[] = {
	{ .name = "plain handler", .run = send_plain },
	{ .name = "one by safe_syscall_sigaction", .run = send_wrapped },
	{ .name = "one that calls safe_syscall_hook", .run = send_hooked },
	{ .name = NULL }
};

static void keep(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	memcpy(&outside, ucontext, sizeof outside);
}

static void plain(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	(void)ucontext;
}

static void hooked(int sig, siginfo_t *info, void *ucontext)
{
	safe_syscall_hook(sig, info, ucontext);
}

static void on_signal(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = handler;
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	if (sig == SIGUSR2)
		must(safe_syscall_sigaction(sig, &sa, NULL), "safe_syscall_sigaction");
	else
		must(sigaction(sig, &sa, NULL), "sigaction");
}

static void prepare_handlers(void)
{
	const void *start;
	size_t length;

	on_signal(SIGUSR1, keep);
	raise(SIGUSR1);
	memcpy(&inside, &outside, sizeof inside);
	safe_syscall_region(&start, &length);
	ss_arch_set_pc(&inside, (uintptr_t)start);
	on_signal(SIGUSR1, plain);
	on_signal(SIGUSR2, plain);
	on_signal(SIGWINCH, hooked);
	safe_syscall_interrupt(&interrupted);
}

static void measure_list(const char *group, const struct way *list, const struct work *w)
{
	const struct way *way;
	int i;

	for (i = 0; i < repetitions; i++)
		for (way = list; way->name; way++)
			add(series(group, way->name), measure(way, w));
	print_table(group, "ns", 1);
}

void measure_calls(void)
{
	struct work send = { "", SYS_tgkill, syscall(SYS_gettid), 0, 100,
			     CLOCK_THREAD_CPUTIME_ID };
	pthread_t thread;
	int k;

	zero = open("/dev/zero", O_RDONLY);
	wake_event = eventfd(0, 0);
	must(zero == -1 || wake_event == -1 || pipe(ping) || pipe(pong) || pipe(wake_pipe),
	     "descriptors");
	works[ZERO].fd = zero;
	works[PING].fd = pong[0];
	sigfillset(&everything);
	sigemptyset(&nothing);
	put(pthread_self(), processor(0));
	for (k = 0; k < WAYS; k++) {
		if (ways[k].helper)
			start_helper(&ways[k]);
		else if (ways[k].run == by_ring)
			ways[k].missing = set_up_ring(&works[ZERO]);
	}
	errno = pthread_create(&thread, NULL, echo, NULL);	/* on the same processor */
	must(errno, "pthread_create");
	for (k = 0; k < WORKS; k++)
		measure_work(&works[k]);
	prepare_handlers();
	measure_list("without a call", no_call, &works[GETPPID]);
	measure_list("a signal to oneself", handlers, &send);
}

/* ---- many threads -------------------------------------------------------------- */

enum { THREADS = 64, ROUNDS = 9 };

static __attribute__((noinline)) void own_scope(const struct work *w, int n)
{
	safe_syscall_scope own = SAFE_SYSCALL_SCOPE_INIT;

	while (n-- > 0) {
		safe_syscall_enter(&own);
		safe_syscall(w->number);
		safe_syscall_leave(&own);
	}
}

static __attribute__((noinline)) void own_again(const struct work *w, int n)
{
	safe_syscall_scope own = SAFE_SYSCALL_SCOPE_INIT;

	(void)w;
	while (n-- > 0)
		safe_syscall_interrupt(&own);
}

/* The name is the group's: each is a column of one table. */
static const struct way crowded[] = {
	{ .name = "threads: syscall()", .run = by_libc },
	{ .name = "threads: safe_syscall", .run = by_safe },
	{ .name = "threads: in scope", .run = own_scope },
	{ .name = "threads: int. again", .run = own_again },
	{ .name = "threads: int. shared", .run = interrupt_again },
	{ .name = "threads: sigprocmask", .run = masked },
	{ .name = NULL }
};

static struct crew {
	const struct way *way;
	pthread_barrier_t start;
} crew;

static void *work(void *ns)
{
	struct work w = works[GETPPID];

	w.times = 200;
	measure(crew.way, &w);			/* what comes first only */
	pthread_barrier_wait(&crew.start);
	w.times = 3000;
	*(double *)ns = measure(crew.way, &w);
	return NULL;
}

static double measure_crew(const struct way *way, int n)
{
	pthread_t thread[THREADS];
	double ns[THREADS], sum = 0;
	int i;

	crew.way = way;
	pthread_barrier_init(&crew.start, NULL, (unsigned int)n);
	for (i = 0; i < n; i++) {
		errno = pthread_create(&thread[i], NULL, work, &ns[i]);
		must(errno, "pthread_create");
	}
	for (i = 0; i < n; i++) {
		pthread_join(thread[i], NULL);
		sum += ns[i];
	}
	pthread_barrier_destroy(&crew.start);
	return sum / n;
}

void measure_threads(void)
{
	const struct way *way;
	char name[16];
	int i, n;

	for (i = 0; i < ROUNDS; i++)
		for (n = 1; n <= THREADS; n *= 2)
			for (way = crowded; way->name; way++) {
				snprintf(name, sizeof name, "%d", n);
				add(series(way->name, name), measure_crew(way, n));
			}
	print_matrix("threads: ", "processor time of a call, in ns, by threads that make it");
}
