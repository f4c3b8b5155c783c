/* SPDX-License-Identifier: MIT */
/*
 * elf.c - a statically linked program into guest memory, and the stack as a
 * new program finds it.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator.h"
#include "guest.h"

#define PIE_BASE	0x00400000u
#define STACK_SIZE	(8u << 20)
#define ABI2		0x20u		/* in e_flags: n32 */

static uint32_t tramp[] = {
	0x24020000u | GUEST_SIGRETURN, 0x0000000c,	/* li $v0, ...; syscall */
	0x24020000u | GUEST_RT_SIGRETURN, 0x0000000c
};

/* ---- the file ------------------------------------------------------------ */

static const char *wrong(const Elf32_Ehdr *e, ssize_t size)
{
	if (size < (ssize_t)sizeof *e || memcmp(e->e_ident, ELFMAG, SELFMAG))
		return "not an ELF program";
	if (e->e_ident[EI_CLASS] != ELFCLASS32 ||
	    (e->e_ident[EI_DATA] != ELFDATA2LSB && e->e_ident[EI_DATA] != ELFDATA2MSB))
		return "not a 32-bit MIPS program";
	swapped = (e->e_ident[EI_DATA] == ELFDATA2MSB) != HOST_BIG;
	if (order16(e->e_machine) != EM_MIPS || order32(e->e_flags) & ABI2)
		return "not a 32-bit MIPS program";
	if (order32(e->e_flags) >> 28 == 9 || order32(e->e_flags) >> 28 == 10)
		return "for MIPS32 release 6, which is another instruction set";
	if (order16(e->e_type) != ET_EXEC && order16(e->e_type) != ET_DYN)
		return "not an executable file";
	if (order16(e->e_phentsize) != sizeof(Elf32_Phdr) || !e->e_phnum ||
	    order16(e->e_phnum) > 64)
		return "its program headers make no sense";
	return NULL;
}

bool elf_is_guest(const char *path)
{
	bool was_swapped = swapped;
	Elf32_Ehdr e;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is;

	if (fd == -1)
		return false;
	n = pread(fd, &e, sizeof e, 0);
	close(fd);
	is = !wrong(&e, n);
	swapped = was_swapped;
	return is;
}

struct file {
	const char *path;
	int fd;
	Elf32_Ehdr e;
	Elf32_Phdr p[64];
	int count;
	uint32_t bias, low, high;
};

static _Noreturn void bad(const struct file *f, const char *why)
{
	give_up(NOT_EXECUTABLE, "%s: %s", f->path, why);
}

static void open_file(struct file *f)
{
	struct stat st;
	const char *why;
	ssize_t n;

	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->fd == -1)
		give_up(errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE,
			"%s: %s", f->path, strerror(errno));
	if (fstat(f->fd, &st) || !S_ISREG(st.st_mode))
		bad(f, "not a regular file");
	n = pread(f->fd, &f->e, sizeof f->e, 0);
	why = wrong(&f->e, n);
	if (why)
		bad(f, why);
	guest_big = f->e.e_ident[EI_DATA] == ELFDATA2MSB;
}

static void read_headers(struct file *f)
{
	ssize_t size;

	f->count = order16(f->e.e_phnum);
	size = f->count * (ssize_t)sizeof f->p[0];
	if (pread(f->fd, f->p, (size_t)size, order32(f->e.e_phoff)) != size)
		bad(f, "its program headers are cut off");
	f->low = UINT32_MAX;
	for (int i = 0; i < f->count; i++) {
		Elf32_Phdr *p = &f->p[i];
		uint32_t *word = (uint32_t *)p;

		for (size_t j = 0; j < sizeof *p / sizeof *word; j++)
			word[j] = order32(word[j]);
		if (p->p_type == PT_INTERP)
			bad(f, "dynamically linked; only static programs can be run");
		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz > p->p_memsz || p->p_vaddr + p->p_memsz < p->p_vaddr ||
		    p->p_vaddr + p->p_memsz > STACK_TOP - STACK_SIZE - 0x100000)
			bad(f, "a segment is outside of what a program can have");
		if (p->p_vaddr < f->low)
			f->low = p->p_vaddr;
		if (p->p_vaddr + p->p_memsz > f->high)
			f->high = p->p_vaddr + p->p_memsz;
	}
	if (f->low >= f->high)
		bad(f, "nothing to load");
	if (order16(f->e.e_type) == ET_DYN)
		f->bias = PIE_BASE;
	else if (f->low < MAP_BOTTOM)
		bad(f, "a segment is outside of what a program can have");
}

static int prot_of(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
		(flags & PF_X ? PROT_EXEC : 0);
}

static uint32_t flags_of_page(const struct file *f, uint32_t at)
{
	uint32_t flags = 0;

	for (int i = 0; i < f->count; i++) {
		const Elf32_Phdr *p = &f->p[i];
		uint32_t start = f->bias + p->p_vaddr;

		if (p->p_type == PT_LOAD && start < at + page_size && start + p->p_memsz > at)
			flags |= p->p_flags;
	}
	return flags;
}

/*
 * All segments at once, read and not mapped: the host's pages may be larger than
 * what the segments are aligned to.  Then the permissions; where two segments
 * share a page it has those of both.
 */
static void load_segments(struct file *f)
{
	uint32_t start = (f->bias + f->low) & -page_size, end = f->bias + f->high;
	long r = memory_map(start, end - start, PROT_READ | PROT_WRITE,
			    GUEST_MAP_PRIVATE | GUEST_MAP_ANONYMOUS | GUEST_MAP_FIXED, -1, 0);

	if (r < 0)
		give_up(NOT_EXECUTABLE, "%s: %s", f->path, strerror((int)-r));
	for (int i = 0; i < f->count; i++) {
		Elf32_Phdr *p = &f->p[i];

		if (p->p_type == PT_LOAD &&
		    pread(f->fd, host(f->bias + p->p_vaddr), p->p_filesz, p->p_offset) !=
		    (ssize_t)p->p_filesz)
			bad(f, "a segment is cut off");
	}
	for (uint32_t at = start; at < end; at += page_size) {
		uint32_t flags = flags_of_page(f, at);

		if (prot_of(flags) != (PROT_READ | PROT_WRITE))
			memory_protect(at, page_size, prot_of(flags));
	}
	memory_set_break(end);
}

/* ---- the stack ----------------------------------------------------------- */

static uint32_t push_bytes(uint32_t *sp, const void *bytes, size_t size)
{
	if (size > *sp - (STACK_TOP - STACK_SIZE) - page_size)
		give_up(NOT_EXECUTABLE, "%s", strerror(E2BIG));
	*sp -= (uint32_t)size;
	memcpy(host(*sp), bytes, size);
	return *sp;
}

static int length(char **strings)
{
	int n = 0;

	while (strings[n])
		n++;
	return n;
}

/* The strings go on the stack, and their addresses are remembered in `to`. */
static void push_strings(uint32_t *sp, char **strings, uint32_t *to)
{
	for (int i = 0; strings[i]; i++)
		to[i] = push_bytes(sp, strings[i], strlen(strings[i]) + 1);
}

/* Where the program headers are in memory, for the C library's TLS. */
static uint32_t headers_at(const struct file *f)
{
	for (int i = 0; i < f->count; i++) {
		uint32_t offset = order32(f->e.e_phoff) - f->p[i].p_offset;

		if (f->p[i].p_type == PT_LOAD && offset < f->p[i].p_filesz)
			return f->bias + f->p[i].p_vaddr + offset;
	}
	return 0;
}

static uint32_t build_stack(const struct file *f, char **argv, char **envp)
{
	int argc = length(argv), envc = length(envp);
	uint32_t *strings = calloc((size_t)argc + (size_t)envc + 1, sizeof *strings);
	uint32_t sp = STACK_TOP, random, name, at;
	uint8_t bytes[16];

	if (!strings)
		give_up(NOT_EXECUTABLE, "%s", strerror(ENOMEM));
	name = push_bytes(&sp, f->path, strlen(f->path) + 1);
	push_strings(&sp, envp, strings + argc);
	push_strings(&sp, argv, strings);
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		memset(bytes, 42, sizeof bytes);
	random = push_bytes(&sp, bytes, sizeof bytes);

	const uint32_t aux[][2] = {
		{ AT_PHDR, headers_at(f) }, { AT_PHENT, sizeof(Elf32_Phdr) },
		{ AT_PHNUM, (uint32_t)f->count }, { AT_PAGESZ, page_size },
		{ AT_BASE, 0 }, { AT_FLAGS, 0 },
		{ AT_ENTRY, f->bias + order32(f->e.e_entry) },
		{ AT_UID, getuid() }, { AT_EUID, geteuid() },
		{ AT_GID, getgid() }, { AT_EGID, getegid() },
		{ AT_HWCAP, 0 }, { AT_CLKTCK, (uint32_t)sysconf(_SC_CLK_TCK) },
		{ AT_SECURE, 0 }, { AT_RANDOM, random }, { AT_EXECFN, name },
		{ AT_NULL, 0 }
	};
	uint32_t words = 1 + (uint32_t)argc + 1 + (uint32_t)envc + 1 + 2 * COUNT(aux);

	if (words >= STACK_SIZE / 8)
		give_up(NOT_EXECUTABLE, "%s", strerror(E2BIG));
	sp = (sp - 4 * words) & ~15u;
	at = sp;
	put32(at, (uint32_t)argc);
	at += 4;
	for (int i = 0; i < argc + envc; i++, at += 4) {
		if (i == argc)
			at += 4;		/* the null between them */
		put32(at, strings[i]);
	}
	at = sp + 4 * (1 + (uint32_t)argc + 1 + (uint32_t)envc + 1);
	for (size_t i = 0; i < COUNT(aux); i++, at += 8) {
		put32(at, aux[i][0]);
		put32(at + 4, aux[i][1]);
	}
	free(strings);
	return sp;
}

static void must_map(uint32_t address, uint32_t size)
{
	long r = memory_map(address, size, PROT_READ | PROT_WRITE,
			    GUEST_MAP_PRIVATE | GUEST_MAP_ANONYMOUS | GUEST_MAP_FIXED |
			    GUEST_MAP_STACK, -1, 0);

	if (r < 0)
		give_up(NOT_EXECUTABLE, "no memory: %s", strerror((int)-r));
}

void elf_load(struct program *program, const char *path, char **argv, char **envp)
{
	static struct file f;

	f.path = path;
	open_file(&f);
	read_headers(&f);
	memory_start();
	load_segments(&f);
	close(f.fd);
	must_map(STACK_TOP - STACK_SIZE, STACK_SIZE);
	must_map(TRAMPOLINES, page_size);
	for (uint32_t i = 0; i < COUNT(tramp); i++)
		put32(TRAMPOLINES + 4 * i, tramp[i]);
	memory_protect(TRAMPOLINES, page_size, PROT_READ | PROT_EXEC);
	program->entry = f.bias + order32(f.e.e_entry);
	program->sp = build_stack(&f, argv, envp);
}
