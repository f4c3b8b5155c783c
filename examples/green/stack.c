/* SPDX-License-Identifier: MIT */
/*
 * stack.c - stacks: memory that is there when it is touched, with a guard at the end
 *
 * The guard is a mark in the page table where the kernel has MADV_GUARD_INSTALL (6.13).  Else it is
 * a mapping of its own, of which there may be few (vm.max_map_count): a stack that comes
 * later has none, which the lowest bit of its address tells.  Its last word is zero, and is
 * looked at when its task is left.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "parts.h"

#define GUARD_INSTALL 102		/* MADV_..., which not all C libraries name */
#define POPULATE_READ 22

enum { SLAB = 64, GUARD = 16 << 10, KEPT = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char **idle, **slabs;		/* all that are free, but for the new ones; all mappings */
static size_t idle_count, slab_count, fresh;	/* fresh: so many of the last slab are new */
static size_t guard, stride;
static int marks, no_marks;		/* what the kernel was seen to have */

static char *base(const char *stack)
{
	return (char *)((uintptr_t)stack & ~(uintptr_t)1);
}

char *green_stack_top(const char *stack)
{
	return base(stack) + stride;
}

static int add_slab(void)
{
	char **more = reallocarray(idle, (slab_count + 1) * SLAB, sizeof *idle);
	char **all = more ? reallocarray(slabs, slab_count + 1, sizeof *slabs) : NULL;
	char *slab;

	idle = more ? more : idle;
	slabs = all ? all : slabs;
	guard = (size_t)sysconf(_SC_PAGESIZE) > GUARD ? (size_t)sysconf(_SC_PAGESIZE) : GUARD;
	stride = STACK + guard;
	if (!all)
		return -1;
	slab = mmap(NULL, SLAB * stride, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (slab == MAP_FAILED)
		return -1;
	madvise(slab, SLAB * stride, MADV_NOHUGEPAGE);
	slabs[slab_count++] = slab;
	fresh = SLAB;
	return 0;
}

static char *new_stack(void)
{
	char *stack;

	if (!fresh && add_slab())
		return NULL;
	stack = slabs[slab_count - 1] + --fresh * stride;
	if (!no_marks && !madvise(stack, guard, GUARD_INSTALL)) {
		/* emulators say yes to all advice */
		marks = marks || madvise(stack, guard, POPULATE_READ);
		if (marks)
			return stack;
	}
	no_marks = 1;
	return mprotect(stack, guard, PROT_NONE) ? stack + 1 : stack;
}

char *green_stack_new(void)
{
	char *stack;

	pthread_mutex_lock(&lock);
	stack = idle_count ? idle[--idle_count] : new_stack();
	pthread_mutex_unlock(&lock);
	return stack;
}

/* A few keep their memory. */
void green_stack_free(char *stack)
{
	int hot;

	pthread_mutex_lock(&lock);
	hot = idle_count < KEPT;
	if (hot)
		idle[idle_count++] = stack;
	pthread_mutex_unlock(&lock);
	if (hot)
		return;
	madvise(base(stack) + guard, STACK, MADV_DONTNEED);
	pthread_mutex_lock(&lock);
	idle[idle_count++] = stack;
	pthread_mutex_unlock(&lock);
}

int green_stack_overrun(const char *stack)
{
	return (uintptr_t)stack & 1 && *(long *)(base(stack) + guard);
}

int green_stack_holds(const char *stack, const void *address)
{
	return (uintptr_t)address - (uintptr_t)base(stack) < stride;
}

int green_stack_guards(const char *stack, const void *address)
{
	return (uintptr_t)address - (uintptr_t)base(stack) < guard;
}

void green_stacks_unmap(void)
{
	while (slab_count)
		munmap(slabs[--slab_count], SLAB * stride);
	free(slabs);
	free(idle);
	slabs = idle = NULL;
	idle_count = fresh = 0;
}
