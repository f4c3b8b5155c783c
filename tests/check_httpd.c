/* SPDX-License-Identifier: MIT */
/* check_httpd.c - the web server of the examples, and what clients may do to it */
#include <dirent.h>
#include <ftw.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "testing.h"

#define BIG 3000000

static char dir[64];
static int port;
static pid_t server;
static int few_files;

/* ---- the server ------------------------------------------------------------------- */

/* Where it was built, or beside /tests/ABI on a machine of tests/vm. */
static const char *program(void)
{
	static char name[128] = "examples/green/green-httpd", self[64];
	const char *end;

	if (readlink("/proc/self/exe", self, sizeof self - 1) > 0 && !strncmp(self, "/tests/", 7)) {
		end = strrchr(self, '/');
		snprintf(name, sizeof name, "/examples%.*s/green-httpd", (int)(end - self - 6),
			 self + 6);
	}
	return name;
}

static void make_file(const char *name, const char *text, size_t size)
{
	char path[128];
	size_t i;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_ne(f, NULL);
	for (i = 0; text ? text[i] != 0 : i < size; i++)
		putc(text ? text[i] : (int)(i / 7 % 251), f);
	fclose(f);
}

static void make_files(void)
{
	char path[128];

	snprintf(dir, sizeof dir, "/tmp/check_httpd.XXXXXX");
	ck_assert_ptr_ne(mkdtemp(dir), NULL);
	snprintf(path, sizeof path, "%s/www", dir);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/www/sub", dir);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	make_file("secret", "secret", 0);
	make_file("www/index.html", "hello\n", 0);
	make_file("www/sub/index.html", "below\n", 0);
	make_file("www/digits", "0123456789", 0);
	make_file("www/empty", "", 0);
	make_file("www/big", NULL, BIG);
	snprintf(path, sizeof path, "%s/www/out", dir);
	ck_assert_int_eq(symlink("../secret", path), 0);
	snprintf(path, sizeof path, "%s/www/root", dir);
	ck_assert_int_eq(symlink("/", path), 0);
	snprintf(path, sizeof path, "%s/www/in", dir);
	ck_assert_int_eq(symlink("sub/../digits", path), 0);
	snprintf(path, sizeof path, "%s/www/fifo", dir);
	ck_assert_int_eq(mkfifo(path, 0644), 0);
}

static struct sockaddr_in address(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int connected(void)
{
	struct sockaddr_in a = address();
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!connect(s, (struct sockaddr *)&a, sizeof a))
		return s;
	close(s);
	return -1;
}

static int dial(void)
{
	int s = connected();

	ck_assert_int_ne(s, -1);
	return s;
}

static void free_port(void)
{
	struct sockaddr_in a;
	socklen_t size = sizeof a;
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct ifreq lo = { .ifr_name = "lo" };

	lo.ifr_flags = IFF_UP;		/* which a bare machine's is not */
	ioctl(s, SIOCSIFFLAGS, &lo);
	port = 0;
	a = address();
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(getsockname(s, (struct sockaddr *)&a, &size), 0);
	port = ntohs(a.sin_port);
	close(s);
}

static void run_server(const char *idle)
{
	struct rlimit few = { 40, 40 };
	char path[128], number[16];

	if (few_files)
		setrlimit(RLIMIT_NOFILE, &few);

	snprintf(path, sizeof path, "%s/www", dir);
	snprintf(number, sizeof number, "%d", port);
	execl(program(), "green-httpd", "-t", "2", "-p", number, "-k", idle,
	      path, (char *)NULL);
	_exit(99);
}

/* Another process may be faster to take the port. */
static void start(const char *idle)
{
	int s, status = 0;

	make_files();
	for (;;) {
		free_port();
		server = fork();
		ck_assert_int_ne(server, -1);
		if (!server)
			run_server(idle);
		while ((s = connected()) == -1 && !waitpid(server, &status, WNOHANG))
			pause_ms(5);
		if (s != -1 && waitpid(server, &status, WNOHANG) == 0) {
			/* until it serves; others may have dialled before */
			ck_assert_int_eq(send(s, "x\n\n", 3, 0), 3);
			while (recv(s, &status, sizeof status, 0) > 0)
				;
			close(s);
			return;
		}
		ck_assert_int_eq(WEXITSTATUS(status), 1);
	}
}

static void setup(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);	/* for many_idle */
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	start("30");
}

static void setup_poor(void)
{
	few_files = 1;
	start("30");
}

static void setup_impatient(void)
{
	start("1");
}

static int end_of_server(void)
{
	int status;

	ck_assert_int_eq(waitpid(server, &status, 0), server);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static void teardown(void)
{
	kill(server, SIGTERM);
	ck_assert_int_eq(end_of_server(), 0);
	ck_assert_int_eq(nftw(dir, remove_one, 20, FTW_DEPTH | FTW_PHYS), 0);
}

static int descriptors(void)
{
	char name[64];
	int n = 0;
	DIR *d;

	snprintf(name, sizeof name, "/proc/%d/fd", (int)server);
	d = opendir(name);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- a client ---------------------------------------------------------------------- */

static char reply[BIG + 10000];

static void say(int s, const char *text)
{
	ck_assert_int_eq(send(s, text, strlen(text), MSG_NOSIGNAL), (long)strlen(text));
}

/* All until the server closes. */
static long hear_all(int s)
{
	long n, all = 0;

	while ((n = recv(s, reply + all, sizeof reply - 1 - (size_t)all, 0)) > 0)
		all += n;
	reply[all] = 0;
	return all;
}

static int status_of(const char *text)
{
	int status = 0;

	if (sscanf(text, "HTTP/1.1 %d ", &status) != 1)
		return 0;
	return status;
}

static const char *body(void)
{
	const char *p = strstr(reply, "\r\n\r\n");

	ck_assert_ptr_ne(p, NULL);
	return p + 4;
}

/* One request on a connection of its own, with more fields. */
static int ask(const char *request, const char *fields)
{
	int s = dial();

	say(s, request);
	say(s, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
	say(s, fields);
	say(s, "\r\n");
	hear_all(s);
	close(s);
	return status_of(reply);
}

static void expect(const char *request, const char *fields, int status, const char *text)
{
	ck_assert_msg(ask(request, fields) == status, "%s, %s: %.200s", request, fields, reply);
	if (text)
		ck_assert_str_eq(body(), text);
}

/* ---- what it serves -------------------------------------------------------------------- */

START_TEST(files)
{
	char line[100], *p;

	expect("GET /", "", 200, "hello\n");
	ck_assert_ptr_ne(strstr(reply, "Content-Type: text/html"), NULL);
	ck_assert_ptr_ne(strstr(reply, "Content-Length: 6\r\n"), NULL);
	p = strstr(reply, "Last-Modified: ");
	ck_assert_ptr_ne(p, NULL);
	snprintf(line, sizeof line, "If-Modified-Since: %.29s\r\n", p + 15);
	expect("GET /", line, 304, "");
	expect("GET /", "If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT\r\n", 200, "hello\n");
	expect("GET /", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", 304, "");
	expect("GET /", "If-Modified-Since: yesterday\r\n", 200, "hello\n");
	expect("HEAD /", "", 200, "");
	ck_assert_ptr_ne(strstr(reply, "Content-Length: 6\r\n"), NULL);
	expect("GET /sub/", "", 200, "below\n");
	expect("GET /sub?a", "", 301, NULL);
	ck_assert_ptr_ne(strstr(reply, "Location: /sub/?a\r\n"), NULL);
	expect("GET //sub", "", 301, NULL);
	ck_assert_ptr_ne(strstr(reply, "Location: /sub/\r\n"), NULL);
	expect("GET /empty", "", 200, "");
	expect("GET /%64igits?q=/..", "", 200, "0123456789");
	expect("GET http://x/digits", "", 200, "0123456789");
	expect("GET /in", "", 200, "0123456789");
	expect("GET /nothing", "", 404, NULL);
	expect("GET /digits/", "", 404, NULL);
	expect("GET /fifo", "", 403, NULL);
}
END_TEST

START_TEST(ranges)
{
	expect("GET /digits", "Range: bytes=2-4\r\n", 206, "234");
	ck_assert_ptr_ne(strstr(reply, "Content-Range: bytes 2-4/10\r\n"), NULL);
	expect("GET /digits", "Range: bytes=7-\r\n", 206, "789");
	expect("GET /digits", "Range: bytes=-2\r\n", 206, "89");
	expect("GET /digits", "Range: bytes=-99\r\n", 206, "0123456789");
	expect("GET /digits", "Range: bytes=0-99999999999999999999\r\n", 206, "0123456789");
	expect("GET /digits", "Range: bytes=10-\r\n", 416, NULL);
	ck_assert_ptr_ne(strstr(reply, "Content-Range: bytes */10\r\n"), NULL);
	expect("GET /digits", "Range: bytes=99999999999999999999-\r\n", 416, NULL);
	expect("GET /digits", "Range: bytes=-0\r\n", 416, NULL);
	expect("GET /empty", "Range: bytes=0-\r\n", 416, NULL);
	expect("GET /digits", "Range: bytes=4-2\r\n", 200, "0123456789");
	expect("GET /digits", "Range: bytes=x\r\n", 200, "0123456789");
	expect("GET /digits", "Range: bytes=-2-1\r\n", 200, "0123456789");
	expect("GET /digits", "Range: bytes=1-2,4-5\r\n", 200, "0123456789");
	expect("GET /digits", "Range: bytes=1-2\r\nIf-Range: yesterday\r\n", 200, "0123456789");
	expect("HEAD /digits", "Range: bytes=2-4\r\n", 200, "");
}
END_TEST

START_TEST(large)
{
	const char *text;
	size_t i, wrong = 0;

	ck_assert_int_eq(ask("GET /big", ""), 200);
	for (text = body(), i = 0; i < BIG; i++)
		wrong += (unsigned char)text[i] != i / 7 % 251;
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(no_way_out)
{
	static const char *const paths[] = {
		"/../secret", "/%2e%2e/secret", "/..%2fsecret", "/sub/../../secret", "/out",
		"/root/etc/passwd", "/%2fetc/passwd", "//etc/passwd", "/./../secret", "/sub/..%2f../secret",
		"http://x/../secret", "/proc/self/root/etc/passwd", "/..", "/../", "/.%2e"
	};
	char request[100];
	size_t i;

	for (i = 0; i < sizeof paths / sizeof *paths; i++) {
		snprintf(request, sizeof request, "GET %s", paths[i]);
		ck_assert_msg(ask(request, "") >= 400, "%s: %.100s", paths[i], reply);
		ck_assert_ptr_eq(strstr(reply, "\r\n\r\nsecret"), NULL);
	}
}
END_TEST

/* ---- what is no request ----------------------------------------------------------------- */

START_TEST(wrong)
{
	static const struct {
		const char *text;
		int status;
	} all[] = {
		{ "GET\r\n\r\n", 400 }, { "GET /\r\n\r\n", 400 }, { "\r\n\r\n\r\nx\n\n", 400 },
		{ "GET / HTTP/1.2\r\nHost: x\r\nConnection: close\r\n\r\n", 200 },
		{ "\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n", 200 },
		{ "GET / HTTP/1.1\r\nHost: x\r\na: \001\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\na: \177\r\n\r\n", 400 },
		{ "GET /\001 HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\na/b: c\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\303\244: c\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\na: \t\303\244\r\n\r\n", 200 },
		{ "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 }, { "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400 },
		{ "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505 }, { "GET / XTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400 },
		{ "GET /%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400 },
		{ "GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nno field\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\na : b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\n folded: b\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 200 },
		{ "GET / HTTP/1.0\r\n\r\n", 200 }, { "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
	};
	size_t i;
	int s;

	for (i = 0; i < sizeof all / sizeof *all; i++) {
		s = dial();
		say(s, all[i].text);
		hear_all(s);
		ck_assert_msg(status_of(reply) == all[i].status, "%s: %.100s", all[i].text, reply);
		ck_assert_ptr_eq(strstr(body(), "HTTP/1.1"), NULL);
		close(s);
	}
	/* of an old client the connection goes on only if that is said */
	s = dial();
	say(s, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
	hear_all(s);
	ck_assert_ptr_ne(strstr(reply, "\r\nConnection: keep-alive\r\n"), NULL);
	ck_assert_ptr_ne(strstr(reply, "\r\nConnection: close\r\n"), NULL);
	close(s);
	s = dial();
	ck_assert_int_eq(send(s, "GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 30, 0), 30);
	hear_all(s);
	ck_assert_int_eq(status_of(reply), 400);
	close(s);
}
END_TEST

START_TEST(header_too_large)
{
	char field[9000];
	int s = dial();

	memset(field, 'a', sizeof field);
	say(s, "GET / HTTP/1.1\r\nHost: x\r\nb: ");
	ck_assert_int_eq(send(s, field, sizeof field, MSG_NOSIGNAL), sizeof field);
	hear_all(s);
	ck_assert_int_eq(status_of(reply), 431);
	close(s);
}
END_TEST

/* ---- connections ------------------------------------------------------------------------ */

#define ONE "GET /digits HTTP/1.1\r\nHost: x\r\n\r\n"

START_TEST(pipeline)
{
	static const char last[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	int s = dial(), i, n = 0;
	const char *p;

	for (i = 0; i < 200; i++)
		say(s, ONE);
	say(s, last);
	hear_all(s);
	for (p = reply; (p = strstr(p, "\r\n\r\n0123456789")); p += 14)
		n++;
	ck_assert_int_eq(n, 200);
	ck_assert_int_eq(strcmp(strrchr(reply, '\r') + 2, "hello\n"), 0);
	close(s);
}
END_TEST

START_TEST(byte_by_byte)
{
	static const char text[] = ONE ONE "GET / HTTP/1.0\r\n\r\n";
	int s = dial(), one = 1;
	const char *p;

	setsockopt(s, 6, 1, &one, sizeof one);
	for (p = text; *p; p++) {
		ck_assert_int_eq(send(s, p, 1, MSG_NOSIGNAL), 1);
		if (p - text < 80)
			sched_yield();
	}
	hear_all(s);
	ck_assert_ptr_ne(strstr(reply, "\r\n\r\nhello\n"), NULL);
	close(s);
}
END_TEST

/* A line of blanks is not the empty one: else what follows is a header for one of two readers. */
START_TEST(no_second_header)
{
	static const char *const lines[] = { " \r\n", "\r\r\n", "\t\n" };
	unsigned int i;
	int s;

	for (i = 0; i < sizeof lines / sizeof *lines; i++) {
		s = dial();
		say(s, "GET / HTTP/1.1\r\nHost: x\r\n");
		say(s, lines[i]);
		say(s, "Content-Length: 40\r\n\r\n" ONE);
		hear_all(s);
		ck_assert_int_eq(status_of(reply), 400);
		ck_assert_ptr_eq(strstr(reply + 9, "HTTP/1.1"), NULL);
		close(s);
	}
}
END_TEST

/* What is told of a request that never came whole has a body, whatever came before it. */
START_TEST(after_a_head)
{
	static char text[9000];
	int s = dial();

	say(s, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	memset(text, 'x', sizeof text - 1);
	say(s, "GET / HTTP/1.1\r\nX: ");
	say(s, text);
	hear_all(s);
	ck_assert_ptr_ne(strstr(reply, "431 Request Header Fields Too Large\n"), NULL);
	close(s);
}
END_TEST

/* Slower than the buffers are large, but without a pause. */
START_TEST(steady_reader)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), size = 1 << 14;
	struct sockaddr_in a = address();
	double began = now();
	long n, all = 0;

	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	ck_assert_int_eq(connect(s, (struct sockaddr *)&a, sizeof a), 0);
	say(s, "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	while ((n = recv(s, reply, 1 << 16, 0)) > 0) {
		all += n;
		while (now() - began < 5 && now() - began < 5.0 * (double)all / BIG)
			pause_ms(5);
	}
	ck_assert_int_gt(all, BIG);
	close(s);
}
END_TEST

/* Clients that go in the middle of whatever it is. */
START_TEST(deserted)
{
	static const char text[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n" ONE;
	int i, s, before = descriptors();

	for (i = 0; i < scaled(1000, 1); i++) {
		s = dial();
		send(s, text, (size_t)i % sizeof text, MSG_NOSIGNAL);
		if (i % 3 == 0)
			setsockopt(s, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
				   sizeof(struct linger));
		close(s);
	}
	expect("GET /", "", 200, "hello\n");
	while (descriptors() > before)		/* or it hangs */
		pause_ms(10);
}
END_TEST

START_TEST(idle_ones_end)
{
	int before = descriptors(), s = dial(), half = dial(), lazy = dial();
	double began = now();

	say(half, "GET / HT");
	say(lazy, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(hear_all(s), 0);
	ck_assert(now() - began > 0.9);
	hear_all(half);
	ck_assert_int_eq(status_of(reply), 408);
	close(s);
	close(half);
	while (descriptors() > before)		/* also that of who reads nothing */
		pause_ms(10);
	close(lazy);
}
END_TEST

START_TEST(slow_readers)
{
	int s[50], i, size = 1 << 15, count = scaled(50, 1);
	struct sockaddr_in a = address();
	long n, all;

	for (i = 0; i < count; i++) {
		s[i] = socket(AF_INET, SOCK_STREAM, 0);
		setsockopt(s[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
		ck_assert_int_eq(connect(s[i], (struct sockaddr *)&a, sizeof a), 0);
		say(s[i], "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	}
	expect("GET /", "", 200, "hello\n");
	kill(server, SIGTERM);		/* what is under way is finished */
	for (i = 0; i < count; i++) {
		for (all = 0; (n = recv(s[i], reply, 1 << 16, 0)) > 0; )
			all += n;
		ck_assert_int_gt(all, BIG);
		close(s[i]);
	}
	ck_assert_int_eq(end_of_server(), 0);
	server = fork();
	if (!server) {
		run_server("30");
	}
	while ((s[0] = connected()) == -1)
		pause_ms(5);
	close(s[0]);
}
END_TEST

START_TEST(many_idle)
{
	struct rlimit limit;
	static int s[10000];
	int n = scaled(10000, 1), i, before = descriptors();

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < (rlim_t)n / 3 * 4 + 100)
		SKIP("not allowed to have so many descriptors");
	for (i = 0; i < n; i++)
		s[i] = dial();
	expect("GET /", "", 200, "hello\n");
	for (i = 0; i < n; i += 100) {
		say(s[i], ONE);
		ck_assert_int_gt(recv(s[i], reply, sizeof reply, 0), 0);
		ck_assert_int_eq(status_of(reply), 200);
	}
	for (i = 0; i < n / 2; i++)
		close(s[i]);
	while (descriptors() > before + n / 2)
		pause_ms(10);
	kill(server, SIGTERM);		/* closes the others */
	for (; i < n; i++) {
		ck_assert_int_eq(hear_all(s[i]), 0);
		close(s[i]);
	}
	ck_assert_int_eq(end_of_server(), 0);
	server = fork();
	if (!server) {
		run_server("30");
	}
	while ((i = connected()) == -1)
		pause_ms(5);
	close(i);
}
END_TEST

/* More than it may have open: others wait until there is room. */
START_TEST(no_descriptors)
{
	int s[100], i;

	for (i = 0; i < 100; i++)
		s[i] = dial();
	say(s[0], ONE);
	ck_assert_int_gt(recv(s[0], reply, sizeof reply, 0), 0);
	ck_assert_int_eq(status_of(reply), 200);
	say(s[99], ONE);
	for (i = 0; i < 99; i++)
		close(s[i]);
	ck_assert_int_gt(recv(s[99], reply, sizeof reply, 0), 0);
	ck_assert_int_eq(status_of(reply), 200);
	close(s[99]);
}
END_TEST

/* ---- arguments --------------------------------------------------------------------------- */

static int run(char *line, ...)
{
	char *argv[8] = { "green-httpd" };
	int p[2], status, i;
	long n, all = 0;
	va_list ap;
	pid_t pid;

	va_start(ap, line);
	for (i = 1; (argv[i] = va_arg(ap, char *)); i++)
		;
	va_end(ap);
	ck_assert_int_eq(pipe(p), 0);
	pid = fork();
	if (!pid) {
		dup2(p[1], 2);
		execv(program(), argv);
		_exit(99);
	}
	close(p[1]);
	while ((n = read(p[0], line + all, 999 - (size_t)all)) > 0)
		all += n;
	line[all] = 0;
	ck_assert_ptr_eq(strchr(line, '\n'), line + all - 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	close(p[0]);
	return WEXITSTATUS(status);
}

START_TEST(arguments)
{
	char line[1000], number[16];
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a;

	ck_assert_int_eq(run(line, NULL), 2);
	ck_assert_int_eq(run(line, "/tmp", "/tmp", NULL), 2);
	ck_assert_int_eq(run(line, "-x", "/tmp", NULL), 2);
	ck_assert_int_eq(run(line, "-t", "x", "/tmp", NULL), 2);
	ck_assert_int_eq(run(line, "-p", "65536", "/tmp", NULL), 2);
	ck_assert_int_eq(run(line, "-k", "-1", "/tmp", NULL), 2);
	ck_assert_int_eq(run(line, "-k", NULL), 2);
	ck_assert_int_eq(run(line, "/no such directory", NULL), 2);
	free_port();
	a = address();
	ck_assert_int_eq(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(s, 1), 0);
	snprintf(number, sizeof number, "%d", port);
	ck_assert_int_eq(run(line, "-p", number, "/tmp", NULL), 1);
	close(s);
}
END_TEST

START_TEST(not_here)
{
	SKIP("no green-httpd");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("httpd");
	TCase *tc = tcase_create("server"), *impatient = tcase_create("impatient");
	TCase *alone = tcase_create("arguments"), *poor = tcase_create("poor");

	limit_time(tc, 120);
	limit_time(impatient, 120);
	limit_time(alone, 60);
	if (access(program(), X_OK)) {
		tcase_add_test(tc, not_here);
		suite_add_tcase(suite, tc);
		return run_suite(suite);
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, files);
	tcase_add_test(tc, ranges);
	tcase_add_test(tc, large);
	tcase_add_test(tc, no_way_out);
	tcase_add_test(tc, wrong);
	tcase_add_test(tc, header_too_large);
	tcase_add_test(tc, pipeline);
	tcase_add_test(tc, byte_by_byte);
	tcase_add_test(tc, deserted);
	tcase_add_test(tc, slow_readers);
	tcase_add_test(tc, no_second_header);
	tcase_add_test(tc, after_a_head);
	tcase_add_test(tc, many_idle);
	tcase_add_checked_fixture(impatient, setup_impatient, teardown);
	tcase_add_test(impatient, idle_ones_end);
	tcase_add_test(impatient, steady_reader);
	limit_time(poor, 60);
	tcase_add_checked_fixture(poor, setup_poor, teardown);
	tcase_add_test(poor, no_descriptors);
	tcase_add_test(alone, arguments);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, impatient);
	suite_add_tcase(suite, poor);
	suite_add_tcase(suite, alone);
	return run_suite(suite);
}
