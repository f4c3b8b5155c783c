/* SPDX-License-Identifier: MIT */
/*
 * long safe_syscall_raw(const volatile int *flag, long number, ...)
 *
 *	in	4(esp) flag, 8(esp) number, 12(esp)... arguments
 *	kernel	eax number and result, ebx ecx edx esi edi ebp arguments
 *	also	FLAG(esp) flag, NUMBER(esp) number, where the caller put them
 *	out	eax result; clobbers flags
 *
 * The kernel's interface takes every register but esp, so what must outlive the
 * instruction waits in the arguments: they belong to the function that is
 * called, and lie where no handler's frame comes.  The kernel gives back all
 * registers but eax.
 *
 * pusha keeps eight registers in one instruction, and popa brings back all but
 * esp; so the result goes to where popa finds eax.
 *
 * int, and not the vDSO's sysenter: that would have the kernel come back to
 * the vDSO, and wind calls back to there.
 */
#define FRAME 32
#define FLAG FRAME + 4
#define NUMBER FRAME + 8
#define ARGUMENT(n) FRAME + 8 + 4 * n
#define EAX 28
	pusha
	.cfi_def_cfa_offset FRAME + 4
	.cfi_offset %ebx, -20
	.cfi_offset %ebp, -28
	.cfi_offset %esi, -32
	.cfi_offset %edi, -36
	mov	ARGUMENT(1)(%esp), %ebx
	mov	ARGUMENT(2)(%esp), %ecx
	mov	ARGUMENT(3)(%esp), %edx
	mov	ARGUMENT(4)(%esp), %esi
	mov	ARGUMENT(5)(%esp), %edi
	mov	ARGUMENT(6)(%esp), %ebp
.Lstart:
	mov	FLAG(%esp), %eax
	cmpl	$0, (%eax)
	jne	.Labort		/* interrupted after this: rewound */
	mov	NUMBER(%esp), %eax
.Lcall:
	int	$0x80
.Lcommit:
.Lfinal:
	mov	%eax, EAX(%esp)
	popa
	.cfi_remember_state
	.cfi_def_cfa_offset 4
	.cfi_restore %ebx
	.cfi_restore %ebp
	.cfi_restore %esi
	.cfi_restore %edi
	ret
.Labort:
	.cfi_restore_state
	movl	$-512, EAX(%esp)
	popa
	.cfi_def_cfa_offset 4
	.cfi_restore %ebx
	.cfi_restore %ebp
	.cfi_restore %esi
	.cfi_restore %edi
	ret
