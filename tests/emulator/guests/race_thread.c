/* SPDX-License-Identifier: MIT */
/* A signal aimed at another thread, which is about to block in read with SA_RESTART. */
#include <pthread.h>
#include "race.h"

static pthread_t reader;
static int fd[2];
static volatile int turn, entered;

static void on_usr1(int sig)
{
	char c = 't';

	(void)sig;
	aim_seen = entered;
	if (write(fd[1], &c, 1) != 1)
		_exit(4);
}

static void *reads(void *unused)
{
	int mine = 0;
	char c;

	for (;;) {
		while (turn == mine)
			sched_yield();
		mine = turn;
		entered = 1;
		if (read(fd[0], &c, 1) != 1)
			race_shared->wrong++;
		entered = 2;
	}
	return unused;
}

static void prepare(void)
{
	need(pipe(fd) == 0);
	race_handle(SIGUSR1, on_usr1, SA_RESTART);
	need(pthread_create(&reader, NULL, reads, NULL) == 0);
}

static void round_(long i)
{
	(void)i;
	entered = 0;
	turn++;
	/* On one processor it would have to wait for the end of this one's time. */
	sched_yield();
	while (!entered)
		sched_yield();
	aim_wait();
	pthread_kill(reader, SIGUSR1);
	while (entered != 2)
		sched_yield();
	/* Aimed at a little after the reader's word, by no more than a few hundred turns. */
	aim_spin = aim_dither(300) + 1;
}

int main(void)
{
	return race("race_thread", prepare, round_);
}
