/* SPDX-License-Identifier: MIT */
/*
 * The frame of a handler without SA_SIGINFO on MIPS o32: its third argument is
 * a sigcontext, and the saved mask is right behind that.  What the handler
 * changes in either is there when it has returned.
 */
#include <signal.h>
#include <stdint.h>
#include "guest.h"

typedef void plain_handler(int);

static volatile unsigned long seen_s0, seen_pc_ok, seen_v0, seen_a3, seen_hi, seen_lo, seen_stack;
static volatile int seen_signal, seen_mask;
static volatile long good = 4711;
static volatile long deep;

static unsigned long *mask_of(struct sigcontext *sc)
{
	return (unsigned long *)(sc + 1);
}

static unsigned long bit(int sig)
{
	return 1UL << (sig - 1);
}

static void install(int sig, void (*handler)(int, int, struct sigcontext *), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = (plain_handler *)(uintptr_t)handler;
	sa.sa_flags = flags;
	sigemptyset(&sa.sa_mask);
	need(sigaction(sig, &sa, NULL) == 0);
}

/* All that a handler may spoil without the program's noticing. */
static void spoil(void)
{
	__asm__ volatile(
		"mthi $0\n\t"
		"mtlo $0\n\t"
		"mtc1 $0, $f0\n\t"
		"mtc1 $0, $f20\n\t"
		"li $t0, 0x55555555\n\t"
		"move $t1, $t0\n\t"
		"move $t9, $t0\n\t"
		"move $v1, $t0\n"
		: : : "$8", "$9", "$25", "$3", "$f0", "$f20", "hi", "lo");
}

static void on_usr1(int sig, int code, struct sigcontext *sc)
{
	(void)code;
	seen_signal = sig;
	seen_s0 = sc->sc_regs[16];
	seen_v0 = sc->sc_regs[2];
	seen_a3 = sc->sc_regs[7];
	seen_stack = sc->sc_regs[29] > (uintptr_t)sc;
	seen_mask = (mask_of(sc)[0] & bit(SIGHUP)) && !(mask_of(sc)[0] & bit(SIGUSR1));
	sc->sc_regs[16] = 0x600d;
	sc->sc_regs[2] = 77;
	sc->sc_mdlo = 99;
	mask_of(sc)[0] |= bit(SIGWINCH);
	mask_of(sc)[0] &= ~bit(SIGHUP);
	spoil();
}

/* kill(getpid(), sig) with known registers around it. */
static void call_with_registers(int sig)
{
	register long a0 __asm__("$4") = getpid();
	register long a1 __asm__("$5") = sig;
	register long v0 __asm__("$2") = 4037;
	register long a3 __asm__("$7") = 1;
	register long s0 __asm__("$16") = 0xbad;
	register long s1 __asm__("$17") = 0x51;
	register long t1 __asm__("$9");
	long lo, low20;

	__asm__ volatile(
		".set push\n\t"
		".set noreorder\n\t"
		"li $8, 0x1234\n\t"
		"mtc1 $8, $f20\n\t"
		"syscall\n\t"
		"mflo %[lo]\n\t"
		"mfc1 %[low20], $f20\n\t"
		".set pop"
		: "+r"(v0), "+r"(a3), "+r"(s0), "+r"(s1), "=r"(t1), [lo] "=&r"(lo),
		  [low20] "=&r"(low20)
		: "r"(a0), "r"(a1)
		: "$3", "$8", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "$f20", "hi",
		  "lo", "memory");
	want(v0, 77);
	want(a3, 0);
	want(s0, 0x600d);
	want(s1, 0x51);
	want(lo, 99);
	want(low20, 0x1234);
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
	want(seen_s0, 0xbad);
	want(seen_v0, 0);
	want(seen_a3, 0);
	want(seen_stack, 1);
	want(seen_mask, 1);
	sigemptyset(&set);
	need(sigprocmask(SIG_SETMASK, &set, &old) == 0);
	check(sigismember(&old, SIGWINCH));
	check(!sigismember(&old, SIGHUP));
	check(!sigismember(&old, SIGUSR1));
}

extern char skip_load[], mend_load[], delay_branch[];

static void on_segv_skip(int sig, int code, struct sigcontext *sc)
{
	(void)code;
	seen_signal = sig;
	seen_pc_ok = sc->sc_pc == (uintptr_t)skip_load;
	seen_hi = sc->sc_mdhi;
	seen_lo = sc->sc_mdlo;
	sc->sc_regs[9] = 31;
	sc->sc_mdlo = 55;
	sc->sc_pc += 4;
	spoil();
}

static void on_segv_mend(int sig, int code, struct sigcontext *sc)
{
	(void)code;
	seen_signal = sig;
	seen_pc_ok = sc->sc_pc == (uintptr_t)mend_load || sc->sc_pc == (uintptr_t)delay_branch;
	sc->sc_regs[8] = (uintptr_t)&good;
}

static void of_a_fault(void)
{
	long loaded, hi, lo;

	/* A call need not keep hi and lo, a fault must. */
	install(SIGSEGV, on_segv_skip, 0);
	__asm__ volatile(
		"li $9, 0x1234\n\t"
		"mthi $9\n\t"
		"mtlo $9\n\t"
		"move $8, $0\n"
		".globl skip_load\nskip_load:\n\t"
		"lw $9, 0($8)\n\t"
		"move %0, $9\n\t"
		"mfhi %1\n\t"
		"mflo %2"
		: "=&r"(loaded), "=&r"(hi), "=&r"(lo) : : "$8", "$9", "hi", "lo", "memory");
	want(seen_hi, 0x1234);
	want(seen_lo, 0x1234);
	want(hi, 0x1234);
	want(lo, 55);
	want(seen_signal, SIGSEGV);
	want(seen_pc_ok, 1);
	want(loaded, 31);

	install(SIGSEGV, on_segv_mend, 0);
	seen_pc_ok = 0;
	__asm__ volatile(
		"li $8, 16\n"
		".globl mend_load\nmend_load:\n\t"
		"lw %0, 0($8)"
		: "=r"(loaded) : : "$8", "memory");
	want(seen_pc_ok, 1);
	want(loaded, 4711);
}

/* A fault in a delay slot: the PC is that of the branch, which is taken again. */
static void of_a_delay_slot(void)
{
	long loaded, way;

	seen_pc_ok = 0;
	__asm__ volatile(
		".set push\n\t"
		".set noreorder\n\t"
		"li $8, 16\n\t"
		"li %1, 0\n"
		".globl delay_branch\ndelay_branch:\n\t"
		"beq $0, $0, 1f\n\t"
		" lw %0, 0($8)\n\t"
		"ori %1, %1, 1\n\t"
		"1: ori %1, %1, 2\n\t"
		".set pop"
		: "=&r"(loaded), "=&r"(way) : : "$8", "memory");
	want(seen_pc_ok, 1);
	want(loaded, 4711);
	want(way, 2);
}

static void on_info(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[16] += 1;
	spoil();
}

/* The other kind of frame on top of this one. */
static void on_usr1_nest(int sig, int code, struct sigcontext *sc)
{
	register long s0 __asm__("$16") = 10;

	(void)sig;
	(void)code;
	(void)sc;
	__asm__ volatile("" : "+r"(s0));
	{
		register long a0 __asm__("$4") = getpid();
		register long a1 __asm__("$5") = SIGUSR2;
		register long v0 __asm__("$2") = 4037;
		register long a3 __asm__("$7");

		__asm__ volatile("syscall" : "+r"(v0), "=r"(a3), "+r"(s0) : "r"(a0), "r"(a1)
			: "$3", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25",
			"hi", "lo", "memory");
	}
	deep = s0;
}

static void both_kinds(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_info;
	sa.sa_flags = SA_SIGINFO;
	need(sigaction(SIGUSR2, &sa, NULL) == 0);
	install(SIGUSR1, on_usr1_nest, 0);
	need(kill(getpid(), SIGUSR1) == 0);
	want(deep, 11);
}

static char alternate[16384] __attribute__((aligned(16)));

static void on_alternate(int sig, int code, struct sigcontext *sc)
{
	(void)sig;
	(void)code;
	seen_stack = (char *)sc >= alternate && (char *)(sc + 1) < alternate + sizeof(alternate);
}

static void on_the_alternate_stack(void)
{
	stack_t stack;

	memset(&stack, 0, sizeof(stack));
	stack.ss_sp = alternate;
	stack.ss_size = sizeof(alternate);
	need(sigaltstack(&stack, NULL) == 0);
	install(SIGUSR1, on_alternate, SA_ONSTACK);
	seen_stack = 0;
	need(kill(getpid(), SIGUSR1) == 0);
	want(seen_stack, 1);
	install(SIGUSR1, on_alternate, 0);
	need(kill(getpid(), SIGUSR1) == 0);
	want(seen_stack, 0);
}

int main(void)
{
	of_a_call();
	of_a_fault();
	of_a_delay_slot();
	both_kinds();
	on_the_alternate_stack();
	return guest_end();
}
