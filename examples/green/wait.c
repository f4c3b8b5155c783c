/* SPDX-License-Identifier: MIT */
/*
 * wait.c - waiting in the loop, for descriptors and for a time
 *
 * Descriptors are in a set of their own, which the loop watches; they are their owners', and may
 * be closed, or shared.  Lines are guarded by the loop's lock, in which it calls on_events() and so
 * on.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include "parts.h"

enum { DESCRIPTORS = 1 << 20 };		/* more than that no process has: fs.nr_open */

atomic_int green_in_loop;
static int set = -1;
static struct descriptor {
	struct line line;
	short busy;			/* one of those that are alone is about to call */
} descriptors[1 + DESCRIPTORS];		/* [0] is for a time only */

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

/* Once: what is left of a number that was closed, as the file is still open, says so once. */
static int arm(struct descriptor *d)
{
	struct epoll_event event = { .events = 0, .data = { .ptr = d } };
	int fd = (int)(d - descriptors) - 1;
	const struct wait *w;

	for (w = d->line.first; w; w = w->next)
		if (!(w->events & ALONE && w->events & d->busy))
			event.events |= (unsigned short)(w->events & ~ALONE);
	if (!event.events)
		return 0;
	event.events |= EPOLLONESHOT;
	return epoll_ctl(set, EPOLL_CTL_MOD, fd, &event) &&
		(errno != ENOENT || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event)) ? errno : 0;
}

static void serve(struct descriptor *d, short events)
{
	struct wait *w, *next;

	for (w = d->line.first; w; w = next) {
		next = w->next;
		if (!(w->events & events) || (w->events & ALONE && w->events & d->busy))
			continue;
		if (w->events & ALONE)
			d->busy |= (short)(w->events & ~ALONE);
		green_serve(w, SERVED);
	}
	while (arm(d))				/* it is closed: they will see */
		green_serve(d->line.first, SERVED);
}

static void on_events(void *unused)
{
	struct epoll_event e[64];
	int n = epoll_wait(set, e, 64, 0), i;

	(void)unused;
	for (i = 0; i < n; i++)
		serve(e[i].data.ptr, e[i].events & (EPOLLERR | EPOLLHUP) ? POLLIN | POLLOUT :
		      (short)e[i].events);
}

int green_watch(void)
{
	set = epoll_create1(EPOLL_CLOEXEC);
	return set == -1 ? -1 : loop_fd(green_loop, set, on_events, NULL, NULL);
}

void green_unwatch(void)
{
	if (set != -1)
		close(set);
	set = -1;
}

void green_waited(int fd, short events)
{
	loop_lock(green_loop);
	if (fd >= 0 && fd < DESCRIPTORS) {
		descriptors[fd + 1].busy &= (short)~events;
		serve(&descriptors[fd + 1], 0);
	}
	loop_unlock(green_loop);
}

static void on_timer(void *wait)
{
	struct wait *w = wait;

	if (!w->done)
		green_serve(w, LATE);
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
	green_line_up(&descriptors[fd + 1].line, w);
	error = fd >= 0 ? arm(&descriptors[fd + 1]) : 0;
	if (error)
		green_step_out(w);
	if (error == EPERM)			/* always ready */
		w->done = SERVED;
	return error == EPERM ? 0 : error;
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
		if (!error && !w.done)
			green_step_out(&w);
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
