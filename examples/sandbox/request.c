/* SPDX-License-Identifier: MIT */
/*
 * request.c - the life of a request, and the threads that make them.
 *
 *	            worker takes it            the call is over         reply
 *	 ASKED ---------------------> WORKED ON -----------------> DONE -------> ANSWERED
 *	   |                            |    ^                       |
 *	   | signal                     |    | asked again           | signal was faster
 *	   v                            v    |                       v
 *	 (nobody has          the thread is at its stop           KEPT --- asked again ---> ANSWERED
 *	  seen it)            |  may wait: interrupt the scope       |
 *	   |                  v                                      | the thread dies
 *	   |              CANCELLED: the signal goes on              v
 *	   |                                                      dropped: a descriptor is closed
 *	   +--- asked again ---> ASKED
 *
 * The program's thread sleeps in the kernel until there is a reply.  A signal wakes it: then the
 * notification is gone, and nobody tells the supervisor.  The call "has failed" with ERESTARTSYS:
 * a handler without SA_RESTART will see EINTR, and else the call is made again.  For the opening
 * of a FIFO and for connect that is just right.  For all else it is not: an open of a regular
 * file never fails so, and mkdir must not be done twice.
 *
 * WHY A SIGNAL DOES WHAT IT DOES OUTSIDE
 *
 * All threads of the program are traced.  So each stops before a signal is delivered, and its
 * tracer, the thread of the loop here, says which it shall be.  Two means are enough: let it go
 * on, or hold it.  Where none is delivered the kernel makes the call again by itself, with the same
 * arguments, on all architectures: nothing has to be written to registers.
 *
 * A signal that is not caught is not our affair: the thread dies, or stops and goes on, or doesn't
 * notice.  If it makes its call again while a worker still works on it, that one's reply goes to
 * the new notification.  One that is caught finds the request
 *
 * WORKED ON.  The thread stays in its stop until the worker has finished, which is soon, as the
 * scope is interrupted if it waits for something; what doesn't wait is left alone.  Then it is
 *   CANCELLED: nothing was done (SAFE_ERESTARTSYS), and outside, too, the signal would have
 *   interrupted it.  It goes on, ERESTARTSYS stands, and the kernel knows of SA_RESTART.  Or it is
 *   KEPT: the call is over, so outside the signal would have come after it.  It is held, and all
 *   others blocked.  The thread makes its call again and finds it done: its result, its descriptor,
 *   once.  The
 *   next stop is at the end of that call, before the program has run an instruction.  There the
 *   signals that were held are sent again, to this thread, and get back what came with them.
 *
 * ASKED, but nobody has seen it yet.  Registers tell that the thread was in such a call
 * (interrupted_call).  The signal is held, as for all that is known the call doesn't wait.  If it
 * does, its worker finds that a signal is held, and does nothing: CANCELLED.
 *
 * ANSWERED.  A descriptor has been taken by the kernel, or not, it says which: the worker has left
 * its scope before, as nobody could say if this ioctl was interrupted.  Of another result it
 * says so, too, when a signal has woken the thread already, and then forgets it.  So that is
 * remembered until the thread shows up again: at a stop, in a call that was interrupted, or not.
 * Of several threads one can be woken by a signal that another one takes; it has no stop.
 * So there the answer waits until it has been stopped, and all signals are blocked (answer).
 *
 * The thread dies, at any moment.  waitpid() tells the tracer, which interrupts the scope whatever
 * it does.  The worker is free at once; what it got is closed.
 *
 * A task's mutex is held where the above changes, and while a reply is on its way: so a stop that
 * follows a reply is looked at when it is known what became of the reply.
 */
#include <dirent.h>
#include <elf.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "sandbox.h"

#define STACK		(256 << 10)
#define IDLE_MOST	4
#define STUCK_MOST	16
#define ERESTARTSYS	SAFE_ERESTARTSYS
#define ERESTARTNOINTR	513

struct held {
	struct held *next;
	siginfo_t info;
	bool sent;			/* it is on its way again */
};

struct kept {
	bool is;
	struct seccomp_data call;
	long result;
	int fd;
	uint32_t fd_flags;
	bool sent;			/* the descriptor is there already, and this its number */
	bool answered;			/* so the kernel says; see above */
};

/* The last wait that was told how long. */
struct wait {
	struct seccomp_data call;
	long long until;
	long result;			/* then */
	bool again;			/* has been interrupted, and will be made again */
};

struct task {
	struct task *next;
	pid_t tid, tgid;
	int references;			/* with the table's mutex */
	bool gone;
	bool shared;			/* its process has, or had, more threads */
	pthread_mutex_t mutex;
	struct request *running;
	struct kept kept;
	int stopped;			/* at that signal, until the worker has finished */
	bool cancelled, unsure;
	struct held *held;
	bool masked;			/* blocks all signals, until it has its result; before: */
	uint64_t mask;
	bool put_back, late, starved;
	uint64_t at[2];			/* where it was at its last signal, and its stack */
	unsigned int stuck;		/* how often it was just there */
	struct wait wait;
	struct loop_timer *timer;	/* for when it is over, and the kernel doesn't know it */
	pid_t sender;			/* of the last signal that was sent from here */
};

struct loop *sandbox_loop;
bool sandbox_verbose, sandbox_landlock;
int sandbox_listener;

static pid_t program;
static bool has_others;		/* children that the sandbox knows nothing of */
static bool ending;
static int exit_status;

/* ---- the table of tasks -------------------------------------------------------- */

enum { SLOTS = 1024 };
static struct task *tasks[SLOTS];
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;

static struct task **slot(pid_t tid)
{
	struct task **t = &tasks[(unsigned int)tid % SLOTS];

	while (*t && (*t)->tid != tid)
		t = &(*t)->next;
	return t;
}

static struct task *task_get(pid_t tid)
{
	pthread_mutex_lock(&table);
	struct task *t = *slot(tid);
	if (t)
		t->references++;
	pthread_mutex_unlock(&table);
	return t;
}

static void drop(struct kept *k)
{
	if (k->is && k->fd >= 0 && !k->sent)
		close(k->fd);
	k->is = false;
}

static void task_put(struct task *t)
{
	pthread_mutex_lock(&table);
	const bool last = !--t->references;
	pthread_mutex_unlock(&table);
	if (!last)
		return;
	for (struct held *h; (h = t->held); free(h))
		t->held = h->next;
	drop(&t->kept);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

long long number_in(const char *file, const char *key, int base)
{
	FILE *f = fopen(file, "re");
	long long value = -1;
	char line[8192];

	while (f && value == -1 && fgets(line, sizeof line, f))
		if (!strncmp(line, key, strlen(key)))
			value = base ? (long long)strtoull(line + strlen(key), NULL, base) :
				line[strlen(key) + 1];
	if (f)
		fclose(f);
	return value;
}

long long task_status(pid_t tid, const char *key, int base)
{
	char name[64];

	snprintf(name, sizeof name, "/proc/%d/status", (int)tid);
	return number_in(name, key, base);
}

static struct task *task_new(pid_t tid)
{
	struct task *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	*t = (struct task){ .tid = tid, .tgid = (pid_t)task_status(tid, "Tgid:", 10),
			    .references = 1, .mutex = PTHREAD_MUTEX_INITIALIZER };
	t->shared = t->tid != t->tgid;
	pthread_mutex_lock(&table);
	*slot(tid) = t;
	pthread_mutex_unlock(&table);
	return t;
}

static bool in_table(pid_t tid, const struct task *that)
{
	pthread_mutex_lock(&table);
	const struct task *t = *slot(tid);
	pthread_mutex_unlock(&table);
	return that ? t == that : t != NULL;
}

/* It has died, and was not yet waited for by its parent.  With the table's mutex. */
static bool is_left_behind(pid_t pid)
{
	return task_status(pid, "State:", 0) == 'Z' &&
		*slot((pid_t)task_status(pid, "PPid:", 10));
}

bool task_inside(pid_t pid)
{
	pthread_mutex_lock(&table);
	const bool is_inside = *slot(pid) || is_left_behind(pid);
	pthread_mutex_unlock(&table);
	return is_inside;
}

/* Tasks are waited for with the table's mutex: until then a pid is theirs. */
long task_call(pid_t pid, pid_t sender, long number, const safe_syscall_word *args)
{
	long n = -1;

	errno = ESRCH;
	pthread_mutex_lock(&table);
	struct task *t = *slot(pid);
	if (t) {
		t->sender = sender ? sender : t->sender;
		n = safe_syscallv(number, args);
	}
	pthread_mutex_unlock(&table);
	return n == -1 ? -errno : n;
}

long task_signal_group(pid_t group, pid_t but, int signum, pid_t sender)
{
	long result = -ESRCH;

	pthread_mutex_lock(&table);
	for (size_t i = 0; i < SLOTS; i++)
		for (struct task *t = tasks[i]; t; t = t->next)
			if (t->tid == t->tgid && t->tgid != but &&
			    (group == -1 || getpgid(t->tgid) == group)) {
				t->sender = sender;
				result = !kill(t->tgid, signum) || !result ? 0 : -errno;
			}
	/*
	 * A child may be there that nobody has told us of yet.  After this no more of them come from
	 * those that have the signal pending: fork() makes none then.
	 */
	DIR *all = opendir("/proc");
	const struct dirent *entry;
	while (all && (entry = readdir(all))) {
		const pid_t pid = (pid_t)atoi(entry->d_name);
		if (pid <= 0 || pid == but || *slot(pid) || (group != -1 && getpgid(pid) != group))
			continue;
		if (task_status(pid, "TracerPid:", 10) == getpid())
			result = !kill(pid, signum) || !result ? 0 : -errno;
		else if (result == -ESRCH && is_left_behind(pid))
			result = 0;
	}
	if (all)
		closedir(all);
	pthread_mutex_unlock(&table);
	return result;
}

/* ---- workers -------------------------------------------------------------------- */

static pthread_mutex_t workers = PTHREAD_MUTEX_INITIALIZER;
static int idle;
static unsigned long waits;		/* how many do */
static struct loop_bh *finished;
static bool two_steps;			/* kernels before 5.14 */

/* The notification need not be: a thread that waits at its stop has none. */
bool request_valid(struct request *r)
{
	return in_table(r->tid, r->task) && !r->dead;
}

/*
 * One that waits here has two descriptors for as long as that takes.  Of those that there are for
 * all some are left to such as don't wait.
 */
int request_may_wait(struct request *r)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	int error = 0;

	for (int i = 0; i < 2; i++) {
		if (r->base[i] >= 0)
			close(r->base[i]);
		r->base[i] = -1;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	pthread_mutex_lock(&r->task->mutex);
	r->blocks = true;
	if (r->signalled || r->dead)
		error = -ERESTARTSYS;
	else if (!r->go_on && !r->waits) {
		r->waits = true;
		if (__atomic_add_fetch(&waits, 1, __ATOMIC_RELAXED) * 2 + 64 > limit.rlim_cur)
			error = -ENFILE;
	}
	pthread_mutex_unlock(&r->task->mutex);
	return error;
}

/* With the task's mutex, outside of the scope.  False: the notification is gone. */
static bool reply(uint64_t id, struct kept *k, bool go_on)
{
	struct seccomp_notif_addfd add = { id, two_steps ? 0 : SECCOMP_ADDFD_FLAG_SEND,
		(uint32_t)k->fd, 0, k->fd_flags };
	struct seccomp_notif_resp send = { id, 0, 0, 0 };

	if (k->fd >= 0 && !k->sent) {
		int fd = ioctl(sandbox_listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
		if (fd == -1 && errno == EINVAL && !two_steps) {
			two_steps = true;
			add.flags = 0;
			fd = ioctl(sandbox_listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
		}
		if (fd == -1 && errno != EMFILE && errno != ENFILE && errno != ENOMEM)
			return false;
		k->result = fd == -1 ? -errno : fd;
		close(k->fd);
		k->sent = true;
		if (fd != -1 && add.flags)
			return true;
	}
	if (go_on)
		send.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (k->result < 0)
		send.error = (int32_t)k->result;
	else
		send.val = k->result;
	return !ioctl(sandbox_listener, SECCOMP_IOCTL_NOTIF_SEND, &send);
}

/*
 * What was done without a descriptor: it is said, and was heard, if no signal wakes the thread.  Of
 * several threads one may be woken, and another take the signal: then it has no stop, where it
 * could be looked at.  So such a one is told when it has been stopped, and can't be woken.
 */
static void answer(struct task *t, uint64_t id)
{
	struct kept *k = &t->kept;

	t->unsure = t->shared && !t->masked && (k->fd < 0 || two_steps) &&
		    (k->result >= 0 || k->result == -EINPROGRESS);
	if (t->unsure)
		loop_bh_schedule(finished);
	else
		k->answered = reply(id, k, false);
}

static struct held *waiting(const struct task *t)
{
	struct held *h = t->held;

	while (h && h->sent)
		h = h->next;
	return h;
}

/* The same call of a thread that is made again? */
static bool same(const struct seccomp_data *a, const struct seccomp_data *b)
{
	return a->nr == b->nr && a->arch == b->arch &&
	       a->instruction_pointer == b->instruction_pointer &&
	       !memcmp(a->args, b->args, sizeof a->args);
}

/* Nobody wants to know any more: whatever it does, it comes back. */
static void abandon(struct task *t)
{
	if (t->running) {
		t->running->dead = true;
		safe_syscall_interrupt(&t->running->scope);
	}
	t->running = NULL;
}

/* False: there is nothing more to do for it. */
static bool begin(struct request *r, struct task *t)
{
	bool work = false;

	pthread_mutex_lock(&t->mutex);
	/* gone before anybody knew of it: the stop that comes, or came, has been told that */
	if (ioctl(sandbox_listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &r->notif.id))
		;
	else if (t->kept.is && !t->kept.answered && same(&t->kept.call, &r->notif.data))
		answer(t, r->notif.id);
	else if (t->running && same(&t->running->notif.data, &r->notif.data))
		t->running->notif.id = r->notif.id;
	else {
		drop(&t->kept);
		abandon(t);
		t->running = r;
		t->cancelled = false;
		r->signalled = waiting(t);
		work = true;
	}
	pthread_mutex_unlock(&t->mutex);
	return work;
}

static void finish(struct request *r, struct task *t, long result)
{
	struct kept k = { true, r->notif.data, result, r->fd, r->fd_flags, false, false };

	pthread_mutex_lock(&t->mutex);
	if (r->dead || t->gone)
		drop(&k);
	else if (result == -ERESTARTSYS)
		t->cancelled = true;
	else if (r->go_on && !t->stopped) {
		/* from when on, is known already of one that is made again */
		if (r->until && !(t->wait.again && same(&t->wait.call, &r->notif.data)))
			t->wait = (struct wait){ r->notif.data, r->until, -r->operation->flags,
						 false };
		t->wait.again = false;
		reply(r->notif.id, &k, true);
	} else if (!r->go_on) {
		t->kept = k;
		if (!t->stopped)
			answer(t, r->notif.id);
	}
	if (t->running == r)
		t->running = NULL;
	/* the tracer waits for it, or has to know that a signal need not be held */
	if (t->stopped || t->cancelled)
		loop_bh_schedule(finished);
	pthread_mutex_unlock(&t->mutex);
}

static void serve(struct request *r)
{
	struct task *t = task_get((pid_t)r->notif.pid);

	if (!t)
		return;
	r->task = t;
	r->tid = t->tid;
	r->tgid = t->tgid;
	r->operation = broker_find(&r->notif.data);
	r->base[0] = r->base[1] = r->fd = -1;
	safe_syscall_enter(&r->scope);
	const bool wanted = begin(r, t);
	const long result = wanted ? broker(r) : 0;
	safe_syscall_leave(&r->scope);
	if (r->waits)
		__atomic_sub_fetch(&waits, 1, __ATOMIC_RELAXED);
	if (wanted)
		finish(r, t, result);
	task_put(t);
}

static void *work(void *unused);

static void send_for_worker(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	if (!pthread_create(&thread, &attr, work, NULL))
		idle++;
	pthread_attr_destroy(&attr);
}

/* One is always left that waits for requests; where no thread is to be had, they wait. */
static void *work(void *unused)
{
	struct request r;
	bool stay = true;

	unshare(CLONE_FS);		/* a mask and a working directory of its own */
	while (stay) {
		memset(&r, 0, offsetof(struct request, path));
		*r.path[0] = *r.path[1] = 0;
		if (safe_syscall(SYS_ioctl, sandbox_listener, SECCOMP_IOCTL_NOTIF_RECV, &r.notif)) {
			if (errno != ENOENT && errno != EINTR)
				break;
			continue;
		}
		pthread_mutex_lock(&workers);
		if (!--idle)
			send_for_worker();
		pthread_mutex_unlock(&workers);
		serve(&r);
		pthread_mutex_lock(&workers);
		stay = idle < IDLE_MOST;
		idle += stay;
		pthread_mutex_unlock(&workers);
	}
	return unused;
}

/* ---- the tracer: registers --------------------------------------------------------- */

/*
 * Where a kernel shows an interrupted call to its tracer.  Most leave number and result as they are
 * until it is known which signal comes; some have wound the PC back by then, on the instruction.
 * -1: the number is in /proc only.
 */
static const struct machine {
	uint32_t arch;
	int number, result, pc;
	uint32_t instruction;
	bool again;			/* a result can be made to mean "again" */
} machines[] = {
	{ 0xc000003e, 15, 10, 0, 0, true },		/* x86_64, x32 */
	{ 0xc00000b7, 8, 0, 32, 0xd4000001, false },	/* aarch64 */
	{ 0xc00000f3, 17, 10, 0, 0x73, false },		/* riscv64 */
	{ 0x80000016, -1, 4, 0, 0, true },		/* s390x */
	{ 0x80000015, 0, 3, 0, 0, false }, { 0xc0000015, 0, 3, 0, 0, false },	/* ppc64 */
	{ 0x80000008, -1, 2, 0, 0, false }, { 0xc0000008, -1, 2, 0, 0, false },	/* mips n64 */
	{ 0xa0000008, -1, 2, 0, 0, false }, { 0xe0000008, -1, 2, 0, 0, false },	/* n32 */
	{ 0x00000008, -1, 8, 0, 0, false }, { 0x40000008, -1, 8, 0, 0, false },	/* o32 */
};
static const struct machine *machine;
enum { WORDS = 64 };

static bool registers(const struct task *t, safe_syscall_word *words, int request, size_t *size)
{
	struct iovec all = { words, *size };
	const bool done = ptrace(request, t->tid, (void *)NT_PRSTATUS, &all) != -1;

	*size = all.iov_len;
	return done;
}

static long number_of(const struct task *t, const safe_syscall_word *words)
{
	char name[64];
	long number = -1;
	FILE *f;

	if (machine->number >= 0)
		return (long)words[machine->number];
	snprintf(name, sizeof name, "/proc/%d/syscall", (int)t->tid);
	f = fopen(name, "re");
	if (f && fscanf(f, "%ld", &number) != 1)
		number = -1;
	if (f)
		fclose(f);
	return number;
}

/* Is it a call of the broker's, and will be made again?  Then nobody has seen it yet. */
static bool interrupted_call(const struct task *t)
{
	struct seccomp_data data = { .arch = sandbox_arch };
	safe_syscall_word words[WORDS];
	size_t size = sizeof words;

	if (!machine || !registers(t, words, PTRACE_GETREGSET, &size))
		return false;
	const long result = (long)words[machine->result];
	if (machine->instruction) {
		errno = 0;
		const long code = ptrace(PTRACE_PEEKTEXT, t->tid,
					 (void *)(uintptr_t)words[machine->pc], NULL);
		if (errno || (uint32_t)code != machine->instruction)
			return false;
	} else if (result != -ERESTARTSYS && result != ERESTARTSYS)
		return false;
	data.nr = (int)number_of(t, words);
	return broker_find(&data);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* It is time for something: the thread stops, and on_stop() looks at that. */
static void on_late(void *task)
{
	struct task *t = task;

	t->late = true;
	ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
}

static void call_later(struct task *t, long long when)
{
	if (t->timer || (t->timer = loop_timer_new(sandbox_loop, on_late, t)))
		loop_timer_set(t->timer, when);
}

/*
 * If it is that wait: the kernel would do it from the beginning.  So a timer tells when it is over,
 * or it is over now.
 */
static void timed(struct task *t, struct wait *w, long *result)
{
	unsigned long long args[6], number;
	char name[64];
	FILE *f;
	int n;

	snprintf(name, sizeof name, "/proc/%d/syscall", (int)t->tid);
	f = fopen(name, "re");
	n = f ? fscanf(f, "%llu %llx %llx %llx %llx %llx %llx", &number, &args[0], &args[1], &args[2],
		       &args[3], &args[4], &args[5]) : 0;
	if (f)
		fclose(f);
	if (n != 7 || (int)number != w->call.nr || memcmp(args, w->call.args, sizeof args))
		return;
	w->again = now() < w->until;
	if (w->again)
		call_later(t, w->until);
	else
		*result = w->result;
}

/*
 * A traced thread is interrupted by signals, too, that it ignores.  Most calls are then made again;
 * those that fail with EINTR whatever comes have to be told to.
 */
static void put_back(struct task *t, int signum)
{
	static const uint64_t ignored = 1ull << (SIGCHLD - 1) | 1ull << (SIGURG - 1) |
		1ull << (SIGWINCH - 1) | 1ull << (SIGCONT - 1);
	const uint64_t bit = signum ? 1ull << (signum - 1) : 0;
	long again;
	safe_syscall_word words[WORDS], *result = words + (machine ? machine->result : 0);
	size_t size = sizeof words;

	if (!machine || !machine->again || !registers(t, words, PTRACE_GETREGSET, &size) ||
	    (*result != -EINTR && !(*result == -ERESTARTNOINTR && t->put_back)) ||
	    number_of(t, words) < 0)
		return;
	t->put_back = !signum || (!((uint64_t)task_status(t->tid, "SigCgt:", 16) & bit) &&
		      (((uint64_t)task_status(t->tid, "SigIgn:", 16) | ignored) & bit));
	again = -ERESTARTNOINTR;
	t->wait.again = false;
	if (t->put_back && t->wait.until)
		timed(t, &t->wait, &again);
	*result = t->put_back ? (safe_syscall_word)again : -EINTR;
	registers(t, words, PTRACE_SETREGSET, &size);
}

/* ---- the tracer: stops ---------------------------------------------------------------- */

static void resume(struct task *t, int signum)
{
	ptrace(waiting(t) || t->masked ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, NULL, (void *)(intptr_t)signum);
}

static bool caught(const struct task *t, int signum)
{
	return (uint64_t)task_status(t->tid, "SigCgt:", 16) >> (signum - 1) & 1;
}

/* Those of a number that has no place in a queue are one. */
static void hold(struct task *t, int signum)
{
	struct held **h = &t->held, *new;

	while (*h && ((*h)->sent || (*h)->info.si_signo != signum || signum >= SIGRTMIN))
		h = &(*h)->next;
	new = *h ? NULL : calloc(1, sizeof *new);
	if (new && ptrace(PTRACE_GETSIGINFO, t->tid, NULL, &new->info) == -1)
		free(new);
	else if (new)
		*h = new;
}

static void release(struct task *t)
{
	if (t->masked)
		ptrace(PTRACE_SETSIGMASK, t->tid, (void *)8, &t->mask);
	t->masked = t->cancelled = t->starved = false;
	for (struct held *h; (h = waiting(t)); h->sent = true)
		syscall(SYS_tgkill, t->tgid, t->tid, h->info.si_signo);
}

/* What an instruction of the thread itself can raise kills it where that is blocked. */
static const uint64_t faults = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGILL - 1) |
	1ull << (SIGFPE - 1) | 1ull << (SIGTRAP - 1) | 1ull << (SIGSYS - 1);

static void mask_all(struct task *t)
{
	if (!t->masked && !ptrace(PTRACE_GETSIGMASK, t->tid, (void *)8, &t->mask))
		t->masked = !ptrace(PTRACE_SETSIGMASK, t->tid, (void *)8,
				    &(uint64_t){ t->mask | ~faults });
}

/* Will it make its call again?  At any stop; what was said and not heard has to be said again. */
static bool repeats(struct task *t)
{
	const bool again = !t->cancelled && ((t->kept.is && !t->kept.answered) ||
					     interrupted_call(t));

	if (!again)
		drop(&t->kept);
	t->kept.answered = false;
	return again;
}

/*
 * A stop takes longer than a fast timer, so the next signal is there already when the thread goes on,
 * and it never runs an instruction of its own.  Then one is held until the thread has made a call,
 * or a millisecond is over.  Not one that it has raised itself, by an instruction or by a call:
 * what comes behind that counts on its handler.
 */
static bool starves(struct task *t, int signum)
{
	struct __ptrace_syscall_info info = { 0 };
	safe_syscall_word words[WORDS];
	size_t size = sizeof words;

	ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, (void *)sizeof info, &info);
	const bool moved = t->at[0] != info.instruction_pointer || t->at[1] != info.stack_pointer;

	t->at[0] = info.instruction_pointer;
	t->at[1] = info.stack_pointer;
	if (moved || faults >> (signum - 1) & 1 || !machine ||
	    !registers(t, words, PTRACE_GETREGSET, &size) || number_of(t, words) >= 0)
		t->stuck = 0;
	else
		t->stuck++;
	return t->stuck >= STUCK_MOST;
}

/* With the task's mutex.  The thread is at a stop for a signal, and no worker works for it. */
static void settle(struct task *t, int signum)
{
	t->stopped = 0;
	const bool again = repeats(t);
	if ((again || starves(t, signum)) && caught(t, signum)) {
		t->starved = !again;
		hold(t, signum);
		signum = 0;
		mask_all(t);	/* or a fast timer could keep it from ever getting its result */
		t->stuck = 0;
		if (t->starved)
			call_later(t, now() + 1000000);
	}
	t->cancelled = false;
	resume(t, signum);
}

static void on_finished(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&table);
	for (size_t i = 0; i < SLOTS; i++)
		for (struct task *t = tasks[i]; t; t = t->next) {
			pthread_mutex_lock(&t->mutex);
			if (t->stopped && !t->running)
				settle(t, t->stopped);
			else if (t->unsure || (t->cancelled && waiting(t)))
				ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);	/* then on_stop() */
			t->unsure = false;
			pthread_mutex_unlock(&t->mutex);
		}
	pthread_mutex_unlock(&table);
}

/* One that was held comes back, with what came with it at first. */
static bool returns(struct task *t, int signum)
{
	struct held **h = &t->held, *found;

	while (*h && !((*h)->sent && (*h)->info.si_signo == signum))
		h = &(*h)->next;
	found = *h;
	if (!found)
		return false;
	*h = found->next;
	ptrace(PTRACE_SETSIGINFO, t->tid, NULL, &found->info);
	free(found);
	return true;
}

static void on_signal(struct task *t, int signum)
{
	siginfo_t info;

	/* what another one inside has sent, to this thread or its process, not the supervisor */
	pthread_mutex_lock(&table);
	const struct task *leader = *slot(t->tgid);
	const pid_t sender = t->sender || !leader ? t->sender : leader->sender;
	pthread_mutex_unlock(&table);
	if (sender && !ptrace(PTRACE_GETSIGINFO, t->tid, NULL, &info) &&
	    (info.si_code == SI_USER || info.si_code == SI_TKILL) && info.si_pid == getpid()) {
		info.si_pid = sender;
		ptrace(PTRACE_SETSIGINFO, t->tid, NULL, &info);
	}
	const bool comes_back = returns(t, signum);

	if (!comes_back && t->running && caught(t, signum)) {
		t->stopped = signum;
		t->running->signalled = true;
		if (t->running->blocks)
			safe_syscall_interrupt(&t->running->scope);
	} else if (comes_back || t->running)
		resume(t, signum);
	else {
		put_back(t, signum);
		settle(t, signum);
	}
}

/* Of a thread that makes its call again: its beginning, and its end. */
static void on_call(struct task *t)
{
	struct __ptrace_syscall_info info = { 0 };
	struct seccomp_data data = { .arch = sandbox_arch };
	bool over;

	ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, (void *)sizeof info, &info);
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		data.nr = (int)info.entry.nr;
		over = !broker_find(&data);
	} else	/* if it was told to stop as that is cancelled: this stop is that one, too */
		over = info.exit.rval != -ERESTARTSYS || t->cancelled;
	if (over) {
		drop(&t->kept);
		release(t);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		t->kept.answered = false;
	resume(t, 0);
}

/* It is in the table no more. */
static void on_death(struct task *t)
{
	pthread_mutex_lock(&t->mutex);
	t->gone = true;
	t->stopped = 0;
	if (t->timer)
		loop_timer_delete(t->timer);
	t->timer = NULL;
	abandon(t);
	pthread_mutex_unlock(&t->mutex);
	task_put(t);
}

/* Below what is allowed?  All files that are mapped when a program begins. */
static bool may_execute(pid_t pid)
{
	char name[64], line[PATH_MAX + 128], *path;
	bool may = true;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
	f = fopen(name, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		path = strchr(line, '/');
		if (path && strncmp(path, "/memfd:", 7) && !policy_below(path, MAY_READ))
			may = false;
	}
	fclose(f);
	return may;
}

static void on_exec(struct task *t)
{
	unsigned long former = 0;
	struct task *other;

	/* a thread that was not the first one has taken its place */
	ptrace(PTRACE_GETEVENTMSG, t->tid, NULL, &former);
	pthread_mutex_lock(&table);
	other = (pid_t)former == t->tid ? NULL : *slot((pid_t)former);
	if (other)
		*slot((pid_t)former) = other->next;
	pthread_mutex_unlock(&table);
	if (other)
		on_death(other);
	abandon(t);
	drop(&t->kept);
	t->shared = false;
	if (!sandbox_landlock && !may_execute(t->tid))
		kill(t->tgid, SIGKILL);
}

/* A new thread or process is inside before its maker can name it. */
static void on_birth(struct task *t)
{
	unsigned long tid = 0;

	ptrace(PTRACE_GETEVENTMSG, t->tid, NULL, &tid);
	if (task_status((pid_t)tid, "Tgid:", 10) == t->tgid)
		t->shared = true;
	if (!in_table((pid_t)tid, NULL) && task_status((pid_t)tid, "TracerPid:", 10) == getpid())
		task_new((pid_t)tid);
}

static void on_stop(struct task *t, int status)
{
	const int signum = WSTOPSIG(status), event = status >> 16;

	pthread_mutex_lock(&t->mutex);
	if (event == PTRACE_EVENT_STOP && repeats(t) && t->kept.is)
		mask_all(t);
	if (event == PTRACE_EVENT_STOP && signum != SIGTRAP)
		/* stopped as a group; SIGCONT ends it */
		ptrace(PTRACE_LISTEN, t->tid, NULL, NULL);
	else if (event) {
		if (event == PTRACE_EVENT_EXEC)
			on_exec(t);
		else if (event != PTRACE_EVENT_STOP)
			on_birth(t);
		else {
			if (t->late)
				put_back(t, 0);
			t->late = false;
			/* not in the middle of a call that never fails so: then at its end */
			if (t->cancelled || (t->starved && !interrupted_call(t)))
				release(t);
		}
		resume(t, 0);
	} else if (signum == (SIGTRAP | 0x80))
		on_call(t);
	else
		on_signal(t, signum);
	pthread_mutex_unlock(&t->mutex);
}

static void kill_all(void)
{
	pthread_mutex_lock(&table);
	for (size_t i = 0; i < SLOTS; i++)
		for (struct task *t = tasks[i]; t; t = t->next)
			syscall(SYS_tgkill, t->tgid, t->tid, SIGKILL);
	pthread_mutex_unlock(&table);
}

void request_end(int status)
{
	if (!ending)
		exit_status = status;
	ending = true;
	kill_all();
}

void request_forward(int signum)
{
	pthread_mutex_lock(&table);
	if (*slot(program))
		(*slot(program))->sender = 0;
	pthread_mutex_unlock(&table);
	if (!ending)
		kill(program, signum);
}

static bool is_table_empty(void)
{
	bool empty = true;

	pthread_mutex_lock(&table);
	for (size_t i = 0; i < SLOTS; i++)
		empty = empty && !tasks[i];
	pthread_mutex_unlock(&table);
	return empty;
}

static void on_child(void *unused, int unused_signal)
{
	struct task *t;
	siginfo_t info;
	int status;
	pid_t tid;

	(void)unused, (void)unused_signal;
	for (;;) {
		/* who it is; then, with the table's mutex, its pid may become somebody else's */
		info.si_pid = 0;
		errno = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) ||
		    !info.si_pid)
			break;
		pthread_mutex_lock(&table);
		tid = waitpid(info.si_pid, &status, WNOHANG | WUNTRACED | __WALL);
		t = tid > 0 ? *slot(tid) : NULL;
		if (t && !WIFSTOPPED(status))
			*slot(tid) = t->next;
		pthread_mutex_unlock(&table);
		if (tid <= 0)
			continue;
		/* who has started the sandbox by exec may have had children: no affair of ours */
		if (!t && task_status(tid, "TracerPid:", 10) != getpid())
			continue;
		if (!t && WIFSTOPPED(status))
			t = task_new(tid);
		if (WIFSTOPPED(status)) {
			if (ending)
				syscall(SYS_kill, tid, SIGKILL);
			on_stop(t, status);
			continue;
		}
		if (t)
			on_death(t);
		if (tid == program)
			request_end(WIFEXITED(status) ? WEXITSTATUS(status) :
				    128 + WTERMSIG(status));
	}
	if (ending && (errno == ECHILD || (has_others && is_table_empty())))
		loop_stop(sandbox_loop, exit_status);
}

int request_start(pid_t child, bool others)
{
	sigset_t all, before;

	program = child;
	has_others = others;
	broker_find(NULL);
	if (!task_new(child))
		return ENOMEM;
	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
		if (machines[i].arch == sandbox_arch)
			machine = &machines[i];
	finished = loop_bh_new(sandbox_loop, on_finished, NULL);
	if (!finished || loop_signal(sandbox_loop, SIGCHLD, on_child, NULL))
		return errno;
	/* signals are the loop's affair, but for that which interrupts a worker */
	sigfillset(&all);
	sigdelset(&all, safe_syscall_signal());
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pthread_mutex_lock(&workers);
	send_for_worker();
	pthread_mutex_unlock(&workers);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return idle ? 0 : EAGAIN;
}
