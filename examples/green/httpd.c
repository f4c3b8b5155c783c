/* SPDX-License-Identifier: MIT */
/*
 * httpd.c - a web server: a task for each connection, which reads, looks, writes and waits as if
 * it were alone.  Of locks there are none: a task may be put aside with one.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "green.h"

#ifndef RESOLVE_CACHED
# define RESOLVE_CACHED 32
#endif

enum { HEADER = 8192, SMALL = 16 << 10, MOST = 65536 };

static int dir, listener, seconds = 30;
static atomic_int stopping;
static atomic_char is_open[MOST];	/* connections, by descriptor */
static green_channel *room;		/* an item for each connection: no more than it holds */
static green *_Atomic acceptor;

struct request {
	int socket;
	size_t filled, used;		/* of the buffer; used: by the request's header */
	char buffer[HEADER + 1];
	int is_head, keep_alive;
	char *path, *query;
	const char *range, *if_range, *since;
};

struct reply {
	size_t length;
	char text[SMALL + 1024];
};

/* ---- small things --------------------------------------------------------------------- */

static void __attribute__((noreturn, format(printf, 2, 3))) fail(int status, const char *format, ...)
{
	va_list ap;

	fputs("green-httpd: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

static void limit_receiving(int s, long long ms)
{
	struct timeval limit = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000 + 1) };

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void date(char *text, size_t size, time_t time)
{
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(text, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static const char *type_of(const char *path)
{
	static const char *const types[][2] = {
		{ "html", "text/html; charset=utf-8" }, { "htm", "text/html; charset=utf-8" },
		{ "txt", "text/plain; charset=utf-8" }, { "css", "text/css; charset=utf-8" },
		{ "js", "text/javascript; charset=utf-8" }, { "json", "application/json" },
		{ "svg", "image/svg+xml" }, { "png", "image/png" }, { "jpg", "image/jpeg" },
		{ "jpeg", "image/jpeg" }, { "gif", "image/gif" }, { "pdf", "application/pdf" },
	};
	const char *dot = strrchr(path, '.');
	size_t i;

	for (i = 0; dot && i < sizeof types / sizeof *types; i++)
		if (!strcasecmp(dot + 1, types[i][0]))
			return types[i][1];
	return "application/octet-stream";
}

/* ---- replies ---------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3))) add(struct reply *r, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(r->text + r->length, sizeof r->text - r->length, format, ap);
	va_end(ap);
	r->length += n > 0 && (size_t)n < sizeof r->text - r->length ? (size_t)n : 0;
}

static void begin(struct reply *r, const struct request *q, const char *status)
{
	char now[40];

	r->length = 0;
	date(now, sizeof now, time(NULL));
	add(r, "HTTP/1.1 %s\r\nDate: %s\r\nServer: green-httpd\r\n%s", status, now,
	    q->keep_alive ? "" : "Connection: close\r\n");
}

/* Returns whether all was sent. */
static int send_all(const struct request *q, const char *data, size_t n, int flags)
{
	return green_syscall(SYS_sendto, q->socket, data, n, flags | MSG_NOSIGNAL, NULL, 0L) ==
		(long)n;
}

static int say(struct request *q, const char *status, const char *header)
{
	struct reply r;

	begin(&r, q, status);
	add(&r, "%sContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", header,
	    strlen(status) + 1);
	if (!q->is_head)
		add(&r, "%s\n", status);
	return send_all(q, r.text, r.length, 0);
}

/* Says what is wrong, and that nothing more is read: where the next request begins is unknown. */
static int refuse(struct request *q, const char *status, const char *header)
{
	q->keep_alive = 0;
	return say(q, status, header);
}

/* The descriptor is the server's own, so it may be told not to block. */
static int send_file(const struct request *q, int file, off_t from, off_t n)
{
	struct pollfd p = { q->socket, POLLOUT, 0 };
	struct timespec limit = { seconds, 0 };
	long sent = 0;

	fcntl(q->socket, F_SETFL, O_NONBLOCK);
	while (n > 0) {
		sent = green_syscall(SYS_sendfile, q->socket, file, &from,
				     (size_t)(n < 1 << 20 ? n : 1 << 20));
		if (sent > 0)
			n -= sent;
		else if (sent == 0 || errno != EAGAIN ||
			 green_syscall(SYS_ppoll, &p, 1L, &limit, NULL, 8L) != 1)
			break;
		limit.tv_sec = seconds;
		limit.tv_nsec = 0;
	}
	fcntl(q->socket, F_SETFL, 0);
	return n == 0;
}

/* 0: as a whole; 1: from..to of it; -1: there is no such part. */
static int find_range(const struct request *q, off_t size, const char *changed, off_t *from,
		      off_t *to)
{
	const char *p = q->range;
	long long first, last = -1;
	char *end;

	*from = 0;
	*to = size - 1;
	if (!p || strncasecmp(p, "bytes=", 6) != 0 ||
	    (q->if_range && strcmp(q->if_range, changed) != 0))
		return 0;
	p += 6;
	errno = 0;
	if (*p == '-' && isdigit((unsigned char)p[1])) {
		first = strtoll(p + 1, &end, 10);
		if (errno || *end)
			return errno == ERANGE && !*end;
		*from = first < size ? size - first : 0;
		return first && size ? 1 : -1;
	}
	if (!isdigit((unsigned char)*p))
		return 0;
	first = strtoll(p, &end, 10);
	if (*end++ != '-')
		return 0;
	if (isdigit((unsigned char)*end)) {
		last = strtoll(end, &end, 10);
		if (last < first)
			return 0;
	}
	if (*end)
		return 0;
	if (first >= size)
		return -1;
	*from = first;
	if (last >= 0 && last < size)
		*to = last;
	return 1;
}

static int reply_file(struct request *q, int file, const struct stat *st)
{
	off_t from, to, size = st->st_size, n;
	char changed[40], line[80];
	struct reply r;
	int is_part;

	date(changed, sizeof changed, st->st_mtime);
	if (q->since && !strcmp(q->since, changed)) {
		begin(&r, q, "304 Not Modified");
		add(&r, "Last-Modified: %s\r\n\r\n", changed);
		return send_all(q, r.text, r.length, 0);
	}
	is_part = find_range(q, size, changed, &from, &to);
	if (is_part < 0) {
		snprintf(line, sizeof line, "Content-Range: bytes */%lld\r\n", (long long)size);
		return say(q, "416 Range Not Satisfiable", line);
	}
	n = to - from + 1;
	begin(&r, q, is_part ? "206 Partial Content" : "200 OK");
	add(&r, "Content-Type: %s\r\nContent-Length: %lld\r\nLast-Modified: %s\r\n"
	    "Accept-Ranges: bytes\r\n", type_of(q->path), (long long)n, changed);
	if (is_part)
		add(&r, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)from, (long long)to,
		    (long long)size);
	add(&r, "\r\n");
	if (q->is_head || !n)
		return send_all(q, r.text, r.length, 0);
	if (n > SMALL)
		return send_all(q, r.text, r.length, MSG_MORE) && send_file(q, file, from, n);
	if (from && lseek(file, from, SEEK_SET) == -1)
		return 0;
	if (green_syscall(SYS_read, file, r.text + r.length, (size_t)n) != n)
		return 0;		/* it has become shorter */
	return send_all(q, r.text, r.length + (size_t)n, 0);
}

/* ---- files ------------------------------------------------------------------------------------ */

/* Below the directory, wherever links and ".." lead; without waiting, if it can be. */
static int open_below(const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED };
	long file = green_syscall(SYS_openat2, dir, path, &how, sizeof how);

	if (file != -1 || (errno != EAGAIN && errno != EINVAL))
		return (int)file;
	how.resolve &= ~(uint64_t)RESOLVE_CACHED;
	return (int)green_syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* "%2e" and the like, in place; nothing that a name can't hold. */
static int decode(char *p)
{
	char *to = p, hex[3] = "";

	for (; *p; p++) {
		if (*p == '%') {
			if (!isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2]))
				return -1;
			memcpy(hex, p + 1, 2);
			*to = (char)strtol(hex, NULL, 16);
			if (!*to++)
				return -1;
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	*to = 0;
	return 0;
}

static int redirect(struct request *q, const char *path)
{
	char header[HEADER + 64];

	snprintf(header, sizeof header, "Location: /%s/%s%s\r\n", path, q->query ? "?" : "",
		 q->query ? q->query : "");
	return say(q, "301 Moved Permanently", header);
}

static int serve_path(struct request *q)
{
	char raw[HEADER], *path = q->path;
	struct stat st;
	int file, result;
	size_t n;

	path += strspn(path, "/");	/* or "//host" would lead elsewhere */
	snprintf(raw, sizeof raw, "%s", path);
	if (decode(path))
		return say(q, "400 Bad Request", "");
	n = strlen(path);
	if (!n || path[n - 1] == '/')
		memcpy(path + n, "index.html", sizeof "index.html");	/* there is HTTP/1.1 */
	q->path = path;
	file = open_below(path);
	if (file == -1)
		return errno == ENOENT || errno == ENOTDIR || errno == EXDEV || errno == ELOOP ||
			errno == ENAMETOOLONG || errno == ENXIO ? say(q, "404 Not Found", "") :
			errno == EACCES ? say(q, "403 Forbidden", "") :
			errno == EMFILE || errno == ENFILE ? say(q, "503 Service Unavailable", "") :
			say(q, "500 Internal Server Error", "");
	if (fstat(file, &st))
		result = say(q, "500 Internal Server Error", "");
	else if (S_ISDIR(st.st_mode))
		result = redirect(q, raw);
	else if (!S_ISREG(st.st_mode))
		result = say(q, "403 Forbidden", "");
	else
		result = reply_file(q, file, &st);
	close(file);
	return result;
}

/* ---- requests ----------------------------------------------------------------------------------- */

/* The end of the header, or null: more is to come. */
static char *end_of_header(char *p, const char *end)
{
	for (; (p = memchr(p, '\n', (size_t)(end - p))); p++) {
		if (p + 1 < end && p[1] == '\n')
			return p + 2;
		if (p + 2 < end && p[1] == '\r' && p[2] == '\n')
			return p + 3;
	}
	return NULL;
}

/* A time-out for all of a header, however slowly it comes.  1: it is there; 0: end; -1: too late. */
static int read_header(struct request *q)
{
	long long until = 0;
	char *end;
	long n;

	while (!(end = end_of_header(q->buffer, q->buffer + q->filled))) {
		if (q->filled == HEADER)
			return refuse(q, "431 Request Header Fields Too Large", "") * 0;
		if (q->filled && !until)
			until = now_ms() + seconds * 1000LL;
		else if (until && now_ms() >= until)
			return -1;
		if (until)
			limit_receiving(q->socket, until - now_ms());
		n = green_syscall(SYS_recvfrom, q->socket, q->buffer + q->filled,
				  HEADER - q->filled, 0, NULL, NULL);
		if (n <= 0)
			return n && errno == EAGAIN && q->filled ? -1 : 0;
		q->filled += (size_t)n;
	}
	if (until)
		limit_receiving(q->socket, seconds * 1000LL);
	q->used = (size_t)(end - q->buffer);
	return 1;
}

/* Of a line "name: value"; null where it is another. */
static char *value_of(char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " \t");
}

/* The status of what is wrong, or null. */
static const char *parse_fields(struct request *q, char *line, int is_old)
{
	char *next, *value;
	int hosts = 0, has_body = 0;
	size_t n;

	for (; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			return "400 Bad Request";
		*next++ = 0;
		n = strlen(line);
		while (n && strchr("\r \t", line[n - 1]))
			line[--n] = 0;
		if (!n)
			break;
		if (*line == ' ' || *line == '\t' || !strchr(line, ':') || strchr(line, '\r') ||
		    strcspn(line, " \t") < strcspn(line, ":"))
			return "400 Bad Request";
		if ((value = value_of(line, "Connection"))) {
			q->keep_alive = strcasestr(value, "close") ? 0 :
				q->keep_alive || strcasestr(value, "keep-alive");
		} else if (value_of(line, "Host")) {
			hosts++;
		} else if ((value = value_of(line, "Content-Length"))) {
			if (!*value || value[strspn(value, "0123456789")])
				return "400 Bad Request";
			has_body |= strspn(value, "0") != strlen(value);
		} else if (value_of(line, "Transfer-Encoding")) {
			has_body = 1;
		} else if ((value = value_of(line, "Range"))) {
			q->range = value;
		} else if ((value = value_of(line, "If-Range"))) {
			q->if_range = value;
		} else if ((value = value_of(line, "If-Modified-Since"))) {
			q->since = value;
		}
	}
	if (has_body)
		q->keep_alive = 0;	/* nobody reads it */
	return hosts == 1 || (is_old && !hosts) ? NULL : "400 Bad Request";
}

/* Returns whether the connection goes on. */
static int serve_request(struct request *q)
{
	char *line = q->buffer, *version, *method, *end = q->buffer + q->used;
	char first = *end;
	const char *error;
	int is_known, result;

	q->is_head = q->keep_alive = 0;
	q->range = q->if_range = q->since = NULL;
	if (memchr(line, 0, q->used))
		return refuse(q, "400 Bad Request", "") * 0;
	*end = 0;
	line += strspn(line, "\r\n");
	method = line;
	line = strchr(line, '\n');
	if (!line)
		return refuse(q, "400 Bad Request", "") * 0;
	*line++ = 0;
	method[strcspn(method, "\r")] = 0;
	q->path = strchr(method, ' ');
	version = q->path ? strchr(q->path + 1, ' ') : NULL;
	if (!version || strchr(version + 1, ' ') || q->path + 1 == version)
		return refuse(q, "400 Bad Request", "") * 0;
	*q->path++ = *version++ = 0;
	if (strncmp(version, "HTTP/", 5) != 0)
		return refuse(q, "400 Bad Request", "") * 0;
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
		return refuse(q, "505 HTTP Version Not Supported", "") * 0;
	q->keep_alive = version[7] == '1';
	if ((error = parse_fields(q, line, version[7] == '0')))
		return refuse(q, error, "") * 0;
	q->is_head = !strcmp(method, "HEAD");
	is_known = q->is_head || !strcmp(method, "GET");
	if (!strncasecmp(q->path, "http://", 7))
		q->path += 7 + strcspn(q->path + 7, "/?");
	q->path[strcspn(q->path, "#")] = 0;
	q->query = strchr(q->path, '?');
	if (q->query)
		*q->query++ = 0;
	if (atomic_load(&stopping))
		q->keep_alive = 0;
	if (!is_known)
		result = refuse(q, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
	else if (*q->path != '/' && *q->path)
		result = refuse(q, "400 Bad Request", "");
	else
		result = serve_path(q);
	*end = first;
	return result && q->keep_alive;
}

static void serve(void *arg)
{
	struct request q;
	int one = 1, got;
	char item;

	q.socket = (int)(intptr_t)arg;
	q.filled = q.keep_alive = q.is_head = 0;
	setsockopt(q.socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(q.socket, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ seconds, 0 },
		   sizeof(struct timeval));
	limit_receiving(q.socket, seconds * 1000LL);
	while ((got = read_header(&q)) > 0 && serve_request(&q)) {
		q.filled -= q.used;
		memmove(q.buffer, q.buffer + q.used, q.filled);
	}
	if (got < 0)
		refuse(&q, "408 Request Timeout", "");
	/* what it still sends is thrown away, for a while, so that it can read the reply */
	shutdown(q.socket, SHUT_WR);
	limit_receiving(q.socket, got ? 1000 : 1);
	while (got && green_syscall(SYS_recvfrom, q.socket, q.buffer, HEADER, 0, NULL, NULL) > 0 &&
	       got++ < 64)
		;
	atomic_store(&is_open[q.socket], 0);
	close(q.socket);
	green_receive(room, &item);
}

/* ---- the server ------------------------------------------------------------------------------------ */

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
	long s;
	int i;

	(void)unused;
	while (!green_send(room, &item)) {
		while ((s = green_syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC)) < 0 ||
		       s >= MOST) {
			if (s >= 0)
				close((int)s);
			else if (errno == EAGAIN)
				green_syscall(SYS_ppoll, &p, 1L, NULL, NULL, 0L);
			else if (errno != ECONNABORTED)
				green_sleep(100000000);		/* no descriptor, or no memory */
			if (green_cancelled())
				goto stop;
		}
		atomic_store(&is_open[s], 1);
		green_detach(green_spawn(serve, (void *)(intptr_t)s));
	}
stop:
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	close(listener);
	for (i = 0; i < MOST; i++)
		if (atomic_load(&is_open[i]))
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

static long number(const char *text, long most, const char *what)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 0 || n > most)
		fail(2, "%s is no %s", text, what);
	return n;
}

static void listen_at(const char *address, const char *port)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM }, *found;
	int error = getaddrinfo(address, port, &hints, &found), one = 1;

	if (error)
		fail(1, "%s: %s", address, gai_strerror(error));
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

	opterr = 0;
	while ((option = getopt(argc, argv, "t:a:p:k:")) != -1) {
		if (option == 't')
			threads = (int)number(optarg, 1024, "number of threads");
		else if (option == 'a')
			address = optarg;
		else if (option == 'p')
			number(port = optarg, 65535, "port");
		else if (option == 'k')
			seconds = (int)number(optarg, 1000000, "number of seconds");
		else
			fail(2, "usage: green-httpd [-t THREADS] [-a ADDRESS] [-p PORT] [-k SECONDS] DIR");
	}
	if (argc - optind != 1)
		fail(2, "usage: green-httpd [-t THREADS] [-a ADDRESS] [-p PORT] [-k SECONDS] DIR");
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
	room = green_channel_new(1, (size_t)limit.rlim_cur / 4 * 3);	/* the others are for files */
	if (!room || green_run(threads, run, NULL))
		fail(1, "%s", strerror(errno));
	green_channel_free(room);
	return 0;
}
