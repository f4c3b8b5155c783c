/* SPDX-License-Identifier: MIT */
/*
 * loop.h - what the main thread of a server or an emulator runs on: descriptors, timers,
 * children, work to be done soon, and wake-ups from any thread and any signal handler.
 *
 *	loop = loop_new();
 *	loop_fd(loop, listener, on_connection, NULL, server);
 *	loop_signal(loop, SIGTERM, on_term, loop);
 *	status = loop_run(loop);
 *	loop_free(loop);
 *
 * A step waits until there is something to do, and does it.  What callbacks schedule, set or add
 * is for the next step, which then does not wait.  They may change and delete anything, themselves
 * included, and what is due in the same step, which then isn't called.  Who may call what:
 *	anywhere  any thread, with the lock or without, and any signal handler, whatever it has
 *		interrupted; leaves errno alone.  Nobody may free the object meanwhile.
 *	locked	a thread that holds the loop's lock, as callbacks do, or the only one that uses
 *		the loop.  Not handlers.  Takes effect in a step that waits already.
 *
 * Times are in nanoseconds.  What returns an int returns 0, or -1 and errno; what returns a
 * pointer, NULL and errno.  An @opaque is for the function before it.
 */
#ifndef LOOP_H
#define LOOP_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct loop;
struct loop_bh;
struct loop_timer;
struct _GMainContext;

/* A new loop, with two descriptors, close-on-exec.  Any thread; not handlers.
 * Errors: ENOMEM, EMFILE, ENFILE. */
struct loop *loop_new(void);
/* Frees a loop, or null, and what is left in it: descriptors and children are forgotten, signals
 * handled as they were before, and nothing is called.  Nobody may use it meanwhile; but a child of
 * fork may free its copy at any time, unnoticed by the parent's.  Not handlers. */
void loop_free(struct loop *loop);

/* Waits until something is to be done, at most so long, negative: as long as it takes; and does
 * it.  Returns when callbacks have run, their number; or after the time, a notify or a stop, even
 * an earlier one.  Takes the lock, unless the caller has it.  One thread at a time; not handlers.
 * Errors: EBUSY in a callback, and while another thread is in a step; SAFE_ERESTARTSYS when a
 * scope that the thread is in is interrupted: then nothing is done, nor lost; ENOMEM. */
int loop_step(struct loop *loop, long long timeout);
/* Makes steps until somebody calls loop_stop(), or has since the last run.  Returns the status
 * given to that; otherwise as loop_step(). */
int loop_run(struct loop *loop);
/* Has loop_run() return this when its step is over; of several before that, the last one's.
 * Until a loop_run() has, no step waits.  Anywhere. */
void loop_stop(struct loop *loop, int status);
/* Has the step that is under way, or else the next, not wait.  Makes no system call on the thread
 * that waits, in a handler whoever has installed it; and elsewhere one, if the loop waits and
 * nobody has woken it yet.  Anywhere. */
void loop_notify(struct loop *loop);

/* Calls functions, or one, in each step in which a descriptor can be read or written; replaces
 * what was set; both null: forgets it, if it was known.  Errors and hang-ups call whichever is
 * set, both where both are.  A regular file, or what else can't be polled, is always ready.
 * Forget a descriptor before closing it; one that was closed first, too, or set the new one with
 * its number: its events cost time until the file is closed.  Locked.
 * Errors: EBADF: it is forgotten; ENOMEM and as epoll_ctl(2): then all is as before. */
int loop_fd(struct loop *loop, int fd, void (*readable)(void *), void (*writable)(void *),
	    void *opaque);

/* A new bottom half: a function that is called soon, when scheduled.  Locked.  Error: ENOMEM. */
struct loop_bh *loop_bh_new(struct loop *loop, void (*run)(void *), void *opaque);
/* Runs it once, soon, on the loop, however often it is scheduled before; it sees what the callers
 * did before.  In the order of scheduling.  Wakes as loop_notify() does.  Anywhere; lock-free. */
void loop_bh_schedule(struct loop_bh *bh);
/* Runs it once, when the loop has nothing else to do; at the latest in the first step that begins
 * when the loop has known of it for 10 ms, but no earlier than 10 ms after it ran last, so that it
 * may schedule itself.  loop_bh_schedule() is stronger.  Anywhere; lock-free. */
void loop_bh_schedule_idle(struct loop_bh *bh);
/* Takes that back.  Without the lock, it may be running at the moment.  Anywhere; lock-free. */
void loop_bh_cancel(struct loop_bh *bh);
/* Cancels and frees it, or null; also from within itself.  Nobody may use it any more.  Locked. */
void loop_bh_delete(struct loop_bh *bh);

/* A new timer, not set.  Locked.  Error: ENOMEM. */
struct loop_timer *loop_timer_new(struct loop *loop, void (*run)(void *), void *opaque);
/* Sets it, also from within itself, to a time of CLOCK_MONOTONIC; in the past: at once; negative:
 * not at all.  It fires once, never early, those of one time in any order.  Locked. */
void loop_timer_set(struct loop_timer *timer, long long when);
/* Frees it, or null; also from within itself.  Locked. */
void loop_timer_delete(struct loop_timer *timer);

/* Waits for a child, running or dead, but not waited for yet: calls a function once, in a step,
 * with the status as waitpid(2) gives it.  Reaps this child and no other.  Where SIGCHLD is
 * ignored, or somebody else reaps it, the status is not to be had: 0.  Takes a descriptor until
 * then; where the kernel has none for children, it is by SIGCHLD, as if loop_signal() had been
 * called.  Locked.  Errors: EINVAL (not positive), ECHILD (no child of this process), ENOMEM,
 * EMFILE, ENFILE, then EBUSY. */
int loop_child(struct loop *loop, pid_t pid, void (*exited)(void *opaque, pid_t pid, int status),
	       void *opaque);

/* Calls a function, in a step, after a signal has arrived, on any thread; once for all that have
 * come since the last time.  The handler has SA_RESTART.  Null: as it was before.  Locked.
 * Errors: EINVAL (no such signal, not to be caught, the interrupt signal of the library), EBUSY
 * (set in another loop), ENOMEM. */
int loop_signal(struct loop *loop, int signum, void (*run)(void *opaque, int signum),
		void *opaque);

/* Takes the lock, which a step holds except while it waits; a busy one gives it to those who wait
 * for it.  Any thread; not handlers.  Who has it already: a line on stderr, abort. */
void loop_lock(struct loop *loop);
/* Gives it back; a callback may do so for a time.  Who does not have it: a line, abort. */
void loop_unlock(struct loop *loop);
/* Whether the calling thread has it, 1 or 0.  Anywhere. */
int loop_locked(struct loop *loop);

/* From now on steps wait for and dispatch what a GLib context has, too; null: GLib's default one.
 * That is done with the lock, and counts as one callback.  While another thread owns the context,
 * it is asked for every millisecond.  Only where GLib was found.  Locked.  Error: EBUSY (another
 * one is set). */
int loop_glib(struct loop *loop, struct _GMainContext *context);

#ifdef __cplusplus
}
#endif
#endif
