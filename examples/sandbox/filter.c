/* SPDX-License-Identifier: MIT */
/*
 * filter.c - which calls go to the kernel, which to the broker, and which nowhere.
 *
 * What is in no table does not exist (ENOSYS): a call of a newer kernel may do anything, and
 * programs know how to live without it.  The kernel keeps in mind which calls need no look at
 * arguments and does not run the filter for those: they cost nothing.
 *
 * Arguments in registers can be decided on here: nobody can change them any more.  What is in
 * memory is for the broker, which reads it once, or is refused: clone3, for its flags, does not
 * exist, sockets whose peers come in msghdr (datagrams) are not to be had.
 */
#include <asm/termbits.h>
#include <linux/audit.h>
#include <linux/fiemap.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/net.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox.h"

#define N(name)	TEXT(SYS_##name)
#define COUNT(a)	(sizeof(a) / sizeof *(a))

static const char *const allowed[] = {
	/* what is open, and what has no name */
	N(read), N(write), N(readv), N(writev), N(pread64), N(pwrite64), N(preadv), N(pwritev),
	N(preadv2), N(pwritev2), N(lseek), N(_llseek), N(close), N(close_range), N(dup), N(dup2),
	N(dup3), N(pipe), N(pipe2), N(flock), N(fsync), N(fdatasync), N(sync), N(syncfs),
	N(sync_file_range), N(sync_file_range2), N(ftruncate), N(ftruncate64), N(fallocate),
	N(fadvise64), N(fadvise64_64), N(readahead), N(sendfile), N(sendfile64), N(splice), N(tee),
	N(vmsplice), N(copy_file_range), N(getdents), N(getdents64), N(umask), N(memfd_create),
	N(memfd_secret), N(eventfd), N(eventfd2), N(signalfd), N(signalfd4), N(timerfd_create),
	N(timerfd_settime), N(timerfd_gettime), N(timerfd_settime64), N(timerfd_gettime64),
	N(inotify_init), N(inotify_init1), N(inotify_add_watch), N(inotify_rm_watch), N(poll),
	N(ppoll), N(ppoll_time64),
	N(select), N(_newselect), N(pselect6), N(pselect6_time64), N(epoll_create),
	N(epoll_create1), N(epoll_ctl), N(io_setup), N(io_destroy), N(io_pgetevents), N(io_pgetevents_time64),
	N(io_submit), N(io_cancel),
	/* metadata is free, and a working directory is not more */
	N(stat), N(lstat), N(fstat), N(newfstatat), N(fstatat64), N(stat64), N(lstat64), N(fstat64),
	N(statx), N(statfs), N(fstatfs), N(statfs64), N(fstatfs64), N(access), N(faccessat),
	N(faccessat2), N(readlink), N(readlinkat), N(getxattr), N(lgetxattr), N(fgetxattr),
	N(listxattr), N(llistxattr), N(flistxattr), N(name_to_handle_at), N(getcwd), N(chdir),
	N(fchdir),
	/* sockets that are there */
	N(accept), N(accept4), N(listen), N(send), N(recv), N(recvfrom), N(recvmsg), N(recvmmsg),
	N(recvmmsg_time64), N(shutdown), N(getsockname), N(getpeername), N(getsockopt),
	/* memory */
	N(brk), N(mmap), N(mmap2), N(munmap), N(mremap), N(mprotect), N(msync), N(mincore),
	N(madvise), N(mlock), N(mlock2), N(munlock), N(mlockall), N(munlockall),
	N(remap_file_pages), N(pkey_alloc), N(pkey_free), N(pkey_mprotect), N(membarrier),
	N(mbind), N(get_mempolicy), N(set_mempolicy), N(set_mempolicy_home_node), N(cacheflush),
	N(riscv_flush_icache), N(riscv_hwprobe), N(subpage_prot), N(modify_ldt), N(arch_prctl),
	N(set_thread_area), N(get_thread_area), N(sysmips),
	/* signals to be had, and time */
	N(rt_sigaction), N(rt_sigprocmask), N(rt_sigreturn), N(rt_sigpending),
	N(rt_sigtimedwait_time64), N(rt_sigsuspend), N(sigaltstack), N(sigaction), N(sigprocmask),
	N(sigreturn), N(sigpending), N(sigsuspend), N(signal), N(pause),
	N(alarm), N(getitimer), N(setitimer), N(timer_create), N(timer_settime), N(timer_gettime),
	N(timer_getoverrun), N(timer_delete), N(timer_settime64), N(timer_gettime64), N(nanosleep),
	N(clock_nanosleep), N(clock_nanosleep_time64), N(clock_gettime), N(clock_gettime64),
	N(clock_getres), N(clock_getres_time64), N(gettimeofday), N(time), N(times),
	/* the process */
	N(fork), N(vfork), N(exit), N(exit_group), N(wait4), N(waitpid), N(waitid), N(getpid),
	N(getppid), N(gettid), N(getpgid), N(getpgrp), N(setpgid), N(getsid), N(setsid), N(getuid),
	N(geteuid), N(getgid), N(getegid), N(getgroups), N(getresuid), N(getresgid), N(getuid32),
	N(geteuid32), N(getgid32), N(getegid32), N(getgroups32), N(getresuid32), N(getresgid32),
	N(capget), N(getrlimit), N(ugetrlimit), N(getrusage), N(getpriority),
	N(nice), N(ioprio_get), N(sched_yield), N(sched_getparam), N(sched_getscheduler),
	N(sched_getaffinity), N(sched_getattr), N(sched_get_priority_max),
	N(sched_get_priority_min), N(sched_rr_get_interval), N(sched_rr_get_interval_time64),
	N(personality), N(uname), N(sysinfo), N(getcpu), N(getrandom), N(futex), N(futex_time64),
	N(futex_waitv), N(set_robust_list), N(set_tid_address), N(rseq), N(restart_syscall),
	N(seccomp),
};

/*
 * Landlock's calls are not among them: the supervisor opens what the program's own rules would
 * forbid it, so there it is better to have none.
 */

/* Others, outsiders, the system; and what would lead around the filter. */
static const char *const refused[] = {
	N(ptrace), N(process_vm_readv), N(process_vm_writev), N(process_madvise),
	N(process_mrelease), N(pidfd_getfd), N(kcmp), N(migrate_pages), N(move_pages),
	N(io_uring_setup), N(io_uring_enter), N(io_uring_register), N(bpf), N(perf_event_open),
	N(userfaultfd), N(keyctl), N(add_key), N(request_key), N(fanotify_init), N(fanotify_mark),
	N(open_by_handle_at), N(mount), N(umount), N(umount2), N(move_mount), N(open_tree),
	N(fsopen), N(fsconfig), N(fsmount), N(fspick), N(mount_setattr), N(pivot_root), N(chroot),
	N(setns), N(mq_open), N(mq_unlink), N(shmget), N(shmat), N(shmctl), N(shmdt), N(semget),
	N(semop), N(semctl), N(semtimedop), N(semtimedop_time64), N(msgget), N(msgsnd), N(msgrcv),
	N(msgctl), N(ipc), N(quotactl), N(quotactl_fd), N(swapon), N(swapoff), N(reboot), N(acct),
	N(sethostname), N(setdomainname), N(settimeofday), N(clock_settime), N(clock_settime64),
	N(clock_adjtime), N(clock_adjtime64), N(adjtimex), N(init_module), N(finit_module),
	N(delete_module), N(kexec_load), N(kexec_file_load), N(iopl), N(ioperm), N(syslog),
	N(vhangup), N(lookup_dcookie), N(nfsservctl), N(uselib), N(setgroups), N(setgroups32),
	N(capset),
};

/*
 * Calls that depend on arguments: the first line of theirs that is true decides.  Of an argument
 * the bits of mask are looked at: IS, IS_NOT one of two values; HAS any of the bits.
 */
enum test { IS, IS_NOT, HAS, ELSE };
#define NEW_NAMESPACES	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
			 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define NEW_TIME	0x80		/* for unshare; elsewhere part of a signal's number */
#ifdef __s390__
# define CLONE_FLAGS	1
#else
# define CLONE_FLAGS	0
#endif
#ifndef MSG_FASTOPEN
# define MSG_FASTOPEN	0x20000000
#endif
#define ALL	0xffffffffu
#define UID	(ALL - 1)		/* stand for the caller's */
#define GID	(ALL - 2)
#define OWN(name, i, own)	{ N(name), i, IS_NOT, ALL, { own, ALL }, REFUSE }
#define OWN1(name, own)	OWN(name, 0, own), REST(name)
#define OWN2(name, own)	OWN(name, 0, own), OWN(name, 1, own), REST(name)
#define OWN3(name, own)	OWN(name, 0, own), OWN(name, 1, own), OWN(name, 2, own), REST(name)
#define IDS(x) OWN1(setuid##x, UID), OWN2(setreuid##x, UID), OWN3(setresuid##x, UID), \
	OWN1(setfsuid##x, UID), OWN1(setgid##x, GID), OWN2(setregid##x, GID), \
	OWN3(setresgid##x, GID), OWN1(setfsgid##x, GID)
#define REST(name)	{ N(name), 0, ELSE, 0, { 0 }, ALLOW }
#define NOT(name, i, a, b)	{ N(name), i, IS, ALL, { (uint32_t)(a), (uint32_t)(b) }, REFUSE }
#define YES(name, i, a, b)	{ N(name), i, IS, ALL, { (uint32_t)(a), (uint32_t)(b) }, ALLOW }

static const struct look {
	const char *number;
	int argument;
	enum test test;
	uint32_t mask, values[2];
	enum verdict verdict;
} looks[] = {
	/* streams only: what connects is known when it does, and by a call of its own */
	{ N(socket), 1, IS_NOT, 0xf, { SOCK_STREAM, SOCK_SEQPACKET }, REFUSE },
	{ N(socket), 0, IS, ALL, { AF_UNIX, AF_UNIX }, ALLOW },
	{ N(socket), 1, IS_NOT, 0xf, { SOCK_STREAM, SOCK_STREAM }, REFUSE },
	{ N(socket), 0, IS_NOT, ALL, { AF_INET, AF_INET6 }, REFUSE },
	{ N(socket), 2, IS_NOT, ALL, { 0, IPPROTO_TCP }, REFUSE }, REST(socket),
	{ N(socketpair), 1, IS_NOT, 0xf, { SOCK_STREAM, SOCK_SEQPACKET }, REFUSE },
	{ N(socketpair), 0, IS_NOT, ALL, { AF_UNIX, AF_UNIX }, REFUSE }, REST(socketpair),
	{ N(sendto), 3, HAS, MSG_FASTOPEN, { 0 }, REFUSE }, REST(sendto),
	{ N(sendmsg), 2, HAS, MSG_FASTOPEN, { 0 }, REFUSE }, REST(sendmsg),
	{ N(sendmmsg), 3, HAS, MSG_FASTOPEN, { 0 }, REFUSE }, REST(sendmmsg),
	{ N(socketcall), 0, IS, ALL, { SYS_SOCKET, SYS_SOCKETPAIR }, BROKER },
	{ N(socketcall), 0, IS, ALL, { SYS_BIND, SYS_CONNECT }, BROKER },
	NOT(socketcall, 0, SYS_SENDTO, SYS_SENDMSG), NOT(socketcall, 0, SYS_SENDMMSG, SYS_SENDMMSG),
	REST(socketcall),
	/*
	 * By a source route a connection goes first where it is not allowed to, and root could
	 * set up the network.  So of IP the options that streams have use for, in either version.
	 */
	{ N(setsockopt), 1, IS_NOT, ALL, { IPPROTO_IP, IPPROTO_IPV6 }, ALLOW },
	YES(setsockopt, 2, IP_TOS, IP_TTL), YES(setsockopt, 2, IP_PKTINFO, IP_MTU_DISCOVER),
	YES(setsockopt, 2, IP_RECVERR, IP_RECVTOS), YES(setsockopt, 2, IP_FREEBIND, IP_MINTTL),
	YES(setsockopt, 2, IP_BIND_ADDRESS_NO_PORT, 51 /* IP_LOCAL_PORT_RANGE */),
	YES(setsockopt, 2, IPV6_UNICAST_HOPS, IPV6_MTU_DISCOVER),
	YES(setsockopt, 2, IPV6_RECVERR, IPV6_V6ONLY), YES(setsockopt, 2, IPV6_RECVPKTINFO, IPV6_DONTFRAG),
	YES(setsockopt, 2, IPV6_RECVTCLASS, IPV6_TCLASS),
	YES(setsockopt, 2, 72 /* IPV6_ADDR_PREFERENCES */, 78 /* IPV6_FREEBIND */),
	{ N(setsockopt), 0, ELSE, 0, { 0 }, REFUSE },
	{ N(clone), CLONE_FLAGS, HAS, NEW_NAMESPACES | CLONE_UNTRACED, { 0 }, REFUSE }, REST(clone),
	{ N(unshare), 0, HAS, NEW_NAMESPACES | NEW_TIME, { 0 }, REFUSE }, REST(unshare),
	/*
	 * Terminals, but for input that somebody else seems to type; what is asked of sockets and
	 * files; a copy of what can be read into what can be written.  Whatever else a descriptor
	 * may be told, or a driver, it may be told by one for reading.
	 */
	YES(ioctl, 1, FIOCLEX, FIONCLEX), YES(ioctl, 1, FIONBIO, FIOASYNC),
	YES(ioctl, 1, FIONREAD, TIOCOUTQ), YES(ioctl, 1, TCGETS, TIOCGWINSZ),
	YES(ioctl, 1, TCSETS, TCSETSW), YES(ioctl, 1, TCSETSF, TIOCSWINSZ),
#ifdef TCGETS2
	YES(ioctl, 1, TCGETS2, TCSETS2), YES(ioctl, 1, TCSETSW2, TCSETSF2),
#endif
	YES(ioctl, 1, TCGETA, TCSETA), YES(ioctl, 1, TCSETAW, TCSETAF),
	YES(ioctl, 1, TCSBRK, TCSBRKP), YES(ioctl, 1, TCXONC, TCFLSH),
	YES(ioctl, 1, TIOCGPGRP, TIOCSPGRP), YES(ioctl, 1, TIOCGSID, TIOCSCTTY),
	YES(ioctl, 1, TIOCNOTTY, TIOCPKT), YES(ioctl, 1, TIOCGPTN, TIOCSPTLCK),
	YES(ioctl, 1, TIOCEXCL, TIOCNXCL), YES(ioctl, 1, TIOCMGET, TIOCGSOFTCAR),
	YES(ioctl, 1, _IO('T', 0x41), SIOCATMARK),	/* TIOCGPTPEER */
	YES(ioctl, 1, SIOCGIFCONF, SIOCGIFNAME), YES(ioctl, 1, SIOCGIFFLAGS, SIOCGIFINDEX),
	YES(ioctl, 1, SIOCGIFADDR, SIOCGIFNETMASK), YES(ioctl, 1, SIOCGIFMTU, SIOCGIFHWADDR),
	YES(ioctl, 1, FS_IOC_GETFLAGS, FS_IOC32_GETFLAGS), YES(ioctl, 1, FIGETBSZ, FIOQSIZE),
	YES(ioctl, 1, FS_IOC_FIEMAP, FS_IOC_FSGETXATTR), YES(ioctl, 1, FICLONE, FICLONERANGE),
	YES(ioctl, 1, BLKGETSIZE64, BLKSSZGET), { N(ioctl), 0, ELSE, 0, { 0 }, REFUSE },
	{ N(fcntl), 1, IS, ALL, { F_SETOWN, F_SETOWN_EX }, BROKER }, REST(fcntl),
	{ N(fcntl64), 1, IS, ALL, { F_SETOWN, F_SETOWN_EX }, BROKER }, REST(fcntl64),
	/* a process that is not dumpable can't be read: it is not told that it is */
	{ N(prctl), 0, IS, ALL, { PR_SET_DUMPABLE, PR_SET_DUMPABLE }, PRETEND },
	NOT(prctl, 0, 62 /* PR_SCHED_CORE */, PR_SET_SECUREBITS), REST(prctl),
	/* for the caller itself */
#define SELF(name) { N(name), 0, IS, ALL, { 0, 0 }, ALLOW }, { N(name), 0, ELSE, 0, { 0 }, BROKER }
	/* a core goes where it will; and root can raise what has been lowered */
	{ N(setrlimit), 0, IS, ALL, { RLIMIT_CORE, RLIMIT_CORE }, BROKER }, REST(setrlimit),
	{ N(prlimit64), 1, IS, ALL, { RLIMIT_CORE, RLIMIT_CORE }, BROKER }, SELF(prlimit64), SELF(sched_setparam), SELF(sched_setscheduler), SELF(sched_setaffinity),
	SELF(sched_setattr), SELF(get_robust_list),
#define SELF1(name, which) { N(name), 0, IS_NOT, ALL, { which, which }, REFUSE }, \
	{ N(name), 1, IS, ALL, { 0, 0 }, ALLOW }, { N(name), 0, ELSE, 0, { 0 }, BROKER }
	SELF1(setpriority, PRIO_PROCESS), SELF1(ioprio_set, 1),
	/* what is told how long to wait, or is not to */
#define TIMED(name, i, forever) { N(name), i, IS, ALL, { 0, forever }, ALLOW }, \
	{ N(name), 0, ELSE, 0, { 0 }, BROKER }
	TIMED(epoll_wait, 3, ALL), TIMED(epoll_pwait, 3, ALL), TIMED(epoll_pwait2, 3, 0),
	TIMED(rt_sigtimedwait, 2, 0), TIMED(io_getevents, 4, 0),
	/* requests are made as who the supervisor is, so nobody becomes somebody else */
	IDS(), IDS(32),
};

long call_number(const char *text)
{
	long sum = 0;
	char *end;

	while (*text) {
		const long n = strtol(text, &end, 0);
		if (end == text && !strchr(" ()+", *text))
			return -1;
		sum += n;
		text = end == text ? text + 1 : end;
	}
	return sum;
}

/* ---- code ------------------------------------------------------------------ */

static struct sock_filter code[4096];
static unsigned short end;
static uint32_t answers[LOOK];		/* by verdict, where it needs no look */

static void put(unsigned int op, uint32_t k, int yes, int no)
{
	code[end++] = (struct sock_filter){ (unsigned short)op, (unsigned char)yes,
					    (unsigned char)no, k };
}

#define JUMP(test)	(BPF_JMP | BPF_##test | BPF_K)
#define RETURN(what)	put(BPF_RET | BPF_K, what, 0, 0)

/* The half of an argument that counts where the kernel takes an int; no other is looked at. */
static void load(int argument)
{
	const uint16_t one = 1;
	const size_t low = *(const char *)&one ? 0 : 4;

	put(BPF_LD | BPF_W | BPF_ABS,
	    (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)argument + low), 0, 0);
}

/* The lines of one call, up to its ELSE. */
static void look_at(const struct look *l)
{
	for (; l->test != ELSE; l++) {
		load(l->argument);
		if (l->test == HAS)
			put(JUMP(JSET), l->mask, 0, 1);
		else {
			put(BPF_ALU | BPF_AND | BPF_K, l->mask, 0, 0);
			for (int i = 0; i < 2; i++)
				put(JUMP(JEQ), l->values[i] == UID ? getuid() :
				    l->values[i] == GID ? getgid() : l->values[i],
				    (l->test == IS_NOT) + 1 - i, l->test == IS && i);
		}
		RETURN(answers[l->verdict]);
	}
	RETURN(answers[l->verdict]);
}

/* A call: what becomes of it, or on to the next. */
static void put_call(const char *text, enum verdict verdict, const struct look *l)
{
	const long number = call_number(text);
	const unsigned short at = end;

	if (number < 0)
		return;
	put(JUMP(JEQ), (uint32_t)number, 0, 0);
	if (verdict == LOOK)
		look_at(l);
	else if (verdict == OPEN1 || verdict == OPEN2) {
		load(verdict == OPEN1 ? 1 : 2);
		put(JUMP(JSET), O_PATH, 0, 1);
		RETURN(SECCOMP_RET_ALLOW);
		RETURN(SECCOMP_RET_USER_NOTIF);
	} else
		RETURN(answers[verdict]);
	code[at].jf = (unsigned char)(end - at - 1);
}

static void compile(uint32_t arch)
{
	/* on x86_64 the bit of the other ABI's numbers */
	const uint32_t x32 = 0x40000000;
	const bool is_x32 = call_number(N(read)) >= (long)x32;

	put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	put(JUMP(JEQ), arch, 1, 0);
	RETURN(answers[REFUSE]);
	put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	put(JUMP(JGE), x32 * 2, 2, 0);
	put(JUMP(JGE), x32, is_x32, !is_x32);
	RETURN(answers[REFUSE]);
	for (const struct operation *o = operations; o->name; o++)
		if (o->verdict != LOOK)
			put_call(o->number, o->verdict, NULL);
	for (size_t i = 0; i < COUNT(looks); i++)
		if (!i || looks[i - 1].test == ELSE)
			put_call(looks[i].number, LOOK, &looks[i]);
	for (size_t i = 0; i < COUNT(allowed); i++)
		put_call(allowed[i], ALLOW, NULL);
	for (size_t i = 0; i < COUNT(refused); i++)
		put_call(refused[i], REFUSE, NULL);
	RETURN(answers[MISSING]);
}

int filter_install(uint32_t arch, bool landlock, bool verbose)
{
	struct sock_fprog program = { 0, code };

	answers[BROKER] = SECCOMP_RET_USER_NOTIF;
	answers[ALLOW] = SECCOMP_RET_ALLOW;
	answers[REFUSE] = verbose ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | EPERM;
	answers[MISSING] = SECCOMP_RET_ERRNO | ENOSYS;
	answers[PRETEND] = SECCOMP_RET_ERRNO | 0;
	answers[EXEC] = landlock && !verbose ? SECCOMP_RET_ALLOW : SECCOMP_RET_USER_NOTIF;
	compile(arch);
	program.len = end;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}
