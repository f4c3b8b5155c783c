/* SPDX-License-Identifier: MIT */
/*
 * stack.c - tasks and their stacks: memory that is there when it is touched, with a guard
 *
 * The guard is a mark in the page table where the kernel has MADV_GUARD_INSTALL (6.13).  Else it is
 * a mapping of its own, of which there may be few (vm.max_map_count): a stack that comes
 * later has none.  Its last word is zero, and is looked at when its task is left.
 *
 * Those that are free are used again as late as can be, so that it is seen who joins a task
 * twice; a few keep their memory.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "parts.h"
#if defined __has_include
# if __has_include(<valgrind/valgrind.h>)
#  include <valgrind/valgrind.h>
# endif
#endif
#ifndef VALGRIND_STACK_REGISTER
# define VALGRIND_STACK_REGISTER(from, to) (void)0
#endif

#define GUARD_INSTALL 102		/* MADV_..., which not all C libraries name */
#define POPULATE_READ 22

enum { GUARD = 16 << 10, KEPT = 256 };

struct slab *green_slabs;
size_t green_guard;
static struct list hot, cold;

/* Emulators say yes to all advice, also to read what nobody can. */
static int set_guard(char *stack)
{
	static int has_marks;

	if (!madvise(stack, green_guard, GUARD_INSTALL)) {
		has_marks = has_marks || madvise(stack, green_guard, POPULATE_READ);
		if (has_marks)
			return 0;
	}
	return mprotect(stack, green_guard, PROT_NONE);
}

static size_t stride(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	green_guard = page > GUARD ? page : GUARD;
	return STACK + green_guard;
}

static int add_slab(void)
{
	struct slab *slab = calloc(1, sizeof *slab);
	struct green *g;

	if (!slab)
		return -1;
	slab->stacks = mmap(NULL, SLAB * stride(), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (slab->stacks == MAP_FAILED) {
		free(slab);
		return -1;
	}
	madvise(slab->stacks, SLAB * stride(), MADV_NOHUGEPAGE);
	for (g = slab->tasks; g < slab->tasks + SLAB; g++) {
		g->stack = slab->stacks + (size_t)(g - slab->tasks) * stride();
		VALGRIND_STACK_REGISTER(g->stack + green_guard, g->stack + stride());
		green_append(&cold, g);
	}
	slab->next = green_slabs;
	green_slabs = slab;
	return 0;
}

struct green *green_new(void)
{
	struct green *g = green_first(hot.count > KEPT / 2 ? &hot : &cold);

	if (!g && !add_slab())
		g = green_first(&cold);
	if (g && !g->number)		/* the first time */
		g->unguarded = set_guard(g->stack);
	return g;
}

void green_free(struct green *g)
{
	g->life = GONE;
	green_append(&hot, g);
	if (hot.count <= KEPT)
		return;
	g = green_first(&hot);
	madvise(g->stack + green_guard, STACK, MADV_DONTNEED);
	green_append(&cold, g);
}

void green_free_all(void)
{
	struct slab *slab;

	while ((slab = green_slabs)) {
		green_slabs = slab->next;
		munmap(slab->stacks, SLAB * stride());
		free(slab);
	}
	hot.first = cold.first = NULL;
	hot.count = cold.count = 0;
}
