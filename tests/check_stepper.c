/* SPDX-License-Identifier: MIT */
/*
 * check_stepper.c - a real signal at every instruction of the stub, for every kind
 * of call and of handler, and while the call is blocked
 *
 * A child makes the calls.  Its tracer stops it at the instruction, sends the signal
 * there, follows it to the return, and then compares what was returned with what
 * has happened.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tracer.h"

enum { LOOK = 0, SET = 1, REWIND = 2 };	/* what a handler does; all look */
enum { NO_SYSCALL = 3999 };		/* everywhere */
enum { LONG_WAIT = 1000 };		/* seconds */

static struct code code;
static int pipe_fd[2], socket_fd[2], file_fd;

/* Between the tracer and the child. */
static struct shared {
	/* the order */
	safe_syscall_word number, argument[SAFE_SYSCALL_ARGUMENTS];
	int sa_flags, todo[2];
	volatile int flag;
	/* what the call may write to */
	char byte;
	struct pollfd pollfd;
	struct timespec wait, left;
	struct sockaddr_un from;
	socklen_t from_length;
	/* what came of it */
	long result;
	int damaged;
	struct seen {
		int count, has_result, errno_kept;
		enum safe_syscall_phase phase, rewound;
		long result;
	} seen[2];			/* by SIGUSR1, by SIGUSR2 */
	int phases;
	enum safe_syscall_phase phase[4 * CODE_MAX];
} *sh;

/* ---- the child ---------------------------------------------------------------- */

static void handler(int sig, siginfo_t *info, void *ucontext)
{
	struct seen *seen = &sh->seen[sig == SIGUSR2];
	int todo = sh->todo[sig == SIGUSR2];
	int saved = errno;

	(void)info;
	errno = 4242;
	seen->count++;
	seen->phase = seen->rewound = safe_syscall_classify(ucontext);
	if (todo & SET)
		sh->flag = 1;
	if (todo & REWIND)
		seen->rewound = safe_syscall_rewind(ucontext);
	seen->errno_kept = errno == 4242;
	/* the hook has left it as it was */
	seen->has_result = safe_syscall_result(ucontext, &seen->result) == 0;
	if (sh->phases < 4 * CODE_MAX)
		sh->phase[sh->phases++] = seen->phase;
	errno = saved;
}

/* The call, with something on the stack above that nobody may touch. */
__attribute__((noinline)) static void make_call(void)
{
	volatile uintptr_t canary[16];
	int i;

	for (i = 0; i < 16; i++)
		canary[i] = (uintptr_t)&canary[i];
	sh->result = safe_syscall_rawv(&sh->flag, (long)sh->number, sh->argument);
	for (i = 0; i < 16; i++)
		sh->damaged += canary[i] != (uintptr_t)&canary[i];
}

static void program(void)
{
	for (;;) {
		kill(getpid(), SIGSTOP);
		on_signal(SIGUSR1, sh->sa_flags, handler);
		on_signal(SIGUSR2, sh->sa_flags, handler);
		make_call();
	}
}

/* ---- the calls ------------------------------------------------------------------ */

static int given;			/* bytes that the tracer has let it have */

static int waiting_in(int fd)
{
	int n;

	ck_assert_int_eq(ioctl(fd, FIONREAD, &n), 0);
	return n;
}

static void empty(int fd)
{
	char buffer[64];

	while (waiting_in(fd))
		ck_assert_int_gt(read(fd, buffer, sizeof buffer), 0);
}

static safe_syscall_word word(const volatile void *p)
{
	return (safe_syscall_word)(uintptr_t)p;
}

static void set_arguments(safe_syscall_word a, safe_syscall_word b, safe_syscall_word c, safe_syscall_word d, safe_syscall_word e,
			  safe_syscall_word f)
{
	safe_syscall_word *to = sh->argument;

	to[0] = a;
	to[1] = b;
	to[2] = c;
	to[3] = d;
	to[4] = e;
	to[5] = f;
}

static void give_byte(void)
{
	ck_assert_int_eq(write(pipe_fd[1], "x", 1), 1);
	given = 1;
}

/* An effect: 1 it is there, 0 it is not, -1 half of it. */
static int taken(int fd)
{
	int got = sh->byte == 'x', waiting = waiting_in(fd);

	return got + waiting == given ? got : -1;
}

static void arrange_read(int blocked)
{
	(void)blocked;
	set_arguments(pipe_fd[0], word(&sh->byte), 1, 0, 0, 0);
}

static int effect_read(void)
{
	return taken(pipe_fd[0]);
}

static void arrange_poll(int blocked)
{
	(void)blocked;
	sh->pollfd.fd = pipe_fd[0];
	sh->pollfd.events = POLLIN;
	sh->pollfd.revents = 0;
	set_arguments(word(&sh->pollfd), 1, 0, 0, 8, 0);
}

static int effect_poll(void)
{
	return sh->pollfd.revents == POLLIN ? 1 : sh->pollfd.revents ? -1 : 0;
}

static void arrange_sleep(int blocked)
{
	sh->wait.tv_sec = blocked ? LONG_WAIT : 0;
	sh->wait.tv_nsec = blocked ? 0 : 1000000;
	sh->left.tv_sec = sh->left.tv_nsec = -1;
	set_arguments(word(&sh->wait), word(&sh->left), 0, 0, 0, 0);
}

/* What is left is written.  With the timer's slack it may be more than was wanted. */
static int effect_sleep(void)
{
	const struct timespec *left = &sh->left;

	if (left->tv_sec == -1 && left->tv_nsec == -1)
		return 0;
	return left->tv_sec >= 0 && left->tv_sec <= LONG_WAIT && left->tv_nsec >= 0 ?
	       1 : -1;
}

static void arrange_write(int blocked)
{
	(void)blocked;
	set_arguments(pipe_fd[1], word("x"), 1, 0, 0, 0);
}

static int effect_write(void)
{
	return waiting_in(pipe_fd[0]);
}

static void arrange_failure(int blocked)
{
	(void)blocked;
	set_arguments(-1, word("x"), 1, 0, 0, 0);
}

/* Every time that it is made shows. */
static void arrange_seek(int blocked)
{
	(void)blocked;
	ck_assert_int_eq(lseek(file_fd, 0, SEEK_SET), 0);
	set_arguments(file_fd, 1, SEEK_CUR, 0, 0, 0);
}

static int effect_seek(void)
{
	long offset = (long)lseek(file_fd, 0, SEEK_CUR);

	return offset == 0 || offset == 1 ? (int)offset : -1;
}

static void arrange_receive(int blocked)
{
	(void)blocked;
	sh->from_length = sizeof sh->from;
	set_arguments(socket_fd[0], word(&sh->byte), 1, 0, word(&sh->from),
		      word(&sh->from_length));
}

static void send_byte(void)
{
	ck_assert_int_eq(send(socket_fd[1], "x", 1, 0), 1);
	given = 1;
}

/* The fifth and sixth argument are where the sender's name goes. */
static int effect_receive(void)
{
	int named = sh->from_length > sizeof(sa_family_t) &&
		    sh->from_length < sizeof sh->from &&
		    sh->from.sun_family == AF_UNIX;

	return taken(socket_fd[0]) == named ? named : -1;
}

static const struct call {
	const char *name;
	safe_syscall_word number;
	void (*arrange)(int blocked);	/* arguments; all is as before the call */
	void (*complete)(void);		/* lets the blocked call return */
	int (*effect)(void);
	long result;			/* when nothing comes between */
	long reported_by;		/* the result that says: there was an effect */
	int blocks, restarts;		/* by SA_RESTART */
} calls[] = {
	{ "restartable", SYS_read, arrange_read, give_byte, effect_read, 1, 1, 1, 1 },
	{ "never restarted", SYS_ppoll, arrange_poll, give_byte, effect_poll, 1, 1, 1, 0 },
	{ "timed", SYS_nanosleep, arrange_sleep, NULL, effect_sleep, 0, -EINTR, 1, 0 },
	{ "completing", SYS_write, arrange_write, NULL, effect_write, 1, 1, 0, 0 },
	{ "failing", SYS_write, arrange_failure, NULL, NULL, -EBADF, 0, 0, 0 },
	{ "never blocking", SYS_lseek, arrange_seek, NULL, effect_seek, 1, 1, 0, 0 },
	{ "six arguments", SYS_recvfrom, arrange_receive, send_byte, effect_receive,
	  1, 1, 1, 1 }
};

/* The second handler interrupts the first at its first instruction. */
static const struct handlers {
	const char *name;
	int first, second;
} handlers[] = {
	{ "sets the flag and rewinds", SET | REWIND, -1 },
	{ "rewinds", REWIND, -1 },
	{ "is not hooked", LOOK, -1 },
	{ "rewinds, interrupted by one that sets the flag", REWIND, SET | REWIND }
};

enum {
	CALLS = sizeof calls / sizeof calls[0],
	HANDLERS = sizeof handlers / sizeof handlers[0],
	IN_KERNEL = CODE_MAX,		/* instead of an instruction's index */
	PLACES
};

/* ---- one pass through the stub ---------------------------------------------------- */

/*
 * How an instruction is reached: by the call itself; by a call that fails, where
 * that alone leads there; or with the flag set from the beginning.
 */
enum way { THROUGH, FAILING, FLAG_SET };

static struct pass {
	const struct call *call;
	const struct handlers *handlers;
	int restart, place;
	enum way way;
	int blocked;			/* the signal came while it was */
	int entered;			/* system calls made */
	ta_reg kept[TRACER_REGS], kept_at_return[TRACER_REGS];
} pass;

/* Read before there are breakpoints. */
static int is_return[CODE_MAX], in_slot[CODE_MAX];

static char marks[CODE_MAX];		/* instructions to stop at */

/* Stop at the returns, and everywhere or at one more. */
static void mark(int all, int one)
{
	int i;

	for (i = 0; i < code.count; i++)
		marks[i] = all || i == one || is_return[i];
}

/* Shown by a context; in a delay slot the PC is that of the branch. */
static int shown(int i)
{
	return in_slot[i] ? i - 1 : i;
}

static const char *describe(void)
{
	static char line[200];
	static const char *const ways[] = { "", ", failing", ", flag set" };

	snprintf(line, sizeof line, "call \"%s\"%s, %s %d, handler %s, %sSA_RESTART",
		 pass.call->name, ways[pass.way],
		 pass.place == IN_KERNEL ? "blocked" : "instruction", pass.place,
		 pass.handlers->name, pass.restart ? "" : "no ");
	return line;
}

#define EXPECT(what, is, want) \
	ck_assert_msg((is) == (want), "%s: %s is %ld, not %ld", describe(), what, \
		      (long)(is), (long)(want))

static void begin(void)
{
	given = 0;
	empty(pipe_fd[0]);
	empty(socket_fd[0]);
	memset(sh, 0, sizeof *sh);
	pass.call->arrange(pass.place == IN_KERNEL);
	sh->number = pass.way == FAILING ? NO_SYSCALL : pass.call->number;
	sh->flag = pass.way == FLAG_SET;
	sh->sa_flags = pass.restart ? SA_RESTART : 0;
	sh->todo[0] = pass.handlers->first;
	sh->todo[1] = pass.handlers->second;
	pass.entered = pass.blocked = 0;
	tracer_enter();
	tracer_kept(pass.kept);
}

/* On to the next mark.  Where it blocks, that must be right, and what it waits for comes. */
static int onward(int from)
{
	int i;

	if (is_return[from])
		tracer_kept(pass.kept_at_return);
	i = tracer_go(marks);
	pass.entered += from == code.call;
	if (i != TRACER_ASLEEP)
		return i;
	ck_assert_msg(pass.call->blocks && pass.way == THROUGH && !sh->flag,
		      "%s: blocked", describe());
	if (pass.call->complete)
		pass.call->complete();
	return tracer_wait();
}

static int deliver(void)
{
	return tracer_deliver(SIGUSR1, pass.handlers->second < 0 ? 0 : SIGUSR2);
}

static void block(void)
{
	pass.entered++;
	pass.blocked = tracer_go(marks) == TRACER_ASLEEP;
	EXPECT("being blocked", pass.blocked, 1);
}

/* Go to the place, have the signal there, and go on to the end. */
static void make_pass(void)
{
	int i = 0, to = pass.place == IN_KERNEL ? code.call : pass.place;

	mark(0, to);
	begin();
	while (i != to) {
		i = onward(i);
		ck_assert_msg(i >= 0, "%s: not reached", describe());
	}
	if (pass.place == IN_KERNEL)
		block();
	i = deliver();
	while (i >= 0)
		i = onward(i);
}

/* ---- what must come of it ----------------------------------------------------------- */

static void check_result(int aborted, int eintr)
{
	const struct call *c = pass.call;
	long want = aborted ? -SAFE_ERESTARTSYS : eintr ? -EINTR :
		    pass.way == FAILING ? -ENOSYS : c->result;
	int restarted = pass.blocked && !aborted && !eintr;

	EXPECT("the result", sh->result, want);
	EXPECT("the number of calls made", pass.entered,
	       aborted ? pass.blocked : 1 + restarted);
	if (c->effect)
		EXPECT("the effect", c->effect(),
		       pass.way == THROUGH && want == c->reported_by);
}

static void check_handlers(int eintr)
{
	int two = pass.handlers->second >= 0;
	const struct seen *s = sh->seen;
	enum safe_syscall_phase want = eintr ? SAFE_SYSCALL_DONE :
		code_phase(&code, pass.blocked ? code.call : shown(pass.place),
			   pass.blocked);

	EXPECT("the number of first handlers", s[0].count, 1);
	EXPECT("the number of second handlers", s[1].count, two);
	EXPECT("the phase", s[0].phase, want);
	EXPECT("what the hook has found", s[0].rewound, want);
	EXPECT("having a result", s[0].has_result, want == SAFE_SYSCALL_DONE);
	if (s[0].has_result)
		EXPECT("the result in the handler", s[0].result, sh->result);
	EXPECT("errno kept", s[0].errno_kept, 1);
	if (two) {
		EXPECT("the phase of the second", s[1].phase, SAFE_SYSCALL_OUTSIDE);
		EXPECT("what the second has found", s[1].rewound, SAFE_SYSCALL_OUTSIDE);
	}
}

static void check_registers(void)
{
	int i;

	for (i = 0; i < TRACER_REGS; i++)
		ck_assert_msg(pass.kept[i] == pass.kept_at_return[i],
			      "%s: word %d of the registers was %jx and is %jx",
			      describe(), i, (uintmax_t)pass.kept[i],
			      (uintmax_t)pass.kept_at_return[i]);
	EXPECT("damage to the stack", sh->damaged, 0);
}

static void check_pass(void)
{
	int set = pass.handlers->first == (SET | REWIND) || pass.handlers->second >= 0;
	int restarts = pass.call->restarts && pass.restart;
	int eintr = pass.blocked && !restarts;
	int before = pass.blocked ? restarts : shown(pass.place) <= code.call;

	check_result(pass.way == FLAG_SET || (set && before), eintr);
	check_handlers(eintr);
	check_registers();
}

/* ---- tests -------------------------------------------------------------------------- */

/* What has been checked; shared by the processes of all tests. */
static struct tally {
	int instructions, stepped;
	unsigned char checked[CALLS][HANDLERS][2][PLACES];
} *tally;

static int traced;

static void setup(void)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	char name[] = "/tmp/safe_syscall.XXXXXX";
	int i;

	code_read(&code);
	for (i = 0; i < code.count; i++) {
		is_return[i] = ta_is_return(code_at(&code, i));
		in_slot[i] = i > 0 && ta_has_slot(code_at(&code, i - 1));
	}
	sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		  -1, 0);
	ck_assert_ptr_ne(sh, MAP_FAILED);
	ck_assert_int_eq(pipe(pipe_fd), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, socket_fd), 0);
	/* the kernel gives it a name */
	ck_assert_int_eq(bind(socket_fd[1], (struct sockaddr *)&any,
			      sizeof any.sun_family), 0);
	file_fd = mkstemp(name);
	ck_assert_int_ge(file_fd, 0);
	unlink(name);
	traced = tracer_start(&code, program) == 0;
	tally->instructions = code.count;
	tally->stepped = traced && tracer_steps();
}

static const char not_traced[] = "ptrace(PTRACE_TRACEME) is not permitted";

static enum way way_to(int i, const char *on_the_way)
{
	return on_the_way[i] ? THROUGH : i < code.abort ? FAILING : FLAG_SET;
}

/* Which instructions an undisturbed call executes. */
static void walk(const struct call *call, char on_the_way[CODE_MAX])
{
	int i = 0;

	memset(on_the_way, 0, CODE_MAX);
	mark(1, 0);
	pass.call = call;
	pass.handlers = &handlers[0];
	pass.place = 0;
	pass.way = THROUGH;
	begin();
	while (i >= 0) {
		on_the_way[i] = 1;
		i = onward(i);
	}
	check_result(0, 0);
	check_registers();
}

static void check_cell(int call, int h, int restart, int place, enum way way)
{
	pass.call = &calls[call];
	pass.handlers = &handlers[h];
	pass.restart = restart;
	pass.place = place;
	pass.way = way;
	make_pass();
	check_pass();
	tally->checked[call][h][restart][place]++;
}

START_TEST(at_every_instruction)
{
	char on_the_way[CODE_MAX];
	int h, restart, i;

	if (!traced)
		SKIP(not_traced);
	walk(&calls[_i], on_the_way);
	for (h = 0; h < HANDLERS; h++)
		for (restart = 0; restart < 2; restart++)
			for (i = 0; i < code.count; i++)
				check_cell(_i, h, restart, i, way_to(i, on_the_way));
}
END_TEST

START_TEST(blocked_in_the_kernel)
{
	int h, restart;

	if (!traced)
		SKIP(not_traced);
	if (!calls[_i].blocks)
		return;
	for (h = 0; h < HANDLERS; h++)
		for (restart = 0; restart < 2; restart++)
			check_cell(_i, h, restart, IN_KERNEL, THROUGH);
}
END_TEST

/* Signals all the way, one at each instruction and one while it is blocked. */
START_TEST(phases_in_order)
{
	int i = 0, n, blocked = 0;

	if (!traced)
		SKIP(not_traced);
	pass.call = &calls[_i];
	pass.handlers = &handlers[2];
	pass.restart = 1;
	pass.place = calls[_i].blocks ? IN_KERNEL : 0;
	pass.way = THROUGH;
	mark(1, 0);
	begin();
	while (i >= 0) {
		/* from a delay slot it would go back to the branch, for ever */
		if (!in_slot[i])
			ck_assert_int_eq(deliver(), i);
		if (i == code.call && calls[_i].blocks && !blocked++) {
			block();
			i = deliver();
		} else {
			i = onward(i);
		}
	}
	ck_assert_int_eq(sh->phase[0], SAFE_SYSCALL_BEFORE);
	for (n = 1; n < sh->phases; n++)
		ck_assert_msg(sh->phase[n] >= sh->phase[n - 1],
			      "%s: phase %d after phase %d", describe(), sh->phase[n],
			      sh->phase[n - 1]);
	ck_assert_int_gt(n, code.call);
	ck_assert_int_eq(sh->phase[n - 1], SAFE_SYSCALL_DONE);
}
END_TEST

/* How many cells of the table were checked, in the kernel or else at instructions. */
static int cases(int in_kernel)
{
	int c, h, restart, place, n = 0;

	for (c = 0; c < CALLS; c++)
		for (h = 0; h < HANDLERS; h++)
			for (restart = 0; restart < 2; restart++)
				for (place = 0; place < PLACES; place++)
					n += (place == IN_KERNEL) == in_kernel &&
					     tally->checked[c][h][restart][place] == 1;
	return n;
}

static int blocking_calls(void)
{
	int c, n = 0;

	for (c = 0; c < CALLS; c++)
		n += calls[c].blocks;
	return n;
}

/* The last test. */
START_TEST(none_is_missing)
{
	if (!traced)
		SKIP(not_traced);
	ck_assert_int_eq(cases(0), code.count * CALLS * HANDLERS * 2);
	ck_assert_int_eq(cases(1), blocking_calls() * HANDLERS * 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stepper");
	TCase *tc = tcase_create("signals");
	int status;

	tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, at_every_instruction, 0, CALLS);
	tcase_add_loop_test(tc, blocked_in_the_kernel, 0, CALLS);
	tcase_add_loop_test(tc, phases_in_order, 0, CALLS);
	tcase_add_test(tc, none_is_missing);
	suite_add_tcase(suite, tc);
	status = run_suite(suite);
	printf("%d cases: %d instructions x %d calls x %d handlers x 2 SA_RESTART, %s\n",
	       cases(0), tally->instructions, CALLS, HANDLERS,
	       tally->stepped ? "single-stepped" : "by breakpoints");
	printf("%d cases: 1 place in the kernel x %d calls x %d handlers x 2 SA_RESTART\n",
	       cases(1), blocking_calls(), HANDLERS);
	return status;
}
