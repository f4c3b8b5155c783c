/* SPDX-License-Identifier: MIT */
/* request.h - HTTP requests, as text */
#ifndef REQUEST_H
#define REQUEST_H

#include <stddef.h>

enum { HEADER = 8192 };			/* bytes at most */

struct request {
	int is_head, keep_alive, has_body, hosts;
	int is_old;			/* HTTP/1.0: who sent it waits for the end, if not told */
	char *path;			/* as it was sent, without the first slash */
	const char *query, *range, *if_range, *since;	/* or null */
	char name[HEADER + sizeof "index.html"];	/* of a file: the path, decoded */
};

/* How long the header at the beginning of n bytes is; 0: more is to come. */
size_t request_length(const char *text, size_t n);

/* Takes it apart; behind it there is a null.  Returns null, or the status of what is wrong. */
const char *request_parse(struct request *q, char *text, size_t n);

/* 0: as a whole; 1: from..to of so many bytes; -1: there is no such part. */
int request_range(const char *range, long long size, long long *from, long long *to);

#endif
