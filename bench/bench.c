/* SPDX-License-Identifier: MIT */
/*
 * bench.c - what the library costs, beside what else a program could do.
 *
 * Nanoseconds differ from machine to machine and from minute to minute; ratios much
 * less so.  So what is compared is measured in the same run, in turn, a little of
 * each many times over, and each little is divided by what the plain call took in
 * the same turn.  Medians are shown, and the quartiles as the spread.
 *
 * Instructions, which are exact, are counted by tests/check_cost.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "bench.h"

int repetitions = 401;
const char *glibc_helper, *musl_helper;

void must(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

/* ---- series -------------------------------------------------------------------- */

static struct series all[500];
static int series_count;

struct series *series(const char *group, const char *name)
{
	struct series *s;

	for (s = all; s < all + series_count; s++)
		if (!strcmp(s->group, group) && !strcmp(s->name, name))
			return s;
	must(series_count == sizeof all / sizeof *all, "too many series");
	s = &all[series_count++];
	s->group = strdup(group);
	s->name = strdup(name);
	for (s->base = all; strcmp(s->base->group, group); s->base++)
		;
	return s;
}

void add(struct series *s, double ns)
{
	/* grows at each power of two */
	if ((s->count & (s->count - 1)) == 0) {
		s->values = realloc(s->values, (size_t)(s->count ? 2 * s->count : 1) *
				    sizeof *s->values);
		must(!s->values, "realloc");
	}
	s->values[s->count++] = ns;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double percentile(const struct series *s, const struct series *base, int percent)
{
	double *sorted, value;
	int i, n = s->count;

	if (base && base->count < n)
		n = base->count;
	if (!n)
		return 0;
	sorted = malloc((size_t)n * sizeof *sorted);
	must(!sorted, "malloc");
	for (i = 0; i < n; i++)
		sorted[i] = base ? s->values[i] / base->values[i] : s->values[i];
	qsort(sorted, (size_t)n, sizeof *sorted, compare);
	value = sorted[(n - 1) * percent / 100];
	free(sorted);
	return value;
}

/* ---- processors ---------------------------------------------------------------- */

int processor(int n)
{
	static cpu_set_t ours;
	static int known;
	int cpu;

	if (!known)
		must(sched_getaffinity(0, sizeof ours, &ours), "sched_getaffinity");
	known = 1;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &ours) && n-- == 0)
			return cpu;
	return -1;
}

void put(pthread_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	errno = pthread_setaffinity_np(thread, sizeof set, &set);
	must(errno, "pthread_setaffinity_np");
}

/* ---- output -------------------------------------------------------------------- */

static void print_line(const struct series *s, double divisor)
{
	printf("%-36s", s->name);
	if (s->missing) {
		printf("  %s\n", s->missing);
		return;
	}
	printf("%9.2f%10.2f ..%9.2f%10.2f%12.2f", percentile(s, NULL, 50) / divisor,
	       percentile(s, NULL, 25) / divisor, percentile(s, NULL, 75) / divisor,
	       percentile(s, NULL, 99) / divisor, percentile(s, NULL, 100) / divisor);
	if (s != s->base)
		printf("%9.3f%8.3f ..%7.3f", percentile(s, s->base, 50),
		       percentile(s, s->base, 25), percentile(s, s->base, 75));
	printf("\n");
}

void print_table(const char *group, const char *unit, double divisor)
{
	const struct series *s;

	printf("\n%-36s%9s%22s%10s%12s%9s%17s\n", group, unit, "25 % .. 75 %", "99 %",
	       "most", "ratio", "25 % .. 75 %");
	for (s = all; s < all + series_count; s++)
		if (!strcmp(s->group, group))
			print_line(s, divisor);
	fflush(stdout);
}

void print_matrix(const char *prefix, const char *what)
{
	const struct series *first = NULL, *row, *s;
	size_t length = strlen(prefix);

	printf("\n%s\n%7s", what, "");
	for (s = all; s < all + series_count; s++)
		if (!strncmp(s->group, prefix, length) && s == s->base) {
			printf("%16s", s->group + length);
			first = first ? first : s;
		}
	for (row = first; row && row < all + series_count; row++) {
		if (strcmp(row->group, first->group))
			continue;
		printf("\n%7s", row->name);
		for (s = all; s < all + series_count; s++)
			if (!strncmp(s->group, prefix, length) && !strcmp(s->name, row->name))
				printf("%16.2f", percentile(s, NULL, 50));
	}
	printf("\n");
	fflush(stdout);
}

static void write_csv(const char *path)
{
	const struct series *s;
	FILE *f = fopen(path, "w");

	must(!f, path);
	fprintf(f, "group,name,count,p50,p25,p75,p99,max,ratio,ratio_p25,ratio_p75,missing\n");
	for (s = all; s < all + series_count; s++) {
		fprintf(f, "\"%s\",\"%s\",%d,%.2f,%.2f,%.2f,%.2f,%.2f,%.4f,%.4f,%.4f,\"%s\"\n",
			s->group, s->name, s->count, percentile(s, NULL, 50),
			percentile(s, NULL, 25), percentile(s, NULL, 75),
			percentile(s, NULL, 99), percentile(s, NULL, 100),
			percentile(s, s->base, 50), percentile(s, s->base, 25),
			percentile(s, s->base, 75), s->missing ? s->missing : "");
	}
	must(fclose(f), path);
}

/* What is wanted of this library: the first at most so many times the second. */
static const struct goal {
	const char *group, *name;
	const char *base_group, *base;
	double most;
} goals[] = {
	{ "getppid", "safe_syscall_raw", "getppid", "flag and inline, in a function", 1.01 },
	{ "getppid", "safe_syscall", "getppid", "syscall()", 1.03 },
	{ "getppid", "safe_syscall", "getppid", "two sigprocmask around it", 1 / 3.0 },
	{ "wake-up, same processor", "safe_syscall_interrupt",
	  "wake-up, same processor", "pthread_kill", 1.10 },
	{ "wake-up, another processor", "safe_syscall_interrupt",
	  "wake-up, another processor", "pthread_kill", 1.10 },
	{ "threads: safe_syscall", "64", "threads: safe_syscall", "1", 1.10 },
	{ "threads: in scope", "64", "threads: in scope", "1", 1.10 },
	{ "threads: int. again", "64", "threads: int. again", "1", 1.10 },
};

static void print_goals(void)
{
	const struct series *s, *base;
	size_t i;

	printf("\n%-92s%7s%7s\n", "goals", "ratio", "most");
	for (i = 0; i < sizeof goals / sizeof *goals; i++) {
		s = series(goals[i].group, goals[i].name);
		base = series(goals[i].base_group, goals[i].base);
		if (!s->count || !base->count)
			continue;
		printf("%-28s%-24s / %-37s%7.3f%7.3f %s\n", s->group, s->name, base->name,
		       percentile(s, base, 50), goals[i].most,
		       percentile(s, base, 50) <= goals[i].most ? "met" : "MISSED");
	}
}

int main(int argc, char **argv)
{
	const char *csv = NULL;
	double start = now(CLOCK_MONOTONIC);
	int option;

	while ((option = getopt(argc, argv, "n:o:g:m:")) != -1)
		switch (option) {
		case 'n': repetitions = atoi(optarg); break;
		case 'o': csv = optarg; break;
		case 'g': glibc_helper = optarg; break;
		case 'm': musl_helper = optarg; break;
		default: repetitions = 0;
		}
	if (repetitions < 1 || optind < argc) {
		fprintf(stderr, "usage: bench [-n repetitions] [-o file.csv] "
			"[-g helper of this libc] [-m helper of musl]\n");
		return 2;
	}
	must(safe_syscall_init(0), "safe_syscall_init");
	printf("libsafe_syscall %s, %d repetitions\n", safe_syscall_version(), repetitions);
	measure_calls();
	measure_wake_ups();
	measure_threads();
	measure_crowds();
	measure_deadlines();
	measure_loops();
	print_goals();
	printf("\n%.0f seconds\n", (now(CLOCK_MONOTONIC) - start) / 1e9);
	if (csv)
		write_csv(csv);
	return 0;
}
