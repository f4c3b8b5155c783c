/* SPDX-License-Identifier: MIT */
/* Message queues: order, limits, waiting and not, who is told. */
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include "guest.h"

static char name[64];

static mqd_t opened(int flags)
{
	struct mq_attr attributes = { .mq_maxmsg = 2, .mq_msgsize = 16 };
	mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | flags, 0600, &attributes);

	need(queue != (mqd_t)-1);
	return queue;
}

static void order(void)
{
	struct timespec past = { 1, 0 };
	struct mq_attr attributes, non_blocking = { .mq_flags = O_NONBLOCK };
	char buffer[16];
	unsigned int priority;
	mqd_t queue = opened(0);

	want(mq_getattr(queue, &attributes), 0);
	check(attributes.mq_maxmsg == 2 && attributes.mq_msgsize == 16);
	check(attributes.mq_flags == 0 && attributes.mq_curmsgs == 0);
	want(mq_send(queue, "low", 3, 1), 0);
	want(mq_send(queue, "higher", 6, 5), 0);
	want_error(mq_timedsend(queue, "full", 4, 1, &past), ETIMEDOUT);
	want_error(mq_send(queue, "much more than there is room", 28, 1), EMSGSIZE);
	want(mq_setattr(queue, &non_blocking, &attributes), 0);
	want(attributes.mq_curmsgs, 2);
	want_error(mq_send(queue, "full", 4, 1), EAGAIN);
	want(mq_getattr(queue, &attributes), 0);
	want(attributes.mq_flags, O_NONBLOCK);
	want_error(mq_receive(queue, buffer, 8, &priority), EMSGSIZE);
	want(mq_receive(queue, buffer, sizeof(buffer), &priority), 6);
	check(priority == 5 && !memcmp(buffer, "higher", 6));
	want(mq_receive(queue, buffer, sizeof(buffer), NULL), 3);
	want_error(mq_receive(queue, buffer, sizeof(buffer), NULL), EAGAIN);
	want(mq_close(queue), 0);
	want(mq_unlink(name), 0);
	want_error(mq_unlink(name), ENOENT);
	want_error(mq_open(name, O_RDWR), ENOENT);
}

static volatile sig_atomic_t told, told_value;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	told = info->si_code;
	told_value = info->si_value.sival_int;
}

static void notified(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	char buffer[16];
	mqd_t queue = opened(O_NONBLOCK);

	event.sigev_value.sival_int = 99;
	sigaction(SIGUSR1, &action, NULL);
	want(mq_notify(queue, &event), 0);
	want_error(mq_notify(queue, &event), EBUSY);
	want(mq_send(queue, "x", 1, 0), 0);
	check(told == SI_MESGQ && told_value == 99);
	told = 0;
	want(mq_receive(queue, buffer, sizeof(buffer), NULL), 1);
	want(mq_send(queue, "x", 1, 0), 0);
	want(told, 0);
	want(mq_notify(queue, &event), 0);
	want(mq_notify(queue, NULL), 0);
	want(mq_unlink(name), 0);
	mq_close(queue);
}

static sem_t by_thread;

static void in_a_thread(union sigval v)
{
	told_value = v.sival_int;
	sem_post(&by_thread);
}

/* The C library does it, with a socket that the kernel tells; it gets its own bytes back. */
static void notified_by_a_thread(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD };
	mqd_t queue = opened(0);

	event.sigev_notify_function = in_a_thread;
	event.sigev_value.sival_int = 101;
	need(sem_init(&by_thread, 0, 0) == 0);
	want(mq_notify(queue, &event), 0);
	want(mq_send(queue, "x", 1, 0), 0);
	want(sem_wait(&by_thread), 0);
	want(told_value, 101);
	mq_unlink(name);
	mq_close(queue);
}

static void interrupted(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	mqd_t queue = opened(0);
	char buffer[16];
	pid_t child;

	sigaction(SIGUSR1, &action, NULL);
	child = fork();
	if (child == 0) {
		nap(500);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	want_error(mq_receive(queue, buffer, sizeof(buffer), NULL), EINTR);
	waitpid(child, NULL, 0);
	child = fork();
	if (child == 0) {
		nap(20);
		_exit(mq_send(queue, "child", 5, 0));
	}
	want(mq_receive(queue, buffer, sizeof(buffer), NULL), 5);
	waitpid(child, NULL, 0);
	mq_close(queue);
	mq_unlink(name);
}

int main(void)
{
	snprintf(name, sizeof(name), "/guest.%d", getpid());
	order();
	notified();
	notified_by_a_thread();
	interrupted();
	return guest_end();
}
