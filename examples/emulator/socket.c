/* SPDX-License-Identifier: MIT */
/*
 * socket.c - sockets.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "emulator.h"
#include "guest.h"

enum { MAX_ADDRESS = sizeof(struct sockaddr_storage), MAX_CONTROL = 1024 };

static const struct number {
	int host;
	uint32_t guest;
} types[] = {
#define X(name, guest) { name, guest },
	GUEST_SOCKET_TYPES(X)
}, options[] = {
	GUEST_SOCKET_OPTIONS(X)
#undef X
};

static int to_host(const struct number *table, size_t count, uint32_t guest)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].guest == guest)
			return table[i].host;
	return (int)guest;
}

/* SOCK_NONBLOCK and SOCK_CLOEXEC are the flags of open. */
int socket_type_to_host(uint32_t type)
{
	uint32_t flags = type & ~15u;

	return to_host(types, COUNT(types), type & 15) |
		(flags & 0x80 ? SOCK_NONBLOCK : 0) | (flags & 0x80000 ? SOCK_CLOEXEC : 0);
}

/* ---- addresses ----------------------------------------------------------- */

/* Of all that is in one, the family and the scope are in the host's order. */
static long get_address(uint32_t at, uint32_t size, struct sockaddr_storage *to)
{
	if (size > MAX_ADDRESS)
		return -EINVAL;
	for (uint32_t i = 0; i < size; i++)
		((char *)to)[i] = *(volatile char *)host(at + i);
	if (size >= 2)
		to->ss_family = order16(to->ss_family);
	if (size >= sizeof(struct sockaddr_in6) && to->ss_family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

		in6->sin6_scope_id = order32(in6->sin6_scope_id);
	}
	return size;
}

static void put_address(uint32_t at, uint32_t size_at, struct sockaddr_storage *from,
			socklen_t size)
{
	uint32_t room;

	if (!at || !size_at)
		return;
	room = get32(size_at);
	put32(size_at, size);
	if (size >= sizeof(struct sockaddr_in6) && from->ss_family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)from;

		in6->sin6_scope_id = order32(in6->sin6_scope_id);
	}
	if (size >= 2)
		from->ss_family = order16(from->ss_family);
	for (uint32_t i = 0; i < size && i < room; i++)
		*(volatile char *)host(at + i) = ((char *)from)[i];
}

/* ---- making them --------------------------------------------------------- */

GUEST_CALL(socketpair)
{
	int fds[2];

	if (socketpair((int)a[0], socket_type_to_host(a[1]), (int)a[2], fds))
		return -errno;
	put32(a[3], (uint32_t)fds[0]);
	put32(a[3] + 4, (uint32_t)fds[1]);
	return 0;
}

GUEST_CALL(bind)
{
	struct sockaddr_storage address;
	long size = get_address(a[1], a[2], &address);

	return size < 0 ? size :
		direct(bind((int)a[0], (struct sockaddr *)&address, (socklen_t)size));
}

GUEST_CALL(connect)
{
	struct sockaddr_storage address;
	long size = get_address(a[1], a[2], &address);

	return size < 0 ? size :
		host_call(t, SYS_connect, (long)(int)a[0], &address, size);
}

static long accept_by(struct thread *t, const uint32_t *a, uint32_t flags)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	long result = host_call(t, SYS_accept4, (long)(int)a[0], &address, &size,
				(long)socket_type_to_host(flags & ~15u));

	if (result >= 0)
		put_address(a[1], a[2], &address, size);
	return result;
}

GUEST_CALL(accept)
{
	return accept_by(t, a, 0);
}

GUEST_CALL(accept4)
{
	return accept_by(t, a, a[3]);
}

GUEST_CALL(getsockname)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;

	if (getsockname((int)a[0], (struct sockaddr *)&address, &size))
		return -errno;
	put_address(a[1], a[2], &address, size);
	return 0;
}

GUEST_CALL(getpeername)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;

	if (getpeername((int)a[0], (struct sockaddr *)&address, &size))
		return -errno;
	put_address(a[1], a[2], &address, size);
	return 0;
}

/* ---- options ------------------------------------------------------------- */

/* The host's option where the guest's is a time-out in 64-bit words, or 0. */
static int long_timeout(const uint32_t *a)
{
	return a[1] != GUEST_SOL_SOCKET ? 0 : a[2] == GUEST_SO_RCVTIMEO_NEW ? SO_RCVTIMEO :
		a[2] == GUEST_SO_SNDTIMEO_NEW ? SO_SNDTIMEO : 0;
}

/* Both times are two words; what is not known here consists of words. */
GUEST_CALL(setsockopt)
{
	bool is_socket = a[1] == GUEST_SOL_SOCKET;
	int timeout = long_timeout(a);
	int level = is_socket ? SOL_SOCKET : (int)a[1];
	int name = is_socket ? to_host(options, COUNT(options), a[2]) : (int)a[2];
	uint32_t words[16];

	if (a[4] > sizeof words || a[4] % 4)
		return -EINVAL;
	if (timeout && a[4] >= 16) {
		struct timeval limit = { (time_t)get64(a[3]), (suseconds_t)get64(a[3] + 8) };

		return direct(setsockopt((int)a[0], level, timeout, &limit, sizeof limit));
	}
	for (uint32_t i = 0; i < a[4] / 4; i++)
		words[i] = get32(a[3] + 4 * i);
	if (is_socket && (name == SO_RCVTIMEO || name == SO_SNDTIMEO) && a[4] >= 8) {
		struct timeval limit = { (int32_t)words[0], (int32_t)words[1] };

		return direct(setsockopt((int)a[0], level, name, &limit, sizeof limit));
	}
	return direct(setsockopt((int)a[0], level, name, words, a[4]));
}

GUEST_CALL(getsockopt)
{
	bool is_socket = a[1] == GUEST_SOL_SOCKET;
	int level = is_socket ? SOL_SOCKET : (int)a[1];
	int name = is_socket ? to_host(options, COUNT(options), a[2]) : (int)a[2];
	union { uint32_t word[16]; struct timeval time; } v;
	int timeout = long_timeout(a);
	uint32_t room = get32(a[4]);
	socklen_t size = sizeof v;

	memset(&v, 0, sizeof v);
	if (getsockopt((int)a[0], level, timeout ? timeout : name, &v, &size))
		return -errno;
	if (timeout) {
		if (room < 16)
			return -EINVAL;
		put64(a[3], (uint64_t)v.time.tv_sec);
		put64(a[3] + 8, (uint64_t)v.time.tv_usec);
		put32(a[4], 16);
		return 0;
	}
	if (is_socket && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)) {
		uint32_t seconds = (uint32_t)v.time.tv_sec;

		v.word[1] = (uint32_t)v.time.tv_usec;
		v.word[0] = seconds;
		size = 8;
	}
	if (is_socket && name == SO_ERROR)
		v.word[0] = error_to_guest((int)v.word[0]);
	for (unsigned int i = 0; is_socket && name == SO_TYPE && i < COUNT(types); i++)
		if (types[i].host == (int)v.word[0]) {
			v.word[0] = types[i].guest;
			break;
		}
	for (uint32_t i = 0; i < size / 4 && i < room / 4; i++)
		put32(a[3] + 4 * i, v.word[i]);
	put32(a[4], size < room ? size : room);
	return 0;
}

/* ---- messages ------------------------------------------------------------ */

static long send_to(struct thread *t, const uint32_t *a, uint32_t address_at, uint32_t size)
{
	struct sockaddr_storage address;
	long length = address_at ? get_address(address_at, size, &address) : 0;

	if (length < 0)
		return length;
	return host_call(t, SYS_sendto, (long)(int)a[0], host(a[1]), (long)a[2],
			 (long)(int)a[3], address_at ? &address : NULL, length);
}

GUEST_CALL(send)
{
	return send_to(t, a, 0, 0);
}

GUEST_CALL(sendto)
{
	return send_to(t, a, a[4], a[5]);
}

GUEST_CALL(recv)
{
	return host_call(t, SYS_recvfrom, (long)(int)a[0], host(a[1]), (long)a[2],
			 (long)(int)a[3], 0L, 0L);
}

GUEST_CALL(recvfrom)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	long result = host_call(t, SYS_recvfrom, (long)(int)a[0], host(a[1]), (long)a[2],
				(long)(int)a[3], &address, &size);

	if (result >= 0)
		put_address(a[4], a[5], &address, size);
	return result;
}

/*
 * A message header of the guest: name, its size, vector, its count, control, its
 * size, flags; seven words.  Control messages have a header of three words, and
 * what is passed are descriptors and credentials: words as well.
 */
enum { NAME, NAME_SIZE, IOV, IOV_COUNT, CONTROL, CONTROL_SIZE, FLAGS, WORDS };

struct message {
	struct msghdr h;
	struct sockaddr_storage address;
	struct iovec iov[MAX_IOV];
	char control[MAX_CONTROL] __attribute__((aligned(sizeof(long))));
	uint32_t m[WORDS];
};

static long get_message(struct message *msg, uint32_t at)
{
	long count;

	for (uint32_t i = 0; i < WORDS; i++)
		msg->m[i] = get32(at + 4 * i);
	memset(&msg->h, 0, sizeof msg->h);
	count = iov_get(msg->m[IOV], msg->m[IOV_COUNT], msg->iov);
	if (count < 0)
		return -EMSGSIZE;
	msg->h.msg_iov = msg->iov;
	msg->h.msg_iovlen = (size_t)count;
	return 0;
}

static long get_control(struct message *msg)
{
	uint32_t at = msg->m[CONTROL], end = at + msg->m[CONTROL_SIZE];
	char *p = msg->control;

	while (at && at + 12 <= end) {
		uint32_t length = get32(at), data = length - 12;
		struct cmsghdr *c = (struct cmsghdr *)p;
		uint32_t level = get32(at + 4);

		if (length < 12 || at + length > end ||
		    CMSG_SPACE(data) > (size_t)(msg->control + MAX_CONTROL - p))
			return -EINVAL;
		c->cmsg_len = CMSG_LEN(data);
		c->cmsg_level = level == GUEST_SOL_SOCKET ? SOL_SOCKET : (int)level;
		c->cmsg_type = (int)get32(at + 8);
		for (uint32_t i = 0; i < data / 4; i++)
			((uint32_t *)(void *)CMSG_DATA(c))[i] = get32(at + 12 + 4 * i);
		p += CMSG_SPACE(data);
		at += (length + 3) & ~3u;
	}
	msg->h.msg_control = msg->control;
	msg->h.msg_controllen = (size_t)(p - msg->control);
	return 0;
}

/* Returns the number of bytes; what does not fit is cut off. */
static uint32_t put_control(struct message *msg)
{
	uint32_t at = msg->m[CONTROL], room = msg->m[CONTROL_SIZE], used = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg->h); c; c = CMSG_NXTHDR(&msg->h, c)) {
		uint32_t data = (uint32_t)(c->cmsg_len - CMSG_LEN(0));

		if (used + 12 > room)
			break;
		if (used + 12 + data > room)
			data = (room - used - 12) & ~3u;
		put32(at + used, 12 + data);
		put32(at + used + 4, (uint32_t)(c->cmsg_level == SOL_SOCKET ?
						GUEST_SOL_SOCKET : c->cmsg_level));
		put32(at + used + 8, (uint32_t)c->cmsg_type);
		for (uint32_t i = 0; i < data / 4; i++)
			put32(at + used + 12 + 4 * i, ((uint32_t *)(void *)CMSG_DATA(c))[i]);
		used += 12 + ((data + 3) & ~3u);
	}
	return used;
}

GUEST_CALL(sendmsg)
{
	struct message msg;
	long result = get_message(&msg, a[1]);

	if (result >= 0 && msg.m[NAME]) {
		result = get_address(msg.m[NAME], msg.m[NAME_SIZE], &msg.address);
		msg.h.msg_name = &msg.address;
		msg.h.msg_namelen = (socklen_t)result;
	}
	if (result >= 0 && msg.m[CONTROL])
		result = get_control(&msg);
	if (result < 0)
		return result;
	return host_call(t, SYS_sendmsg, (long)(int)a[0], &msg.h, (long)(int)a[2]);
}

/* One after the other; what has been sent is the result. */
GUEST_CALL(sendmmsg)
{
	uint32_t one[3] = { a[0], a[1], a[3] }, i;
	long result = 0;

	for (i = 0; i < a[2]; i++, one[1] += 4 * WORDS + 4) {
		result = sys_sendmsg(t, one);
		if (result < 0)
			break;
		put32(one[1] + 4 * WORDS, (uint32_t)result);
	}
	return i ? (long)i : result;
}

GUEST_CALL(recvmsg)
{
	struct message msg;
	long result = get_message(&msg, a[1]);

	if (result < 0)
		return result;
	msg.h.msg_name = &msg.address;
	msg.h.msg_namelen = sizeof msg.address;
	msg.h.msg_control = msg.control;
	msg.h.msg_controllen = msg.m[CONTROL] ? sizeof msg.control : 0;
	result = host_call(t, SYS_recvmsg, (long)(int)a[0], &msg.h, (long)(int)a[2]);
	if (result < 0)
		return result;
	put_address(msg.m[NAME], a[1] + 4 * NAME_SIZE, &msg.address, msg.h.msg_namelen);
	put32(a[1] + 4 * CONTROL_SIZE, put_control(&msg));
	put32(a[1] + 4 * FLAGS, (uint32_t)msg.h.msg_flags);
	return result;
}
