/* SPDX-License-Identifier: MIT */
/* parts.h - what the files of the runtime know of each other */
#ifndef GREEN_PARTS_H
#define GREEN_PARTS_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <safe_syscall.h>
#include "green.h"
#include "loop.h"

#define STACK ((size_t)(256 + 16) << 10)	/* with room for the tick's frame */
#define NEVER INT64_MAX

enum state { FREE, RUNNING, PREPARING, PARKED };	/* of a task: green.c */
enum life { GONE, ALIVE, DETACHED, ENDED };		/* ended, but not joined */
enum after { NOTHING, REQUEUE, PARK, CALL, PIN, END };	/* what becomes of one that is left */
enum done { WAITS, SERVED, CLOSED, LATE };		/* what came of a wait */

/* A task waits in a line: for an item, a descriptor, a time, or another's end. */
struct wait {
	struct green *task;
	void *item;			/* to be taken, or where to put it */
	short events;
	atomic_int done;
	struct line *line;
	struct wait *next, **at;
};

struct line {
	struct wait *first, **last;	/* last: not where it is empty */
};

struct fiber {				/* what AddressSanitizer knows of a stack */
	void *fake;
	const void *bottom;
	size_t size;
};

struct exceptions {			/* of a thread, as C++ has them */
	void *caught;
	unsigned int thrown;
};

struct green {
	void *sp;			/* where it goes on */
	struct green *next;		/* in a list */
	char *stack;			/* its lowest byte, of the guard */
	int unguarded;			/* it has none */
	void (*fn)(void *);
	void *arg;
	volatile int flag;		/* cancelled; what the stub looks at */
	volatile int inside;		/* in the runtime, and not to be put aside */
	int error;			/* its errno, while it does not run */
	int refused;			/* why it got no thread for its call */
	atomic_int state;
	enum life life;
	struct line joiner;
	const char *where;		/* what it waits in */
	const void *object;		/* of other tasks, which it waits for; or null */
	unsigned long number;
	safe_syscall_scope scope;	/* of its calls on a thread of its own */
	struct fiber fiber;
	struct exceptions exceptions;	/* while it does not run */
};

struct list {
	struct green *first, *last;
	atomic_int count;
};

extern struct loop *green_loop;
extern atomic_int green_in_loop;	/* so many tasks wait there */

struct green *green_enter(const char *who);	/* the calling task, now inside; or abort */
void green_leave(struct green *g);
int green_within(int inside);		/* of any thread or handler; what it was before */
int green_fail(int error);
void green_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void green_append(struct list *list, struct green *g);
struct green *green_first(struct list *list);	/* taken off, or null */
/* Leaves the processor to others; what comes next is done when the task's stack is left. */
void green_switch(enum after after);

/* What guards a line is held for the first three, and not in the last one. */
void green_line_up(struct line *line, struct wait *w);
void green_step_out(struct wait *w);
void green_serve(struct wait *w, enum done done);	/* then it may be gone */
/* Returns what came of it; WAITS: its task is cancelled, and it may still be in line. */
enum done green_wait(struct wait *w, const char *where, const void *object);

/* wait.c: times are of CLOCK_MONOTONIC.  0: it may be ready; or -ETIMEDOUT, -ECANCELED, ... */
int64_t green_now(void);
int64_t green_after(int64_t ns);
int green_wait_fd(const char *where, int fd, short events, int64_t deadline);
/* With ALONE one at a time is told, until that has said that its call is made. */
enum { ALONE = 0x4000 };
void green_waited(int fd, short events);
int green_watch(void);			/* before all, and behind all */
void green_unwatch(void);

/* stack.c: a task and its stack, which belong to each other; guarded by the tasks' lock */
enum { SLAB = 64 };
struct slab {
	struct slab *next;
	char *stacks;
	struct green tasks[SLAB];
};
extern struct slab *green_slabs;
extern size_t green_guard;
struct green *green_new(void);
void green_free(struct green *g);
void green_free_all(void);

/* x86_64.S and so on, or context.c */
void green_jump(void **save, void *to);
void *green_prepare(char *top, void (*entry)(void));
uintptr_t green_pc(const void *ucontext);	/* 0: where libraries come along, too */

#endif
