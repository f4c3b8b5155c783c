/* SPDX-License-Identifier: MIT */
/* Two processes that wake each other by turns, each blocking the signal but in sigsuspend. */
#include "race.h"

static volatile sig_atomic_t came;
static sigset_t open_mask;
static pid_t partner;

static void on_usr1(int sig)
{
	(void)sig;
	came++;
}

static void await(void)
{
	while (!came)
		sigsuspend(&open_mask);
	came--;
}

static void dally(void)
{
	volatile unsigned n = aim_dither(200);

	while (n)
		n--;
}

static void answers(pid_t other)
{
	for (;;) {
		await();
		dally();
		if (kill(other, SIGUSR1))
			_exit(0);
		dally();
	}
}

static void prepare(void)
{
	pid_t self = getpid();
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	need(sigprocmask(SIG_BLOCK, &block, &open_mask) == 0);
	sigdelset(&open_mask, SIGUSR1);
	race_handle(SIGUSR1, on_usr1, SA_RESTART);
	partner = fork();
	need(partner >= 0);
	if (partner == 0) {
		aim_random += 777;
		answers(self);
	}
}

static void round_(long i)
{
	(void)i;
	kill(partner, SIGUSR1);
	dally();
	await();
	if (came)
		race_shared->wrong++;
	if (race_shared->done + 1 == race_number("RACE_ROUNDS", 1000))
		kill(partner, SIGKILL);
}

int main(void)
{
	return race("race_suspend", prepare, round_);
}
