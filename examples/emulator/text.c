/* SPDX-License-Identifier: MIT */
/*
 * text.c - the guest's instructions, decoded once.
 *
 * Each thread keeps what it has decoded, in pieces that stand for so many bytes of text,
 * each in the one place that its address gives it.  So there is nothing to lock, and
 * what a signal interrupts nobody else changes.
 *
 * Kept is what lies in pages that the guest may execute and not write.  When one of them
 * goes, or becomes another, code_changed() counts a global number up, and a thread that
 * sees another number than the last time forgets all that it has.  It looks wherever it
 * looks at its flag.  Instructions in pages that can be written are decoded each time
 * they are executed.  So a guest that writes code and does not tell sees it at once, and
 * one that writes it by another mapping has to tell, as on the processor: by cacheflush
 * or synci.
 */
#include "emulator.h"

volatile uint32_t code_version;

void code_changed(void)
{
	__atomic_add_fetch(&code_version, 1, __ATOMIC_SEQ_CST);
}

GUEST_CALL(cacheflush)
{
	code_changed();
	return 0;
}

/* ---- pieces -------------------------------------------------------------- */

enum { IS_USED = 1 };			/* beside the address, which is even */

static struct piece *piece_of(struct thread *t, const struct insn *insn)
{
	return &t->text[((const char *)insn - (const char *)t->text) / sizeof(struct piece)];
}

uint32_t text_address(struct thread *t, const struct insn *insn)
{
	struct piece *piece;

	if (insn == &t->elsewhere)
		return t->target;
	piece = piece_of(t, insn);
	return (piece->start & ~(uint32_t)IS_USED) + 4 * (uint32_t)(insn - piece->insns);
}

/* The one that all share whose instructions are not kept: each as it comes. */
static struct insn *take_one(struct thread *t, uint32_t start, uint32_t n,
			     const void *const *labels)
{
	struct piece *piece = &t->text[PIECES];

	piece->start = start | IS_USED;
	piece->insns[n].run = labels[UNDECODED];
	piece->insns[n + 1].run = labels[BEYOND];
	return &piece->insns[n];
}

/* Where the instruction is, decoded or not.  The address is aligned. */
struct insn *text_find(struct thread *t, uint32_t pc, const void *const *labels)
{
	uint32_t start = pc & -4 * PIECE, n = pc / 4 % PIECE;
	struct piece *piece = &t->text[pc / 4 / PIECE % PIECES];

	if (t->code_version != code_version) {
		t->code_version = code_version;
		for (uint32_t i = 0; i < PIECES; i++)
			t->text[i].start = 0;
	}
	if (piece->start == (start | IS_USED))
		return &piece->insns[n];
	if (!memory_is_code(pc))
		return take_one(t, start, n, labels);
	piece->start = start | IS_USED;
	for (uint32_t i = 0; i < PIECE; i++)
		piece->insns[i].run = labels[UNDECODED];
	piece->insns[PIECE].run = labels[BEYOND];
	return &piece->insns[n];
}

/* ---- instructions -------------------------------------------------------- */

#define RS		(insn >> 21 & 31)
#define RT		(insn >> 16 & 31)
#define RD		(insn >> 11 & 31)
#define SA		(insn >> 6 & 31)
#define FUNCTION	(insn & 63)
#define SIGNED		((uint32_t)(int32_t)(int16_t)insn)

static unsigned int code_of(uint32_t insn)
{
	switch (insn >> 26) {
	case 0x00: return SPECIAL + FUNCTION;
	case 0x01: return REGIMM + RT;
	case 0x11: return RS == 0x08 ? BC1 : 0x11;
	case 0x13: return COP1X + FUNCTION;
	case 0x1c: return SPECIAL2 + FUNCTION;
	case 0x1f: return SPECIAL3 + FUNCTION;
	default: return insn >> 26;
	}
}

/* What is written to register 0 goes to a place of its own. */
static uint8_t written_by(uint32_t insn, unsigned int code)
{
	bool is_rd = (code >= SPECIAL && code < REGIMM) ||
		(code >= SPECIAL2 && code < SPECIAL3) || code == SPECIAL3 + 0x20;
	unsigned int n = is_rd ? RD : RT;

	return (uint8_t)(n ? n : NOWHERE);
}

/* j, jal: the number of instructions from here. */
static uint32_t distance(uint32_t insn, uint32_t pc)
{
	uint32_t to = ((pc + 4) & 0xf0000000u) | (insn & 0x3ffffff) << 2;

	return (uint32_t)((int32_t)(to - pc) >> 2);
}

/* The number that the instruction holds, or all of it where that is not one number. */
static uint32_t constant_of(uint32_t insn, unsigned int code, uint32_t pc)
{
	switch (code) {
	case SPECIAL + 0x00: case SPECIAL + 0x02: case SPECIAL + 0x03: case SPECIAL + 0x06:
		return SA;
	case 0x02: case 0x03:
		return distance(insn, pc);
	case REGIMM + 0x00 ... REGIMM + 0x03: case REGIMM + 0x10 ... REGIMM + 0x13:
	case 0x04 ... 0x07: case 0x14 ... 0x17: case BC1:
		return 1 + SIGNED;		/* branches: the same */
	case 0x08 ... 0x0b: case 0x20 ... 0x3f: case REGIMM + 0x08 ... REGIMM + 0x0e:
		return SIGNED;
	case 0x0c ... 0x0e:
		return insn & 0xffff;
	case 0x0f:
		return insn << 16;
	default:
		return insn;
	}
}

/* `labels` says where in cpu_run() each instruction is carried out. */
void text_decode(struct thread *t, struct insn *to, uint32_t insn, const void *const *labels)
{
	const struct piece *piece = piece_of(t, to);
	uint32_t n = (uint32_t)(to - piece->insns);
	unsigned int code = code_of(insn);

	to->s = RS;
	to->t = RT;
	to->d = written_by(insn, code);
	to->constant = constant_of(insn, code, text_address(t, to));
	/* with its slot, as to leave the piece for that is a look, after which it may be stale */
	to->is_near = piece != &t->text[PIECES] && n + 1 < PIECE && n + to->constant < PIECE;
	to->run = labels[code] ? labels[code] : labels[ILLEGAL];
}
