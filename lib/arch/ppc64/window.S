/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	in	r3 flag, r4 number, r5-r10 arguments
 *	kernel	r0 number, r3-r8 arguments, r3 result, CR0.SO error
 *	also	-8(r1) flag; r9 flag, zero when the kernel wants a restart
 *	out	r3 result; clobbers r0 r4-r12 cr0 ctr xer
 *
 * The flag's address waits in the area below the stack pointer that both ABIs
 * protect (288 bytes), as the kernel gives back no register for it.  r0 and
 * r3-r8 it gives back when it wants a restart.  sc and not scv: only sc keeps
 * lr, and every processor has it.
 */
	std	%r3, -8(%r1)
	mr	%r0, %r4
	mr	%r3, %r5
	mr	%r4, %r6
	mr	%r5, %r7
	mr	%r6, %r8
	mr	%r7, %r9
	mr	%r8, %r10
.Lstart:
	ld	%r9, -8(%r1)
	lwz	%r10, 0(%r9)
	cmpwi	%r10, 0
	bne	.Labort		/* interrupted after this: rewound */
.Lcall:
	sc
.Lcommit:
	bnslr+			/* CR0.SO clear: no error, out */
	neg	%r3, %r3
.Lfinal:
	blr
.Labort:
	li	%r3, -512
	blr
