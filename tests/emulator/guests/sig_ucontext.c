/* SPDX-License-Identifier: MIT */
/*
 * The frame of a handler with SA_SIGINFO on MIPS o32: siginfo and ucontext,
 * whose registers and mask the handler may read and change.
 */
#include <signal.h>
#include <stdint.h>
#include <sys/ucontext.h>
#include "guest.h"

static volatile unsigned long seen_s0, seen_v0, seen_a3, seen_sp, seen_fp_word;
static volatile int seen_signal, seen_code, seen_pid, seen_mask, seen_stack_flags, seen_pc_ok;
static volatile uintptr_t seen_address, seen_link;
static volatile long good = 4711;

static void install(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = handler;
	sa.sa_flags = SA_SIGINFO | flags;
	sigemptyset(&sa.sa_mask);
	need(sigaction(sig, &sa, NULL) == 0);
}

static void on_usr1(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	seen_signal = sig;
	seen_code = info->si_code;
	seen_pid = info->si_pid;
	seen_s0 = u->uc_mcontext.gregs[16];
	seen_v0 = u->uc_mcontext.gregs[2];
	seen_a3 = u->uc_mcontext.gregs[7];
	seen_sp = u->uc_mcontext.gregs[29];
	seen_link = (uintptr_t)u->uc_link;
	seen_stack_flags = u->uc_stack.ss_flags;
	seen_mask = sigismember(&u->uc_sigmask, SIGHUP) && !sigismember(&u->uc_sigmask, SIGUSR1);
	u->uc_mcontext.gregs[16] = 0x600d;
	u->uc_mcontext.gregs[2] = 78;
	u->uc_mcontext.mdlo = 98;
	sigaddset(&u->uc_sigmask, SIGWINCH);
	sigdelset(&u->uc_sigmask, SIGHUP);
}

static void call_with_registers(int sig)
{
	register long a0 __asm__("$4") = getpid();
	register long a1 __asm__("$5") = sig;
	register long v0 __asm__("$2") = 4037;
	register long a3 __asm__("$7") = 1;
	register long s0 __asm__("$16") = 0xbad;
	unsigned long sp;
	long lo;

	__asm__ volatile("move %0, $sp" : "=r"(sp));
	__asm__ volatile("syscall\n\tmflo %[lo]"
		: "+r"(v0), "+r"(a3), "+r"(s0), [lo] "=r"(lo)
		: "r"(a0), "r"(a1)
		: "$3", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "hi",
		  "lo", "memory");
	want(v0, 78);
	want(a3, 0);
	want(s0, 0x600d);
	want(lo, 98);
	check(seen_sp == sp);
}

static void of_a_call(void)
{
	sigset_t set, old;

	install(SIGUSR1, on_usr1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	need(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	call_with_registers(SIGUSR1);
	want(seen_signal, SIGUSR1);
	want(seen_code, SI_USER);
	check(seen_pid == getpid());
	want(seen_s0, 0xbad);
	want(seen_v0, 0);
	want(seen_a3, 0);
	want(seen_link, 0);
	want(seen_stack_flags, SS_DISABLE);
	want(seen_mask, 1);
	sigemptyset(&set);
	need(sigprocmask(SIG_SETMASK, &set, &old) == 0);
	check(sigismember(&old, SIGWINCH));
	check(!sigismember(&old, SIGHUP));
}

extern char bad_load[], bad_branch[];

static void on_segv(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	seen_signal = sig;
	seen_code = info->si_code;
	seen_address = (uintptr_t)info->si_addr;
	seen_pc_ok = u->uc_mcontext.pc == (uintptr_t)bad_load ||
		     u->uc_mcontext.pc == (uintptr_t)bad_branch;
	u->uc_mcontext.gregs[8] = (uintptr_t)&good;
}

static void of_a_fault(void)
{
	long loaded, way = 0;

	install(SIGSEGV, on_segv, 0);
	__asm__ volatile(
		"li $8, 32\n"
		".globl bad_load\nbad_load:\n\t"
		"lw %0, 0($8)"
		: "=r"(loaded) : : "$8", "memory");
	want(seen_signal, SIGSEGV);
	want(seen_code, SEGV_MAPERR);
	want(seen_address, 32);
	want(seen_pc_ok, 1);
	want(loaded, 4711);

	seen_pc_ok = 0;
	__asm__ volatile(
		".set push\n\t"
		".set noreorder\n\t"
		"li $8, 48\n"
		".globl bad_branch\nbad_branch:\n\t"
		"bne $8, $0, 1f\n\t"
		" lw %0, 0($8)\n\t"
		"addiu %1, %1, 1\n\t"
		"1: addiu %1, %1, 2\n\t"
		".set pop"
		: "=&r"(loaded), "+r"(way) : : "$8", "memory");
	want(seen_address, 48);
	want(seen_pc_ok, 1);
	want(loaded, 4711);
	want(way, 2);
}

/* A jump: the handler sends the program elsewhere, as a debugger or a run-time system does. */
static void landed(void)
{
	puts("landed where the handler said");
	exit(guest_end());
}

static void on_usr2(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)info;
	u->uc_mcontext.pc = (uintptr_t)landed;
	u->uc_mcontext.gregs[25] = (uintptr_t)landed;
	u->uc_mcontext.gregs[29] -= 64;
}

/* A single in an even register is in the low word of its slot, whatever the order of bytes. */
static void on_float(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	uint64_t slot;

	(void)sig;
	(void)info;
	memcpy(&slot, &u->uc_mcontext.fpregs.fp_r.fp_dregs[20], sizeof(slot));
	seen_fp_word = (uint32_t)slot;
	slot = (slot & 0xffffffff00000000ULL) | 0x40800000;	/* 4.0f */
	memcpy(&u->uc_mcontext.fpregs.fp_r.fp_dregs[20], &slot, sizeof(slot));
}

static void of_the_fpu(void)
{
	register long a0 __asm__("$4") = getpid();
	register long a1 __asm__("$5") = SIGUSR1;
	register long v0 __asm__("$2") = 4037;
	register long a3 __asm__("$7");
	long word;

	__asm__ volatile(
		"li $8, 0x3f800000\n\t"
		"mtc1 $8, $f20\n\t"
		"syscall\n\t"
		"mfc1 %[word], $f20"
		: "+r"(v0), "=r"(a3), [word] "=r"(word)
		: "r"(a0), "r"(a1)
		: "$3", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "hi",
		  "lo", "$f20", "memory");
	want(seen_fp_word, 0x3f800000);
	want(word, 0x40800000);
}

int main(void)
{
	of_a_call();
	of_a_fault();
	install(SIGUSR1, on_float, 0);
	of_the_fpu();
	install(SIGUSR2, on_usr2, 0);
	kill(getpid(), SIGUSR2);
	puts("FAILED to jump");
	return 1;
}
