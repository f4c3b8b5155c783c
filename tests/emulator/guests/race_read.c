/* SPDX-License-Identifier: MIT */
/* An alarm against read with SA_RESTART: the handler writes what the read then finds. */
#include "race.h"

static int fd[2];
static volatile long count;

static void on_alarm(int sig)
{
	char c = sig;

	aim_handler();
	count++;
	if (write(fd[1], &c, 1) != 1)
		_exit(4);
}

static void prepare(void)
{
	need(pipe(fd) == 0);
	race_handle(SIGALRM, on_alarm, SA_RESTART);
}

static void round_(long i)
{
	char c = 0;

	(void)i;
	count = 0;
	race_arm();
	aim_wait();
	if (read(fd[0], &c, 1) != 1 || c != SIGALRM || count != 1)
		race_shared->wrong++;
	aim_correct();
}

int main(void)
{
	return race("race_read", prepare, round_);
}
