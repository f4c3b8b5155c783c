/* SPDX-License-Identifier: MIT */
/*
 * translate.c - numbers and structures of MIPS Linux (o32).
 *
 * Those of the host are known to the compiler by name.  The guest's are on the
 * right: a number, or where in the structure a field is and how many bytes it has.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "emulator.h"

#ifndef sigev_notify_thread_id		/* older C libraries lack the name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* ---- numbers ------------------------------------------------------------- */

#define N(name, guest) { name, guest, #name }

const struct number errors[] = {
	N(EPERM, 1), N(ENOENT, 2), N(ESRCH, 3), N(EINTR, 4), N(EIO, 5), N(ENXIO, 6),
	N(E2BIG, 7), N(ENOEXEC, 8), N(EBADF, 9), N(ECHILD, 10), N(EAGAIN, 11),
	N(ENOMEM, 12), N(EACCES, 13), N(EFAULT, 14), N(ENOTBLK, 15), N(EBUSY, 16),
	N(EEXIST, 17), N(EXDEV, 18), N(ENODEV, 19), N(ENOTDIR, 20), N(EISDIR, 21),
	N(EINVAL, 22), N(ENFILE, 23), N(EMFILE, 24), N(ENOTTY, 25), N(ETXTBSY, 26),
	N(EFBIG, 27), N(ENOSPC, 28), N(ESPIPE, 29), N(EROFS, 30), N(EMLINK, 31),
	N(EPIPE, 32), N(EDOM, 33), N(ERANGE, 34), N(ENOMSG, 35), N(EIDRM, 36),
	N(EDEADLK, 45), N(ENOLCK, 46), N(ENODATA, 61), N(ETIME, 62), N(ENOLINK, 67),
	N(EPROTO, 71), N(EMULTIHOP, 74), N(EBADMSG, 77), N(ENAMETOOLONG, 78),
	N(EOVERFLOW, 79), N(EILSEQ, 88), N(ENOSYS, 89), N(ELOOP, 90), N(ENOTEMPTY, 93),
	N(ENOTSOCK, 95), N(EDESTADDRREQ, 96), N(EMSGSIZE, 97), N(EPROTOTYPE, 98),
	N(ENOPROTOOPT, 99), N(EPROTONOSUPPORT, 120), N(ESOCKTNOSUPPORT, 121),
	N(EOPNOTSUPP, 122), N(EPFNOSUPPORT, 123), N(EAFNOSUPPORT, 124),
	N(EADDRINUSE, 125), N(EADDRNOTAVAIL, 126), N(ENETDOWN, 127),
	N(ENETUNREACH, 128), N(ENETRESET, 129), N(ECONNABORTED, 130),
	N(ECONNRESET, 131), N(ENOBUFS, 132), N(EISCONN, 133), N(ENOTCONN, 134),
	N(EUCLEAN, 135), N(EREMOTEIO, 140), N(ESHUTDOWN, 143), N(ETOOMANYREFS, 144),
	N(ETIMEDOUT, 145), N(ECONNREFUSED, 146), N(EHOSTDOWN, 147),
	N(EHOSTUNREACH, 148), N(EALREADY, 149), N(EINPROGRESS, 150), N(ESTALE, 151),
	N(ECANCELED, 158), N(ENOMEDIUM, 159), N(EOWNERDEAD, 165),
	N(ENOTRECOVERABLE, 166), N(EHWPOISON, 168), N(EDQUOT, 1133),
	{ 0, 0, NULL }
};

const struct number signals[] = {
	N(SIGHUP, 1), N(SIGINT, 2), N(SIGQUIT, 3), N(SIGILL, 4), N(SIGTRAP, 5),
	N(SIGABRT, 6), N(SIGFPE, 8), N(SIGKILL, 9), N(SIGBUS, 10), N(SIGSEGV, 11),
	N(SIGSYS, 12), N(SIGPIPE, 13), N(SIGALRM, 14), N(SIGTERM, 15), N(SIGUSR1, 16),
	N(SIGUSR2, 17), N(SIGCHLD, 18), N(SIGPWR, 19), N(SIGWINCH, 20), N(SIGURG, 21),
	N(SIGIO, 22), N(SIGSTOP, 23), N(SIGTSTP, 24), N(SIGCONT, 25), N(SIGTTIN, 26),
	N(SIGTTOU, 27), N(SIGVTALRM, 28), N(SIGPROF, 29), N(SIGXCPU, 30),
	N(SIGXFSZ, 31),
	{ 0, 0, NULL }
};

/* Some consist of two bits, one of which is a flag of its own. */
const struct number open_flags[] = {
	N(O_APPEND, 0x8), N(O_NONBLOCK, 0x80), N(O_CREAT, 0x100), N(O_TRUNC, 0x200),
	N(O_EXCL, 0x400), N(O_NOCTTY, 0x800), N(O_ASYNC, 0x1000), N(O_SYNC, 0x4010),
	N(O_DSYNC, 0x10), N(O_DIRECT, 0x8000), N(O_DIRECTORY, 0x10000),
	N(O_NOFOLLOW, 0x20000), N(O_NOATIME, 0x40000), N(O_CLOEXEC, 0x80000),
	N(O_PATH, 0x200000), N(O_TMPFILE, 0x410000),
	{ 0, 0, NULL }
};

const struct number socket_types[] = {
	N(SOCK_DGRAM, 1), N(SOCK_STREAM, 2), N(SOCK_RAW, 3), N(SOCK_RDM, 4),
	N(SOCK_SEQPACKET, 5),
	{ 0, 0, NULL }
};

const struct number socket_options[] = {
	N(SO_DEBUG, 0x1), N(SO_REUSEADDR, 0x4), N(SO_KEEPALIVE, 0x8),
	N(SO_DONTROUTE, 0x10), N(SO_BROADCAST, 0x20), N(SO_LINGER, 0x80),
	N(SO_OOBINLINE, 0x100), N(SO_REUSEPORT, 0x200), N(SO_SNDBUF, 0x1001),
	N(SO_RCVBUF, 0x1002), N(SO_SNDLOWAT, 0x1003), N(SO_RCVLOWAT, 0x1004),
	N(SO_SNDTIMEO, 0x1005), N(SO_RCVTIMEO, 0x1006), N(SO_ERROR, 0x1007),
	N(SO_TYPE, 0x1008), N(SO_ACCEPTCONN, 0x1009), N(SO_PROTOCOL, 0x1028),
	N(SO_DOMAIN, 0x1029), N(SO_PASSCRED, 17), N(SO_PEERCRED, 18),
	N(SO_PRIORITY, 12), N(SO_BINDTODEVICE, 25), N(SO_MARK, 36),
	N(SO_RCVTIMEO, 66), N(SO_SNDTIMEO, 67),
	{ 0, 0, NULL }
};

/* The other limits have the same number everywhere. */
const struct number limits[] = {
	N(RLIMIT_NOFILE, 5), N(RLIMIT_AS, 6), N(RLIMIT_RSS, 7), N(RLIMIT_NPROC, 8),
	N(RLIMIT_MEMLOCK, 9),
	{ 0, 0, NULL }
};

uint32_t to_host(const struct number *table, uint32_t guest, uint32_t otherwise)
{
	for (; table->name; table++)
		if (table->guest == guest)
			return table->host;
	return otherwise;
}

uint32_t to_guest(const struct number *table, uint32_t host, uint32_t otherwise)
{
	for (; table->name; table++)
		if (table->host == host)
			return table->guest;
	return otherwise;
}

uint32_t bits_to_host(const struct number *table, uint32_t guest)
{
	uint32_t to = 0;

	for (; table->name; table++)
		if ((guest & table->guest) == table->guest)
			to |= table->host;
	return to;
}

uint32_t bits_to_guest(const struct number *table, uint32_t host)
{
	uint32_t to = 0;

	for (; table->name; table++)
		if ((host & table->host) == table->host)
			to |= table->guest;
	return to;
}

/* Null where it has none. */
const char *name_of(const struct number *table, uint32_t guest)
{
	while (table->name && table->guest != guest)
		table++;
	return table->name;
}

int open_flags_to_host(uint32_t flags)
{
	return (int)((flags & O_ACCMODE) | bits_to_host(open_flags, flags));
}

/* SOCK_NONBLOCK and SOCK_CLOEXEC are the flags of open. */
int socket_type_to_host(uint32_t type)
{
	return (int)(to_host(socket_types, type & 15, type & 15) |
		     bits_to_host(open_flags, type & ~15u));
}

/* ---- structures ---------------------------------------------------------- */

/* What a field holds. */
enum kind {
	NUMBER,			/* with a sign; cut off or filled up as the sizes are */
	WORD,			/* of 32 bits, with room for 64 */
	LARGEST,		/* of 32 bits: the largest is none, or one that is too large */
	SIGNAL,
	OPEN_FLAGS,
	MICROSECONDS,		/* the host has nanoseconds */
	PAGES, PAGE		/* the host has bytes, and 1 for the unit */
};

struct field {
	const char *name;
	uint8_t host_at, host_size, at, size;
	enum kind kind;
};

#define FIELD(type, member, at, size, kind) \
	{ #member, offsetof(struct type, member), sizeof(((struct type *)0)->member), \
	  at, size, kind }
#define F(type, member, at, size) FIELD(type, member, at, size, NUMBER)
/* The same on all machines, but for the byte order. */
#define SAME(member, at, size) { #member, at, size, at, size, NUMBER }

/* By the letter that stands for it in syscall_table.h; twice where times differ. */
static const struct layout {
	char letter;
	bool has_wide_time;
	uint16_t size;
	struct field fields[24];	/* ends with an empty one */
} layouts[] = {
	{ 'i', false, 4, { SAME(number, 0, 4) } },
	{ 'p', false, 8, { SAME(first, 0, 4), SAME(second, 4, 4) } },
	{ 'o', false, 8, { SAME(offset, 0, 8) } },
	{ 'j', false, 4, { { "offset", 0, 8, 0, 4, NUMBER } } },
	{ 'M', false, 32, {
		FIELD(mq_attr, mq_flags, 0, 4, OPEN_FLAGS), F(mq_attr, mq_maxmsg, 4, 4),
		F(mq_attr, mq_msgsize, 8, 4), F(mq_attr, mq_curmsgs, 12, 4) } },
	{ 'e', false, 16, {
		F(epoll_event, events, 0, 4), F(epoll_event, data.u64, 8, 8) } },
	{ 'q', false, 8, {
		FIELD(rlimit, rlim_cur, 0, 4, LARGEST),
		FIELD(rlimit, rlim_max, 4, 4, LARGEST) } },
	{ 'l', false, 16, { F(rlimit, rlim_cur, 0, 8), F(rlimit, rlim_max, 8, 8) } },

	{ 't', false, 8, { F(timespec, tv_sec, 0, 4), F(timespec, tv_nsec, 4, 4) } },
	{ 't', true, 16, {
		F(timespec, tv_sec, 0, 8), FIELD(timespec, tv_nsec, 8, 8, WORD) } },
	{ 'T', false, 16, {
		F(itimerspec, it_interval.tv_sec, 0, 4),
		F(itimerspec, it_interval.tv_nsec, 4, 4),
		F(itimerspec, it_value.tv_sec, 8, 4),
		F(itimerspec, it_value.tv_nsec, 12, 4) } },
	{ 'T', true, 32, {
		F(itimerspec, it_interval.tv_sec, 0, 8),
		FIELD(itimerspec, it_interval.tv_nsec, 8, 8, WORD),
		F(itimerspec, it_value.tv_sec, 16, 8),
		FIELD(itimerspec, it_value.tv_nsec, 24, 8, WORD) } },
	{ 'u', false, 8, {
		F(timespec, tv_sec, 0, 4),
		FIELD(timespec, tv_nsec, 4, 4, MICROSECONDS) } },
	{ 'v', false, 8, { F(timeval, tv_sec, 0, 4), F(timeval, tv_usec, 4, 4) } },
	{ 'v', true, 16, { F(timeval, tv_sec, 0, 8), F(timeval, tv_usec, 8, 8) } },
	{ 'V', false, 16, {
		F(itimerval, it_interval.tv_sec, 0, 4),
		F(itimerval, it_interval.tv_usec, 4, 4),
		F(itimerval, it_value.tv_sec, 8, 4),
		F(itimerval, it_value.tv_usec, 12, 4) } },
	{ 'E', false, 16, {
		F(sigevent, sigev_value.sival_int, 0, 4),
		FIELD(sigevent, sigev_signo, 4, 4, SIGNAL),
		F(sigevent, sigev_notify, 8, 4),
		F(sigevent, sigev_notify_thread_id, 12, 4) } },
	{ 'm', false, 16, {
		F(tms, tms_utime, 0, 4), F(tms, tms_stime, 4, 4),
		F(tms, tms_cutime, 8, 4), F(tms, tms_cstime, 12, 4) } },
	{ 'r', false, 72, {
		F(rusage, ru_utime.tv_sec, 0, 4), F(rusage, ru_utime.tv_usec, 4, 4),
		F(rusage, ru_stime.tv_sec, 8, 4), F(rusage, ru_stime.tv_usec, 12, 4),
		F(rusage, ru_maxrss, 16, 4), F(rusage, ru_minflt, 32, 4),
		F(rusage, ru_majflt, 36, 4), F(rusage, ru_inblock, 44, 4),
		F(rusage, ru_oublock, 48, 4), F(rusage, ru_nvcsw, 64, 4),
		F(rusage, ru_nivcsw, 68, 4) } },
	{ 'y', false, 64, {
		F(sysinfo, uptime, 0, 4), F(sysinfo, loads[0], 4, 4),
		F(sysinfo, loads[1], 8, 4), F(sysinfo, loads[2], 12, 4),
		FIELD(sysinfo, totalram, 16, 4, PAGES),
		FIELD(sysinfo, freeram, 20, 4, PAGES),
		FIELD(sysinfo, sharedram, 24, 4, PAGES),
		FIELD(sysinfo, bufferram, 28, 4, PAGES),
		FIELD(sysinfo, totalswap, 32, 4, PAGES),
		FIELD(sysinfo, freeswap, 36, 4, PAGES), F(sysinfo, procs, 40, 2),
		FIELD(sysinfo, mem_unit, 52, 4, PAGE) } },

	{ 'k', false, 20, {
		F(flock, l_type, 0, 2), F(flock, l_whence, 2, 2), F(flock, l_start, 4, 4),
		F(flock, l_len, 8, 4), F(flock, l_pid, 16, 4) } },
	{ 'K', false, 28, {
		F(flock, l_type, 0, 2), F(flock, l_whence, 2, 2), F(flock, l_start, 8, 8),
		F(flock, l_len, 16, 8), F(flock, l_pid, 24, 4) } },
	{ 's', false, 104, {
		F(stat, st_dev, 0, 4), F(stat, st_ino, 16, 8), F(stat, st_mode, 24, 4),
		F(stat, st_nlink, 28, 4), F(stat, st_uid, 32, 4), F(stat, st_gid, 36, 4),
		F(stat, st_rdev, 40, 4), F(stat, st_size, 56, 8),
		F(stat, st_atim.tv_sec, 64, 4), F(stat, st_atim.tv_nsec, 68, 4),
		F(stat, st_mtim.tv_sec, 72, 4), F(stat, st_mtim.tv_nsec, 76, 4),
		F(stat, st_ctim.tv_sec, 80, 4), F(stat, st_ctim.tv_nsec, 84, 4),
		F(stat, st_blksize, 88, 4), F(stat, st_blocks, 96, 8) } },
	{ 'x', false, 256, {
		SAME(stx_mask, 0, 4), SAME(stx_blksize, 4, 4), SAME(stx_attributes, 8, 8),
		SAME(stx_nlink, 16, 4), SAME(stx_uid, 20, 4), SAME(stx_gid, 24, 4),
		SAME(stx_mode, 28, 2), SAME(stx_ino, 32, 8), SAME(stx_size, 40, 8),
		SAME(stx_blocks, 48, 8), SAME(stx_attributes_mask, 56, 8),
		SAME(stx_atime.tv_sec, 64, 8), SAME(stx_atime.tv_nsec, 72, 4),
		SAME(stx_btime.tv_sec, 80, 8), SAME(stx_btime.tv_nsec, 88, 4),
		SAME(stx_ctime.tv_sec, 96, 8), SAME(stx_ctime.tv_nsec, 104, 4),
		SAME(stx_mtime.tv_sec, 112, 8), SAME(stx_mtime.tv_nsec, 120, 4),
		SAME(stx_rdev_major, 128, 4), SAME(stx_rdev_minor, 132, 4),
		SAME(stx_dev_major, 136, 4), SAME(stx_dev_minor, 140, 4) } },
	{ 'f', false, 92, {
		F(statfs, f_type, 0, 4), F(statfs, f_bsize, 4, 4),
		F(statfs, f_frsize, 8, 4), F(statfs, f_blocks, 16, 8),
		F(statfs, f_bfree, 24, 8), F(statfs, f_files, 32, 8),
		F(statfs, f_ffree, 40, 8), F(statfs, f_bavail, 48, 8),
		F(statfs, f_namelen, 64, 4), F(statfs, f_flags, 68, 4) } },
	{ 'w', false, 8, {
		SAME(ws_row, 0, 2), SAME(ws_col, 2, 2), SAME(ws_xpixel, 4, 2),
		SAME(ws_ypixel, 6, 2) } }
};

static const struct layout *layout_of(const struct thread *t, char letter)
{
	const struct layout *found = NULL;

	for (unsigned int i = 0; i < COUNT(layouts); i++)
		if (layouts[i].letter == letter &&
		    (!found || (layouts[i].has_wide_time && t->wide_time)))
			found = &layouts[i];
	return found;
}

static uint64_t converted(uint64_t v, enum kind kind)
{
	switch (kind) {
	case LARGEST: return v > INT32_MAX ? INT32_MAX : v;
	case MICROSECONDS: return v / 1000;
	case OPEN_FLAGS: return bits_to_guest(open_flags, (uint32_t)v);
	case PAGES: return v / 4096;
	case PAGE: return v * 4096;
	default: return v;
	}
}

static int64_t from_guest(uint32_t base, const struct field *f)
{
	uint32_t at = base + f->at;
	int64_t v = f->size == 2 ? (int16_t)get16(at) : f->size == 4 ? (int32_t)get32(at) :
		(int64_t)get64(at);

	switch (f->kind) {
	case WORD: return (int32_t)v;
	case MICROSECONDS: return v * 1000;
	case SIGNAL: return signal_to_host((int)v);
	case OPEN_FLAGS: return open_flags_to_host((uint32_t)v);
	case LARGEST: return v == INT32_MAX ? -1 : (int64_t)(uint32_t)v;
	default: return v;
	}
}

/* Returns `to`, or null where the guest's pointer is. */
void *struct_get(const struct thread *t, char letter, uint32_t address, void *to)
{
	const struct layout *layout = layout_of(t, letter);

	if (!address)
		return NULL;
	for (const struct field *f = layout->fields; f->size; f++) {
		int64_t v = from_guest(address, f);
		void *at = (char *)to + f->host_at;

		if (f->host_size == 2)
			*(any16 *)at = (uint16_t)v;
		else if (f->host_size == 4)
			*(any32 *)at = (uint32_t)v;
		else
			*(loose64 *)at = (uint64_t)v;
	}
	return to;
}

/* Nothing where the guest's pointer is null. */
void struct_put(const struct thread *t, char letter, uint32_t address, const void *from)
{
	const struct layout *layout = layout_of(t, letter);

	if (!address)
		return;
	for (uint32_t i = 0; i < layout->size; i += 4)
		put32(address + i, 0);
	for (const struct field *f = layout->fields; f->size; f++) {
		const void *at = (const char *)from + f->host_at;
		uint64_t v = f->host_size == 2 ? *(const any16 *)at :
			f->host_size == 4 ? *(const any32 *)at : *(const loose64 *)at;

		v = converted(v, f->kind);
		if (f->size == 2)
			put16(address + f->at, (uint16_t)v);
		else if (f->size == 4)
			put32(address + f->at, (uint32_t)v);
		else
			put64(address + f->at, v);
	}
}

/* That there is a place for it. */
void struct_touch(const struct thread *t, char letter, uint32_t address)
{
	if (address)
		memory_touch(address, layout_of(t, letter)->size);
}

/* For the trace. */
int struct_print(const struct thread *t, char letter, uint32_t address, char *to)
{
	const struct field *first = layout_of(t, letter)->fields;
	int n = 0;

	for (const struct field *f = first; f->size; f++)
		n += sprintf(to + n, "%s%s=%lld", f == first ? "{" : ", ", f->name,
			     (long long)from_guest(address, f));
	return n + sprintf(to + n, "}");
}
