/* SPDX-License-Identifier: MIT */
/* request.h - requests, the clients that they come from, and the files that those know */
#ifndef REQUEST_H
#define REQUEST_H

#include <pthread.h>

#include <loop.h>
#include <safe_syscall.h>

#include "file.h"
#include "wire.h"

/* Requests in the order in which they came. */
struct queue {
	struct request *first, **end;
};

struct request {
	struct request *next, **link;
	struct queue *queue;			/* that it is in, if any */
	struct client *client;
	safe_syscall_scope scope;
	bool settled;				/* it has had its effect, and left the scope */
	struct queue flushes;			/* Tflushes that wait for its end */
	struct request *flushed;		/* of a Tflush: whose queue it is in */
	struct fid *fid, *dfid, *made;		/* that it is about; that comes of it */
	struct message message;
	struct wire wire;			/* its reply */
	uint32_t sent;				/* of which so much is sent */
	unsigned char *large;			/* in which it is, if it is not small */
	uint32_t size, cost;			/* of the message, and for the reply, at most */
	int64_t charged;			/* to the client */
	unsigned char *data;			/* the message */
	unsigned char small[WIRE_SMALLEST];
};

#define TAGS		65536

struct client {
	/* what belongs to it from Tversion on, a session */
	void *fids;
	size_t fid_count;
	AO_t xattrs;
	unsigned int locks;			/* lock.c counts them */
	uint32_t msize;				/* 0: no version is agreed on */
	unsigned int live;			/* requests that aren't forgotten */
	struct queue starved;			/* no memory for their replies now */
	size_t held;				/* bytes, for requests and replies */
	struct request *last;			/* waits for the end of all others */
	struct request farewell;		/* will be that in the end */
	bool ending;				/* one of them waits or runs: take no request */
	struct request *tags[TAGS];		/* who has which */

	/* and for connection.c, its connection */
	struct client *next, **link;
	struct loop_bh *attend;			/* something has changed for the loop */
	int in, out;
	bool reading, writing;			/* what the loop waits for */
	bool broken;				/* by the client, or for what it sent */
	bool closed;				/* therefore */
	bool sending, blocked, over;
	struct queue replies;			/* in the way to it */
	struct request *request;		/* of which so much has come; null: no size yet */
	uint32_t have;
	size_t buffered;			/* behind that */
	unsigned char buffer[8192];
};

/*
 * So much is held for a client when nothing more is received.  Requests under way don't
 * bring that about by their replies, large or small, as they must remain within reach of a
 * flush.
 */
#define HELD_INPUT	(48u << 20)
#define HELD_SMALL	(44u << 20)
#define HELD_LARGE	(40u << 20)

extern pthread_mutex_t server_mutex;		/* one lock for all that threads share */
#define server_lock()	pthread_mutex_lock(&server_mutex)
#define server_unlock()	pthread_mutex_unlock(&server_mutex)

/* request.c */
void queue_remove(struct request *);
extern struct loop *server_loop;
extern uint32_t request_msize;			/* the largest that is agreed to */
extern bool request_trace;
extern int request_threads;			/* so many work, at most */
int request_work(void);				/* until ...; 0 or an error's number */
void request_stop(void);			/* with the lock */
/* A request of so many bytes, still to be put into data; null: no memory. */
struct request *request_new(struct client *, uint32_t size);
/* With the lock: it is there; its reply is sent; cancel all, and carry this one out when
   nothing is left: the farewell says that the client is over. */
void request_received(struct request *);
void request_free(struct request *);
void request_end_all(struct client *, struct request *last);

/*
 * operation.c.  0 or an error's number.  With the lock: find the fids, which the request
 * keeps from now on, whatever becomes of their numbers.  Then, on a worker, in its scope,
 * carry it out.
 */
int operation_find(struct request *);
int operation_run(struct request *);
void operation_clunk(struct client *, struct fid *);	/* with the lock: its number is free */
extern size_t fids_most;			/* of one connection */

/*
 * connection.c.  A client writes to one descriptor and reads from another, or the same.
 * 0, or -1 and errno.
 */
int client_new(int in, int out);
void client_end_all(void);			/* cancel what is under way, close, stop */
void client_unlock(struct client *);		/* let go of the lock: sends what is in the way */
extern bool client_last;			/* when there is no other one any more, stop */

#endif
