/* SPDX-License-Identifier: MIT */
/* fid.c - the files that a client knows by number */
#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "request.h"

size_t fids_most = 65536;

struct fid *fid_new(void)
{
	struct fid *fid = calloc(1, sizeof *fid);

	if (!fid)
		return NULL;
	fid->refs = 1;
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
	file_close(&fid->file, fid->node);
	if (fid->xattr)
		AO_fetch_and_sub1_full(fid->xattr->count);
	free(fid->xattr);
	node_put(fid->node);
	free(fid);
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = ((const struct fid *)a)->number, y = ((const struct fid *)b)->number;

	return x < y ? -1 : x > y;
}

struct fid *fids_find(const struct client *c, uint32_t number)
{
	const struct fid key = { .number = number };
	struct fid **found = tfind(&key, &c->fids, compare);

	return found ? *found : NULL;
}

int fids_add(struct client *c, struct fid *fid, uint32_t number)
{
	struct fid **place;

	if (c->fid_count >= fids_most)
		return EMFILE;
	fid->number = number;
	place = tsearch(fid, &c->fids, compare);
	if (!place || *place != fid)
		return place ? EBADF : ENOMEM;
	fid_get(fid);
	c->fid_count++;
	return 0;
}

void fids_remove(struct client *c, struct fid *fid)
{
	if (fids_find(c, fid->number) != fid)
		return;
	tdelete(fid, &c->fids, compare);
	c->fid_count--;
	fid_put(fid);
}

int fids_replace(struct client *c, struct fid *old, struct fid *fid)
{
	struct fid **place = tfind(old, &c->fids, compare);

	if (old->replaced)
		return EBADF;
	old->replaced = true;
	if (place && *place == old) {
		fid->number = old->number;
		*place = fid_get(fid);
		fid_put(old);
	}
	return 0;
}

static void drop(void *fid)
{
	fid_put(fid);
}

void fids_clear(struct client *c)
{
	tdestroy(c->fids, drop);
	c->fids = NULL;
	c->fid_count = 0;
}
