/* SPDX-License-Identifier: MIT */
/*
 * httpd.c - a web server: a task for each connection, which reads, looks, writes and waits as if
 * it were alone.  Of locks there are none: a task may be put aside with one.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "green.h"
#include "request.h"

#ifndef RESOLVE_CACHED
# define RESOLVE_CACHED 32
#endif

enum { PIECE = 32 << 10, MOST = 65536 };

static const char usage[] =
	"usage: green-httpd [-t THREADS] [-a ADDRESS] [-p PORT] [-k SECONDS] DIR";
static int dir, listener, seconds = 30;
static atomic_int stopping;
static green_channel *room;		/* an item for each connection: no more than it holds */
static green *_Atomic acceptor;

struct connection {
	int socket;
	size_t filled;			/* of the buffer */
	char buffer[HEADER + 1];
	struct request q;
	size_t length;			/* of what there is to be sent */
	char text[PIECE];
};

static void __attribute__((noreturn, format(printf, 2, 3)))
fail(int status, const char *format, ...)
{
	va_list ap;

	fputs("green-httpd: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

/* ---- replies ---------------------------------------------------------------------------- */

static const char *type_of(const char *name)
{
	static const char *const types[][2] = {
		{ "html", "text/html; charset=utf-8" }, { "htm", "text/html; charset=utf-8" },
		{ "txt", "text/plain; charset=utf-8" }, { "css", "text/css; charset=utf-8" },
		{ "js", "text/javascript; charset=utf-8" }, { "json", "application/json" },
		{ "svg", "image/svg+xml" }, { "png", "image/png" }, { "jpg", "image/jpeg" },
		{ "jpeg", "image/jpeg" }, { "gif", "image/gif" }, { "pdf", "application/pdf" },
	};
	const char *dot = strrchr(name, '.');
	size_t i;

	for (i = 0; dot && i < sizeof types / sizeof *types; i++)
		if (!strcasecmp(dot + 1, types[i][0]))
			return types[i][1];
	return "application/octet-stream";
}

static void date(char *text, size_t size, time_t time)
{
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(text, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static int is_unchanged(time_t changed, const char *since)
{
	struct tm tm;

	return since && strptime(since, "%a, %d %b %Y %T GMT", &tm) && changed <= timegm(&tm);
}

static void __attribute__((format(printf, 2, 3))) add(struct connection *c, const char *format, ...)
{
	size_t left = sizeof c->text - c->length;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(c->text + c->length, left, format, ap);
	va_end(ap);
	c->length += n > 0 && (size_t)n < left ? (size_t)n : 0;
}

static void begin(struct connection *c, const char *status)
{
	char now[40];

	c->length = 0;
	date(now, sizeof now, time(NULL));
	add(c, "HTTP/1.1 %s\r\nDate: %s\r\nServer: green-httpd\r\n%s", status, now,
	    !c->q.keep_alive ? "Connection: close\r\n" :
	    c->q.is_old ? "Connection: keep-alive\r\n" : "");
}

/* Returns whether all was sent.  Who has read something of what is under way has more time. */
static int flush(struct connection *c)
{
	size_t all = c->length, done;
	int queued = 0, left;
	long n;

	c->length = 0;
	for (done = 0; done < all; done += n > 0 ? (size_t)n : 0) {
		ioctl(c->socket, SIOCOUTQ, &queued);
		n = green_syscall(SYS_sendto, c->socket, c->text + done, all - done, MSG_NOSIGNAL,
				  NULL, 0L);
		if (n <= 0 && (errno != EAGAIN || ioctl(c->socket, SIOCOUTQ, &left) ||
			       left >= queued))
			return 0;
	}
	return 1;
}

/* A status, and maybe a field. */
static int say(struct connection *c, const char *status)
{
	int n = (int)strcspn(status, "\r");

	begin(c, status);
	add(c, "Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n", n + 1);
	if (!c->q.is_head)
		add(c, "%.*s\n", n, status);
	return flush(c);
}

/* Says what is wrong, and that nothing more is read: where the next request begins is unknown. */
static int refuse(struct connection *c, const char *status)
{
	c->q.keep_alive = 0;
	say(c, status);
	return 0;
}

/* What the socket takes now, and not by way of our memory. */
static long send_now(const struct connection *c, int file, long long n)
{
	long sent;

	fcntl(c->socket, F_SETFL, O_NONBLOCK);		/* nobody shares it */
	sent = green_syscall(SYS_sendfile, c->socket, file, NULL,
			     (size_t)(n < 1 << 20 ? n : 1 << 20));
	fcntl(c->socket, F_SETFL, 0);
	return sent;
}

static int reply_file(struct connection *c, int file, const struct stat *st)
{
	const struct request *q = &c->q;
	long long from, to, size = st->st_size;
	char changed[40], line[80];
	int is_part;
	long n;

	date(changed, sizeof changed, st->st_mtime);
	if (is_unchanged(st->st_mtime, q->since)) {
		begin(c, "304 Not Modified");
		add(c, "Last-Modified: %s\r\n\r\n", changed);
		return flush(c);
	}
	is_part = request_range(q->if_range && strcmp(q->if_range, changed) != 0 ? NULL : q->range,
				size, &from, &to);
	if (is_part < 0) {
		snprintf(line, sizeof line,
			 "416 Range Not Satisfiable\r\nContent-Range: bytes */%lld", size);
		return say(c, line);
	}
	begin(c, is_part ? "206 Partial Content" : "200 OK");
	add(c, "Content-Type: %s\r\nContent-Length: %lld\r\nLast-Modified: %s\r\n"
	    "Accept-Ranges: bytes\r\n", type_of(q->name), to - from + 1, changed);
	if (is_part)
		add(c, "Content-Range: bytes %lld-%lld/%lld\r\n", from, to, size);
	add(c, "\r\n");
	if (q->is_head)
		return flush(c);
	if (from && lseek(file, (off_t)from, SEEK_SET) == -1)
		return 0;
	for (; from <= to; from += n) {
		n = c->length ? 0 : send_now(c, file, to - from + 1);
		if (n > 0)
			continue;
		n = (long)(sizeof c->text - c->length);
		n = to - from + 1 < n ? (long)(to - from + 1) : n;
		n = green_syscall(SYS_read, file, c->text + c->length, (size_t)n);
		if (n <= 0)
			return 0;		/* it has become shorter */
		c->length += (size_t)n;
		if (from + n <= to && !flush(c))
			return 0;
	}
	return flush(c);
}

/* ---- requests --------------------------------------------------------------- */

/* Below the directory, wherever links and ".." lead; at once, if all is in memory. */
static int open_below(const char *name)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED };
	long file = syscall(SYS_openat2, dir, name, &how, sizeof how);

	if (file != -1 || (errno != EAGAIN && errno != EINVAL))
		return (int)file;
	how.resolve &= ~(uint64_t)RESOLVE_CACHED;
	return (int)green_syscall(SYS_openat2, dir, name, &how, sizeof how);
}

static const char *status_of(int error)
{
	switch (error) {
	case ENOENT: case ENOTDIR: case EXDEV: case ELOOP: case ENAMETOOLONG: case ENXIO:
		return "404 Not Found";
	case EACCES:
		return "403 Forbidden";
	case EMFILE: case ENFILE: case ENOMEM:
		return "503 Service Unavailable";
	default:
		return "500 Internal Server Error";
	}
}

static int serve_path(struct connection *c)
{
	struct request *q = &c->q;
	int file = open_below(q->name), result;
	char line[HEADER + 64];
	struct stat st;

	if (file == -1)
		return say(c, status_of(errno));
	if (fstat(file, &st)) {
		result = say(c, status_of(errno));
	} else if (S_ISDIR(st.st_mode)) {
		snprintf(line, sizeof line, "301 Moved Permanently\r\nLocation: /%s/%s%s", q->path,
			 q->query ? "?" : "", q->query ? q->query : "");
		result = say(c, line);
	} else if (!S_ISREG(st.st_mode)) {
		result = say(c, "403 Forbidden");
	} else {
		result = reply_file(c, file, &st);
	}
	close(file);
	return result;
}

static long long after(long long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000 + ms;
}

/* Behind what is in the buffer. */
static long receive(struct connection *c, long long until)
{
	long long left = until - after(0);
	struct timeval limit = { left > 0 ? (time_t)(left / 1000) : 0,
				 left > 0 ? (suseconds_t)(left % 1000 * 1000 + 1) : 1 };

	setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	return green_syscall(SYS_recvfrom, c->socket, c->buffer + c->filled, HEADER - c->filled, 0,
			     NULL, NULL);
}

/* A time for all of a header, however slowly it comes.  Its length; or 0: the end. */
static size_t read_header(struct connection *c)
{
	long long until = after(seconds * 1000LL);
	size_t length;
	long n;

	c->q.is_head = c->q.is_old = 0;		/* of the one before */
	while (!(length = request_length(c->buffer, c->filled))) {
		if (c->filled == HEADER)
			return (size_t)refuse(c, "431 Request Header Fields Too Large");
		n = receive(c, until);
		if (n <= 0 && c->filled && n && errno == EAGAIN)
			return (size_t)refuse(c, "408 Request Timeout");
		if (n <= 0)
			return 0;
		if (!c->filled)
			until = after(seconds * 1000LL);
		c->filled += (size_t)n;
	}
	return length;
}

/* Returns whether the connection goes on. */
static int serve_request(struct connection *c)
{
	size_t length = read_header(c);
	char next = c->buffer[length];
	const char *error;

	if (!length)
		return 0;
	c->buffer[length] = 0;
	error = request_parse(&c->q, c->buffer, length);
	if (error)
		return refuse(c, error);
	if (atomic_load(&stopping))
		c->q.keep_alive = 0;
	if (!serve_path(c) || !c->q.keep_alive)
		return 0;
	c->buffer[length] = next;
	c->filled -= length;
	memmove(c->buffer, c->buffer + length, c->filled);
	return 1;
}

static void serve(void *arg)
{
	struct timeval limit = { seconds, 0 };
	struct connection c;
	long long until;
	int one = 1;
	char item;

	c.socket = (int)(intptr_t)arg;
	c.filled = 0;
	c.q.keep_alive = c.q.is_head = c.q.is_old = 0;
	setsockopt(c.socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(c.socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	while (serve_request(&c))
		;
	/* what it still sends is thrown away, for a while, so that it can read the reply */
	shutdown(c.socket, SHUT_WR);
	until = after(c.filled ? 1000 : 0);
	for (c.filled = 0; receive(&c, until) > 0 && after(0) < until; )
		;
	close(c.socket);
	green_receive(room, &item);
}

/* ---- the server ----------------------------------------------------------------- */

/* It may come before there is a task to be cancelled. */
static void on_term(int signum)
{
	(void)signum;
	atomic_store(&stopping, 1);
	if (atomic_load(&acceptor))
		green_cancel(acceptor);
}

static void accept_all(void *unused)
{
	struct pollfd p = { listener, POLLIN, 0 };
	char item = 0;
	green *task;
	long s;
	int i;

	(void)unused;
	while (!green_cancelled() && !green_send(room, &item)) {
		while ((s = green_syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
			if (green_cancelled())
				break;
			if (errno == EAGAIN)
				green_syscall(SYS_ppoll, &p, 1L, NULL, NULL, 0L);
			else if (errno != ECONNABORTED)
				green_sleep(100000000);		/* no descriptor, or no memory */
		}
		if (s < 0)
			break;
		task = green_spawn(serve, (void *)(intptr_t)s);
		if (task) {
			green_detach(task);
		} else {			/* no memory */
			close((int)s);
			green_receive(room, &item);
		}
	}
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	close(listener);
	for (i = 3; i < MOST; i++)
		shutdown(i, SHUT_RD);	/* who waits for a request gets none */
}

static void run(void *unused)
{
	acceptor = green_spawn(accept_all, unused);
	if (!acceptor)
		fail(1, "%s", strerror(errno));
	if (atomic_load(&stopping))
		green_cancel(acceptor);
	green_join(acceptor);
}

static long number(const char *text, long least, long most, const char *what)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < least || n > most)
		fail(2, "%s is no %s", text, what);
	return n;
}

static void listen_at(const char *address, const char *port)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM }, *found;
	int error = getaddrinfo(address, port, &hints, &found), one = 1;

	if (error)
		fail(2, "%s: %s", address, gai_strerror(error));
	listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener != -1)
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (listener == -1 || bind(listener, found->ai_addr, found->ai_addrlen) ||
	    listen(listener, 4096))
		fail(1, "%s port %s: %s", address, port, strerror(errno));
	freeaddrinfo(found);
}

int main(int argc, char **argv)
{
	const char *address = "127.0.0.1", *port = "8080";
	struct sigaction sa = { .sa_handler = on_term, .sa_flags = SA_RESTART };
	struct rlimit limit;
	int threads = 0, option;
	long most;

	opterr = 0;
	while ((option = getopt(argc, argv, "t:a:p:k:")) != -1) {
		if (option == 't')
			threads = (int)number(optarg, 0, 1024, "number of threads");
		else if (option == 'a')
			address = optarg;
		else if (option == 'p')
			number(port = optarg, 0, 65535, "port");
		else if (option == 'k')
			seconds = (int)number(optarg, 1, 1000000, "number of seconds");
		else
			fail(2, usage);
	}
	if (argc - optind != 1)
		fail(2, usage);
	dir = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1)
		fail(2, "%s: %s", argv[optind], strerror(errno));
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	listen_at(address, port);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < MOST ? limit.rlim_max : MOST;
	setrlimit(RLIMIT_NOFILE, &limit);
	signal(SIGPIPE, SIG_IGN);
	most = ((long)limit.rlim_cur - listener) / 4 * 3;	/* the others are for files */
	room = green_channel_new(1, most > 0 ? (size_t)most : 1);
	if (!room || green_run(threads, run, NULL))
		fail(1, "%s", strerror(errno));
	green_channel_free(room);
	return 0;
}
