/* SPDX-License-Identifier: MIT */
/* What a handled signal does to a blocked call: SA_RESTART, EINTR, or part of a result. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "guest.h"

static volatile int count, feed = -1, open_fifo;

static void on_alarm(int sig)
{
	(void)sig;
	count++;
	if (feed >= 0 && write(feed, "x", 1) != 1)
		count = -1000;
	if (open_fifo)
		open_fifo = open("fifo", O_RDWR);
}

static void alarm_soon(int flags)
{
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_alarm;
	sa.sa_flags = flags;
	need(sigaction(SIGALRM, &sa, NULL) == 0);
	count = 0;
	need(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static void reads(void)
{
	int fd[2], pair[2];
	char c = 0;

	need(pipe(fd) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	alarm_soon(0);
	want_error(read(fd[0], &c, 1), EINTR);
	want(count, 1);
	feed = fd[1];
	alarm_soon(SA_RESTART);
	want(read(fd[0], &c, 1), 1);
	want(c, 'x');
	want(count, 1);
	feed = pair[1];
	alarm_soon(SA_RESTART);
	want(recv(pair[0], &c, 1, 0), 1);
	want(count, 1);
	feed = -1;
	alarm_soon(0);
	want_error(recv(pair[0], &c, 1, 0), EINTR);
	want(count, 1);
}

static void never_restarted(void)
{
	struct timespec second = { 100, 0 }, left = { 0, 0 };
	struct timeval time = { 100, 0 };
	struct pollfd p;
	fd_set set;
	int fd[2];

	need(pipe(fd) == 0);
	p.fd = fd[0];
	p.events = POLLIN;
	alarm_soon(SA_RESTART);
	want_error(poll(&p, 1, 100000), EINTR);
	want(count, 1);
	FD_ZERO(&set);
	FD_SET(fd[0], &set);
	alarm_soon(SA_RESTART);
	want_error(select(fd[0] + 1, &set, NULL, NULL, &time), EINTR);
	want(count, 1);
	alarm_soon(SA_RESTART);
	want_error(nanosleep(&second, &left), EINTR);
	check(left.tv_sec == 99 && left.tv_nsec > 0);
	want(count, 1);
	alarm_soon(SA_RESTART);
	want_error(pause(), EINTR);
	want(count, 1);
}

/* A write that had got somewhere tells how far. */
static void part_of_a_write(void)
{
	static char big[1 << 20];
	int fd[2];
	long n;

	need(pipe(fd) == 0);
	alarm_soon(SA_RESTART);
	n = write(fd[1], big, sizeof(big));
	check(n > 0 && n < (long)sizeof(big));
	want(count, 1);
}

static void waits(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		nap(150);
		_exit(5);
	}
	alarm_soon(0);
	want_error(waitpid(child, &status, 0), EINTR);
	alarm_soon(SA_RESTART);
	check(waitpid(child, &status, 0) == child);
	want(WEXITSTATUS(status), 5);
	want(count, 1);
}

static void opens(void)
{
	int fd;

	need(mkfifo("fifo", 0600) == 0);
	alarm_soon(0);
	want_error(open("fifo", O_RDONLY), EINTR);
	want(count, 1);
	open_fifo = 1;
	alarm_soon(SA_RESTART);
	fd = open("fifo", O_RDONLY);
	check(fd >= 0 && open_fifo >= 0);
	want(count, 1);
	close(fd);
	close(open_fifo);
	open_fifo = 0;
	unlink("fifo");
}

static void locks(void)
{
	struct flock lock;
	int go[2];
	pid_t child;
	char c;
	int fd = open("lock", O_RDWR | O_CREAT, 0600);

	memset(&lock, 0, sizeof(lock));
	lock.l_type = F_WRLCK;
	need(fd >= 0 && pipe(go) == 0);
	child = fork();
	if (child == 0) {
		int mine = open("lock", O_RDWR);

		fcntl(mine, F_SETLK, &lock);
		flock(mine, LOCK_EX);
		if (write(go[1], "g", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	need(read(go[0], &c, 1) == 1);
	alarm_soon(0);
	want_error(fcntl(fd, F_SETLKW, &lock), EINTR);
	alarm_soon(0);
	want_error(flock(fd, LOCK_EX), EINTR);
	want_error(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	kill(child, SIGKILL);
	want(fcntl(fd, F_SETLKW, &lock), 0);
	want(flock(fd, LOCK_EX), 0);
	waitpid(child, NULL, 0);
	unlink("lock");
}

int main(void)
{
	reads();
	never_restarted();
	part_of_a_write();
	waits();
	opens();
	locks();
	return guest_end();
}
