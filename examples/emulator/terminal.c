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

struct bit {
	uint32_t host, guest;
};

static const struct bit input[] = {
	{ IGNBRK, 1 }, { BRKINT, 2 }, { IGNPAR, 4 }, { PARMRK, 8 }, { INPCK, 0x10 },
	{ ISTRIP, 0x20 }, { INLCR, 0x40 }, { IGNCR, 0x80 }, { ICRNL, 0x100 },
	{ IUCLC, 0x200 }, { IXON, 0x400 }, { IXANY, 0x800 }, { IXOFF, 0x1000 },
	{ IMAXBEL, 0x2000 }, { IUTF8, 0x4000 }, { 0, 0 }
};
static const struct bit output[] = {
	{ OPOST, 1 }, { OLCUC, 2 }, { ONLCR, 4 }, { OCRNL, 8 }, { ONOCR, 0x10 },
	{ ONLRET, 0x20 }, { OFILL, 0x40 }, { OFDEL, 0x80 }, { TAB1, 0x800 },
	{ TAB2, 0x1000 }, { 0, 0 }
};
static const struct bit control[] = {
	{ CS6, 0x10 }, { CS7, 0x20 }, { CSTOPB, 0x40 }, { CREAD, 0x80 }, { PARENB, 0x100 },
	{ PARODD, 0x200 }, { HUPCL, 0x400 }, { CLOCAL, 0x800 }, { CRTSCTS, 0x80000000 },
	{ 0, 0 }
};
static const struct bit local[] = {
	{ ISIG, 1 }, { ICANON, 2 }, { ECHO, 8 }, { ECHOE, 0x10 }, { ECHOK, 0x20 },
	{ ECHONL, 0x40 }, { NOFLSH, 0x80 }, { IEXTEN, 0x100 }, { ECHOCTL, 0x200 },
	{ ECHOPRT, 0x400 }, { ECHOKE, 0x800 }, { FLUSHO, 0x2000 }, { PENDIN, 0x4000 },
	{ TOSTOP, 0x8000 }, { 0, 0 }
};

/* The guest's place of each control character is its place here. */
static const signed char characters[] = {
	VINTR, VQUIT, VERASE, VKILL, VMIN, VTIME, VEOL2, VSWTC, VSTART, VSTOP, VSUSP,
	-1, VREPRINT, VDISCARD, VWERASE, VLNEXT, VEOF, VEOL
};

enum { TERMIOS_SIZE = 40, CHARACTERS = 23 };

static uint32_t bits_to_host(const struct bit *table, uint32_t v)
{
	uint32_t to = 0;

	for (; table->guest; table++)
		if (v & table->guest)
			to |= table->host;
	return to;
}

static uint32_t bits_to_guest(const struct bit *table, uint32_t v)
{
	uint32_t to = 0;

	for (; table->guest; table++)
		if (v & table->host)
			to |= table->guest;
	return to;
}

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

static void put_termios(uint32_t at, const struct termios *t)
{
	put32(at, bits_to_guest(input, t->c_iflag));
	put32(at + 4, bits_to_guest(output, t->c_oflag));
	put32(at + 8, bits_to_guest(control, t->c_cflag) | speed_to_guest(t->c_cflag));
	put32(at + 12, bits_to_guest(local, t->c_lflag));
	*(volatile uint8_t *)host(at + 16) = t->c_line;
	for (uint32_t i = 0; i < CHARACTERS; i++)
		*(volatile uint8_t *)host(at + 17 + i) =
			i < COUNT(characters) && characters[i] >= 0 ? t->c_cc[characters[i]] : 0;
}

static void get_termios(uint32_t at, struct termios *t)
{
	memset(t, 0, sizeof *t);
	t->c_iflag = bits_to_host(input, get32(at));
	t->c_oflag = bits_to_host(output, get32(at + 4));
	t->c_cflag = bits_to_host(control, get32(at + 8)) | speed_to_host(get32(at + 8));
	t->c_lflag = bits_to_host(local, get32(at + 12));
	t->c_line = *(volatile uint8_t *)host(at + 16);
	for (uint32_t i = 0; i < COUNT(characters); i++)
		if (characters[i] >= 0)
			t->c_cc[characters[i]] = *(volatile uint8_t *)host(at + 17 + i);
}

/* What the argument is: a number, an int or window size to be read or written */
enum kind { NUMBER, INT_IN, INT_OUT, WINDOW_IN, WINDOW_OUT, TERMIOS_IN, TERMIOS_OUT };

static const struct request {
	uint32_t guest;
	unsigned long host;
	enum kind kind;
} requests[] = {
	{ 0x540d, TCGETS, TERMIOS_OUT }, { 0x540e, TCSETS, TERMIOS_IN },
	{ 0x540f, TCSETSW, TERMIOS_IN }, { 0x5410, TCSETSF, TERMIOS_IN },
	{ 0x5405, TCSBRK, NUMBER }, { 0x5406, TCXONC, NUMBER }, { 0x5407, TCFLSH, NUMBER },
	{ 0x40087468, TIOCGWINSZ, WINDOW_OUT }, { 0x80087467, TIOCSWINSZ, WINDOW_IN },
	{ 0x40047477, TIOCGPGRP, INT_OUT }, { 0x80047476, TIOCSPGRP, INT_IN },
	{ 0x7416, TIOCGSID, INT_OUT }, { 0x5480, TIOCSCTTY, NUMBER },
	{ 0x5471, TIOCNOTTY, NUMBER }, { 0x7472, TIOCOUTQ, INT_OUT },
	{ 0x40045430, TIOCGPTN, INT_OUT }, { 0x80045431, TIOCSPTLCK, INT_IN },
	{ 0x467f, FIONREAD, INT_OUT }, { 0x667e, FIONBIO, INT_IN },
	{ 0x6601, FIOCLEX, NUMBER }, { 0x6602, FIONCLEX, NUMBER }
};

static long request(struct thread *t, const uint32_t *a, const struct request *r)
{
	struct termios termios;
	unsigned short window[4];
	long result;
	int number = 0;
	void *p = r->kind >= TERMIOS_IN ? (void *)&termios :
		r->kind >= WINDOW_IN ? (void *)window : (void *)&number;

	if (r->kind == NUMBER)
		p = (void *)(uintptr_t)a[2];
	else if (r->kind == INT_IN)
		number = (int)get32(a[2]);
	else if (r->kind == TERMIOS_IN)
		get_termios(a[2], &termios);
	for (uint32_t i = 0; r->kind == WINDOW_IN && i < 4; i++)
		window[i] = get16(a[2] + 2 * i);
	/* a change of the terminal waits for its output, and stops a job */
	result = host_call(t, SYS_ioctl, (long)(int)a[0], (long)r->host, p);
	if (result < 0)
		return result;
	if (r->kind == INT_OUT)
		put32(a[2], (uint32_t)number);
	else if (r->kind == TERMIOS_OUT)
		put_termios(a[2], &termios);
	for (uint32_t i = 0; r->kind == WINDOW_OUT && i < 4; i++)
		put16(a[2] + 2 * i, window[i]);
	return result;
}

GUEST_CALL(ioctl)
{
	for (unsigned int i = 0; i < COUNT(requests); i++)
		if (requests[i].guest == a[1])
			return request(t, a, &requests[i]);
	return -ENOTTY;
}
