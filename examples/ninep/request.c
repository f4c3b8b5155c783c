/* SPDX-License-Identifier: MIT */
/*
 * request.c - the life of a request.
 *
 *	            worker takes it             operation returns
 *	 RECEIVED -----------------> RUNNING ------------------------> ANSWERED
 *	    |                           |                                 |
 *	    | flush                     | flush:                          | all Rflushes
 *	    |                           | interrupt the scope             |
 *	    |                           v                                 v
 *	    |                       CANCELLED --- it had an effect ---> FORGOTTEN
 *	    |                           |        or an end of its own:    ^
 *	    |                           |        its reply                |
 *	    +---------------------------+---------------------------------+
 *	                       no effect: no reply, all Rflushes
 *
 * Each arrow is taken with the session's lock; what is put in the way to the client
 * there, is sent in that order.
 *
 * WHY A CLIENT CAN'T BE FOOLED
 *
 * A client that flushes wants to know whether its request has happened.  It looks at what
 * comes before Rflush.  Wherever the flush finds the request, that is the truth:
 *
 * RECEIVED.  The request is taken from the queue, and no worker has seen it.  (A
 * worker that takes it from the queue at the same time does it under the queue's lock: one
 * of the two gets it.  If it is the worker, this is the next case.)
 *
 * RUNNING, its scope not entered yet.  An interrupt is sticky: the first call fails.
 *
 * RUNNING, in a call or between two.  The call returns SAFE_ERESTARTSYS, and then it had
 * no effect, or it returns its result, and then it had.  This is what the library is for.
 * An operation fails with SAFE_ERESTARTSYS exactly when none of its calls had an effect:
 * the first that has one settles the request (request_settle()), and leaves the scope.
 * An operation ends in one way only, and that one decides: SAFE_ERESTARTSYS, no reply;
 * a result or an error of its own, which it would have had without a flush too: its reply.
 *
 * RUNNING, after its last call.  The interrupt comes too late and changes nothing; its
 * scope is left before the request is looked at again, and after that no signal
 * that was meant for it can reach the thread, which has the next request to run.
 *
 * ANSWERED.  The tag is free from the moment in which the reply is put in the way to the
 * client, so the flush finds none, and its Rflush is behind that reply.  The tag belongs to a
 * flushed request until its Rflush is in the way: only then may the client use it again.
 *
 * CANCELLED.  Another flush, or a flush of the flush, is put behind the first one; all are
 * answered in order, when the request is over.
 *
 * A session that ends (Tversion, a closed connection) cancels all of its requests, waits
 * for their end, and then for that of the fids.  Nothing of it is left when Rversion is sent.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "request.h"

#define IDLE		1		/* seconds after which a thread ends */
#define STACK		(256 << 10)

uint32_t request_msize = 1 << 20;
bool request_trace;

/* ---- queues ------------------------------------------------------------- */

static void queue_add(struct queue *queue, struct request *r)
{
	if (!queue->first)
		queue->end = &queue->first;
	r->next = NULL;
	r->link = queue->end;
	*queue->end = r;
	queue->end = &r->next;
	r->queue = queue;
}

static void queue_remove(struct request *r)
{
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	else
		r->queue->end = r->link;
	r->queue = NULL;
}

/* ---- threads ------------------------------------------------------------ */

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct queue queue;
	int threads, limit;
	int idle;			/* of these, waiting for work */
	int coming;			/* woken or started, and not at the queue yet */
};

/*
 * Two of them.  What closes files may block too, but must get its turn while all
 * others block: a client that clunks has nothing else to wait for.
 */
static struct pool working, closing;

static void pool_init(struct pool *pool, int limit)
{
	pthread_condattr_t attr;

	pool->limit = limit;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->wake, &attr);
}

void request_init(int threads)
{
	pool_init(&working, threads);
	pool_init(&closing, 4);
}

static void *work(void *opaque);

static int start_thread(struct pool *pool)
{
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	error = pthread_create(&thread, &attr, work, pool);
	pthread_attr_destroy(&attr);
	return error;
}

/*
 * Whenever there are requests in the queue, a thread is on its way to it; the one that comes
 * sends for the next.  So a request that blocks holds up nobody, and many that don't are
 * done by few threads, without one being woken for each.
 */
static int send_for_thread(struct pool *pool)
{
	int error = 0;

	if (!pool->queue.first || pool->coming)
		return 0;
	if (pool->idle)
		pthread_cond_signal(&pool->wake);
	else if (pool->threads == pool->limit || (error = start_thread(pool)))
		return error;
	else
		pool->threads++;
	pool->coming++;
	return 0;
}

/* With the pool's lock: false when nobody has sent for this thread for a while. */
static bool wait_for_work(struct pool *pool)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE;
	pool->idle++;
	while (!pool->coming && !error)
		error = pthread_cond_timedwait(&pool->wake, &pool->lock, &until);
	pool->idle--;
	if (!pool->coming)
		return false;
	pool->coming--;			/* maybe another was sent for, and finds nothing */
	return true;
}

static void run(struct request *r);

static void *work(void *opaque)
{
	struct pool *pool = opaque;
	struct request *r;

	pthread_mutex_lock(&pool->lock);
	if (pool->coming)
		pool->coming--;
	do
		while ((r = pool->queue.first)) {
			queue_remove(r);
			send_for_thread(pool);
			pthread_mutex_unlock(&pool->lock);
			run(r);
			pthread_mutex_lock(&pool->lock);
		}
	while (wait_for_work(pool));
	pool->threads--;
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Without any thread, and none to be had, there is no way on: the error. */
static int submit(struct pool *pool, struct request *r)
{
	int error;

	pthread_mutex_lock(&pool->lock);
	queue_add(&pool->queue, r);
	error = send_for_thread(pool);
	if (pool->threads)
		error = 0;
	else
		queue_remove(r);
	pthread_mutex_unlock(&pool->lock);
	return error;
}

/* Before a worker does? */
static bool take_back(struct request *r)
{
	bool there;

	pthread_mutex_lock(&working.lock);
	there = r->queue == &working.queue;
	if (there)
		queue_remove(r);
	pthread_mutex_unlock(&working.lock);
	return there;
}

/* ---- replies ------------------------------------------------------------ */

static struct reply *reply_new(uint32_t room)
{
	struct reply *reply = malloc(sizeof *reply + room);

	if (reply) {
		reply->sent = 0;
		reply->next = NULL;
	}
	return reply;
}

static void trace(const unsigned char *data, uint32_t size, const struct message *m)
{
	if (!request_trace)
		return;
	flockfile(stderr);
	wire_describe(stderr, data, size, m);
	funlockfile(stderr);
}

static void send_reply(struct session *s, struct reply *reply, struct wire *wire)
{
	wire_end(wire);
	reply->size = wire->size;
	s->held += reply->size + sizeof *reply;		/* until it is sent */
	trace(reply->data, reply->size, NULL);
	session_send(s, reply);
}

/* One without contents, or an error.  Without memory even for that, the session ends. */
static void send_short(struct session *s, int type, uint16_t tag, int error)
{
	struct reply *reply = reply_new(16);
	struct wire wire;

	if (!reply) {
		session_end(s);
		return;
	}
	wire_begin(&wire, reply->data, 16, error ? RLERROR : type, tag);
	if (error)
		wire_numbers(&wire, "4", wire_error(error));
	send_reply(s, reply, &wire);
}

/* ---- tags --------------------------------------------------------------- */

static struct request **tag_place(struct session *s, uint64_t tag)
{
	struct request **link = &s->tags[tag % TAGS];

	while (*link && (*link)->message.tag != tag)
		link = &(*link)->tag_next;
	return link;
}

static void tag_add(struct request *r)
{
	struct request **link = tag_place(r->session, r->message.tag);

	r->tag_next = NULL;
	*link = r;
	r->session->live++;
}

/* ---- the life ----------------------------------------------------------- */

struct request *request_new(struct session *s, uint32_t size)
{
	struct request *r = malloc(sizeof *r + size);

	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	r->session = s;
	r->size = size;
	return r;
}

/* What ends it is had from the beginning: there may be no memory then. */
int session_init(struct session *s)
{
	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	s->farewell = request_new(s, 0);
	return s->farewell ? 0 : ENOMEM;
}

static void charge(struct request *r, uint32_t bytes)
{
	r->charged += bytes;
	r->session->held += bytes;
}

static void forget(struct request *r)
{
	r->session->held -= r->charged;
	fid_put(r->fid);
	fid_put(r->dfid);
	free(r->reply);
	free(r);
}

static void start_last(struct session *s);

/*
 * It is over.  Its reply, if it gets one: what was built, or an error; the flushes; and
 * then it is no more.
 */
static void end(struct request *r, bool answered, int error)
{
	struct session *s = r->session;
	struct request **link = tag_place(s, r->message.tag), *f;

	if (*link == r)
		*link = r->tag_next;
	if (answered && r->reply && !error) {
		send_reply(s, r->reply, &r->wire);
		r->reply = NULL;
	} else if (answered)
		send_short(s, 0, r->message.tag, error);
	while ((f = r->flushes.first)) {
		queue_remove(f);
		*tag_place(s, f->message.tag) = f->tag_next;
		send_short(s, RFLUSH, f->message.tag, 0);
		s->live--;
		forget(f);
	}
	s->live--;
	s->ending = s->last || (s->ending && r->message.type != TVERSION);
	if (!r->message.type || r->message.type == TVERSION)
		session_ended(s, !r->message.type);
	forget(r);
	session_relieved(s, 0);
	start_last(s);
}

static __thread struct request *running;

void request_settle(void)
{
	if (running->settled)
		return;
	safe_syscall_leave(&running->scope);
	running->settled = true;
}

static int prepare_reply(struct request *r)
{
	const uint32_t msize = r->session->msize ? r->session->msize : WIRE_SMALLEST;
	uint32_t room = wire_reply_room(&r->message, msize);

	r->reply = reply_new(room);
	if (!r->reply)
		return ENOMEM;
	wire_begin(&r->wire, r->reply->data, room, r->message.type + 1, r->message.tag);
	return 0;
}

static void run(struct request *r)
{
	struct session *s = r->session;
	struct reply *whole;
	int error;

	running = r;
	if (!r->settled)
		safe_syscall_enter(&r->scope);
	error = prepare_reply(r);
	if (!error)
		error = operation_run(r);
	if (!r->settled)
		safe_syscall_leave(&r->scope);
	/* from here on no flush of it reaches this thread */
	if (!error && r->wire.full)
		error = EMSGSIZE;
	/* memory that was not needed is given back: the reply may wait for long */
	if (!error && r->wire.size < r->wire.room / 2 &&
	    (whole = realloc(r->reply, sizeof *whole + r->wire.size)))
		r->reply = whole, r->wire.data = whole->data;
	/* files are closed, if they are by this, before the client hears of it */
	fid_put(r->fid);
	fid_put(r->dfid);
	r->fid = r->dfid = NULL;
	pthread_mutex_lock(&s->lock);
	end(r, error != SAFE_ERESTARTSYS && r->message.type, error);
	session_unlock(s);
}

/* Small requests don't wait behind large ones, and one can always be had. */
static bool affordable(const struct session *s, const struct request *r)
{
	return s->held + r->cost <= HELD_MOST + (r->cost < 65536 ? HELD_SMALL : 0) ||
		s->held <= r->charged || r->settled;
}

static void start(struct request *r)
{
	struct session *s = r->session;
	int error;

	if (!affordable(s, r)) {
		r->starved = true;
		queue_add(&s->starved, r);
		return;
	}
	charge(r, r->cost);
	error = submit(r->settled ? &closing : &working, r);
	if (error)
		end(r, true, error);
}

void session_relieved(struct session *s, size_t bytes)
{
	struct request *r;

	s->held -= bytes;
	while ((r = s->starved.first) && affordable(s, r)) {
		queue_remove(r);
		r->starved = false;
		start(r);
	}
}

/* ---- its end before the time -------------------------------------------- */

/* True: it had not begun, and is over by this.  A Tclunk has had its effect. */
static bool cancel(struct request *r)
{
	if (r->cancelled || r->message.type == TCLUNK)
		return false;
	r->cancelled = true;
	if (r->starved)			/* r->queue is the workers' to look at, if not */
		queue_remove(r);
	else if (!take_back(r)) {
		safe_syscall_interrupt(&r->scope);
		return false;
	}
	return true;
}

static void flush(struct request *f)
{
	struct session *s = f->session;
	struct request *r = *tag_place(s, f->message.oldtag);

	if (!r) {
		send_short(s, RFLUSH, f->message.tag, 0);
		forget(f);
		return;
	}
	tag_add(f);
	if (r->flushed)
		r = r->flushed;		/* it does its work, and then both are answered */
	f->flushed = r;
	queue_add(&r->flushes, f);
	if (cancel(r))
		end(r, false, 0);
}

/* When nothing else is left: the Tversion, or what closes the fids of a connection. */
static void start_last(struct session *s)
{
	struct request *r = s->last;

	if (!r || s->live)
		return;
	s->last = NULL;
	s->live++;
	r->settled = true;
	if (submit(&closing, r))
		run(r);			/* so be it */
}

static void end_with(struct session *s, struct request *last)
{
	struct request *r, *next;
	int i;

	if (s->last)
		forget(s->last);	/* a Tversion that the end of the connection overtook */
	s->last = last;
	s->ending = true;
	for (i = 0; i < TAGS; i++)
		for (r = s->tags[i]; r; r = next) {
			next = r->tag_next;
			/* flushes go with what they are about, and maybe the next one here */
			if (!r->flushed && cancel(r))
				end(r, false, 0), next = s->tags[i];
		}
	start_last(s);
}

void session_end(struct session *s)
{
	struct request *last = s->farewell;

	s->farewell = NULL;
	if (last)
		end_with(s, last);
}

/* ---- its beginning ------------------------------------------------------ */

/*
 * The number is free at once, whatever else goes on with the fid.  Where closing it
 * may take its time, a thread does it.
 */
static int clunk(struct request *r)
{
	struct session *s = r->session;
	struct fid *fid = fids_find(&s->fids, (uint32_t)r->message.fid);

	if (!fid)
		return EBADF;
	r->fid = fids_remove(&s->fids, fid);
	if (fid_quick(r->fid)) {
		send_short(s, RCLUNK, r->message.tag, 0);
		forget(r);
		return 0;
	}
	r->settled = true;
	tag_add(r);
	start(r);
	return 0;
}

static int begin(struct request *r)
{
	struct session *s = r->session;
	int error;

	if (r->message.type == TVERSION) {
		end_with(s, r);
		return 0;
	}
	if (!s->msize)
		return EPROTO;
	if (*tag_place(s, r->message.tag))
		return EBUSY;
	if (r->message.type == TAUTH)
		return EOPNOTSUPP;
	if (r->message.type == TFLUSH) {
		flush(r);
		return 0;
	}
	if (r->message.type == TCLUNK)
		return clunk(r);
	error = operation_find(r);
	if (error)
		return error;
	tag_add(r);
	start(r);
	return 0;
}

void request_received(struct request *r)
{
	struct session *s = r->session;
	const uint16_t tag = (uint16_t)(r->data[5] | r->data[6] << 8);
	int error = wire_parse(&r->message, r->data, r->size);

	trace(r->data, r->size, &r->message);
	charge(r, r->size + (uint32_t)sizeof *r);
	r->cost = wire_reply_room(&r->message, s->msize ? s->msize : WIRE_SMALLEST);
	if (!error)
		error = begin(r);
	if (!error)
		return;
	send_short(s, 0, tag, error);
	forget(r);
}
