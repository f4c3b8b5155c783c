/* SPDX-License-Identifier: MIT */
/* request.c - HTTP requests, as text: no descriptors here, and nothing that is kept */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "request.h"

#define BAD "400 Bad Request"

size_t request_length(const char *text, size_t n)
{
	const char *p = text, *end = text + n;

	while (p < end && (*p == '\r' || *p == '\n'))	/* lines that some send too many */
		p++;
	for (; (p = memchr(p, '\n', (size_t)(end - p))); p++) {
		if (p + 1 < end && p[1] == '\n')
			return (size_t)(p + 2 - text);
		if (p + 2 < end && p[1] == '\r' && p[2] == '\n')
			return (size_t)(p + 3 - text);
	}
	return 0;
}

/*
 * Without what is at its end; null where there is none.  Of blanks only: not the empty line, by which
 * the header ends, so its first one stays.
 */
static char *take_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*text = end + 1;
	if (end > line && end[-1] == '\r')
		end--;
	while (end > line + 1 && strchr(" \t", end[-1]))
		end--;
	*end = 0;
	return line;
}

#define ALPHANUMERIC "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static int has_control(const char *text)
{
	for (; *text && (!iscntrl((unsigned char)*text) || *text == '\t'); text++)
		;
	return *text != 0;
}

/* Returns -1 where it is none. */
static int parse_field(struct request *q, char *line)
{
	char *value = line + strspn(line, ALPHANUMERIC "!#$%&'*+-.^_`|~");

	if (value == line || *value != ':' || has_control(value))
		return -1;
	*value++ = 0;
	value += strspn(value, " \t");
	if (!strcasecmp(line, "Host")) {
		q->hosts++;
		return value[strspn(value, ALPHANUMERIC "-._~%!$&'()*+,;=:[]")] ? -1 : 0;
	} else if (!strcasecmp(line, "Connection")) {
		q->keep_alive = strcasestr(value, "close") ? 0 :
			q->keep_alive || strcasestr(value, "keep-alive");
	} else if (!strcasecmp(line, "Content-Length")) {
		q->has_body |= value[strspn(value, "0")] != 0;
		return *value && !value[strspn(value, "0123456789")] ? 0 : -1;
	} else if (!strcasecmp(line, "Transfer-Encoding")) {
		q->has_body = 1;
	} else if (!strcasecmp(line, "Range")) {
		q->range = value;
	} else if (!strcasecmp(line, "If-Range")) {
		q->if_range = value;
	} else if (!strcasecmp(line, "If-Modified-Since")) {
		q->since = value;
	}
	return 0;
}

/* "%2e" and the like; nothing that a name can't hold. */
static int decode(char *to, const char *from)
{
	char digits[3] = "";

	for (; *from; from++) {
		*to = *from;
		if (*from == '%') {
			if (!isxdigit((unsigned char)from[1]) || !isxdigit((unsigned char)from[2]))
				return -1;
			memcpy(digits, from + 1, 2);
			*to = (char)strtol(digits, NULL, 16);
			from += 2;
		}
		if (!*to++)
			return -1;
	}
	*to = 0;
	return 0;
}

/* Of the server's own address, or with "http://" and any; no matter what is behind a "#". */
static const char *parse_path(struct request *q, char *path)
{
	size_t n;

	if (!strncasecmp(path, "http://", 7))
		path += 7 + strcspn(path + 7, "/?#");
	else if (*path != '/')
		return BAD;
	path[strcspn(path, "#")] = 0;
	n = strcspn(path, "?");
	q->query = path[n] ? path + n + 1 : NULL;
	path[n] = 0;
	q->path = path + strspn(path, "/");	/* or "//host" would lead elsewhere */
	if (decode(q->name, q->path))
		return BAD;
	n = strlen(q->name);
	if (!n || q->name[n - 1] == '/')
		memcpy(q->name + n, "index.html", sizeof "index.html");	/* there is room */
	return NULL;
}

const char *request_parse(struct request *q, char *text, size_t n)
{
	char *method, *path, *version, *line;

	q->is_head = q->keep_alive = q->is_old = q->has_body = q->hosts = 0;
	q->range = q->if_range = q->since = NULL;
	if (memchr(text, 0, n))
		return BAD;
	text += strspn(text, "\r\n");
	method = take_line(&text);
	path = method ? strchr(method, ' ') : NULL;
	version = path ? strchr(path + 1, ' ') : NULL;
	if (!version || path + 1 == version || strncmp(version, " HTTP/", 6) != 0 ||
	    has_control(method))
		return BAD;
	*path++ = *version++ = 0;
	if (strncmp(version, "HTTP/1.", 7) != 0 || strspn(version + 7, "0123456789") != 1 ||
	    version[8])
		return "505 HTTP Version Not Supported";
	q->is_old = version[7] == '0';
	q->keep_alive = !q->is_old;
	while ((line = take_line(&text)) && *line)
		if (parse_field(q, line))
			return BAD;
	if (q->hosts > 1 || (!q->is_old && !q->hosts))
		return BAD;
	if (q->has_body)
		q->keep_alive = 0;		/* nobody reads it */
	q->is_head = !strcmp(method, "HEAD");
	if (!q->is_head && strcmp(method, "GET") != 0)
		return "405 Method Not Allowed\r\nAllow: GET, HEAD";
	if (q->is_head)
		q->range = NULL;
	return parse_path(q, path);
}

int request_range(const char *range, long long size, long long *from, long long *to)
{
	long long first, last = size - 1;
	char *end;

	*from = 0;
	*to = size - 1;
	if (!range || strncasecmp(range, "bytes=", 6) != 0)
		return 0;
	range += 6;
	if (*range == '-') {			/* the last ones */
		if (!isdigit((unsigned char)range[1]))
			return 0;
		first = strtoll(range + 1, &end, 10);
		first = !first ? size : first < size ? size - first : 0;
	} else {
		if (!isdigit((unsigned char)*range))
			return 0;
		first = strtoll(range, &end, 10);
		if (*end++ != '-')
			return 0;
		if (isdigit((unsigned char)*end)) {
			last = strtoll(end, &end, 10);
			if (last < first)
				return 0;
		}
	}
	if (*end)
		return 0;
	if (first >= size)
		return -1;
	*from = first;
	*to = last < size ? last : size - 1;
	return 1;
}
