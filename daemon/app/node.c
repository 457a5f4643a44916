#include "app/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/home.h"
#include "base/file.h"
#include "base/log.h"
#include "link/routes.h"

static void on_event(void *arg, int level, const char *kind, uint64_t peer, const char *segment, const char *text)
{
	const struct node *n = arg;
	char mine[UNIT_TEXT_SIZE], theirs[UNIT_TEXT_SIZE];
	const struct log_fields fields = { .unit = unit_text(n->settings.unit, mine),
		                           .peer = peer ? unit_text(peer, theirs) : NULL,
		                           .event = kind,
		                           .segment = segment };

	log_line((enum log_level)level, &fields, "%s: %s%s%s", kind, text, segment ? " " : "", segment ? segment : "");
}

static int keep_identity(struct node *n, const struct identity *id, struct err *err)
{
	struct kept_identity *k = calloc(1, sizeof(*k));

	if (!k)
		return err_set(err, ERR_NOMEM, "identity: out of memory");
	k->id = *id;
	k->former = n->identity;
	n->identity = k;
	return 0;
}

/* On the ledger's thread.  Stored first: after a crash in between the next start reads the new chain. */
static const struct identity *on_renewed(void *arg, struct slice chain_pem, struct err *err)
{
	struct node *n = arg;
	struct identity id;
	int r = identity_renew(n->settings.home, &n->identity->id, chain_pem, &id, err);

	if (r)
		return NULL;
	if (keep_identity(n, &id, err)) {
		identity_release(&id);
		return NULL;
	}
	server_identity(n->server, &n->identity->id);
	return &n->identity->id;
}

int node_open(struct node *n, const char *home, struct err *err)
{
	struct identity id = { 0 };

	*n = (struct node){ .lock = -1 };
	int r = settings_read(home, &n->settings, err);
	if (!r)
		r = home_lock(home, &n->lock, err);
	if (!r)
		r = identity_read(&n->settings, &id, err);
	if (!r && (r = keep_identity(n, &id, err)))
		identity_release(&id);
	n->spool = path_join(home, HOME_SPOOL);
	n->control_path = path_join(home, HOME_CONTROL);
	if (!r && (!n->spool || !n->control_path))
		r = err_set(err, ERR_NOMEM, "%s: out of memory", home);
	if (!r)
		r = file_make_folder(n->spool, 0700, err);
	if (r)
		return r;
	const struct engine_options o = { .database = n->settings.database,
		                          .make = true,
		                          .identity = &n->identity->id,
		                          .source = source_system(),
		                          .seal_ms = n->settings.seal_ms,
		                          .seal_max_ms = n->settings.seal_max_ms,
		                          .space_soft_mb = n->settings.space_soft_mb,
		                          .space_hard_mb = n->settings.space_hard_mb,
		                          .urls = (const char *const *)n->settings.urls,
		                          .event = on_event,
		                          .renewed = on_renewed,
		                          .arg = n };
	return engine_open(&o, &n->engine, err);
}

static int start_server(struct node *n, struct err *err)
{
	const struct server_options o = { .listen = n->settings.listen, .identity = &n->identity->id, .spool = n->spool,
		                          .routes = routes_link, .ledger = n->ledger, .source = source_system() };

	return n->settings.listen ? server_start(&o, &n->server, err) : 0;
}

static int start_uplink(struct node *n, struct err *err)
{
	const struct settings *s = &n->settings;
	const struct uplink_options o = { .identity = &n->identity->id,
		                          .ledger = n->ledger,
		                          .urls = (const char *const *)s->upstream_urls,
		                          .proxy = s->proxy,
		                          .interval_s = s->interval_s,
		                          .rate_kbps = s->rate_kbps,
		                          .window_from = s->window_from,
		                          .window_until = s->window_until,
		                          .spool = n->spool,
		                          .source = source_system() };

	return s->has_upstream && n->identity->id.chain.n > 1 ? uplink_start(&o, &n->uplink, err) : 0;
}

static int start_control(struct node *n, struct err *err)
{
	const struct control_options o = { .path = n->control_path, .ledger = n->ledger, .uplink = n->uplink,
		                           .source = source_system() };

	return control_start(&o, &n->control, err);
}

int node_start(struct node *n, struct err *err)
{
	int r = ledger_start(n->engine, n->settings.database, &n->ledger, err);

	if (!r)
		r = start_server(n, err);
	if (!r)
		r = start_uplink(n, err);
	if (!r)
		r = start_control(n, err);
	return r;
}

void node_close(struct node *n)
{
	/* First the ledger, so that every job has been answered; then those who could still give it one. */
	ledger_stop(n->ledger);
	control_stop(n->control);
	uplink_stop(n->uplink);
	server_stop(n->server);
	ledger_release(n->ledger);
	engine_close(n->engine);
	while (n->identity) {
		struct kept_identity *k = n->identity;

		n->identity = k->former;
		identity_release(&k->id);
		free(k);
	}
	settings_release(&n->settings);
	fd_close(&n->lock);
	free(n->spool);
	free(n->control_path);
	*n = (struct node){ .lock = -1 };
}

/* The lines of the second that the first does not have; the block `upstream` is in force already. */
static void name_changes(const char *before, char *now)
{
	char *rest = NULL;

	for (char *line = strtok_r(now, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *at = strstr(before, line);
		size_t length = strlen(line);
		if (at && (at == before || at[-1] == '\n') && (at[length] == '\n' || !at[length]))
			continue;
		log_line(LOG_LEVEL_NOTICE, NULL, SETTINGS_FILE ": needs a restart: %s", line);
	}
}

/* The line upward begins anew as s says; where it cannot, it goes on as before. */
static void change_upstream(struct node *n, struct settings *s)
{
	struct err e = { 0 };

	control_uplink(n->control, NULL);
	uplink_stop(TAKE(n->uplink));
	settings_swap_upstream(&n->settings, s);
	if (start_uplink(n, &e)) {
		log_line(LOG_LEVEL_ERROR, NULL, "%s; the line upward goes on as before", e.text);
		settings_swap_upstream(&n->settings, s);
		if (start_uplink(n, &e))
			log_line(LOG_LEVEL_ERROR, NULL, "%s; restart terraced", e.text);
	} else {
		log_line(LOG_LEVEL_NOTICE, NULL, SETTINGS_FILE ": upstream is in force as it stands now");
	}
	control_uplink(n->control, n->uplink);
}

void node_reload(struct node *n)
{
	_cleanup_(buf_release) struct buf before = { 0 }, now = { 0 }, upstream_before = { 0 }, upstream_now = { 0 };
	_cleanup_(settings_release) struct settings s = { 0 };
	struct err e = { 0 };

	if (settings_read(n->settings.home, &s, &e)) {
		log_line(LOG_LEVEL_ERROR, NULL, "%s; going on as before", e.text);
		return;
	}
	settings_put(&s, &now);
	settings_put_upstream(&n->settings, &upstream_before);
	settings_put_upstream(&s, &upstream_now);
	if (!slice_equal(buf_slice(&upstream_before), buf_slice(&upstream_now)))
		change_upstream(n, &s);
	settings_put(&n->settings, &before);
	if (slice_equal(buf_slice(&before), buf_slice(&now)))
		log_line(LOG_LEVEL_INFO, NULL, SETTINGS_FILE ": nothing else has changed");
	else
		name_changes(buf_text(&before), (char *)(uintptr_t)buf_text(&now));
	uplink_poke(n->uplink);
}
