/* SPDX-License-Identifier: MIT */
/*
 * lock.c - locks of parts of files.
 *
 * The kernel's locks belong to a process, and this is one process for many owners;
 * or to an open file description, and a client's process may lock one file by two fids.
 * So each owner has, for each file in which it has locks, a description of its own.  An
 * owner never meets itself, others do, and so do processes of this machine.  A wait
 * that is interrupted has taken no lock: the kernel tries anew when it wakes up, and
 * doesn't when it has been interrupted.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "lock.h"

#define OWNERS_MOST	4096		/* of one connection, over all its files */

/* The locks of an owner in a file. */
struct lock {
	struct lock *next;
	unsigned int refs;
	struct lock_owner owner;
	struct statx file;
	int fd;
	char client[];
};

struct lock_hold {
	struct lock_hold *next;
	struct lock *lock;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;	/* of what follows, and holds */
static struct lock *buckets[256];

static struct lock **bucket(const struct node *node)
{
	return &buckets[node->stat.stx_ino % 256];
}

static bool is_of(const struct lock *l, const struct node *node, const struct lock_owner *o)
{
	return node_same(node, &l->file) && l->owner.connection == o->connection &&
		l->owner.process == o->process && !strcmp(l->client, o->client);
}

static struct lock *find(const struct node *node, const struct lock_owner *owner)
{
	struct lock *l = *bucket(node);

	while (l && !is_of(l, node, owner))
		l = l->next;
	return l;
}

static unsigned int owners(const void *connection)
{
	unsigned int count = 0, i;
	const struct lock *l;

	for (i = 0; i < 256; i++)
		for (l = buckets[i]; l; l = l->next)
			count += l->owner.connection == connection;
	return count;
}

/*
 * For both kinds of lock, where the file's mode allows it; as the fid has it, if not.
 * Only regular files are opened for more than the fid was: a FIFO would see a writer.
 */
static int describe(const struct node *node, const struct file *file)
{
	const int mode = fcntl(file->fd, F_GETFL) & (O_ACCMODE | O_DIRECTORY);
	char path[FILE_PROC];
	long fd = -1;

	file_proc(path, node->fd);
	if (S_ISREG(node->stat.stx_mode)) {
		fd = call(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
		if (fd == -1 && errno != SAFE_ERESTARTSYS)
			fd = call(SYS_openat, AT_FDCWD, path, mode | O_CLOEXEC, 0);
		if (fd != -1 || errno == SAFE_ERESTARTSYS)
			return (int)fd;
	}
	return fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
}

static struct lock *lock_new(const struct node *node, const struct lock_owner *owner, int fd)
{
	struct lock *l = calloc(1, sizeof *l + strlen(owner->client) + 1);

	if (!l)
		return NULL;
	strcpy(l->client, owner->client);
	l->owner = *owner;
	l->owner.client = l->client;
	l->file = node->stat;
	l->fd = fd;
	return l;
}

static bool held(const struct lock_hold *hold, const struct lock *l)
{
	while (hold && hold->lock != l)
		hold = hold->next;
	return hold;
}

static int hold_it(struct lock_hold **holds, struct lock *l)
{
	struct lock_hold *hold;

	if (held(*holds, l))
		return 0;
	hold = malloc(sizeof *hold);
	if (!hold)
		return ENOMEM;
	hold->lock = l;
	hold->next = *holds;
	*holds = hold;
	l->refs++;
	return 0;
}

/* With the mutex.  Takes the descriptor over. */
static int insert(struct lock_hold **holds, const struct node *node,
		  const struct lock_owner *owner, int fd, struct lock **lock)
{
	struct lock *l = find(node, owner);
	int error = 0;

	if (l)				/* a request beside this one was faster */
		close(fd);
	else if (owners(owner->connection) >= OWNERS_MOST)
		error = ENOLCK;
	else if (!(l = lock_new(node, owner, fd)))
		error = ENOMEM;
	else
		l->next = *bucket(node), *bucket(node) = l;
	if (error)
		close(fd);
	*lock = l;
	return error ? error : hold_it(holds, l);
}

/* The owner's lock in the file, made when it isn't there and it is to be. */
static int get(struct lock_hold **holds, const struct node *node, const struct file *file,
	       const struct lock_owner *owner, bool make, struct lock **lock)
{
	int fd, error;

	pthread_mutex_lock(&mutex);
	*lock = find(node, owner);
	error = *lock ? hold_it(holds, *lock) : 0;
	pthread_mutex_unlock(&mutex);
	if (*lock || !make)
		return error;
	fd = describe(node, file);
	if (fd == -1)
		return errno;
	pthread_mutex_lock(&mutex);
	error = insert(holds, node, owner, fd, lock);
	pthread_mutex_unlock(&mutex);
	return error;
}

static long control(int fd, int command, struct flock64 *range)
{
#ifdef SYS_fcntl64
	return call(SYS_fcntl64, fd, command, range);
#else
	return call(SYS_fcntl, fd, command, range);
#endif
}

static int to_flock(const struct lock_range *range, struct flock64 *f)
{
	memset(f, 0, sizeof *f);
	f->l_type = range->type;
	f->l_whence = SEEK_SET;
	f->l_start = (off64_t)range->start;
	f->l_len = (off64_t)range->length;
	return range->start > INT64_MAX || range->length > INT64_MAX ? EINVAL : 0;
}

int lock_set(struct lock_hold **holds, const struct node *node, const struct file *file,
	     const struct lock_owner *owner, const struct lock_range *range, bool wait)
{
	struct flock64 f;
	struct lock *l;
	int error = to_flock(range, &f);

	if (!error)
		error = get(holds, node, file, owner, range->type != F_UNLCK, &l);
	if (error || !l)
		return error;
	if (control(l->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &f) == -1)
		return errno == EACCES ? EAGAIN : errno;
	return 0;
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

static void tell_owner(const struct node *node, const struct lock *mine,
		       const struct flock64 *found, uint32_t *process, char *client,
		       size_t room)
{
	const struct lock *l;

	*process = (uint32_t)found->l_pid;
	gethostname(client, room - 1);
	client[room - 1] = 0;
	if (found->l_pid != -1)
		return;			/* a process of this machine */
	pthread_mutex_lock(&mutex);
	for (l = *bucket(node); l; l = l->next)
		if (l != mine && node_same(node, &l->file) && has(l, found))
			break;
	*process = l ? l->owner.process : 0;
	if (l)
		snprintf(client, room, "%s", l->client);
	pthread_mutex_unlock(&mutex);
}

int lock_test(struct lock_hold **holds, const struct node *node, const struct file *file,
	      const struct lock_owner *owner, struct lock_range *range, uint32_t *process,
	      char *client, size_t room)
{
	struct flock64 f;
	struct lock *l;
	int error = to_flock(range, &f);

	if (!error)
		error = get(holds, node, file, owner, true, &l);
	if (error)
		return error;
	f.l_pid = 0;
	if (control(l->fd, F_OFD_GETLK, &f) == -1)
		return errno;
	range->type = f.l_type;
	if (f.l_type == F_UNLCK)
		return 0;
	range->start = (uint64_t)f.l_start;
	range->length = (uint64_t)f.l_len;
	tell_owner(node, l, &f, process, client, room);
	return 0;
}

static void lock_free(struct lock *lock)
{
	struct lock **link = &buckets[lock->file.stx_ino % 256];

	while (*link != lock)
		link = &(*link)->next;
	*link = lock->next;
	close(lock->fd);
	free(lock);
}

void lock_drop(struct lock_hold *hold)
{
	struct lock_hold *next;

	for (; hold; hold = next) {
		next = hold->next;
		pthread_mutex_lock(&mutex);
		if (!--hold->lock->refs)
			lock_free(hold->lock);
		pthread_mutex_unlock(&mutex);
		free(hold);
	}
}
