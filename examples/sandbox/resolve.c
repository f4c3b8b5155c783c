/* SPDX-License-Identifier: MIT */
/*
 * resolve.c - a path becomes objects: descriptors that nothing can be put in the place of.
 *
 * Most paths have no links: openat2() resolves such a one in one call, or says that there is
 * a link.  Then it is done here, component by component, as the kernel would for the program
 * itself, for in two places it would find something else for the supervisor.  /proc/self is
 * another process, and the links below /proc/PID are no text: what they lead to has to be asked
 * for, and whether that process is inside.  Everything else is the same for both: no chroot and
 * no mount namespaces are to be had inside.
 *
 * It is not asked here what is allowed, but for processes that are outside.  Whatever the
 * program swaps meanwhile, the broker gets some object that was there, and decides on that.
 */
#include <sys/vfs.h>

#include "sandbox.h"

#define PROC_MAGIC	0x9fa0
#define LINKS_MOST	40

#ifndef RESOLVE_NO_SYMLINKS
# include <linux/openat2.h>
#endif

static int path_of(int fd, char *path)		/* PATH_MAX; its length */
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = 0;
	return (int)n;
}

static int openat_path(int at, const char *path, int flags, uint64_t how)
{
	struct open_how { uint64_t flags, mode, resolve; } open_how = {
		(uint64_t)(O_PATH | O_CLOEXEC | flags), 0, how
	};

	return (int)safe_syscall(SYS_openat2, at, path, &open_how, sizeof open_how);
}

/* The process whose directory in a procfs a path is in; 0: none's. */
static pid_t process_of(int fd, const char *path)
{
	const bool usual = !strncmp(path, "/proc/", 6);
	struct statfs fs;
	size_t n;

	if (fstatfs(fd, &fs) || fs.f_type != PROC_MAGIC)
		return 0;
	for (const char *p = path; p; p = strchr(p, '/')) {
		n = strspn(++p, "0123456789");
		if (n && (!p[n] || p[n] == '/') && (!usual || p == path + 6))
			return atoi(p);
	}
	return 0;
}

/*
 * Is it in the supervisor's mount namespace?  A path in another one, to where /proc/PID/root of
 * somebody outside leads, looks the same.  With Landlock such links can't be followed.
 */
static bool mounted_here(int fd)
{
	char info[64], line[8192];
	bool here = sandbox_landlock;
	long long id;
	FILE *f;

	if (here)
		return true;
	snprintf(info, sizeof info, "/proc/self/fdinfo/%d", fd);
	id = number_in(info, "mnt_id:", 10);
	f = fopen("/proc/self/mountinfo", "re");
	while (f && !here && fgets(line, sizeof line, f))
		here = id >= 0 && atoll(line) == id;
	if (f)
		fclose(f);
	return here;
}

bool resolve_allows(int fd, int rights, int own)
{
	char path[PATH_MAX];
	const int n = path_of(fd, path);
	const pid_t process = process_of(fd, path);

	return n > 0 && n < PATH_MAX - 1 && (!process || task_inside(process)) &&
	       ((policy_below(path, rights) && mounted_here(fd)) || (own >= 0 && (own & rights) == rights));
}

void forget(struct found *f)
{
	if (f->object >= 0)
		close(f->object);
	if (f->parent >= 0)
		close(f->parent);
	f->object = f->parent = -1;
}

int take_fd(pid_t tid, int number)
{
	/* a thread may have a table of its own; kernels before 6.9 know only its process's */
	int pidfd = (int)syscall(SYS_pidfd_open, tid, O_EXCL /* PIDFD_THREAD */), fd;

	if (pidfd == -1 && errno == EINVAL)
		pidfd = (int)syscall(SYS_pidfd_open, (pid_t)task_status(tid, "Tgid:", 10), 0);
	fd = pidfd == -1 ? -errno : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (fd == -1)
		fd = -errno;
	if (pidfd != -1)
		close(pidfd);
	return fd;
}

/*
 * The object of a descriptor, and what it may do with it: both are of the one copy that was got,
 * whatever else has its number now, or had it before.
 */
static int take_object(pid_t tid, int number, struct found *f)
{
	static const int rights[] = {
		[O_RDONLY] = MAY_READ, [O_WRONLY] = MAY_WRITE, [O_RDWR] = MAY_READ | MAY_WRITE,
		[O_ACCMODE] = 0
	};
	const int fd = take_fd(tid, number);
	int object, flags;
	char link[32];

	if (fd < 0)
		return fd;
	flags = fcntl(fd, F_GETFL);
	f->own = flags & O_PATH ? -1 : rights[flags & O_ACCMODE];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	object = openat_path(AT_FDCWD, link, 0, 0);
	if (object == -1)
		object = -errno;
	close(fd);
	return object;
}

int base_of(struct request *r, int dirfd)
{
	char name[64];
	int fd;

	snprintf(name, sizeof name, dirfd == AT_FDCWD ? "/proc/%d/cwd" : "/proc/%d/fd/%d",
		 (int)r->tid, dirfd);
	fd = openat_path(AT_FDCWD, name, 0, 0);
	if (fd == -1)
		return errno == ENOENT ? -EBADF : -errno;
	if (!request_valid(r)) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

int resolve_fd(struct request *r, struct found *f)
{
	const int number = (int)r->notif.data.args[r->operation->at[DIR0]];

	f->parent = f->own = -1;
	f->object = number == AT_FDCWD ? base_of(r, number) : take_object(r->tid, number, f);
	return f->object < 0 ? f->object : request_valid(r) ? 0 : -ESRCH;
}

/* The last component, with the slashes behind it, and what is before; false: there is none. */
bool split(char *path, char *name)
{
	char *end = path + strlen(path), *p = end;

	while (p > path && p[-1] == '/')
		p--;
	while (p > path && p[-1] != '/')
		p--;
	if (end - p > NAME_MAX + 1 && strcspn(p, "/") > NAME_MAX)
		return false;
	snprintf(name, NAME_MAX + 2, "%.*s%s", (int)strcspn(p, "/"), p,
		 p[strcspn(p, "/")] ? "/" : "");
	if (p == path)
		strcpy(path, "./");
	else
		*p = 0;
	return true;
}

/* The next component is copied out; what is behind it. */
static const char *component(const char *path, char *name)
{
	const size_t n = strcspn(path, "/");

	if (n > NAME_MAX)
		return NULL;
	memcpy(name, path, n);
	name[n] = 0;
	return path + n;
}

/*
 * A link in procfs: a descriptor of what it leads to, or -1 and in text what it is for
 * the program, or -errno.
 */
static int follow_proc(struct request *r, int at, const char *name, char *text,
		       struct found *f)
{
	char parent[PATH_MAX];
	const char *last;
	pid_t process, tid;
	int fd;

	path_of(at, parent);
	process = process_of(at, parent);
	if (!process) {
		if (!strcmp(name, "self"))
			sprintf(text, "%d", (int)r->tgid);
		else if (!strcmp(name, "thread-self"))
			sprintf(text, "%d/task/%d", (int)r->tgid, (int)r->tid);
		return -1;
	}
	if (!task_inside(process))
		return -EACCES;
	last = strrchr(parent, '/');
	if (strcmp(last, "/fd")) {
		fd = openat_path(at, name, 0, 0);
		return fd == -1 ? -errno : fd;
	}
	/* "/proc/PID/fd", or that of a thread; it must be inside still, not another one's number */
	while (last > parent && last[-1] != '/')
		last--;
	tid = atoi(last);
	fd = take_object(tid, atoi(name), f);
	if (fd >= 0 && !task_inside(tid)) {
		close(fd);
		fd = -EACCES;
	}
	return fd;
}

/* As the kernel's own walk; where each step may block, and be interrupted. */
static int walk(struct request *r, int base, const char *from, int how, struct found *f)
{
	char path[PATH_MAX], text[PATH_MAX], name[NAME_MAX + 1];
	int at = -1, next = base, links = 0, error;
	struct statfs fs;
	const char *rest;
	struct stat st;

	snprintf(path, sizeof path, "%s", from);
	for (;;) {
		/* at a component; or at a slash, when the path is absolute */
		if (*path == '/') {
			next = openat_path(AT_FDCWD, "/", 0, 0);
			if (at != -1)
				close(at);
			at = -1;
		}
		if (next < 0)
			return next == -1 ? -errno : next;
		if (at == -1)
			at = next;
		rest = path + strspn(path, "/");
		memmove(path, rest, strlen(rest) + 1);
		rest = component(path, name);
		error = -ENAMETOOLONG;
		if (!rest)
			break;
		const bool last = !rest[strspn(rest, "/")], slash = *rest;
		if (last) {
			f->parent = at;
			snprintf(f->name, sizeof f->name, "%s%s", *name ? name : ".",
				 slash ? "/" : "");
			if ((how & PARENT) && !(how & FOLLOW))
				return 0;
		}
		next = openat_path(at, *name ? name : ".", O_NOFOLLOW, 0);
		if (next == -1) {
			error = -errno;
			break;
		}
		if (fstat(next, &st))
			st.st_mode = 0;
		if (S_ISLNK(st.st_mode) && (!last || slash || (how & FOLLOW))) {
			error = (int)readlinkat(next, "", text, sizeof text - 1);
			text[error < 0 ? 0 : error] = 0;
			int target = -1;
			if (!fstatfs(next, &fs) && fs.f_type == PROC_MAGIC)
				target = follow_proc(r, at, name, text, f);
			close(next);
			next = target;
			if (target == -1) {
				f->own = -1;
				error = ++links > LINKS_MOST ? -ELOOP : error < 0 ? -errno :
					!*text ? -ENOENT :
					strlen(text) + strlen(rest) >= sizeof path ?
					-ENAMETOOLONG : 0;
				if (error)
					break;
				f->parent = -1;		/* it wasn't the last one */
				strcat(text, rest);
				strcpy(path, text);
				next = at;
				continue;
			}
			error = target;
			if (target < 0)
				break;
			fstat(next, &st);
		}
		if (last) {
			f->object = next;
			error = slash && !S_ISDIR(st.st_mode) ? -ENOTDIR : 0;
			break;
		}
		error = S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
		f->own = -1;
		close(at);
		at = next;
		if (error)
			break;
		memmove(path, rest, strlen(rest) + 1);
		rest = path + strspn(path, "/");
		memmove(path, rest, strlen(rest) + 1);
	}
	if (at != -1 && f->parent != at)
		close(at);
	return error;
}

int resolve(struct request *r, int which, int how, struct found *f)
{
	const char *path = r->path[which];
	char directory[PATH_MAX];
	const int base = *path == '/' ? AT_FDCWD : r->base[which];
	const bool parent = (how & PARENT) && !(how & FOLLOW);
	int fd;

	*f = (struct found){ .object = -1, .parent = -1, .own = -1 };
	if (!*path)
		return -ENOENT;
	if (base < 0 && base != AT_FDCWD)
		return base;
	strcpy(directory, path);
	if (parent && !split(directory, f->name))
		return -ENAMETOOLONG;
	if (parent && !*f->name)
		strcpy(f->name, ".");
	fd = openat_path(base, directory, parent ? O_DIRECTORY : how & FOLLOW ? 0 : O_NOFOLLOW,
			 RESOLVE_NO_SYMLINKS);
	if (fd != -1) {
		*(parent ? &f->parent : &f->object) = fd;
		return 0;
	}
	if (errno != ELOOP && !((how & PARENT) && errno == ENOENT && !parent))
		return -errno;
	return walk(r, base == AT_FDCWD ? -1 : fcntl(base, F_DUPFD_CLOEXEC, 0), path, how, f);
}
