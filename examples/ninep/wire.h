/* SPDX-License-Identifier: MIT */
/* wire.h - the messages of 9P2000.L; knows bytes, and neither files nor descriptors */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER	7u		/* size[4] type[1] tag[2] */
#define WIRE_NOFID	0xffffffffu
#define WIRE_NOUID	0xffffffffu
#define WIRE_NAMES	16		/* of one Twalk */
#define WIRE_READ	11u		/* the head of an Rread and an Rreaddir */
#define WIRE_SMALLEST	256u		/* no msize below that: each fixed reply fits */

enum wire_type {
	TLERROR = 6, RLERROR, TSTATFS, RSTATFS, TLOPEN = 12, RLOPEN, TLCREATE, RLCREATE,
	TSYMLINK, RSYMLINK, TMKNOD, RMKNOD, TRENAME, RRENAME, TREADLINK, RREADLINK,
	TGETATTR, RGETATTR, TSETATTR, RSETATTR, TXATTRWALK = 30, RXATTRWALK,
	TXATTRCREATE, RXATTRCREATE, TREADDIR = 40, RREADDIR, TFSYNC = 50, RFSYNC,
	TLOCK, RLOCK, TGETLOCK, RGETLOCK, TLINK = 70, RLINK, TMKDIR, RMKDIR, TRENAMEAT,
	RRENAMEAT, TUNLINKAT, RUNLINKAT, TVERSION = 100, RVERSION, TAUTH, RAUTH,
	TATTACH, RATTACH, TFLUSH = 108, RFLUSH, TWALK, RWALK, TREAD = 116, RREAD,
	TWRITE, RWRITE, TCLUNK, RCLUNK, TREMOVE, RREMOVE
};

/* The bits of Tsetattr's valid. */
enum {
	SETATTR_MODE = 1, SETATTR_UID = 2, SETATTR_GID = 4, SETATTR_SIZE = 8,
	SETATTR_ATIME = 0x10, SETATTR_MTIME = 0x20, SETATTR_CTIME = 0x40,
	SETATTR_ATIME_SET = 0x80, SETATTR_MTIME_SET = 0x100
};

enum { WIRE_RDLCK, WIRE_WRLCK, WIRE_UNLCK };	/* a lock's type */
enum { WIRE_SUCCESS, WIRE_BLOCKED };			/* Rlock's status */
#define WIRE_LOCK_WAIT	1

/*
 * A request.  What a message of its type has not got is 0 or null.  Strings are C
 * strings, in the message's own memory.
 */
struct message {
	uint32_t size;
	uint8_t type;
	uint16_t tag;
	/* numbers: fid is what most are about, dfid a second one or a directory's */
	uint64_t fid, dfid, newfid, afid, oldtag, msize, n_uname, gid, uid, mode, flags;
	uint64_t major, minor, mask, valid, length, offset, count, datasync;
	uint64_t atime, atime_nsec, mtime, mtime_nsec, kind, start, process;
	const char *name, *newname, *target, *uname, *aname, *version, *client;
	unsigned int names;
	const char *walk[WIRE_NAMES];
	const unsigned char *data;	/* count bytes */
};

struct qid {
	uint8_t type;
	uint32_t version;
	uint64_t path;
};

struct attributes {
	uint64_t valid;
	struct qid qid;
	uint32_t mode, uid, gid;
	uint64_t nlink, rdev, size, blksize, blocks;
	uint64_t time[4][2];		/* atime, mtime, ctime, btime: seconds, nanoseconds */
};

/* A reply that is being built.  What does not fit is left out and sets full. */
struct wire {
	unsigned char *data;
	uint32_t size, room;
	bool full;
};

/* The size that a message says it has, from its first four bytes. */
uint32_t wire_size(const unsigned char *data);

/*
 * Take the message apart: size bytes, which it says itself, at least a header.  The
 * strings in it are moved to make room for their ends.  0; EOPNOTSUPP for a type that is
 * no request, EINVAL for one whose parts are not there or not to its end, ENAMETOOLONG.
 */
int wire_parse(struct message *, unsigned char *data, uint32_t size);

/* What a request may need for its reply, at most, where messages have msize bytes. */
uint32_t wire_reply_room(const struct message *, uint32_t msize);

void wire_begin(struct wire *, unsigned char *data, uint32_t room, int type, uint16_t tag);
void wire_number(struct wire *, uint64_t value, int bytes);
void wire_string(struct wire *, const char *);
void wire_qid(struct wire *, const struct qid *);
void wire_attributes(struct wire *, const struct attributes *);
/* One of Rreaddir's entries, if it fits into limit bytes of reply. */
bool wire_entry(struct wire *, uint32_t limit, const struct qid *, uint64_t offset,
		uint8_t type, const char *name);
void wire_end(struct wire *);		/* now the size is known */

/* Linux's number for an error, where this host's own differs. */
uint32_t wire_error(int error);

/* One line about a message, of either direction, for -d. */
void wire_describe(const unsigned char *data, uint32_t size, const struct message *,
		   char *line, size_t room);

#endif
