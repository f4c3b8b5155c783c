/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	in	a0 flag, a1 number, a2-a7 arguments
 *	kernel	a7 number, a0-a5 arguments, a0 result
 *	also	t0 flag, which the kernel leaves as it is
 *	out	a0 result; clobbers a1-a5 a7 t0 t1
 *
 * The kernel changes a0 alone, and puts the argument back into it when it
 * wants a restart.
 */
	mv	t0, a0
	mv	t1, a1
	mv	a0, a2
	mv	a1, a3
	mv	a2, a4
	mv	a3, a5
	mv	a4, a6
	mv	a5, a7
	mv	a7, t1
.Lstart:
	lw	t1, 0(t0)
	bnez	t1, .Labort	/* interrupted after this: rewound */
.Lcall:
	ecall
.Lcommit:
.Lfinal:
	ret
.Labort:
	li	a0, -512
	ret
