/* SPDX-License-Identifier: MIT */
/*
 * policy.c - what -r, -w and -c allow.
 *
 * WHAT IT MEANS TO BE BELOW A PATH
 *
 * The broker asks about an object that it holds by a descriptor (O_PATH), never about the name by
 * which the program has asked for it.  /proc/self/fd tells the object's path: the kernel walks up
 * from the object to the root with renames locked out, so it is the path at one moment, true
 * as a whole, without links and without "..".  If it begins with that of a root, the object was
 * below the root at that moment, and it is this object that the broker then acts on.  Whoever
 * moves directories and links about can only change which object is found; and each that can be
 * found is looked at itself.
 *
 * Walking up by ".." instead, and comparing devices and inodes, looks at each directory at another
 * moment: one that is moved from outside to inside in between makes its former children
 * seem to be inside.  Devices and inodes alone also know nothing of mounts: a directory
 * that is mounted at two places has one inode, and is below a root at one of them only.
 *
 * A path is text, so a few things have to be known about it.  The kernel puts " (deleted)" at its
 * end, which only lengthens it: what was created below a root and has lost its name still is.
 * What has no path (pipes, sockets) or can't be reached doesn't begin with a slash, and so
 * is below nothing, not even "/".  A root that is renamed while the program runs is no longer
 * where its path says; it is the path that was allowed.
 *
 * Landlock, where the kernel has it, says the same of directories by their inodes: for execve,
 * which only the program itself can do, and as a second wall for all else.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "sandbox.h"

static struct root {
	struct root *next;
	int rights, fd;
	bool directory;
	size_t length;
	char path[];
} *roots;

static struct peer {
	struct peer *next;
	struct sockaddr_storage address;
} *peers;

int policy_path(const char *path, int rights)
{
	char link[32], real[PATH_MAX];
	struct stat st;
	struct root *new;
	ssize_t n;
	const int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd == -1 || fstat(fd, &st))
		return -1;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, real, sizeof real);
	if (n == -1 || n == sizeof real || !(new = malloc(sizeof *new + (size_t)n + 1)))
		return -1;
	*new = (struct root){ roots, rights, fd, S_ISDIR(st.st_mode), (size_t)n };
	memcpy(new->path, real, (size_t)n);
	new->path[n] = 0;
	if (n == 1)
		new->length = 0;	/* "/": all that begins with a slash */
	roots = new;
	return 0;
}

bool policy_below(const char *path, int rights)
{
	int has = 0;

	for (const struct root *r = roots; r; r = r->next)
		if (*path == '/' && !strncmp(path, r->path, r->length) &&
		    (path[r->length] == '/' || !path[r->length]))
			has |= r->rights;
	return (has & rights) == rights;
}

/* ---- addresses -------------------------------------------------------------- */

const char *policy_address(const char *address)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *port = strrchr(address, ':'), *end = port;
	struct addrinfo *found;
	struct peer *new;
	char host[256];
	int error;

	if (!port || !port[1] || port == address || port - address >= (int)sizeof host ||
	    strspn(port + 1, "0123456789") != strlen(port + 1) || strlen(port + 1) > 5 ||
	    strtol(port + 1, NULL, 10) > 65535 || !strtol(port + 1, NULL, 10))
		return "not HOST:PORT";
	if (*address == '[' && end[-1] == ']')
		address++, end--;
	snprintf(host, sizeof host, "%.*s", (int)(end - address), address);
	error = getaddrinfo(host, port + 1, &hints, &found);
	if (error)
		return gai_strerror(error);
	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		new = calloc(1, sizeof *new);
		if (!new)
			return strerror(ENOMEM);
		memcpy(&new->address, a->ai_addr, a->ai_addrlen);
		new->next = peers;
		peers = new;
	}
	freeaddrinfo(found);
	return NULL;
}

/* An IPv4 address is the same in IPv6's clothes. */
static struct sockaddr_in6 plain(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	struct sockaddr_in6 v6 = { .sin6_addr = { .s6_addr = { [10] = 0xff, 0xff } } };

	if (address->ss_family == AF_INET6)
		return *(const struct sockaddr_in6 *)(const void *)address;
	memcpy(&v6.sin6_addr.s6_addr[12], &v4->sin_addr, 4);
	v6.sin6_port = v4->sin_port;
	return v6;
}

bool policy_peer(const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 asked = plain(address);
	const struct peer *p = peers;

	for (; p; p = p->next) {
		const struct sockaddr_in6 has = plain(&p->address);
		if (!memcmp(&asked.sin6_addr, &has.sin6_addr, sizeof has.sin6_addr) &&
		    asked.sin6_port == has.sin6_port &&
		    (!has.sin6_scope_id || asked.sin6_scope_id == has.sin6_scope_id))
			break;
	}
	return p;
}

/* ---- Landlock ----------------------------------------------------------------- */

/* By numbers, as headers may be older than kernels. */
#ifndef SYS_landlock_create_ruleset
# define SYS_landlock_create_ruleset	444
# define SYS_landlock_add_rule		445
# define SYS_landlock_restrict_self	446
#endif
enum {
	LL_EXECUTE = 1 << 0, LL_WRITE_FILE = 1 << 1, LL_READ_FILE = 1 << 2, LL_READ_DIR = 1 << 3,
	LL_FIRST = (1 << 13) - 1, LL_REFER = 1 << 13, LL_TRUNCATE = 1 << 14,
	LL_IOCTL_DEV = 1 << 15,		/* not restricted: what is open may be used */
	LL_OF_FILES = LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE,
	LL_BIND = 1 << 0, LL_CONNECT = 1 << 1,
	LL_ABSTRACT = 1 << 0, LL_SIGNAL = 1 << 1
};

bool policy_landlock(void)
{
	struct { uint64_t files, net, scopes; } rules = { LL_FIRST, 0, 0 };
	struct { uint64_t access; int32_t fd; } __attribute__((packed)) below;
	const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0L, 1L);
	int fd;

	if (abi < 1)
		return false;
	if (abi >= 2)
		rules.files |= LL_REFER;
	if (abi >= 3)
		rules.files |= LL_TRUNCATE;
	if (abi >= 4)
		rules.net = LL_CONNECT;
	if (abi >= 6)
		rules.scopes = LL_ABSTRACT | LL_SIGNAL;
	/* as large as it is known to that kernel */
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, abi < 4 ? 8L : abi < 6 ? 16L : 24L,
			  0L);
	for (const struct root *r = roots; r && fd != -1; r = r->next) {
		below.access = rules.files;
		if (!(r->rights & MAY_WRITE))
			below.access &= LL_EXECUTE | LL_READ_FILE | LL_READ_DIR;
		if (!r->directory)
			below.access &= LL_OF_FILES;
		below.fd = r->fd;
		if (syscall(SYS_landlock_add_rule, fd, 1L, &below, 0L))
			return false;
	}
	return fd != -1 && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !syscall(SYS_landlock_restrict_self, fd, 0L);
}

void policy_close(void)
{
	for (const struct root *r = roots; r; r = r->next)
		close(r->fd);
}
