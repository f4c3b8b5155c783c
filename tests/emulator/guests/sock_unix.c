/* SPDX-License-Identifier: MIT */
/* Unix sockets: pairs, names, datagrams, descriptors and credentials in messages. */
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "guest.h"

static void pairs(void)
{
	struct timeval little = { 0, 10000 }, t;
	socklen_t length = sizeof(int);
	char buffer[16];
	int pair[2], value = 0;

	want(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	want(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
	want(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &value, &length), 0);
	want(value, SOCK_STREAM);
	want(send(pair[0], "hello", 5, 0), 5);
	want(recv(pair[1], buffer, 2, MSG_PEEK), 2);
	want(recv(pair[1], buffer, 16, 0), 5);
	check(memcmp(buffer, "hello", 5) == 0);
	want_error(recv(pair[1], buffer, 16, MSG_DONTWAIT), EAGAIN);
	want(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &little, sizeof(little)), 0);
	want_error(recv(pair[1], buffer, 16, 0), EAGAIN);
	length = sizeof(t);
	want(getsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &t, &length), 0);
	check(t.tv_sec == 0 && t.tv_usec > 0 && t.tv_usec < 100000);
	want(shutdown(pair[0], SHUT_WR), 0);
	want(recv(pair[1], buffer, 16, 0), 0);
	want_error(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(pair[0]);
	close(pair[1]);
	want_error(socketpair(AF_UNIX, 77, 0, pair), EINVAL);
}

/* Two descriptors through one message, whose names mean the same files on the other side. */
static void descriptors(void)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int)) + 64];	/* more than comes */
	} control;
	struct iovec iov[2] = { { "ab", 2 }, { "cde", 3 } };
	char first[4] = "", second[8] = "", c = 0;
	struct msghdr message;
	struct cmsghdr *header;
	int pair[2], fd[2], got[2];

	need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(fd) == 0);
	memset(&message, 0, sizeof(message));
	memset(&control, 0, sizeof(control));
	message.msg_iov = iov;
	message.msg_iovlen = 2;
	message.msg_control = &control;
	message.msg_controllen = CMSG_SPACE(2 * sizeof(int));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(header), fd, sizeof(fd));
	want(sendmsg(pair[0], &message, 0), 5);

	memset(&control, 0, sizeof(control));
	iov[0].iov_base = first;
	iov[0].iov_len = 3;
	iov[1].iov_base = second;
	iov[1].iov_len = 8;
	message.msg_controllen = sizeof(control);
	message.msg_flags = -1;
	want(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC), 5);
	check(memcmp(first, "abc", 3) == 0 && memcmp(second, "de", 2) == 0);
	header = CMSG_FIRSTHDR(&message);
	need(header != NULL);
	want(header->cmsg_type, SCM_RIGHTS);
	want(header->cmsg_len, CMSG_LEN(2 * sizeof(int)));
	want(message.msg_controllen, CMSG_SPACE(2 * sizeof(int)));
	check(CMSG_NXTHDR(&message, header) == NULL);
	want(message.msg_flags, MSG_CMSG_CLOEXEC);
	memcpy(got, CMSG_DATA(header), sizeof(got));
	want(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	want(write(got[1], "z", 1), 1);
	want(read(fd[0], &c, 1), 1);
	want(c, 'z');

	/* No room for them: they are gone, and a flag says so. */
	message.msg_control = &control;
	message.msg_controllen = CMSG_SPACE(2 * sizeof(int));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(header), fd, sizeof(fd));
	iov[0].iov_len = 1;
	message.msg_iovlen = 1;
	want(sendmsg(pair[0], &message, 0), 1);
	message.msg_control = NULL;
	message.msg_controllen = 0;
	message.msg_flags = 0;
	want(recvmsg(pair[1], &message, 0), 1);
	check(message.msg_flags & MSG_CTRUNC);
}

static void credentials(void)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr message;
	struct cmsghdr *header;
	struct ucred sender;
	struct iovec iov;
	socklen_t length = sizeof(sender);
	int pair[2], on = 1;
	char c;

	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	want(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &sender, &length), 0);
	check(sender.pid == getpid() && sender.uid == getuid());
	want(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	need(write(pair[0], "c", 1) == 1);
	memset(&message, 0, sizeof(message));
	iov.iov_base = &c;
	iov.iov_len = 1;
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	want(recvmsg(pair[1], &message, 0), 1);
	header = CMSG_FIRSTHDR(&message);
	need(header != NULL);
	want(header->cmsg_type, SCM_CREDENTIALS);
	memcpy(&sender, CMSG_DATA(header), sizeof(sender));
	check(sender.pid == getpid() && sender.gid == getgid());
}

static socklen_t name(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path, path);
	return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

static void streams_by_name(void)
{
	struct sockaddr_un address, other;
	socklen_t length = name(&address, "socket"), got;
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd, status = 0;
	char buffer[32];
	pid_t child;

	need(listener >= 0);
	want_error(connect(listener, (struct sockaddr *)&address, length), ENOENT);
	want(bind(listener, (struct sockaddr *)&address, length), 0);
	want(listen(listener, 5), 0);
	child = fork();
	if (child == 0) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, length) || write(fd, "ping", 4) != 4)
			_exit(1);
		_exit(read(fd, buffer, sizeof(buffer)) == 4 ? 0 : 2);
	}
	got = sizeof(other);
	fd = accept4(listener, (struct sockaddr *)&other, &got, SOCK_CLOEXEC);
	check(fd >= 0);
	want(other.sun_family, AF_UNIX);
	want(read(fd, buffer, sizeof(buffer)), 4);
	want(write(fd, "pong", 4), 4);
	want(waitpid(child, &status, 0) == child ? status : -1, 0);
	got = sizeof(other);
	want(getsockname(fd, (struct sockaddr *)&other, &got), 0);
	check(got == length && strcmp(other.sun_path, "socket") == 0);
	close(fd);
	close(listener);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	want_error(connect(fd, (struct sockaddr *)&address, length), ECONNREFUSED);
	close(fd);
	unlink("socket");
}

static void datagrams(void)
{
	struct sockaddr_un here, there, from;
	socklen_t length, got = sizeof(from);
	int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct mmsghdr two[2];
	struct iovec iov[2] = { { "one", 3 }, { "three", 5 } };
	char buffer[16];

	need(a >= 0 && b >= 0);
	length = name(&here, "a");
	want(bind(a, (struct sockaddr *)&here, length), 0);
	length = name(&there, "b");
	want(bind(b, (struct sockaddr *)&there, length), 0);
	want(sendto(a, "datagram", 8, 0, (struct sockaddr *)&there, length), 8);
	want(recvfrom(b, buffer, 4, MSG_TRUNC, (struct sockaddr *)&from, &got), 8);
	check(strcmp(from.sun_path, "a") == 0);
	memset(two, 0, sizeof(two));
	two[0].msg_hdr.msg_iov = &iov[0];
	two[0].msg_hdr.msg_iovlen = 1;
	two[1].msg_hdr.msg_iov = &iov[1];
	two[1].msg_hdr.msg_iovlen = 1;
	want(connect(a, (struct sockaddr *)&there, length), 0);
	want(sendmmsg(a, two, 2, 0), 2);
	want(two[1].msg_len, 5);
	want(read(b, buffer, sizeof(buffer)), 3);
	want(read(b, buffer, sizeof(buffer)), 5);
	unlink("a");
	unlink("b");
}

int main(void)
{
	pairs();
	descriptors();
	credentials();
	streams_by_name();
	datagrams();
	return guest_end();
}
