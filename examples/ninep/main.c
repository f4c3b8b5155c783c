/* SPDX-License-Identifier: MIT */
/* main.c - safe-ninep, a file server that speaks 9P2000.L: options, and where clients come from */
#include <err.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server.h"

#define STREAM	(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

static int listener = -1, reserve = -1;
static struct sockaddr_un name = { .sun_family = AF_UNIX };	/* to be removed in the end */

static void accept_client(void *unused)
{
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

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
	(void)unused, (void)signum;
	if (listener != -1)
		loop_fd(server_loop, listener, NULL, NULL, NULL);
	client_end_all();
}

static void listen_at(int family, const void *address, socklen_t size)
{
	const int one = 1;

	listener = socket(family, STREAM, 0);
	if (listener != -1 && (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
			       bind(listener, address, size) || listen(listener, 128))) {
		close(listener);
		listener = -1;
	}
}

static void listen_unix(const char *path)
{
	int fd = socket(AF_UNIX, STREAM, 0);
	struct stat stat;

	if (!*path || strlen(path) >= sizeof name.sun_path)
		errx(2, "unix:%s: a path has 1 to %zu characters", path, sizeof name.sun_path - 1);
	strcpy(name.sun_path, path);
	/* nobody answers at a socket that was left behind */
	if (connect(fd, (struct sockaddr *)&name, sizeof name) && errno == ECONNREFUSED &&
	    !lstat(path, &stat) && S_ISSOCK(stat.st_mode))
		unlink(path);
	close(fd);
	listen_at(AF_UNIX, &name, sizeof name);
}

/* HOST:PORT, or [HOST]:PORT; without a host any address of this one. */
static void listen_tcp(const char *address)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	const char *port = strrchr(address, ':'), *end = port;
	struct addrinfo *found, *a;
	char host[256];
	int error;

	if (!port || !port[1] || port - address >= (int)sizeof host ||
	    strtoul(port + 1, NULL, 10) > 65535)
		errx(2, "tcp:%s: not HOST:PORT", address);
	if (*address == '[' && end[-1] == ']')
		address++, end--;
	snprintf(host, sizeof host, "%.*s", (int)(end - address), address);
	error = getaddrinfo(*host ? host : NULL, port + 1, &hints, &found);
	if (error)
		errx(1, "tcp:%s: %s", address, gai_strerror(error));
	for (a = found; a && listener == -1; a = a->ai_next)
		listen_at(a->ai_family, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(found);
}

static void find_clients(const char *where)
{
	int in, out, end = 0;

	if (!strncmp(where, "unix:", 5))
		listen_unix(where + 5);
	else if (!strncmp(where, "tcp:", 4))
		listen_tcp(where + 4);
	else if (sscanf(where, "fd:%d,%d%n", &in, &out, &end) != 2 || where[end])
		errx(2, "%s: not unix:PATH, tcp:HOST:PORT or fd:IN,OUT", where);
	else if (fcntl(in, F_GETFD) == -1 || fcntl(out, F_GETFD) == -1)
		err(2, "%s", where);
	client_last = end;
	if (end ? client_new(in, out) :
	    listener == -1 || loop_fd(server_loop, listener, accept_client, NULL, NULL))
		err(1, "%s", where);
}

/* ---- the process -------------------------------------------------------- */

static int number(int option, long least, long most)
{
	char *end;
	long value = strtol(optarg, &end, 10);

	if (end == optarg || *end || value < least || value > most)
		errx(2, "-%c %s: not a number from %ld to %ld", option, optarg, least, most);
	return (int)value;
}

static void options(int argc, char **argv)
{
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, "+drt:m:")) != -1)
		if (c == 'd')
			request_trace = !setvbuf(stderr, NULL, _IOLBF, 0);
		else if (c == 'r')
			file_read_only = true;
		else if (c == 't')
			request_threads = number(c, 1, 4096);
		else if (c == 'm')
			request_msize = number(c, 4096, 16 << 20);
		else
			errx(2, "-%c: no such option, or no value", optopt);
	if (argc - optind != 2)
		errx(2, "usage: safe-ninep [-d] [-r] [-t THREADS] [-m MSIZE] DIR "
		     "unix:PATH|tcp:HOST:PORT|fd:IN,OUT");
}

static void start(void)
{
	/* what would end it, and tells it nothing: a client's signals are its own */
	static const char ignored[] = { SIGHUP, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGVTALRM,
		SIGPROF, SIGIO, SIGPWR, SIGXCPU, SIGXFSZ, 0 };
	struct rlimit limit;

	for (int n = 1; n <= SIGRTMAX; n++)
		if (n >= SIGRTMIN || strchr(ignored, n))
			signal(n, SIG_IGN);
	/* a fid is a descriptor or two, and no client gets them all */
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
	/* large messages come again; what is left of them goes with their client */
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
#endif
	umask(0);			/* modes are the clients' affair */
	if (safe_syscall_init(0) || !(server_loop = loop_new()) ||
	    loop_signal(server_loop, SIGTERM, stop, NULL) ||
	    loop_signal(server_loop, SIGINT, stop, NULL))
		err(1, "the loop");
}

int main(int argc, char **argv)
{
	int error;

	options(argc, argv);
	error = file_export(argv[optind]);
	if (error)
		errx(2, "%s: %s", argv[optind], strerror(error));
	start();
	find_clients(argv[optind + 1]);
	error = request_work();
	if (name.sun_path[0])
		unlink(name.sun_path);
	if (error)
		errx(1, "no thread: %s", strerror(error));
	return 0;
}
