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

#define F(member, width)	{ #member, offsetof(struct message, member), width }
#define B(member)		F(member, 1)
#define W(member)		F(member, 2)
#define D(member)		F(member, 4)
#define Q(member)		F(member, 8)
#define S(member)		F(member, STRING)
#define QID			"148"
#define QIDS			QID QID QID QID

static const struct format {
	const char *name;
	struct field {
		const char *name;
		size_t offset;
		int width;
	} field[12];				/* to the first without a width */
	const char *reply;			/* the widths of its reply's numbers */
} formats[256] = {
	[TLERROR] = { "lerror", { { NULL, 0, 0 } }, "4" },
	[TVERSION] = { "version", { D(msize), S(version) }, "4" },
	[TAUTH] = { "auth", { D(afid), S(uname), S(aname), D(n_uname) }, "" },
	[TATTACH] = { "attach", { D(newfid), D(afid), S(uname), S(aname), D(n_uname) }, QID },
	[TFLUSH] = { "flush", { W(oldtag) }, "" },
	[TWALK] = { "walk", { D(fid), D(newfid), F(walk, NAMES) }, "2" QIDS QIDS QIDS QIDS },
	[TLOPEN] = { "lopen", { D(fid), D(flags) }, QID "4" },
	[TLCREATE] = { "lcreate", { D(fid), S(name), D(flags), D(mode), D(gid) }, QID "4" },
	[TREAD] = { "read", { D(fid), Q(offset), D(count) }, "" },
	[TWRITE] = { "write", { D(fid), Q(offset), F(data, DATA) }, "4" },
	[TCLUNK] = { "clunk", { D(fid) }, "" },
	[TREMOVE] = { "remove", { D(fid) }, "" },
	[TSTATFS] = { "statfs", { D(fid) }, "448888884" },
	[TGETATTR] = { "getattr", { D(fid), Q(mask) }, "8" QID "444" "88888" "88888888" "88" },
	[TSETATTR] = { "setattr", { D(fid), D(valid), D(mode), D(uid), D(gid), Q(length),
		Q(atime), Q(atime_nsec), Q(mtime), Q(mtime_nsec) }, "" },
	[TREADDIR] = { "readdir", { D(fid), Q(offset), D(count) }, "" },
	[TFSYNC] = { "fsync", { D(fid), F(datasync, 4 | OPTIONAL) }, "" },
	[TLOCK] = { "lock", { D(fid), B(kind), D(flags), Q(start), Q(length), D(process),
		S(client) }, "1" },
	[TGETLOCK] = { "getlock", { D(fid), B(kind), Q(start), Q(length), D(process),
		S(client) }, "1884" },
	[TLINK] = { "link", { D(dfid), D(fid), S(name) }, "" },
	[TSYMLINK] = { "symlink", { D(dfid), S(name), S(target), D(gid) }, QID },
	[TMKNOD] = { "mknod", { D(dfid), S(name), D(mode), D(major), D(minor), D(gid) }, QID },
	[TMKDIR] = { "mkdir", { D(dfid), S(name), D(mode), D(gid) }, QID },
	[TRENAME] = { "rename", { D(fid), D(dfid), S(name) }, "" },
	[TRENAMEAT] = { "renameat", { D(fid), S(name), D(dfid), S(newname) }, "" },
	[TUNLINKAT] = { "unlinkat", { D(dfid), S(name), D(flags) }, "" },
	[TREADLINK] = { "readlink", { D(fid) }, "" },
	[TXATTRWALK] = { "xattrwalk", { D(fid), D(newfid), S(name) }, "8" },
	[TXATTRCREATE] = { "xattrcreate", { D(fid), S(name), Q(length), D(flags) }, "" },
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

static bool has(struct cursor *c, uint64_t bytes)
{
	if (!c->error && bytes > (uint64_t)(c->end - c->at))
		c->error = EINVAL;
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

	if (has(c, length) && (length >= PATH_MAX || memchr(c->at, 0, length)))
		c->error = length >= PATH_MAX ? ENAMETOOLONG : EINVAL;
	if (c->error)
		return NULL;
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
			c->error = EINVAL;
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

	*m = (struct message){ .type = data[4], .tag = (uint16_t)number(data + 5, 2) };
	if (!f->width)
		return EOPNOTSUPP;
	for (; f->width; f++)
		take_field(&c, f, m);
	return !c.error && c.at != c.end ? EINVAL : c.error;
}

uint32_t wire_reply_room(const struct message *m, uint32_t msize)
{
	uint64_t room = WIRE_SMALLEST;

	if (m->type == TREAD || m->type == TREADDIR)
		room = m->count + WIRE_READ;
	else if (m->type == TREADLINK || m->type == TGETLOCK)
		room = PATH_MAX + 64;
	return room < msize ? (uint32_t)room : msize;
}

/* ---- replies ------------------------------------------------------------ */

static void put(unsigned char *p, uint64_t value, int bytes)
{
	for (; bytes--; value >>= 8)
		*p++ = (unsigned char)value;
}

static bool has_count(int type)
{
	return type == RREAD || type == RREADDIR;
}

void wire_begin(struct wire *w, unsigned char *data, uint32_t room, int type, uint16_t tag)
{
	*w = (struct wire){ data, has_count(type) ? WIRE_READ : WIRE_HEADER, room, false };
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
	const bool fits = strlen(name) + 24 <= w->room - w->size;

	if (fits) {
		put_numbers(w, QID "81", numbers, 5);
		wire_string(w, name);
	}
	return fits;
}

void wire_end(struct wire *w)
{
	if (has_count(w->data[4]))
		put(w->data + WIRE_HEADER, w->size - WIRE_READ, 4);
	put(w->data, w->size, 4);
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

void wire_describe(FILE *out, const unsigned char *data, uint32_t size, const struct message *m)
{
	const struct format *format = &formats[m ? m->type : data[4] - 1];

	flockfile(out);
	fprintf(out, "%c%s tag %u size %" PRIu32, m ? 'T' : 'R',
		format->name ? format->name : "(unknown)", (unsigned int)number(data + 5, 2), size);
	if (!m && data[4] == RLERROR)
		fprintf(out, " error %u", (unsigned int)number(data + 7, 4));
	for (const struct field *f = format->field; m && f->width; f++) {
		const void *member = (const char *)m + f->offset;
		if (f->width == STRING)
			describe_string(out, f->name, *(const char *const *)member);
		else if (f->width == DATA)
			fprintf(out, " count %" PRIu64, m->count);
		else if (f->width != NAMES)
			fprintf(out, " %s %" PRIu64, f->name, *(const uint64_t *)member);
		for (unsigned int i = 0; f->width == NAMES && i < m->names; i++)
			describe_string(out, "name", m->walk[i]);
	}
	putc('\n', out);
	funlockfile(out);
}
