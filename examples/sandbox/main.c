/* SPDX-License-Identifier: MIT */
/* main.c - safe-sandbox, which runs a program that can open only what it is allowed to */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "sandbox.h"

enum { OWN_FAILURE = 125, CANNOT_RUN, NOT_FOUND, TIMED_OUT = 124 };

#define TRACING	(PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
		 PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

uint32_t sandbox_arch;
static double seconds;

static void options(int argc, char **argv)
{
	const char *wrong;
	char *end;
	int c;

	opterr = 0;
	while ((c = getopt(argc, argv, "+:vr:w:c:t:")) != -1)
		if (c == 'v')
			sandbox_verbose = true;
		else if (c == 'r' || c == 'w') {
			if (policy_path(optarg, c == 'r' ? MAY_READ : MAY_READ | MAY_WRITE))
				err(OWN_FAILURE, "-%c %s", c, optarg);
		} else if (c == 'c') {
			wrong = policy_address(optarg);
			if (wrong)
				errx(OWN_FAILURE, "-c %s: %s", optarg, wrong);
		} else if (c == 't') {
			seconds = strtod(optarg, &end);
			if (end == optarg || *end || !(seconds > 0 && seconds < 1e9))
				errx(OWN_FAILURE, "-t %s: not a number of seconds", optarg);
		} else
			errx(OWN_FAILURE, "-%c: %s", optopt,
			     c == ':' ? "no value" : "no such option");
	if (optind == argc)
		errx(OWN_FAILURE, "usage: safe-sandbox [-v] [-r PATH]... [-w PATH]... "
		     "[-c HOST:PORT]... [-t SECONDS] [--] PROGRAM [ARGUMENT...]");
}

/* ---- the two processes meet --------------------------------------------------------- */

struct hello {				/* of the child's, to the supervisor */
	int listener, error;
	bool landlock;
};

/*
 * The program's side.  It is as it was started: nothing has been done yet that it would inherit,
 * and the one descriptor that it gets is closed when it begins.
 */
static void run(int socket, char **argv)
{
	struct hello hello = { -1, 0, false };
	uint32_t arch;
	char go;

	if (read(socket, &arch, sizeof arch) != sizeof arch)
		_exit(OWN_FAILURE);
	hello.landlock = policy_landlock();
	policy_close();
	if (!hello.landlock)	/* a core is a file that the kernel creates in the program's stead */
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	hello.listener = filter_install(arch, hello.landlock, sandbox_verbose);
	hello.error = errno;
	if (write(socket, &hello, sizeof hello) != sizeof hello || read(socket, &go, 1) != 1)
		_exit(OWN_FAILURE);
	execvp(argv[0], argv);
	const int status = errno == ENOENT ? NOT_FOUND : CANNOT_RUN;
	warn("%s", argv[0]);
	_exit(status);
}

/* The supervisor's: traces the child, and gets hold of its filter's listener. */
static void meet(pid_t child, int socket)
{
	struct __ptrace_syscall_info info = { 0 };
	struct hello hello;
	int status, pidfd;

	if (ptrace(PTRACE_SEIZE, child, NULL, (void *)TRACING) ||
	    ptrace(PTRACE_INTERRUPT, child, NULL, NULL) ||
	    waitpid(child, &status, __WALL) != child)
		err(OWN_FAILURE, "tracing");
	if (ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof info, &info) == -1)
		err(OWN_FAILURE, "PTRACE_GET_SYSCALL_INFO: this kernel is too old");
	sandbox_arch = info.arch;
	ptrace(PTRACE_CONT, child, NULL, NULL);
	if (write(socket, &sandbox_arch, sizeof sandbox_arch) != sizeof sandbox_arch ||
	    read(socket, &hello, sizeof hello) != sizeof hello)
		errx(OWN_FAILURE, "the program's process has died");
	if (hello.listener == -1)
		errx(OWN_FAILURE, "seccomp with user notification: %s", strerror(hello.error));
	sandbox_landlock = hello.landlock;
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	sandbox_listener = pidfd == -1 ? -1 :
		(int)syscall(SYS_pidfd_getfd, pidfd, hello.listener, 0);
	if (sandbox_listener == -1)
		err(OWN_FAILURE, "pidfd_getfd: this kernel is too old");
	close(pidfd);
	/* who asks and who answers take turns: since 6.6 the kernel can know that */
	ioctl(sandbox_listener, _IOW('!', 4, uint64_t), 1L);
}

/* ---- the lines of -v ------------------------------------------------------------------ */

/*
 * Whoever reads them may be slow, or never do it; a decision doesn't wait for that.  So a thread
 * writes them, and when there are too many the next ones are counted only.
 */
enum { LINES_MOST = 16 << 20, PATIENCE = 2 };

static struct line {
	struct line *next;
	size_t size;
	char text[];
} *lines, **last = &lines;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static size_t unwritten;
static unsigned int lost;
static bool no_more;
static pthread_t writer;

static void add_line(const char *text, size_t size)
{
	struct line *new = unwritten > LINES_MOST ? NULL : malloc(sizeof *new + size);

	lost += !new;
	if (!new)
		return;
	*new = (struct line){ NULL, size };
	memcpy(new->text, text, size);
	unwritten += size;
	*last = new;
	last = &new->next;
	pthread_cond_signal(&more);
}

void log_line(const char *text, size_t size)
{
	pthread_mutex_lock(&lock);
	add_line(text, size);
	pthread_mutex_unlock(&lock);
}

static void write_line(const struct line *l)
{
	struct pollfd full = { STDERR_FILENO, POLLOUT, 0 };
	ssize_t n = 0;

	for (size_t done = 0; done < l->size; done += n > 0 ? (size_t)n : 0) {
		n = write(STDERR_FILENO, l->text + done, l->size - done);
		if (n == -1 && errno == EAGAIN)		/* somebody wants it so */
			poll(&full, 1, -1);
		else if (n == -1 && errno != EINTR)
			break;
	}
}

static void *write_lines(void *unused)
{
	char text[64];
	struct line *l;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_mutex_lock(&lock);
	while (lines || !no_more) {
		l = lines;
		if (!l) {
			pthread_cond_wait(&more, &lock);
			continue;
		}
		lines = l->next;
		last = lines ? last : &lines;
		pthread_mutex_unlock(&lock);
		write_line(l);
		pthread_mutex_lock(&lock);
		unwritten -= l->size;
		free(l);
		if (lost && !lines) {
			add_line(text, (size_t)sprintf(text, "%u lines lost\n", lost));
			lost = 0;
		}
	}
	pthread_mutex_unlock(&lock);
	return unused;
}

/* What is left is written as long as somebody reads it. */
static void end_lines(void)
{
	struct timespec until;
	size_t before;

	pthread_mutex_lock(&lock);
	no_more = true;
	pthread_cond_signal(&more);
	do {
		before = unwritten;
		pthread_mutex_unlock(&lock);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PATIENCE;
		if (!pthread_timedjoin_np(writer, NULL, &until))
			return;
		pthread_mutex_lock(&lock);
	} while (unwritten != before);
}

/* ---- the supervisor ------------------------------------------------------------------- */

static void time_out(void *unused)
{
	(void)unused;
	request_end(TIMED_OUT);
}

static void forward(void *unused, int signum)
{
	(void)unused;
	request_forward(signum);
}

static void start(void)
{
	struct loop_timer *timer;
	struct rlimit limit;
	struct timespec now;
	sigset_t none;

	/* the program has them as they were, blocked or not; here they are needed */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* a terminal sends these to the program, too, and it is the one to decide */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (sandbox_verbose && (errno = pthread_create(&writer, NULL, write_lines, NULL)))
		err(OWN_FAILURE, "a thread");
	if (safe_syscall_init(0) || !(sandbox_loop = loop_new()) ||
	    loop_signal(sandbox_loop, SIGTERM, forward, NULL) ||
	    loop_signal(sandbox_loop, SIGHUP, forward, NULL))
		err(OWN_FAILURE, "the loop");
	if (seconds > 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		timer = loop_timer_new(sandbox_loop, time_out, NULL);
		if (!timer)
			err(OWN_FAILURE, "the timer");
		loop_timer_set(timer, now.tv_sec * 1000000000LL + now.tv_nsec +
			       (long long)(seconds * 1e9));
	}
}

/*
 * What the program was given is its own: where it closes that, the other end is to see it.  What
 * we have opened is closed by an exec, what we were given was not.
 */
static void give_up_inherited(void)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	DIR *fds = opendir("/proc/self/fd");
	const struct dirent *entry;

	while (fds && (entry = readdir(fds))) {
		const int fd = atoi(entry->d_name), flags = fcntl(fd, F_GETFD);
		if (entry->d_name[0] == '.' || flags == -1 || flags & FD_CLOEXEC)
			continue;
		if (fd > STDERR_FILENO)
			close(fd);
		else if (fd < STDERR_FILENO || !sandbox_verbose)
			dup2(null, fd);
	}
	if (fds)
		closedir(fds);
	close(null);
}

int main(int argc, char **argv)
{
	int sockets[2], error;
	siginfo_t info;
	pid_t child;

	/* who has made itself the sandbox by exec may have had some */
	const bool has_children = !waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT);

	options(argc, argv);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		err(OWN_FAILURE, "socketpair");
	child = fork();
	if (child == -1)
		err(OWN_FAILURE, "fork");
	if (!child) {
		close(sockets[0]);
		run(sockets[1], argv + optind);
	}
	close(sockets[1]);
	meet(child, sockets[0]);
	start();
	error = request_start(child, has_children);
	if (error)
		errx(OWN_FAILURE, "starting: %s", strerror(error));
	give_up_inherited();
	if (write(sockets[0], "", 1) != 1)
		errx(OWN_FAILURE, "the program's process has died");
	close(sockets[0]);
	error = loop_run(sandbox_loop);
	if (sandbox_verbose)
		end_lines();
	return error;
}
