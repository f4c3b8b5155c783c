/* SPDX-License-Identifier: MIT */
/*
 * check_v9fs.c - the kernel as a client of the file server: a directory is mounted, and
 * programs do in it what they do in the directory itself, and are killed while they do.
 *
 * SAFE_V9FS_FILES is how many files are made in a directory that is mounted.  With
 * SAFE_V9FS=required it is a failure that nothing can be mounted here.
 */
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "battery.h"
#include "ninep.h"

enum { PATH = 80 };
enum transport { PIPES, WATCHED, UNIX, TCP, TRANSPORTS };

/* A server, and its directory mounted. */
static struct {
	struct server server;
	char base[40], dir[PATH], plain[PATH], mount[PATH];
	int idle_tasks, idle_fds;	/* before anything was mounted */
	int tasks, fds;			/* then */
	enum transport transport;
	pid_t watcher;
	int proc;			/* it serves /proc instead */
} w;

static const char *missing;		/* why nothing can be mounted */
static int required;			/* where something must be */

/* ---- between the kernel and the server ---------------------------------- */

/*
 * Hands on what they say to each other, and watches the server's manners: each tag gets one
 * reply, of its type; no tag gets one after the Rflush that names it; and no reply says
 * EINTR, as who waits for one did not ask for that.
 */
struct watcher {
	unsigned char type[65536];	/* by tag: the request's; 0: none is under way */
	uint16_t flushes[65536];	/* by tag of a flush: whose */
	unsigned char message[(1 << 20) + 100];
};

static void complain(const char *what, int type, int tag)
{
	printf("the server's reply of type %d to tag %d: %s\n", type, tag, what);
	fflush(stdout);
	_exit(1);
}

static unsigned int number_at(const unsigned char *p, int bytes)
{
	unsigned int value = 0;

	while (bytes--)
		value = value << 8 | p[bytes];
	return value;
}

static void watch(struct watcher *v, int reply)
{
	const int type = v->message[4];
	const unsigned int tag = number_at(v->message + 5, 2), size = number_at(v->message, 4);
	unsigned int error;

	if (!reply) {
		if (v->type[tag])
			complain("the client uses it twice", type, (int)tag);
		v->type[tag] = (unsigned char)type;
		v->flushes[tag] = (uint16_t)number_at(v->message + 7, 2);
		return;
	}
	if (!v->type[tag])
		complain("none was due", type, (int)tag);
	if (type != Rlerror && type != v->type[tag] + 1)
		complain("not of the request's type", type, (int)tag);
	error = type == Rlerror && size >= 11 ? number_at(v->message + 7, 4) : 0;
	if (error == EINTR || error > 200)
		complain("an error that is none", type, (int)tag);
	if (type == Rflush)
		v->type[v->flushes[tag]] = 0;
	v->type[tag] = 0;
}

/* False at the end. */
static int hand_on(struct watcher *v, int from, int to, int reply)
{
	uint32_t size;

	if (!receive_exactly(from, v->message, 7)) {
		shutdown(to, SHUT_WR);
		return 0;
	}
	size = number_at(v->message, 4);
	if (size < 7 || size > sizeof v->message ||
	    !receive_exactly(from, v->message + 7, size - 7))
		complain("its size", (int)size, 0);
	watch(v, reply);
	send_all(to, v->message, size);
	return 1;
}

static void watch_all(int client, int server)
{
	struct pollfd p[2] = { { client, POLLIN, 0 }, { server, POLLIN, 0 } };
	struct watcher *v = calloc(1, sizeof *v);
	int i;

	while (p[0].fd != -1 || p[1].fd != -1) {
		poll(p, 2, -1);
		for (i = 0; i < 2; i++)
			if (p[i].fd != -1 && p[i].revents &&
			    !hand_on(v, i ? server : client, i ? client : server, i))
				p[i].fd = -1;
	}
	free(v);
	_exit(0);
}

/* ---- what is mounted ---------------------------------------------------- */

static void path(char out[PATH], const char *folder, const char *name)
{
	ck_assert_int_lt(snprintf(out, PATH, "%s/%s%s", w.base, folder, name), PATH);
}

/* Others may keep their loopback interface down. */
static void loopback_up(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	lo.ifr_flags = IFF_UP;
	ioctl(s, SIOCSIFFLAGS, &lo);
	close(s);
}

static const char *look_around(void)
{
	char options[80];
	int fd[2], error;

	if (emulated())
		return "an emulator of user mode has no file system";
	if (geteuid())
		return "only root mounts";
	if (!server_program())
		return "no safe-ninep";
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "no name space of its own";
	loopback_up();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return "no sockets";
	snprintf(options, sizeof options, "trans=fd,rfdno=%d,wfdno=%d", fd[0], fd[0]);
	close(fd[1]);
	error = mount("none", "/tmp", "9p", 0, options) ? errno : 0;
	close(fd[0]);
	if (error == ENODEV)
		return "the kernel has no 9p file system";
	if (error == EPERM || error == EACCES)
		return "this root may not mount 9p";
	if (error == EINVAL)
		return "the kernel's 9p has no trans=fd";
	return NULL;
}

/* Whom the server looks up: the user that the battery knows. */
static void put_file(const char *name, const char *text)
{
	char copy[PATH];
	int fd;

	path(copy, "", strrchr(name, '/') + 1);
	fd = open(copy, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	mkdir("/etc", 0755);
	close(open(name, O_CREAT | O_RDONLY | O_CLOEXEC, 0644));
	ck_assert_int_eq(mount(copy, name, NULL, MS_BIND, NULL), 0);
}

static void start_server(const char *what, const char *where, int in, int out)
{
	char address[100];

	snprintf(address, sizeof address, where, w.server.socket);
	if (in != -1)
		snprintf(address, sizeof address, "fd:%d,%d", in, out);
	w.server.pid = fork();
	if (!w.server.pid) {
		fcntl(in, F_SETFD, 0);
		fcntl(out, F_SETFD, 0);
		execl(server_program(), "safe-ninep", what, address, (char *)NULL);
		perror(server_program());
		_exit(127);
	}
}

/* The two ends of a connection that is there before the server: the kernel's, in and out. */
static void start_at_descriptors(const char *what, int *in, int *out)
{
	int up[2], down[2], third[2] = { -1, -1 };

	if (w.transport == PIPES) {
		ck_assert_int_eq(pipe2(up, O_CLOEXEC), 0);
		ck_assert_int_eq(pipe2(down, O_CLOEXEC), 0);
		start_server(what, "", up[0], down[1]);
		close(up[0]);
		close(down[1]);
		*in = down[0];
		*out = up[1];
		return;
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, up), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, third), 0);
	start_server(what, "", third[1], third[1]);
	w.watcher = fork();
	if (!w.watcher) {
		close(up[0]);
		close(third[1]);
		watch_all(up[1], third[0]);
	}
	close(up[1]);
	close(third[0]);
	close(third[1]);
	*in = *out = up[0];
}

static void mount_it(const char *cache, int msize, int in, int out)
{
	static const char *const names[] = { "fd", "fd", "unix", "tcp" };
	const char *source = w.transport == TCP ? "127.0.0.1" : w.server.socket;
	char options[200], more[60] = "";

	if (in != -1)
		snprintf(more, sizeof more, ",rfdno=%d,wfdno=%d", in, out);
	else if (w.transport == TCP)
		strcpy(more, ",port=5640");
	snprintf(options, sizeof options, "version=9p2000.L,trans=%s,cache=%s,msize=%d%s",
		 names[w.transport], cache, msize, more);
	while (mount(source, w.mount, "9p", 0, options)) {
		ck_assert_msg(errno == ENOENT || errno == ECONNREFUSED, "mount -o %s: %s",
			      options, strerror(errno));
		ck_assert_int_eq(waitpid(w.server.pid, NULL, WNOHANG), 0);
		pause_ms(5);		/* it is starting */
	}
	close(in);
	if (out != in)
		close(out);
}

/* A user's first visit attaches: that fid is kept. */
static void visit(void)
{
	struct stat s;
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(setgid(USER) || setuid(USER) || stat(w.mount, &s));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(stat(w.mount, &s), 0);
}

static void settle(void)
{
	must_come_back(&w.server, "task", w.idle_tasks);
}

/* Serves what, or a directory of its own, and mounts it. */
static void setup(const char *what, enum transport transport, const char *cache, int msize)
{
	int in = -1, out = -1;

	memset(&w, 0, sizeof w);
	w.transport = transport;
	strcpy(w.base, "/tmp/v9fs.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(w.base));
	ck_assert_int_eq(chmod(w.base, 0755), 0);
	path(w.dir, "", "dir");
	path(w.plain, "", "plain");
	path(w.mount, "", "mount");
	path(w.server.socket, "", "socket");
	ck_assert_int_eq(mkdir(w.dir, 0755) | mkdir(w.plain, 0755) | mkdir(w.mount, 0755), 0);
	put_file("/etc/passwd", "root:x:0:0::/:\nuser:x:1000:1000::/:\nnobody:x:65534:65534::/:\n");
	put_file("/etc/group", "root:x:0:\nuser:x:1000:\nothers:x:2000:user\n");
	w.proc = what != NULL;
	what = what ? what : w.dir;
	if (transport == UNIX || transport == TCP)
		start_server(what, transport == UNIX ? "unix:%s" : "tcp:127.0.0.1:5640", -1, -1);
	else
		start_at_descriptors(what, &in, &out);
	wait_state(w.server.pid, w.server.pid, 'S');
	w.idle_tasks = entries(w.server.pid, "task");
	w.idle_fds = entries(w.server.pid, "fd");
	mount_it(cache, msize, in, out);
	visit();
	w.fds = entries(w.server.pid, "fd");
}

/* The mount is as good as new, and so is the server. */
static void all_is_well(void)
{
	char name[PATH];
	struct peer p;

	peer_new(&p);
	path(name, "mount/", w.proc ? "version" : "well");
	ck_assert_int_eq(peer_does(&p, opens, name, w.proc ? O_RDONLY : O_CREAT | O_RDWR, 0600), 0);
	if (!w.proc) {
		ck_assert_int_eq(peer_does(&p, waits, "", F_WRLCK, -1), 0);
		ck_assert_int_eq(peer_does(&p, writes, "text", 0, 0), 4);
		ck_assert_int_eq(unlink(name), 0);
	}
	peer_free(&p);
	must_come_back(&w.server, "fd", w.fds);
}

static void teardown(void)
{
	int status;

	all_is_well();
	settle();
	ck_assert_msg(!umount(w.mount), "umount: %s", strerror(errno));
	if (w.transport == UNIX || w.transport == TCP) {
		must_come_back(&w.server, "fd", w.idle_fds);
		kill(w.server.pid, SIGTERM);
	}
	ck_assert_int_eq(waitpid(w.server.pid, &status, 0), w.server.pid);
	ck_assert_msg(status == 0, "the server: status %#x", status);
	if (w.watcher) {
		ck_assert_int_eq(waitpid(w.watcher, &status, 0), w.watcher);
		ck_assert_msg(status == 0, "the server's manners");
	}
	umount("/etc/passwd");
	umount("/etc/group");
}

/* ---- what programs do --------------------------------------------------- */

/*
 * Where a mount is not as the directory, and is right: these lines, which begin the mount's,
 * for all caches or this one.
 */
static const struct {
	const char *line, *cache, *reason;
} natures[] = {
	{ "holes: lseek(fd, 0, SEEK_DATA): 0", NULL, "9P knows no holes: all is data" },
	{ "holes: lseek(fd, 0, SEEK_HOLE): 500003", NULL, "9P knows no holes: one at the end" },
	{ "holes: fallocate(", NULL, "not in 9P" },
	{ "unlinked: open(\".\", O_TMPFILE", NULL, "not in 9P" },
	{ "renames: syscall(SYS_renameat2", NULL, "9P's renameat has no flags" },
	{ "attributes: utimes 1000000000.0 1234567890.0", NULL,
	  "v9fs sets times to the second" },
	{ "attributes: utimes 1 1234567890.0", NULL, "v9fs sets times to the second" },
	{ "flocking: peer_does(&a, locks, \"\", F_RDLCK, 0): Resource temporarily", NULL,
	  "9P has one kind of lock: flock and fcntl meet" },
	{ "others: a set-id file is written to: Operation not permitted, mode 106777", NULL,
	  "newer v9fs wants to take the bits away first, and who may not can't write" },
	{ "mapping: a map to be written to: Invalid argument", "none",
	  "what is not cached can't be mapped and written to" },
	{ "mapping: it is in the file: 0", "mmap", "only msync, munmap or close write it back" },
	{ NULL, NULL, NULL }
};

static int natural(const char *line, const char *cache)
{
	int i;

	for (i = 0; natures[i].line; i++)
		if (!strncmp(natures[i].line, line, strlen(natures[i].line)) &&
		    (!natures[i].cache || !strcmp(natures[i].cache, cache)))
			return 1;
	return 0;
}

static char *log_of(const char *dir, const char *back, int slow, int msize)
{
	struct battery b = { .dir = dir, .back = back, .files = 10000, .slow = slow,
			     .big = (size_t)msize * 3 / 2 };
	char *text;
	off_t size;

	b.log = memfd_create("log", MFD_CLOEXEC);
	battery(&b);
	size = lseek(b.log, 0, SEEK_END);
	text = calloc(1, (size_t)size + 1);
	ck_assert_int_eq(pread(b.log, text, (size_t)size, 0), size);
	close(b.log);
	return text;
}

/* How many lines differ, and have no reason to. */
static int compare(char *plain, char *mounted, const char *cache)
{
	char *p, *m, *p_next = NULL, *m_next = NULL;
	int count = 0;

	p = strtok_r(plain, "\n", &p_next);
	m = strtok_r(mounted, "\n", &m_next);
	while (p && m) {
		if (strcmp(p, m) != 0 && !natural(m, cache)) {
			printf("directory: %s\n  mounted: %s\n", p, m);
			count++;
		}
		p = strtok_r(NULL, "\n", &p_next);
		m = strtok_r(NULL, "\n", &m_next);
	}
	fflush(stdout);
	return count + (p || m);
}

START_TEST(programs)
{
	static const struct {
		enum transport transport;
		const char *cache;
		int msize;
	} ways[] = {
		{ PIPES, "none", 8192 }, { WATCHED, "mmap", 1 << 20 },
		{ UNIX, "none", 1 << 20 }, { TCP, "mmap", 8192 },
		/* the rest, where there is time */
		{ PIPES, "mmap", 1 << 20 }, { WATCHED, "none", 8192 },
		{ UNIX, "none", 8192 }, { UNIX, "mmap", 8192 }, { UNIX, "mmap", 1 << 20 },
		{ TCP, "none", 8192 }, { TCP, "none", 1 << 20 }, { TCP, "mmap", 1 << 20 },
	};
	const char *wish = getenv("SAFE_V9FS_FILES");
	char *plain, *mounted;

	if (missing)
		SKIP(missing);
	setup(NULL, ways[_i].transport, ways[_i].cache, ways[_i].msize);
	plain = log_of(w.plain, w.plain, 0, ways[_i].msize);
	mounted = log_of(w.mount, w.dir, wish ? atoi(wish) : shortened(200), ways[_i].msize);
	ck_assert_int_eq(compare(plain, mounted, ways[_i].cache), 0);
	free(plain);
	free(mounted);
	teardown();
}
END_TEST

/* ---- programs that are killed ------------------------------------------- */

static long moves(const char *from, long a, long b)
{
	char to[PATH];

	(void)a, (void)b;
	path(to, "mount/", "moved");
	return rename(from, to);
}

/* Killed while the server says nothing: it finds the request, and that it has been flushed. */
static void killed_in(job *run, const char *name, long a, long b)
{
	char file[PATH];
	struct peer p;

	path(file, "mount/", name);
	peer_new(&p);
	if (run != opens && run != lists && run != moves)
		ck_assert_int_eq(peer_does(&p, opens, file, O_RDWR, 0), 0);
	kill(w.server.pid, SIGSTOP);
	wait_state(w.server.pid, w.server.pid, 'T');
	peer_start(&p, run, run == writes ? "text" : file, a, b);
	ck_assert_int_eq(peer_sleeps(&p), 1);
	kill(p.pid, SIGKILL);
	pause_ms(1);
	kill(w.server.pid, SIGCONT);
	peer_kill(&p);
	all_is_well();
}

/* In the directory itself. */
static int back_door(const char *name)
{
	char file[PATH];

	path(file, "dir/", name);
	return open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
}

static void killed_in_calls(void)
{
	close(back_door("file"));
	killed_in(opens, "file", O_RDONLY, 0);
	killed_in(opens, "new", O_CREAT | O_RDWR, 0600);
	killed_in(reads, "file", 100, 0);
	killed_in(writes, "file", 0, 0);
	killed_in(locks, "file", F_WRLCK, 0);
	killed_in(waits, "file", F_WRLCK, -1);
	killed_in(flocks, "file", LOCK_EX, 0);
	killed_in(lists, "", 0, 0);
	killed_in(closes, "file", 0, 0);
	killed_in(moves, "file", 0, 0);
}

/* The program has asked, the server waits for somebody else, and then the program dies. */
static void dies_waiting(struct peer *p, job *run, const char *name, long a, long b)
{
	char file[PATH];

	path(file, "mount/", name);
	peer_start(p, run, file, a, b);
	ck_assert_int_eq(peer_sleeps(p), 1);
	peer_kill(p);
	settle();
}

/* However slow the machine is: a lease is not taken away from who does not give it back. */
static void patient_leases(void)
{
	int fd = open("/proc/sys/fs/lease-break-time", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(write(fd, "600", 3), 3);
	close(fd);
}

/* Whoever opens a file that somebody has a lease of waits until he gives it back. */
static void killed_in_open(void)
{
	char name[PATH];
	struct peer p;
	int fd;

	path(name, "mount/", "file");
	if (required)
		patient_leases();
	signal(SIGIO, SIG_IGN);
	fd = back_door("file");
	ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
	peer_new(&p);
	dies_waiting(&p, opens, "file", O_RDONLY, 0);
	peer_new(&p);
	peer_start(&p, opens, name, O_RDWR, 0);
	ck_assert_int_eq(peer_sleeps(&p), 1);
	ck_assert_int_eq(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	ck_assert_int_eq(peer_end(&p), 0);
	peer_free(&p);
	close(fd);
}

/* A FIFO is the client's own: the server only sees that somebody is interested in it. */
static void killed_in_fifo(void)
{
	char name[PATH];
	struct peer p;

	path(name, "mount/", "fifo");
	ck_assert_int_eq(mkfifo(name, 0600), 0);
	peer_new(&p);
	dies_waiting(&p, opens, "fifo", O_RDONLY, 0);
	peer_new(&p);
	ck_assert_int_eq(peer_does(&p, opens, name, O_RDWR, 0), 0);
	dies_waiting(&p, reads, "", 100, 0);
}

/* One waits for a lock that a process on the server has, and dies, the next one gets it. */
static void killed_in_lock(void)
{
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct peer p, next;
	char name[PATH];
	int i, fd;

	fd = back_door("file");
	path(name, "mount/", "file");
	for (i = 0; i < 4; i++) {
		f.l_type = F_WRLCK;
		ck_assert_int_eq(fcntl(fd, F_SETLK, &f), 0);
		peer_new(&p);
		ck_assert_int_eq(peer_does(&p, opens, name, O_RDWR, 0), 0);
		peer_new(&next);
		ck_assert_int_eq(peer_does(&next, opens, name, O_RDWR, 0), 0);
		if (i % 2)
			dies_waiting(&p, flocks, "", LOCK_EX, 0);
		else
			dies_waiting(&p, waits, "", F_WRLCK, -1);
		if (i < 2) {
			/* nobody has asked for it any more, so nobody has it */
			f.l_type = F_UNLCK;
			ck_assert_int_eq(fcntl(fd, F_SETLK, &f), 0);
			f.l_type = F_WRLCK;
			ck_assert_int_eq(fcntl(fd, F_SETLK, &f), 0);
		}
		peer_start(&next, i % 2 ? flocks : waits, "", i % 2 ? LOCK_EX : F_WRLCK, -1);
		ck_assert_int_eq(peer_sleeps(&next), 1);
		f.l_type = F_UNLCK;
		ck_assert_int_eq(fcntl(fd, F_SETLK, &f), 0);
		ck_assert_int_eq(peer_end(&next), 0);
		f.l_type = F_WRLCK;
		ck_assert_int_eq(fcntl(fd, F_SETLK, &f), -1);
		peer_free(&next);
		must_come_back(&w.server, "fd", w.fds);
		ck_assert_int_eq(fcntl(fd, F_SETLK, &f), 0);
	}
	close(fd);
}

/*
 * A file that is read and not there yet is /proc/kmsg.  What comes when its reader is dead
 * nobody has taken.
 */
START_TEST(killed_in_read)
{
	static const char word[] = "<5>for those who live\n";
	static char text[1 << 16];
	char name[PATH];
	struct peer p;
	int log, fd, found = 0;

	if (missing)
		SKIP(missing);
	if (!required)
		SKIP("the kernel's log is for others here");
	setup("/proc", WATCHED, "none", 8192);
	log = open("/proc/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	path(name, "mount/", "kmsg");
	peer_new(&p);
	ck_assert_int_eq(peer_does(&p, opens, name, O_RDONLY, 0), 0);
	/*
	 * Nothing is in the way: v9fs asks for more when it has read a part, and who is
	 * killed in between can't be killed in what follows.
	 */
	while (read(log, text, sizeof text) > 0)
		;
	for (peer_start(&p, reads, "", 1 << 16, 0); !peer_sleeps(&p);
	     peer_start(&p, reads, "", 1 << 16, 0))
		ck_assert_int_gt(peer_end(&p), 0);
	peer_kill(&p);
	settle();
	ck_assert_int_eq(write(fd, word, sizeof word - 1), (ssize_t)sizeof word - 1);
	while (read(log, text, sizeof text - 1) > 0)
		found |= strstr(text, word + 3) != NULL;
	ck_assert_int_eq(found, 1);
	close(fd);
	close(log);
	teardown();
}
END_TEST

/* Whatever comes to its mind, until it is killed. */
static void work(unsigned int seed)
{
	static char data[20000];
	struct flock f = { .l_whence = SEEK_SET };
	char name[20], other[20];
	int fd;

	for (;;) {
		seed = seed * 1103515245 + 12345;
		snprintf(name, sizeof name, "file%u", seed >> 16 & 3);
		snprintf(other, sizeof other, "file%u", seed >> 18 & 3);
		fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
		switch (seed >> 20 & 7) {
		case 0:
			flock(fd, LOCK_EX);
			/* fall through */
		case 1:
			pwrite(fd, data, sizeof data, seed >> 24);
			break;
		case 2:
			f.l_type = F_WRLCK;
			f.l_len = seed >> 24;
			fcntl(fd, F_SETLKW, &f);
			/* fall through */
		case 3:
			pread(fd, data, sizeof data, 0);
			break;
		case 4:
			rename(name, other);
			break;
		case 5:
			unlink(name);
			break;
		case 6:
			mkdir("dir", 0700);
			lists(".", 0, 0);
			rmdir("dir");
			break;
		default:
			ftruncate(fd, seed >> 24);
		}
		close(fd);
	}
}

static pid_t start_work(unsigned int seed)
{
	pid_t pid = fork();

	if (!pid)
		work(seed);
	ck_assert_int_ne(pid, -1);
	return pid;
}

/* At any moment.  In the end no descriptor, lock or thread is left of them. */
static void killed_at_work(void)
{
	const int rounds = shortened(200);
	struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	unsigned int seed = 1;
	pid_t workers[3] = { 0 };
	int i, fd;

	ck_assert_int_eq(chdir(w.mount), 0);
	for (i = 0; i < rounds; i++) {
		pid_t *worker = &workers[i % 3];

		if (*worker) {
			nanosleep(&(struct timespec){ 0, (seed >> 16 & 4095) * 1000 }, NULL);
			kill(*worker, SIGKILL);
			ck_assert_int_eq(waitpid(*worker, NULL, 0), *worker);
		}
		seed = seed * 1103515245 + 12345;
		*worker = start_work(seed);
	}
	for (i = 0; i < 3; i++) {
		kill(workers[i], SIGKILL);
		ck_assert_int_eq(waitpid(workers[i], NULL, 0), workers[i]);
	}
	ck_assert_int_eq(chdir("/"), 0);
	all_is_well();
	for (i = 0; i < 4; i++) {
		char name[20];

		snprintf(name, sizeof name, "file%d", i);
		fd = back_door(name);
		ck_assert_int_eq(fcntl(fd, F_SETLK, &f), 0);
		close(fd);
	}
}

START_TEST(killed)
{
	if (missing)
		SKIP(missing);
	setup(NULL, (enum transport)_i, _i % 2 ? "mmap" : "none", _i % 3 ? 8192 : 1 << 20);
	killed_in_calls();
	killed_in_open();
	killed_in_fifo();
	killed_in_lock();
	killed_at_work();
	teardown();
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("v9fs");
	const char *wish;
	TCase *tc = tcase_create("programs"), *kills = tcase_create("killed");

	if (argc == 2 && !strcmp(argv[1], "exit"))
		return 42;		/* as a program in the battery */
	wish = getenv("SAFE_V9FS");
	required = wish && !strcmp(wish, "required");
	missing = look_around();
	if (missing && required) {
		printf("not ok 1 - v9fs: %s\n", missing);
		return EXIT_FAILURE;
	}
	limit_time(tc, 30);
	limit_time(kills, 30);
	tcase_add_loop_test(tc, programs, 0, missing ? 1 : shortened(12) == 12 ? 12 : 4);
	suite_add_tcase(suite, tc);
	tcase_add_loop_test(kills, killed, 0, missing ? 1 : TRANSPORTS);
	tcase_add_test(kills, killed_in_read);
	suite_add_tcase(suite, kills);
	return run_suite(suite);
}
