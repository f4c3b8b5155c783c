/* SPDX-License-Identifier: MIT */
/*
 * broker.c - what is asked, what is decided, what is done: a call after the other.
 *
 * Each has three steps.  What is asked is read from the program's memory once (fetch) and
 * never again.  It is resolved to objects, held by descriptors, and it is decided whether
 * these are below a path that is allowed (resolve_allows).  Then the call is made on
 * these same objects: by /proc/self/fd, or as one name in a directory that is held, which is
 * never followed if it is a link.  So what was decided is what is done, whatever has become of
 * the path meanwhile.
 *
 * Errors come as they would outside: what is not there is ENOENT, also where
 * nothing is allowed, as metadata is free.
 *
 * The one exception is what goes on in the kernel with the program's own arguments (go_on).  It is
 * for calls whose arguments are numbers in registers.  No descriptor with O_PATH can be injected:
 * open() and openat() have that flag in a register, and the filter lets them pass, as such a
 * descriptor gives metadata, and a place from where to ask the broker again.  openat2() has it in
 * memory, where it can be another one by the time that the kernel reads it: it does not exist then.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/net.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <utime.h>

#include "sandbox.h"

#ifndef SYS_fchmodat2
# define SYS_fchmodat2	(SYS_openat2 + 15)
#endif

#define R	MAY_READ
#define W	MAY_WRITE
#define NOFOLLOW AT_SYMLINK_NOFOLLOW
#define RESULT(call)	((call) == -1 ? -errno : 0)
#define NOTHING	{ .object = -1, .parent = -1, .own = -1 }

static uint64_t word(const struct request *r, enum place place)
{
	const int i = r->operation->at[place];

	return i < 0 ? 0 : r->notif.data.args[i];
}

static int flags_of(const struct request *r)
{
	return (int)word(r, FLAGS) | r->operation->flags;
}

static int dirfd_of(const struct request *r, enum place place)
{
	return r->operation->at[place] < 0 ? AT_FDCWD : (int)word(r, place);
}

/* ---- what is asked ----------------------------------------------------------- */

static ssize_t peek(const struct request *r, uint64_t from, void *to, size_t size)
{
	const struct iovec local = { to, size }, remote = { (void *)(uintptr_t)from, size };

	return process_vm_readv(r->tid, &local, 1, &remote, 1, 0);
}

static int fetch(struct request *r, uint64_t from, void *to, size_t size)
{
	if (size && peek(r, from, to, size) != (ssize_t)size)
		return -EFAULT;
	return request_valid(r) ? 0 : -ESRCH;
}

static int put(const struct request *r, uint64_t to, const void *from, size_t size)
{
	const struct iovec local = { (void *)(uintptr_t)from, size };
	const struct iovec remote = { (void *)(uintptr_t)to, size };

	return process_vm_writev(r->tid, &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -EFAULT;
}

/* A page, or less, at a time: nothing need be there behind the string. */
static int fetch_string(struct request *r, uint64_t from, char *to, size_t size)
{
	ssize_t got;

	for (; size; from += (uint64_t)got, to += got, size -= (size_t)got) {
		const size_t page = 4096 - (size_t)(from % 4096);
		got = peek(r, from, to, page < size ? page : size);
		if (got <= 0)
			return -EFAULT;
		if (memchr(to, 0, (size_t)got))
			return request_valid(r) ? 0 : -ESRCH;
	}
	return -ENAMETOOLONG;
}

/* No path at all, but a descriptor: of the calls that have both utimensat() and its kin know that. */
static bool fd_only(const struct request *r)
{
	const char what = r->operation->what;

	return r->operation->at[PATH0] < 0 || ((what == 'T' || what == 'V') && !word(r, PATH0) &&
					       dirfd_of(r, DIR0) != AT_FDCWD);
}

static int fetch_paths(struct request *r)
{
	static const enum place paths[] = { PATH0, PATH1 }, dirs[] = { DIR0, DIR1 };

	for (int i = 0; i < 2; i++) {
		const uint64_t from = word(r, paths[i]);
		const bool has = r->operation->at[paths[i]] >= 0;
		int error = 0;
		if (has && (i || !fd_only(r)))
			error = fetch_string(r, from, r->path[i], PATH_MAX);
		if (error)
			return error;
		/* where a relative path begins */
		if (has && r->path[i][0] != '/')
			r->base[i] = base_of(r, dirfd_of(r, dirs[i]));
	}
	return 0;
}

/* ---- what is decided --------------------------------------------------------- */

static char *quote(char *p, const char *s)
{
	*p++ = '"';
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			p += sprintf(p, "\\%c", *s);
		else if (*s == '\n' || *s == '\t')
			p += sprintf(p, "\\%c", *s == '\n' ? 'n' : 't');
		else if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
			p += sprintf(p, "\\%03o", (unsigned int)(unsigned char)*s);
		else
			*p++ = *s;
	*p++ = '"';
	*p = 0;
	return p;
}

static void say(const struct request *r, const char *more, const char *verdict)
{
	char line[2 * 4 * PATH_MAX + 512], *p = line;
	const struct operation *o = r->operation;

	if (!sandbox_verbose)
		return;
	/* mkdirat is a mkdir, on machines that have only that, too */
	const char *at = o && strlen(o->name) > 5 ? strstr(o->name + 4, "at") : NULL;
	p += o ? sprintf(p, "%.*s", at ? (int)(at - o->name) : (int)strlen(o->name), o->name) :
	     sprintf(p, "call %d", r->notif.data.nr);
	for (int i = 0; o && i < 2; i++)
		if (o->at[i ? PATH1 : PATH0] >= 0)
			p = quote(p + sprintf(p, " "), r->path[i]);
	if (more)
		p += sprintf(p, " %s", more);
	p += sprintf(p, ": %s\n", verdict);
	log_line(line, (size_t)(p - line));
}

static bool decide(struct request *r, const struct found *f, int fd, int rights, const char *more)
{
	const bool yes = resolve_allows(fd, rights, fd == f->object ? f->own : -1);

	say(r, more, yes ? "allowed" : "denied");
	return yes;
}

static long refuse(struct request *r)
{
	say(r, NULL, "refused");
	return -EPERM;
}

/* ---- opening ----------------------------------------------------------------- */

/* A worker has a mask of its own. */
static void take_umask(const struct request *r)
{
	const long long mask = task_status(r->tid, "Umask:", 8);

	umask(mask < 0 ? 077 : (mode_t)mask);
}

static void flags_text(int flags, char *p)
{
	static const struct { int flag; const char *name; } names[] = {
#define F(flag)	{ flag, #flag }
		F(O_TMPFILE), F(O_CREAT), F(O_EXCL), F(O_NOCTTY), F(O_TRUNC), F(O_APPEND),
		F(O_NONBLOCK), F(O_SYNC), F(O_DSYNC), F(O_DIRECTORY), F(O_NOFOLLOW), F(O_CLOEXEC),
		F(O_DIRECT), F(O_NOATIME), F(O_ASYNC), F(O_PATH),
	};
	static const char *const modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };

	p += sprintf(p, "%s", modes[flags & O_ACCMODE]);
	flags &= ~O_ACCMODE;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if ((flags & names[i].flag) == names[i].flag) {
			p += sprintf(p, "|%s", names[i].name);
			flags &= ~names[i].flag;
		}
	if (flags)
		sprintf(p, "|0x%x", (unsigned int)flags);
}

/*
 * Can it get one more descriptor?  What makes a file, or cuts it, has to know before.  Most tables
 * have never been as large as the limit.
 */
static bool has_room(const struct request *r)
{
	struct rlimit limit;
	char name[64];
	struct dirent *e;
	rlim_t n = 0;
	DIR *d;

	if (prlimit(r->tid, RLIMIT_NOFILE, NULL, &limit) ||
	    task_status(r->tid, "FDSize:", 10) < (long long)limit.rlim_cur)
		return true;
	snprintf(name, sizeof name, "/proc/%d/fd", (int)r->tid);
	d = opendir(name);
	while (d && (e = readdir(d)))
		n += *e->d_name != '.' && strtoull(e->d_name, NULL, 10) < limit.rlim_cur;
	if (d)
		closedir(d);
	return n < limit.rlim_cur;
}

/* Which opens does the kernel interrupt?  Those of FIFOs, and of terminal lines. */
static bool may_wait(const struct stat *st, int flags)
{
	const unsigned int driver = S_ISCHR(st->st_mode) ? major(st->st_rdev) : 0;

	return !(flags & O_NONBLOCK) &&
	       (S_ISFIFO(st->st_mode) ? (flags & O_ACCMODE) != O_RDWR :
		driver && driver != 1 && driver != 5 && (driver < 136 || driver > 143));
}

#define TMPFILE	(O_TMPFILE & ~O_DIRECTORY)

struct how {
	uint64_t flags, mode, resolve;	/* as for openat2() */
	bool strict;			/* about flags, as that is; else, as openat() */
};
#define SIZEOF_HOW	offsetof(struct how, strict)

static long do_the_open(struct request *r, int at, const char *name, const struct how *how)
{
	r->fd = (int)(how->strict ? safe_syscall(SYS_openat2, at, name, how, SIZEOF_HOW) :
		      safe_syscall(SYS_openat, at, name, (int)how->flags, (long)how->mode));
	return r->fd == -1 ? -errno : 0;
}

static long open_object(struct request *r, struct found *f, struct how how, int rights,
			const char *text)
{
	const int flags = (int)how.flags;
	struct stat st;
	char link[32];
	long result;

	if (fstat(f->object, &st))
		return -errno;
	/* what can't be whoever asks */
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (S_ISDIR(st.st_mode) && !(flags & TMPFILE) && ((flags & O_CREAT) || (rights & W)))
		return -EISDIR;
	if ((flags & O_DIRECTORY) && !S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (!decide(r, f, f->object, rights, text))
		return -EACCES;
	/* the terminal that is "mine" would be the supervisor's */
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 0) && getsid(r->tid) != getsid(0))
		return -ENXIO;
	if (f->parent >= 0)
		close(f->parent);
	f->parent = -1;
	result = may_wait(&st, flags) ? request_may_wait(r) : 0;
	if (result)
		return result;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		take_umask(r);
	if (flags & O_CREAT)
		how.mode = 0;
	how.resolve = 0;
	how.flags &= ~(uint64_t)(O_CREAT | O_NOFOLLOW);
	how.flags |= O_CLOEXEC | O_NOCTTY;
	snprintf(link, sizeof link, "/proc/self/fd/%d", f->object);
	if (!S_ISREG(st.st_mode) || (flags & O_NONBLOCK))
		return do_the_open(r, AT_FDCWD, link, &how);
	/* it waits only for somebody's lease, and can say so, which breaks that: then it may wait */
	how.flags |= O_NONBLOCK;
	result = do_the_open(r, AT_FDCWD, link, &how);
	how.flags &= ~(uint64_t)O_NONBLOCK;
	if (!result)
		fcntl(r->fd, F_SETFL, fcntl(r->fd, F_GETFL) & ~O_NONBLOCK);
	else if (result == -EWOULDBLOCK) {
		result = request_may_wait(r);
		if (!result)
			result = do_the_open(r, AT_FDCWD, link, &how);
	}
	return result;
}

/* By the rules of openat2(), of which only the kernel knows what they mean. */
static int as_told(const struct request *r, const char *path, int flags, uint64_t resolve)
{
	const struct how how = { (uint64_t)(O_PATH | O_CLOEXEC | flags), 0, resolve, true };

	errno = -r->base[0];
	return r->base[0] < -1 ? -1 :
	       (int)safe_syscall(SYS_openat2, r->base[0] == -1 ? AT_FDCWD : r->base[0], path, &how,
				 SIZEOF_HOW);
}

static long parent_as_told(const struct request *r, const char *from, uint64_t rules,
			   struct found *f)
{
	char path[PATH_MAX];

	strcpy(path, from);
	f->parent = split(path, f->name) ? as_told(r, path, O_DIRECTORY, rules) : -1;
	return f->parent == -1 ? -errno : 0;
}

static long find_as_told(const struct request *r, uint64_t rules, bool creates, bool follow,
			 struct found *f)
{
	char path[2 * PATH_MAX], name[NAME_MAX + 2], text[PATH_MAX];
	ssize_t n;

	strcpy(path, r->path[0]);
	for (int links = 0; links < 40 && strlen(path) < PATH_MAX; links++) {
		forget(f);
		f->object = as_told(r, path, follow ? 0 : O_NOFOLLOW, rules);
		const int error = f->object == -1 ? errno : 0;

		if (!creates || (error != ENOENT && error != ENOTDIR))
			return -error;
		/* perhaps a link to what is to be created, or can't be for a slash at its end */
		if (parent_as_told(r, path, rules, f))
			return -errno;
		n = follow ? readlinkat(f->parent, f->name, text, sizeof text - 1) : -1;
		if (n < 0)
			return -error;
		text[n] = 0;
		if (*text == '/' || !split(path, name))
			*path = 0;
		strcat(path, text);
	}
	return -ELOOP;
}

static bool is_dots(const char *name)
{
	const size_t n = strspn(name, ".");

	return n && n < 3 && (!name[n] || name[n] == '/');
}

static long open_(struct request *r, struct how how)
{
	const int flags = (int)how.flags, mode = flags & O_ACCMODE;
	const bool creates = flags & O_CREAT, temporary = (flags & O_TMPFILE) == O_TMPFILE;
	const bool follow = !(flags & O_NOFOLLOW) && !(creates && (flags & O_EXCL));
	const int rights = (mode == O_RDONLY ? R : mode == O_WRONLY ? W : R | W) |
			   ((flags & O_TRUNC) || temporary ? W : 0);
	const char *path = r->path[0];
	struct found f = NOTHING;
	char text[256];
	long result;

	/* which flags go together is the kernel's affair: without a path it says that only */
	if (how.strict || ((flags & O_CREAT) && (flags & O_DIRECTORY)) || (flags & TMPFILE)) {
		do_the_open(r, AT_FDCWD, "", &how);
		if (errno != ENOENT)
			return -errno;
	}
	if ((creates || temporary || (flags & O_TRUNC)) && !has_room(r))
		return -EMFILE;
	flags_text(flags, text);
	r->fd_flags = flags & O_CLOEXEC;
	if (creates && path[strspn(path, "/")] && path[strlen(path) - 1] == '/') {
		/* nothing with a slash at its end is created, or opened so */
		result = how.resolve ? parent_as_told(r, path, how.resolve, &f) :
			 resolve(r, 0, PARENT, &f);
		forget(&f);
		return result ? result : -EISDIR;
	}
	result = how.resolve ? find_as_told(r, how.resolve, creates, follow, &f) :
		 resolve(r, 0, (follow ? FOLLOW : 0) | (creates ? PARENT : 0), &f);
	/* the same at the end of a link's text */
	if (creates && *f.name && *f.name != '/' && f.name[strlen(f.name) - 1] == '/' && !is_dots(f.name) &&
	    (!result || result == -ENOENT || result == -ENOTDIR))
		result = -EISDIR;
	if (!result && f.object == -1) {
		/* only looked for where it is: is there something? */
		f.object = (int)safe_syscall(SYS_openat, f.parent, f.name,
					     O_PATH | O_NOFOLLOW | O_CLOEXEC);
		result = f.object == -1 ? -errno : 0;
	}
	if (!result)
		result = open_object(r, &f, how, rights, text);
	else if (result == -ENOENT && creates && f.parent != -1) {
		result = decide(r, &f, f.parent, W, text) ? 0 : -EACCES;
		take_umask(r);
		how.flags |= O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
		how.resolve = 0;
		if (!result)
			result = do_the_open(r, f.parent, f.name, &how);
	} else if (f.parent != -1)
		decide(r, &f, f.parent, rights, text);
	forget(&f);
	return result;
}

static long do_open(struct request *r)
{
	const int flags = flags_of(r);
	const bool has_mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
	const uint64_t mode = has_mode ? word(r, MODE) & 07777 : 0;

	return open_(r, (struct how){ (uint32_t)flags, mode, 0, false });
}

static long do_openat2(struct request *r)
{
	const uint64_t size = word(r, MODE);
	char asked[4096] = "";
	struct how how;
	long error;

	if (size < SIZEOF_HOW || size > sizeof asked)
		return size < SIZEOF_HOW ? -EINVAL : -E2BIG;
	error = fetch(r, word(r, FLAGS), asked, size);
	for (size_t i = SIZEOF_HOW; !error && i < size; i++)
		error = asked[i] ? -E2BIG : 0;
	if (error)
		return error;
	memcpy(&how, asked, SIZEOF_HOW);
	how.strict = true;
	if (how.flags & O_PATH)
		return -ENOSYS;
	if (how.flags >> 32)
		return -EINVAL;
	if ((how.resolve & 0x10) && r->base[0] == -1)	/* RESOLVE_IN_ROOT: of all paths */
		r->base[0] = base_of(r, dirfd_of(r, DIR0));
	return open_(r, how);
}

/* ---- names ------------------------------------------------------------------- */

/* Denied; but what is there, or is not, is told first, as metadata is free. */
static long denied(const struct found *f, bool creates)
{
	struct stat st;
	const bool there = !fstatat(f->parent, f->name, &st, AT_SYMLINK_NOFOLLOW);

	return there && creates ? -EEXIST : !there && !creates ? -ENOENT : -EACCES;
}

static long change_names(const struct request *r, const struct found *a, const struct found *b)
{
	const mode_t mode = (mode_t)word(r, MODE);
	char link[32];

	switch (r->operation->what) {
	case 'u':
		return safe_syscall(SYS_unlinkat, a->parent, a->name, flags_of(r));
	case 'd':
		return safe_syscall(SYS_mkdirat, a->parent, a->name, mode);
	case 'n':
		return safe_syscall(SYS_mknodat, a->parent, a->name, mode, 0);
	case 's':
		return safe_syscall(SYS_symlinkat, r->path[0], b->parent, b->name);
	case 'l':
		snprintf(link, sizeof link, "/proc/self/fd/%d", a->object);
		return safe_syscall(SYS_linkat, AT_FDCWD, link, b->parent, b->name,
				    AT_SYMLINK_FOLLOW);
	default:
		return safe_syscall(SYS_renameat2, a->parent, a->name, b->parent, b->name,
				    flags_of(r));
	}
}

/* A name goes, comes, or both.  What gets a second one must be below -w under the first, too. */
static long do_names(struct request *r)
{
	const char what = r->operation->what;
	const bool links = what == 'l', two = links || what == 's' || what == 'r';
	const mode_t mode = (mode_t)word(r, MODE);
	const int flags = flags_of(r);
	struct found a = NOTHING, b = NOTHING, *to = two ? &b : &a;
	long result = 0;

	if (what == 'n' && (S_ISCHR(mode) || S_ISBLK(mode)))
		return refuse(r);	/* a device is a way to what it is the device of */
	if (links && (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	if (links && (flags & AT_EMPTY_PATH) && !*r->path[0])
		result = resolve_fd(r, &a);
	else if (what != 's')
		result = resolve(r, 0, !links ? PARENT : flags & AT_SYMLINK_FOLLOW ? FOLLOW : 0,
				 &a);
	if (!result && two)
		result = resolve(r, 1, PARENT, &b);
	/* "/", "." and ".." are nobody's to remove, or to put something in the place of */
	if (!result && (what == 'u' || what == 'r') && (is_dots(a.name) || (two && is_dots(b.name))))
		result = what == 'r' ? -EBUSY : !(flags & AT_REMOVEDIR) ? -EISDIR :
			 !r->path[0][strspn(r->path[0], "/")] ? -EBUSY :
			 !strncmp(a.name, "..", 2) ? -ENOTEMPTY : -EINVAL;
	if (!result) {
		const int of = links ? a.object : a.parent;
		/* a name is to read it by, too, which who has it for writing only may not */
		const int own = a.own == (R | W) ? a.own : -1;
		const bool yes = (what == 's' || resolve_allows(of, W, links ? own : a.own)) &&
				 (!two || resolve_allows(b.parent, W, -1));
		say(r, NULL, yes ? "allowed" : "denied");
		if (what == 'd' || what == 'n')
			take_umask(r);
		result = yes ? RESULT(change_names(r, &a, &b)) :
			 denied(what == 'r' ? &a : to, what != 'u' && what != 'r');
	}
	forget(&a);
	forget(&b);
	return result;
}

/* ---- what a name means ------------------------------------------------------- */

/* Pipes and sockets, which are whoever's who has them. */
static bool is_nameless(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && (fs.f_type == 0x50495045 || fs.f_type == 0x534f434b);
}

/* An object of which something is changed: by a path or, where there is none, by a descriptor. */
static long find_object(struct request *r, int flags, struct found *f)
{
	const bool only = fd_only(r), by_fd = only || (!*r->path[0] && (flags & AT_EMPTY_PATH));
	long result = by_fd ? resolve_fd(r, f) : resolve(r, 0, flags & NOFOLLOW ? 0 : FOLLOW, f);

	/* by a descriptor for O_PATH alone nothing can be changed */
	if (!result && only && f->own < 0)
		result = -EBADF;
	else if (!result && !(only && is_nameless(f->object)) &&
		 !decide(r, f, f->object, W, NULL))
		result = -EACCES;
	return result;
}

/* Times as older calls have them: whole seconds, or with their millionths. */
static long fetch_former(struct request *r, struct timespec *times)
{
	const bool whole = r->operation->what == 'U';
	struct timeval values[2];
	struct utimbuf buffer;
	const long error = whole ? fetch(r, word(r, MODE), &buffer, sizeof buffer) :
			   fetch(r, word(r, MODE), values, sizeof values);

	for (int i = 0; i < 2 && !error; i++) {
		times[i].tv_sec = whole ? i ? buffer.modtime : buffer.actime : values[i].tv_sec;
		times[i].tv_nsec = whole ? 0 : values[i].tv_usec * 1000;
		if (!whole && (values[i].tv_usec < 0 || values[i].tv_usec > 999999))
			return -EINVAL;
	}
	return error;
}

static long do_object(struct request *r)
{
	const __u64 *args = r->notif.data.args;
	const char what = r->operation->what;
	const int flags = flags_of(r), at = r->operation->at[MODE];
	safe_syscall_word again[SAFE_SYSCALL_ARGUMENTS] = { 0 };
	char link[32], name[256] = "", *value = NULL;
	struct timespec times[2];
	struct found f = NOTHING;
	long result = 0;

	if (what == 'T' && word(r, MODE)) {
		result = fetch(r, word(r, MODE), times, sizeof times);
		if (!result && times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
			return 0;
	}
	if ((what == 'V' || what == 'U') && word(r, MODE))
		result = fetch_former(r, times);
	if ((flags & ~(NOFOLLOW | AT_EMPTY_PATH)) || (flags && fd_only(r)))
		return -EINVAL;
	if (what == 'x' || what == 'X')
		result = fetch_string(r, args[1], name, sizeof name);
	if (what == 'x' && !result)
		result = args[3] > 65536 ? -E2BIG : (value = malloc(args[3] + 1)) ?
			 fetch(r, args[2], value, args[3]) : -ENOMEM;
	if (!result)
		result = find_object(r, flags, &f);
	if (!result) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", f.object);
		switch (what) {
		case 'm':
			result = safe_syscall(SYS_fchmodat, AT_FDCWD, link, (mode_t)word(r, MODE));
			break;
		case 'o':
			result = safe_syscall(SYS_fchownat, f.object, "", (uid_t)word(r, MODE),
					      (gid_t)args[at + 1], AT_EMPTY_PATH);
			break;
		case 't':
			/* 64 bits may be in two registers: they go as they came */
			for (int i = 1; i < 6; i++)
				again[i] = (safe_syscall_word)args[i];
			again[0] = (safe_syscall_word)(uintptr_t)link;
			result = safe_syscallv(r->notif.data.nr, again);
			break;
		case 'T':
		case 'U':
		case 'V':
			result = safe_syscall(what == 'T' ? r->notif.data.nr : SYS_utimensat, f.object, "",
					      word(r, MODE) ? times : NULL, AT_EMPTY_PATH);
			break;
		case 'x':
			result = safe_syscall(SYS_setxattr, link, name, value, (size_t)args[3],
					      (int)args[4]);
			break;
		default:
			result = safe_syscall(SYS_removexattr, link, name);
		}
		result = RESULT(result);
	}
	forget(&f);
	free(value);
	return result == -ENAMETOOLONG && *name ? -ERANGE : result;
}

/* ---- sockets ----------------------------------------------------------------- */

static long join(struct request *r, int fd, const void *address, size_t size)
{
	const bool binds = r->operation->what == 'b';
	const long error = binds ? 0 : request_may_wait(r);

	return error ? error : RESULT(safe_syscall(binds ? SYS_bind : SYS_connect, fd, address, size));
}

/* By the directory that is held; the name that others see is not the one that was asked for. */
static long join_unix(struct request *r, int fd, const struct sockaddr_un *un, size_t size)
{
	const size_t before = offsetof(struct sockaddr_un, sun_path);
	const bool binds = r->operation->what == 'b';
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char text[4 * sizeof un->sun_path + 8];
	struct found f = NOTHING;
	long result;

	if (size > sizeof *un || size < before || (size == before && !binds))
		return -EINVAL;
	if (size == before || !*un->sun_path)	/* an abstract name, or any such */
		return refuse(r);
	snprintf(r->path[0], PATH_MAX, "%.*s", (int)(size - before), un->sun_path);
	if (*r->path[0] != '/')
		r->base[0] = base_of(r, AT_FDCWD);
	result = resolve(r, 0, binds ? PARENT : FOLLOW, &f);
	if (!result) {
		const bool yes = resolve_allows(binds ? f.parent : f.object, W, -1);
		quote(text, r->path[0]);
		say(r, text, yes ? "allowed" : "denied");
		if (!yes)
			result = binds && denied(&f, true) == -EEXIST ? -EADDRINUSE : -EACCES;
		else if (binds) {
			take_umask(r);
			memcpy(to.sun_path, f.name, sizeof to.sun_path);	/* fits: see size */
			result = RESULT(fchdir(f.parent));
		} else
			sprintf(to.sun_path, "/proc/self/fd/%d", f.object);
	}
	if (!result)
		result = join(r, fd, &to, sizeof to);
	if (binds && chdir("/"))
		result = -errno;
	forget(&f);
	return result;
}

static long join_tcp(struct request *r, int fd, const struct sockaddr_storage *address, size_t size)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	const bool is4 = address->ss_family == AF_INET;
	const bool yes = r->operation->what == 'b' || policy_peer(address);
	char host[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 16];
	int protocol = 0;
	socklen_t length = sizeof protocol;

	if (size < (is4 ? sizeof *v4 : 24))
		return -EINVAL;
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length);
	if (protocol != IPPROTO_TCP)
		return refuse(r);
	inet_ntop(address->ss_family, is4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, host,
		  sizeof host);
	sprintf(text, is4 ? "%s:%u" : "[%s]:%u", host, ntohs(is4 ? v4->sin_port : v6->sin6_port));
	say(r, text, yes ? "allowed" : "denied");
	return yes ? join(r, fd, address, size) : -EACCES;
}

static long join_by(struct request *r, const __u64 *args)
{
	const uint32_t size = (uint32_t)args[2];
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	long result = size > sizeof address || size < sizeof address.ss_family ? -EINVAL :
		      fetch(r, args[1], &address, size);
	const int fd = result ? -1 : take_fd(r->tid, (int)args[0]);

	if (fd < 0)
		return result ? result : fd;
	if (!request_valid(r)) {
		close(fd);
		return -ESRCH;
	}
	if (address.ss_family == AF_UNIX)
		result = join_unix(r, fd, (const void *)&address, size);
	else if (address.ss_family == AF_INET || address.ss_family == AF_INET6)
		result = join_tcp(r, fd, &address, size);
	else
		result = address.ss_family == AF_UNSPEC ? join(r, fd, &address, size) : refuse(r);
	close(fd);
	return result;
}

static long do_address(struct request *r)
{
	return join_by(r, r->notif.data.args);
}

/* Where all calls of sockets are one, arguments in memory.  Only these come here. */
static long do_socketcall(struct request *r)
{
	const __u64 *args = r->notif.data.args;
	const bool pair = (int)args[0] == SYS_SOCKETPAIR;
	unsigned long a[4] = { 0 };
	int fds[2] = { -1, -1 };
	long result = fetch(r, args[1], a, (pair ? 4 : 3) * sizeof *a);
	const bool local = (int)a[0] == AF_UNIX, stream = (a[1] & 0xf) == SOCK_STREAM;

	if (result)
		return result;
	if ((int)args[0] == SYS_BIND || (int)args[0] == SYS_CONNECT) {
		const char *name = (int)args[0] == SYS_BIND ? "bind" : "connect";
		for (r->operation = operations; strcmp(r->operation->name, name); r->operation++)
			;
		return join_by(r, (__u64[]){ a[0], a[1], a[2] });
	}
	if (!(local && (stream || (a[1] & 0xf) == SOCK_SEQPACKET)) &&
	    !(((int)a[0] == AF_INET || (int)a[0] == AF_INET6) && stream && !pair &&
	      ((int)a[2] == 0 || (int)a[2] == IPPROTO_TCP)))
		return refuse(r);
	r->fd_flags = (uint32_t)a[1] & SOCK_CLOEXEC;
	if (!pair) {
		r->fd = socket((int)a[0], (int)a[1], (int)a[2]);
		return RESULT(r->fd);
	}
	if (socketpair((int)a[0], (int)a[1], (int)a[2], fds))
		return -errno;
	for (int i = 0; i < 2; i++) {
		struct seccomp_notif_addfd add = { r->notif.id, 0, (uint32_t)fds[i], 0,
						   r->fd_flags };
		const int fd = ioctl(sandbox_listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
		result = fd == -1 ? -errno : result;
		close(fds[i]);
		fds[i] = fd;
	}
	return result ? result : put(r, a[3], fds, sizeof fds);
}

/* ---- others ------------------------------------------------------------------ */

/* Another process: 0 if it is inside. */
static long reach(struct request *r, pid_t pid)
{
	if (pid > 0 && !task_inside(pid))
		return kill(pid, 0) && errno == ESRCH ? -ESRCH : refuse(r);
	return pid < 0 ? -EINVAL : 0;
}

/* One that dies at this very moment has been reached. */
static long not_dead(long result)
{
	return result == -ESRCH ? 0 : result;
}

/*
 * What a process does to itself goes on in the kernel: it can't be somebody else before the call
 * is over.  For others the same call is made from here, where no pid is given away meanwhile, and
 * where a pointer was, the copy that has been read stands.
 */
static long act(struct request *r, pid_t pid, int pointer, const void *copy)
{
	safe_syscall_word again[SAFE_SYSCALL_ARGUMENTS] = { 0 };

	for (int i = 0; i < 6; i++)
		again[i] = i == pointer ? (safe_syscall_word)(uintptr_t)copy :
			   (safe_syscall_word)r->notif.data.args[i];
	return task_call(pid, r->tgid, r->notif.data.nr, again);
}

/* Who gets the signals of a descriptor. */
static long do_fd_owner(struct request *r)
{
	const __u64 *args = r->notif.data.args;
	const bool extended = (int)args[1] == F_SETOWN_EX;
	struct { int type; pid_t pid; } owner = { F_OWNER_PID, (int)args[2] };
	long result = extended ? fetch(r, args[2], &owner, sizeof owner) : 0;
	int fd;

	r->go_on = !extended && !owner.pid;
	if (result || r->go_on)
		return result;
	/* in a group there may be others; and so may be in what is no number of anybody */
	if (owner.pid < 0 || (owner.type != F_OWNER_PID && owner.type != F_OWNER_TID))
		return refuse(r);
	result = reach(r, owner.pid);
	fd = result ? -1 : take_fd(r->tid, (int)args[0]);
	if (fd < 0)
		return result ? result : fd;
	result = task_call(owner.pid ? owner.pid : r->tgid, 0, r->notif.data.nr, (safe_syscall_word[]){
			   fd, (int)args[1], extended ? (safe_syscall_word)(uintptr_t)&owner :
			   owner.pid, 0, 0, 0 });
	close(fd);
	return result;
}

static long do_kill(struct request *r)
{
	const pid_t pid = (pid_t)r->notif.data.args[0];
	const int signum = (int)r->notif.data.args[1];
	long result;

	if (pid <= 0) {
		result = task_signal_group(pid == -1 ? -1 : pid ? -pid : getpgid(r->tgid),
					   pid == -1 ? r->tgid : 0, signum, r->tgid);
		return result == -ESRCH && pid < -1 && !kill(pid, 0) ? refuse(r) : result;
	}
	result = reach(r, pid);
	r->go_on = pid == r->tgid;
	return result || r->go_on ? result : not_dead(act(r, pid, -1, NULL));
}

/* What only the kernel may say comes from nobody else. */
static long fetch_info(struct request *r, uint64_t from, int signum, siginfo_t *info)
{
	const int error = fetch(r, from, info, sizeof *info);

	info->si_signo = signum;
	return error ? error : info->si_code >= 0 || info->si_code == SI_TKILL ? -EPERM : 0;
}

/* tkill, tgkill, and what carries something: rt_sigqueueinfo, rt_tgsigqueueinfo */
static long do_queue(struct request *r)
{
	const __u64 *args = r->notif.data.args;
	const bool carries = r->operation->what == 'i', group = r->operation->flags;
	const pid_t pid = (pid_t)word(r, MODE);
	long result = pid ? reach(r, pid) : -EINVAL;
	siginfo_t info;

	r->go_on = pid == r->tgid || pid == r->tid || (group && (pid_t)args[0] == r->tgid);
	if (r->go_on)
		return 0;
	if (!result && carries)
		result = fetch_info(r, args[group + 2], (int)args[group + 1], &info);
	return result ? result : not_dead(act(r, pid, carries ? group + 2 : -1, &info));
}

/* The same by a pidfd, of which the filter can't say whose it is: of the one copy that was got. */
static long do_pidfd_signal(struct request *r)
{
	const __u64 *args = r->notif.data.args;
	const int signum = (int)args[1], fd = take_fd(r->tid, (int)args[0]);
	char name[64];
	siginfo_t info;
	long result;
	pid_t pid;

	if (fd < 0)
		return fd;
	snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
	pid = (pid_t)number_in(name, "Pid:", 10);
	result = pid <= 0 ? RESULT(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0)) : 0;
	if (!result)	/* a thread or its process; a group may have others */
		result = (uint32_t)args[3] > 2 ? -EINVAL : pid <= 0 ? refuse(r) : reach(r, pid);
	if (!result && args[2])
		result = fetch_info(r, args[2], signum, &info);
	if (!result)
		result = not_dead(task_call(pid, r->tgid, SYS_pidfd_send_signal,
				  (safe_syscall_word[]){ fd, signum, args[2] ?
				  (safe_syscall_word)(uintptr_t)&info : 0, (int)args[3], 0, 0 }));
	close(fd);
	return result;
}

static long do_pidfd(struct request *r)
{
	const pid_t pid = (pid_t)r->notif.data.args[0];
	const long result = reach(r, pid);

	if (result)
		return result;
	r->fd = (int)act(r, pid, -1, NULL);
	r->fd_flags = O_CLOEXEC;
	return r->fd < 0 ? r->fd : 0;
}

/* What is set for a process by its number, and what is read for that: MODE and FLAGS have them. */
static long do_set(struct request *r)
{
	const __u64 *args = r->notif.data.args;
	const char what = r->operation->what;
	const pid_t pid = (pid_t)word(r, MODE);
	const int pointer = r->operation->at[FLAGS];
	uint64_t former[2];
	union { uint32_t size; char bytes[1024]; } in = { .size = 0 };
	size_t size = what == 'p' ? sizeof former : what == 'm' ? args[1] : sizeof(int);
	long result;

	/* groups and users: with -v, what the filter refuses comes here */
	if (what == 'w' && (int)args[0] != r->operation->flags)
		return refuse(r);
	result = reach(r, pid);
	/* none can come where there is no Landlock; so this, which many want, is done already */
	if (!result && !sandbox_landlock &&
	    (what == 'c' || (what == 'p' && args[2] && (int)args[1] == RLIMIT_CORE)))
		return 0;
	r->go_on = !result && (!pid || pid == r->tid || pid == r->tgid);
	if (result || r->go_on)
		return result;
	if (what == 'r')		/* where the locks of somebody else are */
		return refuse(r);
	if (what == 'm' && size > sizeof in)
		size = sizeof in;
	if (what == 'a' && args[1]) {
		result = fetch(r, args[1], &in, sizeof in.size);
		size = in.size ? in.size : 48;
		if (!result && size > sizeof in)
			result = -E2BIG;
	}
	if (!result && pointer >= 0 && args[pointer])
		result = fetch(r, args[pointer], &in, size);
	if (result)
		return result;
	if (what == 'a')		/* as it was, whatever it is now */
		in.size = (uint32_t)size;
	if (what != 'p')
		return act(r, pid, pointer, args[pointer < 0 ? 0 : pointer] ? &in : NULL);
	result = task_call(pid, 0, r->notif.data.nr, (safe_syscall_word[]){ pid, (int)args[1],
			   args[2] ? (safe_syscall_word)(uintptr_t)&in : 0,
			   args[3] ? (safe_syscall_word)(uintptr_t)former : 0, 0, 0 });
	return result || !args[3] ? result : put(r, args[3], former, sizeof former);
}

/*
 * A wait that fails with EINTR whatever comes.  It goes on in the kernel; but request.c has to know
 * how long, for when it is interrupted by what is ignored and made again.
 */
static long do_wait(struct request *r)
{
	const bool whole = r->operation->what == 'm';
	struct timespec time = { 0, 0 }, now;

	if (whole)
		time.tv_nsec = (int)word(r, MODE);
	else if (fetch(r, word(r, MODE), &time, sizeof time))
		time.tv_sec = -1;	/* the kernel says what is wrong */
	r->go_on = true;
	if (time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_sec < 1000000000) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		r->until = (now.tv_sec + time.tv_sec) * 1000000000LL + now.tv_nsec +
			   time.tv_nsec * (whole ? 1000000LL : 1);
	}
	return request_may_wait(r);
}

/*
 * Without Landlock, or for its line.  The path can be changed before the kernel reads it, so this
 * is for the honest ones, who get their EACCES.  request.c looks at what has become of it.
 */
static long do_exec(struct request *r)
{
	const int flags = (int)word(r, FLAGS);
	struct found f = NOTHING;
	long result = (flags & AT_EMPTY_PATH) && !*r->path[0] ? resolve_fd(r, &f) :
		      resolve(r, 0, flags & NOFOLLOW ? 0 : FOLLOW, &f);

	if (!result)
		r->go_on = decide(r, &f, f.object, R, NULL);
	forget(&f);
	return result ? result : -EACCES;
}

/* ---- the table --------------------------------------------------------------- */

#define _	(-1)			/* it has no such argument */
#define ROW(what, flags, verdict, run, ...) run, { __VA_ARGS__ }, flags, what, verdict
#define OPEN(name, flags, verdict, run, ...) \
	{ "open", TEXT(SYS_##name), ROW(0, flags, verdict, run, __VA_ARGS__) }
#define NAMES(name, what, flags, ...) \
	{ CALL(name), ROW(what, flags, BROKER, do_names, __VA_ARGS__) }
#define OBJECT(name, what, flags, ...) \
	{ CALL(name), ROW(what, flags, BROKER, do_object, __VA_ARGS__) }
#define PLAIN(name, what, verdict, run, flags, mode) \
	{ CALL(name), ROW(what, flags, verdict, run, _, _, _, mode, _, _) }
#define SET(name, what, flags, pid, in) \
	{ CALL(name), ROW(what, flags, LOOK, do_set, _, _, in, pid, _, _) }

#define WAIT(name, what, error, time) PLAIN(name, what, LOOK, do_wait, error, time)

const struct operation operations[] = {
	/* where DIR0, PATH0, FLAGS, MODE, DIR1, PATH1 are; where there are no flags: these */
	OPEN(open, 0, OPEN1, do_open, _, 0, 1, 2, _, _),
	OPEN(openat, 0, OPEN2, do_open, 0, 1, 2, 3, _, _),
	OPEN(creat, O_CREAT | O_WRONLY | O_TRUNC, BROKER, do_open, _, 0, _, 1, _, _),
	OPEN(openat2, 0, BROKER, do_openat2, 0, 1, 2, 3, _, _),
	NAMES(unlink, 'u', 0, _, 0, _, _, _, _), NAMES(unlinkat, 'u', 0, 0, 1, 2, _, _, _),
	NAMES(rmdir, 'u', AT_REMOVEDIR, _, 0, _, _, _, _),
	NAMES(mkdir, 'd', 0, _, 0, _, 1, _, _), NAMES(mkdirat, 'd', 0, 0, 1, _, 2, _, _),
	NAMES(mknod, 'n', 0, _, 0, _, 1, _, _), NAMES(mknodat, 'n', 0, 0, 1, _, 2, _, _),
	NAMES(symlink, 's', 0, _, 0, _, _, _, 1), NAMES(symlinkat, 's', 0, _, 0, _, _, 1, 2),
	NAMES(link, 'l', 0, _, 0, _, _, _, 1), NAMES(linkat, 'l', 0, 0, 1, 4, _, 2, 3),
	NAMES(rename, 'r', 0, _, 0, _, _, _, 1), NAMES(renameat, 'r', 0, 0, 1, _, _, 2, 3),
	NAMES(renameat2, 'r', 0, 0, 1, 4, _, 2, 3),
	OBJECT(chmod, 'm', 0, _, 0, _, 1, _, _), OBJECT(fchmodat, 'm', 0, 0, 1, _, 2, _, _),
	OBJECT(fchmod, 'm', 0, 0, _, _, 1, _, _), OBJECT(chown, 'o', 0, _, 0, _, 1, _, _),
	OBJECT(lchown, 'o', NOFOLLOW, _, 0, _, 1, _, _), OBJECT(fchownat, 'o', 0, 0, 1, 4, 2, _, _),
	OBJECT(fchown, 'o', 0, 0, _, _, 1, _, _), OBJECT(truncate, 't', 0, _, 0, _, _, _, _),
	OBJECT(truncate64, 't', 0, _, 0, _, _, _, _), OBJECT(utimensat, 'T', 0, 0, 1, 3, 2, _, _),
	OBJECT(utimes, 'V', 0, _, 0, _, 1, _, _), OBJECT(futimesat, 'V', 0, 0, 1, _, 2, _, _),
	OBJECT(utime, 'U', 0, _, 0, _, 1, _, _), OBJECT(fchmodat2, 'm', 0, 0, 1, 3, 2, _, _),
	OBJECT(setxattr, 'x', 0, _, 0, _, _, _, _),
	OBJECT(lsetxattr, 'x', NOFOLLOW, _, 0, _, _, _, _),
	OBJECT(fsetxattr, 'x', 0, 0, _, _, _, _, _), OBJECT(removexattr, 'X', 0, _, 0, _, _, _, _),
	OBJECT(lremovexattr, 'X', NOFOLLOW, _, 0, _, _, _, _),
	OBJECT(fremovexattr, 'X', 0, 0, _, _, _, _, _),
	{ CALL(execve), ROW(0, 0, EXEC, do_exec, _, 0, _, _, _, _) },
	{ CALL(execveat), ROW(0, 0, EXEC, do_exec, 0, 1, 4, _, _, _) },
	/* without paths; the last column is where the number of a process is, if that is needed */
	PLAIN(connect, 0, BROKER, do_address, 0, _), PLAIN(bind, 'b', BROKER, do_address, 0, _),
	PLAIN(socketcall, 0, LOOK, do_socketcall, 0, _),
	PLAIN(fcntl, 0, LOOK, do_fd_owner, 0, _), PLAIN(fcntl64, 0, LOOK, do_fd_owner, 0, _),
	PLAIN(kill, 0, BROKER, do_kill, 0, _), PLAIN(tkill, 0, BROKER, do_queue, 0, 0),
	PLAIN(tgkill, 0, BROKER, do_queue, 1, 1),
	PLAIN(rt_sigqueueinfo, 'i', BROKER, do_queue, 0, 0),
	PLAIN(rt_tgsigqueueinfo, 'i', BROKER, do_queue, 1, 1),
	PLAIN(pidfd_open, 0, BROKER, do_pidfd, 0, 0),
	PLAIN(pidfd_send_signal, 0, BROKER, do_pidfd_signal, 0, _),
	SET(prlimit64, 'p', 0, 0, 2), SET(setrlimit, 'c', 0, _, _), SET(sched_setparam, 0, 0, 0, 1),
	SET(sched_setscheduler, 0, 0, 0, 2), SET(sched_setaffinity, 'm', 0, 0, 2),
	SET(sched_setattr, 'a', 0, 0, 1), SET(setpriority, 'w', 0 /* PRIO_PROCESS */, 1, _),
	SET(ioprio_set, 'w', 1, 1, _), SET(get_robust_list, 'r', 0, 0, _),
	WAIT(epoll_wait, 'm', 0, 3), WAIT(epoll_pwait, 'm', 0, 3), WAIT(epoll_pwait2, 's', 0, 3),
	WAIT(rt_sigtimedwait, 's', EAGAIN, 2), WAIT(io_getevents, 's', 0, 4),
	{ NULL, NULL, ROW(0, 0, BROKER, NULL, 0) }
};

/* By number: the filter lets no other ones come here, but for those that are refused. */
const struct operation *broker_find(const struct seccomp_data *data)
{
	static unsigned char index[1 << 13];	/* of numbers, without what ABIs add to them */
	const int mask = sizeof index - 1;
	unsigned char found;

	if (!data)
		for (unsigned char i = 0; operations[i].name; i++)
			if (call_number(operations[i].number) >= 0)
				index[call_number(operations[i].number) & mask] = i + 1;
	found = data && data->arch == sandbox_arch ? index[data->nr & mask] : 0;
	return found && call_number(operations[found - 1].number) == data->nr ?
	       &operations[found - 1] : NULL;
}

long broker(struct request *r)
{
	long result;

	if (!r->operation)
		return refuse(r);
	result = fetch_paths(r);
	if (!result)
		result = r->operation->run(r);
	for (int i = 0; i < 2; i++)
		if (r->base[i] >= 0)
			close(r->base[i]);
	return result;
}
