/* SPDX-License-Identifier: MIT */
/*
 * guest.h - the numbers of MIPS Linux (o32) where they are not those of most
 * other machines.  On the right always the guest's; the host's are known by name.
 */
#ifndef GUEST_H
#define GUEST_H

/* mmap */
enum {
	GUEST_MAP_PRIVATE = 0x2, GUEST_MAP_FIXED = 0x10, GUEST_MAP_NORESERVE = 0x400,
	GUEST_MAP_ANONYMOUS = 0x800, GUEST_MAP_STACK = 0x40000
};

/* sigaction, sigprocmask, sigaltstack */
#define GUEST_SA_ONSTACK	0x08000000u
#define GUEST_SA_RESETHAND	0x80000000u
#define GUEST_SA_RESTART	0x10000000u
#define GUEST_SA_SIGINFO	0x00000008u
#define GUEST_SA_NODEFER	0x40000000u
#define GUEST_SA_NOCLDWAIT	0x00010000u
#define GUEST_SA_NOCLDSTOP	0x00000001u

enum { GUEST_SIG_BLOCK = 1, GUEST_SIG_UNBLOCK, GUEST_SIG_SETMASK };
enum { GUEST_SIG_DFL, GUEST_SIG_IGN };
enum { GUEST_SS_ONSTACK = 1, GUEST_SS_DISABLE };
enum { GUEST_NSIG = 128, GUEST_SIGRTMIN = 32 };

/* The signals that the emulator has to do with itself. */
enum {
	GUEST_SIGILL = 4, GUEST_SIGTRAP = 5, GUEST_SIGFPE = 8, GUEST_SIGKILL = 9,
	GUEST_SIGBUS = 10, GUEST_SIGSEGV = 11, GUEST_SIGCHLD = 18, GUEST_SIGSTOP = 23
};

/* The numbers of calls that the emulator itself has to know. */
enum { GUEST_SIGRETURN = 4119, GUEST_RT_SIGRETURN = 4193, GUEST_CALL_BASE = 4000 };

/* fcntl */
enum {
	GUEST_F_DUPFD = 0, GUEST_F_GETFD, GUEST_F_SETFD, GUEST_F_GETFL, GUEST_F_SETFL,
	GUEST_F_SETLK = 6, GUEST_F_SETLKW, GUEST_F_GETLK = 14, GUEST_F_GETLK64 = 33, GUEST_F_SETLK64, GUEST_F_SETLKW64
};

/* sockets */
enum { GUEST_SOL_SOCKET = 0xffff };

/* a struct of two 64-bit words, for C libraries with 64-bit time */
#define GUEST_SO_RCVTIMEO_NEW 66
#define GUEST_SO_SNDTIMEO_NEW 67

#endif
