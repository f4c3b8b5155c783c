/* SPDX-License-Identifier: MIT */
/*
 * check_step.c - a handler at every instruction of the stub, on the way through,
 * on the way out after an error, and on the way out when the flag is set.
 */
#include <sys/ioctl.h>
#include <unwind.h>

#include "breakpoint.h"
#include "code.h"

static struct code code;
static volatile int flag;
static int pipe_fd[2];

/* ---- what the handler does, and what it saw --------------------------------- */

enum { SET = 1, REWIND = 2, UNWIND = 4 };

static int todo;
static struct seen {
	enum safe_syscall_phase phase, rewound;
	int has_result;
	long result;
	uintptr_t pc_after;
	int errno_kept;
	int caller_found, frames;
	_Unwind_Word cfa;
	uint64_t preserved[TA_PRESERVED];
} seen;
static uint64_t at_entry[TA_PRESERVED];
static uintptr_t return_address;

static void keep(const ucontext_t *uc, uint64_t *to)
{
	int i;

	for (i = 0; i < TA_PRESERVED; i++)
		to[i] = ta_preserved(uc, i);
}

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *data)
{
	int *previous_is_stub = data;
	uintptr_t ip = _Unwind_GetIP(context);

	if (*previous_is_stub && ip == return_address) {
		seen.caller_found = 1;
		seen.cfa = TA_CFA(context);
	}
	seen.frames += seen.caller_found;
	*previous_is_stub = ip >= code.entry && ip < code.end;
	return _URC_NO_REASON;
}

static void handle(ucontext_t *uc)
{
	int previous_is_stub = 0;

	errno = 4242;
	seen.phase = safe_syscall_classify(uc);
	seen.result = -77777;
	seen.has_result = safe_syscall_result(uc, &seen.result) == 0;
	keep(uc, seen.preserved);
	if (todo & UNWIND)
		_Unwind_Backtrace(frame, &previous_is_stub);
	if (todo & SET)
		flag = 1;
	seen.rewound = seen.phase;
	errno = 4242;
	if (todo & REWIND)
		seen.rewound = safe_syscall_rewind(uc);
	seen.errno_kept = errno == 4242;
	seen.pc_after = ss_arch_pc(uc);
}

/*
 * At the entry keep the registers, then go on to `second` (where the hook may
 * be tried) and from there to `third`.
 */
static int second, third;

static void handle_second(ucontext_t *uc)
{
	if (todo & SET)
		flag = 1;
	safe_syscall_rewind(uc);
	breakpoint_set(code.pc[third], 0, handle);
}

static void handle_entry(ucontext_t *uc)
{
	keep(uc, at_entry);
	return_address = ta_return_address(uc);
	if (second)
		breakpoint_set(code.pc[second], 0, handle_second);
	else
		breakpoint_set(code.pc[third], 0, handle);
}

/* ---- the calls -------------------------------------------------------------- */

static long succeeding(void)
{
	/* 6 arguments, so that whatever the stub moves them through is used */
	return safe_syscall_raw(&flag, SYS_write, pipe_fd[1], "x", 1,
				0x4444, 0x5555, 0x6666);
}

static long failing(void)
{
	return safe_syscall_raw(&flag, SYS_write, -1, "x", 1,
				0x4444, 0x5555, 0x6666);
}

static const struct call {
	const char *name;
	long (*make)(void);
	int flag;			/* before the call */
	long result;
	int bytes;			/* the side effect */
	int count;			/* instructions executed */
} calls[] = {
	{ "succeeding", succeeding, 0, 1, 1, TA_NORMAL },
	{ "failing", failing, 0, -EBADF, 0, TA_FAILED },
	{ "flag set", succeeding, 1, -SAFE_ERESTARTSYS, 0, 0 },
	{ NULL, NULL, 0, 0, 0, 0 }
};

static void setup(void)
{
	code_read(&code);
	breakpoint_prepare(code.entry);
	ck_assert_int_eq(pipe(pipe_fd), 0);
}

static int in_slot(int i)
{
	return i > 0 && ta_has_slot(code_at(&code, i - 1));
}

/* The instruction that the context shows for a breakpoint at i. */
static int shown(int i)
{
	return in_slot(i) ? i - 1 : i;
}

static int drain(void)
{
	char buffer[64];
	int n;

	ck_assert_int_eq(ioctl(pipe_fd[0], FIONREAD, &n), 0);
	if (n)
		ck_assert_int_eq(read(pipe_fd[0], buffer, sizeof buffer), n);
	return n;
}

/* Make the call with a handler at instruction i; was it hit? */
static int step(const struct call *call, int i, int what, long *result,
		int *bytes)
{
	flag = call->flag;
	todo = what;
	memset(&seen, 0, sizeof seen);
	breakpoint_set(code.pc[i], in_slot(i), handle);
	*result = call->make();
	*bytes = drain();
	return breakpoint_clear();
}

static void expect_effect(const struct call *call, int i, int what, long result,
			  int bytes)
{
	int before = shown(i) <= code.call && (what & SET) && (what & REWIND);
	long want = before ? -SAFE_ERESTARTSYS : call->result;
	int want_bytes = before ? 0 : call->bytes;

	ck_assert_msg(result == want && bytes == want_bytes,
		      "%s call, instruction %d, handler %d: returned %ld not %ld,"
		      " %d bytes written not %d", call->name, i, what, result,
		      want, bytes, want_bytes);
}

/* ---- tests ------------------------------------------------------------------ */

START_TEST(outcome)
{
	static const int handlers[] = { SET | REWIND, REWIND, 0 };
	const struct call *call;
	int hits[CODE_MAX] = { 0 };
	long result;
	int bytes, i, h;

	for (call = calls; call->name; call++) {
		for (i = 0; i < code.count; i++) {
			for (h = 0; h < 3; h++) {
				if (!step(call, i, handlers[h], &result, &bytes))
					continue;
				hits[i]++;
				expect_effect(call, i, handlers[h], result,
					      bytes);
			}
		}
	}
	for (i = 0; i < code.count; i++)
		ck_assert_msg(hits[i] > 0, "instruction %d never executed", i);
}
END_TEST

START_TEST(phase)
{
	const struct call *call;
	enum safe_syscall_phase want;
	long result;
	int bytes, i;

	for (call = calls; call->name; call++) {
		for (i = 0; i < code.count; i++) {
			if (!step(call, i, REWIND, &result, &bytes))
				continue;
			want = code_phase(&code, shown(i), 0);
			if (emulated() && i == code.call)
				want = seen.phase;	/* no real registers */
			ck_assert_msg(seen.phase == want,
				      "%s, instruction %d: phase %d not %d",
				      call->name, i, seen.phase, want);
			ck_assert_int_eq(seen.rewound, seen.phase);
			ck_assert(seen.errno_kept);
		}
	}
}
END_TEST

START_TEST(rewind_goes_to_the_check)
{
	uintptr_t start = code.pc[TA_BEFORE_START];
	long result;
	int bytes, i;

	for (i = 0; i < code.abort; i++) {
		if (!step(&calls[0], i, REWIND, &result, &bytes))
			continue;
		if (shown(i) >= TA_BEFORE_START && shown(i) <= code.call)
			ck_assert_uint_eq(seen.pc_after, start);
		else
			ck_assert_uint_eq(seen.pc_after, code.pc[shown(i)]);
	}
}
END_TEST

START_TEST(result_is_what_is_returned)
{
	const struct call *call;
	long result;
	int bytes, i;

	for (call = calls; call->name; call++) {
		for (i = 0; i < code.count; i++) {
			if (!step(call, i, REWIND, &result, &bytes))
				continue;
			ck_assert_int_eq(seen.has_result,
					 seen.phase == SAFE_SYSCALL_DONE);
			if (seen.has_result)
				ck_assert_int_eq(seen.result, result);
		}
	}
}
END_TEST

/* A handler at the entry, at instruction i if not 0, and at j: was j hit? */
static int step_through(const struct call *call, int what, int i, int j)
{
	int hit;

	flag = call->flag;
	todo = what;
	second = i;
	third = j;
	memset(&seen, 0, sizeof seen);
	breakpoint_set(code.entry, 0, handle_entry);
	call->make();
	hit = breakpoint_clear() && seen.pc_after;
	drain();
	return hit;
}

/* How many returns were reached; at each the registers are as at the entry. */
static int registers_at_returns(const struct call *call, int what, int i)
{
	int j, r, returns = 0;

	for (j = i + 1; j < code.count; j++) {
		if (!ta_is_return(code_at(&code, j)) ||
		    !step_through(call, what, i, j))
			continue;
		returns++;
		for (r = 0; r < TA_PRESERVED; r++)
			ck_assert_msg(seen.preserved[r] == at_entry[r],
				      "%s, handler %d at %d, return at %d:"
				      " register %d is %jx not %jx", call->name,
				      what, i, j, r,
				      (uintmax_t)seen.preserved[r],
				      (uintmax_t)at_entry[r]);
	}
	return returns;
}

START_TEST(registers_are_kept)
{
	const struct call *call;

	for (call = calls; call->name; call++)
		ck_assert_int_ge(registers_at_returns(call, 0, 0), 1);
}
END_TEST

START_TEST(registers_are_kept_after_rewind)
{
	int i;

	for (i = 1; i <= code.call; i++) {
		if (in_slot(i))
			continue;
		ck_assert_int_ge(registers_at_returns(&calls[0], REWIND, i), 1);
		ck_assert_int_ge(registers_at_returns(&calls[0], SET | REWIND, i), 1);
	}
}
END_TEST

static safe_syscall_word number_seen, argument_seen[SAFE_SYSCALL_ARGUMENTS];

static void handle_at_call(ucontext_t *uc)
{
	int i;

	number_seen = (safe_syscall_word)ta_number(uc);
	for (i = 0; i < SAFE_SYSCALL_ARGUMENTS; i++)
		argument_seen[i] = (safe_syscall_word)ta_argument(uc, i);
}

START_TEST(arguments_reach_the_kernel)
{
	/* both halves of the word, and its sign */
	static const safe_syscall_word half = (safe_syscall_word)1 << (sizeof(safe_syscall_word) * 4);
	safe_syscall_word a[SAFE_SYSCALL_ARGUMENTS];
	int i;

	for (i = 0; i < SAFE_SYSCALL_ARGUMENTS; i++)
		a[i] = (i % 2 ? -1 : 1) * ((i + 1) * half + 0x1111 * (i + 1));
	flag = 0;
	breakpoint_set(code.pc[code.call], 0, handle_at_call);
	ck_assert_int_eq(safe_syscall_rawv(&flag, SYS_getpid, a), getpid());
	ck_assert(breakpoint_clear());
	ck_assert_int_eq(number_seen, SYS_getpid);
	for (i = 0; i < SAFE_SYSCALL_ARGUMENTS; i++)
		ck_assert_msg(argument_seen[i] == a[i], "argument %d: %jx not %jx",
			      i + 1, (intmax_t)argument_seen[i], (intmax_t)a[i]);
}
END_TEST

START_TEST(instructions_on_the_way)
{
	const struct call *call;
	long result;
	int bytes, i, n;

	for (call = calls; call->name; call++) {
		for (i = n = 0; i < code.count; i++)
			n += step(call, i, 0, &result, &bytes);
		if (call->count)
			ck_assert_msg(n == call->count, "%s: %d instructions, not %d",
				      call->name, n, call->count);
	}
}
END_TEST

START_TEST(unwinding)
{
	const struct call *call;
	struct seen first;
	int i, found = 0;

	memset(&first, 0, sizeof first);
#ifndef __GLIBC__
	SKIP("this libc has no unwind information for signal frames");
#endif
	if (emulated())
		SKIP("the emulator's signal frames are its own");
	for (call = calls; call->name; call++) {
		for (i = 1; i < code.count; i++) {
			if (in_slot(i) || !step_through(call, UNWIND, 0, i))
				continue;
			ck_assert_msg(seen.caller_found,
				      "%s, instruction %d: caller not found",
				      call->name, i);
			/* the same stack, whatever the stub is doing to it */
			if (!found++)
				first = seen;
			ck_assert_uint_eq(seen.cfa, first.cfa);
			ck_assert_int_eq(seen.frames, first.frames);
		}
	}
	ck_assert_int_ge(found, TA_NORMAL - 2);
}
END_TEST

/*
 * Where the kernel restarts from an address of its own, what tells that call
 * apart must be gone when the stub returns: the caller may make one like it.
 */
static enum safe_syscall_phase elsewhere;

static void look_elsewhere(ucontext_t *uc)
{
	ucontext_t copy = *uc;

	ss_arch_set_pc(&copy, ta_restart_site(code.pc[code.call]));
	elsewhere = safe_syscall_classify(&copy);
}

START_TEST(restart_of_others_is_not_ours)
{
	const struct call *call;
	int i, hits = 0;

	if (ta_restart_site(code.pc[code.call]) == code.pc[code.call])
		SKIP("a stopped wait is restarted by the stub's own instruction");
	for (call = calls; call->name; call++) {
		for (i = 0; i < code.count; i++) {
			if (!ta_is_return(code_at(&code, i)))
				continue;
			flag = call->flag;
			breakpoint_set(code.pc[i], 0, look_elsewhere);
			call->make();
			drain();
			if (!breakpoint_clear())
				continue;
			hits++;
			ck_assert_int_eq(elsewhere, SAFE_SYSCALL_OUTSIDE);
		}
	}
	ck_assert_int_ge(hits, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("step");
	TCase *tc = tcase_create("every instruction");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, outcome);
	tcase_add_test(tc, phase);
	tcase_add_test(tc, rewind_goes_to_the_check);
	tcase_add_test(tc, result_is_what_is_returned);
	tcase_add_test(tc, registers_are_kept);
	tcase_add_test(tc, registers_are_kept_after_rewind);
	tcase_add_test(tc, arguments_reach_the_kernel);
	tcase_add_test(tc, instructions_on_the_way);
	tcase_add_test(tc, unwinding);
	tcase_add_test(tc, restart_of_others_is_not_ours);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
