/* SPDX-License-Identifier: MIT */
/* A signal aimed at another thread, which is about to block in read with SA_RESTART. */
#include <pthread.h>
#include "race.h"

static pthread_t reader;
static int fd[2], begin[2], near[2], end[2];

static void tell(int to)
{
	char c = 't';

	if (write(to, &c, 1) != 1)
		_exit(4);
}

static void hear(int from)
{
	char c;

	if (read(from, &c, 1) != 1)
		race_shared->wrong++;
}

static void on_usr1(int sig)
{
	(void)sig;
	aim_handler();
	tell(fd[1]);
}

static void *reads(void *unused)
{
	for (;;) {
		hear(begin[0]);
		aim_entered = 0;
		tell(near[1]);
		aim_wait();
		hear(fd[0]);
		tell(end[1]);
	}
	return unused;
}

static void prepare(void)
{
	need(pipe(fd) == 0 && pipe(begin) == 0 && pipe(near) == 0 && pipe(end) == 0);
	race_handle(SIGUSR1, on_usr1, SA_RESTART);
	need(pthread_create(&reader, NULL, reads, NULL) == 0);
}

/* By pipes, and not by looking: there may be one processor only, or others who want it. */
static void round_(long i)
{
	(void)i;
	tell(begin[1]);
	hear(near[0]);
	pthread_kill(reader, SIGUSR1);
	hear(end[0]);
	aim_correct();
}

int main(void)
{
	return race("race_thread", prepare, round_);
}
