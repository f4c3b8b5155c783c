/* SPDX-License-Identifier: MIT */
/* parts.h - what the files of the loop know of each other; loop.c tells of the first few */
#pragma once
#define AO_REQUIRE_CAS
#include <atomic_ops.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <safe_syscall.h>
#include "loop.h"

enum { EVENTS = 64 };			/* in a step, at most */

struct loop {
	AO_t word, thread, owner, busy, status;
	volatile int64_t timeout[2];	/* the kernel's timespec: seconds and nanoseconds */
	AO_t scheduled;			/* bottom halves, the last one first */
	/* The rest is guarded by the lock; what waits for it, waits for `queue` first. */
	pthread_mutex_t queue, lock;
	int epoll, event, no_pwait2;
	int events_came;		/* in so many waits, the last ones */
	int sigchld;			/* is needed for children */
	pid_t process;			/* which has set signals */
	safe_syscall_scope scope;	/* in which it waits */
	int64_t now;			/* loop_now() */
	int ran, woken;			/* in this step */
	struct loop_bh *bhs;		/* all there are */
	int64_t idle_until;		/* when the next idle one may run */
	struct due { int64_t when; struct loop_timer *timer; } *heap;	/* from [1] on */
	size_t heap_room, timers, timers_set;
	struct watch *watches;		/* by descriptor */
	size_t room;			/* there */
	unsigned int change;		/* the number of the last one */
	struct glib *glib;
	struct pollfd own, *polled;	/* [0] is the epoll set; the others are glib.c's */
	unsigned int polled_count;
	struct epoll_event events[EVENTS];
};

/* bits of loop->word */
#define WAITING	((AO_t)1)	/* or about to, or just about to have the lock again */
#define WOKEN	((AO_t)2)	/* the step is to end */
#define RELOOK	((AO_t)4)	/* only the wait, as there may be something to do */
#define STOPPED	((AO_t)8)	/* until loop_run() has returned */

void loop_wake(struct loop *l, AO_t why);
int64_t loop_now(struct loop *l);

/* glib.c, which is only linked, and these are only called, where loop_glib() is */
__attribute__((weak)) int64_t loop_glib_prepare(struct loop *l, int64_t until);
__attribute__((weak)) void loop_glib_dispatch(struct loop *l, int go);	/* 0: only ends it */
__attribute__((weak)) void loop_glib_free(struct loop *l);
