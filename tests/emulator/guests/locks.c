/* SPDX-License-Identifier: MIT */
/* fcntl locks of both widths, and flock. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include "guest.h"

static struct flock region(int type, long start, long length)
{
	struct flock lock;

	memset(&lock, 0, sizeof(lock));
	lock.l_type = type;
	lock.l_whence = SEEK_SET;
	lock.l_start = start;
	lock.l_len = length;
	return lock;
}

static int child(int to, int from)
{
	struct flock lock = region(F_WRLCK, 10, 5);
	int fd = open("locked", O_RDWR);
	char c;

	if (fd < 0 || fcntl(fd, F_SETLK, &lock) || flock(fd, LOCK_SH))
		return 1;
	if (write(to, "r", 1) != 1 || read(from, &c, 1) != 1)
		return 2;
	nap(30);
	return 0;
}

int main(void)
{
	struct flock lock;
	struct flock64 wide;
	int fd = open("locked", O_RDWR | O_CREAT, 0600), to[2], from[2], status = -1;
	char c;
	pid_t pid;

	need(fd >= 0 && pipe(to) == 0 && pipe(from) == 0);
	pid = fork();
	if (pid == 0)
		_exit(child(to[1], from[0]));
	need(read(to[0], &c, 1) == 1);

	lock = region(F_RDLCK, 0, 0);
	want(fcntl(fd, F_GETLK, &lock), 0);
	want(lock.l_type, F_WRLCK);
	want(lock.l_start, 10);
	want(lock.l_len, 5);
	want(lock.l_whence, SEEK_SET);
	lock = region(F_WRLCK, 15, 5);
	want(fcntl(fd, F_GETLK, &lock), 0);
	want(lock.l_type, F_UNLCK);
	lock = region(F_WRLCK, 14, 1);
	want_error(fcntl(fd, F_SETLK, &lock), EAGAIN);
	lock = region(F_WRLCK, 15, 5);
	want(fcntl(fd, F_SETLK, &lock), 0);
	lock = region(99, 0, 1);
	want_error(fcntl(fd, F_SETLK, &lock), EINVAL);

	memset(&wide, 0, sizeof(wide));
	wide.l_type = F_WRLCK;
	wide.l_start = 0x100000000LL;
	wide.l_len = 1;
	want(fcntl(fd, F_SETLK64, &wide), 0);
	wide.l_type = F_WRLCK;
	wide.l_start = 3;
	wide.l_len = 0x200000000LL;
	want(fcntl(fd, F_GETLK64, &wide), 0);
	want(wide.l_type, F_WRLCK);
	want(wide.l_start, 10);
	check(wide.l_pid == pid);

	want_error(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	want(flock(fd, LOCK_SH | LOCK_NB), 0);
	need(write(from[1], "g", 1) == 1);
	lock = region(F_WRLCK, 12, 1);
	want(fcntl(fd, F_SETLKW, &lock), 0);
	want(flock(fd, LOCK_EX), 0);
	want(flock(fd, LOCK_UN), 0);
	want(waitpid(pid, &status, 0) == pid ? status : -1, 0);
	want_error(flock(fd, 77), EINVAL);
	unlink("locked");
	return guest_end();
}
