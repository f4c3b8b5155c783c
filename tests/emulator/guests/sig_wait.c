/* SPDX-License-Identifier: MIT */
/* sigsuspend, sigtimedwait and its kin, queued real-time signals with their values. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "guest.h"

static volatile int count, values[16], codes[16], blocked_inside;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	sigset_t now;

	(void)sig;
	(void)context;
	sigprocmask(SIG_BLOCK, NULL, &now);
	blocked_inside = sigismember(&now, SIGUSR2);
	codes[count % 16] = info->si_code;
	values[count++ % 16] = info->si_value.sival_int;
}

static void install(int sig)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_signal;
	sa.sa_flags = SA_SIGINFO;
	sigemptyset(&sa.sa_mask);
	need(sigaction(sig, &sa, NULL) == 0);
}

static void in_a_while(void (*function)(pid_t), long milliseconds)
{
	pid_t parent = getpid();

	if (fork() == 0) {
		nap(milliseconds);
		function(parent);
		_exit(0);
	}
}

static void send_usr1(pid_t pid)
{
	kill(pid, SIGUSR1);
}

static void suspend(void)
{
	sigset_t usr1, none, usr2, now;

	install(SIGUSR1);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	need(sigprocmask(SIG_SETMASK, &usr1, NULL) == 0);
	raise(SIGUSR1);
	want(count, 0);
	want_error(sigsuspend(&usr2), EINTR);
	want(count, 1);
	want(blocked_inside, 1);
	need(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
	want(sigismember(&now, SIGUSR1), 1);
	want(sigismember(&now, SIGUSR2), 0);
	in_a_while(send_usr1, 20);
	want_error(sigsuspend(&none), EINTR);
	want(count, 2);
	want(codes[1], SI_USER);
	wait(NULL);
}

static void timed(void)
{
	struct timespec zero = { 0, 0 }, little = { 0, 20000000 }, long_time = { 100, 0 };
	siginfo_t info;
	sigset_t set;
	pid_t child;
	int sig;

	count = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	need(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	want_error(sigtimedwait(&set, NULL, &zero), EAGAIN);
	want_error(sigtimedwait(&set, NULL, &little), EAGAIN);
	raise(SIGUSR1);
	memset(&info, 0, sizeof(info));
	want(sigtimedwait(&set, &info, &zero), SIGUSR1);
	want(info.si_signo, SIGUSR1);
	check(info.si_pid == getpid());
	want_error(sigtimedwait(&set, NULL, &zero), EAGAIN);
	in_a_while(send_usr1, 20);
	want(sigtimedwait(&set, &info, &long_time), SIGUSR1);
	want(info.si_code, SI_USER);
	check(info.si_pid != getpid());
	wait(NULL);
	in_a_while(send_usr1, 20);
	want(sigwait(&set, &sig), 0);
	want(sig, SIGUSR1);
	wait(NULL);
	want(count, 0);

	/* A handled signal outside the set interrupts the wait, which musl's function takes up again. */
	install(SIGUSR2);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	need(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	in_a_while(send_usr1, 20);
	want_error(syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, _NSIG / 8), EINTR);
	want(count, 1);
	wait(NULL);

	/* The end of a child, waited for and not handled. */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	need(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	child = fork();
	if (child == 0)
		_exit(9);
	want(sigwaitinfo(&set, &info), SIGCHLD);
	want(info.si_code, CLD_EXITED);
	want(info.si_status, 9);
	check(info.si_pid == child);
	wait(NULL);
}

static void queued(void)
{
	union sigval value;
	sigset_t set, none;
	siginfo_t info;
	int i;

	count = 0;
	install(SIGRTMIN);
	install(SIGRTMIN + 1);
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	need(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	for (i = 0; i < 3; i++) {
		value.sival_int = 100 + i;
		want(sigqueue(getpid(), SIGRTMIN + 1, value), 0);
		value.sival_int = 200 + i;
		want(sigqueue(getpid(), SIGRTMIN, value), 0);
	}
	/* The lowest number first, and each in the order of sending. */
	want(sigwaitinfo(&set, &info), SIGRTMIN);
	want(info.si_value.sival_int, 200);
	want(info.si_code, SI_QUEUE);
	check(info.si_pid == getpid());
	want(sigwaitinfo(&set, &info), SIGRTMIN);
	want(info.si_value.sival_int, 201);
	need(sigemptyset(&set) == 0);
	sigaddset(&set, SIGRTMIN + 1);
	want(sigwaitinfo(&set, &info), SIGRTMIN + 1);
	want(info.si_value.sival_int, 100);
	need(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
	want(count, 3);
	want(values[0] + values[1] + values[2], 202 + 101 + 102);
	want(codes[0], SI_QUEUE);
}

int main(void)
{
	suspend();
	timed();
	queued();
	return guest_end();
}
