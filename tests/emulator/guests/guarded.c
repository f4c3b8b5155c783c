/* SPDX-License-Identifier: MIT */
/*
 * What a program could reach an emulator's own memory by: structures that hold pointers, names,
 * lengths, mappings that fail, forged faults.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "guest.h"

static size_t page;

/* ---- pointers in structures that only the kernel knows ---------------------------------- */

/* None of these has the size that a structure with pointers has on a 64-bit machine. */
static void options(void)
{
	uint32_t words[16] = { 64, 0, 0x10000, 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), value = 7;
	socklen_t size = sizeof(words);

	need(fd >= 0);
	want(setsockopt(fd, SOL_SOCKET, 26, words, 16), -1);	/* SO_ATTACH_FILTER */
	want(setsockopt(fd, SOL_SOCKET, 51, words, 16), -1);	/* SO_ATTACH_REUSEPORT_CBPF */
	size = 64;
	check(getsockopt(fd, SOL_SOCKET, 26, words, &size) == -1 || size == 0);
	/* the host's number of its level for sockets is another level here */
	want(setsockopt(fd, 1, 26, words, 16), -1);
	check(SOL_SOCKET == 1 || getsockopt(fd, 1, 3, &value, &size) == -1);
	close(fd);
}

/* Messages of a kind that no C library knows: RDS has one with pointers. */
static void messages(void)
{
	struct { struct cmsghdr header; uint32_t words[12]; } control;
	struct iovec iov = { "x", 1 };
	struct msghdr message;
	int pair[2];

	need(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	memset(&control, 0, sizeof(control));
	memset(&message, 0, sizeof(message));
	control.header.cmsg_len = sizeof(control);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = 77;
	message.msg_iov = &iov;
	message.msg_iovlen = 1;
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	want_error(sendmsg(pair[0], &message, 0), EINVAL);
	close(pair[0]);
	close(pair[1]);
}

/* ---- names --------------------------------------------------------------------------- */

static volatile uint32_t word;

/* Whoever can open it sees the program's own memory there, at the program's own addresses. */
static int is_own_memory(int fd)
{
	uint32_t old = 0, new = 0x87654321;
	off_t at = (uintptr_t)&word;
	int is;

	if (fd < 0)
		return 1;
	word = 0x12345678;
	is = pread(fd, &old, sizeof(old), at) == (ssize_t)sizeof(old) && old == word &&
		pwrite(fd, &new, sizeof(new), at) == (ssize_t)sizeof(new) && new == word;
	close(fd);
	return is;
}

static void names(void)
{
	char path[64], here[1024];
	int folder, fd;

	need(getcwd(here, sizeof(here)) != NULL);
	check(is_own_memory(open("/proc/self/mem", O_RDWR)));
	check(is_own_memory(open("/proc/./self//../self/mem", O_RDWR)));
	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	check(is_own_memory(open(path, O_RDWR)));
	snprintf(path, sizeof(path), "/proc/self/task/%d/mem", getpid());
	check(is_own_memory(open(path, O_RDWR)));
	check(is_own_memory(open("/proc/thread-self/mem", O_RDWR)));
	need(symlink("/proc/self/mem", "link") == 0);
	check(is_own_memory(open("link", O_RDWR)));
	unlink("link");
	folder = open("/proc/self", O_RDONLY | O_DIRECTORY);
	need(folder >= 0);
	check(is_own_memory(openat(folder, "mem", O_RDWR)));
	need(fchdir(folder) == 0);
	check(is_own_memory(open("mem", O_RDWR)));
	need(chdir(here) == 0);
	close(folder);
	fd = open("/proc/self/mem", O_PATH);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check(is_own_memory(open(path, O_RDWR)));
	close(fd);
	/* others of the kind are for everyone */
	fd = open("/proc/self/status", O_RDONLY);
	check(read(fd, path, 5) == 5 && !memcmp(path, "Name:", 5));
	close(fd);
}

/* ---- lengths -------------------------------------------------------------------------- */

/* A buffer that begins in the program and ends beyond all that it could have. */
static void lengths(void)
{
	static char buffer[16];
	struct iovec iov[2] = { { buffer, 1 }, { buffer, SIZE_MAX / 2 } };
	int fd[2];

	need(pipe(fd) == 0 && write(fd[1], "12345678", 8) == 8);
	want_error(syscall(SYS_read, fd[0], buffer, SIZE_MAX), EFAULT);
	want_error(syscall(SYS_read, fd[0], -(size_t)16, 8), EFAULT);
	want_error(syscall(SYS_write, fd[1], buffer, -(size_t)16), EFAULT);
	want_error(readv(fd[0], iov, 2), EFAULT);
	want(read(fd[0], buffer, 8), 8);
	close(fd[0]);
	close(fd[1]);
}

/* ---- mappings that fail ------------------------------------------------------------------ */

static sigjmp_buf back;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static int is_there(volatile char *p)
{
	if (sigsetjmp(back, 1))
		return 0;
	(void)*p;
	return 1;
}

static void *idle(void *argument)
{
	return argument;
}

/* With stacks that are no mappings: an emulator may have more of its own. */
static void make_threads(size_t count)
{
	static char stacks[16][131072] __attribute__((aligned(4096)));
	pthread_attr_t attributes;
	pthread_t thread[16];
	size_t i;

	pthread_attr_init(&attributes);
	for (i = 0; i < count; i++) {
		need(pthread_attr_setstack(&attributes, stacks[i], sizeof(stacks[i])) == 0);
		need(pthread_create(&thread[i], &attributes, idle, NULL) == 0);
	}
	for (i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
}

static size_t pages_there(char *p, size_t length)
{
	size_t count = 0, i;

	for (i = 0; i < length; i += page)
		count += is_there(p + i);
	return count;
}

/* A socket finds that it can't be mapped after what was there is gone. */
static void mappings(void)
{
	size_t length = 8 << 20, before;
	char *p = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;
	int pair[2];

	need(p != MAP_FAILED && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	signal(SIGSEGV, on_fault);
	check(mmap(p, length, PROT_READ, MAP_SHARED | MAP_FIXED, pair[0], 0) == MAP_FAILED);
	make_threads(4);
	want(pages_there(p, length), 0);
	munmap(p, length);

	/* two halves of different kinds can't be moved, in older kernels */
	p = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(p != MAP_FAILED && mprotect(p, page, PROT_READ | PROT_WRITE) == 0);
	before = pages_there(p - length, length);
	q = mremap(p, 2 * page, length, MREMAP_MAYMOVE);
	make_threads(16);
	check(q != MAP_FAILED || pages_there(p - length, length) == before);
	signal(SIGSEGV, SIG_DFL);
	close(pair[0]);
	close(pair[1]);
}

/* ---- faults that are none ---------------------------------------------------------------- */

static volatile sig_atomic_t faults;

static void count(int sig)
{
	(void)sig;
	faults++;
}

/* Either it may be sent, and arrives, or it may not; and nothing else happens. */
static void forged(void)
{
	struct sigaction action = { .sa_handler = count };
	siginfo_t info;
	int result;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSEGV;
	info.si_code = SEGV_MAPERR;
	sigaction(SIGSEGV, &action, NULL);
	result = syscall(SYS_rt_sigqueueinfo, getpid(), SIGSEGV, &info);
	want(faults, result == 0);
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	faults = 0;
	want(syscall(SYS_rt_sigqueueinfo, getpid(), SIGSEGV, &info), 0);
	want(faults, 1);
}

int main(void)
{
	page = sysconf(_SC_PAGESIZE);
	options();
	messages();
	names();
	lengths();
	mappings();
	forged();
	return guest_end();
}
