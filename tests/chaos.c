/* SPDX-License-Identifier: MIT */
/*
 * chaos.c - layer 3 under random trees of events
 *
 * A number, the seed, becomes a tree of events for one thread, the subject: scopes that
 * are entered and left, calls that block or not, interrupts, rearms, and signals, whose
 * handlers do the same again, on stacks of all kinds, and jump, fork, exec and create
 * threads.  A second thread, the director, sends what comes from outside: when the
 * subject is asleep in a call, at random times, or, where the kernel has single steps,
 * after so many instructions of an operation of the library.  It also ends the calls
 * that nothing else ends, by a byte.  Each seed has a process of its own.
 *
 * WHAT IS CHECKED, and nothing else.  Of each scope a word says whether it is marked: set
 * by interrupt(), cleared by rearm(), unknown where two of these overlapped (then
 * safe_syscall_interrupted() is asked).  A clear one whose deadline has passed is unknown
 * until that says it is marked.  The chain: the scopes that the subject is in.
 *
 *	G1, G6	The subject does not stay asleep in a safe_syscall() while one of the
 *		chain is marked, or its deadline has passed.  Seen from outside, again and again, for a second or two:
 *		it is the same call, no handler ran, no mark was changed, it sleeps.
 *	G2, G3	Each call reads from a pipe of its own level.  When it has returned, in the
 *		pipe is what was written less what was returned.
 *	G4	SAFE_ERESTARTSYS: one of the chain was marked when the call began, or
 *		somebody interrupted one during it, or a deadline passed.  Never from safe_syscall_raw(), as
 *		its flag is clear.
 *	G5	EINTR from read(2) on a pipe: a handler without SA_RESTART ran meanwhile.
 *	G6	The interrupt signal is not blocked in the main flow, at the start of a
 *		child of fork, in a new thread, in a program that was exec'd, and these
 *		are not killed by it.  All that is said here holds in the child as well.
 *	G7	After leave(), rearm() or deadline() in the main flow, and none of the chain
 *		is marked:
 *		the signal is not pending, and ppoll(2) fails with EINTR only if one of
 *		our handlers ran.
 *	marks	leave(), rearm() and interrupted() say what the word says: 2 for a deadline,
 *		and never before it.
 *
 * WHAT IS NOT, and why:
 *   - Does a call that would not have blocked come back at once from a marked scope?  By
 *     G1 it may return its result, if the signal was still on its way.
 *   - Calls in a handler that came in the middle of enter() or leave(), and interrupts
 *     that were there before: safe_syscall_enter(3) excuses them.  Later ones do count.
 *   - G7 after a rearm() in a handler, which does not wait, until the main flow has left
 *     or rearmed the same scope: a signal may be on its way.
 *   - Signals that are more than necessary while something is marked.
 *   - The mask within handlers: a library may block its signal there, if it sees to it
 *     that it does not stay so.
 *
 * A jump is made only where all flows that it leaves are in a call or were told to stand
 * still; forks and new threads are made under the same condition.  Nobody blocks the
 * interrupt signal, and enter(), leave() and deadline() are in the main flow only.
 *
 *	SAFE_SYSCALL_CHAOS_SECONDS	how long; default 60, and 5 with SAFE_SYSCALL_STRIDE
 *	SAFE_SYSCALL_CHAOS_SEED		only this one
 *	SAFE_SYSCALL_CHAOS_FIRST	the first one; default 1
 *	SAFE_SYSCALL_CHAOS_FAILURES	go on until so many seeds have failed; default 1
 *	SAFE_SYSCALL_CHAOS_WANT		only failures that have this text in them; others are counted
 *	SAFE_SYSCALL_CHAOS_WITHOUT	leaves out what is named: enters, raw, stacks, jumps, forks,
 *			threads, execs, strikes, noise, deadlines, masks (G6 of the signal's
 *			mask); for a library in which the failures of one hide those of others
 *	SAFE_SYSCALL_CHAOS_SLOW		time limits are so many times as long; default: measured
 *	SAFE_SYSCALL_CHAOS_SHRINK	0: print the events as they are
 */
/* Trees are walked by recursion; the analyzer does not know what wrong() and MUST() end. */
/* NOLINTBEGIN(misc-no-recursion,readability-redundant-declaration,bugprone-suspicious-string-compare,bugprone-branch-clone,clang-analyzer-*) */
#undef _FORTIFY_SOURCE		/* its siglongjmp() knows no stacks but two */
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "code.h"

#ifndef SS_AUTODISARM
# define SS_AUTODISARM (1U << 31)
#endif
#ifndef PTRACE_SETSIGMASK
# define PTRACE_SETSIGMASK 0x420b
#endif
#ifndef __WALL
# define __WALL 0x40000000
#endif

/* Not in every version of the library. */
void safe_syscall_forked(void) __attribute__((weak));
int safe_syscall_signal(void) __attribute__((weak));
int safe_syscall_deadline(safe_syscall_scope *, const struct timespec *) __attribute__((weak));

enum { LEVELS = 6, SCOPES = 4, EVENTS = 160, STACK = 128 * 1024, COMBOS = 24 };

/* ---- the tree ------------------------------------------------------------- */

enum kind {
	NOTHING,
	ENTER, LEAVE, DEADLINE,	/* in the main flow only */
	INTERRUPT, REARM, CALL, READY, BLOCK, RAW, RAW_BLOCK, RAISE, POLL, JUMP, FORK,
	THREAD, EXEC,
	AT,			/* during the next operation the director does what is below */
	SEND, OUTSIDE		/* the director: a signal; an interrupt */
};

/*
 * Below BLOCK and RAW_BLOCK is what the director does when the call is asleep, one after
 * the other; below SEND and RAISE what the handler does.
 */
struct event {
	unsigned char kind;
	unsigned char which;	/* scope, signal, way to fork, frame to jump to */
	unsigned char any;	/* also a scope that is not entered */
	unsigned char switches;	/* the handler goes on on a stack of its own */
	unsigned char saves;	/* sigsetjmp() saves the mask */
	unsigned char together;	/* with the one before it: don't wait until it is asleep */
	unsigned char off;	/* left out */
	unsigned short delay;
	short first, next;
};

static struct {
	uint64_t seed;
	struct event event[EVENTS];
	int used, top, noise;
	unsigned char alternate, signal_choice, pinned, strikes;
} tree;

enum { NO_STACK, BELOW, ABOVE, AUTODISARM_BELOW, AUTODISARM_ABOVE };

/* How a handler is installed, as bits of a signal's number. */
enum { FOREIGN, HOOKED, WRAPPED };
static int way(int combo) { return combo % 3; }
static int stops_calls(int combo) { return combo / 3 % 2; }
static int on_stack(int combo) { return combo / 6 % 2; }
static int nodefer(int combo) { return combo / 12 % 2; }

static uint64_t random_state;

/* splitmix64: the same numbers on every machine */
static unsigned int below(unsigned int n)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned int)((z ^ z >> 31) >> 32) % n;
}

static int one_in(unsigned int n)
{
	return below(n) == 0;
}

static const struct weight { unsigned char kind, weight; } in_main[] = {
	{ ENTER, 20 }, { LEAVE, 8 }, { DEADLINE, 16 }, { BLOCK, 32 }, { CALL, 5 }, { READY, 6 },
	{ REARM, 16 }, { INTERRUPT, 4 }, { POLL, 4 }, { RAISE, 7 }, { FORK, 1 },
	{ THREAD, 1 }, { EXEC, 1 }, { NOTHING, 0 }
}, in_handler[] = {
	{ CALL, 14 }, { READY, 5 }, { BLOCK, 20 }, { INTERRUPT, 24 }, { REARM, 8 },
	{ JUMP, 15 }, { RAISE, 6 }, { RAW, 2 }, { RAW_BLOCK, 3 }, { FORK, 4 },
	{ THREAD, 2 }, { EXEC, 1 }, { POLL, 1 }, { NOTHING, 0 }
}, in_strike[] = {		/* short, and takes back what others did */
	{ REARM, 30 }, { CALL, 30 }, { INTERRUPT, 20 }, { BLOCK, 8 }, { JUMP, 8 },
	{ FORK, 2 }, { RAISE, 2 }, { NOTHING, 0 }
}, outside[] = {
	{ SEND, 60 }, { OUTSIDE, 35 }, { NOTHING, 0 }
}, strikes[] = {
	{ SEND, 50 }, { OUTSIDE, 50 }, { NOTHING, 0 }
};

static unsigned char choose(const struct weight *table)
{
	unsigned int sum = 0, r;
	int i;

	for (i = 0; table[i].kind; i++)
		sum += table[i].weight;
	r = below(sum);
	for (i = 0; r >= table[i].weight; i++)
		r -= table[i].weight;
	return table[i].kind;
}

static unsigned char random_combo(void)
{
	unsigned int c = below(3) ? FOREIGN : below(3);

	c += one_in(6) ? 3 : 0;
	c += below(2) ? 6 : 0;
	c += below(2) ? 12 : 0;
	return (unsigned char)c;
}

static short random_list(int depth, const struct weight *table, int n);

static void random_event(struct event *e, int depth, const struct weight *table)
{
	static const unsigned int longest[] = { 16, 80, 200, 500 };
	int n;

	e->kind = choose(table);
	e->which = (unsigned char)below(SCOPES);
	e->any = one_in(10);
	if (e->kind == JUMP && one_in(2))
		e->which = 0;		/* into the handler beneath */
	e->saves = one_in(2);
	e->together = one_in(4);
	e->delay = (unsigned short)below(longest[below(table == strikes ? 3 : 4)]);
	if (e->kind == DEADLINE)
		e->delay = (unsigned short)below(128);
	if (e->kind == SEND || e->kind == RAISE) {
		e->which = random_combo();
		e->switches = one_in(4);
		e->first = depth > 4 ? 0 : table == strikes ?
			random_list(depth + 1, in_strike, 1 + (int)below(3)) :
			random_list(depth + 1, in_handler, (int)below(5));
	} else if (e->kind == BLOCK || e->kind == RAW_BLOCK) {
		/* in two steps: C leaves the order of operands open */
		n = (int)below(3);
		n += !one_in(3);
		e->first = random_list(depth, outside, n);
	}
}

static struct event *another(short **link)
{
	struct event *e = &tree.event[tree.used];

	**link = (short)tree.used++;
	*link = &e->next;
	return e;
}

static short random_list(int depth, const struct weight *table, int n)
{
	static const struct weight blocking[] = { { BLOCK, 1 }, { NOTHING, 0 } };
	short first = 0, *link = &first;
	struct event *e;
	int strike;

	while (n-- > 0 && tree.used < EVENTS - 2) {
		strike = table != outside && table != strikes && tree.strikes && one_in(6);
		if (strike) {
			tree.strikes--;
			e = another(&link);
			e->kind = AT;
			e->first = random_list(depth, strikes, 1 + (int)below(3));
			if (tree.used == EVENTS)
				break;
		}
		e = another(&link);
		random_event(e, depth, strike && one_in(2) ? blocking : table);
	}
	return first;
}

static int ignore_masks;

/* The others stay as they are. */
static void leave_out(void)
{
	static const struct { unsigned char kind; const char *name; } kinds[] = {
		{ RAW, "raw" }, { RAW_BLOCK, "raw" }, { JUMP, "jumps" }, { FORK, "forks" },
		{ THREAD, "threads" }, { EXEC, "execs" }, { AT, "strikes" },
		{ ENTER, "enters" }, { DEADLINE, "deadlines" }
	};
	const char *without = getenv("SAFE_SYSCALL_CHAOS_WITHOUT");
	size_t k;
	int i;

	if (!without)
		return;
	ignore_masks = strstr(without, "masks") != NULL;
	if (strstr(without, "noise"))
		tree.noise = 0;
	if (strstr(without, "stacks"))
		tree.alternate = 0;
	for (i = 1; i < tree.used; i++) {
		if (strstr(without, "stacks"))
			tree.event[i].switches = 0;
		if (tree.event[i].kind == THREAD && strstr(without, "deadlines"))
			tree.event[i].which = 0;
		for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
			if (tree.event[i].kind == kinds[k].kind &&
			    strstr(without, kinds[k].name))
				tree.event[i].off = 1;
	}
}

static void grow(uint64_t seed)
{
	memset(&tree, 0, sizeof tree);
	tree.seed = random_state = seed;
	tree.used = 1;		/* 0: no event */
	tree.alternate = (unsigned char)below(5);
	tree.signal_choice = (unsigned char)below(4);
	tree.pinned = one_in(2);
	tree.strikes = (unsigned char)below(3);
	if (one_in(3))
		tree.noise = random_list(2, outside, 1 + (int)below(5));
	tree.top = random_list(0, in_main, 3 + (int)below(8));
	leave_out();
}

/* ---- what all processes of a seed share -------------------------------------- */

static struct {
	int failed, where, short_of;
	char what[600];
	pid_t pid;			/* of the first process */
	int forks, threads, execs;	/* so many are left */
	int traced, at, order;		/* a strike, see strike() and trace() */
	unsigned char mask[_NSIG / 8];	/* as the kernel has it, to be put back there */
	int limit_ms;
} volatile *shared;

static double scale = 1;
static int interrupt_signal;

/* ---- the subject --------------------------------------------------------------- */

static safe_syscall_scope objects[SCOPES], *scopes[SCOPES];

/* A call under way, one for each level of handlers: 0 is the main flow. */
struct frame {
	const struct event *event;
	sigjmp_buf jump;
	char byte;
	int is_raw, result, error, marked, middle;
	unsigned int words[SCOPES], stops;
	volatile unsigned int number;	/* of all calls */
	volatile int active;
	int unclean;			/* its pipe, by a jump */
};

static struct frame frames[LEVELS];
static int in[LEVELS], out[LEVELS];
static volatile int fed[LEVELS], writing;

/*
 * Handlers change this above each other, and restore what they found.  The director looks
 * on.
 */
static volatile struct {
	pid_t pid, tid;
	int level, landing;
	int top;			/* whose frame's call is under way; -1: none */
	int safe;			/* may be jumped out of here */
	int depth_min, depth_max;	/* of the chain; differ within enter and leave */
	int middle;			/* within one of these */
	int waiting;			/* for a child */
	int at;				/* an AT that is due */
	int children;			/* so many forks led here */
	unsigned int runs, stops, progress, calls;
	int now;			/* event, for reports */
} s;

static volatile struct {
	int was_safe;			/* the flow that the handler has interrupted */
	int signum;
	int on_plain_stack;		/* an alternate stack that can be used twice */
} handlers[LEVELS];

static volatile int dirty[SCOPES];	/* rearmed in a handler */
static char *stacks;			/* below, the thread's, above, the handlers' */

static void describe(char *to, size_t size, int index);

static void __attribute__((noreturn, format(printf, 1, 2))) wrong(const char *format, ...)
{
	char event[120];
	va_list list;
	int n;

	if (!__atomic_exchange_n(&shared->failed, 1, __ATOMIC_SEQ_CST)) {
		shared->where = s.now;
		describe(event, sizeof event, s.now);
		n = snprintf((char *)shared->what, sizeof shared->what, "%s[%d: %s] ",
			     s.children ? "in the child of a fork: " : "", s.now, event);
		va_start(list, format);
		vsnprintf((char *)shared->what + n, sizeof shared->what - (size_t)n,
			  format, list);
		va_end(list);
	}
	_exit(1);
}

#define MUST(condition)							\
	do {								\
		if (!(condition))					\
			wrong("line %d: %s, errno %d", __LINE__, #condition, errno); \
	} while (0)

/* What the machine may be short of, which says nothing of the library. */
#define NEED(condition)							\
	do {								\
		if (!(condition)) {					\
			shared->short_of = __LINE__;			\
			_exit(1);					\
		}							\
	} while (0)

/* ---- which scopes are marked ------------------------------------------------------ */

/*
 * How it is marked is what safe_syscall_interrupted() says, or EITHER: by one of the two.
 * Of a scope's deadline is known when it passes, in microseconds from the program's start; 0:
 * there is none, or it has been marked for that.  It is doubtful when a rearm or another
 * change of it was under way when it passed: then maybe nothing comes of it.
 */
enum {
	BY_SOMEBODY = 1, BY_DEADLINE = 2, EITHER = 3, MARKED = 3, UNKNOWN = 4,
	BUSY = 8, BUSY_MASK = 255 * BUSY, CHANGE = 2048
};

static unsigned int words[SCOPES];
static volatile unsigned int deadlines[SCOPES];
static volatile int doubtful[SCOPES];
static struct timespec program_start;

static unsigned int microseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned int)(ts.tv_sec - program_start.tv_sec) * 1000000U +
		(unsigned int)(ts.tv_nsec / 1000);
}

static int has_passed(unsigned int deadline)
{
	return deadline && microseconds() >= deadline;
}

/* The library may mark a clear scope any moment once its deadline has passed. */
static unsigned int as_of_now(int i, unsigned int word)
{
	return word & (MARKED | UNKNOWN) || !has_passed(deadlines[i]) ? word : word | UNKNOWN;
}

static unsigned int word_of(int i)
{
	return as_of_now(i, __atomic_load_n(&words[i], __ATOMIC_SEQ_CST));
}

/* Two that overlap: nobody knows which of the two was the last. */
static unsigned int begin(int i)
{
	unsigned int old = __atomic_load_n(&words[i], __ATOMIC_SEQ_CST), new;

	do
		new = (old + CHANGE + BUSY) | (old & BUSY_MASK ? UNKNOWN : 0);
	while (!__atomic_compare_exchange_n(&words[i], &old, new, 0, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST));
	return new;
}

/* Returns whether it overlapped with no other. */
static int end(int i, unsigned int begun, unsigned int marked)
{
	unsigned int old = __atomic_load_n(&words[i], __ATOMIC_SEQ_CST), new;
	int alone;

	do {
		alone = old / CHANGE == begun / CHANGE && (begun & BUSY_MASK) == BUSY;
		new = ((old - BUSY) & ~(unsigned int)(MARKED | UNKNOWN)) | marked |
		      (alone ? 0 : UNKNOWN);
	} while (!__atomic_compare_exchange_n(&words[i], &old, new, 0, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	return alone;
}

static int is_known(unsigned int word)
{
	return !(word & (BUSY_MASK | UNKNOWN));
}

static int is_marked(unsigned int word)
{
	return is_known(word) && word & MARKED;
}

static int is_clear(unsigned int word)
{
	return is_known(word) && !(word & MARKED);
}

/*
 * The word; if it says unknown, and nobody is at it, the scope itself is asked.  If that
 * says that it is not marked, and its deadline has passed, this is the question still.
 */
static unsigned int settled(int i)
{
	unsigned int word = __atomic_load_n(&words[i], __ATOMIC_SEQ_CST), new;
	int how;

	if (as_of_now(i, word) & UNKNOWN && !(word & BUSY_MASK)) {
		how = safe_syscall_interrupted(scopes[i]);
		new = (word & ~(unsigned int)(UNKNOWN | MARKED)) | (unsigned int)how;
		if (__atomic_compare_exchange_n(&words[i], &word, new, 0, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			word = new;
	}
	return as_of_now(i, word);
}

static void interrupt(int i)
{
	unsigned int word = begin(i), how = BY_SOMEBODY;

	MUST(safe_syscall_interrupt(scopes[i]) == 0);
	if (word & UNKNOWN)
		how = EITHER;
	else if (word & MARKED)
		how = word & MARKED;
	else if (has_passed(deadlines[i]))
		how = EITHER;
	end(i, word, how);
}

static void compare(int i, unsigned int word, int said, const char *who)
{
	unsigned int how = word & MARKED;

	if (is_known(word) && (how == EITHER ? said != 1 && said != 2 : said != (int)how))
		wrong("%s of scope %d said %d, and it was marked %u", who, i, said, how);
}

/* Is nothing to come any more? */
static int all_quiet(unsigned int *seen)
{
	int i;

	for (i = 0; i < SCOPES; i++) {
		seen[i] = settled(i);
		if (dirty[i] || (i <= s.depth_max && !is_clear(seen[i])))
			return 0;
	}
	return 1;
}

static int is_blocked(int sig)
{
	sigset_t mask;

	sigemptyset(&mask);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	return !ignore_masks && sigismember(&mask, sig);
}

/* In the main flow. */
static void check_quiet(long us)
{
	struct timespec wait = { 0, us * 1000 };
	unsigned int before[SCOPES], after[SCOPES], runs = s.runs;
	sigset_t pending;
	int result, error, blocked = is_blocked(interrupt_signal), i;

	if (!all_quiet(before))
		return;
	MUST(!sigpending(&pending));
	errno = 0;
	result = us ? ppoll(NULL, 0, &wait, NULL) : 0;
	error = errno;
	if (!all_quiet(after))
		return;
	for (i = 0; i <= s.depth_max; i++)
		if (before[i] != after[i])
			return;
	if (blocked)
		wrong("the interrupt signal is blocked in the main flow (G6)");
	if (!ignore_masks && sigismember(&pending, interrupt_signal))
		wrong("the interrupt signal is pending, and nothing is interrupted (G7)");
	if (result && runs == s.runs)
		wrong("ppoll says %d, errno %d, and nothing is interrupted (G7)", result, error);
}

/* ---- strikes ---------------------------------------------------------------------- */

/*
 * No handler comes in here, which could fork or jump: the child would stop with nobody there
 * to go on with it.  The tracer puts the mask back, so that no instructions of ours
 * come before those of the operation.
 */
static void stop_for_tracer(int at)
{
	sigset_t all, old;

	sigfillset(&all);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, _NSIG / 8);
	if (s.pid == shared->pid && !shared->traced) {
		memcpy((void *)shared->mask, &old, sizeof shared->mask);
		shared->traced = 1;
		shared->at = at;
		if (!ptrace(PTRACE_TRACEME, 0, NULL, NULL)) {
			syscall(SYS_tgkill, s.pid, s.tid, SIGSTOP);
			return;
		}
	}
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, _NSIG / 8);
}

/*
 * Before an operation of the library.  In the first process, the program that runs the
 * seeds is told, and traces us for as long as it takes.
 */
static void strike(void)
{
	int at = s.at;

	if (!at)
		return;
	s.at = 0;
	stop_for_tracer(at);
}

/* ---- calls --------------------------------------------------------------------------- */

static void empty(int l)
{
	char c;
	int n;

	while (!ioctl(in[l], FIONREAD, &n) && n > 0)
		MUST(read(in[l], &c, 1) == 1 || errno == EINTR);
	fed[l] = 0;
}

/* The director is not to write to it while we look. */
static void wait_for_writer(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (writing)
		sched_yield();
}

static void prepare(struct frame *f, const struct event *e, int l)
{
	int i;

	wait_for_writer();
	if (f->unclean)
		empty(l);
	f->unclean = 0;
	f->event = e;
	f->is_raw = e->kind == RAW || e->kind == RAW_BLOCK;
	f->middle = s.middle;
	f->marked = 0;
	f->stops = s.stops;
	for (i = 0; i < SCOPES; i++) {
		f->words[i] = word_of(i);
		if (i <= s.depth_max && !is_clear(f->words[i]))
			f->marked = 1;
	}
	if (e->kind == READY) {
		fed[l] = 1;
		MUST(write(out[l], "x", 1) == 1);
	}
}

/* One of the chain was marked, or somebody was at it, during the call. */
static int may_be_interrupted(const struct frame *f)
{
	int i;

	for (i = 0; i <= s.depth_max; i++)
		if (f->words[i] != word_of(i))
			return 1;
	return f->marked;
}

static void judge(struct frame *f, int l)
{
	int n, got = f->result == 1;

	wait_for_writer();
	if (f->event->kind == CALL || f->event->kind == RAW)
		got = f->result == getpgid(0) ? 0 : -1;
	else
		MUST(!ioctl(in[l], FIONREAD, &n));
	if (f->result == -1 && f->error == SAFE_ERESTARTSYS) {
		if (f->is_raw)
			wrong("raw: SAFE_ERESTARTSYS, and its flag is clear (G4)");
		if (!may_be_interrupted(f))
			wrong("SAFE_ERESTARTSYS, and nothing was interrupted (G4)");
		got = 0;
	} else if (f->result == -1 && f->error == EINTR &&
		   (f->event->kind == BLOCK || f->event->kind == READY ||
		    f->event->kind == RAW_BLOCK)) {
		if (f->stops == s.stops)
			wrong("EINTR, and all handlers have SA_RESTART (G5)");
	} else if (got < 0 || f->result < 0 || (!got && f->event->kind != CALL &&
						f->event->kind != RAW)) {
		wrong("returned %d, errno %d", f->result, f->error);
	}
	if (f->event->kind == CALL || f->event->kind == RAW)
		return;
	if (n != fed[l] - got)
		wrong("returned %d, errno %d; of %d bytes written %d are in the pipe (G2, G3)",
		     f->result, f->error, fed[l], n);
	if (n)
		empty(l);
	fed[l] = 0;
}

static void send_to_subject(const struct event *e);

static void make(struct frame *f)
{
	static const volatile int never;
	long result;

	switch (f->event->kind) {
	case CALL:
		/* a child of fork may be given what its parent has been told: the same */
		result = safe_syscall(SYS_getpgid, 0);
		break;
	case RAW:
		result = safe_syscall_raw(&never, SYS_getpgid, 0);
		break;
	case RAW_BLOCK:
		result = safe_syscall_raw(&never, SYS_read, in[f - frames], &f->byte, 1);
		break;
	case RAISE:
		send_to_subject(f->event);
		result = 0;
		break;
	default:
		result = safe_syscall(SYS_read, in[f - frames], &f->byte, 1);
	}
	f->error = errno;
	if (f->is_raw && result < 0) {
		f->error = (int)-result;
		result = -1;
	}
	f->result = (int)result;
}

/* A handler above has jumped here. */
static void landed(void)
{
	int l, to = s.landing;
	stack_t now;
	sigset_t set;

	sigemptyset(&set);
	for (l = to; l < LEVELS; l++) {
		frames[l].active = 0;
		frames[l].unclean = 1;
		if (l > to && l <= s.level)
			sigaddset(&set, handlers[l].signum);
	}
	s.level = to;
	s.safe = 0;
	s.top = -1;
	s.now = (int)(frames[to].event - tree.event);
	/* those that nobody returns from; never the interrupt signal */
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	/* and the stack that nobody has returned from */
	if (to == 0 && tree.alternate >= AUTODISARM_BELOW && !sigaltstack(NULL, &now) &&
	    now.ss_flags & SS_DISABLE) {
		memset(&now, 0, sizeof now);
		now.ss_sp = stacks + (tree.alternate == AUTODISARM_ABOVE ? 3 * STACK : 0);
		now.ss_size = STACK;
		now.ss_flags = (int)SS_AUTODISARM;
		MUST(!sigaltstack(&now, NULL));
	}
}

static void call(const struct event *e)
{
	struct frame *f = &frames[s.level];

	prepare(f, e, s.level);
	if (sigsetjmp(f->jump, e->saves)) {
		landed();
		return;
	}
	f->number = ++s.calls;
	f->active = 1;
	s.top = s.level;
	s.safe = 1;
	strike();
	make(f);
	s.safe = 0;
	s.top = -1;
	f->active = 0;
	if (e->kind != RAISE)
		judge(f, s.level);
}

static void jump(const struct event *e)
{
	int l, to = -1, passed = e->which;

	for (l = s.level; l > 0 && handlers[l].was_safe; l--)
		if (frames[l - 1].active) {
			to = l - 1;
			if (!passed--)
				break;
		}
	if (to < 0)
		return;
	s.landing = to;
	siglongjmp(frames[to].jump, 1);
}

/* ---- handlers ------------------------------------------------------------------------- */

static void run(int first);

#ifdef HAVE_SWAPCONTEXT
static ucontext_t elsewhere[LEVELS], back[LEVELS];

static void run_elsewhere(int first, int l)
{
	run(first);
	setcontext(&back[l]);
}

static void run_on_own_stack(int first, int l)
{
	MUST(!getcontext(&elsewhere[l]));
	elsewhere[l].uc_stack.ss_sp = stacks + (4 + l) * STACK;
	elsewhere[l].uc_stack.ss_size = STACK;
	elsewhere[l].uc_link = NULL;
	makecontext(&elsewhere[l], (void (*)(void))run_elsewhere, 2, first, l);
	MUST(!swapcontext(&back[l], &elsewhere[l]));
}
#else
static void run_on_own_stack(int first, int l)
{
	(void)l;
	run(first);
}
#endif

/* The kernel would take it as unused, and overwrite what is there. */
static int plain_stack_is_live(int l)
{
	for (; l > 0; l--)
		if (handlers[l].on_plain_stack)
			return 1;
	return 0;
}

static int is_on_plain_stack(const void *here)
{
	const char *p = here, *low = stacks + (tree.alternate == ABOVE ? 3 * STACK : 0);

	return (tree.alternate == BELOW || tree.alternate == ABOVE) &&
		p >= low && p < low + STACK;
}

static void handle(int sig, siginfo_t *info, void *ucontext)
{
	int top, safe, l, at, now, landing, error = errno, index = info->si_value.sival_int;
	const struct event *e;

	(void)ucontext;
	if (info->si_code != SI_QUEUE || index <= 0 || index >= tree.used)
		return;
	e = &tree.event[index];
	s.runs++;
	if (stops_calls(sig - SIGRTMIN))
		s.stops++;
	s.progress++;
	if (s.level == LEVELS - 1 || s.tid != (pid_t)syscall(SYS_gettid))
		return;
	safe = s.safe;
	s.safe = 0;
	top = s.top;
	s.top = -1;
	at = s.at;
	s.at = 0;
	now = s.now;
	landing = s.landing;
	l = ++s.level;
	handlers[l].was_safe = safe;
	handlers[l].signum = sig;
	handlers[l].on_plain_stack = is_on_plain_stack(&l);
	if (e->switches && !plain_stack_is_live(l))
		run_on_own_stack(e->first, l);
	else
		run(e->first);
	handlers[l].on_plain_stack = 0;
	s.level = l - 1;
	s.now = now;
	s.landing = landing;	/* a jump may be under way beneath */
	s.at = at;
	s.top = top;
	s.safe = safe;
	errno = error;
}

static void hooked(int sig, siginfo_t *info, void *ucontext)
{
	safe_syscall_hook(sig, info, ucontext);
	handle(sig, info, ucontext);
}

static void install_handlers(void)
{
	struct sigaction sa;
	int c, failed;

	for (c = 0; c < COMBOS; c++) {
		memset(&sa, 0, sizeof sa);
		sa.sa_sigaction = way(c) == HOOKED ? hooked : handle;
		sa.sa_flags = SA_SIGINFO | (stops_calls(c) ? 0 : SA_RESTART) |
			(on_stack(c) ? SA_ONSTACK : 0) | (nodefer(c) ? SA_NODEFER : 0);
		failed = way(c) == WRAPPED ?
			safe_syscall_sigaction(SIGRTMIN + c, &sa, NULL) :
			sigaction(SIGRTMIN + c, &sa, NULL);
		ck_assert_int_eq(failed, 0);
	}
}

static void send_to_subject(const struct event *e)
{
	siginfo_t info;

	memset(&info, 0, sizeof info);
	info.si_signo = SIGRTMIN + e->which;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_value.sival_int = (int)(e - tree.event);
	syscall(SYS_rt_tgsigqueueinfo, s.pid, s.tid, info.si_signo, &info);
}

/* ---- children, threads, programs ---------------------------------------------------------- */

static void start_director(void);

static int all_safe(void)
{
	int l;

	for (l = s.level; l > 0; l--)
		if (!handlers[l].was_safe)
			return 0;
	return 1;
}

static int take_one(volatile int *left)
{
	if (*left <= 0)
		return 0;
	(*left)--;
	return 1;
}

static void set_limits(void)
{
	signal(SIGALRM, SIG_DFL);
	alarm((unsigned int)(30 * scale));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void wait_for_child(pid_t pid, const char *what)
{
	int status;

	s.waiting = 1;
	while (waitpid(pid, &status, 0) == -1)
		MUST(errno == EINTR);
	s.waiting = 0;
	s.progress++;
	if (WIFSIGNALED(status))
		wrong("%s died of signal %d", what, WTERMSIG(status));
	if (status)
		wrong("%s exited with %d", what, WEXITSTATUS(status));
}

/* What is in the pipes is the child's own from here on. */
static void copy_pipes(void)
{
	int l, n, fd[2];

	for (l = 0; l < LEVELS; l++) {
		NEED(!ioctl(in[l], FIONREAD, &n) && !pipe(fd));
		/* above this level the parent goes on, in handlers, with the same pipes */
		if (l > s.level)
			n = fed[l] = 0;
		MUST(dup2(fd[0], in[l]) == in[l] && dup2(fd[1], out[l]) == out[l]);
		close(fd[0]);
		close(fd[1]);
		while (n-- > 0)
			MUST(write(out[l], "x", 1) == 1);
	}
}

/* The thread goes on as it would have done; no other is here. */
static void go_on_in_child(void)
{
	int i;

	set_limits();
	s.pid = getpid();
	s.tid = (pid_t)syscall(SYS_gettid);
	s.children++;
	s.progress++;
	s.at = 0;
	writing = 0;
	/* handlers don't fork above one who marks: these are of the director */
	for (i = 0; i < SCOPES; i++)
		if (words[i] & BUSY_MASK)
			words[i] = (words[i] & ~(unsigned int)BUSY_MASK) | UNKNOWN;
	if (is_blocked(interrupt_signal))
		wrong("the interrupt signal is blocked in the child of a fork (G6)");
	copy_pipes();
	start_director();
}

static pid_t fork_somehow(int how)
{
	pid_t pid;

	if (how == 1) {
#ifdef SYS_fork
		return (pid_t)safe_syscall(SYS_fork);
#else
		return (pid_t)safe_syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
	}
	if (how == 0 || !safe_syscall_forked)
		return fork();
#ifdef SYS_fork
	pid = (pid_t)syscall(SYS_fork);
#else
	pid = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
#endif
	if (!pid)
		safe_syscall_forked();
	return pid;
}

static void do_fork(const struct event *e)
{
	pid_t pid;

	if (!all_safe() || !take_one(&shared->forks))
		return;
	wait_for_writer();
	pid = fork_somehow(e->which);
	if (pid == 0)
		go_on_in_child();
	else if (pid > 0)
		wait_for_child(pid, "the child of a fork");
	else
		NEED(e->which == 1 && (errno == SAFE_ERESTARTSYS || errno == EINTR));
}

static struct {
	safe_syscall_scope scope;
	volatile pid_t tid;
	volatile int finished;
	int fd[2], blocked, result, error, left, has_deadline;
} other;

static int set_deadline(safe_syscall_scope *scope, unsigned int at)
{
	struct timespec when = program_start;

	when.tv_sec += at / 1000000;
	when.tv_nsec = at % 1000000 * 1000L;
	return safe_syscall_deadline(scope, &when);
}

static void *other_thread(void *unused)
{
	char c;

	if (safe_syscall_enter(&other.scope))
		wrong("enter in a new thread");
	other.blocked = is_blocked(interrupt_signal);
	other.tid = (pid_t)syscall(SYS_gettid);
	if (other.has_deadline)
		NEED(!set_deadline(&other.scope, microseconds() + 300));
	other.result = (int)safe_syscall(SYS_read, other.fd[0], &c, 1);
	other.error = errno;
	other.left = safe_syscall_leave(&other.scope);
	other.finished = 1;
	return unused;
}

static char thread_state(pid_t tid)
{
	char name[64], line[200];
	const char *p;
	ssize_t n;
	int fd;

	snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = 0;
	p = strrchr(line, ')');
	return p && p[1] ? p[2] : 0;
}

static void do_thread(const struct event *e)
{
	static const safe_syscall_scope fresh = SAFE_SYSCALL_SCOPE_INIT;
	pthread_attr_t attr;
	pthread_t thread;
	double begun = now();

	if (!all_safe() || !take_one(&shared->threads))
		return;
	other.scope = fresh;
	other.tid = other.finished = 0;
	other.has_deadline = e->which % 2 && safe_syscall_deadline;
	NEED(!pipe(other.fd));
	NEED(!pthread_attr_init(&attr) && !pthread_attr_setstacksize(&attr, STACK));
	NEED(!pthread_create(&thread, &attr, other_thread, NULL));
	while (!other.finished && (!other.tid || thread_state(other.tid) != 'S'))
		sched_yield();
	MUST(other.has_deadline || safe_syscall_interrupt(&other.scope) == 0);
	while (!other.finished) {
		if (now() - begun > shared->limit_ms / 1e3 * 4)
			wrong("a new thread is not brought back from its call (G1)%s",
			     other.blocked ? ": its signal is blocked" : "");
		sched_yield();
	}
	MUST(!pthread_join(thread, NULL));
	close(other.fd[0]);
	close(other.fd[1]);
	if (other.blocked)
		wrong("the interrupt signal is blocked in a new thread (G6)");
	MUST(other.result == -1 && other.error == SAFE_ERESTARTSYS &&
	     other.left == 1 + other.has_deadline);
}

/* The program, exec'd: it lives, so nothing has killed it. */
static int exec_check(const char *sig)
{
	return is_blocked(atoi(sig)) ? 3 : 0;
}

static void do_exec(const struct event *e)
{
	char sig[12];
	pid_t pid;

	if (!all_safe() || !take_one(&shared->execs))
		return;
	snprintf(sig, sizeof sig, "%d", interrupt_signal);
	pid = fork();
	if (!pid) {
		set_limits();
		if (e->which % 2) {
			safe_syscall_rearm(scopes[0]);
			safe_syscall_interrupt(scopes[0]);
		}
		execl("/proc/self/exe", "chaos", "exec", sig, (char *)NULL);
		_exit(127);
	}
	NEED(pid > 0);
	wait_for_child(pid, "a program that was exec'd (3: signal is blocked)");
}

/* ---- events ------------------------------------------------------------------------------- */

/* When a deadline passes: so many microseconds from now. */
enum { TIMES = 16 };
static const int times[TIMES] = {
	-1000000, -1, 0, 1, 5, 15, 30, 60, 100, 150, 250, 500, 1000, 3000, 10000, 5000000
};

static int is_none(const struct event *e)
{
	return e->delay / TIMES == 0;
}

static int scope_of(const struct event *e)
{
	return e->any ? e->which : e->which % (s.depth_min + 1);
}

static void do_enter(void)
{
	int i = s.depth_max + 1;

	if (s.level || i == SCOPES)
		return;
	s.middle++;
	s.depth_max = i;
	strike();
	MUST(safe_syscall_enter(scopes[i]) == 0);
	s.depth_min = i;
	s.middle--;
}

/* Nothing comes of it any more; what has come may not be known yet. */
static void forget_deadline(int i)
{
	unsigned int word;

	if (has_passed(deadlines[i]) && !is_marked(word_of(i))) {
		word = begin(i);
		deadlines[i] = 0;
		end(i, word, UNKNOWN);
	}
	deadlines[i] = 0;
	doubtful[i] = 0;
}

static void do_leave(long us)
{
	int said, i = s.depth_max;
	unsigned int word;

	if (s.level || !i)
		return;
	word = settled(i);
	s.middle++;
	s.depth_min = i - 1;
	strike();
	said = safe_syscall_leave(scopes[i]);
	s.depth_max = i - 1;
	s.middle--;
	if (word == word_of(i)) {
		compare(i, word, said, "leave()");
		dirty[i] = 0;
	}
	forget_deadline(i);
	check_quiet(us);
}

/* One that has passed is taken back as well; another is left. */
static void do_rearm(int i, long us)
{
	unsigned int before = settled(i), word;
	int said, was_over;

	if (s.level)
		dirty[i] = 1;
	word = begin(i);
	was_over = has_passed(deadlines[i]);
	strike();
	said = safe_syscall_rearm(scopes[i]);
	MUST(said >= 0 && said <= 2);
	if (word == word_of(i) && word == before + CHANGE + BUSY) {
		compare(i, before, said, "rearm()");
		if (!s.level && said)
			dirty[i] = 0;
	}
	if (was_over)
		deadlines[i] = 0;
	doubtful[i] = has_passed(deadlines[i]);
	end(i, word, 0);
	if (!s.level)
		check_quiet(us);
}

/*
 * One that has passed when it is set is told at once.  The one before may have marked the
 * scope, if it has passed by now.
 */
static void do_deadline(int i, int us, int none)
{
	unsigned int word, at = microseconds() + (unsigned int)us, had, how;

	if (s.level || !safe_syscall_deadline)
		return;
	if (i > s.depth_max) {
		MUST(set_deadline(scopes[i], at) == -1 && errno == EINVAL);
		return;
	}
	settled(i);
	word = begin(i);
	had = deadlines[i];
	deadlines[i] = none ? 0 : at;
	strike();
	if (none)
		MUST(safe_syscall_deadline(scopes[i], NULL) == 0);
	else
		NEED(!set_deadline(scopes[i], at));
	how = word & (MARKED | UNKNOWN);
	if (!none && us <= 0)
		how = !how ? BY_DEADLINE : how & UNKNOWN ? EITHER : how;
	else if (!how && has_passed(had))
		how = UNKNOWN;
	if (none || us <= 0)
		deadlines[i] = 0;
	doubtful[i] = 0;
	if (!end(i, word, how) && !none) {
		deadlines[i] = at;
		doubtful[i] = has_passed(at);
	}
	check_quiet(200);
}

/* EINTR is not ours to judge here, while something is interrupted. */
static void do_poll(void)
{
	if (s.level)
		poll(NULL, 0, 1);
	else
		check_quiet(1000);
}

static void do_event(const struct event *e)
{
	switch (e->kind) {
	case ENTER:
		do_enter();
		break;
	case LEAVE:
		do_leave(e->saves * 200L);
		break;
	case INTERRUPT:
		strike();
		interrupt(scope_of(e));
		break;
	case REARM:
		do_rearm(scope_of(e), e->saves * 200L);
		break;
	case DEADLINE:
		do_deadline(scope_of(e), times[e->delay % TIMES], is_none(e));
		break;
	case POLL:
		do_poll();
		break;
	case JUMP:
		jump(e);
		break;
	case FORK:
		do_fork(e);
		break;
	case THREAD:
		do_thread(e);
		break;
	case EXEC:
		do_exec(e);
		break;
	case AT:
		s.at = (int)(e - tree.event);
		break;
	default:
		call(e);
	}
}

static void run(int first)
{
	int i, scope;
	unsigned int word;

	for (i = first; i; i = tree.event[i].next) {
		if (tree.event[i].off)
			continue;
		s.now = i;
		s.progress++;
		do_event(&tree.event[i]);
	}
	for (scope = 0; scope < SCOPES; scope++) {
		word = word_of(scope);
		i = safe_syscall_interrupted(scopes[scope]);
		if (word == word_of(scope))
			compare(scope, word, i, "interrupted()");
	}
}

static void use_alternate_stack(void)
{
	stack_t stack;

	if (tree.alternate == NO_STACK)
		return;
	memset(&stack, 0, sizeof stack);
	stack.ss_sp = stacks + (tree.alternate == ABOVE || tree.alternate == AUTODISARM_ABOVE ?
				3 * STACK : 0);
	stack.ss_size = STACK;
	if (tree.alternate >= AUTODISARM_BELOW)
		stack.ss_flags = (int)SS_AUTODISARM;
	MUST(!sigaltstack(&stack, NULL));
}

static void *subject(void *unused)
{
	int i;

	scopes[0] = safe_syscall_self();
	for (i = 1; i < SCOPES; i++)
		scopes[i] = &objects[i];
	use_alternate_stack();
	s.tid = (pid_t)syscall(SYS_gettid);
	run(tree.top);
	while (s.depth_max)
		do_leave(0);
	if (dirty[0] && !is_marked(settled(0)))
		interrupt(0);
	do_rearm(0, 1000);
	_exit(0);
	return unused;
}

/* ---- the director ------------------------------------------------------------------------- */

static struct {
	int noise, countdown;
	unsigned int number[LEVELS];	/* the call that these belong to: */
	int next[LEVELS];
	/* since when a call has been asleep that must return */
	unsigned int asleep_number, asleep_runs, asleep_words[SCOPES], looks;
	double since;
	unsigned int progress;
	double progress_at;
} d;

static void spin(int n)
{
	volatile int i;

	for (i = 0; i < n * 8; i++)
		;
}

static void direct(const struct event *e)
{
	if (e->off)
		return;
	if (e->kind == SEND)
		send_to_subject(e);
	else
		interrupt(scope_of(e));
}

/* Its deadline has passed, and the library is to find out. */
static int is_due(int i, unsigned int word)
{
	return !(word & (MARKED | BUSY_MASK)) && has_passed(deadlines[i]) && !doubtful[i];
}

static int must_return(const struct frame *f, unsigned int *seen)
{
	int i, must = 0;

	for (i = 0; i < SCOPES; i++) {
		seen[i] = settled(i);
		if (i <= s.depth_min && (is_marked(seen[i]) || is_due(i, seen[i])) &&
		    (!f->middle || is_clear(f->words[i])))
			must = 1;
	}
	return must && !f->is_raw;
}

/* A deadline will end it soon: every other call is left to it. */
static int is_left_to_deadline(const struct frame *f)
{
	unsigned int deadline;
	int i;

	for (i = 0; i <= s.depth_min && f->number % 2 && !f->is_raw; i++) {
		deadline = deadlines[i];
		if (deadline && !has_passed(deadline) && has_passed(deadline - 15000))
			return 1;
	}
	return 0;
}

/* Is the interrupt signal in this set of the subject's, in its status? */
static const char *is_in_set(const char *name, const char *yes)
{
	char path[64], text[2048];
	const char *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)s.tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	p = strstr(text, name);
	if (!p)
		return "";
	/* hexadecimal digits, the last one for signals 1 to 4 */
	n = (ssize_t)strcspn(p, "\n") - 1 - (interrupt_signal - 1) / 4;
	return strtol((char[]){ p[n], 0 }, NULL, 16) >> (interrupt_signal - 1) % 4 & 1 ? yes : "";
}

/* It is asleep, and must return. */
static void watch(const struct frame *f, unsigned int number, const unsigned int *seen)
{
	if (d.asleep_number != number || d.asleep_runs != s.runs ||
	    memcmp(d.asleep_words, seen, sizeof d.asleep_words)) {
		d.asleep_number = number;
		d.asleep_runs = s.runs;
		memcpy(d.asleep_words, seen, sizeof d.asleep_words);
		d.since = now();
		d.looks = 0;
	}
	if (++d.looks > 20 && now() - d.since > shared->limit_ms / 1e3) {
		s.now = (int)(f->event - tree.event);
		wrong("INTERRUPT LOST (G1, G6): blocks on level %d in scope %d; marked:%s%s%s%s; "
		      "interrupted() of them: %d %d %d %d%s%s", (int)(f - frames), s.depth_min,
		      seen[0] & MARKED ? " own" : "", seen[1] & MARKED ? " 1" : "",
		      seen[2] & MARKED ? " 2" : "", seen[3] & MARKED ? " 3" : "",
		      safe_syscall_interrupted(scopes[0]), safe_syscall_interrupted(scopes[1]),
		      safe_syscall_interrupted(scopes[2]), safe_syscall_interrupted(scopes[3]),
		      is_in_set("SigBlk:", "; the signal is blocked"),
		      is_in_set("SigPnd:", "; it is pending"));
	}
}

static void feed(int l, unsigned int number)
{
	writing = 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (s.top == l && frames[l].number == number) {
		fed[l]++;
		MUST(write(out[l], "x", 1) == 1);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	writing = 0;
}

/* What there is to be done, up to where the subject has to be asleep again. */
static void next_of(struct frame *f, int l)
{
	const struct event *e;

	do {
		e = &tree.event[d.next[l]];
		d.next[l] = e->next;
		direct(e);
		e = &tree.event[d.next[l]];
		if (d.next[l] && e->together)
			spin(e->delay);
	} while (d.next[l] && e->together && f->number == d.number[l]);
}

/* Returns whether there was anything to do. */
static int look_at_call(void)
{
	unsigned int number, seen[SCOPES];
	int l = s.top;
	struct frame *f = &frames[l < 0 ? 0 : l];

	if (l < 0)
		return 0;
	number = f->number;
	if (thread_state(s.tid) != 'S' || s.top != l || f->number != number || !f->active)
		return 0;
	if (d.number[l] != number) {
		d.number[l] = number;
		d.next[l] = f->event->kind == BLOCK || f->event->kind == RAW_BLOCK ?
			f->event->first : 0;
	}
	if (must_return(f, seen)) {
		watch(f, number, seen);
		return d.looks < 20;
	}
	/* the library may sleep for a moment in any call */
	if (f->event->kind != BLOCK && f->event->kind != RAW_BLOCK)
		return 0;
	if (d.next[l])
		next_of(f, l);
	else if (!is_left_to_deadline(f))
		feed(l, number);
	return 1;
}

static void make_noise(void)
{
	const struct event *e = &tree.event[d.noise];

	if (!d.noise || !s.tid || d.countdown-- > 0)
		return;
	direct(e);
	d.noise = e->next;
	d.countdown = tree.event[d.noise].delay / 4;
}

static void watch_progress(void)
{
	if (s.progress != d.progress || s.waiting || s.top >= 0) {
		d.progress = s.progress;
		d.progress_at = now();
	} else if (now() - d.progress_at > 10 * scale) {
		wrong("no progress: the subject hangs");
	}
}

/* The tracer tells us when: the subject is stopped. */
static void take_order(void)
{
	int order = shared->order;

	if (order && getpid() == shared->pid) {
		direct(&tree.event[order]);
		shared->order = 0;
	}
}

static void __attribute__((noreturn)) director(void)
{
	struct timespec moment = { 0, 0 };
	int idle = 0;

	prctl(PR_SET_TIMERSLACK, 1L);
	d.progress_at = now();
	for (;;) {
		take_order();
		make_noise();
		if (look_at_call()) {
			idle = 0;
			continue;
		}
		if (++idle < 8) {
			sched_yield();
		} else {
			moment.tv_nsec = idle < 100 ? idle * 2000 : 200000;
			nanosleep(&moment, NULL);
			watch_progress();
		}
	}
}

static void *director_thread(void *unused)
{
	director();
	return unused;
}

static void start_director(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	NEED(!pthread_attr_init(&attr) && !pthread_attr_setstacksize(&attr, STACK));
	NEED(!pthread_create(&thread, &attr, director_thread, NULL));
}

/* ---- a seed ------------------------------------------------------------------------------- */

static void choose_signal(void)
{
	static const int others[] = { 0, 0, SIGURG, SIGUSR2 };
	int choice = others[tree.signal_choice], sig;
	struct sigaction sa;

	MUST(safe_syscall_init(choice) == 0);
	interrupt_signal = choice;
	if (!choice && safe_syscall_signal) {
		interrupt_signal = safe_syscall_signal();
	} else if (!choice) {
		for (sig = SIGRTMIN + COMBOS; sig <= SIGRTMAX; sig++)
			if (!sigaction(sig, NULL, &sa) && sa.sa_flags & SA_SIGINFO)
				interrupt_signal = sig;
		if (!sigaction(SIGURG, NULL, &sa) && sa.sa_flags & SA_SIGINFO)
			interrupt_signal = SIGURG;
	}
	MUST(interrupt_signal);
}

static void __attribute__((noreturn)) seed_process(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int l, fd[2];

	setpgid(0, 0);
	set_limits();
	shared->pid = s.pid = getpid();
	/* whole seconds, so that whole microseconds are the same for the library */
	clock_gettime(CLOCK_MONOTONIC, &program_start);
	program_start.tv_sec -= 10;
	program_start.tv_nsec = 0;
	s.top = -1;
	if (tree.pinned)
		stay_on_one_processor();
	for (l = 0; l < LEVELS; l++) {
		NEED(!pipe(fd));
		in[l] = fd[0];
		out[l] = fd[1];
	}
	choose_signal();
	d.noise = tree.noise;
	d.countdown = tree.event[d.noise].delay / 4;
	MUST(!pthread_attr_init(&attr));
	MUST(!pthread_attr_setstack(&attr, stacks + STACK, 2 * STACK));
	NEED(!pthread_create(&thread, &attr, subject, NULL));
	director();
}

/* ---- the tracer --------------------------------------------------------------------------- */

static int tell(int order, pid_t pid)
{
	double begun = now();

	shared->order = order;
	while (shared->order) {
		if (now() - begun > 5 * scale || kill(pid, 0))
			return -1;
		sched_yield();
	}
	return 0;
}

static int can_step;

/* Lets it run on; returns the signal that it has stopped for, or -1. */
static int resume(int request, pid_t tid, int sig)
{
	int status;

	if (sig == SIGTRAP || sig == SIGSTOP)
		sig = 0;
	if (ptrace(request, tid, NULL, (void *)(intptr_t)sig) ||
	    waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
		return -1;
	return WSTOPSIG(status);
}

/* The subject has stopped itself: so many steps, and what is to come there. */
static void trace(pid_t tid, int sig)
{
	int i, n, at = shared->at;

	while (sig > 0 && sig != SIGSTOP)	/* those that can't be blocked */
		sig = resume(PTRACE_CONT, tid, sig);
	ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof shared->mask, (void *)shared->mask);
	for (i = tree.event[at].first; i; i = tree.event[i].next) {
		n = tree.event[i].off || !can_step ? 0 : tree.event[i].delay;
		while (n-- > 0 && sig > 0)
			sig = resume(PTRACE_SINGLESTEP, tid, sig);
		if (sig < 0 || tell(i, shared->pid))
			break;
	}
	if (sig == SIGTRAP || sig == SIGSTOP)
		sig = 0;
	shared->traced = 0;
	ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)(sig > 0 ? sig : 0));
}

static unsigned long short_of;

/* Returns whether the seed has failed; then shared->what says why. */
static int run_seed(int limit_ms)
{
	pid_t pid, got;
	int status;

	memset((void *)shared, 0, sizeof *shared);
	shared->forks = 2;
	shared->threads = 2;
	shared->execs = 1;
	shared->limit_ms = (int)(limit_ms * scale);
	pid = fork();
	if (pid == -1) {
		short_of++;
		return 0;
	}
	if (!pid)
		seed_process();
	for (;;) {
		got = waitpid(-1, &status, __WALL);
		if (got > 0 && WIFSTOPPED(status))
			trace(got, WSTOPSIG(status));
		else if (got == pid || (got == -1 && errno != EINTR))
			break;
	}
	kill(-pid, SIGKILL);
	if (shared->short_of) {
		short_of++;
		return 0;
	}
	if (!shared->failed && got == pid && WIFSIGNALED(status))
		snprintf((char *)shared->what, sizeof shared->what, "died of signal %d%s",
			 WTERMSIG(status), WTERMSIG(status) == SIGALRM ? ": a hang" : "");
	else if (!shared->failed && (got != pid || status))
		snprintf((char *)shared->what, sizeof shared->what, "status 0x%x", status);
	return shared->failed || got != pid || status;
}

/* ---- printing ----------------------------------------------------------------------------- */

static const char *const names[] = {
	"nothing", "enter", "leave", "deadline", "interrupt", "rearm", "getpgid", "read a byte",
	"blocking read", "raw getpgid", "raw blocking read", "raise", "poll", "siglongjmp",
	"fork", "new thread", "exec", "during the next operation", "signal",
	"interrupt from outside"
};

static int print_depth;

static int describe_signal(char *to, size_t size, const struct event *e)
{
	static const char *const ways[] = { "foreign", "hooked", "wrapped" };
	static const char *const alternates[] = {
		"", ", alternate stack below", ", alternate stack above",
		", SS_AUTODISARM stack below", ", SS_AUTODISARM stack above"
	};

	return snprintf(to, size, ": %s%s%s%s%s", ways[way(e->which)],
			on_stack(e->which) ? alternates[tree.alternate] : "",
			e->switches ? ", switches to another stack" : "",
			stops_calls(e->which) ? ", no SA_RESTART" : "",
			nodefer(e->which) ? ", SA_NODEFER" : "");
}

static void describe(char *to, size_t size, int index)
{
	static const char *const forks[] = { "fork()", "safe_syscall", "raw", "raw" };
	const struct event *e = &tree.event[index];
	int n = snprintf(to, size, "%s", names[e->kind]);

	to += n;
	size -= (size_t)n;
	if (e->kind == INTERRUPT || e->kind == REARM || e->kind == OUTSIDE || e->kind == DEADLINE)
		n = snprintf(to, size, " scope %d%s", e->any ? e->which :
			     e->which % (print_depth + 1), e->any ? " (any)" : "");
	if (e->kind == DEADLINE && is_none(e))
		snprintf(to + n, size - (size_t)n, ": none");
	else if (e->kind == DEADLINE)
		snprintf(to + n, size - (size_t)n, ": in %d us", times[e->delay % TIMES]);
	else if (e->kind == SEND || e->kind == RAISE)
		describe_signal(to, size, e);
	else if (e->kind == FORK)
		snprintf(to, size, ": %s", forks[e->which]);
	else if (e->kind == EXEC)
		snprintf(to, size, ": %s", e->which % 2 ? "interrupted just before" : "quiet");
	else if (e->kind == JUMP)
		snprintf(to, size, ": past %d", e->which);
	else if ((e->kind == BLOCK || e->kind == CALL || e->kind == READY) && e->saves)
		snprintf(to, size, " (mask saved)");
}

static void print_list(int first, int indent, int noise)
{
	const struct event *e;
	char line[160];
	int i;

	for (i = first; i; i = e->next) {
		e = &tree.event[i];
		if (e->off)
			continue;
		if (!indent && !noise && e->kind == ENTER && print_depth < SCOPES - 1)
			print_depth++;
		describe(line, sizeof line, i);
		printf("  %3d %*s%s", i, indent * 4, "", line);
		if (noise == 1)
			printf("; after %d looks", e->delay / 4);
		else if (noise == 2)
			printf("; after %d more instructions", e->delay);
		else if ((e->kind == SEND || e->kind == OUTSIDE) && e->together)
			printf("; at once");
		printf("\n");
		print_list(e->first, indent + 1, e->kind == AT ? 2 : 0);
		if (!indent && !noise && e->kind == LEAVE && print_depth > 0)
			print_depth--;
	}
}

static void print_tree(void)
{
	static const char *const chosen[] = { "0", "0", "SIGURG", "SIGUSR2" };

	printf("  init(%s)%s\n", chosen[tree.signal_choice],
	       tree.pinned ? ", on one processor" : "");
	print_depth = 0;
	print_list(tree.top, 0, 0);
	for (print_depth = tree.noise; print_depth; print_depth = tree.event[print_depth].next)
		if (!tree.event[print_depth].off)
			break;
	if (print_depth) {
		printf("  at random times:\n");
		print_depth = SCOPES - 1;
		print_list(tree.noise, 0, 1);
	}
}

/* ---- shrinking ---------------------------------------------------------------------------- */

enum { LIMIT = 1500, SHORT_LIMIT = 400 };	/* milliseconds */

static double shrink_until;
static char kind_of_failure[16];
static int place_of_failure;

/* The same failure as at first, and not another one that is in there as well. */
static int is_same_failure(void)
{
	const char *what;

	what = strstr((const char *)shared->what, "] ");
	what = what ? what + 2 : (const char *)shared->what;
	if (!kind_of_failure[0]) {
		memcpy(kind_of_failure, what, strnlen(what, sizeof kind_of_failure - 1));
		place_of_failure = shared->where;
	}
	return !strncmp(kind_of_failure, what, strlen(kind_of_failure)) &&
		place_of_failure == shared->where;
}

static int fails(int limit_ms)
{
	return run_seed(limit_ms) && is_same_failure();
}

static int fails_again(int tries)
{
	while (tries-- > 0)
		if (fails(SHORT_LIMIT))
			return 1;
	return 0;
}

static int shrink_byte(unsigned char *byte, unsigned char to, int tries)
{
	unsigned char was = *byte;

	if (was == to || now() > shrink_until)
		return 0;
	*byte = to;
	if (fails_again(tries))
		return 1;
	*byte = was;
	return 0;
}

static int shrink_once(int tries)
{
	struct event *e;
	int i, changed = 0;

	for (i = 1; i < tree.used; i++)
		if (!tree.event[i].off)
			changed |= shrink_byte(&tree.event[i].off, 1, tries);
	changed |= shrink_byte(&tree.alternate, NO_STACK, tries);
	changed |= shrink_byte(&tree.signal_choice, 0, tries);
	changed |= shrink_byte(&tree.pinned, 1, tries);
	for (i = 1; i < tree.used; i++) {
		e = &tree.event[i];
		if (e->off)
			continue;
		changed |= shrink_byte(&e->together, 0, tries);
		changed |= shrink_byte(&e->saves, 0, tries);
		changed |= shrink_byte(&e->any, 0, tries);
		changed |= shrink_byte(&e->switches, 0, tries);
		if (e->kind == SEND || e->kind == RAISE) {
			changed |= shrink_byte(&e->which, FOREIGN, tries);
			changed |= shrink_byte(&e->which, e->which / 6 * 6, tries);
			changed |= shrink_byte(&e->which, e->which % 12, tries);
		} else {
			changed |= shrink_byte(&e->which, 0, tries);
		}
	}
	return changed;
}

/* What is below an event that is left out is left out as well. */
static void count_list(int first, int *n)
{
	for (; first; first = tree.event[first].next)
		if (!tree.event[first].off) {
			++*n;
			count_list(tree.event[first].first, n);
		}
}

static void drop_rest(int first, int off)
{
	for (; first; first = tree.event[first].next) {
		tree.event[first].off |= (unsigned char)off;
		drop_rest(tree.event[first].first, tree.event[first].off);
	}
}

static void shrink(void)
{
	int i, failed = 0, tries, all = 0, left = 0;

	memset(kind_of_failure, 0, sizeof kind_of_failure);
	is_same_failure();		/* to be: this one */
	for (i = 0; i < 10; i++)
		failed += fails(SHORT_LIMIT);
	printf("it fails in %d of 10 further runs\n", failed);
	if (!failed)
		return;
	tries = failed > 8 ? 2 : failed > 4 ? 5 : failed > 1 ? 15 : 40;
	shrink_until = now() + 45 * scale;
	count_list(tree.top, &all);
	count_list(tree.noise, &all);
	do {
		drop_rest(tree.top, 0);
		drop_rest(tree.noise, 0);
	} while (shrink_once(tries));
	drop_rest(tree.top, 0);
	drop_rest(tree.noise, 0);
	count_list(tree.top, &left);
	count_list(tree.noise, &left);
	for (i = 0; i < 3 * tries && !fails(LIMIT); i++)
		;
	printf("shrunk from %d events to %d: %s\n", all, left,
	       shared->what[0] ? (const char *)shared->what : "(does not fail any more)");
}

static void report(uint64_t seed)
{
	const char *wish = getenv("SAFE_SYSCALL_CHAOS_SHRINK");

	printf("seed %llu: %s\n", (unsigned long long)seed, (const char *)shared->what);
	fflush(stdout);
	if (!wish || strcmp(wish, "0"))
		shrink();
	print_tree();
	printf("again: SAFE_SYSCALL_CHAOS_SEED=%llu tests/chaos\n", (unsigned long long)seed);
	fflush(stdout);
}

/* ---- the test ----------------------------------------------------------------------------- */

static unsigned long long number_from(const char *name, unsigned long long otherwise)
{
	const char *wish = getenv(name);

	return wish && *wish ? strtoull(wish, NULL, 0) : otherwise;
}

/* How much slower than the machine that the limits were found on. */
static double measure(void)
{
	double begun, each = 1;
	pid_t pid;
	int i;

	for (i = 0; i < 20; i++) {
		begun = now();
		pid = fork();
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
		begun = now() - begun;
		each = begun < each ? begun : each;
	}
	return each < 500e-6 ? 1 : each > 50e-3 ? 100 : each / 500e-6;
}

/* Not every kernel has single steps. */
static int try_step(void)
{
	int status, sig;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		syscall(SYS_kill, getpid(), SIGSTOP);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 0;
	sig = resume(PTRACE_SINGLESTEP, pid, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return sig == SIGTRAP;
}

/* The dynamic linker has its turn now, and not where a strike is to hit the library. */
static void bind_all(void)
{
	static safe_syscall_scope scope;
	static const volatile int never;
	sigjmp_buf here;

	ck_assert(safe_syscall_interrupt(NULL) == -1);
	ck_assert(safe_syscall_enter(&scope) == 0 && safe_syscall_rearm(&scope) == 0);
	ck_assert(safe_syscall_leave(&scope) == 0 && safe_syscall_interrupted(&scope) == 0);
	ck_assert(safe_syscall(SYS_getppid) == getppid());
	ck_assert(safe_syscall_raw(&never, SYS_getppid) == getppid());
	safe_syscall_hook(SIGUSR1, NULL, NULL);
	syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), 0);
	if (!sigsetjmp(here, 1))
		siglongjmp(here, 1);
}

static void set_up(void)
{
	stacks = mmap(NULL, (4 + LEVELS) * STACK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	ck_assert(stacks != MAP_FAILED && shared != MAP_FAILED);
	scale = (double)number_from("SAFE_SYSCALL_CHAOS_SLOW", 0);
	if (scale < 1)
		scale = measure();
	/* whoever started us may have ignored them */
	signal(SIGUSR2, SIG_DFL);
	signal(SIGURG, SIG_DFL);
	bind_all();
	can_step = !TA_NO_STEP && try_step();
	install_handlers();
}

START_TEST(chaos)
{
	double until, began, right = 0;
	unsigned long long seed, ran = 0, only, wanted, failed = 0, others = 0;
	const char *want = getenv("SAFE_SYSCALL_CHAOS_WANT");

	if (emulated())
		SKIP("the signals of an emulator of user mode are its own");
	set_up();
	want = want ? want : "";
	until = now() + (double)number_from("SAFE_SYSCALL_CHAOS_SECONDS",
					    getenv("SAFE_SYSCALL_STRIDE") ? 5 : 60);
	only = number_from("SAFE_SYSCALL_CHAOS_SEED", 0);
	wanted = number_from("SAFE_SYSCALL_CHAOS_FAILURES", 1);
	seed = only ? only : number_from("SAFE_SYSCALL_CHAOS_FIRST", 1);
	for (; now() < until && failed < wanted; seed++) {
		grow(seed);
		ran++;
		began = now();
		if (!run_seed(LIMIT)) {
			right += now() - began;
		} else if (strstr((const char *)shared->what, want)) {
			failed++;
			report(seed);
		} else {
			others++;
		}
		if (only && (failed || ran == 100))
			break;
		if (only)
			seed--;
	}
	printf("chaos: %llu seeds%s, %.0f a second that are right, limits times %.1f: "
	       "%llu failed, %llu others\n", ran, only ? " (the same)" : "",
	       (double)(ran - failed - others) / (right > 0 ? right : 1), scale, failed, others);
	if (short_of)
		printf("chaos: %lu runs were given up: no memory, threads or processes\n", short_of);
	fflush(stdout);
	ck_assert_msg(!failed, "%llu seeds failed, see above", failed);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tc;

	if (argc == 3 && !strcmp(argv[1], "exec"))
		return exec_check(argv[2]);
	suite = suite_create("chaos");
	tc = tcase_create("chaos");
	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, chaos);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
/* NOLINTEND(misc-no-recursion,readability-redundant-declaration,bugprone-suspicious-string-compare,bugprone-branch-clone,clang-analyzer-*) */
