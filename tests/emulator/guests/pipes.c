/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs: capacity, ends, SIGPIPE, a chain of processes. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "guest.h"

static void ends(void)
{
	char buffer[8];
	int fd[2], status = 0;
	pid_t child;

	want(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
	want(fcntl(fd[0], F_GETFD), FD_CLOEXEC);
	want_error(read(fd[0], buffer, 1), EAGAIN);
	want(write(fd[1], "abcdef", 6), 6);
	want(read(fd[0], buffer, 4), 4);
	want(read(fd[0], buffer, 8), 2);
	want_error(lseek(fd[0], 0, SEEK_CUR), ESPIPE);
	close(fd[1]);
	want(read(fd[0], buffer, 8), 0);
	close(fd[0]);
	want_error(pipe2(fd, 12345), EINVAL);

	need(pipe(fd) == 0);
	close(fd[0]);
	child = fork();
	if (child == 0) {
		signal(SIGPIPE, SIG_DFL);
		if (write(fd[1], "x", 1) == 1)
			_exit(1);
		_exit(2);
	}
	waitpid(child, &status, 0);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
	signal(SIGPIPE, SIG_IGN);
	want_error(write(fd[1], "x", 1), EPIPE);
	close(fd[1]);
}

static void capacity(void)
{
	static char block[4096];
	long sum = 0;
	int fd[2];

	need(pipe2(fd, O_NONBLOCK) == 0);
	while (write(fd[1], block, sizeof(block)) > 0)
		sum += sizeof(block);
	want(errno, EAGAIN);
	check(sum >= 4096 && sum == fcntl(fd[1], F_GETPIPE_SZ));
	close(fd[0]);
	close(fd[1]);
}

static void through(int in, int out)
{
	unsigned char buffer[1000];
	long n, i;

	while ((n = read(in, buffer, sizeof(buffer))) > 0) {
		for (i = 0; i < n; i++)
			buffer[i] += 1;
		if (write(out, buffer, n) != n)
			_exit(1);
	}
	_exit(n < 0);
}

/* Each adds one to every byte. */
static void chain(void)
{
	static unsigned char data[200000];
	int first[2], in, next[2], i, status, bad = 0;
	size_t got = 0, wrong = 0;

	need(pipe(first) == 0);
	in = first[0];
	for (i = 0; i < 4; i++) {
		need(pipe(next) == 0);
		if (fork() == 0) {
			close(first[1]);
			close(next[0]);
			through(in, next[1]);
		}
		close(in);
		close(next[1]);
		in = next[0];
	}
	if (fork() == 0) {
		close(in);
		memset(data, 'a', sizeof(data));
		_exit(write(first[1], data, sizeof(data)) != (long)sizeof(data));
	}
	close(first[1]);
	for (;;) {
		long n = read(in, data + got, sizeof(data) - got);

		if (n <= 0)
			break;
		got += n;
	}
	want(got, sizeof(data));
	for (got = 0; got < sizeof(data); got++)
		wrong += data[got] != 'e';
	want(wrong, 0);
	for (i = 0; i < 5; i++)
		bad += wait(&status) < 0 || status;
	want(bad, 0);
}

static void fifos(void)
{
	struct stat st;
	char buffer[4];
	int fd;

	want(mkfifo("fifo", 0600), 0);
	want(stat("fifo", &st), 0);
	check(S_ISFIFO(st.st_mode));
	want_error(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	if (fork() == 0) {
		nap(20);
		fd = open("fifo", O_WRONLY);
		_exit(write(fd, "via", 3) != 3);
	}
	fd = open("fifo", O_RDONLY);
	check(fd >= 0);
	want(read(fd, buffer, 4), 3);
	want(read(fd, buffer, 4), 0);
	close(fd);
	wait(NULL);
	want(unlink("fifo"), 0);
}

int main(void)
{
	ends();
	capacity();
	chain();
	fifos();
	return guest_end();
}
