/* SPDX-License-Identifier: MIT */
/* The end of a child against read with SA_RESTART, as a shell or a server waits. */
#include "race.h"

static int fd[2];
static volatile long reaped;

static void on_child(int sig)
{
	int saved = errno;
	char c = 'c';

	(void)sig;
	aim_handler();
	while (waitpid(-1, NULL, WNOHANG) > 0)
		reaped++;
	if (write(fd[1], &c, 1) != 1)
		_exit(4);
	errno = saved;
}

static void prepare(void)
{
	need(pipe(fd) == 0);
	race_handle(SIGCHLD, on_child, SA_RESTART);
}

/* The child ends at once, and the parent spends the time until about then. */
static void round_(long i)
{
	pid_t child;
	char c;

	(void)i;
	reaped = 0;
	aim_entered = 0;
	child = fork();
	if (child == 0)
		_exit(0);
	aim_wait();
	if (read(fd[0], &c, 1) != 1 || reaped != 1)
		race_shared->wrong++;
	aim_correct();
}

int main(void)
{
	return race("race_chld", prepare, round_);
}
