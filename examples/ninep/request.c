/* SPDX-License-Identifier: MIT */
/*
 * request.c - the life of a request.
 *
 *	            worker takes it             operation returns
 *	 RECEIVED -----------------> RUNNING ------------------------> ANSWERED
 *	    |                           |                                 |
 *	    |           flush:          |                                 | all Rflushes;
 *	    |    interrupt the scope    |                                 | sent
 *	    |                           v                                 v
 *	    +---------------------> CANCELLED --- it had an effect ---> FORGOTTEN
 *	                                |        or an end of its own:    ^
 *	                                |        its reply                |
 *	                                +---------------------------------+
 *	                                  no effect: no reply, all Rflushes
 *
 * Each arrow is taken with the lock.  A request becomes its reply, and those are sent in the
 * order in which they have.
 *
 * WHY A CLIENT CAN'T BE FOOLED
 *
 * A client that flushes looks at what comes before Rflush, to know whether its request has
 * happened.  Wherever the flush finds the request, that is the truth:
 *
 * RECEIVED; or RUNNING, its scope not entered yet.  An interrupt is sticky: the first call
 * fails.  So that this comes about while all workers block, threads that are there for closing
 * files take it.
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
 * ANSWERED.  The tag is free from the moment in which the request becomes its reply, so the
 * flush finds none, and its Rflush is behind that reply.
 *
 * CANCELLED.  Another flush, or a flush of the flush, is put behind the first one; all are
 * answered in order, when the request is over.  Their tags are taken until then.
 *
 * A session that ends (Tversion, a closed connection) cancels all of its requests, waits
 * for their end, and then for that of the fids.  Nothing of it is left when Rversion is sent.
 */
#include <time.h>

#include "server.h"

#define IDLE		1		/* seconds after which a thread ends */
#define STACK		(256 << 10)
#define URGENT		64		/* threads of a client, besides, for what closes files or was flushed */
#define RETRY		100000000	/* ns after which a thread may be had again */
#define PIPE_MOST	(16 << 10)	/* of one read of what has no end */

uint32_t request_msize = 1 << 20;
bool request_trace;
int request_threads = 64;
struct loop *server_loop;

pthread_mutex_t server_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER, stopped = PTHREAD_COND_INITIALIZER;
static bool ring;			/* for a thread: it would only wait for the lock */

void server_unlock(void)
{
	const bool now = ring;

	ring = false;
	pthread_mutex_unlock(&server_mutex);
	if (now)
		pthread_cond_signal(&wake);
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

void queue_remove(struct request *r)
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
static int idle;
static bool coming, led, over;
static struct queue waiting, urgent;
static int busy;

/*
 * What closes files may block too, but must get its turn while all others block: a client
 * that clunks has nothing else to wait for.  Neither has one that flushes.
 */
static struct request *ready(void)
{
	struct request *r = urgent.first;

	while (r && busy == request_threads && r->client->urgent == URGENT)
		r = r->next;
	return r || busy == request_threads ? r : waiting.first;
}

static void *work(void *unused);

/* False: none is to be had. */
static bool send_for_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (coming)
		return true;
	coming = ring = idle;
	if (!idle && !pthread_attr_init(&attr)) {
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, STACK);
		coming = !pthread_create(&thread, &attr, work, NULL);
		pthread_attr_destroy(&attr);
	}
	return coming;
}

/* False when nobody has sent for this thread for a while. */
static bool wait_for_call(void)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE;
	idle++;
	while (!coming && !error)
		error = pthread_cond_timedwait(&wake, &server_mutex, &until);
	idle--;
	return coming;
}

static void run(struct request *r, int *count);

static void put(struct request *r, struct queue *queue)
{
	/* one of them the thread that leads will take */
	if (ready())
		send_for_thread();
	queue_add(queue, r);
}

static void *work(void *unused)
{
	struct request *r;
	int *count;

	server_lock();
	do {
		coming = false;
		while ((r = ready()) || !led)
			/* where no thread is to be had, requests wait for one that is there */
			if (r && (led || send_for_thread() || r->queue == &urgent)) {
				count = r->queue == &urgent && r->client->urgent < URGENT ?
					&r->client->urgent : &busy;
				queue_remove(r);
				++*count;
				if (ready())
					send_for_thread();
				server_unlock();
				run(r, count);
				server_lock();
			} else {
				led = true;
				server_unlock();
				loop_step(server_loop, r ? RETRY : -1);
				server_lock();
				led = false;
			}
	} while (wait_for_call());
	server_unlock();
	return unused;
}

int request_work(void)
{
	server_lock();
	int error = send_for_thread() ? 0 : EAGAIN;
	while (!error && !over)
		pthread_cond_wait(&stopped, &server_mutex);
	server_unlock();
	return error;
}

void request_stop(void)
{
	over = true;
	pthread_cond_signal(&stopped);
}

/* ---- memory ------------------------------------------------------------- */

struct request *request_new(struct client *c, uint32_t size)
{
	struct request *r = malloc(sizeof *r + size);

	if (!r)
		return NULL;
	memset(r, 0, offsetof(struct request, small));
	r->client = c;
	r->size = size;
	r->data = (unsigned char *)(r + 1);
	return r;
}

static void charge(struct request *r, int64_t bytes)
{
	r->charged += bytes;
	r->client->held += bytes;
}

/* Most replies find room in the request.  Memory that one had before is given back. */
static int begin_reply(struct request *r, int type, uint32_t room)
{
	const bool large = room > sizeof r->small;

	free(r->large);
	r->large = large ? malloc(room) : NULL;
	if (large && !r->large)
		return ENOMEM;
	wire_begin(&r->wire, large ? r->large : r->small, room, type, r->message.tag);
	return 0;
}

static void start(struct request *r)
{
	const uint32_t msize = r->client->msize;

	r->cost = wire_reply_room(&r->message, msize ? msize : WIRE_SMALLEST);
	/* a read of a pipe may wait for long, and gets no more at once than this */
	if (r->fid && r->fid->open != -1 && !r->fid->seekable && r->cost > PIPE_MOST)
		r->cost = PIPE_MOST;
	charge(r, r->cost);
	put(r, r->settled ? &urgent : &waiting);
}

void request_free(struct request *r)
{
	r->client->held -= r->charged;
	free(r->large);
	if (r != &r->client->farewell)
		free(r);
}

/* ---- the life ----------------------------------------------------------- */

static void begin_life(struct request *r)
{
	r->client->tags[r->message.tag] = r;
	r->client->live++;
}

/* What was built goes its way, or an error.  Memory that it does not need is given back. */
static void answer(struct request *r, int error)
{
	if (r->wire.full && !error)
		error = EMSGSIZE;
	if (error) {
		begin_reply(r, RLERROR, sizeof r->small);
		wire_numbers(&r->wire, error);
	}
	wire_end(&r->wire);
	const uint32_t keeps = r->large ? r->wire.size : 0;
	if (keeps < r->cost / 2) {
		unsigned char *less = keeps ? realloc(r->large, keeps) : NULL;
		if (less)
			r->large = r->wire.data = less;
		charge(r, (int64_t)keeps - r->cost);
	}
	if (request_trace)
		wire_describe(stderr, r->wire.data, r->wire.size, NULL);
	queue_add(&r->client->replies, r);
}

static void start_last(struct client *c)
{
	struct request *r = c->last;

	/* the Tversion, or what closes the fids of a connection, when nothing else is left */
	if (!r || c->live)
		return;
	c->last = NULL;
	begin_life(r);
	r->settled = true;
	start(r);
}

/* It is over.  It gets its reply, or none; then come those of the flushes. */
static void end(struct request *r, bool answered, int error)
{
	struct client *c = r->client;

	if (c->tags[r->message.tag] == r) {
		c->tags[r->message.tag] = NULL;
		c->live--;
	}
	fid_put(r->fid);
	fid_put(r->dfid);
	if (r->message.type == TVERSION)
		c->ending = c->last;
	else if (r == &c->farewell)
		c->over = true;
	if (answered)
		answer(r, error);
	for (struct request *f; (f = r->flushes.first);) {
		queue_remove(f);
		end(f, true, 0);
	}
	if (!answered)
		request_free(r);
	start_last(c);
}

static __thread struct request *running;

void request_settle(void)
{
	if (!running->settled)
		safe_syscall_leave(&running->scope);
	running->settled = true;
}

/* By one of so many. */
static void run(struct request *r, int *count)
{
	struct client *c = r->client;

	running = r;
	if (!r->settled)
		safe_syscall_enter(&r->scope);
	int error = begin_reply(r, r->message.type + 1, r->cost);
	if (!error)
		error = operation_run(r);
	if (!r->settled)
		safe_syscall_leave(&r->scope);
	/* from here on no flush of it reaches this thread; files are closed, if they are by
	   this, before the client hears of it */
	fid_put(r->fid);
	fid_put(r->dfid);
	r->fid = r->dfid = NULL;
	server_lock();
	--*count;
	end(r, error != SAFE_ERESTARTSYS && r != &c->farewell, error);
	client_unlock(c);
}

/* ---- its end before the time -------------------------------------------- */

/* An interrupt does nothing to what closes fids: that is in no scope. */
static void cancel(struct request *r)
{
	safe_syscall_interrupt(&r->scope);
	if (r->queue == &waiting) {
		queue_remove(r);
		put(r, &urgent);
	}
}

void request_end_all(struct client *c, struct request *last)
{
	if (c->last)
		request_free(c->last);	/* a Tversion that the end of the connection overtook */
	c->last = last;
	c->ending = true;
	for (int i = 0; i < TAGS; i++)
		/* flushes go with what they are about */
		if (c->tags[i] && !c->tags[i]->flushed)
			cancel(c->tags[i]);
	start_last(c);
}

/* ---- its beginning ------------------------------------------------------ */

/* A flush of a flush waits with it: that does its work, and then both are answered. */
static void flush(struct request *f)
{
	struct request *r = f->client->tags[f->message.oldtag];

	if (!r) {
		end(f, true, 0);
		return;
	}
	begin_life(f);
	f->flushed = r->flushed ? r->flushed : r;
	queue_add(&f->flushed->flushes, f);
	cancel(f->flushed);
}

/*
 * A fid's number is free as soon as it is clunked, whatever else goes on with the fid.
 * Where closing it may take its time, a thread does it.
 */
static int begin(struct request *r)
{
	struct client *c = r->client;
	const int type = r->message.type;

	if (type == TVERSION) {
		request_end_all(c, r);
		return 0;
	}
	if (!c->msize || c->tags[r->message.tag])
		return c->msize ? EBUSY : EPROTO;
	int error = type == TAUTH ? EOPNOTSUPP : operation_find(r);
	if (error)
		return error;
	if (type == TCLUNK) {
		operation_clunk(c, r->fid);
		r->settled = true;
	}
	if (type == TFLUSH)
		flush(r);
	else if (type == TCLUNK && r->fid->open == -1)
		end(r, true, 0);
	else {
		begin_life(r);
		start(r);
	}
	return 0;
}

void request_received(struct request *r)
{
	int error = wire_parse(&r->message, r->data, r->size);

	if (request_trace)
		wire_describe(stderr, r->data, r->size, &r->message);
	charge(r, r->size + (int64_t)sizeof *r);
	begin_reply(r, r->message.type + 1, sizeof r->small);
	if (!error)
		error = begin(r);
	if (error)
		end(r, true, error);
}
