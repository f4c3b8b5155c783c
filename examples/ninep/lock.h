/* SPDX-License-Identifier: MIT */
/* lock.h - locks of parts of files; knows owners, and neither fids nor messages */
#ifndef LOCK_H
#define LOCK_H

#include <fcntl.h>

#include "file.h"

/* Whose a lock is: of a connection, which is known by its count of them, a process. */
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

#endif
