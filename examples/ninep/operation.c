/* SPDX-License-Identifier: MIT */
/*
 * operation.c - from messages to operations on files, and back.
 *
 * Each function here is one message.  It runs on a worker, as the fid's user, and may be
 * interrupted in any call; then it undoes nothing, as there is nothing to be undone: what
 * it had made so far only it knew.  A fid becomes known to the client by fids_add() or
 * fids_replace(), of which neither fails for an interrupt.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

#define XATTR_MOST	65536		/* the kernel's own limit */

static struct qid qid_of(const struct statx *s)
{
	struct qid qid = { 0, (uint32_t)(s->stx_mtime.tv_sec ^ (int64_t)s->stx_mtime.tv_nsec),
		s->stx_ino ^ (uint64_t)s->stx_dev_minor << 44 ^
		(uint64_t)s->stx_dev_major << 56 };

	if (S_ISDIR(s->stx_mode))
		qid.type = 0x80;
	else if (S_ISLNK(s->stx_mode))
		qid.type = 0x02;
	return qid;
}

static void put_qid(struct request *r, const struct statx *s)
{
	const struct qid qid = qid_of(s);

	wire_qid(&r->wire, &qid);
}

/* A new fid gets its number; or, behind that of the request's, takes its place. */
static int publish(struct request *r, struct fid *fid, uint64_t number, bool replace)
{
	struct session *s = r->session;
	int error;

	pthread_mutex_lock(&s->lock);
	if (replace)
		error = fids_replace(&s->fids, r->fid, fid);
	else
		error = fids_add(&s->fids, fid, (uint32_t)number);
	pthread_mutex_unlock(&s->lock);
	if (error)
		fid_put(fid);
	return error;
}

/* ---- from the root to a file -------------------------------------------- */

static int version(struct request *r)
{
	const struct message *m = &r->message;
	bool known = !strcmp(m->version, "9P2000.L");
	uint32_t msize = m->msize < request_msize ? (uint32_t)m->msize : request_msize;

	fids_clear(&r->session->fids);
	r->session->msize = 0;
	if (msize < WIRE_SMALLEST)
		return EMSGSIZE;
	if (known)
		r->session->msize = msize;
	wire_number(&r->wire, msize, 4);
	wire_string(&r->wire, known ? m->version : "unknown");
	return 0;
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
	struct node *root = NULL;
	struct user *user;
	struct fid *fid;
	int error = user_find((uint32_t)m->n_uname, m->uname, &user);

	if (error)
		return error;
	error = user_become(user, USER_GROUP);
	if (!error)
		error = file_attach(m->aname, &root);
	fid = error ? NULL : fid_new(root, user);
	if (fid) {
		put_qid(r, &root->stat);
		error = publish(r, fid, m->fid, false);
	} else if (!error)
		error = ENOMEM;
	node_put(root);
	user_put(user);
	return error;
}

/* As far as it goes: where that is not all the way, no fid comes of it. */
static int walk(struct request *r)
{
	const struct message *m = &r->message;
	struct node *node = node_get(r->fid->node), *next;
	struct fid *fid = NULL;
	unsigned int i;
	int error = 0;

	wire_number(&r->wire, 0, 2);
	for (i = 0; i < m->names; i++) {
		error = file_walk(node, m->walk[i], &next);
		if (error)
			break;
		put_qid(r, &next->stat);
		node_put(node);
		node = next;
	}
	r->wire.data[WIRE_HEADER] = (unsigned char)i;
	if (i < m->names) {
		if (i && error != SAFE_ERESTARTSYS)
			error = 0;
	} else if ((fid = fid_new(node, r->fid->user)))
		error = publish(r, fid, m->newfid, m->newfid == m->fid);
	else
		error = ENOMEM;
	node_put(node);
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

/* Behind the number is now an open file; takes it over. */
static int opened(struct request *r, struct node *node, const struct file *file)
{
	struct fid *fid = fid_new(node, r->fid->user);

	if (fid && !(fid->file = malloc(sizeof *file)))
		fid_put(fid), fid = NULL;
	if (!fid) {
		file_close((struct file *)(uintptr_t)file);
		return ENOMEM;
	}
	*fid->file = *file;
	put_qid(r, &node->stat);
	wire_number(&r->wire, r->session->msize - 24, 4);
	return publish(r, fid, 0, true);
}

static int lopen(struct request *r)
{
	int flags = open_flags(r->message.flags), error;
	struct file file;

	if (!fid_quick(r->fid))
		return EBADF;
	error = flags == -1 ? EINVAL : file_open(r->fid->node, flags, &file);
	return error ? error : opened(r, r->fid->node, &file);
}

static int lcreate(struct request *r)
{
	const struct message *m = &r->message;
	int flags = open_flags(m->flags), error;
	struct node *node;
	struct file file;

	if (!fid_quick(r->fid))
		return EBADF;
	error = flags == -1 ? EINVAL : file_create(r->fid->node, m->name, flags,
						   (mode_t)m->mode, &node, &file);
	if (error)
		return error;
	error = opened(r, node, &file);
	node_put(node);
	return error;
}

/* What a client wants at most, and can be told in one message. */
static uint32_t limit(const struct request *r)
{
	uint32_t most = r->session->msize - WIRE_READ;

	return r->message.count < most ? (uint32_t)r->message.count : most;
}

static int read_xattr(const struct xattr *x, void *data, uint32_t count, uint64_t offset,
		      size_t *done)
{
	if (x->name)
		return EBADF;
	*done = 0;
	if (offset < x->size)
		*done = x->size - offset < count ? x->size - (size_t)offset : count;
	memcpy(data, x->data + (*done ? offset : 0), *done);
	return 0;
}

static int do_read(struct request *r)
{
	const struct fid *fid = r->fid;
	struct wire *w = &r->wire;
	void *data = w->data + WIRE_READ;
	size_t done = 0;
	int error = EBADF;

	if (fid->xattr)
		error = read_xattr(fid->xattr, data, limit(r), r->message.offset, &done);
	else if (fid->file)
		error = file_read(fid->file, data, limit(r), r->message.offset, &done);
	wire_number(w, done, 4);
	w->size += (uint32_t)done;
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
		memcpy(x->data + m->offset, m->data, (size_t)m->count);
		if (m->offset + m->count > x->have)
			x->have = (size_t)(m->offset + m->count);
	}
	pthread_mutex_unlock(&s->lock);
	return error;
}

static int do_write(struct request *r)
{
	const struct message *m = &r->message;
	size_t done = (size_t)m->count;
	int error = EBADF;

	if (r->fid->xattr)
		error = write_xattr(r->session, r->fid->xattr, m);
	else if (r->fid->file)
		error = file_write(r->fid->file, m->data, done, m->offset, &done);
	wire_number(&r->wire, done, 4);
	return error;
}

static int do_fsync(struct request *r)
{
	return r->fid->file ? file_sync(r->fid->file, r->message.datasync) : EBADF;
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
	struct fid *fid;
	int error = file_remove(r->fid->node);

	if (error == SAFE_ERESTARTSYS)
		return error;
	pthread_mutex_lock(&s->lock);
	fid = fids_remove(&s->fids, r->fid);
	pthread_mutex_unlock(&s->lock);
	fid_put(fid);
	return error;
}

/* ---- directories -------------------------------------------------------- */

struct listing {
	struct request *request;
	uint32_t limit;
};

static bool list(void *opaque, uint64_t ino, int64_t next, uint8_t type, const char *name)
{
	struct listing *l = opaque;
	const struct node *node = l->request->fid->node;
	struct statx stat = node->stat;
	struct qid qid;

	/* of what is above the root nothing is told */
	if (strcmp(name, "..") || !node_same(node->root, &node->stat))
		stat.stx_ino = ino;
	stat.stx_mode = type == DT_DIR ? S_IFDIR : type == DT_LNK ? S_IFLNK : S_IFREG;
	stat.stx_mtime.tv_sec = stat.stx_mtime.tv_nsec = 0;
	qid = qid_of(&stat);
	return wire_entry(&l->request->wire, l->limit, &qid, (uint64_t)next, type, name);
}

static int do_readdir(struct request *r)
{
	struct listing l = { r, limit(r) + WIRE_READ };
	uint32_t size;
	int error;

	if (!r->fid->file)
		return EBADF;
	wire_number(&r->wire, 0, 4);
	error = file_readdir(r->fid->node, r->fid->file, r->message.offset, limit(r), list, &l);
	size = r->wire.size;
	r->wire.size = WIRE_HEADER;
	wire_number(&r->wire, size - WIRE_READ, 4);
	r->wire.size = size;
	return error;
}

/* ---- attributes --------------------------------------------------------- */

static int getattr(struct request *r)
{
	struct attributes a;
	struct statx s;
	int error = file_stat(r->fid->node, &s);

	if (error)
		return error;
	a = (struct attributes){
		0x7ff | (s.stx_mask & STATX_BTIME ? r->message.mask & 0x800 : 0),
		qid_of(&s), s.stx_mode, s.stx_uid, s.stx_gid, s.stx_nlink,
		/* as the kernel's clients take it apart */
		(s.stx_rdev_minor & 0xff) | (uint64_t)s.stx_rdev_major << 8 |
			(uint64_t)(s.stx_rdev_minor & ~0xffu) << 12,
		s.stx_size, s.stx_blksize, s.stx_blocks, {
			{ (uint64_t)s.stx_atime.tv_sec, s.stx_atime.tv_nsec },
			{ (uint64_t)s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec },
			{ (uint64_t)s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec },
			{ (uint64_t)s.stx_btime.tv_sec, s.stx_btime.tv_nsec },
		}
	};
	wire_attributes(&r->wire, &a);
	return 0;
}

/* A time that is not to be set, or to be now, or this one. */
static int time_of(bool change, bool given, uint64_t seconds, uint64_t nanoseconds,
		   struct timespec *t)
{
	t->tv_sec = (time_t)seconds;
	t->tv_nsec = !change ? UTIME_OMIT : !given ? UTIME_NOW : (long)nanoseconds;
	return change && given && nanoseconds > 999999999 ? EINVAL : 0;
}

static int setattr(struct request *r)
{
	const struct message *m = &r->message;
	struct change c = {
		m->valid & SETATTR_MODE, m->valid & SETATTR_SIZE,
		m->valid & (SETATTR_ATIME | SETATTR_MTIME), (mode_t)m->mode,
		m->valid & SETATTR_UID ? (uid_t)m->uid : (uid_t)-1,
		m->valid & SETATTR_GID ? (gid_t)m->gid : (gid_t)-1, m->length, { { 0, 0 } }
	};

	if (time_of(m->valid & SETATTR_ATIME, m->valid & SETATTR_ATIME_SET, m->atime,
		    m->atime_nsec, &c.times[0]) ||
	    time_of(m->valid & SETATTR_MTIME, m->valid & SETATTR_MTIME_SET, m->mtime,
		    m->mtime_nsec, &c.times[1]))
		return EINVAL;
	return file_change(r->fid->node, r->fid->file, &c);
}

static int statfs(struct request *r)
{
	static const int width[9] = { 4, 4, 8, 8, 8, 8, 8, 8, 4 };
	uint64_t numbers[9];
	int i, error = file_statfs(r->fid->node, numbers);

	for (i = 0; !error && i < 9; i++)
		wire_number(&r->wire, numbers[i], width[i]);
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

/* A fid for an attribute: what it has, or is to have, so many bytes of it. */
static int xattr_new(const struct request *r, const char *name, size_t size, struct fid **fid)
{
	struct xattr *x = calloc(1, sizeof *x);

	*fid = fid_new(r->fid->node, r->fid->user);
	if (x && *fid) {
		(*fid)->xattr = x;
		x->data = malloc(size + 1);
		x->name = name ? strdup(name) : NULL;
		x->size = size;
		if (x->data && (x->name || !name))
			return 0;
		x = NULL;
	}
	free(x);
	fid_put(*fid);
	return ENOMEM;
}

static int xattrwalk(struct request *r)
{
	const struct message *m = &r->message;
	size_t size = XATTR_MOST;
	struct fid *fid;
	char *less;
	int error = xattr_new(r, NULL, size, &fid);

	if (error)
		return error;
	error = file_get_xattr(r->fid->node, m->name, fid->xattr->data, &size);
	if (error) {
		fid_put(fid);
		return error;
	}
	fid->xattr->size = size;
	less = realloc(fid->xattr->data, size + 1);
	if (less)
		fid->xattr->data = less;
	wire_number(&r->wire, size, 8);
	return publish(r, fid, m->newfid, false);
}

static int xattrcreate(struct request *r)
{
	const struct message *m = &r->message;
	struct fid *fid;
	int error = 0;

	if (!fid_quick(r->fid))
		error = EBADF;
	else if (file_read_only())
		error = EROFS;
	else if (m->length > XATTR_MOST)
		error = E2BIG;
	else if (m->flags > 2)		/* XATTR_CREATE, XATTR_REPLACE */
		error = EINVAL;
	if (!error)
		error = xattr_new(r, m->name, (size_t)m->length, &fid);
	if (error)
		return error;
	fid->xattr->flags = (int)m->flags;
	return publish(r, fid, 0, true);
}

/* ---- names -------------------------------------------------------------- */

static int made(struct request *r, int error, const struct statx *stat)
{
	if (!error)
		put_qid(r, stat);
	return error;
}

static int do_mkdir(struct request *r)
{
	const struct message *m = &r->message;
	struct statx stat;

	return made(r, file_mkdir(r->dfid->node, m->name, (mode_t)m->mode, &stat), &stat);
}

static int do_mknod(struct request *r)
{
	const struct message *m = &r->message;
	struct statx stat;

	return made(r, file_mknod(r->dfid->node, m->name, (mode_t)m->mode,
				  (unsigned int)m->major, (unsigned int)m->minor, &stat), &stat);
}

static int do_symlink(struct request *r)
{
	const struct message *m = &r->message;
	struct statx stat;

	return made(r, file_symlink(r->dfid->node, m->name, m->target, &stat), &stat);
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

static int lock(struct request *r)
{
	const struct message *m = &r->message;
	const struct lock_owner owner = { r->session, (uint32_t)m->process, m->client };
	struct lock_range range = { 0, m->start, m->length };
	int error;

	if (!r->fid->file)
		return EBADF;
	if (m->kind > WIRE_UNLCK)
		return EINVAL;
	range.type = lock_types[m->kind];
	error = lock_set(&r->fid->locks, r->fid->node, r->fid->file, &owner, &range,
			 m->flags & WIRE_LOCK_WAIT);
	wire_number(&r->wire, error == EAGAIN ? WIRE_BLOCKED : WIRE_SUCCESS, 1);
	return error == EAGAIN ? 0 : error;
}

static int getlock(struct request *r)
{
	const struct message *m = &r->message;
	const struct lock_owner owner = { r->session, (uint32_t)m->process, m->client };
	struct lock_range range = { 0, m->start, m->length };
	uint32_t process = owner.process;
	char client[PATH_MAX];
	int error, kind = WIRE_UNLCK;

	if (!r->fid->file)
		return EBADF;
	if (m->kind > WIRE_WRLCK)
		return EINVAL;
	range.type = lock_types[m->kind];
	strcpy(client, m->client);	/* shorter, as all strings of a message */
	error = lock_test(&r->fid->locks, r->fid->node, r->fid->file, &owner, &range, &process,
			  client, sizeof client);
	while (!error && lock_types[kind] != range.type)
		kind--;
	wire_number(&r->wire, (uint64_t)kind, 1);
	wire_number(&r->wire, range.start, 8);
	wire_number(&r->wire, range.length, 8);
	wire_number(&r->wire, process, 4);
	wire_string(&r->wire, client);
	return error;
}

/* ------------------------------------------------------------------------- */

int operation_run(struct request *r)
{
	static int (*const table[256])(struct request *) = {
		[0] = farewell, [TVERSION] = version, [TATTACH] = attach, [TWALK] = walk,
		[TLOPEN] = lopen, [TLCREATE] = lcreate, [TREAD] = do_read,
		[TWRITE] = do_write, [TFSYNC] = do_fsync, [TCLUNK] = clunk,
		[TREMOVE] = do_remove, [TREADDIR] = do_readdir, [TGETATTR] = getattr,
		[TSETATTR] = setattr, [TSTATFS] = statfs, [TREADLINK] = do_readlink,
		[TXATTRWALK] = xattrwalk, [TXATTRCREATE] = xattrcreate, [TMKDIR] = do_mkdir,
		[TMKNOD] = do_mknod, [TSYMLINK] = do_symlink, [TLINK] = do_link,
		[TRENAME] = do_rename, [TRENAMEAT] = do_renameat,
		[TUNLINKAT] = do_unlinkat, [TLOCK] = lock, [TGETLOCK] = getlock,
	};
	const struct message *m = &r->message;
	const struct fid *fid = r->fid ? r->fid : r->dfid;
	const bool group = m->type == TLCREATE || m->type == TMKDIR || m->type == TMKNOD ||
		m->type == TSYMLINK;
	int error = fid ? user_become(fid->user, group ? (gid_t)m->gid : USER_GROUP) : 0;

	return error ? error : table[m->type](r);
}
