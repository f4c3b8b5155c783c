/* SPDX-License-Identifier: MIT */
/*
 * green.h - tasks (green threads) on a few threads of the kernel; any system call may block, and
 * only its task waits.
 *
 *	static void serve(void *arg)
 *	{
 *		n = green_syscall(SYS_read, fd, buffer, sizeof buffer);
 *	}
 *	green_run(0, serve, NULL);
 *
 * All but green_run() and green_cancel() is for tasks: elsewhere it ends the process, as does
 * what else is wrong in a way that no errno can tell, with a line on stderr and abort().
 * A task that is cancelled stays so: each of its calls below then fails at once with
 * ECANCELED, so that it cleans up by plain calls.
 */
#ifndef GREEN_H
#define GREEN_H

#include <errno.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct green green;
typedef struct green_channel green_channel;

/* green_run - run a function as the first task, until it and all other tasks are over
 * @threads: of the kernel, that run tasks; the calling one is one of them; 0: processors
 * Others are there only while tasks block in the kernel, and end some time later.
 * Returns 0; or -1 and errno: EINVAL, EBUSY (it runs already), ENOMEM, EAGAIN, EMFILE.
 *
 * A task that computes for 10 ms (from 5 on) while others wait is put aside by a timer's signal,
 * and goes on later, on the same thread: but only where the program counter is in the program's own
 * text, or in the stub that makes system calls.  Put aside within malloc() it would keep the heap
 * locked, and half changed; the next task on this thread that allocates would wait for ever for a
 * lock of its own thread, or damage the heap.  The program's own is what the linker has put before
 * this library: other libraries follow, linked statically or not; and inline functions of C++,
 * where one copy is for all.  Where malloc() itself is before it, as with a sanitizer of clang's,
 * or by lld with -flto -static, there may be more of such things, and only the stub is left.
 * Nor is a task put aside in a signal handler, which may have interrupted malloc(): known by its
 * stack, or by its mask together with what the kernel has put on the task's stack; but not one with
 * an empty mask and SA_NODEFER on the task's stack.  What remains is the program's: a task may be
 * put aside with a mutex locked, or in a function that a library calls while it holds a lock
 * (dl_iterate_phdr, pthread_once); another task of the thread that wants it waits for ever.
 * Use channels.
 *
 * The signal mask is the thread's: what one task sets others there have, too; block signals
 * before.  Who blocks all of them blocks the tick, until the thread has nothing to do.  In a child
 * of fork() nothing of this may be called: other tasks would go on there. */
int green_run(int threads, void (*fn)(void *), void *arg);

/* green_spawn - start a task
 * Its stack grows on demand up to 256 KiB; beyond it the process ends with a line.  Each task
 * is to be joined or detached.  Returns NULL and errno: EINVAL, ENOMEM. */
green *green_spawn(void (*fn)(void *), void *arg);

/* green_join - wait until a task is over; then it is gone
 * By one task, once; not by itself.  Returns 0; -1 and ECANCELED: it is not gone. */
int green_join(green *task);

/* green_detach - let a task be gone as soon as it is over */
void green_detach(green *task);

/* green_cancel - end the wait of a task, and all its waits from now on
 * Whatever it is in comes back with its result, or has no effect.  Any task, thread or signal
 * handler; it must have returned before the task is joined or detached. */
void green_cancel(green *task);

/* green_cancelled - is the calling task cancelled?  1 or 0. */
int green_cancelled(void);

/* green_yield - let others run */
void green_yield(void);

/* green_sleep - wait so many nanoseconds at least; 0, or -1 and ECANCELED */
int green_sleep(long long ns);

/* green_syscall - make a system call; only the task waits
 * As syscall(2); -1 and ECANCELED: the task is cancelled, and the call had no effect.  (A
 * connect of TCP may go on in the kernel: close the socket.  A lock of flock() that was to become
 * another kind is gone, as the kernel gives it up first.)  Reads, writes, accept, connect
 * and polls wait in the loop.  What else may block does so on another thread, where
 * gettid() and other calls about the thread itself make little sense; select() and recvmmsg() do,
 * too.  Where no thread can be had they wait for one; EAGAIN: there is none at all.  SO_RCVLOWAT
 * is not looked at.  A descriptor is to be closed when no task waits for it: one that does may see
 * EBADF, or what has got its number.  As for syscall(2), an argument that is wider than an int in
 * the kernel is to be so here. */
long green_syscall(long number, ...);

/* green_channel_new - make a channel
 * @size: of an item
 * @capacity: how many it holds; 0: sender and receiver meet
 * Returns NULL and errno: ENOMEM.  Any thread may make and free channels. */
green_channel *green_channel_new(size_t size, size_t capacity);

/* green_send - send an item, in the order of senders
 * Returns 0; or -1 and errno: EPIPE (it is closed), ECANCELED; then it is not sent. */
int green_send(green_channel *channel, const void *item);

/* green_receive - receive an item
 * Returns 0; or -1 and errno: EPIPE (closed and empty), ECANCELED; then nothing is taken. */
int green_receive(green_channel *channel, void *item);

/* green_close - no more is sent; who waits to send, or to receive, gets EPIPE; once or more */
void green_close(green_channel *channel);

/* green_channel_free - free a channel, or null, in which no task waits */
void green_channel_free(green_channel *channel);

/* errno is the task's own.  The C library's is a place of the thread that the compiler may
 * remember, but a task goes on on other threads. */
int *green_errno(void);
#undef errno
#define errno (*green_errno())

#ifdef __cplusplus
}
#endif

#endif
