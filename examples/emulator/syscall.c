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
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <safe_syscall.h>

#include "emulator.h"

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

#define CALL safe_syscall_rawv

#else

#define CALL racy_call

static long racy_call(const volatile int *flag, long number, const safe_syscall_word *a)
{
	long result;

	if (*flag)
		return -SAFE_ERESTARTSYS;
	result = direct(syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
	return result == -EINTR && *flag ? -SAFE_ERESTARTSYS : result;
}

#endif

/* host_call() */
long host_call_of_six(struct thread *t, long number, ...)
{
	safe_syscall_word a[SAFE_SYSCALL_ARGUMENTS];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < SAFE_SYSCALL_ARGUMENTS; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return CALL(&t->pending, number, a);
}

/* ---- arguments ----------------------------------------------------------- */

/* 64 bits in two registers, or words of the stack */
static uint64_t pair(const uint32_t *a)
{
	return (uint64_t)a[guest_big ? 0 : 1] << 32 | a[guest_big ? 1 : 0];
}

/* The program itself is not what the host would say. */
const char *path_get(uint32_t address)
{
	const char *path = host_or_null(address);

	if (!path || !memory_is_mapped(address) || strcmp(path, "/proc/self/exe"))
		return path;
	return program_path;
}

/* ---- the table ----------------------------------------------------------- */

/*
 * The host takes a pointer for one of ours, so it may not get one that the guest has
 * made up.  Hence nothing is passed on that is not known to be none.  A call that is
 * not in the table is not made.  In it
 *
 *	numbers		have 32 bits, and nothing of ours is below 4 GiB but in an
 *			emulator that was linked to be there; none stands for a pointer.
 *			Those that mean the same everywhere go on whether or not we know
 *			them: clocks, which process or user, modes, devices, families and
 *			protocols, MSG_, AT_, POSIX_FADV_, SPLICE_, FALLOC_, MFD_, RENAME_
 *			and the like, the commands of membarrier and flock
 *	pointers	lie in the guest's memory, and so does all that is read or written
 *			there: r and b are checked, the others are to a few bytes, and after
 *			the guest's memory comes a guard
 *	structures	are made here, field by field, from a layout in translate.c
 *
 * and what is told by a number within a call is told from a list of those that are
 * known, with the layout of what comes with it:
 *
 *	getsockopt, setsockopt		options[] in socket.c, by level and name
 *	sendmsg, sendmmsg		messages[] in socket.c; what comes back is cut off
 *	recvmsg, recvmmsg		where it does not fit
 *	readv, writev and these		iov_get(), which checks as r does
 *	ioctl				requests[] in terminal.c; others have no argument
 *	fcntl64				a switch in file.c
 *	prctl				PR_SET_NAME and PR_GET_NAME, of 16 bytes
 *	futex				waiting, waking and requeueing: words of the guest's
 *	clone				is not passed on, but made of threads and of fork
 *	timer_create			its value comes back in a siginfo, as an int
 *	mq_notify			the same, or bytes of the guest's
 *	rt_sigqueueinfo, rt_tg...	made here, and never one that says it is a fault
 *	mmap2, mremap, munmap, ...	ranges of the guest's; memory.c closes what holes
 *					the host may leave
 *	open, openat			/proc/PID/mem is refused
 *
 * That keeps the guest's mistakes the guest's.  It is no cage: a guest may execute a
 * program of the host, which may do what its user may.  Some devices too take pointers
 * in what is written to them, as that for raw SCSI commands.
 *
 * What the letters of `arguments` mean.  Each takes one of the guest's:
 *
 *	d u x o		a number, signed, unsigned, or bits in base 16 or 8
 *	p		a pointer, that the host takes as it is
 *	r b		the same, to as many bytes as the next argument says; b: of text
 *	s		a path
 *	S O T		a signal, the flags of open, a type of socket: translated
 *	L		a number of 64 bits: two, of which the first is an even one
 *	<c >c =c	a structure that is read, written, or both; see translate.c for c
 *	@ $		two, the address of a socket and its size, or where to put both
 *	-		nothing that the host needs
 *
 * or none, for calls that the host has only in another form:
 *
 *	A		AT_FDCWD
 *	0 R N E		the flags 0, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
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
#define OWN(number, name, arguments, restart, function, host) \
	[number] = { #name, arguments, restart, function, host },
#include "syscall_table.h"
#undef HOST
#undef OWN
};

static const struct call *call_of(uint32_t number)
{
	number -= GUEST_CALL_BASE;
	return number < COUNT(calls) && calls[number].name ? &calls[number] : NULL;
}

/* The first four are in registers, the others on the stack. */
static uint32_t argument(const struct thread *t, uint32_t i)
{
	return i < 4 ? t->cpu.r[A0 + i] : get32(t->cpu.r[SP] + 4 * i);
}

/*
 * In the order in which the host has them; those that are not there are 0.  False
 * if they lead out of what a guest can have.
 */
static bool get_arguments(const struct thread *t, const char *letters, uint32_t *a)
{
	bool is_good = true;
	uint32_t i = 0;

	memset(a, 0, MAX_ARGUMENTS * sizeof *a);
	for (const char *p = letters; *p; p++) {
		switch (*p) {
		case 'A': *a++ = (uint32_t)AT_FDCWD; break;
		case '0': *a++ = 0; break;
		case 'R': *a++ = AT_REMOVEDIR; break;
		case 'N': *a++ = AT_SYMLINK_NOFOLLOW; break;
		case 'E': *a++ = AT_EMPTY_PATH; break;
		case '-': i++; break;
		case 'L':
			i = (i + 1) & ~1u;
			/* fall through */
		case '@': case '$':
			*a++ = argument(t, i++);
			*a++ = argument(t, i++);
			break;
		case 'r': case 'b':
			is_good &= is_user_space(argument(t, i), argument(t, i + 1));
			*a++ = argument(t, i++);
			break;
		case '<': case '>': case '=':
			p++;
			/* fall through */
		default:
			*a++ = argument(t, i++);
		}
	}
	return is_good;
}

/* What an argument points at, as the host has it. */
struct slot {
	char letter;			/* to be written when the call is done; 0: nothing */
	uint32_t address, size_at;
	socklen_t size;
	uint64_t room[STRUCT_MAX / 8];
};

static long take_structure(const struct thread *t, const char *letters, uint32_t address,
			   struct slot *slot)
{
	memset(slot->room, 0, sizeof slot->room);
	if (letters[0] != '<') {
		struct_touch(t, letters[1], address);
		slot->letter = letters[1];
		slot->address = address;
	}
	if (letters[0] != '>')
		struct_get(t, letters[1], address, slot->room);
	return address ? (long)slot->room : 0;
}

static void take_address(const uint32_t *a, struct slot *slot, safe_syscall_word *to)
{
	to[0] = a[0] ? (long)slot->room : 0;
	to[1] = a[0] ? address_get(a[0], a[1], slot->room) : (long)a[1];
}

static void take_place_for_address(const uint32_t *a, struct slot *slot,
				   safe_syscall_word *to)
{
	address_touch(a[0], a[1]);
	slot->letter = '$';
	slot->address = a[0];
	slot->size_at = a[1];
	slot->size = sizeof slot->room;
	to[0] = (long)slot->room;
	to[1] = (long)&slot->size;
}

static void give_back(const struct thread *t, struct slot *slot)
{
	if (slot->letter == '$')
		address_put(slot->address, slot->size_at, slot->room, slot->size);
	else if (slot->letter)
		struct_put(t, slot->letter, slot->address, slot->room);
}

static long call_host(struct thread *t, const struct call *call, const uint32_t *a)
{
	static const volatile int never = 0;
	struct slot slots[SAFE_SYSCALL_ARGUMENTS];
	safe_syscall_word to[SAFE_SYSCALL_ARGUMENTS] = { 0 };
	long result;
	int n = 0;

	for (int i = 0; i < SAFE_SYSCALL_ARGUMENTS; i++)
		slots[i].letter = 0;
	for (const char *p = call->arguments; *p; p++, n++, a++) {
		p += *p == '-';
		switch (*p) {
		case 'A': case 'd': to[n] = (int32_t)*a; break;
		case 'p': case 'r': case 'b': to[n] = (long)host_or_null(*a); break;
		case 's': to[n] = (long)path_get(*a); break;
		case 'O': to[n] = open_flags_to_host(*a); break;
		case 'T': to[n] = socket_type_to_host(*a); break;
		case 'L': to[n] = (long)pair(a++); break;
		case 'S':
			to[n] = signal_to_host((int)*a);
			if (*a && !to[n])
				return -EINVAL;
			break;
		case '<': case '>': case '=':
			to[n] = take_structure(t, p++, *a, &slots[n]);
			break;
		case '@': take_address(a++, &slots[n], &to[n]); n++; break;
		case '$': take_place_for_address(a++, &slots[n], &to[n]); n++; break;
		default: to[n] = *a; break;
		}
	}
	result = CALL(call->restart == RESTART_NONE ? &never : &t->pending, call->number, to);
	for (int i = 0; i < n && result >= 0; i++)
		give_back(t, &slots[i]);
	return result;
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
	int n = sprintf(to, "\"");
	uint32_t i;

	for (i = 0; i < length && i < 32; i++) {
		int c = get8(address + i);

		if (is_string && !c)
			break;
		if (c == '\n')
			n += sprintf(to + n, "\\n");
		else if (c < ' ' || c > '~')
			n += sprintf(to + n, "\\%o", c);
		else
			n += sprintf(to + n, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	return n + sprintf(to + n, i == 32 ? "\"..." : "\"");
}

static int print_flags(char *to, uint32_t flags)
{
	static const char *const modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "3" };
	int n = sprintf(to, "%s", modes[flags & 3]);

	for (const struct number *f = open_flags; f->name; f++)
		if ((flags & f->guest) == f->guest)
			n += sprintf(to + n, "|%s", f->name);
	return n;
}

static int print_argument(const struct thread *t, char *to, const char *letter,
			  const uint32_t *a)
{
	bool is_text = (*letter == 's' || *letter == 'b') && memory_is_mapped(*a);

	if (strchr("prsb<>=", *letter) && !*a)
		return sprintf(to, "NULL");
	if (is_text)
		return quote(to, *a, *letter == 's' ? UINT32_MAX : a[1], *letter == 's');
	switch (*letter) {
	case 'd': return sprintf(to, "%d", (int)*a);
	case 'u': return sprintf(to, "%u", *a);
	case 'o': return sprintf(to, "%#o", *a);
	case 'S': return sprintf(to, "%s", signal_name((int)*a));
	case 'O': return print_flags(to, *a);
	case 'L': return sprintf(to, "%lld", (long long)pair(a));
	case '@': return sprintf(to, "%#x, %u", a[0], a[1]);
	case '$': return sprintf(to, "%#x, %#x", a[0], a[1]);
	case '<': case '=': return struct_print(t, letter[1], *a, to);
	default: return sprintf(to, "%#x", *a);
	}
}

static void trace_call(struct thread *t, const struct call *call, const uint32_t *a)
{
	char *to = t->trace + sprintf(t->trace, "%s(", call->name);
	const char *between = "";

	for (const char *p = call->arguments; *p; p++) {
		if (!strchr("A0RNE-", *p)) {
			to += sprintf(to, "%s", between);
			to += print_argument(t, to, p, a);
			between = ", ";
		}
		a += strchr("L@$", *p) ? 2 : *p != '-';
		p += strchr("<>=", *p) != NULL;
	}
	sprintf(to, ")");
}

static const char *error_name(long error)
{
	const char *name = name_of(errors, to_guest(errors, (uint32_t)error, 0));

	return name ? name : "?";
}

static void trace_result(const struct thread *t, long result)
{
	if (result == -SAFE_ERESTARTSYS)
		trace("%s = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n",
		      t->trace);
	else if (t->done)
		trace("%s = ?\n", t->trace);
	else if (result < 0 && result > -4096)
		trace("%s = -1 %s (%s)\n", t->trace, error_name(-result),
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
	cpu->r[V0] = (uint32_t)result;
	if (cpu->r[A3])
		cpu->r[V0] = to_guest(errors, (uint32_t)-result, (uint32_t)-result);
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
	uint32_t a[MAX_ARGUMENTS];
	bool is_good;
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
	is_good = get_arguments(t, call->arguments, a);
	if (tracing)
		trace_call(t, call, a);
	if (!is_good)
		result = -EFAULT;
	else if (call->function)
		result = call->function(t, a, call->number);
	else
		result = call_host(t, call, a);
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

/* ---- programs ------------------------------------------------------------ */

GUEST_CALL(nothing)
{
	return 0;
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

GUEST_CALL(wait4)
{
	struct rusage usage;
	int status;
	long pid = host_call(t, SYS_wait4, (long)(int)a[0], &status, (long)(int)a[2],
			     &usage);

	if (pid > 0 && a[1])
		put32(a[1], (uint32_t)wait_status_to_guest(status));
	if (pid > 0)
		struct_put(t, 'r', a[3], &usage);
	return pid;
}

/* No C library asks for the usage too. */
GUEST_CALL(waitid)
{
	siginfo_t info;
	long result;

	memset(&info, 0, sizeof info);
	result = host_call(t, SYS_waitid, (long)a[0], (long)(int)a[1], &info,
			   (long)(int)a[3]);
	if (result >= 0 && a[2])
		siginfo_put(a[2], &info);
	return result;
}

/* ---- limits, names ------------------------------------------------------- */

/*
 * getrlimit, setrlimit, prlimit64: `call` is the letter of the structure.  The address
 * space of the emulator is not that of the guest.
 */
GUEST_CALL(limit)
{
	uint32_t which = to_host(limits, a[1], a[1]);
	bool is_ours = which == RLIMIT_AS || which == RLIMIT_DATA || which == RLIMIT_STACK;
	struct rlimit new, old, *set = struct_get(t, (char)call, a[2], &new);

	if (prlimit((int)a[0], which, is_ours ? NULL : set, &old))
		return -errno;
	struct_put(t, (char)call, a[3], &old);
	return 0;
}

GUEST_CALL(uname)
{
	struct utsname names;

	uname(&names);
	strcpy(names.machine, "mips");
	memcpy(host(a[0]), &names, sizeof names);
	return 0;
}

GUEST_CALL(prctl)
{
	if (a[0] != PR_SET_NAME && a[0] != PR_GET_NAME)
		return -EINVAL;
	return direct(prctl((int)a[0], host(a[1])));
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

GUEST_CALL(setgroups)
{
	gid_t list[1024];

	if (a[0] > COUNT(list))
		return -EINVAL;
	for (uint32_t i = 0; i < a[0]; i++)
		list[i] = get32(a[1] + 4 * i);
	return direct(syscall(SYS_setgroups, (long)a[0], list));
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

GUEST_CALL(sched_setaffinity)
{
	unsigned long mask[16] = { 0 };

	for (uint32_t i = 0; i < a[1] / 4 && i < 2 * COUNT(mask); i++)
		mask[i / 2] |= (unsigned long)get32(a[2] + 4 * i) << (32 * (i % 2));
	return direct(syscall(SYS_sched_setaffinity, (int)a[0], sizeof mask, mask));
}
