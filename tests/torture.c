/* SPDX-License-Identifier: MIT */
/*
 * torture.c - random signals at random calls of several threads, and a census
 *
 * Pairs of threads pass a sequence of bytes through a pipe, one by one, so that
 * a byte lost or written twice is seen at once; in between they take a lock,
 * duplicate and close descriptors, and sleep.  Signals come from another
 * thread, with and without SA_RESTART, setting the flag or not.
 *
 *	SAFE_SYSCALL_TORTURE_SECONDS	how long; default 3
 *	SAFE_SYSCALL_TORTURE_SEED	for the same choices again
 */
#include <pthread.h>
#include <sys/file.h>

#include "testing.h"

#define PAIRS 2
#define STUCK 30.0			/* seconds with the flag set */

static struct worker {
	pthread_t thread;
	volatile int flag;
	volatile double flag_set_at;
	uint32_t random, handler_random;
	int fd;				/* its end of the pipe */
	int writes;
	uint32_t sequence;
	unsigned long made, restarted, eintr;
	volatile unsigned long phases[SAFE_SYSCALL_DONE + 1];
	volatile int finished;
} workers[2 * PAIRS];

static __thread struct worker *self;
static pthread_barrier_t all_ready;
static volatile int stop;
static char lock_name[] = "/tmp/safe_syscall.XXXXXX";
static volatile int lock_holders;

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void on_usr(int sig, siginfo_t *info, void *ucontext)
{
	struct worker *w = self;

	(void)sig;
	(void)info;
	w->phases[safe_syscall_rewind(ucontext)]++;
	if (next(&w->handler_random) % 4) {
		if (!w->flag)
			w->flag_set_at = now();
		w->flag = 1;
	}
}

/* An interrupted call is made again until it was not. */
#define INSIST(...)							\
	({								\
		long result_;						\
		for (;;) {						\
			result_ = safe_syscall_raw(&self->flag, __VA_ARGS__); \
			self->made++;					\
			if (result_ == -SAFE_ERESTARTSYS)		\
				self->restarted++;			\
			else if (result_ == -EINTR)			\
				self->eintr++;				\
			else						\
				break;					\
			self->flag = 0;					\
		}							\
		result_;						\
	})

static void pass_a_byte(void)
{
	unsigned char c = (unsigned char)self->sequence;
	long n;

	if (self->writes) {
		n = INSIST(SYS_write, self->fd, &c, 1);
		ck_assert_int_eq(n, 1);
	} else {
		n = INSIST(SYS_read, self->fd, &c, 1);
		if (n == 0) {
			self->finished = 1;
			return;
		}
		ck_assert_int_eq(n, 1);
		ck_assert_uint_eq(c, (unsigned char)self->sequence);
	}
	self->sequence++;
}

static void take_lock(int fd)
{
	ck_assert_int_eq(INSIST(SYS_flock, fd, LOCK_EX), 0);
	ck_assert_int_eq(++lock_holders, 1);
	ck_assert_int_eq(--lock_holders, 0);
	ck_assert_int_eq(INSIST(SYS_flock, fd, LOCK_UN), 0);
}

static void duplicate(void)
{
	long fd = INSIST(SYS_dup, self->fd);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(INSIST(SYS_close, fd), 0);
}

static void *work(void *arg)
{
	int lock;

	self = arg;
	lock = open(lock_name, O_RDWR);
	pthread_barrier_wait(&all_ready);
	while (!self->finished) {
		switch (next(&self->random) % 16) {
		case 0:
			take_lock(lock);
			break;
		case 1:
			duplicate();
			break;
		case 2: {
			struct timespec ts = { 0, next(&self->random) % 100000 };
			long r = safe_syscall_raw(&self->flag, SYS_nanosleep, &ts, NULL);

			ck_assert(r == 0 || r == -EINTR || r == -SAFE_ERESTARTSYS);
			self->flag = 0;
			break;
		}
		default:
			pass_a_byte();
		}
		if (stop && self->writes)
			self->finished = 1;
	}
	close(lock);
	if (self->writes)
		close(self->fd);
	return NULL;
}

static void watch(const struct worker *w)
{
	double since = w->flag_set_at;

	ck_assert_msg(!w->flag || w->finished || now() - since < STUCK,
		      "a wake-up was lost");
}

START_TEST(torture)
{
	static const char *const names[] = {
		"outside", "before", "at call", "restart block", "done"
	};
	long seconds = from_environment("SAFE_SYSCALL_TORTURE_SECONDS", 3);
	uint32_t seed = (uint32_t)from_environment("SAFE_SYSCALL_TORTURE_SEED",
						   (long)(time(NULL) ^ getpid()) & 0xffffff);
	uint32_t random = seed * 2654435761U | 1;
	unsigned long signals = 0, phases[5] = { 0 }, made = 0, restarted = 0, eintr = 0;
	int i, p, fd[2], before = count_in("/proc/self/fd");
	double end;

	printf("torture: seed %u, %ld s\n", seed, seconds);
	close(mkstemp(lock_name));
	on_signal(SIGUSR1, SA_RESTART, on_usr);
	on_signal(SIGUSR2, 0, on_usr);
	for (i = 0; i < 2 * PAIRS; i++) {
		struct worker *w = &workers[i];

		if (i % 2 == 0)
			ck_assert_int_eq(pipe(fd), 0);
		w->writes = i % 2;
		w->fd = fd[i % 2];
		w->random = next(&random) | 1;
		w->handler_random = next(&random) | 1;
	}
	pthread_barrier_init(&all_ready, NULL, 2 * PAIRS + 1);
	for (i = 0; i < 2 * PAIRS; i++)
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work,
						&workers[i]), 0);
	pthread_barrier_wait(&all_ready);
	end = now() + (double)seconds;
	while (now() < end) {
		uint32_t r = next(&random);

		i = (int)(r % (2 * PAIRS));
		watch(&workers[i]);
		pthread_kill(workers[i].thread, r & 256 ? SIGUSR1 : SIGUSR2);
		signals++;
		for (p = (int)(r >> 16 & 1023); p > 0; p--)
			__asm__ volatile ("" ::: "memory");
		/* on one processor the others run only while this sleeps */
		if (!(r >> 28)) {
			struct timespec ts = { 0, r & 0x7ffff };

			nanosleep(&ts, NULL);
		}
	}
	stop = 1;
	for (i = 2 * PAIRS - 1; i >= 0; i--)
		ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
	for (i = 0; i < 2 * PAIRS; i++) {
		made += workers[i].made;
		restarted += workers[i].restarted;
		eintr += workers[i].eintr;
		for (p = 0; p < 5; p++)
			phases[p] += workers[i].phases[p];
		if (i % 2) {
			ck_assert_uint_eq(workers[i].sequence, workers[i - 1].sequence);
			close(workers[i - 1].fd);
		}
	}
	printf("torture: %lu signals, %lu calls, %lu restarted, %lu EINTR; found",
	       signals, made, restarted, eintr);
	for (p = 0; p < 5; p++)
		printf("%s %s %lu", p ? "," : "", names[p], phases[p]);
	printf("\n");
	unlink(lock_name);
	ck_assert_int_eq(count_in("/proc/self/fd"), before);
	ck_assert_uint_gt(restarted + eintr, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("torture");
	TCase *tc = tcase_create("torture");

	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, torture);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
