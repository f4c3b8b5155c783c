/* SPDX-License-Identifier: MIT */
/* check_green.c - the green threads of the examples, sentence by sentence of their contract */
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "testing.h"
#include "../examples/green/green.h"

#define MS 1000000LL
#define SECOND (1000 * MS)

/* Each test is for one thread and for several. */
static const int threads[] = { 1, 2, 4 };
static int workers;			/* of the run that is */
#define RUN(task, arg) ck_assert_int_eq(green_run(workers = threads[_i], task, arg), 0)

static long long ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/*
 * An allocator in the program, as clang's sanitizers have it: see green_run()'s comment.  What is
 * before the start is the linkage table, where a program at a fixed address finds the C library's.
 */
static int has_allocator(void)
{
	extern void _start(void) __attribute__((weak)), __start(void) __attribute__((weak));
	uintptr_t at = (uintptr_t)malloc;

	return at >= (uintptr_t)(_start ? _start : __start) && at < (uintptr_t)green_run;
}

static int is_sanitized(void)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
	return 1;
#else
	return has_allocator();
#endif
}

static green *spawn(void (*fn)(void *), void *arg)
{
	green *g = green_spawn(fn, arg);

	ck_assert_ptr_ne(g, NULL);
	return g;
}

static void join(green *g)
{
	ck_assert_int_eq(green_join(g), 0);
}

static void plus_1(void *n)
{
	__atomic_fetch_add((int *)n, 1, __ATOMIC_SEQ_CST);
}

/* ---- tasks -------------------------------------------------------------------------- */

static void runs_inside(void *n)
{
	ck_assert_int_eq(green_run(1, plus_1, n), -1);
	ck_assert_int_eq(errno, EBUSY);
	errno = 0;
	ck_assert_ptr_eq(green_spawn(NULL, n), NULL);
	ck_assert_int_eq(errno, EINVAL);
	plus_1(n);
}

START_TEST(arguments)
{
	int n = 0;

	ck_assert_int_eq(green_run(-1, plus_1, &n), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(green_run(1, NULL, &n), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(green_run(0, runs_inside, &n), 0);
	ck_assert_int_eq(green_run(1, plus_1, &n), 0);
	ck_assert_int_eq(n, 2);
}
END_TEST

static void spawns(void *n)
{
	green *g[100];
	int i, round;

	for (round = 0; round < scaled(50, 1); round++) {
		for (i = 0; i < 100; i++)
			g[i] = spawn(plus_1, n);
		for (i = 0; i < 100; i += 2)
			join(g[i]);
		for (i = 1; i < 100; i += 2)
			green_detach(g[i]);
	}
}

static void spawns_more(void *n)
{
	int i;

	for (i = 0; i < 10; i++)
		green_detach(spawn(spawns, n));
	/* over before they are */
}

START_TEST(all_run_once)
{
	int n = 0, fds = count_in("/proc/self/fd"), i;

	for (i = 0; i < 3; i++)
		RUN(spawns_more, &n);
	ck_assert_int_eq(n, 3 * 10 * scaled(50, 1) * 100);
	ck_assert_int_eq(count_in("/proc/self/fd"), fds);
	ck_assert_int_eq(count_in("/proc/self/task"), 2 + 1);
}
END_TEST

static volatile int turn;

static void yields(void *number)
{
	int i;

	for (i = 0; i < scaled(10000, 1); i++) {
		errno = (int)(intptr_t)number * 10000 + i;
		green_yield();
		ck_assert_int_eq(errno, (int)(intptr_t)number * 10000 + i);
	}
}

static void yield_all(void *unused)
{
	green *g[10];
	int i;

	(void)unused;
	for (i = 0; i < 10; i++)
		g[i] = spawn(yields, (void *)(intptr_t)(i + 1));
	for (i = 0; i < 10; i++)
		join(g[i]);
}

START_TEST(errno_is_the_tasks_own)
{
	RUN(yield_all, NULL);
}
END_TEST

static void sleeps(void *time)
{
	long long start = ns();

	ck_assert_int_eq(green_sleep((intptr_t)time), 0);
	ck_assert_int_ge(ns() - start, (intptr_t)time);
	ck_assert_int_eq(turn, (intptr_t)time / (50 * MS));
	turn++;
}

static void sleep_all(void *unused)
{
	intptr_t i;

	(void)unused;
	turn = 1;
	for (i = 4; i > 0; i--)
		green_detach(spawn(sleeps, (void *)(i * 50 * (intptr_t)MS)));
	ck_assert_int_eq(green_sleep(0), 0);
	ck_assert_int_eq(green_sleep(-1), 0);
}

START_TEST(sleeps_in_order)
{
	clock_t used = clock();

	RUN(sleep_all, NULL);
	ck_assert_int_eq(turn, 5);
	ck_assert_int_lt(clock() - used, CLOCKS_PER_SEC / 10);
}
END_TEST

static void sleeps_long(void *n)
{
	plus_1(n);
	ck_assert_int_eq(green_sleep(1000 * SECOND), -1);
	ck_assert_int_eq(errno, ECANCELED);
}

static long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert_int_eq(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void sleep_many(void *count)
{
	long before = resident(), page = sysconf(_SC_PAGESIZE);
	int i, n = 0, many = *(int *)count;
	green **g = calloc((size_t)many, sizeof(green *));

	for (i = 0; i < many; i++)
		g[i] = spawn(sleeps_long, &n);
	while (__atomic_load_n(&n, __ATOMIC_SEQ_CST) < many)
		green_sleep(MS);
	ck_assert_int_le((resident() - before) / many, page == 4096 ? 8192 : 2 * page);
	for (i = 0; i < many; i++)
		green_cancel(g[i]);
	for (i = 0; i < many; i++)
		join(g[i]);
	free(g);
}

START_TEST(many)
{
	int count = scaled(100000, 1);

	if (sizeof(void *) < 8)
		SKIP("no room for so many stacks");
	if (emulated())
		SKIP("not the kernel's memory");
	if (sysconf(_SC_AVPHYS_PAGES) < 3LL * count)
		SKIP("a machine with little memory");
	if (is_sanitized())
		SKIP("a sanitizer needs memory for each stack");
	ck_assert_int_eq(green_run(2, sleep_many, &count), 0);
}
END_TEST

/* ---- channels ------------------------------------------------------------------------------ */

struct stream {
	green_channel *c;
	int count;
	long sum;
};

static void sends(void *arg)
{
	struct stream *s = arg;
	int i;

	for (i = 1; i <= s->count; i++)
		ck_assert_int_eq(green_send(s->c, &i), 0);
}

static void receives(void *arg)
{
	struct stream *s = arg;
	int n;

	while (!green_receive(s->c, &n))
		__atomic_fetch_add(&s->sum, n, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(errno, EPIPE);
}

static void stream(void *capacity)
{
	struct stream s = { green_channel_new(sizeof(int), (size_t)capacity), scaled(3000, 1), 0 };
	green *g[8];
	int i, n;

	for (i = 0; i < 8; i++)
		g[i] = spawn(i < 4 ? sends : receives, &s);
	for (i = 0; i < 4; i++)
		join(g[i]);
	green_close(s.c);
	green_close(s.c);
	for (; i < 8; i++)
		join(g[i]);
	ck_assert_int_eq(s.sum, 4LL * s.count * (s.count + 1) / 2);
	ck_assert_int_eq(green_send(s.c, &n), -1);
	ck_assert_int_eq(errno, EPIPE);
	green_channel_free(s.c);
	green_channel_free(NULL);
}

START_TEST(items)
{
	RUN(stream, (void *)0);
	RUN(stream, (void *)1);
	RUN(stream, (void *)100);
}
END_TEST

static void sends_closed(void *c)
{
	int n = 0;

	ck_assert_int_eq(green_send(c, &n), -1);
	ck_assert_int_eq(errno, EPIPE);
}

static void order(void *unused)
{
	green_channel *c = green_channel_new(sizeof(int), 3);
	struct stream s = { c, 10, 0 };
	green *g = spawn(sends, &s);
	int i, n;

	(void)unused;
	for (i = 1; i <= 10; i++) {
		ck_assert_int_eq(green_receive(c, &n), 0);
		ck_assert_int_eq(n, i);
	}
	join(g);
	for (n = 1; n <= 3; n++)
		ck_assert_int_eq(green_send(c, &n), 0);
	g = spawn(sends_closed, c);
	green_sleep(MS);
	green_close(c);			/* what is in it remains */
	for (i = 1; i <= 3; i++) {
		ck_assert_int_eq(green_receive(c, &n), 0);
		ck_assert_int_eq(n, i);
	}
	ck_assert_int_eq(green_receive(c, &n), -1);
	ck_assert_int_eq(errno, EPIPE);
	join(g);
	green_channel_free(c);
	ck_assert_ptr_eq(green_channel_new((size_t)-1 / 2, 4), NULL);
	ck_assert_int_eq(errno, ENOMEM);
}

START_TEST(items_in_order)
{
	RUN(order, NULL);
}
END_TEST

/* ---- calls ----------------------------------------------------------------------------------- */

static int fd[2], ticks;
static volatile int stop;

/* Runs beside a call that blocks: does it? */
static void ticks_on(void *unused)
{
	(void)unused;
	while (!stop) {
		if (++ticks == 20)
			ck_assert_int_eq(write(fd[1], "x", 1), 1);
		green_sleep(MS);
	}
}

enum { LARGE = 1 << 20 };

static void writes_large(void *arg)
{
	char *buffer = calloc(1, LARGE);

	(void)arg;
	ck_assert_int_eq(green_syscall(SYS_write, fd[1], buffer, LARGE), LARGE);
	free(buffer);
	green_syscall(SYS_close, fd[1]);
}

static void reads_large(void *unused)
{
	green *g = spawn(writes_large, NULL);
	static char buffer[3000];
	long n, all = 0;

	(void)unused;
	while ((n = green_syscall(SYS_read, fd[0], buffer, sizeof buffer)) > 0)
		all += n;
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(all, LARGE);
	join(g);
	close(fd[0]);
}

START_TEST(a_write_writes_all)
{
	ck_assert_int_eq(pipe(fd), 0);
	RUN(reads_large, NULL);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	RUN(reads_large, NULL);
}
END_TEST

static void writes_pieces(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; i < 10; i++) {
		green_sleep(MS);
		ck_assert_int_eq(green_syscall(SYS_sendto, fd[1], "x", 1, 0, NULL, 0), 1);
	}
}

static void reads_pieces(void *unused)
{
	struct timeval limit = { 0, 20000 };
	char buffer[100];
	struct iovec parts[] = { { buffer, 3 }, { buffer + 3, 0 }, { buffer + 3, 2 } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 3 };
	green *g = spawn(writes_pieces, NULL);
	struct pollfd p = { 0 };
	long long start;

	(void)unused;
	ck_assert_int_eq(green_syscall(SYS_recvfrom, fd[0], buffer, 5, MSG_WAITALL, NULL, NULL), 5);
	ck_assert_int_eq(green_syscall(SYS_recvmsg, fd[0], &msg, MSG_WAITALL), 5);
	ck_assert_ptr_eq(parts[0].iov_base, buffer);
	ck_assert_uint_eq(parts[0].iov_len, 3);
	join(g);
	/* nothing more comes */
	ck_assert_int_eq(green_syscall(SYS_recvfrom, fd[0], buffer, 5, MSG_DONTWAIT, NULL, NULL), -1);
	ck_assert_int_eq(errno, EAGAIN);
	setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	start = ns();
	ck_assert_int_eq(green_syscall(SYS_read, fd[0], buffer, 5), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_ge(ns() - start, 20 * MS);
	p.fd = fd[0];
	p.events = POLLIN;
	start = ns();
	ck_assert_int_eq(green_syscall(SYS_ppoll, &p, 1, &(struct timespec){ 0, 20000000 }, NULL, 8), 0);
	ck_assert_int_ge(ns() - start, 20 * MS);
	ck_assert_int_eq(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(green_syscall(SYS_read, fd[0], buffer, 5), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(fcntl(fd[1], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(green_syscall(SYS_read, -1, buffer, 5), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(green_syscall(SYS_read, fd[0], NULL, 5), -1);
}

START_TEST(as_syscall)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	RUN(reads_pieces, NULL);
}
END_TEST

/* ---- where asking the kernel not to wait is not what it would have done ---------------- */

static int listener, port;
static void listens(void);

static void connects(int two[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = (in_port_t)port };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	two[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(two[0], (struct sockaddr *)&address, sizeof address), 0);
	two[1] = accept(listener, NULL, NULL);
	ck_assert_int_ge(two[1], 0);
}

static void resets(void *how)
{
	struct linger reset = { 1, 0 };

	if (how) {
		ck_assert_int_eq(send(fd[1], "12345", 5, 0), 5);
		green_sleep(20 * MS);
	}
	green_sleep(20 * MS);
	setsockopt(fd[1], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(fd[1]);
}

/* What was moved comes first; the error is the next call's. */
static void is_reset(void *unused)
{
	static char buffer[32 << 20];
	green *g;

	connects(fd);
	g = spawn(resets, fd);
	ck_assert_int_eq(green_syscall(SYS_recvfrom, fd[0], buffer, 10, MSG_WAITALL, NULL, NULL), 5);
	ck_assert_int_eq(green_syscall(SYS_recvfrom, fd[0], buffer, 10, 0, NULL, NULL), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	join(g);
	close(fd[0]);
	connects(fd);
	g = spawn(resets, unused);
	ck_assert_int_gt(green_syscall(SYS_write, fd[0], buffer, sizeof buffer), 0);
	ck_assert_int_eq(green_syscall(SYS_write, fd[0], buffer, 10), -1);
	ck_assert_int_eq(errno, ECONNRESET);	/* and not EPIPE with its signal */
	join(g);
	close(fd[0]);
}

static void of_nothing(void *unused)
{
	int e = eventfd(0, 0), two[2];
	char c;

	(void)unused;
	ck_assert_int_eq(green_syscall(SYS_read, e, &c, 0), -1);
	ck_assert_int_eq(errno, EINVAL);
	close(e);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, two), 0);
	ck_assert_int_eq(green_syscall(SYS_write, two[1], "", 0), 0);
	ck_assert_int_eq(recv(two[0], &c, 1, MSG_DONTWAIT), 0);
	close(two[0]);
	close(two[1]);
}

/* A refusal that nobody has asked for lies in the queue of errors; no data comes. */
static void queue_of_errors(void *unused)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval limit = { 0, 300000 };
	struct timespec before, after;
	socklen_t size = sizeof address;
	char c;

	(void)unused;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(getsockname(s, (struct sockaddr *)&address, &size), 0);
	close(s);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(setsockopt(s, IPPROTO_IP, IP_RECVERR, &one, sizeof one), 0);
	ck_assert_int_eq(connect(s, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(send(s, "x", 1, 0), 1);
	green_sleep(20 * MS);
	ck_assert_int_eq(recv(s, &c, 1, MSG_DONTWAIT), -1);	/* the error, but not the queue's */
	ck_assert_int_eq(errno, ECONNREFUSED);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	ck_assert_int_eq(green_syscall(SYS_read, s, &c, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	ck_assert_int_lt((after.tv_sec - before.tv_sec) * SECOND + after.tv_nsec - before.tv_nsec,
			 150 * MS);
	close(s);
}

static void reads_zeros(void *unused)
{
	static char buffer[16 << 20];
	int f = open("/dev/zero", O_RDONLY), i;

	(void)unused;
	ck_assert_int_ge(f, 0);
	for (i = 0; i < 10; i++)
		ck_assert_int_eq(green_syscall(SYS_read, f, buffer, sizeof buffer), sizeof buffer);
	close(f);
}

/* The write that comes as far as the limit is not the one that is killed. */
static void up_to_the_limit(void *unused)
{
	struct rlimit limit;
	static char buffer[8192] __attribute__((aligned(4096)));
	char name[] = "/tmp/check_green.XXXXXX";
	int f = mkstemp(name);

	(void)unused;
	/* there already, and past the cache: what can be asked not to wait */
	memset(buffer, 'x', sizeof buffer);
	ck_assert_int_eq(write(f, buffer, sizeof buffer), sizeof buffer);
	ck_assert_int_eq(fsync(f), 0);
	close(f);
	f = open(name, O_RDWR | O_DIRECT);
	unlink(name);
	if (f < 0)
		return;
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(green_syscall(SYS_write, f, buffer, sizeof buffer), 4096);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	close(f);
}

/* A hundred sets that have the same descriptor are more than the kernel nests. */
static void polls_one(void *n)
{
	struct pollfd p = { fd[0], POLLIN, 0 };

	if (green_syscall(SYS_ppoll, &p, 1, NULL, NULL, 8) == 1)
		plus_1(n);
}

static void polls_by_many(void *unused)
{
	struct epoll_event event = { .events = EPOLLIN };
	int n = 0, i, sets[4];
	struct pollfd p;
	green *g[150];
	long long start;

	(void)unused;
	ck_assert_int_eq(pipe(fd), 0);
	for (i = 0; i < 150; i++)
		g[i] = spawn(polls_one, &n);
	green_sleep(50 * MS);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	for (i = 0; i < 150; i++)
		join(g[i]);
	ck_assert_int_eq(n, 150);
	close(fd[0]);
	close(fd[1]);
	ck_assert_int_eq(pipe(fd), 0);
	for (i = 0; i < 4; i++) {
		sets[i] = epoll_create1(0);
		ck_assert_int_eq(epoll_ctl(sets[i], EPOLL_CTL_ADD, i ? sets[i - 1] : fd[0], &event), 0);
		p = (struct pollfd){ sets[i], POLLIN, 0 };
		start = ns();
		ck_assert_int_eq(green_syscall(SYS_ppoll, &p, 1, &(struct timespec){ 0, 20 * MS },
					       NULL, 8), 0);
		ck_assert_int_ge(ns() - start, 20 * MS);
	}
	for (i = 0; i < 4; i++)
		close(sets[i]);
	close(fd[0]);
	close(fd[1]);
}

static void (*const otherwise[])(void *) = {
	is_reset, of_nothing, queue_of_errors, reads_zeros, up_to_the_limit, polls_by_many,
};
enum { OTHERWISE = sizeof otherwise / sizeof *otherwise };

START_TEST(as_the_kernel)
{
	void (*const task)(void *) = otherwise[_i / 3];
	int fds = count_in("/proc/self/fd");

	_i %= 3;
	listens();
	RUN(task, NULL);
	close(listener);
	ck_assert_int_eq(count_in("/proc/self/fd"), fds);
}
END_TEST

static void listens(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof address;
	struct ifreq lo = { .ifr_name = "lo" };

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	lo.ifr_flags = IFF_UP;		/* which a bare machine's is not */
	ioctl(listener, SIOCSIFFLAGS, &lo);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(listen(listener, 200), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	port = address.sin_port;
}

static void echoes(void *arg)
{
	int s = (int)(intptr_t)arg;
	char buffer[10];
	long n;

	while ((n = green_syscall(SYS_read, s, buffer, sizeof buffer)) > 0)
		ck_assert_int_eq(green_syscall(SYS_write, s, buffer, n), n);
	ck_assert_int_eq(n, 0);
	close(s);
}

static void serves(void *unused)
{
	long s, i;

	(void)unused;
	for (i = 0; i < scaled(100, 1); i++) {
		s = green_syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
		ck_assert_int_ge(s, 0);
		green_detach(spawn(echoes, (void *)(intptr_t)s));
	}
}

static void asks(void *all)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int s = socket(AF_INET, SOCK_STREAM, 0), i;
	char c;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = (in_port_t)port;
	ck_assert_int_eq(green_syscall(SYS_connect, s, &address, sizeof address), 0);
	for (i = 0; i < 20; i++) {
		c = (char)i;
		ck_assert_int_eq(green_syscall(SYS_write, s, &c, 1), 1);
		c = 77;
		ck_assert_int_eq(green_syscall(SYS_read, s, &c, 1), 1);
		ck_assert_int_eq(c, i);
	}
	plus_1(all);
	close(s);
}

static void echo_all(void *all)
{
	int i;

	listens();
	green_detach(spawn(serves, NULL));
	for (i = 0; i < scaled(100, 1); i++)
		green_detach(spawn(asks, all));
}

START_TEST(sockets)
{
	int all = 0;

	RUN(echo_all, &all);
	ck_assert_int_eq(all, scaled(100, 1));
	close(listener);
}
END_TEST

static char fifo[64], lock_name[80];

static void opens(void *n)
{
	long f = green_syscall(SYS_openat, AT_FDCWD, fifo, O_RDONLY, 0);

	ck_assert_int_ge(f, 0);
	close((int)f);
	plus_1(n);
}

/* One that was joined may still be seen for a moment: those of the run before are not counted. */
static int thread_count(void)
{
	return count_in("/proc/self/task") - 2;
}

static void block_many(void *arg)
{
	int n = 0, i, f, before = workers;
	green *g[20];

	(void)arg;
	for (i = 0; i < 20; i++)
		g[i] = spawn(opens, &n);
	while (thread_count() < before + 20)
		green_sleep(MS);
	ck_assert_int_eq(n, 0);
	f = open(fifo, O_WRONLY);
	for (i = 0; i < 20; i++)
		join(g[i]);
	close(f);
	ck_assert_int_eq(n, 20);
	while (thread_count() > before)	/* or it hangs */
		green_sleep(10 * MS);
}

START_TEST(calls_that_block)
{
	snprintf(fifo, sizeof fifo, "/tmp/check_green.%d", (int)getpid());
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	RUN(block_many, NULL);
	unlink(fifo);
}
END_TEST

static void waits_for_child(void *unused)
{
	green *g = spawn(ticks_on, NULL);
	pid_t pid = fork();
	int status;
	char c;

	(void)unused;
	if (!pid)
		_exit(read(fd[0], &c, 1) == 1 ? 7 : 8);
	ck_assert_int_eq(green_syscall(SYS_wait4, pid, &status, 0, NULL), pid);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_ge(ticks, 20);
	stop = 1;
	join(g);
}

START_TEST(others_go_on)
{
	ck_assert_int_eq(pipe(fd), 0);
	RUN(waits_for_child, NULL);
}
END_TEST

/* ---- calls are syscall(2)'s, in what is seldom seen, too ------------------------------ */

static void sends_file(int s, const char *five, int file)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} u;
	struct iovec part = { (void *)(uintptr_t)five, 5 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = u.bytes,
		.msg_controllen = sizeof u.bytes };

	u.header.cmsg_level = SOL_SOCKET;
	u.header.cmsg_type = SCM_RIGHTS;
	u.header.cmsg_len = CMSG_LEN(sizeof file);
	memcpy(CMSG_DATA(&u.header), &file, sizeof file);
	ck_assert_int_eq(sendmsg(s, &msg, 0), 5);
}

static void sends_file_late(void *unused)
{
	(void)unused;
	green_sleep(10 * MS);
	sends_file(fd[1], "67890", 1);
}

/* Descriptors that come with a part are the caller's; then that was all. */
static void waits_for_all(void *unused)
{
	char buffer[10], control[64];
	struct iovec part = { buffer, 10 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof control };
	green *g;
	int file;

	ck_assert_int_eq(write(fd[1], "12345", 5), 5);
	g = spawn(sends_file_late, unused);
	ck_assert_int_eq(green_syscall(SYS_recvmsg, fd[0], &msg, MSG_WAITALL), 10);
	ck_assert_uint_ge(msg.msg_controllen, CMSG_LEN(sizeof(int)));
	memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof file);
	ck_assert_int_eq(close(file), 0);
	join(g);
	sends_file(fd[1], "12345", 1);
	ck_assert_int_eq(green_syscall(SYS_recvfrom, fd[0], buffer, 10, MSG_WAITALL, NULL, 0), 5);
	ck_assert_int_eq(write(fd[1], "12345", 5), 5);
	ck_assert_int_eq(green_syscall(SYS_recvfrom, fd[0], buffer, 10, MSG_WAITALL | MSG_PEEK,
				       NULL, NULL), 5);
}

START_TEST(all_with_descriptors)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	RUN(waits_for_all, NULL);
}
END_TEST

/* What the kernel gives piece by piece is not asked for again. */
static void reads_short(void *unused)
{
	static char buffer[1 << 20];
	int f = open("/proc/kallsyms", O_RDONLY);
	long n = read(f, buffer, sizeof buffer);

	(void)unused;
	ck_assert_int_eq(lseek(f, 0, SEEK_SET), f == -1 ? -1 : 0);
	ck_assert_int_eq(green_syscall(SYS_read, f, buffer, sizeof buffer), n);
	close(f);
}

START_TEST(a_short_read)
{
	RUN(reads_short, NULL);
}
END_TEST

static const struct wrong_call {
	long number;
	long a[6];
} wrong_calls[] = {
	{ SYS_recvfrom, { 0, 0, 1, 0, 8, 8 } }, { SYS_recvfrom, { 0, 8, 1, MSG_WAITALL, 8, 8 } },
	{ SYS_recvmsg, { 0, 8 } }, { SYS_recvmsg, { 0, 8, MSG_WAITALL } }, { SYS_recvmsg, { 0 } },
	{ SYS_sendmsg, { 0, 8 } }, { SYS_sendto, { 0, 8, 1 } }, { SYS_read, { 0, 8, 1 } },
	{ SYS_readv, { 0, 8, 1 } }, { SYS_writev, { 0, 8, 1 } }, { SYS_connect, { 0, 8, 16 } },
	{ SYS_nanosleep, { 8 } }, { SYS_nanosleep, { 0 } },
	{ SYS_clock_nanosleep, { CLOCK_MONOTONIC, 0, 8 } },
};

static void calls_wrong(void *unused)
{
	static char room[8];
	const struct wrong_call *w;
	int i;

	(void)unused;
	for (i = 0; i < (int)(sizeof wrong_calls / sizeof *wrong_calls); i++) {
		w = &wrong_calls[i];
		ck_assert_int_eq(write(fd[1], "xy", 2), 2);
		ck_assert_int_eq(green_syscall(w->number, w->number == SYS_nanosleep ||
			w->number == SYS_clock_nanosleep ? w->a[0] : fd[0],
			i ? w->a[1] : (long)room, w->a[2], w->a[3], w->a[4], w->a[5]), -1);
		ck_assert_msg(errno == EFAULT, "call %d: %s", i, strerror(errno));
	}
	ck_assert_int_eq(green_syscall(SYS_ppoll, &(struct pollfd){ fd[1], POLLIN, 0 }, 1, 8L, NULL,
				       8), -1);
	ck_assert_int_eq(errno, EFAULT);
}

START_TEST(bad_addresses)
{
	if (emulated())
		SKIP("an emulator looks, too");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	RUN(calls_wrong, NULL);
}
END_TEST

/* A closed number whose file is still open must not keep the loop busy. */
static void reads_one(void *unused)
{
	char c;

	(void)unused;
	green_syscall(SYS_read, fd[0], &c, 1);
}

static void sends_one(void *address)
{
	ck_assert_int_eq(green_syscall(SYS_sendto, fd[1], "x", 1, 0, address,
				       sizeof(struct sockaddr_un)), 1);
}

static int is_busy(void)
{
	clock_t used = clock();

	green_sleep(300 * MS);
	return clock() - used > CLOCKS_PER_SEC / 5;
}

static void closes_early(void *unused)
{
	int copy, i;
	green *g;

	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe(fd), 0);
		copy = dup(fd[0]);
		g = spawn(reads_one, unused);
		green_sleep(5 * MS);
		if (i)
			green_cancel(g);
		close(fd[0]);
		ck_assert_int_eq(write(fd[1], "x", 1), 1);
		ck_assert_int_eq(is_busy(), 0);
		green_cancel(g);
		join(g);
		close(copy);
		close(fd[1]);
	}
}

/* The sender's own room says nothing of the receiver's. */
static void sends_to_the_full(void *unused)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	green *g;
	char c;

	(void)unused;
	snprintf(to.sun_path + 1, sizeof to.sun_path - 1, "check_green.%d", (int)getpid());
	fd[0] = socket(AF_UNIX, SOCK_DGRAM, 0);
	fd[1] = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(fd[0], (struct sockaddr *)&to, sizeof to), 0);
	while (sendto(fd[1], "x", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) == 1)
		;
	g = spawn(sends_one, &to);
	ck_assert_int_eq(is_busy(), 0);
	ck_assert_int_eq(read(fd[0], &c, 1), 1);
	join(g);
	close(fd[0]);
	close(fd[1]);
}

START_TEST(waits_without_work)
{
	RUN(closes_early, NULL);
	RUN(sends_to_the_full, NULL);
}
END_TEST

/* So many tasks wait, and none on a thread. */
static void polls_twice(void *unused)
{
	struct pollfd p[] = { { fd[0], POLLPRI, 0 }, { fd[0], POLLIN, 0 }, { -1, POLLIN, 0 } };

	(void)unused;
	ck_assert_int_eq(green_syscall(SYS_ppoll, p, 3, NULL, NULL, 8), 1);
	ck_assert_int_eq(p[1].revents, POLLIN);
}

static void polls_and_sleeps(void *unused)
{
	struct timespec t = { 1000, 0 }, left = { 1000, 0 };
	struct pollfd p = { fd[0], POLLIN, 0 };

	(void)unused;
	ck_assert_int_eq(green_syscall(SYS_ppoll, &p, 1, &left, NULL, 8), 1);
	ck_assert(emulated() || (left.tv_sec < 1000 && left.tv_sec > 800));
	ck_assert_int_eq(green_syscall(SYS_nanosleep, &t, NULL), -1);
	ck_assert_int_eq(errno, ECANCELED);
}

static void sleeps_until(void *unused)
{
	struct timespec t = { 1000, 0 };

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += t.tv_nsec >= 900000000;
	t.tv_nsec = (t.tv_nsec + 100000000) % 1000000000;
	ck_assert_int_eq(green_syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t,
				       unused), 0);
	t.tv_sec = 1000;
	green_syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, unused);
}

static void accepts(void *n)
{
	if (green_syscall(SYS_accept4, listener, NULL, NULL, 0) >= 0)
		plus_1(n);
}

static void (*const together[])(void *) = { polls_twice, polls_and_sleeps, sleeps_until, accepts };

static void wait_together(void *which)
{
	void (*wait)(void *) = *(void (*const *)(void *))which;
	struct sockaddr_in address = { .sin_family = AF_INET };
	int n = 0, i, before = workers, s = -1;
	green *g[20];

	while (thread_count() > before)		/* of the run before, or it hangs */
		green_sleep(MS);
	ck_assert_int_eq(pipe(fd), 0);
	for (i = 0; i < 20; i++)
		g[i] = spawn(wait, wait == accepts ? &n : NULL);
	green_sleep(20 * MS);
	ck_assert_int_eq(thread_count(), before);
	if (wait == accepts) {
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		address.sin_port = (in_port_t)port;
		s = socket(AF_INET, SOCK_STREAM, 0);
		ck_assert_int_eq(connect(s, (struct sockaddr *)&address, sizeof address), 0);
		while (__atomic_load_n(&n, __ATOMIC_SEQ_CST) < 1)
			green_sleep(MS);
	} else if (wait != sleeps_until) {
		ck_assert_int_eq(write(fd[1], "x", 1), 1);
	}
	green_sleep(150 * MS);
	ck_assert_int_le(thread_count(), before + (wait == accepts));
	if (wait != polls_twice)
		for (i = 0; i < 20; i++)
			green_cancel(g[i]);
	for (i = 0; i < 20; i++)
		join(g[i]);
	close(s);
	close(fd[0]);
	close(fd[1]);
}

START_TEST(waits_without_threads)
{
	int i;

	listens();
	for (i = 0; i < (int)(sizeof together / sizeof *together); i++)
		RUN(wait_together, (void *)&together[i]);
	close(listener);
}
END_TEST

/* Where no more threads can be had, those that there are make all calls. */
static void locks_once(void *n)
{
	int f = open(lock_name, O_RDWR);

	if (green_syscall(SYS_flock, f, LOCK_EX) == 0)
		plus_1(n);
	close(f);
}

static void lock_many(void *unused)
{
	int f = open(lock_name, O_RDWR), n = 0, joined = 0, i;
	struct rlimit limit;
	green *g[64];
	long pages;
	FILE *m;

	(void)unused;
	ck_assert_int_eq(flock(f, LOCK_EX), 0);
	for (i = 0; i < 64; i++)
		g[i] = spawn(locks_once, &n);
	m = fopen("/proc/self/statm", "r");
	ck_assert_int_eq(fscanf(m, "%ld", &pages), 1);
	fclose(m);
	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + (4 << 20);
	setrlimit(RLIMIT_AS, &limit);
	green_sleep(50 * MS);
	limit.rlim_cur = limit.rlim_max;
	flock(f, LOCK_UN);
	/* Check's own assertions allocate, and end the test where they can't. */
	for (i = 0; i < 64; i++)
		joined += !green_join(g[i]);
	setrlimit(RLIMIT_AS, &limit);
	ck_assert_int_eq(joined, 64);
	ck_assert_int_eq(n, 64);
	close(f);
}

START_TEST(no_more_threads)
{
	if (emulated())
		SKIP("the limit is the emulator's");
	if (is_sanitized())
		SKIP("a sanitizer needs more");
	snprintf(lock_name, sizeof lock_name, "/tmp/check_green.%d.lock", (int)getpid());
	close(open(lock_name, O_RDWR | O_CREAT, 0600));
	RUN(lock_many, NULL);
	unlink(lock_name);
}
END_TEST

START_TEST(no_descriptor)
{
	struct rlimit limit, few;
	int result, error;

	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	few.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	errno = 0;
	result = green_run(1, plus_1, NULL);
	error = errno;
	setrlimit(RLIMIT_NOFILE, &limit);
	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(error, EMFILE);
}
END_TEST

/* ---- exceptions: what the C++ library keeps for each thread is each task's ------------ */

struct exceptions {
	void *caught;
	unsigned int thrown;
};

struct exceptions *__cxa_get_globals(void);		/* NOLINT: its name */
__attribute__((noinline)) struct exceptions *__cxa_get_globals(void)		/* NOLINT */
{
	static __thread struct exceptions e;
	struct exceptions *p = &e;

	__asm__ volatile ("" : "+r" (p));
	return p;
}

static void catches(void *number)
{
	int i;

	for (i = 0; i < 100; i++) {
		ck_assert_ptr_eq(__cxa_get_globals()->caught, NULL);
		__cxa_get_globals()->caught = number;
		__cxa_get_globals()->thrown = 1;
		if (i % 2)
			green_yield();
		else
			green_sleep(1000);
		ck_assert_ptr_eq(__cxa_get_globals()->caught, number);
		ck_assert_uint_eq(__cxa_get_globals()->thrown, 1);
		__cxa_get_globals()->caught = NULL;
		__cxa_get_globals()->thrown = 0;
	}
}

static void catch_all(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; i < 8; i++)
		green_detach(spawn(catches, (void *)(uintptr_t)(i + 1)));
}

START_TEST(exceptions)
{
	__cxa_get_globals()->caught = fd;
	RUN(catch_all, NULL);
	ck_assert_ptr_eq(__cxa_get_globals()->caught, fd);
}
END_TEST

/* ---- cancellation --------------------------------------------------------------------- */

static green_channel *nothing;
static green *never;
static pid_t child;

static void computes(void *unused)
{
	(void)unused;
	while (!green_cancelled())
		;
}

static long in_sleep(void)
{
	return green_sleep(1000 * SECOND);
}

static long in_receive(void)
{
	int n;

	return green_receive(nothing, &n);
}

static long in_send(void)
{
	int n = 1;

	return green_send(nothing, &n);
}

static long in_join(void)
{
	return green_join(never);
}

static long in_read(void)
{
	char c;

	return green_syscall(SYS_read, fd[0], &c, 1);
}

static long in_poll(void)
{
	struct pollfd p[] = { { fd[0], POLLIN, 0 }, { fd[1], POLLIN, 0 } };

	return green_syscall(SYS_ppoll, p, 2, NULL, NULL, 0);
}

static long in_accept(void)
{
	return green_syscall(SYS_accept4, listener, NULL, NULL, 0);
}

static long in_open(void)
{
	return green_syscall(SYS_openat, AT_FDCWD, fifo, O_RDONLY, 0);
}

static long in_flock(void)
{
	int f = open(lock_name, O_RDWR);
	long result = green_syscall(SYS_flock, f, LOCK_EX);

	if (!result || errno != ECANCELED)
		return 0;
	close(f);
	errno = ECANCELED;
	return -1;
}

static long in_wait4(void)
{
	return green_syscall(SYS_wait4, child, NULL, 0, NULL);
}

static long in_nanosleep(void)
{
	return green_syscall(SYS_nanosleep, &(struct timespec){ 1000, 0 }, NULL);
}

static long in_select(void)
{
	return green_syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, NULL);
}

static long computing(void)
{
	computes(NULL);
	return green_sleep(0);
}

static long (*const waits[])(void) = {
	in_sleep, in_receive, in_send, in_join, in_read, in_poll, in_accept, in_open, in_flock,
	in_wait4, in_nanosleep, in_select, computing
};
enum { WAITS = sizeof waits / sizeof *waits };

static void waits_for_cancel(void *wait)
{
	char c;

	ck_assert_int_eq((*(long (*const *)(void))wait)(), -1);
	ck_assert_int_eq(errno, ECANCELED);
	/* it stays so */
	ck_assert_int_eq(green_cancelled(), 1);
	ck_assert_int_eq(green_syscall(SYS_read, fd[0], &c, 1), -1);
	ck_assert_int_eq(errno, ECANCELED);
	ck_assert_int_eq(green_sleep(0), -1);
	ck_assert_int_eq(errno, ECANCELED);
}

static green *to_cancel[3 * WAITS];

static void on_alarm(int signum)
{
	(void)signum;
	green_cancel(to_cancel[0]);	/* NOLINT(bugprone-signal-handler,cert-sig30-c): may be called */
}

static void *from_thread(void *g)
{
	green_cancel(g);
	return NULL;
}

static void cancel_all(void *unused)
{
	int i, lock = open(lock_name, O_RDWR | O_CREAT, 0600);
	pthread_t thread;

	(void)unused;
	flock(lock, LOCK_EX);
	listens();
	nothing = green_channel_new(sizeof(int), 0);
	never = spawn(computes, NULL);
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	for (i = 0; i < WAITS; i++) {
		if (waits[i] == in_send || waits[i] == in_join)
			continue;
		to_cancel[0] = spawn(waits_for_cancel, (void *)&waits[i]);
		green_cancel(to_cancel[0]);		/* before it runs */
		join(to_cancel[0]);
		to_cancel[0] = spawn(waits_for_cancel, (void *)&waits[i]);
		green_sleep(2 * MS);
		signal(SIGALRM, on_alarm);
		raise(SIGALRM);				/* in a handler */
		join(to_cancel[0]);
		to_cancel[0] = spawn(waits_for_cancel, (void *)&waits[i]);
		green_sleep(MS);
		ck_assert_int_eq(pthread_create(&thread, NULL, from_thread, to_cancel[0]), 0);
		join(to_cancel[0]);
		pthread_join(thread, NULL);
	}
	for (i = 0; i < 2; i++) {
		to_cancel[i] = spawn(waits_for_cancel, (void *)&waits[2 + i]);
		green_sleep(MS);
		green_cancel(to_cancel[i]);
		join(to_cancel[i]);
	}
	green_cancel(never);
	join(never);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	green_channel_free(nothing);
	close(listener);
	close(lock);
}

START_TEST(cancel_anywhere)
{
	if (has_allocator())
		SKIP("the allocator is in the program");
	snprintf(fifo, sizeof fifo, "/tmp/check_green.%d", (int)getpid());
	snprintf(lock_name, sizeof lock_name, "%s.lock", fifo);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(pipe(fd), 0);
	RUN(cancel_all, NULL);
	unlink(fifo);
	unlink(lock_name);
}
END_TEST

/* ---- result or no effect: everything is accounted for -------------------------------------- */

static int locks_held, rounds;

/* Each takes something, or is cancelled; what it took, and says so, is counted. */
static long takes_byte(void)
{
	char c;

	return green_syscall(SYS_read, fd[0], &c, 1);
}

static long takes_item(void)
{
	int n;

	return green_receive(nothing, &n) ? -1 : 1;
}

static long takes_datagram(void)
{
	char c;

	return green_syscall(SYS_recvfrom, fd[0], &c, 1, 0, NULL, NULL);
}

static long takes_lock(void)
{
	int f = open(lock_name, O_RDWR);
	long result = green_syscall(SYS_flock, f, LOCK_EX);

	if (!result) {
		ck_assert_int_eq(__atomic_add_fetch(&locks_held, 1, __ATOMIC_SEQ_CST), 1);
		__atomic_sub_fetch(&locks_held, 1, __ATOMIC_SEQ_CST);
	}
	close(f);
	return result ? -1 : 1;
}

static long takes_eventfd(void)
{
	uint64_t n;

	return green_syscall(SYS_read, fd[0], &n, sizeof n) == 8 ? (long)n : -1;
}

static void gives_byte(void)
{
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
}

static void gives_item(void)
{
	int n = 1;

	ck_assert_int_eq(green_send(nothing, &n), 0);
}

static void gives_eventfd(void)
{
	ck_assert_int_eq(write(fd[0], &(uint64_t){ 1 }, 8), 8);
}

/* What is taken here is looked at after each round. */
static int own_lock, writer, got_it;

static void locks(void)
{
	own_lock = open(lock_name, O_RDWR);
	flock(own_lock, LOCK_EX);
}

static void unlocks(void)
{
	flock(own_lock, LOCK_UN);
}

static void is_unlocked(void)
{
	ck_assert_int_eq(flock(own_lock, LOCK_EX | LOCK_NB), 0);
	close(own_lock);
}

static long takes_fifo(void)
{
	long f = green_syscall(SYS_openat, AT_FDCWD, fifo, O_RDONLY);

	return f == -1 ? -1 : !close((int)f);
}

static void opens_fifo(void)
{
	writer = open(fifo, O_WRONLY | O_NONBLOCK);	/* if somebody reads */
}

static void closes_fifo(void)
{
	ck_assert(writer != -1 || !got_it);
	close(writer);
}

static void forks(void)
{
	int p[2];
	char c;

	ck_assert_int_eq(pipe(p), 0);
	child = fork();
	if (!child) {
		close(p[1]);
		_exit((int)read(p[0], &c, 1));
	}
	close(p[0]);
	writer = p[1];
}

static void ends_child(void)
{
	close(writer);
}

static long takes_child(void)
{
	return green_syscall(SYS_wait4, child, NULL, 0, NULL) == child ? 1 : -1;
}

static void is_reaped(void)
{
	ck_assert_int_eq(waitpid(child, NULL, 0), got_it ? -1 : child);
}

static const struct kind {
	const char *name;
	long (*take)(void);
	void (*give)(void), (*begin)(void), (*end)(void);
	int rounds;
} kinds[] = {
	{ "pipe", takes_byte, gives_byte, NULL, NULL, 20000 },
	{ "datagrams", takes_datagram, gives_byte, NULL, NULL, 20000 },
	{ "channel", takes_item, gives_item, NULL, NULL, 20000 },
	{ "eventfd", takes_eventfd, gives_eventfd, NULL, NULL, 20000 },
	{ "lock", takes_lock, unlocks, locks, is_unlocked, 5000 },
	{ "FIFO", takes_fifo, opens_fifo, NULL, closes_fifo, 5000 },
	{ "child", takes_child, ends_child, forks, is_reaped, 1000 },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static long taken;

static void takes(void *kind)
{
	long n = ((const struct kind *)kind)->take();

	got_it = n > 0;
	if (n > 0)
		__atomic_fetch_add(&taken, n, __ATOMIC_SEQ_CST);
	else
		ck_assert_int_eq(errno, ECANCELED);
}

/* Nobody else reads at the time. */
static long left_over(const struct kind *kind)
{
	struct pollfd p = { fd[0], POLLIN, 0 };
	char buffer[4096];
	long n = 0;

	if (kind->take == takes_item || kind->end)
		return 0;
	while (poll(&p, 1, 0) == 1)
		n += kind->take == takes_eventfd ? takes_eventfd() :
			read(fd[0], buffer, sizeof buffer);
	return n;
}

/* A thread that cancels what it is given, at some time in the next few microseconds. */
static green *target;
static int cancels_on;

static void *cancels(void *unused)
{
	unsigned int seed = 1;
	green *g;
	volatile int i;

	while (__atomic_load_n(&cancels_on, __ATOMIC_SEQ_CST)) {
		g = __atomic_load_n(&target, __ATOMIC_SEQ_CST);
		if (!g) {
			sched_yield();
			continue;
		}
		for (i = rand_r(&seed) % 4000; i; i--)
			;
		green_cancel(g);
		__atomic_store_n(&target, NULL, __ATOMIC_SEQ_CST);
	}
	return unused;
}

static void census(void *arg)
{
	pthread_t thread;
	const struct kind *kind = arg;
	int i, pause;
	long given = 0;
	green *g;

	nothing = green_channel_new(sizeof(int), 1 << 20);
	cancels_on = 1;
	ck_assert_int_eq(pthread_create(&thread, NULL, cancels, NULL), 0);
	for (i = 0; i < rounds; i++) {
		if (kind->begin)
			kind->begin();
		g = spawn(takes, arg);
		if (i % 2)
			__atomic_store_n(&target, g, __ATOMIC_SEQ_CST);
		for (pause = rand() % 4; pause; pause--)
			green_yield();
		if (rand() % 8 == 0)
			green_sleep(rand() % 50000);
		if (!(i % 2) && rand() % 2)
			green_cancel(g);
		kind->give();
		given++;
		if (!(i % 2))
			green_cancel(g);
		while (__atomic_load_n(&target, __ATOMIC_SEQ_CST))
			green_yield();
		join(g);
		if (i % 64 == 0)
			taken += left_over(kind);
		if (kind->end)
			kind->end();
	}
	cancels_on = 0;
	pthread_join(thread, NULL);
	if (kind->take == takes_item) {
		green_close(nothing);
		for (; !green_receive(nothing, &i); )
			taken++;
	}
	if (!kind->end)
		ck_assert_int_eq(taken + left_over(kind), given);
	green_channel_free(nothing);
}

START_TEST(result_or_no_effect)
{
	const struct kind *kind = &kinds[_i / 3];
	int fds = count_in("/proc/self/fd"), where = _i;

	_i %= 3;
	rounds = fewer(4 * scaled(kind->rounds, 1)) / 4;
	snprintf(lock_name, sizeof lock_name, "/tmp/check_green.%d.lock", (int)getpid());
	close(open(lock_name, O_RDWR | O_CREAT, 0600));
	snprintf(fifo, sizeof fifo, "/tmp/check_green.%d", (int)getpid());
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	if (kind->take == takes_datagram)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	else if (kind->take == takes_eventfd)
		fd[0] = (int)syscall(SYS_eventfd2, 0, 0);
	else
		ck_assert_int_eq(pipe(fd), 0);
	RUN(census, (void *)kind);
	close(fd[0]);
	if (kind->take != takes_eventfd)
		close(fd[1]);
	ck_assert_msg(count_in("/proc/self/fd") == fds, "%s: descriptors", kinds[where / 3].name);
	unlink(lock_name);
	unlink(fifo);
}
END_TEST

/* ---- put aside while it computes ------------------------------------------------------------ */

static pid_t tid(void)
{
	__asm__ volatile ("" : : : "memory");
	return (pid_t)syscall(SYS_gettid);
}

static void hogs(void *unused)
{
	double sum = 1;
	unsigned long i = 0;

	(void)unused;
	while (!stop) {
		sum = sum * 1.0000001 + 1e-9;
		if (sum > 2)
			sum -= 1;
		i++;
	}
	ck_assert(sum >= 1 && sum <= 2 && i + 1);
}

/* Such functions the linker puts elsewhere. */
static __attribute__((hot, noinline)) void hogs_hot(void *unused)
{
	(void)unused;
	while (!stop)
		;
}

static __attribute__((cold, noinline)) void hogs_cold(void *unused)
{
	(void)unused;
	while (!stop)
		;
}

static void masks_one(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void hogs_masked(void *unused)
{
	masks_one();
	hogs(unused);
}

static void hogs_masked_by_call(void *unused)
{
	uint64_t set[2] = { (uint64_t)1 << SIGUSR1, 0 };

	green_syscall(SYS_rt_sigprocmask, SIG_BLOCK, set, NULL, _NSIG / 8);
	hogs(unused);
}

static void masks_all(void *unused)
{
	sigset_t set;

	(void)unused;
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Before the end of its stack there is no room for much. */
static void hogs_deep(void *unused)
{
	volatile char all[253 << 10];
	size_t i;

	for (i = sizeof all - 512; i > 1024; i -= 1024)
		all[i] = 1;
	hogs(unused);
	all[0] = all[1024];
}

static void (*const all_hogs[])(void *) = {
	hogs, hogs_masked, hogs_masked_by_call, hogs_deep, hogs_hot, hogs_cold
};
enum { HOGS = sizeof all_hogs / sizeof *all_hogs };

static void beside_hogs(void *which)
{
	green *g[8];
	int i;

	for (i = 0; i < 8; i++)
		join(spawn(masks_all, NULL));
	green_sleep(MS);
	for (i = 0; i < 8; i++)
		g[i] = spawn(*(void (*const *)(void *))which, NULL);
	for (i = 0; i < 10; i++)
		green_sleep(MS);
	stop = 1;
	for (i = 0; i < 8; i++)
		join(g[i]);
}

START_TEST(a_hog_is_put_aside)
{
	void (*const *which)(void *) = &all_hogs[_i / 3];

	if (has_allocator())
		SKIP("the allocator is in the program");
#if defined _ABIO32 && _MIPS_SIM == _ABIO32
	if (*which == hogs_masked || *which == hogs_masked_by_call)
		SKIP("a handler is known by its mask");
#endif
	_i %= 3;
	stop = 0;
	RUN(beside_hogs, (void *)which);
}
END_TEST

/* Not in a handler, which may have interrupted what holds a lock, whatever the mask is. */
static volatile int others_ran;

static void runs_meanwhile(void *unused)
{
	(void)unused;
	others_ran = 1;
}

static long long used(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void computes_in_handler(int signum)
{
	const long long end = used() + 50 * MS;
	volatile int i;

	(void)signum;
	while (used() < end)
		for (i = 0; i < 100000; i++)
			;
	ck_assert_int_eq(others_ran, 0);
}

static void is_in_handler(void *unused)
{
	struct sigaction sa = { .sa_handler = computes_in_handler };
	green *g;
	int i;

	for (i = 0; i < 4; i++) {
		if (i == 2)
			masks_one();
		sa.sa_flags = i % 2 ? SA_SIGINFO : 0;
		sigaction(SIGUSR2, &sa, NULL);
		others_ran = 0;
		g = spawn(runs_meanwhile, unused);
		raise(SIGUSR2);
		join(g);
		ck_assert_int_eq(others_ran, 1);
	}
}

START_TEST(in_handlers)
{
	ck_assert_int_eq(green_run(1, is_in_handler, NULL), 0);
}
END_TEST

/* In the stub most of the time; what it does is done once. */
static void calls(void *n)
{
	int p[2], i;

	(void)n;
	ck_assert_int_eq(pipe2(p, O_NONBLOCK), 0);
	for (i = 0; !stop; i++) {
		unsigned char c = (unsigned char)i;

		ck_assert_int_eq(green_syscall(SYS_write, p[1], &c, 1), 1);
		c ^= 0xff;
		ck_assert_int_eq(green_syscall(SYS_read, p[0], &c, 1), 1);
		ck_assert_int_eq(c, (unsigned char)i);
		ck_assert_int_eq(green_syscall(SYS_getppid), getppid());
	}
	close(p[0]);
	close(p[1]);
}

/* If one were put aside in malloc() the next would wait for ever. */
static void allocates(void *n)
{
	pid_t thread;
	void *p[16];
	int i;

	(void)n;
	while (!stop) {
		thread = tid();
		for (i = 0; i < 16; i++)
			memset(p[i] = malloc(4000), 1, 4000);
		for (i = 0; i < 16; i++)
			free(p[i]);
		ck_assert_int_eq(tid(), thread);
	}
}

static void mix(void *unused)
{
	green *g[8];
	int i;

	(void)unused;
	for (i = 0; i < 8; i++)
		g[i] = spawn(i % 2 ? calls : allocates, NULL);
	for (i = 0; i < 10; i++)
		green_sleep(10 * MS);
	stop = 1;
	for (i = 0; i < 8; i++)
		join(g[i]);
}

START_TEST(in_calls_and_in_malloc)
{
	if (has_allocator())
		SKIP("the allocator is in the program");
	stop = 0;
	RUN(mix, NULL);
}
END_TEST

/* ---- what the user does wrong --------------------------------------------------------------- */

static void nop(void *unused)
{
	(void)unused;
}

static void joins_twice(void *unused)
{
	green *g = spawn(nop, unused);

	join(g);
	green_join(g);
}

static void joins_detached(void *unused)
{
	green *g = spawn(nop, unused);

	green_detach(g);
	green_join(g);
}

static void receives_nothing(void *c)
{
	int n;

	green_receive(c, &n);
}

static void frees_in_use(void *unused)
{
	green_channel *c = green_channel_new(4, 0);

	(void)unused;
	spawn(receives_nothing, c);
	green_sleep(MS);
	green_channel_free(c);
}

static void locks_dead(void *unused)
{
	(void)unused;
	join(spawn(receives_nothing, green_channel_new(4, 0)));
}

static int deep(volatile char *from, int n)	/* NOLINT(misc-no-recursion) */
{
	volatile char here[1000];

	here[0] = here[999] = *from;
	return n ? deep(here, n - 1) + here[999] : 0;
}

static void overflows(void *unused)
{
	volatile char c = 0;

	(void)unused;
	deep(&c, 1 << 20);
}

static void run_wrong(int number)
{
	static void (*const tasks[])(void *) = {
		joins_twice, joins_detached, frees_in_use, locks_dead, overflows
	};

	if (number == 5)
		green_yield();
	else
		green_run(2, tasks[number], NULL);
}

static const char *const said[] = {
	"green_join: task 2 ", "green_join: task 2 ", "green_channel_free: task 2 ",
	"green: deadlock", "green: task 1 ", "green_yield: called outside of a task\n"
};

START_TEST(wrong)
{
	char line[1000];
	int p[2], status;
	long n, all = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(p), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		die_after(60);
		signal(SIGABRT, SIG_DFL);
		dup2(p[1], 2);
		run_wrong(_i);
		_exit(0);
	}
	close(p[1]);
	while ((n = read(p[0], line + all, sizeof line - 1 - (size_t)all)) > 0)
		all += n;
	line[all] = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%d: %x %s", _i, status, line);
	ck_assert_msg(!strncmp(line, said[_i], strlen(said[_i])), "%s", line);
	ck_assert_ptr_eq(strchr(line, '\n'), line + all - 1);
	if (_i == 3)
		ck_assert(strstr(line, "green_join") && strstr(line, "green_receive"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("green");
	TCase *tc = tcase_create("tasks"), *accounts = tcase_create("census");
	TCase *aside = tcase_create("aside");
	int n = sizeof threads / sizeof *threads;

	limit_time(tc, 120);
	limit_time(accounts, 120);
	limit_time(aside, 120);
	tcase_add_test(tc, arguments);
	tcase_add_loop_test(tc, all_run_once, 0, n);
	tcase_add_loop_test(tc, errno_is_the_tasks_own, 0, n);
	tcase_add_loop_test(tc, sleeps_in_order, 0, 1);
	tcase_add_test(tc, many);
	tcase_add_loop_test(tc, items, 0, n);
	tcase_add_loop_test(tc, items_in_order, 0, n);
	tcase_add_loop_test(tc, a_write_writes_all, 0, n);
	tcase_add_loop_test(tc, as_syscall, 0, n);
	tcase_add_loop_test(tc, sockets, 0, n);
	tcase_add_loop_test(tc, as_the_kernel, 0, 3 * OTHERWISE);
	tcase_add_loop_test(tc, calls_that_block, 0, n);
	tcase_add_loop_test(tc, others_go_on, 0, n);
	tcase_add_loop_test(tc, all_with_descriptors, 0, n);
	tcase_add_loop_test(tc, a_short_read, 0, n);
	tcase_add_loop_test(tc, bad_addresses, 0, n);
	tcase_add_loop_test(tc, waits_without_work, 0, n);
	tcase_add_loop_test(tc, waits_without_threads, 0, n);
	tcase_add_loop_test(tc, no_more_threads, 0, n);
	tcase_add_loop_test(tc, exceptions, 0, n);
	tcase_add_test(tc, no_descriptor);
	tcase_add_loop_test(tc, cancel_anywhere, 0, n);
	tcase_add_loop_test(accounts, result_or_no_effect, 0, 3 * KINDS);
	tcase_add_loop_test(aside, a_hog_is_put_aside, 0, n * HOGS);
	tcase_add_test(aside, in_handlers);
	tcase_add_loop_test(aside, in_calls_and_in_malloc, 0, n);
	tcase_add_loop_test(tc, wrong, 0, 6);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, aside);
	suite_add_tcase(suite, accounts);
	return run_suite(suite);
}
