/* SPDX-License-Identifier: MIT */
/*
 * race.h - what the race programs have in common.
 *
 * In every round a signal is aimed at the moment in which the program begins
 * to block, in a call that would block for ever.  The handler sees to it that
 * the call ends, whether it runs before the call, in it, or never entered it:
 * so on a kernel no round can hang.  Under an emulator that looks whether a
 * signal is there and then makes the call, one that comes between the two is
 * not handled before the call ends, which it never does.
 *
 * A second process watches.  A round without an end counts as lost, its
 * process is killed, and a new one goes on with the next round.
 *
 * In the environment: RACE_ROUNDS; RACE_PATIENCE, the seconds after which a
 * round counts as lost, which is no measure of anything but a hang; and
 * RACE_MOST, the number of losses that are enough.
 */
#ifndef RACE_H
#define RACE_H

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "guest.h"

struct race_shared {
	volatile long done;		/* rounds begun and ended */
	volatile long wrong;		/* rounds that ended with a wrong count */
};

static struct race_shared *race_shared;

static long race_number(const char *name, long otherwise)
{
	const char *value = getenv(name);

	return value && *value ? atol(value) : otherwise;
}

/*
 * The aim: so many turns of a loop lie between arming the timer and the call.
 * Where the handler found that the call had not been entered yet, the loop was
 * too long.  This finds the moment on a machine of any speed, and the dither
 * covers what is around it.
 */
static volatile long aim_spin = 100;
static volatile int aim_entered, aim_seen;
static unsigned aim_random = 12345;

static unsigned aim_dither(unsigned below)
{
	aim_random = aim_random * 1103515245 + 12345;
	return (aim_random >> 8) % below;
}

__attribute__((unused)) static void aim_wait(void)
{
	volatile long n = aim_spin + aim_dither(aim_spin / 16 + 20);

	while (n > 0)
		n--;
	aim_entered = 1;
}

__attribute__((unused)) static void aim_handler(void)
{
	aim_seen = aim_entered;
}

__attribute__((unused)) static void aim_correct(void)
{
	long step = aim_spin / 64 + 1;

	if (aim_seen)
		aim_spin += step;
	else if (aim_spin > step)
		aim_spin -= step;
}

__attribute__((unused)) static void race_arm(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 40 } };

	aim_entered = 0;
	if (setitimer(ITIMER_REAL, &soon, NULL))
		_exit(3);
}

__attribute__((unused)) static void race_handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	sigfillset(&sa.sa_mask);
	need(sigaction(sig, &sa, NULL) == 0);
}

static void race_run(void (*prepare)(void), void (*round)(long), long rounds)
{
	setpgid(0, 0);
	prepare();
	while (race_shared->done < rounds) {
		round(race_shared->done);
		race_shared->done++;
	}
	_exit(0);
}

/* Waits for the end of child; 0 when it did not come forward for so long, and was killed. */
static int race_watch(pid_t child, long patience)
{
	long long since = now_ms();
	long done = race_shared->done;
	int status;

	while (waitpid(child, &status, WNOHANG) == 0) {
		if (race_shared->done != done) {
			done = race_shared->done;
			since = now_ms();
		} else if (now_ms() - since > patience * 1000) {
			setpgid(child, child);
			kill(-child, SIGKILL);
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return 0;
		}
		nap(10);
	}
	if (status) {
		printf("FAILED: the process that raced ended with status %x\n", status);
		exit(2);
	}
	return 1;
}

static int race(const char *name, void (*prepare)(void), void (*round)(long))
{
	long rounds = race_number("RACE_ROUNDS", 1000), lost = 0;
	long patience = race_number("RACE_PATIENCE", 30), most = race_number("RACE_MOST", 1);

	race_shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(race_shared != MAP_FAILED);
	while (race_shared->done < rounds && lost < most) {
		pid_t child = fork();

		need(child >= 0);
		if (child == 0) {
			aim_random += lost;
			race_run(prepare, round, rounds);
		}
		if (!race_watch(child, patience)) {
			lost++;
			race_shared->done++;
		}
	}
	printf("%s: %ld rounds, %ld lost, %ld wrong\n", name, race_shared->done, lost,
	       race_shared->wrong);
	return lost || race_shared->wrong;
}

#endif
