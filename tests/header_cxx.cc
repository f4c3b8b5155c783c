// SPDX-License-Identifier: MIT
// header_cxx.cc - the header in C++, and every name of it linked from there
#include <safe_syscall.h>

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

static volatile int flag;

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
	EXPECT(safe_syscall_region(&start, &length) == 0 && length > 0);
	EXPECT(safe_syscall(SYS_getpid) == getpid());
	EXPECT(safe_syscall_self() != nullptr && safe_syscall_self() != &scope);
	EXPECT(safe_syscall_version()[0] != 0);
	std::printf("%d failures\n", failures);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
