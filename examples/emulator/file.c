/* SPDX-License-Identifier: MIT */
/*
 * file.c - files, descriptors, and waiting for descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "emulator.h"

/* The second descriptor comes back in a register of its own. */
GUEST_CALL(pipe)
{
	int ends[2];

	if (pipe2(ends, 0))
		return -errno;
	t->cpu.r[V1] = (uint32_t)ends[1];
	return ends[0];
}

GUEST_CALL(dup2)
{
	return direct(dup2((int)a[0], (int)a[1]));
}

/* ---- opening ------------------------------------------------------------- */

enum { PROC_MAGIC = 0x9fa0 };

/*
 * /proc/PID/mem, by whatever name.  It is the memory of an emulator, at addresses of
 * the host, and not what the guest asks for.  Only the descriptor tells, as there
 * are links, and names that begin at a folder.
 */
static bool is_memory(int fd)
{
	char path[40], target[PATH_MAX] = "";
	const char *slash;
	struct statfs fs;

	if (fstatfs(fd, &fs) || fs.f_type != PROC_MAGIC)
		return false;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof target - 1) < 0)
		return true;
	slash = strrchr(target, '/');
	return slash && !strcmp(slash, "/mem");
}

/* open, openat */
GUEST_CALL(openat)
{
	long fd = host_call(t, SYS_openat, (long)(int)a[0], path_get(a[1]),
			    (long)open_flags_to_host(a[2]), (long)a[3]);

	if (fd < 0 || !is_memory((int)fd))
		return fd;
	close((int)fd);
	return -EACCES;
}

GUEST_CALL(creat)
{
	enum { GUEST_O_WRONLY = 1, GUEST_O_CREAT = 0x100, GUEST_O_TRUNC = 0x200 };
	const uint32_t open[] = {
		a[0], a[1], GUEST_O_WRONLY | GUEST_O_CREAT | GUEST_O_TRUNC, a[2]
	};

	return sys_openat(t, open, call);
}

/* ---- reading and writing ------------------------------------------------- */

long iov_get(uint32_t address, uint32_t count, struct iovec *to)
{
	if (count > MAX_IOV)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t base = get32(address + 8 * i), length = get32(address + 8 * i + 4);

		if (!is_user_space(base, length))
			return -EFAULT;
		to[i].iov_base = host(base);
		to[i].iov_len = length;
	}
	return count;
}

/* readv, writev */
GUEST_CALL(vector)
{
	struct iovec iov[MAX_IOV];
	long count = iov_get(a[1], a[2], iov);

	return count < 0 ? count : host_call(t, call, (long)(int)a[0], iov, count);
}

/* The same, but at an offset: its lower half comes first in either byte order. */
GUEST_CALL(vector_at)
{
	uint64_t offset = (uint64_t)a[4] << 32 | a[3];
	struct iovec iov[MAX_IOV];
	long count = iov_get(a[1], a[2], iov);

	return count < 0 ? count : host_call(t, call, (long)(int)a[0], iov, count,
					     (long)offset, 0L, (long)a[5]);
}

/* What the host's kernel has put there. */
static void turn64(uint32_t at)
{
	put64(at, order64(get64(at)));
}

/* What timerfd and eventfd have is a number of 64 bits. */
static bool is_number(int fd, uint32_t size)
{
	char path[40], target[24] = "";

	if (!swapped || size != sizeof(uint64_t))
		return false;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof target - 1) > 0 &&
		(!strcmp(target, "anon_inode:[timerfd]") ||
		 !strcmp(target, "anon_inode:[eventfd]"));
}

GUEST_CALL(read)
{
	long result = host_call(t, SYS_read, (long)(int)a[0], host(a[1]), (long)a[2]);

	if (result > 0 && is_number((int)a[0], (uint32_t)result))
		turn64(a[1]);
	return result;
}

GUEST_CALL(write)
{
	const void *from = host(a[1]);
	uint64_t number;

	if (is_number((int)a[0], a[2])) {
		number = get64(a[1]);
		from = &number;
	}
	return host_call(t, SYS_write, (long)(int)a[0], from, (long)a[2]);
}

GUEST_CALL(llseek)
{
	off_t at = lseek((int)a[0], (off_t)((uint64_t)a[1] << 32 | a[2]), (int)a[4]);

	if (at == -1)
		return -errno;
	put64(a[3], (uint64_t)at);
	return 0;
}

/* ---- what is known of a file --------------------------------------------- */

/* stat64, lstat64, fstatat64; fstat64 with no path */
GUEST_CALL(fstatat64)
{
	struct stat s;

	if (fstatat((int)a[0], a[1] ? path_get(a[1]) : "", &s, (int)a[3]))
		return -errno;
	struct_put(t, 's', a[2], &s);
	return 0;
}

/* The entries are as the guest has them, but for the byte order. */
GUEST_CALL(getdents64)
{
	long size = host_call(t, SYS_getdents64, (long)(int)a[0], host(a[1]), (long)a[2]);
	uint32_t at, length;

	for (at = 0; swapped && size > 0 && at < (uint32_t)size; at += length) {
		length = order16(get16(a[1] + at + 16));
		turn64(a[1] + at);
		turn64(a[1] + at + 8);
		put16(a[1] + at + 16, (uint16_t)length);
	}
	return size;
}

/* readlink, readlinkat */
GUEST_CALL(readlinkat)
{
	const char *path = path_get(a[1]);
	uint32_t n = (uint32_t)strlen(program_path);

	if (path != program_path)
		return direct(syscall(SYS_readlinkat, (int)a[0], path, host(a[2]),
				      (long)a[3]));
	if (n > a[3])
		n = a[3];
	memcpy(host(a[2]), program_path, n);
	return n;
}

/* ---- fcntl --------------------------------------------------------------- */

/* By a structure with words, or with 64-bit offsets. */
static long lock_file(struct thread *t, const uint32_t *a, long command, char layout)
{
	struct flock lock = { .l_pid = 0 };
	long result;

	if (!struct_get(t, layout, a[2], &lock))
		return -EFAULT;
	result = host_call(t, SYS_fcntl, (long)(int)a[0], command, &lock);
	if (result >= 0 && (command == F_GETLK || command == F_OFD_GETLK))
		struct_put(t, layout, a[2], &lock);
	return result;
}

/* Who gets a SIGIO, or a SIGURG: two words. */
static long owner(struct thread *t, const uint32_t *a, int command)
{
	struct f_owner_ex who = { 0, 0 };
	long result;

	if (command == F_SETOWN_EX && !struct_get(t, 'p', a[2], &who))
		return -EFAULT;
	result = direct(fcntl((int)a[0], command, &who));
	if (result >= 0 && command == F_GETOWN_EX)
		struct_put(t, 'p', a[2], &who);
	return result;
}

enum {
	GUEST_F_DUPFD = 0, GUEST_F_GETFD, GUEST_F_SETFD, GUEST_F_GETFL, GUEST_F_SETFL,
	GUEST_F_SETLK = 6, GUEST_F_SETLKW, GUEST_F_GETLK = 14, GUEST_F_GETOWN = 23,
	GUEST_F_SETOWN, GUEST_F_GETLK64 = 33, GUEST_F_SETLK64, GUEST_F_SETLKW64
};

GUEST_CALL(fcntl64)
{
	int fd = (int)a[0];
	long result;

	switch (a[1]) {
	case GUEST_F_GETFL:
		result = direct(fcntl(fd, F_GETFL));
		/* a program of 32 bits has said O_LARGEFILE */
		return result < 0 ? result : (result & O_ACCMODE) | 0x2000 |
			bits_to_guest(open_flags, (uint32_t)result);
	case GUEST_F_SETFL:
		return direct(fcntl(fd, F_SETFL, open_flags_to_host(a[2])));
	case GUEST_F_GETLK: return lock_file(t, a, F_GETLK, 'k');
	case GUEST_F_SETLK: return lock_file(t, a, F_SETLK, 'k');
	case GUEST_F_SETLKW: return lock_file(t, a, F_SETLKW, 'k');
	case GUEST_F_GETLK64: return lock_file(t, a, F_GETLK, 'K');
	case GUEST_F_SETLK64: return lock_file(t, a, F_SETLK, 'K');
	case GUEST_F_SETLKW64: return lock_file(t, a, F_SETLKW, 'K');
	case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW:
		return lock_file(t, a, (long)a[1], 'K');
	case F_SETOWN_EX: case F_GETOWN_EX:
		return owner(t, a, (int)a[1]);
	case GUEST_F_GETOWN: return direct(fcntl(fd, F_GETOWN));
	case GUEST_F_SETOWN: return direct(fcntl(fd, F_SETOWN, (int)a[2]));
	case GUEST_F_DUPFD: case GUEST_F_GETFD: case GUEST_F_SETFD:
	case F_DUPFD_CLOEXEC: case F_SETPIPE_SZ: case F_GETPIPE_SZ: case F_ADD_SEALS:
	case F_GET_SEALS:
		return direct(fcntl(fd, (int)a[1], (int)a[2]));
	}
	return -EINVAL;
}

/* ---- poll, select, epoll ------------------------------------------------- */

enum { MAX_POLL = 1024 };

/* The bits that are the same everywhere: all that a program of today asks for. */
enum { POLL_BITS = 0x20ff };

static long poll_for(struct thread *t, const uint32_t *a, struct timespec *limit,
		     uint32_t limit_at, uint32_t mask_at)
{
	struct pollfd p[MAX_POLL];
	uint32_t at = a[0], count = a[1];
	sigset_t set;
	long result;

	if (count > MAX_POLL)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		p[i].fd = (int)get32(at + 8 * i);
		p[i].events = (short)(get16(at + 8 * i + 4) & POLL_BITS);
	}
	result = host_call(t, SYS_ppoll, p, (long)count, limit,
			   signal_wait_with(t, mask_at, &set), KERNEL_SET);
	for (uint32_t i = 0; result >= 0 && i < count; i++)
		put16(at + 8 * i + 6, p[i].revents & POLL_BITS);
	if (result != -SAFE_ERESTARTSYS)
		struct_put(t, 't', limit_at, limit);
	return result;
}

GUEST_CALL(poll)
{
	int ms = (int)a[2];
	struct timespec limit = { ms / 1000, ms % 1000 * 1000000 };

	return poll_for(t, a, ms < 0 ? NULL : &limit, 0, 0);
}

GUEST_CALL(ppoll)
{
	struct timespec room;

	return poll_for(t, a, struct_get(t, 't', a[2], &room), a[2], a[3]);
}

/* A set of the guest has words of 32 bits. */
static fd_set *get_fds(uint32_t at, uint32_t words, unsigned long *to)
{
	if (!at)
		return NULL;
	memset(to, 0, sizeof(fd_set));
	for (uint32_t i = 0; i < words; i++)
		to[i / 2] |= (unsigned long)get32(at + 4 * i) << (32 * (i % 2));
	return (fd_set *)to;
}

static void put_fds(uint32_t at, uint32_t words, const unsigned long *from)
{
	for (uint32_t i = 0; at && i < words; i++)
		put32(at + 4 * i, (uint32_t)(from[i / 2] >> (32 * (i % 2))));
}

/* select, pselect6: which have times of different layout, and the latter a mask */
GUEST_CALL(select)
{
	unsigned long sets[3][FD_SETSIZE / 64];
	struct { const sigset_t *set; long size; } mask = { NULL, KERNEL_SET };
	struct timespec room, *limit = struct_get(t, (char)call, a[4], &room);
	uint32_t count = a[0] > FD_SETSIZE ? FD_SETSIZE : a[0], words = (count + 31) / 32;
	fd_set *fds[3];
	sigset_t set;
	long result;

	if ((int)a[0] < 0)
		return -EINVAL;
	for (int i = 0; i < 3; i++)
		fds[i] = get_fds(a[1 + i], words, sets[i]);
	mask.set = signal_wait_with(t, a[5] ? get32(a[5]) : 0, &set);
	result = host_call(t, SYS_pselect6, (long)count, fds[0], fds[1], fds[2], limit,
			   &mask);
	for (int i = 0; result >= 0 && i < 3; i++)
		put_fds(a[1 + i], words, sets[i]);
	if (result != -SAFE_ERESTARTSYS)
		struct_put(t, (char)call, a[4], limit);
	return result;
}

/* epoll_wait, epoll_pwait */
GUEST_CALL(epoll_pwait)
{
	struct epoll_event events[256];
	sigset_t set;
	long n;

	if ((int)a[2] <= 0)
		return -EINVAL;
	n = host_call(t, SYS_epoll_pwait, (long)(int)a[0], events,
		      (long)(a[2] > COUNT(events) ? COUNT(events) : a[2]), (long)(int)a[3],
		      signal_wait_with(t, a[4], &set), KERNEL_SET);
	for (uint32_t i = 0; n > 0 && i < (uint32_t)n; i++)
		struct_put(t, 'e', a[1] + 16 * i, &events[i]);
	return n;
}
