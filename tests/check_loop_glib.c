/* SPDX-License-Identifier: MIT */
/* check_loop_glib.c - a GLib context in the event loop of the examples, used by GIO as a program would */
#include <gio/gio.h>
#include <gio/gunixinputstream.h>
#include <glib-unix.h>

#include "../examples/loop/loop.h"
#include "testing.h"

#define MS 1000000LL
#define FOR_EVER (-1LL)

static struct loop *l;
static GMainContext *context;

static void new_loop(void)
{
	/* GIO's own tasks complete in the context that is the thread's default */
	context = g_main_context_default();
	l = loop_new();
	ck_assert_ptr_ne(l, NULL);
	ck_assert_int_eq(loop_glib(l, NULL), 0);
}

static void free_loop(void)
{
	loop_free(l);
}

static int ran, over, owned;

static gboolean once(gpointer unused)
{
	(void)unused;
	ran++;
	ck_assert(loop_locked(l));
	return G_SOURCE_REMOVE;
}

static gboolean again(gpointer unused)
{
	once(unused);
	return G_SOURCE_CONTINUE;
}

static gboolean stops(gpointer status)
{
	loop_stop(l, GPOINTER_TO_INT(status));
	return G_SOURCE_REMOVE;
}

static gboolean stops_after_10(gpointer unused)
{
	once(unused);
	if (ran == 10)
		loop_stop(l, ran);
	return G_SOURCE_CONTINUE;
}

static void expect_rest(void)
{
	gint64 start = g_get_monotonic_time();

	ck_assert_int_eq(loop_step(l, 20 * MS), 0);
	ck_assert_int_ge(g_get_monotonic_time() - start, 20000);
}

START_TEST(one_context)
{
	struct loop *another = loop_new();
	GMainContext *own = g_main_context_new();

	ck_assert_int_eq(loop_glib(l, own), -1);
	ck_assert_int_eq(errno, EBUSY);
	ck_assert_int_eq(loop_glib(another, own), 0);
	loop_free(another);
	g_main_context_unref(own);
	expect_rest();
}
END_TEST

START_TEST(idle_sources)
{
	g_idle_add(once, NULL);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(ran, 1);
	expect_rest();
	g_idle_add(again, NULL);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(ran, 3);
	g_idle_add_full(G_PRIORITY_LOW, stops, GINT_TO_POINTER(7), NULL);
	g_source_remove_by_user_data(NULL);
	ck_assert_int_eq(loop_run(l), 7);
}
END_TEST

START_TEST(time_outs)
{
	gint64 start = g_get_monotonic_time();

	g_timeout_add(20, once, NULL);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_ge(g_get_monotonic_time() - start, 20000);
	ck_assert_int_eq(ran, 1);
	g_timeout_add(1000000, once, NULL);
	ck_assert_int_eq(loop_step(l, 5 * MS), 0);
	ck_assert_int_eq(ran, 1);
	start = g_get_monotonic_time();
	g_timeout_add(2, stops_after_10, NULL);
	ck_assert_int_eq(loop_run(l), 10);
	ck_assert_int_ge(g_get_monotonic_time() - start, 9 * 2000);
}
END_TEST

static void plus_1(void *n)
{
	++*(int *)n;
}

/* Neither starves the other. */
START_TEST(both)
{
	int n = 0, m = 0, p[2];
	struct loop_bh *bh = loop_bh_new(l, plus_1, &n);
	struct loop_timer *t = loop_timer_new(l, plus_1, &m);

	ck_assert_int_eq(pipe(p), 0);
	g_idle_add(again, NULL);
	loop_fd(l, p[1], NULL, plus_1, &m);
	loop_timer_set(t, 0);
	loop_bh_schedule(bh);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 4);
	ck_assert(n == 1 && m == 2 && ran == 1);
	/* an idle one has nothing to wait for but 10 ms */
	loop_bh_schedule_idle(bh);
	while (n == 1)
		ck_assert_int_gt(loop_step(l, FOR_EVER), 0);
	/* one descriptor is known to both */
	g_source_remove_by_user_data(NULL);
	g_unix_fd_add(p[1], G_IO_OUT, (GUnixFDSourceFunc)(void (*)(void))once, NULL);
	m = ran = 0;
	ck_assert_int_eq(loop_step(l, FOR_EVER), 2);
	ck_assert(m == 1 && ran == 1);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
}
END_TEST

static gpointer adds(gpointer unused)
{
	wait_state(getpid(), getpid(), 'S');
	g_idle_add(once, NULL);
	return unused;
}

static gpointer notifies(gpointer unused)
{
	wait_state(getpid(), getpid(), 'S');
	loop_notify(l);
	return unused;
}

static void on_alarm(int sig)
{
	(void)sig;
	/* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c): it is made for handlers */
	loop_notify(l);
}

START_TEST(other_threads)
{
	GThread *thread = g_thread_new("", adds, NULL);
	int i;

	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(ran, 1);
	g_thread_join(thread);
	thread = g_thread_new("", notifies, NULL);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	g_thread_join(thread);
	signal(SIGALRM, on_alarm);
	for (i = 0; i < 20; i++) {
		ualarm(1000, 0);
		ck_assert_int_eq(loop_step(l, FOR_EVER), 0);
	}
	expect_rest();
}
END_TEST

static gpointer owns(gpointer unused)
{
	GMainContext *own = unused;

	ck_assert(g_main_context_acquire(own));
	g_atomic_int_set(&owned, 1);
	while (!g_atomic_int_get(&over))
		g_usleep(1000);
	g_main_context_release(own);
	return NULL;
}

/* A context that another thread has rests; the loop doesn't. */
START_TEST(owned_by_another_thread)
{
	GThread *thread = g_thread_new("", owns, context);
	int n = 0;

	while (!g_atomic_int_get(&owned))
		g_usleep(100);
	g_idle_add(once, NULL);
	loop_bh_schedule(loop_bh_new(l, plus_1, &n));
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert(n == 1 && ran == 0);
	g_atomic_int_set(&over, 1);
	g_thread_join(thread);
	ck_assert_int_eq(loop_step(l, FOR_EVER), 1);
	ck_assert_int_eq(ran, 1);
}
END_TEST

static void child_ended(GPid pid, gint status, gpointer wanted)
{
	ck_assert_int_eq(WEXITSTATUS(status), GPOINTER_TO_INT(wanted));
	g_spawn_close_pid(pid);
	ran++;
}

static void exited(void *opaque, pid_t pid, int status)
{
	(void)pid;
	ck_assert_int_eq(WEXITSTATUS(status), 3);
	plus_1(opaque);
}

START_TEST(children)
{
	int n = 0, i;
	pid_t pid;

	for (i = 0; i < 10; i++) {
		pid = fork();
		if (!pid)
			_exit(i);
		g_child_watch_add(pid, child_ended, GINT_TO_POINTER(i));
		pid = fork();
		if (!pid)
			_exit(3);
		ck_assert_int_eq(loop_child(l, pid, exited, &n), 0);
	}
	while (ran < 10 || n < 10)
		ck_assert_int_ge(loop_step(l, FOR_EVER), 0);
	expect_rest();
	ck_assert(ran == 10 && n == 10);
}
END_TEST

static void communicated(GObject *source, GAsyncResult *result, gpointer unused)
{
	char *out;

	(void)unused;
	ck_assert(g_subprocess_communicate_utf8_finish(G_SUBPROCESS(source), result, &out, NULL,
						       NULL));
	ck_assert_str_eq(out, "hello");
	g_free(out);
	ck_assert_int_eq(g_subprocess_get_exit_status(G_SUBPROCESS(source)), 5);
	loop_stop(l, 0);
}

START_TEST(subprocess)
{
	GSubprocess *p = g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE |
					  G_SUBPROCESS_FLAGS_STDOUT_PIPE, NULL, "sh", "-c",
					  "cat; exit 5", NULL);

	ck_assert_ptr_ne(p, NULL);
	g_subprocess_communicate_utf8_async(p, "hello", NULL, communicated, NULL);
	ck_assert_int_eq(loop_run(l), 0);
	g_object_unref(p);
}
END_TEST

enum { CLIENTS = 20 };

static void echoed(GObject *source, GAsyncResult *result, gpointer connection)
{
	ck_assert_int_gt(g_output_stream_splice_finish(G_OUTPUT_STREAM(source), result, NULL), 0);
	g_object_unref(connection);
}

/* What a client sends goes back to it. */
static gboolean incoming(GSocketService *service, GSocketConnection *connection, GObject *source,
			 gpointer unused)
{
	GIOStream *stream = G_IO_STREAM(connection);

	(void)service;
	(void)source;
	(void)unused;
	g_output_stream_splice_async(g_io_stream_get_output_stream(stream),
				     g_io_stream_get_input_stream(stream),
				     G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, G_PRIORITY_DEFAULT,
				     NULL, echoed, g_object_ref(connection));
	return TRUE;
}

static gpointer client(gpointer port)
{
	GSocketClient *c = g_socket_client_new();
	GSocketConnection *connection;
	char buffer[6] = "";
	gsize n = 0;

	connection = g_socket_client_connect_to_host(c, "127.0.0.1",
						     (guint16)GPOINTER_TO_INT(port), NULL, NULL);
	ck_assert_ptr_ne(connection, NULL);
	g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(connection)), "hello",
				  5, NULL, NULL, NULL);
	g_socket_shutdown(g_socket_connection_get_socket(connection), FALSE, TRUE, NULL);
	g_input_stream_read_all(g_io_stream_get_input_stream(G_IO_STREAM(connection)), buffer, 5,
				&n, NULL, NULL);
	ck_assert_str_eq(buffer, "hello");
	g_object_unref(connection);
	g_object_unref(c);
	if (g_atomic_int_add(&over, 1) + 1 == CLIENTS)
		loop_stop(l, 0);
	return NULL;
}

START_TEST(socket_service)
{
	GSocketService *service = g_socket_service_new();
	guint16 port = g_socket_listener_add_any_inet_port(G_SOCKET_LISTENER(service), NULL,
							   NULL);
	GThread *clients[CLIENTS];
	int i;

	if (!port)
		SKIP("no network");
	g_signal_connect(service, "incoming", G_CALLBACK(incoming), NULL);
	g_socket_service_start(service);
	for (i = 0; i < CLIENTS; i++)
		clients[i] = g_thread_new("", client, GINT_TO_POINTER((int)port));
	ck_assert_int_eq(loop_run(l), 0);
	for (i = 0; i < CLIENTS; i++)
		g_thread_join(clients[i]);
	g_socket_service_stop(service);
	g_object_unref(service);
}
END_TEST

static gboolean own_once(gpointer unused)
{
	(void)unused;
	ran++;
	return G_SOURCE_REMOVE;
}

/* In a context that the program made, which dies with the loop; many sources and descriptors. */
START_TEST(own_context)
{
	GMainContext *own = g_main_context_new();
	struct loop *another = loop_new();
	int i, p[2];
	GSource *s;

	ck_assert_int_eq(loop_glib(another, own), 0);
	g_main_context_unref(own);
	ck_assert_int_eq(pipe(p), 0);
	for (i = 0; i < 200; i++) {
		s = g_unix_fd_source_new(dup(p[1]), G_IO_OUT);
		g_source_set_callback(s, (GSourceFunc)own_once, NULL, NULL);
		g_source_attach(s, own);
		g_source_unref(s);
	}
	while (ran < 200)
		ck_assert_int_ge(loop_step(another, FOR_EVER), 1);
	ck_assert_int_eq(loop_step(another, MS), 0);
	loop_free(another);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop_glib");
	TCase *tc = tcase_create("glib");

	limit_time(tc, 60);
	tcase_add_checked_fixture(tc, new_loop, free_loop);
	tcase_add_test(tc, one_context);
	tcase_add_test(tc, idle_sources);
	tcase_add_test(tc, time_outs);
	tcase_add_test(tc, both);
	tcase_add_test(tc, other_threads);
	tcase_add_test(tc, owned_by_another_thread);
	tcase_add_test(tc, children);
	tcase_add_test(tc, subprocess);
	tcase_add_test(tc, socket_service);
	tcase_add_test(tc, own_context);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
