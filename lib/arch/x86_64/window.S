/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	in	rdi flag, rsi number, rdx rcx r8 r9 8(rsp) 16(rsp) arguments
 *	kernel	rax number and result, rdi rsi rdx r10 r8 r9 arguments
 *	also	-8(rsp) flag; rcx flag, from the instruction on .Lcommit
 *	out	rax result; clobbers rcx rdx rsi rdi r8-r11
 *
 * The flag's address waits in the red zone, which handlers leave alone, as the
 * system call instruction overwrites rcx.  Everything from .Lstart on reads
 * only registers that the kernel gives back when it wants a restart.
 *
 * x32: pointers are the low halves of registers, and the high half of one that
 * was passed need not be zero.
 */
#ifdef __ILP32__
# define FLAG_IN edi
# define FLAG ecx
#else
# define FLAG_IN rdi
# define FLAG rcx
#endif
	mov	%FLAG_IN, -8(%rsp)
	mov	%rsi, %rax
	mov	%rdx, %rdi
	mov	%rcx, %rsi
	mov	%r8, %rdx
	mov	%r9, %r10
	mov	8(%rsp), %r8
	mov	16(%rsp), %r9
.Lstart:
	mov	-8(%rsp), %FLAG
	cmpl	$0, (%rcx)
	jne	.Labort		/* interrupted after this: rewound */
.Lcall:
	syscall
.Lcommit:
.Lfinal:
	ret
.Labort:
	mov	$-512, %rax
	ret
