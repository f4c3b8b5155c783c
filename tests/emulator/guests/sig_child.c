/* SPDX-License-Identifier: MIT */
/* Children: how they ended, SIGCHLD and what it tells, stopping and continuing. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "guest.h"

static volatile int count, seen_code, seen_status;
static volatile pid_t seen_pid;

static void on_child(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	count++;
	seen_code = info->si_code;
	seen_status = info->si_status;
	seen_pid = info->si_pid;
}

static void install(int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_child;
	sa.sa_flags = SA_SIGINFO | SA_RESTART | flags;
	need(sigaction(SIGCHLD, &sa, NULL) == 0);
}

static pid_t child_that_exits(int status)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(status);
	return pid;
}

static pid_t child_that_dies(int sig)
{
	pid_t pid = fork();

	if (pid == 0) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(sig, SIG_DFL);
		kill(getpid(), sig);
		_exit(99);
	}
	return pid;
}

static pid_t child_that_waits(void)
{
	pid_t pid = fork();

	/* A group of its own: in one without anybody to continue it, SIGTSTP is ignored. */
	setpgid(pid, pid);
	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

/* The handler of what waitpid has seen already may come a moment later. */
static void until(int n)
{
	int i;

	for (i = 0; i < 1000 && count < n; i++)
		nap(1);
}

static void exits(void)
{
	struct rusage usage;
	int status = 0;
	pid_t pid;

	install(0);
	pid = child_that_exits(7);
	check(waitpid(pid, &status, 0) == pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	until(1);
	want(count, 1);
	want(seen_code, CLD_EXITED);
	want(seen_status, 7);
	check(seen_pid == pid);
	want_error(waitpid(pid, &status, 0), ECHILD);
	want_error(waitpid(-1, &status, WNOHANG), ECHILD);
	pid = child_that_exits(300);
	check(wait4(-1, &status, 0, &usage) == pid);
	want(WEXITSTATUS(status), 300 & 255);
	check(usage.ru_maxrss >= 0 && usage.ru_utime.tv_sec == 0);
}

static void deaths(void)
{
	const int signals[] = { SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGUSR1, SIGPIPE, SIGALRM, SIGRTMIN };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int status = 0;
		pid_t pid;

		count = 0;
		pid = child_that_dies(signals[i]);
		check(waitpid(pid, &status, 0) == pid);
		check(WIFSIGNALED(status));
		want(WTERMSIG(status) - signals[i], 0);
		until(1);
		check(seen_code == CLD_KILLED || seen_code == CLD_DUMPED);
		want(seen_status - signals[i], 0);
	}
}

static void stops(void)
{
	int status = 0;
	pid_t pid;

	count = 0;
	install(0);
	pid = child_that_waits();
	want(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGSTOP);
	/* in this order: a stop that is waited for before it is told is told as 0 */
	until(1);
	check(waitpid(pid, &status, WUNTRACED) == pid);
	check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	want(count, 1);
	want(seen_code, CLD_STOPPED);
	want(seen_status, SIGSTOP);
	kill(pid, SIGCONT);
	check(waitpid(pid, &status, WCONTINUED) == pid);
	check(WIFCONTINUED(status));
	until(2);
	want(count, 2);
	want(seen_code, CLD_CONTINUED);
	want(seen_status, SIGCONT);
	kill(pid, SIGTSTP);
	check(waitpid(pid, &status, WUNTRACED) == pid);
	check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
	kill(pid, SIGTERM);
	want(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGCONT);
	check(waitpid(pid, &status, 0) == pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	until(5);

	count = 0;
	install(SA_NOCLDSTOP);
	pid = child_that_waits();
	kill(pid, SIGSTOP);
	check(waitpid(pid, &status, WUNTRACED) == pid);
	kill(pid, SIGCONT);
	check(waitpid(pid, &status, WCONTINUED) == pid);
	nap(20);
	want(count, 0);
	kill(pid, SIGKILL);
	check(waitpid(pid, &status, 0) == pid);
	until(1);
	want(count, 1);
}

static volatile int continued;

static void on_cont(int sig)
{
	(void)sig;
	continued = 1;
}

/* One that stops itself, and finds out that it goes on. */
static void stops_itself(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGCONT, on_cont);
		raise(SIGSTOP);
		_exit(continued ? 3 : 4);
	}
	check(waitpid(pid, &status, WUNTRACED) == pid);
	check(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	check(waitpid(pid, &status, 0) == pid);
	want(WEXITSTATUS(status), 3);
}

static void by_waitid(void)
{
	siginfo_t info;
	pid_t pid;

	memset(&info, 0, sizeof(info));
	pid = child_that_exits(11);
	want(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	want(info.si_code, CLD_EXITED);
	want(info.si_status, 11);
	want(info.si_signo, SIGCHLD);
	check(info.si_pid == pid);
	memset(&info, 0, sizeof(info));
	want(waitid(P_ALL, 0, &info, WEXITED), 0);
	check(info.si_pid == pid);
	want_error(waitid(P_PID, pid, &info, WEXITED), ECHILD);
	pid = child_that_waits();
	info.si_pid = 5;
	want(waitid(P_PID, pid, &info, WEXITED | WNOHANG), 0);
	want(info.si_pid, 0);
	kill(pid, SIGKILL);
	want(waitid(P_PID, pid, &info, WEXITED), 0);
	want(info.si_code, CLD_KILLED);
	want(info.si_status, SIGKILL);
}

static void groups(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	setpgid(pid, pid);
	check(getpgid(pid) == pid);
	want(kill(-pid, SIGTERM), 0);
	check(waitpid(-pid, &status, 0) == pid);
	want(WTERMSIG(status), SIGTERM);
	want_error(kill(-pid, 0), ESRCH);
}

static void nobody_waits(void)
{
	struct sigaction sa;
	pid_t pid;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_IGN;
	need(sigaction(SIGCHLD, &sa, NULL) == 0);
	pid = child_that_exits(1);
	want_error(waitpid(pid, NULL, 0), ECHILD);
	count = 0;
	install(SA_NOCLDWAIT);
	pid = child_that_exits(1);
	want_error(waitpid(pid, NULL, 0), ECHILD);
	until(1);
	want(count, 1);
}

int main(void)
{
	exits();
	deaths();
	stops();
	stops_itself();
	by_waitid();
	groups();
	nobody_waits();
	return guest_end();
}
