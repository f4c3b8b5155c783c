/* SPDX-License-Identifier: MIT */
/* file.h - the exported tree, its locks and its users; knows descriptors, and no messages */
#ifndef FILE_H
#define FILE_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#ifndef STATX_TYPE		/* older C libraries */
# include <linux/stat.h>
#endif

#include <atomic_ops.h>

#define FILE_PROC	32
const char *file_proc(char path[FILE_PROC], int fd);	/* "/proc/self/fd/..." */

/*
 * A place in the tree: an O_PATH descriptor, which follows the file wherever it is moved.
 * Never changes; shared by the fids that are at it.
 */
struct node {
	AO_t refs;
	int fd;
	char path[FILE_PROC];		/* by which the kernel looks nothing up */
	struct node *root;		/* what was attached: ".." ends there; maybe itself */
	struct user *user;		/* of a root: who did */
	struct statx stat;		/* as it was when it was walked to */
};

/* A file that is open. */
struct file {
	int fd;				/* -1: it isn't */
	bool own;			/* not the node's descriptor */
	bool seekable;
	bool locked;			/* lock.c knows of it */
	AO_t busy;			/* a reader of the directory has it */
};

/* All of these return 0 or an error's number. */
int file_export(int dir);			/* once, first; nothing works without /proc */
int file_attach(const char *path, struct user *, struct node **);
int file_walk(struct node *, const char *name, struct node **);
int file_stat(int dir, const char *name, struct statx *);
/* The directory that holds the node now, and its name there, which is in path. */
int file_locate(const struct node *, struct node **dir, char path[PATH_MAX], char **name);
int file_open(const struct node *, int flags, struct file *);
int file_create(struct node *dir, const char *name, int flags, mode_t, struct node **,
		struct file *);
/* For names that are to be made: Linux says of the special ones that they are there. */
int file_bad_name(const char *name);

int file_reopen(const struct node *, int flags);	/* a descriptor, or -1 */
bool file_special(const char *name);		/* "." or ".." */
extern bool file_read_only;			/* as if by a mount */
void file_close(struct file *, const struct node *);
bool node_same(const struct node *, const struct statx *);
struct node *node_get(struct node *);
void node_put(struct node *);

/* lock.c.  Whose a lock is: of a connection, which is known by its count of them, a process. */
struct lock_owner {
	unsigned int *connection;
	uint32_t process;
	const char *client;
};

/*
 * Lock, or unlock, a range of an open file, for an owner; wait for it or not.  0, EAGAIN,
 * or another error's number.  An owner's locks are gone when all files are closed by which
 * it asked for any.
 */
int lock_set(struct file *, const struct node *, const struct lock_owner *, struct flock64 *,
	     bool wait);
/*
 * What stands in the way of a range, as F_GETLK tells it; and the owner, for whom the name
 * is put into client.
 */
int lock_test(struct file *, const struct node *, struct lock_owner *, struct flock64 *,
	      char *client, size_t room);
void lock_drop(const struct file *, const struct node *);

/* user.c.  By number, or by name where there is none (~0); to be freed. */
int user_find(uint32_t number, const char *name, struct user **);
/* The calling thread acts for the user; with this group, where it is one of the user's. */
int user_become(const struct user *, gid_t);
#define USER_GROUP	((gid_t)-1)	/* the user's own */

#endif
