/* SPDX-License-Identifier: MIT */
/* Scheduling, identities, memory that is locked, clocks: a program mostly asks back. */
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include "guest.h"

/* The call with a time of two words. */
#ifdef SYS_clock_gettime32
#define SYS_CLOCK_GETTIME SYS_clock_gettime32
#else
#define SYS_CLOCK_GETTIME SYS_clock_gettime
#endif

/* By the calls: musl has no such functions, as they are for a process in POSIX. */
static void scheduling(void)
{
	struct sched_param parameter = { .sched_priority = 7 };
	struct timespec t = { 0, 0 };
	cpu_set_t set, again;
	int policy = -1;

	want(syscall(SYS_sched_get_priority_max, SCHED_FIFO), 99);
	want(syscall(SYS_sched_get_priority_min, SCHED_RR), 1);
	want(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
	want(syscall(SYS_sched_getparam, 0, &parameter), 0);
	want(parameter.sched_priority, 0);
	want(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &parameter), 0);
	want(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &parameter), 0);
	want(syscall(SYS_sched_getscheduler, 0), SCHED_BATCH);
	want(syscall(SYS_sched_setparam, 0, &parameter), 0);
	want(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &parameter), 0);
	parameter.sched_priority = 5;
	want_error(syscall(SYS_sched_setparam, 0, &parameter), EINVAL);
	want_error(syscall(SYS_sched_setscheduler, 0, 99, &parameter), EINVAL);
	want_error(syscall(SYS_sched_getscheduler, 0x3ffffff), ESRCH);
	want(sched_rr_get_interval(0, &t), 0);
	check(t.tv_sec == 0);
	want(pthread_getschedparam(pthread_self(), &policy, &parameter), 0);
	check(policy == SCHED_OTHER && parameter.sched_priority == 0);
	want(sched_getaffinity(0, sizeof(set), &set), 0);
	want(sched_setaffinity(0, sizeof(set), &set), 0);
	want(sched_getaffinity(0, sizeof(again), &again), 0);
	check(CPU_COUNT(&set) > 0 && CPU_EQUAL(&set, &again));
	CPU_ZERO(&again);
	want_error(sched_setaffinity(0, sizeof(again), &again), EINVAL);
	check(sched_getcpu() >= 0);
	errno = 0;
	want(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)), 0);
}

static void identities(void)
{
	uid_t real, effective, saved;
	gid_t groups[64];
	int count = getgroups(64, groups);

	want(getresuid(&real, &effective, &saved), 0);
	check(real == getuid() && effective == geteuid());
	want(setresuid(real, effective, saved), 0);
	want(setreuid(-1, effective), 0);
	want(seteuid(effective), 0);
	want(getresgid(&real, &effective, &saved), 0);
	check(real == getgid() && effective == getegid());
	want(setresgid(-1, effective, -1), 0);
	want(setregid(-1, -1), 0);
	want(setegid(effective), 0);
	want(setfsuid(-1), geteuid());
	want(setfsgid(-1), getegid());
	check(count >= 0 && (geteuid() || setgroups(count, groups) == 0));
	check(getgroups(0, NULL) == count);
}

static void locked(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	unsigned char there[2] = { 0, 0 };
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED);
	want(mlock(p + 1, 5), 0);
	want(mincore(p, page, there), 0);
	want(there[0] & 1, 1);
	want(munlock(p + 1, 5), 0);
	want(munlock(p, 2 * page), 0);
	want_error(mlockall(0), EINVAL);
	want(munlockall(), 0);
	munmap(p + page, page);
	want_error(mlock(p, 2 * page), ENOMEM);
	want_error(mincore(p, 2 * page, there), ENOMEM);
}

static void clocks(void)
{
	struct timespec t = { 0, 1000000000 };
	long words[2] = { 0, 0 };
	struct itimerspec left;
	struct timeval day;
	timer_t timer;

	want_error(clock_settime(CLOCK_REALTIME, &t), EINVAL);
	t.tv_nsec = 0;
	want_error(clock_settime(CLOCK_MONOTONIC, &t), EINVAL);
	want(syscall(SYS_CLOCK_GETTIME, CLOCK_REALTIME, words), 0);
	want(gettimeofday(&day, NULL), 0);
	check(day.tv_sec - words[0] < 5);
	want(timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
	memset(&left, 0, sizeof(left));
	left.it_value.tv_sec = 1000;
	want(timer_settime(timer, 0, &left, NULL), 0);
	want(timer_gettime(timer, &left), 0);
	check(left.it_value.tv_sec > 900 && left.it_value.tv_sec <= 1000);
	want(timer_delete(timer), 0);
}

int main(void)
{
	scheduling();
	identities();
	locked();
	clocks();
	return guest_end();
}
