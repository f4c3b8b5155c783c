/* SPDX-License-Identifier: MIT */
/*
 * main.c - safe-ninep, a file server that speaks 9P2000.L: options, and where clients
 * come from.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "connection.h"
#include "request.h"

static struct loop *loop;
static int listener = -1, reserve = -1;
static bool stopping, alone;		/* alone: one client, by descriptors that were given */
static struct sockaddr_un name;		/* of the socket that is to be removed in the end */

static void fail(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "safe-ninep: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	exit(status);
}

/* ---- clients ------------------------------------------------------------ */

static void accept_client(void *unused)
{
	const int one = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	(void)unused;
	if (fd == -1 && (errno == EMFILE || errno == ENFILE) && reserve != -1) {
		/* no descriptor for it: one is kept, to tell the client so */
		close(reserve);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd != -1)
			close(fd);
		reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return;
	}
	if (fd == -1)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connection_new(loop, fd, fd))
		close(fd);
}

static void last_is_gone(void)
{
	if (stopping || alone)
		loop_stop(loop, 0);
}

static void stop(void *unused, int signum)
{
	(void)unused;
	(void)signum;
	stopping = true;
	if (listener != -1)
		loop_fd(loop, listener, NULL, NULL, NULL);
	connection_end_all();
}

/* ---- where they come from ----------------------------------------------- */

/* Nobody answers at a socket that was left behind. */
static bool stale(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused = connect(fd, (struct sockaddr *)&name, sizeof name) == -1 &&
		errno == ECONNREFUSED;
	struct stat stat;

	close(fd);
	return refused && !lstat(name.sun_path, &stat) && S_ISSOCK(stat.st_mode);
}

static void listen_unix(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (!*path || strlen(path) >= sizeof name.sun_path)
		fail(2, "unix:%s: a path has at least one character, and at most %zu", path,
		     sizeof name.sun_path - 1);
	name.sun_family = AF_UNIX;
	strcpy(name.sun_path, path);
	if (stale())
		unlink(path);
	if (fd == -1 || bind(fd, (struct sockaddr *)&name, sizeof name)) {
		name.sun_path[0] = 0;	/* it is not ours */
		fail(1, "unix:%s: %s", path, strerror(errno));
	}
	listener = fd;
}

static int listen_at(const struct addrinfo *a)
{
	const int one = 1;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, a->ai_addr, a->ai_addrlen)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* HOST:PORT, or [HOST]:PORT; without a host any address of this one. */
static void listen_tcp(const char *address)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	char *host = strdup(address), *port = host ? strrchr(host, ':') : NULL;
	struct addrinfo *found, *a;
	int error;

	if (!port || !port[1])
		fail(2, "tcp:%s: not HOST:PORT", address);
	*port++ = 0;
	if (*host == '[' && port[-2] == ']') {
		port[-2] = 0;
		memmove(host, host + 1, strlen(host));
	}
	error = getaddrinfo(*host ? host : NULL, port, &hints, &found);
	if (error)
		fail(1, "tcp:%s: %s", address, gai_strerror(error));
	for (a = found; a && listener == -1; a = a->ai_next)
		listener = listen_at(a);
	if (listener == -1)
		fail(1, "tcp:%s: %s", address, strerror(errno));
	freeaddrinfo(found);
	free(host);
}

static void use_descriptors(const char *numbers)
{
	int in, out, end = 0;

	if (sscanf(numbers, "%d,%d%n", &in, &out, &end) != 2 || numbers[end] || in < 0 || out < 0)
		fail(2, "fd:%s: not fd:IN,OUT", numbers);
	if (fcntl(in, F_GETFD) == -1 || fcntl(out, F_GETFD) == -1)
		fail(2, "fd:%s: %s", numbers, strerror(errno));
	alone = true;
	if (connection_new(loop, in, out))
		fail(1, "fd:%s: %s", numbers, strerror(errno));
}

static void find_clients(const char *where)
{
	if (!strncmp(where, "unix:", 5))
		listen_unix(where + 5);
	else if (!strncmp(where, "tcp:", 4))
		listen_tcp(where + 4);
	else if (!strncmp(where, "fd:", 3))
		use_descriptors(where + 3);
	else
		fail(2, "%s: not unix:PATH, tcp:HOST:PORT or fd:IN,OUT", where);
	if (listener == -1)
		return;
	if (listen(listener, 128) || loop_fd(loop, listener, accept_client, NULL, NULL))
		fail(1, "%s: %s", where, strerror(errno));
}

/* ---- the process -------------------------------------------------------- */

static long number(const char *text, const char *what, long least, long most)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || *end || errno || value < least || value > most)
		fail(2, "%s: %s is a number from %ld to %ld", text, what, least, most);
	return value;
}

/* What would end it, and tells it nothing, is ignored: a client's signals are its own. */
static void set_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGVTALRM,
		SIGPROF, SIGIO, SIGPWR, SIGXCPU, SIGXFSZ };
	size_t i;
	int n;

	for (i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
	for (n = SIGRTMIN; n <= SIGRTMAX; n++)
		signal(n, SIG_IGN);
	if (safe_syscall_init(0))
		fail(1, "safe_syscall_init: %s", strerror(errno));
}

/* A fid is a descriptor or two.  No client gets them all. */
static void set_limits(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur / 4 < fids_most)
			fids_most = limit.rlim_cur / 4;
	}
	reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
#ifdef M_ARENA_MAX
	/* as many heaps as threads would keep what each of them has freed */
	mallopt(M_ARENA_MAX, 2);
#endif
}

static bool options(int argc, char **argv)
{
	bool read_only = false;
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, "+drt:m:")) != -1)
		switch (c) {
		case 'd':
			request_trace = true;
			setvbuf(stderr, NULL, _IOLBF, 0);
			break;
		case 'r':
			read_only = true;
			break;
		case 't':
			request_threads = (int)number(optarg, "-t", 1, 4096);
			break;
		case 'm':
			request_msize = (uint32_t)number(optarg, "-m", 4096, 16 << 20);
			break;
		default:
			fail(2, "-%c: no such option, or no value (usage: safe-ninep [-d] [-r] "
			     "[-t THREADS] [-m MSIZE] DIR unix:PATH|tcp:HOST:PORT|fd:IN,OUT)", optopt);
		}
	if (argc - optind != 2)
		fail(2, "usage: safe-ninep [-d] [-r] [-t THREADS] [-m MSIZE] DIR "
		     "unix:PATH|tcp:HOST:PORT|fd:IN,OUT");
	return read_only;
}

int main(int argc, char **argv)
{
	bool read_only = options(argc, argv);
	int error, status;

	set_limits();
	set_signals();
	loop = loop_new();
	if (!loop)
		fail(1, "loop_new: %s", strerror(errno));
	error = file_export(argv[optind], read_only);
	if (error)
		fail(1, "%s: %s", argv[optind], strerror(error));
	connection_last = last_is_gone;
	if (loop_signal(loop, SIGTERM, stop, NULL) || loop_signal(loop, SIGINT, stop, NULL))
		fail(1, "loop_signal: %s", strerror(errno));
	find_clients(argv[optind + 1]);
	umask(0);			/* modes are the clients' affair */
	status = loop_run(loop);
	if (name.sun_path[0])
		unlink(name.sun_path);
	return status;
}
