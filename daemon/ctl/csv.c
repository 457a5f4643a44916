/* A list of objects as comma-separated values (RFC 4180), for spreadsheets and scripts: a first line of keys, values
 * as in the document, times in UTC.  A member that is an object or a list is written as JSON. */
#include <string.h>

#include "ctl/ctl.h"

static void put_field(struct buf *b, const char *text, size_t n)
{
	if (!memchr(text, ',', n) && !memchr(text, '"', n) && !memchr(text, '\n', n) && !memchr(text, '\r', n)) {
		buf_put(b, text, n);
		return;
	}
	buf_put_u8(b, '"');
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"')
			buf_put_u8(b, '"');
		buf_put_u8(b, (uint8_t)text[i]);
	}
	buf_put_u8(b, '"');
}

static void put_value(struct buf *b, const json_t *value)
{
	_cleanup_(buf_release) struct buf text = { 0 };

	if (!value || json_is_null(value))
		return;
	if (json_is_string(value)) {
		put_field(b, json_string_value(value), json_string_length(value));
		return;
	}
	json_put(&text, value);
	put_field(b, buf_text(&text), text.n);
}

/* Every key of any row, in the order of its first appearance. */
static json_t *keys_of(const json_t *rows)
{
	json_t *keys = json_object(), *row, *value;
	const char *key;
	size_t i;

	json_array_foreach(rows, i, row)
		json_object_foreach(row, key, value)
			if (!json_object_get(keys, key))
				json_object_set_new(keys, key, json_null());
	return keys;
}

int csv_put(struct buf *b, const json_t *document, struct err *err)
{
	_cleanup_(json_release) json_t *keys = keys_of(document);
	json_t *row, *none;
	const char *key, *gap = "";
	size_t i;

	if (!json_is_array(document))
		return err_set(err, ERR_USAGE, "--csv: this command prints no list");
	json_object_foreach(keys, key, none) {
		buf_printf(b, "%s", gap);
		put_field(b, key, strlen(key));
		gap = ",";
	}
	buf_put(b, "\r\n", 2);
	json_array_foreach(document, i, row) {
		gap = "";
		json_object_foreach(keys, key, none) {
			buf_printf(b, "%s", gap);
			put_value(b, json_object_get(row, key));
			gap = ",";
		}
		buf_put(b, "\r\n", 2);
	}
	return b->failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}
