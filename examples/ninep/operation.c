/* SPDX-License-Identifier: MIT */
/*
 * operation.c - from messages to operations on files, and back.
 *
 * Each function here is one message.  It runs on a worker, as the fid's user, and may be
 * interrupted in any call; then it undoes nothing, as there is nothing to be undone: what
 * it had made so far only it knew.  A fid becomes known to the client when all else is
 * done, by publish(), which does not fail for an interrupt.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

#define XATTR_MOST	65536		/* the kernel's own limit */

/* The three numbers of a qid. */
#define QID(s)	qid_type((s)->stx_mode),						\
	(uint32_t)((s)->stx_mtime.tv_sec ^ (int64_t)(s)->stx_mtime.tv_nsec),		\
	(s)->stx_ino ^ (uint64_t)(s)->stx_dev_minor << 44 ^ (uint64_t)(s)->stx_dev_major << 56

static uint64_t qid_type(mode_t mode)
{
	return S_ISDIR(mode) ? 0x80 : S_ISLNK(mode) ? 0x02 : 0;
}

/* ---- from the root to a file -------------------------------------------- */

static int version(struct request *r)
{
	const struct message *m = &r->message;
	bool known = !strcmp(m->version, "9P2000.L");
	uint32_t msize = m->msize < request_msize ? m->msize : request_msize;

	fids_clear(&r->session->fids);
	r->session->msize = known && msize >= WIRE_SMALLEST ? msize : 0;
	wire_numbers(&r->wire, "4", msize);
	wire_string(&r->wire, known ? m->version : "unknown");
	return msize < WIRE_SMALLEST ? EMSGSIZE : 0;
}

/* The connection is closed.  Nobody waits for a reply. */
static int farewell(struct request *r)
{
	fids_clear(&r->session->fids);
	return 0;
}

static int attach(struct request *r)
{
	const struct message *m = &r->message;
	struct user *user;
	int error = m->afid == WIRE_NOFID ? user_find(m->n_uname, m->uname, &user) : EBADF;

	if (error)
		return error;
	r->made->user = user;
	error = user_become(user, USER_GROUP);
	if (!error)
		error = file_attach(m->aname, &r->made->node);
	if (!error)
		wire_numbers(&r->wire, WIRE_QID, QID(&r->made->node->stat));
	return error;
}

/* As far as it goes: where that is not all the way, no fid comes of it. */
static int walk(struct request *r)
{
	const struct message *m = &r->message;
	struct node *node = node_get(r->fid->node), *next;
	unsigned int i;
	int error = 0;

	wire_numbers(&r->wire, "2", 0);
	for (i = 0; i < m->names && !(error = file_walk(node, m->walk[i], &next)); i++) {
		wire_numbers(&r->wire, WIRE_QID, QID(&next->stat));
		node_put(node);
		node = next;
	}
	r->wire.data[WIRE_HEADER] = (unsigned char)i;
	r->made->node = node;
	if (i && error && error != SAFE_ERESTARTSYS) {
		fid_put(r->made);
		r->made = NULL;
		return 0;
	}
	return error;
}

/* ---- open files --------------------------------------------------------- */

/* Open flags on the wire are those of most of Linux's architectures.  -1: bad ones. */
static int open_flags(uint64_t wire)
{
	static const struct {
		uint32_t wire;
		int host;
	} table[] = {
		{ 01, O_WRONLY }, { 02, O_RDWR }, { 0200, O_EXCL }, { 01000, O_TRUNC },
		{ 02000, O_APPEND }, { 04000, O_NONBLOCK }, { 010000, O_DSYNC },
		{ 0200000, O_DIRECTORY }, { 01000000, O_NOATIME }, { 04000000, O_SYNC },
	};
	int host = 0;
	size_t i;

	if ((wire & 3) == 3)
		return -1;
	for (i = 0; i < sizeof table / sizeof table[0]; i++)
		if (wire & table[i].wire)
			host |= table[i].host;
	return host;
}

/* Tlopen and Tlcreate. */
static int do_open(struct request *r)
{
	const struct message *m = &r->message;
	struct fid *made = r->made;
	const int flags = open_flags(m->flags);
	int error = EINVAL;

	if (flags != -1 && m->type == TLCREATE)
		error = file_create(r->fid->node, m->name, flags, m->mode, &made->node,
				    &made->file);
	else if (flags != -1) {
		made->node = node_get(r->fid->node);
		error = file_open(made->node, flags, &made->file);
	}
	if (!error)
		wire_numbers(&r->wire, WIRE_QID "4", QID(&made->node->stat),
			     r->session->msize - 24);
	return error;
}

static int read_xattr(const struct xattr *x, void *data, uint64_t offset, size_t *done)
{
	const size_t left = offset < x->size ? x->size - offset : 0;

	if (*done > left)
		*done = left;
	memcpy(data, x->data + (left ? offset : 0), *done);
	return x->name ? EBADF : 0;
}

static int do_read(struct request *r)
{
	const struct fid *fid = r->fid;
	const uint64_t offset = r->message.offset;
	struct wire *w = &r->wire;
	size_t done = w->room - WIRE_READ;
	void *data = w->data + WIRE_READ;
	int error = fid->xattr ? read_xattr(fid->xattr, data, offset, &done) :
		file_read(&fid->file, data, done, offset, &done);

	w->size = WIRE_READ + done;
	wire_count(w);
	return error;
}

/* In order, so that what is there at the end has no hole. */
static int write_xattr(struct session *s, struct xattr *x, const struct message *m)
{
	int error = 0;

	pthread_mutex_lock(&s->lock);
	if (!x->name)
		error = EBADF;
	else if (m->offset > x->have)
		error = EINVAL;
	else if (m->count > x->size - m->offset)
		error = ENOSPC;
	else {
		memcpy(x->data + m->offset, m->data, m->count);
		if (m->offset + m->count > x->have)
			x->have = m->offset + m->count;
	}
	pthread_mutex_unlock(&s->lock);
	return error;
}

static int do_write(struct request *r)
{
	const struct message *m = &r->message;
	size_t done = m->count;
	int error = r->fid->xattr ? write_xattr(r->session, r->fid->xattr, m) :
		file_write(&r->fid->file, m->data, done, m->offset, &done);

	wire_numbers(&r->wire, "4", done);
	return error;
}

static int do_fsync(struct request *r)
{
	return file_sync(&r->fid->file, r->message.datasync);
}

static int clunk(struct request *r)
{
	const struct xattr *x = r->fid->xattr;

	if (!x || !x->name)
		return 0;
	if (x->have != x->size)
		return EINVAL;
	return file_set_xattr(r->fid->node, x->name, x->data, x->size, x->flags);
}

/* The fid is gone, also if the file is not; but not by what had no effect. */
static int do_remove(struct request *r)
{
	struct session *s = r->session;
	int error = file_remove(r->fid->node);

	if (error == SAFE_ERESTARTSYS)
		return error;
	pthread_mutex_lock(&s->lock);
	fids_remove(&s->fids, r->fid);
	pthread_mutex_unlock(&s->lock);
	return error;
}

/* ---- directories -------------------------------------------------------- */

static bool list(void *opaque, uint64_t ino, int64_t next, uint8_t type, const char *name)
{
	struct request *r = opaque;
	struct wire *w = &r->wire;
	const struct node *node = r->fid->node;
	const uint32_t before = w->size;
	struct statx stat = node->stat;

	/* of what is above the root nothing is told */
	if (strcmp(name, "..") || !node_same(node->root, &node->stat))
		stat.stx_ino = ino;
	stat.stx_mode = DTTOIF(type);
	stat.stx_mtime.tv_sec = stat.stx_mtime.tv_nsec = 0;
	wire_numbers(w, WIRE_QID "81", QID(&stat), next, type);
	wire_string(w, name);
	if (!w->full)
		return true;
	w->full = false;
	w->size = before;
	return false;
}

static int do_readdir(struct request *r)
{
	int error;

	wire_numbers(&r->wire, "4", 0);
	error = file_readdir(r->fid->node, &r->fid->file, r->message.offset,
			     r->wire.room - WIRE_READ, list, r);
	wire_count(&r->wire);
	return error;
}

/* ---- attributes --------------------------------------------------------- */

/* As the kernel and its clients have it, which is not quite as makedev() has. */
static unsigned int device(unsigned int major, unsigned int minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static int getattr(struct request *r)
{
	struct statx s;
	int error = file_stat(r->fid->node, &s);

	if (error)
		return error;
	wire_numbers(&r->wire, "8" WIRE_QID "444" "88888" "88888888" "88",
		0x7ff | (s.stx_mask & STATX_BTIME ? r->message.mask & 0x800 : 0), QID(&s),
		s.stx_mode, s.stx_uid, s.stx_gid,
		s.stx_nlink, device(s.stx_rdev_major, s.stx_rdev_minor), s.stx_size,
		s.stx_blksize, s.stx_blocks,
		s.stx_atime.tv_sec, s.stx_atime.tv_nsec, s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec,
		s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec, s.stx_btime.tv_sec, s.stx_btime.tv_nsec,
		0, 0);			/* gen and data_version: not had */
	return 0;
}

/* Not to be set, or to be now, or this one: bits of atime, with which those of mtime line up. */
static struct timespec time_of(uint64_t valid, uint64_t seconds, uint64_t nanoseconds)
{
	struct timespec t = { (time_t)seconds, UTIME_OMIT };

	if (valid & SETATTR_ATIME_SET)
		t.tv_nsec = nanoseconds > 999999999 ? -1 : (long)nanoseconds;
	else
		t.tv_nsec = UTIME_NOW;
	if (!(valid & SETATTR_ATIME))
		t.tv_nsec = UTIME_OMIT;
	return t;
}

static int setattr(struct request *r)
{
	const struct message *m = &r->message;
	const struct change c = {
		m->valid & SETATTR_MODE ? m->mode & 07777 : (mode_t)-1,
		m->valid & SETATTR_UID ? m->uid : (uid_t)-1,
		m->valid & SETATTR_GID ? m->gid : (gid_t)-1,
		m->valid & SETATTR_SIZE, m->length,
		{ time_of(m->valid, m->atime, m->atime_nsec),
		  time_of(m->valid >> 1, m->mtime, m->mtime_nsec) }
	};

	if (c.times[0].tv_nsec == -1 || c.times[1].tv_nsec == -1)
		return EINVAL;
	return file_change(r->fid->node, &r->fid->file, &c);
}

static int statfs(struct request *r)
{
	uint64_t numbers[9];
	int error = file_statfs(r->fid->node, numbers);

	if (!error)
		wire_put(&r->wire, "448888884", numbers);
	return error;
}

static int do_readlink(struct request *r)
{
	char target[PATH_MAX];
	int error = file_readlink(r->fid->node, target, sizeof target);

	if (!error)
		wire_string(&r->wire, target);
	return error;
}

/* The new fid is an attribute of the old one's file: of so many bytes, to be written or read. */
static struct xattr *make_xattr(struct request *r, size_t size, bool write)
{
	const char *name = r->message.name;
	struct xattr *x = calloc(1, sizeof *x + size + strlen(name) + 1);

	r->made->node = node_get(r->fid->node);
	r->made->xattr = x;
	if (!x)
		return NULL;
	x->size = size;
	if (write)
		x->name = strcpy(x->data + size, name);
	return x;
}

static int xattrwalk(struct request *r)
{
	struct xattr *x = make_xattr(r, XATTR_MOST, false);
	int error = x ? file_get_xattr(r->fid->node, r->message.name, x->data, &x->size) : ENOMEM;

	if (error)
		return error;
	wire_numbers(&r->wire, "8", x->size);
	x = realloc(x, sizeof *x + x->size);
	if (x)
		r->made->xattr = x;
	return 0;
}

static int xattrcreate(struct request *r)
{
	const struct message *m = &r->message;

	if (file_read_only())
		return EROFS;
	if (m->length > XATTR_MOST)
		return E2BIG;
	if (m->flags > 2)		/* XATTR_CREATE, XATTR_REPLACE */
		return EINVAL;
	if (!make_xattr(r, m->length, true))
		return ENOMEM;
	r->made->xattr->flags = (int)m->flags;
	return 0;
}

/* ---- names -------------------------------------------------------------- */

/* Tmkdir, Tmknod and Tsymlink. */
static int make(struct request *r)
{
	const struct message *m = &r->message;
	mode_t mode = m->mode;
	struct statx stat;
	int error;

	if (m->type == TMKNOD) {
		if (S_ISDIR(mode) || S_ISLNK(mode))
			return EPERM;
		if (m->major > 0xfff || m->minor > 0xfffff)
			return EINVAL;
	} else
		mode = (mode & 07777) | (m->type == TMKDIR ? S_IFDIR : S_IFLNK);
	error = file_make(r->dfid->node, m->name, mode, device(m->major, m->minor), m->target,
			  &stat);
	if (!error)
		wire_numbers(&r->wire, WIRE_QID, QID(&stat));
	return error;
}

static int do_link(struct request *r)
{
	return file_link(r->dfid->node, r->fid->node, r->message.name);
}

static int do_rename(struct request *r)
{
	return file_rename(r->fid->node, r->dfid->node, r->message.name);
}

static int do_renameat(struct request *r)
{
	return file_rename_at(r->fid->node, r->message.name, r->dfid->node,
			      r->message.newname);
}

static int do_unlinkat(struct request *r)
{
	return file_unlink_at(r->dfid->node, r->message.name, r->message.flags & 0x200);
}

/* ---- locks -------------------------------------------------------------- */

static const short lock_types[] = { F_RDLCK, F_WRLCK, F_UNLCK };

/* What both are about; of so many types. */
static int range_of(const struct request *r, unsigned int types, struct flock64 *f)
{
	const struct message *m = &r->message;

	if (m->kind >= types || m->start > INT64_MAX || m->length > INT64_MAX)
		return EINVAL;
	*f = (struct flock64){ .l_type = lock_types[m->kind], .l_whence = SEEK_SET,
		.l_start = (off64_t)m->start, .l_len = (off64_t)m->length };
	return 0;
}

static int lock(struct request *r)
{
	const struct message *m = &r->message;
	const struct lock_owner owner = { &r->session->locks, m->process, m->client };
	struct flock64 range;
	int error = range_of(r, 3, &range);

	if (!error)
		error = lock_set(&r->fid->file, r->fid->node, &owner, &range, m->flags & 1);
	wire_numbers(&r->wire, "1", error == EAGAIN);
	return error == EAGAIN ? 0 : error;
}

static int getlock(struct request *r)
{
	const struct message *m = &r->message;
	struct lock_owner owner = { &r->session->locks, m->process, m->client };
	struct flock64 range;
	char client[PATH_MAX];
	int kind = 2, error = range_of(r, 2, &range);

	strcpy(client, m->client);
	if (!error)
		error = lock_test(&r->fid->file, r->fid->node, &owner, &range, client,
				  sizeof client);
	if (error)
		return error;
	while (lock_types[kind] != range.l_type)
		kind--;
	wire_numbers(&r->wire, "1884", kind, range.l_start, range.l_len, owner.process);
	wire_string(&r->wire, client);
	return 0;
}

/* ---- what a message is about -------------------------------------------- */

enum {
	FID = 1, DFID = 2,		/* has these */
	OPEN = 4,			/* the fid is open */
	NEW = 8, REPLACE = 16,		/* makes newfid; makes another of fid, which is not open */
	GROUP = 32			/* what it creates has this group */
};

static const struct operation {
	int (*run)(struct request *);
	unsigned int needs;
} operations[256] = {
	[0] = { farewell, 0 },
	[TVERSION] = { version, 0 },
	[TATTACH] = { attach, NEW },
	[TWALK] = { walk, FID | NEW },
	[TLOPEN] = { do_open, FID | REPLACE },
	[TLCREATE] = { do_open, FID | REPLACE | GROUP },
	[TREAD] = { do_read, FID },
	[TWRITE] = { do_write, FID },
	[TFSYNC] = { do_fsync, FID | OPEN },
	[TCLUNK] = { clunk, FID },
	[TREMOVE] = { do_remove, FID },
	[TREADDIR] = { do_readdir, FID | OPEN },
	[TGETATTR] = { getattr, FID },
	[TSETATTR] = { setattr, FID },
	[TSTATFS] = { statfs, FID },
	[TREADLINK] = { do_readlink, FID },
	[TXATTRWALK] = { xattrwalk, FID | NEW },
	[TXATTRCREATE] = { xattrcreate, FID | REPLACE },
	[TMKDIR] = { make, DFID | GROUP },
	[TMKNOD] = { make, DFID | GROUP },
	[TSYMLINK] = { make, DFID | GROUP },
	[TLINK] = { do_link, FID | DFID },
	[TRENAME] = { do_rename, FID | DFID },
	[TRENAMEAT] = { do_renameat, FID | DFID },
	[TUNLINKAT] = { do_unlinkat, DFID },
	[TLOCK] = { lock, FID | OPEN },
	[TGETLOCK] = { getlock, FID | OPEN },
};

int operation_find(struct request *r)
{
	const struct message *m = &r->message;
	const unsigned int needs = operations[m->type].needs;
	const struct fids *fids = &r->session->fids;
	struct fid *there;

	if (needs & FID && !(r->fid = fid_get(fids_find(fids, m->fid))))
		return EBADF;
	if (needs & DFID && !(r->dfid = fid_get(fids_find(fids, m->dfid))))
		return EBADF;
	if ((needs & OPEN && r->fid->file.fd == -1) || (needs & REPLACE && !fid_quick(r->fid)))
		return EBADF;
	if (!(needs & NEW))
		return 0;
	/* a walk may be one in place */
	there = fids_find(fids, m->newfid);
	return m->newfid == WIRE_NOFID || (there && (there != r->fid || m->type != TWALK)) ?
		EBADF : 0;
}

static int publish(struct request *r)
{
	struct session *s = r->session;
	int error;

	pthread_mutex_lock(&s->lock);
	if (r->fid && (operations[r->message.type].needs & REPLACE ||
		       r->message.newfid == r->message.fid))
		error = fids_replace(&s->fids, r->fid, r->made);
	else
		error = fids_add(&s->fids, r->made, r->message.newfid);
	pthread_mutex_unlock(&s->lock);
	return error;
}

int operation_run(struct request *r)
{
	const struct operation *o = &operations[r->message.type];
	const struct fid *fid = r->fid ? r->fid : r->dfid;
	int error = 0;

	if (fid)
		error = user_become(fid->user, o->needs & GROUP ? r->message.gid : USER_GROUP);
	if (o->needs & (NEW | REPLACE) && !(r->made = fid_new(fid ? fid->user : NULL)))
		error = ENOMEM;
	if (!error)
		error = o->run(r);
	if (!error && r->made)
		error = publish(r);
	fid_put(r->made);
	return error;
}
