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
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic_ops.h>

#include "user.h"

struct user {
	AO_t refs, serial;
	uid_t uid;
	gid_t gid;
	int count;
	gid_t groups[];
};

/* What the calling thread is.  By serial: memory of a user that is gone is used again. */
static __thread AO_t acting;
static __thread gid_t acting_group;

static struct user *user_new(uid_t uid, const struct passwd *entry)
{
	static AO_t serial;
	int count = 0;
	struct user *user;

	if (entry)
		getgrouplist(entry->pw_name, entry->pw_gid, NULL, &count);
	user = calloc(1, sizeof *user + count * sizeof(gid_t));
	if (!user)
		return NULL;
	user->refs = 1;
	user->serial = AO_fetch_and_add1_full(&serial) + 1;
	user->uid = uid;
	user->gid = entry ? entry->pw_gid : uid ? 65534 : 0;	/* nobody's */
	user->count = count;
	if (entry && getgrouplist(entry->pw_name, entry->pw_gid, user->groups, &count) == -1)
		count = 0;		/* it has more than a moment ago */
	if (count < user->count)
		user->count = count;
	return user;
}

int user_find(uint32_t number, const char *name, struct user **user)
{
	const uint32_t none = -1;
	char text[65536];		/* what the C library's databases have about one user */
	struct passwd entry, *found = NULL;

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
	*user = user_new(number, found);
	return *user ? 0 : ENOMEM;
}

struct user *user_get(struct user *user)
{
	if (user)
		AO_fetch_and_add1_full(&user->refs);
	return user;
}

void user_put(struct user *user)
{
	if (user && AO_fetch_and_sub1_full(&user->refs) == 1)
		free(user);
}

/* Of what is permitted put into effect these; all, or the two needed to change again. */
static int capabilities(int all)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) == -1)
		return -1;
	data[0].effective = data[0].permitted;
	data[1].effective = all ? data[1].permitted : 0;
	if (!all)
		data[0].effective &= 1u << CAP_SETUID | 1u << CAP_SETGID;
	return (int)syscall(SYS_capset, &header, data);
}

/* setfsuid() and setfsgid() report no errors: ask what it is now. */
static int set_id(long number, unsigned int id)
{
	syscall(number, id);
	return (unsigned int)syscall(number, -1) == id ? 0 : -1;
}

static gid_t allowed(const struct user *user, gid_t group)
{
	int i;

	if (group == USER_GROUP)
		return user->gid;
	for (i = 0; i < user->count; i++)
		if (user->groups[i] == group)
			return group;
	return user->uid ? user->gid : group;
}

int user_become(const struct user *user, gid_t group)
{
	if (geteuid())
		return 0;
	group = allowed(user, group);
	if (acting == user->serial && acting_group == group)
		return 0;
	acting = 0;
	if (capabilities(1) ||
	    syscall(SYS_setgroups, (long)user->count, user->groups) == -1 ||
	    set_id(SYS_setfsgid, group) || set_id(SYS_setfsuid, user->uid) ||
	    (user->uid && capabilities(0)))
		return EPERM;
	acting = user->serial;
	acting_group = group;
	return 0;
}
