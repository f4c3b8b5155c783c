/* SPDX-License-Identifier: MIT */
/* parts.h - what the files of the runtime know of each other */
#ifndef GREEN_PARTS_H
#define GREEN_PARTS_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <safe_syscall.h>
#include "green.h"
#include "loop.h"

#define STACK ((size_t)256 << 10)
#define NEVER INT64_MAX
#define THREADS_MAX 1024

enum state { FREE, RUNNING, PREPARING, PARKED };	/* of a task: green.c */
enum after { NOTHING, REQUEUE, PARK, CALL, PIN, END };

struct fiber {				/* what AddressSanitizer knows of a stack */
	void *fake;
	const void *bottom;
	size_t size;
};

struct green {
	void *sp;			/* where it goes on; its first member */
	struct green *next;		/* in a queue */
	char *stack;			/* its lowest byte */
	void (*fn)(void *);
	void *arg;
	volatile int flag;		/* cancelled; what the stub looks at */
	volatile int inside;		/* in the runtime, and not to be put aside */
	int error;			/* its errno, while it does not run */
	int hopeless;			/* waits for another task */
	int refused;			/* the error for which it got no thread for its call */
	atomic_int state;
	pthread_mutex_t lock;		/* of the next one */
	struct green *join;		/* who waits for its end; or ENDED and so on */
	const char *where;		/* what it waits in, and for what */
	const void *object;
	unsigned long number;
	safe_syscall_scope scope;	/* of its calls on a thread of its own */
	struct loop_timer *timer;	/* and when that is set to fire; guarded by the loop's lock */
	int64_t armed, deadline;
	struct fiber fiber;
};

struct list {
	struct green *first, *last;
	int count;			/* where it is counted */
};

/* A thread of the kernel: one of those that run tasks, or one for a call that blocks. */
struct thread {
	void *sp;			/* of its own stack, while a task runs */
	struct green *current;
	struct fiber *left;
	struct green *previous;		/* it was left for what runs now; then this is done: */
	enum after after;
	void (*unlock)(void *lock);
	void *lock;
	int caller, number;		/* caller: for calls, and without a queue */
	int look;			/* into the loop, now */
	unsigned int turns, turns_at_tick;
	struct list pinned;		/* put aside by the tick */
	atomic_flag queue_lock;
	struct list queue;
	atomic_int length;		/* of the queue */
	volatile unsigned int popped;	/* so many have left it */
	int has_timer;
	timer_t timer;
	pthread_t id;
	sigset_t mask, old_mask;
	char *alternate;
	stack_t old_alternate;
	struct fiber fiber;
};

extern struct loop *green_loop;
extern atomic_long green_in_loop;	/* so many tasks wait there */

struct thread *green_thread(void);		/* the compiler may not keep what it returns */
struct green *green_enter(const char *who);	/* the calling task, now inside; or abort */
void green_leave(struct green *g);
void green_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Leaves the processor to others; what comes next is done when the task's stack is left. */
void green_switch(enum after after);
/* Waits to be claimed; might come back for no reason. */
void green_wait(const char *where, const void *object, int hopeless, void (*unlock)(void *),
		void *lock);
/* Makes one that waits ready, unless somebody else has. */
void green_claim(struct green *g);
int green_fail(int error);

/* stack.c */
char *green_stack_new(void);
char *green_stack_top(const char *stack);
int green_stack_holds(const char *stack, const void *address);
void green_stack_free(char *stack);
int green_stack_overrun(const char *stack);
int green_stack_guards(const char *stack, const void *address);
void green_stacks_unmap(void);

/* wait.c: times are of CLOCK_MONOTONIC */
struct pollfd;
int64_t green_now(void);
/* Waits for one of n >= 0 descriptors.  1: something may be ready; 0: it is time; or -errno. */
int green_wait_fds(const char *where, const struct pollfd *fds, unsigned int n, int64_t deadline);
void green_forget_timer(struct green *g);
void green_forget_fds(void);

/* AddressSanitizer is told of each switch.  Elsewhere nothing is left of this. */
#if defined __has_feature
# if __has_feature(address_sanitizer)
#  define __SANITIZE_ADDRESS__ 1
# endif
#endif
#ifdef __SANITIZE_ADDRESS__
# include <sanitizer/common_interface_defs.h>
# define green_leaving(from, to, dies) \
	__sanitizer_start_switch_fiber((dies) ? NULL : &(from)->fake, (to)->bottom, (to)->size)
# define green_arriving(from, to) \
	__sanitizer_finish_switch_fiber((to)->fake, &(from)->bottom, &(from)->size)
#else
# define green_leaving(from, to, dies) (void)0
# define green_arriving(from, to) (void)0
#endif

/* x86_64.S and so on, or context.c */
void green_jump(void **save, void *to);
void *green_prepare(char *top, void (*entry)(void));
uintptr_t green_pc(const void *ucontext);

#endif
