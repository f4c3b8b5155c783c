/* SPDX-License-Identifier: MIT */
/*
 * glib.c - a GLib context in the loop
 *
 * A context says before each wait what it wants polled, and until when, and is told
 * afterwards.  Its descriptors are polled beside the loop's epoll set and not put into it:
 * a descriptor is in such a set once, and may be the program's as well.
 */
#include "parts.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>

G_STATIC_ASSERT(sizeof(GPollFD) == sizeof(struct pollfd));

struct glib {
	struct guest guest;
	GMainContext *context;
	gboolean owned;
	gint priority, room;		/* of fds, behind [0] */
};

static gint query(struct glib *g, gint *ms)
{
	return g_main_context_query(g->context, g->priority, ms,
				    (GPollFD *)(g->guest.fds + 1), g->room);
}

static int64_t prepare(struct guest *guest, int64_t now)
{
	struct glib *g = (struct glib *)guest;
	gint ms = -1, wanted;

	guest->count = 1;
	if (!g->owned)
		g->owned = g_main_context_acquire(g->context);
	if (!g->owned)
		return NEVER;
	g_main_context_prepare(g->context, &g->priority);
	while ((wanted = query(g, &ms)) > g->room) {
		g->room = wanted;
		guest->fds = g_renew(struct pollfd, guest->fds, wanted + 1);
	}
	guest->count += (unsigned int)wanted;
	return ms < 0 ? NEVER : now + (int64_t)ms * 1000000;
}

static void dispatch(struct guest *guest)
{
	struct glib *g = (struct glib *)guest;

	if (!g->owned || !g_main_context_check(g->context, g->priority,
					       (GPollFD *)(guest->fds + 1),
					       (gint)guest->count - 1))
		return;
	guest->loop->ran++;
	g_main_context_dispatch(g->context);
}

static void step_is_over(struct guest *guest)
{
	struct glib *g = (struct glib *)guest;

	if (g->owned)
		g_main_context_release(g->context);
	g->owned = FALSE;
}

static void free_glib(struct guest *guest)
{
	g_main_context_unref(((struct glib *)guest)->context);
	g_free(guest->fds);
	g_free(guest);
}

int loop_glib(struct loop *l, GMainContext *context)
{
	struct glib *g;

	if (l->guest) {
		errno = EBUSY;
		return -1;
	}
	g = g_new0(struct glib, 1);
	g->guest = (struct guest){ prepare, dispatch, step_is_over, free_glib, l,
				   g_new0(struct pollfd, 1), 1 };
	g->context = g_main_context_ref(context ? context : g_main_context_default());
	l->guest = &g->guest;
	loop_wake(l, RELOOK);
	return 0;
}
