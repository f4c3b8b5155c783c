/* SPDX-License-Identifier: MIT */
/*
 * timer.c - timers
 *
 * A binary heap, the earliest on top; each timer knows its place in it.  The heap is
 * made larger when a timer is made, so that setting one can't fail.
 */
#include "parts.h"

#include <stdlib.h>

struct loop_timer {
	struct part part;
	int64_t when;
	uint64_t number;		/* the older one of two that are due at a time is first */
	size_t place;			/* from 1; 0: not set */
};

static int is_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->when < b->when || (a->when == b->when && a->number < b->number);
}

static void put(struct loop *l, struct loop_timer *timer, size_t place)
{
	l->heap[place] = timer;
	timer->place = place;
}

/* Puts a timer where it belongs, upwards or downwards of a place that is free. */
static void sift(struct loop *l, struct loop_timer *timer, size_t place)
{
	size_t child;

	for (; place > 1 && is_before(timer, l->heap[place / 2]); place /= 2)
		put(l, l->heap[place / 2], place);
	for (; (child = 2 * place) <= l->heap_used; place = child) {
		if (child < l->heap_used && is_before(l->heap[child + 1], l->heap[child]))
			child++;
		if (!is_before(l->heap[child], timer))
			break;
		put(l, l->heap[child], place);
	}
	put(l, timer, place);
}

static void take_off(struct loop *l, struct loop_timer *timer)
{
	size_t place = timer->place;
	struct loop_timer *last;

	if (!place)
		return;
	timer->place = 0;
	last = l->heap[l->heap_used--];
	if (last != timer)
		sift(l, last, place);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*run)(void *), void *opaque)
{
	struct loop_timer *timer, **heap;
	size_t size = 2 * l->heap_size + 64;

	if (l->timers + 1 >= l->heap_size) {
		heap = reallocarray(l->heap, size, sizeof(struct loop_timer *));
		if (!heap)
			return NULL;
		l->heap = heap;
		l->heap_size = size;
	}
	timer = loop_part_new(l, sizeof *timer, run, opaque);
	if (timer)
		l->timers++;
	return timer;
}

/* One that is set while a step does its work is not for this one. */
void loop_timer_set(struct loop_timer *timer, long long when)
{
	struct loop *l = timer->part.loop;

	take_off(l, timer);
	if (when < 0)
		return;
	timer->when = l->working && when <= l->now ? l->now + 1 : when;
	timer->number = l->timers_set++;
	sift(l, timer, ++l->heap_used);
	if (timer->when < l->until && AO_load(&l->word) & WAITING)
		loop_wake(l, RELOOK);
}

void loop_timer_delete(struct loop_timer *timer)
{
	if (!timer)
		return;
	take_off(timer->part.loop, timer);
	timer->part.loop->timers--;
	loop_part_free(&timer->part);
}

int64_t loop_timers_next(const struct loop *l)
{
	return l->heap_used ? l->heap[1]->when : NEVER;
}

void loop_timers_run(struct loop *l)
{
	struct loop_timer *timer;

	while (loop_timers_next(l) <= l->now) {
		timer = l->heap[1];
		take_off(l, timer);
		l->ran++;
		timer->part.run(timer->part.opaque);
	}
}
