/* SPDX-License-Identifier: MIT */
/*
 * loop.c - an event loop.  WHY NO WAKE-UP IS LOST
 *
 * The loop waits in epoll_pwait2 or ppoll, which read their time-out from memory: loop->timeout.
 * What is told to the loop (a bottom half on the list, a status) is written first; then
 * loop->word is changed, which is always by compare-and-swap:
 *
 *	a step					loop_wake()
 *	  timeout = how long			  old = word, set WOKEN or RELOOK
 *	  if word is 0: set WAITING		  if old has WAITING:
 *	  else: timeout = 0			    on the thread that waits: timeout = 0
 *	  wait					    else, first one: write the eventfd
 *	  clear all of these, look what to do
 *
 * A wake-up before WAITING is set makes the step not wait; one after "clear" the next one.  What
 * remains comes between the two.  From another thread, the eventfd is written.  It is in the
 * epoll set, edge-triggered, so it need not be read: each write makes an event, also for a wait
 * that has not begun.  A handler on the thread itself, whoever installed it, needs no system
 * call.  When it runs the thread is
 *  - before the system call instruction, wherever, also when a rewind sends it back there.  The
 *    kernel reads the time-out when it is entered: it finds 0, looks and returns.
 *  - in the call.  It is not restarted after a handler has run, with SA_RESTART or without.  A
 *    ppoll that was interrupted with no handler to run (a stop and a continuation) may be: then
 *    the PC is on the instruction again, as above.
 *  - behind it.  The step is about to look at the word.
 *
 * A handler that comes while the time-out is written finds WAITING not set; one in loop_wake()
 * writes the same zeros; ppoll writes back the time that is left before any handler runs.  It is
 * zeroed also if WOKEN is set already: by another thread, which has yet to write, maybe.
 */
#undef NDEBUG
#include "parts.h"
#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/param.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000
#define IDLE_AT_MOST 10000000	/* 10 ms */
#define NEVER INT64_MAX
#define BUSY 20				/* that many waits in which events came */

#ifdef SYS_ppoll_time64		/* its time-out has 64-bit members, whatever time_t is */
# define PPOLL SYS_ppoll_time64
#else
# define PPOLL SYS_ppoll
#endif

/* Clears bits, then sets bits; returns the word as it was.  A full barrier between threads. */
static AO_t change(AO_t *word, AO_t clear, AO_t set)
{
	AO_t old = AO_load(word);

	while (!AO_compare_and_swap_full(word, old, (old & ~clear) | set))
		old = AO_load(word);
	return old;
}

int loop_locked(struct loop *l)
{
	return AO_load(&l->owner) == (AO_t)pthread_self();
}

/* Who waits while a busy loop gives it up for no time would wake too late: hence the queue. */
void loop_lock(struct loop *l)
{
	assert(!loop_locked(l) && "this thread holds the lock already");
	pthread_mutex_lock(&l->queue);
	pthread_mutex_lock(&l->lock);
	pthread_mutex_unlock(&l->queue);
	AO_store(&l->owner, (AO_t)pthread_self());
}

void loop_unlock(struct loop *l)
{
	assert(loop_locked(l) && "this thread does not hold the lock");
	AO_store(&l->owner, 0);
	pthread_mutex_unlock(&l->lock);
}

/* By syscall(), as write() is where threads are cancelled. */
void loop_wake(struct loop *l, AO_t why)
{
	AO_t old = change(&l->word, 0, why);
	uint64_t one = 1;
	int error = errno;

	if (!(old & WAITING))
		return;
	if (AO_load(&l->thread) == (AO_t)pthread_self())
		l->timeout[0] = l->timeout[1] = 0;
	else if (old == WAITING)
		syscall(SYS_write, l->event, &one, sizeof one);
	errno = error;
}

void loop_notify(struct loop *l)
{
	loop_wake(l, WOKEN);
}

void loop_stop(struct loop *l, int status)
{
	AO_store(&l->status, (AO_t)status);
	loop_wake(l, STOPPED);
}

/*
 * Who schedules a bottom half sets bits in its word, and pushes it if QUEUED was clear.  Only
 * the loop takes from loop->scheduled, and takes all, so a swap can't be misled by one that was
 * taken off and put back.  QUEUED is cleared, when `next` is not needed any more, in the swap
 * by which the loop learns whether to run it: who comes later queues it again.
 */
#define QUEUED	((AO_t)1)
#define SOON	((AO_t)2)
#define IDLE	((AO_t)4)		/* no matter where SOON is set */
#define DELETED	((AO_t)8)		/* freed when it is taken off */

struct loop_bh {
	void (*run)(void *);
	void *opaque;
	struct loop_bh *other, **at;	/* of loop->bhs */
	struct loop_bh *next;		/* of loop->scheduled */
	int64_t earliest, latest;	/* when it may, and has to, run as an idle one */
	int fd, number;			/* a child's, or -1; a file's */
	struct loop *loop;
	AO_t bits;
};

static void *new_bh(struct loop *l, size_t size, void (*run)(void *), void *opaque)
{
	struct loop_bh *bh = calloc(1, size);

	if (!bh)
		return NULL;
	*bh = (struct loop_bh){ run, opaque, l->bhs, &l->bhs, NULL, 0, 0, -1, 0, l, 0 };
	if (l->bhs)
		l->bhs->at = &bh->other;
	return l->bhs = bh;
}

struct loop_bh *loop_bh_new(struct loop *l, void (*run)(void *), void *opaque)
{
	return new_bh(l, sizeof(struct loop_bh), run, opaque);
}

static void free_bh(struct loop_bh *bh)
{
	*bh->at = bh->other;
	if (bh->other)
		bh->other->at = bh->at;
	if (bh->fd != -1)
		close(bh->fd);
	free(bh);
}

static void push(struct loop_bh *bh)
{
	AO_t *list = &bh->loop->scheduled, first;

	do {
		first = AO_load(list);
		bh->next = (struct loop_bh *)first;
	} while (!AO_compare_and_swap_full(list, first, (AO_t)bh));
}

/* Who finds it scheduled need not wake the loop: whoever did that has, or is about to. */
static void schedule(struct loop_bh *bh, AO_t how)
{
	AO_t old = change(&bh->bits, 0, QUEUED | how);

	if (!(old & QUEUED))
		push(bh);
	if (!(old & (how | SOON)))
		loop_wake(bh->loop, RELOOK);
}

void loop_bh_schedule(struct loop_bh *bh)
{
	schedule(bh, SOON);
}

void loop_bh_schedule_idle(struct loop_bh *bh)
{
	schedule(bh, IDLE);
}

void loop_bh_cancel(struct loop_bh *bh)
{
	change(&bh->bits, SOON | IDLE, 0);
}

void loop_bh_delete(struct loop_bh *bh)
{
	if (bh && !(change(&bh->bits, SOON | IDLE, DELETED) & QUEUED))
		free_bh(bh);
}

/* All that are scheduled, the first one first. */
static struct loop_bh *take_bhs(struct loop *l)
{
	struct loop_bh *bh, *next, *list = NULL;

	do
		bh = (struct loop_bh *)AO_load(&l->scheduled);
	while (bh && !AO_compare_and_swap_full(&l->scheduled, (AO_t)bh, 0));
	for (; bh; bh = next) {
		next = bh->next;
		bh->next = list;
		list = bh;
	}
	return list;
}

/* Idle ones that have to wait go back to loop->scheduled. */
static void run_bhs(struct loop *l, struct loop_bh *list, int idle_too)
{
	struct loop_bh *bh;
	AO_t old;

	l->idle_until = NEVER;
	while ((bh = list)) {
		list = bh->next;
		bh->latest = bh->latest ? bh->latest : loop_now(l) + IDLE_AT_MOST;
		if ((AO_load(&bh->bits) & (SOON | IDLE)) == IDLE &&
		    loop_now(l) < (idle_too ? bh->earliest : bh->latest)) {
			l->idle_until = MIN(l->idle_until, bh->earliest);
			push(bh);
			continue;
		}
		bh->earliest = loop_now(l) + IDLE_AT_MOST;
		bh->latest = 0;
		old = change(&bh->bits, QUEUED | SOON | IDLE, 0);
		l->ran += (old & (SOON | IDLE)) != 0;
		if (old & (SOON | IDLE))
			bh->run(bh->opaque);
		else if (old & DELETED)
			free_bh(bh);
	}
}

/*
 * Timers are bottom halves, and in a heap where each has four below it, none of which is
 * earlier: half as deep as with two, and those that are compared are neighbours.
 */
struct loop_timer {
	struct loop_bh bh;
	size_t at;			/* its place in the heap, from 1; 0 where it is not set */
};

/* Place @at is free: others go down or up there, until it is where this one belongs. */
static void settle(struct loop *l, size_t at, struct due due)
{
	size_t i, next = (at + 2) / 4;

	for (; at > 1 && due.when < l->heap[next].when; next = (at + 2) / 4) {
		l->heap[at] = l->heap[next];
		l->heap[at].timer->at = at;
		at = next;
	}
	for (;; at = next) {
		l->heap[at] = due;
		for (next = at, i = 4 * at - 2; i <= MIN(4 * at + 1, l->timers_set); i++)
			next = l->heap[i].when < l->heap[next].when ? i : next;
		l->heap[at] = l->heap[next];
		l->heap[at].timer->at = at;
		if (next == at)
			return;
	}
}

static void unset(struct loop_timer *timer)
{
	struct loop *l = timer->bh.loop;

	if (timer->at && timer->at != l->timers_set--)
		settle(l, timer->at, l->heap[l->timers_set + 1]);
	timer->at = 0;
}

/* The array, with room for so many, if there is memory; what is new is zero. */
static void *grow(void *array, size_t *room, size_t wanted, size_t size)
{
	size_t more = wanted * 3 / 2 + 64;
	char *new = wanted > *room ? reallocarray(array, more, size) : NULL;

	if (!new)
		return array;
	memset(new + *room * size, 0, (more - *room) * size);
	*room = more;
	return new;
}

/* The heap has room for all, as to set one can't fail. */
struct loop_timer *loop_timer_new(struct loop *l, void (*run)(void *), void *opaque)
{
	struct loop_timer *timer;

	l->heap = grow(l->heap, &l->heap_room, l->timers + 2, sizeof *l->heap);
	if (l->heap_room < l->timers + 2)
		return NULL;
	timer = new_bh(l, sizeof *timer, run, opaque);
	l->timers += timer != NULL;
	return timer;
}

void loop_timer_set(struct loop_timer *timer, long long when)
{
	struct loop *l = timer->bh.loop;

	AO_store(&timer->bh.bits, AO_load(&timer->bh.bits) & QUEUED);
	if (when < 0)
		unset(timer);
	else
		settle(l, timer->at ? timer->at : ++l->timers_set, (struct due){ when, timer });
	if (timer->at == 1 && AO_load(&l->word) & WAITING)
		loop_wake(l, RELOOK);
}

void loop_timer_delete(struct loop_timer *timer)
{
	if (!timer)
		return;
	timer->bh.loop->timers--;
	unset(timer);
	loop_bh_delete(&timer->bh);
}

/* What has been set for a descriptor. */
struct watch {
	void (*readable)(void *), (*writable)(void *);
	void *opaque;
	unsigned int change;		/* the number of the change that made it so */
	struct loop_bh *file;		/* of one that can't be polled: schedules itself */
};

/* The first function may change what is set, and move the table. */
static void call(struct loop *l, int fd, unsigned int events)
{
	struct watch w = l->watches[fd];

	if (w.readable && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
		l->ran++;
		w.readable(w.opaque);
	}
	if (w.writable && events & (EPOLLOUT | EPOLLERR | EPOLLHUP) &&
	    l->watches[fd].change == w.change) {
		l->ran++;
		w.writable(w.opaque);
	}
}

static void call_file(void *opaque)
{
	struct loop_bh *file = opaque;

	loop_bh_schedule(file);
	file->loop->ran--;		/* it isn't one of those that are counted */
	call(file->loop, file->number, EPOLLIN | EPOLLOUT);
}

/*
 * What the kernel knows need not be what we do: the number may mean another file now.  Events
 * carry the number of the change, so that those of an earlier file are nobody's.
 */
int loop_fd(struct loop *l, int fd, void (*readable)(void *), void (*writable)(void *),
	    void *opaque)
{
	struct watch w = { readable, writable, opaque, l->change + 1, NULL };
	struct epoll_event event = { (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U),
				     { .u64 = (uint64_t)w.change << 32 | (unsigned int)fd } };
	int forget = !readable && !writable;

	/* the table grows for numbers that are open; others might be any */
	if ((size_t)fd >= l->room && (forget || fcntl(fd, F_GETFD) == -1))
		return forget ? 0 : -1;
	l->watches = grow(l->watches, &l->room, (size_t)fd + 1, sizeof *l->watches);
	if ((size_t)fd >= l->room)
		return -1;
	if (forget) {
		epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, &event);
	} else if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &event) &&
		   (errno != ENOENT || epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event))) {
		if (errno == EBADF)
			loop_fd(l, fd, NULL, NULL, NULL);
		w.file = errno == EPERM ? new_bh(l, sizeof *w.file, call_file, NULL) : NULL;
		if (!w.file)
			return -1;
		w.file->opaque = w.file;
		w.file->number = fd;
		loop_bh_schedule(w.file);
	}
	loop_bh_delete(l->watches[fd].file);
	l->watches[fd] = w;
	l->change = w.change;
	return 0;
}

static void run_fds(struct loop *l, long events)
{
	int i, fd;

	for (i = 0; i < events; i++) {
		fd = (int)(uint32_t)l->events[i].data.u64;
		if (fd != l->event && l->watches[fd].change == l->events[i].data.u64 >> 32)
			call(l, fd, l->events[i].events);
	}
}

/* Its descriptor can be read when it is dead; one without is looked at after each SIGCHLD. */
struct child {
	struct loop_bh bh;
	pid_t pid;
	void (*exited)(void *, pid_t, int);
	void *opaque;
};

/* Running or dead, but not waited for: so its number is its own. */
static int is_there(const struct child *child)
{
	int fd = child->bh.fd;
	siginfo_t info;

	/* 3: P_PIDFD, which not all C libraries name */
	return !waitid(fd == -1 ? P_PID : (idtype_t)3, (id_t)(fd == -1 ? child->pid : fd), &info,
		       WEXITED | WNOHANG | WNOWAIT | __WALL);
}

/* One that is not to be had any more is dead, too. */
static void reap(void *opaque)
{
	struct child *child = opaque;
	int status = 0;

	if (is_there(child) && !waitpid(child->pid, &status, WNOHANG | __WALL)) {
		child->bh.loop->ran--;	/* this was no callback */
		return;
	}
	loop_fd(child->bh.loop, child->bh.fd, NULL, NULL, NULL);
	child->exited(child->opaque, child->pid, status);
	loop_bh_delete(&child->bh);
}

/*
 * A handler schedules the bottom half that calls the function.  One on another thread may have
 * got hold of that when it is to be deleted: so they are counted, and awaited.  A child of fork
 * has none of its parent's other threads, and so none of their handlers.
 */
static struct handled {
	AO_t loop, bh, handlers;
	void (*run)(void *, int);
	void *opaque;
	struct sigaction before;
} handled[_NSIG];

static void on_signal(int signum, siginfo_t *info, void *ucontext)
{
	struct handled *h = &handled[signum];
	struct loop_bh *bh;

	safe_syscall_hook(signum, info, ucontext);
	AO_fetch_and_add1_full(&h->handlers);
	bh = (struct loop_bh *)AO_load(&h->bh);
	if (bh)
		loop_bh_schedule(bh);
	AO_fetch_and_sub1_full(&h->handlers);
}

static void run_signal(void *opaque)
{
	struct handled *h = opaque;
	struct loop *l = (struct loop *)AO_load(&h->loop);
	struct loop_bh *bh = l->bhs;

	for (; bh; bh = bh->other)
		if (bh->run == reap && bh->fd == -1 && h == &handled[SIGCHLD])
			loop_bh_schedule(bh);
	if (h->run)
		h->run(h->opaque, (int)(h - handled));
	else
		l->ran--;
}

static int give_back(struct loop *l, int signum, int result)
{
	struct handled *h = &handled[signum];
	struct loop_bh *bh = (struct loop_bh *)AO_load(&h->bh);

	if (AO_load(&h->loop) != (AO_t)l)
		return result;
	sigaction(signum, &h->before, NULL);
	AO_store(&h->bh, 0);
	AO_nop_full();
	while (AO_load(&h->handlers) && l->process == getpid())
		sched_yield();
	loop_bh_delete(bh);
	AO_store_release(&h->loop, 0);
	return result;
}

/* All signals wait, so that no handler of others comes in, and leaves by siglongjmp. */
int loop_signal(struct loop *l, int signum, void (*function)(void *, int), void *opaque)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	struct handled *h = &handled[(unsigned int)signum % _NSIG];

	errno = EINVAL;
	if (signum < 1 || signum >= _NSIG || signum == safe_syscall_signal())
		return -1;
	if (!function && (signum != SIGCHLD || !l->sigchld))
		return give_back(l, signum, 0);
	if (AO_load(&h->loop) != (AO_t)l) {
		errno = EBUSY;
		if (!AO_compare_and_swap_full(&h->loop, 0, (AO_t)l))
			return -1;
		AO_store(&h->handlers, 0);
		l->process = getpid();
		sa.sa_sigaction = on_signal;
		sigfillset(&sa.sa_mask);
		sigaction(signum, NULL, &h->before);
		if (!function && (h->before.sa_handler == SIG_IGN ||
				  h->before.sa_flags & SA_NOCLDWAIT))
			sa.sa_flags |= SA_NOCLDWAIT;	/* others' children: as before */
		AO_store(&h->bh, (AO_t)loop_bh_new(l, run_signal, h));
		if (!AO_load(&h->bh) || sigaction(signum, &sa, NULL))
			return give_back(l, signum, -1);
	}
	h->run = function;
	h->opaque = opaque;
	return 0;
}

static int by_signal(struct loop *l, struct loop_bh *child)
{
	if (errno != ENOSYS && errno != EPERM)	/* the kernel, or a filter, knows no pidfd */
		return 0;
	l->sigchld = 1;
	loop_bh_schedule(child);
	return AO_load(&handled[SIGCHLD].loop) == (AO_t)l || !loop_signal(l, SIGCHLD, NULL, NULL);
}

/* Where SIGCHLD is ignored nothing is left of a dead child: it was one, if it was at all. */
int loop_child(struct loop *l, pid_t pid, void (*exited)(void *, pid_t, int), void *opaque)
{
	struct child *child = new_bh(l, sizeof *child, reap, NULL);
	struct sigaction sa;
	int fd;

	if (!child)
		return -1;
	*child = (struct child){ child->bh, pid, exited, opaque };
	child->bh.opaque = child;
	child->bh.fd = fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (is_there(child)) {
		if (fd != -1 ? !loop_fd(l, fd, reap, NULL, child) : by_signal(l, &child->bh))
			return 0;
	} else if (!sigaction(SIGCHLD, NULL, &sa) &&
		   (sa.sa_handler == SIG_IGN || sa.sa_flags & SA_NOCLDWAIT) &&
		   pid > 0 && kill(pid, 0) && errno == ESRCH) {
		loop_bh_schedule(&child->bh);
		return 0;
	} else {
		errno = pid > 0 ? ECHILD : EINVAL;
	}
	loop_bh_delete(&child->bh);
	return -1;
}

/* Since the last wait; looked at only when somebody wants to know. */
int64_t loop_now(struct loop *l)
{
	struct timespec t;

	if (!l->now) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		l->now = (int64_t)t.tv_sec * SECOND + t.tv_nsec;
	}
	return l->now;
}

/* Two calls where GLib has descriptors, and before Linux 5.11.  Some filters say EPERM. */
static long wait_in_kernel(struct loop *l)
{
	long n;

#ifdef SYS_epoll_pwait2
	if (l->polled_count == 1 && !l->no_pwait2) {
		n = safe_syscall(SYS_epoll_pwait2, l->epoll, l->events, EVENTS, l->timeout, 0, 0);
		l->no_pwait2 = n == -1 && (errno == ENOSYS || errno == EPERM);
		if (!l->no_pwait2)
			return n;
	}
#endif
	n = safe_syscall(PPOLL, l->polled, l->polled_count, l->timeout, NULL, 0);
	if (n < 0 || !l->polled[0].revents)
		return MIN(n, 0);
	return safe_syscall(SYS_epoll_pwait, l->epoll, l->events, EVENTS, 0, NULL, 0);
}

/*
 * A time-out makes a wait slower, also where there is something: if there always was, only look.
 * Returns the number of events; or -1 and errno, but not EINTR: then all is as before.
 */
static long wait_until(struct loop *l, int64_t until)
{
	int64_t time = until && until != NEVER ? until - loop_now(l) : until;
	long n, failed;

	time = l->events_came == BUSY ? 0 : MAX(time, 0);
	l->timeout[0] = time / SECOND;
	l->timeout[1] = time % SECOND;
	AO_store(&l->thread, (AO_t)pthread_self());
	if (time && !AO_compare_and_swap_full(&l->word, 0, WAITING))
		l->timeout[0] = l->timeout[1] = 0;
	loop_unlock(l);
	safe_syscall_enter(&l->scope);
	n = wait_in_kernel(l);
	safe_syscall_leave(&l->scope);
	loop_lock(l);
	l->now = 0;
	l->events_came = n > 0 ? MIN(l->events_came + 1, BUSY) : 0;
	failed = n == -1 && errno != EINTR;
	l->woken = change(&l->word, failed ? WAITING : WAITING | WOKEN | RELOOK, 0) &
		(WOKEN | STOPPED);
	return failed ? -1 : MAX(n, 0);
}

/* What is due is known before the first callback: what that schedules is for the next step. */
static void work(struct loop *l, long events)
{
	struct loop_bh *due, **end = &due;
	struct loop_timer *timer;

	while (l->timers_set && l->heap[1].when <= loop_now(l)) {
		timer = l->heap[1].timer;
		unset(timer);
		AO_store(&timer->bh.bits, QUEUED | SOON);	/* nobody else knows it */
		*end = &timer->bh;
		end = &timer->bh.next;
	}
	*end = take_bhs(l);
	run_fds(l, events);
	run_bhs(l, due, 0);
}

static int step(struct loop *l, long long timeout)
{
	int64_t deadline, until;
	long n;

	l->now = 0;
	deadline = timeout <= 0 ? timeout : loop_now(l) + MIN(timeout, NEVER - loop_now(l));
	l->ran = 0;
	do {
		until = MIN(deadline < 0 ? NEVER : deadline, l->idle_until);
		until = l->timers_set ? MIN(until, l->heap[1].when) : until;
		n = wait_until(l, l->glib ? loop_glib_prepare(l, until) : until);
		if (n >= 0)
			work(l, n);
		if (l->glib)
			loop_glib_dispatch(l, n >= 0);
		if (n >= 0 && !l->ran)
			run_bhs(l, take_bhs(l), 1);
	} while (n >= 0 && !l->ran && !l->woken && (deadline < 0 || loop_now(l) < deadline));
	return n < 0 ? -1 : l->ran;
}

static int steps(struct loop *l, long long timeout, int until_stopped)
{
	int was_locked = loop_locked(l), result;

	if (!AO_compare_and_swap_full(&l->busy, 0, 1)) {
		errno = EBUSY;
		return -1;
	}
	if (!was_locked)
		loop_lock(l);
	do
		result = step(l, timeout);
	while (until_stopped && result >= 0 && !(AO_load(&l->word) & STOPPED));
	AO_store_release(&l->busy, 0);
	if (!was_locked)
		loop_unlock(l);
	return result;
}

int loop_step(struct loop *l, long long timeout)
{
	return steps(l, timeout, 0);
}

int loop_run(struct loop *l)
{
	if (steps(l, -1, 1) < 0)
		return -1;
	change(&l->word, STOPPED, 0);	/* first: a stop that comes now is not forgotten */
	return (int)AO_load(&l->status);
}

struct loop *loop_new(void)
{
	struct epoll_event event = { EPOLLIN | EPOLLET, { 0 } };
	struct loop *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->queue = l->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	l->idle_until = NEVER;
	l->polled = &l->own;
	l->polled_count = 1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->own = (struct pollfd){ l->epoll, POLLIN, 0 };
	l->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	event.data.u64 = (unsigned int)l->event;
	if (l->epoll != -1 && l->event != -1 &&
	    !epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->event, &event))
		return l;
	loop_free(l);
	return NULL;
}

/* In a child of fork the epoll set is the parent's too: nothing is taken out of it. */
void loop_free(struct loop *l)
{
	int error = errno, signum;

	if (!l)
		return;
	for (signum = 1; signum < _NSIG; signum++)
		give_back(l, signum, 0);
	while (l->bhs)
		free_bh(l->bhs);
	if (l->glib)
		loop_glib_free(l);
	close(l->epoll);
	close(l->event);
	free(l->heap);
	free(l->watches);
	free(l);
	errno = error;
}
