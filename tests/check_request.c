/* SPDX-License-Identifier: MIT */
/*
 * check_request.c - the web server's parser of requests.  With FUZZ defined it is what the
 * fuzzer runs: tests/fuzz.sh.  What that has found worth keeping is in httpd.corpus.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../examples/green/request.h"

#define WANT(x)								\
	do {								\
		if (!(x)) {						\
			fprintf(stderr, "line %d: %s\n", __LINE__, #x);	\
			abort();					\
		}							\
	} while (0)

static void want_part(const char *range, long long size)
{
	long long from = -7, to = -7;
	int is_part = request_range(range, size, &from, &to);

	WANT(is_part >= -1 && is_part <= 1);
	WANT(is_part || (!from && to == size - 1));
	WANT(is_part <= 0 || (from >= 0 && from <= to && to < size));
}

/* What the server relies on. */
static void want_request(const struct request *q, const char *text, size_t n)
{
	static const long long sizes[] = { 0, 1, 10, INT64_MAX };
	size_t i;

	WANT(q->path >= text && q->path + strlen(q->path) <= text + n);
	WANT(*q->path != '/');
	WANT(!strpbrk(q->path, "\r\n #?"));	/* it is sent back in a field */
	WANT(!q->query || !strpbrk(q->query, "\r\n #"));
	WANT(memchr(q->name, 0, sizeof q->name));
	WANT(*q->name && q->name[strlen(q->name) - 1] != '/');
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
		want_part(q->range, sizes[i]);
}

/* A connection on which these bytes come: as many requests as there are. */
static void serve(const unsigned char *data, size_t n)
{
	static struct request q;
	char *text = malloc(n + 1), *p = text, next;
	const char *error = NULL;
	size_t length;

	memcpy(text, data, n);
	while (!error && (length = request_length(p, n))) {
		WANT(length <= n);
		next = p[length];
		p[length] = 0;
		error = request_parse(&q, p, length);
		WANT(!error || (strspn(error, "45") && error[3] == ' '));
		if (!error)
			want_request(&q, p, length);
		p[length] = next;
		p += length;
		n -= length;
	}
	free(text);
}

#ifdef FUZZ

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	serve(data, n < HEADER ? n : HEADER);
	return 0;
}

#else

#include "testing.h"

#define END " HTTP/1.1\r\nHost: x\r\n\r\n"

static const char *const requests[] = {
	"GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\nIf-Range: y\r\nConnection: close\r\n\r\n",
	"HEAD http://x/a%20b/?q#f HTTP/1.0\nContent-Length: 0\n\n",
	"\r\nGET //a/%2e%2e/" END "GET /b" END,
	"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
};

static const char *parse(struct request *q, const char *text)
{
	static char copy[HEADER + 1];
	size_t n = strlen(text);

	strcpy(copy, text);		/* NOLINT: it is shorter */
	ck_assert_uint_eq(request_length(copy, n), n);
	return request_parse(q, copy, n);
}

START_TEST(paths)
{
	struct request q;

	ck_assert_ptr_eq(parse(&q, "GET /a%20b/?q=/#f" END), NULL);
	ck_assert_str_eq(q.path, "a%20b/");
	ck_assert_str_eq(q.name, "a b/index.html");
	ck_assert_str_eq(q.query, "q=/");
	ck_assert(!q.is_head && q.keep_alive);
	ck_assert_ptr_eq(parse(&q, "HEAD http://x" END), NULL);
	ck_assert_str_eq(q.name, "index.html");
	ck_assert(q.is_head && !q.query);
	ck_assert_ptr_eq(parse(&q, "GET ////x//y" END), NULL);
	ck_assert_str_eq(q.name, "x//y");
	ck_assert_ptr_ne(parse(&q, "GET /%2" END), NULL);
	ck_assert_ptr_ne(parse(&q, "GET /%00" END), NULL);
	ck_assert_ptr_ne(parse(&q, "GET /a\rSet-Cookie:b" END), NULL);
	ck_assert_ptr_ne(parse(&q, "GET /a\033" END), NULL);
	ck_assert_ptr_eq(parse(&q, "\r\n\n\r\n\r\nGET /" END), NULL);
	ck_assert_uint_eq(request_length("\r\n\r\n", 4), 0);
}
END_TEST

/* Each byte is each other byte, and each length there is. */
START_TEST(changed)
{
	unsigned char data[256];
	size_t n = strlen(requests[_i]), i;
	int value;

	memcpy(data, requests[_i], n);
	for (i = 0; i < n; i++) {
		const unsigned char was = data[i];

		serve(data, i);
		for (value = 0; value < 256; value++) {
			data[i] = (unsigned char)value;
			serve(data, n);
		}
		data[i] = was;
	}
}
END_TEST

START_TEST(longest)
{
	static const char begin[] = "GET /", end[] = "/" END;
	static unsigned char data[HEADER];

	memset(data, 'a', sizeof data);
	memcpy(data, begin, sizeof begin - 1);
	memcpy(data + sizeof data - (sizeof end - 1), end, sizeof end - 1);
	serve(data, sizeof data);
	ck_assert_uint_eq(request_length((char *)data, sizeof data), sizeof data);
}
END_TEST

START_TEST(corpus)
{
	const char *srcdir = getenv("srcdir");
	static char line[2 * HEADER + 100], *hex;
	static unsigned char data[HEADER];
	unsigned int byte;
	char path[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/tests/httpd.corpus", srcdir ? srcdir : "..");
	f = fopen(path, "r");
	if (!f)
		SKIP("no httpd.corpus here");
	while (fgets(line, sizeof line, f)) {
		hex = strchr(line, ' ');
		if (*line == '#' || !hex)
			continue;
		for (hex++, n = 0; n < sizeof data && sscanf(hex, "%2x", &byte) == 1; hex += 2)
			data[n++] = (unsigned char)byte;
		serve(data, n);
	}
	fclose(f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("request");
	TCase *tc = tcase_create("request");

	limit_time(tc, 60);
	tcase_add_test(tc, paths);
	tcase_add_loop_test(tc, changed, 0, sizeof requests / sizeof *requests);
	tcase_add_test(tc, longest);
	tcase_add_test(tc, corpus);
	suite_add_tcase(s, tc);
	return run_suite(s);
}

#endif
