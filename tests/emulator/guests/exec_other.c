/* SPDX-License-Identifier: MIT */
/* What exec runs; alone, it prints its arguments. */
#include <fcntl.h>
#include <signal.h>
#include "guest.h"

extern char **environ;

static int signals(void)
{
	struct sigaction sa;
	sigset_t set;

	sigaction(SIGUSR1, NULL, &sa);
	check(sa.sa_handler == SIG_DFL);
	sigaction(SIGUSR2, NULL, &sa);
	check(sa.sa_handler == SIG_IGN);
	sigprocmask(SIG_BLOCK, NULL, &set);
	want(sigismember(&set, SIGHUP), 1);
	want(sigismember(&set, SIGUSR1), 0);
	sigpending(&set);
	want(sigismember(&set, SIGHUP), 0);
	return guest_end();
}

static int descriptors(void)
{
	want_error(fcntl(40, F_GETFD), EBADF);
	want(fcntl(41, F_GETFD), 0);
	want(write(41, "here", 4), 4);
	return guest_end();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "arguments";
	char number[16];
	int i;

	if (!strcmp(what, "signals"))
		return signals();
	if (!strcmp(what, "fds"))
		return descriptors();
	if (!strcmp(what, "exit"))
		return atoi(argv[2]);
	if (!strcmp(what, "kill")) {
		kill(getpid(), atoi(argv[2]));
		return 99;
	}
	if (!strcmp(what, "again") && atoi(argv[2]) > 0) {
		snprintf(number, sizeof(number), "%d", atoi(argv[2]) - 1);
		printf("again: %s\n", argv[2]);
		execl("/proc/self/exe", "again", "again", number, (char *)NULL);
		return 98;
	}
	if (!strcmp(what, "again"))
		return 33;
	for (i = 1; i < argc; i++)
		printf("argument %d: '%s'\n", i, argv[i]);
	for (i = 0; !strcmp(what, "environment") && environ[i]; i++)
		printf("environment: '%s'\n", environ[i]);
	return 42;
}
