/* SPDX-License-Identifier: MIT */
/*
 * check_safe_sandbox.c - the sandbox of examples/sandbox.  This program is its own guest: run
 * with an argument, it does inside what is compared with what it does outside.
 */
#include <arpa/inet.h>
#include <asm/termbits.h>		/* for TCGETS on some */
#include <dirent.h>
#include <err.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/xattr.h>

#include "testing.h"

#define SET(to, from) snprintf((to), sizeof(to), "%s", (from))

static char dir[64], self[PATH_MAX];

/* What is killed later must be somebody: -1 would be everybody. */
static pid_t forked(void)
{
	const pid_t pid = fork();

	if (pid == -1)
		err(98, "fork");
	return pid;
}

/* Beside tests/ABI on a machine of tests/vm, or where it was built. */
static char *sandbox(void)
{
	static char name[PATH_MAX];
	const char *wish = getenv("SAFE_SANDBOX"), *p = strrchr(self, '/');
	char there[PATH_MAX + 32];

	if (!*name) {
		snprintf(there, sizeof there, "/examples%.*s/safe-sandbox",
			 strncmp(self, "/tests/", 7) ? 0 : (int)(p - self - 6), self + 6);
		if (!realpath(wish ? wish : access(there, X_OK) ? "examples/sandbox/safe-sandbox" :
			      there, name))
			errx(2, "no safe-sandbox");
	}
	return name;
}

/* ---- running a guest -------------------------------------------------------------- */

static char output[1 << 20];
static int no_landlock;
static rlim_t descriptors;	/* so many for the sandbox, too, if that is set */

/* The kernel has no Landlock, as far as what is started from here on can see. */
static void hide_landlock(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Starts it; both outputs go to a pipe. */
static pid_t start(char *const argv[], int *from)
{
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	fflush(NULL);
	pid = forked();
	if (!pid) {
		if (no_landlock)
			hide_landlock();
		if (descriptors)
			setrlimit(RLIMIT_NOFILE, &(struct rlimit){ descriptors, descriptors });
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		/* what is open beside the three is not the guest's */
		for (int fd = 3; fd < 100; fd++)
			close(fd);
		if (chdir(dir))
			_exit(99);
		execv(argv[0], argv);
		_exit(98);
	}
	close(fds[1]);
	*from = fds[0];
	return pid;
}

static int finish(pid_t pid, int from)
{
	size_t have = 0;
	ssize_t n;
	int status;

	while ((n = read(from, output + have, sizeof output - 1 - have)) > 0)
		have += (size_t)n;
	output[have] = 0;
	close(from);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Options of the sandbox, "--" and a command; both lists end with a null. */
#define MOST 24
static int run_argv(char *const arguments[])
{
	char *argv[MOST] = { sandbox() };
	int from, i;
	pid_t pid;

	for (i = 0; arguments[i]; i++)
		argv[i + 1] = arguments[i];
	pid = start(argv, &from);
	return finish(pid, from);
}
#define run(...) run_argv((char *[]){ __VA_ARGS__, NULL })
/* A guest that may read all, and write in dir. */
#define guest(...) run("-r", "/", "-w", dir, "-w", "/dev/null", "--", self, __VA_ARGS__)
#define outside(...) outside_argv((char *[]){ self, __VA_ARGS__, NULL })

/* What a program needs that is not static. */
#define LIBRARIES(path) ((char *)(uintptr_t)(access((path), F_OK) ? "/dev" : (path)))

static int outside_argv(char *const argv[])
{
	int from;
	pid_t pid = start(argv, &from);

	return finish(pid, from);
}

static void expect(int expected, int status)
{
	ck_assert_msg(status == expected, "status %d, not %d: %s", status, expected, output);
}

static void setup(void)
{
	SET(dir, "/tmp/safe-sandbox.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static void remove_all(const char *path)
{
	nftw(path, remove_one, 20, FTW_DEPTH | FTW_PHYS);
}

static void teardown(void)
{
	remove_all(dir);
}

/* ---- guests: what is as outside ------------------------------------------------------ */

static void tree(void)
{
	int fd = open("file", O_CREAT | O_WRONLY | O_TRUNC, 0644);
	struct sockaddr_un un = { AF_UNIX, "socket" };

	if (write(fd, "content", 7) != 7)
		exit(90);
	close(fd);
	unlink("new");
	unlink("target");
	if (!access("fifo", F_OK))
		return;
	mkdir("dir", 0755);
	close(open("dir/file", O_CREAT | O_WRONLY, 0600));
	close(open("none", O_CREAT | O_WRONLY, 0000));
	mkfifo("fifo", 0666);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&un, sizeof un))
		exit(91);
	close(fd);
	if (symlink("file", "link") || symlink("dir", "dirlink") || symlink("target", "dangling") ||
	    symlink("loop", "loop") || symlink("/proc/self/fd", "fds") || symlink("link", "link2") ||
	    symlink("file/", "slash") || symlink("new/", "newslash") || symlink("dir/", "dirslash") ||
	    symlink("dir/../file", "around") || symlink("/dev/null", "nulllink"))
		exit(91);
}

/* What an open said, and what it did. */
static void tell(const char *what, const char *path, int flags, int fd)
{
	struct stat st;

	printf("%s %.40s %o: ", what, path, (unsigned int)flags);
	if (fd == -1)
		printf("%s", strerror(errno));
	else if (fstat(fd, &st))
		printf("?");
	else
		printf("%d %x fd %d mode %o size %d", fd,
		       (unsigned int)fcntl(fd, F_GETFL) & ~(unsigned int)O_NOFOLLOW,
		       fcntl(fd, F_GETFD), st.st_mode, S_ISREG(st.st_mode) ? (int)st.st_size : 0);
	if (!lstat("file", &st))
		printf(" file %d", (int)st.st_size);
	printf("%s%s\n", lstat("new", &st) ? "" : " new", lstat("target", &st) ? "" : " target");
	if (fd != -1)
		close(fd);
}

/* On a slow machine one of so many; and what this machine doesn't have in /dev. */
static int skipped(const char *path)
{
	static unsigned int row;

	return (!strncmp(path, "/dev/", 5) && access(path, F_OK)) ||
		row++ % (unsigned int)(stride() | 1);
}

static const char *paths(int i)
{
	static char name[300];
	static const char *const all[] = {
		"file", "dir", "link", "link2", "dirlink", "dangling", "loop", "fifo", "socket",
		"none", "new", "new/", "nodir/new", "file/", "file/x", "dir/", "dirlink/", "link/",
		"dangling/", "", ".", "..", "/", "//", "dir/./../file", "dirlink/../file", "around",
		"./file", "dirlink/file", "loop/x", "/dev/null", "nulllink", "/proc/self/exe",
		"/proc/self/cwd", "/proc/self/fd/0", "/dev/fd/0", "/dev/stdin", "fds/0", "fds/77",
		"/proc/self/status", "/proc/thread-self/comm", "/proc/mounts", "/proc/self/fd/77",
		"/proc/self/cwd/file", "/proc/self/root/dev/null", "/proc/self/task", "/dev/tty",
		"/proc/self/fd/3", "/proc/self/fd/3/file", "/proc/self/fd/4", "slash", "newslash",
		"dirslash",
	};

	if (i < (int)(sizeof all / sizeof *all))
		return all[i];
	memset(name, 'n', 256);
	return i == (int)(sizeof all / sizeof *all) ? name : NULL;
}

static const int flags_of[] = {
	0, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_TMPFILE,
	O_APPEND, O_CREAT | O_DIRECTORY, O_CLOEXEC, O_PATH | O_NOFOLLOW, O_EXCL,
	O_CREAT | O_NOFOLLOW, O_CREAT | O_TRUNC, O_SYNC | O_NOATIME, O_PATH | O_DIRECTORY,
	O_TMPFILE | O_EXCL, O_NOFOLLOW | O_DIRECTORY, O_CREAT | O_EXCL | O_NOFOLLOW,
};
#define FLAGS ((int)(sizeof flags_of / sizeof *flags_of))

static void guest_opens(void)
{
	static char longer[5000];
	const char *path;
	int i, j, mode, flags;

	umask(027);
	tree();
	/* descriptors 3 and 4: a directory, and a file that has no name any more */
	if (open("dir", O_RDONLY) != 3 || open("gone", O_CREAT | O_RDWR, 0600) != 4 ||
	    unlink("gone"))
		exit(92);
	for (i = 0; (path = paths(i)); i++)
		for (j = 0; j < FLAGS; j++)
			for (mode = 0; mode < 3; mode++) {
				flags = flags_of[j] | mode | O_NONBLOCK;
				if (skipped(path))
					continue;
				tell("open", path, flags, open(path, flags, 0666));
				tree();
			}
	for (i = 0; (path = paths(i)); i++)
		for (j = 0; j < FLAGS && !skipped(path); j += 3)
			tell("openat", path, flags_of[j],
			     openat(3, path, flags_of[j] | O_NONBLOCK, 0640));
	tell("openat", "file", 0, openat(77, "file", O_RDONLY));
	tell("openat", "file", 0, openat(4, "file", O_RDONLY));
	tell("creat", "new", 0, creat("new", 0606));
	memset(longer, '/', 4990);
	tell("open", longer, 0, open(longer, O_RDONLY));
	longer[4095] = 0;
	tell("open", longer, 0, open(longer, O_RDONLY));
}

struct how {
	uint64_t flags, mode, resolve;
};

static int openat2(int at, const char *path, const void *how, size_t size)
{
	return (int)syscall(437, (long)at, path, how, size);
}

static void guest_openat2(void)
{
	static const uint64_t resolves[] = { 0, 1, 2, 4, 8, 16, 4 | 8, 8 | 16, 2 | 4, 64 };
	static const uint64_t flags[] = {
		/* not O_PATH: openat2() doesn't have that inside */
		O_RDONLY, O_WRONLY, O_RDWR, O_CREAT | O_EXCL | O_RDWR, O_CREAT | O_RDWR, O_NOFOLLOW,
		O_DIRECTORY,
	};
	struct { struct how how; char more[8]; } how;
	const char *path;
	int i, j, k;

	umask(0);
	tree();
	if (open("dir", O_RDONLY) != 3 || open(".", O_RDONLY) != 4)
		exit(92);
	for (i = 0; (path = paths(i)); i++)
		for (j = 0; j < 10; j++)
			for (k = 0; k < 7; k++) {
				/* what the supervisor's own /proc/self would be, with flags of which
				 * only the kernel knows what they mean */
				if (resolves[j] && (strstr(path, "proc") || strstr(path, "fd") ||
						    strstr(path, "stdin")))
					continue;
				if (skipped(path))
					continue;
				memset(&how, 0, sizeof how);
				how.how.flags = flags[k] | O_NONBLOCK;
				how.how.mode = flags[k] & O_CREAT ? 0640 : 0;
				how.how.resolve = resolves[j];
				printf("%d ", (int)resolves[j]);
				tell("openat2", path, (int)how.how.flags,
				     openat2(j & 1 ? 4 : 3, path, &how, sizeof how.how));
				tree();
			}
	memset(&how, 0, sizeof how);
	tell("short", "file", 0, openat2(4, "file", &how, 8));
	tell("longer", "file", 0, openat2(4, "file", &how, sizeof how));
	how.more[3] = 1;
	tell("too long", "file", 0, openat2(4, "file", &how, sizeof how));
	how.how.mode = 0600;
	tell("mode", "file", 0, openat2(4, "file", &how, sizeof how.how));
	how.how.mode = 0;
	for (how.how.resolve = 0; how.how.resolve < 32; how.how.resolve = how.how.resolve * 2 + 1) {
		tell("no directory", "file", 0, openat2(99, "file", &how, sizeof how.how));
		tell("no directory", "/file", 0, openat2(99, "/nothing", &how, sizeof how.how));
	}
	how.how.resolve = 0;
	how.how.flags = 1ull << 40;
	tell("flags", "file", 0, openat2(4, "file", &how, sizeof how.how));
	tell("fault", "file", 0, openat2(4, "file", (void *)8, sizeof how.how));
}

#define TELL(call) (printf("%s: ", #call), printf("%d ", (int)(call)), \
		    printf("%s\n", strerror(errno)), errno = 0)

static void show(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		printf("  %s: %s\n", path, strerror(errno));
	else
		printf("  %s: mode %o links %d size %d uid %d gid %d mtime %lld\n", path, st.st_mode,
		       (int)st.st_nlink, S_ISREG(st.st_mode) ? (int)st.st_size : 0, (int)st.st_uid,
		       (int)st.st_gid, st.st_mtime < 1000000 ? (long long)st.st_mtime : -1);
	errno = 0;
}

static int kernel_before(int version, int minor)
{
	struct utsname kernel;
	int has[2] = { 0, 0 };

	uname(&kernel);
	sscanf(kernel.release, "%d.%d", &has[0], &has[1]);
	return has[0] < version || (has[0] == version && has[1] < minor);
}

static int own_chmod(int at, const char *name, int mode, int flags)
{
	/* since 6.6; in the sandbox it is there before */
	return kernel_before(6, 6) ? 0 : (int)syscall(SYS_openat2 + 15, at, name, mode, flags);
}

/* What is in newer calls, too. */
static void former(int at)
{
#ifdef SYS_utime
	struct timeval values[2] = { { 5000, 7 }, { 6000, 8 } };
	long seconds[2] = { 7000, 8000 };

	TELL(syscall(SYS_utimes, "file", values)); show("file"); TELL(syscall(SYS_utimes, NULL, values));
	TELL(syscall(SYS_futimesat, at, "file", values)); show("dir/file"); TELL(syscall(SYS_futimesat, at, NULL, values));
	TELL(syscall(SYS_utime, "link", seconds)); show("file"); TELL(syscall(SYS_utime, "file", NULL)); show("file");
	values[1].tv_usec = 1000000; TELL(syscall(SYS_utimes, "file", values)); TELL(syscall(SYS_utime, "file", 8));
#endif
	errno = 0;
	TELL(own_chmod(at, "file", 0611, 0)); show("dir/file"); TELL(own_chmod(AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW));
	TELL(own_chmod(at, "", 0711, AT_EMPTY_PATH)); show("dir"); TELL(own_chmod(at, "", 0755, AT_EMPTY_PATH));
}

static void guest_names(void)
{
	struct timespec times[2] = { { 1000, 0 }, { 2000, 5 } };
	struct timespec omit[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };
	struct timeval values[2] = { { 3000, 0 }, { 4000, 5 } };
	struct sockaddr_un un = { AF_UNIX, "bound" };
	struct { sa_family_t family; char path[198]; } big;
	char text[64] = "";
	int fd, at, path, pipes[2];

	umask(022);
	if (pipe2(pipes, O_CLOEXEC))
		exit(93);
	errno = 0;
	tree();
	at = open("dir", O_RDONLY);
	path = open("file", O_PATH);
	TELL(mkdir("d", 0777)); show("d");
	TELL(mkdir("d", 0777)); TELL(mkdir("d2/", 0700)); TELL(mkdir("no/d", 0700));
	TELL(mkdir("/", 0700)); TELL(mkdir("", 0700)); TELL(mkdir("file/x", 0700));
	TELL(mkdirat(at, "sub", 0750)); show("dir/sub"); TELL(mkdir("dangling", 0700));
	TELL(rmdir("d2")); TELL(rmdir("dir")); TELL(rmdir("file")); TELL(rmdir("d/.")); TELL(rmdir("d/"));
	TELL(unlink("dir")); TELL(unlink("no")); TELL(unlink("file/")); TELL(unlink("link2"));
	TELL(unlinkat(at, "sub", AT_REMOVEDIR)); TELL(unlinkat(at, "sub", 0)); TELL(unlinkat(99, "x", 0));
	TELL(symlink("anything at all", "sym")); TELL(symlink("x", "sym")); show("sym");
	TELL(symlinkat("y", at, "sym2")); show("dir/sym2"); TELL(symlink("", "empty"));
	TELL(mknod("node", S_IFREG | 0666, 0)); show("node"); TELL(mkfifo("ff", 0666)); show("ff");
	TELL(mknod("sock", S_IFSOCK | 0600, 0)); show("sock"); TELL(mknodat(at, "n", 0600, 0));
	TELL(link("file", "hard")); show("hard"); TELL(link("sym", "hardsym")); show("hardsym");
	TELL(link("file", "dir")); TELL(link("no", "n2")); TELL(link("dir", "n2"));
	TELL(linkat(AT_FDCWD, "link", at, "l", AT_SYMLINK_FOLLOW)); show("dir/l");
	TELL(linkat(AT_FDCWD, "link", at, "l2", 0x4000)); TELL(linkat(at, "l", AT_FDCWD, "l3", 0));
	TELL(rename("hard", "harder")); show("hard"); show("harder"); TELL(rename("no", "x"));
	TELL(rename("file", "dir")); TELL(rename("dir", "file")); TELL(rename("dir", "dir/x"));
	TELL(renameat(at, "l", AT_FDCWD, "back")); show("back"); TELL(rename("d", "d"));
	TELL(syscall(SYS_renameat2, AT_FDCWD, "back", AT_FDCWD, "sym", 2)); show("back"); show("sym");
	TELL(syscall(SYS_renameat2, AT_FDCWD, "back", AT_FDCWD, "sym", 1));
	TELL(chmod("file", 0600)); show("file"); TELL(chmod("link", 0640)); show("file");
	TELL(chmod("no", 0)); TELL(chmod("dangling", 0)); TELL(fchmodat(at, "file", 0604, 0)); show("dir/file");
	fd = open("file", O_RDONLY);
	TELL(fchmod(fd, 0644)); show("file"); TELL(fchmod(path, 0600)); TELL(fchmod(99, 0600));
	TELL(chown("file", getuid(), getgid())); TELL(lchown("link", (uid_t)-1, (gid_t)-1));
	TELL(fchown(fd, getuid(), (gid_t)-1)); TELL(fchown(path, 0, 0)); TELL(fchownat(at, "", getuid(), getgid(), AT_EMPTY_PATH));
	TELL(fchownat(path, "", getuid(), getgid(), AT_EMPTY_PATH)); TELL(fchownat(at, "", 0, 0, 0));
	TELL(truncate("file", 3)); show("file"); TELL(truncate("dir", 3)); TELL(truncate("no", 3));
	TELL(truncate("file", -1)); TELL(ftruncate(fd, 1));
	TELL(utimensat(AT_FDCWD, "file", times, 0)); show("file");
	TELL(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW)); show("link"); show("file");
	TELL(futimens(fd, times)); show("file"); TELL(utimes("file", values)); show("file");
	TELL(futimens(99, times)); TELL(utimensat(AT_FDCWD, "file", NULL, 0)); show("file");
	TELL(syscall(SYS_utimensat, path, NULL, times, 0)); TELL(syscall(SYS_utimensat, AT_FDCWD, NULL, times, 0));
	TELL(syscall(SYS_utimensat, fd, NULL, times, AT_SYMLINK_NOFOLLOW)); TELL(utimensat(AT_FDCWD, "no", omit, 0));
	former(at);
	TELL(rename("/", "x")); TELL(rename("x", "/")); TELL(rmdir("/")); TELL(unlink("/")); TELL(rmdir(".."));
	TELL(rmdir(".")); TELL(rename(".", "x")); TELL(rename("file", "..")); TELL(unlink(".")); TELL(unlink("dir/.."));
	TELL(utimensat(99, "no", omit, 0)); TELL(utimensat(AT_FDCWD, "no", omit, 1));
	TELL(utimensat(AT_FDCWD, "no", NULL, 0)); times[0].tv_nsec = -1; TELL(utimensat(AT_FDCWD, "file", times, 0));
	TELL(setxattr("file", "user.x", "value", 5, 0)); TELL(setxattr("file", "user.x", "v", 1, XATTR_CREATE));
	TELL(getxattr("file", "user.x", text, sizeof text)); puts(text);
	TELL(fsetxattr(fd, "user.y", "", 0, 0)); TELL(lsetxattr("sym", "user.y", "", 0, 0));
	TELL(removexattr("file", "user.x")); TELL(fremovexattr(fd, "user.z")); TELL(setxattr("no", "user.x", "", 0, 0));
	TELL(setxattr("file", "bad", "", 0, 0)); TELL(fsetxattr(path, "user.y", "", 0, 0));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	TELL(bind(fd, (void *)&un, sizeof un)); show("bound"); TELL(bind(fd, (void *)&un, sizeof un));
	TELL(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, sizeof un)); TELL(listen(fd, 1));
	TELL(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, sizeof un));
	SET(un.sun_path, "file");
	TELL(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, sizeof un)); TELL(bind(fd, (void *)&un, sizeof un));
	SET(un.sun_path, "no");
	TELL(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, sizeof un)); TELL(bind(99, (void *)&un, sizeof un));
	for (size_t size = 0; size <= sizeof big; size++) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		memset(&big, size & 1 ? 'x' : 1, sizeof big);	/* one is longer in a line of -v */
		big.family = AF_UNIX;
		if (size != 2) {	/* an abstract name is refused */
			TELL(bind(fd, (void *)&big, (socklen_t)size));
			TELL(connect(fd, (void *)&big, (socklen_t)size));
		}
		close(fd);
	}
	TELL(fchmod(pipes[0], 0600)); TELL(fchown(pipes[1], getuid(), getgid())); TELL(futimens(pipes[0], NULL));
	TELL(fsetxattr(pipes[0], "user.a", "b", 1, 0)); TELL(fchmod(socket(AF_UNIX, SOCK_STREAM, 0), 0600));
	fd = open(".", O_TMPFILE | O_RDWR, 0640);
	snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
	TELL(linkat(AT_FDCWD, text, AT_FDCWD, "from_tmp", AT_SYMLINK_FOLLOW)); show("from_tmp");
	TELL(syscall(SYS_unlinkat, AT_FDCWD, NULL, 0)); TELL(syscall(SYS_mkdirat, AT_FDCWD, (void *)8, 0));
	TELL(syscall(SYS_openat, AT_FDCWD, (void *)8, 0)); TELL(syscall(9999)); TELL(syscall(-1));
	TELL(chdir("dir")); TELL(open("file", O_RDONLY)); TELL(open("../file", O_RDONLY)); TELL(kill(getpid(), 0));
	TELL(kill(999999999, 0)); TELL(kill(getpid(), 99)); TELL(setpgid(0, 0)); TELL(kill(0, 0));
}

/* ---- guests: ways around ------------------------------------------------------------- */

/* Makes a call as another ABI does: x32's by a number, i386's by another instruction. */
#if defined __x86_64__ && !defined __ILP32__
static long as_x32(long number)
{
	return syscall(0x40000000 + number, AT_FDCWD, "/etc/passwd", 0, 0) == -1 ? -errno : 0;
}
#endif

#ifdef __x86_64__
static long call_i386(int number)
{
	/* a path below 4 GiB */
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long result;

	memcpy(low, "/etc/passwd", 12);
	__asm__ volatile("int $0x80" : "=a"(result) : "0"((long)number), "b"(low), "c"(0L), "d"(0L)
			 : "r8", "r9", "r10", "r11", "memory");
	return result;
}
#endif

/* A kernel that has no such calls sends a signal. */
static long as_i386(int number)
{
#ifdef __x86_64__
	int status;
	const pid_t child = forked();

	if (!child)
		_exit((int)-call_i386(number));
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
#else
	(void)number;
	return -EPERM;
#endif
}

static pid_t outsider;		/* the test itself, or a child of it */

#define WANT(error, call) want(error, #call, (errno = 0, (long)(call)))
static int wrong;

static void want(int error, const char *what, long result)
{
	const int e = result == -1 ? errno : 0;

	if (e != error) {
		printf("%s: %ld %s, not %s\n", what, result, strerror(e), strerror(error));
		wrong = 1;
	}
}

static int socket_of(int family, int type, int protocol)
{
	const int fd = socket(family, type, protocol);

	if (fd != -1)
		close(fd);
	return fd == -1 ? -1 : 0;
}

static int connect_abstract(const char *name, socklen_t length)
{
	struct sockaddr_un un = { AF_UNIX, "" };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(un.sun_path + 1, name, 4);
	return connect(fd, (void *)&un, length);
}

static int fastopen(void)
{
	struct sockaddr_in in = { AF_INET, htons(9), { htonl(INADDR_LOOPBACK) }, "" };

	return (int)sendto(socket(AF_INET, SOCK_STREAM, 0), "x", 1, 0x20000000, (void *)&in, sizeof in);
}

static int connect_to(int port, int family)
{
	struct sockaddr_in in = { AF_INET, htons((uint16_t)port), { htonl(INADDR_LOOPBACK) }, "" };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = in.sin_port };
	const int fd = socket(family, SOCK_STREAM, 0);

	inet_pton(AF_INET6, "::ffff:127.0.0.1", &in6.sin6_addr);
	return family == AF_INET ? connect(fd, (void *)&in, sizeof in) :
	       connect(fd, (void *)&in6, sizeof in6);
}

static int owner_ex(int fd, pid_t pid)
{
	struct { int type, pid; } owner = { 1, pid };

	return fcntl(fd, 15, &owner);
}

/* What came after this program may do anything. */
static void unknown_calls(void)
{
	const int beyond = 462;		/* what headers of 2022 don't know */

	for (int i = 0; i < 200; i++)
		WANT(ENOSYS, syscall(SYS_openat2 - 437 + beyond + i, 0, 0, 0, 0, 0, 0));
}

/* A child may be told what one may be told oneself; so it is from outside, and by its number. */
static void others_inside(void)
{
	struct rlimit limit = { 7, 8 }, former = { 0, 0 };
	struct { uint32_t size, policy; uint64_t flags; int32_t nice; char more[28]; } attr = {
		.size = 48, .policy = 3 /* SCHED_BATCH */
	};
	unsigned long mask[16] = { 0 };
	const long most = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
	int zero = 0;
	pid_t child = forked();

	if (!child) {
		pause();
		_exit(1);
	}
	WANT(0, syscall(SYS_prlimit64, child, RLIMIT_NOFILE, &limit, &former));
	WANT(0, former.rlim_cur > 8 ? 0 : -1);
	WANT(0, syscall(SYS_prlimit64, child, RLIMIT_NOFILE, NULL, &former));
	WANT(0, former.rlim_cur == 7 && former.rlim_max == 8 ? 0 : -1);
	WANT(EFAULT, syscall(SYS_prlimit64, child, RLIMIT_NOFILE, (void *)8, NULL));
	WANT(EFAULT, syscall(SYS_prlimit64, child, RLIMIT_NOFILE, NULL, (void *)8));
	WANT(EINVAL, syscall(SYS_prlimit64, child, 99, NULL, NULL));
	WANT(0, syscall(SYS_sched_setaffinity, child, most, mask));
	WANT(EFAULT, syscall(SYS_sched_setaffinity, child, 8, (void *)8));
	WANT(0, syscall(SYS_sched_setattr, child, &attr, 0));
	WANT(0, syscall(SYS_sched_getscheduler, child) == 3 ? 0 : -1);
	WANT(EINVAL, syscall(SYS_sched_setattr, child, NULL, 0));
	WANT(0, syscall(SYS_sched_setscheduler, child, 0, &zero));
	WANT(0, syscall(SYS_sched_setparam, child, &zero));
	WANT(0, setpriority(PRIO_PROCESS, (id_t)child, 3) || getpriority(PRIO_PROCESS, (id_t)child) != 3);
	WANT(0, syscall(SYS_ioprio_set, 1, child, 0));
	WANT(0, kill(child, SIGKILL) || waitpid(child, NULL, 0) != child);
	WANT(ESRCH, syscall(SYS_prlimit64, child, RLIMIT_NOFILE, NULL, &former));
}

static long set_option(int family, int level, int name)
{
	const int s = socket(family, SOCK_STREAM, 0), zero = 0;
	const long n = s == -1 && family == AF_INET6 && errno == EAFNOSUPPORT ? (errno = EPERM, -1) :
		syscall(SYS_setsockopt, s, level, name, &zero, sizeof zero);
	const int error = errno;

	close(s);
	errno = error;
	return n;
}

static void guest_bypasses(void)
{
	struct iovec v = { output, 1 };
	char name[64];
	int fd[2], zero = 0;
	void *robust;
	size_t size;

	/* outside, some of what follows would be done */
	if (prctl(PR_GET_SECCOMP) != SECCOMP_MODE_FILTER || pipe(fd))
		exit(93);
	WANT(EPERM, socket_of(AF_INET, SOCK_DGRAM, 0));
	WANT(EPERM, socket_of(AF_INET6, SOCK_DGRAM, 0));
	WANT(EPERM, socket_of(AF_INET, SOCK_RAW, 1));
	WANT(EPERM, socket_of(AF_INET, SOCK_STREAM, 262));	/* MPTCP */
	WANT(EPERM, socket_of(AF_INET, SOCK_STREAM, 132));	/* SCTP */
	WANT(EPERM, socket_of(AF_NETLINK, SOCK_RAW, 0));
	WANT(EPERM, socket_of(AF_PACKET, SOCK_RAW, 0));
	WANT(EPERM, socket_of(38, SOCK_SEQPACKET, 0));		/* AF_ALG */
	WANT(EPERM, socket_of(40, SOCK_STREAM, 0));		/* AF_VSOCK */
	WANT(EPERM, socket_of(AF_UNIX, SOCK_DGRAM, 0));
	WANT(EPERM, socketpair(AF_UNIX, SOCK_DGRAM, 0, (int[2]){ 0 }));
	WANT(0, socket_of(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	WANT(0, socket_of(AF_INET, SOCK_STREAM, 6));
	WANT(EPERM, connect_abstract("abcd", 8));
	WANT(EPERM, fastopen());
	WANT(EPERM, set_option(AF_INET, IPPROTO_IP, IP_OPTIONS));	/* a source route */
	WANT(EPERM, set_option(AF_INET6, IPPROTO_IPV6, 57));	/* IPV6_RTHDR */
	WANT(EPERM, set_option(AF_INET, IPPROTO_IP, 64));	/* IPT_SO_SET_REPLACE */
	WANT(0, set_option(AF_INET, IPPROTO_IP, IP_TOS));
	WANT(0, set_option(AF_INET, SOL_SOCKET, SO_KEEPALIVE));
	WANT(ENOSYS, syscall(444, NULL, 0, 1));			/* landlock_create_ruleset */
	WANT(EPERM, syscall(425, 1, NULL));			/* io_uring_setup */
	WANT(EPERM, syscall(426, 1, 0, 0, 0, NULL, 0));
	WANT(EPERM, syscall(427, 1, 0, NULL, 0));
	WANT(EPERM, ptrace(PTRACE_ATTACH, outsider, 0, 0));
	WANT(EPERM, ptrace(PTRACE_TRACEME, 0, 0, 0));
	WANT(EPERM, process_vm_readv(outsider, &v, 1, &v, 1, 0));
	WANT(EPERM, process_vm_writev(getpid(), &v, 1, &v, 1, 0));
	WANT(EPERM, syscall(438, 0, 0, 0));			/* pidfd_getfd */
	WANT(EPERM, mount("none", "/no/where", "tmpfs", 0, NULL));
	WANT(EPERM, umount2("/no/where", 0));
	WANT(EPERM, syscall(SYS_setns, 0, 0));
	WANT(EPERM, syscall(428, AT_FDCWD, "/", 0));		/* open_tree */
	WANT(EPERM, syscall(429, -1, "", -1, "", 0));		/* move_mount */
	WANT(EPERM, syscall(430, "tmpfs", 0));			/* fsopen */
	WANT(EPERM, chroot("/tmp"));
	WANT(EPERM, syscall(SYS_unshare, 0x10000000));		/* CLONE_NEWUSER */
	WANT(EPERM, syscall(SYS_unshare, 0x00020000));
	WANT(0, syscall(SYS_unshare, 0x00000200));		/* CLONE_FS */
#ifndef __s390x__
	WANT(EPERM, syscall(SYS_clone, 0x10000000 | SIGCHLD, 0, 0, 0, 0));
	WANT(EPERM, syscall(SYS_clone, 0x00800000 | SIGCHLD, 0, 0, 0, 0));	/* untraced */
#else
	WANT(EPERM, syscall(SYS_clone, 0, 0x10000000 | SIGCHLD, 0, 0, 0));
	WANT(EPERM, syscall(SYS_clone, 0, 0x00800000 | SIGCHLD, 0, 0, 0));
#endif
	WANT(ENOSYS, syscall(435, NULL, 0));			/* clone3 */
	WANT(EPERM, syscall(SYS_bpf, 0, NULL, 0));
	WANT(EPERM, syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	WANT(EPERM, syscall(SYS_add_key, "user", "x", "y", 1, -3));
	WANT(EPERM, syscall(SYS_userfaultfd, 0));
	WANT(EPERM, syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
	WANT(EPERM, syscall(SYS_fanotify_init, 0, 0));
	WANT(EPERM, syscall(SYS_open_by_handle_at, 0, NULL, 0));
	WANT(EPERM, syscall(SYS_kcmp, outsider, getpid(), 0, 0, 0));
	WANT(EPERM, ioctl(0, TIOCSTI, "x"));
	WANT(EPERM, syscall(SYS_ioctl, 0, TIOCSTI | 1ul << 31 << 1, "x"));
	WANT(EPERM, ioctl(fd[0], FIOSETOWN, &zero));
	WANT(0, ioctl(fd[0], FIONREAD, &zero));
	WANT(ENOTTY, ioctl(fd[0], TCGETS, name));
	WANT(0, ioctl(fd[0], FIONBIO, &zero));
	WANT(EPERM, ioctl(fd[0], _IOW(0x94, 50, char[256]), name));	/* FS_IOC_SETFSLABEL */
	WANT(EPERM, ioctl(fd[0], _IOWR('X', 121, char[24]), name));	/* FITRIM */
	WANT(EPERM, ioctl(fd[0], _IOW('f', 2, long), &zero));		/* FS_IOC_SETFLAGS */
	WANT(EPERM, ioctl(fd[0], 0x5423 /* TIOCSETD */, &zero));
	WANT(EPERM, fcntl(fd[0], F_SETOWN, outsider));
	WANT(EPERM, fcntl(fd[0], F_SETOWN, -getppid()));
	WANT(EPERM, owner_ex(fd[0], outsider));
	WANT(0, fcntl(fd[0], F_SETOWN, getpid()));
	WANT(0, owner_ex(fd[0], getpid()) || fcntl(fd[0], F_GETOWN) != getpid());
	WANT(0, owner_ex(fd[0], 0) || fcntl(fd[0], F_GETOWN));
	WANT(ESRCH, owner_ex(fd[0], 999999999));
	WANT(0, syscall(SYS_get_robust_list, getpid(), &robust, &size));
	WANT(EPERM, syscall(SYS_get_robust_list, getppid(), &robust, &size));
	WANT(EPERM, kill(-outsider, 0));
	WANT(ESRCH, kill(-999999999, 0));
	unknown_calls();
	others_inside();
	WANT(EPERM, kill(outsider, SIGTERM));
	WANT(EPERM, kill(outsider, 0));
	WANT(EPERM, kill(getppid(), SIGKILL));
	WANT(EPERM, kill(1, 0));
	WANT(EPERM, syscall(SYS_tgkill, getppid(), getppid(), SIGKILL));
	WANT(EPERM, syscall(SYS_tkill, getppid(), SIGKILL));
	WANT(EPERM, syscall(424, -1, SIGKILL, NULL, 0) == -1 && errno == EBADF ? (errno = EPERM, -1) : 0);
	WANT(EPERM, syscall(434, getppid(), 0));		/* pidfd_open */
	WANT(0, close((int)syscall(434, getpid(), 0)));
	WANT(0, kill(0, 0));
	WANT(0, kill(-1, 0) == 0 || errno == ESRCH ? 0 : -1);
	WANT(EPERM, sigqueue(getppid(), SIGTERM, (union sigval){ 0 }));
	WANT(EPERM, syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, &(uint64_t[2]){ 3, 3 }, NULL));
	WANT(0, syscall(SYS_prlimit64, getpid(), RLIMIT_NOFILE, NULL, &(uint64_t[2]){ 3, 3 }));
	WANT(EPERM, setpriority(PRIO_PROCESS, (id_t)getppid(), 19));
	WANT(EPERM, setpriority(PRIO_PGRP, 999999999, 19));
	WANT(EPERM, setpriority(PRIO_USER, 999999999, 19));
	WANT(0, setpriority(PRIO_PROCESS, 0, 1));
	WANT(EPERM, mknod("disk", S_IFBLK | 0600, 0x0800));
	WANT(EPERM, mknod("mem", S_IFCHR | 0600, 0x0101));
	WANT(EPERM, syscall(SYS_quotactl, 0, NULL, 0, NULL));
	WANT(0, prctl(PR_SET_DUMPABLE, 0));
	/* what /proc has of others */
	snprintf(name, sizeof name, "/proc/%d/mem", (int)getppid());
	WANT(EACCES, open(name, O_RDONLY));
	snprintf(name, sizeof name, "/proc/%d/environ", (int)outsider);
	WANT(EACCES, open(name, O_RDONLY));
	snprintf(name, sizeof name, "/proc/%d/fd/0", (int)getppid());
	WANT(EACCES, open(name, O_RDONLY));
	snprintf(name, sizeof name, "/proc/%d/root/etc/passwd", (int)getppid());
	WANT(EACCES, open(name, O_RDONLY));
	snprintf(name, sizeof name, "/proc/%d/cwd", (int)getppid());
	WANT(EACCES, open(name, O_RDONLY));
	snprintf(name, sizeof name, "/proc/%d/task/%d/mem", (int)getppid(), (int)getppid());
	WANT(EACCES, open(name, O_RDWR));
	snprintf(name, sizeof name, "/proc/%d", (int)getppid());
	WANT(EACCES, open(name, O_RDONLY | O_DIRECTORY));
#if defined __x86_64__ && !defined __ILP32__
	WANT(EPERM, as_x32(SYS_openat) == -EPERM ? (errno = EPERM, -1) : 0);
	WANT(EPERM, as_x32(SYS_getpid) == -EPERM ? (errno = EPERM, -1) : 0);
#endif
	WANT(EPERM, as_i386(5) == -EPERM ? (errno = EPERM, -1) : 0);	/* open */
	WANT(EPERM, as_i386(20) == -EPERM ? (errno = EPERM, -1) : 0);	/* getpid */
	exit(wrong);
}

/* A thread has a table of descriptors for itself: 50 there is another one than in its process. */
static volatile int table_of;

static void *own_table(void *secret)
{
	syscall(SYS_unshare, 0x400);
	dup3(open(secret, O_PATH), 50, 0);
	table_of = (int)syscall(SYS_gettid);
	for (;;)
		pause();
	return NULL;
}

static void tables(char *secret)
{
	/* which was its process's, before a pidfd could be a thread's: see the manual page */
	const int error = kernel_before(6, 9) ? 0 : EACCES;
	int fd;
	char name[64];
	struct stat file, got = { .st_ino = 0 };
	pthread_t thread;

	dup3(open("file", O_RDWR), 50, 0);
	pthread_create(&thread, NULL, own_table, secret);
	while (!table_of)
		pause_ms(1);
	snprintf(name, sizeof name, "/proc/self/task/%d/fd/50", table_of);
	WANT(error, (fd = open(name, O_RDONLY)) < 0 ? -1 : fstat(fd, &got));
	WANT(0, !error && (stat("file", &file) || got.st_ino != file.st_ino));
	WANT(error, chmod(name, 0777));
	WANT(0, close(open("/proc/self/fd/50", O_RDWR)));
}

/* openat2() has its flags in memory. */
static volatile uint64_t flags_now[3];

static void *swap_flags(void *unused)
{
	while (!table_of) {
		flags_now[0] = O_PATH;
		sched_yield();
		flags_now[0] = O_RDONLY;
	}
	return unused;
}

static void guest_flags(const char *rounds)
{
	char name[64];
	pthread_t thread;
	int i, fd, n = 0;

	snprintf(name, sizeof name, "/proc/%d/status", (int)getppid());
	pthread_create(&thread, NULL, swap_flags, NULL);
	for (i = 0; i < atoi(rounds); i++) {
		fd = (int)syscall(437, AT_FDCWD, name, flags_now, sizeof flags_now);
		n += fd >= 0 && !(fcntl(fd, F_GETFL) & O_PATH);
		close(fd);
	}
	table_of = 1;
	pthread_join(thread, NULL);
	exit(n);
}

/* At the limit of descriptors nothing is made, and nothing cut. */
static void guest_full(void)
{
	const int fd = open("file", O_CREAT | O_WRONLY, 0600);
	struct stat st;

	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 70, 70 });
	dup2(1, 69);
	WANT(7, write(fd, "content", 7) == 7 ? (errno = 7, -1) : 0);
	while (dup(0) != -1)
		;
	WANT(EMFILE, open("new", O_CREAT | O_RDWR, 0600));
	WANT(ENOENT, access("new", F_OK));
	WANT(EMFILE, open("file", O_WRONLY | O_TRUNC));
	WANT(EMFILE, open("file", O_RDONLY));
	WANT(0, stat("file", &st) || st.st_size != 7);
	close(50);
	WANT(50, open("new", O_CREAT | O_RDWR, 0600) == 50 ? (errno = 50, -1) : 0);
	exit(wrong);
}

/* Some wait, and use up what the supervisor has for all: the others don't wait. */
static void *open_pipe(void *unused);

static void guest_scarce(void)
{
	pthread_t t;
	int i, fd;

	mkfifo("pipe", 0600);
	for (i = 0; i < 90; i++)
		if (pthread_create(&t, NULL, open_pipe, NULL))
			exit(91);
	for (i = 0; i < 500; i++) {
		WANT(0, (fd = open("/dev/null", O_RDONLY)) < 0 ? -1 : 0);
		close(fd);
	}
	exit(wrong);
}

/* So many lines that nobody reads. */
static void guest_talks(void)
{
	for (int i = 0; i < 5000; i++)
		close(open("/dev/null", O_RDONLY));
	close(open("spoken", O_CREAT | O_RDWR, 0600));
}

/* A second path that can't be read: nothing of the first may be left with the supervisor. */
static void guest_leaks(void)
{
	int i;

	for (i = 0; i < 300; i++) {
		syscall(SYS_renameat2, AT_FDCWD, "nothing", AT_FDCWD, (void *)8, 0);
		syscall(SYS_fchmodat, AT_FDCWD, "", 0);
	}
	exit(open("/dev/null", O_RDONLY) < 0);
}

/* With Landlock, or without any core. */
static void guest_core(void)
{
	struct rlimit most, none = { 0, 0 }, now;

	strncat(dir, ".out", sizeof dir - strlen(dir) - 1);
	if (chdir("../") || chdir(dir))
		exit(1);
	getrlimit(RLIMIT_CORE, &most);
	most.rlim_cur = most.rlim_max;
	none.rlim_max = most.rlim_max;	/* may not be raised again by all */
	WANT(0, setrlimit(RLIMIT_CORE, &none));
	syscall(SYS_prlimit64, getpid(), RLIMIT_CORE, (uint64_t[2]){ ~0ull, ~0ull }, NULL);
	setrlimit(RLIMIT_CORE, &most);
	WANT(0, getrlimit(RLIMIT_CORE, &now));
	WANT(0, setrlimit(RLIMIT_STACK, &(struct rlimit){ 1 << 20, 1 << 20 }));
	if (!wrong)
		raise(SIGABRT);
}

/* A path in a mount namespace of somebody outside looks as if it were below -w. */
static void guest_elsewhere(const char *pid)
{
	char name[128];
	int fd;

	snprintf(name, sizeof name, "/proc/%s/root", pid);
	fd = open(name, O_PATH);
	snprintf(name, sizeof name, "%s/secret", dir + 1);
	WANT(fd < 0 ? EBADF : EACCES, openat(fd, name, O_RDWR));
	WANT(fd < 0 ? EBADF : EACCES, unlinkat(fd, name, 0));
	exit(wrong);
}

static int signal_peer(const char *name)
{
	struct sockaddr_un un = { AF_UNIX, "" };
	const int s = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t size = sizeof(int);
	int fd;

	SET(un.sun_path, name);
	if (connect(s, (void *)&un, sizeof un) || getsockopt(s, SOL_SOCKET, 77, &fd, &size)) {
		errno = EPERM;		/* a kernel without SO_PEERPIDFD */
		return -1;
	}
	return (int)syscall(424, fd, 0, NULL, 0);
}

static void guest_peer(void)
{
	const int own = (int)syscall(434, getpid(), 0);
	pid_t child = forked();

	if (!child) {
		pause();
		_exit(1);
	}
	const int other = (int)syscall(434, child, 0);

	WANT(EPERM, signal_peer("outside"));
	WANT(0, syscall(424, own, 0, NULL, 0));
	WANT(EBADF, syscall(424, 0, 0, NULL, 0));
	WANT(EINVAL, syscall(424, own, 0, NULL, 64));
	WANT(0, syscall(424, other, SIGKILL, NULL, 0));
	WANT(0, waitpid(child, NULL, 0) == child ? 0 : -1);
	WANT(ESRCH, syscall(424, other, SIGKILL, NULL, 0));
	exit(wrong);
}

/* Below nothing that is allowed: what is there can be seen, and that is all. */
static void guest_denied(void)
{
	struct timespec times[2] = { { 0, 0 }, { 0, 0 } };
	struct sockaddr_un un = { AF_UNIX, "" };
	struct stat st;
	char name[128];
	int fd;

#define OUT(rest) (snprintf(name, sizeof name, "%s.out/%s", dir, rest), name)
	WANT(0, stat(OUT("file"), &st));
	WANT(0, access(OUT("file"), R_OK));
	WANT(EACCES, open(OUT("file"), O_RDONLY));
	WANT(EACCES, open(OUT("file"), O_WRONLY));
	WANT(EACCES, open(OUT("file"), O_RDONLY | O_TRUNC));
	WANT(EACCES, open(OUT("new"), O_CREAT | O_RDWR, 0600));
	WANT(EACCES, open(OUT(""), O_TMPFILE | O_RDWR, 0600));
	WANT(ENOENT, open(OUT("no"), O_RDONLY));
	WANT(EEXIST, open(OUT("file"), O_CREAT | O_EXCL, 0600));
	WANT(EACCES, open("to_out", O_RDONLY));
	WANT(EACCES, open("to_out_dir/file", O_RDONLY));
	WANT(EACCES, open("to_out_dir", O_RDONLY));
	WANT(EACCES, open("to_out_new", O_CREAT | O_WRONLY, 0600));
	snprintf(name, sizeof name, "../%s.out/file", strrchr(dir, '/') + 1);
	WANT(EACCES, open(name, O_RDONLY));
	fd = open(OUT(""), O_PATH);
	WANT(EACCES, openat(fd, "file", O_RDONLY));
	snprintf(name, sizeof name, "/proc/self/fd/%d/file", fd);
	WANT(EACCES, open(name, O_RDONLY));
	fd = open(OUT("file"), O_PATH);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	WANT(EACCES, open(name, O_RDONLY));
	WANT(EACCES, open(name, O_RDWR));
	WANT(EACCES, chmod(name, 0777));
	WANT(EACCES, unlink(OUT("file")));
	WANT(EACCES, rmdir(OUT("dir")));
	WANT(EACCES, mkdir(OUT("new"), 0700));
	WANT(EEXIST, mkdir(OUT("dir"), 0700));
	WANT(ENOENT, unlink(OUT("no")));
	WANT(EACCES, mkfifo(OUT("new"), 0700));
	WANT(EACCES, symlink("x", OUT("new")));
	WANT(EACCES, rename(OUT("file"), "mine/x"));
	WANT(EACCES, rename("file", OUT("new")));
	WANT(EACCES, link(OUT("file"), "mine/x"));
	WANT(EACCES, link("readable/file", "mine/x"));
	WANT(EACCES, link("file", OUT("new")));
	WANT(EACCES, chmod(OUT("file"), 0777));
	WANT(EACCES, chown(OUT("file"), getuid(), getgid()));
	WANT(EACCES, truncate(OUT("file"), 0));
	WANT(EACCES, utimensat(AT_FDCWD, OUT("file"), times, 0));
	WANT(EACCES, setxattr(OUT("file"), "user.x", "", 0, 0));
	WANT(EACCES, removexattr(OUT("file"), "user.x"));
	/* what may only be read */
	fd = open("readable/file", O_RDONLY);
	WANT(0, fd < 0 ? -1 : 0);
	WANT(EACCES, open("readable/file", O_WRONLY));
	WANT(EACCES, open("readable/file", O_RDONLY | O_TRUNC));
	WANT(EACCES, fchmod(fd, 0777));
	WANT(EACCES, fchown(fd, getuid(), getgid()));
	WANT(EACCES, futimens(fd, times));
	WANT(EACCES, fsetxattr(fd, "user.x", "", 0, 0));
	WANT(EACCES, fremovexattr(fd, "user.x"));
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	WANT(EACCES, open(name, O_RDWR));
	SET(un.sun_path, "readable/socket");
	WANT(EACCES, connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, sizeof un));
	memcpy(un.sun_path, OUT("socket"), sizeof un.sun_path);
	WANT(EACCES, connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, sizeof un));
	memcpy(un.sun_path, OUT("bound"), sizeof un.sun_path);
	WANT(EACCES, bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&un, sizeof un));
	WANT(EACCES, execl(OUT("true"), "true", (char *)NULL));
	WANT(EACCES, execl("to_out_true", "true", (char *)NULL));
	WANT(EACCES, execl(OUT("script"), "script", (char *)NULL));
	tables(OUT("file"));
	exit(wrong);
}

static void guest_connects(const char *port, int yes)
{
	const int n = atoi(port);

	WANT(yes ? 0 : EACCES, connect_to(n, AF_INET));
	WANT(yes ? 0 : EACCES, connect_to(n, AF_INET6));
	WANT(EACCES, connect_to(n + 1, AF_INET));
	exit(wrong);
}

/* ---- guests: races ---------------------------------------------------------------------- */

static volatile int over;
static char shared_path[1000];
static const char *mine = "mine/file";

static void *swap_path(void *other)
{
	while (!over) {
		SET(shared_path, mine);
		SET(shared_path, (const char *)other);
	}
	return NULL;
}

static void *swap_link(void *other)
{
	while (!over) {
		unlink("swap");
		if (symlink("mine", "swap"))
			break;
		unlink("swap");
		if (symlink(other, "swap"))
			break;
	}
	return NULL;
}

static void *swap_directory(void *unused)
{
	while (!over) {
		syscall(SYS_renameat2, AT_FDCWD, "mine", AT_FDCWD, "outlink", 2);
	}
	return unused;
}

/* Something of somebody else's must never be read or written, whatever is swapped meanwhile. */
static void guest_races(const char *kind, int rounds)
{
	char other[128], text[16];
	const char *path = *kind == 'p' ? shared_path : *kind == 'l' ? "swap/file" : "mine/file";
	pthread_t thread;
	int i, fd, got = 0, bad = 0;

	snprintf(other, sizeof other, *kind == 'p' ? "%s.out/file" : "%s.out", dir);
	SET(shared_path, "mine/file");
	pthread_create(&thread, NULL, *kind == 'p' ? swap_path : *kind == 'l' ? swap_link :
		       swap_directory, other);
	for (i = 0; i < rounds || (!got && i < 1000000); i++) {
		memset(text, 0, sizeof text);
		fd = open(path, i & 1 ? O_RDWR : O_RDONLY);
		got += fd != -1;
		if (fd != -1 && (read(fd, text, 4) != 4 || strcmp(text, "mine") != 0))
			bad++;
		close(fd);
		truncate(path, 4);
		chmod(path, 0640);
		snprintf(text, sizeof text, "mine/%d", i);
		if (*kind == 'l') {
			mkdir("swap/made", 0700);
			unlink("swap/precious");
		}
	}
	over = 1;
	pthread_join(thread, NULL);
	printf("%d of %d opened, %d of somebody else's\n", got, rounds, bad);
	exit(bad || !got);
}

/* A program that is not below what is allowed must not run, whatever the path is meanwhile. */
static void guest_exec_races(int rounds)
{
	char *argv[] = { (char[]){ "x" }, (char[]){ "exit" }, (char[]){ "42" }, NULL }, other[128];
	volatile int i, ran = 0;
	pthread_t thread;
	int status;

	snprintf(other, sizeof other, "%s.out/evil", dir);
	mine = self;
	SET(shared_path, other);
	pthread_create(&thread, NULL, swap_path, other);
	for (i = 0; i < rounds; i++) {
		/* the child has this memory, which the other thread writes */
		const pid_t child = vfork();
		if (!child) {
			execv(shared_path, argv);
			_exit(0);
		}
		waitpid(child, &status, 0);
		ran += WIFEXITED(status) && WEXITSTATUS(status) == 42;	/* see "exit" */
	}
	over = 1;
	pthread_join(thread, NULL);
	printf("%d ran\n", ran);
	exit(ran != 0);
}

/* ---- guests: signals ---------------------------------------------------------------------- */

static volatile int signals;

static void count_signal(int sig)
{
	(void)sig;
	signals++;
}

static void handle(int sig, int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = count_signal;
	sa.sa_flags = flags;
	sigaction(sig, &sa, NULL);
}

static void every(int us)
{
	struct itimerval timer = { { 0, us }, { 0, us } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Calls that never fail with EINTR, and what each has done counted. */
static int calls(const char *name, int rounds)
{
	char made[64];
	int i, fd, n = 0;

	for (i = 0; i < rounds; i++) {
		fd = open("/dev/null", O_RDONLY);
		n += fd == -1;
		close(fd);
		snprintf(made, sizeof made, "%s.%d", name, i);
		fd = open(made, O_CREAT | O_EXCL | O_RDWR, 0600);
		if (fd == -1)
			printf("O_EXCL: %s\n", strerror(errno)), n++;
		close(fd);
		if (rename(made, name))
			printf("rename: %s\n", strerror(errno)), n++;
		if (unlink(name))
			printf("unlink: %s\n", strerror(errno)), n++;
		if (mkdir(name, 0700))
			printf("mkdir: %s\n", strerror(errno)), n++;
		if (rmdir(name))
			printf("rmdir: %s\n", strerror(errno)), n++;
	}
	return n;
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d) {
		printf("opendir: %s\n", strerror(errno));
		exit(94);
	}
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void guest_census(const char *rounds, const char *us, const char *restart)
{
	const int before = open_descriptors();

	handle(SIGALRM, atoi(restart) ? SA_RESTART : 0);
	every(atoi(us));
	const int n = calls("name", atoi(rounds));
	every(0);
	printf("%d signals, %d wrong, %d descriptors\n", signals, n, open_descriptors() - before);
	exit(n || open_descriptors() != before);
}

static int census_rounds;

static void *census_thread(void *name)
{
	return (void *)(intptr_t)calls(name, census_rounds);
}

static void guest_threads(const char *rounds, const char *us)
{
	pthread_t threads[8];
	char names[8][16];
	void *n;
	int i, bad = 0;

	census_rounds = atoi(rounds);
	handle(SIGALRM, 0);
	for (i = 0; i < 8; i++) {
		snprintf(names[i], sizeof names[i], "t%d", i);
		pthread_create(&threads[i], NULL, census_thread, names[i]);
	}
	every(atoi(us));
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], &n);
		bad += (int)(intptr_t)n;
	}
	every(0);
	printf("%d signals, %d wrong\n", signals, bad);
	exit(bad);
}

/* A FIFO that nobody opens; then one that somebody does, while signals come. */
static void guest_fifo(const char *restart)
{
	const int restarts = atoi(restart);
	int fd, i, bad = 0;
	pid_t child;

	mkfifo("pipe", 0600);
	handle(SIGALRM, restarts ? SA_RESTART : 0);
	child = forked();
	if (!child) {
		/* ends the wait of one that is restarted */
		usleep(400000);
		close(open("pipe", O_WRONLY | O_NONBLOCK));
		_exit(0);
	}
	ualarm(100000, 0);
	fd = open("pipe", O_RDONLY);
	if (restarts ? fd == -1 : fd != -1 || errno != EINTR)
		printf("open: %d %s\n", fd, strerror(errno)), bad++;
	if (signals != 1)
		printf("%d signals\n", signals), bad++;
	close(fd);
	waitpid(child, NULL, 0);
	/* it meets what completes it */
	for (i = 0; i < 50 && !bad; i++) {
		child = forked();
		if (!child) {
			usleep((useconds_t)(i * 370 % 10000));
			fd = open("pipe", O_WRONLY);
			_exit(fd == -1);
		}
		signals = 0;
		every(stride() > 1 ? 50000 : 5000);
		do
			fd = open("pipe", O_RDONLY);
		while (fd == -1 && errno == EINTR && !restarts);
		every(0);
		if (fd == -1)
			printf("open: %s\n", strerror(errno)), bad++;
		if (read(fd, &bad, 1))
			printf("read\n"), bad++;
		close(fd);
		while (waitpid(child, &fd, 0) == -1 && errno == EINTR)
			;
		bad += fd != 0;
	}
	exit(bad);
}

static void guest_blocked(const char *how)
{
	struct sigaction sa;
	int fd;

	if (*how == 'l') {
		/* what has a lease of somebody's is waited for, and that is interrupted */
		handle(SIGALRM, 0);
		ualarm(200000, 0);
		fd = open("leased", O_RDWR);
		if (fd != -1 || errno != EINTR)
			printf("%d %s\n", fd, strerror(errno));
		exit(fd != -1 || errno != EINTR);
	}

	mkfifo("pipe", 0600);
	if (*how == 's') {
		/* each time somewhere else between the call and the wait */
		handle(SIGALRM, 0);
		for (int i = 0; i < 300; i++) {
			every(1 + i * 7 % 300);
			fd = open("pipe", O_RDONLY);
			if (fd != -1 || errno != EINTR)
				exit(1);
			every(0);
		}
		exit(0);
	}
	if (*how == 'f') {
		fd = open("pipe", O_RDONLY);
		printf("opened %d\n", fd);
		exit(fd != 3);
	}
	/* ignored: it must not be noticed */
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = *how == 'i' ? SIG_IGN : SIG_DFL;
	sigaction(SIGURG, &sa, NULL);
	fd = open("pipe", O_RDONLY);
	printf("%d %s\n", fd, fd == -1 ? strerror(errno) : "");
	exit(fd == -1);
}

static void *open_pipe(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)open("pipe", O_RDONLY);
}

/* So many that all wait, and then one is served at once. */
static void guest_many(const char *threads)
{
	const int n = atoi(threads);
	pthread_attr_t attr;
	pthread_t t;
	int i, fd;

	mkfifo("pipe", 0600);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32 << 10);
	for (i = 0; i < n; i++)
		if (pthread_create(&t, &attr, open_pipe, NULL)) {
			printf("thread %d\n", i);
			break;
		}
	usleep(300000);
	for (i = 0; i < 100; i++) {
		fd = open("/dev/null", O_RDONLY);
		if (fd < 0)
			exit(1);
		close(fd);
	}
	printf("served\n");
	exit(0);
}

static void guest_waits(void)
{
	struct sigaction sa;

	/* SIGCHLD, that nobody handles, must not make what can't be restarted fail */
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = SIG_DFL;
	sigaction(SIGCHLD, &sa, NULL);
	if (!forked()) {
		usleep(50000);
		_exit(0);
	}
	const int ep = (int)syscall(SYS_epoll_create1, 0);
	char event[16];
	const long n = syscall(SYS_epoll_pwait, ep, event, 1, 200, NULL, 8);

	printf("%ld %s\n", n, n == -1 ? strerror(errno) : "");
	exit(n != 0);
}

/*
 * What is ignored comes again and again, faster than a wait is over: that ends when it should.
 * The other end of it, that a wait which should not end doesn't, is guest_waits().
 */
static void guest_times(void)
{
	const int ep = (int)syscall(SYS_epoll_create1, 0);
	struct timespec time = { 0, 600000000 };
	struct timespec began, now;
	char event[16], info[128];
	uint64_t set = 1ull << (SIGUSR1 - 1);
	const pid_t child = forked();
	int i;

	if (!child) {
		/* much longer than all of them together */
		for (i = 0; i < 300; i++) {
			kill(getppid(), SIGURG);
			pause_ms(100);
		}
		_exit(0);
	}
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8);
	clock_gettime(CLOCK_MONOTONIC, &began);
	WANT(0, syscall(SYS_epoll_pwait, ep, event, 1, 600, NULL, 8));
	if (syscall(441, ep, event, 1, &time, NULL, 8) && errno != ENOSYS)
		WANT(0, -1);
	WANT(EAGAIN, syscall(SYS_rt_sigtimedwait, &set, info, &time, 8));
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - began.tv_sec > 20)
		printf("%d s\n", (int)(now.tv_sec - began.tv_sec)), wrong = 1;
	if ((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000 < 1200)
		printf("early\n"), wrong = 1;
	kill(child, SIGKILL);
	exit(wrong);
}

static void guest_sender(void)
{
	sigset_t set;
	siginfo_t info;
	pid_t child;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	handle(SIGUSR1, 0);
	child = forked();
	if (!child) {
		pause_ms(50);
		_exit(kill(getppid(), SIGUSR1));
	}
	pause();
	(void)info;
	exit(signals != 1);
}

static volatile pid_t sent_by;

static void note_who(int sig, siginfo_t *info, void *uc)
{
	(void)sig, (void)uc;
	sent_by = info->si_pid;
}

/* The thread that takes it is not the first one. */
static void *takes_it(void *unused)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	while (!sent_by)
		pause_ms(1);
	return unused;
}

static void guest_sender_to_thread(void)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO };
	pthread_t thread;
	sigset_t set;
	pid_t child;

	sa.sa_sigaction = note_who;
	sigaction(SIGUSR2, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&thread, NULL, takes_it, NULL);
	child = forked();
	if (!child)
		_exit(kill(getppid(), SIGUSR2));
	pthread_join(thread, NULL);
	exit(sent_by != child);
}

/* A signal to a group reaches those, too, that are only just born; and one that is dead. */
static void guest_group(int rounds)
{
	struct pollfd p = { .events = POLLIN };
	int ends[2], status;
	siginfo_t info;
	pid_t pid;
	char c;

	pid = forked();
	if (!pid) {
		setpgid(0, 0);
		_exit(0);
	}
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	if (kill(-pid, SIGTERM))
		exit(2);
	waitpid(pid, &status, 0);
	while (rounds-- > 0) {
		if (pipe(ends))
			exit(3);
		pid = forked();
		if (!pid) {
			setpgid(0, 0);
			alarm(30);
			if (write(ends[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				if (!fork()) {
					alarm(30);
					pause();
				}
		}
		close(ends[1]);
		if (read(ends[0], &c, 1) != 1)
			exit(4);
		pause_ms(rounds % 4);
		if (kill(-pid, SIGKILL))
			exit(5);
		waitpid(pid, &status, 0);
		p.fd = ends[0];		/* all that had the other end are over */
		if (poll(&p, 1, 10000) != 1 || read(ends[0], &c, 1))
			exit(6);
		close(ends[0]);
	}
	exit(0);
}

/* What it was given for writing only it must not read by another name. */
static void guest_links(void)
{
	char name[128];

	snprintf(name, sizeof name, "%s/by-another-name", dir);
	exit(linkat(AT_FDCWD, "/proc/self/fd/1", AT_FDCWD, name, AT_SYMLINK_FOLLOW) == -1 &&
	     errno == EACCES ? 0 : 1);
}

static sigjmp_buf behind_it;

static void jump_out(int sig)
{
	(void)sig;
	siglongjmp(behind_it, 1);
}

/* What an instruction or a call raises, at one place again and again, comes at once. */
static void guest_raises(void)
{
	static volatile int i;

	handle(SIGUSR1, 0);
	for (i = 0; i < 100; i++) {
		kill(getpid(), SIGUSR1);
		if (signals != i + 1)
			exit(1);
	}
	signal(SIGSEGV, jump_out);
	for (i = 0; i < 100; i++)
		if (!sigsetjmp(behind_it, 1)) {
			*(volatile char *)(uintptr_t)i = 0;
			exit(2);
		}
	exit(0);
}

static volatile pid_t sent_by;
static volatile int sent_value;

static void note_sender(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	sent_by = info->si_pid;
	sent_value = info->si_value.sival_int;
}

/* A signal that had to be held has lost nothing of what came with it. */
static void guest_info(void)
{
	struct sigaction sa;
	pid_t child;
	int i, bad = 0;

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = note_sender;
	sa.sa_flags = SA_SIGINFO;
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGRTMIN, &sa, NULL);
	for (i = 1; i < 60; i++) {
		sent_by = 0;
		child = forked();
		if (!child) {
			pause_ms(1);
			_exit(i & 1 ? kill(getppid(), SIGUSR1) :
			      sigqueue(getppid(), SIGRTMIN, (union sigval){ i }));
		}
		while (!sent_by)
			close(open("/dev/null", O_RDONLY));
		if (sent_by != child || (!(i & 1) && sent_value != i))
			printf("%d: by %d, not %d\n", i, (int)sent_by, (int)child), bad++;
		while (waitpid(child, NULL, 0) == -1)
			;
	}
	exit(bad);
}

/* ---- guests: life and death ------------------------------------------------------------------ */

static void guest_daemon(void)
{
	/* twice forked, a session of its own, and deaf */
	if (!forked()) {
		setsid();
		if (!forked()) {
			for (int i = 1; i < 65; i++)
				signal(i, SIG_IGN);
			for (;;) {
				close(open("alive", O_CREAT | O_WRONLY | O_TRUNC, 0600));
				pause_ms(5);
			}
		}
		_exit(0);
	}
	wait(NULL);
	while (access("alive", F_OK))
		pause_ms(1);
}

/* Threads that die while somebody works for them. */
static void guest_deaths(int rounds)
{
	pid_t child;
	int i;

	mkfifo("pipe", 0600);
	for (i = 0; i < rounds; i++) {
		child = forked();
		if (!child)
			_exit(open("pipe", O_RDONLY));
		pause_ms(i % 5);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	mkdir("finished", 0700);
	pause();
}

static void guest_nonsense(void)
{
	unsigned int seed = 7;
	int i, j;
	uint64_t a[6];

	/* any broker's call with anything at all */
	static const long numbers[] = {
		SYS_openat, SYS_unlinkat, SYS_mkdirat, SYS_linkat, SYS_renameat2, SYS_symlinkat, SYS_mknodat,
		SYS_fchmodat, SYS_fchownat, SYS_truncate, SYS_utimensat, SYS_setxattr, SYS_fsetxattr,
		SYS_removexattr, SYS_inotify_add_watch, SYS_connect, SYS_bind, SYS_fchmod, 437, SYS_fcntl,
		SYS_rt_tgsigqueueinfo, SYS_prlimit64,
	};
	static char path[5000];

	memset(path, 'a', sizeof path);
	for (i = 0; i < 3000; i++) {
		for (j = 0; j < 6; j++)
			switch (rand_r(&seed) % 6) {
			case 0: a[j] = (uint64_t)(uintptr_t)path; break;
			case 1: a[j] = (uint64_t)(uintptr_t)(path + 4990); break;
			case 2: a[j] = ~0ull; break;
			case 3: a[j] = 0; break;
			case 4: a[j] = (uint64_t)(unsigned int)AT_FDCWD; break;
			default: a[j] = (uint64_t)rand_r(&seed) << (rand_r(&seed) % 40);
			}
		if (numbers[i % 22] == SYS_fcntl)
			a[1] = F_SETOWN;
		syscall(numbers[i % 22], a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	exit(open("/dev/null", O_RDONLY) < 0);
}

static int guest_main(char **argv)
{
	const char *what = argv[1], *place = getenv("GUEST_DIR"), *other = getenv("GUEST_OUTSIDER");

	setbuf(stdout, NULL);
	if (!place || !other)
		errx(97, "a guest is started by a test, which says where it is");
	snprintf(dir, sizeof dir, "%s", place);
	outsider = atoi(other);
	/* of whom nobody may hear */
	if (!strcmp(what, "exit"))
		return strstr(self, "evil") || atoi(argv[2]) != 42 ? atoi(argv[2]) : 0;
	if (!strcmp(what, "die"))
		return raise(atoi(argv[2]));
	if (!strcmp(what, "opens"))
		guest_opens();
	else if (!strcmp(what, "openat2"))
		guest_openat2();
	else if (!strcmp(what, "names"))
		guest_names();
	else if (!strcmp(what, "flags"))
		guest_flags(argv[2]);
	else if (!strcmp(what, "core"))
		guest_core();
	else if (!strcmp(what, "elsewhere"))
		guest_elsewhere(argv[2]);
	else if (!strcmp(what, "leaks"))
		guest_leaks();
	else if (!strcmp(what, "peer"))
		guest_peer();
	else if (!strcmp(what, "bypasses"))
		guest_bypasses();
	else if (!strcmp(what, "denied"))
		guest_denied();
	else if (!strcmp(what, "connects"))
		guest_connects(argv[2], atoi(argv[3]));
	else if (!strcmp(what, "races"))
		guest_races(argv[2], atoi(argv[3]));
	else if (!strcmp(what, "execs"))
		guest_exec_races(atoi(argv[2]));
	else if (!strcmp(what, "census"))
		guest_census(argv[2], argv[3], argv[4]);
	else if (!strcmp(what, "threads"))
		guest_threads(argv[2], argv[3]);
	else if (!strcmp(what, "fifo"))
		guest_fifo(argv[2]);
	else if (!strcmp(what, "blocked"))
		guest_blocked(argv[2]);
	else if (!strcmp(what, "many"))
		guest_many(argv[2]);
	else if (!strcmp(what, "waits"))
		guest_waits();
	else if (!strcmp(what, "times"))
		guest_times();
	else if (!strcmp(what, "full"))
		guest_full();
	else if (!strcmp(what, "scarce"))
		guest_scarce();
	else if (!strcmp(what, "talks"))
		guest_talks();
	else if (!strcmp(what, "raises"))
		guest_raises();
	else if (!strcmp(what, "sender"))
		guest_sender();
	else if (!strcmp(what, "sender-to-thread"))
		guest_sender_to_thread();
	else if (!strcmp(what, "group"))
		guest_group(atoi(argv[2]));
	else if (!strcmp(what, "links"))
		guest_links();
	else if (!strcmp(what, "info"))
		guest_info();
	else if (!strcmp(what, "daemon"))
		guest_daemon();
	else if (!strcmp(what, "deaths"))
		guest_deaths(atoi(argv[2]));
	else if (!strcmp(what, "nonsense"))
		guest_nonsense();
	else if (!strcmp(what, "sleep"))
		pause_ms(60000);
	return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void environment(void)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("GUEST_DIR", dir, 1);
	setenv("GUEST_OUTSIDER", pid, 1);
}

static void begin(void)
{
	setup();
	environment();
}

START_TEST(statuses)
{
	expect(0, guest("exit", "0"));
	expect(7, guest("exit", "7"));
	expect(128 + SIGTERM, guest("die", "15"));
	expect(128 + SIGKILL, guest("die", "9"));
	expect(128 + SIGSEGV, guest("die", "11"));
	expect(127, run("-r", "/", "no-such-program"));
	expect(127, run("-r", "/", "--", "/no/such/program"));
	expect(126, run("-r", "/", "/dev/null"));
	expect(126, run("-r", dir, self));
	ck_assert(strstr(output, "Permission denied"));
	expect(124, run("-r", "/", "-t", "1", self, "sleep"));
	expect(124, run("-r", "/", "-t", "0.1", self, "sleep"));
	expect(0, run("-r", "/", "-t", "60", self, "exit", "0"));
	expect(125, run("-r", "/no/such/path", self));
	expect(125, run("-x", self));
	expect(125, run("-r"));
	expect(125, run("-t", "x", self));
	expect(125, run("-t", "-1", self));
	expect(125, run("-c", "nothing", self));
	expect(125, run("-c", "127.0.0.1:99999", self));
	expect(125, run("-c", "127.0.0.1:", self));
	expect(125, run("-v"));
	ck_assert_int_eq(strchr(output, '\n') - output, (long)strlen(output) - 1);
}
END_TEST

/* Line by line: the first that differs. */
static void compare(const char *what, const char *before)
{
	const char *a = before, *b = output;
	int line = 1;

	while (*a && *a == *b) {
		line += *a == '\n';
		a++, b++;
	}
	if (!*a && !*b) {
		ck_assert_int_gt(line, 15);
		return;
	}
	while (a > before && a[-1] != '\n')
		a--, b--;
	ck_abort_msg("%s, line %d: outside: %.*s, inside: %.*s", what, line, (int)strcspn(a, "\n"), a,
		     (int)strcspn(b, "\n"), b);
}

static void as_outside(char *what)
{
	char *before;

	expect(0, outside(what));
	before = strdup(output);
	teardown();
	mkdir(dir, 0700);
	expect(0, run("-w", "/", self, what));
	compare(what, before);
	free(before);
}

START_TEST(opens)
{
	no_landlock = _i;
	expect(0, run("-r", "/", "-w", "/", "-w", dir, self, "exit", "0"));
	if (_i) {
		as_outside((char[]){ "opens" });
		return;
	}
	as_outside((char[]){ "opens" });
}
END_TEST

START_TEST(openat2s)
{
	struct how how = { O_PATH, 0, 0 };

	if (openat2(AT_FDCWD, ".", &how, sizeof how) == -1)
		SKIP("no openat2");
	as_outside((char[]){ "openat2" });
}
END_TEST

START_TEST(names)
{
	as_outside((char[]){ "names" });
}
END_TEST

START_TEST(bypasses)
{
	const pid_t other = forked();	/* in a group of its own */
	char pid[16];

	if (!other)
		pause();
	setpgid(other, other);
	snprintf(pid, sizeof pid, "%d", (int)other);
	setenv("GUEST_OUTSIDER", pid, 1);
	no_landlock = _i;
	expect(0, guest("bypasses"));
	expect(0, run("-v", "-r", "/", "-w", dir, self, "bypasses"));
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}
END_TEST

static void somebody_else(void)
{
	struct sockaddr_un un = { AF_UNIX, "" };
	char name[128];
	int fd, pass;

	snprintf(name, sizeof name, "%s.out", dir);
	mkdir(name, 0700);
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(symlink(name, "to_out_dir"), 0);
	snprintf(name, sizeof name, "%s.out/file", dir);
	ck_assert_int_eq(symlink(name, "to_out"), 0);
	snprintf(name, sizeof name, "%s.out/new", dir);
	ck_assert_int_eq(symlink(name, "to_out_new"), 0);
	snprintf(name, sizeof name, "%s.out/true", dir);
	ck_assert_int_eq(symlink(name, "to_out_true"), 0);
	for (pass = 0; pass < 2; pass++) {
		if (pass)
			ck_assert_int_eq(chdir(OUT("")), 0);
		else
			mkdir("readable", 0700);
		fd = open(pass ? "file" : "readable/file", O_CREAT | O_WRONLY, 0600);
		ck_assert_int_eq(write(fd, "theirs", 6), 6);
		close(fd);
		SET(un.sun_path, pass ? "socket" : "readable/socket");
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		ck_assert_int_eq(bind(fd, (void *)&un, sizeof un), 0);
		listen(fd, 1);
	}
	mkdir("dir", 0700);
	close(open("precious", O_CREAT | O_WRONLY, 0600));
	fd = open("script", O_CREAT | O_WRONLY, 0700);
	ck_assert_int_eq(write(fd, "#!/bin/true\n", 12), 12);
	close(fd);
	fd = open("true", O_CREAT | O_WRONLY, 0700);
	ck_assert_int_eq(write(fd, "\177ELF and no more", 16), 16);
	close(fd);
	ck_assert_int_eq(chdir(dir), 0);
	close(open("file", O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(chdir("/"), 0);
}

static void nothing_happened(void)
{
	static const char *const all[] = { "file", "socket", "dir", "precious", "script", "true" };
	char name[128];
	struct stat st;

	ck_assert_int_eq(count_in(OUT("")), 8);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		ck_assert_int_eq(lstat(OUT(all[i]), &st), 0);
	ck_assert_int_eq(stat(OUT("file"), &st), 0);
	ck_assert_int_eq((int)st.st_size, 6);
	ck_assert_int_eq((int)st.st_mode & 07777, 0600);
}

static void remove_theirs(void)
{
	char name[128];

	OUT("");
	name[strlen(name) - 1] = 0;
	remove_all(name);
}

START_TEST(lines)
{
	char line[PATH_MAX + 32];

	no_landlock = _i;
	expect(0, run("-v", "-r", "/", "-w", dir, self, "names"));
	ck_assert(strstr(output, "open \"dir\" O_RDONLY: allowed\n"));
	ck_assert(strstr(output, "mkdir \"d\": allowed\n"));
	ck_assert(strstr(output, "symlink \"anything at all\" \"sym\": allowed\n"));
	somebody_else();
	run("-v", "-r", "/", self, "denied");
	ck_assert(strstr(output, ".out/file\" O_WRONLY: denied\n"));
	remove_theirs();
	run("-v", "-r", "/", self, "bypasses");
	ck_assert(strstr(output, "kill: refused\n"));
	snprintf(line, sizeof line, "execve \"%s\": allowed\n", self);
	ck_assert(strstr(output, line));
}
END_TEST

START_TEST(denied)
{
	char file[128], made[128], link[128];

	no_landlock = _i;
	somebody_else();
	snprintf(file, sizeof file, "%s/file", dir);
	snprintf(made, sizeof made, "%s/readable", dir);
	snprintf(link, sizeof link, "%s/mine", dir);
	mkdir(link, 0700);
	/* no -r of "/": only what a program needs; -w are some of what is in dir */
	expect(0, run("-r", LIBRARIES("/lib"), "-r", LIBRARIES("/usr"), "-r", self, "-r", made, "-w", file, "-w", link,
		      self, "denied"));
	nothing_happened();
	remove_theirs();
}
END_TEST

START_TEST(flags)
{
	char rounds[16];

	snprintf(rounds, sizeof rounds, "%d", scaled(20000, 2000));
	expect(0, guest("flags", rounds));
}
END_TEST

START_TEST(core)
{
	no_landlock = _i;
	somebody_else();
	expect(128 + SIGABRT, guest("core"));
	nothing_happened();
	remove_theirs();
}
END_TEST

START_TEST(elsewhere)
{
	char pid[16], ready;
	int fds[2];
	pid_t child;

	no_landlock = _i;
	ck_assert_int_eq(pipe(fds), 0);
	child = forked();
	if (!child) {
		ready = !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
			!mount("none", dir, "tmpfs", 0, NULL) && !chdir(dir) &&
			open("secret", O_CREAT | O_RDWR, 0600) != -1 && !chdir("/");
		_exit(write(fds[1], &ready, 1) == 1 && ready ? pause() : 1);
	}
	if (read(fds[0], &ready, 1) != 1 || !ready) {
		waitpid(child, NULL, 0);
		SKIP("no mount namespaces");
	}
	snprintf(pid, sizeof pid, "%d", (int)child);
	expect(0, guest("elsewhere", pid));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}
END_TEST

static void wait_for(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	while (access(path, F_OK))
		pause_ms(1);
	pause_ms(100);
}

START_TEST(full)
{
	expect(0, guest("full"));
}
END_TEST

START_TEST(scarce)
{
	descriptors = 100;
	expect(0, guest("scarce"));
}
END_TEST

/* Nobody reads what is written about it; then somebody does. */
START_TEST(unread)
{
	char *argv[] = { sandbox(), (char[]){ "-v" }, (char[]){ "-r" }, (char[]){ "/" }, (char[]){ "-w" }, dir,
			 self, (char[]){ "talks" }, NULL };
	const char *p = output;
	int from, n = 0;
	pid_t pid = start(argv, &from);

	wait_for("spoken");
	if (_i) {		/* not even that it is over */
		siginfo_t info;
		ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
		expect(0, finish(pid, from));
		return;
	}
	expect(0, finish(pid, from));
	while ((p = strstr(p, "open \"/dev/null\" O_RDONLY: allowed\n")))
		p++, n++;
	ck_assert_int_eq(n, 5000);
}
END_TEST

START_TEST(times)
{
#if defined __x86_64__ || defined __s390x__
	/* elsewhere the call can't be put back: see the manual page */
	expect(0, guest("times"));
#endif
}
END_TEST

START_TEST(leaks)
{
	descriptors = 200;
	expect(0, guest("leaks"));
}
END_TEST

START_TEST(peer)
{
	struct sockaddr_un un = { AF_UNIX, "outside" };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	no_landlock = _i;
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(bind(fd, (void *)&un, sizeof un), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(chdir("/"), 0);
	expect(0, guest("peer"));
	close(fd);
}
END_TEST

/* Whoever starts it may have blocked what the supervisor lives on. */
START_TEST(masks)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	expect(7, guest("exit", "7"));
	expect(124, run("-r", "/", "-t", "0.1", self, "sleep"));
}
END_TEST

static int listener(int *port)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	struct sockaddr_in in = { AF_INET, 0, { htonl(INADDR_LOOPBACK) }, "" };
	socklen_t size = sizeof in;
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	ioctl(fd, SIOCSIFFLAGS, &lo);	/* a machine of tests/vm has not done that */
	ck_assert_int_eq(bind(fd, (void *)&in, sizeof in), 0);
	listen(fd, 9);
	getsockname(fd, (void *)&in, &size);
	*port = ntohs(in.sin_port);
	return fd;
}

START_TEST(connects)
{
	char to[64], port[16];
	int n, fd = listener(&n);

	snprintf(port, sizeof port, "%d", n);
	snprintf(to, sizeof to, "127.0.0.1:%d", n);
	expect(0, run("-r", "/", "-c", to, self, "connects", port, "1"));
	expect(0, run("-r", "/", self, "connects", port, "0"));
	close(fd);
}
END_TEST

START_TEST(races)
{
	static const char *const kinds[] = { "path", "link", "directory" };
	char rounds[16], name[128];
	int fd;

	somebody_else();
	snprintf(rounds, sizeof rounds, "%d", scaled(4000, 100));
	ck_assert_int_eq(chdir(dir), 0);
	mkdir("mine", 0700);
	fd = open("mine/file", O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(write(fd, "mine", 4), 4);
	close(fd);
	ck_assert_int_eq(symlink(OUT(""), "outlink"), 0);
	ck_assert_int_eq(chdir("/"), 0);
	expect(0, run("-r", LIBRARIES("/lib"), "-r", LIBRARIES("/usr"), "-r", self, "-w", dir, self, "races", (char *)(uintptr_t)kinds[_i],
		      rounds));
	nothing_happened();
	remove_theirs();
}
END_TEST

static void copy(const char *from, const char *to)
{
	const int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_WRONLY, 0700);

	while (sendfile(out, in, NULL, 1 << 20) > 0)
		;
	close(in);
	close(out);
}

START_TEST(exec_races)
{
	char name[128], rounds[16];

	no_landlock = _i;
	somebody_else();
	copy(self, OUT("evil"));
	snprintf(rounds, sizeof rounds, "%d", scaled(1000, 50));
	expect(0, run("-r", LIBRARIES("/lib"), "-r", LIBRARIES("/usr"), "-r", LIBRARIES("/lib64"),
		      "-r", self, "-w", dir, self, "execs", rounds));
	remove_theirs();
}
END_TEST

START_TEST(census)
{
	char rounds[16];

	no_landlock = _i & 1;
	snprintf(rounds, sizeof rounds, "%d", scaled(1500, 30));
	expect(0, guest("census", rounds, stride() > 1 ? "5000" : _i & 1 ? "150" : "400",
			_i & 2 ? "1" : "0"));
}
END_TEST

/* A timer that rings faster than the supervisor can look at it. */
START_TEST(starved)
{
	char rounds[16];

	snprintf(rounds, sizeof rounds, "%d", scaled(200, 10));
	expect(0, guest("census", rounds, "5", _i ? "1" : "0"));
	expect(0, guest("blocked", "starved"));
}
END_TEST

START_TEST(threads)
{
	/* the one finds signals that come to another thread than to that which they wake */
	char rounds[16];

	snprintf(rounds, sizeof rounds, "%d", scaled(300, 10));
	expect(0, guest("threads", rounds, stride() > 1 ? "5000" : _i ? "100" : "700"));
}
END_TEST

START_TEST(fifo)
{
	expect(0, guest("fifo", _i ? "1" : "0"));
}
END_TEST

/* The guest: the one child of the sandbox's. */
static pid_t child_of(pid_t pid)
{
	char name[64];
	int child = 0, tries;

	snprintf(name, sizeof name, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	for (tries = 0; !child && tries < 3000; tries++) {
		FILE *f = fopen(name, "r");
		if (!f || fscanf(f, "%d", &child) != 1)
			child = 0;
		if (f)
			fclose(f);
		pause_ms(1);
	}
	ck_assert_int_gt(child, 0);
	return child;
}

static pid_t start_guest(char *const guest_arguments[], int *from, pid_t *inside)
{
	char *argv[MOST] = { sandbox(), (char[]){ "-r" }, (char[]){ "/" },
			     (char[]){ "-w" }, dir, self };
	pid_t pid;
	int i;

	for (i = 0; guest_arguments[i]; i++)
		argv[6 + i] = guest_arguments[i];
	pid = start(argv, from);
	*inside = child_of(pid);
	return pid;
}

START_TEST(stopped)
{
	char path[128];
	int from, i;
	pid_t inside, pid = start_guest((char *[]){ (char[]){ "blocked" }, (char[]){ "fifo" }, NULL },
					&from, &inside);

	wait_for("pipe");
	for (i = 0; i < 20; i++) {
		kill(inside, SIGSTOP);
		wait_state(inside, inside, 't');
		kill(inside, SIGCONT);
		kill(inside, SIGURG);
		pause_ms(2);
	}
	snprintf(path, sizeof path, "%s/pipe", dir);
	close(open(path, O_WRONLY));
	expect(0, finish(pid, from));
	ck_assert_str_eq(output, "opened 3\n");
}
END_TEST

START_TEST(leased)
{
	char name[128];
	int fd;

	snprintf(name, sizeof name, "%s/leased", dir);
	signal(SIGIO, SIG_IGN);
	fd = open(name, O_CREAT | O_RDWR, 0600);
	if (fcntl(fd, F_SETLEASE, F_WRLCK))
		SKIP("no leases");
	expect(0, guest("blocked", "lease"));
	close(fd);
}
END_TEST

START_TEST(killed)
{
	int from;
	pid_t inside, pid = start_guest((char *[]){ (char[]){ "blocked" }, (char[]){ "fifo" }, NULL },
					&from, &inside);

	wait_for("pipe");
	kill(inside, SIGKILL);
	expect(128 + SIGKILL, finish(pid, from));
}
END_TEST

static const char pipelines[] =
	"n=0 bad=0 i=0; trap 'n=$((n+1))' CHLD\n"
	"while [ $i -lt $1 ]; do\n"
	"	x=$(echo a b c | tr ' ' '\\n' | cat | wc -l) || bad=$((bad+1))\n"
	"	[ $x -eq 3 ] || { bad=$((bad+1)); echo got $x; }\n"
	"	echo x >f.$$ || bad=$((bad+1))\n"
	"	(read y <f.$$; [ \"$y\" = x ]) | cat || bad=$((bad+1))\n"
	"	sleep 0 & wait $!\n"
	"	i=$((i+1))\n"
	"done; rm -f f.$$; [ $n -gt $1 ] || echo $n traps; exit $bad\n";

/* Shells are at home with signals, and notice each one that is not as it was. */
START_TEST(shells)
{
	static const char *const all[] = { "/bin/dash", "/bin/bash" };
	char rounds[16];

	if (access(all[_i], X_OK))
		SKIP("no such shell");
	snprintf(rounds, sizeof rounds, "%d", scaled(400, 20));
	expect(0, run("-r", "/", "-w", dir, "-w", "/dev/null", (char *)(uintptr_t)all[_i], "-c",
		      (char *)(uintptr_t)pipelines, "sh", rounds));
}
END_TEST

/* Programs that were not made for this: the same output and status inside as outside. */
static const char *const programs[] = {
	"command -v python3 || exit 77; python3 -c 'import subprocess, os, socket, threading, tempfile\n"
	"print(subprocess.check_output([\"echo\", \"hi\"]))\n"
	"ts = [threading.Thread(target=lambda i=i: open(\"f%d\" % i, \"w\").write(\"x\")) for i in range(20)]\n"
	"[t.start() for t in ts]; [t.join() for t in ts]\n"
	"print(sorted(os.listdir(\".\")))\n"
	"s = socket.socket(socket.AF_UNIX); s.bind(\"s\"); s.listen()\n"
	"c = socket.socket(socket.AF_UNIX); c.connect(os.getcwd() + \"/s\"); a = s.accept()[0]\n"
	"socket.send_fds(a, [b\"m\"], [0]); print(len(socket.recv_fds(c, 9, 1)[1]))\n"
	"print(open(\"/proc/self/comm\").read(), os.stat(\"s\").st_mode)'",
	"command -v git || exit 77; export HOME=$PWD GIT_AUTHOR_DATE=1 GIT_COMMITTER_DATE=1; git init -q r && cd r && "
	"git config user.email a@b && git config user.name n && echo 1 >f && git add f && "
	"git commit -qm m && cd .. && git clone -q r c && cd c && ls && git log --oneline && git gc -q && git status",
	"command -v gcc || exit 77; export TMPDIR=$PWD; echo 'int main(void) { return 7; }' >x.c; gcc -O2 -o x x.c; ./x; echo $?",
	"command -v make || exit 77; printf 'all: a b c d\n%%:; @sleep 0.05; touch $@; exit 0\n' >Makefile; make -s -j4; ls",
	"umask 077; echo x >f; (umask 0; mkdir d); cp -a f g; mv g h; ln h i; ln -s h j; chmod 640 j; touch -d @1 h; "
	"tar cf t.tar f h i j d && mkdir e && tar xf t.tar -C e && ls -l e | awk '{ print $1, $2, $5 }'; find . | sort; "
	"rm -rf e d; readlink -f j | wc -l; cat /dev/stdin <f; echo $(cat f | tr x y); kill -0 $$; sleep 0.1 & wait $!; kill $$",
};

START_TEST(real_programs)
{
	char *before;
	int status;

	if (access("/bin/sh", X_OK))
		SKIP("no shell");
	status = outside_argv((char *[]){ (char[]){ "/bin/sh" }, (char[]){ "-c" },
					  (char *)(uintptr_t)programs[_i], NULL });
	if (status == 77)
		SKIP("not installed");
	before = strdup(output);
	teardown();
	mkdir(dir, 0700);
	expect(status < 1000 ? status : status - 1000 + 128,
	       run("-r", "/", "-w", dir, "-w", "/dev/null", "/bin/sh", "-c", (char *)(uintptr_t)programs[_i]));
	ck_assert_str_eq(output, before);
	free(before);
}
END_TEST

static int count_of(pid_t pid, const char *key)
{
	char name[64], line[256];
	int n = -1;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
	f = fopen(name, "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, key, strlen(key)))
			n = atoi(line + strlen(key));
	if (f)
		fclose(f);
	return n;
}

/* Its worker is free at once; what is asked to end the sandbox ends the program. */
START_TEST(deaths)
{
	int from;
	pid_t inside, pid = start_guest((char *[]){ (char[]){ "deaths" }, (char[]){ "100" }, NULL },
					&from, &inside);

	wait_for("finished");
	ck_assert_int_gt(count_of(pid, "Threads:"), 1);
	ck_assert_int_lt(count_of(pid, "Threads:"), 20);
	kill(pid, SIGTERM);
	expect(128 + SIGTERM, finish(pid, from));
}
END_TEST

START_TEST(many)
{
	expect(0, guest("many", "1000"));
	ck_assert_str_eq(output, "served\n");
}
END_TEST

START_TEST(waits)
{
#if defined __x86_64__ || defined __s390x__
	/* elsewhere the call can't be put back: see the manual page */
	expect(0, guest("waits"));
#endif
	expect(0, guest("raises"));
	expect(0, guest("sender"));
	expect(0, guest("sender-to-thread"));
	expect(0, guest("info"));
}
END_TEST

START_TEST(groups)
{
	char rounds[16];

	snprintf(rounds, sizeof rounds, "%d", scaled(200, 10));
	expect(0, guest("group", rounds));
}
END_TEST

/*
 * A shell that has children becomes the sandbox: it doesn't wait for them.  And what the program
 * was given is closed when the program closes it, though the sandbox goes on.
 */
START_TEST(as_a_shell_starts_it)
{
#define CHILD "sleep 20 </dev/null >/dev/null 2>&1 & "
	static const struct {
		const char *line;
		int status;			/* -1: it goes on */
	} starts[] = {
		{ CHILD "exec $sandbox -r / -- $self exit 0", 0 },
		{ CHILD "exec $sandbox -r / -t 0.2 -- $self sleep", 124 },
		{ CHILD "sleep 0.5; kill -STOP $!; exec $sandbox -r / -- $self exit 0", 0 },
		{ "exec $sandbox -r / -- sh -c 'exec >&- 2>&-; exec $self sleep'", -1 },
		{ "exec $sandbox -r /lib -r /usr -r $lib64 -r $self -w $dir -- $self links "
		  ">>$dir.out/file", 0 },
	};
	const double began = now();
	char out[sizeof dir + 8], file[sizeof out + 8], c;
	int from, status = -1;
	pid_t pid;

	if (access("/bin/sh", X_OK))
		SKIP("no shell");
	snprintf(out, sizeof out, "%s.out", dir);
	snprintf(file, sizeof file, "%s/file", out);
	mkdir(out, 0700);
	close(open(file, O_WRONLY | O_CREAT, 0600));
	setenv("dir", dir, 1);
	setenv("self", self, 1);
	setenv("sandbox", sandbox(), 1);
	setenv("lib64", LIBRARIES("/lib64"), 1);
	pid = start((char *[]){ (char[]){ "/bin/sh" }, (char[]){ "-c" },
				(char *)(uintptr_t)starts[_i].line, NULL }, &from);
	while (read(from, &c, 1) > 0)
		;
	ck_assert(now() - began < 15);
	if (starts[_i].status == -1) {
		pause_ms(100);
		ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
		kill(pid, SIGKILL);
	}
	close(from);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	remove_all(out);
	ck_assert_int_eq(WIFEXITED(status) ? WEXITSTATUS(status) : -1, starts[_i].status);
}
END_TEST

START_TEST(nothing_outlives)
{
	char name[128];
	int from;
	pid_t inside, pid;

	snprintf(name, sizeof name, "%s/alive", dir);
	if (_i) {
		/* the supervisor is killed */
		pid = start_guest((char *[]){ (char[]){ "sleep" }, NULL }, &from, &inside);
		pause_ms(500);
		kill(pid, SIGKILL);
		expect(1000 + SIGKILL, finish(pid, from));
		pause_ms(50);
		ck_assert(!state_of(inside, inside) || state_of(inside, inside) == 'Z');
		return;
	}
	expect(0, guest("daemon"));
	unlink(name);
	pause_ms(100);
	ck_assert_int_eq(access(name, F_OK), -1);
}
END_TEST

START_TEST(nonsense)
{
	expect(0, guest("nonsense"));
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("safe_sandbox");
	TCase *tc = tcase_create("sandbox");
	const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	self[n < 0 ? 0 : n] = 0;
	if (argc > 1)
		return guest_main(argv);
	if (getenv("SAFE_SYSCALL_EMULATED")) {
		printf("1..0 # SKIP an emulator of user mode has no seccomp\n");
		return 0;
	}
	sandbox();
	/* the same whoever starts this: make -j gives all but one the end of a pipe */
	if (!freopen("/dev/null", "r", stdin))
		err(2, "/dev/null");
	tcase_add_checked_fixture(tc, begin, teardown);
	limit_time(tc, 300);
	tcase_add_test(tc, statuses);
	tcase_add_loop_test(tc, lines, 0, 2);
	tcase_add_loop_test(tc, opens, 0, 2);
	tcase_add_test(tc, openat2s);
	tcase_add_test(tc, names);
	tcase_add_loop_test(tc, bypasses, 0, 2);
	tcase_add_loop_test(tc, denied, 0, 2);
	tcase_add_test(tc, connects);
	tcase_add_loop_test(tc, races, 0, 3);
	tcase_add_loop_test(tc, exec_races, 0, 2);
	tcase_add_loop_test(tc, census, 0, 4);
	tcase_add_loop_test(tc, threads, 0, 2);
	tcase_add_loop_test(tc, fifo, 0, 2);
	tcase_add_test(tc, stopped);
	tcase_add_test(tc, killed);
	tcase_add_test(tc, deaths);
	tcase_add_test(tc, many);
	tcase_add_loop_test(tc, shells, 0, 2);
	tcase_add_loop_test(tc, real_programs, 0, (int)(sizeof programs / sizeof *programs));
	tcase_add_test(tc, waits);
	tcase_add_loop_test(tc, nothing_outlives, 0, 2);
	tcase_add_test(tc, groups);
	tcase_add_loop_test(tc, as_a_shell_starts_it, 0, 5);
	tcase_add_test(tc, nonsense);
	suite_add_tcase(suite, tc);
	tc = tcase_create("reported");
	tcase_add_checked_fixture(tc, begin, teardown);
	limit_time(tc, 60);
	tcase_add_test(tc, flags);
	tcase_add_loop_test(tc, core, 0, 2);
	tcase_add_test(tc, leased);
	tcase_add_loop_test(tc, elsewhere, 0, 2);
	tcase_add_test(tc, leaks);
	tcase_add_test(tc, full);
	tcase_add_test(tc, scarce);
	tcase_add_loop_test(tc, unread, 0, 2);
	tcase_add_test(tc, times);
	tcase_add_loop_test(tc, starved, 0, 2);
	tcase_add_loop_test(tc, peer, 0, 2);
	tcase_add_test(tc, masks);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
