/* SPDX-License-Identifier: MIT */
/* breakpoint.c - see breakpoint.h */
#include <sys/mman.h>

#include "breakpoint.h"
#include "code.h"

static uintptr_t at;
static int slot;
static breakpoint_action *act;
static ta_unit saved[sizeof ta_trap / sizeof ta_trap[0]];
static volatile sig_atomic_t hit, armed;

/*
 * One small store after the other: where the processor is emulated, one that moves many
 * bytes may leave what was translated from these addresses before (s390x: QEMU 7.2 forgets
 * that for the first byte of an mvc only).
 */
static void copy_code(void *to, const void *from, size_t size)
{
	volatile ta_unit *t = to;
	const ta_unit *f = from;

	for (; size; size -= sizeof *t)
		*t++ = *f++;
}

static void write_code(const ta_unit *insn)
{
	copy_code((void *)at, insn, sizeof ta_trap);
	ta_code_changed((void *)at, sizeof ta_trap);
}

static void trapped(int sig, siginfo_t *info, void *ucontext)
{
	uintptr_t pc = ss_arch_pc(ucontext);
	static const char lost[] = "breakpoint: a trap of nobody's\n";

	(void)info;
	if (armed && slot && pc == at - sizeof ta_trap) {
		/* the branch and its slot will be run again */
	} else if (armed && (pc == at || pc == at + sizeof ta_trap)) {
		ss_arch_set_pc(ucontext, at);
	} else {
		if (write(2, lost, sizeof lost - 1) < 0)
			_exit(126);
		signal(sig, SIG_DFL);
		return;
	}
	write_code(saved);
	armed = 0;
	hit = 1;
	if (act)
		act(ucontext);
}

/* The mapping that an address is in. */
static void find_mapping(uintptr_t address, uintptr_t *start, size_t *size)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from = 0, to = 0;
	char line[512];

	ck_assert_ptr_ne(f, NULL);
	do {
		ck_assert_ptr_ne(fgets(line, sizeof line, f), NULL);
		ck_assert_int_eq(sscanf(line, "%lx-%lx", &from, &to), 2);
	} while (address < from || address >= to);
	fclose(f);
	*start = from;
	*size = to - from;
}

/*
 * Size bytes at that offset of a mapping, in one step, as what we are about to run may be
 * in it.  The copy has the same offset: where caches have aliases (mips), kernels
 * want shared memory at such addresses only.
 */
static int replace_by_copy(uintptr_t start, size_t offset, size_t size)
{
	void *there = (void *)(start + offset);
	char *room = mmap(NULL, offset + size, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *copy = room + offset;

	ck_assert_ptr_ne(room, MAP_FAILED);
	copy_code(copy, there, size);
	ta_code_changed(copy, size);
	if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, there) == MAP_FAILED)
		return -1;
	ta_code_changed(there, size);
	if (offset)
		munmap(room, offset);
	return 0;
}

/*
 * In a fork the kernel drops all translations of addresses.  An emulator that is told of one
 * page of 64 KB drops what it has made of the code in the first 4 KB (QEMU 7.2, ppc64), and
 * would run the old code elsewhere.
 */
static void drop_translations(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/*
 * The code's page and the next one, as it may reach into that; the whole mapping where
 * it can't be split, as the vDSO's.  Shared memory and not a private copy of
 * the file: emulators are known to miss it when code changes by copy-on-write.
 */
void breakpoint_prepare(uintptr_t code)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size, offset, part;
	uintptr_t start;

	find_mapping(code, &start, &size);
	offset = (code & -page) - start;
	part = size - offset;
	if (part > 2 * page)
		part = 2 * page;
	if (replace_by_copy(start, offset, part))
		ck_assert_int_eq(replace_by_copy(start, 0, size), 0);
	drop_translations();
	/* SIGILL: s390x without a tracer */
	on_signal(SIGTRAP, 0, trapped);
	on_signal(SIGILL, 0, trapped);
}

void breakpoint_announce(uintptr_t pc, int in_slot, breakpoint_action *action)
{
	at = pc;
	slot = in_slot;
	act = action;
	hit = 0;
	memcpy(saved, (void *)at, sizeof saved);
	armed = 1;
}

void breakpoint_write(void)
{
	write_code(ta_trap);
}

void breakpoint_set(uintptr_t pc, int in_slot, breakpoint_action *action)
{
	breakpoint_announce(pc, in_slot, action);
	breakpoint_write();
}

int breakpoint_clear(void)
{
	if (armed)
		write_code(saved);
	armed = 0;
	return hit;
}
