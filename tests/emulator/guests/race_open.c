/* SPDX-License-Identifier: MIT */
/* A timer against the opening of a FIFO that has no writer until the handler opens it. */
#include <fcntl.h>
#include <sys/stat.h>
#include "race.h"

static volatile int writer = -1;

static void on_alarm(int sig)
{
	(void)sig;
	aim_handler();
	writer = open("fifo", O_RDWR | O_NONBLOCK);
}

static void prepare(void)
{
	unlink("fifo");
	need(mkfifo("fifo", 0600) == 0);
}

/* By turns with SA_RESTART, where the call must succeed, and without, where EINTR is right as well. */
static void round_(long i)
{
	int fd;

	race_handle(SIGALRM, on_alarm, i & 1 ? SA_RESTART : 0);
	race_arm();
	aim_wait();
	fd = open("fifo", O_RDONLY);
	if (writer < 0 || (fd < 0 && ((i & 1) || errno != EINTR)))
		race_shared->wrong++;
	close(fd);
	close(writer);
	writer = -1;
	aim_correct();
}

int main(void)
{
	int status = race("race_open", prepare, round_);

	unlink("fifo");
	return status;
}
