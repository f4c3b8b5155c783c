/* SPDX-License-Identifier: MIT */
/*
 * user.c - whom a thread acts for.
 *
 * A server that runs as root takes on the user, the group and the groups of whoever
 * attached, thread by thread: these are the kernel's own calls, as those of the C library
 * change all threads.  What root may beyond that (trusted attributes, quotas, reserved
 * blocks) is a matter of capabilities, and of those a thread that acts for somebody else
 * keeps in effect only the two by which it can change again.
 *
 * There is no authentication: whoever can connect can be any user.  So a server that
 * is not root has just one.
 */
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>

#include "server.h"

struct user {
	AO_t serial;
	uid_t uid;
	gid_t gid;
	int count;
	gid_t groups[];
};

/* What the calling thread is.  By serial: memory of a user that is gone is used again. */
static __thread AO_t acting;
static __thread gid_t acting_group;

int user_find(uint32_t number, const char *name, struct user **user)
{
	static AO_t serial;
	const uint32_t none = -1;
	char text[65536];		/* what the C library's databases have about one user */
	struct passwd entry, *found = NULL;
	struct user *u;
	int count = 0;

	if (number == none && !*name)
		number = geteuid();
	if (number != none)
		getpwuid_r(number, &entry, text, sizeof text, &found);
	else
		getpwnam_r(name, &entry, text, sizeof text, &found);
	if (found)
		number = entry.pw_uid;
	if (number == none || (geteuid() && number != geteuid()))
		return EPERM;
	if (found)
		getgrouplist(entry.pw_name, entry.pw_gid, NULL, &count);	/* how many? */
	u = malloc(sizeof *u + (size_t)count * sizeof(gid_t));
	if (!u || (found && getgrouplist(entry.pw_name, entry.pw_gid, u->groups, &count) == -1)) {
		free(u);
		return ENOMEM;
	}
	u->serial = AO_fetch_and_add1_full(&serial) + 1;
	u->uid = number;
	u->gid = found ? entry.pw_gid : number ? 65534 : 0;	/* nobody's */
	u->count = count;
	*user = u;
	return 0;
}

/* Of what is permitted put into effect these; all, or the two needed to change again. */
static int capabilities(bool all)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) == -1)
		return -1;
	data[0].effective = data[0].permitted & (all ? ~0u : 1u << CAP_SETUID | 1u << CAP_SETGID);
	data[1].effective = all ? data[1].permitted : 0;
	return (int)syscall(SYS_capset, &header, data);
}

#ifndef SYS_setgroups32		/* where ids once had 16 bits */
# define SYS_setgroups32	SYS_setgroups
# define SYS_setfsgid32	SYS_setfsgid
# define SYS_setfsuid32	SYS_setfsuid
#endif

/* setfsuid() and setfsgid() report no errors: ask what it is now. */
static int set_id(long number, unsigned int id)
{
	syscall(number, id);
	return (unsigned int)syscall(number, -1) == id ? 0 : -1;
}

int user_become(const struct user *user, gid_t group)
{
	int i = 0;

	if (geteuid())
		return 0;
	/* anybody but root may choose only among the groups that they have */
	while (i < user->count && user->groups[i] != group)
		i++;
	if (group == USER_GROUP || (i == user->count && user->uid))
		group = user->gid;
	if (acting == user->serial && acting_group == group)
		return 0;
	acting = 0;
	if (capabilities(true) ||
	    syscall(SYS_setgroups32, (long)user->count, user->groups) == -1 ||
	    set_id(SYS_setfsgid32, group) || set_id(SYS_setfsuid32, user->uid) ||
	    (user->uid && capabilities(false)))
		return EPERM;
	acting = user->serial;
	acting_group = group;
	return 0;
}
