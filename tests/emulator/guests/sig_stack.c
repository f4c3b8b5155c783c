/* SPDX-License-Identifier: MIT */
/* sigaltstack, a stack that ran over, and siglongjmp out of handlers. */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/time.h>
#include "guest.h"

static char alternate[65536] __attribute__((aligned(16)));
static volatile int on_it, flags_inside, change_error, jumps;
static sigjmp_buf back;

static int within(const void *p)
{
	return (const char *)p >= alternate && (const char *)p < alternate + sizeof(alternate);
}

static void on_usr1(int sig)
{
	char here;
	stack_t stack;

	(void)sig;
	on_it = within(&here);
	sigaltstack(NULL, &stack);
	flags_inside = stack.ss_flags;
	stack.ss_flags = SS_DISABLE;
	change_error = sigaltstack(&stack, NULL) ? errno : 0;
}

static void install(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	sigemptyset(&sa.sa_mask);
	need(sigaction(sig, &sa, NULL) == 0);
}

static void alternate_stack(void)
{
	stack_t stack, old;

	memset(&stack, 0, sizeof(stack));
	need(sigaltstack(NULL, &old) == 0);
	want(old.ss_flags, SS_DISABLE);
	install(SIGUSR1, on_usr1, SA_ONSTACK);
	raise(SIGUSR1);
	want(on_it, 0);
	stack.ss_sp = alternate;
	stack.ss_size = 512;
	want_error(sigaltstack(&stack, NULL), ENOMEM);
	stack.ss_size = sizeof(alternate);
	stack.ss_flags = 0x40;
	want_error(sigaltstack(&stack, NULL), EINVAL);
	stack.ss_flags = 0;
	want(sigaltstack(&stack, NULL), 0);
	raise(SIGUSR1);
	want(on_it, 1);
	want(flags_inside, SS_ONSTACK);
	want(change_error, EPERM);
	/* Off the alternate stack it may be taken away; an rt frame gives it back at the return. */
	install(SIGUSR1, on_usr1, SA_SIGINFO);
	raise(SIGUSR1);
	want(on_it, 0);
	want(change_error, 0);
	need(sigaltstack(NULL, &old) == 0);
	want(old.ss_flags, 0);
	check(old.ss_sp == (void *)alternate);
	want(old.ss_size, sizeof(alternate));
}

static void on_overflow(int sig)
{
	char here;

	(void)sig;
	on_it = within(&here);
	siglongjmp(back, 2);
}

static int endless(volatile char *previous)
{
	volatile char big[4096];

	big[0] = previous[0];
	big[4095] = big[0];
	return big[0] ? endless(big) + big[4095] : 0;
}

static void overflow(void)
{
	struct rlimit limit = { 256 * 1024, 256 * 1024 };
	char first = 1;
	volatile int i;

	setrlimit(RLIMIT_STACK, &limit);
	install(SIGSEGV, on_overflow, SA_ONSTACK);
	for (i = 0; i < 3; i++) {
		on_it = 0;
		if (sigsetjmp(back, 1) == 0)
			endless(&first);
		want(on_it, 1);
	}
}

static void on_alarm(int sig)
{
	(void)sig;
	jumps++;
	siglongjmp(back, 1);
}

static void jumping(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 500 } };
	sigset_t now;
	volatile int i;
	int fd[2];
	char c;

	need(pipe(fd) == 0);
	install(SIGALRM, on_alarm, 0);
	for (i = 0; i < 200; i++) {
		if (sigsetjmp(back, 1) == 0) {
			setitimer(ITIMER_REAL, &soon, NULL);
			switch (i % 3) {
			case 0:
				for (;;)
					;
			case 1:
				for (;;)
					pause();
			default:
				if (read(fd[0], &c, 1) != -2)
					puts("FAILED: read came back");
			}
		}
	}
	want(jumps, 200);
	need(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
	want(sigismember(&now, SIGALRM), 0);
}

int main(void)
{
	alternate_stack();
	overflow();
	jumping();
	return guest_end();
}
