/* SPDX-License-Identifier: MIT */
/* loop.c - the event loop of the examples beside others */
#include <dlfcn.h>
#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../examples/loop/loop.h"
#include "bench.h"
#include "loop.h"

enum { IDLE = 10000, TIMERS = 100000, FAR = 1000000, ROUNDS = 200 };

/* ---- the loop of the examples ----------------------------------------------------- */

struct ours {
	struct loop *loop;
	struct loop_bh *wake;
	long long now;
};

/* Functions without an argument are enough here. */
static void call(void *function)
{
	((void (*)(void))function)();
}

static void *our_loop(void)
{
	struct ours *o = calloc(1, sizeof *o);

	if (o)
		o->loop = loop_new();
	return o && o->loop ? o : NULL;
}

static void our_run(void *o)
{
	loop_run(((struct ours *)o)->loop);
}

static void our_quit(void *o)
{
	loop_stop(((struct ours *)o)->loop, 0);
}

static void our_watch(void *o, int fd, void (*readable)(void))
{
	must(loop_fd(((struct ours *)o)->loop, fd, call, NULL, (void *)readable), "loop_fd");
}

static void our_on_wake(void *loop, void (*woken)(void))
{
	struct ours *o = loop;

	o->wake = loop_bh_new(o->loop, call, (void *)woken);
}

static void our_wake(void *o)
{
	loop_bh_schedule(((struct ours *)o)->wake);
}

static void *our_timer(void *o, void (*fired)(void))
{
	return loop_timer_new(((struct ours *)o)->loop, call, (void *)fired);
}

static void our_clock(void *o)
{
	((struct ours *)o)->now = (long long)now(CLOCK_MONOTONIC);
}

static void our_set(void *o, void *timer, int ms)
{
	loop_timer_set(timer, ((struct ours *)o)->now + ms * 1000000LL);
}

static const struct loop_calls our_calls = {
	our_loop, our_run, our_quit, our_watch, our_on_wake, our_wake, our_timer, our_clock,
	our_set,
};

/* ---- it and its peers --------------------------------------------------------------- */

static struct peer {
	const char *name, *module;
	const struct loop_calls *calls;	/* null: not installed */
	void *woken, *busy, *crowded, *late;	/* a loop for each of the tables */
	int slow;			/* beside many descriptors */
	pthread_t thread;
	void **timers;
} peers[] = {
	{ .name = "the loop", .calls = &our_calls },
	{ .name = "libuv", .module = "bench/loop-libuv.so" },
	{ .name = "libevent", .module = "bench/loop-libevent.so" },
	{ .name = "libev", .module = "bench/loop-libev.so" },
	{ .name = "GLib", .module = "bench/loop-glib.so" },
};

enum { PEERS = sizeof peers / sizeof *peers };

static struct peer *this;
static int events, events_wanted;

static void find_peers(void)
{
	void *module;
	int i;

	for (i = 1; i < PEERS; i++) {
		module = dlopen(peers[i].module, RTLD_NOW | RTLD_LOCAL);
		peers[i].calls = module ? dlsym(module, "calls") : NULL;
	}
}

static void *new_loop(const struct peer *p)
{
	void *loop = p->calls->open();

	must(!loop, p->name);
	return loop;
}

static double processor_time(void)
{
	return now(CLOCK_PROCESS_CPUTIME_ID);
}

/* ---- wake-ups ------------------------------------------------------------------------- */

static sem_t in, out;
static int asked, answered, hold, over;

static int get(const int *from)
{
	return __atomic_load_n(from, __ATOMIC_SEQ_CST);
}

static void put_in(int *to, int value)
{
	__atomic_store_n(to, value, __ATOMIC_SEQ_CST);
}

/* In the loop's thread.  A loop may call it once too often. */
static void on_woken(void)
{
	int held = get(&hold), number = get(&asked);

	if (get(&over))
		this->calls->quit(this->woken);
	if (answered == number)
		return;
	answered = number;
	sem_post(&in);
	while (held && sem_wait(&out))
		;
}

static void *run_woken(void *peer)
{
	struct peer *p = peer;

	p->calls->run(p->woken);
	return NULL;
}

static void wake(void)
{
	this->calls->wake(this->woken);
}

static void ask(void)
{
	put_in(&asked, asked + 1);
	wake();
}

static void wait_for_callback(void)
{
	while (sem_wait(&in))
		;
}

/* There and back: the callback says that it has come. */
static double wake_and_wait(clockid_t clock)
{
	double start = now(clock);
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ask();
		wait_for_callback();
	}
	return (now(clock) - start) / ROUNDS;
}

/* Of the thread that wakes a loop that is in a callback, which is held there. */
static double wake_many_times(void)
{
	double time;
	int i;

	put_in(&hold, 1);
	ask();
	wait_for_callback();
	put_in(&hold, 0);
	put_in(&asked, asked + 1);
	time = now(CLOCK_THREAD_CPUTIME_ID);
	for (i = 0; i < ROUNDS; i++)
		wake();
	time = (now(CLOCK_THREAD_CPUTIME_ID) - time) / ROUNDS;
	sem_post(&out);
	wait_for_callback();
	return time;
}

static double same_processor(void)
{
	put(this->thread, processor(0));
	return wake_and_wait(CLOCK_PROCESS_CPUTIME_ID);
}

static double another_processor(void)
{
	put(this->thread, processor(1));
	return wake_and_wait(CLOCK_MONOTONIC);
}

static void start_woken(void)
{
	this->woken = new_loop(this);
	this->calls->on_wake(this->woken, on_woken);
	errno = pthread_create(&this->thread, NULL, run_woken, this);
	must(errno, "pthread_create");
}

static void stop_woken(void)
{
	put_in(&over, 1);
	wake();
	pthread_join(this->thread, NULL);
	put_in(&over, 0);
}

/* ---- descriptors ---------------------------------------------------------------------- */

static int busy[2], idle[IDLE], idle_count;

static void until_enough(void *loop)
{
	if (++events == events_wanted)
		this->calls->quit(loop);
}

/* One byte is always on its way. */
static void on_busy(void)
{
	char c;

	must(read(busy[0], &c, 1) != 1 || write(busy[1], &c, 1) != 1, "pipe");
	until_enough(this->busy);
}

static void on_busy_in_the_crowd(void)
{
	char c;

	must(read(busy[0], &c, 1) != 1 || write(busy[1], &c, 1) != 1, "pipe");
	until_enough(this->crowded);
}

static void on_idle(void)
{
	must(1, "an event of an idle descriptor");
}

static double run(void *loop, int n)
{
	double start = processor_time();

	events = 0;
	events_wanted = n;
	this->calls->run(loop);
	return (processor_time() - start) / n;
}

static double one_busy_pipe(void)
{
	return run(this->busy, ROUNDS);
}

static double beside_idle_ones(void)
{
	return run(this->crowded, this->slow ? 1 : ROUNDS);
}

static void watch_pipe(void)
{
	this->busy = new_loop(this);
	this->calls->watch(this->busy, busy[0], on_busy);
}

static void watch_all(void)
{
	int i;

	this->crowded = new_loop(this);
	this->calls->watch(this->crowded, busy[0], on_busy_in_the_crowd);
	for (i = 0; i < idle_count; i++)
		this->calls->watch(this->crowded, idle[i], on_idle);
	run(this->crowded, 2);
	this->slow = run(this->crowded, 2) > 100000;
}

static void open_descriptors(void)
{
	struct rlimit limit = { IDLE + 200, IDLE + 200 };

	must(pipe(busy) || write(busy[1], "a", 1) != 1, "pipe");
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return;
	for (; idle_count < IDLE; idle_count++) {
		idle[idle_count] = eventfd(0, 0);
		must(idle[idle_count] == -1, "eventfd");
	}
}

/* ---- timers --------------------------------------------------------------------------- */

static int anything(int n)
{
	static unsigned int state = 1;

	state = state * 1103515245 + 12345;
	return (int)((state >> 8) % (unsigned int)n);
}

static void on_time(void)
{
	until_enough(this->late);
}

static void set_later(int i)
{
	this->calls->set(this->late, this->timers[i], FAR + anything(FAR));
}

static void set_all(void)
{
	int i;

	this->late = new_loop(this);
	this->timers = calloc(TIMERS, sizeof *this->timers);
	must(!this->timers, "calloc");
	this->calls->look_at_clock(this->late);
	for (i = 0; i < TIMERS; i++) {
		this->timers[i] = this->calls->timer(this->late, on_time);
		set_later(i);
	}
}

static double set_again(void)
{
	double start = processor_time();
	int i;

	this->calls->look_at_clock(this->late);
	for (i = 0; i < ROUNDS; i++)
		set_later(anything(TIMERS));
	return (processor_time() - start) / ROUNDS;
}

/* Some come due at once; then they are set again. */
static double fire(void)
{
	int first = anything(TIMERS - ROUNDS), i;
	double start = processor_time();

	this->calls->look_at_clock(this->late);
	for (i = 0; i < ROUNDS; i++)
		this->calls->set(this->late, this->timers[first + i], 0);
	run(this->late, ROUNDS);
	for (i = 0; i < ROUNDS; i++)
		set_later(first + i);
	return (processor_time() - start) / ROUNDS;
}

/* ---- all of it ------------------------------------------------------------------------ */

static void for_each_peer(void (*function)(void))
{
	for (this = peers; this < peers + PEERS; this++)
		if (this->calls)
			function();
}

static const struct table {
	const char *group;
	double (*measure)(void);
	void (*before)(void), (*after)(void);
} tables[] = {
	{ "loop: wake-up, same processor", same_processor, start_woken, NULL },
	{ "loop: wake-up, another processor", another_processor, NULL, NULL },
	{ "loop: woken already", wake_many_times, NULL, stop_woken },
	{ "loop: one busy pipe", one_busy_pipe, watch_pipe, NULL },
	{ "loop: beside 10,000 idle descriptors", beside_idle_ones, watch_all, NULL },
	{ "loop: timer set again, of 100,000", set_again, set_all, NULL },
	{ "loop: timer fires, of 100,000", fire, NULL, NULL },
};

static void measure(const struct table *t)
{
	struct series *s;
	int i, first;

	for (i = 0; i < PEERS; i++) {
		s = series(t->group, peers[i].name);
		s->missing = peers[i].calls ? NULL : "not installed";
	}
	if (t->before)
		for_each_peer(t->before);
	for (i = 0; i < (repetitions + 3) / 4; i++)
		for (first = anything(PEERS), this = peers + first; ; ) {
			if (this->calls)
				add(series(t->group, this->name), t->measure());
			this = peers + (this - peers + 1) % PEERS;
			if (this == peers + first)
				break;
		}
	if (t->after)
		for_each_peer(t->after);
	print_table(t->group, "ns", 1);
}

static void print_best(const struct table *t)
{
	const struct series *ours = series(t->group, peers[0].name), *best = NULL, *s;
	int i;

	for (i = 1; i < PEERS; i++) {
		s = series(t->group, peers[i].name);
		if (s->count && (!best || percentile(s, NULL, 50) < percentile(best, NULL, 50)))
			best = s;
	}
	if (best)
		printf("%-38s / %-12s%7.3f%7.3f ..%7.3f\n", t->group, best->name,
		       percentile(ours, best, 50), percentile(ours, best, 25),
		       percentile(ours, best, 75));
}

void measure_loops(void)
{
	size_t i;

	find_peers();
	sem_init(&in, 0, 0);
	sem_init(&out, 0, 0);
	put(pthread_self(), processor(0));
	open_descriptors();
	for (i = 0; i < sizeof tables / sizeof *tables; i++)
		measure(&tables[i]);
	printf("\nthe loop / the best of its peers\n");
	for (i = 0; i < sizeof tables / sizeof *tables; i++)
		print_best(&tables[i]);
}
