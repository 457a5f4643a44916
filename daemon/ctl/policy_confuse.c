/* Policy grammar for libConfuse: which keys stand where, all of them texts or lists of texts. */
#include <confuse.h>
#include <stdio.h>
#include <string.h>

#include "ctl/policy_confuse.h"

#define KEY(name) CFG_STR(name, NULL, CFGF_NODEFAULT)
#define LIST(name) CFG_STR_LIST(name, NULL, CFGF_NODEFAULT)
#define TITLED(name, keys) CFG_SEC(name, keys, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES)
#define SINGLE(name, keys) CFG_SEC(name, keys, CFGF_NODEFAULT)

/* libConfuse's error callback has no argument of ours; a reader runs in one thread from begin to end. */
static _Thread_local struct err *said;

static void on_error(cfg_t *cfg, const char *format, va_list list)
{
	char text[300];
	vsnprintf(text, sizeof(text), format, list);
	err_set(said, ERR_POLICY, "%s:%d: %s", cfg->filename != NULL ? cfg->filename : "policy", cfg->line,
		text);
}

int policy_confuse(const char *path, struct buf *plain, struct cfg_t **ret, struct err *err)
{
	cfg_opt_t from[] = { KEY("value"), CFG_END() };
	cfg_opt_t parameter[] = { KEY("unit"), TITLED("from", from), CFG_END() };
	cfg_opt_t group[] = { LIST("columns"), LIST("own"),        LIST("propose"),
			      LIST("create"),  LIST("delete"),     KEY("lock"),
			      KEY("lock_say"), KEY("on_conflict"), CFG_END() };
	cfg_opt_t rule[] = { KEY("check"), KEY("severity"), LIST("at"), KEY("say"), CFG_END() };
	cfg_opt_t deadline[] = { KEY("from"), KEY("to"), KEY("days"), KEY("working_days"), CFG_END() };
	cfg_opt_t publish[] = { LIST("columns"), LIST("mask"), KEY("days"), KEY("when"), CFG_END() };
	cfg_opt_t retention[] = { KEY("days"), KEY("from"), KEY("action"), CFG_END() };
	cfg_opt_t reg[] = { LIST("key"),
			    KEY("unit"),
			    KEY("ceiling"),
			    KEY("floor"),
			    KEY("assigned"),
			    KEY("schema"),
			    KEY("foreign_keys"),
			    LIST("local"),
			    LIST("identity"),
			    SINGLE("publish", publish),
			    SINGLE("retention", retention),
			    TITLED("group", group),
			    TITLED("rule", rule),
			    TITLED("deadline", deadline),
			    CFG_END() };
	cfg_opt_t figure[] = { KEY("sql"), KEY("name"), CFG_END() };
	cfg_opt_t report[] = {
		KEY("register"),          KEY("level"), KEY("period"), KEY("due"), KEY("nil"), KEY("name"),
		TITLED("figure", figure), CFG_END()
	};
	cfg_opt_t calendar[] = { LIST("holidays"), LIST("workdays"), CFG_END() };
	cfg_opt_t code[] = { KEY("name"), KEY("from"), KEY("to"), CFG_END() };
	cfg_opt_t codes[] = { LIST("columns"), TITLED("code", code), CFG_END() };
	cfg_opt_t delegate[] = { KEY("level"), LIST("registers"), LIST("parameters"), CFG_END() };
	cfg_opt_t stream[] = { KEY("position"), KEY("hash"), CFG_END() };
	cfg_opt_t revoke[] = {
		KEY("serial"), KEY("epoch"), KEY("tick"), KEY("reason"), TITLED("stream", stream), CFG_END()
	};
	cfg_opt_t policy[] = { KEY("version"),
			       KEY("effective"),
			       KEY("expires"),
			       LIST("schema"),
			       TITLED("parameter", parameter),
			       TITLED("register", reg),
			       TITLED("report", report),
			       TITLED("calendar", calendar),
			       TITLED("codes", codes),
			       TITLED("delegate", delegate),
			       TITLED("revoke", revoke),
			       CFG_END() };
	cfg_opt_t root[] = { TITLED("policy", policy), CFG_END() };

	struct err first = { 0 };
	cfg_t *cfg = cfg_init(root, CFGF_NONE);
	if (cfg == NULL)
		return err_set(err, ERR_NOMEM, "%s: no memory", path);
	said = &first;
	cfg_set_error_function(cfg, on_error);
	cfg->filename = strdup(path);
	int rc = CFG_SUCCESS;
	FILE *f = plain->n > 0 ? fmemopen(plain->p, plain->n, "r") : NULL;
	if (f != NULL)
		rc = cfg_parse_fp(cfg, f);
	else
		rc = plain->n > 0 ? CFG_FILE_ERROR : CFG_SUCCESS;
	if (f != NULL)
		fclose(f);
	said = NULL;
	if (rc != CFG_SUCCESS) {
		cfg_free(cfg);
		if (first.code != 0)
			return err_set(err, first.code, "%s", first.text);
		return err_set(err, ERR_POLICY, "%s:1: libConfuse cannot read this text", path);
	}
	*ret = cfg;
	return 0;
}
