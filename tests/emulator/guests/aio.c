/* SPDX-License-Identifier: MIT */
/* Asynchronous I/O, which C libraries make of threads and of signals that carry a value. */
#include <aio.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include "guest.h"

static volatile sig_atomic_t signalled, value, code;
static sem_t called;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	signalled = sig;
	value = info->si_value.sival_int;
	code = info->si_code;
}

static void on_thread(union sigval v)
{
	value = v.sival_int;
	sem_post(&called);
}

static ssize_t finish(struct aiocb *operation)
{
	const struct aiocb *list[] = { operation };

	while (aio_error(operation) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	return aio_return(operation);
}

/* Nobody is told; the signal has the number 0. */
static void in_silence(int fd)
{
	char text[] = "what is written", buffer[32] = "";
	struct aiocb operation = { .aio_fildes = fd, .aio_buf = text, .aio_nbytes = 15, .aio_offset = 100 };

	operation.aio_sigevent.sigev_notify = SIGEV_NONE;
	want(aio_write(&operation), 0);
	want(finish(&operation), 15);
	operation.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
	operation.aio_sigevent.sigev_signo = 0;
	operation.aio_buf = buffer;
	operation.aio_nbytes = sizeof(buffer);
	want(aio_read(&operation), 0);
	want(finish(&operation), 15);
	check(!strcmp(buffer, text));
	operation.aio_fildes = -1;
	if (aio_read(&operation) == 0) {
		while (aio_error(&operation) == EINPROGRESS)
			nap(1);
		errno = aio_error(&operation);
	}
	want(errno, EBADF);
}

static void with_a_signal(int fd)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct aiocb operation = { .aio_fildes = fd, .aio_buf = "more", .aio_nbytes = 4 };

	sigaction(SIGRTMIN + 2, &sa, NULL);
	operation.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
	operation.aio_sigevent.sigev_signo = SIGRTMIN + 2;
	operation.aio_sigevent.sigev_value.sival_int = 4711;
	want(aio_write(&operation), 0);
	want(finish(&operation), 4);
	while (!signalled)
		nap(1);
	check(signalled == SIGRTMIN + 2 && value == 4711 && code == SI_ASYNCIO);
}

static void with_a_thread(int fd)
{
	struct aiocb one = { .aio_fildes = fd, .aio_buf = "1", .aio_nbytes = 1, .aio_lio_opcode = LIO_WRITE };
	struct aiocb two = { .aio_fildes = fd, .aio_buf = "2", .aio_nbytes = 1, .aio_lio_opcode = LIO_WRITE };
	struct aiocb *list[] = { &one, &two };

	sem_init(&called, 0, 0);
	one.aio_sigevent.sigev_notify = two.aio_sigevent.sigev_notify = SIGEV_NONE;
	want(lio_listio(LIO_WAIT, list, 2, NULL), 0);
	want(aio_return(&one) + aio_return(&two), 2);
	one.aio_sigevent.sigev_notify = SIGEV_THREAD;
	one.aio_sigevent.sigev_notify_function = on_thread;
	one.aio_sigevent.sigev_value.sival_int = 12;
	want(aio_write(&one), 0);
	while (sem_wait(&called) && errno == EINTR)
		;
	want(value, 12);
	want(finish(&one), 1);
}

int main(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);

	need(fd >= 0);
	in_silence(fd);
	with_a_signal(fd);
	with_a_thread(fd);
	unlink("file");
	return guest_end();
}
