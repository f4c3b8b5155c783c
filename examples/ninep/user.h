/* SPDX-License-Identifier: MIT */
/* user.h - whom a thread acts for */
#ifndef USER_H
#define USER_H

#include <stdint.h>
#include <sys/types.h>

struct user;

/* By number, or by name where there is none (~0); 0 or an error's number. */
int user_find(uint32_t number, const char *name, struct user **);
struct user *user_get(struct user *);
void user_put(struct user *);
/* The calling thread acts for the user; with this group, where it is one of the user's. */
int user_become(const struct user *, gid_t);
#define USER_GROUP	((gid_t)-1)	/* the user's own */

#endif
