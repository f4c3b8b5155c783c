/* SPDX-License-Identifier: MIT */
/* file.h - the exported tree; knows descriptors, and nothing of messages */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#ifndef STATX_TYPE		/* older C libraries */
# include <linux/stat.h>
#endif
#include <time.h>

#include <atomic_ops.h>

/*
 * A place in the tree: an O_PATH descriptor, which follows the file wherever it is moved.
 * Never changes; shared by the fids that are at it.
 */
struct node {
	AO_t refs;
	int fd;
	struct node *root;		/* what was attached: ".." ends there; maybe itself */
	struct statx stat;		/* as it was when it was walked to */
};

/* A file that is open. */
struct file {
	int fd;
	bool own;			/* not the node's descriptor */
	bool seekable;
	AO_t busy;			/* a reader of the directory has it */
	int64_t position;		/* where the directory is */
};

/* What setattr changes: mode, owner, size, times, as far as they are asked for. */
struct change {
	bool set_mode, set_size, set_times;
	mode_t mode;
	uid_t uid;			/* -1: not */
	gid_t gid;
	uint64_t size;
	struct timespec times[2];
};

/* All of these return 0 or an error's number. */
int file_export(const char *dir, bool read_only);	/* once, first */
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
/* What is made is told of in stat, as far as it is still there. */
int file_mkdir(const struct node *, const char *name, mode_t, struct statx *);
int file_mknod(const struct node *, const char *name, mode_t, unsigned int major,
	       unsigned int minor, struct statx *);
int file_symlink(const struct node *, const char *name, const char *target, struct statx *);
int file_link(const struct node *dir, const struct node *, const char *name);
int file_rename_at(const struct node *, const char *name, const struct node *to,
		   const char *newname);
int file_rename(const struct node *, const struct node *to, const char *newname);
int file_unlink_at(const struct node *, const char *name, bool directory);
int file_remove(const struct node *);
/* Extended attributes: size is what there is room for, then what there is; no name: the list. */
int file_get_xattr(const struct node *, const char *name, void *, size_t *size);
int file_set_xattr(const struct node *, const char *name, const void *, size_t, int flags);

/*
 * Entries from an offset on, for as long as each() takes them: false when it has no more
 * room.  EINVAL when there are some and it took none.
 */
int file_readdir(const struct node *, struct file *, uint64_t offset, size_t room,
		 bool (*each)(void *, uint64_t ino, int64_t next, uint8_t type, const char *),
		 void *opaque);

bool file_read_only(void);
void file_close(struct file *);
bool node_same(const struct node *, const struct statx *);
struct node *node_get(struct node *);
void node_put(struct node *);

#define FILE_PROC	32
const char *file_proc(char path[FILE_PROC], int fd);	/* "/proc/self/fd/..." */

#endif
