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
#include <linux/posix_types.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
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

/* Not by sign: a word may be wider. */
static word word_of(const void *p)
{
	return (word)(uintptr_t)p;
}

/*
 * Where the kernel would say EFAULT we must not look.  It reads a mask before it says that it does
 * not know what to do with it.
 */
static int is_readable(const void *p, size_t n)
{
	uintptr_t block = (uintptr_t)p & ~(uintptr_t)15;

	for (; block < (uintptr_t)p + n; block += 16)
		if (!block || (syscall(SYS_rt_sigprocmask, -1, block, NULL, _NSIG / 8) &&
			       errno == EFAULT))
			return 0;
	return 1;
}

struct call {
	struct green *task;
	long number;
	word a[SAFE_SYSCALL_ARGUMENTS];
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

/* With another argument in the place of one. */
static long raw_with(struct call *c, int i, word value)
{
	word a[SAFE_SYSCALL_ARGUMENTS];

	memcpy(a, c->a, sizeof a);
	a[i] = value;
	return raw(c, c->number, a);
}

static long direct(struct call *c)
{
	return raw(c, c->number, c->a);
}

/* In the thread's scope. */
static long scoped(struct call *c)
{
	long result = safe_syscallv(c->number, c->a);

	return result == -1 ? -errno : result;
}

/* On a thread of its own; for `brief` ns at most, if that is not 0. */
static long block_for(struct call *c, int64_t brief)
{
	struct green *g = c->task;
	int64_t until;
	long result;

	if (g->flag)
		return -ECANCELED;
	green_switch(CALL);
	if (g->refused)
		return -g->refused;
	safe_syscall_enter(&g->scope);
	until = green_after(brief);
	if (brief)
		safe_syscall_deadline(&g->scope, &(struct timespec){ until / 1000000000,
								  until % 1000000000 });
	result = scoped(c);
	safe_syscall_leave(&g->scope);
	if (brief)
		safe_syscall_rearm(&g->scope);	/* who cancels has set the flag first */
	green_switch(REQUEUE);
	if (result == -EINTR && c->number == SYS_close)
		return 0;			/* it is closed */
	if (g->flag && (result == -EINTR || result == -ETIMEDOUT || result == -SAFE_ERESTARTSYS))
		return -ECANCELED;
	return result;
}

static long block(struct call *c)
{
	long result = block_for(c, 0);

	return result == -SAFE_ERESTARTSYS ? -EINTR : result;	/* somebody interrupts the thread */
}

/*
 * Locks and children can be asked for without waiting, too: most often that is enough.  `i` is the
 * argument that says so, and `busy` what is returned where it would wait.
 */
static long try_first(struct call *c, int i, word value, long busy)
{
	long result = raw_with(c, i, value);

	return result == busy ? block(c) : result;
}

static int is_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags != -1 && flags & O_NONBLOCK;
}

/*
 * 0: it may be ready; or -errno: EAGAIN as the kernel would say it, ECANCELED.  CANT: the loop can't
 * wait for it (sets of descriptors nest only so deep, and so on), but the kernel can.
 */
#define CANT (-SAFE_ERESTARTSYS)
static long await(int fd, short events, const char *where, int64_t *deadline)
{
	struct timeval limit = { 0, 0 };
	socklen_t size = sizeof limit;
	long result;

	if (fd < 0)
		return 0;
	if (is_nonblocking(fd))
		return -EAGAIN;
	if (!*deadline) {
		getsockopt(fd, SOL_SOCKET, events & POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO, &limit,
			   &size);
		*deadline = !limit.tv_sec && !limit.tv_usec ? NEVER :
			green_after((int64_t)limit.tv_sec * 1000000000 +
				    (int64_t)limit.tv_usec * 1000);
	}
	result = green_wait_fd(where, fd, events, *deadline);
	return !result || result == -ECANCELED ? result : result == -ETIMEDOUT ? -EAGAIN : CANT;
}

/* Or /dev/zero and its like, whose reads are short only because they were not to wait. */
static int is_file(int fd)
{
	struct stat st;
	mode_t type = fstat(fd, &st) ? 0 : st.st_mode & S_IFMT;

	return type == S_IFREG || type == S_IFBLK || type == S_IFDIR ||
		(type == S_IFCHR && major(st.st_rdev) == 1);
}

/* Beyond its own limit a file's writer is killed, but not by the write that has come so far. */
static int is_limited(int fd)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY && is_file(fd);
}

static int option(int fd, int name)
{
	socklen_t size = sizeof(int);
	int value = 0;

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

static int is_stream(int fd)
{
	return option(fd, SO_TYPE) == SOCK_STREAM;
}

/* ---- read, write and the like ---------------------------------------------------- */

/*
 * First all of it is tried.  When a part has been moved, and more is to be, the rest goes piece
 * by piece: the iovec is the caller's, and is not written.
 */
struct transfer {
	struct call *call;
	int fd, out;
	int flags_at;			/* of a message, which argument; else a read or write */
	long flags;
	struct msghdr *msg;
	size_t index, offset;		/* what is next */
	long done;
	int has_waited;			/* since something was moved */
	int64_t deadline;		/* of the socket's own time-out; 0: not looked at */
};

/* ENOTSOCK: it can't be asked not to wait. */
static long attempt(const struct transfer *t, struct msghdr *msg)
{
	word message[SAFE_SYSCALL_ARGUMENTS] = { t->fd, word_of(msg), t->flags | MSG_DONTWAIT };
	long result = -EOPNOTSUPP;

	if (t->flags_at && !t->done)		/* the kernel is the first to look at it */
		return raw_with(t->call, t->flags_at, message[2]);
	if (!t->flags_at) {
		const word vector[SAFE_SYSCALL_ARGUMENTS] = { t->fd, word_of(msg->msg_iov),
			(word)msg->msg_iovlen, -1, -1, RWF_NOWAIT };

		result = raw(t->call, t->out ? SYS_pwritev2 : SYS_preadv2, vector);
	}
	if (result == -EOPNOTSUPP || result == -ENOSYS)
		result = raw(t->call, t->out ? SYS_sendmsg : SYS_recvmsg, message);
	return result;
}

/* So much was moved.  Is there more to be done? */
static int goes_on(struct transfer *t, long n)
{
	const struct iovec *v = t->msg->msg_iov;

	t->done += n;
	t->has_waited = 0;
	for (t->offset += (size_t)n; t->index < (size_t)t->msg->msg_iovlen; t->index++) {
		if (t->offset < v[t->index].iov_len)
			break;
		t->offset -= v[t->index].iov_len;
	}
	if (t->index == (size_t)t->msg->msg_iovlen)
		return 0;
	if (t->flags & MSG_WAITALL)
		return is_stream(t->fd);
	return t->flags_at ? t->out : t->out ? !is_limited(t->fd) : is_file(t->fd);
}

/* A socket's error is told once: after a part to the next call of the user's, and not to ours. */
static int has_failed(const struct transfer *t)
{
	struct pollfd p = { t->fd, 0, 0 };

	return poll(&p, 1, 0) == 1 && p.revents & POLLERR && is_stream(t->fd);
}

/* Now the kernel waits, and does as it does.  One task at a time: others wait in the loop. */
static long on_its_own(struct call *c, int out, const char *where, int64_t *deadline)
{
	const short events = out ? POLLOUT : POLLIN;
	int fd = (int)c->a[0];
	long result;

	if (is_nonblocking(fd))
		return direct(c);
	result = await(fd, events | ALONE, where, deadline);
	if (result)
		return result == CANT ? block(c) : result;
	result = block(c);
	green_waited(fd, events);
	return result;
}

/* Where the kernel can't be asked not to wait, or a file's part is not in memory. */
static long slowly(struct transfer *t, const struct iovec *next)
{
	struct call *c = t->call;

	if (t->done) {
		c->number = t->out ? SYS_write : SYS_read;
		c->a[1] = word_of(next->iov_base);
		c->a[2] = (word)next->iov_len;
	}
	return is_file(t->fd) ? block(c) :
		on_its_own(c, t->out, t->out ? "write" : "read", &t->deadline);
}

/*
 * A socket of datagrams is ready for poll(2) where it has room, and waits where the one that they
 * are for has none.  What lies in a queue of errors wakes those, too, who wait for something else.
 */
static int is_ready_in_vain(const struct transfer *t)
{
	struct pollfd p = { t->fd, t->out ? POLLOUT : POLLIN, 0 };

	if (t->has_waited && poll(&p, 1, 0) == 1 && p.revents == POLLERR)
		return 1;
	return t->out && !t->done && !is_stream(t->fd) && poll(&p, 1, 0) == 1;
}

static long transfer(struct transfer *t)
{
	const long at_once = MSG_DONTWAIT | MSG_ERRQUEUE | (t->out ? 0 : MSG_OOB);
	struct iovec next;
	struct msghdr rest = { .msg_iov = &next, .msg_iovlen = 1 };
	long result;

	for (;;) {
		if (t->done) {
			if (has_failed(t))
				break;
			next = t->msg->msg_iov[t->index];
			next.iov_base = (char *)next.iov_base + t->offset;
			next.iov_len -= t->offset;
		}
		result = attempt(t, t->done ? &rest : t->msg);
		if (!t->flags_at &&
		    (result == -ENOTSOCK || (result == -EAGAIN && is_file(t->fd)))) {
			result = slowly(t, &next);
			t->done += result > 0 ? result : 0;
			break;		/* what the kernel leaves off is left off */
		}
		if (result == -EAGAIN && !(t->flags & at_once)) {
			result = is_ready_in_vain(t) ? CANT :
				await(t->fd, t->out ? POLLOUT : POLLIN,
				      t->out ? "write" : "read", &t->deadline);
			t->has_waited = 1;
			if (!result)
				continue;
		}
		/* a connection is to be made first, and that was not waited for */
		if (result == -EINPROGRESS && t->out && !(t->flags & at_once) &&
		    !is_nonblocking(t->fd))
			result = CANT;
		if (result == CANT && !t->done)
			return block(t->call);
		if (result <= 0 || !goes_on(t, result))
			break;
	}
	return t->done ? t->done : result;
}

/*
 * To wait for all by parts is not what the kernel does where they are looked at only, where names
 * or descriptors come with them, or where those might: of Unix sockets.
 */
static int is_whole(const struct transfer *t)
{
	const word *a = t->call->a;

	if (t->out || !(t->flags & MSG_WAITALL) || t->flags & MSG_DONTWAIT)
		return 0;
	return t->flags & MSG_PEEK || option(t->fd, SO_DOMAIN) == AF_UNIX ||
		(t->flags_at == 3 ? a[4] != 0 :
		 !is_readable(t->msg, sizeof *t->msg) || t->msg->msg_control);
}

static long read_or_write(struct call *c, int out)
{
	word *a = c->a;
	struct iovec one = { (void *)(uintptr_t)a[1], (size_t)a[2] };
	struct msghdr msg = { .msg_iov = &one, .msg_iovlen = 1 };
	struct transfer t = { .call = c, .fd = (int)a[0], .out = out, .msg = &msg };

	if (c->number == SYS_readv || c->number == SYS_writev) {
		msg.msg_iov = (struct iovec *)(uintptr_t)a[1];
		msg.msg_iovlen = (size_t)a[2];
	} else if (c->number == SYS_recvfrom || c->number == SYS_sendto) {
		t.flags_at = 3;
	} else if (c->number == SYS_recvmsg || c->number == SYS_sendmsg) {
		t.flags_at = 2;
		t.msg = (struct msghdr *)(uintptr_t)a[1];
	}
	t.flags = t.flags_at ? (long)a[t.flags_at] : 0;
	/* of nothing: preadv2() and pwritev2() do nothing, where these may send, or fail */
	if (c->number == SYS_read && !a[2])
		return direct(c);
	if ((c->number == SYS_write && !a[2]) || (out && t.flags & MSG_FASTOPEN))
		return is_nonblocking(t.fd) ? direct(c) : block(c);
	return is_whole(&t) ? on_its_own(c, 0, "read", &t.deadline) : transfer(&t);
}

/* ---- others that wait for descriptors ------------------------------------------------------ */

static long accept_one(struct call *c)
{
	int64_t deadline = 0;

	return on_its_own(c, 0, "accept", &deadline);
}

/*
 * What a connect of TCP has begun goes on in the kernel when it is interrupted, and made again
 * it tells the result.  So it takes a thread for a moment only.
 */
static long connect_one(struct call *c)
{
	const struct sockaddr *to = (const struct sockaddr *)(uintptr_t)c->a[1];
	struct pollfd p = { (int)c->a[0], POLLOUT, 0 };
	int64_t deadline = 0;
	long result;

	if (is_nonblocking((int)c->a[0]))
		return direct(c);
	if ((size_t)c->a[2] < sizeof to->sa_family || !is_readable(to, sizeof to->sa_family) ||
	    !is_stream((int)c->a[0]) ||
	    (to->sa_family != AF_INET && to->sa_family != AF_INET6))
		return block(c);
	do
		result = block_for(c, 1000000);
	while (result == -SAFE_ERESTARTSYS && poll(&p, 1, 0) && p.revents & POLLHUP);
	/* it has been begun */
	if (result != -EINTR && result != -SAFE_ERESTARTSYS)
		return result;
	result = await((int)c->a[0], POLLOUT, "connect", &deadline);
	return !result || result == CANT ? block(c) : result == -EAGAIN ? -EINPROGRESS : result;
}

/* Does not wait, but a tick's signal may make the kernel say EINTR. */
static long look(struct call *c, long number, const word *a)
{
	long result;

	do
		result = raw(c, number, a);
	while (result == -EINTR);
	return result;
}

/*
 * Looks, and waits until a set of descriptors has something, until there is a result.  Where the
 * loop can't wait for the set (they nest only so deep) the kernel waits for what is left.
 */
static long look_until(struct call *c, int set, long number, const word *a, int64_t ns)
{
	int64_t deadline = ns < 0 ? NEVER : green_after(ns);
	long result = look(c, number, a), waited = 0;

	while (!result && ns && !waited) {
		waited = green_wait_fd("poll", set, POLLIN, deadline);
		result = waited == -ECANCELED ? waited : look(c, number, a);
	}
	if (result || !waited || waited == -ETIMEDOUT)
		return result;
	ns = deadline - green_now();
	result = deadline == NEVER ? block(c) : block_for(c, ns > 0 ? ns : 1);
	return deadline != NEVER && (result == -SAFE_ERESTARTSYS || result == -EINTR) ? 0 : result;
}

/* By a set of their own, as the loop has one function for each descriptor. */
static long poll_fds(struct call *c, int64_t ns)
{
	const struct pollfd *fds = (const struct pollfd *)(uintptr_t)c->a[0], *other;
	__kernel_long_t now[2] = { 0, 0 };
	word a[SAFE_SYSCALL_ARGUMENTS] = { c->a[0], c->a[1], word_of(now) };
	unsigned int n = (unsigned int)c->a[1], i;
	long result = look(c, SYS_ppoll, a);
	struct epoll_event event;
	int set;

	if (result || !ns)
		return result;
	set = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < n; i++) {
		event.events = (unsigned short)fds[i].events;
		if (fds[i].fd < 0 || !epoll_ctl(set, EPOLL_CTL_ADD, fds[i].fd, &event) ||
		    errno == EPERM)	/* always ready, but it was not asked for that */
			continue;
		for (other = fds; other < fds + i; other++)
			if (other->fd == fds[i].fd)
				event.events |= (unsigned short)other->events;
		if (errno != EEXIST || epoll_ctl(set, EPOLL_CTL_MOD, fds[i].fd, &event))
			break;
	}
	result = set != -1 && i == n ? look_until(c, set, SYS_ppoll, a, ns) : block(c);
	if (set != -1)
		close(set);
	return result;
}

/* Returns -1 where there is no time: as the kernel will say. */
static int time_of(word at, int64_t *ns)
{
	const __kernel_long_t *t = (const __kernel_long_t *)(uintptr_t)at;

	if (!is_readable(t, 2 * sizeof *t) || t[0] < 0 || t[1] < 0 || t[1] >= 1000000000)
		return -1;
	*ns = t[0] > 1000000000 ? NEVER : (int64_t)t[0] * 1000000000 + t[1];
	return 0;
}

/* Writes the time that is left, if that can be written. */
static long poll_for_timespec(struct call *c)
{
	int64_t ns = -1, until, left;
	__kernel_long_t t[2];
	struct iovec from = { t, sizeof t }, to = { (void *)(uintptr_t)c->a[2], sizeof t };
	long result;

	if (c->a[3] || (c->a[2] && time_of(c->a[2], &ns)))
		return block(c);
	until = green_after(ns);
	result = poll_fds(c, ns);
	left = until - green_now();
	t[0] = left > 0 ? left / 1000000000 : 0;
	t[1] = left > 0 ? left % 1000000000 : 0;
	if (c->a[2] && until != NEVER)
		process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	return result;
}

static long sleep_until(struct call *c, int clock, int flags, word at)
{
	int64_t ns;
	long result;

	if (time_of(at, &ns) || (clock != CLOCK_MONOTONIC && (clock != CLOCK_REALTIME || flags)))
		return block(c);
	result = green_wait_fd("sleep", -1, 0, flags & TIMER_ABSTIME ? ns : green_after(ns));
	return result == -ETIMEDOUT ? 0 : result == -ECANCELED ? result : block(c);
}

static long wait_for_events(struct call *c)
{
	word a[SAFE_SYSCALL_ARGUMENTS] = { c->a[0], c->a[1], c->a[2] };

	return look_until(c, (int)c->a[0], SYS_epoll_pwait, a, (int64_t)(int)c->a[3] * 1000000);
}

/* ---- which is which ------------------------------------------------------------------------ */

static long make(struct call *c)
{
	const word *a = c->a;

	switch (c->number) {
	case SYS_read: case SYS_readv: case SYS_recvfrom: case SYS_recvmsg:
		return read_or_write(c, 0);
	case SYS_write: case SYS_writev: case SYS_sendto: case SYS_sendmsg:
		return read_or_write(c, 1);
#ifdef SYS_accept
	case SYS_accept:
#endif
	case SYS_accept4:
		return accept_one(c);
	case SYS_connect:
		return connect_one(c);
#ifdef SYS_poll
	case SYS_poll:
		return poll_fds(c, (int64_t)(int)a[2] * 1000000);
#endif
	case SYS_ppoll:
		return poll_for_timespec(c);
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
		return wait_for_events(c);
#endif
	case SYS_epoll_pwait:
		return a[4] ? block(c) : wait_for_events(c);
	case SYS_nanosleep:
		return sleep_until(c, CLOCK_MONOTONIC, 0, a[0]);
	case SYS_clock_nanosleep:
		return sleep_until(c, (int)a[0], (int)a[1], a[2]);
	case SYS_flock:
		return (int)a[1] & LOCK_NB ? direct(c) :
			try_first(c, 1, a[1] | LOCK_NB, -EWOULDBLOCK);
	case SYS_wait4:
		return (int)a[2] & WNOHANG ? direct(c) : try_first(c, 2, a[2] | WNOHANG, 0);
	case FCNTL:
		return (int)a[1] == F_SETLKW ? try_first(c, 1, F_SETLK, -EAGAIN) :
			(int)a[1] == F_OFD_SETLKW ? try_first(c, 1, F_OFD_SETLK, -EAGAIN) :
			direct(c);
	/* of the caller, whichever thread it is on; and what never waits */
#ifdef SYS_fork
	case SYS_fork:
#endif
	case SYS_clone:
		return scoped(c);
	case SYS_getpid: case SYS_gettid: case SYS_getppid: case SYS_kill: case SYS_tgkill:
	case SYS_socket: case SYS_socketpair: case SYS_bind: case SYS_listen: case SYS_shutdown:
	case SYS_getsockname: case SYS_getpeername: case SYS_getsockopt: case SYS_setsockopt:
	case SYS_dup: case SYS_pipe2: case SYS_lseek: case SYS_eventfd2: case SYS_epoll_create1:
	case SYS_epoll_ctl: case SYS_rt_sigprocmask: case SYS_rt_sigaction: case SYS_exit_group:
	case SYS_execve:
		return direct(c);
	default:
		return block(c);
	}
}

/* Takes as many words as there may be: what is not passed is not looked at by the kernel. */
__attribute__((no_sanitize_address)) long green_syscall(long number, ...)
{
	struct call c = { .task = green_enter("green_syscall"), .number = number };
	long result;
	va_list ap;
	int i;

	va_start(ap, number);
	for (i = 0; i < SAFE_SYSCALL_ARGUMENTS; i++)
		c.a[i] = va_arg(ap, word);
	va_end(ap);
	result = c.task->flag ? -ECANCELED : make(&c);
	green_leave(c.task);
	return result < 0 && result >= -4095 ? green_fail((int)-result) : result;
}
