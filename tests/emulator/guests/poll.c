/* SPDX-License-Identifier: MIT */
/* select, pselect, poll, ppoll, epoll. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "guest.h"

static volatile int count;

static void on_signal(int sig)
{
	(void)sig;
	count++;
}

/* By the call of C libraries of before 64-bit times: is the rest of 100 s told? */
static int is_rest_told(int fd, fd_set *in)
{
#ifdef __mips__
	int32_t time[2] = { 100, 0 };

	return syscall(SYS__newselect, fd + 1, in, NULL, NULL, time) == 1 &&
	       time[0] >= 1 && time[0] <= 100 && time[1] >= 0 && time[1] < 1000000;
#else
	(void)fd, (void)in;
	return 1;
#endif
}

static void selects(void)
{
	struct timeval zero = { 0, 0 }, little = { 0, 30000 }, much = { 100, 0 };
	struct timespec t = { 0, 0 };
	fd_set in, out;
	int fd[2], high;
	long long began;

	need(pipe(fd) == 0);
	high = fcntl(fd[0], F_DUPFD, 70);
	need(high == 70);
	FD_ZERO(&in);
	FD_SET(high, &in);
	want(select(high + 1, &in, NULL, NULL, &zero), 0);
	check(!FD_ISSET(high, &in));
	FD_SET(high, &in);
	began = now_ms();
	want(select(high + 1, &in, NULL, NULL, &little), 0);
	check(now_ms() - began >= 29);
	need(write(fd[1], "abc", 3) == 3);
	FD_SET(high, &in);
	FD_ZERO(&out);
	FD_SET(fd[1], &out);
	want(select(high + 1, &in, &out, NULL, NULL), 2);
	check(FD_ISSET(high, &in) && FD_ISSET(fd[1], &out));
	check(!FD_ISSET(fd[0], &in) && !FD_ISSET(high, &out));
	FD_SET(high, &in);
	want(select(high + 1, &in, NULL, NULL, &much), 1);
	check(is_rest_told(high, &in));
	check(much.tv_sec >= 1 && much.tv_sec <= 100 && much.tv_usec < 1000000);
	FD_ZERO(&out);
	FD_SET(fd[1], &out);
	want(pselect(fd[1] + 1, NULL, &out, NULL, &t, NULL), 1);
	close(high);
	FD_ZERO(&in);
	FD_SET(high, &in);
	want_error(select(high + 1, &in, NULL, NULL, &zero), EBADF);
	close(fd[0]);
	close(fd[1]);
}

static void polls(void)
{
	struct timespec zero = { 0, 0 };
	struct pollfd p[3];
	int fd[2];

	need(pipe(fd) == 0);
	memset(p, 0, sizeof(p));
	p[0].fd = fd[0];
	p[0].events = POLLIN;
	p[1].fd = fd[1];
	p[1].events = POLLOUT;
	p[2].fd = -1;
	want(poll(p, 1, 0), 0);
	want(poll(p, 1, 5), 0);
	want(poll(p, 3, -1), 1);
	want(p[0].revents, 0);
	want(p[1].revents, POLLOUT);
	need(write(fd[1], "abc", 3) == 3);
	want(ppoll(p, 2, &zero, NULL), 2);
	want(p[0].revents, POLLIN);
	close(fd[1]);
	want(poll(p, 2, 0), 2);
	want(p[0].revents, POLLIN | POLLHUP);
	want(p[1].revents, POLLNVAL);
	close(fd[0]);
}

static void install(int sig)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_RESTART;
	need(sigaction(sig, &sa, NULL) == 0);
	count = 0;
}

/* The mask is of the call alone: what was pending comes in it. */
static void with_masks(void)
{
	struct timespec t = { 100, 0 };
	struct epoll_event event;
	sigset_t usr1, none, now;
	int e = epoll_create1(0);

	need(e >= 0);
	install(SIGUSR1);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	need(sigprocmask(SIG_SETMASK, &usr1, NULL) == 0);
	raise(SIGUSR1);
	want(count, 0);
	want_error(ppoll(NULL, 0, &t, &none), EINTR);
	want(count, 1);
	raise(SIGUSR1);
	want_error(pselect(0, NULL, NULL, NULL, &t, &none), EINTR);
	want(count, 2);
	raise(SIGUSR1);
	want_error(epoll_pwait(e, &event, 1, 100000, &none), EINTR);
	want(count, 3);
	need(sigprocmask(SIG_SETMASK, NULL, &now) == 0);
	want(sigismember(&now, SIGUSR1), 1);
	raise(SIGUSR1);
	t.tv_sec = 0;
	want(ppoll(NULL, 0, &t, &usr1), 0);
	want(count, 3);
	need(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
	want(count, 4);
	close(e);
}

static void epolls(void)
{
	struct epoll_event event, events[4];
	int pair[2], e, i, n;

	want_error(epoll_create1(12345), EINVAL);
	e = epoll_create1(EPOLL_CLOEXEC);
	need(e >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	want(fcntl(e, F_GETFD), FD_CLOEXEC);
	memset(&event, 0, sizeof(event));
	event.events = EPOLLIN;
	event.data.u64 = 0x1122334455667788ULL;
	want(epoll_ctl(e, EPOLL_CTL_ADD, pair[0], &event), 0);
	want_error(epoll_ctl(e, EPOLL_CTL_ADD, pair[0], &event), EEXIST);
	event.events = EPOLLIN | EPOLLOUT | EPOLLET;
	event.data.u64 = 0x99aabbccddeeff00ULL;
	want(epoll_ctl(e, EPOLL_CTL_ADD, pair[1], &event), 0);
	n = epoll_wait(e, events, 4, 0);
	want(n, 1);
	want(events[0].events, EPOLLOUT);
	check(events[0].data.u64 == 0x99aabbccddeeff00ULL);
	want(epoll_wait(e, events, 4, 0), 0);
	need(write(pair[1], "x", 1) == 1);
	n = epoll_wait(e, events, 4, -1);
	check(n >= 1);
	for (i = 0; i < n; i++)
		if (events[i].data.u64 == 0x1122334455667788ULL)
			want(events[i].events, EPOLLIN);
	event.events = EPOLLIN | EPOLLONESHOT;
	event.data.u32 = 7;
	want(epoll_ctl(e, EPOLL_CTL_MOD, pair[0], &event), 0);
	want(epoll_ctl(e, EPOLL_CTL_DEL, pair[1], NULL), 0);
	want(epoll_wait(e, events, 4, 1000), 1);
	want(events[0].data.u32, 7);
	want(epoll_wait(e, events, 4, 5), 0);
	want_error(epoll_ctl(e, EPOLL_CTL_DEL, pair[1], NULL), ENOENT);
	want_error(epoll_wait(e, events, 0, 0), EINVAL);
	want_error(epoll_wait(pair[0], events, 1, 0), EINVAL);
	event.events = EPOLLIN;
	want(epoll_ctl(e, EPOLL_CTL_MOD, pair[0], &event), 0);
	close(pair[1]);
	want(epoll_wait(e, events, 4, 1000), 1);
	want(events[0].events, EPOLLIN | EPOLLHUP);
}

/* Waiting is what they are for. */
static void of_another_process(void)
{
	struct pollfd p;
	fd_set in;
	int fd[2], i;
	char c;

	need(pipe(fd) == 0);
	if (fork() == 0) {
		for (i = 0; i < 3; i++) {
			nap(20);
			if (write(fd[1], "x", 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	p.fd = fd[0];
	p.events = POLLIN;
	want(poll(&p, 1, -1), 1);
	need(read(fd[0], &c, 1) == 1);
	FD_ZERO(&in);
	FD_SET(fd[0], &in);
	want(select(fd[0] + 1, &in, NULL, NULL, NULL), 1);
	need(read(fd[0], &c, 1) == 1);
	close(fd[1]);
	want(read(fd[0], &c, 1), 1);
	want(poll(&p, 1, -1), 1);
	want(p.revents, POLLHUP);
	wait(NULL);
}

int main(void)
{
	selects();
	polls();
	with_masks();
	epolls();
	of_another_process();
	return guest_end();
}
