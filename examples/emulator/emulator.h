/* SPDX-License-Identifier: MIT */
/*
 * emulator.h - what the files of the emulator share.
 *
 * A guest thread is a thread of the host that runs thread_loop(): interpret
 * until something happens (cpu.c), make the system call (syscall.c), deliver a
 * signal (signal.c), and on.  What blocks a guest signal blocks the host's:
 * the mask, the pending signals and the dispositions are left to the host's
 * kernel as far as can be, so that the emulator need not imitate it.
 *
 * A name that begins with GUEST_ is a number of MIPS Linux, o32, and has another
 * value on most hosts.
 */
#ifndef EMULATOR_H
#define EMULATOR_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HOST_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
#define KERNEL_SET ((long)(_NSIG / 8))	/* a sigset_t as the kernel takes it */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the processor ------------------------------------------------------- */

enum { V0 = 2, V1 = 3, A0 = 4, A1, A2, A3, T9 = 25, K0 = 26, SP = 29, RA = 31, NOWHERE };

struct cpu {
	uint32_t r[NOWHERE + 1];	/* and what is written to the first one */
	/*
	 * The instruction at hand and the one after it.  They are apart by
	 * other than 4 in a delay slot of a branch that is taken.
	 */
	uint32_t pc, next;
	uint32_t hi, lo;
	uint32_t user_local;		/* rdhwr $29: thread-local storage */
	uint32_t linked, linked_value;	/* of ll, for sc */
	uint32_t bad;			/* the address of an address error */
	uint32_t f[32];			/* a double has its lower half first */
	uint32_t fcsr;
};

/* Why the interpreter has come back. */
enum event {
	EVENT_PENDING,			/* the flag is set */
	EVENT_SYSCALL,
	EVENT_BREAK, EVENT_TRAP, EVENT_OVERFLOW, EVENT_ILLEGAL,
	EVENT_ADDRESS
};

struct thread;
enum event cpu_run(struct thread *t);
void cpu_stopped(struct thread *t);
bool fpu_execute(struct cpu *cpu, uint32_t insn);	/* false: there is none such */
bool fpu_execute_x(struct cpu *cpu, uint32_t insn);
bool fpu_is(const struct cpu *cpu, uint32_t insn);
void fpu_restore(const struct cpu *cpu);
uint32_t fpu_status(struct cpu *cpu);

/* ---- instructions -------------------------------------------------------- */

struct insn {
	const void *run;		/* a label of cpu_run() */
	uint32_t constant;
	uint8_t s, t, d;		/* registers: two that are read, one that is written */
	bool is_near;			/* a jump within the piece, with its delay slot */
};

enum { PIECE = 256, PIECES = 256 };	/* instructions in one, and how many are kept */

struct piece {
	uint32_t start;
	struct insn insns[PIECE + 1];	/* the last one leads beyond it */
};

/*
 * A number for each instruction: its first six bits, or what these and a second field
 * make together; and for what stands in the place of one.
 */
enum {
	SPECIAL = 64, REGIMM = SPECIAL + 64, SPECIAL2 = REGIMM + 32,
	SPECIAL3 = SPECIAL2 + 64, COP1X = SPECIAL3 + 64, BC1 = COP1X + 64,
	UNDECODED, BEYOND, ELSEWHERE, ILLEGAL, CODES
};

extern volatile uint32_t code_version;
void code_changed(void);
struct insn *text_find(struct thread *t, uint32_t pc, const void *const *labels);
void text_decode(struct thread *t, struct insn *to, uint32_t insn,
		 const void *const *labels);
uint32_t text_address(struct thread *t, const struct insn *insn);

/* ---- signals ------------------------------------------------------------- */

typedef unsigned __int128 guest_sigset;	/* signal n is bit n - 1 */

/* The signals that the emulator has to do with itself. */
enum {
	GUEST_SIGILL = 4, GUEST_SIGTRAP = 5, GUEST_SIGFPE = 8, GUEST_SIGKILL = 9,
	GUEST_SIGBUS = 10, GUEST_SIGSEGV = 11, GUEST_SIGCHLD = 18, GUEST_SIGSTOP = 23,
	GUEST_SIGRTMIN = 32, GUEST_NSIG = 128
};

/* What is to become of a system call that has not been made. */
enum restart { RESTART_NONE, RESTART_SYS, RESTART_NOHAND, RESTART_ALWAYS };

/* What a fault in guest memory interrupts, and so what it means. */
enum activity { IN_EMULATOR, IN_GUEST, IN_SYSCALL, IN_SIGNAL };

struct thread {
	struct cpu cpu;

	/*
	 * The flag of safe_syscall_raw(), and the host's signal that set it.
	 * While it is set all signals of the host are blocked, so there is
	 * never more than one to note, and the rest waits in the host's kernel.
	 */
	volatile int pending;
	siginfo_t info;

	guest_sigset blocked;
	guest_sigset waiting;		/* the mask of a sigsuspend or ppoll */
	bool is_waiting;
	enum restart restart;
	/* SIGSEGV and SIGBUS that the guest blocks and somebody sent */
	siginfo_t held[2];		/* si_signo 0: none */
	struct stack { uint32_t address, size, flags; } stack;	/* sigaltstack */

	volatile enum activity activity;
	sigjmp_buf back;
	siginfo_t fault;

	int tid;
	uint32_t clear_tid, robust_list;
	bool done;			/* the call has set all registers */
	bool wide_time;			/* it is one of those with 64-bit times */
	char trace[512];

	/* The instruction at hand and the one after it, as of the last look. */
	struct insn *at, *then;
	struct insn elsewhere;		/* leads to target */
	uint32_t target, code_version;
	struct piece text[PIECES + 1];	/* the last one is kept for no time */
};

extern __thread struct thread *self;

void signal_start(struct thread *t);
void signal_deliver(struct thread *t);
void signal_force(struct thread *t, int sig, int code, uint32_t address);
void signal_set_mask(struct thread *t);
_Noreturn void signal_die(int sig);
int signal_to_host(int guest);		/* 0: the host has none such */
int signal_to_guest(int host);
void signal_forked(struct thread *t);
const char *signal_name(int guest);
const sigset_t *signal_wait_with(struct thread *t, uint32_t address, sigset_t *set);
void siginfo_put(uint32_t address, const siginfo_t *info);
int wait_status_to_guest(int status);

/* ---- memory -------------------------------------------------------------- */

extern uint8_t *memory;			/* where the host has the guest's address 0 */
extern bool guest_big, swapped;		/* other byte order than the host's */
extern uint32_t page_size;

enum { MEMORY_GUARD = 0x20000 };	/* bytes beyond the last address */

enum {
	GUEST_MAP_PRIVATE = 0x2, GUEST_MAP_FIXED = 0x10, GUEST_MAP_NORESERVE = 0x400,
	GUEST_MAP_ANONYMOUS = 0x800, GUEST_MAP_STACK = 0x40000
};

enum {
	STACK_TOP = 0x7ffe0000,		/* above it, a page with the trampolines */
	TRAMPOLINES = STACK_TOP,
	MAP_BOTTOM = 0x10000
};

/* Pointers as the kernel takes them: what is not mapped gets EFAULT from it. */
static inline void *host(uint32_t address)
{
	return memory + address;
}

static inline void *host_or_null(uint32_t address)
{
	return address ? host(address) : NULL;
}

/* As the kernel has it, which looks at a pointer and a length before all else. */
static inline bool is_user_space(uint32_t address, uint32_t length)
{
	return (uint64_t)address + length <= 0x80000000u;
}

static inline uint8_t order8(uint8_t v) { return v; }
static inline uint16_t order16(uint16_t v) { return swapped ? __builtin_bswap16(v) : v; }
static inline uint32_t order32(uint32_t v) { return swapped ? __builtin_bswap32(v) : v; }
static inline uint64_t order64(uint64_t v) { return swapped ? __builtin_bswap64(v) : v; }

/*
 * get32(address), put32(address, value), and so on.  A bad address does not come back:
 * it ends in thread_loop(), which knows why.  One that is aligned is read or written
 * at once; others only system calls have, as the interpreter looks before it.
 */
#define ACCESS(bits) \
	typedef uint##bits##_t __attribute__((may_alias)) any##bits; \
	typedef uint##bits##_t __attribute__((may_alias, aligned(1))) loose##bits; \
	static inline uint##bits##_t get##bits(uint32_t a) \
	{ \
		return order##bits(a % (bits / 8) ? *(volatile loose##bits *)host(a) : \
						    *(volatile any##bits *)host(a)); \
	} \
	static inline void put##bits(uint32_t a, uint##bits##_t v) \
	{ \
		if (a % (bits / 8)) \
			*(volatile loose##bits *)host(a) = order##bits(v); \
		else \
			*(volatile any##bits *)host(a) = order##bits(v); \
	}

ACCESS(8)
ACCESS(16)
ACCESS(32)
ACCESS(64)
#undef ACCESS

void memory_start(void);
bool memory_is_mapped(uint32_t address);
bool memory_is_code(uint32_t address);
long memory_map(uint32_t address, uint32_t length, int prot, int flags, int fd,
		uint64_t offset);	/* flags of the guest */
long memory_protect(uint32_t address, uint32_t length, int prot);
void memory_set_break(uint32_t end_of_bss);
void memory_touch(uint32_t address, uint32_t size);
extern pthread_mutex_t memory_lock;

/* ---- numbers and structures ---------------------------------------------- */

struct number {
	uint32_t host, guest;
	const char *name;		/* null ends a table */
};

extern const struct number errors[], signals[], open_flags[], socket_types[],
	socket_options[], limits[];
uint32_t to_host(const struct number *table, uint32_t guest, uint32_t otherwise);
uint32_t to_guest(const struct number *table, uint32_t host, uint32_t otherwise);
uint32_t bits_to_host(const struct number *table, uint32_t guest);
uint32_t bits_to_guest(const struct number *table, uint32_t host);
const char *name_of(const struct number *table, uint32_t guest);
int open_flags_to_host(uint32_t flags);
int socket_type_to_host(uint32_t type);

enum { STRUCT_MAX = 256 };		/* bytes, of those that have a letter */
void *struct_get(const struct thread *t, char letter, uint32_t address, void *to);
void struct_put(const struct thread *t, char letter, uint32_t address, const void *from);
/* Of sockets.  The size, or -EINVAL, which the kernel will say as well. */
long address_get(uint32_t address, uint32_t size, void *to);
void address_touch(uint32_t address, uint32_t size_at);
void address_put(uint32_t address, uint32_t size_at, void *from, uint32_t size);
void struct_touch(const struct thread *t, char letter, uint32_t address);
int struct_print(const struct thread *t, char letter, uint32_t address, char *to);

/* ---- programs, threads, calls -------------------------------------------- */

struct program {
	uint32_t entry, sp;
};

extern char program_path[];		/* for /proc/self/exe */
bool elf_is_guest(const char *path);
void elf_load(struct program *p, const char *path, char **argv, char **envp);

enum { FAULT = 1, END };		/* why to jump back to thread->back */
void thread_loop(struct thread *t);

/* The numbers of calls that the emulator itself has to know. */
enum { GUEST_SIGRETURN = 4119, GUEST_RT_SIGRETURN = 4193, GUEST_CALL_BASE = 4000 };
void syscall_do(struct thread *t);
void syscall_finish(struct thread *t, long result);
void syscall_faulted(struct thread *t);
long host_call_of_six(struct thread *t, long number, ...);
/* The arguments, long or pointers, that are not told are 0. */
#define host_call(t, ...) host_call_of_six(t, __VA_ARGS__, 0L, 0L, 0L, 0L, 0L, 0L)

const char *path_get(uint32_t address);	/* as the guest means it */
enum { MAX_IOV = 1024 };
struct iovec;
long iov_get(uint32_t address, uint32_t count, struct iovec *to);
long direct(long result);		/* what syscall() returned: -errno */

/*
 * What a call of the guest is made by; in the table it is sys_name.  It has the
 * arguments that the table tells, then zeroes, and the host's call if it is told.
 */
enum { MAX_ARGUMENTS = 10 };
#define UNUSED __attribute__((unused))
#define GUEST_CALL(name) \
	long sys_##name(struct thread *t UNUSED, const uint32_t *a UNUSED, long call UNUSED)
typedef long call_function(struct thread *t, const uint32_t *a, long call);
#define HOST(number, name, arguments, restart, host)
#define OWN(number, name, arguments, restart, function, host) call_function function;
#include "syscall_table.h"
#undef HOST
#undef OWN

extern bool tracing;
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void give_up(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What a shell would say. */
enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

#endif
