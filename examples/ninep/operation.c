/* SPDX-License-Identifier: MIT */
/*
 * operation.c - what each message does with files; knows descriptors, and no wire format.
 *
 * Each function here is one message, or a few that are alike; the table at the end says
 * what they need.  It runs on a worker, as the fid's user, and may be interrupted in any
 * call; then it undoes nothing, as there is nothing to be undone: what it had made so far
 * only it knew.  A fid becomes known to the client when all else is done, by publish().
 */
#include <dirent.h>
#include <search.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "server.h"

#define XATTR_MOST	65536		/* the kernel's own limit */
#define XATTRS_MOST	32		/* of one connection */

/* The three numbers of a qid. */
#define QID(s)	qid_type((s)->stx_mode),						\
	(uint32_t)((s)->stx_mtime.tv_sec ^ (int64_t)(s)->stx_mtime.tv_nsec),		\
	file_number(s)

static uint64_t qid_type(mode_t mode)
{
	return S_ISDIR(mode) ? 0x80 : S_ISLNK(mode) ? 0x02 : 0;
}

/* ---- fids ---------------------------------------------------------------- */

size_t fids_most = 65536;

static int compare(const void *a, const void *b)
{
	const uint32_t x = ((const struct fid *)a)->number, y = ((const struct fid *)b)->number;

	return x < y ? -1 : x > y;
}

static struct fid *find(const struct client *c, uint64_t number)
{
	const struct fid key = { .number = (uint32_t)number };
	struct fid **found = tfind(&key, &c->fids, compare);

	return found ? *found : NULL;
}

void operation_clunk(struct client *c, struct fid *fid)
{
	if (find(c, fid->number) != fid)
		return;
	tdelete(fid, &c->fids, compare);
	c->fid_count--;
	fid_put(fid);
}

/* Behind a free number; or behind that of an old one, unless it was clunked meanwhile. */
static int publish(struct client *c, struct fid *fid, uint64_t number, struct fid *old)
{
	if (old ? old->replaced : c->fid_count >= fids_most)
		return old ? EBADF : EMFILE;
	if (old && find(c, number) != old)
		return 0;		/* nobody gets it */
	if (old) {
		old->replaced = true;
		operation_clunk(c, old);	/* which the request has too */
	}
	fid->number = (uint32_t)number;
	struct fid **place = tsearch(fid, &c->fids, compare);
	if (!place || *place != fid)
		return place ? EBADF : ENOMEM;
	c->fid_count++;
	fid_get(fid);
	return 0;
}

static void drop(void *fid)
{
	fid_put(fid);
}

/* ---- from the root to a file -------------------------------------------- */

/* A session begins; or the connection is closed, where nobody waits for a reply. */
static int version(struct request *r)
{
	const struct message *m = &r->message;
	const bool known = m->version && !strcmp(m->version, "9P2000.L");
	const uint32_t msize = m->msize < request_msize ? m->msize : request_msize;

	tdestroy(r->client->fids, drop);
	r->client->fids = NULL;
	r->client->fid_count = 0;
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
	struct user *user = NULL;
	int error = m->afid == WIRE_NOFID ? user_find(m->n_uname, m->uname, &user) : EBADF;

	if (!error)
		error = user_become(user, USER_GROUP);
	if (!error)
		error = file_attach(m->aname, user, &r->made);
	if (!error)
		wire_numbers(&r->wire, QID(&r->made->stat));
	else
		free(user);
	return error;
}

/* As far as it goes: where that is not all the way, no fid comes of it. */
static int walk(struct request *r)
{
	const struct message *m = &r->message;
	struct fid *fid, *next;
	uint64_t numbers[1 + 3 * WIRE_NAMES] = { 0 };
	unsigned int i;
	int error = file_again(r->fid, &fid);

	if (error)
		return error;
	for (i = 0; i < m->names && !(error = file_walk(fid, m->walk[i], &next)); i++) {
		memcpy(&numbers[1 + 3 * i], (uint64_t[]){ QID(&next->stat) }, 3 * sizeof *numbers);
		fid_put(fid);
		fid = next;
	}
	numbers[0] = i;
	wire_put(&r->wire, numbers, 1 + 3 * i);
	if (!error)
		r->made = fid;
	else
		fid_put(fid);
	return i && error != SAFE_ERESTARTSYS ? 0 : error;
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

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (wire & table[i][0])
			host |= table[i][1];
	return (wire & 3) == 3 ? -1 : host;
}

/* Tlopen and Tlcreate. */
static int do_open(struct request *r)
{
	const struct message *m = &r->message;
	const int flags = open_flags(m->flags);
	int error = EINVAL;

	if (flags != -1 && m->type == TLCREATE)
		error = file_create(r->fid, m->name, flags, m->mode, &r->made);
	else if (flags != -1 && !(error = file_again(r->fid, &r->made)))
		error = file_open(r->made, flags);
	if (!error)
		wire_numbers(&r->wire, QID(&r->made->stat), r->client->msize - 24);
	return error;
}

/*
 * The offset as two words, of which the second is for 32-bit kernels; others shift it
 * away.  preadv, unlike pread64, wants no even register for it anywhere.
 */
static long transfer(long vector, long plain, const struct fid *fid, const void *data,
		     size_t count, uint64_t offset)
{
	const struct iovec iov = { (void *)(uintptr_t)data, count };

	if (!fid->seekable)
		return call(plain, fid->open, data, count);
	if (offset <= INT64_MAX)
		return call(vector, fid->open, &iov, 1, (safe_syscall_word)offset,
			    (safe_syscall_word)(offset >> 32));
	errno = EINVAL;
	return -1;
}

static int do_read(struct request *r)
{
	struct wire *w = &r->wire;
	long n = transfer(SYS_preadv, SYS_read, r->fid, w->data + w->size, w->room - w->size,
			  r->message.offset);

	if (n == -1)
		return errno;
	w->size += n;
	return 0;
}

/*
 * A signal may end a write in the middle; as nobody has asked for that, the rest is
 * written too.  If somebody has, the next call says SAFE_ERESTARTSYS, and what was
 * written is the result.
 */
static int do_write(struct request *r)
{
	const struct message *m = &r->message;
	struct xattr *x = r->fid->xattr;
	size_t done = 0;
	long n = 1;

	if (x && !x->written)
		return EBADF;
	if (x && (m->offset > x->size || m->count > x->size - m->offset))
		return ENOSPC;
	for (; n > 0 && (done < m->count || !done); done += n > 0 ? n : 0)
		n = transfer(SYS_pwritev, SYS_write, r->fid, m->data + done, m->count - done,
			     m->offset + done);
	if (x)
		AO_fetch_and_add_full(&x->came, done);
	wire_numbers(&r->wire, done);
	return n == -1 && !done ? errno : 0;
}

static int do_fsync(struct request *r)
{
	return attempt(r->message.datasync ? SYS_fdatasync : SYS_fsync, r->fid->open);
}

/* ---- directories -------------------------------------------------------- */

/* The C library's struct is the kernel's, where offsets have 64 bits. */
static bool tell(struct request *r, const struct dirent *e)
{
	const struct fid *fid = r->fid;
	struct statx stat = fid->stat;

	/* of what is above the root nothing is told */
	if (strcmp(e->d_name, "..") || !file_same(fid->root, &fid->stat))
		stat.stx_ino = e->d_ino;
	stat.stx_mode = DTTOIF(e->d_type);
	stat.stx_mtime.tv_sec = stat.stx_mtime.tv_nsec = 0;
	return wire_entry(&r->wire, (uint64_t[]){ QID(&stat), e->d_off, e->d_type }, e->d_name);
}

/*
 * EINVAL when there are entries and no room for one.
 *
 * The number of an entry is where the kernel goes on; in some file systems it is how many were
 * before it, and wrong when one of those is removed.  But a descriptor that goes on keeps
 * its place: so the fid's own is used and not moved, where the client goes on and nobody else
 * reads by it.  Another who reads meanwhile does so by a descriptor of its own.
 */
static int do_readdir(struct request *r)
{
	char buffer[65536] __attribute__((aligned(8)));
	/* an entry for a client is longer than the kernel's, but not by more than a sixth */
	size_t size = (r->wire.room - r->wire.size) / 7 * 6;
	struct fid *fid = r->fid;
	const bool own = AO_compare_and_swap_full(&fid->lists, 0, 1);
	const struct dirent *e = NULL;
	uint64_t next = r->message.offset;
	long n = -1, at;
	int error = 0, fd = own ? fid->open : file_reopen(fid, O_RDONLY | O_DIRECTORY);

	if (size < 320)
		size = 320;		/* for one of any length */
	if (fd != -1 && ((own && next <= INT64_MAX && fid->next == next) ||
			 lseek(fd, (off_t)next, SEEK_SET) != -1))
		n = call(SYS_getdents64, fd, buffer, size < sizeof buffer ? size : sizeof buffer);
	if (n == -1)
		error = errno;
	for (at = 0; at < n && tell(r, e = (const void *)(buffer + at)); next = (uint64_t)e->d_off)
		at += e->d_reclen;
	if (n > 0 && !at)
		error = EINVAL;
	if (own) {
		fid->next = at == n ? next : UINT64_MAX;
		AO_store_release(&fid->lists, 0);
	} else if (fd != -1) {
		close(fd);
	}
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
	int error = file_stat(r->fid->fd, "", &s);

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

/*
 * A 64-bit argument: one word, or two in the host's order, from an even place on or, on i386,
 * from any.
 */
#ifdef SYS_ftruncate64
# ifdef __i386__
#  define WORDS(x)	(long)(x), (long)((x) >> 32)
# elif __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
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
	if (fid->open != -1 && !fid->xattr && fcntl(fid->open, F_GETFL) & O_ACCMODE)
		return change(TRUNCATE(ftruncate), fid->open, WORDS(size));
	return change(TRUNCATE(truncate), fid->path, WORDS(size));
}

/* In the kernel's order: a new owner takes the set-user-ID bit, and a new mode gives it. */
static int setattr(struct request *r)
{
	const struct message *m = &r->message;
	const struct fid *fid = r->fid;
	const uint64_t valid = m->valid;
	int64_t times[4];
	int error = put_time(times, valid, m->atime, m->atime_nsec);

	if (!error)
		error = put_time(times + 2, valid >> 1, m->mtime, m->mtime_nsec);
	if (!error && valid & (SETATTR_UID | SETATTR_GID))
		error = change(SYS_fchownat, fid->fd, "",
			       valid & SETATTR_UID ? (uid_t)m->uid : (uid_t)-1,
			       valid & SETATTR_GID ? (gid_t)m->gid : (gid_t)-1, AT_EMPTY_PATH);
	if (!error && valid & SETATTR_MODE)
		error = S_ISLNK(fid->stat.stx_mode) ? EOPNOTSUPP :
			change(SYS_fchmodat, AT_FDCWD, fid->path, (mode_t)m->mode & 07777);
	if (!error && valid & SETATTR_SIZE)
		error = resize(r->fid, m->length);
	if (!error && valid & (SETATTR_ATIME | SETATTR_MTIME))
		error = change(SYS_utimensat_time64, AT_FDCWD, fid->path, times, 0);
	return error;
}

static int statfs_of(struct request *r)
{
#ifdef SYS_fstatfs64
	struct statfs64 s = { 0 };
	int error = attempt(SYS_fstatfs64, r->fid->fd, sizeof s, &s);
#else
	struct statfs s = { 0 };
	int error = attempt(SYS_fstatfs, r->fid->fd, &s);
#endif
	unsigned int fsid[2];

	memcpy(fsid, &s.f_fsid, sizeof fsid);
	wire_numbers(&r->wire, s.f_type, s.f_bsize, s.f_blocks, s.f_bfree, s.f_bavail, s.f_files,
		     s.f_ffree, fsid[0] | (uint64_t)fsid[1] << 32, s.f_namelen);
	return error;
}

static int do_readlink(struct request *r)
{
	char target[PATH_MAX];
	long n = call(SYS_readlinkat, r->fid->fd, "", target, sizeof target - 1);

	if (n == -1)
		return errno == ENOENT ? EINVAL : errno;	/* no link */
	target[n] = 0;
	wire_string(&r->wire, target);
	return 0;
}

/* The new fid is an attribute of the old one's file: a file in memory, with these bytes. */
static int make_xattr(struct request *r, const void *data, size_t size, bool written)
{
	const char *name = r->message.name;
	struct xattr *x = malloc(sizeof *x + strlen(name) + 1);
	int error = x ? file_again(r->fid, &r->made) : ENOMEM;

	if (error) {
		free(x);
		return error;
	}
	*x = (struct xattr){ &r->client->xattrs, 0, size, (int)r->message.flags, written };
	strcpy(x->name, name);
	r->made->xattr = x;
	r->made->seekable = true;
	if (AO_fetch_and_add1_full(x->count) >= XATTRS_MOST)
		return EMFILE;
	r->made->open = (int)call(SYS_memfd_create, "xattr", MFD_CLOEXEC);
	return r->made->open == -1 || (data && call(SYS_write, r->made->open, data, size) == -1) ?
		errno : 0;
}

/* One; or without a name the list of them. */
static int xattrwalk(struct request *r)
{
	const char *name = r->message.name, *path = r->fid->path;
	char data[XATTR_MOST];
	long n = *name ? call(SYS_getxattr, path, name, data, sizeof data) :
		call(SYS_listxattr, path, data, sizeof data);

	wire_numbers(&r->wire, n);
	return n == -1 ? errno : make_xattr(r, data, n, false);
}

static int xattrcreate(struct request *r)
{
	const struct message *m = &r->message;

	if (m->length > XATTR_MOST)
		return E2BIG;
	return m->flags > XATTR_REPLACE ? EINVAL : make_xattr(r, NULL, m->length, true);
}

/* An attribute is written at once, if as many bytes as it has have come.  None in the place of
   one: that is how clients say remove. */
static int clunk(struct request *r)
{
	const struct xattr *x = r->fid->xattr;
	const char *path = r->fid->path;

	if (!x || !x->written)
		return 0;
	char data[XATTR_MOST] = "";
	if (AO_load_full(&x->came) < x->size ||
	    transfer(SYS_preadv, SYS_read, r->fid, data, sizeof data, 0) != (long)x->size)
		return EINVAL;
	if (!x->size && x->flags == XATTR_REPLACE)
		return attempt(SYS_removexattr, path, x->name);
	return attempt(SYS_setxattr, path, x->name, data, x->size, x->flags);
}

/* ---- names -------------------------------------------------------------- */

/* Tmkdir, Tmknod, Tsymlink and Tlink. */
static int make(struct request *r)
{
	const struct message *m = &r->message;
	const int dir = r->dfid->fd, type = m->type;
	struct statx stat;
	int error = file_bad_name(m->name);

	if (!error && file_read_only) {	/* of what is there such a mount tells first */
		error = file_stat(dir, m->name, &stat);
		error = !error ? EEXIST : error == ENOENT ? EROFS : error;
	}
	if (error)
		return error;
	if (type == TLINK)
		return change(SYS_linkat, AT_FDCWD, r->fid->path, dir, m->name, AT_SYMLINK_FOLLOW);
	if (type == TSYMLINK)
		error = change(SYS_symlinkat, m->target, dir, m->name);
	else if (type == TMKDIR)
		error = change(SYS_mkdirat, dir, m->name, (mode_t)m->mode & 07777);
	else if (m->major > 0xfff || m->minor > 0xfffff)
		error = EINVAL;
	else
		error = change(SYS_mknodat, dir, m->name, (mode_t)m->mode,
			       device(m->major, m->minor));
	if (!error && file_stat(dir, m->name, &stat))	/* somebody was quick to take it away */
		stat = (struct statx){ .stx_mode = type == TMKDIR ? S_IFDIR :
			type == TSYMLINK ? S_IFLNK : 0 };
	if (!error)
		wire_numbers(&r->wire, QID(&stat));
	return error;
}

static int move(int dir, const char *name, int newdir, const char *newname)
{
	if (file_special(name) || file_special(newname))
		return EBUSY;
	return file_bad_name(name) || file_bad_name(newname) ? ENOENT :
		change(SYS_renameat2, dir, name, newdir, newname, 0);
}

static int take_away(int dir, const char *name, bool directory)
{
	if (file_special(name))
		return !directory ? EISDIR : name[1] ? ENOTEMPTY : EINVAL;
	return file_bad_name(name) ? ENOENT :
		change(SYS_unlinkat, dir, name, directory ? AT_REMOVEDIR : 0);
}

static int do_renameat(struct request *r)
{
	return move(r->fid->fd, r->message.name, r->dfid->fd, r->message.newname);
}

static int do_unlinkat(struct request *r)
{
	if (r->message.flags & ~0x200u)
		return EINVAL;
	return take_away(r->dfid->fd, r->message.name, r->message.flags != 0);
}

/* Trename and Tremove: the name is the one that the file has now. */
static int by_fid(struct request *r)
{
	char path[PATH_MAX], *name;
	struct fid *dir;
	int error = r->fid->xattr ? EBADF : file_locate(r->fid, &dir, path, &name);

	if (error)
		return error;
	error = r->message.type == TREMOVE ?
		take_away(dir->fd, name, S_ISDIR(r->fid->stat.stx_mode)) :
		move(dir->fd, name, r->dfid->fd, r->message.name);
	fid_put(dir);
	return error;
}

/* ---- locks -------------------------------------------------------------- */

/* Tlock and Tgetlock.  Linux's client asks for no kind, UNLCK: who is in the way of any. */
static int do_lock(struct request *r)
{
	static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	const struct message *m = &r->message;
	const bool get = m->type == TGETLOCK;
	const int command = get ? F_OFD_GETLK : m->flags & 1 ? F_OFD_SETLKW : F_OFD_SETLK;
	struct lock_owner owner = { &r->client->locks, m->process, m->client };
	char client[PATH_MAX];
	int kind = 2;

	if (m->kind > 2 || m->flags > 3 || m->start > INT64_MAX || m->length > INT64_MAX)
		return EINVAL;
	struct flock64 range = { .l_type = types[get && m->kind ? 1 : m->kind], .l_whence = SEEK_SET,
		.l_start = (off64_t)m->start, .l_len = (off64_t)m->length };
	int error = lock_control(r->fid, command, &range, &owner, strcpy(client, m->client));
	if (!get) {
		wire_numbers(&r->wire, error == EAGAIN);
		return error == EAGAIN ? 0 : error;
	}
	while (types[kind] != range.l_type)
		kind--;
	wire_numbers(&r->wire, kind, range.l_start, range.l_len, owner.process);
	wire_string(&r->wire, client);
	return error;
}

/* ---- what a message is about -------------------------------------------- */

enum {
	FID = 1, DFID = 2,		/* has these */
	OPEN = 4,			/* the fid is open */
	NEW = 8, REPLACE = 16,		/* makes newfid; another of fid, which is closed */
	GROUP = 32,			/* what it creates has this group */
	CHANGES = 64,			/* what is read-only */
	XATTR = 128			/* the fid may be an attribute */
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
	[TREAD] = { do_read, FID | XATTR },
	[TWRITE] = { do_write, FID | XATTR },
	[TFSYNC] = { do_fsync, FID | OPEN },
	[TCLUNK] = { clunk, FID | XATTR },
	[TREMOVE] = { by_fid, FID | CHANGES | XATTR },
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
	[TLINK] = { make, FID | DFID },
	[TRENAME] = { by_fid, FID | DFID | CHANGES },
	[TRENAMEAT] = { do_renameat, FID | DFID | CHANGES },
	[TUNLINKAT] = { do_unlinkat, DFID | CHANGES },
	[TLOCK] = { do_lock, FID | OPEN },
	[TGETLOCK] = { do_lock, FID | OPEN },
};

static bool in_place(const struct message *m)
{
	return m->type == TWALK && m->newfid == m->fid;
}

int operation_find(struct request *r)
{
	const struct message *m = &r->message;
	const unsigned int needs = operations[m->type].needs;

	if (needs & FID && !(r->fid = fid_get(find(r->client, m->fid))))
		return EBADF;
	if (needs & DFID && !(r->dfid = fid_get(find(r->client, m->dfid))))
		return EBADF;
	if ((r->fid && r->fid->xattr && !(needs & XATTR)) || (r->dfid && r->dfid->xattr) ||
	    (needs & OPEN && r->fid->open == -1) || (needs & REPLACE && r->fid->open != -1))
		return EBADF;
	return needs & NEW && (m->newfid == WIRE_NOFID ||
			       (find(r->client, m->newfid) && !in_place(m))) ? EBADF : 0;
}

int operation_run(struct request *r)
{
	const struct message *m = &r->message;
	const struct operation *o = &operations[m->type];
	const struct fid *fid = r->fid ? r->fid : r->dfid;
	const bool replace = o->needs & REPLACE || in_place(m);
	int error = 0;

	if (fid)
		error = user_become(fid->root->user, o->needs & GROUP ? m->gid : USER_GROUP);
	if (!error && o->needs & CHANGES && file_read_only)
		error = EROFS;
	if (!error)
		error = o->run(r);
	server_lock();
	if (!error && r->made)
		error = publish(r->client, r->made, replace ? m->fid : m->newfid,
				replace ? r->fid : NULL);
	/* its fid is gone, also if the file is not; but not by what had no effect */
	if (m->type == TREMOVE && error != SAFE_ERESTARTSYS)
		operation_clunk(r->client, r->fid);
	server_unlock();
	fid_put(r->made);
	return error;
}
