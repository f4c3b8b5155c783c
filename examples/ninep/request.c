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
 * A client that flushes looks at what comes before Rflush, to know whether its request has
 * happened.  Wherever the flush finds the request, that is the truth:
 *
 * RECEIVED.  The flush takes it from the queue, under the queue's lock, and no worker has
 * seen it.  If a worker was faster, this is the next case.
 *
 * RUNNING, its scope not entered yet.  An interrupt is sticky: the first call fails.
 *
 * RUNNING, in a call or between two.  The call returns SAFE_ERESTARTSYS, and then it had
 * no effect, or its result, and then it had.  This is what the library is for.  The first
 * call of an operation that has an effect leaves the scope (request_settle()).  So an
 * operation fails with SAFE_ERESTARTSYS exactly when none of its calls had an effect: no
 * reply.  Any other end it would have had without a flush too: its reply.
 *
 * RUNNING, after its last call.  The interrupt comes too late and changes nothing; once the
 * scope is left it can't reach the thread, which has the next request to run.
 *
 * ANSWERED.  The tag is free from the moment in which the reply is put in the way to the
 * client, so the flush finds none, and its Rflush is behind that reply.
 *
 * CANCELLED.  Another flush, or a flush of the flush, is put behind the first one; all are
 * answered in order, when the request is over.  Their tags are taken until then.
 *
 * A session that ends (Tversion, a closed connection) cancels all of its requests, waits
 * for their end, and then for that of the fids.  Nothing of it is left when Rversion is sent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "request.h"

#define IDLE		1		/* seconds after which a thread ends */
#define STACK		(256 << 10)

uint32_t request_msize = 1 << 20;
bool request_trace;
int request_threads = 64;

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
	int *limit;
	pthread_mutex_t lock;
	pthread_cond_t wake;		/* all zero: as PTHREAD_COND_INITIALIZER */
	struct queue queue;
	int threads;
	int idle;			/* of these, waiting for work */
	bool coming;			/* one is woken or started, and not at the queue yet */
};

/*
 * Two of them.  What closes files may block too, but must get its turn while all
 * others block: a client that clunks has nothing else to wait for.
 */
static int closers = 4;
static struct pool
	working = { .limit = &request_threads, .lock = PTHREAD_MUTEX_INITIALIZER },
	closing = { .limit = &closers, .lock = PTHREAD_MUTEX_INITIALIZER };

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
	pool->threads += !error;
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
	else if (pool->threads >= *pool->limit || (error = start_thread(pool)))
		return error;
	pool->coming = true;
	return 0;
}

/* With the pool's lock: false when nobody has sent for this thread for a while. */
static bool wait_for_work(struct pool *pool)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE;
	pool->idle++;
	while (!pool->coming && !error)
		error = pthread_cond_timedwait(&pool->wake, &pool->lock, &until);
	pool->idle--;
	return pool->coming;
}

static void run(struct request *r);

static void *work(void *opaque)
{
	struct pool *pool = opaque;
	struct request *r;

	pthread_mutex_lock(&pool->lock);
	do {
		pool->coming = false;	/* maybe another was sent for, and finds nothing */
		while ((r = pool->queue.first)) {
			queue_remove(r);
			send_for_thread(pool);
			pthread_mutex_unlock(&pool->lock);
			run(r);
			pthread_mutex_lock(&pool->lock);
		}
	} while (wait_for_work(pool));
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

static struct reply *begin_reply(struct wire *w, uint32_t room, int type, uint16_t tag)
{
	struct reply *reply = malloc(sizeof *reply + room);

	if (!reply)
		return NULL;
	reply->sent = 0;
	wire_begin(w, reply->data, room, type, tag);
	return reply;
}

static void send_reply(struct session *s, struct reply *reply, struct wire *w)
{
	wire_end(w);
	reply->size = w->size;
	s->held += reply->size + sizeof *reply;		/* until it is sent */
	if (request_trace)
		wire_describe(stderr, reply->data, reply->size, NULL);
	session_send(s, reply);
}

/* One without contents, or an error.  Without memory even for that, the session ends. */
static void send_short(struct session *s, int type, uint16_t tag, int error)
{
	struct wire w;
	struct reply *reply = begin_reply(&w, 16, error ? RLERROR : type, tag);

	if (!reply) {
		session_end(s);
		return;
	}
	if (error)
		wire_numbers(&w, wire_error(error));
	send_reply(s, reply, &w);
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
	pthread_mutex_init(&s->lock, NULL);
	s->farewell = request_new(s, 0);
	return s->farewell ? 0 : -1;
}

static void charge(struct request *r, uint32_t bytes)
{
	r->charged += bytes;
	r->session->held += bytes;
}

static void begin_life(struct request *r)
{
	r->session->tags[r->message.tag] = r;
	r->session->live++;
}

static void forget(struct request *r)
{
	struct session *s = r->session;

	if (s->tags[r->message.tag] == r) {
		s->tags[r->message.tag] = NULL;
		s->live--;
	}
	s->held -= r->charged;
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
	struct request *f;

	if (answered && r->reply && !error) {
		send_reply(s, r->reply, &r->wire);
		r->reply = NULL;
	} else if (answered)
		send_short(s, 0, r->message.tag, error);
	while ((f = r->flushes.first)) {
		queue_remove(f);
		send_short(s, RFLUSH, f->message.tag, 0);
		forget(f);
	}
	if (r->message.type == TVERSION)
		s->ending = s->last;
	else if (!r->message.type)
		session_ended(s);
	forget(r);
	session_relieved(s, 0);
	start_last(s);
}

static __thread struct request *running;

void request_settle(void)
{
	if (!running->settled)
		safe_syscall_leave(&running->scope);
	running->settled = true;
}

static uint32_t reply_room(const struct request *r)
{
	const uint32_t msize = r->session->msize;

	return wire_reply_room(&r->message, msize ? msize : WIRE_SMALLEST);
}

static int carry_out(struct request *r)
{
	struct reply *whole;
	int error;

	r->reply = begin_reply(&r->wire, reply_room(r), r->message.type + 1, r->message.tag);
	if (!r->reply)
		return ENOMEM;
	error = operation_run(r);
	if (!error && r->wire.full)
		error = EMSGSIZE;
	/* memory that was not needed is given back: the reply may wait for long */
	if (!error && r->wire.size < r->wire.room / 2 &&
	    (whole = realloc(r->reply, sizeof *whole + r->wire.size)))
		r->reply = whole, r->wire.data = whole->data;
	return error;
}

static void run(struct request *r)
{
	struct session *s = r->session;
	int error;

	running = r;
	if (!r->settled)
		safe_syscall_enter(&r->scope);
	error = carry_out(r);
	if (!r->settled)
		safe_syscall_leave(&r->scope);
	/* from here on no flush of it reaches this thread; files are closed, if they are by
	   this, before the client hears of it */
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
	return s->held + r->cost <= (r->cost < 8192 ? HELD_SMALL : HELD_LARGE) ||
		s->held <= r->charged || r->settled;
}

static void start(struct request *r)
{
	struct session *s = r->session;
	int error;

	r->starved = !affordable(s, r);
	if (r->starved) {
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
		start(r);
	}
}

/* ---- its end before the time -------------------------------------------- */

/* If it had not begun, it is over by this.  What closes fids is never cancelled. */
static void cancel(struct request *r)
{
	if (r->cancelled || r->message.type == TCLUNK || r->message.type == TVERSION)
		return;
	r->cancelled = true;
	if (r->starved)			/* r->queue is the workers' to look at, if not */
		queue_remove(r);
	else if (!take_back(r)) {
		safe_syscall_interrupt(&r->scope);
		return;
	}
	end(r, false, 0);
}

/* A flush of a flush waits with it: that does its work, and then both are answered. */
static void flush(struct request *f)
{
	struct request *r = f->session->tags[f->message.oldtag];

	if (!r) {
		send_short(f->session, RFLUSH, f->message.tag, 0);
		forget(f);
		return;
	}
	begin_life(f);
	f->flushed = r->flushed ? r->flushed : r;
	queue_add(&f->flushed->flushes, f);
	cancel(f->flushed);
}

/* When nothing else is left: the Tversion, or what closes the fids of a connection. */
static void start_last(struct session *s)
{
	struct request *r = s->last;

	if (!r || s->live)
		return;
	s->last = NULL;
	begin_life(r);
	r->settled = true;
	if (submit(&closing, r))	/* no thread is to be had: so be it */
		end(r, r->message.type, carry_out(r));
}

static void end_with(struct session *s, struct request *last)
{
	int i;

	if (s->last)
		forget(s->last);	/* a Tversion that the end of the connection overtook */
	s->last = last;
	s->ending = true;
	for (i = 0; i < TAGS && s->live; i++)
		/* flushes go with what they are about */
		if (s->tags[i] && !s->tags[i]->flushed)
			cancel(s->tags[i]);
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
static void clunk(struct request *r)
{
	struct session *s = r->session;

	fids_remove(&s->fids, r->fid);
	if (fid_quick(r->fid)) {
		send_short(s, RCLUNK, r->message.tag, 0);
		forget(r);
		return;
	}
	r->settled = true;
	begin_life(r);
	start(r);
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
	if (s->tags[r->message.tag])
		return EBUSY;
	if (r->message.type == TAUTH)
		return EOPNOTSUPP;
	error = operation_find(r);
	if (error)
		return error;
	if (r->message.type == TFLUSH)
		flush(r);
	else if (r->message.type == TCLUNK)
		clunk(r);
	else {
		begin_life(r);
		start(r);
	}
	return 0;
}

void request_received(struct request *r)
{
	const uint16_t tag = (uint16_t)(r->data[5] | r->data[6] << 8);
	int error = wire_parse(&r->message, r->data, r->size);

	if (request_trace)
		wire_describe(stderr, r->data, r->size, &r->message);
	charge(r, r->size + (uint32_t)sizeof *r);
	r->cost = reply_room(r);
	if (!error)
		error = begin(r);
	if (!error)
		return;
	send_short(r->session, 0, tag, error);
	forget(r);
}
