/* SPDX-License-Identifier: MIT */
/*
 * check_ninep_flush.c - a flushed request has happened or it has not, and its client knows.
 *
 * The tests at the end are a census.  In each round a request waits for something, or is
 * quick; and at about the same time as that happens it is flushed.  What the client heard
 * is compared with what there is: bytes, locks, descriptors, files.  SAFE_SYSCALL_CANCELS
 * says how many rounds, at most; half of them are under a storm of signals.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "ninep.h"

#define ROUNDS		3000

static struct server server;
static struct client client, other;
static int base_fds;

static void setup(void)
{
	serve(&server, "-t", "8", NULL);
	connect_to(&client, &server);
	ck_assert_int_eq(mkfifoat(server.dirfd, "fifo", 0600), 0);
	base_fds = entries(server.pid, "fd");
}

static void teardown(void)
{
	close(client.fd);
	end_server(&server);
}

/* So many requests that wait until somebody writes to the FIFO, and surely do. */
static void block(struct client *c, int first, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		walk_to(c, (unsigned int)(100 + first + i), "fifo");
		tell(c, Tlopen, first + i, "dd", (unsigned int)(100 + first + i), 0u);
	}
	pause_ms(5);
	nothing_comes(c);
}

/* The next two messages: these, in any order. */
static void expect_both(struct client *c, int type, int tag, int type2, int tag2)
{
	int i, got, seen = 0;

	for (i = 0; i < 2; i++) {
		int answer = hear(c, &got);

		ck_assert((answer == tag && got == type) || (answer == tag2 && got == type2));
		seen |= answer == tag ? 1 : 2;
	}
	ck_assert_int_eq(seen, 3);
}

/* ---- the rules, one by one ---------------------------------------------- */

START_TEST(no_reply)
{
	block(&client, 10, 1);
	tell(&client, Tflush, 2, "w", 10u);
	expect(&client, Rflush, 2);
	nothing_comes(&client);
	/* the tag and the fid are as if nothing had been */
	tell(&client, Tgetattr, 10, "dq", 110u, (uint64_t)0x7ff);
	expect(&client, Tgetattr + 1, 10);
	must(&client, Tlopen, "dd", 110u, 2u);
}
END_TEST

START_TEST(reply_first)
{
	int fd;

	open_file(&client, 1, "fifo", 2);
	tell(&client, Tread, 10, "dqd", 1u, (uint64_t)0, 100u);
	nothing_comes(&client);
	fd = openat(server.dirfd, "fifo", O_WRONLY);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	expect(&client, Tread + 1, 10);
	tell(&client, Tflush, 2, "w", 10u);
	expect(&client, Rflush, 2);
	close(fd);
}
END_TEST

/* What a write wrote before it was flushed, it tells. */
START_TEST(part_of_a_write)
{
	static char data[65536], in[80000];
	const int size = 8192;
	uint32_t wrote;
	int fd;

	fd = openat(server.dirfd, "fifo", O_RDWR | O_NONBLOCK);
	ck_assert_int_eq(fcntl(fd, F_SETPIPE_SZ, size), size);
	open_file(&client, 1, "fifo", 1);
	tell(&client, Twrite, 10, "dqD", 1u, (uint64_t)0, data, 60000u);
	nothing_comes(&client);
	tell(&client, Tflush, 2, "w", 10u);
	expect(&client, Twrite + 1, 10);
	wrote = (uint32_t)get(&client, 4);
	expect(&client, Rflush, 2);
	ck_assert_uint_eq(wrote, (uint32_t)size);
	ck_assert_int_eq(read(fd, in, sizeof in), (int)wrote);
	close(fd);
}
END_TEST

START_TEST(unknown_and_many)
{
	int i;

	tell(&client, Tflush, 2, "w", 1234u);
	expect(&client, Rflush, 2);
	tell(&client, Tflush, 3, "w", 3u);
	expect(&client, Rflush, 3);
	block(&client, 10, 2);
	/* in their order, those of flushes among them; the other request goes on */
	tell(&client, Tflush, 20, "w", 10u);
	for (i = 21; i < 40; i++)
		tell(&client, Tflush, i, "w", i % 3 ? 10u : (unsigned int)i - 1);
	for (i = 20; i < 40; i++)
		expect(&client, Rflush, i);
	nothing_comes(&client);
	tell(&client, Tflush, 20, "w", 11u);
	expect(&client, Rflush, 20);
}
END_TEST

/* While all threads block, what is needed to end that works. */
START_TEST(all_threads_block)
{
	block(&client, 10, 8);
	tell(&client, Tgetattr, 5, "dq", ROOT, (uint64_t)0x7ff);
	nothing_comes(&client);
	tell(&client, Tclunk, 6, "d", 110u);
	expect(&client, Tclunk + 1, 6);
	tell(&client, Tflush, 6, "w", 5u);	/* it has not even begun */
	expect(&client, Rflush, 6);
	tell(&client, Tgetattr, 5, "dq", ROOT, (uint64_t)0x7ff);
	tell(&client, Tflush, 6, "w", 17u);
	expect(&client, Rflush, 6);
	expect(&client, Tgetattr + 1, 5);
	block(&client, 20, 1);
	must(&client, Tversion, "ds", 65536u, "9P2000.L");
	must_come_back(&server, "fd", base_fds - 1);
}
END_TEST

/* Nor does it hear less of a client whose requests want more memory than there is for it. */
START_TEST(all_memory_is_asked_for)
{
	int i;

	must(&client, Tversion, "ds", 1u << 20, "9P2000.L");
	must(&client, Tattach, "ddssd", ROOT, NOFID, "", "", (unsigned int)geteuid());
	open_file(&client, 1, "fifo", 2);
	for (i = 10; i < 110; i++)
		tell(&client, Tread, i, "dqd", 1u, (uint64_t)0, 1u << 20);
	nothing_comes(&client);
	for (i = 109; i >= 10; i--) {
		tell(&client, Tflush, 2, "w", (unsigned int)i);
		expect(&client, Rflush, 2);
	}
}
END_TEST

/* Nor when what they hold already is all that there is for it. */
START_TEST(all_memory_is_held)
{
	enum { FIRST = 10, LAST = FIRST + 25 };
	static char data[(1 << 20) - 23];
	const int size = 8192;
	int fd = openat(server.dirfd, "fifo", O_RDWR | O_NONBLOCK), i;

	ck_assert_int_eq(fcntl(fd, F_SETPIPE_SZ, size), size);
	must(&client, Tversion, "ds", 1u << 20, "9P2000.L");
	must(&client, Tattach, "ddssd", ROOT, NOFID, "", "", (unsigned int)geteuid());
	open_file(&client, 1, "fifo", 1);
	tell(&client, Twrite, FIRST, "dqD", 1u, (uint64_t)0, data, (unsigned int)sizeof data);
	while (poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, 0))
		sched_yield();
	for (i = FIRST + 1; i <= LAST; i++)
		tell(&client, Twrite, i, "dqD", 1u, (uint64_t)0, data, (unsigned int)sizeof data);
	nothing_comes(&client);
	for (i = LAST; i > FIRST; i--) {
		tell(&client, Tflush, 2, "w", (unsigned int)i);
		expect(&client, Rflush, 2);
	}
	tell(&client, Tflush, 2, "w", (unsigned int)FIRST);
	expect(&client, Twrite + 1, FIRST);
	ck_assert_uint_eq(get(&client, 4), (unsigned int)size);
	expect(&client, Rflush, 2);
	close(fd);
}
END_TEST

START_TEST(clunk_with_file_while_all_block)
{
	make(&server, "file", "");
	open_file(&client, 1, "file", 0);
	block(&client, 10, 8);
	tell(&client, Tclunk, 6, "d", 1u);
	expect(&client, Tclunk + 1, 6);
}
END_TEST

START_TEST(version_and_close)
{
	char line[8];

	block(&client, 10, 8);
	tell(&client, Tgetattr, 5, "dq", ROOT, (uint64_t)0x7ff);
	/* what comes behind it belongs to the new session */
	tell(&client, Tversion, NOTAG, "ds", 65536u, "9P2000.L");
	tell(&client, Tattach, 10, "ddssd", ROOT, NOFID, "", "", (unsigned int)geteuid());
	expect(&client, Tversion + 1, NOTAG);
	expect(&client, Tattach + 1, 10);
	must_come_back(&server, "fd", base_fds);
	connect_to(&other, &server);
	block(&other, 10, 8);
	tell(&other, Tgetattr, 5, "dq", ROOT, (uint64_t)0x7ff);
	close(other.fd);
	must_come_back(&server, "fd", base_fds);
	/* and the server's own end, in the middle of it */
	block(&client, 10, 8);
	kill(server.pid, SIGTERM);
	ck_assert_int_eq(recv(client.fd, line, 1, 0), 0);
	close(client.fd);
	ck_assert_int_eq(waitpid(server.pid, NULL, 0), server.pid);
	close(server.dirfd);
	remove_tree(server.dir);
	setup();
}
END_TEST

/* What a session ends with has not begun when the last one of its requests has not either. */
START_TEST(version_behind_what_waits)
{
	connect_to(&other, &server);
	block(&other, 10, 8);
	tell(&client, Tgetattr, 5, "dq", ROOT, (uint64_t)0x7ff);
	tell(&client, Tversion, NOTAG, "ds", 65536u, "9P2000.L");
	expect(&client, Tversion + 1, NOTAG);
}
END_TEST

/* More than the server takes of a client: so it reads nothing, and is to see the end all the same. */
START_TEST(gone_while_nothing_is_read)
{
	static char data[(1 << 20) - 23];
	int fd = openat(server.dirfd, "fifo", O_RDWR | O_NONBLOCK), i;

	connect_to(&other, &server);
	must(&other, Tversion, "ds", 1u << 20, "9P2000.L");
	must(&other, Tattach, "ddssd", ROOT, NOFID, "", "", (unsigned int)geteuid());
	open_file(&other, 1, "fifo", 1);
	ck_assert_int_eq(fcntl(other.fd, F_SETFL, O_NONBLOCK), 0);
	for (i = 10; i < 74; i++) {
		static unsigned char message[1 << 20] = {
			0, 0, 16, 0, Twrite, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			(sizeof data) & 255, (sizeof data) >> 8 & 255, (sizeof data) >> 16
		};
		size_t sent = 0;
		ssize_t n = 0;

		message[5] = (unsigned char)i;
		while (sent < sizeof message &&
		       (n = write(other.fd, message + sent, sizeof message - sent)) != 0) {
			sent += n > 0 ? (size_t)n : 0;
			if (n == -1 && !poll(&(struct pollfd){ other.fd, POLLOUT, 0 }, 1, 300))
				break;
		}
		if (sent < sizeof message)
			break;
	}
	ck_assert_int_lt(i, 74);
	close(other.fd);
	must_come_back(&server, "fd", base_fds);
	close(fd);
}
END_TEST

/* The number is free, the open goes on, and is not lost either. */
START_TEST(clunk_beside_a_request)
{
	int fd;

	block(&client, 10, 1);
	tell(&client, Tclunk, 5, "d", 110u);
	expect(&client, Tclunk + 1, 5);
	walk_to(&client, 110, "fifo");
	fd = openat(server.dirfd, "fifo", O_RDWR);
	expect(&client, Tlopen + 1, 10);
	close(fd);
	must(&client, Tlopen, "dd", 110u, 2u);
	tell(&client, Tread, 10, "dqd", 110u, (uint64_t)0, 100u);
	clunk(&client, 110);
	nothing_comes(&client);
	fd = openat(server.dirfd, "fifo", O_WRONLY);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	expect(&client, Tread + 1, 10);
	close(fd);
	must_come_back(&server, "fd", base_fds);
}
END_TEST

START_TEST(lock_taken_back)
{
	make(&server, "file", "");
	open_file(&client, 1, "file", 2);
	open_file(&client, 2, "file", 2);
	must(&client, Tlock, "dbdqqds", 1u, 1u, 1u, (uint64_t)0, (uint64_t)0, 1u, "a");
	ck_assert_uint_eq(get(&client, 1), 0);
	tell(&client, Tlock, 10, "dbdqqds", 2u, 1u, 1u, (uint64_t)0, (uint64_t)0, 2u, "a");
	tell(&client, Tlock, 11, "dbdqqds", 2u, 1u, 1u, (uint64_t)0, (uint64_t)0, 3u, "a");
	nothing_comes(&client);
	tell(&client, Tflush, 12, "w", 10u);
	expect(&client, Rflush, 12);
	tell(&client, Tlock, 1, "dbdqqds", 1u, 2u, 0u, (uint64_t)0, (uint64_t)0, 1u, "a");
	expect_both(&client, Tlock + 1, 1, Tlock + 1, 11);
	must(&client, Tlock, "dbdqqds", 1u, 0u, 0u, (uint64_t)0, (uint64_t)0, 1u, "a");
	ck_assert_uint_eq(get(&client, 1), 1);
	close(client.fd);
	must_come_back(&server, "task", 2);
}
END_TEST

/* ---- the storm ---------------------------------------------------------- */

static int blowing;

static void *storm(void *unused)
{
	static const int signals[] = { SIGURG, SIGUSR1, SIGCONT, SIGCHLD, SIGWINCH, SIGALRM,
		SIGSTOP, SIGCONT };
	unsigned int seed = 1, i;
	char path[64];
	DIR *dir;
	struct dirent *e;

	(void)unused;
	snprintf(path, sizeof path, "/proc/%d/task", (int)server.pid);
	for (i = 0; __atomic_load_n(&blowing, __ATOMIC_RELAXED); i++) {
		if (rand_r(&seed) % 8) {
			kill(server.pid, signals[i % 8]);
			continue;
		}
		/* to each of its threads: the interrupt signal too, from somebody else */
		dir = opendir(path);
		while (dir && (e = readdir(dir)))
			if (atoi(e->d_name))
				syscall(SYS_tgkill, server.pid, atoi(e->d_name), SIGURG);
		if (dir)
			closedir(dir);
		sched_yield();
	}
	kill(server.pid, SIGCONT);
	return NULL;
}

static pthread_t wind;

static void start_storm(void)
{
	blowing = 1;
	ck_assert_int_eq(pthread_create(&wind, NULL, storm, NULL), 0);
}

static void end_storm(void)
{
	__atomic_store_n(&blowing, 0, __ATOMIC_RELAXED);
	pthread_join(wind, NULL);
}

/* What nobody flushed comes to its end: whole, and never with EINTR. */
START_TEST(unflushed_in_a_storm)
{
	static char data[65000], in[65000];
	int i, n, fd, count = fewer(ROUNDS) / 50;

	open_file(&client, 1, "fifo", 2);
	make(&server, "file", "");
	open_file(&client, 3, "file", 2);
	fd = openat(server.dirfd, "fifo", O_RDWR);
	/* less than is written: a write that is half done can't be started again */
	fcntl(fd, F_SETPIPE_SZ, 4096);
	start_storm();
	for (i = 0; i < count; i++) {
		tell(&client, Tread, 10, "dqd", 1u, (uint64_t)0, 1u);
		pause_ms(1);
		ck_assert_int_eq(write(fd, "x", 1), 1);
		expect(&client, Tread + 1, 10);
		tell(&client, Twrite, 11, "dqD", 1u, (uint64_t)0, data, 65000u);
		tell(&client, Twrite, 12, "dqD", 1u, (uint64_t)0, data, 1u);
		pause_ms(1);
		for (n = 0; n < 65001; n += (int)read(fd, in, sizeof in))
			;
		ck_assert_int_eq(n, 65001);
		for (n = 0; n < 2; n++) {
			int type, tag = hear(&client, &type);

			ck_assert_int_eq(type, Twrite + 1);
			ck_assert_uint_eq(get(&client, 4), tag == 11 ? 65000 : 1);
		}
		walk_to(&client, 2, "fifo");
		tell(&client, Tlopen, 10, "dd", 2u, 0u);
		tell(&client, Tlock, 1, "dbdqqds", 3u, 1u, 1u, (uint64_t)0, (uint64_t)0, 1u, "a");
		expect_both(&client, Tlopen + 1, 10, Tlock + 1, 1);
		clunk(&client, 2);
	}
	end_storm();
	close(fd);
}
END_TEST

/*
 * No call that the server makes here fails with EINTR by itself when a signal comes: the
 * kernel makes it again.  Calls to slow file systems do.  So the kernel is told to ask this
 * program about each of the server's calls, and every second one fails with EINTR.  Not
 * write(): the loop wakes itself by it, and no eventfd says EINTR.
 */
static const int asked[] = { SYS_openat, SYS_read, SYS_preadv, SYS_pwritev,
	SYS_statx, SYS_getdents64, SYS_fsync, SYS_fchownat, SYS_fchmodat, SYS_renameat2,
	SYS_unlinkat, SYS_linkat, SYS_symlinkat, SYS_mkdirat, SYS_mknodat, SYS_readlinkat,
	SYS_setxattr, SYS_getxattr, SYS_listxattr, SYS_utimensat,
#ifdef SYS_fcntl64
	SYS_fcntl64,
#endif
#ifdef SYS_readlink
	SYS_readlink,
#endif
	SYS_truncate, SYS_ftruncate
};

#define ASKED	(sizeof asked / sizeof asked[0])

/* Of this thread and what it starts.  The descriptor on which the kernel asks, or -1. */
static int ask_about_calls(void)
{
	struct sock_filter filter[ASKED + 3] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	struct sock_fprog program = { ASKED + 3, filter };
	size_t i;

	for (i = 0; i < ASKED; i++)
		filter[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned int)asked[i], (unsigned char)(ASKED - i), 0);
	filter[ASKED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[ASKED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static pid_t server_asked;
static int asks = -1, told, pair[2];

/* The thread that starts the server has the filter and makes none of the calls itself. */
static void *start_asked(void *unused)
{
	char where[32];

	snprintf(where, sizeof where, "fd:%d,%d", pair[1], pair[1]);
	asks = ask_about_calls();
	if (asks != -1) {
		server_asked = fork();
		if (!server_asked) {
			execl(server_program(), server_program(), server.dir, where, NULL);
			_exit(127);
		}
	}
	return unused;
}

static void *answer_asked(void *unused)
{
	struct seccomp_notif q;
	struct seccomp_notif_resp a;
	int turn = 0;

	for (;;) {
		memset(&q, 0, sizeof q);
		if (ioctl(asks, SECCOMP_IOCTL_NOTIF_RECV, &q))
			continue;
		memset(&a, 0, sizeof a);
		a.id = q.id;
		/* not before the server is the server */
		if (__atomic_load_n(&told, __ATOMIC_RELAXED) && turn++ % 2)
			a.error = -EINTR;
		else
			a.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		__atomic_fetch_add(&told, a.error != 0, __ATOMIC_RELAXED);
		ioctl(asks, SECCOMP_IOCTL_NOTIF_SEND, &a);
	}
	return unused;
}

START_TEST(unflushed_and_told_eintr)
{
	pthread_t thread;
	int fd, i;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	ck_assert_int_eq(pthread_create(&thread, NULL, start_asked, NULL), 0);
	pthread_join(thread, NULL);
	if (asks == -1)
		SKIP("the kernel does not ask about calls");
	pthread_create(&thread, NULL, answer_asked, NULL);
	close(pair[1]);
	other.fd = pair[0];
	must(&other, Tversion, "ds", 65536u, "9P2000.L");
	told = 1;
	must(&other, Tattach, "ddssd", ROOT, NOFID, "", "", (unsigned int)geteuid());
	for (i = 0; i < 20; i++) {
		must(&other, Twalk, "ddw", ROOT, 1u, 0u);
		must(&other, Tlcreate, "dsddd", 1u, "new", 0302u, 0644u, 0u);
		must(&other, Twrite, "dqD", 1u, (uint64_t)0, "hello", 5u);
		ck_assert_uint_eq(get(&other, 4), 5);
		must(&other, Tread, "dqd", 1u, (uint64_t)0, 100u);
		ck_assert_uint_eq(get(&other, 4), 5);
		must(&other, Tfsync, "dd", 1u, 0u);
		must(&other, Tlock, "dbdqqds", 1u, 1u, 1u, (uint64_t)0, (uint64_t)0, 1u, "a");
		ck_assert_uint_eq(get(&other, 1), 0);
		must(&other, Tgetlock, "dbqqds", 1u, 1u, (uint64_t)0, (uint64_t)0, 2u, "b");
		must(&other, Tsetattr, "dddddqqqqq", 1u, 0x3fu, 0600u, geteuid(), getegid(),
		     (uint64_t)3, (uint64_t)1, (uint64_t)1, (uint64_t)1, (uint64_t)1);
		must(&other, Tstatfs, "d", 1u);
		must(&other, Tlink, "dds", ROOT, 1u, "second");
		must(&other, Trename, "dds", 1u, ROOT, "third");
		must(&other, Tremove, "d", 1u);
		must(&other, Trenameat, "dsds", ROOT, "second", ROOT, "fourth");
		must(&other, Tmkdir, "dsdd", ROOT, "d", 0700u, 0u);
		must(&other, Tunlinkat, "dsd", ROOT, "d", 0x200u);
		must(&other, Tsymlink, "dssd", ROOT, "l", "to", 0u);
		must(&other, Twalk, "ddws", ROOT, 2u, 1u, "l");
		must(&other, Treadlink, "d", 2u);
		must(&other, Tremove, "d", 2u);
		must(&other, Twalk, "ddws", ROOT, 2u, 1u, "fourth");
		must(&other, Txattrwalk, "dds", 2u, 3u, "");
		clunk(&other, 3);
		must(&other, Tremove, "d", 2u);
		must(&other, Tmknod, "dsdddd", ROOT, "p", S_IFIFO | 0600u, 0u, 0u, 0u);
		must(&other, Twalk, "ddws", ROOT, 1u, 1u, "p");
		tell(&other, Tlopen, 10, "dd", 1u, 0u);
		fd = openat(server.dirfd, "p", O_RDWR);
		expect(&other, Tlopen + 1, 10);
		tell(&other, Tread, 10, "dqd", 1u, (uint64_t)0, 100u);
		ck_assert_int_eq(write(fd, "x", 1), 1);
		expect(&other, Tread + 1, 10);
		close(fd);
		must(&other, Tremove, "d", 1u);
		must(&other, Twalk, "ddw", ROOT, 1u, 0u);
		must(&other, Tlopen, "dd", 1u, 0200000u);
		must(&other, Treaddir, "dqd", 1u, (uint64_t)0, 4000u);
		clunk(&other, 1);
	}
	ck_assert_int_gt(told, 1000);
	close(other.fd);
	ck_assert_int_eq(waitpid(server_asked, NULL, 0), server_asked);
}
END_TEST

/* ---- the census --------------------------------------------------------- */

/*
 * What the request waits for happens on another thread, a random moment after the flush
 * was about to be sent, or before.
 */
static pthread_barrier_t together;
static void (*happen)(int round);
static int rounds_left, delays[2];

static void spin(int turns)
{
	while (turns-- > 0)
		__asm__ volatile("" ::: "memory");
}

static void *happening(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; i < rounds_left; i++) {
		pthread_barrier_wait(&together);
		spin(delays[0]);
		happen(i);
		pthread_barrier_wait(&together);
	}
	return NULL;
}

/* True: the reply came, and then Rflush.  False: Rflush alone. */
static int replied(int type)
{
	int got, tag = hear(&client, &got);

	if (tag == 2) {
		ck_assert_int_eq(got, Rflush);
		return 0;
	}
	ck_assert_int_eq(tag, 10);
	ck_assert_msg(got == type, "type %d, error %d", got, client.in[7]);
	return 1;
}

static void census(int type, void (*request)(int), void (*what)(int), void (*check)(int, int))
{
	unsigned int seed = (unsigned int)type;
	unsigned char reply[64];
	int i, yes, count[2] = { 0, 0 }, reach = 4000;
	pthread_t thread;

	rounds_left = fewer(ROUNDS);
	happen = what;
	pthread_barrier_init(&together, NULL, 2);
	pthread_create(&thread, NULL, happening, NULL);
	for (i = 0; i < rounds_left; i++) {
		if (i == rounds_left / 2)
			start_storm();
		delays[0] = rand_r(&seed) % (reach + 1);
		delays[1] = rand_r(&seed) % (reach + 1);
		request(i);
		pthread_barrier_wait(&together);
		spin(delays[1]);
		tell(&client, Tflush, 2, "w", 10u);
		yes = replied(type);
		memcpy(reply, client.in, sizeof reply);
		if (yes)
			expect(&client, Rflush, 2);
		pthread_barrier_wait(&together);
		/* where both come about as often, the two meet */
		count[yes]++;
		reach = rand_r(&seed) % 8 ? reach : (int)(rand_r(&seed) % 200000);
		memcpy(client.in, reply, sizeof reply);
		client.at = client.in + 7;
		check(i, yes);
	}
	end_storm();
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&together);
	nothing_comes(&client);
	printf("%s %d: %d replies, %d without\n", "flushed, type", type, count[1], count[0]);
}

static int fifo, lock_fd;

static void ask_byte(int i)
{
	(void)i;
	tell(&client, Tread, 10, "dqd", 1u, (uint64_t)0, 100u);
}

static void write_byte(int i)
{
	char byte = (char)i;

	ck_assert_int_eq(write(fifo, &byte, 1), 1);
}

static void find_byte(int i, int yes)
{
	char byte[2];

	if (yes) {
		ck_assert_uint_eq(get(&client, 4), 1);
		ck_assert_uint_eq(get(&client, 1), (unsigned char)i);
		ck_assert_int_eq(read(fifo, byte, 2), -1);
	} else {
		ck_assert_int_eq(read(fifo, byte, 2), 1);
		ck_assert_int_eq(byte[0], (char)i);
	}
}

START_TEST(bytes)
{
	open_file(&client, 1, "fifo", 2);
	fifo = openat(server.dirfd, "fifo", O_RDWR | O_NONBLOCK);
	census(Tread + 1, ask_byte, write_byte, find_byte);
	close(fifo);
}
END_TEST

/* A write that waits for room: what the client hears is how much has arrived. */
static char filling[8192];
static size_t arrived;

static void ask_write(int i)
{
	(void)i;
	/* full, so that the write waits */
	while (write(fifo, filling, sizeof filling) > 0)
		;
	arrived = 0;
	tell(&client, Twrite, 10, "dqD", 1u, (uint64_t)0, "0123456789", 10u);
}

static void make_room(int i)
{
	static char in[8192];

	(void)i;
	ck_assert_int_gt(read(fifo, in, 4096), 0);
}

static void count_bytes(int i, int yes)
{
	static char in[8192];
	ssize_t n, at;

	(void)i;
	while ((n = read(fifo, in, sizeof in)) > 0)
		for (at = 0; at < n; at++)
			arrived += in[at] != 0;
	ck_assert_uint_eq(arrived, yes ? get(&client, 4) : 0);
}

START_TEST(writes)
{
	fifo = openat(server.dirfd, "fifo", O_RDWR | O_NONBLOCK);
	fcntl(fifo, F_SETPIPE_SZ, 8192);
	open_file(&client, 1, "fifo", 1);
	census(Twrite + 1, ask_write, make_room, count_bytes);
	close(fifo);
}
END_TEST

static int local_lock(int operation)
{
	struct flock lock = { .l_type = (short)operation };

	return fcntl(lock_fd, F_OFD_SETLK, &lock);
}

static void ask_lock(int i)
{
	(void)i;
	ck_assert_int_eq(local_lock(F_WRLCK), 0);
	tell(&client, Tlock, 10, "dbdqqds", 1u, 1u, 1u, (uint64_t)0, (uint64_t)0, 1u, "a");
}

static void release_lock(int i)
{
	(void)i;
	local_lock(F_UNLCK);
}

static void find_lock(int i, int yes)
{
	(void)i;
	if (yes)
		ck_assert_uint_eq(get(&client, 1), 0);
	ck_assert_int_eq(local_lock(F_WRLCK), yes ? -1 : 0);
	local_lock(F_UNLCK);
	if (yes)
		must(&client, Tlock, "dbdqqds", 1u, 2u, 0u, (uint64_t)0, (uint64_t)0, 1u, "a");
}

START_TEST(lock_census)
{
	make(&server, "file", "");
	lock_fd = openat(server.dirfd, "file", O_RDWR);
	open_file(&client, 1, "file", 2);
	census(Tlock + 1, ask_lock, release_lock, find_lock);
	close(lock_fd);
}
END_TEST

static void ask_open(int i)
{
	(void)i;
	tell(&client, Tlopen, 10, "dd", 1u, 0u);
}

static void open_writer(int i)
{
	(void)i;
	fifo = openat(server.dirfd, "fifo", O_RDWR);
}

static void find_open(int i, int yes)
{
	(void)i;
	close(fifo);
	/* a fid that is open is a descriptor more; one that isn't can be opened */
	ck_assert_int_eq(entries(server.pid, "fd"), base_fds + yes);
	must_fail(yes ? EBADF : 0, &client, Tlopen, "dd", 1u, 2u);
	clunk(&client, 1);
	walk_to(&client, 1, "fifo");
}

START_TEST(opens)
{
	walk_to(&client, 1, "fifo");
	base_fds++;
	census(Tlopen + 1, ask_open, open_writer, find_open);
}
END_TEST

static void ask_create(int i)
{
	(void)i;
	tell(&client, Tlcreate, 10, "dsddd", 1u, "new", 0302u, 0644u, 0u);
}

static void nothing(int i)
{
	(void)i;
}

static void find_file(int i, int yes)
{
	(void)i;
	/* a fid is a descriptor, and one more when it is open */
	ck_assert_int_eq(entries(server.pid, "fd"), base_fds + 1 + yes);
	ck_assert_int_eq(unlinkat(server.dirfd, "new", 0), yes ? 0 : -1);
	clunk(&client, 1);
	must(&client, Twalk, "ddw", ROOT, 1u, 0u);
}

START_TEST(creates)
{
	must(&client, Twalk, "ddw", ROOT, 1u, 0u);
	census(Tlcreate + 1, ask_create, nothing, find_file);
}
END_TEST

static void ask_walk(int i)
{
	(void)i;
	tell(&client, Twalk, 10, "ddws", ROOT, 1u, 1u, "fifo");
}

static void find_fid(int i, int yes)
{
	(void)i;
	must_fail(yes ? 0 : EBADF, &client, Tclunk, "d", 1u);
	ck_assert_int_eq(entries(server.pid, "fd"), base_fds);
}

START_TEST(walks)
{
	census(Twalk + 1, ask_walk, nothing, find_fid);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ninep flush");
	TCase *tc = tcase_create("flush");

	if (!has_server())
		return 77;

	tcase_add_checked_fixture(tc, setup, teardown);
	limit_time(tc, 120);
	tcase_add_test(tc, no_reply);
	tcase_add_test(tc, reply_first);
	tcase_add_test(tc, part_of_a_write);
	tcase_add_test(tc, unknown_and_many);
	tcase_add_test(tc, all_threads_block);
	tcase_add_test(tc, all_memory_is_asked_for);
	tcase_add_test(tc, all_memory_is_held);
	tcase_add_test(tc, clunk_with_file_while_all_block);
	tcase_add_test(tc, version_and_close);
	tcase_add_test(tc, version_behind_what_waits);
	tcase_add_test(tc, gone_while_nothing_is_read);
	tcase_add_test(tc, clunk_beside_a_request);
	tcase_add_test(tc, lock_taken_back);
	tcase_add_test(tc, unflushed_in_a_storm);
	tcase_add_test(tc, unflushed_and_told_eintr);
	tcase_add_test(tc, bytes);
	tcase_add_test(tc, writes);
	tcase_add_test(tc, lock_census);
	tcase_add_test(tc, opens);
	tcase_add_test(tc, creates);
	tcase_add_test(tc, walks);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
