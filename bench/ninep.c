/* SPDX-License-Identifier: MIT */
/*
 * ninep.c - the file server beside another one, by the same client.
 *
 *	ninep [-n ROUNDS] SERVER OTHER
 *
 * Both export a directory of their own and serve a Unix socket.  Each row is measured in
 * turn, first one, then the other, forwards and backwards by turns.  The columns are what
 * an operation takes with each, in microseconds, the median; and the median of the ratios
 * within the turns, with its quartiles: below 1 the first one is faster.  Without an
 * authentication of the other's own: diod is called with -n and -N.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS	16
#define MSIZE		(1 << 20)
#define LARGE		((uint32_t)-1)	/* as much as both take in one message */

enum { TVERSION = 100, TATTACH = 104, TWALK = 110, TCLUNK = 120, TLOPEN = 12, TLCREATE = 14,
	TREAD = 116, TWRITE = 118, TGETATTR = 24, TREMOVE = 122 };
enum { NOTHING = -1, ROOT = 0, FILE_FID = 1, NEW_FID = 2 };

static struct server {
	const char *program;
	char dir[64], socket[80];
	pid_t pid;
	int fd[CONNECTIONS];
} servers[2];

static unsigned char out[MSIZE + 64], in[MSIZE + 64];
static uint32_t most = MSIZE;

static void die(const char *what)
{
	fprintf(stderr, "ninep: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- messages ----------------------------------------------------------- */

static unsigned char *put(unsigned char *p, uint64_t value, int bytes)
{
	for (; bytes--; value >>= 8)
		*p++ = (unsigned char)value;
	return p;
}

static unsigned char *put_string(unsigned char *p, const char *s)
{
	p = put(p, strlen(s), 2);
	memcpy(p, s, strlen(s));
	return p + strlen(s);
}

static void transfer(ssize_t (*move)(int, void *, size_t), int fd, unsigned char *p, size_t size)
{
	ssize_t n;

	for (; size; p += n, size -= (size_t)n) {
		n = move(fd, p, size);
		if (n <= 0)
			die("connection");
	}
}

static ssize_t give(int fd, void *p, size_t size)
{
	return write(fd, p, size);
}

static void finish(int fd, int type, int tag, unsigned char *end)
{
	put(put(put(out, (uint64_t)(end - out), 4), (uint64_t)type, 1), (uint64_t)tag, 2);
	transfer(give, fd, out, (size_t)(end - out));
}

/* A reply, which must be no error. */
static void hear(int fd)
{
	uint32_t size;

	transfer(read, fd, in, 7);
	size = in[0] | in[1] << 8 | in[2] << 16 | (uint32_t)in[3] << 24;
	transfer(read, fd, in + 7, size - 7);
	if (in[4] == 7) {
		errno = in[7];
		die("error reply");
	}
}

static void ask(int fd, int type, int tag, int fid, uint64_t offset, uint32_t count)
{
	unsigned char *p = put(out + 7, (uint64_t)fid, 4);

	if (count == LARGE)
		count = most - 24;
	if (type == TREAD || type == TWRITE)
		p = put(put(p, offset, 8), count, 4);
	if (type == TWRITE)
		p += count;
	if (type == TGETATTR)
		p = put(p, 0x7ff, 8);
	if (type == TLOPEN)
		p = put(p, 02, 4);
	finish(fd, type, tag, p);
}

static void walk(int fd, int newfid, const char *name)
{
	unsigned char *p = put(put(put(out + 7, ROOT, 4), (uint64_t)newfid, 4), name != NULL, 2);

	finish(fd, TWALK, 1, name ? put_string(p, name) : p);
}

static void create(int fd, int fid, const char *name)
{
	unsigned char *p = put_string(put(out + 7, (uint64_t)fid, 4), name);

	finish(fd, TLCREATE, 1, put(put(put(p, 0102, 4), 0644, 4), 0, 4));
}

static void begin(struct server *s, int i)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	const int fd = s->fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned char *p;
	char file[16];

	strcpy(name.sun_path, s->socket);
	while (connect(fd, (struct sockaddr *)&name, sizeof name) == -1) {
		if (waitpid(s->pid, NULL, WNOHANG))
			die(s->program);
		poll(NULL, 0, 1);
	}
	finish(fd, TVERSION, 0xffff, put_string(put(out + 7, most, 4), "9P2000.L"));
	hear(fd);
	most = in[7] | in[8] << 8 | in[9] << 16 | (uint32_t)in[10] << 24;
	p = put_string(put_string(put(put(out + 7, ROOT, 4), 0xffffffff, 4), "root"), s->dir);
	if (s == &servers[0])
		p = put_string(put_string(put(put(out + 7, ROOT, 4), 0xffffffff, 4), ""), "");
	finish(fd, TATTACH, 1, put(p, geteuid(), 4));
	hear(fd);
	snprintf(file, sizeof file, "file%d", i);
	walk(fd, FILE_FID, NULL);
	hear(fd);
	create(fd, FILE_FID, file);
	hear(fd);
	ask(fd, TWRITE, 1, FILE_FID, 0, LARGE);
	hear(fd);
}

/* ---- rows --------------------------------------------------------------- */

static const struct row {
	const char *name;
	int connections, depth, operations;
	int step[4];			/* messages of one operation; the rest 0 */
	uint32_t size;
} rows[] = {
	{ "read 4 KiB", 1, 1, 2000, { TREAD }, 4096 },
	{ "read 4 KiB, 16 under way", 1, 16, 4000, { TREAD }, 4096 },
	{ "read 4 KiB, 16 connections", 16, 1, 4000, { TREAD }, 4096 },
	{ "write 4 KiB", 1, 1, 2000, { TWRITE }, 4096 },
	{ "write 4 KiB, 16 under way", 1, 16, 4000, { TWRITE }, 4096 },
	{ "write 4 KiB, 16 connections", 16, 1, 4000, { TWRITE }, 4096 },
	{ "read large", 1, 1, 100, { TREAD }, LARGE },
	{ "read large, 4 under way", 1, 4, 100, { TREAD }, LARGE },
	{ "read large, 16 connections", 16, 1, 160, { TREAD }, LARGE },
	{ "write large", 1, 1, 100, { TWRITE }, LARGE },
	{ "write large, 16 connections", 16, 1, 160, { TWRITE }, LARGE },
	{ "walk, getattr, clunk", 1, 1, 1000, { TWALK, TGETATTR, TCLUNK }, 0 },
	{ "walk, getattr, clunk, 16 conn.", 16, 1, 1600, { TWALK, TGETATTR, TCLUNK }, 0 },
	{ "create, write, remove", 1, 1, 300, { TWALK, TLCREATE, TWRITE, TREMOVE }, 4096 },
	{ "create, write, remove, 16 conn.", 16, 1, 480, { TWALK, TLCREATE, TWRITE, TREMOVE }, 4096 },
};

#define ROWS	(sizeof rows / sizeof rows[0])

static void send_step(const struct row *row, int fd, int i, int step, int tag)
{
	const int type = row->step[step], fid = row->step[1] ? NEW_FID : FILE_FID;
	char name[16];

	snprintf(name, sizeof name, type == TLCREATE ? "new%d" : "file%d", i);
	if (type == TWALK)
		walk(fd, NEW_FID, row->step[1] == TGETATTR ? name : NULL);
	else if (type == TLCREATE)
		create(fd, NEW_FID, name);
	else
		ask(fd, type, tag, fid, 0, row->size);
}

/* Microseconds for an operation. */
static double measure(const struct row *row, const struct server *s)
{
	int i, steps = 1, left, under_way = 0, done[CONNECTIONS] = { 0 };
	struct timespec from, to;

	while (steps < 4 && row->step[steps])
		steps++;
	clock_gettime(CLOCK_MONOTONIC, &from);
	left = row->operations * steps;
	for (i = 0; i < row->connections * row->depth; i++, left--, under_way++)
		send_step(row, s->fd[i % row->connections], i % row->connections, 0, i);
	for (i = 0; under_way; i = (i + 1) % row->connections) {
		hear(s->fd[i]);
		under_way--;
		if (left-- > 0) {
			send_step(row, s->fd[i], i, ++done[i] % steps, in[5]);
			under_way++;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((double)(to.tv_sec - from.tv_sec) * 1e6 +
		(double)(to.tv_nsec - from.tv_nsec) / 1e3) / row->operations;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(double *values, int count, int quarter)
{
	qsort(values, (size_t)count, sizeof *values, compare);
	return values[(count - 1) * quarter / 4];
}

static void start(struct server *s, const char *program, int other)
{
	s->program = program;
	snprintf(s->dir, sizeof s->dir, "/tmp/bench-ninep.XXXXXX");
	if (!mkdtemp(s->dir))
		die("mkdtemp");
	snprintf(s->socket, sizeof s->socket, "%s.socket", s->dir);
	s->pid = fork();
	if (s->pid)
		return;
	if (other)
		execlp(program, program, "-f", "-n", "-N", "-e", s->dir, "-l", s->socket, NULL);
	else {
		char where[96];

		strcat(strcpy(where, "unix:"), s->socket);
		execlp(program, program, s->dir, where, NULL);
	}
	_exit(127);
}

static void stop(struct server *s)
{
	char command[200];

	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
	snprintf(command, sizeof command, "rm -rf %s %s", s->dir, s->socket);
	if (system(command))		/* NOLINT(cert-env33-c) */
		die("rm");
}

int main(int argc, char **argv)
{
	int rounds = 21, round, i, c;
	size_t row;

	while ((c = getopt(argc, argv, "n:")) != -1)
		rounds = c == 'n' ? atoi(optarg) : 0;
	if (argc - optind != 2 || rounds < 1 || rounds > 1000) {
		fprintf(stderr, "usage: ninep [-n ROUNDS] SERVER OTHER\n");
		return 2;
	}
	for (i = 1; i >= 0; i--) {
		start(&servers[i], argv[optind + i], i);
		for (c = 0; c < CONNECTIONS; c++)
			begin(&servers[i], c);
	}
	printf("large: %u bytes\n", most - 24);
	printf("%-34s %10s %10s   ratio (quartiles)\n", "us for an operation", "server", "other");
	for (row = 0; row < ROWS; row++) {
		static double times[2][1000], ratios[1000];

		for (round = -1; round < rounds; round++) {
			double took[2];

			for (i = 0; i < 2; i++)
				took[(i + round) & 1] = measure(&rows[row], &servers[(i + round) & 1]);
			if (round < 0)
				continue;	/* to warm up */
			times[0][round] = took[0];
			times[1][round] = took[1];
			ratios[round] = took[0] / took[1];
		}
		printf("%-34s %10.1f %10.1f   %.2f (%.2f %.2f)\n", rows[row].name,
		       quantile(times[0], rounds, 2), quantile(times[1], rounds, 2),
		       quantile(ratios, rounds, 2), quantile(ratios, rounds, 1),
		       quantile(ratios, rounds, 3));
		fflush(stdout);
	}
	stop(&servers[0]);
	stop(&servers[1]);
	return 0;
}
