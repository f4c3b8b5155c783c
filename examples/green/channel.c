/* SPDX-License-Identifier: MIT */
/* channel.c - items from task to task */
#include <stdlib.h>
#include <string.h>
#include "parts.h"

struct green_channel {
	pthread_mutex_t lock;
	size_t size, capacity, count, begin;
	int closed;
	struct line senders, receivers;
	char items[];
};

green_channel *green_channel_new(size_t size, size_t capacity)
{
	green_channel *c = NULL;
	int was = green_within(1);
	size_t bytes;

	if (!__builtin_mul_overflow(size, capacity, &bytes) &&
	    !__builtin_add_overflow(bytes, sizeof *c, &bytes))
		c = calloc(1, bytes);
	green_within(was);
	if (!c) {
		errno = ENOMEM;
		return NULL;
	}
	c->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	c->size = size;
	c->capacity = capacity;
	return c;
}

static void copy(const green_channel *c, void *to, const void *from)
{
	if (c->size)
		memcpy(to, from, c->size);
}

static char *slot(green_channel *c, size_t i)
{
	return c->items + (c->begin + i) % c->capacity * c->size;
}

/*
 * Who is first in line gets, or gives, its item now, and goes on.  One that was cancelled
 * meanwhile is about to leave, and has a result all the same: this one.
 */
static int try_send(green_channel *c, const void *item)
{
	struct wait *w = c->receivers.first;

	if (c->closed || (!w && c->count == c->capacity))
		return 0;
	copy(c, w ? w->item : slot(c, c->count++), item);
	if (w)
		green_serve(w, SERVED);
	return 1;
}

static int try_receive(green_channel *c, void *item)
{
	struct wait *w = c->senders.first;

	if (!w && !c->count)
		return 0;
	copy(c, item, c->count ? slot(c, 0) : w->item);
	if (c->count) {
		c->begin = (c->begin + 1) % c->capacity;
		c->count--;
		if (w)
			copy(c, slot(c, c->count++), w->item);
	}
	if (w)
		green_serve(w, SERVED);
	return 1;
}

static int transfer(green_channel *c, void *item, int out)
{
	const char *where = out ? "green_send" : "green_receive";
	struct green *me = green_enter(where);
	struct wait w = { .task = me, .item = item };

	pthread_mutex_lock(&c->lock);
	if (!me->flag && (out ? try_send(c, item) : try_receive(c, item)))
		w.done = SERVED;
	else if (!me->flag && c->closed)
		w.done = CLOSED;
	else if (!me->flag)
		green_line_up(out ? &c->senders : &c->receivers, &w);
	pthread_mutex_unlock(&c->lock);
	if (w.at && !green_wait(&w, where, c)) {
		pthread_mutex_lock(&c->lock);
		if (!w.done)
			green_step_out(&w);
		pthread_mutex_unlock(&c->lock);
	}
	green_leave(me);
	return w.done == SERVED ? 0 : green_fail(w.done ? EPIPE : ECANCELED);
}

int green_send(green_channel *c, const void *item)
{
	return transfer(c, (void *)(uintptr_t)item, 1);
}

int green_receive(green_channel *c, void *item)
{
	return transfer(c, item, 0);
}

void green_close(green_channel *c)
{
	struct green *me = green_enter("green_close");
	struct wait *w;

	pthread_mutex_lock(&c->lock);
	c->closed = 1;
	while ((w = c->senders.first ? c->senders.first : c->receivers.first))
		green_serve(w, CLOSED);
	pthread_mutex_unlock(&c->lock);
	green_leave(me);
}

void green_channel_free(green_channel *c)
{
	int was = green_within(1);
	const struct wait *w;

	if (!c) {
		green_within(was);
		return;
	}
	pthread_mutex_lock(&c->lock);	/* who has served the last one is to be done with it */
	w = c->senders.first ? c->senders.first : c->receivers.first;
	if (w)
		green_die("green_channel_free: task %lu (%p) waits in %s of %p", w->task->number,
			  (void *)w->task, w->task->where, (void *)c);
	pthread_mutex_unlock(&c->lock);
	free(c);
	green_within(was);
}
