/* SPDX-License-Identifier: MIT */
/* Three timers that end together against futex, whose word every handler changes. */
#include <linux/futex.h>
#include <sys/syscall.h>
#include "race.h"

static timer_t timers[2];
static volatile int word;

static void on_timer(int sig)
{
	(void)sig;
	aim_handler();
	word++;
}

static void prepare(void)
{
	const int signals[2] = { SIGUSR1, SIGRTMIN + 1 };
	struct sigevent event;
	int i;

	race_handle(SIGALRM, on_timer, SA_RESTART);
	for (i = 0; i < 2; i++) {
		race_handle(signals[i], on_timer, i ? SA_RESTART : 0);
		memset(&event, 0, sizeof(event));
		event.sigev_notify = SIGEV_SIGNAL;
		event.sigev_signo = signals[i];
		need(timer_create(CLOCK_MONOTONIC, &event, &timers[i]) == 0);
	}
}

static void round_(long i)
{
	struct itimerspec soon = { { 0, 0 }, { 0, 60000 } };
	int now;

	(void)i;
	word = 0;
	timer_settime(timers[0], 0, &soon, NULL);
	soon.it_value.tv_nsec = 50000;
	timer_settime(timers[1], 0, &soon, NULL);
	race_arm();
	aim_wait();
	while ((now = word) < 3)
		syscall(SYS_futex, &word, FUTEX_WAIT, now, NULL, NULL, 0);
	if (word != 3)
		race_shared->wrong++;
	aim_correct();
}

int main(void)
{
	return race("race_futex", prepare, round_);
}
