/* SPDX-License-Identifier: MIT */
/*
 * lock.c - locks of parts of files.
 *
 * The kernel's locks belong to a process, and this is one process for many owners;
 * or to an open file description, and a client's process may lock one file by two fids.
 * So each owner has, for each file in which it has locks, a description of its own, and
 * each fid by which it asked for them a descriptor of that: the last one that is closed
 * takes the locks along.  An owner never meets itself, others do, and so do processes of
 * this machine.  A wait that is interrupted has taken no lock: the kernel tries anew when
 * it wakes up, and doesn't when it has been interrupted.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "file.h"

#define LOCKS_MOST	4096		/* of one connection, over all its files */

struct lock {
	struct lock *next;
	const struct file *by;
	struct lock_owner owner;
	struct statx file;
	int fd;
	char client[];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;	/* of what follows */
static struct lock *buckets[256];

static struct lock **bucket(const struct node *node)
{
	return &buckets[node->stat.stx_ino % 256];
}

/* An owner's in a file; by this open file, if that is given. */
static struct lock *find(const struct node *node, const struct lock_owner *o,
			 const struct file *by)
{
	struct lock *l = *bucket(node);

	while (l && ((by && l->by != by) || !node_same(node, &l->file) ||
		     l->owner.connection != o->connection ||
		     l->owner.process != o->process || strcmp(l->client, o->client)))
		l = l->next;
	return l;
}

/*
 * For both kinds of lock, where the file's mode allows it; as the fid has it, if not.
 * Only regular files are opened for more than the fid was: a FIFO would see a writer.
 */
static int describe(const struct file *file, const struct node *node)
{
	const int mode = fcntl(file->fd, F_GETFL) & O_ACCMODE;
	long fd;

	if (!S_ISREG(node->stat.stx_mode))
		return fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
	fd = call(SYS_openat, AT_FDCWD, node->path, O_RDWR | O_CLOEXEC, 0);
	if (fd == -1 && errno != SAFE_ERESTARTSYS)
		fd = call(SYS_openat, AT_FDCWD, node->path, mode | O_CLOEXEC, 0);
	return fd != -1 || errno == SAFE_ERESTARTSYS ? (int)fd :
		fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
}

/* With the mutex.  A description that the owner has already is used instead of this one. */
static int insert(struct file *by, const struct node *node, const struct lock_owner *owner,
		  int fd)
{
	struct lock *l = find(node, owner, NULL);

	if (l && dup3(l->fd, fd, O_CLOEXEC) == -1)
		return errno;
	if (*owner->connection >= LOCKS_MOST)
		return ENOLCK;
	l = malloc(sizeof *l + strlen(owner->client) + 1);
	if (!l)
		return ENOMEM;
	*l = (struct lock){ *bucket(node), by, *owner, node->stat, fd };
	l->owner.client = strcpy(l->client, owner->client);
	*bucket(node) = l;
	by->locked = true;
	++*owner->connection;
	return 0;
}

/* The owner's descriptor in the file, made when it isn't there. */
static int get(struct file *by, const struct node *node, const struct lock_owner *owner, int *fd)
{
	const struct lock *l;
	int error;

	pthread_mutex_lock(&mutex);
	l = find(node, owner, by);
	*fd = l ? l->fd : -1;
	pthread_mutex_unlock(&mutex);
	if (l)
		return 0;
	*fd = describe(by, node);
	if (*fd == -1)
		return errno;
	pthread_mutex_lock(&mutex);
	error = insert(by, node, owner, *fd);
	pthread_mutex_unlock(&mutex);
	if (error)
		close(*fd);
	return error;
}

static int control(int fd, int command, struct flock64 *range)
{
#ifdef SYS_fcntl64
	return attempt(SYS_fcntl64, fd, command, range);
#else
	return attempt(SYS_fcntl, fd, command, range);
#endif
}

int lock_set(struct file *by, const struct node *node, const struct lock_owner *owner,
	     struct flock64 *range, bool wait)
{
	int fd, error = get(by, node, owner, &fd);

	if (!error)
		error = control(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, range);
	return error == EACCES ? EAGAIN : error;
}

/* Is this what the kernel tells of?  Then it is not in the way of whoever has it. */
static bool has(const struct lock *l, const struct flock64 *found)
{
	struct flock64 f = *found;

	f.l_type = F_WRLCK;
	f.l_pid = 0;
	return !fcntl(l->fd, F_OFD_GETLK, &f) &&
		(f.l_type == F_UNLCK || f.l_start != found->l_start ||
		 f.l_len != found->l_len);
}

int lock_test(struct file *by, const struct node *node, struct lock_owner *owner,
	      struct flock64 *range, char *client, size_t room)
{
	const struct lock *l;
	int fd, error = get(by, node, owner, &fd);

	if (!error)
		error = control(fd, F_OFD_GETLK, range);
	if (error || range->l_type == F_UNLCK)
		return error;
	gethostname(client, room);	/* for a process of this machine */
	owner->process = range->l_pid;
	if (range->l_pid != -1)
		return 0;
	pthread_mutex_lock(&mutex);
	for (l = *bucket(node); l && !(node_same(node, &l->file) && has(l, range));)
		l = l->next;
	owner->process = l ? l->owner.process : 0;
	if (l)
		snprintf(client, room, "%s", l->client);
	pthread_mutex_unlock(&mutex);
	return 0;
}

void lock_drop(const struct file *by, const struct node *node)
{
	struct lock **link = bucket(node), *l;

	pthread_mutex_lock(&mutex);
	while ((l = *link))
		if (l->by == by) {
			*link = l->next;
			--*l->owner.connection;
			close(l->fd);
			free(l);
		} else
			link = &l->next;
	pthread_mutex_unlock(&mutex);
}
