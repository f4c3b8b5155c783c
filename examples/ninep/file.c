/* SPDX-License-Identifier: MIT */
/*
 * file.c - the exported tree: where a client can get, and what it can open there.
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
#include "server.h"

#define OPEN	(O_CLOEXEC | O_NOCTTY | O_LARGEFILE)

static struct fid *exported;
bool file_read_only;

/* ---- fids --------------------------------------------------------------- */

struct fid *fid_get(struct fid *fid)
{
	if (fid)
		AO_fetch_and_add1_full(&fid->refs);
	return fid;
}

void fid_put(struct fid *fid)
{
	if (!fid || AO_fetch_and_sub1_full(&fid->refs) != 1)
		return;
	if (fid->locked)
		lock_drop(fid);
	if (fid->open != -1 && fid->open != fid->fd)
		close(fid->open);
	if (fid->xattr)
		AO_fetch_and_sub1_full(fid->xattr->count);
	free(fid->xattr);
	close(fid->fd);
	free(fid->user);
	if (fid->root != fid)
		fid_put(fid->root);
	free(fid);
}

int file_stat(int dir, const char *name, struct statx *stat)
{
	return attempt(SYS_statx, dir, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
		       STATX_BASIC_STATS | STATX_BTIME, stat);
}

bool file_same(const struct fid *fid, const struct statx *stat)
{
	return fid->stat.stx_ino == stat->stx_ino &&
		fid->stat.stx_dev_major == stat->stx_dev_major &&
		fid->stat.stx_dev_minor == stat->stx_dev_minor;
}

/*
 * That of the inode, on the exported file system.  A client of 32 bits makes one word of it, and
 * if that is 0 its C library takes the entry for one that has been removed: so of a device only
 * what is different is in it.
 */
uint64_t file_number(const struct statx *s)
{
	const struct statx *own = &exported->stat;

	return s->stx_ino ^ (uint64_t)(s->stx_dev_minor ^ own->stx_dev_minor) << 44 ^
		(uint64_t)(s->stx_dev_major ^ own->stx_dev_major) << 56;
}

/* Takes the descriptor over, or its errno.  No root: it is one itself. */
static int fid_new(long fd, struct fid *root, struct fid **made)
{
	int error = fd == -1 ? errno : ENOMEM;
	struct fid *fid = fd == -1 ? NULL : calloc(1, sizeof *fid);

	if (fid)
		error = file_stat((int)fd, "", &fid->stat);
	if (error) {
		free(fid);
		close((int)fd);
		return error;
	}
	fid->refs = 1;
	fid->fd = (int)fd;
	fid->open = -1;
	snprintf(fid->path, sizeof fid->path, "/proc/self/fd/%d", fid->fd);
	fid->root = root ? fid_get(root) : fid;
	*made = fid;
	return 0;
}

int file_again(struct fid *fid, struct fid **made)
{
	return fid_new(fcntl(fid->fd, F_DUPFD_CLOEXEC, 0), fid->root, made);
}

int file_export(const char *path)
{
	char target[2];
	int error = fid_new(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), NULL, &exported);

	return !error && readlink(exported->path, target, sizeof target) == -1 ? errno : error;
}

/* ---- walking ------------------------------------------------------------ */

bool file_special(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

int file_bad_name(const char *name)
{
	if (!*name || strchr(name, '/'))
		return ENOENT;
	return file_special(name) ? EEXIST : 0;
}

/* Where the path of something goes on behind its root's; null and ENOENT: it is somewhere else. */
static char *below(const struct fid *fid, char path[PATH_MAX])
{
	char top[PATH_MAX];
	long n = call(SYS_readlinkat, AT_FDCWD, fid->root->path, top, PATH_MAX);
	long m = n == -1 ? -1 : call(SYS_readlinkat, AT_FDCWD, fid->path, path, PATH_MAX - 1);

	if (m == -1)
		return NULL;
	path[m] = 0;
	if (n == 1)
		n = 0;			/* of "/" */
	errno = ENOENT;
	return m >= n && !memcmp(path, top, n) && (path[n] == '/' || !path[n]) ? path + n : NULL;
}

int file_walk(struct fid *from, const char *name, struct fid **to)
{
	const bool up = !strcmp(name, "..");
	char path[PATH_MAX];

	if (up && file_same(from->root, &from->stat))
		return file_again(from, to);
	if (!up && file_bad_name(name))
		return ENOENT;
	int error = fid_new(call(SYS_openat, from->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC |
			     (up ? O_DIRECTORY : 0), 0), from->root, to);
	if (!error && up && !below(*to, path)) {
		error = errno;
		fid_put(*to);
	}
	return error;
}

/* A path's names are walked like a client's own.  The path is used up. */
static int walk_path(struct fid *from, char *path, struct fid **to)
{
	struct fid *fid = fid_get(from), *next = NULL;
	char *name;
	int error = 0;

	while (!error && (name = strsep(&path, "/"))) {
		if (!*name || !strcmp(name, "."))
			continue;
		error = file_walk(fid, name, &next);
		fid_put(fid);
		fid = next;
	}
	*to = fid;
	return error;
}

int file_attach(const char *name, struct user *user, struct fid **root)
{
	char path[PATH_MAX];
	struct fid *fid;
	int error = walk_path(exported, strcpy(path, name), &fid);

	if (error)
		return error;
	if (S_ISDIR(fid->stat.stx_mode) || S_ISREG(fid->stat.stx_mode))
		error = fid_new(fcntl(fid->fd, F_DUPFD_CLOEXEC, 0), NULL, root);
	else
		error = ENOTDIR;
	if (!error)
		(*root)->user = user;
	fid_put(fid);
	return error;
}

/*
 * Somebody may rename it, or a directory on the way, at any moment.  What is found is
 * looked at before it is used; who renames it after that has renamed first.
 */
int file_locate(const struct fid *fid, struct fid **dir, char path[PATH_MAX], char **name)
{
	struct statx found;
	char *start;
	int error, tries = 0;

	if (file_same(fid->root, &fid->stat) || file_same(exported, &fid->stat))
		return EBUSY;
	do {
		start = below(fid, path);
		if (!start)
			return errno;
		*name = strrchr(start, '/');
		if (!*name)
			return ENOENT;
		*(*name)++ = 0;
		error = walk_path(fid->root, start, dir);
		if (error)
			continue;
		error = file_stat((*dir)->fd, *name, &found);
		if (!error && file_same(fid, &found))
			return 0;
		fid_put(*dir);
	} while ((!error || error == ENOENT) && ++tries < 16);
	return error ? error : ENOENT;
}

/* ---- open files --------------------------------------------------------- */

static void opened(struct fid *fid, int fd)
{
	fid->open = fd;
	fid->seekable = lseek(fd, 0, SEEK_CUR) != -1 || errno != ESPIPE;
}

int file_reopen(const struct fid *fid, int flags)
{
	long fd = -1;

	/* not even the time of access is to change, where that can be had */
	if (file_read_only)
		fd = call(SYS_openat, AT_FDCWD, fid->path, flags | OPEN | O_NOATIME, 0);
	if (fd == -1 && (!file_read_only || errno == EPERM))
		fd = call(SYS_openat, AT_FDCWD, fid->path, flags | OPEN, 0);
	return (int)fd;
}

int file_open(struct fid *fid, int flags)
{
	const mode_t mode = fid->stat.stx_mode;

	if (S_ISLNK(mode))
		return ELOOP;
	/* on a mount that is read-only FIFOs, devices and sockets can be written all the same */
	if (file_read_only && (S_ISREG(mode) || S_ISDIR(mode)) &&
	    ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC))
		return EROFS;
	int fd = file_reopen(fid, flags & ~(O_CREAT | O_EXCL));
	if (fd == -1)
		return errno;
	request_settle();
	opened(fid, fd);
	return 0;
}

int file_create(struct fid *dir, const char *name, int flags, mode_t mode, struct fid **made)
{
	char proc[32];
	int error = file_bad_name(name), fd, path;

	if (error)
		return error;
	if (file_read_only) {		/* what is there can be opened, and only that */
		error = file_walk(dir, name, made);
		if (error)
			return error == ENOENT ? EROFS : error;
		return flags & O_EXCL ? EEXIST : file_open(*made, flags);
	}
	fd = (int)call(SYS_openat, dir->fd, name, flags | O_CREAT | O_NOFOLLOW | OPEN, mode & 07777);
	if (fd == -1)
		return errno;
	request_settle();
	/* the file is there: where no descriptor is to be had any more, one must do */
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	path = (int)call(SYS_openat, AT_FDCWD, proc, O_PATH | O_CLOEXEC, 0);
	error = fid_new(path == -1 ? fd : path, dir->root, made);
	if (!error)
		opened(*made, fd);
	else if (path != -1)
		close(fd);
	return error;
}
