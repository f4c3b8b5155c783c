/* SPDX-License-Identifier: MIT */
/* check_window.c - layer 2 on contexts made up for every PC, and bad input */
#include "code.h"

static struct code code;

static void setup(void)
{
	code_read(&code);
}

static ucontext_t context_at(uintptr_t pc)
{
	ucontext_t uc;

	memset(&uc, 0, sizeof uc);
	ss_arch_set_pc(&uc, pc);
	ta_set_number(&uc, SYS_read);
	return uc;
}

START_TEST(phase_of_every_instruction)
{
	ucontext_t uc, copy;
	int i, entered;

	for (entered = 0; entered <= 1; entered++) {
		for (i = 0; i < code.count; i++) {
			uc = context_at(code.pc[i]);
			ta_set_entered(&uc, code.pc[code.call + 1], entered);
			copy = uc;
			ck_assert_int_eq(safe_syscall_classify(&uc),
					 code_phase(&code, i, entered));
			ck_assert(!memcmp(&uc, &copy, sizeof uc));
		}
	}
}
END_TEST

START_TEST(outside_the_code)
{
	uintptr_t pc[] = {
		0, 1, code.entry - 1, code.end, code.end + 1, UINTPTR_MAX,
		(uintptr_t)&pc, (uintptr_t)&code, (uintptr_t)getpid,
		code.entry ^ ((uintptr_t)1 << (sizeof(uintptr_t) * 8 - 2))
	};
	ucontext_t uc, copy;
	size_t i;

	for (i = 0; i < sizeof pc / sizeof pc[0]; i++) {
		uc = copy = context_at(pc[i]);
		ck_assert_int_eq(safe_syscall_classify(&uc), SAFE_SYSCALL_OUTSIDE);
		ck_assert_int_eq(safe_syscall_rewind(&uc), SAFE_SYSCALL_OUTSIDE);
		ck_assert(!memcmp(&uc, &copy, sizeof uc));
	}
}
END_TEST

START_TEST(rewind_of_every_instruction)
{
	uintptr_t start = code.pc[TA_BEFORE_START];
	ucontext_t uc, copy;
	int i;

	for (i = 0; i < code.count; i++) {
		uc = copy = context_at(code.pc[i]);
		ck_assert_int_eq(safe_syscall_rewind(&uc), safe_syscall_classify(&copy));
		if (i > TA_BEFORE_START && i <= code.call)
			ss_arch_set_pc(&copy, start);
		/* nothing but the PC, and only in the window */
		ck_assert_msg(!memcmp(&uc, &copy, sizeof uc), "instruction %d", i);
	}
}
END_TEST

START_TEST(result_of_every_instruction)
{
	static const long values[] = { 0, 1, 42, 0x7fffffff };
	ucontext_t uc;
	long result;
	int i, v;

	for (i = 0; i < code.count; i++) {
		for (v = 0; v < 4; v++) {
			uc = context_at(code.pc[i]);
			ta_set_result(&uc, values[v], 0);
			errno = 4242;
			result = -77777;
			if (i > code.call && i < code.abort) {
				ck_assert_int_eq(safe_syscall_result(&uc, &result), 0);
				ck_assert_int_eq(errno, 4242);
				ck_assert_int_eq(result, values[v]);
			} else {
				ck_assert_int_eq(safe_syscall_result(&uc, &result), -1);
				ck_assert_int_eq(errno, EINVAL);
				ck_assert_int_eq(result, -77777);
			}
		}
	}
}
END_TEST

START_TEST(result_of_a_failed_call)
{
	ucontext_t uc = context_at(code.pc[code.call + 1]);
	long result;
	int e;

	for (e = 1; e <= 4095; e++) {
		ta_set_result(&uc, e, 1);
		ck_assert_int_eq(safe_syscall_result(&uc, &result), 0);
		ck_assert_int_eq(result, -e);
	}
}
END_TEST

START_TEST(region_is_the_stub)
{
	const void *start;
	size_t length;

	errno = 4242;
	ck_assert_int_eq(safe_syscall_region(&start, &length), 0);
	ck_assert_int_eq(errno, 4242);
	ck_assert_uint_eq((uintptr_t)start, code.pc[0]);
	/* what the kernel sees is the address after the instruction */
	ck_assert_uint_gt((uintptr_t)start + length, code.pc[code.call + 1]);
}
END_TEST

START_TEST(bad_input)
{
	ucontext_t uc = context_at(code.pc[code.call + 1]);
	const void *start = &uc;
	size_t length = 4711;
	long result;

	errno = 4242;
	ck_assert_int_eq(safe_syscall_classify(NULL), SAFE_SYSCALL_OUTSIDE);
	ck_assert_int_eq(safe_syscall_rewind(NULL), SAFE_SYSCALL_OUTSIDE);
	ck_assert_int_eq(errno, 4242);
	ck_assert_int_eq(safe_syscall_result(NULL, &result), -1);
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_int_eq(safe_syscall_result(&uc, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_int_eq(safe_syscall_region(NULL, &length), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_uint_eq(length, 4711);
	errno = 0;
	ck_assert_int_eq(safe_syscall_region(&start, NULL), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_eq(start, &uc);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("window");
	TCase *tc = tcase_create("window");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, phase_of_every_instruction);
	tcase_add_test(tc, outside_the_code);
	tcase_add_test(tc, rewind_of_every_instruction);
	tcase_add_test(tc, result_of_every_instruction);
	tcase_add_test(tc, result_of_a_failed_call);
	tcase_add_test(tc, region_is_the_stub);
	tcase_add_test(tc, bad_input);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
