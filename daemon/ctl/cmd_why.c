/* why: the report; with --evidence, deltas of this node's own scope that are kept here no more are asked of the
 * superior that keeps them, and the report checks them like its own. */
#include <stdio.h>
#include <string.h>

#include "app/home.h"
#include "core/limits.h"
#include "core/unit.h"
#include "ctl/ask.h"

#define FETCH_MOST (64u << 20)           /* of all that is fetched for one row */

struct fetching {
	struct ctl *c;
	struct settings settings;
	struct identity identity;
	bool ready;
	struct buf segments;
	char asked[64][64];              /* marks asked for already */
	uint32_t nasked;
};

static void fetching_end(struct fetching *f)
{
	if (f->ready)
		identity_release(&f->identity);
	settings_release(&f->settings);
	buf_release(&f->segments);
}

static int fetch_ready(struct fetching *f, struct err *err)
{
	int r = f->ready ? 0 : identity_read(&f->settings, &f->identity, err);

	f->ready |= !r;
	return r;
}

/* All segments of one mark, a part after the other, from the first of the superior's addresses that answers. */
static int fetch_mark(struct fetching *f, const char *mark, struct err *err)
{
	int r = ERR_NETWORK;

	for (char **url = f->settings.upstream_urls; r == ERR_NETWORK && *url; url++) {
		unsigned skip = 0;
		int status = 200;
		for (r = 0; !r && status == 200;) {
			_cleanup_(buf_release) struct buf part = { 0 };
			char path[200];
			snprintf(path, sizeof(path), "/v1/segments?%s&skip=%u", mark, skip);
			r = ask_parent(f->c, &f->settings, &f->identity, *url, path, LIMIT_SEGMENT_STORED + (2u << 20), &status, &part, err);
			struct reader in = reader_of(buf_slice(&part));
			if (r || status != 200)
				break;
			in.bad |= read_u8(&in) != 1;
			for (; reader_left(&in) && !in.bad; skip++)
				read_slice(&in);
			if (in.bad || f->segments.n + part.n > FETCH_MOST)
				r = err_set(err, ERR_FORMAT, "%s: the answer is no list of segments, or too large", *url);
			else
				buf_put(&f->segments, part.p + 1, part.n - 1);
		}
	}
	return r;
}

/* A value whose delta is not here is asked for where its author lies in this node's own scope. */
static int fetch_value(struct fetching *f, const json_t *value, struct err *err)
{
	const char *unit = json_string_value(json_object_get(value, "unit"));
	char mark[64];
	uint64_t author;

	if (!json_is_object(value) || json_is_object(json_object_get(value, "segment")) || !f->settings.has_upstream || !unit ||
	    unit_parse(slice_of(unit), &author, NULL) || !unit_contains(f->settings.unit, author))
		return 0;
	snprintf(mark, sizeof(mark), "author=%s&epoch=%lld&tick=%lld", unit,
	         (long long)json_integer_value(json_object_get(value, "epoch")),
	         (long long)json_integer_value(json_object_get(value, "tick")));
	for (uint32_t i = 0; i < f->nasked; i++)
		if (!strcmp(f->asked[i], mark))
			return 0;
	if (f->nasked == ARRAY_SIZE(f->asked))
		return 0;
	snprintf(f->asked[f->nasked++], sizeof(mark), "%s", mark);
	int r = fetch_ready(f, err);
	if (!r)
		r = fetch_mark(f, mark, err);
	return r == ERR_NOT_FOUND ? 0 : r;
}

static int fetch_all(struct fetching *f, const json_t *document, struct err *err)
{
	const json_t *groups = json_object_get(document, "groups");
	json_t *group, *proposal;
	size_t i, k;
	int r = 0;

	json_array_foreach(groups, i, group) {
		if (!r)
			r = fetch_value(f, json_object_get(group, "held"), err);
		json_array_foreach(json_object_get(group, "proposals"), k, proposal)
			if (!r)
				r = fetch_value(f, proposal, err);
	}
	return r;
}

int cmd_why(struct ctl *c, struct err *err)
{
	_cleanup_(fetching_end) struct fetching f = { .c = c };
	_cleanup_(json_release) json_t *document = NULL;
	bool evidence = false;
	int status = 0;

	for (uint32_t i = 1; i < c->nwords; i++)
		evidence |= !strcmp(c->words[i], "--evidence");
	int r = ctl_report(c, c->words, c->nwords, &document, &status, err);
	if (!r && evidence)
		r = settings_read(c->home, &f.settings, err);
	if (!r && evidence)
		r = fetch_all(&f, document, err);
	if (!r && f.segments.n) {
		json_release(&document);
		r = ctl_report_with(c, c->words, c->nwords, buf_slice(&f.segments), &document, &status, err);
	}
	if (!r)
		r = ctl_print(c, document, err);
	c->status = MAX(c->status, status);
	return r;
}
