/* SPDX-License-Identifier: MIT */
/*
 * glib.c - a GLib context in the loop.  Its descriptors are polled beside the loop's epoll set,
 * and not put into it: each can be in there once, and may be the program's as well.
 */
#include "parts.h"
#include <glib.h>
G_STATIC_ASSERT(sizeof(GPollFD) == sizeof(struct pollfd));

struct glib {
	GMainContext *context;
	gboolean owned;
	gint priority, count, room;	/* of loop->polled, behind [0] */
};

int64_t loop_glib_prepare(struct loop *l, int64_t until)
{
	struct glib *g = l->glib;
	gint ms = -1;

	l->polled_count = 1;
	g->owned = g_main_context_acquire(g->context);
	if (!g->owned)	/* GLib tells nobody when the owner has gone */
		return MIN(until, loop_now(l) + 1000000);
	g_main_context_prepare(g->context, &g->priority);
	while ((g->count = g_main_context_query(g->context, g->priority, &ms,
						(GPollFD *)(l->polled + 1), g->room)) > g->room) {
		g->room = g->count;
		l->polled = g_renew(struct pollfd, l->polled, g->room + 1);
	}
	l->polled_count += (unsigned int)g->count;
	return ms < 0 ? until : MIN(until, loop_now(l) + (int64_t)ms * 1000000);
}

void loop_glib_dispatch(struct loop *l, int go)
{
	struct glib *g = l->glib;
	int error = errno;

	if (!g->owned)
		return;
	if (go && g_main_context_check(g->context, g->priority, (GPollFD *)(l->polled + 1),
				       g->count)) {
		l->ran++;
		g_main_context_dispatch(g->context);
	}
	g_main_context_release(g->context);
	errno = error;
}

void loop_glib_free(struct loop *l)
{
	g_main_context_unref(l->glib->context);
	g_free(l->polled);
	g_free(l->glib);
}

int loop_glib(struct loop *l, GMainContext *context)
{
	if (l->glib) {
		errno = EBUSY;
		return -1;
	}
	l->polled = g_memdup2(&l->own, sizeof l->own);
	l->glib = g_new0(struct glib, 1);
	l->glib->context = g_main_context_ref(context ? context : g_main_context_default());
	loop_wake(l, RELOOK);
	return 0;
}
