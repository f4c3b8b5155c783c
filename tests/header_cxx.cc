// SPDX-License-Identifier: MIT
// header_cxx.cc - the header in C++, and every name of it linked from there
#include <safe_syscall.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <csignal>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static int failures;

#define EXPECT(x) \
	((x) ? (void)0 : (void)(failures++, std::printf("%d: %s\n", __LINE__, #x)))

static_assert(SAFE_ERESTARTSYS == 512, "Linux's own value");

static_assert(SAFE_SYSCALL_OUTSIDE == 0 && SAFE_SYSCALL_BEFORE == 1 &&
	      SAFE_SYSCALL_AT_CALL == 2 && SAFE_SYSCALL_RESTART_BLOCK == 3 &&
	      SAFE_SYSCALL_DONE == 4, "programs have been compiled with these");

// An atomic flag is an int in memory.
static_assert(sizeof(std::atomic<int>) == sizeof(int) &&
	      alignof(std::atomic<int>) == alignof(int) && ATOMIC_INT_LOCK_FREE == 2,
	      "the stub loads it as an int");

static volatile int flag;
static std::atomic<int> atomic_flag;

extern "C" void handler(int, siginfo_t *, void *ucontext)
{
	long result;

	flag = 1;
	EXPECT(safe_syscall_classify(ucontext) == SAFE_SYSCALL_OUTSIDE);
	EXPECT(safe_syscall_rewind(ucontext) == SAFE_SYSCALL_OUTSIDE);
	EXPECT(safe_syscall_result(ucontext, &result) == -1 && errno == EINVAL);
}

int main()
{
	safe_syscall_scope scope = SAFE_SYSCALL_SCOPE_INIT;
	struct sigaction sa = {};
	const void *start;
	std::size_t length;

	sa.sa_sigaction = handler;
	sa.sa_flags = SA_SIGINFO;
	EXPECT(sigaction(SIGUSR1, &sa, nullptr) == 0);
	EXPECT(safe_syscall_raw(&flag, SYS_getpid) == getpid());
	std::raise(SIGUSR1);
	EXPECT(safe_syscall_raw(&flag, SYS_getpid) == -SAFE_ERESTARTSYS);
	EXPECT(safe_syscall_raw(reinterpret_cast<const volatile int *>(&atomic_flag),
				SYS_getpid) == getpid());
	atomic_flag.store(1, std::memory_order_relaxed);
	EXPECT(safe_syscall_raw(reinterpret_cast<const volatile int *>(&atomic_flag),
				SYS_getpid) == -SAFE_ERESTARTSYS);
	EXPECT(safe_syscall_region(&start, &length) == 0 && length > 0);
	EXPECT(safe_syscall(SYS_getpid) == getpid());
	EXPECT(safe_syscall_self() != nullptr && safe_syscall_self() != &scope);
	EXPECT(safe_syscall_version()[0] != 0);
	std::printf("%d failures\n", failures);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
