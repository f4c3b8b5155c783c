/* SPDX-License-Identifier: MIT */
/* file.h - the exported tree; knows descriptors, and nothing of messages */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <atomic_ops.h>

#define FILE_PROC	32
const char *file_proc(char path[FILE_PROC], int fd);	/* "/proc/self/fd/..." */

/*
 * A place in the tree: an O_PATH descriptor, which follows the file wherever it is moved.
 * Never changes; shared by the fids that are at it.
 */
struct node {
	AO_t refs;
	int fd;
	char path[FILE_PROC];		/* by which the kernel gets at it, and looks nothing up */
	struct node *root;		/* what was attached: ".." ends there; maybe itself */
	struct statx stat;		/* as it was when it was walked to */
};

/* A file that is open. */
struct file {
	int fd;				/* -1: it isn't */
	bool own;			/* not the node's descriptor */
	bool seekable;
	bool locked;			/* lock.c knows of it */
	AO_t busy;			/* a reader of the directory has it */
};

/* What setattr changes; -1 and UTIME_OMIT: not. */
struct change {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	bool resize;
	uint64_t size;
	struct timespec times[2];
};

/* Takes an entry of a directory; false: it has no room for it. */
typedef bool file_entry(void *opaque, uint64_t ino, int64_t next, uint8_t type,
			const char *name);

/* All of these return 0 or an error's number. */
int file_export(int dir, bool read_only);	/* once, first; with /proc, nothing works without */
int file_attach(const char *path, struct node **);
int file_walk(struct node *, const char *name, struct node **);
int file_stat(const struct node *, struct statx *);
int file_open(const struct node *, int flags, struct file *);
int file_create(struct node *dir, const char *name, int flags, mode_t, struct node **,
		struct file *);
int file_read(const struct file *, void *, size_t, uint64_t offset, size_t *done);
int file_write(const struct file *, const void *, size_t, uint64_t offset, size_t *done);
int file_sync(const struct file *, bool data_only);
int file_change(const struct node *, const struct file *, const struct change *);
int file_statfs(const struct node *, uint64_t numbers[9]);
int file_readlink(const struct node *, char *, size_t);
/* Entries from an offset on.  EINVAL when there are some and each() took none. */
int file_readdir(const struct node *, struct file *, uint64_t offset, size_t room,
		 file_entry *each, void *opaque);
/* A directory, a link to target, or another node; what was made is told of in stat. */
int file_make(const struct node *dir, const char *name, mode_t, unsigned int device,
	      const char *target, struct statx *stat);
int file_link(const struct node *dir, const struct node *, const char *name);
int file_rename_at(const struct node *, const char *name, const struct node *to,
		   const char *newname);
int file_rename(const struct node *, const struct node *to, const char *newname);
int file_unlink_at(const struct node *, const char *name, bool directory);
int file_remove(const struct node *);
/* Extended attributes: size is what there is room for, then what there is; no name: the list. */
int file_get_xattr(const struct node *, const char *name, void *, size_t *size);
int file_set_xattr(const struct node *, const char *name, const void *, size_t, int flags);

bool file_read_only(void);
void file_close(struct file *);
bool node_same(const struct node *, const struct statx *);
struct node *node_get(struct node *);
void node_put(struct node *);

#endif
