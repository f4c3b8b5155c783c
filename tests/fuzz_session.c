/* SPDX-License-Identifier: MIT */
/*
 * fuzz_session.c - the file server under libFuzzer: each input is what a client sends after
 * it has attached.  Then it closes the connection, maybe in the middle of everything, and
 * the session must end.  tests/fuzz.sh builds and runs it.  Not as root, which could make
 * a device, open it and write to it.
 */
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "server.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static char dir[] = "/tmp/fuzz-ninep.XXXXXX";

static void must(bool right, const char *what)
{
	if (!right) {
		perror(what);
		abort();
	}
}

static void *serve(void *unused)
{
	request_work();
	return unused;
}

static void clean(void)
{
	char command[2 * sizeof dir + 32];

	snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", dir, dir);
	must(!system(command), command);	/* NOLINT(cert-env33-c) */
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	pthread_t thread;

	(void)argc, (void)argv;
	if (!geteuid())
		must(!setgroups(0, NULL) && !setgid(65534) && !setuid(65534), "setuid");
	signal(SIGPIPE, SIG_IGN);
	must(mkdtemp(dir) && !chdir(dir), dir);
	must(!file_export(dir), "export");
	must(!safe_syscall_init(0) && (server_loop = loop_new()), "loop");
	request_threads = 8;
	must(!pthread_create(&thread, NULL, serve, NULL), "thread");
	atexit(clean);
	return 0;
}

/* A client may take the directory's own permissions away. */
static void tree(void)
{
	must(!chmod(dir, 0700), dir);
	must(!mkdir("d", 0755) || errno == EEXIST, "d");
	must(!mkfifo("p", 0644) || errno == EEXIST, "p");
	must(!symlink("d", "l") || errno == EEXIST, "l");
	close(open("f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static unsigned char hello[] = "\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\0" "9P2000.L"
		"\x17\0\0\0\x68\1\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff";
	static unsigned int count;
	char reply[65536];
	int pair[2];

	if (!(count++ % 512))
		tree();
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	loop_lock(server_loop);
	must(!client_new(pair[1], pair[1]), "client");
	loop_unlock(server_loop);
	must(write(pair[0], hello, sizeof hello - 1) == sizeof hello - 1, "hello");
	/* no more than finds room, and the server may have closed it already */
	send(pair[0], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (size && data[size - 1] % 2)
		recv(pair[0], reply, sizeof reply, 0);
	shutdown(pair[0], SHUT_WR);
	while (recv(pair[0], reply, sizeof reply, 0) > 0)
		;
	close(pair[0]);
	return 0;
}
