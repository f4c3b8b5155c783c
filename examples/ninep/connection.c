/* SPDX-License-Identifier: MIT */
/*
 * connection.c - clients on the loop.
 *
 * The loop's thread reads, and takes messages apart at their sizes.  Replies are sent by
 * whoever has one: a worker, as long as the client takes them, without a wait.  Only one
 * thread sends at a time, those that come meanwhile leave it theirs.  When the client
 * does not take them, the loop waits until it does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "connection.h"
#include "request.h"

#define BATCH		32		/* replies in one call */

struct connection {
	struct session session;		/* first; its lock guards all that is not the loop's */
	struct loop *loop;
	struct loop_bh *attend;		/* something has changed for the loop */
	struct connection *next, **link;
	int in, out;
	bool socket;
	bool reading, writing;		/* what the loop waits for */
	bool closed;			/* by the client, or for what it sent */
	unsigned char head[4];		/* of a message; until it is there whole ... */
	uint32_t have;			/* ... so much has come of the message */
	struct request *request;	/* null: not even its size is known */
	unsigned char *stash;		/* what came behind a Tversion */
	size_t stashed;
	struct reply *first, **end;	/* in the way to the client */
	bool sending, blocked, broken, over;
};

static struct connection *connections;
static unsigned int count;
void (*connection_last)(void);

unsigned int connection_count(void)
{
	return count;
}

static struct connection *of(struct session *s)
{
	return (struct connection *)s;
}

/* ---- to the client ------------------------------------------------------ */

void session_send(struct session *s, struct reply *reply)
{
	struct connection *c = of(s);

	reply->next = NULL;
	*c->end = reply;
	c->end = &reply->next;
}

static void drop_first(struct connection *c)
{
	struct reply *reply = c->first;

	c->first = reply->next;
	if (!c->first)
		c->end = &c->first;
	session_relieved(&c->session, reply->size + sizeof *reply);
	free(reply);
}

static int gather(struct connection *c, struct iovec *iov)
{
	struct reply *reply;
	int n = 0;

	for (reply = c->first; reply && n < BATCH; reply = reply->next, n++) {
		iov[n].iov_base = reply->data + reply->sent;
		iov[n].iov_len = reply->size - reply->sent;
	}
	return n;
}

/* Never waits: descriptors that are no sockets don't block. */
static ssize_t transmit(struct connection *c, struct iovec *iov, int n)
{
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = (size_t)n };

	return c->socket ? sendmsg(c->out, &message, MSG_DONTWAIT | MSG_NOSIGNAL) :
		writev(c->out, iov, n);
}

static void sent(struct connection *c, size_t bytes)
{
	while (bytes) {
		size_t left = c->first->size - c->first->sent;

		if (bytes < left) {
			c->first->sent += (uint32_t)bytes;
			return;
		}
		bytes -= left;
		drop_first(c);
	}
}

/* With the lock, which it lets go of while it sends. */
static void push(struct connection *c)
{
	struct iovec iov[BATCH];
	ssize_t n;

	c->sending = true;
	while (c->first && !c->blocked && !c->broken) {
		int parts = gather(c, iov);

		pthread_mutex_unlock(&c->session.lock);
		n = transmit(c, iov, parts);
		pthread_mutex_lock(&c->session.lock);
		if (n >= 0)
			sent(c, (size_t)n);
		else if (errno == EAGAIN)
			c->blocked = true;
		else if (errno != EINTR)
			c->broken = true;
	}
	while (c->first && c->broken)
		drop_first(c);
	c->sending = false;
}

static bool wants_input(const struct connection *c)
{
	return !c->closed && !c->session.ending && c->session.held < HELD_INPUT;
}

static bool wants_room(const struct connection *c)
{
	return c->blocked && !c->broken && !c->closed;
}

void session_unlock(struct session *s)
{
	struct connection *c = of(s);

	if (c->first && !c->sending && (!c->blocked || c->broken))
		push(c);
	/* in here, as it is gone when the loop has seen that it is over */
	if (c->over || (c->broken && !c->closed) || (c->stash && !s->ending) ||
	    c->reading != wants_input(c) || c->writing != wants_room(c))
		loop_bh_schedule(c->attend);
	pthread_mutex_unlock(&s->lock);
}

void session_ended(struct session *s, bool closed)
{
	of(s)->over |= closed;
}

/* ---- from the client ---------------------------------------------------- */

/* Nothing more is taken from it; what is under way is cancelled. */
static void close_it(struct connection *c)
{
	c->closed = true;
	session_end(&c->session);
}

/* Its size is there: a place for the message. */
static bool begin(struct connection *c)
{
	const uint32_t size = wire_size(c->head);
	const uint32_t most = c->session.msize ? c->session.msize : request_msize;

	if (size < WIRE_HEADER || size > most)
		return false;
	c->request = request_new(&c->session, size);
	if (!c->request)
		return false;
	memcpy(c->request->data, c->head, sizeof c->head);
	return true;
}

/* Bytes of the message that is under way; how many it takes of these. */
static size_t take(struct connection *c, const unsigned char *data, size_t size)
{
	unsigned char *to = c->request ? c->request->data : c->head;
	size_t n = (c->request ? c->request->size : sizeof c->head) - c->have;

	if (n > size)
		n = size;
	if (data != to + c->have)	/* else they were received there */
		memcpy(to + c->have, data, n);
	c->have += (uint32_t)n;
	if (!c->request && c->have == sizeof c->head && !begin(c))
		close_it(c);
	else if (c->request && c->have == c->request->size) {
		struct request *r = c->request;

		c->request = NULL;
		c->have = 0;
		request_received(r);
	}
	return n;
}

/* What comes behind a Tversion has to wait for its end. */
static void stash(struct connection *c, const unsigned char *data, size_t size)
{
	unsigned char *more = realloc(c->stash, c->stashed + size);

	if (!more) {
		close_it(c);
		return;
	}
	memcpy(more + c->stashed, data, size);
	c->stash = more;
	c->stashed += size;
}

static void feed(struct connection *c, const unsigned char *data, size_t size)
{
	size_t n;

	while (size && !c->closed && !c->session.ending) {
		n = take(c, data, size);
		data += n;
		size -= n;
	}
	if (size && !c->closed)
		stash(c, data, size);
}

static void feed_stash(struct connection *c)
{
	unsigned char *data = c->stash;
	size_t size = c->stashed;

	c->stash = NULL;
	c->stashed = 0;
	feed(c, data, size);
	free(data);
}

/* The rest of the message goes where it belongs, what comes behind it here. */
static void readable(void *opaque)
{
	static unsigned char buffer[65536];	/* the loop has one thread */
	struct connection *c = opaque;
	struct request *r = c->request;
	struct iovec iov[2] = { { NULL, 0 }, { buffer, sizeof buffer } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t rest, n;
	ssize_t got;

	if (r)
		iov[0] = (struct iovec){ r->data + c->have, r->size - c->have };
	rest = iov[0].iov_len;
	got = c->socket ? recvmsg(c->in, &message, MSG_DONTWAIT) : readv(c->in, iov, 2);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	n = got > 0 ? (size_t)got : 0;
	pthread_mutex_lock(&c->session.lock);
	if (!n)
		close_it(c);
	if (rest && n)
		feed(c, iov[0].iov_base, n < rest ? n : rest);
	if (n > rest)
		feed(c, buffer, n - rest);
	session_unlock(&c->session);
}

static void writable(void *opaque)
{
	struct connection *c = opaque;

	pthread_mutex_lock(&c->session.lock);
	c->blocked = false;
	session_unlock(&c->session);
}

/* ---- on the loop -------------------------------------------------------- */

static void watch(struct connection *c, bool reading, bool writing)
{
	if (reading == c->reading && writing == c->writing)
		return;
	c->reading = reading;
	c->writing = writing;
	if (c->in == c->out) {
		loop_fd(c->loop, c->in, reading ? readable : NULL, writing ? writable : NULL, c);
		return;
	}
	loop_fd(c->loop, c->in, reading ? readable : NULL, NULL, c);
	loop_fd(c->loop, c->out, NULL, writing ? writable : NULL, c);
}

static void destroy(struct connection *c)
{
	watch(c, false, false);
	close(c->in);
	if (c->out != c->in)
		close(c->out);
	while (c->first)
		drop_first(c);
	loop_bh_delete(c->attend);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	pthread_mutex_destroy(&c->session.lock);
	free(c->request);
	free(c->stash);
	free(c);
#ifdef __GLIBC__
	malloc_trim(0);			/* it may have had much */
#endif
	if (!--count && connection_last)
		connection_last();
}

/* What follows for the loop from what workers, and itself, have done. */
static void attend(void *opaque)
{
	struct connection *c = opaque;
	struct session *s = &c->session;

	pthread_mutex_lock(&s->lock);
	if (c->over && !c->sending) {
		pthread_mutex_unlock(&s->lock);
		destroy(c);
		return;
	}
	if (c->broken && !c->closed)
		close_it(c);
	if (c->stash && !s->ending)
		feed_stash(c);
	watch(c, wants_input(c), wants_room(c));
	if (c->first && !c->sending && !c->blocked)
		push(c);
	pthread_mutex_unlock(&s->lock);
}

/*
 * A descriptor that is not a socket must not block; and that is not to be seen by others
 * who have it too, so it is opened again, for this server alone.
 */
static int private(int fd, int mode)
{
	char path[FILE_PROC];
	int own = open(file_proc(path, fd), mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (own == -1)			/* there is no other way, then */
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	else
		close(fd);
	return own == -1 ? fd : own;
}

static bool is_socket(int fd)
{
	struct stat stat;

	return !fstat(fd, &stat) && S_ISSOCK(stat.st_mode);
}

int connection_new(struct loop *loop, int in, int out)
{
	struct connection *c = calloc(1, sizeof *c);

	if (!c || session_init(&c->session)) {
		free(c);
		errno = ENOMEM;
		return -1;
	}
	c->loop = loop;
	c->socket = is_socket(in) && is_socket(out);
	if (!c->socket && in == out)
		out = fcntl(in, F_DUPFD_CLOEXEC, 0);
	c->in = c->socket ? in : private(in, O_RDONLY);
	c->out = c->socket ? out : private(out, O_WRONLY);
	c->end = &c->first;
	c->attend = loop_bh_new(loop, attend, c);
	c->link = &connections;
	c->next = connections;
	if (c->next)
		c->next->link = &c->next;
	connections = c;
	count++;
	watch(c, true, false);
	return 0;
}

void connection_end_all(void)
{
	struct connection *c, *next;

	for (c = connections; c; c = next) {
		next = c->next;
		pthread_mutex_lock(&c->session.lock);
		close_it(c);
		session_unlock(&c->session);
	}
}
