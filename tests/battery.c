/* SPDX-License-Identifier: MIT */
/* battery.c - see battery.h */
#include <dirent.h>
#include <grp.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "battery.h"
#include "testing.h"

/* ---- programs that do as they are told ---------------------------------- */

struct order {
	job *run;
	char name[100];
	long a, b;
};

struct answer {
	long result;
	int error;
};

static int theirs = -1;			/* in a peer: what it has open */

static void obey(int fd)
{
	struct order o;
	struct answer answer;

	while (read(fd, &o, sizeof o) == (ssize_t)sizeof o && o.run) {
		errno = 0;
		answer.result = o.run(o.name, o.a, o.b);
		answer.error = errno;
		if (write(fd, &answer, sizeof answer) != (ssize_t)sizeof answer)
			break;
	}
	_exit(0);
}

void peer_new(struct peer *p)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	p->pid = fork();
	ck_assert_int_ne(p->pid, -1);
	if (!p->pid) {
		close(fd[0]);
		obey(fd[1]);
	}
	close(fd[1]);
	p->fd = fd[0];
}

void peer_start(const struct peer *p, job *run, const char *name, long a, long b)
{
	struct order o = { .run = run, .a = a, .b = b };

	ck_assert_int_lt(snprintf(o.name, sizeof o.name, "%s", name), (int)sizeof o.name);
	ck_assert_int_eq(send(p->fd, &o, sizeof o, MSG_NOSIGNAL), (ssize_t)sizeof o);
}

long peer_end(const struct peer *p)
{
	struct answer answer;

	ck_assert_int_eq(read(p->fd, &answer, sizeof answer), (ssize_t)sizeof answer);
	errno = answer.error;
	return answer.result;
}

long peer_does(const struct peer *p, job *run, const char *name, long a, long b)
{
	peer_start(p, run, name, a, b);
	return peer_end(p);
}

/* It has taken the order, and is asleep and stays so: also in a sleep that only a kill ends. */
int peer_sleeps(const struct peer *p)
{
	struct pollfd answered = { p->fd, POLLIN, 0 };
	int seen = 0, queued;
	char state;

	while (seen < 5) {
		if (poll(&answered, 1, 1))
			return 0;
		ck_assert_int_eq(ioctl(p->fd, SIOCOUTQ, &queued), 0);
		state = state_of(p->pid, p->pid);
		seen = !queued && (state == 'S' || state == 'D') ? seen + 1 : 0;
	}
	return 1;
}

void peer_kill(struct peer *p)
{
	kill(p->pid, SIGKILL);
	ck_assert_int_eq(waitpid(p->pid, NULL, 0), p->pid);
	close(p->fd);
}

void peer_free(struct peer *p)
{
	/* others that were forked meanwhile have this end too: closing it tells nothing */
	peer_start(p, NULL, "", 0, 0);
	close(p->fd);
	ck_assert_int_eq(waitpid(p->pid, NULL, 0), p->pid);
}

long opens(const char *name, long flags, long mode)
{
	theirs = open(name, (int)flags | O_CLOEXEC, (mode_t)mode);
	return theirs == -1 ? -1 : 0;
}

long closes(const char *name, long a, long b)
{
	(void)name, (void)a, (void)b;
	return close(theirs);
}

long reads(const char *name, long size, long b)
{
	static char data[1 << 16];

	(void)name, (void)b;
	return read(theirs, data, (size_t)size);
}

long writes(const char *text, long a, long b)
{
	(void)a, (void)b;
	return write(theirs, text, strlen(text));
}

long lists(const char *name, long a, long b)
{
	DIR *dir = opendir(name);
	long n = 0;

	(void)a, (void)b;
	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static long lock(int command, long type, long byte)
{
	struct flock f = { .l_type = (short)type, .l_whence = SEEK_SET };

	f.l_start = byte == -1 ? 0 : byte;
	f.l_len = byte != -1;
	if (fcntl(theirs, command, &f) == -1)
		return -1;
	return command == F_GETLK && f.l_type != F_UNLCK ? f.l_pid : 0;
}

long locks(const char *name, long type, long byte)
{
	(void)name;
	return lock(F_SETLK, type, byte);
}

long waits(const char *name, long type, long byte)
{
	(void)name;
	return lock(F_SETLKW, type, byte);
}

long owner(const char *name, long byte, long b)
{
	(void)name, (void)b;
	return lock(F_GETLK, F_WRLCK, byte);
}

long flocks(const char *name, long operation, long b)
{
	(void)name, (void)b;
	return flock(theirs, (int)operation);
}

/* ---- the log ------------------------------------------------------------ */

static const struct battery *now_in;
static const char *chapter;

static void tell(const char *what, long result)
{
	if (result == -1)
		dprintf(now_in->log, "%s: %s: %s\n", chapter, what, strerror(errno));
	else
		dprintf(now_in->log, "%s: %s: %ld\n", chapter, what, result);
}

#define TRY(call)	tell(#call, (errno = 0, (long)(call)))

static void about(const char *format, ...)
{
	va_list arguments;

	dprintf(now_in->log, "%s: ", chapter);
	va_start(arguments, format);
	vdprintf(now_in->log, format, arguments);
	va_end(arguments);
	dprintf(now_in->log, "\n");
}

/* Descriptors that a call has opened are told from errors, not from each other. */
static int opened(const char *what, int fd)
{
	tell(what, fd == -1 ? -1 : 0);
	return fd;
}

#define OPEN(...)	opened("open(" #__VA_ARGS__ ")", open(__VA_ARGS__))

static void stat_is(const char *name)
{
	struct stat s;

	if (lstat(name, &s))
		about("%s: %s", name, strerror(errno));
	else
		about("%s: mode %o, %d links, %d:%d, %lld bytes, %lld blocks, device %x",
		      name, s.st_mode, (int)s.st_nlink, (int)s.st_uid, (int)s.st_gid,
		      S_ISDIR(s.st_mode) ? 0LL : (long long)s.st_size,
		      (long long)s.st_blocks, (unsigned int)s.st_rdev);
}

/* Of the whole file. */
static long sum(int fd)
{
	static unsigned char data[100000];
	unsigned long s = 0;
	off_t at = 0;
	ssize_t n, i;

	while ((n = pread(fd, data, sizeof data, at)) > 0) {
		for (i = 0; i < n; i++)
			s = s * 31 + data[i] + 1;
		at += n;
	}
	return n < 0 ? -1 : (long)(s & 0x7fffffff);
}

static int file(const char *name, const char *contents, mode_t mode)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, mode);
	ssize_t n = fd == -1 ? -1 : write(fd, contents, strlen(contents));

	return n == (ssize_t)strlen(contents) ? fd : -1;
}

static void make(const char *name, const char *contents, mode_t mode)
{
	close(file(name, contents, mode));
}

static void show(const char *name)
{
	char data[200];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, data, sizeof data - 1);

	if (n >= 0)
		data[n] = 0;
	about("%s contains: %s", name, n < 0 ? strerror(errno) : data);
	close(fd);
}

/* ---- one program -------------------------------------------------------- */

static void creating(void)
{
	mode_t before = umask(0);
	int fd;

	fd = OPEN("a", O_CREAT | O_EXCL | O_RDWR, 0666);
	TRY(write(fd, "hello", 5));
	TRY(close(fd));
	close(OPEN("a", O_CREAT | O_EXCL | O_RDWR, 0666));
	close(OPEN("a", O_CREAT | O_RDONLY, 0));
	close(OPEN("b", O_RDONLY));
	close(OPEN("b", O_RDONLY | O_DIRECTORY));
	close(OPEN("a", O_RDONLY | O_DIRECTORY));
	close(OPEN(".", O_RDONLY));
	close(OPEN(".", O_RDWR));
	close(OPEN(".", O_CREAT | O_RDONLY, 0600));
	close(OPEN("a/", O_RDONLY));
	close(OPEN("a/b", O_CREAT | O_RDWR, 0600));
	close(OPEN("b/a", O_CREAT | O_RDWR, 0600));
	close(OPEN("", O_RDONLY));
	stat_is("a");
	show("a");
	fd = OPEN("a", O_RDONLY);
	TRY(write(fd, "x", 1));
	close(fd);
	fd = OPEN("a", O_WRONLY);
	TRY(read(fd, &fd, 1));
	close(fd);
	close(OPEN("a", O_WRONLY | O_TRUNC));
	stat_is("a");
	umask(027);
	close(OPEN("masked", O_CREAT | O_RDWR, 07777));
	TRY(mkdir("masked.d", 0777));
	TRY(mknod("masked.n", S_IFREG | 0666, 0));
	stat_is("masked");
	stat_is("masked.d");
	stat_is("masked.n");
	umask(0);
	close(OPEN("readonly", O_CREAT | O_RDWR, 0));
	stat_is("readonly");
	umask(before);
}

static void contents(void)
{
	static unsigned char data[3 << 19];
	const size_t size = now_in->big < sizeof data ? now_in->big : sizeof data;
	struct iovec parts[3] = { { data, 1000 }, { data + 5000, 70000 }, { data + 9, 1 } };
	unsigned int i, x = 1;
	int fd, out;

	for (i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)((x = x * 1103515245 + 12345) >> 16);
	fd = OPEN("data", O_CREAT | O_RDWR, 0600);
	TRY(write(fd, data, size) == (ssize_t)size);
	TRY(sum(fd));
	TRY(pwrite(fd, "middle", 6, 8192 - 3));
	TRY(pwritev(fd, parts, 3, 4001));
	TRY(preadv(fd, parts, 3, 30000));
	TRY(sum(fd));
	TRY(lseek(fd, -5, SEEK_END));
	TRY(read(fd, data, 100));
	TRY(read(fd, data, 100));
	TRY(pread(fd, data, 1, (off_t)size + 80000));
	TRY(pread(fd, data, 10, -1));
	TRY(lseek(fd, -1, SEEK_SET));
	TRY(fcntl(fd, F_SETFL, O_APPEND));
	TRY(pwrite(fd, "appended", 8, 0));
	TRY(write(fd, "again", 5));
	TRY(lseek(fd, 0, SEEK_CUR) == lseek(fd, 0, SEEK_END));
	TRY(sum(fd));
	TRY(fsync(fd));
	TRY(fdatasync(fd));
	out = OPEN("copy", O_CREAT | O_RDWR, 0600);
	TRY(lseek(fd, 0, SEEK_SET));
	TRY(copy_file_range(fd, NULL, out, NULL, size, 0) == (ssize_t)size);
	TRY(sum(out));
	close(out);
	close(fd);
	stat_is("data");
	close(OPEN("data", O_RDONLY | O_TRUNC));
	stat_is("data");
}

static void holes(void)
{
	char c = 1;
	int fd = OPEN("holes", O_CREAT | O_RDWR, 0600);

	TRY(pwrite(fd, "end", 3, 500000));
	TRY(pread(fd, &c, 1, 250000));
	TRY(c);
	stat_is("holes");
	TRY(lseek(fd, 0, SEEK_DATA));
	TRY(lseek(fd, 0, SEEK_HOLE));
	TRY(lseek(fd, 500003, SEEK_DATA));
	TRY(ftruncate(fd, 500001));
	TRY(sum(fd));
	TRY(ftruncate(fd, 100));
	TRY(ftruncate(fd, 500001));
	TRY(sum(fd));
	TRY(ftruncate(fd, -1));
	TRY(truncate("holes", 1LL << 40));
	stat_is("holes");
	TRY(pwrite(fd, "x", 1, 1LL << 40));
	TRY(lseek(fd, 0, SEEK_END) - (1LL << 40));
	TRY(truncate("holes", 0));
	stat_is("holes");
	TRY(truncate(".", 0));
	TRY(truncate("nothing", 0));
	close(fd);
	fd = OPEN("holes", O_RDONLY);
	TRY(ftruncate(fd, 0));
	close(fd);
	fd = OPEN("holes", O_WRONLY);
	TRY(fallocate(fd, 0, 0, 10000));
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	close(fd);
}

static void links(void)
{
	static char target[4096];
	struct stat one, two;
	char text[5000];

	make("one", "text", 0644);
	TRY(link("one", "two"));
	TRY(link("one", "two"));
	TRY(link("nothing", "three"));
	TRY(link(".", "dir"));
	stat_is("one");
	TRY(stat("one", &one));
	TRY(stat("two", &two));
	TRY(one.st_ino == two.st_ino && one.st_dev == two.st_dev);
	TRY(truncate("two", 2));
	show("one");
	TRY(unlink("one"));
	stat_is("two");
	show("two");
	TRY(symlink("two", "soft"));
	TRY(symlink("two", "soft"));
	stat_is("soft");
	show("soft");
	TRY(readlink("soft", text, sizeof text));
	TRY(readlink("soft", text, 2));
	TRY(readlink("two", text, sizeof text));
	close(OPEN("soft", O_RDONLY | O_NOFOLLOW));
	close(OPEN("soft", O_CREAT | O_EXCL | O_RDWR, 0600));
	TRY(symlink("new", "dangling"));
	close(OPEN("dangling", O_RDONLY));
	close(OPEN("dangling", O_CREAT | O_RDWR, 0600));
	stat_is("new");
	TRY(symlink("loop", "loop"));
	close(OPEN("loop", O_RDONLY));
	memset(target, 'x', sizeof target - 1);
	TRY(symlink(target, "long"));
	TRY(readlink("long", text, sizeof text));
	TRY(symlink("", "empty"));
	TRY(linkat(AT_FDCWD, "soft", AT_FDCWD, "soft2", 0));
	stat_is("soft2");
	TRY(linkat(AT_FDCWD, "soft", AT_FDCWD, "hard", AT_SYMLINK_FOLLOW));
	stat_is("hard");
	TRY(lchown("soft", 5, 6));
	stat_is("soft");
	TRY(unlink("soft"));
	TRY(unlink("nothing"));
}

static void renames(void)
{
	int fd, dir;

	make("from", "from", 0644);
	make("to", "to", 0600);
	fd = OPEN("from", O_RDWR);
	TRY(rename("from", "new"));
	TRY(rename("from", "new"));
	TRY(rename("new", "to"));
	show("to");
	TRY(pwrite(fd, "F", 1, 0));
	show("to");
	close(fd);
	TRY(mkdir("dir", 0755));
	TRY(mkdir("dir/sub", 0755));
	TRY(mkdir("empty", 0755));
	make("dir/sub/file", "deep", 0644);
	dir = OPEN("dir/sub", O_RDONLY | O_DIRECTORY);
	TRY(rename("dir", "empty"));
	TRY(rename("empty", "empty/self"));
	TRY(rename("to", "empty"));
	TRY(rename("empty", "to"));
	TRY(mkdir("other", 0755));
	TRY(rename("other", "empty"));
	TRY(mkdir("other", 0755));
	TRY(rename("empty/sub/file", "empty/file"));
	show("empty/file");
	TRY(renameat(AT_FDCWD, "to", dir, "moved"));
	show("empty/sub/moved");
	TRY(faccessat(dir, "../file", F_OK, 0));
	TRY(rename("empty/sub", "sub"));
	TRY(faccessat(dir, "moved", F_OK, 0));
	TRY(faccessat(dir, "../file", F_OK, 0));
	TRY(rename("sub", "empty/sub"));
	TRY(rename("empty/file", "empty/file"));
	TRY(rename(".", "x"));
	TRY(rename("empty/file/x", "x"));
	TRY(syscall(SYS_renameat2, AT_FDCWD, "empty/file", AT_FDCWD, "empty/sub", 1));
	TRY(syscall(SYS_renameat2, AT_FDCWD, "empty/file", AT_FDCWD, "fresh", 1));
	TRY(syscall(SYS_renameat2, AT_FDCWD, "empty", AT_FDCWD, "other", 2));
	close(dir);
}

static void directories(void)
{
	char name[300], here[4096];
	int i;

	TRY(mkdir("d", 0700));
	TRY(mkdir("d", 0700));
	TRY(mkdir("no/d", 0700));
	stat_is("d");
	make("d/file", "", 0600);
	TRY(mkdir("d/file/x", 0700));
	TRY(rmdir("d"));
	TRY(rmdir("d/file"));
	TRY(unlink("d"));
	TRY(rmdir("d/."));
	TRY(rmdir("d/.."));
	TRY(rmdir("."));
	TRY(unlink("d/file"));
	TRY(chdir("d"));
	TRY(mkdir("e", 0755));
	stat_is("../d");
	TRY(chdir("e"));
	TRY(getcwd(here, sizeof here) && !strcmp(here + strlen(here) - 4, "/d/e"));
	TRY(rmdir("../e"));
	close(OPEN("x", O_CREAT | O_RDWR, 0600));
	TRY(mkdir("x", 0700));
	TRY(chdir(now_in->dir));
	TRY(rmdir("d"));
	for (i = 254; i < 257; i++) {
		memset(name, 'n', sizeof name);
		name[i] = 0;
		about("a name of %d", i);
		TRY(mkdir(name, 0700));
		TRY(rmdir(name));
	}
	TRY(mkdir("\xff\xfe new\nline", 0700));
	TRY(rmdir("\xff\xfe new\nline"));
	TRY(mkdir("tree", 0700));
	TRY(chdir("tree"));
	for (i = 0; i < 12 && !mkdir("t", 0700) && !chdir("t"); i++)
		;
	about("%d deep", i);
	for (; i > 0 && !chdir("..") && !rmdir("t"); i--)
		;
	about("%d left", i);
	TRY(chdir(now_in->dir));
	TRY(rmdir("tree"));
}

static long connected(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long result;

	snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
	result = bind(s, (struct sockaddr *)&address, sizeof address);
	if (!result)
		result = listen(s, 1);
	if (!result)
		result = connect(c, (struct sockaddr *)&address, sizeof address);
	close(s);
	close(c);
	return result;
}

static void nodes(void)
{
	struct peer p;
	char c;
	int fd;

	TRY(mkfifo("fifo", 0640));
	TRY(mkfifo("fifo", 0640));
	stat_is("fifo");
	TRY(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	TRY(mknod("disk", S_IFBLK | 0600, makedev(7, 300)));
	stat_is("null");
	stat_is("disk");
	fd = OPEN("null", O_RDWR);
	TRY(write(fd, "x", 1));
	TRY(read(fd, &c, 1));
	close(fd);
	TRY(connected("socket"));
	TRY(connected("socket"));
	stat_is("socket");
	close(OPEN("socket", O_RDONLY));
	close(OPEN("fifo", O_WRONLY | O_NONBLOCK));
	peer_new(&p);
	peer_start(&p, opens, "fifo", O_WRONLY, 0);
	fd = OPEN("fifo", O_RDONLY);
	TRY(peer_end(&p));
	TRY(peer_does(&p, writes, "through", 0, 0));
	TRY(read(fd, &c, 1));
	close(fd);
	peer_free(&p);
	stat_is("fifo");
}

static void attributes(void)
{
	const struct timespec set[2] = { { 1000000000, 123456789 }, { 1234567890, 987654321 } };
	const struct timespec now_and_omit[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };
	struct statfs fs;
	struct stat s;
	char text[300];
	time_t before;
	int fd, n;

	make("file", "contents", 0644);
	TRY(chmod("file", 06751));
	stat_is("file");
	TRY(chown("file", 12, 34));
	stat_is("file");
	TRY(chown("file", (uid_t)-1, 56));
	TRY(chmod("file", 0400));
	stat_is("file");
	TRY(utimensat(AT_FDCWD, "file", set, 0));	/* to the nanosecond */
	TRY(stat("file", &s));
	about("utimes %lld.%ld %lld.%ld", (long long)s.st_atim.tv_sec, s.st_atim.tv_nsec,
	      (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
	before = time(NULL);
	TRY(utimensat(AT_FDCWD, "file", now_and_omit, 0));
	TRY(stat("file", &s));
	about("utimes %d %lld.%ld", s.st_atim.tv_sec >= before, (long long)s.st_mtim.tv_sec,
	      s.st_mtim.tv_nsec);
	TRY(s.st_ctim.tv_sec >= before - 60);
	fd = OPEN("file", O_RDWR);
	TRY(write(fd, "x", 1));
	TRY(fstat(fd, &s));
	TRY(s.st_mtim.tv_sec >= before);
	TRY(fchmod(fd, 0640));
	TRY(fchown(fd, 0, 0));
	stat_is("file");
	TRY(chmod("nothing", 0));
	TRY(setxattr("file", "trusted.a", "value", 5, 0));
	TRY(setxattr("file", "trusted.a", "other", 5, XATTR_CREATE));
	TRY(setxattr("file", "trusted.b", "other", 5, XATTR_REPLACE));
	TRY(fsetxattr(fd, "trusted.b", "", 0, XATTR_CREATE));
	TRY(getxattr("file", "trusted.a", NULL, 0));
	TRY(getxattr("file", "trusted.a", text, 2));
	TRY(n = (int)getxattr("file", "trusted.a", text, sizeof text));
	about("%.*s", n < 0 ? 0 : n, text);
	TRY(fgetxattr(fd, "trusted.b", text, sizeof text));
	TRY(fgetxattr(fd, "trusted.c", text, sizeof text));
	TRY(listxattr("file", NULL, 0));
	TRY(n = (int)listxattr("file", text, sizeof text));
	TRY(removexattr("file", "trusted.b"));
	TRY(removexattr("file", "trusted.b"));
	TRY(listxattr("file", text, sizeof text));
	TRY(statfs(".", &fs));
	about("%lx, blocks of %ld, names of %ld", (unsigned long)fs.f_type, (long)fs.f_bsize,
	      (long)fs.f_namelen);
	TRY(fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks);
	close(fd);
}

static void unlinked(void)
{
	int fd = file("gone", "before", 0644);
	struct stat s;
	char c = 0;

	TRY(unlink("gone"));
	TRY(pwrite(fd, "after", 5, 0));
	TRY(pread(fd, &c, 1, 4));
	TRY(c);
	TRY(fstat(fd, &s));
	about("%d links, %d bytes, mode %o", (int)s.st_nlink, (int)s.st_size, s.st_mode);
	TRY(ftruncate(fd, 2));
	TRY(fchmod(fd, 0600));
	TRY(fsync(fd));
	TRY(sum(fd));
	make("gone", "another", 0644);
	TRY(sum(fd));
	show("gone");
	close(fd);
	fd = OPEN(".", O_TMPFILE | O_RDWR, 0600);
	close(fd);
}

/* The signal that a program gets that touches this. */
static long touched(const volatile char *p)
{
	const struct rlimit none = { 0, 0 };
	pid_t pid = fork();
	int status;

	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGBUS, SIG_DFL);
		_exit(*p);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void mapping(void)
{
	static char data[(3 << 16) + 50];
	static const char word[3] = { 'm', 'a', 'p' };
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p;
	size_t i;
	int fd;

	for (i = 0; i < sizeof data; i++)
		data[i] = (char)(i / 100 + 1);
	fd = OPEN("mapped", O_CREAT | O_RDWR, 0600);
	TRY(write(fd, data, page * 3 + 50) == (ssize_t)page * 3 + 50);
	p = mmap(NULL, page * 5, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	TRY(p != MAP_FAILED);
	TRY(memcmp(p, data, page * 3 + 50));
	TRY(p[page * 3 + 50]);
	TRY(touched(p + page * 4));
	p[100] = 99;
	TRY(pread(fd, data, 1, 100));
	TRY(data[0]);
	munmap(p, page * 5);
	p = mmap(NULL, page * 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	tell("a map to be written to", p == MAP_FAILED ? -1 : 0);
	if (p == MAP_FAILED) {
		pwrite(fd, "map", 3, (off_t)page - 1);
	} else {
		memcpy(p + page - 1, word, sizeof word);
		p[page * 2] = 42;
	}
	tell("read", pread(fd, data, 3, (off_t)page - 1));
	tell("it is in the file", !memcmp(data, "map", 3));
	tell("msync", p == MAP_FAILED ? 0 : msync(p, page * 3, MS_SYNC));
	tell("read", pread(fd, data, 3, (off_t)page - 1));
	tell("it is there now", !memcmp(data, "map", 3));
	TRY(pwrite(fd, "file", 4, 500));
	tell("and in the map", p == MAP_FAILED || !memcmp(p + 500, "file", 4));
	if (p != MAP_FAILED) {
		p[page * 2 - 1] = 43;
		munmap(p, page * 3);
	}
	TRY(pwrite(fd, "*+", 2, (off_t)page * 2 - 1));
	TRY(ftruncate(fd, (off_t)(page * 2 + 1)));
	TRY(sum(fd));
	close(fd);
	fd = OPEN("mapped", O_RDONLY);
	TRY(sum(fd));
	TRY(pread(fd, data, 3, (off_t)page - 1));
	TRY(memcmp(data, "map", 3));
	p = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	TRY(memcmp(p + 500, "file", 4));
	munmap(p, page);
	close(fd);
}

/* A program in the directory: this one, which exits with 42 when it is told to. */
static long program(const char *name)
{
	char *const argv[] = { (char *)(uintptr_t)name, (char *)(uintptr_t)"exit", NULL };
	pid_t pid = fork();
	int status;

	if (!pid) {
		execv(name, argv);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

static void programs(void)
{
	static char data[1 << 16];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = OPEN("program", O_CREAT | O_RDWR, 0700);
	ssize_t n = 1;

	/* not sendfile(): this tests write() */
	while (n > 0 && (n = read(from, data, sizeof data)) > 0)
		n = write(to, data, (size_t)n);
	about("%s", n ? strerror(errno) : "copied");
	close(from);
	TRY(program("./program") == ETXTBSY);
	close(to);
	TRY(program("./program"));
	TRY(chmod("program", 0600));
	TRY(program("./program") == EACCES);
	TRY(unlink("program"));
}

/* ---- several programs --------------------------------------------------- */

static void locking(void)
{
	struct peer a, b, c;

	peer_new(&a);
	peer_new(&b);
	peer_new(&c);
	TRY(peer_does(&a, opens, "locked", O_CREAT | O_RDWR, 0666));
	TRY(peer_does(&b, opens, "locked", O_RDWR, 0));
	TRY(peer_does(&c, opens, "locked", O_RDONLY, 0));
	TRY(peer_does(&a, locks, "", F_WRLCK, 3));
	TRY(peer_does(&b, locks, "", F_WRLCK, 3));
	TRY(peer_does(&b, locks, "", F_RDLCK, 3));
	TRY(peer_does(&b, locks, "", F_WRLCK, 4));
	TRY(peer_does(&b, locks, "", F_WRLCK, -1));
	TRY(peer_does(&a, locks, "", F_RDLCK, 3));
	TRY(peer_does(&c, locks, "", F_RDLCK, 3));
	TRY(peer_does(&c, locks, "", F_WRLCK, 5));
	TRY(peer_does(&b, owner, "", 3, 0) == a.pid);
	TRY(peer_does(&a, owner, "", 4, 0) == b.pid);
	TRY(peer_does(&a, owner, "", 9, 0));
	/* until both who read are done */
	peer_start(&b, waits, "", F_WRLCK, 3);
	TRY(peer_sleeps(&b));
	TRY(peer_does(&a, locks, "", F_UNLCK, 3));
	TRY(peer_sleeps(&b));
	TRY(peer_does(&c, closes, "", 0, 0));
	TRY(peer_end(&b));
	/* each has what the other one wants */
	TRY(peer_does(&a, locks, "", F_WRLCK, 7));
	peer_start(&b, waits, "", F_WRLCK, 7);
	TRY(peer_sleeps(&b));
	TRY(peer_does(&a, waits, "", F_WRLCK, 3));
	TRY(peer_does(&a, locks, "", F_UNLCK, -1));
	TRY(peer_end(&b));
	/* who dies leaves no lock */
	peer_start(&a, waits, "", F_WRLCK, -1);
	TRY(peer_sleeps(&a));
	peer_kill(&b);
	TRY(peer_end(&a));
	peer_new(&b);
	TRY(peer_does(&b, opens, "locked", O_RDWR, 0));
	TRY(peer_does(&b, owner, "", 7, 0) == a.pid);
	/* nor who has opened the file twice and closes it once */
	TRY(peer_does(&a, opens, "locked", O_RDWR, 0));
	TRY(peer_does(&a, closes, "", 0, 0));
	TRY(peer_does(&b, locks, "", F_WRLCK, -1));
	peer_free(&a);
	peer_free(&b);
	peer_free(&c);
}

static void flocking(void)
{
	struct peer a, b;

	peer_new(&a);
	peer_new(&b);
	TRY(peer_does(&a, opens, "locked", O_CREAT | O_RDWR, 0666));
	TRY(peer_does(&b, opens, "locked", O_RDWR, 0));
	TRY(peer_does(&a, flocks, "", LOCK_SH, 0));
	TRY(peer_does(&b, flocks, "", LOCK_SH | LOCK_NB, 0));
	TRY(peer_does(&b, flocks, "", LOCK_EX | LOCK_NB, 0));
	TRY(peer_does(&b, flocks, "", LOCK_UN, 0));
	TRY(peer_does(&a, flocks, "", LOCK_EX | LOCK_NB, 0));
	peer_start(&b, flocks, "", LOCK_EX, 0);
	TRY(peer_sleeps(&b));
	TRY(peer_does(&a, closes, "", 0, 0));
	TRY(peer_end(&b));
	TRY(peer_does(&a, opens, "locked", O_RDONLY, 0));
	TRY(peer_does(&a, flocks, "", LOCK_SH | LOCK_NB, 0));
	TRY(peer_does(&a, locks, "", F_RDLCK, 0));
	peer_start(&a, flocks, "", LOCK_EX, 0);
	TRY(peer_sleeps(&a));
	peer_kill(&b);
	TRY(peer_end(&a));
	peer_free(&a);
}

/* Several programs do this at once; the sum of their results. */
static long together(int count, long (*run)(int number))
{
	pid_t pid[8];
	int i, status;
	long all = 0;

	for (i = 0; i < count; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit((int)run(i));
	}
	for (i = 0; i < count; i++) {
		waitpid(pid[i], &status, 0);
		all += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
	}
	return all;
}

static long append(int number)
{
	int i, wrong = 0, fd = open("appended", O_WRONLY | O_APPEND | O_CLOEXEC);
	char line[20];

	for (i = 0; i < 10; i++) {
		snprintf(line, sizeof line, "%d %4d......\n", number, i);
		wrong += write(fd, line, 13) != 13;
	}
	return wrong;
}

static long win(int number)
{
	char name[20];
	int i, fd, won = 0;

	(void)number;
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "one%d", i);
		fd = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		won += fd != -1;
		close(fd);
	}
	return won;
}

static long take(int number)
{
	char from[20], to[20];
	int i, took = 0;

	for (i = 0; i < 10; i++) {
		snprintf(from, sizeof from, "one%d", i);
		snprintf(to, sizeof to, "took%d.%d", number, i);
		took += !rename(from, to);
	}
	return took;
}

static long count_up(int number)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int i, n = 0, wrong = 0, fd = open("counter", O_RDWR | O_CLOEXEC);

	(void)number;
	for (i = 0; i < 10; i++) {
		f.l_type = F_WRLCK;
		wrong += fcntl(fd, F_SETLKW, &f) || pread(fd, &n, sizeof n, 0) != sizeof n;
		n++;
		wrong += pwrite(fd, &n, sizeof n, 0) != sizeof n;
		f.l_type = F_UNLCK;
		wrong += fcntl(fd, F_SETLK, &f) != 0;
	}
	return wrong;
}

static void several(void)
{
	int fd, n = 0;

	make("appended", "", 0644);
	TRY(together(4, append));
	stat_is("appended");
	TRY(together(4, win));
	TRY(together(4, take));
	fd = file("counter", "", 0644);
	TRY(write(fd, &n, sizeof n));
	TRY(together(4, count_up));
	TRY(pread(fd, &n, sizeof n, 0));
	TRY(n);
	close(fd);
}

/* ---- big directories ---------------------------------------------------- */

struct seen {
	int count, wrong;
	unsigned long sum;
	unsigned char stable[500];
};

static void see(struct seen *s, const struct dirent *entry)
{
	const char *p;
	unsigned long hash = 0;
	int number;

	if (entry->d_name[0] == '.')
		return;
	for (p = entry->d_name; *p; p++)
		hash = hash * 31 + (unsigned char)*p;
	s->count++;
	s->sum += hash;
	if (sscanf(entry->d_name, "stable%d", &number) == 1)
		s->stable[number % 500]++;
	if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)
		s->wrong++;
}

static void read_on(DIR *dir, struct seen *s, int most)
{
	struct dirent *entry;

	while (most-- && (entry = readdir(dir)))
		see(s, entry);
}

static void tell_seen(const struct seen *s)
{
	about("%d entries, sum %lx, %d wrong", s->count, s->sum & 0xffffffff, s->wrong);
}

static void fill(int dir, const char *name, int first, int end)
{
	char number[40];
	int fd;

	for (; first < end; first++) {
		snprintf(number, sizeof number, "%s%d", name, first);
		fd = openat(dir, number, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd == -1)
			about("%s: %s", number, strerror(errno));
		close(fd);
	}
}

static int back_to(const char *name)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", now_in->back, name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void crowd(void)
{
	struct seen all = { 0 }, parts = { 0 }, rest = { 0 };
	const struct dirent *entry;
	int here, back, left = 0;
	long place;
	DIR *dir;

	TRY(mkdir("crowd", 0755));
	here = OPEN("crowd", O_RDONLY | O_DIRECTORY);
	back = back_to("crowd");
	fill(here, "file", 0, now_in->slow);
	fill(back, "file", now_in->slow, now_in->files);
	dir = opendir("crowd");
	read_on(dir, &all, -1);
	tell_seen(&all);
	rewinddir(dir);
	read_on(dir, &parts, 77);
	place = telldir(dir);
	rest = parts;
	read_on(dir, &parts, -1);
	tell_seen(&parts);
	seekdir(dir, place);
	read_on(dir, &rest, -1);
	tell_seen(&rest);
	TRY(rmdir("crowd"));
	/* who removes what he reads */
	rewinddir(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name + 4) < now_in->slow)
			unlinkat(here, entry->d_name, 0);
		else if (entry->d_name[0] != '.')
			unlinkat(back, entry->d_name, 0);
	rewinddir(dir);
	while (readdir(dir))
		left++;
	about("%d left", left);
	closedir(dir);
	close(here);
	close(back);
	TRY(rmdir("crowd"));
}

/* Files come and go, and change their names, until it is killed. */
static void change(int dir)
{
	char name[20], other[20];
	unsigned int i;

	for (i = 0;; i++) {
		snprintf(name, sizeof name, "coming%u", i % 100);
		snprintf(other, sizeof other, "going%u", i * 7 % 100);
		close(openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		if (i % 3 == 0)
			renameat(dir, name, dir, other);
		unlinkat(dir, i % 2 ? name : other, 0);
	}
}

/* What is there all the time is seen once, by whoever changes the rest. */
static void changing(void)
{
	int i, j, fd, round, lost = 0, doubled = 0;
	struct seen s;
	pid_t pid;
	DIR *dir;

	TRY(mkdir("changing", 0755));
	fd = back_to("changing");
	fill(fd, "stable", 0, 500);
	for (i = 0; i < 2; i++) {
		if (i) {
			close(fd);
			fd = OPEN("changing", O_RDONLY | O_DIRECTORY);
		}
		pid = fork();
		if (!pid)
			change(fd);
		for (round = 0; round < 3; round++) {
			memset(&s, 0, sizeof s);
			dir = opendir("changing");
			read_on(dir, &s, -1);
			closedir(dir);
			for (j = 0; j < 500; j++) {
				lost += !s.stable[j];
				doubled += s.stable[j] > 1;
			}
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		about("%d lost, %d doubled", lost, doubled);
	}
	close(fd);
}

/* ---- another user ------------------------------------------------------- */

static const int modes[] = { 0, 0600, 0060, 0006 };
static const struct {
	const char *name;
	uid_t uid;
	gid_t gid;
} owners[] = {
	{ "root", 0, 0 }, { "user", USER, USER }, { "group", 0, USER }, { "others", 0, GROUP }
};

static void as_user(void)
{
	static const char *const dirs[] = { "open", "closed", "sticky", "unseen", "unpassed" };
	char name[40];
	size_t i, j;
	int fd, error;
	struct stat s;
	ssize_t n;

	TRY(chdir("as"));
	for (i = 0; i < sizeof owners / sizeof owners[0]; i++)
		for (j = 0; j < sizeof modes / sizeof modes[0]; j++) {
			snprintf(name, sizeof name, "%s.%04o", owners[i].name, modes[j]);
			fd = open(name, O_RDONLY | O_CLOEXEC);
			about("%s: read: %s", name, fd == -1 ? strerror(errno) : "yes");
			close(fd);
			fd = open(name, O_WRONLY | O_CLOEXEC);
			about("%s: write: %s", name, fd == -1 ? strerror(errno) : "yes");
			close(fd);
			about("%s: access: %d%d%d", name, !access(name, R_OK),
			      !access(name, W_OK), !access(name, X_OK));
			about("%s: truncate: %s", name,
			      truncate(name, 0) ? strerror(errno) : "yes");
			about("%s: chmod: %s", name,
			      chmod(name, (mode_t)modes[j]) ? strerror(errno) : "yes");
			about("%s: utimes: %s", name,
			      utimensat(AT_FDCWD, name, NULL, 0) ? strerror(errno) : "yes");
			about("%s: chown: %s", name,
			      chown(name, USER, GROUP) ? strerror(errno) : "yes");
		}
	for (i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		TRY(chdir(now_in->dir));
		TRY(chdir("as"));
		about("%s:", dirs[i]);
		TRY(lists(dirs[i], 0, 0));
		snprintf(name, sizeof name, "%s/roots", dirs[i]);
		stat_is(name);
		TRY(unlink(name));
		snprintf(name, sizeof name, "%s/new", dirs[i]);
		close(opened("create", open(name, O_CREAT | O_EXCL | O_RDWR, 0666)));
		stat_is(name);
		TRY(chdir(dirs[i]));
	}
	TRY(chdir(now_in->dir));
	TRY(mkdir("as/sgid/dir", 0755));
	close(OPEN("as/sgid/file", O_CREAT | O_RDWR, 02775));
	stat_is("as/sgid/dir");
	stat_is("as/sgid/file");
	fd = OPEN("as/set", O_RDWR);
	stat_is("as/set");
	n = write(fd, "x", 1);
	error = errno;
	about("a set-id file is written to: %s, mode %o", n == 1 ? "yes" : strerror(error),
	      stat("as/set", &s) ? 0 : s.st_mode);
	close(fd);
	TRY(chown("as/mine", USER, USER));
	TRY(chown("as/mine", 0, USER));
	TRY(chown("as/mine", USER, GROUP));
	stat_is("as/mine");
	TRY(chmod("as/mine", 02770));
	stat_is("as/mine");
	TRY(mknod("as/open/device", S_IFCHR | 0666, makedev(1, 3)));
	TRY(link("as/root.0000", "as/open/link"));
	TRY(setxattr("as/mine", "trusted.x", "x", 1, 0));
	TRY(rename("as/sticky/roots", "as/open/moved"));
	TRY(rename("as/open/new", "as/sticky/new2"));
	TRY(rmdir("as/open/roots.d"));
}

static void others(void)
{
	static const struct { const char *name; mode_t mode; } dirs[] = {
		{ "as/open", 0777 }, { "as/closed", 0755 }, { "as/sticky", 01777 },
		{ "as/unseen", 0711 }, { "as/unpassed", 0744 }
	};
	const gid_t group = GROUP;
	char name[40];
	size_t i, j;
	pid_t pid;
	int status;

	TRY(mkdir("as", 0755));
	ck_assert_int_eq(chdir(now_in->back), 0);
	for (i = 0; i < sizeof owners / sizeof owners[0]; i++)
		for (j = 0; j < sizeof modes / sizeof modes[0]; j++) {
			snprintf(name, sizeof name, "as/%s.%04o", owners[i].name, modes[j]);
			make(name, "text", 0600);
			if (chown(name, owners[i].uid, owners[i].gid) ||
			    chmod(name, (mode_t)modes[j]))
				about("%s: %s", name, strerror(errno));
		}
	for (i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		TRY(mkdir(dirs[i].name, 0700));
		snprintf(name, sizeof name, "%s/roots", dirs[i].name);
		make(name, "text", 0644);
		TRY(chmod(dirs[i].name, dirs[i].mode));
	}
	TRY(mkdir("as/open/roots.d", 0755));
	TRY(mkdir("as/sgid", 0755));
	TRY(chown("as/sgid", USER, GROUP));
	TRY(chmod("as/sgid", 02777));
	make("as/set", "text", 0644);
	TRY(chmod("as/set", 06777));
	make("as/mine", "text", 0644);
	TRY(chown("as/mine", USER, USER));
	TRY(chmod("as/mine", 06755));
	ck_assert_int_eq(chdir(now_in->dir), 0);
	pid = fork();
	if (!pid) {
		if (setgroups(1, &group) || setgid(USER) || setuid(USER))
			about("another user: %s", strerror(errno));
		else
			as_user();
		_exit(0);
	}
	TRY(waitpid(pid, &status, 0) == pid && status == 0);
	stat_is("as/open/new");
	stat_is("as/sticky/new");
}

/* ---- all ---------------------------------------------------------------- */

void battery(const struct battery *b)
{
	static const struct { const char *name; void (*run)(void); } chapters[] = {
		{ "creating", creating }, { "contents", contents }, { "holes", holes },
		{ "links", links }, { "renames", renames }, { "directories", directories },
		{ "nodes", nodes }, { "attributes", attributes }, { "unlinked", unlinked },
		{ "mapping", mapping }, { "programs", programs }, { "locking", locking },
		{ "flocking", flocking }, { "several", several }, { "crowd", crowd },
		{ "changing", changing }, { "others", others }
	};
	const mode_t before = umask(022);
	size_t i;

	now_in = b;
	for (i = 0; i < sizeof chapters / sizeof chapters[0]; i++) {
		ck_assert_int_eq(chdir(b->dir), 0);
		chapter = chapters[i].name;
		chapters[i].run();
	}
	umask(before);
	ck_assert_int_eq(chdir("/"), 0);
}
