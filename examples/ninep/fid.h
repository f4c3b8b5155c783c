/* SPDX-License-Identifier: MIT */
/* fid.h - the files that a client knows by number */
#ifndef FID_H
#define FID_H

#include "file.h"
#include "lock.h"
#include "user.h"

/* An attribute that is read (it is here whole), or written (until the fid is clunked). */
struct xattr {
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
	struct user *user;
	struct file file;
	struct xattr *xattr;		/* null: none */
};

/* Those of a connection; guarded by its lock. */
struct fids {
	void *tree;
	size_t count;
};

struct fid *fid_new(struct user *);		/* with a reference of its own to the user */
struct fid *fid_get(struct fid *);		/* null: null, as in fid_put() */
void fid_put(struct fid *);			/* the last one closes: may block ... */
bool fid_quick(const struct fid *);		/* ... but not this one: nothing is open */

struct fid *fids_find(const struct fids *, uint32_t number);	/* no reference taken */
int fids_add(struct fids *, struct fid *, uint32_t number);	/* where the number is free */
/* Behind the number of an old one, unless that was clunked meanwhile: then nobody gets it. */
int fids_replace(struct fids *, struct fid *old, struct fid *);
/* If it is still there.  Whoever removes or replaces one has another reference. */
void fids_remove(struct fids *, struct fid *);
void fids_clear(struct fids *);
extern size_t fids_most;			/* of one connection */

#endif
