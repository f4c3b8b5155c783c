/* SPDX-License-Identifier: MIT */
/* wire.h - the messages of 9P2000.L; knows bytes, and neither files nor descriptors */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define WIRE_HEADER	7u		/* size[4] type[1] tag[2] */
#define WIRE_NOFID	0xffffffffu
#define WIRE_NAMES	16		/* of one Twalk */
#define WIRE_READ	11u		/* an Rread's and an Rreaddir's head, where they begin */
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

/*
 * A request.  What a message of its type has not got is 0 or null.  Strings are C strings,
 * in the message's own memory and shorter than PATH_MAX.
 */
struct message {
	uint8_t type;
	uint16_t tag;
	/* fid is what most are about, dfid a second one or a directory's, newfid a free one */
	uint64_t fid, dfid, newfid, afid, oldtag, msize, n_uname, gid, uid, mode, flags;
	uint64_t major, minor, mask, valid, length, offset, count, datasync;
	uint64_t atime, atime_nsec, mtime, mtime_nsec, kind, start, process;
	const char *name, *newname, *target, *uname, *aname, *version, *client;
	unsigned int names;
	const char *walk[WIRE_NAMES];
	const unsigned char *data;	/* count bytes */
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

/*
 * Replies.  The numbers are those of the reply's type, or of an entry of Rreaddir, in their
 * order, a qid being three; how wide they are on the wire is wire.c's affair.
 */
#define wire_numbers(wire, ...)							\
	wire_put(wire, (const uint64_t[]){ __VA_ARGS__ },			\
		 sizeof (uint64_t[]){ __VA_ARGS__ } / sizeof(uint64_t))
void wire_begin(struct wire *, unsigned char *data, uint32_t room, int type, uint16_t tag);
void wire_put(struct wire *, const uint64_t *numbers, size_t count);
void wire_string(struct wire *, const char *);
bool wire_entry(struct wire *, const uint64_t numbers[5], const char *name);	/* if it fits */
void wire_end(struct wire *);		/* now the size is known, and how much is read */

/* One line about a message, for -d; of a reply only what is the same in all: no message. */
void wire_describe(FILE *, const unsigned char *data, uint32_t size, const struct message *);

#endif
