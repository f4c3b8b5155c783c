/* SPDX-License-Identifier: MIT */
/* check_ninep.c - the file server: each of its messages, and what a client may do wrong */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "ninep.h"

static struct server server;
static struct client client, other;

static void setup(void)
{
	serve(&server, NULL);
	connect_to(&client, &server);
}

static void teardown(void)
{
	close(client.fd);
	end_server(&server);
}

/* ---- the messages ------------------------------------------------------- */

START_TEST(version)
{
	dial(&other, &server);
	must_fail(EPROTO, &other, Tattach, "ddssd", ROOT, NOFID, "", "", 0u);
	must(&other, Tversion, "ds", 8192u, "9P2000.u");
	ck_assert_uint_eq(get(&other, 4), 8192);
	ck_assert_int_eq(memcmp(other.at, "\7\0unknown", 9), 0);
	must_fail(EPROTO, &other, Tgetattr, "dq", ROOT, (uint64_t)0x7ff);
	must(&other, Tversion, "ds", 0x7fffffffu, "9P2000.L");
	ck_assert_uint_eq(get(&other, 4), 1 << 20);
	must_fail(EMSGSIZE, &other, Tversion, "ds", 10u, "9P2000.L");
	must_fail(EOPNOTSUPP, &client, Tauth, "dssd", 5u, "", "", 0u);
	must_fail(EOPNOTSUPP, &client, 98, "d", 5u);
	close(other.fd);
}
END_TEST

START_TEST(attach)
{
	mkdirat(server.dirfd, "below", 0755);
	must_fail(EBADF, &client, Tattach, "ddssd", ROOT, NOFID, "", "", 0u);
	must_fail(EBADF, &client, Tattach, "ddssd", 1u, 5u, "", "", 0u);
	must_fail(ENOENT, &client, Tattach, "ddssd", 1u, NOFID, "", "nothing",
		  (unsigned int)geteuid());
	must(&client, Tattach, "ddssd", 1u, NOFID, "", "/", (unsigned int)geteuid());
	must(&client, Tattach, "ddssd", 2u, NOFID, "", "/below/", (unsigned int)geteuid());
	ck_assert_uint_eq(*client.at, 0x80);
	must(&client, Tattach, "ddssd", 3u, NOFID, "", "../../below/..", (unsigned int)geteuid());
	must(&client, Twalk, "ddws", 3u, 4u, 1u, "below");
	must_fail(EPERM, &client, Tattach, "ddssd", 5u, NOFID, "no such user", "", NOFID);
}
END_TEST

static uint64_t inode(struct client *c)
{
	c->at += 5;
	return get(c, 8);
}

START_TEST(walk)
{
	struct stat stat, root;

	mkdirat(server.dirfd, "a", 0755);
	mkdirat(server.dirfd, "a/b", 0755);
	make(&server, "a/b/file", "");
	ck_assert_int_eq(symlinkat("/etc", server.dirfd, "link"), 0);
	fstat(server.dirfd, &root);
	fstatat(server.dirfd, "a/b/file", &stat, 0);
	must(&client, Twalk, "ddwsss", ROOT, 1u, 3u, "a", "b", "file");
	ck_assert_uint_eq(get(&client, 2), 3);
	client.at += 26;
	ck_assert_uint_eq(inode(&client) & 0xffffffff, stat.st_ino & 0xffffffff);
	/* half the way is no way: the fid is not there, the qids are */
	must(&client, Twalk, "ddwsss", ROOT, 2u, 3u, "a", "nothing", "file");
	ck_assert_uint_eq(get(&client, 2), 1);
	must_fail(EBADF, &client, Tclunk, "d", 2u);
	must_fail(ENOENT, &client, Twalk, "ddws", ROOT, 2u, 1u, "nothing");
	must_fail(ENOTDIR, &client, Twalk, "ddws", 1u, 2u, 1u, "x");
	must_fail(EBADF, &client, Twalk, "ddws", 77u, 2u, 1u, "a");
	must_fail(EBADF, &client, Twalk, "ddws", ROOT, 1u, 1u, "a");
	/* names that are none */
	must_fail(ENOENT, &client, Twalk, "ddws", ROOT, 2u, 1u, "a/b");
	must_fail(ENOENT, &client, Twalk, "ddws", ROOT, 2u, 1u, ".");
	must_fail(ENOENT, &client, Twalk, "ddws", ROOT, 2u, 1u, "");
	/* above the root is the root */
	must(&client, Twalk, "ddwssss", ROOT, 2u, 4u, "..", "a", "..", "..");
	client.at += 2 + 39;
	ck_assert_uint_eq(inode(&client) & 0xffffffff, root.st_ino & 0xffffffff);
	/* a link is a link */
	must(&client, Twalk, "ddws", ROOT, 3u, 1u, "link");
	ck_assert_uint_eq(client.at[2], 2);
	must_fail(ENOTDIR, &client, Twalk, "ddws", 3u, 4u, 1u, "passwd");
	must_fail(ELOOP, &client, Tlopen, "dd", 3u, 0u);
	must(&client, Treadlink, "d", 3u);
	ck_assert_int_eq(memcmp(client.at, "\4\0/etc", 6), 0);
	must_fail(EINVAL, &client, Treadlink, "d", 1u);
	/* in place, and copied */
	must(&client, Twalk, "ddws", 2u, 2u, 1u, "a");
	must(&client, Twalk, "ddw", 2u, 4u, 0u);
	must(&client, Twalk, "ddws", 4u, 5u, 1u, "b");
	must_fail(EINVAL, &client, Twalk, "ddwsssssssssssssssss", ROOT, 6u, 17u, "a", "b", "..",
		  "b", "..", "b", "..", "b", "..", "b", "..", "b", "..", "b", "..", "b", "..");
}
END_TEST

/* Whoever moves a directory away takes nobody along to where it goes. */
START_TEST(moved_away)
{
	char outside[80];

	snprintf(outside, sizeof outside, "%s.out", server.dir);
	mkdir(outside, 0755);
	mkdirat(server.dirfd, "a", 0755);
	mkdirat(server.dirfd, "a/b", 0755);
	must(&client, Twalk, "ddwss", ROOT, 1u, 2u, "a", "b");
	strcat(outside, "/a");	/* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
	ck_assert_int_eq(renameat(server.dirfd, "a", AT_FDCWD, outside), 0);
	must(&client, Tgetattr, "dq", 1u, (uint64_t)0x7ff);
	must_fail(ENOENT, &client, Twalk, "ddws", 1u, 2u, 1u, "..");
	must_fail(ENOENT, &client, Twalk, "ddwss", 1u, 2u, 2u, "..", "..");
	must_fail(ENOENT, &client, Tremove, "d", 1u);
	outside[strlen(outside) - 2] = 0;
	remove_tree(outside);
}
END_TEST

/*
 * A directory goes out of the tree and comes back, again and again, while a client walks
 * in it and up: whatever it meets is inside.
 */
static int moving;
static char inside[80], outside[80];

static void *move_about(void *unused)
{
	while (__atomic_load_n(&moving, __ATOMIC_RELAXED)) {
		ck_assert_int_eq(rename(inside, outside), 0);
		ck_assert_int_eq(rename(outside, inside), 0);
	}
	return unused;
}

START_TEST(moved_meanwhile)
{
	struct stat tmp;
	pthread_t thread;
	int i, n, met = 0;

	ck_assert_int_eq(stat("/tmp", &tmp), 0);
	mkdirat(server.dirfd, "a", 0755);
	mkdirat(server.dirfd, "a/b", 0755);
	mkdirat(server.dirfd, "a/b/c", 0755);
	snprintf(inside, sizeof inside, "%s/a/b", server.dir);
	snprintf(outside, sizeof outside, "%s.b", server.dir);
	moving = 1;
	pthread_create(&thread, NULL, move_about, NULL);
	for (i = 0; i < 3000; i++) {
		if (ask(&client, Twalk, "ddwsssss", ROOT, 1u, 5u, "a", "b", "c", "..", ".."))
			continue;
		for (n = (int)get(&client, 2), met += n == 5; n; n--)
			ck_assert_uint_ne(inode(&client) & 0xffffffff, tmp.st_ino & 0xffffffff);
		/* it may be outside by now, but there is no way up from there */
		if (ask(&client, Twalk, "ddws", 1u, 2u, 1u, ".."))
			ask(&client, Tclunk, "d", 1u);
		else {
			client.at += 2;
			ck_assert_uint_ne(inode(&client) & 0xffffffff, tmp.st_ino & 0xffffffff);
			ask(&client, Tclunk, "d", 1u);
			clunk(&client, 2);
		}
	}
	__atomic_store_n(&moving, 0, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_int_gt(met, 0);
}
END_TEST

START_TEST(files)
{
	unsigned char *p;
	uint32_t n;

	must(&client, Twalk, "ddw", ROOT, 1u, 0u);
	must(&client, Tlcreate, "dsddd", 1u, "file", 0102u, 0640u, 0u);
	must_fail(EBADF, &client, Tlopen, "dd", 1u, 0u);
	must(&client, Twrite, "dqD", 1u, (uint64_t)0, "hello, world", 12u);
	ck_assert_uint_eq(get(&client, 4), 12);
	must(&client, Twrite, "dqD", 1u, (uint64_t)7, "there", 5u);
	must(&client, Tread, "dqd", 1u, (uint64_t)0, 100u);
	ck_assert_uint_eq(get(&client, 4), 12);
	ck_assert_int_eq(memcmp(client.at, "hello, there", 12), 0);
	must(&client, Tread, "dqd", 1u, (uint64_t)100, 100u);
	ck_assert_uint_eq(get(&client, 4), 0);
	must_fail(EINVAL, &client, Tread, "dqd", 1u, ~(uint64_t)0, 100u);
	must_fail(EINVAL, &client, Twrite, "dqD", 1u, ~(uint64_t)0, "x", 1u);
	must(&client, Tread, "dqd", 1u, (uint64_t)0, ~0u);
	must(&client, Tread, "dqd", 1u, (uint64_t)0, 0u);
	must(&client, Tfsync, "dd", 1u, 0u);
	must(&client, Tfsync, "d", 1u);
	must(&client, Tgetattr, "dq", 1u, (uint64_t)0x3fff);
	n = client.size;
	ck_assert_uint_eq(n, 160);
	p = client.in + 7 + 8 + 13;
	ck_assert_uint_eq(p[0] | p[1] << 8, S_IFREG | 0640);
	ck_assert_uint_eq(p[4 + 8 + 8 + 8], 12);
	clunk(&client, 1);
	must_fail(EBADF, &client, Tclunk, "d", 1u);
	must_fail(EBADF, &client, Tread, "dqd", 1u, (uint64_t)0, 100u);
	walk_to(&client, 1, "file");
	must_fail(EBADF, &client, Tread, "dqd", 1u, (uint64_t)0, 100u);
	must(&client, Tlopen, "dd", 1u, 02001u);	/* append */
	must(&client, Twrite, "dqD", 1u, (uint64_t)0, "!", 1u);
	must_fail(EBADF, &client, Tread, "dqd", 1u, (uint64_t)0, 100u);
	clunk(&client, 1);
	must(&client, Twalk, "ddw", ROOT, 1u, 0u);
	must_fail(EEXIST, &client, Tlcreate, "dsddd", 1u, "file", 0302u, 0640u, 0u);
	must_fail(ENOENT, &client, Tlcreate, "dsddd", 1u, "a/b", 0102u, 0640u, 0u);
	must_fail(EEXIST, &client, Tlcreate, "dsddd", 1u, "..", 0102u, 0640u, 0u);
	symlinkat("/tmp/ninep-must-not-be", server.dirfd, "link");
	must_fail(ELOOP, &client, Tlcreate, "dsddd", 1u, "link", 0102u, 0640u, 0u);
	must(&client, Tstatfs, "d", ROOT);
	ck_assert_uint_eq(client.size, 7 + 60);
}
END_TEST

static void stat_of(const char *name, struct stat *stat)
{
	ck_assert_int_eq(fstatat(server.dirfd, name, stat, AT_SYMLINK_NOFOLLOW), 0);
}

START_TEST(attributes)
{
	struct stat stat;

	make(&server, "file", "0123456789");
	walk_to(&client, 1, "file");
	must(&client, Tsetattr, "dddddqqqqq", 1u, 1u, 04711u, 0u, 0u, (uint64_t)0,
	     (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
	stat_of("file", &stat);
	ck_assert_uint_eq(stat.st_mode, S_IFREG | 04711);
	must(&client, Tsetattr, "dddddqqqqq", 1u, 8u, 0u, 0u, 0u, (uint64_t)5, (uint64_t)0,
	     (uint64_t)0, (uint64_t)0, (uint64_t)0);
	stat_of("file", &stat);
	ck_assert_int_eq(stat.st_size, 5);
	must(&client, Tsetattr, "dddddqqqqq", 1u, 0x1b0u, 0u, 0u, 0u, (uint64_t)0, (uint64_t)11,
	     (uint64_t)12, (uint64_t)13, (uint64_t)14);
	stat_of("file", &stat);
	ck_assert(stat.st_atim.tv_sec == 11 && stat.st_atim.tv_nsec == 12);
	ck_assert(stat.st_mtim.tv_sec == 13 && stat.st_mtim.tv_nsec == 14);
	must_fail(EINVAL, &client, Tsetattr, "dddddqqqqq", 1u, 0x1b0u, 0u, 0u, 0u, (uint64_t)0,
		  (uint64_t)11, (uint64_t)UTIME_NOW, (uint64_t)13, (uint64_t)14);
	must(&client, Tsetattr, "dddddqqqqq", 1u, 0x20u, 0u, 0u, 0u, (uint64_t)0, (uint64_t)0,
	     (uint64_t)0, (uint64_t)0, (uint64_t)0);
	stat_of("file", &stat);
	ck_assert(stat.st_atim.tv_sec == 11 && stat.st_mtim.tv_sec > 1000000);
	must_fail(EINVAL, &client, Tsetattr, "dddddqqqqq", 1u, 8u, 0u, 0u, 0u, ~(uint64_t)0,
		  (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
	if (!geteuid()) {
		must(&client, Tsetattr, "dddddqqqqq", 1u, 6u, 0u, 12u, 34u, (uint64_t)0,
		     (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
		stat_of("file", &stat);
		ck_assert(stat.st_uid == 12 && stat.st_gid == 34);
	}
}
END_TEST

START_TEST(names)
{
	struct stat stat;

	must(&client, Tmkdir, "dsdd", ROOT, "d", 0777u, 0u);
	ck_assert_uint_eq(*client.at, 0x80);
	stat_of("d", &stat);
	ck_assert_uint_eq(stat.st_mode, S_IFDIR | 0777);
	must_fail(EEXIST, &client, Tmkdir, "dsdd", ROOT, "d", 0777u, 0u);
	must_fail(EEXIST, &client, Tmkdir, "dsdd", ROOT, ".", 0777u, 0u);
	must(&client, Tmknod, "dsdddd", ROOT, "fifo", S_IFIFO | 0622u, 0u, 0u, 0u);
	stat_of("fifo", &stat);
	ck_assert_uint_eq(stat.st_mode, S_IFIFO | 0622);
	must(&client, Tsymlink, "dssd", ROOT, "l", "far/away", 0u);
	ck_assert_uint_eq(*client.at, 2);
	walk_to(&client, 1, "fifo");
	must(&client, Tlink, "dds", ROOT, 1u, "second");
	stat_of("second", &stat);
	ck_assert_uint_eq(stat.st_nlink, 2);
	walk_to(&client, 2, "l");
	must(&client, Tlink, "dds", ROOT, 2u, "l2");
	stat_of("l2", &stat);
	ck_assert(S_ISLNK(stat.st_mode));
	walk_to(&client, 3, "d");
	must(&client, Trenameat, "dsds", ROOT, "l2", 3u, "l3");
	stat_of("d/l3", &stat);
	must(&client, Trename, "dds", 1u, 3u, "moved");		/* by fid, where it is now */
	stat_of("d/moved", &stat);
	must(&client, Trename, "dds", 1u, ROOT, "back");
	stat_of("back", &stat);
	must_fail(EBUSY, &client, Trename, "dds", ROOT, 3u, "root");
	must_fail(ENOTEMPTY, &client, Tunlinkat, "dsd", ROOT, "d", 0x200u);
	must_fail(EISDIR, &client, Tunlinkat, "dsd", ROOT, "d", 0u);
	must_fail(EINVAL, &client, Tunlinkat, "dsd", ROOT, "d", 0x201u);
	must_fail(ENOENT, &client, Tunlinkat, "dsd", ROOT, "d/l3", 0u);
	must(&client, Tunlinkat, "dsd", 3u, "l3", 0u);
	must(&client, Tremove, "d", 3u);
	must_fail(EBADF, &client, Tclunk, "d", 3u);
	must(&client, Tremove, "d", 1u);
	ck_assert_int_eq(faccessat(server.dirfd, "back", F_OK, 0), -1);
	stat_of("second", &stat);
	must(&client, Twalk, "ddw", ROOT, 4u, 0u);
	must_fail(EBUSY, &client, Tremove, "d", 4u);
	must_fail(EBADF, &client, Tclunk, "d", 4u);
}
END_TEST

/* The names of a directory, each once, in messages with so much room. */
static int count_names(unsigned int fid, unsigned int room, unsigned int *messages)
{
	static char seen[3000];
	uint64_t offset = 0;
	int count = 0;

	memset(seen, 0, sizeof seen);
	for (*messages = 0;; ++*messages) {
		const unsigned char *end;
		uint32_t n;

		must(&client, Treaddir, "dqd", fid, offset, room);
		n = (uint32_t)get(&client, 4);
		ck_assert_uint_le(n, room);
		if (!n)
			return count;
		end = client.at + n;
		while (client.at < end) {
			char name[256] = "";
			size_t length;

			client.at += 13;
			offset = get(&client, 8);
			client.at++;
			length = get(&client, 2);
			memcpy(name, client.at, length);
			client.at += length;
			count++;
			if (*name == 'f') {
				ck_assert(!seen[atoi(name + 1)]);
				seen[atoi(name + 1)] = 1;
			}
		}
		ck_assert(client.at == end);
	}
}

START_TEST(directories)
{
	unsigned int messages;
	char name[256];
	int i;

	mkdirat(server.dirfd, "d", 0755);
	for (i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "d/f%d%.*s", i, i % 200, "/");
		name[strcspn(name + 2, "/") + 2] = 0;
		make(&server, name, "");
	}
	open_file(&client, 1, "d", 0);
	ck_assert_int_eq(count_names(1, 60000, &messages), 3002);
	ck_assert_int_eq(count_names(1, 300, &messages), 3002);
	ck_assert_uint_gt(messages, 200);
	must_fail(EINVAL, &client, Treaddir, "dqd", 1u, (uint64_t)0, 20u);
	must_fail(EISDIR, &client, Tread, "dqd", 1u, (uint64_t)0, 20u);
	walk_to(&client, 2, "d");
	must_fail(EBADF, &client, Treaddir, "dqd", 2u, (uint64_t)0, 200u);
}
END_TEST

static void set_xattr(const char *name, const char *value, unsigned int said, int error)
{
	walk_to(&client, 9, "file");
	must(&client, Txattrcreate, "dsqd", 9u, name, (uint64_t)said, 0u);
	must(&client, Twrite, "dqD", 9u, (uint64_t)0, value, (unsigned int)strlen(value));
	must_fail(error, &client, Tclunk, "d", 9u);
	must_fail(EBADF, &client, Tclunk, "d", 9u);
}

START_TEST(xattrs)
{
	char value[16];

	make(&server, "file", "");
	if (fsetxattr(openat(server.dirfd, "file", O_RDONLY), "user.a", "1", 1, 0))
		SKIP("no extended attributes in /tmp");
	set_xattr("user.b", "four", 4, 0);
	set_xattr("user.c", "four", 5, EINVAL);
	walk_to(&client, 1, "file");
	must(&client, Txattrwalk, "dds", 1u, 2u, "user.b");
	ck_assert_uint_eq(get(&client, 8), 4);
	must(&client, Tread, "dqd", 2u, (uint64_t)1, 100u);
	ck_assert_uint_eq(get(&client, 4), 3);
	ck_assert_int_eq(memcmp(client.at, "our", 3), 0);
	must(&client, Tread, "dqd", 2u, (uint64_t)1 << 40, 100u);
	ck_assert_uint_eq(get(&client, 4), 0);
	must_fail(EBADF, &client, Twrite, "dqD", 2u, (uint64_t)0, "x", 1u);
	must_fail(EBADF, &client, Txattrwalk, "dds", 1u, 2u, "user.b");
	clunk(&client, 2);
	must(&client, Txattrwalk, "dds", 1u, 2u, "");
	ck_assert_uint_eq(get(&client, 8), 14);
	must_fail(ENODATA, &client, Txattrwalk, "dds", 1u, 3u, "user.c");
	/* nothing in the place of something */
	must(&client, Txattrcreate, "dsqd", 1u, "user.b", (uint64_t)0, 2u);
	must(&client, Tclunk, "d", 1u);
	ck_assert_int_eq(fgetxattr(openat(server.dirfd, "file", O_RDONLY), "user.b", value, 16), -1);
	walk_to(&client, 1, "file");
	must_fail(E2BIG, &client, Txattrcreate, "dsqd", 1u, "user.d", ~(uint64_t)0, 0u);
	must(&client, Txattrcreate, "dsqd", 1u, "user.d", (uint64_t)3, 0u);
	must_fail(ENOSPC, &client, Twrite, "dqD", 1u, (uint64_t)0, "1234", 4u);
	must_fail(ENOSPC, &client, Twrite, "dqD", 1u, (uint64_t)4, "", 0u);
	/* in any order; the first byte does not come */
	must(&client, Twrite, "dqD", 1u, (uint64_t)2, "3", 1u);
	must(&client, Twrite, "dqD", 1u, (uint64_t)1, "2", 1u);
	must_fail(EINVAL, &client, Tclunk, "d", 1u);
	/* it is no file */
	walk_to(&client, 1, "file");
	must(&client, Txattrwalk, "dds", 1u, 4u, "user.a");
	must_fail(EBADF, &client, Tgetattr, "dq", 4u, (uint64_t)0x7ff);
	must_fail(EBADF, &client, Twalk, "ddw", 4u, 5u, 0u);
	must_fail(EBADF, &client, Tremove, "d", 4u);
	must_fail(EBADF, &client, Tclunk, "d", 4u);
	must(&client, Tgetattr, "dq", 1u, (uint64_t)0x7ff);
	must_fail(EBADF, &client, Txattrwalk, "dds", 1u, 1u, "user.c");
}
END_TEST

static int set_lock(struct client *c, unsigned int fid, unsigned int type, uint64_t start,
		    uint64_t length, unsigned int process, const char *name)
{
	must(c, Tlock, "dbdqqds", fid, type, 0u, start, length, process, name);
	return (int)get(c, 1);
}

START_TEST(locks)
{
	struct flock here = { .l_type = F_WRLCK };
	int fd, i;

	make(&server, "file", "0123456789");
	open_file(&client, 1, "file", 2);
	open_file(&client, 2, "file", 0);
	connect_to(&other, &server);
	open_file(&other, 1, "file", 2);
	/* an owner does not meet itself, on two fids, reading or writing; others do */
	ck_assert_int_eq(set_lock(&client, 1, 1, 2, 3, 77, "me"), 0);
	ck_assert_int_eq(set_lock(&client, 2, 1, 2, 3, 77, "me"), 0);
	ck_assert_int_eq(set_lock(&client, 2, 0, 0, 3, 78, "me"), 1);
	ck_assert_int_eq(set_lock(&client, 2, 0, 0, 3, 77, "you"), 1);
	ck_assert_int_eq(set_lock(&other, 1, 1, 0, 0, 77, "me"), 1);
	ck_assert_int_eq(set_lock(&other, 1, 1, 5, 0, 77, "me"), 0);
	/* who is it? */
	must(&other, Tgetlock, "dbqqds", 1u, 0u, (uint64_t)0, (uint64_t)0, 5u, "x");
	ck_assert_uint_eq(get(&other, 1), 1);
	ck_assert_uint_eq(get(&other, 8), 2);
	ck_assert_uint_eq(get(&other, 8), 3);
	ck_assert_uint_eq(get(&other, 4), 77);
	ck_assert_int_eq(memcmp(other.at, "\2\0me", 4), 0);
	must(&client, Tgetlock, "dbqqds", 1u, 0u, (uint64_t)0, (uint64_t)4, 77u, "me");
	ck_assert_uint_eq(get(&client, 1), 2);
	/* as Linux's client asks: in the way of any, of no kind itself */
	must(&other, Tgetlock, "dbqqds", 1u, 2u, (uint64_t)0, (uint64_t)0, 5u, "x");
	ck_assert_uint_eq(get(&other, 1), 1);
	must(&client, Tgetlock, "dbqqds", 1u, 2u, (uint64_t)0, (uint64_t)4, 77u, "me");
	ck_assert_uint_eq(get(&client, 1), 2);
	must_fail(EINVAL, &client, Tgetlock, "dbqqds", 1u, 3u, (uint64_t)0, (uint64_t)4, 77u, "me");
	must_fail(EINVAL, &client, Tlock, "dbdqqds", 1u, 3u, 0u, (uint64_t)0, (uint64_t)0, 1u, "");
	must_fail(EINVAL, &client, Tlock, "dbdqqds", 1u, 0u, 0u, ~(uint64_t)0, (uint64_t)0, 1u, "");
	must_fail(EINVAL, &client, Tlock, "dbdqqds", 1u, 0u, 0u, (uint64_t)0, ~(uint64_t)0, 1u, "");
	/* of several that have the same, one of them */
	ck_assert_int_eq(set_lock(&client, 1, 0, 0, 1, 77, "me"), 0);
	ck_assert_int_eq(set_lock(&client, 2, 0, 0, 1, 78, "me"), 0);
	must(&client, Tgetlock, "dbqqds", 1u, 1u, (uint64_t)0, (uint64_t)1, 5u, "x");
	client.at += 17;
	i = (int)get(&client, 4);
	ck_assert(i == 77 || i == 78);
	/* but never the one that asks */
	for (i = 77; i < 79; i++) {
		must(&client, Tgetlock, "dbqqds", 1u, 1u, (uint64_t)0, (uint64_t)1, (unsigned int)i,
		     "me");
		client.at += 17;
		ck_assert_int_eq((int)get(&client, 4), 77 + 78 - i);
	}
	ck_assert_int_eq(set_lock(&client, 1, 2, 0, 1, 77, "me"), 0);
	ck_assert_int_eq(set_lock(&client, 1, 2, 0, 1, 78, "me"), 0);
	/* processes of this machine, too */
	fd = openat(server.dirfd, "file", O_RDWR);
	ck_assert_int_eq(fcntl(fd, F_SETLK, &here), -1);
	ck_assert_int_eq(set_lock(&client, 1, 2, 0, 0, 77, "me"), 0);
	here.l_len = 5;
	ck_assert_int_eq(fcntl(fd, F_SETLK, &here), 0);
	ck_assert_int_eq(set_lock(&client, 1, 0, 0, 1, 77, "me"), 1);
	must(&client, Tgetlock, "dbqqds", 1u, 0u, (uint64_t)0, (uint64_t)5, 5u, "x");
	client.at += 17;
	ck_assert_uint_eq(get(&client, 4), (unsigned int)getpid());
	must_fail(EINVAL, &client, Tlock, "dbdqqds", 1u, 0u, 4u, (uint64_t)0, (uint64_t)0, 1u, "");
	/* gone with the connection, and with its fids */
	close(other.fd);
	while (set_lock(&client, 1, 1, 5, 0, 77, "me"))
		;
	clunk(&client, 1);
	clunk(&client, 2);
	here.l_len = 0;
	ck_assert_int_eq(fcntl(fd, F_SETLK, &here), 0);
}
END_TEST

START_TEST(read_only)
{
	struct server ro;
	int fd;

	serve(&ro, "-r", NULL);
	make(&ro, "file", "contents");
	mkfifoat(ro.dirfd, "fifo", 0600);
	fchmodat(ro.dirfd, "fifo", 0644, 0);
	connect_to(&other, &ro);
	walk_to(&other, 1, "file");
	must_fail(EROFS, &other, Tlopen, "dd", 1u, 1u);
	must_fail(EROFS, &other, Tlopen, "dd", 1u, 01000u);
	must(&other, Tlopen, "dd", 1u, 0u);
	must(&other, Tlock, "dbdqqds", 1u, 0u, 0u, (uint64_t)0, (uint64_t)0, 1u, "");
	must_fail(EROFS, &other, Tsetattr, "dddddqqqqq", 1u, 8u, 0u, 0u, 0u, (uint64_t)0,
		  (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
	must_fail(EROFS, &other, Tmkdir, "dsdd", ROOT, "d", 0777u, 0u);
	must_fail(EEXIST, &other, Tmkdir, "dsdd", ROOT, "file", 0777u, 0u);
	must_fail(EROFS, &other, Tmknod, "dsdddd", ROOT, "n", S_IFIFO | 0622u, 0u, 0u, 0u);
	must_fail(EROFS, &other, Tsymlink, "dssd", ROOT, "n", "x", 0u);
	must_fail(EROFS, &other, Tlink, "dds", ROOT, 1u, "n");
	must_fail(EROFS, &other, Tunlinkat, "dsd", ROOT, "file", 0u);
	must_fail(EROFS, &other, Trenameat, "dsds", ROOT, "file", ROOT, "n");
	must_fail(EROFS, &other, Trename, "dds", 1u, ROOT, "n");
	walk_to(&other, 2, "file");
	must_fail(EROFS, &other, Txattrcreate, "dsqd", 2u, "user.x", (uint64_t)1, 0u);
	must_fail(EROFS, &other, Tremove, "d", 2u);
	must(&other, Twalk, "ddw", ROOT, 2u, 0u);
	must_fail(EROFS, &other, Tlcreate, "dsddd", 2u, "new", 0102u, 0644u, 0u);
	must_fail(EEXIST, &other, Tlcreate, "dsddd", 2u, "file", 0302u, 0644u, 0u);
	must(&other, Tlcreate, "dsddd", 2u, "file", 0100u, 0644u, 0u);
	fd = openat(ro.dirfd, "fifo", O_RDONLY | O_NONBLOCK);
	open_file(&other, 3, "fifo", 1);
	must(&other, Twrite, "dqD", 3u, (uint64_t)0, "x", 1u);
	close(fd);
	close(other.fd);
	end_server(&ro);
}
END_TEST

/* As another user: only what that user may, and what is made is theirs. */
START_TEST(users)
{
	struct stat stat;

	if (geteuid())
		SKIP("needs root");
	make(&server, "secret", "x");
	fchmodat(server.dirfd, "secret", 0600, 0);
	make(&server, "public", "x");
	mkdirat(server.dirfd, "open", 0);
	fchmodat(server.dirfd, "open", 0777, 0);
	must(&client, Tattach, "ddssd", 10u, NOFID, "", "", 54321u);
	must(&client, Twalk, "ddws", 10u, 11u, 1u, "secret");
	must_fail(EACCES, &client, Tlopen, "dd", 11u, 0u);
	must_fail(EPERM, &client, Tsetattr, "dddddqqqqq", 11u, 1u, 0777u, 0u, 0u, (uint64_t)0,
		  (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
	must(&client, Twalk, "ddws", 10u, 12u, 1u, "public");
	must_fail(EACCES, &client, Tlopen, "dd", 12u, 1u);
	must(&client, Tlopen, "dd", 12u, 0u);
	/* whose a lock is they are told, too */
	ck_assert_int_eq(set_lock(&client, 12, 0, 0, 5, 1, "u"), 0);
	must(&client, Tgetlock, "dbqqds", 12u, 1u, (uint64_t)0, (uint64_t)5, 2u, "v");
	client.at += 17;
	ck_assert_int_eq((int)get(&client, 4), 1);
	must_fail(EACCES, &client, Tmkdir, "dsdd", 10u, "d", 0755u, 0u);
	must(&client, Twalk, "ddws", 10u, 13u, 1u, "open");
	must(&client, Tmkdir, "dsdd", 13u, "d", 0755u, 0u);	/* not with root's group */
	stat_of("open/d", &stat);
	ck_assert(stat.st_uid == 54321 && stat.st_gid == 65534);
	/* nor with root's capabilities */
	must(&client, Twalk, "ddws", 13u, 14u, 1u, "d");
	must(&client, Txattrcreate, "dsqd", 14u, "trusted.x", (uint64_t)1, 0u);
	must(&client, Twrite, "dqD", 14u, (uint64_t)0, "x", 1u);
	must_fail(EPERM, &client, Tclunk, "d", 14u);
	must_fail(EPERM, &client, Tmknod, "dsdddd", 13u, "n", S_IFCHR | 0666u, 1u, 3u, 0u);
	/* and root is root, on whatever thread */
	walk_to(&client, 1, "secret");
	must(&client, Tlopen, "dd", 1u, 2u);
	must(&client, Tmkdir, "dsdd", ROOT, "mine", 0755u, 100u);
	stat_of("mine", &stat);
	ck_assert(stat.st_uid == 0 && stat.st_gid == 100);
	must(&client, Tattach, "ddssd", 20u, NOFID, "daemon", "", NOFID);
	must(&client, Twalk, "ddws", 20u, 21u, 1u, "open");
	must(&client, Tmkdir, "dsdd", 21u, "e", 0755u, 1u);
	stat_of("open/e", &stat);
	ck_assert(stat.st_uid == 1 && stat.st_gid == 1);
}
END_TEST

/* ---- what a client may do wrong ----------------------------------------- */

static void ends(const void *data, size_t size)
{
	char byte;

	dial(&other, &server);
	send_all(other.fd, data, size);
	ck_assert_int_eq(recv(other.fd, &byte, 1, 0), 0);
	close(other.fd);
}

START_TEST(bad_sizes)
{
	ends("\6\0\0\0\x64\0", 6);
	ends("\0\0\0\0", 4);
	ends("\xff\xff\xff\xff\x64\0\0", 7);
	ends("\1\0\x10\0\x64\0\0", 7);		/* a byte more than 1 MiB */
	dial(&other, &server);			/* cut off, and closed in the middle */
	send_all(other.fd, "\x20\0\0\0\x64\0\0xyz", 10);
	close(other.fd);
	connect_to(&other, &server);
	send_all(other.fd, "\1\0\1\0\x64\0\0", 7);	/* a byte more than was agreed on */
	ck_assert_int_eq(recv(other.fd, other.in, 1, 0), 0);
	close(other.fd);
	must(&client, Tgetattr, "dq", ROOT, (uint64_t)0x7ff);
}
END_TEST

START_TEST(bad_contents)
{
	must_fail(EINVAL, &client, Tclunk, "");
	must_fail(EINVAL, &client, Tclunk, "w", 1u);
	must_fail(EINVAL, &client, Tclunk, "dd", 1u, 1u);
	must_fail(EINVAL, &client, Twalk, "ddww", ROOT, 1u, 1u, 0xffffu);
	must_fail(EINVAL, &client, Twalk, "ddw", ROOT, 1u, 0xffffu);
	must_fail(EINVAL, &client, Twalk, "ddw", ROOT, 1u, 1u);
	must_fail(EINVAL, &client, Twrite, "dqd", ROOT, (uint64_t)0, 0xffffffffu);
	must_fail(EINVAL, &client, Twrite, "dqdb", ROOT, (uint64_t)0, 2u, 0u);
	must_fail(EINVAL, &client, Tmkdir, "dwbbbdd", ROOT, 3u, 'a', 0u, 'b', 0777u, 0u);
	must_fail(EBADF, &client, Tread, "dqd", ROOT, (uint64_t)0, 5u);
	must_fail(EINVAL, &client, Tlopen, "dd", ROOT, 3u);
	must_fail(EBADF, &client, Twalk, "ddw", ROOT, NOFID, 0u);
	/* one tag, two requests; then it goes on */
	mkfifoat(server.dirfd, "fifo", 0600);
	walk_to(&client, 1, "fifo");
	tell(&client, Tlopen, 5, "dd", 1u, 0u);
	tell(&client, Tgetattr, 5, "dq", ROOT, (uint64_t)0x7ff);
	expect(&client, Rlerror, 5);
	tell(&client, Tflush, 6, "w", 5u);
	expect(&client, Rflush, 6);
	must(&client, Tgetattr, "dq", ROOT, (uint64_t)0x7ff);
}
END_TEST

/* A type that is none ends no connection. */
START_TEST(bad_types)
{
	int type;

	for (type = 0; type < 256; type++)
		if (type % 2 || type < 8 || type > 122)
			must_fail(EOPNOTSUPP, &client, type, "");
	must(&client, Tgetattr, "dq", ROOT, (uint64_t)0x7ff);
}
END_TEST

static int digit(int c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* What a fuzzer found: the session ends, and leaves nothing. */
START_TEST(corpus)
{
	const int fds = entries(server.pid, "fd");
	static char line[20000], path[300], kind[16], hex[16384];
	static unsigned char bytes[8192], reply[4096];
	const char *srcdir = getenv("srcdir");
	FILE *f;
	int n;

	snprintf(path, sizeof path, "%s/tests/ninep.corpus", srcdir ? srcdir : "..");
	f = fopen(path, "r");
	if (!f)
		SKIP("no ninep.corpus here");
	mkdirat(server.dirfd, "d", 0755);
	mkfifoat(server.dirfd, "p", 0644);
	make(&server, "f", "");
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%15s %16383s", kind, hex) != 2 || strcmp(kind, "session") != 0)
			continue;
		for (n = 0; hex[2 * n] && hex[2 * n + 1]; n++)
			bytes[n] = (unsigned char)(digit(hex[2 * n]) << 4 | digit(hex[2 * n + 1]));
		connect_to(&other, &server);
		send(other.fd, bytes, (size_t)n, MSG_NOSIGNAL);
		shutdown(other.fd, SHUT_WR);
		while (recv(other.fd, reply, sizeof reply, 0) > 0)
			;
		close(other.fd);
	}
	fclose(f);
	must(&client, Tgetattr, "dq", ROOT, (uint64_t)0x7ff);
	must_come_back(&server, "fd", fds);
}
END_TEST

static long resident(void)
{
	char name[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/status", (int)server.pid);
	f = fopen(name, "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(f);
	return kib;
}

/* Asks for 4 GiB and takes none of it; the others are served, and it is all given back. */
START_TEST(never_reads)
{
	const int fds = entries(server.pid, "fd");
	unsigned char message[64], *p;
	long before = resident();
	ssize_t sent = 0;
	int i, fd;

	fd = openat(server.dirfd, "large", O_CREAT | O_WRONLY, 0644);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	close(fd);
	dial(&other, &server);
	must(&other, Tversion, "ds", 1u << 20, "9P2000.L");
	must(&other, Tattach, "ddssd", ROOT, NOFID, "", "", (unsigned int)geteuid());
	open_file(&other, 1, "large", 0);
	for (i = 0; i < 4096 && sent != -1; i++) {
		p = message;
		put(&p, 23, 4);
		put(&p, Tread, 1);
		put(&p, (uint64_t)i, 2);
		put(&p, 1, 4);
		put(&p, 0, 8);
		put(&p, 1 << 20, 4);
		sent = send(other.fd, message, 23, MSG_DONTWAIT);
	}
	for (i = 0; i < 50; i++) {
		must(&client, Tgetattr, "dq", ROOT, (uint64_t)0x7ff);
		ck_assert_int_le(resident() - before, (64 << 10) + 4096);
		pause_ms(4);
	}
	close(other.fd);
	must_come_back(&server, "fd", fds);
	for (i = 0; resident() > before + 8192; i++) {
		ck_assert_int_lt(i, 1000);
		pause_ms(5);
	}
}
END_TEST

/* A thousand of them, who come and go in the middle of everything. */
START_TEST(crowd)
{
	const int fds = entries(server.pid, "fd"), tasks = 2;
	static int fd[300];
	int i, round;

	mkfifoat(server.dirfd, "fifo", 0600);
	for (round = 0; round < 4; round++) {
		for (i = 0; i < 250; i++) {
			connect_to(&other, &server);
			fd[i] = other.fd;
			walk_to(&other, 1, "fifo");
			if (i % 4)
				tell(&other, Tlopen, 7, "dd", 1u, 0u);
			if (i % 4 == 2)
				send_all(other.fd, "\x20\0\0\0\x64", 5);
			must(&client, Tgetattr, "dq", ROOT, (uint64_t)0x7ff);
			if (i >= 60)	/* there are 64 threads */
				close(fd[i - 60]), fd[i - 60] = -1;
		}
		for (i = 0; i < 250; i++)
			if (fd[i] != -1)
				close(fd[i]);
	}
	must_come_back(&server, "fd", fds);
	must_come_back(&server, "task", tasks);
}
END_TEST

START_TEST(many_fids)
{
	const int fds = entries(server.pid, "fd");
	unsigned int i;

	make(&server, "file", "");
	connect_to(&other, &server);
	for (i = 1; i < 5000; i++)
		if (ask(&other, Twalk, "ddws", ROOT, i, 1u, "file"))
			break;
	must(&other, Tversion, "ds", 8192u, "9P2000.L");
	must_come_back(&server, "fd", fds + 1);
	must_fail(EBADF, &other, Tclunk, "d", ROOT);
	close(other.fd);
	must_come_back(&server, "fd", fds);
}
END_TEST

/* ---- how it is called --------------------------------------------------- */

static int status_of(const char *arguments)
{
	char command[PATH_MAX + 256];
	int status;

	snprintf(command, sizeof command, "exec %s %s 2>%s/err </dev/null",
		 server_program(), arguments, server.dir);
	status = system(command);	/* NOLINT(cert-env33-c) */
	snprintf(command, sizeof command, "test $(wc -l < %s/err) -le 1", server.dir);
	ck_assert_int_eq(system(command), 0);	/* NOLINT(cert-env33-c) */
	return WEXITSTATUS(status);
}

START_TEST(arguments)
{
	char line[200];

	ck_assert_int_eq(status_of(""), 2);
	ck_assert_int_eq(status_of("/tmp"), 2);
	ck_assert_int_eq(status_of("-x /tmp unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("-t 0 /tmp unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("-t 1x /tmp unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("-m 12 /tmp unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("-t +4 /tmp unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("-m ' 8192' /tmp unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("'/tmp/\n' unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("/tmp nowhere"), 2);
	ck_assert_int_eq(status_of("/tmp tcp:80"), 2);
	ck_assert_int_eq(status_of("/tmp tcp:127.0.0.1:x"), 2);
	ck_assert_int_eq(status_of("/tmp tcp:127.0.0.1:0"), 2);
	ck_assert_int_eq(status_of("/tmp fd:0"), 2);
	ck_assert_int_eq(status_of("/tmp fd:77,78"), 2);
	ck_assert_int_eq(status_of("/tmp fd:3,1 3<&-"), 2);
	ck_assert_int_eq(status_of("/tmp fd:5,5 5<&-"), 2);
	ck_assert_int_eq(status_of("/tmp 'tcp:[::1:564'"), 2);
	ck_assert_int_eq(status_of("/tmp 'fd: 0,1'"), 2);
	ck_assert_int_eq(status_of("/tmp fd:4294967296,4294967297"), 2);
	ck_assert_int_eq(status_of("/tmp fd:1,0 >/dev/null"), 2);
	ck_assert_int_eq(status_of("/tmp/no/such/dir unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("/dev/null unix:/tmp/x"), 2);
	ck_assert_int_eq(status_of("/tmp unix:/tmp/no/such/dir/x"), 1);
	snprintf(line, sizeof line, "/tmp unix:%s", server.socket);
	ck_assert_int_eq(status_of(line), 1);		/* somebody lives there */
	must(&client, Tgetattr, "dq", ROOT, (uint64_t)0x7ff);
	snprintf(line, sizeof line, "/tmp fd:0,1");
	ck_assert_int_eq(status_of(line), 0);		/* the end of input is the end */
}
END_TEST

/* TCP, of both kinds, with messages no larger than it was told, and a line about each. */
static void serve_tcp(const char *host, int family)
{
	struct sockaddr_storage name = { .ss_family = (sa_family_t)family };
	socklen_t size = sizeof name;
	char where[64], line[128], trace[100];
	pid_t pid;
	int fd, status;

	/* a port that nobody has */
	fd = socket(family, SOCK_STREAM, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&name, family == AF_INET ?
			     sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)))
		SKIP("no such addresses");
	getsockname(fd, (struct sockaddr *)&name, &size);
	close(fd);
	snprintf(where, sizeof where, "tcp:%s:%d", host,
		 /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): getsockname() set it */
		 ntohs(((struct sockaddr_in *)&name)->sin_port));
	snprintf(trace, sizeof trace, "%s/trace", server.dir);
	pid = fork();
	if (!pid) {
		ck_assert_ptr_nonnull(freopen(trace, "w", stderr));
		execl(server_program(), server_program(), "-d", "-m", "8192", server.dir, where,
		      NULL);
		_exit(127);
	}
	if (family == AF_INET)
		((struct sockaddr_in *)&name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&name)->sin6_addr = in6addr_loopback;
	other.fd = socket(family, SOCK_STREAM, 0);
	while (connect(other.fd, (struct sockaddr *)&name, size) == -1) {
		if (waitpid(pid, NULL, WNOHANG))
			SKIP("no such address");
		pause_ms(1);
	}
	must(&other, Tversion, "ds", 65536u, "9P2000.L");
	ck_assert_uint_eq(get(&other, 4), 8192);
	must_fail(EBADF, &other, Tclunk, "d", 5u);
	kill(pid, SIGTERM);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
	close(other.fd);
	snprintf(line, sizeof line, "grep -q '^Rlerror.* error 9$' %s/trace", server.dir);
	ck_assert_int_eq(system(line), 0);	/* NOLINT(cert-env33-c) */
	snprintf(line, sizeof line, "grep -q '^Tclunk.* fid 5$' %s/trace", server.dir);
	ck_assert_int_eq(system(line), 0);	/* NOLINT(cert-env33-c) */
}

START_TEST(tcp)
{
	serve_tcp("127.0.0.1", AF_INET);
	serve_tcp("[::1]", AF_INET6);
}
END_TEST

START_TEST(stale_socket)
{
	struct server second;

	connect_to(&other, &server);
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
	close(other.fd);
	close(client.fd);
	second = server;
	serve(&server, NULL);
	connect_to(&client, &server);
	ck_assert_int_eq(access(second.socket, F_OK), 0);
	{
		char line[200];

		snprintf(line, sizeof line, "%s unix:%s & sleep 0.2; kill $!; wait $!",
			 second.dir, second.socket);
		ck_assert_int_eq(status_of(line), 0);
	}
	remove_tree(second.dir);
	unlink(second.socket);
}
END_TEST

/* As the mask of whoever starts it says; and nobody's but its own is removed. */
START_TEST(modes_of_the_socket)
{
	struct server second;
	mode_t mask = umask(027);
	struct stat stat;

	serve(&second, NULL);
	umask(mask);
	connect_to(&other, &second);
	ck_assert_int_eq(lstat(second.socket, &stat), 0);
	ck_assert_int_eq(stat.st_mode & 0777, 0750);
	ck_assert_int_eq(unlink(second.socket), 0);
	close(open(second.socket, O_CREAT | O_WRONLY, 0600));
	kill(second.pid, SIGTERM);
	ck_assert_int_eq(waitpid(second.pid, NULL, 0), second.pid);
	ck_assert_int_eq(unlink(second.socket), 0);
	close(other.fd);
	close(second.dirfd);
	remove_tree(second.dir);
}
END_TEST

/* Others who have it, too, see no change. */
START_TEST(a_socket_that_is_shared)
{
	int fd[2];
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	pid = fork();
	if (!pid) {
		char where[32];

		close(fd[0]);
		snprintf(where, sizeof where, "fd:%d,%d", fd[1], fd[1]);
		execl(server_program(), server_program(), server.dir, where, NULL);
		_exit(127);
	}
	other.fd = fd[0];
	must(&other, Tversion, "ds", 65536u, "9P2000.L");
	ck_assert_int_eq(fcntl(fd[1], F_GETFL) & O_NONBLOCK, 0);
	close(fd[0]);
	close(fd[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ninep");
	TCase *tc = tcase_create("ninep");

	if (!has_server())
		return 77;

	tcase_add_checked_fixture(tc, setup, teardown);
	limit_time(tc, 60);
	tcase_add_test(tc, version);
	tcase_add_test(tc, attach);
	tcase_add_test(tc, walk);
	tcase_add_test(tc, moved_away);
	tcase_add_test(tc, moved_meanwhile);
	tcase_add_test(tc, files);
	tcase_add_test(tc, attributes);
	tcase_add_test(tc, names);
	tcase_add_test(tc, directories);
	tcase_add_test(tc, xattrs);
	tcase_add_test(tc, locks);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, users);
	tcase_add_test(tc, bad_sizes);
	tcase_add_test(tc, bad_contents);
	tcase_add_test(tc, bad_types);
	tcase_add_test(tc, corpus);
	tcase_add_test(tc, never_reads);
	tcase_add_test(tc, crowd);
	tcase_add_test(tc, many_fids);
	tcase_add_test(tc, arguments);
	tcase_add_test(tc, tcp);
	tcase_add_test(tc, stale_socket);
	tcase_add_test(tc, modes_of_the_socket);
	tcase_add_test(tc, a_socket_that_is_shared);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
