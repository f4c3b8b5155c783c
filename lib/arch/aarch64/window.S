/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	in	x0 flag, x1 number, x2-x7 arguments
 *	kernel	x8 number, x0-x5 arguments, x0 result
 *	also	x9 flag, which the kernel leaves as it is
 *	out	x0 result; clobbers x1-x10
 *
 * The kernel changes x0 alone, and puts the argument back into it when it
 * wants a restart.
 */
	mov	x9, x0
	mov	x8, x1
	mov	x0, x2
	mov	x1, x3
	mov	x2, x4
	mov	x3, x5
	mov	x4, x6
	mov	x5, x7
.Lstart:
	ldr	w10, [x9]
	cbnz	w10, .Labort	/* interrupted after this: rewound */
.Lcall:
	svc	#0
.Lcommit:
.Lfinal:
	ret
.Labort:
	mov	x0, #-512
	ret
