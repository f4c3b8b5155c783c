/* SPDX-License-Identifier: MIT */
/*
 * bare.c - layers 1 and 2 without a C library
 *
 * For the ABIs that no distribution has a C library for, and as a proof that
 * the two layers need none: the only system calls here are those of the stub.
 * Build it with lib/stub.S and lib/window.c and -ffreestanding -nostdlib.  The
 * exit status is 0, or the line on which something was wrong, modulo 256.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <safe_syscall.h>

static volatile int flag, handled;
static enum safe_syscall_phase found;

static void leave(int status)
{
	static const volatile int clear;

	for (;;)
		safe_syscall_raw(&clear, SYS_exit_group, status & 255);
}

#define EXPECT(x) ((x) ? (void)0 : leave(__LINE__))

/* What the compiler and window.c expect of a C library. */
void *memset(void *to, int byte, size_t n);
void *memset(void *to, int byte, size_t n)
{
	volatile char *p = to;

	while (n--)
		*p++ = (char)byte;
	return to;
}

int *__errno_location(void)
{
	static int word;

	return &word;
}

static void handler(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig;
	(void)info;
	handled++;
	flag = 1;
	found = safe_syscall_rewind(ucontext);
}

static void handle(unsigned long flags)
{
	/* the kernel's own structure, as most architectures have it */
	struct {
		void (*handler)(int, siginfo_t *, void *);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} action = { handler, SA_SIGINFO | flags, NULL, 0 };

	flag = 0;
	EXPECT(safe_syscall_raw(&flag, SYS_rt_sigaction, SIGALRM, &action, NULL,
				sizeof action.mask) == 0);
}

static void alarm_soon(void)
{
	static const long once[4] = { 0, 0, 0, 50000 };

	EXPECT(safe_syscall_raw(&flag, SYS_setitimer, 0, once, NULL) == 0);
}

void _start(void);
void _start(void)
{
	const void *start;
	size_t length;
	int fd[2];
	char c;

	EXPECT(safe_syscall_raw(&flag, SYS_getpid) > 0);
	EXPECT(safe_syscall_raw(&flag, SYS_close, -1) == -EBADF);
	EXPECT(safe_syscall_raw(&flag, SYS_pipe2, fd, 0) == 0);
	EXPECT(safe_syscall_raw(&flag, SYS_write, fd[1], "x", 1) == 1);
	flag = 1;
	EXPECT(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1) == -SAFE_ERESTARTSYS);
	flag = 0;
	EXPECT(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1) == 1 && c == 'x');
	EXPECT(safe_syscall_region(&start, &length) == 0 && length > 0);

	handle(SA_RESTART);
	alarm_soon();
	EXPECT(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1) == -SAFE_ERESTARTSYS);
	/* BEFORE: an emulator of ppc64 does not show that the kernel was entered */
	EXPECT(handled == 1 && (found == SAFE_SYSCALL_AT_CALL ||
				found == SAFE_SYSCALL_BEFORE));

	handle(0);
	alarm_soon();
	EXPECT(safe_syscall_raw(&flag, SYS_read, fd[0], &c, 1) == -EINTR);
	EXPECT(handled == 2 && found == SAFE_SYSCALL_DONE);
	leave(0);
}
