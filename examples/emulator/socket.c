/* SPDX-License-Identifier: MIT */
/*
 * socket.c - sockets.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "emulator.h"

enum { MAX_CONTROL = 2048 };		/* there are never more than 253 descriptors */
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

/* That there is a place for one. */
void address_touch(uint32_t at, uint32_t size_at)
{
	uint32_t room;

	if (!at || !size_at)
		return;
	memory_touch(size_at, 4);
	room = get32(size_at);
	memory_touch(at, room < sizeof(struct sockaddr_storage) ? room :
		     (uint32_t)sizeof(struct sockaddr_storage));
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

/* ---- what is known ------------------------------------------------------- */

/*
 * Options and control messages that the emulator knows; no other reaches the host,
 * as it could hold a pointer, which the host would take for one of the emulator's.
 * Each is told by letters, one for four bytes:
 *
 *	w	a word
 *	n	bytes: in the order of the network, or text
 *	e k	the number of an error, a type of socket
 *	a	the beginning of an address: its family, and two bytes
 *	v	a struct timeval, which has another size here
 *
 * The last letter stands for all that follows.
 */
struct known {
	int level, name;
	const char *parts;
};

#define TEXT "nnnn"
static const struct known options[] = {
	{ SOL_SOCKET, SO_DEBUG, "w" }, { SOL_SOCKET, SO_REUSEADDR, "w" },
	{ SOL_SOCKET, SO_KEEPALIVE, "w" }, { SOL_SOCKET, SO_DONTROUTE, "w" },
	{ SOL_SOCKET, SO_BROADCAST, "w" }, { SOL_SOCKET, SO_LINGER, "ww" },
	{ SOL_SOCKET, SO_OOBINLINE, "w" }, { SOL_SOCKET, SO_REUSEPORT, "w" },
	{ SOL_SOCKET, SO_SNDBUF, "w" }, { SOL_SOCKET, SO_RCVBUF, "w" },
	{ SOL_SOCKET, SO_SNDLOWAT, "w" }, { SOL_SOCKET, SO_RCVLOWAT, "w" },
	{ SOL_SOCKET, SO_SNDTIMEO, "v" }, { SOL_SOCKET, SO_RCVTIMEO, "v" },
	{ SOL_SOCKET, SO_ERROR, "e" }, { SOL_SOCKET, SO_TYPE, "k" },
	{ SOL_SOCKET, SO_ACCEPTCONN, "w" }, { SOL_SOCKET, SO_PROTOCOL, "w" },
	{ SOL_SOCKET, SO_DOMAIN, "w" }, { SOL_SOCKET, SO_PASSCRED, "w" },
	{ SOL_SOCKET, SO_PEERCRED, "www" }, { SOL_SOCKET, SO_PRIORITY, "w" },
	{ SOL_SOCKET, SO_BINDTODEVICE, TEXT }, { SOL_SOCKET, SO_MARK, "w" },

	{ IPPROTO_IP, IP_TOS, "w" }, { IPPROTO_IP, IP_TTL, "w" },
	{ IPPROTO_IP, IP_HDRINCL, "w" }, { IPPROTO_IP, IP_PKTINFO, "w" },
	{ IPPROTO_IP, IP_MTU_DISCOVER, "w" }, { IPPROTO_IP, IP_RECVERR, "w" },
	{ IPPROTO_IP, IP_RECVTTL, "w" }, { IPPROTO_IP, IP_RECVTOS, "w" },
	{ IPPROTO_IP, IP_MTU, "w" }, { IPPROTO_IP, IP_FREEBIND, "w" },
	{ IPPROTO_IP, IP_MULTICAST_IF, "nnw" }, { IPPROTO_IP, IP_MULTICAST_TTL, "w" },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, "w" }, { IPPROTO_IP, IP_ADD_MEMBERSHIP, "nnw" },
	{ IPPROTO_IP, IP_DROP_MEMBERSHIP, "nnw" },

	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, "w" }, { IPPROTO_IPV6, IPV6_MULTICAST_IF, "w" },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, "w" },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, "w" },
	{ IPPROTO_IPV6, IPV6_JOIN_GROUP, "nnnnw" },
	{ IPPROTO_IPV6, IPV6_LEAVE_GROUP, "nnnnw" },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, "w" }, { IPPROTO_IPV6, IPV6_MTU, "w" },
	{ IPPROTO_IPV6, IPV6_RECVERR, "w" }, { IPPROTO_IPV6, IPV6_V6ONLY, "w" },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, "w" }, { IPPROTO_IPV6, IPV6_RECVHOPLIMIT, "w" },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, "w" }, { IPPROTO_IPV6, IPV6_TCLASS, "w" },

	{ IPPROTO_TCP, TCP_NODELAY, "w" }, { IPPROTO_TCP, TCP_MAXSEG, "w" },
	{ IPPROTO_TCP, TCP_CORK, "w" }, { IPPROTO_TCP, TCP_KEEPIDLE, "w" },
	{ IPPROTO_TCP, TCP_KEEPINTVL, "w" }, { IPPROTO_TCP, TCP_KEEPCNT, "w" },
	{ IPPROTO_TCP, TCP_SYNCNT, "w" }, { IPPROTO_TCP, TCP_LINGER2, "w" },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, "w" }, { IPPROTO_TCP, TCP_WINDOW_CLAMP, "w" },
	{ IPPROTO_TCP, TCP_QUICKACK, "w" }, { IPPROTO_TCP, TCP_CONGESTION, TEXT },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, "w" }, { IPPROTO_TCP, TCP_FASTOPEN, "w" },
	{ 0, 0, NULL }
};

static const struct known messages[] = {
	{ SOL_SOCKET, SCM_RIGHTS, "w" }, { SOL_SOCKET, SCM_CREDENTIALS, "w" },
	{ IPPROTO_IP, IP_PKTINFO, "wn" }, { IPPROTO_IP, IP_TTL, "w" },
	{ IPPROTO_IP, IP_TOS, "w" }, { IPPROTO_IP, IP_RECVERR, "enwwan" },
	{ IPPROTO_IPV6, IPV6_PKTINFO, "nnnnw" }, { IPPROTO_IPV6, IPV6_HOPLIMIT, "w" },
	{ IPPROTO_IPV6, IPV6_TCLASS, "w" }, { IPPROTO_IPV6, IPV6_RECVERR, "enwwannnnnw" },
	{ 0, 0, NULL }
};

static int level_to_host(uint32_t level)
{
	if (level == GUEST_SOL_SOCKET)
		return SOL_SOCKET;
	return (int)level == SOL_SOCKET ? -1 : (int)level;
}

/* By what they are on the host; null for one that is not known. */
static const struct known *find(const struct known *in, int level, int name)
{
	while (in->parts && (in->level != level || in->name != name))
		in++;
	return in->parts ? in : NULL;
}

static uint32_t turned(char part, uint32_t v)
{
	any16 *half = (any16 *)&v;

	switch (part) {
	case 'n':
		return v;
	case 'a':
		*half = order16(*half);
		return v;
	case 'e':
		return order32(to_guest(errors, v, v));
	case 'k':
		return order32(to_guest(socket_types, v, v));
	default:
		return order32(v);
	}
}

/* From the guest's order to the host's, or back; what is no whole word is bytes. */
static void turn_parts(const char *part, void *at, uint32_t size)
{
	any32 *word = at;

	for (uint32_t i = 0; i < size / 4; i++) {
		word[i] = turned(*part, word[i]);
		part += part[1] != 0;
	}
}

/* ---- options ------------------------------------------------------------- */

union value {
	uint32_t word[5];
	uint64_t of_64_bits[2];
	struct timeval time;
};

/* The options that are times exist once more, with 64 bits. */
static const struct known *option_of(struct thread *t, uint32_t level, uint32_t name)
{
	if (level == GUEST_SOL_SOCKET) {
		t->wide_time = name == GUEST_SO_RCVTIMEO_NEW ||
			name == GUEST_SO_SNDTIMEO_NEW;
		name = to_host(socket_options, name, 0);
	}
	return find(options, level_to_host(level), (int)name);
}

/* How many bytes it has on the host. */
static uint32_t size_of(const struct known *option)
{
	return *option->parts == 'v' ? sizeof(struct timeval) :
		4 * (uint32_t)strlen(option->parts);
}

/* The kernel decides whether it has enough bytes, and takes no more than it knows. */
GUEST_CALL(setsockopt)
{
	const struct known *o = option_of(t, a[1], a[2]);
	union value v = { { 0 } };
	uint32_t size = a[4];

	if (!o)
		return -ENOPROTOOPT;
	if (size > INT32_MAX || (*o->parts == 'v' && size < (t->wide_time ? 16 : 8)))
		return -EINVAL;
	if (size > size_of(o) || *o->parts == 'v')
		size = size_of(o);
	if (*o->parts == 'v') {
		if (!struct_get(t, 'v', a[3], &v.time))
			return -EFAULT;
	} else {
		memcpy(&v, host(a[3]), size);
		turn_parts(o->parts, &v, size);
	}
	return direct(setsockopt((int)a[0], o->level, o->name, &v, size));
}

/* As the guest has a time; the number of its bytes. */
static socklen_t turn_time(union value *v, bool is_wide)
{
	struct timeval time = v->time;

	if (is_wide) {
		v->of_64_bits[0] = order64((uint64_t)time.tv_sec);
		v->of_64_bits[1] = order64((uint64_t)time.tv_usec);
		return 16;
	}
	v->word[0] = order32((uint32_t)time.tv_sec);
	v->word[1] = order32((uint32_t)time.tv_usec);
	return 8;
}

GUEST_CALL(getsockopt)
{
	const struct known *o = option_of(t, a[1], a[2]);
	uint32_t room = get32(a[4]);
	union value v;
	socklen_t size;

	if (!o)
		return -ENOPROTOOPT;
	if (room > INT32_MAX)
		return -EINVAL;
	/* these come as a byte where there is no room for a word */
	size = o->level == IPPROTO_IP && room < size_of(o) ? room : size_of(o);
	if (getsockopt((int)a[0], o->level, o->name, &v, &size))
		return -errno;
	if (*o->parts == 'v')
		size = turn_time(&v, t->wide_time);
	else
		turn_parts(o->parts, &v, size);
	if (size > room)
		size = room;
	memcpy(host(a[3]), &v, size);
	put32(a[4], size);
	return 0;
}

/* ---- messages ------------------------------------------------------------ */

/*
 * A message header of the guest: name, its size, vector, its count, control, its
 * size, flags; seven words.  Control messages have a header of three words.
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
		return count == -EINVAL ? -EMSGSIZE : count;
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
		const struct known *known;

		if (length < 12 || at + length > end ||
		    CMSG_SPACE(data) > (size_t)(msg->control + MAX_CONTROL - p))
			return -EINVAL;
		c->cmsg_len = CMSG_LEN(data);
		c->cmsg_level = level_to_host(get32(at + 4));
		c->cmsg_type = (int)get32(at + 8);
		known = find(messages, c->cmsg_level, c->cmsg_type);
		if (!known)
			return -EINVAL;
		memcpy(CMSG_DATA(c), host(at + 12), data);
		turn_parts(known->parts, CMSG_DATA(c), data);
		p += CMSG_SPACE(data);
		at += (length + 3) & ~3u;
	}
	msg->h.msg_control = msg->control;
	msg->h.msg_controllen = (size_t)(p - msg->control);
	return 0;
}

/* What a message has brought beyond the first `size` bytes is not the guest's. */
static void close_rest(struct cmsghdr *c, uint32_t size, uint32_t data)
{
	const int *fd = (const int *)(void *)CMSG_DATA(c);

	for (uint32_t i = size / 4; i < data / 4; i++)
		close(fd[i]);
}

/* The number of bytes that have got a place, of `data` that have come. */
static uint32_t put_message(struct cmsghdr *c, uint32_t at, uint32_t room, uint32_t data)
{
	const struct known *known = find(messages, c->cmsg_level, c->cmsg_type);
	bool is_rights = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS;
	uint32_t size = room < 12 ? 0 : room - 12;

	if (size > data)
		size = data;
	if (is_rights) {
		size &= ~3u;
		close_rest(c, size, data);
	}
	if (room < 12 || !known || (is_rights && !size))
		return 0;
	turn_parts(known->parts, CMSG_DATA(c), data);
	put32(at, 12 + size);
	put32(at + 4, c->cmsg_level == SOL_SOCKET ? GUEST_SOL_SOCKET :
		      (uint32_t)c->cmsg_level);
	put32(at + 8, (uint32_t)c->cmsg_type);
	memcpy(host(at + 12), CMSG_DATA(c), size);
	return 12 + size;
}

/* Returns the number of bytes; what does not fit is cut off, and a flag says so. */
static uint32_t put_control(struct message *msg)
{
	uint32_t at = msg->m[CONTROL], room = msg->m[CONTROL_SIZE], used = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg->h); c; c = CMSG_NXTHDR(&msg->h, c)) {
		uint32_t data = (uint32_t)(c->cmsg_len - CMSG_LEN(0));
		uint32_t size = put_message(c, at + used, room - used, data);

		if (size < 12 + data)
			msg->h.msg_flags |= MSG_CTRUNC;
		used += (size + 3) & ~3u;
		if (used > room)
			used = room;
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

GUEST_CALL(recvmsg)
{
	struct message msg;
	long result = get_message(&msg, a[1]);

	if (result < 0)
		return result;
	memory_touch(a[1], 4 * WORDS);
	address_touch(msg.m[NAME], a[1] + 4 * NAME_SIZE);
	if (msg.m[CONTROL])
		memory_touch(msg.m[CONTROL], msg.m[CONTROL_SIZE] < MAX_CONTROL ?
						 msg.m[CONTROL_SIZE] : MAX_CONTROL);
	msg.h.msg_name = &msg.address;
	msg.h.msg_namelen = sizeof msg.address;
	if (msg.m[CONTROL] && msg.m[CONTROL_SIZE]) {
		msg.h.msg_control = msg.control;
		msg.h.msg_controllen = sizeof msg.control;
	}
	result = host_call(t, SYS_recvmsg, (long)(int)a[0], &msg.h, (long)(int)a[2]);
	if (result < 0)
		return result;
	address_put(msg.m[NAME], a[1] + 4 * NAME_SIZE, &msg.address, msg.h.msg_namelen);
	put32(a[1] + 4 * CONTROL_SIZE, put_control(&msg));
	put32(a[1] + 4 * FLAGS, (uint32_t)msg.h.msg_flags);
	return result;
}

/* ---- several messages ---------------------------------------------------- */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/*
 * One after the other, each with its result behind its header, until it is `end`, which
 * 0 is not.  What has been done is the result: an error, or a header that is not in
 * memory, is one only at the beginning.
 */
static long several(struct thread *t, const uint32_t *a, call_function *function,
		    int64_t end)
{
	volatile uint32_t done = 0, count = a[2] < MAX_IOV ? a[2] : MAX_IOV;
	uint32_t one[3] = { a[0], a[1], a[3] & ~(uint32_t)MSG_WAITFORONE };
	volatile long result = 0;
	sigjmp_buf outer;

	memcpy(outer, t->back, sizeof outer);
	if (sigsetjmp(t->back, 0)) {
		result = -EFAULT;
		count = 0;
	}
	while (done < count && !(done && end && now() >= end)) {
		result = function(t, one, 0);
		if (result < 0)
			break;
		put32(one[1] + 4 * WORDS, (uint32_t)result);
		one[1] += 4 * WORDS + 4;
		if (a[3] & MSG_WAITFORONE)
			one[2] |= MSG_DONTWAIT;
		done = done + 1;
	}
	memcpy(t->back, outer, sizeof outer);
	return done ? (long)done : result;
}

GUEST_CALL(sendmmsg)
{
	return several(t, a, sys_sendmsg, 0);
}

/* The kernel too looks at the time only when a message has come. */
GUEST_CALL(recvmmsg)
{
	struct timespec limit, *has_limit = struct_get(t, 't', a[4], &limit);
	int64_t end = 0, rest;
	long result;

	if (has_limit && (limit.tv_sec < 0 || limit.tv_nsec < 0 || limit.tv_nsec > 999999999))
		return -EINVAL;
	if (has_limit)
		end = now() + limit.tv_sec * 1000000000LL + limit.tv_nsec;
	result = several(t, a, sys_recvmsg, end);
	if (has_limit && result > 0) {
		rest = end > now() ? end - now() : 0;
		limit = (struct timespec){ rest / 1000000000, rest % 1000000000 };
		struct_put(t, 't', a[4], &limit);
	}
	return result;
}
