/* SPDX-License-Identifier: MIT */
/* channel.c - items from task to task */
#include <stdlib.h>
#include <string.h>
#include "parts.h"

/* Of one that waits in line, on its stack. */
struct place {
	struct green *task;
	void *item;			/* to be taken, or where to put it */
	atomic_int done;		/* it was; or -1: closed */
	struct place *next, **at;	/* at: null when it is not in line any more */
};

struct line {
	struct place *first, **last;
};

struct green_channel {
	pthread_mutex_t lock;
	size_t size, capacity, count, begin;
	int closed;
	struct line senders, receivers;
	char items[];
};

static void remove_place(struct line *line, struct place *p)
{
	*p->at = p->next;
	if (p->next)
		p->next->at = p->at;
	else
		line->last = p->at;
	p->at = NULL;
}

/*
 * The first in line gets, or gives, its item now, and goes on.  One that was cancelled
 * meanwhile is about to leave, and has a result all the same: this one.
 */
static void serve(struct line *line, size_t size, void *to, const void *from, int done)
{
	struct place *p = line->first;
	struct green *g = p->task;

	remove_place(line, p);
	if (done > 0)
		memcpy(to ? to : p->item, from ? from : p->item, size);
	atomic_store(&p->done, done);	/* from now on it may be gone */
	green_claim(g);
}

green_channel *green_channel_new(size_t size, size_t capacity)
{
	green_channel *c;
	size_t bytes;

	if (__builtin_mul_overflow(size, capacity, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof *c, &bytes) || !(c = calloc(1, bytes))) {
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_init(&c->lock, NULL);
	c->size = size;
	c->capacity = capacity;
	c->senders.last = &c->senders.first;
	c->receivers.last = &c->receivers.first;
	return c;
}

static void unlock_channel(void *channel)
{
	pthread_mutex_unlock(&((green_channel *)channel)->lock);
}

/* Gives the lock up.  Returns 0 or an error. */
static int wait_in(green_channel *c, struct line *line, struct green *me, void *item,
		   const char *where)
{
	struct place p = { me, item, 0, NULL, line->last };

	*line->last = &p;
	line->last = &p.next;
	while (!p.done && !me->flag) {
		green_wait(where, c, 1, unlock_channel, c);
		if (p.done)
			return p.done > 0 ? 0 : EPIPE;
		pthread_mutex_lock(&c->lock);
	}
	if (p.at)
		remove_place(line, &p);
	pthread_mutex_unlock(&c->lock);
	return p.done > 0 ? 0 : p.done ? EPIPE : ECANCELED;
}

static char *slot(green_channel *c, size_t i)
{
	return c->items + (c->begin + i) % c->capacity * c->size;
}

int green_send(green_channel *c, const void *item)
{
	struct green *me = green_enter("green_send");
	int error = 0;

	pthread_mutex_lock(&c->lock);
	if (me->flag) {
		error = ECANCELED;
	} else if (c->closed) {
		error = EPIPE;
	} else if (c->receivers.first) {
		serve(&c->receivers, c->size, NULL, item, 1);
	} else if (c->count < c->capacity) {
		memcpy(slot(c, c->count++), item, c->size);
	} else {
		error = wait_in(c, &c->senders, me, (void *)(uintptr_t)item, "green_send");
		goto unlocked;
	}
	pthread_mutex_unlock(&c->lock);
unlocked:
	green_leave(me);
	return error ? green_fail(error) : 0;
}

int green_receive(green_channel *c, void *item)
{
	struct green *me = green_enter("green_receive");
	int error = 0;

	pthread_mutex_lock(&c->lock);
	if (me->flag) {
		error = ECANCELED;
	} else if (c->count) {
		memcpy(item, slot(c, 0), c->size);
		c->begin = (c->begin + 1) % c->capacity;
		c->count--;
		if (c->senders.first)
			serve(&c->senders, c->size, slot(c, c->count++), NULL, 1);
	} else if (c->senders.first) {
		serve(&c->senders, c->size, item, NULL, 1);
	} else if (c->closed) {
		error = EPIPE;
	} else {
		error = wait_in(c, &c->receivers, me, item, "green_receive");
		goto unlocked;
	}
	pthread_mutex_unlock(&c->lock);
unlocked:
	green_leave(me);
	return error ? green_fail(error) : 0;
}

void green_close(green_channel *c)
{
	struct green *me = green_enter("green_close");

	pthread_mutex_lock(&c->lock);
	c->closed = 1;
	while (c->senders.first)
		serve(&c->senders, 0, NULL, NULL, -1);
	while (c->receivers.first)
		serve(&c->receivers, 0, NULL, NULL, -1);
	pthread_mutex_unlock(&c->lock);
	green_leave(me);
}

void green_channel_free(green_channel *c)
{
	const struct place *p;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	p = c->senders.first ? c->senders.first : c->receivers.first;
	if (p)
		green_die("green_channel_free: task %lu (%p) waits in %s of %p", p->task->number,
			  (void *)p->task, c->senders.first ? "green_send" : "green_receive",
			  (void *)c);
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
