/* SPDX-License-Identifier: MIT */
/* Files by folder and name, by offset, without a way through the program, and with no name. */
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include "guest.h"

static void by_folder(void)
{
	char target[8] = "";
	struct stat st;
	int folder, fd;

	need(mkdir("folder", 0700) == 0);
	folder = open("folder", O_RDONLY | O_DIRECTORY);
	need(folder >= 0);
	want(mkdirat(folder, "below", 0755), 0);
	fd = openat(folder, "file", O_WRONLY | O_CREAT, 0600);
	check(fd >= 0 && write(fd, "1234", 4) == 4);
	close(fd);
	want(linkat(folder, "file", folder, "other", 0), 0);
	want(symlinkat("file", folder, "link"), 0);
	want(readlinkat(folder, "link", target, sizeof(target)), 4);
	want(renameat(folder, "other", folder, "third"), 0);
	want(fchmodat(folder, "third", 0640, 0), 0);
	want(fchownat(folder, "link", getuid(), getgid(), AT_SYMLINK_NOFOLLOW), 0);
	want(lchown("folder/link", getuid(), getgid()), 0);
	want(faccessat(folder, "third", R_OK, 0), 0);
	want(fstatat(folder, "file", &st, 0), 0);
	check((st.st_mode & 07777) == 0640 && st.st_nlink == 2);
	want(truncate("folder/file", 2), 0);
	want(stat("folder/third", &st), 0);
	want(st.st_size, 2);
	unlinkat(folder, "file", 0);
	unlinkat(folder, "link", 0);
	unlinkat(folder, "third", 0);
	want(unlinkat(folder, "below", AT_REMOVEDIR), 0);
	close(folder);
	want(rmdir("folder"), 0);
}

static void by_offset(void)
{
	struct iovec iov[2] = { { "abc", 3 }, { "defg", 4 } };
	char first[2], second[8];
	struct statvfs fs;
	off_t far = (off_t)5 << 32, at = 2;
	int fd = creat("file", 0600), to[2];

	need(fd >= 0 && pipe(to) == 0);
	want(pwritev(fd, iov, 2, far), 7);
	close(fd);
	fd = open("file", O_RDWR);
	iov[0].iov_base = first;
	iov[0].iov_len = sizeof(first);
	iov[1].iov_base = second;
	iov[1].iov_len = sizeof(second);
	want(preadv(fd, iov, 2, far + 1), 6);
	check(!memcmp(first, "bc", 2) && !memcmp(second, "defg", 4));
	want(ftruncate(fd, 0), 0);
	want(write(fd, "0123456789", 10), 10);
	want(sendfile(to[1], fd, &at, 3), 3);
	want(at, 5);
	want(syscall(SYS_splice, fd, &(int64_t){ 6 }, to[1], NULL, 3, 0), 3);
	want(read(to[0], second, sizeof(second)), 6);
	check(!memcmp(second, "234678", 6));
	want(posix_fadvise(fd, 0, far, POSIX_FADV_DONTNEED), 0);
	want(fstatvfs(fd, &fs), 0);
	check(fs.f_bsize > 0);
	close(fd);
	close(to[0]);
	close(to[1]);
	unlink("file");
}

/* Not every file system has them. */
static int attributes_work(int fd)
{
	char value[8] = "", list[256];

	if (setxattr("file", "user.guest", "value", 5, 0))
		return errno == EOPNOTSUPP;
	return getxattr("file", "user.guest", value, sizeof(value)) == 5 &&
		!memcmp(value, "value", 5) && listxattr("file", list, sizeof(list)) >= 11 &&
		fremovexattr(fd, "user.guest") == 0 &&
		fgetxattr(fd, "user.guest", value, sizeof(value)) == -1;
}

static void attributes(void)
{
	int fd = creat("file", 0600);

	need(fd >= 0);
	check(attributes_work(fd));
	close(fd);
	unlink("file");
}

static void nameless(void)
{
	int fd = memfd_create("nameless", MFD_CLOEXEC | MFD_ALLOW_SEALING), to = epoll_create(1);
	uint64_t number = 0x100000002;
	struct epoll_event event;
	char buffer[4] = "";

	need(fd >= 0);
	want(write(fd, "text", 4), 4);
	want(pread(fd, buffer, 4, 0), 4);
	check(!memcmp(buffer, "text", 4));
	want(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	want(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE);
	want_error(write(fd, "text", 4), EPERM);
	close(fd);
	fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
	need(fd >= 0 && to >= 0);
	want(fcntl(fd, F_GETFD), FD_CLOEXEC);
	want(write(fd, &number, sizeof(number)), 8);
	event.events = EPOLLIN;
	event.data.u64 = 0x1234567890;
	want(epoll_ctl(to, EPOLL_CTL_ADD, fd, &event), 0);
	want(epoll_wait(to, &event, 1, 1000), 1);
	check(event.data.u64 == 0x1234567890);
	want(read(fd, &number, sizeof(number)), 8);
	check(number == 0x100000005);
	want_error(read(fd, &number, sizeof(number)), EAGAIN);
	close(fd);
	close(to);
}

/* Locks that are a descriptor's and not the process's; and whom a descriptor sends signals. */
static void belongings(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open("file", O_RDWR | O_CREAT, 0600), other = open("file", O_RDWR), pair[2];
	struct f_owner_ex who = { F_OWNER_PID, 0 };

	need(fd >= 0 && other >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	want(fcntl(fd, F_OFD_SETLK, &lock), 0);
	want_error(fcntl(other, F_OFD_SETLK, &lock), EAGAIN);
	want(fcntl(other, F_OFD_GETLK, &lock), 0);
	check(lock.l_type == F_WRLCK && lock.l_pid == -1);
	want(fcntl(pair[0], F_SETOWN, getpid()), 0);
	want(fcntl(pair[0], F_GETOWN), getpid());
	want(fcntl(pair[0], F_SETOWN_EX, &who), 0);
	want(fcntl(pair[0], F_GETOWN), 0);
	close(fd);
	close(other);
	close(pair[0]);
	close(pair[1]);
	unlink("file");
}

/* The mapping that was there before mmap2: its offset is in bytes. */
static void old_mmap(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	char *p;

	need(fd >= 0 && pwrite(fd, "second", 6, page) == 6);
	p = (char *)syscall(SYS_mmap, NULL, page, PROT_READ, MAP_PRIVATE, fd, page);
	check(p != MAP_FAILED && !memcmp(p, "second", 6));
	want_error(syscall(SYS_mmap, NULL, page, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
	close(fd);
	unlink("file");
}

int main(void)
{
	by_folder();
	by_offset();
	attributes();
	nameless();
	belongings();
	old_mmap();
	return guest_end();
}
