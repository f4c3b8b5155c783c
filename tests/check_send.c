/* SPDX-License-Identifier: MIT */
/*
 * check_send.c - layer 3: those who send an interrupt.  The kernel refuses to send it, a sender
 * is stuck, is cancelled, faults; and however it goes, whoever waits comes back, the
 * next one tries again, and nobody is counted who is not there.
 */
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "scopes.h"
#include "stand_in.h"

static safe_syscall_scope scope;
static volatile pid_t victim;
static volatile int came_back;

static void *blocks_in_scope(void *unused)
{
	(void)unused;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	victim = own_tid();
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	came_back = 1;
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
	return NULL;
}

static pthread_t start_victim(void)
{
	pthread_t thread;

	scope = NEW_SCOPE;
	thread = start(blocks_in_scope, NULL);
	while (!victim)
		sched_yield();
	wait_state(getpid(), victim, 'S');
	return thread;
}

/* ---- the signal is not sent --------------------------------------------------------- */

static int refusal, refused;

static int refuse_to_send(long number)
{
	if (number != SYS_tgkill || !refused)
		return 0;
	refused--;
	return refusal;
}

static void expect_not_sent(int error)
{
	errno = 0;
	ck_assert_int_eq(safe_syscall_interrupt(&scope), -1);
	ck_assert_int_eq(errno, error);
	ck_assert_int_eq(safe_syscall_interrupted(&scope), 1);
}

static const int refusals[] = { EPERM, ENOSYS, EINVAL, EAGAIN };
enum { REFUSALS = sizeof refusals / sizeof *refusals };

/* The mark is set, and the next one tries again. */
START_TEST(not_sent)
{
	pthread_t thread = start_victim();

	before_syscall = refuse_to_send;
	refusal = refusals[_i];
	refused = 1 << 30;
	expect_not_sent(refusal);
	expect_not_sent(refusal);
	ck_assert_int_eq(state_of(getpid(), victim), 'S');
	refused = 0;
	errno = 4242;
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(errno, 4242);
	join(thread);
}
END_TEST

/* To the thread itself; and the failure is forgotten when it is taken back. */
START_TEST(not_sent_to_oneself)
{
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	before_syscall = refuse_to_send;
	refusal = refusals[_i];
	refused = 1 << 30;
	expect_not_sent(refusal);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	refused = 0;
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
}
END_TEST

/* The thread is gone: nobody is to be told.  Or the queue is full for a moment. */
START_TEST(not_sent_is_no_failure)
{
	pthread_t thread = start_victim();

	before_syscall = refuse_to_send;
	refusal = _i ? EAGAIN : ESRCH;
	refused = _i ? 40 : 1;
	errno = 4242;
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	ck_assert_int_eq(errno, 4242);
	ck_assert_int_eq(refused, 0);
	if (!_i) {
		/* it was a lie */
		ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
		ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	}
	join(thread);
}
END_TEST

/*
 * A real-time signal wants a place in the queue.  What fills it may be for the very thread that
 * sends, and that has all signals blocked while it does.
 */
static void nothing(int sig)
{
	(void)sig;
}

START_TEST(queue_is_full)
{
	int filler = SIGRTMIN + 4;
	pthread_t thread;
	sigset_t set;
	rlim_t room;

	ck_assert_int_eq(safe_syscall_init(SIGRTMIN + 5), 0);
	interrupt_signal = safe_syscall_signal();
	ck_assert_int_eq(pipe(fd), 0);
	handle(filler, nothing, SA_RESTART, 0);
	sigemptyset(&set);
	sigaddset(&set, filler);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	thread = start_victim();
	room = limit_queue(_i ? 8 : 0);
	while (syscall(SYS_tgkill, getpid(), own_tid(), filler) == 0)
		;
	/* the queue is the user's, and others may have left it */
	limit_queue(0);
	expect_not_sent(EAGAIN);
	limit_queue(room);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	join(thread);
}
END_TEST

/*
 * In a handler of others it is full when the interrupt arrives, so that there is no timer; and
 * what the thread then sends to itself must not want a place either.
 */
static void full_when_it_arrives(int sig)
{
	rlim_t room;
	sigset_t set;

	(void)sig;
	sigemptyset(&set);
	sigaddset(&set, interrupt_signal);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	safe_syscall_interrupt(&scope);
	room = limit_queue(0);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	limit_queue(room);
}

START_TEST(queue_is_full_in_a_handler)
{
	pthread_t thread;

	ck_assert_int_eq(safe_syscall_init(_i ? SIGRTMIN + 5 : 0), 0);
	interrupt_signal = safe_syscall_signal();
	ck_assert_int_eq(pipe(fd), 0);
	handle(SIGUSR1, full_when_it_arrives, SA_RESTART, 0);
	thread = start_victim();
	signal_thread(victim, SIGUSR1);
	join(thread);
}
END_TEST

/* ---- seccomp's answers to the library's own calls --------------------------------------- */

/* Returns 0 where there are no filters. */
static int filter_call(long number, unsigned int answer)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_K | BPF_JEQ, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	};
	struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 &&
		prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program) == 0;
}

static const char no_filters[] = "this kernel has no seccomp filters";

/* A thread that has no filter. */
static volatile int go;

static void *interrupt_unfiltered(void *unused)
{
	while (!go)
		sched_yield();
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	return unused;
}

START_TEST(filter_refuses)
{
	pthread_t thread = start_victim(), other = start(interrupt_unfiltered, NULL);
	int filtered = filter_call(SYS_tgkill, SECCOMP_RET_ERRNO | EPERM);

	if (filtered) {
		expect_not_sent(EPERM);
		expect_not_sent(EPERM);
	}
	go = 1;
	join(other);
	join(thread);
	if (!filtered)
		SKIP(no_filters);
}
END_TEST

/* A sandbox emulates the call in a handler, which must not find its signal blocked. */
static volatile int emulated_calls;

static void emulate_call(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)ucontext;
	emulated_calls += info->si_syscall == SYS_tgkill;
}

START_TEST(filter_traps)
{
	int filtered;

	scope = NEW_SCOPE;
	on_signal(SIGSYS, 0, emulate_call);
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	filtered = filter_call(SYS_tgkill, SECCOMP_RET_TRAP);
	/* what it returns is whatever was in the register */
	safe_syscall_interrupt(&scope);
	ck_assert_int_eq(safe_syscall_interrupted(&scope), 1);
	ck_assert_int_eq(block(), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(safe_syscall_leave(&scope), 1);
	ck_assert(is_quiet());
	if (!filtered)
		SKIP(no_filters);
	ck_assert_int_ge(emulated_calls, 1);
}
END_TEST

/* ---- senders that are stuck ------------------------------------------------------------------ */

static void *interrupt_and_get_stuck(void *unused)
{
	may_get_stuck = 1;
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	return unused;
}

static pthread_t start_stuck_sender(void)
{
	pthread_t thread;

	stuck_at = SYS_tgkill;
	before_syscall = get_stuck;
	thread = start(interrupt_and_get_stuck, NULL);
	while (!stuck)
		sched_yield();
	return thread;
}

/* In a handler nobody is waited for: the sender may need what the handler has interrupted. */
static volatile int rearmed, was_stuck, waits;

static void rearms(int sig)
{
	(void)sig;
	rearmed = safe_syscall_rearm(&scope);
	was_stuck = !released;
}

/* But outside a handler the next one waits, although there is nothing to take back. */
static void *released_soon(void *unused)
{
	while (!waits)
		sched_yield();
	pause_ms(20);
	released = 1;
	return unused;
}

START_TEST(rearm_after_one_in_a_handler)
{
	pthread_t sender, helper;

	scope = NEW_SCOPE;
	handle(SIGUSR1, rearms, SA_RESTART, _i);
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	sender = start_stuck_sender();
	helper = start(released_soon, NULL);
	raise(SIGUSR1);
	ck_assert_int_eq(was_stuck, 1);
	waits = 1;
	safe_syscall_rearm(&scope);
	ck_assert_int_eq(released, 1);
	join(sender);
	join(helper);
	ck_assert(is_quiet());
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
}
END_TEST

START_TEST(rearm_in_a_handler)
{
	pthread_t thread, sender;

	handle(SIGUSR1, rearms, SA_RESTART, _i);
	thread = start_victim();
	sender = start_stuck_sender();
	signal_thread(victim, SIGUSR1);
	while (!was_stuck)
		sched_yield();
	ck_assert_int_eq(rearmed, 1);
	released = 1;
	join(sender);
	/* it was for nobody */
	ck_assert_int_eq(safe_syscall_interrupted(&scope), 0);
	wait_state(getpid(), victim, 'S');
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	join(thread);
}
END_TEST

/*
 * One has sent, for an interrupt that is then taken back, but does not say so before another has
 * set it again and not sent yet.  So the third one must send.
 */
static __thread int is_first_sender;
static volatile int has_sent, may_go_on, in_handler;

static void linger(long number)
{
	if (number != SYS_tgkill || !is_first_sender)
		return;
	has_sent = 1;
	while (!may_go_on)
		sched_yield();
}

static void *send_and_linger(void *unused)
{
	is_first_sender = 1;
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	return unused;
}

static void rearms_when_sent(int sig)
{
	(void)sig;
	in_handler = 1;
	while (!has_sent)
		sched_yield();
	rearmed = safe_syscall_rearm(&scope);
	in_handler = 0;
}

/* The victim waits again, and the first sender has not said yet that it has sent. */
static pthread_t start_lingering(void)
{
	pthread_t first;

	handle(SIGUSR1, rearms_when_sent, SA_RESTART, 0);
	after_syscall = linger;
	signal_thread(victim, SIGUSR1);
	while (!in_handler)
		sched_yield();
	first = start(send_and_linger, NULL);
	while (!rearmed || in_handler)
		sched_yield();
	wait_state(getpid(), victim, 'S');
	return first;
}

START_TEST(three_senders)
{
	pthread_t thread = start_victim(), first = start_lingering(), second;

	second = start_stuck_sender();
	may_go_on = 1;
	join(first);
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	/* it comes back, and waits in leave */
	while (!came_back)
		sched_yield();
	released = 1;
	join(second);
	join(thread);
}
END_TEST

/* Or the other can't send, and is gone before the first one says that it has. */
START_TEST(one_of_two_fails)
{
	pthread_t thread = start_victim(), first = start_lingering();

	before_syscall = refuse_to_send;
	refusal = EPERM;
	refused = 1;
	expect_not_sent(EPERM);
	may_go_on = 1;
	join(first);
	ck_assert_int_eq(state_of(getpid(), victim), 'S');
	ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
	join(thread);
}
END_TEST

/* The sender is this thread, which a handler of a fault has interrupted while it sends. */
static int rearm_while_sending(long number)
{
	if (number == SYS_tgkill && !rearmed)
		rearmed = safe_syscall_rearm(&scope);
	return 0;
}

START_TEST(rearm_while_sending_oneself)
{
	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	before_syscall = rearm_while_sending;
	safe_syscall_interrupt(&scope);
	ck_assert_int_eq(rearmed, 1);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	ck_assert(is_quiet());
}
END_TEST

/*
 * A sender that does not get on keeps nobody from a call: one look tells that its interrupt has
 * been taken back, and the calls after that are made at once.  Who leaves waits for it, and soon
 * asleep.  The time is told, and what is counted decides.
 */
static __thread int is_counted;
static volatile int masks, naps, yields;

int sched_yield(void)
{
	yields += is_counted;
	return (int)syscall(SYS_sched_yield);
}

static int count(long number)
{
	if (is_counted) {
		masks += number == SYS_rt_sigprocmask;
#ifdef SYS_futex_time64
		naps += number == SYS_futex_time64;
#else
		naps += number == SYS_futex;
#endif
	}
	return get_stuck(number);
}

static double processor_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

enum { NAPS = 20 };

static void *released_when_it_sleeps(void *unused)
{
	while (naps < NAPS)
		pause_ms(1);
	released = 1;
	return unused;
}

START_TEST(beside_a_sender)
{
	enum { CALLS = 1000 };
	struct sigaction sa = { .sa_handler = rearms };
	double began, cpu;
	pthread_t sender, helper;
	int i;

	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	sender = start_stuck_sender();
	ck_assert_int_eq(safe_syscall_sigaction(SIGUSR1, &sa, NULL), 0);
	raise(SIGUSR1);
	ck_assert_int_eq(rearmed, 1);
	ck_assert_int_eq(was_stuck, 1);

	before_syscall = count;
	is_counted = 1;
	began = now();
	cpu = processor_time();
	for (i = 0; i < CALLS; i++)
		ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	printf("beside a sender: %d calls in %.3f ms, %.3f of them busy; signals masked %d times\n",
	       CALLS, (now() - began) * 1e3, (processor_time() - cpu) * 1e3, masks);
	ck_assert_int_le(masks, 2);
	ck_assert_int_eq(naps + yields, 0);

	helper = start(released_when_it_sleeps, NULL);
	masks = naps = yields = 0;
	began = now();
	cpu = processor_time();
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	printf("left in %.3f ms, %.3f of them busy; yielded %d times, slept %d times\n",
	       (now() - began) * 1e3, (processor_time() - cpu) * 1e3, yields, naps);
	is_counted = 0;
	ck_assert_int_eq(released, 1);
	ck_assert_int_le(yields, 64);
	ck_assert_int_ge(naps, NAPS);
	join(sender);
	join(helper);
	ck_assert(is_quiet());
}
END_TEST

/* More than a small number can count. */
enum { SENDERS = 300, STACK = 256 * 1024 };

static void *release(void *unused)
{
	pause_ms(20);
	released = 1;
	return unused;
}

START_TEST(many_senders)
{
	pthread_t threads[SENDERS], other;
	pthread_attr_t attr;
	int i, n;

	scope = NEW_SCOPE;
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	stuck_at = SYS_tgkill;
	before_syscall = get_stuck;
	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, STACK), 0);
	for (n = 0; n < SENDERS; n++)
		if (pthread_create(&threads[n], &attr, interrupt_and_get_stuck, NULL))
			break;
	while (stuck < n)
		pause_ms(1);
	other = start(release, NULL);
	ck_assert_int_eq(_i ? safe_syscall_rearm(&scope) : safe_syscall_leave(&scope), 1);
	ck_assert_int_eq(released, 1);
	for (i = 0; i < n; i++)
		join(threads[i]);
	join(other);
	if (_i)
		ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	safe_syscall_rearm(&scope);
	ck_assert(is_quiet());
	ck_assert_int_eq(safe_syscall_enter(&scope), 0);
	ck_assert_int_eq(safe_syscall(SYS_getppid), getppid());
	ck_assert_int_eq(safe_syscall_leave(&scope), 0);
	if (n < SENDERS)
		SKIP("not so many threads");
}
END_TEST

/*
 * The scope is left while somebody looks who is in it.  Behind it is memory that nobody has:
 * what is not the thread's is not to be taken for it.
 */
static safe_syscall_scope *at_the_end;
static volatile int phase, stop;

static void *interrupt_at_a_moment(void *unused)
{
	unsigned int spin, i;

	for (spin = 0; !stop; spin++) {
		while (phase != 1 && !stop)
			sched_yield();
		for (i = spin % 256; i > 0; i--)
			__asm__ volatile ("" ::: "memory");
		safe_syscall_interrupt(at_the_end);
		phase = 2;
	}
	return unused;
}

START_TEST(left_at_any_moment)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double began = now();
	unsigned int spin, j;
	pthread_t thread;
	int i;

	ck_assert(memory != MAP_FAILED);
	ck_assert_int_eq(munmap(memory + size, size), 0);
	at_the_end = (safe_syscall_scope *)(memory + size) - 1;
	thread = start(interrupt_at_a_moment, NULL);
	for (i = 0; i < shortened(200000) && now() - began < 2; i++) {
		*at_the_end = NEW_SCOPE;
		safe_syscall_enter(at_the_end);
		phase = 1;
		for (spin = (unsigned int)i % 251 * 4, j = 0; j < spin && phase == 1; j++)
			__asm__ volatile ("" ::: "memory");
		safe_syscall_leave(at_the_end);
		while (phase != 2)
			sched_yield();
	}
	stop = 1;
	join(thread);
	ck_assert(is_quiet());
}
END_TEST

/* ---- senders that are cancelled ----------------------------------------------------------------- */

static volatile int sends;

static void *send_until_cancelled(void *how)
{
	/* NOLINTNEXTLINE(cert-pos47-c): that is what is tried */
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	while (sends < INT_MAX) {
		sends++;
		safe_syscall_interrupt(&scope);
		if (how)
			safe_syscall_rearm(&scope);
	}
	return NULL;
}

/*
 * Cancelled at ever another moment: nobody is left counted, for whom leave would wait.  But
 * not in enter() or leave(), which are not safe there.
 */
START_TEST(cancelled)
{
	double began = now();
	int i, spin, halves = 0;
	pthread_t thread;

	scope = NEW_SCOPE;
	for (i = 0; i < shortened(400) && now() - began < 3; i++) {
		sends = 0;
		thread = start(send_until_cancelled, _i ? &scope : NULL);
		while (!sends)
			sched_yield();
		for (spin = i * 97 % 20000; spin > 0; spin--)
			__asm__ volatile ("" ::: "memory");
		ck_assert_int_eq(pthread_cancel(thread), 0);
		join(thread);
		safe_syscall_rearm(&scope);
		if (safe_syscall_enter(&scope)) {
			/* between the two steps by which a scope is left */
			ck_assert_int_eq(_i, 2);
			ck_assert_int_lt(++halves, 100);
			scope = NEW_SCOPE;
			continue;
		}
		ck_assert_int_eq(safe_syscall_interrupt(&scope), 0);
		ck_assert_int_eq(safe_syscall_leave(&scope), 1);
		ck_assert_int_eq(safe_syscall_rearm(&scope), 1);
	}
	ck_assert(is_quiet());
}
END_TEST

/* ---- scopes in memory that has to be mapped first ------------------------------------------------- */

/* As a garbage collector or a checkpoint tool has it: an access faults, and a handler sees to it. */
static char *page;
static size_t page_size;
static volatile int faults;

static void unprotect(int sig)
{
	(void)sig;
	faults++;
	mprotect(page, page_size, PROT_READ | PROT_WRITE);
	safe_syscall(SYS_getppid);
}

static int protect_at_tgkill(long number)
{
	if (number == SYS_tgkill)
		mprotect(page, page_size, PROT_NONE);
	return 0;
}

START_TEST(faulting_memory)
{
	int how = _i % 2 ? PROT_NONE : PROT_READ;
	safe_syscall_scope *s;

	page_size = (size_t)sysconf(_SC_PAGESIZE);
	page = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(page != MAP_FAILED);
	/*
	 * Written first: before 6.4 a mips kernel forgets, when the protection changes, that
	 * a page which has only been read is everybody's page of zeros, and frees that.
	 */
	s = (safe_syscall_scope *)page;
	*s = NEW_SCOPE;
	handle(SIGSEGV, unprotect, 0, _i & 2);
#define PROTECTED(call) (mprotect(page, page_size, how), (call))
	ck_assert_int_eq(PROTECTED(safe_syscall_enter(s)), 0);
	ck_assert_int_eq(PROTECTED(safe_syscall(SYS_getppid)), getppid());
	if (_i & 4)
		before_syscall = protect_at_tgkill;
	ck_assert_int_eq(PROTECTED(safe_syscall_interrupt(s)), 0);
	before_syscall = NULL;
	ck_assert_int_eq(PROTECTED(block()), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(PROTECTED(safe_syscall_interrupted(s)), 1);
	ck_assert_int_eq(PROTECTED(safe_syscall_rearm(s)), 1);
	ck_assert_int_eq(PROTECTED(safe_syscall(SYS_getppid)), getppid());
	ck_assert_int_eq(PROTECTED(safe_syscall_interrupt(s)), 0);
	ck_assert_int_eq(PROTECTED(safe_syscall_leave(s)), 1);
	ck_assert_int_eq(PROTECTED(safe_syscall_enter(s)), 0);
	ck_assert_int_eq(PROTECTED(block()), -SAFE_ERESTARTSYS);
	ck_assert_int_eq(PROTECTED(safe_syscall_leave(s)), 1);
	ck_assert_int_ge(faults, 5);
	ck_assert(is_quiet());
	mprotect(page, page_size, PROT_READ | PROT_WRITE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("send");
	TCase *tc = tcase_create("senders");
	TCase *without = tcase_create("before init");

	limit_time(without, 30);
	tcase_add_loop_test(without, queue_is_full, 0, 2);
	tcase_add_loop_test(without, queue_is_full_in_a_handler, 0, 2);
	suite_add_tcase(suite, without);

	limit_time(tc, 60);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, not_sent, 0, REFUSALS);
	tcase_add_loop_test(tc, not_sent_to_oneself, 0, REFUSALS);
	tcase_add_loop_test(tc, not_sent_is_no_failure, 0, 2);
	tcase_add_test(tc, filter_refuses);
	tcase_add_test(tc, filter_traps);
	tcase_add_loop_test(tc, rearm_in_a_handler, 0, 2);
	/* a handler that the library does not know is taken for the main flow */
	tcase_add_loop_test(tc, rearm_after_one_in_a_handler, 1, 2);
	tcase_add_test(tc, three_senders);
	tcase_add_test(tc, one_of_two_fails);
	tcase_add_test(tc, rearm_while_sending_oneself);
	tcase_add_test(tc, beside_a_sender);
	tcase_add_loop_test(tc, many_senders, 0, 2);
	tcase_add_loop_test(tc, cancelled, 0, 2);
	tcase_add_test(tc, left_at_any_moment);
	tcase_add_loop_test(tc, faulting_memory, 0, 8);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
