/* SPDX-License-Identifier: MIT */
/* Three timers that end together against nanosleep; the handler of the last one jumps out. */
#include "race.h"

static sigjmp_buf back;
static timer_t timers[2];
static volatile int count;

static void on_timer(int sig)
{
	(void)sig;
	aim_handler();
	if (++count == 3)
		siglongjmp(back, 1);
}

static void prepare(void)
{
	const int signals[2] = { SIGUSR1, SIGRTMIN + 1 };
	struct sigevent event;
	int i;

	race_handle(SIGALRM, on_timer, 0);
	for (i = 0; i < 2; i++) {
		race_handle(signals[i], on_timer, SA_RESTART);
		memset(&event, 0, sizeof(event));
		event.sigev_notify = SIGEV_SIGNAL;
		event.sigev_signo = signals[i];
		need(timer_create(CLOCK_MONOTONIC, &event, &timers[i]) == 0);
	}
}

static void round_(long i)
{
	struct itimerspec soon = { { 0, 0 }, { 0, 60000 } };
	struct timespec t;

	(void)i;
	count = 0;
	if (sigsetjmp(back, 1) == 0) {
		timer_settime(timers[0], 0, &soon, NULL);
		soon.it_value.tv_nsec = 55000;
		timer_settime(timers[1], 0, &soon, NULL);
		race_arm();
		aim_wait();
		for (;;) {
			t.tv_sec = 1000000;
			t.tv_nsec = 0;
			nanosleep(&t, NULL);
		}
	}
	if (count != 3)
		race_shared->wrong++;
	aim_correct();
}

int main(void)
{
	return race("race_sleep", prepare, round_);
}
