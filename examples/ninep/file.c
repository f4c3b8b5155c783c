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
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "file.h"

#define OPEN	(O_CLOEXEC | O_NOCTTY)

static struct node *exported;
bool file_read_only;

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
	if (root == node)
		free(node->user);
	else
		node_put(root);
	free(node);
}

int file_stat(int dir, const char *name, struct statx *stat)
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
		error = file_stat(fd, "", &node->stat);
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

int file_export(int fd)
{
	char target[2];
	int error = node_new(fd, NULL, &exported);

	if (!error && readlink(exported->path, target, sizeof target) == -1)
		error = errno;
	return error;
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
	return file_bad_name(name) ? ENOENT : node_new(look(from->fd, name, 0), from->root, to);
}

/* A path's names are walked like a client's own.  The path is used up. */
static int walk_path(struct node *from, char *path, struct node **to)
{
	struct node *node = node_get(from), *next = NULL;
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

int file_attach(const char *name, struct user *user, struct node **root)
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
	if (!error)
		(*root)->user = user;
	node_put(node);
	return error;
}

/*
 * Somebody may rename it, or a directory on the way, at any moment.  What is found is
 * looked at before it is used; who renames it after that has renamed first.
 */
int file_locate(const struct node *node, struct node **dir, char path[PATH_MAX], char **name)
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
		error = file_stat((*dir)->fd, *name, &found);
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
	return file_read_only && (S_ISREG(node->stat.stx_mode) || S_ISDIR(node->stat.stx_mode)) &&
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

int file_reopen(const struct node *node, int flags)
{
	long fd = -1;

	/* not even the time of access is to change, where that can be had */
	if (file_read_only)
		fd = call(SYS_openat, AT_FDCWD, node->path, flags | OPEN | O_NOATIME, 0);
	if (fd == -1 && (!file_read_only || errno == EPERM))
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
	fd = file_reopen(node, flags & ~(O_CREAT | O_EXCL));
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

	if (file_bad_name(name))
		return file_bad_name(name);
	if (file_read_only)
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

void file_close(struct file *file, const struct node *node)
{
	if (file->locked)
		lock_drop(file, node);
	if (file->fd != -1 && file->own)
		close(file->fd);
}
