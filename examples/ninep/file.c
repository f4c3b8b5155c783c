/* SPDX-License-Identifier: MIT */
/*
 * file.c - operations on the exported tree.
 *
 * WHY A CLIENT STAYS INSIDE
 *
 * A path is never given to the kernel whole.  What a client names is one name in a
 * directory that is open already, and never followed if it is a symbolic link: of O_PATH
 * and O_NOFOLLOW comes a descriptor of the link itself, in which nothing can be looked up
 * and which can't be opened.  A name with a slash is none, "." is none either.
 *
 * That leaves "..", and with it the directory that somebody moves out of the tree while a
 * client stands in it.  The parent is opened, and then the kernel is asked for its path,
 * which it puts together under the lock that renames take: if that does not begin
 * with the root's the parent is not handed out.  Whoever moves a directory
 * later than that, moves a directory of which the client had a fid anyway.
 *
 * What has to be done with the object of a descriptor goes by its name in /proc/self/fd,
 * where the kernel jumps to the object and looks no name up.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "call.h"
#include "file.h"

#define OPEN	(O_CLOEXEC | O_NOCTTY)

static struct node *exported;
static bool read_only;

bool file_read_only(void)
{
	return read_only;
}

const char *file_proc(char path[FILE_PROC], int fd)
{
	snprintf(path, FILE_PROC, "/proc/self/fd/%d", fd);
	return path;
}

/* ---- nodes -------------------------------------------------------------- */

struct node *node_get(struct node *node)
{
	AO_fetch_and_add1_full(&node->refs);
	return node;
}

void node_put(struct node *node)
{
	struct node *root;

	if (!node || AO_fetch_and_sub1_full(&node->refs) != 1)
		return;
	root = node->root;
	close(node->fd);
	free(node);
	if (root != node)
		node_put(root);
}

static int stat_at(int dir, const char *name, struct statx *stat)
{
	return attempt(SYS_statx, dir, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
		       STATX_BASIC_STATS | STATX_BTIME, stat);
}

bool node_same(const struct node *node, const struct statx *stat)
{
	return node->stat.stx_ino == stat->stx_ino &&
		node->stat.stx_dev_major == stat->stx_dev_major &&
		node->stat.stx_dev_minor == stat->stx_dev_minor;
}

/* Takes the descriptor over, or its errno.  No root: the node is one. */
static int node_new(int fd, struct node *root, struct node **made)
{
	int error = fd == -1 ? errno : ENOMEM;
	struct node *node = fd == -1 ? NULL : calloc(1, sizeof *node);

	if (node)
		error = stat_at(fd, "", &node->stat);
	if (error) {
		free(node);
		close(fd);
		return error;
	}
	node->refs = 1;
	node->fd = fd;
	file_proc(node->path, fd);
	node->root = root ? node_get(root) : node;
	*made = node;
	return 0;
}

static int look(int dir, const char *name, int more)
{
	return (int)call(SYS_openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC | more, 0);
}

int file_export(int fd, bool changes_nothing)
{
	char target[2];
	int error = node_new(fd, NULL, &exported);

	read_only = changes_nothing;
	if (!error && readlink(exported->path, target, sizeof target) == -1)
		error = errno;
	return error;
}

/* ---- walking ------------------------------------------------------------ */

static bool special(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static bool no_name(const char *name)
{
	return !*name || strchr(name, '/');
}

/* For names that are to be made: Linux says of the special ones that they are there. */
static int bad_name(const char *name)
{
	return no_name(name) ? ENOENT : special(name) ? EEXIST : 0;
}

/* Where the path of something goes on behind its root's; null: it is somewhere else. */
static char *below(const struct node *root, const char *proc, char path[PATH_MAX])
{
	char top[PATH_MAX];
	ssize_t n = readlink(root->path, top, PATH_MAX), m = readlink(proc, path, PATH_MAX);

	if (n == -1 || m == -1 || m == PATH_MAX)
		return NULL;
	path[m] = 0;
	if (n == 1)
		n = 0;			/* of "/" */
	return m >= n && !memcmp(path, top, n) && (path[n] == '/' || !path[n]) ? path + n : NULL;
}

static int walk_up(struct node *from, struct node **to)
{
	char path[PATH_MAX];
	int error;

	if (node_same(from->root, &from->stat)) {
		*to = node_get(from);
		return 0;
	}
	error = node_new(look(from->fd, "..", O_DIRECTORY), from->root, to);
	if (!error && !below(from->root, (*to)->path, path)) {
		node_put(*to);
		error = ENOENT;
	}
	return error;
}

int file_walk(struct node *from, const char *name, struct node **to)
{
	if (!strcmp(name, ".."))
		return walk_up(from, to);
	return bad_name(name) ? ENOENT : node_new(look(from->fd, name, 0), from->root, to);
}

/* A path's names are walked like a client's own.  The path is used up. */
static int walk_path(struct node *from, char *path, struct node **to)
{
	struct node *node = node_get(from), *next;
	char *name;
	int error = 0;

	while (!error && (name = strsep(&path, "/"))) {
		if (!*name || !strcmp(name, "."))
			continue;
		error = file_walk(node, name, &next);
		node_put(node);
		node = next;
	}
	*to = node;
	return error;
}

int file_attach(const char *name, struct node **root)
{
	char path[PATH_MAX];
	struct node *node;
	int error = walk_path(exported, strcpy(path, name), &node);

	if (error)
		return error;
	/* also of DIR itself: what the connection closes is its own */
	if (S_ISDIR(node->stat.stx_mode) || S_ISREG(node->stat.stx_mode))
		error = node_new(fcntl(node->fd, F_DUPFD_CLOEXEC, 0), NULL, root);
	else
		error = ENOTDIR;
	node_put(node);
	return error;
}

/*
 * The directory that holds the node now, and its name there; path holds it.  Somebody may
 * rename it, or a directory on the way, at any moment.  What is found is looked at before
 * it is used; who renames it after that has renamed first.
 */
static int locate(const struct node *node, struct node **dir, char path[PATH_MAX],
		  char **name)
{
	struct statx found;
	char *start;
	int error, tries = 0;

	if (node_same(node->root, &node->stat) || node_same(exported, &node->stat))
		return EBUSY;
	do {
		start = below(node->root, node->path, path);
		*name = start ? strrchr(start, '/') : NULL;
		if (!*name)
			return ENOENT;
		*(*name)++ = 0;
		error = walk_path(node->root, start, dir);
		if (error)
			continue;
		error = stat_at((*dir)->fd, *name, &found);
		if (!error && node_same(node, &found))
			return 0;
		node_put(*dir);
	} while ((!error || error == ENOENT) && ++tries < 16);
	return error ? error : ENOENT;
}

/* ---- open files --------------------------------------------------------- */

/* On a mount that is read-only these can't be written; FIFOs, devices and sockets can. */
static bool denied(const struct node *node, int flags)
{
	return read_only && (S_ISREG(node->stat.stx_mode) || S_ISDIR(node->stat.stx_mode)) &&
		((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC);
}

static int file_opened(struct file *file, int fd)
{
	request_settle();
	file->fd = fd;
	file->own = true;
	file->seekable = lseek(fd, 0, SEEK_CUR) != -1 || errno != ESPIPE;
	return 0;
}

static int reopen(const struct node *node, int flags)
{
	long fd = -1;

	/* not even the time of access is to change, where that can be had */
	if (read_only)
		fd = call(SYS_openat, AT_FDCWD, node->path, flags | OPEN | O_NOATIME, 0);
	if (fd == -1 && (!read_only || errno == EPERM))
		fd = call(SYS_openat, AT_FDCWD, node->path, flags | OPEN, 0);
	return (int)fd;
}

int file_open(const struct node *node, int flags, struct file *file)
{
	int fd;

	if (S_ISLNK(node->stat.stx_mode))
		return ELOOP;
	if (denied(node, flags))
		return EROFS;
	fd = reopen(node, flags & ~(O_CREAT | O_EXCL));
	return fd == -1 ? errno : file_opened(file, fd);
}

/* On a read-only mount what is there can be opened, and only that. */
static int open_existing(struct node *dir, const char *name, int flags, struct node **made,
			 struct file *file)
{
	int error = file_walk(dir, name, made);

	if (error)
		return error == ENOENT ? EROFS : error;
	return flags & O_EXCL ? EEXIST : file_open(*made, flags, file);
}

int file_create(struct node *dir, const char *name, int flags, mode_t mode,
		struct node **made, struct file *file)
{
	char proc[FILE_PROC];
	int fd, path;

	if (bad_name(name))
		return bad_name(name);
	if (read_only)
		return open_existing(dir, name, flags, made, file);
	fd = (int)call(SYS_openat, dir->fd, name, flags | O_CREAT | O_NOFOLLOW | OPEN,
		       mode & 07777);
	if (fd == -1)
		return errno;
	file_opened(file, fd);
	/* the file is there: where no descriptor is to be had any more, one must do */
	path = (int)call(SYS_openat, AT_FDCWD, file_proc(proc, fd), O_PATH | O_CLOEXEC, 0);
	file->own = path != -1;
	return node_new(file->own ? path : fd, dir->root, made);
}

void file_close(struct file *file)
{
	if (file->fd != -1 && file->own)
		close(file->fd);
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

int file_read(const struct file *file, void *data, size_t count, uint64_t offset,
	      size_t *done)
{
	long n = transfer(SYS_preadv, SYS_read, file, data, count, offset);

	*done = n == -1 ? 0 : n;
	return n == -1 ? errno : 0;
}

/*
 * A signal may end a write in the middle; as nobody has asked for that, the rest is
 * written too.  If somebody has, the next call says SAFE_ERESTARTSYS, and what was
 * written is the result.
 */
int file_write(const struct file *file, const void *data, size_t count, uint64_t offset,
	       size_t *done)
{
	long n;

	*done = 0;
	do {
		n = transfer(SYS_pwritev, SYS_write, file, (const char *)data + *done,
			     count - *done, offset + *done);
		if (n == -1)
			return *done ? 0 : errno;
		*done += (size_t)n;
	} while (n && *done < count);
	return 0;
}

int file_sync(const struct file *file, bool data_only)
{
	return attempt(data_only ? SYS_fdatasync : SYS_fsync, file->fd);
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

static int list(int fd, uint64_t offset, size_t room, file_entry *each, void *opaque)
{
	char buffer[65536];
	/* an entry for a client is longer than the kernel's, but not by more than a sixth */
	size_t size = room / 7 * 6;
	const struct entry *e;
	long n, at;

	if (size < 320)
		size = 320;		/* for one of any length */
	if (lseek(fd, (off_t)offset, SEEK_SET) == -1)
		return errno;
	n = call(SYS_getdents64, fd, buffer, size < sizeof buffer ? size : sizeof buffer);
	for (at = 0; at < n; at += e->length) {
		e = (const void *)(buffer + at);
		if (!each(opaque, e->ino, e->next, e->type, e->name))
			return at ? 0 : EINVAL;
	}
	return n == -1 ? errno : 0;
}

/* Two readers of one fid don't wait for each other: the second opens a descriptor. */
int file_readdir(const struct node *node, struct file *file, uint64_t offset, size_t room,
		 file_entry *each, void *opaque)
{
	int fd, error;

	if (!S_ISDIR(node->stat.stx_mode))
		return ENOTDIR;
	if (!AO_fetch_and_add1_full(&file->busy)) {
		error = list(file->fd, offset, room, each, opaque);
		AO_store_full(&file->busy, 0);
		return error;
	}
	fd = reopen(node, O_RDONLY | O_DIRECTORY);
	if (fd == -1)
		return errno;
	error = list(fd, offset, room, each, opaque);
	close(fd);
	return error;
}

/* ---- attributes --------------------------------------------------------- */

int file_stat(const struct node *node, struct statx *stat)
{
	return stat_at(node->fd, "", stat);
}

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

static int resize(const struct node *node, const struct file *file, uint64_t size)
{
	if (size > INT64_MAX)
		return EINVAL;
	/* who has it open may do it whatever its mode says by now */
	if (file->fd != -1 && fcntl(file->fd, F_GETFL) & O_ACCMODE)
		return change(TRUNCATE(ftruncate), file->fd, WORDS(size));
	return change(TRUNCATE(truncate), node->path, WORDS(size));
}

static int set_times(const struct node *node, const struct timespec times[2])
{
	/* 32-bit ABIs have their own with 64-bit seconds */
#ifdef SYS_utimensat_time64
	const int64_t wide[4] = { times[0].tv_sec, times[0].tv_nsec,
		times[1].tv_sec, times[1].tv_nsec };
	const long number = SYS_utimensat_time64;
#else
	const struct timespec *wide = times;
	const long number = SYS_utimensat;
#endif
	return change(number, AT_FDCWD, node->path, wide, 0);
}

/* In the kernel's order: a new owner takes the set-user-ID bit, and a new mode gives it. */
int file_change(const struct node *node, const struct file *file, const struct change *c)
{
	int error = read_only ? EROFS : 0;

	if (!error && (c->uid != (uid_t)-1 || c->gid != (gid_t)-1))
		error = change(SYS_fchownat, node->fd, "", c->uid, c->gid, AT_EMPTY_PATH);
	if (!error && c->mode != (mode_t)-1)
		error = S_ISLNK(node->stat.stx_mode) ? EOPNOTSUPP :
			change(SYS_fchmodat, AT_FDCWD, node->path, c->mode);
	if (!error && c->resize)
		error = resize(node, file, c->size);
	if (!error && (c->times[0].tv_nsec != UTIME_OMIT || c->times[1].tv_nsec != UTIME_OMIT))
		error = set_times(node, c->times);
	return error;
}

int file_statfs(const struct node *node, uint64_t numbers[9])
{
#ifdef SYS_fstatfs64
	struct statfs64 s;
	long result = call(SYS_fstatfs64, node->fd, sizeof s, &s);
#else
	struct statfs s;
	long result = call(SYS_fstatfs, node->fd, &s);
#endif
	unsigned int fsid[2];

	if (result == -1)
		return errno;
	memcpy(fsid, &s.f_fsid, sizeof fsid);
	memcpy(numbers, (const uint64_t[9]){
		s.f_type, s.f_bsize, s.f_blocks, s.f_bfree, s.f_bavail, s.f_files, s.f_ffree,
		fsid[0] | (uint64_t)fsid[1] << 32, s.f_namelen
	}, 9 * sizeof *numbers);
	return 0;
}

int file_readlink(const struct node *node, char *target, size_t room)
{
	long n = call(SYS_readlinkat, node->fd, "", target, room - 1);

	if (n == -1)
		return errno == ENOENT ? EINVAL : errno;	/* no link */
	target[n] = 0;
	return 0;
}

/* ---- names -------------------------------------------------------------- */

/* May this name be made here?  A read-only mount tells first of what is there. */
static int may_make(const struct node *dir, const char *name)
{
	struct statx stat;
	int error = bad_name(name);

	if (error || !read_only)
		return error;
	error = stat_at(dir->fd, name, &stat);
	return !error ? EEXIST : error == ENOENT ? EROFS : error;
}

int file_make(const struct node *dir, const char *name, mode_t mode, unsigned int device,
	      const char *target, struct statx *stat)
{
	int error = may_make(dir, name);

	if (error)
		return error;
	if (target)
		error = change(SYS_symlinkat, target, dir->fd, name);
	else if (S_ISDIR(mode))
		error = change(SYS_mkdirat, dir->fd, name, mode & 07777);
	else
		error = change(SYS_mknodat, dir->fd, name, mode, device);
	/* somebody may be quick to take it away */
	if (!error && stat_at(dir->fd, name, stat))
		*stat = (struct statx){ .stx_mode = mode };
	return error;
}

int file_link(const struct node *dir, const struct node *node, const char *name)
{
	int error = may_make(dir, name);

	return error ? error : change(SYS_linkat, AT_FDCWD, node->path, dir->fd, name,
				      AT_SYMLINK_FOLLOW);
}

int file_rename_at(const struct node *dir, const char *name, const struct node *to,
		   const char *newname)
{
	if (special(name) || special(newname))
		return EBUSY;
	if (no_name(name) || no_name(newname))
		return ENOENT;
	return read_only ? EROFS :
		change(SYS_renameat2, dir->fd, name, to->fd, newname, 0);
}

int file_rename(const struct node *node, const struct node *to, const char *newname)
{
	char path[PATH_MAX], *name;
	struct node *dir;
	int error;

	if (special(newname) || no_name(newname))
		return special(newname) ? EBUSY : ENOENT;
	error = read_only ? EROFS : locate(node, &dir, path, &name);
	if (error)
		return error;
	error = change(SYS_renameat2, dir->fd, name, to->fd, newname, 0);
	node_put(dir);
	return error;
}

static int unlink_name(const struct node *dir, const char *name, bool directory)
{
	return change(SYS_unlinkat, dir->fd, name, directory ? AT_REMOVEDIR : 0);
}

int file_unlink_at(const struct node *dir, const char *name, bool directory)
{
	if (no_name(name))
		return ENOENT;
	if (special(name))
		return !directory ? EISDIR : name[1] ? ENOTEMPTY : EINVAL;
	return read_only ? EROFS : unlink_name(dir, name, directory);
}

int file_remove(const struct node *node)
{
	char path[PATH_MAX], *name;
	struct node *dir;
	int error = read_only ? EROFS : locate(node, &dir, path, &name);

	if (error)
		return error;
	error = unlink_name(dir, name, S_ISDIR(node->stat.stx_mode));
	node_put(dir);
	return error;
}

/* ---- extended attributes ------------------------------------------------ */

int file_get_xattr(const struct node *node, const char *name, void *data, size_t *size)
{
	long n = *name ? call(SYS_getxattr, node->path, name, data, *size) :
		call(SYS_listxattr, node->path, data, *size);

	*size = n == -1 ? 0 : n;
	return n == -1 ? errno : 0;
}

/* Nothing in the place of what is there: that is how clients say remove. */
int file_set_xattr(const struct node *node, const char *name, const void *data, size_t size,
		   int flags)
{
	if (read_only)
		return EROFS;
	if (!size && flags == 2)	/* XATTR_REPLACE */
		return attempt(SYS_removexattr, node->path, name);
	return attempt(SYS_setxattr, node->path, name, data, size, flags);
}
