/* SPDX-License-Identifier: MIT */
/* One guest program runs another: arguments, environment, descriptors, signals. */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "guest.h"

static char other[PATH_MAX];

static int result(pid_t pid)
{
	int status = -1;

	fflush(stdout);
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int run(char *const arguments[], char *const environment[])
{
	pid_t pid = fork();

	if (pid == 0) {
		execve(other, arguments, environment);
		printf("FAILED execve: %d\n", errno);
		_exit(127);
	}
	return result(pid);
}

static void on_usr1(int sig)
{
	(void)sig;
}

/* Handlers are gone, ignored signals and the mask stay. */
static void signals(void)
{
	char *arguments[] = { "signals", "signals", NULL };
	sigset_t set, old;

	signal(SIGUSR1, on_usr1);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGHUP);
	want(run(arguments, arguments + 2), 0);
	signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void descriptors(void)
{
	char *arguments[] = { "fds", "fds", NULL };
	int fd[2];

	need(pipe(fd) == 0);
	need(dup2(fd[0], 40) == 40 && dup2(fd[1], 41) == 41);
	need(fcntl(40, F_SETFD, FD_CLOEXEC) == 0);
	want(run(arguments, arguments + 2), 0);
	close(40);
	close(41);
	close(fd[1]);
	want(read(fd[0], fd, 4), 4);
}

static void spawned(void)
{
	char *arguments[] = { "spawned", "exit", "23", NULL };
	pid_t pid = -1;

	want(posix_spawn(&pid, other, NULL, NULL, arguments, arguments + 3), 0);
	want(result(pid), 23);
	pid = vfork();
	if (pid == 0) {
		execve(other, arguments, arguments + 3);
		_exit(126);
	}
	want(result(pid), 23);
}

static void failing(void)
{
	char *arguments[] = { "x", NULL };
	int fd;

	want_error(execve("/nothing/here", arguments, arguments + 1), ENOENT);
	want_error(execve("/", arguments, arguments + 1), EACCES);
	fd = open("text", O_CREAT | O_WRONLY | O_TRUNC, 0700);
	need(fd >= 0 && write(fd, "no program\n", 11) == 11);
	close(fd);
	want_error(execve("./text", arguments, arguments + 1), ENOEXEC);
	chmod("text", 0600);
	want_error(execve("./text", arguments, arguments + 1), EACCES);
	unlink("text");
}

int main(int argc, char **argv)
{
	char *arguments[] = { "name of my own", "environment", "", "two words", "-x", NULL };
	char *environment[] = { "FIRST=1", "EMPTY=", "WORDS=a b c", NULL };
	char *death[] = { "kill", "kill", "15", NULL };
	char *again[] = { "again", "again", "3", NULL };
	char path[PATH_MAX];
	ssize_t n;

	/* Beside this one, wherever it is. */
	(void)argc;
	strcpy(path, argv[0]);
	snprintf(other, sizeof(other), "%s/exec_other", dirname(path));
	want(run(arguments, environment), 42);
	want(run(death, environment), -15);
	want(run(again, environment), 33);
	signals();
	descriptors();
	spawned();
	failing();
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	check(n > 5 && !strcmp(path + n - 5, "/exec"));
	return guest_end();
}
