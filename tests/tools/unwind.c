/* SPDX-License-Identifier: MIT */
/*
 * unwind.c - libunwind at every instruction of the stub: from a handler there, it
 * finds the stub, who called it, and who called that.  tests/check_step.c asks the
 * compiler's unwinder the same.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "breakpoint.h"
#include "code.h"

static struct code code;
static volatile uintptr_t expected, calls_from;
static volatile int right, hits;

__attribute__((noinline)) long caller(void);

/* By addresses: the code has been mapped anew, and so has lost its names. */
static uintptr_t pc_of(unw_cursor_t *cursor)
{
	unw_word_t pc;

	return unw_get_reg(cursor, UNW_REG_IP, &pc) ? 0 : pc;
}

static void look(ucontext_t *uc)
{
	unw_cursor_t cursor;
	uintptr_t pc;

	hits++;
	if (unw_init_local2(&cursor, uc, UNW_INIT_SIGNAL_FRAME) ||
	    pc_of(&cursor) != expected || unw_step(&cursor) <= 0)
		return;
	pc = pc_of(&cursor);
	if (pc <= (uintptr_t)caller || pc >= (uintptr_t)caller + 64 ||
	    unw_step(&cursor) <= 0)
		return;
	right += pc_of(&cursor) == calls_from;
}

__attribute__((noinline)) long caller(void)
{
	static volatile int flag;
	long result;

	calls_from = (uintptr_t)__builtin_return_address(0);
	result = safe_syscall_raw(&flag, SYS_getpid);
	__asm__ volatile ("" : : "r" (result));
	return result;
}

START_TEST(at_every_instruction)
{
	int i, slot;

	code_read(&code);
	breakpoint_prepare(code.entry);
	for (i = 0; i < code.abort; i++) {
		slot = i > 0 && ta_has_slot(code_at(&code, i - 1));
		expected = code.pc[i];
		breakpoint_set(code.pc[i], slot, look);
		ck_assert_int_eq(caller(), getpid());
		breakpoint_clear();
	}
	ck_assert_int_ge(hits, TA_NORMAL);
	ck_assert_int_eq(right, hits);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unwind");
	TCase *tc = tcase_create("libunwind");

	tcase_add_test(tc, at_every_instruction);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
