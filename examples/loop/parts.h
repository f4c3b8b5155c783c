/* SPDX-License-Identifier: MIT */
/* parts.h - what the files of the loop know of each other */
#ifndef LOOP_PARTS_H
#define LOOP_PARTS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define AO_REQUIRE_CAS
#include <atomic_ops.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include <safe_syscall.h>
#include "loop.h"

#define NEVER INT64_MAX

/* Bottom halves and timers, for loop_free(): each begins with this. */
struct part {
	struct loop *loop;
	struct part *next, **at;
	void (*run)(void *);
	void *opaque;
};

/* What is set for a descriptor. */
struct watch {
	void (*readable)(void *), (*writable)(void *);
	void *opaque;
	unsigned int change;		/* the number of the change that made it so */
	enum { UNKNOWN, POLLED, ALWAYS } kind;
	int next;			/* of those that are always ready, or -1 */
};

/* A poller that is served too, as glib.c makes one. */
struct guest {
	/* before each wait: fills fds from [1] on; returns until when to wait at most */
	int64_t (*prepare)(struct guest *, int64_t now);
	void (*dispatch)(struct guest *);	/* after each */
	void (*step_is_over)(struct guest *);
	void (*free)(struct guest *);
	struct loop *loop;
	struct pollfd *fds;
	unsigned int count;		/* with [0], which is the loop's */
};

struct loop {
	/* For anybody, at any time; loop.c tells how. */
	AO_t word, thread, owner, busy, status;
	volatile int64_t timeout[2];	/* the kernel's timespec: seconds and nanoseconds */
	AO_t scheduled;			/* bottom halves, the last one first */
	AO_t signals;			/* some have arrived */

	/* The rest is guarded by the lock; what waits for it, waits for `queue` first. */
	pthread_mutex_t queue, lock;
	safe_syscall_scope scope;
	int epoll, event, no_epoll_pwait2;
	int64_t now, until;		/* the last wait: its end, and when it was to end */
	int working, ran, woken, interrupted;	/* this step */
	struct part *parts;
	struct loop_bh *pending, **pending_end;
	struct loop_timer **heap;
	size_t timers, heap_used, heap_size;
	uint64_t timers_set;
	struct watch *watches;		/* by descriptor */
	unsigned int change, change_waited;	/* the last one; and when the wait began */
	int watches_size, always, always_next;
	struct child *children;
	int look_at_children;
	struct guest *guest;
	struct epoll_event events[64];
};

/* bits of loop->word */
#define WAITING	((AO_t)1)	/* or about to, or just about to have the lock again */
#define WOKEN	((AO_t)2)	/* the step is to end */
#define RELOOK	((AO_t)4)	/* only the wait, as there may be something to do */
#define STOPPED	((AO_t)8)	/* until loop_run() has returned */

/* Clears bits, then sets bits; returns the word as it was.  A full barrier between threads. */
static inline AO_t change(AO_t *word, AO_t clear, AO_t set)
{
	AO_t old;

	do
		old = AO_load(word);
	while (!AO_compare_and_swap_full(word, old, (old & ~clear) | set));
	return old;
}

/* loop.c */
void loop_wake(struct loop *l, AO_t why);
void *loop_part_new(struct loop *l, size_t size, void (*run)(void *), void *opaque);
void loop_part_free(struct part *part);
/* fd.c */
int loop_fds_start(struct loop *l);
void loop_fds_run(struct loop *l, int events);
/* bh.c */
void loop_bhs_take(struct loop *l);
void loop_bhs_run(struct loop *l, int idle_too);
/* timer.c */
int64_t loop_timers_next(const struct loop *l);
void loop_timers_run(struct loop *l);
/* process.c */
void loop_signals_run(struct loop *l);
void loop_children_run(struct loop *l);
void loop_processes_free(struct loop *l);

#endif
