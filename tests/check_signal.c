/* SPDX-License-Identifier: MIT */
/* check_signal.c - real signals at calls that block in the kernel */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "testing.h"

static volatile int flag;
static volatile int handled;
static volatile enum safe_syscall_phase found;

static void set_and_rewind(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	flag = 1;
	found = safe_syscall_rewind(ucontext);
	handled++;
}

static void rewind_only(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	found = safe_syscall_rewind(ucontext);
	handled++;
}

static pid_t main_tid;
static pthread_t main_thread;
static void (*afterwards)(void);

/* Send the signal when the main thread is asleep in the kernel. */
static void *sender(void *unused)
{
	(void)unused;
	wait_state(getpid(), main_tid, 'S');
	pthread_kill(main_thread, SIGUSR1);
	if (afterwards) {
		while (!handled)
			sched_yield();
		wait_state(getpid(), main_tid, 'S');
		afterwards();
	}
	return NULL;
}

static pthread_t send_when_asleep(void (*then)(void))
{
	pthread_t thread;

	flag = handled = 0;
	found = SAFE_SYSCALL_OUTSIDE;
	afterwards = then;
	main_tid = (pid_t)syscall(SYS_gettid);
	main_thread = pthread_self();
	ck_assert_int_eq(pthread_create(&thread, NULL, sender, NULL), 0);
	return thread;
}

/* ---- one of each kind of call that can block -------------------------------- */

static int fd[2], listener, lock_fd;
static char fifo[64];
static int futex_word;

static void setup(void)
{
	char name[] = "/tmp/safe_syscall.XXXXXX";
	int other;

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_ptr_ne(mkdtemp(name), NULL);
	snprintf(fifo, sizeof fifo, "%s/fifo", name);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, &(struct sockaddr){ .sa_family = AF_UNIX },
			      sizeof(sa_family_t)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	lock_fd = open(name, O_RDONLY);
	other = open(name, O_RDONLY);
	ck_assert_int_eq(flock(other, LOCK_EX), 0);
}

static void teardown(void)
{
	unlink(fifo);
	*strrchr(fifo, '/') = 0;
	rmdir(fifo);
}

static long call_read(void)
{
	char c;

	return safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1);
}

static long call_open(void)
{
	return safe_syscall_raw(&flag, SYS_openat, AT_FDCWD, fifo, O_RDONLY, 0);
}

static long call_flock(void)
{
	return safe_syscall_raw(&flag, SYS_flock, lock_fd, LOCK_EX);
}

static long call_accept(void)
{
	return safe_syscall_raw(&flag, SYS_accept4, listener, NULL, NULL, 0);
}

static long call_wait4(void)
{
	static pid_t child;
	long result;

	if (!child)
		child = fork();
	if (!child) {
		pause_ms(60000);
		_exit(0);
	}
	result = safe_syscall_raw(&flag, SYS_wait4, child, NULL, 0, NULL);
	return result;
}

static long call_futex(void)
{
	return safe_syscall_raw(&flag, SYS_futex, &futex_word,
				FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static long call_nanosleep(void)
{
	static const struct timespec wait = { 30, 0 };

	return safe_syscall_raw(&flag, SYS_nanosleep, &wait, NULL);
}

static long call_ppoll(void)
{
	struct pollfd p = { fd[0], POLLIN, 0 };

	return safe_syscall_raw(&flag, SYS_ppoll, &p, 1, NULL, NULL, _NSIG / 8);
}

static long call_rt_sigsuspend(void)
{
	static const unsigned long none[4];

	return safe_syscall_raw(&flag, SYS_rt_sigsuspend, none, _NSIG / 8);
}

static const struct {
	const char *name;
	long (*make)(void);
	int restarts;		/* with SA_RESTART, by signal(7) */
} blocking[] = {
	{ "read", call_read, 1 },
	{ "openat", call_open, 1 },
	{ "flock", call_flock, 1 },
	{ "accept4", call_accept, 1 },
	{ "wait4", call_wait4, 1 },
	{ "futex", call_futex, 1 },
	{ "nanosleep", call_nanosleep, 0 },
	{ "ppoll", call_ppoll, 0 },
	{ "rt_sigsuspend", call_rt_sigsuspend, 0 },
};

enum { BLOCKING = sizeof blocking / sizeof blocking[0] };

/* An emulator of ppc64 does not show that the kernel was entered. */
static void expect_at_call(void)
{
	if (!emulated())
		ck_assert_int_eq(found, SAFE_SYSCALL_AT_CALL);
	else
		ck_assert(found == SAFE_SYSCALL_AT_CALL || found == SAFE_SYSCALL_BEFORE);
}

/* What the kernel would restart comes back without effect: G1, G3. */
START_TEST(interrupted_with_sa_restart)
{
	pthread_t thread;
	long result;

	on_signal(SIGUSR1, SA_RESTART, set_and_rewind);
	thread = send_when_asleep(NULL);
	result = blocking[_i].make();
	pthread_join(thread, NULL);
	if (blocking[_i].restarts) {
		ck_assert_msg(result == -SAFE_ERESTARTSYS, "%s: %ld",
			      blocking[_i].name, result);
		expect_at_call();
	} else {
		ck_assert_msg(result == -EINTR, "%s: %ld", blocking[_i].name, result);
		ck_assert_int_eq(found, SAFE_SYSCALL_DONE);
	}
}
END_TEST

/* EINTR is the kernel's word: G5. */
START_TEST(interrupted_without_sa_restart)
{
	pthread_t thread;
	long result;

	on_signal(SIGUSR1, 0, set_and_rewind);
	thread = send_when_asleep(NULL);
	result = blocking[_i].make();
	pthread_join(thread, NULL);
	ck_assert_msg(result == -EINTR, "%s: %ld", blocking[_i].name, result);
	ck_assert_int_eq(found, SAFE_SYSCALL_DONE);
}
END_TEST

static void write_byte(void)
{
	ck_assert_int_eq(write(fd[1], "y", 1), 1);
}

/* A handler that does not set the flag changes nothing: G4. */
START_TEST(handler_without_flag)
{
	pthread_t thread;
	char c = 0;

	on_signal(SIGUSR1, SA_RESTART, rewind_only);
	thread = send_when_asleep(write_byte);
	ck_assert_int_eq(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1), 1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(c, 'y');
	ck_assert_int_eq(handled, 1);
	expect_at_call();
}
END_TEST

/* What was read before the signal is returned: G2. */
START_TEST(partial_result_is_kept)
{
	pthread_t thread;
	int pair[2], got;
	char buffer[8];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(write(pair[1], "abc", 3), 3);
	on_signal(SIGUSR1, SA_RESTART, set_and_rewind);
	thread = send_when_asleep(NULL);
	got = (int)safe_syscall_raw(&flag, SYS_recvfrom, pair[0], buffer, 8,
				    MSG_WAITALL, NULL, NULL);
	pthread_join(thread, NULL);
	ck_assert_int_eq(got, 3);
	ck_assert(!memcmp(buffer, "abc", 3));
	ck_assert_int_eq(found, SAFE_SYSCALL_DONE);
	/* and the flag stops the next */
	ck_assert_int_eq(safe_syscall_raw(&flag, SYS_read, pair[0], buffer, 8),
			 -SAFE_ERESTARTSYS);
}
END_TEST

START_TEST(hook_is_inert_elsewhere)
{
	pthread_t thread;
	char c = 0;
	ssize_t n;

	on_signal(SIGUSR1, SA_RESTART, set_and_rewind);
	thread = send_when_asleep(write_byte);
	n = read(fd[0], &c, 1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(c, 'y');
	ck_assert_int_eq(found, SAFE_SYSCALL_OUTSIDE);
}
END_TEST

/* A handler on another stack finds the same. */
START_TEST(on_alternate_stack)
{
	static char memory[65536];
	stack_t stack = { .ss_sp = memory, .ss_size = sizeof memory };
	pthread_t thread;
	char c;

	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	on_signal(SIGUSR1, SA_RESTART | SA_ONSTACK, set_and_rewind);
	thread = send_when_asleep(NULL);
	ck_assert_int_eq(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1),
			 -SAFE_ERESTARTSYS);
	pthread_join(thread, NULL);
}
END_TEST

/*
 * A hooked handler that interrupts a hooked handler: the flag is looked at after
 * both have returned, whichever has set it.
 */
static void outer(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	safe_syscall_rewind(ucontext);
	raise(SIGUSR2);
}

START_TEST(handler_in_handler)
{
	pthread_t thread;
	char c;

	on_signal(SIGUSR1, SA_RESTART, outer);
	on_signal(SIGUSR2, SA_RESTART, set_and_rewind);
	thread = send_when_asleep(NULL);
	ck_assert_int_eq(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1),
			 -SAFE_ERESTARTSYS);
	pthread_join(thread, NULL);
	ck_assert_int_eq(found, SAFE_SYSCALL_OUTSIDE);
}
END_TEST

/* A handler may itself make calls by the stub. */
static volatile long pid_in_handler;

static void calls_too(int sig, siginfo_t *info, void *ucontext)
{
	static const volatile int clear;

	pid_in_handler = safe_syscall_raw(&clear, SYS_getpid);
	set_and_rewind(sig, info, ucontext);
}

START_TEST(call_in_handler)
{
	pthread_t thread;
	char c;

	on_signal(SIGUSR1, SA_RESTART, calls_too);
	thread = send_when_asleep(NULL);
	ck_assert_int_eq(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1),
			 -SAFE_ERESTARTSYS);
	pthread_join(thread, NULL);
	ck_assert_int_eq(pid_in_handler, getpid());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signal");
	TCase *tc = tcase_create("blocked");

	limit_time(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, interrupted_with_sa_restart, 0, BLOCKING);
	tcase_add_loop_test(tc, interrupted_without_sa_restart, 0, BLOCKING);
	tcase_add_test(tc, handler_without_flag);
	tcase_add_test(tc, partial_result_is_kept);
	tcase_add_test(tc, hook_is_inert_elsewhere);
	tcase_add_test(tc, on_alternate_stack);
	tcase_add_test(tc, handler_in_handler);
	tcase_add_test(tc, call_in_handler);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
