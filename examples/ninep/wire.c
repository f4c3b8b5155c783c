/* SPDX-License-Identifier: MIT */
/*
 * wire.c - the messages of 9P2000.L, taken apart and put together.
 *
 * One table tells of each request what it consists of.  A field is read only after it
 * was seen to be inside the message, and whoever adds a message adds a line.
 */
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

#define QID			"148"
#define QIDS			QID QID QID QID

static const struct format {
	const char *name;
	struct field field[FIELDS + 1];		/* to the first without a width */
	const char *reply;			/* the widths of its reply's numbers */
} formats[256] = {
	[TLERROR] = { "lerror", { { NULL, 0, 0 } }, "4" },
	[TVERSION] = { "version", { F(msize, 4), F(version, STRING) }, "4" },
	[TAUTH] = { "auth", { F(afid, 4), F(uname, STRING), F(aname, STRING),
		F(n_uname, 4) }, "" },
	[TATTACH] = { "attach", { F(newfid, 4), F(afid, 4), F(uname, STRING),
		F(aname, STRING), F(n_uname, 4) }, QID },
	[TFLUSH] = { "flush", { F(oldtag, 2) }, "" },
	[TWALK] = { "walk", { F(fid, 4), F(newfid, 4), F(walk, NAMES) }, "2" QIDS QIDS QIDS QIDS },
	[TLOPEN] = { "lopen", { F(fid, 4), F(flags, 4) }, QID "4" },
	[TLCREATE] = { "lcreate", { F(fid, 4), F(name, STRING), F(flags, 4), F(mode, 4),
		F(gid, 4) }, QID "4" },
	[TREAD] = { "read", { F(fid, 4), F(offset, 8), F(count, 4) }, "" },
	[TWRITE] = { "write", { F(fid, 4), F(offset, 8), F(data, DATA) }, "4" },
	[TCLUNK] = { "clunk", { F(fid, 4) }, "" },
	[TREMOVE] = { "remove", { F(fid, 4) }, "" },
	[TSTATFS] = { "statfs", { F(fid, 4) }, "448888884" },
	[TGETATTR] = { "getattr", { F(fid, 4), F(mask, 8) },
		"8" QID "444" "88888" "88888888" "88" },
	[TSETATTR] = { "setattr", { F(fid, 4), F(valid, 4), F(mode, 4), F(uid, 4),
		F(gid, 4), F(length, 8), F(atime, 8), F(atime_nsec, 8), F(mtime, 8),
		F(mtime_nsec, 8) }, "" },
	[TREADDIR] = { "readdir", { F(fid, 4), F(offset, 8), F(count, 4) }, "" },
	[TFSYNC] = { "fsync", { F(fid, 4), F(datasync, 4 | OPTIONAL) }, "" },
	[TLOCK] = { "lock", { F(fid, 4), F(kind, 1), F(flags, 4), F(start, 8),
		F(length, 8), F(process, 4), F(client, STRING) }, "1" },
	[TGETLOCK] = { "getlock", { F(fid, 4), F(kind, 1), F(start, 8), F(length, 8),
		F(process, 4), F(client, STRING) }, "1884" },
	[TLINK] = { "link", { F(dfid, 4), F(fid, 4), F(name, STRING) }, "" },
	[TSYMLINK] = { "symlink", { F(dfid, 4), F(name, STRING), F(target, STRING),
		F(gid, 4) }, QID },
	[TMKNOD] = { "mknod", { F(dfid, 4), F(name, STRING), F(mode, 4), F(major, 4),
		F(minor, 4), F(gid, 4) }, QID },
	[TMKDIR] = { "mkdir", { F(dfid, 4), F(name, STRING), F(mode, 4), F(gid, 4) }, QID },
	[TRENAME] = { "rename", { F(fid, 4), F(dfid, 4), F(name, STRING) }, "" },
	[TRENAMEAT] = { "renameat", { F(fid, 4), F(name, STRING), F(dfid, 4),
		F(newname, STRING) }, "" },
	[TUNLINKAT] = { "unlinkat", { F(dfid, 4), F(name, STRING), F(flags, 4) }, "" },
	[TREADLINK] = { "readlink", { F(fid, 4) }, "" },
	[TXATTRWALK] = { "xattrwalk", { F(fid, 4), F(newfid, 4), F(name, STRING) }, "8" },
	[TXATTRCREATE] = { "xattrcreate", { F(fid, 4), F(name, STRING), F(length, 8),
		F(flags, 4) }, "" },
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

/* What is left of a message; nothing is after the first error. */
struct cursor {
	unsigned char *at, *end;
	int error;
};

static uint64_t spoilt(struct cursor *c, int error)
{
	c->at = c->end;
	c->error = error;
	return 0;
}

/* So many bytes are there? */
static bool has(struct cursor *c, uint64_t bytes)
{
	if (!c->error && bytes > (uint64_t)(c->end - c->at))
		spoilt(c, EINVAL);
	return !c->error;
}

static uint64_t take_number(struct cursor *c, int bytes)
{
	if (!has(c, bytes))
		return 0;
	c->at += bytes;
	return number(c->at - bytes, bytes);
}

/* The string goes to where its length was: that leaves two bytes for its end. */
static const char *take_string(struct cursor *c)
{
	unsigned char *string = c->at;
	uint64_t length = take_number(c, 2);

	if (!has(c, length))
		return NULL;
	if (memchr(c->at, 0, length) || length >= PATH_MAX) {
		spoilt(c, length >= PATH_MAX ? ENAMETOOLONG : EINVAL);
		return NULL;
	}
	memmove(string, c->at, length);
	string[length] = 0;
	c->at += length;
	return (const char *)string;
}

static void take_field(struct cursor *c, const struct field *f, struct message *m)
{
	void *member = (char *)m + f->offset;
	uint64_t names;

	switch (f->width) {
	case STRING:
		*(const char **)member = take_string(c);
		break;
	case NAMES:
		names = take_number(c, 2);
		if (names > WIRE_NAMES)
			spoilt(c, EINVAL);
		while (!c->error && m->names < names)
			m->walk[m->names++] = take_string(c);
		break;
	case DATA:
		m->count = take_number(c, 4);
		m->data = c->at;
		if (has(c, m->count))
			c->at += m->count;
		break;
	default:
		if (f->width < OPTIONAL || c->at != c->end)
			*(uint64_t *)member = take_number(c, f->width & ~OPTIONAL);
	}
}

int wire_parse(struct message *m, unsigned char *data, uint32_t size)
{
	struct cursor c = { data + WIRE_HEADER, data + size, 0 };
	const struct field *f = formats[data[4]].field;

	memset(m, 0, sizeof *m);
	m->size = size;
	m->type = data[4];
	m->tag = (uint16_t)number(data + 5, 2);
	if (!f->width)
		return EOPNOTSUPP;
	for (; f->width; f++)
		take_field(&c, f, m);
	return c.at != c.end ? EINVAL : c.error;
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

static void put_numbers(struct wire *w, const char *widths, const uint64_t *numbers, size_t n)
{
	for (; n-- && fits(w, *widths - '0'); widths++) {
		put(w->data + w->size, *numbers++, *widths - '0');
		w->size += *widths - '0';
	}
}

void wire_put(struct wire *w, const uint64_t *numbers, size_t count)
{
	put_numbers(w, formats[w->data[4] - 1].reply, numbers, count);
}

void wire_string(struct wire *w, const char *string)
{
	size_t length = strlen(string);

	if (!fits(w, length + 2))
		return;
	put_numbers(w, "2", (const uint64_t[]){ length }, 1);
	memcpy(w->data + w->size, string, length);
	w->size += length;
}

bool wire_entry(struct wire *w, const uint64_t numbers[5], const char *name)
{
	const uint32_t before = w->size;

	put_numbers(w, QID "81", numbers, 5);
	wire_string(w, name);
	if (!w->full)
		return true;
	w->full = false;
	w->size = before;
	return false;
}

void wire_end_data(struct wire *w)
{
	put(w->data + WIRE_HEADER, w->size - WIRE_READ, 4);
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
static void describe_string(FILE *out, const char *name, const char *s)
{
	fprintf(out, " %s \"", name);
	for (; s && *s; s++)
		putc(*s < ' ' || *s == 127 || *s == '"' ? '?' : *s, out);
	putc('"', out);
}

static void describe_request(FILE *out, const struct message *m)
{
	const struct field *f;
	const void *member;
	unsigned int i;

	for (f = formats[m->type].field; f->width; f++) {
		member = (const char *)m + f->offset;
		if (f->width == STRING)
			describe_string(out, f->name, *(const char *const *)member);
		else if (f->width == DATA)
			fprintf(out, " count %" PRIu64, m->count);
		else if (f->width != NAMES)
			fprintf(out, " %s %" PRIu64, f->name, *(const uint64_t *)member);
		else
			for (i = 0; i < m->names; i++)
				describe_string(out, "name", m->walk[i]);
	}
}

void wire_describe(FILE *out, const unsigned char *data, uint32_t size,
		   const struct message *m)
{
	const char *name = formats[m ? m->type : data[4] - 1].name;

	flockfile(out);
	fprintf(out, "%c%s tag %u size %" PRIu32, m ? 'T' : 'R', name ? name : "(unknown)",
		(unsigned int)number(data + 5, 2), size);
	if (m)
		describe_request(out, m);
	else if (data[4] == RLERROR)
		fprintf(out, " error %u", (unsigned int)number(data + 7, 4));
	putc('\n', out);
	funlockfile(out);
}
