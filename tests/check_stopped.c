/* SPDX-License-Identifier: MIT */
/*
 * check_stopped.c - a timed wait is stopped half way and continued, and then a signal
 * comes: exactly where the kernel goes on with it, while it is still stopped, or when
 * it is blocked again
 *
 * A child waits.  Its parent stops it, in every way in which a process can be
 * stopped, and compares what the kernel has written by then with what the call
 * leaves behind.
 */
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "breakpoint.h"
#include "code.h"

enum { LOOK = 0, SET = 1, REWIND = 2 };	/* what the handler does; it always looks */
enum { SECONDS = 1000 };		/* nobody waits so long: it comes at once */

static struct code code;
static int pipe_fd[2], socket_fd[2], epoll_fd;

/* Between the parent and the child. */
static struct shared {
	safe_syscall_word number, argument[SAFE_SYSCALL_ARGUMENTS];
	int todo;
	volatile int flag;
	/* what the call reads and writes */
	struct timespec wait, left;
	struct pollfd pollfd;
	fd_set set;
	sigset_t signals;
	struct epoll_event event;
	int futex;
	char byte;
	/* what came of it */
	volatile int handled;
	enum safe_syscall_phase phase[2];
	int has_result;
	long result_seen, result;
} *sh;

/* ---- the calls ------------------------------------------------------------------ */

static safe_syscall_word word(const volatile void *p)
{
	return (safe_syscall_word)(uintptr_t)p;
}

static void set_arguments(safe_syscall_word a, safe_syscall_word b, safe_syscall_word c, safe_syscall_word d, safe_syscall_word e)
{
	sh->argument[0] = a;
	sh->argument[1] = b;
	sh->argument[2] = c;
	sh->argument[3] = d;
	sh->argument[4] = e;
}

static void wait_for(time_t from)
{
	sh->wait.tv_sec = from + SECONDS;
	sh->wait.tv_nsec = 0;
}

static time_t seconds_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec;
}

static void arrange_nanosleep(void)
{
	set_arguments(word(&sh->wait), word(&sh->left), 0, 0, 0);
}

static void arrange_clock(void)
{
	set_arguments(CLOCK_MONOTONIC, 0, word(&sh->wait), word(&sh->left), 0);
}

static void arrange_clock_until(void)
{
	wait_for(seconds_of(CLOCK_MONOTONIC));
	set_arguments(CLOCK_MONOTONIC, TIMER_ABSTIME, word(&sh->wait), 0, 0);
}

#ifdef SYS_poll
static void arrange_poll(void)
{
	set_arguments(word(&sh->pollfd), 1, SECONDS * 1000, 0, 0);
}
#endif

static void arrange_ppoll(void)
{
	sh->left = sh->wait;
	set_arguments(word(&sh->pollfd), 1, word(&sh->left), 0, 0);
}

static void arrange_pselect(void)
{
	FD_ZERO(&sh->set);
	FD_SET(pipe_fd[0], &sh->set);
	sh->left = sh->wait;
	set_arguments(pipe_fd[0] + 1, word(&sh->set), 0, 0, word(&sh->left));
}

static void arrange_futex(void)
{
	set_arguments(word(&sh->futex), FUTEX_WAIT, 0, word(&sh->wait), 0);
}

static void arrange_futex_until(void)
{
	wait_for(seconds_of(CLOCK_MONOTONIC));
	set_arguments(word(&sh->futex), FUTEX_WAIT_BITSET, 0, word(&sh->wait), 0);
	sh->argument[5] = -1;
}

static void arrange_read(void)
{
	set_arguments(pipe_fd[0], word(&sh->byte), 1, 0, 0);
}

static void arrange_epoll(void)
{
	set_arguments(epoll_fd, word(&sh->event), 1, SECONDS * 1000, 0);
}

static void arrange_sigtimedwait(void)
{
	set_arguments(word(&sh->signals), 0, word(&sh->wait), _NSIG / 8, 0);
}

static void arrange_receive(void)
{
	set_arguments(socket_fd[0], word(&sh->byte), 1, 0, 0);
}

/*
 * What the kernel does with a call that was stopped: goes on by restart_syscall, has it
 * made again (with what is left of the time in the caller's memory, or with the end
 * of the wait, or there is no time), or ends it.
 */
enum how { BLOCK, AGAIN, ENDS };

static const struct call {
	const char *name;
	safe_syscall_word number;
	void (*arrange)(void);
	enum how how;
	int writes_left;		/* the remaining time, to sh->left */
} calls[] = {
	{ "nanosleep", SYS_nanosleep, arrange_nanosleep, BLOCK, 1 },
	{ "clock_nanosleep", SYS_clock_nanosleep, arrange_clock, BLOCK, 1 },
	{ "clock_nanosleep TIMER_ABSTIME", SYS_clock_nanosleep, arrange_clock_until, AGAIN, 0 },
#ifdef SYS_poll
	{ "poll", SYS_poll, arrange_poll, BLOCK, 0 },
#endif
	{ "ppoll", SYS_ppoll, arrange_ppoll, AGAIN, 1 },
	{ "pselect6", SYS_pselect6, arrange_pselect, AGAIN, 1 },
	{ "futex FUTEX_WAIT", SYS_futex, arrange_futex, BLOCK, 0 },
	{ "futex FUTEX_WAIT_BITSET", SYS_futex, arrange_futex_until, BLOCK, 0 },
	{ "read", SYS_read, arrange_read, AGAIN, 0 },
	{ "epoll_pwait", SYS_epoll_pwait, arrange_epoll, ENDS, 0 },
	{ "rt_sigtimedwait", SYS_rt_sigtimedwait, arrange_sigtimedwait, ENDS, 0 },
	{ "recvfrom SO_RCVTIMEO", SYS_recvfrom, arrange_receive, ENDS, 0 }
};

enum { CALLS = sizeof calls / sizeof calls[0] };

/* ---- the child ------------------------------------------------------------------ */

static void look(ucontext_t *uc)
{
	int saved = errno;

	if (sh->handled < 2)
		sh->phase[sh->handled] = safe_syscall_classify(uc);
	if (sh->todo & SET)
		sh->flag = 1;
	if (sh->todo & REWIND)
		safe_syscall_rewind(uc);
	sh->has_result = safe_syscall_result(uc, &sh->result_seen) == 0;
	errno = saved;
	sh->handled++;
}

static void handler(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	look(ucontext);
}

static void wait_in_child(void)
{
	prctl(PR_SET_PDEATHSIG, (long)SIGKILL);
	on_signal(SIGUSR1, 0, handler);
	sh->result = safe_syscall_rawv(&sh->flag, (long)sh->number, sh->argument);
	_exit(0);
}

/* ---- how it is stopped ------------------------------------------------------------ */

static void stop_by_signal(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	wait_state(pid, pid, 'T');
}

static void continue_by_signal(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
}

static void wait_traced(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSTOPPED(status));
}

static void stop_by_attach(pid_t pid)
{
	ck_assert_int_eq(ptrace(PTRACE_ATTACH, pid, NULL, NULL), 0);
	wait_traced(pid);
}

static void stop_by_interrupt(pid_t pid)
{
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	wait_traced(pid);
}

static void detach(pid_t pid)
{
	ck_assert_int_eq(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
}

static char cgroup[80];

static int in_cgroup(const char *file, const char *text)
{
	char name[128];
	int fd, ok;

	snprintf(name, sizeof name, "%s/%s", cgroup, file);
	fd = open(name, O_WRONLY);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok;
}

static int is_frozen(void)
{
	char name[128], text[256];
	ssize_t n;
	int fd;

	snprintf(name, sizeof name, "%s/cgroup.events", cgroup);
	fd = open(name, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	n = read(fd, text, sizeof text - 1);
	ck_assert_int_gt(n, 0);
	close(fd);
	text[n] = 0;
	return strstr(text, "frozen 1") != NULL;
}

static void freeze(pid_t pid)
{
	char number[16];

	snprintf(number, sizeof number, "%d", (int)pid);
	ck_assert(in_cgroup("cgroup.procs", number));
	ck_assert(in_cgroup("cgroup.freeze", "1"));
	while (!is_frozen())
		pause_ms(1);
}

static void thaw(pid_t pid)
{
	(void)pid;
	ck_assert(in_cgroup("cgroup.freeze", "0"));
}

static const struct stop {
	const char *name;
	void (*stop)(pid_t pid);
	void (*go_on)(pid_t pid);
} stops[] = {
	{ "SIGSTOP, SIGCONT", stop_by_signal, continue_by_signal },
	{ "PTRACE_ATTACH, PTRACE_DETACH", stop_by_attach, detach },
	{ "PTRACE_INTERRUPT, PTRACE_DETACH", stop_by_interrupt, detach },
	{ "freezer", freeze, thaw }
};

enum { STOPS = sizeof stops / sizeof stops[0], FREEZER = STOPS - 1 };

/* ---- one wait ----------------------------------------------------------------------- */

enum moment { AT_REENTRY, WHILE_STOPPED, BLOCKED_AGAIN, MOMENTS };

static int first_moment(void)
{
	return ta_restarts_inside() ? WHILE_STOPPED : AT_REENTRY;
}

static const char *const moments[MOMENTS] = {
	"at the re-entry", "while stopped", "blocked again"
};
static const int handlers[] = { SET | REWIND, REWIND, LOOK };

enum { HANDLERS = sizeof handlers / sizeof handlers[0] };

static struct trial {
	const struct call *call;
	const struct stop *stop;
	enum moment moment;
	int todo;
	pid_t pid;
	struct timespec left;		/* when it was stopped */
} trial;

static const char *describe(void)
{
	static char line[200];

	snprintf(line, sizeof line, "%s, %s, signal %s, handler %d", trial.call->name,
		 trial.stop->name, moments[trial.moment], trial.todo);
	return line;
}

#define EXPECT(what, is, want) \
	ck_assert_msg((is) == (want), "%s: %s is %ld, not %ld", describe(), what, \
		      (long)(is), (long)(want))

/* How often it has gone to sleep. */
static long sleeps(pid_t pid)
{
	char name[64], line[256];
	long n = -1;
	FILE *f;

	snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
	f = fopen(name, "r");
	ck_assert_ptr_ne(f, NULL);
	while (n < 0 && fgets(line, sizeof line, f))
		sscanf(line, "voluntary_ctxt_switches: %ld", &n);
	fclose(f);
	ck_assert_int_ge(n, 0);
	return n;
}

/* A frozen thread looks asleep too. */
static void wait_asleep_again(long slept)
{
	while (sleeps(trial.pid) == slept)
		pause_ms(1);
	wait_state(trial.pid, trial.pid, 'S');
}

static void send_signal(void)
{
	ck_assert_int_eq(kill(trial.pid, SIGUSR1), 0);
}

static void start_waiting(void)
{
	uintptr_t call = code.pc[code.call];

	memset(sh, 0, sizeof *sh);
	sh->number = trial.call->number;
	sh->todo = trial.todo;
	sh->left.tv_sec = sh->left.tv_nsec = -1;
	sh->pollfd.fd = pipe_fd[0];
	sh->pollfd.events = POLLIN;
	sigaddset(&sh->signals, SIGUSR2);
	wait_for(0);
	trial.call->arrange();
	breakpoint_announce(trial.call->how == BLOCK ? ta_restart_site(call) : call, 0,
			    look);
	fflush(stdout);
	trial.pid = fork();
	ck_assert_int_ne(trial.pid, -1);
	if (!trial.pid)
		wait_in_child();
	wait_state(trial.pid, trial.pid, 'S');
}

/* Stop it, continue it; and when it ends, reap it. */
static void stop_and_continue(int with_signal)
{
	long slept;

	if (with_signal && trial.moment == AT_REENTRY)
		breakpoint_write();
	trial.stop->stop(trial.pid);
	trial.left = sh->left;
	slept = sleeps(trial.pid);
	if (with_signal && trial.moment == WHILE_STOPPED)
		send_signal();
	trial.stop->go_on(trial.pid);
	if (with_signal && trial.moment == BLOCKED_AGAIN) {
		wait_asleep_again(slept);
		send_signal();
	}
}

static void reap(void)
{
	int status;

	ck_assert_int_eq(waitpid(trial.pid, &status, 0), trial.pid);
	EXPECT("the child's status", status, 0);
}

static int same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* What the kernel has written when it was stopped, or less if it has gone on. */
static void check_left(int gone_on)
{
	const struct timespec *left = &sh->left;

	if (!trial.call->writes_left)
		return;
	EXPECT("the time left when stopped, written",
	       trial.left.tv_sec >= 0 && trial.left.tv_sec <= SECONDS, 1);
	if (gone_on)
		EXPECT("the time left, less", left->tv_sec >= 0 &&
		       !later(left, &trial.left), 1);
	else
		EXPECT("the time left, as it was", same(left, &trial.left), 1);
}

static enum safe_syscall_phase phase_wanted(void)
{
	if (trial.moment != AT_REENTRY)
		return SAFE_SYSCALL_DONE;
	return trial.call->how == BLOCK ? SAFE_SYSCALL_RESTART_BLOCK :
					  SAFE_SYSCALL_AT_CALL;
}

/* It is made again when the kernel would have and the handler has not set the flag. */
static int one_trial(void)
{
	int again = trial.call->how == AGAIN && trial.moment == AT_REENTRY;
	int goes_on = again && !(trial.todo & SET);

	start_waiting();
	stop_and_continue(1);
	if (goes_on) {
		while (!sh->handled)
			pause_ms(1);
		wait_state(trial.pid, trial.pid, 'S');
		send_signal();
	}
	reap();
	/* that a breakpoint was hit only the child knows, and then its handler has run */
	breakpoint_clear();
	EXPECT("the number of handlers", sh->handled, 1 + goes_on);
	EXPECT("the phase", sh->phase[0], phase_wanted());
	EXPECT("the result", sh->result, again && !goes_on ? -SAFE_ERESTARTSYS : -EINTR);
	if (sh->has_result)
		EXPECT("the result seen", sh->result_seen, sh->result);
	check_left(goes_on || trial.moment == BLOCKED_AGAIN);
	return 1;
}

/* The kernel ends it with EINTR though there was no signal: that is passed on. */
static int ends_by_itself(void)
{
	start_waiting();
	stop_and_continue(0);
	reap();
	breakpoint_clear();
	EXPECT("the number of handlers", sh->handled, 0);
	EXPECT("the result", sh->result, -EINTR);
	return 1;
}

/* ---- tests -------------------------------------------------------------------------- */

static int *cases;			/* shared by the processes of all tests */

/* Once for all tests: emulators may take memory that had code for what it was. */
static void prepare(void)
{
	uintptr_t call, site;

	stay_on_one_processor();
	code_read(&code);
	call = code.pc[code.call];
	site = ta_restart_site(call);
	breakpoint_prepare(call);
	if (site != call)
		breakpoint_prepare(site);
}

static void setup(void)
{
	struct timeval timeout = { SECONDS, 0 };

	sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		  -1, 0);
	ck_assert_ptr_ne(sh, MAP_FAILED);
	ck_assert_int_eq(pipe(pipe_fd), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, socket_fd), 0);
	ck_assert_int_eq(setsockopt(socket_fd[0], SOL_SOCKET, SO_RCVTIMEO, &timeout,
				    sizeof timeout), 0);
	epoll_fd = epoll_create(1);
	ck_assert_int_ge(epoll_fd, 0);
}

static void try_call(const struct call *call, const struct stop *stop)
{
	int moment, h;

	trial.call = call;
	trial.stop = stop;
	trial.moment = AT_REENTRY;
	if (call->how == ENDS) {
		*cases += ends_by_itself();
		return;
	}
	for (moment = first_moment(); moment < MOMENTS; moment++) {
		for (h = 0; h < HANDLERS; h++) {
			trial.moment = (enum moment)moment;
			trial.todo = handlers[h];
			*cases += one_trial();
		}
	}
}

static const char no_kernel[] = "the emulator restarts a call inside itself";

START_TEST(stopped)
{
	if (emulated())
		SKIP(no_kernel);
	try_call(&calls[_i / FREEZER], &stops[_i % FREEZER]);
}
END_TEST

static int make_cgroup(const char *where)
{
	snprintf(cgroup, sizeof cgroup, "%s/safe_syscall.%d", where, (int)getpid());
	if (mkdir(cgroup, 0755))
		return 0;
	if (in_cgroup("cgroup.freeze", "0"))
		return 1;
	rmdir(cgroup);
	return 0;
}

START_TEST(frozen)
{
	int c;

	if (emulated())
		SKIP(no_kernel);
	if (!make_cgroup("/sys/fs/cgroup") && !make_cgroup("/sys/fs/cgroup/unified"))
		SKIP("no cgroup of version 2 can be made in /sys/fs/cgroup");
	for (c = 0; c < CALLS; c++)
		try_call(&calls[c], &stops[FREEZER]);
	ck_assert_int_eq(rmdir(cgroup), 0);
}
END_TEST

static int ending_calls(void)
{
	int c, n = 0;

	for (c = 0; c < CALLS; c++)
		n += calls[c].how == ENDS;
	return n;
}

int main(void)
{
	Suite *suite = suite_create("stopped");
	TCase *tc = tcase_create("waits");
	int ends = ending_calls(), status;

	cases = mmap(NULL, sizeof *cases, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (cases == MAP_FAILED)
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 30);
	tcase_add_unchecked_fixture(tc, prepare, NULL);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, stopped, 0, CALLS * FREEZER);
	tcase_add_test(tc, frozen);
	suite_add_tcase(suite, tc);
	status = run_suite(suite);
	printf("%d cases: (%d calls x %d moments x %d handlers + %d calls) x %d stops\n",
	       *cases, CALLS - ends, MOMENTS - first_moment(), HANDLERS, ends,
	       *cases / ((CALLS - ends) * (MOMENTS - first_moment()) * HANDLERS + ends));
	return status;
}
