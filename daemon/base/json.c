#include "base/json.h"

#include "base/text.h"

void json_release(json_t **document)
{
	json_decref(*document);
	*document = NULL;
}

static int put_part(const char *part, size_t n, void *arg)
{
	struct buf *b = arg;

	buf_put(b, part, n);
	return b->failed ? -1 : 0;
}

int json_put(struct buf *b, const json_t *document)
{
	return json_dump_callback(document, put_part, b, JSON_COMPACT | JSON_ENCODE_ANY) ? -1 : 0;
}

/* Length of the character at the start of s, or 0 where none is whole. */
static size_t character(struct slice s)
{
	for (size_t n = 1; n <= 4 && n <= s.n; n++)
		if (utf8_valid((struct slice){ s.p, n }))
			return n;
	return 0;
}

json_t *json_slice(struct slice text)
{
	_cleanup_(buf_release) struct buf b = { 0 };

	if (utf8_valid(text))
		return json_stringn(text.n ? (const char *)text.p : "", text.n);
	while (text.n) {
		size_t n = character(text);
		buf_put(&b, n ? text.p : (const uint8_t *)"\xef\xbf\xbd", n ? n : 3);
		text = (struct slice){ text.p + MAX(n, 1u), text.n - MAX(n, 1u) };
	}
	return b.failed ? NULL : json_stringn((const char *)b.p, b.n);
}
