/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	in	r0 flag, r1 number, r2 r3 0(sp)... arguments
 *	kernel	r7 number, r0-r5 arguments, r0 result
 *	also	ip flag, which the kernel leaves as it is
 *	out	r0 result; clobbers r1-r3 ip, and flags
 *
 * The kernel changes r0 alone, and puts the argument back into it when it
 * wants a restart.
 *
 * In ARM state, whatever state the caller is in: all that run Linux with an MMU have it,
 * every instruction has one length, no instruction is in an IT block, whose state would
 * have to be wound back too, and the PC in a context has no bit that tells the state.
 *
 * Besides CFI, which debuggers read, there is what the C++ runtime and backtrace()
 * read: the index at the end.  That knows one state for a whole range, so there are
 * several.  Who reads it looks two bytes before the PC, as that most often is a return
 * address: a range begins one instruction before the first that finds the stack so.
 * It is written by hand, as .fnstart would make the stub need a function of libgcc's.
 */
	push	{r4-r7}
	.cfi_def_cfa_offset 16
	.cfi_offset r4, -16
	.cfi_offset r5, -12
	.cfi_offset r6, -8
	.cfi_offset r7, -4
	mov	ip, r0
	mov	r7, r1
	mov	r0, r2
	mov	r1, r3
	add	r2, sp, #16
	ldm	r2, {r2-r5}
.Lstart:
	ldr	r6, [ip]
	cmp	r6, #0
	bne	.Labort		/* interrupted after this: rewound */
.Lcall:
	svc	#0
.Lcommit:
.Lfinal:
	pop	{r4-r7}
	.cfi_remember_state
	.cfi_def_cfa_offset 0
	.cfi_restore r4
	.cfi_restore r5
	.cfi_restore r6
	.cfi_restore r7
.Lreturn:
	bx	lr
.Labort:
	.cfi_restore_state
	mvn	r0, #0
	lsl	r0, r0, #9
.Lpop:
	pop	{r4-r7}
	.cfi_def_cfa_offset 0
	.cfi_restore r4
	.cfi_restore r5
	.cfi_restore r6
	.cfi_restore r7
	bx	lr

	.section .ARM.exidx, "ao", %0x70000001, .text
	.balign	4
	.macro	unwind from, how
	.reloc	., R_ARM_PREL31, \from
	.long	0, \how
	.endm
	unwind	.Lentry, 0x80a3b0b0	/* r4 to r7 are on the stack */
	unwind	.Lcommit, 0x80b0b0b0	/* nothing is */
	unwind	.Lreturn, 0x80a3b0b0
	unwind	.Lpop, 0x80b0b0b0
	.purgem	unwind
	.text
