/* SPDX-License-Identifier: MIT */
/* Masks, pending signals, nesting and their order, SA_NODEFER, SA_RESETHAND, SIG_IGN. */
#include <signal.h>
#include "guest.h"

static volatile int depth, deepest, count, order[16], inner_mask_ok;
static volatile int resend;

static void install(int sig, void (*handler)(int), int flags, int also)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = flags;
	sigemptyset(&sa.sa_mask);
	if (also)
		sigaddset(&sa.sa_mask, also);
	need(sigaction(sig, &sa, NULL) == 0);
}

static void hold(int how, int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	if (a)
		sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	need(sigprocmask(how, &set, NULL) == 0);
}

static int pending(int sig)
{
	sigset_t set;

	need(sigpending(&set) == 0);
	return sigismember(&set, sig);
}

static void on_count(int sig)
{
	order[count++ % 16] = sig;
}

static void blocked_and_pending(void)
{
	count = 0;
	install(SIGUSR1, on_count, 0, 0);
	install(SIGUSR2, on_count, 0, 0);
	hold(SIG_BLOCK, SIGUSR1, SIGUSR2);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	want(count, 0);
	want(pending(SIGUSR1), 1);
	want(pending(SIGUSR2), 1);
	want(pending(SIGHUP), 0);
	hold(SIG_UNBLOCK, SIGUSR1, 0);
	want(count, 1);
	want(order[0], SIGUSR1);
	want(pending(SIGUSR1), 0);
	want(pending(SIGUSR2), 1);
	hold(SIG_SETMASK, 0, 0);
	want(count, 2);
	want(order[1], SIGUSR2);
}

static void on_nest(int sig)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	inner_mask_ok = sigismember(&now, sig);
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (resend-- > 0)
		raise(sig);
	order[count++ % 16] = depth;
	depth--;
}

static void nesting(void)
{
	count = depth = deepest = 0;
	resend = 2;
	install(SIGUSR1, on_nest, 0, 0);
	raise(SIGUSR1);
	want(deepest, 1);
	want(count, 3);
	want(inner_mask_ok, 1);

	count = depth = deepest = 0;
	resend = 2;
	install(SIGUSR1, on_nest, SA_NODEFER, 0);
	raise(SIGUSR1);
	want(deepest, 3);
	want(count, 3);
	want(order[0], 3);
	want(order[2], 1);
	want(inner_mask_ok, 0);
}

static void on_outer(int sig)
{
	raise(SIGUSR2);
	order[count++ % 16] = sig;
}

static void masks_of_handlers(void)
{
	install(SIGUSR2, on_count, 0, 0);
	install(SIGUSR1, on_outer, 0, 0);
	count = 0;
	raise(SIGUSR1);
	want(order[0], SIGUSR2);
	want(order[1], SIGUSR1);
	install(SIGUSR1, on_outer, 0, SIGUSR2);
	count = 0;
	raise(SIGUSR1);
	want(count, 2);
	want(order[0], SIGUSR1);
	want(order[1], SIGUSR2);
}

static void once(void)
{
	struct sigaction old;

	count = 0;
	install(SIGUSR1, on_count, SA_RESETHAND, 0);
	raise(SIGUSR1);
	want(count, 1);
	need(sigaction(SIGUSR1, NULL, &old) == 0);
	check(old.sa_handler == SIG_DFL);
}

static void ignored(void)
{
	struct sigaction old;

	install(SIGUSR1, SIG_IGN, 0, 0);
	count = 0;
	raise(SIGUSR1);
	hold(SIG_BLOCK, SIGUSR1, 0);
	raise(SIGUSR1);
	/* A blocked one is kept: it may be handled by the time it is not. */
	want(pending(SIGUSR1), 1);
	install(SIGUSR1, on_count, 0, 0);
	want(pending(SIGUSR1), 1);
	install(SIGUSR1, SIG_IGN, 0, 0);
	want(pending(SIGUSR1), 0);
	install(SIGUSR1, on_count, SA_RESTART | SA_NODEFER, SIGHUP);
	hold(SIG_SETMASK, 0, 0);
	want(count, 0);
	need(sigaction(SIGUSR1, NULL, &old) == 0);
	check(old.sa_handler == on_count);
	check((old.sa_flags & (SA_RESTART | SA_NODEFER | SA_SIGINFO)) == (SA_RESTART | SA_NODEFER));
	want(sigismember(&old.sa_mask, SIGHUP), 1);
	want(sigismember(&old.sa_mask, SIGTERM), 0);
}

static void refused(void)
{
	struct sigaction sa;
	sigset_t set, now;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_count;
	want_error(sigaction(SIGKILL, &sa, NULL), EINVAL);
	want_error(sigaction(SIGSTOP, &sa, NULL), EINVAL);
	want_error(sigaction(1000, &sa, NULL), EINVAL);
	want_error(kill(getpid(), 1000), EINVAL);
	want_error(sigprocmask(77, &sa.sa_mask, NULL), EINVAL);
	want(kill(getpid(), 0), 0);
	sigfillset(&set);
	want(sigprocmask(SIG_SETMASK, &set, NULL), 0);
	want(sigprocmask(SIG_SETMASK, NULL, &now), 0);
	want(sigismember(&now, SIGKILL), 0);
	want(sigismember(&now, SIGSTOP), 0);
	want(sigismember(&now, SIGUSR1), 1);
	hold(SIG_SETMASK, 0, 0);
}

int main(void)
{
	blocked_and_pending();
	nesting();
	masks_of_handlers();
	once();
	ignored();
	refused();
	return guest_end();
}
