/* SPDX-License-Identifier: MIT */
/* An alarm against pause, and by turns against sigsuspend with an open mask: the handler jumps out. */
#include "race.h"

static sigjmp_buf back;

static void on_alarm(int sig)
{
	(void)sig;
	aim_handler();
	siglongjmp(back, 1);
}

static void prepare(void)
{
	race_handle(SIGALRM, on_alarm, 0);
}

static void round_(long i)
{
	sigset_t none;

	sigemptyset(&none);
	if (sigsetjmp(back, 1) == 0) {
		race_arm();
		aim_wait();
		for (;;)
			(void)(i & 1 ? sigsuspend(&none) : pause());
	}
	aim_correct();
}

int main(void)
{
	return race("race_pause", prepare, round_);
}
