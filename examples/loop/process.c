/* SPDX-License-Identifier: MIT */
/*
 * process.c - signals and children
 *
 * Handlers are the process's, not a loop's, so there is one table of all signals.  A handler
 * notes that its signal has arrived and wakes the loop, on whatever thread it runs.
 *
 * A handler on another thread may have got hold of the loop when that gives the signal back.
 * So it is counted while it runs, and whoever has taken the loop out of the table waits
 * until nobody is.
 *
 * A child has a descriptor, by pidfd_open(2), which can be read when it is dead.  Before Linux
 * 5.4 there is none (or none by which it can be reaped), and SIGCHLD says that one of the
 * children may be.
 */
#include "parts.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
# define SYS_pidfd_open (-1)
#endif
#define PIDFD ((idtype_t)3)	/* P_PIDFD, which not all C libraries name */

static struct handled {
	AO_t loop, arrived;
	void (*run)(void *, int);	/* null: for children only */
	void *opaque;
	struct sigaction before;
} handled[_NSIG];

static AO_t handlers;			/* that run at the moment */

/* ---- signals --------------------------------------------------------------------- */

static void pass_on(const struct sigaction *sa, int signum, siginfo_t *info, void *ucontext)
{
	if (sa->sa_flags & SA_SIGINFO)
		sa->sa_sigaction(signum, info, ucontext);
	else if (sa->sa_handler != SIG_DFL && sa->sa_handler != SIG_IGN)
		sa->sa_handler(signum);
}

static void on_signal(int signum, siginfo_t *info, void *ucontext)
{
	struct handled *h = &handled[signum];
	int error = errno;
	struct loop *l;

	safe_syscall_hook(signum, info, ucontext);
	AO_fetch_and_add1_full(&handlers);
	AO_nop_full();
	l = (struct loop *)AO_load(&h->loop);
	if (l) {
		AO_store(&h->arrived, 1);
		change(&l->signals, 0, 1);
		loop_wake(l, RELOOK);
	}
	if (!h->run)
		pass_on(&h->before, signum, info, ucontext);
	AO_fetch_and_sub1_full(&handlers);
	errno = error;
}

/* A child of fork has none of its parent's threads, and so none of their handlers. */
static void forget_handlers(void)
{
	AO_store(&handlers, 0);
}

static void wait_for_handlers(void)
{
	AO_nop_full();
	while (AO_load(&handlers))
		sched_yield();
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forget_handlers);
}

/* All signals wait, so that no handler of others comes between and stays, or forks. */
static int handle(struct loop *l, int signum, void (*run)(void *, int), void *opaque)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct handled *h = &handled[signum];
	struct sigaction sa = { .sa_sigaction = on_signal };

	if (AO_load(&h->loop) == (AO_t)l) {
		h->opaque = run ? opaque : h->opaque;
		h->run = run ? run : h->run;
		return 0;
	}
	pthread_once(&once, watch_forks);
	if (sigaction(signum, NULL, &sa))
		return -1;
	if (!AO_compare_and_swap_full(&h->loop, 0, (AO_t)l)) {
		errno = EBUSY;
		return -1;
	}
	h->before = sa;
	h->run = run;
	h->opaque = opaque;
	AO_store(&h->arrived, 0);
	/* whoever ignores SIGCHLD has children that nobody need wait for: so it stays */
	sa.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK |
		(sa.sa_handler == SIG_IGN ? SA_NOCLDWAIT : sa.sa_flags & SA_NOCLDWAIT);
	sa.sa_sigaction = on_signal;
	sigfillset(&sa.sa_mask);
	if (!sigaction(signum, &sa, NULL))
		return 0;
	AO_store(&h->loop, 0);
	return -1;
}

static void give_back(struct loop *l, int signum)
{
	struct handled *h = &handled[signum];

	if (AO_load(&h->loop) != (AO_t)l)
		return;
	sigaction(signum, &h->before, NULL);
	AO_store(&h->loop, 0);
	wait_for_handlers();
}

static int needs_sigchld(const struct loop *l);

int loop_signal(struct loop *l, int signum, void (*run)(void *, int), void *opaque)
{
	int error = errno;

	if (signum < 1 || signum >= _NSIG || signum == safe_syscall_signal()) {
		errno = EINVAL;
		return -1;
	}
	if (run) {
		if (handle(l, signum, run, opaque))
			return -1;
	} else if (signum == SIGCHLD && needs_sigchld(l)) {
		handled[signum].run = NULL;
	} else {
		give_back(l, signum);
	}
	errno = error;
	return 0;
}

void loop_signals_run(struct loop *l)
{
	struct handled *h;
	int signum;

	if (!AO_load(&l->signals))
		return;
	change(&l->signals, 1, 0);
	for (signum = 1; signum < _NSIG; signum++) {
		h = &handled[signum];
		if (AO_load(&h->loop) != (AO_t)l || !change(&h->arrived, 1, 0))
			continue;
		l->look_at_children |= signum == SIGCHLD;
		if (h->run) {
			l->ran++;
			h->run(h->opaque, signum);
		}
	}
}

/* ---- children -------------------------------------------------------------------- */

struct child {
	struct loop *loop;
	struct child *next;
	pid_t pid;
	int fd;				/* or -1 */
	void (*exited)(void *, pid_t, int);
	void *opaque;
};

static int needs_sigchld(const struct loop *l)
{
	const struct child *child;

	for (child = l->children; child; child = child->next)
		if (child->fd == -1)
			return 1;
	return 0;
}

/* As waitid(2): 0, and info->si_pid is 0 while it runs. */
static int look(const struct child *child, siginfo_t *info, int options)
{
	info->si_pid = 0;
	return waitid(child->fd == -1 ? P_PID : PIDFD,
		      (id_t)(child->fd == -1 ? child->pid : child->fd), info,
		      WEXITED | WNOHANG | __WALL | options);
}

static int status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

static void let_go(struct child *child)
{
	struct child **at = &child->loop->children;

	while (*at != child)
		at = &(*at)->next;
	*at = child->next;
	if (child->fd != -1) {
		loop_fd(child->loop, child->fd, NULL, NULL, NULL);
		close(child->fd);
	} else if (!handled[SIGCHLD].run && !needs_sigchld(child->loop)) {
		give_back(child->loop, SIGCHLD);
	}
}

/* One that is not to be had any more is dead, too. */
static int reap(struct child *child)
{
	struct child dead = *child;
	int status = 0;
	siginfo_t info;

	if (!look(child, &info, 0)) {
		if (!info.si_pid)
			return 0;
		status = status_of(&info);
	}
	let_go(child);
	free(child);
	dead.exited(dead.opaque, dead.pid, status);
	return 1;
}

/* loop_fds_run() has counted it. */
static void on_pidfd(void *child)
{
	reap(child);
}

/* Callbacks may add some in front. */
void loop_children_run(struct loop *l)
{
	struct child *child, *next;

	if (!l->look_at_children)
		return;
	l->look_at_children = 0;
	for (child = l->children; child; child = next) {
		next = child->next;
		if (child->fd == -1)
			l->ran += reap(child);
	}
}

/* It was ours, if it was at all, and left nothing behind. */
static int left_nothing(pid_t pid)
{
	struct sigaction sa;

	sigaction(SIGCHLD, NULL, &sa);
	return (sa.sa_handler == SIG_IGN || sa.sa_flags & SA_NOCLDWAIT) && kill(pid, 0) &&
		errno == ESRCH;
}

/* Without a descriptor it is looked at in the next step, too: it may be dead already. */
static int watch(struct child *child)
{
	int vanished;
	siginfo_t info;

	child->fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	vanished = child->fd == -1 && errno == ESRCH;
	if (child->fd == -1 && errno != ENOSYS && errno != EPERM && !vanished)
		return -1;
	if (child->fd != -1 && look(child, &info, WNOWAIT) && errno == EINVAL) {
		close(child->fd);
		child->fd = -1;
	}
	if (look(child, &info, WNOWAIT) && !left_nothing(child->pid)) {
		errno = ECHILD;
		return -1;
	}
	if (child->fd != -1)
		return loop_fd(child->loop, child->fd, on_pidfd, NULL, child);
	child->loop->look_at_children = 1;
	loop_wake(child->loop, RELOOK);
	return vanished ? 0 : handle(child->loop, SIGCHLD, NULL, NULL);
}

int loop_child(struct loop *l, pid_t pid, void (*exited)(void *, pid_t, int), void *opaque)
{
	const struct child new = { l, l->children, pid, -1, exited, opaque };
	struct child *child;
	int error = errno;

	for (child = l->children; child && child->pid != pid; child = child->next)
		;
	if (child || pid <= 0 || !exited) {
		errno = child ? EEXIST : EINVAL;
		return -1;
	}
	child = malloc(sizeof *child);
	if (!child)
		return -1;
	*child = new;
	if (watch(child)) {
		error = errno;
		if (child->fd != -1)
			close(child->fd);
		free(child);
		errno = error;
		return -1;
	}
	l->children = child;
	errno = error;
	return 0;
}

void loop_processes_free(struct loop *l)
{
	struct child *child;
	int signum;

	while ((child = l->children)) {
		l->children = child->next;
		if (child->fd != -1)
			close(child->fd);
		free(child);
	}
	for (signum = 1; signum < _NSIG; signum++)
		give_back(l, signum);
}
