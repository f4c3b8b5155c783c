/* SPDX-License-Identifier: MIT */
/* request.h - requests, the clients that they come from, and the files that those know */
#ifndef REQUEST_H
#define REQUEST_H

#include <pthread.h>
#include <stdbool.h>

#include <loop.h>
#include <safe_syscall.h>

#include "file.h"
#include "wire.h"

/* An attribute that is read (it is here whole), or written (until the fid is clunked). */
struct xattr {
	AO_t *count;			/* of its client */
	size_t size, have;
	int flags;
	const char *name;		/* written: under this name, behind data; read: null */
	char data[];
};

/*
 * What a number stands for.  A fid is never changed: an open, a create, a walk in place put
 * a new one behind the number, and a request that runs keeps the one that it began with.
 */
struct fid {
	AO_t refs;
	uint32_t number;
	bool replaced;			/* by one of these */
	struct node *node;
	struct file file;
	struct xattr *xattr;		/* null: none */
};

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
	struct request *next, **link;
	struct queue *queue;			/* that it is in, if any */
	struct client *client;
	safe_syscall_scope scope;
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
	struct request *farewell;		/* will be that in the end */
	bool ending;				/* one of them waits or runs: take no request */
	struct request *tags[TAGS];		/* who has which */

	/* and for connection.c, its connection */
	struct client *next, **link;
	struct loop_bh *attend;			/* something has changed for the loop */
	int in, out;
	bool reading, writing;			/* what the loop waits for */
	bool closed;				/* by the client, or for what it sent */
	bool sending, blocked, broken, over;
	struct reply *first, **end;		/* in the way to it */
	struct request *request;		/* of which so much has come; null: no size yet */
	uint32_t have;
	size_t buffered;			/* behind that */
	unsigned char buffer[32768];
};

/*
 * So much is held for a client when nothing more is received.  Requests under way don't
 * bring that about by their replies, large or small, as they must remain within reach of a
 * flush.
 */
#define HELD_INPUT	(48u << 20)
#define HELD_SMALL	(44u << 20)
#define HELD_LARGE	(40u << 20)

/* One lock for all that threads share. */
void server_lock(void);
void server_unlock(void);

/* request.c */
extern struct loop *server_loop;
extern uint32_t request_msize;			/* the largest that is agreed to */
extern bool request_trace;
extern int request_threads;			/* so many work, at most */
int request_work(void);				/* until ...; 0 or an error's number */
void request_stop(void);			/* with the lock */
/* A request of so many bytes, still to be put into data; null: no memory. */
struct request *request_new(struct client *, uint32_t size);
/* With the lock: it is there; cancel all, and say that the client is over when nothing is
   left; replies have been sent, and memory is free again. */
void request_received(struct request *);
void request_end_all(struct client *);
void request_relieved(struct client *, size_t bytes);

/*
 * operation.c.  0 or an error's number.  With the lock: find the fids, which the request
 * keeps from now on, whatever becomes of their numbers.  Then, on a worker, in its scope,
 * carry it out.
 */
int operation_find(struct request *);
int operation_run(struct request *);

/*
 * connection.c.  A client writes to one descriptor and reads from another, or the same;
 * they don't block, or are shared with other programs.  0, or -1 and errno.
 */
int client_new(int in, int out);
int client_new_shared(int in, int out);
void client_end_all(void);			/* cancel what is under way, close, stop */
void client_unlock(struct client *);		/* let go of the lock: sends what is in the way */
extern bool client_last;			/* when there is no other one any more, stop */

/* fid.c */
struct fid *fid_new(void);
struct fid *fid_get(struct fid *);		/* null: null, as in fid_put() */
void fid_put(struct fid *);			/* the last one closes: may block ... */
bool fid_quick(const struct fid *);		/* ... but not this one: nothing is open */
/* With the lock.  Those of a client; no reference is taken by the first. */
struct fid *fids_find(const struct client *, uint32_t number);
int fids_add(struct client *, struct fid *, uint32_t number);	/* where the number is free */
/* Behind the number of an old one, unless that was clunked meanwhile: then nobody gets it. */
int fids_replace(struct client *, struct fid *old, struct fid *);
/* If it is still there.  Whoever removes or replaces one has another reference. */
void fids_remove(struct client *, struct fid *);
void fids_clear(struct client *);		/* needs no lock at the end of a session */
extern size_t fids_most;			/* of one connection */

#endif
