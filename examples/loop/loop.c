/* SPDX-License-Identifier: MIT */
/*
 * loop.c - waiting, and being woken
 *
 * WHY NO WAKE-UP IS LOST
 *
 * The loop waits in one system call, epoll_pwait2 or ppoll, which reads its time-out from
 * memory: loop->timeout.  One word, loop->word, says whether it waits and whether it
 * has been woken, and all that is told to the loop (a bottom half on the list, a signal that
 * has arrived, a status) is written before that word is changed:
 *
 *	a step					loop_wake()
 *	  timeout = how long			  old = word, set WOKEN
 *	  if word is 0: set WAITING		  if old has WAITING:
 *	  else: timeout = 0			    on the thread that waits: timeout = 0
 *	  the call				    else, first one: write the eventfd
 *	  clear WAITING, WOKEN
 *	  look what there is to do
 *
 * All changes of the word are compare-and-swaps, so they have an order.  A wake-up that comes
 * before WAITING is set makes the step not wait; one that comes after "clear" stays in the
 * word and makes the next step not wait.  What remains comes between the two.
 *
 * From another thread, the eventfd is written.  It is in the epoll set, edge-triggered, so it
 * need never be read: each write makes an event, which the kernel keeps for the call if
 * that has not begun.  At worst it ends a wait too many, in which case the step waits again.
 *
 * From a handler on the thread itself no system call is needed, and it does not matter
 * whether the handler knows of the library.  At the moment it runs the thread is
 *
 *  - before the system call instruction, wherever: in our code, in the library's, in
 *    the stub.  The kernel reads the time-out when it is entered, so it finds 0.  The call
 *    looks for events and returns at once.  (Where a rewind sends the call back to the
 *    check, the instruction comes later, and that is all.)
 *
 *  - in the call.  Neither epoll_pwait2 nor ppoll is restarted after a handler has run,
 *    with SA_RESTART or without: it returns EINTR, or the events it had found.  A call that
 *    was interrupted with no handler to run (a stop and a continuation) may be restarted.
 *    Then the PC is on the instruction again, and the first case applies.
 *
 *  - behind it.  The step is about to take the lock, and to look at the word.
 *
 * No two of these can be confused by a handler that comes half way through the writing of the
 * time-out, as WAITING is not set then; nor by one that interrupts another handler in
 * loop_wake(), as that only writes zeros.  ppoll writes the time that remains back to the
 * time-out, but it does so before any handler runs, and the next wait sets it anew.
 * A handler zeroes it also when WOKEN is set already: whoever did that may be
 * another thread, and have yet to write.
 *
 * The wake-up could be the library's interrupt of loop->scope instead.  That is four system
 * calls where an eventfd takes one, and takes longer to arrive (bench/README).
 * The wait is in a scope all the same: a call of safe_syscall() comes back when a
 * scope around it is interrupted, by anybody, and the step with it.
 *
 * THE LOCK
 *
 * A busy loop gives its lock up for the moment in which it asks the kernel for events, and a
 * mutex would mostly be gone before a thread that waits for it is running.  So there are
 * two: whoever wants the lock waits for it holding `queue`, and the step has to
 * get that first.
 */
#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000

/* A time-out of 64-bit members, whatever the program's time_t. */
#ifdef SYS_ppoll_time64
# define PPOLL SYS_ppoll_time64
#else
# define PPOLL SYS_ppoll
#endif
#ifndef SYS_epoll_pwait2
# define SYS_epoll_pwait2 (-1)
#endif

static AO_t self(void)
{
	return (AO_t)pthread_self();
}

/* ---- the lock -------------------------------------------------------------------- */

int loop_locked(struct loop *l)
{
	return AO_load(&l->owner) == self();
}

static void expect_locked(struct loop *l, int locked, const char *line)
{
	if (loop_locked(l) == locked)
		return;
	fputs(line, stderr);
	abort();
}

void loop_lock(struct loop *l)
{
	expect_locked(l, 0, "loop_lock: this thread holds the lock already\n");
	pthread_mutex_lock(&l->queue);
	pthread_mutex_lock(&l->lock);
	pthread_mutex_unlock(&l->queue);
	AO_store(&l->owner, self());
}

void loop_unlock(struct loop *l)
{
	expect_locked(l, 1, "loop_unlock: this thread does not hold the lock\n");
	AO_store(&l->owner, 0);
	pthread_mutex_unlock(&l->lock);
}

/* ---- waking ---------------------------------------------------------------------- */

static void do_not_wait(struct loop *l)
{
	l->timeout[0] = l->timeout[1] = 0;
}

/* By syscall(), as write() is where threads are cancelled. */
void loop_wake(struct loop *l, AO_t why)
{
	AO_t old = change(&l->word, 0, why);
	uint64_t one = 1;
	int error = errno;

	if (!(old & WAITING))
		return;
	if (AO_load(&l->thread) == self())
		do_not_wait(l);
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

/* ---- waiting --------------------------------------------------------------------- */

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static long events_now(struct loop *l)
{
	return syscall(SYS_epoll_pwait, l->epoll, l->events, sizeof l->events / sizeof *l->events,
		       0, NULL, 0);
}

static long poll_guest(struct loop *l)
{
	struct pollfd own = { l->epoll, POLLIN, 0 }, *fds = &own;
	long n;

	if (l->guest)
		fds = l->guest->fds;
	fds[0] = own;
	n = safe_syscall(PPOLL, fds, l->guest ? l->guest->count : 1, l->timeout, NULL, 0);
	return n <= 0 ? n : fds[0].revents ? events_now(l) : 0;
}

static long wait_in_scope(struct loop *l)
{
	long n;

	if (l->guest || l->no_epoll_pwait2)
		return poll_guest(l);
	n = safe_syscall(SYS_epoll_pwait2, l->epoll, l->events,
			 sizeof l->events / sizeof *l->events, l->timeout, NULL, 0);
	if (n == -1 && errno == ENOSYS) {
		l->no_epoll_pwait2 = 1;
		n = poll_guest(l);
	}
	return n;
}

/* Returns the number of events; or -1 and errno, but not EINTR. */
static int ask_kernel(struct loop *l)
{
	long n;

	if (safe_syscall_enter(&l->scope))
		return -1;
	n = wait_in_scope(l);
	safe_syscall_leave(&l->scope);
	if (n == -1 && errno == SAFE_ERESTARTSYS) {
		l->interrupted = 1;
		n = events_now(l);
	}
	return n == -1 && errno == EINTR ? 0 : (int)n;
}

static int wait_until(struct loop *l, int64_t until)
{
	int64_t time = until > l->now ? until - l->now : 0;
	int n, error;

	l->until = until;
	l->change_waited = l->change;
	l->timeout[0] = time / SECOND;
	l->timeout[1] = time % SECOND;
	AO_store(&l->thread, self());
	if (time && !AO_compare_and_swap_full(&l->word, 0, WAITING))
		do_not_wait(l);
	loop_unlock(l);
	n = ask_kernel(l);
	error = errno;
	loop_lock(l);
	if (change(&l->word, WAITING | WOKEN | RELOOK, 0) & (WOKEN | STOPPED))
		l->woken = 1;
	errno = error;
	return n;
}

/* ---- steps ----------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Until when to wait.  What is pending is idle bottom halves. */
static int64_t next_event(struct loop *l, int64_t deadline)
{
	int64_t until = earlier(deadline, loop_timers_next(l));

	if (l->guest)
		until = earlier(until, l->guest->prepare(l->guest, l->now));
	return l->pending || l->always >= 0 || l->look_at_children ? 0 : until;
}

static void work(struct loop *l, int events)
{
	l->working = 1;
	loop_bhs_take(l);
	loop_signals_run(l);
	loop_children_run(l);
	loop_fds_run(l, events);
	loop_timers_run(l);
	loop_bhs_run(l, 0);
	if (l->guest)
		l->guest->dispatch(l->guest);
	if (!l->ran)
		loop_bhs_run(l, 1);
	l->working = 0;
}

static int step(struct loop *l, long long timeout)
{
	int64_t deadline;
	int n;

	l->now = monotonic();
	deadline = timeout < 0 || timeout > NEVER - l->now ? NEVER : l->now + timeout;
	l->ran = l->woken = l->interrupted = 0;
	do {
		n = wait_until(l, next_event(l, deadline));
		if (n < 0)
			break;
		l->now = monotonic();
		work(l, n);
	} while (!l->ran && !l->woken && !l->interrupted && l->now < deadline);
	if (l->guest)
		l->guest->step_is_over(l->guest);
	if (n >= 0 && !l->ran && !l->woken && l->interrupted) {
		errno = SAFE_ERESTARTSYS;
		n = -1;
	}
	return n < 0 ? -1 : l->ran;
}

/* Takes the lock, unless the caller has it; returns whether it had, or -1 and errno. */
static int begin(struct loop *l)
{
	int locked = loop_locked(l);

	if (!AO_compare_and_swap_full(&l->busy, 0, 1)) {
		errno = EBUSY;
		return -1;
	}
	if (!locked)
		loop_lock(l);
	return locked;
}

static void end(struct loop *l, int was_locked)
{
	AO_store_release(&l->busy, 0);
	if (!was_locked)
		loop_unlock(l);
}

int loop_step(struct loop *l, long long timeout)
{
	int was_locked = begin(l), result;

	if (was_locked < 0)
		return -1;
	result = step(l, timeout);
	end(l, was_locked);
	return result;
}

int loop_run(struct loop *l)
{
	int was_locked = begin(l), result = 0;

	if (was_locked < 0)
		return -1;
	while (result >= 0 && !(AO_load(&l->word) & STOPPED))
		result = step(l, -1);
	if (result >= 0) {
		/* first, so that a stop that comes now is not forgotten */
		change(&l->word, STOPPED, 0);
		result = (int)AO_load(&l->status);
	}
	end(l, was_locked);
	return result;
}

/* ---- beginning and end ----------------------------------------------------------- */

void *loop_part_new(struct loop *l, size_t size, void (*run)(void *), void *opaque)
{
	struct part *part = calloc(1, size);

	if (!part)
		return NULL;
	part->loop = l;
	part->run = run;
	part->opaque = opaque;
	part->next = l->parts;
	part->at = &l->parts;
	if (part->next)
		part->next->at = &part->next;
	l->parts = part;
	return part;
}

void loop_part_free(struct part *part)
{
	*part->at = part->next;
	if (part->next)
		part->next->at = part->at;
	free(part);
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	pthread_mutex_init(&l->queue, NULL);
	pthread_mutex_init(&l->lock, NULL);
	l->pending_end = &l->pending;
	l->always = -1;
	l->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->event == -1 || l->epoll == -1 || loop_fds_start(l)) {
		loop_free(l);
		return NULL;
	}
	return l;
}

/*
 * In a child of fork the descriptors are copies of the parent's: they are closed,
 * and nothing is taken out of the epoll set, which is one and the same.
 */
void loop_free(struct loop *l)
{
	int error = errno;

	if (!l)
		return;
	loop_processes_free(l);
	while (l->parts)
		loop_part_free(l->parts);
	if (l->guest)
		l->guest->free(l->guest);
	if (l->epoll != -1)
		close(l->epoll);
	if (l->event != -1)
		close(l->event);
	free(l->heap);
	free(l->watches);
	free(l);
	errno = error;
}
