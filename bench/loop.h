/* SPDX-License-Identifier: MIT */
/* loop.h - an event loop as bench/loop.c uses it, whose it may be */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

struct loop_calls {
	void *(*open)(void);
	void (*run)(void *loop);		/* until a callback says quit */
	void (*quit)(void *loop);
	void (*watch)(void *loop, int fd, void (*readable)(void));
	void (*on_wake)(void *loop, void (*woken)(void));
	void (*wake)(void *loop);		/* any thread */
	void *(*timer)(void *loop, void (*fired)(void));
	void (*look_at_clock)(void *loop);
	void (*set)(void *loop, void *timer, int ms);	/* from when the clock was looked at */
};

#endif
