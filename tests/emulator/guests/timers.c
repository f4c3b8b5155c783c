/* SPDX-License-Identifier: MIT */
/* setitimer, alarm, POSIX timers, timerfd, sleeping. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include "guest.h"

static volatile int count, seen_code, seen_value, seen_overrun;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	count++;
	seen_code = info->si_code;
	seen_value = info->si_value.sival_int;
	seen_overrun = info->si_overrun;
}

static void install(int sig)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_signal;
	sa.sa_flags = SA_SIGINFO;
	need(sigaction(sig, &sa, NULL) == 0);
	count = 0;
}

static void until(int n)
{
	int i;

	for (i = 0; i < 5000 && count < n; i++)
		nap(1);
}

static void interval_timers(void)
{
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, off, old;
	int i;

	memset(&off, 0, sizeof(off));
	install(SIGALRM);
	want(setitimer(ITIMER_REAL, &often, NULL), 0);
	until(5);
	check(count >= 5);
	want(getitimer(ITIMER_REAL, &old), 0);
	check(old.it_interval.tv_sec == 0 && old.it_interval.tv_usec == 5000);
	check(old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 5000);
	want(setitimer(ITIMER_REAL, &off, &old), 0);
	check(old.it_interval.tv_usec == 5000);
	i = count;
	nap(30);
	check(count == i || count == i + 1);
	want_error(setitimer(99, &often, NULL), EINVAL);
	often.it_value.tv_usec = 2000000;
	want_error(setitimer(ITIMER_REAL, &often, NULL), EINVAL);

	/* Of processor time, which goes by only while something is done. */
	often.it_value.tv_usec = 5000;
	install(SIGVTALRM);
	want(setitimer(ITIMER_VIRTUAL, &often, NULL), 0);
	while (count < 2)
		;
	want(setitimer(ITIMER_VIRTUAL, &off, NULL), 0);
	install(SIGPROF);
	want(setitimer(ITIMER_PROF, &often, NULL), 0);
	while (count < 2)
		;
	want(setitimer(ITIMER_PROF, &off, NULL), 0);
}

static void alarms(void)
{
	install(SIGALRM);
	want(alarm(100), 0);
	want(alarm(1), 100);
	want_error(pause(), EINTR);
	want(count, 1);
	want(alarm(50), 0);
	want(alarm(0), 50);
	want(alarm(0), 0);
}

static void posix_timers(void)
{
	struct itimerspec soon, now;
	struct sigevent event;
	timer_t timer, other;

	memset(&event, 0, sizeof(event));
	memset(&soon, 0, sizeof(soon));
	install(SIGRTMIN + 3);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGRTMIN + 3;
	event.sigev_value.sival_int = 4242;
	want(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	soon.it_value.tv_nsec = 10000000;
	want(timer_settime(timer, 0, &soon, NULL), 0);
	until(1);
	want(count, 1);
	want(seen_code, SI_TIMER);
	want(seen_value, 4242);
	want(timer_gettime(timer, &now), 0);
	check(now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
	want(timer_getoverrun(timer), 0);

	event.sigev_value.sival_int = -5;
	want(timer_create(CLOCK_REALTIME, &event, &other), 0);
	soon.it_interval.tv_nsec = 2000000;
	count = 0;
	want(timer_settime(other, 0, &soon, NULL), 0);
	until(3);
	check(count >= 3);
	want(seen_value, -5);
	want(timer_gettime(other, &now), 0);
	want(now.it_interval.tv_nsec, 2000000);
	want(timer_delete(other), 0);
	want(timer_delete(timer), 0);

	event.sigev_notify = SIGEV_NONE;
	want(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	soon.it_value.tv_sec = 100;
	want(timer_settime(timer, 0, &soon, NULL), 0);
	want(timer_gettime(timer, &now), 0);
	check(now.it_value.tv_sec >= 99 && now.it_value.tv_sec <= 100);
	want(timer_delete(timer), 0);
}

static void timer_files(void)
{
	struct itimerspec spec, now;
	struct pollfd p;
	uint64_t ticks = 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	check(fd >= 0);
	want_error(read(fd, &ticks, sizeof(ticks)), EAGAIN);
	memset(&spec, 0, sizeof(spec));
	spec.it_value.tv_nsec = 10000000;
	spec.it_interval.tv_nsec = 1000000;
	want(timerfd_settime(fd, 0, &spec, NULL), 0);
	p.fd = fd;
	p.events = POLLIN;
	want(poll(&p, 1, 10000), 1);
	want(read(fd, &ticks, sizeof(ticks)), 8);
	check(ticks >= 1 && ticks < 100000);
	want(timerfd_gettime(fd, &now), 0);
	want(now.it_interval.tv_nsec, 1000000);
	want_error(read(fd, &ticks, 4), EINVAL);
	want(fcntl(fd, F_SETFL, 0), 0);
	want(read(fd, &ticks, sizeof(ticks)), 8);
	want(close(fd), 0);
}

static void sleeping(void)
{
	struct timespec bad = { 0, 1000000000 }, t, begin, end;

	want_error(nanosleep(&bad, NULL), EINVAL);
	need(clock_gettime(CLOCK_MONOTONIC, &begin) == 0);
	t.tv_sec = 0;
	t.tv_nsec = 20000000;
	want(nanosleep(&t, NULL), 0);
	need(clock_gettime(CLOCK_MONOTONIC, &end) == 0);
	check((end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec >= 20000000);
	t = end;
	want(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
	t.tv_nsec += 20000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	want(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
	need(clock_gettime(CLOCK_MONOTONIC, &end) == 0);
	check(end.tv_sec > t.tv_sec || (end.tv_sec == t.tv_sec && end.tv_nsec >= t.tv_nsec));
	want(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
	want(clock_getres(CLOCK_MONOTONIC, &t), 0);
	check(time(NULL) > 1500000000);
	check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0 && t.tv_sec < 100);
	check(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0 && t.tv_sec < 100);
	want_error(clock_gettime(12345, &t), EINVAL);
}

int main(void)
{
	interval_timers();
	alarms();
	posix_timers();
	timer_files();
	sleeping();
	return guest_end();
}
