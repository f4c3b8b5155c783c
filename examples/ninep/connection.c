/* SPDX-License-Identifier: MIT */
/*
 * connection.c - clients on the loop.
 *
 * Whoever leads reads, and takes messages apart at their sizes.  Replies are sent by
 * whoever has one: a worker, as long as the client takes them, without a wait.  Only one
 * thread sends at a time, those that come meanwhile leave it theirs.  When the client
 * does not take them, the loop waits until it does.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "request.h"

#define BATCH		32		/* replies in one call */

static struct client *clients;
bool client_last;

/* ---- to the client ------------------------------------------------------ */

/* So many bytes need not be kept any more. */
static void sent(struct client *c, size_t bytes)
{
	struct reply *reply;

	while ((reply = c->first) && bytes >= reply->size - reply->sent) {
		bytes -= reply->size - reply->sent;
		c->first = reply->next;
		request_relieved(c, reply->size + sizeof *reply);
		free(reply);
	}
	if (reply)
		reply->sent += (uint32_t)bytes;
}

/* With the lock, which it lets go of while it sends. */
static void push(struct client *c)
{
	struct iovec iov[BATCH];
	struct reply *reply;
	ssize_t n;
	int parts;

	c->sending = true;
	while (c->first && !c->blocked && !c->broken) {
		parts = 0;
		for (reply = c->first; reply && parts < BATCH; reply = reply->next)
			iov[parts++] = (struct iovec){ reply->data + reply->sent,
				reply->size - reply->sent };
		server_unlock();
		n = writev(c->out, iov, parts);
		server_lock();
		if (n >= 0)
			sent(c, (size_t)n);
		else if (errno == EAGAIN)
			c->blocked = true;
		else
			c->broken = errno != EINTR;
	}
	if (c->broken)
		sent(c, SIZE_MAX);
	c->sending = false;
}

static bool wants_input(const struct client *c)
{
	return !c->closed && !c->ending && c->held < HELD_INPUT;
}

static bool wants_room(const struct client *c)
{
	return c->blocked && !c->broken && !c->closed;
}

void client_unlock(struct client *c)
{
	if (c->first && !c->sending && (!c->blocked || c->broken))
		push(c);
	/* is what the loop does for it no longer what it should?  In here, as it is gone
	   when the loop has seen that it is over */
	if (c->over || (c->broken && !c->closed) || c->reading != wants_input(c) ||
	    c->writing != wants_room(c))
		loop_bh_schedule(c->attend);
	server_unlock();
}

/* ---- from the client ---------------------------------------------------- */

/* Nothing more is taken from it; what is under way is cancelled. */
static void close_it(struct client *c)
{
	c->closed = true;
	request_end_all(c);
}

/* Messages from the buffer.  What it can't take now waits there: a Tversion has to end. */
static void feed(struct client *c)
{
	unsigned char *at = c->buffer;
	size_t left = c->buffered, n;
	struct request *r;

	while (wants_input(c)) {
		if (!c->request && left < 4)
			break;
		if (!c->request) {
			n = wire_size(at);
			if (n >= WIRE_HEADER && n <= (c->msize ? c->msize : request_msize))
				c->request = request_new(c, (uint32_t)n);
			c->have = 0;
		}
		r = c->request;
		if (!r) {
			close_it(c);
			break;
		}
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
	void (*in)(void *), (*out)(void *);

	if (c->reading == wants_input(c) && c->writing == wants_room(c))
		return;
	c->reading = wants_input(c);
	c->writing = wants_room(c);
	in = c->reading ? readable : NULL;
	out = c->writing ? writable : NULL;
	loop_fd(server_loop, c->in, in, c->in == c->out ? out : NULL, c);
	if (c->in != c->out)
		loop_fd(server_loop, c->out, NULL, out, c);
}

/* What is long goes where it belongs, at once. */
static void readable(void *opaque)
{
	struct client *c = opaque;
	struct request *r = c->request;
	const bool direct = r && r->size - c->have > sizeof c->buffer;
	ssize_t n = direct ? read(c->in, r->data + c->have, r->size - c->have) :
		read(c->in, c->buffer + c->buffered, sizeof c->buffer - c->buffered);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	server_lock();
	if (n <= 0)
		close_it(c);
	else if (direct)
		c->have += (uint32_t)n;
	else
		c->buffered += (size_t)n;
	feed(c);
	watch(c);
	client_unlock(c);
}

static void writable(void *opaque)
{
	struct client *c = opaque;

	server_lock();
	c->blocked = false;
	client_unlock(c);
}

/* ---- on the loop -------------------------------------------------------- */

static void destroy(struct client *c)
{
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

/* What follows for the loop from what workers, and itself, have done. */
static void attend(void *opaque)
{
	struct client *c = opaque;

	server_lock();
	if (c->broken && !c->closed)
		close_it(c);
	feed(c);
	watch(c);
	if (c->over && !c->sending) {
		destroy(c);
		server_unlock();
	} else
		client_unlock(c);
}

/*
 * Descriptors must not block; and that is not to be seen by others who have them too, so
 * they are opened again, for this server alone, where that can be had.
 */
static int own(int fd, int mode)
{
	char path[FILE_PROC];
	int again = open(file_proc(path, fd), mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (again == -1)		/* sockets: only those of another program are shared */
		return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1 ? -1 : fd;
	close(fd);
	return again;
}

int client_new(int in, int out)
{
	/* all zero; of its large arrays there is only as much as is used */
	struct client *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (c == MAP_FAILED)
		return -1;
	/* what ends it is had from the beginning: there may be no memory then */
	c->farewell = request_new(c, 0);
	c->attend = loop_bh_new(server_loop, attend, c);
	if (!c->farewell || !c->attend) {
		loop_bh_delete(c->attend);
		free(c->farewell);
		munmap(c, sizeof *c);
		errno = ENOMEM;
		return -1;
	}
	c->in = in;
	c->out = out;
	c->link = &clients;
	c->next = clients;
	if (c->next)
		c->next->link = &c->next;
	clients = c;
	watch(c);
	return 0;
}

int client_new_shared(int in, int out)
{
	if (in == out)
		out = in = own(in, O_RDWR);
	else {
		in = own(in, O_RDONLY);
		out = own(out, O_WRONLY);
	}
	return in == -1 || out == -1 ? -1 : client_new(in, out);
}

void client_end_all(void)
{
	struct client *c, *next;

	client_last = true;
	for (c = clients; c; c = next) {
		next = c->next;
		server_lock();
		close_it(c);
		client_unlock(c);
	}
	server_lock();
	if (!clients)
		request_stop();
	server_unlock();
}
