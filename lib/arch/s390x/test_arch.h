/* SPDX-License-Identifier: MIT */
/* What the tests need to know of s390x; tests/code.h says what each is. */
#include <elf.h>
#include <sys/auxv.h>

typedef uint16_t ta_unit;

/* r6 to r15, behind the two words of the PSW */
typedef uint64_t ta_reg;
#define TA_REG_PC 1
#define TA_REGS_KEPT 0x3ff00ULL
#define TA_TRAP_MOVES 2
#define TA_NO_STEP 1	/* QEMU 7.2 loses the condition code between two steps */

static const ta_unit ta_call[] = { 0x0a00 };
static const ta_unit ta_trap[] = { 0x0001 };
static const ta_unit ta_return[] = { 0x07fe };

enum {
	TA_BEFORE_START = 3,
	TA_NORMAL = 13,
	TA_FAILED = 13,
	TA_PRESERVED = 10
};

/* The two highest bits tell. */
static inline size_t ta_length(const ta_unit *p)
{
	return *p >> 14 == 0 ? 2 : *p >> 14 == 3 ? 6 : 4;
}

static inline int ta_is_return(const ta_unit *p)
{
	return *p == ta_return[0];
}

static inline uintptr_t ta_return_address(const ucontext_t *uc)
{
	return uc->uc_mcontext.gregs[14];
}

/* r6 to r13, r15; r14 is not, but the stub returns by it and so keeps it */
static inline uint64_t ta_preserved(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.gregs[6 + i];
}

static inline uint64_t ta_number(const ucontext_t *uc)
{
	return uc->uc_mcontext.gregs[1];
}

static inline uint64_t ta_argument(const ucontext_t *uc, int i)
{
	return uc->uc_mcontext.gregs[2 + i];
}

static inline void ta_set_number(ucontext_t *uc, long number)
{
	uc->uc_mcontext.gregs[1] = (unsigned long)number;
}

static inline void ta_set_result(ucontext_t *uc, long value, int failed)
{
	uc->uc_mcontext.gregs[2] = (unsigned long)(failed ? -value : value);
}

/* "svc restart_syscall" in the vDSO; older kernels restart without coming back. */
#define TA_RESTART_SITE
static inline uintptr_t ta_restart_site(uintptr_t call)
{
	const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)vdso;
	const Elf64_Phdr *ph;
	const ta_unit *p, *end;
	int i;

	if (!vdso)
		return call;
	ph = (const Elf64_Phdr *)(vdso + eh->e_phoff);
	for (i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type != PT_LOAD)
			continue;
		end = (const ta_unit *)(vdso + ph[i].p_filesz);
		for (p = (const ta_unit *)vdso; p < end; p++)
			if (*p == 0x0a07 && p[1] == 0)
				return (uintptr_t)p;
	}
	return call;
}

/* Access registers 0 and 1 are in a context: those of the thread we are on. */
#define TA_THREAD_REGISTER
static inline void ta_take_thread(ucontext_t *uc)
{
	__asm__ volatile ("ear %0, %%a0" : "=d" (uc->uc_mcontext.aregs[0]));
	__asm__ volatile ("ear %0, %%a1" : "=d" (uc->uc_mcontext.aregs[1]));
}

/*
 * Leave a handler by the stub, see code.h: a frame begins with the register save area,
 * 160 bytes, and an instruction; the siginfo_t follows.
 */
static inline void ta_leave(const volatile int *zero, siginfo_t *info, void *ucontext)
{
	const char *frame = (const char *)info - 168;
	register const volatile int *flag __asm__ ("r2") = zero;
	register long number __asm__ ("r3") = SYS_rt_sigreturn;

	(void)ucontext;
	__asm__ volatile ("lgr	%%r15, %0\n\t"
			  "br	%1"
			  : : "a" (frame), "a" (safe_syscall_raw),
			  "r" (flag), "r" (number) : "memory");
	__builtin_unreachable();
}
