/* SPDX-License-Identifier: MIT */
/*
 * connection.c - clients on the loop.
 *
 * Whoever leads reads, and takes messages apart at their sizes.  Replies are sent by
 * whoever has one: a worker, as long as the client takes them, without a wait.  Only one
 * thread sends at a time, those that come meanwhile leave it theirs.  When the client
 * does not take them, the loop waits until it does.  Where nothing is read for a time the
 * client may still be gone: that is waited for by itself, and what it sent last is not read.
 */
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "server.h"

#define BATCH		32		/* replies in one call */

static struct client *clients;
static int hang_ups;			/* an epoll set: those from which nothing is read */
bool client_last;

/* Without a wait; of a socket, which others may share, that is said at each call. */
static ssize_t transfer(int fd, struct iovec *iov, int parts, bool out)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)parts };
	ssize_t n = out ? sendmsg(fd, &m, MSG_DONTWAIT) : recvmsg(fd, &m, MSG_DONTWAIT);

	if (n == -1 && errno == ENOTSOCK)
		n = out ? writev(fd, iov, parts) : readv(fd, iov, parts);
	return n;
}

/* ---- to the client ------------------------------------------------------ */

/* So many bytes need not be kept any more. */
static void sent(struct client *c, size_t bytes)
{
	struct request *r;

	while ((r = c->replies.first) && bytes >= r->wire.size - r->sent) {
		bytes -= r->wire.size - r->sent;
		queue_remove(r);
		request_free(r);
	}
	if (r)
		r->sent += (uint32_t)bytes;
}

/* With the lock, which it lets go of while it sends. */
static void push(struct client *c)
{
	struct iovec iov[BATCH];

	c->sending = true;
	while (c->replies.first && !c->blocked) {
		int parts = 0;
		for (struct request *r = c->replies.first; r && parts < BATCH; r = r->next)
			iov[parts++] = (struct iovec){ r->wire.data + r->sent,
				r->wire.size - r->sent };
		server_unlock();
		ssize_t n = transfer(c->out, iov, parts, true);
		server_lock();
		if (n == -1 && errno == EAGAIN)
			c->blocked = true;
		else if (n != -1 || errno != EINTR) {
			c->broken |= n == -1;
			sent(c, n == -1 ? SIZE_MAX : (size_t)n);
		}
	}
	c->sending = false;
}

/* Is the next message to be received, of which so much is there? */
static bool may_begin(const struct client *c, const unsigned char *at, size_t have)
{
	if (c->held < HELD_MOST)
		return have >= 4;
	return c->held < HELD_ALL && have >= WIRE_HEADER &&
		(at[4] == TFLUSH || at[4] == TCLUNK || at[4] == TVERSION);
}

static bool wants_input(const struct client *c)
{
	return !c->closed && !c->ending && (c->request || c->buffered < WIRE_HEADER ||
					    may_begin(c, c->buffer, c->buffered));
}

static bool wants_room(const struct client *c)
{
	return c->blocked && !c->closed;
}

void client_unlock(struct client *c)
{
	if (c->replies.first && !c->sending)
		push(c);
	/* is what the loop does for it no longer what it should?  In here, as it is gone
	   when the loop has seen that it is over */
	if (c->over || (c->broken && !c->closed) || c->reading != wants_input(c) ||
	    c->writing != wants_room(c))
		loop_bh_schedule(c->attend);
	server_unlock();
}

/* ---- from the client ---------------------------------------------------- */

/* Messages from the buffer.  What it can't take now waits there: a Tversion has to end. */
static void feed(struct client *c)
{
	unsigned char *at = c->buffer;
	size_t left = c->buffered, n;
	struct request *r;

	while (!c->closed && !c->ending) {
		if (!c->request) {
			if (!may_begin(c, at, left))
				break;
			n = wire_size(at);
			if (n >= WIRE_HEADER && n <= (c->msize ? c->msize : request_msize))
				c->request = request_new(c, (uint32_t)n);
			c->have = 0;
		}
		r = c->request;
		c->broken |= !r;
		if (!r)
			break;
		n = r->size - c->have < left ? r->size - c->have : left;
		memcpy(r->data + c->have, at, n);
		at += n;
		left -= n;
		c->have += (uint32_t)n;
		if (c->have < r->size)
			break;
		c->request = NULL;
		request_received(r);
	}
	memmove(c->buffer, at, left);
	c->buffered = left;
}

static void readable(void *opaque);
static void writable(void *opaque);

/* With the lock. */
static void watch(struct client *c)
{
	if (c->reading == wants_input(c) && c->writing == wants_room(c))
		return;
	c->reading = wants_input(c);
	c->writing = wants_room(c);
	void (*in)(void *) = c->reading ? readable : NULL;
	void (*out)(void *) = c->writing ? writable : NULL;
	loop_fd(server_loop, c->in, in, c->in == c->out ? out : NULL, c);
	if (c->in != c->out)
		loop_fd(server_loop, c->out, NULL, out, c);
	epoll_ctl(hang_ups, in ? EPOLL_CTL_DEL : EPOLL_CTL_ADD, c->in,
		  &(struct epoll_event){ EPOLLRDHUP | EPOLLONESHOT, { .ptr = c } });
}

static void destroy(struct client *c)
{
	epoll_ctl(hang_ups, EPOLL_CTL_DEL, c->in, NULL);
	close(c->in);
	if (c->out != c->in)
		close(c->out);
	sent(c, SIZE_MAX);
	loop_bh_delete(c->attend);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c->request);
	munmap(c, sizeof *c);
#ifdef __GLIBC__
	malloc_trim(0);			/* it may have had much */
#endif
	if (!clients && client_last)
		request_stop();
}

/* What follows from what workers, and the loop, have done.  With the lock, which it lets go of. */
static void look_after(struct client *c)
{
	feed(c);
	if (c->broken && !c->closed) {	/* what is under way is cancelled */
		c->closed = true;
		request_end_all(c, &c->farewell);
	}
	watch(c);
	if (c->over && !c->sending) {
		destroy(c);
		server_unlock();
	} else
		client_unlock(c);
}

static void attend(void *opaque)
{
	server_lock();
	look_after(opaque);
}

static void hung_up(void *unused)
{
	struct epoll_event event;

	while (epoll_wait(hang_ups, &event, 1, 0) == 1) {
		server_lock();
		((struct client *)event.data.ptr)->broken = true;
		look_after(event.data.ptr);
	}
	(void)unused;
}

/* What is missing of a request goes where it belongs, at once; only what follows is buffered. */
static void readable(void *opaque)
{
	struct client *c = opaque;
	struct request *r = c->request;
	const size_t missing = r ? r->size - c->have : 0;
	struct iovec iov[] = {
		{ r ? r->data + c->have : NULL, missing },
		{ c->buffer + c->buffered, sizeof c->buffer - c->buffered }
	};
	ssize_t n = transfer(c->in, iov, 2, false);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	server_lock();
	c->broken |= n <= 0;
	if (n > 0) {
		const size_t direct = (size_t)n < missing ? (size_t)n : missing;
		c->have += (uint32_t)direct;
		c->buffered += (size_t)n - direct;
	}
	look_after(c);
}

static void writable(void *opaque)
{
	struct client *c = opaque;

	server_lock();
	c->blocked = false;
	look_after(c);
}

/* ---- their beginning and end -------------------------------------------- */

/*
 * Pipes and terminals must not block; and that is not to be seen by others who have them too, so
 * they are opened again, for this server alone, where that can be had.  Files don't.
 */
static int own(int fd, int mode)
{
	char path[32];
	struct stat stat;
	int again;

	if (fstat(fd, &stat) || S_ISSOCK(stat.st_mode) || S_ISREG(stat.st_mode))
		return fd;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (again != -1)
		close(fd);
	else
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return again == -1 ? fd : again;
}

int client_start(void)
{
	hang_ups = epoll_create1(EPOLL_CLOEXEC);
	return hang_ups == -1 ? -1 : loop_fd(server_loop, hang_ups, hung_up, NULL, NULL);
}

int client_new(int in, int out)
{
	/* all zero; of its large arrays there is only as much as is used */
	struct client *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (c == MAP_FAILED)
		return -1;
	c->attend = loop_bh_new(server_loop, attend, c);
	if (!c->attend) {
		munmap(c, sizeof *c);
		errno = ENOMEM;
		return -1;
	}
	c->farewell.client = c;
	c->in = own(in, in == out ? O_RDWR : O_RDONLY);
	c->out = in == out ? c->in : own(out, O_WRONLY);
	c->link = &clients;
	c->next = clients;
	if (c->next)
		c->next->link = &c->next;
	clients = c;
	watch(c);
	return 0;
}

void client_end_all(void)
{
	client_last = true;
	for (struct client *c = clients, *next; c; c = next) {
		next = c->next;
		server_lock();
		c->broken = true;
		look_after(c);
	}
	server_lock();
	if (!clients)
		request_stop();
	server_unlock();
}
