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

/* Where it can't be had, children of fork are known by the atfork handler alone. */
void ss_process_start(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	before_start.pid = (AO_t)getpid();
	if (page == MAP_FAILED)
		return;
	madvise(page, size, MADV_WIPEONFORK);
	*(struct ss_process *)page = before_start;
	ss_process = page;
}
