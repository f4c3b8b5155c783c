/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	in	r2 flag, r3 number, r4-r6 160(r15) 168(r15) 176(r15) arguments
 *	kernel	r1 number, r2-r7 arguments, r2 result
 *	also	16(r15) flag, 24(r15) number, 48(r15) r6 and r7 of the caller
 *	out	r2 result; clobbers r0 r1 r3-r5
 *
 * All that must outlive the window goes to the register save area that every
 * caller provides, each register to its own place there.  r0 is a mark for
 * the one case in which the kernel goes on from an address that is not ours:
 * see ss_arch_restart_block() in arch.h.
 */
	stmg	%r2, %r7, 16(%r15)
	.cfi_offset %r6, -112
	.cfi_offset %r7, -104
	lmg	%r2, %r4, 32(%r15)
	lmg	%r5, %r7, 160(%r15)
.Lstart:
	lg	%r1, 16(%r15)
	icm	%r0, 15, 0(%r1)
	jnz	.Labort		/* interrupted after this: rewound */
	lg	%r1, 24(%r15)
	larl	%r0, .Lcommit
	xgr	%r0, %r15
.Lcall:
	svc	0
.Lcommit:
.Lfinal:
	lghi	%r0, 0
	lmg	%r6, %r7, 48(%r15)
	.cfi_remember_state
	.cfi_restore %r6
	.cfi_restore %r7
	br	%r14
.Labort:
	.cfi_restore_state
	lghi	%r2, -512
	lmg	%r6, %r7, 48(%r15)
	.cfi_restore %r6
	.cfi_restore %r7
	br	%r14
