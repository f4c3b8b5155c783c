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
 * for calls whose arguments are numbers in registers; and, where there is Landlock, for openat2()
 * with O_PATH: no such descriptor can be injected.  Its flags are in memory and can be changed
 * after the decision, but then Landlock denies what is not below the same paths.  openat() with
 * O_PATH has its flags in a register: the filter lets it pass, as such a descriptor gives
 * metadata, and a place from where to ask the broker again.
 */
#include <linux/capability.h>
#include <linux/net.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include "sandbox.h"

#define R	MAY_READ
#define W	MAY_WRITE

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

/* As strncpy_from_user: a page at a time, as nothing need be there behind the string. */
static int fetch_string(struct request *r, uint64_t from, char *to, size_t size)
{
	const size_t page = 4096;	/* or a multiple of that */
	size_t have = 0;

	while (have < size) {
		size_t n = page - (size_t)((from + have) % page);
		ssize_t got;
		if (n > size - have)
			n = size - have;
		got = peek(r, from + have, to + have, n);
		if (got <= 0)
			return -EFAULT;
		if (memchr(to + have, 0, (size_t)got))
			return request_valid(r) ? 0 : -ESRCH;
		have += (size_t)got;
	}
	return -ENAMETOOLONG;
}

static long do_times(struct request *r);

static int fetch_paths(struct request *r)
{
	static const enum place paths[] = { PATH0, PATH1 }, dirs[] = { DIR0, DIR1 };

	for (int i = 0; i < 2; i++) {
		const uint64_t from = word(r, paths[i]);
		const bool has = r->operation->at[paths[i]] >= 0;
		int error = 0;
		if (has && (from || r->operation->run != do_times))
			error = fetch_string(r, from, r->path[i], PATH_MAX);
		if (error)
			return error;
		/* a descriptor alone, or where a relative path begins */
		if ((has && r->path[i][0] != '/') || (!has && !i && r->operation->at[DIR0] >= 0))
			r->base[i] = base_of(r, dirfd_of(r, dirs[i]));
	}
	return 0;
}

/* ---- what is decided ------------------------------------------------------------ */

static char *quote(char *p, const char *s)
{
	*p++ = '"';
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			p += sprintf(p, "\\%c", *s);
		else if (strchr("\n\t\r", *s))
			p += sprintf(p, "\\%c", *s == '\n' ? 'n' : *s == '\t' ? 't' : 'r');
		else if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
			p += sprintf(p, "\\%03o", (unsigned int)(unsigned char)*s);
		else
			*p++ = *s;
	*p++ = '"';
	*p = 0;
	return p;
}

/* One write, so that lines of several workers are not mixed. */
static void say(const struct request *r, const char *more, const char *verdict)
{
	char line[2 * 4 * PATH_MAX + 512], *p = line;
	const struct operation *o = r->operation;

	if (!sandbox_verbose)
		return;
	p += o ? sprintf(p, "%s", o->name) : sprintf(p, "call %d", r->notif.data.nr);
	for (int i = 0; o && i < 2; i++)
		if (o->at[i ? PATH1 : PATH0] >= 0) {
			*p++ = ' ';
			p = quote(p, r->path[i]);
		}
	if (more)
		p += sprintf(p, " %s", more);
	p += sprintf(p, ": %s\n", verdict);
	if (write(STDERR_FILENO, line, (size_t)(p - line)) == -1)
		sandbox_verbose = false;
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

/* ---- who does it ----------------------------------------------------------------- */

/*
 * The program is who the sandbox is, until it has changed that, which only a privileged one
 * can do.  From then on each request is made as the thread that asks: its fsuid, fsgid, groups
 * and capabilities.  These are the calling thread's own, made by the kernel's calls.
 */
static volatile bool changed;
static __thread bool acting;

static long status_number(const struct request *r, const char *key, int base, int column)
{
	char name[64], line[8192], *p;
	long value = -1;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/status", (int)r->tid);
	f = fopen(name, "re");
	while (f && value == -1 && fgets(line, sizeof line, f))
		if (!strncmp(line, key, strlen(key))) {
			p = line + strlen(key);
			for (int i = 0; i <= column; i++)
				value = strtol(p, &p, base);
		}
	if (f)
		fclose(f);
	return value;
}

static int capabilities(uint64_t effective)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) == -1)
		return -1;
	data[0].effective = data[0].permitted & (uint32_t)effective;
	data[1].effective = data[1].permitted & (uint32_t)(effective >> 32);
	return (int)syscall(SYS_capset, &header, data);
}

static int groups_of(const struct request *r, gid_t *groups, int most)
{
	char name[64], line[1 << 16], *p, *next;
	int n = 0;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/status", (int)r->tid);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof line, f))
		for (p = strncmp(line, "Groups:", 7) ? NULL : line + 7; p && n < most; p = next) {
			const unsigned long group = strtoul(p, &next, 10);
			if (next == p)
				break;
			groups[n++] = (gid_t)group;
		}
	if (f)
		fclose(f);
	return n;
}

static __thread gid_t own_groups[1024];
static __thread int own_count;

static void set_ids(const gid_t *groups, int n, uid_t uid, gid_t gid, uint64_t effective)
{
	capabilities(~0ull);
	syscall(SYS_setgroups, (long)n, groups);
	syscall(SYS_setfsgid, (long)gid);
	syscall(SYS_setfsuid, (long)uid);
	capabilities(effective);
}

static void become(const struct request *r)
{
	gid_t groups[1024];

	acting = true;
	own_count = getgroups(1024, own_groups);
	/* beside its own capabilities what is needed to come back */
	set_ids(groups, groups_of(r, groups, 1024), (uid_t)status_number(r, "Uid:", 10, 3),
		(gid_t)status_number(r, "Gid:", 10, 3),
		(uint64_t)status_number(r, "CapEff:", 16, 0) | 1 << CAP_SETUID | 1 << CAP_SETGID);
}

static void become_self(void)
{
	set_ids(own_groups, own_count, geteuid(), getegid(), ~0ull);
	acting = false;
}

static long do_identity(struct request *r)
{
	changed = r->go_on = true;
	return 0;
}

/* ---- opening ------------------------------------------------------------------------ */

/* A worker has a mask of its own. */
static void take_umask(const struct request *r)
{
	const long mask = status_number(r, "Umask:", 8, 0);

	umask(mask < 0 ? 077 : (mode_t)mask);
}

static const char *flags_text(int flags, char *text)
{
	static const struct { int flag; const char *name; } names[] = {
#define F(flag)	{ flag, #flag }
		F(O_TMPFILE), F(O_CREAT), F(O_EXCL), F(O_NOCTTY), F(O_TRUNC), F(O_APPEND),
		F(O_NONBLOCK), F(O_SYNC), F(O_DSYNC), F(O_DIRECTORY), F(O_NOFOLLOW), F(O_CLOEXEC),
		F(O_DIRECT), F(O_NOATIME), F(O_ASYNC), F(O_PATH),
	};
	static const char *const modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };
	char *p = text + sprintf(text, "%s", modes[flags & O_ACCMODE]);

	flags &= ~O_ACCMODE;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].flag && (flags & names[i].flag) == names[i].flag) {
			p += sprintf(p, "|%s", names[i].name);
			flags &= ~names[i].flag;
		}
	if (flags)
		sprintf(p, "|0x%x", (unsigned int)flags);
	return text;
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

struct open_how_ { uint64_t flags, mode, resolve; };

static long do_the_open(struct request *r, int at, const char *name, struct open_how_ *how,
			bool strict)
{
	const int fd = strict ?
		(int)safe_syscall(SYS_openat2, at, name, how, sizeof *how) :
		(int)safe_syscall(SYS_openat, at, name, (int)how->flags, (long)how->mode);

	r->fd = fd;
	return fd == -1 ? -errno : 0;
}

static long open_object(struct request *r, const struct found *f, struct open_how_ how, bool strict,
			int rights, const char *text)
{
	const int flags = (int)how.flags;
	struct stat st;
	char link[32];

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
	if (may_wait(&st, flags) && !request_may_wait(r))
		return -SAFE_ERESTARTSYS;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		take_umask(r);
	if (flags & O_CREAT)
		how.mode = 0;
	how.resolve = 0;
	how.flags &= ~(uint64_t)(O_CREAT | O_NOFOLLOW);
	how.flags |= O_CLOEXEC | O_NOCTTY;
	snprintf(link, sizeof link, "/proc/self/fd/%d", f->object);
	return do_the_open(r, AT_FDCWD, link, &how, strict);
}

static long parent_as_told(struct request *r, const char *path, uint64_t how, struct found *f)
{
	struct open_how_ find = { O_PATH | O_CLOEXEC | O_DIRECTORY, 0, how };
	char directory[PATH_MAX];

	forget(f);
	snprintf(directory, sizeof directory, "%s", path);
	if (!split(directory, f->name))
		return -ENAMETOOLONG;
	f->parent = (int)safe_syscall(SYS_openat2, r->base[0] < 0 ? AT_FDCWD : r->base[0], directory,
				      &find, sizeof find);
	return f->parent == -1 ? -errno : 0;
}

/* By the rules of openat2(), of which only the kernel knows what they mean. */
static long find_as_told(struct request *r, const struct open_how_ *how, bool creates, bool follow,
			 struct found *f)
{
	struct open_how_ find = { O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW), 0, how->resolve };
	char path[2 * PATH_MAX], name[NAME_MAX + 2], text[PATH_MAX];
	const int base = r->base[0] < 0 ? AT_FDCWD : r->base[0];
	long error;

	*f = (struct found){ .object = -1, .parent = -1, .own = -1 };
	strcpy(path, r->path[0]);
	for (int links = 0; links < 40 && strlen(path) < PATH_MAX; links++) {
		f->object = (int)safe_syscall(SYS_openat2, base, path, &find, sizeof find);
		error = f->object == -1 ? -errno : 0;
		if (error != -ENOENT || !creates)
			return error;
		error = parent_as_told(r, path, how->resolve, f);
		if (error)
			return error;
		const ssize_t n = follow ? readlinkat(f->parent, f->name, text, sizeof text - 1) : -1;
		if (n < 0)
			return -ENOENT;
		text[n] = 0;
		if (*text != '/' && split(path, name))
			strcat(path, text);
		else
			strcpy(path, text);
	}
	return -ELOOP;
}

static long open_(struct request *r, struct open_how_ how, bool strict)
{
	const int flags = (int)how.flags, mode = flags & O_ACCMODE;
	const bool creates = flags & O_CREAT, temporary = (flags & O_TMPFILE) == O_TMPFILE;
	const bool follow = !(flags & O_NOFOLLOW) && !(creates && (flags & O_EXCL));
	int rights = mode == O_RDONLY ? R : mode == O_WRONLY ? W : R | W;
	char text[256], *name;
	struct found f = { .object = -1, .parent = -1 };
	long result;

	if ((flags & O_TRUNC) || temporary)
		rights |= W;
	/* which flags go together is the kernel's affair: without a path it says that only */
	if (strict || ((flags & O_CREAT) && (flags & O_DIRECTORY)) || (flags & TMPFILE)) {
		do_the_open(r, AT_FDCWD, "", &how, strict);
		if (errno != ENOENT)
			return -errno;
	}
	flags_text(flags, text);
	r->fd_flags = flags & O_CLOEXEC;
	if (creates && r->path[0][strspn(r->path[0], "/")] &&
	    r->path[0][strlen(r->path[0]) - 1] == '/') {
		/* nothing with a slash at its end is created, or opened so */
		result = how.resolve ? parent_as_told(r, r->path[0], how.resolve, &f) :
			 resolve(r, 0, PARENT, &f);
		result = result ? result : -EISDIR;
		forget(&f);
	} else if (how.resolve)
		result = find_as_told(r, &how, creates, follow, &f);
	else
		result = resolve(r, 0, (follow ? FOLLOW : 0) | (creates ? PARENT : 0), &f);
	/* without following the last link, to see whether there is something */
	if (!result && f.object == -1 && f.parent != -1) {
		name = f.name;
		f.object = (int)safe_syscall(SYS_openat, f.parent, name, O_PATH | O_NOFOLLOW |
					     O_CLOEXEC, 0L);
		result = f.object == -1 ? -errno : 0;
	}
	if (!result)
		result = open_object(r, &f, how, strict, rights, text);
	else if (result == -ENOENT && creates && f.parent != -1) {
		if (decide(r, &f, f.parent, W, text)) {
			take_umask(r);
			how.flags |= O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
			how.resolve = 0;
			result = do_the_open(r, f.parent, f.name, &how, strict);
		} else
			result = -EACCES;
	} else if (f.parent != -1)
		decide(r, &f, f.parent, rights, text);
	forget(&f);
	return result;
}

static long do_open(struct request *r)
{
	const int flags = flags_of(r);
	const bool has_mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
	const struct open_how_ how = { (uint32_t)flags, has_mode ? word(r, MODE) & 07777 : 0, 0 };

	return open_(r, how, false);
}

static long do_openat2(struct request *r)
{
	const uint64_t size = word(r, MODE);
	struct { struct open_how_ how; char more[PATH_MAX]; } asked;
	long error;

	if (size < sizeof asked.how)
		return -EINVAL;
	if (size > 4096)
		return -E2BIG;
	error = fetch(r, word(r, FLAGS), &asked, size);
	for (size_t i = 0; !error && i < size - sizeof asked.how; i++)
		if (((char *)&asked.how)[sizeof asked.how + i])
			error = -E2BIG;
	if (error)
		return error;
	if (asked.how.flags & O_PATH) {
		r->go_on = sandbox_landlock;
		return -ENOSYS;
	}
	if (asked.how.flags >> 32)
		return -EINVAL;
	return open_(r, asked.how, true);
}

/* ---- names ------------------------------------------------------------------------------ */

/* Denied; but what is there, or is not, is told first, as metadata is free. */
static long denied(const struct found *f, bool creates)
{
	struct stat st;
	const bool there = !fstatat(f->parent, f->name, &st, AT_SYMLINK_NOFOLLOW);

	return there && creates ? -EEXIST : !there && !creates ? -ENOENT : -EACCES;
}

#define RESULT(call)	((call) == -1 ? -errno : 0)

static long do_unlink(struct request *r)
{
	struct found f;
	long result = resolve(r, 0, PARENT, &f);

	if (!result)
		result = decide(r, &f, f.parent, W, NULL) ?
			 RESULT(safe_syscall(SYS_unlinkat, f.parent, f.name, flags_of(r))) :
			 denied(&f, false);
	forget(&f);
	return result;
}

/* mkdir, mknod, symlink: a new name. */
static long do_make(struct request *r)
{
	const char kind = r->operation->name[2];	/* as in mkdir, mknod, symlink */
	const mode_t mode = (mode_t)word(r, MODE);
	struct found f;
	long result = resolve(r, kind == 'm', PARENT, &f);

	if (kind == 'n' && (S_ISCHR(mode) || S_ISBLK(mode))) {
		/* a device is a way to what it is the device of */
		forget(&f);
		return refuse(r);
	}
	take_umask(r);
	if (!result)
		result = !decide(r, &f, f.parent, W, NULL) ? denied(&f, true) :
			 kind == 'd' ? RESULT(safe_syscall(SYS_mkdirat, f.parent, f.name, mode)) :
			 kind == 'n' ? RESULT(safe_syscall(SYS_mknodat, f.parent, f.name, mode, 0)) :
			 RESULT(safe_syscall(SYS_symlinkat, r->path[0], f.parent, f.name));
	forget(&f);
	return result;
}

static long do_link(struct request *r)
{
	const int flags = flags_of(r);
	struct found from, to;
	char link[32];
	long result;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && !r->path[0][0]) {
		to.parent = to.object = -1;
		result = r->base[0] < 0 ? r->base[0] : resolve_fd(r, &from);
	} else
		result = resolve(r, 0, flags & AT_SYMLINK_FOLLOW ? FOLLOW : 0, &from);
	if (result)
		return result;
	result = resolve(r, 1, PARENT, &to);
	if (!result) {
		/* the new name gives what is below -w, so the old one must be, too */
		snprintf(link, sizeof link, "/proc/self/fd/%d", from.object);
		result = !resolve_allows(from.object, W, from.own) ||
			 !resolve_allows(to.parent, W, -1) ? denied(&to, true) :
			 RESULT(safe_syscall(SYS_linkat, AT_FDCWD, link, to.parent, to.name,
					     AT_SYMLINK_FOLLOW));
		say(r, NULL, result == -EACCES ? "denied" : "allowed");
	}
	forget(&from);
	forget(&to);
	return result;
}

static long do_rename(struct request *r)
{
	struct found from, to;
	long result = resolve(r, 0, PARENT, &from);

	if (result)
		return result;
	result = resolve(r, 1, PARENT, &to);
	if (!result) {
		const bool yes = resolve_allows(from.parent, W, -1) &&
				 resolve_allows(to.parent, W, -1);
		say(r, NULL, yes ? "allowed" : "denied");
		result = yes ? RESULT(safe_syscall(SYS_renameat2, from.parent, from.name, to.parent,
						   to.name, flags_of(r))) :
			 denied(&from, false);
	}
	forget(&from);
	forget(&to);
	return result;
}

/* ---- what a name means -------------------------------------------------------------------- */

/* An object of which something is changed: by a path or, where there is none, by a descriptor. */
static long find_object(struct request *r, int flags, struct found *f)
{
	const bool by_fd = r->operation->at[PATH0] < 0 ||
			   (!r->path[0][0] && (flags & AT_EMPTY_PATH)) ||
			   (r->operation->run == do_times && !word(r, PATH0));
	long result;

	if (!by_fd)
		result = resolve(r, 0, flags & AT_SYMLINK_NOFOLLOW ? 0 : FOLLOW, f);
	else if (r->base[0] < 0)
		return r->base[0];
	else
		result = resolve_fd(r, f);
	if (result) {
		forget(f);
		return result;
	}
	/* what is open for writing, or has no name to be protected by, is the program's */
	if (by_fd && r->operation->at[PATH0] < 0 && f->own < 0)
		result = -EBADF;
	else if (!decide(r, f, f->object, W, NULL))
		result = -EACCES;
	if (result)
		forget(f);
	return result;
}

static long do_mode(struct request *r)
{
	const int flags = flags_of(r);
	struct found f;
	char link[32];
	long result;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	result = find_object(r, flags, &f);
	if (result)
		return result;
	snprintf(link, sizeof link, "/proc/self/fd/%d", f.object);
	result = RESULT(safe_syscall(SYS_fchmodat, AT_FDCWD, link, (mode_t)word(r, MODE)));
	forget(&f);
	return result;
}

static long do_owner(struct request *r)
{
	const int flags = flags_of(r);
	struct found f;
	long result;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	result = find_object(r, flags, &f);
	if (result)
		return result;
	result = RESULT(safe_syscall(SYS_fchownat, f.object, "", (uid_t)word(r, MODE),
				     (gid_t)r->notif.data.args[r->operation->at[MODE] + 1],
				     AT_EMPTY_PATH));
	forget(&f);
	return result;
}

static long do_truncate(struct request *r)
{
	struct found f;
	char link[32];
	long result = find_object(r, 0, &f);

	if (result)
		return result;
	snprintf(link, sizeof link, "/proc/self/fd/%d", f.object);
	result = truncate(link, (off_t)word(r, MODE)) ? -errno : 0;
	forget(&f);
	return result;
}

/* utimensat and what was before it: their times differ. */
static long do_times(struct request *r)
{
	const char kind = r->operation->name[0] == 'f' ? 's' : r->operation->name[5];
	const int flags = kind == 'n' ? flags_of(r) : 0;	/* utimensat */
	const uint64_t from = word(r, MODE);
	struct timespec times[2];
	long values[4] = { 0 }, result = 0;
	struct found f;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (from)
		result = fetch(r, from, values, kind ? sizeof values : 2 * sizeof(long));
	if (result)
		return result;
	for (int i = 0; i < 2; i++) {
		times[i].tv_sec = kind ? values[2 * i] : values[i];
		times[i].tv_nsec = !kind ? 0 : kind == 's' ? values[2 * i + 1] * 1000 :
			values[2 * i + 1];
		if (kind == 's' && (values[2 * i + 1] < 0 || values[2 * i + 1] >= 1000000))
			return -EINVAL;
	}
	result = find_object(r, flags, &f);
	if (result)
		return result;
	result = utimensat(f.object, "", from ? times : NULL, AT_EMPTY_PATH) ? -errno : 0;
	forget(&f);
	return result;
}

static long do_xattr(struct request *r)
{
	const __u64 *args = r->notif.data.args;
	const bool removes = strstr(r->operation->name, "remove");
	const int flags = r->operation->flags;
	char name[256], link[32], *value = NULL;
	struct found f;
	long result = fetch_string(r, args[1], name, sizeof name);

	if (result)
		return result == -ENAMETOOLONG ? -ERANGE : result;
	if (!removes && args[3] > 65536)
		return -E2BIG;
	if (!removes && !(value = malloc(args[3] + 1)))
		return -ENOMEM;
	if (!removes)
		result = fetch(r, args[2], value, args[3]);
	if (!result)
		result = find_object(r, flags, &f);
	if (!result) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", f.object);
		result = removes ? RESULT(safe_syscall(SYS_removexattr, link, name)) :
			 RESULT(safe_syscall(SYS_setxattr, link, name, value, (size_t)args[3],
					     (int)args[4]));
		forget(&f);
	}
	free(value);
	return result;
}

/* A copy of a descriptor of the program's. */
static int take_fd(struct request *r, int number)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, r->tgid, 0);
	int fd = pidfd == -1 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

	if (fd == -1)
		fd = errno == EBADF ? -EBADF : -errno;
	if (pidfd != -1)
		close(pidfd);
	if (fd >= 0 && !request_valid(r)) {
		close(fd);
		fd = -ESRCH;
	}
	return fd;
}

static long do_watch(struct request *r)
{
	const uint32_t mask = (uint32_t)word(r, MODE);
	const int fd = take_fd(r, (int)r->notif.data.args[0]);
	struct found f = { .object = -1, .parent = -1 };
	char link[32];
	long result = fd < 0 ? fd : resolve(r, 0, mask & 0x02000000 /* IN_DONT_FOLLOW */ ? 0 : FOLLOW,
					    &f);

	if (!result) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", f.object);
		result = !decide(r, &f, f.object, R, NULL) ? -EACCES :
			 safe_syscall(SYS_inotify_add_watch, fd, link, mask & ~0x02000000u);
		if (result == -1)
			result = -errno;
	}
	forget(&f);
	if (fd >= 0)
		close(fd);
	return result;
}

/* ---- sockets ---------------------------------------------------------------------------------- */

static const char *peer_text(const struct sockaddr_storage *a, char *text)
{
	const struct sockaddr_in *v4 = (const void *)a;
	const struct sockaddr_in6 *v6 = (const void *)a;
	const unsigned char *b = (const unsigned char *)&v4->sin_addr;

	if (a->ss_family == AF_INET)
		sprintf(text, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], ntohs(v4->sin_port));
	else {
		text += sprintf(text, "[");
		for (int i = 0; i < 16; i += 2)
			text += sprintf(text, "%s%x", i ? ":" : "", (unsigned int)
					(v6->sin6_addr.s6_addr[i] << 8 | v6->sin6_addr.s6_addr[i + 1]));
		sprintf(text, "]:%u", ntohs(v6->sin6_port));
	}
	return text;
}

/* By the directory that is held; the name that others see is not the one that was asked for. */
static long unix_socket(struct request *r, int fd, struct sockaddr_un *un, socklen_t size, bool binds)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const size_t most = size - offsetof(struct sockaddr_un, sun_path);
	struct found f;
	long result;

	snprintf(r->path[0], PATH_MAX, "%.*s", (int)most, un->sun_path);
	if (*r->path[0] != '/')
		r->base[0] = base_of(r, AT_FDCWD);
	result = resolve(r, 0, binds ? PARENT : FOLLOW, &f);
	if (!result) {
		const bool yes = resolve_allows(binds ? f.parent : f.object, W, -1);
		char text[4 * sizeof un->sun_path + 8];
		quote(text, r->path[0]);
		say(r, text, yes ? "allowed" : "denied");
		if (!yes)
			result = binds && denied(&f, true) == -EEXIST ? -EADDRINUSE : -EACCES;
		else if (binds) {
			take_umask(r);
			if (fchdir(f.parent))
				result = -errno;
			if (strlen(f.name) < sizeof to.sun_path)
				strcpy(to.sun_path, f.name);
			else
				result = -ENAMETOOLONG;
		} else
			snprintf(to.sun_path, sizeof to.sun_path, "/proc/self/fd/%d", f.object);
	}
	if (!result && (binds || request_may_wait(r)))
		result = RESULT(safe_syscall(binds ? SYS_bind : SYS_connect, fd, &to,
					     offsetof(struct sockaddr_un, sun_path) +
					     strlen(to.sun_path) + 1));
	else if (!result)
		result = -SAFE_ERESTARTSYS;
	if (binds && chdir("/"))
		result = -errno;
	forget(&f);
	return result;
}

static long do_address(struct request *r)
{
	const bool binds = r->operation->name[0] == 'b';
	const __u64 *args = r->notif.data.args;
	const socklen_t size = (socklen_t)args[2];
	struct sockaddr_storage address;
	int protocol = 0;
	socklen_t length = sizeof protocol;
	char text[80];
	long result;
	int fd;

	memset(&address, 0, sizeof address);
	if (size > sizeof address)
		return -EINVAL;
	result = fetch(r, args[1], &address, size);
	if (result)
		return result;
	fd = take_fd(r, (int)args[0]);
	if (fd < 0)
		return fd;
	if (size < sizeof address.ss_family)
		result = -EINVAL;
	else if (address.ss_family == AF_UNIX) {
		if (size <= offsetof(struct sockaddr_un, sun_path))
			result = -EINVAL;
		else if (!((struct sockaddr_un *)&address)->sun_path[0])
			result = refuse(r);
		else
			result = unix_socket(r, fd, (void *)&address, size, binds);
	} else if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
		const bool yes = binds || policy_peer(&address);
		getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length);
		if (size < (address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : 24))
			result = -EINVAL;
		else if (protocol != IPPROTO_TCP)
			result = refuse(r);
		else {
			peer_text(&address, text);
			say(r, text, yes ? "allowed" : "denied");
			result = !yes ? -EACCES : binds || request_may_wait(r) ?
				 RESULT(safe_syscall(binds ? SYS_bind : SYS_connect, fd, &address,
						     size)) : -SAFE_ERESTARTSYS;
		}
	} else if (address.ss_family == AF_UNSPEC)
		result = RESULT(safe_syscall(binds ? SYS_bind : SYS_connect, fd, &address, size));
	else
		result = refuse(r);
	close(fd);
	return result;
}

static long do_owner_of_fd(struct request *r)
{
	const __u64 *args = r->notif.data.args;
	struct { int type, pid; } owner = { 1 /* F_OWNER_PID */, (int)args[2] };
	const bool extended = (int)args[1] == F_SETOWN_EX;
	long result = extended ? fetch(r, args[2], &owner, sizeof owner) : 0;
	int fd;

	if (result)
		return result;
	if (owner.pid && (owner.pid < 0 || owner.type == 2 /* F_OWNER_PGRP */ ||
			  !task_inside(owner.pid)))
		return refuse(r);
	fd = take_fd(r, (int)args[0]);
	if (fd < 0)
		return fd;
	result = RESULT(safe_syscall(SYS_fcntl, fd, F_SETOWN_EX, &owner));
	close(fd);
	return result;
}

/* ---- others -------------------------------------------------------------------------------------- */

/*
 * A signal of a process to itself goes on in the kernel: it can't be somebody else
 * before the call is over.  For others it is sent from here, where no pid is given
 * away meanwhile.
 */
static long do_kill(struct request *r)
{
	const pid_t pid = (pid_t)r->notif.data.args[0];
	const int signum = (int)r->notif.data.args[1];
	long result = 0;

	if (pid == r->tgid)
		r->go_on = true;
	else if (pid > 0 && task_inside(pid))
		result = task_signal(pid, 0, signum, NULL, r->tgid);
	else if (pid > 0)
		result = kill(pid, 0) && errno == ESRCH ? -ESRCH : refuse(r);
	else
		result = task_signal_group(pid == -1 ? -1 : pid ? -pid : getpgid(r->tgid),
					   pid == -1 ? r->tgid : 0, signum, r->tgid);
	return result;
}

/* tgkill, tkill, and with what a signal carries: rt_sigqueueinfo, rt_tgsigqueueinfo */
static long do_queue(struct request *r)
{
	const int signum_at = r->operation->at[MODE], tid_at = r->operation->at[DIR1];
	const __u64 *args = r->notif.data.args;
	const bool carries = r->operation->name[0] == 'r';
	const pid_t tid = tid_at < 0 ? 0 : (pid_t)args[tid_at];
	const pid_t tgid = r->operation->at[DIR0] < 0 ? 0 : (pid_t)args[0];
	const pid_t pid = tid_at < 0 ? tgid : tid;
	siginfo_t info;
	long result = 0;

	if (pid == r->tgid || pid == r->tid || (tgid && tgid == r->tgid)) {
		r->go_on = true;
		return 0;
	}
	if (pid <= 0)
		return -EINVAL;
	if (!task_inside(pid))
		return kill(pid, 0) && errno == ESRCH ? -ESRCH : refuse(r);
	if (carries)
		result = fetch(r, args[signum_at + 1], &info, sizeof info);
	if (carries && !result && (info.si_code >= 0 || info.si_code == SI_TKILL))
		result = -EPERM;
	return result ? result : task_signal(tgid, tid, (int)args[signum_at],
					     carries ? &info : NULL, r->tgid);
}

static long do_pidfd(struct request *r)
{
	const pid_t pid = (pid_t)r->notif.data.args[0];

	if (pid > 0 && !task_inside(pid))
		return kill(pid, 0) && errno == ESRCH ? -ESRCH : refuse(r);
	r->fd = (int)syscall(SYS_pidfd_open, (long)pid, (long)(int)r->notif.data.args[1]);
	r->fd_flags = O_CLOEXEC;
	return r->fd == -1 ? -errno : 0;
}

/* What is set for a process by its number; MODE is the argument that has it. */
static long do_set(struct request *r)
{
	const pid_t pid = (pid_t)word(r, MODE);
	const int at = r->operation->at[MODE];

	/* others than processes: groups, users */
	if (at && (int)r->notif.data.args[0] != r->operation->flags)
		return refuse(r);
	if (pid && !task_inside(pid))
		return kill(pid, 0) && errno == ESRCH ? -ESRCH : refuse(r);
	r->go_on = true;
	return 0;
}

/*
 * Without Landlock.  The path can be changed before the kernel reads it, so this is for the honest
 * ones, who get their EACCES.  request.c looks at what has become of it.
 */
static long do_exec(struct request *r)
{
	const int flags = (int)word(r, FLAGS);
	struct found f;
	long result;

	if ((flags & AT_EMPTY_PATH) && !*r->path[0])
		result = r->base[0] < 0 ? r->base[0] : resolve_fd(r, &f);
	else
		result = resolve(r, 0, flags & AT_SYMLINK_NOFOLLOW ? 0 : FOLLOW, &f);
	if (!result && !decide(r, &f, f.object, R, NULL))
		result = -EACCES;
	else if (!result)
		r->go_on = true;
	forget(&f);
	return result;
}

/* ---- the table -------------------------------------------------------------------------------------- */

#define O(name, run, verdict, flags, ...) { CALL(name), run, { __VA_ARGS__ }, flags, verdict }
#define NONE	-1
#define OPEN(name, verdict, flags, ...) \
	{ "open", TEXT(SYS_##name), do_open, { __VA_ARGS__ }, flags, verdict }
#define NOFOLLOW AT_SYMLINK_NOFOLLOW

const struct operation operations[] = {
	/*				DIR0  PATH0 FLAGS MODE  DIR1  PATH1 */
	OPEN(open, OPEN1, 0,		NONE, 0,    1,    2,    NONE, NONE),
	OPEN(openat, OPEN2, 0,		0,    1,    2,    3,    NONE, NONE),
	OPEN(creat, BROKER, O_CREAT | O_WRONLY | O_TRUNC, NONE, 0, NONE, 1, NONE, NONE),
	{ "open", TEXT(SYS_openat2), do_openat2, { 0, 1, 2, 3, NONE, NONE }, 0, BROKER },
	O(unlink, do_unlink, BROKER, 0,	NONE, 0,    NONE, NONE, NONE, NONE),
	O(unlinkat, do_unlink, BROKER, 0, 0,  1,    2,    NONE, NONE, NONE),
	O(rmdir, do_unlink, BROKER, AT_REMOVEDIR, NONE, 0, NONE, NONE, NONE, NONE),
	O(mkdir, do_make, BROKER, 0,	NONE, 0,    NONE, 1,    NONE, NONE),
	O(mkdirat, do_make, BROKER, 0,	0,    1,    NONE, 2,    NONE, NONE),
	O(mknod, do_make, BROKER, 0,	NONE, 0,    NONE, 1,    NONE, NONE),
	O(mknodat, do_make, BROKER, 0,	0,    1,    NONE, 2,    NONE, NONE),
	O(symlink, do_make, BROKER, 0,	NONE, 0,    NONE, NONE, NONE, 1),
	O(symlinkat, do_make, BROKER, 0, NONE, 0,   NONE, NONE, 1,    2),
	O(link, do_link, BROKER, 0,	NONE, 0,    NONE, NONE, NONE, 1),
	O(linkat, do_link, BROKER, 0,	0,    1,    4,    NONE, 2,    3),
	O(rename, do_rename, BROKER, 0,	NONE, 0,    NONE, NONE, NONE, 1),
	O(renameat, do_rename, BROKER, 0, 0,  1,    NONE, NONE, 2,    3),
	O(renameat2, do_rename, BROKER, 0, 0, 1,    4,    NONE, 2,    3),
	O(chmod, do_mode, BROKER, 0,	NONE, 0,    NONE, 1,    NONE, NONE),
	O(fchmodat, do_mode, BROKER, 0,	0,    1,    NONE, 2,    NONE, NONE),
	{ "fchmodat2", "452", do_mode, { 0, 1, 3, 2, NONE, NONE }, 0, BROKER },
	O(fchmod, do_mode, BROKER, 0,	0,    NONE, NONE, 1,    NONE, NONE),
	O(chown, do_owner, BROKER, 0,	NONE, 0,    NONE, 1,    NONE, NONE),
	O(lchown, do_owner, BROKER, NOFOLLOW, NONE, 0, NONE, 1, NONE, NONE),
	O(fchownat, do_owner, BROKER, 0, 0,   1,    4,    2,    NONE, NONE),
	O(fchown, do_owner, BROKER, 0,	0,    NONE, NONE, 1,    NONE, NONE),
	O(truncate, do_truncate, BROKER, 0, NONE, 0, NONE, 1,   NONE, NONE),
	O(utime, do_times, BROKER, 0,	NONE, 0,    NONE, 1,    NONE, NONE),
	O(utimes, do_times, BROKER, 0,	NONE, 0,    NONE, 1,    NONE, NONE),
	O(futimesat, do_times, BROKER, 0, 0,  1,    NONE, 2,    NONE, NONE),
	O(utimensat, do_times, BROKER, 0, 0,  1,    3,    2,    NONE, NONE),
	O(setxattr, do_xattr, BROKER, 0, NONE, 0,   NONE, NONE, NONE, NONE),
	O(lsetxattr, do_xattr, BROKER, NOFOLLOW, NONE, 0, NONE, NONE, NONE, NONE),
	O(fsetxattr, do_xattr, BROKER, 0, 0,  NONE, NONE, NONE, NONE, NONE),
	O(removexattr, do_xattr, BROKER, 0, NONE, 0, NONE, NONE, NONE, NONE),
	O(lremovexattr, do_xattr, BROKER, NOFOLLOW, NONE, 0, NONE, NONE, NONE, NONE),
	O(fremovexattr, do_xattr, BROKER, 0, 0, NONE, NONE, NONE, NONE, NONE),
	O(inotify_add_watch, do_watch, BROKER, 0, NONE, 1, NONE, 2, NONE, NONE),
	O(execve, do_exec, EXEC, 0,	NONE, 0,    NONE, NONE, NONE, NONE),
	O(execveat, do_exec, EXEC, 0,	0,    1,    4,    NONE, NONE, NONE),
	O(connect, do_address, BROKER, 0, NONE, NONE, NONE, NONE, NONE, NONE),
	O(bind, do_address, BROKER, 0,	NONE, NONE, NONE, NONE, NONE, NONE),
	O(fcntl, do_owner_of_fd, FCNTL, 0, NONE, NONE, NONE, NONE, NONE, NONE),
	O(fcntl64, do_owner_of_fd, FCNTL, 0, NONE, NONE, NONE, NONE, NONE, NONE),
	O(kill, do_kill, BROKER, 0,	NONE, NONE, NONE, NONE, NONE, NONE),
	O(tkill, do_queue, BROKER, 0,	NONE, NONE, NONE, 1,    0,    NONE),
	O(tgkill, do_queue, BROKER, 0,	0,    NONE, NONE, 2,    1,    NONE),
	O(rt_sigqueueinfo, do_queue, BROKER, 0, 0, NONE, NONE, 1, NONE, NONE),
	O(rt_tgsigqueueinfo, do_queue, BROKER, 0, 0, NONE, NONE, 2, 1, NONE),
	O(pidfd_open, do_pidfd, BROKER, 0, NONE, NONE, NONE, NONE, NONE, NONE),
	O(prlimit64, do_set, SELF, 0,	NONE, NONE, NONE, 0,    NONE, NONE),
	O(sched_setparam, do_set, SELF, 0, NONE, NONE, NONE, 0, NONE, NONE),
	O(sched_setscheduler, do_set, SELF, 0, NONE, NONE, NONE, 0, NONE, NONE),
	O(sched_setaffinity, do_set, SELF, 0, NONE, NONE, NONE, 0, NONE, NONE),
	O(sched_setattr, do_set, SELF, 0, NONE, NONE, NONE, 0,  NONE, NONE),
	O(setpriority, do_set, SELF1, PRIO_PROCESS, NONE, NONE, NONE, 1, NONE, NONE),
	O(ioprio_set, do_set, SELF2, 1,	NONE, NONE, NONE, 1,    NONE, NONE),
#define IDENTITY(name) O(name, do_identity, BROKER, 0, NONE, NONE, NONE, NONE, NONE, NONE)
	IDENTITY(setuid), IDENTITY(setgid), IDENTITY(setreuid), IDENTITY(setregid),
	IDENTITY(setresuid), IDENTITY(setresgid), IDENTITY(setfsuid), IDENTITY(setfsgid),
	IDENTITY(setgroups), IDENTITY(capset), IDENTITY(setuid32), IDENTITY(setgid32),
	IDENTITY(setreuid32), IDENTITY(setregid32), IDENTITY(setresuid32), IDENTITY(setresgid32),
	IDENTITY(setfsuid32), IDENTITY(setfsgid32), IDENTITY(setgroups32),
	O(prctl, do_identity, PRCTL, 0,	NONE, NONE, NONE, NONE, NONE, NONE),
	{ NULL, NULL, NULL, { 0 }, 0, BROKER }
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
	found = data ? index[data->nr & mask] : 0;
	return found && call_number(operations[found - 1].number) == data->nr ?
	       &operations[found - 1] : NULL;
}

long broker(struct request *r)
{
	long result;

	if (!r->operation)
		return refuse(r);
	result = fetch_paths(r);
	if (result)
		return result;
	if (changed)
		become(r);
	result = r->operation->run(r);
	if (acting)
		become_self();
	for (int i = 0; i < 2; i++)
		if (r->base[i] >= 0)
			close(r->base[i]);
	return result;
}
