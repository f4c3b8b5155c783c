/* SPDX-License-Identifier: MIT */
/*
 * Sockets where the program has no room: for an option, for descriptors, for the second of two
 * messages.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include "guest.h"

/* Options that are no int, and rooms that are none. */
static void sizes(void)
{
	struct linger linger = { 1, 5 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), value = 1, type[2] = { -1, -1 };
	socklen_t length = -1;
	char byte = 1;

	need(fd >= 0);
	want_error(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, -1), EINVAL);
	want_error(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &byte, 1), EINVAL);
	want_error(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, 3), EINVAL);
	want(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	want_error(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, 4), EINVAL);
	linger.l_onoff = linger.l_linger = 0;
	length = sizeof(linger);
	want(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length), 0);
	check(linger.l_onoff == 1 && linger.l_linger == 5 && length == sizeof(linger));
	length = -1;
	want_error(getsockopt(fd, SOL_SOCKET, SO_PASSCRED, &value, &length), EINVAL);
	length = sizeof(type);
	want(getsockopt(fd, SOL_SOCKET, SO_TYPE, type, &length), 0);
	check(length == sizeof(int) && type[0] == SOCK_STREAM && type[1] == -1);
	type[0] = -1;
	length = 2;
	want(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, type, &length), 0);
	check(length == 2 && ((char *)type)[1] == 0 && ((char *)type)[2] == -1);
	length = 0;
	want(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, type, &length), 0);
	want(length, 0);
	close(fd);
}

/* Bytes, text, and the order of the network. */
static void of_the_network(void)
{
	struct ip_mreqn group = { { htonl(0xe0000001) }, { htonl(INADDR_LOOPBACK) }, 0 };
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), value = -1;
	struct in_addr from = { 0 };
	unsigned char byte = 7;
	socklen_t length;
	char text[16] = "";

	need(tcp >= 0 && udp >= 0);
	want(setsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, &byte, 1), 0);
	byte = 0;
	length = 1;
	want(getsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, &byte, &length), 0);
	check(byte == 7 && length == 1);
	length = sizeof(value);
	want(getsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, &value, &length), 0);
	want(value, 7);
	want(setsockopt(udp, IPPROTO_IP, IP_MULTICAST_IF, &group.imr_address, 4), 0);
	length = sizeof(from);
	want(getsockopt(udp, IPPROTO_IP, IP_MULTICAST_IF, &from, &length), 0);
	want(from.s_addr, htonl(INADDR_LOOPBACK));
	want(setsockopt(udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, 8), 0);
	want_error(setsockopt(udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, 8), EADDRINUSE);
	want(setsockopt(udp, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)), 0);
	want(setsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	length = sizeof(text);
	want(getsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, text, &length), 0);
	check(length == sizeof(text) && !strcmp(text, "reno"));
	close(tcp);
	close(udp);
}

static int open_descriptors(void)
{
	int count = 0, fd;

	for (fd = 0; fd < 64; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The message has room for them. */
static void put_descriptors(struct msghdr *message, const int *fd, int count)
{
	struct cmsghdr *header;

	message->msg_controllen = CMSG_SPACE(count * sizeof(int));
	header = CMSG_FIRSTHDR(message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fd, count * sizeof(int));
}

/* Two descriptors come where there is room for `room` bytes: how many are open then. */
static int open_of_two(size_t room, int *flags, size_t *got)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = { "x", 1 };
	struct msghdr message;
	int pair[2], fd[2] = { 0, 1 }, before, after, i;
	char c;

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	memset(&message, 0, sizeof(message));
	memset(&control, 0, sizeof(control));
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	put_descriptors(&message, fd, 2);
	need(sendmsg(pair[0], &message, 0) == 1);
	iov.iov_base = &c;
	message.msg_controllen = room;
	before = open_descriptors();
	need(recvmsg(pair[1], &message, 0) == 1);
	after = open_descriptors();
	*flags = message.msg_flags;
	*got = message.msg_controllen;
	for (i = 63; i > pair[1]; i--)
		close(i);
	close(pair[0]);
	close(pair[1]);
	return after - before;
}

/* A descriptor that is open and has no name in the program would stay open for ever. */
static void descriptors(void)
{
	size_t got;
	int flags;

	want(open_of_two(CMSG_SPACE(2 * sizeof(int)), &flags, &got), 2);
	check(flags == 0 && got == CMSG_SPACE(2 * sizeof(int)));
	want(open_of_two(CMSG_LEN(sizeof(int)), &flags, &got), 1);
	check(flags == MSG_CTRUNC && got == CMSG_LEN(sizeof(int)));
	want(open_of_two(CMSG_LEN(0), &flags, &got), 0);
	check(flags == MSG_CTRUNC && got == 0);
	want(open_of_two(0, &flags, &got), 0);
	check(flags == MSG_CTRUNC && got == 0);
}

/* What can't be told where it is must not be there. */
static void nowhere_to_put_it(void)
{
	union { struct cmsghdr header; char bytes[CMSG_SPACE(2 * sizeof(int))]; } control;
	int *bad = (int *)16, fd[2] = { 0, 1 }, pair[2], before, listener, client;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(name);
	struct iovec iov = { "x", 1 };
	struct msghdr message;

	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	/* the kernel finds a name for it */
	need(bind(listener, (struct sockaddr *)&name, sizeof(name.sun_family)) == 0);
	need(getsockname(listener, (struct sockaddr *)&name, &length) == 0);
	need(listen(listener, 1) == 0);
	need(connect(client, (struct sockaddr *)&name, length) == 0);
	memset(&message, 0, sizeof(message));
	memset(&control, 0, sizeof(control));
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	put_descriptors(&message, fd, 2);
	need(sendmsg(pair[0], &message, 0) == 1);

	before = open_descriptors();
	want_error(syscall(SYS_pipe2, bad, 0), EFAULT);
	want_error(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, bad), EFAULT);
	length = sizeof(name);
	want_error(syscall(SYS_accept4, listener, bad, &length, 0), EFAULT);
	want_error(syscall(SYS_recvmsg, pair[1], bad, 0), EFAULT);
	/* this may be an error, or a message whose descriptors are gone */
	message.msg_control = bad;
	recvmsg(pair[1], &message, MSG_DONTWAIT);
	want(open_descriptors(), before);
	close(listener);
	close(client);
	close(pair[0]);
	close(pair[1]);
}

/* What has been sent, or has come, is the result, whatever is wrong with the next. */
static void several_at_once(void)
{
	struct timespec short_time = { 0, 1000000 };
	struct iovec bad = { (void *)16, 4 };
	char buffer[2][8] = { "", "" };
	struct mmsghdr *at_the_end;
	struct iovec good = { "one", 3 };
	struct mmsghdr two[2];
	int pair[2], a, b;
	char *pages;

	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	a = pair[0];
	b = pair[1];
	memset(two, 0, sizeof(two));
	two[0].msg_hdr.msg_iov = &good;
	two[0].msg_hdr.msg_iovlen = 1;
	two[1].msg_hdr.msg_iovlen = 1;
	two[1].msg_hdr.msg_iov = (struct iovec *)16;
	want(sendmmsg(a, two, 2, 0), 1);
	two[1].msg_hdr.msg_iov = &bad;
	want(sendmmsg(a, two, 2, 0), 1);
	want_error(sendmmsg(a, two + 1, 1, 0), EFAULT);
	want_error(syscall(SYS_sendmmsg, a, 16, 1, 0), EFAULT);
	/* the second header is beyond the end of what is there */
	pages = mmap(NULL, 2 * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(pages != MAP_FAILED && munmap(pages + sysconf(_SC_PAGESIZE), 1) == 0);
	at_the_end = (struct mmsghdr *)(void *)(pages + sysconf(_SC_PAGESIZE)) - 1;
	*at_the_end = two[0];
	want(syscall(SYS_sendmmsg, a, at_the_end, 2, 0), 1);
	want(at_the_end->msg_len, 3);
	want(recv(b, buffer[0], sizeof(buffer[0]), MSG_DONTWAIT), 3);

	good.iov_base = buffer[0];
	good.iov_len = sizeof(buffer[0]);
	bad.iov_base = buffer[1];
	bad.iov_len = sizeof(buffer[1]);
	want(recvmmsg(b, two, 2, 0, NULL), 2);
	check(two[0].msg_len == 3 && two[1].msg_len == 3 && !strcmp(buffer[1], "one"));
	want_error(recvmmsg(b, two, 2, MSG_DONTWAIT, NULL), EAGAIN);
	/* the call with a time of words */
	want(send(a, "word", 4, 0), 4);
	want(syscall(SYS_recvmmsg, b, two, 1, 0, (long[]){ 0, 1000000 }), 1);
	want(send(a, "wait", 4, 0), 4);
	want(recvmmsg(b, two, 2, MSG_WAITFORONE, NULL), 1);
	want(send(a, "first", 5, 0), 5);
	want(recvmmsg(b, two, 2, MSG_DONTWAIT, &short_time), 1);
	want(two[0].msg_len, 5);
	short_time.tv_nsec = -1;
	want_error(recvmmsg(b, two, 2, 0, &short_time), EINVAL);
	close(a);
	close(b);
}

int main(void)
{
	sizes();
	of_the_network();
	descriptors();
	nowhere_to_put_it();
	several_at_once();
	return guest_end();
}
