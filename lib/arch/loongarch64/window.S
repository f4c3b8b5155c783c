/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	in	a0 flag, a1 number, a2-a7 arguments
 *	kernel	a7 number, a0-a5 arguments, a0 result
 *	also	a6 flag
 *	out	a0 result; clobbers a1-a7 t0-t8
 *
 * The kernel gives back no temporary, but all of a0 to a7: it changes a0 alone, and
 * puts the argument back into it when it wants a restart.
 */
	move	$t0, $a0
	move	$t1, $a1
	move	$a0, $a2
	move	$a1, $a3
	move	$a2, $a4
	move	$a3, $a5
	move	$a4, $a6
	move	$a5, $a7
	move	$a6, $t0
	move	$a7, $t1
.Lstart:
	ld.w	$t0, $a6, 0
	bnez	$t0, .Labort	/* interrupted after this: rewound */
.Lcall:
	syscall	0
.Lcommit:
.Lfinal:
	jr	$ra
.Labort:
	li.w	$a0, -512
	jr	$ra
