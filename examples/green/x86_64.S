/* SPDX-License-Identifier: MIT */
/* x86_64.S - from one stack to another */
	.macro	keep register
	pushq	%\register
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %\register, 0
	.endm
	.macro	back register
	popq	%\register
	.cfi_adjust_cfa_offset -8
	.cfi_restore %\register
	.endm
	.macro	function name
	.globl	\name
	.type	\name, @function
	.p2align 4
\name:	.cfi_startproc
	endbr64
	.endm
	.macro	end name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.text
	function green_jump		/* void green_jump(void **save, void *to) */
	.irp	register, rbp, rbx, r12, r13, r14, r15
	keep	\register
	.endr
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	.irp	register, r15, r14, r13, r12, rbx, rbp
	back	\register
	.endr
	ret
	end	green_jump

	function green_prepare		/* void *green_prepare(char *top, void (*entry)(void)) */
	leaq	green_begin(%rip), %rax
	movq	%rax, -8(%rdi)
	movq	%rsi, -24(%rdi)			/* rbx */
	stmxcsr	-64(%rdi)
	fnstcw	-60(%rdi)
	leaq	-64(%rdi), %rax
	ret
	end	green_prepare

	function green_begin			/* the end for who unwinds */
	.cfi_undefined %rip
	call	*%rbx
	ud2
	end	green_begin

	function green_pc		/* uintptr_t green_pc(const void *ucontext) */
	movq	168(%rdi), %rax			/* uc_mcontext.gregs[REG_RIP] */
	ret
	end	green_pc

	.section .note.GNU-stack, "", @progbits
