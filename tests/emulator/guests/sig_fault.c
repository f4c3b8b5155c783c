/* SPDX-License-Identifier: MIT */
/* Faults become signals with the right address and code, and bad pointers in calls EFAULT. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "guest.h"

static sigjmp_buf back;
static volatile int seen_signal, seen_code;
static volatile uintptr_t seen_address;
static volatile char sink;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	seen_signal = sig;
	seen_code = info->si_code;
	seen_address = (uintptr_t)info->si_addr;
	siglongjmp(back, 1);
}

static void forget(void)
{
	seen_signal = seen_code = 0;
	seen_address = 0;
}

static void load(volatile char *p)
{
	forget();
	if (!sigsetjmp(back, 1))
		sink = *p;
}

static void store(volatile char *p)
{
	forget();
	if (!sigsetjmp(back, 1))
		*p = 1;
}

static void jump(uintptr_t p)
{
	forget();
	if (!sigsetjmp(back, 1))
		((void (*)(void))p)();
}

static void memory(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(map != MAP_FAILED);
	load(NULL);
	want(seen_signal, SIGSEGV);
	want(seen_code, SEGV_MAPERR);
	want(seen_address, 0);
	store((char *)64);
	want(seen_signal, SIGSEGV);
	want(seen_address, 64);

	need(mprotect(map + page, page, PROT_READ) == 0);
	need(mprotect(map + 2 * page, page, PROT_NONE) == 0);
	load(map + page + 7);
	want(seen_signal, 0);
	store(map + page + 7);
	want(seen_signal, SIGSEGV);
	want(seen_code, SEGV_ACCERR);
	check(seen_address == (uintptr_t)map + page + 7);
	load(map + 2 * page + 9);
	want(seen_code, SEGV_ACCERR);
	check(seen_address == (uintptr_t)map + 2 * page + 9);
	need(munmap(map + page, page) == 0);
	load(map + page);
	want(seen_signal, SIGSEGV);
	want(seen_code, SEGV_MAPERR);
	check(seen_address == (uintptr_t)map + page);
	store(map + page - 1);
	want(seen_signal, 0);
	jump(16);
	want(seen_signal, SIGSEGV);
	want(seen_address, 16);
}

static void past_the_end_of_a_file(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int fd = open("short", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *map;

	need(fd >= 0 && write(fd, "x", 1) == 1);
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(map != MAP_FAILED);
	load(map);
	want(seen_signal, 0);
	load(map + page + 11);
	want(seen_signal, SIGBUS);
	want(seen_code, BUS_ADRERR);
	check(seen_address == (uintptr_t)map + page + 11);
	store(map + page + 12);
	want(seen_signal, SIGBUS);
	check(seen_address == (uintptr_t)map + page + 12);
	close(fd);
	unlink("short");
}

/* What the processor does with a division by zero differs, what raise() does not. */
static void arithmetic(void)
{
#ifdef __mips__
	volatile int zero = 0, hundred = 100;

	forget();
	if (!sigsetjmp(back, 1))
		sink = hundred / zero;
	want(seen_signal, SIGFPE);
	want(seen_code, FPE_INTDIV);
	check(seen_address != 0);
	forget();
	if (!sigsetjmp(back, 1))
		__asm__ volatile("break 7");
	want(seen_signal, SIGFPE);
	want(seen_code, FPE_INTDIV);
	forget();
	if (!sigsetjmp(back, 1))
		__asm__ volatile("break 0, 7");
	want(seen_signal, SIGFPE);
	forget();
	if (!sigsetjmp(back, 1))
		__asm__ volatile("lui $8, 0x7fff\n\tadd $8, $8, $8" : : : "$8");
	want(seen_signal, SIGFPE);
	want(seen_code, FPE_INTOVF);
	forget();
	if (!sigsetjmp(back, 1))
		__asm__ volatile("break 0");
	want(seen_signal, SIGTRAP);
	forget();
	if (!sigsetjmp(back, 1))
		__asm__ volatile(".word 0x0000003d");
	want(seen_signal, SIGILL);
#endif
	forget();
	if (!sigsetjmp(back, 1))
		raise(SIGFPE);
	want(seen_signal, SIGFPE);
	want(seen_code, SI_TKILL);
}

/* Not by the C library's functions, which may look at the memory themselves. */
static void pointers_in_calls(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *bad = (char *)32;
	char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *edge = map + page;
	struct iovec iov[2];
	int fd[2];

	need(map != MAP_FAILED && munmap(edge, page) == 0);
	need(pipe(fd) == 0);
	memset(map, 'm', page);
	want_error(syscall(SYS_write, fd[1], bad, 4), EFAULT);
	want_error(syscall(SYS_write, fd[1], edge, 4), EFAULT);
	want_error(syscall(SYS_pipe2, bad, 0), EFAULT);
	want_error(syscall(SYS_openat, AT_FDCWD, bad, O_RDONLY), EFAULT);
	want_error(syscall(SYS_openat, AT_FDCWD, edge - 3, O_RDONLY), EFAULT);
	want_error(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, NULL, _NSIG / 8), EFAULT);
	want_error(syscall(SYS_rt_sigaction, SIGUSR1, edge - 4, NULL, _NSIG / 8), EFAULT);
	want_error(syscall(SYS_uname, edge - 4), EFAULT);
	want_error(syscall(SYS_getcwd, bad, 100), EFAULT);
	iov[0].iov_base = map;
	iov[0].iov_len = 4;
	iov[1].iov_base = bad;
	iov[1].iov_len = 4;
	want(syscall(SYS_write, fd[1], edge - 3, 3), 3);
	want_error(syscall(SYS_writev, fd[1], bad, 2), EFAULT);
	want_error(syscall(SYS_writev, fd[1], iov + 1, 1), EFAULT);
	want(syscall(SYS_writev, fd[1], iov, 1), 4);
	want_error(syscall(SYS_read, fd[0], bad, 3), EFAULT);
	want_error(syscall(SYS_nanosleep, bad, NULL), EFAULT);
}

int main(void)
{
	struct sigaction sa;
	int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, SIGILL };
	size_t i;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_fault;
	sa.sa_flags = SA_SIGINFO;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		need(sigaction(signals[i], &sa, NULL) == 0);
	memory();
	past_the_end_of_a_file();
	arithmetic();
	pointers_in_calls();
	return guest_end();
}
