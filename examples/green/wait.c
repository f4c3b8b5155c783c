/* SPDX-License-Identifier: MIT */
/*
 * wait.c - waiting in the loop, for descriptors and for a time
 *
 * All is guarded by the loop's lock, in which the loop calls on_readable() and so on; a task
 * that waits gives it up when it is PARKED.  A descriptor is in the loop only while a task waits
 * for it: it is its owner's, and may be closed, or shared.  A timer that is set stays so when its
 * wait is over: the next wait that ends later need not set it, it is set again when it fires.
 */
#include <poll.h>
#include <stdlib.h>
#include "parts.h"

struct wait {
	struct green *task;
	struct wait *next;
	int fd;
	short events;
	atomic_int fired;
};

static struct wait **waits;		/* by descriptor */
static int waits_size;

int64_t green_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void on_readable(void *fd);
static void on_writable(void *fd);

/* What the loop is to look for. */
static int update(int fd)
{
	const struct wait *w;
	short events = 0;

	for (w = waits[fd]; w; w = w->next)
		events |= w->events;
	return loop_fd(green_loop, fd, events & POLLIN ? on_readable : NULL,
		       events & POLLOUT ? on_writable : NULL, (void *)(intptr_t)fd);
}

/* When `fired` is set the task may go on, and its record be gone. */
static void fire(int fd, short events)
{
	struct wait **at = &waits[fd], *w;
	struct green *g;

	while ((w = *at)) {
		if (!(w->events & events)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		g = w->task;
		atomic_store(&w->fired, 1);
		green_claim(g);
	}
	update(fd);
}

static void on_readable(void *fd)
{
	fire((int)(intptr_t)fd, POLLIN);
}

static void on_writable(void *fd)
{
	fire((int)(intptr_t)fd, POLLOUT);
}

static void remove_wait(struct wait *w)
{
	struct wait **at;

	for (at = &waits[w->fd]; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	update(w->fd);
}

/* Returns 0 or an error. */
static int add_wait(struct wait *w, const struct pollfd *fd)
{
	struct wait **more;
	int error, size = fd->fd * 3 / 2 + 64;

	*w = (struct wait){ green_thread()->current, NULL, fd->fd, fd->events, 1 };
	if (fd->fd < 0)
		return 0;
	if (fd->fd >= waits_size) {
		more = reallocarray(waits, (size_t)size, sizeof *waits);
		if (!more)
			return ENOMEM;
		for (waits = more; waits_size < size; waits_size++)
			waits[waits_size] = NULL;
	}
	w->fired = 0;
	w->next = waits[fd->fd];
	waits[fd->fd] = w;
	if (!update(fd->fd))
		return 0;
	error = errno;
	remove_wait(w);
	w->fired = 1;
	return error;
}

static void on_timer(void *arg)
{
	struct green *g = arg;

	g->armed = NEVER;
	if (g->deadline == NEVER)
		return;
	if (g->deadline <= green_now()) {
		green_claim(g);
		return;
	}
	g->armed = g->deadline;
	loop_timer_set(g->timer, g->armed);
}

static int set_timer(struct green *g, int64_t deadline)
{
	g->deadline = deadline;
	if (deadline >= g->armed)
		return 0;
	if (!g->timer && !(g->timer = loop_timer_new(green_loop, on_timer, g)))
		return ENOMEM;
	g->armed = deadline;
	loop_timer_set(g->timer, deadline);
	return 0;
}

void green_forget_timer(struct green *g)
{
	if (!g->timer)
		return;
	loop_lock(green_loop);
	loop_timer_delete(g->timer);
	loop_unlock(green_loop);
	g->timer = NULL;
}

void green_forget_fds(void)
{
	free(waits);
	waits = NULL;
	waits_size = 0;
}

static void unlock_loop(void *loop)
{
	loop_unlock(loop);
}

static int is_fired(const struct wait *w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (w[i].fd >= 0 && atomic_load(&w[i].fired))
			return 1;
	return 0;
}

/* The lock is held before and after, but not when the one descriptor is ready. */
static int wait_locked(const char *where, const struct pollfd *fds, const struct wait *w,
		       unsigned int n, int64_t deadline)
{
	struct green *g = green_thread()->current;

	while (!is_fired(w, n)) {
		if (g->flag)
			return -ECANCELED;
		if (deadline != NEVER && green_now() >= deadline)
			return 0;
		atomic_fetch_add(&green_in_loop, 1);
		green_wait(where, fds, 0, unlock_loop, green_loop);
		atomic_fetch_sub(&green_in_loop, 1);
		if (n == 1 && is_fired(w, 1))
			return 2;
		loop_lock(green_loop);
	}
	return 1;
}

int green_wait_fds(const char *where, const struct pollfd *fds, unsigned int n, int64_t deadline)
{
	struct wait one, *w = n <= 1 ? &one : calloc(n, sizeof *w);
	struct green *g = green_thread()->current;
	unsigned int added;
	int result = 0;

	if (!w)
		return -ENOMEM;
	loop_lock(green_loop);
	for (added = 0; added < n && !result; added++)
		result = -add_wait(&w[added], &fds[added]);
	if (!result)
		result = -set_timer(g, deadline);
	if (!result)
		result = wait_locked(where, fds, w, n, deadline);
	if (result != 2) {
		while (added--)
			if (!atomic_load(&w[added].fired))
				remove_wait(&w[added]);
		g->deadline = NEVER;
		loop_unlock(green_loop);
	}
	if (w != &one)
		free(w);
	return result == 2 ? 1 : result;
}

int green_sleep(long long ns)
{
	struct green *me = green_enter("green_sleep");
	int64_t now = green_now();
	int result = green_wait_fds("green_sleep", NULL, 0,
				    ns < 0 ? now : ns < NEVER - now ? now + ns : NEVER);

	green_leave(me);
	return result ? green_fail(-result) : 0;
}
