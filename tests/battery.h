/* SPDX-License-Identifier: MIT */
/*
 * battery.h - what programs do to files, in one directory and then in another one; and
 * programs that do as they are told, and can be killed while they do it.
 */
#ifndef BATTERY_H
#define BATTERY_H

#include <sys/types.h>

/*
 * Does it all in the directory, which is empty and which others see as back; and writes a
 * line about each call to log, which is the same for any two directories that are as Linux
 * has them.  files: how many of them the big directory has; slow: how many of these are
 * made in the directory, the others in back.  big: how big a file is (at most 1.5 MiB).
 * The caller is root.
 */
struct battery {
	const char *dir, *back;
	int log, files, slow;
	size_t big;
};

void battery(const struct battery *b);

/* Whom the battery does things as, besides root; and another group that this user is in. */
enum { USER = 1000, GROUP = 2000 };

/* ---- programs that do as they are told ---------------------------------- */

/* One of the jobs below, or another: its result is the program's answer, and so is errno. */
typedef long job(const char *name, long a, long b);

struct peer {
	pid_t pid;
	int fd;
};

void peer_new(struct peer *p);
void peer_start(const struct peer *p, job *run, const char *name, long a, long b);
long peer_end(const struct peer *p);
long peer_does(const struct peer *p, job *run, const char *name, long a, long b);
int peer_sleeps(const struct peer *p);		/* 1: it waits in its job; 0: that is done */
void peer_kill(struct peer *p);			/* and returns when it is gone */
void peer_free(struct peer *p);

/* All of them but the first act on the descriptor that this one opened. */
job opens;		/* flags, mode */
job closes;
job reads;		/* how much */
job writes;		/* the name is what */
job lists;		/* reads a directory: how many entries */
job locks;		/* fcntl: F_RDLCK, F_WRLCK, F_UNLCK; the byte, or -1 for all */
job waits;		/* the same, until it has the lock */
job owner;		/* who is in the way of a F_WRLCK of the byte; 0: nobody */
job flocks;		/* LOCK_* */

#endif
