/* SPDX-License-Identifier: MIT */
/* A terminal of its own: termios, window size, job control, signals of the keyboard. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include "guest.h"

static int master, slave;
static char name[64];
static volatile int count;

static void on_signal(int sig)
{
	(void)sig;
	count++;
}

static void settings(void)
{
	struct winsize size = { 40, 100, 0, 0 }, got;
	struct termios t, again;
	char buffer[32];
	int n;

	want(isatty(slave), 1);
	want_error(isatty(99) ? 0 : -1, EBADF);
	check(!strcmp(ttyname(slave) ? ttyname(slave) : "", name));
	want(tcgetattr(slave, &t), 0);
	check((t.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG));
	check((t.c_iflag & ICRNL) && (t.c_oflag & OPOST) && (t.c_cflag & CREAD));
	want(t.c_cc[VINTR], 3);
	want(t.c_cc[VEOF], 4);
	want(t.c_cc[VSUSP], 26);
	want(t.c_cc[VMIN], 1);
	want(write(master, "line\r", 5), 5);
	want(read(slave, buffer, sizeof(buffer)), 5);
	check(!memcmp(buffer, "line\n", 5));
	want(read(master, buffer, sizeof(buffer)), 6);
	check(!memcmp(buffer, "line\r\n", 6));

	t.c_lflag &= ~(ICANON | ECHO);
	t.c_iflag &= ~ICRNL;
	t.c_oflag &= ~OPOST;
	t.c_cc[VMIN] = 2;
	t.c_cc[VTIME] = 0;
	t.c_cc[VINTR] = 7;
	want(tcsetattr(slave, TCSANOW, &t), 0);
	want(tcgetattr(slave, &again), 0);
	want(again.c_cc[VMIN], 2);
	want(again.c_cc[VINTR], 7);
	check(!(again.c_lflag & (ICANON | ECHO)) && (again.c_lflag & ISIG));
	want(write(master, "a\r", 2), 2);
	want(read(slave, buffer, sizeof(buffer)), 2);
	check(!memcmp(buffer, "a\r", 2));
	want(write(slave, "b\n", 2), 2);
	want(read(master, buffer, sizeof(buffer)), 2);
	want(ioctl(slave, TIOCSWINSZ, &size), 0);
	want(ioctl(master, TIOCGWINSZ, &got), 0);
	want(got.ws_row, 40);
	want(got.ws_col, 100);
	want(write(master, "xyz", 3), 3);
	/* What was typed comes across a moment later. */
	nap(50);
	want(ioctl(slave, FIONREAD, &n), 0);
	want(n, 3);
	want(tcflush(slave, TCIFLUSH), 0);
	want(ioctl(slave, FIONREAD, &n), 0);
	want(n, 0);
	want(tcdrain(slave), 0);
}

/* The leader of a session whose terminal this is. */
static int session(int report)
{
	struct sigaction sa;
	int status = 0;
	pid_t child;
	char c;

	if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0))
		return 1;
	if (tcgetpgrp(slave) != getpgrp())
		return 2;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGWINCH, &sa, NULL);
	if (write(report, "1", 1) != 1 || read(slave, &c, 1) != -1 || errno != EINTR || count != 1)
		return 3;
	if (write(report, "2", 1) != 1 || read(slave, &c, 1) != -1 || errno != EINTR || count != 2)
		return 4;

	/* A job in the background stops when it reads from the terminal. */
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		_exit(read(slave, &c, 1) == 1 ? c : 99);
	}
	setpgid(child, child);
	if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) ||
	    WSTOPSIG(status) != SIGTTIN)
		return 5;
	signal(SIGTTOU, SIG_IGN);
	if (tcsetpgrp(slave, child) || tcgetpgrp(slave) != child || kill(-child, SIGCONT))
		return 6;
	if (write(report, "3", 1) != 1 || waitpid(child, &status, 0) != child)
		return 7;
	return tcsetpgrp(slave, getpgrp()) ? 8 : WEXITSTATUS(status);
}

int main(void)
{
	struct winsize size = { 20, 80, 0, 0 };
	struct termios t;
	int n = -1, status = 0, report[2], unlock = 0;
	pid_t child;
	char c;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	need(master >= 0);
	want(ioctl(master, TIOCSPTLCK, &unlock), 0);
	want(ioctl(master, TIOCGPTN, &n), 0);
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	slave = open(name, O_RDWR | O_NOCTTY);
	need(slave >= 0 && pipe(report) == 0);
	settings();
	need(tcgetattr(slave, &t) == 0);
	t.c_cc[VMIN] = 1;
	need(tcsetattr(slave, TCSANOW, &t) == 0);
	child = fork();
	if (child == 0)
		_exit(session(report[1]));
	close(report[1]);
	want(read(report[0], &c, 1), 1);
	nap(10);
	want(write(master, "\007", 1), 1);
	want(read(report[0], &c, 1), 1);
	nap(10);
	want(ioctl(master, TIOCSWINSZ, &size), 0);
	want(read(report[0], &c, 1), 1);
	want(write(master, "j", 1), 1);
	want(waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : -1, 'j');
	return guest_end();
}
