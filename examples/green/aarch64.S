/* SPDX-License-Identifier: MIT */
/* aarch64.S - from one stack to another; hint 34 is bti c */
	.macro	function name
	.globl	\name
	.type	\name, %function
	.p2align 4
\name:	.cfi_startproc
	hint	34
	.endm
	.macro	end name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.text
	function green_jump		/* void green_jump(void **save, void *to) */
	stp	x29, x30, [sp, #-176]!
	.cfi_def_cfa_offset 176
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	.irp	n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
	.cfi_offset x\n, (\n - 17) * 8 - 176
	.endr
	.cfi_offset x29, -176
	.cfi_offset x30, -168
	mrs	x2, fpcr
	str	x2, [sp, #160]
	mov	x3, sp
	str	x3, [x0]
	mov	sp, x1
	ldr	x2, [sp, #160]
	msr	fpcr, x2
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	ldp	x29, x30, [sp], #176
	.cfi_def_cfa_offset 0
	ret
	end	green_jump

	function green_prepare		/* void *green_prepare(char *top, void (*entry)(void)) */
	mrs	x2, fpcr
	adr	x3, green_begin
	sub	x0, x0, #176
	stp	xzr, x3, [x0]
	str	x1, [x0, #16]			/* x19 */
	str	x2, [x0, #160]
	ret
	end	green_prepare

	function green_begin		/* the end for who unwinds */
	.cfi_undefined x30
	blr	x19
	brk	#1
	end	green_begin

	function green_pc		/* uintptr_t green_pc(const void *ucontext) */
	ldr	x0, [x0, #440]			/* uc_mcontext.pc */
	ret
	end	green_pc

	.section .note.GNU-stack, "", %progbits
