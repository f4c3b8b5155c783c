/* SPDX-License-Identifier: MIT */
/*
 * stub.S - the frame around every architecture's stub: entry, unwind
 * information, the table of bounds, section marks.  The instructions are in
 * arch/<arch>/window.S, which puts these local labels:
 *
 *	.Lstart		the load of the flag: where a rewind goes
 *	.Lcall		the system call instruction, the only one
 *	.Lcommit	the instruction after it
 *	.Lfinal		first instruction that finds the result converted to
 *			-errno and in its register; .Lcommit where the kernel
 *			itself returns it so
 *	.Labort		first instruction of the exit taken when the flag was
 *			set, to the end of the function
 *
 *	entry .. start .. call | commit .. final .. | abort .. end
 *	      prepare  the window   the way out       the other way out
 */
#define SS_ASSEMBLER
#include "arch.h"

/* The entry; ppc64 ELFv1 has one of its own, with a function descriptor. */
#ifndef SS_ENTRY
.macro	SS_ENTRY
	.globl	safe_syscall_raw
	.type	safe_syscall_raw, %function
safe_syscall_raw:
.endm
#endif

	.text
	.balign	16
	SS_ENTRY
	.cfi_startproc
.Lentry:
#ifdef SS_LANDING_PAD
	SS_LANDING_PAD
#endif
#include "window.S"
	.cfi_endproc
.Lend:
	.size	safe_syscall_raw, .Lend - .Lentry

/*
 * struct ss_bounds of window.h.  One word leads from the table to the code and
 * the others are distances inside it, so nothing is left to relocate at load
 * time, and no label of the stub is a symbol.
 */
	.section .rodata, "a", %progbits
	.balign	4
	.globl	ss_bounds
	.hidden	ss_bounds
	.type	ss_bounds, %object
ss_bounds:
	.long	.Lentry - .
	.long	.Lstart - .Lentry
	.long	.Lcall - .Lentry
	.long	.Lcommit - .Lentry
	.long	.Lfinal - .Lentry
	.long	.Labort - .Lentry
	.long	.Lend - .Lentry
	.size	ss_bounds, . - ss_bounds

/*
 * What the code may be trusted with (IBT and shadow stacks, BTI, PAC, GCS): it
 * begins with a landing pad and keeps no return address anywhere.  The linker
 * keeps a mark only when every object has it, so say it when we were asked.
 */
#ifdef SS_PROPERTY_BITS
	.section .note.gnu.property, "a", %note
	.balign	SS_PROPERTY_ALIGN
	.long	4, .Lproperty_end - .Lproperty, 5
	.asciz	"GNU"
.Lproperty:
	.long	SS_PROPERTY_TYPE, 4, SS_PROPERTY_BITS
	.balign	SS_PROPERTY_ALIGN
.Lproperty_end:
#endif

	.section .note.GNU-stack, "", %progbits
