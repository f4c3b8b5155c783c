/* SPDX-License-Identifier: MIT */
/*
 * wait.c - waiting in the loop, for descriptors and for a time
 *
 * Lines are guarded by the loop's lock, in which it calls on_readable() and so on.  A descriptor
 * is in the loop only while a task waits for it: it is its owner's, and may be closed, or shared.
 */
#include <poll.h>
#include <time.h>
#include "parts.h"

enum { DESCRIPTORS = 1 << 20 };		/* more than that no process has: fs.nr_open */

atomic_int green_in_loop;
static struct line lines[1 + DESCRIPTORS];	/* [0] is for a time only */

int64_t green_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t green_after(int64_t ns)
{
	int64_t now = green_now();

	return ns < 0 ? now : ns < NEVER - now ? now + ns : NEVER;
}

static void on_readable(void *line);
static void on_writable(void *line);

/* What the loop is to look for. */
static int update(struct line *line)
{
	const struct wait *w;
	short events = 0;

	if (line == lines)
		return 0;
	for (w = line->first; w; w = w->next)
		events |= w->events;
	return loop_fd(green_loop, (int)(line - lines) - 1, events & POLLIN ? on_readable : NULL,
		       events & POLLOUT ? on_writable : NULL, line);
}

static void serve(struct line *line, short events)
{
	struct wait *w, *next;

	for (w = line->first; w; w = next) {
		next = w->next;
		if (w->events & events)
			green_serve(w, SERVED);
	}
	update(line);
}

static void on_readable(void *line)
{
	serve(line, POLLIN);
}

static void on_writable(void *line)
{
	serve(line, POLLOUT);
}

static void on_timer(void *wait)
{
	struct wait *w = wait;
	struct line *line = w->line;

	if (w->done)
		return;
	green_serve(w, LATE);
	update(line);
}

/* Returns 0 or an error. */
static int begin(struct wait *w, int fd, int64_t deadline, struct loop_timer **timer)
{
	int error;

	if (fd >= DESCRIPTORS)
		return EMFILE;
	if (deadline != NEVER) {
		*timer = loop_timer_new(green_loop, on_timer, w);
		if (!*timer)
			return ENOMEM;
		loop_timer_set(*timer, deadline);
	}
	green_line_up(&lines[fd + 1], w);
	if (!update(w->line))
		return 0;
	error = errno;
	green_step_out(w);
	return error;
}

int green_wait_fd(const char *where, int fd, short events, int64_t deadline)
{
	struct green *g = green_enter(where);
	struct wait w = { .task = g, .events = events };
	struct loop_timer *timer = NULL;
	int error;

	loop_lock(green_loop);
	error = begin(&w, fd, deadline, &timer);
	loop_unlock(green_loop);
	atomic_fetch_add(&green_in_loop, 1);
	if (!error)
		green_wait(&w, where, NULL);
	atomic_fetch_sub(&green_in_loop, 1);
	if (timer || (!error && !w.done)) {
		loop_lock(green_loop);
		loop_timer_delete(timer);
		if (!error && !w.done) {
			green_step_out(&w);
			update(w.line);
		}
		loop_unlock(green_loop);
	}
	return error ? -error : w.done == SERVED ? 0 : w.done && !g->flag ? -ETIMEDOUT : -ECANCELED;
}

int green_sleep(long long ns)
{
	struct green *me = green_enter("green_sleep");
	int result = green_wait_fd("green_sleep", -1, 0, green_after(ns));

	green_leave(me);
	return result == -ETIMEDOUT ? 0 : green_fail(-result);
}
