/* SPDX-License-Identifier: MIT */
/*
 * memory.c - the guest's 4 GiB.
 *
 * All of them are reserved at once, inaccessible, and the guest's address a is
 * the host's memory + a.  No access needs a check: a bad one is a SIGSEGV of
 * the host, and signal.c finds the guest's address by a subtraction.  The
 * kernel checks in the same way when it is given such a pointer.
 *
 * A guest page is a host page, and the guest is told its size.  One byte for
 * each says whether it is mapped, as the host can't tell a page of the
 * reservation from one that the guest has made inaccessible.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emulator.h"

/* 32 bits of address space can't hold another 32. */
_Static_assert(sizeof(void *) == 8, "the emulator needs a host with 64-bit pointers");

#define SIZE	(1ULL << 32)

uint8_t *memory;
bool guest_big, swapped;
uint32_t page_size;

/* One for each page: whether it is there, and what the guest may do with it. */
enum { IS_MAPPED = 8 };
static uint8_t *mapped;

static uint32_t break_start, break_now;
static uint32_t search = STACK_TOP;	/* where the next mapping goes, below */
/*
 * Held also where a mapping of our own is made, which must not go where the guest's
 * memory is just being moved.  Never held where guest memory is touched: a fault would
 * not give it back.
 */
pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;

static void *reserve(uint64_t size, int prot)
{
	void *at = mmap(NULL, size, prot,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		give_up(NOT_EXECUTABLE, "no room for the guest's memory: %s",
			strerror(errno));
	return at;
}

void memory_start(void)
{
	page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	if (page_size > 0x10000)
		give_up(NOT_EXECUTABLE, "pages of %u bytes are more than a guest can take",
			page_size);
	memory = reserve(SIZE + MEMORY_GUARD, PROT_NONE);
	mapped = reserve(SIZE / page_size, PROT_READ | PROT_WRITE);
}

bool memory_is_mapped(uint32_t address)
{
	return mapped[address / page_size];
}

static bool is_all(uint32_t address, uint32_t length, bool is_mapped)
{
	for (uint32_t i = 0; i < length / page_size; i++)
		if (!mapped[address / page_size + i] == is_mapped)
			return false;
	return true;
}

/* May be executed and not written: text.c keeps what it knows of it. */
bool memory_is_code(uint32_t address)
{
	return (mapped[address / page_size] & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC;
}

static bool has_code(uint32_t address, uint32_t length)
{
	for (uint32_t i = 0; i < length; i += page_size)
		if (memory_is_code(address + i))
			return true;
	return false;
}

/* After the change, so that nobody takes what was there for new. */
static void note(uint32_t address, uint32_t length, int state)
{
	bool was_code = has_code(address, length);

	memset(mapped + address / page_size, state, length / page_size);
	if (was_code)
		code_changed();
}

static int state_of(int prot)
{
	return IS_MAPPED | (prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
}

static void touch(uint32_t address)
{
	uint8_t *at = host(address), was = __atomic_load_n(at, __ATOMIC_RELAXED);

	/* what another thread of the guest writes there stays */
	__atomic_compare_exchange_n(at, &was, was, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

/*
 * A fault now, rather than when a call has had its effect, and the descriptors that it
 * has made would be nobody's.
 */
void memory_touch(uint32_t address, uint32_t size)
{
	for (uint32_t i = 0; i < size; i += page_size)
		touch(address + i);
	if (size)
		touch(address + size - 1);
}

/* 0 where it wraps */
static uint32_t round_up(uint32_t length)
{
	return (length + page_size - 1) & -page_size;
}

/* Is it page aligned, and all in user space?  Length is rounded up already. */
static bool is_range(uint32_t address, uint32_t length)
{
	return address % page_size == 0 && length &&
	       address <= TRAMPOLINES + page_size &&
	       length <= TRAMPOLINES + page_size - address;
}

/* The guest's instructions are read by the interpreter.  No other bits are passed on. */
static int host_prot(int prot)
{
	return (prot & (PROT_READ | PROT_WRITE)) | (prot & PROT_EXEC ? PROT_READ : 0);
}

/* From the last place downwards; once more from the top.  0: no room. */
static uint32_t find_free(uint32_t length)
{
	uint32_t at;

	if (length > STACK_TOP - MAP_BOTTOM)
		return 0;
	for (int turn = 0; turn < 2; turn++) {
		for (at = search; at >= length + MAP_BOTTOM; at -= page_size) {
			if (is_all(at - length, length, false))
				return search = at - length;
		}
		search = STACK_TOP;
	}
	return 0;
}

static void *place(uint32_t address, uint32_t length, int prot, int flags, int fd,
		   uint64_t offset)
{
	return mmap(host(address), length, prot, flags | MAP_FIXED, fd, (off_t)offset);
}

static long unmap(uint32_t address, uint32_t length)
{
	if (place(address, length, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return -errno;
	note(address, length, 0);
	return 0;
}

/*
 * A mapping that fails may have taken away what was there: a hole, in which the host
 * would put memory of ours.
 */
static long failed(uint32_t address, uint32_t length)
{
	long error = -errno;

	if (msync(host(address), length, MS_ASYNC) && unmap(address, length))
		abort();
	return error;
}

static long map(uint32_t address, uint32_t length, int prot, int flags, int fd,
		uint64_t offset)
{
	int to = flags & (MAP_SHARED | MAP_PRIVATE);	/* the same everywhere */

	if (flags & GUEST_MAP_ANONYMOUS)
		to |= MAP_ANONYMOUS;
	if (flags & (GUEST_MAP_NORESERVE | GUEST_MAP_STACK))
		to |= MAP_NORESERVE;
	if (flags & GUEST_MAP_FIXED) {
		if (!is_range(address, length))
			return -ENOMEM;
	} else {
		address &= -page_size;
		if (address < MAP_BOTTOM || !is_range(address, length) ||
		    !is_all(address, length, false))
			address = find_free(length);
		if (!address)
			return -ENOMEM;
	}
	if (place(address, length, host_prot(prot), to, fd, offset) == MAP_FAILED)
		return failed(address, length);
	note(address, length, state_of(prot));
	return address;
}

long memory_map(uint32_t address, uint32_t length, int prot, int flags, int fd,
		uint64_t offset)
{
	long result;

	if (!length || (flags & GUEST_MAP_FIXED && address % page_size))
		return -EINVAL;
	length = round_up(length);
	if (!length)
		return -ENOMEM;
	pthread_mutex_lock(&memory_lock);
	result = map(address, length, prot, flags, fd, offset);
	pthread_mutex_unlock(&memory_lock);
	return result;
}

/* mmap, mmap2: the offset is in bytes, or in pages of 4 KiB whatever they have here */
GUEST_CALL(mmap)
{
	uint64_t offset = (uint64_t)a[5] << call;

	if (offset % page_size)
		return -EINVAL;
	return memory_map(a[0], a[1], (int)a[2], (int)a[3], (int)a[4], offset);
}

GUEST_CALL(munmap)
{
	uint32_t length = round_up(a[1]);
	long result;

	if (!is_range(a[0], length))
		return -EINVAL;
	pthread_mutex_lock(&memory_lock);
	result = unmap(a[0], length);
	pthread_mutex_unlock(&memory_lock);
	return result;
}

long memory_protect(uint32_t address, uint32_t length, int prot)
{
	long result = 0;

	if (address % page_size)
		return -EINVAL;
	if (!length)
		return 0;
	length = round_up(length);
	pthread_mutex_lock(&memory_lock);
	if (!is_range(address, length) || !is_all(address, length, true))
		result = -ENOMEM;
	else if (mprotect(host(address), length, host_prot(prot)))
		result = -errno;
	else
		note(address, length, state_of(prot));
	pthread_mutex_unlock(&memory_lock);
	return result;
}

GUEST_CALL(mprotect)
{
	return memory_protect(a[0], a[1], (int)a[2]);
}

/*
 * What grows moves: beside it there is only the reservation, which has a hole until
 * the old place is reserved again.
 */
static long move(uint32_t address, uint32_t length, uint32_t want)
{
	uint32_t to = find_free(want);

	if (!to)
		return -ENOMEM;
	if (mremap(host(address), length, want, MREMAP_MAYMOVE | MREMAP_FIXED,
		   host(to)) == MAP_FAILED)
		return failed(to, want);
	note(to, want, mapped[address / page_size]);
	if (unmap(address, length))
		abort();
	return to;
}

GUEST_CALL(mremap)
{
	uint32_t length = round_up(a[1]), want = round_up(a[2]);
	long result = a[0];

	if (!want || !is_range(a[0], length) || a[3] & ~(uint32_t)MREMAP_MAYMOVE)
		return -EINVAL;
	pthread_mutex_lock(&memory_lock);
	if (!is_all(a[0], length, true))
		result = -EFAULT;
	else if (want < length && unmap(a[0] + want, length - want))
		result = -ENOMEM;
	else if (want > length)
		result = a[3] & MREMAP_MAYMOVE ? move(a[0], length, want) : -ENOMEM;
	pthread_mutex_unlock(&memory_lock);
	return result;
}

/* The only advice that a program can tell from none. */
GUEST_CALL(madvise)
{
	uint32_t length = round_up(a[1]);
	long result;

	if (a[0] % page_size || length < a[1])
		return -EINVAL;
	if (a[2] != MADV_DONTNEED || !length)
		return 0;
	if (!is_range(a[0], length))
		return -ENOMEM;
	result = direct(madvise(host(a[0]), length, MADV_DONTNEED));
	if (has_code(a[0], length))
		code_changed();
	return result;
}

/* Does the guest have all pages of it? */
static bool is_there(uint32_t address, uint32_t length)
{
	uint64_t end = (uint64_t)address + length;
	uint32_t start = address & -page_size;

	return end <= TRAMPOLINES + page_size &&
		is_all(start, round_up((uint32_t)end - start), true);
}

/* msync, mlock, mlock2, munlock */
GUEST_CALL(pages)
{
	if (!is_there(a[0], a[1]))
		return -ENOMEM;
	return direct(syscall(call, host(a[0]), (long)a[1], (long)a[2]));
}

/* To the host, all would be much more than the guest has, and more than it may lock. */
GUEST_CALL(mlockall)
{
	return a[0] && a[0] <= 7 ? 0 : -EINVAL;
}

GUEST_CALL(mincore)
{
	if (a[0] % page_size)
		return -EINVAL;
	if (!is_there(a[0], a[1]))
		return -ENOMEM;
	if (!is_user_space(a[2], round_up(a[1]) / page_size))
		return -EFAULT;
	return direct(syscall(SYS_mincore, host(a[0]), (long)a[1], host(a[2])));
}

void memory_set_break(uint32_t end_of_bss)
{
	break_start = break_now = round_up(end_of_bss);
}

/* The new break or, where it can't be, the old one. */
GUEST_CALL(brk)
{
	bool ok = a[0] >= break_start && a[0] <= STACK_TOP;
	uint32_t old, want = round_up(a[0]);

	pthread_mutex_lock(&memory_lock);
	old = round_up(break_now);
	if (ok && want < old)
		ok = unmap(want, old - want) == 0;
	else if (ok && want > old)
		ok = is_all(old, want - old, false) &&
			map(old, want - old, PROT_READ | PROT_WRITE, GUEST_MAP_PRIVATE |
			    GUEST_MAP_ANONYMOUS | GUEST_MAP_FIXED, -1, 0) == old;
	if (ok)
		break_now = a[0];
	want = break_now;
	pthread_mutex_unlock(&memory_lock);
	return want;
}
