/* SPDX-License-Identifier: MIT */
/* server.h - what the files of safe-ninep know of each other */
#ifndef SERVER_H
#define SERVER_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef STATX_TYPE		/* older C libraries */
# include <linux/stat.h>
#endif

#include <atomic_ops.h>
#include <loop.h>
#include <safe_syscall.h>

#include "wire.h"

/* ---- system calls ------------------------------------------------------- */

/*
 * A request makes the calls that may block by safe_syscall(), in its scope.  Interrupted,
 * they fail with SAFE_ERESTARTSYS and have had no effect; otherwise what they return is
 * what happened.
 *
 * EINTR says "no effect" as well: none of the calls made here says it after it has done
 * something.  Some signal has come, or the process was stopped, and the call is made
 * again; if the scope was interrupted, that says SAFE_ERESTARTSYS.  A client never sees EINTR.
 *
 * An operation of several calls is not to be given up in the middle: a file is
 * created but its qid not known yet.  The first call that has an effect settles it:
 * request_settle() leaves the scope, and no interrupt reaches the calls that follow.
 */
#define call(...)							\
	__extension__ ({						\
		long result_;						\
									\
		do							\
			result_ = safe_syscall(__VA_ARGS__);		\
		while (result_ == -1 && errno == EINTR);		\
		result_;						\
	})

/* 0 or the error's number; and the same for the call that has the effect. */
#define attempt(...)	(call(__VA_ARGS__) == -1 ? errno : 0)
#define change(...)	(call(__VA_ARGS__) == -1 ? errno : (request_settle(), 0))

void request_settle(void);

/* ---- file.c: the exported tree ------------------------------------------ */

/* An attribute: its bytes are in a file in memory, which the fid has open. */
struct xattr {
	AO_t *count;			/* of its client's */
	AO_t came;			/* bytes, to be written */
	size_t size;
	int flags;
	bool written;			/* when the fid is clunked; else it is only read */
	char name[];
};

/*
 * A place in the tree, for which a client has a number: an O_PATH descriptor, which follows
 * the file wherever it is moved.  It is never changed: an open, a create, a walk in place put
 * a new one behind the number, and a request that runs keeps the one that it began with.
 */
struct fid {
	AO_t refs;
	uint32_t number;
	bool replaced;			/* by one of these */
	int fd;
	char path[32];			/* "/proc/self/fd/...": the kernel looks nothing up */
	struct fid *root;		/* what was attached: ".." ends there; maybe itself */
	struct user *user;		/* of a root: who did */
	struct statx stat;		/* as it was when it was walked to */
	int open;			/* the descriptor of the open file; -1: it isn't */
	bool seekable, locked;		/* lock.c knows of it */
	AO_t lists;			/* somebody reads the directory by @open */
	uint64_t next;			/* the entry at which that is */
	struct xattr *xattr;		/* null: none */
};

/* All that return an int return 0 or an error's number, if nothing else is said. */
int file_export(const char *path);		/* once, first; nothing works without /proc */
int file_attach(const char *path, struct user *, struct fid **);
int file_walk(struct fid *, const char *name, struct fid **);
int file_again(struct fid *, struct fid **);	/* a second one */
int file_stat(int dir, const char *name, struct statx *);
/* The directory that holds it now, and its name there, which is in path. */
int file_locate(const struct fid *, struct fid **dir, char path[PATH_MAX], char **name);
int file_open(struct fid *, int flags);
int file_create(struct fid *dir, const char *name, int flags, mode_t, struct fid **);
/* For names that are to be made: Linux says of the special ones that they are there. */
int file_bad_name(const char *name);
bool file_special(const char *name);		/* "." or ".." */
int file_reopen(const struct fid *, int flags);	/* a descriptor, or -1 */
extern bool file_read_only;			/* as if by a mount */
bool file_same(const struct fid *, const struct statx *);
uint64_t file_number(const struct statx *);	/* no other file's, for a qid */
struct fid *fid_get(struct fid *);		/* null: null, as in fid_put() */
void fid_put(struct fid *);			/* the last one closes: may block if it is open */

/* ---- lock.c ------------------------------------------------------------- */

/* Whose a lock is: of a connection, which is known by its count of them, a process. */
struct lock_owner {
	unsigned int *connection;
	uint32_t process;
	const char *client;
};

/*
 * A fcntl() command for open file descriptions, about an open fid: 0, EAGAIN, or another
 * error's number.  F_OFD_GETLK also puts whose lock is in the way into owner and client.
 * An owner's locks are gone when all fids are by which it asked for any.
 */
int lock_control(struct fid *, int command, struct flock64 *, struct lock_owner *,
		 char client[PATH_MAX]);
void lock_drop(const struct fid *);

/* ---- user.c ------------------------------------------------------------- */

/* By number, or by name where there is none (~0); to be freed. */
int user_find(uint32_t number, const char *name, struct user **);
/* The calling thread acts for the user; with this group, where it is one of the user's. */
int user_become(const struct user *, gid_t);
#define USER_GROUP	((gid_t)-1)	/* the user's own */

/* ---- request.c ---------------------------------------------------------- */

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
	size_t held;				/* bytes, for requests and replies */
	struct request *last;			/* waits for the end of all others */
	struct request farewell;		/* will be that in the end */
	bool ending;				/* one of them waits or runs: take no request */
	int urgent;				/* threads for its urgent requests */
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
 * So much is held for a client, with what its requests may need, when no more is received;
 * and when what ends requests and fids is not received either.
 */
#define HELD_MOST	(26u << 20)
#define HELD_ALL	(30u << 20)

extern pthread_mutex_t server_mutex;		/* one lock for all that threads share */
#define server_lock()	pthread_mutex_lock(&server_mutex)
void server_unlock(void);
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
void queue_remove(struct request *);

/* ---- operation.c -------------------------------------------------------- */

/*
 * 0 or an error's number.  With the lock: find the fids, which the request keeps from now
 * on, whatever becomes of their numbers.  Then, on a worker, in its scope, carry it out.
 */
int operation_find(struct request *);
int operation_run(struct request *);
void operation_clunk(struct client *, struct fid *);	/* with the lock: its number is free */
extern size_t fids_most;			/* of one connection */

/* ---- connection.c ------------------------------------------------------- */

/* Both: 0, or -1 and errno.  The first is called once, before there are clients.  A client
   writes to one descriptor and reads from another, or the same. */
int client_start(void);
int client_new(int in, int out);
void client_end_all(void);			/* cancel what is under way, close, stop */
void client_unlock(struct client *);		/* let go of the lock: sends what is in the way */
extern bool client_last;			/* when there is no other one any more, stop */

#endif
