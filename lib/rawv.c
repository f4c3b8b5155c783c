/* SPDX-License-Identifier: MIT */
/* rawv.c - the stub with its arguments in an array */
#include <errno.h>

#include <safe_syscall.h>

long safe_syscall_rawv(const volatile int *flag, long number,
		       const safe_syscall_word *a)
{
	if (!a)
		return -EINVAL;
#if SAFE_SYSCALL_ARGUMENTS == 7
	return safe_syscall_raw(flag, number, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
#else
	return safe_syscall_raw(flag, number, a[0], a[1], a[2], a[3], a[4], a[5]);
#endif
}
