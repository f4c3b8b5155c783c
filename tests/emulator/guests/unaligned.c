/* SPDX-License-Identifier: MIT */
/* Calls take pointers to structures that are not where a compiler would put them. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "guest.h"

#ifdef SYS_stat64
#define SYS_STAT SYS_stat64
#else
#define SYS_STAT SYS_stat
#endif

static char room[4096] __attribute__((aligned(16)));

/* Through memory, so that no instruction of ours is one of those that need more. */
static long word_at(const char *p)
{
	long v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void at(size_t offset)
{
	struct iovec iov[2] = { { "ab", 2 }, { "cde", 3 } };
	long little[2] = { 0, 1000 };
	char *p = room + offset;
	int fd[2], status;
	pid_t child;

	memset(room, 0, sizeof(room));
	want(syscall(SYS_pipe2, p, 0), 0);
	memcpy(fd, p, sizeof(fd));
	memcpy(p, iov, sizeof(iov));
	want(syscall(SYS_writev, fd[1], p, 2), 5);
	memcpy(p, &(struct pollfd){ fd[0], POLLIN, 0 }, sizeof(struct pollfd));
	want(syscall(SYS_poll, p, 1, 0), 1);
	memcpy(p, little, sizeof(little));
	want(syscall(SYS_nanosleep, p, p), 0);
	want(syscall(SYS_getrusage, 0, p), 0);
	check(word_at(p + 4 * sizeof(long)) > 0);
	want(syscall(SYS_getcwd, p, 1024) > 0, 1);
	want(syscall(SYS_STAT, ".", p), 0);
	memset(p, 0, 128);
	want(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, p, _NSIG / 8), 0);
	want(syscall(SYS_getitimer, ITIMER_REAL, p), 0);
	child = fork();
	if (child == 0)
		_exit(3);
	want(syscall(SYS_wait4, child, p, 0, p + 16), child > 0 ? child : -1);
	memcpy(&status, p, sizeof(status));
	want(WEXITSTATUS(status), 3);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	at(1);
	at(2);
	at(3);
	return guest_end();
}
