/* SPDX-License-Identifier: MIT */
/* Numbers of errors differ between processors: each must come as the guest's own. */
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <sys/wait.h>
#include "guest.h"

#define show(call) \
	do { \
		errno = 0; \
		if ((call) != -1) \
			printf("FAILED %s succeeded\n", #call); \
		else \
			printf("ok %s: %s\n", #call, strerror(errno)); \
	} while (0)

int main(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = 0 };
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/no/such/place" };
	char name[300], target[8];
	int fd, i, pair[2], on = 1;
	socklen_t length = sizeof(on);

	memset(name, 'n', sizeof(name));
	name[299] = 0;
	inet_pton(AF_INET, "203.0.113.1", &v4.sin_addr);
	show(open(name, O_RDONLY));			/* ENAMETOOLONG */
	show(symlink("loop", "loop") ? -1 : open("loop", O_RDONLY));	/* ELOOP */
	unlink("loop");
	show(syscall(4999));				/* ENOSYS */
	show(kill(0x3ffffff, 0));			/* ESRCH */
	show(open("/dev/null/x", O_RDONLY));		/* ENOTDIR */
	show(mkdir("/", 0777));				/* EEXIST */
	show(read(-1, target, 1));			/* EBADF */
	show(socket(1234, SOCK_STREAM, 0));		/* EAFNOSUPPORT */
	show(socket(AF_INET, SOCK_STREAM, 250));	/* EPROTONOSUPPORT */
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	show(listen(fd, 1));				/* EOPNOTSUPP */
	show(getsockopt(fd, SOL_SOCKET, 12345, &on, &length));	/* ENOPROTOOPT */
	show(send(fd, "x", 1, 0));			/* EDESTADDRREQ */
	show(getpeername(fd, (struct sockaddr *)&v4, &length));	/* ENOTCONN */
	show(setsockopt(0, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));	/* ENOTSOCK */
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	show(connect(fd, (struct sockaddr *)&un, sizeof(un)));	/* ENOENT */
	strcpy(un.sun_path, "sock");
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0) {
		show(bind(fd, (struct sockaddr *)&un, sizeof(un)));	/* EINVAL */
		i = socket(AF_UNIX, SOCK_STREAM, 0);
		show(bind(i, (struct sockaddr *)&un, sizeof(un)));	/* EADDRINUSE */
		show(connect(i, (struct sockaddr *)&un, sizeof(un)));	/* ECONNREFUSED */
		close(i);
	}
	close(fd);
	unlink("sock");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
		show(connect(pair[0], (struct sockaddr *)&un, sizeof(un)));	/* EISCONN */
	}
	show(waitpid(1, NULL, 0));			/* ECHILD */
	show(setpgid(1, 0));				/* ESRCH */
	return guest_end();
}
