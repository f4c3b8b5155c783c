/* SPDX-License-Identifier: MIT */
/*
 * Code that changes, and jumps from one end of memory to the other: what an emulator has
 * decoded must be what is there; MIPS only.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include "guest.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)

enum { V0 = 2, A0 = 4, RA = 31 };

/* Instructions; branches by the number of instructions from their delay slot. */
#define NOP		0u
#define BREAK		0x0000000du
#define JR_RA		0x03e00008u
#define ADDIU(t, s, n)	(0x24000000u | (uint32_t)(s) << 21 | (uint32_t)(t) << 16 | ((n) & 0xffff))
#define LW(t, s)	(0x8c000000u | (uint32_t)(s) << 21 | (uint32_t)(t) << 16)
#define B(n)		(0x10000000u | ((n) & 0xffff))
#define BNEZ_A0(n)	(0x14800000u | ((n) & 0xffff))
#define BNEZL_A0(n)	(0x54800000u | ((n) & 0xffff))
#define J(to)		(0x08000000u | ((uint32_t)(uintptr_t)(to) >> 2 & 0x3ffffff))

static size_t page;

static uint32_t *pages(size_t size, int prot)
{
	uint32_t *at = mmap(NULL, size, prot, ANON, -1, 0);

	need(at != MAP_FAILED);
	return at;
}

static void tell(uint32_t *text, size_t size)
{
	__builtin___clear_cache((char *)text, (char *)text + size);
}

static int call(const uint32_t *text, int argument)
{
	return ((int (*)(int))(uintptr_t)text)(argument);
}

/* A function that returns n. */
static void write_function(uint32_t *text, int n)
{
	text[0] = JR_RA;
	text[1] = ADDIU(V0, 0, n);
}

/* ---- one thread ---------------------------------------------------------- */

static void protected(void)
{
	uint32_t *text = pages(page, RW);
	int sum = 0;

	for (int i = 1; i <= 100; i++) {
		need(mprotect(text, page, RW) == 0);
		write_function(text, i);
		need(mprotect(text, page, RX) == 0);
		tell(text, 8);
		sum += call(text, 0);
	}
	want(sum, 5050);
	need(munmap(text, page) == 0);
}

/* In place of code that has been executed there is other code. */
static void replaced(void)
{
	uint32_t *text = pages(page, RW), *moved;
	int sum = 0;

	for (int i = 1; i <= 100; i++) {
		need(mmap(text, page, RW, ANON | MAP_FIXED, -1, 0) == text);
		write_function(text, i);
		need(mprotect(text, page, RX) == 0);
		tell(text, 8);
		sum += call(text, 0);
		if (i % 2)
			need(munmap(text, page) == 0);
	}
	want(sum, 5050);
	moved = mremap(text, page, 4 * page, MREMAP_MAYMOVE);
	need(moved != MAP_FAILED);
	want(call(moved, 0), 100);
	need(munmap(moved, 4 * page) == 0);
}

/* Seen at once, though nobody tells of it: as by a processor without caches. */
static void written_in_place(void)
{
	uint32_t *text = pages(page, RW | PROT_EXEC);
	int sum = 0;

	for (int i = 1; i <= 100; i++) {
		write_function(text, i);
		sum += call(text, 0);
	}
	want(sum, 5050);
	/* once round a loop, and over what is no code */
	text[0] = ADDIU(V0, 0, 0);
	text[1] = BNEZ_A0(-1);
	text[2] = ADDIU(A0, A0, -1);
	text[3] = B(3);
	text[4] = ADDIU(V0, V0, 9);
	text[5] = text[6] = BREAK;
	text[7] = JR_RA;
	text[8] = ADDIU(V0, V0, 20);
	want(call(text, 30), 29);
	need(munmap(text, page) == 0);
}

/* One name to write by, another to execute. */
static uint32_t *twice(uint32_t **text)
{
	int fd = (int)syscall(SYS_memfd_create, "code", 0);
	uint32_t *to_write;

	need(fd >= 0 && ftruncate(fd, page) == 0);
	to_write = mmap(NULL, page, RW, MAP_SHARED, fd, 0);
	*text = mmap(NULL, page, RX, MAP_SHARED, fd, 0);
	need(to_write != MAP_FAILED && *text != MAP_FAILED);
	close(fd);
	return to_write;
}

static void by_another_name(void)
{
	uint32_t *text, *same = twice(&text);
	int sum = 0;

	for (int i = 1; i <= 100; i++) {
		write_function(same, i);
		tell(text, 8);
		sum += call(text, 0);
	}
	want(sum, 5050);
}

static void in_a_child(void)
{
	uint32_t *text = pages(page, RW);
	int status;
	pid_t child;

	write_function(text, 1);
	need(mprotect(text, page, RX) == 0);
	tell(text, 8);
	want(call(text, 0), 1);
	child = fork();
	if (child == 0) {
		mprotect(text, page, RW);
		write_function(text, 2);
		mprotect(text, page, RX);
		tell(text, 8);
		_exit(call(text, 0));
	}
	need(waitpid(child, &status, 0) == child);
	want(WEXITSTATUS(status), 2);
	want(call(text, 0), 1);
}

/* ---- a loop that another ends -------------------------------------------- */

static uint32_t *loop, *same_loop;

static void prepare_loop(void)
{
	loop[0] = B(-1);
	loop[1] = ADDIU(V0, 0, 7);
	loop[2] = JR_RA;
	loop[3] = NOP;
}

static void *in_the_loop(void *ready)
{
	*(volatile int *)ready = 1;
	return (void *)(uintptr_t)call(loop, 0);
}

static void end_with(const char *how, void (*end)(void))
{
	volatile int ready = 0;
	pthread_t thread;
	void *result;

	need(pthread_create(&thread, NULL, in_the_loop, (void *)&ready) == 0);
	while (!ready)
		sched_yield();
	nap(5);
	end();
	need(pthread_join(thread, &result) == 0);
	printf("%s: %d\n", how, (int)(uintptr_t)result);
}

static void end_by_protection(void)
{
	mprotect(loop, page, RW);
	loop[0] = NOP;
	mprotect(loop, page, RX);
	tell(loop, 4);
}

static void end_by_name(void)
{
	same_loop[0] = NOP;
	tell(loop, 4);
}

static void end_in_place(void)
{
	loop[0] = NOP;
}

static void end_by_signal(int sig)
{
	(void)sig;
	end_by_protection();
}

static void loops(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };

	loop = pages(page, RW);
	prepare_loop();
	need(mprotect(loop, page, RX) == 0);
	tell(loop, 16);
	end_with("ended by mprotect", end_by_protection);

	need(mprotect(loop, page, RW) == 0);
	prepare_loop();
	need(mprotect(loop, page, RX) == 0);
	tell(loop, 16);
	signal(SIGALRM, end_by_signal);
	setitimer(ITIMER_REAL, &soon, NULL);
	want(call(loop, 0), 7);

	loop = pages(page, RW | PROT_EXEC);
	prepare_loop();
	tell(loop, 16);
	end_with("ended in place", end_in_place);

	same_loop = twice(&loop);
	memcpy(same_loop, (uint32_t[]){ B(-1), ADDIU(V0, 0, 7), JR_RA, NOP }, 16);
	tell(loop, 16);
	end_with("ended by another name", end_by_name);
}

/* ---- places -------------------------------------------------------------- */

/* Around each border that an emulator may have, and over it. */
static const size_t borders[] = { 64, 128, 256, 512, 1024, 2048 };
static const int distances[] = { -900, -9, -2, 3, 9, 900 };
enum { TEXT = 4096 };

static uint32_t *text;

static void begin(void)
{
	need(mprotect(text, 4 * TEXT, RW) == 0);
	for (int i = 0; i < TEXT; i++)
		text[i] = BREAK;
}

static int run(size_t n, int argument)
{
	need(mprotect(text, 4 * TEXT, RX) == 0);
	tell(text, 4 * TEXT);
	return call(text + n, argument);
}

/* A branch that is taken, its slot, and the way back from its target. */
static int taken(size_t n, int distance)
{
	begin();
	text[n] = B(distance - 1);
	text[n + 1] = ADDIU(V0, A0, 1);
	text[n + distance] = JR_RA;
	text[n + distance + 1] = ADDIU(V0, V0, 16);
	return run(n, 0);
}

/* One that is not taken; one that skips its slot then. */
static int not_taken(size_t n, uint32_t branch)
{
	begin();
	text[n] = branch;
	text[n + 1] = ADDIU(A0, A0, 1);
	text[n + 2] = JR_RA;
	text[n + 3] = ADDIU(V0, A0, 16);
	return run(n, 0);
}

/* Counts down, the last instruction being a delay slot. */
static int counted(size_t n)
{
	begin();
	text[n - 2] = ADDIU(V0, 0, 0);
	text[n - 1] = ADDIU(A0, A0, -1);
	text[n] = BNEZ_A0(-2);
	text[n + 1] = ADDIU(V0, V0, 1);
	text[n + 2] = JR_RA;
	text[n + 3] = NOP;
	return run(n - 2, 1000);
}

static int good = 5;
static uint32_t fault_pc, fault_address;

/* On with a good pointer, from the branch. */
static void repair(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	fault_pc = (uint32_t)uc->uc_mcontext.pc;
	fault_address = (uint32_t)(uintptr_t)info->si_addr;
	uc->uc_mcontext.gregs[A0] = (uintptr_t)&good;
}

/* A slot that faults. */
static int faulting(size_t n, int distance)
{
	int result;

	begin();
	text[n] = B(distance - 1);
	text[n + 1] = LW(V0, A0);
	text[n + distance] = JR_RA;
	text[n + distance + 1] = ADDIU(V0, V0, 16);
	fault_pc = 0;
	result = run(n, 0x100);
	return result == 21 && fault_pc == (uint32_t)(uintptr_t)(text + n) && fault_address == 0x100;
}

static void places(void)
{
	struct sigaction sa = { .sa_sigaction = repair, .sa_flags = SA_SIGINFO };
	int wrong = 0;

	sigaction(SIGSEGV, &sa, NULL);
	text = pages(4 * TEXT, RW);
	for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++)
		for (size_t n = borders[i] + 1024 - 3; n < borders[i] + 1024 + 2; n++) {
			for (size_t d = 0; d < sizeof(distances) / sizeof(distances[0]); d++) {
				wrong += taken(n, distances[d]) != 17;
				wrong += !faulting(n, distances[d]);
			}
			wrong += not_taken(n, BNEZ_A0(30)) != 17;
			wrong += not_taken(n, BNEZL_A0(30)) != 16;
			wrong += counted(n) != 1000;
		}
	want(wrong, 0);
	signal(SIGSEGV, SIG_DFL);
}

/* Through many places that a table would have under the same number. */
static void far_away(void)
{
	enum { STEPS = 40, APART = 16384 };
	uint32_t *far = pages(4 * STEPS * APART, RW);
	int sum = 0;

	for (int i = 0; i < STEPS; i++) {
		far[i * APART] = i < STEPS - 1 ? J(far + (i + 1) * APART) : JR_RA;
		far[i * APART + 1] = ADDIU(A0, A0, 1);
	}
	far[(STEPS - 1) * APART + 1] = ADDIU(V0, A0, 1);
	need(mprotect(far, 4 * STEPS * APART, RX) == 0);
	tell(far, 4 * STEPS * APART);
	for (int i = 0; i < 100; i++)
		sum += call(far, i);
	want(sum, 40 * 100 + 4950);
}

/* ---- what is no code ----------------------------------------------------- */

static sigjmp_buf back;
static int fault_code;

static void note_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	fault_code = info->si_code;
	fault_address = (uint32_t)(uintptr_t)info->si_addr;
	fault_pc = (uint32_t)((ucontext_t *)context)->uc_mcontext.pc;
	siglongjmp(back, 1);
}

static int fault_of(const uint32_t *at)
{
	fault_code = 0;
	if (!sigsetjmp(back, 1))
		call(at, 0);
	if (fault_address != (uint32_t)(uintptr_t)at || fault_pc != fault_address)
		return -1;
	return fault_code;
}

static void no_code(void)
{
	struct sigaction sa = { .sa_sigaction = note_fault, .sa_flags = SA_SIGINFO };
	uint32_t *gone = pages(2 * page, RW);

	sigaction(SIGSEGV, &sa, NULL);
	write_function(gone, 3);
	need(mprotect(gone, 2 * page, RX) == 0);
	tell(gone, 8);
	want(call(gone, 0), 3);
	need(mprotect(gone, page, PROT_NONE) == 0);
	want(fault_of(gone), SEGV_ACCERR);
	need(mprotect(gone, page, RX) == 0);
	want(call(gone, 0), 3);
	need(munmap(gone, page) == 0);
	want(fault_of(gone), SEGV_MAPERR);
	want(fault_of((uint32_t *)0), SEGV_MAPERR);
}

int main(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	protected();
	replaced();
	written_in_place();
	by_another_name();
	in_a_child();
	loops();
	places();
	far_away();
	no_code();
	return guest_end();
}
