/* SPDX-License-Identifier: MIT */
/* TCP and UDP on the loopback interface. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "guest.h"

static struct sockaddr_in loopback(void)
{
	struct sockaddr_in address;

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static int option(int fd, int level, int name)
{
	socklen_t length = sizeof(int);
	int value = -1;

	if (getsockopt(fd, level, name, &value, &length))
		return -1;
	return value;
}

static int serve(int listener)
{
	char buffer[65536];
	long n, sum = 0;
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return 1;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		sum += n;
	return sum == 300000 && write(fd, "done", 4) == 4 ? 0 : 2;
}

static int listening(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	need(fd >= 0);
	want(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	check(option(fd, SOL_SOCKET, SO_REUSEADDR) != 0);
	*address = loopback();
	want(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
	want(listen(fd, 5), 0);
	want(getsockname(fd, (struct sockaddr *)address, &length), 0);
	want(length, sizeof(*address));
	check(address->sin_port != 0);
	check(address->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	return fd;
}

static void streams(void)
{
	static char data[300000];
	struct sockaddr_in address, peer;
	socklen_t length = sizeof(peer);
	int listener = listening(&address), fd, status = -1, on = 1;
	size_t sent = 0;
	char buffer[8];
	pid_t child = fork();

	if (child == 0)
		_exit(serve(listener));
	close(listener);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	want(option(fd, SOL_SOCKET, SO_ERROR), 0);
	want(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	want(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	want(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	want(getpeername(fd, (struct sockaddr *)&peer, &length), 0);
	check(peer.sin_port == address.sin_port);
	while (sent < sizeof(data)) {
		long n = write(fd, data + sent, sizeof(data) - sent);

		need(n > 0);
		sent += n;
	}
	want(sent, sizeof(data));
	want(shutdown(fd, SHUT_WR), 0);
	want(read(fd, buffer, sizeof(buffer)), 4);
	want(read(fd, buffer, sizeof(buffer)), 0);
	waitpid(child, &status, 0);
	want(status, 0);
	close(fd);
}

static void refused(void)
{
	struct sockaddr_in address;
	int listener = listening(&address), fd = socket(AF_INET, SOCK_STREAM, 0);
	struct pollfd p;

	close(listener);
	want_error(connect(fd, (struct sockaddr *)&address, sizeof(address)), ECONNREFUSED);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	check(fcntl(fd, F_GETFL) & O_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) && errno == EINPROGRESS) {
		p.fd = fd;
		p.events = POLLOUT;
		poll(&p, 1, 10000);
		errno = option(fd, SOL_SOCKET, SO_ERROR);
	}
	want(errno, ECONNREFUSED);
	close(fd);
	want_error(socket(AF_INET, 12, 0), EINVAL);
	want_error(listen(0, 1), ENOTSOCK);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	want_error(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	want_error(getpeername(fd, (struct sockaddr *)&address, &(socklen_t){ sizeof(address) }), ENOTCONN);
	close(fd);
}

static void datagrams(void)
{
	struct sockaddr_in address = loopback(), from;
	socklen_t length = sizeof(address);
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), n = 0;
	char buffer[16];

	want(bind(a, (struct sockaddr *)&address, sizeof(address)), 0);
	want(getsockname(a, (struct sockaddr *)&address, &length), 0);
	want(sendto(b, "datagram", 8, 0, (struct sockaddr *)&address, sizeof(address)), 8);
	want(ioctl(a, FIONREAD, &n), 0);
	want(n, 8);
	length = sizeof(from);
	want(recvfrom(a, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length), 8);
	want(length, sizeof(from));
	want(from.sin_family, AF_INET);
	check(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	want(sendto(a, "back", 4, 0, (struct sockaddr *)&from, length), 4);
	want(recv(b, buffer, sizeof(buffer), 0), 4);
	want_error(recv(b, buffer, sizeof(buffer), MSG_DONTWAIT), EAGAIN);
}

int main(void)
{
	streams();
	refused();
	datagrams();
	return guest_end();
}
