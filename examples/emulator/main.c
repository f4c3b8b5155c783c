/* SPDX-License-Identifier: MIT */
/*
 * main.c - safe-emulator: run a 32-bit MIPS Linux program.
 *
 * Read thread.c next, for the loop that everything hangs on; then cpu.c,
 * signal.c and syscall.c, in this order.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emulator.h"

bool tracing;
char program_path[PATH_MAX];

_Noreturn void give_up(int status, const char *format, ...)
{
	va_list ap;

	fputs("safe-emulator: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

static _Noreturn void usage(int status)
{
	fputs("usage: safe-emulator [-strace] [-0 name] program [argument ...]\n",
	      status ? stderr : stdout);
	exit(status);
}

int main(int argc, char **argv, char **envp)
{
	static struct thread first;
	struct program program;
	char *name = NULL;
	const char *path;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "-strace"))
			tracing = true;
		else if (!strcmp(argv[i], "-0") && i + 1 < argc)
			name = argv[++i];
		else if (!strcmp(argv[i], "--help"))
			usage(0);
		else if (!strcmp(argv[i], "--")) {
			i++;
			break;
		} else
			usage(2);
	}
	if (i >= argc)
		usage(2);
	path = argv[i];
	if (name)
		argv[i] = name;
	elf_load(&program, path, argv + i, envp);
	if (!realpath(path, program_path))
		snprintf(program_path, sizeof program_path, "%s", path);

	self = &first;
	first.tid = (int)syscall(SYS_gettid);
	first.cpu.pc = program.entry;
	first.cpu.next = program.entry + 4;
	first.cpu.r[SP] = program.sp;
	first.cpu.linked = 1;
	fpu_restore(&first.cpu);
	signal_start(&first);
	thread_loop(&first);
	return 0;
}
