/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	o32	in	a0 flag, a1 number, a2 a3 16(sp)... arguments
 *		kernel	v0 number, a0-a3 16(sp)... arguments
 *	n32 n64	in	a0 flag, a1 number, a2-a7 arguments
 *		kernel	v0 number, a0-a5 arguments
 *	all	kernel	v0 result, a3 error
 *		also	FLAG(sp) flag, NUMBER(sp) number
 *		out	v0 result; clobbers at v1 a0-a7 t0-t9 hi lo
 *
 * The kernel gives back no temporary, so flag and number wait in memory.
 *
 * o32 passes on what is on the stack by moving the stack pointer, not the
 * arguments: flag and number were two arguments too many, so 8 bytes up
 * the fifth is where the kernel looks for it.  What then lies below the stack
 * pointer, where a handler's frame may come, is the home of a0 and a1, ours
 * and unused; the home of a2 and a3 lies above and takes flag and number.
 *
 * The context of an interrupt in a delay slot has the PC of the branch.
 * Nothing in a slot here does harm when the branch is run again.  The number
 * is loaded right before the instruction: kernels before 2.6.36 wind a
 * call back to there.
 */
#if SS_O32
# define FRAME -8
# define FLAG 0
# define NUMBER 4
# define ADJUST addiu
# define STORE sw
# define LOAD lw
# define STORE_PTR sw
# define LOAD_PTR lw
#else
# define FRAME 16
# define FLAG 0
# define NUMBER 8
# define STORE sd
# define LOAD ld
# if SS_N32
#  define ADJUST addiu
#  define STORE_PTR sw
#  define LOAD_PTR lw
# else
#  define ADJUST daddiu
#  define STORE_PTR sd
#  define LOAD_PTR ld
# endif
#endif
	.set	push
	.set	noreorder
	.set	nomacro
	ADJUST	$29, $29, -FRAME
	.cfi_def_cfa_offset FRAME
	STORE_PTR $4, FLAG($29)
	STORE	$5, NUMBER($29)
	move	$4, $6
	move	$5, $7
#if SS_O32
	lw	$6, 8($29)
	lw	$7, 12($29)
#else
	move	$6, $8
	move	$7, $9
	move	$8, $10
	move	$9, $11
#endif
.Lstart:
	LOAD_PTR $12, FLAG($29)
	lw	$12, 0($12)
	bnez	$12, .Labort	/* interrupted after this: rewound */
	 LOAD	$2, NUMBER($29)
.Lcall:
	syscall
.Lcommit:
	beqz	$7, .Lfinal
	 ADJUST	$29, $29, FRAME
	.cfi_remember_state
	.cfi_def_cfa_offset 0
	subu	$2, $0, $2
.Lfinal:
	jr	$31
	 nop
.Labort:
	.cfi_restore_state
	ADJUST	$29, $29, FRAME
	.cfi_def_cfa_offset 0
	jr	$31
	 li	$2, -512
	.set	pop
