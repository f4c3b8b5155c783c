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
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "emulator.h"
#include "guest.h"

/* ---- descriptors --------------------------------------------------------- */

/* The second descriptor comes back in a register of its own. */
GUEST_CALL(pipe)
{
	int ends[2];

	if (pipe2(ends, 0))
		return -errno;
	t->cpu.r[V1] = (uint32_t)ends[1];
	return ends[0];
}

GUEST_CALL(pipe2)
{
	int ends[2];

	if (pipe2(ends, open_flags_to_host(a[1])))
		return -errno;
	put32(a[0], (uint32_t)ends[0]);
	put32(a[0] + 4, (uint32_t)ends[1]);
	return 0;
}

GUEST_CALL(dup2)
{
	return direct(dup2((int)a[0], (int)a[1]));
}

/* ---- reading and writing ------------------------------------------------- */

long iov_get(uint32_t address, uint32_t count, struct iovec *to)
{
	if (count > MAX_IOV)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		to[i].iov_base = host(get32(address + 8 * i));
		to[i].iov_len = get32(address + 8 * i + 4);
	}
	return count;
}

static long vector(struct thread *t, const uint32_t *a, long call)
{
	struct iovec iov[MAX_IOV];
	long count = iov_get(a[1], a[2], iov);

	return count < 0 ? count : host_call(t, call, (long)(int)a[0], iov, count);
}

GUEST_CALL(readv)
{
	return vector(t, a, SYS_readv);
}

GUEST_CALL(writev)
{
	return vector(t, a, SYS_writev);
}

/* The counters of these are numbers of 64 bits, read and written as a whole. */
static bool is_counter(int fd)
{
	char path[40], target[24] = "";

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof target - 1) > 0 &&
		(!strcmp(target, "anon_inode:[eventfd]") ||
		 !strcmp(target, "anon_inode:[timerfd]"));
}

GUEST_CALL(read)
{
	long result = host_call(t, SYS_read, (long)(int)a[0], host(a[1]), (long)a[2]);

	if (swapped && result == 8 && is_counter((int)a[0]))
		put64(a[1], *(any64 *)host(a[1]));
	return result;
}

GUEST_CALL(write)
{
	uint64_t counter;
	void *from = host(a[1]);

	if (swapped && a[2] == 8 && is_counter((int)a[0])) {
		counter = get64(a[1]);
		from = &counter;
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

GUEST_CALL(sendfile)
{
	off_t offset = a[2] ? (off_t)get64(a[2]) : 0;
	long result = host_call(t, SYS_sendfile, (long)(int)a[0], (long)(int)a[1],
				a[2] ? &offset : NULL, (long)a[3]);

	if (a[2])
		put64(a[2], (uint64_t)offset);
	return result;
}

/* ---- what is known of a file --------------------------------------------- */

static long put_stat64(uint32_t at, const struct stat *s)
{
	const uint64_t words[] = {
		s->st_dev, 0, 0, 0, 0, 0, s->st_mode, s->st_nlink, s->st_uid, s->st_gid,
		s->st_rdev, 0, 0, 0, 0, 0, (uint64_t)s->st_atim.tv_sec,
		(uint64_t)s->st_atim.tv_nsec, (uint64_t)s->st_mtim.tv_sec,
		(uint64_t)s->st_mtim.tv_nsec, (uint64_t)s->st_ctim.tv_sec,
		(uint64_t)s->st_ctim.tv_nsec, (uint64_t)s->st_blksize, 0, 0, 0
	};

	put_words(at, words, COUNT(words));
	put64(at + 16, s->st_ino);
	put64(at + 56, (uint64_t)s->st_size);
	put64(at + 96, (uint64_t)s->st_blocks);
	return 0;
}

static long stat_at(int dir, const char *path, int flags, uint32_t to)
{
	struct stat s;

	return fstatat(dir, path, &s, flags) ? -errno : put_stat64(to, &s);
}

GUEST_CALL(stat64)
{
	return stat_at(AT_FDCWD, path_get(a[0]), 0, a[1]);
}

GUEST_CALL(lstat64)
{
	return stat_at(AT_FDCWD, path_get(a[0]), AT_SYMLINK_NOFOLLOW, a[1]);
}

GUEST_CALL(fstat64)
{
	return stat_at((int)a[0], "", AT_EMPTY_PATH, a[1]);
}

GUEST_CALL(fstatat64)
{
	return stat_at((int)a[0], path_get(a[1]), (int)a[3], a[2]);
}

/* The same layout everywhere, so only the byte order is to be seen to. */
GUEST_CALL(statx)
{
	static const char sizes[] = "448444228888" "844844844844" "4444844";
	uint64_t buffer[32];
	uint32_t at = 0;
	long result;

	result = direct(syscall(SYS_statx, (int)a[0], path_get(a[1]), (int)a[2], a[3], buffer));
	if (result < 0)
		return result;
	for (uint32_t i = 0; i < 256; i += 4)
		put32(a[4] + i, 0);
	for (int i = 0; sizes[i]; i++) {
		char *from = (char *)buffer + at;

		if (sizes[i] == '8')
			put64(a[4] + at, *(any64 *)from);
		else if (sizes[i] == '4')
			put32(a[4] + at, *(any32 *)from);
		else
			put16(a[4] + at, *(any16 *)from);
		at += (uint32_t)(sizes[i] - '0');
	}
	return 0;
}

static long put_statfs64(uint32_t at, const struct statfs *s)
{
	const uint64_t wide[] = {
		s->f_blocks, s->f_bfree, s->f_files, s->f_ffree, s->f_bavail
	};
	const uint64_t words[23] = {
		[0] = (uint64_t)s->f_type, [1] = (uint64_t)s->f_bsize,
		[2] = (uint64_t)s->f_frsize, [16] = (uint64_t)s->f_namelen
	};

	put_words(at, words, COUNT(words));
	for (uint32_t i = 0; i < COUNT(wide); i++)
		put64(at + 16 + 8 * i, wide[i]);
	return 0;
}

GUEST_CALL(statfs64)
{
	struct statfs s;

	return statfs(path_get(a[0]), &s) ? -errno : put_statfs64(a[2], &s);
}

GUEST_CALL(fstatfs64)
{
	struct statfs s;

	return fstatfs((int)a[0], &s) ? -errno : put_statfs64(a[2], &s);
}

/* The entries are as the guest has them, but for the byte order. */
GUEST_CALL(getdents64)
{
	long size = host_call(t, SYS_getdents64, (long)(int)a[0], host(a[1]), (long)a[2]);
	uint32_t at, length;

	for (at = 0; swapped && size > 0 && at < (uint32_t)size; at += length) {
		any16 *reclen = host(a[1] + at + 16);

		length = *reclen;
		put64(a[1] + at, *(any64 *)host(a[1] + at));
		put64(a[1] + at + 8, *(any64 *)host(a[1] + at + 8));
		put16(a[1] + at + 16, *reclen);
	}
	return size;
}

static long read_link(long dir, uint32_t path_at, uint32_t to, uint32_t size)
{
	const char *path = path_get(path_at);
	uint32_t n = (uint32_t)strlen(program_path);

	if (path != program_path)
		return direct(syscall(SYS_readlinkat, dir, path, host(to), (long)size));
	if (n > size)
		n = size;
	for (uint32_t i = 0; i < n; i++)
		*(volatile char *)host(to + i) = program_path[i];
	return n;
}

GUEST_CALL(readlink)
{
	return read_link(AT_FDCWD, a[0], a[1], a[2]);
}

GUEST_CALL(readlinkat)
{
	return read_link((int)a[0], a[1], a[2], a[3]);
}

GUEST_CALL(utimensat)
{
	struct timespec times[2];

	if (a[2]) {
		time_get(t, a[2], &times[0]);
		time_get(t, a[2] + (t->wide_time ? 16 : 8), &times[1]);
	}
	return direct(syscall(SYS_utimensat, (int)a[0], a[1] ? path_get(a[1]) : NULL,
			      a[2] ? times : NULL, (int)a[3]));
}

/* ---- fcntl --------------------------------------------------------------- */

/* Both layouts begin with two 16-bit fields. */
static void get_lock(uint32_t at, struct flock *lock, bool is_wide)
{
	memset(lock, 0, sizeof *lock);
	lock->l_type = (short)get16(at);
	lock->l_whence = (short)get16(at + 2);
	lock->l_start = is_wide ? (off_t)get64(at + 8) : (int32_t)get32(at + 4);
	lock->l_len = is_wide ? (off_t)get64(at + 16) : (int32_t)get32(at + 8);
}

static void put_lock(uint32_t at, const struct flock *lock, bool is_wide)
{
	put16(at, (uint16_t)lock->l_type);
	put16(at + 2, (uint16_t)lock->l_whence);
	if (is_wide) {
		put64(at + 8, (uint64_t)lock->l_start);
		put64(at + 16, (uint64_t)lock->l_len);
		put32(at + 24, (uint32_t)lock->l_pid);
	} else {
		put32(at + 4, (uint32_t)lock->l_start);
		put32(at + 8, (uint32_t)lock->l_len);
		put32(at + 16, (uint32_t)lock->l_pid);
	}
}

static long lock_file(struct thread *t, const uint32_t *a, long command, bool is_wide)
{
	struct flock lock;
	long result;

	get_lock(a[2], &lock, is_wide);
	result = host_call(t, SYS_fcntl, (long)(int)a[0], command, &lock);
	if (result >= 0 && command == F_GETLK)
		put_lock(a[2], &lock, is_wide);
	return result;
}

GUEST_CALL(fcntl64)
{
	int fd = (int)a[0];
	long result;

	switch (a[1]) {
	case GUEST_F_GETFL:
		result = direct(fcntl(fd, F_GETFL));
		return result < 0 ? result : open_flags_to_guest((int)result) | 0x2000;
	case GUEST_F_SETFL:
		return direct(fcntl(fd, F_SETFL, open_flags_to_host(a[2])));
	case GUEST_F_GETLK: return lock_file(t, a, F_GETLK, false);
	case GUEST_F_SETLK: return lock_file(t, a, F_SETLK, false);
	case GUEST_F_SETLKW: return lock_file(t, a, F_SETLKW, false);
	case GUEST_F_GETLK64: return lock_file(t, a, F_GETLK, true);
	case GUEST_F_SETLK64: return lock_file(t, a, F_SETLK, true);
	case GUEST_F_SETLKW64: return lock_file(t, a, F_SETLKW, true);
	case GUEST_F_SETOWN: return direct(fcntl(fd, F_SETOWN, (int)a[2]));
	case GUEST_F_GETOWN: return direct(fcntl(fd, F_GETOWN));
	case GUEST_F_SETSIG: return direct(fcntl(fd, F_SETSIG, signal_to_host((int)a[2])));
	case GUEST_F_GETSIG: return signal_to_guest(fcntl(fd, F_GETSIG));
	case GUEST_F_DUPFD: case GUEST_F_GETFD: case GUEST_F_SETFD:
	case F_DUPFD_CLOEXEC: case F_SETPIPE_SZ: case F_GETPIPE_SZ:
		return direct(fcntl(fd, (int)a[1], (int)a[2]));
	}
	return -EINVAL;
}

/* ---- poll, select, epoll ------------------------------------------------- */

enum { MAX_POLL = 1024 };

/* Two of the bits have changed places. */
static short poll_to_host(uint16_t events)
{
	return (short)((events & 0xff) | (events & 0x100 ? POLLWRBAND : 0) | (events & 0x2000));
}

static uint16_t poll_to_guest(short events)
{
	return (uint16_t)((events & 0xff) | (events & POLLWRBAND ? 0x100 : 0) |
			  (events & 0x2000));
}

static long poll_for(struct thread *t, uint32_t at, uint32_t count, struct timespec *limit,
		     uint32_t mask_at)
{
	struct pollfd p[MAX_POLL];
	sigset_t set;
	long result;

	if (count > MAX_POLL)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		p[i].fd = (int)get32(at + 8 * i);
		p[i].events = poll_to_host(get16(at + 8 * i + 4));
	}
	result = host_call(t, SYS_ppoll, p, (long)count, limit,
			   signal_wait_with(t, mask_at, &set), KERNEL_SET);
	for (uint32_t i = 0; result >= 0 && i < count; i++)
		put16(at + 8 * i + 6, poll_to_guest(p[i].revents));
	return result;
}

static struct timespec *milliseconds(uint32_t ms, struct timespec *to)
{
	if ((int)ms < 0)
		return NULL;
	to->tv_sec = ms / 1000;
	to->tv_nsec = ms % 1000 * 1000000;
	return to;
}

GUEST_CALL(poll)
{
	struct timespec limit;

	return poll_for(t, a[0], a[1], milliseconds(a[2], &limit), 0);
}

GUEST_CALL(ppoll)
{
	struct timespec room, *limit = time_get(t, a[2], &room);
	long result = poll_for(t, a[0], a[1], limit, a[3]);

	if (limit && result != -SAFE_ERESTARTSYS)
		time_put(t, a[2], limit);
	return result;
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

static long select_for(struct thread *t, const uint32_t *a, struct timespec *limit,
		       uint32_t mask_at)
{
	unsigned long sets[3][FD_SETSIZE / 64];
	struct { const sigset_t *set; long size; } mask = { NULL, KERNEL_SET };
	fd_set *fds[3];
	uint32_t count, words;
	sigset_t set;
	long result;

	if ((int)a[0] < 0)
		return -EINVAL;
	count = a[0] > FD_SETSIZE ? FD_SETSIZE : a[0];
	words = (count + 31) / 32;
	for (int i = 0; i < 3; i++)
		fds[i] = get_fds(a[1 + i], words, sets[i]);
	mask.set = signal_wait_with(t, mask_at, &set);
	result = host_call(t, SYS_pselect6, (long)count, fds[0], fds[1], fds[2], limit,
			   &mask);
	for (int i = 0; result >= 0 && i < 3; i++)
		put_fds(a[1 + i], words, sets[i]);
	return result;
}

GUEST_CALL(select)
{
	struct timespec room, *limit = time_get(t, a[4], &room);
	long result;

	if (limit)
		limit->tv_nsec *= 1000;
	result = select_for(t, a, limit, 0);
	if (limit && result != -SAFE_ERESTARTSYS) {
		limit->tv_nsec /= 1000;
		time_put(t, a[4], limit);
	}
	return result;
}

GUEST_CALL(pselect6)
{
	struct timespec room, *limit = time_get(t, a[4], &room);
	long result = select_for(t, a, limit, a[5] ? get32(a[5]) : 0);

	if (limit && result != -SAFE_ERESTARTSYS)
		time_put(t, a[4], limit);
	return result;
}

GUEST_CALL(epoll_ctl)
{
	struct epoll_event event;

	if (a[1] != EPOLL_CTL_DEL) {
		event.events = get32(a[3]);
		event.data.u64 = get64(a[3] + 8);
	}
	return direct(epoll_ctl((int)a[0], (int)a[1], (int)a[2], &event));
}

static long epoll_for(struct thread *t, const uint32_t *a, uint32_t mask_at)
{
	struct epoll_event events[256];
	sigset_t set;
	long n;

	if ((int)a[2] <= 0)
		return -EINVAL;
	n = host_call(t, SYS_epoll_pwait, (long)(int)a[0], events,
		      (long)(a[2] > COUNT(events) ? COUNT(events) : a[2]), (long)(int)a[3],
		      signal_wait_with(t, mask_at, &set), KERNEL_SET);
	for (uint32_t i = 0; n > 0 && i < (uint32_t)n; i++) {
		put32(a[1] + 16 * i, events[i].events);
		put64(a[1] + 16 * i + 8, events[i].data.u64);
	}
	return n;
}

GUEST_CALL(epoll_wait)
{
	return epoll_for(t, a, 0);
}

GUEST_CALL(epoll_pwait)
{
	return epoll_for(t, a, a[4]);
}
