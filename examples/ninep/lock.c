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
#include "server.h"

#define LOCKS_MOST	4096		/* of one connection, over all its files */
#define NAME_MOST	255		/* bytes in the name of a client's machine */
#define LOOKS_MOST	64		/* for whose a lock is: meanwhile others wait */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;	/* of what follows */
static struct lock {
	struct lock *next;
	const struct fid *by;
	struct lock_owner owner;
	struct statx file;
	int fd;
	char client[];
} *buckets[256];

static struct lock **bucket(const struct fid *fid)
{
	return &buckets[fid->stat.stx_ino % 256];
}

static bool is_of(const struct lock *l, const struct lock_owner *o)
{
	return l->owner.connection == o->connection && l->owner.process == o->process &&
		!strcmp(l->client, o->client);
}

/* An owner's in a file; by this fid, or by any. */
static struct lock *find(const struct fid *fid, const struct lock_owner *o, bool any)
{
	struct lock *l = *bucket(fid);

	while (l && ((l->by != fid && !any) || !file_same(fid, &l->file) || !is_of(l, o)))
		l = l->next;
	return l;
}

/*
 * For both kinds of lock, where the file's mode allows it; as the fid has it, if not.
 * Only regular files are opened for more than the fid was: a FIFO would see a writer.
 */
static int describe(const struct fid *fid)
{
	const int mode = fcntl(fid->open, F_GETFL) & O_ACCMODE;

	if (!S_ISREG(fid->stat.stx_mode))
		return fcntl(fid->open, F_DUPFD_CLOEXEC, 0);
	const int fd = file_reopen(fid, O_RDWR);
	return fd == -1 && errno != SAFE_ERESTARTSYS ? file_reopen(fid, mode) : fd;
}

/* With the mutex.  A description that the owner has already is used instead of this one. */
static int insert(struct fid *by, const struct lock_owner *owner, int fd)
{
	struct lock *l = find(by, owner, true);

	if (l && dup3(l->fd, fd, O_CLOEXEC) == -1)
		return errno;
	if (*owner->connection >= LOCKS_MOST || strlen(owner->client) > NAME_MOST)
		return ENOLCK;
	l = malloc(sizeof *l + strlen(owner->client) + 1);
	if (!l)
		return ENOMEM;
	*l = (struct lock){ *bucket(by), by, *owner, by->stat, fd };
	l->owner.client = strcpy(l->client, owner->client);
	*bucket(by) = l;
	by->locked = true;
	++*owner->connection;
	return 0;
}

/* The owner's descriptor in the file, made when it isn't there; or -1. */
static int get(struct fid *by, const struct lock_owner *owner)
{
	pthread_mutex_lock(&mutex);
	const struct lock *l = find(by, owner, false);
	int fd = l ? l->fd : -1;
	pthread_mutex_unlock(&mutex);
	if (l || (fd = describe(by)) == -1)
		return fd;
	pthread_mutex_lock(&mutex);
	int error = insert(by, owner, fd);
	pthread_mutex_unlock(&mutex);
	if (!error)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

/* Is the lock that F_OFD_GETLK has found one of this description's?  /proc lists those. */
static bool has(const struct lock *l, const struct flock64 *found)
{
	const long long start = found->l_start, last = start + found->l_len - 1;
	char line[256], range[64];
	bool it = false;

	snprintf(line, sizeof line, "/proc/self/fdinfo/%d", l->fd);
	snprintf(range, sizeof range, found->l_len ? " %lld %lld\n" : " %lld EOF\n", start, last);
	FILE *list = fopen(line, "re");
	while (list && !it && fgets(line, sizeof line, list))
		it = !strncmp(line, "lock:", 5) && strstr(line, range);
	if (list)
		fclose(list);
	return it;
}

/* Whose is it?  A process of this machine has a number, and an owner's description none. */
static void find_owner(const struct fid *fid, const struct flock64 *range,
		       struct lock_owner *owner, char client[PATH_MAX])
{
	const struct lock_owner asks = *owner;
	const struct lock *l = NULL;
	int looks = LOOKS_MOST;

	owner->process = range->l_pid == -1 ? 0 : range->l_pid;
	gethostname(client, PATH_MAX);
	pthread_mutex_lock(&mutex);
	if (range->l_pid == -1)
		for (l = *bucket(fid); l; l = l->next)
			if (file_same(fid, &l->file) && !is_of(l, &asks) &&
			    (!looks-- || has(l, range)))
				break;
	if (l && looks >= 0) {
		owner->process = l->owner.process;
		snprintf(client, PATH_MAX, "%s", l->client);
	}
	pthread_mutex_unlock(&mutex);
}

int lock_control(struct fid *by, int command, struct flock64 *range, struct lock_owner *owner,
		 char client[PATH_MAX])
{
#ifdef SYS_fcntl64
	const long number = SYS_fcntl64;
#else
	const long number = SYS_fcntl;
#endif
	int fd = get(by, owner), error = fd == -1 ? errno : attempt(number, fd, command, range);

	if (!error && command == F_OFD_GETLK && range->l_type != F_UNLCK)
		find_owner(by, range, owner, client);
	return error == EACCES ? EAGAIN : error;
}

void lock_drop(const struct fid *by)
{
	struct lock **link = bucket(by), *l;

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
