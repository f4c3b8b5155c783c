/* SPDX-License-Identifier: MIT */
/*
 * tasks.c - what tasks cost: tasks WHAT [THREADS], one line with a number.  Compiled for the green
 * threads of the examples or, with -DPTH or -DST, for GNU Pth or State Threads.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef PTH
# include <pth.h>
#elif defined ST
# include <st.h>
#else
# include "green.h"
#endif

static const char *what;
static long count;
static double result;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

#ifdef PTH
typedef pth_t task;
static void *(*spawned)(void *);
static task spawn(void *(*fn)(void *), void *arg)
{
	pth_attr_t attr = pth_attr_new();
	task t;

	pth_attr_set(attr, PTH_ATTR_STACK_SIZE, 256 << 10);
	t = pth_spawn(attr, fn, arg);
	pth_attr_destroy(attr);
	return t;
}
#define join(t) pth_join(t, NULL)
#define yield() pth_yield(NULL)
#define TASK void *
#define END return NULL
#elif defined ST
typedef st_thread_t task;
#define spawn(fn, arg) st_thread_create(fn, arg, 1, 256 << 10)
#define join(t) st_thread_join(t, NULL)
#define yield() st_sleep(0)
#define TASK void *
#define END return NULL
#else
typedef green *task;
#define spawn(fn, arg) green_spawn(fn, arg)
#define join(t) green_join(t)
#define yield() green_yield()
#define TASK void
#define END return
#endif

static TASK nothing(void *arg)
{
	(void)arg;
	END;
}

static TASK yields(void *arg)
{
	long i;

	(void)arg;
	for (i = 0; i < count; i++)
		yield();
	END;
}

static void switches(void)
{
	task a, b;
	double began;

	count = 500000;
	a = spawn(yields, NULL);
	b = spawn(yields, NULL);
	began = now();
	join(a);
	join(b);
	result = (now() - began) / (2 * (double)count);
}

static void spawns(void)
{
	double began = now();
	int i;

	for (i = 0; i < 100000; i++)
		join(spawn(nothing, NULL));
	result = (now() - began) / 100000;
}

#if !defined PTH && !defined ST
static green_channel *ring[1001];

static void answers(void *arg)
{
	long n;

	(void)arg;
	while (!green_receive(ring[0], &n))
		green_send(ring[1], &n);
}

static void ping_pong(void)
{
	double began;
	green *g;
	long i, n;

	ring[0] = green_channel_new(sizeof n, 0);
	ring[1] = green_channel_new(sizeof n, 0);
	g = green_spawn(answers, NULL);
	began = now();
	for (i = 0; i < 200000; i++) {
		green_send(ring[0], &i);
		green_receive(ring[1], &n);
	}
	result = (now() - began) / 200000;
	green_close(ring[0]);
	green_join(g);
}

static void passes_on(void *arg)
{
	intptr_t i = (intptr_t)arg;
	long n;

	while (!green_receive(ring[i], &n))
		green_send(ring[i + 1], &n);
	green_close(ring[i + 1]);
}

static void around(void)
{
	double began;
	long i, n;

	for (i = 0; i <= 1000; i++)
		ring[i] = green_channel_new(sizeof n, 0);
	for (i = 0; i < 1000; i++)
		green_detach(green_spawn(passes_on, (void *)(intptr_t)i));
	began = now();
	for (i = 0; i < 200; i++) {
		green_send(ring[0], &i);
		green_receive(ring[1000], &n);
	}
	result = (now() - began) / 200000;
	green_close(ring[0]);
	green_receive(ring[1000], &n);
}

static void sleeps(void *arg)
{
	green_sleep(1000000000000);
	(void)arg;
}

static long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void memory(void)
{
	long before = resident(), i;

	for (i = 0; i < 100000; i++)
		green_spawn(sleeps, NULL);
	green_sleep(1000000000);
	result = (double)(resident() - before) / 100000;
	printf("%.0f\n", result);
	exit(0);
}

static int stop;

static void runs(void *arg)
{
	while (!stop)
		green_yield();
	(void)arg;
}

/* One that is free, and has to be asked for on a thread of its own, among others that run. */
static void locks(void)
{
	int f = open("/tmp", O_RDONLY), i;
	double began;

	for (i = 0; i < 1000; i++)
		green_detach(green_spawn(runs, NULL));
	began = now();
	for (i = 0; i < 200; i++)
		green_syscall(SYS_flock, f, i % 2 ? LOCK_UN : LOCK_EX);
	result = (now() - began) / 200;
	stop = 1;
}
#endif

static TASK all(void *arg)
{
	(void)arg;
	if (!strcmp(what, "switch"))
		switches();
	else if (!strcmp(what, "spawn"))
		spawns();
#if !defined PTH && !defined ST
	else if (!strcmp(what, "pingpong"))
		ping_pong();
	else if (!strcmp(what, "ring"))
		around();
	else if (!strcmp(what, "memory"))
		memory();
	else if (!strcmp(what, "flock"))
		locks();
#endif
	END;
}

int main(int argc, char **argv)
{
	what = argc > 1 ? argv[1] : "switch";
#ifdef PTH
	(void)spawned;
	pth_init();
	all(NULL);
#elif defined ST
	st_init();
	all(NULL);
#else
	if (green_run(argc > 2 ? atoi(argv[2]) : 1, all, NULL))
		return 1;
#endif
	printf("%.0f\n", result);
	return 0;
}
