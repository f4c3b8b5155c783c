/* SPDX-License-Identifier: MIT */
/* A mutex whose owner is gone: the kernel finds it in the list that the thread left behind. */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "guest.h"

static pthread_mutex_t robust;

static void *dies_with_it(void *arg)
{
	pthread_mutex_lock(&robust);
	return arg;
}

/* Between threads and between processes. */
static void robust_mutexes(void)
{
	pthread_mutex_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;
	pthread_t thread;
	pid_t child;

	need(shared != MAP_FAILED);
	pthread_mutexattr_init(&attr);
	want(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	want(pthread_mutex_init(&robust, &attr), 0);
	want(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), 0);
	want(pthread_mutex_init(shared, &attr), 0);
	need(pthread_create(&thread, NULL, dies_with_it, NULL) == 0);
	pthread_join(thread, NULL);
	/* Where nobody tells that the owner died, this would wait for ever. */
	want(pthread_mutex_trylock(&robust), EOWNERDEAD);
	want(pthread_mutex_consistent(&robust), 0);
	want(pthread_mutex_unlock(&robust), 0);
	want(pthread_mutex_lock(&robust), 0);
	want(pthread_mutex_unlock(&robust), 0);
	child = fork();
	if (child == 0) {
		pthread_mutex_lock(shared);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	want(pthread_mutex_trylock(shared), EOWNERDEAD);
	want(pthread_mutex_consistent(shared), 0);
	want(pthread_mutex_unlock(shared), 0);
}

int main(void)
{
	robust_mutexes();
	return guest_end();
}
