/* SPDX-License-Identifier: MIT */
/*
 * syscall.c - system calls: the table, the arguments, the result, the trace.
 *
 * The emulator uses the two lower layers of the library and not the third, as
 * it brings what the third is for: its own handlers for the signals of the host,
 * a thread state, and an idea of what is interrupted (whatever the guest thread
 * does).  safe_syscall() would need an interrupt signal of its own, and its
 * handler would have to be told by ours what it is told by the flag.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "emulator.h"
#include "guest.h"

/* ---- errors -------------------------------------------------------------- */

static const struct { short host, guest; const char *name; } errors[] = {
#define X(name, guest) { name, guest, #name },
	GUEST_ERRORS(X)
#undef X
};

uint32_t error_to_guest(int error)
{
	for (unsigned int i = 0; i < COUNT(errors); i++)
		if (errors[i].host == error)
			return (uint32_t)errors[i].guest;
	return (uint32_t)error;
}

const char *error_name(int error)
{
	for (unsigned int i = 0; i < COUNT(errors); i++)
		if (errors[i].host == error)
			return errors[i].name;
	return "?";
}

long direct(long result)
{
	return result == -1 ? -errno : result;
}

/* ---- calls that may block ------------------------------------------------ */

/*
 * Every call in which a guest thread may have to be reached by a signal.  The
 * result is that of the kernel, or -SAFE_ERESTARTSYS: a signal has been noted,
 * the call has had no effect, and the guest's kernel, that is us, decides what
 * becomes of it (see settle_call() in signal.c).
 *
 * RACY is what one writes without the library: look, then call, and take EINTR
 * for an interrupted call.  A signal between the two is noted, and the call
 * blocks with all signals blocked.  It is as careful as it can be otherwise.
 */
#ifndef RACY

#define CALL safe_syscall_raw

#else

#define CALL racy_call

static long racy_call(const volatile int *flag, long number, long a, long b, long c,
		      long d, long e, long f)
{
	long result;

	if (*flag)
		return -SAFE_ERESTARTSYS;
	result = direct(syscall(number, a, b, c, d, e, f));
	return result == -EINTR && *flag ? -SAFE_ERESTARTSYS : result;
}

#endif

/* Arguments of type long or pointers, as safe_syscall_raw() has them. */
long host_call(struct thread *t, long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return CALL(&t->pending, number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- arguments ----------------------------------------------------------- */

/* 64 bits in two registers, or words of the stack */
uint64_t pair(const uint32_t *a)
{
	return (uint64_t)a[guest_big ? 0 : 1] << 32 | a[guest_big ? 1 : 0];
}

/* The program itself is not what the host would say. */
const char *path_get(uint32_t address)
{
	const char *path = host(address);

	if (!memory_is_mapped(address) || strcmp(path, "/proc/self/exe"))
		return path;
	return program_path;
}

static const struct { int host; uint32_t guest; const char *name; } open_flags[] = {
#define X(name, guest) { name, guest, #name },
	GUEST_OPEN_FLAGS(X)
#undef X
};

/* Some consist of two bits, one of which is a flag of its own. */
int open_flags_to_host(uint32_t flags)
{
	int to = flags & O_ACCMODE;

	for (unsigned int i = 0; i < COUNT(open_flags); i++)
		if ((flags & open_flags[i].guest) == open_flags[i].guest)
			to |= open_flags[i].host;
	return to;
}

uint32_t open_flags_to_guest(int flags)
{
	uint32_t to = flags & O_ACCMODE;

	for (unsigned int i = 0; i < COUNT(open_flags); i++)
		if ((flags & open_flags[i].host) == open_flags[i].host)
			to |= open_flags[i].guest;
	return to;
}

/* ---- the table ----------------------------------------------------------- */

/*
 * What the letters of `arguments` mean.  Each takes one of the guest's:
 *
 *	d u x o		a number, signed, unsigned, or bits in base 16 or 8
 *	p b		a pointer, that the host takes as it is; b: to text
 *	s		a path
 *	S O T		a signal, the flags of open, a type of socket: translated
 *	L		a number of 64 bits: two, of which the first is an even one
 *
 * or none, for calls that the host has only in another form:
 *
 *	A		AT_FDCWD
 *	0 R N		the flags 0, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW
 */
struct call {
	const char *name;
	const char *arguments;
	enum restart restart;
	call_function *function;	/* null: the host's call `number` */
	long number;
};

static const struct call calls[] = {
#define HOST(number, name, arguments, restart, host) \
	[number] = { #name, arguments, restart, NULL, host },
#define OWN(number, name, arguments, restart, function) \
	[number] = { #name, arguments, restart, function, 0 },
#include "syscall_table.h"
#undef HOST
#undef OWN
};

static const struct call *call_of(uint32_t number)
{
	number -= GUEST_CALL_BASE;
	return number < COUNT(calls) && calls[number].name ? &calls[number] : NULL;
}

static bool takes_one(char letter)
{
	return strchr("duxopbsSOTL", letter) != NULL;
}

/* The first four are in registers, the others on the stack. */
static void get_arguments(struct thread *t, const struct call *call, uint32_t *a)
{
	int count = 0;

	for (const char *p = call->arguments; *p; p++)
		if (*p == 'L')
			count = ((count + 1) & ~1) + 2;
		else
			count += takes_one(*p);
	for (int i = 0; i < 8; i++)
		a[i] = i < 4 ? t->cpu.r[A0 + i] :
			i < count ? get32(t->cpu.r[SP] + 4 * (uint32_t)i) : 0;
}

static long call_host(struct thread *t, const struct call *call, const uint32_t *a)
{
	long to[8] = { 0 };
	int n = 0, i = 0;

	for (const char *p = call->arguments; *p; p++) {
		switch (*p) {
		case 'd': to[n++] = (int32_t)a[i++]; break;
		case 'p': case 'b': to[n++] = (long)host_or_null(a[i++]); break;
		case 's': to[n++] = (long)path_get(a[i++]); break;
		case 'S':
			to[n] = signal_to_host((int)a[i]);
			if (a[i++] && !to[n])
				return -EINVAL;
			n++;
			break;
		case 'O': to[n++] = open_flags_to_host(a[i++]); break;
		case 'T': to[n++] = socket_type_to_host(a[i++]); break;
		case 'A': to[n++] = AT_FDCWD; break;
		case '0': to[n++] = 0; break;
		case 'R': to[n++] = AT_REMOVEDIR; break;
		case 'N': to[n++] = AT_SYMLINK_NOFOLLOW; break;
		case 'L':
			i = (i + 1) & ~1;
			to[n++] = (long)pair(a + i);
			i += 2;
			break;
		default: to[n++] = a[i++]; break;
		}
	}
	if (call->restart == RESTART_NONE)
		return direct(syscall(call->number, to[0], to[1], to[2], to[3], to[4], to[5]));
	return host_call(t, call->number, to[0], to[1], to[2], to[3], to[4], to[5]);
}

/* ---- the trace ----------------------------------------------------------- */

void trace(const char *format, ...)
{
	char line[1024];
	va_list ap;
	int n = 0;

	if (self && self->tid != getpid())
		n = snprintf(line, sizeof line, "[pid %d] ", self->tid);
	va_start(ap, format);
	n += vsnprintf(line + n, sizeof line - (size_t)n, format, ap);
	va_end(ap);
	if (n >= (int)sizeof line)
		n = sizeof line - 1;
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		tracing = false;
}

/* The text as far as it is there and short. */
static int quote(char *to, uint32_t address, uint32_t length, bool is_string)
{
	char *p = to;
	uint32_t i;

	*p++ = '"';
	for (i = 0; i < length && i < 32; i++) {
		int c = *(volatile uint8_t *)host(address + i);

		if (is_string && !c)
			break;
		if (c == '\n')
			p += sprintf(p, "\\n");
		else if (c < ' ' || c > '~')
			p += sprintf(p, "\\%o", c);
		else {
			if (c == '"' || c == '\\')
				*p++ = '\\';
			*p++ = (char)c;
		}
	}
	p += sprintf(p, i == 32 ? "\"..." : "\"");
	return (int)(p - to);
}

static int name_flags(char *to, uint32_t flags)
{
	static const char *const modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "3" };
	char *p = to + sprintf(to, "%s", modes[flags & 3]);

	for (unsigned int i = 0; i < COUNT(open_flags); i++)
		if ((flags & open_flags[i].guest) == open_flags[i].guest)
			p += sprintf(p, "|%s", open_flags[i].name);
	return (int)(p - to);
}

static void trace_call(struct thread *t, const struct call *call, const uint32_t *a)
{
	char *line = t->trace, *p = line;
	int i = 0;

	p += sprintf(p, "%s(", call->name);
	for (const char *c = call->arguments; *c; c++) {
		if (!takes_one(*c))
			continue;
		if (i)
			p += sprintf(p, ", ");
		if (*c == 'L')
			i = (i + 1) & ~1;
		if (strchr("psb", *c) && !a[i])
			p += sprintf(p, "NULL");
		else if (*c == 'd')
			p += sprintf(p, "%d", (int)a[i]);
		else if (*c == 'u')
			p += sprintf(p, "%u", a[i]);
		else if (*c == 'o')
			p += sprintf(p, "%#o", a[i]);
		else if (*c == 'S')
			p += sprintf(p, "%s", signal_name((int)a[i]));
		else if (*c == 'O')
			p += name_flags(p, a[i]);
		else if (*c == 'L')
			p += sprintf(p, "%lld", (long long)pair(a + i));
		else if ((*c == 's' || *c == 'b') && memory_is_mapped(a[i]))
			p += quote(p, a[i], *c == 's' ? UINT32_MAX : a[i + 1], *c == 's');
		else
			p += sprintf(p, "%#x", a[i]);
		i += *c == 'L' ? 2 : 1;
	}
	sprintf(p, ")");
}

static void trace_result(const struct thread *t, long result)
{
	if (result == -SAFE_ERESTARTSYS)
		trace("%s = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n",
		      t->trace);
	else if (t->done)
		trace("%s = ?\n", t->trace);
	else if (result < 0 && result > -4096)
		trace("%s = -1 %s (%s)\n", t->trace, error_name((int)-result),
		      strerror((int)-result));
	else
		trace((uint32_t)result > 0x10000 ? "%s = %#x\n" : "%s = %d\n", t->trace,
		      (uint32_t)result);
}

/* ---- a call from its beginning to its end -------------------------------- */

/*
 * The end of a call: v0, with a3 saying whether it is an error, and on to the
 * next instruction.
 */
void syscall_finish(struct thread *t, long result)
{
	struct cpu *cpu = &t->cpu;

	cpu->r[A3] = result < 0 && result > -4096;
	cpu->r[V0] = cpu->r[A3] ? error_to_guest((int)-result) : (uint32_t)result;
	cpu->pc = cpu->next;
	cpu->next += 4;
}

/* Guest memory was not there where the call wanted it. */
void syscall_faulted(struct thread *t)
{
	if (tracing)
		trace_result(t, -EFAULT);
	syscall_finish(t, -EFAULT);
}

void syscall_do(struct thread *t)
{
	const struct call *call = call_of(t->cpu.r[V0]);
	uint32_t a[8];
	long result;

	t->restart = RESTART_NONE;
	t->is_waiting = t->done = false;
	t->wide_time = t->cpu.r[V0] >= GUEST_CALL_BASE + 403;
	if (!call) {
		if (tracing)
			trace("syscall_%u(%#x, %#x, %#x, %#x) = -1 ENOSYS (%s)\n",
			      t->cpu.r[V0], t->cpu.r[A0], t->cpu.r[A1], t->cpu.r[A2],
			      t->cpu.r[A3], strerror(ENOSYS));
		syscall_finish(t, -ENOSYS);
		return;
	}
	get_arguments(t, call, a);
	if (tracing)
		trace_call(t, call, a);
	result = call->function ? call->function(t, a) : call_host(t, call, a);
	if (tracing)
		trace_result(t, result);
	/* the mask of a ppoll that has a result is gone when a signal comes */
	if (result != -SAFE_ERESTARTSYS && result != -EINTR)
		t->is_waiting = false;
	if (t->done)
		return;
	if (result == -SAFE_ERESTARTSYS) {
		/* the program counter is on the call, and stays there */
		t->restart = t->restart ? t->restart : call->restart;
		return;
	}
	t->restart = RESTART_NONE;
	syscall_finish(t, result);
}

/* ---- memory, programs, threads ------------------------------------------- */

GUEST_CALL(brk)
{
	return memory_break(a[0]);
}

GUEST_CALL(mmap2)
{
	uint64_t offset = (uint64_t)a[5] << 12;

	if (offset % page_size)
		return -EINVAL;
	return memory_map(a[0], a[1], (int)a[2], (int)a[3], (int)a[4], offset);
}

GUEST_CALL(munmap)
{
	return memory_unmap(a[0], a[1]);
}

GUEST_CALL(mprotect)
{
	return memory_protect(a[0], a[1], (int)a[2]);
}

GUEST_CALL(mremap)
{
	return memory_remap(a[0], a[1], a[2], (int)a[3], a[4]);
}

GUEST_CALL(madvise)
{
	return memory_advise(a[0], a[1], (int)a[2]);
}

GUEST_CALL(nothing)
{
	return 0;
}

GUEST_CALL(set_thread_area)
{
	t->cpu.user_local = a[0];
	return 0;
}

GUEST_CALL(set_tid_address)
{
	t->clear_tid = a[0];
	return t->tid;
}

GUEST_CALL(set_robust_list)
{
	if (a[1] != 12)
		return -EINVAL;
	t->robust_list = a[0];
	return 0;
}

GUEST_CALL(fork)
{
	return thread_clone(t, 18, 0, 0, 0, 0);		/* SIGCHLD */
}

GUEST_CALL(clone)
{
	return thread_clone(t, a[0], a[1], a[2], a[3], a[4]);
}

GUEST_CALL(exit)
{
	if (tracing)
		trace("%s = ?\n+++ exited with %d +++\n", t->trace, a[0] & 255);
	thread_exit(t, (int)a[0]);
}

GUEST_CALL(exit_group)
{
	if (tracing)
		trace("%s = ?\n+++ exited with %d +++\n", t->trace, a[0] & 255);
	thread_forget(t);
	for (;;)
		syscall(SYS_exit_group, (int)a[0]);
}

/* The strings stay where they are, as the host's exec copies them. */
static long get_strings(uint32_t address, const char **to, size_t room)
{
	size_t n = 0;
	uint32_t p;

	while (address && (p = get32(address)) != 0) {
		if (n + 1 >= room)
			return -E2BIG;
		to[n++] = host(p);
		address += 4;
	}
	to[n] = NULL;
	return (long)n;
}

/*
 * A guest's program is run by the emulator again; anything else, a script for
 * one, is the host's to run or to refuse.  It goes by the stub so that a signal
 * that has been noted is delivered first and not lost with us.
 */
GUEST_CALL(execve)
{
	const char *argv[4096 + 8], *envp[4096];
	const char **own = argv + 8, *path = path_get(a[0]);
	long n;

	if (access(path, F_OK))
		return -errno;
	n = get_strings(a[1], own, 4096);
	if (n >= 0 && n < 1)
		own[n++] = "", own[n] = NULL;
	if (n >= 0)
		n = get_strings(a[2], envp, COUNT(envp));
	if (n < 0)
		return n;
	if (!access(path, X_OK) && elf_is_guest(path)) {
		const char *name = own[0];

		*own = path;
		*--own = "--";
		*--own = name;
		*--own = "-0";
		if (tracing)
			*--own = "-strace";
		*--own = "safe-emulator";
		path = "/proc/self/exe";
	}
	if (tracing)
		trace("%s ...\n", t->trace);
	return host_call(t, SYS_execve, path, own, envp);
}

/* ---- waiting for children ------------------------------------------------ */

static void put_rusage(uint32_t at, const struct rusage *u)
{
	const uint64_t words[] = {
		(uint64_t)u->ru_utime.tv_sec, (uint64_t)u->ru_utime.tv_usec,
		(uint64_t)u->ru_stime.tv_sec, (uint64_t)u->ru_stime.tv_usec,
		(uint64_t)u->ru_maxrss, 0, 0, 0, (uint64_t)u->ru_minflt,
		(uint64_t)u->ru_majflt, 0, (uint64_t)u->ru_inblock, (uint64_t)u->ru_oublock,
		0, 0, 0, (uint64_t)u->ru_nvcsw, (uint64_t)u->ru_nivcsw
	};

	put_words(at, words, COUNT(words));
}

GUEST_CALL(wait4)
{
	struct rusage usage;
	int status;
	long pid;

	pid = host_call(t, SYS_wait4, (long)(int)a[0], &status, (long)(int)a[2],
			a[3] ? &usage : NULL);
	if (pid > 0 && a[1])
		put32(a[1], (uint32_t)wait_status_to_guest(status));
	if (pid > 0 && a[3])
		put_rusage(a[3], &usage);
	return pid;
}

GUEST_CALL(waitid)
{
	struct rusage usage;
	siginfo_t info;
	long result;

	memset(&info, 0, sizeof info);
	result = host_call(t, SYS_waitid, (long)a[0], (long)(int)a[1], &info, (long)(int)a[3],
			   a[4] ? &usage : NULL);
	if (result < 0)
		return result;
	if (a[2])
		siginfo_put(a[2], &info);
	if (a[4])
		put_rusage(a[4], &usage);
	return result;
}

GUEST_CALL(getrusage)
{
	struct rusage usage;

	if (getrusage((int)a[0], &usage))
		return -errno;
	put_rusage(a[1], &usage);
	return 0;
}

/* ---- limits, names ------------------------------------------------------- */

static int limit_to_host(uint32_t which)
{
	static const struct { int host; uint32_t guest; } limits[] = {
#define X(name, guest) { name, guest },
		GUEST_LIMITS(X)
#undef X
	};

	for (unsigned int i = 0; i < COUNT(limits); i++)
		if (limits[i].guest == which)
			return limits[i].host;
	return -1;
}

/* Unlimited is the largest positive number for the old calls. */
static uint32_t limit32(rlim_t v)
{
	return v > INT32_MAX ? INT32_MAX : (uint32_t)v;
}

GUEST_CALL(getrlimit)
{
	struct rlimit limit;

	if (getrlimit(limit_to_host(a[0]), &limit))
		return -errno;
	put32(a[1], limit32(limit.rlim_cur));
	put32(a[1] + 4, limit32(limit.rlim_max));
	return 0;
}

/* The address space of the emulator is not that of the guest. */
static bool is_of_host(uint32_t which)
{
	int limit = limit_to_host(which);

	return limit == RLIMIT_AS || limit == RLIMIT_DATA || limit == RLIMIT_STACK;
}

GUEST_CALL(prlimit64)
{
	struct rlimit new, old;

	if (a[2]) {
		new.rlim_cur = get64(a[2]);
		new.rlim_max = get64(a[2] + 8);
	}
	if (prlimit((int)a[0], (unsigned int)limit_to_host(a[1]),
		    a[2] && !is_of_host(a[1]) ? &new : NULL, &old))
		return -errno;
	if (a[3]) {
		put64(a[3], old.rlim_cur);
		put64(a[3] + 8, old.rlim_max);
	}
	return 0;
}

GUEST_CALL(uname)
{
	struct utsname names;

	uname(&names);
	strcpy(names.machine, "mips");
	for (uint32_t i = 0; i < sizeof names; i++)
		*(volatile char *)host(a[0] + i) = ((const char *)&names)[i];
	return 0;
}

GUEST_CALL(sysinfo)
{
	struct sysinfo i;

	if (sysinfo(&i))
		return -errno;
	const uint64_t pages = 4096 / i.mem_unit ? 4096 / i.mem_unit : 1;
	const uint64_t words[] = {
		(uint64_t)i.uptime, i.loads[0], i.loads[1], i.loads[2], i.totalram / pages,
		i.freeram / pages, i.sharedram / pages, i.bufferram / pages,
		i.totalswap / pages, i.freeswap / pages, 0, 0, 0, (uint64_t)i.mem_unit * pages
	};

	put_words(a[0], words, COUNT(words));
	put16(a[0] + 40, i.procs);
	return 0;
}

GUEST_CALL(prctl)
{
	switch (a[0]) {
	case PR_SET_NAME:
	case PR_GET_NAME:
		return direct(prctl((int)a[0], host(a[1])));
	case PR_SET_PDEATHSIG:
		return direct(prctl(PR_SET_PDEATHSIG, signal_to_host((int)a[1])));
	case PR_SET_DUMPABLE:
	case PR_GET_DUMPABLE:
	case PR_SET_KEEPCAPS:
	case PR_GET_KEEPCAPS:
	case PR_SET_CHILD_SUBREAPER:
	case PR_SET_NO_NEW_PRIVS:
	case PR_GET_NO_NEW_PRIVS:
		return direct(prctl((int)a[0], (long)a[1], (long)a[2], (long)a[3], (long)a[4]));
	}
	return -EINVAL;
}

GUEST_CALL(getgroups)
{
	gid_t list[1024];
	int n;

	if (a[0] > COUNT(list))
		return -EINVAL;
	n = getgroups((int)a[0], list);
	for (int i = 0; a[0] && i < n; i++)
		put32(a[1] + 4 * (uint32_t)i, list[i]);
	return direct(n);
}

/* Words of 32 bits where the host has 64. */
GUEST_CALL(sched_getaffinity)
{
	unsigned long mask[16];
	long size;

	if (a[1] % 4)
		return -EINVAL;
	size = direct(syscall(SYS_sched_getaffinity, (int)a[0], sizeof mask, mask));
	if (size > a[1])
		size = a[1];
	for (uint32_t i = 0; size > 0 && i < (uint32_t)size / 4; i++)
		put32(a[2] + 4 * i, (uint32_t)(mask[i / 2] >> (32 * (i % 2))));
	return size;
}
