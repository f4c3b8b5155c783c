/* SPDX-License-Identifier: MIT */
/*
 * bh.c - bottom halves
 *
 * Whoever schedules one sets bits in its word, and whoever finds QUEUED clear then pushes it
 * onto loop->scheduled, a list to which anybody may add one at any time, in a handler that
 * has interrupted another push too.  It is only ever taken as a whole, by
 * the loop, so the compare-and-swap can't be misled by one that was taken off and put
 * back.  QUEUED is cleared when the loop is done with `next`, and in the same swap the loop
 * learns whether to run it: whoever schedules it before that is served by this run, and
 * whoever comes later queues it again.
 */
#include "parts.h"

#include <stdlib.h>

#define QUEUED	((AO_t)1)	/* on loop->scheduled or loop->pending, or about to be */
#define WANTED	((AO_t)2)	/* not cancelled */
#define IDLE	((AO_t)4)
#define DELETED	((AO_t)8)	/* freed when it is taken off */

#define IDLE_AT_MOST 10000000	/* 10 ms */

struct loop_bh {
	struct part part;
	AO_t bits;
	struct loop_bh *next;
	int64_t known_since;
};

struct loop_bh *loop_bh_new(struct loop *l, void (*run)(void *), void *opaque)
{
	return loop_part_new(l, sizeof(struct loop_bh), run, opaque);
}

static void push(struct loop_bh *bh)
{
	AO_t *list = &bh->part.loop->scheduled, first;

	do {
		first = AO_load(list);
		bh->next = (struct loop_bh *)first;
	} while (!AO_compare_and_swap_full(list, first, (AO_t)bh));
}

/* The one who queues it also wakes the loop; who finds that done need not. */
static void queue(struct loop_bh *bh, AO_t old, int changed)
{
	if (!(old & QUEUED))
		push(bh);
	if (!(old & QUEUED) || changed)
		loop_wake(bh->part.loop, WOKEN);
}

void loop_bh_schedule(struct loop_bh *bh)
{
	AO_t old = change(&bh->bits, IDLE, QUEUED | WANTED);

	queue(bh, old, (old & (WANTED | IDLE)) != WANTED);
}

void loop_bh_schedule_idle(struct loop_bh *bh)
{
	AO_t old, new;

	do {
		old = AO_load(&bh->bits);
		new = old | QUEUED | WANTED | (old & WANTED ? 0 : IDLE);
	} while (!AO_compare_and_swap_full(&bh->bits, old, new));
	queue(bh, old, !(old & WANTED));
}

void loop_bh_cancel(struct loop_bh *bh)
{
	change(&bh->bits, WANTED | IDLE, 0);
}

void loop_bh_delete(struct loop_bh *bh)
{
	if (bh && !(change(&bh->bits, WANTED | IDLE, DELETED) & QUEUED))
		loop_part_free(&bh->part);
}

static void append(struct loop *l, struct loop_bh *bh)
{
	bh->next = NULL;
	*l->pending_end = bh;
	l->pending_end = &bh->next;
}

/* From the list, which has the last one first, to loop->pending. */
void loop_bhs_take(struct loop *l)
{
	struct loop_bh *bh, *next, *reversed = NULL;

	do
		bh = (struct loop_bh *)AO_load(&l->scheduled);
	while (bh && !AO_compare_and_swap_full(&l->scheduled, (AO_t)bh, 0));
	for (; bh; bh = next) {
		next = bh->next;
		bh->next = reversed;
		reversed = bh;
	}
	for (; reversed; reversed = next) {
		next = reversed->next;
		reversed->known_since = l->now;
		append(l, reversed);
	}
}

static void run(struct loop *l, struct loop_bh *bh)
{
	AO_t old = change(&bh->bits, QUEUED | WANTED | IDLE, 0);

	if (old & DELETED) {
		loop_part_free(&bh->part);
	} else if (old & WANTED) {
		l->ran++;
		bh->part.run(bh->part.opaque);
	}
}

void loop_bhs_run(struct loop *l, int idle_too)
{
	struct loop_bh *bh, *next = l->pending;

	l->pending = NULL;
	l->pending_end = &l->pending;
	while ((bh = next)) {
		next = bh->next;
		if (!idle_too && AO_load(&bh->bits) & IDLE &&
		    l->now < bh->known_since + IDLE_AT_MOST)
			append(l, bh);
		else
			run(l, bh);
	}
}
