/* SPDX-License-Identifier: MIT */
/*
 * consumer.c - a program that uses the library as it is installed, in C and in
 * C++.  A timer interrupts a read that would block for ever; exit status 0 says
 * that everything came out as promised, another one what did not.
 */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <safe_syscall.h>

static volatile int flag;
static volatile int phase = SAFE_SYSCALL_OUTSIDE;

static void on_alarm(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	flag = 1;
	phase = safe_syscall_rewind(context);
}

int main(void)
{
	struct itimerval soon;
	struct sigaction sa;
	int fd[2];
	char c;

	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = on_alarm;
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	memset(&soon, 0, sizeof soon);
	soon.it_value.tv_usec = 50000;
	if (sigaction(SIGALRM, &sa, NULL) || pipe(fd) ||
	    setitimer(ITIMER_REAL, &soon, NULL))
		return 1;
	if (safe_syscall_raw(&flag, SYS_read, (long)fd[0], &c, 1L) != -SAFE_ERESTARTSYS)
		return 2;
	/* on the instruction, unless the machine was slow to get there */
	if (phase > SAFE_SYSCALL_AT_CALL)
		return 3;
	/* another scope, which nobody interrupted */
	if (safe_syscall(SYS_write, (long)fd[1], "x", 1L) != 1)
		return 4;
	flag = 0;
	if (safe_syscall_raw(&flag, SYS_read, (long)fd[0], &c, 1L) != 1 || c != 'x')
		return 5;
	return 0;
}
