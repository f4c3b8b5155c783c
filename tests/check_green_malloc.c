/* SPDX-License-Identifier: MIT */
/*
 * check_green_malloc.c - an allocator of the program's own, linked in front of the green threads,
 * as that of a sanitizer is: no task is put aside in it.
 */
#include "testing.h"
#include "../examples/green/green.h"

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__	/* they have their own */

enum { ROOM = 64 << 20, ALIGNED = 16 };

static _Alignas(ALIGNED) char room[ROOM];
static size_t used;
static volatile int is_slow, inside, was_entered;

/* It takes its time, as one that looks for room does. */
void *malloc(size_t size)
{
	size_t n = (size + 2 * ALIGNED - 1) / ALIGNED * ALIGNED, at;
	double end;

	if (is_slow) {
		was_entered |= inside;
		inside = 1;
		for (end = now() + 0.05; now() < end; ) {
			volatile int i;

			for (i = 0; i < 100000; i++)
				;
		}
		inside = 0;
	}
	at = __atomic_fetch_add(&used, n, __ATOMIC_SEQ_CST);
	if (size > ROOM || at + n > ROOM)
		return NULL;
	*(size_t *)(void *)(room + at) = size;
	return room + at + ALIGNED;
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t n, size_t size)
{
	return size && n > ROOM / size ? NULL : malloc(n * size + 1);	/* it is never used again */
}

void *realloc(void *p, size_t size)
{
	size_t old = p ? *(size_t *)(void *)((char *)p - ALIGNED) : 0;
	void *q = malloc(size);

	return q && p ? memcpy(q, p, old < size ? old : size) : q;
}

#else
static volatile int is_slow, was_entered;
#endif

/* Compilers know what these do, and leave them out. */
static void *(*volatile const call_malloc)(size_t) = malloc;
static void (*volatile const call_free)(void *) = free;

static void allocates(void *unused)
{
	void *p = call_malloc(1);

	(void)unused;
	ck_assert_ptr_ne(p, NULL);
	call_free(p);
}

static void allocate(void *unused)
{
	green *g[4];
	int i;

	for (i = 0; i < 4; i++)
		g[i] = green_spawn(allocates, unused);
	is_slow = 1;
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(green_join(g[i]), 0);
	is_slow = 0;
}

START_TEST(in_the_programs_malloc)
{
	ck_assert_int_eq(green_run(1, allocate, NULL), 0);
	ck_assert_int_eq(was_entered, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("green_malloc");
	TCase *tc = tcase_create("malloc");

	limit_time(tc, 60);
	tcase_add_test(tc, in_the_programs_malloc);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
