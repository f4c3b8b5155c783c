/* SPDX-License-Identifier: MIT */
/*
 * loop_peer.c - event loops that there are, as bench/loop.c uses them.  Each is a shared object
 * of its own, as libevent and libev have names in common: compiled with -DLIBUV, ...
 */
#include <stdlib.h>

#include "loop.h"

extern const struct loop_calls calls;

/* Nothing is ever freed. */
static void *new(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

#if defined LIBUV

#include <uv.h>

struct loop {
	uv_loop_t uv;
	uv_async_t async;
};

union handle {
	uv_handle_t any;
	uv_poll_t poll;
	uv_async_t async;
	uv_timer_t timer;
};

static void *open_loop(void)
{
	struct loop *l = new(sizeof *l);

	return uv_loop_init(&l->uv) ? NULL : l;
}

static void run(void *loop)
{
	uv_run(&((struct loop *)loop)->uv, UV_RUN_DEFAULT);
}

static void quit(void *loop)
{
	uv_stop(&((struct loop *)loop)->uv);
}

static void call(uv_handle_t *handle)
{
	((void (*)(void))handle->data)();
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	call((uv_handle_t *)handle);
}

static void watch(void *loop, int fd, void (*readable)(void))
{
	uv_poll_t *poll = new(sizeof *poll);

	uv_poll_init(&((struct loop *)loop)->uv, poll, fd);
	poll->data = (void *)readable;
	uv_poll_start(poll, UV_READABLE, on_poll);
}

static void on_async(uv_async_t *handle)
{
	call((uv_handle_t *)handle);
}

static void on_wake(void *loop, void (*woken)(void))
{
	struct loop *l = loop;

	uv_async_init(&l->uv, &l->async, on_async);
	l->async.data = (void *)woken;
}

static void wake(void *loop)
{
	uv_async_send(&((struct loop *)loop)->async);
}

static void *timer(void *loop, void (*fired)(void))
{
	uv_timer_t *t = new(sizeof *t);

	uv_timer_init(&((struct loop *)loop)->uv, t);
	t->data = (void *)fired;
	return t;
}

static void look_at_clock(void *loop)
{
	uv_update_time(&((struct loop *)loop)->uv);
}

static void on_timer(uv_timer_t *handle)
{
	call((uv_handle_t *)handle);
}

static void set(void *loop, void *t, int ms)
{
	(void)loop;
	uv_timer_start(t, on_timer, (uint64_t)ms, 0);
}

#elif defined LIBEVENT

#include <event2/event.h>
#include <event2/thread.h>

struct loop {
	struct event_base *base;
	struct event *wake;
};

static void *open_loop(void)
{
	struct loop *l = new(sizeof *l);

	evthread_use_pthreads();
	l->base = event_base_new();
	return l->base ? l : NULL;
}

static void run(void *loop)
{
	event_base_loop(((struct loop *)loop)->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void quit(void *loop)
{
	event_base_loopbreak(((struct loop *)loop)->base);
}

static void call(evutil_socket_t fd, short what, void *function)
{
	(void)fd;
	(void)what;
	((void (*)(void))function)();
}

static void watch(void *loop, int fd, void (*readable)(void))
{
	event_add(event_new(((struct loop *)loop)->base, fd, EV_READ | EV_PERSIST, call,
			    (void *)readable), NULL);
}

static void on_wake(void *loop, void (*woken)(void))
{
	struct loop *l = loop;

	l->wake = event_new(l->base, -1, EV_PERSIST, call, (void *)woken);
}

static void wake(void *loop)
{
	event_active(((struct loop *)loop)->wake, EV_READ, 0);
}

static void *timer(void *loop, void (*fired)(void))
{
	return evtimer_new(((struct loop *)loop)->base, call, (void *)fired);
}

static void look_at_clock(void *loop)
{
	event_base_update_cache_time(((struct loop *)loop)->base);
}

static void set(void *loop, void *t, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	(void)loop;
	event_add(t, &tv);
}

#elif defined LIBEV

#include <ev.h>

struct loop {
	struct ev_loop *ev;
	struct ev_async async;
};

static void *open_loop(void)
{
	struct loop *l = new(sizeof *l);

	l->ev = ev_loop_new(EVFLAG_AUTO);
	return l->ev ? l : NULL;
}

static void run(void *loop)
{
	ev_run(((struct loop *)loop)->ev, 0);
}

static void quit(void *loop)
{
	ev_break(((struct loop *)loop)->ev, EVBREAK_ALL);
}

static void on_io(struct ev_loop *ev, struct ev_io *io, int events)
{
	(void)ev;
	(void)events;
	((void (*)(void))io->data)();
}

static void watch(void *loop, int fd, void (*readable)(void))
{
	struct ev_io *io = new(sizeof *io);

	ev_io_init(io, on_io, fd, EV_READ);
	io->data = (void *)readable;
	ev_io_start(((struct loop *)loop)->ev, io);
}

static void on_async(struct ev_loop *ev, struct ev_async *async, int events)
{
	(void)ev;
	(void)events;
	((void (*)(void))async->data)();
}

static void on_wake(void *loop, void (*woken)(void))
{
	struct loop *l = loop;

	ev_async_init(&l->async, on_async);
	l->async.data = (void *)woken;
	ev_async_start(l->ev, &l->async);
}

static void wake(void *loop)
{
	struct loop *l = loop;

	ev_async_send(l->ev, &l->async);
}

static void on_timer(struct ev_loop *ev, struct ev_timer *t, int events)
{
	(void)ev;
	(void)events;
	((void (*)(void))t->data)();
}

static void *timer(void *loop, void (*fired)(void))
{
	struct ev_timer *t = new(sizeof *t);

	(void)loop;
	ev_init(t, on_timer);
	t->data = (void *)fired;
	return t;
}

static void look_at_clock(void *loop)
{
	ev_now_update(((struct loop *)loop)->ev);
}

static void set(void *loop, void *t, int ms)
{
	struct ev_timer *timer = t;

	struct ev_loop *ev = ((struct loop *)loop)->ev;

	if (ms) {
		/* for one that is set, and set again, this is what libev recommends */
		timer->repeat = ms / 1000.;
		ev_timer_again(ev, timer);
		return;
	}
	ev_timer_stop(ev, timer);
	ev_timer_set(timer, 0, 0);
	ev_timer_start(ev, timer);
}

#elif defined GLIB

#include <glib.h>
#include <glib-unix.h>

struct loop {
	GMainContext *context;
	GMainLoop *loop;
	GSource *wake;
	gint64 now;
};

static void *open_loop(void)
{
	struct loop *l = new(sizeof *l);

	l->context = g_main_context_new();
	l->loop = g_main_loop_new(l->context, FALSE);
	return l;
}

static void run(void *loop)
{
	g_main_loop_run(((struct loop *)loop)->loop);
}

static void quit(void *loop)
{
	g_main_loop_quit(((struct loop *)loop)->loop);
}

static gboolean on_fd(gint fd, GIOCondition what, gpointer function)
{
	(void)fd;
	(void)what;
	((void (*)(void))function)();
	return G_SOURCE_CONTINUE;
}

static void watch(void *loop, int fd, void (*readable)(void))
{
	GSource *s = g_unix_fd_source_new(fd, G_IO_IN);

	g_source_set_callback(s, (GSourceFunc)(void (*)(void))on_fd, (void *)readable, NULL);
	g_source_attach(s, ((struct loop *)loop)->context);
}

/* A source whose time is now; then never again, until it is set. */
static gboolean dispatch(GSource *s, GSourceFunc function, gpointer opaque)
{
	g_source_set_ready_time(s, -1);
	return function(opaque);
}

static GSourceFuncs by_time = { .dispatch = dispatch };

static gboolean call(gpointer function)
{
	((void (*)(void))function)();
	return G_SOURCE_CONTINUE;
}

static void *timer(void *loop, void (*fired)(void))
{
	GSource *s = g_source_new(&by_time, sizeof *s);

	g_source_set_callback(s, call, (void *)fired, NULL);
	g_source_attach(s, ((struct loop *)loop)->context);
	return s;
}

static void on_wake(void *loop, void (*woken)(void))
{
	((struct loop *)loop)->wake = timer(loop, woken);
}

static void wake(void *loop)
{
	g_source_set_ready_time(((struct loop *)loop)->wake, 0);
}

static void look_at_clock(void *loop)
{
	((struct loop *)loop)->now = g_get_monotonic_time();
}

static void set(void *loop, void *t, int ms)
{
	g_source_set_ready_time(t, ((struct loop *)loop)->now + (gint64)ms * 1000);
}

#endif

const struct loop_calls calls = {
	open_loop, run, quit, watch, on_wake, wake, timer, look_at_clock, set,
};
