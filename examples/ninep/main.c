/* SPDX-License-Identifier: MIT */
/*
 * main.c - safe-ninep, a file server that speaks 9P2000.L: options, and where clients
 * come from.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "request.h"

#define STREAM	(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

static int listener = -1, reserve = -1;
static struct sockaddr_un name = { .sun_family = AF_UNIX };	/* to be removed in the end */

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
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)unused;
	if (fd == -1 && (errno == EMFILE || errno == ENFILE)) {
		/* no descriptor for it: one is kept, to tell the client so */
		close(reserve);
		close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
		reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} else if (fd != -1) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (client_new(fd, fd))
			close(fd);
	}
}

static void stop(void *unused, int signum)
{
	(void)unused;
	(void)signum;
	if (listener != -1)
		loop_fd(server_loop, listener, NULL, NULL, NULL);
	client_end_all();
}

/* ---- where they come from ----------------------------------------------- */

static void listen_at(int family, const void *address, socklen_t size)
{
	const int one = 1;

	listener = socket(family, STREAM, 0);
	if (listener == -1)
		return;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, address, size) || listen(listener, 128)) {
		close(listener);
		listener = -1;
	}
}

/* Nobody answers at a socket that was left behind. */
static bool stale(void)
{
	int fd = socket(AF_UNIX, STREAM, 0);
	bool refused = connect(fd, (struct sockaddr *)&name, sizeof name) == -1 &&
		errno == ECONNREFUSED;
	struct stat stat;

	close(fd);
	return refused && !lstat(name.sun_path, &stat) && S_ISSOCK(stat.st_mode);
}

static void listen_unix(const char *path)
{
	if (!*path || strlen(path) >= sizeof name.sun_path)
		fail(2, "unix:%s: a path has at least one character, and at most %zu", path,
		     sizeof name.sun_path - 1);
	strcpy(name.sun_path, path);
	if (stale())
		unlink(path);
	listen_at(AF_UNIX, &name, sizeof name);
	if (listener == -1)
		fail(1, "unix:%s: %s", path, strerror(errno));
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
		listen_at(a->ai_family, a->ai_addr, a->ai_addrlen);
	if (listener == -1)
		fail(1, "tcp:%s: %s", address, strerror(errno));
	freeaddrinfo(found);
	free(host);
}

static void use_descriptors(const char *numbers)
{
	int in, out, end = 0;

	if (sscanf(numbers, "%d,%d%n", &in, &out, &end) != 2 || numbers[end])
		fail(2, "fd:%s: not fd:IN,OUT", numbers);
	if (fcntl(in, F_GETFD) == -1 || fcntl(out, F_GETFD) == -1)
		fail(2, "fd:%s: %s", numbers, strerror(errno));
	client_last = true;
	if (client_new_shared(in, out))
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
	if (listener != -1 && loop_fd(server_loop, listener, accept_client, NULL, NULL))
		fail(1, "%s: %s", where, strerror(errno));
}

/* ---- the process -------------------------------------------------------- */

static int number(const char *text, const char *what, long least, long most)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < least || value > most)
		fail(2, "%s: %s is a number from %ld to %ld", text, what, least, most);
	return (int)value;
}

/* What would end it, and tells it nothing, is ignored: a client's signals are its own. */
static void start(void)
{
	static const int ignored[] = { SIGHUP, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGVTALRM,
		SIGPROF, SIGIO, SIGPWR, SIGXCPU, SIGXFSZ };
	size_t i;
	int n;

	for (i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
	for (n = SIGRTMIN; n <= SIGRTMAX; n++)
		signal(n, SIG_IGN);
	if (safe_syscall_init(0) || !(server_loop = loop_new()))
		fail(1, "the loop: %s", strerror(errno));
	if (loop_signal(server_loop, SIGTERM, stop, NULL) || loop_signal(server_loop, SIGINT, stop, NULL))
		fail(1, "loop_signal: %s", strerror(errno));
}

/* A fid is a descriptor or two.  No client gets them all. */
static void set_limits(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		if (limit.rlim_cur / 4 < fids_most)
			fids_most = limit.rlim_cur / 4;
	}
	reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
#ifdef M_ARENA_MAX
	/* as many heaps as threads would keep what each of them has freed */
	mallopt(M_ARENA_MAX, 2);
#endif
	umask(0);			/* modes are the clients' affair */
}

static void options(int argc, char **argv)
{
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, "+drt:m:")) != -1)
		if (c == 'd') {
			request_trace = true;
			setvbuf(stderr, NULL, _IOLBF, 0);
		} else if (c == 'r')
			file_read_only = true;
		else if (c == 't')
			request_threads = number(optarg, "-t", 1, 4096);
		else if (c == 'm')
			request_msize = number(optarg, "-m", 4096, 16 << 20);
		else
			fail(2, "-%c: no such option, or no value", optopt);
	if (argc - optind != 2)
		fail(2, "usage: safe-ninep [-d] [-r] [-t THREADS] [-m MSIZE] DIR "
		     "unix:PATH|tcp:HOST:PORT|fd:IN,OUT");
}

int main(int argc, char **argv)
{
	int dir, error;

	options(argc, argv);
	dir = open(argv[optind], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1)
		fail(2, "%s: %s", argv[optind], strerror(errno));
	error = file_export(dir);
	if (error)
		fail(1, "%s: %s", argv[optind], strerror(error));
	start();
	find_clients(argv[optind + 1]);
	set_limits();
	error = request_work();
	if (error)
		fail(1, "threads: %s", strerror(error));
	if (name.sun_path[0])
		unlink(name.sun_path);
	return 0;
}
