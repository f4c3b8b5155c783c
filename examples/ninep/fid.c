/* SPDX-License-Identifier: MIT */
/* fid.c - the files that a client knows by number */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>

#include "fid.h"

size_t fids_most = 65536;

struct fid *fid_new(struct user *user)
{
	struct fid *fid = calloc(1, sizeof *fid);

	if (!fid)
		return NULL;
	fid->refs = 1;
	fid->user = user_get(user);
	fid->file.fd = -1;
	return fid;
}

struct fid *fid_get(struct fid *fid)
{
	if (fid)
		AO_fetch_and_add1_full(&fid->refs);
	return fid;
}

bool fid_quick(const struct fid *fid)
{
	return fid->file.fd == -1 && !fid->xattr;
}

void fid_put(struct fid *fid)
{
	if (!fid || AO_fetch_and_sub1_full(&fid->refs) != 1)
		return;
	if (fid->file.locked)
		lock_drop(&fid->file, fid->node);
	file_close(&fid->file);
	free(fid->xattr);
	node_put(fid->node);
	user_put(fid->user);
	free(fid);
}

/* Where the link to it is, or would be. */
static struct fid **place(const struct fids *fids, uint32_t number)
{
	struct fid **link = &fids->buckets[number & (fids->size - 1)];

	while (*link && (*link)->number != number)
		link = &(*link)->next;
	return link;
}

struct fid *fids_find(const struct fids *fids, uint32_t number)
{
	return fids->size ? *place(fids, number) : NULL;
}

static int grow(struct fids *fids)
{
	struct fids more = { NULL, fids->size ? fids->size * 2 : 32, fids->count };
	struct fid *fid, *next, **link;
	size_t i;

	more.buckets = calloc(more.size, sizeof *more.buckets);
	if (!more.buckets)
		return ENOMEM;
	for (i = 0; i < fids->size; i++)
		for (fid = fids->buckets[i]; fid; fid = next) {
			next = fid->next;
			link = place(&more, fid->number);
			*link = fid;
			fid->next = NULL;
		}
	free(fids->buckets);
	*fids = more;
	return 0;
}

int fids_add(struct fids *fids, struct fid *fid, uint32_t number)
{
	struct fid **link;

	if (fids->count >= fids_most)
		return EMFILE;
	if (fids->count >= fids->size && grow(fids))
		return ENOMEM;
	link = place(fids, number);
	if (*link)
		return EBADF;
	fid->number = number;
	fid->next = NULL;
	*link = fid_get(fid);
	fids->count++;
	return 0;
}

struct fid *fids_remove(struct fids *fids, struct fid *fid)
{
	struct fid **link = fids->size ? place(fids, fid->number) : NULL;

	if (!link || *link != fid)
		return NULL;
	*link = fid->next;
	fids->count--;
	return fid;
}

int fids_replace(struct fids *fids, struct fid *old, struct fid *fid)
{
	if (old->replaced)
		return EBADF;
	old->replaced = true;
	if (fids_remove(fids, old)) {
		fids_add(fids, fid, old->number);	/* there was room for the old one */
		fid_put(old);				/* a request has another reference */
	}
	return 0;
}

void fids_clear(struct fids *fids)
{
	struct fid *fid, *next;
	size_t i;

	for (i = 0; i < fids->size; i++)
		for (fid = fids->buckets[i]; fid; fid = next) {
			next = fid->next;
			fid_put(fid);
		}
	free(fids->buckets);
	fids->buckets = NULL;
	fids->size = fids->count = 0;
}
