/* SPDX-License-Identifier: MIT */
/* file.h - the exported tree, its locks and its users; knows descriptors, and no messages */
#ifndef FILE_H
#define FILE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifndef STATX_TYPE		/* older C libraries */
# include <linux/stat.h>
#endif

#include <atomic_ops.h>

/* An attribute: its bytes are in a file in memory, which the fid has open. */
struct xattr {
	AO_t *count;			/* of its client's */
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
	struct xattr *xattr;		/* null: none */
};

/* file.c.  All that return an int return 0 or an error's number, if nothing else is said. */
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
struct fid *fid_get(struct fid *);		/* null: null, as in fid_put() */
void fid_put(struct fid *);			/* the last one closes: may block if it is open */

/* lock.c.  Whose a lock is: of a connection, which is known by its count of them, a process. */
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

/* user.c.  By number, or by name where there is none (~0); to be freed. */
int user_find(uint32_t number, const char *name, struct user **);
/* The calling thread acts for the user; with this group, where it is one of the user's. */
int user_become(const struct user *, gid_t);
#define USER_GROUP	((gid_t)-1)	/* the user's own */

#endif
