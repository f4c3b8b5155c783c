/* SPDX-License-Identifier: MIT */
/*
 * wire.c - the messages of 9P2000.L, taken apart and put together.
 *
 * One table tells of each request what it consists of.  A field is read only after it
 * was seen to be inside the message, and whoever adds a message adds a line.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "wire.h"

/* A field has so many bytes; or it is one of these. */
enum { STRING = 16, NAMES, DATA, OPTIONAL = 32 };

struct field {
	const char *name;
	size_t offset;
	int width;
};

#define F(member, width)	{ #member, offsetof(struct message, member), width }
#define FIELDS			11

static const struct format {
	const char *name;
	struct field field[FIELDS + 1];		/* to the first without a width */
} formats[256] = {
	[TVERSION] = { "Tversion", { F(msize, 4), F(version, STRING) } },
	[TAUTH] = { "Tauth", { F(afid, 4), F(uname, STRING), F(aname, STRING),
		F(n_uname, 4) } },
	[TATTACH] = { "Tattach", { F(fid, 4), F(afid, 4), F(uname, STRING),
		F(aname, STRING), F(n_uname, 4) } },
	[TFLUSH] = { "Tflush", { F(oldtag, 2) } },
	[TWALK] = { "Twalk", { F(fid, 4), F(newfid, 4), F(walk, NAMES) } },
	[TLOPEN] = { "Tlopen", { F(fid, 4), F(flags, 4) } },
	[TLCREATE] = { "Tlcreate", { F(fid, 4), F(name, STRING), F(flags, 4), F(mode, 4),
		F(gid, 4) } },
	[TREAD] = { "Tread", { F(fid, 4), F(offset, 8), F(count, 4) } },
	[TWRITE] = { "Twrite", { F(fid, 4), F(offset, 8), F(data, DATA) } },
	[TCLUNK] = { "Tclunk", { F(fid, 4) } },
	[TREMOVE] = { "Tremove", { F(fid, 4) } },
	[TSTATFS] = { "Tstatfs", { F(fid, 4) } },
	[TGETATTR] = { "Tgetattr", { F(fid, 4), F(mask, 8) } },
	[TSETATTR] = { "Tsetattr", { F(fid, 4), F(valid, 4), F(mode, 4), F(uid, 4),
		F(gid, 4), F(length, 8), F(atime, 8), F(atime_nsec, 8), F(mtime, 8),
		F(mtime_nsec, 8) } },
	[TREADDIR] = { "Treaddir", { F(fid, 4), F(offset, 8), F(count, 4) } },
	[TFSYNC] = { "Tfsync", { F(fid, 4), F(datasync, 4 | OPTIONAL) } },
	[TLOCK] = { "Tlock", { F(fid, 4), F(kind, 1), F(flags, 4), F(start, 8),
		F(length, 8), F(process, 4), F(client, STRING) } },
	[TGETLOCK] = { "Tgetlock", { F(fid, 4), F(kind, 1), F(start, 8), F(length, 8),
		F(process, 4), F(client, STRING) } },
	[TLINK] = { "Tlink", { F(dfid, 4), F(fid, 4), F(name, STRING) } },
	[TSYMLINK] = { "Tsymlink", { F(dfid, 4), F(name, STRING), F(target, STRING),
		F(gid, 4) } },
	[TMKNOD] = { "Tmknod", { F(dfid, 4), F(name, STRING), F(mode, 4), F(major, 4),
		F(minor, 4), F(gid, 4) } },
	[TMKDIR] = { "Tmkdir", { F(dfid, 4), F(name, STRING), F(mode, 4), F(gid, 4) } },
	[TRENAME] = { "Trename", { F(fid, 4), F(dfid, 4), F(name, STRING) } },
	[TRENAMEAT] = { "Trenameat", { F(fid, 4), F(name, STRING), F(dfid, 4),
		F(newname, STRING) } },
	[TUNLINKAT] = { "Tunlinkat", { F(dfid, 4), F(name, STRING), F(flags, 4) } },
	[TREADLINK] = { "Treadlink", { F(fid, 4) } },
	[TXATTRWALK] = { "Txattrwalk", { F(fid, 4), F(newfid, 4), F(name, STRING) } },
	[TXATTRCREATE] = { "Txattrcreate", { F(fid, 4), F(name, STRING), F(length, 8),
		F(flags, 4) } },
};

/* ---- requests ----------------------------------------------------------- */

static uint64_t number(const unsigned char *p, int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | p[bytes];
	return value;
}

uint32_t wire_size(const unsigned char *data)
{
	return (uint32_t)number(data, 4);
}

/* What is left of a message. */
struct cursor {
	unsigned char *at, *end;
};

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static int get_number(struct cursor *c, int bytes, uint64_t *value)
{
	if (left(c) < (size_t)bytes)
		return EINVAL;
	*value = number(c->at, bytes);
	c->at += bytes;
	return 0;
}

/* The string goes to where its length was: that leaves two bytes for its end. */
static int get_string(struct cursor *c, const char **string)
{
	unsigned char *p = c->at;
	uint64_t length;
	int error = get_number(c, 2, &length);

	if (error)
		return error;
	if (left(c) < length || memchr(c->at, 0, length))
		return EINVAL;
	if (length >= PATH_MAX)
		return ENAMETOOLONG;
	memmove(p, c->at, length);
	p[length] = 0;
	c->at += length;
	*string = (const char *)p;
	return 0;
}

static int get_names(struct cursor *c, struct message *m)
{
	uint64_t names;
	int error = get_number(c, 2, &names);

	if (!error && names > WIRE_NAMES)
		error = EINVAL;
	while (!error && m->names < names)
		error = get_string(c, &m->walk[m->names++]);
	return error;
}

static int get_data(struct cursor *c, struct message *m)
{
	int error = get_number(c, 4, &m->count);

	if (error)
		return error;
	if (left(c) != m->count)
		return EINVAL;
	m->data = c->at;
	c->at = c->end;
	return 0;
}

static int get(struct cursor *c, const struct field *f, struct message *m)
{
	void *member = (char *)m + f->offset;

	switch (f->width) {
	case STRING:
		return get_string(c, member);
	case NAMES:
		return get_names(c, m);
	case DATA:
		return get_data(c, m);
	}
	if (f->width & OPTIONAL && c->at == c->end)
		return 0;
	return get_number(c, f->width & ~OPTIONAL, member);
}

int wire_parse(struct message *m, unsigned char *data, uint32_t size)
{
	struct cursor c = { data + WIRE_HEADER, data + size };
	const struct field *f = formats[data[4]].field;
	int error = 0;

	memset(m, 0, sizeof *m);
	m->size = size;
	m->type = data[4];
	m->tag = (uint16_t)number(data + 5, 2);
	if (!formats[m->type].name)
		return EOPNOTSUPP;
	for (; !error && f->width; f++)
		error = get(&c, f, m);
	return !error && c.at != c.end ? EINVAL : error;
}

uint32_t wire_reply_room(const struct message *m, uint32_t msize)
{
	switch (m->type) {
	case TREAD:
	case TREADDIR:
		if (m->count < msize - WIRE_READ)
			return (uint32_t)m->count + WIRE_READ;
		return msize;
	case TREADLINK:
	case TGETLOCK:
		return PATH_MAX + 64 < msize ? PATH_MAX + 64 : msize;
	default:
		return WIRE_SMALLEST;
	}
}

/* ---- replies ------------------------------------------------------------ */

static void put(unsigned char *p, uint64_t value, int bytes)
{
	for (; bytes--; value >>= 8)
		*p++ = (unsigned char)value;
}

void wire_begin(struct wire *w, unsigned char *data, uint32_t room, int type, uint16_t tag)
{
	w->data = data;
	w->size = WIRE_HEADER;
	w->room = room;
	w->full = false;
	data[4] = (unsigned char)type;
	put(data + 5, tag, 2);
}

static bool fits(struct wire *w, size_t bytes)
{
	if (bytes > w->room - w->size)
		w->full = true;
	return !w->full;
}

void wire_number(struct wire *w, uint64_t value, int bytes)
{
	if (!fits(w, (size_t)bytes))
		return;
	put(w->data + w->size, value, bytes);
	w->size += (uint32_t)bytes;
}

void wire_string(struct wire *w, const char *string)
{
	size_t length = strlen(string);

	if (length > UINT16_MAX || !fits(w, length + 2)) {
		w->full = true;
		return;
	}
	wire_number(w, length, 2);
	memcpy(w->data + w->size, string, length);
	w->size += (uint32_t)length;
}

void wire_qid(struct wire *w, const struct qid *qid)
{
	wire_number(w, qid->type, 1);
	wire_number(w, qid->version, 4);
	wire_number(w, qid->path, 8);
}

void wire_attributes(struct wire *w, const struct attributes *a)
{
	int i;

	wire_number(w, a->valid, 8);
	wire_qid(w, &a->qid);
	wire_number(w, a->mode, 4);
	wire_number(w, a->uid, 4);
	wire_number(w, a->gid, 4);
	wire_number(w, a->nlink, 8);
	wire_number(w, a->rdev, 8);
	wire_number(w, a->size, 8);
	wire_number(w, a->blksize, 8);
	wire_number(w, a->blocks, 8);
	for (i = 0; i < 4; i++) {
		wire_number(w, a->time[i][0], 8);
		wire_number(w, a->time[i][1], 8);
	}
	wire_number(w, 0, 8);		/* gen and data_version: not had */
	wire_number(w, 0, 8);
}

bool wire_entry(struct wire *w, uint32_t limit, const struct qid *qid, uint64_t offset,
		uint8_t type, const char *name)
{
	if (w->size + 13 + 8 + 1 + 2 + strlen(name) > limit)
		return false;
	wire_qid(w, qid);
	wire_number(w, offset, 8);
	wire_number(w, type, 1);
	wire_string(w, name);
	return true;
}

void wire_end(struct wire *w)
{
	put(w->data, w->size, 4);
}

/*
 * On the wire errors have the numbers of most of Linux's architectures; mips has others
 * from 35 on.  Those that file operations return:
 */
uint32_t wire_error(int error)
{
	static const struct {
		int host;
		uint32_t wire;
	} differ[] = {
		{ EDEADLK, 35 }, { ENAMETOOLONG, 36 }, { ENOLCK, 37 }, { ENOSYS, 38 },
		{ ENOTEMPTY, 39 }, { ELOOP, 40 }, { ENODATA, 61 }, { ETIME, 62 },
		{ EREMOTE, 66 }, { EPROTO, 71 }, { EBADMSG, 74 }, { EOVERFLOW, 75 },
		{ EUSERS, 87 }, { ENOTSOCK, 88 }, { EMSGSIZE, 90 }, { EOPNOTSUPP, 95 },
		{ ENOTCONN, 107 }, { ENOBUFS, 105 }, { ETIMEDOUT, 110 },
		{ ECONNREFUSED, 111 }, { EHOSTDOWN, 112 }, { ESTALE, 116 },
		{ EUCLEAN, 117 }, { EREMOTEIO, 121 }, { EDQUOT, 122 }, { ENOMEDIUM, 123 },
		{ ECANCELED, 125 }, { ENOKEY, 126 },
	};
	size_t i;

	for (i = 0; i < sizeof differ / sizeof differ[0]; i++)
		if (differ[i].host == error)
			return differ[i].wire;
	return (uint32_t)error;
}

/* ---- the trace ---------------------------------------------------------- */

/* Bytes that could do harm to a terminal are not shown. */
static size_t describe_string(char *line, size_t room, const char *name, const char *s)
{
	size_t n = (size_t)snprintf(line, room, " %s \"", name);

	for (; s && *s && n + 2 < room; s++)
		line[n++] = *s < ' ' || *s == 127 || *s == '"' ? '?' : *s;
	if (n + 1 < room)
		line[n++] = '"';
	line[n < room ? n : room - 1] = 0;
	return n;
}

static size_t describe_field(char *line, size_t room, const struct field *f,
			     const struct message *m)
{
	const void *member = (const char *)m + f->offset;
	size_t n = 0;
	unsigned int i;

	if (f->width == STRING)
		return describe_string(line, room, f->name, *(const char *const *)member);
	if (f->width == DATA)
		return (size_t)snprintf(line, room, " count %" PRIu64, m->count);
	if (f->width != NAMES)
		return (size_t)snprintf(line, room, " %s %" PRIu64, f->name,
					*(const uint64_t *)member);
	for (i = 0; i < m->names && n < room; i++)
		n += describe_string(line + n, room - n, "name", m->walk[i]);
	return n;
}

void wire_describe(const unsigned char *data, uint32_t size, const struct message *m,
		   char *line, size_t room)
{
	const struct format *format = &formats[m ? m->type : data[4] - 1];
	const struct field *f = format->field;
	const bool failed = !m && data[4] == RLERROR;
	const char *name = failed ? "Tlerror" : format->name;
	size_t n = (size_t)snprintf(line, room, "%c%s tag %u size %" PRIu32, m ? 'T' : 'R',
		name ? name + 1 : "(unknown)", (unsigned int)number(data + 5, 2), size);

	if (failed)
		n += (size_t)snprintf(line + n, room - n, " error %u",
				      (unsigned int)number(data + 7, 4));
	for (; m && f->width && n < room; f++)
		n += describe_field(line + n, room - n, f, m);
}
