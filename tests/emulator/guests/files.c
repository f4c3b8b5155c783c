/* SPDX-License-Identifier: MIT */
/* Files: their data, attributes, directories, links, descriptors. */
/* A position in a directory of the host's may need 64 bits. */
#define _FILE_OFFSET_BITS 64
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <utime.h>
#include "guest.h"

static void data(void)
{
	struct iovec out[3] = { { "one", 3 }, { "", 0 }, { "three", 5 } }, in[2];
	char a[4] = "", b[16] = "";
	int fd = open("data", O_RDWR | O_CREAT | O_EXCL, 0640), other;

	check(fd >= 0);
	want_error(open("data", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
	want(writev(fd, out, 3), 8);
	want(lseek(fd, 0, SEEK_SET), 0);
	in[0].iov_base = a;
	in[0].iov_len = 3;
	in[1].iov_base = b;
	in[1].iov_len = sizeof(b);
	want(readv(fd, in, 2), 8);
	check(!memcmp(a, "one", 3) && !memcmp(b, "three", 5));
	want(read(fd, a, 1), 0);
	want(pwrite(fd, "X", 1, 5), 1);
	want(pread(fd, b, 16, 3), 5);
	check(!memcmp(b, "thXee", 5));
	want(lseek(fd, 0, SEEK_CUR), 8);
	want(lseek(fd, -2, SEEK_END), 6);
	want_error(lseek(fd, -1, SEEK_SET), EINVAL);
	want_error(lseek(fd, 0, 99), EINVAL);
	other = open("data", O_WRONLY | O_APPEND);
	want(write(other, "++", 2), 2);
	want(lseek(other, 0, SEEK_CUR), 10);
	want_error(read(other, a, 1), EBADF);
	close(other);
	want(ftruncate(fd, 4), 0);
	want(lseek(fd, 0, SEEK_END), 4);
	want(truncate("data", 6), 0);
	want(pread(fd, b, 16, 0), 6);
	check(!memcmp(b, "onet\0\0", 6));
	want(fsync(fd), 0);
	want(fdatasync(fd), 0);
	close(fd);
	want_error(write(fd, "x", 1), EBADF);
	want_error(close(fd), EBADF);
}

/* Offsets that do not fit 32 bits, by every call that takes one. */
static void big(void)
{
	const off64_t far = 0x123456789LL;
	struct stat64 st;
	char c = 0;
	int fd = open64("big", O_RDWR | O_CREAT | O_TRUNC, 0600);

	need(fd >= 0);
	check(lseek64(fd, far, SEEK_SET) == far);
	want(write(fd, "F", 1), 1);
	want(fstat64(fd, &st), 0);
	check(st.st_size == far + 1);
	want(pread64(fd, &c, 1, far), 1);
	want(c, 'F');
	want(pwrite64(fd, "P", 1, far + 0x100000000LL), 1);
	check(lseek64(fd, 0, SEEK_END) == far + 0x100000001LL);
	want(ftruncate64(fd, far + 5), 0);
	want(stat64("big", &st), 0);
	check(st.st_size == far + 5);
	want(truncate64("big", 3), 0);
	want(posix_fallocate(fd, 0, 10), 0);
	want(fstat64(fd, &st), 0);
	check(st.st_size == 10);
	close(fd);
	unlink("big");
}

static void attributes(void)
{
	struct timespec times[2] = { { 1000000000, 5000 }, { 1000000001, 7000 } };
	struct stat a, b;
	struct statfs fs;

	umask(022);
	want(umask(027), 022);
	want(mkdir("dir", 0777), 0);
	want_error(mkdir("dir", 0777), EEXIST);
	want(stat("dir", &a), 0);
	check(S_ISDIR(a.st_mode));
	want(a.st_mode & 07777, 0750);
	want(stat("data", &a), 0);
	check(S_ISREG(a.st_mode));
	want(a.st_size, 6);
	want(a.st_nlink, 1);
	check(a.st_uid == getuid() && a.st_blksize > 0);
	want(chmod("data", 0604), 0);
	want(link("data", "dir/hard"), 0);
	want(lstat("dir/hard", &b), 0);
	want(b.st_mode & 07777, 0604);
	want(b.st_nlink, 2);
	check(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	want(symlink("data", "soft"), 0);
	want(lstat("soft", &b), 0);
	check(S_ISLNK(b.st_mode) && b.st_size == 4);
	want(stat("soft", &b), 0);
	check(S_ISREG(b.st_mode));
	want(fstatat(AT_FDCWD, "soft", &b, AT_SYMLINK_NOFOLLOW), 0);
	check(S_ISLNK(b.st_mode));
	want(utimensat(AT_FDCWD, "data", times, 0), 0);
	want(stat("data", &a), 0);
	check(a.st_atim.tv_sec == 1000000000 && a.st_mtim.tv_sec == 1000000001);
	check(a.st_mtim.tv_nsec == 7000);
	want(access("data", R_OK), 0);
	want_error(access("nothing", F_OK), ENOENT);
	want(statfs(".", &fs), 0);
	check(fs.f_bsize > 0 && fs.f_namelen > 0);
	want(stat("/dev/null", &a), 0);
	check(S_ISCHR(a.st_mode));
	check(a.st_rdev == 0x103);
}

static void names(void)
{
	char where[4096], again[4096], target[16];

	memset(target, '#', sizeof(target));
	want(readlink("soft", target, sizeof(target)), 4);
	check(!memcmp(target, "data#", 5));
	want(readlink("soft", target, 2), 2);
	want_error(readlink("data", target, sizeof(target)), EINVAL);
	want(rename("soft", "dir/moved"), 0);
	want_error(rename("soft", "x"), ENOENT);
	want_error(rmdir("dir"), ENOTEMPTY);
	want_error(unlink("dir"), EISDIR);
	want_error(open("data/x", O_RDONLY), ENOTDIR);
	want_error(open("dir", O_WRONLY), EISDIR);
	check(getcwd(where, sizeof(where)) == where && where[0] == '/');
	want(chdir("dir"), 0);
	check(getcwd(again, sizeof(again)) && !strcmp(again + strlen(where), "/dir"));
	want_error(getcwd(again, 3) ? 0 : -1, ERANGE);
	want(chdir(".."), 0);
	want_error(chdir("data"), ENOTDIR);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void directories(void)
{
	char found[300][32], path[64];
	struct dirent *entry;
	int n = 0, i;
	DIR *dir;

	for (i = 0; i < 200; i++) {
		sprintf(path, "dir/file-%d-%0*d", i, i % 20, 0);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	dir = opendir("dir");
	need(dir != NULL);
	while ((entry = readdir(dir)) != NULL && n < 300) {
		need(strlen(entry->d_name) < sizeof(found[0]));
		strcpy(found[n], entry->d_name);
		if (entry->d_ino == 0)
			puts("FAILED: no inode");
		if (!strcmp(entry->d_name, "hard"))
			check(entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
		n++;
	}
	want(n, 204);
	qsort(found, n, sizeof(found[0]), by_name);
	check(!strcmp(found[0], ".") && !strcmp(found[1], ".."));
	check(!strcmp(found[2], "file-0-0"));
	check(!strcmp(found[n - 1], "moved"));
	rewinddir(dir);
	check(readdir(dir) != NULL);
	closedir(dir);
	for (i = 0; i < 200; i++) {
		sprintf(path, "dir/file-%d-%0*d", i, i % 20, 0);
		if (unlink(path))
			puts("FAILED unlink");
	}
	want(unlink("dir/hard"), 0);
	want(unlinkat(AT_FDCWD, "dir/moved", 0), 0);
	want(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR), 0);
	want_error(opendir("dir") ? 0 : -1, ENOENT);
}

static void descriptors(void)
{
	int fd = open("data", O_RDONLY | O_NONBLOCK | O_CLOEXEC), n = -1;

	need(fd >= 0);
	want(fcntl(fd, F_GETFD), FD_CLOEXEC);
	want(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND), O_RDONLY | O_NONBLOCK);
	want(fcntl(fd, F_SETFL, O_APPEND), 0);
	want(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND), O_APPEND);
	want(dup2(fd, 50), 50);
	want(fcntl(50, F_GETFD), 0);
	want(dup3(fd, 51, O_CLOEXEC), 51);
	want(fcntl(51, F_GETFD), FD_CLOEXEC);
	want_error(dup3(fd, fd, 0), EINVAL);
	want_error(dup2(49, 50), EBADF);
	want(fcntl(fd, F_DUPFD_CLOEXEC, 60), 60);
	want(ioctl(50, FIONREAD, &n), 0);
	want(n, 6);
	want_error(ioctl(50, 0x5401, &n), ENOTTY);
	check(dup(fd) >= 0);
	want_error(fcntl(fd, 12345), EINVAL);
	want_error(openat(fd, "x", O_RDONLY), ENOTDIR);
	close(fd);
	unlink("data");
}

#ifndef __mips__
enum { SYS_stat64, SYS_lstat64, SYS_fstat64, SYS_fstatat64 };
#endif

/* By a call of before statx(), that C libraries fall back on: is it what they say? */
static int is_told(long number, long first, const char *second, long flags, const struct stat *st)
{
#ifdef __mips__
	uint64_t inode, size, blocks;
	uint32_t word[26];
	long out = (long)word;

	memset(word, 0xff, sizeof(word));
	if (number == SYS_fstatat64 ? syscall(number, first, second, out, flags) :
	    syscall(number, first, out))
		return 0;
	memcpy(&inode, word + 4, sizeof(inode));
	memcpy(&size, word + 14, sizeof(size));
	memcpy(&blocks, word + 24, sizeof(blocks));
	return inode == st->st_ino && size == (uint64_t)st->st_size &&
	       blocks == (uint64_t)st->st_blocks && word[6] == st->st_mode &&
	       word[7] == st->st_nlink && word[8] == st->st_uid && word[9] == st->st_gid &&
	       word[18] == (uint32_t)st->st_mtime && word[22] == (uint32_t)st->st_blksize;
#else
	(void)number, (void)first, (void)second, (void)flags, (void)st;
	return 1;
#endif
}

static void old_calls(void)
{
	struct stat st, link;
	int fd = open("old", O_WRONLY | O_CREAT, 0640);

	need(fd >= 0);
	want(write(fd, "old", 3), 3);
	want(symlink("old", "link"), 0);
	need(stat("link", &st) == 0 && lstat("link", &link) == 0);
	check(is_told(SYS_fstat64, fd, NULL, 0, &st));
	check(is_told(SYS_stat64, (long)"link", NULL, 0, &st));
	check(is_told(SYS_lstat64, (long)"link", NULL, 0, &link));
	check(is_told(SYS_fstatat64, AT_FDCWD, "link", 0, &st));
	check(is_told(SYS_fstatat64, AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, &link));
	close(fd);
	unlink("link");
	unlink("old");
}

int main(void)
{
	data();
	big();
	attributes();
	names();
	directories();
	descriptors();
	old_calls();
	return guest_end();
}
