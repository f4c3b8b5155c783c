/* SPDX-License-Identifier: MIT */
/* sandbox.h - what the files of safe-sandbox know of each other */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "loop.h"

/* ---- calls: tables of them ---------------------------------------------- */

/*
 * A number as text, as the headers of this machine have it, such as "2" or "(4000 + 5)".  Of a
 * call that it does not have the name is left: then call_number() is -1, and no table needs an
 * #ifdef.
 */
#define TEXT_(number)	#number
#define TEXT(number)	TEXT_(number)
#define CALL(name)	#name, TEXT(SYS_##name)

long call_number(const char *text);

/* What the filter makes of a call. */
enum verdict {
	BROKER, ALLOW, REFUSE, MISSING, PRETEND,
	EXEC,				/* broker it where there is no Landlock */
	OPEN1, OPEN2,			/* unless flags, that argument, have O_PATH */
	LOOK				/* that and more: filter.c has lines about its arguments */
};

struct request;

/* A call for the broker, and which arguments are what. */
enum place { DIR0, PATH0, FLAGS, MODE, DIR1, PATH1, PLACES };
struct operation {
	const char *name, *number;
	long (*run)(struct request *r);
	signed char at[PLACES];		/* -1: has none, and is then */
	int flags;
	char what;
	enum verdict verdict;
};
extern const struct operation operations[];

/* filter.c: the listener of the filter that the caller lives with from now on; -1 and errno */
int filter_install(uint32_t arch, bool landlock, bool verbose);

/* ---- policy.c: what -r, -w and -c allow --------------------------------- */

enum { MAY_READ = 1, MAY_WRITE = 2 };

int policy_path(const char *path, int rights);		/* -1 and errno */
const char *policy_address(const char *address);	/* null, or what is wrong */
bool policy_below(const char *path, int rights);	/* as the kernel has that path */
bool policy_peer(const struct sockaddr_storage *peer);
bool policy_landlock(void);		/* for the caller, and all that comes of it */
void policy_close(void);		/* what only the above needed */

/* ---- request.c: requests, and the threads that make them ----------------- */

struct task;

struct request {
	union {
		struct seccomp_notif notif;
		char room[512];		/* for what kernels may add */
	};
	const struct operation *operation;
	struct task *task;
	pid_t tid, tgid;
	safe_syscall_scope scope;
	bool blocks, waits, signalled, dead;	/* with the task's mutex */
	long long until;		/* when a wait that goes on is over, by CLOCK_MONOTONIC */
	/* the outcome, beside a result: */
	bool go_on;			/* the kernel makes the call, as nothing can change it */
	int fd;				/* to be the program's, else -1 */
	uint32_t fd_flags;
	/* what is asked */
	int base[2];			/* where a relative one begins */
	char path[2][PATH_MAX];
};

extern struct loop *sandbox_loop;
extern bool sandbox_verbose, sandbox_landlock;
extern int sandbox_listener;
extern uint32_t sandbox_arch;		/* of seccomp */

/* ---- main.c ------------------------------------------------------------------ */

void log_line(const char *text, size_t size);	/* to the standard error output, soon */

int request_start(pid_t child, bool others);		/* 0, or an error */
void request_end(int status);		/* all tasks are killed, then the loop stops */
void request_forward(int signum);	/* to the program */
int request_may_wait(struct request *r);	/* before a call that does: 0, or the error that it has */
bool request_valid(struct request *r);	/* is it still that thread's? */

bool task_inside(pid_t pid);
/* What is behind key in a line of a file, or of /proc/TID/status; base 0: a letter; -1: nothing */
long long number_in(const char *file, const char *key, int base);
long long task_status(pid_t tid, const char *key, int base);
/* A call about a process or thread inside, whose pid can't be somebody else's meanwhile; or -ESRCH. */
long task_call(pid_t pid, pid_t sender, long number, const safe_syscall_word *args);
long task_signal_group(pid_t group, pid_t but, int signum, pid_t sender);

/* ---- resolve.c: a path becomes objects ----------------------------------- */

enum { FOLLOW = 1, PARENT = 2 };	/* the last link; the directory and a name are enough */

struct found {
	int object, parent;		/* O_PATH, or -1 */
	char name[NAME_MAX + 2];
	int own;			/* a descriptor of the program's: what it may do with it */
};

int resolve(struct request *r, int which, int how, struct found *f);	/* 0 or -errno */
int resolve_fd(struct request *r, struct found *f);	/* DIR0 itself */
void forget(struct found *f);
bool resolve_allows(int fd, int rights, int own);
bool split(char *path, char *name);
int base_of(struct request *r, int dirfd);
int take_fd(pid_t tid, int number);	/* a copy of a thread's descriptor, or -errno */

/* ---- broker.c -------------------------------------------------------------- */

long broker(struct request *r);		/* a result, or -errno */
const struct operation *broker_find(const struct seccomp_data *data);	/* null: get ready */

#endif
