/* SPDX-License-Identifier: MIT */
/*
 * check_wire.c - the file server's parser, by itself: messages of all kinds, cut off at
 * each of their bytes, and with each of these changed; what a fuzzer found; and with
 * FUZZ defined it is what the fuzzer runs:
 *
 *	clang -g -O1 -DFUZZ -fsanitize=fuzzer,address,undefined -Iinclude \
 *		-Iexamples/ninep tests/check_wire.c examples/ninep/wire.c -o fuzz && ./fuzz
 */
#ifdef FUZZ
# include <stdio.h>
# include <stdlib.h>
# include <string.h>
#else
# include "testing.h"
#endif

#include "wire.h"

static volatile size_t sink;

/* Everything a message claims to have must be in it: read it all. */
static void read_all(const struct message *m)
{
	const char *const *strings[] = { &m->name, &m->newname, &m->target, &m->uname,
		&m->aname, &m->version, &m->client };
	unsigned int i;

	for (i = 0; i < sizeof strings / sizeof strings[0]; i++)
		sink += *strings[i] ? strlen(*strings[i]) : 0;
	for (i = 0; i < m->names; i++)
		sink += strlen(m->walk[i]);
	for (i = 0; m->data && i < m->count; i++)
		sink += m->data[i];
}

/* On its own in memory, so that a sanitizer sees what is read beyond it. */
static int parse(const unsigned char *message, size_t size)
{
	unsigned char *copy = malloc(size);
	static FILE *nowhere;
	struct message m;
	int error;

	memcpy(copy, message, size);
	error = wire_parse(&m, copy, (uint32_t)size);
	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	wire_describe(nowhere, copy, (uint32_t)size, &m);
	if (!error) {
		read_all(&m);
		sink += wire_reply_room(&m, 8192);
	}
	free(copy);
	return error;
}

#ifdef FUZZ

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (size >= WIRE_HEADER)
		parse(data, size);
	return 0;
}

#else

/* One of each kind: what follows the size. */
#define MESSAGE(bytes)	{ (const unsigned char *)(bytes), sizeof (bytes) - 1 }
#define FOUR		"\1\2\3\4"
#define EIGHT		"\1\2\3\4\5\6\7\0"

static const struct {
	const unsigned char *bytes;
	size_t size;
} messages[] = {
	MESSAGE("\x64\1\0" FOUR "\x8\0" "9P2000.L"),
	MESSAGE("\x66\1\0" FOUR "\1\0u\1\0a" FOUR),
	MESSAGE("\x68\1\0" FOUR FOUR "\1\0u\1\0a" FOUR),
	MESSAGE("\x6c\1\0\2\0"),
	MESSAGE("\x6e\1\0" FOUR FOUR "\2\0\1\0a\2\0bb"),
	MESSAGE("\x0c\1\0" FOUR FOUR),
	MESSAGE("\x0e\1\0" FOUR "\2\0aa" FOUR FOUR FOUR),
	MESSAGE("\x10\1\0" FOUR "\2\0aa\3\0bbb" FOUR),
	MESSAGE("\x12\1\0" FOUR "\2\0aa" FOUR FOUR FOUR FOUR),
	MESSAGE("\x14\1\0" FOUR FOUR "\1\0a"),
	MESSAGE("\x16\1\0" FOUR),
	MESSAGE("\x18\1\0" FOUR EIGHT),
	MESSAGE("\x1a\1\0" FOUR FOUR FOUR FOUR FOUR EIGHT EIGHT EIGHT EIGHT EIGHT),
	MESSAGE("\x1e\1\0" FOUR FOUR "\1\0a"),
	MESSAGE("\x20\1\0" FOUR "\1\0a" EIGHT FOUR),
	MESSAGE("\x28\1\0" FOUR EIGHT FOUR),
	MESSAGE("\x32\1\0" FOUR FOUR),
	MESSAGE("\x34\1\0" FOUR "\1" FOUR EIGHT EIGHT FOUR "\2\0me"),
	MESSAGE("\x36\1\0" FOUR "\1" EIGHT EIGHT FOUR "\2\0me"),
	MESSAGE("\x46\1\0" FOUR FOUR "\1\0a"),
	MESSAGE("\x48\1\0" FOUR "\1\0a" FOUR FOUR),
	MESSAGE("\x4a\1\0" FOUR "\1\0a" FOUR "\1\0b"),
	MESSAGE("\x4c\1\0" FOUR "\1\0a" FOUR),
	MESSAGE("\x74\1\0" FOUR EIGHT FOUR),
	MESSAGE("\x76\1\0" FOUR EIGHT "\3\0\0\0abc"),
	MESSAGE("\x78\1\0" FOUR),
	MESSAGE("\x7a\1\0" FOUR),
	MESSAGE("\x08\1\0" FOUR),
};

#define MESSAGES	((int)(sizeof messages / sizeof messages[0]))

static size_t whole(int i, unsigned char *out)
{
	memset(out, 0, 4);
	memcpy(out + 4, messages[i].bytes, messages[i].size);
	return messages[i].size + 4;
}

START_TEST(cut_off)
{
	unsigned char message[256];
	size_t size = whole(_i, message), n;

	ck_assert_int_eq(parse(message, size), 0);
	for (n = WIRE_HEADER; n < size; n++)
		/* Tfsync was shorter once */
		ck_assert_int_eq(parse(message, n), message[4] == TFSYNC && n == 11 ? 0 : EINVAL);
	message[size] = 0;
	ck_assert_int_eq(parse(message, size + 1), EINVAL);
}
END_TEST

START_TEST(changed)
{
	unsigned char message[256];
	size_t size = whole(_i, message), n;
	int value;

	for (n = 4; n < size; n++) {
		const unsigned char was = message[n];

		for (value = 0; value < 256; value++) {
			message[n] = (unsigned char)value;
			parse(message, size);
		}
		message[n] = was;
	}
}
END_TEST

START_TEST(strings)
{
	static unsigned char message[70000] = { 0, 0, 0, 0, TMKDIR };
	struct message m;

	/* the longest that a path can be, and one byte more */
	message[11] = 0xff, message[12] = 0x0f;
	memset(message + 13, 'a', 4096);
	ck_assert_int_eq(wire_parse(&m, message, 13 + 4095 + 8), 0);
	ck_assert_uint_eq(strlen(m.name), 4095);
	message[11] = 0, message[12] = 0x10;
	memset(message + 13, 'a', 4096);
	ck_assert_int_eq(parse(message, 13 + 4096 + 8), ENAMETOOLONG);
	/* with an end in the middle */
	message[11] = 3, message[12] = 0;
	message[14] = 0;
	ck_assert_int_eq(parse(message, 13 + 3 + 8), EINVAL);
}
END_TEST

/* A fuzzer's: a request that is an Rlerror, without a number that could be shown. */
START_TEST(reply_for_a_request)
{
	ck_assert_int_eq(parse((const unsigned char *)"\7\0\0\0\7\0\0", 7), EOPNOTSUPP);
}
END_TEST

/* What does not fit is left out, and said. */
START_TEST(replies)
{
	static const uint64_t entry[5] = { 1, 2, 3, 5, 6 };
	unsigned char data[64];
	struct wire w;

	wire_begin(&w, data, 20, RATTACH, 0x1234);
	wire_numbers(&w, 1, 2, 3);
	ck_assert(!w.full && w.size == 20);
	wire_numbers(&w, 1);
	ck_assert(w.full && w.size == 20);
	wire_end(&w);
	ck_assert_int_eq(memcmp(data, "\x14\0\0\0\x69\x34\x12\1\2\0\0\0\3\0\0\0\0\0\0\0", 20), 0);
	wire_begin(&w, data, 37 + 24, RREADDIR, 1);
	ck_assert(wire_entry(&w, entry, "ab"));
	ck_assert(w.size == 37);
	ck_assert(!wire_entry(&w, entry, "c"));
	wire_end(&w);
	ck_assert(!w.full && w.size == 37);
	ck_assert_int_eq(memcmp(data + 7, "\x1a\0\0\0\1\2\0\0\0\3\0\0\0\0\0\0\0"
				"\5\0\0\0\0\0\0\0\6\2\0ab", 30), 0);
	wire_begin(&w, data, 12, RREADLINK, 1);
	wire_string(&w, "four");
	ck_assert(w.full && w.size == 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wire");
	TCase *tc = tcase_create("wire");

	limit_time(tc, 60);
	tcase_add_loop_test(tc, cut_off, 0, MESSAGES);
	tcase_add_loop_test(tc, changed, 0, MESSAGES);
	tcase_add_test(tc, strings);
	tcase_add_test(tc, reply_for_a_request);
	tcase_add_test(tc, replies);
	suite_add_tcase(s, tc);
	return run_suite(s);
}

#endif
