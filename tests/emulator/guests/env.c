/* SPDX-License-Identifier: MIT */
/* What a program finds at its start: arguments, environment, auxiliary vector; and uname, limits. */
#include <elf.h>
#include <limits.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/utsname.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/time.h>
#include <sched.h>
#include <sys/prctl.h>
#include "guest.h"

static void start(int argc, char **argv)
{
	static const char *const names[] = { "GUEST_ONE", "GUEST_EMPTY", "GUEST_WORDS", "GUEST_NONE" };
	int i;

	for (i = 1; i <= argc; i++)
		printf("argv[%d] = %s\n", i, argv[i] ? argv[i] : "(null)");
	for (i = 0; i < 4; i++)
		printf("%s = %s\n", names[i], getenv(names[i]) ? getenv(names[i]) : "(unset)");
	check(argc >= 1 && argv[0] != NULL);
	check(!strcmp(argv[0] + strlen(argv[0]) - 3, "env"));
	want((uintptr_t)&argc % 4, 0);
}

static void auxiliary(void)
{
	unsigned char *random = (unsigned char *)getauxval(AT_RANDOM);
	int i, sum = 0;

	want(getauxval(AT_PAGESZ), sysconf(_SC_PAGESIZE));
	check(getauxval(AT_PHDR) != 0);
	check(getauxval(AT_PHNUM) > 0);
	check(getauxval(AT_ENTRY) != 0);
	want(getauxval(AT_UID), getuid());
	want(getauxval(AT_EGID), getegid());
	want(getauxval(AT_SECURE), 0);
	want(getauxval(AT_CLKTCK), 100);
	need(random != NULL);
	for (i = 0; i < 16; i++)
		sum |= random[i];
	check(sum != 0);
	want(sysconf(_SC_CLK_TCK), 100);
	check(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
}

/* With words, in which no limit is the largest number that is positive. */
static void old_limits(void)
{
	struct rlimit before, after;
	unsigned long words[2];

	want(getrlimit(RLIMIT_FSIZE, &before), 0);
	want(syscall(SYS_getrlimit, RLIMIT_FSIZE, words), 0);
	want(syscall(SYS_setrlimit, RLIMIT_FSIZE, words), 0);
	want(getrlimit(RLIMIT_FSIZE, &after), 0);
	check(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max);
	words[0] = 90;
	want(syscall(SYS_setrlimit, RLIMIT_FSIZE, words), 0);
	want(getrlimit(RLIMIT_FSIZE, &after), 0);
	check(after.rlim_cur == 90 && before.rlim_max == after.rlim_max);
	want(setrlimit(RLIMIT_FSIZE, &before), 0);
	want_error(syscall(SYS_setrlimit, 99, words), EINVAL);
}

static void system_information(void)
{
	struct utsname u;
	struct rlimit limit, old;
	struct rusage usage;
	struct sysinfo info;
	struct tms times_;
	struct timeval t;
	cpu_set_t cpus;
	char name[17] = "";

	want(uname(&u), 0);
	check(!strcmp(u.sysname, "Linux"));
#ifdef __mips__
	check(!strcmp(u.machine, "mips"));
#else
	puts("ok !strcmp(u.machine, \"mips\")");
#endif
	check(atoi(u.release) >= 3);
	want_error(syscall(SYS_uname, -16L), EFAULT);
	want(getrlimit(RLIMIT_NOFILE, &old), 0);
	check(old.rlim_cur > 10);
	limit = old;
	limit.rlim_cur = 100;
	want(setrlimit(RLIMIT_NOFILE, &limit), 0);
	want(getrlimit(RLIMIT_NOFILE, &limit), 0);
	want(limit.rlim_cur, 100);
	check(limit.rlim_max == old.rlim_max);
	want_error(dup2(1, 100), EBADF);
	want(getrlimit(RLIMIT_CORE, &limit), 0);
	limit.rlim_cur = 0;
	want(setrlimit(RLIMIT_CORE, &limit), 0);
	want(getrlimit(RLIMIT_STACK, &limit), 0);
	want_error(getrlimit(99, &limit), EINVAL);
	old_limits();
	want(getrusage(RUSAGE_SELF, &usage), 0);
	check(usage.ru_utime.tv_sec < 100);
	want(sysinfo(&info), 0);
	check(info.totalram > 0 && info.mem_unit > 0 && info.procs > 0);
	check(times(&times_) != (clock_t)-1);
	want(gettimeofday(&t, NULL), 0);
	check(t.tv_sec > 1500000000 && t.tv_usec < 1000000);
	check(sched_getaffinity(0, sizeof(cpus), &cpus) >= 0 && CPU_COUNT(&cpus) >= 1);
	want(prctl(PR_SET_NAME, "a guest", 0, 0, 0), 0);
	want(prctl(PR_GET_NAME, name, 0, 0, 0), 0);
	check(!strcmp(name, "a guest"));
	want(getpgrp(), getpgid(getpid()));
	want(getsid(0), getsid(getpid()));
	want(setpriority(PRIO_PROCESS, 0, 19), 0);
	want(getpriority(PRIO_PROCESS, 0), 19);
	check(getgroups(0, NULL) >= 0);
	check(umask(0) <= 0777);
	check(sched_yield() == 0);
}

/* The group and session we came in may be led from outside our namespace and
 * then have the number 0; those of a child of ours have not. */
static void sessions(void)
{
	pid_t parent = getpid();
	pid_t child = fork();
	int status = 0;

	if (!child)
		_exit(getppid() != parent || setsid() != getpid() ||
		      getsid(0) != getpid() || getpgrp() != getpid() ||
		      setsid() != -1 || errno != EPERM);
	want(waitpid(child, &status, 0), child);
	want(status, 0);
}

int main(int argc, char **argv)
{
	start(argc, argv);
	auxiliary();
	system_information();
	sessions();
	return guest_end();
}
