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
 * A step waits until there is something to do, and does it.  What callbacks schedule, set or
 * add is for the next step, which then does not wait.  They may change and delete anything,
 * themselves included, and what is due in the same step, which then isn't called.
 *
 * Who may call what:
 *	anywhere  any thread, with the lock or without, and any signal handler, whatever it has
 *		interrupted; leaves errno alone.  Nobody may free the object meanwhile.
 *	locked	a thread that holds the loop's lock, as callbacks do, or the only one that uses
 *		the loop.  Not handlers.  Takes effect in a step that waits already.
 *
 * Times are in nanoseconds.  Functions that return an int return 0, or -1 and set errno; those
 * that return a pointer, NULL and set errno.  An @opaque is for the function before it.
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

/* loop_new - make a loop
 * It has two descriptors of its own, close-on-exec.  Any thread; not handlers.
 * Errors: ENOMEM, EMFILE, ENFILE. */
struct loop *loop_new(void);

/* loop_free - free a loop, or null, and what is left in it
 * Descriptors and children are forgotten, and signals handled as they were before; nothing is
 * called.  Nobody may use the loop meanwhile; except that a child of fork may free its copy,
 * whatever its parent did at the time, whose loop does not notice.  Not handlers. */
void loop_free(struct loop *loop);

/* loop_step - wait until something is to be done, and do it
 * @timeout: how long to wait at most; negative: as long as it takes
 * Returns when callbacks have run, their number; or after the time, a notify or a stop, even an
 * earlier one.  Takes the lock, unless the caller has it.  One thread at a time; not handlers.
 * Errors: EBUSY in a callback, and while another thread is in a step; SAFE_ERESTARTSYS when a
 * scope that the thread is in is interrupted: then nothing is done, nor lost; ENOMEM. */
int loop_step(struct loop *loop, long long timeout);

/* loop_run - make steps until somebody calls loop_stop(), or has since the last run
 * Returns the status given to loop_stop(); otherwise as loop_step(). */
int loop_run(struct loop *loop);

/* loop_stop - have loop_run() return when its step is over
 * @status: what it shall return; of several before that, the last one's
 * Until a loop_run() has, no step waits.  Anywhere. */
void loop_stop(struct loop *loop, int status);

/* loop_notify - have the step that is under way, or else the next, not wait
 * Makes no system call on the thread that waits, in a handler whoever has installed it; and
 * elsewhere one, if the loop waits and nobody has woken it yet.  Anywhere. */
void loop_notify(struct loop *loop);

/* loop_fd - call functions while a descriptor is ready
 * @fd: the descriptor; what was set for it is replaced
 * @readable: called in each step in which it can be read; or null
 * @writable: called in each step in which it can be written; or null
 * Errors and hang-ups call whichever is set, both where both are.  A regular file, or what
 * else can't be polled, is always ready.  Both functions null: @fd is forgotten, if it was
 * known.  Forget a descriptor before closing it.  If it is closed first, forget it, or set the
 * new one with its number, all the same; its events cost time until the file is closed.  Locked.
 * Errors: EBADF: it is forgotten; ENOMEM and as epoll_ctl(2): then all is as before. */
int loop_fd(struct loop *loop, int fd, void (*readable)(void *), void (*writable)(void *),
	    void *opaque);

/* loop_bh_new - make a bottom half: a function that is called soon, when scheduled
 * Locked.  Error: ENOMEM. */
struct loop_bh *loop_bh_new(struct loop *loop, void (*run)(void *), void *opaque);

/* loop_bh_schedule - run a bottom half once, soon, on the loop
 * However often it is scheduled before it runs, it runs once, and sees what the callers did
 * before.  In the order of scheduling.  Wakes as loop_notify() does.  Anywhere; lock-free. */
void loop_bh_schedule(struct loop_bh *bh);

/* loop_bh_schedule_idle - run a bottom half once, when the loop has nothing else to do
 * At the latest in the first step that begins when the loop has known of it for 10 ms; but
 * no earlier than 10 ms after it ran last, so that it may schedule itself.  No effect if it
 * is scheduled already; a later loop_bh_schedule() makes it run soon.  Anywhere; lock-free. */
void loop_bh_schedule_idle(struct loop_bh *bh);

/* loop_bh_cancel - take back that a bottom half is scheduled
 * Without the lock, it may be running at the moment.  Anywhere; lock-free. */
void loop_bh_cancel(struct loop_bh *bh);

/* loop_bh_delete - cancel and free a bottom half, or null; also from within itself
 * Nobody may schedule or cancel it any more.  Locked. */
void loop_bh_delete(struct loop_bh *bh);

/* loop_timer_new - make a timer; it is not set
 * @run: called when its time has come
 * Locked.  Error: ENOMEM. */
struct loop_timer *loop_timer_new(struct loop *loop, void (*run)(void *), void *opaque);

/* loop_timer_set - set a timer, also from within itself; O(log n)
 * @when: the time, of CLOCK_MONOTONIC; in the past: at once; negative: not at all
 * It fires once, never early, those of the same time in the order of setting.  Locked. */
void loop_timer_set(struct loop_timer *timer, long long when);

/* loop_timer_delete - free a timer, or null; also from within itself; O(log n)
 * Locked. */
void loop_timer_delete(struct loop_timer *timer);

/* loop_child - wait for a child
 * @pid: the child, running or dead, but not waited for yet
 * @exited: called once, in a step, with the status as waitpid(2) gives it
 * This child is reaped, and no other.  Where SIGCHLD is ignored, or somebody else reaps the
 * child, its status is not to be had: 0.  Takes a descriptor until then.  Once.  Locked.
 * Errors: EINVAL (@pid is not positive), ECHILD (no child of this process), ENOMEM, EMFILE,
 * ENFILE, ENOSYS (before Linux 5.4). */
int loop_child(struct loop *loop, pid_t pid, void (*exited)(void *opaque, pid_t pid, int status),
	       void *opaque);

/* loop_signal - call a function, in a step, after a signal has arrived, on any thread
 * @run: once for all that have come since the last time; null: handled as it was before
 * The handler has SA_RESTART.  Locked.
 * Errors: EINVAL (no such signal, not to be caught, the interrupt signal of the library),
 * EBUSY (set in another loop), ENOMEM. */
int loop_signal(struct loop *loop, int signum, void (*run)(void *opaque, int signum),
		void *opaque);

/* loop_lock - take the lock, which a step holds except while it waits
 * A step that is busy gives it to threads that wait for it before it waits or polls again.
 * Any thread; not handlers.  Where the calling thread has it: a line on stderr, abort. */
void loop_lock(struct loop *loop);

/* loop_unlock - give the lock back; a callback may give it up for a time
 * Where the calling thread does not have it: a line on stderr, abort. */
void loop_unlock(struct loop *loop);

/* loop_locked - does the calling thread hold the lock?
 * Returns 1 or 0.  Anywhere. */
int loop_locked(struct loop *loop);

/* loop_glib - have a GLib context served too
 * @context: null: GLib's default context
 * From then on a step waits for and dispatches what the context has as well, with the lock
 * held, and counts that as one callback.  It owns the context, for which it asks every
 * millisecond while another thread does.  Not there where GLib was not.  Locked.
 * Error: EBUSY (the loop has a context). */
int loop_glib(struct loop *loop, struct _GMainContext *context);

#ifdef __cplusplus
}
#endif

#endif
