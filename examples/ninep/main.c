/* SPDX-License-Identifier: MIT */
/* main.c - safe-ninep, a file server that speaks 9P2000.L: options, and where clients come from */
#include <err.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "server.h"

#define PATIENCE	2		/* seconds that requests have to end after a SIGTERM */
#define STREAM	(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)

static int listener = -1, reserve = -1, in, out;
static struct sockaddr_un name = { .sun_family = AF_UNIX };
static struct stat made;		/* the socket, to be removed in the end */

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

static void give_up(void *unused)
{
	(void)unused;
	server_lock();
	request_stop();
	server_unlock();
}

/* What can't be interrupted, as the close of a file on a server that is gone, has some time. */
static void stop(void *unused, int signum)
{
	struct loop_timer *timer = loop_timer_new(server_loop, give_up, NULL);
	struct timespec now;

	(void)unused, (void)signum;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (timer)
		loop_timer_set(timer, (now.tv_sec + PATIENCE) * 1000000000LL + now.tv_nsec);
	if (listener != -1)
		loop_fd(server_loop, listener, NULL, NULL, NULL);
	client_end_all();
}

/* What is wrong, in one line, whatever is in the words. */
__attribute__((format(printf, 2, 3), noreturn))
static void die(int status, const char *format, ...)
{
	char line[512];
	va_list words;

	va_start(words, format);
	vsnprintf(line, sizeof line, format, words);
	va_end(words);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	errx(status, "%s", line);
}

/* Digits and nothing else, up to @end. */
static long number(const char *text, const char *end, long least, long most)
{
	const size_t digits = strspn(text, "0123456789");
	const long value = digits < 11 ? strtol(text, NULL, 10) : -1;

	return digits && text + digits == end && value >= least && value <= most ? value : -1;
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

	if (!*path || strlen(path) >= sizeof name.sun_path)
		die(2, "unix:%s: a path has 1 to %zu characters", path, sizeof name.sun_path - 1);
	strcpy(name.sun_path, path);
	/* nobody answers at a socket that was left behind */
	if (connect(fd, (struct sockaddr *)&name, sizeof name) && errno == ECONNREFUSED &&
	    !lstat(path, &made) && S_ISSOCK(made.st_mode))
		unlink(path);
	close(fd);
	listen_at(AF_UNIX, &name, sizeof name);
	if (listener != -1 && lstat(path, &made))
		made.st_ino = 0;
}

/* HOST:PORT, or [HOST]:PORT; without a host any address of this one. */
static void listen_tcp(const char *address)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	const char *host = address, *end = strrchr(address, ':'), *port = end ? end + 1 : "";
	struct addrinfo *found, *a;
	char text[256];
	int error;

	if (number(port, strchr(port, 0), 1, 65535) == -1 || end - host >= (int)sizeof text)
		die(2, "tcp:%s: not HOST:PORT", address);
	if ((*host == '[') != (end > host && end[-1] == ']'))
		die(2, "tcp:%s: half a bracket", address);
	if (*host == '[')
		host++, end--;
	snprintf(text, sizeof text, "%.*s", (int)(end - host), host);
	error = getaddrinfo(*text ? text : NULL, port, &hints, &found);
	if (error)
		die(1, "tcp:%s: %s", address, gai_strerror(error));
	for (a = found; a && listener == -1; a = a->ai_next)
		listen_at(a->ai_family, a->ai_addr, a->ai_addrlen);
	freeaddrinfo(found);
}

/* Of fd:IN,OUT one: open, and not only for the other direction. */
static int descriptor(const char *where, const char *text, const char *end, int mode)
{
	const int fd = (int)number(text, end, 0, INT_MAX);
	const int flags = fd == -1 ? -1 : fcntl(fd, F_GETFL);

	if (fd == -1)
		die(2, "%s: not fd:IN,OUT", where);
	if (flags == -1 || ((flags & O_ACCMODE) != mode && (flags & O_ACCMODE) != O_RDWR))
		die(2, "%s: not open, or not to be read from and written to", where);
	return fd;
}

static void find_clients(const char *where)
{
	int failed;

	if (!strncmp(where, "unix:", 5))
		listen_unix(where + 5);
	else if (!client_last)
		listen_tcp(where + 4);
	failed = client_last ? client_new(in, out) : listener == -1 ||
		loop_fd(server_loop, listener, accept_client, NULL, NULL);
	if (failed)
		die(1, "%s: %s", where, strerror(errno));
}

/* ---- the process -------------------------------------------------------- */

static int value(int option, long least, long most)
{
	const long n = number(optarg, strchr(optarg, 0), least, most);

	if (n == -1)
		die(2, "-%c %s: not a number from %ld to %ld", option, optarg, least, most);
	return (int)n;
}

static void options(int argc, char **argv)
{
	const char *where, *comma;
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, "+drt:m:")) != -1)
		if (c == 'd')
			request_trace = !setvbuf(stderr, NULL, _IOLBF, 0);
		else if (c == 'r')
			file_read_only = true;
		else if (c == 't')
			request_threads = value(c, 1, 4096);
		else if (c == 'm')
			request_msize = value(c, 4096, 16 << 20);
		else
			die(2, "-%c: no such option, or no value", optopt);
	if (argc - optind != 2)
		die(2, "usage: safe-ninep [-d] [-r] [-t THREADS] [-m MSIZE] DIR "
		    "unix:PATH|tcp:HOST:PORT|fd:IN,OUT");
	/* before there are descriptors of the server's own */
	where = argv[optind + 1];
	client_last = !strncmp(where, "fd:", 3);
	if (client_last) {
		comma = strchr(where, ',');
		in = descriptor(where, where + 3, comma, O_RDONLY);
		out = descriptor(where, comma + 1, strchr(where, 0), O_WRONLY);
	} else if (strncmp(where, "unix:", 5) && strncmp(where, "tcp:", 4))
		die(2, "%s: not unix:PATH, tcp:HOST:PORT or fd:IN,OUT", where);
}

static void start(void)
{
	/* ignored is what would end it, but for errors and SIGQUIT, and until it knows of them TERM
	   and INT */
	static const char kept[] = { SIGTERM, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS,
		SIGFPE, SIGSEGV, SIGSYS, SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG,
		SIGWINCH, 0 };
	struct rlimit limit;

	for (int n = 1; n <= SIGRTMAX; n++)
		if (!strchr(kept, n))
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
	if (safe_syscall_init(0) || !(server_loop = loop_new()) ||
	    client_start() || loop_signal(server_loop, SIGTERM, stop, NULL) ||
	    loop_signal(server_loop, SIGINT, stop, NULL))
		die(1, "the loop: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct stat now;
	int error;

	options(argc, argv);
	error = file_export(argv[optind]);
	if (error)
		die(2, "%s: %s", argv[optind], strerror(error));
	start();
	find_clients(argv[optind + 1]);
	umask(0);			/* modes are the clients' affair, but for the socket's */
	error = request_work();
	if (made.st_ino && !lstat(name.sun_path, &now) && now.st_ino == made.st_ino &&
	    now.st_dev == made.st_dev)
		unlink(name.sun_path);
	if (error)
		die(1, "no thread: %s", strerror(error));
	return 0;
}
