/* SPDX-License-Identifier: MIT */
/* cancel.h - what bench asks of its helpers */
struct request {
	int ping;			/* read of a pipe and not of /dev/zero */
	int times;
};

struct answer {
	double plain, point;		/* ns of a call by syscall(), and by read() */
};
