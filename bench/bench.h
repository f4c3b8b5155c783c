/* SPDX-License-Identifier: MIT */
/* bench.h - measured numbers, and what the parts of the benchmark share */
#ifndef BENCH_H
#define BENCH_H

#include <pthread.h>
#include <sched.h>
#include <time.h>

/* Of one thing, in the order in which they were taken; in nanoseconds. */
struct series {
	const char *group, *name;
	const char *missing;		/* why there are none; or null */
	struct series *base;		/* ratios are to it */
	double *values;
	int count;
};

extern int repetitions;
extern const char *glibc_helper, *musl_helper;

/* The series of that name in the group.  A new one has the group's first as base. */
struct series *series(const char *group, const char *name);
void add(struct series *s, double ns);
/* Of the values, or of their ratios to those of base. */
double percentile(const struct series *s, const struct series *base, int percent);
void print_table(const char *group, const char *unit, double divisor);
/* Medians, a line for each name, a column for each group whose name begins so. */
void print_matrix(const char *prefix, const char *what);

void must(int failed, const char *what);

static inline double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The nth processor of those that we may use; -1 where there are fewer. */
int processor(int n);
void put(pthread_t thread, int cpu);

/* calls.c */
void measure_calls(void);
void measure_threads(void);
/* wake.c */
void measure_wake_ups(void);
void measure_crowds(void);
/* deadline.c */
void measure_deadlines(void);
/* loop.c */
void measure_loops(void);

#endif
