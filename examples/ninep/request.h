/* SPDX-License-Identifier: MIT */
/* request.h - requests, and the clients that they come from */
#ifndef REQUEST_H
#define REQUEST_H

#include <pthread.h>
#include <stdbool.h>

#include <loop.h>
#include <safe_syscall.h>

#include "fid.h"
#include "wire.h"

struct reply {
	struct reply *next;
	uint32_t size, sent;
	unsigned char data[];
};

/* Requests in the order in which they came. */
struct queue {
	struct request *first, **end;
};

struct request {
	struct request *next, **link;		/* in the queue that it is in, if any */
	struct queue *queue;			/* guarded by what guards that */
	struct session *session;
	safe_syscall_scope scope;
	bool starved;				/* its queue is the session's */
	bool cancelled;				/* by a flush, or with its session */
	bool settled;				/* it has had its effect, and left the scope */
	struct queue flushes;			/* Tflushes that wait for its end */
	struct request *flushed;		/* of a Tflush: whose queue it is in */
	struct fid *fid, *dfid, *made;		/* that it is about; that comes of it */
	struct message message;
	struct reply *reply;
	struct wire wire;			/* the reply, while it is being built */
	uint32_t cost, charged;			/* memory: for its reply; and so far */
	uint32_t size;
	unsigned char data[];			/* the message */
};

#define TAGS		65536

/* What belongs to a client, from Tversion on. */
struct session {
	pthread_mutex_t lock;			/* of all of this */
	struct fids fids;
	unsigned int locks;			/* guarded by lock.c */
	uint32_t msize;				/* 0: no version is agreed on */
	unsigned int live;			/* requests that aren't forgotten */
	struct queue starved;			/* no memory for their replies now */
	size_t held;				/* bytes, for requests and replies */
	struct request *last;			/* waits for the end of all others */
	struct request *farewell;		/* will be that in the end */
	bool ending;				/* one of them waits or runs: take no request */
	struct request *tags[TAGS];		/* who has which */
};

/*
 * So much is held for a client when nothing more is received.  Requests under way don't
 * bring that about by their replies, large or small, as they must remain within reach of a
 * flush.
 */
#define HELD_INPUT	(48u << 20)
#define HELD_SMALL	(44u << 20)
#define HELD_LARGE	(40u << 20)

extern uint32_t request_msize;			/* the largest that is agreed to */
extern bool request_trace;
extern int request_threads;			/* so many work, at most */

int session_init(struct session *);		/* all zero before; 0, or -1 */
/* A request of so many bytes, still to be put into data; null: no memory. */
struct request *request_new(struct session *, uint32_t size);
/* With the session's lock: it is there ... */
void request_received(struct request *);
/* ... cancel everything, and call session_ended() when nothing is left ... */
void session_end(struct session *);
/* ... replies have been sent, and memory is free again. */
void session_relieved(struct session *, size_t bytes);

/*
 * operation.c.  0 or an error's number.  With the session's lock: find the fids, which the
 * request keeps from now on, whatever becomes of their numbers ...
 */
int operation_find(struct request *);
/* ... and carry it out, on a worker, in its scope. */
int operation_run(struct request *);

/* connection.c.  With the session's lock: put a reply in the way to the client ... */
void session_send(struct session *, struct reply *);
/* ... all is over ... */
void session_ended(struct session *);
/* ... and let go of the lock.  This is where what is in the way is sent. */
void session_unlock(struct session *);

/* A client reads from one descriptor and writes to another, or the same.  0, or -1 and errno. */
int connection_new(struct loop *, int in, int out);
extern bool connection_stop;			/* the loop, when the last one is gone */
void connection_end_all(struct loop *);		/* cancel what is under way, close, stop */

void request_settle(void);			/* see call.h */

#endif
