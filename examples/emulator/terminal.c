/* SPDX-License-Identifier: MIT */
/*
 * terminal.c - ioctl: terminals, and the few requests that others have.
 *
 * With the kernel's own header for the structure, which is not the C library's.
 */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "emulator.h"

#define N(name, guest) { name, guest, #name }

static const struct number input[] = {
	N(IGNBRK, 1), N(BRKINT, 2), N(IGNPAR, 4), N(PARMRK, 8), N(INPCK, 0x10),
	N(ISTRIP, 0x20), N(INLCR, 0x40), N(IGNCR, 0x80), N(ICRNL, 0x100),
	N(IUCLC, 0x200), N(IXON, 0x400), N(IXANY, 0x800), N(IXOFF, 0x1000),
	N(IMAXBEL, 0x2000), N(IUTF8, 0x4000), { 0, 0, NULL }
};
static const struct number output[] = {
	N(OPOST, 1), N(OLCUC, 2), N(ONLCR, 4), N(OCRNL, 8), N(ONOCR, 0x10),
	N(ONLRET, 0x20), N(OFILL, 0x40), N(OFDEL, 0x80), N(TAB1, 0x800),
	N(TAB2, 0x1000), { 0, 0, NULL }
};
static const struct number control[] = {
	N(CS6, 0x10), N(CS7, 0x20), N(CSTOPB, 0x40), N(CREAD, 0x80), N(PARENB, 0x100),
	N(PARODD, 0x200), N(HUPCL, 0x400), N(CLOCAL, 0x800), N(CRTSCTS, 0x80000000),
	{ 0, 0, NULL }
};
static const struct number local[] = {
	N(ISIG, 1), N(ICANON, 2), N(ECHO, 8), N(ECHOE, 0x10), N(ECHOK, 0x20),
	N(ECHONL, 0x40), N(NOFLSH, 0x80), N(IEXTEN, 0x100), N(ECHOCTL, 0x200),
	N(ECHOPRT, 0x400), N(ECHOKE, 0x800), N(FLUSHO, 0x2000), N(PENDIN, 0x4000),
	N(TOSTOP, 0x8000), { 0, 0, NULL }
};

/* The guest's place of each control character is its place here. */
static const signed char characters[] = {
	VINTR, VQUIT, VERASE, VKILL, VMIN, VTIME, VEOL2, VSWTC, VSTART, VSTOP, VSUSP,
	-1, VREPRINT, VDISCARD, VWERASE, VLNEXT, VEOF, VEOL
};

/* The speeds up to 15 are the same; the faster ones follow each other. */
static uint32_t speed_to_host(uint32_t cflag)
{
	uint32_t speed = cflag & 0x100f;

	return speed & 0x1000 ? B57600 + (speed & 15) - 1 : speed;
}

static uint32_t speed_to_guest(uint32_t cflag)
{
	uint32_t speed = cflag & CBAUD;

	return speed >= B57600 ? 0x1001 + (speed - B57600) : speed;
}

static const struct number *const words[] = { input, output, control, local };

enum { CHARACTERS_AT = 17, CHARACTERS = 23 };

/* Four words, of which the third has the speed too, a byte and the characters. */
static void put_termios(uint32_t at, const struct termios *t)
{
	const tcflag_t *flags = &t->c_iflag;

	for (uint32_t i = 0; i < 4; i++)
		put32(at + 4 * i, bits_to_guest(words[i], flags[i]) |
				  (i == 2 ? speed_to_guest(t->c_cflag) : 0));
	put8(at + 16, t->c_line);
	for (uint32_t i = 0; i < CHARACTERS; i++)
		put8(at + CHARACTERS_AT + i, i < COUNT(characters) && characters[i] >= 0 ?
				t->c_cc[characters[i]] : 0);
}

static void get_termios(uint32_t at, struct termios *t)
{
	tcflag_t *flags = &t->c_iflag;

	memset(t, 0, sizeof *t);
	for (uint32_t i = 0; i < 4; i++)
		flags[i] = bits_to_host(words[i], get32(at + 4 * i));
	t->c_cflag |= speed_to_host(get32(at + 8));
	t->c_line = get8(at + 16);
	for (uint32_t i = 0; i < COUNT(characters); i++)
		if (characters[i] >= 0)
			t->c_cc[characters[i]] = get8(at + CHARACTERS_AT + i);
}

/*
 * What the argument is: a small number where there is no letter; else a structure
 * that is read (<) or written (>): i and w as in translate.c, or a termios.
 */
static const struct request {
	uint32_t guest;
	unsigned long host;
	const char *argument;
} requests[] = {
	{ 0x540d, TCGETS, ">termios" }, { 0x540e, TCSETS, "<termios" },
	{ 0x540f, TCSETSW, "<termios" }, { 0x5410, TCSETSF, "<termios" },
	{ 0x5405, TCSBRK, "" }, { 0x5406, TCXONC, "" }, { 0x5407, TCFLSH, "" },
	{ 0x40087468, TIOCGWINSZ, ">w" }, { 0x80087467, TIOCSWINSZ, "<w" },
	{ 0x40047477, TIOCGPGRP, ">i" }, { 0x80047476, TIOCSPGRP, "<i" },
	{ 0x7416, TIOCGSID, ">i" }, { 0x5480, TIOCSCTTY, "" }, { 0x5471, TIOCNOTTY, "" },
	{ 0x40045430, TIOCGPTN, ">i" }, { 0x80045431, TIOCSPTLCK, "<i" },
	{ 0x467f, FIONREAD, ">i" }, { 0x667e, FIONBIO, "<i" }
};

static long request(struct thread *t, const uint32_t *a, const struct request *r)
{
	bool is_termios = r->argument[0] && r->argument[1] == 't';
	union { struct termios termios; uint64_t other[STRUCT_MAX / 8]; } v;
	void *p = r->argument[0] ? &v : (void *)(uintptr_t)a[2];
	long result;

	/* what the device takes it for we can't know: it must not be a pointer */
	if (!r->argument[0] && a[2] > 0xff)
		return -EINVAL;
	if (r->argument[0] == '<' && is_termios)
		get_termios(a[2], &v.termios);
	else if (r->argument[0] == '<' && !struct_get(t, r->argument[1], a[2], &v))
		return -EFAULT;
	/* a change of the terminal waits for its output, and stops a job */
	result = host_call(t, SYS_ioctl, (long)(int)a[0], (long)r->host, p);
	if (result >= 0 && r->argument[0] == '>' && is_termios)
		put_termios(a[2], &v.termios);
	else if (result >= 0 && r->argument[0] == '>')
		struct_put(t, r->argument[1], a[2], &v);
	return result;
}

GUEST_CALL(ioctl)
{
	for (unsigned int i = 0; i < COUNT(requests); i++)
		if (requests[i].guest == a[1])
			return request(t, a, &requests[i]);
	return -ENOTTY;
}
