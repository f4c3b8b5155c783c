/* SPDX-License-Identifier: MIT */
/*
 * call.c - green_syscall().  Three ways into the kernel, one for each of the library's layers:
 *
 *	what never blocks	by the stub, with the task's own flag: where it is set, the kernel
 *				is not entered.  The task can be put aside at each instruction
 *				of it, as the tick's handler calls the hook.
 *	what can be polled	likewise, told not to wait; then the task waits in the loop
 *	what else may block	on a thread of its own, in the task's scope, which
 *				green_cancel() interrupts
 *
 * Descriptors are shared with other processes, so none is made O_NONBLOCK.  The kernel is
 * asked not to wait in this call: RWF_NOWAIT, or MSG_DONTWAIT.  Where it can't be asked so, the
 * loop says when the descriptor is ready, and the call is made where it may block all the
 * same, as somebody else may have been faster.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/posix_types.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "parts.h"

#ifndef RWF_NOWAIT
# define RWF_NOWAIT 8
#endif

#ifdef SYS_fcntl64			/* as F_SETLKW is that of 64 bits */
# define FCNTL SYS_fcntl64
#else
# define FCNTL SYS_fcntl
#endif

typedef safe_syscall_word word;

struct call {
	struct green *task;
	long number;
	word a[SAFE_SYSCALL_ARGUMENTS];
	int64_t deadline;		/* of the socket's own time-out; 0: not looked at */
	/* read, write and the like */
	enum { VECTOR, BUFFER, MESSAGE } kind;
	int out;
	struct iovec one, *iov, *copy;
	size_t count, done;
	struct msghdr msg;
};

/* In the task's own name, and not in the runtime's: it may be put aside. */
static long raw(struct call *c, long number, const word *a)
{
	long result;

	green_leave(c->task);
	result = safe_syscall_rawv(&c->task->flag, number, a);
	c->task->inside = 1;
	return result == -SAFE_ERESTARTSYS ? -ECANCELED : result;
}

static long direct(struct call *c)
{
	return raw(c, c->number, c->a);
}

/* Of a call that came back when its task was cancelled. */
static long was_cancelled(const struct call *c, long result)
{
	switch (result) {
	case -EINTR:
		return c->number == SYS_close ? 0 : -ECANCELED;	/* it is closed */
	case -ETIMEDOUT:
		return -ECANCELED;
	default:
		return result;
	}
}

/* On a thread of its own; for `brief` ns at most, if that is not 0. */
static long block(struct call *c, long brief)
{
	safe_syscall_scope inner = SAFE_SYSCALL_SCOPE_INIT;
	struct green *g = c->task;
	int64_t until;
	long result;

	if (g->flag)
		return -ECANCELED;
	green_switch(CALL);
	if (g->refused)
		return -g->refused;
	safe_syscall_enter(&g->scope);
	if (brief) {
		until = green_now() + brief;
		safe_syscall_enter(&inner);
		safe_syscall_deadline(&inner, &(struct timespec){ until / 1000000000,
								  until % 1000000000 });
	}
	result = safe_syscallv(c->number, c->a);
	if (result == -1)
		result = -errno;
	if (brief)
		safe_syscall_leave(&inner);
	safe_syscall_leave(&g->scope);
	green_switch(REQUEUE);
	if (g->flag)
		result = was_cancelled(c, result);
	if (result == -SAFE_ERESTARTSYS)
		result = g->flag ? -ECANCELED : -EINTR;
	return result;
}

static int is_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags != -1 && flags & O_NONBLOCK;
}

/* 0: it may be ready; or -errno: EAGAIN as the kernel would say it, ECANCELED... */
static long await(struct call *c, int fd, short events, const char *where)
{
	struct timeval limit = { 0, 0 };
	socklen_t size = sizeof limit;
	struct pollfd p = { fd, events, 0 };
	int result;

	if (is_nonblocking(fd))
		return -EAGAIN;
	if (!c->deadline) {
		c->deadline = NEVER;
		if (!getsockopt(fd, SOL_SOCKET, events == POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO,
				&limit, &size) && (limit.tv_sec || limit.tv_usec))
			c->deadline = green_now() + (int64_t)limit.tv_sec * 1000000000 +
				(int64_t)limit.tv_usec * 1000;
	}
	result = green_wait_fds(where, &p, 1, c->deadline);
	return result > 0 ? 0 : result ? result : -EAGAIN;
}

static mode_t type_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_mode & S_IFMT;
}

static int is_file(int fd)
{
	mode_t type = type_of(fd);

	return type == S_IFREG || type == S_IFBLK || type == S_IFDIR;
}

/* ---- read, write and the like ---------------------------------------------------- */

/* ENOTSOCK: it can't be asked not to wait. */
static long attempt(struct call *c)
{
	word a[SAFE_SYSCALL_ARGUMENTS] = { c->a[0], (word)c->iov, (word)c->count, -1, -1, RWF_NOWAIT };
	long result;

	if (c->kind == BUFFER) {
		memcpy(a, c->a, sizeof a);
		a[3] |= MSG_DONTWAIT;
		return raw(c, c->number, a);
	}
	if (c->kind == MESSAGE) {
		memcpy(a, c->a, sizeof a);
		a[2] |= MSG_DONTWAIT;
		return raw(c, c->number, a);
	}
	result = raw(c, c->out ? SYS_pwritev2 : SYS_preadv2, a);
	if (result != -EOPNOTSUPP && result != -ENOSYS)
		return result;
	c->msg = (struct msghdr){ .msg_iov = c->iov, .msg_iovlen = c->count };
	a[1] = (word)&c->msg;
	a[2] = MSG_DONTWAIT;
	return raw(c, c->out ? SYS_sendmsg : SYS_recvmsg, a);
}

static int flags_of(const struct call *c)
{
	return c->kind == VECTOR ? 0 : (int)c->a[c->kind == BUFFER ? 3 : 2];
}

/* How much is left. */
static size_t rest_of(const struct call *c)
{
	size_t n = 0, i;

	if (c->kind == BUFFER)
		return (size_t)c->a[2];
	for (i = 0; i < c->count; i++)
		n += c->iov[i].iov_len;
	return n;
}

/* So much has been moved: the next attempt is for what is left.  0 or -errno. */
static long advance(struct call *c, size_t n)
{
	c->done += n;
	if (c->kind == BUFFER) {
		c->a[1] += (word)n;
		c->a[2] -= (word)n;
		c->a[4] = c->out ? c->a[4] : 0;
		c->a[5] = c->out ? c->a[5] : 0;
		return 0;
	}
	if (!c->copy && c->iov != &c->one) {
		c->copy = malloc(c->count * sizeof *c->copy);
		if (!c->copy)
			return -ENOMEM;
		memcpy(c->copy, c->iov, c->count * sizeof *c->copy);
		c->iov = c->copy;
	}
	for (; n >= c->iov->iov_len; c->iov++, c->count--)
		n -= c->iov->iov_len;
	c->iov->iov_base = (char *)c->iov->iov_base + n;
	c->iov->iov_len -= n;
	if (c->kind == MESSAGE) {
		c->msg = (struct msghdr){ .msg_iov = c->iov, .msg_iovlen = c->count };
		c->a[1] = (word)&c->msg;
	} else {
		c->number = c->out ? SYS_writev : SYS_readv;
		c->a[1] = (word)c->iov;
		c->a[2] = (word)c->count;
	}
	return 0;
}

/* Is there more to be done, though so much was moved? */
static int goes_on(const struct call *c, size_t n, size_t left)
{
	if (!n || n >= left)
		return 0;
	if (c->out || (flags_of(c) & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL)
		return 1;
	return c->kind == VECTOR && is_file((int)c->a[0]);
}

static long transfer(struct call *c)
{
	const char *where = c->out ? "write" : "read";
	int fd = (int)c->a[0];
	long result = 0;
	size_t left;

	while (!result) {
		result = attempt(c);
		if (result > 0) {
			left = rest_of(c);
			if (!goes_on(c, (size_t)result, left))
				break;
			result = advance(c, (size_t)result);
		} else if (result == -ENOTSOCK && c->kind == VECTOR) {
			if (is_nonblocking(fd))
				result = direct(c);
			else if (is_file(fd) || !(result = await(c, fd, c->out ? POLLOUT : POLLIN, where)))
				result = block(c, 0);
			break;
		} else if (result != -EAGAIN || flags_of(c) & MSG_DONTWAIT) {
			break;
		} else if (c->kind == VECTOR && is_file(fd) && !is_nonblocking(fd)) {
			result = block(c, 0);
			break;
		} else {
			result = await(c, fd, c->out ? POLLOUT : POLLIN, where);
		}
	}
	free(c->copy);
	if (!c->done)
		return result;
	return (long)c->done + (result > 0 ? result : 0);
}

static long transfer_vector(struct call *c, int out, int vector)
{
	c->kind = VECTOR;
	c->out = out;
	c->one = (struct iovec){ (void *)c->a[1], (size_t)c->a[2] };
	c->iov = vector ? (struct iovec *)c->a[1] : &c->one;
	c->count = vector ? (size_t)c->a[2] : 1;
	return transfer(c);
}

static long transfer_message(struct call *c, int out)
{
	const struct msghdr *msg = (const struct msghdr *)c->a[1];

	c->kind = MESSAGE;
	c->out = out;
	c->iov = msg ? msg->msg_iov : NULL;
	c->count = msg ? msg->msg_iovlen : 0;
	return transfer(c);
}

static long transfer_buffer(struct call *c, int out)
{
	c->kind = BUFFER;
	c->out = out;
	return transfer(c);
}

/* ---- others that wait for descriptors or for a time ------------------------------------- */

static long accept_one(struct call *c)
{
	long result;

	if (is_nonblocking((int)c->a[0]))
		return direct(c);
	result = await(c, (int)c->a[0], POLLIN, "accept");
	return result ? result : block(c, 0);
}

/*
 * What a connect of TCP has begun goes on in the kernel when it is interrupted, and made again
 * it tells the result.  So it takes a thread for a moment only.
 */
static long connect_one(struct call *c)
{
	const struct sockaddr *to = (const struct sockaddr *)c->a[1];
	socklen_t size = sizeof(int);
	int type = 0;
	long result;

	if (is_nonblocking((int)c->a[0]))
		return direct(c);
	if (!to || (size_t)c->a[2] < sizeof to->sa_family ||
	    getsockopt((int)c->a[0], SOL_SOCKET, SO_TYPE, &type, &size) ||
	    type != SOCK_STREAM || (to->sa_family != AF_INET && to->sa_family != AF_INET6))
		return block(c, 0);
	result = block(c, 1000000);
	if (result != -EINTR)
		return result;
	result = await(c, (int)c->a[0], POLLOUT, "connect");
	if (result == -EAGAIN)
		return -EINPROGRESS;
	return result ? result : block(c, 0);
}

static int64_t time_in(const void *timespec)
{
	const __kernel_long_t *t = timespec;

	return t[0] >= 9000000000LL ? NEVER / 2 : (int64_t)t[0] * 1000000000 + t[1];
}

static int is_time(const void *timespec)
{
	const __kernel_long_t *t = timespec;

	return t[0] >= 0 && t[1] >= 0 && t[1] < 1000000000;
}

static long sleep_for(const void *timespec, int absolute)
{
	if (!is_time(timespec))
		return -EINVAL;
	return green_wait_fds("nanosleep", NULL, 0,
			      time_in(timespec) + (absolute ? 0 : green_now()));
}

static long sleep_by_clock(struct call *c)
{
	int absolute = (int)c->a[1] & TIMER_ABSTIME;

	if (!c->a[2] || (c->a[0] != CLOCK_MONOTONIC && (c->a[0] != CLOCK_REALTIME || absolute)))
		return block(c, 0);
	return sleep_for((const void *)c->a[2], absolute);
}

/* Tries, and waits for descriptors, until there is a result. */
static long poll_until(struct call *c, const struct pollfd *fds, unsigned int n, long number,
		       const word *a, int64_t timeout)
{
	int64_t deadline = timeout < 0 ? NEVER : timeout + green_now();
	long result = raw(c, number, a);
	int ready = 1;

	while (!result && timeout && ready) {
		ready = green_wait_fds("poll", fds, n, deadline);
		if (ready < 0)
			return ready;
		result = raw(c, number, a);
	}
	return result;
}

static long poll_fds(struct call *c, int64_t timeout)
{
	const struct pollfd *fds = (const struct pollfd *)c->a[0];
	__kernel_long_t now[2] = { 0, 0 };
	word a[SAFE_SYSCALL_ARGUMENTS] = { c->a[0], c->a[1], (word)now };
	unsigned int n = (unsigned int)c->a[1], i;
	long result = raw(c, SYS_ppoll, a);

	if (result || !timeout)
		return result;
	for (i = 0; i < n; i++)
		if (fds[i].fd >= 0 && (!fds[i].events || fds[i].events & ~(POLLIN | POLLOUT)))
			return block(c, 0);
	return poll_until(c, fds, n, SYS_ppoll, a, timeout);
}

static int64_t ms(word timeout)
{
	return (int)timeout < 0 ? -1 : (int64_t)(int)timeout * 1000000;
}

static long wait_for_events(struct call *c)
{
	struct pollfd p = { (int)c->a[0], POLLIN, 0 };
	word a[SAFE_SYSCALL_ARGUMENTS] = { c->a[0], c->a[1], c->a[2] };

	return poll_until(c, &p, 1, SYS_epoll_pwait, a, ms(c->a[3]));
}

/*
 * Locks and children can be asked for without waiting, too: most often that is enough.  `i` is the
 * argument that says so, and `busy` what is returned where it would wait.
 */
static long try_first(struct call *c, int i, word value, long busy)
{
	word a[SAFE_SYSCALL_ARGUMENTS];
	long result;

	memcpy(a, c->a, sizeof a);
	a[i] = value;
	result = raw(c, c->number, a);
	return result == busy ? block(c, 0) : result;
}

/* ---- which is which ------------------------------------------------------------------------ */

/* Nothing waits in here, with these arguments. */
static int is_quick(const struct call *c)
{
	int accmode;

	switch (c->number) {
	case SYS_waitid:
		return (int)c->a[3] & WNOHANG;
	case SYS_futex:
		return ((int)c->a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE;
	case SYS_openat2: {	/* RESOLVE_CACHED is 32 */
		const uint64_t *how = (const uint64_t *)c->a[2];

		return how && how[0] & O_NONBLOCK && how[2] & 32;
	}
	case SYS_close:		/* of what was written it may wait for a server */
		accmode = fcntl((int)c->a[0], F_GETFL);
		return accmode == -1 || (accmode & O_ACCMODE) == O_RDONLY || !is_file((int)c->a[0]);
	case SYS_getpid: case SYS_gettid: case SYS_getppid: case SYS_getuid: case SYS_geteuid:
	case SYS_getgid: case SYS_getegid: case SYS_kill: case SYS_tgkill: case SYS_umask:
	case SYS_socket: case SYS_socketpair: case SYS_bind: case SYS_listen: case SYS_shutdown:
	case SYS_getsockname: case SYS_getpeername: case SYS_getsockopt: case SYS_setsockopt:
	case SYS_dup: case SYS_dup3: case SYS_pipe2: case SYS_lseek: case SYS_epoll_create1:
	case SYS_epoll_ctl: case SYS_eventfd2: case SYS_timerfd_create: case SYS_memfd_create:
	case SYS_rt_sigprocmask: case SYS_rt_sigaction: case SYS_exit_group: case SYS_execve:
	case SYS_sched_yield:
#ifdef SYS_fstat
	case SYS_fstat:
#endif
		return 1;
	default:
		return 0;
	}
}

static long make(struct call *c)
{
	word *a = c->a;

	switch (c->number) {
	case SYS_read:
		return transfer_vector(c, 0, 0);
	case SYS_readv:
		return transfer_vector(c, 0, 1);
	case SYS_write:
		return transfer_vector(c, 1, 0);
	case SYS_writev:
		return transfer_vector(c, 1, 1);
	case SYS_recvfrom:
		return transfer_buffer(c, 0);
	case SYS_sendto:
		return transfer_buffer(c, 1);
	case SYS_recvmsg:
		return transfer_message(c, 0);
	case SYS_sendmsg:
		return transfer_message(c, 1);
#ifdef SYS_accept
	case SYS_accept:
#endif
	case SYS_accept4:
		return accept_one(c);
	case SYS_connect:
		return connect_one(c);
#ifdef SYS_poll
	case SYS_poll:
		return poll_fds(c, ms(a[2]));
#endif
	case SYS_ppoll:
		return a[3] || (a[2] && !is_time((const void *)a[2])) ? block(c, 0) :
			poll_fds(c, a[2] ? time_in((const void *)a[2]) : -1);
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
		return wait_for_events(c);
#endif
	case SYS_epoll_pwait:
		return a[4] ? block(c, 0) : wait_for_events(c);
	case SYS_nanosleep:
		return a[0] ? sleep_for((const void *)a[0], 0) : direct(c);
	case SYS_clock_nanosleep:
		return sleep_by_clock(c);
	case SYS_flock:
		return (int)a[1] & LOCK_NB ? direct(c) : try_first(c, 1, a[1] | LOCK_NB, -EWOULDBLOCK);
	case SYS_wait4:
		return (int)a[2] & WNOHANG ? direct(c) : try_first(c, 2, a[2] | WNOHANG, 0);
	case FCNTL:
		return (int)a[1] == F_SETLKW ? try_first(c, 1, F_SETLK, -EAGAIN) :
			(int)a[1] == F_OFD_SETLKW ? try_first(c, 1, F_OFD_SETLK, -EAGAIN) : direct(c);
#ifdef SYS_fork
	case SYS_fork:
#endif
	case SYS_clone:
		return safe_syscallv(c->number, a) == -1 ? -errno : 0;
	default:
		return is_quick(c) ? direct(c) : block(c, 0);
	}
}

/*
 * Declared as syscall(2) is, and defined with all the words there may be, which every ABI passes in
 * the same places.  Or the compiler might see that nobody passes the last ones: noipa.
 */
#if SAFE_SYSCALL_ARGUMENTS == 7
# define SEVENTH(x) , x
#else
# define SEVENTH(x)
#endif
#if defined __has_attribute
# if __has_attribute(noipa)
__attribute__((noipa))
# endif
#endif
long green_syscall_words(long number, word a, word b, word c, word d, word e, word f SEVENTH(word g));
long green_syscall_words(long number, word a, word b, word c, word d, word e, word f SEVENTH(word g))
{
	struct call call = { .task = green_enter("green_syscall"), .number = number,
			     .a = { a, b, c, d, e, f SEVENTH(g) } };
	long result = call.task->flag ? -ECANCELED : make(&call);

	green_leave(call.task);
	return result < 0 && result >= -4095 ? green_fail((int)-result) : result;
}

#if defined __GNUC__ && !defined __clang__
# pragma GCC diagnostic ignored "-Wattribute-alias"
#endif
long green_syscall(long number, ...) __attribute__((alias("green_syscall_words")));
