/* SPDX-License-Identifier: MIT */
/*
 * race.c - watch wake-ups and results being lost, and not being lost.
 *
 * A signal is to bring a thread back from a blocking call.  The handler can
 * only set a flag, so everything hangs on when it runs:
 *
 *	if (!flag)			 the flag is seen: fine
 *					 HERE the wake-up is lost
 *		r = read(fd, buf, n);	 read() fails with EINTR: fine
 *					 HERE a handler that jumps loses r
 *
 * Both gaps are a few instructions wide, and nothing here widens them.  A
 * signal is aimed at them over and over.  A watchdog counts how often the
 * thread sleeps on although its flag is set; a census counts what the kernel
 * handed out and the program never got.  Two kinds of round:
 *
 *	timed	a timer signals around the time at which the call is made; the
 *		call would block, or in some of the rounds return at once
 *	woken	another thread makes the call ready and at once signals, so
 *		that the result and the signal arrive together
 *
 * Exit status: 0 safe_syscall lost nothing, 1 it did, 2 bad usage, 3 this run
 * could not show it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

#ifndef sigev_notify_thread_id		/* older C libraries lack the name */
#define sigev_notify_thread_id _sigev_un._tid
#endif
#ifdef SYS_clock_nanosleep_time64	/* two 64-bit words on every machine */
#define SYS_NAP SYS_clock_nanosleep_time64
#else
#define SYS_NAP SYS_clock_nanosleep
#endif

#define MS		1000000LL	/* in nanoseconds */
#define LOOK_EVERY	(2 * MS)
#define LOST_AFTER	(5 * MS)	/* asleep although the flag is set */
#define BATCH		8		/* calls timed together */
#define BATCHES		301

/* What a method may say besides a result or -errno. */
#define NOT_MADE	(-SAFE_ERESTARTSYS)	/* interrupted before the call */
#define JUMPED		(-ECANCELED)		/* jumped away: who knows */

static volatile int flag;		/* "do not block, come back" */

static long must(long result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "race: %s: %s\n", what, strerror(errno));
		exit(3);
	}
	return result;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 * MS + t.tv_nsec;
}

/* ---- the calls ---------------------------------------------------------- */

/*
 * Descriptors that stay.  Below them, what is open between two rounds is lost.
 */
enum { PIPE = 40, PIPE_END, FIFO, LOCK, LOCK_HOLDER, LISTENER, STAT };

static void keep(int fd, int as)
{
	must(dup2(fd, as), "dup2");
	close(fd);
}

static long close_strays(void)
{
	long n = 0;

	for (int fd = 3; fd < PIPE; fd++)
		n += close(fd) == 0;
	return n;
}

/*
 * Each call has two functions.  name_release() makes a result ready for it, and
 * returns 1 if it did.  name_settle() comes after the round: it compares that
 * with what the program was told, sets up for the next round, and returns how
 * many results were lost.
 */
static char byte;

static long read_release(void)
{
	return must(write(PIPE_END, "x", 1), "write");
}

static long read_settle(long told, long ready)
{
	struct pollfd p = { .fd = PIPE, .events = POLLIN };

	for (ready -= told == 1; poll(&p, 1, 0) > 0; ready--)
		must(read(PIPE, &byte, 1), "read");	/* still there */
	return ready;
}

/* open: the reading end of a FIFO waits for a writer */
static char fifo[32];

static long open_release(void)
{
	must(open(fifo, O_RDWR), fifo);
	return 1;
}

/* What is left open besides our own end and what the program was told of? */
static long open_settle(long told, long ready)
{
	return close_strays() - (told >= 0) - ready;
}

static long flock_release(void)
{
	must(flock(LOCK_HOLDER, LOCK_UN), "flock");
	return 1;
}

static long flock_settle(long told, long ready)
{
	/* Refused: the program has the lock.  Was it told? */
	int lost = ready && flock(LOCK_HOLDER, LOCK_EX | LOCK_NB) && told != 0;

	flock(LOCK, LOCK_UN);
	must(flock(LOCK_HOLDER, LOCK_EX | LOCK_NB), "flock");
	return lost;
}

/* wait4: any child; one stays and keeps it waiting, others come and go */
static pid_t child;

static long wait4_release(void)
{
	siginfo_t info;

	child = vfork();
	if (child == 0)
		_exit(0);
	must(child, "vfork");
	waitid(P_PID, child, &info, WEXITED | WNOWAIT);	/* until it is dead */
	return 1;
}

static long wait4_settle(long told, long ready)
{
	return ready && told != child && waitpid(child, NULL, WNOHANG) < 0;
}

/* futex: a wake that found a waiter is a token, which that one must get */
enum { WAIT_PRIVATE = 128, WAKE_PRIVATE };	/* of <linux/futex.h> */
static int futex_word;

static long futex_release(void)
{
	futex_word = 1;
	return syscall(SYS_futex, &futex_word, WAKE_PRIVATE, 1);
}

static long futex_settle(long told, long ready)
{
	futex_word = 0;
	return ready && told != 0;
}

/* nanosleep: 1000 s; the result is the time that remains */
static long long nap[2] = { 1000, 0 }, nap_rest[2] = { -1, 0 };

static long nanosleep_release(void)
{
	nap[1] = -1;			/* not a time: refused at once */
	return 0;
}

static long nanosleep_settle(long told, long ready)
{
	int touched = nap_rest[0] != -1;
	int sane = nap_rest[0] >= 0 && nap_rest[0] <= 1000;

	nap[1] = 0;
	nap_rest[0] = -1;
	if (told == -EINTR)
		return ready + !sane;
	return touched && (told != JUMPED || !sane);
}

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_length = sizeof(address);

static long accept_release(void)
{
	int client = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");

	must(connect(client, (struct sockaddr *)&address, address_length),
	     "connect");
	return 1;
}

static long accept_settle(long told, long ready)
{
	struct pollfd p = { .fd = LISTENER, .events = POLLIN };

	if (poll(&p, 1, 0) > 0)		/* still in the queue */
		close(accept(LISTENER, NULL, NULL));
	return open_settle(told, ready);
}

#define CALL(name) #name, name##_release, name##_settle

static const struct call {
	const char *name;
	long (*release)(void);
	long (*settle)(long told, long ready);
	int pollable;			/* poll() can wait for arg[0] */
	long number, arg[4];
} calls[] = {
	{ CALL(read), 1, SYS_read, { PIPE, (long)&byte, 1 } },
	{ CALL(open), 0, SYS_openat, { AT_FDCWD, (long)fifo, O_RDONLY } },
	{ CALL(flock), 0, SYS_flock, { LOCK, LOCK_EX } },
	{ CALL(wait4), 0, SYS_wait4, { -1 } },
	{ CALL(futex), 0, SYS_futex, { (long)&futex_word, WAIT_PRIVATE } },
	{ CALL(nanosleep), 0, SYS_NAP,
	  { CLOCK_MONOTONIC, 0, (long)nap, (long)nap_rest } },
	{ CALL(accept), 1, SYS_accept4, { LISTENER } },
}, *call;

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

/* Names go at once, so nothing stays behind, however this program ends. */
static void set_up_calls(void)
{
	char dir[] = "/tmp/race.XXXXXX", path[sizeof(dir) + 5];
	struct sockaddr *a = (struct sockaddr *)&address;
	int ends[2];

	close_strays();
	must(pipe(ends), "pipe");
	keep(ends[0], PIPE);
	keep(ends[1], PIPE_END);

	must(mkdtemp(dir) ? 0 : -1, dir);
	snprintf(path, sizeof(path), "%s/fifo", dir);
	must(mkfifo(path, 0600), path);
	keep(must(open(path, O_PATH), path), FIFO);
	snprintf(fifo, sizeof(fifo), "/proc/self/fd/%d", FIFO);
	keep(must(open(dir, O_RDONLY), dir), LOCK);
	keep(must(open(dir, O_RDONLY), dir), LOCK_HOLDER);
	must(flock(LOCK_HOLDER, LOCK_EX), "flock");
	unlink(path);
	rmdir(dir);

	keep(must(socket(AF_UNIX, SOCK_STREAM, 0), "socket"), LISTENER);
	/* Only the family is given, so the kernel makes up a name. */
	must(bind(LISTENER, a, sizeof(address.sun_family)), "bind");
	must(getsockname(LISTENER, a, &address_length), "getsockname");
	must(listen(LISTENER, 2 * BATCH), "listen");

	keep(must(open("/proc/thread-self/stat", O_RDONLY), "/proc"), STAT);

	if (must(fork(), "fork") == 0) {	/* the child that stays */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
}

/* ---- the methods -------------------------------------------------------- */

static sigset_t only_usr1, without_usr1;

static void set_mask(int how)
{
	pthread_sigmask(how, &only_usr1, NULL);
}

/* By number and not read() and so on: all methods make the very same call. */
static long plain(void)
{
	const long *a = call->arg;
	long result = syscall(call->number, a[0], a[1], a[2], a[3]);

	return result < 0 ? -errno : result;
}

static long with_check(void)
{
	return flag ? NOT_MADE : plain();
}

static long with_mask(void)
{
	long result;

	set_mask(SIG_UNBLOCK);
	result = with_check();
	set_mask(SIG_BLOCK);
	return result;
}

/* The signal is blocked except in ppoll(), which is right, where it can be. */
static long with_ppoll(void)
{
	struct pollfd p = { .fd = call->arg[0], .events = POLLIN };

	if (flag)
		return NOT_MADE;
	if (ppoll(&p, 1, NULL, &without_usr1) < 0)
		return -errno;
	return plain();
}

static sigjmp_buf jump;
static volatile sig_atomic_t may_jump;

static long with_jump(void)
{
	long result;

	if (sigsetjmp(jump, 1))
		return JUMPED;
	may_jump = 1;
	result = with_check();
	may_jump = 0;
	return result;
}

static long with_library(void)
{
	const long *a = call->arg;

	return safe_syscall_raw(&flag, call->number, a[0], a[1], a[2], a[3]);
}

static const struct method {
	const char *name;
	long (*run)(void);
	int mask;			/* for SIGUSR1, outside the call */
} methods[] = {
	{ "flag check", with_check, SIG_UNBLOCK },
	{ "sigprocmask", with_mask, SIG_BLOCK },
	{ "ppoll", with_ppoll, SIG_BLOCK },
	{ "siglongjmp", with_jump, SIG_UNBLOCK },
	{ "safe_syscall", with_library, SIG_UNBLOCK },
	{ "plain", plain, SIG_UNBLOCK },	/* for its cost only */
}, *method;

enum { PPOLL = 2, SAFE = 4, PLAIN, METHODS };

static struct cell {
	unsigned long rounds, lost_wakeups, lost_results, rewound;
	double ns;
} cells[CALLS][METHODS], *cell;		/* call, method, cell: at work */

static void on_usr1(int sig, siginfo_t *info, void *context)
{
	enum safe_syscall_phase phase;

	(void)sig, (void)info;
	flag = 1;
	if (method->run == with_library) {
		phase = safe_syscall_rewind(context);
		cell->rewound += phase == SAFE_SYSCALL_BEFORE ||
				 phase == SAFE_SYSCALL_AT_CALL;
	}
	if (may_jump) {
		may_jump = 0;
		siglongjmp(jump, 1);
	}
}

/* ---- the rounds --------------------------------------------------------- */

static pthread_t worker;
static timer_t timer;
static sem_t go, sent;			/* woken rounds: over to the watchdog */
static volatile long made_ready;
static volatile unsigned long calling;	/* odd while a call is being made */
static volatile int finished;

static void spin(long turns)
{
	for (volatile long i = 0; i < turns && !flag; i++)
		;
}

static void set_timer(long nanoseconds)
{
	struct itimerspec when = { .it_value = { 0, nanoseconds } };

	must(timer_settime(timer, 0, &when, NULL), "timer_settime");
}

/*
 * Turns of an empty loop which put off the call in timed rounds, and in woken
 * ones what is done to it; below zero, nanoseconds which put off the timer.
 * Steps grow while the target stays on one side, and shrink when it was passed.
 */
static struct aim {
	long at, step, least, most;
} timed_aim = { 0, 1, -10 * MS, MS }, woken_aim = { 0, 1, 0, 20000 };

static void move(struct aim *aim, int direction)
{
	int same = aim->step * direction > 0;
	long step = labs(aim->step) * (same ? 6 : 2) / 4 + 1;

	aim->step = direction * (step < 1000 ? step : 1000);
	aim->at += aim->step;
	if (aim->at < aim->least || aim->at > aim->most)
		aim->at -= aim->step;
}

static void timed_round(int blocks)
{
	long result, ready = blocks ? 0 : call->release();

	set_timer(5000 - (timed_aim.at < 0 ? timed_aim.at : 0));
	spin(timed_aim.at);
	calling++;
	result = method->run();
	calling++;
	set_timer(0);
	if (blocks && result != NOT_MADE && result != JUMPED &&
	    result != -EINTR) {
		errno = -result;
		must(-1, call->name);
	}
	if (method->run != with_ppoll)	/* can't tell early from late */
		move(&timed_aim, result == NOT_MADE ? -1 : 1);
	cell->lost_results += call->settle(result, ready);
}

static void woken_round(void)
{
	long result;

	sem_post(&go);
	calling++;
	result = method->run();
	calling++;
	while (sem_wait(&sent))
		;
	if (method->run != with_ppoll)
		move(&woken_aim, result == NOT_MADE ? 1 : -1);
	cell->lost_results += call->settle(result, made_ready);
}

static int at_work(int c, int m)
{
	call = &calls[c];
	method = &methods[m];
	cell = &cells[c][m];
	set_mask(method->mask);
	return m != PPOLL || call->pollable;
}

static double time_batch(void)
{
	long long start;
	long last = 0;

	for (int i = 0; i < BATCH; i++)
		call->release();
	start = now();
	for (int i = 0; i < BATCH; i++)
		last = method->run();
	start = now() - start;
	call->settle(last, 1);
	return (double)start / BATCH;
}

/* The cost of calls that need not wait: medians of batches taken in turn. */
static void measure_costs(int c, long long nanoseconds)
{
	static double sorted[METHODS][BATCHES];
	long long end = now() + nanoseconds;

	for (int n = 0; n < BATCHES && (n < 5 || now() < end); n++) {
		for (int m = 0, i = n; m < METHODS; m++, i = n) {
			double ns = at_work(c, m) ? time_batch() : 0;

			for (; i > 0 && sorted[m][i - 1] > ns; i--)
				sorted[m][i] = sorted[m][i - 1];
			sorted[m][i] = ns;
			cell->ns = sorted[m][n / 2];
		}
	}
}

static const char *only;		/* the call of -c */

static int wanted(int c)
{
	return !only || strcmp(only, calls[c].name) == 0;
}

static void run_call(int c, long long time)
{
	measure_costs(c, time / 4);
	for (int m = 0; m < PLAIN; m++) {
		/* Twice the time for what shall lose nothing. */
		long long end = now() + (m == SAFE ? 2 : 1) * time;

		while (at_work(c, m) && now() < end) {
			if (cell->rounds++ % 12)
				timed_round(cell->rounds % 6);
			else
				woken_round();
			set_mask(SIG_UNBLOCK);	/* no signal stays pending */
			flag = 0;
		}
	}
}

/* ---- the watchdog, also the other side in woken rounds ------------------ */

static int worker_sleeps(void)
{
	char text[256], *state;
	ssize_t n = pread(STAT, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	state = strrchr(text, ')');	/* pid (name) state ... */
	return state && strncmp(state, ") S", 3) == 0;
}

/*
 * The flag is set, so the handler has run; the call is still under way; the
 * thread is not merely short of processor time but asleep; and at a second
 * look it still is.  Nobody else will ever wake it.
 */
static void look_for_lost_wakeup(void)
{
	static unsigned long suspect;
	static long long since;
	unsigned long round = calling;

	if (round % 2 == 0 || !flag || !worker_sleeps() || calling != round) {
		suspect = 0;
	} else if (suspect != round) {
		suspect = round;
		since = now();
	} else if (now() - since >= LOST_AFTER) {
		cell->lost_wakeups++;
		suspect = 0;
		pthread_kill(worker, SIGUSR1);
	}
}

static void *watchdog(void *unused)
{
	int show = isatty(STDERR_FILENO);
	struct timespec t;

	for (unsigned int looks = 1; !finished; looks++) {
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += LOOK_EVERY;
		t.tv_sec += t.tv_nsec / (1000 * MS);
		t.tv_nsec %= 1000 * MS;
		if (sem_timedwait(&go, &t) == 0) {
			spin(woken_aim.at);
			made_ready = call->release();
			spin(1L << looks % 8);	/* nothing, nearly */
			pthread_kill(worker, SIGUSR1);
			sem_post(&sent);
		} else {
			look_for_lost_wakeup();
		}
		if (show && looks % 64 == 0)
			fprintf(stderr, "\r%-10s%-13s%8lu rounds ", call->name,
				method->name, cell->rounds);
	}
	if (show)
		fprintf(stderr, "\r%40s\r", "");
	return unused;
}

/* ---- the report --------------------------------------------------------- */

/* plain: what the plain call takes; 0 where the rows above tell. */
static void print_cell(const char *name, int m, const struct cell *x, double plain)
{
	printf("%-10s%-13s", name, methods[m].name);
	if (x->rounds == 0) {
		printf("%8s%15s%14s%9s%9s%9s\n", "-", "-", "-", "-", "-", "-");
		return;
	}
	printf("%8lu%15lu%14lu", x->rounds, x->lost_wakeups, x->lost_results);
	if (m == SAFE)
		printf("%9lu", x->rewound);
	if (plain > 0)
		printf("%*.0f%9.2f", m == SAFE ? 9 : 18, x->ns, x->ns / plain);
	printf("\n");
}

static void add_cell(struct cell *sum, const struct cell *x)
{
	sum->rounds += x->rounds;
	sum->lost_wakeups += x->lost_wakeups;
	sum->lost_results += x->lost_results;
	sum->rewound += x->rewound;
}

static int report(void)
{
	struct cell all[PLAIN] = { { 0 } }, others = { 0 }, *safe = &all[SAFE];

	printf("call      method         rounds  lost wake-ups  lost results"
	       "  rewound       ns  / plain\n");
	for (int c = 0; c < CALLS; c++) {
		for (int m = 0; m < PLAIN && wanted(c); m++) {
			add_cell(&all[m], &cells[c][m]);
			print_cell(calls[c].name, m, &cells[c][m], cells[c][PLAIN].ns);
		}
	}
	for (int m = 0; m < PLAIN; m++) {
		print_cell("all", m, &all[m], 0);
		if (m != SAFE)
			add_cell(&others, &all[m]);
	}
	printf("\n"
	       "-        ppoll, and a self-pipe, need a descriptor to poll; here is none\n"
	       "rewound  the signal hit safe_syscall before the kernel was entered, and the\n"
	       "         call was sent back to its check\n"
	       "ns       a call that need not wait; then relative to the plain call\n\n");
	if (safe->lost_wakeups + safe->lost_results) {
		printf("safe_syscall LOST %lu wake-ups and %lu results.\n",
		       safe->lost_wakeups, safe->lost_results);
		return 1;
	}
	if (others.lost_wakeups + others.lost_results == 0 || !safe->rewound) {
		printf("The races were not hit, so this run shows nothing; "
		       "try a larger -t.\n");
		return 3;
	}
	printf("The other methods lost %lu wake-ups and %lu results; "
	       "safe_syscall, hit %lu times in its window, lost nothing.\n",
	       others.lost_wakeups, others.lost_results, safe->rewound);
	return 0;
}

static void usage(const char *what, const char *value)
{
	FILE *out = what ? stderr : stdout;

	if (what)
		fprintf(out, "race: %s: %s\n", what, value);
	fprintf(out, "usage: race [-t seconds] [-c call] [-h]\n"
		"  -t  how long it may take in all (default 20)\n"
		"  -c  only this call:");
	for (int c = 0; c < CALLS; c++)
		fprintf(out, " %s", calls[c].name);
	fprintf(out, "\n");
	exit(what ? 2 : 0);
}

static double parse(int argc, char **argv)
{
	double seconds = 20;
	char *end;

	opterr = 0;			/* we say it */
	for (int opt; (opt = getopt(argc, argv, "t:c:h")) != -1;) {
		if (opt == 'c') {
			only = optarg;
		} else if (opt == 't') {
			seconds = strtod(optarg, &end);
			if (end == optarg || *end ||
			    !(seconds > 0 && seconds < 1e6))
				usage("not a time in seconds", optarg);
		} else {
			usage(opt == 'h' ? NULL : "bad option", argv[optind - 1]);
		}
	}
	if (optind < argc)
		usage("unexpected argument", argv[optind]);
	return seconds;
}

/* How long for each cell?  A quarter of that goes to measure_costs(). */
static long long divide(double seconds)
{
	double parts = 0;

	for (int c = 0; c < CALLS; c++)
		if (wanted(c))
			parts += 5.25 + calls[c].pollable;
	if (parts == 0)
		usage("no such call here", only);
	return seconds * 1000 * MS / parts;
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
				  .sigev_signo = SIGUSR1 };
	long long time = divide(parse(argc, argv));
	pthread_t thread;

	set_up_calls();
	sigemptyset(&only_usr1);
	sigaddset(&only_usr1, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &only_usr1, &without_usr1);
	sigdelset(&without_usr1, SIGUSR1);
	act.sa_sigaction = on_usr1;	/* no SA_RESTART: EINTR is wanted */
	sigaction(SIGUSR1, &act, NULL);
	event.sigev_notify_thread_id = getpid();	/* this first thread */
	must(timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create");
	sem_init(&go, 0, 0);
	sem_init(&sent, 0, 0);

	at_work(0, PLAIN);
	worker = pthread_self();
	errno = pthread_create(&thread, NULL, watchdog, NULL);
	must(errno ? -1 : 0, "pthread_create");
	for (int c = 0; c < CALLS; c++)
		if (wanted(c))
			run_call(c, time);
	finished = 1;
	pthread_join(thread, NULL);
	return report();
}
