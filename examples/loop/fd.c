/* SPDX-License-Identifier: MIT */
/*
 * fd.c - descriptors
 *
 * The kernel knows a descriptor of an epoll set by its number and by the open file behind
 * it.  When a number is closed, and the file is not, because a duplicate of it is
 * open here or in a child, events go on to come, and nobody can take them out of the set, as
 * the number is gone or means another file.  So each event carries the number of the change
 * that set it.  One that is out of date is nobody's, and if it was so already when the
 * wait began, the set is made anew.
 */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int control(int epoll, int op, int fd, const struct watch *w)
{
	struct epoll_event event;

	event.events = (w->readable ? EPOLLIN : 0U) | (w->writable ? EPOLLOUT : 0U);
	event.data.u64 = (uint64_t)w->change << 32 | (unsigned int)fd;
	return epoll_ctl(epoll, op, fd, &event);
}

/* What the kernel knows may not be what we do, where the number means another file now. */
static int watch(struct loop *l, int fd, struct watch *w)
{
	int polled = fd >= 0 && fd < l->watches_size && l->watches[fd].kind == POLLED, failed;

	w->kind = POLLED;
	failed = control(l->epoll, polled ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, w);
	if (failed && (errno == ENOENT || errno == EEXIST))
		failed = control(l->epoll, polled ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, w);
	if (failed && errno == EPERM) {
		w->kind = ALWAYS;
		failed = 0;
	}
	return failed;
}

static void always_remove(struct loop *l, int fd)
{
	int *at = &l->always;

	while (*at != fd)
		at = &l->watches[*at].next;
	*at = l->watches[fd].next;
	if (l->always_next == fd)
		l->always_next = *at;
}

/* A step that waits finds out by itself what changes in the epoll set. */
static void set(struct loop *l, int fd, struct watch w)
{
	if (l->watches[fd].kind == ALWAYS)
		always_remove(l, fd);
	if (w.kind == ALWAYS) {
		w.next = l->always;
		l->always = fd;
		loop_wake(l, RELOOK);
	}
	l->watches[fd] = w;
}

static int grow(struct loop *l, int fd)
{
	int size = l->watches_size ? l->watches_size : 64;
	struct watch *watches;

	while (size <= fd)
		size = size > INT32_MAX / 2 ? INT32_MAX : size * 2;
	if (size == l->watches_size)
		return 0;
	watches = reallocarray(l->watches, (size_t)size, sizeof *watches);
	if (!watches)
		return -1;
	l->watches = watches;
	while (l->watches_size < size)
		watches[l->watches_size++] = (struct watch){ .kind = UNKNOWN };
	return 0;
}

static void forget(struct loop *l, int fd)
{
	if (fd < 0 || fd >= l->watches_size || l->watches[fd].kind == UNKNOWN)
		return;
	if (l->watches[fd].kind == POLLED)
		epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, &(struct epoll_event){ 0 });
	set(l, fd, (struct watch){ .change = ++l->change });
}

int loop_fd(struct loop *l, int fd, void (*readable)(void *), void (*writable)(void *),
	    void *opaque)
{
	struct watch w = { readable, writable, opaque, l->change + 1, UNKNOWN, -1 };
	int error = errno;

	if (!readable && !writable) {
		forget(l, fd);
	} else if (watch(l, fd, &w)) {
		error = errno;
		if (error == EBADF)
			forget(l, fd);
		errno = error;
		return -1;
	} else if (grow(l, fd)) {
		epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, &(struct epoll_event){ 0 });
		errno = ENOMEM;
		return -1;
	} else {
		l->change++;
		set(l, fd, w);
	}
	errno = error;
	return 0;
}

int loop_fds_start(struct loop *l)
{
	struct epoll_event event = { EPOLLIN | EPOLLET, { .u64 = (unsigned int)l->event } };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->event, &event);
}

/* The new set takes the old one's number.  If there is no memory, there may be next time. */
static void make_anew(struct loop *l)
{
	int old = l->epoll, fd;

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll == -1 || loop_fds_start(l)) {
		if (l->epoll != -1)
			close(l->epoll);
		l->epoll = old;
		return;
	}
	for (fd = 0; fd < l->watches_size; fd++)
		if (l->watches[fd].kind == POLLED)
			control(l->epoll, EPOLL_CTL_ADD, fd, &l->watches[fd]);
	dup3(l->epoll, old, O_CLOEXEC);
	close(l->epoll);
	l->epoll = old;
}

/* The first function may change what is set, and move the table. */
static void run(struct loop *l, int fd, unsigned int events)
{
	struct watch w = l->watches[fd];

	if (w.readable && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
		l->ran++;
		w.readable(w.opaque);
	}
	if (w.writable && events & (EPOLLOUT | EPOLLERR | EPOLLHUP) &&
	    l->watches[fd].change == w.change) {
		l->ran++;
		w.writable(w.opaque);
	}
}

static int changed_since_wait(const struct loop *l, int fd)
{
	return (int)(l->watches[fd].change - l->change_waited) > 0;
}

void loop_fds_run(struct loop *l, int events)
{
	int i, fd, stale = 0;

	for (i = 0; i < events; i++) {
		fd = (int)(uint32_t)l->events[i].data.u64;
		if (fd == l->event)
			continue;
		if (l->watches[fd].change == l->events[i].data.u64 >> 32)
			run(l, fd, l->events[i].events);
		else if (!changed_since_wait(l, fd))
			stale = 1;
	}
	if (stale)
		make_anew(l);
	for (fd = l->always; fd >= 0; fd = l->always_next) {
		l->always_next = l->watches[fd].next;
		if (!changed_since_wait(l, fd))
			run(l, fd, EPOLLIN | EPOLLOUT);
	}
}
