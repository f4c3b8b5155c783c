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

#include "emulator.h"

enum { MAX_CONTROL = 1024 };
/* The two options are times of 64 bits, for C libraries that have no other. */
enum { GUEST_SOL_SOCKET = 0xffff, GUEST_SO_RCVTIMEO_NEW = 66, GUEST_SO_SNDTIMEO_NEW };

/* ---- addresses ----------------------------------------------------------- */

/* Of all that is in one, the family and the scope are in the order of the machine. */
static void turn(struct sockaddr_storage *address, uint32_t size, int family)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

	if (size >= sizeof address->ss_family)
		address->ss_family = order16(address->ss_family);
	if (size >= sizeof *in6 && family == AF_INET6)
		in6->sin6_scope_id = order32(in6->sin6_scope_id);
}

long address_get(uint32_t at, uint32_t size, void *to)
{
	const struct sockaddr_storage *address = to;

	if (size > sizeof *address)
		return -EINVAL;
	memcpy(to, host(at), size);
	turn(to, size, order16(address->ss_family));
	return size;
}

void address_put(uint32_t at, uint32_t size_at, void *from, uint32_t size)
{
	const struct sockaddr_storage *address = from;
	uint32_t room;

	if (!at || !size_at)
		return;
	room = get32(size_at);
	put32(size_at, size);
	turn(from, size, address->ss_family);
	memcpy(host(at), from, size < room ? size : room);
}

/* ---- options ------------------------------------------------------------- */

struct option {
	int level, name;
	bool is_time;
};

/*
 * An option of the guest.  Those that are times exist once more, with 64 bits; all
 * others are known to consist of words.
 */
static struct option option_of(struct thread *t, uint32_t level, uint32_t name)
{
	struct option o = { (int)level, (int)name, false };

	if (level != GUEST_SOL_SOCKET)
		return o;
	o.level = SOL_SOCKET;
	t->wide_time = name == GUEST_SO_RCVTIMEO_NEW || name == GUEST_SO_SNDTIMEO_NEW;
	if (name == GUEST_SO_RCVTIMEO_NEW)
		o.name = SO_RCVTIMEO;
	else if (name == GUEST_SO_SNDTIMEO_NEW)
		o.name = SO_SNDTIMEO;
	else
		o.name = (int)to_host(socket_options, name, name);
	o.is_time = o.name == SO_RCVTIMEO || o.name == SO_SNDTIMEO;
	return o;
}

union value { uint32_t word[16]; struct timeval time; };

GUEST_CALL(setsockopt)
{
	struct option o = option_of(t, a[1], a[2]);
	union value v;
	socklen_t size = o.is_time ? sizeof v.time : a[4];

	if (a[4] > sizeof v || a[4] % 4)
		return -EINVAL;
	for (uint32_t i = 0; i < a[4] / 4; i++)
		v.word[i] = get32(a[3] + 4 * i);
	if (o.is_time)
		struct_get(t, 'v', a[3], &v);
	return direct(setsockopt((int)a[0], o.level, o.name, &v, size));
}

GUEST_CALL(getsockopt)
{
	struct option o = option_of(t, a[1], a[2]);
	uint32_t room = get32(a[4]), own = t->wide_time ? 16 : 8;
	union value v;
	socklen_t size = sizeof v;

	if (getsockopt((int)a[0], o.level, o.name, &v, &size))
		return -errno;
	if (o.is_time && room < own)
		return -EINVAL;
	if (o.level == SOL_SOCKET && o.name == SO_ERROR)
		v.word[0] = to_guest(errors, v.word[0], v.word[0]);
	if (o.level == SOL_SOCKET && o.name == SO_TYPE)
		v.word[0] = to_guest(socket_types, v.word[0], v.word[0]);
	if (o.is_time)
		struct_put(t, 'v', a[3], &v);
	for (uint32_t i = 0; !o.is_time && i < size / 4 && i < room / 4; i++)
		put32(a[3] + 4 * i, v.word[i]);
	size = o.is_time ? own : size;
	put32(a[4], size < room ? size : room);
	return 0;
}

/* ---- messages ------------------------------------------------------------ */

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
		result = address_get(msg.m[NAME], msg.m[NAME_SIZE], &msg.address);
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
		result = sys_sendmsg(t, one, call);
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
	address_put(msg.m[NAME], a[1] + 4 * NAME_SIZE, &msg.address, msg.h.msg_namelen);
	put32(a[1] + 4 * CONTROL_SIZE, put_control(&msg));
	put32(a[1] + 4 * FLAGS, (uint32_t)msg.h.msg_flags);
	return result;
}
