/* SPDX-License-Identifier: MIT */
/*
 * cancel.c - a thread pool whose tasks can be cancelled whatever they block in.
 *
 * pthread_cancel() takes the thread along and, with it, the result of a call that
 * was complete already (libuv#4976).  Here a task has a safe_syscall_scope, and makes
 * the calls that may block by safe_syscall().  Once it is cancelled they fail with
 * SAFE_ERESTARTSYS and have done nothing; or they were faster, and the task has their
 * result.  The thread goes on with the next task, and no cancellation reaches that
 * one by mistake, not even as an EINTR in a call that knows nothing of all this.
 *
 * The pool comes first; the rest puts it to the test.  For three seconds (or as many
 * as are given) tasks block in read, open, flock, connect and waitpid.  They are
 * cancelled by hand, by a deadline, or by both, while what they wait for happens, or
 * does not.  Whichever comes first: what was handed out is with the task, or it is
 * still there.
 *
 * Exit status: 0 when all is accounted for, 1 when not, 2 when it can't run here.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <safe_syscall.h>

#define SECOND	1000000000LL		/* times are in nanoseconds */
#define NEVER	(SECOND << 30)

/* ---- the pool ----------------------------------------------------------- */

struct task {
	long (*run)(int what);		/* like a system call: -1 and errno */
	int what;
	long long deadline;
	safe_syscall_scope scope;	/* interrupt it to cancel the task */
	int taken, done;
	long result;			/* of run, or -errno */
	int cancelled;			/* maybe too late: see the result */
	struct task *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;		/* anything that the lock guards */
static struct task *tasks;		/* not done yet, oldest first */
static int closing;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void wait_until(long long time)
{
	struct timespec t = { time / SECOND, time % SECOND };

	pthread_cond_timedwait(&changed, &lock, &t);
}

static void submit(struct task *task)
{
	struct task **end = &tasks;

	pthread_mutex_lock(&lock);
	while (*end)
		end = &(*end)->next;
	*end = task;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* That is all.  Any thread may, before the task runs, while it does, and after. */
static void cancel(struct task *task)
{
	safe_syscall_interrupt(&task->scope);
}

/* No thread watches the deadlines.  One that has passed already is now. */
static void run(struct task *task)
{
	const struct timespec when = {
		task->deadline / SECOND, task->deadline % SECOND
	};

	safe_syscall_enter(&task->scope);
	if (task->deadline != NEVER && safe_syscall_deadline(&task->scope, &when))
		err(1, "safe_syscall_deadline");
	task->result = task->run(task->what);
	if (task->result == -1)
		task->result = -errno;
	task->cancelled = safe_syscall_leave(&task->scope);
	/* from here on no cancellation of this task reaches this thread */
}

static void *pool_thread(void *unused)
{
	struct task *task, **link;

	pthread_mutex_lock(&lock);
	while (!closing) {
		for (task = tasks; task && task->taken; task = task->next)
			;
		if (!task) {
			wait_until(NEVER);
			continue;
		}
		task->taken = 1;
		pthread_mutex_unlock(&lock);
		run(task);
		pthread_mutex_lock(&lock);
		for (link = &tasks; *link != task; link = &(*link)->next)
			;
		*link = task->next;
		task->done = 1;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return unused;
}

/* Afterwards the pool has forgotten the task. */
static void wait_for(struct task *task)
{
	long long end = now() + 100 * SECOND;

	pthread_mutex_lock(&lock);
	while (!task->done && now() < end)
		wait_until(end);
	if (!task->done)
		errx(1, "a task does not come back");
	pthread_mutex_unlock(&lock);
}

/* ---- what the tasks block in -------------------------------------------- */

enum { READ, OPEN, FLOCK, CONNECT, WAITPID, KINDS };

static int pipe_end[2];
static char fifo[32];				/* is opened to be read */
static int writer = -1;				/* whom that waits for */
static int holder, locker, other;		/* of one file, opened three times */
static int listener, client;			/* another client fills the queue */
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t length = sizeof(address);
static pid_t child;

static long must(long result, const char *what)
{
	if (result < 0)
		err(2, "%s", what);
	return result;
}

static long block(int what)
{
	char c;
	long fd;

	switch (what) {
	case READ:
		return safe_syscall(SYS_read, pipe_end[0], &c, 1);
	case OPEN:
		fd = safe_syscall(SYS_openat, AT_FDCWD, fifo, O_RDONLY);
		if (fd < 0)
			return -1;
		must(read(fd, &c, 1), "read");	/* it is there by now */
		return close(fd);
	case FLOCK:
		return safe_syscall(SYS_flock, locker, LOCK_EX);
	case CONNECT:
		return safe_syscall(SYS_connect, client, &address, length);
	case WAITPID:
		return safe_syscall(SYS_wait4, child, NULL, 0, NULL);
	default:
		/* for threads that had a cancelled task: a stray signal shows */
		return poll(NULL, 0, 1);
	}
}

/* Let it happen, once. */
static void let(int what)
{
	siginfo_t info;

	switch (what) {
	case READ:
		must(write(pipe_end[1], "x", 1), "write");
		break;
	case OPEN:
		writer = must(open(fifo, O_RDWR), fifo);
		must(write(writer, "x", 1), "write");
		break;
	case FLOCK:
		must(flock(holder, LOCK_UN), "flock");
		break;
	case CONNECT:
		close(must(accept(listener, NULL, NULL), "accept"));
		break;
	case WAITPID:
		must(kill(child, SIGKILL), "kill");
		waitid(P_PID, child, &info, WEXITED | WNOWAIT);	/* until it is dead */
	}
}

static int ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* Is it there, and nobody has had it?  Take it, and make ready for the next task. */
static int left(int what)
{
	int found;
	char c;

	switch (what) {
	case READ:
		return ready(pipe_end[0]) && read(pipe_end[0], &c, 1) == 1;
	case OPEN:
		found = ready(writer) && read(writer, &c, 1) == 1;
		close(writer);
		writer = -1;
		return found;
	case FLOCK:
		found = flock(other, LOCK_EX | LOCK_NB) == 0;
		must(flock(other, LOCK_UN), "flock");
		must(flock(locker, LOCK_UN), "flock");
		must(flock(holder, LOCK_EX | LOCK_NB), "flock");
		return found;
	case CONNECT:
		found = !ready(listener);
		if (found)
			must(connect(client, (void *)&address, length), "connect");
		close(client);
		client = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
		return found;
	default:
		found = child ? waitpid(child, NULL, WNOHANG) : -1;
		if (found)			/* it does not live any more */
			child = must(fork(), "fork");
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		return found > 0;
	}
}

static void set_up(void)
{
	char dir[] = "/tmp/cancel.XXXXXX";

	must(safe_syscall_init(0), "safe_syscall_init");
	must(pipe(pipe_end), "pipe");
	must(mkdtemp(dir) ? 0 : -1, dir);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	must(mkfifo(fifo, 0600), fifo);
	holder = must(open(dir, O_RDONLY), dir);
	locker = must(open(dir, O_RDONLY), dir);
	other = must(open(dir, O_RDONLY), dir);
	/* Only the family is given, so the kernel makes up a name. */
	listener = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
	must(bind(listener, (void *)&address, sizeof(address.sun_family)), "bind");
	must(getsockname(listener, (void *)&address, &length), "getsockname");
	must(listen(listener, 0), "listen");
	client = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
	for (int what = 0; what < KINDS; what++)
		left(what);
}

/* ---- the show ----------------------------------------------------------- */

enum { THREADS = KINDS, TASKS = 2 * KINDS };

/* What is done about a task: one of them at least, so all come back. */
enum { LET = 1, BY_HAND = 2, BY_DEADLINE = 4 };

static struct { int tasks, completed, cancelled, late, lost, wrong; } count[KINDS];
static int disturbed;

static void account(const struct task *t, int how)
{
	int what = t->what, completed = t->result >= 0;

	count[what].tasks++;
	count[what].completed += completed;
	count[what].late += completed && t->cancelled;
	count[what].cancelled += !completed;
	count[what].lost += (how & LET) != completed + left(what);
	count[what].wrong += t->cancelled && how == LET;	/* by nobody */
	count[what].wrong += !completed &&
			     !(t->cancelled && t->result == -SAFE_ERESTARTSYS);
}

/* One task of each kind, and naps for the threads that come from them. */
static void play(void)
{
	long long deadline = now() + 2000000;
	struct task task[TASKS];
	int i, how[TASKS] = { 0 };

	for (i = 0; i < TASKS; i++) {
		if (i < KINDS)
			how[i] = 1 + rand() % (LET + BY_HAND + BY_DEADLINE);
		task[i] = (struct task){
			.run = block, .what = i, .scope = SAFE_SYSCALL_SCOPE_INIT,
			.deadline = how[i] & BY_DEADLINE ? deadline : NEVER
		};
		submit(&task[i]);
	}
	usleep(1900 + rand() % 100);
	for (i = 0; i < KINDS; i++) {
		if (how[i] & LET)
			let(i);
		if (how[i] & BY_HAND)
			cancel(&task[i]);
	}
	for (i = 0; i < TASKS; i++)
		wait_for(&task[i]);
	for (i = 0; i < KINDS; i++)
		account(&task[i], how[i]);
	for (; i < TASKS; i++)
		disturbed += task[i].result != 0 || task[i].cancelled;
}

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

int main(int argc, char **argv)
{
	static const char names[][8] = { "read", "open", "flock", "connect", "waitpid" };
	long long end = now() + (argc > 1 ? atoi(argv[1]) : 3) * SECOND;
	pthread_t thread[THREADS];
	pthread_condattr_t attr;
	int i, fds, children = 0, bad;

	set_up();
	fds = descriptors();
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &attr);
	for (i = 0; i < THREADS; i++)
		must(-(errno = pthread_create(&thread[i], NULL, pool_thread, NULL)),
		     "thread");
	do
		play();
	while (now() < end);
	pthread_mutex_lock(&lock);
	closing = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);

	for (let(WAITPID); wait(NULL) > 0;)
		children++;
	unlink(fifo);
	fifo[sizeof("/tmp/cancel.XXXXXX") - 1] = '\0';
	rmdir(fifo);
	fds -= descriptors();
	bad = disturbed || fds || children != 1;
	puts("call      tasks  completed  though cancelled  cancelled  lost  wrong");
	for (i = 0; i < KINDS; i++) {
		printf("%-7s%8d%11d%18d%11d%6d%7d\n", names[i], count[i].tasks,
		       count[i].completed, count[i].late, count[i].cancelled,
		       count[i].lost, count[i].wrong);
		bad |= count[i].lost || count[i].wrong;
	}
	printf("naps disturbed: %d; descriptors lost: %d; children lost: %d\n",
	       disturbed, -fds, children - 1);
	return bad;
}
