/* The commands that only read (engine/report.h), with or without a daemon. */
#include <stdio.h>
#include <string.h>

#include "app/home.h"
#include "app/settings.h"
#include "base/file.h"
#include "core/limits.h"
#include "ctl/ctl.h"
#include "engine/report.h"

/* The chain says who the parent is.  Who may not read it, or has none yet, sees the rest all the same. */
static bool read_chain(const char *home, struct chain *ret)
{
	_cleanup_(free_pointer) char *folder = path_join(home, HOME_IDENTITY), *path = folder ? path_join(folder, HOME_CHAIN) : NULL;
	_cleanup_(buf_release) struct buf pem = { 0 };

	return path && !file_read(path, LIMIT_CHAIN_BYTES, &pem, NULL) && !chain_read(buf_slice(&pem), NULL, ret, NULL);
}

static int print_csv(const json_t *document, struct err *err)
{
	_cleanup_(buf_release) struct buf b = { 0 };
	int r = csv_put(&b, document, err);

	if (!r && fwrite(b.p, 1, b.n, stdout) != b.n)
		r = err_set(err, ERR_IO, "standard output: cannot be written");
	return r;
}

static int run(struct ctl *c, const struct settings *s, struct err *err)
{
	_cleanup_(json_release) json_t *document = NULL;
	const char *words[CTL_WORDS];
	struct chain chain;
	bool enrolled = read_chain(c->home, &chain), csv = false;
	const struct report_home home = { .database = s->database,
		                          .unit = s->unit,
		                          .parent = enrolled && chain.n > 1 ? chain.at[1].unit : UNIT_NONE,
		                          .level = unit_level(s->unit),
		                          .name = s->name,
		                          .url = s->has_upstream ? s->upstream_urls[0] : NULL,
		                          .chain = enrolled ? &chain : NULL,
		                          .now_ms = source_system().wall_ms(NULL) };
	uint32_t n = 0;
	int status = 0;

	for (uint32_t i = 0; i < c->nwords; i++)
		if (!strcmp(c->words[i], "--csv"))
			csv = true;
		else
			words[n++] = c->words[i];
	int r = report_run(&home, words, n, &document, &status, err);
	if (!r)
		r = csv && !c->json ? print_csv(document, err) : ctl_print(c, document, err);
	c->status = MAX(c->status, status);
	return r;
}

int cmd_report(struct ctl *c, struct err *err)
{
	struct settings s;
	int r = settings_read(c->home, &s, err);

	if (r)
		return r;
	r = run(c, &s, err);
	settings_release(&s);
	return r;
}
