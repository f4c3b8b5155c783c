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
 * A step waits until there is something to do, and does it.  What is to be done is
 * determined once, at the end of the wait: what callbacks schedule, set or add is for
 * the next step, which then does not wait.  Callbacks may add, change and delete
 * anything, themselves included, and also what is due in the same step, which then
 * isn't called any more.
 *
 * Who may call what.  Each function says it by one of these words:
 *
 *	anywhere	any thread, with the lock or without, and any signal handler, whatever it
 *			has interrupted; leaves errno alone.  The object must not be
 *			freed or deleted meanwhile.
 *	locked		a thread that holds the loop's lock, as callbacks do; or without the
 *			lock where no other thread uses the loop at the time.  Not handlers.
 *			Takes effect in a step of another thread that waits already.
 *
 * Times are in nanoseconds.  Functions that return an int return -1 and set errno on error,
 * unless they say otherwise.
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

/* ---- the loop ------------------------------------------------------------------- */

/**
 * loop_new - make a loop
 *
 * It has two descriptors of its own, close-on-exec.  Any thread; not handlers.
 *
 * Returns the loop; or NULL with errno ENOMEM, EMFILE, ENFILE.
 */
struct loop *loop_new(void);

/**
 * loop_free - free a loop and what is left in it
 * @loop: may be null
 *
 * Bottom halves and timers are deleted, descriptors and children forgotten, and signals
 * handled as they were before; nothing is called.  Nobody may use the loop meanwhile, and
 * no step be under way; except that a child of fork may free its copy whatever its parent
 * did at the time.  The parent's loop does not notice.  Not handlers.
 */
void loop_free(struct loop *loop);

/**
 * loop_step - wait until something is to be done, and do it
 * @loop: the loop
 * @timeout: how long to wait at most; negative: as long as it takes
 *
 * Returns when at least one callback has run, or the time is over, or a notify, a
 * schedule or a stop, even an earlier one since the last step, asks it to.  Signals whose
 * handlers do none of that don't end it.  The lock is held but for the wait; a thread that
 * has it already keeps it.  Any thread, one at a time; not handlers.
 *
 * The wait is a call of the thread's scopes, see safe_syscall_enter(3): interrupting one
 * ends it, and while that is so no step waits.
 *
 * Returns the number of callbacks that ran.  -1 with errno EBUSY in a callback, and while
 * another thread is in a step; SAFE_ERESTARTSYS when a scope of the thread is interrupted
 * and there was nothing to do; or what epoll_wait(2) and safe_syscall_enter(3) fail with.
 */
int loop_step(struct loop *loop, long long timeout);

/**
 * loop_run - make steps until somebody calls loop_stop()
 * @loop: the loop
 *
 * A stop that came before, and that no other run has ended by, counts.  As loop_step().
 *
 * Returns the status given to loop_stop(); -1 and errno when a step fails.
 */
int loop_run(struct loop *loop);

/**
 * loop_stop - have loop_run() return when its step is over
 * @loop: the loop
 * @status: what it shall return
 *
 * Until a loop_run() has, no step waits.  Of several before that, the last one's status
 * is returned.  Anywhere.
 */
void loop_stop(struct loop *loop, int status);

/**
 * loop_notify - have the step that is under way, or else the next, not wait
 * @loop: the loop
 *
 * Anywhere.  Makes no system call on the thread that waits, in a handler whoever has
 * installed it; and one, which does not block, elsewhere, if the loop waits and nobody
 * has woken it yet.
 */
void loop_notify(struct loop *loop);

/* ---- descriptors ---------------------------------------------------------------- */

/**
 * loop_fd - call functions while a descriptor is ready
 * @loop: the loop
 * @fd: the descriptor; what was set for it is replaced
 * @readable: called in each step in which it can be read; or null
 * @writable: called in each step in which it can be written; or null
 * @opaque: their argument
 *
 * Errors and hang-ups call whichever is set, both where both are.  A regular file, or what
 * else can't be polled, is always ready.  Both functions null: @fd is forgotten; that is no
 * error where it was unknown.  Forget a descriptor before closing it.  If it is
 * closed first, forget it, or set the new one that has got its number, all the same.  Locked.
 *
 * Returns 0; or -1 with errno EBADF (no such descriptor; it is forgotten), ENOMEM, ENOSPC (the
 * user watches too many), EINVAL, ELOOP (epoll descriptors); then all is as before.
 */
int loop_fd(struct loop *loop, int fd, void (*readable)(void *), void (*writable)(void *),
	    void *opaque);

/* ---- work to be done soon ------------------------------------------------------- */

/**
 * loop_bh_new - make a bottom half: a function that is called soon, when scheduled
 * @loop: the loop
 * @run: the function
 * @opaque: its argument
 *
 * Locked.  Returns it; or NULL with errno ENOMEM.
 */
struct loop_bh *loop_bh_new(struct loop *loop, void (*run)(void *), void *opaque);

/**
 * loop_bh_schedule - run a bottom half once, soon, on the loop
 * @bh: the bottom half
 *
 * However often it is scheduled before it runs, it runs once.  What the caller did
 * before is seen by the function.  Those that are scheduled run in the order in which they
 * were; one that schedules itself runs again in the next step.  Wakes as loop_notify()
 * does.  Anywhere; lock-free.
 */
void loop_bh_schedule(struct loop_bh *bh);

/**
 * loop_bh_schedule_idle - run a bottom half once, when the loop has nothing else to do
 * @bh: the bottom half
 *
 * In the first step that finds nothing else to do; but at the latest in one that begins when
 * the loop has known of it for 10 ms.  No effect if it is scheduled already; a later
 * loop_bh_schedule() makes it run soon.  Anywhere; lock-free.
 */
void loop_bh_schedule_idle(struct loop_bh *bh);

/**
 * loop_bh_cancel - take back that a bottom half is scheduled
 * @bh: the bottom half
 *
 * On the loop's thread, or with the lock, it does not run any more; elsewhere it
 * may be running at the moment.  Anywhere; lock-free.
 */
void loop_bh_cancel(struct loop_bh *bh);

/**
 * loop_bh_delete - cancel and free a bottom half
 * @bh: the bottom half, scheduled or not, also from within itself; may be null
 *
 * Locked.  Nobody may schedule or cancel it any more.
 */
void loop_bh_delete(struct loop_bh *bh);

/* ---- timers --------------------------------------------------------------------- */

/**
 * loop_timer_new - make a timer; it is not set
 * @loop: the loop
 * @run: called when its time has come
 * @opaque: its argument
 *
 * Locked.  Returns it; or NULL with errno ENOMEM.
 */
struct loop_timer *loop_timer_new(struct loop *loop, void (*run)(void *), void *opaque);

/**
 * loop_timer_set - set a timer
 * @timer: the timer, set or not, also from within itself
 * @when: the time, of CLOCK_MONOTONIC; in the past: at once; negative: not at all
 *
 * It fires once, never early, those of the same time in the order in which they were
 * set.  O(log n).  Locked.
 */
void loop_timer_set(struct loop_timer *timer, long long when);

/**
 * loop_timer_delete - free a timer
 * @timer: the timer, set or not, also from within itself; may be null
 *
 * O(log n).  Locked.
 */
void loop_timer_delete(struct loop_timer *timer);

/* ---- children and signals ------------------------------------------------------- */

/**
 * loop_child - wait for a child
 * @loop: the loop
 * @pid: the child, running or dead, but not waited for yet
 * @exited: called once, in a step, with the status as waitpid(2) gives it
 * @opaque: its first argument
 *
 * This child is reaped, and no other.  Where SIGCHLD is ignored, or somebody else
 * reaps the child, its status is not to be had, and 0 is passed.  Takes a descriptor until
 * then; or, before Linux 5.4, handles SIGCHLD, and calls the handler that was there
 * before.  Locked.
 *
 * Returns 0; or -1 with errno EINVAL (null, @pid not positive), ECHILD (no child of this
 * process), EEXIST (the loop waits for it already), ENOMEM, EMFILE, ENFILE, EBUSY (before
 * Linux 5.4: another loop has SIGCHLD).
 */
int loop_child(struct loop *loop, pid_t pid, void (*exited)(void *opaque, pid_t pid, int status),
	       void *opaque);

/**
 * loop_signal - call a function, in a step, after a signal has arrived
 * @loop: the loop
 * @signum: the signal
 * @run: the function, once for all that have come since the last time; null: the signal is
 *	handled as it was before, which it is already where nothing was set
 * @opaque: its first argument
 *
 * The handler has SA_RESTART.  The signal may arrive on any thread.  Locked.
 *
 * Returns 0; or -1 with errno EINVAL (no such signal, not to be caught, the interrupt
 * signal of the library), EBUSY (set in another loop).
 */
int loop_signal(struct loop *loop, int signum, void (*run)(void *opaque, int signum),
		void *opaque);

/* ---- the lock ------------------------------------------------------------------- */

/**
 * loop_lock - take the lock, which a step holds except while it waits
 * @loop: the loop
 *
 * A step that is busy gives it to threads that wait for it before it waits or polls again.
 * Any thread; not handlers.  Where the calling thread has it: a line on stderr, abort.
 */
void loop_lock(struct loop *loop);

/**
 * loop_unlock - give the lock back
 * @loop: the loop
 *
 * A callback may give it up for a time.  Where the calling thread does not have it: a line
 * on stderr, abort.
 */
void loop_unlock(struct loop *loop);

/**
 * loop_locked - does the calling thread hold the lock?
 * @loop: the loop
 *
 * Returns 1 or 0.  Anywhere.
 */
int loop_locked(struct loop *loop);

/* ---- GLib ----------------------------------------------------------------------- */

struct _GMainContext;

/**
 * loop_glib - have a GLib context served too
 * @loop: the loop
 * @context: null: GLib's default context
 *
 * From then on a step waits for and dispatches what the context has as well, with the
 * lock held, and counts that as one callback.  The context is owned by the loop's thread
 * during a step, or a run; while another thread owns it, it is asked for every millisecond.
 * Where the library was built without GLib there is no such function.  Locked.
 *
 * Returns 0; or -1 with errno EBUSY when the loop has a context, ENOMEM.
 */
int loop_glib(struct loop *loop, struct _GMainContext *context);

#ifdef __cplusplus
}
#endif

#endif /* LOOP_H */
