/* policy check and publish.  What is published is the canonical form of the text; the daemon signs it. */
#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/policy_read.h"

static json_t *register_row(const struct policy_register *r)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:s, s:s}", "register", r->name, "key", (int)r->nkey, "groups", (int)r->ngroups, "rules",
	                 (int)r->nrules, "ceiling", level_name(r->ceiling), "floor", level_name(r->floor));
}

static json_t *summary(const struct policy *p)
{
	json_t *registers = json_array();

	for (uint32_t i = 0; i < p->nregisters; i++)
		json_array_append_new(registers, register_row(&p->registers[i]));
	return json_pack("{s:s, s:I, s:s?, s:i, s:o}", "policy", p->name, "version", (json_int_t)p->version, "effective", p->effective,
	                 "statements", (int)p->nstatements, "registers", registers);
}

int cmd_policy_check(struct ctl *c, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(json_release) json_t *document = NULL;
	_cleanup_(free_pointer) char *me = ctl_name(c);
	struct policy p;
	int r = ctl_options(c, NULL, 0, 1, 1, err);

	if (!r)
		r = policy_check(c->argv[0], &a, &p, err);
	if (r == ERR_POLICY || r == ERR_FORMAT || r == ERR_LIMIT || r == ERR_SCHEMA)
		c->error_status = 1;             /* the check is done and found something */
	if (r)
		return r;
	document = summary(&p);
	r = ctl_print(c, document, err);
	if (!r)
		ctl_say(c, "Nothing is wrong with it.  Next: %s policy publish %s", "未发现问题。下一步：%s policy publish %s", me ? me : "",
		        c->argv[0]);
	return r;
}

static int send_policy(struct ctl *c, const struct policy *p, json_t **ret, struct err *err)
{
	_cleanup_(buf_release) struct buf canonical = { 0 }, text = { 0 };
	int r = policy_put(p, &canonical, err);

	if (r)
		return r;
	base64url_put(&text, buf_slice(&canonical));
	if (text.failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	const char *const words[] = { "policy", "publish", buf_text(&text) };
	return ctl_call(c, words, ARRAY_SIZE(words), ret, err);
}

int cmd_policy_publish(struct ctl *c, struct err *err)
{
	_cleanup_(arena_release) struct arena a = { 0 };
	_cleanup_(json_release) json_t *answer = NULL;
	_cleanup_(free_pointer) char *me = ctl_name(c), *next = NULL;
	struct policy p;
	int r = ctl_options(c, NULL, 0, 1, 1, err);

	if (!r)
		r = policy_check(c->argv[0], &a, &p, err);
	if (!r)
		r = send_policy(c, &p, &answer, err);
	if (r)
		return r;
	next = text_printf("%s policy status", me ? me : "terracectl");
	json_object_set_new(answer, "policy", json_string(p.name));
	json_object_set_new(answer, "next", json_string(next ? next : ""));
	if (c->json)
		return ctl_print(c, answer, err);
	ctl_say(c, "Policy %s version %llu is published.", "策略 %s 第 %llu 版已发布。", p.name, (unsigned long long)p.version);
	ctl_say(c, "Next: %s", "下一步：%s", next ? next : "");
	return 0;
}
