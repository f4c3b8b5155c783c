/* SPDX-License-Identifier: MIT */
/*
 * connection.c - clients on the loop.
 *
 * The loop's thread reads, and takes messages apart at their sizes.  Replies are sent by
 * whoever has one: a worker, as long as the client takes them, without a wait.  Only one
 * thread sends at a time, those that come meanwhile leave it theirs.  When the client
 * does not take them, the loop waits until it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "request.h"

#define BATCH		32		/* replies in one call */

struct connection {
	struct session session;		/* first; its lock guards what is not the loop's */
	struct loop *loop;
	struct loop_bh *attend;		/* something has changed for the loop */
	struct connection *next, **link;
	int in, out;
	bool socket;
	bool reading, writing;		/* what the loop waits for */
	bool closed;			/* by the client, or for what it sent */
	struct request *request;	/* of which so much has come; null: not even its size */
	uint32_t have;
	unsigned char *at, *end;	/* what has come behind it, in the buffer */
	struct reply *first, **last;	/* in the way to the client */
	bool sending, blocked, broken, over;
	unsigned char buffer[32768];
};

static struct connection *connections;
bool connection_stop;

static struct connection *of(struct session *s)
{
	return (struct connection *)s;
}

/* ---- to the client ------------------------------------------------------ */

void session_send(struct session *s, struct reply *reply)
{
	struct connection *c = of(s);

	reply->next = NULL;
	*c->last = reply;
	c->last = &reply->next;
}

static int gather(const struct connection *c, struct iovec *iov)
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
static ssize_t transmit(const struct connection *c, struct iovec *iov, int n)
{
	const struct msghdr message = { .msg_iov = iov, .msg_iovlen = n };

	return c->socket ? sendmsg(c->out, &message, MSG_DONTWAIT | MSG_NOSIGNAL) :
		writev(c->out, iov, n);
}

/* So many bytes need not be kept any more. */
static void sent(struct connection *c, size_t bytes)
{
	struct reply *reply;

	while ((reply = c->first) && bytes >= reply->size - reply->sent) {
		bytes -= reply->size - reply->sent;
		c->first = reply->next;
		if (!c->first)
			c->last = &c->first;
		session_relieved(&c->session, reply->size + sizeof *reply);
		free(reply);
	}
	if (reply)
		reply->sent += bytes;
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
	if (c->broken)
		sent(c, SIZE_MAX);
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

/* Is what the loop does for it no longer what it should? */
static bool needs_attention(const struct connection *c)
{
	return c->over || (c->broken && !c->closed) || c->reading != wants_input(c) ||
		c->writing != wants_room(c);
}

void session_unlock(struct session *s)
{
	struct connection *c = of(s);

	if (c->first && !c->sending && (!c->blocked || c->broken))
		push(c);
	/* in here, as it is gone when the loop has seen that it is over */
	if (needs_attention(c))
		loop_bh_schedule(c->attend);
	pthread_mutex_unlock(&s->lock);
}

void session_ended(struct session *s)
{
	of(s)->over = true;
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
	const uint32_t size = wire_size(c->at);

	if (size >= WIRE_HEADER && size <= (c->session.msize ? c->session.msize : request_msize))
		c->request = request_new(&c->session, size);
	c->have = 0;
	return c->request;
}

/* So much has come of the message; if that is all of it, it goes its way. */
static void came(struct connection *c, size_t n)
{
	struct request *r = c->request;

	c->have += (uint32_t)n;
	if (c->have < r->size)
		return;
	c->request = NULL;
	request_received(r);
}

/* Messages from the buffer.  What it can't take now waits there: a Tversion has to end. */
static void feed(struct connection *c)
{
	size_t n;

	while (c->at < c->end && wants_input(c)) {
		if (!c->request && c->end - c->at < 4)
			break;
		if (!c->request && !begin(c)) {
			close_it(c);
			break;
		}
		n = c->request->size - c->have;
		if (n > (size_t)(c->end - c->at))
			n = (size_t)(c->end - c->at);
		memcpy(c->request->data + c->have, c->at, n);
		c->at += n;
		came(c, n);
	}
	memmove(c->buffer, c->at, (size_t)(c->end - c->at));
	c->end -= c->at - c->buffer;
	c->at = c->buffer;
}

static void readable(void *opaque);
static void writable(void *opaque);

/* With the lock. */
static void watch(struct connection *c)
{
	const bool reading = !c->over && wants_input(c), writing = !c->over && wants_room(c);
	void (*const in)(void *) = reading ? readable : NULL;
	void (*const out)(void *) = writing ? writable : NULL;

	if (reading == c->reading && writing == c->writing)
		return;
	c->reading = reading;
	c->writing = writing;
	loop_fd(c->loop, c->in, in, c->in == c->out ? out : NULL, c);
	if (c->in != c->out)
		loop_fd(c->loop, c->out, NULL, out, c);
}

/* The rest of the message goes where it belongs, what comes behind it into the buffer. */
static void readable(void *opaque)
{
	struct connection *c = opaque;
	struct request *r = c->request;
	struct iovec iov[2] = { { NULL, 0 }, { c->end, sizeof c->buffer - (c->end - c->at) } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t rest;
	ssize_t n;

	if (r)
		iov[0] = (struct iovec){ r->data + c->have, r->size - c->have };
	rest = iov[0].iov_len;
	n = c->socket ? recvmsg(c->in, &message, MSG_DONTWAIT) : readv(c->in, iov, 2);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	pthread_mutex_lock(&c->session.lock);
	if (n <= 0)
		close_it(c);
	else {
		if ((size_t)n > rest)
			c->end += (size_t)n - rest;
		if (r)
			came(c, (size_t)n < rest ? (size_t)n : rest);
		feed(c);
	}
	watch(c);
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

static void destroy(struct connection *c)
{
	struct loop *loop;

	watch(c);
	close(c->in);
	if (c->out != c->in)
		close(c->out);
	sent(c, SIZE_MAX);
	loop_bh_delete(c->attend);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	pthread_mutex_destroy(&c->session.lock);
	free(c->request);
	loop = c->loop;
	munmap(c, sizeof *c);
#ifdef __GLIBC__
	malloc_trim(0);			/* it may have had much */
#endif
	if (!connections && connection_stop)
		loop_stop(loop, 0);
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
	feed(c);
	watch(c);
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

	if (own == -1) {		/* there is no other way, then */
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		return fd;
	}
	close(fd);
	return own;
}

static bool is_socket(int fd)
{
	struct stat stat;

	return !fstat(fd, &stat) && S_ISSOCK(stat.st_mode);
}

int connection_new(struct loop *loop, int in, int out)
{
	/* all zero; of its large arrays there is only as much as is used */
	struct connection *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (c == MAP_FAILED || session_init(&c->session)) {
		if (c != MAP_FAILED)
			munmap(c, sizeof *c);
		errno = ENOMEM;
		return -1;
	}
	c->loop = loop;
	c->socket = is_socket(in) && is_socket(out);
	if (!c->socket && in == out)
		out = fcntl(in, F_DUPFD_CLOEXEC, 0);
	c->in = c->socket ? in : private(in, O_RDONLY);
	c->out = c->socket ? out : private(out, O_WRONLY);
	c->at = c->end = c->buffer;
	c->last = &c->first;
	c->attend = loop_bh_new(loop, attend, c);
	c->link = &connections;
	c->next = connections;
	if (c->next)
		c->next->link = &c->next;
	connections = c;
	watch(c);
	return 0;
}

void connection_end_all(struct loop *loop)
{
	struct connection *c, *next;

	for (c = connections; c; c = next) {
		next = c->next;
		pthread_mutex_lock(&c->session.lock);
		close_it(c);
		session_unlock(&c->session);
	}
	connection_stop = true;
	if (!connections)
		loop_stop(loop, 0);
}
