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
 * Each arrow is taken with the lock; what is put in the way to the client there, is sent in
 * that order.
 *
 * WHY A CLIENT CAN'T BE FOOLED
 *
 * A client that flushes looks at what comes before Rflush, to know whether its request has
 * happened.  Wherever the flush finds the request, that is the truth:
 *
 * RECEIVED.  The flush takes it from the queue, and no worker has seen it.  If a worker was
 * faster, this is the next case.
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

#include "call.h"
#include "request.h"

#define IDLE		1		/* seconds after which a thread ends */
#define STACK		(256 << 10)
#define CLOSERS		4
#define PIPE_MOST	(64 << 10)	/* of one read of what has no end */

uint32_t request_msize = 1 << 20;
bool request_trace;
int request_threads = 64;
struct loop *server_loop;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void server_lock(void)
{
	pthread_mutex_lock(&lock);
}

void server_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

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

/*
 * All threads are alike.  One leads: it waits in the loop, for all connections.  When
 * that has brought requests it lets another one lead, and works on a request itself; so
 * the client does not wait until a thread has been woken.  Whenever nobody leads, or
 * there are more requests, a thread is on its way; the one that comes sends for the next.
 * So a request that blocks holds up nobody, and many that don't are done by few threads.
 */
static struct thread {
	struct thread *below;
	pthread_cond_t wake;
	bool called;
} *idle;				/* the one that was busy last is on top */
static bool coming, led, over;

/*
 * What closes files may block too, but must get its turn while all others block: a client
 * that clunks has nothing else to wait for.
 */
static struct pool {
	struct queue queue;
	int running;
} working, closing;

static struct pool *ready(void)
{
	if (closing.queue.first && closing.running < CLOSERS)
		return &closing;
	return working.queue.first && working.running < request_threads ? &working : NULL;
}

static void *work(void *unused);

/* False: none is to be had. */
static bool send_for_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (!coming && idle) {
		idle->called = coming = true;
		pthread_cond_signal(&idle->wake);
		idle = idle->below;
	} else if (!coming) {
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, STACK);
		coming = !pthread_create(&thread, &attr, work, NULL);
		pthread_attr_destroy(&attr);
	}
	return coming;
}

/* False when nobody has sent for this thread for a while. */
static bool wait_for_call(struct thread *self)
{
	struct thread **link = &idle;
	struct timespec until;
	int error = 0;

	self->called = false;
	self->below = idle;
	idle = self;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE;
	while (!self->called && !error)
		error = pthread_cond_timedwait(&self->wake, &lock, &until);
	if (self->called)
		return true;
	while (*link != self)
		link = &(*link)->below;
	*link = self->below;
	return false;
}

static void run(struct request *r);

static void take(struct pool *pool)
{
	struct request *r = pool->queue.first;

	queue_remove(r);
	pool->running++;
	if (!led || ready())
		send_for_thread();
	server_unlock();
	run(r);
	server_lock();
	pool->running--;
}

static void lead(void)
{
	led = true;
	server_unlock();
	loop_step(server_loop, -1);
	server_lock();
	led = false;
}

static void *work(void *unused)
{
	struct thread self = { .wake = PTHREAD_COND_INITIALIZER };
	struct pool *pool;

	server_lock();
	do {
		coming = false;
		while ((pool = ready()) || !led)
			/* where no thread is to be had, requests wait for one that is there */
			if (pool && (led || send_for_thread() || pool == &closing))
				take(pool);
			else
				lead();
	} while (wait_for_call(&self));
	server_unlock();
	return unused;
}

static pthread_cond_t stopped = PTHREAD_COND_INITIALIZER;

int request_work(void)
{
	int error;

	server_lock();
	error = send_for_thread() ? 0 : EAGAIN;
	while (!error && !over)
		pthread_cond_wait(&stopped, &lock);
	server_unlock();
	return error;
}

void request_stop(void)
{
	over = true;
	pthread_cond_signal(&stopped);
}

static void submit(struct pool *pool, struct request *r)
{
	/* one of them the thread that leads will take */
	if (ready())
		send_for_thread();
	queue_add(&pool->queue, r);
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

static void send_reply(struct client *c, struct reply *reply, struct wire *w)
{
	wire_end(w);
	reply->size = w->size;
	c->held += reply->size + sizeof *reply;		/* until it is sent */
	if (request_trace)
		wire_describe(stderr, reply->data, reply->size, NULL);
	reply->next = NULL;
	if (!c->first)
		c->end = &c->first;
	*c->end = reply;
	c->end = &reply->next;
}

/* One without contents, or an error.  Without memory even for that, the session ends. */
static void send_short(struct client *c, int type, uint16_t tag, int error)
{
	struct wire w;
	struct reply *reply = begin_reply(&w, 16, error ? RLERROR : type, tag);

	if (!reply) {
		request_end_all(c);
		return;
	}
	if (error)
		wire_numbers(&w, wire_error(error));
	send_reply(c, reply, &w);
}

/* ---- the life ----------------------------------------------------------- */

struct request *request_new(struct client *c, uint32_t size)
{
	struct request *r = malloc(sizeof *r + size);

	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	r->client = c;
	r->size = size;
	return r;
}

static void charge(struct request *r, uint32_t bytes)
{
	r->charged += bytes;
	r->client->held += bytes;
}

static void begin_life(struct request *r)
{
	r->client->tags[r->message.tag] = r;
	r->client->live++;
}

static void forget(struct request *r)
{
	struct client *c = r->client;

	if (c->tags[r->message.tag] == r) {
		c->tags[r->message.tag] = NULL;
		c->live--;
	}
	c->held -= r->charged;
	fid_put(r->fid);
	fid_put(r->dfid);
	free(r->reply);
	free(r);
}

static void start_last(struct client *c);

/*
 * It is over.  Its reply, if it gets one: what was built, or an error; the flushes; and
 * then it is no more.
 */
static void end(struct request *r, bool answered, int error)
{
	struct client *c = r->client;
	struct request *f;

	if (answered && r->reply && !error) {
		send_reply(c, r->reply, &r->wire);
		r->reply = NULL;
	} else if (answered)
		send_short(c, 0, r->message.tag, error);
	while ((f = r->flushes.first)) {
		queue_remove(f);
		send_short(c, RFLUSH, f->message.tag, 0);
		forget(f);
	}
	if (r->message.type == TVERSION)
		c->ending = c->last;
	else if (!r->message.type)
		c->over = true;
	forget(r);
	request_relieved(c, 0);
	start_last(c);
}

static __thread struct request *running;

void request_settle(void)
{
	if (!running->settled)
		safe_syscall_leave(&running->scope);
	running->settled = true;
}

/* A read of a pipe may wait for long, and gets no more at once than this. */
static uint32_t reply_room(const struct request *r)
{
	const uint32_t msize = r->client->msize;
	const uint32_t room = wire_reply_room(&r->message, msize ? msize : WIRE_SMALLEST);
	const bool pipe = r->fid && r->fid->file.fd != -1 && !r->fid->file.seekable;

	return pipe && room > PIPE_MOST ? PIPE_MOST : room;
}

static int carry_out(struct request *r)
{
	struct reply *whole;
	int error;

	r->reply = begin_reply(&r->wire, r->cost, r->message.type + 1, r->message.tag);
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
	struct client *c = r->client;
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
	server_lock();
	end(r, error != SAFE_ERESTARTSYS && r->message.type, error);
	client_unlock(c);
}

/* Small requests don't wait behind large ones, and one can always be had. */
static bool affordable(const struct client *c, const struct request *r)
{
	return c->held + r->cost <= (r->cost < 8192 ? HELD_SMALL : HELD_LARGE) ||
		c->held <= r->charged || r->settled;
}

static void start(struct request *r)
{
	struct client *c = r->client;

	r->cost = reply_room(r);
	if (!affordable(c, r)) {
		queue_add(&c->starved, r);
		return;
	}
	charge(r, r->cost);
	submit(r->settled ? &closing : &working, r);
}

void request_relieved(struct client *c, size_t bytes)
{
	struct request *r;

	c->held -= bytes;
	while ((r = c->starved.first) && affordable(c, r)) {
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
	if (r->queue) {
		queue_remove(r);
		end(r, false, 0);
	} else
		safe_syscall_interrupt(&r->scope);
}

/* A flush of a flush waits with it: that does its work, and then both are answered. */
static void flush(struct request *f)
{
	struct request *r = f->client->tags[f->message.oldtag];

	if (!r) {
		send_short(f->client, RFLUSH, f->message.tag, 0);
		forget(f);
		return;
	}
	begin_life(f);
	f->flushed = r->flushed ? r->flushed : r;
	queue_add(&f->flushed->flushes, f);
	cancel(f->flushed);
}

/* When nothing else is left: the Tversion, or what closes the fids of a connection. */
static void start_last(struct client *c)
{
	struct request *r = c->last;

	if (!r || c->live)
		return;
	c->last = NULL;
	begin_life(r);
	r->settled = true;
	start(r);
}

static void end_with(struct client *c, struct request *last)
{
	int i;

	if (c->last)
		forget(c->last);	/* a Tversion that the end of the connection overtook */
	c->last = last;
	c->ending = true;
	for (i = 0; i < TAGS && c->live; i++)
		/* flushes go with what they are about */
		if (c->tags[i] && !c->tags[i]->flushed)
			cancel(c->tags[i]);
	start_last(c);
}

void request_end_all(struct client *c)
{
	struct request *last = c->farewell;

	c->farewell = NULL;
	if (last)
		end_with(c, last);
}

/* ---- its beginning ------------------------------------------------------ */

/*
 * The number is free at once, whatever else goes on with the fid.  Where closing it
 * may take its time, a thread does it.
 */
static void clunk(struct request *r)
{
	struct client *c = r->client;

	fids_remove(c, r->fid);
	if (fid_quick(r->fid)) {
		send_short(c, RCLUNK, r->message.tag, 0);
		forget(r);
		return;
	}
	r->settled = true;
	begin_life(r);
	start(r);
}

static int begin(struct request *r)
{
	struct client *c = r->client;
	int error;

	if (r->message.type == TVERSION) {
		end_with(c, r);
		return 0;
	}
	if (!c->msize)
		return EPROTO;
	if (c->tags[r->message.tag])
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
	if (!error)
		error = begin(r);
	if (!error)
		return;
	send_short(r->client, 0, tag, error);
	forget(r);
}
