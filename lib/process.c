/* SPDX-License-Identifier: MIT */
/* process.c - see process.h */
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process.h"

#ifndef MADV_WIPEONFORK
# define MADV_WIPEONFORK 18
#endif

static struct ss_process before_start;
struct ss_process *ss_process = &before_start;

static AO_t generations;

/* Where it can't be had, children of fork are known by the atfork handler alone. */
void ss_process_start(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	/* cppcheck-suppress invalidFunctionArg; with MAP_ANONYMOUS it is right */
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ss_process_forked();
	if (page == MAP_FAILED)
		return;
	madvise(page, size, MADV_WIPEONFORK);
	*(struct ss_process *)page = before_start;
	AO_nop_full();
	ss_process = page;
}

void ss_process_end(void)
{
	struct ss_process *page = ss_process;

	if (page == &before_start)
		return;
	before_start = *page;
	ss_process = &before_start;
	munmap(page, (size_t)sysconf(_SC_PAGESIZE));
}

int ss_process_is_vforked(void)
{
	return (AO_t)getpid() != AO_load(&ss_process->pid);
}

/*
 * Whoever holds the lock is a thread of the parent, and what it was about to do is done or
 * not, so the lock is free here.  A handler that comes between two lines may count the same
 * fork too: a number more does no harm.
 */
void ss_process_forked(void)
{
	AO_t pid = (AO_t)getpid();

	if (AO_load(&ss_process->generation) && AO_load(&ss_process->pid) == pid)
		return;
	AO_store(&ss_process->lock, 0);
	AO_store(&ss_process->pid, pid);
	AO_store(&ss_process->generation, ++generations);
}
