/* SPDX-License-Identifier: MIT */
/*
 * elf.c - a statically linked program into guest memory, and the stack as a
 * new program finds it.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator.h"

#define PIE_BASE	0x00400000u
#define STACK_SIZE	(8u << 20)
#define ABI2		0x20u		/* in e_flags: n32 */

static uint32_t tramp[] = {
	0x24020000u | GUEST_SIGRETURN, 0x0000000c,	/* li $v0, ...; syscall */
	0x24020000u | GUEST_RT_SIGRETURN, 0x0000000c
};

/* ---- the file ------------------------------------------------------------ */

static bool is_big(const Elf32_Ehdr *e)
{
	return e->e_ident[EI_DATA] == ELFDATA2MSB;
}

/* What is looked at, in the order of the host: a guest that is running has its own. */
static void turn_header(Elf32_Ehdr *e)
{
	if (is_big(e) == HOST_BIG)
		return;
	e->e_type = __builtin_bswap16(e->e_type);
	e->e_machine = __builtin_bswap16(e->e_machine);
	e->e_entry = __builtin_bswap32(e->e_entry);
	e->e_phoff = __builtin_bswap32(e->e_phoff);
	e->e_flags = __builtin_bswap32(e->e_flags);
	e->e_phentsize = __builtin_bswap16(e->e_phentsize);
	e->e_phnum = __builtin_bswap16(e->e_phnum);
}

/* Null, or what is wrong with it. */
static const char *read_header(int fd, Elf32_Ehdr *e)
{
	if (pread(fd, e, sizeof *e, 0) < (ssize_t)sizeof *e ||
	    memcmp(e->e_ident, ELFMAG, SELFMAG))
		return "not an ELF program";
	if (e->e_ident[EI_CLASS] != ELFCLASS32 ||
	    (e->e_ident[EI_DATA] != ELFDATA2LSB && !is_big(e)))
		return "not a 32-bit MIPS program";
	turn_header(e);
	if (e->e_machine != EM_MIPS || e->e_flags & ABI2)
		return "not a 32-bit MIPS program";
	if (e->e_flags >> 28 == 9 || e->e_flags >> 28 == 10)
		return "for MIPS32 release 6, which is another instruction set";
	if (e->e_type != ET_EXEC && e->e_type != ET_DYN)
		return "not an executable file";
	if (e->e_phentsize != sizeof(Elf32_Phdr) || !e->e_phnum || e->e_phnum > 64)
		return "its program headers make no sense";
	return NULL;
}

/* For exec. */
bool elf_is_guest(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf32_Ehdr e;
	bool is;

	if (fd == -1)
		return false;
	is = !read_header(fd, &e);
	close(fd);
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

	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->fd == -1)
		give_up(errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE,
			"%s: %s", f->path, strerror(errno));
	if (fstat(f->fd, &st) || !S_ISREG(st.st_mode))
		bad(f, "not a regular file");
	why = read_header(f->fd, &f->e);
	if (why)
		bad(f, why);
	guest_big = is_big(&f->e);
	swapped = guest_big != HOST_BIG;
}

static void check_segment(struct file *f, const Elf32_Phdr *p)
{
	uint32_t end = p->p_vaddr + p->p_memsz;

	if (p->p_filesz > p->p_memsz || end < p->p_vaddr ||
	    end > STACK_TOP - STACK_SIZE - 0x100000 - f->bias)
		bad(f, "a segment is outside of what a program can have");
	if (p->p_vaddr < f->low)
		f->low = p->p_vaddr;
	if (end > f->high)
		f->high = end;
}

static void read_headers(struct file *f)
{
	ssize_t size;

	f->count = f->e.e_phnum;
	size = f->count * (ssize_t)sizeof f->p[0];
	if (pread(f->fd, f->p, (size_t)size, f->e.e_phoff) != size)
		bad(f, "its program headers are cut off");
	f->low = UINT32_MAX;
	f->bias = f->e.e_type == ET_DYN ? PIE_BASE : 0;
	for (int i = 0; i < f->count; i++) {
		uint32_t *word = (uint32_t *)&f->p[i];

		for (size_t j = 0; j < sizeof f->p[i] / sizeof *word; j++)
			word[j] = order32(word[j]);
		if (f->p[i].p_type == PT_INTERP)
			bad(f, "dynamically linked; only static programs can be run");
		if (f->p[i].p_type == PT_LOAD)
			check_segment(f, &f->p[i]);
	}
	if (f->low >= f->high)
		bad(f, "nothing to load");
	if (f->bias + f->low < MAP_BOTTOM)
		bad(f, "a segment is outside of what a program can have");
}

/* Where two segments share a page it has the permissions of both. */
static int prot_of_page(const struct file *f, uint32_t at)
{
	int prot = 0;

	for (const Elf32_Phdr *p = f->p; p < f->p + f->count; p++) {
		uint32_t start = f->bias + p->p_vaddr;

		if (p->p_type == PT_LOAD && start < at + page_size && start + p->p_memsz > at)
			prot |= (p->p_flags & PF_R ? PROT_READ : 0) |
				(p->p_flags & PF_W ? PROT_WRITE : 0) |
				(p->p_flags & PF_X ? PROT_EXEC : 0);
	}
	return prot;
}

static void must_map(uint32_t address, uint32_t size)
{
	long r = memory_map(address, size, PROT_READ | PROT_WRITE,
			    GUEST_MAP_PRIVATE | GUEST_MAP_ANONYMOUS | GUEST_MAP_FIXED, -1, 0);

	if (r < 0)
		give_up(NOT_EXECUTABLE, "no memory: %s", strerror((int)-r));
}

/*
 * All segments at once, read and not mapped: the host's pages may be larger than
 * what the segments are aligned to.
 */
static void load_segments(struct file *f)
{
	uint32_t start = (f->bias + f->low) & -page_size, end = f->bias + f->high;

	must_map(start, end - start);
	for (const Elf32_Phdr *p = f->p; p < f->p + f->count; p++)
		if (p->p_type == PT_LOAD &&
		    pread(f->fd, host(f->bias + p->p_vaddr), p->p_filesz, p->p_offset) !=
		    (ssize_t)p->p_filesz)
			bad(f, "a segment is cut off");
	for (uint32_t at = start; at < end; at += page_size)
		memory_protect(at, page_size, prot_of_page(f, at));
	memory_set_break(end);
}

/* ---- the stack ----------------------------------------------------------- */

/* Strings may have half of it; what points at them comes below. */
static uint32_t push_bytes(uint32_t *sp, const void *bytes, size_t size)
{
	if (size > *sp - (STACK_TOP - STACK_SIZE / 2))
		give_up(NOT_EXECUTABLE, "%s", strerror(E2BIG));
	*sp -= (uint32_t)size;
	memcpy(host(*sp), bytes, size);
	return *sp;
}

/* The strings' addresses go into `to`, with a null at their end. */
static uint32_t *push_strings(uint32_t *sp, char **strings, uint32_t *to,
			      const uint32_t *end)
{
	for (; *strings; strings++) {
		if (to == end)
			give_up(NOT_EXECUTABLE, "%s", strerror(E2BIG));
		*to++ = push_bytes(sp, *strings, strlen(*strings) + 1);
	}
	*to++ = 0;
	return to;
}

/* Where the program headers are in memory, for the C library's TLS. */
static uint32_t headers_at(const struct file *f)
{
	for (int i = 0; i < f->count; i++) {
		uint32_t offset = f->e.e_phoff - f->p[i].p_offset;

		if (f->p[i].p_type == PT_LOAD && offset < f->p[i].p_filesz)
			return f->bias + f->p[i].p_vaddr + offset;
	}
	return 0;
}

static uint32_t build_stack(const struct file *f, char **argv, char **envp)
{
	static uint32_t words[STACK_SIZE / 16];
	const uint32_t *end = words + COUNT(words) - 64;
	uint32_t sp = STACK_TOP, name, random, size, *to;
	uint8_t bytes[16];

	name = push_bytes(&sp, f->path, strlen(f->path) + 1);
	to = push_strings(&sp, argv, words + 1, end);
	words[0] = (uint32_t)(to - words) - 2;	/* argc */
	to = push_strings(&sp, envp, to, end);
	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		memset(bytes, 42, sizeof bytes);
	random = push_bytes(&sp, bytes, sizeof bytes);

	const uint32_t aux[] = {
		AT_PHDR, headers_at(f), AT_PHENT, sizeof(Elf32_Phdr),
		AT_PHNUM, (uint32_t)f->count, AT_PAGESZ, page_size, AT_BASE, 0, AT_FLAGS, 0,
		AT_ENTRY, f->bias + f->e.e_entry, AT_UID, getuid(),
		AT_EUID, geteuid(), AT_GID, getgid(), AT_EGID, getegid(), AT_HWCAP, 0,
		AT_CLKTCK, (uint32_t)sysconf(_SC_CLK_TCK), AT_SECURE, 0, AT_RANDOM, random,
		AT_EXECFN, name, AT_NULL, 0
	};

	memcpy(to, aux, sizeof aux);
	size = (uint32_t)(to - words + COUNT(aux));
	sp = (sp - 4 * size) & ~15u;
	for (uint32_t i = 0; i < size; i++)
		put32(sp + 4 * i, words[i]);
	return sp;
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
	program->entry = f.bias + f.e.e_entry;
	program->sp = build_stack(&f, argv, envp);
}
