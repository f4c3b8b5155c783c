/* SPDX-License-Identifier: MIT */
/*
 * News of a child against read with SA_RESTART, as a shell or a server waits: it was stopped, was
 * continued, and in some of the rounds ended, which takes longer.
 */
#include "race.h"

enum { LIFE = 64 };			/* rounds, and an even number */

static int fd[2];
static volatile int news;
static pid_t child;

static void on_child(int sig)
{
	int saved = errno;
	char c = 'c';

	(void)sig;
	aim_handler();
	while (waitpid(child, NULL, WNOHANG | WUNTRACED | WCONTINUED) > 0)
		news++;
	if (write(fd[1], &c, 1) != 1)
		_exit(4);
	errno = saved;
}

static void prepare(void)
{
	need(pipe(fd) == 0);
	race_handle(SIGCHLD, on_child, SA_RESTART);
	child = 0;
}

static void start_child(void)
{
	child = fork();
	need(child >= 0);
	if (child == 0)
		for (;;)
			pause();
}

/* After a loss another process goes on in the middle of what would have been the child's life. */
static void round_(long i)
{
	static const int signals[2] = { SIGSTOP, SIGCONT };
	static int sent;
	char c;

	(void)i;
	if (!child) {
		start_child();
		sent = 0;
	}
	news = 0;
	aim_entered = 0;
	kill(child, sent == LIFE ? SIGKILL : signals[sent % 2]);
	aim_wait();
	if (read(fd[0], &c, 1) != 1 || news != 1)
		race_shared->wrong++;
	aim_correct();
	if (sent++ == LIFE)
		child = 0;
}

int main(void)
{
	return race("race_chld", prepare, round_);
}
