/* SPDX-License-Identifier: MIT */
/* version.c - the version of the library that runs, not of the header */
#include <safe_syscall.h>

const char *safe_syscall_version(void)
{
	return PACKAGE_VERSION;
}
