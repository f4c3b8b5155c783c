/* SPDX-License-Identifier: MIT */
/* connection.h - clients on the loop; knows bytes and requests, and no message but its size */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>

#include <loop.h>

/* A client that reads from one descriptor and writes to another, or the same.  0, or -1 and errno. */
int connection_new(struct loop *, int in, int out);
void connection_end_all(void);			/* cancel what is under way, and close */
extern void (*connection_last)(void);		/* called when the last one is gone, or none is there */

#endif
