/* SPDX-License-Identifier: MIT */
/*
 * ninep.h - a client for the tests of the file server: it says what it is told to, right
 * or wrong, and shows what comes back.
 */
#ifndef NINEP_H
#define NINEP_H

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "testing.h"

enum {
	Rlerror = 7, Tstatfs, Tlopen = 12, Tlcreate = 14, Tsymlink = 16, Tmknod = 18,
	Trename = 20, Treadlink = 22, Tgetattr = 24, Tsetattr = 26, Txattrwalk = 30,
	Txattrcreate = 32, Treaddir = 40, Tfsync = 50, Tlock = 52, Tgetlock = 54, Tlink = 70,
	Tmkdir = 72, Trenameat = 74, Tunlinkat = 76, Tversion = 100, Tauth = 102,
	Tattach = 104, Tflush = 108, Rflush, Twalk, Tread = 116, Twrite = 118, Tclunk = 120,
	Tremove = 122
};

#define NOFID		0xffffffffu
#define NOTAG		0xffff
#define ROOT		0u		/* the fid that connect_to() attaches */

struct server {
	pid_t pid;
	char dir[64], socket[80];
	int dirfd;
};

struct client {
	int fd;
	unsigned char in[70000];	/* the last message; sizes are checked */
	uint32_t size;
	const unsigned char *at;	/* what of it has not been read */
};

static inline void put(unsigned char **p, uint64_t value, int bytes)
{
	for (; bytes--; value >>= 8)
		*(*p)++ = (unsigned char)value;
}

static inline uint64_t get(struct client *c, int bytes)
{
	uint64_t value = 0;
	int i;

	for (i = 0; i < bytes; i++)
		value |= (uint64_t)*c->at++ << 8 * i;
	return value;
}

/* b, w, d, q: a number of 1, 2, 4, 8 bytes; s: a string; D: bytes, and how many. */
static inline size_t build(unsigned char *out, int type, int tag, const char *format,
			   va_list arguments)
{
	unsigned char *p = out + 4;
	const char *s;
	size_t n;

	put(&p, (uint64_t)type, 1);
	put(&p, (uint64_t)tag, 2);
	for (; *format; format++)
		switch (*format) {
		case 'b':
			put(&p, va_arg(arguments, unsigned int), 1);
			break;
		case 'w':
			put(&p, va_arg(arguments, unsigned int), 2);
			break;
		case 'd':
			put(&p, va_arg(arguments, unsigned int), 4);
			break;
		case 'q':
			put(&p, va_arg(arguments, uint64_t), 8);
			break;
		default:
			s = va_arg(arguments, const char *);
			n = *format == 's' ? strlen(s) : va_arg(arguments, unsigned int);
			put(&p, n, *format == 's' ? 2 : 4);
			memcpy(p, s, n);
			p += n;
		}
	n = (size_t)(p - out);
	p = out;
	put(&p, n, 4);
	return n;
}

static inline void send_all(int fd, const void *data, size_t size)
{
	const char *p = data;
	ssize_t n;

	for (; size; p += n, size -= (size_t)n) {
		n = send(fd, p, size, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			n = 0;
		ck_assert_int_ne(n, -1);
	}
}

static inline void tell_list(struct client *c, int type, int tag, const char *format,
			     va_list arguments)
{
	static unsigned char out[1 << 20];

	send_all(c->fd, out, build(out, type, tag, format, arguments));
}

static inline void tell(struct client *c, int type, int tag, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell_list(c, type, tag, format, arguments);
	va_end(arguments);
}

/* False: the connection is at its end. */
static inline int receive_exactly(int fd, void *data, size_t size)
{
	char *p = data;
	ssize_t n;

	for (; size; p += n, size -= (size_t)n) {
		n = recv(fd, p, size, 0);
		if (n == -1 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return 0;
	}
	return 1;
}

/* The next message: its tag and type; -1 at the end. */
static inline int hear(struct client *c, int *type)
{
	if (!receive_exactly(c->fd, c->in, 7))
		return -1;
	c->at = c->in;
	c->size = (uint32_t)get(c, 4);
	ck_assert_uint_ge(c->size, 7);
	ck_assert_uint_le(c->size, sizeof c->in);
	*type = (int)get(c, 1);
	if (!receive_exactly(c->fd, c->in + 7, c->size - 7))
		return -1;
	return (int)get(c, 2);
}

/* One request and its reply: 0, or the error's number; then the reply is at c->at. */
static inline int ask(struct client *c, int type, const char *format, ...)
{
	const int tag = type == Tversion ? NOTAG : 1;
	va_list arguments;
	int answer;

	va_start(arguments, format);
	tell_list(c, type, tag, format, arguments);
	va_end(arguments);
	ck_assert_int_eq(hear(c, &answer), tag);
	if (answer == Rlerror)
		return (int)get(c, 4);
	ck_assert_int_eq(answer, type + 1);
	return 0;
}

#define must(...)		ck_assert_int_eq(ask(__VA_ARGS__), 0)
#define must_fail(error, ...)	ck_assert_int_eq(ask(__VA_ARGS__), error)

/* The next message must be this. */
static inline void expect(struct client *c, int type, int tag)
{
	int got = -1, answer = hear(c, &got);

	ck_assert_msg(answer == tag && got == type, "type %d tag %d where type %d tag %d was due",
		      got, answer, type, tag);
}

static inline void nothing_comes(struct client *c)
{
	struct pollfd p = { c->fd, POLLIN, 0 };

	ck_assert_int_eq(poll(&p, 1, 20), 0);
}

/* ---- the server --------------------------------------------------------- */

/* It was built beside this test, or stands where test machines have it: by ABI, as this has.
   Null: it was built for another machine, or is not where the tests are run. */
static inline const char *server_program(void)
{
	const char *wish = getenv("SAFE_NINEP");
	static char name[PATH_MAX], self[PATH_MAX];
	char *slash;

	if (!*name && !realpath(wish ? wish : "examples/ninep/safe-ninep", name)) {
		if (readlink("/proc/self/exe", self, sizeof self - 1) == -1)
			return NULL;
		slash = strrchr(self, '/');	/* /tests/ABI/program */
		if (slash)
			*slash = 0;
		slash = strrchr(self, '/');
		snprintf(name, sizeof name, "/examples%.99s/safe-ninep", slash ? slash : "");
	}
	return emulated() || access(name, X_OK) ? NULL : name;
}

static inline int has_server(void)
{
	if (!server_program())
		puts("SKIP server: no safe-ninep to be run here");
	return server_program() != NULL;
}

static inline void serve(struct server *s, ...)
{
	const char *argv[16] = { server_program() };
	static char where[96];
	va_list arguments;
	int n = 1;

	strcpy(s->dir, "/tmp/ninep.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	chmod(s->dir, 0755);
	snprintf(s->socket, sizeof s->socket, "%s.socket", s->dir);
	s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	va_start(arguments, s);
	while ((argv[n] = va_arg(arguments, const char *)))
		n++;
	va_end(arguments);
	snprintf(where, sizeof where, "unix:%s", s->socket);
	argv[n++] = s->dir;
	argv[n++] = where;
	argv[n] = NULL;
	s->pid = fork();
	if (!s->pid) {
		execv(argv[0], (char **)(uintptr_t)argv);
		perror(argv[0]);
		_exit(127);
	}
}

static inline void dial(struct client *c, const struct server *s)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	strcpy(name.sun_path, s->socket);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (connect(c->fd, (struct sockaddr *)&name, sizeof name) == -1) {
		ck_assert(errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN);
		ck_assert_int_eq(waitpid(s->pid, NULL, WNOHANG), 0);
		pause_ms(1);		/* it is starting */
	}
}

static inline void connect_to(struct client *c, const struct server *s)
{
	dial(c, s);
	must(c, Tversion, "ds", 65536u, "9P2000.L");
	must(c, Tattach, "ddssd", ROOT, NOFID, "", "", (unsigned int)geteuid());
}

static inline int remove_one(const char *name, const struct stat *s, int type, struct FTW *f)
{
	(void)s, (void)type, (void)f;
	return remove(name);
}

static inline void remove_tree(const char *dir)
{
	ck_assert_int_eq(nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS), 0);
}

/* It ends as it should when it is told to. */
static inline void end_server(struct server *s)
{
	int status;

	kill(s->pid, SIGTERM);
	ck_assert_int_eq(waitpid(s->pid, &status, 0), s->pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", status);
	ck_assert_int_eq(access(s->socket, F_OK), -1);
	close(s->dirfd);
	remove_tree(s->dir);
}

static inline int entries(pid_t pid, const char *what)
{
	char path[64];
	int count = -2;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Descriptors and threads are again as many as they were: at the latest in ten seconds. */
static inline void must_come_back(const struct server *s, const char *what, int before)
{
	double limit = now() + 10;

	while (entries(s->pid, what) != before) {
		ck_assert_msg(now() < limit, "%s: %d, and %d before", what,
			      entries(s->pid, what), before);
		pause_ms(10);
	}
}

/* ---- shorthands --------------------------------------------------------- */

static inline void walk_to(struct client *c, unsigned int newfid, const char *name)
{
	must(c, Twalk, "ddws", ROOT, newfid, 1u, name);
	ck_assert_uint_eq(get(c, 2), 1);
}

static inline void open_file(struct client *c, unsigned int fid, const char *name,
			     unsigned int flags)
{
	walk_to(c, fid, name);
	must(c, Tlopen, "dd", fid, flags);
}

static inline void clunk(struct client *c, unsigned int fid)
{
	must(c, Tclunk, "d", fid);
}

/* A file that is made, by another way than the server's. */
static inline void make(const struct server *s, const char *name, const char *contents)
{
	int fd = openat(s->dirfd, name, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, contents, strlen(contents)), (ssize_t)strlen(contents));
	close(fd);
}

#endif
