/* SPDX-License-Identifier: MIT */
/* Threads of POSIX: results, mutexes, conditions, thread-local memory, cancellation. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/syscall.h>
#include "guest.h"

#define THREADS 8
#define TURNS 2000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static long counter, atomic_counter;
static int turn;

static void *adds(void *arg)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		__atomic_add_fetch(&atomic_counter, 1, __ATOMIC_RELAXED);
	}
	return (void *)((intptr_t)arg * 2);
}

static void results(void)
{
	pthread_t threads[THREADS];
	void *result;
	long sum = 0;
	int i;

	for (i = 0; i < THREADS; i++)
		need(pthread_create(&threads[i], NULL, adds, (void *)(intptr_t)i) == 0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		sum += (intptr_t)result;
	}
	want(sum, THREADS * (THREADS - 1));
	want(counter, THREADS * TURNS);
	want(atomic_counter, THREADS * TURNS);
}

static void *takes_turns(void *arg)
{
	int me = (intptr_t)arg, i;

	for (i = 0; i < 200; i++) {
		pthread_mutex_lock(&lock);
		while (turn % 3 != me)
			pthread_cond_wait(&turned, &lock);
		turn++;
		pthread_cond_broadcast(&turned);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void conditions(void)
{
	struct timespec t;
	pthread_t threads[3];
	int i;

	for (i = 0; i < 3; i++)
		need(pthread_create(&threads[i], NULL, takes_turns, (void *)(intptr_t)i) == 0);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	want(turn, 600);
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 10000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	pthread_mutex_lock(&lock);
	want(pthread_cond_timedwait(&turned, &lock, &t), ETIMEDOUT);
	want(pthread_mutex_trylock(&lock), EBUSY);
	pthread_mutex_unlock(&lock);
}

static __thread int local = 17;
static __thread char zeroed[100];
static pthread_key_t key;
static int destroyed;

static void destroy(void *value)
{
	destroyed += (intptr_t)value;
}

static void *has_its_own(void *arg)
{
	int before = local;

	pthread_setspecific(key, arg);
	local = (intptr_t)arg;
	zeroed[3] = 1;
	sched_yield();
	nap(1);
	return (void *)(intptr_t)(before == 17 && local == (intptr_t)arg && zeroed[99] == 0);
}

static void thread_local_memory(void)
{
	pthread_t threads[THREADS];
	void *result;
	int i, good = 0;

	pthread_key_create(&key, destroy);
	for (i = 0; i < THREADS; i++)
		need(pthread_create(&threads[i], NULL, has_its_own, (void *)(intptr_t)(i + 100)) == 0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		good += (intptr_t)result;
	}
	want(good, THREADS);
	want(local, 17);
	want(destroyed, 8 * 100 + 28);
}

static sem_t ready;
static int cleaned;

static void clean(void *arg)
{
	cleaned += (intptr_t)arg;
}

static void *blocks_in_read(void *arg)
{
	char c;

	pthread_cleanup_push(clean, (void *)1);
	sem_post(&ready);
	if (read(*(int *)arg, &c, 1) == 1)
		puts("FAILED: read came back");
	pthread_cleanup_pop(0);
	return NULL;
}

static void unlock(void *mutex)
{
	pthread_mutex_unlock(mutex);
}

static void *blocks_in_cond(void *arg)
{
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(unlock, &lock);
	sem_post(&ready);
	for (;;)
		pthread_cond_wait(&turned, &lock);
	pthread_cleanup_pop(0);
	return arg;
}

static void *refuses(void *arg)
{
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	sem_post(&ready);
	nap(20);
	pthread_cleanup_push(clean, (void *)10);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_testcancel();
	puts("FAILED: not cancelled");
	pthread_cleanup_pop(0);
	return arg;
}

static void cancels(void)
{
	void *(*const functions[])(void *) = { blocks_in_read, blocks_in_cond, refuses };
	pthread_t thread;
	void *result;
	int fd[2], i;

	need(pipe(fd) == 0);
	for (i = 0; i < 3; i++) {
		need(pthread_create(&thread, NULL, functions[i], &fd[0]) == 0);
		sem_wait(&ready);
		want(pthread_cancel(thread), 0);
		want(pthread_join(thread, &result), 0);
		check(result == PTHREAD_CANCELED);
	}
	want(cleaned, 11);
	want(pthread_mutex_trylock(&lock), 0);
	pthread_mutex_unlock(&lock);
}

static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int readers, onces, serial;

static void only_once(void)
{
	onces++;
}

static void *meets(void *arg)
{
	int i;

	pthread_once(&once, only_once);
	for (i = 0; i < 50; i++) {
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
		pthread_rwlock_rdlock(&rwlock);
		sched_yield();
		pthread_rwlock_unlock(&rwlock);
		pthread_rwlock_wrlock(&rwlock);
		readers++;
		pthread_rwlock_unlock(&rwlock);
	}
	return arg;
}

static void others(void)
{
	pthread_t threads[4];
	int i;

	pthread_barrier_init(&barrier, NULL, 4);
	for (i = 0; i < 4; i++)
		need(pthread_create(&threads[i], NULL, meets, NULL) == 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	want(serial, 50);
	want(readers, 200);
	want(onces, 1);
}

static void *short_lived(void *arg)
{
	__atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
	return arg;
}

/* Nobody joins them: their stacks go all the same. */
static void detached(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int i;

	counter = 0;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 1 << 18);
	for (i = 0; i < 300; i++)
		while (pthread_create(&thread, &attr, short_lived, NULL))
			nap(1);
	for (i = 0; i < 5000 && __atomic_load_n(&counter, __ATOMIC_SEQ_CST) < 300; i++)
		nap(1);
	want(counter, 300);
}

static void *ids(void *arg)
{
	check(syscall(SYS_gettid) != getpid());
	return arg;
}

/* The last thread ends the process, not the first. */
static volatile int is_over;

static void *counts(void *arg)
{
	volatile uint32_t *word = arg;
	long wrong = 0;

	while (!is_over) {
		*word = 0x12345678;
		wrong += *word != 0x12345678;
	}
	return (void *)wrong;
}

/* What can't be executed is looked at, though for the other byte order: nobody else sees of it. */
static void bad_programs(void)
{
	unsigned char header[52] = { 0x7f, 'E', 'L', 'F', 1, 1, 1 };
	char *argv[] = { "program", NULL };
	uint16_t one = 1;
	uint32_t word;
	pthread_t thread;
	void *wrong;
	int fd, i, failed = 0;

	header[5] = *(unsigned char *)&one ? 2 : 1;
	fd = open("program", O_WRONLY | O_CREAT, 0700);
	need(fd >= 0 && write(fd, header, sizeof(header)) == sizeof(header));
	close(fd);
	need(pthread_create(&thread, NULL, counts, &word) == 0);
	for (i = 0; i < 2000; i++)
		failed += execv("program", argv) == -1;
	is_over = 1;
	pthread_join(thread, &wrong);
	want((long)wrong, 0);
	want(failed, 2000);
	unlink("program");
}

static void *outlives(void *arg)
{
	nap(20);
	puts("ok the first thread has gone");
	exit(guest_end());
	return arg;
}

int main(void)
{
	pthread_t thread;

	sem_init(&ready, 0, 0);
	results();
	conditions();
	thread_local_memory();
	cancels();
	others();
	detached();
	bad_programs();
	need(pthread_create(&thread, NULL, ids, NULL) == 0);
	pthread_join(thread, NULL);
	check(syscall(SYS_gettid) == getpid());
	need(pthread_create(&thread, NULL, outlives, NULL) == 0);
	pthread_exit(NULL);
}
