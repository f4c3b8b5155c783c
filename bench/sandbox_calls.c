/* SPDX-License-Identifier: MIT */
/*
 * sandbox_calls.c - what bench/sandbox measures: calls that a sandbox's supervisor makes.
 *
 *	sandbox_calls open|connect|blocked DIRECTORY
 *	sandbox_calls supervise COMMAND...
 *
 * The second is the least that a supervisor can be: one thread, plain calls, no policy, and no
 * care for signals.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void *wait_for_fifo(void *name)
{
	return (void *)(intptr_t)open(name, O_RDONLY);
}

static int measure(const char *what, const char *directory)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	const int rounds = 5000;
	pthread_t thread;
	char name[256];
	double began;
	int i, fd;

	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	if (*what == 'b') {
		snprintf(name, sizeof name, "%s/fifo", directory);
		mkfifo(name, 0600);
		for (i = 0; i < 300; i++)
			if (pthread_create(&thread, NULL, wait_for_fifo, name))
				return 1;
		sleep(1);
	}
	began = now();
	for (i = 0; i < rounds; i++) {
		fd = *what == 'c' ? socket(AF_INET, SOCK_STREAM, 0) : open("/dev/null", O_RDONLY);
		if (fd == -1)
			return 1;
		if (*what == 'c')	/* nobody listens */
			connect(fd, (struct sockaddr *)&to, sizeof to);
		close(fd);
	}
	printf("%.2f\n", (now() - began) / rounds);
	fflush(stdout);
	_exit(0);
}

/* ---- the other supervisor ------------------------------------------------------------- */

static int listener(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &program);
}

static void answer(int fd, const struct seccomp_notif *n)
{
	struct seccomp_notif_addfd add = { .id = n->id, .flags = SECCOMP_ADDFD_FLAG_SEND };
	struct seccomp_notif_resp send = { .id = n->id };
	char data[4096] = "";
	struct iovec local = { data, sizeof data - 1 };
	struct iovec remote = { (void *)(uintptr_t)n->data.args[1], 0 };

	remote.iov_len = n->data.nr == SYS_connect ? n->data.args[2] :
		4096 - (n->data.args[1] & 4095);
	process_vm_readv((pid_t)n->pid, &local, 1, &remote, 1, 0);
	if (n->data.nr == SYS_connect) {
		const int pidfd = (int)syscall(SYS_pidfd_open, n->pid, 0);
		const int theirs = (int)syscall(SYS_pidfd_getfd, pidfd, (int)n->data.args[0], 0);
		if (connect(theirs, (struct sockaddr *)data, (socklen_t)n->data.args[2]))
			send.error = -errno;
		close(theirs);
		close(pidfd);
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &send);
		return;
	}
	add.srcfd = (unsigned int)open(data, (int)n->data.args[2], (mode_t)n->data.args[3]);
	if (add.srcfd == (unsigned int)-1) {
		send.error = -errno;
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &send);
		return;
	}
	ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	close((int)add.srcfd);
}

static int supervise(char **command)
{
	struct seccomp_notif n;
	int go[2], fd, status;
	pid_t child;

	if (pipe2(go, O_CLOEXEC))
		return 1;
	child = fork();
	if (!child) {
		fd = listener();
		if (write(go[1], &fd, sizeof fd) == sizeof fd)
			sleep(1);	/* until it has been fetched */
		execvp(*command, command);
		_exit(127);
	}
	if (read(go[0], &fd, sizeof fd) != sizeof fd)
		return 1;
	fd = (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, child, 0), fd, 0);
	for (;;) {
		memset(&n, 0, sizeof n);
		struct pollfd_ { int fd; short events, revents; } p = { fd, 1, 0 };
		syscall(SYS_ppoll, &p, 1, NULL, NULL, 0);
		if (p.revents & 0x10)
			break;
		if (!ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n))
			answer(fd, &n);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "supervise"))
		return supervise(argv + 2);
	if (argc == 3)
		return measure(argv[1], argv[2]);
	fprintf(stderr, "usage: sandbox_calls open|connect|blocked DIRECTORY\n");
	return 2;
}
