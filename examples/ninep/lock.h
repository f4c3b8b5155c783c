/* SPDX-License-Identifier: MIT */
/* lock.h - locks of parts of files; knows owners, and neither fids nor messages */
#ifndef LOCK_H
#define LOCK_H

#include "file.h"

/* Whose a lock is. */
struct lock_owner {
	const void *connection;
	uint32_t process;
	const char *client;
};

struct lock_range {
	short type;			/* F_RDLCK, F_WRLCK, F_UNLCK */
	uint64_t start, length;
};

struct lock_hold;			/* what the locks of a fid are known by; null: none */

/*
 * Lock, or unlock, a range of an open file, for an owner; wait for it or not.  0, EAGAIN,
 * or another error's number.  The locks taken by way of a hold are gone when all holds
 * are by which their owner took any of that file's.
 */
int lock_set(struct lock_hold **, const struct node *, const struct file *,
	     const struct lock_owner *, const struct lock_range *, bool wait);

/*
 * What stands in the way of a range: changes it, and tells the owner, for whom the name is
 * put into client.  F_UNLCK: nothing does.
 */
int lock_test(struct lock_hold **, const struct node *, const struct file *,
	      const struct lock_owner *, struct lock_range *, uint32_t *process,
	      char *client, size_t room);

void lock_drop(struct lock_hold *);	/* all of one fid's */

#endif
