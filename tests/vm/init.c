/* SPDX-License-Identifier: MIT */
/*
 * init.c - the first program on a test machine: runs /tests/<abi>/<program>,
 * one at a time, and tells on the console:
 *
 *	@@ kernel <release> <version> <machine>
 *	@@ start <abi> <program>
 *	@@ end <abi> <program> exit <status>, or: signal <number>
 *	@@ took <abi> <program> <seconds>
 *	@@ done
 *
 * A program that is killed leaves word of what its threads were waiting in.
 * Then the machine goes off.  NAME=VALUE on the kernel's command line is the
 * programs' environment.  INIT_TIMEOUT is the seconds that each one has.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void mount_on(const char *where, const char *type)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL) && errno != EBUSY)
		printf("mount %s: %s\n", where, strerror(errno));
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* /modules/NN-NAME.ko, in this order. */
static void load_modules(void)
{
	struct dirent **files;
	char path[512];
	int i, fd, count = scandir("/modules", &files, visible, alphasort);

	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/modules/%s", files[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (syscall(SYS_finit_module, fd, "", 0))
			printf("%s: %s\n", path, strerror(errno));
		close(fd);
	}
}

static void start(const char *abi, const char *program)
{
	char path[768];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	snprintf(path, sizeof(path), "/tests/%s/%s", abi, program);
	execl(path, path, (char *)NULL);
	printf("%s: %s\n", path, strerror(errno));
	fflush(stdout);
	_exit(126);
}

static int numeric(const struct dirent *entry)
{
	return entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
}

static void show_file(const char *directory, const char *name)
{
	char path[1024], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "r");
	if (!f)
		return;
	printf("%s:\n", path);
	while (fgets(line, sizeof(line), f))
		printf("\t%s", line);
	fclose(f);
}

static void show_threads_of(const char *pid)
{
	struct dirent **tids;
	char path[768];
	int i, count;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	count = scandir(path, &tids, numeric, alphasort);
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/proc/%s/task/%s", pid, tids[i]->d_name);
		show_file(path, "status");
		show_file(path, "syscall");
		show_file(path, "stack");
	}
}

/* What a program that hangs is waiting in: of its session, in which it is the first. */
static void show_session(pid_t leader)
{
	struct dirent **pids;
	int i, count;

	count = scandir("/proc", &pids, numeric, alphasort);
	for (i = 0; i < count; i++)
		if (getsid((pid_t)atoi(pids[i]->d_name)) == leader)
			show_threads_of(pids[i]->d_name);
	fflush(stdout);
}

/* The status of child, killed when it is past its time; buries all others that die. */
static int await(pid_t child, int seconds)
{
	const struct timespec second = { 1, 0 };
	const time_t end = now() + seconds;
	sigset_t chld;
	int status;
	pid_t dead;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (;;) {
		while ((dead = waitpid(-1, &status, WNOHANG)) > 0)
			if (dead == child)
				return status;
		if (now() >= end) {
			printf("\nkilled after %d seconds\n", seconds);
			show_session(child);
			kill(child, SIGKILL);
		}
		sigtimedwait(&chld, NULL, &second);
	}
}

static void run(const char *abi, const char *program, int seconds)
{
	const struct timespec moment = { 0, 10000000 };
	const time_t began = now();
	time_t killed;
	pid_t child, dead;
	int status;

	printf("\n@@ start %s %s\n", abi, program);
	fflush(stdout);
	child = fork();
	if (child == 0)
		start(abi, program);
	status = child < 0 ? 0xff00 : await(child, seconds);

	/* Process 1 itself is spared: what is left of the program goes, if it can. */
	kill(-1, SIGKILL);
	for (killed = now(); now() < killed + 30 && (dead = waitpid(-1, NULL, WNOHANG)) != -1;)
		if (!dead)
			nanosleep(&moment, NULL);
	if (WIFSIGNALED(status))
		printf("\n@@ end %s %s signal %d\n", abi, program, WTERMSIG(status));
	else
		printf("\n@@ end %s %s exit %d\n", abi, program, WEXITSTATUS(status));
	printf("@@ took %s %s %ld\n", abi, program, (long)(now() - began));
	fflush(stdout);
}

static void run_abi(const char *abi, int seconds)
{
	struct dirent **programs;
	char path[512];
	int i, count;

	snprintf(path, sizeof(path), "/tests/%s", abi);
	count = scandir(path, &programs, visible, alphasort);
	for (i = 0; i < count; i++)
		run(abi, programs[i]->d_name, seconds);
}

static void say_kernel(void)
{
	struct utsname u;

	uname(&u);
	printf("\n@@ kernel %s %s %s\n", u.release, u.version, u.machine);
	fflush(stdout);
}

int main(void)
{
	const char *timeout = getenv("INIT_TIMEOUT");
	struct dirent **abis;
	sigset_t chld;
	int i, count;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	mount_on("/dev", "devtmpfs");
	mount_on("/proc", "proc");
	mount_on("/sys", "sysfs");
	mount_on("/sys/fs/cgroup", "cgroup2");
	mount_on("/tmp", "tmpfs");
	chmod("/tmp", 01777);
	chdir("/tmp");
	load_modules();
	/* not every kernel has the driver of its machine's clock in it */
	if (time(NULL) < 1600000000)
		clock_settime(CLOCK_REALTIME, &(struct timespec){ 1600000000, 0 });
	say_kernel();

	count = scandir("/tests", &abis, visible, alphasort);
	for (i = 0; i < count; i++)
		run_abi(abis[i]->d_name, timeout ? atoi(timeout) : 300);

	printf("\n@@ done\n");
	fflush(stdout);
	/* The console may still hold some of it. */
	fsync(1);
	sleep(1);
	sync();
	reboot(RB_POWER_OFF);
	/* Not every board can go off, but QEMU ends at a restart too. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
