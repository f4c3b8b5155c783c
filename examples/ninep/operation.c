/* SPDX-License-Identifier: MIT */
/*
 * operation.c - what each message does with files; knows descriptors, and no wire format.
 *
 * Each function here is one message, or a few that are alike; the table at the end says
 * what they need.  It runs on a worker, as the fid's user, and may be interrupted in any
 * call; then it undoes nothing, as there is nothing to be undone: what it had made so far
 * only it knew.  A fid becomes known to the client when all else is done, by publish(),
 * which does not fail for an interrupt.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "call.h"
#include "request.h"

#define XATTR_MOST	65536		/* the kernel's own limit */
#define XATTRS_MOST	128		/* of one connection */

/* The three numbers of a qid. */
#define QID(s)	qid_type((s)->stx_mode),						\
	(uint32_t)((s)->stx_mtime.tv_sec ^ (int64_t)(s)->stx_mtime.tv_nsec),		\
	(s)->stx_ino ^ (uint64_t)(s)->stx_dev_minor << 44 ^ (uint64_t)(s)->stx_dev_major << 56

static uint64_t qid_type(mode_t mode)
{
	return S_ISDIR(mode) ? 0x80 : S_ISLNK(mode) ? 0x02 : 0;
}

/* ---- from the root to a file -------------------------------------------- */

/* A session begins; or the connection is closed, where nobody waits for a reply. */
static int version(struct request *r)
{
	const struct message *m = &r->message;
	const bool known = m->version && !strcmp(m->version, "9P2000.L");
	const uint32_t msize = m->msize < request_msize ? m->msize : request_msize;

	fids_clear(r->client);
	if (!m->type)
		return 0;
	r->client->msize = known && msize >= WIRE_SMALLEST ? msize : 0;
	wire_numbers(&r->wire, msize);
	wire_string(&r->wire, known ? m->version : "unknown");
	return msize < WIRE_SMALLEST ? EMSGSIZE : 0;
}

static int attach(struct request *r)
{
	const struct message *m = &r->message;
	struct user *user;
	int error = m->afid == WIRE_NOFID ? user_find(m->n_uname, m->uname, &user) : EBADF;

	if (error)
		return error;
	error = user_become(user, USER_GROUP);
	if (!error)
		error = file_attach(m->aname, user, &r->made->node);
	if (!error)
		wire_numbers(&r->wire, QID(&r->made->node->stat));
	else
		free(user);
	return error;
}

/* As far as it goes: where that is not all the way, no fid comes of it. */
static int walk(struct request *r)
{
	const struct message *m = &r->message;
	struct node *node = node_get(r->fid->node), *next;
	uint64_t numbers[1 + 3 * WIRE_NAMES] = { 0 };
	unsigned int i;
	int error = 0;

	for (i = 0; i < m->names && !(error = file_walk(node, m->walk[i], &next)); i++) {
		memcpy(&numbers[1 + 3 * i], (uint64_t[]){ QID(&next->stat) }, 3 * sizeof *numbers);
		node_put(node);
		node = next;
	}
	numbers[0] = i;
	wire_put(&r->wire, numbers, 1 + 3 * i);
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
	static const int table[][2] = {
		{ 01, O_WRONLY }, { 02, O_RDWR }, { 0200, O_EXCL }, { 01000, O_TRUNC },
		{ 02000, O_APPEND }, { 04000, O_NONBLOCK }, { 010000, O_DSYNC },
		{ 0200000, O_DIRECTORY }, { 01000000, O_NOATIME }, { 04000000, O_SYNC },
	};
	int host = 0;
	size_t i;

	for (i = 0; i < sizeof table / sizeof table[0]; i++)
		if (wire & table[i][0])
			host |= table[i][1];
	return (wire & 3) == 3 ? -1 : host;
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
		wire_numbers(&r->wire, QID(&made->node->stat), r->client->msize - 24);
	return error;
}

/*
 * The offset as two words, of which the second is for 32-bit kernels; others shift it
 * away.  preadv, unlike pread64, wants no even register for it anywhere.
 */
static long transfer(long vector, long plain, const struct file *file, const void *data,
		     size_t count, uint64_t offset)
{
	const struct iovec iov = { (void *)(uintptr_t)data, count };

	if (!file->seekable)
		return call(plain, file->fd, data, count);
	if (offset <= INT64_MAX)
		return call(vector, file->fd, &iov, 1, (safe_syscall_word)offset,
			    (safe_syscall_word)(offset >> 32));
	errno = EINVAL;
	return -1;
}

static int do_read(struct request *r)
{
	const uint64_t offset = r->message.offset;
	const struct xattr *x = r->fid->xattr;
	struct wire *w = &r->wire;
	size_t room = w->room - w->size;
	long n;

	if (x && x->name)
		return EBADF;
	if (x) {
		n = offset < x->size ? x->size - offset : 0;
		if (n > (long)room)
			n = room;
		memcpy(w->data + w->size, x->data + (n ? offset : 0), n);
	} else
		n = transfer(SYS_preadv, SYS_read, &r->fid->file, w->data + w->size, room, offset);
	if (n == -1)
		return errno;
	w->size += n;
	return 0;
}

/* In order, so that what is there at the end has no hole.  With the lock. */
static int write_xattr(struct xattr *x, const struct message *m)
{
	if (!x->name)
		return EBADF;
	if (m->offset > x->have)
		return EINVAL;
	if (m->count > x->size - m->offset)
		return ENOSPC;
	memcpy(x->data + m->offset, m->data, m->count);
	if (m->offset + m->count > x->have)
		x->have = m->offset + m->count;
	return 0;
}

/*
 * A signal may end a write in the middle; as nobody has asked for that, the rest is
 * written too.  If somebody has, the next call says SAFE_ERESTARTSYS, and what was
 * written is the result.
 */
static int write_file(const struct file *file, const struct message *m, size_t *done)
{
	long n;

	for (*done = 0; *done < m->count || !*done; *done += n) {
		n = transfer(SYS_pwritev, SYS_write, file, m->data + *done, m->count - *done,
			     m->offset + *done);
		if (n <= 0)
			return n && !*done ? errno : 0;
	}
	return 0;
}

static int do_write(struct request *r)
{
	const struct message *m = &r->message;
	size_t done = m->count;
	int error;

	if (r->fid->xattr) {
		server_lock();
		error = write_xattr(r->fid->xattr, m);
		server_unlock();
	} else
		error = write_file(&r->fid->file, m, &done);
	wire_numbers(&r->wire, done);
	return error;
}

static int do_fsync(struct request *r)
{
	return attempt(r->message.datasync ? SYS_fdatasync : SYS_fsync, r->fid->file.fd);
}

/* ---- directories -------------------------------------------------------- */

/* The kernel's struct linux_dirent64. */
struct entry {
	uint64_t ino;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[];
} __attribute__((packed));

static bool tell(struct request *r, const struct entry *e)
{
	const struct node *node = r->fid->node;
	struct statx stat = node->stat;

	/* of what is above the root nothing is told */
	if (strcmp(e->name, "..") || !node_same(node->root, &node->stat))
		stat.stx_ino = e->ino;
	stat.stx_mode = DTTOIF(e->type);
	stat.stx_mtime.tv_sec = stat.stx_mtime.tv_nsec = 0;
	return wire_entry(&r->wire, (uint64_t[]){ QID(&stat), e->next, e->type }, e->name);
}

/* EINVAL when there are entries and no room for one. */
static int list(struct request *r, int fd)
{
	char buffer[65536];
	/* an entry for a client is longer than the kernel's, but not by more than a sixth */
	size_t size = (r->wire.room - r->wire.size) / 7 * 6;
	long n, at;

	if (size < 320)
		size = 320;		/* for one of any length */
	if (!S_ISDIR(r->fid->node->stat.stx_mode))
		return ENOTDIR;
	if (lseek(fd, (off_t)r->message.offset, SEEK_SET) == -1)
		return errno;
	n = call(SYS_getdents64, fd, buffer, size < sizeof buffer ? size : sizeof buffer);
	for (at = 0; at < n; at += ((const struct entry *)(buffer + at))->length)
		if (!tell(r, (const struct entry *)(buffer + at)))
			return at ? 0 : EINVAL;
	return n == -1 ? errno : 0;
}

/* Two readers of one fid don't wait for each other: the second opens a descriptor. */
static int do_readdir(struct request *r)
{
	struct file *file = &r->fid->file;
	const bool first = !AO_fetch_and_add1_full(&file->busy);
	int error, fd = first ? file->fd : file_reopen(r->fid->node, O_RDONLY | O_DIRECTORY);

	error = fd == -1 ? errno : list(r, fd);
	if (first)
		AO_store_full(&file->busy, 0);
	else if (fd != -1)
		close(fd);
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
	int error = file_stat(r->fid->node->fd, "", &s);

	if (!error)
		wire_numbers(&r->wire,
			0x7ff | (s.stx_mask & STATX_BTIME ? r->message.mask & 0x800 : 0), QID(&s),
			s.stx_mode, s.stx_uid, s.stx_gid,
			s.stx_nlink, device(s.stx_rdev_major, s.stx_rdev_minor), s.stx_size,
			s.stx_blksize, s.stx_blocks, s.stx_atime.tv_sec, s.stx_atime.tv_nsec,
			s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec, s.stx_ctime.tv_sec,
			s.stx_ctime.tv_nsec, s.stx_btime.tv_sec, s.stx_btime.tv_nsec,
			0, 0);		/* gen and data_version: not had */
	return error;
}

/* Not to be set, or to be now, or this one: bits of atime, with which those of mtime line up. */
static int put_time(int64_t time[2], uint64_t valid, uint64_t seconds, uint64_t nanoseconds)
{
	time[0] = (int64_t)seconds;
	time[1] = !(valid & SETATTR_ATIME) ? UTIME_OMIT :
		valid & SETATTR_ATIME_SET ? (int64_t)nanoseconds : UTIME_NOW;
	return valid & SETATTR_ATIME_SET && nanoseconds > 999999999 ? EINVAL : 0;
}

#ifndef SYS_utimensat_time64		/* 32-bit ABIs' own with 64-bit seconds */
# define SYS_utimensat_time64	SYS_utimensat
#endif

/* A 64-bit argument: one word, or two in the host's order; on o32 from an even place on. */
#if defined _ABIO32 && _MIPS_SIM == _ABIO32
# if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#  define WORDS(x)	0, (long)((x) >> 32), (long)(x)
# else
#  define WORDS(x)	0, (long)(x), (long)((x) >> 32)
# endif
# define TRUNCATE(kind)	SYS_##kind##64
#else
# define WORDS(x)	(safe_syscall_word)(x)
# define TRUNCATE(kind)	SYS_##kind
#endif

static int resize(const struct fid *fid, uint64_t size)
{
	if (size > INT64_MAX)
		return EINVAL;
	/* who has it open may do it whatever its mode says by now */
	if (fid->file.fd != -1 && fcntl(fid->file.fd, F_GETFL) & O_ACCMODE)
		return change(TRUNCATE(ftruncate), fid->file.fd, WORDS(size));
	return change(TRUNCATE(truncate), fid->node->path, WORDS(size));
}

/* In the kernel's order: a new owner takes the set-user-ID bit, and a new mode gives it. */
static int setattr(struct request *r)
{
	const struct message *m = &r->message;
	const struct node *node = r->fid->node;
	const uint64_t valid = m->valid;
	int64_t times[4];
	int error = put_time(times, valid, m->atime, m->atime_nsec);

	if (!error)
		error = put_time(times + 2, valid >> 1, m->mtime, m->mtime_nsec);
	if (!error && valid & (SETATTR_UID | SETATTR_GID))
		error = change(SYS_fchownat, node->fd, "",
			       valid & SETATTR_UID ? (uid_t)m->uid : (uid_t)-1,
			       valid & SETATTR_GID ? (gid_t)m->gid : (gid_t)-1, AT_EMPTY_PATH);
	if (!error && valid & SETATTR_MODE)
		error = S_ISLNK(node->stat.stx_mode) ? EOPNOTSUPP :
			change(SYS_fchmodat, AT_FDCWD, node->path, (mode_t)m->mode & 07777);
	if (!error && valid & SETATTR_SIZE)
		error = resize(r->fid, m->length);
	if (!error && valid & (SETATTR_ATIME | SETATTR_MTIME))
		error = change(SYS_utimensat_time64, AT_FDCWD, node->path, times, 0);
	return error;
}

static int statfs_of(struct request *r)
{
#ifdef SYS_fstatfs64
	struct statfs64 s;
	int error = attempt(SYS_fstatfs64, r->fid->node->fd, sizeof s, &s);
#else
	struct statfs s;
	int error = attempt(SYS_fstatfs, r->fid->node->fd, &s);
#endif
	unsigned int fsid[2];

	memcpy(fsid, &s.f_fsid, sizeof fsid);
	if (!error)
		wire_numbers(&r->wire, s.f_type, s.f_bsize, s.f_blocks, s.f_bfree, s.f_bavail,
			     s.f_files, s.f_ffree, fsid[0] | (uint64_t)fsid[1] << 32, s.f_namelen);
	return error;
}

static int do_readlink(struct request *r)
{
	char target[PATH_MAX];
	long n = call(SYS_readlinkat, r->fid->node->fd, "", target, sizeof target - 1);

	if (n == -1)
		return errno == ENOENT ? EINVAL : errno;	/* no link */
	target[n] = 0;
	wire_string(&r->wire, target);
	return 0;
}

/* The new fid is an attribute of the old one's file: of so many bytes, to be written or read. */
static struct xattr *make_xattr(struct request *r, size_t size, bool write)
{
	const char *name = r->message.name;
	AO_t *count = &r->client->xattrs;
	struct xattr *x = NULL;

	if (AO_fetch_and_add1_full(count) < XATTRS_MOST)
		x = calloc(1, sizeof *x + size + strlen(name) + 1);
	if (!x) {
		AO_fetch_and_sub1_full(count);
		return NULL;
	}
	x->count = count;
	x->size = size;
	if (write)
		x->name = strcpy(x->data + size, name);
	r->made->node = node_get(r->fid->node);
	r->made->xattr = x;
	return x;
}

/* One; or without a name the list of them. */
static int xattrwalk(struct request *r)
{
	const char *name = r->message.name, *path = r->fid->node->path;
	char data[XATTR_MOST];
	long n = *name ? call(SYS_getxattr, path, name, data, sizeof data) :
		call(SYS_listxattr, path, data, sizeof data);
	struct xattr *x = n == -1 ? NULL : make_xattr(r, n, false);

	if (!x)
		return n == -1 ? errno : ENOMEM;
	memcpy(x->data, data, n);
	wire_numbers(&r->wire, n);
	return 0;
}

static int xattrcreate(struct request *r)
{
	const struct message *m = &r->message;

	if (m->length > XATTR_MOST)
		return E2BIG;
	if (m->flags > XATTR_REPLACE)
		return EINVAL;
	if (!make_xattr(r, m->length, true))
		return ENOMEM;
	r->made->xattr->flags = (int)m->flags;
	return 0;
}

/* An attribute is written at once.  None in the place of one: that is how clients say remove. */
static int clunk(struct request *r)
{
	const struct xattr *x = r->fid->xattr;
	const char *path = r->fid->node->path;

	if (!x || !x->name)
		return 0;
	if (x->have != x->size)
		return EINVAL;
	if (!x->size && x->flags == XATTR_REPLACE)
		return attempt(SYS_removexattr, path, x->name);
	return attempt(SYS_setxattr, path, x->name, x->data, x->size, x->flags);
}

/* ---- names -------------------------------------------------------------- */

/* May this name be made here?  A read-only mount tells first of what is there. */
static int may_make(const struct request *r)
{
	struct statx stat;
	int error = file_bad_name(r->message.name);

	if (error || !file_read_only)
		return error;
	error = file_stat(r->dfid->node->fd, r->message.name, &stat);
	return !error ? EEXIST : error == ENOENT ? EROFS : error;
}

/* Tmkdir, Tmknod and Tsymlink. */
static int make(struct request *r)
{
	const struct message *m = &r->message;
	const int dir = r->dfid->node->fd;
	const mode_t mode = m->mode;
	struct statx stat;
	int error = may_make(r);

	if (!error && (m->major > 0xfff || m->minor > 0xfffff))
		error = EINVAL;
	if (error)
		return error;
	if (m->type == TSYMLINK)
		error = change(SYS_symlinkat, m->target, dir, m->name);
	else if (m->type == TMKDIR)
		error = change(SYS_mkdirat, dir, m->name, mode & 07777);
	else
		error = change(SYS_mknodat, dir, m->name, mode, device(m->major, m->minor));
	if (!error && file_stat(dir, m->name, &stat))	/* somebody was quick to take it away */
		stat = (struct statx){ .stx_mode = m->type == TMKDIR ? S_IFDIR :
			m->type == TSYMLINK ? S_IFLNK : 0 };
	if (!error)
		wire_numbers(&r->wire, QID(&stat));
	return error;
}

static int do_link(struct request *r)
{
	int error = may_make(r);

	return error ? error : change(SYS_linkat, AT_FDCWD, r->fid->node->path,
				      r->dfid->node->fd, r->message.name, AT_SYMLINK_FOLLOW);
}

static int move(int dir, const char *name, const struct request *r, const char *newname)
{
	if (file_special(name) || file_special(newname))
		return EBUSY;
	if (file_bad_name(name) || file_bad_name(newname))
		return ENOENT;
	return change(SYS_renameat2, dir, name, r->dfid->node->fd, newname, 0);
}

static int do_renameat(struct request *r)
{
	return move(r->fid->node->fd, r->message.name, r, r->message.newname);
}

static int do_rename(struct request *r)
{
	char path[PATH_MAX], *name;
	struct node *dir;
	int error = file_locate(r->fid->node, &dir, path, &name);

	if (error)
		return error;
	error = move(dir->fd, name, r, r->message.name);
	node_put(dir);
	return error;
}

static int do_unlinkat(struct request *r)
{
	const char *name = r->message.name;
	const bool directory = r->message.flags & 0x200;

	if (file_special(name))
		return !directory ? EISDIR : name[1] ? ENOTEMPTY : EINVAL;
	return file_bad_name(name) ? ENOENT :
		change(SYS_unlinkat, r->dfid->node->fd, name, directory ? AT_REMOVEDIR : 0);
}

/* The fid is gone, also if the file is not; but not by what had no effect. */
static int do_remove(struct request *r)
{
	const struct node *node = r->fid->node;
	char path[PATH_MAX], *name;
	struct node *dir;
	int error = file_read_only ? EROFS : file_locate(node, &dir, path, &name);

	if (!error) {
		error = change(SYS_unlinkat, dir->fd, name,
			       S_ISDIR(node->stat.stx_mode) ? AT_REMOVEDIR : 0);
		node_put(dir);
	}
	if (error != SAFE_ERESTARTSYS) {
		server_lock();
		fids_remove(r->client, r->fid);
		server_unlock();
	}
	return error;
}

/* ---- locks -------------------------------------------------------------- */

static const short lock_types[] = { F_RDLCK, F_WRLCK, F_UNLCK };

/* What both are about; of so many types. */
static int range_of(const struct request *r, unsigned int types, struct flock64 *f,
		    struct lock_owner *owner)
{
	const struct message *m = &r->message;

	if (m->kind >= types || m->start > INT64_MAX || m->length > INT64_MAX)
		return EINVAL;
	*f = (struct flock64){ .l_type = lock_types[m->kind], .l_whence = SEEK_SET,
		.l_start = (off64_t)m->start, .l_len = (off64_t)m->length };
	*owner = (struct lock_owner){ &r->client->locks, m->process, m->client };
	return 0;
}

static int lock(struct request *r)
{
	struct lock_owner owner;
	struct flock64 range;
	int error = range_of(r, 3, &range, &owner);

	if (!error)
		error = lock_set(&r->fid->file, r->fid->node, &owner, &range,
				 r->message.flags & 1);
	wire_numbers(&r->wire, error == EAGAIN);
	return error == EAGAIN ? 0 : error;
}

static int getlock(struct request *r)
{
	struct lock_owner owner;
	struct flock64 range;
	char client[PATH_MAX];
	int kind = 2, error = range_of(r, 2, &range, &owner);

	strcpy(client, r->message.client);
	if (!error)
		error = lock_test(&r->fid->file, r->fid->node, &owner, &range, client,
				  sizeof client);
	if (error)
		return error;
	while (lock_types[kind] != range.l_type)
		kind--;
	wire_numbers(&r->wire, kind, range.l_start, range.l_len, owner.process);
	wire_string(&r->wire, client);
	return 0;
}

/* ---- what a message is about -------------------------------------------- */

enum {
	FID = 1, DFID = 2,		/* has these */
	OPEN = 4,			/* the fid is open */
	NEW = 8, REPLACE = 16,		/* makes newfid; another of fid, which is closed */
	GROUP = 32,			/* what it creates has this group */
	CHANGES = 64			/* what is read-only */
};

static const struct operation {
	int (*run)(struct request *);
	unsigned int needs;
} operations[256] = {
	[0] = { version, 0 },
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
	[TSETATTR] = { setattr, FID | CHANGES },
	[TSTATFS] = { statfs_of, FID },
	[TREADLINK] = { do_readlink, FID },
	[TXATTRWALK] = { xattrwalk, FID | NEW },
	[TXATTRCREATE] = { xattrcreate, FID | REPLACE | CHANGES },
	[TMKDIR] = { make, DFID | GROUP },
	[TMKNOD] = { make, DFID | GROUP },
	[TSYMLINK] = { make, DFID | GROUP },
	[TLINK] = { do_link, FID | DFID },
	[TRENAME] = { do_rename, FID | DFID | CHANGES },
	[TRENAMEAT] = { do_renameat, FID | DFID | CHANGES },
	[TUNLINKAT] = { do_unlinkat, DFID | CHANGES },
	[TLOCK] = { lock, FID | OPEN },
	[TGETLOCK] = { getlock, FID | OPEN },
};

int operation_find(struct request *r)
{
	const struct message *m = &r->message;
	const unsigned int needs = operations[m->type].needs;
	const struct fid *there;

	if (needs & FID && !(r->fid = fid_get(fids_find(r->client, m->fid))))
		return EBADF;
	if (needs & DFID && !(r->dfid = fid_get(fids_find(r->client, m->dfid))))
		return EBADF;
	if ((needs & OPEN && r->fid->file.fd == -1) || (needs & REPLACE && !fid_quick(r->fid)))
		return EBADF;
	if (!(needs & NEW))
		return 0;
	/* a walk may be one in place */
	there = fids_find(r->client, m->newfid);
	return m->newfid == WIRE_NOFID || (there && (there != r->fid || m->type != TWALK)) ?
		EBADF : 0;
}

static int publish(struct request *r)
{
	int error;

	server_lock();
	if (r->fid && (operations[r->message.type].needs & REPLACE ||
		       r->message.newfid == r->message.fid))
		error = fids_replace(r->client, r->fid, r->made);
	else
		error = fids_add(r->client, r->made, r->message.newfid);
	server_unlock();
	return error;
}

int operation_run(struct request *r)
{
	const struct operation *o = &operations[r->message.type];
	const struct fid *fid = r->fid ? r->fid : r->dfid;
	int error = 0;

	if (fid)
		error = user_become(fid->node->root->user,
				    o->needs & GROUP ? r->message.gid : USER_GROUP);
	if (o->needs & (NEW | REPLACE) && !(r->made = fid_new()))
		error = ENOMEM;
	if (!error && o->needs & CHANGES && file_read_only)
		error = EROFS;
	if (!error)
		error = o->run(r);
	if (!error && r->made)
		error = publish(r);
	fid_put(r->made);
	return error;
}
